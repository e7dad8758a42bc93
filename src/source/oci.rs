//! Stand-in until the real source is merged: it has the fields and finds nothing.

use super::{Sink, Source, SourceError};
use crate::monitor::Monitor;
use std::path::PathBuf;

/// Stand-in: how images are named.
#[derive(Clone, Debug, Default)]
pub struct Naming {
    /// Hosts that are stripped.
    pub strip: Vec<String>,
    /// References of lists.
    pub lists: Vec<String>,
    /// Whether hosts stay.
    pub keep_host: bool,
    /// The name.
    pub explicit: Option<String>,
}

/// Stand-in.
#[derive(Debug)]
pub struct OciSource {
    /// from
    pub from: Vec<PathBuf>,
    /// naming
    pub naming: Naming,
    /// platforms
    pub platforms: Vec<String>,
}

impl Source for OciSource {
    fn survey(&self, _sink: &dyn Sink, _monitor: &dyn Monitor) -> Result<(), SourceError> {
        Ok(())
    }
    fn describe(&self) -> String {
        format!("{} images", self.from.len())
    }
}
