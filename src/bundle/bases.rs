//! *Bases* opened: every base blob that is needed was hashed whole, and what is expanded of it lies in scratch files.
//!
//! Nothing is restored here, and nothing is used of a blob before its digest was right. Specified in `spec/bundle.md`,
//! section "Deltas".

use super::BundleError;
use super::sources::Sources;
use crate::digest::{Blob, HashingReader};
use crate::format::FormatError;
use crate::format::table::ExpansionRow;
use crate::kind::{BlobReader, KindError, ReadSeek};
use crate::monitor::Monitor;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// A file without a name: it is gone when it is dropped, also when the process is killed.
pub trait ScratchFile: Send + Sync {
    /// Writes all of `buf` at `offset`.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Fills `buf` from `offset`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

/// Where base blobs come from and where scratch files go.
#[derive(Clone, Copy)]
pub struct Workplace<'a> {
    /// Gives base blobs.
    pub bases: &'a dyn BlobReader,
    /// Makes a scratch file.
    pub scratch: &'a (dyn Fn() -> io::Result<Box<dyn ScratchFile>> + Sync),
}

impl std::fmt::Debug for Workplace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workplace")
    }
}

impl Workplace<'static> {
    /// Without bases, for bundles that need none.
    pub const NONE: Workplace<'static> =
        Workplace { bases: &Nothing, scratch: &|| Err(io::Error::other("there is no scratch space")) };
}

struct Nothing;

impl BlobReader for Nothing {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        Err(KindError::MissingBlob(blob.digest))
    }
    fn find(&self, _: &crate::digest::Digest) -> Option<Blob> {
        None
    }
}

/// What is needed of the bases.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Sources by number.
    pub sources: BTreeSet<usize>,
    /// Blobs that are their own bases.
    pub whole: BTreeSet<Blob>,
}

/// See the module.
pub(super) struct Bases<'a> {
    work: Workplace<'a>,
    sources: &'a Sources,
    /// A scratch file for each expansion that is needed.
    expanded: Vec<Option<Arc<dyn ScratchFile>>>,
    /// The base blob that was read last, open.
    last: Mutex<Option<(usize, Box<dyn ReadSeek + 'a>)>>,
}

impl<'a> Bases<'a> {
    /// Hashes and expands what is needed.
    pub fn open(
        sources: &'a Sources,
        needs: &Needs,
        work: Workplace<'a>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Bases<'a>, BundleError> {
        Bases::prove(sources, needs, work, threads, monitor)?;
        let mut out = Bases { work, sources, expanded: Vec::new(), last: Mutex::new(None) };
        out.expanded.resize_with(sources.expansions.len(), || None);
        for n in &needs.sources {
            if let Some((at, row)) = sources.expansion(*n) {
                let file = out.expand(row)?;
                if let Some(slot) = out.expanded.get_mut(at) {
                    *slot = Some(file.into());
                }
            }
        }
        Ok(out)
    }

    /// Hashes what is needed; all that cannot be had or has another digest is one error.
    pub fn prove(
        sources: &Sources,
        needs: &Needs,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<(), BundleError> {
        let numbers: BTreeSet<usize> = needs.sources.iter().filter_map(|n| sources.base_of(*n)).collect();
        let bases = numbers.iter().filter_map(|n| sources.bases.get(*n));
        let all: BTreeSet<Blob> = bases.chain(&needs.whole).copied().collect();
        if all.is_empty() {
            return Ok(());
        }
        monitor.phase("checking bases", Some(all.iter().map(|b| b.len).fold(0, u64::saturating_add)));
        let all: Vec<Blob> = all.into_iter().collect();
        let check = || all.par_iter().map(|b| prove(work.bases, b, monitor)).collect::<Result<Vec<bool>, _>>();
        let good = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool.install(check)?,
            Err(_) => check()?,
        };
        let lacking: Vec<Blob> = all.into_iter().zip(good).filter(|(_, good)| !good).map(|(b, _)| b).collect();
        if lacking.is_empty() { Ok(()) } else { Err(BundleError::Lacking(lacking)) }
    }

    fn expand(&self, row: &ExpansionRow) -> Result<Box<dyn ScratchFile>, BundleError> {
        let base = usize::try_from(row.base).ok().and_then(|n| self.sources.bases.get(n));
        let base = base.ok_or_else(|| FormatError::rule("an expansion", "it has no base"))?;
        let mut reader = open(self.work.bases, base)?;
        reader.seek(SeekFrom::Start(row.offset)).map_err(|source| unreadable(base, source))?;
        let file = (self.work.scratch)().map_err(BundleError::Scratch)?;
        let (mut at, mut failed) = (0u64, None);
        let put = |plain: &[u8]| match file.write_at(plain, at) {
            Ok(()) => {
                at = at.saturating_add(plain.len() as u64);
                true
            }
            Err(e) => {
                failed = Some(e);
                false
            }
        };
        let inflated = inflate(&mut (&mut reader).take(row.len), row, put);
        match (failed, inflated) {
            (Some(e), _) => Err(BundleError::Scratch(e)),
            (None, Err(e)) => Err(unreadable(base, e)),
            (None, Ok(false)) => Err(FormatError::rule(
                "an expansion",
                format!("{} bytes at {} of base {} do not expand as it says", row.len, row.offset, base.digest),
            )
            .into()),
            (None, Ok(true)) => Ok(file),
        }
    }

    /// Gives `len` bytes from `offset` of source `n` to `out`, piece by piece. The range was checked to lie inside.
    pub fn copy(
        &self,
        n: usize,
        offset: u64,
        len: u64,
        out: &mut dyn FnMut(&[u8]) -> Result<(), BundleError>,
    ) -> Result<(), BundleError> {
        let mut buf = vec![0u8; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
        let mut done = 0u64;
        while done < len {
            let size = usize::try_from(len - done).unwrap_or(PIECE).min(PIECE);
            let piece = buf.get_mut(..size).unwrap_or_default();
            self.read(n, offset + done, piece)?;
            out(piece)?;
            done += size as u64;
        }
        Ok(())
    }

    /// Fills `buf` from `offset` of source `n`.
    pub fn read(&self, n: usize, offset: u64, buf: &mut [u8]) -> Result<(), BundleError> {
        let absent = || FormatError::rule("a source", format!("source {n} was not opened"));
        if let Some((at, _)) = self.sources.expansion(n) {
            let file = self.expanded.get(at).and_then(Option::as_ref).ok_or_else(absent)?;
            return file.read_exact_at(buf, offset).map_err(BundleError::Scratch);
        }
        let base = self.sources.bases.get(n).ok_or_else(absent)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(have, _)| *have != n) {
            *last = Some((n, open(self.work.bases, base)?));
        }
        let Some((_, reader)) = last.as_mut() else { return Err(absent().into()) };
        let read = reader.seek(SeekFrom::Start(offset)).and_then(|_| reader.read_exact(buf));
        read.map_err(|source| unreadable(base, source))
    }

    /// Gives all of a blob that is its own base.
    pub fn whole(&self, blob: &Blob, out: &mut dyn FnMut(&[u8]) -> Result<(), BundleError>) -> Result<(), BundleError> {
        pieces(&mut open(self.work.bases, blob)?, blob, out)
    }
}

fn open<'a>(reader: &'a dyn BlobReader, blob: &Blob) -> Result<Box<dyn ReadSeek + 'a>, BundleError> {
    reader.open(blob).map_err(|e| match e {
        KindError::MissingBlob(_) => BundleError::Lacking(vec![*blob]),
        other => unreadable(blob, io::Error::other(other)),
    })
}

fn unreadable(blob: &Blob, source: io::Error) -> BundleError {
    BundleError::Input { what: format!("the base {}", blob.digest), source }
}

fn pieces(
    reader: &mut dyn Read,
    blob: &Blob,
    out: &mut dyn FnMut(&[u8]) -> Result<(), BundleError>,
) -> Result<(), BundleError> {
    let mut buf = vec![0u8; PIECE];
    loop {
        match reader.read(&mut buf) {
            Ok(0) => return Ok(()),
            Ok(n) => out(buf.get(..n).unwrap_or_default())?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(blob, e)),
        }
    }
}

/// Whether the reader's blob has the digest that names it.
fn prove(reader: &dyn BlobReader, blob: &Blob, monitor: &dyn Monitor) -> Result<bool, BundleError> {
    if reader.find(&blob.digest) != Some(*blob) {
        return Ok(false);
    }
    let mut opened = match open(reader, blob) {
        Err(BundleError::Lacking(_)) => return Ok(false),
        other => other?,
    };
    let mut hashed = HashingReader::new(&mut opened);
    pieces(&mut hashed, blob, &mut |piece| {
        monitor.advance(piece.len() as u64);
        Ok(())
    })?;
    Ok(hashed.finish().1 == *blob)
}

/// Expands exactly one raw deflate stream (RFC 1951) that is as long as the row says on both sides. `put` takes the plain
/// bytes, never more than the row says, and stops by `false`; `Ok(false)` where the stream is another.
fn inflate(compressed: &mut dyn Read, row: &ExpansionRow, mut put: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let mut inflater = flate2::Decompress::new(false);
    let mut input = vec![0u8; PIECE];
    let mut output = vec![0u8; PIECE];
    let (mut from, mut to) = (0usize, 0usize);
    loop {
        if from == to {
            (from, to) = (0, compressed.read(&mut input)?);
        }
        let (read, made) = (inflater.total_in(), inflater.total_out());
        let bytes = input.get(from..to).unwrap_or_default();
        let Ok(status) = inflater.decompress(bytes, &mut output, flate2::FlushDecompress::None) else {
            return Ok(false);
        };
        let (taken, given) = (inflater.total_in() - read, inflater.total_out() - made);
        from += taken as usize;
        if inflater.total_out() > row.plain_len {
            return Ok(false);
        }
        if !put(output.get(..given as usize).unwrap_or_default()) {
            return Ok(false);
        }
        if status == flate2::Status::StreamEnd {
            return Ok(inflater.total_in() == row.len && inflater.total_out() == row.plain_len);
        }
        if taken == 0 && given == 0 {
            return Ok(false); // the stream wants more than its range holds
        }
    }
}

/// A scratch file in the folder for temporary files.
pub fn temporary() -> io::Result<Box<dyn ScratchFile>> {
    Ok(Box::new(Temporary(Mutex::new(tempfile::tempfile()?))))
}

struct Temporary<F>(Mutex<F>);

impl<F: Read + Write + io::Seek + Send> ScratchFile for Temporary<F> {
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(buf)
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buf)
    }
}
