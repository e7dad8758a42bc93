//! *Links* lead from a place in the window to the place before it whose four bytes have the same hash.
//!
//! They hold places of a window of two halves, as entries: place plus an offset that grows when the window slides. They know no bytes.

use super::symbol::WINDOW;
use super::window::zeros;

/// Bits of a hash.
pub const HASH_BITS: u32 = 17;
/// Entries are made small again when the offset passes this.
const OFFSET_MAX: u32 = 1 << 30;

/// Latest place of each hash, and for each place of the last [`WINDOW`] how far back the one before is.
pub struct Links {
    head: Box<[u32; 1 << HASH_BITS]>,
    /// 0: none, or too far back.
    back: Box<[u16; WINDOW]>,
    offset: u32,
}

impl Links {
    /// No places.
    pub fn new() -> Self {
        Self { head: zeros(), back: zeros(), offset: 1 }
    }

    /// Makes `place` the latest of `hash`; the place that was, if it is not too far back.
    #[inline]
    pub fn enter(&mut self, hash: u32, place: usize) -> Option<usize> {
        let head = &mut self.head[(hash & ((1 << HASH_BITS) - 1)) as usize];
        let entry = place as u32 + self.offset;
        let back = entry.wrapping_sub(std::mem::replace(head, entry)) as usize;
        let back = if back <= WINDOW && back <= place { back } else { 0 };
        self.back[place % WINDOW] = back as u16;
        (back > 0).then(|| place - back)
    }

    /// The latest place of `hash`; `None`: not in the window.
    #[inline]
    pub fn latest(&self, hash: u32) -> Option<usize> {
        let entry = self.head[(hash & ((1 << HASH_BITS) - 1)) as usize];
        entry.checked_sub(self.offset).map(|place| place as usize)
    }

    /// The place before `place`.
    #[inline]
    pub fn before(&self, place: usize) -> Option<usize> {
        match usize::from(self.back[place % WINDOW]) {
            0 => None,
            back => place.checked_sub(back),
        }
    }

    /// The window's first half is dropped.
    pub fn slide(&mut self) {
        self.offset += WINDOW as u32;
        if self.offset > OFFSET_MAX {
            let less = self.offset - 1;
            self.offset = 1;
            self.head.iter_mut().for_each(|entry| *entry = entry.saturating_sub(less));
        }
    }
}
