//! Inputs of many shapes, and the real encoders to compare with.
#![allow(dead_code, missing_docs)]

use pouch::replay::bits::BitWriter;
use pouch::replay::family::Identity;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// A small generator of our own, so that inputs are the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

/// `len` bytes of a named shape.
pub fn shape(name: &str, len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut out = Vec::with_capacity(len + 512);
    while out.len() < len {
        match name {
            "zeros" => out.push(0),
            "random" => out.extend(random.next().to_le_bytes()),
            "few" => out.push(b"abcd"[random.below(4) as usize]),
            "skewed" => out.push((random.next().trailing_zeros() * 7) as u8),
            "text" => {
                let word = random.below(3000);
                let mut r = Random(word * word % 7919);
                for _ in 0..2 + r.below(9) {
                    out.push(b'a' + (r.below(26) * r.below(26) / 26) as u8);
                }
                out.push(if random.below(12) == 0 { b'\n' } else { b' ' });
            }
            "runs" => {
                let most = 1 << random.below(12);
                let n = random.below(most);
                let byte = random.below(200) as u8;
                out.extend(std::iter::repeat_n(byte, n as usize));
            }
            "copies" => {
                let n = (1 + random.below(300)) as usize;
                if out.len() > 1000 && random.below(3) > 0 {
                    let from = out.len() - 1 - random.below((out.len() - 1).min(70_000) as u64) as usize;
                    let to = (from + n).min(out.len());
                    out.extend_from_within(from..to);
                } else {
                    out.extend((0..n).map(|_| random.below(256) as u8));
                }
            }
            "mixed" => {
                let kind = ["zeros", "random", "few", "text", "runs", "copies"][random.below(6) as usize];
                let n = random.below(60_000) as usize;
                out.extend(shape(kind, n, random.next()));
            }
            _ => panic!("no shape {name}"),
        }
    }
    out.truncate(len);
    out
}

pub const SHAPES: [&str; 8] = ["zeros", "random", "few", "skewed", "text", "runs", "copies", "mixed"];

/// Runs a script of python3's, which reads the file `input` and writes the file `output` (its arguments), and answers what
/// it wrote. Files and not pipes: nothing else can end up among the streams.
pub fn python(script: &str, input: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("input"), folder.path().join("output"));
    std::fs::write(&from, input).unwrap();
    let done = Command::new("python3").args(["-c", script]).arg(&from).arg(&to).status();
    assert!(done.unwrap_or_else(|e| panic!("python3 is needed for this test: {e}")).success(), "{script}");
    std::fs::read(&to).unwrap()
}

/// Runs a tool, hands it `input` and answers what it writes. The tool must be there.
pub fn pipe(tool: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{tool} is needed for this test: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let mut out = Vec::new();
    std::thread::scope(|s| {
        s.spawn(move || stdin.write_all(input).unwrap());
        child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    });
    assert!(child.wait().unwrap().success(), "{tool} {args:?}");
    out
}

/// A case for the real zlib: level, memory level, window bits, strategy, bytes a call.
pub type Case<'a> = ([u32; 5], &'a [u8]);

/// Raw deflate streams as the interpreter's zlib makes them.
pub fn zlib(cases: &[Case]) -> Vec<Vec<u8>> {
    let script = r#"
import sys, zlib, struct
i, o = open(sys.argv[1], 'rb'), open(sys.argv[2], 'wb')
while h := i.read(24):
    level, mem, win, strategy, piece, n = struct.unpack("<6I", h)
    data = i.read(n)
    c = zlib.compressobj(level, zlib.DEFLATED, -win, mem, strategy)
    out = b"".join(c.compress(data[k:k+piece]) for k in range(0, n, piece)) + c.flush()
    o.write(struct.pack("<I", len(out))); o.write(out)
o.close()
"#;
    let mut input = Vec::new();
    for (params, data) in cases {
        for n in params.iter().chain([&(data.len() as u32)]) {
            input.extend(n.to_le_bytes());
        }
        input.extend(*data);
    }
    let all = python(script, &input);
    let mut rest = all.as_slice();
    let mut out = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk::<4>() {
        let want = u32::from_le_bytes(*len) as usize;
        assert!(want <= tail.len(), "stream {} of {}: {want} of {} bytes", out.len(), cases.len(), tail.len());
        let (one, tail) = tail.split_at(want);
        out.push(one.to_vec());
        rest = tail;
    }
    assert_eq!(out.len(), cases.len());
    out
}

/// Where two byte strings differ first, for messages.
pub fn differ(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b { None } else { Some(a.iter().zip(b).take_while(|(x, y)| x == y).count()) }
}

/// What our encoder makes of `plain`, written by `piece` bytes.
pub fn encode(row: &[u32], plain: &[u8], piece: usize) -> Vec<u8> {
    let mut encoder = Identity::parse(row).unwrap().start(None).unwrap();
    let mut out = BitWriter::default();
    let mut made = Vec::new();
    for part in plain.chunks(piece.max(1)) {
        encoder.write(part, &mut out);
        made.extend(out.take());
    }
    encoder.finish(&mut out);
    made.extend(out.take());
    made
}

/// The deflate stream of a gzip member without name or extra fields.
pub fn member(gzip: &[u8]) -> &[u8] {
    assert_eq!((&gzip[..3], gzip[3]), (&b"\x1f\x8b\x08"[..], 0));
    &gzip[10..gzip.len() - 8]
}
