//! Streams of libraries: .xz and .bz2 as expansions and as replays. `replay.md`, section "Libraries".

use super::Book;
use super::delta::{MEMBER, WORDS, base, chunks, delta, take};
use super::replay::replay;
use crate::forge::{Forge, V};
use pouch::class::Class;

/// `xz -6 -T1 --check=crc32` of the words.
const XZ: &str = "fd377a585a0000016922de360200210116000000742fe5a3e0003200255d003a1a08ce76b5b26cb9c27dcba91c4153ba\
    10576461d19664ca382a3e91917907295fb3df00000000005dd8a68e00013d33839cbef59042990d010000000001595a";
/// `bzip2 -9` of the member.
const BZIP2: &str = "425a6839314159265359befff0be000014d180001040001e0398002000223d51ea69b53d4201a69a3d66ab0c19043383\
    21042a9f177245385090befff0be";
/// As the first, with a dictionary of 96 MiB.
const LONG: &str = "fd377a585a0000016922de36020021011d00000075a8e474e0003200265d003a1a08ce76b5b26cb9c27dcba91c4153ba\
    10576461d19664c9918b954dd274b0ee3a8b4e00000000005dd8a68e00013e3340cf93de9042990d010000000001595a";
/// `xz -1 -T2 --block-size=65536 --check=sha256` of the words.
const BLOCKS: &str = "fd377a585a00000ae1fb0ca103c02e3321011000000000007c9cb77be0003200265d003a1a08ce76b5b26cb9c27dcba9\
    1c4153ba10576461d19664c9918b954dd274b0ee3a8b4e0000000000ebd9fa025ede699e772ddbb79c1fcb852b2a53ab\
    2060619f4e0435078f9810e400015e33e7a46ebb189b4b9a01000000000a595a";

const LEN: [u64; 3] = [96, 62, 96];

/// A base of three streams, one after another.
pub fn streams() -> Vec<u8> {
    [XZ, BZIP2, LONG].map(super::good::unhex).concat()
}

/// One file that is what an expansion of the base gives: of a form, from a place on.
fn expanded(form: u32, offset: u64, len: u64, plain: u64, content: &[u8]) -> Forge {
    let mut f = delta(&[], &[("a", content, vec![take(1, 0, content.len() as u64)])]);
    f.bases = vec![base(&streams())];
    f.expansions = vec![(form << 24, offset, len, plain)];
    f.features = match form {
        1 => vec!["base/1", "expand/xz/1"],
        3 => vec!["base/1", "expand/bzip2/1"],
        _ => vec!["base/1"],
    };
    f
}

/// One file that an encoder makes of the words, or of the member.
fn made(row: &[u64], plain: &[u8], stream: &str) -> Forge {
    let stream = super::good::unhex(stream);
    with(replay(row, &[], stream.len() as u64, vec![chunks(0, 1)]), row[0], plain, &stream)
}

fn with(segment: V, family: u64, plain: &[u8], stream: &[u8]) -> Forge {
    let mut f = delta(&[(0, &[plain])], &[("a", stream, vec![segment])]);
    f.features = vec![if family == 10 { "replay/bzip2/1" } else { "replay/xz/1" }];
    f.replayed = plain.len() as u64;
    f
}

const FIRST: [u64; 5] = [8, 6, 0, 1, 0];

pub fn add(book: &mut Book) {
    let [xz, bzip2, long] = LEN;
    book.ok("ok-expansion-xz", "F35", "an .xz stream of a base", expanded(1, 0, xz, 51, WORDS));
    book.ok("ok-expansion-bzip2", "F35", "a .bz2 stream of a base", expanded(3, xz, bzip2, 42, MEMBER));
    for (name, rule, comment, f) in [
        ("form-2", "F35", "an expansion of form 2", expanded(2, 0, xz, 51, WORDS)),
        ("form-255", "F35", "an expansion of form 255", expanded(255, 0, xz, 51, WORDS)),
        ("xz-as-deflate", "R15", "an .xz stream that is said to be deflate", expanded(0, 0, xz, 51, WORDS)),
        ("xz-as-bzip2", "R15", "an .xz stream that is said to be .bz2", expanded(3, 0, xz, 51, WORDS)),
        ("xz-cut", "R15", "an .xz stream cut a byte short", expanded(1, 0, xz - 1, 51, WORDS)),
        ("xz-trailing", "R15", "a byte after an .xz stream", expanded(1, 0, xz + 1, 51, WORDS)),
        ("xz-longer", "R15", "an .xz stream that gives a byte more", expanded(1, 0, xz, 50, &WORDS[..50])),
        ("xz-tebibyte", "R15", "an .xz stream that is said to give a tebibyte", expanded(1, 0, xz, 1 << 40, WORDS)),
        ("xz-dictionary", "F35", "a dictionary of 96 MiB", expanded(1, xz + bzip2, long, 51, WORDS)),
        ("bzip2-cut", "R15", "a .bz2 stream cut a byte short", expanded(3, xz, bzip2 - 1, 42, MEMBER)),
        ("bzip2-trailing", "R15", "a byte after a .bz2 stream", expanded(3, xz, bzip2 + 1, 42, MEMBER)),
        ("bzip2-longer", "R15", "a .bz2 stream that gives a byte more", expanded(3, xz, bzip2, 41, &MEMBER[..41])),
    ] {
        book.damaged_of(f, &format!("expansion-{name}"), rule, comment, |_| {});
    }
    let f = expanded(1, 0, xz, 51, WORDS);
    book.damaged_of(f, "expansion-xz-no-feature", "F15", "an .xz stream without its feature", |f| {
        f.features = vec!["base/1"]
    });
    let mut f = expanded(1, 0, xz, 51, WORDS);
    f.features = vec!["base/1", "expand/bzip2/1", "expand/xz/1"];
    book.add("expansion-feature-unused", "F15", Some(Class::Unsupported), "a form that nothing has", f);

    book.ok("ok-replay-xz", "F41", "an .xz stream of one block", made(&FIRST, WORDS, XZ));
    book.ok(
        "ok-replay-xz-blocks",
        "F41",
        "an .xz stream of blocks with sizes",
        made(&[8, 1, 0, 10, 65_536], WORDS, BLOCKS),
    );
    book.ok("ok-replay-bzip2", "F41", "a .bz2 stream", made(&[10, 9], MEMBER, BZIP2));
    for (name, comment, row) in [
        ("xz-preset", "preset 8", &[8, 8, 0, 1, 0][..]),
        ("xz-extreme", "twice extreme", &[8, 6, 2, 1, 0]),
        ("xz-check", "a check that there is not", &[8, 6, 0, 2, 0]),
        ("xz-block-short", "a block of 65,535 bytes", &[8, 6, 0, 1, 65_535]),
        ("xz-block-long", "a block of 64 MiB and a byte", &[8, 6, 0, 1, (64 << 20) + 1]),
        ("xz-few", "a parameter too few", &[8, 6, 0, 1]),
    ] {
        book.damaged_of(made(row, WORDS, XZ), &format!("replay-{name}"), "F41", comment, |_| {});
    }
    book.damaged_of(made(&[10, 0], MEMBER, BZIP2), "replay-bzip2-level", "F41", "level 0", |_| {});
    book.damaged_of(made(&[9, 3], MEMBER, BZIP2), "replay-family-9", "F41", "a family that there is not", |_| {});
    book.damaged_of(
        made(&[8, 6, 0, 4, 0], WORDS, XZ),
        "replay-xz-other",
        "R16",
        "another check: a longer stream",
        |_| {},
    );
    book.damaged_of(made(&[8, 5, 0, 1, 0], &WORDS[1..], XZ), "replay-xz-words", "R4", "other words", |_| {});
    book.damaged_of(made(&FIRST, WORDS, XZ), "replay-xz-no-feature", "F15", "an .xz stream without its feature", |f| {
        f.features = vec![];
    });
    // A row of 70,000 plain bytes and one bit: the form of a checkpoint without state.
    let long = b"words ".repeat(20_000);
    let list = [&[0xf0, 0xa2, 4][..], &[1]].concat();
    let segment = replay(&FIRST, &list, LEN[0], vec![chunks(0, 1)]);
    let f = with(segment, 8, &long, &super::good::unhex(XZ));
    book.damaged_of(f, "replay-xz-checkpoint", "F41", "a checkpoint of an encoder that has none", |_| {});
}
