//! *Bases* opened: every base blob that is needed was hashed whole, and what is expanded of it lies in scratch files.
//!
//! Nothing is restored here, and nothing is used of a blob before its digest was right. Specified in `spec/bundle.md`,
//! section "Deltas".

use super::BundleError;
use super::sources::Sources;
use crate::digest::{Blob, HashingReader};
use crate::format::FormatError;
use crate::format::table::{ExpansionRow, ExtentRow};
use crate::kind::{BlobReader, KindError, ReadAt, ReadSeek};
use crate::monitor::Monitor;
use crate::patch::{self, Extent, Joined, Old, PatchError};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// A file without a name: it is gone when it is dropped, also when the process is killed.
pub trait ScratchFile: ReadAt {
    /// Writes all of `buf` at `offset`.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
}

/// Makes scratch files.
pub type Scratch<'a> = dyn Fn() -> io::Result<Box<dyn ScratchFile>> + Sync + 'a;

/// Where base blobs come from and where scratch files go.
#[derive(Clone, Copy)]
pub struct Workplace<'a> {
    /// Gives base blobs.
    pub bases: &'a dyn BlobReader,
    /// Makes a scratch file.
    pub scratch: &'a Scratch<'a>,
}

impl std::fmt::Debug for Workplace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workplace")
    }
}

impl Workplace<'static> {
    /// Without bases, and with scratch files in the folder for temporary ones.
    pub const NONE: Workplace<'static> = Workplace { bases: &Nothing, scratch: &temporary };
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

/// The bytes of a source, once they were asked for.
type Slot = Mutex<Option<Arc<dyn ReadAt>>>;

/// See the module.
pub(super) struct Bases<'a> {
    work: Workplace<'a>,
    sources: Arc<Sources>,
    slots: Vec<Slot>,
}

impl<'a> Bases<'a> {
    /// Nothing is opened yet. What is used must have been proven.
    pub fn new(sources: &Arc<Sources>, work: Workplace<'a>) -> Bases<'a> {
        let mut slots = Vec::new();
        slots.resize_with(sources.count(), Slot::default);
        Bases { work, sources: sources.clone(), slots }
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

    /// A new scratch file.
    pub fn scratch(&self) -> Result<Box<dyn ScratchFile>, BundleError> {
        (self.work.scratch)().map_err(BundleError::Scratch)
    }

    /// The bytes of source `n`: expanded, or copied to where they can be read at any place, when they are first asked for.
    pub fn source(&self, n: usize) -> Result<Arc<dyn ReadAt>, BundleError> {
        let absent = || FormatError::rule("a source", format!("there is no source {n}"));
        let mut slot = self.slots.get(n).ok_or_else(absent)?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = slot.as_ref() {
            return Ok(open.clone());
        }
        let opened = match self.sources.expansion(n) {
            Some((_, row)) => self.expand(row)?,
            None => self.plain(self.sources.bases.get(n).ok_or_else(absent)?)?,
        };
        *slot = Some(opened.clone());
        Ok(opened)
    }

    fn plain(&self, base: &Blob) -> Result<Arc<dyn ReadAt>, BundleError> {
        if let Some(open) = self.work.bases.open_at(base).map_err(|e| unavailable(base, e))? {
            return Ok(open.into());
        }
        let (file, mut at) = (self.scratch()?, 0u64);
        self.whole(base, &mut |piece| {
            file.write_at(piece, at).map_err(BundleError::Scratch)?;
            at += piece.len() as u64;
            Ok(())
        })?;
        Ok(Arc::new(Readable(file)))
    }

    fn expand(&self, row: &ExpansionRow) -> Result<Arc<dyn ReadAt>, BundleError> {
        let base = usize::try_from(row.base).ok().and_then(|n| self.sources.bases.get(n));
        let base = base.ok_or_else(|| FormatError::rule("an expansion", "it has no base"))?;
        let mut reader = open(self.work.bases, base)?;
        reader.seek(SeekFrom::Start(row.offset)).map_err(|source| unreadable(base, source))?;
        let file = self.scratch()?;
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
            (None, Ok(true)) => Ok(Arc::new(Readable(file))),
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
        let source = self.source(n)?;
        let mut buf = vec![0u8; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
        let mut done = 0u64;
        while done < len {
            let size = usize::try_from(len - done).unwrap_or(PIECE).min(PIECE);
            let piece = buf.get_mut(..size).unwrap_or_default();
            source.read_exact_at(piece, offset + done).map_err(BundleError::Scratch)?;
            out(piece)?;
            done += size as u64;
        }
        Ok(())
    }

    /// Gives all of a blob that is its own base.
    pub fn whole(&self, blob: &Blob, out: &mut dyn FnMut(&[u8]) -> Result<(), BundleError>) -> Result<(), BundleError> {
        pieces(&mut open(self.work.bases, blob)?, blob, out)
    }

    /// What a patch makes of extents of sources.
    pub fn patched(&self, stored: &[u8], plain_len: u32, extents: &[ExtentRow]) -> Result<Vec<u8>, BundleError> {
        let parts = extents.iter().map(|row| {
            let n = usize::try_from(row.source).unwrap_or(usize::MAX);
            Ok(Opened { bytes: self.source(n)?, len: self.sources.len_of(n).unwrap_or(0) })
        });
        let parts = parts.collect::<Result<Vec<Opened>, BundleError>>()?;
        let joined = parts.iter().zip(extents).map(|(of, row)| Extent { of, offset: row.offset, len: row.len });
        let old = Joined::new(joined.collect())
            .map_err(|n| FormatError::rule("a patch", format!("its extent {n} lies outside its source")))?;
        patch::apply(stored, plain_len, &old).map_err(|e| match e {
            PatchError::Old { source, .. } => BundleError::Scratch(source),
            other => FormatError::rule("a patch", other.to_string()).into(),
        })
    }
}

/// A source as old content of a patch.
struct Opened {
    bytes: Arc<dyn ReadAt>,
    len: u64,
}

impl Old for Opened {
    fn size(&self) -> u64 {
        self.len
    }
    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.bytes.read_exact_at(buf, at)
    }
}

/// A scratch file that is only read any more.
pub(super) struct Readable(pub Box<dyn ScratchFile>);

impl ReadAt for Readable {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

fn open<'a>(reader: &'a dyn BlobReader, blob: &Blob) -> Result<Box<dyn ReadSeek + 'a>, BundleError> {
    reader.open(blob).map_err(|e| unavailable(blob, e))
}

fn unavailable(blob: &Blob, e: KindError) -> BundleError {
    match e {
        KindError::MissingBlob(_) => BundleError::Lacking(vec![*blob]),
        other => unreadable(blob, io::Error::other(other)),
    }
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
    Ok(Box::new(Temporary(tempfile::tempfile()?)))
}

struct Temporary<F>(F);

impl<F: FileExt + Send + Sync> ScratchFile for Temporary<F> {
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }
}

impl<F: FileExt + Send + Sync> ReadAt for Temporary<F> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}
