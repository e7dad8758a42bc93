//! Patches and replays: section 12, features `patch/1` and `replay/NAME`. What a patch holds is `patch.md`'s, what an encoder
//! makes `replay.md`'s: here is how a bundle names them.

use super::Book;
use super::delta::{MEMBER, OLD, WORDS, base, chunks, delta, itself, packed, take};
use crate::forge::{Block, Forge, V, sha, zstd};

/// A patch of `patch.md` whose streams are stored as they are: a copy of `copy` bytes from `seek`, then a literal.
fn patch(seek: u64, copy: u64, literal: &[u8]) -> Vec<u8> {
    let number = |mut n: u64| {
        let mut out = Vec::new();
        while n > 127 {
            out.push(n as u8 | 128);
            n >>= 7;
        }
        out.push(n as u8);
        out
    };
    let streams =
        [vec![], number(copy), number(literal.len() as u64), number(2 * seek), vec![], vec![], literal.to_vec()];
    let head = streams.iter().flat_map(|s| [s.len() as u32; 2]).flat_map(u32::to_be_bytes);
    head.chain(streams.iter().flatten().copied()).collect()
}

fn block(stored: Vec<u8>, plain_len: u32, chunks: u32, extents: u8) -> Block {
    Block { zero: [0, 0, extents], ..Block::stored(stored, plain_len, chunks, 2) }
}

/// `packed` and `OLD` joined, from byte 4 on, then a new end: a file in one patch against two bases.
fn content() -> Vec<u8> {
    [&packed()[4..], OLD, b"new\n"].concat()
}

fn patched() -> Forge {
    let content = content();
    let mut f = delta(&[(0, &[&content])], &[("a", &content, vec![chunks(0, 1)])]);
    f.features = vec!["base/1", "patch/1"];
    f.bases = vec![base(&packed()), base(OLD)];
    f.extents = vec![(0, 0, 74), (1, 0, 60)];
    f.blocks[0] = block(patch(4, 130, b"new\n"), 134, 1, 2);
    f
}

/// Two patches, one against an expansion whose end is left away, and a plain block between.
fn several() -> Forge {
    let (words, old) = (WORDS.repeat(2), OLD.repeat(2));
    let mut f = delta(
        &[(0, &[&words]), (0, &[b"between"]), (0, &[&old[..70], &old[70..]])],
        &[("a", &words, vec![chunks(0, 1)]), ("b", b"between", vec![chunks(1, 1)]), ("c", &old, vec![chunks(2, 2)])],
    );
    f.features = vec!["base/1", "patch/1"];
    f.bases = vec![base(&packed()), base(OLD)];
    f.expansions = vec![(0, 10, 36, 51)];
    f.extents = vec![(2, 0, 51), (2, 0, 51), (1, 0, 60), (1, 0, 60)];
    f.blocks[0] = block(patch(0, 102, b""), 102, 1, 2);
    f.blocks[2] = block(patch(0, 120, b""), 120, 2, 2);
    f
}

/// `[1, [1, 9, 8, 15, 0], checkpoints, length, parts]`: C zlib at level 9.
pub fn replay(encoder: &[u64], checkpoints: &[u8], len: u64, parts: Vec<V>) -> V {
    let encoder = encoder.iter().map(|n| V::U(*n)).collect();
    V::A(vec![V::U(1), V::A(encoder), V::B(checkpoints.to_vec()), V::U(len), V::A(parts)])
}

const ZLIB: [u64; 5] = [1, 9, 8, 15, 0];

/// The first stream of the packed base between two texts, from its words in a chunk.
fn replayed(segment: V) -> Forge {
    let content = [b"head ", &packed()[10..46], b" tail"].concat();
    let mut f =
        delta(&[(0, &[b"head ", WORDS, b" tail"])], &[("a", &content, vec![chunks(0, 1), segment, chunks(2, 1)])]);
    f.features = vec!["replay/zlib/1"];
    f.replayed = 51;
    f
}

/// Two blobs, each of a stream of its own chunk.
fn apart(scratch: u64) -> Forge {
    let stream = &packed()[10..46];
    let of = |chunk| replay(&ZLIB, &[], 36, vec![chunks(chunk, 1)]);
    let second = [stream, b" more"].concat();
    let files: [(&str, &[u8], Vec<V>); 2] = [("a", stream, vec![of(0)]), ("b", &second, vec![of(1), chunks(2, 1)])];
    let mut f = delta(&[(0, &[WORDS, WORDS, b" more"])], &files);
    f.features = vec!["replay/zlib/1"];
    f.replayed = scratch;
    f
}

fn words() -> V {
    replay(&ZLIB, &[], 36, vec![chunks(1, 1)])
}

pub fn add(book: &mut Book) {
    patches(book);
    replays(book);
    both(book);
}

fn patches(book: &mut Book) {
    book.ok("ok-patch", "F39", "a blob that is one patch against two bases", patched());
    book.ok("ok-patches", "F40", "two patches, one against an expansion twice, and another block between", several());
    let mut add = |name: &str, rule, comment: &str, change: &dyn Fn(&mut Forge)| {
        book.damaged_of(patched(), &format!("patch-{name}"), rule, comment, |f| change(f));
    };
    add("no-feature", "F39", "a patch without the feature, extents with it", &|f| f.features = vec!["base/1"]);
    add("no-base-feature", "F33", "a patch without the feature of bases", &|f| f.features = vec!["patch/1"]);
    add("no-extents", "F39", "a patch without extents", &|f| {
        f.blocks[0].zero = [0; 3];
        f.extents.clear();
    });
    add("extents-of-row", "F40", "a patch that has fewer extents than the table", &|f| f.blocks[0].zero[2] = 1);
    add("extents-of-table", "F40", "a patch that has more extents than the table", &|f| f.blocks[0].zero = [1, 0, 2]);
    add("extent-source", "F40", "an extent of the source after the last", &|f| f.extents[1].0 = 2);
    add("extent-outside", "F40", "an extent that ends a byte after its source", &|f| f.extents[1].1 = 1);
    add("extent-overflows", "F40", "an extent that ends after 2^64", &|f| f.extents[1].1 = u64::MAX);
    add("extent-empty", "F40", "an extent of no bytes", &|f| f.extents[1].2 = 0);
    add("base-unused", "F36", "a base that no extent uses", &|f| f.extents = vec![(0, 0, 74), (0, 0, 60)]);
    add("not-shorter", "F39", "a patch as long as what it makes", &|f| {
        let mut stored = f.blocks[0].stored.clone();
        stored.resize(134, 0);
        f.blocks[0] = block(stored, 134, 1, 2);
    });
    add("garbage", "F39", "a patch of arbitrary bytes", &|f| f.blocks[0] = block(vec![0x5a; 99], 134, 1, 2));
    add("trailing", "F39", "a byte after the last stream of a patch", &|f| {
        let stored = [&f.blocks[0].stored[..], &[0]].concat();
        f.blocks[0] = block(stored, 134, 1, 2);
    });
    add("beyond-old", "F39", "a patch that copies a byte more than there is", &|f| {
        f.blocks[0] = block(patch(5, 130, b"new\n"), 134, 1, 2);
    });
    add("zstd", "F39", "a zstd frame that is called a patch", &|f| {
        f.blocks[0] = block(zstd(&[b'z'; 134]), 134, 1, 2);
    });
    add("of-other-bytes", "R4", "a patch that makes other bytes than the blob has", &|f| {
        f.blocks[0] = block(patch(3, 130, b"new\n"), 134, 1, 2);
    });
    add("flipped", "R4", "a bit of a patch", &|f| f.parts(|p| p[1][60] ^= 1));
    book.damaged_of(replayed(words()), "extents-no-feature", "F39", "extents without a patch", |f| {
        f.extents = vec![(0, 0, 1)];
    });
}

fn replays(book: &mut Book) {
    book.ok("ok-replay", "F41", "a deflate stream of C zlib between plain bytes", replayed(words()));
    book.ok("ok-replay-empty", "F41", "a stream of no plain bytes", {
        let mut f = delta(&[], &[("a", &[3, 0], vec![replay(&[1, 6, 8, 15, 0], &[], 2, vec![])])]);
        f.features = vec!["replay/zlib/1"];
        f
    });
    book.ok(
        "ok-replay-chunk-shared",
        "F42",
        "plain bytes of a stream that a later blob has too, and another stream",
        {
            let stream = &packed()[10..46];
            let mut f = delta(
                &[(0, &[WORDS])],
                &[
                    ("a", stream, vec![replay(&ZLIB, &[], 36, vec![chunks(0, 1)])]),
                    ("b", WORDS, vec![chunks(0, 1)]),
                    ("c", &[stream, stream].concat(), vec![replay(&ZLIB, &[], 36, vec![chunks(0, 1)]); 2]),
                ],
            );
            f.features = vec!["replay/zlib/1"];
            f.replayed = 3 * 51;
            f
        },
    );
    book.ok("ok-replay-scratch-longest", "F14", "two replays that share nothing: room for one of them", apart(51));
    book.damaged_of(apart(51), "replay-scratch-sum", "F14", "room for both", |f| f.replayed = 102);
    for (name, rule, comment, segment) in [
        ("length-0", "F41", "a stream of no bytes", replay(&ZLIB, &[], 0, vec![chunks(1, 1)])),
        (
            "length-short",
            "F26",
            "a stream that is said to be a byte shorter",
            replay(&ZLIB, &[], 35, vec![chunks(1, 1)]),
        ),
        ("nested", "F41", "a replay in a replay", replay(&ZLIB, &[], 36, vec![words()])),
        (
            "of-itself",
            "F41",
            "a blob that is left out in a replay",
            replay(&ZLIB, &[], 36, vec![itself(), chunks(1, 1)]),
        ),
        ("encoder-empty", "F41", "no encoder", replay(&[], &[], 36, vec![chunks(1, 1)])),
        (
            "parameters",
            "F41",
            "a level that zlib does not have",
            replay(&[1, 10, 8, 15, 0], &[], 36, vec![chunks(1, 1)]),
        ),
        ("parameters-few", "F41", "a parameter too few", replay(&[1, 9, 8, 15], &[], 36, vec![chunks(1, 1)])),
        (
            "parameter-huge",
            "F9",
            "a parameter above 32 bits",
            replay(&[1, 1 << 32, 8, 15, 0], &[], 36, vec![chunks(1, 1)]),
        ),
        (
            "checkpoints",
            "F41",
            "a list of checkpoints of arbitrary bytes",
            replay(&ZLIB, &[0xff; 9], 36, vec![chunks(1, 1)]),
        ),
        (
            "other-encoder",
            "R16",
            "an encoder that makes another stream",
            replay(&[1, 6, 8, 15, 2], &[], 36, vec![chunks(1, 1)]),
        ),
    ] {
        book.damaged_of(replayed(segment), &format!("replay-{name}"), rule, comment, |_| {});
    }
    book.damaged_of(replayed(words()), "replay-no-feature", "F15", "a replay without its feature", |f| {
        f.features.clear()
    });
    book.damaged_of(replayed(words()), "replay-scratch", "F14", "no scratch space for a replay", |f| f.replayed = 0);
    let mut longer = replayed(replay(&ZLIB, &[], 37, vec![chunks(1, 1)]));
    let wrong = [b"head ", &packed()[10..46], b"! tail"].concat();
    let row = &mut longer.blobs[0];
    *row = (sha(&wrong), wrong.len() as u64);
    book.damaged_of(longer, "replay-length-long", "R16", "a stream that is said to be a byte longer", |_| {});
}

fn both(book: &mut Book) {
    book.ok(
        "ok-replay-of-patch-and-base",
        "F41",
        "a stream of which some plain bytes come of a patch, others of a base",
        {
            let content = [&packed()[10..46], &packed()[54..74]].concat();
            let doubled = WORDS.repeat(2);
            let mut f = delta(
                &[(0, &[&doubled[..51], &doubled[51..]])],
                &[
                    ("a", &content, vec![replay(&ZLIB, &[], 36, vec![chunks(0, 1)]), take(0, 54, 20)]),
                    ("b", &doubled[51..], vec![chunks(1, 1)]),
                    ("c", MEMBER, vec![take(2, 0, 42)]),
                ],
            );
            f.features = vec!["base/1", "patch/1", "replay/zlib/1"];
            f.bases = vec![base(&packed())];
            f.expansions = vec![(0, 10, 36, 51), (0, 54, 20, 42)];
            f.extents = vec![(1, 0, 51), (1, 0, 51)];
            f.blocks[0] = block(patch(0, 102, b""), 102, 2, 2);
            f.replayed = 51;
            f
        },
    );
}
