//! A *flat* encoder finds no matches: level 0 (stored) and HuffmanOnly (-2).

use super::super::bits::BitWriter;
use super::super::{Checkpoint, Encoder};
use super::reuse::{Reuse, Rules};
use super::segment::Segment;

/// Level 0 (blocks of 65535 bytes) or HuffmanOnly (32768).
pub struct Flat {
    huffman: bool,
    held: Vec<u8>,
    plain: u64,
    reuse: Reuse,
    checkpoint: Option<Checkpoint>,
}

impl Flat {
    /// HuffmanOnly if `huffman`, else level 0.
    pub fn new(huffman: bool, plain: u64, bits: u64) -> Self {
        let rules = Rules { penalty: 10, whole: false };
        Self { huffman, held: Vec::new(), plain, reuse: Reuse::new(rules, bits), checkpoint: None }
    }

    fn block(&self) -> usize {
        if self.huffman { 1 << 15 } else { 65535 }
    }

    fn close_block(&mut self, last: bool, out: &mut BitWriter) {
        if self.huffman {
            self.reuse.flat(&self.held, last, out);
        } else {
            self.reuse.stored(&self.held, out);
        }
        if let Some(bits) = self.reuse.fresh() {
            self.checkpoint = Some(Checkpoint { plain: self.plain, bits, state: vec![0] });
        }
        self.plain = self.plain.wrapping_add(self.held.len() as u64);
        self.held.clear();
    }

    fn close(&mut self, out: &mut BitWriter) {
        if !self.held.is_empty() {
            self.close_block(true, out);
        }
    }
}

impl Encoder for Flat {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            // A full block waits for the next byte: if none comes, it is the last.
            if self.held.len() == self.block() {
                self.close_block(false, out);
            }
            let (now, later) = plain.split_at(plain.len().min(self.block() - self.held.len()));
            self.held.extend_from_slice(now);
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.close(out);
        self.reuse.end(out);
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.checkpoint.take()
    }
}

impl Segment for Flat {
    fn preset(&mut self, _tail: &[u8]) {}

    fn flush(&mut self, out: &mut BitWriter) {
        self.close(out);
        self.reuse.stored(&[], out);
    }

    fn bits(&self) -> u64 {
        self.reuse.bits()
    }
}
