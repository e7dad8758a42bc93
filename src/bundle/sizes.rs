//! *Sizes*: where the bytes of a bundle go, and which encoder makes what.
//!
//! Numbers only; nothing is read but the tables. Specified in `spec/bundle.md`, section "Deltas".

use super::index::Bundle;
use super::maker;
use super::tables::Tables;
use super::{BundleError, Medium};
use crate::digest::Blob;
use crate::format::section::Segment;
use crate::format::table::Codec;
use std::collections::BTreeMap;

/// Bytes as stored, and what they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Share {
    /// How many blocks, sections, streams or blobs.
    pub count: u64,
    /// Bytes in the file.
    pub stored: u64,
    /// Bytes that they stand for.
    pub plain: u64,
}

impl Share {
    fn add(&mut self, stored: u64, plain: u64) {
        self.count += 1;
        self.stored = self.stored.saturating_add(stored);
        self.plain = self.plain.saturating_add(plain);
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// Blocks by codec: `raw`, `zstd`, `patch`.
    pub blocks: BTreeMap<&'static str, Share>,
    /// Sections by kind.
    pub sections: BTreeMap<&'static str, Share>,
    /// Streams by encoder: stored are the checkpoints, plain is the stream.
    pub replays: BTreeMap<String, Share>,
    /// Blobs that are left out whole.
    pub left_out: Share,
    /// Bases besides, by what is expanded of them: stored is the base, plain what is expanded.
    pub bases: Share,
    /// Blobs: how they are made.
    #[serde(skip)]
    pub blobs: BTreeMap<Blob, Made>,
}

/// How a blob is made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// It is not in the file.
    LeftOut,
    /// Of blocks alone.
    Stored,
    /// Of patches, and of streams by encoders: their names, and the bytes of the blob that they make.
    Differences {
        /// Encoders.
        encoders: Vec<String>,
        /// Bytes that they make.
        replayed: u64,
    },
}

impl<M: Medium, T: Sync> Bundle<M, T> {
    /// Counts.
    pub fn sizes(&self) -> Result<Sizes, BundleError> {
        self.require_blocks()?;
        let tables = self.tables()?;
        let mut out = Sizes::default();
        for row in &tables.blocks.rows {
            let name = match row.codec {
                Codec::Raw => "raw",
                Codec::Zstd => "zstd",
                Codec::Patch(_) => "patch",
            };
            out.blocks.entry(name).or_default().add(row.stored_len.into(), row.plain_len.into());
        }
        for s in &self.carriage.sections {
            out.sections.entry(s.kind.name()).or_default().add(s.stored_len.into(), s.plain_len.into());
        }
        let expanded = tables.sources.expanded_len().unwrap_or(u64::MAX);
        tables.sources.bases.iter().for_each(|b| out.bases.add(b.len, 0));
        out.bases.plain = expanded;
        let made = tables.made();
        for recipe in &tables.recipes {
            let Some(blob) = tables.blobs.get(recipe.blob as usize) else { continue };
            if recipe.segments == [Segment::Itself] {
                out.left_out.add(0, blob.len);
                out.blobs.insert(*blob, Made::LeftOut);
                continue;
            }
            let (mut encoders, mut replayed) = (Vec::new(), 0u64);
            for segment in &recipe.segments {
                replays(&tables, segment, &mut out, &mut encoders, &mut replayed)?;
            }
            let how = if made.contains(blob) { Made::Differences { encoders, replayed } } else { Made::Stored };
            out.blobs.insert(*blob, how);
        }
        Ok(out)
    }
}

fn replays(
    tables: &Tables,
    segment: &Segment,
    out: &mut Sizes,
    encoders: &mut Vec<String>,
    replayed: &mut u64,
) -> Result<(), BundleError> {
    let Segment::Replay { encoder, checkpoints, len, .. } = segment else { return Ok(()) };
    let stream = maker::parse(encoder, &checkpoints.0, *len, tables.plain_len(segment))?;
    let name = stream.identity.to_string();
    out.replays.entry(name.clone()).or_default().add(checkpoints.0.len() as u64, *len);
    *replayed = replayed.saturating_add(*len);
    if !encoders.contains(&name) {
        encoders.push(name);
    }
    Ok(())
}
