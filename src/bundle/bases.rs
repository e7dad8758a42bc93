//! *Bases* opened: every base blob that is needed was hashed whole, and what is expanded of it in the same read lies in a scratch
//! file.
//!
//! Nothing is restored here, and nothing is used of a blob before its digest was right. Specified in `spec/bundle.md`,
//! section "Deltas".

use super::BundleError;
use super::sources::Sources;
use crate::codec::form::{Expander, Step};
use crate::digest::{Blob, HashingReader};
use crate::format::FormatError;
use crate::format::table::{ExpansionRow, ExtentRow};
use crate::kind::{BlobReader, KindError, ReadAt, ReadSeek};
use crate::monitor::Monitor;
use crate::patch::{self, Extent, Joined, Old, PatchError};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes read at once.
const PIECE: usize = 256 << 10;
/// Bases as they are that stay open.
const OPEN: usize = 16;

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

/// See the module.
pub(super) struct Bases<'a> {
    work: Workplace<'a>,
    sources: Arc<Sources>,
    /// What is expanded, each source at its place; made when it is first needed.
    expanded: Mutex<Option<Arc<dyn ScratchFile>>>,
    /// Where each expansion begins there.
    places: Vec<u64>,
    /// Of each expansion whether it is there.
    done: Vec<AtomicBool>,
    /// Bases as they are that were read lately, the last one last.
    plain: Mutex<VecDeque<(usize, Arc<dyn ReadAt>)>>,
}

impl<'a> Bases<'a> {
    /// Nothing is opened yet.
    pub fn new(sources: &Arc<Sources>, work: Workplace<'a>) -> Bases<'a> {
        let places = sources.expansions.iter().scan(0u64, |at, row| {
            let begin = *at;
            *at = at.saturating_add(row.plain_len);
            Some(begin)
        });
        let places: Vec<u64> = places.collect();
        let done = places.iter().map(|_| AtomicBool::new(false)).collect();
        Bases { work, sources: sources.clone(), expanded: Mutex::default(), places, done, plain: Mutex::default() }
    }

    /// Hashes what is needed and expands it in the same read; all that cannot be had or has another digest is one error. Only
    /// what this was asked for may be used.
    pub fn prove(&self, needs: &Needs, threads: usize, monitor: &dyn Monitor) -> Result<(), BundleError> {
        let sources = &*self.sources;
        let mut all: BTreeMap<Blob, Vec<usize>> = needs.whole.iter().map(|blob| (*blob, Vec::new())).collect();
        for n in &needs.sources {
            if let Some(base) = sources.base_of(*n).and_then(|b| sources.bases.get(b)) {
                all.entry(*base).or_default().extend(sources.expansion(*n).map(|(number, _)| number));
            }
        }
        self.check_all(all, threads, monitor)
    }

    /// Hashes what is needed, and expands nothing.
    pub fn hash(&self, needs: &Needs, threads: usize, monitor: &dyn Monitor) -> Result<(), BundleError> {
        let bases = needs.sources.iter().filter_map(|n| self.sources.bases.get(self.sources.base_of(*n)?));
        self.check_all(bases.chain(&needs.whole).map(|blob| (*blob, Vec::new())).collect(), threads, monitor)
    }

    fn check_all(
        &self,
        all: BTreeMap<Blob, Vec<usize>>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<(), BundleError> {
        if all.is_empty() {
            return Ok(());
        }
        monitor.phase("checking bases", Some(all.keys().map(|b| b.len).fold(0, u64::saturating_add)));
        let all: Vec<(Blob, Vec<usize>)> = all.into_iter().collect();
        let one = |(blob, expansions): &(Blob, Vec<usize>)| self.check(blob, expansions, monitor);
        let check = || all.par_iter().map(one).collect::<Result<Vec<bool>, _>>();
        let good = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool.install(check)?,
            Err(_) => check()?,
        };
        let lacking: Vec<Blob> = all.iter().zip(good).filter(|(_, good)| !good).map(|((b, _), _)| *b).collect();
        if lacking.is_empty() { Ok(()) } else { Err(BundleError::Lacking(lacking)) }
    }

    /// Whether a base has the digest that names it; these of its expansions are there then.
    fn check(&self, blob: &Blob, expansions: &[usize], monitor: &dyn Monitor) -> Result<bool, BundleError> {
        let work = self.work.bases;
        if work.find(&blob.digest) != Some(*blob) {
            return Ok(false);
        }
        let mut opened = match open(work, blob) {
            Err(BundleError::Lacking(_)) => return Ok(false),
            other => other?,
        };
        let mut streams = Vec::with_capacity(expansions.len());
        for n in expansions {
            if let Some((row, place)) = self.sources.expansions.get(*n).zip(self.places.get(*n)) {
                streams.push((*n, Expanding::new(*row, *place)));
            }
        }
        let file = if streams.is_empty() { None } else { Some(self.file()?) };
        let mut hashed = HashingReader::new(&mut opened);
        let mut at = 0u64;
        let mut first = 0usize;
        pieces(&mut hashed, blob, &mut |piece| {
            monitor.advance(piece.len() as u64);
            let end = at.saturating_add(piece.len() as u64);
            for (_, stream) in streams.iter_mut().skip(first) {
                if stream.row.offset >= end {
                    break; // they are in order
                }
                if let Some(file) = &file {
                    stream.take(piece, at, &**file)?;
                }
            }
            first = streams.partition_point(|(_, s)| s.row.offset.saturating_add(s.row.len) <= end);
            at = end;
            Ok(())
        })?;
        if hashed.finish().1 != *blob {
            return Ok(false);
        }
        for (n, stream) in streams {
            if !stream.is_right() {
                let (len, offset) = (stream.row.len, stream.row.offset);
                let what = format!("{len} bytes at {offset} of base {} do not expand as it says", blob.digest);
                return Err(FormatError::rule("an expansion", what).into());
            }
            if let Some(done) = self.done.get(n) {
                done.store(true, Ordering::Release);
            }
        }
        Ok(true)
    }

    /// The file that expansions lie in.
    fn file(&self) -> Result<Arc<dyn ScratchFile>, BundleError> {
        let mut slot = self.expanded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = slot.as_ref() {
            return Ok(file.clone());
        }
        let file: Arc<dyn ScratchFile> = self.scratch()?.into();
        *slot = Some(file.clone());
        Ok(file)
    }

    /// A new scratch file.
    pub fn scratch(&self) -> Result<Box<dyn ScratchFile>, BundleError> {
        (self.work.scratch)().map_err(BundleError::Scratch)
    }

    /// The bytes of source `n`.
    pub fn source(&self, n: usize) -> Result<Arc<dyn ReadAt>, BundleError> {
        let absent = || FormatError::rule("a source", format!("there is no source {n}"));
        let Some((number, _)) = self.sources.expansion(n) else {
            return self.plain(n, self.sources.bases.get(n).ok_or_else(absent)?);
        };
        if !self.done.get(number).is_some_and(|done| done.load(Ordering::Acquire)) {
            return Err(FormatError::rule("a source", format!("{n} is used and was not asked for")).into());
        }
        let at = self.places.get(number).copied().ok_or_else(absent)?;
        Ok(Arc::new(Expanded { file: self.file()?, at }))
    }

    /// A base as it is, where it can be read at any place; the few that were used last stay open.
    fn plain(&self, n: usize, base: &Blob) -> Result<Arc<dyn ReadAt>, BundleError> {
        let mut lately = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, open)) = lately.iter().find(|(number, _)| *number == n) {
            return Ok(open.clone());
        }
        let opened: Arc<dyn ReadAt> = match self.work.bases.open_at(base).map_err(|e| unavailable(base, e))? {
            Some(open) => open.into(),
            None => {
                let (file, mut at) = (self.scratch()?, 0u64);
                self.whole(base, &mut |piece| {
                    file.write_at(piece, at).map_err(BundleError::Scratch)?;
                    at += piece.len() as u64;
                    Ok(())
                })?;
                let file: Box<dyn ReadAt> = file; // only read any more
                file.into()
            }
        };
        if lately.len() >= OPEN {
            lately.pop_front();
        }
        lately.push_back((n, opened.clone()));
        Ok(opened)
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

/// Exactly one compressed stream of a base, that is as long as its row says on both sides, while it is expanded.
struct Expanding {
    row: ExpansionRow,
    /// Where its plain bytes begin in the scratch file.
    place: u64,
    /// From the first byte of the stream until it ends or goes wrong.
    state: Option<Box<(Expander, Vec<u8>)>>,
    begun: bool,
    /// Bytes taken and made so far.
    done: (u64, u64),
    right: bool,
}

impl Expanding {
    fn new(row: ExpansionRow, place: u64) -> Expanding {
        Expanding { row, place, state: None, begun: false, done: (0, 0), right: false }
    }

    /// Whether the stream is what its row says.
    fn is_right(&self) -> bool {
        self.right
    }

    /// Expands what of `piece`, which lies at `at` of the base, belongs to the stream. It never writes more than the row says:
    /// nobody knows yet whether the base is the right one.
    fn take(&mut self, piece: &[u8], at: u64, file: &dyn ScratchFile) -> Result<(), BundleError> {
        let end = self.row.offset.saturating_add(self.row.len);
        let inside = |n: u64| usize::try_from(n.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
        let bytes = piece.get(inside(self.row.offset)..inside(end)).unwrap_or_default();
        if !self.begun {
            self.begun = true;
            let room = usize::try_from(self.row.plain_len).unwrap_or(PIECE).clamp(1, PIECE);
            let expander = Expander::new(self.row.form).map_err(BundleError::Scratch)?;
            self.state = Some(Box::new((expander, vec![0u8; room])));
        }
        let Some(mut state) = self.state.take() else { return Ok(()) };
        if self.expand(&mut state.0, &mut state.1, bytes, file)? {
            self.state = Some(state);
        }
        Ok(())
    }

    /// Whether the stream goes on behind `bytes`.
    fn expand(
        &mut self,
        expander: &mut Expander,
        output: &mut [u8],
        mut bytes: &[u8],
        file: &dyn ScratchFile,
    ) -> Result<bool, BundleError> {
        loop {
            let Some(Step { taken, given, end }) = expander.step(bytes, output) else { return Ok(false) };
            let made = self.done.1;
            self.done = (self.done.0.saturating_add(taken as u64), made.saturating_add(given as u64));
            if self.done.1 > self.row.plain_len {
                return Ok(false);
            }
            let plain = output.get(..given).unwrap_or_default();
            file.write_at(plain, self.place.saturating_add(made)).map_err(BundleError::Scratch)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            if end {
                self.right = self.done == (self.row.len, self.row.plain_len);
                return Ok(false);
            }
            if taken == 0 && given == 0 {
                return Ok(true); // it wants more
            }
        }
    }
}

/// A source in the file of expansions. What is read of it was checked to lie inside.
struct Expanded {
    file: Arc<dyn ScratchFile>,
    at: u64,
}

impl ReadAt for Expanded {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let at = self.at.checked_add(offset).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.file.read_exact_at(buf, at)
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
