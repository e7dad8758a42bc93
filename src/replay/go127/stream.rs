//! A *stream* of levels 1 to 6: blocks of 65535 bytes, each through a finder and then the writer that reuses codes.
//!
//! A checkpoint is a block that owes nothing to the codes before it, at which a finder that began empty some blocks earlier was seen to have
//! come to the same tables.

use super::super::bits::BitWriter;
use super::super::go::StartError;
use super::super::go::symbol::{Token, WINDOW};
use super::super::{Checkpoint, Encoder};
use super::find::Finder;
use super::history::{BLOCK, History};
use super::reuse::{Reuse, Rules};
use super::segment::Segment;

/// Most blocks that a restart encodes in vain to fill the tables.
pub const WARM_MAX: u32 = 8;
/// Most plain bytes that a restart needs: those blocks, and what they may copy from.
pub const BEFORE: usize = WARM_MAX as usize * BLOCK + WINDOW;

/// Blocks between an empty finder's beginning and the open block, and the finder.
struct Shadow<F> {
    warm: u32,
    finder: F,
    /// It has become the same.
    same: bool,
}

/// One of levels 1 to 6.
pub struct Stream<F: Finder> {
    history: History,
    finder: F,
    held: Vec<u8>,
    tokens: Vec<Token>,
    /// Plain bytes before the open block.
    plain: u64,
    reuse: Reuse,
    wanted: bool,
    shadow: Option<Shadow<F>>,
    checkpoint: Option<Checkpoint>,
}

impl<F: Finder> Stream<F> {
    /// From the front.
    pub fn new(rules: Rules, bits: u64) -> Self {
        Self {
            history: History::new(),
            finder: F::new(),
            held: Vec::with_capacity(BLOCK),
            tokens: Vec::with_capacity(BLOCK),
            plain: 0,
            reuse: Reuse::new(rules, bits),
            wanted: false,
            shadow: None,
            checkpoint: None,
        }
    }

    /// From a checkpoint, after the plain bytes before it (at most [`BEFORE`] are looked at).
    ///
    /// # Errors
    /// The checkpoint is not one of this encoder, or too few bytes before it were given.
    pub fn restart(rules: Rules, checkpoint: &Checkpoint, before: &[u8]) -> Result<Self, StartError> {
        let mut stream = Self::new(rules, checkpoint.bits);
        let plain = checkpoint.plain;
        let [warm @ 1..=WARM_MAX] = checkpoint.state[..] else {
            return Err(StartError::State { plain, have: checkpoint.state.len() });
        };
        let blocks = warm as usize * BLOCK;
        let need = (blocks + WINDOW).min(usize::try_from(plain).unwrap_or(usize::MAX));
        let more = before.len().checked_sub(need).ok_or(StartError::Before { plain, have: before.len(), need })?;
        let before = &before[more..];
        let (older, blocks) = before.split_at(need.saturating_sub(blocks));
        stream.history.push(older);
        for block in blocks.chunks(BLOCK) {
            stream.find(block);
        }
        stream.plain = plain;
        Ok(stream)
    }

    /// Tokens of a block.
    fn find(&mut self, block: &[u8]) {
        let (start, less) = self.history.push(block);
        if less > 0 {
            let shadow = self.shadow.iter_mut().flat_map(|shadow| shadow.finder.entries_mut());
            let entries = self.finder.entries_mut().into_iter().chain(shadow).flatten();
            entries.for_each(|entry| *entry = (*entry - less).max(0));
        }
        if let Some(shadow) = &mut self.shadow {
            self.tokens.clear();
            shadow.finder.find(&self.history, start, &mut self.tokens);
        }
        self.tokens.clear();
        if block.len() >= 128 {
            self.finder.find(&self.history, start, &mut self.tokens);
        }
    }

    fn close_block(&mut self, last: bool, out: &mut BitWriter) {
        let block = std::mem::take(&mut self.held);
        self.watch();
        if block.len() < 128 {
            // Only what a flush or the end leaves over is so short.
            if block.len() <= 32 { self.reuse.stored(&block, out) } else { self.reuse.flat(&block, true, out) }
        } else {
            self.find(&block);
            if self.tokens.is_empty() {
                self.reuse.stored(&block, out);
            } else if self.tokens.len() > block.len() - (block.len() >> 4) {
                self.reuse.flat(&block, last, out);
            } else {
                self.reuse.dynamic(&self.tokens, Some(&block), last, out);
            }
        }
        self.note(block.len());
        self.held = block;
        self.held.clear();
    }

    fn close(&mut self, out: &mut BitWriter) {
        if !self.held.is_empty() {
            self.close_block(true, out);
        }
    }

    /// Before a block: has the shadow become the same?
    fn watch(&mut self) {
        if let Some(shadow) = &mut self.shadow {
            shadow.warm += 1;
            let reach = |entry: &i32| self.history.reach(*entry);
            let same = |(a, b): (&[i32], &[i32])| a.iter().map(reach).eq(b.iter().map(reach));
            shadow.same = shadow.same || self.finder.entries().into_iter().zip(shadow.finder.entries()).all(same);
            if shadow.warm > WARM_MAX {
                self.shadow = None;
            }
        }
        if self.wanted && self.shadow.is_none() {
            self.shadow = Some(Shadow { warm: 0, finder: F::new(), same: false });
        }
    }

    /// After a block: can it be begun with?
    fn note(&mut self, len: usize) {
        if let (Some(shadow), Some(bits)) = (&self.shadow, self.reuse.fresh())
            && shadow.same
        {
            self.checkpoint = Some(Checkpoint { plain: self.plain, bits, state: vec![shadow.warm] });
            self.shadow = None;
            self.wanted = false;
        }
        self.plain = self.plain.wrapping_add(len as u64);
    }
}

impl<F: Finder> Encoder for Stream<F> {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            // A full block waits for the next byte: if none comes, it is the last.
            if self.held.len() == BLOCK {
                self.close_block(false, out);
            }
            let (now, later) = plain.split_at(plain.len().min(BLOCK - self.held.len()));
            self.held.extend_from_slice(now);
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.close(out);
        self.reuse.end(out);
    }

    /// Asking begins a shadow (unless the finder looks at far bytes), which goes on until there is an answer or [`WARM_MAX`] blocks have passed, and then anew.
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let found = self.checkpoint.take();
        self.wanted = F::NEAR && found.is_none();
        found
    }
}

impl<F: Finder> Segment for Stream<F> {
    fn preset(&mut self, tail: &[u8]) {
        self.find(&tail[tail.len().saturating_sub(WINDOW)..]);
    }

    fn flush(&mut self, out: &mut BitWriter) {
        self.close(out);
        self.reuse.stored(&[], out);
    }

    fn bits(&self) -> u64 {
        self.reuse.bits()
    }
}
