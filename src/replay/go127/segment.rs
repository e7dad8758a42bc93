//! A *segment* is a run of blocks that can be begun with a preset window and ended by a flush, as pgzip does.
//!
//! A stream that is not cut is one segment.

use super::super::Encoder;
use super::super::bits::BitWriter;

/// An encoder that can be flushed.
pub trait Segment: Encoder {
    /// Bytes that come before the first and are not written (asked before anything is written).
    fn preset(&mut self, tail: &[u8]);
    /// Ends the open block and writes an empty stored one.
    fn flush(&mut self, out: &mut BitWriter);
    /// Bits of the stream so far.
    fn bits(&self) -> u64;
}
