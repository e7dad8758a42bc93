//! A *source* is a run of bytes that a delta builds on: a base blob whole, or what a compressed stream in one expands to.
//!
//! Sources are numbered, bases first. Here they are numbers and lengths; [`super::bases`] opens them. Specified in
//! `spec/bundle.md`, section "Deltas".

use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::table::{BaseRow, ExpansionRow};

/// The sources of a carriage, checked against each other.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Base blobs, ascending by digest.
    pub bases: Vec<Blob>,
    /// What is expanded of them, ascending by base and offset.
    pub expansions: Vec<ExpansionRow>,
}

impl Sources {
    pub fn new(bases: Vec<BaseRow>, expansions: Vec<ExpansionRow>) -> Result<Sources, FormatError> {
        let bases: Vec<Blob> = bases.into_iter().map(|row| row.0).collect();
        if !bases.is_sorted_by(|a, b| a.digest < b.digest) {
            return Err(FormatError::rule("the bases", "they are not in the order of digests"));
        }
        let rule = |why| Err(FormatError::rule("the expansions", why));
        // Where the row before ends. Rows of one base do not overlap, so that a base is not expanded many times over.
        let mut before = (0u32, 0u64);
        for row in &expansions {
            let base = usize::try_from(row.base).ok().and_then(|n| bases.get(n));
            let Some(end) = row.offset.checked_add(row.len).filter(|end| base.is_some_and(|b| *end <= b.len)) else {
                return rule("one lies outside its base");
            };
            if (row.base, row.offset) < before {
                return rule("they are not in order, or two of them overlap");
            }
            before = (row.base, end);
        }
        Ok(Sources { bases, expansions })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.bases.len().saturating_add(self.expansions.len())
    }

    /// Length of source `n`.
    pub fn len_of(&self, n: usize) -> Option<u64> {
        match self.expansion(n) {
            Some((_, row)) => Some(row.plain_len),
            None => self.bases.get(n).map(|b| b.len),
        }
    }

    /// The expansion that source `n` is, with its number; `None` for a base.
    pub fn expansion(&self, n: usize) -> Option<(usize, &ExpansionRow)> {
        let number = n.checked_sub(self.bases.len())?;
        self.expansions.get(number).map(|row| (number, row))
    }

    /// The number of the base that source `n` is or lies in.
    pub fn base_of(&self, n: usize) -> Option<usize> {
        match self.expansion(n) {
            Some((_, row)) => usize::try_from(row.base).ok(),
            None => (n < self.bases.len()).then_some(n),
        }
    }

    /// Bytes of all expansions together.
    pub fn expanded_len(&self) -> Option<u64> {
        self.expansions.iter().try_fold(0u64, |sum, row| sum.checked_add(row.plain_len))
    }

    /// Refuses a base or an expansion that nothing takes bytes of.
    pub fn check_used(&self, taken: &[bool]) -> Result<(), FormatError> {
        let mut bases: Vec<bool> = taken.iter().take(self.bases.len()).copied().collect();
        for (row, taken) in self.expansions.iter().zip(taken.iter().skip(self.bases.len())) {
            if !taken {
                return Err(FormatError::rule("the expansions", "one is not used"));
            }
            if let Some(base) = usize::try_from(row.base).ok().and_then(|n| bases.get_mut(n)) {
                *base = true;
            }
        }
        match bases.iter().all(|b| *b) {
            true => Ok(()),
            false => Err(FormatError::rule("the bases", "one is not used")),
        }
    }
}
