//! *Repeats* are chunks that occur more than once in what is new: in two layers, in a tarball and in a layer. A delta carries
//! them once, whether they are stored or made of old content.
//!
//! Nothing is compared byte by byte here. See `spec/rationale.md`, section "Deltas".

use super::apart::Apart;
use super::expand::Reading;
use crate::codec::chunk::Chunks;
use crate::digest::Digest;
use std::collections::HashSet;
use std::io;

/// A shorter chunk is not worth its row and a segment for each place where it occurs.
const LEAST: usize = 1 << 10;

/// A chunk of a part that occurs elsewhere, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// The number of the part.
    pub part: usize,
    /// Where it begins in the part's bytes.
    pub at: u64,
    /// Its length.
    pub len: u64,
    /// Its digest.
    pub digest: Digest,
}

/// See the module. Eight bytes stand for a digest: one taken for another costs a row, nothing else.
#[derive(Debug, Default)]
pub struct Repeats {
    once: HashSet<u64>,
    more: HashSet<u64>,
}

/// The chunks of a blob, each in eight bytes.
pub struct Seen(Vec<u64>);

impl Seen {
    /// Cuts the blob's parts.
    pub fn new(apart: &Apart) -> io::Result<Seen> {
        let mut out = Vec::new();
        chunks(apart, &mut |chunk| out.push(short(&chunk.digest)))?;
        Ok(Seen(out))
    }
}

impl Repeats {
    /// Adds a blob.
    pub fn add(&mut self, seen: Seen) {
        for chunk in seen.0 {
            if !self.once.insert(chunk) {
                self.more.insert(chunk);
            }
        }
    }

    /// The chunks of a blob that occur more than once, in order.
    pub fn of(&self, apart: &Apart) -> io::Result<Vec<Repeated>> {
        let mut out = Vec::new();
        if !self.more.is_empty() {
            chunks(apart, &mut |chunk| {
                if self.more.contains(&short(&chunk.digest)) {
                    out.push(chunk);
                }
            })?;
        }
        Ok(out)
    }
}

fn short(digest: &Digest) -> u64 {
    digest.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn chunks(apart: &Apart, each: &mut dyn FnMut(Repeated)) -> io::Result<()> {
    for (part, view) in apart.parts.iter().map(|p| apart.view(p)).enumerate() {
        let (mut reader, mut chunks, mut at) = (Reading::new(view), Chunks::new(), 0u64);
        while let Some(bytes) = chunks.next(&mut reader)? {
            let len = bytes.len() as u64;
            if bytes.len() >= LEAST {
                each(Repeated { part, at, len, digest: Digest::of(bytes) });
            }
            at += len;
        }
    }
    Ok(())
}
