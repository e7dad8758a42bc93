//! A *block* here is tokens or bytes on their way into the stream: stored, under the fixed code or under one of its own.
//!
//! It does not find matches, and it never writes a last block: the stream's end is an empty stored block ([`Blocks::end`]).

use super::super::bits::BitWriter;
use super::code::{Code, fixed_distances, fixed_literals};
use super::header::Header;
use super::symbol::{
    DISTANCE_EXTRA, DISTANCES, END, LENGTH_BASE, LENGTH_EXTRA, LENGTH_SYMBOL, LENGTHS, LITERALS, Token, distance_symbol,
};

/// Most bytes of a stored block.
pub const STORED_MAX: usize = 65535;

/// Writes blocks and counts bits.
#[derive(Debug)]
pub struct Blocks {
    fixed: (Code<LITERALS>, Code<DISTANCES>),
    bits: u64,
}

/// What a block's tokens need.
struct Counts {
    literal: [u32; LITERALS],
    distance: [u32; DISTANCES],
}

impl Counts {
    fn of(tokens: &[Token]) -> Self {
        let mut counts = Self { literal: [0; LITERALS], distance: [0; DISTANCES] };
        for token in tokens {
            if let Some(byte) = token.byte() {
                counts.literal[usize::from(byte)] += 1;
            } else {
                counts.literal[LENGTHS + usize::from(LENGTH_SYMBOL[usize::from(token.length())])] += 1;
                counts.distance[distance_symbol(token.distance())] += 1;
            }
        }
        counts.literal[END] = 1;
        // A header states at least one distance: without a match, distance symbol 0 counts as used once, in every size estimate too.
        if counts.distance.iter().all(|f| *f == 0) {
            counts.distance[0] = 1;
        }
        counts
    }

    fn extra(&self) -> u64 {
        let length = LENGTH_EXTRA.iter().zip(&self.literal[LENGTHS..]);
        let distance = DISTANCE_EXTRA.iter().zip(&self.distance);
        length.chain(distance).map(|(bits, f)| u64::from(*bits) * u64::from(*f)).sum()
    }

    fn codes(&self) -> (Code<LITERALS>, Code<DISTANCES>) {
        (Code::of(&self.literal, 15), Code::of(&self.distance, 15))
    }

    fn header(&self, codes: &(Code<LITERALS>, Code<DISTANCES>)) -> Header {
        let literals = self.literal.iter().rposition(|f| *f != 0).map_or(LENGTHS, |last| last + 1);
        let distances = self.distance.iter().rposition(|f| *f != 0).map_or(1, |last| last + 1);
        Header::new(literals, &codes.0, distances, &codes.1)
    }

    fn cost(&self, codes: &(Code<LITERALS>, Code<DISTANCES>)) -> u64 {
        codes.0.cost(&self.literal) + codes.1.cost(&self.distance)
    }
}

/// Bits of a stored block of `len` bytes as the encoder reckons them: five bytes of header, whatever the alignment.
fn stored_cost(len: usize) -> u64 {
    (len as u64 + 5) * 8
}

impl Blocks {
    /// A writer that begins `bits` bits into the stream.
    pub fn new(bits: u64) -> Self {
        Self { fixed: (fixed_literals(), fixed_distances()), bits }
    }

    /// Bits of the stream before the next block.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// The smallest of fixed, dynamic and (where the block's bytes are still at hand) stored; in that order if equal.
    pub fn best(&mut self, tokens: &[Token], plain: Option<&[u8]>, out: &mut BitWriter) {
        let counts = Counts::of(tokens);
        let codes = counts.codes();
        let header = counts.header(&codes);
        let fixed = 3 + counts.cost(&self.fixed);
        let dynamic = header.cost() + counts.cost(&codes);
        if let Some(plain) = plain.filter(|p| p.len() <= STORED_MAX)
            && stored_cost(plain.len()) < fixed.min(dynamic) + counts.extra()
        {
            return self.stored(plain, out);
        }
        self.counted(out, |blocks, out| {
            if dynamic < fixed {
                header.write(out);
                write_tokens(tokens, &codes, out);
            } else {
                out.put(2, 3);
                write_tokens(tokens, &blocks.fixed, out);
            }
        });
    }

    /// Dynamic, or stored if that is smaller than the dynamic block (extra bits left out) and a sixteenth more.
    pub fn dynamic(&mut self, tokens: &[Token], plain: &[u8], out: &mut BitWriter) {
        let counts = Counts::of(tokens);
        let codes = counts.codes();
        let header = counts.header(&codes);
        let size = header.cost() + counts.cost(&codes);
        if stored_cost(plain.len()) < size + (size >> 4) {
            return self.stored(plain, out);
        }
        self.counted(out, |_, out| {
            header.write(out);
            write_tokens(tokens, &codes, out);
        });
    }

    /// Dynamic without matches, or stored by the rule of [`dynamic`](Self::dynamic).
    pub fn literals(&mut self, plain: &[u8], out: &mut BitWriter) {
        let mut counts = Counts::of(&[]);
        for byte in plain {
            counts.literal[usize::from(*byte)] += 1;
        }
        let codes = counts.codes();
        let header = counts.header(&codes);
        let size = header.cost() + counts.cost(&codes);
        if stored_cost(plain.len()) < size + (size >> 4) {
            return self.stored(plain, out);
        }
        self.counted(out, |_, out| {
            header.write(out);
            for byte in plain {
                put(&codes.0, usize::from(*byte), out);
            }
            put(&codes.0, END, out);
        });
    }

    /// One stored block (at most 65535 bytes).
    pub fn stored(&mut self, plain: &[u8], out: &mut BitWriter) {
        self.counted(out, |_, out| write_stored(0, plain, out));
    }

    /// The end of the stream: an empty stored block with the final bit.
    pub fn end(&mut self, out: &mut BitWriter) {
        self.counted(out, |_, out| write_stored(1, &[], out));
    }

    fn counted(&mut self, out: &mut BitWriter, write: impl FnOnce(&Self, &mut BitWriter)) {
        let before = written(out);
        write(self, out);
        self.bits = self.bits.wrapping_add(written(out) - before);
    }
}

/// Bits in `out`, those of a begun byte included.
pub fn written(out: &BitWriter) -> u64 {
    out.waiting() as u64 * 8 + u64::from(out.rest().1 % 8)
}

/// A stored block of at most 65535 bytes; `last`: 1 if it ends the stream, else 0.
pub fn write_stored(last: u32, plain: &[u8], out: &mut BitWriter) {
    out.put(last, 3);
    out.align();
    let len = plain.len() as u32 & 0xffff;
    out.put(len, 16);
    out.put(!len & 0xffff, 16);
    out.bytes(plain);
}

#[inline]
fn put<const N: usize>(code: &Code<N>, symbol: usize, out: &mut BitWriter) {
    out.put(u32::from(code.bits[symbol]), u32::from(code.len[symbol]));
}

fn write_tokens(tokens: &[Token], codes: &(Code<LITERALS>, Code<DISTANCES>), out: &mut BitWriter) {
    write_copies(tokens, &codes.0, &codes.1, true, out);
}

/// The tokens under two codes, and the end symbol if `end`.
pub fn write_copies(
    tokens: &[Token],
    literal: &Code<LITERALS>,
    distance: &Code<DISTANCES>,
    end: bool,
    out: &mut BitWriter,
) {
    for token in tokens {
        if let Some(byte) = token.byte() {
            put(literal, usize::from(byte), out);
            continue;
        }
        let symbol = usize::from(LENGTH_SYMBOL[usize::from(token.length())]);
        let len = u32::from(literal.len[LENGTHS + symbol]);
        let extra = u32::from(token.length() - LENGTH_BASE[symbol]);
        out.put(u32::from(literal.bits[LENGTHS + symbol]) | extra << len, len + u32::from(LENGTH_EXTRA[symbol]));
        let d = token.distance();
        let symbol = distance_symbol(d);
        let len = u32::from(distance.len[symbol]);
        let bits = u32::from(DISTANCE_EXTRA[symbol]);
        let extra = d & ((1 << bits) - 1);
        out.put(u32::from(distance.bits[symbol]) | extra << len, len + bits);
    }
    if end {
        put(literal, END, out);
    }
}
