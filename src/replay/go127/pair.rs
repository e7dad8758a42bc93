//! Level 4 has a *pair* of tables: by the hash of four bytes and by that of seven.

use super::super::go::symbol::Token;
use super::super::go::window::zeros;
use super::find::{Finder, MARGIN};
use super::history::{FAR, History, copies, hash4, hash7};

const BITS: u32 = 15;

/// Level 4. `WRONG` (since klauspost 1.18.0, and in Go 1.27): the match at the next place is measured against the wrong bytes.
#[derive(Clone)]
pub struct Level4<const WRONG: bool> {
    short: Box<[i32; 1 << BITS]>,
    long: Box<[i32; 1 << BITS]>,
}

impl<const WRONG: bool> Level4<WRONG> {
    /// Enters `place` in both tables; the places it replaces.
    #[inline]
    fn swap(&mut self, history: &History, bytes: u64, place: i32) -> (i32, i32) {
        let short = std::mem::replace(&mut self.short[hash4::<BITS>(bytes)], history.entry(place));
        let long = std::mem::replace(&mut self.long[hash7::<BITS>(bytes)], history.entry(place));
        (history.place(short), history.place(long))
    }

    /// Where a match of the long table at `next` is measured.
    #[inline]
    fn measured(next: i32, from: i32) -> i32 {
        if WRONG { next - from + 4 } else { from + 4 }
    }
}

impl<const WRONG: bool> Finder for Level4<WRONG> {
    const NEAR: bool = !WRONG;

    fn new() -> Self {
        Self { short: zeros(), long: zeros() }
    }

    fn find(&mut self, history: &History, start: i32, tokens: &mut Vec<Token>) {
        let limit = history.end() - MARGIN;
        let mut emitted = start;
        let mut at = start;
        let mut bytes = history.wide(at);
        loop {
            let mut next = at;
            let mut from;
            loop {
                at = next;
                next = at + 1 + ((at - emitted) >> 6);
                if next > limit {
                    return history.rest(emitted, tokens);
                }
                let ahead = history.wide(next);
                let (short, long) = self.swap(history, bytes, at);
                from = long;
                if history.matches(at, from, bytes as u32) {
                    break;
                }
                from = short;
                if history.matches(at, from, bytes as u32) {
                    let later = history.place(self.long[hash7::<BITS>(ahead)]);
                    if next - later < FAR
                        && history.word(later) == ahead as u32
                        && history.same(next + 4, Self::measured(next, later)) > history.same(at + 4, from + 4)
                    {
                        (at, from) = (next, later);
                    }
                    break;
                }
                bytes = ahead;
            }
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
                if at + 8 < history.end() {
                    self.swap(history, history.wide(at), at);
                }
                return history.rest(emitted, tokens);
            }
            let mut inside = next;
            while inside < at - 1 {
                let bytes = history.wide(inside);
                self.long[hash7::<BITS>(bytes)] = history.entry(inside);
                self.swap(history, bytes >> 8, inside + 1);
                inside += 3;
            }
            let around = history.wide(at - 1);
            self.swap(history, around, at - 1);
            bytes = around >> 8;
        }
    }

    fn entries(&self) -> [&[i32]; 2] {
        [&self.short[..], &self.long[..]]
    }

    fn entries_mut(&mut self) -> [&mut [i32]; 2] {
        [&mut self.short[..], &mut self.long[..]]
    }
}
