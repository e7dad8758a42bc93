//! The *window* is the last plain bytes an encoder may refer to, with the chains of equal hashes through them.
//!
//! Positions are indexes into a buffer of two window sizes whose lower half is dropped when it fills: that is not only economy, it is
//! behaviour. Index 0 cannot be referred to, and where the buffer slides decides which position is index 0.

use super::tune::Tune;
use std::marker::PhantomData;

/// Longest match.
pub const LONGEST: usize = 258;
/// Bytes that must follow a position before it is looked at: a longest match, and what the next position is entered with.
pub const AHEAD: usize = LONGEST + 3 + 1;
const DATA: usize = 65536;

/// What differs between the encoders that descend from gzip's.
pub trait Lineage: Send + 'static {
    /// GNU gzip compares beyond the end of its input with what lies there in the buffer, enters positions there, and does not look for
    /// matches near the end of the buffer. The others stop at the end of the input.
    const BEYOND: bool;
    /// The hash of the bytes in the low end of a word, before it is cut to the table's size.
    fn hash(word: u32, shift: u32) -> u32;
}

/// The hash of zlib and gzip: three bytes, shifted and added without carry.
#[inline]
#[must_use]
pub fn rolling(word: u32, shift: u32) -> u32 {
    (word & 0xff) << (2 * shift) ^ (word >> 8 & 0xff) << shift ^ (word >> 16 & 0xff)
}

/// See the module.
pub struct Window<L> {
    lineage: PhantomData<L>,
    data: Box<[u8; DATA + 8]>,
    head: Box<[u16; 65536]>,
    prev: Box<[u16; 32768]>,
    mask: usize,
    shift: u32,
    hash: u32,
    /// Index of the next byte to encode.
    pub start: usize,
    /// Bytes in the buffer from `start` on.
    pub ahead: usize,
    /// Index at which the open block began; negative when that byte has slid out.
    pub block: isize,
    /// Plain bytes before index 0.
    pub base: u64,
}

/// Zeros that never lie on the stack.
fn zeros<T: Copy + Default, const N: usize>() -> Box<[T; N]> {
    let zeros = vec![T::default(); N].into_boxed_slice();
    zeros.try_into().unwrap_or_else(|_| Box::new([T::default(); N]))
}

impl<L: Lineage> Window<L> {
    /// A window of `1 << window` bytes (9 to 15) with a table of `1 << hash` chains (8 to 16), each step shifting the hash by `shift`.
    #[must_use]
    pub fn new(window: u32, hash: u32, shift: u32) -> Self {
        Self {
            lineage: PhantomData,
            data: zeros(),
            head: zeros(),
            prev: zeros(),
            mask: (1 << window.min(15)) - 1,
            shift,
            hash: (1 << hash.min(16)) - 1,
            start: 0,
            ahead: 0,
            block: 0,
            base: 0,
        }
    }

    /// Window size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.mask + 1
    }

    /// Farthest distance.
    #[inline]
    #[must_use]
    pub fn far(&self) -> usize {
        self.mask + 1 - AHEAD
    }

    /// Takes as many of `plain` as fit, and says how many. `ending`: nothing follows. Called when `ahead` is not enough.
    ///
    /// The encoder sees its input as if all of it had been handed over in one call: the buffer slides only when it is full.
    pub fn fill(&mut self, plain: &[u8], ending: bool) -> usize {
        if self.start >= self.size() + self.far() && (ending || self.is_full()) {
            self.slide();
        }
        let used = self.start + self.ahead;
        let room = (2 * self.size()).saturating_sub(used).min(plain.len());
        self.data[used..used + room].copy_from_slice(&plain[..room]);
        self.ahead += room;
        room
    }

    /// Whether the buffer has no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.start + self.ahead >= 2 * self.size()
    }

    fn slide(&mut self) {
        let size = self.size();
        self.data.copy_within(size..2 * size, 0);
        self.start -= size;
        self.block -= size as isize;
        self.base += size as u64;
        let drop = size as u16;
        for at in self.head[..=self.hash as usize].iter_mut().chain(&mut self.prev[..size]) {
            *at = at.saturating_sub(drop);
        }
    }

    /// Whether a match may be looked for at `start`.
    #[inline]
    #[must_use]
    pub fn searchable(&self) -> bool {
        !L::BEYOND || self.start <= 2 * self.size() - AHEAD
    }

    /// The input is over: lays out what encoders find beyond it. What the buffer held: after a slide, the bytes one window before;
    /// before the first, zeros. GNU gzip puts two zeros first.
    pub fn end(&mut self) {
        let used = self.start + self.ahead;
        let first = used + if L::BEYOND { 2 } else { 0 };
        for at in used..(2 * self.size()).min(used + AHEAD + 8) {
            let old = if self.base > 0 && at >= first { at.checked_sub(self.size()) } else { None };
            self.data[at] = old.map_or(0, |old| self.data[old]);
        }
    }

    /// The byte at an index.
    #[inline]
    #[must_use]
    pub fn byte(&self, at: usize) -> u8 {
        self.data[at & 0xffff]
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        let at = at & 0xffff;
        let mut word = [0; 8];
        word.copy_from_slice(&self.data[at..at + 8]);
        u64::from_le_bytes(word)
    }

    /// Enters the three bytes at `at` into the table; answers the position entered before it with that hash, 0 if none.
    #[inline]
    pub fn enter(&mut self, at: usize) -> usize {
        let hash = L::hash(self.word(at) as u32, self.shift);
        let slot = &mut self.head[(hash & self.hash & 0xffff) as usize];
        let before = *slot;
        *slot = at as u16;
        self.prev[at & self.mask & 0x7fff] = before;
        before as usize
    }

    /// The bytes of the open block, unless its first has slid out.
    #[must_use]
    pub fn open(&self, end: usize) -> Option<&[u8]> {
        let from = usize::try_from(self.block).ok()?;
        self.data.get(from..end)
    }

    /// Length of the run at `start` of the byte before it, at most [`LONGEST`] and `ahead`; 0 if shorter than 3.
    #[must_use]
    pub fn run(&self) -> usize {
        if self.ahead < 3 || self.start == 0 {
            return 0;
        }
        let byte = self.byte(self.start - 1);
        let most = self.ahead.min(LONGEST);
        let run = self.data[self.start..self.start + most].iter().take_while(|&&b| b == byte).count();
        if run < 3 { 0 } else { run }
    }

    /// Longest match for the bytes at `start` from the chain beginning at `at`, if longer than `best`: length and distance.
    /// Else at most `best`, with a distance that means nothing.
    #[inline]
    #[must_use]
    pub fn longest(&self, mut at: usize, best: usize, tune: &Tune) -> (usize, usize) {
        let most = if L::BEYOND { LONGEST } else { self.ahead.min(LONGEST) };
        let nice = if L::BEYOND { tune.nice } else { tune.nice.min(most) };
        let mut best = best;
        if best >= most {
            return (most.min(self.ahead), 1);
        }
        let mut chain = if best >= tune.good { tune.chain >> 2 } else { tune.chain };
        let scan = self.start;
        let limit = scan.saturating_sub(self.far());
        let first = self.word(scan);
        let mut found = scan;
        let mut end = self.word(scan + best - 1) as u16;
        loop {
            if self.word(at + best - 1) as u16 == end {
                let len = self.equal(at, scan, first, most);
                if len > best {
                    best = len;
                    found = at;
                    if len >= nice {
                        break;
                    }
                    end = self.word(scan + best - 1) as u16;
                }
            }
            at = self.prev[at & self.mask & 0x7fff] as usize;
            chain -= 1;
            if at <= limit || chain == 0 {
                break;
            }
        }
        (best.min(self.ahead), scan - found)
    }

    #[inline]
    fn equal(&self, at: usize, scan: usize, first: u64, most: usize) -> usize {
        let differ = self.word(at) ^ first;
        if differ != 0 {
            return ((differ.trailing_zeros() / 8) as usize).min(most);
        }
        let mut len = 8;
        while len < most {
            let differ = self.word(at + len) ^ self.word(scan + len);
            if differ != 0 {
                return (len + (differ.trailing_zeros() / 8) as usize).min(most);
            }
            len += 8;
        }
        most
    }

    /// Places the window at index `start` of a stream with the bytes `before` it, as if it had run up to there.
    /// Nothing is entered into the table yet.
    pub fn place(&mut self, start: usize, base: u64, before: &[u8]) {
        let keep = before.len().min(start);
        self.data[start - keep..start].copy_from_slice(&before[before.len() - keep..]);
        (self.start, self.block, self.base, self.ahead) = (start, start as isize, base, 0);
    }
}
