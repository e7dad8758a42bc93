//! To *shrink* a blob is to say it as differences from old content, through an encoder where it is compressed.
//!
//! Which old content is chosen by name and place; a bad choice makes a delta larger, never wrong. What does not shrink is
//! stored as it is. Specified in `spec/bundle.md`, section "Deltas".

use super::parts::{self, Part, View};
use crate::bundle::{BundleError, Expansion, Patched, Put, ReadyBlock, ScratchFile, SourceRun, temporary};
use crate::cbor::Bytes;
use crate::deflate::family::Identity;
use crate::deflate::list;
use crate::deflate::recognise::{Options, recognise};
use crate::deflate::replay::Stream;
use crate::digest::{Blob, Digest, Hasher};
use crate::format::section::Segment;
use crate::format::table::ChunkRow;
use crate::kind::{BlobReader, ReadAt};
use crate::limits;
use crate::model::{Artifact, Described, Kind};
use crate::op::delta::Held;
use crate::patch::{DEFAULT_LEVEL, Differ, SMALL_LEVEL};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

const PIECE: usize = 256 << 10;
/// Blobs below that are not worth the rows of an index.
const LEAST: u64 = 4 << 10;
/// Old content is held in memory; larger is not looked at.
const MOST_OLD: u64 = 1 << 30;
/// A stream of at least so many plain bytes has blocks for itself.
const LARGE: u64 = 1 << 20;
/// Encoders that are tried first: those that were found last.
const REMEMBERED: usize = 4;

/// Old content: what a release has, and what gives its bytes.
pub struct Old<'a> {
    /// Its artifacts.
    pub artifacts: Vec<Described>,
    /// Its blobs.
    pub blobs: &'a dyn BlobReader,
}

/// For each new blob the old one that it is compared with.
pub struct Pairs<'a> {
    of: BTreeMap<Blob, (Blob, &'a dyn BlobReader)>,
}

/// What an artifact is called whatever its version, and its blobs.
fn place(a: &Artifact) -> (String, &[Blob]) {
    let digits = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            match c.is_ascii_digit() {
                true if out.ends_with('#') => {}
                true => out.push('#'),
                false => out.push(c),
            }
        }
        out
    };
    let arch = a.arch.as_deref().unwrap_or_default();
    let name = match a.kind {
        Kind::Image => {
            a.name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(a.name.as_str(), |(n, _)| n)
        }
        _ => a.name.as_str(),
    };
    let key = match (a.kind, &a.path) {
        (Kind::File | Kind::Repodata, Some(path)) => digits(&format!("{} {}/{path}", a.kind, a.root)),
        _ => format!("{} {name} {arch}", a.kind),
    };
    (key, &a.blobs)
}

impl<'a> Pairs<'a> {
    /// Pairs blobs of artifacts of one name: what changed there, in order, or the nearest in size.
    pub fn new(old: &'a [Old<'a>], new: &[Described], held: &Held) -> Pairs<'a> {
        let wanted = |b: &&Blob| b.len >= LEAST;
        let of_new: BTreeSet<Blob> = new.iter().flat_map(|d| d.artifact.blobs.iter().copied()).collect();
        let mut by_place: BTreeMap<String, Vec<(Blob, &'a dyn BlobReader)>> = BTreeMap::new();
        for release in old {
            for d in &release.artifacts {
                let (key, blobs) = place(&d.artifact);
                let gone = blobs.iter().filter(wanted).filter(|b| !of_new.contains(b) && held.has(b));
                by_place.entry(key).or_default().extend(gone.map(|b| (*b, release.blobs)));
            }
        }
        let mut of = BTreeMap::new();
        for d in new {
            let (key, blobs) = place(&d.artifact);
            let fresh: Vec<&Blob> = blobs.iter().filter(wanted).filter(|b| !held.has(b)).collect();
            let Some(candidates) = by_place.get(&key) else { continue };
            for (n, blob) in fresh.iter().enumerate() {
                let nearest = || candidates.iter().min_by_key(|(b, _)| b.len.abs_diff(blob.len));
                let same = candidates.get(n).filter(|_| candidates.len() == fresh.len());
                if let Some(found) = same.or_else(nearest) {
                    of.entry(**blob).or_insert(*found);
                }
            }
        }
        Pairs { of }
    }

    /// Whether there is nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

/// How a release is packed beside what the far side has.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// What is left out.
    pub held: &'a Held,
    /// What is compared with what.
    pub pairs: &'a Pairs<'a>,
    /// Whether size is all.
    pub small: bool,
}

/// Puts blobs that have a pair as patches where that is shorter.
pub struct Shrinking<'a, 'p> {
    /// Takes what comes out.
    pub put: &'a mut (dyn Put + 'p),
    /// What is compared with what.
    pub pairs: &'a Pairs<'a>,
    /// Threads.
    pub threads: usize,
    /// Whether size is all.
    pub small: bool,
    /// Encoders found so far, the last one first.
    pub found: Vec<Identity>,
}

/// A blob apart, and what its parts are read from.
struct Apart {
    blob: Box<dyn ReadAt>,
    plain: Box<dyn ScratchFile>,
    parts: Vec<Part>,
}

impl Apart {
    fn new(blob: Box<dyn ReadAt>, len: u64) -> io::Result<Apart> {
        let plain = temporary()?;
        let parts = parts::split(&*blob, len, &*plain)?;
        Ok(Apart { blob, plain, parts })
    }

    /// The bytes that a part is compared by.
    fn view(&self, part: &Part) -> View<'_> {
        match part.plain {
            Some((at, len)) => View { of: &*self.plain as &dyn ReadAt, at, len },
            None => View { of: &*self.blob, at: part.offset, len: part.len },
        }
    }
}

/// A part of a new blob: its content is `from..from + len` of the joined content.
struct Content {
    from: u64,
    len: u64,
    stream: Option<Stream>,
}

/// A block of new content that is ready.
struct Piece {
    chunks: Vec<ChunkRow>,
    plain: Vec<u8>,
    patch: Option<Vec<u8>>,
}

impl Shrinking<'_, '_> {
    /// Puts a blob as a patch; `false` where that does not pay.
    fn shrink(
        &mut self,
        blob: &Blob,
        what: &str,
        spooled: Box<dyn ReadAt>,
        old: &Blob,
        blobs: &dyn BlobReader,
    ) -> Result<(bool, Box<dyn ReadAt>), BundleError> {
        let input = |source| BundleError::Input { what: what.to_owned(), source };
        let mut new = Apart::new(spooled, blob.len).map_err(input)?;
        let contents = self.recognise(&mut new).map_err(input)?;
        let total: u64 = contents.iter().map(|c| c.len).sum();
        let stays: u64 = new.parts.iter().filter(|p| p.plain.is_none()).map(|p| p.len).sum();
        let compressed = crate::source::read::is_compressed(&first(&*new.blob, blob.len).map_err(input)?);
        if compressed && stays.saturating_mul(2) > blob.len {
            return Ok((false, new.blob)); // most of it is compressed by nobody we know
        }
        let Ok(Some(opened)) = blobs.open_at(old) else { return Ok((false, new.blob)) };
        let apart = Apart::new(opened, old.len).map_err(input)?;
        let Some((bytes, extents)) = self::old(&apart, old).map_err(input)? else { return Ok((false, new.blob)) };
        let views: Vec<View<'_>> = new.parts.iter().map(|p| new.view(p)).collect();
        let level = if self.small { SMALL_LEVEL } else { DEFAULT_LEVEL };
        let pieces = self.pieces(&views, &contents, total, &bytes, level).map_err(input)?;
        drop(bytes);
        let size: u64 =
            pieces.iter().map(|p| p.patch.as_ref().map_or(p.plain.len() as u64 / 2, |s| s.len() as u64)).sum();
        if size.saturating_mul(20) > blob.len.saturating_mul(19) {
            return Ok((false, new.blob));
        }
        let segments = self.blocks(pieces, &contents, &extents)?;
        self.put.put_recipe(blob, what, segments)?;
        Ok((true, new.blob))
    }

    /// Finds the encoders of all streams; a stream of none of ours becomes bytes as they are.
    fn recognise(&mut self, new: &mut Apart) -> io::Result<Vec<Content>> {
        let (mut out, mut from) = (Vec::new(), 0u64);
        for n in 0..new.parts.len() {
            let Some(part) = new.parts.get(n).copied() else { break };
            let mut stream = None;
            if part.plain.is_some() {
                let compressed = View { of: &*new.blob, at: part.offset, len: part.len };
                let options = Options { first: self.found.clone(), threads: self.threads, ..Options::default() };
                stream = recognise(&compressed, &new.view(&part), &options).map_err(io::Error::other)?;
                if stream.is_none()
                    && let Some(slot) = new.parts.get_mut(n)
                {
                    slot.plain = None;
                }
            }
            if let Some(found) = &stream {
                self.found.retain(|i| *i != found.identity);
                self.found.insert(0, found.identity.clone());
                self.found.truncate(REMEMBERED);
            }
            let len = new.parts.get(n).map_or(0, |p| new.view(p).len);
            out.push(Content { from, len, stream });
            from += len;
        }
        Ok(out)
    }

    fn pieces(
        &self,
        views: &[View<'_>],
        contents: &[Content],
        total: u64,
        old: &[u8],
        level: i32,
    ) -> io::Result<Vec<Piece>> {
        let differ = Differ::new(old);
        let one = |(start, end, place): &(u64, u64, u64)| -> io::Result<Piece> {
            let (start, end) = (*start, *end);
            let (mut plain, mut chunks) = (Vec::with_capacity((end - start) as usize), Vec::new());
            for (view, content) in views.iter().zip(contents) {
                let (from, to) = (content.from.max(start), (content.from + content.len).min(end));
                if from < to {
                    let mut bytes = vec![0u8; (to - from) as usize];
                    view.of.read_exact_at(&mut bytes, view.at + (from - content.from))?;
                    chunks.push(ChunkRow { digest: Digest::of(&bytes), len: bytes.len() as u32 });
                    plain.extend_from_slice(&bytes);
                }
            }
            let patch = differ.diff(&plain, *place, level).map_err(io::Error::other)?;
            Ok(Piece { chunks, plain: if patch.is_some() { Vec::new() } else { plain }, patch })
        };
        let run = || cuts(contents, total).par_iter().map(one).collect::<io::Result<Vec<Piece>>>();
        match rayon::ThreadPoolBuilder::new().num_threads(self.threads).build() {
            Ok(pool) => pool.install(run),
            Err(_) => run(),
        }
    }

    /// Puts the blocks; gives the segments.
    fn blocks(
        &mut self,
        pieces: Vec<Piece>,
        contents: &[Content],
        extents: &[SourceRun],
    ) -> Result<Vec<Segment>, BundleError> {
        let (mut first, mut lens) = (None, Vec::new());
        for Piece { chunks, plain, patch } in pieces {
            lens.extend(chunks.iter().map(|c| u64::from(c.len)));
            let plain_len = chunks.iter().map(|c| c.len).sum();
            let patch = patch.map(|stored| Patched { stored, plain_len, extents: extents.to_vec() });
            let number = self.put.put_block(ReadyBlock { plain, chunks, patch })?;
            first.get_or_insert(number);
        }
        let (mut number, mut lens) = (first.unwrap_or(0), lens.into_iter());
        let mut segments = Vec::new();
        for content in contents {
            let (begin, mut left) = (number, content.len);
            while left > 0 {
                left = left.saturating_sub(lens.next().unwrap_or(left));
                number += 1;
            }
            let chunks = Segment::Chunks { first: begin, count: number - begin };
            segments.push(match &content.stream {
                None => chunks,
                Some(stream) => Segment::Replay {
                    encoder: stream.identity.row(),
                    checkpoints: Bytes(list::encode(&stream.checkpoints)),
                    len: stream.compressed,
                    parts: vec![chunks],
                },
            });
        }
        Ok(merged(segments))
    }
}

/// Blocks of the content: where each begins and ends, and where its old content lies, by the order of [`old`]. A large
/// stream begins a block.
fn cuts(contents: &[Content], total: u64) -> Vec<(u64, u64, u64)> {
    let block = u64::from(limits::BLOCK_PLAIN);
    let large = |c: &&Content| c.stream.is_some() && c.len >= LARGE;
    let mut bounds: BTreeMap<u64, u64> = BTreeMap::from([(0, 0)]);
    let mut place = 0;
    for content in contents.iter().filter(large) {
        bounds.insert(content.from, place);
        place += content.len;
        bounds.insert(content.from + content.len, place);
    }
    let ends = bounds.keys().copied().skip(1).chain([total]);
    let runs = bounds.iter().zip(ends).filter(|((from, _), end)| *from < end);
    runs.flat_map(|((from, place), end)| {
        (0..(end - from).div_ceil(block))
            .map(move |n| (from + n * block, end.min(from + (n + 1) * block), place + n * block))
    })
    .collect()
}

/// Runs of chunks that follow each other are one segment.
fn merged(segments: Vec<Segment>) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    for segment in segments {
        if let (Some(Segment::Chunks { first, count }), Segment::Chunks { first: next, count: more }) =
            (out.last_mut(), &segment)
            && *first + *count == *next
        {
            *count += more;
            continue;
        }
        out.push(segment);
    }
    out
}

fn first(blob: &dyn ReadAt, len: u64) -> io::Result<Vec<u8>> {
    let mut head = vec![0u8; len.min(8) as usize];
    blob.read_exact_at(&mut head, 0)?;
    Ok(head)
}

/// Old content in memory, and the runs that it is: large streams first, so that a tar begins at a multiple of its blocks.
fn old(apart: &Apart, base: &Blob) -> io::Result<Option<(Vec<u8>, Vec<SourceRun>)>> {
    let total: u64 = apart.parts.iter().map(|p| apart.view(p).len).sum();
    if total == 0 || total > MOST_OLD {
        return Ok(None);
    }
    let (mut bytes, mut runs) = (vec![0u8; total as usize], Vec::new());
    let mut rest = bytes.as_mut_slice();
    let (large, others): (Vec<&Part>, Vec<&Part>) = apart.parts.iter().partition(|p| is_large(apart, p));
    for part in large.into_iter().chain(others) {
        let view = apart.view(part);
        let (now, after) = rest.split_at_mut(view.len as usize);
        view.of.read_exact_at(now, view.at)?;
        rest = after;
        let expansion = part.plain.map(|(_, plain_len)| Expansion { offset: part.offset, len: part.len, plain_len });
        let offset = if expansion.is_some() { 0 } else { part.offset };
        runs.push(SourceRun { base: *base, expansion, offset, len: view.len });
    }
    Ok(Some((bytes, runs)))
}

fn is_large(apart: &Apart, part: &Part) -> bool {
    part.plain.is_some() && apart.view(part).len >= LARGE
}

/// Copies a blob to where it can be read at any place, and sees that it is the one announced.
fn spool(blob: &Blob, what: &str, bytes: &mut dyn Read) -> Result<Box<dyn ScratchFile>, BundleError> {
    let input = |source| BundleError::Input { what: what.to_owned(), source };
    let file = temporary().map_err(BundleError::Scratch)?;
    let (mut buf, mut at, mut hasher) = (vec![0u8; PIECE], 0u64, Hasher::new());
    loop {
        let n = match bytes.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(input(e)),
        };
        let piece = buf.get(..n).unwrap_or_default();
        hasher.update(piece);
        file.write_at(piece, at).map_err(BundleError::Scratch)?;
        at += n as u64;
    }
    match hasher.finish() {
        now if now != *blob => Err(BundleError::Changed { what: what.to_owned(), was: *blob, now }),
        _ => Ok(file),
    }
}

/// A scratch file that is only read any more.
struct Spooled(Box<dyn ScratchFile>);

impl ReadAt for Spooled {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

/// A file read from its beginning.
struct Again<'a> {
    of: &'a dyn ReadAt,
    at: u64,
    len: u64,
}

impl Read for Again<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = (self.len - self.at).min(buf.len() as u64);
        self.of.read_exact_at(buf.get_mut(..n as usize).unwrap_or_default(), self.at)?;
        self.at += n;
        Ok(n as usize)
    }
}

impl Put for Shrinking<'_, '_> {
    fn put(&mut self, blob: &Blob, what: &str, verbatim: bool, bytes: &mut dyn Read) -> Result<(), BundleError> {
        let Some((old, blobs)) = self.pairs.of.get(blob).copied() else {
            return self.put.put(blob, what, verbatim, bytes);
        };
        let file = Box::new(Spooled(spool(blob, what, bytes)?));
        match self.shrink(blob, what, file, &old, blobs)? {
            (true, _) => Ok(()),
            (false, file) => self.put.put(blob, what, verbatim, &mut Again { of: &*file, at: 0, len: blob.len }),
        }
    }
    fn leave_out(&mut self, blob: &Blob, what: &str) -> Result<(), BundleError> {
        self.put.leave_out(blob, what)
    }
    fn put_block(&mut self, block: ReadyBlock) -> Result<u64, BundleError> {
        self.put.put_block(block)
    }
    fn put_recipe(&mut self, blob: &Blob, what: &str, segments: Vec<Segment>) -> Result<(), BundleError> {
        self.put.put_recipe(blob, what, segments)
    }
}
