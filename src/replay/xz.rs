//! *xz* is liblzma's encoder with one of its presets, as a whole Stream of the .xz file format 1.2.0: `lzma_easy_encoder`, or
//! `lzma_stream_encoder_mt` where blocks have a size.
//!
//! Other filters than LZMA2 are not replayed, nor presets 8 and 9, which take 370 and 674 MiB. Section "Libraries" of
//! `spec/replay.md`.

use super::family::{Candidates, Family, Place};
use super::library::{Coder, Library};
use super::{Encoder, Error};
use crate::codec::form::{Form, XZ};
use liblzma::stream::{Action, Check, MtStreamBuilder, PRESET_EXTREME, Status, Stream};
use std::io;

/// Family 8: preset, whether it is extreme, number of the check, plain bytes of a block; 0 for one block without sizes.
pub const FAMILY: Family = Family {
    number: 8,
    name: NAME,
    params: 4,
    state: 0,
    history: 0,
    candidates: Candidates::Other(Form::Xz, candidates),
    memory,
    check: |params| Setup::new(params).map(drop),
    start,
};
const NAME: &str = "xz/1";

/// By preset: MiB that an encoder takes.
const MEMORY: [u64; 8] = [4, 10, 18, 34, 50, 96, 96, 188];
/// By preset: bits of its dictionary's size.
const DICTIONARY: [u32; 8] = [18, 20, 21, 22, 22, 23, 23, 24];
/// Bytes of a block: fewer are not worth a thread, and a thread holds two of the longest.
const BLOCK: std::ops::RangeInclusive<u32> = 65_536..=67_108_864;
/// Memory of an encoder with its block above which it gets no second thread.
const ALONE: u64 = 128 << 20;

/// The parameters.
#[derive(Clone, Copy)]
struct Setup {
    preset: u32,
    level: usize,
    check: Check,
    block: u32,
}

impl Setup {
    fn new(params: &[u32]) -> Result<Setup, Error> {
        let refuse = || Error::Parameters { family: NAME, params: params.to_vec() };
        let &[level, extreme, check, block] = params else { return Err(refuse()) };
        let check = match check {
            0 => Check::None,
            1 => Check::Crc32,
            4 => Check::Crc64,
            10 => Check::Sha256,
            _ => return Err(refuse()),
        };
        if level > 7 || extreme > 1 || block != 0 && !BLOCK.contains(&block) {
            return Err(refuse());
        }
        let preset = if extreme == 1 { level | PRESET_EXTREME } else { level };
        Ok(Setup { preset, level: level as usize, check, block })
    }

    /// What one thread takes for `plain` bytes.
    fn memory(&self, plain: u64) -> u64 {
        let own = MEMORY.get(self.level).map_or(u64::MAX, |mib| mib << 20);
        own.saturating_add(2 * plain.min(self.block.into()))
    }

    /// Two threads make the same as one.
    fn threads(&self) -> u32 {
        if self.memory(u64::MAX) > ALONE { 1 } else { 2 }
    }

    fn stream(&self) -> io::Result<Stream> {
        if self.block == 0 {
            return Ok(Stream::new_easy_encoder(self.preset, self.check)?);
        }
        let mut builder = MtStreamBuilder::new();
        builder.threads(self.threads()).block_size(self.block.into()).timeout_ms(0);
        Ok(builder.preset(self.preset).check(self.check).encoder()?)
    }
}

fn memory(params: &[u32], plain: u64) -> u64 {
    let of = |setup: Setup| {
        let busy = if plain > setup.block.into() { setup.threads() } else { 1 };
        setup.memory(plain).saturating_mul(busy.into())
    };
    Setup::new(params).map_or(0, of)
}

fn start(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let setup = Setup::new(params)?;
    match place {
        None => Ok(Box::new(Library::new(setup.stream()?))),
        Some((at, _)) => Err(Error::Checkpoint { plain: at.plain, why: "its encoder has none" }),
    }
}

impl Coder for Stream {
    fn step(&mut self, input: &[u8], output: &mut [u8], end: bool) -> io::Result<bool> {
        let action = if end { Action::Finish } else { Action::Run };
        Ok(self.process(input, output, action)? == Status::StreamEnd)
    }
    fn totals(&self) -> (u64, u64) {
        (self.total_in(), self.total_out())
    }
}

/// The check stands in the stream's header, the dictionary and the sizes in the first block's.
fn candidates(front: &[u8], plain: u64) -> Vec<Vec<u32>> {
    header(front, plain).unwrap_or_default()
}

/// See [`candidates`]; sections 2.1.1 and 3.1 of the .xz file format.
fn header(front: &[u8], plain: u64) -> Option<Vec<Vec<u32>>> {
    let [0, check] = front.strip_prefix(&XZ)?.first_chunk::<2>()? else { return None };
    let [size, flags, rest @ ..] = front.get(12..)? else { return None };
    let mut rest = rest;
    let sizes = match flags {
        0 => None,
        0xc0 => Some((integer(&mut rest)?, integer(&mut rest)?)),
        _ => return None, // more filters than one, or one size
    };
    let [0x21, 1, dictionary, ..] = rest else { return None };
    let bits = (u32::from(*dictionary) / 2).checked_add(12).filter(|_| dictionary % 2 == 0)?;
    let levels = [6u32, 5, 4, 3, 2, 1, 0, 7].into_iter().filter(|n| DICTIONARY.get(*n as usize) == Some(&bits));
    let mut rows = Vec::new();
    for (extreme, level) in [0, 1].into_iter().flat_map(|e| levels.clone().map(move |level| (e, level))) {
        let block = match sizes {
            None => 0,
            Some((_, first)) if first < plain => first,
            // The only block: the size that blocks were to have was as much or more, and liblzma's choice unless the room that
            // was left for it is not as large.
            Some(_) if plain <= default(bits) && quarters(default(bits)) == u32::from(*size) => default(bits),
            Some(_) => plain,
        };
        rows.push(vec![level, extreme, u32::from(*check), u32::try_from(block).ok()?]);
    }
    Some(rows)
}

/// `lzma_mt_block_size`: three dictionaries, at least a mebibyte.
fn default(bits: u32) -> u64 {
    (3u64 << bits).max(1 << 20)
}

/// The size byte of a block's header that leaves room for its size, and for what it may come to.
fn quarters(block: u64) -> u32 {
    let integer = (u64::BITS - block.leading_zeros()).div_ceil(7);
    (2 + 2 * integer + 3 + 4).div_ceil(4) - 1
}

/// A Variable-Length Integer (section 1.2 of the .xz file format).
fn integer(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..63).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        n |= u64::from(byte & 127).checked_shl(shift)?;
        if byte & 128 == 0 {
            return Some(n);
        }
    }
    None
}
