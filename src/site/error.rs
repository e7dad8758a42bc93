//! A *site error* is why a site cannot be opened, read or changed.
//!
//! What the system says is inside [`DiskError`]; the rest are facts about the site itself. The rules that they speak of are
//! those of `spec/site.md`.

use crate::class::{Class, Classified};
use crate::digest::{Blob, Digest};
use crate::fs::disk::DiskError;
use crate::relpath::RelPath;
use crate::site::generation::GenerationNumber;
use std::path::PathBuf;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A verb of the disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A barrier failed: what the batch wrote may not be on the disk, so all of it was thrown away.
    #[error("the disk did not take what was written; nothing of it is kept")]
    Barrier(#[source] DiskError),
    /// Too little room, found before anything was written.
    #[error("the site's file system has {have} bytes left and {need} are needed")]
    Space {
        /// Bytes needed.
        need: u64,
        /// Bytes there are.
        have: u64,
    },
    /// Too few free inodes, found before anything was written.
    #[error("the site's file system has room for {have} more files and {need} are needed")]
    Files {
        /// Files needed.
        need: u64,
        /// Files there may be.
        have: u64,
    },
    /// The folder is no site.
    #[error("{} is not a site", .0.display())]
    NotASite(PathBuf),
    /// The folder has files of others.
    #[error("{} cannot become a site: it already has {name:?}", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// A name in it.
        name: String,
    },
    /// The folder is a site already, of another configuration or policy.
    #[error("{} is a site already", .0.display())]
    AlreadyASite(PathBuf),
    /// A newer pouch made it.
    #[error("the site has layout version {have}; this pouch knows versions up to {known}")]
    NewerLayout {
        /// Its version.
        have: u64,
        /// The newest known.
        known: u64,
    },
    /// Parts of the site are on several file systems, where neither renames nor barriers reach.
    #[error("{place} is on another file system than the rest of the site")]
    SeveralFileSystems {
        /// The part.
        place: String,
    },
    /// Another process writes.
    #[error("another process is changing the site {}", .0.display())]
    Locked(PathBuf),
    /// A file of the site is not what it must be.
    #[error("{place} is damaged: {why}")]
    Damaged {
        /// The file, below the site.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// The bytes written are not the blob that was announced.
    #[error("the bytes of blob {} are those of {} ({} bytes, {} expected)", want.digest, have.digest, have.len, want.len)]
    WrongBlob {
        /// Announced.
        want: Blob,
        /// Written.
        have: Blob,
    },
    /// A blob is not on the site.
    #[error("the blob {digest}{} is not on the site", path.as_ref().map(|p| format!(", wanted at {p},")).unwrap_or_default())]
    MissingBlob {
        /// Its digest.
        digest: Digest,
        /// Where a plan wants it.
        path: Option<RelPath>,
    },
    /// A plan uses a name that the site keeps for itself.
    #[error("the plan uses {0}, a name that the site keeps for itself")]
    Reserved(RelPath),
    /// There is no such generation.
    #[error("the site has no generation {0}")]
    NoGeneration(GenerationNumber),
    /// The site has no generation at all.
    #[error("the site has no generation yet")]
    NothingPublished,
    /// `site.toml` cannot be read.
    #[error("site.toml is not a site's configuration: {0}")]
    Config(String),
    /// Something that will not be written because nothing could read it again.
    #[error("{what} has {have} bytes; at most {limit} are written")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its length.
        have: u64,
        /// The limit.
        limit: u64,
    },
}

impl SiteError {
    /// Shorthand for [`SiteError::Damaged`].
    pub(crate) fn damaged(place: impl ToString, why: impl Into<String>) -> SiteError {
        SiteError::Damaged { place: place.to_string(), why: why.into() }
    }
}

impl Classified for SiteError {
    fn class(&self) -> Class {
        match self {
            SiteError::Disk(e) | SiteError::Barrier(e) => e.class(),
            SiteError::Space { .. } | SiteError::Files { .. } | SiteError::Locked(_) => Class::Failed,
            SiteError::NotASite(_)
            | SiteError::NotEmpty { .. }
            | SiteError::AlreadyASite(_)
            | SiteError::SeveralFileSystems { .. }
            | SiteError::Reserved(_)
            | SiteError::NoGeneration(_)
            | SiteError::NothingPublished
            | SiteError::Config(_) => Class::Usage,
            SiteError::NewerLayout { .. } | SiteError::TooLarge { .. } => Class::Unsupported,
            SiteError::Damaged { .. } | SiteError::WrongBlob { .. } | SiteError::MissingBlob { .. } => Class::Damaged,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            SiteError::Disk(e) | SiteError::Barrier(e) => return e.hint(),
            SiteError::Space { need, have } => {
                let more = need.saturating_sub(*have);
                return Some(format!(
                    "free at least {more} bytes (pouch gc --site SITE says what it can free), run again"
                ));
            }
            SiteError::Files { .. } => "remove files, or make the file system with more inodes, then run again",
            SiteError::NotASite(_) => "make one with pouch site init, or name the folder that has site.toml in it",
            SiteError::NotEmpty { .. } => "name a folder that is empty or not there yet",
            SiteError::AlreadyASite(_) => "use it as it is, or name another folder",
            SiteError::NewerLayout { .. } => "use the version of pouch that made the site, or a newer one",
            SiteError::SeveralFileSystems { .. } => "mount one file system at the site's folder, nothing inside it",
            SiteError::Locked(_) => "wait until it has ended, then run the same command again",
            SiteError::Damaged { place, .. } if place.starts_with("ledger/") => {
                "restore the site's ledger from a backup, or make the site again over its blobs (site init --lost)"
            }
            SiteError::Damaged { .. } => "run pouch check --site SITE; it names what is damaged and what mends it",
            SiteError::WrongBlob { .. } => "copy the bundle from its medium again",
            SiteError::MissingBlob { .. } => "unpack the release that has it again",
            SiteError::Reserved(_) => "rename it in the packing list",
            SiteError::NoGeneration(_) => "pouch history --site SITE lists the generations that are kept",
            SiteError::NothingPublished => "unpack a bundle into it first",
            SiteError::Config(_) => "mend site.toml by hand; spec/site.md lists its keys",
            SiteError::TooLarge { .. } => return None,
        };
        Some(text.into())
    }
}
