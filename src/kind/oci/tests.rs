use super::document::*;
use super::*;
use crate::kind::ReadSeek;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;

/// Blobs in memory.
#[derive(Clone, Default)]
struct Memory(BTreeMap<Digest, Vec<u8>>);

impl Memory {
    fn add(&mut self, bytes: impl Into<Vec<u8>>) -> Blob {
        let bytes = bytes.into();
        let blob = Blob::of(&bytes);
        self.0.insert(blob.digest, bytes);
        blob
    }
}

impl BlobReader for Memory {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        let bytes = self.0.get(&blob.digest).ok_or(KindError::MissingBlob(blob.digest))?;
        Ok(Box::new(Cursor::new(&bytes[..])))
    }
    fn find(&self, digest: &Digest) -> Option<Blob> {
        self.0.get(digest).map(|b| Blob { digest: *digest, len: b.len() as u64 })
    }
}

fn descriptor(blob: &Blob, media_type: &str, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#, blob.digest.oci(), blob.len)
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A manifest of one layer and a configuration for `arch`.
fn image(store: &mut Memory, arch: &str) -> Blob {
    let config = store.add(format!(
        r#"{{"os":"linux","architecture":"{arch}","config":{{"User":"7","Entrypoint":["/e"],"Cmd":["a","b"],"Labels":{{"user":"x"}}}}}}"#
    ));
    let layer = store.add(format!("layer {arch}"));
    let (config, layer) = (descriptor(&config, OCI_CONFIG, ""), descriptor(&layer, LAYER, ""));
    store.add(format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[{layer}]}}"#))
}

fn index(store: &mut Memory, children: &[String]) -> Blob {
    store.add(format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, children.join(",")))
}

fn platform(arch: &str) -> String {
    format!(r#","platform":{{"os":"linux","architecture":"{arch}"}}"#)
}

fn why(result: Result<(Derived, ImageFacts), KindError>) -> String {
    result.map(|(d, _)| format!("{} blobs", d.blobs.len())).unwrap_or_else(|e| e.to_string())
}

#[test]
fn an_index_is_walked_depth_first() {
    let mut store = Memory::default();
    let (amd, arm) = (image(&mut store, "amd64"), image(&mut store, "arm64"));
    let statement = store.add(r#"{"_type":"https://in-toto.io/Statement/v0.1"}"#);
    let config = store.add(r#"{"os":"unknown","architecture":"unknown","rootfs":{"type":"layers"}}"#);
    let attestation = store.add(format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}],"subject":{}}}"#,
        descriptor(&config, OCI_CONFIG, ""),
        descriptor(&statement, "application/vnd.in-toto+json", ""),
        descriptor(&amd, OCI_MANIFEST, "")
    ));
    let away = Blob::of(b"not here");
    let top = index(
        &mut store,
        &[
            descriptor(&amd, OCI_MANIFEST, &platform("amd64")),
            descriptor(&arm, OCI_MANIFEST, r#","platform":{"os":"linux","architecture":"arm64","variant":"v8"}"#),
            descriptor(&away, OCI_MANIFEST, &platform("s390x")),
            descriptor(&attestation, OCI_MANIFEST, r#","platform":{"os":"unknown","architecture":"unknown"}"#),
            descriptor(&amd, OCI_MANIFEST, &platform("amd64")),
        ],
    );
    let (derived, facts) = describe(top, &store).expect("describe");
    let of = |m: &ManifestFacts| [m.blob, m.config.as_ref().expect("config").blob, m.layers[0].blob];
    let mut expect = vec![top];
    facts.manifests[1..].iter().for_each(|m| expect.extend(of(m)));
    assert_eq!(derived.blobs, expect);
    assert_eq!(facts.manifests.iter().map(|m| m.blob).collect::<Vec<_>>(), [top, amd, arm, attestation]);
    assert_eq!(derived.arch.as_deref(), Some("linux/amd64,linux/arm64/v8"));
    assert_eq!(facts.absent, [away.digest]);
    assert_eq!(facts.manifests[0].children.len(), 5);
    assert_eq!(facts.manifests[3].subject, Some(amd.digest));
    assert_eq!(facts.manifests[3].media_type, OCI_MANIFEST);
    let runs = facts.manifests[1].runs.as_ref().expect("an image");
    assert_eq!(
        (runs.user.as_deref(), &runs.entrypoint[..], &runs.cmd[..]),
        (Some("7"), &["/e".into()][..], &["a".into(), "b".into()][..])
    );
    assert_eq!(ImageFacts::decode(&derived.facts), Ok(facts));
}

#[test]
fn artifacts_and_docker_forms_are_taken() {
    let mut store = Memory::default();
    let (empty, chart) = (store.add("{}"), store.add("chart"));
    let artifact = store.add(format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","artifactType":"application/x","config":{},"layers":[{}]}}"#,
        descriptor(&empty, "application/vnd.oci.empty.v1+json", r#","data":"e30=""#),
        descriptor(&chart, "application/x", ""),
    ));
    let (derived, facts) = describe(artifact, &store).expect("artifact");
    assert_eq!((derived.arch, facts.manifests[0].runs.clone()), (None, None));
    assert_eq!(facts.manifests[0].artifact_type.as_deref(), Some("application/x"));

    let config = store.add(r#"{"os":"linux","architecture":"arm","variant":"v7","config":null}"#);
    let foreign = Blob::of(b"foreign");
    let v2s2 = store.add(format!(
        r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}","config":{},"layers":[{}]}}"#,
        descriptor(&config, DOCKER_CONFIG, ""),
        descriptor(&foreign, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", r#","urls":["https://x"]"#),
    ));
    let list = store.add(format!(
        r#"{{"schemaVersion":2,"mediaType":"{DOCKER_LIST}","manifests":[{}]}}"#,
        descriptor(&v2s2, DOCKER_MANIFEST, &platform("arm"))
    ));
    let (derived, facts) = describe(list, &store).expect("list");
    assert_eq!(derived.blobs, [list, v2s2, config]);
    assert_eq!(facts.absent, [foreign.digest]);
    assert_eq!(facts.manifests[1].runs.as_ref().and_then(|r| r.platform.as_deref()), Some("linux/arm/v7"));
    let empty = index(&mut store, &[]);
    assert_eq!(why(describe(empty, &store)), "1 blobs");
}

#[test]
fn what_is_missing_or_lies_is_refused() {
    let mut store = Memory::default();
    let top = image(&mut store, "amd64");
    let (_, facts) = describe(top, &store).expect("describe");
    for part in facts.manifests[0].layers.iter().chain(&facts.manifests[0].config) {
        let mut less = store.clone();
        less.0.remove(&part.blob.digest);
        assert_eq!(why(describe(top, &less)), format!("the blob {} that it refers to is missing", part.blob.digest));
        let mut longer = store.clone();
        longer.0.get_mut(&part.blob.digest).expect("blob").push(b' ');
        assert!(why(describe(top, &longer)).contains("the size in a descriptor"));
    }
    let mut liar = store.clone();
    let flipped = liar.0.get_mut(&top.digest).expect("blob");
    flipped.reverse();
    assert!(why(describe(top, &liar)).contains("the digest of a document"));
    // An index whose children are all away, one that calls a manifest an index, one that calls itself its child.
    let away = Blob::of(b"away");
    let all_away = index(&mut store, &[descriptor(&away, OCI_MANIFEST, "")]);
    assert!(why(describe(all_away, &store)).contains("is missing"));
    let confused = index(&mut store, &[descriptor(&top, OCI_INDEX, "")]);
    assert!(why(describe(confused, &store)).contains("media type"));
    let mut circle = Memory::default();
    let itself = Blob { digest: Digest([7; 32]), len: 0 };
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, descriptor(&itself, OCI_INDEX, ""));
    let len = text.len() as u64;
    circle.0.insert(itself.digest, text.into_bytes());
    assert!(why(describe(Blob { len, ..itself }, &circle)).contains("disagree"));
    let mut deep = top;
    for _ in 0..=limits::INDEX_DEPTH {
        let kind = if deep == top { OCI_MANIFEST } else { OCI_INDEX };
        deep = index(&mut store, &[descriptor(&deep, kind, "")]);
    }
    assert!(why(describe(deep, &store)).contains("nesting"));
    let large = store.add(vec![b' '; usize::try_from(limits::OCI_DOCUMENT).expect("small") + 1]);
    assert!(why(describe(large, &store)).contains("at most"));
}

#[test]
fn names_are_checked_where_images_are_installed() {
    let mut store = Memory::default();
    let top = image(&mut store, "amd64");
    let check = |name: &str, ok: bool| {
        let artifact = Artifact {
            kind: crate::model::Kind::Image,
            name: name.into(),
            version: None,
            arch: None,
            root: crate::relpath::RelPath::new("registry").expect("a path"),
            path: None,
            executable: false,
            blobs: vec![top],
            labels: vec![],
        };
        assert_eq!(derive(&artifact, &store).is_ok(), ok, "{name}");
    };
    check("a/b:1", true);
    check(&format!("a@{}", top.digest.oci()), true);
    check(&format!("a@{}", Digest([0; 32]).oci()), false);
    check("A:1", false);
    check("a", false);
}

#[test]
fn what_is_absent_is_a_matter_of_the_release() {
    let mut store = Memory::default();
    let (amd, arm) = (image(&mut store, "amd64"), image(&mut store, "arm64"));
    let children = [amd, arm].map(|m| descriptor(&m, OCI_MANIFEST, ""));
    let top = index(&mut store, &children);
    let mut sparse = store.clone();
    sparse.0.remove(&arm.digest);
    let (described, _) = describe(top, &sparse).expect("describe");
    let artifact = |blobs: Vec<Blob>| Artifact {
        kind: crate::model::Kind::Image,
        name: "a:1".into(),
        version: None,
        arch: None,
        root: crate::relpath::RelPath::new("registry").expect("a path"),
        path: None,
        executable: false,
        blobs,
        labels: vec![],
    };
    // The site has the other child from another image; the facts do not change.
    assert_eq!(derive(&artifact(described.blobs.clone()), &store).expect("derive"), described);
    assert_ne!(derive(&artifact(vec![top]), &store).expect("derive"), described);
}

#[test]
fn documents_that_can_be_misread_are_refused() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let part = format!(r#"{{"mediaType":"m","digest":"{digest}","size":1}}"#);
    let manifest = |fields: &str| format!(r#"{{"schemaVersion":2,"config":{part}{fields}}}"#);
    let check = |text: &str, expect: &str| {
        let got = Document::parse(text.as_bytes()).map(|_| "taken".to_owned()).unwrap_or_else(|e| e.to_string());
        assert!(got.contains(expect), "{text}: {got}");
    };
    check(&manifest(""), "taken");
    check(&manifest(r#","layers":[],"x":[{"y":null}],"annotations":{"Size":"1","size":"2"}"#), "taken");
    check(&manifest(r#","manifests":[]"#), "both manifests");
    check(r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "both manifests");
    check(&manifest(&format!(r#","mediaType":"{OCI_INDEX}""#)), "which it says it is");
    check(&format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","manifests":[]}}"#), "which it says it is");
    check(&manifest(r#","mediaType":"text/plain""#), "not supported");
    check(&manifest(r#","mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws""#), "schema 1");
    check(r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1");
    check(&format!(r#"{{"config":{part}}}"#), "schemaVersion");
    check(&manifest(r#","schemaVersion":2"#), "twice");
    check(&manifest(r#","x":{"a":1,"a":2}"#), "twice");
    check(&manifest(r#","annotations":{"a":"1","a":"2"}"#), "twice");
    check(&manifest(r#","Layers":[]"#), "could be taken for");
    check(&manifest(r#","layer\u017f":[]"#), "could be taken for");
    check(&manifest(r#","subject":{"digest":"x","size":1}"#), "SHA-256");
    check(&manifest("").replace("sha256:0", "sha512:0"), "sha512 digest");
    check(&manifest("").replace("sha256:0", "sha256:../0"), "SHA-256");
    check(&manifest("").replace("\"size\":1", "\"size\":-1"), "malformed");
    check(&manifest("").replace("\"size\":1", "\"size\":1e3"), "malformed");
    check(&manifest("").replace("\"size\":1", "\"size\":99999999999999999999"), "malformed");
    check(&(manifest("") + "{}"), "malformed");
    check(&format!(r#"{{"schemaVersion":2,"x":{}}}"#, "[".repeat(100_000)), "malformed");
    check("[]", "malformed");
    check("", "malformed");
    let word = |w: &str| format!(r#"{{"os":"linux","architecture":"{w}"}}"#);
    assert!(Config::parse(word("amd64").as_bytes()).is_ok());
    assert!(Config::parse(word("a,b").as_bytes()).is_err());
    assert!(Config::parse(br#"{"config":{"user":"root"}}"#).is_err());
    assert!(Config::parse(br#"{"config":{"Labels":{"user":"root"}}}"#).is_ok());
}

/// Every byte of every document of an image, changed: never a panic, and never the same facts.
#[test]
fn mutations_are_noticed() {
    let mut store = Memory::default();
    let amd = image(&mut store, "amd64");
    let top = index(&mut store, &[descriptor(&amd, OCI_MANIFEST, &platform("amd64"))]);
    let (good, _) = describe(top, &store).expect("describe");
    let text = store.0[&top.digest].clone();
    for at in 0..text.len() {
        for change in [0x01u8, 0x20, 0x80] {
            let mut bytes = text.clone();
            bytes[at] ^= change;
            let mut store = store.clone();
            let top = store.add(bytes.clone());
            if let Ok((derived, _)) = describe(top, &store) {
                assert_ne!(derived.facts, good.facts);
            }
        }
        let top = store.add(&text[..at]);
        assert!(describe(top, &store).is_err(), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
        let _ = Document::parse(&bytes);
        let _ = Config::parse(&bytes);
    }

    #[test]
    fn any_name_is_parsed_or_refused(text: String) {
        if let Ok(name) = ImageName::parse(&text) {
            prop_assert_eq!(name.to_string(), text);
        }
    }
}
