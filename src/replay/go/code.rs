//! A *code* gives each symbol of an alphabet a bit pattern of at most 15 bits.
//!
//! Lengths come from package-merge with fixed tie-breaks, so that they are a function of the frequencies alone; patterns from them by
//! RFC 1951, section 3.2.2. How a code is written into a stream is `header`'s affair.

use super::symbol::{DISTANCES, LITERALS};

/// Pattern and length of each symbol's code; length 0 where a symbol has none.
#[derive(Debug, Clone)]
pub struct Code<const N: usize> {
    /// Patterns, first bit lowest.
    pub bits: [u16; N],
    /// Lengths in bits.
    pub len: [u8; N],
}

impl<const N: usize> Default for Code<N> {
    fn default() -> Self {
        Self { bits: [0; N], len: [0; N] }
    }
}

/// Most symbols in any alphabet here.
const MOST: usize = LITERALS;
/// Longest code.
const LONGEST: usize = 15;

impl<const N: usize> Code<N> {
    /// The code for symbols that occur `freq` times, at most `limit` bits long (at most 15).
    ///
    /// One or two symbols get one bit each, in the order of their numbers. Otherwise: see [`counts`].
    pub fn of(freq: &[u32; N], limit: usize) -> Self {
        let mut code = Self::default();
        let mut used: Vec<(u32, u16)> = Vec::with_capacity(N);
        used.extend(freq.iter().zip(0u16..).filter(|(f, _)| **f != 0).map(|(f, s)| (*f, s)));
        if used.len() <= 2 {
            for (bits, (_, symbol)) in (0u16..).zip(&used) {
                code.bits[usize::from(*symbol)] = bits;
                code.len[usize::from(*symbol)] = 1;
            }
            return code;
        }
        used.sort_unstable();
        let counts = counts(&used, limit);
        // The most frequent symbols get the shortest codes: lengths are dealt from the end.
        let mut rest = used.iter().rev();
        for (len, count) in (0u8..).zip(counts) {
            for (_, symbol) in rest.by_ref().take(count) {
                code.len[usize::from(*symbol)] = len;
            }
        }
        code.patterns(&counts);
        code
    }

    /// Fills in the patterns: within a length in the order of the symbols (RFC 1951, section 3.2.2).
    fn patterns(&mut self, counts: &[usize; LONGEST + 1]) {
        let mut next = [0u32; LONGEST + 1];
        let mut first = 0u32;
        for (next, count) in next.iter_mut().zip(counts) {
            first <<= 1;
            *next = first;
            first += *count as u32;
        }
        for (bits, len) in self.bits.iter_mut().zip(&self.len).filter(|(_, len)| **len != 0) {
            let next = &mut next[usize::from(*len)];
            *bits = (*next as u16).reverse_bits() >> (16 - u32::from(*len));
            *next += 1;
        }
    }

    /// Bits that symbols occurring `freq` times take.
    pub fn cost(&self, freq: &[u32; N]) -> u64 {
        freq.iter().zip(&self.len).map(|(f, len)| u64::from(*f) * u64::from(*len)).sum()
    }
}

/// How many symbols get a code of each length, for at least three symbols in the order of (frequency, symbol).
///
/// Package-merge: row 1 is the symbols; row `r + 1` merges the symbols with the pairs of neighbours of row `r`, and where a symbol weighs
/// as much as a pair the pair comes first. Of the last row the first `2n - 2` items count, of each row below twice as many as pairs were
/// taken from it; with `a(r)` symbols among those taken of row `r`, `a(rows) - a(rows - 1)` symbols have length 1, and so on down.
fn counts(used: &[(u32, u16)], limit: usize) -> [usize; LONGEST + 1] {
    let n = used.len().min(MOST);
    let rows = limit.min(LONGEST).min(n - 1);
    // symbols[r][i]: symbols among the first i + 1 items of row r.
    let mut symbols = [[0u16; 2 * MOST]; LONGEST];
    let mut below = [0u32; 2 * MOST];
    let mut row = [0u32; 2 * MOST];
    let mut below_len = 0usize;
    for symbols in symbols.iter_mut().take(rows) {
        let (mut leaf, mut pair, mut at) = (0usize, 0usize, 0usize);
        while at < 2 * n - 2 && (leaf < n || 2 * pair + 1 < below_len) {
            let pair_weight = if 2 * pair + 1 < below_len { below[2 * pair] + below[2 * pair + 1] } else { u32::MAX };
            if leaf < n && used[leaf].0 < pair_weight {
                row[at] = used[leaf].0;
                leaf += 1;
            } else {
                row[at] = pair_weight;
                pair += 1;
            }
            symbols[at] = leaf as u16;
            at += 1;
        }
        below_len = at;
        std::mem::swap(&mut below, &mut row);
    }
    let mut counts = [0usize; LONGEST + 1];
    let mut take = 2 * n - 2;
    let mut above = 0usize;
    for (distance, symbols) in symbols[..rows].iter().rev().enumerate() {
        let taken = if take == 0 { 0 } else { usize::from(symbols[take - 1]) };
        if distance > 0 {
            counts[distance] = above - taken;
        }
        above = taken;
        take = 2 * (take - taken);
    }
    counts[rows] = above;
    counts
}

/// The fixed literal code (RFC 1951, section 3.2.6).
pub fn fixed_literals() -> Code<LITERALS> {
    let mut code = Code::default();
    for (symbol, len) in code.len.iter_mut().enumerate() {
        *len = match symbol {
            0..144 => 8,
            144..256 => 9,
            256..280 => 7,
            _ => 8,
        };
    }
    // Two symbols (286, 287) take part in the code and never occur.
    let mut counts = [0; LONGEST + 1];
    (counts[7], counts[8], counts[9]) = (24, 152, 112);
    code.patterns(&counts);
    code
}

/// The fixed distance code (RFC 1951, section 3.2.6).
pub fn fixed_distances() -> Code<DISTANCES> {
    let mut code = Code { bits: [0; DISTANCES], len: [5; DISTANCES] };
    let mut counts = [0; LONGEST + 1];
    counts[5] = 32;
    code.patterns(&counts);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_two_symbols_have_one_bit() {
        let mut freq = [0u32; 19];
        freq[7] = 9;
        let code = Code::of(&freq, 7);
        assert_eq!((code.len[7], code.bits[7]), (1, 0));
        freq[3] = 100;
        let code = Code::of(&freq, 7);
        assert_eq!((code.len[3], code.bits[3], code.len[7], code.bits[7]), (1, 0, 1, 1));
    }

    #[test]
    fn lengths_fill_the_code_and_keep_the_limit() {
        let mut freq = [0u32; LITERALS];
        let (mut a, mut b) = (1u32, 1u32);
        for f in freq.iter_mut().take(30) {
            *f = a;
            (a, b) = (b, (a + b).min(100_000));
        }
        for limit in 5..=15 {
            let code = Code::of(&freq, limit);
            let kraft: u32 = code.len.iter().filter(|len| **len != 0).map(|len| 1 << (15 - len)).sum();
            assert_eq!(kraft, 1 << 15);
            assert!(code.len.iter().all(|len| usize::from(*len) <= limit));
        }
    }
}
