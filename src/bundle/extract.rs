//! *Extracting* is reading single blobs of a bundle, for looking: in any order, without a site.
//!
//! It reads a block for each run of chunks it needs, so that all blobs of a bundle are had faster by unpacking it.
//! Specified in `spec/bundle.md`, section "Blocks, chunks, recipes".

use super::bases::{Bases, Needs, ScratchFile, Workplace, temporary};
use super::maker::Maker;
use super::materialize::BlobSink;
use super::tables::Tables;
use super::walk::{Planner, Walk};
use super::{Bundle, BundleError, Medium, read_block};
use crate::buffer::{Buffer, Pool};
use crate::digest::{Blob, Digest, Hasher};
use crate::format::FormatError;
use crate::format::section::Recipe;
use crate::kind::{BlobReader, KindError, ReadAt, ReadSeek};
use crate::monitor::Silent;
use std::collections::BTreeSet;
use std::io::{self, Seek as _, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// Reads single blobs.
pub struct Extractor<'a, M, T> {
    bundle: &'a Bundle<M, T>,
    tables: Tables,
    /// For each blob of the table, the number of its recipe.
    recipes: Vec<usize>,
    /// The block that was read last.
    last: Mutex<Option<(usize, Buffer)>>,
    pool: Pool,
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
        Ok(Extractor { bundle, tables, recipes, last: Mutex::default(), pool: Pool::default(), work })
    }

    /// Where in the file a blob begins, as a number that only orders blobs: reading them in this order reads most blocks
    /// once. `None` where there is no such blob.
    pub fn position(&self, blob: &Blob) -> Option<usize> {
        self.recipes.get(self.tables.blobs.binary_search(blob).ok()?).copied()
    }

    fn recipe(&self, blob: &Blob) -> Option<&Recipe> {
        let number = self.tables.blobs.binary_search(blob).ok()?;
        self.tables.recipes.get(*self.recipes.get(number)?)
    }

    /// The bases that a blob is made of; `None` where there is no such blob.
    pub fn bases_of(&self, blob: &Blob) -> Option<BTreeSet<Blob>> {
        let sources = &self.tables.sources;
        let Needs { sources: numbers, whole } = self.tables.recipe_needs(self.recipe(blob)?, blob);
        let bases = numbers.into_iter().filter_map(|n| sources.bases.get(sources.base_of(n)?).copied());
        Some(bases.chain(whole).collect())
    }

    /// Writes one blob, hashed on the way.
    pub fn copy(&self, blob: &Blob, out: &mut dyn Write) -> Result<(), BundleError> {
        self.copy_with(blob, self.work, out)
    }

    /// The same with bases from elsewhere. They are hashed and expanded for this blob alone, so that the scratch space is what one
    /// blob takes.
    pub fn copy_with(&self, blob: &Blob, work: Workplace<'_>, out: &mut dyn Write) -> Result<(), BundleError> {
        let missing = || BundleError::from(FormatError::rule("the release", format!("it has no blob {}", blob.digest)));
        let recipe = self.recipe(blob).ok_or_else(missing)?;
        let bases = Bases::new(&self.tables.sources, work);
        bases.prove(&self.tables.recipe_needs(recipe, blob), 1, &Silent)?;
        let mut planner = Planner::new(&self.tables);
        Walk::new(&self.tables, false).recipe(recipe, true, &mut planner)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut next = |n: usize| match last.take() {
            Some((have, plain)) if have == n => Ok(plain),
            _ => self.block(n, &bases),
        };
        let mut sink = Single(out, Hasher::new());
        let mut maker = Maker::new(&self.tables, &bases, &mut sink, &mut next, planner.plan.kept, 1);
        let made = Walk::new(&self.tables, false).recipe(recipe, true, &mut maker);
        let block = maker.into_block();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = block.or(last);
        made
    }

    fn block(&self, n: usize, bases: &Bases<'_>) -> Result<Buffer, BundleError> {
        let (row, at) = self.tables.blocks.place(n)?;
        let stored = read_block(&self.bundle.sealed.medium, at, row.stored_len, &self.pool)?;
        self.tables.restore(n, &row, stored, bases, &self.pool).map_err(|e| e.of_block(n, at, &row))
    }
}

/// One blob on its way out.
struct Single<W>(W, Hasher);

impl<W: Write> BlobSink for Single<W> {
    type Error = BundleError;

    fn wants(&mut self, _: &Blob) -> Result<bool, BundleError> {
        Ok(true)
    }
    fn begin(&mut self, _: &Blob) -> Result<(), BundleError> {
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.1.update(bytes);
        self.0.write_all(bytes).map_err(BundleError::Write)
    }
    fn finish(&mut self, blob: &Blob) -> Result<bool, BundleError> {
        Ok(std::mem::take(&mut self.1).finish() == *blob)
    }
    fn reads_back(&self) -> bool {
        false
    }
    fn read_back(&mut self, blob: &Blob, _: u64, _: &mut [u8]) -> Result<(), BundleError> {
        Err(BundleError::Restored(blob.digest))
    }
}

/// A blob that cannot be had, as readers of kinds say it.
fn of_kind(blob: &Blob) -> impl FnOnce(BundleError) -> KindError + '_ {
    move |e| match e {
        BundleError::Lacking(_) => KindError::MissingBlob(blob.digest),
        other => KindError::Io(io::Error::other(other)),
    }
}

/// What `copy` writes of a blob, in an unlinked scratch file.
pub(super) fn opened(
    blob: &Blob,
    copy: impl FnOnce(&mut dyn Write) -> Result<(), BundleError>,
) -> Result<Box<dyn ReadSeek>, KindError> {
    let mut file = tempfile::tempfile()?;
    copy(&mut file).map_err(of_kind(blob))?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Box::new(file))
}

/// The same, where it can be read at any place.
pub(super) fn opened_at(
    blob: &Blob,
    copy: impl FnOnce(&mut dyn Write) -> Result<(), BundleError>,
) -> Result<Option<Box<dyn ReadAt>>, KindError> {
    struct Out<'a>(&'a dyn ScratchFile, u64);
    impl Write for Out<'_> {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.write_at(buf, self.1)?;
            self.1 += buf.len() as u64;
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let file = temporary()?;
    copy(&mut Out(&*file, 0)).map_err(of_kind(blob))?;
    Ok(Some(file))
}

impl<M: Medium, T: Sync> BlobReader for Extractor<'_, M, T> {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        opened(blob, |out| self.copy(blob, out))
    }

    fn open_at(&self, blob: &Blob) -> Result<Option<Box<dyn ReadAt>>, KindError> {
        opened_at(blob, |out| self.copy(blob, out))
    }

    fn find(&self, digest: &Digest) -> Option<Blob> {
        let at = self.tables.blobs.partition_point(|b| b.digest < *digest);
        self.tables.blobs.get(at).filter(|b| b.digest == *digest).copied()
    }
}
