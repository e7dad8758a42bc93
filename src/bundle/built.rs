//! What a bundle is *built* on: sources by number, extents of patches, features and scratch space.
//!
//! The writer collects runs while blobs come; numbers are given when all are known. Specified in `spec/bundle.md`, section
//! "Deltas".

use super::BundleError;
use super::scratch;
use crate::codec::form::Form;
use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::root::{BASE, PATCH, replay};
use crate::format::section::{Recipe, Segment};
use crate::format::table::{BaseRow, ChunkRow, ExpansionRow, ExtentRow};
use crate::replay::family::Identity;
use std::collections::{BTreeMap, BTreeSet};

/// Bases of which streams are expanded have numbers below this (F35).
const MOST: u32 = 1 << 24;

/// A compressed stream in a base blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expansion {
    /// Where it begins.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
    /// Bytes that it expands to.
    pub plain_len: u64,
    /// What sort of stream it is.
    pub form: Form,
}

/// A run of a base blob, or of what a stream in it expands to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRun {
    /// The base.
    pub base: Blob,
    /// The stream; `None` for the blob as it is.
    pub expansion: Option<Expansion>,
    /// Where the run begins in that.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
}

/// See the module.
pub(super) struct Built {
    pub bases: Vec<BaseRow>,
    pub expansions: Vec<ExpansionRow>,
    pub extents: Vec<ExtentRow>,
    pub scratch: u64,
    pub requires: Vec<String>,
}

impl Built {
    pub fn new(runs: &[SourceRun], recipes: &[Recipe], chunks: &[ChunkRow]) -> Result<Built, BundleError> {
        let bases: Vec<Blob> = runs.iter().map(|r| r.base).collect::<BTreeSet<_>>().into_iter().collect();
        let (expansions, extents) = number(&bases, runs)?;
        let mut requires: BTreeSet<String> = BTreeSet::new();
        if !bases.is_empty() || recipes.iter().any(|r| r.segments == [Segment::Itself]) {
            requires.insert(BASE.into());
        }
        if !extents.is_empty() {
            requires.insert(PATCH.into());
        }
        let mut before = vec![0u64];
        before.extend(chunks.iter().scan(0u64, |sum, c| {
            *sum += u64::from(c.len);
            Some(*sum)
        }));
        let before = |chunk: u64| before.get(chunk as usize).copied().unwrap_or(0);
        requires.extend(expansions.iter().filter_map(|row| row.form.feature()).map(str::to_owned));
        let expanded: u64 = expansions.iter().map(|row| row.plain_len).sum();
        let scratch = expanded + scratch::of_replays(recipes, &before);
        for segment in recipes.iter().flat_map(|r| &r.segments) {
            if let Segment::Replay { encoder, .. } = segment {
                let identity = Identity::parse(encoder).map_err(|e| FormatError::rule("a replay", e.to_string()))?;
                requires.insert(replay(identity.family().name));
            }
        }
        let bases = bases.into_iter().map(BaseRow).collect();
        Ok(Built { bases, expansions, extents, scratch, requires: requires.into_iter().collect() })
    }
}

/// Expansions in their order, and runs with the numbers of their sources.
fn number(bases: &[Blob], runs: &[SourceRun]) -> Result<(Vec<ExpansionRow>, Vec<ExtentRow>), FormatError> {
    let too_many = || FormatError::rule("the sources", "they are too many");
    let base_of = |run: &SourceRun| {
        let n = bases.binary_search(&run.base).ok().and_then(|n| u32::try_from(n).ok());
        n.filter(|n| *n < MOST || run.expansion.is_none()).ok_or_else(too_many)
    };
    let mut numbers: BTreeMap<(u32, Expansion), u32> = BTreeMap::new();
    for run in runs {
        if let Some(e) = run.expansion {
            numbers.insert((base_of(run)?, e), 0);
        }
    }
    let first = u32::try_from(bases.len()).map_err(|_| too_many())?;
    for (n, slot) in (first..).zip(numbers.values_mut()) {
        *slot = n;
    }
    let mut extents = Vec::with_capacity(runs.len());
    for run in runs {
        let base = base_of(run)?;
        let source = match run.expansion {
            Some(e) => numbers.get(&(base, e)).copied().ok_or_else(too_many)?,
            None => base,
        };
        extents.push(ExtentRow { source, offset: run.offset, len: run.len });
    }
    let row = |(base, e): &(u32, Expansion)| {
        let Expansion { offset, len, plain_len, form } = *e;
        ExpansionRow { base: *base, form, offset, len, plain_len }
    };
    Ok((numbers.keys().map(row).collect(), extents))
}
