//! An *audit* answers afterwards, from a site's records alone: what came, who vouched for it with what text, when it was
//! live, and whether the records still bear each other out.
//!
//! It decides nothing and changes nothing; it needs no blobs. Specified in `spec/audit.md`.

mod alarms;
mod check;
mod lives;
mod why;

pub use alarms::{Alarm, alarms};
pub use check::{Checked, check};
pub use lives::{Admitted, Life, Span, lives};
pub use why::{Answer, Item, Told, why};

use crate::bundle::{BundleError, Sealed};
use crate::class::{Class, Classified};
use crate::digest::Digest;
use crate::format::area::Signed;
use crate::site::error::SiteError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The records cannot be read.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// An archived index is damaged.
    #[error("the archived index of release {release} cannot be read")]
    Archive {
        /// The release.
        release: Digest,
        /// Why.
        #[source]
        source: BundleError,
    },
}

impl Classified for AuditError {
    fn class(&self) -> Class {
        match self {
            AuditError::Site(e) => e.class(),
            AuditError::Archive { .. } => Class::Damaged,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            AuditError::Site(e) => e.hint(),
            AuditError::Archive { .. } => Some("restore ledger/archive from a backup or from the site itself".into()),
        }
    }
}

/// The statements inside the archived files of a release.
pub(crate) fn statements(files: &[Vec<u8>], release: &Digest) -> Result<Vec<Signed>, AuditError> {
    let mut out = Vec::new();
    for file in files {
        let sealed = Sealed::open(&file[..]).map_err(|source| AuditError::Archive { release: *release, source })?;
        out.extend(sealed.statements().iter().cloned());
    }
    Ok(out)
}
