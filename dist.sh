#!/bin/bash
# dist.sh: builds the binary that travels: static, and meant to be the same bytes wherever the same tools build it.
# That has not been proven by two builds yet.
# Prints its path and SHA-256 on standard output, and on standard error what a second builder needs to have the same of.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() { echo "dist.sh: $1" >&2; exit 1; }

here=$(pwd -P)
home=$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")
sysroot=$(rustc --print sysroot)
commit=$(rustc -vV | sed -n 's/^commit-hash: //p')
triple=$(rustc -vV | sed -n 's/^host: //p')
case $triple in
  *-linux-gnu | *-linux-musl) ;;
  *) fail "a static binary is made on Linux only, not on $triple" ;;
esac

# Places of this machine, and what the binary says instead. Rust's own sources get the name that they have where the component
# rust-src is not installed. The flags are separated by 0x1f, so that a folder's name may have a space.
flags="-Ctarget-feature=+crt-static"
cflags=""
pairs=("$home=/cargo" "$here=/pouch" "$sysroot=/rust" "$sysroot/lib/rustlib/src/rust=/rustc/$commit")
# What build scripts write lies there, and is named like what they write below the clone.
if [ -n "${CARGO_TARGET_DIR:-}" ]; then pairs+=("$(realpath -m "$CARGO_TARGET_DIR")=/pouch/target"); fi
for pair in "${pairs[@]}"; do
  flags+=$'\x1f'"--remap-path-prefix=$pair"
  cflags+=" '-ffile-prefix-map=$pair'"
done
export CARGO_ENCODED_RUSTFLAGS=$flags
export CFLAGS=${cflags# } CC_SHELL_ESCAPED_FLAGS=1
export SOURCE_DATE_EPOCH=0 CARGO_INCREMENTAL=0 LC_ALL=C TZ=UTC
# --target keeps the flags away from build scripts and macros, which must be dynamic.
cargo build --profile dist --locked --target "$triple" --bin pouch

binary=${CARGO_TARGET_DIR:-target}/$triple/dist/pouch
headers=$(readelf -lW "$binary")
case $headers in *INTERP*) fail "$binary is not static" ;; esac
for place in "$home" "$here" "$sysroot" "$HOME/"; do
  if grep -qaF -e "$place" "$binary"; then fail "$binary names a place of this machine: $place"; fi
done
for tool in rustc "${CC:-cc}" ld ldd; do
  version=$("$tool" --version)
  echo "${version%%$'\n'*}" >&2
done
sha256sum "$binary"
