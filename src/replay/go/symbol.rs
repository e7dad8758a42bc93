//! A *symbol* is what deflate's Huffman codes stand for: a literal byte, the end of a block, a match length or a distance.
//!
//! Code numbers, bases and extra bits of RFC 1951, section 3.2.5. No codes here: those are in `code`.

/// Symbol that ends a block.
pub const END: usize = 256;
/// First symbol that stands for a length.
pub const LENGTHS: usize = 257;
/// Literal, end and length symbols that a stream may use.
pub const LITERALS: usize = 286;
/// Distance symbols that a stream may use.
pub const DISTANCES: usize = 30;
/// Longest match.
pub const MAX_MATCH: usize = 258;
/// Farthest distance.
pub const WINDOW: usize = 1 << 15;

/// Extra bits of the 29 length symbols.
pub const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// Extra bits of the 30 distance symbols.
pub const DISTANCE_EXTRA: [u8; DISTANCES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

/// Length symbol (0 to 28) of a length less 3 (0 to 255).
pub const LENGTH_SYMBOL: [u8; 256] = length_symbols();
/// Smallest length less 3 of each length symbol.
pub const LENGTH_BASE: [u8; 29] = length_bases();
/// Distance symbol of a distance less 1: below 256 at that place, above at `256 + (d >> 7)`.
const DISTANCE_SYMBOL: [u8; 512] = distance_symbols();

const fn length_bases() -> [u8; 29] {
    let mut base = [0u8; 29];
    let mut at = 0usize;
    let mut symbol = 0;
    while symbol < 28 {
        base[symbol] = at as u8;
        at += 1 << LENGTH_EXTRA[symbol];
        symbol += 1;
    }
    base[28] = 255;
    base
}

const fn length_symbols() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut length = 0;
    while length < 256 {
        let mut symbol = 28;
        while LENGTH_BASE[symbol] as usize > length {
            symbol -= 1;
        }
        table[length] = symbol as u8;
        length += 1;
    }
    table
}

const fn distance_symbols() -> [u8; 512] {
    let mut table = [0u8; 512];
    let mut at = 0usize;
    while at < 512 {
        let d = if at < 256 { at } else { (at - 256) << 7 };
        table[at] = if d < 2 {
            d as u8
        } else {
            let top = usize::BITS - 1 - d.leading_zeros();
            (2 * top as usize + ((d >> (top - 1)) & 1)) as u8
        };
        at += 1;
    }
    table
}

/// Distance symbol (0 to 29) of a distance less 1 (0 to 32767).
#[inline]
pub fn distance_symbol(d: u32) -> usize {
    let at = if d < 256 { d } else { 256 + (d >> 7) };
    usize::from(DISTANCE_SYMBOL[(at & 511) as usize])
}

/// A literal byte, or a match of a length and a distance, in 32 bits.
///
/// Literal: the byte. Match: bit 31, length less 3 in bits 16 to 23, distance less 1 in bits 0 to 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(u32);

impl Token {
    /// One byte as it is.
    #[inline]
    pub fn literal(byte: u8) -> Self {
        Self(u32::from(byte))
    }

    /// A copy of `length` bytes (3 to 258) from `distance` bytes back (1 to 32768).
    #[inline]
    pub fn copy(length: usize, distance: usize) -> Self {
        Self(1 << 31 | ((length.wrapping_sub(3) & 255) as u32) << 16 | (distance.wrapping_sub(1) & 0x7fff) as u32)
    }

    /// The byte, if this is a literal.
    #[inline]
    pub fn byte(self) -> Option<u8> {
        (self.0 >> 31 == 0).then_some((self.0 & 255) as u8)
    }

    /// Length less 3 of a copy.
    #[inline]
    pub fn length(self) -> u8 {
        (self.0 >> 16 & 255) as u8
    }

    /// Distance less 1 of a copy.
    #[inline]
    pub fn distance(self) -> u32 {
        self.0 & 0x7fff
    }
}
