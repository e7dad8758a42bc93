//! An *rpm repository* on the packer's side: a folder of rpms, with or without repodata.
//!
//! Rpms are read, what repodata says of them is not: it is kept as it is or rendered anew on the far side. Not part of
//! the specification.

pub use super::Metadata;
use super::{Found, OneFile, Sink, Source, SourceError, announce};
use crate::cbor;
use crate::fs::regular;
use crate::fs::tree::{TreeFile, walk};
use crate::kind::repodata::{self, Listed};
use crate::kind::rpm::RpmFacts;
use crate::limits;
use crate::model::Kind;
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

mod documents;
mod kept;

/// Where the list of a repository's metadata lies.
const REPOMD: &str = "repodata/repomd.xml";
/// Names that a note mentions at most.
const NAMED: usize = 10;

/// Finds the rpms below a folder.
#[derive(Clone, Debug)]
pub struct RpmSource {
    /// The folder.
    pub from: PathBuf,
    /// The repository's folder below a generation.
    pub root: RelPath,
    /// What becomes of its repodata.
    pub metadata: Metadata,
}

impl RpmSource {
    /// A file as an artifact of this repository.
    fn one<'a>(&'a self, kind: Kind, file: &'a Path, rel: &str) -> Result<OneFile<'a>, SourceError> {
        let path = RelPath::new(rel).map_err(|source| SourceError::Path { path: file.into(), source })?;
        Ok(OneFile { kind, file, root: &self.root, path, executable: false, labels: vec![] })
    }

    fn wrong(&self, rel: &str, why: impl Into<String>) -> SourceError {
        SourceError::List { path: self.from.join(rel), why: why.into() }
    }

    /// What `repomd.xml` lists, if there is one.
    fn listed(&self, tree: &Tree) -> Result<Option<Vec<Listed>>, SourceError> {
        let Some(file) = tree.get(REPOMD) else { return Ok(None) };
        let raw = read_small(&file.path, limits::CONFIGURATION)?;
        let text = String::from_utf8(raw).map_err(|_| self.wrong(REPOMD, "it is not UTF-8"))?;
        let listed = repodata::read_repomd(&text).map_err(SourceError::kind(&file.path))?;
        Ok(Some(listed))
    }
}

/// All files below the folder by their paths.
type Tree = BTreeMap<String, TreeFile>;

impl Source for RpmSource {
    fn survey(&self, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
        let tree: Tree = walk(&self.from)?.into_iter().map(|f| (f.rel.clone(), f)).collect();
        let watch = Watch { sink, modular: AtomicUsize::new(0) };
        let rpms: Vec<&TreeFile> = tree.values().filter(|f| is_rpm(f)).collect();
        let failed = rpms.par_iter().find_map_first(|f| {
            let one = self.one(Kind::Rpm, &f.path, &f.rel);
            one.and_then(|one| announce(one, &watch, monitor)).err()
        });
        if let Some(failed) = failed {
            return Err(failed);
        }
        let keep = match self.metadata {
            Metadata::Auto => tree.contains_key(REPOMD),
            metadata => metadata == Metadata::Keep,
        };
        let mut taken = match keep {
            true => kept::survey(self, &tree, sink, monitor)?,
            false => documents::survey(self, &tree, watch.modular.into_inner(), sink, monitor)?,
        };
        taken.extend(rpms.iter().map(|f| f.rel.clone()));
        let left: Vec<&str> = tree.keys().filter(|rel| !taken.contains(*rel)).map(String::as_str).collect();
        if !left.is_empty() {
            let files = if left.len() == 1 {
                "1 file that is no rpm".into()
            } else {
                format!("{} files that are no rpms", left.len())
            };
            sink.note(format!("{}: left out {files}: {}", self.root, some(&left)));
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("rpms in {}", self.from.display())
    }
}

fn is_rpm(file: &TreeFile) -> bool {
    file.rel.ends_with(".rpm")
}

/// The first names of a long list.
fn some(names: &[&str]) -> String {
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => format!("{} and {} more", first.join(", "), names.len() - NAMED),
        _ => names.join(", "),
    }
}

/// All bytes of a file that should be small.
fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>, SourceError> {
    let mut out = Vec::new();
    let file = regular::open(path).map_err(SourceError::io(path))?;
    file.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(SourceError::io(path))?;
    if out.len() as u64 > limit {
        return Err(SourceError::List { path: path.into(), why: format!("it is longer than {limit} bytes") });
    }
    Ok(out)
}

/// Counts the modular rpms that pass by.
struct Watch<'a> {
    sink: &'a dyn Sink,
    modular: AtomicUsize,
}

impl Sink for Watch<'_> {
    fn found(&self, found: Found) -> Result<(), SourceError> {
        if cbor::decode::<RpmFacts>(&found.described.facts.0).is_ok_and(|f| f.modularity.is_some()) {
            self.modular.fetch_add(1, Ordering::Relaxed);
        }
        self.sink.found(found)
    }
    fn note(&self, text: String) {
        self.sink.note(text);
    }
}

#[cfg(test)]
mod tests;
