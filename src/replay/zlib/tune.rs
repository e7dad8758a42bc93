//! What a level stands for, and which strategies there are.

/// How hard a level searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tune {
    /// A previous match this long quarters the search.
    pub good: usize,
    /// Lazy levels: a previous match this long ends the search. Greedy levels: longer matches are not entered into the table.
    pub lazy: usize,
    /// A match this long is taken at once.
    pub nice: usize,
    /// Candidates looked at.
    pub chain: usize,
}

/// Levels 1 to 9; levels 1 to 3 are greedy, the others lazy.
pub static LEVELS: [Tune; 9] = [
    tune(4, 4, 8, 4),
    tune(4, 5, 16, 8),
    tune(4, 6, 32, 32),
    tune(4, 4, 16, 16),
    tune(8, 16, 32, 32),
    tune(8, 16, 128, 128),
    tune(8, 32, 128, 256),
    tune(32, 128, 258, 1024),
    tune(32, 258, 258, 4096),
];

const fn tune(good: usize, lazy: usize, nice: usize, chain: usize) -> Tune {
    Tune { good, lazy, nice, chain }
}

/// How matches are chosen (zlib's `strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `Z_DEFAULT_STRATEGY`.
    Default,
    /// `Z_FILTERED`: matches of 5 and less are not worth it.
    Filtered,
    /// `Z_HUFFMAN_ONLY`: literals only.
    Huffman,
    /// `Z_RLE`: matches at distance 1 only.
    Runs,
    /// `Z_FIXED`: the fixed code only.
    Fixed,
}
