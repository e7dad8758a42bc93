//! A *source* is bytes that can be read at any place: a slice, or what somebody else opened.

use std::io::{Error, ErrorKind, Result};

/// Bytes that several threads may read at any place.
pub trait Source: Sync {
    /// How many bytes there are.
    ///
    /// # Errors
    /// What the file system says.
    fn size(&self) -> Result<u64>;
    /// Fills `buffer` with the bytes from `at` on.
    ///
    /// # Errors
    /// If there are not as many, or the file system says so.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<()>;
}

impl Source for [u8] {
    fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..));
        let bytes = from.and_then(|from| from.get(..buffer.len())).ok_or(Error::from(ErrorKind::UnexpectedEof))?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}
