//! Deltas: section 12. What they build on lies in `testdata/vectors/bases`.

use super::Book;
use crate::forge::{BlockOf, Forge, Section, Sha, V, artifact, sha, t};
use pouch::class::Class;

/// A text of 60 bytes.
pub const OLD: &[u8] = b"An old file, which the far side has, sixty bytes all in all\n";

/// A gzip member's header, a deflate stream of 36 bytes at 10, eight bytes of trailer, and one of 20 bytes at 54.
const PACKED: &str = "1f8b08000000000000032bc94855c8cf495128cf2f4a2956c84f5328810aa465e6a4eac07910e9c4f4c4cc3c2e00545241494c45\
                      52382b4e4dcecf4b51c84dcd4d4a2d5228c6cde30200";
/// What its two streams expand to.
pub const WORDS: &[u8] = b"the old words of the old file, the old words again\n";
pub const MEMBER: &[u8] = b"second member second member second member\n";

pub fn packed() -> Vec<u8> {
    super::good::unhex(PACKED)
}

/// The files of `testdata/vectors/bases`.
pub fn bases() -> [(&'static str, Vec<u8>); 3] {
    [("old.gz", packed()), ("old.streams", super::libraries::streams()), ("old.txt", OLD.to_vec())]
}

pub fn base(bytes: &[u8]) -> (Sha, u64) {
    (sha(bytes), bytes.len() as u64)
}

pub fn take(source: u64, offset: u64, len: u64) -> V {
    V::A([2, source, offset, len].map(V::U).to_vec())
}

pub fn chunks(first: u64, count: u64) -> V {
    V::A([0, first, count].map(V::U).to_vec())
}

pub fn itself() -> V {
    V::A(vec![V::U(3)])
}

/// A delta of files `(path, content, segments)`.
pub fn delta(blocks: &[BlockOf<'_>], files: &[(&str, &[u8], Vec<V>)]) -> Forge {
    let mut f = Forge::new(blocks, &[]);
    f.features = vec!["base/1"];
    f.blobs = files.iter().map(|(_, content, _)| base(content)).collect();
    f.blobs.sort();
    f.blobs.dedup();
    let blobs = f.blobs.clone();
    let number = |content: &[u8]| V::U(blobs.iter().position(|b| b.0 == sha(content)).expect("there") as u64);
    f.artifacts = files.iter().map(|(path, content, _)| artifact("file", path, vec![number(content)])).collect();
    f.facts = files.iter().map(|_| V::B(vec![0xa0])).collect();
    f.recipes = files.iter().map(|(_, content, s)| V::A(vec![number(content), V::A(s.clone())])).collect();
    f
}

/// What most cases break: a file left out whole, one of chunks and of base bytes, one of an expansion.
fn sample() -> Forge {
    let mixed = [b"new ", &OLD[3..11], b"!\n"].concat();
    let words = [&WORDS[8..14], b"and ", &MEMBER[..7], &WORDS[..8]].concat();
    let mut f = delta(
        &[(0, &[b"new ", b"!\n"]), (0, &[b"and "])],
        &[
            ("kept", OLD, vec![itself()]),
            ("mixed", &mixed, vec![chunks(0, 1), take(1, 3, 8), chunks(1, 1)]),
            ("words", &words, vec![take(2, 8, 6), chunks(2, 1), take(3, 0, 7), take(2, 0, 8)]),
        ],
    );
    f.bases = vec![base(&packed()), base(OLD)];
    f.bases.sort();
    assert_eq!(f.bases[1], base(OLD), "sources are numbered so above");
    f.expansions = vec![(0, 10, 36, 51), (0, 54, 20, 42)];
    f
}

/// One file that is left out.
fn left_out(content: &[u8]) -> Forge {
    delta(&[], &[("a", content, vec![itself()])])
}

/// One file that is one run of a source.
fn run(source: u64, offset: u64, len: u64, content: &[u8]) -> Forge {
    let mut f = delta(&[], &[("a", content, vec![take(source, offset, len)])]);
    f.bases = vec![base(&packed())];
    f
}

/// One file that is what an expansion gives.
fn expanded(row: (u32, u64, u64, u64), content: &[u8]) -> Forge {
    let mut f = run(1, 0, content.len() as u64, content);
    f.expansions = vec![row];
    f
}

pub fn add(book: &mut Book) {
    taken(book);
    lacking(book);
    features(book);
    tables(book);
    segments(book);
    expansions(book);
}

fn taken(book: &mut Book) {
    book.ok("ok-delta", "F36", "a blob left out, base bytes among chunks, two expansions", sample());
    book.ok(
        "ok-delta-left-out",
        "F37",
        "one blob, left out whole: no block, no section of the carriage but recipes",
        left_out(OLD),
    );
    book.ok("ok-delta-run", "F36", "a whole base as one run, under another name than the base itself", {
        run(0, 0, packed().len() as u64, &packed())
    });
    book.ok("ok-delta-expansion", "F35", "a blob that is what a stream at the end of a base expands to", {
        expanded((0, 54, 20, 42), MEMBER)
    });
    book.ok("ok-delta-last-byte", "F36", "the last byte of an expansion, twice", {
        let mut f = delta(&[], &[("a", b"\n\n", vec![take(1, 50, 1), take(1, 50, 1)])]);
        f.bases = vec![base(&packed())];
        f.expansions = vec![(0, 10, 36, 51)];
        f
    });
    book.ok("ok-delta-against", "F38", "releases that the delta was made against", {
        let mut f = sample();
        f.carriage(|r| r.set(8, V::A(vec![release("demo", 0, 1), release("demo", 0, 7), release("tools", 2, 1)])));
        f
    });
    book.ok("ok-delta-empty-blob", "F26", "the empty blob beside one that is left out", {
        delta(&[], &[("a", OLD, vec![itself()]), ("e", b"", vec![])])
    });
    book.ok("ok-delta-sections-split", "F16", "bases and expansions in sections of one entry", {
        let mut f = sample();
        f.split = 1;
        f
    });
    book.ok("ok-delta-index-only", "F32", "the index of a delta, ids as in ok-delta", {
        let mut f = sample();
        f.form = 3;
        f
    });
}

fn lacking(book: &mut Book) {
    let gone = |n: u8| [OLD, &[n]].concat();
    let mut add = |name: &str, comment: &str, lacking: &[(Sha, u64)], forge| {
        let mut lacking = lacking.to_vec();
        lacking.sort();
        book.lacks(&format!("delta-lacks-{name}"), "R14", comment, &lacking, forge);
    };
    add("left-out", "a blob is left out that is not here", &[base(&gone(1))], {
        delta(&[], &[("a", &gone(1), vec![itself()])])
    });
    add("base", "a base of a run is not here", &[base(&gone(2))], {
        let mut f = run(0, 0, 9, &OLD[..9]);
        f.bases = vec![base(&gone(2))];
        f
    });
    add("several", "some bases are here, three are not", &[base(&gone(1)), base(&gone(2)), base(&gone(3))], {
        let mut f = delta(
            &[],
            &[
                ("a", &gone(1), vec![itself()]),
                ("b", OLD, vec![itself()]),
                ("c", &gone(3), vec![itself()]),
                ("d", &OLD[..7], vec![take(0, 0, 3), take(1, 3, 4)]),
            ],
        );
        f.bases = vec![base(OLD), base(&gone(2))];
        f.bases.sort();
        f
    });
    add("length", "a base with the digest of one that is here and another length", &[(sha(OLD), 61)], {
        let mut f = run(0, 0, 9, &OLD[..9]);
        f.bases = vec![(sha(OLD), 61)];
        f
    });
}

fn features(book: &mut Book) {
    for (name, comment, f) in [
        ("left-out", "a blob is left out without the feature", delta(&[], &[("a", OLD, vec![itself()])])),
        ("run", "a run of a base without the feature", run(0, 0, 10, &packed()[..10])),
    ] {
        book.damaged_of(f, &format!("delta-{name}-no-feature"), "F15", comment, |f| f.features.clear());
    }
    book.damaged("section-expansions", "F33", "a section of expansions without the feature that brings it", |f| {
        f.sections(|s| s.push(Section::new(8, 1, vec![1; 28])));
    });
    book.damaged("against-no-feature", "F33", "releases built on, without the feature", |f| {
        f.carriage(|r| r.set(8, V::A(vec![release("demo", 0, 1)])));
    });
    book.damaged_of(sample(), "delta-feature-twice", "F15", "base/1 listed twice", |f| {
        f.features = vec!["base/1", "base/1"];
    });
    for (name, comment, list) in [
        ("none", "no release that the delta was made against", vec![]),
        ("twice", "a release twice", vec![release("demo", 0, 1), release("demo", 0, 1)]),
        ("order", "releases out of order", vec![release("demo", 0, 2), release("demo", 0, 1)]),
        ("stream", "a stream that cannot be", vec![release("De mo", 0, 1)]),
        ("sequence", "sequence 0", vec![release("demo", 0, 0)]),
    ] {
        book.damaged_of(sample(), &format!("delta-against-{name}"), "F38", comment, |f| {
            f.carriage(|r| r.set(8, V::A(list)));
        });
    }
    book.damaged_of(sample(), "delta-scratch", "F14", "a byte too little of scratch space", |f| {
        f.carriage(|r| r.set(5, V::U(92)));
    });
}

fn release(stream: &str, epoch: u64, sequence: u64) -> V {
    V::A(vec![t(stream), V::U(epoch), V::U(sequence), V::B(vec![7; 32])])
}

fn tables(book: &mut Book) {
    let mut add = |name: &str, rule, comment: &str, change: &dyn Fn(&mut Forge)| {
        book.damaged_of(sample(), &format!("delta-{name}"), rule, comment, |f| change(f));
    };
    add("bases-order", "F34", "bases out of order", &|f| f.bases.reverse());
    add("bases-twice", "F34", "a base twice", &|f| f.bases.insert(1, base(OLD)));
    add("base-unused", "F36", "a base that nothing uses", &|f| f.bases.push(([0xff; 32], 7)));
    add("base-row-short", "F16", "a byte less in the table of bases", &|f| {
        f.sections(|s| {
            let bases = s.iter_mut().find(|s| s.kind == 7).expect("there");
            bases.set_plain(bases.plain[..79].to_vec());
        });
    });
    add("expansion-unused", "F36", "an expansion that nothing uses", &|f| f.expansions.push((1, 0, 1, 1)));
    add("expansion-of-none", "F35", "an expansion of the base after the last", &|f| f.expansions[1].0 = 2);
    add("expansion-outside", "F35", "an expansion that ends a byte after its base", &|f| f.expansions[1].2 += 1);
    add("expansion-overflows", "F35", "an expansion that ends after 2^64", &|f| {
        f.expansions[1] = (0, u64::MAX, 20, 42);
    });
    add("expansion-length-0", "F35", "an expansion of no bytes", &|f| f.expansions[1].2 = 0);
    add("expansion-plain-0", "F35", "an expansion to no bytes", &|f| f.expansions[1].3 = 0);
    add("expansions-order", "F35", "expansions out of order", &|f| f.expansions.reverse());
    add("expansions-twice", "F35", "an expansion twice", &|f| f.expansions[1] = f.expansions[0]);
    add("expansions-overlap", "F35", "an expansion that begins in the one before", &|f| {
        f.expansions[1] = (0, 45, 29, 42);
    });
    add("scratch-overflows", "F14", "expansions of 2^64 bytes together", &|f| {
        (f.expansions[0].3, f.expansions[1].3) = (1 << 63, 1 << 63);
    });
}

fn segments(book: &mut Book) {
    for (name, rule, comment, segments) in [
        ("source-none", "F36", "a source after the last", vec![take(2, 0, 5)]),
        ("source-huge", "F36", "source 2^64-1", vec![take(u64::MAX, 0, 5)]),
        ("run-outside", "F36", "a run that ends a byte after its source", vec![take(1, 56, 5)]),
        ("run-overflows", "F36", "a run that ends after 2^64", vec![take(1, u64::MAX, 5)]),
        ("run-empty", "F36", "a run of no bytes beside the right one", vec![take(1, 0, 5), take(1, 0, 0)]),
        ("run-short", "F26", "a run of a byte less than the blob", vec![take(1, 0, 4)]),
        ("run-elsewhere", "R4", "a run of other bytes of the base", vec![take(1, 1, 5)]),
        ("left-out-and-more", "F37", "a blob left out beside a run", vec![itself(), take(1, 0, 5)]),
        ("left-out-twice", "F37", "a blob left out twice", vec![itself(), itself()]),
        ("left-out-item", "F9", "a blob left out, with another item", vec![V::A(vec![V::U(3), V::U(0)])]),
        ("run-items", "F9", "a run of five items", vec![V::A([2, 1, 0, 5, 0].map(V::U).to_vec())]),
    ] {
        let mut f = delta(&[], &[("a", &OLD[..5], segments), ("b", &packed(), vec![take(0, 0, 74)])]);
        f.bases = vec![base(&packed()), base(OLD)];
        book.damaged_of(f, &format!("delta-{name}"), rule, comment, |_| {});
    }
    book.damaged_of(
        delta(&[], &[("a", OLD, vec![itself()]), ("e", b"", vec![itself()])]),
        "delta-left-out-empty",
        "F37",
        "the empty blob is left out",
        |_| {},
    );
}

fn expansions(book: &mut Book) {
    for (name, comment, row) in [
        ("garbage", "a range that begins a byte late", (0, 11, 35, 51)),
        ("cut", "a stream cut a byte short", (0, 10, 35, 51)),
        ("trailing", "a byte after the stream", (0, 10, 37, 51)),
        ("longer", "a stream that gives a byte more", (0, 10, 36, 50)),
        ("shorter", "a stream that gives a byte less", (0, 10, 36, 52)),
        ("tebibyte", "a stream that is said to give a tebibyte", (0, 10, 36, 1 << 40)),
    ] {
        let f = expanded(row, &WORDS[..20]);
        book.damaged_of(f, &format!("delta-expansion-{name}"), "R15", comment, |_| {});
    }
    let class = Some(Class::Damaged);
    let f = expanded((0, 10, 36, 51), &WORDS[1..20]);
    book.add("delta-expansion-elsewhere", "R4", class, "other bytes of an expansion than the blob has", f);
}
