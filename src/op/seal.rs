//! To *seal* is to sign what a bundle is: its release, and how this file carries it.
//!
//! The text is made of the roots; the seal of a bundle is compared with its release root before anything is unpacked.

use crate::bundle::Ids;
use crate::digest::Digest;
use crate::format::FormatError;
use crate::format::root::ReleaseRoot;
use crate::trust::statement::{Claims, Content, Identity, Place, Seal, Statement, Terms};

/// What a seal says a release is.
pub fn identity(root: &ReleaseRoot, release: Digest) -> Identity {
    let place = Place { epoch: root.epoch, sequence: root.sequence };
    Identity { release, stream: root.stream.clone(), place }
}

/// What a seal says a release holds.
pub fn claims(root: &ReleaseRoot) -> Claims {
    let content =
        |t: &crate::format::root::Total| Content { kind: t.kind.name().into(), artifacts: t.artifacts, bytes: t.bytes };
    Claims {
        version: root.version.clone(),
        content: root.totals.iter().map(content).collect(),
        bytes: root.bytes,
        removed: None,
    }
}

/// The statement of a seal.
pub fn statement(root: &ReleaseRoot, ids: &Ids, terms: Terms) -> Statement {
    let identity = identity(root, ids.release);
    Statement::Seal(Seal { identity, carriage: ids.carriage, claims: claims(root), terms })
}

/// Whether a verified seal says the same of the release as its root does.
pub fn agrees(seal: &Seal, root: &ReleaseRoot, release: Digest) -> Result<(), FormatError> {
    let claimed = Claims { removed: None, ..seal.claims.clone() };
    if seal.identity != identity(root, release) || claimed != claims(root) {
        return Err(FormatError::rule("the release root", "it says other things than its seal"));
    }
    Ok(())
}
