//! Archives as their senders should not make them.

use super::expand::{Bounds, Expanded, Expander, Job};
use super::folder::{Folder, MAP, Owner, SUMS};
use crate::model::Kind;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;

const SMALL: Bounds = Bounds { bytes: 1 << 20, files: 1000, depth: 4 };

/// Lays `bytes` out as one artifact and expands it; the report and the map.
fn expand(bytes: &[u8], bounds: Bounds) -> (Expanded, String, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("folder");
    let mut folder = Folder::create(dir.path()).expect("a scan folder");
    let mut first = folder.begin("artifacts/a".into());
    first.write(bytes).expect("written");
    first.finish().expect("written");
    let owner = Owner { kind: Kind::File, name: "a".into(), version: String::new(), place: "a".into() };
    let mut expander = Expander::new(&mut folder, bounds);
    expander.run(Job { path: "artifacts/a".into(), depth: 0, owner: Rc::new(owner) }).expect("expands");
    let done = expander.finish();
    folder.finish().expect("finished");
    let map = fs::read_to_string(dir.path().join(MAP)).expect("a map");
    check(dir.path(), &map);
    (done, map, dir)
}

/// Nothing but folders and plain files with harmless names, each of them listed; and lines that are lines.
fn check(dir: &Path, map: &str) {
    let sums = fs::read_to_string(dir.join(SUMS)).expect("sums");
    let mut found = 0;
    let mut todo = vec![dir.to_path_buf()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).expect("a folder") {
            let path = entry.expect("an entry").path();
            let kind = fs::symlink_metadata(&path).expect("there").file_type();
            let name = path.file_name().and_then(|n| n.to_str()).expect("ASCII");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b)), "{name}");
            match kind.is_dir() {
                true => todo.push(path),
                false => {
                    assert!(kind.is_file(), "{path:?}");
                    found += usize::from(path.starts_with(dir.join("expanded")));
                }
            }
        }
    }
    assert_eq!(sums.lines().count(), found, "{sums}");
    assert!(map.lines().all(|l| l.split('\t').count() == 12), "{map}");
}

fn header(name: &[u8], kind: u8, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_mode(0o4755);
    header.set_size(size);
    header.as_mut_bytes()[156] = kind;
    header.set_cksum();
    header
}

/// A tar of entries: name, type, content.
fn tar(entries: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, content) in entries {
        out.extend_from_slice(header(name, *kind, content.len() as u64).as_bytes());
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).expect("written");
    out.finish().expect("a stream")
}

fn cpio(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, mode, content) in entries.iter().chain(&[("TRAILER!!!", 0, &b""[..])]) {
        let fields = [0, *mode, 0, 0, 1, 0, content.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        out.extend_from_slice(b"070701");
        fields.iter().for_each(|f| out.extend_from_slice(format!("{f:08x}").as_bytes()));
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        out.start_file(*name, zip::write::SimpleFileOptions::default()).expect("an entry");
        out.write_all(content).expect("written");
    }
    out.finish().expect("a zip").into_inner()
}

#[test]
fn names_that_lead_out_stay_inside() {
    let names: [&[u8]; 6] = [b"../../out", b"/etc/passwd", b"a/../../b", b"C:\\x\\y", b"con", b"evil\n\xff\x1b[2J"];
    let entries: Vec<(&[u8], u8, &[u8])> = names.iter().map(|n| (*n, b'0', &b"content"[..])).collect();
    let (done, map, dir) = expand(&gzip(&tar(&entries)), SMALL);
    assert_eq!((done.files, done.problems, done.set_id), (6, 0, 6), "{done:?}");
    assert!(map.contains("evil\\u{a}\\xff\\u{1b}[2J"), "{map}");
    assert!(!dir.path().parent().expect("a parent").join("out").exists());
    let (done, map, _dir) = expand(&zip(&[("../../out", b"x"), ("/abs", b"y")]), SMALL);
    assert_eq!(done.files, 2, "{map}");
}

#[test]
fn links_and_devices_are_lines_of_the_map() {
    let kinds: [&[u8]; 6] = [b"1", b"2", b"3", b"4", b"5", b"6"];
    let entries: Vec<(&[u8], u8, &[u8])> = kinds.iter().map(|k| (&b"dev"[..], k[0], &b""[..])).collect();
    let (done, map, _dir) = expand(&tar(&entries), SMALL);
    assert_eq!((done.files, done.links, done.problems), (0, 5, 0), "{done:?}");
    assert!(map.contains("symbolic: ") && map.contains("a device or pipe"), "{map}");
    let (done, map, _dir) = expand(&cpio(&[("l", 0o120777, b"/etc/shadow"), ("n", 0o020644, b"")]), SMALL);
    assert_eq!((done.files, done.links), (0, 2));
    assert!(map.contains("symbolic: /etc/shadow"), "{map}");
}

#[test]
fn content_hides_nowhere() {
    let holds = |bytes: &[u8], want: u64| {
        let (done, map, dir) = expand(bytes, SMALL);
        let files = map.lines().filter(|l| l.starts_with("member")).filter_map(|l| l.split('\t').nth(1));
        let found = files.filter(|p| *p != "-").map(|p| fs::read(dir.path().join(p)).expect("a file"));
        assert_eq!(found.filter(|b| b.windows(6).any(|w| w == b"needle")).count() as u64, want, "{map}\n{done:?}");
    };
    holds(&tar(&[(b"link with content", b'2', b"needle"), (b"folder", b'5', b"needle")]), 2);
    holds(&[tar(&[(b"a", b'0', b"x")]), tar(&[(b"b", b'0', b"needle")])].concat(), 1); // after the end
    holds(&[tar(&[(b"a", b'0', b"x")]), b"needle".to_vec()].concat(), 1); // junk after the end
    holds(&gzip(&[tar(&[(b"a", b'0', b"x")]), b"needle".to_vec()].concat()), 1);
    holds(&[gzip(b"nothing"), gzip(b"needle")].concat(), 1); // a second gzip member
    holds(&gzip(&gzip(&gzip(b"needle"))), 1);
    holds(&[cpio(&[("a", 0o100644, b"x")]), gzip(&cpio(&[("b", 0o100644, b"needle")]))].concat(), 1); // as initramfs
    holds(&gzip(&tar(&[(b"z.zip", b'0', &zip(&[("t.tgz", &gzip(&tar(&[(b"x", b'0', b"needle")])))]))])), 1);
    let mut cut = tar(&[(b"a", b'0', b"needle and more")]);
    cut.truncate(520);
    holds(&cut, 1);
}

#[test]
fn bounds_hold_and_are_told() {
    let bomb = gzip(&gzip(&vec![0u8; 64 << 20]));
    let (done, map, _dir) = expand(&bomb, SMALL);
    assert!(done.bytes <= SMALL.bytes && done.bounded_by == ["bytes"], "{done:?}");
    assert!(map.contains("the bound on bytes was met"));
    // content of folders and headers is not written, and read only so far
    let names = gzip(&vec![header(b"d", b'5', 0).as_bytes().to_vec(); 20_000].concat());
    assert_eq!(expand(&names, SMALL).0.bounded_by, ["bytes"]);
    let many: Vec<(&[u8], u8, &[u8])> = vec![(b"f", b'0', b"x"); 2000];
    let (done, ..) = expand(&gzip(&tar(&many)), SMALL);
    assert_eq!((done.files, done.bounded_by), (1000, vec!["files"]));
    let mut nested = b"core".to_vec();
    for _ in 0..10 {
        nested = gzip(&tar(&[(b"in", b'0', &nested)]));
    }
    let (done, map, _dir) = expand(&nested, SMALL);
    assert_eq!((done.containers, done.bounded_by), (4, vec!["depth"]), "{map}");
}

#[test]
fn a_hundred_thousand_entries() {
    let many: Vec<(&[u8], u8, &[u8])> = vec![(b"same name", b'0', b""); 100_000];
    let (done, map, _dir) = expand(&gzip(&tar(&many)), Bounds { bytes: 1 << 30, ..Bounds::default() });
    assert_eq!((done.files, done.bytes, done.problems), (100_000, 0, 0));
    assert_eq!(map.lines().count(), 100_001);
}

#[test]
fn headers_without_end_do_not_recurse() {
    let mut rpm = vec![0xed, 0xab, 0xee, 0xdb];
    rpm.resize(96, 0);
    for _ in 0..2 {
        rpm.extend_from_slice(&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    let (done, map, _dir) = expand(&rpm.repeat(10_000), SMALL);
    assert_eq!(done.bounded_by, ["bytes", "depth"], "{map}");
    let whole = [rpm, gzip(&cpio(&[("usr/bin/x", 0o104755, b"x")]))].concat();
    let (done, map, _dir) = expand(&whole, SMALL);
    assert_eq!((done.files, done.set_id, done.problems), (1, 1, 0), "{map}");
}

#[test]
fn whatever_is_flipped_or_cut_nothing_panics_or_leaks() {
    let content = [tar(&[(b"a", b'0', b"content")]), cpio(&[("b", 0o100644, b"content")])];
    let whole = zip(&[("t.tar", &content[0]), ("c.cpio", &content[1])]);
    for sample in [&gzip(&content[0]), &content[1], &whole] {
        for at in (1..sample.len()).step_by(7) {
            let mut bytes = sample.clone();
            bytes[at] ^= 0x41;
            expand(&bytes, SMALL);
            expand(&sample[..at], SMALL);
        }
    }
}
