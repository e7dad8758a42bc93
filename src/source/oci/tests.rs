use super::*;
use crate::class::{Class, Classified as _};
use crate::kind::oci::document::{DOCKER_LIST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use crate::monitor::Silent;
use crate::source::{Collected, Compression, Origins};
use ::tar::{EntryType, Header};
use std::fs;
use std::io::Write as _;

fn run(source: &OciSource) -> Result<(Vec<Found>, Vec<String>), SourceError> {
    let kept = Collected::default();
    source.survey(&kept, &Silent)?;
    Ok(kept.into_parts())
}

fn source(from: &[&Path]) -> OciSource {
    OciSource { from: from.iter().map(|p| p.to_path_buf()).collect(), ..OciSource::default() }
}

/// The names found, or all that is said about why not.
fn names(source: &OciSource) -> Result<Vec<String>, String> {
    match run(source) {
        Ok((found, _)) => Ok(found.into_iter().map(|f| f.described.artifact.name).collect()),
        Err(e) => {
            let mut text = e.to_string();
            let mut at: &dyn std::error::Error = &e;
            while let Some(source) = at.source() {
                text = format!("{text}: {source}");
                at = source;
            }
            Err(text)
        }
    }
}

fn refused(archive: &Path, why: &str) {
    let got = names(&source(&[archive]));
    let text = got.as_ref().err().map(String::as_str).unwrap_or("it was taken");
    assert!(text.contains(why), "{why:?} not in {text:?}");
}

/// A tar that is put together by hand, so that it can be wrong.
#[derive(Clone, Default)]
struct Made(Vec<u8>);

impl Made {
    fn raw(&mut self, name: &str, kind: EntryType, link: &str, size: u64, body: &[u8]) -> &mut Made {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_link_name_literal(link).expect("link");
        header.set_size(size);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }
    fn file(&mut self, name: &str, body: impl AsRef<[u8]>) -> &mut Made {
        let body = body.as_ref();
        self.raw(name, EntryType::Regular, "", body.len() as u64, body)
    }
    fn link(&mut self, name: &str, kind: EntryType, to: &str) -> &mut Made {
        self.raw(name, kind, to, 0, b"")
    }
    fn end(&self) -> Vec<u8> {
        [&self.0[..], &[0; 1024]].concat()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("gzip");
    out.finish().expect("gzip")
}

fn oci(bytes: &[u8]) -> String {
    Digest::of(bytes).oci()
}

fn config_of(layers: &[&[u8]]) -> String {
    let ids: Vec<String> = layers.iter().map(|l| format!("{:?}", oci(l))).collect();
    format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#, ids.join(","))
}

fn table(config: &str, tags: &str, layers: &[&str]) -> String {
    format!(r#"[{{"Config":"{config}","RepoTags":[{tags}],"Layers":{layers:?}}}]"#)
}

/// A docker-archive of one layer.
fn docker(tag: &str, layer: &[u8]) -> Made {
    let config = config_of(&[layer]);
    let mut out = Made::default();
    out.file("layer.tar", layer).file("config.json", &config);
    out.file("manifest.json", table("config.json", &format!("{tag:?}"), &["layer.tar"]));
    out
}

fn descriptor(bytes: &[u8], media_type: &str, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#, oci(bytes), bytes.len())
}

fn annotated(key: &str, value: &str) -> String {
    format!(r#","annotations":{{"{key}":"{value}"}}"#)
}

/// Files of an OCI layout.
#[derive(Clone, Default)]
struct Layout {
    blobs: BTreeMap<String, Vec<u8>>,
    index: Vec<String>,
}

impl Layout {
    fn blob(&mut self, bytes: impl Into<Vec<u8>>) -> Vec<u8> {
        let bytes = bytes.into();
        self.blobs.insert(format!("blobs/sha256/{}", Digest::of(&bytes).hex()), bytes.clone());
        bytes
    }
    fn image(&mut self, arch: &str, more: &str) -> Vec<u8> {
        let config = self.blob(format!(r#"{{"os":"linux","architecture":"{arch}"}}"#));
        let layer = self.blob(gzip(format!("layer for {arch}").as_bytes()));
        let (config, layer) = (
            descriptor(&config, OCI_CONFIG, ""),
            descriptor(&layer, "application/vnd.oci.image.layer.v1.tar+gzip", ""),
        );
        self.blob(format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[{layer}]{more}}}"#
        ))
    }
    fn list(&mut self, manifest: &[u8], media_type: &str, more: &str) {
        self.index.push(descriptor(manifest, media_type, more));
    }
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut out = self.blobs.clone();
        out.insert("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        out.insert(
            "index.json".into(),
            format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, self.index.join(",")).into(),
        );
        out
    }
    fn tar(&self) -> Made {
        let mut out = Made::default();
        self.files().iter().for_each(|(name, bytes)| {
            out.file(name, bytes);
        });
        out
    }
    fn folder(&self, at: &Path) {
        for (name, bytes) in self.files() {
            let to = at.join(name);
            fs::create_dir_all(to.parent().expect("parent")).expect("mkdir");
            fs::write(to, bytes).expect("write");
        }
    }
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("tempdir")
}

fn write(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("write");
    path
}

const TAGGED: &str = "io.containerd.image.name";
const REF: &str = "org.opencontainers.image.ref.name";

#[test]
fn a_docker_archive_is_taken_in_any_compression() {
    let dir = scratch();
    let tar = docker("registry.k8s.io/pause:3.10", b"a layer").end();
    let members = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
    let zstd = zstd::encode_all(&tar[..], 1).expect("zstd");
    let mut digests = BTreeSet::new();
    for (name, bytes, compression) in [
        ("a.tar", &tar, Compression::None),
        ("a.tar.gz", &gzip(&tar), Compression::Gzip),
        ("b.tar.gz", &members, Compression::Gzip),
        ("a.tar.zst", &zstd, Compression::Zstd),
    ] {
        let path = write(&dir, name, bytes);
        let (found, notes) = run(&source(&[&path])).expect("survey");
        assert_eq!((found.len(), notes.len()), (1, 1));
        let artifact = &found[0].described.artifact;
        assert_eq!(artifact.name, "pause:3.10");
        assert_eq!(artifact.label("origin"), Some("registry.k8s.io/pause:3.10"));
        assert_eq!(artifact.arch.as_deref(), Some("linux/amd64"));
        let layer = Blob::of(b"a layer");
        let at = Origin::Member { archive: path, compression, offset: 512 };
        assert_eq!(found[0].origins.get(&layer), Some(&at));
        assert!(
            artifact.blobs.iter().filter(|b| **b != layer).all(|b| matches!(found[0].origins[b], Origin::Bytes(_)))
        );
        let again = crate::kind::derive(artifact, &Origins(&found[0].origins)).expect("derive");
        assert_eq!(again.facts, found[0].described.facts);
        digests.insert(artifact.blobs[0].digest);
    }
    assert_eq!(digests.len(), 1);
}

#[test]
fn layers_may_be_links_or_compressed() {
    let dir = scratch();
    let (one, two): (&[u8], &[u8]) = (b"layer one", b"layer two");
    let mut tar = Made::default();
    tar.file("./x/layer.tar", one).link("y/layer.tar", EntryType::Symlink, "../x/layer.tar");
    tar.link("z/layer.tar", EntryType::Link, "y/layer.tar").file("two.tar.gz", gzip(two));
    tar.link("three.tar.gz", EntryType::Symlink, "two.tar.gz");
    let config = config_of(&[one, one, two, one, two]);
    let name = format!("sha256:{}", Digest::of(config.as_bytes()).hex());
    tar.file(&name, &config);
    let layers = ["x/layer.tar", "y/layer.tar", "two.tar.gz", "z/layer.tar", "three.tar.gz"];
    tar.file("manifest.json", table(&name, r#""a/b:1""#, &layers));
    let path = write(&dir, "a.tar.gz", &gzip(&tar.end()));
    let (found, _) = run(&source(&[&path])).expect("survey");
    let facts = ImageFacts::decode(&found[0].described.facts).expect("facts");
    let gz = |l: &crate::kind::oci::Part| l.media_type.ends_with(".tar.gzip");
    assert_eq!(facts.manifests[0].layers.iter().map(gz).collect::<Vec<_>>(), [false, false, true, false, true]);
    assert_eq!(found[0].described.artifact.blobs.len(), 4);
}

#[test]
fn a_layout_keeps_its_digests_wherever_it_lies() {
    let dir = scratch();
    let mut layout = Layout::default();
    let (amd, arm) = (layout.image("amd64", ""), layout.image("arm64", ""));
    let platform = |a: &str| format!(r#","platform":{{"os":"linux","architecture":"{a}"}}"#);
    let about = annotated("vnd.docker.reference.digest", &oci(&arm));
    let attestation = layout.image("unknown", "");
    let children = [
        descriptor(&amd, OCI_MANIFEST, &platform("amd64")),
        descriptor(&arm, OCI_MANIFEST, &platform("arm64")),
        descriptor(
            &attestation,
            OCI_MANIFEST,
            &format!(r#"{about},"platform":{{"os":"unknown","architecture":"unknown"}}"#),
        ),
    ];
    let top =
        layout.blob(format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, children.join(",")));
    layout.list(&top, OCI_INDEX, &annotated(TAGGED, "quay.io/a/b:1"));
    layout.list(&top, OCI_INDEX, &annotated(REF, "quay.io/a/b:2"));
    layout.blob("of no image");
    let folder = dir.path().join("layout");
    layout.folder(&folder);
    let mut both = layout.tar();
    let config = format!("blobs/sha256/{}", Digest::of(br#"{"os":"linux","architecture":"amd64"}"#).hex());
    both.file("manifest.json", table(&config, r#""other/name:1""#, &["whatever"]));
    let archive = write(&dir, "a.tar.gz", &gzip(&both.end()));
    for from in [&folder, &archive] {
        let (found, notes) = run(&source(&[from])).expect("survey");
        let tops: Vec<_> =
            found.iter().map(|f| (f.described.artifact.name.as_str(), f.described.artifact.blobs[0])).collect();
        assert_eq!(tops, [("a/b:1", Blob::of(&top)), ("a/b:2", Blob::of(&top))]);
        assert_eq!(found[0].described.artifact.blobs.len(), 10);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("one blob"), "{notes:?}");
    }
    // The same twice is once; a selection keeps the digest and leaves children out.
    assert_eq!(names(&source(&[&folder, &archive])).expect("names").len(), 2);
    let some = OciSource { platforms: vec!["linux/amd64".into()], ..source(&[&folder]) };
    let (found, _) = run(&some).expect("survey");
    let facts = ImageFacts::decode(&found[0].described.facts).expect("facts");
    assert_eq!(facts.manifests[0].blob, Blob::of(&top));
    assert_eq!(facts.absent, [Digest::of(&arm), Digest::of(&attestation)]);
    assert!(names(&OciSource { platforms: vec!["linux/s390x".into()], ..source(&[&folder]) }).is_err());
}

#[test]
fn names_come_from_annotations_then_lists_then_the_user() {
    let dir = scratch();
    let mut layout = Layout::default();
    let image = layout.image("amd64", "");
    let about = format!(r#","subject":{}"#, descriptor(&image, OCI_MANIFEST, ""));
    let referrer = layout.image("unknown", &about);
    let folder = dir.path().join("quay.io_a_b-1");
    let check = |layout: &Layout, naming: Naming, expect: Result<&[&str], &str>| {
        layout.folder(&folder);
        let got = names(&OciSource { naming, ..source(&[&folder]) });
        match (got, expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect),
            (Err(got), Err(expect)) => assert!(got.contains(expect), "{got}"),
            (got, expect) => panic!("{got:?} instead of {expect:?}"),
        }
    };
    let lists = || Naming { lists: vec!["quay.io/a/b:1".into()], ..Naming::default() };
    let explicit = || Naming { explicit: Some("quay.io/c:2".into()), ..lists() };
    let mut bare = layout.clone();
    bare.list(&image, OCI_MANIFEST, "");
    check(&bare, Naming::default(), Err("nothing says the name"));
    check(&bare, lists(), Ok(&["a/b:1"]));
    check(&bare, explicit(), Ok(&["c:2"]));
    let mut tagged = layout.clone();
    tagged.list(&image, OCI_MANIFEST, &annotated(REF, "latest"));
    check(&tagged, lists(), Ok(&["a/b:1"]));
    let mut full = layout.clone();
    full.list(&image, OCI_MANIFEST, &annotated(TAGGED, "ghcr.io/x/y:1"));
    full.list(&referrer, OCI_MANIFEST, "");
    let by_digest = format!("x/y@{}", oci(&referrer));
    check(&full, lists(), Ok(&["x/y:1", &by_digest]));
    let by_digest = format!("c@{}", oci(&referrer));
    check(&full, explicit(), Ok(&["c:2", &by_digest]));
    check(
        &full,
        Naming { keep_host: true, ..Naming::default() },
        Ok(&["ghcr.io/x/y:1", &by_digest.replace("c@", "ghcr.io/x/y@")]),
    );
    let mut bad = layout.clone();
    bad.list(&image, OCI_MANIFEST, &annotated(TAGGED, "ghcr.io/X/y:1"));
    check(&bad, Naming::default(), Err("upper-case"));
}

#[test]
fn two_images_cannot_have_one_name() {
    let dir = scratch();
    let one = write(&dir, "1.tar", &docker("quay.io/a:v1", b"1").end());
    let check = |tag: &str, layer: &[u8], expect: Result<usize, &str>| {
        let two = write(&dir, "2.tar", &docker(tag, layer).end());
        let got = names(&source(&[&two, &one])).map(|n| n.len());
        match (got, expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect),
            (Err(got), Err(expect)) => {
                assert!(got.contains(expect) && got.contains("1.tar") && got.contains("2.tar"), "{got}")
            }
            (got, expect) => panic!("{got:?} instead of {expect:?}"),
        }
    };
    check("ghcr.io/a:v1", b"2", Err("would both be served as a:v1"));
    check("ghcr.io/a:V1", b"1", Err("would both be served"));
    check("ghcr.io/a:v1", b"1", Ok(1));
    check("ghcr.io/a:v2", b"2", Ok(2));
}

#[test]
fn folders_are_searched_and_order_does_not_matter() {
    let dir = scratch();
    let mut layout = Layout::default();
    let image = layout.image("amd64", "");
    layout.list(&image, OCI_MANIFEST, &annotated(TAGGED, "z:1"));
    layout.folder(&dir.path().join("images/oci/z"));
    write(&dir, "images/a.tar.gz", &gzip(&docker("a:1", b"a").end()));
    write(&dir, "images/b.tar", &docker("b:1", b"b").end());
    write(&dir, "images/images.list", b"z:1\n");
    let expect = ["library/a:1", "library/b:1", "library/z:1"];
    assert_eq!(names(&source(&[dir.path()])).expect("names"), expect);
    let images = dir.path().join("images");
    let (b, oci) = (images.join("b.tar"), images.join("oci"));
    assert_eq!(names(&source(&[&oci, &b, &images])).expect("names"), expect);
}

#[test]
fn hostile_layouts_are_refused() {
    let dir = scratch();
    let mut good = Layout::default();
    let image = good.image("amd64", "");
    good.list(&image, OCI_MANIFEST, &annotated(TAGGED, "a:1"));
    let check = |layout: &Layout, why: &str| refused(&write(&dir, "x.tar", &layout.tar().end()), why);
    assert!(names(&source(&[&write(&dir, "x.tar", &good.tar().end())])).is_ok());
    for name in good.blobs.keys() {
        let mut less = good.clone();
        less.blobs.remove(name);
        check(&less, "missing");
        let mut lie = good.clone();
        lie.blobs.insert(name.clone(), b"{}".to_vec());
        check(&lie, "a blob's name and its bytes disagree");
    }
    let with = |index: String| Layout { index: vec![index], ..good.clone() };
    check(&with(descriptor(&image, DOCKER_LIST, "")), "media type");
    check(&with(descriptor(&image, OCI_MANIFEST, "").replace("\"size\":", "\"size\":1")), "size");
    check(&with(descriptor(&image, OCI_MANIFEST, "").replace("sha256", "sha512")), "sha512");
    let mut tar = good.tar();
    tar.file("oci-layout", "{}");
    refused(&write(&dir, "x.tar", &tar.end()), "twice");
}

#[test]
fn hostile_docker_archives_are_refused() {
    let dir = scratch();
    let layer: &[u8] = b"layer";
    let config = config_of(&[layer]);
    let check = |build: &dyn for<'a> Fn(&'a mut Made) -> &'a mut Made, why: &str| {
        let mut tar = Made::default();
        build(&mut tar);
        refused(&write(&dir, "x.tar", &tar.end()), why);
    };
    let rows = |layers: &[&str]| table("c.json", r#""a:1""#, layers);
    check(&|t| t.file("c.json", &config).file("manifest.json", rows(&["l"])), "\"l\" is not in it");
    check(&|t| t.file("l", "other").file("c.json", &config).file("manifest.json", rows(&["l"])), "diff id");
    check(&|t| t.file("l", gzip(b"other")).file("c.json", &config).file("manifest.json", rows(&["l"])), "diff id");
    check(
        &|t| t.file("l", layer).file("c.json", &config).file("manifest.json", rows(&["l", "l"])),
        "numbers of layers",
    );
    check(&|t| t.file("manifest.json", rows(&[])), "c.json");
    check(&|t| t.file("readme", "x"), "it holds no image");
    check(&|t| t.file("manifest.json", "[]"), "it holds no image");
    check(&|t| t.file("manifest.json", "not json"), "not JSON");
    check(&|t| t.file("manifest.json", r#"[{"Config":"a","config":"b"}]"#), "could be taken for");
    let lie = format!("{}.json", "0".repeat(64));
    let named = table(&lie, r#""a:1""#, &[]);
    check(&|t| t.file(&lie, config_of(&[])).file("manifest.json", &named), "name of an image configuration");
    let dir2 = scratch();
    let no_tags = r#"[{"Config":"c.json","RepoTags":null,"Layers":["l"]}]"#;
    let mut tar = Made::default();
    tar.file("l", layer).file("c.json", &config).file("manifest.json", no_tags);
    refused(&write(&dir2, "x.tar", &tar.end()), "nothing says the name");
    check(
        &|t| t.file("c.json", &config).link("l", EntryType::Symlink, "l").file("manifest.json", rows(&["l"])),
        "circles",
    );
    for (name, to) in [("l", "../../etc/passwd"), ("l", "/etc/passwd"), ("a/l", "../../x")] {
        check(&|t| t.link(name, EntryType::Symlink, to), "leaves the archive");
    }
    check(&|t| t.link("l", EntryType::Link, "../x"), "leaves the archive");
    check(&|t| t.file("../l", layer), "leaves the archive");
    check(&|t| t.file("/l", layer), "leaves the archive");
    check(&|t| t.file("l", layer).file("./l", layer), "twice");
    check(&|t| t.file("l", layer).link("l", EntryType::Symlink, "x"), "twice");
    check(&|t| t.raw("l", EntryType::Fifo, "", 0, b""), "no file, folder or link");
    check(&|t| t.raw("l", EntryType::GNUSparse, "", 0, b""), "sparse");
    check(&|t| t.raw("l", EntryType::Symlink, "x", 1, b"x"), "has content");
    check(&|t| t.raw("l", EntryType::Regular, "", u64::MAX >> 1, b"x"), "cut off");
    check(&|t| t.raw("l", EntryType::XHeader, "", 15, b"15 size=999999\n").file("l", layer), "cut off");
    check(&|t| t.raw("l", EntryType::XHeader, "", 22, b"22 GNU.sparse.major=1\n").file("l", layer), "sparse");
    check(&|t| t.raw("l", EntryType::XGlobalHeader, "", 10, b"10 size=1\n").file("l", layer), "global pax");
    check(&|t| t.raw("l", EntryType::GNULongName, "", 8 << 30, b"x"), "extended tar header");
    check(&|t| t.raw("l", EntryType::GNULongName, "", 1, b"x"), "ends after an extended header");
    let mut bytes = docker("a:1", layer).end();
    bytes[..512].fill(b'x');
    refused(&write(&dir, "x.tar", &bytes), "checksum");
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let dir = scratch();
    let long = format!("{}/layer.tar", "d".repeat(150));
    let pax = format!("{} path={long}\n", long.len() + 10);
    let layer: &[u8] = b"layer";
    for (kind, body) in [(EntryType::GNULongName, format!("{long}\0")), (EntryType::XHeader, pax)] {
        let mut tar = Made::default();
        tar.raw("@", kind, "", body.len() as u64, body.as_bytes()).file("short", layer);
        tar.file("c.json", config_of(&[layer])).file("manifest.json", table("c.json", r#""a:1""#, &[&long]));
        assert_eq!(names(&source(&[&write(&dir, "x.tar", &tar.end())])), Ok(vec!["library/a:1".into()]));
    }
}

#[test]
fn damaged_archives_are_refused_wherever_they_end() {
    let dir = scratch();
    let tar = docker("a:1", &[7; 3000]).end();
    let packed = gzip(&tar);
    let (mut trailing, mut second) = (packed.clone(), packed.clone());
    trailing.extend(b"garbage");
    second.extend(gzip(b"garbage"));
    let mut after = tar.clone();
    after.extend([1; 512]);
    for (what, bytes) in [("gz", &trailing), ("member", &second), ("tar", &after)] {
        assert!(names(&source(&[&write(&dir, "x.tar.gz", bytes)])).is_err(), "{what}");
    }
    let wrong = |bytes: &[u8]| {
        let path = write(&dir, "x.tar.gz", bytes);
        let text = names(&source(&[&path])).expect_err("it was taken");
        assert!(text.contains("x.tar.gz"), "{text}");
    };
    // The end of a tar is two blocks of zeros; one of them is enough for every reader.
    (0..tar.len() - 512).step_by(97).for_each(|at| wrong(&tar[..at - at % 3]));
    (0..packed.len()).step_by(7).for_each(|at| wrong(&packed[..at]));
    let zstd = zstd::encode_all(&tar[..], 1).expect("zstd");
    (0..zstd.len()).step_by(7).for_each(|at| wrong(&zstd[..at]));
    wrong(b"\xfd7zXZ\0 and so on");
    wrong(b"BZh9 and so on");
    wrong(b"");
    let class = |bytes: &[u8]| run(&source(&[&write(&dir, "x", bytes)])).map(drop).map_err(|e| e.class());
    assert_eq!(class(&packed[..100]), Err(Class::Damaged));
    assert_eq!(class(&zstd[..20]), Err(Class::Damaged));
    assert_eq!(class(b"BZh9 and so on"), Err(Class::Unsupported));
    assert_eq!(run(&source(&[&dir.path().join("none")])).map(drop).map_err(|e| e.class()), Err(Class::Failed));
}

/// Every byte of an archive, changed: never a panic; what is taken is an image of that name.
#[test]
fn mutations_of_an_archive_never_panic() {
    let dir = scratch();
    let tar = docker("a:1", b"a layer").end();
    for at in (0..tar.len() - 1024).filter(|at| tar[*at] != 0 || at % 16 == 0) {
        let mut bytes = tar.clone();
        bytes[at] ^= 0x15;
        let _ = run(&source(&[&write(&dir, "x.tar", &bytes)]));
    }
}

#[test]
fn bombs_take_no_memory() {
    let dir = scratch();
    // 256 MiB of zeros after the end of the tar, in 256 KiB: refused after 16 MiB.
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(&docker("a:1", b"x").end()).expect("gzip");
    (0..256).for_each(|_| out.write_all(&vec![0; 1 << 20]).expect("gzip"));
    refused(&write(&dir, "x.tar.gz", &out.finish().expect("gzip")), "after the end");
    // Documents are kept up to a bound.
    let mut tar = Made::default();
    let document = [b"{".to_vec(), vec![b' '; (4 << 20) - 1]].concat();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for n in 0..33 {
        tar.0.clear();
        packed.write_all(&tar.file(&format!("{n}"), &document).0).expect("gzip");
    }
    packed.write_all(&[0; 1024]).expect("gzip");
    refused(&write(&dir, "x.tar.gz", &packed.finish().expect("gzip")), "JSON documents");
}

#[test]
fn one_name_is_for_one_image() {
    let dir = scratch();
    let one = write(&dir, "1.tar", &docker("a:1", b"1").end());
    let two = write(&dir, "2.tar", &docker("b:1", b"2").end());
    let naming = Naming { explicit: Some("c:1".into()), ..Naming::default() };
    assert!(names(&OciSource { naming: naming.clone(), ..source(&[&one, &two]) }).is_err());
    assert_eq!(names(&OciSource { naming, ..source(&[&one]) }), Ok(vec!["library/c:1".into()]));
}
