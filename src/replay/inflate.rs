//! The *opening* of a deflate stream: what its first block looks like, so that most encoders need not be tried.
//!
//! Tokens are counted, nothing is expanded. The bytes may be anything: all reading is bounded by the bytes given.

use super::codes::{BASE_LENGTH, DISTANCES, END, EXTRA_DISTANCE, EXTRA_LENGTH, FIXED_LITERAL, LENGTHS, ORDER};

/// The form of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Stored as it is.
    Stored,
    /// With the fixed code.
    Fixed,
    /// With a code of its own.
    Dynamic,
}

/// What the first block looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Its form.
    pub kind: Kind,
    /// Whether it is the last block.
    pub last: bool,
    /// Tokens in it, its end not counted; 0 if it is stored.
    pub tokens: usize,
    /// How many of them are matches.
    pub pairs: usize,
    /// Plain bytes in it.
    pub plain: usize,
    /// Whether a match of three bytes comes from farther than 4096.
    pub far_three: bool,
    /// Length of the longest match; 0: none.
    pub longest: usize,
    /// Farthest distance; 0: none.
    pub farthest: usize,
    /// Bits of the block, its header included.
    pub bits: u64,
}

impl Opening {
    /// Reads the first block from the front of a stream; `None` if it is damaged, or does not end within `bytes`.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits { bytes, at: 0 };
        let last = bits.take(1)? == 1;
        let kind = match bits.take(2)? {
            0 => Kind::Stored,
            1 => Kind::Fixed,
            2 => Kind::Dynamic,
            _ => return None,
        };
        let mut opening =
            Self { kind, last, tokens: 0, pairs: 0, plain: 0, far_three: false, longest: 0, farthest: 0, bits: 0 };
        match kind {
            Kind::Stored => {
                bits.at = bits.at.div_ceil(8).checked_mul(8)?;
                let len = bits.take(16)?;
                if bits.take(16)? != len ^ 0xffff {
                    return None;
                }
                opening.plain = len as usize;
                bits.at = bits.at.checked_add((len as usize).checked_mul(8)?)?;
            }
            Kind::Fixed => opening.tokens(&mut bits, &Code::new(&FIXED_LITERAL)?, &Code::new(&[5; 32])?)?,
            Kind::Dynamic => {
                let (literal, distance) = codes(&mut bits)?;
                opening.tokens(&mut bits, &literal, &distance)?;
            }
        }
        opening.bits = bits.at as u64;
        Some(opening)
    }

    fn tokens(&mut self, bits: &mut Bits, literal: &Code, distance: &Code) -> Option<()> {
        loop {
            let symbol = literal.next(bits)?;
            if symbol == END {
                return Some(());
            }
            self.tokens = self.tokens.checked_add(1)?;
            let Some(index) = symbol.checked_sub(END + 1) else {
                self.plain = self.plain.checked_add(1)?;
                continue;
            };
            let extra = bits.take(u32::from(*EXTRA_LENGTH.get(index)?))? as usize;
            let length = usize::from(*BASE_LENGTH.get(index)?).checked_add(extra)?.checked_add(3)?;
            let symbol = distance.next(bits)?;
            let extra = bits.take(u32::from(*EXTRA_DISTANCE.get(symbol)?))? as usize;
            let back = usize::from(*super::codes::BASE_DISTANCE.get(symbol)?).checked_add(extra)?.checked_add(1)?;
            self.plain = self.plain.checked_add(length)?;
            self.pairs = self.pairs.checked_add(1)?;
            self.longest = self.longest.max(length);
            self.farthest = self.farthest.max(back);
            self.far_three |= length == 3 && back > 4096;
        }
    }
}

/// The two codes of a dynamic block (RFC 1951, section 3.2.7).
fn codes(bits: &mut Bits) -> Option<(Code, Code)> {
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    let sent = bits.take(4)? as usize + 4;
    let mut lengths = [0u8; LENGTHS];
    for &symbol in ORDER.get(..sent)? {
        *lengths.get_mut(symbol)? = bits.take(3)? as u8;
    }
    let code = Code::new(&lengths)?;
    let mut all: Vec<u8> = Vec::with_capacity(320);
    let want = literals.checked_add(distances).filter(|_| literals <= 286 && distances <= DISTANCES + 2)?;
    while all.len() < want {
        let (length, times) = match code.next(bits)? {
            symbol @ 0..=15 => (symbol as u8, 1),
            16 => (*all.last()?, bits.take(2)? as usize + 3),
            17 => (0, bits.take(3)? as usize + 3),
            _ => (0, bits.take(7)? as usize + 11),
        };
        all.extend(std::iter::repeat_n(length, times));
    }
    let (literal, distance) = all.get(..want)?.split_at_checked(literals)?;
    Some((Code::new(literal)?, Code::new(distance)?))
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits (at most 16).
    fn take(&mut self, count: u32) -> Option<u32> {
        let end = self.at.checked_add(count as usize)?;
        if end > self.bytes.len().checked_mul(8)? {
            return None;
        }
        let word = self.peek();
        self.at = end;
        Some(word & ((1u32 << count.min(16)) - 1))
    }

    /// At least 16 bits from here on; zeros beyond the end.
    fn peek(&self) -> u32 {
        let byte = |i: usize| u32::from(self.bytes.get(self.at / 8 + i).copied().unwrap_or(0));
        (byte(0) | byte(1) << 8 | byte(2) << 16) >> (self.at % 8)
    }
}

/// A code as a table of 15 bits: symbol and length.
struct Code {
    table: Vec<(u16, u8)>,
}

impl Code {
    /// `None` if the lengths claim more than there is. Codes that leave something unclaimed are taken: Go writes such.
    fn new(lengths: &[u8]) -> Option<Self> {
        let claimed: u32 = lengths.iter().filter(|&&n| n > 0).map(|&n| 1u32 << (15 - u32::from(n.min(15)))).sum();
        if claimed > 1 << 15 {
            return None;
        }
        let mut codes = vec![0u16; lengths.len()];
        super::codes::canonical(lengths, &mut codes);
        let mut table = vec![(0u16, 0u8); 1 << 15];
        for (symbol, (&code, &length)) in codes.iter().zip(lengths).enumerate() {
            if length == 0 {
                continue;
            }
            for slot in table.iter_mut().skip(usize::from(code)).step_by(1usize << length.min(15)) {
                *slot = (symbol as u16, length);
            }
        }
        Some(Self { table })
    }

    fn next(&self, bits: &mut Bits) -> Option<usize> {
        let &(symbol, length) = self.table.get((bits.peek() & 0x7fff) as usize)?;
        if length == 0 {
            return None;
        }
        bits.take(u32::from(length))?;
        Some(usize::from(symbol))
    }
}
