//! *Deep* levels, 7 to 9, follow chains of places with the same hash, and defer a match as long as the next place has a better one.
//!
//! They offer no checkpoints.

use super::super::bits::BitWriter;
use super::super::go::code::Code;
use super::super::go::links::{HASH_BITS, Links};
use super::super::go::search::{MIN_MATCH, Search};
use super::super::go::symbol::{
    DISTANCE_EXTRA, LENGTH_EXTRA, LENGTH_SYMBOL, MAX_MATCH, Token, WINDOW, distance_symbol,
};
use super::super::go::window::{SLACK, common, load32, zeros};
use super::super::{Checkpoint, Encoder};
use super::reuse::{Reuse, Rules};
use super::segment::Segment;

/// What a level means.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// A match this long is not deferred.
    lazy: usize,
    /// A match this long ends the search.
    nice: usize,
    /// Chain entries looked at; from 100 on matches are weighed by what they save.
    chain: usize,
}

/// Levels 7 to 9.
const LEVELS: [Level; 3] = [
    Level { lazy: 12, nice: 16, chain: 24 },
    Level { lazy: 30, nice: 40, chain: 64 },
    Level { lazy: 258, nice: 258, chain: 1024 },
];

/// What differs between editions.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// All bytes ahead are counted for the literal code, each count modulo 65536, instead of the first 32768.
    pub count_all: bool,
    /// A byte without a code costs one bit instead of none.
    pub floor: bool,
    /// The first block's bytes do not include a preset window's.
    pub skip_preset: bool,
}

const SPAN: usize = 2 * WINDOW;
/// A place is worked on only with this many bytes from it on, until the plain ends.
const AHEAD: usize = MIN_MATCH + MAX_MATCH;
/// Tokens of a full block.
const BLOCK: usize = 1 << 15;
/// Bytes at a match's beginning that may differ when a better one is looked for by its end.
const SKIPPED: usize = 2;

/// The hash of the four bytes at a place.
#[inline]
fn hash(window: &[u8], at: usize) -> u32 {
    load32(window, at).wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)
}

/// Levels 7 to 9.
pub struct Deep {
    level: Level,
    habits: Habits,
    window: Box<[u8; SPAN + SLACK]>,
    end: usize,
    index: usize,
    /// Where the open block's bytes begin, while they are all in the window.
    block: Option<usize>,
    links: Links,
    /// Places from here on are not entered in this step.
    enterable: usize,
    /// Bits of each byte under a code made for the bytes ahead (chains of 100 and more).
    bits: [u8; 256],
    /// The match found at the place before, not emitted yet; length 3: none.
    length: usize,
    distance: usize,
    pending: bool,
    /// Literals since the last match.
    literals: u16,
    /// No more bytes will come before a flush or the end.
    last: bool,
    tokens: Vec<Token>,
    reuse: Reuse,
}

impl Deep {
    /// Level 7, 8 or 9 (others are taken as the nearest).
    pub fn new(level: u8, rules: Rules, habits: Habits, bits: u64) -> Self {
        Self {
            level: LEVELS[usize::from(level.clamp(7, 9)) - 7],
            habits,
            window: zeros(),
            end: 0,
            index: 0,
            block: Some(0),
            links: Links::new(),
            enterable: 0,
            bits: [0; 256],
            length: MIN_MATCH - 1,
            distance: 0,
            pending: false,
            literals: 0,
            last: false,
            tokens: Vec::with_capacity(BLOCK),
            reuse: Reuse::new(rules, bits),
        }
    }

    #[inline]
    fn enter(&mut self, at: usize) -> isize {
        if at < self.enterable { self.links.enter(hash(&self.window[..], at), at) } else { -1 }
    }

    fn slide(&mut self) {
        self.window.copy_within(WINDOW..SPAN, 0);
        self.index -= WINDOW;
        self.end -= WINDOW;
        self.block = self.block.and_then(|block| block.checked_sub(WINDOW));
        self.links.slide();
    }

    /// Takes a token; a block that is full with it ends at `index`.
    #[inline]
    fn push(&mut self, token: Token, index: usize, out: &mut BitWriter) {
        self.tokens.push(token);
        if self.tokens.len() == BLOCK {
            self.close_block(index, out);
        }
    }

    fn close_block(&mut self, index: usize, out: &mut BitWriter) {
        let plain = self.block.and_then(|block| self.window.get(block..index));
        self.reuse.dynamic(&self.tokens, plain, self.last, out);
        self.block = Some(index);
        self.tokens.clear();
    }

    /// Bits that bytes take as literals and a match does not.
    fn gain(&self, at: usize, length: usize, distance: usize) -> i32 {
        let floor = u8::from(self.habits.floor);
        let literal: i32 =
            self.window[at..at + length].iter().map(|byte| i32::from(self.bits[usize::from(*byte)].max(floor))).sum();
        // The symbol is that of one more than the distance stands for; of 32768 it is 14.
        let symbol = if distance == WINDOW { 14 } else { distance_symbol(distance as u32) };
        let extra = DISTANCE_EXTRA[symbol] + LENGTH_EXTRA[usize::from(LENGTH_SYMBOL[length - 3])];
        literal - i32::from(extra) - 3
    }

    /// The longest match at `at`, if longer than `least`. With long chains also shorter ones, of more than 3 bytes: each longer one must also gain
    /// more than the one before, and the first 4 bits. Places that are skipped near the end of a step are never entered: no second chain.
    fn find(&self, at: usize, first: isize, ahead: usize, least: usize) -> Option<(usize, usize)> {
        let Level { nice, chain, .. } = self.level;
        let search =
            Search { window: &self.window[..], links: &self.links, hash, dense: false, at, ahead, nice, chain };
        if chain < 100 {
            return search.longest(first, least, |_, _| true);
        }
        let mut gain = 4;
        search.longest(first, MIN_MATCH - 1, |length, distance| {
            let better = self.gain(at, length, distance);
            let taken = better > gain;
            gain = gain.max(better);
            taken
        })
    }

    /// Makes the code that literals are weighed by.
    fn weigh(&mut self) {
        if self.level.chain <= 100 || self.end == self.index {
            return;
        }
        let all = self.end - self.index;
        let counted = if self.habits.count_all { all } else { all.min(1 << 15) };
        let mut freq = [0u32; 256];
        for byte in &self.window[self.index..self.index + counted] {
            let f = &mut freq[usize::from(*byte)];
            *f = (*f + 1) & 0xffff;
        }
        self.bits = Code::of(&freq, 15).len;
    }

    /// Works on the window.
    fn step(&mut self, out: &mut BitWriter) {
        if self.end - self.index < AHEAD && !self.last {
            return;
        }
        self.weigh();
        self.enterable = self.end.saturating_sub(MIN_MATCH - 1);
        let stop = if self.last { self.end } else { (self.end + 1).saturating_sub(AHEAD) };
        while self.index < stop {
            let index = self.index;
            let ahead = self.end - index;
            let first = self.enter(index);
            let (before, from) = (self.length, self.distance);
            (self.length, self.distance) = (MIN_MATCH - 1, 0);
            if ahead > before
                && before < self.level.lazy
                && let Some(found) = self.find(index, first, ahead, before)
            {
                (self.length, self.distance) = found;
            }
            if before >= MIN_MATCH && self.length <= before {
                self.take(before, from, ahead, out);
            } else {
                if self.length >= MIN_MATCH {
                    self.literals = 0;
                }
                if self.pending {
                    self.literals = self.literals.wrapping_add(1);
                    self.push(Token::literal(self.window[index - 1]), index, out);
                    self.index += 1;
                    self.skip(out);
                } else {
                    self.index += 1;
                    self.pending = true;
                }
            }
        }
        if self.last {
            if self.pending {
                self.tokens.push(Token::literal(self.window[self.index - 1]));
                self.pending = false;
            }
            if !self.tokens.is_empty() {
                self.close_block(self.index, out);
            }
        }
    }

    /// Emits the match found at the place before, or a better one.
    fn take(&mut self, length: usize, distance: usize, ahead: usize, out: &mut BitWriter) {
        let (length, distance) = self.by_end(length, distance, ahead, out).unwrap_or((length, distance));
        let next = self.index + length - 1;
        self.tokens.push(Token::copy(length, distance));
        for at in self.index + 1..next.min(self.enterable) {
            self.enter(at);
        }
        self.index = next;
        self.pending = false;
        self.length = MIN_MATCH - 1;
        if self.tokens.len() == BLOCK {
            self.close_block(next, out);
        }
        self.literals = 0;
    }

    /// A longer match than that at the place before, found by what lies at its end; bytes it leaves out are emitted.
    fn by_end(&mut self, length: usize, distance: usize, ahead: usize, out: &mut BitWriter) -> Option<(usize, usize)> {
        let at = self.index - 1;
        if length >= MAX_MATCH - SKIPPED || at + length >= self.enterable {
            return None;
        }
        let end = at + ahead.min(MAX_MATCH + SKIPPED);
        let place =
            usize::try_from(self.links.latest(hash(&self.window[..], at + length))).ok()?.checked_sub(length)?;
        if at - place == distance || place <= self.index.saturating_sub(WINDOW) + SKIPPED {
            return None;
        }
        let mut longer = common(&self.window[..], at + SKIPPED, place + SKIPPED, end.saturating_sub(at + SKIPPED));
        if longer <= length {
            return None;
        }
        for i in (0..SKIPPED).rev() {
            if longer >= MAX_MATCH || self.window[at + i] != self.window[place + i] {
                for j in 0..=i {
                    self.push(Token::literal(self.window[at + j]), self.index, out);
                    self.index += 1;
                    self.enter(self.index);
                }
                break;
            }
            longer += 1;
        }
        Some((longer, at - place))
    }

    /// After many literals in a row: more of them, unseen.
    fn skip(&mut self, out: &mut BitWriter) {
        let Some(many) = usize::from(self.literals).checked_sub(self.level.chain + 1) else { return };
        for _ in 0..=(many + 1) >> 6 {
            if self.index + 1 >= self.end {
                break;
            }
            self.push(Token::literal(self.window[self.index - 1]), self.index, out);
            self.enter(self.index);
            self.index += 1;
        }
        self.pending = false;
        self.push(Token::literal(self.window[self.index - 1]), self.index, out);
    }

    fn close(&mut self, out: &mut BitWriter) {
        self.last = true;
        self.step(out);
        self.last = false;
    }
}

impl Encoder for Deep {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            if self.end == SPAN {
                self.step(out);
                self.slide();
            }
            let (now, later) = plain.split_at(plain.len().min(SPAN - self.end));
            self.window[self.end..self.end + now.len()].copy_from_slice(now);
            self.end += now.len();
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.close(out);
        self.reuse.end(out);
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        None
    }
}

impl Segment for Deep {
    fn preset(&mut self, tail: &[u8]) {
        let tail = &tail[tail.len().saturating_sub(WINDOW)..];
        self.window[..tail.len()].copy_from_slice(tail);
        (self.end, self.index) = (tail.len(), tail.len());
        self.enterable = self.end.saturating_sub(MIN_MATCH - 1);
        for at in 0..self.enterable {
            self.enter(at);
        }
        self.block = Some(if self.habits.skip_preset { tail.len() } else { 0 });
    }

    fn flush(&mut self, out: &mut BitWriter) {
        self.close(out);
        self.reuse.stored(&[], out);
    }

    fn bits(&self) -> u64 {
        self.reuse.bits()
    }
}
