//! Levels 5 and 6 keep *three* places for each place looked up: the latest by the hash of four bytes, and the latest two by that of seven.
//!
//! Level 6 also tries the distance of the match before, looks at more candidates and enters more places.

use super::super::go::symbol::{MAX_MATCH, Token};
use super::super::go::window::zeros;
use super::find::{Finder, MARGIN, Two, shift};
use super::history::{FAR, History, copies, hash4, hash7};

const BITS: u32 = 15;
/// Bytes at a match's beginning that may differ when another is looked for by its end.
const SKIPPED: i32 = 2;
/// Level 5 looks for a longer match by the end of those shorter than this.
const SHORT: i32 = 30;

/// Level 5 (`SIX` false) or 6.
#[derive(Clone)]
pub struct Triple<const SIX: bool> {
    short: Box<[i32; 1 << BITS]>,
    long: Box<[Two; 1 << BITS]>,
}

/// Level 5.
pub type Level5 = Triple<false>;
/// Level 6.
pub type Level6 = Triple<true>;

/// A match that was found: where, from where, and how long it is as far as was looked (0: not looked).
#[derive(Clone, Copy)]
struct Found {
    at: i32,
    from: i32,
    length: i32,
}

/// Where a search stands.
struct Search {
    at: i32,
    /// The next place that will be looked up.
    next: i32,
    bytes: u64,
    /// The bytes at `next`.
    ahead: u64,
    emitted: i32,
    /// Distance of the match before; 1 where there is none.
    repeat: i32,
}

/// Length of a match of which four bytes are known, at most 258.
#[inline]
fn measure(history: &History, at: i32, from: i32) -> i32 {
    history.same_within(at + 4, from + 4, MAX_MATCH as i32 - 4) + 4
}

impl<const SIX: bool> Triple<SIX> {
    #[inline]
    fn enter_short(&mut self, history: &History, bytes: u64, place: i32) {
        self.short[hash4::<BITS>(bytes)] = history.entry(place);
    }

    #[inline]
    fn enter_long(&mut self, history: &History, bytes: u64, place: i32) {
        shift(&mut self.long[hash7::<BITS>(bytes)], history.entry(place));
    }

    #[inline]
    fn enter(&mut self, history: &History, bytes: u64, place: i32) {
        self.enter_short(history, bytes, place);
        self.enter_long(history, bytes, place);
    }

    /// The latest two places under the hash of seven bytes.
    #[inline]
    fn long(&self, history: &History, bytes: u64) -> (i32, i32) {
        let [latest, before] = self.long[hash7::<BITS>(bytes)];
        (history.place(latest), history.place(before))
    }

    /// Looks up and enters `at`; the match to take there, at `next`, or (level 6) one behind `at`.
    #[inline]
    fn look(&mut self, history: &History, search: &Search) -> Option<Found> {
        let &Search { at, next, bytes, ahead, .. } = search;
        let word = bytes as u32;
        let short = history.place(self.short[hash4::<BITS>(bytes)]);
        let (long, before) = self.long(history, bytes);
        self.enter(history, bytes, at);
        if at - long < FAR {
            if history.word(long) == word {
                self.enter(history, ahead, next);
                return Some(Self::longer(history, at, word, long, before));
            }
            if history.matches(at, before, word) {
                self.enter(history, ahead, next);
                return Some(Found { at, from: before, length: 0 });
            }
        }
        if !history.matches(at, short, word) {
            return None;
        }
        let (latest, before) = self.long(history, ahead);
        self.enter(history, ahead, next);
        let first = Found { at, from: short, length: measure(history, at, short) };
        Some(Self::later(history, search, first, latest, before))
    }

    /// Of the two places with the same seven bytes the one that matches longer; the latest if there is but one.
    #[inline]
    fn longer(history: &History, at: i32, word: u32, latest: i32, before: i32) -> Found {
        let mut found = Found { at, from: latest, length: 0 };
        if history.matches(at, before, word) {
            found.length = measure(history, at, latest);
            let length = measure(history, at, before);
            if length > found.length {
                found = Found { at, from: before, length };
            }
        }
        found
    }

    /// A match by four bytes, or a longer one just behind.
    #[inline]
    fn later(history: &History, search: &Search, mut found: Found, latest: i32, before: i32) -> Found {
        let &Search { at, next, bytes, ahead, repeat, .. } = search;
        if SIX {
            let from = at - repeat + 1;
            if history.word(from) == (bytes >> 8) as u32 {
                let length = measure(history, at + 1, from);
                if length > found.length {
                    return Found { at: at + 1, from, length };
                }
            }
        }
        if next - latest >= FAR {
            return found;
        }
        for from in [latest, before] {
            if history.matches(next, from, ahead as u32) {
                let length = measure(history, next, from);
                if length > found.length {
                    found = Found { at: next, from, length };
                    if !SIX {
                        break;
                    }
                }
            }
        }
        found
    }

    /// A longer match, found by what lies at the end of this one.
    #[inline]
    fn by_end(&self, history: &History, found: Found) -> Found {
        let (latest, before) = self.long(history, history.wide(found.at + found.length));
        let at = found.at + SKIPPED;
        let mut best = found;
        let mut consider = |end: i32| {
            let from = end - best.length + SKIPPED;
            let back = at - from;
            if from >= 0 && back > 0 && back < FAR {
                let length = history.same(at, from);
                if length > best.length {
                    best = Found { at, from, length };
                }
            }
            back < FAR
        };
        if consider(latest) && SIX {
            consider(before);
        }
        best
    }

    /// Enters places inside the match that ended at `end`, `length` bytes long (counted from `end` even where that lies behind it).
    #[inline]
    fn enter_inside(&mut self, history: &History, length: i32, end: i32, next: i32) {
        if SIX {
            let mut at = next + 1;
            while at < end - 1 {
                let bytes = history.wide(at);
                self.enter(history, bytes, at);
                self.enter_long(history, bytes >> 8, at + 1);
                at += 2;
            }
            return;
        }
        let mut at = end - length + 1;
        if at < end - 1 {
            let bytes = history.wide(at);
            self.enter(history, bytes, at);
            self.enter_long(history, bytes >> 8, at + 1);
            self.enter_short(history, bytes >> 16, at + 2);
            at += 4;
            while at < end - 1 {
                let bytes = history.wide(at);
                self.enter_long(history, bytes, at);
                self.enter_short(history, bytes >> 8, at + 1);
                at += 3;
            }
        }
        let last = history.wide(end - 1);
        self.enter(history, last, end - 1);
    }

    /// Enters every other place to the end of the block.
    fn enter_rest(&mut self, history: &History, mut at: i32) {
        while at < history.end() - 8 {
            self.enter(history, history.wide(at), at);
            at += 2;
        }
    }
}

impl<const SIX: bool> Finder for Triple<SIX> {
    fn new() -> Self {
        Self { short: zeros(), long: zeros() }
    }

    fn find(&mut self, history: &History, start: i32, tokens: &mut Vec<Token>) {
        let limit = history.end() - MARGIN;
        let mut s = Search { at: start, next: start, bytes: history.wide(start), ahead: 0, emitted: start, repeat: 1 };
        'block: loop {
            s.next = s.at;
            let mut found = loop {
                s.at = s.next;
                s.next = s.at + 1 + ((s.at - s.emitted) >> if SIX { 7 } else { 6 });
                if s.next > limit {
                    break 'block;
                }
                s.ahead = history.wide(s.next);
                if let Some(found) = self.look(history, &s) {
                    break found;
                }
                s.bytes = s.ahead;
            };
            if found.length == 0 {
                found.length = history.same(found.at + 4, found.from + 4) + 4;
            } else if found.length == MAX_MATCH as i32 {
                found.length += history.same(found.at + found.length, found.from + found.length);
            }
            if found.at + found.length < limit && (SIX || found.length < SHORT) {
                found = self.by_end(history, found);
            }
            let (at, from, length) = history.widen(s.emitted, found.at, found.from, found.length);
            history.literals(s.emitted, at, tokens);
            copies(length, at - from, tokens);
            s.repeat = at - from;
            s.emitted = at + length;
            s.at = s.emitted;
            if s.next >= s.at {
                s.at = s.next + 1;
            }
            if s.at >= limit {
                if SIX {
                    self.enter_rest(history, s.next + 1);
                }
                break;
            }
            self.enter_inside(history, length, s.at, s.next);
            s.bytes = history.wide(s.at);
        }
        history.rest(s.emitted, tokens);
    }

    fn entries(&self) -> [&[i32]; 2] {
        [&self.short[..], self.long.as_flattened()]
    }

    fn entries_mut(&mut self) -> [&mut [i32]; 2] {
        [&mut self.short[..], self.long.as_flattened_mut()]
    }
}
