#!/bin/bash
# make.sh [FOLDER]: makes the sample anew, beside this script or in FOLDER: v1 and its upgrade v2, each with outputs/ as
# kubespray-offline leaves it, a Go module cache, and a packing list. Everything in it is made here.
# Needs python3 (3.8 or later), rpmbuild, dpkg-deb. Programs of other versions may compress to other bytes.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1704067200
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -rf "$out/v1" "$out/v2"

rpm_of() { # FOLDER NAME VERSION EPOCH TEXT
    mkdir -p "$1" "$work/rpm"
    cat >"$work/rpm/$2.spec" <<SPEC
Name: $2
Version: $3
Release: 1
Epoch: $4
Summary: A package of the sample, with "quotes" & é
License: Apache-2.0
URL: https://example.org/$2
Packager: The Sample <sample@example.org>
BuildArch: noarch
Provides: sample-capability = $3
Recommends: bash
%description
A package that is made for the sample.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/$2
printf '#!/bin/sh\necho $5\n' >%{buildroot}/usr/bin/$2
chmod 0755 %{buildroot}/usr/bin/$2
echo 'greeting=$5' >%{buildroot}/etc/$2/$2.conf
%files
/usr/bin/$2
%dir /etc/$2
%config(noreplace) /etc/$2/$2.conf
%changelog
* Mon Jan 01 2024 The Sample <sample@example.org> - $3-1
- Made
SPEC
    rpmbuild -bb --quiet --nodeps --target noarch \
        --define "_topdir $work/rpm" --define "_rpmdir $1" --define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' \
        --define '_buildhost sample' --define 'use_source_date_epoch_as_buildtime 1' \
        --define 'clamp_mtime_to_source_date_epoch 1' --define '_binary_payload w9.gzdio' \
        --define '__os_install_post %{nil}' "$work/rpm/$2.spec" >/dev/null
}

deb_of() { # FOLDER NAME VERSION TEXT
    local d=$work/deb/$2
    rm -rf "$d"
    mkdir -p "$1" "$d/DEBIAN" "$d/usr/bin"
    printf '#!/bin/sh\necho %s\n' "$4" >"$d/usr/bin/$2"
    chmod 0755 "$d/usr/bin/$2"
    cat >"$d/DEBIAN/control" <<CONTROL
Package: $2
Version: $3
Architecture: all
Maintainer: The Sample <sample@example.org>
Section: misc
Priority: optional
Homepage: https://example.org/$2
Description: a package of the sample
 It has a second line, and
 .
 a paragraph.
CONTROL
    find "$d" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz -b "$d" "$1" >/dev/null
}

for v in 1 2; do
    o=$out/v$v/outputs
    python3 "$here/make.py" "$v" "$out/v$v"
    rpm_of "$o/rpms/local" pouch-sample "1.$v" 0 "hello $v"
    rpm_of "$o/rpms/local" pouch-sample-data 1.0 2 data
    deb_of "$o/debs/local/pkgs" pouch-sample "1.$v-1" "hello $v"
    deb_of "$o/debs/local/pkgs" pouch-sample-data 1.0~rc1-1 data
done
find "$out/v1" "$out/v2" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
du -sb "$out/v1" "$out/v2"
