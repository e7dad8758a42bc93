//! The *gomod* source finds module versions in a Go module cache or in a mirrored module proxy.
//!
//! Lists of versions are left behind, because the site renders its own of what is there; so are locks, files of versions
//! that are not canonical, and the checksum database's cache: a part of that database makes `go` fail where none would
//! not, and go.sum is what offline builds check against. Not part of the specification.

use super::{OneFile, Sink, Source, SourceError, announce};
use crate::fs::tree;
use crate::kind::gomod::Place;
use crate::model::Kind;
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use std::path::PathBuf;

/// Finds module versions.
pub struct GoSource {
    /// A proxy tree, such as `cache/download` of a module cache; GOPATH or GOMODCACHE as a whole are understood too.
    pub from: PathBuf,
    /// Where the proxy lies below a generation: `www/go`.
    pub root: RelPath,
}

impl GoSource {
    /// The proxy tree in `from`.
    fn tree(&self) -> PathBuf {
        let inside = ["pkg/mod/cache/download", "cache/download"].map(|p| self.from.join(p));
        inside.into_iter().find(|p| p.is_dir()).unwrap_or_else(|| self.from.clone())
    }
}

impl Source for GoSource {
    fn describe(&self) -> String {
        format!("Go modules in {}", self.from.display())
    }

    fn survey(&self, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
        let tree = self.tree();
        let (mut checksums, mut bookkeeping) = (0u64, 0u64);
        for file in tree::walk(&tree)? {
            let name = file.rel.rsplit('/').next().unwrap_or(&file.rel);
            if file.rel.starts_with("sumdb/") {
                checksums += 1;
            } else if matches!(name, "list" | "@latest") || name.ends_with(".lock") || name.ends_with(".partial") {
                bookkeeping += 1;
            } else if let Err(why) = Place::parse(&file.rel) {
                sink.note(format!("{}: {} is left out: {why}", tree.display(), file.rel));
            } else {
                let path =
                    RelPath::new(&file.rel).map_err(|source| SourceError::Path { path: file.path.clone(), source })?;
                let (kind, file) = (Kind::Gomod, file.path.as_path());
                announce(
                    OneFile { kind, file, root: &self.root, path, executable: false, labels: vec![] },
                    sink,
                    monitor,
                )?;
            }
        }
        for (n, what) in [
            (checksums, "files of the checksum database are left out; builds check against go.sum"),
            (bookkeeping, "locks and version lists are left out; the site renders its own lists"),
        ] {
            if n > 0 {
                sink.note(format!("{}: {n} {what}", tree.display()));
            }
        }
        Ok(())
    }
}
