//! The *format* is the bundle's bytes: frame, roots, sections, statement area.
//!
//! Bytes to values and back, nothing else: no file is opened, nothing is compressed, nothing is trusted here.
//! Specified in `spec/bundle.md`, which this floor follows section by section.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions))]

use crate::cbor::CborError;
use crate::class::{Class, Classified};

pub mod area;
pub mod frame;
pub mod root;
pub mod section;
pub mod table;

/// Why bytes are not a bundle of version 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Too few bytes.
    #[error("{what} is cut short: {have} bytes where {need} are needed")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Bytes needed.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// The magic bytes are others.
    #[error("{what} does not begin as a pouch bundle's does")]
    Magic {
        /// The structure.
        what: &'static str,
    },
    /// Another major version.
    #[error("the bundle has format version {0}; this program reads version 1")]
    Version(u16),
    /// A form of file that this program does not read.
    #[error("the file is of form {0}; this program reads full bundles (1) and index-only files (3)")]
    Form(u8),
    /// A rule of the specification is broken.
    #[error("{what}: {why}")]
    Rule {
        /// The structure.
        what: &'static str,
        /// The rule, in words.
        why: String,
    },
    /// CBOR that is not of the form asked for.
    #[error("{what} does not decode")]
    Cbor {
        /// The structure.
        what: &'static str,
        /// Why.
        #[source]
        source: CborError,
    },
    /// Bytes have another digest than the one that names them.
    #[error("{what} has another digest than the one recorded for it")]
    Digest {
        /// The structure.
        what: String,
    },
    /// A count or length above a limit of the format.
    #[error("{what}: {have} is above the limit of {limit}")]
    Limit {
        /// The structure.
        what: &'static str,
        /// What the bytes ask for.
        have: u64,
        /// The limit.
        limit: u64,
    },
    /// Features that this reader does not have.
    #[error("the bundle needs features that this program does not have: {}", .0.join(", "))]
    Features(Vec<String>),
    /// Features of the carriage that it lists and does not use as this reader knows them.
    #[error("the bundle requires {} and has nothing in it that this program knows to need that", .0.join(", "))]
    Unused(Vec<String>),
}

impl FormatError {
    /// A broken rule.
    pub fn rule(what: &'static str, why: impl Into<String>) -> FormatError {
        FormatError::Rule { what, why: why.into() }
    }
    /// Refuses what is above a limit.
    pub fn limit(what: &'static str, have: usize, limit: usize) -> Result<(), FormatError> {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        if have <= limit {
            return Ok(());
        }
        Err(FormatError::Limit { what, have: number(have), limit: number(limit) })
    }
    /// For `map_err`: `what` does not decode.
    pub fn cbor(what: &'static str) -> impl FnOnce(CborError) -> FormatError {
        move |source| FormatError::Cbor { what, source }
    }
}

impl Classified for FormatError {
    fn class(&self) -> Class {
        match self {
            FormatError::Version(_)
            | FormatError::Form(_)
            | FormatError::Features(_)
            | FormatError::Unused(_)
            | FormatError::Limit { .. } => Class::Unsupported,
            _ => Class::Damaged,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self.class() {
            Class::Unsupported => "use a newer pouch, or ask the sender for a bundle of this version".into(),
            _ => "copy the bundle again from its source and compare sizes".into(),
        })
    }
}
