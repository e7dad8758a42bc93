//! Streams of the xz and bzip2 tools, made on the spot, recognised and made again by the libraries that we have.
use crate::common::{SHAPES, differ, encode, pipe, shape};
use pouch::codec::form::Form;
use pouch::replay::family::Identity;
use pouch::replay::recognise::{Options, guess, recognise};
use pouch::replay::{Error, list};

/// What a tool makes of `plain` is made again, in pieces of whatever length, and recognised as the first guess.
fn check(tool: &str, args: &[&str], row: &[u32], plain: &[u8]) {
    let real = pipe(tool, args, plain);
    for piece in [plain.len().max(1), 5000] {
        assert_eq!(
            differ(&encode(row, plain, piece), &real),
            None,
            "{tool} {args:?}, {} bytes, by {piece}",
            plain.len()
        );
    }
    let stream = recognise(&real[..], plain, &Options::default()).unwrap();
    let stream = stream.unwrap_or_else(|| panic!("{tool} {args:?} is not recognised"));
    assert!(stream.checkpoints.is_empty());
    let form = Form::of(&real);
    assert_eq!(stream.identity.family().form(), form);
    assert!(guess(form, &real[..], plain).unwrap().is_some());
    for threads in [1, 2] {
        let mut out = Vec::new();
        stream.replay(plain, threads, 1 << 20, &mut |b| std::io::Write::write_all(&mut out, b)).unwrap();
        assert!(out == real, "{tool} {args:?} {}", stream.identity);
    }
}

#[test]
fn xz_of_every_preset_and_check() {
    for (n, name) in SHAPES.iter().enumerate() {
        let plain = shape(name, 300_000, 21);
        for level in 0..=7u32 {
            for extreme in 0..=1u32 {
                // Each shape with a few, each pair with some shape.
                if (level + extreme) as usize % 8 != n {
                    continue;
                }
                let flag = format!("-{level}{}", if extreme == 1 { "e" } else { "" });
                let (word, check_id) =
                    [("none", 0), ("crc32", 1), ("crc64", 4), ("sha256", 10)][(n + level as usize) % 4];
                let word = format!("--check={word}");
                check("xz", &["-zc", &flag, &word, "-T1"], &[level, extreme, check_id, 0].with(8), &plain);
                // One block, and the size that it might have had.
                let block = (3 << [18, 20, 21, 22, 22, 23, 23, 24][level as usize]).max(1 << 20);
                check("xz", &["-zc", &flag, &word, "-T2"], &[level, extreme, check_id, block].with(8), &plain);
            }
        }
    }
}

#[test]
fn xz_in_blocks_and_of_all_lengths() {
    let plain = shape("mixed", 1_000_000, 22);
    for block in [65_536u32, 100_000, 999_999, 1_000_000] {
        let size = format!("--block-size={block}");
        check("xz", &["-zc", "-1", "-T2", &size], &[1, 0, 4, block].with(8), &plain);
    }
    for len in [1, 2, 4, 5_000, 65_535, 65_536, 65_537, 131_072, 200_000] {
        check("xz", &["-zc", "-6", "-T1"], &[6, 0, 4, 0].with(8), &plain[..len]);
        check("xz", &["-zc", "-0", "-T2", "--block-size=65536"], &[0, 0, 4, 65_536].with(8), &plain[..len.max(65_537)]);
    }
    // Above three dictionaries, so that liblzma's own block size shows.
    let long = shape("text", 2_500_000, 23);
    check("xz", &["-zc", "-0", "-T2"], &[0, 0, 4, 1 << 20].with(8), &long);
}

#[test]
fn bzip2_of_every_level() {
    for name in SHAPES {
        let plain = shape(name, 300_000, 24);
        for level in [1, 2, 9] {
            check("bzip2", &["-zc", &format!("-{level}")], &[level].with(10), &plain);
        }
    }
    let plain = shape("mixed", 1_900_000, 25);
    for level in 1..=9 {
        check("bzip2", &["-zc", &format!("-{level}")], &[level].with(10), &plain);
    }
    for len in [1, 2, 3, 255, 256, 99_981, 100_000, 100_001, 200_000] {
        check("bzip2", &["-zc", "-1"], &[1].with(10), &plain[..len]);
    }
}

#[test]
fn others_are_not_recognised() {
    let plain = shape("text", 300_000, 26);
    for (tool, args) in [
        ("xz", &["-zc", "-8"][..]),
        ("xz", &["-zc", "--lzma2=preset=6,lc=4"]),
        ("xz", &["-zc", "--lzma2=preset=6,dict=12MiB"]),
        ("xz", &["-zc", "--x86", "--lzma2=preset=6"]),
        ("xz", &["-zc", "--format=lzma"]),
    ] {
        let real = pipe(tool, args, &plain);
        assert!(recognise(&real[..], &plain[..], &Options::default()).unwrap().is_none(), "{args:?}");
    }
    for real in [pipe("xz", &["-zc", "-6"], &plain), pipe("bzip2", &["-zc", "-9"], &plain)] {
        let none = |bytes: &[u8]| assert!(recognise(bytes, &plain[..], &Options::default()).unwrap().is_none());
        let mut other = real.clone();
        other[real.len() / 2] ^= 1;
        none(&other);
        none(&real[..real.len() - 1]);
        none(&real[..10]);
        none(&[&real[..], b"\0"].concat());
        none(&[&real[..], &real[..]].concat());
    }
}

#[test]
fn parameters_and_checkpoints_that_there_are_not() {
    for row in [
        &[8, 8, 0, 4, 0][..],
        &[8, 6, 2, 4, 0],
        &[8, 6, 0, 2, 0],
        &[8, 6, 0, 16, 0],
        &[8, 6, 0, 4, 1],
        &[8, 6, 0, 4, 65_535],
        &[8, 6, 0, 4, (64 << 20) + 1],
        &[8, 6, 0, 4, u32::MAX],
        &[8, 6, 0, 4],
        &[8, 6, 0, 4, 0, 0],
        &[10, 0],
        &[10, 10],
        &[10],
    ] {
        assert!(matches!(Identity::parse(row), Err(Error::Parameters { .. })), "{row:?}");
    }
    assert!(matches!(Identity::parse(&[9, 3]), Err(Error::Family(9))));
    for row in [&[8, 1, 0, 4, 0][..], &[10, 1]] {
        let identity = Identity::parse(row).unwrap();
        let at = pouch::replay::Checkpoint { plain: 100_000, bits: 5000, state: vec![] };
        assert!(matches!(identity.start(Some((&at, b""))), Err(Error::Checkpoint { .. })));
        assert!(list::decode(&[], 0, 5, 5).unwrap().is_empty());
    }
    // What comes is bounded by what was declared, and too little is an error.
    let plain = shape("text", 100_000, 27);
    let real = pipe("xz", &["-zc", "-1"], &plain);
    let mut stream = recognise(&real[..], &plain[..], &Options::default()).unwrap().unwrap();
    for len in [real.len() - 4, real.len() + 4, 1] {
        stream.compressed = len as u64;
        let mut come = 0;
        let done = stream.replay(&plain[..], 2, 1 << 20, &mut |b| {
            come += b.len();
            Ok(())
        });
        assert!(matches!(done, Err(Error::Length { .. })) && come <= len, "{len} {come}");
    }
}

trait With {
    /// The row of a family with these parameters.
    fn with(self, family: u32) -> Vec<u32>;
}

impl<const N: usize> With for &[u32; N] {
    fn with(self, family: u32) -> Vec<u32> {
        [&[family][..], self].concat()
    }
}
