//! The *tables* of a carriage: recipes, chunks, blocks, sources, checked against each other.
//!
//! Every rule that needs no block is checked here, before the first blob is written. Specified in `spec/bundle.md`, section
//! "Reading".

use super::bases::{Bases, Needs};
use super::index::Bundle;
use super::sources::Sources;
use super::{BundleError, Medium, recipes};
use crate::buffer::{Buffer, Pool};
use crate::codec::block;
use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::section::{Recipe, SectionKind, Segment, decode_list};
use crate::format::table::{BlockRow, ChunkRow, Codec, ExtentRow};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where the blocks lie and what they hold.
pub(super) struct BlockTable {
    pub rows: Vec<BlockRow>,
    /// Offset of each in the file.
    pub at: Vec<u64>,
    /// Number of the first chunk of each, and one past the last of all.
    pub first_chunk: Vec<u64>,
    /// Number of the first extent of each, and one past the last of all.
    first_extent: Vec<usize>,
}

impl BlockTable {
    fn new(rows: Vec<BlockRow>, base: u64) -> BlockTable {
        let mut table = BlockTable { rows, at: vec![], first_chunk: vec![], first_extent: vec![] };
        let (mut offset, mut chunk, mut extent) = (base, 0u64, 0usize);
        for row in &table.rows {
            table.at.push(offset);
            table.first_chunk.push(chunk);
            table.first_extent.push(extent);
            offset += u64::from(row.stored_len);
            chunk += u64::from(row.chunks);
            if let Codec::Patch(extents) = row.codec {
                extent += extents as usize;
            }
        }
        table.first_chunk.push(chunk);
        table.first_extent.push(extent);
        table
    }

    pub fn block_of(&self, chunk: u64) -> usize {
        self.first_chunk.partition_point(|first| *first <= chunk).saturating_sub(1)
    }

    /// Row and offset of block `n`.
    pub fn place(&self, n: usize) -> Result<(BlockRow, u64), BundleError> {
        match (self.rows.get(n), self.at.get(n)) {
            (Some(row), Some(at)) => Ok((*row, *at)),
            _ => Err(FormatError::rule("a block", "there is none of that number").into()),
        }
    }

    /// Extents of all patches.
    fn extents(&self) -> usize {
        self.first_extent.last().copied().unwrap_or(0)
    }
}

/// See the module.
pub(super) struct Tables {
    pub blobs: Vec<Blob>,
    pub recipes: Vec<Recipe>,
    pub chunks: Vec<ChunkRow>,
    pub blocks: BlockTable,
    pub sources: Arc<Sources>,
    extents: Vec<ExtentRow>,
}

impl<M: Medium, T> Bundle<M, T> {
    pub(super) fn block_table(&self) -> Result<BlockTable, BundleError> {
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
        let extents: Vec<ExtentRow> = self.rows()?;
        if extents.len() != blocks.extents() {
            return Err(FormatError::rule("the extents", "they are not as many as the patches have").into());
        }
        let used = recipes::check(&recipes, &blobs, &chunks, &sources, &extents)?;
        self.check_features(&used, &sources)?;
        Ok(Tables { blobs, recipes, chunks, blocks, sources: Arc::new(sources), extents })
    }
}

impl Tables {
    /// Length of a chunk.
    pub fn chunk_len(&self, number: u64) -> u64 {
        self.chunks.get(number as usize).map_or(0, |row| row.len.into())
    }

    /// Bytes that the inner segments of a replay give.
    pub fn plain_len(&self, segment: &Segment) -> u64 {
        let Segment::Replay { parts, .. } = segment else { return 0 };
        let len = |part: &Segment| match part {
            Segment::Chunks { first, count } => (*first..*first + *count).map(|n| self.chunk_len(n)).sum(),
            Segment::Base { len, .. } => *len,
            _ => 0,
        };
        parts.iter().map(len).sum()
    }

    /// Where in a block's plain bytes each of its chunks begins, and where the last ends.
    pub fn starts(&self, n: usize) -> Vec<usize> {
        let bound = |n: usize| self.blocks.first_chunk.get(n).copied().unwrap_or(0);
        let mut at = 0usize;
        let ends = (bound(n)..bound(n + 1)).map(|chunk| {
            at += self.chunk_len(chunk) as usize;
            at
        });
        std::iter::once(0).chain(ends).collect()
    }

    /// The extents of block `n`; none unless it is a patch.
    pub fn extents_of(&self, n: usize) -> &[ExtentRow] {
        match (self.blocks.first_extent.get(n), self.blocks.first_extent.get(n + 1)) {
            (Some(from), Some(to)) => self.extents.get(*from..*to).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The plain bytes of a stored block, whose digest is checked first.
    pub fn restore(
        &self,
        n: usize,
        row: &BlockRow,
        stored: Buffer,
        bases: &Bases<'_>,
        pool: &Pool,
    ) -> Result<Buffer, BundleError> {
        match row.codec {
            Codec::Patch(_) => {
                block::check(row, &stored)?;
                Ok(bases.patched(&stored, row.plain_len, self.extents_of(n))?.into())
            }
            _ => Ok(block::restore(row, stored, pool)?),
        }
    }

    /// Whether a blob takes more to make than reading blocks: an encoder, a patch, or bytes of a base.
    fn is_made(&self, segments: &[Segment]) -> bool {
        segments.iter().any(|segment| match segment {
            Segment::Chunks { first, count } => {
                let (from, to) = (self.blocks.block_of(*first), self.blocks.block_of(first + count - 1));
                (from..=to).any(|n| !self.extents_of(n).is_empty())
            }
            Segment::Itself => false,
            Segment::Base { .. } | Segment::Replay { .. } => true,
        })
    }

    /// Blobs that are made so.
    pub fn made(&self) -> BTreeSet<Blob> {
        let made = self.recipes.iter().filter(|r| self.is_made(&r.segments));
        made.filter_map(|r| self.blobs.get(r.blob as usize)).copied().collect()
    }

    /// What one blob needs of the bases, by its own segments and by the patches of its chunks.
    pub fn recipe_needs(&self, recipe: &Recipe, blob: &Blob) -> Needs {
        let mut needs = Needs::default();
        self.collect(&recipe.segments, blob, &mut needs);
        needs
    }

    fn collect(&self, segments: &[Segment], blob: &Blob, needs: &mut Needs) {
        for segment in segments {
            match segment {
                Segment::Itself => drop(needs.whole.replace(*blob)),
                Segment::Base { source, .. } => drop(needs.sources.replace(*source as usize)),
                Segment::Chunks { first, count } if !self.extents.is_empty() => {
                    let (from, to) = (self.blocks.block_of(*first), self.blocks.block_of(first + count - 1));
                    let extents = (from..=to).flat_map(|n| self.extents_of(n));
                    needs.sources.extend(extents.map(|row| row.source as usize));
                }
                Segment::Chunks { .. } => {}
                Segment::Replay { parts, .. } => self.collect(parts, blob, needs),
            }
        }
    }

    /// What the wanted blobs need of the bases. `kept`: a blob that is its own base is needed also where it is not wanted,
    /// because what is there has to be what it is called.
    pub fn needs(&self, wanted: &[bool], kept: bool) -> Needs {
        let mut all = Needs::default();
        for recipe in &self.recipes {
            let (n, blob) = (recipe.blob as usize, self.blobs.get(recipe.blob as usize));
            if let Some(blob) =
                blob.filter(|_| wanted.get(n) == Some(&true) || kept && recipe.segments == [Segment::Itself])
            {
                self.collect(&recipe.segments, blob, &mut all);
            }
        }
        all
    }
}

/// Whether block `n` as a whole is the blob, stored as it is: its digest was checked and is the blob's.
pub(super) fn proven(tables: &Tables, n: usize, blob: &Blob) -> bool {
    tables
        .blocks
        .rows
        .get(n)
        .is_some_and(|row| row.codec == Codec::Raw && row.digest == blob.digest && u64::from(row.plain_len) == blob.len)
}
