//! Level 3 keeps a *double* entry, the latest place and the one before, for each hash of five bytes.

use super::super::go::symbol::Token;
use super::super::go::window::zeros;
use super::find::{Finder, MARGIN, Two, shift};
use super::history::{FAR, History, copies, hash5};

const BITS: u32 = 16;

/// Level 3.
#[derive(Clone)]
pub struct Level3 {
    table: Box<[Two; 1 << BITS]>,
}

impl Level3 {
    /// Makes `place` the latest of its hash; the two places that were.
    #[inline]
    fn swap(&mut self, history: &History, bytes: u64, place: i32) -> (i32, i32) {
        let slot = &mut self.table[hash5::<BITS>(bytes)];
        let [latest, before] = *slot;
        shift(slot, history.entry(place));
        (history.place(latest), history.place(before))
    }

    /// The place to copy from at `at`: of both, if both match, the one that matches longer, else the latest.
    #[inline]
    fn choose(history: &History, at: i32, bytes: u32, latest: i32, before: i32) -> Option<i32> {
        let far = at - (FAR - 4);
        if latest < far {
            return None;
        }
        if history.word(latest) != bytes {
            return (before > far && history.word(before) == bytes).then_some(before);
        }
        let both = before >= far && history.word(before) == bytes;
        Some(if both && history.same(at + 4, before + 4) > history.same(at + 4, latest + 4) { before } else { latest })
    }
}

impl Finder for Level3 {
    fn new() -> Self {
        Self { table: zeros() }
    }

    fn find(&mut self, history: &History, start: i32, tokens: &mut Vec<Token>) {
        let limit = history.end() - MARGIN;
        let mut emitted = start;
        let mut at = start;
        let mut bytes = history.wide(at);
        'block: loop {
            let mut next = at;
            let mut from = loop {
                at = next;
                next = at + 1 + ((at - emitted) >> 7);
                if next > limit {
                    break 'block;
                }
                let (latest, before) = self.swap(history, bytes, at);
                if let Some(from) = Self::choose(history, at, bytes as u32, latest, before) {
                    break from;
                }
                bytes = history.wide(next);
            };
            loop {
                let length;
                (at, from, length) = history.widen(emitted, at, from, history.same(at + 4, from + 4) + 4);
                history.literals(emitted, at, tokens);
                copies(length, at - from, tokens);
                at += length;
                emitted = at;
                if next >= at {
                    at = next + 1;
                }
                if at >= limit {
                    // What is entered is the end of the bytes copied from.
                    from += length;
                    if from + 8 < history.end() && from > 0 {
                        self.swap(history, history.wide(from), from);
                    }
                    break 'block;
                }
                let mut inside = at - length + 2;
                while inside < at - 5 {
                    self.swap(history, history.wide(inside), inside);
                    inside += 6;
                }
                let around = history.wide(at - 2);
                self.swap(history, around, at - 2);
                self.swap(history, around >> 8, at - 1);
                bytes = around >> 16;
                let (latest, before) = self.swap(history, bytes, at);
                let far = at - (FAR - 4);
                if latest > far && history.word(latest) == bytes as u32 {
                    from = latest;
                } else if latest > far && before > far && history.word(before) == bytes as u32 {
                    from = before;
                } else {
                    bytes >>= 8;
                    at += 1;
                    break;
                }
            }
        }
        history.rest(emitted, tokens);
    }

    fn entries(&self) -> [&[i32]; 2] {
        [self.table.as_flattened(), &[]]
    }

    fn entries_mut(&mut self) -> [&mut [i32]; 2] {
        [self.table.as_flattened_mut(), &mut []]
    }
}
