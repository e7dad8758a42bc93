//! A bundle's file as a *medium*: read by ranges with `pread`, never mapped, because a stick can be pulled out.

use crate::bundle::Medium;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// An open regular file.
pub struct FileMedium(File);

impl FileMedium {
    /// Opens a regular file; pipes, devices and folders are refused without waiting on them.
    pub fn open(path: &Path) -> io::Result<FileMedium> {
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(FileMedium(file))
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
