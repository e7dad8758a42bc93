//! A *site* is the folder on the air-gapped side: blobs, generations, policy, ledger.
//!
//! It turns a plan into files and knows nothing of what they mean: no ecosystem, no signature, no bundle. [`Site`] reads;
//! [`Writer`], which holds the lock, changes. Specified in `spec/site.md`.

pub mod archive;
pub mod blobs;
pub mod check;
pub mod error;
pub mod gc;
pub mod generation;
mod head;
pub mod init;
pub mod layout;
pub mod ledger;
pub mod publish;
pub mod stage;
pub mod status;
#[cfg(test)]
mod tests;
pub mod writer;

pub use error::SiteError;
pub use generation::{Generation, GenerationInfo, GenerationNumber, ListedFile, ShownRelease};
pub use ledger::{Admission, Event, Kept, Record, ReleaseRef, SiteState};
pub use stage::{Batch, BlobWriter};
pub use writer::Writer;

use crate::digest::{Blob, Digest};
use crate::fs::disk::{Disk, Place, read_all};
use crate::fs::real::RealDisk;
use crate::limits;
use crate::model::SiteConfig;
use ledger::Ledger;
use std::path::Path;
use std::sync::Arc;

/// Bytes of an archived index that are read back.
const ARCHIVED_BYTES: u64 = 4 << 30;

/// A site, for reading.
pub struct Site {
    disk: Arc<dyn Disk>,
    config: SiteConfig,
}

impl Site {
    /// Opens the site at `path`.
    pub fn open(path: &Path) -> Result<Site, SiteError> {
        if !path.join("site.toml").exists() {
            return Err(SiteError::NotASite(path.to_owned()));
        }
        Site::on(Arc::new(RealDisk::open(path)?))
    }

    /// Opens the site on a disk.
    pub fn on(disk: Arc<dyn Disk>) -> Result<Site, SiteError> {
        if disk.stat(&layout::config())?.is_none() {
            return Err(SiteError::NotASite(disk.root().to_owned()));
        }
        let config = init::read_config(&*disk)?;
        one_file_system(&*disk)?;
        Ok(Site { disk, config })
    }

    /// Takes the lock and mends what an interrupted run left; `now` is the time for the ledger, in Unix seconds.
    pub fn lock(self, now: i64) -> Result<Writer, SiteError> {
        Writer::take(self, now)
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.disk.root()
    }

    /// Its configuration.
    pub fn config(&self) -> &SiteConfig {
        &self.config
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The generation that is live; `None` before the first.
    pub fn current(&self) -> Result<Option<Generation>, SiteError> {
        let n = generation::current(self.disk())?;
        n.map(|n| generation::read(self.disk(), n)).transpose()
    }

    /// The numbers of all complete generations, ascending.
    pub fn generations(&self) -> Result<Vec<GenerationNumber>, SiteError> {
        generation::list(self.disk())
    }

    /// The newest generation that is older than the current one: what a rollback without a number goes to.
    pub fn previous(&self) -> Result<Option<GenerationNumber>, SiteError> {
        let current = generation::current(self.disk())?;
        Ok(self.generations()?.into_iter().rfind(|n| Some(*n) < current))
    }

    /// What generation `n` says of itself.
    pub fn generation(&self, n: GenerationNumber) -> Result<Generation, SiteError> {
        generation::read(self.disk(), n)
    }

    /// The files of a generation, in path order.
    pub fn files(&self, of: &Generation) -> Result<Vec<ListedFile>, SiteError> {
        generation::read_files(self.disk(), of)
    }

    /// What decisions rest on: the policy that holds, the head of every stream, the releases that were accepted.
    pub fn state(&self) -> Result<SiteState, SiteError> {
        // In this order, so that a switch between the two reads is seen as announced.
        let current = generation::current(self.disk())?;
        Ledger::read(self.disk())?.state(current)
    }

    /// The ledger's lines, verified, the oldest first.
    pub fn history(&self) -> Result<Vec<Record>, SiteError> {
        Ok(Ledger::read(self.disk())?.records)
    }

    /// The policy that holds: its digest and its bytes, as they were given to [`Site::init`] or [`Writer::policy_put`].
    pub fn policy(&self) -> Result<(Digest, Vec<u8>), SiteError> {
        let state = self.state()?;
        let (Some(policy), Some(sha256)) = (state.policy, state.policy_sha256) else {
            return Err(SiteError::damaged(layout::log(), "it names no policy"));
        };
        let place = layout::policy(&policy);
        let bytes = read_all(self.disk(), &place, limits::CONFIGURATION)?;
        if Digest::of(&bytes) != sha256 {
            return Err(SiteError::damaged(place, "its SHA-256 is not the one in the ledger"));
        }
        Ok((policy, bytes))
    }

    /// The archived index of a release; `None` where there is none.
    pub fn archive_get(&self, release: &Digest) -> Result<Option<Vec<u8>>, SiteError> {
        let place = layout::archived(release, 1);
        match self.disk.stat(&place)? {
            None => Ok(None),
            Some(_) => Ok(Some(read_all(self.disk(), &place, ARCHIVED_BYTES)?)),
        }
    }

    /// Whether the site has the blob, in whatever form and of the right length.
    pub fn has(&self, blob: &Blob) -> Result<bool, SiteError> {
        Ok(blobs::form_of(self.disk(), blob)?.is_some())
    }

    /// Reads all of `buf` from `offset` of a blob.
    pub fn read_at(&self, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), SiteError> {
        blobs::read_at(self.disk(), blob, offset, buf)
    }

    /// Refuses where less than `bytes` and `files` are left.
    pub fn ensure_space(&self, bytes: u64, files: u64) -> Result<(), SiteError> {
        let space = self.disk.space()?;
        if space.bytes < bytes {
            return Err(SiteError::Space { need: bytes, have: space.bytes });
        }
        match space.files {
            Some(have) if have < files => Err(SiteError::Files { need: files, have }),
            _ => Ok(()),
        }
    }
}

/// Renames and barriers reach one file system only.
fn one_file_system(disk: &dyn Disk) -> Result<(), SiteError> {
    let device = |place: &Place| -> Result<Option<u64>, SiteError> { Ok(disk.stat(place)?.map(|s| s.inode.0)) };
    let root = device(&Place::root())?;
    for (place, _) in layout::folders() {
        match device(&place)? {
            found if found == root => {}
            None => return Err(SiteError::damaged(place, "the folder is missing")),
            Some(_) => return Err(SiteError::SeveralFileSystems { place: place.to_string() }),
        }
    }
    Ok(())
}
