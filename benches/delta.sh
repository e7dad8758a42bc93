#!/bin/bash
# delta.sh OLD NEW [pack options]
#
# How large an upgrade is: the bundle that carries NEW to a site that has OLD, against what other tools add to their
# repositories for the same step, and against zstd's and bsdiff's patches of files of the same name.
#   OLD, NEW  two folders of files (`files`), or two folders shaped like kubespray-offline's outputs/ (with images/ or rpms/)
# BSDIFF=1 also runs bsdiff, which takes minutes. POUCH names the binary. Needs: borg restic casync zstd bsdiff jq python3 time.
set -euo pipefail
export LC_ALL=C
OLD=$(cd "$1" && pwd); NEW=$(cd "$2" && pwd); shift 2
POUCH=${POUCH:-$(cd "$(dirname "$0")/.." && pwd)/target/release/pouch}
W=$(mktemp -d "${TMPDIR:-/tmp}/pouch-delta.XXXXXX"); trap 'chmod -R u+w "$W"; rm -rf "$W"' EXIT
for c in borg restic casync zstd bsdiff jq python3; do command -v $c >/dev/null || { echo "$c is not installed"; exit 2; }; done
cd "$W"
export BORG_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_BASE_DIR=$W/borg-home RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$W/restic-cache

bytes() { find "$1" -type f -printf '%s\n' | awk '{n+=$1} END{print n+0}'; }
mb() { awk -v n="$1" 'BEGIN{printf "%.2f", n/1e6}'; }
percent() { awk -v a="$1" -v b="$2" 'BEGIN{printf "%.1f", 100*a/b}'; }
run() { /usr/bin/time -f '%e %M' -o "$W/time" "$@" > "$W/out" 2> "$W/err" || { echo "$* failed:"; tail -5 "$W/err"; exit 1; }; read -r SEC KB < "$W/time"; }
TOTAL=$(bytes "$NEW")
echo "new: $(mb "$TOTAL") MB; machine: $(nproc) cores"
echo "| what | bytes | % of new | s | MiB |"
echo "|---|---|---|---|---|"
row() { echo "| $1 | $2 | $(percent "$2" "$TOTAL") | ${3:--} | ${4:--} |"; }

# ---- pouch
"$POUCH" key new k >/dev/null 2>&1
"$POUCH" policy new --admin 1:bench=k.pub --stream bench --sealer bench=k.pub --with k -o p >/dev/null
DIGEST=$("$POUCH" policy show p --json | jq -r .digest)
input() {
  if [ -d "$1/images" ] || [ -d "$1/rpms" ]; then echo "--kubespray-offline $1"; return; fi
  printf '[[files]]\nfrom = "%s"\n' "$1" > "$2.toml"; echo "$2.toml"
}
pack() { # NAME TREE SEQUENCE OPTIONS...
  local n=$1 t=$2 s=$3; shift 3
  # shellcheck disable=SC2046
  run "$POUCH" --quiet pack $(input "$t" "$n") --stream bench --sequence "$s" --seal-with k -o "$n.pouch" "$@"
  row "pouch, $n" "$(stat -c %s "$n.pouch")" "$SEC" "$((KB / 1024))"
}
pack old "$OLD" 1
pack new "$NEW" 2
pack delta "$NEW" 2 --base old.pouch "$@"
"$POUCH" --quiet site init site --policy p --confirm "$DIGEST" --keep 1 >/dev/null
run "$POUCH" --quiet unpack old.pouch --site site
run "$POUCH" --quiet unpack delta.pouch --site site --allow-drop
echo "| unpack of the delta | | | $SEC | $((KB / 1024)) |"
"$POUCH" --quiet site init full --policy p --confirm "$DIGEST" --keep 1 >/dev/null
run "$POUCH" --quiet unpack new.pouch --site full
diff <(cd site/current && find . -type f ! -path './generation*' -exec sha256sum {} + | sort) <(cd full/current && find . -type f ! -path './generation*' -exec sha256sum {} + | sort) > differs \
  || echo "| what the delta made differs from what the full bundle made | | | | |"

# ---- repositories of other tools
step() { local n=$1 before; before=$(bytes "$n"); shift; run "$@"; row "$n" "$(( $(bytes "$n") - before ))" "$SEC" "$((KB / 1024))"; }
borg init -e none borg 2>/dev/null; (cd "$OLD" && borg create -C zstd,3 "$W/borg::old" .) >/dev/null 2>&1
step borg bash -c "cd '$NEW' && borg create -C zstd,3 '$W/borg::new' ."
restic -q init -r restic >/dev/null; (cd "$OLD" && restic -q -r "$W/restic" backup .) >/dev/null 2>&1
step restic bash -c "cd '$NEW' && restic -q -r '$W/restic' backup ."
mkdir casync; (cd casync && casync make --store=store old.caidx "$OLD") >/dev/null 2>&1
step casync bash -c "cd '$W/casync' && casync make --store=store new.caidx '$NEW'"

# ---- patches of files of the same name
patches() { # NAME COMMAND: OLD NEW OUT follow
  local sum=0 t=0 f n=$1; shift
  while read -r f; do
    if [ -f "$OLD/$f" ]; then run "$@" "$OLD/$f" "$NEW/$f" patch; else run zstd -q -f -9 --single-thread "$NEW/$f" -o patch; fi
    sum=$((sum + $(stat -c %s patch))); t=$(awk -v a="$t" -v b="$SEC" 'BEGIN{print a+b}')
  done < <(cd "$NEW" && find . -type f | sort)
  row "$n, file by file" "$sum" "$t"
}
cat > zp.sh <<'S'
exec zstd -q -f -9 --long=31 --single-thread --patch-from="$1" "$2" -o "$3"
S
patches "zstd -9 --patch-from" bash zp.sh
[ -z "${BSDIFF:-}" ] || patches bsdiff bsdiff
