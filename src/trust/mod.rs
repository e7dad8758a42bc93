//! *Trust* is who vouched for a release, by what text, under which policy.
//!
//! It opens no files and never reads the clock: bytes and the time come in, verdicts and bytes go out. Specified in
//! `spec/trust.md`.

mod armor;
#[cfg(test)]
mod cases;
pub mod chain;
pub mod explain;
pub mod key;
pub mod order;
pub mod policy;
pub mod private;
#[cfg(test)]
mod published;
pub mod report;
#[cfg(test)]
mod rotation;
mod rules;
pub mod sshsig;
pub mod statement;
pub mod text;
#[cfg(test)]
mod vectors;
pub mod verify;
mod wire;

pub use chain::{ChainError, PolicyChain};
pub use key::{Fingerprint, KeyError, KeyKind, PublicKey};
pub use order::{Order, OrderState};
pub use policy::{Policy, PolicyError};
pub use private::PrivateKey;
pub use report::Refusal;
pub use statement::{Signed, Statement, StatementKind};
pub use verify::{Subject, Verdict, verify};

use crate::class::{Class, Classified};

/// What this floor can refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A signature.
    #[error(transparent)]
    Signature(#[from] sshsig::SigError),
    /// A statement's text.
    #[error("the statement is not in form")]
    Text(#[from] text::TextError),
    /// A policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A policy's signatures.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The seal and the release root say different things.
    #[error("the seal's {0} is not what the release itself says; ask the sender for another bundle")]
    Claims(&'static str),
    /// A release.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
}

impl Classified for TrustError {
    fn class(&self) -> Class {
        match self {
            TrustError::Key(e) => e.class(),
            TrustError::Signature(_) | TrustError::Claims(_) => Class::Distrusted,
            TrustError::Text(_) => Class::Damaged,
            TrustError::Policy(e) => e.class(),
            TrustError::Chain(e) => e.class(),
            TrustError::Refused(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            TrustError::Key(e) => e.hint(),
            TrustError::Policy(e) => e.hint(),
            TrustError::Chain(e) => e.hint(),
            TrustError::Refused(e) => e.hint(),
            TrustError::Signature(_) | TrustError::Text(_) | TrustError::Claims(_) => None,
        }
    }
}
