//! The *real disk* carries out the verbs with Linux system calls, below a folder that it holds open.
//!
//! It decides nothing about names or order. Every place is reached through `openat2` with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`; where the kernel lacks it, component by component with `O_NOFOLLOW`. Not part of the
//! specification.

use super::direct::{self, Direct};
use super::disk::{Disk, DiskError, DiskFile, Guard, Node, Place, Space, Stat};
use crate::buffer::Pool;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs as sys;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

/// Below this, claiming room costs more than it can save.
const RESERVE_FROM: u64 = 1 << 20;

/// How the barrier is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barrier {
    /// One `syncfs`, whose errors the kernel reports.
    Whole,
    /// An `fsync` a file and folder.
    Each,
}

/// A folder on a Linux file system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    root: OwnedFd,
    openat2: bool,
    barrier: Barrier,
    /// Where it writes past the cache, memory for it.
    direct: Option<Pool>,
}

impl RealDisk {
    /// Holds the folder `path`; a symbolic link there is the user's own way of naming it.
    pub fn open(path: &Path) -> Result<RealDisk, DiskError> {
        let open = || -> io::Result<RealDisk> {
            // Not O_PATH: `syncfs` reports the errors since this very opening, and only of a real one.
            let root = sys::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            let probe = sys::openat2(&root, ".", FOLDER, Mode::empty(), BENEATH);
            let magic = sys::fstatfs(&root)?.f_type.cast_unsigned();
            let direct = direct::KNOWN.contains(&magic).then(Pool::default);
            Ok(RealDisk { path: path.to_owned(), openat2: probe.is_ok(), root, barrier: barrier_for(magic), direct })
        };
        open().map_err(|source| DiskError { verb: "open", path: path.to_owned(), source })
    }

    /// Makes the folder `path` (mode 0755) where it is not there, durably, and holds it.
    pub fn make(path: &Path) -> Result<RealDisk, DiskError> {
        let make = || -> io::Result<()> {
            match std::fs::create_dir(path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
                other => other?,
            }
            let new = File::open(path)?;
            sys::fchmod(&new, Mode::from_raw_mode(0o755))?;
            let above = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(above)?.sync_all()
        };
        make().map_err(|source| DiskError { verb: "make the folder", path: path.to_owned(), source })?;
        RealDisk::open(path)
    }

    /// The same disk as on a kernel without `openat2` with no trust in `syncfs`, and without direct writes, so that tests cover
    /// both ways.
    #[cfg(test)]
    pub fn old_fashioned(mut self) -> RealDisk {
        self.openat2 = false;
        self.barrier = Barrier::Each;
        self.direct = None;
        self
    }

    /// The folder that `place` lies in, and its name there.
    fn at<'p>(&self, place: &'p Place) -> io::Result<(OwnedFd, &'p OsStr)> {
        let path = place.path();
        let name = match path.components().next_back() {
            Some(Component::Normal(name)) => name,
            _ => return Err(Errno::INVAL.into()),
        };
        Ok((self.folder(path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// Opens a folder as a place to name things in, following no link.
    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        if path.as_os_str().is_empty() {
            return Ok(sys::openat(&self.root, ".", FOLDER, Mode::empty())?);
        }
        if path.components().any(|c| !matches!(c, Component::Normal(_))) {
            return Err(Errno::INVAL.into());
        }
        if self.openat2 {
            return Ok(sys::openat2(&self.root, path, FOLDER, Mode::empty(), BENEATH)?);
        }
        let mut at: Option<OwnedFd> = None;
        for part in path.components() {
            let next = match &at {
                None => sys::openat(&self.root, part.as_os_str(), FOLDER, Mode::empty())?,
                Some(fd) => sys::openat(fd, part.as_os_str(), FOLDER, Mode::empty())?,
            };
            at = Some(next);
        }
        at.ok_or_else(|| Errno::INVAL.into())
    }

    /// Opens the regular file at `place`.
    fn file(&self, place: &Place, flags: OFlags) -> io::Result<RealFile> {
        let (folder, name) = self.at(place)?;
        // O_NONBLOCK: a pipe that somebody put there must not stop us before we have seen that it is one.
        let fd = sys::openat(
            &folder,
            name,
            flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY,
            Mode::empty(),
        )?;
        if !sys::FileType::from_raw_mode(sys::fstat(&fd)?.st_mode).is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
        }
        Ok(RealFile { file: File::from(fd), direct: None })
    }

    fn new_file(&self, place: &Place, mode: u32, direct: Option<&Pool>) -> io::Result<Box<dyn DiskFile>> {
        let (folder, name) = self.at(place)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(sys::openat(&folder, name, flags, Mode::from_raw_mode(0o600))?);
        // Before the mode, which may forbid to open it for writing.
        let direct = match direct {
            Some(pool) => Direct::of(&file, &folder, name, pool)?,
            None => None,
        };
        sys::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(Box::new(RealFile { file, direct }))
    }

    /// Runs one verb and says in its error what was tried on what.
    fn run<T>(
        &self,
        verb: &'static str,
        place: &Place,
        action: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, DiskError> {
        action().map_err(|source| DiskError { verb, path: self.path.join(place.path()), source })
    }

    fn sync_one(&self, place: &Place) -> io::Result<()> {
        let path = place.path();
        if path.as_os_str().is_empty() {
            return Ok(sys::fsync(&self.root)?);
        }
        let (folder, name) = self.at(place)?;
        let fd = sys::openat(
            &folder,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(sys::fsync(&fd)?)
    }
}

/// A folder opened as a place to name things in.
const FOLDER: OFlags = OFlags::from_bits_retain(
    OFlags::PATH.bits() | OFlags::DIRECTORY.bits() | OFlags::CLOEXEC.bits() | OFlags::NOFOLLOW.bits(),
);
/// A folder opened for reading.
const LISTED: OFlags =
    OFlags::from_bits_retain(OFlags::RDONLY.bits() | OFlags::DIRECTORY.bits() | OFlags::CLOEXEC.bits());
/// Inside the root, through no link of any sort.
const BENEATH: ResolveFlags = ResolveFlags::from_bits_retain(
    ResolveFlags::BENEATH.bits() | ResolveFlags::NO_SYMLINKS.bits() | ResolveFlags::NO_MAGICLINKS.bits(),
);

/// `syncfs` serves where the kernel reports write errors by it (Linux 5.8) and the file system writes through it: FUSE
/// and network file systems, among others, do not.
fn barrier_for(magic: u64) -> Barrier {
    const TRUSTED: [u64; 5] = [
        0xef53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683e, // btrfs
        0xf2f5_2010, // f2fs
        0x0102_1994, // tmpfs
    ];
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (5, 8) && TRUSTED.contains(&magic) { Barrier::Whole } else { Barrier::Each }
}

fn times(time: i64) -> Timestamps {
    let at = Timespec { tv_sec: time, tv_nsec: 0 };
    Timestamps { last_access: at, last_modification: at }
}

fn node(raw_mode: u32) -> Node {
    match sys::FileType::from_raw_mode(raw_mode) {
        sys::FileType::RegularFile => Node::File,
        sys::FileType::Directory => Node::Folder,
        sys::FileType::Symlink => Node::Link,
        _ => Node::Other,
    }
}

impl Disk for RealDisk {
    fn root(&self) -> &Path {
        &self.path
    }

    fn open(&self, place: &Place) -> Result<Box<dyn DiskFile>, DiskError> {
        self.run("open", place, || Ok(Box::new(self.file(place, OFlags::RDONLY)?) as Box<dyn DiskFile>))
    }

    fn stat(&self, place: &Place) -> Result<Option<Stat>, DiskError> {
        let stat = || -> io::Result<Stat> {
            let s = if place.path().as_os_str().is_empty() {
                sys::fstat(&self.root)?
            } else {
                let (folder, name) = self.at(place)?;
                sys::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?
            };
            Ok(Stat {
                node: node(s.st_mode),
                len: u64::try_from(s.st_size).unwrap_or(0),
                mode: s.st_mode & 0o7777,
                mtime: s.st_mtime,
                inode: (s.st_dev, s.st_ino),
            })
        };
        match stat() {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            other => self.run("look at", place, || other.map(Some)),
        }
    }

    fn list(&self, folder: &Place) -> Result<Vec<(OsString, Node)>, DiskError> {
        self.run("list", folder, || {
            // Opened again through the folder itself: one that was opened as a place only cannot be read.
            let at = sys::openat(self.folder(folder.path())?, ".", LISTED, Mode::empty())?;
            let mut out = Vec::new();
            for entry in sys::Dir::read_from(&at)? {
                let entry = entry?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." {
                    continue;
                }
                let kind = match entry.file_type() {
                    sys::FileType::RegularFile => Node::File,
                    sys::FileType::Directory => Node::Folder,
                    sys::FileType::Symlink => Node::Link,
                    sys::FileType::Unknown => node(sys::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode),
                    _ => Node::Other,
                };
                out.push((name.to_owned(), kind));
            }
            out.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(out)
        })
    }

    fn read_link(&self, place: &Place) -> Result<OsString, DiskError> {
        self.run("read the link", place, || {
            let (folder, name) = self.at(place)?;
            Ok(OsString::from_vec(sys::readlinkat(&folder, name, Vec::new())?.into_bytes()))
        })
    }

    fn space(&self) -> Result<Space, DiskError> {
        self.run("look at the space of", &Place::root(), || {
            let s = sys::fstatvfs(&self.root)?;
            let files = (s.f_files != 0).then_some(s.f_favail);
            Ok(Space { bytes: s.f_bavail.saturating_mul(s.f_frsize), files })
        })
    }

    fn lock(&self, place: &Place) -> Result<Option<Guard>, DiskError> {
        self.run("lock", place, || {
            let (folder, name) = self.at(place)?;
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(sys::openat(&folder, name, flags, Mode::from_raw_mode(0o644))?);
            match file.try_lock() {
                Ok(()) => Ok(Some(Box::new(file) as Guard)),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(e)) => Err(e),
            }
        })
    }

    fn create(&self, place: &Place, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.run("create", place, || self.new_file(place, mode, None))
    }

    fn create_large(&self, place: &Place, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.run("create", place, || self.new_file(place, mode, self.direct.as_ref()))
    }

    fn reopen(&self, place: &Place) -> Result<Box<dyn DiskFile>, DiskError> {
        self.run("open", place, || Ok(Box::new(self.file(place, OFlags::RDWR)?) as Box<dyn DiskFile>))
    }

    fn make_folder(&self, place: &Place, mode: u32) -> Result<(), DiskError> {
        self.run("make the folder", place, || {
            let (folder, name) = self.at(place)?;
            sys::mkdirat(&folder, name, Mode::from_raw_mode(0o700))?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = sys::openat(&folder, name, flags, Mode::empty())?;
            Ok(sys::fchmod(&made, Mode::from_raw_mode(mode))?)
        })
    }

    fn link(&self, from: &Place, to: &Place) -> Result<(), DiskError> {
        self.run("link", to, || {
            let ((from, old), (to, new)) = (self.at(from)?, self.at(to)?);
            Ok(sys::linkat(&from, old, &to, new, AtFlags::empty())?)
        })
    }

    fn make_link(&self, says: &Path, place: &Place) -> Result<(), DiskError> {
        self.run("make the symbolic link", place, || {
            let (folder, name) = self.at(place)?;
            Ok(sys::symlinkat(says, &folder, name)?)
        })
    }

    fn rename(&self, from: &Place, to: &Place) -> Result<(), DiskError> {
        self.run("rename a file to", to, || {
            let ((from, old), (to, new)) = (self.at(from)?, self.at(to)?);
            Ok(sys::renameat(&from, old, &to, new)?)
        })
    }

    fn remove(&self, place: &Place) -> Result<(), DiskError> {
        self.run("remove", place, || {
            let (folder, name) = self.at(place)?;
            Ok(sys::unlinkat(&folder, name, AtFlags::empty())?)
        })
    }

    fn remove_folder(&self, place: &Place) -> Result<(), DiskError> {
        self.run("remove the folder", place, || {
            let (folder, name) = self.at(place)?;
            Ok(sys::unlinkat(&folder, name, AtFlags::REMOVEDIR)?)
        })
    }

    fn set_time(&self, place: &Place, time: i64) -> Result<(), DiskError> {
        self.run("set the time of", place, || {
            let (folder, name) = self.at(place)?;
            Ok(sys::utimensat(&folder, name, &times(time), AtFlags::SYMLINK_NOFOLLOW)?)
        })
    }

    fn sync(&self, places: &[Place]) -> Result<(), DiskError> {
        match self.barrier {
            Barrier::Whole => self.run("sync", &Place::root(), || Ok(sys::syncfs(self.root.as_fd())?)),
            Barrier::Each => places.iter().try_for_each(|p| self.run("sync", p, || self.sync_one(p))),
        }
    }
}

/// An open regular file.
struct RealFile {
    file: File,
    direct: Option<Direct>,
}

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn forget_cached(&self) {
        // Only clean pages are dropped, hence the sync; its error will be seen as a wrong digest or by the next barrier.
        let _ = self.file.sync_data();
        let _ = sys::fadvise(&self.file, 0, None, sys::Advice::DontNeed);
    }
    fn start_writing_out(&self) {
        super::output::start_writing_out(&self.file, 0);
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(direct) = &self.direct else { return self.file.write_all_at(bytes, offset) };
        let done = direct.write_at(bytes, offset)?;
        self.file.write_all_at(bytes.get(..done.start).unwrap_or_default(), offset)?;
        self.file.write_all_at(bytes.get(done.end..).unwrap_or_default(), offset + done.end as u64)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn reserve(&self, len: u64) -> io::Result<()> {
        if len < RESERVE_FROM {
            return Ok(());
        }
        match sys::fallocate(&self.file, sys::FallocateFlags::KEEP_SIZE, 0, len) {
            Err(e @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO)) => Err(e.into()),
            _ => Ok(()), // the file system cannot; writing will tell
        }
    }
    fn set_time(&self, time: i64) -> io::Result<()> {
        Ok(sys::futimens(&self.file, &times(time))?)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
