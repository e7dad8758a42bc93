//! A *history* is the plain bytes that match finders of levels 1 to 6 may look at: one block and what came before it.
//!
//! It finds nothing itself. Places are offsets into it, signed because a table's entry may lie before its first byte.

use super::super::go::symbol::{Token, WINDOW};
use super::super::go::window::{SLACK, common, load32, load64};

/// Most bytes of a block.
pub const BLOCK: usize = 65535;
/// Most bytes held; a block that would exceed it first drops all but the last [`WINDOW`].
const HELD_MAX: usize = 5 * BLOCK;
/// Farthest distance, as places are.
pub const FAR: i32 = WINDOW as i32;
/// Entries are made small again when they could pass this.
const ENTRY_MAX: i32 = 1 << 30;
/// Entries of a block's first byte are at least this; an entry that was never set is 0 and out of reach.
const ENTRY_MIN: i32 = 1 << 16;

/// Bytes, and what has to be added to a place to get a table's entry.
#[derive(Debug, Clone)]
pub struct History {
    bytes: Vec<u8>,
    /// Bytes in use; behind them are at least [`SLACK`] that are never looked at for their values.
    len: usize,
    /// Entry of place 0.
    zero: i32,
}

impl History {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { bytes: vec![0; HELD_MAX + SLACK], len: 0, zero: ENTRY_MIN }
    }

    /// Appends a block (at most [`BLOCK`] bytes; what exceeds it is left out). The block's first place, and what to take off all entries (0: nothing).
    pub fn push(&mut self, block: &[u8]) -> (i32, i32) {
        let block = &block[..block.len().min(BLOCK)];
        if self.len + block.len() > HELD_MAX {
            let from = self.len - WINDOW;
            self.bytes.copy_within(from..self.len, 0);
            self.zero += from as i32;
            self.len = WINDOW;
        }
        let less = if self.zero > ENTRY_MAX { self.zero - ENTRY_MIN } else { 0 };
        self.zero -= less;
        let start = self.len;
        self.bytes[start..start + block.len()].copy_from_slice(block);
        self.len += block.len();
        (start as i32, less)
    }

    /// Where the last place ends.
    #[inline]
    pub fn end(&self) -> i32 {
        self.len as i32
    }

    /// The table entry that means `place`.
    #[inline]
    pub fn entry(&self, place: i32) -> i32 {
        place + self.zero
    }

    /// The place that a table entry means.
    #[inline]
    pub fn place(&self, entry: i32) -> i32 {
        entry - self.zero
    }

    /// An entry as far as it can matter from now on: 0 if it is more than [`FAR`] before the end.
    pub fn reach(&self, entry: i32) -> i32 {
        if self.end() - self.place(entry) <= FAR { entry } else { 0 }
    }

    /// Four bytes, first lowest.
    #[inline]
    pub fn word(&self, at: i32) -> u32 {
        load32(&self.bytes, at as usize)
    }

    /// Eight bytes, first lowest.
    #[inline]
    pub fn wide(&self, at: i32) -> u64 {
        load64(&self.bytes, at as usize)
    }

    /// Whether a match of the four bytes `bytes` at `at` may begin at `from`: nearer than [`FAR`] and equal.
    #[inline]
    pub fn matches(&self, at: i32, from: i32, bytes: u32) -> bool {
        at - from < FAR && self.word(from) == bytes
    }

    /// How many bytes at `at` and at `from` (before it) are equal, at most to the end.
    #[inline]
    pub fn same(&self, at: i32, from: i32) -> i32 {
        self.same_within(at, from, i32::MAX)
    }

    /// The same, at most `most`.
    #[inline]
    pub fn same_within(&self, at: i32, from: i32, most: i32) -> i32 {
        let most = (self.end() - at).min(most).max(0);
        common(&self.bytes, at as usize, from as usize, most as usize) as i32
    }

    /// Moves a match's beginning back while the bytes before are equal, not before `emitted` nor the first place.
    #[inline]
    pub fn widen(&self, emitted: i32, mut at: i32, mut from: i32, mut length: i32) -> (i32, i32, i32) {
        while from > 0 && at > emitted && self.bytes[(from - 1) as usize] == self.bytes[(at - 1) as usize] {
            at -= 1;
            from -= 1;
            length += 1;
        }
        (at, from, length)
    }

    /// Literal tokens for the places `from` to `to`.
    #[inline]
    pub fn literals(&self, from: i32, to: i32, tokens: &mut Vec<Token>) {
        if from < to {
            tokens.extend(self.bytes[from as usize..to as usize].iter().map(|byte| Token::literal(*byte)));
        }
    }

    /// The literals from `emitted` to the end, unless no match was found at all: then the block has no tokens.
    pub fn rest(&self, emitted: i32, tokens: &mut Vec<Token>) {
        if !tokens.is_empty() {
            self.literals(emitted, self.end(), tokens);
        }
    }
}

/// Copies for a match of any length: 258 each while more than 261 are left; then 255 and the rest, if more than 258 are left.
#[inline]
pub fn copies(mut length: i32, distance: i32, tokens: &mut Vec<Token>) {
    while length > 0 {
        let now = match length {
            ..=258 => length,
            259..=261 => 255,
            _ => 258,
        };
        tokens.push(Token::copy(now as usize, distance as usize));
        length -= now;
    }
}

/// Hash of the low four bytes.
#[inline]
pub fn hash4<const BITS: u32>(bytes: u64) -> usize {
    ((bytes as u32).wrapping_mul(2_654_435_761) >> (32 - BITS)) as usize
}

/// Hash of the low five bytes.
#[inline]
pub fn hash5<const BITS: u32>(bytes: u64) -> usize {
    ((bytes << 24).wrapping_mul(889_523_592_379) >> (64 - BITS)) as usize
}

/// Hash of the low seven bytes.
#[inline]
pub fn hash7<const BITS: u32>(bytes: u64) -> usize {
    ((bytes << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - BITS)) as usize
}
