//! *Extracting* is reading single blobs of a bundle, for looking: in any order, without a site.
//!
//! It reads a block for each run of chunks it needs, so that all blobs of a bundle are had faster by unpacking it.
//! Specified in `spec/bundle.md`, section "Blocks, chunks, recipes".

use super::bases::{Bases, Workplace};
use super::materialize::{Tables, recipe_needs};
use super::{Bundle, BundleError, Medium, read_range};
use crate::codec::block;
use crate::digest::{Blob, Digest, HashingWriter};
use crate::format::FormatError;
use crate::format::section::Segment;
use crate::kind::{BlobReader, KindError, ReadSeek};
use crate::monitor::Silent;
use std::io::{self, Seek as _, SeekFrom, Write};
use std::sync::Mutex;

/// Reads single blobs.
pub struct Extractor<'a, M, T> {
    bundle: &'a Bundle<M, T>,
    tables: Tables,
    /// For each blob of the table, the number of its recipe.
    recipes: Vec<usize>,
    last: Mutex<Option<(usize, Vec<u8>)>>,
    work: Workplace<'a>,
}

impl<'a, M: Medium, T: Sync> Extractor<'a, M, T> {
    /// Reads the carriage's tables. Bases are taken from `work`, each when a blob needs it.
    pub fn new(bundle: &'a Bundle<M, T>, work: Workplace<'a>) -> Result<Extractor<'a, M, T>, BundleError> {
        bundle.require_blocks()?;
        let tables = bundle.tables()?;
        let mut recipes = vec![0; tables.blobs.len()];
        for (n, recipe) in tables.recipes.iter().enumerate() {
            if let Some(slot) = recipes.get_mut(recipe.blob as usize) {
                *slot = n;
            }
        }
        Ok(Extractor { bundle, tables, recipes, last: Mutex::new(None), work })
    }

    /// Where in the file a blob begins, as a number that only orders blobs: reading them in this order reads most blocks
    /// once. `None` where there is no such blob.
    pub fn position(&self, blob: &Blob) -> Option<usize> {
        self.recipes.get(self.tables.blobs.binary_search(blob).ok()?).copied()
    }

    /// Writes one blob, hashed on the way.
    pub fn copy(&self, blob: &Blob, out: &mut dyn Write) -> Result<(), BundleError> {
        let missing = || BundleError::from(FormatError::rule("the release", format!("it has no blob {}", blob.digest)));
        let number = self.tables.blobs.binary_search(blob).map_err(|_| missing())?;
        let recipe = self.recipes.get(number).and_then(|n| self.tables.recipes.get(*n)).ok_or_else(missing)?;
        let mut out = HashingWriter::new(out);
        let bases = Bases::open(&self.tables.sources, &recipe_needs(recipe, blob), self.work, 1, &Silent)?;
        for segment in &recipe.segments {
            let mut put = |piece: &[u8]| out.write_all(piece).map_err(BundleError::Write);
            match segment {
                Segment::Chunks { first, count } => {
                    for chunk in *first..*first + *count {
                        self.chunk(chunk, &mut out)?;
                    }
                }
                Segment::Base { source, offset, len } => bases.copy(*source as usize, *offset, *len, &mut put)?,
                Segment::Itself => bases.whole(blob, &mut put)?,
            }
        }
        let (_, made) = out.finish();
        if made == *blob { Ok(()) } else { Err(BundleError::Restored(blob.digest)) }
    }

    fn chunk(&self, number: u64, out: &mut dyn Write) -> Result<(), BundleError> {
        let blocks = &self.tables.blocks;
        let n = blocks.block_of(number);
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.as_ref().is_none_or(|(have, _)| *have != n) {
            *last = Some((n, self.block(n)?));
        }
        let first = blocks.first_chunk.get(n).copied().unwrap_or(0);
        let len = |c: u64| self.tables.chunks.get(c as usize).map_or(0, |row| row.len as usize);
        let offset: usize = (first..number).map(len).sum();
        let plain = last.as_ref().map(|(_, plain)| plain.as_slice()).unwrap_or_default();
        let bytes = plain.get(offset..offset + len(number)).unwrap_or_default();
        out.write_all(bytes).map_err(BundleError::Write)
    }

    fn block(&self, n: usize) -> Result<Vec<u8>, BundleError> {
        let blocks = &self.tables.blocks;
        let (Some(row), Some(at)) = (blocks.rows.get(n), blocks.at.get(n)) else {
            return Err(FormatError::rule("a block", "there is none of that number").into());
        };
        let stored = read_range(&self.bundle.sealed.medium, *at, row.stored_len.into())?;
        block::restore(row, stored).map_err(|source| BundleError::Block {
            number: n as u64,
            at: *at,
            len: row.stored_len,
            source,
        })
    }
}

impl<M: Medium, T: Sync> BlobReader for Extractor<'_, M, T> {
    /// Through an unlinked scratch file.
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        let mut file = tempfile::tempfile()?;
        self.copy(blob, &mut file).map_err(|e| match e {
            BundleError::Lacking(_) => KindError::MissingBlob(blob.digest),
            other => KindError::Io(io::Error::other(other)),
        })?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(file))
    }

    fn find(&self, digest: &Digest) -> Option<Blob> {
        let at = self.tables.blobs.partition_point(|b| b.digest < *digest);
        self.tables.blobs.get(at).filter(|b| b.digest == *digest).copied()
    }
}
