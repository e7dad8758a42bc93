//! A *generation* is one complete view of a site, with a list of its files and what it shows in its folder `.pouch`.
//!
//! This file reads them; [`super::publish`] makes them. Specified in `spec/site.md`, section "Generations".

use crate::digest::{Blob, Digest};
use crate::fs::disk::{Disk, Node, read_all};
use crate::relpath::RelPath;
use crate::site::error::SiteError;
use crate::site::layout::{self, Form};
use crate::site::ledger::{ReleaseRef, digest};
use serde::{Deserialize, Serialize};

/// Bytes of `generation.json` and of `files.jsonl` that are read: a list of four million files.
const INFO_BYTES: u64 = 64 << 20;
const FILES_BYTES: u64 = 1 << 30;

/// The number of a generation, from 1; written with at least six digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationNumber(pub u32);

impl GenerationNumber {
    /// Back from the name of a generation's folder.
    pub fn from_name(name: &str) -> Option<GenerationNumber> {
        let n = GenerationNumber(name.parse().ok()?);
        (n.to_string() == name).then_some(n)
    }
}

impl std::fmt::Display for GenerationNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// A release that a generation shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRelease {
    /// Which.
    #[serde(flatten)]
    pub release: ReleaseRef,
    /// True for the latest of its stream here.
    pub latest: bool,
}

/// What a generation is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationInfo {
    /// Unix seconds that its fresh files and its folders carry as their time: that of its [`crate::model::Context`].
    pub time: i64,
    /// The releases that it shows, in the order of its catalog.
    pub releases: Vec<ShownRelease>,
    /// The releases that come onto the site with it.
    pub accepted: Vec<ReleaseRef>,
}

/// `generation.json`: what a generation says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// The layout's version.
    pub layout: u64,
    /// Its number.
    pub number: GenerationNumber,
    /// The generation that was current when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<GenerationNumber>,
    /// Unix seconds of its fresh files.
    pub time: i64,
    /// The releases that it shows.
    pub releases: Vec<ShownRelease>,
    /// The releases that came with it.
    pub accepted: Vec<ReleaseRef>,
    /// How many files `files.jsonl` lists.
    pub files: u64,
    /// Sum of their lengths.
    pub bytes: u64,
    /// SHA-256 of `files.jsonl`.
    #[serde(deserialize_with = "digest")]
    pub list: Digest,
}

/// How a file of a generation came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A hard link to a blob, plain form.
    Blob,
    /// A hard link to a blob's executable form.
    Executable,
    /// A copy of a blob where it could not be linked, plain form.
    Copy,
    /// A copy of a blob's executable form.
    ExecutableCopy,
    /// Rendered bytes.
    Made,
}

impl Origin {
    /// The form of the blob that it is, link or copy; `None` for rendered bytes.
    pub fn form(self) -> Option<Form> {
        match self {
            Origin::Blob | Origin::Copy => Some(Form::Plain),
            Origin::Executable | Origin::ExecutableCopy => Some(Form::Executable),
            Origin::Made => None,
        }
    }

    /// True where the file is the blob's own inode.
    pub fn linked(self) -> bool {
        matches!(self, Origin::Blob | Origin::Executable)
    }

    /// The permission bits of the file.
    pub fn mode(self) -> u32 {
        self.form().map_or(layout::FILE_MODE, Form::mode)
    }
}

/// A line of `files.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFile {
    /// Its path below the generation.
    #[serde(deserialize_with = "path")]
    pub path: RelPath,
    /// Where it comes from.
    pub origin: Origin,
    /// Its SHA-256.
    #[serde(deserialize_with = "digest")]
    pub sha256: Digest,
    /// Its length in bytes.
    pub len: u64,
    /// True where its name contains its digest, so that the next generation carries it too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub content_named: bool,
    /// True where it is here only because the predecessor had it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carried: bool,
}

impl ListedFile {
    /// Its bytes as a blob.
    pub fn blob(&self) -> Blob {
        Blob { digest: self.sha256, len: self.len }
    }
}

fn path<'de, D: serde::Deserializer<'de>>(d: D) -> Result<RelPath, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
    RelPath::new(&text).map_err(serde::de::Error::custom)
}

/// Reads what generation `n` says of itself.
pub fn read(disk: &dyn Disk, n: GenerationNumber) -> Result<Generation, SiteError> {
    let place = layout::generation(n).child(layout::INNER).child(layout::INNER_INFO);
    if disk.stat(&layout::generation(n))?.is_none_or(|s| s.node != Node::Folder) {
        return Err(SiteError::NoGeneration(n));
    }
    let bytes = read_all(disk, &place, INFO_BYTES)?;
    let info: Generation =
        serde_json::from_slice(&bytes).map_err(|e| SiteError::damaged(&place, format!("it does not parse: {e}")))?;
    if info.layout > layout::VERSION {
        return Err(SiteError::NewerLayout { have: info.layout, known: layout::VERSION });
    }
    if info.number != n {
        return Err(SiteError::damaged(place, format!("it is that of generation {}", info.number)));
    }
    Ok(info)
}

/// Reads the files that generation `info` lists, in path order.
pub fn read_files(disk: &dyn Disk, info: &Generation) -> Result<Vec<ListedFile>, SiteError> {
    let place = layout::generation(info.number).child(layout::INNER).child(layout::INNER_FILES);
    let bytes = read_all(disk, &place, FILES_BYTES)?;
    if Digest::of(&bytes) != info.list {
        return Err(SiteError::damaged(place, "its digest is not the one in generation.json"));
    }
    let lines = serde_json::Deserializer::from_slice(&bytes).into_iter();
    lines.collect::<Result<_, _>>().map_err(|e| SiteError::damaged(place, format!("it does not parse: {e}")))
}

/// The numbers of all generations, ascending. Other names in the folder are not ours and are left out.
pub fn list(disk: &dyn Disk) -> Result<Vec<GenerationNumber>, SiteError> {
    let names = disk.list(&layout::generations())?;
    let mut out: Vec<GenerationNumber> = names
        .iter()
        .filter(|(_, node)| *node == Node::Folder)
        .filter_map(|(name, _)| GenerationNumber::from_name(name.to_str()?))
        .collect();
    out.sort();
    Ok(out)
}

/// The generation that `current` names; `None` before the first.
pub fn current(disk: &dyn Disk) -> Result<Option<GenerationNumber>, SiteError> {
    let Some(stat) = disk.stat(&layout::current())? else { return Ok(None) };
    if stat.node != Node::Link {
        return Err(SiteError::damaged(layout::current(), "it is not a symbolic link"));
    }
    let says = disk.read_link(&layout::current())?;
    let number = says.to_str().and_then(|s| s.strip_prefix("generations/")).and_then(GenerationNumber::from_name);
    match number {
        Some(n) => Ok(Some(n)),
        None => Err(SiteError::damaged(layout::current(), format!("it points to {says:?}, which is no generation"))),
    }
}
