//! *Links* lead from a place in the window to the place before it whose four bytes have the same hash.
//!
//! They hold places of a window of two halves, less than 65535. They know no bytes.

use super::symbol::WINDOW;
use super::window::zeros;

/// Bits of a hash.
pub const HASH_BITS: u32 = 17;

/// Latest place of each hash, and for each place of the last [`WINDOW`] how far back the one before is.
pub struct Links {
    /// Places and one: small, because what is read here is seldom in the nearest cache. 0: none.
    head: Box<[u16; 1 << HASH_BITS]>,
    back: Box<[u16; WINDOW]>,
}

impl Links {
    /// No places.
    pub fn new() -> Self {
        Self { head: zeros(), back: zeros() }
    }

    /// Makes `place` the latest of `hash`; the place that was, or a negative number if it is too far back.
    #[inline]
    pub fn enter(&mut self, hash: u32, place: usize) -> isize {
        let head = &mut self.head[(hash & ((1 << HASH_BITS) - 1)) as usize];
        let before = std::mem::replace(head, (place as u16).wrapping_add(1));
        self.back[place % WINDOW] = (place as u16).wrapping_add(1).wrapping_sub(before);
        before as isize - 1
    }

    /// The latest place of `hash`; negative: not in the window.
    #[inline]
    pub fn latest(&self, hash: u32) -> isize {
        self.head[(hash & ((1 << HASH_BITS) - 1)) as usize] as isize - 1
    }

    /// The place before `place`; less than `place - WINDOW`: none.
    #[inline]
    pub fn before(&self, place: isize) -> isize {
        place.wrapping_sub(self.back[place as usize % WINDOW] as isize)
    }

    /// The window's first half is dropped.
    pub fn slide(&mut self) {
        self.head.iter_mut().for_each(|entry| *entry = entry.saturating_sub(WINDOW as u16));
    }
}
