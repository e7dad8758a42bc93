//! A *run* is blocks of new content that are compared with the same old content, so that what is held in memory is bounded
//! whatever the sizes.
//!
//! It compares nothing. See `spec/rationale.md`, section "Deltas".

use super::apart::Apart;
use super::pairs::Bounds;
use super::resemble::Table;
use super::units::Mark;
use crate::bundle::SourceRun;
use crate::digest::Blob;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// Units of one part between two that are taken are taken too, if they are at most so many.
const BETWEEN: u32 = 3;

/// Old content that may be taken.
pub struct Source {
    /// Its number in the table.
    pub number: usize,
    /// The blob.
    pub blob: Blob,
    /// The blob apart.
    pub apart: Arc<Apart>,
}

/// A block of new content, and about where in the run's old content its own lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins in the new content.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Where its old content begins.
    pub place: u64,
}

/// A part of a source's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    source: usize,
    part: usize,
    from: u64,
    len: u64,
}

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// Its blocks.
    pub blocks: Vec<Block>,
    /// Their old content, one after another; may be nothing.
    pub old: Vec<Take>,
}

impl Run {
    /// Reads the old content; gives where its parts begin, too.
    pub fn load(&self, sources: &[Source]) -> io::Result<(Vec<u8>, Vec<usize>)> {
        let total: u64 = self.old.iter().map(|t| t.len).sum();
        let (mut bytes, mut begins) = (vec![0u8; total as usize], Vec::new());
        let (mut rest, mut at) = (bytes.as_mut_slice(), 0);
        for take in &self.old {
            let (now, after) = rest.split_at_mut(take.len as usize);
            if let Some((source, part)) = take.of(sources) {
                let view = source.apart.view(part);
                view.of.read_exact_at(now, view.at + take.from)?;
            }
            begins.push(at);
            at += now.len();
            rest = after;
        }
        Ok((bytes, begins))
    }

    /// The old content as runs of base blobs.
    pub fn extents(&self, sources: &[Source]) -> Vec<SourceRun> {
        let of = |t: &Take| t.of(sources).map(|(s, part)| s.apart.run(part, t.from, t.len, &s.blob));
        self.old.iter().filter_map(of).collect()
    }
}

impl Take {
    fn of<'a>(&self, sources: &'a [Source]) -> Option<(&'a Source, &'a super::parts::Part)> {
        let source = sources.get(self.source)?;
        Some((source, source.apart.parts.get(self.part)?))
    }
}

/// All old content at once: the large streams of each source first, as `blocks` expect those of the first.
pub fn whole(sources: &[Source], blocks: Vec<Block>) -> Run {
    let mut old = Vec::new();
    for (source, s) in sources.iter().enumerate() {
        let all = || s.apart.parts.iter().enumerate();
        let large = all().filter(|(_, p)| s.apart.is_large(p));
        let others = all().filter(|(_, p)| !s.apart.is_large(p));
        let takes = large.chain(others).map(|(part, p)| Take { source, part, from: 0, len: s.apart.view(p).len });
        old.extend(takes.filter(|t| t.len > 0));
    }
    Run { blocks, old }
}

/// Whether the sources are short enough to be taken whole for `len` bytes of new content.
pub fn fit(sources: &[Source], len: u64, bounds: Bounds) -> bool {
    let old =
        sources.iter().flat_map(|s| s.apart.parts.iter().map(|p| s.apart.view(p).len)).fold(0, u64::saturating_add);
    old <= bounds.whole && old <= len.saturating_mul(8).max(bounds.block)
}

/// For each block the units that share most marks with it. `marks` are in the order of the content: place and value.
pub fn by_units(
    sources: &[Source],
    table: &Table,
    marks: &[(u64, Mark)],
    blocks: Vec<Block>,
    bounds: Bounds,
) -> Vec<Run> {
    let source_of: BTreeMap<usize, usize> = sources.iter().enumerate().map(|(n, s)| (s.number, n)).collect();
    let mut out: Vec<(Vec<Block>, BTreeSet<u32>)> = Vec::new();
    for block in blocks {
        let from = marks.partition_point(|m| m.0 < block.start);
        let to = marks.partition_point(|m| m.0 < block.end);
        let units = units_of(marks.get(from..to).unwrap_or_default(), table, &source_of, bounds.block);
        let joined = out.last().map(|(_, have)| have.union(&units).copied().collect::<BTreeSet<u32>>());
        let fits = |all: &BTreeSet<u32>| len_of(all.iter(), table) <= bounds.run;
        match (out.last_mut(), joined.filter(fits)) {
            (Some((blocks, have)), Some(joined)) if have.is_empty() == joined.is_empty() => {
                blocks.push(block);
                *have = joined;
            }
            _ => out.push((vec![block], units)),
        }
    }
    let content_of = |n: u32| table.content_of(n).and_then(|c| source_of.get(&c)).copied();
    out.into_iter().map(|(blocks, units)| laid(blocks, &units, table, &content_of)).collect()
}

fn len_of<'a>(units: impl Iterator<Item = &'a u32>, table: &Table) -> u64 {
    units.filter_map(|n| table.unit(*n)).map(|u| u.len).sum()
}

/// The units of the sources that have most of the marks, and what lies between them.
fn units_of(marks: &[(u64, Mark)], table: &Table, source_of: &BTreeMap<usize, usize>, most: u64) -> BTreeSet<u32> {
    let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
    for (_, mark) in marks {
        for (unit, content) in table.having(mark.value) {
            if source_of.contains_key(&content) {
                *votes.entry(unit).or_default() += 1;
            }
        }
    }
    let mut ranked: Vec<(usize, std::cmp::Reverse<u32>)> =
        votes.into_iter().map(|(unit, count)| (count, std::cmp::Reverse(unit))).collect();
    ranked.sort_unstable();
    let (mut taken, mut sum) = (BTreeSet::new(), 0u64);
    for (_, std::cmp::Reverse(unit)) in ranked.into_iter().rev() {
        let len = table.unit(unit).map_or(0, |u| u.len);
        if taken.is_empty() || sum + len <= most {
            sum += len;
            taken.insert(unit);
        }
    }
    let between: Vec<u32> = taken
        .iter()
        .zip(taken.iter().skip(1))
        .filter(|(a, b)| *b - *a <= BETWEEN + 1 && table.follow(**a, **b))
        .flat_map(|(a, b)| a + 1..*b)
        .collect();
    for unit in between {
        let len = table.unit(unit).map_or(0, |u| u.len);
        if sum + len <= most {
            sum += len;
            taken.insert(unit);
        }
    }
    taken
}

/// Units one after another; those that touch are one.
fn laid(blocks: Vec<Block>, units: &BTreeSet<u32>, table: &Table, source_of: &dyn Fn(u32) -> Option<usize>) -> Run {
    let mut old: Vec<Take> = Vec::new();
    for n in units {
        let (Some(unit), Some(source)) = (table.unit(*n), source_of(*n)) else { continue };
        match old.last_mut() {
            Some(t) if (t.source, t.part, t.from + t.len) == (source, unit.part, unit.from) => t.len += unit.len,
            _ => old.push(Take { source, part: unit.part, from: unit.from, len: unit.len }),
        }
    }
    Run { blocks: blocks.into_iter().map(|b| Block { place: 0, ..b }).collect(), old }
}
