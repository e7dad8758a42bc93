//! Golden digests, checkpoints, cuts and lies; no toolchain needed.

use crate::go_shapes::{SHAPES, shape};
use pouch::replay::bits::BitWriter;
use pouch::replay::go::{self, StartError};
use pouch::replay::go127::{self, Edition, pgzip::Pgzip};
use pouch::replay::{Checkpoint, Encoder};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const FAMILIES: [&str; 8] =
    ["go", "go127", "klauspost15", "klauspost180", "klauspost182", "pgzip15", "pgzip180", "pgzip182"];

type From<'a> = Option<(&'a Checkpoint, &'a [u8])>;

fn encoder(family: &str, level: i8, from: From) -> Result<Box<dyn Encoder>, StartError> {
    let edition = match family {
        "go" => return go::encoder(level, from),
        "go127" => Edition::Go127,
        _ if family.ends_with("182") => Edition::Klauspost182,
        _ if family.ends_with("180") => Edition::Klauspost180,
        _ => Edition::Klauspost15,
    };
    if family.starts_with("pgzip") {
        return Pgzip::new(edition, level, 1 << 20, from).map(|pgzip| Box::new(pgzip) as Box<dyn Encoder>);
    }
    go127::encoder(edition, level, from)
}

/// The stream, and the checkpoints that were offered.
fn run(family: &str, level: i8, plain: &[u8], cut: usize) -> (Vec<u8>, Vec<Checkpoint>) {
    let mut encoder = encoder(family, level, None).unwrap();
    let mut out = BitWriter::default();
    let (mut made, mut checkpoints) = (Vec::new(), Vec::new());
    for part in plain.chunks(cut) {
        encoder.write(part, &mut out);
        checkpoints.extend(encoder.checkpoint());
        made.extend(out.take());
    }
    encoder.finish(&mut out);
    out.align();
    made.extend(out.take());
    (made, checkpoints)
}

fn resume(family: &str, level: i8, plain: &[u8], at: &Checkpoint, first: u8) -> Vec<u8> {
    let from = at.plain as usize;
    let before = &plain[from.saturating_sub(go127::BEFORE.max(go::BEFORE))..from];
    let mut encoder = encoder(family, level, Some((at, before))).unwrap();
    let mut out = BitWriter::after(first, (at.bits % 8) as u32);
    encoder.write(&plain[from..], &mut out);
    encoder.finish(&mut out);
    out.align();
    out.take()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_digests() {
    let lines = include_str!("../../testdata/replay/go/digests.tsv");
    let mut seen = 0;
    for line in lines.lines().filter(|line| !line.starts_with('#')) {
        let [family, level, name, size, length, digest] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let plain = shape(name, size.parse().unwrap());
        let (made, _) = run(family, level.parse().unwrap(), &plain, 50_000);
        assert!(made.len().to_string() == length && hex(&made) == digest, "{line}");
        seen += 1;
    }
    assert!(seen > 300);
}

#[test]
fn golden_streams() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/replay/go/");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // PLAIN.FAMILY.LEVEL.deflate
        let [plain, family, level, "deflate"] = name.split('.').collect::<Vec<_>>()[..] else { continue };
        let plain = std::fs::read(format!("{dir}{plain}.plain")).unwrap();
        assert_eq!(run(family, level.parse().unwrap(), &plain, 1000).0, std::fs::read(&path).unwrap(), "{name}");
        seen += 1;
    }
    assert!(seen >= 40, "{seen}");
}

#[test]
fn cuts_do_not_matter() {
    for family in FAMILIES {
        for level in -2..=9 {
            let plain = shape("mixed", if level < 8 { 200_000 } else { 80_000 });
            let whole = run(family, level, &plain, plain.len()).0;
            for cut in [777, 65_535, 70_001] {
                assert!(run(family, level, &plain[..], cut).0 == whole, "{family} {level} {cut}");
            }
        }
    }
}

#[test]
fn streams_come_out_from_every_checkpoint() {
    for family in FAMILIES {
        let some = family.contains("18");
        for level in (-2..=8).filter(|level| !some || matches!(level, 4 | 5)) {
            let mut offered = 0;
            for name in SHAPES {
                let plain = shape(name, if family == "go" { 600_000 } else { 1_100_000 });
                let (made, checkpoints) = run(family, level, &plain, 65_536);
                offered += checkpoints.len();
                for at in checkpoints.last().into_iter().chain(checkpoints.get(checkpoints.len() / 3)) {
                    let byte = (at.bits / 8) as usize;
                    let again = resume(family, level, &plain, at, made[byte]);
                    assert!(again == made[byte..], "{family} {level} {name} {at:?}");
                }
            }
            let none = match family {
                "go" => matches!(level, 2 | 3),
                "klauspost15" => level >= 7,
                _ => level == 4 || level >= 7,
            };
            assert!((offered == 0) == (none && !family.starts_with("pgzip")), "{family} {level}: {offered}");
        }
    }
}

#[test]
fn what_is_not_there_is_refused() {
    let at = |plain, state: &[u32]| Checkpoint { plain, bits: 9, state: state.to_vec() };
    let before = vec![0; go127::BEFORE];
    let error = |family, level, at: Checkpoint, have: usize| {
        encoder(family, level, Some((&at, &before[..have]))).err().map(|e| e.to_string())
    };
    for family in FAMILIES {
        for level in [-128, -3, 10, 127] {
            assert_eq!(encoder(family, level, None).err(), Some(StartError::Level(level)));
            assert!(error(family, level, at(0, &[]), 0).is_some());
        }
        for level in -2..=9 {
            assert!(error(family, level, at(1 << 40, &[0, 0]), before.len()).is_some());
            assert!(error(family, level, at(1 << 40, &[9]), before.len()).is_some());
        }
    }
    assert_eq!(error("go", 6, at(70_000, &[0]), 65_536), None);
    assert!(error("go", 6, at(70_000, &[0]), 65_535).is_some());
    assert_eq!(error("go", 6, at(100, &[0]), 100), None);
    assert!(error("go", 1, at(1 << 20, &[2]), 131_069).is_some());
    assert!(error("go127", 6, at(1 << 20, &[2]), 131_070).is_some());
    assert!(error("pgzip15", 5, at(1 << 20, &[]), 16_383).is_some());
    assert_eq!(Pgzip::new(Edition::Klauspost15, 5, 16_384, None).err(), Some(StartError::Segment(16_384)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A checkpoint that lies ends in an error or in a wrong stream, never in a panic or without end.
    #[test]
    fn lies_do_no_harm(
        family in prop::sample::select(&FAMILIES[..]),
        level in -2i8..=9,
        plain in prop_oneof![0u64..400_000, any::<u64>()],
        bits in prop_oneof![0u64..400_000, any::<u64>()],
        state in prop::collection::vec(prop_oneof![0u32..10, any::<u32>()], 0..3),
        have in 0usize..600_000,
        name in prop::sample::select(&SHAPES[..]),
        more in 0usize..200_000,
    ) {
        let bytes = shape(name, have + more);
        let at = Checkpoint { plain, bits, state };
        if let Ok(mut encoder) = encoder(family, level, Some((&at, &bytes[..have]))) {
            let mut out = BitWriter::after(0xff, (bits % 8) as u32);
            encoder.write(&bytes[have..], &mut out);
            encoder.checkpoint();
            encoder.finish(&mut out);
            prop_assert!(out.take().len() < more * 2 + 1000);
        }
    }
}
