#!/bin/bash
# replay.sh NEW.gz OLD.gz
#
# How fast replay is beside the encoders that it repeats, and how fast the differ and its patches are; all in memory, best of three.
#   NEW.gz, OLD.gz  two versions of one layer, gzipped by Go up to 1.26 at the default level (seven.sh makes some)
# Peers in the same run: Go's compress/flate (GO names the toolchain, else test.sh's 1.25.5) and C zlib (python3's) at level 6.
# Needs: cargo, python3, jq, that Go. SPEED names the example binary `replay_speed`, else it is built.
set -euo pipefail
export LC_ALL=C
NEW=$(realpath "$1"); OLD=$(realpath "$2")
cd "$(dirname "$0")/.."
GO=${GO:-$PWD/target/go-1.25.5/bin/go}
for c in "$GO" python3 jq; do command -v "$c" >/dev/null || { echo "$c is not installed (test.sh installs it)"; exit 2; }; done
[ -n "${SPEED:-}" ] || { cargo build -q --release --example replay_speed; SPEED=$PWD/target/release/examples/replay_speed; }
W=$(mktemp -d "${TMPDIR:-/tmp}/pouch-replay.XXXXXX"); trap 'rm -rf "$W"' EXIT

cat > "$W/main.go" <<'G'
package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"os"
	"time"
)

func main() {
	plain, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	best := time.Hour
	for i := 0; i < 3; i++ {
		var out bytes.Buffer
		out.Grow(len(plain))
		begin := time.Now()
		w, _ := flate.NewWriter(&out, flate.DefaultCompression)
		w.Write(plain)
		w.Close()
		best = min(best, time.Since(begin))
	}
	fmt.Println(best.Seconds())
}
G
(cd "$W" && GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS= GOCACHE="$W/cache" "$GO" build -o peer main.go)
gzip -dc "$NEW" > "$W/plain"
cat > "$W/zlib.py" <<'P'
import struct, sys, time, zlib
plain = open(sys.argv[1], "rb").read()
best = 1e9
for _ in range(3):
    begin = time.perf_counter()
    c = zlib.compressobj(6, zlib.DEFLATED, -15); out = c.compress(plain) + c.flush()
    best = min(best, time.perf_counter() - begin)
with open(sys.argv[2], "wb") as f:
    f.write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + out + struct.pack("<II", zlib.crc32(plain), len(plain) & 0xffffffff))
print(best)
P
N=$(stat -c %s "$W/plain")
G=$("$W/peer" "$W/plain"); A=$("$SPEED" "$NEW" "$OLD"); Z=$(python3 "$W/zlib.py" "$W/plain" "$W/zlib.gz"); B=$("$SPEED" "$W/zlib.gz")
rate() { awk -v n="$N" -v s="$1" 'BEGIN{printf "%.1f", n/1e6/s}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN{printf "%.2f", a/b}'; }
of() { jq -r ".$2" <<< "$1"; }
echo "$(basename "$NEW"): $(awk -v n="$N" 'BEGIN{printf "%.1f", n/1e6}') MB plain; $("$GO" version | cut -d' ' -f3); zlib $(python3 -c 'import zlib; print(zlib.ZLIB_RUNTIME_VERSION)'); $(nproc) cores"
echo
echo "| what | MB/s of plain bytes | beside | goal |"
echo "|---|---|---|---|"
echo "| Go's encoder, one core | $(rate "$G") | | |"
echo "| $(of "$A" encoder) replayed, one thread | $(rate "$(of "$A" one)") | $(ratio "$G" "$(of "$A" one)") of Go's | at least 1.2 |"
echo "| two threads | $(rate "$(of "$A" two)") | $(ratio "$(of "$A" one)" "$(of "$A" two)") of one's | at least 1.8 |"
echo "| C zlib level 6, one core | $(rate "$Z") | | |"
echo "| $(of "$B" encoder) replayed, one thread | $(rate "$(of "$B" one)") | $(ratio "$Z" "$(of "$B" one)") of C zlib's | at least 0.85 |"
echo "| two threads | $(rate "$(of "$B" two)") | $(ratio "$(of "$B" one)" "$(of "$B" two)") of one's | |"
echo "| differ with its index, and each patch proven, one core | $(rate "$(of "$A" diff)") | patch of $(of "$A" patch) bytes | at least 15 |"
echo "| patch applied, one core | $(rate "$(of "$A" apply)") | | at least 200 |"
