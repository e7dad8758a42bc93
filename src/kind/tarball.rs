//! A *tarball* is a compressed tar (POSIX.1-2001 pax, GNU or ustar) that is read once, from front to back.
//!
//! It unpacks nothing to a disk: a visitor sees each member's name and may read it. Memory is bounded whatever the archive
//! says of itself, and forms of which tar readers disagree are refused. Specified in `spec/facts.md`,
//! section "Tarballs".

use super::KindError;
use crate::limits;
use std::io::{self, Read};
use tar::EntryType;

/// Calls `visit` with the name and the content of every regular file; names are without a leading `./`.
pub fn visit(
    plain: &mut dyn Read,
    what: &'static str,
    mut visit: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), KindError>,
) -> Result<(), KindError> {
    let bounded = Bounded { inner: plain, left: limits::ARCHIVE_SCAN };
    let mut archive = tar::Archive::new(bounded);
    let mut name: Option<String> = None;
    // Raw entries: the crate's own handling of long names and pax headers reads them whole, however long.
    for entry in archive.entries().map_err(|e| broken(what, e))?.raw(true) {
        let mut entry = entry.map_err(|e| broken(what, e))?;
        let size = entry.header().entry_size().map_err(|e| broken(what, e))?;
        match entry.header().entry_type() {
            EntryType::XGlobalHeader | EntryType::XHeader => {
                let global = entry.header().entry_type() == EntryType::XGlobalHeader;
                let records = small(&mut entry, size, what)?;
                if let Some(path) = pax_path(&records, what)? {
                    if global {
                        return Err(KindError::malformed(what, "a global pax header names a file"));
                    }
                    name = Some(path);
                }
            }
            EntryType::GNULongName => {
                let long = small(&mut entry, size, what)?;
                let long = long.split(|b| *b == 0).next().unwrap_or_default();
                name = Some(text(long, what)?);
            }
            EntryType::GNULongLink => {}
            EntryType::GNUSparse => return Err(KindError::Unsupported(format!("a sparse member in {what}"))),
            EntryType::Regular | EntryType::Continuous => {
                let own = text(&entry.header().path_bytes(), what)?;
                let name = name.take().unwrap_or(own);
                visit(name.trim_start_matches("./"), size, &mut entry)?;
            }
            _ => name = None,
        }
    }
    // A tar ends before its file does; what follows still has to unpack, or the file was cut off on its way here.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|e| broken(what, e))?;
    Ok(())
}

/// Reads a member of at most `limit` bytes.
pub fn read(reader: &mut dyn Read, size: u64, what: &'static str, limit: u64) -> Result<Vec<u8>, KindError> {
    if size > limit {
        return Err(KindError::TooLarge { what, limit, have: size });
    }
    let mut out = Vec::new();
    reader.take(limit).read_to_end(&mut out).map_err(|e| broken(what, e))?;
    match u64::try_from(out.len()) == Ok(size) {
        true => Ok(out),
        false => Err(KindError::malformed(what, "it is cut off")),
    }
}

fn small(entry: &mut dyn Read, size: u64, what: &'static str) -> Result<Vec<u8>, KindError> {
    read(entry, size, what, limits::TAR_EXTENSION)
}

fn text(bytes: &[u8], what: &'static str) -> Result<String, KindError> {
    let name = std::str::from_utf8(bytes)
        .map_err(|_| KindError::malformed(what, format!("the member name {} is not UTF-8", bytes.escape_ascii())))?;
    Ok(name.to_owned())
}

/// The `path` record of a pax header. A `size` record is refused: it moves where the next member begins, and readers that
/// honour it and readers that do not then see different archives. Nothing this small needs one (it is for 8 GiB and more).
fn pax_path(records: &[u8], what: &'static str) -> Result<Option<String>, KindError> {
    let bad = || KindError::malformed(what, "a pax header is malformed");
    let (mut rest, mut path) = (records, None);
    while !rest.is_empty() {
        let digits = rest.split(|b| *b == b' ').next().unwrap_or_default();
        let len: usize = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).ok_or_else(bad)?;
        let (record, after) = rest.split_at_checked(len).filter(|_| len > 0).ok_or_else(bad)?;
        let body = record.get(digits.len().saturating_add(1)..).and_then(|b| b.strip_suffix(b"\n")).ok_or_else(bad)?;
        let at = body.iter().position(|b| *b == b'=').ok_or_else(bad)?;
        let (key, value) = body.split_at_checked(at).ok_or_else(bad)?;
        let value = value.get(1..).ok_or_else(bad)?;
        match key {
            b"path" => path = Some(text(value, what)?),
            b"size" => return Err(KindError::malformed(what, "a pax header changes the size of a member")),
            _ => {}
        }
        rest = after;
    }
    Ok(path)
}

/// Unpacking and parsing go through one reader, so an error of it is one of the archive, except where the disk failed.
fn broken(what: &'static str, error: io::Error) -> KindError {
    if error.get_ref().is_some_and(|e| e.is::<ScanLimit>()) {
        let limit = limits::ARCHIVE_SCAN;
        return KindError::TooLarge { what, limit, have: limit.saturating_add(1) };
    }
    match error.raw_os_error() {
        Some(_) => KindError::Io(error),
        None => KindError::malformed(what, error.to_string()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the archive is larger than is scanned")]
struct ScanLimit;

/// Fails once more than `left` bytes were read, where `Take` would feign an end.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.left =
            self.left.checked_sub(u64::try_from(n).unwrap_or(u64::MAX)).ok_or_else(|| io::Error::other(ScanLimit))?;
        Ok(n)
    }
}

#[cfg(test)]
pub(crate) mod build;
#[cfg(test)]
mod tests;
