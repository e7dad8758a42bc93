//! Images as real tools see them: archives that skopeo and podman wrote are surveyed, a real registry serves the rendered
//! tree, skopeo and podman pull from it, and podman, skopeo and containerd load what is exported.

#[path = "support/images.rs"]
mod images;
#[path = "support/server.rs"]
mod server;

use images::{Store, catalog, derive_again, survey, write_tree};
use pouch::digest::{Blob, Digest};
use pouch::kind::oci::ImageFacts;
use pouch::model::Catalog;
use pouch::op::export::export;
use pouch::source::Found;
use pouch::source::oci::OciSource;
use pouch::source::oci::naming::Naming;
use server::Server;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Runs a program that must succeed; its output is returned.
fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program} cannot be run: {e}"));
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{program} {args:?}: {text}");
    text
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is UTF-8")
}

/// A read-only registry on a port that it takes itself; its address is returned.
fn registry(tree: &Path, dir: &Path) -> (Server, String) {
    let config = dir.join("registry.yml");
    let root = tree.join("registry");
    let yaml = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {:?}}}\n  maintenance: {{readonly: {{enabled: true}}, \
         uploadpurging: {{enabled: false}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n",
        root
    );
    fs::write(&config, yaml).expect("write");
    let (server, line) = Server::start(Command::new("docker-registry").arg("serve").arg(&config), "listening on");
    let address = line.split("listening on ").nth(1).and_then(|r| r.split(['"', ' ', '\n']).next()).expect("address");
    (server, address.to_owned())
}

/// The body of what an HTTP server answers, which must be 200.
fn get(address: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("connect");
    let accept = [INDEX, MANIFEST].map(|m| format!("Accept: {m}\r\n")).concat();
    let docker = "Accept: application/vnd.docker.distribution.manifest.v2+json\r\n";
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{accept}{docker}\r\n").expect("request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answer");
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("headers") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    assert!(head.lines().next().is_some_and(|l| l.contains(" 200 ")), "{path}: {head}");
    answer.split_off(end)
}

/// An OCI layout under construction.
struct Layout {
    at: PathBuf,
    index: Vec<String>,
}

impl Layout {
    fn new(at: PathBuf) -> Layout {
        fs::create_dir_all(at.join("blobs/sha256")).expect("mkdir");
        fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write");
        Layout { at, index: vec![] }
    }
    fn blob(&self, bytes: impl AsRef<[u8]>) -> Blob {
        let blob = Blob::of(bytes.as_ref());
        fs::write(self.at.join("blobs/sha256").join(blob.digest.hex()), bytes).expect("write");
        blob
    }
    fn image(&self, arch: &str) -> Blob {
        let plain = layer(arch);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(&plain).expect("gzip");
        let layer = self.blob(gz.finish().expect("gzip"));
        let config = self.blob(format!(
            r#"{{"architecture":"{arch}","os":"linux","config":{{"Cmd":["/hello"]}},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            Digest::of(&plain).oci()
        ));
        self.blob(format!(
            r#"{{ "schemaVersion": 2, "mediaType": "{MANIFEST}", "config": {}, "layers": [{}] }}"#,
            descriptor(&config, CONFIG, ""),
            descriptor(&layer, LAYER, "")
        ))
    }
    fn list(&mut self, manifest: &Blob, media_type: &str, name: &str) {
        let annotations = match name {
            "" => String::new(),
            name => format!(r#","annotations":{{"org.opencontainers.image.ref.name":"{name}"}}"#),
        };
        self.index.push(descriptor(manifest, media_type, &annotations));
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, self.index.join(","));
        fs::write(self.at.join("index.json"), index).expect("write");
    }
}

fn descriptor(blob: &Blob, media_type: &str, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#, blob.digest.oci(), blob.len)
}

/// A tar of one file.
fn layer(arch: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(arch.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    tar.append_data(&mut header, "hello", arch.as_bytes()).expect("tar");
    tar.into_inner().expect("tar")
}

/// What a test works on.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench { dir: tempfile::tempdir().expect("tempdir") }
    }
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn source(&self, names: &[&str]) -> OciSource {
        OciSource { from: names.iter().map(|n| self.at(n)).collect(), ..OciSource::default() }
    }
    /// Surveys, fills a store, derives again, renders.
    fn site(&self, source: &OciSource) -> (Vec<Found>, Store, Catalog) {
        let (found, _) = survey(source).expect("survey");
        let store = Store::fill(&self.at("store"), &found).expect("store");
        derive_again(&found, &store);
        let catalog = catalog(&found);
        write_tree(&catalog, &store, &self.at("tree"));
        (found, store, catalog)
    }
    fn podman(&self, args: &[&str]) -> String {
        let (root, run_root) = (self.at("podman"), self.at("podman-run"));
        let own = ["--root", text(&root), "--runroot", text(&run_root), "--storage-driver", "vfs"];
        run("podman", &[&own[..], args].concat())
    }
    fn export(&self, catalog: &Catalog, store: &Store, name: &str, platform: Option<&str>) -> PathBuf {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let done = export(catalog, name, store, platform, &mut first).expect("export");
        export(catalog, name, store, platform, &mut second).expect("export");
        assert_eq!(done.bytes, first.len() as u64);
        assert!(first == second, "two exports differ");
        let path = self.at(&format!("export-{}.tar", Digest::of(&first).short()));
        fs::write(&path, first).expect("write");
        path
    }
}

/// A multi-arch image with an attestation, a referrer, and an artifact of another type.
fn multi_arch(bench: &Bench) -> Layout {
    let mut layout = Layout::new(bench.at("layout"));
    let (amd, arm) = (layout.image("amd64"), layout.image("arm64"));
    let empty = layout.blob("{}");
    let statement = layout.blob(r#"{"_type":"https://in-toto.io/Statement/v0.1"}"#);
    let config = layout.blob(format!(
        r#"{{"architecture":"unknown","os":"unknown","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        statement.digest.oci()
    ));
    let attestation = layout.blob(format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
        descriptor(&config, CONFIG, ""),
        descriptor(&statement, "application/vnd.in-toto+json", "")
    ));
    let platform = |os: &str, arch: &str| format!(r#","platform":{{"architecture":"{arch}","os":"{os}"}}"#);
    let about = format!(
        r#","annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{}"}}"#,
        amd.digest.oci()
    );
    let top = layout.blob(format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{},{},{}]}}"#,
        descriptor(&amd, MANIFEST, &platform("linux", "amd64")),
        descriptor(&arm, MANIFEST, &platform("linux", "arm64")),
        descriptor(&attestation, MANIFEST, &(platform("unknown", "unknown") + &about)),
    ));
    let signature = layout.blob("a signature");
    let artifact = |subject: &str| {
        layout.blob(format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","artifactType":"application/x","config":{},"layers":[{}]{subject}}}"#,
            descriptor(&empty, "application/vnd.oci.empty.v1+json", ""),
            descriptor(&signature, "application/x", "")
        ))
    };
    let referrer = artifact(&format!(r#","subject":{}"#, descriptor(&top, INDEX, "")));
    let plain = artifact("");
    let referrers = layout.blob(format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
        descriptor(&referrer, MANIFEST, r#","artifactType":"application/x""#)
    ));
    layout.list(&top, INDEX, "quay.io/team/multi:1");
    layout.list(&referrer, MANIFEST, "");
    layout.list(&referrers, INDEX, &format!("sha256-{}", top.digest.hex()));
    layout.list(&plain, MANIFEST, "quay.io/team/artifact:1");
    layout
}

/// Every blob of every image, as the registry gives it.
fn compare_by_http(found: &[Found], store: &Store, address: &str) {
    for artifact in found.iter().map(|f| &f.described) {
        let repository = artifact.artifact.name.split(['@', ':']).next().expect("a name");
        let facts = ImageFacts::decode(&artifact.facts).expect("facts");
        for blob in &artifact.artifact.blobs {
            let manifest = facts.manifests.iter().any(|m| m.blob == *blob);
            let kind = if manifest { "manifests" } else { "blobs" };
            let bytes = get(address, &format!("/v2/{repository}/{kind}/{}", blob.digest.oci()));
            assert_eq!(Blob::of(&bytes), *blob);
        }
        if let Some((_, tag)) = artifact.artifact.name.split_once(':').filter(|(r, _)| !r.contains('@')) {
            let bytes = get(address, &format!("/v2/{repository}/manifests/{tag}"));
            assert_eq!(Blob::of(&bytes), artifact.artifact.blobs[0]);
        }
    }
    assert!(store.0.is_dir());
}

/// Pulls with skopeo and compares what comes with the artifact's blobs.
fn compare_by_skopeo(bench: &Bench, found: &Found, address: &str) {
    let artifact = &found.described.artifact;
    let out = bench.at("pulled");
    let _ = fs::remove_dir_all(&out);
    let from = format!("docker://{address}/{}", artifact.name);
    let to = format!("dir:{}", text(&out));
    run(
        "skopeo",
        &["--insecure-policy", "copy", "-q", "--all", "--preserve-digests", "--src-tls-verify=false", &from, &to],
    );
    let mut have: Vec<Digest> = Vec::new();
    for entry in fs::read_dir(&out).expect("read") {
        let path = entry.expect("entry").path();
        if path.file_name().is_some_and(|n| n != "version") {
            have.push(Digest::of(&fs::read(&path).expect("read")));
        }
    }
    let mut want: Vec<Digest> = artifact.blobs.iter().map(|b| b.digest).collect();
    have.sort();
    want.sort();
    assert_eq!(have, want, "{}", artifact.name);
}

#[test]
fn a_registry_serves_layouts_and_archives() {
    let bench = Bench::new();
    let layout = multi_arch(&bench);
    let from = format!("oci:{}:quay.io/team/multi:1", text(&layout.at));
    let archive = |name: &str| format!("docker-archive:{}:quay.io/team/{name}:2", text(&bench.at("docker.tar")));
    run("skopeo", &["--insecure-policy", "--override-arch", "amd64", "copy", "-q", &from, &archive("saved")]);
    let to = format!("oci-archive:{}:quay.io/team/packed:3", text(&bench.at("oci.tar")));
    run("skopeo", &["--insecure-policy", "copy", "-q", "--all", "--preserve-digests", &from, &to]);
    run("gzip", &["-n", text(&bench.at("oci.tar"))]);
    let (found, store, catalog) = bench.site(&bench.source(&["layout", "docker.tar", "oci.tar.gz"]));
    let names: Vec<&str> = found.iter().map(|f| f.described.artifact.name.as_str()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    let (_registry, address) = registry(&bench.at("tree"), bench.dir.path());
    compare_by_http(&found, &store, &address);
    for found in found.iter().filter(|f| f.described.artifact.arch.is_some()) {
        compare_by_skopeo(&bench, found, &address);
    }
    let tags = String::from_utf8(get(&address, "/v2/team/multi/tags/list")).expect("JSON");
    assert!(tags.contains("\"1\"") && tags.contains("\"sha256-"), "{tags}");
    let repositories = String::from_utf8(get(&address, "/v2/_catalog")).expect("JSON");
    assert!(["team/artifact", "team/multi", "team/packed", "team/saved"].iter().all(|r| repositories.contains(r)));
    for name in ["team/multi:1", "team/saved:2"] {
        bench.podman(&["pull", "-q", "--tls-verify=false", &format!("{address}/{name}")]);
    }
    loads(&bench, &catalog, &store);
}

/// What is exported is loaded by podman, skopeo and containerd.
fn loads(bench: &Bench, catalog: &Catalog, store: &Store) {
    let whole = bench.export(catalog, store, "team/multi:1", None);
    let one = bench.export(catalog, store, "quay.io/team/multi:1", Some("linux/arm64"));
    let saved = bench.export(catalog, store, "localhost:35000/team/saved:2", None);
    let socket = bench.at("c.sock");
    let _containerd = containerd(bench, &socket);
    for (path, name) in
        [(&whole, "quay.io/team/multi:1"), (&one, "quay.io/team/multi:1"), (&saved, "quay.io/team/saved:2")]
    {
        let loaded = bench.podman(&["load", "-i", text(path)]);
        assert!(loaded.contains(&format!("Loaded image: {name}")), "{loaded}");
        let docker = format!("docker-archive:{}", text(path));
        run("skopeo", &["--insecure-policy", "inspect", "--config", &docker]);
        let oci = format!("oci-archive:{}", text(path));
        run("skopeo", &["--insecure-policy", "inspect", "--raw", &oci]);
        let platform = if path == &one { "linux/arm64" } else { "linux/amd64" };
        run("ctr", &["-a", text(&socket), "images", "import", "--no-unpack", "--platform", platform, text(path)]);
        let check = run("ctr", &["-a", text(&socket), "images", "check", &format!("name=={name}")]);
        assert!(check.contains("complete") && !check.contains("incomplete"), "{check}");
        bench.podman(&["rmi", "-a", "-f"]);
    }
}

fn containerd(bench: &Bench, socket: &Path) -> Server {
    let config = bench.at("containerd.toml");
    let toml = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = {:?}\n",
        bench.at("containerd"),
        bench.at("containerd-state"),
        socket
    );
    fs::write(&config, toml).expect("write");
    Server::start(Command::new("containerd").arg("-c").arg(&config), "containerd successfully booted").0
}

#[test]
fn a_selection_of_platforms_is_served_under_the_whole_index() {
    let bench = Bench::new();
    let layout = multi_arch(&bench);
    let source = OciSource { platforms: vec!["linux/amd64".into()], ..bench.source(&["layout"]) };
    let (found, store, catalog) = bench.site(&source);
    let multi = found.iter().find(|f| f.described.artifact.name == "team/multi:1").expect("the image");
    let facts = ImageFacts::decode(&multi.described.facts).expect("facts");
    assert_eq!((facts.absent.len(), facts.platforms()), (1, vec!["linux/amd64"]));
    let (_registry, address) = registry(&bench.at("tree"), bench.dir.path());
    compare_by_http(&found, &store, &address);
    bench.podman(&[
        "pull",
        "-q",
        "--tls-verify=false",
        "--platform",
        "linux/amd64",
        &format!("{address}/team/multi:1"),
    ]);
    let exported = bench.export(&catalog, &store, "team/multi:1", None);
    let loaded = bench.podman(&["load", "-i", text(&exported)]);
    assert!(loaded.contains("Loaded image: quay.io/team/multi:1"), "{loaded}");
    let socket = bench.at("c.sock");
    let _containerd = containerd(&bench, &socket);
    let args = ["-a", text(&socket), "images", "import", "--no-unpack", "--platform", "linux/amd64", text(&exported)];
    run("ctr", &args);
    assert!(layout.at.is_dir());
}

#[test]
fn what_podman_saves_keeps_its_image_id() {
    let bench = Bench::new();
    let mut layout = Layout::new(bench.at("layout"));
    let image = layout.image("amd64");
    layout.list(&image, MANIFEST, "quay.io/team/one:1");
    let (_, store, catalog) = bench.site(&bench.source(&["layout"]));
    let exported = bench.export(&catalog, &store, "quay.io/team/one:1", None);
    bench.podman(&["load", "-i", text(&exported)]);
    let id = bench.podman(&["images", "-q", "--no-trunc", "quay.io/team/one:1"]);
    let id = Digest::from_oci(id.trim()).expect("an image id");
    let plain = Blob::of(&layer("amd64"));
    for format in ["docker-archive", "oci-archive"] {
        let saved = bench.at(&format!("{format}.tar"));
        bench.podman(&["save", "-q", "--format", format, "-o", text(&saved), "quay.io/team/one:1"]);
        let naming = Naming { lists: vec!["quay.io/team/one:1".into()], ..Naming::default() };
        let source = OciSource { from: vec![saved], naming, platforms: vec![] };
        let (found, notes) = survey(&source).expect("survey");
        let facts = ImageFacts::decode(&found[0].described.facts).expect("facts");
        assert_eq!(found[0].described.artifact.name, "team/one:1");
        assert_eq!(facts.manifests[0].config.as_ref().map(|c| c.blob.digest), Some(id), "{format}");
        let lost = format == "docker-archive";
        assert_eq!(notes.iter().any(|n| n.contains("is lost")), lost, "{notes:?}");
        assert_eq!(facts.manifests[0].layers[0].blob == plain, lost);
    }
}
