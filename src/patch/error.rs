//! Why a patch cannot be made or applied.

/// Errors of this floor.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The stored form breaks a rule of `spec/patch.md`.
    #[error("the patch is damaged: {stream}: {what}")]
    Damaged {
        /// Which part of it.
        stream: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// It makes more than this version takes.
    #[error("the patch makes {have} bytes, more than the limit of {limit}")]
    Limit {
        /// Declared length of the new content.
        have: u64,
        /// The limit.
        limit: u64,
    },
    /// Old content could not be read.
    #[error("old content cannot be read at {at}")]
    Old {
        /// Where.
        at: u64,
        /// Why.
        source: std::io::Error,
    },
    /// What was made does not come back; a defect of the program or the machine.
    #[error("a patch did not give back what it was made of; test this machine")]
    Unproven,
    /// zstd failed to compress.
    #[error("a stream of the patch cannot be compressed")]
    Compress(#[source] std::io::Error),
}

pub(super) fn damaged(stream: &'static str, what: &'static str) -> PatchError {
    PatchError::Damaged { stream, what }
}
