//! The encoders that descend from gzip's, as one [`Encoder`]: zlib, Chromium's zlib and GNU gzip differ in few places.

use super::super::bits::BitWriter;
use super::super::block::{Block, Choice};
use super::super::{Checkpoint, Encoder, Error};
use super::parse::{self, Full, Input, Lazy, Stop};
use super::tune::{Strategy, Tune};
use super::window::{AHEAD, LONGEST, Lineage, Window};

/// What one encoder of the family does.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// How hard it searches.
    pub tune: Tune,
    /// Takes the first match it finds; else it looks one position further.
    pub greedy: bool,
    /// Which matches it considers.
    pub strategy: Strategy,
    /// Binary logarithm of the window, 9 to 15.
    pub window: u32,
    /// Binary logarithm of the hash table, 8 to 16, and by how much each byte shifts the hash.
    pub hash: (u32, u32),
    /// When a block is full.
    pub full: Full,
}

impl Setup {
    /// Whether a position that is passed may be missing in the table, so that the table is no function of the plain bytes.
    #[must_use]
    pub fn skips(&self) -> bool {
        self.greedy && self.searches()
    }

    fn searches(&self) -> bool {
        !matches!(self.strategy, Strategy::Huffman | Strategy::Runs)
    }
}

/// See the module.
pub struct Deflater<L> {
    setup: Setup,
    window: Window<L>,
    block: Block,
    lazy: Lazy,
    /// Bits of the stream before this encoder began.
    bits: u64,
    /// Positions before the next one that are not in the table yet: those of a restart, or the last two before a flush.
    missing: usize,
    /// Restarted with a byte pending.
    pending: bool,
    opened: Option<Checkpoint>,
}

impl<L: Lineage> Deflater<L> {
    /// An encoder at the start of a stream.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            window: Window::new(setup.window, setup.hash.0, setup.hash.1),
            block: Block::new(setup.full.tokens),
            lazy: Lazy::NEW,
            bits: 0,
            missing: 0,
            pending: false,
            opened: None,
        }
    }

    /// An encoder that begins a stream, but may refer to `before`: zlib's `deflateSetDictionary`.
    #[must_use]
    pub fn with_dictionary(setup: Setup, before: &[u8]) -> Self {
        let mut new = Self::new(setup);
        let len = before.len().min(new.window.size());
        new.window.place(len, 0, before);
        new.missing = len;
        new
    }

    /// An encoder at `at`, whose state is: index of the next byte in the window, whether the byte before it is pending, length and
    /// distance of the match found for that byte. `before`: the plain bytes before the checkpoint, at least a window of them.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if no run of this encoder has such a state.
    pub fn resume(setup: Setup, at: &Checkpoint, before: &[u8]) -> Result<Self, Error> {
        let refuse = |why| Error::Checkpoint { plain: at.plain, why };
        let mut new = Self::new(setup);
        if setup.skips() {
            return Err(refuse("this level has no checkpoints"));
        }
        let &[index, pending, length, distance] = at.state.as_slice() else {
            return Err(refuse("its state is not four integers"));
        };
        let size = new.window.size();
        let (index, length, distance) = (index as usize, length as usize, distance as usize);
        if pending == 1 && (setup.greedy || !setup.searches()) {
            return Err(refuse("this encoder has no pending bytes"));
        }
        let matched = (3..=LONGEST).contains(&length) && pending == 1 && (1..=new.window.far()).contains(&distance);
        if pending > 1 || !(matched || (length == 2 && distance == 1)) {
            return Err(refuse("its pending match is impossible"));
        }
        // A step begins with a window's room before the end, and takes a longest match at most.
        let block = index.checked_sub(pending as usize).filter(|_| index <= 2 * size - AHEAD + LONGEST);
        let block = block.ok_or_else(|| refuse("its window index is out of range"))?;
        let base = at.plain.checked_sub(block as u64).filter(|base| base.is_multiple_of(size as u64));
        let base = base.ok_or_else(|| refuse("its window does not begin at a multiple of the window's size"))?;
        if before.len() < block.min(size) {
            return Err(refuse("too few plain bytes before it were given"));
        }
        new.window.place(block, base, before);
        new.lazy = Lazy { length, distance, pending: pending == 1 };
        new.bits = at.bits;
        (new.missing, new.pending) = (block.min(size), pending == 1);
        Ok(new)
    }

    /// Enters what is missing, once enough bytes are there to hash it; false if they are not.
    fn catch_up(&mut self, input: Input) -> bool {
        let window = &mut self.window;
        if self.missing == 0 && !self.pending {
            return true;
        }
        // All that the run up to here had seen: a pending match may be long.
        if input == Input::Open && window.ahead <= AHEAD && !window.is_full() {
            return false;
        }
        let mut from = window.start - self.missing;
        if std::mem::take(&mut self.pending) {
            if window.ahead > 0 {
                window.start += 1;
                window.ahead -= 1;
                from = from.max(window.start.saturating_sub(window.size()));
            } else {
                self.lazy = Lazy::NEW;
            }
            // Bytes that are not there cannot have matched: a checkpoint may lie.
            self.lazy.length = self.lazy.length.min(window.ahead + 1).max(2);
        }
        let end = window.start.min((window.start + window.ahead).saturating_sub(2));
        for at in from..end {
            window.enter(at);
        }
        self.missing = 0;
        true
    }

    fn run(&mut self, out: &mut BitWriter, input: Input) {
        if self.setup.searches() && !self.catch_up(input) {
            return;
        }
        let full = self.setup.full;
        loop {
            let (window, block, tune) = (&mut self.window, &mut self.block, &self.setup.tune);
            let stop = if !self.setup.searches() {
                parse::simple(window, block, self.setup.strategy, full, input)
            } else if self.setup.greedy {
                parse::greedy(window, block, tune, full, input)
            } else {
                let filtered = self.setup.strategy == Strategy::Filtered;
                parse::lazy(window, block, &mut self.lazy, (tune, filtered), full, input)
            };
            match stop {
                Stop::Hungry => return,
                Stop::Full(end) => {
                    self.flush(out, end, false);
                    self.note(end, out);
                }
            }
        }
    }

    /// Writes the open block, which ends before index `end`.
    fn flush(&mut self, out: &mut BitWriter, end: usize, last: bool) {
        let choice = if self.setup.strategy == Strategy::Fixed { Choice::Fixed } else { Choice::Cheapest };
        let len = (end as isize - self.window.block) as usize;
        self.block.write(out, self.window.open(end), len, choice, last);
        self.window.block = end as isize;
    }

    /// Remembers that a block starts at index `end`.
    fn note(&mut self, end: usize, out: &BitWriter) {
        if self.setup.skips() {
            return;
        }
        let pending = self.window.start - end;
        let matched = pending == 1 && self.lazy.length >= 3;
        let (length, distance) = if matched { (self.lazy.length, self.lazy.distance) } else { (2, 1) };
        self.opened = Some(Checkpoint {
            plain: self.window.base + end as u64,
            bits: self.bits + out.written(),
            state: [self.window.start, pending, length, distance].map(|n| n as u32).to_vec(),
        });
    }

    /// Takes all bytes there are as if the stream ended, without ending the block.
    fn drain(&mut self, out: &mut BitWriter) {
        if L::BEYOND && self.window.ahead < AHEAD {
            self.window.fill(&[], true);
        }
        self.window.end();
        self.run(out, Input::Ended);
        if std::mem::take(&mut self.lazy.pending) {
            self.block.literal(self.window.byte(self.window.start.wrapping_sub(1)));
        }
        self.lazy = Lazy::NEW;
    }

    /// Writes what there is as a block that is not the last, if there is anything: zlib's `Z_BLOCK`.
    pub fn end_block(&mut self, out: &mut BitWriter) {
        self.drain(out);
        if !self.block.is_empty() {
            self.flush(out, self.window.start, false);
        }
        self.missing = self.window.start.min(2);
    }
}

impl<L: Lineage> Encoder for Deflater<L> {
    fn write(&mut self, mut plain: &[u8], out: &mut BitWriter) {
        while !plain.is_empty() {
            let taken = self.window.fill(plain, false);
            plain = &plain[taken..];
            self.run(out, Input::Open);
        }
    }

    fn finish(&mut self, out: &mut BitWriter) {
        self.drain(out);
        self.flush(out, self.window.start, true);
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.opened.take()
    }
}
