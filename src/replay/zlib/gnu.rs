//! *GNU gzip* is the deflate of gzip 1.2.4 to 1.13: zlib's ancestor, which ends blocks early and looks beyond the end of its input.
//!
//! `--rsyncable` and several files in one run are not here. Section "GNU gzip" of `spec/replay.md`.

use super::super::family::{Candidates, Family, Place, small};
use super::super::inflate::{Kind, Opening};
use super::super::{Encoder, Error};
use super::USUAL;
use super::encoder::{Deflater, Setup};
use super::parse::Full;
use super::tune::{LEVELS, Strategy};
use super::window::{Lineage, rolling};

/// Family 2: parameter level.
pub const FAMILY: Family = Family {
    number: 2,
    name: NAME,
    params: 1,
    state: 4,
    history: 32_768,
    candidates: Candidates::Deflate(candidates),
    memory: small,
    check,
    start,
};
const NAME: &str = "gnu-gzip/1";

/// GNU gzip.
pub struct Gnu;

impl Lineage for Gnu {
    const BEYOND: bool = true;
    #[inline]
    fn hash(word: u32, shift: u32) -> u32 {
        rolling(word, shift)
    }
}

fn setup(params: &[u32]) -> Result<Setup, Error> {
    let refuse = || Error::Parameters { family: NAME, params: params.to_vec() };
    let &[level] = params else { return Err(refuse()) };
    let tune = *level.checked_sub(1).and_then(|i| LEVELS.get(i as usize)).ok_or_else(refuse)?;
    let full = Full { tokens: 0x7fff, early: level > 2 };
    Ok(Setup { tune, greedy: level <= 3, strategy: Strategy::Default, window: 15, hash: (15, 5), full })
}

fn check(params: &[u32]) -> Result<(), Error> {
    setup(params).map(drop)
}

fn start(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let setup = setup(params)?;
    Ok(match place {
        None => Box::new(Deflater::<Gnu>::new(setup)),
        Some((at, before)) => Box::new(Deflater::<Gnu>::resume(setup, at, before)?),
    })
}

fn candidates(opening: &Opening) -> Vec<Vec<u32>> {
    let whole = opening.kind == Kind::Stored || opening.last || opening.tokens == 0x7fff;
    let levels = USUAL.iter().filter(|&&level| level <= 3 || !opening.far_three);
    let early = opening.tokens.is_multiple_of(4096);
    levels.filter(|&&level| whole || (early && level > 2)).map(|&level| vec![level]).collect()
}
