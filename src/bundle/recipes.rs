//! *Recipes* checked: every rule that needs neither a block nor a base.
//!
//! It restores nothing. Specified in `spec/bundle.md`, sections "Blocks, chunks, recipes" and "Deltas".

use super::Medium;
use super::index::Bundle;
use super::maker;
use super::scratch;
use super::sources::Sources;
use crate::codec::form::Form;
use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::root::{BASE, PATCH, replay};
use crate::format::section::{Recipe, Segment};
use crate::format::table::{ChunkRow, ExtentRow};
use crate::replay::family::FAMILIES;
use std::collections::BTreeSet;

fn broken<T>(why: String) -> Result<T, FormatError> {
    Err(FormatError::rule("the recipes", why))
}

/// What the recipes were seen to use.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Bases, or blobs that are their own.
    pub base: bool,
    /// Patches.
    pub patch: bool,
    /// Forms of streams that are expanded.
    pub forms: BTreeSet<Form>,
    /// Families of encoders.
    pub families: BTreeSet<&'static str>,
    /// Scratch space that replays take.
    pub scratch: u64,
}

/// Every blob once; chunks first used in ascending order without a gap; sources there and used; lengths add up.
pub(super) fn check(
    recipes: &[Recipe],
    blobs: &[Blob],
    chunks: &[ChunkRow],
    sources: &Sources,
    extents: &[ExtentRow],
) -> Result<Used, FormatError> {
    let mut walk = Walk::new(chunks, sources);
    walk.used.base = !sources.bases.is_empty();
    walk.used.patch = !extents.is_empty();
    walk.used.forms = sources.expansions.iter().map(|row| row.form).collect();
    extents.iter().try_for_each(|row| walk.source(row.source.into(), row.offset, row.len, "a patch"))?;
    let mut seen = vec![false; blobs.len()];
    for recipe in recipes {
        let n = usize::try_from(recipe.blob).unwrap_or(usize::MAX);
        let (Some(seen @ false), Some(blob)) = (seen.get_mut(n), blobs.get(n)) else {
            return broken(format!("blob {} does not exist or has two", recipe.blob));
        };
        *seen = true;
        let len = match (recipe.segments.as_slice(), blob.len) {
            ([Segment::Itself], 1..) => {
                walk.used.base = true;
                blob.len
            }
            (segments, _) => walk.segments(recipe.blob, segments)?,
        };
        if blob.len != len {
            return broken(format!("blob {} is {len} bytes long by its recipe, and not by the release", recipe.blob));
        }
    }
    if seen.iter().any(|s| !s) || walk.next != walk.chunks {
        return broken("a blob or a chunk has none".into());
    }
    sources.check_used(&walk.taken)?;
    walk.used.scratch = scratch::of_replays(recipes, &|chunk| walk.offset(chunk));
    Ok(walk.used)
}

struct Walk<'a> {
    sources: &'a Sources,
    /// Bytes before each chunk, and after all: a few bytes of recipes can name many chunks many times over.
    before: Vec<u64>,
    chunks: u64,
    /// One above the highest chunk so far.
    next: u64,
    /// Which sources were named.
    taken: Vec<bool>,
    used: Used,
}

impl<'a> Walk<'a> {
    fn new(chunks: &[ChunkRow], sources: &'a Sources) -> Walk<'a> {
        let mut before = vec![0u64];
        before.extend(chunks.iter().scan(0u64, |sum, c| {
            *sum = sum.saturating_add(c.len.into());
            Some(*sum)
        }));
        let taken = vec![false; sources.count()];
        Walk { sources, before, chunks: chunks.len() as u64, next: 0, taken, used: Used::default() }
    }

    /// Length of what the segments give.
    fn segments(&mut self, blob: u64, segments: &[Segment]) -> Result<u64, FormatError> {
        segments.iter().try_fold(0u64, |sum, segment| Ok(sum.saturating_add(self.segment(blob, segment)?)))
    }

    fn segment(&mut self, blob: u64, segment: &Segment) -> Result<u64, FormatError> {
        match segment {
            Segment::Chunks { first, count } => {
                let end = first.checked_add(*count).filter(|end| *count > 0 && *end <= self.chunks);
                let (Some(end), true) = (end, *first <= self.next) else {
                    return broken(format!("blob {blob}: chunks {first}+{count} are out of order"));
                };
                self.next = self.next.max(end);
                Ok(self.offset(end).saturating_sub(self.offset(*first)))
            }
            Segment::Base { source, offset, len } => {
                self.source(*source, *offset, *len, &format!("blob {blob}"))?;
                self.used.base = true;
                Ok(*len)
            }
            Segment::Replay { encoder, checkpoints, len, parts } => {
                if parts.iter().any(|p| matches!(p, Segment::Replay { .. })) || *len == 0 {
                    return broken(format!("blob {blob}: a replay is empty or holds another"));
                }
                let plain = self.segments(blob, parts)?;
                let stream = maker::parse(encoder, &checkpoints.0, *len, plain)?;
                self.used.families.insert(stream.identity.family().name);
                Ok(*len)
            }
            Segment::Itself => broken(format!("blob {blob} is its own base and is more than that")),
        }
    }

    /// A run of a source, which lies inside it.
    fn source(&mut self, source: u64, offset: u64, len: u64, what: &str) -> Result<(), FormatError> {
        let n = usize::try_from(source).unwrap_or(usize::MAX);
        let whole = self.sources.len_of(n);
        let inside = offset.checked_add(len).zip(whole).is_some_and(|(end, whole)| end <= whole);
        match self.taken.get_mut(n) {
            Some(taken) if inside && len > 0 => *taken = true,
            _ => return broken(format!("{what}: source {source} has no {len} bytes at {offset}")),
        }
        Ok(())
    }

    fn offset(&self, chunk: u64) -> u64 {
        usize::try_from(chunk).ok().and_then(|n| self.before.get(n)).copied().unwrap_or(0)
    }
}

impl<M: Medium, T> Bundle<M, T> {
    /// The carriage requires exactly the features that it uses, and states the scratch space that they take.
    pub(super) fn check_features(&self, used: &Used, sources: &Sources) -> Result<(), FormatError> {
        let listed = |feature: &str| self.carriage.requires.iter().any(|f| f == feature);
        let replays = FAMILIES.iter().map(|f| (replay(f.name), used.families.contains(f.name)));
        let mut unused = Vec::new();
        let forms = Form::ALL.into_iter().filter_map(|f| Some((f.feature()?.to_owned(), used.forms.contains(&f))));
        let others = [(BASE.to_owned(), used.base), (PATCH.to_owned(), used.patch)];
        for (feature, used) in others.into_iter().chain(forms).chain(replays) {
            match (listed(&feature), used) {
                (false, true) => return broken(format!("they need {feature}, which the carriage root does not list")),
                (true, false) => unused.push(feature),
                _ => {}
            }
        }
        if !unused.is_empty() {
            return Err(FormatError::Unused(unused));
        }
        let scratch = sources.expanded_len().and_then(|n| n.checked_add(used.scratch));
        match scratch == Some(self.carriage.scratch) {
            true => Ok(()),
            false => Err(FormatError::rule(
                "the carriage root",
                "its scratch space is not what its expansions and replays take",
            )),
        }
    }
}
