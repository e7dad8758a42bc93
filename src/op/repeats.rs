//! *Repeats* are chunks that occur more than once in what is new: in two layers, in a tarball and in a layer. A delta carries
//! them once, whether they are stored or made of old content.
//!
//! Nothing is compared byte by byte here. See `spec/rationale.md`, section "Deltas".

use super::apart::Apart;
use super::expand::Reading;
use crate::codec::chunk::Chunks;
use crate::digest::{Blob, Digest};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    /// Where else it occurs.
    pub elsewhere: Elsewhere,
}

/// Where a chunk of a blob occurs besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// In the same blob only.
    Here,
    /// In blobs that are put later.
    Later,
    /// In one that is put before.
    Before,
}

/// See the module. Eight bytes stand for a digest: one taken for another costs a row, nothing else.
#[derive(Debug, Default)]
pub struct Repeats(HashMap<u64, First>);

/// Where a chunk was seen first.
#[derive(Debug)]
struct First {
    blob: u64,
    again: bool,
    elsewhere: bool,
}

/// The chunks of a blob, each in eight bytes.
pub struct Seen {
    blob: u64,
    chunks: Vec<u64>,
}

impl Seen {
    /// Cuts the blob's parts.
    pub fn new(blob: &Blob, apart: &Apart) -> io::Result<Seen> {
        let mut out = Seen { blob: short(&blob.digest), chunks: Vec::new() };
        chunks(apart, &mut |_, _, bytes| out.chunks.push(short(&Digest::of(bytes))))?;
        Ok(out)
    }
}

impl Repeats {
    /// Adds a blob; blobs come in the order in which they are put.
    pub fn add(&mut self, seen: Seen) {
        for chunk in seen.chunks {
            match self.0.entry(chunk) {
                Entry::Vacant(slot) => {
                    slot.insert(First { blob: seen.blob, again: false, elsewhere: false });
                }
                Entry::Occupied(mut slot) => {
                    let first = slot.get_mut();
                    first.again = true;
                    first.elsewhere |= first.blob != seen.blob;
                }
            }
        }
    }

    /// The chunks of a blob that occur more than once, in order.
    pub fn of(&self, blob: &Blob, apart: &Apart) -> io::Result<Vec<Repeated>> {
        let mut out = Vec::new();
        if self.0.is_empty() {
            return Ok(out);
        }
        chunks(apart, &mut |part, at, bytes| {
            let digest = Digest::of(bytes);
            let Some(first) = self.0.get(&short(&digest)).filter(|first| first.again) else { return };
            let elsewhere = match first.blob == short(&blob.digest) {
                true if first.elsewhere => Elsewhere::Later,
                true => Elsewhere::Here,
                false => Elsewhere::Before,
            };
            out.push(Repeated { part, at, len: bytes.len() as u64, digest, elsewhere });
        })?;
        Ok(out)
    }
}

fn short(digest: &Digest) -> u64 {
    digest.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Gives `each` the part, the place in it, and the bytes of each chunk.
fn chunks(apart: &Apart, each: &mut dyn FnMut(usize, u64, &[u8])) -> io::Result<()> {
    for (part, view) in apart.parts.iter().map(|p| apart.view(p)).enumerate() {
        let (mut reader, mut chunks, mut at) = (Reading::new(view), Chunks::new(), 0u64);
        while let Some(bytes) = chunks.next(&mut reader)? {
            if bytes.len() >= LEAST {
                each(part, at, bytes);
            }
            at += bytes.len() as u64;
        }
    }
    Ok(())
}
