//! Levels 1 and 2 look places up in a *single* table by the hash of five bytes, two at a time, then skip.
//!
//! Level 2 has the larger table and enters places inside matches too.

use super::super::go::symbol::Token;
use super::super::go::window::zeros;
use super::find::{Finder, MARGIN};
use super::history::{FAR, History, copies, hash5};

/// Level 1 (`BITS` 15, `SLOTS` 2 to the 15th, `DENSE` false) or 2 (17, true).
#[derive(Clone)]
pub struct Single<const BITS: u32, const SLOTS: usize, const DENSE: bool> {
    table: Box<[i32; SLOTS]>,
}

/// Level 1.
pub type Level1 = Single<15, { 1 << 15 }, false>;
/// Level 2.
pub type Level2 = Single<17, { 1 << 17 }, true>;

impl<const BITS: u32, const SLOTS: usize, const DENSE: bool> Single<BITS, SLOTS, DENSE> {
    /// Makes `place` the latest of its hash; the place it replaces.
    #[inline]
    fn swap(&mut self, history: &History, bytes: u64, place: i32) -> i32 {
        let slot = &mut self.table[hash5::<BITS>(bytes)];
        history.place(std::mem::replace(slot, history.entry(place)))
    }

    /// Enters places inside a match: from its third byte three out of seven, each two apart.
    #[inline]
    fn enter_inside(&mut self, history: &History, from: i32, end: i32) {
        let mut at = from + 2;
        while at < end - 5 {
            let bytes = history.wide(at);
            self.swap(history, bytes, at);
            self.swap(history, bytes >> 16, at + 2);
            self.swap(history, bytes >> 32, at + 4);
            at += 7;
        }
    }
}

impl<const BITS: u32, const SLOTS: usize, const DENSE: bool> Finder for Single<BITS, SLOTS, DENSE> {
    fn new() -> Self {
        Self { table: zeros() }
    }

    fn find(&mut self, history: &History, start: i32, tokens: &mut Vec<Token>) {
        let limit = history.end() - MARGIN;
        let mut emitted = start;
        let mut at = start;
        let mut bytes = history.wide(at);
        'block: loop {
            let mut next;
            let mut from;
            loop {
                next = at + 2 + ((at - emitted) >> 5);
                if next > limit {
                    break 'block;
                }
                let ahead = history.wide(next);
                from = self.swap(history, bytes, at);
                if history.matches(at, from, bytes as u32) {
                    self.swap(history, ahead, next);
                    break;
                }
                (bytes, at) = (ahead, next);
                next += 1;
                from = self.swap(history, bytes, at);
                if history.matches(at, from, bytes as u32) {
                    if !DENSE {
                        // The next place goes under the hash of this one.
                        self.table[hash5::<BITS>(bytes)] = history.entry(next);
                    }
                    break;
                }
                (bytes, at) = (ahead >> 8, next);
            }
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
                    if at + length + 8 < history.end() {
                        self.swap(history, history.wide(at), at);
                    }
                    break 'block;
                }
                if DENSE {
                    self.enter_inside(history, at - length, at);
                }
                let around = history.wide(at - 2);
                self.swap(history, around, at - 2);
                if DENSE {
                    self.swap(history, around >> 8, at - 1);
                }
                from = self.swap(history, around >> 16, at);
                // Here, and only here, a distance of 32768 is taken.
                if at - from > FAR || history.word(from) != (around >> 16) as u32 {
                    bytes = around >> 24;
                    at += 1;
                    break;
                }
            }
        }
        history.rest(emitted, tokens);
    }

    fn entries(&self) -> [&[i32]; 2] {
        [&self.table[..], &[]]
    }

    fn entries_mut(&mut self) -> [&mut [i32]; 2] {
        [&mut self.table[..], &mut []]
    }
}
