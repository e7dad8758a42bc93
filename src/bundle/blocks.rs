//! The *cutter* fills blocks with the chunks of one blob after another.
//!
//! Blobs that are compressed already are cut at block size; others by content, and a chunk that occurred before is not
//! stored again. Chunks of the two sorts never share a block, so that each block is compressed or left alone as a whole.
//! A compressed blob of some size has its blocks for itself: then block, chunk and blob are the same bytes, which are
//! hashed once, on the thread that stores the block. See `spec/rationale.md`, section "Chunking".

use super::BundleError;
use super::built::SourceRun;
use crate::codec::block::{self, StoredBlock};
use crate::codec::chunk::Chunks;
use crate::digest::{Blob, Digest, HashingReader, hash_reader};
use crate::format::FormatError;
use crate::format::section::Segment;
use crate::format::table::{BlockRow, ChunkRow, Codec};
use crate::limits;
use std::collections::HashMap;
use std::io::{self, Read};

const BLOCK: usize = limits::BLOCK_PLAIN as usize;
/// Bytes read from an input at once.
const PIECE: usize = 1 << 20;

/// Verbatim blobs of at least so many bytes share no block with others.
const ALONE: u64 = 64 << 10;

/// A block before compression.
pub(super) struct RawBlock {
    plain: Vec<u8>,
    chunks: u32,
    alone: Option<Alone>,
    patch: Option<Patched>,
}

/// A block that comes ready from outside.
pub struct ReadyBlock {
    /// Its plain bytes; empty for a patch.
    pub plain: Vec<u8>,
    /// Its chunks.
    pub chunks: Vec<ChunkRow>,
    /// The patch that it is.
    pub patch: Option<Patched>,
}

/// A patch as a block.
pub struct Patched {
    /// Its stored form.
    pub stored: Vec<u8>,
    /// Bytes that it makes.
    pub plain_len: u32,
    /// What it is made against, one after another.
    pub extents: Vec<SourceRun>,
}

/// The only chunk of a block, whose digest is still to be made.
struct Alone {
    chunk: u64,
    /// What it has to be, where it is a whole blob, and its name for messages.
    blob: Option<(Blob, String)>,
}

/// A block that is ready to be written, and the digest of its chunk where that was still to be made.
pub(super) struct Done {
    pub block: StoredBlock,
    pub chunk: Option<(u64, Digest)>,
}

impl RawBlock {
    /// Plain bytes.
    pub fn len(&self) -> u64 {
        self.plain.len() as u64
    }

    /// Compresses it where that wins.
    pub fn store(self, level: i32) -> Result<Done, BundleError> {
        if let Some(Patched { stored, plain_len, extents }) = self.patch {
            let extents = u32::try_from(extents.len()).ok().filter(|n| (1..1 << 24).contains(n));
            let extents = extents.ok_or_else(|| FormatError::rule("a patch", "it has too many extents"))?;
            let (digest, stored_len) = (Digest::of(&stored), stored.len() as u32);
            let row = BlockRow { digest, stored_len, plain_len, chunks: self.chunks, codec: Codec::Patch(extents) };
            return Ok(Done { block: StoredBlock { row, stored }, chunk: None });
        }
        let Some(alone) = self.alone else {
            return Ok(Done { block: block::store(self.plain, self.chunks, level, None)?, chunk: None });
        };
        let now = Blob::of(&self.plain);
        if let Some((was, what)) = alone.blob.filter(|(was, _)| *was != now) {
            return Err(BundleError::Changed { what, was, now });
        }
        let block = block::store(self.plain, self.chunks, level, Some(now.digest))?;
        Ok(Done { block, chunk: Some((alone.chunk, now.digest)) })
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
    /// Chunks whose digests come with their stored blocks.
    late: usize,
}

/// Takes a finished block; `false` stops the writing.
pub(super) type Emit<'a> = dyn FnMut(RawBlock) -> bool + 'a;

impl Cutter {
    /// Takes a blob and gives its segments. `what` names it in messages.
    pub fn blob(
        &mut self,
        blob: &Blob,
        what: &str,
        verbatim: bool,
        reader: &mut dyn Read,
        emit: &mut Emit<'_>,
        advance: &dyn Fn(u64),
    ) -> Result<Vec<Segment>, BundleError> {
        let input = |source| BundleError::Input { what: what.to_owned(), source };
        let alone = verbatim && blob.len >= ALONE;
        if self.open_verbatim != verbatim || alone {
            self.close(None, emit).map_err(input)?;
            self.open_verbatim = verbatim;
        }
        if alone && blob.len <= BLOCK as u64 {
            return self.alone(blob, what, reader, emit, advance);
        }
        let mut reader = HashingReader::new(reader);
        let mut segments = Vec::new();
        let cut = match verbatim {
            true if alone => self.pieces(&mut reader, emit, &mut segments, advance),
            true => self.small(blob, &mut reader, emit, &mut segments, advance),
            false => self.cut(&mut reader, emit, &mut segments, advance),
        };
        cut.and_then(|()| io::copy(&mut reader, &mut io::sink())).map_err(input)?;
        match reader.finish().1 {
            now if now != *blob => Err(BundleError::Changed { what: what.to_owned(), was: *blob, now }),
            _ => Ok(segments),
        }
    }

    /// Cuts bytes by their content into chunks that all blobs share; gives their segments.
    pub fn shared(&mut self, reader: &mut dyn Read, emit: &mut Emit<'_>) -> io::Result<Vec<Segment>> {
        if self.open_verbatim {
            self.close(None, emit)?;
            self.open_verbatim = false;
        }
        let mut segments = Vec::new();
        self.cut(reader, emit, &mut segments, &|_| {})?;
        Ok(segments)
    }

    /// Takes a block that is ready; gives the number of its first chunk.
    pub fn ready(&mut self, block: ReadyBlock, emit: &mut Emit<'_>) -> io::Result<u64> {
        self.close(None, emit)?;
        let first = self.chunks.len() as u64;
        let chunks = block.chunks.len() as u32;
        for row in block.chunks {
            self.known.entry(row.digest).or_insert(self.chunks.len() as u64);
            self.chunks.push(row);
        }
        let block = RawBlock { plain: block.plain, chunks, alone: None, patch: block.patch };
        if emit(block) { Ok(first) } else { Err(io::Error::other("the writing was stopped")) }
    }

    /// The number of a chunk that was put.
    pub fn known(&self, digest: &Digest) -> Option<u64> {
        self.known.get(digest).copied()
    }

    /// Stores what is left.
    pub fn finish(&mut self, emit: &mut Emit<'_>) {
        let _stopped = self.close(None, emit);
    }

    /// The chunk table, once all blocks are stored, with the digests that were made then.
    pub fn into_chunks(mut self, rows: &[BlockRow], late: &[(u64, Digest)]) -> Result<Vec<ChunkRow>, FormatError> {
        let wrong = || FormatError::rule("the writer", "blocks and chunks do not add up");
        let counted: u64 = rows.iter().map(|r| u64::from(r.chunks)).sum();
        if counted != self.chunks.len() as u64 || self.late != late.len() {
            return Err(wrong());
        }
        for (number, digest) in late {
            self.chunks.get_mut(*number as usize).ok_or_else(wrong)?.digest = *digest;
        }
        Ok(self.chunks)
    }

    fn close(&mut self, alone: Option<Alone>, emit: &mut Emit<'_>) -> io::Result<()> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let plain = std::mem::take(&mut self.plain);
        let chunks = std::mem::take(&mut self.open_chunks);
        if emit(RawBlock { plain, chunks, alone, patch: None }) {
            Ok(())
        } else {
            Err(io::Error::other("the writing was stopped"))
        }
    }

    fn room(&self) -> usize {
        BLOCK.saturating_sub(self.plain.len())
    }

    /// Adds a chunk whose bytes lie at the end of the open block already.
    fn add(&mut self, digest: Digest, len: usize, segments: &mut Vec<Segment>) {
        let number = self.chunks.len() as u64;
        self.chunks.push(ChunkRow { digest, len: len as u32 });
        self.open_chunks += 1;
        extend(segments, number);
    }

    /// Fills the open block from `reader` up to `most` bytes of it; whether the reader is at its end.
    fn fill(&mut self, most: usize, reader: &mut dyn Read, advance: &dyn Fn(u64)) -> io::Result<bool> {
        loop {
            let before = self.plain.len();
            let want = PIECE.min(most.saturating_sub(before));
            if want == 0 {
                return Ok(false);
            }
            self.plain.reserve(want);
            let n = (&mut *reader).take(want as u64).read_to_end(&mut self.plain)?;
            advance(n as u64);
            if n < want {
                return Ok(true);
            }
        }
    }

    /// A compressed blob that has one block for itself.
    fn alone(
        &mut self,
        blob: &Blob,
        what: &str,
        reader: &mut dyn Read,
        emit: &mut Emit<'_>,
        advance: &dyn Fn(u64),
    ) -> Result<Vec<Segment>, BundleError> {
        let input = |source| BundleError::Input { what: what.to_owned(), source };
        // One byte more than announced shows that it grew.
        self.fill(blob.len as usize + 1, reader, advance).map_err(input)?;
        if self.plain.len() as u64 != blob.len {
            let now = hash_reader(&mut self.plain.as_slice().chain(reader)).map_err(input)?;
            return Err(BundleError::Changed { what: what.to_owned(), was: *blob, now });
        }
        let mut segments = Vec::new();
        self.known.entry(blob.digest).or_insert(self.chunks.len() as u64);
        let chunk = self.later(&mut segments);
        self.close(Some(Alone { chunk, blob: Some((*blob, what.to_owned())) }), emit).map_err(input)?;
        Ok(segments)
    }

    /// A compressed blob that fills several blocks.
    fn pieces(
        &mut self,
        reader: &mut dyn Read,
        emit: &mut Emit<'_>,
        segments: &mut Vec<Segment>,
        advance: &dyn Fn(u64),
    ) -> io::Result<()> {
        loop {
            let end = self.fill(BLOCK, reader, advance)?;
            if !self.plain.is_empty() {
                let chunk = self.later(segments);
                self.close(Some(Alone { chunk, blob: None }), emit)?;
            }
            if end {
                return Ok(());
            }
        }
    }

    /// Adds the open block's bytes as one chunk whose digest comes with the stored block.
    fn later(&mut self, segments: &mut Vec<Segment>) -> u64 {
        let number = self.chunks.len() as u64;
        self.add(Digest([0; 32]), self.plain.len(), segments);
        self.late += 1;
        number
    }

    /// A small compressed blob: one chunk of a block that it shares.
    fn small(
        &mut self,
        blob: &Blob,
        reader: &mut dyn Read,
        emit: &mut Emit<'_>,
        segments: &mut Vec<Segment>,
        advance: &dyn Fn(u64),
    ) -> io::Result<()> {
        if self.room() < blob.len as usize {
            self.close(None, emit)?;
        }
        let from = self.plain.len();
        // One byte more than announced shows that it grew.
        self.fill(from + blob.len as usize + 1, reader, advance)?;
        let len = self.plain.len() - from;
        if len > 0 {
            // A chunk that is the whole blob has the blob's digest, which the caller checks against what was read.
            self.known.entry(blob.digest).or_insert(self.chunks.len() as u64);
            self.add(blob.digest, len, segments);
        }
        Ok(())
    }

    /// Bytes that are cut by their content, and where large members of a tar begin and end.
    fn cut(
        &mut self,
        reader: &mut dyn Read,
        emit: &mut Emit<'_>,
        segments: &mut Vec<Segment>,
        advance: &dyn Fn(u64),
    ) -> io::Result<()> {
        let mut chunks = Chunks::new();
        while let Some(bytes) = chunks.next(reader)? {
            advance(bytes.len() as u64);
            let digest = Digest::of(bytes);
            if let Some(number) = self.known.get(&digest) {
                extend(segments, *number);
                continue;
            }
            if self.room() < bytes.len() {
                self.close(None, emit)?;
            }
            self.plain.extend_from_slice(bytes);
            self.known.insert(digest, self.chunks.len() as u64);
            self.add(digest, bytes.len(), segments);
        }
        Ok(())
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
