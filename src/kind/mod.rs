//! A *kind* is an ecosystem's own format: how its files say what they are.
//!
//! Parsers only: they find no files, render no metadata and write nothing. The same [`derive()`] runs when a bundle is packed
//! and again when it is unpacked, so that the facts a reviewer reads are those of the bytes that get installed.
//! Specified in `spec/facts.md`.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions))]

use crate::cbor::Bytes;
use crate::class::{Class, Classified};
use crate::digest::Blob;
use crate::model::{Artifact, Kind};
use std::io::{self, Read, Seek};

pub mod chart;
pub mod deb;
pub mod file;
pub mod gomod;
pub mod oci;
pub mod python;
pub mod repodata;
pub mod rpm;
pub mod sdist;
pub mod tarball;
pub mod wheel;
pub mod zipfile;

/// A blob's bytes.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Bytes that several threads may read at any place.
pub trait ReadAt: Send + Sync {
    /// Fills `buf` from `offset`; an end before that is an error.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|at| self.get(at..)).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Gives the bytes of blobs: of the packer's inputs on one side of the gap, of the site on the other.
pub trait BlobReader: Sync {
    /// Opens a blob. [`KindError::MissingBlob`] where it is not to be had.
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError>;

    /// The blob with that digest, of whatever length; `None` where there is none.
    fn find(&self, digest: &crate::digest::Digest) -> Option<Blob>;

    /// A blob whose bytes can be read at any place by several threads; `None` where this reader cannot give that.
    fn open_at(&self, _blob: &Blob) -> Result<Option<Box<dyn ReadAt>>, KindError> {
        Ok(None)
    }

    /// All bytes of a small blob.
    fn read_small(&self, blob: &Blob, what: &'static str, limit: u64) -> Result<Vec<u8>, KindError> {
        if blob.len > limit {
            return Err(KindError::TooLarge { what, limit, have: blob.len });
        }
        let mut out = Vec::new();
        self.open(blob)?.take(limit).read_to_end(&mut out)?;
        Ok(out)
    }
}

/// What the bytes of an artifact say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Its name; `None` where the bytes do not say (files, images).
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its architecture or platforms.
    pub arch: Option<String>,
    /// All its blobs, the artifact itself first, each once.
    pub blobs: Vec<Blob>,
    /// Contents of those of `blobs` that are made from the artifact and lie nowhere else (a wheel's METADATA).
    pub made: Vec<Vec<u8>>,
    /// Its facts, canonical CBOR of the kind's schema.
    pub facts: Bytes,
}

/// Why an artifact cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// Reading failed.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// It is not what its kind's specification asks for.
    #[error("{what} is malformed: {why}")]
    Malformed {
        /// The structure.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Something in it is above a limit of this program.
    #[error("{what} has {have} where at most {limit} are taken")]
    TooLarge {
        /// The structure.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What was found; may be the first value above the limit.
        have: u64,
    },
    /// Two places that must agree do not.
    #[error("{what} disagree: {left:?} and {right:?}")]
    Disagree {
        /// Which two.
        what: &'static str,
        /// What the first says.
        left: String,
        /// What the second says.
        right: String,
    },
    /// A blob that it refers to is not there.
    #[error("the blob {0} that it refers to is missing")]
    MissingBlob(crate::digest::Digest),
    /// It uses something that this version does not know.
    #[error("{0} is not supported")]
    Unsupported(String),
}

impl KindError {
    /// Shorthand for [`KindError::Malformed`].
    pub fn malformed(what: &'static str, why: impl Into<String>) -> KindError {
        KindError::Malformed { what, why: why.into() }
    }
}

impl Classified for KindError {
    fn class(&self) -> Class {
        match self {
            KindError::Io(_) => Class::Failed,
            KindError::TooLarge { .. } | KindError::Unsupported(_) => Class::Unsupported,
            _ => Class::Damaged,
        }
    }
}

/// Reads what the artifact's bytes say. Only `kind`, `name`, `path`, `executable` and the first blob of `artifact` are
/// looked at; everything in the result comes from bytes.
pub fn derive(artifact: &Artifact, blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    match artifact.kind {
        Kind::File => file::derive(artifact, blobs),
        Kind::Image => oci::derive(artifact, blobs),
        Kind::Rpm => rpm::derive(artifact, blobs),
        Kind::Repodata => repodata::derive(artifact, blobs),
        Kind::Deb => deb::derive(artifact, blobs),
        Kind::Wheel => wheel::derive(artifact, blobs),
        Kind::Sdist => sdist::derive(artifact, blobs),
        Kind::Chart => chart::derive(artifact, blobs),
        Kind::Gomod => gomod::derive(artifact, blobs),
    }
}

/// The first blob, which every artifact has.
pub(crate) fn top(artifact: &Artifact) -> Result<Blob, KindError> {
    artifact.blobs.first().copied().ok_or_else(|| KindError::malformed("the artifact", "it has no blob"))
}
