//! *Materializing* is putting blobs together again from blocks, in one pass over the medium.
//!
//! Each block is hashed, then decompressed, then cut into the blobs that want its chunks; every blob goes to a sink that
//! hashes it again. A chunk that an earlier blob has is read back from that blob. Specified in `spec/bundle.md`, section
//! "Reading".

use super::bases::{Bases, Needs, Workplace};
use super::index::Bundle;
use super::sources::Sources;
use super::{BundleError, Medium, read_range, recipes};
use crate::class::{Class, Classified};
use crate::codec::block;
use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::frame::Form;
use crate::format::section::{Recipe, SectionKind, Segment, decode_list};
use crate::format::table::{BlockRow, ChunkRow, Codec};
use crate::monitor::Monitor;
use crate::parallel;
use std::collections::{BTreeMap, BTreeSet};

/// Takes blobs, one after another.
pub trait BlobSink {
    /// Its errors.
    type Error: Classified + Send + Sync + 'static;
    /// Whether the blob has to be made; `false` where it is there already.
    fn wants(&mut self, blob: &Blob) -> Result<bool, Self::Error>;
    /// Begins a blob that is wanted.
    fn begin(&mut self, blob: &Blob) -> Result<(), Self::Error>;
    /// More of its bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// All bytes of a blob that was begun, at once: they were hashed in this very buffer and have the blob's digest.
    fn proven(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.write(bytes)
    }
    /// All bytes are written; `Ok(false)` where they do not have the blob's digest.
    fn finish(&mut self, blob: &Blob) -> Result<bool, Self::Error>;
    /// Fills `buf` from `offset` of a blob that is there or was finished, or of the one that is being written.
    fn read_back(&mut self, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), Self::Error>;
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Materialized {
    /// Blobs made.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were there.
    pub present: u64,
    /// Bytes read of blocks.
    pub read: u64,
}

/// Where the blocks lie and what they hold.
pub(super) struct BlockTable {
    pub rows: Vec<BlockRow>,
    /// Offset of each in the file.
    pub at: Vec<u64>,
    /// Number of the first chunk of each, and one past the last of all.
    pub first_chunk: Vec<u64>,
}

impl BlockTable {
    fn new(rows: Vec<BlockRow>, base: u64) -> BlockTable {
        let (mut at, mut first_chunk) = (Vec::new(), Vec::new());
        let (mut offset, mut chunk) = (base, 0u64);
        for row in &rows {
            at.push(offset);
            first_chunk.push(chunk);
            offset += u64::from(row.stored_len);
            chunk += u64::from(row.chunks);
        }
        first_chunk.push(chunk);
        BlockTable { rows, at, first_chunk }
    }

    /// Numbers of the chunks of a block.
    pub fn chunks_of(&self, block: usize) -> std::ops::Range<u64> {
        let bound = |n: usize| self.first_chunk.get(n).copied().unwrap_or(0);
        bound(block)..bound(block + 1)
    }

    /// The block that a chunk is in.
    pub fn block_of(&self, chunk: u64) -> usize {
        self.first_chunk.partition_point(|first| *first <= chunk) - 1
    }
}

/// The carriage's tables, checked against each other.
pub(super) struct Tables {
    pub blobs: Vec<Blob>,
    pub recipes: Vec<Recipe>,
    pub chunks: Vec<ChunkRow>,
    pub blocks: BlockTable,
    pub sources: Sources,
}

impl<M: Medium, T: Sync> Bundle<M, T> {
    /// Reads every block once and checks its digest. Work is in stored bytes.
    pub fn check_blocks(&self, threads: usize, monitor: &dyn Monitor) -> Result<u64, BundleError> {
        self.require_blocks()?;
        let table = self.block_table()?;
        monitor.phase("reading", Some(self.carriage.blocks_len));
        let numbers: Vec<usize> = (0..table.rows.len()).collect();
        self.each_block(&table, &numbers, threads, monitor, |row, stored| block::check(row, &stored), |_, ()| Ok(()))?;
        Ok(self.carriage.blocks_len)
    }

    /// Checks that the carriage's tables agree: every rule that needs no block.
    pub fn check_tables(&self) -> Result<(), BundleError> {
        self.require_blocks()?;
        self.tables().map(|_| ())
    }

    pub(super) fn require_blocks(&self) -> Result<(), BundleError> {
        match self.form() {
            Form::Full => Ok(()),
            Form::Head => Err(BundleError::NoBlocks("the head of a bundle in volumes")),
            Form::IndexOnly => Err(BundleError::NoBlocks("an index for reviewers")),
        }
    }

    fn block_table(&self) -> Result<BlockTable, BundleError> {
        let rows: Vec<BlockRow> = self.rows()?;
        let stored: u64 = rows.iter().map(|r| u64::from(r.stored_len)).sum();
        let chunks: u64 = rows.iter().map(|r| u64::from(r.chunks)).sum();
        if rows.len() as u64 != self.carriage.blocks
            || stored != self.carriage.blocks_len
            || chunks != self.carriage.chunks
        {
            return Err(FormatError::rule("the block table", "it does not have the totals of the carriage root").into());
        }
        Ok(BlockTable::new(rows, self.sealed.layout.blocks))
    }

    /// Reads blocks in order, transforms them on several threads, and takes the results in order.
    fn each_block<O: Send>(
        &self,
        table: &BlockTable,
        numbers: &[usize],
        threads: usize,
        monitor: &dyn Monitor,
        transform: impl Fn(&BlockRow, Vec<u8>) -> Result<O, FormatError> + Sync,
        mut take: impl FnMut(usize, O) -> Result<(), BundleError>,
    ) -> Result<(), BundleError> {
        let lookup = |n: usize| match (table.rows.get(n), table.at.get(n)) {
            (Some(row), Some(at)) => Ok((*row, *at)),
            _ => Err(BundleError::from(FormatError::rule("a block", "there is none of that number"))),
        };
        parallel::ordered(
            threads,
            super::in_flight(threads),
            |feed| {
                for n in numbers {
                    let (row, at) = lookup(*n)?;
                    let stored = read_range(&self.sealed.medium, at, row.stored_len.into())?;
                    monitor.advance(row.stored_len.into());
                    let weight = u64::from(row.stored_len.max(row.plain_len));
                    if feed.push((*n, row, at, stored), weight).is_err() {
                        break;
                    }
                }
                Ok(())
            },
            |(n, row, at, stored)| {
                transform(&row, stored).map(|out| (n, out)).map_err(|source| BundleError::Block {
                    number: n as u64,
                    at,
                    len: row.stored_len,
                    source,
                })
            },
            |out| out.and_then(|(n, out)| take(n, out)),
        )
    }

    pub(super) fn tables(&self) -> Result<Tables, BundleError> {
        let blobs = self.blobs()?;
        let blocks = self.block_table()?;
        let chunks: Vec<ChunkRow> = self.rows()?;
        if chunks.len() as u64 != self.carriage.chunks {
            return Err(FormatError::rule("the chunk table", "it does not have the totals of the carriage root").into());
        }
        for (row, first) in blocks.rows.iter().zip(&blocks.first_chunk) {
            let own = chunks.iter().skip(*first as usize).take(row.chunks as usize);
            if own.map(|c| u64::from(c.len)).sum::<u64>() != u64::from(row.plain_len) {
                return Err(FormatError::rule("the block table", "chunks do not fill their block").into());
            }
        }
        let mut recipes: Vec<Recipe> = Vec::new();
        self.each_section(SectionKind::Recipes, |bytes, entries| {
            recipes.extend(decode_list::<Recipe>(SectionKind::Recipes, bytes, entries)?);
            Ok(())
        })?;
        let sources = Sources::new(self.rows()?, self.rows()?)?;
        let used = recipes::check(&recipes, &blobs, &chunks, &sources)?;
        self.check_features(&used, &sources)?;
        Ok(Tables { blobs, recipes, chunks, blocks, sources })
    }

    /// Makes every blob that the sink wants. Work is in stored bytes read.
    pub(crate) fn materialize_into<S: BlobSink>(
        &self,
        sink: &mut S,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Materialized, BundleError> {
        self.require_blocks()?;
        let tables = self.tables()?;
        let mut wanted = vec![false; tables.blobs.len()];
        let mut done = Materialized::default();
        for (blob, wanted) in tables.blobs.iter().zip(&mut wanted) {
            *wanted = sink.wants(blob).map_err(sink_error(blob))?;
            done.present += u64::from(!*wanted);
        }
        let bases = Bases::open(&tables.sources, &tables.needs(&wanted), work, threads, monitor)?;
        let needed = tables.needed_blocks(&wanted);
        let bytes = needed.iter().filter_map(|n| tables.blocks.rows.get(*n)).map(|r| u64::from(r.stored_len)).sum();
        monitor.phase("unpacking", Some(bytes));
        done.read = bytes;
        let mut maker = Maker::new(&tables, &bases, &wanted, sink, done);
        maker.run(None)?;
        self.each_block(&tables.blocks, &needed, threads, monitor, block::restore, |n, plain| {
            maker.run(Some((n, &plain)))
        })?;
        maker.finish()
    }
}

impl<M: Medium, T: Sync> Bundle<M, T> {
    /// All blobs that the bundle builds on, in the order of digests.
    pub fn bases(&self) -> Result<Vec<BaseUse>, BundleError> {
        self.require_blocks()?;
        let tables = self.tables()?;
        let mut all: BTreeMap<Blob, BTreeSet<Blob>> = BTreeMap::new();
        for recipe in &tables.recipes {
            let Some(blob) = tables.blobs.get(recipe.blob as usize) else { continue };
            let Needs { sources, whole } = recipe_needs(recipe, blob);
            let bases = sources.iter().filter_map(|n| tables.sources.bases.get(tables.sources.base_of(*n)?)).copied();
            for base in bases.chain(whole) {
                all.entry(base).or_default().insert(*blob);
            }
        }
        Ok(all.into_iter().map(|(base, makes)| BaseUse { base, makes: makes.into_iter().collect() }).collect())
    }

    /// The bases that cannot be had of `work` or are not what they are called, for the blobs that are `wanted`.
    pub fn lacking(
        &self,
        wanted: &dyn Fn(&Blob) -> bool,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Blob>, BundleError> {
        let tables = self.tables()?;
        let wanted: Vec<bool> = tables.blobs.iter().map(wanted).collect();
        match Bases::prove(&tables.sources, &tables.needs(&wanted), work, threads, monitor) {
            Err(BundleError::Lacking(blobs)) => Ok(blobs),
            other => other.map(|()| Vec::new()),
        }
    }
}

impl<M: Medium> Bundle<M, ()> {
    /// As `materialize_into`, of a bundle that nobody vouched for: for tests of the format, whose vectors have no trust
    /// in them. Nothing that ends up in a site may come this way.
    #[doc(hidden)]
    pub fn materialize_unverified<S: BlobSink>(
        &self,
        sink: &mut S,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Materialized, BundleError> {
        self.materialize_into(sink, work, threads, monitor)
    }
}

/// A blob that a bundle builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUse {
    /// The blob.
    pub base: Blob,
    /// Blobs of the release that are it, or are made of it, in the order of digests.
    pub makes: Vec<Blob>,
}

/// What one blob needs of the bases.
pub(super) fn recipe_needs(recipe: &Recipe, blob: &Blob) -> Needs {
    let mut needs = Needs::default();
    for segment in &recipe.segments {
        match segment {
            Segment::Itself => needs.whole.insert(*blob),
            Segment::Base { source, .. } => needs.sources.insert(*source as usize),
            Segment::Chunks { .. } => continue,
        };
    }
    needs
}

impl Tables {
    fn chunk_len(&self, number: u64) -> usize {
        usize::try_from(number).ok().and_then(|n| self.chunks.get(n)).map_or(0, |c| c.len as usize)
    }

    /// Where in a block's plain bytes each of its chunks begins, and where the last ends.
    fn starts(&self, block: usize) -> Vec<usize> {
        let mut at = 0usize;
        let ends = self.blocks.chunks_of(block).map(|chunk| {
            at += self.chunk_len(chunk);
            at
        });
        std::iter::once(0).chain(ends).collect()
    }

    /// What the wanted blobs need of the bases. A blob that is its own base is needed also where it is not wanted: what is
    /// there has to be what it is called.
    pub fn needs(&self, wanted: &[bool]) -> Needs {
        let mut all = Needs::default();
        for recipe in &self.recipes {
            let (n, blob) = (recipe.blob as usize, self.blobs.get(recipe.blob as usize));
            if let Some(blob) = blob.filter(|_| wanted.get(n) == Some(&true) || recipe.segments == [Segment::Itself]) {
                let Needs { sources, whole } = recipe_needs(recipe, blob);
                all.sources.extend(sources);
                all.whole.extend(whole);
            }
        }
        all
    }

    /// Blocks that hold a chunk which a wanted blob is the first to use.
    fn needed_blocks(&self, wanted: &[bool]) -> Vec<usize> {
        let mut needed = vec![false; self.blocks.rows.len()];
        let mut next = 0u64;
        for recipe in &self.recipes {
            let want = wanted.get(recipe.blob as usize) == Some(&true);
            for segment in &recipe.segments {
                let Segment::Chunks { first, count } = segment else { continue };
                let end = first + count;
                if want && end > next {
                    let (from, to) = (self.blocks.block_of(next.max(*first)), self.blocks.block_of(end - 1));
                    needed.iter_mut().take(to + 1).skip(from).for_each(|n| *n = true);
                }
                next = next.max(end);
            }
        }
        needed.iter().enumerate().filter(|(_, n)| **n).map(|(i, _)| i).collect()
    }
}

/// Where a chunk was first used, so that it can be read back.
#[derive(Clone, Copy)]
struct Home {
    blob: u32,
    offset: u64,
}

/// Walks the recipes while blocks come by.
struct Maker<'a, 'b, S> {
    tables: &'a Tables,
    bases: &'a Bases<'b>,
    wanted: &'a [bool],
    sink: &'a mut S,
    homes: Vec<Home>,
    recipe: usize,
    segment: usize,
    /// Chunks of the current segment that are done.
    chunk: u64,
    offset: u64,
    begun: bool,
    done: Materialized,
}

impl<'a, 'b, S: BlobSink> Maker<'a, 'b, S> {
    fn new(tables: &'a Tables, bases: &'a Bases<'b>, wanted: &'a [bool], sink: &'a mut S, done: Materialized) -> Self {
        let homes = Vec::with_capacity(tables.chunks.len());
        Maker { tables, bases, wanted, sink, homes, recipe: 0, segment: 0, chunk: 0, offset: 0, begun: false, done }
    }

    /// Goes on until a chunk of a block that is not here is needed.
    fn run(&mut self, block: Option<(usize, &[u8])>) -> Result<(), BundleError> {
        let tables = self.tables;
        // Chunks of this block, where each begins in its plain bytes and where the last ends.
        let (here, starts, plain) = match block {
            Some((n, plain)) => (tables.blocks.chunks_of(n), tables.starts(n), plain),
            None => (0..0, Vec::new(), &[][..]),
        };
        let start = |number: u64| starts.get((number - here.start) as usize).copied().unwrap_or(usize::MAX);
        while let Some(recipe) = tables.recipes.get(self.recipe) {
            let Some(blob) = tables.blobs.get(recipe.blob as usize) else { break };
            let want = self.wanted.get(recipe.blob as usize) == Some(&true);
            if want && !self.begun {
                self.sink.begin(blob).map_err(sink_error(blob))?;
            }
            self.begun = true;
            while let Some(segment) = recipe.segments.get(self.segment) {
                let Segment::Chunks { first, count } = segment else {
                    self.offset += self.base(blob, want, segment)?;
                    self.segment += 1;
                    continue;
                };
                while self.chunk < *count {
                    let number = first + self.chunk;
                    if want && here.contains(&number) {
                        let end = (first + count).min(here.end);
                        let bytes = plain.get(start(number)..start(end)).unwrap_or_default();
                        match bytes.len() as u64 == blob.len && proven(tables, block.map(|b| b.0), blob) {
                            true => self.sink.proven(bytes).map_err(sink_error(blob))?,
                            false => self.sink.write(bytes).map_err(sink_error(blob))?,
                        }
                        (number..end).for_each(|chunk| self.pass(recipe.blob, chunk));
                    } else {
                        if want && number < self.homes.len() as u64 {
                            self.copy(blob, number)?;
                        } else if want {
                            return Ok(()); // its block is yet to come
                        }
                        self.pass(recipe.blob, number);
                    }
                }
                self.segment += 1;
                self.chunk = 0;
            }
            if want {
                if !self.sink.finish(blob).map_err(sink_error(blob))? {
                    return Err(BundleError::Restored(blob.digest));
                }
                self.done.blobs += 1;
                self.done.bytes += blob.len;
            }
            (self.recipe, self.segment, self.chunk, self.offset, self.begun) = (self.recipe + 1, 0, 0, 0, false);
        }
        Ok(())
    }

    /// Goes on to the next chunk, and remembers where this one is where it is new.
    fn pass(&mut self, blob: u64, number: u64) {
        if number >= self.homes.len() as u64 {
            self.homes.push(Home { blob: blob as u32, offset: self.offset });
        }
        self.offset += self.tables.chunk_len(number) as u64;
        self.chunk += 1;
    }

    /// Gives what a segment of a base is to the sink, if that is wanted; its length in bytes.
    fn base(&mut self, blob: &Blob, want: bool, segment: &Segment) -> Result<u64, BundleError> {
        let (bases, sink) = (self.bases, &mut *self.sink);
        let mut put = |piece: &[u8]| sink.write(piece).map_err(sink_error(blob));
        match segment {
            Segment::Base { source, offset, len } => {
                if want {
                    bases.copy(*source as usize, *offset, *len, &mut put)?;
                }
                Ok(*len)
            }
            Segment::Itself => {
                if want {
                    bases.whole(blob, &mut put)?;
                }
                Ok(blob.len)
            }
            Segment::Chunks { .. } => Ok(0),
        }
    }

    /// Reads a chunk back from where it was first used.
    fn copy(&mut self, blob: &Blob, number: u64) -> Result<(), BundleError> {
        let home = self.homes.get(number as usize).copied();
        let source = home.and_then(|h| self.tables.blobs.get(h.blob as usize).map(|b| (*b, h.offset)));
        let (from, offset) = source.ok_or_else(|| FormatError::rule("the recipes", "a chunk has no home"))?;
        let mut buf = vec![0u8; self.tables.chunk_len(number)];
        self.sink.read_back(&from, offset, &mut buf).map_err(sink_error(&from))?;
        self.sink.write(&buf).map_err(sink_error(blob))
    }

    fn finish(self) -> Result<Materialized, BundleError> {
        if self.recipe != self.tables.recipes.len() {
            return Err(FormatError::rule("the recipes", "they want a block that does not come").into());
        }
        Ok(self.done)
    }
}

/// Whether the block as a whole is the blob, stored as it is: its digest was checked and is the blob's.
fn proven(tables: &Tables, block: Option<usize>, blob: &Blob) -> bool {
    block
        .and_then(|n| tables.blocks.rows.get(n))
        .is_some_and(|row| row.codec == Codec::Raw && row.digest == blob.digest && u64::from(row.plain_len) == blob.len)
}

fn sink_error<E: Classified + Send + Sync + 'static>(blob: &Blob) -> impl FnOnce(E) -> BundleError + '_ {
    move |e| {
        let class: Class = e.class();
        let hint = e.hint();
        BundleError::Sink { blob: blob.digest, source: Box::new(e), class, hint }
    }
}
