//! A *buffer* is memory for a block's bytes: it begins at a page, and it goes back to a *pool* to be used again.
//!
//! Fresh memory costs a fault a page, in a virtual machine two; and the kernel writes past its cache only from memory that
//! begins at a page. It does no I/O. Not part of the specification.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// What addresses are multiples of: the page of most machines, and what disks ask for.
pub const PAGE: usize = 4096;
/// Smaller memory is the allocator's, which reuses it well.
const POOLED_FROM: usize = 128 << 10;
/// Bytes that a pool keeps while nobody uses them.
const IDLE: usize = 64 << 20;

/// Bytes of a fixed number.
#[derive(Debug, Default)]
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
    home: Option<Pool>,
}

/// Memory for buffers. Its clones are one pool.
#[derive(Clone, Debug, Default)]
pub struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// A buffer of `len` bytes that say nothing: they may be old ones. From 128 KiB on it begins at a page.
    pub fn take(&self, len: usize) -> Buffer {
        if len < POOLED_FROM {
            return Buffer::from(vec![0; len]);
        }
        // Powers of two, so that what one block leaves fits the next; the pages between are not touched.
        let size = len.checked_next_power_of_two().and_then(|n| n.checked_add(PAGE)).unwrap_or(len);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().rposition(|memory| memory.len() == size);
        let memory = at.map(|at| kept.remove(at));
        drop(kept);
        // Zeroed by the system, page by page, when it is first used.
        let memory = memory.unwrap_or_else(|| vec![0; size]);
        let start = memory.as_ptr().align_offset(PAGE);
        let start = if start.saturating_add(len) <= memory.len() { start } else { 0 };
        Buffer { memory, start, len, home: Some(self.clone()) }
    }

    fn give(&self, memory: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(memory);
        let mut idle: usize = kept.iter().map(Vec::len).sum();
        while idle > IDLE && !kept.is_empty() {
            idle -= kept.remove(0).len();
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give(std::mem::take(&mut self.memory));
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.memory.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }
}

/// Memory that came from elsewhere and goes to no pool.
impl From<Vec<u8>> for Buffer {
    fn from(memory: Vec<u8>) -> Buffer {
        let len = memory.len();
        Buffer { memory, start: 0, len, home: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_begins_at_a_page() {
        let pool = Pool::default();
        let lens = [0, 1, POOLED_FROM - 1, POOLED_FROM, POOLED_FROM + 1, 1 << 20, (3 << 20) + 1, 16 << 20];
        for len in lens {
            let mut buffer = pool.take(len);
            assert_eq!(buffer.len(), len);
            buffer.fill(7);
            let at = buffer.as_ptr();
            assert!(len < POOLED_FROM || at.align_offset(PAGE) == 0, "{len}");
            drop(buffer);
            assert!(len < POOLED_FROM || pool.take(len).as_ptr() == at, "{len}");
        }
        assert_eq!(*Buffer::from(vec![1, 2]), [1, 2]);
    }

    #[test]
    fn little_is_kept() {
        let pool = Pool::default();
        drop((0..9).map(|_| pool.take(16 << 20)).collect::<Vec<_>>());
        assert_eq!(pool.0.lock().expect("lock").len(), 3, "each is a page longer than 16 MiB");
    }
}
