//! A *set-id file* runs with the rights of its owner or group. This finds those inside debs and the layers of images, for
//! a reader of the review page, and writes nothing.
//!
//! What decides is an entry's mode in its tar; file capabilities, and what a script does on installation, are not looked
//! at. Specified in `spec/desk.md`, section "Files with set-id bits".

use super::ScanError;
use super::archive::{Entries, Other, tar};
use super::expand::{Bounds, Counted, Halt, Member, READ_FACTOR, halt, skip};
use super::folder::shown;
use super::stream::{Form, Peek, decoder, is_tar};
use crate::digest::{Blob, Digest};
use crate::kind::deb::{self, Compression};
use crate::kind::oci::ImageFacts;
use crate::kind::{BlobReader, KindError};
use crate::model::{Described, Kind};
use crate::monitor::Monitor;
use serde::Serialize;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{BufReader, Read, SeekFrom};
use std::rc::Rc;

/// Files that are listed by name, and files of one archive whose hard links are told by them; the others are counted.
const LISTED: usize = 10_000;
/// The bits.
const SET_ID: u32 = 0o6000;

/// A deb, or a layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Container {
    /// Whether it is a deb or an image's.
    pub kind: Kind,
    /// The package, or the first image that has the layer.
    pub name: String,
    /// The version, tag or digest.
    pub version: Option<String>,
    /// Digest of the deb or layer; absent where an artifact has no blob.
    pub digest: Option<Digest>,
    /// Artifacts that have it.
    pub artifacts: u64,
}

/// A file that runs with its owner's or group's rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inside {
    /// Where it lies.
    #[serde(flatten)]
    pub container: Container,
    /// Its name there, escaped and at most 1024 characters long, as in the map of an extract.
    pub path: String,
    /// Its permission bits, octal.
    pub mode: String,
    /// For a hard link, the file that it is a further name of.
    pub link: Option<String>,
}

/// What was not opened, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unopened {
    /// Which.
    #[serde(flatten)]
    pub container: Container,
    /// Why.
    pub why: String,
}

/// What was found by opening all debs and layers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// Debs and layers that were read to their end.
    pub archives: u64,
    /// Set-id files, by artifact; at most 10,000.
    pub set_id: Vec<Inside>,
    /// How many were found.
    pub found: u64,
    /// What could not be opened, or not to its end.
    pub problems: Vec<Unopened>,
    /// Debs and layers that a delta leaves out in whole or part, and that no base was there for.
    pub lacking: u64,
    /// The bound that ended the looking; absent where all was looked at.
    pub bounded_by: Option<&'static str>,
    /// Debs and layers that were not reached for it.
    pub not_reached: u64,
}

/// A blob to be opened.
struct Target {
    container: Container,
    blob: Blob,
    /// Why it cannot be, where that is known beforehand.
    why: Option<String>,
    /// Whether it says itself that it is a tar.
    is_tar: bool,
}

/// How opening ended where nothing is to blame.
enum End {
    Read,
    NoArchive,
    Lacking,
}

/// Opens the debs and layers of `artifacts`, each once. `order`: where a blob lies, so that they are read as they lie.
/// Whatever is wrong with one of them is told of it and stops none of the others.
pub fn look(
    artifacts: &[Described],
    reader: &dyn BlobReader,
    order: &dyn Fn(&Blob) -> Option<usize>,
    bounds: Bounds,
    monitor: &dyn Monitor,
) -> Opened {
    let targets = targets(artifacts);
    monitor.phase("opening debs and layers", Some(targets.iter().map(|t| t.blob.len).fold(0, u64::saturating_add)));
    let mut by_place: Vec<(usize, &Target)> = targets.iter().enumerate().collect();
    by_place.sort_by_key(|(_, t)| order(&t.blob));
    let left = Rc::new(Cell::new(bounds.bytes.saturating_mul(READ_FACTOR)));
    let mut sieve = Sieve { entries: bounds.files, found: 0, listed: Vec::new(), archive: Archive::default() };
    let mut out = Opened::default();
    let mut problems = Vec::new();
    for (n, target) in by_place {
        monitor.advance(target.blob.len);
        if out.bounded_by.is_some() {
            out.not_reached = out.not_reached.saturating_add(1);
            continue;
        }
        sieve.archive = Archive { number: n, ..Archive::default() };
        match open(target, reader, &left, &mut sieve) {
            Ok(End::Read) => out.archives = out.archives.saturating_add(1),
            Ok(End::NoArchive) => {}
            Ok(End::Lacking) => out.lacking = out.lacking.saturating_add(1),
            Err(halt) => {
                if let Halt::Bound(bound) = &halt {
                    out.bounded_by = Some(*bound);
                }
                problems.push((n, why(halt)));
            }
        }
        problems.extend(sieve.archive.unclear.take().map(|why| (n, why)));
    }
    let container = |n: usize| targets.get(n).map(|t| t.container.clone());
    problems.sort();
    sieve.listed.sort_by_key(|f| f.0);
    out.problems =
        problems.into_iter().filter_map(|(n, why)| Some(Unopened { container: container(n)?, why })).collect();
    let inside = |(n, path, mode, link)| Some(Inside { container: container(n)?, path, mode, link });
    out.set_id = sieve.listed.into_iter().filter_map(inside).collect();
    out.found = sieve.found;
    out
}

/// Debs and layers in the order of the artifacts, each once.
fn targets(artifacts: &[Described]) -> Vec<Target> {
    let mut out: Vec<Target> = Vec::new();
    let mut seen: BTreeMap<(Kind, Blob), usize> = BTreeMap::new();
    for d in artifacts {
        let mut own = BTreeSet::new();
        for target in of_artifact(d).into_iter().filter(|t| own.insert(t.blob)) {
            match seen.get(&(target.container.kind, target.blob)).and_then(|n| out.get_mut(*n)) {
                Some(first) => first.container.artifacts = first.container.artifacts.saturating_add(1),
                None => {
                    seen.insert((target.container.kind, target.blob), out.len());
                    out.push(target);
                }
            }
        }
    }
    out
}

fn of_artifact(d: &Described) -> Vec<Target> {
    let a = &d.artifact;
    let target = |blob: Blob, is_tar: bool, why: Option<&str>| Target {
        container: Container {
            kind: a.kind,
            name: a.name.clone(),
            version: a.version.clone(),
            digest: Some(blob.digest),
            artifacts: 1,
        },
        blob,
        why: why.map(str::to_owned),
        is_tar,
    };
    let first = a.blobs.first().copied();
    match (a.kind, first) {
        (Kind::Deb, Some(blob)) => vec![target(blob, true, None)],
        (Kind::Image, Some(blob)) => match ImageFacts::decode(&d.facts) {
            Err(_) => vec![target(blob, true, Some("what the index says of its layers cannot be read"))],
            Ok(facts) => {
                let layers = facts.manifests.into_iter().flat_map(|m| m.layers);
                let of = |l: crate::kind::oci::Part| {
                    let away = "it is not in the release: its manifest says that it lies elsewhere";
                    let is_tar = ["tar", "layer", "rootfs"].iter().any(|word| l.media_type.contains(word));
                    target(l.blob, is_tar, (!a.blobs.contains(&l.blob)).then_some(away))
                };
                layers.map(of).collect()
            }
        },
        _ => vec![],
    }
}

fn open(target: &Target, reader: &dyn BlobReader, left: &Rc<Cell<u64>>, sieve: &mut Sieve) -> Result<End, Halt> {
    if let Some(why) = &target.why {
        return Err(Halt::Problem(why.clone()));
    }
    let of_kind = |e: KindError| Halt::Problem(chain(&e));
    let mut file = match reader.open(&target.blob) {
        Err(KindError::MissingBlob(_)) => return Ok(End::Lacking),
        opened => opened.map_err(of_kind)?,
    };
    let (mut len, mut named) = (target.blob.len, None);
    if target.container.kind == Kind::Deb {
        let (start, stored, compression) = deb::data(&mut *file, len).map_err(of_kind)?;
        file.seek(SeekFrom::Start(start)).map_err(halt)?;
        (len, named) = (stored, Some(compression));
    }
    let stored = Peek::new(Box::new(BufReader::with_capacity(1 << 16, file.take(len)))).map_err(halt)?;
    let form = stored.form().filter(|f| f.is_compression());
    if let Some(compression) = named
        && form != form_of(compression)
    {
        let why = format!("its data member is not compressed as its name says ({})", compression.name());
        return Err(Halt::Problem(why));
    }
    if let Some(form) = form
        && is_tar(stored.head())
    {
        return Err(Halt::Problem(format!("it begins as a {} and as a tar: programs may disagree", form.name())));
    }
    let plain: Box<dyn Read + '_> = match form {
        Some(form) => decoder(form, stored).map_err(halt)?,
        None => Box::new(stored),
    };
    let mut plain = Peek::new(Box::new(Counted { inner: plain, left: left.clone() })).map_err(halt)?;
    if !is_tar(plain.head()) && plain.head().iter().any(|b| *b != 0) {
        return if target.is_tar { Err(Halt::Problem("it holds no tar".into())) } else { Ok(End::NoArchive) };
    }
    tar(&mut plain, sieve)?;
    Ok(End::Read)
}

fn form_of(compression: Compression) -> Option<Form> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some(Form::Gzip),
        Compression::Xz => Some(Form::Xz),
        Compression::Zstd => Some(Form::Zstd),
        Compression::Bzip2 => Some(Form::Bzip2),
        Compression::Lzma => Some(Form::Lzma),
    }
}

fn why(halt: Halt) -> String {
    match halt {
        Halt::Problem(why) => why,
        Halt::Bound(bound) => format!("not opened to its end: the bound on {bound} was met"),
        Halt::Fatal(ScanError::Io { source, .. }) => source.to_string(),
        Halt::Fatal(e) => chain(&e),
    }
}

/// An error with all that is behind it.
fn chain(e: &dyn Error) -> String {
    let mut out = e.to_string();
    let mut next = e.source();
    while let Some(e) = next {
        out = format!("{out}: {e}");
        next = e.source();
    }
    out
}

/// What is known of the archive that is being read.
#[derive(Default)]
struct Archive {
    /// Number of its target.
    number: usize,
    /// Digests of the names of its set-id files, with their modes.
    marked: BTreeMap<Digest, u32>,
    /// The first entry whose mode cannot be read.
    unclear: Option<String>,
}

/// Keeps set-id files.
struct Sieve {
    /// Entries that may still come.
    entries: u64,
    found: u64,
    /// Number of the target, path, mode, link.
    listed: Vec<(usize, String, String, Option<String>)>,
    archive: Archive,
}

impl Sieve {
    fn count(&mut self) -> Result<(), Halt> {
        self.entries = self.entries.checked_sub(1).ok_or(Halt::Bound("files"))?;
        Ok(())
    }

    fn sift(&mut self, member: &Member<'_>, also: u32, link: Option<&[u8]>) {
        let mode = member.mode.unwrap_or_default() | also;
        if member.mode.is_none() && self.archive.unclear.is_none() {
            self.archive.unclear = Some(format!("the mode of {} is no number, or no octal one", shown(member.name)));
        }
        if mode & SET_ID == 0 {
            return;
        }
        self.found = self.found.saturating_add(1);
        // Names are kept as digests: they may be a megabyte long, and there may be millions.
        if self.archive.marked.len() < LISTED {
            self.archive.marked.insert(key(member.name), mode);
        }
        if self.listed.len() < LISTED {
            let octal = format!("{:04o}", mode & 0o7777);
            self.listed.push((self.archive.number, shown(member.name), octal, link.map(shown)));
        }
    }
}

/// A name as programs understand it that unpack it below some folder.
fn key(name: &[u8]) -> Digest {
    let parts = name.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".");
    Digest::of(&parts.collect::<Vec<_>>().join(&b'/'))
}

impl Entries for Sieve {
    fn content(&mut self, member: &Member<'_>, from: &mut dyn Read) -> Result<(), Halt> {
        self.count()?;
        self.sift(member, 0, None);
        skip(from, member.len.unwrap_or(u64::MAX))
    }

    /// A hard link is a further name of a set-id file; and its own mode counts, for some programs give that to the file.
    fn other(&mut self, member: &Member<'_>, what: Other<'_>) -> Result<(), Halt> {
        self.count()?;
        if let Other::Hard(to) = what {
            let also = self.archive.marked.get(&key(to)).map_or(0, |mode| mode & SET_ID);
            self.sift(member, also, Some(to));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
