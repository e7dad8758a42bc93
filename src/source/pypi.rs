//! The *pypi* source finds wheels and sdists in a folder, such as `pip download` or kubespray-offline's mirror leaves.
//!
//! Index pages and the links of a mirror are left behind: the site renders its own. Not part of the specification.

use super::list::read_text;
use super::{OneFile, Sink, Source, SourceError, announce};
use crate::digest::{Blob, hash_reader};
use crate::fs::regular;
use crate::fs::tree::{self, TreeFile};
use crate::kind::sdist;
use crate::model::Kind;
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A list of withdrawn files beside them: lines of file name, tab, reason.
const YANKED: &str = "yanked.txt";

/// Finds wheels and sdists.
#[derive(Clone, Debug)]
pub struct PypiSource {
    /// The folder; looked through with all that lies below it.
    pub from: PathBuf,
    /// Where the index lies below a generation: `www/pypi`.
    pub root: RelPath,
}

impl Source for PypiSource {
    fn describe(&self) -> String {
        format!("Python packages in {}", self.from.display())
    }

    fn survey(&self, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
        let mut files = tree::walk(&self.from)?;
        // Real files before links to them, so that the path in messages is the file's own.
        files.sort_by_key(|f| (!f.path.ends_with(&f.rel), f.rel.clone()));
        let yanked = yanked(&self.from)?;
        let (mut packages, mut left_out) = (BTreeMap::<String, TreeFile>::new(), Vec::new());
        for file in files {
            let name = file.rel.rsplit('/').next().unwrap_or(&file.rel).to_owned();
            if kind(&name).is_none() {
                left_out.push(file.rel);
                continue;
            }
            match packages.get(&name) {
                Some(there) => same(there, &file)?,
                None => {
                    packages.insert(name, file);
                }
            }
        }
        self.note_left_out(&left_out, sink);
        for name in yanked.keys().filter(|n| !packages.contains_key(*n)) {
            sink.note(format!("{}: {YANKED} names {name}, which is not there", self.from.display()));
        }
        for (name, file) in packages {
            let path = RelPath::new(&format!("files/{name}"))
                .map_err(|source| SourceError::Path { path: file.path.clone(), source })?;
            let labels = yanked.get(&name).map(|reason| ("yanked".to_owned(), reason.clone())).into_iter().collect();
            let Some(kind) = kind(&name) else { continue };
            announce(
                OneFile { kind, file: &file.path, root: &self.root, path, executable: false, labels },
                sink,
                monitor,
            )?;
        }
        Ok(())
    }
}

impl PypiSource {
    /// One note for what a mirror generates, one for each other file.
    fn note_left_out(&self, left_out: &[String], sink: &dyn Sink) {
        let at = self.from.display();
        let (pages, others): (Vec<&String>, Vec<&String>) = left_out.iter().partition(|f| f.ends_with("index.html"));
        if !pages.is_empty() {
            sink.note(format!("{at}: {} index pages are left out; the site renders its own", pages.len()));
        }
        for other in others.iter().filter(|f| f.rsplit('/').next() != Some(YANKED)) {
            sink.note(format!("{at}: {other} is left out: it is neither a wheel nor a source distribution"));
        }
    }
}

fn kind(name: &str) -> Option<Kind> {
    match name {
        wheel if wheel.ends_with(".whl") => Some(Kind::Wheel),
        other => sdist::stem(other).map(|_| Kind::Sdist),
    }
}

/// Two files of one name must have the same bytes; a link to the other has.
fn same(one: &TreeFile, other: &TreeFile) -> Result<(), SourceError> {
    if one.path == other.path || (one.len == other.len && hash(&one.path)? == hash(&other.path)?) {
        return Ok(());
    }
    let why = format!("has the name of {} and other bytes; remove one of them", one.path.display());
    Err(SourceError::List { path: other.path.clone(), why })
}

fn hash(path: &Path) -> Result<Blob, SourceError> {
    let mut file = regular::open(path).map_err(SourceError::io(path))?;
    hash_reader(&mut file).map_err(SourceError::io(path))
}

/// File names and reasons.
fn yanked(from: &Path) -> Result<BTreeMap<String, String>, SourceError> {
    let mut out = BTreeMap::new();
    // `from` may be the folder above `files` or `files` itself.
    let above = from.file_name().is_some_and(|n| n == "files").then(|| from.join("..").join(YANKED));
    for path in [Some(from.join(YANKED)), Some(from.join("files").join(YANKED)), above].into_iter().flatten() {
        if !path.is_file() {
            continue;
        }
        let text = read_text(&path)?;
        for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
            let (name, reason) = line.split_once('\t').unwrap_or((line, ""));
            if reason.chars().any(|c| c.is_control()) || name.contains('/') {
                let why = format!("the line {line:?} is not a file name, a tab and a reason");
                return Err(SourceError::List { path, why });
            }
            out.insert(name.trim().to_owned(), reason.trim().to_owned());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
