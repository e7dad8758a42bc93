//! Live: streams that real Go toolchains make on the spot must come out of our encoders.
//!
//! Toolchains: those that `GO_TOOLCHAINS` names (paths of `go` programs, with colons between), else `go` on the path. Sources of klauspost's
//! modules: a `GOPATH` in `GO_KLAUSPOST` and its edition in `GO_KLAUSPOST_EDITION`, else Debian's place and edition.
//! `test.sh` sets this up.

use crate::go_shapes::{Random, SHAPES, SIZES, shape};
use pouch::replay::bits::BitWriter;
use pouch::replay::go127::{self, Edition, pgzip::Pgzip};
use pouch::replay::{Encoder, go};
use proptest::prelude::*;
use std::cell::RefCell;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

/// Reads jobs (level, bytes a Write gets, length, plain; 32 bits each, little endian) and answers with length and raw deflate.
const PROGRAM: &str = r#"package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"

	IMPORTS
)

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	var head [3]int32
	for binary.Read(in, binary.LittleEndian, &head) == nil {
		plain := make([]byte, head[2])
		if _, err := io.ReadFull(in, plain); err != nil {
			panic(err)
		}
		var b bytes.Buffer
		w, err := NEW(&b, int(head[0]))
		if err != nil {
			panic(err)
		}
		for len(plain) > 0 {
			n := min2(len(plain), int(head[1]))
			w.Write(plain[:n])
			plain = plain[n:]
		}
		w.Close()
		r := b.Bytes()[HEAD : b.Len()-TAIL]
		binary.Write(out, binary.LittleEndian, int32(len(r)))
		out.Write(r)
		out.Flush()
	}
}

func min2(a, b int) int {
	if a < b {
		return a
	}
	return b
}
"#;

/// What a program's streams are to be compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ours {
    Go,
    Klauspost(Edition),
    Pgzip(Edition),
}

impl Ours {
    fn encoder(self, level: i8) -> Box<dyn Encoder> {
        match self {
            Ours::Go => go::encoder(level, None).unwrap(),
            Ours::Klauspost(edition) => go127::encoder(edition, level, None).unwrap(),
            Ours::Pgzip(edition) => Box::new(Pgzip::new(edition, level, 1 << 20, None).unwrap()),
        }
    }

    fn deflate(self, level: i8, plain: &[u8], cut: usize) -> Vec<u8> {
        let mut encoder = self.encoder(level);
        let mut out = BitWriter::default();
        let mut made = Vec::new();
        for part in plain.chunks(cut) {
            encoder.write(part, &mut out);
            made.extend(out.take());
        }
        encoder.finish(&mut out);
        out.align();
        made.extend(out.take());
        made
    }
}

/// A program that runs a real encoder.
struct Program {
    name: String,
    ours: Ours,
    path: PathBuf,
}

impl Program {
    fn build(go: &Path, name: String, ours: Ours, sources: Option<&Path>) -> Self {
        let (imports, new, head, tail) = match ours {
            Ours::Go | Ours::Klauspost(Edition::Go127) => ("\"compress/flate\"", "flate.NewWriter", "0", "0"),
            Ours::Klauspost(_) => ("\"github.com/klauspost/compress/flate\"", "flate.NewWriter", "0", "0"),
            Ours::Pgzip(_) => ("\"github.com/klauspost/pgzip\"", "pgzip.NewWriterLevel", "10", "8"),
        };
        let text = PROGRAM.replace("IMPORTS", imports).replace("NEW", new).replace("HEAD", head).replace("TAIL", tail);
        let top = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let dir = top.join(&name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("main.go"), text).unwrap();
        let mut build = Command::new(go);
        build.args(["build", "-o", "real", "main.go"]).current_dir(&dir);
        build.env("GO111MODULE", "off").env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").env("GOFLAGS", "");
        build.env("GOCACHE", top.join("go-cache")).env("GOPATH", sources.unwrap_or(&dir));
        assert!(build.status().unwrap().success(), "{name} does not build");
        Self { name, ours, path: dir.join("real") }
    }

    fn start(&self) -> Real {
        let mut child = Command::new(&self.path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Real { name: self.name.clone(), ours: self.ours, child, answers }
    }
}

/// A real encoder, running.
struct Real {
    name: String,
    ours: Ours,
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Real {
    fn deflate(&mut self, level: i8, cut: usize, plain: &[u8]) -> Vec<u8> {
        let mut job = Vec::new();
        for number in [i32::from(level), cut as i32, plain.len() as i32] {
            job.extend(number.to_le_bytes());
        }
        job.extend(plain);
        let to = self.child.stdin.as_mut().unwrap();
        to.write_all(&job).unwrap();
        to.flush().unwrap();
        let mut length = [0; 4];
        self.answers.read_exact(&mut length).unwrap();
        let mut made = vec![0; u32::from_le_bytes(length) as usize];
        self.answers.read_exact(&mut made).unwrap();
        made
    }

    /// Both make the same of `plain`.
    fn agree(&mut self, level: i8, cut: usize, plain: &[u8], what: &str) {
        let real = self.deflate(level, cut, plain);
        let ours = self.ours.deflate(level, plain, cut);
        let same = real.iter().zip(&ours).take_while(|(a, b)| a == b).count();
        assert!(
            real == ours,
            "{} level {level} differs on {what} ({} bytes, writes of {cut}) at byte {same} of {}",
            self.name,
            plain.len(),
            real.len()
        );
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn toolchains() -> Vec<PathBuf> {
    let named = std::env::var_os("GO_TOOLCHAINS").unwrap_or_else(|| "go".into());
    std::env::split_paths(&named).collect()
}

/// All real encoders there are, built once; none is a failure.
fn programs() -> Vec<Program> {
    let mut all = Vec::new();
    for go in toolchains() {
        let version = Command::new(&go).arg("version").env("GOTOOLCHAIN", "local").output();
        let version = version.unwrap_or_else(|e| panic!("no Go toolchain {}: {e}; test.sh installs it", go.display()));
        let version = String::from_utf8(version.stdout).unwrap();
        let number = version.split_whitespace().nth(2).unwrap().trim_start_matches("go").to_owned();
        let minor: u32 = number.split('.').nth(1).unwrap().parse().unwrap();
        let ours = if minor >= 27 { Ours::Klauspost(Edition::Go127) } else { Ours::Go };
        all.push(Program::build(&go, format!("go{number}"), ours, None));
    }
    let sources = std::env::var_os("GO_KLAUSPOST").map_or_else(|| PathBuf::from("/usr/share/gocode"), PathBuf::from);
    let edition = match std::env::var("GO_KLAUSPOST_EDITION").as_deref() {
        Ok("1.18.0") => Edition::Klauspost180,
        Ok("1.18.2") => Edition::Klauspost182,
        _ => Edition::Klauspost15,
    };
    if let Some(go) = toolchains().first().filter(|_| sources.is_dir()) {
        all.push(Program::build(go, "klauspost".into(), Ours::Klauspost(edition), Some(&sources)));
        all.push(Program::build(go, "pgzip".into(), Ours::Pgzip(edition), Some(&sources)));
    }
    assert!(!all.is_empty(), "no Go toolchain; test.sh installs it");
    all
}

fn real() -> impl Iterator<Item = Real> {
    static PROGRAMS: LazyLock<Vec<Program>> = LazyLock::new(programs);
    PROGRAMS.iter().map(Program::start)
}

/// Levels 7 to 9 of klauspost before 1.15.15 (Debian's) are another encoder, not ours.
fn levels(real: &Real) -> Vec<i8> {
    let old =
        std::env::var_os("GO_KLAUSPOST").is_none() && !matches!(real.ours, Ours::Go | Ours::Klauspost(Edition::Go127));
    (-2..=if old { 6 } else { 9 }).collect()
}

#[test]
fn all_shapes_and_sizes() {
    for mut real in real() {
        for name in SHAPES {
            for size in SIZES {
                let plain = shape(name, size);
                for level in levels(&real) {
                    // The slowest levels see the small sizes and a few large ones.
                    if level < 8 || size < 40_000 || size == 65_536 || (size == 98_304 && level < 9) {
                        real.agree(level, 32_768, &plain, name);
                    }
                }
            }
        }
    }
}

#[test]
fn long_streams() {
    for mut real in real() {
        let plain = shape("mixed", 2_200_000);
        for level in levels(&real).into_iter().filter(|level| *level < 9) {
            real.agree(level, 32_768, &plain, "mixed");
        }
    }
}

/// How plain bytes are cut into writes does not matter, as long as windows of 32768 are filled: what that excludes is in the specification.
#[test]
fn writes_of_any_size() {
    for mut real in real() {
        let mut random = Random(5);
        for name in ["text", "mixed", "far"] {
            let plain = shape(name, 300_000);
            for cut in [512, 4096, 10_240, 65_536, 100_000 + random.below(100_000) as usize * 512 % 65_536] {
                let cut = cut / 512 * 512;
                for level in levels(&real).into_iter().filter(|level| *level < 8) {
                    real.agree(level, cut, &plain, name);
                }
            }
        }
    }
}

/// A piece of plain: new bytes of an alphabet, a copy, or a run.
#[derive(Debug, Clone)]
enum Part {
    New(u8, Vec<u8>),
    Copy(usize, usize),
    Run(u8, usize),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        4 => (1u8..=255, prop::collection::vec(any::<u8>(), 1..300)).prop_map(|(m, bytes)| Part::New(m, bytes)),
        6 => (1usize..33_000, 3usize..400).prop_map(|(back, length)| Part::Copy(back, length)),
        2 => (1usize..64, 3usize..40).prop_map(|(back, length)| Part::Copy(back, length)),
        1 => (any::<u8>(), 1usize..70_000).prop_map(|(byte, length)| Part::Run(byte, length)),
    ];
    prop::collection::vec(part, 0..400)
}

fn build(parts: &[Part]) -> Vec<u8> {
    let mut plain: Vec<u8> = Vec::new();
    for part in parts {
        match part {
            Part::New(most, bytes) => plain.extend(bytes.iter().map(|byte| byte % most)),
            Part::Run(byte, length) => plain.extend(std::iter::repeat_n(*byte, *length)),
            Part::Copy(back, length) if *back <= plain.len() => {
                for _ in 0..*length {
                    plain.push(plain[plain.len() - back]);
                }
            }
            Part::Copy(..) => {}
        }
    }
    plain
}

#[test]
fn whatever_comes() {
    for real in real() {
        let levels = levels(&real);
        let real = RefCell::new(real);
        let config = ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() };
        proptest!(config, |(parts in parts(), pick in any::<prop::sample::Index>())| {
            let plain = build(&parts);
            real.borrow_mut().agree(*pick.get(&levels), 32_768, &plain, "parts");
        });
    }
}
