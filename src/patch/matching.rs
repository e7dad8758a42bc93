//! *Matching* describes new content as steps: a copy of old content that roughly fits, then bytes that fit nothing.
//!
//! It goes through new content once. While the current alignment of new to old fits, it is kept; where it does not,
//! anchors propose others, and so do small shifts of it, as tables without anchors need.

// Only the maker of patches comes here; every position is below the length of what it is used on.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::anchor::{self, Index, WINDOW};
use super::fit;

/// `copy` bytes of new content resemble old content from `old`; then come `extra` that do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Where the copy begins in old content.
    pub old: usize,
    /// Length of the copy.
    pub copy: usize,
    /// Length of what follows and is given in full.
    pub extra: usize,
}

/// Bytes over which an anchor is compared with the current alignment, and what it has to be better.
const LOOK: usize = 64;
const BETTER: isize = 8;
/// Of the next 32 bytes, the worth from which on no other alignment is looked for.
const GOOD: isize = 20;
/// Positions whose anchors are looked up together.
const BATCH: usize = 16;
/// A shifted alignment is one of 4-byte words, at most this many away; over so many bytes it has to be so much better,
/// and so many of the first 32 must fit for it to be looked at.
const SHIFTS: usize = 64;
const SHIFT_LOOK: usize = 128;
const SHIFT_BETTER: isize = 24;
const SHIFT_ALIKE: usize = 9;
/// Bytes of new content from one search for a shifted alignment to the next: after a success, and at most, after doubling
/// with each failure.
const SHIFT_PAUSE: (usize, usize) = (32, 4096);

/// Describes `new`, which begins at `start` of the new content, by `old`.
pub fn steps(old: &[u8], index: &Index, new: &[u8], start: usize) -> Vec<Step> {
    let mut m = Matcher {
        old,
        index,
        new,
        steps: Vec::new(),
        begin: 0,
        place: start.min(old.len()),
        pause: SHIFT_PAUSE.0,
        next_shift: 0,
    };
    m.run();
    m.steps
}

struct Matcher<'a> {
    old: &'a [u8],
    index: &'a Index,
    new: &'a [u8],
    steps: Vec<Step>,
    /// The current alignment: `new[begin..]` with `old[place..]`.
    begin: usize,
    place: usize,
    pause: usize,
    /// Where shifted alignments may be searched again.
    next_shift: usize,
}

impl Matcher<'_> {
    fn run(&mut self) {
        let mut i = 0;
        while i + WINDOW <= self.new.len() {
            let current = self.place + (i - self.begin);
            let same = fit::common(&self.new[i..], self.old_from(current));
            if same >= WINDOW {
                // The first window that differs begins WINDOW - 1 before the difference.
                i += same - (WINDOW - 1);
                continue;
            }
            if fit::worth(&self.new[i..], self.old_from(current), 32, current) >= GOOD {
                i += BATCH;
                continue;
            }
            match self.anchored(i).or_else(|| self.shifted(i)) {
                Some((at, place)) => {
                    self.close(at, Some(place));
                    i = at.max(self.begin) + 1;
                }
                None => i += BATCH,
            }
        }
        self.close(self.new.len(), None);
    }

    fn old_from(&self, at: usize) -> &[u8] {
        self.old.get(at..).unwrap_or(&[])
    }

    /// The first position from `i` on, within a batch, for which an anchor fits better than the current alignment.
    fn anchored(&self, i: usize) -> Option<(usize, usize)> {
        let hashes: [Option<u64>; BATCH] = std::array::from_fn(|k| anchor::hash(self.new, i + k));
        let may: [bool; BATCH] = std::array::from_fn(|k| hashes[k].is_some_and(|h| self.index.may_have(h)));
        let tried = (i..).zip(hashes).zip(may).filter_map(|((at, h), may)| Some((at, h.filter(|_| may)?)));
        for (at, h) in tried {
            let new = &self.new[at..];
            let current = self.place + (at - self.begin);
            let equal = |c: &usize| *c != current && self.old[*c..*c + WINDOW] == new[..WINDOW];
            let fitting = self.index.candidates(h).filter(equal).map(|c| (fit::worth(new, &self.old[c..], LOOK, c), c));
            // The first of equals: what is found does not depend on how many slots there are.
            let best = fitting.reduce(|a, b| if b.0 > a.0 { b } else { a });
            if let Some((worth, place)) = best
                && worth > 0
                && worth > fit::worth(new, self.old_from(current), LOOK, current) + BETTER
            {
                let back = fit::common_back(&self.new[self.begin..at], &self.old[..place]);
                return Some((at - back, place - back));
            }
        }
        None
    }

    /// A shift of the current alignment that fits better at `i`. Tables of addresses that moved have no anchors, but what
    /// was put into them moved the rest by a few words.
    fn shifted(&mut self, i: usize) -> Option<(usize, usize)> {
        if i < self.next_shift || i + SHIFT_LOOK > self.new.len() {
            return None;
        }
        let new = &self.new[i..];
        let current = self.place + (i - self.begin);
        let worth = |c: usize| fit::worth(new, self.old_from(c), SHIFT_LOOK, c);
        let now = worth(current);
        if now >= SHIFT_LOOK as isize / 4 {
            return None;
        }
        let mut best = (now.max(0) + SHIFT_BETTER, None);
        for n in 1..SHIFTS {
            for c in [current.checked_add(4 * n), current.checked_sub(4 * n)].into_iter().flatten() {
                if fit::alike(new, self.old_from(c)) >= SHIFT_ALIKE && worth(c) > best.0 {
                    best = (worth(c), Some(c));
                }
            }
        }
        self.pause = if best.1.is_some() { SHIFT_PAUSE.0 } else { (self.pause * 2).min(SHIFT_PAUSE.1) };
        self.next_shift = i + self.pause;
        Some((i, best.1?))
    }

    /// Ends the current alignment before `at`, where `next` of old content is the next one's, and begins that.
    fn close(&mut self, at: usize, next: Option<usize>) {
        let gap = &self.new[self.begin..at];
        let before = self.old_from(self.place);
        let mut copy = fit::forward(gap, before, self.place);
        let mut back = next.map_or(0, |c| fit::backward(gap, &self.old[..c]));
        if let Some(c) = next
            && copy + back > gap.len()
        {
            // Both want these bytes: cut where most of them fit.
            let over = copy + back - gap.len();
            let (from, after) = (copy - over, &self.old[c - back..]);
            let (mut sum, mut best) = (0isize, (0, 0));
            for k in 0..over {
                let byte = gap[from + k];
                sum += isize::from(byte == before[from + k]) - isize::from(byte == after[k]);
                if sum > best.0 {
                    best = (sum, k + 1);
                }
            }
            copy = from + best.1;
            back -= best.1;
        }
        let extra = gap.len() - copy - back;
        if copy + extra > 0 {
            self.steps.push(Step { old: self.place, copy, extra });
        }
        self.begin = at - back;
        self.place = next.map_or(self.place, |c| c - back);
    }
}
