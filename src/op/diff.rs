//! A *difference* is what a release has that another one has not, artifact by artifact.
//!
//! It compares what two releases say; no blob is opened, and nothing is verified. Specified in `spec/desk.md`, section
//! "Differences".

use crate::cbor;
use crate::digest::{Blob, Digest};
use crate::format::root::ReleaseRoot;
use crate::kind::oci::name::ImageName;
use crate::kind::{gomod::GomodFacts, wheel::WheelFacts};
use crate::model::{Artifact, Described, Kind};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most versions that are named beside one that is gone.
const REMAINING: usize = 8;

/// A release and its artifacts.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The release id.
    pub id: Digest,
    /// The root.
    pub root: &'a ReleaseRoot,
    /// The artifacts.
    pub artifacts: &'a [Described],
}

/// Which release, and how much it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The release id.
    pub release: Digest,
    /// The stream.
    pub stream: String,
    /// Epoch of the stream.
    pub epoch: u64,
    /// Sequence within the epoch.
    pub sequence: u64,
    /// What people call it.
    pub version: Option<String>,
    /// Artifacts.
    pub artifacts: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of its blobs.
    pub bytes: u64,
}

impl Summary {
    /// Of a release root.
    pub fn of(id: Digest, root: &ReleaseRoot) -> Summary {
        Summary {
            release: id,
            stream: root.stream.clone(),
            epoch: root.epoch,
            sequence: root.sequence,
            version: root.version.clone(),
            artifacts: root.totals.iter().map(|t| t.artifacts).fold(0, u64::saturating_add),
            blobs: root.blobs,
            bytes: root.bytes,
        }
    }
}

/// An artifact, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its name; of an image the repository.
    pub name: String,
    /// Its version; of an image the tag or digest.
    pub version: Option<String>,
    /// Its architecture.
    pub arch: Option<String>,
    /// Its path below a generation; of an image the folder of the registry.
    pub place: String,
    /// Bytes of its blobs.
    pub bytes: u64,
    /// Digest of its first blob.
    pub digest: Option<Digest>,
}

impl Item {
    /// Of an artifact.
    pub fn of(a: &Artifact) -> Item {
        let (name, version) = name_and_version(a);
        Item {
            kind: a.kind,
            name,
            version,
            arch: a.arch.clone(),
            place: place(a),
            bytes: a.bytes(),
            digest: a.blobs.first().map(|b| b.digest),
        }
    }
}

/// An artifact that is gone, and what is left of its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// What it was.
    #[serde(flatten)]
    pub item: Item,
    /// Versions of the same name, kind and root that the new release has, at most 8; empty where the name is gone
    /// altogether.
    pub remaining: Vec<String>,
}

/// An artifact that is in both releases, and not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// What differs: `version`, `content`, `place`, `executable`, `labels`, in this order.
    pub what: Vec<&'static str>,
    /// What it was.
    pub old: Item,
    /// What it is.
    pub new: Item,
}

impl Changed {
    /// The same version with other bytes: what no maker should do, and an attacker might. Plain files have no version.
    pub fn is_replaced(&self) -> bool {
        self.new.version.is_some() && self.what.contains(&"content") && !self.what.contains(&"version")
    }
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The old release.
    pub old: Summary,
    /// The new one.
    pub new: Summary,
    /// Artifacts that only the new one has.
    pub added: Vec<Item>,
    /// Artifacts that only the old one has.
    pub removed: Vec<Removed>,
    /// Artifacts that differ.
    pub changed: Vec<Changed>,
    /// How many are the same.
    pub unchanged: u64,
    /// Blobs that only the new release has.
    pub new_blobs: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// Blobs that only the old release has.
    pub gone_blobs: u64,
    /// Their bytes.
    pub gone_bytes: u64,
}

/// What makes two artifacts the same thing in two releases.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: &'static str,
    root: String,
    name: String,
    variant: String,
}

/// Name and version as people speak of them: an image is a repository and what is asked of it.
fn name_and_version(a: &Artifact) -> (String, Option<String>) {
    match (a.kind, ImageName::parse(&a.name)) {
        (Kind::Image, Ok(name)) => {
            let text = a.name.get(name.repository.len()..).unwrap_or_default();
            (name.repository, Some(text.trim_start_matches([':', '@']).to_owned()))
        }
        _ => (a.name.clone(), a.version.clone()),
    }
}

fn place(a: &Artifact) -> String {
    match &a.path {
        Some(path) => format!("{}/{path}", a.root),
        None => a.root.to_string(),
    }
}

/// Of files and documents the path is the name; of packages it may change with the version.
fn key(d: &Described) -> Key {
    let a = &d.artifact;
    let path = || a.path.as_ref().map(ToString::to_string).unwrap_or_default();
    let (name, variant) = match a.kind {
        Kind::File | Kind::Repodata => (path(), String::new()),
        Kind::Image => (name_and_version(a).0, String::new()),
        Kind::Wheel => {
            let tags = cbor::decode::<WheelFacts>(&d.facts.0).map(|f| f.tags);
            (a.name.clone(), tags.unwrap_or_default())
        }
        Kind::Gomod => {
            let file = cbor::decode::<GomodFacts>(&d.facts.0).map(|f| f.file);
            (a.name.clone(), file.unwrap_or_default())
        }
        Kind::Rpm | Kind::Deb | Kind::Sdist | Kind::Chart => (a.name.clone(), a.arch.clone().unwrap_or_default()),
    };
    Key { kind: a.kind.name(), root: a.root.to_string(), name, variant }
}

/// Compares two releases.
pub fn diff(old: Side<'_>, new: Side<'_>) -> Diff {
    let mut groups: BTreeMap<Key, [Vec<&Artifact>; 2]> = BTreeMap::new();
    for (n, side) in [old, new].iter().enumerate() {
        for d in side.artifacts {
            let group = groups.entry(key(d)).or_default();
            group.iter_mut().skip(n).take(1).for_each(|list| list.push(&d.artifact));
        }
    }
    let (lost, new_blobs) = (missing(old.artifacts, new.artifacts), missing(new.artifacts, old.artifacts));
    let sum = |blobs: &BTreeSet<Blob>| blobs.iter().map(|b| b.len).fold(0, u64::saturating_add);
    let mut out = Diff {
        old: Summary::of(old.id, old.root),
        new: Summary::of(new.id, new.root),
        added: vec![],
        removed: vec![],
        changed: vec![],
        unchanged: 0,
        new_blobs: new_blobs.len() as u64,
        new_bytes: sum(&new_blobs),
        gone_blobs: lost.len() as u64,
        gone_bytes: sum(&lost),
    };
    let remaining = versions(new.artifacts);
    for [old, new] in groups.into_values() {
        compare(old, new, &remaining, &mut out);
    }
    out
}

/// Blobs of `have` that `other` lacks.
pub fn missing(have: &[Described], other: &[Described]) -> BTreeSet<Blob> {
    let other: BTreeSet<Blob> = other.iter().flat_map(|d| d.artifact.blobs.iter().copied()).collect();
    have.iter().flat_map(|d| d.artifact.blobs.iter().copied()).filter(|b| !other.contains(b)).collect()
}

type Versions = BTreeMap<(&'static str, String, String), BTreeSet<String>>;

/// The versions that a release has of each name, whatever the architecture.
fn versions(artifacts: &[Described]) -> Versions {
    let mut out = Versions::new();
    for a in artifacts.iter().map(|d| &d.artifact) {
        let (name, version) = name_and_version(a);
        out.entry((a.kind.name(), a.root.to_string(), name)).or_default().extend(version);
    }
    out
}

/// The artifacts of one key: those of equal version belong together, of these first those at one place; then what is left
/// if it is one on each side. More than one of different versions cannot be told apart: they are removed and added.
fn compare(old: Vec<&Artifact>, new: Vec<&Artifact>, remaining: &Versions, out: &mut Diff) {
    let (old, new) = pair(old, new, |a| (name_and_version(a).1, a.path.clone()), out);
    let (old, new) = pair(old, new, |a| name_and_version(a).1, out);
    if let ([was], [is]) = (old.as_slice(), new.as_slice()) {
        return record(was, is, out);
    }
    for was in old {
        let item = Item::of(was);
        let key = (was.kind.name(), was.root.to_string(), item.name.clone());
        let remaining = remaining.get(&key).into_iter().flatten().take(REMAINING).cloned().collect();
        out.removed.push(Removed { item, remaining });
    }
    out.added.extend(new.into_iter().map(Item::of));
}

/// Records those of equal `key`, one to one in their order; gives what is left of both.
fn pair<'a, K: Ord>(
    old: Vec<&'a Artifact>,
    new: Vec<&'a Artifact>,
    key: impl Fn(&Artifact) -> K,
    out: &mut Diff,
) -> (Vec<&'a Artifact>, Vec<&'a Artifact>) {
    let mut by: BTreeMap<K, VecDeque<usize>> = BTreeMap::new();
    for (n, a) in new.iter().enumerate() {
        by.entry(key(a)).or_default().push_back(n);
    }
    let mut left = Vec::new();
    let mut taken = BTreeSet::new();
    for was in old {
        let found = by.get_mut(&key(was)).and_then(VecDeque::pop_front);
        match found.and_then(|n| new.get(n).map(|is| (n, is))) {
            Some((n, is)) => {
                taken.insert(n);
                record(was, is, out);
            }
            None => left.push(was),
        }
    }
    let rest = new.into_iter().enumerate().filter(|(n, _)| !taken.contains(n)).map(|(_, a)| a).collect();
    (left, rest)
}

fn record(was: &Artifact, is: &Artifact, out: &mut Diff) {
    let (old, new) = (Item::of(was), Item::of(is));
    let differs = [
        ("version", old.version != new.version),
        ("content", was.blobs != is.blobs),
        ("place", old.place != new.place),
        ("executable", was.executable != is.executable),
        ("labels", was.labels != is.labels),
    ];
    let what: Vec<&'static str> = differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect();
    match what.is_empty() {
        true => out.unchanged = out.unchanged.saturating_add(1),
        false => out.changed.push(Changed { what, old, new }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::Bytes;
    use crate::relpath::RelPath;

    fn artifact(kind: Kind, name: &str, version: Option<&str>, path: Option<&str>, content: &str) -> Described {
        let artifact = Artifact {
            kind,
            name: name.into(),
            version: version.map(Into::into),
            arch: None,
            root: RelPath::new("r").expect("a root"),
            path: path.map(|p| RelPath::new(p).expect("a path")),
            executable: false,
            blobs: vec![Blob::of(content.as_bytes())],
            labels: vec![],
        };
        Described { artifact, facts: Bytes(vec![0xa0]) }
    }

    fn rpm(name: &str, version: &str, content: &str) -> Described {
        artifact(Kind::Rpm, name, Some(version), Some(&format!("{name}-{version}.rpm")), content)
    }

    fn file(path: &str, content: &str) -> Described {
        artifact(Kind::File, path, None, Some(path), content)
    }

    fn image(name: &str, content: &str) -> Described {
        artifact(Kind::Image, name, None, None, content)
    }

    fn root() -> ReleaseRoot {
        ReleaseRoot {
            stream: "s".into(),
            epoch: 0,
            sequence: 1,
            version: None,
            totals: vec![],
            blobs: 0,
            bytes: 0,
            sections: vec![],
            requires: vec![],
            ext: None,
        }
    }

    /// Added, removed and changed in short: `+name version`, `-name version`, `name old>new what`.
    fn short(old: &[Described], new: &[Described]) -> Vec<String> {
        let (id, root) = (Digest::of(b""), root());
        let d = diff(Side { id, root: &root, artifacts: old }, Side { id, root: &root, artifacts: new });
        let v = |i: &Item| i.version.clone().unwrap_or_default();
        let mut out: Vec<String> = d.added.iter().map(|i| format!("+{} {}", i.name, v(i))).collect();
        out.extend(d.removed.iter().map(|r| format!("-{} {} {:?}", r.item.name, v(&r.item), r.remaining)));
        let what = |c: &Changed| format!("{} {}>{} {}", c.new.name, v(&c.old), v(&c.new), c.what.join(","));
        out.extend(d.changed.iter().map(what));
        out
    }

    #[test]
    fn what_belongs_together() {
        let check = |old: &[Described], new: &[Described], want: &[&str]| assert_eq!(short(old, new), want);
        check(&[file("a", "1")], &[file("a", "1")], &[]);
        check(&[file("a", "1")], &[file("a", "2")], &["a > content"]);
        check(&[file("a", "1")], &[file("b", "1")], &["+b ", "-a  []"]);
        check(&[rpm("p", "1", "x")], &[rpm("p", "2", "y")], &["p 1>2 version,content,place"]);
        check(&[rpm("p", "1", "x")], &[rpm("p", "1", "y")], &["p 1>1 content"]);
        check(&[rpm("p", "1", "x"), rpm("p", "2", "y")], &[rpm("p", "2", "y")], &["-p 1 [\"2\"]"]);
        check(
            &[rpm("p", "1", "x"), rpm("p", "2", "y")],
            &[rpm("p", "2", "y"), rpm("p", "3", "z")],
            &["p 1>3 version,content,place"],
        );
        let many = [rpm("p", "3", "a"), rpm("p", "4", "b")];
        check(&[rpm("p", "1", "x")], &many, &["+p 3", "+p 4", "-p 1 [\"3\", \"4\"]"]);
        check(&[image("a/b:1", "x")], &[image("a/b:2", "y")], &["a/b 1>2 version,content"]);
        check(&[image("a/b:1", "x")], &[image("a/b:1", "y")], &["a/b 1>1 content"]);
        check(&[image("localhost:1", "x")], &[], &["-localhost 1 []"]);
    }

    #[test]
    fn other_bytes_under_the_same_version_stand_out() {
        let (id, root) = (Digest::of(b""), root());
        let replaced = |old: Described, new: Described| {
            let (old, new) = ([old], [new]);
            let d = diff(Side { id, root: &root, artifacts: &old }, Side { id, root: &root, artifacts: &new });
            d.changed.first().is_some_and(Changed::is_replaced)
        };
        assert!(replaced(rpm("p", "1", "x"), rpm("p", "1", "y")));
        assert!(!replaced(rpm("p", "1", "x"), rpm("p", "2", "y")));
        assert!(!replaced(file("p", "x"), file("p", "y")));
        let mut moved = rpm("p", "1", "x");
        moved.artifact.executable = true;
        assert!(!replaced(rpm("p", "1", "x"), moved));
    }

    #[test]
    fn blobs_are_counted_once() {
        let old = [file("a", "1"), file("b", "22")];
        let new = [file("a", "1"), file("c", "333"), file("d", "333")];
        let (id, root) = (Digest::of(b""), root());
        let d = diff(Side { id, root: &root, artifacts: &old }, Side { id, root: &root, artifacts: &new });
        assert_eq!((d.new_blobs, d.new_bytes, d.gone_blobs, d.gone_bytes, d.unchanged), (1, 3, 1, 2, 1));
    }
}
