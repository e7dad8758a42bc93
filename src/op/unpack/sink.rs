//! The *sink* of an unpack puts blobs into a batch of the site, in the form and by the way that each wants.
//!
//! It checks no facts and makes nothing live. Specified in `spec/site.md`, section "Unpacking".

use crate::bundle::BlobSink;
use crate::digest::{Blob, Digest};
use crate::fs::disk::DiskError;
use crate::model::{Described, Kind};
use crate::site::error::SiteError;
use crate::site::stage::{Batch, BlobWriter};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};

/// A blob is kept in the cache if more than this part of it is read back.
const READ_BACK: u64 = 16;

/// Blobs that are read from end to end, or here and there, for their facts. Of the others at most the first bytes are.
fn read_for_facts(artifacts: &[Described]) -> BTreeSet<Digest> {
    let little = |kind| matches!(kind, Kind::File | Kind::Image | Kind::Rpm | Kind::Deb);
    let read = artifacts.iter().map(|d| &d.artifact).filter(|a| !little(a.kind));
    read.flat_map(|a| a.blobs.iter().map(|b| b.digest)).collect()
}

/// Puts blobs into a batch of the site.
pub(super) struct SiteSink<'a, 'b> {
    batch: &'a Batch<'b>,
    executables: BTreeSet<Digest>,
    /// Blobs whose bytes are read again in this run.
    read: BTreeSet<Digest>,
    open: Option<BlobWriter>,
}

impl<'a, 'b> SiteSink<'a, 'b> {
    /// For the blobs of these artifacts.
    pub fn new(batch: &'a Batch<'b>, artifacts: &[Described]) -> SiteSink<'a, 'b> {
        let executables = artifacts.iter().map(|d| &d.artifact).filter(|a| a.executable);
        let executables = executables.filter_map(|a| a.blobs.first()).map(|b| b.digest).collect();
        SiteSink { batch, executables, read: read_for_facts(artifacts), open: None }
    }

    fn put(&mut self, write: impl FnOnce(&mut BlobWriter) -> io::Result<()>) -> Result<(), SiteError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let path = std::path::PathBuf::from(format!("blob {}", open.blob().digest));
        write(open).map_err(|source| DiskError { verb: "write", path, source }.into())
    }
}

impl BlobSink for SiteSink<'_, '_> {
    type Error = SiteError;

    fn wants(&mut self, blob: &Blob) -> Result<bool, SiteError> {
        self.batch.has(blob).map(|has| !has)
    }

    fn begin(&mut self, blob: &Blob) -> Result<(), SiteError> {
        let executable = self.executables.contains(&blob.digest);
        self.open = Some(match self.read.contains(&blob.digest) {
            true => self.batch.begin_blob(*blob, executable)?,
            false => self.batch.begin_unread(*blob, executable)?,
        });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SiteError> {
        self.put(|open| open.write_all(bytes))
    }

    fn proven(&mut self, bytes: &[u8]) -> Result<(), SiteError> {
        self.put(|open| open.write_proven(bytes))
    }

    fn finish(&mut self, _blob: &Blob) -> Result<bool, SiteError> {
        match self.open.take().map(BlobWriter::finish) {
            Some(Err(SiteError::WrongBlob { .. })) => Ok(false),
            Some(Err(e)) => Err(e),
            _ => Ok(true),
        }
    }

    fn will_read_back(&mut self, bytes: &BTreeMap<Blob, u64>) {
        self.read
            .extend(bytes.iter().filter(|(blob, bytes)| **bytes > blob.len / READ_BACK).map(|(blob, _)| blob.digest));
    }

    fn read_back(&mut self, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), SiteError> {
        self.batch.read_at(blob, offset, buf)
    }
}
