//! The *model* is what both sides of the gap talk about: artifacts, releases, the catalog of a site and the plan of a
//! generation.
//!
//! Plain values: no I/O, no ecosystem's rules. Specified in `spec/bundle.md`, section "Words".

use crate::cbor::{Bytes, Cbor, CborError, Value, record};
use crate::digest::{Blob, Digest};
use crate::relpath::{PathError, RelPath};
use std::collections::BTreeMap;

/// What an artifact is. The names are part of the format; each is a feature that a reader knows or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A plain file.
    File,
    /// An OCI image, index or other OCI artifact with all that it refers to.
    Image,
    /// An RPM package.
    Rpm,
    /// A metadata document of a yum repository (comps, modules, updateinfo).
    Repodata,
    /// A Debian package.
    Deb,
    /// A Python wheel.
    Wheel,
    /// A Python source distribution.
    Sdist,
    /// A Helm chart.
    Chart,
    /// A version of a Go module, one file of its `@v` folder.
    Gomod,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 9] = [
        Kind::File,
        Kind::Image,
        Kind::Rpm,
        Kind::Repodata,
        Kind::Deb,
        Kind::Wheel,
        Kind::Sdist,
        Kind::Chart,
        Kind::Gomod,
    ];

    /// The name in the format, in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Image => "image",
            Kind::Rpm => "rpm",
            Kind::Repodata => "repodata",
            Kind::Deb => "deb",
            Kind::Wheel => "wheel",
            Kind::Sdist => "sdist",
            Kind::Chart => "chart",
            Kind::Gomod => "gomod",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.name() == name)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl Cbor for Kind {
    fn to_value(&self) -> Value {
        Value::Text(self.name().into())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        let name = String::from_value(v)?;
        Kind::from_name(&name).ok_or_else(|| CborError::Value(format!("unknown artifact kind {name:?}")))
    }
}

record! {
    /// An artifact: a thing that a user names, with the blobs it consists of and the place it takes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Artifact {
        /// What it is.
        0 => kind: Kind,
        /// What users call it: an image `repository:tag` as it is served, a package name, a file's path below `root`.
        1 => name: String,
        /// Its version in its ecosystem's own form; absent where it has none.
        2 => version: Option<String>,
        /// Its architecture or platforms in its ecosystem's own words; absent where it has none.
        3 => arch: Option<String>,
        /// The folder of the repository it belongs to, below a generation: `www/rpms/local`, `registry`, `kit`.
        4 => root: RelPath,
        /// Its file below `root`; absent for images, which have many.
        5 => path: Option<RelPath>,
        /// Whether its file is executable.
        6 => executable: bool,
        /// Its blobs; the first is the artifact itself (the file, the top manifest), the others are in the order that
        /// its kind says, each once.
        7 => blobs: Vec<Blob>,
        /// Words about it that are not in its own bytes, sorted by key, each key once. Registered keys: `origin` (the
        /// reference or URL under which its users know it), `yanked` (PEP 592: the reason, may be empty).
        8 => labels: Vec<(String, String)>,
    }
}

impl Artifact {
    /// The label `key`.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Where its file lies below a generation; `None` for images.
    pub fn place(&self) -> Option<Result<RelPath, PathError>> {
        self.path.as_ref().map(|p| self.root.join(p.as_str()))
    }

    /// The order of artifacts in a release: kind, root, path, name, first blob.
    pub fn sort_key(&self) -> (&'static str, &RelPath, Option<&RelPath>, &str, Option<&Blob>) {
        (self.kind.name(), &self.root, self.path.as_ref(), &self.name, self.blobs.first())
    }

    /// Sum of the lengths of its blobs, in bytes.
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|b| b.len).fold(0, u64::saturating_add)
    }
}

/// An artifact with its *facts*: what was read out of its own headers, as canonical CBOR of its kind's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The artifact.
    pub artifact: Artifact,
    /// Its facts, encoded; decode with `cbor::decode::<RpmFacts>(..)` and the like.
    pub facts: Bytes,
}

/// One release as a site shows it.
#[derive(Clone, Debug)]
pub struct ReleaseView {
    /// Its stream.
    pub stream: String,
    /// Epoch of the stream.
    pub epoch: u64,
    /// Sequence within the epoch.
    pub sequence: u64,
    /// True for the release that is its stream's latest on this site; package indexes list only those.
    pub latest: bool,
    /// Its artifacts, in the release's order.
    pub artifacts: Vec<Described>,
}

/// All releases that a generation shows: grouped by stream (in name order), the newest of each stream first.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The releases.
    pub releases: Vec<ReleaseView>,
}

impl Catalog {
    /// Artifacts of the latest release of every stream: what package indexes list.
    pub fn latest(&self) -> impl Iterator<Item = &Described> {
        self.releases.iter().filter(|r| r.latest).flat_map(|r| &r.artifacts)
    }

    /// Artifacts of all releases, newest first within a stream: what images and files are served from.
    pub fn all(&self) -> impl Iterator<Item = (&ReleaseView, &Described)> {
        self.releases.iter().flat_map(|r| r.artifacts.iter().map(move |a| (r, a)))
    }
}

/// What a site's owner configures and targets need.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteConfig {
    /// The site's name, for receipts and statements.
    pub name: String,
    /// The name or address at which clients reach the site; rendered client configuration says `YOUR_HOST` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How many releases of a stream stay visible (at least 1).
    pub keep: u32,
    /// The port of the rendered nginx configuration.
    pub http_port: u16,
    /// The port of the rendered registry configuration.
    pub registry_port: u16,
}

impl Default for SiteConfig {
    fn default() -> Self {
        SiteConfig { name: "site".into(), host: None, keep: 2, http_port: 80, registry_port: 35000 }
    }
}

/// What targets are rendered with; the same catalog and the same context give the same plan, byte for byte.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The site's configuration.
    pub config: &'a SiteConfig,
    /// Unix seconds that rendered metadata carries as its date: the `issued` time of the newest seal, never the clock.
    pub time: i64,
}

/// What a file of a plan consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A blob of the site, by hard link.
    Blob {
        /// Which.
        digest: Digest,
        /// Mode 0755 instead of 0644.
        executable: bool,
    },
    /// Rendered bytes, always a fresh inode.
    Bytes(Vec<u8>),
}

/// One file of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its content.
    pub content: Content,
    /// True where its name contains its digest, so that it may stay for clients of the previous generation.
    pub content_named: bool,
}

/// A *plan* is the complete list of files and empty folders of one generation.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    files: BTreeMap<RelPath, Entry>,
    folders: std::collections::BTreeSet<RelPath>,
    folded: BTreeMap<String, (RelPath, bool)>,
}

/// Two things want the same place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two files of different content have one path, or paths that some file systems cannot tell apart.
    #[error("{}", collision(.first, .second))]
    Collision {
        /// The path that was there.
        first: RelPath,
        /// The path that came.
        second: RelPath,
    },
    /// A path is outside the grammar.
    #[error(transparent)]
    Path(#[from] PathError),
}

fn collision(first: &RelPath, second: &RelPath) -> String {
    match first == second {
        true => format!("two different files want the place {first:?} in the site"),
        false => format!("{first:?} and {second:?} want the same place in the site"),
    }
}

impl Plan {
    /// An empty plan.
    pub fn new() -> Plan {
        Plan::default()
    }

    /// Adds a file. The same content at the same path again is accepted; anything else there is a collision, also where
    /// names differ only in case or Unicode form, or where one path is a file and a folder of the other.
    pub fn add(&mut self, path: RelPath, content: Content) -> Result<(), PlanError> {
        self.insert(path, Entry { content, content_named: false })
    }

    /// Adds a file whose name contains its digest.
    pub fn add_content_named(&mut self, path: RelPath, content: Content) -> Result<(), PlanError> {
        self.insert(path, Entry { content, content_named: true })
    }

    /// Adds a folder that may stay empty.
    pub fn add_folder(&mut self, path: RelPath) -> Result<(), PlanError> {
        self.claim(&path, true)?;
        self.folders.insert(path);
        Ok(())
    }

    fn insert(&mut self, path: RelPath, entry: Entry) -> Result<(), PlanError> {
        if let Some(there) = self.files.get(&path) {
            if there.content == entry.content {
                return Ok(());
            }
            return Err(PlanError::Collision { first: path.clone(), second: path });
        }
        self.claim(&path, false)?;
        self.files.insert(path, entry);
        Ok(())
    }

    /// Enters `path` and its parents by their folded names.
    fn claim(&mut self, path: &RelPath, folder: bool) -> Result<(), PlanError> {
        let mut at = Some(path.clone());
        let mut is_folder = folder;
        while let Some(p) = at {
            match self.folded.get(&p.fold()) {
                Some((there, there_folder)) if *there != p || *there_folder != is_folder => {
                    return Err(PlanError::Collision { first: there.clone(), second: path.clone() });
                }
                Some(_) if is_folder => return Ok(()), // its parents were claimed with it
                _ => {
                    self.folded.insert(p.fold(), (p.clone(), is_folder));
                }
            }
            at = p.parent();
            is_folder = true;
        }
        Ok(())
    }

    /// Whether a file has that path.
    pub fn contains(&self, path: &RelPath) -> bool {
        self.files.contains_key(path)
    }

    /// The files, in path order.
    pub fn files(&self) -> impl Iterator<Item = (&RelPath, &Entry)> {
        self.files.iter()
    }

    /// The folders that were added for their own sake, in path order.
    pub fn folders(&self) -> impl Iterator<Item = &RelPath> {
        self.folders.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(s: &str) -> RelPath {
        RelPath::new(s).expect("a path")
    }

    #[test]
    fn plans_refuse_collisions() {
        let file = |b: &str| Content::Bytes(b.as_bytes().to_vec());
        let check = |first: &str, second: &str, ok: bool| {
            let mut p = Plan::new();
            p.add(path(first), file("1")).expect("first");
            assert_eq!(p.add(path(second), file("2")).is_ok(), ok, "{first} {second}");
        };
        check("a/b", "a/c", true);
        check("a/b", "a/b", false);
        check("a/b", "a/B", false);
        check("a/b", "A/c", false);
        check("a/b", "a/b/c", false);
        check("a/b/c", "a/b", false);
        check("straße", "STRASSE", false);
        let mut p = Plan::new();
        p.add(path("a"), file("1")).expect("a");
        assert!(p.add(path("a"), file("1")).is_ok());
        p.add_folder(path("d/_layers")).expect("folder");
        p.add(path("d/_layers/x"), file("1")).expect("file in it");
        assert!(p.add_folder(path("d/_layers")).is_ok());
        assert!(p.add_folder(path("a")).is_err());
    }
}
