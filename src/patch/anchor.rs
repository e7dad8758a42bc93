//! An *anchor* is a window of 16 bytes of old content, found again by its hash.
//!
//! The index only proposes positions; whether the bytes are equal is for who asks.

// Only the maker of patches comes here; slots are found by hashes that are shifted to the table's size.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

/// Bytes of a window, and the step between indexed positions: whatever has 31 bytes in common is found.
pub const WINDOW: usize = 16;
/// Slots that one hash may occupy.
const PROBES: usize = 8;
/// Old content that is indexed; what lies behind is not found. As many windows as a slot can number and keep one bit.
const INDEXED: usize = ((1 << 31) - 2) * WINDOW;

/// Positions of every 16th window of old content by hash. Memory: 8 to 16 bytes for each 16 bytes of old content, half
/// of it or more for slots that stay free.
pub struct Index {
    slots: Vec<u32>,
    shift: u32,
    /// Bits of a slot that hold a position; those above hold bits of the hash, which spare most looks at old content.
    place: u32,
}

/// The 16 bytes at `at` mixed into 64 bits, or `None` where fewer are left.
pub fn hash(data: &[u8], at: usize) -> Option<u64> {
    let window: &[u8; WINDOW] = data.get(at..)?.first_chunk()?;
    let (a, b) = window.split_first_chunk::<8>()?;
    let a = u64::from_le_bytes(*a);
    let b = u64::from_le_bytes(*b.first_chunk()?);
    let m = (a ^ b.rotate_left(29).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    Some((m ^ (m >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93))
}

impl Index {
    /// Indexes `old`. The first positions of a repeated window stay, later ones fall out.
    pub fn new(old: &[u8]) -> Index {
        let count = old.len().min(INDEXED) / WINDOW;
        let bits = (count * 2).max(64).next_power_of_two().trailing_zeros();
        let place = (count + 1).next_power_of_two().trailing_zeros();
        let mut index = Index { slots: vec![0; (1usize << bits) + PROBES], shift: 64 - bits, place };
        let mut last = None;
        for n in 0..count {
            let Some(h) = hash(old, n * WINDOW) else { break };
            if last == Some(h) {
                continue; // a run of one byte, or of a short period: its first window is enough
            }
            last = Some(h);
            let base = (h >> index.shift) as usize;
            if let Some(slot) = index.slots[base..base + PROBES].iter_mut().find(|s| **s == 0) {
                *slot = ((h as u32) << place) | (n as u32 + 1);
            }
        }
        index
    }

    /// Whether there may be candidates. Asked for many hashes in a row, the answers come from memory side by side.
    pub fn may_have(&self, h: u64) -> bool {
        self.slots[(h >> self.shift) as usize] != 0
    }

    /// Positions of old content whose window may have hash `h`, ascending.
    pub fn candidates(&self, h: u64) -> impl Iterator<Item = usize> + '_ {
        let base = (h >> self.shift) as usize;
        let tag = (h as u32) << self.place;
        let mask = (1u32 << self.place) - 1;
        let slots = self.slots[base..base + PROBES].iter().take_while(|s| **s != 0);
        slots.filter(move |s| **s & !mask == tag).map(move |s| ((*s & mask) as usize - 1) * WINDOW)
    }
}
