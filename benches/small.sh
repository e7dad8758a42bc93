#!/bin/bash
# small.sh INPUT
#
# How large a bundle of `pack --small` is, against `tar | zstd -3` of the same input in the same run, and what it costs.
#   INPUT  a folder of files, or one shaped like kubespray-offline's outputs/ (with images/, rpms/ or pypi/)
# POUCH names the binary. Needs: zstd tar jq time. The site of the small bundle is compared with that of the default one.
set -euo pipefail
export LC_ALL=C
IN=$(cd "$1" && pwd)
POUCH=${POUCH:-$(cd "$(dirname "$0")/.." && pwd)/target/release/pouch}
W=$(mktemp -d "${TMPDIR:-/tmp}/pouch-small.XXXXXX"); trap 'chmod -R u+w "$W"; rm -rf "$W"' EXIT
for c in zstd tar jq; do command -v $c >/dev/null || { echo "$c is not installed"; exit 2; }; done
[ -x /usr/bin/time ] || { echo "time is not installed"; exit 2; }
cd "$W"

run() { /usr/bin/time -f '%e %U %M' -o time "$@" > out 2> err || { echo "$* failed:"; tail -5 err; exit 1; }; read -r SEC USER KB < time; }
row() { echo "| $1 | $2 | $(awk -v a="$2" -v b="$TAR" 'BEGIN{printf "%.1f", 100 * a / b}') | $SEC | $USER | $((KB / 1024)) |"; }

"$POUCH" key new k > /dev/null 2>&1
"$POUCH" policy new --admin 1:bench=k.pub --stream bench --sealer bench=k.pub --with k -o p > /dev/null
DIGEST=$("$POUCH" policy show p --json | jq -r .digest)
LIST=(--kubespray-offline "$IN")
if [ ! -d "$IN/images" ] && [ ! -d "$IN/rpms" ] && [ ! -d "$IN/pypi" ]; then
  printf '[[files]]\nfrom = "%s"\n' "$IN" > list.toml; LIST=(list.toml)
fi

find "$IN" -type f -exec cat {} + > /dev/null
run bash -c "tar -C '$IN' -cf - . | zstd -q -3 -T2 > b.tar.zst"
TAR=$(stat -c %s b.tar.zst)
echo "input: $(find "$IN" -type f -printf '%s\n' | awk '{n += $1} END {print n}') bytes; machine: $(nproc) cores"
echo "| what | bytes | % of tar | s | user s | MiB |"
echo "|---|---|---|---|---|---|"
row "\`tar \\| zstd -3\`" "$TAR"
for how in default small; do
  option=; [ $how = small ] && option=--small
  # shellcheck disable=SC2086
  run "$POUCH" --quiet pack "${LIST[@]}" --stream bench --sequence 1 --seal-with k $option -o $how.pouch
  row "pack, $how" "$(stat -c %s $how.pouch)"
done
for how in default small; do
  "$POUCH" --quiet site init $how --policy p --confirm "$DIGEST" > /dev/null
  run "$POUCH" --quiet unpack $how.pouch --site $how
  row "unpack, $how" "$(stat -c %s $how.pouch)"
done
cmp -s <(cd default/blobs && find . -type f | sort) <(cd small/blobs && find . -type f | sort) > /dev/null || { echo "the sites differ"; exit 1; }
echo
"$POUCH" show small.pouch --sizes | sed -n '/^ *count/,/^$/p'
