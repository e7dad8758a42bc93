#!/bin/bash
# compare.sh OUTPUTS [RUNS]
#
# Times pouch against the tools that do the same job today, on the same input, in the same run, and prints ratios.
#   OUTPUTS  a folder shaped like kubespray-offline's outputs/ (with images/images.tsv or images/*.tar.gz)
#   RUNS     how often each is timed (default 3); medians are compared
# Needs: skopeo docker-registry createrepo-c dpkg-dev zstd openssl curl time python3; POUCH names the binary.
# Every timed command ends with `sync`. Layers keep the form they have (skopeo --preserve-digests).
set -euo pipefail
export LC_ALL=C
IN=$(cd "$1" && pwd); RUNS=${2:-3}
POUCH=${POUCH:-$(cd "$(dirname "$0")/.." && pwd)/target/release/pouch}
W=$(mktemp -d "${TMPDIR:-/tmp}/pouch-bench.XXXXXX"); REGPID=
trap '[ -n "$REGPID" ] && kill $REGPID 2>/dev/null; chmod -R u+w "$W"; rm -rf "$W"' EXIT
for c in skopeo docker-registry createrepo_c dpkg-scanpackages zstd openssl curl python3; do command -v $c >/dev/null || { echo "$c is not installed"; exit 2; }; done
[ -x /usr/bin/time ] || { echo "time is not installed"; exit 2; }

# Virtual machines get memory when it is first touched, and give it back: every timed command finds 4 GiB of it ready.
warm() { python3 -c 'b = b"\1" * (4 << 30)'; }
# timed NAME COMMAND...: the median wall time in seconds goes into T[NAME], the peak memory in MiB into M[NAME]
declare -A T M
timed() {
  local n=$1 i; shift; : > "$W/$n.t"
  for i in $(seq "$RUNS"); do
    prepare_$n; sync; warm
    /usr/bin/time -f '%e %M' -o "$W/one" "$@" > "$W/$n.out" 2> "$W/$n.err" || { echo "$n failed:"; tail -5 "$W/$n.err"; exit 1; }
    cat "$W/one" >> "$W/$n.t"
  done
  T[$n]=$(sort -n "$W/$n.t" | awk '{a[NR]=$1} END{print a[int((NR+1)/2)]}')
  M[$n]=$(awk '{if($2>m)m=$2} END{print int(m/1024)}' "$W/$n.t")
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN{printf "%.2f", a/b}'; }
mb() { awk -v n="$1" 'BEGIN{printf "%.1f", n/1e6}'; }

# ---- pack against tar | zstd
cd "$W"
"$POUCH" key new k >/dev/null 2>&1
"$POUCH" policy new --admin 1:bench=k.pub --stream bench --sealer bench=k.pub --with k -o p >/dev/null
DIGEST=$("$POUCH" policy show p --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')
prepare_pack() { rm -f b.pouch; }
prepare_tar() { rm -f b.tar.zst; }
cat "$IN"/*/* >/dev/null 2>&1 || true; find "$IN" -type f -exec cat {} + > /dev/null
timed tar bash -c "tar -C '$IN' -cf - . | zstd -q -3 -T2 > b.tar.zst && sync"
timed pack bash -c "'$POUCH' --quiet pack --kubespray-offline '$IN' --stream bench --sequence 1 --seal-with k -o b.pouch && sync"

# ---- verify against openssl on two halves
SIZE=$(stat -c %s b.pouch); HALF=$((SIZE / 2 / 1048576 * 1048576))
prepare_verify() { cat b.pouch > /dev/null; }
prepare_openssl() { cat b.pouch > /dev/null; }
timed openssl bash -c "head -c $HALF b.pouch | openssl dgst -sha256 & tail -c +$((HALF + 1)) b.pouch | openssl dgst -sha256 & wait"
timed verify "$POUCH" --quiet verify b.pouch --policy p

# ---- unpack against the seed's way
cat > seed.sh <<'S'
set -euo pipefail
IN=$1; W=$2; PORT=$3
mkdir -p "$W/seed/out" "$W/seed/registry"; zstd -q -dc "$W/b.tar.zst" | tar -C "$W/seed/out" -xf -
O=$W/seed/out
for d in "$O"/rpms/*/; do [ -d "$d" ] && createrepo_c -q --no-database "$d"; done
for d in "$O"/debs/*/; do [ -d "$d" ] && (cd "$d" && dpkg-scanpackages -m . > Packages 2>/dev/null && gzip -k -f Packages && printf 'SHA256:\n %s\n' "$(sha256sum Packages)" > Release); done
[ -d "$O/pypi/files" ] && python3 - "$O/pypi" <<'P'
import hashlib, os, re, sys
root = sys.argv[1]; by = {}
for f in sorted(os.listdir(root + "/files")):
    h = hashlib.sha256(open(root + "/files/" + f, "rb").read()).hexdigest()
    by.setdefault(re.sub(r"[-_.]+", "-", f.split("-")[0]).lower(), []).append((f, h))
for p, fs in by.items():
    os.makedirs(f"{root}/{p}", exist_ok=True)
    open(f"{root}/{p}/index.html", "w").write("".join(f'<a href="../files/{f}#sha256={h}">{f}</a>\n' for f, h in fs))
P
images() { if [ -e "$O/images/images.tsv" ]; then cut -f1-3 "$O/images/images.tsv"; fi; }
images | while IFS=$'\t' read -r ref path form; do
  # skopeo 1.9 reads no gzipped docker-archive
  case $form in oci) src=oci:$O/images/$path:${ref##*:};; docker-oci) src=; ;; *) gzip -dc "$O/images/$path" > "$W/seed/one.tar"; src=docker-archive:$W/seed/one.tar;; esac
  if [ "$form" = docker-oci ]; then rm -rf "$W/seed/oci"; mkdir "$W/seed/oci"; tar -C "$W/seed/oci" -xzf "$O/images/$path"; src=oci:$W/seed/oci; fi
  if [ "$form" = oci ] && ! skopeo --insecure-policy inspect --raw "$src" >/dev/null 2>&1; then src=oci:$O/images/$path; fi
  name=${ref#*/}; case ${ref%%/*} in *.*|*:*) ;; *) name=$ref;; esac
  skopeo --insecure-policy copy -q --all --preserve-digests --dest-tls-verify=false "$src" "docker://127.0.0.1:$PORT/$name"
done
sync
S
# Moved, not removed: for minutes ext4 avoids inodes that were freed just now, and searching for others takes time.
aside() { if [ -e "$1" ]; then mv "$1" "$(mktemp -u "$W/$1.XXXXXX")"; fi; }
PORT=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
prepare_seed() {
  [ -n "$REGPID" ] && { kill "$REGPID"; wait "$REGPID" 2>/dev/null || true; }
  aside seed; mkdir -p seed/registry
  printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "%s"}}\nhttp: {addr: "127.0.0.1:%s"}\n' "$W/seed/registry" "$PORT" > reg.yml
  docker-registry serve reg.yml > reg.log 2>&1 & REGPID=$!
  for _ in $(seq 100); do curl -s -o /dev/null --noproxy '*' "http://127.0.0.1:$PORT/v2/" && break; sleep 0.1; done
}
prepare_unpack() { aside site; "$POUCH" --quiet site init site --policy p --confirm "$DIGEST" >/dev/null; cat b.pouch > /dev/null; }
timed seed bash seed.sh "$IN" "$W" "$PORT"
timed unpack bash -c "'$POUCH' --quiet unpack b.pouch --site site && sync"

TAR=$(stat -c %s b.tar.zst); INPUT=$(du -sb --apparent-size "$IN" | cut -f1)
echo "| what | pouch | peer | ratio | goal |"
echo "|---|---|---|---|---|"
echo "| pack against \`tar \\| zstd -3 -T2\` | ${T[pack]} s, ${M[pack]} MiB | ${T[tar]} s | $(ratio "${T[pack]}" "${T[tar]}") | at most 1.5 (2 where archives are opened) |"
echo "| size, input $(mb "$INPUT") MB | $(mb "$SIZE") MB | $(mb "$TAR") MB | $(ratio "$SIZE" "$TAR") | at most 1 |"
echo "| verify against two \`openssl dgst -sha256\` | ${T[verify]} s, ${M[verify]} MiB | ${T[openssl]} s | $(ratio "${T[verify]}" "${T[openssl]}") | at most 1.2 |"
echo "| unpack against the seed's way | ${T[unpack]} s, ${M[unpack]} MiB | ${T[seed]} s | $(ratio "${T[seed]}" "${T[unpack]}") times as fast | at least 5 |"
