//! *pigz* is Mark Adler's parallel gzip (2.3 to 2.8 over zlib 1.2.6 or newer): zlib run over pieces of 128 KiB.
//!
//! `-0`, `-11`, `--rsyncable` and other block sizes than the default are not here. Section "pigz" of `spec/replay.md`.

use super::super::bits::BitWriter;
use super::super::family::{Candidates, Family, Place, small};
use super::super::inflate::{Kind, Opening};
use super::super::{Checkpoint, Encoder, Error};
use super::encoder::{Deflater, Setup};
use super::{USUAL, Zlib};

/// Family 3: parameters level, mode (0: pieces refer to the one before; 1: independent pieces; 2: one thread, one history).
pub const FAMILY: Family = Family {
    number: 3,
    name: NAME,
    params: 2,
    state: 0,
    history: 32_768,
    candidates: Candidates::Deflate(candidates),
    memory: small,
    check,
    start,
};
const NAME: &str = "pigz/1";

/// Plain bytes of a piece.
const PIECE: usize = 128 * 1024;
/// Plain bytes before a piece that it may refer to.
const DICTIONARY: usize = 32 * 1024;

/// How a piece follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Dictionary,
    Independent,
    Single,
}

/// See the module.
struct Pigz {
    setup: Setup,
    mode: Mode,
    encoder: Deflater<Zlib>,
    /// Plain bytes of the open piece.
    filled: usize,
    /// The last plain bytes, for the next piece.
    tail: Vec<u8>,
    /// Plain bytes and bits of the stream before this encoder began.
    began: (u64, u64),
    plain: u64,
    opened: Option<Checkpoint>,
}

fn setup(params: &[u32]) -> Result<(Setup, Mode), Error> {
    let refuse = || Error::Parameters { family: NAME, params: params.to_vec() };
    let &[level, mode] = params else { return Err(refuse()) };
    let mode = match mode {
        0 => Mode::Dictionary,
        1 => Mode::Independent,
        2 => Mode::Single,
        _ => return Err(refuse()),
    };
    Ok((super::setup(&[level, 8, 15, 0]).map_err(|_| refuse())?, mode))
}

fn check(params: &[u32]) -> Result<(), Error> {
    setup(params).map(drop)
}

fn start(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let (setup, mode) = setup(params)?;
    let (began, tail) = match place {
        None => ((0, 0), Vec::new()),
        Some((at, before)) => {
            let refuse = |why| Err(Error::Checkpoint { plain: at.plain, why });
            if mode == Mode::Single || !at.state.is_empty() || !at.bits.is_multiple_of(8) {
                return refuse("no piece begins with such a state");
            }
            if at.plain == 0 || !at.plain.is_multiple_of(PIECE as u64) || before.len() < DICTIONARY {
                return refuse("no piece begins there");
            }
            ((at.plain, at.bits), before[before.len() - DICTIONARY..].to_vec())
        }
    };
    let mut new =
        Pigz { setup, mode, encoder: Deflater::new(setup), filled: 0, tail, began, plain: began.0, opened: None };
    new.open();
    Ok(Box::new(new))
}

impl Pigz {
    /// Makes the encoder of the piece that begins.
    fn open(&mut self) {
        match self.mode {
            Mode::Dictionary => self.encoder = Deflater::with_dictionary(self.setup, &self.tail),
            Mode::Independent => self.encoder = Deflater::new(self.setup),
            Mode::Single => {}
        }
        self.filled = 0;
    }

    /// Ends a piece that is not the last, on a byte boundary.
    fn close(&mut self, out: &mut BitWriter) {
        self.encoder.end_block(out);
        let bits = (self.began.1 + out.written()) % 8;
        if bits % 2 == 1 || self.mode == Mode::Independent {
            empty(out);
        } else {
            // Empty blocks with the fixed code, ten bits each.
            for _ in 0..(8 - bits) % 8 / 2 {
                out.put(2, 10);
            }
        }
        if self.mode == Mode::Independent {
            empty(out);
        }
        if self.mode != Mode::Single {
            self.opened = Some(Checkpoint { plain: self.plain, bits: self.began.1 + out.written(), state: Vec::new() });
        }
    }
}

/// An empty stored block.
fn empty(out: &mut BitWriter) {
    out.put(0, 3);
    out.align();
    out.put(0xffff_0000, 32);
}

impl Encoder for Pigz {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            // A full piece ends only when something follows it: the last one is ended otherwise.
            if self.filled == PIECE {
                self.close(out);
                self.open();
            }
            let (part, rest) = plain.split_at(plain.len().min(PIECE - self.filled));
            self.encoder.write(part, out);
            self.filled += part.len();
            self.plain += part.len() as u64;
            let keep = DICTIONARY.saturating_sub(part.len()).min(self.tail.len());
            self.tail.drain(..self.tail.len() - keep);
            self.tail.extend_from_slice(&part[part.len().saturating_sub(DICTIONARY)..]);
            plain = rest;
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.encoder.finish(out);
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.opened.take()
    }
}

fn candidates(opening: &Opening) -> Vec<Vec<u32>> {
    // A first block ends with its tokens, or with the first piece.
    let fits = opening.kind == Kind::Stored || opening.tokens == 16_383 || opening.plain == PIECE;
    if opening.last || !fits {
        return Vec::new();
    }
    let levels = || USUAL.iter().filter(|&&level| level <= 3 || !opening.far_three);
    (0..3).flat_map(|mode| levels().map(move |&level| vec![level, mode])).collect()
}
