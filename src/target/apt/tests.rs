use super::*;
use crate::cbor::{Bytes, encode};
use crate::kind::deb::{facts, sample};
use crate::model::{Described, ReleaseView, SiteConfig};

const ROOT: &str = "www/debs/local";

fn path(text: &str) -> RelPath {
    RelPath::new(text).expect("path")
}

fn control(name: &str, version: &str, more: &str) -> String {
    format!("Description: d\n more\nPackage: {name}\nX-Late: 1\nVersion: {version}\nArchitecture: amd64\n{more}")
}

fn deb(at: &str, name: &str, version: &str, more: &str) -> Described {
    let bytes = sample::deb(control(name, version, more).as_bytes());
    let facts = facts(&mut std::io::Cursor::new(&bytes), bytes.len() as u64).expect("facts");
    let artifact = Artifact {
        kind: Kind::Deb,
        name: name.into(),
        version: Some(version.into()),
        arch: Some("amd64".into()),
        root: path(ROOT),
        path: Some(path(at)),
        executable: false,
        blobs: vec![Blob::of(&bytes)],
        labels: vec![],
    };
    Described { artifact, facts: Bytes(encode(&facts)) }
}

fn file(root: &str, at: &str) -> Described {
    let mut d = deb(at, "file", "1", "");
    d.artifact.kind = Kind::File;
    d.artifact.root = path(root);
    d
}

fn render(latest: Vec<Described>, older: Vec<Described>) -> Result<Plan, TargetError> {
    let view = |sequence, latest, artifacts| ReleaseView { stream: "s".into(), epoch: 1, sequence, latest, artifacts };
    let catalog = Catalog { releases: vec![view(2, true, latest), view(1, false, older)] };
    let config = SiteConfig::default();
    let mut out = Plan::new();
    plan(&catalog, &Context { config: &config, time: 1_700_000_000 }, &mut out)?;
    Ok(out)
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.files().map(|(p, _)| p.below(&path(ROOT)).expect("below")).collect()
}

fn text(plan: &Plan, name: &str) -> String {
    let (_, entry) = plan.files().find(|(p, _)| p.as_str() == format!("{ROOT}/{name}")).expect(name);
    match &entry.content {
        Content::Bytes(b) => String::from_utf8(b.clone()).expect("text"),
        Content::Blob { .. } => panic!("{name} is a blob"),
    }
}

#[test]
fn renders_a_flat_repository() {
    let jq = deb("pkgs/jq_1%3a1.6_amd64.deb", "jq", "1:1.6", "Section: utils\nSize: 1\nsha256: x\nDepends:\n");
    let blob = jq.artifact.blobs[0];
    let old = deb("pkgs/old.deb", "old", "1", "");
    let p = render(vec![jq], vec![old]).expect("plan");
    let packages = text(&p, "Packages");
    let expected = format!(
        "Package: jq\nVersion: 1:1.6\nArchitecture: amd64\nDepends:\nFilename: ./pkgs/jq_1%3a1.6_amd64.deb\nSize: {}\n\
         SHA256: {}\nSection: utils\nDescription: d\n more\nX-Late: 1\n\n",
        blob.len, blob.digest
    );
    assert_eq!(packages, expected);
    let hash = Blob::of(packages.as_bytes()).digest;
    let gz = gzip(packages.as_bytes());
    assert_eq!(&gz[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], "no name, time or host");
    let gz = Blob::of(&gz);
    let mut expected = vec![
        "Packages".to_owned(),
        "Packages.gz".into(),
        "Release".into(),
        format!("by-hash/SHA256/{hash}"),
        format!("by-hash/SHA256/{}", gz.digest),
        "pkgs/jq_1%3a1.6_amd64.deb".into(),
    ];
    expected.sort();
    assert_eq!(names(&p), expected);
    assert!(p.files().all(|(path, e)| e.content_named == path.as_str().contains("by-hash")));
    assert_eq!(
        text(&p, "Release"),
        format!(
            "Origin: pouch\nLabel: local\nSuite: local\nDate: Tue, 14 Nov 2023 22:13:20 GMT\nArchitectures: amd64\n\
             Acquire-By-Hash: yes\nSHA256:\n {hash} {} Packages\n {} {} Packages.gz\n",
            packages.len(),
            gz.digest,
            gz.len
        )
    );
}

#[test]
fn order_and_release_do_not_matter() {
    let all = || vec![deb("b.deb", "bb", "1", ""), deb("a.deb", "cc", "2", ""), deb("c.udeb", "aa", "1", "")];
    let p = render(all(), vec![]).expect("plan");
    let mut turned = all();
    turned.reverse();
    let q = render(turned, vec![]).expect("plan");
    assert!(p.files().eq(q.files()));
    let packages = text(&p, "Packages");
    let listed: Vec<&str> = packages.lines().filter_map(|l| l.strip_prefix("Filename: ")).collect();
    assert_eq!(listed, ["./b.deb", "./a.deb"], "by name; the udeb is placed and not listed");
    assert!(names(&p).contains(&"c.udeb"));
}

#[test]
fn duplicates_and_conflicts() {
    let p = render(vec![deb("a/x.deb", "xx", "1", ""), deb("b/x.deb", "xx", "1", "")], vec![]).expect("same bytes");
    assert_eq!(text(&p, "Packages").matches("Package:").count(), 1);
    assert!(names(&p).contains(&"a/x.deb") && names(&p).contains(&"b/x.deb"));
    let other = render(vec![deb("a/x.deb", "xx", "1", ""), deb("b/x.deb", "xx", "1", "Section: y\n")], vec![]);
    assert!(matches!(other, Err(TargetError::Conflict { .. })), "{other:?}");
    assert!(render(vec![deb("a/x.deb", "xx", "1", ""), deb("b/x.deb", "xx", "2", "")], vec![]).is_ok());
}

#[test]
fn own_lists_are_left_alone() {
    let check = |f: Described, rendered: bool| {
        let place = f.artifact.place();
        let p = render(vec![deb("x.deb", "xx", "1", ""), f], vec![]).expect("plan");
        assert_eq!(names(&p).contains(&"Packages"), rendered, "{place:?}");
        assert!(names(&p).contains(&"x.deb"));
    };
    check(file(ROOT, "InRelease"), false);
    check(file(ROOT, "Release"), false);
    check(file(ROOT, "dists/bookworm/InRelease"), false);
    check(file("www/debs", "local/dists/bookworm/InRelease"), false);
    check(file(ROOT, "key.asc"), true);
    check(file(ROOT, "sub/Release"), true);
    check(file("www/debs/local2", "Release"), true);
    let p = render(vec![deb("x.deb", "xx", "1", "")], vec![file(ROOT, "Release")]).expect("plan");
    assert!(names(&p).contains(&"Packages"), "an older release's lists do not count");
}

#[test]
fn dates_never_fail() {
    assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert!(date(i64::MAX).ends_with("GMT") && date(i64::MIN).ends_with("GMT"));
}
