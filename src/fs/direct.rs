//! A *direct* file is written past the kernel's cache: from memory to the disk, without a copy in between that nobody reads.
//!
//! Only whole pages go that way, and only where the file system takes them; everything else, and reading, is the ordinary
//! file's, so that a byte goes one way or the other. Not part of the specification.

use crate::buffer::{PAGE, Pool};
use rustix::fd::OwnedFd;
use rustix::fs as sys;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Fewer bytes than that are copied faster than a disk answers.
const FROM: usize = 128 << 10;
/// Bytes that are copied at once where they do not begin at a page in memory.
const PIECE: usize = 1 << 20;

/// File systems that are known to write so without tricks of their own: they neither compress nor check what lies in memory
/// while it is written, and are no network.
pub(super) const KNOWN: [u64; 2] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
];

pub(super) struct Direct {
    file: File,
    pool: Pool,
    refused: AtomicBool,
}

impl Direct {
    /// The file `name` in `folder`, which is `file`, once more; `None` where the file system does not write so.
    pub fn of(file: &File, folder: &OwnedFd, name: &OsStr, pool: &Pool) -> io::Result<Option<Direct>> {
        let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(again) = sys::openat(folder, name, flags, Mode::empty()) else { return Ok(None) };
        let (one, other) = (sys::fstat(file)?, sys::fstat(&again)?);
        let same = (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
        Ok(same.then(|| Direct { file: File::from(again), pool: pool.clone(), refused: AtomicBool::new(false) }))
    }

    /// Writes the whole pages among `bytes`, and says which bytes those were.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<Range<usize>> {
        let pages = pages(offset, bytes.len());
        let mut done = pages.start;
        while done < pages.end && !self.refused.load(Ordering::Relaxed) {
            let rest = bytes.get(done..pages.end).unwrap_or_default();
            match self.write_some(rest, offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) if n % PAGE == 0 => done += n,
                // It stopped inside a page: those bytes are written again, with the rest.
                Ok(_) => self.refused.store(true, Ordering::Relaxed),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if refuses(&e) => self.refused.store(true, Ordering::Relaxed),
                Err(e) => return Err(e),
            }
        }
        Ok(pages.start..done)
    }

    fn write_some(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if bytes.as_ptr().align_offset(PAGE) == 0 {
            return self.file.write_at(bytes, offset);
        }
        let bytes = bytes.get(..PIECE).unwrap_or(bytes);
        let mut aligned = self.pool.take(bytes.len().max(FROM));
        aligned.get_mut(..bytes.len()).unwrap_or_default().copy_from_slice(bytes);
        self.file.write_at(aligned.get(..bytes.len()).unwrap_or_default(), offset)
    }
}

/// The whole pages among `len` bytes at `offset` of a file, as a range of the bytes; none where there are few.
fn pages(offset: u64, len: usize) -> Range<usize> {
    let page = PAGE as u64;
    let start = usize::try_from(offset.next_multiple_of(page) - offset).unwrap_or(usize::MAX);
    let whole = len.saturating_sub(start) / PAGE * PAGE;
    if whole < FROM { 0..0 } else { start..start + whole }
}

/// Whether the file system or the disk does not write so, or not from such addresses.
fn refuses(e: &io::Error) -> bool {
    [Errno::INVAL, Errno::OPNOTSUPP].iter().any(|errno| e.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Buffer;
    use crate::fs::disk::{Disk, Place};
    use crate::fs::real::RealDisk;
    use std::path::Path;

    const MIB: usize = 1 << 20;

    fn noise(len: usize) -> Vec<u8> {
        let mut x = 1u64;
        let mut next = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x.to_le_bytes()
        };
        (0..len.div_ceil(8)).flat_map(|_| next()).take(len).collect()
    }

    /// The bytes at an address that is no page's, or in a buffer.
    fn placed(bytes: &[u8], aligned: bool) -> Buffer {
        let mut buffer = if aligned { Pool::default().take(bytes.len()) } else { Buffer::from(vec![0; bytes.len()]) };
        buffer.copy_from_slice(bytes);
        buffer
    }

    #[test]
    fn files_of_awkward_lengths_come_out_on_a_disk_and_in_memory() {
        let lens = [MIB - 1, MIB, MIB + 1, 2 * MIB - PAGE - 1, 2 * MIB - PAGE, 2 * MIB - PAGE + 1, 16 * MIB + 1];
        let all = noise(16 * MIB + 1);
        let roots = [tempfile::tempdir().expect("tempdir"), tempfile::tempdir_in("/dev/shm").expect("tmpfs")];
        for (root, len) in roots.iter().flat_map(|root| lens.map(|len| (root, len))) {
            let disk = RealDisk::open(root.path()).expect("opens");
            // Whole; in blocks; in pieces of no fixed place; partly in pieces too small for the disk.
            for (n, piece) in [len, MIB, MIB + PAGE + 1, FROM + 1].into_iter().enumerate() {
                for aligned in [true, false] {
                    let place = Place::root().child(format!("{len}-{n}-{aligned}"));
                    let file = disk.create_large(&place, 0o444).expect("creates");
                    file.reserve(len as u64).expect("room");
                    let mut at = 0;
                    for bytes in all[..len].chunks(piece) {
                        file.write_at(&placed(bytes, aligned), at).expect("writes");
                        let mut back = vec![0; bytes.len().min(5000)];
                        assert_eq!(file.read_at(&mut back, at).expect("reads"), back.len());
                        assert!(bytes.starts_with(&back), "{place}");
                        at += bytes.len() as u64;
                    }
                    disk.sync(std::slice::from_ref(&place)).expect("syncs");
                    let path = root.path().join(place.path());
                    assert!(std::fs::read(&path).expect("reads") == all[..len], "{place}");
                    std::fs::remove_file(path).expect("removes");
                }
            }
        }
    }

    fn direct(file: File) -> Direct {
        Direct { file, pool: Pool::default(), refused: AtomicBool::new(false) }
    }

    fn open(path: &Path) -> File {
        File::options().write(true).create(!path.exists()).truncate(false).open(path).expect("opens")
    }

    #[test]
    fn whole_pages_go_past_the_cache_where_the_file_system_is_known() {
        let dir = tempfile::tempdir().expect("tempdir");
        let folder = OwnedFd::from(File::open(dir.path()).expect("opens"));
        let file = open(&dir.path().join("a"));
        let again = Direct::of(&file, &folder, OsStr::new("a"), &Pool::default()).expect("stats");
        if KNOWN.contains(&sys::fstatfs(&folder).expect("statfs").f_type.cast_unsigned()) {
            let bytes = noise(MIB);
            let again = again.expect("it writes so");
            assert_eq!(again.write_at(&bytes, 1).expect("writes"), PAGE - 1..MIB - 1);
            assert!(!again.refused.load(Ordering::Relaxed));
        }
        open(&dir.path().join("b"));
        let other = Direct::of(&file, &folder, OsStr::new("b"), &Pool::default()).expect("stats");
        assert!(other.is_none(), "another file of that name");
    }

    #[test]
    fn only_whole_pages_and_enough_of_them() {
        let cases = [
            (0, FROM, 0..FROM),
            (0, FROM - 1, 0..0),
            (0, FROM + PAGE - 1, 0..FROM),
            (1, FROM, 0..0),
            (1, FROM + PAGE - 1, PAGE - 1..FROM + PAGE - 1),
            (u64::from(u32::MAX), FROM + 1, 1..FROM + 1),
            (3, 0, 0..0),
        ];
        for (offset, len, want) in cases {
            assert_eq!(pages(offset, len), want, "{len} bytes at {offset}");
        }
    }

    #[test]
    fn a_full_disk_is_told_and_a_refusal_is_not() {
        let bytes = noise(MIB);
        let full = direct(open(Path::new("/dev/full"))).write_at(&bytes, 0).expect_err("full");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        let dir = tempfile::tempdir().expect("tempdir");
        let refused = direct(open(&dir.path().join("a")));
        refused.refused.store(true, Ordering::Relaxed);
        assert_eq!(refused.write_at(&bytes, 0).expect("leaves it"), 0..0);
        let cases = [(Errno::INVAL, true), (Errno::OPNOTSUPP, true), (Errno::NOSPC, false), (Errno::IO, false)];
        for (errno, want) in cases {
            assert_eq!(refuses(&errno.into()), want, "{errno}");
        }
    }
}
