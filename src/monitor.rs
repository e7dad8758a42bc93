//! A *monitor* hears what long work does: phases, bytes, notes.
//!
//! It decides nothing and prints nothing itself; the command line has an implementation that draws bars, tests have
//! [`Silent`]. Not part of the specification.

/// Hears of progress. All methods may be called from several threads.
pub trait Monitor: Sync {
    /// A phase begins; `total` bytes of work are expected where that is known.
    fn phase(&self, _name: &str, _total: Option<u64>) {}
    /// `bytes` more of the current phase's work are done.
    fn advance(&self, _bytes: u64) {}
    /// Something that the user should know and that stops nothing.
    fn note(&self, _text: &str) {}
}

/// Hears nothing.
pub struct Silent;

impl Monitor for Silent {}
