use super::*;
use crate::kind::tarball::build::{gzip, tar};
use crate::kind::zipfile::build::zip;
use crate::monitor::Silent;
use crate::source::Collected;
use std::fs;
use std::os::unix::fs::symlink;

fn wheel() -> Vec<u8> {
    zip(&[
        ("a-1.dist-info/METADATA", b"Name: a\nVersion: 1\n"),
        ("a-1.dist-info/WHEEL", b""),
        ("a-1.dist-info/RECORD", b"a-1.dist-info/METADATA,,\na-1.dist-info/WHEEL,,\n"),
    ])
}

fn survey(from: &Path) -> Result<Collected, SourceError> {
    let kept = Collected::default();
    let source = PypiSource { from: from.into(), root: RelPath::new("www/pypi").expect("root") };
    source.survey(&kept, &Silent)?;
    Ok(kept)
}

#[test]
fn a_kubespray_offline_mirror() {
    let dir = tempfile::tempdir().expect("tempdir");
    let at = |p: &str| dir.path().join(p);
    for folder in ["files", "a", "old"] {
        fs::create_dir(at(folder)).expect("mkdir");
    }
    fs::write(at("files/a-1-py3-none-any.whl"), wheel()).expect("write");
    fs::write(at("files/b-1.tar.gz"), gzip(&tar(&[("b-1/PKG-INFO", b"Name: b\nVersion: 1\n")]))).expect("write");
    fs::write(at("files/c-1-py3.egg"), "egg").expect("write");
    fs::write(at("files/yanked.txt"), "b-1.tar.gz\tbroken build\ngone.whl\n").expect("write");
    fs::write(at("index.html"), "pages").expect("write");
    fs::write(at("a/index.html"), "pages").expect("write");
    symlink("../files/a-1-py3-none-any.whl", at("a/a-1-py3-none-any.whl")).expect("symlink");
    fs::write(at("old/a-1-py3-none-any.whl"), wheel()).expect("write");
    let (found, notes) = survey(dir.path()).expect("survey").into_parts();
    let seen: Vec<_> = found
        .iter()
        .map(|f| (f.described.artifact.path.as_ref().expect("path").as_str(), f.described.artifact.label("yanked")))
        .collect();
    assert_eq!(seen, [("files/a-1-py3-none-any.whl", None), ("files/b-1.tar.gz", Some("broken build"))]);
    assert_eq!(found[0].origins.len(), 2, "wheel and METADATA");
    let notes = notes.join("\n");
    for part in ["2 index pages", "c-1-py3.egg is left out", "gone.whl, which is not there"] {
        assert!(notes.contains(part), "{notes}");
    }
    fs::write(at("old/a-1-py3-none-any.whl"), "other").expect("write");
    assert!(matches!(survey(dir.path()), Err(SourceError::List { .. })), "other bytes");
}
