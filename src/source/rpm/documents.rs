//! *Documents* of a repository whose repodata is rendered anew: groups, modules and advisories lie in the tree, or old
//! repodata lists them.
//!
//! A document of the tree goes before one of old repodata, which was made from it. Not part of the specification.

use super::kept::{file, verify};
use super::{RpmSource, Tree, read_small};
use crate::digest::Blob;
use crate::kind::{self, repodata};
use crate::limits;
use crate::model::{Artifact, Described, Kind};
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use crate::source::read::by_ending;
use crate::source::{Found, Origin, Origins, Sink, SourceError, announce};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

/// Types that are taken over and the names that documents of them get.
const TYPES: [(&str, &str); 3] =
    [("group", "comps.xml"), ("modules", "modules.yaml"), ("updateinfo", "updateinfo.xml")];

/// Announces the documents; returns the paths of the files that were looked at.
pub fn survey(
    of: &RpmSource,
    tree: &Tree,
    modular: usize,
    sink: &dyn Sink,
    monitor: &dyn Monitor,
) -> Result<BTreeSet<String>, SourceError> {
    let mut taken = BTreeSet::new();
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for rel in tree.keys().filter(|rel| !rel.starts_with("repodata/") && !rel.contains("/repodata/")) {
        let name = rel.rsplit('/').next().unwrap_or(rel);
        if let Some(doctype) = repodata::known_type(plain_name(name)) {
            found.entry(doctype).or_default().push(rel);
            taken.insert(rel.clone());
        }
    }
    if let Some(listed) = of.listed(tree)? {
        let mut over = vec![];
        for (doctype, _) in TYPES.into_iter().filter(|(doctype, _)| !found.contains_key(doctype)).collect::<Vec<_>>() {
            let compressed = format!("{doctype}_gz");
            let one = [doctype, &compressed].iter().find_map(|t| listed.iter().find(|l| l.doctype == **t));
            if let Some(one) = one {
                let file = file(of, tree, one)?;
                verify(of, file, one, sink)?;
                found.insert(doctype, vec![&file.rel]);
                over.push(doctype);
            }
        }
        let over = if over.is_empty() { "nothing".to_owned() } else { over.join(", ") };
        sink.note(format!("{}: its repodata is rendered anew; taken over from the old: {over}", of.root));
        taken.extend(tree.keys().filter(|rel| rel.starts_with("repodata/")).cloned());
    }
    if modular > 0 && !found.contains_key("modules") {
        sink.note(format!(
            "{}: {modular} rpms belong to modules and no modules.yaml is there: dnf hides them",
            of.root
        ));
    }
    for (doctype, name) in TYPES {
        if let Some(rels) = found.get(doctype) {
            document(of, tree, (doctype, name), rels, sink, monitor)?;
        }
    }
    Ok(taken)
}

/// Announces the document of one type, made of one file or of several.
fn document(
    of: &RpmSource,
    tree: &Tree,
    (doctype, name): (&str, &str),
    rels: &[&str],
    sink: &dyn Sink,
    monitor: &dyn Monitor,
) -> Result<(), SourceError> {
    if let [rel] = rels
        && let Some(file) = tree.get(*rel)
        && plain_name(rel) == *rel
        && !rel.starts_with("repodata/")
    {
        checked(doctype, &file.path)?;
        return announce(of.one(Kind::Repodata, &file.path, rel)?, sink, monitor);
    }
    let mut parts: Vec<Vec<u8>> = vec![];
    for file in rels.iter().filter_map(|rel| tree.get(*rel)) {
        let bytes = checked(doctype, &file.path)?;
        monitor.advance(file.len);
        if !parts.contains(&bytes) {
            parts.push(bytes);
        }
    }
    if parts.len() > 1 && doctype != "modules" {
        let why = format!("a repository has one document of the type {doctype}, and here are {}", rels.join(", "));
        return Err(SourceError::List { path: of.from.clone(), why });
    }
    if rels.len() > 1 {
        sink.note(format!("{}: {} became one {name}", of.root, rels.join(", ")));
    }
    bytes(of, name, merged(parts), sink)
}

/// One YAML stream of several.
fn merged(parts: Vec<Vec<u8>>) -> Vec<u8> {
    let mut parts = parts.into_iter();
    let mut out = parts.next().unwrap_or_default();
    for part in parts {
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        let mut lines = part.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
        match lines.find(|l| !l.is_empty() && !l.starts_with(b"#")) {
            Some(line) if line.starts_with(b"---") => {}
            Some(line) if line.starts_with(b"%") => out.extend(b"...\n"),
            _ => out.extend(b"---\n"),
        }
        out.extend(part);
    }
    out
}

/// Announces a document that was made here.
fn bytes(of: &RpmSource, name: &str, bytes: Vec<u8>, sink: &dyn Sink) -> Result<(), SourceError> {
    let blob = Blob::of(&bytes);
    let file = of.from.join(name);
    let path = RelPath::new(name).map_err(|source| SourceError::Path { path: file.clone(), source })?;
    let artifact = Artifact {
        kind: Kind::Repodata,
        name: name.to_owned(),
        version: None,
        arch: None,
        root: of.root.clone(),
        path: Some(path),
        executable: false,
        blobs: vec![blob],
        labels: vec![],
    };
    let origins = BTreeMap::from([(blob, Origin::Bytes(bytes.into()))]);
    let derived = kind::derive(&artifact, &Origins(&origins)).map_err(SourceError::kind(&file))?;
    sink.found(Found { described: Described { artifact, facts: derived.facts }, origins })
}

/// A name without the ending that says how the file is compressed.
fn plain_name(name: &str) -> &str {
    [".gz", ".bz2", ".xz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// A file's plain bytes, which are a document of that type.
fn checked(doctype: &str, path: &Path) -> Result<Vec<u8>, SourceError> {
    let bytes = unpacked(path)?;
    repodata::check(doctype, &bytes).map_err(SourceError::kind(path))?;
    Ok(bytes)
}

/// A file's plain bytes; how it is compressed is told by its name.
fn unpacked(path: &Path) -> Result<Vec<u8>, SourceError> {
    let limit = limits::REPOSITORY_DOCUMENT;
    let raw = read_small(path, limit)?;
    let mut out = Vec::new();
    by_ending(path, &raw[..])
        .and_then(|d| d.take(limit.saturating_add(1)).read_to_end(&mut out))
        .map_err(SourceError::io(path))?;
    if out.len() as u64 > limit {
        return Err(SourceError::List { path: path.into(), why: format!("it unpacks to more than {limit} bytes") });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_streams_join() {
        let check = |parts: &[&str], expect: &str| {
            let out = merged(parts.iter().map(|p| p.as_bytes().to_vec()).collect());
            assert_eq!(String::from_utf8(out).expect("UTF-8"), expect);
        };
        check(&["---\na: 1\n", "---\nb: 2\n"], "---\na: 1\n---\nb: 2\n");
        check(&["a: 1", "b: 2"], "a: 1\n---\nb: 2");
        check(&["a: 1\n", "# c\n---\nb: 2\n"], "a: 1\n# c\n---\nb: 2\n");
        check(&["a: 1\n", "%YAML 1.2\n---\nb: 2\n"], "a: 1\n...\n%YAML 1.2\n---\nb: 2\n");
    }
}
