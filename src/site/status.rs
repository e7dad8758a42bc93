//! The *status* of a site is what it shows and how much it holds, read without changing anything.
//!
//! It hashes nothing; that is [`super::check`]. The JSON form is specified in `spec/site.md`, section "Status".

use crate::digest::Digest;
use crate::fs::disk::Node;
use crate::site::error::SiteError;
use crate::site::generation::{GenerationNumber, ShownRelease};
use crate::site::ledger::{Ledger, ReleaseRef};
use crate::site::{Site, generation, layout};
use serde::Serialize;
use std::path::PathBuf;

/// What `pouch status` tells.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// The site's folder.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// The version of its layout.
    pub layout: u64,
    /// The digest of the policy that holds.
    pub policy: Option<Digest>,
    /// The generation that is live.
    pub current: Option<GenerationNumber>,
    /// The releases that it shows.
    pub releases: Vec<ShownRelease>,
    /// Its files.
    pub files: u64,
    /// Sum of their lengths in bytes; blobs that it shows twice count twice.
    pub files_bytes: u64,
    /// All complete generations.
    pub generations: Vec<GenerationNumber>,
    /// The highest release ever accepted of every stream.
    pub heads: Vec<ReleaseRef>,
    /// Blobs (inodes) of the site.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Bytes left on the file system.
    pub free_bytes: u64,
    /// Files that an interrupted run left in staging.
    pub staged: u64,
    /// Their bytes.
    pub staged_bytes: u64,
    /// Lines of the ledger.
    pub ledger_lines: u64,
    /// Bytes at the ledger's end that an interrupted append left.
    pub ledger_torn_bytes: u64,
}

impl Site {
    /// What the site shows and holds.
    pub fn status(&self) -> Result<StatusReport, SiteError> {
        let number = generation::current(self.disk())?;
        let ledger = Ledger::read(self.disk())?;
        let state = ledger.state(number)?;
        let current = number.map(|n| self.generation(n)).transpose()?;
        let blobs = self.blobs()?;
        let (staged, staged_bytes) = self.staged()?;
        Ok(StatusReport {
            path: self.path().to_owned(),
            name: self.config().name.clone(),
            layout: layout::VERSION,
            policy: state.policy,
            current: number,
            files: current.as_ref().map_or(0, |g| g.files),
            files_bytes: current.as_ref().map_or(0, |g| g.bytes),
            releases: current.map(|g| g.releases).unwrap_or_default(),
            generations: self.generations()?,
            heads: state.heads.into_values().collect(),
            blobs: blobs.len() as u64,
            blob_bytes: blobs.iter().map(|(_, _, len)| len).sum(),
            free_bytes: self.disk().space()?.bytes,
            staged,
            staged_bytes,
            ledger_lines: ledger.records.len() as u64,
            ledger_torn_bytes: ledger.torn_bytes,
        })
    }

    /// Blobs that lie in staging: how many files and bytes.
    fn staged(&self) -> Result<(u64, u64), SiteError> {
        let (mut files, mut bytes) = (0, 0);
        let names = match self.disk().list(&layout::staging()) {
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Ok((0, 0)), // 0700: the owner's only
            other => other?,
        };
        for (name, node) in names {
            if node == Node::File {
                files += 1;
                bytes += self.disk().stat(&layout::staging().child(name))?.map_or(0, |s| s.len);
            }
        }
        Ok((files, bytes))
    }
}
