//! To *shrink* a blob is to say it as differences from old content, through an encoder where it is compressed.
//!
//! Which old content is chosen by name and place; a bad choice makes a delta larger, never wrong. What does not shrink is
//! stored as it is. Specified in `spec/bundle.md`, section "Deltas".

use super::apart::{self, Apart, LARGE};
use super::parts::View;
use super::streams::Streams;
use crate::bundle::{BundleError, Patched, Put, ReadyBlock, SourceRun};
use crate::cbor::Bytes;
use crate::deflate::list;
use crate::deflate::replay::Stream;
use crate::digest::{Blob, Digest};
use crate::format::section::Segment;
use crate::format::table::ChunkRow;
use crate::kind::{BlobReader, ReadAt};
use crate::limits;
use crate::op::delta::Held;
use crate::op::pairs::Pairs;
use crate::patch::{DEFAULT_LEVEL, Differ, SMALL_LEVEL};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io;

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

/// A block of new content that is ready.
struct Piece {
    chunks: Vec<ChunkRow>,
    plain: Vec<u8>,
    patch: Option<Vec<u8>>,
}

impl Shrinking<'_> {
    /// Puts a blob as a patch; `false`, and nothing is put, where that does not pay.
    pub(super) fn shrink(
        &self,
        put: &mut dyn Put,
        blob: &Blob,
        what: &str,
        new: &Streams,
        old: &Blob,
        blobs: &dyn BlobReader,
    ) -> Result<bool, BundleError> {
        let input = |source| BundleError::Input { what: what.to_owned(), source };
        let compressed = crate::source::read::is_compressed(&first(&*new.apart.blob, blob.len).map_err(input)?);
        if compressed && new.unknown().saturating_mul(2) > blob.len {
            return Ok(false); // most of it is compressed by nobody we know
        }
        let Ok(Some(opened)) = blobs.open_at(old) else { return Ok(false) };
        let taken = Apart::new(opened, old.len).map_err(input)?;
        let Some((bytes, extents)) = apart::old(&taken, old).map_err(input)? else { return Ok(false) };
        let contents = contents(new);
        let level = if self.small { SMALL_LEVEL } else { DEFAULT_LEVEL };
        let pieces = self.pieces(&new.apart, &contents, &bytes, level).map_err(input)?;
        drop(bytes);
        let size: u64 =
            pieces.iter().map(|p| p.patch.as_ref().map_or(p.plain.len() as u64 / 2, |s| s.len() as u64)).sum();
        if size.saturating_mul(20) > blob.len.saturating_mul(19) {
            return Ok(false);
        }
        let segments = blocks(put, pieces, &contents, &extents)?;
        put.put_recipe(blob, what, segments)?;
        Ok(true)
    }

    fn pieces(&self, new: &Apart, contents: &[Content<'_>], old: &[u8], level: i32) -> io::Result<Vec<Piece>> {
        let views: Vec<View<'_>> = new.parts.iter().map(|p| new.view(p)).collect();
        let total: u64 = contents.iter().map(|c| c.len).sum();
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
    pieces: Vec<Piece>,
    contents: &[Content<'_>],
    extents: &[SourceRun],
) -> Result<Vec<Segment>, BundleError> {
    let (mut first, mut lens) = (None, Vec::new());
    for Piece { chunks, plain, patch } in pieces {
        lens.extend(chunks.iter().map(|c| u64::from(c.len)));
        let plain_len = chunks.iter().map(|c| c.len).sum();
        let patch = patch.map(|stored| Patched { stored, plain_len, extents: extents.to_vec() });
        let number = put.put_block(ReadyBlock { plain, chunks, patch })?;
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

/// Blocks of the content: where each begins and ends, and where its old content lies, by the order of [`apart::old`]. A large
/// stream begins a block.
fn cuts(contents: &[Content<'_>], total: u64) -> Vec<(u64, u64, u64)> {
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
