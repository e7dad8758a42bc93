//! *Codes* of lengths and distances (RFC 1951, section 3.2.5), as tables both encoders and the reader use.
//!
//! No trees here: those differ from encoder to encoder.

/// Literals, the end of a block and lengths: symbols 0 to 285.
pub const LITERALS: usize = 286;
/// Distance symbols 0 to 29.
pub const DISTANCES: usize = 30;
/// The symbol that ends a block.
pub const END: usize = 256;
/// Symbols of the code that describes the other two codes.
pub const LENGTHS: usize = 19;
/// The order in which the lengths of that code are written.
pub const ORDER: [usize; LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Extra bits after the length symbols from 257.
pub static EXTRA_LENGTH: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// Extra bits after the distance symbols.
pub static EXTRA_DISTANCE: [u8; DISTANCES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// Extra bits after the symbols of the describing code.
pub static EXTRA_LENGTHS: [u8; LENGTHS] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];

/// Smallest length, less 3, of each length symbol from 257.
pub static BASE_LENGTH: [u8; 29] = base_lengths();
/// Smallest distance, less 1, of each distance symbol.
pub static BASE_DISTANCE: [u16; DISTANCES] = base_distances();
/// Length symbol, less 257, of each length less 3.
pub static LENGTH_SYMBOL: [u8; 256] = length_symbols();
/// Distance symbol of distance less 1: below 256 by itself, above by its upper bits (index 256 + (d >> 7)).
static DISTANCE_SYMBOL: [u8; 512] = distance_symbols();

/// The symbol of `distance` (1 to 32768) less 1.
#[inline]
#[must_use]
pub fn distance_symbol(less_one: usize) -> usize {
    let at = if less_one < 256 { less_one } else { 256 + (less_one >> 7) };
    DISTANCE_SYMBOL[at & 511] as usize
}

const fn base_lengths() -> [u8; 29] {
    let (mut base, mut next, mut i) = ([0u8; 29], 0usize, 0);
    while i < 28 {
        base[i] = next as u8;
        next += 1 << EXTRA_LENGTH[i];
        i += 1;
    }
    base[28] = 255; // 258 has a symbol of its own
    base
}

const fn base_distances() -> [u16; DISTANCES] {
    let (mut base, mut next, mut i) = ([0u16; DISTANCES], 0u32, 0);
    while i < DISTANCES {
        base[i] = next as u16;
        next += 1 << EXTRA_DISTANCE[i];
        i += 1;
    }
    base
}

const fn length_symbols() -> [u8; 256] {
    let (mut table, mut i) = ([0u8; 256], 0);
    while i < 29 {
        let mut j = BASE_LENGTH[i] as usize;
        while j < 256 {
            table[j] = i as u8;
            j += 1;
        }
        i += 1;
    }
    table
}

const fn distance_symbols() -> [u8; 512] {
    let (mut table, mut i) = ([0u8; 512], 0);
    while i < DISTANCES {
        let base = BASE_DISTANCE[i] as usize;
        let mut j = if base < 256 { base } else { 256 + (base >> 7) };
        while j < 512 {
            table[j] = i as u8;
            j += 1;
        }
        if base < 256 {
            let mut j = 256;
            while j < 512 {
                table[j] = i as u8;
                j += 1;
            }
        }
        i += 1;
    }
    table
}

/// Code lengths of the fixed literal code (RFC 1951, section 3.2.6), symbols 286 and 287 included.
pub static FIXED_LITERAL: [u8; 288] = fixed_literal();
/// Code lengths of the fixed distance code.
pub static FIXED_DISTANCE: [u8; DISTANCES] = [5; DISTANCES];

const fn fixed_literal() -> [u8; 288] {
    let (mut bits, mut i) = ([8u8; 288], 144);
    while i < 280 {
        bits[i] = if i < 256 { 9 } else { 7 };
        i += 1;
    }
    bits
}

/// Canonical codes (RFC 1951, section 3.2.2) for `bits`, bit-reversed as they are written; 0 where there is none.
pub fn canonical(bits: &[u8], codes: &mut [u16]) {
    let mut next = [0u32; 17];
    let mut count = [0u32; 16];
    for &n in bits {
        count[(n & 15) as usize] += 1;
    }
    count[0] = 0;
    for n in 1..16 {
        next[n + 1] = (next[n] + count[n]) << 1;
    }
    for (code, &n) in codes.iter_mut().zip(bits) {
        let n = (n & 15) as usize;
        *code = if n == 0 { 0 } else { ((next[n] as u16).reverse_bits()) >> (16 - n) };
        if n != 0 {
            next[n] += 1;
        }
    }
}
