#!/bin/bash
# delta.sh OLD NEW
#
# How large an upgrade is: the bundle that carries NEW to a site that has OLD, against what other tools add to their
# repositories for the same step; all of it, and each folder of it by itself, every tool being fed with that folder alone.
#   OLD, NEW  two folders of files, or two folders shaped like kubespray-offline's outputs/ (with images/ or rpms/)
# SMALL=0 leaves out `--small`. UNPACK=0 leaves out that the delta is unpacked and compared with what the whole bundle makes.
# EACH=1 instead compares files of the same name one by one, gzipped ones expanded, with zstd's patches, and BSDIFF=1 with
# bsdiff's, which takes minutes. POUCH names the binary. Needs: borg restic casync zstd bsdiff jq time.
set -euo pipefail
export LC_ALL=C
OLD=$(cd "$1" && pwd); NEW=$(cd "$2" && pwd); SMALL=${SMALL:-1}; UNPACK=${UNPACK:-1}
POUCH=${POUCH:-$(cd "$(dirname "$0")/.." && pwd)/target/release/pouch}
W=$(mktemp -d "${TMPDIR:-/tmp}/pouch-delta.XXXXXX"); trap 'chmod -R u+w "$W"; rm -rf "$W"' EXIT
for c in borg restic casync zstd bsdiff jq; do command -v $c >/dev/null || { echo "$c is not installed"; exit 2; }; done
cd "$W"
export BORG_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_BASE_DIR=$W/borg-home RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$W/restic-cache

bytes() { find "$1" -type f -printf '%s\n' | awk '{n+=$1} END{print n+0}'; }
mb() { awk -v n="$1" 'BEGIN{printf "%.2f", n/1e6}'; }
percent() { awk -v a="$1" -v b="$2" 'BEGIN{printf "%.2f", 100*a/b}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN{printf "%.3f", a/b}'; }
run() { /usr/bin/time -f '%e %M' -o "$W/time" "$@" > "$W/out" 2> "$W/err" || { echo "$* failed:"; tail -5 "$W/err"; exit 1; }; read -r SEC KB < "$W/time"; }

"$POUCH" key new k >/dev/null 2>&1
"$POUCH" policy new --admin 1:bench=k.pub --stream bench --sealer bench=k.pub --with k -o p >/dev/null
DIGEST=$("$POUCH" policy show p --json | jq -r .digest)
input() { # TREE NAME
  if [ -d "$1/images" ] || [ -d "$1/rpms" ] || [ -d "$1/debs" ] || [ -d "$1/files" ]; then echo "--kubespray-offline $1"; return; fi
  printf '[[files]]\nfrom = "%s"\n' "$1" > "$2.toml"; echo "$2.toml"
}
pack() { # NAME TREE SEQUENCE OPTIONS...: P is its size
  local n=$1 t=$2 s=$3; shift 3
  # shellcheck disable=SC2046
  run "$POUCH" --quiet pack $(input "$t" "$n") --stream bench --sequence "$s" --seal-with k -o "$n.pouch" "$@"
  P=$(stat -c %s "$n.pouch")
}
peers() { # OLD NEW: A[borg], A[restic], A[casync] are the bytes added
  local old=$1 new=$2 n before; rm -rf borg restic casync borg-home restic-cache
  borg init -e none borg 2>/dev/null; restic -q init -r restic >/dev/null; mkdir casync
  (cd "$old" && borg create -C zstd,3 "$W/borg::old" . && restic -q -r "$W/restic" backup . && cd "$W/casync" && casync make --store=store old.caidx "$old") >/dev/null 2>&1
  for n in borg restic casync; do
    before=$(bytes $n)
    case $n in
      borg) run bash -c "cd '$new' && borg create -C zstd,3 '$W/borg::new' .";;
      restic) run bash -c "cd '$new' && restic -q -r '$W/restic' backup .";;
      casync) run bash -c "cd '$W/casync' && casync make --store=store new.caidx '$new'";;
    esac
    A[$n]=$(( $(bytes $n) - before ))
  done
  rm -rf borg restic casync
}
declare -A A
row() { # WHAT OLD NEW
  local total small=- smallr=- best
  total=$(bytes "$3")
  pack old "$2" 1; pack delta "$3" 2 --base old.pouch; local delta=$P took="$SEC s, $((KB / 1024)) MiB"
  if [ "$SMALL" = 1 ]; then pack small "$3" 2 --base old.pouch --small; small=$(mb "$P"); smallp=$P; rm -f small.pouch; fi
  peers "$2" "$3"; best=$(printf '%s\n' "${A[@]}" | sort -n | head -1)
  [ "$SMALL" != 1 ] || smallr=$(ratio "$smallp" "$best")
  echo "| $1 | $(mb "$total") | $(mb "$delta") | $small | $(mb "${A[borg]}") | $(mb "${A[restic]}") | $(mb "${A[casync]}") | $(percent "$delta" "$total") | $(ratio "$delta" "$best") | $smallr | $took |"
}

if [ -z "${EACH:-}" ]; then
  echo "| MB | new | pouch | pouch --small | borg | restic | casync | pouch, % of new | of the best peer | --small of it | pack |"
  echo "|---|---|---|---|---|---|---|---|---|---|---|"
  row all "$OLD" "$NEW"
  if [ "$UNPACK" = 1 ]; then
    made() { # BUNDLE...: unpacked in turn into a new site; what it then serves
      "$POUCH" --quiet site init site --policy p --confirm "$DIGEST" --keep 1 >/dev/null
      local b; for b in "$@"; do run "$POUCH" --quiet unpack "$b" --site site --allow-drop; done
      (cd site/current/ && find . -type f ! -path './.pouch/*' -exec sha256sum {} + | sort) > "${!#}.sums"; chmod -R u+w site; rm -rf site
    }
    made old.pouch delta.pouch; UNPACKED="unpack of the delta: $SEC s, $((KB / 1024)) MiB"
    pack whole "$NEW" 2; UNPACKED+="; the whole bundle: $(mb "$P") MB"; made old.pouch whole.pouch
    cmp -s delta.pouch.sums whole.pouch.sums || UNPACKED+="; WHAT IT MADE DIFFERS from what the whole bundle makes"
    rm -f whole.pouch
  fi
  # A folder by itself, in a tree that has nothing else; kubespray's kit (scripts, lists) goes with `all` only.
  for d in "$NEW"/*/; do
    d=$(basename "$d"); [ "$(find "$NEW" -mindepth 1 -maxdepth 1 -type d | wc -l)" -gt 1 ] || break
    for side in OLD NEW; do
      rm -rf "$side"; mkdir -p "$side"; cp -al "${!side}/$d" "$side/" 2>/dev/null || cp -a "${!side}/$d" "$side/" 2>/dev/null || mkdir -p "$side/$d"
      # kubespray's folder must have files/
      [ ! -d "$NEW/images" ] || mkdir -p "$side/files"
    done
    row "$d" "$W/OLD" "$W/NEW"
  done
  [ "$UNPACK" != 1 ] || echo "$UNPACKED"
  exit
fi

# ---- file by file
plain() { if gzip -t "$1" 2>/dev/null; then gzip -dc "$1" > "$2"; else cp "$1" "$2"; fi; }
echo "| % of the new file | MB | pouch | pouch --small | zstd -9 --patch-from | bsdiff | --small of bsdiff | pack, --small |"
echo "|---|---|---|---|---|---|---|---|"
T=0; TP=0; TS=0; TZ=0
while read -r f; do
  [ -f "$OLD/$f" ] || { echo "| $f | is not in $OLD |"; continue; }
  rm -rf one-old one-new; mkdir one-old one-new; cp "$OLD/$f" one-old/; cp "$NEW/$f" one-new/
  n=$(bytes one-new); s=0; b=-; r=-; small=-
  pack old "$W/one-old" 1; pack delta "$W/one-new" 2 --base old.pouch; d=$P; took=$SEC
  if [ "$SMALL" = 1 ]; then pack small "$W/one-new" 2 --base old.pouch --small; s=$P; took+=", $SEC s"; small=$(percent "$s" "$n"); fi
  plain "$OLD/$f" o; plain "$NEW/$f" n
  zstd -q -f -9 --long=31 --single-thread --patch-from=o n -o z; z=$(stat -c %s z)
  if [ -n "${BSDIFF:-}" ] && timeout "${BSDIFF_MOST:-600}" bsdiff o n b; then b=$(stat -c %s b); r=$(ratio "$s" "$b"); b=$(percent "$b" "$n"); fi
  echo "| $f | $(mb "$n") | $(percent "$d" "$n") | $small | $(percent "$z" "$n") | $b | $r | $took |"
  T=$((T + n)); TP=$((TP + d)); TS=$((TS + s)); TZ=$((TZ + z))
done < <(cd "$NEW" && find . -type f -printf '%P\n' | sort)
echo "| sum | $(mb $T) | $(percent $TP $T) | $([ "$SMALL" = 1 ] && percent $TS $T || echo -) | $(percent $TZ $T) | | | |"
