//! Folders without rpms; those with rpms are in `tests/interop_yum.rs`, which makes some.

use super::*;
use crate::monitor::Silent;
use crate::source::Origin;
use std::fs;
use std::io::Write as _;
use std::sync::Mutex;

#[derive(Default)]
struct Collected {
    found: Mutex<Vec<(String, Vec<u8>)>>,
    notes: Mutex<Vec<String>>,
}

impl Sink for Collected {
    fn found(&self, found: Found) -> Result<(), SourceError> {
        let bytes = match found.origins.values().next().expect("an origin") {
            Origin::Bytes(bytes) => bytes.to_vec(),
            Origin::File(path) => fs::read(path).expect("a file"),
            other => panic!("{other:?}"),
        };
        self.found.lock().expect("lock").push((found.described.artifact.name, bytes));
        Ok(())
    }
    fn note(&self, text: String) {
        self.notes.lock().expect("lock").push(text);
    }
}

type Seen = (Vec<(String, Vec<u8>)>, Vec<String>);

fn survey(files: &[(&str, &[u8])], metadata: Metadata) -> Result<Seen, SourceError> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (rel, bytes) in files {
        let path = dir.path().join(rel);
        fs::create_dir_all(path.parent().expect("a folder")).expect("mkdir");
        fs::write(path, bytes).expect("write");
    }
    let sink = Collected::default();
    let root = RelPath::new("www/rpms/r").expect("a path");
    RpmSource { from: dir.path().into(), root, metadata }.survey(&sink, &Silent)?;
    Ok((sink.found.into_inner().expect("lock"), sink.notes.into_inner().expect("lock")))
}

#[test]
fn documents_are_unpacked_and_merged() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"---\nb: 2\n").expect("gzip");
    let gzip = gzip.finish().expect("gzip");
    let zst = zstd::encode_all(&b"<comps/>"[..], 3).expect("zstd");
    let files: [(&str, &[u8]); 4] = [
        ("a/modules.yaml", b"---\na: 1\n"),
        ("b/modules.yaml.gz", &gzip),
        ("comps.xml.zst", &zst),
        ("updateinfo.xml", b"<updates/>"),
    ];
    let (found, notes) = survey(&files, Metadata::Render).expect("a survey");
    let expect: [(&str, &[u8]); 3] =
        [("comps.xml", b"<comps/>"), ("modules.yaml", b"---\na: 1\n---\nb: 2\n"), ("updateinfo.xml", b"<updates/>")];
    assert_eq!(found, expect.map(|(n, b)| (n.to_owned(), b.to_vec())));
    assert_eq!(notes, ["www/rpms/r: a/modules.yaml, b/modules.yaml.gz became one modules.yaml"]);
}

#[test]
fn two_documents_of_one_type_are_refused() {
    let two: [(&str, &[u8]); 2] = [("updateinfo.xml", b"<updates/>"), ("x/updateinfo.xml", b"<updates></updates>")];
    let error = survey(&two, Metadata::Render).expect_err("two");
    assert!(error.to_string().contains("one document of the type updateinfo"), "{error}");
    let same: [(&str, &[u8]); 2] = [("updateinfo.xml", b"<updates/>"), ("x/updateinfo.xml", b"<updates/>")];
    assert_eq!(survey(&same, Metadata::Render).expect("a survey").0.len(), 1);
}

#[test]
fn what_is_left_out_is_noted() {
    let names: Vec<String> = (0..12).map(|n| format!("f{n:02}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b""[..])).collect();
    let (found, notes) = survey(&files, Metadata::Render).expect("a survey");
    assert!(found.is_empty());
    let first = names[..10].join(", ");
    assert_eq!(notes, [format!("www/rpms/r: left out 12 files that are no rpms: {first} and 2 more")]);
}

#[test]
fn kept_repodata_must_be_true() {
    let repomd = |href: &str, kind: &str, sum: &str| {
        format!(
            "<repomd><data type=\"primary\"><checksum type=\"{kind}\">{sum}</checksum><location href=\"{href}\"/>\
             <size>1</size></data></repomd>"
        )
    };
    let digest = |kind: &str| {
        match kind {
        "sha256" => crate::digest::Digest::of(b"x").hex(),
        _ => "a4abd4448c49562d828115d13a1fccea927f52b4d5459297f8b43e42da89238bc13626e43dcb38ddb082488927ec904fb42057443983e88585179d50551afe62".into(),
    }
    };
    for (what, list, ok) in [
        ("true", repomd("repodata/p", "sha256", &digest("sha256")), true),
        ("sha512", repomd("repodata/p", "sha512", &digest("sha512")), true),
        ("unknown sum", repomd("repodata/p", "sha", "00"), true),
        ("stale", repomd("repodata/p", "sha256", &digest("sha512")), false),
        ("missing", repomd("repodata/q", "sha256", &digest("sha256")), false),
        ("outside", repomd("../p", "sha256", &digest("sha256")), false),
        ("no XML", "<repomd>".into(), false),
    ] {
        let files: [(&str, &[u8]); 2] = [(REPOMD, list.as_bytes()), ("repodata/p", b"x")];
        assert_eq!(survey(&files, Metadata::Keep).is_ok(), ok, "{what}");
    }
    let error = survey(&[], Metadata::Keep).expect_err("nothing to keep");
    assert!(error.to_string().contains("no repodata to keep"), "{error}");
}
