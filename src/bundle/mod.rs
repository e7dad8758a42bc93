//! A *bundle* is one file that carries one release.
//!
//! Written once from front to back, read by ranges; no path is opened here, and what a reader may trust is a matter of
//! types: [`Sealed`] has located the parts and parsed nothing, [`Bundle`] is parsed, and only a `Bundle` that the verify
//! function vouched for can be unpacked. Specified in `spec/bundle.md`.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

use crate::buffer::{Buffer, Pool};
use crate::class::{Class, Classified};
use crate::digest::{Blob, Digest};
use crate::format::FormatError;
use crate::format::table::BlockRow;
use std::io;

mod bases;
mod blocks;
mod built;
mod chain;
mod extract;
mod index;
pub mod index_only;
mod later;
mod maker;
mod materialize;
mod prove;
mod recipes;
mod scratch;
mod sealed;
pub mod sizes;
mod sources;
mod tables;
#[cfg(test)]
mod tests;
mod walk;
mod work;
mod writer;

pub use bases::{Scratch, ScratchFile, Workplace, temporary};
pub use blocks::{Patched, ReadyBlock};
pub use built::{Expansion, SourceRun};
pub use chain::Chain;
pub use extract::Extractor;
pub use index::Bundle;
pub use materialize::{BaseUse, BlobSink, Materialized};
pub use sealed::{Ids, Sealed};
pub use work::Work;
pub use writer::{Options, Prepared, Put, PutBlob, ReleaseSpec, Written, prepare, write};

/// A file that is read by ranges, each range once.
pub trait Medium: Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills `buf` from `offset`; fewer bytes there is an error.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Whether it holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|n| n == 0)
    }
}

impl Medium for &[u8] {
    fn len(&self) -> io::Result<u64> {
        u64::try_from(<[u8]>::len(self)).map_err(io::Error::other)
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|at| self.get(at..)).and_then(|s| s.get(..buf.len()));
        match from {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Plain bytes of blocks in flight: what every thread works on, and as much as two more blocks that wait.
fn in_flight(threads: usize) -> u64 {
    (threads as u64).saturating_add(2).saturating_mul(crate::limits::BLOCK_PLAIN.into())
}

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The medium cannot be read.
    #[error("cannot read {len} bytes at offset {at} of the bundle")]
    Read {
        /// Offset in the file.
        at: u64,
        /// Bytes asked for.
        len: u64,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The bundle cannot be written.
    #[error("cannot write the bundle")]
    Write(#[source] io::Error),
    /// Bytes are not of the format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A section is damaged.
    #[error("section {number} ({kind}) of the bundle, at offset {at}, is damaged")]
    Section {
        /// Its number in the file, from 0.
        number: usize,
        /// What it holds.
        kind: &'static str,
        /// Its offset in the file.
        at: u64,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// A block is damaged.
    #[error("block {number} of the bundle, {len} bytes at offset {at}, is damaged")]
    Block {
        /// Its number, from 0.
        number: u64,
        /// Its offset in the file.
        at: u64,
        /// Its stored length.
        len: u32,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// An input gave other bytes than in the survey.
    #[error("an input changed while it was being packed: {what} was {was:?} and is now {now:?}")]
    Changed {
        /// The input.
        what: String,
        /// The blob of the survey.
        was: Blob,
        /// What was read when writing.
        now: Blob,
    },
    /// An input cannot be read.
    #[error("cannot read {what}")]
    Input {
        /// The input.
        what: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A blob did not come out as the release says.
    #[error("the blob {0} does not come out with its digest; the sender's recipe is wrong")]
    Restored(Digest),
    /// The receiving side cannot take a blob.
    #[error("cannot store the blob {blob}")]
    Sink {
        /// Which blob.
        blob: Digest,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The class of that.
        class: Class,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Base blobs cannot be had, or are not what they are called.
    #[error("{} blobs that this bundle builds on are not here or are damaged, such as {}", .0.len(), .0.first().map(|b| b.digest.hex()).unwrap_or_default())]
    Lacking(Vec<Blob>),
    /// An encoder does not make what the recipe says.
    #[error("the blob {blob} cannot be replayed")]
    Replay {
        /// Which blob.
        blob: Digest,
        /// Why.
        #[source]
        source: crate::replay::Error,
    },
    /// A scratch file.
    #[error("cannot use scratch space")]
    Scratch(#[source] io::Error),
    /// The file lacks the blocks that this needs.
    #[error("this file is {0}: it holds no blocks")]
    NoBlocks(&'static str),
    /// Statements for the area could not be made.
    #[error("cannot seal the bundle")]
    Seal {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The class of that.
        class: Class,
    },
}

impl BundleError {
    /// What is wrong with the bytes of a block, told with its place.
    fn of_block(self, number: usize, at: u64, row: &BlockRow) -> BundleError {
        match self {
            BundleError::Format(source) => {
                BundleError::Block { number: number as u64, at, len: row.stored_len, source }
            }
            other => other,
        }
    }
}

impl Classified for BundleError {
    fn class(&self) -> Class {
        match self {
            BundleError::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => Class::Damaged,
            BundleError::Read { .. } | BundleError::Write(_) | BundleError::Input { .. } => Class::Failed,
            BundleError::Format(e) | BundleError::Section { source: e, .. } | BundleError::Block { source: e, .. } => {
                e.class()
            }
            BundleError::Changed { .. } | BundleError::Scratch(_) => Class::Failed,
            BundleError::Restored(_) | BundleError::Replay { .. } => Class::Damaged,
            BundleError::Sink { class, .. } | BundleError::Seal { class, .. } => *class,
            BundleError::NoBlocks(_) | BundleError::Lacking(_) => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            BundleError::Read { source, .. } if source.kind() != io::ErrorKind::UnexpectedEof => {
                Some("put the medium in again and run the same command".into())
            }
            BundleError::Changed { .. } => Some("let the download finish, then pack again".into()),
            BundleError::Sink { hint, .. } => hint.clone(),
            BundleError::NoBlocks(_) => Some("give the whole bundle".into()),
            BundleError::Lacking(_) => {
                Some("it is a delta: bring in a release that carried them, or a full bundle".into())
            }
            BundleError::Scratch(_) => Some("make room for temporary files, then run the same command again".into()),
            BundleError::Restored(_) | BundleError::Replay { .. } => {
                Some("tell the sender; their pouch or their machine is at fault".into())
            }
            _ if self.class() == Class::Damaged => {
                Some("copy the bundle again from its source; `pouch verify` names every damaged part".into())
            }
            BundleError::Format(e) => e.hint(),
            _ => None,
        }
    }
}

/// Reads a range of the medium.
pub(crate) fn read_range<M: Medium + ?Sized>(medium: &M, at: u64, len: u64) -> Result<Vec<u8>, BundleError> {
    let size = usize::try_from(len).unwrap_or(usize::MAX);
    let mut buf = vec![0u8; size];
    medium.read_exact_at(&mut buf, at).map_err(|source| BundleError::Read { at, len, source })?;
    Ok(buf)
}

/// Reads a stored block into memory of the pool.
fn read_block<M: Medium + ?Sized>(medium: &M, at: u64, len: u32, pool: &Pool) -> Result<Buffer, BundleError> {
    let mut buf = pool.take(len as usize);
    medium.read_exact_at(&mut buf, at).map_err(|source| BundleError::Read { at, len: len.into(), source })?;
    Ok(buf)
}
