//! *Go's encoder* is `compress/flate` of the Go toolchain up to 1.26 (identical from 1.19 on, at least): docker, BuildKit, ko, crane.
//!
//! Raw deflate without flushes in the middle. From Go 1.27 on it is another encoder: `go127`.

pub(super) mod block;
mod chain;
pub(super) mod code;
mod fast;
mod flat;
pub(super) mod header;
pub(super) mod links;
pub(super) mod search;
pub(super) mod symbol;
pub(super) mod window;

use super::{Checkpoint, Encoder};

/// Why an encoder cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No such level.
    #[error("level {0} is not one of -2 to 9")]
    Level(i8),
    /// The checkpoint's integers are not this encoder's.
    #[error("the {have} integers of the checkpoint at plain byte {plain} are not a state of this encoder")]
    State {
        /// The checkpoint's place.
        plain: u64,
        /// Integers it has.
        have: usize,
    },
    /// Too few plain bytes before the checkpoint were given.
    #[error("a checkpoint at plain byte {plain} needs the {need} bytes before it, not {have}")]
    Before {
        /// The checkpoint's place.
        plain: u64,
        /// Bytes given.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// Segments no larger than what is preset for the next.
    #[error("segments of {0} bytes are too small")]
    Segment(u32),
    /// This level cannot be started in the middle.
    #[error("level {0} has no checkpoints")]
    NoCheckpoints(i8),
}

/// Most plain bytes that any level needs before a checkpoint.
pub const BEFORE: usize = fast::WARM_MAX as usize * fast::BLOCK;

/// The encoder of `level`: -2 (HuffmanOnly), -1 (default, 6) or 0 to 9; from the front, or from a checkpoint with the plain bytes before it.
///
/// # Errors
/// An unknown level, a level without checkpoints, a checkpoint of another encoder, or fewer than [`BEFORE`] bytes (or all) before it.
pub fn encoder(level: i8, from: Option<(&Checkpoint, &[u8])>) -> Result<Box<dyn Encoder>, StartError> {
    let (plain, bits, before) = match from {
        None => (0, 0, &[][..]),
        Some((checkpoint, before)) => (checkpoint.plain, checkpoint.bits, check(level, checkpoint, before)?),
    };
    Ok(match level {
        -2 => Box::new(flat::Flat::new(true, plain, bits)),
        0 => Box::new(flat::Flat::new(false, plain, bits)),
        1 => Box::new(fast::Fast::after(plain, bits, before)),
        -1 => Box::new(chain::Chains::new(6, plain, bits, before)),
        2..=9 => Box::new(chain::Chains::new(level.unsigned_abs(), plain, bits, before)),
        _ => return Err(StartError::Level(level)),
    })
}

/// What of `before` the encoder takes.
fn check<'a>(level: i8, checkpoint: &Checkpoint, before: &'a [u8]) -> Result<&'a [u8], StartError> {
    let plain = checkpoint.plain;
    if matches!(level, 2 | 3) {
        return Err(StartError::NoCheckpoints(level));
    }
    let have = checkpoint.state.len();
    let need = match (level, checkpoint.state.as_slice()) {
        (1, [warm @ 1..=fast::WARM_MAX]) => *warm as usize * fast::BLOCK,
        (-1 | 4..=9, [0]) => usize::try_from(plain).unwrap_or(usize::MAX).min(chain::BEFORE),
        (-2 | 0, [0]) => 0,
        _ => return Err(StartError::State { plain, have }),
    };
    match before.len().checked_sub(need) {
        Some(more) => Ok(&before[more..]),
        None => Err(StartError::Before { plain, have: before.len(), need }),
    }
}
