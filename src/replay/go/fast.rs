//! *BestSpeed* (level 1) looks each place up in one small table and skips ahead where nothing matches.
//!
//! Which places enter the table depends on the matches before, so its state is not a function of the last bytes. But an encoder started
//! with an empty table some blocks earlier nearly always comes to the same table: a checkpoint is a place where that was *seen* to happen,
//! and its integer says how many blocks earlier ([`Fast::checkpoint`]).

use super::super::bits::BitWriter;
use super::super::{Checkpoint, Encoder};
use super::block::{Blocks, STORED_MAX};
use super::symbol::{MAX_MATCH, Token, WINDOW};
use super::window::{SLACK, common, load32, load64, zeros};

/// Bytes of a full block.
pub const BLOCK: usize = STORED_MAX;
/// Most blocks that a restart encodes in vain to fill the table.
pub const WARM_MAX: u32 = 8;
const TABLE_BITS: u32 = 14;
/// The last bytes of a block are not looked up.
const MARGIN: usize = 15;
/// Tables are renumbered when `now` passes this.
const NOW_MAX: u32 = 1 << 30;
/// Entries that are this much smaller than `now` are out of reach.
const FAR: u32 = 1 << 16;

/// Latest place of each hash, as its distance from a moving zero: place + `now` of its block.
type Table = [u32; 1 << TABLE_BITS];

/// Level 1 of Go's encoder up to 1.26.
pub struct Fast {
    /// [`WINDOW`] bytes before the block, then the block.
    window: Box<[u8; WINDOW + BLOCK + SLACK]>,
    /// Bytes in the open block.
    len: usize,
    /// What entries of the open block's first byte are.
    now: u32,
    table: Box<Table>,
    tokens: Vec<Token>,
    /// Plain bytes before the open block.
    plain: u64,
    blocks: Blocks,
    /// A table that began empty some blocks ago, to see whether it becomes the same.
    shadow: Option<(u32, Box<Table>)>,
    wanted: bool,
    checkpoint: Option<Checkpoint>,
}

#[inline]
fn hash(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x1e35_a7bd) >> (32 - TABLE_BITS)) as usize
}

impl Fast {
    /// From the front.
    pub fn new() -> Self {
        Self {
            window: zeros(),
            len: 0,
            now: FAR,
            table: zeros(),
            tokens: Vec::with_capacity(BLOCK),
            plain: 0,
            blocks: Blocks::new(0),
            shadow: None,
            wanted: false,
            checkpoint: None,
        }
    }

    /// From a checkpoint, after the bytes of the blocks that fill the table.
    pub fn after(plain: u64, bits: u64, warm: &[u8]) -> Self {
        let mut fast = Self::new();
        for block in warm.chunks_exact(BLOCK) {
            fast.window[WINDOW..WINDOW + BLOCK].copy_from_slice(block);
            fast.len = BLOCK;
            fast.tokens.clear();
            find(&fast.window[..], BLOCK, fast.now, &mut fast.table, &mut fast.tokens);
            fast.next();
        }
        fast.plain = plain;
        fast.blocks = Blocks::new(bits);
        fast
    }

    fn close_block(&mut self, out: &mut BitWriter) {
        let plain = &self.window[WINDOW..WINDOW + self.len];
        if self.len < 128 {
            // Only the last block is so short.
            if self.len <= 16 {
                self.blocks.stored(plain, out);
            } else {
                self.blocks.literals(plain, out);
            }
            return;
        }
        if let Some((_, shadow)) = &mut self.shadow {
            self.tokens.clear();
            find(&self.window[..], self.len, self.now, shadow, &mut self.tokens);
        }
        self.tokens.clear();
        find(&self.window[..], self.len, self.now, &mut self.table, &mut self.tokens);
        // Less than a sixteenth saved: without matches.
        if self.tokens.len() > self.len - (self.len >> 4) {
            self.blocks.literals(plain, out);
        } else {
            self.blocks.dynamic(&self.tokens, plain, out);
        }
        self.next();
        self.compare();
    }

    /// Makes room for the next block.
    fn next(&mut self) {
        self.window.copy_within(self.len..self.len + WINDOW, 0);
        self.plain = self.plain.wrapping_add(self.len as u64);
        self.now += self.len as u32;
        self.len = 0;
        if self.now > NOW_MAX {
            let less = self.now - FAR;
            self.now = FAR;
            let shadow = self.shadow.iter_mut().flat_map(|(_, shadow)| shadow.iter_mut());
            self.table.iter_mut().chain(shadow).for_each(|entry| *entry = entry.saturating_sub(less));
        }
    }

    /// Notes a checkpoint if the shadow has become the same as the table as far as entries can be reached.
    fn compare(&mut self) {
        let now = self.now;
        let reach = |entry: u32| if now - entry <= WINDOW as u32 { entry } else { 0 };
        match self.shadow.take() {
            Some((warm, shadow)) => {
                let warm = warm + 1;
                if self.table.iter().zip(shadow.iter()).all(|(a, b)| reach(*a) == reach(*b)) {
                    self.wanted = false;
                    self.checkpoint =
                        Some(Checkpoint { plain: self.plain, bits: self.blocks.bits(), state: vec![warm] });
                } else if warm < WARM_MAX {
                    self.shadow = Some((warm, shadow));
                }
            }
            None if self.wanted => self.shadow = Some((0, zeros())),
            None => {}
        }
    }
}

/// Finds a block's matches. The block is `len` bytes of the window behind the first [`WINDOW`], and place 0 in what follows.
fn find(window: &[u8], len: usize, now: u32, table: &mut Table, tokens: &mut Vec<Token>) {
    let block = &window[WINDOW..];
    let limit = len - MARGIN;
    let literals = |tokens: &mut Vec<Token>, from: usize, to: usize| {
        tokens.extend(block[from..to].iter().map(|byte| Token::literal(*byte)));
    };
    // Looks up `bytes` at `at`, enters `at`, and says how far back the entry is if it matches.
    let swap = |table: &mut Table, at: usize, bytes: u32| -> Option<usize> {
        let slot = &mut table[hash(bytes)];
        let back = (now + at as u32 - *slot) as usize;
        *slot = now + at as u32;
        (back <= WINDOW && load32(window, WINDOW + at - back) == bytes).then_some(back)
    };
    let mut emitted = 0;
    let mut at = 0;
    'block: loop {
        // The step grows by one with every 32 bytes passed without a match.
        let mut skip = 32;
        let mut back = loop {
            let step = skip >> 5;
            skip += step;
            if at + step > limit {
                break 'block;
            }
            if let Some(back) = swap(table, at, load32(block, at)) {
                break back;
            }
            at += step;
        };
        literals(tokens, emitted, at);
        loop {
            let most = (len - at).min(MAX_MATCH);
            let length = 4 + common(window, WINDOW + at + 4, WINDOW + at + 4 - back, most - 4);
            tokens.push(Token::copy(length, back));
            at += length;
            emitted = at;
            if at >= limit {
                break 'block;
            }
            let bytes = load64(block, at - 1);
            table[hash(bytes as u32)] = now + at as u32 - 1;
            match swap(table, at, (bytes >> 8) as u32) {
                Some(again) => back = again,
                None => break,
            }
        }
        at += 1;
    }
    literals(tokens, emitted, len);
}

impl Encoder for Fast {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            let (now, later) = plain.split_at(plain.len().min(BLOCK - self.len));
            let at = WINDOW + self.len;
            self.window[at..at + now.len()].copy_from_slice(now);
            self.len += now.len();
            plain = later;
            if self.len == BLOCK {
                self.close_block(out);
            }
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        if self.len > 0 {
            self.close_block(out);
        }
        self.blocks.end(out);
    }

    /// Asking begins a shadow: an empty table that takes part from the next block on, until it is the same or [`WARM_MAX`] blocks have
    /// passed. Only then is there an answer, so ask when one is wanted and go on asking until it comes.
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let found = self.checkpoint.take();
        self.wanted = found.is_none();
        found
    }
}
