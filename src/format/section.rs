//! A *section* is a part of the index: a list of artifacts, facts, blobs, recipes, chunks, blocks, bases or
//! expansions.
//!
//! Reading and writing of their plain bytes; compression and place in the file are the bundle floor's. Specified in
//! `spec/bundle.md`, section "Sections". Fixed-width sections are in [`super::table`].

use super::FormatError;
use crate::cbor::{self, Bytes, Cbor, CborError, Value, record};
use crate::digest::{Blob, Digest};
use crate::limits;
use crate::model::{Artifact, Kind};
use crate::relpath::RelPath;

/// What a section holds; the order is that of sections in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SectionKind {
    /// Artifacts of the release.
    Artifacts,
    /// Facts, one for each artifact.
    Facts,
    /// Blobs of the release.
    Blobs,
    /// Recipes of the carriage.
    Recipes,
    /// Chunks.
    Chunks,
    /// Blocks.
    Blocks,
    /// Base blobs that recipes take bytes of.
    Bases,
    /// What raw deflate ranges of base blobs expand to.
    Expansions,
}

impl SectionKind {
    /// All kinds.
    pub const ALL: [SectionKind; 8] = [
        SectionKind::Artifacts,
        SectionKind::Facts,
        SectionKind::Blobs,
        SectionKind::Recipes,
        SectionKind::Chunks,
        SectionKind::Blocks,
        SectionKind::Bases,
        SectionKind::Expansions,
    ];

    /// The number in the file.
    pub fn number(self) -> u32 {
        match self {
            SectionKind::Artifacts => 1,
            SectionKind::Facts => 2,
            SectionKind::Blobs => 3,
            SectionKind::Recipes => 4,
            SectionKind::Chunks => 5,
            SectionKind::Blocks => 6,
            SectionKind::Bases => 7,
            SectionKind::Expansions => 8,
        }
    }

    /// The word in labels and messages.
    pub fn name(self) -> &'static str {
        match self {
            SectionKind::Artifacts => "artifacts",
            SectionKind::Facts => "facts",
            SectionKind::Blobs => "blobs",
            SectionKind::Recipes => "recipes",
            SectionKind::Chunks => "chunks",
            SectionKind::Blocks => "blocks",
            SectionKind::Bases => "bases",
            SectionKind::Expansions => "expansions",
        }
    }

    /// Whether the release root pins it.
    pub fn is_release(self) -> bool {
        self <= SectionKind::Blobs
    }

    /// Digest of a section's plain bytes.
    pub fn plain_digest(self, bytes: &[u8]) -> Digest {
        Digest::labelled(&format!("section/{}", self.name()), bytes)
    }

    /// Digest of a section's stored bytes.
    pub fn stored_digest(self, bytes: &[u8]) -> Digest {
        Digest::labelled(&format!("stored/{}", self.name()), bytes)
    }
}

impl Cbor for SectionKind {
    fn to_value(&self) -> Value {
        Value::Integer(self.number().into())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        let n = u32::from_value(v)?;
        let kind = SectionKind::ALL.into_iter().find(|k| k.number() == n);
        kind.ok_or_else(|| CborError::Value(format!("unknown section kind {n}")))
    }
}

record! {
    /// An artifact as it is written: its blobs are numbers of the release's blob table.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ArtifactRow {
        /// See [`Artifact::kind`].
        0 => kind: Kind,
        /// See [`Artifact::name`].
        1 => name: String,
        /// See [`Artifact::version`].
        2 => version: Option<String>,
        /// See [`Artifact::arch`].
        3 => arch: Option<String>,
        /// See [`Artifact::root`].
        4 => root: RelPath,
        /// See [`Artifact::path`].
        5 => path: Option<RelPath>,
        /// See [`Artifact::executable`].
        6 => executable: bool,
        /// Numbers in the blob table, from 0.
        7 => blobs: Vec<u64>,
        /// See [`Artifact::labels`].
        8 => labels: Vec<(String, String)>,
    }
}

impl ArtifactRow {
    /// The row of `artifact`; `number` finds a blob's number.
    pub fn new(artifact: &Artifact, number: impl Fn(&Blob) -> Option<u64>) -> Result<ArtifactRow, FormatError> {
        let row = ArtifactRow {
            kind: artifact.kind,
            name: artifact.name.clone(),
            version: artifact.version.clone(),
            arch: artifact.arch.clone(),
            root: artifact.root.clone(),
            path: artifact.path.clone(),
            executable: artifact.executable,
            blobs: artifact
                .blobs
                .iter()
                .map(|b| number(b).ok_or_else(|| FormatError::rule("an artifact", "a blob is not in the table")))
                .collect::<Result<_, _>>()?,
            labels: artifact.labels.clone(),
        };
        row.check()?;
        Ok(row)
    }

    /// The artifact that the row is; `blob` finds a blob by number.
    pub fn artifact(self, blob: impl Fn(u64) -> Option<Blob>) -> Result<Artifact, FormatError> {
        self.check()?;
        let blobs = self
            .blobs
            .iter()
            .map(|n| blob(*n).ok_or_else(|| FormatError::rule("an artifact", format!("there is no blob number {n}"))))
            .collect::<Result<_, _>>()?;
        Ok(Artifact {
            kind: self.kind,
            name: self.name,
            version: self.version,
            arch: self.arch,
            root: self.root,
            path: self.path,
            executable: self.executable,
            blobs,
            labels: self.labels,
        })
    }

    fn check(&self) -> Result<(), FormatError> {
        let rule = |why: &str| Err(FormatError::rule("an artifact", format!("{:?}: {why}", self.name)));
        if self.blobs.is_empty() {
            return rule("it has no blob");
        }
        FormatError::limit("blobs of an artifact", self.blobs.len(), limits::ARTIFACT_BLOBS)?;
        let mut seen = self.blobs.clone();
        seen.sort_unstable();
        if !seen.is_sorted_by(|a, b| a < b) {
            return rule("it names a blob twice");
        }
        if self.path.is_some() == (self.kind == Kind::Image) {
            return rule("images have no path, and all other kinds have one");
        }
        if !self.labels.is_sorted_by(|a, b| a.0 < b.0) {
            return rule("its labels are not sorted, or one occurs twice");
        }
        let texts = [Some(&self.name), self.version.as_ref(), self.arch.as_ref()];
        let labels = self.labels.iter().flat_map(|(k, v)| [k, v]);
        for text in texts.into_iter().flatten().chain(labels) {
            FormatError::limit("a text of an artifact", text.len(), limits::LABEL)?;
            if text.chars().any(crate::relpath::is_hidden) {
                return rule("a text has hidden characters");
            }
        }
        if let Some(path) = &self.path {
            self.root.join(path.as_str()).map_err(|e| FormatError::rule("an artifact", e.to_string()))?;
        }
        Ok(())
    }
}

/// A part of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A run of chunks, one after another.
    Chunks {
        /// Number of the first.
        first: u64,
        /// How many, at least 1.
        count: u64,
    },
    /// Bytes of a base blob, or of what a raw deflate range of it expands to.
    Base {
        /// Number of the source: bases first, then expansions.
        source: u64,
        /// Where they begin in it.
        offset: u64,
        /// How many, at least 1.
        len: u64,
    },
    /// The blob itself: whoever unpacks has it already.
    Itself,
}

/// First item of a segment's array.
mod tag {
    pub const CHUNKS: u64 = 0;
    pub const BASE: u64 = 2;
    pub const ITSELF: u64 = 3;
}

impl Cbor for Segment {
    fn to_value(&self) -> Value {
        let array = |items: &[u64]| Value::Array(items.iter().map(Cbor::to_value).collect());
        match self {
            Segment::Chunks { first, count } => array(&[tag::CHUNKS, *first, *count]),
            Segment::Base { source, offset, len } => array(&[tag::BASE, *source, *offset, *len]),
            Segment::Itself => array(&[tag::ITSELF]),
        }
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        const UNKNOWN: CborError = CborError::Type("a segment of a kind that the carriage's features allow");
        let items = v.into_array().map_err(|_| CborError::Type("a segment"))?;
        let numbers: Vec<u64> =
            items.into_iter().map(u64::from_value).collect::<Result<_, _>>().map_err(|_| UNKNOWN)?;
        match *numbers {
            [tag::CHUNKS, first, count] => Ok(Segment::Chunks { first, count }),
            [tag::BASE, source, offset, len] => Ok(Segment::Base { source, offset, len }),
            [tag::ITSELF] => Ok(Segment::Itself),
            _ => Err(UNKNOWN),
        }
    }
}

/// How a blob is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Number of the blob.
    pub blob: u64,
    /// Its parts in order; none for the empty blob.
    pub segments: Vec<Segment>,
}

crate::cbor::tuple!(Recipe { blob, segments });

/// Entries that are CBOR items, one array a section.
pub fn encode_list<T: Cbor>(entries: &[T]) -> Vec<u8> {
    cbor::encode_value(&Value::Array(entries.iter().map(Cbor::to_value).collect()))
}

/// Reads a section of CBOR items.
pub fn decode_list<T: Cbor>(kind: SectionKind, bytes: &[u8], entries: u32) -> Result<Vec<T>, FormatError> {
    let what = kind.name();
    let list: Vec<T> = cbor::decode(bytes).map_err(FormatError::cbor(what))?;
    if u32::try_from(list.len()) != Ok(entries) {
        return Err(FormatError::rule(what, format!("it has {} entries where {entries} are announced", list.len())));
    }
    Ok(list)
}

/// One artifact's facts as an entry of a facts section: their length and their form. What they say is their kind's.
pub fn check_facts(facts: &Bytes) -> Result<(), FormatError> {
    FormatError::limit("an artifact's facts", facts.0.len(), limits::FACTS)?;
    cbor::check_form(&facts.0).map_err(FormatError::cbor("an artifact's facts"))
}
