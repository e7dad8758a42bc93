//! *bzip2* is libbzip2's encoder, as a whole .bz2 stream from `BZh` to its padding.
//!
//! What several streams beside each other hold (pbzip2) is several replays. Section "Libraries" of `spec/replay.md`.

use super::family::{Candidates, Family, Place};
use super::library::{Coder, Library};
use super::{Encoder, Error};
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
        None => Ok(Box::new(Library::new(Compress::new(Compression::new(level), 0)))),
        Some((at, _)) => Err(Error::Checkpoint { plain: at.plain, why: "its encoder has none" }),
    }
}

impl Coder for Compress {
    fn step(&mut self, input: &[u8], output: &mut [u8], end: bool) -> io::Result<bool> {
        let action = if end { Action::Finish } else { Action::Run };
        Ok(self.compress(input, output, action)? == Status::StreamEnd)
    }
    fn totals(&self) -> (u64, u64) {
        (self.total_in(), self.total_out())
    }
}

fn candidates(front: &[u8], _: u64) -> Vec<Vec<u32>> {
    match front {
        [b'B', b'Z', b'h', level @ b'1'..=b'9', ..] => vec![vec![u32::from(level - b'0')]],
        _ => vec![],
    }
}
