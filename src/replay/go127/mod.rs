//! *Go's encoder from 1.27 on* is klauspost's (`github.com/klauspost/compress/flate`), as are pgzip's segments: skopeo, podman, buildah.
//!
//! Raw deflate; flushes in the middle only as pgzip makes them. Which version: [`Edition`].

mod deep;
mod double;
mod edition;
mod find;
mod flat;
mod history;
mod pair;
pub mod pgzip;
mod reuse;
mod segment;
mod single;
mod stream;
mod triple;

use super::go::StartError;
use super::{Checkpoint, Encoder};
pub use edition::Edition;

/// Most plain bytes that any level needs before a checkpoint.
pub const BEFORE: usize = stream::BEFORE;

/// The encoder of `level`: -2 (HuffmanOnly), -1 (the edition's default) or 0 to 9; from the front, or from a checkpoint with the plain bytes
/// before it.
///
/// # Errors
/// An unknown level, a level without checkpoints (7 to 9, and 4 where it measures wrong bytes), a checkpoint of another encoder, or too few
/// bytes before it.
pub fn encoder(
    edition: Edition,
    level: i8,
    from: Option<(&Checkpoint, &[u8])>,
) -> Result<Box<dyn Encoder>, StartError> {
    match from {
        None => Ok(edition.segment(level, 0).ok_or(StartError::Level(level))?),
        Some((checkpoint, before)) => edition.restart(level, checkpoint, before),
    }
}
