use super::build::{Entry, entry, write};
use super::*;
use std::io::Cursor;

fn open(bytes: &[u8]) -> Result<Zip<'_>, KindError> {
    Zip::open(Box::new(Cursor::new(bytes)), "the zip")
}

fn sample() -> Vec<Entry> {
    vec![
        entry("a/x", b"hello"),
        Entry { deflate: true, ..entry("a/y", &[7; 3000]) },
        Entry { deflate: true, streamed: true, ..entry("a/z", b"streamed") },
        entry("d/", b""),
    ]
}

#[test]
fn reads_members() {
    let bytes = write(&sample());
    let mut zip = open(&bytes).expect("zip");
    assert_eq!(zip.members().len(), 4);
    assert_eq!(zip.read("a/x", "x", 5).expect("x").expect("x"), b"hello");
    assert_eq!(zip.read("a/y", "y", 3000).expect("y").expect("y"), [7; 3000]);
    assert_eq!(zip.read("a/z", "z", 3000).expect("z").expect("z"), b"streamed");
    assert!(zip.read("a/q", "q", 10).expect("q").is_none());
    assert!(matches!(zip.read("a/y", "y", 2999), Err(KindError::TooLarge { .. })));
    assert!(open(&write(&[])).expect("empty").members().is_empty());
}

#[test]
fn refuses_what_readers_disagree_about() {
    let check = |entries: &[Entry], why: &str| assert!(open(&write(entries)).is_err(), "{why}");
    let one = entry("a", b"1");
    check(&[one.clone(), entry("a", b"2")], "duplicate");
    check(&[one.clone(), entry("a/", b"")], "file and folder");
    check(&[Entry { local: b"b".to_vec(), ..one.clone() }], "local name");
    check(&[Entry { flags: 1, ..one.clone() }], "encrypted");
    check(&[entry("é", b"")], "name without UTF-8 flag");
    check(&[Entry { name: vec![0xff], local: vec![0xff], flags: UTF8, ..one.clone() }], "not UTF-8");
    for name in ["/a", "../a", "a//b", "a/./b", "a\\b", "a\0", "", "/", "a//"] {
        check(&[entry(name, b"")], name);
    }
    assert!(open(&write(&[Entry { flags: UTF8, ..entry("é", b"") }])).is_ok());
    let good = write(&sample());
    let with = |head: &[u8], tail: &[u8]| [head, &good, tail].concat();
    assert!(open(&with(b"#!/bin/sh\n", b"")).is_err(), "prefix");
    assert!(open(&with(b"", b"x")).is_err(), "trailer");
    assert!(open(&with(b"", &good)).is_err(), "two archives");
    let mut comment = good.clone();
    let len = comment.len();
    comment[len - 2] = 3;
    comment.extend(b"hey");
    assert!(open(&comment).is_ok(), "comment");
    comment.extend(b"y");
    assert!(open(&comment).is_err(), "longer than its comment");
}

#[test]
fn zip64_records_agree_with_the_end_record() {
    let plain = write(&[entry("a", b"1")]);
    let end = plain.len() - 22;
    let at = plain.windows(4).position(|w| w == DIRECTORY).expect("directory") as u64;
    let build = |count: u64, adrift: u64, small: u16| {
        let mut out = plain[..end].to_vec();
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        [count, count, end as u64 - at, at].iter().for_each(|n| out.extend(n.to_le_bytes()));
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend((end as u64 + adrift).to_le_bytes());
        out.extend(1u32.to_le_bytes());
        let mut last = plain[end..].to_vec();
        last[8..10].copy_from_slice(&small.to_le_bytes());
        last[10..12].copy_from_slice(&small.to_le_bytes());
        [out, last].concat()
    };
    for (count, adrift, small, good) in
        [(1, 0, 1, true), (1, 0, 0xffff, true), (1, 0, 2, false), (2, 0, 0xffff, false), (1, 1, 1, false)]
    {
        assert_eq!(open(&build(count, adrift, small)).is_ok(), good, "{count} {adrift} {small}");
    }
}

#[test]
fn refuses_gaps() {
    let bytes = write(&[entry("a", b"1")]);
    let at = bytes.windows(4).position(|w| w == DIRECTORY).expect("directory");
    let mut gap = bytes.clone();
    gap.splice(at..at, *b"junk");
    let end = gap.len() - 6;
    let moved = u32::try_from(at + 4).expect("u32");
    gap[end..end + 4].copy_from_slice(&moved.to_le_bytes());
    let why = open(&gap).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(why.contains("belong to no member"), "{why}");
}

#[test]
fn refuses_bombs() {
    let claim = Entry { deflate: true, claim: Some(10), ..entry("a", &[0; 1 << 20]) };
    let bytes = write(&[claim]);
    let mut zip = open(&bytes).expect("structure");
    assert!(zip.read("a", "a", 1000).is_err(), "inflates to more than it says");
    let tail = [b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff".as_slice(), &[0xff; 8], &[0, 0]].concat();
    assert!(open(&tail).is_err());
}

#[test]
fn no_flip_or_truncation_panics() {
    let good = write(&sample());
    for n in 0..good.len() {
        assert!(open(&good[..n]).is_err(), "{n}");
        for bit in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[n] ^= bit;
            if let Ok(mut zip) = open(&bad) {
                let names: Vec<String> = zip.members().iter().map(|m| m.name.clone()).collect();
                for name in names {
                    let _ = zip.read(&name, "member", 1 << 16);
                }
            }
        }
    }
}
