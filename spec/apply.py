#!/usr/bin/env python3
"""apply.py PATCH LENGTH OLD > NEW: applies a patch as spec/patch.md says, with the standard library and the zstd command."""
import struct, subprocess, sys

NAMES = ["moves", "copies", "extras", "seeks", "gaps", "fixes", "literals"]


def need(ok, rule):
    if not ok:
        sys.exit(f"damaged: {rule}")


class Stream:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(n <= len(self.data) - self.at, "P9")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self):
        n = 0
        for group in range(9):
            byte = self.take(1)[0]
            n |= (byte & 127) << 7 * group
            if byte < 128:
                need(byte or group == 0, "P4")
                return n
        need(False, "P4")

    def signed(self):
        n = self.number()
        return -(n + 1) // 2 if n & 1 else n // 2

    def more(self):
        return self.at < len(self.data)


def unpack(stored, plain):  # P3
    if len(stored) == plain:
        return stored
    need(stored[:4] == b"\x28\xb5\x2f\xfd" and stored[4:5] and not stored[4] & 3, "P3")
    width = (1 if stored[4] & 32 else 0, 2, 4, 8)[stored[4] >> 6]
    size = stored[5 if stored[4] & 32 else 6 :][:width]
    need(width and len(size) == width and int.from_bytes(size, "little") + (256 if width == 2 else 0) == plain, "P3")
    at = 5 + width + (0 if stored[4] & 32 else 1)
    while True:  # the blocks of one frame, so that nothing follows
        head = int.from_bytes(stored[at : at + 3], "little")
        at += 3 + (1 if head >> 1 & 3 == 1 else head >> 3)
        if head & 1 or at > len(stored):
            break
    need(at + (4 if stored[4] & 4 else 0) == len(stored), "P3")
    run = subprocess.run(["zstd", "-dcq"], input=stored, capture_output=True)
    need(run.returncode == 0 and len(run.stdout) == plain, "P3")
    return run.stdout


class Moves:
    def __init__(self, s):
        self.regions, self.shifts = [], []
        if not s.more():
            return  # P10
        self.origin, self.end, count, at = s.number(), s.number(), s.number(), 0
        for _ in range(count):  # P11
            start = at + s.number()
            at = start + s.number()
            kind = s.number()
            need(at > start and at < 2**64 and kind in (0, 4, 8), "P11")
            self.regions.append((start, at, kind, s.signed() if kind else 0))
        at = by = 0
        while s.more():  # P12
            step = s.number()
            need(step or not self.shifts, "P12")
            at, by = at + step, by + s.signed()
            need(at < 2**64 and -(2**63) <= by < 2**63, "P12")
            self.shifts.append((at, by))
        need(self.regions and self.shifts, "P10")

    def shift(self, address):
        low, high = 0, len(self.shifts)
        while low < high:
            mid = (low + high) // 2
            low, high = (mid + 1, high) if self.shifts[mid][0] <= address else (low, mid)
        return self.shifts[low - 1][1] if low and address < self.end else None

    def follow(self, copy, start, at):
        for begin, end, kind, base in self.regions:
            place, end = max(begin, start), min(end, start + len(copy))
            if kind:  # P14
                for place in range(place + (begin - place) % kind, end - kind + 1, kind):
                    k = place - start
                    word = int.from_bytes(copy[k : k + kind], "little")
                    by = self.shift((word - base) % 2**64)
                    if by is not None:
                        copy[k : k + kind] = ((word + by) % 256**kind).to_bytes(kind, "little")
                continue
            i, moved = place - start, self.origin + at - start
            while i < end - start:  # P15
                k = 0
                if copy[i] in (0xE8, 0xE9, 0x05, 0x0D, 0x15, 0x1D, 0x25, 0x2D, 0x35, 0x3D):
                    k = i + 1
                elif copy[i] == 0x0F and i + 1 < end - start and copy[i + 1] & 0xF0 == 0x80:
                    k = i + 2
                i += 1
                if k and k + 4 <= end - start:
                    d = int.from_bytes(copy[k : k + 4], "little", signed=True)
                    by = self.shift((start + k + 4 + d) % 2**64)
                    if by is not None:
                        copy[k : k + 4] = ((d + by - moved) % 2**32).to_bytes(4, "little")
                        i = k + 4


def apply(stored, length, old):
    need(length <= 16 << 20 and len(stored) >= 56, "P1, P2")
    sizes = struct.unpack(">14I", stored[:56])
    plain, packed = sizes[::2], sizes[1::2]
    need(sum(plain) <= 2 * length + 64 and plain[0] <= length // 16 + 64, "P5")
    need(56 + sum(packed) == len(stored) and all(p <= q for p, q in zip(packed, plain)), "P2, P3")
    streams, at = {}, 56
    for name, p, n in zip(NAMES, plain, packed):
        streams[name] = Stream(unpack(stored[at : at + n], p))
        at += n
    gaps, fixes, new, start = streams["gaps"], streams["fixes"], bytearray(), 0
    moves = Moves(streams["moves"])
    gap = gaps.number() if gaps.more() else None
    while len(new) < length:  # P6
        n = streams["copies"].number()
        need(n <= length - len(new), "P6")
        if n:
            start += streams["seeks"].signed()
            need(0 <= start and start + n <= len(old), "P7")
            copy = bytearray(old[start : start + n])
            moves.follow(copy, start, len(new))
            start, k = start + n, 0
            while gap is not None and k + gap < n:  # P8
                k += gap
                word = copy[k : k + 4]
                total = int.from_bytes(word, "little") + int.from_bytes(fixes.take(4), "little")
                copy[k : k + 4] = (total % 256 ** len(word)).to_bytes(len(word), "little")
                k += len(word)
                gap = gaps.number() if gaps.more() else None
            gap = gap if gap is None else gap - (n - k)
            new += copy
        extra = streams["extras"].number()
        need(extra <= length - len(new) and n + extra > 0, "P6")
        new += streams["literals"].take(extra)
    need(gap is None and not any(s.more() for s in streams.values()), "P9")
    return bytes(new)


if __name__ == "__main__":
    patch, old = (open(p, "rb").read() for p in (sys.argv[1], sys.argv[3]))
    sys.stdout.buffer.write(apply(patch, int(sys.argv[2]), old))
