//! A *faulty disk* is another disk whose n-th changing verb fails, or stops everything from there on.
//!
//! It is for tests: "stop" is what a killed process looks like to the files, "fail" is a full or failing disk. It does not
//! forget unsynced bytes, so barriers are counted and not carried out. Not part of the specification.

use super::disk::{Disk, DiskError, DiskFile, Guard, Node, Place, Space, Stat};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happens at the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this error of the system (an errno); a write has written half of its bytes. Later verbs work.
    Fail(i32),
    /// It and every verb after it, reading ones too, do nothing and fail; a write has written half of its bytes.
    Stop,
    /// As [`Fault::Fail`], and every later changing verb fails likewise: a disk that is full and stays full.
    Full(i32),
}

#[derive(Debug)]
struct Shared {
    fault: Fault,
    at: u64,
    count: AtomicU64,
}

impl Shared {
    /// Counts a changing verb, and fails it if it is its turn.
    fn step(&self) -> io::Result<()> {
        let n = self.count.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Fail(errno) if n == self.at => Err(io::Error::from_raw_os_error(errno)),
            Fault::Full(errno) if n >= self.at => Err(io::Error::from_raw_os_error(errno)),
            Fault::Stop if n >= self.at => Err(stopped()),
            _ => Ok(()),
        }
    }

    /// A reading verb fails only after a stop.
    fn look(&self) -> io::Result<()> {
        let over = self.fault == Fault::Stop && self.count.load(Ordering::SeqCst) > self.at;
        if over { Err(stopped()) } else { Ok(()) }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the test's disk has stopped")
}

/// A disk with a fault.
#[derive(Debug)]
pub struct Faulty<D> {
    inner: D,
    shared: Arc<Shared>,
}

impl<D: Disk> Faulty<D> {
    /// `inner`, whose changing verb number `at` (counted from 0, writes to files included) meets `fault`.
    pub fn new(inner: D, at: u64, fault: Fault) -> Faulty<D> {
        Faulty { inner, shared: Arc::new(Shared { fault, at, count: AtomicU64::new(0) }) }
    }

    /// A look at how many changing verbs there were, which outlives the disk.
    pub fn counter(&self) -> impl Fn() -> u64 + use<D> {
        let shared = self.shared.clone();
        move || shared.count.load(Ordering::SeqCst)
    }

    fn tell(&self, verb: &'static str, place: &Place, met: io::Result<()>) -> Result<(), DiskError> {
        met.map_err(|source| DiskError { verb, path: self.root().join(place.path()), source })
    }

    fn step(&self, verb: &'static str, place: &Place) -> Result<(), DiskError> {
        self.tell(verb, place, self.shared.step())
    }

    fn look(&self, verb: &'static str, place: &Place) -> Result<(), DiskError> {
        self.tell(verb, place, self.shared.look())
    }

    fn wrap(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { inner, shared: self.shared.clone() })
    }
}

impl<D: Disk> Disk for Faulty<D> {
    fn root(&self) -> &Path {
        self.inner.root()
    }
    fn open(&self, place: &Place) -> Result<Box<dyn DiskFile>, DiskError> {
        self.look("open", place)?;
        Ok(self.wrap(self.inner.open(place)?))
    }
    fn stat(&self, place: &Place) -> Result<Option<Stat>, DiskError> {
        self.look("look at", place)?;
        self.inner.stat(place)
    }
    fn list(&self, folder: &Place) -> Result<Vec<(OsString, Node)>, DiskError> {
        self.look("list", folder)?;
        self.inner.list(folder)
    }
    fn read_link(&self, place: &Place) -> Result<OsString, DiskError> {
        self.look("read the link", place)?;
        self.inner.read_link(place)
    }
    fn space(&self) -> Result<Space, DiskError> {
        self.look("look at the space of", &Place::root())?;
        self.inner.space()
    }
    fn lock(&self, place: &Place) -> Result<Option<Guard>, DiskError> {
        self.step("lock", place)?;
        self.inner.lock(place)
    }
    fn create(&self, place: &Place, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.step("create", place)?;
        Ok(self.wrap(self.inner.create(place, mode)?))
    }
    fn create_large(&self, place: &Place, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.step("create", place)?;
        Ok(self.wrap(self.inner.create_large(place, mode)?))
    }
    fn reopen(&self, place: &Place) -> Result<Box<dyn DiskFile>, DiskError> {
        self.look("open", place)?;
        Ok(self.wrap(self.inner.reopen(place)?))
    }
    fn make_folder(&self, place: &Place, mode: u32) -> Result<(), DiskError> {
        self.step("make the folder", place)?;
        self.inner.make_folder(place, mode)
    }
    fn link(&self, from: &Place, to: &Place) -> Result<(), DiskError> {
        self.step("link", to)?;
        self.inner.link(from, to)
    }
    fn make_link(&self, says: &Path, place: &Place) -> Result<(), DiskError> {
        self.step("make the symbolic link", place)?;
        self.inner.make_link(says, place)
    }
    fn rename(&self, from: &Place, to: &Place) -> Result<(), DiskError> {
        self.step("rename a file to", to)?;
        self.inner.rename(from, to)
    }
    fn remove(&self, place: &Place) -> Result<(), DiskError> {
        self.step("remove", place)?;
        self.inner.remove(place)
    }
    fn remove_folder(&self, place: &Place) -> Result<(), DiskError> {
        self.step("remove the folder", place)?;
        self.inner.remove_folder(place)
    }
    fn set_time(&self, place: &Place, time: i64) -> Result<(), DiskError> {
        self.step("set the time of", place)?;
        self.inner.set_time(place, time)
    }
    fn sync(&self, places: &[Place]) -> Result<(), DiskError> {
        self.step("sync", places.first().unwrap_or(&Place::root()))
    }
}

struct FaultyFile {
    inner: Box<dyn DiskFile>,
    shared: Arc<Shared>,
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.shared.look()?;
        self.inner.read_at(buf, offset)
    }
    fn length(&self) -> io::Result<u64> {
        self.shared.look()?;
        self.inner.length()
    }
    fn forget_cached(&self) {
        // Left out: it changes nothing but how long the tests take.
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let before = self.shared.look();
        let met = self.shared.step();
        if met.is_err() && before.is_ok() {
            self.inner.write_at(&bytes[..bytes.len() / 2], offset)?;
        }
        met?;
        self.inner.write_at(bytes, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.shared.step()?;
        self.inner.set_len(len)
    }
    fn reserve(&self, len: u64) -> io::Result<()> {
        self.shared.step()?;
        self.inner.reserve(len)
    }
    fn set_time(&self, time: i64) -> io::Result<()> {
        self.shared.step()?;
        self.inner.set_time(time)
    }
    fn sync(&self) -> io::Result<()> {
        self.shared.step()
    }
}
