//! *pgzip* compresses segments (1 MiB unless said otherwise) apart from each other, each with the last 16 KiB before it as preset window, and
//! flushes after each: skopeo, podman, buildah.
//!
//! So every segment is a checkpoint without integers.

use super::super::bits::BitWriter;
use super::super::go::StartError;
use super::super::{Checkpoint, Encoder};
use super::edition::Edition;
use super::segment::Segment;

/// Plain bytes of a segment's preset window; a segment is larger.
pub const TAIL: usize = 16384;

/// pgzip over one of klauspost's editions.
pub struct Pgzip {
    edition: Edition,
    level: i8,
    size: usize,
    segment: Box<dyn Segment>,
    /// Bytes the open segment takes yet.
    room: usize,
    /// The last bytes, at most [`TAIL`].
    tail: Vec<u8>,
    plain: u64,
    checkpoint: Option<Checkpoint>,
}

impl Pgzip {
    /// Segments of `size` plain bytes (more than [`TAIL`]), from the front or from a checkpoint with the bytes before it.
    ///
    /// # Errors
    /// An unknown level or size, a checkpoint of another encoder, or fewer than [`TAIL`] bytes before it.
    pub fn new(edition: Edition, level: i8, size: u32, from: Option<(&Checkpoint, &[u8])>) -> Result<Self, StartError> {
        let size = usize::try_from(size).ok().filter(|size| *size > TAIL).ok_or(StartError::Segment(size))?;
        let (plain, bits) = from.map_or((0, 0), |(checkpoint, _)| (checkpoint.plain, checkpoint.bits));
        let mut segment = edition.segment(level, bits).ok_or(StartError::Level(level))?;
        let mut tail = Vec::with_capacity(TAIL);
        if let Some((checkpoint, before)) = from {
            if !checkpoint.state.is_empty() {
                return Err(StartError::State { plain, have: checkpoint.state.len() });
            }
            let need = TAIL.min(usize::try_from(plain).unwrap_or(TAIL));
            let (_, last) = before.split_at_checked(before.len().wrapping_sub(need)).ok_or(StartError::Before {
                plain,
                have: before.len(),
                need,
            })?;
            tail.extend_from_slice(last);
            if plain > 0 {
                segment.preset(&tail);
            }
        }
        Ok(Self { edition, level, size, segment, room: size, tail, plain, checkpoint: None })
    }

    fn remember(&mut self, plain: &[u8]) {
        let plain = &plain[plain.len().saturating_sub(TAIL)..];
        let keep = self.tail.len().min(TAIL - plain.len());
        self.tail.drain(..self.tail.len() - keep);
        self.tail.extend_from_slice(plain);
    }

    fn next(&mut self, out: &mut BitWriter) {
        self.segment.flush(out);
        let bits = self.segment.bits();
        if let Some(mut segment) = self.edition.segment(self.level, bits) {
            segment.preset(&self.tail);
            self.segment = segment;
        }
        self.room = self.size;
        self.checkpoint = Some(Checkpoint { plain: self.plain, bits, state: Vec::new() });
    }
}

impl Encoder for Pgzip {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            let (now, later) = plain.split_at(plain.len().min(self.room));
            self.segment.write(now, out);
            self.remember(now);
            self.plain = self.plain.wrapping_add(now.len() as u64);
            self.room -= now.len();
            plain = later;
            if self.room == 0 {
                self.next(out);
            }
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.segment.flush(out);
        self.segment.finish(out);
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.checkpoint.take()
    }
}
