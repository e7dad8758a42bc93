//! Stand-in until the real source is merged: it has the fields and finds nothing.

use super::{Sink, Source, SourceError};
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use std::path::PathBuf;

/// What becomes of a repository's own metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// Kept where it is signed, rendered else.
    Auto,
    /// Served as it is.
    Keep,
    /// Rendered anew.
    Render,
}

/// Stand-in.
#[derive(Debug)]
pub struct RpmSource {
    /// from
    pub from: PathBuf,
    /// root
    pub root: RelPath,
    /// metadata
    pub metadata: Metadata,
}

impl Source for RpmSource {
    fn survey(&self, _sink: &dyn Sink, _monitor: &dyn Monitor) -> Result<(), SourceError> {
        Ok(())
    }
    fn describe(&self) -> String {
        format!("rpm in {}", self.from.display())
    }
}
