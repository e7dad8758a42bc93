#!/usr/bin/env python3
"""A second reader of bundles, written from bundle.md alone, to keep the document honest. It is not made for speed.

    reader.py FILE... [--bases DIR] [--extract DIR]

It prints one JSON object a file, each on a line: class (ok, damaged, unsupported, usage), the rule that is broken, ids, artifacts, blobs.
With --bases the files of a folder may serve deltas as base blobs, whatever they are called. With --extract it writes every blob under its digest. It checks no statement: what it shows is unverified (R8). It needs Python 3.9 and, for zstd
frames, the zstd command. Patches are apply.py's beside it. Of the encoders of replay.md it has C zlib, liblzma and libbzip2, those that Python brings, if they are that.
"""
import bz2, hashlib, json, lzma, os, re, struct, subprocess, sys, tempfile, unicodedata, zlib

import apply

MIB = 1 << 20
KINDS = ["file", "image", "rpm", "repodata", "deb", "wheel", "sdist", "chart", "gomod"]
SECTIONS = {1: "artifacts", 2: "facts", 3: "blobs", 4: "recipes", 5: "chunks", 6: "blocks", 7: "bases", 8: "expansions", 9: "extents"}
FEATURES = ["base/1", "patch/1", "expand/xz/1", "expand/bzip2/1", "replay/zlib/1", "replay/xz/1", "replay/bzip2/1"]
FORMS = {0: None, 1: "expand/xz/1", 3: "expand/bzip2/1"}  # F35


class Refused(Exception):
    def __init__(self, rule, why, cls="damaged"):
        super().__init__(why)
        self.rule, self.cls = rule, cls


def must(condition, rule, why):
    if not condition:
        raise Refused(rule, why)


def limit(value, most, rule, what):
    if value > most:
        raise Refused(rule, f"{what}: {value} is above the limit of {most}", "unsupported")


def sha(data):
    return hashlib.sha256(data).digest()


def labelled(label, data):  # F2
    return sha(b"pouch/v1/" + label.encode() + b"\0" + data)


# ---- CBOR, section 4

def cbor(data, rule="F8"):
    """Decodes all of `data`; maps become lists of pairs wrapped in `dict`, whose order is that of the bytes."""
    count = 0

    def item(at, depth):
        nonlocal count
        count += 1
        must(count <= 4_000_000, rule, "too many items")
        must(at < len(data), rule, "cut short")
        major, info = data[at] >> 5, data[at] & 31
        at += 1
        if major == 7:
            must(info in (20, 21), rule, "a float or simple value")
            return info == 21, at
        must(major not in (1, 6), rule, "a negative integer or tag")
        if info < 24:
            n = info
        else:
            must(info < 28, rule, "an indefinite or reserved length")
            width = 1 << (info - 24)
            must(at + width <= len(data), rule, "cut short")
            n = int.from_bytes(data[at:at + width], "big")
            at += width
            must(n >= (24 if width == 1 else 1 << (4 * width)), rule, "a head that is not the shortest")
        if major == 0:
            return n, at
        if major in (2, 3):
            must(at + n <= len(data), rule, "cut short")
            raw = bytes(data[at:at + n])
            if major == 3:
                try:
                    raw = raw.decode("utf-8")
                except UnicodeDecodeError:
                    raise Refused(rule, "a text that is not UTF-8")
            return raw, at + n
        must(depth < 16, rule, "nested too deeply")
        if major == 4:
            out = []
            for _ in range(n):
                value, at = item(at, depth + 1)
                out.append(value)
            return out, at
        out, last = {}, -1
        for _ in range(n):
            must(at < len(data) and data[at] >> 5 == 0, rule, "a key that is not an unsigned integer")
            key, at = item(at, depth + 1)
            must(key > last, rule, "keys out of order or twice")
            last = key
            out[key], at = item(at, depth + 1)
        return out, at

    value, end = item(0, 0)
    must(end == len(data), rule, "bytes after the end")
    return value


def is_a(value, form, what):
    """Checks a value against a form: int, str, bytes, bool, [form], (form, ...) or {key: form}, a key below 0 is optional."""
    if isinstance(form, type):
        must(type(value) is form, "F9", f"{what} is not of type {form.__name__}")
    elif isinstance(form, int):  # the most that an integer may be
        must(type(value) is int and value <= form, "F9", f"{what} is not an integer up to {form}")
    elif isinstance(form, bytes):  # a digest
        must(type(value) is bytes and len(value) == 32, "F9", f"{what} is not a digest")
    elif isinstance(form, list):
        must(type(value) is list, "F9", f"{what} is not an array")
        for v in value:
            is_a(v, form[0], what)
    elif isinstance(form, tuple):
        must(type(value) is list and len(value) == len(form), "F9", f"{what} is not an array of {len(form)}")
        for v, f in zip(value, form):
            is_a(v, f, what)
    else:
        must(type(value) is dict, "F9", f"{what} is not a map")
        forms = {(-k if k < 0 else k): f for k, f in form.items()}
        for k, v in value.items():
            must(k in forms, "F9", f"{what} has the unknown key {k}")
            is_a(v, forms[k], what)
        must(all(k < 0 or k in value for k in form), "F9", f"{what} lacks a key")


U32, DIGEST = (1 << 32) - 1, b""
EXT = [(int, bytes)]
RELEASE = {0: str, 1: int, 2: int, -3: str, 4: [{0: str, 1: int, 2: int}], 5: int, 6: int,
           7: [{0: int, 1: U32, 2: U32, 3: DIGEST}], 8: [str], -9: EXT}
CARRIAGE = {0: DIGEST, 1: [{0: int, 1: U32, 2: U32, 3: DIGEST, 4: U32, 5: U32, 6: DIGEST}], 2: int, 3: int, 4: int, 5: int,
            6: [str], -7: EXT, -8: [(str, int, int, DIGEST)]}
ARTIFACT = {0: str, 1: str, -2: str, -3: str, 4: str, -5: str, 6: bool, 7: [int], 8: [(str, str)]}


# ---- names and paths, section 8

HIDDEN = re.compile("[\0-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
                    "\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]")
DEVICE = re.compile("(CON|PRN|AUX|NUL|CONIN\\$|CONOUT\\$|(COM|LPT)[0-9¹²³])", re.I | re.A)


def nfc(text):
    return unicodedata.normalize("NFC", text) == text


def fold(text):  # F30
    nfkc = lambda s: unicodedata.normalize("NFKC", s)
    return nfkc(nfkc(text).casefold())


def check_path(path):  # F28
    parts = path.split("/")
    must(1 <= len(path.encode()) <= 1024 and len(parts) <= 64 and nfc(path), "F28", f"the path {path[:200]!r}")
    for p in parts:
        good = 1 <= len(p.encode()) <= 255 and p not in (".", "..") and not re.search('[<>:"\\\\|?*]', p)
        good = good and not HIDDEN.search(p) and p[0] != " " and p[-1] not in " ."
        must(good and not DEVICE.fullmatch(p.split(".")[0].rstrip()), "F28", f"the component {p[:200]!r}")


def check_places(artifacts):  # F20, F30
    names, places = set(), {}
    for a in artifacts:
        if 5 not in a:
            must(fold(a[1]) not in names, "F20", f"two images are called {a[1]!r}")
            names.add(fold(a[1]))
            continue
        place = a[4] + "/" + a[5]
        parts = place.split("/")
        for n in range(1, len(parts) + 1):
            part = "/".join(parts[:n])
            folder = n < len(parts)
            there = places.setdefault(fold(part), (part, folder))
            both_files = not folder and not there[1] and there[0] is not part
            must(there == (part, folder) and not both_files, "F20" if both_files else "F30", f"{place!r} and {there[0]!r}")


# ---- the reader

class Reader:
    def __init__(self, data, held):
        """`held` are blobs by digest, to serve as bases."""
        self.data, self.held, self.result, self.content = data, held, {}, {}

    def read(self):
        self.frame()
        self.statements()
        self.roots()
        self.release_sections()
        if self.form == 1:
            self.carriage_sections()
        return self.result

    def frame(self):  # R5
        d = self.data
        must(len(d) >= 208, "F3", "shorter than header and footer")
        must(d[:8] == b"\x89POUCH\r\n", "F4", "the magic")
        if d[8:10] != b"\0\1":
            raise Refused("F4", "another version", "unsupported")
        must(d[10:16] == bytes(6), "F4", "reserved bytes of the header")
        f = d[-192:]
        must(f[:8] == b"POUCHEND", "F5", "the footer's magic")
        if f[8:10] != b"\0\1":
            raise Refused("F5", "another version", "unsupported")
        must(sha(f[:160]) == f[160:], "F5", "the footer's own digest")
        self.form = f[10]
        if self.form not in (1, 3):
            raise Refused("F5", f"form {self.form}", "unsupported")
        must(f[11:16] == bytes(5) and f[144:160] == bytes(16), "F5", "reserved bytes of the footer")
        blocks, sections, release, carriage, volumes, area = struct.unpack(">QQLLLL", f[16:48])
        limit(release, MIB, "F10", "the release root")
        limit(carriage, MIB, "F10", "the carriage root")
        limit(area, 4 * MIB, "F31", "the statement area")
        must((self.form == 1 or blocks == 0) and volumes == 0, "F6", "blocks or a volume map in a form without")
        must(16 + blocks + sections + release + carriage + area + 192 == len(d), "F3", "lengths do not add up")
        at, self.parts = 16, {}
        for name, n in [("blocks", blocks), ("sections", sections), ("release", release), ("carriage", carriage), ("area", area)]:
            self.parts[name] = d[at:at + n]
            at += n
        self.ids = {"release": f[48:80], "carriage": f[80:112]}
        must(labelled("statements", self.parts["area"]) == f[112:144], "F5", "the statement area's digest")
        for name, i in self.ids.items():
            self.result[name] = i.hex()

    def statements(self):  # R6
        area = self.parts["area"]
        must(len(area) >= 4, "F31", "no count")
        count, at = int.from_bytes(area[:4], "big"), 4
        for _ in range(count):
            must(at + 8 <= len(area), "F31", "cut short")
            text, signature = struct.unpack(">LL", area[at:at + 8])
            limit(max(text, signature), 16 << 10, "F31", "a statement")
            at += 8 + text + signature
        must(at == len(area), "F31", "statements do not fill the area")

    def root(self, name, requires, known, form):
        data = self.parts[name]
        value = cbor(data)
        features = value.get(requires) if type(value) is dict else None
        unknown = [f for f in features if type(f) is str and f not in known] if type(features) is list else []
        if unknown:
            raise Refused("R2", "features: " + ", ".join(unknown), "unsupported")
        is_a(value, form, f"the {name} root")
        ext = value.get(9 if name == "release" else 7)
        if ext is not None:
            numbers = [n for n, _ in ext]
            must(ext and numbers == sorted(set(numbers)), "F9", "extensions are empty or out of order")
        return value

    def roots(self):  # R7, R9
        for name, i in self.ids.items():
            must(labelled(name, self.parts[name]) == i, "F10", f"the {name} root's digest")
        r = self.release = self.root("release", 8, [k + "/1" for k in KINDS], RELEASE)
        c = self.carriage = self.root("carriage", 6, FEATURES, CARRIAGE)
        stream = "[a-z0-9][a-z0-9._-]{0,62}"
        must(re.fullmatch(stream, r[0]), "F11", "the stream's name")
        must(r[2] >= 1, "F11", "the sequence")
        v = r.get(3, "-")
        must(1 <= len(v) <= 64 and nfc(v) and not HIDDEN.search(v) and v == v.strip(), "F11", "the version")
        kinds = [k[0] for k in r[4]]
        must(all(k in KINDS for k in kinds) and kinds == sorted(set(kinds)), "F12", "kinds of the totals")
        must(r[8] == sorted(k + "/1" for k in kinds), "F15", "requires is not what is used")
        numbers = [s[0] for s in r[7]]
        must(numbers == sorted(numbers) and set(numbers) <= {1, 2, 3}, "F13", "the release sections")
        must(c[0] == self.ids["release"], "F14", "the carriage is of another release")
        numbers = [s[0] for s in c[1]]
        must(set(numbers) <= set(SECTIONS), "F9", "an unknown kind of section")
        must(c[6] == sorted(set(c[6])), "F15", "requires is not sorted, or lists a feature twice")
        must("base/1" in c[6] or max(numbers, default=0) < 7 and 8 not in c, "F15", "bases without their feature")
        must("patch/1" in c[6] or 9 not in numbers, "F39", "extents without their feature")
        must(numbers == sorted(numbers), "F13", "sections out of order")
        must(c[5] == 0 or c[6], "F14", "scratch space without a feature")
        against = [(s.encode(), e, n, i) for s, e, n, i in c.get(8, [])]
        must(8 not in c or against and against == sorted(set(against)), "F38", "releases built on are none or out of order")
        must(all(re.fullmatch(stream, a[0].decode()) and a[2] >= 1 for a in against), "F38", "a release that cannot be")
        limit(sum(s[2] for s in c[1]), 256 * MIB, "F16", "all sections together")
        for s in c[1]:
            limit(s[1], 65_536, "F16", "entries of a section")
            limit(s[2], 16 * MIB, "F16", "a section")
            must(s[1] >= 1, "F16", "a section without entries")
            must(s[4] == 0 and s[5] == s[2] or s[4] == 1 and 0 < s[5] < s[2], "F17", "lengths and codec of a section")
        must([{k: s[k] for k in range(4)} for s in c[1] if s[0] <= 3] == r[7], "F13", "the roots' release sections differ")
        present = [s for s in c[1] if self.form == 1 or s[0] <= 3]
        must(sum(s[5] for s in present) == len(self.parts["sections"]), "F13", "sections do not fill their part")
        must(self.form != 1 or c[3] == len(self.parts["blocks"]), "F23", "blocks do not fill their part")
        at, self.stored = 0, {n: [] for n in SECTIONS}
        for s in present:
            self.stored[s[0]].append((s, self.parts["sections"][at:at + s[5]]))
            at += s[5]

    def sections(self, number):
        """Plain bytes and entries of each section of a kind."""
        name = SECTIONS[number]
        for s, stored in self.stored[number]:
            must(labelled("stored/" + name, stored) == s[6], "R3", f"stored digest of {name}")
            plain = stored if s[4] == 0 else unzstd(stored, s[2], "F17")
            must(labelled("section/" + name, plain) == s[3], "R3", f"plain digest of {name}")
            yield plain, s[1]

    def list(self, number, form):
        out = []
        for plain, entries in self.sections(number):
            items = cbor(plain)
            is_a(items, [form], SECTIONS[number])
            must(len(items) == entries, "F16", f"entries of {SECTIONS[number]}")
            out += items
        return out

    def table(self, number, row):
        out = []
        for plain, entries in self.sections(number):
            must(len(plain) == entries * struct.calcsize(row), "F16", f"length of {SECTIONS[number]}")
            out += struct.iter_unpack(row, plain)
        return out

    def release_sections(self):
        r = self.release
        self.blobs = self.table(3, ">32sQ")
        digests = [d for d, _ in self.blobs]
        must(all(a < b for a, b in zip(digests, digests[1:])), "F16", "blobs out of order")
        must(len(self.blobs) == r[5] and sum(n for _, n in self.blobs) == r[6], "F12", "totals of blobs")
        artifacts = self.list(1, ARTIFACT)
        used, totals = set(), {}
        for a in artifacts:
            must(a[0] in KINDS, "F9", "an unknown kind")
            check_path(a[4])
            must((5 in a) == (a[0] != "image"), "F19", "a path of an image, or none of another")
            if 5 in a:
                check_path(a[5])
                check_path(a[4] + "/" + a[5])
            limit(len(a[7]), 65_536, "F18", "blobs of an artifact")
            must(a[7] and len(set(a[7])) == len(a[7]), "F18", "blobs of an artifact")
            must(max(a[7]) < len(self.blobs), "F18", "a blob out of range")
            texts = [a[k] for k in (1, 2, 3) if k in a] + [text for pair in a[8] for text in pair]
            for text in texts:
                limit(len(text.encode()), 4096, "F21", "a text")
                must(not HIDDEN.search(text), "F21", "hidden characters")
            keys = [k.encode() for k, _ in a[8]]
            must(keys == sorted(set(keys)), "F21", "labels out of order")
            used |= set(a[7])
            count, blobs = totals.get(a[0], (0, set()))
            totals[a[0]] = (count + 1, blobs | set(a[7]))
        must(len(used) == len(self.blobs), "F18", "a blob without artifact")
        totals = [{0: k, 1: n, 2: sum(self.blobs[b][1] for b in blobs)} for k, (n, blobs) in sorted(totals.items())]
        must(totals == r[4], "F12", "totals of kinds")
        key = lambda a: (a[0].encode(), a[4].encode(), 5 in a, a.get(5, "").encode(), a[1].encode(), a[7][0])
        keys = [key(a) for a in artifacts]
        must(all(a < b for a, b in zip(keys, keys[1:])), "F19", "artifacts out of order")
        check_places(artifacts)
        facts = self.list(2, bytes)
        must(len(facts) == len(artifacts), "F22", "as many facts as artifacts")
        for f in facts:
            limit(len(f), 8 * MIB, "F22", "facts")
            cbor(f, "F22")
        self.result["artifacts"] = [[a[0], a[1], a[4] + "/" + a[5] if 5 in a else None] for a in artifacts]

    def carriage_sections(self):  # section 7
        c = self.carriage
        blocks = self.table(6, ">32sLLLB3s")
        for digest, stored, plain, chunks, codec, zero in blocks:
            must(codec in (0, 1) or codec == 2 and "patch/1" in c[6], "F24", "a codec that no feature brings")
            must((zero == bytes(3)) == (codec != 2), "F39" if codec == 2 else "F16", "reserved bytes of a block, or no extents")
            limit(plain, 16 * MIB, "F24", "a block")
            must(plain >= 1, "F24", "an empty block")
            must(chunks >= 1, "F25", "a block without chunks")
            must(stored == plain if codec == 0 else 0 < stored < plain, "F24", "lengths and codec of a block")
        must(len(blocks) == c[2] and sum(b[1] for b in blocks) == c[3], "F23", "totals of blocks")
        must(sum(b[3] for b in blocks) == c[4], "F25", "total of chunks")
        chunks = [n for _, n in self.table(5, ">32sL")]
        must(len(chunks) == c[4], "F25", "total of chunks")
        for n in chunks:
            limit(n, 16 * MIB, "F25", "a chunk")
            must(n >= 1, "F25", "a chunk of no bytes")
        at = 0
        for b in blocks:
            must(sum(chunks[at:at + b[3]]) == b[2], "F25", "chunks do not fill their block")
            at += b[3]
        bases = self.table(7, ">32sQ")
        rows = self.table(8, ">LQQQ")
        must(all(row[0] >> 24 in FORMS for row in rows), "F35", "an expansion of an unknown form")
        forms = [row[0] >> 24 for row in rows]
        expansions = [(row[0] & 0xffffff, *row[1:]) for row in rows]
        must(all(a[0] < b[0] for a, b in zip(bases, bases[1:])), "F34", "bases out of order")
        before = (0, 0)
        for base, offset, length, plain in expansions:
            must(length and plain, "F35", "an empty expansion")
            must(base < len(bases) and offset + length <= bases[base][1], "F35", "an expansion outside its base")
            must((base, offset) >= before, "F35", "expansions out of order or overlapping")
            before = (base, offset + length)
        source_lengths = [n for _, n in bases] + [e[3] for e in expansions]
        used, needed, families, replays, uses = set(), set(), set(), [], 0
        last = {}  # by chunk, its last use: uses are counted

        def take(source, offset, n, rule):
            must(source < len(source_lengths) and n and offset + n <= source_lengths[source], rule, "outside its source")
            used.add(source)

        extents = self.table(9, ">LQQ")
        for source, offset, n in extents:
            take(source, offset, n, "F40")
        counts = [int.from_bytes(b[5], "big") if b[4] == 2 else 0 for b in blocks]
        must(sum(counts) == len(extents), "F40", "another number of extents than the patches have")
        recipes = self.list(4, (int, [list]))
        seen, following, own = set(), 0, []

        def length_of(number, s, alone, inner):
            nonlocal following, uses
            must(s and type(s[0]) is int and s[0] < 4 and not (inner and s[0] in (1, 3)), "F26", "a segment that may not be there")
            is_a(s, [(int, int, int), (int, [U32], bytes, int, [list]), (int, int, int, int), (int,)][s[0]], "a segment")
            if s[0] == 0:
                _, first, count = s
                must(count >= 1 and first + count <= len(chunks), "F26", "a segment out of range")
                must(first <= following, "F27", "chunks are first used out of order")
                following = max(following, first + count)
                for chunk in range(first, first + count):
                    uses += 1
                    last[chunk] = uses
                    own.append((chunk, uses))
                return sum(chunks[first:first + count])
            if s[0] == 1:
                own.clear()
                plain = sum(length_of(number, inside, False, True) for inside in s[4])
                must(s[3] >= 1, "F41", "an empty replay")
                families.add(check_encoder(s[1], s[2], plain, s[3]))
                replays.append((plain, own.copy()))
                return s[3]
            must("base/1" in c[6], "F15", "a segment without its feature")
            if s[0] == 2:
                take(*s[1:], "F36")
                return s[3]
            must(alone and self.blobs[number][1], "F37", "a blob that is its own base and more, or empty")
            needed.add(self.blobs[number])
            return self.blobs[number][1]

        for number, segments in recipes:
            must(number < len(self.blobs) and number not in seen, "F26", "a recipe of no blob, or the second of one")
            seen.add(number)
            length = sum(length_of(number, s, len(segments) == 1, False) for s in segments)
            must(length == self.blobs[number][1], "F26", "a recipe of another length than its blob")
        must(len(seen) == len(self.blobs), "F26", "a blob without recipe")
        must(following == len(chunks), "F27", "a chunk that no recipe uses")
        must(all(len(bases) + n in used for n in range(len(expansions))), "F36", "an expansion that nothing uses")
        used |= {e[0] for e in expansions}
        must(all(n in used for n in range(len(bases))), "F36", "a base that nothing uses")
        must(families <= set(c[6]), "F15", "a replay without its feature")
        families |= {FORMS[form] for form in forms if form}
        is_used = {"base/1": bool(bases or needed), "patch/1": bool(extents), **{f: True for f in families}}
        must(all(f in c[6] for f, u in is_used.items() if u), "F15", "a feature that is used and not listed")
        if not all(is_used.get(f) for f in c[6]):
            raise Refused("F15", "a feature is listed and not used", "unsupported")
        again = [any(last[chunk] != use for chunk, use in own) for _, own in replays]
        kept = sum(plain for (plain, _), a in zip(replays, again) if a)
        largest = max([plain for (plain, _), a in zip(replays, again) if not a], default=0)
        must(sum(e[3] for e in expansions) + kept + largest == c[5], "F14", "scratch space of expansions and replays")
        lacking = sorted(b for b in needed | set(bases) if len(self.held.get(b[0], b"")) != b[1] or b[0] not in self.held)
        if lacking:  # R14
            self.result["lacking"] = [[d.hex(), n] for d, n in lacking]
            raise Refused("R14", f"{len(lacking)} bases are not here", "usage")
        sources = [self.held[d] for d, _ in bases]
        for form, (base, offset, length, plain) in zip(forms, expansions):  # R15
            sources.append(expand(form, sources[base][offset:offset + length], plain))
        plain, at, extent = b"", 0, 0
        for (digest, stored, length, _, codec, _), count in zip(blocks, counts):  # R4
            data = self.parts["blocks"][at:at + stored]
            must(sha(data) == digest, "R4", "a block's digest")
            if codec == 2:
                old = b"".join(sources[s][o:o + n] for s, o, n in extents[extent:extent + count])
                plain += unpatch(data, length, old)
            else:
                plain += data if codec == 0 else unzstd(data, length, "F24")
            at, extent = at + stored, extent + count
        offsets = [0]
        for n in chunks:
            offsets.append(offsets[-1] + n)

        def give(number, s):
            if s[0] == 0:
                return plain[offsets[s[1]]:offsets[s[1] + s[2]]]
            if s[0] == 1:
                return encode(s[1], b"".join(give(number, inner) for inner in s[4]), s[3])
            return sources[s[1]][s[2]:s[2] + s[3]] if s[0] == 2 else self.held[self.blobs[number][0]]

        for number, segments in recipes:
            content = b"".join(give(number, s) for s in segments)
            must(sha(content) == self.blobs[number][0], "R4", "a blob's digest")
            self.content[self.blobs[number][0].hex()] = content
        self.result["blobs"] = {d: len(b) for d, b in sorted(self.content.items())}


def unpatch(stored, length, old):
    try:
        return apply.apply(stored, length, old)
    except SystemExit as e:  # its way to refuse
        raise Refused("F39", str(e))


def expand(form, stored, plain):
    """R15: exactly one stream of a form (F35) that gives `plain` bytes, not one more."""
    try:
        if form == 0:
            inflater = zlib.decompressobj(-15)
        elif form == 1:
            inflater = lzma.LZMADecompressor(lzma.FORMAT_XZ, 80 * MIB)  # a dictionary of 64 MiB fits, one of 96 does not
        else:
            inflater = bz2.BZ2Decompressor()
        out = inflater.decompress(stored, plain + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        raise Refused("R15", "an expansion that is no stream of its form")
    must(inflater.eof and not inflater.unused_data and len(out) == plain, "R15", "an expansion of other lengths")
    return out


def check_encoder(encoder, checkpoints, plain, length):
    """The feature of an encoder; replay.md. A list of checkpoints is read for its form only: this reader runs from the front."""
    if encoder and encoder[0] == 8 and len(encoder) == 5:
        _, level, extreme, check, block = encoder
        must(level <= 7 and extreme <= 1 and check in (0, 1, 4, 10), "F41", "parameters of xz")
        must(block == 0 or 65536 <= block <= 64 * MIB, "F41", "blocks of xz")
        must(not checkpoints, "F41", "a library has no checkpoints")
        return "replay/xz/1"
    if encoder and encoder[0] == 10 and len(encoder) == 2:
        must(1 <= encoder[1] <= 9, "F41", "parameters of bzip2")
        must(not checkpoints, "F41", "a library has no checkpoints")
        return "replay/bzip2/1"
    must(encoder and encoder[0] == 1 and len(encoder) == 5, "F41", "an encoder that no feature brings")
    level, memory, window, strategy = encoder[1:]
    must(1 <= level <= 9 and 1 <= memory <= 9 and 9 <= window <= 15 and strategy <= 4, "F41", "parameters of zlib")
    at, values = 0, []
    while at < len(checkpoints):
        n, shift = 0, 0
        while True:
            must(at < len(checkpoints) and shift < 64, "F41", "a list of checkpoints")
            byte, at = checkpoints[at], at + 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        values.append(n)
    must(len(values) % 6 == 0, "F41", "a list of checkpoints")
    must(all(step >= 65536 for step in values[::6]) and sum(values[::6]) <= plain, "F41", "places of checkpoints")
    return "replay/zlib/1"


def encode(encoder, plain, length):
    if encoder[0] == 8:
        made = xz(*encoder[1:], plain)
    elif encoder[0] == 10:
        made = bz2.compress(plain, encoder[1])
    else:
        encoder = zlib.compressobj(encoder[1], zlib.DEFLATED, -encoder[3], encoder[2], encoder[4])
        made = encoder.compress(plain) + encoder.flush()
    must(len(made) == length, "R16", "a replay of another length")
    return made


def xz(level, extreme, check, block, plain):
    """replay.md, section "Libraries". Blocks with sizes are framed here: Python has no multi-threaded encoder."""
    preset = level | (lzma.PRESET_EXTREME if extreme else 0)
    if not block:
        return lzma.compress(plain, lzma.FORMAT_XZ, check, preset)

    def vli(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + vli(n >> 7)

    def crc(data):
        return struct.pack("<L", zlib.crc32(data))

    def padded(data):
        return data + bytes(-len(data) % 4)

    def header(dictionary, packed, n, room):
        data = b"\xc0" + vli(packed) + vli(n) + bytes([0x21, 1, dictionary])
        data = bytes([room // 4 - 1]) + data
        return data + bytes(room - 4 - len(data)) + crc(data + bytes(room - 4 - len(data)))

    def room(a, b):
        return len(padded(bytes(2 + len(vli(a)) + len(vli(b)) + 3 + 4)))

    filters = [{"id": lzma.FILTER_LZMA2, "preset": preset}]
    dictionary = 2 * ([18, 20, 21, 22, 22, 23, 23, 24][level] - 12)
    width = {0: 0, 1: 4, 4: 8, 10: 32}[check]
    bound = 92 + (block + 3 * -(-block // 65536) + 1 + 3) // 4 * 4
    out, index = b"\xfd7zXZ\0" + bytes([0, check]) + crc(bytes([0, check])), []
    for at in range(0, len(plain), block):
        part = plain[at:at + block]
        packed, space = lzma.compress(part, lzma.FORMAT_RAW, -1, None, filters), room(bound, block)
        single = lzma.compress(part, lzma.FORMAT_XZ, check, 0)  # for its check, which lies before its index
        end = len(single) - 12 - 4 * (1 + int.from_bytes(single[-8:-4], "little"))
        sum_of = single[end - width:end]
        first = header(dictionary, len(packed), len(part), space)
        if space + len(padded(packed)) + len(sum_of) > bound:  # not compressible
            pieces = [part[n:n + 65536] for n in range(0, len(part), 65536)]
            packed = b"".join(bytes([2 if n else 1]) + struct.pack(">H", len(p) - 1) + p for n, p in enumerate(pieces)) + b"\0"
            first = header(0, len(packed), len(part), room(len(packed), len(part)))
        out += first + padded(packed) + sum_of
        index.append(vli(len(first) + len(packed) + len(sum_of)) + vli(len(part)))
    tail = padded(b"\0" + vli(len(index)) + b"".join(index))
    tail += crc(tail)
    end = struct.pack("<L", len(tail) // 4 - 1) + bytes([0, check])
    return out + tail + crc(end) + end + b"YZ"


def unzstd(stored, plain_len, rule):
    """F17: exactly one frame without dictionary that announces and holds `plain_len` bytes. RFC 8878, section 3.1.1."""
    must(stored[:4] == b"\x28\xb5\x2f\xfd" and len(stored) > 5, rule, "no zstd frame")
    descriptor = stored[4]
    must(descriptor & 0x0b == 0, rule, "a dictionary or the reserved bit")
    single, at = descriptor >> 5 & 1, 5 + (1 - (descriptor >> 5 & 1))
    width = [single, 2, 4, 8][descriptor >> 6]
    size = int.from_bytes(stored[at:at + width], "little") + (256 if width == 2 else 0)
    must(width and size == plain_len, rule, "a frame that does not announce its length")
    at, last = at + width, 0
    while not last:
        header = int.from_bytes(stored[at:at + 3], "little")
        last, kind = header & 1, header >> 1 & 3
        at += 3 + (1 if kind == 1 else header >> 3)
        must(kind != 3 and at <= len(stored), rule, "a block of the frame")
    at += 4 * (descriptor >> 2 & 1)
    must(at == len(stored), rule, "not exactly one frame")
    with tempfile.TemporaryFile() as source:
        source.write(stored)
        source.seek(0)
        with subprocess.Popen(["zstd", "-dcq", "--long=31"], stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
            plain = p.stdout.read(plain_len + 1)
            p.stdout.close()
        must(p.returncode == 0 and len(plain) == plain_len, rule, "a frame that does not hold what it says")
    return plain


def main(arguments):
    folder, held = None, {}
    while len(arguments) > 2 and arguments[-2] in ("--bases", "--extract"):
        (option, value), arguments = arguments[-2:], arguments[:-2]
        if option == "--extract":
            folder = value
            os.makedirs(folder, exist_ok=True)
            continue
        for entry in os.scandir(value):
            with open(entry.path, "rb") as file:
                content = file.read()
            held[sha(content)] = content
    if not arguments:
        sys.exit(__doc__)
    code = 0
    for path in arguments:
        with open(path, "rb") as file:
            reader = Reader(file.read(), held)
        try:
            result = {"class": "ok", **reader.read()}
        except Refused as e:
            result = {"class": e.cls, "rule": e.rule, "why": str(e)}
            if "lacking" in reader.result:
                result["lacking"] = reader.result["lacking"]
        print(json.dumps(result))
        code = code or {"ok": 0, "usage": 2, "damaged": 3, "unsupported": 5}[result["class"]]
        if folder and code == 0:
            for digest, content in reader.content.items():
                with open(os.path.join(folder, digest), "wb") as out:
                    out.write(content)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
