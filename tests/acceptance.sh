#!/bin/bash
# acceptance.sh LAB small|medium [WORK]
# Builds the laboratory's corpus, packs, seals and unpacks both versions, and runs its acceptance scripts on the sites:
# v1, v2 over it with --keep 1; both versions' images and files with --keep 2. Ends with "N passed, N failed".
set -euo pipefail
LAB=$(cd "$1" && pwd); SIZE=$2; HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
POUCH=${POUCH:-$HERE/target/release/pouch}
W=${3:-$HERE/target/acceptance}; mkdir -p "$W"; W=$(cd "$W" && pwd)
# clients that Debian does not have: uv, and helm's own code
T=$W/tools; [ -e "$T/ok" ] || { rm -rf "$T"; python3 -m venv "$T"; "$T/bin/pip" install -q --disable-pip-version-check uv helm-python-sdk==0.2.2; : > "$T/ok"; }
export UV=${UV:-$T/bin/uv} HELM_PYTHON=${HELM_PYTHON:-$T/bin/python}
PASS=0; FAIL=0
ok() { PASS=$((PASS+1)); echo "PASS $1"; }
no() { FAIL=$((FAIL+1)); echo "FAIL $1: ${2:-}"; }
check() { local n=$1 o; shift; if o=$("$@" 2>&1); then ok "$n"; else no "$n" "$(printf '%s' "$o" | tail -3 | tr '\n' ' ')"; fi; }
lab() { # NAME TREE CORPUS SCRIPT: adds up what a script of the laboratory says
  local l; "$LAB/$4" "$2" "$3" > "$W/$1.log" 2>&1 || true
  grep '^FAIL' "$W/$1.log" | head -20 || true
  l=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$W/$1.log" | tail -1)
  [ -n "$l" ] || { no "$1" "ended early"; return; }
  echo "$1: $l"; set -- $(echo "$l" | tr -dc '0-9 '); PASS=$((PASS+$1)); FAIL=$((FAIL+$2))
}
[ -e "$W/$SIZE/v2/SHA256SUMS" ] || { "$LAB/make-corpus.sh" "$W/$SIZE" "$SIZE" > "$W/corpus.log" 2>&1 || { tail -5 "$W/corpus.log"; exit 1; }; }
C=$W/$SIZE
cd "$W"; rm -rf k k.pub p site* ./*.pouch
"$POUCH" key new k > /dev/null
"$POUCH" policy new --admin 1:owner=k.pub --stream lab --sealer owner=k.pub --with k -o p > /dev/null
D=$("$POUCH" policy show p --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["digest"])')
for v in 1 2; do check "pack v$v" "$POUCH" pack --kubespray-offline "$C/v$v" --stream lab --sequence $v --seal-with k -o v$v.pouch; done
# the same bytes with one thread, from another place, another time zone and locale, and with files made in another order
mkdir -p other/place; rm -rf other/place/in; mkdir other/place/in
(cd "$C/v1" && find . -type d -print0 | (cd "$W/other/place/in" && xargs -0 mkdir -p) && find . \( -type f -o -type l \) -print0 | shuf -z | xargs -0 -I{} cp -a {} "$W/other/place/in/{}")
check "pack v1 elsewhere" env TZ=Asia/Kathmandu LC_ALL=C "$POUCH" pack --kubespray-offline other/place/in --stream lab --sequence 1 --threads 1 -o unsealed-elsewhere.pouch
check "pack v1 here, unsealed" "$POUCH" pack --kubespray-offline "$C/v1" --stream lab --sequence 1 -o unsealed.pouch
check "packing is deterministic" cmp unsealed.pouch unsealed-elsewhere.pouch
rm -rf other unsealed*.pouch
for v in 1 2; do check "verify v$v" "$POUCH" verify v$v.pouch --policy p; done
check "init keep 1" "$POUCH" site init site1 --policy p --confirm "$D" --keep 1
check "unpack v1" "$POUCH" unpack v1.pouch --site site1
lab "v1 keep 1" "$W/site1/current" "$C/v1" accept-all.sh
check "unpack v2" "$POUCH" unpack v2.pouch --site site1 --allow-drop
lab "v2 keep 1" "$W/site1/current" "$C/v2" accept-all.sh
check "check" "$POUCH" check --site site1
# the upgrade as a delta: the same release, the same site
check "pack the delta" "$POUCH" pack --kubespray-offline "$C/v2" --stream lab --sequence 2 --base v1.pouch --seal-with k -o delta.pouch
check "pack it again with one thread" "$POUCH" pack --kubespray-offline "$C/v2" --stream lab --sequence 2 --base v1.pouch --threads 1 -o unsealed-one.pouch
check "pack it again with two" "$POUCH" pack --kubespray-offline "$C/v2" --stream lab --sequence 2 --base v1.pouch --threads 2 -o unsealed-two.pouch
check "packing a delta is deterministic" cmp unsealed-one.pouch unsealed-two.pouch
echo "delta: $(stat -c %s delta.pouch) bytes; full: $(stat -c %s v2.pouch) bytes"
check "init for the delta" "$POUCH" site init site3 --policy p --confirm "$D" --keep 1
check "unpack v1 for the delta" "$POUCH" unpack v1.pouch --site site3
check "unpack the delta" "$POUCH" unpack delta.pouch --site site3 --allow-drop
# All but what carries dates: they are those of the seals, which differ.
sums() { (cd "$1/current/" && find . -type f ! -path './.pouch/*' ! -path '*/repodata/*' ! -name Release ! -name index.yaml -exec sha256sum {} + | sort -k2); }
check "what the delta made is what the full bundle made" diff <(sums site1) <(sums site3)
lab "v1 and the delta" "$W/site3/current" "$C/v2" accept-registry.sh
lab "v1 and the delta yum" "$W/site3/current" "$C/v2" accept-yum.sh
rm -rf site3 unsealed*.pouch
check "init keep 2" "$POUCH" site init site2 --policy p --confirm "$D" --keep 2
check "unpack v1 and v2" "$POUCH" unpack v1.pouch v2.pouch --site site2 --allow-drop
# with keep 2 the images and files of both are served, and the package indexes list v2 only
cat > both.py <<'P'
import os, sys, hashlib
site, corpus = sys.argv[1:3]; bad = []
for v in ("v1", "v2"):
    src = f"{corpus}/{v}/files"
    for dp, _, fs in os.walk(src):
        for f in fs:
            rel = os.path.relpath(dp + "/" + f, src); q = f"{site}/current/www/files/{rel}"
            new = f"{corpus}/v2/files/{rel}"
            want = new if os.path.exists(new) else dp + "/" + f
            if not os.path.exists(q) or open(q, "rb").read() != open(want, "rb").read(): bad.append(rel)
    for line in open(f"{corpus}/{v}/images/images.tsv"):
        ref = line.split("\t")[0]; first = ref.split("/")[0]
        name = ref.split("/", 1)[1] if ("." in first or ":" in first) and "/" in ref else ref
        repo, tag = name.rsplit(":", 1)
        link = f"{site}/current/registry/docker/registry/v2/repositories/{repo}/_manifests/tags/{tag}/current/link"
        if not os.path.exists(link): bad.append(ref)
print("\n".join(bad)); sys.exit(bool(bad))
P
check "keep 2 serves files and images of both" python3 both.py site2 "$C"
lab "v2 keep 2 yum" "$W/site2/current" "$C/v2" accept-yum.sh
lab "v2 keep 2 apt" "$W/site2/current" "$C/v2" accept-apt.sh
lab "v2 keep 2 pypi" "$W/site2/current" "$C/v2" accept-pypi.sh
lab "v2 keep 2 charts" "$W/site2/current" "$C/v2" accept-charts.sh
check "rollback" "$POUCH" rollback --site site2
lab "after rollback: files" "$W/site2/current" "$C/v1" accept-files.sh
echo "$PASS passed, $FAIL failed"
[ "$FAIL" -eq 0 ] && [ "$PASS" -gt 0 ]
