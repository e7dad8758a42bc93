//! A *file* is an artifact without an ecosystem: bytes at a path.
//!
//! Its facts say nothing that the release does not say already. Specified in `spec/facts.md`, section "file/1".

use super::{BlobReader, Derived, KindError, top};
use crate::cbor::{Bytes, encode, record};
use crate::model::Artifact;

record! {
    /// Facts of a plain file, schema `file/1`: an empty record.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FileFacts {}
}

/// Reads what the bytes say: nothing.
pub fn derive(artifact: &Artifact, _blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let facts = Bytes(encode(&FileFacts {}));
    Ok(Derived { name: None, version: None, arch: None, blobs: vec![top(artifact)?], made: vec![], facts })
}
