//! *Configuration* is rendered for the servers that serve a generation and for the clients that use it: nginx, the
//! registry, kubespray, yum, apt, pip, containerd.
//!
//! It installs nothing. Specified in `spec/site.md`, section "Configuration".

use super::TargetError;
use crate::model::{Artifact, Catalog, Content, Context, Kind, Plan, SiteConfig};
use crate::relpath::RelPath;
use std::collections::{BTreeMap, BTreeSet};

/// What client configuration says where the site's configuration names no host.
const NO_HOST: &str = "YOUR_HOST";

/// Renders `etc/`.
pub fn plan(catalog: &Catalog, context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let seen = Seen::of(catalog);
    let words = words(context.config, &seen)?;
    let templates = [
        ("nginx.conf", include_str!("etc/nginx.conf")),
        ("registry.yml", include_str!("etc/registry.yml")),
        ("offline.yml", include_str!("etc/offline.yml")),
        ("hosts.toml", include_str!("etc/hosts.toml")),
        ("pouch-nginx.service", include_str!("etc/pouch-nginx.service")),
        ("pouch-registry.service", include_str!("etc/pouch-registry.service")),
    ];
    let url = words.get("URL").map(String::as_str).unwrap_or_default();
    let mut files: Vec<(&str, String)> = templates.map(|(name, text)| (name, fill(text, &words))).to_vec();
    if !seen.rpms.is_empty() {
        files.push(("offline.repo", offline_repo(&seen.rpms, url)));
    }
    if !seen.debs.is_empty() {
        files.push(("offline.list", offline_list(&seen.debs, url)));
    }
    if let Some(root) = seen.pypi.iter().find(|r| *r == "pypi").or(seen.pypi.first()) {
        let mut words = words.clone();
        words.insert("PYPI", encoded(root));
        files.push(("pip.conf", fill(include_str!("etc/pip.conf"), &words)));
    }
    for (name, text) in files {
        plan.add(RelPath::new(&format!("etc/{name}"))?, Content::Bytes(text.into_bytes()))?;
    }
    Ok(())
}

/// What the catalog has that configuration depends on. Folders are below `www`.
#[derive(Default)]
struct Seen {
    rpms: BTreeSet<String>,
    /// With the suites that lie in it as plain files, and the components of each.
    debs: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    pypi: BTreeSet<String>,
    /// Paths of plain files below `www`.
    files: BTreeSet<String>,
    /// Images as they are served, with the reference under which their users know them.
    images: BTreeMap<String, String>,
}

impl Seen {
    fn of(catalog: &Catalog) -> Seen {
        let mut seen = Seen::default();
        for described in catalog.latest() {
            let artifact = &described.artifact;
            let folder = artifact.root.as_str().strip_prefix("www/");
            match (artifact.kind, folder) {
                (Kind::Rpm, Some(folder)) => {
                    seen.rpms.insert(folder.into());
                }
                (Kind::Deb, Some(folder)) => {
                    seen.debs.entry(folder.into()).or_default();
                }
                (Kind::Wheel | Kind::Sdist, Some(folder)) => {
                    seen.pypi.insert(folder.into());
                }
                (Kind::Image, _) => {
                    let origin = artifact.label("origin").filter(|o| is_reference(o)).map(str::to_owned);
                    let origin = origin.unwrap_or_else(|| format!("docker.io/{}", artifact.name));
                    seen.images.insert(artifact.name.clone(), origin);
                }
                (Kind::File, _) => seen.file(artifact),
                _ => {}
            }
        }
        for described in catalog.latest() {
            seen.suite(&described.artifact);
        }
        seen
    }

    fn file(&mut self, artifact: &Artifact) {
        if let Some(Ok(place)) = artifact.place()
            && let Some(below) = place.as_str().strip_prefix("www/")
        {
            self.files.insert(below.into());
        }
    }

    /// A file such as `dists/bookworm/main/binary-amd64/Packages.gz` of a repository that is served as it came.
    fn suite(&mut self, artifact: &Artifact) {
        let Some(Ok(place)) = artifact.place() else { return };
        for (folder, suites) in &mut self.debs {
            let below = place.as_str().strip_prefix("www/").and_then(|p| p.strip_prefix(folder.as_str()));
            let Some((suite, rest)) = below.and_then(|p| p.strip_prefix("/dists/")).and_then(|p| p.split_once('/'))
            else {
                continue;
            };
            if let Some((component, _)) = rest.split_once("/binary-") {
                suites.entry(suite.into()).or_default().insert(component.into());
            }
        }
    }

    /// The image `name` of some tag, the last by name; `name:latest` where there is none.
    fn image(&self, name: &str) -> String {
        let tags = self.images.range(format!("{name}:")..).take_while(|(n, _)| n.starts_with(&format!("{name}:")));
        // Variants such as 1.29.2-alpine serve as well; a plain version is preferred.
        let all: Vec<&String> = tags.map(|(_, origin)| origin).collect();
        let plain = all.iter().rev().find(|o| !o.rsplit(':').next().unwrap_or_default().contains('-'));
        plain.or(all.last()).map_or_else(|| format!("docker.io/{name}:latest"), |o| (**o).clone())
    }
}

/// What templates name between two `@`.
fn words(config: &SiteConfig, seen: &Seen) -> Result<BTreeMap<&'static str, String>, TargetError> {
    let host = host(config)?;
    let port = match config.http_port {
        80 => String::new(),
        port => format!(":{port}"),
    };
    let either = |there: bool, yes: &str, no: &str| if there { yes.to_owned() } else { no.to_owned() };
    let ends = |start: &str, end: &str| {
        let start = format!("files/{start}");
        seen.files.range(start.clone()..).take_while(|f| f.starts_with(&start)).any(|f| f.ends_with(end))
    };
    Ok(BTreeMap::from([
        ("HOST", host.to_owned()),
        ("URL", format!("http://{host}{port}")),
        ("REGISTRY", format!("{host}:{}", config.registry_port)),
        ("HTTP_PORT", config.http_port.to_string()),
        ("REGISTRY_PORT", config.registry_port.to_string()),
        ("NGINX", seen.image("library/nginx")),
        ("REGISTRY_IMAGE", seen.image("library/registry")),
        ("PYPI", seen.pypi.iter().map(|root| pypi_location(root)).collect()),
        ("KATA", either(ends("kata-static-", ".tar.zst"), "zst", "xz")),
        ("YOUKI", either(ends("youki-", "-musl.tar.gz"), "musl", "gnu")),
        ("CALICO", either(ends("kubernetes/calico/crds.yaml", ""), "crds.yaml", "v{{ calico_version }}.tar.gz")),
        ("BUSYBOX", either(seen.images.keys().any(|n| n.starts_with("busybox:")), "busybox", "library/busybox")),
    ]))
}

/// Whether a label can stand in a unit file: of a reference's characters only.
fn is_reference(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':'))
}

/// The configured host, if it can stand in a URL and in every file that is rendered.
fn host(config: &SiteConfig) -> Result<&str, TargetError> {
    let Some(host) = &config.host else { return Ok(NO_HOST) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let good = match v6 {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(plain),
    };
    if good {
        return Ok(host);
    }
    let why = "it is neither a host name, an IPv4 address nor an IPv6 address in brackets, without a port";
    Err(TargetError::Configuration { field: "host", value: host.clone(), why })
}

fn fill(template: &str, words: &BTreeMap<&'static str, String>) -> String {
    words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(&format!("@{word}@"), value))
}

/// The part of nginx's configuration that serves one Python index in both forms.
fn pypi_location(root: &str) -> String {
    // `add_header` here replaces the ones above, so that all of them stand here.
    format!(
        r#"
        location "/{root}/" {{
            index $pouch_index index.html;
            add_header Last-Modified "";
            add_header Vary Accept;
            location ~ /index\.json$ {{
                types {{ }}
                default_type application/vnd.pypi.simple.v1+json;
            }}
        }}
"#
    )
}

fn offline_repo(roots: &BTreeSet<String>, url: &str) -> String {
    let mut out = String::from(
        "# Rendered by pouch. Copy it to /etc/yum.repos.d/offline.repo and move the other files of that folder away.\n\
         # What is served was verified when it was unpacked; packages carry no signature of the site.\n",
    );
    for root in roots {
        let (id, name) = match root.as_str() {
            "rpms/local" => ("offline-repo".to_owned(), "Offline repo".to_owned()),
            _ => (repo_id(root), format!("Offline repo {root}")),
        };
        out += &format!("\n[{id}]\nname={name}\nbaseurl={url}/{}/\nenabled=1\ngpgcheck=0\n", encoded(root));
    }
    out
}

/// A repository id of the characters that yum takes, different for different folders.
fn repo_id(root: &str) -> String {
    let plain =
        root.strip_prefix("rpms/").filter(|n| n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    match plain {
        Some(name) => format!("offline-{name}"),
        None => format!("offline-{}", crate::digest::Digest::of(root.as_bytes()).short()),
    }
}

fn offline_list(roots: &BTreeMap<String, BTreeMap<String, BTreeSet<String>>>, url: &str) -> String {
    let mut out = String::from(
        "# Rendered by pouch. Copy it to /etc/apt/sources.list.d/offline.list and move the other sources away.\n\
         # What is served was verified when it was unpacked, hence trusted=yes; use signed-by= where you have the key.\n",
    );
    for (root, suites) in roots {
        let url = format!("{url}/{}/", encoded(root));
        if suites.is_empty() {
            out += &format!("deb [trusted=yes] {url} ./\n");
        }
        for (suite, components) in suites {
            let components: Vec<String> = components.iter().map(|c| encoded(c)).collect();
            out += &format!("deb [trusted=yes] {url} {} {}\n", encoded(suite), components.join(" "));
        }
    }
    out
}

/// A path as it stands in a URL (RFC 3986, section 2.1).
fn encoded(path: &str) -> String {
    path.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::Bytes;
    use crate::digest::Blob;
    use crate::model::{Described, ReleaseView};

    fn artifact(kind: Kind, root: &str, path: Option<&str>, name: &str) -> Described {
        let artifact = Artifact {
            kind,
            name: name.into(),
            version: None,
            arch: None,
            root: RelPath::new(root).expect("a root"),
            path: path.map(|p| RelPath::new(p).expect("a path")),
            executable: false,
            blobs: vec![Blob::of(b"")],
            labels: vec![],
        };
        Described { artifact, facts: Bytes(vec![0xa0]) }
    }

    fn rendered(config: &SiteConfig, artifacts: Vec<Described>) -> Result<BTreeMap<String, String>, TargetError> {
        let releases = vec![ReleaseView { stream: "s".into(), epoch: 1, sequence: 1, latest: true, artifacts }];
        let mut out = Plan::new();
        plan(&Catalog { releases }, &Context { config, time: 0 }, &mut out)?;
        Ok(out
            .files()
            .filter_map(|(path, entry)| match &entry.content {
                Content::Bytes(b) => Some((path.to_string(), String::from_utf8(b.clone()).expect("text"))),
                Content::Blob { .. } => None,
            })
            .collect())
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        let all = rendered(&SiteConfig::default(), vec![]).expect("rendered");
        assert_eq!(
            all.keys().collect::<Vec<_>>(),
            [
                "etc/hosts.toml",
                "etc/nginx.conf",
                "etc/offline.yml",
                "etc/pouch-nginx.service",
                "etc/pouch-registry.service",
                "etc/registry.yml",
            ]
        );
        for (name, text) in &all {
            assert!(!text.contains('@'), "{name}");
        }
        assert!(
            all["etc/offline.yml"].contains("http_server: \"http://YOUR_HOST\"\nregistry_host: \"YOUR_HOST:35000\"")
        );
    }

    #[test]
    fn client_configuration_follows_the_catalog() {
        let config = SiteConfig { host: Some("depot.example".into()), http_port: 8080, ..SiteConfig::default() };
        let all = rendered(
            &config,
            vec![
                artifact(Kind::Rpm, "www/rpms/local", Some("a.rpm"), "a"),
                artifact(Kind::Rpm, "www/rpms/epel", Some("a.rpm"), "a"),
                artifact(Kind::Rpm, "www/files/a b", Some("a.rpm"), "a"),
                artifact(Kind::Deb, "www/debs/local", Some("pkgs/a.deb"), "a"),
                artifact(Kind::Deb, "www/debs/kept", Some("pool/a.deb"), "a"),
                artifact(Kind::File, "www/debs/kept", Some("dists/bookworm/main/binary-amd64/Packages.gz"), "x"),
                artifact(Kind::File, "www/debs/kept", Some("dists/bookworm/contrib/binary-amd64/Packages"), "x"),
                artifact(Kind::File, "www/debs/kept", Some("dists/bookworm/InRelease"), "x"),
                artifact(Kind::Wheel, "www/pypi", Some("files/a.whl"), "a"),
                artifact(Kind::File, "www", Some("files/kata-static-3.32.0-amd64.tar.zst"), "x"),
                artifact(Kind::File, "www", Some("files/youki-0.5.7-x86_64-gnu.tar.gz"), "x"),
                artifact(Kind::File, "www", Some("files/kubernetes/calico/crds.yaml"), "x"),
                artifact(Kind::Image, "registry", None, "library/nginx:1.28.0-alpine"),
                artifact(Kind::Image, "registry", None, "library/nginx:1.29.2"),
                artifact(Kind::Image, "registry", None, "library/registry:2.8.3"),
            ],
        )
        .expect("rendered");
        let has = |file: &str, text: &str| assert!(all[file].contains(text), "{file} lacks {text:?}:\n{}", all[file]);
        has("etc/offline.repo", "[offline-repo]\nname=Offline repo\nbaseurl=http://depot.example:8080/rpms/local/\n");
        has("etc/offline.repo", "[offline-epel]\n");
        has("etc/offline.repo", "baseurl=http://depot.example:8080/files/a%20b/\n");
        has("etc/offline.list", "deb [trusted=yes] http://depot.example:8080/debs/local/ ./\n");
        has("etc/offline.list", "deb [trusted=yes] http://depot.example:8080/debs/kept/ bookworm contrib main\n");
        has("etc/pip.conf", "index-url = http://depot.example:8080/pypi/\ntrusted-host = depot.example\n");
        has("etc/hosts.toml", "server = \"http://depot.example:35000\"");
        has("etc/offline.yml", "linux-{{ image_arch }}.tar.gz");
        has("etc/offline.yml", "{{ image_arch }}.tar.zst\"");
        has("etc/offline.yml", "-gnu.tar.gz\"");
        has("etc/offline.yml", "/kubernetes/calico/crds.yaml\"");
        has("etc/offline.yml", "/library/busybox\"");
        has("etc/nginx.conf", "location \"/pypi/\" {");
        has("etc/pouch-nginx.service", "IMAGE=docker.io/library/nginx:1.29.2\n");
        has("etc/pouch-registry.service", "IMAGE=docker.io/library/registry:2.8.3\n");
        for text in all.values() {
            assert!(!text.contains("amd64.tar.gz") && !text.contains(NO_HOST));
        }
    }

    #[test]
    fn hosts_that_break_out_are_refused() {
        for (host, good) in [
            ("a.example", true),
            ("10.0.0.1", true),
            ("[fe80::1]", true),
            ("", false),
            ("a b", false),
            ("a\nb", false),
            ("a:80", false),
            ("a\"; evil", false),
            ("[x]", false),
        ] {
            let config = SiteConfig { host: Some(host.into()), ..SiteConfig::default() };
            assert_eq!(rendered(&config, vec![]).is_ok(), good, "{host:?}");
        }
    }

    #[test]
    fn repository_ids_differ() {
        let ids: BTreeSet<String> = ["rpms/a", "rpms/a b", "a", "x/a", "rpms/x/a"].map(repo_id).into();
        assert_eq!(ids.len(), 5);
    }
}
