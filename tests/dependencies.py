#!/usr/bin/env python3
"""Checks, offline, the licences of all dependencies and the advisories of tests/advisories.txt against Cargo.lock.
Exits 1 and names what is wrong."""
import json, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ALLOWED = {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "Unicode-3.0", "0BSD", "Unlicense",
           "CC0-1.0", "MIT-0", "BSL-1.0", "bzip2-1.0.6", "Apache-2.0 WITH LLVM-exception", "LGPL-2.1-or-later"}
# Licences that may stand as an alternative to an allowed one, never alone.
ONLY_AS_ALTERNATIVE = {"LGPL-2.1-or-later"}


def allowed(expression):
    """An SPDX expression of ANDs and ORs: every AND part needs one allowed alternative."""
    text = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ")
    tokens = re.findall(r"\(|\)|\bAND\b|\bOR\b|[A-Za-z0-9.\-]+(?: WITH [A-Za-z0-9.\-]+)?", text)

    def either(i):
        value, i = both(i)
        while i < len(tokens) and tokens[i] == "OR":
            other, i = both(i + 1)
            value = value or other
        return value, i

    def both(i):
        value, i = one(i)
        while i < len(tokens) and tokens[i] == "AND":
            other, i = one(i + 1)
            value = value and other
        return value, i

    def one(i):
        if tokens[i] == "(":
            value, i = either(i + 1)
            return value, i + 1
        return tokens[i] in ALLOWED - ONLY_AS_ALTERNATIVE, i + 1

    return either(0)[0]


def version(text):
    return tuple(int(x) for x in re.findall(r"\d+", text.split("-")[0])[:3])


def main():
    meta = json.loads(subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], check=True,
                                     stdout=subprocess.PIPE, cwd=os.path.dirname(HERE)).stdout)
    # The lock names crates that no enabled feature reaches; what is built is what `cargo tree` shows.
    tree = subprocess.run(["cargo", "tree", "--locked", "--target", "all", "--prefix", "none", "-e", "normal,build,dev",
                           "--format", "{p}"], check=True, stdout=subprocess.PIPE, text=True, cwd=os.path.dirname(HERE))
    built = {tuple(line.split()[:2]) for line in tree.stdout.splitlines() if line}
    packages = [p for p in meta["packages"] if p["source"] and (p["name"], "v" + p["version"]) in built]
    bad = []
    for p in packages:
        if not p["license"] or not allowed(p["license"]):
            bad.append(f"{p['name']} {p['version']}: licence {p['license']}")
    advisories = 0
    for line in open(HERE + "/advisories.txt"):
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, below, id_ = line.split()
        advisories += 1
        for p in packages:
            if p["name"] == name and (below == "*" or version(p["version"]) < version(below)):
                bad.append(f"{name} {p['version']}: {id_}, mended in {below}")
    for b in bad:
        print("FAIL", b)
    print(f"{len(packages)} dependencies, {advisories} advisories, {len(bad)} problems")
    return 1 if bad or not packages or not advisories else 0


if __name__ == "__main__":
    sys.exit(main())
