//! An *outputs folder* is what kubespray-offline leaves behind on the connected side: files, images, package
//! repositories, an index of Python packages, and the scripts that set up a machine.
//!
//! It opens no artifact; it makes the sources that will, and says what it mends. Which part takes which place is specified
//! in `spec/packing.md`, section "kubespray-offline".

use super::chart::ChartSource;
use super::deb::DebSource;
use super::files::FilesSource;
use super::list::{children, entries, read_text};
use super::oci::{Naming, OciSource};
use super::pypi::PypiSource;
use super::rpm::RpmSource;
use super::{Metadata, Source, SourceError};
use crate::relpath::RelPath;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub mod urls;

/// Ends of the names of image archives, the longest first.
const ARCHIVES: [&str; 4] = [".tar.gz", ".tar.zst", ".tgz", ".tar"];
/// Lists beside the images; they name images and are themselves part of the kit.
const LISTS: [&str; 3] = ["images.list", "images.tsv", "additional-images.list"];
/// What the sources of repositories take; the rest of their folders goes to the kit.
const TAKEN: [&str; 13] = [
    "files/**",
    "images/oci/**",
    "rpms/*/**/*.rpm",
    "rpms/*/**/repodata/**",
    "rpms/*/**/{modules.yaml,modules.yaml.gz,comps.xml,comps.xml.gz,updateinfo.xml,updateinfo.xml.gz}",
    "debs/*/**/*.{deb,udeb}",
    "debs/*/**/{Packages,Sources,Release,InRelease,Release.gpg,Contents-*}",
    "debs/*/**/{Packages,Sources}.{gz,xz,bz2,zst}",
    "debs/*/dists/**",
    "pypi/**/*.{whl,zip,tar.gz,tar.bz2,tgz,whl.metadata}",
    "pypi/**/index.{html,json}",
    "charts/**/*.tgz",
    "charts/**/index.yaml",
];

/// Sources of different ecosystems.
pub type Sources = Vec<Box<dyn Source>>;

/// The sources of an `outputs/` folder, and what the user should know about it: defects that are mended, files that
/// belong to nothing.
pub fn sources(outputs: &Path) -> Result<(Sources, Vec<String>), SourceError> {
    let found = Outputs::read(outputs)?;
    let mut out: Sources = Vec::new();
    out.extend(found.files.into_iter().map(|s| Box::new(s) as Box<dyn Source>));
    out.extend(found.images.into_iter().map(|s| Box::new(s) as Box<dyn Source>));
    out.extend(found.rpms.into_iter().map(|s| Box::new(s) as Box<dyn Source>));
    out.extend(found.debs.into_iter().map(|s| Box::new(s) as Box<dyn Source>));
    out.extend(found.pypi.into_iter().map(|s| Box::new(s) as Box<dyn Source>));
    out.extend(found.charts.into_iter().map(|s| Box::new(s) as Box<dyn Source>));
    Ok((out, found.notes))
}

/// What an outputs folder has, by kind.
#[derive(Debug, Default)]
struct Outputs {
    files: Vec<FilesSource>,
    images: Option<OciSource>,
    rpms: Vec<RpmSource>,
    debs: Vec<DebSource>,
    pypi: Option<PypiSource>,
    charts: Option<ChartSource>,
    notes: Vec<String>,
}

/// kubespray-offline makes the lists of its own `local` repositories itself, unsigned; those of any other folder are
/// somebody's mirror.
fn repository_metadata(root: &RelPath) -> Metadata {
    if root.file_name() == "local" { Metadata::Render } else { Metadata::Auto }
}

impl Outputs {
    fn read(outputs: &Path) -> Result<Outputs, SourceError> {
        let part = |name: &str| Some(outputs.join(name)).filter(|p| p.is_dir());
        if part("files").is_none() && part("images").is_none() {
            let why = "it has neither files/ nor images/; give the outputs/ folder that kubespray-offline's \
                       download-all.sh has filled";
            return Err(SourceError::List { path: outputs.into(), why: why.into() });
        }
        let mut found = Outputs::default();
        let mut untaken = TAKEN.map(str::to_owned).to_vec();
        if let Some(files) = part("files") {
            found.files(&files)?;
        }
        if let Some(images) = part("images") {
            found.images(outputs, &images, &mut untaken)?;
        }
        for (from, root) in found.repositories(outputs, "rpms")? {
            let metadata = repository_metadata(&root);
            found.rpms.push(RpmSource { from, root, metadata });
        }
        for (from, root) in found.repositories(outputs, "debs")? {
            let metadata = repository_metadata(&root);
            found.debs.push(DebSource { from, root, metadata });
        }
        if let Some(from) = part("pypi") {
            found.pypi = Some(PypiSource { root: path("www/pypi", &from)?, from });
        }
        if let Some(from) = part("charts") {
            found.charts = Some(ChartSource { root: path("www/charts", &from)?, from });
        }
        let mut kit = FilesSource::new(outputs, path("kit", outputs)?, None);
        kit.exclude = untaken;
        found.files.push(kit);
        Ok(found)
    }

    /// `files/`, with the URLs of its `files.list` as origins and what its places lack.
    fn files(&mut self, files: &Path) -> Result<(), SourceError> {
        let mut source = FilesSource::new(files, path("www", files)?, Some(path("files", files)?));
        source.origins = origins(files)?;
        self.files.push(source);
        for folder in children(&files.join("yq"))? {
            let Some(name) = folder.file_name().and_then(|n| n.to_str()) else { continue };
            let Some(mended) = urls::mended_folder(&format!("yq/{name}")) else { continue };
            if files.join(&mended).exists() {
                continue;
            }
            let under = path(&format!("files/{mended}"), &folder)?;
            self.notes.push(format!(
                "files/yq/{name}: kubespray-offline's offline.yml asks for files/{mended}; it is served at both"
            ));
            self.files.push(FilesSource::new(&folder, path("www", files)?, Some(under)));
        }
        for file in children(files)? {
            let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if name.starts_with("youki-") && name.ends_with("-gnu.tar.gz") {
                self.notes.push(format!(
                    "files/{name}: kubespray-offline's offline.yml asks for the -musl build, which is another one and is \
                     not here; the offline.yml of this site asks for -gnu"
                ));
            }
        }
        if files.join("kubernetes/calico/crds.yaml").exists() {
            self.notes.push(
                "files/kubernetes/calico/crds.yaml has no version in its path, and kubespray-offline does not fetch it \
                 anew; `pouch complete` tells whether it is the listed one"
                    .into(),
            );
        }
        Ok(())
    }

    /// `images/`: archives, layouts, and the lists that name them.
    fn images(&mut self, outputs: &Path, images: &Path, untaken: &mut Vec<String>) -> Result<(), SourceError> {
        let mut from = Vec::new();
        for entry in children(images)?.into_iter().chain(children(&images.join("oci"))?) {
            let name = entry.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            let below = entry.strip_prefix(outputs).unwrap_or(&entry).to_string_lossy().into_owned();
            if entry.is_dir() {
                if entry.join("index.json").is_file() {
                    untaken.push(format!("{}/**", globset::escape(&below)));
                    from.push(entry);
                } else if entry != images.join("oci") {
                    self.notes.push(format!("{below}/ is no image layout; it goes to kit/{below}/"));
                }
            } else if let Some(stem) = archive_stem(&name) {
                untaken.push(globset::escape(&below));
                if name.ends_with(".gz") && images.join(format!("{stem}.tar")).exists() {
                    self.notes.push(format!(
                        "{below} is left out: {stem}.tar lies beside it, so gzip did not end; the image is read from there"
                    ));
                } else {
                    from.push(entry);
                }
            } else if !LISTS.contains(&name.as_str()) {
                self.notes.push(format!("{below} is neither an image nor a list of images; it goes to kit/{below}"));
            }
            if name == "kubespray-offline-ansible.tar.gz" {
                self.notes.push(format!(
                    "{below}: setup-container.sh looks for kubespray-offline-container.tar.gz; pull this image from the \
                     site's registry, or write it with `pouch export`"
                ));
            }
        }
        if from.is_empty() {
            return Ok(());
        }
        let naming =
            Naming { strip: self.hosts(outputs)?, lists: references(images)?, keep_host: false, explicit: None };
        self.images = Some(OciSource { from, naming, platforms: Vec::new() });
        Ok(())
    }

    /// Hosts that are stripped: the well-known ones, then those of the `config.sh` that travels along.
    fn hosts(&mut self, outputs: &Path) -> Result<Vec<String>, SourceError> {
        let mut hosts = urls::STRIPPED_HOSTS.map(str::to_owned).to_vec();
        let config = outputs.join("config.sh");
        if config.is_file() {
            match additional_hosts(&read_text(&config)?) {
                Some(more) => hosts.extend(more),
                None => self.notes.push(
                    "config.sh: ADDITIONAL_CONTAINER_REGISTRY_LIST is not a plain value; only the well-known hosts are \
                     stripped from image names (a packing list's `strip` names others)"
                        .into(),
                ),
            }
        }
        Ok(hosts)
    }

    /// Every folder of `rpms/` or `debs/` is a repository of its name.
    fn repositories(&mut self, outputs: &Path, parent: &str) -> Result<Vec<(PathBuf, RelPath)>, SourceError> {
        let mut out = Vec::new();
        for entry in children(&outputs.join(parent))? {
            let name = entry.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if entry.is_dir() {
                let root = path(&format!("www/{parent}/{name}"), &entry)?;
                out.push((entry, root));
            } else {
                self.notes.push(format!("{parent}/{name} lies in no repository; it goes to kit/{parent}/{name}"));
            }
        }
        Ok(out)
    }
}

fn path(text: &str, file: &Path) -> Result<RelPath, SourceError> {
    RelPath::new(text).map_err(|source| SourceError::Path { path: file.into(), source })
}

/// The name of an image archive without its end.
fn archive_stem(name: &str) -> Option<&str> {
    ARCHIVES.iter().find_map(|end| name.strip_suffix(end)).filter(|stem| !stem.is_empty())
}

/// URL by place below `files/`, for the places that `files.list` fills.
fn origins(files: &Path) -> Result<BTreeMap<String, String>, SourceError> {
    let list = files.join("files.list");
    if !list.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = read_text(&list)?;
    // The first line that fills a place is where its file is from: the downloader skips what is there already.
    let mut out = BTreeMap::new();
    for url in entries(&text) {
        if let Some(place) = urls::place(url) {
            out.entry(place).or_insert_with(|| url.to_owned());
        }
    }
    Ok(out)
}

/// The references of all `images/*.list`, in order of file name and line, each once.
fn references(images: &Path) -> Result<Vec<String>, SourceError> {
    let mut out: Vec<String> = Vec::new();
    for list in children(images)?.into_iter().filter(|p| p.extension().is_some_and(|e| e == "list")) {
        for reference in entries(&read_text(&list)?).map(full_reference) {
            if !out.contains(&reference) {
                out.push(reference);
            }
        }
    }
    Ok(out)
}

/// A reference without a slash is one of Docker's own images.
pub fn full_reference(reference: &str) -> String {
    if reference.contains('/') { reference.to_owned() } else { format!("docker.io/library/{reference}") }
}

/// The hosts of `ADDITIONAL_CONTAINER_REGISTRY_LIST` in a `config.sh`, its default where it has one; `None` where a shell
/// would be needed to tell.
fn additional_hosts(config: &str) -> Option<Vec<String>> {
    let name = "ADDITIONAL_CONTAINER_REGISTRY_LIST";
    let assignment = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("export ")
            .unwrap_or(line)
            .trim_start()
            .strip_prefix(name)?
            .strip_prefix('=')
            .map(str::to_owned)
    };
    let Some(value) = config.lines().filter_map(assignment).next_back() else { return Some(Vec::new()) };
    let unquoted = |v: &str| v.trim().trim_matches('"').to_owned();
    let mut value = unquoted(&value);
    if let Some(inner) = value.strip_prefix(&format!("${{{name}:-")) {
        value = unquoted(inner.strip_suffix('}')?);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '/' | '_' | ' ' | '\t');
    value.chars().all(plain).then(|| value.split_whitespace().map(|h| h.trim_end_matches('/').to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::survey;
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("tempdir");
        for (file, text) in files {
            let file = dir.path().join(file);
            fs::create_dir_all(file.parent().expect("parent")).expect("mkdir");
            fs::write(file, text).expect("write");
        }
        dir
    }

    fn places(found: &Outputs) -> Vec<String> {
        let mut out = Vec::new();
        for source in &found.files {
            for a in survey(source).expect("survey") {
                out.push(a.place().expect("a file").expect("a path").to_string());
            }
        }
        out.sort();
        out
    }

    #[test]
    fn every_file_has_a_place() {
        let dir = tree(&[
            (
                "config.sh",
                "ADDITIONAL_CONTAINER_REGISTRY_LIST=${ADDITIONAL_CONTAINER_REGISTRY_LIST:-\"myregistry.io a.b:5\"}\n",
            ),
            ("playbook/roles/offline-repo/defaults/main.yml", ""),
            ("patches/2.18.0/a.patch", ""),
            ("SHA256SUMS", ""),
            ("files/files.list", "https://dl.k8s.io/release/v1.33.7/bin/linux/amd64/kubectl\n"),
            ("files/kubernetes/v1.33.7/kubectl", "elf"),
            ("files/yq/v4.42.1amd64/yq_linux_amd64", "elf"),
            ("files/youki-0.5.7-x86_64-gnu.tar.gz", ""),
            ("images/images.list", "registry.k8s.io/pause:3.10\nregistry:2.8.3\n"),
            ("images/additional-images.list", "registry:2.8.3\nflannel/flannel:1\n"),
            ("images/images.tsv", ""),
            ("images/README", ""),
            ("images/a.tar.gz", ""),
            ("images/b.tar", ""),
            ("images/b.tar.gz", ""),
            ("images/oci/x/index.json", "{}"),
            ("images/oci/x/blobs/sha256/00", ""),
            ("images/kubespray-offline-ansible.tar.gz", ""),
            ("rpms/local/p.rpm", ""),
            ("rpms/local/modules.yaml", ""),
            ("rpms/local/repodata/repomd.xml", ""),
            ("rpms/local/NOTES", ""),
            ("rpms/loose.rpm", ""),
            ("debs/local/pkgs/a.deb", ""),
            ("debs/local/Packages.gz", ""),
            ("debs/local/Contents-amd64.gz", ""),
            ("debs/other/dists/x/InRelease", ""),
            ("pypi/files/a-1-py3-none-any.whl", ""),
            ("pypi/files/b-1.tar.gz", ""),
            ("pypi/a/index.html", ""),
            ("pypi/requirements.txt", ""),
            ("charts/c-1.tgz", ""),
            ("charts/index.yaml", ""),
        ]);
        let found = Outputs::read(dir.path()).expect("outputs");
        assert_eq!(
            places(&found),
            [
                "kit/SHA256SUMS",
                "kit/config.sh",
                "kit/images/README",
                "kit/images/additional-images.list",
                "kit/images/images.list",
                "kit/images/images.tsv",
                "kit/patches/2.18.0/a.patch",
                "kit/playbook/roles/offline-repo/defaults/main.yml",
                "kit/pypi/requirements.txt",
                "kit/rpms/local/NOTES",
                "kit/rpms/loose.rpm",
                "www/files/files.list",
                "www/files/kubernetes/v1.33.7/kubectl",
                "www/files/youki-0.5.7-x86_64-gnu.tar.gz",
                "www/files/yq/v4.42.1/yq_linux_amd64",
                "www/files/yq/v4.42.1amd64/yq_linux_amd64",
            ]
        );
        let origin = found.files.first().and_then(|f| f.origins.get("kubernetes/v1.33.7/kubectl"));
        assert!(origin.is_some_and(|o| o.ends_with("/amd64/kubectl")));
        let images = found.images.as_ref().expect("images");
        let from: Vec<_> = images.from.iter().filter_map(|p| p.strip_prefix(dir.path().join("images")).ok()).collect();
        assert_eq!(from, ["a.tar.gz", "b.tar", "kubespray-offline-ansible.tar.gz", "oci/x"].map(Path::new));
        assert_eq!(
            images.naming.lists,
            ["docker.io/library/registry:2.8.3", "flannel/flannel:1", "registry.k8s.io/pause:3.10"]
        );
        assert_eq!(images.naming.strip.get(5..).expect("hosts"), ["quay.io", "myregistry.io", "a.b:5"]);
        let roots = |r: Vec<&RelPath>| r.into_iter().map(RelPath::to_string).collect::<Vec<_>>();
        assert_eq!(roots(found.rpms.iter().map(|r| &r.root).collect()), ["www/rpms/local"]);
        assert_eq!(roots(found.debs.iter().map(|r| &r.root).collect()), ["www/debs/local", "www/debs/other"]);
        assert!(found.pypi.is_some() && found.charts.is_some());
        for word in ["yq", "youki", "images/README", "b.tar.gz", "ansible.tar.gz", "rpms/loose.rpm"] {
            assert_eq!(found.notes.iter().filter(|n| n.contains(word)).count(), 1, "{word}: {:?}", found.notes);
        }
        assert_eq!(found.notes.len(), 6);
    }

    #[test]
    fn parts_may_be_missing_but_not_both() {
        let dir = tree(&[("files/a", "")]);
        let (sources, notes) = sources(dir.path()).expect("outputs");
        assert_eq!((sources.len(), notes.len()), (2, 0));
        let dir = tree(&[("images/a.tar.gz", "")]);
        assert!(Outputs::read(dir.path()).expect("outputs").images.is_some());
        let dir = tree(&[("rpms/local/a.rpm", "")]);
        let refused = Outputs::read(dir.path()).expect_err("refused").to_string();
        assert!(refused.contains("neither files/ nor images/"), "{refused}");
        assert!(Outputs::read(&dir.path().join("gone")).is_err());
    }

    #[test]
    fn additional_hosts_are_read_without_a_shell() {
        for (config, want) in [
            ("", Some(&[][..])),
            (
                "ADDITIONAL_CONTAINER_REGISTRY_LIST=${ADDITIONAL_CONTAINER_REGISTRY_LIST:-\"myregistry.io\"}",
                Some(&["myregistry.io"]),
            ),
            ("ADDITIONAL_CONTAINER_REGISTRY_LIST=\"a.io b.io/\"", Some(&["a.io", "b.io"])),
            ("export ADDITIONAL_CONTAINER_REGISTRY_LIST=a.io", Some(&["a.io"])),
            ("# ADDITIONAL_CONTAINER_REGISTRY_LIST=a.io", Some(&[])),
            ("ADDITIONAL_CONTAINER_REGISTRY_LIST=$(cat list)", None),
            ("ADDITIONAL_CONTAINER_REGISTRY_LIST=${ADDITIONAL_CONTAINER_REGISTRY_LIST:-\"$X\"}", None),
        ] {
            let got = additional_hosts(config);
            assert_eq!(
                got.as_deref(),
                want.map(|w| w.iter().map(|h| h.to_string()).collect::<Vec<_>>()).as_deref(),
                "{config}"
            );
        }
    }
}
