//! rpm
use super::{BlobReader, Derived, KindError};
use crate::model::Artifact;

/// Reads what the bytes say.
pub fn derive(_artifact: &Artifact, _blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    Err(KindError::Unsupported("rpm".into()))
}
