//! An *archive* is what an auditor reads: a site's `ledger` and `policy` folders, in the site or copied elsewhere.
//!
//! It needs neither blobs nor generations, takes no lock and changes nothing. Specified in `spec/audit.md`, section "Archive".

use crate::digest::Digest;
use crate::fs::disk::{Disk, read_all};
use crate::fs::real::RealDisk;
use crate::limits;
use crate::site::error::SiteError;
use crate::site::ledger::Ledger;
use crate::site::{ARCHIVED_BYTES, Site, layout};
use std::path::Path;
use std::sync::Arc;

/// Files of one release that are read.
const FILES: u32 = 1000;

/// A site's records, for reading.
pub struct Archive {
    disk: Arc<dyn Disk>,
}

impl Archive {
    /// Opens the folder that holds `ledger` (and, if it can, `policy`), or the folder `ledger` itself.
    pub fn open(path: &Path) -> Result<Archive, SiteError> {
        let path = match path.file_name() {
            Some(name) if name == "ledger" && path.join("log").is_file() => path.join(".."),
            _ => path.to_owned(),
        };
        if !path.join("ledger").is_dir() {
            return Err(SiteError::NotASite(path));
        }
        Ok(Archive { disk: Arc::new(RealDisk::open(&path)?) })
    }

    /// The records of a site.
    pub fn of(site: &Site) -> Archive {
        Archive { disk: site.disk.clone() }
    }

    /// The ledger, its chain verified.
    pub fn ledger(&self) -> Result<Ledger, SiteError> {
        Ledger::read(&*self.disk)
    }

    /// The bytes of a policy's file; `None` where it was not copied.
    pub fn policy(&self, digest: &Digest) -> Result<Option<Vec<u8>>, SiteError> {
        let place = layout::policy(digest);
        match self.disk.stat(&place)? {
            None => Ok(None),
            Some(_) => Ok(Some(read_all(&*self.disk, &place, limits::CONFIGURATION)?)),
        }
    }

    /// The index-only bundles of a release: the first, and those with other statements or carriages.
    pub fn release(&self, id: &Digest) -> Result<Vec<Vec<u8>>, SiteError> {
        let mut out = Vec::new();
        for nth in 1..FILES {
            let place = layout::archived(id, nth);
            if self.disk.stat(&place)?.is_none() {
                break;
            }
            out.push(read_all(&*self.disk, &place, ARCHIVED_BYTES)?);
        }
        Ok(out)
    }

    /// The digests of the evidence that is kept, sorted.
    pub fn evidence(&self) -> Result<Vec<Digest>, SiteError> {
        let names = match self.disk.stat(&layout::archive())? {
            None => Vec::new(),
            Some(_) => self.disk.list(&layout::archive())?,
        };
        let mut out: Vec<Digest> =
            names.iter().filter_map(|(name, _)| layout::evidence_digest(name.to_str()?)).collect();
        out.sort();
        Ok(out)
    }

    /// The bytes kept as the evidence `digest`; whether they still are is the caller's question.
    pub fn evidence_bytes(&self, digest: &Digest) -> Result<Vec<u8>, SiteError> {
        Ok(read_all(&*self.disk, &layout::evidence(digest), limits::EVIDENCE)?)
    }
}
