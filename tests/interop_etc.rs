//! The rendered configuration, used by the real servers.

#[path = "support/server.rs"]
mod server;

use pouch::digest::Digest;
use pouch::model::{Artifact, Catalog, Content, Context, Described, Kind, Plan, ReleaseView, SiteConfig};
use pouch::relpath::RelPath;
use server::{Server, free_port};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What nginx leaves in the temporary folder.
struct Leftovers(u16);

impl Drop for Leftovers {
    fn drop(&mut self) {
        for part in ["body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let _ = fs::remove_dir_all(format!("/tmp/pouch-nginx-{}-{part}", self.0));
        }
    }
}

fn package(kind: Kind, root: &str, path: &str) -> Described {
    let artifact = Artifact {
        kind,
        name: "a".into(),
        version: None,
        arch: None,
        root: RelPath::new(root).expect("a root"),
        path: Some(RelPath::new(path).expect("a path")),
        executable: false,
        blobs: vec![],
        labels: vec![],
    };
    Described { artifact, facts: pouch::cbor::Bytes(vec![0xa0]) }
}

/// Writes `etc/` of a generation and the given files, and points `current` to it.
fn generation(site: &Path, number: u32, config: &SiteConfig, files: &[(&str, &[u8])]) {
    let artifacts = vec![
        package(Kind::Wheel, "www/pypi", "files/a.whl"),
        package(Kind::Wheel, "www/odd name; {x}", "files/a.whl"),
        package(Kind::Rpm, "www/rpms/local", "a.rpm"),
        package(Kind::Rpm, "www/rpms/odd name", "a.rpm"),
        package(Kind::Deb, "www/debs/local", "pkgs/a.deb"),
        package(Kind::Deb, "www/debs/kept", "pool/a.deb"),
        package(Kind::File, "www/debs/kept", "dists/bookworm/main/binary-amd64/Packages"),
    ];
    let releases = vec![ReleaseView { stream: "s".into(), epoch: 1, sequence: 1, latest: true, artifacts }];
    let mut plan = Plan::new();
    pouch::target::etc::plan(&Catalog { releases }, &Context { config, time: 0 }, &mut plan).expect("rendered");
    let name = format!("generations/{number:06}");
    let base = site.join(&name);
    let write = |path: &str, bytes: &[u8]| {
        let path = base.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(&path, bytes).expect("write");
        let fixed = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        fs::File::options().write(true).open(&path).expect("open").set_modified(fixed).expect("a fixed time");
    };
    for (path, entry) in plan.files() {
        if let Content::Bytes(bytes) = &entry.content {
            write(path.as_str(), bytes);
        }
    }
    for (path, bytes) in files {
        write(path, bytes);
    }
    let new = site.join("new");
    symlink(&name, &new).expect("symlink");
    fs::rename(&new, site.join("current")).expect("switch");
}

/// Status line and headers in lower case, and the body.
fn request(port: u16, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: x\r\n{headers}\r\n").expect("sent");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an answer");
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").expect("headers end");
    (String::from_utf8_lossy(&all[..end]).to_ascii_lowercase(), all[end + 4..].to_vec())
}

const PIP: &str =
    "Accept: application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01\r\n";

#[test]
fn nginx_serves_a_site() {
    let site = tempfile::tempdir().expect("tempdir");
    let config = SiteConfig { http_port: free_port(), ..SiteConfig::default() };
    let _leftovers = Leftovers(config.http_port);
    let (port, binary) = (config.http_port, (0..=255u8).collect::<Vec<u8>>());
    let files = |release: &'static [u8]| {
        vec![
            ("www/files/kubectl", &binary[..]),
            ("www/files/x.json", b"{}"),
            ("www/pypi/index.html", b"<html>all"),
            ("www/pypi/index.json", b"{\"meta\":{}}"),
            ("www/pypi/six/index.html", b"<html>six"),
            ("www/pypi/six/index.json", b"{\"name\":\"six\"}"),
            ("www/pypi/old/index.html", b"<html>old"),
            ("www/odd name; {x}/index.json", b"{}"),
            ("www/debs/local/Release", release),
        ]
    };
    generation(site.path(), 1, &config, &files(b"one"));
    let conf = "current/etc/nginx.conf";
    let tested = Command::new("nginx")
        .args(["-t", "-q", "-e", "stderr", "-c", conf, "-p"])
        .arg(format!("{}/", site.path().display()))
        .output()
        .expect("nginx is installed");
    assert!(tested.status.success() && tested.stderr.is_empty(), "{}", String::from_utf8_lossy(&tested.stderr));
    let (_server, _) = Server::start(
        Command::new("nginx")
            .args(["-e", "stderr", "-c", conf, "-g", "daemon off; error_log stderr notice;", "-p"])
            .arg(format!("{}/", site.path().display())),
        "start worker process ",
    );
    let check = |path: &str, headers: &str, kind: &str, want: &[u8]| {
        let (head, body) = request(port, "GET", path, headers);
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        assert!(!head.contains("last-modified") && !head.contains("etag"), "{path}: {head}");
        assert_eq!(body, want, "{path}");
    };
    let json = "application/vnd.pypi.simple.v1+json";
    check("/files/kubectl", "", "application/octet-stream", &binary);
    check("/files/x.json", "", "application/json", b"{}");
    check("/pypi/", "", "text/html", b"<html>all");
    check("/pypi/", PIP, json, b"{\"meta\":{}}");
    check("/pypi/six/", "Accept: text/html\r\n", "text/html", b"<html>six");
    check("/pypi/six/", PIP, json, b"{\"name\":\"six\"}");
    check("/pypi/six/index.json", "", json, b"{\"name\":\"six\"}");
    check("/pypi/six/", &format!("Accept: text/html, {json};q=0\r\n"), "text/html", b"<html>six");
    check("/pypi/old/", PIP, "text/html", b"<html>old");
    check("/odd%20name;%20%7bx%7d/", PIP, json, b"{}");
    let (head, body) = request(port, "GET", "/files/kubectl", "Range: bytes=10-19\r\n");
    assert!(head.starts_with("http/1.1 206") && body == binary[10..20], "{head}");
    let (head, _) = request(port, "GET", "/pypi/six", "");
    assert!(head.contains("301") && head.contains("location: /pypi/six/"), "{head}");
    let (head, _) = request(port, "GET", "/pypi/six/", PIP);
    assert!(head.contains("vary: accept"), "{head}");
    for path in ["/files/", "/etc/nginx.conf", "/../etc/nginx.conf", "/none"] {
        let (head, _) = request(port, "GET", path, "");
        assert!(head.starts_with("http/1.1 40"), "{path}: {head}");
    }

    // A new generation is served at once, also to a client that asks by time for a file of the same length and time.
    let since = "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n";
    check("/debs/local/Release", since, "application/octet-stream", b"one");
    generation(site.path(), 2, &config, &files(b"two"));
    check("/debs/local/Release", since, "application/octet-stream", b"two");
}

#[test]
fn the_registry_serves_a_site_and_takes_nothing() {
    let site = tempfile::tempdir().expect("tempdir");
    let config = SiteConfig { registry_port: free_port(), ..SiteConfig::default() };
    let blob = |bytes: &[u8]| {
        let hex = Digest::of(bytes).hex();
        (format!("registry/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]), format!("sha256:{hex}"))
    };
    let (layer_path, layer) = blob(b"{}");
    let text = |digest: &str| {
        format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{{\"mediaType\":\
             \"application/vnd.oci.image.config.v1+json\",\"digest\":\"{digest}\",\"size\":2}},\"layers\":[]}}"
        )
    };
    let manifest = text(&layer);
    let (manifest_path, top) = blob(manifest.as_bytes());
    let repository = "registry/docker/registry/v2/repositories/library/x";
    let links = [
        (format!("{repository}/_layers/{}/link", layer.replace(':', "/")), &layer),
        (format!("{repository}/_manifests/revisions/{}/link", top.replace(':', "/")), &top),
        (format!("{repository}/_manifests/tags/1/current/link"), &top),
    ];
    let mut files: Vec<(&str, &[u8])> = vec![(&layer_path, b"{}"), (&manifest_path, manifest.as_bytes())];
    files.extend(links.iter().map(|(path, digest)| (path.as_str(), digest.as_bytes())));
    generation(site.path(), 1, &config, &files);
    let (_server, _) = Server::start(
        Command::new("docker-registry")
            .args(["serve", "current/etc/registry.yml"])
            .current_dir(site.path())
            .env("REGISTRY_LOG_LEVEL", "info"),
        "listening on",
    );
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json\r\n";
    let get = |path: &str| request(config.registry_port, "GET", path, accept);
    let (head, body) = get("/v2/library/x/manifests/1");
    assert!(head.contains(" 200 ") && head.contains(&top) && body == manifest.as_bytes(), "{head}");
    let (head, body) = get("/v2/_catalog");
    assert!(head.contains(" 200 ") && body == b"{\"repositories\":[\"library/x\"]}\n", "{head}");
    let (head, _) = request(config.registry_port, "POST", "/v2/library/x/blobs/uploads/", "Content-Length: 0\r\n");
    assert!(head.contains(" 405 "), "{head}");
    let (head, _) = request(config.registry_port, "DELETE", &format!("/v2/library/x/manifests/{top}"), "");
    assert!(head.contains(" 405 "), "{head}");

    // A new generation without the image is served at once.
    assert!(get("/v2/library/x/tags/list").0.contains(" 200 "));
    generation(site.path(), 2, &config, &[]);
    assert!(get("/v2/library/x/tags/list").0.contains(" 404 "));
}

/// What a command prints; it must succeed.
fn output(command: &mut Command) -> String {
    let out = command.output().expect("the program is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn clients_read_their_configuration() {
    let site = tempfile::tempdir().expect("tempdir");
    let config = SiteConfig { http_port: 8080, host: Some("depot.example".into()), ..SiteConfig::default() };
    generation(site.path(), 1, &config, &[]);
    let etc = site.path().join("current/etc");
    let uris = output(
        Command::new("apt-get")
            .args(["update", "--print-uris", "-o", "Dir::Etc::SourceParts=/dev/null", "-o"])
            .arg(format!("Dir::Etc::SourceList={}", etc.join("offline.list").display())),
    );
    for uri in ["debs/local/./InRelease", "debs/kept/dists/bookworm/InRelease", "debs/kept/dists/bookworm/main/binary-"]
    {
        assert!(uris.contains(&format!("http://depot.example:8080/{uri}")), "{uri}: {uris}");
    }
    let repositories = output(
        Command::new("dnf")
            .args(["-q", "repolist", "--all", "--releasever=9"])
            .arg(format!("--setopt=reposdir={}", etc.display()))
            .arg(format!("--setopt=cachedir={}", site.path().display()))
            .arg(format!("--setopt=logdir={}", site.path().display())),
    );
    assert!(
        repositories.contains("offline-repo ") && repositories.contains("Offline repo rpms/odd name"),
        "{repositories}"
    );
    let pip = output(
        Command::new("python3").args(["-m", "pip", "config", "list"]).env("PIP_CONFIG_FILE", etc.join("pip.conf")),
    );
    assert!(pip.contains("global.index-url='http://depot.example:8080/pypi/'"), "{pip}");
}
