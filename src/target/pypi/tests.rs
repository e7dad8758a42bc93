use super::*;
use crate::cbor::{Bytes, encode as cbor_encode};
use crate::model::{ReleaseView, SiteConfig};

pub(crate) fn artifact(kind: Kind, root: &str, path: &str, bytes: &[u8]) -> crate::model::Artifact {
    crate::model::Artifact {
        kind,
        name: path.into(),
        version: None,
        arch: None,
        root: RelPath::new(root).expect("root"),
        path: Some(RelPath::new(path).expect("path")),
        executable: false,
        blobs: vec![Blob::of(bytes)],
        labels: vec![],
    }
}

/// A catalog of one latest release a stream.
pub(crate) fn catalog(streams: Vec<Vec<Described>>) -> Catalog {
    let release = |(n, artifacts): (usize, Vec<Described>)| ReleaseView {
        stream: format!("s{n}"),
        epoch: 0,
        sequence: 1,
        latest: true,
        artifacts,
    };
    Catalog { releases: streams.into_iter().enumerate().map(release).collect() }
}

/// Renders, giving the rendered texts by path; blobs as their short digest.
pub(crate) fn rendered(
    catalog: &Catalog,
    target: impl Fn(&Catalog, &Context<'_>, &mut Plan) -> Result<(), TargetError>,
) -> Result<BTreeMap<String, String>, TargetError> {
    let (config, mut plan) = (SiteConfig::default(), Plan::new());
    target(catalog, &Context { config: &config, time: 1_700_000_000 }, &mut plan)?;
    let text = |c: &Content| match c {
        Content::Bytes(b) => String::from_utf8(b.clone()).expect("UTF-8"),
        Content::Blob { digest, .. } => digest.short(),
    };
    Ok(plan.files().map(|(p, e)| (p.to_string(), text(&e.content))).collect())
}

fn wheel(project: &str, file: &str, version: &str, bytes: &[u8]) -> Described {
    let facts = WheelFacts {
        project: project.into(),
        name: project.into(),
        version: version.into(),
        build: None,
        tags: "py3-none-any".into(),
        metadata: Blob::of(b"metadata"),
        requires_python: Some(">=3.6,<4".into()),
        requires: vec![],
        summary: None,
        license: None,
    };
    let mut artifact = artifact(Kind::Wheel, "www/pypi", &format!("files/{file}"), bytes);
    artifact.blobs.push(facts.metadata);
    Described { artifact, facts: Bytes(cbor_encode(&facts)) }
}

#[test]
fn pages_and_documents() {
    let mut yanked = wheel("b", "b-10-py3-none-any.whl", "10", b"1");
    yanked.artifact.labels.push(("yanked".into(), "<bad> & \"ugly\"".into()));
    let local = wheel("b", "b-2+c-py3-none-any.whl", "2+c", b"2");
    let files = wheel("files", "files-1-py3-none-any.whl", "1", b"3");
    let out = rendered(&catalog(vec![vec![yanked], vec![local, files]]), plan).expect("plan");
    let page = &out["www/pypi/simple/b/index.html"];
    assert_eq!(page.replace("../../files", "../files"), out["www/pypi/b/index.html"]);
    for part in [
        "<!DOCTYPE html>",
        "href=\"../../files/b-2%2Bc-py3-none-any.whl#sha256=d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35\"",
        "data-requires-python=\"&gt;=3.6,&lt;4\"",
        "data-core-metadata=\"sha256=45447b7afbd5e544f7d0f1df0fccd26014d9850130abd3f020b89ff96b82079f\"",
        "data-yanked=\"&lt;bad&gt; &amp; &quot;ugly&quot;\"",
        ">b-2+c-py3-none-any.whl</a>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(page.find("b-2+c") < page.find("b-10"), "version order");
    let json: Value = serde_json::from_str(&out["www/pypi/simple/b/index.json"]).expect("JSON");
    assert_eq!(json["versions"], json!(["2+c", "10"]));
    assert_eq!(json["files"][0]["url"], "../../files/b-2%2Bc-py3-none-any.whl");
    assert_eq!(json["files"][0].get("yanked"), None);
    assert_eq!(json["files"][1]["yanked"], "<bad> & \"ugly\"");
    assert_eq!(json["files"][1]["size"], 1);
    assert_eq!(out["www/pypi/files/b-10-py3-none-any.whl.metadata"], "45447b7afbd5e544");
    assert!(out["www/pypi/simple/index.html"].contains("<a href=\"files/\">files</a>"));
    assert!(!out["www/pypi/index.html"].contains("files"));
    assert!(!out.contains_key("www/pypi/files/index.html"));
}

#[test]
fn collisions() {
    let one = wheel("b", "b-1-py3-none-any.whl", "1", b"1");
    let same = catalog(vec![vec![one.clone()], vec![one.clone()]]);
    assert!(rendered(&same, plan).is_ok());
    let other = wheel("b", "b-1-py3-none-any.whl", "1", b"2");
    assert!(rendered(&catalog(vec![vec![one.clone()], vec![other.clone()]]), plan).is_err());
    let mut elsewhere = other;
    elsewhere.artifact.path = Some(RelPath::new("more/b-1-py3-none-any.whl").expect("path"));
    let e = rendered(&catalog(vec![vec![one.clone()], vec![elsewhere]]), plan);
    assert!(matches!(e, Err(TargetError::Conflict { .. })));
    let mut lie = one;
    lie.facts = Bytes(vec![0]);
    assert!(matches!(rendered(&catalog(vec![vec![lie]]), plan), Err(TargetError::Facts { .. })));
}
