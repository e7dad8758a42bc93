//! *Scratch* space of replays: plain bytes that are kept for later, and those of the largest replay of the others.
//!
//! What expansions take is counted by the sources. Specified in `spec/bundle.md`, rule F14.

use crate::format::section::{Recipe, Segment};
use std::collections::BTreeMap;

/// Bytes that the replays of `recipes` take. `before` gives the bytes of all chunks before one.
///
/// A replay counts as kept if any of its chunks is used after it: then it is, whichever blobs are made, never more than counted.
pub(super) fn of_replays(recipes: &[Recipe], before: &dyn Fn(u64) -> u64) -> u64 {
    let (mut later, mut kept, mut largest) = (Ranges::default(), 0u64, 0u64);
    for segment in recipes.iter().rev().flat_map(|r| r.segments.iter().rev()) {
        match segment {
            Segment::Chunks { first, count } => drop(later.add(*first, first.saturating_add(*count))),
            Segment::Replay { parts, .. } => {
                let (mut again, mut plain) = (false, 0u64);
                for part in parts.iter().rev() {
                    plain = plain.saturating_add(match part {
                        Segment::Chunks { first, count } => {
                            let end = first.saturating_add(*count);
                            again |= later.add(*first, end);
                            before(end).saturating_sub(before(*first))
                        }
                        Segment::Base { len, .. } => *len,
                        Segment::Replay { .. } | Segment::Itself => 0, // not inside a replay
                    });
                }
                match again {
                    true => kept = kept.saturating_add(plain),
                    false => largest = largest.max(plain),
                }
            }
            Segment::Base { .. } | Segment::Itself => {}
        }
    }
    kept.saturating_add(largest)
}

/// Ranges of numbers, which neither touch nor overlap: by their ends, where they begin.
#[derive(Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds `first..end`; whether any of it was there. Ranges that it meets become one with it, so that all additions together
    /// take no more steps than there are.
    fn add(&mut self, first: u64, end: u64) -> bool {
        let (mut new, mut met) = (first..end, false);
        while let Some((old_end, old_first)) = self.0.range(first..).next().map(|(e, f)| (*e, *f)) {
            if old_first > end {
                break;
            }
            met |= old_first < end && old_end > first;
            self.0.remove(&old_end);
            new = new.start.min(old_first)..new.end.max(old_end);
        }
        self.0.insert(new.end, new.start);
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::Bytes;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn replay(runs: &[(u64, u64)]) -> Segment {
        let parts = runs.iter().map(|(first, count)| Segment::Chunks { first: *first, count: *count }).collect();
        Segment::Replay { encoder: vec![], checkpoints: Bytes(vec![]), len: 1, parts }
    }

    fn taken(segments: Vec<Segment>) -> u64 {
        of_replays(&[Recipe { blob: 0, segments }], &|n| 10 * n) // chunks of 10 bytes
    }

    #[test]
    fn kept_ones_add_up_and_of_the_others_the_largest_counts() {
        let chunks = |first, count| Segment::Chunks { first, count };
        for (segments, expect) in [
            (vec![], 0),
            (vec![chunks(0, 3)], 0),
            (vec![replay(&[(0, 3)])], 30),
            (vec![replay(&[(0, 3)]), replay(&[(3, 5)]), replay(&[(8, 1)])], 50),
            (vec![replay(&[(0, 3)]), replay(&[(2, 5)]), replay(&[(7, 1)])], 30 + 50),
            (vec![replay(&[(0, 3)]), chunks(3, 1), chunks(1, 1)], 30),
            (vec![chunks(0, 3), replay(&[(0, 3)]), replay(&[(3, 2)])], 30),
            (vec![replay(&[(0, 1), (1, 1), (0, 1)]), replay(&[(2, 2)])], 30 + 20),
            (vec![replay(&[(0, 4)]), replay(&[(0, 4)]), replay(&[(0, 4)])], 120),
        ] {
            assert_eq!(taken(segments.clone()), expect, "{segments:?}");
        }
    }

    proptest! {
        #[test]
        fn ranges_are_sets(all in proptest::collection::vec((0u64..30, 1u64..8), 1..30)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (first, count) in all {
                let met = (first..first + count).any(|n| set.contains(&n));
                prop_assert_eq!(ranges.add(first, first + count), met);
                set.extend(first..first + count);
                let inside = |n: u64| ranges.0.iter().any(|(end, first)| (*first..*end).contains(&n));
                prop_assert!((0..40).all(|n| inside(n) == set.contains(&n)));
            }
        }
    }
}
