//! A *window* is the run of plain bytes that match finders look at, with room behind for wide loads.
//!
//! It knows nothing of hashes or tokens.

/// Bytes of slack behind every window, so that eight bytes may be loaded at any place in it.
pub const SLACK: usize = 8;

/// Four bytes at `at`, first lowest; zero beyond the end.
#[inline]
pub fn load32(window: &[u8], at: usize) -> u32 {
    match window.get(at..).and_then(|w| w.first_chunk::<4>()) {
        Some(bytes) => u32::from_le_bytes(*bytes),
        None => 0,
    }
}

/// Eight bytes at `at`, first lowest; zero beyond the end.
#[inline]
pub fn load64(window: &[u8], at: usize) -> u64 {
    match window.get(at..).and_then(|w| w.first_chunk::<8>()) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

/// How many of at most `most` bytes at `a` and `b` are equal. The window has [`SLACK`] bytes after either run.
#[inline]
pub fn common(window: &[u8], a: usize, b: usize, most: usize) -> usize {
    let mut n = 0;
    while n < most {
        let difference = load64(window, a + n) ^ load64(window, b + n);
        if difference != 0 {
            return (n + (difference.trailing_zeros() >> 3) as usize).min(most);
        }
        n += 8;
    }
    most
}

/// A boxed array of zeros (never on the stack: these are large).
pub fn zeros<T: Copy + Default, const N: usize>() -> Box<[T; N]> {
    vec![T::default(); N].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([T::default(); N]))
}
