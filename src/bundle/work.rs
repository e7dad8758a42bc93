//! *Work* is what it takes to make the blobs of a bundle on the far side, in bytes of each sort.
//!
//! Bytes only: how long they take is not known here. Specified in `spec/bundle.md`, section "Deltas".

use super::index::Bundle;
use super::{BundleError, Medium};
use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::section::{Recipe, Segment};
use crate::format::table::{BlockRow, ChunkRow, Codec};
use crate::replay::family::Identity;
use std::collections::{BTreeMap, BTreeSet};

/// See the module. All lengths are in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Work {
    /// Blobs that are made.
    pub blobs: u64,
    /// Their bytes.
    pub written: u64,
    /// Blocks, as they are stored.
    pub read: u64,
    /// What zstd blocks hold.
    pub decompressed: u64,
    /// What patches make.
    pub patched: u64,
    /// What encoders are given, by the name of the family.
    pub replayed: BTreeMap<&'static str, u64>,
    /// Base blobs, which are hashed whole.
    pub bases: u64,
    /// What is expanded of them.
    pub expanded: u64,
    /// Scratch space beside the blobs.
    pub scratch: u64,
}

/// The tables that say it.
pub(super) struct Parts<'a> {
    pub blobs: &'a [Blob],
    pub recipes: &'a [Recipe],
    pub chunks: &'a [ChunkRow],
    pub rows: &'a [BlockRow],
    pub bases: &'a [Blob],
    pub expanded: u64,
    pub scratch: u64,
}

impl Work {
    pub(super) fn new(parts: &Parts<'_>) -> Result<Work, FormatError> {
        let mut out = Work { expanded: parts.expanded, scratch: parts.scratch, ..Work::default() };
        for row in parts.rows {
            out.read += u64::from(row.stored_len);
            match row.codec {
                Codec::Raw => {}
                Codec::Zstd => out.decompressed += u64::from(row.plain_len),
                Codec::Patch(_) => out.patched += u64::from(row.plain_len),
            }
        }
        let mut bases: BTreeSet<Blob> = parts.bases.iter().copied().collect();
        for recipe in parts.recipes {
            let Some(blob) = usize::try_from(recipe.blob).ok().and_then(|n| parts.blobs.get(n)) else { continue };
            if recipe.segments == [Segment::Itself] {
                bases.insert(*blob);
                continue;
            }
            out.blobs += 1;
            out.written = out.written.saturating_add(blob.len);
            for segment in &recipe.segments {
                if let Segment::Replay { encoder, parts: inner, .. } = segment {
                    let identity =
                        Identity::parse(encoder).map_err(|e| FormatError::rule("a replay", e.to_string()))?;
                    *out.replayed.entry(identity.family().name).or_default() += plain(parts.chunks, inner);
                }
            }
        }
        out.bases = bases.iter().map(|b| b.len).fold(0, u64::saturating_add);
        Ok(out)
    }
}

/// Bytes that the inner segments of a replay give.
fn plain(chunks: &[ChunkRow], inner: &[Segment]) -> u64 {
    let len = |segment: &Segment| match segment {
        Segment::Chunks { first, count } => {
            let (first, count) = (usize::try_from(*first).unwrap_or(usize::MAX), usize::try_from(*count).unwrap_or(0));
            chunks.iter().skip(first).take(count).map(|c| u64::from(c.len)).sum()
        }
        Segment::Base { len, .. } => *len,
        _ => 0,
    };
    inner.iter().map(len).fold(0, u64::saturating_add)
}

impl<M: Medium, T: Sync> Bundle<M, T> {
    /// What it takes where nothing is there yet but the bases.
    pub fn work(&self) -> Result<Work, BundleError> {
        self.require_blocks()?;
        let tables = self.tables()?;
        let parts = Parts {
            blobs: &tables.blobs,
            recipes: &tables.recipes,
            chunks: &tables.chunks,
            rows: &tables.blocks.rows,
            bases: &tables.sources.bases,
            expanded: tables.sources.expanded_len().unwrap_or(u64::MAX),
            scratch: self.carriage.scratch,
        };
        Ok(Work::new(&parts)?)
    }
}
