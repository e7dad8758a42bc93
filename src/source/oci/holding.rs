//! A *holding* is what an image archive or layout folder has: its files by name, hashed, with the place of their bytes.
//!
//! It does not know what the files mean. Small JSON files are kept in memory as they pass; nothing else is.

use super::stream::{self, Bounded, failed, invalid, unsupported};
use super::tar::{self, Entry};
use crate::digest::{Blob, Digest, Hasher};
use crate::fs::regular;
use crate::fs::tree;
use crate::kind::{BlobReader, KindError, ReadSeek};
use crate::limits;
use crate::monitor::Monitor;
use crate::source::spool::Spools;
use crate::source::{Compression, Origin, SourceError};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that say what an archive or layout holds.
const TABLES: [&str; 3] = ["index.json", "manifest.json", "oci-layout"];

/// One file.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its digest and length.
    pub blob: Blob,
    /// Where its bytes are.
    pub origin: Origin,
    /// Its bytes, where it looks like a small JSON document.
    pub document: Option<Arc<[u8]>>,
    /// Whether it begins as gzip does.
    pub gzip: bool,
}

/// All files of an archive or folder.
#[derive(Debug)]
pub struct Holding {
    /// The archive or folder.
    pub path: PathBuf,
    members: BTreeMap<String, Member>,
    links: BTreeMap<String, String>,
}

impl Holding {
    /// Surveys an archive, in one pass over its plain stream, which is kept in `spools` where it is compressed.
    pub fn of_archive(path: &Path, spools: Option<&Spools>, monitor: &dyn Monitor) -> Result<Holding, SourceError> {
        let mut out = Holding { path: path.into(), members: BTreeMap::new(), links: BTreeMap::new() };
        out.read_archive(spools, monitor).map_err(failed(path))?;
        Ok(out)
    }

    fn read_archive(&mut self, spools: Option<&Spools>, monitor: &dyn Monitor) -> io::Result<()> {
        let archive = self.path.clone();
        let (compression, mut plain) = stream::open(&archive, monitor)?;
        let mut room = limits::ARCHIVE_DOCUMENTS;
        let mut buf = vec![0u8; 1 << 18];
        let mut each = |entry: Entry, body: &mut dyn Read| -> io::Result<()> {
            let (name, new) = match entry {
                Entry::Link { name, target } => {
                    let new = !self.members.contains_key(&name) && self.links.insert(name.clone(), target).is_none();
                    (name, new)
                }
                Entry::File { name, offset, len } => {
                    let most = document_limit(&name);
                    let taken = take_in(body, len, most, &mut buf)?;
                    room =
                        (room.checked_sub(taken.document.as_ref().map_or(0, |d| d.len() as u64))).ok_or_else(|| {
                            unsupported(format!(
                                "an archive with JSON documents of more than {} bytes",
                                limits::ARCHIVE_DOCUMENTS
                            ))
                        })?;
                    let origin = Origin::Member { archive: archive.clone(), compression, offset };
                    let new = !self.links.contains_key(&name)
                        && self.members.insert(name.clone(), taken.member(origin)).is_none();
                    (name, new)
                }
            };
            if new { Ok(()) } else { Err(invalid(format!("{name:?} appears twice in the archive"))) }
        };
        match spools.filter(|_| compression != Compression::None) {
            None => tar::walk(&mut plain, &mut each),
            Some(spools) => {
                let mut plain = spools.keep(plain);
                tar::walk(&mut plain, &mut each)?;
                plain.finish(&archive);
                Ok(())
            }
        }
    }

    /// Surveys a folder that is an OCI layout.
    pub fn of_folder(path: &Path, monitor: &dyn Monitor) -> Result<Holding, SourceError> {
        let files = tree::walk(path)?;
        let members: Vec<(String, Member)> = files
            .into_par_iter()
            .map(|file| {
                let mut inner = regular::open(&file.path).map_err(SourceError::io(&file.path))?;
                // Blobs of a folder can be opened again, so only the tables are kept.
                let most = if TABLES.contains(&file.rel.as_str()) { limits::ARCHIVE_DOCUMENT } else { 0 };
                let mut buf = vec![0u8; 1 << 18];
                let taken = take_in(&mut inner, file.len, most, &mut buf).map_err(failed(&file.path))?;
                monitor.advance(taken.blob.len);
                Ok((file.rel, taken.member(Origin::File(file.path))))
            })
            .collect::<Vec<Result<_, SourceError>>>()
            .into_iter()
            .collect::<Result<_, _>>()?;
        Ok(Holding { path: path.into(), members: members.into_iter().collect(), links: BTreeMap::new() })
    }

    /// The file of that name, links followed.
    pub fn get(&self, name: &str) -> Result<&Member, KindError> {
        let mut at = name;
        for _ in 0..=limits::ARCHIVE_LINKS {
            match (self.members.get(at), self.links.get(at)) {
                (Some(member), _) => return Ok(member),
                (None, Some(target)) => at = target,
                (None, None) => {
                    return Err(KindError::malformed("the image archive", format!("{at:?} is not in it")));
                }
            }
        }
        let why = format!("the link {name:?} goes round in circles or over more than {} others", limits::ARCHIVE_LINKS);
        Err(KindError::malformed("the image archive", why))
    }

    /// The bytes of a table such as `index.json`; `None` where there is none.
    pub fn table(&self, name: &'static str) -> Result<Option<&[u8]>, KindError> {
        match self.members.get(name) {
            None => Ok(None),
            Some(m) if m.blob.len > limits::ARCHIVE_DOCUMENT => {
                Err(KindError::TooLarge { what: name, limit: limits::ARCHIVE_DOCUMENT, have: m.blob.len })
            }
            Some(m) => match &m.document {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(KindError::malformed(name, "it is not JSON")),
            },
        }
    }

    /// The files, in order of name.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(name, m)| (name.as_str(), m))
    }
}

/// How long a file of an archive may be to be kept as a document.
fn document_limit(name: &str) -> u64 {
    if TABLES.contains(&name) { limits::ARCHIVE_DOCUMENT } else { limits::OCI_DOCUMENT }
}

struct Taken {
    blob: Blob,
    document: Option<Vec<u8>>,
    gzip: bool,
}

impl Taken {
    fn member(self, origin: Origin) -> Member {
        Member { blob: self.blob, origin, document: self.document.map(Arc::from), gzip: self.gzip }
    }
}

/// Hashes a file's bytes as they pass, and keeps them where they are at most `most` and begin as JSON does.
fn take_in(body: &mut dyn Read, len: u64, most: u64, buf: &mut [u8]) -> io::Result<Taken> {
    let mut hasher = Hasher::new();
    let mut document: Option<Vec<u8>> = None;
    let (mut first, mut gzip) = (true, false);
    loop {
        let n = fill(body, buf)?;
        if n == 0 {
            break;
        }
        let piece = &buf[..n];
        if first {
            first = false;
            gzip = piece.starts_with(&[0x1f, 0x8b]);
            let json = piece.trim_ascii_start().first().is_some_and(|b| matches!(b, b'{' | b'['));
            document = (json && len <= most).then(Vec::new);
        }
        if let Some(kept) = &mut document {
            if kept.len() as u64 + n as u64 > most {
                return Err(invalid("it grew while it was read"));
            }
            kept.extend_from_slice(piece);
        }
        hasher.update(piece);
    }
    Ok(Taken { blob: hasher.finish(), document, gzip })
}

/// Reads until `buf` is full or the end is there, so that what a file begins with does not depend on how it is read.
fn fill(body: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buf.len() {
        match body.read(&mut buf[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

/// Digests of the plain bytes of gzip-compressed members of one archive, in the order asked for. One more pass over the
/// archive: only archives that hold compressed layers without an OCI layout need it.
pub fn expand(path: &Path, members: &[&Member]) -> Result<Vec<Digest>, SourceError> {
    let mut wanted: Vec<(u64, usize, u64)> = Vec::new();
    for (nth, member) in members.iter().enumerate() {
        if let Origin::Member { offset, .. } = member.origin {
            wanted.push((offset, nth, member.blob.len));
        }
    }
    wanted.sort_unstable();
    let mut out = vec![Digest([0; 32]); members.len()];
    let run = |out: &mut Vec<Digest>| -> io::Result<()> {
        let (_, mut plain) = stream::open(path, &crate::monitor::Silent)?;
        let (mut at, mut last) = (0u64, None);
        for (offset, nth, len) in wanted {
            if let Some((there, digest)) = last
                && there == offset
            {
                out[nth] = digest;
                continue;
            }
            io::copy(&mut (&mut plain).take(offset - at), &mut io::sink())?;
            let mut body = (&mut plain).take(len);
            let gz = flate2::read::MultiGzDecoder::new(&mut body);
            let mut gz = Bounded { inner: gz, left: limits::ARCHIVE_PLAIN };
            let digest = crate::digest::hash_reader(&mut gz)?.digest;
            io::copy(&mut body, &mut io::sink())?;
            (out[nth], at, last) = (digest, offset + len, Some((offset, digest)));
        }
        Ok(())
    };
    run(&mut out).map_err(failed(path))?;
    Ok(out)
}

/// Blobs of a holding by digest, and documents that were made.
#[derive(Default)]
pub struct Blobs<'a> {
    members: BTreeMap<Digest, &'a Member>,
    made: BTreeMap<Digest, Arc<[u8]>>,
    hidden: BTreeSet<Digest>,
}

impl<'a> Blobs<'a> {
    /// Enters a member.
    pub fn enter(&mut self, member: &'a Member) {
        self.members.insert(member.blob.digest, member);
    }
    /// Enters a document that was made.
    pub fn make(&mut self, bytes: Vec<u8>) -> Blob {
        let blob = Blob::of(&bytes);
        self.made.insert(blob.digest, bytes.into());
        blob
    }
    /// Makes blobs that are there look absent, instead of those that were hidden before.
    pub fn hide(&mut self, hidden: BTreeSet<Digest>) {
        self.hidden = hidden;
    }
    /// Where a blob's bytes can be read again. A document that is in memory stays there: it has been parsed, and what
    /// is written must be those same bytes.
    pub fn origin(&self, blob: &Blob, is_document: bool) -> Option<Origin> {
        if let Some(bytes) = self.made.get(&blob.digest) {
            return Some(Origin::Bytes(bytes.clone()));
        }
        let member = self.members.get(&blob.digest)?;
        match &member.document {
            Some(bytes) if is_document => Some(Origin::Bytes(bytes.clone())),
            _ => Some(member.origin.clone()),
        }
    }
}

impl BlobReader for Blobs<'_> {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        if let Some(bytes) = self.made.get(&blob.digest) {
            return Ok(Box::new(Cursor::new(&bytes[..])));
        }
        match self.members.get(&blob.digest) {
            Some(Member { document: Some(bytes), .. }) => Ok(Box::new(Cursor::new(&bytes[..]))),
            Some(Member { origin: Origin::File(path), .. }) => Ok(Box::new(regular::open(path)?)),
            Some(_) => Err(KindError::malformed("an image's document", format!("{} is not JSON", blob.digest.oci()))),
            None => Err(KindError::MissingBlob(blob.digest)),
        }
    }

    fn find(&self, digest: &Digest) -> Option<Blob> {
        if self.hidden.contains(digest) {
            return None;
        }
        let made = self.made.get(digest).map(|b| Blob { digest: *digest, len: b.len() as u64 });
        made.or_else(|| self.members.get(digest).map(|m| m.blob))
    }
}
