//! *Reuse*: a block may go on under the codes of the one before, if a new pair would not save enough.
//!
//! The end symbol of a block whose codes may be reused is owed, and written when a block of another kind follows. Finds no matches.

use super::super::bits::BitWriter;
use super::super::go::block::{STORED_MAX, write_copies, write_stored, written};
use super::super::go::code::{Code, fixed_distances, fixed_literals};
use super::super::go::header::Header;
use super::super::go::symbol::{
    DISTANCE_EXTRA, DISTANCES, END, LENGTH_EXTRA, LENGTH_SYMBOL, LENGTHS, LITERALS, Token, distance_symbol,
};

/// Codes are compared with the fixed ones only for blocks of fewer tokens.
const FEW: usize = 250;
/// What a header of literals alone is taken to cost before there has been one.
const HEADER_GUESS: u64 = 70 * 8;

/// What differs between those who use this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A new pair of codes is thought to cost more by the estimate shifted right by this.
    pub penalty: u32,
    /// In a block that is not the last, headers state all 286 and 30 lengths, and the end symbol does not count in what reuse would cost.
    pub whole: bool,
}

/// The codes that may be used again.
#[derive(Debug, Clone)]
struct Codes {
    literal: Code<LITERALS>,
    distance: Code<DISTANCES>,
    /// Bits of the header they came in.
    header: u64,
    /// Made for literals alone.
    flat: bool,
}

impl Codes {
    fn cost(&self, counts: &Counts) -> u64 {
        self.literal.cost(&counts.literal) + self.distance.cost(&counts.distance)
    }

    /// Whether every symbol that occurs has a code.
    fn covers(&self, counts: &Counts) -> bool {
        let literal = counts.literal.iter().zip(&self.literal.len);
        let distance = counts.distance.iter().zip(&self.distance.len);
        literal.chain(distance).all(|(f, len)| *f == 0 || *len != 0)
    }
}

/// How often each symbol occurs in a block.
#[derive(Clone)]
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
        counts
    }

    fn extra(&self) -> u64 {
        let length = LENGTH_EXTRA.iter().zip(&self.literal[LENGTHS..]);
        let distance = DISTANCE_EXTRA.iter().zip(&self.distance);
        length.chain(distance).map(|(bits, f)| u64::from(*bits) * u64::from(*f)).sum()
    }

    fn literals(&self) -> usize {
        self.literal.iter().rposition(|f| *f != 0).map_or(LENGTHS, |last| (last + 1).max(LENGTHS))
    }

    fn distances(&self) -> usize {
        self.distance.iter().rposition(|f| *f != 0).map_or(1, |last| last + 1)
    }

    /// Bits that a perfect code would take, in single precision and in this order: part of the encoder's behaviour.
    fn estimate(&self, total: usize) -> u64 {
        let mut sum = 0f32;
        let share = 1.0 / total as f32;
        for f in self.literal[..END].iter().filter(|f| **f != 0) {
            sum += symbol_bits(*f, share);
        }
        sum += 15.0;
        let (mut extra, mut matches) = (0u64, 0u32);
        for (f, bits) in self.literal[LENGTHS..].iter().zip(LENGTH_EXTRA).filter(|(f, _)| **f != 0) {
            sum += symbol_bits(*f, share);
            extra += u64::from(bits) * u64::from(*f);
            matches += *f;
        }
        if matches > 0 {
            let share = 1.0 / matches as f32;
            for (f, bits) in self.distance.iter().zip(DISTANCE_EXTRA).filter(|(f, _)| **f != 0) {
                sum += symbol_bits(*f, share);
                extra += u64::from(bits) * u64::from(*f);
            }
        }
        sum as u64 + extra
    }
}

/// `f` times the bits of a symbol that occurs `f` times, 1 to 15.
fn symbol_bits(f: u32, share: f32) -> f32 {
    let n = f as f32;
    (-log2(n * share)).clamp(1.0, 15.0) * n
}

/// About the logarithm: exponent, and a parabola for the rest.
fn log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = (bits >> 23 & 255) as i32 - 128;
    let rest = f32::from_bits((bits & 0x807f_ffff) + (127 << 23));
    exponent as f32 + ((-0.344_848_43 * rest + 2.024_665_8) * rest - 0.674_877_6)
}

fn stored_cost(len: usize) -> u64 {
    (len as u64 + 5) * 8
}

/// Writes blocks and counts bits.
#[derive(Debug)]
pub struct Reuse {
    rules: Rules,
    fixed: Codes,
    codes: Option<Codes>,
    /// Bits of the stream so far.
    bits: u64,
    /// Where the last block began if it would have come out the same without codes from before.
    fresh: Option<u64>,
}

impl Reuse {
    /// A writer without codes from before, `bits` bits into the stream.
    pub fn new(rules: Rules, bits: u64) -> Self {
        let fixed = Codes { literal: fixed_literals(), distance: fixed_distances(), header: 3, flat: false };
        Self { rules, fixed, codes: None, bits, fresh: None }
    }

    /// Bits of the stream so far.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// Where the last block began (behind an end symbol that was owed), if it owes nothing to the block before.
    pub fn fresh(&self) -> Option<u64> {
        self.fresh
    }

    /// A block of `tokens` for `plain` (`None`: no longer at hand, it cannot be stored); `last`: its end symbol is written at once.
    pub fn dynamic(&mut self, tokens: &[Token], plain: Option<&[u8]>, last: bool, out: &mut BitWriter) {
        let before = self.begin(out);
        self.choose(tokens, plain, last, out);
        self.bits = before.wrapping_add(written(out));
    }

    /// A block of literals without matches.
    pub fn flat(&mut self, plain: &[u8], last: bool, out: &mut BitWriter) {
        let before = self.begin(out);
        self.write_flat(plain, last, out);
        self.bits = before.wrapping_add(written(out));
    }

    /// A stored block that was not weighed against others.
    pub fn stored(&mut self, plain: &[u8], out: &mut BitWriter) {
        let before = self.begin(out);
        self.owe(out);
        self.fresh = Some(before.wrapping_add(written(out)));
        write_stored(0, plain, out);
        self.bits = before.wrapping_add(written(out));
    }

    /// The end of the stream: an empty fixed block with the final bit, and zero bits to a whole byte.
    pub fn end(&mut self, out: &mut BitWriter) {
        let before = self.begin(out);
        self.owe(out);
        out.put(3, 3);
        out.put(0, 7);
        out.align();
        self.bits = before.wrapping_add(written(out));
    }

    /// Notes where a block begins; the difference between the stream's bits and those in `out`.
    fn begin(&mut self, out: &BitWriter) -> u64 {
        self.fresh = self.codes.is_none().then_some(self.bits);
        self.bits.wrapping_sub(written(out))
    }

    /// Writes the end symbol that is owed, and forgets the codes.
    fn owe(&mut self, out: &mut BitWriter) {
        if let Some(codes) = self.codes.take() {
            out.put(u32::from(codes.literal.bits[END]), u32::from(codes.literal.len[END]));
        }
    }

    fn put_stored(&mut self, plain: &[u8], out: &mut BitWriter) {
        self.owe(out);
        write_stored(0, plain, out);
    }

    fn put_fixed(&mut self, tokens: &[Token], out: &mut BitWriter) {
        self.owe(out);
        out.put(2, 3);
        write_copies(tokens, &self.fixed.literal, &self.fixed.distance, true, out);
    }

    fn choose(&mut self, tokens: &[Token], plain: Option<&[u8]>, last: bool, out: &mut BitWriter) {
        let base = self.bits.wrapping_sub(written(out));
        let mut counts = Counts::of(tokens);
        // The end symbol is a token too where it is written at once.
        let total = tokens.len() + usize::from(last);
        let whole = self.rules.whole && !last;
        counts.literal[END] = u32::from(!whole);
        if self.codes.as_ref().is_some_and(|codes| codes.flat || !codes.covers(&counts)) {
            self.owe(out);
            self.fresh = Some(base.wrapping_add(written(out)));
        }
        let estimate = counts.estimate(total);
        let extra = counts.extra();
        // A header states at least one distance: without a match, distance symbol 0 counts as used once.
        if !whole && counts.distance.iter().all(|f| *f == 0) {
            counts.distance[0] = 1;
        }
        let plain = plain.filter(|plain| plain.len() <= STORED_MAX);
        let stored = plain.map_or(u64::MAX, |plain| stored_cost(plain.len()));
        let plain = plain.unwrap_or_default();
        let fixed = 3 + self.fixed.cost(&counts) + extra;
        if let Some(codes) = &self.codes {
            let guess = codes.header + estimate;
            let anew = guess + u64::from(codes.literal.len[END]) + (guess >> self.rules.penalty);
            let again = codes.cost(&counts) + extra;
            let size = anew.min(again);
            if anew < again {
                self.owe(out);
            }
            if total < FEW && fixed + 7 < size {
                return if stored <= size { self.put_stored(plain, out) } else { self.put_fixed(tokens, out) };
            }
            if stored <= size {
                return self.put_stored(plain, out);
            }
            if let Some(codes) = &self.codes {
                write_copies(tokens, &codes.literal, &codes.distance, last, out);
                if last {
                    self.codes = None;
                }
                return;
            }
            self.fresh = Some(base.wrapping_add(written(out)));
        }
        counts.literal[END] = 1;
        let fixed = 3 + self.fixed.cost(&counts) + extra;
        let literal = Code::of(&counts.literal, 15);
        let distance = Code::of(&counts.distance, 15);
        let stated = if whole { (LITERALS, DISTANCES) } else { (counts.literals(), counts.distances()) };
        let header = Header::new(stated.0, &literal, stated.1, &distance);
        let codes = Codes { literal, distance, header: header.cost(), flat: false };
        let size = codes.header + codes.cost(&counts) + extra;
        if total < FEW && fixed <= size {
            return if stored <= fixed { self.put_stored(plain, out) } else { self.put_fixed(tokens, out) };
        }
        if stored <= size {
            return self.put_stored(plain, out);
        }
        header.write(out);
        write_copies(tokens, &codes.literal, &codes.distance, last, out);
        self.codes = (!last).then_some(codes);
    }

    fn write_flat(&mut self, plain: &[u8], last: bool, out: &mut BitWriter) {
        let base = self.bits.wrapping_sub(written(out));
        let mut counts = Counts::of(&[]);
        for byte in plain {
            counts.literal[usize::from(*byte)] += 1;
        }
        let stored = if plain.len() <= STORED_MAX { stored_cost(plain.len()) } else { u64::MAX };
        if plain.len() <= STORED_MAX && plain.len() > 1024 && even(&counts, plain.len()) {
            self.owe(out);
            self.fresh = Some(base.wrapping_add(written(out)));
            return write_stored(0, plain, out);
        }
        counts.literal[END] = 1;
        counts.distance[0] = 1;
        let literal = Code::of(&counts.literal, 15);
        let cost = literal.cost(&counts.literal);
        let estimate = |header: u64| (cost + header) + ((cost + header) >> self.rules.penalty);
        // What would be chosen without codes from before.
        let alone = stored <= estimate(HEADER_GUESS);
        let estimate = estimate(self.codes.as_ref().map_or(HEADER_GUESS, |codes| codes.header));
        if stored <= estimate {
            self.owe(out);
            self.fresh = if alone { Some(base.wrapping_add(written(out))) } else { self.fresh };
            return write_stored(0, plain, out);
        }
        counts.literal[END] = 0;
        let again = |codes: &Codes| {
            let missing = counts.literal.iter().zip(&codes.literal.len).any(|(f, len)| *f != 0 && *len == 0);
            if missing { u64::MAX } else { codes.literal.cost(&counts.literal) }
        };
        if self.codes.as_ref().is_some_and(|codes| estimate < again(codes)) {
            self.owe(out);
            self.fresh = (!alone).then(|| base.wrapping_add(written(out)));
        }
        let codes = match self.codes.take() {
            Some(codes) => codes,
            None => {
                let mut distance = Code::default();
                distance.len[0] = 1;
                let header = Header::new(LENGTHS, &literal, 1, &distance);
                header.write(out);
                Codes { literal, distance, header: header.cost(), flat: true }
            }
        };
        for byte in plain {
            let symbol = usize::from(*byte);
            out.put(u32::from(codes.literal.bits[symbol]), u32::from(codes.literal.len[symbol]));
        }
        self.codes = Some(codes);
        if last {
            self.owe(out);
        }
    }
}

/// Whether the bytes are spread so evenly that no code can help.
fn even(counts: &Counts, len: usize) -> bool {
    let average = len as f64 / 256.0;
    let most = (len * 2) as f64;
    let mut sum = 0f64;
    for f in &counts.literal[..END] {
        let difference = f64::from(*f) - average;
        sum += difference * difference;
    }
    sum < most
}
