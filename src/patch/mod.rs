//! A *patch* makes new content out of ranges of old content and what it holds itself.
//!
//! It does not say which old content, nor check what comes out: base extents and digests are the bundle's. Specified in
//! `spec/patch.md`.
//!
//! ```text
//!  forward:  old + new --matching--> steps --learn--> moves --diff--> Streams --encode--> stored form
//!  back:     stored form --decode--> Streams, Moves --apply--> new
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::panic,
        clippy::expect_used,
        clippy::unwrap_used
    )
)]

mod anchor;
mod apply;
mod diff;
mod error;
mod executable;
mod fit;
mod learn;
mod matching;
mod moves;
mod number;
mod old;
pub mod similar;
mod stored;
#[cfg(test)]
mod tests;

pub use apply::apply;
pub use diff::{DEFAULT_LEVEL, Differ, SMALL_LEVEL};
pub use error::PatchError;
pub use old::{Extent, Joined, Old};
pub use stored::{NAMES, PLAIN_LIMIT, STREAMS, Streams};
