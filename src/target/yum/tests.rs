//! Catalogs that are made here; real rpms are in `tests/interop_yum.rs`.

use super::*;
use crate::cbor::{Bytes, encode};
use crate::digest::Digest;
use crate::kind::file::FileFacts;
use crate::model::{PlanError, ReleaseView, SiteConfig};

fn path(text: &str) -> RelPath {
    RelPath::new(text).expect("a path")
}

fn artifact(kind: Kind, at: &str, content: &str, facts: Vec<u8>) -> Described {
    let artifact = Artifact {
        kind,
        name: at.into(),
        version: None,
        arch: None,
        root: path("www/rpms/r"),
        path: Some(path(at)),
        executable: false,
        blobs: vec![Blob::of(content.as_bytes())],
        labels: vec![],
    };
    Described { artifact, facts: Bytes(facts) }
}

fn document(at: &str, doctype: &str, content: &str) -> Described {
    artifact(Kind::Repodata, at, content, encode(&RepodataFacts { doctype: doctype.into() }))
}

fn file(at: &str) -> Described {
    artifact(Kind::File, at, at, encode(&FileFacts {}))
}

fn rpm(at: &str, content: &str) -> Described {
    let facts = RpmFacts {
        name: "n".into(),
        epoch: 0,
        version: "1".into(),
        release: "1".into(),
        arch: "noarch".into(),
        summary: "<&>".into(),
        description: String::new(),
        packager: String::new(),
        url: String::new(),
        build_time: 0,
        installed_size: 0,
        archive_size: 0,
        license: String::new(),
        vendor: String::new(),
        group: String::new(),
        build_host: String::new(),
        source_rpm: String::new(),
        header_start: 0,
        header_end: 0,
        provides: vec![],
        requires: vec![],
        conflicts: vec![],
        obsoletes: vec![],
        recommends: vec![],
        suggests: vec![],
        supplements: vec![],
        enhances: vec![],
        folders: vec![],
        file_folders: vec![],
        file_names: vec![],
        file_types: Bytes(vec![]),
        changelogs: vec![],
        scripts: vec![],
        setuid: vec![],
        modularity: None,
    };
    artifact(Kind::Rpm, at, content, encode(&facts))
}

/// Releases of streams of their own: whether each is the latest, and its artifacts.
fn planned(releases: Vec<(bool, Vec<Described>)>) -> Result<Plan, TargetError> {
    let view = |(n, (latest, artifacts)): (usize, (bool, Vec<Described>))| ReleaseView {
        stream: format!("s{n}"),
        epoch: 1,
        sequence: 1,
        latest,
        artifacts,
    };
    let catalog = Catalog { releases: releases.into_iter().enumerate().map(view).collect() };
    let (config, mut plan) = (SiteConfig::default(), Plan::new());
    super::plan(&catalog, &Context { config: &config, time: 5 }, &mut plan)?;
    Ok(plan)
}

/// The plan's paths below the repository, digests in them left out.
fn paths(plan: &Plan) -> Vec<String> {
    let short = |p: &RelPath| {
        let rel = p.below(&path("www/rpms/r")).expect("in the repository").to_owned();
        match rel.strip_prefix("repodata/").and_then(|f| f.split_once('-')) {
            Some((digest, name)) if Digest::from_hex(digest).is_ok() => format!("repodata/#-{name}"),
            _ => rel,
        }
    };
    let mut out: Vec<String> = plan.files().map(|(p, _)| short(p)).collect();
    out.sort();
    out
}

const INDEXES: [&str; 4] =
    ["repodata/#-filelists.xml.gz", "repodata/#-other.xml.gz", "repodata/#-primary.xml.gz", "repodata/repomd.xml"];

#[test]
fn only_the_latest_is_listed_and_streams_share_a_repository() {
    let plan = planned(vec![
        (true, vec![rpm("a.rpm", "a"), rpm("same.rpm", "s")]),
        (true, vec![rpm("sub/b.rpm", "b"), rpm("same.rpm", "s")]),
        (false, vec![rpm("old.rpm", "o")]),
    ]);
    let plan = plan.expect("a plan");
    assert_eq!(paths(&plan), [&["a.rpm"], &INDEXES[..], &["same.rpm", "sub/b.rpm"]].concat());
    let named: Vec<bool> = plan.files().map(|(p, e)| e.content_named == p.as_str().contains('-')).collect();
    assert!(named.iter().all(|ok| *ok));
    let repomd = plan.files().find(|(p, _)| p.file_name() == "repomd.xml").map(|(_, e)| e.content.clone());
    let Some(Content::Bytes(repomd)) = repomd else { panic!("repomd.xml is rendered") };
    let listed = crate::kind::repodata::read_repomd(std::str::from_utf8(&repomd).expect("UTF-8")).expect("a list");
    assert_eq!(listed.iter().map(|l| l.doctype.as_str()).collect::<Vec<_>>(), ["primary", "filelists", "other"]);
    assert!(listed.iter().all(|l| plan.contains(&path(&format!("www/rpms/r/{}", l.href)))));
}

#[test]
fn documents_are_served_under_both_names() {
    let documents = vec![document("sub/modules.yaml", "modules", "m"), document("productid.pem", "productid", "p")];
    let plan = planned(vec![(true, documents)]).expect("a plan");
    let more = ["productid.pem", "repodata/#-modules.yaml", "repodata/#-productid.pem", "sub/modules.yaml"];
    let mut expect = [&INDEXES[..], &more].concat();
    expect.sort();
    assert_eq!(paths(&plan), expect);
}

#[test]
fn kept_repodata_is_not_rendered() {
    let plan = planned(vec![(true, vec![file("repodata/repomd.xml"), rpm("a.rpm", "a")])]).expect("a plan");
    assert_eq!(paths(&plan), ["a.rpm"]);
    let elsewhere = planned(vec![(true, vec![file("x/repodata/repomd.xml"), rpm("a.rpm", "a")])]).expect("a plan");
    assert_eq!(paths(&elsewhere), [&["a.rpm"], &INDEXES[..]].concat());
    let old =
        planned(vec![(false, vec![file("repodata/repomd.xml")]), (true, vec![rpm("a.rpm", "a")])]).expect("a plan");
    assert_eq!(paths(&old), [&["a.rpm"], &INDEXES[..]].concat());
}

#[test]
fn contradictions_are_refused() {
    let collision = planned(vec![(true, vec![rpm("a.rpm", "a")]), (true, vec![rpm("a.rpm", "b")])]);
    assert!(matches!(collision, Err(TargetError::Plan(PlanError::Collision { .. }))));
    let two = |b| {
        planned(vec![
            (true, vec![document("comps.xml", "group", "a")]),
            (true, vec![document("c/comps.xml", "group", b)]),
        ])
    };
    assert!(matches!(two("b"), Err(TargetError::Conflict { .. })));
    assert!(two("a").is_ok());
    let lie = artifact(Kind::Rpm, "a.rpm", "a", vec![0xa0]);
    assert!(matches!(planned(vec![(true, vec![lie])]), Err(TargetError::Facts { .. })));
}
