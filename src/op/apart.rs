//! A blob taken *apart*: its parts, with the plain bytes of those that are compressed.
//!
//! Nothing is compared here. See `spec/rationale.md`, section "Deltas".

use super::parts::{self, Part, View};
use crate::bundle::{Expansion, ScratchFile, SourceRun, temporary};
use crate::digest::Blob;
use crate::kind::ReadAt;
use std::io;

/// A stream of at least so many plain bytes has blocks for itself.
pub const LARGE: u64 = 1 << 20;

/// A blob apart, and what its parts are read from.
pub struct Apart {
    /// The blob.
    pub blob: Box<dyn ReadAt>,
    plain: Box<dyn ScratchFile>,
    /// Its parts, which cover it.
    pub parts: Vec<Part>,
}

impl Apart {
    /// Takes a blob of `len` bytes apart.
    pub fn new(blob: Box<dyn ReadAt>, len: u64) -> io::Result<Apart> {
        let plain = temporary()?;
        let parts = parts::split(&*blob, len, &*plain)?;
        Ok(Apart { blob, plain, parts })
    }

    /// The bytes that a part is compared by.
    pub fn view(&self, part: &Part) -> View<'_> {
        match part.plain {
            Some((at, len)) => View { of: &*self.plain as &dyn ReadAt, at, len },
            None => View { of: &*self.blob, at: part.offset, len: part.len },
        }
    }

    /// Bytes of its streams, expanded.
    pub fn scratch(&self) -> u64 {
        self.parts.iter().filter_map(|p| p.plain).map(|(_, len)| len).sum()
    }

    /// `len` bytes from `from` on of a part's, as a run of the blob `base`.
    pub fn run(&self, part: &Part, from: u64, len: u64, base: &Blob) -> SourceRun {
        let expansion = part.plain.map(|(_, plain_len)| Expansion {
            offset: part.offset,
            len: part.len,
            plain_len,
            form: part.form,
        });
        let offset = if expansion.is_some() { from } else { part.offset + from };
        SourceRun { base: *base, expansion, offset, len }
    }

    /// Whether a part is a stream that has blocks for itself.
    pub fn is_large(&self, part: &Part) -> bool {
        part.plain.is_some() && self.view(part).len >= LARGE
    }
}
