//! To *diff* is to find a patch that makes new content out of old content, and to prove that it does.
//!
//! It does not choose the old content; see `similar`. Specified in `spec/patch.md`.

// Positions come from the steps that matching made of these very strings.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::anchor::Index;
use super::apply::apply;
use super::error::PatchError;
use super::fit::{self, Fixer};
use super::matching::{self, Step};
use super::moves::{Moves, Region};
use super::stored::{PLAIN_LIMIT, Streams};
use super::{executable, learn, number};

/// zstd's level by default: a fiftieth of the time that matching takes.
pub const DEFAULT_LEVEL: i32 = 9;
/// zstd's level where size is all.
pub const SMALL_LEVEL: i32 = 19;

/// Old content ready to be compared with. Shared by threads; what comes out does not depend on them. Memory: 8 to 16 bytes
/// for each 16 bytes of old content, and a few times its length for each part that is being compared.
pub struct Differ<'a> {
    old: &'a [u8],
    index: Index,
    regions: Vec<Region>,
}

impl<'a> Differ<'a> {
    /// Indexes old content. `begins`: where parts of it begin, ascending; executables are looked for at these places and at
    /// multiples of 512 from them on, where tar archives have files.
    pub fn new(old: &'a [u8], begins: &[usize]) -> Differ<'a> {
        Differ { old, index: Index::new(old), regions: executable::regions(old, begins) }
    }

    /// The stored form of a patch that makes `new`, a part of the new content that begins at `start` of it; proven by
    /// applying it. `None` if it is not smaller than `new` itself.
    pub fn diff(&self, new: &[u8], start: u64, level: i32) -> Result<Option<Vec<u8>>, PatchError> {
        let limit = || PatchError::Limit { have: number::wide(new.len()), limit: PLAIN_LIMIT.into() };
        let len = u32::try_from(new.len()).ok().filter(|n| *n <= PLAIN_LIMIT).ok_or_else(limit)?;
        let stored = self.streams(new, start).encode(level)?;
        if stored.len() >= new.len() {
            return Ok(None);
        }
        if apply(&stored, len, &self.old)? != new {
            return Err(PatchError::Unproven);
        }
        Ok(Some(stored))
    }

    /// The streams of that patch.
    pub fn streams(&self, new: &[u8], start: u64) -> Streams {
        let steps = matching::steps(self.old, &self.index, new, usize::try_from(start).unwrap_or(usize::MAX));
        let moves = learn::moves(self.old, new, start, &steps, &self.regions);
        let with_moves = self.write(new, &steps, &moves);
        if with_moves.moves.is_empty() {
            return self.checked(with_moves, new);
        }
        // Moves that were learnt wrongly break more than they mend.
        let without = self.write(new, &steps, &Moves::default());
        let cost = |s: &Streams| s.gaps.len() + s.fixes.len() + s.moves.len();
        self.checked(if cost(&with_moves) <= cost(&without) { with_moves } else { without }, new)
    }

    /// Streams within the format's limits; where they are not, all of the new content as one literal.
    fn checked(&self, streams: Streams, new: &[u8]) -> Streams {
        if streams.fit(new.len()) {
            return streams;
        }
        self.write(new, &[Step { old: 0, copy: 0, extra: new.len() }], &Moves::default())
    }

    fn write(&self, new: &[u8], steps: &[Step], moves: &Moves) -> Streams {
        let mut s = Streams { moves: moves.encode(), ..Streams::default() };
        let (mut at, mut from, mut gap) = (0, 0i64, 0);
        let mut copied = Vec::new();
        for step in steps {
            number::put(&mut s.copies, step.copy as u64);
            number::put(&mut s.extras, step.extra as u64);
            if step.copy > 0 {
                number::put_signed(&mut s.seeks, step.old as i64 - from);
                from = (step.old + step.copy) as i64;
                copied.clear();
                copied.extend_from_slice(&self.old[step.old..step.old + step.copy]);
                moves.follow(&mut copied, step.old as u64, at as u64);
                gap = fix(&mut s, gap, &copied, &new[at..at + step.copy], step.old);
            }
            at += step.copy;
            s.literals.extend_from_slice(&new[at..at + step.extra]);
            at += step.extra;
        }
        s
    }
}

/// Writes the fixes that make `new` of `copied`, which came from `place`. `gap` copied bytes lie between the last fix and
/// this copy; gives how many lie behind its last one.
fn fix(s: &mut Streams, mut gap: usize, copied: &[u8], new: &[u8], place: usize) -> usize {
    let mut fixer = Fixer::new();
    let (mut k, mut low) = (0, 0);
    loop {
        k += fit::common(&new[k..], &copied[k..]);
        if k == new.len() {
            return gap + (k - low);
        }
        let (at, _) = fixer.place(new, copied, k, low, k, place);
        number::put(&mut s.gaps, (gap + at - low) as u64);
        s.fixes.extend(fit::difference(&new[at..], &copied[at..]).to_le_bytes());
        gap = 0;
        k = (at + 4).min(new.len());
        low = k;
    }
}
