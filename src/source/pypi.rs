//! Stand-in until the real source is merged: it has the fields and finds nothing.

use super::{Sink, Source, SourceError};
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use std::path::PathBuf;

/// Stand-in.
#[derive(Debug)]
pub struct PypiSource {
    /// from
    pub from: PathBuf,
    /// root
    pub root: RelPath,
}

impl Source for PypiSource {
    fn survey(&self, _sink: &dyn Sink, _monitor: &dyn Monitor) -> Result<(), SourceError> {
        Ok(())
    }
    fn describe(&self) -> String {
        format!("pypi in {}", self.from.display())
    }
}
