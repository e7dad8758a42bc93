//! Debs and layers with set-id files, as packagers make them and as they should not.

use super::*;
use crate::cbor::{Bytes, encode};
use crate::kind::ReadSeek;
use crate::kind::deb::sample::{ar, compress};
use crate::kind::oci::{ManifestFacts, Part};
use crate::model::Artifact;
use crate::monitor::Silent;
use crate::relpath::RelPath;
use std::io::Cursor;
use std::sync::Mutex;

/// Blobs in memory; counts how often each is opened. `None`: a base that is not here.
#[derive(Default)]
struct Memory(BTreeMap<Blob, Option<Vec<u8>>>, Mutex<BTreeMap<Blob, u64>>);

impl Memory {
    fn put(&mut self, bytes: Vec<u8>) -> Blob {
        let blob = Blob::of(&bytes);
        self.0.insert(blob, Some(bytes));
        blob
    }
}

impl BlobReader for Memory {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        *self.1.lock().expect("counts").entry(*blob).or_default() += 1;
        let bytes = self.0.get(blob).cloned().flatten().ok_or(KindError::MissingBlob(blob.digest))?;
        Ok(Box::new(Cursor::new(bytes)))
    }
    fn find(&self, _: &Digest) -> Option<Blob> {
        None
    }
}

/// An entry of a tar: name, type, mode field, link.
type Entry<'a> = (&'a str, u8, &'a str, &'a str);

/// A tar of entries; files have the content `x`.
fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, mode, link) in entries {
        let mut header = tar::Header::new_gnu();
        let content: &[u8] = if *kind == b'0' { b"x" } else { b"" };
        header.set_size(content.len() as u64);
        for (at, text) in [(0, name), (100, mode), (157, link)] {
            header.as_mut_bytes()[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        header.as_mut_bytes()[156] = *kind;
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// What packagers make, and one entry that nobody should.
const MIXED: [Entry<'static>; 9] = [
    ("./usr/bin/", b'5', "0002755", ""),
    ("./usr/bin/su", b'0', "0004755", ""),
    ("./usr/bin/wall", b'0', "0002755", ""),
    ("./usr/bin/ls", b'0', "0000755", ""),
    ("./bin/su", b'1', "0000755", "usr/bin/su"),
    ("./bin/ls", b'1', "0004755", "./usr/bin/ls"),
    ("./bin/dir", b'1', "0000755", "./usr/bin/ls2"),
    ("./sh", b'2', "0004777", "/bin/sh"),
    ("../../\x1b[2J\u{202e}<b>", b'0', "0006711", ""),
];
const FOUND: [(&str, &str, Option<&str>); 5] = [
    ("./usr/bin/su", "4755", None),
    ("./usr/bin/wall", "2755", None),
    ("./bin/su", "4755", Some("usr/bin/su")),
    ("./bin/ls", "4755", Some("./usr/bin/ls")),
    ("../../\\u{1b}[2J\\u{202e}<b>", "6711", None),
];

fn deb_of(name: &str, stored: &[u8]) -> Vec<u8> {
    ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", b"not looked at"), (name, stored)])
}

fn artifact(kind: Kind, name: &str, blobs: Vec<Blob>, facts: Bytes) -> Described {
    let (name, root) = (name.to_owned(), RelPath::new("www").expect("a root"));
    let version = Some("1".into());
    let artifact =
        Artifact { kind, name, version, arch: None, root, path: None, executable: false, blobs, labels: vec![] };
    Described { artifact, facts }
}

fn deb(memory: &mut Memory, bytes: Vec<u8>) -> Described {
    artifact(Kind::Deb, "p", vec![memory.put(bytes)], Bytes(vec![0xa0]))
}

/// An image with those layers; the absent ones are not in the release.
fn image(name: &str, layers: &[(Blob, &str)], absent: &[Blob]) -> Described {
    let top = Blob::of(name.as_bytes());
    let all = layers.iter().copied().chain(absent.iter().map(|b| (*b, "application/vnd.docker.image.rootfs.foreign")));
    let manifest = ManifestFacts {
        blob: top,
        media_type: String::new(),
        artifact_type: None,
        platform: None,
        config: None,
        layers: all.map(|(blob, media_type)| Part { blob, media_type: media_type.into() }).collect(),
        children: vec![],
        subject: None,
        runs: None,
    };
    let facts = encode(&ImageFacts { manifests: vec![manifest], absent: vec![] });
    artifact(Kind::Image, name, [top].into_iter().chain(layers.iter().map(|l| l.0)).collect(), Bytes(facts))
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn looked(artifacts: &[Described], memory: &Memory) -> Opened {
    look(artifacts, memory, &|_| None, Bounds::default(), &Silent)
}

fn files(o: &Opened, digest: Blob) -> Vec<(&str, &str, Option<&str>)> {
    let of = o.set_id.iter().filter(|f| f.container.digest == Some(digest.digest));
    of.map(|f| (f.path.as_str(), f.mode.as_str(), f.link.as_deref())).collect()
}

#[test]
fn set_id_files_of_debs_and_layers() {
    let (mut memory, plain) = (Memory::default(), tar(&MIXED));
    let debs: Vec<Described> = ["", ".gz", ".xz", ".zst"]
        .into_iter()
        .map(|s| deb(&mut memory, deb_of(&format!("data.tar{s}"), &compress(s, &plain))))
        .collect();
    let layers: Vec<Blob> = ["", ".gz", ".zst"].into_iter().map(|s| memory.put(compress(s, &plain))).collect();
    let empty = memory.put(compress(".gz", &[0; 1024]));
    let other = memory.put(b"{\"in\":\"toto\"}".to_vec());
    let of = |blobs: &[Blob]| blobs.iter().map(|b| (*b, LAYER)).collect::<Vec<_>>();
    let first = image("one", &[of(&layers), vec![(empty, LAYER), (other, "application/json")]].concat(), &[]);
    let second = image("two", &of(&layers[..1]), &[]);
    let all = [debs.clone(), vec![first, second]].concat();
    let o = looked(&all, &memory);
    assert_eq!((o.archives, o.found, o.problems.len(), o.lacking), (8, 35, 0, 0), "{o:?}");
    let tops = debs.iter().map(|d| d.artifact.blobs[0]);
    for blob in tops.chain(layers.iter().copied()) {
        assert_eq!(files(&o, blob), FOUND);
        assert_eq!(memory.1.lock().expect("counts").get(&blob), Some(&1), "opened once");
    }
    let shared = o.set_id.iter().find(|f| f.container.digest == Some(layers[0].digest)).expect("a file");
    assert_eq!((shared.container.name.as_str(), shared.container.artifacts), ("one", 2));
    // The same in whatever order the blobs lie.
    let numbers: BTreeMap<Blob, usize> = memory.0.keys().rev().enumerate().map(|(n, b)| (*b, n)).collect();
    assert_eq!(look(&all, &memory, &|b| numbers.get(b).copied(), Bounds::default(), &Silent), o);
}

#[test]
fn what_cannot_be_opened_is_told() {
    let good = tar(&MIXED);
    let mut odd = MIXED;
    odd[3].2 = "rwxr-xr-x".get(..7).expect("a field");
    let both = tar(&[("BZh91AY&", b'0', "0000755", "")]);
    let gzip = compress(".gz", &good);
    let cases: [(&str, Vec<u8>, usize); 6] = [
        ("it holds no tar", b"no tar at all".to_vec(), 0),
        ("it is cut off", good[..1500].to_vec(), 1),
        ("", gzip[..gzip.len() - 12].to_vec(), 5),
        ("as a tar: programs may disagree", both, 0),
        ("no entry follows its last one", [tar(&MIXED[1..2]), vec![b'!'; 700]].concat(), 1),
        ("the mode of ./usr/bin/ls", tar(&odd), 5),
    ];
    for (why, bytes, found) in cases {
        let mut memory = Memory::default();
        let layer = memory.put(bytes.clone());
        let all = [image("i", &[(layer, LAYER)], &[]), deb(&mut memory, deb_of("data.tar.gz", &gzip))];
        let o = looked(&all, &memory);
        assert_eq!(o.problems.len(), 1, "{why}: {o:?}");
        assert!(o.problems[0].why.contains(why) && o.problems[0].container.name == "i", "{why}: {o:?}");
        assert_eq!(
            (files(&o, layer).len(), o.found),
            (found, found as u64 + 5),
            "{why}: the deb is opened all the same"
        );
    }
    let mut memory = Memory::default();
    let base = Blob::of(b"of an old release");
    memory.0.insert(base, None);
    let mut broken = image("broken", &[], &[]);
    broken.facts = Bytes(vec![0xff]);
    let all = [
        deb(&mut memory, deb_of("data.tar.xz", &gzip)),
        deb(&mut memory, b"!<arch>\nno deb".to_vec()),
        broken,
        image("away", &[(base, LAYER)], &[Blob::of(b"elsewhere")]),
    ];
    let o = looked(&all, &memory);
    let whys: Vec<&str> = o.problems.iter().map(|p| p.why.as_str()).collect();
    let want = ["not compressed as its name says (xz)", "malformed", "what the index says", "lies elsewhere"];
    assert!(whys.len() == want.len() && whys.iter().zip(want).all(|(why, want)| why.contains(want)), "{whys:?}");
    assert_eq!((o.archives, o.found, o.lacking), (0, 0, 1));
}

#[test]
fn bounds_end_it_and_are_told() {
    let mut memory = Memory::default();
    let many: Vec<Entry<'_>> = vec![("a", b'0', "0004755", ""); LISTED + 1];
    let bomb = memory.put(compress(".zst", &vec![0; 1 << 22]));
    let layers = [memory.put(tar(&many)), bomb, memory.put(tar(&MIXED))];
    let all: Vec<Described> = layers.iter().map(|b| image(&b.digest.hex(), &[(*b, LAYER)], &[])).collect();
    let o = looked(&all, &memory);
    assert_eq!((o.archives, o.found, o.set_id.len(), o.bounded_by), (3, LISTED as u64 + 6, LISTED, None));
    for (bounds, by) in [
        (Bounds { files: 100, ..Bounds::default() }, "files"),
        (Bounds { bytes: 1 << 10, ..Bounds::default() }, "bytes"),
    ] {
        let o = look(&all, &memory, &|_| None, bounds, &Silent);
        assert_eq!((o.archives, o.bounded_by, o.not_reached), (0, Some(by), 2), "{o:?}");
        assert!(o.problems.len() == 1 && o.problems[0].why.contains("the bound on"), "{o:?}");
    }
}

#[test]
fn no_bytes_are_too_odd() {
    let gzip = compress(".gz", &tar(&MIXED));
    let whole = deb_of("data.tar.gz", &gzip);
    for n in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[n] ^= 0x41;
        for bytes in [whole[..n].to_vec(), flipped] {
            let mut memory = Memory::default();
            let layer = memory.put(bytes.clone());
            let o = looked(&[deb(&mut memory, bytes), image("i", &[(layer, LAYER)], &[])], &memory);
            // An ar archive is no layer, and nothing passes in silence.
            assert!(o.archives + o.problems.len() as u64 >= 2, "byte {n}: {o:?}");
        }
    }
}
