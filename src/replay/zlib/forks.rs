//! *Forks* of zlib that differ in the hash: Chromium's, which Node ships, and one whose streams are in wheels of ansible-core.
//!
//! Section "Forks of zlib" of `spec/replay.md`.

use super::super::family::{Candidates, Family, Place, small};
use super::super::inflate::Opening;
use super::super::{Encoder, Error};
use super::encoder::{Deflater, Setup};
use super::window::Lineage;

/// Family 4: parameters level, memory level, window bits, strategy as zlib numbers them, and the hash (0: Chromium's product of four
/// bytes; 1: CRC-32C of four, 2: of three, as Chromium had it before; 3: the golden ratio's product of four).
pub const FAMILY: Family = Family {
    number: 4,
    name: NAME,
    params: 5,
    state: 4,
    history: 32_768,
    candidates: Candidates::Deflate(candidates),
    memory: small,
    check,
    start,
};
const NAME: &str = "zlib-fork/1";

/// Chromium's multiplication of four bytes.
struct Product;
/// CRC-32C of four bytes.
struct Crc;
/// CRC-32C of three bytes and a zero.
struct CrcOfThree;

impl Lineage for Product {
    const BEYOND: bool = false;
    #[inline]
    fn hash(word: u32, _: u32) -> u32 {
        word.wrapping_mul(66_521).wrapping_add(66_521) >> 16
    }
}

impl Lineage for Crc {
    const BEYOND: bool = false;
    #[inline]
    fn hash(word: u32, _: u32) -> u32 {
        crc(word)
    }
}

impl Lineage for CrcOfThree {
    const BEYOND: bool = false;
    #[inline]
    fn hash(word: u32, _: u32) -> u32 {
        crc(word & 0xff_ffff)
    }
}

/// Multiplication of four bytes by 2^32 divided by the golden ratio; the top of the product is taken.
struct Golden;

impl Lineage for Golden {
    const BEYOND: bool = false;
    #[inline]
    fn hash(word: u32, shift: u32) -> u32 {
        word.wrapping_mul(2_654_435_761) >> shift
    }
}

/// CRC-32C (polynomial 0x82f63b78, reflected) of four bytes, begun with zero and not inverted.
#[inline]
fn crc(word: u32) -> u32 {
    let at = |shift: u32, table: &[u32; 256]| table[(word >> shift & 0xff) as usize];
    at(0, &TABLES[3]) ^ at(8, &TABLES[2]) ^ at(16, &TABLES[1]) ^ at(24, &TABLES[0])
}

/// `TABLES[n][b]`: the CRC of byte `b` followed by `n` zeros.
static TABLES: [[u32; 256]; 4] = tables();

const fn tables() -> [[u32; 256]; 4] {
    let mut tables = [[0u32; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 32 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
            if bit % 8 == 0 {
                tables[bit / 8 - 1][byte] = crc;
            }
        }
        byte += 1;
    }
    tables
}

fn setup(params: &[u32]) -> Result<(Setup, u32), Error> {
    let refuse = || Error::Parameters { family: NAME, params: params.to_vec() };
    let (&hash, zlib) = params.split_last().filter(|(hash, _)| **hash <= 3).ok_or_else(refuse)?;
    let mut setup = super::setup(zlib).map_err(|_| refuse())?;
    // With the product the table is never smaller than with memory level 8; with a CRC it is always as large.
    let bits = if hash == 1 || hash == 2 { 15 } else { setup.hash.0.max(15) };
    setup.hash = (bits, 32 - bits);
    Ok((setup, hash))
}

fn check(params: &[u32]) -> Result<(), Error> {
    setup(params).map(drop)
}

fn start(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let (setup, hash) = setup(params)?;
    fn new<L: Lineage>(setup: Setup, place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
        Ok(match place {
            None => Box::new(Deflater::<L>::new(setup)),
            Some((at, before)) => Box::new(Deflater::<L>::resume(setup, at, before)?),
        })
    }
    match hash {
        0 => new::<Product>(setup, place),
        1 => new::<Crc>(setup, place),
        2 => new::<CrcOfThree>(setup, place),
        _ => new::<Golden>(setup, place),
    }
}

fn candidates(opening: &Opening) -> Vec<Vec<u32>> {
    let zlib = super::candidates(opening).into_iter();
    // Strategies without matches need no hash: those are zlib's own.
    let zlib = zlib.filter(|row| row.get(3) == Some(&0));
    zlib.flat_map(|row| {
        let best = row.first() >= Some(&6);
        [0, 3, if best { 2 } else { 1 }].map(|hash| row.iter().copied().chain([hash]).collect())
    })
    .collect()
}
