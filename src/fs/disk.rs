//! A *disk* is the folder of a site with the few verbs that a site needs; a *place* is a name on it.
//!
//! The verbs are few on purpose: crash tests stop at every one of them. What a verb means here holds for every
//! implementation: [`super::real::RealDisk`] and, for tests, [`super::faulty::Faulty`]. Not part of the specification;
//! what the site writes with it is (`spec/site.md`).

use crate::class::{Class, Classified};
use crate::relpath::RelPath;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// A name on a disk: components below its root, none of them `.` or `..`. Unlike [`RelPath`] it may name files that
/// others left there, and it may be longer than a path of the grammar by the folders of the site above it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(PathBuf);

impl Place {
    /// The root itself.
    pub fn root() -> Place {
        Place::default()
    }

    /// The place `name` in this folder. A name that is no single component is refused by the disk, not here.
    pub fn child(&self, name: impl AsRef<OsStr>) -> Place {
        let mut path = self.0.clone().into_os_string();
        if !path.is_empty() {
            path.push("/");
        }
        path.push(name);
        Place(path.into())
    }

    /// The place of `path` below this folder.
    pub fn below(&self, path: &RelPath) -> Place {
        self.child(path.as_str())
    }

    /// The folder it lies in; the root's is the root.
    pub fn folder(&self) -> Place {
        Place(self.0.parent().map(Path::to_owned).unwrap_or_default())
    }

    /// Its path, relative to the root; empty for the root.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

/// What a name stands for. Symbolic links are never followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

/// What the file system says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub node: Node,
    /// Its length in bytes.
    pub len: u64,
    /// Its permission bits (`0o7777`).
    pub mode: u32,
    /// Its modification time, in Unix seconds.
    pub mtime: i64,
    /// Device and inode: equal for two names of one file.
    pub inode: (u64, u64),
}

/// What is left on the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub bytes: u64,
    /// Files that this user may still make; `None` where the file system does not count them.
    pub files: Option<u64>,
}

/// A verb failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}", path.display())]
pub struct DiskError {
    /// What was tried.
    pub verb: &'static str,
    /// On what.
    pub path: PathBuf,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// The kind of the system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl Classified for DiskError {
    fn class(&self) -> Class {
        Class::Failed
    }

    fn hint(&self) -> Option<String> {
        if self.source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            let text =
                "a symbolic link lies where the site keeps a file or folder; find out who put it there, remove it";
            return Some(text.into());
        }
        let text = match self.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room on the site's file system, then run the same command again; it resumes"
            }
            io::ErrorKind::PermissionDenied => "run as the user who owns the site's folder",
            io::ErrorKind::ReadOnlyFilesystem => {
                "the site's file system is mounted read-only; look at the kernel's log, mount it writable, run again"
            }
            io::ErrorKind::FileTooLarge => "the file system or a limit (ulimit -f) does not allow files of that size",
            _ => "look at the kernel's log for the disk's own errors, then run the same command again; it resumes",
        };
        Some(text.into())
    }
}

/// An open file of a disk. Reads and writes name their offset, so that several threads may share it.
pub trait DiskFile: Send + Sync {
    /// Reads at most `buf.len()` bytes at `offset`; 0 at the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Asks that later reads come from the medium and not from memory. A hint: errors are not reported.
    fn forget_cached(&self);
    /// Asks that what was written goes to the medium now, without waiting for it. A hint: errors are not reported.
    fn start_writing_out(&self) {}
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes it `len` bytes long.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Claims room for `len` bytes where the file system can; running out of it is the only error.
    fn reserve(&self, len: u64) -> io::Result<()>;
    /// Sets its modification time, in Unix seconds.
    fn set_time(&self, time: i64) -> io::Result<()>;
    /// Makes its bytes and length durable.
    fn sync(&self) -> io::Result<()>;
}

/// Held until dropped: see [`Disk::lock`].
pub type Guard = Box<dyn Send + Sync>;

/// The folder of a site. No verb follows a symbolic link or leaves the root; modes are exact whatever the umask is.
///
/// Nothing is durable before [`Disk::sync`] (or [`DiskFile::sync`] for a file's bytes) has returned without an error.
/// An error of these is final: what was to become durable must be written again from its source.
pub trait Disk: Send + Sync {
    /// The root's path, for messages and for what others are told (rendered configuration).
    fn root(&self) -> &Path;

    /// Opens a regular file for reading.
    fn open(&self, place: &Place) -> Result<Box<dyn DiskFile>, DiskError>;
    /// What `place` is; `None` where nothing is.
    fn stat(&self, place: &Place) -> Result<Option<Stat>, DiskError>;
    /// The names in a folder, in byte order.
    fn list(&self, folder: &Place) -> Result<Vec<(OsString, Node)>, DiskError>;
    /// What a symbolic link says.
    fn read_link(&self, place: &Place) -> Result<OsString, DiskError>;
    /// What is left of the file system.
    fn space(&self) -> Result<Space, DiskError>;
    /// Locks the file at `place`, making it if need be; `None` where another holds it. Excludes others, not threads.
    fn lock(&self, place: &Place) -> Result<Option<Guard>, DiskError>;

    /// Makes a file that was not there and opens it for reading and writing.
    fn create(&self, place: &Place, mode: u32) -> Result<Box<dyn DiskFile>, DiskError>;
    /// As [`Disk::create`], for a large file that is written front to back in large pieces and not read soon: where the
    /// file system can, its bytes go to the medium at once, without a copy in memory.
    fn create_large(&self, place: &Place, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.create(place, mode)
    }
    /// Opens a file that is there for reading and writing.
    fn reopen(&self, place: &Place) -> Result<Box<dyn DiskFile>, DiskError>;
    /// Makes a folder that was not there.
    fn make_folder(&self, place: &Place, mode: u32) -> Result<(), DiskError>;
    /// Gives the file `from` the second name `to`, which was not there.
    fn link(&self, from: &Place, to: &Place) -> Result<(), DiskError>;
    /// Makes a symbolic link that was not there.
    fn make_link(&self, says: &Path, place: &Place) -> Result<(), DiskError>;
    /// Renames; what was at `to` vanishes in the same instant (a folder there must be empty).
    fn rename(&self, from: &Place, to: &Place) -> Result<(), DiskError>;
    /// Removes a file or a symbolic link.
    fn remove(&self, place: &Place) -> Result<(), DiskError>;
    /// Removes an empty folder.
    fn remove_folder(&self, place: &Place) -> Result<(), DiskError>;
    /// Sets a folder's modification time, in Unix seconds.
    fn set_time(&self, place: &Place, time: i64) -> Result<(), DiskError>;
    /// The barrier: makes these files' bytes and these folders' names durable.
    fn sync(&self, places: &[Place]) -> Result<(), DiskError>;
}

/// Reads a file from its beginning to its end, or to `limit` bytes: a longer one is [`io::ErrorKind::FileTooLarge`].
pub fn read_all(disk: &dyn Disk, place: &Place, limit: u64) -> Result<Vec<u8>, DiskError> {
    let file = disk.open(place)?;
    let read = || -> io::Result<Vec<u8>> {
        let len = file.length()?;
        let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {limit} bytes"));
        let len = usize::try_from(len).ok().filter(|_| len <= limit).ok_or_else(too_long)?;
        let mut out = vec![0; len];
        read_exact_at(&*file, &mut out, 0)?;
        Ok(out)
    };
    read().map_err(|source| DiskError { verb: "read", path: disk.root().join(place.path()), source })
}

/// Fills `buf` from `offset` on; [`io::ErrorKind::UnexpectedEof`] where the file ends before.
pub fn read_exact_at(file: &dyn DiskFile, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Makes a file of `bytes` that was not there, with a fixed mode and time. Not durable before a [`Disk::sync`] of it.
pub fn write_new(disk: &dyn Disk, place: &Place, bytes: &[u8], mode: u32, time: i64) -> Result<(), DiskError> {
    let file = disk.create(place, mode)?;
    let write = || -> io::Result<()> {
        file.write_at(bytes, 0)?;
        file.set_time(time)
    };
    write().map_err(|source| DiskError { verb: "write", path: disk.root().join(place.path()), source })
}

/// Removes whatever is at `place`, a folder with all that is in it; nothing there is no error. Links are removed, not
/// followed.
pub fn remove_all(disk: &dyn Disk, place: &Place) -> Result<(), DiskError> {
    let Some(stat) = disk.stat(place)? else { return Ok(()) };
    if stat.node != Node::Folder {
        return disk.remove(place);
    }
    // A list and no recursion: how deep strangers nest folders is not ours to bound by the stack.
    let mut todo = vec![(place.clone(), false)];
    while let Some((at, emptied)) = todo.pop() {
        if emptied {
            disk.remove_folder(&at)?;
            continue;
        }
        todo.push((at.clone(), true));
        for (name, node) in disk.list(&at)? {
            let inner = at.child(&name);
            match node {
                Node::Folder => todo.push((inner, false)),
                _ => disk.remove(&inner)?,
            }
        }
    }
    Ok(())
}
