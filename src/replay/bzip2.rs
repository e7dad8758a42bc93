//! *bzip2* is libbzip2's encoder, as a whole .bz2 stream from `BZh` to its padding.
//!
//! What several streams beside each other hold (pbzip2) is several replays. Section "Libraries" of `spec/replay.md`.

use super::bits::BitWriter;
use super::family::{Candidates, Family, Place};
use super::{Checkpoint, Encoder, Error};
use crate::codec::form::Form;
use bzip2::{Action, Compress, Compression, Status};
use std::io;

/// Family 10: the level, which is the length of a block in units of 100,000 bytes.
pub const FAMILY: Family = Family {
    number: 10,
    name: NAME,
    params: 1,
    state: 0,
    history: 0,
    candidates: Candidates::Other(Form::Bzip2, candidates),
    memory: |_, _| 8 << 20,
    check: |params| level(params).map(drop),
    start,
};
const NAME: &str = "bzip2/1";

/// Bytes of output taken at once.
const PIECE: usize = 64 << 10;

fn level(params: &[u32]) -> Result<u32, Error> {
    match params {
        &[level @ 1..=9] => Ok(level),
        _ => Err(Error::Parameters { family: NAME, params: params.to_vec() }),
    }
}

fn start(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let level = level(params)?;
    match place {
        // libbzip2's "work factor" says when another sorting takes over; it makes the same.
        None => Ok(Box::new(Bzip2 {
            stream: Compress::new(Compression::new(level), 0),
            buffer: vec![0; PIECE],
            fault: None,
        })),
        Some((at, _)) => Err(Error::Checkpoint { plain: at.plain, why: "its encoder has none" }),
    }
}

/// An encoder at work.
struct Bzip2 {
    stream: Compress,
    buffer: Vec<u8>,
    fault: Option<io::Error>,
}

impl Bzip2 {
    /// Hands `input` on until it is taken, or with `Finish` until the stream is over.
    fn run(&mut self, mut input: &[u8], action: Action, out: &mut BitWriter) -> io::Result<()> {
        loop {
            let (taken, given) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.compress(input, &mut self.buffer, action)?;
            let (taken, given) = (self.stream.total_in() - taken, self.stream.total_out() - given);
            out.bytes(self.buffer.get(..given as usize).unwrap_or_default());
            input = input.get(taken as usize..).unwrap_or_default();
            match (status, action) {
                (Status::StreamEnd, _) => return Ok(()),
                (_, Action::Run) if input.is_empty() => return Ok(()),
                _ if taken == 0 && given == 0 => return Err(io::Error::other("the encoder makes no progress")),
                _ => {}
            }
        }
    }

    fn checked(&mut self, input: &[u8], action: Action, out: &mut BitWriter) {
        if self.fault.is_none() {
            self.fault = self.run(input, action, out).err();
        }
    }
}

impl Encoder for Bzip2 {
    fn write(&mut self, plain: &[u8], out: &mut BitWriter) {
        if !plain.is_empty() {
            self.checked(plain, Action::Run, out);
        }
    }
    fn finish(&mut self, out: &mut BitWriter) {
        self.checked(&[], Action::Finish, out);
    }
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        None
    }
    fn fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }
}

fn candidates(front: &[u8], _: u64) -> Vec<Vec<u32>> {
    match front {
        [b'B', b'Z', b'h', level @ b'1'..=b'9', ..] => vec![vec![u32::from(level - b'0')]],
        _ => vec![],
    }
}
