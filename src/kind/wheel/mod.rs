//! A *wheel* is a Python package ready to install (PEP 427): a zip whose `*.dist-info` folder says what it is.
//!
//! It looks at names and metadata only; no code in it is run and no hash of its RECORD is checked (its installer does
//! that, and the blob's own digest covers all of it). Specified in `spec/facts.md`, section "wheel/1".

use super::python::{CoreMetadata, is_name, project, same_version};
use super::zipfile::Zip;
use super::{BlobReader, Derived, KindError, top};
use crate::cbor::{Bytes, encode, record};
use crate::digest::Blob;
use crate::limits;
use crate::model::Artifact;
use crate::relpath::RelPath;

mod record_file;

record! {
    /// Facts of a wheel, schema `wheel/1`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WheelFacts {
        /// The project as indexes spell it (PEP 503).
        0 => project: String,
        /// `Name` as METADATA has it.
        1 => name: String,
        /// `Version` as METADATA has it.
        2 => version: String,
        /// Build tag of the file's name.
        3 => build: Option<String>,
        /// Compatibility tags of the file's name, `python-abi-platform`, not expanded.
        4 => tags: String,
        /// The METADATA file, byte for byte: what is served as `FILE.metadata` (PEP 658).
        5 => metadata: Blob,
        /// `Requires-Python`.
        6 => requires_python: Option<String>,
        /// Every `Requires-Dist`, in METADATA's order.
        7 => requires: Vec<String>,
        /// First line of `Summary`.
        8 => summary: Option<String>,
        /// `License-Expression`, else the first line of `License`.
        9 => license: Option<String>,
    }
}

/// A wheel's file name, taken apart (PEP 427, "File name convention").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// Distribution, escaped.
    pub name: String,
    /// Version, escaped.
    pub version: String,
    /// Build tag.
    pub build: Option<String>,
    /// `python-abi-platform`.
    pub tags: String,
    /// Its platform part.
    pub platform: String,
}

impl FileName {
    /// Takes `{name}-{version}(-{build})?-{python}-{abi}-{platform}.whl` apart.
    pub fn parse(file: &str) -> Result<FileName, KindError> {
        let bad = |why: &str| KindError::malformed("the wheel's file name", format!("{file:?} {why}"));
        let stem = file.strip_suffix(".whl").ok_or_else(|| bad("does not end in .whl"))?;
        let parts: Vec<&str> = stem.split('-').collect();
        let (name, version, build, tags) = match parts.as_slice() {
            [name, version, tags @ ..] if tags.len() == 3 => (name, version, None, tags),
            [name, version, build, tags @ ..] if tags.len() == 3 => (name, version, Some(*build), tags),
            _ => return Err(bad("does not have five or six parts between dashes")),
        };
        let word = |s: &str, more: &[char]| {
            !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || more.contains(&c))
        };
        if !is_name(name) || !word(version, &['!', '+']) || !tags.iter().all(|t| word(t, &[])) {
            return Err(bad("has characters that wheel names do not have"));
        }
        if build.is_some_and(|b| !word(b, &[]) || !b.starts_with(|c: char| c.is_ascii_digit())) {
            return Err(bad("has a build tag that does not begin with a digit"));
        }
        Ok(FileName {
            name: (*name).into(),
            version: (*version).into(),
            build: build.map(str::to_owned),
            tags: tags.join("-"),
            platform: tags.last().copied().unwrap_or_default().into(),
        })
    }
}

/// Reads what the wheel's METADATA and name say; refuses where they disagree.
pub fn derive(artifact: &Artifact, blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let wheel = top(artifact)?;
    let path = artifact.path.as_ref().ok_or_else(|| KindError::malformed("the wheel", "it has no file name"))?;
    let file = FileName::parse(path.file_name())?;
    // The site serves METADATA under this name; better refused here than on the far side.
    RelPath::new(&format!("{path}.metadata"))
        .map_err(|e| KindError::malformed("the wheel's file name", e.to_string()))?;
    let mut zip = Zip::open(blobs.open(&wheel)?, "the wheel")?;
    let folder = dist_info(&zip)?;
    let metadata = needed(&mut zip, &folder, "METADATA", "the wheel's METADATA", limits::PYTHON_METADATA)?;
    needed(&mut zip, &folder, "WHEEL", "the wheel's WHEEL", limits::PYTHON_METADATA)?;
    let listed = needed(&mut zip, &folder, "RECORD", "the wheel's RECORD", limits::WHEEL_RECORD)?;
    record_file::check(&listed, &folder, zip.members())?;
    let core = CoreMetadata::parse(&metadata, "the wheel's METADATA")?;
    agree("the file name and the wheel's METADATA", &file.name, &file.version, &core)?;
    let (name, version) = folder.trim_end_matches(".dist-info").rsplit_once('-').unwrap_or((&folder, ""));
    agree("the dist-info folder and the wheel's METADATA", name, version, &core)?;
    let blob = Blob::of(&metadata);
    let facts = WheelFacts {
        project: project(&core.name),
        name: core.name,
        version: core.version,
        build: file.build,
        tags: file.tags,
        metadata: blob,
        requires_python: core.requires_python,
        requires: core.requires,
        summary: core.summary,
        license: core.license,
    };
    Ok(Derived {
        name: Some(facts.project.clone()),
        version: Some(facts.version.clone()),
        arch: (file.platform != "any").then_some(file.platform),
        blobs: vec![wheel, blob],
        made: vec![metadata],
        facts: Bytes(encode(&facts)),
    })
}

/// The one `*.dist-info` folder that lies at the top.
fn dist_info(zip: &Zip<'_>) -> Result<String, KindError> {
    let mut folders: Vec<&str> = zip.members().iter().filter_map(|m| m.name.split_once('/')).map(|(f, _)| f).collect();
    folders.retain(|f| f.to_ascii_lowercase().ends_with(".dist-info"));
    folders.dedup();
    folders.sort_unstable();
    folders.dedup();
    match folders.as_slice() {
        [one] if one.ends_with(".dist-info") => Ok((*one).to_owned()),
        [] | [_] => Err(KindError::malformed("the wheel", "it has no .dist-info folder")),
        [a, b, ..] => Err(KindError::malformed("the wheel", format!("it has two .dist-info folders, {a:?} and {b:?}"))),
    }
}

fn needed(zip: &mut Zip<'_>, folder: &str, file: &str, what: &'static str, limit: u64) -> Result<Vec<u8>, KindError> {
    let bytes = zip.read(&format!("{folder}/{file}"), what, limit)?;
    bytes.ok_or_else(|| KindError::malformed(what, "it is missing"))
}

/// Refuses a name and version that are not METADATA's, in whatever spelling.
pub(super) fn agree(what: &'static str, name: &str, version: &str, core: &CoreMetadata) -> Result<(), KindError> {
    if project(name) == project(&core.name) && same_version(version, &core.version) {
        return Ok(());
    }
    let right = format!("{} {}", core.name, core.version);
    Err(KindError::Disagree { what, left: format!("{name} {version}"), right })
}

#[cfg(test)]
pub(crate) mod tests;
