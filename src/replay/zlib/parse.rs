//! The *parse*: which literals and matches the plain bytes become.
//!
//! It looks at a position only when enough bytes follow it, or nothing will follow.

use super::super::block::Block;
use super::tune::{Strategy, Tune};
use super::window::{AHEAD, LONGEST, Lineage, Window};

/// Matches of three bytes from farther away are not taken.
pub const TOO_FAR: usize = 4096;

/// What the lazy parse carries from one position to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lazy {
    /// Length of the match found at the position before; 2: none.
    pub length: usize,
    /// How far back that match was.
    pub distance: usize,
    /// Whether the byte before is still to be written.
    pub pending: bool,
}

impl Lazy {
    /// The state at the start of a stream.
    pub const NEW: Self = Self { length: 2, distance: 1, pending: false };
}

/// Why a parse came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// More plain bytes are needed, or at the end: none are left.
    Hungry,
    /// The block is full; it ends before this index.
    Full(usize),
}

/// Bytes that must follow a position before it is looked at.
#[must_use]
pub fn need(strategy: Strategy) -> usize {
    match strategy {
        Strategy::Huffman => 1,
        Strategy::Runs => LONGEST + 1,
        _ => AHEAD,
    }
}

/// Whether nothing follows what the window has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// More may come.
    Open,
    /// Nothing more will come.
    Ended,
}

/// When a block is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// At this many tokens.
    pub tokens: usize,
    /// GNU gzip's other rule: every 4096 tokens, when matches are few and the block compresses to less than half.
    pub early: bool,
}

impl Full {
    /// Asked after every token; `plain` bytes lie between the start of the block and the position the parse stands at.
    #[inline]
    fn reached(self, block: &Block, plain: impl FnOnce() -> isize) -> bool {
        block.len() >= self.tokens || (self.early && block.len() & 0xfff == 0 && block.is_small(plain()))
    }
}

/// Sees to it that at least `need` bytes follow, or that nothing more will; false if the parse must wait, or is done.
#[inline]
fn ready<L: Lineage>(window: &mut Window<L>, need: usize, input: Input) -> bool {
    if window.ahead >= need {
        return true;
    }
    if input == Input::Ended && !L::BEYOND {
        window.fill(&[], true);
    }
    input == Input::Ended && window.ahead > 0
}

/// Levels 1 to 3: the first match that is found is taken.
pub fn greedy<L: Lineage>(window: &mut Window<L>, block: &mut Block, tune: &Tune, full: Full, input: Input) -> Stop {
    while ready(window, AHEAD, input) {
        let head = if L::BEYOND || window.ahead >= 3 { window.enter(window.start) } else { 0 };
        let (mut length, mut distance) = (2, 1);
        if head != 0 && window.start - head <= window.far() && window.searchable() {
            (length, distance) = window.longest(head, 2, tune);
        }
        let at = window.start as isize - window.block;
        if length >= 3 {
            block.pair(length, distance);
            window.ahead -= length;
            if length <= tune.lazy && (L::BEYOND || window.ahead >= 3) {
                for next in window.start + 1..window.start + length {
                    window.enter(next);
                }
            }
            window.start += length;
        } else {
            block.literal(window.byte(window.start));
            window.start += 1;
            window.ahead -= 1;
        }
        if full.reached(block, || at) {
            return Stop::Full(window.start);
        }
    }
    Stop::Hungry
}

/// Levels 4 to 9: a match is taken only if the next position has no longer one.
pub fn lazy<L: Lineage>(
    window: &mut Window<L>,
    block: &mut Block,
    lazy: &mut Lazy,
    (tune, filtered): (&Tune, bool),
    full: Full,
    input: Input,
) -> Stop {
    while ready(window, AHEAD, input) {
        let head = if L::BEYOND || window.ahead >= 3 { window.enter(window.start) } else { 0 };
        let before = *lazy;
        lazy.length = 2;
        if head != 0 && before.length < tune.lazy && window.start - head <= window.far() && window.searchable() {
            (lazy.length, lazy.distance) = window.longest(head, before.length, tune);
            let far = lazy.length == 3 && lazy.distance > TOO_FAR;
            if lazy.length <= 5 && (filtered || far) {
                lazy.length = 2;
            }
        }
        if before.length >= 3 && lazy.length <= before.length {
            block.pair(before.length, before.distance);
            let is_full = full.reached(block, || window.start as isize - window.block);
            let end = window.start + before.length - 1;
            // Three bytes must be there for a position to be entered: not so for the last two of the stream.
            let last = (window.start + window.ahead).saturating_sub(2);
            for next in window.start + 1..if L::BEYOND { end } else { end.min(last) } {
                window.enter(next);
            }
            window.ahead -= before.length - 1;
            window.start = end;
            (lazy.pending, lazy.length) = (false, 2);
            if is_full {
                return Stop::Full(window.start);
            }
        } else if before.pending {
            block.literal(window.byte(window.start - 1));
            let is_full = full.reached(block, || window.start as isize - window.block);
            window.start += 1;
            window.ahead -= 1;
            if is_full {
                return Stop::Full(window.start - 1);
            }
        } else {
            lazy.pending = true;
            window.start += 1;
            window.ahead -= 1;
        }
    }
    Stop::Hungry
}

/// Strategies without chains: literals only, or runs of one byte.
pub fn simple<L: Lineage>(
    window: &mut Window<L>,
    block: &mut Block,
    strategy: Strategy,
    full: Full,
    input: Input,
) -> Stop {
    let runs = strategy == Strategy::Runs;
    let need = need(strategy);
    while ready(window, need, input) {
        let run = if runs { window.run() } else { 0 };
        if run == 0 {
            block.literal(window.byte(window.start));
        } else {
            block.pair(run, 1);
        }
        window.start += run.max(1);
        window.ahead -= run.max(1);
        if full.reached(block, || 0) {
            return Stop::Full(window.start);
        }
    }
    Stop::Hungry
}
