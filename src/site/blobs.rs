//! The site's *blobs* are immutable files named by their digest, each with at most one inode a form.
//!
//! Looking and reading only; [`super::stage`] is the one way in. Specified in `spec/site.md`, section "Blobs".

use crate::digest::{Blob, Digest, hash_reader};
use crate::fs::disk::{Disk, DiskError, DiskFile, Node, Place, read_exact_at};
use crate::kind::{BlobReader, KindError, ReadSeek};
use crate::site::Site;
use crate::site::error::SiteError;
use crate::site::layout::{self, Form};
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that readers of blobs fetch after a jump, and at most as they go on from there.
const READ_FIRST: usize = 4 << 10;
const READ_AHEAD: usize = 64 << 10;

/// The forms in which the site has the digest, with their lengths, the plain one first. What is not a regular file there
/// is no blob: importing it again puts the blob in its place.
pub(crate) fn forms(disk: &dyn Disk, digest: &Digest) -> Result<Vec<(Form, u64)>, SiteError> {
    let mut out = Vec::new();
    for form in Form::ALL {
        match disk.stat(&layout::blob(digest, form))? {
            Some(s) if s.node == Node::File => out.push((form, s.len)),
            _ => {}
        }
    }
    Ok(out)
}

/// A form in which the site has the blob, of the right length.
pub(crate) fn form_of(disk: &dyn Disk, blob: &Blob) -> Result<Option<Form>, SiteError> {
    Ok(forms(disk, &blob.digest)?.into_iter().find(|(_, len)| *len == blob.len).map(|(form, _)| form))
}

pub(crate) fn place_of(disk: &dyn Disk, blob: &Blob) -> Result<Place, SiteError> {
    match form_of(disk, blob)? {
        Some(form) => Ok(layout::blob(&blob.digest, form)),
        None => Err(SiteError::MissingBlob { digest: blob.digest, path: None }),
    }
}

pub(crate) fn read_at(disk: &dyn Disk, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), SiteError> {
    read_file_at(disk, &place_of(disk, blob)?, offset, buf)
}

/// Fills `buf` from `offset` of the file at `place`.
pub(crate) fn read_file_at(disk: &dyn Disk, place: &Place, offset: u64, buf: &mut [u8]) -> Result<(), SiteError> {
    let file = disk.open(place)?;
    read_exact_at(&*file, buf, offset)
        .map_err(|source| DiskError { verb: "read", path: disk.root().join(place.path()), source }.into())
}

/// Hashes the file at `place`, from the medium and not from memory.
pub(crate) fn hash(disk: &dyn Disk, place: &Place) -> Result<Blob, SiteError> {
    let file = disk.open(place)?;
    file.forget_cached();
    hash_reader(&mut Cursor { file, at: 0 })
        .map_err(|source| DiskError { verb: "read", path: disk.root().join(place.path()), source }.into())
}

/// A file of a disk with a position.
pub(crate) struct Cursor {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.length()?, by),
        };
        self.at = base.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A cursor with the piece of the file that it is in: readers of archives make many short jumps, which keep it.
struct Window {
    cursor: Cursor,
    piece: Vec<u8>,
    /// Where the piece begins.
    from: u64,
}

impl Window {
    /// What of the piece lies at the cursor and after it.
    fn here(&self) -> &[u8] {
        let skip = self.cursor.at.checked_sub(self.from).and_then(|n| usize::try_from(n).ok());
        skip.and_then(|n| self.piece.get(n..)).unwrap_or_default()
    }
}

impl Read for Window {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.here().is_empty() {
            let goes_on = self.cursor.at == self.from + self.piece.len() as u64;
            let len = if goes_on { (self.piece.len() * 2).clamp(READ_FIRST, READ_AHEAD) } else { READ_FIRST };
            self.piece.resize(len, 0);
            self.from = self.cursor.at;
            let read = self.cursor.file.read_at(&mut self.piece, self.from);
            self.piece.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        let n = self.here().read(buf)?;
        self.cursor.at += n as u64;
        Ok(n)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.cursor.seek(to)
    }
}

/// Opens a file of the disk as a blob's bytes.
pub(crate) fn open_at(disk: &dyn Disk, place: &Place) -> Result<Box<dyn ReadSeek + 'static>, KindError> {
    let file = disk.open(place).map_err(|e| KindError::Io(io::Error::new(e.kind(), e)))?;
    Ok(Box::new(Window { cursor: Cursor { file, at: 0 }, piece: Vec::new(), from: 0 }))
}

impl BlobReader for Site {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        match form_of(self.disk(), blob) {
            Ok(Some(form)) => open_at(self.disk(), &layout::blob(&blob.digest, form)),
            Ok(None) => Err(KindError::MissingBlob(blob.digest)),
            Err(e) => Err(KindError::Io(io::Error::other(e))),
        }
    }

    fn find(&self, digest: &Digest) -> Option<Blob> {
        let (_, len) = forms(self.disk(), digest).ok()?.into_iter().next()?;
        Some(Blob { digest: *digest, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::real::RealDisk;

    #[test]
    fn a_window_shows_the_file_whatever_the_jumps() {
        let dir = tempfile::tempdir().expect("tempdir");
        let all: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        std::fs::write(dir.path().join("a"), &all).expect("writes");
        let disk = RealDisk::open(dir.path()).expect("opens");
        let mut file = open_at(&disk, &Place::root().child("a")).expect("opens");
        let mut whole = Vec::new();
        file.read_to_end(&mut whole).expect("reads");
        assert!(whole == all);
        let jumps =
            [(299_990, 30), (0, 5), (3, 5000), (4095, 2), (4096, 1), (100_000, 70_000), (99_999, 3), (300_001, 1)];
        for (at, len) in jumps {
            assert_eq!(file.seek(SeekFrom::Start(at)).expect("seeks"), at);
            let mut got = Vec::new();
            (&mut file).take(len).read_to_end(&mut got).expect("reads");
            let from = all.len().min(at as usize);
            assert_eq!(got, all[from..all.len().min(from + len as usize)], "{len} bytes at {at}");
        }
        assert_eq!(file.seek(SeekFrom::End(-1)).expect("seeks"), 299_999);
        assert_eq!(file.seek(SeekFrom::Current(1)).expect("seeks"), 300_000);
        assert_eq!(file.read(&mut [0]).expect("ends"), 0);
    }
}
