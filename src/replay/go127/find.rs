//! A *finder* turns one block into tokens with tables of what it has seen: one kind for each level 1 to 6.
//!
//! It neither holds the bytes (`history`) nor writes the block (`reuse`).

use super::super::go::symbol::Token;
use super::history::History;

/// The last places of a block are not looked up.
pub const MARGIN: i32 = 11;

/// One level's way to find matches.
pub trait Finder: Send {
    /// What it finds depends on nothing but its tables and the last [`WINDOW`](super::super::go::symbol::WINDOW) bytes.
    const NEAR: bool = true;
    /// Empty tables.
    fn new() -> Self;
    /// Tokens of the block that begins at `start` and ends the history (at least 128 bytes); none if there is no match at all.
    fn find(&mut self, history: &History, start: i32, tokens: &mut Vec<Token>);
    /// All table entries.
    fn entries(&self) -> [&[i32]; 2];
    /// All table entries, to be changed.
    fn entries_mut(&mut self) -> [&mut [i32]; 2];
}

/// A table entry with the one it replaced.
pub type Two = [i32; 2];

/// Puts `entry` before what is there.
#[inline]
pub fn shift(slot: &mut Two, entry: i32) {
    *slot = [entry, slot[0]];
}
