use super::*;
use crate::digest::Digest;
use crate::kind::zipfile::build::{Entry, entry, write, zip};
use crate::kind::{ReadSeek, derive as derive_kind};
use crate::model::Kind;
use std::io::Cursor;

/// One blob, for tests.
struct One<'a>(&'a [u8]);

impl BlobReader for One<'_> {
    fn open(&self, _: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        Ok(Box::new(Cursor::new(self.0)))
    }
    fn find(&self, _: &Digest) -> Option<Blob> {
        Some(Blob::of(self.0))
    }
}

pub(crate) fn with_blob<T>(bytes: &[u8], f: impl FnOnce(&dyn BlobReader) -> T) -> T {
    f(&One(bytes))
}

pub(crate) fn artifact(kind: Kind, path: &str, bytes: &[u8]) -> Artifact {
    Artifact {
        kind,
        name: path.into(),
        version: None,
        arch: None,
        root: RelPath::new("www/x").expect("root"),
        path: Some(RelPath::new(path).expect("path")),
        executable: false,
        blobs: vec![Blob::of(bytes)],
        labels: vec![],
    }
}

fn read(file: &str, bytes: &[u8]) -> Result<Derived, KindError> {
    with_blob(bytes, |blobs| derive_kind(&artifact(Kind::Wheel, file, bytes), blobs))
}

const INFO: &str = "foo_bar-1.0+abc.1.dist-info";
const METADATA: &[u8] = b"Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0+abc.1\nRequires-Python: >=3.6,<4\n\
    Requires-Dist: six\nSummary: a sample\n\n";
const FILE: &str = "files/foo_bar-1.0+abc.1-1-py2.py3-none-any.whl";

/// Member names below the dist-info folder begin with `/`.
fn sample(members: &[(&str, &[u8])]) -> Vec<u8> {
    let named: Vec<(String, &[u8])> = members
        .iter()
        .map(|(n, c)| (if n.starts_with('/') { format!("{INFO}{n}") } else { (*n).to_owned() }, *c))
        .collect();
    let named: Vec<(&str, &[u8])> = named.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    zip(&named)
}

fn record() -> Vec<u8> {
    format!("foo.py,,\n{INFO}/METADATA,sha256=x,9\n{INFO}/WHEEL,,\n{INFO}/RECORD,,\n").into_bytes()
}

fn good() -> Vec<u8> {
    sample(&[("foo.py", b"pass"), ("/METADATA", METADATA), ("/WHEEL", b"Wheel-Version: 1.0\n"), ("/RECORD", &record())])
}

#[test]
fn file_names() {
    let parse = |file: &str| FileName::parse(file);
    let f = parse("a_b-1!2.0-3x-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl").expect("parse");
    assert_eq!((f.name.as_str(), f.version.as_str(), f.build.as_deref()), ("a_b", "1!2.0", Some("3x")));
    assert_eq!(f.platform, "manylinux_2_17_x86_64.manylinux2014_x86_64");
    for bad in [
        "",
        ".whl",
        "a.whl",
        "a-1-py3-none.whl",
        "a-1-x-py3-none-any.whl",
        "a-1-1-2-py3-none-any.whl",
        "a-1-py3--any.whl",
        "../a-1-py3-none-any.whl",
        "a-1/2-py3-none-any.whl",
        "a-1-py3-none-any.zip",
        "-1-py3-none-any.whl",
        "é-1-py3-none-any.whl",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn facts() {
    let d = read(FILE, &good()).expect("wheel");
    let facts: WheelFacts = crate::cbor::decode(&d.facts.0).expect("facts");
    assert_eq!((facts.project.as_str(), facts.version.as_str()), ("foo-bar", "1.0+abc.1"));
    assert_eq!((facts.build.as_deref(), facts.tags.as_str()), (Some("1"), "py2.py3-none-any"));
    assert_eq!(facts.requires_python.as_deref(), Some(">=3.6,<4"));
    assert_eq!(facts.requires, ["six"]);
    assert_eq!(d.made, [METADATA]);
    assert_eq!(d.blobs, [Blob::of(&good()), Blob::of(METADATA)]);
    assert_eq!((d.name.as_deref(), d.arch), (Some("foo-bar"), None));
}

#[test]
fn the_metadata_file_needs_a_name_too() {
    let with = |n: usize| format!("files/foo_bar-1.0+abc.1-py3-none-{}.whl", "x".repeat(n));
    assert!(read(&with(100), &good()).is_ok());
    assert!(read(&with(220), &good()).is_err());
}

#[test]
fn names_must_agree() {
    for file in ["foo_bar-1.0-py3-none-any.whl", "foo-1.0+abc.1-py3-none-any.whl", "foo_bar-1.0+abc.2-py3-none-any.whl"]
    {
        assert!(matches!(read(file, &good()), Err(KindError::Disagree { .. })), "{file}");
    }
    assert!(read("Foo.Bar-1.0_abc.1-py3-none-any.whl", &good()).is_ok());
    let other = zip(&[
        ("evil-1.0.dist-info/METADATA", METADATA),
        ("evil-1.0.dist-info/WHEEL", b""),
        ("evil-1.0.dist-info/RECORD", b"evil-1.0.dist-info/METADATA,,\nevil-1.0.dist-info/WHEEL,,\n"),
    ]);
    assert!(matches!(read(FILE, &other), Err(KindError::Disagree { .. })), "dist-info folder");
}

#[test]
fn hostile() {
    let check = |members: &[(&str, &[u8])], why: &str| assert!(read(FILE, &sample(members)).is_err(), "{why}");
    let (metadata, wheel) = (("/METADATA", METADATA), ("/WHEEL", b"".as_slice()));
    let all = record();
    let listed = ("/RECORD", all.as_slice());
    check(&[wheel, listed, ("foo.py", b"")], "no METADATA");
    check(&[metadata, listed, ("foo.py", b"")], "no WHEEL");
    check(&[metadata, wheel, ("foo.py", b"")], "no RECORD");
    check(&[metadata, wheel, listed], "RECORD lists a file that is not there");
    check(&[metadata, wheel, listed, ("foo.py", b""), ("bar.py", b"")], "a file that RECORD does not list");
    check(&[metadata, wheel, listed, ("foo.py", b""), ("x-1.DIST-INFO/METADATA", b"")], "two dist-info folders");
    check(&[("foo.py", b"")], "no dist-info folder");
    check(&[metadata, metadata, wheel, listed, ("foo.py", b"")], "METADATA twice");
    let bomb = vec![b' '; usize::try_from(limits::PYTHON_METADATA).expect("usize") + 1];
    let e = read(FILE, &sample(&[("/METADATA", &bomb), wheel, listed, ("foo.py", b"")]));
    assert!(matches!(e, Err(KindError::TooLarge { .. })));
    let name = format!("{INFO}/METADATA");
    let lie = Entry { deflate: true, claim: Some(100), ..entry(&name, &bomb) };
    assert!(read(FILE, &write(&[lie])).is_err());
}

#[test]
fn no_flip_or_truncation_panics() {
    let good = good();
    for n in 0..good.len() {
        assert!(read(FILE, &good[..n]).is_err(), "{n}");
        for bit in [0x01, 0xff] {
            let mut bad = good.clone();
            bad[n] ^= bit;
            let _ = read(FILE, &bad);
        }
    }
}
