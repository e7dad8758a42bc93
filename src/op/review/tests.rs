//! Pages of hostile releases.

use super::*;
use crate::cbor::Bytes;
use crate::digest::Blob;
use crate::format::root::ReleaseRoot;
use crate::model::Artifact;
use crate::op::scan::{Container, Inside, Unopened};
use crate::relpath::RelPath;

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='x'>&amp;\u{202e}\u{1b}]8;;";

fn artifact(kind: Kind, name: &str) -> Described {
    let artifact = Artifact {
        kind,
        name: name.into(),
        version: Some(HOSTILE.into()),
        arch: Some(HOSTILE.into()),
        root: RelPath::new("www").expect("a root"),
        path: Some(RelPath::new("a&amp;'b").expect("a path")),
        executable: true,
        blobs: vec![Blob { digest: Digest::of(b"x"), len: u64::MAX }],
        labels: vec![],
    };
    Described { artifact, facts: Bytes(vec![0xa0]) }
}

fn root(stream: &str) -> ReleaseRoot {
    ReleaseRoot {
        stream: stream.into(),
        epoch: 0,
        sequence: 7,
        version: Some("<b>1</b>".into()),
        totals: vec![Total { kind: Kind::File, artifacts: 1, bytes: u64::MAX }],
        blobs: 1,
        bytes: u64::MAX,
        sections: vec![],
        requires: vec![],
        ext: None,
    }
}

fn opened() -> Opened {
    let (name, digest) = (HOSTILE.to_owned(), Some(Digest::of(b"x")));
    let container =
        Container { kind: Kind::Deb, name: name.clone(), version: Some(name.clone()), digest, artifacts: 1 };
    let (path, mode, link) = (name.clone(), name.clone(), Some(name.clone()));
    let set_id = vec![Inside { container: container.clone(), path, mode, link }];
    let problems = vec![Unopened { container, why: name }];
    Opened { archives: 1, set_id, found: 3, problems, lacking: 4, bounded_by: Some("files"), not_reached: 5 }
}

#[test]
fn hostile_text_is_only_text() {
    let artifacts: Vec<Described> = Kind::ALL.into_iter().map(|k| artifact(k, HOSTILE)).collect();
    let old = [artifact(Kind::Rpm, "gone<i>")];
    let (root, id) = (root("s"), Digest::of(b"id"));
    let new = Side { id, root: &root, artifacts: &artifacts };
    let statements = [Signed { text: format!("{HOSTILE}\n<hr>").into_bytes(), signature: vec![] }];
    let mut r =
        review(new, id, Some(Side { id, root: &root, artifacts: &old }), &statements, &["<gg>".into()], Ok(opened()));
    r.images.push(Runs {
        name: HOSTILE.into(),
        reference: None,
        platform: Some(HOSTILE.into()),
        user: Some(HOSTILE.into()),
        entrypoint: vec![HOSTILE.into()],
        cmd: vec![HOSTILE.into()],
        layers: 1,
    });
    r.set_id.push(SetId { package: HOSTILE.into(), version: None, path: HOSTILE.into(), mode: HOSTILE.into() });
    r.scripts.push(Scripts { item: Item::of(&artifacts[0].artifact), scripts: vec![HOSTILE.into()] });
    r.licences.push(Licence { licence: HOSTILE.into(), artifacts: 1 });
    let (digest, owner) = (Digest::of(b"x"), HOSTILE.to_owned());
    let (key, outcome) = (owner.clone(), owner.clone());
    r.said.push(Said { owner: owner.clone(), key, kind: None, outcome, statement: digest });
    let name = owner.clone();
    r.evidence.push(Claim { owner, kind: "approve", statement: digest, digest, name, bytes: None });
    let page = page(&r);
    for forbidden in ["<script", "<img", "onerror='", "<i>", "<hr", "<b>1", "<gg>", "\u{202e}", "\u{1b}", "alert(1)</s"]
    {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for said in ["could not be opened: ", "4 debs and layers", "5 debs and layers", "bound on files", "2 more files"] {
        assert!(page.contains(said), "{said}");
    }
    // Nothing is loaded from anywhere: no tag has a source or target at all.
    for attribute in [" src=", " href=", "url(", "@import", "<link", "<iframe", "<object", "<form", "<base"] {
        let text = page.replace("&lt;img src=x", "");
        assert!(!text.contains(attribute), "{attribute}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_text_to_sign_is_that_of_approve() {
    let (root, id) = (root("k8s"), Digest::of(b"id"));
    let r = review(Side { id, root: &root, artifacts: &[] }, id, None, &[], &["security".into()], Err(HOSTILE.into()));
    let approve = Approve {
        group: "security".into(),
        identity: seal::identity(&root, id),
        claims: seal::claims(&root),
        terms: Terms { issued: 1_800_000_000, ..Terms::default() },
    };
    let signed = Statement::Approve(approve).render();
    let (mut same, mut lines) = (0, 0);
    for (shown, signed) in r.to_sign[0].lines().zip(signed.lines()) {
        lines += 1;
        same += u32::from(shown == signed);
    }
    assert_eq!(lines - same, 1);
    assert!(r.to_sign[0].contains("issued: (the time of signing)\n"));
}

#[test]
fn the_same_review_gives_the_same_page() {
    let (root, id) = (root("k8s"), Digest::of(b"id"));
    let all = [artifact(Kind::File, "a")];
    let make = || page(&review(Side { id, root: &root, artifacts: &all }, id, None, &[], &[], Err("an index".into())));
    assert_eq!(make(), make());
    assert!(make().contains("id=\"bytes\">18446744073709551615</b>"));
}

#[test]
fn what_nobody_looked_at_is_told() {
    let (root, id) = (root("k8s"), Digest::of(b"id"));
    let r = review(Side { id, root: &root, artifacts: &[] }, id, None, &[], &[], Err(format!("because {HOSTILE}")));
    let page = page(&r);
    assert!(page.contains("in debs and image layers: not looked at") && page.contains("because &quot;"));
    assert!(!page.contains("<script") && r.opened.is_none() && r.not_opened.is_some());
}
