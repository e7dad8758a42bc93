//! GNU gzip's and pigz's streams, made by the tools on the spot and replayed.
use crate::common::{SHAPES, differ, encode, member, pipe, shape};
use pouch::replay::family::Identity;
use pouch::replay::recognise::{Options, recognise};

/// Runs `tool` over `plain` and compares with the encoder of `row`; what is recognised must make the same bytes.
fn check(tool: &str, args: &[&str], row: &[u32], plain: &[u8], all: bool) {
    let made = pipe(tool, args, plain);
    let real = member(&made);
    for piece in [plain.len(), 5000] {
        let ours = encode(row, plain, piece);
        assert_eq!(differ(&ours, real), None, "{tool} {args:?}, {} bytes, by {piece}", plain.len());
    }
    if !all {
        return;
    }
    let options = Options { spacing: 100_000, first: vec![Identity::parse(row).unwrap()], threads: 2 };
    let stream = recognise(real, plain, &options).unwrap().unwrap();
    for threads in [1, 2] {
        let mut out = Vec::new();
        stream.replay(plain, threads, 1 << 20, &mut |b| std::io::Write::write_all(&mut out, b)).unwrap();
        assert!(out == real);
    }
}

const SIZES: [usize; 30] = [
    0, 1, 2, 3, 4, 10, 257, 258, 259, 263, 5_000, 32_505, 32_507, 32_768, 32_769, 65_273, 65_274, 65_275, 65_535,
    65_536, 65_537, 98_041, 98_043, 98_304, 131_071, 131_072, 131_073, 163_840, 262_144, 262_145,
];

#[test]
fn gnu_gzip() {
    for name in SHAPES {
        let plain = shape(name, 300_000, 11);
        for level in 1..=9u32 {
            if name != "few" || level < 8 {
                check("gzip", &["-nc", &format!("-{level}")], &[2, level], &plain, true);
            }
        }
    }
    for name in ["mixed", "copies", "random", "few", "zeros"] {
        for (i, size) in SIZES.into_iter().enumerate() {
            let plain = shape(name, size, i as u64);
            for level in [1, 6, 9] {
                check("gzip", &["-nc", &format!("-{level}")], &[2, level], &plain, false);
            }
        }
    }
}

#[test]
fn pigz() {
    for name in SHAPES {
        let plain = shape(name, 300_000, 12);
        for level in 1..=9u32 {
            if name == "few" && level > 7 {
                continue;
            }
            let flag = format!("-{level}");
            check("pigz", &["-nmc", "-p2", &flag], &[3, level, 0], &plain, true);
            check("pigz", &["-nmc", "-p2", "-i", &flag], &[3, level, 1], &plain, level == 6);
            check("pigz", &["-nmc", "-p1", &flag], &[3, level, 2], &plain, level == 6);
        }
    }
    for name in ["mixed", "random"] {
        for (i, size) in SIZES.into_iter().enumerate() {
            let plain = shape(name, size, i as u64);
            for (mode, args) in [["-p2", "-n"], ["-p2", "-i"], ["-p1", "-n"]].into_iter().enumerate() {
                check("pigz", &[&["-nmc", "-6"][..], &args].concat(), &[3, 6, mode as u32], &plain, false);
            }
        }
    }
}
