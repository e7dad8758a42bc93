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

use crate::bundle::Sealed;
use crate::digest::Digest;
use crate::format::area::Signed;
use crate::op::records::RecordsError;

/// The statements inside the archived files of a release.
pub(crate) fn statements(files: &[Vec<u8>], release: &Digest) -> Result<Vec<Signed>, RecordsError> {
    let mut out = Vec::new();
    for file in files {
        let sealed = Sealed::open(&file[..]).map_err(|source| RecordsError::Archive { release: *release, source })?;
        out.extend(sealed.statements().iter().cloned());
    }
    Ok(out)
}
