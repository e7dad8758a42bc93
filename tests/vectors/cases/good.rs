//! Bundles that every reader must take.

use super::Book;
use crate::forge::{self, Block, Forge, Section, V, artifact, t};

/// What `zstd -3` (1.5) made of "the quick ... dog; " repeated with line feeds: entropy-coded, unlike the forge's own.
const REAL_FRAME: &str = "28b52ffd609000b50100b40274686520717569636b2062726f776e20666f78206a756d70732c207468656e206c617a792064\
                          6f673b200a02005e52691a6b7102";
const REAL_LINE: &str = "the quick brown fox jumps, then the lazy dog; \n";

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().map(|b| (b as char).to_digit(16).expect("a digit") as u8).collect();
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

pub fn add(book: &mut Book) {
    book.ok("ok-empty-release", "F16", "no artifact, no section, no block", Forge::new(&[], &[]));
    book.ok("ok-one-file", "F3", "one file of three bytes", Forge::one());
    book.ok(
        "ok-empty-blob",
        "F26",
        "one file of no bytes: a recipe without segments, no block",
        Forge::files(&[("e", "")]),
    );
    book.ok(
        "ok-sample",
        "F3",
        "four files, shared chunks, a raw and a zstd block: what most other vectors break",
        Forge::sample(),
    );
    book.ok("ok-chunks-shared", "F27", "chunks used again by later blobs, in one blob, backwards and across blocks", {
        Forge::new(
            &[(0, &[b"one ", b"two "]), (0, &[b"three "])],
            &[("a", &[(0, 3)]), ("b", &[(2, 1), (1, 1), (0, 1), (0, 3)]), ("c", &[(1, 2), (1, 1)])],
        )
    });
    book.ok("ok-segment-reaches-on", "F27", "a segment that begins in used chunks and ends in new ones", {
        Forge::new(&[(0, &[b"a", b"b", b"c"])], &[("x", &[(0, 2)]), ("y", &[(1, 2)])])
    });
    book.ok("ok-equal-chunks", "F25", "two chunks of the same bytes, each with a row of its own", {
        Forge::new(&[(0, &[b"same", b"same"])], &[("x", &[(0, 1)]), ("y", &[(0, 2)])])
    });
    book.ok("ok-blob-over-blocks", "F25", "one blob whose chunks lie in three blocks", {
        Forge::new(&[(0, &[b"a"]), (1, &[&[b'b'; 99]]), (0, &[b"c"])], &[("x", &[(0, 3)])])
    });
    book.ok("ok-raw-though-compressible", "F24", "a raw block that zstd would shorten: the writer's business", {
        Forge::new(&[(0, &[&[b'r'; 500]])], &[("x", &[(0, 1)])])
    });
    book.ok("ok-zstd-entropy-coded", "F24", "a block as the zstd library makes it", {
        let plain: Vec<u8> = REAL_LINE.bytes().cycle().take(400).collect();
        let mut f = Forge::new(&[(1, &[&plain])], &[("x", &[(0, 1)])]);
        f.blocks[0].set(unhex(REAL_FRAME));
        f
    });
    book.ok(
        "ok-zstd-window",
        "F17",
        "a frame with a window descriptor of 256 MiB: a one-shot decoder does not care",
        {
            let mut f = Forge::new(&[(1, &[&[b'w'; 300]])], &[("x", &[(0, 1)])]);
            let frame =
                [&[0x28, 0xb5, 0x2f, 0xfd, 0x80, 18 << 3, 0x2c, 1, 0, 0][..], &forge::zstd_blocks(&[b'w'; 300])];
            f.blocks[0].set(frame.concat());
            f
        },
    );
    book.ok("ok-sections-packed", "F17", "every section that zstd shortens is a zstd frame", {
        let long = format!("{}.txt", "n".repeat(200));
        let mut f = Forge::files(&[(&long, "x"), (&"m".repeat(200), "y")]);
        f.sections(|all| {
            for s in all {
                let frame = forge::zstd(&s.plain);
                if frame.len() < s.plain.len() {
                    s.set_stored(1, frame);
                }
            }
        });
        f
    });
    book.ok("ok-sections-split", "F16", "every list goes on in further sections, one entry in each", {
        let mut f = Forge::sample();
        f.split = 1;
        f
    });
    book.ok("ok-ext", "F9", "both roots have extensions, which a reader may ignore", {
        let ext = || V::A(vec![V::A(vec![V::U(0), V::B(vec![])]), V::A(vec![V::U(u64::MAX), V::B(vec![1, 2, 3])])]);
        let mut f = Forge::one();
        f.release(move |r| r.set(9, ext()));
        f.carriage(move |r| r.set(7, ext()));
        f
    });
    book.ok("ok-index-only", "F32", "the sample's index for reviewers, ids as in ok-sample", {
        let mut f = Forge::sample();
        f.form = 3;
        f
    });
    book.ok("ok-index-only-empty", "F32", "the index of a release without artifacts", {
        let mut f = Forge::new(&[], &[]);
        f.form = 3;
        f
    });
    book.ok("ok-index-only-statement", "F32", "an index for reviewers with a statement inside", {
        let mut f = Forge::one();
        f.form = 3;
        f.statements = vec![(b"text".to_vec(), b"signature".to_vec())];
        f
    });
    book.ok("ok-statements", "F31", "three statements, one without text and one without signature", {
        let mut f = Forge::one();
        f.statements = vec![(b"a".to_vec(), b"b".to_vec()), (vec![], b"s".to_vec()), (b"t".to_vec(), vec![])];
        f
    });
    book.ok("ok-statement-longest", "F31", "text and signature of 16 KiB", {
        let mut f = Forge::one();
        f.statements = vec![(vec![b't'; 16 << 10], vec![b's'; 16 << 10])];
        f
    });
    book.ok("ok-version-absent", "F9", "a release without version", {
        let mut f = Forge::one();
        f.release(|r| r.remove(3));
        f
    });
    book.ok("ok-version-longest", "F11", "a version of 64 characters, more bytes, with spaces inside", {
        let mut f = Forge::one();
        f.release(|r| r.set(3, t(&format!("é {} ☃", "ü".repeat(60)))));
        f
    });
    book.ok("ok-stream-longest", "F11", "a stream's name of 63 characters, all sorts", {
        let mut f = Forge::one();
        f.release(|r| r.set(0, t(&format!("0{}", "a9._-z".repeat(11).split_at(62).0))));
        f
    });
    book.ok("ok-numbers-largest", "F8", "epoch and sequence of 2^64-1", {
        let mut f = Forge::one();
        f.release(|r| {
            r.set(1, V::U(u64::MAX));
            r.set(2, V::U(u64::MAX));
        });
        f
    });
    book.ok(
        "ok-every-kind",
        "F15",
        "an artifact of each kind; vectors judge the form of facts, not their schema",
        every_kind(),
    );
    book.ok(
        "ok-image-of-blobs",
        "F18",
        "an image of three blobs, not in the order of the table, one shared with a file",
        {
            let mut f = Forge::files(&[("a", "1"), ("b", "2"), ("c", "3")]);
            f.artifacts.push(artifact("image", "lib/x:1", vec![V::U(2), V::U(0), V::U(1)]));
            f.facts.push(V::B(vec![0xa0]));
            f
        },
    );
    book.ok("ok-artifact-full", "F21", "every optional key, executable, labels, an empty yanked", {
        let mut f = Forge::one();
        let row = &mut f.artifacts[0];
        row.set(2, t("1:2.3~rc1"));
        row.set(3, t("x86_64"));
        row.set(6, V::F(true));
        row.set(8, V::A(vec![V::A(vec![t("origin"), t("demo.example/a")]), V::A(vec![t("yanked"), t("")])]));
        f
    });
    book.ok("ok-texts-longest", "F21", "a name, a version, an architecture and a label of 4096 bytes", {
        let mut f = Forge::one();
        let long = "x".repeat(4096);
        let row = &mut f.artifacts[0];
        row.set(1, t(&long));
        row.set(2, t(&long));
        row.set(3, t(&long));
        row.set(8, V::A(vec![V::A(vec![t(&long), t(&long)])]));
        f
    });
    book.ok("ok-paths-unicode", "F28", "paths in several scripts; dots and spaces where they may be", {
        Forge::files(&[
            ("日本/東京.tar", "1"),
            ("Ünï/ß é.txt", "2"),
            ("...a/.b", "3"),
            ("console/com10/lpt", "4"),
            ("!lower/@v/x%3a1+~^", "5"),
            ("𝒳🎒", "6"),
        ])
    });
    book.ok("ok-path-longest", "F28", "a place of 1024 bytes: www and components of 255 bytes", {
        let part = "p".repeat(255);
        Forge::files(&[(&format!("{part}/{part}/{part}/{}", "q".repeat(1024 - 4 - 3 * 256)), "x")])
    });
    book.ok("ok-path-deepest", "F28", "a place of 64 components", Forge::files(&[(&["d"; 63].join("/"), "x")]));
    book.ok("ok-folders-shared", "F30", "files whose folders begin alike and do not collide", {
        Forge::files(&[("a/b", "1"), ("a/bc", "2"), ("ab", "3"), ("a-", "4"), ("a/c/d", "5")])
    });
    book.ok("ok-facts-longest", "F22", "facts of 8 MiB", {
        let mut f = Forge::one();
        let mut facts = vec![0x5a];
        facts.extend_from_slice(&((8u32 << 20) - 5).to_be_bytes());
        facts.resize(8 << 20, 0);
        f.facts[0] = V::B(facts);
        f.sections(|s| s.iter_mut().filter(|s| s.kind == 2).for_each(Section::pack));
        f
    });
    book.ok("ok-block-largest", "F24", "a block and a chunk of 16 MiB", {
        Forge::new(&[(1, &[&vec![0; 16 << 20]])], &[("zeroes", &[(0, 1)])])
    });
    book.ok("ok-root-largest", "F10", "a release root of exactly 1 MiB", {
        let mut f = Forge::one();
        f.release(|r| pad_root(r, 9, 1 << 20));
        f
    });
    book.ok("ok-area-largest", "F31", "a statement area of exactly 4 MiB", {
        let mut f = Forge::one();
        f.statements = area_of(4 << 20);
        f
    });
}

/// Gives a root an extension that brings it to `len` bytes.
pub fn pad_root(root: &mut V, key: u64, len: usize) {
    let ext = |n: usize| V::A(vec![V::A(vec![V::U(1), V::B(vec![0; n])])]);
    root.set(key, ext(100_000));
    let rest = root.bytes().len() - 100_000;
    root.set(key, ext(len - rest));
}

/// Statements whose area is `len` bytes long.
pub fn area_of(len: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let each = 8 + (16 << 10) + 8;
    let mut out: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut left = len - 4;
    while left >= each + 8 {
        out.push((vec![b't'; 16 << 10], vec![b's'; 8]));
        left -= each;
    }
    let text = (left - 8).min(16 << 10);
    out.push((vec![b't'; text], vec![b's'; left - 8 - text]));
    out
}

fn every_kind() -> Forge {
    let names = ["chart", "deb", "file", "gomod", "image", "repodata", "rpm", "sdist", "wheel"];
    let paths: Vec<String> = names.iter().map(|n| format!("{n}.bin")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(String::as_str).zip(names).collect();
    let mut f = Forge::files(&files);
    for (row, kind) in f.artifacts.iter_mut().zip(names) {
        row.set(0, t(kind));
        if kind == "image" {
            row.remove(5);
            row.set(4, t("registry"));
        }
    }
    let facts = V::M(vec![(0, t("plausible")), (1, V::A(vec![V::U(7), V::F(true)])), (2, V::B(vec![1]))]);
    f.facts = names.iter().map(|k| V::B(if *k == "file" { vec![0xa0] } else { facts.bytes() })).collect();
    f
}

/// Used by other cases too: a block of these stored bytes that claims to be zstd.
pub fn frame_block(stored: Vec<u8>, plain_len: u32) -> Block {
    Block::stored(stored, plain_len, 1, 1)
}
