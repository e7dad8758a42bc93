//! A *plain stream* is an archive's bytes after its compression as a whole has been undone.
//!
//! It knows nothing of tar. Compression is told by the first bytes, never by the name.

use crate::fs::regular;
use crate::kind::KindError;
use crate::limits;
use crate::monitor::Monitor;
use crate::source::{Compression, SourceError, read};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Opens an archive's plain stream, from its beginning.
pub fn open<'a>(path: &Path, monitor: &'a dyn Monitor) -> io::Result<(Compression, Box<dyn Read + 'a>)> {
    let file = Watched { inner: regular::open(path)?, monitor };
    let mut file = BufReader::with_capacity(1 << 18, file);
    let compression = match *file.fill_buf()? {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', ..] => return Err(unknown("xz")),
        [b'B', b'Z', b'h', ..] => return Err(unknown("bzip2")),
        _ => Compression::None,
    };
    let plain = read::expanded(file, compression)?;
    Ok((compression, Box::new(Bounded { inner: plain, left: limits::ARCHIVE_PLAIN })))
}

fn unknown(what: &str) -> io::Error {
    unsupported(format!("an archive that is compressed with {what} (gzip, zstd and none are taken)"))
}

/// An error about something that is not taken, or that is above a limit.
pub fn unsupported(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what.into())
}

/// For `map_err`: what went wrong with an archive. Errors of the system stay what they are; all others, of decoders too,
/// are about its content.
pub fn failed(path: &Path) -> impl FnOnce(io::Error) -> SourceError + '_ {
    move |e| {
        let source = match e.kind() {
            _ if e.raw_os_error().is_some() => return SourceError::Io { path: path.into(), source: e },
            io::ErrorKind::Unsupported => KindError::Unsupported(e.to_string()),
            _ => KindError::malformed("the image archive", e.to_string()),
        };
        SourceError::Kind { path: path.into(), source }
    }
}

/// An error about content.
pub fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// Tells the monitor of what is read.
struct Watched<'a> {
    inner: File,
    monitor: &'a dyn Monitor,
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.monitor.advance(n as u64);
        Ok(n)
    }
}

/// Fails after so many bytes.
pub struct Bounded<R> {
    /// What is read.
    pub inner: R,
    /// How much may still come.
    pub left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.left = (self.left.checked_sub(n as u64)).ok_or_else(|| {
            unsupported(format!("an archive that expands to more than {} bytes", limits::ARCHIVE_PLAIN))
        })?;
        Ok(n)
    }
}
