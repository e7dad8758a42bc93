//! *Moves* say where things of old content went, so that the numbers in it that name a place can follow.
//!
//! Two kinds of number are known: displacements in x86-64 code, and words that hold an address. Specified in
//! `spec/patch.md`, section 4.

use super::error::{PatchError, damaged};
use super::number;

const NAME: &str = "moves";

/// How numbers that name a place are found in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// x86-64 code: a displacement of 32 bits follows a byte that calls, jumps or addresses by the instruction pointer.
    Code,
    /// Words of 4 bytes, one after another; an address is the word less `base`.
    Words4 {
        /// What a word has at address 0.
        base: i64,
    },
    /// Words of 8 bytes, likewise.
    Words8 {
        /// What a word has at address 0.
        base: i64,
    },
}

/// A range of old content whose numbers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Where it begins in old content.
    pub start: u64,
    /// Its length, at least 1.
    pub len: u64,
    /// What is in it.
    pub kind: Kind,
}

/// Everything that the stream `moves` holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Moves {
    /// Where the patch's new content begins in the whole new content.
    pub origin: u64,
    /// Ascending, without overlap.
    pub regions: Vec<Region>,
    /// Addresses from here on are not known.
    pub end: u64,
    /// From which address on things moved how far; strictly ascending. Below the first nothing is known.
    pub shifts: Vec<(u64, i64)>,
}

impl Moves {
    /// The stream; empty where nothing moves. Every number is below 2^62.
    #[allow(clippy::arithmetic_side_effects)] // the differ's own regions and shifts, ascending
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.shifts.is_empty() || self.regions.is_empty() {
            return out;
        }
        number::put(&mut out, self.origin);
        number::put(&mut out, self.end);
        number::put(&mut out, number::wide(self.regions.len()));
        let mut at = 0;
        for r in &self.regions {
            number::put(&mut out, r.start - at);
            number::put(&mut out, r.len);
            at = r.start + r.len;
            match r.kind {
                Kind::Code => number::put(&mut out, 0),
                Kind::Words4 { base } => {
                    number::put(&mut out, 4);
                    number::put_signed(&mut out, base);
                }
                Kind::Words8 { base } => {
                    number::put(&mut out, 8);
                    number::put_signed(&mut out, base);
                }
            }
        }
        let (mut at, mut by) = (0, 0);
        for &(address, shift) in &self.shifts {
            number::put(&mut out, address - at);
            number::put_signed(&mut out, shift.wrapping_sub(by));
            (at, by) = (address, shift);
        }
        out
    }

    /// Reads the stream.
    pub fn decode(mut from: &[u8]) -> Result<Moves, PatchError> {
        let mut moves = Moves::default();
        if from.is_empty() {
            return Ok(moves);
        }
        let from = &mut from;
        let next = |from: &mut &[u8]| number::take(from).ok_or_else(|| damaged(NAME, "no number"));
        let signed = |from: &mut &[u8]| number::take_signed(from).ok_or_else(|| damaged(NAME, "no number"));
        let large = || damaged(NAME, "a sum is too large");
        moves.origin = next(from)?;
        moves.end = next(from)?;
        let mut at = 0u64;
        for _ in 0..next(from)? {
            let start = at.checked_add(next(from)?).ok_or_else(large)?;
            let len = next(from)?;
            at = start.checked_add(len).filter(|_| len > 0).ok_or_else(large)?;
            let kind = match next(from)? {
                0 => Kind::Code,
                4 => Kind::Words4 { base: signed(from)? },
                8 => Kind::Words8 { base: signed(from)? },
                _ => return Err(damaged(NAME, "a region of an unknown kind")),
            };
            moves.regions.push(Region { start, len, kind });
        }
        let (mut at, mut by) = (0u64, 0i64);
        while !from.is_empty() {
            let step = next(from)?;
            if step == 0 && !moves.shifts.is_empty() {
                return Err(damaged(NAME, "two shifts at one address"));
            }
            at = at.checked_add(step).ok_or_else(large)?;
            let change = signed(from)?;
            by = by.checked_add(change).ok_or_else(large)?;
            moves.shifts.push((at, by));
        }
        if moves.regions.is_empty() || moves.shifts.is_empty() {
            return Err(damaged(NAME, "says nothing"));
        }
        Ok(moves)
    }

    /// How far what was at `address` moved.
    fn shift(&self, address: u64) -> Option<i64> {
        let after = self.shifts.partition_point(|(from, _)| *from <= address);
        let (_, by) = self.shifts.get(after.checked_sub(1)?)?;
        (address < self.end).then_some(*by)
    }

    /// Parts of a copy that lie in regions.
    pub fn parts(&self, from: u64, len: usize) -> impl Iterator<Item = Part> + '_ {
        let end = from.saturating_add(number::wide(len));
        let first = self.regions.partition_point(|r| r.start.saturating_add(r.len) <= from);
        let reached = self.regions.iter().enumerate().skip(first).take_while(move |(_, r)| r.start < end);
        reached.filter_map(move |(region, r)| {
            let (begin, end) = (r.start.max(from), r.start.saturating_add(r.len).min(end));
            // Words keep their places in the region wherever the copy begins.
            let grid = match r.kind {
                Kind::Code => 0,
                Kind::Words4 { .. } => 3,
                Kind::Words8 { .. } => 7,
            };
            let place = begin.checked_add(begin.wrapping_sub(r.start).wrapping_neg() & grid)?;
            let len = usize::try_from(end.checked_sub(place)?).ok()?;
            Some(Part { region, at: usize::try_from(place.checked_sub(from)?).ok()?, len, place, kind: r.kind })
        })
    }

    /// Lets the numbers of a copy follow: `copied` came from `from` and goes to `at` of the patch's new content.
    pub fn follow(&self, copied: &mut [u8], from: u64, at: u64) {
        for p in self.parts(from, copied.len()) {
            let Some(part) = copied.get_mut(p.at..).and_then(|rest| rest.get_mut(..p.len)) else { continue };
            match p.kind {
                Kind::Code => {
                    let moved = self.moved(at, &p);
                    displacements(part, |k, d| {
                        let by = self.shift(target(p.place, k, d))?;
                        Some(d.wrapping_add(low(by.wrapping_sub(moved))))
                    });
                }
                Kind::Words4 { base } => {
                    for word in part.as_chunks_mut::<4>().0 {
                        let v = u32::from_le_bytes(*word);
                        if let Some(by) = self.shift(address(v.into(), base)) {
                            *word = v.wrapping_add(low(by)).to_le_bytes();
                        }
                    }
                }
                Kind::Words8 { base } => {
                    for word in part.as_chunks_mut::<8>().0 {
                        let v = u64::from_le_bytes(*word);
                        if let Some(by) = self.shift(address(v, base)) {
                            *word = v.wrapping_add(by.cast_unsigned()).to_le_bytes();
                        }
                    }
                }
            }
        }
    }

    /// How far a part itself moves, of a copy that goes to `at` of the patch's new content.
    pub fn moved(&self, at: u64, part: &Part) -> i64 {
        let new = self.origin.wrapping_add(at).wrapping_add(number::wide(part.at));
        new.wrapping_sub(part.place).cast_signed()
    }
}

/// What of a copy lies in one region.
pub struct Part {
    /// The region's number.
    pub region: usize,
    /// Where it begins in the copy.
    pub at: usize,
    /// Its length.
    pub len: usize,
    /// Where it begins in old content.
    pub place: u64,
    /// The region's kind.
    pub kind: Kind,
}

/// The low half.
fn low(n: i64) -> u32 {
    let [a, b, c, d, ..] = n.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The address that displacement `d` at `k` of code at `place` means: it counts from its own end.
pub fn target(place: u64, k: usize, d: u32) -> u64 {
    let end = place.wrapping_add(number::wide(k)).wrapping_add(4);
    end.wrapping_add(i64::from(d.cast_signed()).cast_unsigned())
}

/// The address that a word means.
pub fn address(word: u64, base: i64) -> u64 {
    word.wrapping_sub(base.cast_unsigned())
}

/// Goes through code and offers each displacement, with its position, to `change`; what that gives takes its place, and
/// the search goes on behind it. Where it gives nothing, the search goes on at the next byte.
pub fn displacements(code: &mut [u8], mut change: impl FnMut(usize, u32) -> Option<u32>) {
    let mut i = 0usize;
    while let Some((&op, rest)) = code.get(i..).and_then(<[u8]>::split_first) {
        let before = match op {
            // call, jmp, and ModRM bytes of instructions that address by the instruction pointer
            0xE8 | 0xE9 | 0x05 | 0x0D | 0x15 | 0x1D | 0x25 | 0x2D | 0x35 | 0x3D => 1,
            // conditional jumps
            0x0F if rest.first().is_some_and(|b| b & 0xF0 == 0x80) => 2,
            _ => 0,
        };
        let k = i.wrapping_add(before);
        i = i.wrapping_add(1);
        if before > 0
            && let Some(field) = code.get_mut(k..).and_then(<[u8]>::first_chunk_mut::<4>)
            && let Some(new) = change(k, u32::from_le_bytes(*field))
        {
            *field = new.to_le_bytes();
            i = k.wrapping_add(4);
        }
    }
}
