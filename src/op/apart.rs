//! A blob taken *apart*: its parts, with the plain bytes of those that are compressed.
//!
//! Nothing is compared here. See `spec/rationale.md`, section "Deltas".

use super::parts::{self, Part, View};
use crate::bundle::{Expansion, ScratchFile, SourceRun, temporary};
use crate::digest::Blob;
use crate::kind::ReadAt;
use std::io;

/// Old content is held in memory; larger is not looked at.
const MOST_OLD: u64 = 1 << 30;
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
}

/// Old content in memory, and the runs that it is: large streams first, so that a tar begins at a multiple of its blocks.
pub fn old(apart: &Apart, base: &Blob) -> io::Result<Option<(Vec<u8>, Vec<SourceRun>)>> {
    let total: u64 = apart.parts.iter().map(|p| apart.view(p).len).sum();
    if total == 0 || total > MOST_OLD {
        return Ok(None);
    }
    let (mut bytes, mut runs) = (vec![0u8; total as usize], Vec::new());
    let mut rest = bytes.as_mut_slice();
    let (large, others): (Vec<&Part>, Vec<&Part>) = apart.parts.iter().partition(|p| is_large(apart, p));
    for part in large.into_iter().chain(others) {
        let view = apart.view(part);
        let (now, after) = rest.split_at_mut(view.len as usize);
        view.of.read_exact_at(now, view.at)?;
        rest = after;
        let expansion = part.plain.map(|(_, plain_len)| Expansion { offset: part.offset, len: part.len, plain_len });
        let offset = if expansion.is_some() { 0 } else { part.offset };
        runs.push(SourceRun { base: *base, expansion, offset, len: view.len });
    }
    Ok(Some((bytes, runs)))
}

fn is_large(apart: &Apart, part: &Part) -> bool {
    part.plain.is_some() && apart.view(part).len >= LARGE
}
