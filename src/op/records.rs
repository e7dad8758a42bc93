//! A site's *records* are its ledger and the archived indexes of its releases; here is why they cannot be read.
//!
//! Reading them is for whoever asks: what is visible, what an audit tells, what an unpack goes by.

use crate::bundle::BundleError;
use crate::class::{Class, Classified};
use crate::digest::Digest;
use crate::site::error::SiteError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The site, or its ledger, cannot be read.
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
    /// An archived index is gone.
    #[error("the index of release {0} is not in the site's archive")]
    Gone(Digest),
}

impl Classified for RecordsError {
    fn class(&self) -> Class {
        match self {
            RecordsError::Site(e) => e.class(),
            _ => Class::Damaged,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            RecordsError::Site(e) => e.hint(),
            _ => Some(
                "restore ledger/archive of the site from a backup, or set up a new site over the same bundles".into(),
            ),
        }
    }
}
