//! Headers that are made here, whole and damaged.

use super::*;
use crate::cbor;
use crate::digest::{Blob, Digest};
use crate::kind::ReadSeek;
use crate::model::{Artifact, Kind};
use crate::relpath::RelPath;
use std::io::Cursor;

/// One value of a header that is being made.
enum Value<'a> {
    Text(&'a [u8]),
    Texts(&'a [&'a [u8]]),
    Translated(&'a [&'a [u8]]),
    Shorts(&'a [u16]),
    Words(&'a [u32]),
}

fn header(tags: &[(u32, Value<'_>)]) -> Vec<u8> {
    let (mut table, mut store) = (Vec::new(), Vec::new());
    for (tag, value) in tags {
        let offset = u32::try_from(store.len()).expect("small");
        let texts =
            |store: &mut Vec<u8>, texts: &[&[u8]]| texts.iter().for_each(|t| store.extend([t, &b"\0"[..]].concat()));
        let (kind, count) = match value {
            Value::Text(t) => {
                texts(&mut store, &[t]);
                (6, 1)
            }
            Value::Texts(t) => {
                texts(&mut store, t);
                (8, t.len())
            }
            Value::Translated(t) => {
                texts(&mut store, t);
                (9, t.len())
            }
            Value::Shorts(n) => {
                n.iter().for_each(|n| store.extend(n.to_be_bytes()));
                (3, n.len())
            }
            Value::Words(n) => {
                n.iter().for_each(|n| store.extend(n.to_be_bytes()));
                (4, n.len())
            }
        };
        for field in [*tag, kind, offset, u32::try_from(count).expect("small")] {
            table.extend(field.to_be_bytes());
        }
    }
    let mut out = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
    out.extend(u32::try_from(tags.len()).expect("small").to_be_bytes());
    out.extend(u32::try_from(store.len()).expect("small").to_be_bytes());
    [out, table, store].concat()
}

fn file(signature: &[(u32, Value<'_>)], main: &[(u32, Value<'_>)]) -> Vec<u8> {
    let mut out = vec![0xed, 0xab, 0xee, 0xdb, 3, 0];
    out.resize(96, 0);
    out.extend(header(signature));
    out.resize(out.len().next_multiple_of(8), 0);
    out.extend(header(main));
    out.extend(b"payload");
    out
}

fn sample() -> Vec<u8> {
    use Value::*;
    let main = [
        (1000, Text(b"sample")),
        (1001, Text(b"1.0")),
        (1002, Text(b"2")),
        (1003, Words(&[7])),
        (1004, Translated(&[b"caf\xe9 \x85x", b"other"])),
        (1005, Translated(&["dé\u{1}sc".as_bytes()])),
        (1006, Words(&[1_700_000_000])),
        (1009, Words(&[12])),
        (1022, Text(b"noarch")),
        (1044, Text(b"sample-1.0-2.src.rpm")),
        (1116, Words(&[1, 0, 1, 2])),
        (1117, Texts(&[b"tool", b"conf", b"f\xfc", b"ghost"])),
        (1118, Texts(&[b"/etc/", "/opt/é/bin/".as_bytes(), b"/var/"])),
        (1037, Words(&[0, 1, 0, 64])),
        (1030, Shorts(&[0o104755, 0o100644, 0o40755, 0o100644])),
        (1047, Texts(&[b"sample", b"both"])),
        (1112, Words(&[8, 0])),
        (1113, Texts(&[b"7:1.0-2", b""])),
        (
            1049,
            Texts(&[
                b"rpmlib(X)",
                b"both",
                b"/etc/conf",
                b"a",
                b"b",
                b"libc.so.6(GLIBC_2.4)",
                b"libc.so.6(GLIBC_2.34)",
                b"odd",
            ]),
        ),
        (1048, Words(&[8, 0, 0, 12, 1 << 9, 0, 0, 8])),
        (1050, Texts(&[b"1", b"", b"", b"1-2", b"", b"", b"", b"x:1"])),
        (1080, Words(&[50, 50, 40])),
        (1081, Texts(&[b"A  ", b"B", b"C"])),
        (1082, Texts(&[b"a", b"b", b"c"])),
        (1086, Text(b"/sbin/ldconfig")),
    ];
    file(&[(1007, Words(&[99])), (1000, Words(&[1]))], &main)
}

/// The only blob there is.
struct One<'a>(&'a [u8]);

impl BlobReader for One<'_> {
    fn open(&self, _: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        Ok(Box::new(Cursor::new(self.0)))
    }
    fn find(&self, _: &Digest) -> Option<Blob> {
        None
    }
}

fn derived(bytes: &[u8]) -> Result<Derived, KindError> {
    let blob = Blob::of(bytes);
    let artifact = Artifact {
        kind: Kind::Rpm,
        name: "x.rpm".into(),
        version: None,
        arch: None,
        root: RelPath::new("r").expect("a path"),
        path: Some(RelPath::new("x.rpm").expect("a path")),
        executable: false,
        blobs: vec![blob],
        labels: vec![],
    };
    derive(&artifact, &One(bytes))
}

#[test]
fn facts_of_a_sample() {
    let derived = derived(&sample()).expect("an rpm");
    assert_eq!(derived.name.as_deref(), Some("sample"));
    assert_eq!(derived.version.as_deref(), Some("7:1.0-2"));
    assert_eq!(derived.arch.as_deref(), Some("noarch"));
    let facts: RpmFacts = cbor::decode(&derived.facts.0).expect("facts");
    assert_eq!((facts.summary.as_str(), facts.description.as_str()), ("café x", "désc"));
    assert_eq!((facts.installed_size, facts.archive_size, facts.build_time), (12, 99, 1_700_000_000));
    let files: Vec<_> = facts.files().collect();
    let expect = [
        ("/opt/é/bin/tool", FileType::File),
        ("/etc/conf", FileType::File),
        ("/opt/Ã/bin/fü", FileType::Folder), // the bytes of a path are of one kind: é is C3 A9, and A9 falls out
        ("/var/ghost", FileType::Ghost),
    ];
    assert_eq!(files, expect.map(|(p, t)| (p.to_owned(), t)));
    assert_eq!(facts.setuid, [("/opt/é/bin/tool".to_owned(), 0o4755)]);
    let one = |name: &str, comparison, epoch: &str, version: &str, release: &str, before| Dependency {
        name: name.into(),
        comparison,
        epoch: epoch.into(),
        version: version.into(),
        release: release.into(),
        before,
    };
    assert_eq!(
        facts.requires,
        [
            one("a", 12, "0", "1", "2", false),
            one("b", 0, "", "", "", true),
            one("libc.so.6(GLIBC_2.34)", 0, "", "", "", false)
        ]
    );
    assert_eq!(facts.provides, [one("sample", 8, "7", "1.0", "2", false), one("both", 0, "", "", "", false)]);
    let entry = |author: &str, date, text: &str| Changelog { author: author.into(), date, text: text.into() };
    assert_eq!(facts.changelogs, [entry("C", 40, "c"), entry("B", 50, "b"), entry("A", 51, "a")]);
    assert_eq!(facts.scripts, ["post"]);
}

#[test]
fn every_damaged_byte_is_survived() {
    let good = sample();
    for at in 0..good.len() {
        for value in [0, 1, 6, 9, 0x7f, 0x80, 0xff, good[at] ^ 1] {
            let mut bad = good.clone();
            bad[at] = value;
            if let Ok(derived) = derived(&bad) {
                assert!(cbor::decode::<RpmFacts>(&derived.facts.0).is_ok(), "byte {at} as {value}");
            }
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let good = sample();
    for len in 0..good.len() - b"payload".len() {
        assert!(derived(&good[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn lies_are_refused() {
    use Value::*;
    let with = |more: Vec<(u32, Value<'static>)>| {
        let mut tags = vec![(1000, Text(b"n")), (1001, Text(b"1")), (1002, Text(b"1")), (1022, Text(b"noarch"))];
        tags.extend(more);
        file(&[], &tags)
    };
    assert!(derived(&with(vec![])).is_ok());
    let refused: [(&str, Vec<(u32, Value<'static>)>); 8] = [
        ("a tag twice", vec![(1004, Text(b"a")), (1004, Text(b"b"))]),
        (
            "a name with a control character",
            vec![(1047, Texts(&[b"a\x01"])), (1112, Words(&[0])), (1113, Texts(&[b""]))],
        ),
        (
            "a folder that is not there",
            vec![
                (1116, Words(&[1])),
                (1117, Texts(&[b"f"])),
                (1118, Texts(&[b"/"])),
                (1037, Words(&[0])),
                (1030, Shorts(&[0])),
            ],
        ),
        ("lists of files of two lengths", vec![(1117, Texts(&[b"f"])), (1118, Texts(&[b"/"]))]),
        ("lists of dependencies of two lengths", vec![(1049, Texts(&[b"f"])), (1048, Words(&[0]))]),
        ("numbers that are text", vec![(1003, Text(b"1"))]),
        ("text that is numbers", vec![(1004, Words(&[1]))]),
        ("several where one is", vec![(1003, Words(&[1, 2]))]),
    ];
    for (what, tags) in refused {
        assert!(derived(&with(tags)).is_err(), "{what}");
    }
    // Counts, offsets and sizes of 4 GiB in every entry of the table and in both intros.
    let good = sample();
    let signature: usize = 96 + 16 + 2 * 16 + 8;
    let main = signature.next_multiple_of(8);
    for at in [96 + 8, 96 + 12, main + 8, main + 12]
        .into_iter()
        .chain((0..25).flat_map(|n| [main + 16 + n * 16 + 8, main + 16 + n * 16 + 12]))
    {
        for lie in [u32::MAX, u32::MAX - 7, 1 << 31, (1 << 31) - 1, 1 << 28] {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&lie.to_be_bytes());
            assert!(derived(&bad).is_err(), "{lie:#x} at {at}");
        }
    }
}

#[test]
fn an_unterminated_text_is_refused() {
    let good = sample();
    let end = good.len() - b"payload".len();
    let mut bad = good.clone();
    bad[end - 1] = b'x'; // the NUL of the last text, which is a tag that is only looked for
    assert!(derived(&bad).is_ok());
    let bad = file(&[], &[(1000, Value::Text(b"n")), (1001, Value::Text(b"1")), (1002, Value::Text(b"1"))]);
    let end = bad.len() - b"payload".len();
    let mut bad = bad;
    bad[end - 1] = b'x';
    assert!(derived(&bad).is_err());
}

#[test]
fn weak_dependencies_of_all_times() {
    use Value::*;
    const STRONG: u32 = 1 << 27;
    let bytes = file(
        &[],
        &[
            (1000, Text(b"n")),
            (1001, Text(b"1")),
            (1002, Text(b"1")),
            (1049, Texts(&[b"needed", b"may be missing"])),
            (1048, Words(&[0, 1 << 19])),
            (1050, Texts(&[b"", b""])),
            (5046, Texts(&[b"new"])),
            (5048, Words(&[0])),
            (5047, Texts(&[b""])),
            (1156, Texts(&[b"strong", b"weak"])),
            (1158, Words(&[STRONG, 0])),
            (1157, Texts(&[b"", b""])),
            (1159, Texts(&[b"strong", b"weak"])),
            (1161, Words(&[STRONG, 0])),
            (1160, Texts(&[b"", b""])),
        ],
    );
    let facts: RpmFacts = cbor::decode(&derived(&bytes).expect("an rpm").facts.0).expect("facts");
    let names = |list: &[Dependency]| list.iter().map(|d| d.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&facts.requires), ["needed"]);
    assert_eq!(names(&facts.recommends), ["may be missing", "new", "strong"]);
    assert_eq!(names(&facts.suggests), ["weak"]);
    assert_eq!(names(&facts.supplements), ["strong"]);
    assert_eq!(names(&facts.enhances), ["weak"]);
}

#[test]
fn a_small_header_cannot_become_large() {
    use Value::*;
    let long = vec![b'x'; 1 << 20];
    let name = [(1000, Text(b"n")), (1001, Text(b"1")), (1002, Text(b"1"))];
    // Twelve tags that all name the one long text.
    let mut overlapping = file(&[], &[(1004, Text(&long))]);
    let same = [1000u32, 1001, 1002, 1005, 1007, 1011, 1014, 1015, 1016, 1020, 1022];
    let at = 96 + 16;
    overlapping[at + 8..at + 12].copy_from_slice(&12u32.to_be_bytes());
    let entry = at + 16;
    let copies: Vec<u8> = same.iter().flat_map(|tag| [*tag, 6, 0, 1]).flat_map(u32::to_be_bytes).collect();
    overlapping.splice(entry..entry, copies);
    assert!(derived(&overlapping).is_err_and(|e| e.to_string().contains("overlap")));
    // A hundred files in one folder with a long name.
    let (numbers, modes) = ([0u32; 100], [0u16; 100]);
    let names = [&b"f"[..]; 100];
    let folder = [&long[..]];
    let files = [
        (1116, Words(&numbers)),
        (1117, Texts(&names)),
        (1118, Texts(&folder)),
        (1037, Words(&numbers)),
        (1030, Shorts(&modes)),
    ];
    let tags: Vec<_> = name.into_iter().chain(files).collect();
    assert!(matches!(derived(&file(&[], &tags)), Err(KindError::TooLarge { .. })));
}
