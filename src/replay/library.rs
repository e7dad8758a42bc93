//! A *library's* encoder: bytes go in and come out as the library likes, one stream from its header to its end, without checkpoints.
//!
//! Which library and with what parameters is its family's business. Section "Libraries" of `spec/replay.md`.

use super::bits::BitWriter;
use super::{Checkpoint, Encoder};
use std::io;

/// Bytes of output taken at once.
const PIECE: usize = 64 << 10;

/// What a library does with bytes.
pub trait Coder: Send {
    /// Takes of the input and gives to the output; with `end`, no more input will come. Whether the stream is over.
    ///
    /// # Errors
    /// What the library says.
    fn step(&mut self, input: &[u8], output: &mut [u8], end: bool) -> io::Result<bool>;
    /// Bytes taken and given so far.
    fn totals(&self) -> (u64, u64);
}

/// A library's encoder at work.
pub struct Library<C> {
    coder: C,
    buffer: Vec<u8>,
    fault: Option<io::Error>,
}

impl<C: Coder> Library<C> {
    /// At the beginning of a stream.
    pub fn new(coder: C) -> Library<C> {
        Library { coder, buffer: vec![0; PIECE], fault: None }
    }

    /// Hands `input` on until it is taken, or with `end` until the stream is over.
    fn run(&mut self, mut input: &[u8], end: bool, out: &mut BitWriter) -> io::Result<()> {
        let mut idle = false; // once is no harm: a thread of the library may have been late
        loop {
            let before = self.coder.totals();
            let over = self.coder.step(input, &mut self.buffer, end)?;
            let after = self.coder.totals();
            let (taken, given) = (after.0 - before.0, after.1 - before.1);
            out.bytes(self.buffer.get(..given as usize).unwrap_or_default());
            input = input.get(taken as usize..).unwrap_or_default();
            if over || !end && input.is_empty() {
                return Ok(());
            }
            if taken > 0 || given > 0 {
                idle = false;
            } else if std::mem::replace(&mut idle, true) {
                return Err(io::Error::other("the encoder makes no progress"));
            }
        }
    }

    fn checked(&mut self, input: &[u8], end: bool, out: &mut BitWriter) {
        if self.fault.is_none() {
            self.fault = self.run(input, end, out).err();
        }
    }
}

impl<C: Coder> Encoder for Library<C> {
    fn write(&mut self, plain: &[u8], out: &mut BitWriter) {
        if !plain.is_empty() {
            self.checked(plain, false, out);
        }
    }
    fn finish(&mut self, out: &mut BitWriter) {
        self.checked(&[], true, out);
    }
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        None
    }
    fn fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }
}
