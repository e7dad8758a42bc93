//! A *spooled* blob lies in a scratch file, where it can be read at any place; its digest was right when it came there.
//!
//! Nothing is taken apart here. Not part of the specification.

use crate::bundle::{BundleError, temporary};
use crate::digest::{Blob, Hasher};
use crate::kind::ReadAt;
use std::io::{self, Read};

const PIECE: usize = 256 << 10;

/// Copies a blob, and sees that it is the one announced.
pub fn spool(blob: &Blob, what: &str, bytes: &mut dyn Read) -> Result<Box<dyn ReadAt>, BundleError> {
    let input = |source| BundleError::Input { what: what.to_owned(), source };
    let file = temporary().map_err(BundleError::Scratch)?;
    let (mut buf, mut at, mut hasher) = (vec![0u8; PIECE], 0u64, Hasher::new());
    loop {
        let n = match bytes.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(input(e)),
        };
        let piece = buf.get(..n).unwrap_or_default();
        hasher.update(piece);
        file.write_at(piece, at).map_err(BundleError::Scratch)?;
        at += n as u64;
    }
    match hasher.finish() {
        now if now != *blob => Err(BundleError::Changed { what: what.to_owned(), was: *blob, now }),
        _ => Ok(file), // only read any more
    }
}
