//! A *flat* encoder finds no matches: level 0 (stored) and HuffmanOnly (-2).

use super::super::bits::BitWriter;
use super::super::{Checkpoint, Encoder};
use super::block::{Blocks, STORED_MAX};

/// Level 0 or HuffmanOnly: every 65535 bytes are one block.
pub struct Flat {
    huffman: bool,
    held: Vec<u8>,
    plain: u64,
    blocks: Blocks,
    checkpoint: Option<Checkpoint>,
}

impl Flat {
    /// HuffmanOnly if `huffman`, else level 0; its state at a block's start is empty.
    pub fn new(huffman: bool, plain: u64, bits: u64) -> Self {
        Self { huffman, held: Vec::with_capacity(STORED_MAX), plain, blocks: Blocks::new(bits), checkpoint: None }
    }

    fn close_block(&mut self, out: &mut BitWriter) {
        if self.huffman {
            self.blocks.literals(&self.held, out);
        } else {
            self.blocks.stored(&self.held, out);
        }
        self.plain = self.plain.wrapping_add(self.held.len() as u64);
        self.held.clear();
        self.checkpoint = Some(Checkpoint { plain: self.plain, bits: self.blocks.bits(), state: vec![0] });
    }
}

impl Encoder for Flat {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            let (now, later) = plain.split_at(plain.len().min(STORED_MAX - self.held.len()));
            self.held.extend_from_slice(now);
            plain = later;
            if self.held.len() == STORED_MAX {
                self.close_block(out);
            }
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        if !self.held.is_empty() {
            self.close_block(out);
        }
        self.blocks.end(out);
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.checkpoint.take()
    }
}
