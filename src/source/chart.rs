//! The *chart* source finds Helm charts and their provenance files in a folder.
//!
//! An `index.yaml` is left behind: the site renders its own. Not part of the specification.

use super::{OneFile, Sink, Source, SourceError, announce};
use crate::fs::tree;
use crate::model::Kind;
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use std::path::PathBuf;

/// Finds charts.
#[derive(Clone, Debug)]
pub struct ChartSource {
    /// The folder; looked through with all that lies below it, paths are kept.
    pub from: PathBuf,
    /// Where the repository lies below a generation: `www/charts`.
    pub root: RelPath,
}

impl Source for ChartSource {
    fn describe(&self) -> String {
        format!("Helm charts in {}", self.from.display())
    }

    fn survey(&self, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
        for file in tree::walk(&self.from)? {
            let kind = match file.rel.as_str() {
                chart if chart.ends_with(".tgz") => Kind::Chart,
                signature if signature.ends_with(".tgz.prov") => Kind::File,
                other => {
                    sink.note(format!("{}: {other} is left out: it is not a chart", self.from.display()));
                    continue;
                }
            };
            let path =
                RelPath::new(&file.rel).map_err(|source| SourceError::Path { path: file.path.clone(), source })?;
            let one = OneFile { kind, file: &file.path, root: &self.root, path, executable: false, labels: vec![] };
            announce(one, sink, monitor)?;
        }
        Ok(())
    }
}
