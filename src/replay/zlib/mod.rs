//! *zlib* is Mark Adler's and Jean-loup Gailly's deflate (versions 1.2.0 to 1.3.x), all levels but 0; here with its relatives.
//!
//! Flushes in the middle of a stream are pigz's only. Sections "zlib", "GNU gzip" and "pigz" of `spec/replay.md`.

pub mod encoder;
pub mod forks;
pub mod gnu;
pub mod parse;
pub mod pigz;
pub mod tune;
pub mod window;

use super::family::{Candidates, Family, Place, small};
use super::inflate::{Kind, Opening};
use super::{Encoder, Error};
use encoder::{Deflater, Setup};
use parse::Full;
use tune::{LEVELS, Strategy};
use window::{Lineage, rolling};

/// Family 1: parameters level, memory level, window bits, strategy as zlib numbers them.
pub const FAMILY: Family = Family {
    number: 1,
    name: NAME,
    params: 4,
    state: 4,
    history: 32_768,
    candidates: Candidates::Deflate(candidates),
    memory: small,
    check,
    start,
};
const NAME: &str = "zlib/1";

/// zlib itself.
pub struct Zlib;

impl Lineage for Zlib {
    const BEYOND: bool = false;
    #[inline]
    fn hash(word: u32, shift: u32) -> u32 {
        rolling(word, shift)
    }
}

/// zlib's encoder from the family's parameters.
///
/// # Errors
/// [`Error::Parameters`] for anything zlib has not.
pub fn setup(params: &[u32]) -> Result<Setup, Error> {
    let refuse = || Error::Parameters { family: NAME, params: params.to_vec() };
    let &[level, memory, window, strategy] = params else { return Err(refuse()) };
    let strategy = match strategy {
        0 => Strategy::Default,
        1 => Strategy::Filtered,
        2 => Strategy::Huffman,
        3 => Strategy::Runs,
        4 => Strategy::Fixed,
        _ => return Err(refuse()),
    };
    let tune = level.checked_sub(1).and_then(|i| LEVELS.get(i as usize)).ok_or_else(refuse)?;
    if !(1..=9).contains(&memory) || !(9..=15).contains(&window) {
        return Err(refuse());
    }
    let bits = memory + 7;
    let full = Full { tokens: (1 << (memory + 6)) - 1, early: false };
    Ok(Setup { tune: *tune, greedy: level <= 3, strategy, window, hash: (bits, bits.div_ceil(3)), full })
}

fn check(params: &[u32]) -> Result<(), Error> {
    setup(params).map(drop)
}

fn start(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let setup = setup(params)?;
    Ok(match place {
        None => Box::new(Deflater::<Zlib>::new(setup)),
        Some((at, before)) => Box::new(Deflater::<Zlib>::resume(setup, at, before)?),
    })
}

/// Levels as callers use them: the default, the best, the fastest, then the rest.
pub const USUAL: [u32; 9] = [6, 9, 1, 5, 7, 8, 4, 3, 2];

fn candidates(opening: &Opening) -> Vec<Vec<u32>> {
    // Lazy levels never take three bytes from so far.
    let levels = USUAL.iter().filter(|&&level| level <= 3 || !opening.far_three);
    // A block that is not the last has as many tokens as the memory level says.
    let memories: Vec<u32> = match (opening.kind, opening.last) {
        (Kind::Stored, _) | (_, true) => vec![8, 9],
        _ => (1..=9).filter(|m| opening.tokens + 1 == 1 << (m + 6)).collect(),
    };
    let mut rows = Vec::new();
    for memory in memories {
        for &level in levels.clone() {
            rows.push(vec![level, memory, 15, 0]);
        }
        if opening.pairs == 0 {
            rows.push(vec![6, memory, 15, 2]);
        }
        if opening.kind == Kind::Fixed {
            rows.push(vec![6, memory, 15, 4]);
        }
    }
    rows
}
