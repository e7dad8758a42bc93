//! The *cutter* fills blocks with the chunks of one blob after another.
//!
//! Blobs that are compressed already are cut at block size; others by content, and a chunk that occurred before is not
//! stored again. Chunks of the two sorts never share a block, so that each block is compressed or left alone as a whole.
//! See `spec/rationale.md`, section "Chunking".

use crate::codec::block::{self, StoredBlock};
use crate::codec::chunk;
use crate::digest::{Blob, Digest};
use crate::format::FormatError;
use crate::format::section::Segment;
use crate::format::table::{BlockRow, ChunkRow};
use crate::limits;
use std::collections::HashMap;
use std::io::{self, Read};

const BLOCK: usize = limits::BLOCK_PLAIN as usize;
/// Bytes read from an input at once.
const PIECE: usize = 1 << 20;

/// A block before compression.
pub(super) struct RawBlock {
    plain: Vec<u8>,
    chunks: u32,
}

impl RawBlock {
    /// Compresses it where that wins.
    pub fn store(self, level: i32) -> Result<StoredBlock, FormatError> {
        block::store(self.plain, self.chunks, level)
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Cutter {
    /// Every chunk so far.
    chunks: Vec<ChunkRow>,
    known: HashMap<Digest, u64>,
    plain: Vec<u8>,
    open_chunks: u32,
    open_verbatim: bool,
}

/// Takes a finished block; `false` stops the writing.
pub(super) type Emit<'a> = dyn FnMut(RawBlock) -> bool + 'a;

impl Cutter {
    /// Takes a blob and gives its segments.
    pub fn blob(
        &mut self,
        blob: &Blob,
        verbatim: bool,
        reader: &mut dyn Read,
        emit: &mut Emit<'_>,
        advance: &dyn Fn(u64),
    ) -> io::Result<Vec<Segment>> {
        if self.open_verbatim != verbatim {
            self.close(emit)?;
            self.open_verbatim = verbatim;
        }
        let mut segments = Vec::new();
        match verbatim {
            true => self.whole(blob, reader, emit, &mut segments, advance)?,
            false => self.cut(reader, emit, &mut segments, advance)?,
        }
        Ok(segments)
    }

    /// Stores what is left.
    pub fn finish(&mut self, emit: &mut Emit<'_>) {
        let _stopped = self.close(emit);
    }

    /// The chunk table, once all blocks are stored.
    pub fn into_chunks(self, rows: &[BlockRow]) -> Result<Vec<ChunkRow>, FormatError> {
        let counted: u64 = rows.iter().map(|r| u64::from(r.chunks)).sum();
        if counted != self.chunks.len() as u64 {
            return Err(FormatError::rule("the writer", "blocks and chunks do not add up"));
        }
        Ok(self.chunks)
    }

    fn close(&mut self, emit: &mut Emit<'_>) -> io::Result<()> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let plain = std::mem::replace(&mut self.plain, Vec::with_capacity(BLOCK));
        let chunks = std::mem::take(&mut self.open_chunks);
        if emit(RawBlock { plain, chunks }) { Ok(()) } else { Err(io::Error::other("the writing was stopped")) }
    }

    fn room(&self) -> usize {
        BLOCK - self.plain.len()
    }

    /// Adds a chunk whose bytes lie at the end of the open block already.
    fn add(&mut self, digest: Digest, len: usize, segments: &mut Vec<Segment>) {
        let number = self.chunks.len() as u64;
        self.chunks.push(ChunkRow { digest, len: len as u32 });
        self.open_chunks += 1;
        extend(segments, number);
    }

    /// A blob that is compressed already: as much of it as fits the open block is one chunk.
    fn whole(
        &mut self,
        blob: &Blob,
        reader: &mut dyn Read,
        emit: &mut Emit<'_>,
        segments: &mut Vec<Segment>,
        advance: &dyn Fn(u64),
    ) -> io::Result<()> {
        loop {
            if self.room() == 0 {
                self.close(emit)?;
            }
            let from = self.plain.len();
            let (room, mut end) = (self.room() as u64, false);
            while self.plain.len() - from < room as usize && !end {
                let before = self.plain.len();
                let want = (PIECE as u64).min(room - (before - from) as u64);
                end = (&mut *reader).take(want).read_to_end(&mut self.plain)? as u64 != want;
                advance((self.plain.len() - before) as u64);
            }
            let len = self.plain.len() - from;
            if len > 0 {
                // A chunk that is the whole blob has the blob's digest, which the caller checks against what was read.
                let digest = if len as u64 == blob.len {
                    blob.digest
                } else {
                    Digest::of(self.plain.get(from..).unwrap_or_default())
                };
                self.known.entry(digest).or_insert(self.chunks.len() as u64);
                self.add(digest, len, segments);
            }
            if end {
                return Ok(());
            }
        }
    }

    /// A blob that is cut by its content.
    fn cut(
        &mut self,
        reader: &mut dyn Read,
        emit: &mut Emit<'_>,
        segments: &mut Vec<Segment>,
        advance: &dyn Fn(u64),
    ) -> io::Result<()> {
        let mut buf: Vec<u8> = Vec::new();
        let (mut at, mut end) = (0usize, false);
        loop {
            if !end && buf.len() - at < chunk::MAX {
                buf.drain(..at);
                at = 0;
                let before = buf.len();
                end = (&mut *reader).take(PIECE as u64).read_to_end(&mut buf)? < PIECE;
                advance((buf.len() - before) as u64);
            }
            let rest = buf.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let len = chunk::first_cut(rest);
            let (bytes, _) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            at += len;
            let digest = Digest::of(bytes);
            if let Some(number) = self.known.get(&digest) {
                extend(segments, *number);
                continue;
            }
            if self.room() < len {
                self.close(emit)?;
            }
            self.plain.extend_from_slice(bytes);
            self.known.insert(digest, self.chunks.len() as u64);
            self.add(digest, len, segments);
        }
    }
}

/// Adds one chunk to a blob's segments.
fn extend(segments: &mut Vec<Segment>, number: u64) {
    if let Some(Segment::Chunks { first, count }) = segments.last_mut()
        && *first + *count == number
    {
        *count += 1;
        return;
    }
    segments.push(Segment::Chunks { first: number, count: 1 });
}
