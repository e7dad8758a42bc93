//! A *proof* makes blobs to see that they come out, and keeps nothing.
//!
//! Specified in `spec/bundle.md`, section "Writing".

use super::BundleError;
use super::materialize::BlobSink;
use crate::digest::{Blob, Hasher};
use std::collections::BTreeSet;

pub(super) struct Proof {
    wanted: BTreeSet<Blob>,
    hasher: Hasher,
}

impl Proof {
    pub fn new(wanted: BTreeSet<Blob>) -> Proof {
        Proof { wanted, hasher: Hasher::new() }
    }
}

impl BlobSink for Proof {
    type Error = BundleError;

    fn wants(&mut self, blob: &Blob) -> Result<bool, BundleError> {
        Ok(self.wanted.contains(blob))
    }
    fn begin(&mut self, _: &Blob) -> Result<(), BundleError> {
        self.hasher = Hasher::new();
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.hasher.update(bytes);
        Ok(())
    }
    fn finish(&mut self, blob: &Blob) -> Result<bool, BundleError> {
        Ok(std::mem::take(&mut self.hasher).finish() == *blob)
    }
    fn reads_back(&self) -> bool {
        false
    }
    fn read_back(&mut self, blob: &Blob, _: u64, _: &mut [u8]) -> Result<(), BundleError> {
        Err(BundleError::Restored(blob.digest))
    }
}
