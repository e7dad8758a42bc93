//! A *piece* is the part of a deflate stream between two checkpoints, or between one of them and an end.
//!
//! It is replayed alone. What it makes is cut at the bits its checkpoints declare.

use super::bits::BitWriter;
use super::family::Identity;
use super::source::Source;
use super::{Checkpoint, Error};

/// Plain bytes read at a time.
const STEP: u64 = 32 * 1024;
/// Plain bytes after a piece that an encoder may want to see before it ends the piece's last block.
const BEYOND: u64 = 1 << 20;

/// See the module.
pub struct Piece<'a> {
    /// The encoder.
    pub identity: &'a Identity,
    /// Where it starts; `None`: at the front of the stream.
    pub from: Option<&'a Checkpoint>,
    /// Where it ends; `None`: at the end of the stream.
    pub to: Option<&'a Checkpoint>,
    /// Plain bytes of the stream.
    pub plain: u64,
    /// Compressed bytes of the stream.
    pub compressed: u64,
}

impl<'a> Piece<'a> {
    /// The pieces of a stream.
    pub fn all(
        identity: &'a Identity,
        checkpoints: &'a [Checkpoint],
        plain: u64,
        compressed: u64,
    ) -> impl Iterator<Item = Piece<'a>> {
        (0..=checkpoints.len()).map(move |i| Piece {
            identity,
            from: i.checked_sub(1).and_then(|i| checkpoints.get(i)),
            to: checkpoints.get(i),
            plain,
            compressed,
        })
    }

    /// Bits of the stream before the piece.
    #[must_use]
    pub fn first_bit(&self) -> u64 {
        self.from.map_or(0, |at| at.bits)
    }

    /// Bits of the stream before what follows the piece.
    #[must_use]
    pub fn end_bit(&self) -> u64 {
        self.to.map_or(self.compressed.saturating_mul(8), |at| at.bits)
    }

    fn length_error(&self, made: u64) -> Error {
        let (from, to) = (self.from.map_or(0, |at| at.plain), self.to.map_or(self.plain, |at| at.plain));
        Error::Length { from, to, made, declared: self.end_bit().saturating_sub(self.first_bit()) }
    }

    /// Replays the piece. Bytes come in order; the first has zeros where the bits of the piece before belong, the last where those of
    /// the piece after do. Not more comes than the checkpoints declare.
    ///
    /// # Errors
    /// [`Error::Checkpoint`], [`Error::Length`], [`Error::Io`], and whatever `sink` says.
    pub fn replay(
        &self,
        plain: &(impl Source + ?Sized),
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut at = self.from.map_or(0, |at| at.plain);
        let before = at.min(self.identity.family().history as u64);
        let mut buffer = vec![0; STEP as usize];
        let mut history = vec![0; before as usize];
        plain.read_at(at - before, &mut history)?;
        let mut encoder = self.identity.start(self.from.map(|from| (from, history.as_slice())))?;
        drop(history);

        let declared = self.end_bit().checked_sub(self.first_bit()).ok_or_else(|| self.length_error(0))?;
        let end = self.to.map_or(self.plain, |to| self.plain.min(to.plain.saturating_add(BEYOND)));
        let skew = self.first_bit() % 8;
        let mut out = BitWriter::after(0, skew as u32);
        let mut sent = 0; // bits handed on, the skew counted
        while at < end && out.written() < declared {
            let step = STEP.min(end - at);
            let part = &mut buffer[..step as usize];
            plain.read_at(at, part)?;
            encoder.write(part, &mut out);
            at += step;
            send(&mut out, &mut sent, skew + declared, sink)?;
        }
        if out.written() < declared && at == self.plain {
            encoder.finish(&mut out);
        }
        let made = out.written();
        if let Some(fault) = encoder.fault() {
            return Err(Error::Io(fault));
        }
        if made < declared || (self.to.is_none() && made != declared) {
            return Err(self.length_error(made));
        }
        out.align();
        send(&mut out, &mut sent, skew + declared, sink)
    }
}

/// Hands on the whole bytes of `out`, cut to `most` bits in all.
fn send(
    out: &mut BitWriter,
    sent: &mut u64,
    most: u64,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut bytes = out.take();
    let room = most.saturating_sub(*sent);
    if bytes.len() as u64 * 8 > room {
        bytes.truncate(room.div_ceil(8) as usize);
        if let Some(last) = bytes.last_mut().filter(|_| !room.is_multiple_of(8)) {
            *last &= (1 << (room % 8)) - 1;
        }
    }
    *sent += bytes.len() as u64 * 8;
    if bytes.is_empty() { Ok(()) } else { sink(&bytes) }
}
