//! *Chains* link every place whose four bytes hash alike: levels 2 to 9, the default (6) among them.
//!
//! Levels 4 to 9 defer a match by one byte to see whether the next is longer, and enter every place into the chains, so that their state
//! at a block's start is a function of the last 64 KiB. Levels 2 and 3 skip places inside long matches; they offer no checkpoints.

use super::super::bits::BitWriter;
use super::super::{Checkpoint, Encoder};
use super::block::Blocks;
use super::links::{HASH_BITS, Links};
use super::search::{MIN_MATCH, Search};
use super::symbol::{MAX_MATCH, Token, WINDOW};
use super::window::{SLACK, load32, zeros};

/// What a level means.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// A match this long is not deferred; 0: none is (levels 2 and 3).
    lazy: usize,
    /// A match this long ends the search.
    nice: usize,
    /// Chain entries looked at.
    chain: usize,
    /// Longest match inside which places are entered into the chains.
    enter: usize,
}

const fn greedy(nice: usize, chain: usize, enter: usize) -> Level {
    Level { lazy: 0, nice, chain, enter }
}

const fn lazy(lazy: usize, nice: usize, chain: usize) -> Level {
    Level { lazy, nice, chain, enter: usize::MAX }
}

/// Levels 2 to 9.
const LEVELS: [Level; 8] = [
    greedy(16, 8, 5),
    greedy(32, 32, 6),
    lazy(4, 16, 16),
    lazy(16, 32, 32),
    lazy(16, 128, 128),
    lazy(32, 128, 256),
    lazy(128, 258, 1024),
    lazy(258, 258, 4096),
];

/// The window's two halves: when work stops in the second, that becomes the first.
const SPAN: usize = 2 * WINDOW;
/// Matches of the shortest length are taken from at most this far.
const NEAR: usize = 4096;
/// A place is worked on only with this many bytes from it on, until the plain ends.
const AHEAD: usize = MIN_MATCH + MAX_MATCH;
/// Tokens of a full block.
const BLOCK: usize = 1 << 14;

/// Most plain bytes before a checkpoint that a restart needs.
pub const BEFORE: usize = SPAN;

/// The hash of the four bytes at a place.
#[inline]
fn hash(window: &[u8], at: usize) -> u32 {
    load32(window, at).swap_bytes().wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)
}

/// Levels 2 to 9 of Go's encoder up to 1.26.
pub struct Chains {
    level: Level,
    window: Box<[u8; SPAN + SLACK]>,
    /// Plain offset of the window's first byte.
    base: u64,
    /// End of the bytes in the window.
    end: usize,
    /// Next place to work on.
    index: usize,
    /// Where the open block's bytes begin, while they are all in the window.
    block: Option<usize>,
    links: Links,
    /// Places from here to `index` are not in the chains yet (after a restart their bytes are not all known).
    unentered: usize,
    /// The match found at the place before, not emitted yet; length 3: none.
    length: usize,
    distance: usize,
    /// The byte before `index` is not emitted yet.
    pending: bool,
    tokens: Vec<Token>,
    blocks: Blocks,
    checkpoint: Option<Checkpoint>,
}

impl Chains {
    /// `level` 2 to 9 (others are taken as the nearest), after `before` (the last bytes of the plain before the checkpoint).
    pub fn new(level: u8, plain: u64, bits: u64, before: &[u8]) -> Self {
        // Where the window lies is a function of the place: the second half is entered before the first is dropped.
        let base = (plain.saturating_sub(1) / WINDOW as u64 * WINDOW as u64).saturating_sub(WINDOW as u64);
        let held = ((plain - base) as usize).min(before.len()).min(SPAN);
        let mut window: Box<[u8; SPAN + SLACK]> = zeros();
        window[..held].copy_from_slice(&before[before.len() - held..]);
        Self {
            level: LEVELS[usize::from(level.clamp(2, 9)) - 2],
            window,
            base,
            end: held,
            index: held,
            block: Some(held),
            links: Links::new(),
            unentered: held.saturating_sub(WINDOW),
            length: MIN_MATCH - 1,
            distance: 0,
            pending: false,
            tokens: Vec::with_capacity(BLOCK),
            blocks: Blocks::new(bits),
            checkpoint: None,
        }
    }

    /// Enters `at` into the chains; the place before it with the same hash.
    #[inline]
    fn enter(&mut self, at: usize) -> isize {
        self.links.enter(hash(&self.window[..], at), at)
    }

    /// Drops the window's first half.
    fn slide(&mut self) {
        self.window.copy_within(WINDOW..SPAN, 0);
        self.base = self.base.wrapping_add(WINDOW as u64);
        self.index -= WINDOW;
        self.end -= WINDOW;
        self.unentered = self.unentered.saturating_sub(WINDOW);
        self.block = self.block.and_then(|block| block.checked_sub(WINDOW));
        self.links.slide();
    }

    fn close_block(&mut self, out: &mut BitWriter) {
        let plain = self.block.and_then(|block| self.window.get(block..self.index));
        self.blocks.best(&self.tokens, plain, out);
        self.block = Some(self.index);
        self.tokens.clear();
        if self.level.lazy > 0 {
            let plain = self.base.wrapping_add(self.index as u64);
            self.checkpoint = Some(Checkpoint { plain, bits: self.blocks.bits(), state: vec![0] });
        }
    }

    #[inline]
    fn push(&mut self, token: Token, index: usize, out: &mut BitWriter) {
        self.tokens.push(token);
        if self.tokens.len() == BLOCK {
            self.index = index;
            self.close_block(out);
        }
    }

    /// The longest match at `at`, of more than `least` bytes, from the chain that begins at `first`.
    #[inline]
    fn find(&self, at: usize, first: isize, ahead: usize, least: usize) -> Option<(usize, usize)> {
        let Level { lazy, nice, chain, .. } = self.level;
        let dense = lazy > 0;
        let search = Search { window: &self.window[..], links: &self.links, hash, dense, at, ahead, nice, chain };
        search.longest(first, least, |length, distance| length > MIN_MATCH || distance <= NEAR)
    }

    /// Works on the window; `last`: no more bytes will come.
    fn step(&mut self, last: bool, out: &mut BitWriter) {
        // Places whose four bytes are not all there are never entered.
        let enterable = self.end.saturating_sub(MIN_MATCH - 1);
        for at in self.unentered..self.index.min(enterable) {
            self.enter(at);
        }
        self.unentered = self.index;
        let stop = if last { self.end } else { (self.end + 1).saturating_sub(AHEAD) };
        if self.level.lazy > 0 {
            self.defer(stop, enterable, out);
        } else {
            self.take(stop, enterable, out);
        }
        self.unentered = self.index;
        if last {
            if self.pending {
                self.tokens.push(Token::literal(self.window[self.index - 1]));
                self.pending = false;
            }
            if !self.tokens.is_empty() {
                self.close_block(out);
            }
        }
    }

    /// Levels 4 to 9, up to `stop`.
    fn defer(&mut self, stop: usize, enterable: usize, out: &mut BitWriter) {
        let (mut index, mut length, mut distance, mut pending) = (self.index, self.length, self.distance, self.pending);
        while index < stop {
            let ahead = self.end - index;
            let first = if index < enterable { self.enter(index) } else { -1 };
            let (before, from) = (length, distance);
            length = MIN_MATCH - 1;
            if ahead > before
                && before < self.level.lazy
                && let Some(found) = self.find(index, first, ahead, before)
            {
                (length, distance) = found;
            }
            if before >= MIN_MATCH && length <= before {
                let next = index + before - 1;
                for at in index + 1..next.min(enterable) {
                    self.enter(at);
                }
                self.push(Token::copy(before, from), next, out);
                (index, length, pending) = (next, MIN_MATCH - 1, false);
            } else {
                if pending {
                    self.push(Token::literal(self.window[index - 1]), index, out);
                }
                (index, pending) = (index + 1, true);
            }
        }
        (self.index, self.length, self.distance, self.pending) = (index, length, distance, pending);
    }

    /// Levels 2 and 3, up to `stop`.
    fn take(&mut self, stop: usize, enterable: usize, out: &mut BitWriter) {
        while self.index < stop {
            let index = self.index;
            let ahead = self.end - index;
            let first = if index < enterable { self.enter(index) } else { -1 };
            let found = if ahead >= MIN_MATCH { self.find(index, first, ahead, MIN_MATCH - 1) } else { None };
            let next = if let Some((length, distance)) = found {
                if length <= self.level.enter {
                    for at in index + 1..(index + length).min(enterable) {
                        self.enter(at);
                    }
                }
                self.push(Token::copy(length, distance), index + length, out);
                index + length
            } else {
                self.push(Token::literal(self.window[index]), index + 1, out);
                index + 1
            };
            self.index = next;
        }
    }
}

impl Encoder for Chains {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            if self.end == SPAN {
                self.step(false, out);
                self.slide();
            }
            let (now, later) = plain.split_at(plain.len().min(SPAN - self.end));
            self.window[self.end..self.end + now.len()].copy_from_slice(now);
            self.end += now.len();
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.step(true, out);
        self.blocks.end(out);
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.checkpoint.take()
    }
}
