//! A *header* of a dynamic block is its two codes, written as run-length coded code lengths (RFC 1951, section 3.2.7).
//!
//! It does not choose the codes.

use super::super::bits::BitWriter;
use super::code::Code;
use super::symbol::{DISTANCES, LITERALS};

/// The order in which the lengths of the lengths' code are written.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Extra bits of symbols 16, 17 and 18.
const RUN_BITS: [u32; 3] = [2, 3, 7];

/// A dynamic block's header, ready to be written.
#[derive(Debug)]
pub struct Header {
    literals: usize,
    distances: usize,
    /// Symbols of the lengths' code with their extra value.
    runs: Vec<(u8, u8)>,
    code: Code<19>,
    freq: [u32; 19],
    /// How many entries of `ORDER` are written.
    order: usize,
}

impl Header {
    /// The header for the first `literals` (257 to 286) and `distances` (1 to 30) lengths of the two codes.
    pub fn new(literals: usize, literal: &Code<LITERALS>, distances: usize, distance: &Code<DISTANCES>) -> Self {
        let mut lengths = [0u8; LITERALS + DISTANCES];
        lengths[..literals].copy_from_slice(&literal.len[..literals]);
        lengths[literals..literals + distances].copy_from_slice(&distance.len[..distances]);
        let mut runs = Vec::with_capacity(LITERALS + DISTANCES);
        for run in lengths[..literals + distances].chunk_by(|a, b| a == b) {
            push_run(&mut runs, run[0], run.len());
        }
        let mut freq = [0u32; 19];
        for (symbol, _) in &runs {
            freq[usize::from(*symbol)] += 1;
        }
        let code = Code::of(&freq, 7);
        let order = ORDER.iter().rposition(|s| freq[*s] != 0).map_or(4, |last| (last + 1).max(4));
        Self { literals, distances, runs, code, freq, order }
    }

    /// Its size in bits, block type included.
    pub fn cost(&self) -> u64 {
        let extra: u64 = RUN_BITS.iter().zip(&self.freq[16..]).map(|(bits, f)| u64::from(bits * f)).sum();
        3 + 5 + 5 + 4 + 3 * self.order as u64 + self.code.cost(&self.freq) + extra
    }

    /// Writes block type 2 (not the last block) and the header.
    pub fn write(&self, out: &mut BitWriter) {
        out.put(4, 3);
        out.put((self.literals - 257) as u32, 5);
        out.put((self.distances - 1) as u32, 5);
        out.put((self.order - 4) as u32, 4);
        for symbol in &ORDER[..self.order] {
            out.put(u32::from(self.code.len[*symbol]), 3);
        }
        for (symbol, extra) in &self.runs {
            let symbol = usize::from(*symbol);
            out.put(u32::from(self.code.bits[symbol]), u32::from(self.code.len[symbol]));
            if symbol >= 16 {
                out.put(u32::from(*extra), RUN_BITS[symbol - 16]);
            }
        }
    }
}

/// Symbols for `count` lengths equal to `len`.
///
/// Not zero: the length once, then sixes by symbol 16 while at least three are left. Zero: 138s by symbol 18 while at least eleven are
/// left, then one symbol 17 for three to ten. What remains is written out.
fn push_run(runs: &mut Vec<(u8, u8)>, len: u8, mut count: usize) {
    if len == 0 {
        while count >= 11 {
            let n = count.min(138);
            runs.push((18, (n - 11) as u8));
            count -= n;
        }
        if count >= 3 {
            runs.push((17, (count - 3) as u8));
            count = 0;
        }
    } else {
        runs.push((len, 0));
        count -= 1;
        while count >= 3 {
            let n = count.min(6);
            runs.push((16, (n - 3) as u8));
            count -= n;
        }
    }
    runs.extend(std::iter::repeat_n((len, 0), count));
}
