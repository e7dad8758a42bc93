//! To *shrink* a blob is to say it as differences from old content, through an encoder where it is compressed.
//!
//! Which old content is chosen by name and place; a bad choice makes a delta larger, never wrong. What does not shrink is
//! stored as it is. Specified in `spec/bundle.md`, section "Deltas".

use super::apart::{Apart, LARGE};
use super::parts::View;
use super::runs::{self, Block, Run, Source};
use super::streams::Streams;
use super::units::{Look, Mark};
use crate::bundle::{BundleError, Patched, Put, ReadyBlock, ScratchFile, SourceRun, temporary};
use crate::cbor::Bytes;
use crate::digest::{Blob, Digest};
use crate::format::section::Segment;
use crate::format::table::ChunkRow;
use crate::kind::ReadAt;
use crate::limits;
use crate::op::delta::Held;
use crate::op::pairs::Pairs;
use crate::patch::{DEFAULT_LEVEL, Differ, SMALL_LEVEL};
use crate::replay::list;
use crate::replay::stream::Stream;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

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

/// Puts blobs that have a pair as patches where that is shorter. Where size is all, other blobs are expanded.
#[derive(Clone, Copy)]
pub struct Shrinking<'a> {
    /// What is compared with what.
    pub pairs: &'a Pairs<'a>,
    /// Threads.
    pub threads: usize,
    /// Whether size is all.
    pub small: bool,
}

/// A part of a new blob: its content is `from..from + len` of the joined content.
struct Content<'a> {
    from: u64,
    len: u64,
    stream: Option<&'a Stream>,
}

/// Old content that a new blob is compared with.
pub(super) struct Chosen {
    /// Numbers of the old blobs, at least one, the most similar first.
    numbers: Vec<usize>,
    /// What is known of the new blob.
    look: Look,
    /// By part of the new blob: whether it is a stream.
    opened: Vec<bool>,
}

impl Chosen {
    /// For a new blob; `None` where there is none.
    pub fn new(pairs: &Pairs<'_>, blob: &Blob, apart: &Apart, threads: usize) -> Result<Option<Chosen>, BundleError> {
        let look = Look::new(apart).map_err(BundleError::Scratch)?;
        let numbers = pairs.of(blob, &look, threads)?;
        let opened = apart.parts.iter().map(|p| p.plain.is_some()).collect();
        Ok((!numbers.is_empty()).then_some(Chosen { numbers, look, opened }))
    }
}

/// A block of new content that was compared.
struct Piece {
    block: Block,
    /// The number of its run.
    run: usize,
    /// Its patch in the scratch file: where, and how long.
    patch: Option<(u64, u64)>,
}

/// A blob that was compared, and shrinks.
pub(super) struct Compared {
    pieces: Vec<Piece>,
    /// By run: its old content.
    extents: Vec<Vec<SourceRun>>,
    patches: Box<dyn ScratchFile>,
}

impl Compared {
    /// Puts the blob; `new` is what was compared.
    pub fn put(self, put: &mut dyn Put, blob: &Blob, what: &str, new: &Streams) -> Result<(), BundleError> {
        let contents = contents(new);
        let plain = Plain::new(new, &contents);
        let segments = blocks(put, &self.pieces, &plain, &self.extents, &*self.patches, what)?;
        put.put_recipe(blob, what, segments)
    }
}

/// New content as it is compared: where its parts are read from, and which they are.
struct Plain<'a> {
    views: Vec<View<'a>>,
    contents: &'a [Content<'a>],
}

impl<'a> Plain<'a> {
    fn new(new: &'a Streams, contents: &'a [Content<'a>]) -> Plain<'a> {
        Plain { views: new.apart.parts.iter().map(|p| new.apart.view(p)).collect(), contents }
    }

    /// The bytes of a block, and its chunks: one for each part that it has bytes of.
    fn read(&self, block: &Block) -> io::Result<(Vec<u8>, Vec<ChunkRow>)> {
        let (mut plain, mut chunks) = (Vec::with_capacity((block.end - block.start) as usize), Vec::new());
        for (view, content) in self.views.iter().zip(self.contents) {
            let (from, to) = (content.from.max(block.start), (content.from + content.len).min(block.end));
            if from < to {
                let mut bytes = vec![0u8; (to - from) as usize];
                view.of.read_exact_at(&mut bytes, view.at + (from - content.from))?;
                chunks.push(ChunkRow { digest: Digest::of(&bytes), len: bytes.len() as u32 });
                plain.extend_from_slice(&bytes);
            }
        }
        Ok((plain, chunks))
    }
}

impl Shrinking<'_> {
    /// Puts a blob as a patch; `false`, and nothing is put, where that does not pay.
    pub(super) fn shrink(
        &self,
        put: &mut dyn Put,
        blob: &Blob,
        what: &str,
        new: &Streams,
        chosen: &Chosen,
    ) -> Result<bool, BundleError> {
        match self.compare(blob, what, new, chosen, 95)? {
            Some(compared) => compared.put(put, blob, what, new).map(|()| true),
            None => Ok(false),
        }
    }

    /// Compares a blob with old content; `None` unless patches are at most so many `percent` of it.
    pub(super) fn compare(
        &self,
        blob: &Blob,
        what: &str,
        new: &Streams,
        chosen: &Chosen,
        percent: u64,
    ) -> Result<Option<Compared>, BundleError> {
        let input = |source| BundleError::Input { what: what.to_owned(), source };
        let compressed = crate::source::read::is_compressed(&first(&*new.apart.blob, blob.len).map_err(input)?);
        if compressed && new.unknown().saturating_mul(2) > blob.len {
            return Ok(None); // most of it is compressed by nobody we know
        }
        let mut sources = Vec::new();
        for number in &chosen.numbers {
            let opened = self.pairs.open(*number)?;
            sources.extend(opened.map(|(blob, apart)| Source { number: *number, blob, apart }));
        }
        let contents = contents(new);
        let runs = self.runs(&sources, &chosen.look, &chosen.opened, &contents)?;
        let plain = Plain::new(new, &contents);
        let patches = temporary().map_err(BundleError::Scratch)?;
        let pieces = self.pieces(&plain, &runs, &sources, &*patches).map_err(input)?;
        let cost = |p: &Piece| p.patch.map_or((p.block.end - p.block.start) / 2, |(_, len)| len);
        let size: u64 = pieces.iter().map(cost).sum();
        if pieces.iter().all(|p| p.patch.is_none()) || size.saturating_mul(100) > blob.len.saturating_mul(percent) {
            return Ok(None);
        }
        let extents = runs.iter().map(|run| run.extents(&sources)).collect();
        Ok(Some(Compared { pieces, extents, patches }))
    }

    /// What each block is compared with: everything, or where that is too long what has most in common with it. `opened`: which
    /// parts were streams.
    fn runs(
        &self,
        sources: &[Source],
        look: &Look,
        opened: &[bool],
        contents: &[Content<'_>],
    ) -> Result<Vec<Run>, BundleError> {
        let total: u64 = contents.iter().map(|c| c.len).sum();
        let blocks = cuts(contents, total);
        if runs::fit(sources, total, self.pairs.bounds) {
            return Ok(vec![runs::whole(sources, blocks)]);
        }
        let table = self.pairs.table(self.threads)?;
        let place = |m: &Mark| {
            let (content, opened) = (contents.get(m.part)?, *opened.get(m.part)?);
            // A stream that no encoder makes again is not compared by what it expands to, of which its marks are.
            (content.stream.is_some() || !opened).then_some((content.from + m.at, *m))
        };
        let mut marks: Vec<(u64, Mark)> = look.marks.iter().filter_map(place).collect();
        marks.sort_unstable_by_key(|(at, mark)| (*at, mark.value));
        Ok(runs::by_units(sources, &table, &marks, blocks, self.pairs.bounds))
    }

    /// Compares blocks with old content, one run after another. Patches go to `to`.
    fn pieces(
        &self,
        plain: &Plain<'_>,
        runs: &[Run],
        sources: &[Source],
        to: &dyn ScratchFile,
    ) -> io::Result<Vec<Piece>> {
        let level = if self.small { SMALL_LEVEL } else { DEFAULT_LEVEL };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().map_err(io::Error::other)?;
        let (mut out, end) = (Vec::new(), Mutex::new(0u64));
        for (number, run) in runs.iter().enumerate() {
            let (old, begins) = run.load(sources)?;
            let differ = Differ::new(&old, &begins);
            let one = |block: &Block| -> io::Result<Piece> {
                let none = Piece { block: *block, run: number, patch: None };
                if old.is_empty() {
                    return Ok(none);
                }
                let (new, _) = plain.read(block)?;
                let Some(patch) = differ.diff(&new, block.place, level).map_err(io::Error::other)? else {
                    return Ok(none);
                };
                let len = patch.len() as u64;
                let at = {
                    let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
                    *end += len;
                    *end - len
                };
                to.write_at(&patch, at)?;
                Ok(Piece { patch: Some((at, len)), ..none })
            };
            out.extend(pool.install(|| run.blocks.par_iter().map(one).collect::<io::Result<Vec<Piece>>>())?);
        }
        Ok(out)
    }
}

/// The parts of a blob, one after another.
fn contents(new: &Streams) -> Vec<Content<'_>> {
    let mut from = 0u64;
    let place = |(part, stream)| {
        let content = Content { from, len: new.apart.view(part).len, stream: Option::as_ref(stream) };
        from += content.len;
        content
    };
    new.apart.parts.iter().zip(&new.of).map(place).collect()
}

/// Puts the blocks; gives the segments.
fn blocks(
    put: &mut dyn Put,
    pieces: &[Piece],
    content: &Plain<'_>,
    extents: &[Vec<SourceRun>],
    patches: &dyn ScratchFile,
    what: &str,
) -> Result<Vec<Segment>, BundleError> {
    let input = |source| BundleError::Input { what: what.to_owned(), source };
    let (mut first, mut lens) = (None, Vec::new());
    for piece in pieces {
        let (mut plain, chunks) = content.read(&piece.block).map_err(input)?;
        lens.extend(chunks.iter().map(|c| u64::from(c.len)));
        let mut patch = None;
        if let Some((at, len)) = piece.patch {
            let plain_len = std::mem::take(&mut plain).len() as u32;
            let mut stored = vec![0u8; len as usize];
            patches.read_exact_at(&mut stored, at).map_err(BundleError::Scratch)?;
            patch = Some(Patched { stored, plain_len, extents: extents.get(piece.run).cloned().unwrap_or_default() });
        }
        let number = put.put_block(ReadyBlock { plain, chunks, patch })?;
        first.get_or_insert(number);
    }
    let contents = content.contents;
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

/// Blocks of the content: where each begins and ends, and where its old content lies, by the order of [`runs::whole`]. A large
/// stream begins a block.
fn cuts(contents: &[Content<'_>], total: u64) -> Vec<Block> {
    let block = u64::from(limits::BLOCK_PLAIN);
    let large = |c: &&Content<'_>| c.stream.is_some() && c.len >= LARGE;
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
        (0..(end - from).div_ceil(block)).map(move |n| Block {
            start: from + n * block,
            end: end.min(from + (n + 1) * block),
            place: place + n * block,
        })
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
