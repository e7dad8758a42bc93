#!/usr/bin/env python3
"""make.py SHAPE FAMILY=PROGRAM...: golden vectors from real encoders, into the folder of this file.

SHAPE prints an input (examples/shape.rs).  A PROGRAM compresses standard input to gzip on standard output; {} in it stands for the level.
Its header is 10 bytes, its trailer 8; what lies between is kept.
"""
import hashlib, pathlib, subprocess, sys

HERE = pathlib.Path(__file__).parent
LEVELS = range(-2, 10)
INPUTS = [("mixed", 262144), ("text", 131070), ("far", 98304), ("skewed", 65551), ("records", 200000), ("zeros", 65536), ("random", 40000)]


def shape(name, size):
    return subprocess.run([sys.argv[1], name, str(size)], stdout=subprocess.PIPE, check=True).stdout


def deflate(program, level, plain):
    command = program.replace("{}", str(level)).split()
    return subprocess.run(command, input=plain, stdout=subprocess.PIPE, check=True).stdout[10:-8]


programs = [argument.split("=", 1) for argument in sys.argv[2:]]
small = shape("mixed", 2500)
(HERE / "mixed.plain").write_bytes(small)
lines = ["# family, level, shape, size, bytes of the stream, its SHA-256"]
for family, program in programs:
    for level in LEVELS:
        if family in ("go", "go127", "klauspost15", "pgzip15"):
            (HERE / f"mixed.{family}.{level}.deflate").write_bytes(deflate(program, level, small))
        more = [("mixed", 1200000)] if family in ("pgzip15", "go", "go127") and level < 7 else []
        for name, size in INPUTS + more:
            if family not in ("go", "go127", "klauspost15", "pgzip15") and name not in ("mixed", "text"):
                continue
            stream = deflate(program, level, shape(name, size))
            lines.append("\t".join([family, str(level), name, str(size), str(len(stream)), hashlib.sha256(stream).hexdigest()]))
(HERE / "digests.tsv").write_text("\n".join(lines) + "\n")
