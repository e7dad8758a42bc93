//! How well two strings *fit* is what it saves to write one as the other and fixes, in about bytes of literal.
//!
//! A fix changes a word of 4 bytes. Where addresses moved, the same few differences come again and again, and a fix by
//! one of them costs next to nothing; a new one costs more than the bytes it mends.

// Only the maker of patches comes here, with positions of its own: all slices are within the shorter of both strings.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

/// Worth of a byte that fits.
const SAME: isize = 1;
/// Worth of a fix by a difference that came lately. Two, not more: such runs come about by accident too.
const AGAIN: isize = 2;
/// Worth of any other fix, to which come its bytes that fit.
const FRESH: isize = -3;
/// Differences that count as lately: a function's record in a table of Go has about this many words that move.
const LATELY: usize = 8;
/// Fixes in a row that begin at the same place in their word before the next is expected there, too.
const LOCKED: usize = 12;

/// Length of the longest common prefix.
pub fn common(a: &[u8], b: &[u8]) -> usize {
    let mut n = 0;
    for (x, y) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return n + differ.trailing_zeros() as usize / 8;
        }
        n += 8;
    }
    n + a[n..].iter().zip(&b[n..]).take_while(|(x, y)| x == y).count()
}

/// Length of the longest common suffix.
pub fn common_back(a: &[u8], b: &[u8]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count()
}

/// Bytes that fit among the first 32; 0 if there are fewer.
pub fn alike(a: &[u8], b: &[u8]) -> usize {
    let (Some(a), Some(b)) = (a.first_chunk::<32>(), b.first_chunk::<32>()) else { return 0 };
    usize::from(a.iter().zip(b).map(|(x, y)| u8::from(x == y)).sum::<u8>())
}

/// The little-endian word at the beginning; what is missing of it is 0.
fn word(b: &[u8]) -> u32 {
    if let Some(w) = b.first_chunk::<4>() {
        return u32::from_le_bytes(*w);
    }
    let mut w = [0; 4];
    w[..b.len()].copy_from_slice(b);
    u32::from_le_bytes(w)
}

/// What the word at the beginning of `new` is more than that of `old`.
pub fn difference(new: &[u8], old: &[u8]) -> u32 {
    word(new).wrapping_sub(word(old))
}

/// Places fixes, and knows those that came lately.
pub struct Fixer {
    lately: [u32; LATELY],
    next: usize,
    /// Remainder by 4 of the old position where the last fix began, and how many before it had the same.
    phase: usize,
    run: usize,
}

impl Fixer {
    /// One that has seen nothing.
    pub fn new() -> Fixer {
        Fixer { lately: [0; LATELY], next: 0, phase: 0, run: 0 }
    }

    /// Where in `low..=high` to begin the fix that mends the difference at `k`, and its worth. `place` is the old
    /// position of `old[0]`. `high` is at most `k`, and `k` less than 4 behind it.
    pub fn place(&mut self, new: &[u8], old: &[u8], k: usize, low: usize, high: usize, place: usize) -> (usize, isize) {
        let low = low.max(k.saturating_sub(3));
        let known = |at: &usize| self.lately.contains(&difference(&new[*at..], &old[*at..]));
        if let Some(at) = (low..=high).rev().find(known) {
            self.began(place + at);
            return (at, AGAIN);
        }
        let mut at = high;
        if self.run >= LOCKED {
            let back = (place + k).wrapping_sub(self.phase) & 3;
            at = k.checked_sub(back).filter(|at| (low..=high).contains(at)).unwrap_or(high);
        }
        self.lately[self.next % LATELY] = difference(&new[at..], &old[at..]);
        self.next += 1;
        self.began(place + at);
        let fit = new[at..].iter().zip(&old[at..]).take(4).filter(|(x, y)| x == y).count();
        (at, FRESH + fit as isize * SAME)
    }

    fn began(&mut self, at: usize) {
        self.run = if self.phase == at & 3 { self.run + 1 } else { 0 };
        self.phase = at & 3;
    }
}

/// Goes along both strings as far as the shorter reaches, and tells `at` after each step how far it came and what that is
/// worth.
fn walk(new: &[u8], old: &[u8], place: usize, mut at: impl FnMut(usize, isize)) {
    let n = new.len().min(old.len());
    let (new, old) = (&new[..n], &old[..n]);
    let mut fixer = Fixer::new();
    let (mut k, mut sum) = (0, 0);
    let mut low = 0;
    loop {
        let same = common(&new[k..], &old[k..]);
        k += same;
        sum += same as isize * SAME;
        at(k, sum);
        if k >= n {
            return;
        }
        let (begin, worth) = fixer.place(new, old, k, low, k, place);
        k = (begin + 4).min(n);
        low = k;
        sum += worth;
    }
}

/// Worth of the first `n` bytes. `place` is the old position of `old[0]`.
pub fn worth(new: &[u8], old: &[u8], n: usize, place: usize) -> isize {
    let mut all = 0;
    walk(&new[..n.min(new.len())], old, place, |_, sum| all = sum);
    all
}

/// Length of the beginning that is worth most.
pub fn forward(new: &[u8], old: &[u8], place: usize) -> usize {
    let mut best = (0, 0);
    walk(new, old, place, |k, sum| {
        if sum > best.0 {
            best = (sum, k);
        }
    });
    best.1
}

/// Length of the end that is worth most.
pub fn backward(new: &[u8], old: &[u8]) -> usize {
    let n = new.len().min(old.len());
    let place = old.len() - n;
    let (new, old) = (&new[new.len() - n..], &old[old.len() - n..]);
    let mut fixer = Fixer::new();
    let (mut k, mut sum, mut best) = (n, 0, (0, 0));
    while k > 0 {
        if new[k - 1] == old[k - 1] {
            k -= 1;
            sum += SAME;
        } else {
            let (at, worth) = fixer.place(new, old, k - 1, 0, k.saturating_sub(4), place);
            k = at;
            sum += worth;
        }
        if sum > best.0 {
            best = (sum, n - k);
        }
    }
    best.1
}
