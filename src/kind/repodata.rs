//! A *repodata* document is metadata of a yum repository that no rpm says of itself: package groups (comps), modules,
//! advisories (updateinfo) and the like; `repomd.xml` is the list of them.
//!
//! What documents are is told from their names, and XML is seen to be whole; of `repomd.xml` the list is read.
//! Specified in `spec/facts.md`, section "repodata/1".

use super::{BlobReader, Derived, KindError, top};
use crate::cbor::{Bytes, encode, record};
use crate::digest::Digest;
use crate::model::Artifact;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use std::cell::Cell;

record! {
    /// Facts of a metadata document, schema `repodata/1`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RepodataFacts {
        /// Its type in `repomd.xml`: `group`, `modules`, `updateinfo` or another word of `[a-z0-9_-]`.
        0 => doctype: String,
    }
}

/// What is rendered from rpms and so is never a document that travels.
const RENDERED: [&str; 3] = ["primary", "filelists", "other"];

/// The type of a document that has its customary name: `comps*.xml` is `group`, `modules*.yaml` is `modules`,
/// `updateinfo*.xml` is `updateinfo`.
pub fn known_type(file_name: &str) -> Option<&'static str> {
    let known = [("comps", ".xml", "group"), ("modules", ".yaml", "modules"), ("updateinfo", ".xml", "updateinfo")];
    let fits = |(start, end, _): &&(&str, &str, _)| file_name.starts_with(start) && file_name.ends_with(end);
    known.iter().find(fits).map(|(.., doctype)| *doctype)
}

/// The type of a document of that file name: the known one, else what stands before the first dot. Compressed documents
/// have none.
pub fn type_of(file_name: &str) -> Option<&str> {
    if let Some(known) = known_type(file_name) {
        return Some(known);
    }
    if [".gz", ".bz2", ".xz", ".zst"].iter().any(|end| file_name.ends_with(end)) {
        return None; // documents travel plain
    }
    let word = file_name.split('.').next().unwrap_or(file_name);
    let good = !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    let rendered = RENDERED.iter().any(|r| word.strip_prefix(r).is_some_and(|tail| tail.is_empty() || tail == "_db"));
    (good && !rendered).then_some(word)
}

/// Elements inside each other in a document, at most.
const DEPTH: usize = 64;

/// Whether a document of type `group` or `updateinfo` is XML to its end, below the element that clients look for: dnf
/// refuses the whole repository otherwise. Other types are not looked at.
pub fn check(doctype: &str, document: &[u8]) -> Result<(), KindError> {
    let (what, root) = match doctype {
        "group" => ("comps.xml", "comps"),
        "updateinfo" => ("updateinfo.xml", "updates"),
        _ => return Ok(()),
    };
    let bad = |why: String| KindError::malformed(what, why);
    let text = std::str::from_utf8(document).map_err(|e| bad(e.to_string()))?;
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut depth, found) = (0usize, Cell::new(false));
    let begin = |e: &BytesStart<'_>, depth: usize| match depth == 0 {
        true if found.replace(true) || e.local_name().as_ref() != root => {
            Err(bad(format!("it has to be one element {root:?}")))
        }
        _ if depth >= DEPTH => Err(bad("it is nested too deeply".into())),
        _ => Ok(()),
    };
    loop {
        match reader.read_event().map_err(|e| bad(e.to_string()))? {
            Event::Start(e) => {
                begin(&e, depth)?;
                depth = depth.saturating_add(1);
            }
            Event::Empty(e) => begin(&e, depth)?,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof if depth == 0 && found.get() => return Ok(()),
            Event::Eof => return Err(bad("it ends too soon".into())),
            _ => {}
        }
    }
}

/// Tells the type by the name.
pub fn derive(artifact: &Artifact, _blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let name = artifact.path.as_ref().map_or(artifact.name.as_str(), |p| p.file_name());
    let doctype = type_of(name).ok_or_else(|| {
        KindError::malformed("the name of a repository's document", format!("{name:?} does not say its type"))
    })?;
    let facts = Bytes(encode(&RepodataFacts { doctype: doctype.to_owned() }));
    Ok(Derived { name: None, version: None, arch: None, blobs: vec![top(artifact)?], made: vec![], facts })
}

/// A file that a `repomd.xml` lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its type.
    pub doctype: String,
    /// Where it lies below the repository; not checked against any grammar.
    pub href: String,
    /// Name of the algorithm of its checksum.
    pub algorithm: String,
    /// Its checksum in hexadecimal digits.
    pub checksum: String,
    /// Its length in bytes, where it is given.
    pub size: Option<u64>,
}

impl Listed {
    /// Its checksum where that is a SHA-256.
    pub fn sha256(&self) -> Option<Digest> {
        if self.algorithm != "sha256" {
            return None;
        }
        Digest::from_hex(&self.checksum.to_ascii_lowercase()).ok()
    }
}

fn bad(why: impl ToString) -> KindError {
    KindError::malformed("repomd.xml", why.to_string())
}

/// Reads the list in a `repomd.xml`, in its order.
pub fn read_repomd(document: &str) -> Result<Vec<Listed>, KindError> {
    let mut reader = quick_xml::Reader::from_str(document);
    let mut path: Vec<String> = Vec::new();
    let mut out: Vec<Listed> = Vec::new();
    loop {
        match reader.read_event().map_err(bad)? {
            Event::Start(e) => {
                path.push(e.local_name().as_ref().to_owned());
                enter(&path, &e, &mut out)?;
                if path.len() > 16 {
                    return Err(bad("it is nested too deeply"));
                }
            }
            Event::Empty(e) => {
                path.push(e.local_name().as_ref().to_owned());
                enter(&path, &e, &mut out)?;
                path.pop();
            }
            Event::Text(t) => words(&path, &t.xml_content(XmlVersion::Implicit1_0), &mut out)?,
            Event::End(_) => {
                path.pop();
            }
            Event::Eof if path.is_empty() => break,
            Event::Eof => return Err(bad("it ends too soon")),
            _ => {}
        }
    }
    match out.iter().find(|l| l.href.is_empty() || l.checksum.is_empty()) {
        Some(l) => Err(bad(format!("its entry {:?} has no location or no checksum", l.doctype))),
        None => Ok(out),
    }
}

/// The element of a `<data>` that `path` leads to.
fn element(path: &[String]) -> Option<&str> {
    match path {
        [root, data, rest @ ..] if root == "repomd" && data == "data" => match rest {
            [] => Some("data"),
            [one] => Some(one),
            _ => None,
        },
        _ => None,
    }
}

fn enter(path: &[String], e: &BytesStart<'_>, out: &mut Vec<Listed>) -> Result<(), KindError> {
    let attribute = |name: &str| -> Result<Option<String>, KindError> {
        let found = e.try_get_attribute(name).map_err(bad)?;
        found.map(|a| Ok(a.normalized_value(XmlVersion::Implicit1_0).map_err(bad)?.into_owned())).transpose()
    };
    match element(path) {
        Some("data") => out.push(Listed { doctype: attribute("type")?.unwrap_or_default(), ..Listed::default() }),
        Some("location") => {
            if attribute("xml:base")?.is_some() {
                return Err(KindError::Unsupported("an xml:base in repomd.xml".into()));
            }
            if let Some(last) = out.last_mut() {
                last.href = attribute("href")?.unwrap_or_default();
            }
        }
        Some("checksum") => {
            if let Some(last) = out.last_mut() {
                last.algorithm = attribute("type")?.unwrap_or_default();
            }
        }
        _ => {}
    }
    Ok(())
}

fn words(path: &[String], text: &str, out: &mut [Listed]) -> Result<(), KindError> {
    let (Some(last), text) = (out.last_mut(), text.trim()) else { return Ok(()) };
    match element(path) {
        Some("checksum") => last.checksum.push_str(text),
        Some("size") if !text.is_empty() => last.size = Some(text.parse().map_err(|_| bad("a size is not a number"))?),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_name() {
        for (name, expect) in [
            ("comps.xml", Some("group")),
            ("comps-BaseOS.x86_64.xml", Some("group")),
            ("modules.yaml", Some("modules")),
            ("modules-9.yaml", Some("modules")),
            ("updateinfo.xml", Some("updateinfo")),
            ("productid", Some("productid")),
            ("productid.pem", Some("productid")),
            ("modules.yaml.gz", None),
            ("primary.xml", None),
            ("filelists_db.sqlite", None),
            ("Upper.xml", None),
            (".xml", None),
            ("a b", None),
        ] {
            assert_eq!(type_of(name), expect, "{name}");
        }
    }

    #[test]
    fn documents_are_whole() {
        for (doctype, document, good) in [
            ("group", &b"<?xml version='1.0'?><!DOCTYPE comps SYSTEM 'x'><comps><group/></comps>"[..], true),
            ("group", b"\xef\xbb\xbf<comps/>\n", true),
            ("updateinfo", b"<updates><update a='1'>t</update></updates>", true),
            ("modules", b"<not xml", true),
            ("group", b"<comps><group>", false),
            ("group", b"<comps></group></comps>", false),
            ("group", b"<updates/>", false),
            ("group", b"<comps/><comps/>", false),
            ("group", b"", false),
            ("updateinfo", b"<updates>\xff</updates>", false),
            ("updateinfo", &b"<updates>".repeat(80), false),
        ] {
            assert_eq!(check(doctype, document).is_ok(), good, "{}", String::from_utf8_lossy(document));
        }
    }

    const SAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1</revision>
  <data type="primary"><checksum type="sha256">ab</checksum><open-checksum type="md5">cd</open-checksum>
    <location href="repodata/a&amp;b.xml.gz"/><timestamp>1</timestamp><size>12</size><open-size>13</open-size></data>
  <data type="group"><location href="comps.xml"></location><checksum type="sha">ef</checksum></data>
</repomd>"#;

    #[test]
    fn lists() {
        let listed = |doctype: &str, href: &str, algorithm: &str, checksum: &str, size| Listed {
            doctype: doctype.into(),
            href: href.into(),
            algorithm: algorithm.into(),
            checksum: checksum.into(),
            size,
        };
        assert_eq!(
            read_repomd(SAMPLE).expect("a list"),
            [
                listed("primary", "repodata/a&b.xml.gz", "sha256", "ab", Some(12)),
                listed("group", "comps.xml", "sha", "ef", None)
            ]
        );
    }

    #[test]
    fn survives_any_damage() {
        for at in 0..SAMPLE.len() {
            let _ = read_repomd(&SAMPLE[..at]);
            for byte in [b'<', b'>', b'"', b'&', b'/', b' '] {
                let mut raw = SAMPLE.as_bytes().to_vec();
                raw[at] = byte;
                let _ = read_repomd(std::str::from_utf8(&raw).expect("ASCII"));
            }
        }
        assert!(read_repomd("<repomd><data type='x'></data></repomd>").is_err());
        assert!(read_repomd("<repomd>").is_err());
    }
}
