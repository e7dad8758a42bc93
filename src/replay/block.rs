//! A *block* of zlib's and gzip's: tokens gathered until there are so many, then written in the cheapest of three forms.
//!
//! It does not look for matches. Section "Blocks" of `spec/replay.md`.

use super::bits::BitWriter;
use super::codes::{
    self, BASE_DISTANCE, BASE_LENGTH, DISTANCES, END, EXTRA_DISTANCE, EXTRA_LENGTH, EXTRA_LENGTHS, FIXED_DISTANCE,
    FIXED_LITERAL, LENGTH_SYMBOL, LENGTHS, LITERALS, ORDER,
};
use super::tree::{Builder, Code, Kind};

static LITERAL_KIND: Kind = Kind { extra: &EXTRA_LENGTH, base: 257, longest: 15, fixed: Some(&FIXED_LITERAL) };
static DISTANCE_KIND: Kind = Kind { extra: &EXTRA_DISTANCE, base: 0, longest: 15, fixed: Some(&FIXED_DISTANCE) };
static LENGTHS_KIND: Kind = Kind { extra: &EXTRA_LENGTHS, base: 0, longest: 7, fixed: None };

/// What makes a writer of blocks choose the fixed code although another is cheaper, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The cheapest form.
    Cheapest,
    /// The fixed code, or stored (zlib's `Z_FIXED`).
    Fixed,
}

/// The tokens of the open block.
pub struct Block {
    tokens: Vec<u32>,
    literal: [u32; LITERALS],
    distance: [u32; DISTANCES],
    builder: Builder,
    fixed: ([u16; 288], [u16; DISTANCES]),
}

impl Block {
    /// An empty block; `most` tokens are expected at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let mut fixed = ([0; 288], [0; DISTANCES]);
        codes::canonical(&FIXED_LITERAL, &mut fixed.0);
        codes::canonical(&FIXED_DISTANCE, &mut fixed.1);
        let mut block = Self {
            tokens: Vec::with_capacity(most),
            literal: [0; LITERALS],
            distance: [0; DISTANCES],
            builder: Builder::default(),
            fixed,
        };
        block.clear();
        block
    }

    fn clear(&mut self) {
        self.tokens.clear();
        self.literal = [0; LITERALS];
        self.distance = [0; DISTANCES];
        self.literal[END] = 1;
    }

    /// Tokens so far.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no token yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// GNU gzip's guess at whether a block of `plain` bytes has become small: less than half its tokens are matches, and it comes to
    /// less than half its plain bytes with 8 bits a token and 5 and the extra bits a distance.
    #[must_use]
    pub fn is_small(&self, plain: isize) -> bool {
        let tokens = self.tokens.len() as i64;
        let extra = self.distance.iter().zip(&EXTRA_DISTANCE).map(|(&n, &extra)| i64::from(n) * (5 + i64::from(extra)));
        let pairs: i64 = self.distance.iter().map(|&n| i64::from(n)).sum();
        let bytes = (tokens * 8 + extra.sum::<i64>()) >> 3;
        pairs < tokens / 2 && bytes < plain as i64 / 2
    }

    /// Takes a literal.
    #[inline]
    pub fn literal(&mut self, byte: u8) {
        self.tokens.push(u32::from(byte));
        self.literal[byte as usize] += 1;
    }

    /// Takes a match: `length` 3 to 258 at `distance` 1 to 32768.
    #[inline]
    pub fn pair(&mut self, length: usize, distance: usize) {
        let length = (length - 3) & 0xff;
        self.tokens.push((distance as u32) << 8 | length as u32);
        self.literal[257 + LENGTH_SYMBOL[length] as usize] += 1;
        self.distance[codes::distance_symbol(distance - 1)] += 1;
    }

    /// Writes the block and empties it. `stored` is its plain content if the encoder still has it, `len` its length in any case.
    pub fn write(&mut self, out: &mut BitWriter, stored: Option<&[u8]>, len: usize, choice: Choice, last: bool) {
        let literal = self.builder.build(&self.literal, &LITERAL_KIND);
        let distance = self.builder.build(&self.distance, &DISTANCE_KIND);
        let lengths = Lengths::of(&literal, &distance);
        let code = self.builder.build(&lengths.freq, &LENGTHS_KIND);
        let sent = (3..LENGTHS).rev().find(|&i| code.bits[ORDER[i]] != 0).unwrap_or(2) + 1;
        let header = 3 * sent as i64 + 5 + 5 + 4;
        let own = (literal.cost + distance.cost + code.cost + header + 3 + 7) >> 3;
        let fixed = (literal.fixed_cost + distance.fixed_cost + 3 + 7) >> 3;
        let best = if fixed <= own || choice == Choice::Fixed { fixed } else { own };
        let last = u32::from(last);
        match stored {
            Some(bytes) if len as i64 + 4 <= best => store(out, bytes, last),
            _ if best == fixed => {
                out.put(1 << 1 | last, 3);
                let (literal, distance) = (&self.fixed.0, &self.fixed.1);
                write_tokens(&self.tokens, out, (literal, &FIXED_LITERAL), (distance, &FIXED_DISTANCE));
            }
            _ => {
                out.put(2 << 1 | last, 3);
                out.put(literal.last as u32 + 1 - 257, 5);
                out.put(distance.last as u32, 5);
                out.put(sent as u32 - 4, 4);
                for &symbol in &ORDER[..sent] {
                    out.put(u32::from(code.bits[symbol]), 3);
                }
                lengths.write(out, &code);
                let distances = (&distance.codes[..DISTANCES], &distance.bits[..DISTANCES]);
                write_tokens(&self.tokens, out, (&literal.codes, &literal.bits), distances);
            }
        }
        if last == 1 {
            out.align();
        }
        self.clear();
    }
}

/// Writes a stored block of at most 65,535 bytes.
fn store(out: &mut BitWriter, bytes: &[u8], last: u32) {
    let len = bytes.len() as u32 & 0xffff;
    out.put(last, 3);
    out.align();
    out.put(len, 16);
    out.put(!len & 0xffff, 16);
    out.bytes(bytes);
}

fn write_tokens(tokens: &[u32], out: &mut BitWriter, literal: (&[u16; 288], &[u8; 288]), distance: (&[u16], &[u8])) {
    // One table a code, of code and bits together, so that a symbol is one look-up.
    let mut lit = [(0u16, 0u8); 288];
    for (to, (&c, &b)) in lit.iter_mut().zip(literal.0.iter().zip(literal.1)) {
        *to = (c, b);
    }
    let mut dist = [(0u16, 0u8); 32];
    for (to, (&c, &b)) in dist.iter_mut().zip(distance.0.iter().zip(distance.1)) {
        *to = (c, b);
    }
    for &token in tokens {
        let low = (token & 0xff) as usize;
        let at = (token >> 8) as usize;
        if at == 0 {
            let (code, bits) = lit[low];
            out.put(u32::from(code), u32::from(bits));
            continue;
        }
        let symbol = LENGTH_SYMBOL[low] as usize;
        let (code, bits) = lit[257 + symbol];
        let extra = u32::from(EXTRA_LENGTH[symbol]);
        let rest = low as u32 - u32::from(BASE_LENGTH[symbol]);
        out.put(u32::from(code) | rest << bits, u32::from(bits) + extra);
        let symbol = codes::distance_symbol(at - 1);
        let (code, bits) = dist[symbol & 31];
        let extra = u32::from(EXTRA_DISTANCE[symbol]);
        let rest = at as u32 - 1 - u32::from(BASE_DISTANCE[symbol]);
        out.put(u32::from(code) | rest << bits, u32::from(bits) + extra);
    }
    let (code, bits) = lit[END];
    out.put(u32::from(code), u32::from(bits));
}

/// The lengths of both codes as runs: symbols of the describing code, each with its extra bits' value.
struct Lengths {
    runs: Vec<(u8, u8)>,
    freq: [u32; LENGTHS],
}

impl Lengths {
    fn of(literal: &Code, distance: &Code) -> Self {
        let mut lengths = Self { runs: Vec::with_capacity(LITERALS + DISTANCES), freq: [0; LENGTHS] };
        lengths.scan(&literal.bits[..=literal.last]);
        lengths.scan(&distance.bits[..=distance.last]);
        lengths
    }

    fn push(&mut self, symbol: u8, extra: usize) {
        self.runs.push((symbol, extra as u8));
        self.freq[symbol as usize] += 1;
    }

    /// Runs never cross from one code into the other. A run's first length is written by itself, unless it is zero.
    fn scan(&mut self, bits: &[u8]) {
        let (mut before, mut count) = (None, 0usize);
        let (mut most, mut least) = if bits.first() == Some(&0) { (138, 3) } else { (7, 4) };
        for (i, &now) in bits.iter().enumerate() {
            let next = bits.get(i + 1).copied();
            count += 1;
            if count < most && next == Some(now) {
                continue;
            }
            if count < least {
                for _ in 0..count {
                    self.push(now, 0);
                }
            } else if now != 0 {
                if before != Some(now) {
                    self.push(now, 0);
                    count -= 1;
                }
                self.push(16, count - 3);
            } else if count <= 10 {
                self.push(17, count - 3);
            } else {
                self.push(18, count - 11);
            }
            (count, before) = (0, Some(now));
            (most, least) = if next == Some(0) {
                (138, 3)
            } else if next == Some(now) {
                (6, 3)
            } else {
                (7, 4)
            };
        }
    }

    fn write(&self, out: &mut BitWriter, code: &Code) {
        for &(symbol, extra) in &self.runs {
            let symbol = symbol as usize;
            out.put(u32::from(code.codes[symbol]), u32::from(code.bits[symbol]));
            out.put(u32::from(extra), u32::from(EXTRA_LENGTHS[symbol]));
        }
    }
}
