//! Stand-in until the real source is merged: it has the fields and finds nothing.

use super::{Sink, Source, SourceError};
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use std::path::PathBuf;

/// Stand-in.
#[derive(Debug)]
pub struct ChartSource {
    /// from
    pub from: PathBuf,
    /// root
    pub root: RelPath,
}

impl Source for ChartSource {
    fn survey(&self, _sink: &dyn Sink, _monitor: &dyn Monitor) -> Result<(), SourceError> {
        Ok(())
    }
    fn describe(&self) -> String {
        format!("chart in {}", self.from.display())
    }
}
