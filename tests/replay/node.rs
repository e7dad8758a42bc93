//! Node's zlib (Chromium's fork): streams made on the spot by real Node binaries, replayed and compared.
//!
//! `NODES` names them (paths, with colons between), as `test.sh` installs them; else it is `node` on the path.
use crate::common::{SHAPES, differ, encode, shape};
use pouch::replay::recognise::{Options, recognise};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Reads jobs (level, memory level, length, plain; 32 bits each, little endian) and answers with length and raw deflate.
const SCRIPT: &str = r#"
const fs = require("fs"), zlib = require("zlib");
const input = fs.readFileSync(process.argv[1]), out = [];
for (let at = 0; at < input.length;) {
    const [level, memLevel, n] = [0, 4, 8].map(k => input.readUInt32LE(at + k));
    const made = zlib.deflateRawSync(input.subarray(at + 12, at + 12 + n), { level, memLevel });
    const len = Buffer.alloc(4); len.writeUInt32LE(made.length);
    out.push(len, made); at += 12 + n;
}
fs.writeFileSync(process.argv[2], Buffer.concat(out));
"#;

fn nodes() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("NODES").unwrap_or_else(|| "node".into())).collect()
}

type Case = ([u32; 2], Vec<u8>);

fn deflate(node: &Path, cases: &[Case]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("input"), folder.path().join("output"));
    let mut input = Vec::new();
    for ([level, memory], plain) in cases {
        [*level, *memory, plain.len() as u32].iter().for_each(|n| input.extend(n.to_le_bytes()));
        input.extend(plain);
    }
    std::fs::write(&from, input).unwrap();
    let done = Command::new(node).args(["-e", SCRIPT]).arg(&from).arg(&to).status();
    assert!(done.unwrap_or_else(|e| panic!("{} is needed for this test (test.sh): {e}", node.display())).success());
    let all = std::fs::read(&to).unwrap();
    let (mut rest, mut out) = (all.as_slice(), Vec::new());
    while let Some((len, tail)) = rest.split_first_chunk::<4>() {
        let (one, tail) = tail.split_at(u32::from_le_bytes(*len) as usize);
        out.push(one.to_vec());
        rest = tail;
    }
    assert_eq!(out.len(), cases.len());
    out
}

#[test]
fn every_level_on_every_shape() {
    let mut cases: Vec<Case> = Vec::new();
    for name in SHAPES {
        for level in (1..=9).filter(|level| name != "few" || *level < 8) {
            for memory in [8, 9] {
                cases.push(([level, memory], shape(name, 150_000, 13)));
            }
        }
    }
    for (i, size) in [0, 1, 3, 4, 258, 262, 5_000, 32_768, 65_274, 65_536, 131_072].into_iter().enumerate() {
        cases.extend([1, 6, 9].map(|level| ([level, 8], shape("mixed", size, i as u64))));
    }
    for node in nodes() {
        for (([level, memory], plain), real) in cases.iter().zip(deflate(&node, &cases)) {
            let ours = encode(&[4, *level, *memory, 15, 0, 0], plain, 5000);
            let what = format!("{}: level {level}, memory {memory}, {} bytes", node.display(), plain.len());
            assert_eq!(differ(&ours, &real), None, "{what}");
        }
    }
}

#[test]
fn recognised_and_replayed_from_checkpoints() {
    let plain = shape("text", 1_000_000, 14);
    let cases: Vec<Case> = [1, 6, 9].map(|level| ([level, 8], plain.clone())).to_vec();
    for node in nodes() {
        for real in deflate(&node, &cases) {
            let options = Options { spacing: 200_000, first: vec![], threads: 2 };
            let stream = recognise(real.as_slice(), plain.as_slice(), &options).unwrap().unwrap();
            assert!(stream.identity.to_string().starts_with("zlib-fork/1("), "{}", stream.identity);
            let mut out = Vec::new();
            stream
                .replay(plain.as_slice(), 2, 1 << 20, &mut |b| {
                    out.extend_from_slice(b);
                    Ok(())
                })
                .unwrap();
            assert!(out == real);
        }
    }
}
