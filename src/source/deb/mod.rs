//! A *deb source* finds Debian packages in a folder: loose ones, a flat repository, or whole mirrors with `dists/`.
//!
//! It verifies no signature; apt does that on the far side with the key that its owner trusts. What it does verify is
//! that a repository that is kept is whole, so that no hole is found only behind the gap. See Debian's "Repository
//! Format"; not part of the specification.

pub use super::Metadata;
use super::{Found, OneFile, Sink, Source, SourceError, announce};
use crate::digest::Blob;
use crate::fs::tree::{self, TreeFile};
use crate::kind::KindError;
use crate::model::Kind;
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

mod lists;
#[cfg(test)]
mod tests;
mod whole;

/// Finds `*.deb`, `*.udeb` and `*.ddeb` below a folder.
#[derive(Clone, Debug)]
pub struct DebSource {
    /// The folder.
    pub from: PathBuf,
    /// Where its files are served, below a generation: `www/debs/local`.
    pub root: RelPath,
    /// What becomes of lists of packages.
    pub metadata: Metadata,
}

/// A repository whose lists are kept: its folder below `from`, `""` for `from` itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Repository {
    at: String,
    /// The folders that have a `Release` or `InRelease`, below `at`: `dists/bookworm`, or `""` for a flat one.
    suites: BTreeSet<String>,
}

/// What is done with a file.
enum Role {
    /// A package.
    Deb,
    /// Travels as it is with its repository.
    File,
    /// A list of packages that the site will render anew.
    Replaced,
    /// Nothing that belongs to packages.
    Other,
}

impl Source for DebSource {
    fn survey(&self, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
        let files = tree::walk(&self.from)?;
        let repositories = self.repositories(&files)?;
        let listed = whole::listed_files(&self.from, &repositories)?;
        let (mut take, mut replaced, mut other) = (Vec::new(), Vec::new(), Vec::new());
        for file in &files {
            let home = home(&repositories, &file.rel);
            match role(&file.rel, home, &listed) {
                Role::Deb => take.push((file, Kind::Deb, home)),
                Role::File => take.push((file, Kind::File, home)),
                Role::Replaced => replaced.push(file.rel.as_str()),
                Role::Other => other.push(file.rel.as_str()),
            }
        }
        let done: Vec<Result<(String, Blob), SourceError>> = take
            .par_iter()
            .map(|(file, kind, home)| Ok((file.rel.clone(), self.announce(file, *kind, *home, sink, monitor)?)))
            .collect();
        let seen: BTreeMap<String, Blob> = done.into_iter().collect::<Result<_, _>>()?; // or the first error in path order
        for repository in &repositories {
            whole::check(&self.from, repository, &seen, sink)?;
        }
        let debs: Vec<&str> = files.iter().map(|f| f.rel.as_str()).filter(|rel| is_deb(rel)).collect();
        if debs.is_empty() {
            sink.note(format!("{}: there are no debs here", self.from.display()));
        }
        let names: Vec<&str> = debs.into_iter().filter(|rel| rel.contains('#')).collect();
        self.note(sink, "apt cannot ask for paths with # in them; rename", &names);
        self.note(sink, "package lists that the site renders anew were left out", &replaced);
        self.note(sink, "files that are neither packages nor lists of a kept repository were left out", &other);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("debs in {}", self.from.display())
    }
}

impl DebSource {
    /// The repositories whose lists are kept.
    fn repositories(&self, files: &[TreeFile]) -> Result<Vec<Repository>, SourceError> {
        if self.metadata == Metadata::Render {
            return Ok(Vec::new());
        }
        let out = find_repositories(files, self.metadata == Metadata::Keep);
        if out.is_empty() && self.metadata == Metadata::Keep {
            let why = "there is no Release, InRelease or dists/ to keep; ask for metadata = \"render\"".into();
            return Err(SourceError::List { path: self.from.clone(), why });
        }
        Ok(out)
    }

    fn announce(
        &self,
        file: &TreeFile,
        kind: Kind,
        home: Option<&Repository>,
        sink: &dyn Sink,
        monitor: &dyn Monitor,
    ) -> Result<Blob, SourceError> {
        let path_error = |source| SourceError::Path { path: file.path.clone(), source };
        let at = home.map_or("", |r| r.at.as_str());
        let root = if at.is_empty() { self.root.clone() } else { self.root.join(at).map_err(path_error)? };
        let path = RelPath::new(below(&file.rel, at).unwrap_or(&file.rel)).map_err(path_error)?;
        let capture = Capture { sink, blob: Mutex::new(None) };
        let one = OneFile { kind, file: &file.path, root: &root, path, executable: false, labels: vec![] };
        announce(one, &capture, monitor)?;
        let blob = *lock(&capture.blob);
        // `announce` returns without an error only after it called `found`.
        blob.ok_or_else(|| SourceError::kind(&file.path)(KindError::malformed("the survey", "nothing was announced")))
    }

    fn note(&self, sink: &dyn Sink, what: &str, names: &[&str]) {
        if let Some(list) = some_of(names, 10) {
            sink.note(format!("{}: {what}: {list}", self.from.display()));
        }
    }
}

/// `a, b, c and 4 more`; `None` of nothing.
fn some_of<T: AsRef<str>>(names: &[T], most: usize) -> Option<String> {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(most);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("{}{tail}", shown.join(", ")))
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Passes one artifact on and keeps its blob.
struct Capture<'a> {
    sink: &'a dyn Sink,
    blob: Mutex<Option<Blob>>,
}

impl Sink for Capture<'_> {
    fn found(&self, found: Found) -> Result<(), SourceError> {
        *lock(&self.blob) = found.described.artifact.blobs.first().copied();
        self.sink.found(found)
    }
    fn note(&self, text: String) {
        self.sink.note(text);
    }
}

/// Folder and name of a path.
fn split(rel: &str) -> (&str, &str) {
    rel.rsplit_once('/').unwrap_or(("", rel))
}

/// `folder` and `name` joined, where `folder` may be `""`.
fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// What is left of `rel` below `folder`, where `folder` may be `""`.
fn below<'a>(rel: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() { Some(rel) } else { rel.strip_prefix(folder)?.strip_prefix('/') }
}

/// Repositories are folders with `dists/` that has a `Release` or `InRelease` somewhere below, and flat ones: folders
/// with `InRelease` or `Release.gpg`, or, with `unsigned`, with `Release` alone.
fn find_repositories(files: &[TreeFile], unsigned: bool) -> Vec<Repository> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let (folder, name) = split(&file.rel);
        if !matches!(name, "Release" | "InRelease" | "Release.gpg") {
            continue;
        }
        let parts: Vec<&str> = folder.split('/').collect();
        if let Some(n) = parts.iter().position(|p| *p == "dists") {
            let (at, suite) = parts.split_at(n);
            found.entry(at.join("/")).or_default().insert(suite.join("/"));
        } else if unsigned || name != "Release" {
            found.entry(folder.to_owned()).or_default().insert(String::new());
        }
    }
    found.into_iter().map(|(at, suites)| Repository { at, suites }).collect()
}

/// The innermost repository that a file lies in.
fn home<'a>(repositories: &'a [Repository], rel: &str) -> Option<&'a Repository> {
    repositories.iter().filter(|r| below(rel, &r.at).is_some()).max_by_key(|r| r.at.len())
}

fn role(rel: &str, home: Option<&Repository>, listed: &BTreeSet<String>) -> Role {
    let (_, name) = split(rel);
    let ext = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or("");
    let is_list = is_list(rel);
    match home {
        _ if is_deb(name) => Role::Deb,
        None if is_list => Role::Replaced,
        None => Role::Other,
        Some(r) => {
            let inside = below(rel, &r.at).unwrap_or(rel);
            let key = matches!(name, "key.asc" | "key.gpg") || ext == "gpg";
            let kept = inside.starts_with("dists/") || is_list || key || listed.contains(rel) || is_source(name);
            if kept { Role::File } else { Role::Other }
        }
    }
}

/// Whether it is a package by its name: for apt, for the installer, or with debugging symbols.
fn is_deb(name: &str) -> bool {
    [".deb", ".udeb", ".ddeb"].iter().any(|ext| name.ends_with(ext))
}

/// Whether it is a list of packages by its name, or lies in `dists/` or among lists by digest.
fn is_list(rel: &str) -> bool {
    let (folder, name) = split(rel);
    let stem = name.split('.').next().unwrap_or(name);
    matches!(name, "Release" | "InRelease" | "Release.gpg")
        || matches!(stem, "Packages" | "Sources")
        || stem.starts_with("Contents-")
        || stem.starts_with("Translation-")
        || folder.split('/').any(|p| p == "dists" || p == "by-hash")
}

/// Whether it is part of a source package: `x_1.dsc`, `x_1.orig.tar.xz`, its signature, `x_1-1.diff.gz`.
fn is_source(name: &str) -> bool {
    let name = name.strip_suffix(".asc").unwrap_or(name);
    let tar = name.rsplit_once('.').is_some_and(|(n, ext)| {
        n.ends_with(".tar") && n.contains('_') && matches!(ext, "gz" | "xz" | "bz2" | "zst" | "lzma")
    });
    tar || name.ends_with(".dsc") || name.ends_with(".diff.gz")
}
