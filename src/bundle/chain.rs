//! A *chain* of bundles gives the blobs of all of them: what a delta builds on, it takes of the others.
//!
//! A blob whose bases none of the others gives is not to be had, and that is no error here. Specified in `spec/bundle.md`,
//! section "Deltas".

use super::bases::{Workplace, temporary};
use super::extract::{Extractor, opened, opened_at};
use super::{Bundle, BundleError, Medium};
use crate::digest::{Blob, Digest};
use crate::kind::{BlobReader, KindError, ReadAt, ReadSeek};
use std::collections::BTreeMap;
use std::io::Write;

/// See the module.
pub struct Chain<'a, M, T> {
    readers: Vec<Extractor<'a, M, T>>,
    /// The number of the reader that gives a blob. What it builds on is given by those of smaller numbers.
    of: BTreeMap<Blob, usize>,
}

impl<'a, M: Medium, T: Sync> Chain<'a, M, T> {
    /// Reads the tables of bundles that have blocks. Full bundles come first, then deltas in the order of their sequences.
    pub fn new(bundles: impl IntoIterator<Item = &'a Bundle<M, T>>) -> Result<Chain<'a, M, T>, BundleError> {
        let mut bundles: Vec<&Bundle<M, T>> = bundles.into_iter().collect();
        bundles.sort_by_key(|b| (b.is_delta(), b.release.epoch, b.release.sequence));
        let mut chain = Chain { readers: Vec::new(), of: BTreeMap::new() };
        for bundle in bundles {
            let reader = Extractor::new(bundle, Workplace::NONE)?;
            let given =
                |blob: &&Blob| reader.bases_of(blob).is_some_and(|all| all.iter().all(|b| chain.of.contains_key(b)));
            let blobs = bundle.blobs()?;
            let more: Vec<Blob> = blobs.iter().filter(given).copied().collect();
            for blob in more {
                chain.of.entry(blob).or_insert(chain.readers.len());
            }
            chain.readers.push(reader);
        }
        Ok(chain)
    }

    /// Writes one blob, hashed on the way.
    pub fn copy(&self, blob: &Blob, out: &mut dyn Write) -> Result<(), BundleError> {
        let reader = self.of.get(blob).and_then(|n| self.readers.get(*n));
        let reader = reader.ok_or_else(|| BundleError::Lacking(vec![*blob]))?;
        reader.copy_with(blob, Workplace { bases: self, scratch: &temporary }, out)
    }
}

impl<M: Medium, T: Sync> BlobReader for Chain<'_, M, T> {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        opened(blob, |out| self.copy(blob, out))
    }

    fn open_at(&self, blob: &Blob) -> Result<Option<Box<dyn ReadAt>>, KindError> {
        opened_at(blob, |out| self.copy(blob, out))
    }

    fn find(&self, digest: &Digest) -> Option<Blob> {
        let from = Blob { digest: *digest, len: 0 };
        self.of.range(from..).next().map(|(blob, _)| *blob).filter(|b| b.digest == *digest)
    }
}
