//! A bundle's file as a *medium*: read by ranges with `pread`, never mapped, because a stick can be pulled out.

use super::regular;
use crate::bundle::Medium;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// An open regular file.
pub struct FileMedium(File);

impl FileMedium {
    /// Opens a regular file; pipes, devices and folders are refused without waiting on them.
    pub fn open(path: &Path) -> io::Result<FileMedium> {
        regular::open(path).map(FileMedium)
    }
}

impl Medium for FileMedium {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|m| m.len())
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}
