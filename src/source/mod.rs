//! A *source* finds artifacts in what a user has: folders, archives, mirrors.
//!
//! It announces each with the origin of its bytes to a [`Sink`]; it does not chunk, compress or write. One file an
//! ecosystem. Not part of the specification: how artifacts are found is the packer's own business.

use crate::class::{Class, Classified};
use crate::digest::{Blob, Digest, hash_reader};
use crate::fs::regular;
use crate::fs::tree::TreeError;
use crate::kind::{self, BlobReader, KindError, ReadSeek};
use crate::model::{Artifact, Described, Kind};
use crate::monitor::Monitor;
use crate::relpath::{PathError, RelPath};
use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub mod chart;
pub mod deb;
pub mod files;
pub mod gomod;
pub mod kubespray;
pub mod list;
pub mod oci;
pub mod pypi;
pub mod read;
pub mod rpm;
pub mod spool;

/// Where a blob's bytes can be read, once for the survey and again for the write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A whole file.
    File(PathBuf),
    /// A run of bytes of an archive's plain stream.
    Member {
        /// The archive.
        archive: PathBuf,
        /// How the archive as a whole is compressed.
        compression: Compression,
        /// Where the run begins in the plain stream, in bytes.
        offset: u64,
    },
    /// Bytes that were made or picked out during the survey; small documents only.
    Bytes(Arc<[u8]>),
}

/// How an archive as a whole is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, any number of members.
    Gzip,
    /// Zstandard, any number of frames.
    Zstd,
}

/// One artifact and where all its blobs' bytes are.
#[derive(Clone, Debug)]
pub struct Found {
    /// The artifact and its facts.
    pub described: Described,
    /// An origin for each of its blobs.
    pub origins: BTreeMap<Blob, Origin>,
}

/// Takes what sources find; may be called from several threads, in any order.
pub trait Sink: Sync {
    /// Takes one artifact.
    fn found(&self, found: Found) -> Result<(), SourceError>;
    /// Where plain streams of archives may be kept for the write.
    fn spools(&self) -> Option<&spool::Spools> {
        None
    }
    /// Something about the input that the user should read: a defect that was mended, a digest that was lost earlier.
    fn note(&self, text: String);
}

/// Finds artifacts.
pub trait Source: Send + Sync {
    /// Announces every artifact to `sink`; work is in bytes read.
    fn survey(&self, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError>;
    /// What it looks at, for messages: `rpms in ./rpms/local`.
    fn describe(&self) -> String;
}

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Reading failed.
    #[error("cannot read {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// An artifact is not what it should be.
    #[error("{path} cannot be packed")]
    Kind {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KindError,
    },
    /// A name cannot be a path of a bundle.
    #[error("{path} cannot be packed under its name")]
    Path {
        /// The file.
        path: PathBuf,
        /// Which rule.
        #[source]
        source: PathError,
    },
    /// A symbolic link leaves the tree, is broken or goes round in circles.
    #[error("the symbolic link {path} {why}")]
    Link {
        /// The link.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A device, socket or pipe.
    #[error("{path} is neither a file nor a folder")]
    Special {
        /// The file.
        path: PathBuf,
    },
    /// A packing list or a lab sheet beside artifacts is wrong.
    #[error("{path}: {why}")]
    List {
        /// The list.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl SourceError {
    /// For `map_err`: a read error of `path`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> SourceError + '_ {
        move |source| SourceError::Io { path: path.into(), source }
    }
    /// For `map_err`: a malformed `path`.
    pub fn kind(path: &Path) -> impl FnOnce(KindError) -> SourceError + '_ {
        move |source| SourceError::Kind { path: path.into(), source }
    }
}

impl Classified for SourceError {
    fn class(&self) -> Class {
        match self {
            // What can never be read is no matter of another try.
            SourceError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidInput => Class::Usage,
            SourceError::Io { .. } => Class::Failed,
            SourceError::Kind { source, .. } => source.class(),
            _ => Class::Usage,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            SourceError::Io { .. } => "check that the file is there and readable, then pack again".into(),
            SourceError::Kind { .. } => "fetch the file again or leave it out of the packing list".into(),
            SourceError::Path { .. } => "rename the file or leave it out of the packing list".into(),
            SourceError::Link { .. } => "replace the link by what it points to, or leave it out".into(),
            SourceError::Special { .. } => "leave it out of the packing list".into(),
            SourceError::List { .. } => "correct the list; `pouch pack --help` shows its form".into(),
        })
    }
}

impl From<TreeError> for SourceError {
    fn from(error: TreeError) -> SourceError {
        let named = |path: PathBuf, why| {
            let shown = path.to_string_lossy().chars().take(200).collect();
            SourceError::Path { source: PathError { path: shown, why }, path }
        };
        match error {
            TreeError::Io { path, source } => SourceError::Io { path, source },
            TreeError::Link { path, why } => SourceError::Link { path, why: why.into() },
            TreeError::Special { path } => SourceError::Special { path },
            TreeError::Name { path } => named(path, "its name is not UTF-8"),
            TreeError::Deep { path } => named(path, "it is nested more than 64 levels deep"),
        }
    }
}

/// A sink that keeps what it gets, in no order.
#[derive(Debug, Default)]
pub struct Collected {
    found: Mutex<Vec<Found>>,
    notes: Mutex<Vec<String>>,
    spools: spool::Spools,
}

impl Collected {
    /// What was found, and the notes.
    pub fn into_parts(self) -> (Vec<Found>, Vec<String>) {
        let (found, notes, _) = self.into_all();
        (found, notes)
    }

    /// What was found, the notes, and what was kept of archives.
    pub fn into_all(self) -> (Vec<Found>, Vec<String>, spool::Spools) {
        let found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        (found, self.notes.into_inner().unwrap_or_else(PoisonError::into_inner), self.spools)
    }
}

impl Sink for Collected {
    fn found(&self, found: Found) -> Result<(), SourceError> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(found);
        Ok(())
    }
    fn note(&self, text: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
    fn spools(&self) -> Option<&spool::Spools> {
        Some(&self.spools)
    }
}

/// What becomes of the metadata of a package repository that lies beside its packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metadata {
    /// Keep it where somebody upstream made it: yum repositories with a `repomd.xml`; apt repositories that are signed or
    /// have `dists/`. Render it anew elsewhere.
    #[default]
    Auto,
    /// It travels as it is and is served byte for byte, signatures and all.
    Keep,
    /// It is left out and rendered anew from the packages; groups, modules and advisories are taken over.
    Render,
}

/// Reads blobs of one artifact from their origins; archives' members only where they are not compressed.
pub struct Origins<'a>(pub &'a BTreeMap<Blob, Origin>);

impl BlobReader for Origins<'_> {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        match self.0.get(blob) {
            Some(Origin::File(path)) => Ok(Box::new(regular::open(path)?)),
            Some(Origin::Bytes(bytes)) => Ok(Box::new(Cursor::new(&bytes[..]))),
            // Image sources keep the documents that are read here as bytes; layers are never opened.
            Some(Origin::Member { .. }) | None => Err(KindError::MissingBlob(blob.digest)),
        }
    }

    fn find(&self, digest: &Digest) -> Option<Blob> {
        let from = Blob { digest: *digest, len: 0 };
        self.0.range(from..).next().map(|(b, _)| *b).filter(|b| b.digest == *digest)
    }
}

/// A file that is to become an artifact of its own.
pub struct OneFile<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where it lies on this machine.
    pub file: &'a Path,
    /// Its repository's folder below a generation.
    pub root: &'a RelPath,
    /// Its path below `root`.
    pub path: RelPath,
    /// Whether it is executable.
    pub executable: bool,
    /// Labels, sorted by key.
    pub labels: Vec<(String, String)>,
}

/// Hashes a file, derives its facts, and announces it: all that most sources do with what they find.
pub fn announce(one: OneFile<'_>, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
    let mut file = regular::open(one.file).map_err(SourceError::io(one.file))?;
    let blob = hash_reader(&mut file).map_err(SourceError::io(one.file))?;
    monitor.advance(blob.len);
    let mut artifact = Artifact {
        kind: one.kind,
        name: one.path.as_str().to_owned(),
        version: None,
        arch: None,
        root: one.root.clone(),
        path: Some(one.path),
        executable: one.executable,
        blobs: vec![blob],
        labels: one.labels,
    };
    let mut origins = BTreeMap::from([(blob, Origin::File(one.file.to_owned()))]);
    let derived = kind::derive(&artifact, &Origins(&origins)).map_err(SourceError::kind(one.file))?;
    for bytes in derived.made {
        origins.insert(Blob::of(&bytes), Origin::Bytes(bytes.into()));
    }
    if let Some(name) = derived.name {
        artifact.name = name;
    }
    artifact.version = derived.version;
    artifact.arch = derived.arch;
    artifact.blobs = derived.blobs;
    sink.found(Found { described: Described { artifact, facts: derived.facts }, origins })
}
