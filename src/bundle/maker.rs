//! The *maker* is the pair of hands that makes blobs: from blocks that come by, from blobs that are there, from sources, and
//! through encoders.
//!
//! Which blocks come is the plan's. Specified in `spec/bundle.md`, sections "Blocks, chunks, recipes" and "Deltas".

use super::BundleError;
use super::bases::{Bases, ScratchFile};
use super::later::{LONGEST, Later, refused};
use super::materialize::{BlobSink, Materialized, sink_error};
use super::tables::{Tables, proven};
use super::walk::{Hands, Home, Recent};
use crate::buffer::Buffer;
use crate::codec::form::Form;
use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::section::Segment;
use crate::replay::family::Identity;
use crate::replay::list;
use crate::replay::source::Source;
use crate::replay::stream::Stream;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// Bytes that the threads of a replay may have made before they are taken.
const AHEAD: usize = 16 << 20;

/// Gives a block's plain bytes, the plan's next.
pub(super) type Next<'a> = dyn FnMut(usize) -> Result<Buffer, BundleError> + 'a;

pub(super) struct Maker<'a, S> {
    pub tables: &'a Tables,
    pub bases: &'a Bases<'a>,
    pub sink: &'a mut S,
    pub next: &'a mut Next<'a>,
    /// By replay: whether its plain bytes are needed again.
    pub kept: Vec<bool>,
    pub threads: usize,
    pub done: Materialized,
    blocks: Recent<Block>,
    blob: Option<Blob>,
    plain: Plain,
    later: Later,
}

/// A block that came.
struct Block {
    bytes: Buffer,
    /// Where each chunk begins, and where the last ends.
    starts: Vec<usize>,
    /// What waits to be put.
    run: std::ops::Range<usize>,
}

/// Plain bytes of replays.
#[derive(Default)]
struct Plain {
    /// Those of the open replay, in memory.
    memory: Vec<u8>,
    /// Where those of the open replay begin in the file, and how many there are, if they do not stay in memory.
    open: Option<(u64, u64)>,
    file: Option<Arc<dyn ScratchFile>>,
    /// Where the file is free.
    end: u64,
    /// Where the kept ones begin in the file.
    kept: HashMap<u32, u64>,
    active: bool,
}

impl<'a, S: BlobSink> Maker<'a, S> {
    pub fn new(
        tables: &'a Tables,
        bases: &'a Bases<'a>,
        sink: &'a mut S,
        next: &'a mut Next<'a>,
        kept: Vec<bool>,
        threads: usize,
    ) -> Maker<'a, S> {
        let done = Materialized::default();
        let blocks = Recent::default();
        let (plain, later) = (Plain::default(), Later::new(threads));
        Maker { tables, bases, sink, next, kept, threads, done, blocks, blob: None, plain, later }
    }

    /// The block that was used last.
    pub fn into_block(mut self) -> Option<(usize, Buffer)> {
        self.blocks.front().map(|(number, block)| (*number, std::mem::take(&mut block.bytes)))
    }

    fn current(&self) -> Result<Blob, BundleError> {
        self.blob.ok_or_else(|| FormatError::rule("the recipes", "bytes of no blob").into())
    }

    /// Takes bytes, for the blob or for the open replay.
    fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        if !self.plain.active {
            return self.later.write(bytes, self.sink, &mut self.done);
        }
        match (&mut self.plain.open, &self.plain.file) {
            (Some((at, len)), Some(file)) => {
                file.write_at(bytes, *at + *len).map_err(BundleError::Scratch)?;
                *len += bytes.len() as u64;
            }
            _ => self.plain.memory.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// A chunk of its own block. Chunks that follow each other there go out as one run.
    fn of_block(&mut self, number: u64) -> Result<(), BundleError> {
        let n = self.tables.blocks.block_of(number);
        if !self.is_last(n) {
            self.flush()?;
            if !self.blocks.bring(n) {
                let (bytes, starts) = ((self.next)(n)?, self.tables.starts(n));
                self.blocks.add(n, Block { bytes, starts, run: 0..0 });
            }
        }
        let first = self.tables.blocks.first_chunk.get(n).copied().unwrap_or(0);
        let at = usize::try_from(number - first).unwrap_or(usize::MAX);
        let lacks = || FormatError::rule("a block", "it lacks a chunk");
        let bounds = |b: &Block| Some((*b.starts.get(at)?, *b.starts.get(at + 1)?));
        let waits = self.blocks.front().and_then(|(_, b)| Some((b.run.clone(), bounds(b)?)));
        let (run, (start, end)) = waits.ok_or_else(lacks)?;
        if run.end != start {
            self.flush()?;
        }
        if let Some((_, block)) = self.blocks.front() {
            block.run = if block.run.is_empty() { start..end } else { block.run.start..end };
        }
        Ok(())
    }

    /// Whether block `n` is the one used last.
    fn is_last(&mut self, n: usize) -> bool {
        self.blocks.front().is_some_and(|(number, _)| *number == n)
    }

    /// Puts the run of chunks that waits.
    fn flush(&mut self) -> Result<(), BundleError> {
        let mut blocks = std::mem::take(&mut self.blocks); // while its bytes are put
        let mut done = Ok(());
        if let Some((number, block)) = blocks.front() {
            let run = std::mem::take(&mut block.run);
            if !run.is_empty() {
                let blob = self.current()?;
                let bytes = block.bytes.get(run).unwrap_or_default();
                let whole = !self.plain.active && bytes.len() as u64 == blob.len;
                done = match whole && self.later.is_empty() && proven(self.tables, *number, &blob) {
                    true => self.sink.proven(bytes).map_err(sink_error(&blob)),
                    false => self.put(bytes),
                };
            }
        }
        self.blocks = blocks;
        done
    }

    fn stream(&self, segment: &Segment, plain: u64) -> Result<Stream, BundleError> {
        let Segment::Replay { encoder, checkpoints, len, .. } = segment else {
            return Err(FormatError::rule("the recipes", "no replay").into());
        };
        parse(encoder, &checkpoints.0, *len, plain).map_err(BundleError::from)
    }
}

/// A replay's encoder and checkpoints.
pub(super) fn parse(encoder: &[u32], checkpoints: &[u8], len: u64, plain: u64) -> Result<Stream, FormatError> {
    let rule = |e: crate::replay::Error| FormatError::rule("a replay", e.to_string());
    let identity = Identity::parse(encoder).map_err(rule)?;
    if identity.family().form() != Form::Deflate && !checkpoints.is_empty() {
        return Err(FormatError::rule("a replay", format!("{identity} has no checkpoints")));
    }
    let checkpoints = list::decode(checkpoints, identity.family().state, plain, len).map_err(rule)?;
    Ok(Stream { identity, checkpoints, plain, compressed: len })
}

impl<S: BlobSink> Hands for Maker<'_, S> {
    fn begin(&mut self, blob: u32) -> Result<(), BundleError> {
        let blob = self.tables.blobs.get(blob as usize).copied();
        self.blob = blob;
        let blob = self.current()?;
        self.later.begin(blob, self.sink, &mut self.done)
    }

    fn chunk(&mut self, number: u64, home: Home) -> Result<(), BundleError> {
        let len = self.tables.chunk_len(number) as usize;
        let here = self.is_last(self.tables.blocks.block_of(number));
        if here || home == Home::Block {
            return self.of_block(number);
        }
        self.flush()?;
        let mut buf = vec![0u8; len];
        match home {
            Home::Blob(blob, offset) => {
                let from = self.tables.blobs.get(blob as usize).copied();
                let from = from.ok_or_else(|| FormatError::rule("the recipes", "a chunk has no home"))?;
                self.later.drain(self.sink, &mut self.done)?; // it may be one that waits
                self.sink.read_back(&from, offset, &mut buf).map_err(sink_error(&from))?;
            }
            Home::Plain(replay, offset) => {
                let at = self.plain.kept.get(&replay).copied();
                let (Some(at), Some(file)) = (at, &self.plain.file) else {
                    return Err(FormatError::rule("the recipes", "a chunk has no home").into());
                };
                file.read_exact_at(&mut buf, at + offset).map_err(BundleError::Scratch)?;
            }
            Home::Block => {}
        }
        self.put(&buf)
    }

    fn base(&mut self, source: usize, offset: u64, len: u64) -> Result<(), BundleError> {
        self.flush()?;
        let bases = self.bases;
        bases.copy(source, offset, len, &mut |piece| self.put(piece))
    }

    fn itself(&mut self, _: u32) -> Result<(), BundleError> {
        self.flush()?;
        let (bases, blob) = (self.bases, self.current()?);
        bases.whole(&blob, &mut |piece| self.put(piece))
    }

    fn open(&mut self, replay: u32, segment: &Segment) -> Result<(), BundleError> {
        self.flush()?;
        let keep = self.kept.get(replay as usize) == Some(&true);
        let len = self.tables.plain_len(segment);
        self.plain.active = true;
        self.plain.memory.clear();
        self.plain.open = None;
        if keep || len > LONGEST {
            if self.plain.file.is_none() {
                self.plain.file = Some(self.bases.scratch()?.into());
            }
            self.plain.open = Some((self.plain.end, 0));
        }
        if keep {
            self.plain.kept.insert(replay, self.plain.end);
            self.plain.end += len;
        }
        Ok(())
    }

    fn close(&mut self, _: u32, segment: &Segment) -> Result<(), BundleError> {
        self.flush()?;
        self.plain.active = false;
        let blob = self.current()?;
        let stream = self.stream(segment, self.tables.plain_len(segment))?;
        if self.later.takes(&stream) {
            let (later, sink, done) = (&mut self.later, &mut *self.sink, &mut self.done);
            return match (&self.plain.open, &self.plain.file) {
                (Some((at, len)), Some(file)) => {
                    later.replay(stream, View { file: file.clone(), at: *at, len: *len }, sink, done)
                }
                _ => later.replay(stream, Held(std::mem::take(&mut self.plain.memory)), sink, done),
            };
        }
        self.later.drain(self.sink, &mut self.done)?;
        let mut failed = None;
        let sink = &mut *self.sink;
        let mut take = |bytes: &[u8]| {
            sink.write(bytes).map_err(|e| {
                failed = Some(sink_error(&blob)(e));
                io::Error::other("the blob cannot be written")
            })
        };
        let replayed = match (&self.plain.open, &self.plain.file) {
            (Some((at, len)), Some(file)) => {
                let view = View { file: file.clone(), at: *at, len: *len };
                stream.replay(&view, self.threads, AHEAD, &mut take)
            }
            _ => stream.replay(self.plain.memory.as_slice(), self.threads, AHEAD, &mut take),
        };
        match (failed, replayed) {
            (Some(e), _) => Err(e),
            (None, Err(e)) => Err(refused(&blob, e)),
            (None, Ok(())) => Ok(()),
        }
    }

    fn finish(&mut self, _: u32) -> Result<(), BundleError> {
        self.flush()?;
        self.blob = None;
        self.later.finish(self.sink, &mut self.done)
    }
    fn end(&mut self) -> Result<(), BundleError> {
        self.later.drain(self.sink, &mut self.done)
    }
}

/// Plain bytes in memory.
pub(super) struct Held(pub Vec<u8>);

impl Source for Held {
    fn size(&self) -> io::Result<u64> {
        self.0.as_slice().size()
    }
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.as_slice().read_at(at, buffer)
    }
}

/// A part of a scratch file.
struct View {
    file: Arc<dyn ScratchFile>,
    at: u64,
    len: u64,
}

impl Source for View {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = at.checked_add(buffer.len() as u64).filter(|end| *end <= self.len);
        match end {
            Some(_) => self.file.read_exact_at(buffer, self.at + at),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
