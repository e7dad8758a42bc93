//! Patches come back, whatever they are made of; and whatever a patch says, it is refused or makes its length.

#![allow(clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::moves::{Kind, Moves, Region};
use super::*;
use proptest::prelude::*;
use rayon::prelude::*;
use std::process::Command;

/// A patch of all of `new`, even where it does not pay.
fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    Differ::new(old, &[0]).streams(new, 0).encode(3).expect("compresses")
}

fn make(stored: &[u8], len: usize, old: &[u8]) -> Result<Vec<u8>, PatchError> {
    apply(stored, len as u32, &old)
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (x >> 33) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[derive(Debug, Clone)]
enum Edit {
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Set(usize, Vec<u8>),
    Repeat(usize, usize, usize),
    Swap(usize),
    AddToWords(usize, usize, u32),
}

fn edited(mut v: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for e in edits {
        let len = v.len();
        let clamp = |at: usize| at % (len + 1);
        match e {
            Edit::Insert(at, b) => drop(v.splice(clamp(*at)..clamp(*at), b.iter().copied())),
            Edit::Remove(at, n) => drop(v.drain(clamp(*at)..(clamp(*at) + n).min(len))),
            Edit::Set(at, b) => v.iter_mut().skip(clamp(*at)).zip(b).for_each(|(x, y)| *x = *y),
            Edit::Repeat(from, n, to) => {
                let part = v[clamp(*from)..(clamp(*from) + n).min(len)].to_vec();
                drop(v.splice(clamp(*to)..clamp(*to), part));
            }
            Edit::Swap(at) => v.rotate_left(if len == 0 { 0 } else { at % len }),
            Edit::AddToWords(at, n, by) => {
                for w in v[clamp(*at)..].as_chunks_mut::<4>().0.iter_mut().take(*n) {
                    *w = u32::from_le_bytes(*w).wrapping_add(*by).to_le_bytes();
                }
            }
        }
    }
    v
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = 0usize..4000;
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::vec(
        prop_oneof![
            (at.clone(), bytes()).prop_map(|(a, b)| Edit::Insert(a, b)),
            (at.clone(), 0usize..200).prop_map(|(a, n)| Edit::Remove(a, n)),
            (at.clone(), bytes()).prop_map(|(a, b)| Edit::Set(a, b)),
            (at.clone(), 0usize..300, at.clone()).prop_map(|(a, n, t)| Edit::Repeat(a, n, t)),
            at.clone().prop_map(Edit::Swap),
            (at, 0usize..80, any::<u32>()).prop_map(|(a, n, w)| Edit::AddToWords(a, n, w)),
        ],
        0..6,
    )
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (any::<u64>(), 0usize..3000).prop_map(|(s, n)| noise(s, n)),
        (prop::collection::vec(0u8..4, 0..2000)),
        (any::<u64>(), 0usize..8).prop_map(|(s, n)| program(s, n + 20).0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// P6 to P9: 10,000 small pairs.
    #[test]
    fn edits_come_back(old in content(), edits in edits()) {
        let new = edited(old.clone(), &edits);
        let stored = patch(&old, &new);
        prop_assert_eq!(make(&stored, new.len(), &old).expect("applies"), new);
    }

    /// Any streams at all: refused, or exactly as long as declared.
    #[test]
    fn any_streams_are_refused_or_make_their_length(
        streams in prop::array::uniform7(prop::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..24)),
        len in 0usize..100,
        old in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let [moves, copies, extras, seeks, gaps, fixes, literals] = streams;
        let s = Streams { moves, copies, extras, seeks, gaps, fixes, literals };
        let stored = s.encode(1).expect("compresses");
        if let Ok(made) = make(&stored, len, &old) {
            prop_assert_eq!(made.len(), len);
        }
    }
}

/// An executable of `functions` that call each other and a table of their addresses; and the next version, in which every
/// fifth function has grown.
fn program(seed: u64, functions: usize) -> (Vec<u8>, Vec<u8>) {
    let choose = |n: usize, k: usize| (n * 2654435761 + k * 40503 + seed as usize % 977) % functions;
    let build = |grown: bool| {
        let size = |f: usize| 96 + if grown && f % 5 == 2 { 32 } else { 0 };
        let starts: Vec<usize> =
            (0..=functions).scan(1024, |at, f| Some(std::mem::replace(at, *at + size(f)))).collect();
        let table = starts[functions].next_multiple_of(8);
        let end = table + functions * 8;
        let mut file = vec![0u8; end];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[18] = 62;
        file[40] = 64; // section table
        file[60] = 3;
        file[62] = 0;
        let mut section = |n: usize, name: u32, flags: u64, from: usize, len: usize| {
            let h = &mut file[64 + n * 64..][..64];
            h[..4].copy_from_slice(&name.to_le_bytes());
            h[4] = 1;
            h[8..16].copy_from_slice(&flags.to_le_bytes());
            h[16..24].copy_from_slice(&(0x40_0000 + from as u64).to_le_bytes());
            h[24..32].copy_from_slice(&(from as u64).to_le_bytes());
            h[32..40].copy_from_slice(&(len as u64).to_le_bytes());
        };
        section(0, 0, 0, 512, 64);
        section(1, 1, 6, 1024, starts[functions] - 1024);
        section(2, 7, 2, table, functions * 8);
        file[512..526].copy_from_slice(b"\0.text\0.rodata");
        for f in 0..functions {
            let body = noise(seed ^ f as u64, size(f));
            file[starts[f]..][..size(f)].copy_from_slice(&body);
            for k in 0..4 {
                let at = starts[f] + 8 + k * 20;
                let target = starts[choose(f, k)] as i64 - (at as i64 + 5);
                file[at] = 0xE8;
                file[at + 1..at + 5].copy_from_slice(&(target as i32).to_le_bytes());
            }
            let address = 0x40_0000 + starts[choose(f, 9)] as u64;
            file[table + f * 8..][..8].copy_from_slice(&address.to_le_bytes());
        }
        file
    };
    (build(false), build(true))
}

/// P10 to P15: where functions grew, calls and addresses need no fixes.
#[test]
fn addresses_follow() {
    let (old, new) = program(7, 2000);
    let differ = Differ::new(&old, &[0]);
    let streams = differ.streams(&new, 0);
    assert!(!streams.moves.is_empty());
    assert!(streams.fixes.len() < 4 * 2000, "{} fixes for 8000 calls and 2000 addresses", streams.fixes.len() / 4);
    let stored = differ.diff(&new, 0, DEFAULT_LEVEL).expect("differs").expect("pays");
    assert_eq!(make(&stored, new.len(), &old).expect("applies"), new);
    assert!(stored.len() * 4 < new.len(), "{} of {}", stored.len(), new.len());
}

#[test]
fn plain_cases() {
    let (a, b) = (noise(1, 100_000), noise(2, 100_000));
    let zeros = vec![0; 50_000];
    for (old, new, most) in [
        (&[][..], &[][..], 56),
        (&a, &[], 56),
        (&[], &a, 100_080),
        (&a, &a, 80),
        (&a, &b, 100_200),
        (&a[1..], &a[..99_999], 90),
        (&zeros, &zeros[1..], 90),
        (&a[..5], &a[..5], 80),
        (b"x", &zeros, 90),
    ] {
        let stored = patch(old, new);
        assert!(stored.len() <= most, "{} bytes for {} of {}", stored.len(), new.len(), old.len());
        assert_eq!(make(&stored, new.len(), old).expect("applies"), new);
    }
    assert!(Differ::new(&a, &[0]).diff(&b, 0, 1).expect("differs").is_none(), "what does not pay is no patch");
}

/// The parts of one content, made by any number of threads, are the same; and parts beyond the first know where they lie.
#[test]
fn threads_change_nothing() {
    let (old, new) = program(3, 3000);
    let differ = Differ::new(&old, &[0]);
    let parts: Vec<(usize, &[u8])> = new.chunks(50_000).enumerate().map(|(n, p)| (n * 50_000, p)).collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("starts");
        pool.install(|| -> Vec<_> {
            parts.par_iter().map(|(at, p)| differ.diff(p, *at as u64, 9).expect("differs")).collect()
        })
    };
    let patches = run(1);
    assert_eq!(patches, run(4));
    for ((_, part), stored) in parts.iter().zip(patches) {
        assert_eq!(&make(&stored.expect("pays"), part.len(), &old).expect("applies"), part);
    }
}

/// Steps of one copy of 8 bytes with one fix, then 2 bytes of literal; and what changes them.
fn sample() -> Streams {
    Streams {
        moves: vec![],
        copies: vec![8],
        extras: vec![2],
        seeks: vec![2],
        gaps: vec![6],
        fixes: vec![1, 1, 1, 1],
        literals: b"yz".to_vec(),
    }
}

#[test]
fn rules_of_applying() {
    let old = b"abcdefghijkl";
    type Change = fn(&mut Streams);
    let cases: &[(&str, Change, Result<&[u8], &str>)] = &[
        ("as it is", |_| (), Ok(b"bcdefgijyz")),
        ("P8: no carry out of the copy", |s| s.fixes = vec![0xff; 4], Ok(b"bcdefggiyz")),
        ("P4: two spellings", |s| s.copies = vec![0x88, 0], Err("copies")),
        ("P4: no end", |s| s.copies = vec![0x88], Err("copies")),
        ("P6: beyond the end", |s| s.copies = vec![11], Err("copies")),
        ("P6: literal beyond the end", |s| s.extras = vec![3], Err("extras")),
        ("P6: nothing", |s| (s.copies, s.extras) = (vec![0, 8], vec![0, 2]), Err("copies")),
        ("P6: too short", |s| s.extras = vec![1], Err("copies")),
        ("P7: before", |s| s.seeks = vec![1], Err("seeks")),
        ("P7: behind", |s| s.seeks = vec![10], Err("seeks")),
        ("P7: far behind", |s| s.seeks = vec![0xfe, 255, 255, 255, 255, 255, 255, 255, 127], Err("seeks")),
        ("P2: none", |s| s.seeks = vec![], Err("seeks")),
        ("P9: copies", |s| s.copies.push(1), Err("copies")),
        ("P9: extras", |s| s.extras.push(1), Err("extras")),
        ("P9: seeks", |s| s.seeks.push(1), Err("seeks")),
        ("P9: a fix behind", |s| s.gaps = vec![8], Err("gaps")),
        ("P8: a fix after the end of another", |s| s.gaps.push(0), Err("gaps")),
        ("P2: fixes", |s| s.fixes.truncate(3), Err("fixes")),
        ("P9: fixes", |s| s.fixes.push(1), Err("fixes")),
        ("P9: literals", |s| s.literals.push(1), Err("literals")),
        ("P2: literals", |s| s.literals.truncate(1), Err("literals")),
        ("P10: nothing said", |s| s.moves = vec![0, 9, 0], Err("moves")),
        ("P10: no shift", |s| s.moves = vec![0, 9, 1, 0, 1, 0], Err("moves")),
        ("P11: a kind", |s| s.moves = vec![0, 9, 1, 0, 1, 2, 0, 2], Err("moves")),
        ("P11: empty", |s| s.moves = vec![0, 9, 1, 0, 0, 0, 0, 2], Err("moves")),
        ("P11: cut", |s| s.moves = vec![0, 9, 255, 255, 127, 0, 1, 0], Err("moves")),
        ("P12: twice", |s| s.moves = vec![0, 9, 1, 0, 1, 0, 0, 2, 0, 2], Err("moves")),
        ("P12: half", |s| s.moves = vec![0, 9, 1, 0, 1, 0, 0, 2, 1], Err("moves")),
        (
            "P14: a word that moves by one",
            |s| s.moves = vec![0, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 1, 3, 4, 4, 0, 0, 2],
            Ok(b"bceefgijyz"),
        ),
    ];
    let patches = cases.iter().map(|(_, change, _)| {
        let mut streams = sample();
        change(&mut streams);
        (streams.encode(1).expect("compresses"), 10, &old[..])
    });
    let patches: Cases = patches.collect();
    for (((name, _, expect), (stored, ..)), theirs) in cases.iter().zip(&patches).zip(python(&patches)) {
        match (make(stored, 10, old), expect) {
            (Ok(made), Ok(expect)) => assert_eq!(made, *expect, "{name}"),
            (Err(PatchError::Damaged { stream, .. }), Err(expect)) => assert_eq!(stream, *expect, "{name}"),
            (other, _) => panic!("{name}: {other:?}"),
        }
        assert_eq!(theirs.as_deref(), expect.ok(), "{name}");
    }
}

#[test]
fn rules_of_the_stored_form() {
    let old = noise(5, 5000);
    let zeros = vec![0u8; 4096];
    let len = 4096;
    let frame = |plain: &[u8]| zstd::bulk::compress(plain, 3).expect("compresses");
    let with = |plain: usize, stored: &[u8]| {
        let literal = Streams { copies: vec![0], extras: vec![0x80, 32], ..Streams::default() };
        let mut head = literal.encode(1).expect("compresses");
        head[48..52].copy_from_slice(&(plain as u32).to_be_bytes());
        head[52..56].copy_from_slice(&(stored.len() as u32).to_be_bytes());
        [&head[..], stored].concat()
    };
    let twice = [frame(&zeros), frame(&[])].concat();
    let streamed = zstd::stream::encode_all(&zeros[..], 3).expect("compresses");
    let mut dictionary = frame(&zeros);
    dictionary[4] |= 1;
    for (name, stored, expect) in [
        ("as it is", with(len, &frame(&zeros)), true),
        ("P3: raw", with(len, &zeros), true),
        ("P3: a bomb that announces more", with(len, &frame(&vec![0; 1 << 24])), false),
        ("P5: a bomb that is declared", with(1 << 24, &frame(&vec![0; 1 << 24])), false),
        ("P3: less than declared", with(len, &frame(&zeros[1..])), false),
        ("P3: two frames", with(len, &twice), false),
        ("P3: no announced length", with(len, &streamed), false),
        ("P3: a dictionary", with(len, &dictionary), false),
        ("P3: longer than plain", with(3, &zeros[..9]), false),
        ("P2: cut", with(len, &frame(&zeros))[..60].to_vec(), false),
        ("P2: a trailer", [with(len, &frame(&zeros)), vec![0]].concat(), false),
        ("P2: a cut head", vec![0; 55], false),
    ] {
        let made = make(&stored, len, &old);
        assert_eq!(made.is_ok(), expect, "{name}: {made:?}");
        assert!(made.is_ok() || matches!(made, Err(PatchError::Damaged { .. })), "{name}");
        let theirs = python(&vec![(stored, len, &old[..])]);
        assert_eq!(theirs[0].is_some(), expect, "{name}");
    }
    assert!(matches!(apply(&[0; 56], PLAIN_LIMIT + 1, &old), Err(PatchError::Limit { .. })));
}

/// Every byte of a patch changed, and every beginning of it, with its streams compressed and as they are.
#[test]
fn damage_is_refused_or_makes_its_length() {
    let (old, new) = program(1, 40);
    let compressed = patch(&old, &new);
    let streams = Streams::decode(&compressed, new.len() as u32).expect("decodes");
    let plain = raw(&streams);
    assert_eq!(make(&plain, new.len(), &old).expect("applies"), new);
    for stored in [compressed, plain] {
        for at in 0..stored.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = stored.clone();
                bad[at] ^= flip;
                if let Ok(made) = make(&bad, new.len(), &old) {
                    assert_eq!(made.len(), new.len());
                }
            }
            assert!(make(&stored[..at], new.len(), &old).is_err());
        }
        assert!(make(&stored, new.len() - 1, &old).is_err());
        assert!(make(&stored, new.len() + 1, &old).is_err());
        assert!(make(&stored, new.len(), &old[..old.len() / 2]).is_err());
    }
}

/// The stored form with no stream compressed.
fn raw(s: &Streams) -> Vec<u8> {
    let all = [&s.moves, &s.copies, &s.extras, &s.seeks, &s.gaps, &s.fixes, &s.literals];
    let head = all.iter().flat_map(|s| [(s.len() as u32).to_be_bytes(); 2]).flatten();
    head.chain(all.iter().flat_map(|s| s.iter().copied())).collect()
}

proptest! {
    #[test]
    fn moves_come_back(
        origin in 0..1u64 << 40,
        end in 0..1u64 << 50,
        regions in prop::collection::vec((0..1u64 << 30, 1..1u64 << 30, 0..3usize, -(1i64 << 40)..1 << 40), 1..9),
        shifts in prop::collection::vec((1..1u64 << 30, -(1i64 << 40)..1 << 40), 1..9),
    ) {
        let mut at = 0;
        let regions = regions.into_iter().map(|(skip, len, kind, base)| {
            let start = at + skip;
            at = start + len;
            Region { start, len, kind: [Kind::Code, Kind::Words4 { base }, Kind::Words8 { base }][kind] }
        });
        let regions = regions.collect();
        let mut at = 0;
        let shifts = shifts.into_iter().map(|(step, by)| { at += step; (at, by) }).collect();
        let moves = Moves { origin, end, regions, shifts };
        prop_assert_eq!(Moves::decode(&moves.encode()).expect("decodes"), moves);
    }
}

#[test]
fn extents_are_checked_and_joined() {
    let (a, b) = (b"0123456789".to_vec(), b"abc".to_vec());
    let extent = |of, offset, len| Extent { of, offset, len };
    let joined = Joined::new(vec![extent(&a, 2, 3), extent(&b, 0, 3), extent(&a, 3, 7)])
        .unwrap_or_else(|n| panic!("extent {n}"));
    assert_eq!(joined.size(), 13);
    let all = b"234abc3456789";
    for from in 0..=13usize {
        for to in from..=13 {
            let mut buf = vec![0; to - from];
            joined.read_exact_at(&mut buf, from as u64).expect("reads");
            assert_eq!(buf, &all[from..to]);
        }
    }
    assert!(joined.read_exact_at(&mut [0; 2], 12).is_err());
    for (bad, expect) in [
        (vec![extent(&a, 0, 11)], 0),
        (vec![extent(&a, 0, 1), extent(&a, 10, 1)], 1),
        (vec![extent(&a, 3, 0)], 0),
        (vec![extent(&a, u64::MAX, 2)], 0),
    ] {
        assert_eq!(Joined::new(bad).err(), Some(expect));
    }
    let stored = patch(all, &all[1..]);
    assert_eq!(apply(&stored, 12, &joined).expect("applies"), &all[1..]);
}

/// Patches, lengths and old content.
type Cases<'a> = Vec<(Vec<u8>, usize, &'a [u8])>;

/// What `spec/apply.py` makes of patches; `None` where it refuses. One interpreter for all of them.
fn python(cases: &Cases) -> Vec<Option<Vec<u8>>> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |n: usize, what: &str| dir.path().join(format!("{n}.{what}"));
    for (n, (stored, _, old)) in cases.iter().enumerate() {
        std::fs::write(path(n, "patch"), stored).expect("writes");
        std::fs::write(path(n, "old"), old).expect("writes");
    }
    let driver = "import sys; sys.path.insert(0, sys.argv[1]); import apply
for n, length in enumerate(sys.argv[3:]):
    name = f'{sys.argv[2]}/{n}.'
    try:
        made = apply.apply(open(name + 'patch', 'rb').read(), int(length), open(name + 'old', 'rb').read())
    except SystemExit as refusal:
        assert str(refusal).startswith('damaged: P'), refusal
        continue
    open(name + 'new', 'wb').write(made)";
    let mut run = Command::new("python3");
    run.args(["-B", "-c", driver, concat!(env!("CARGO_MANIFEST_DIR"), "/spec")]).arg(dir.path());
    let run = run.args(cases.iter().map(|(_, len, _)| len.to_string())).output().expect("python3 runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    (0..cases.len()).map(|n| std::fs::read(path(n, "new")).ok()).collect()
}

/// The specification alone is enough: a second implementation makes the same, and refuses the same.
#[test]
fn the_second_implementation_agrees() {
    let (old, new) = program(11, 400);
    let (a, b) = (noise(1, 9000), noise(2, 3000));
    let mixed = [&a[..5000], &b, &a[4000..]].concat();
    let pairs = [(&old, &new), (&new, &old), (&a, &mixed), (&mixed, &a), (&a, &b)];
    let made = python(&pairs.iter().map(|(old, new)| (patch(old, new), new.len(), &old[..])).collect());
    for ((_, new), made) in pairs.iter().zip(made) {
        assert!(made.as_ref() == Some(*new));
    }
    let (old, new) = program(2, 12);
    let plain = raw(&Streams::decode(&patch(&old, &new), new.len() as u32).expect("decodes"));
    let damaged = (0..plain.len()).step_by(plain.len() / 60).map(|at| {
        let mut bad = plain.clone();
        bad[at] ^= 1 << (at % 8);
        (bad, new.len(), &old[..])
    });
    let damaged: Cases = damaged.collect();
    let mut agreed = [0, 0];
    for ((bad, len, old), theirs) in damaged.iter().zip(python(&damaged)) {
        let ours = make(bad, *len, old).ok();
        assert_eq!(ours, theirs);
        agreed[usize::from(ours.is_some())] += 1;
    }
    assert!(agreed[0] > 5 && agreed[1] > 5, "{agreed:?}");
}
