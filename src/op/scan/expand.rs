//! To *expand* is to write what archives hold into the scan folder as plain files, archives in archives too.
//!
//! It is for scanners, which stop at sizes and depths of their own: it takes what readers in the wild would take, and writes
//! down whatever it cannot open, skips nothing without a line in the map, and ends at its bounds. Specified in
//! `spec/desk.md`, section "Expanding".

use super::ScanError;
use super::archive::{Written, tar};
use super::folder::{Folder, Owner, Row};
use super::stream::{Form, HEAD, Peek, decoder};
use crate::kind::zipfile::Zip;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

/// Problems that the report lists; the map has all of them.
const LISTED: usize = 100;
/// How much more may be read out of archives than may be written: names, links and padding are read only.
pub(super) const READ_FACTOR: u64 = 4;

/// Where expanding ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes that are written.
    pub bytes: u64,
    /// Files that are written, and links and other lines of the map.
    pub files: u64,
    /// Archives within archives.
    pub depth: u32,
}

impl Default for Bounds {
    /// 256 GiB, 4 million files, 6 levels (a jar in a tarball in a layer is 3).
    fn default() -> Bounds {
        Bounds { bytes: 256 << 30, files: 4_000_000, depth: 6 }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Expanded {
    /// Archives and compressed files that were opened.
    pub containers: u64,
    /// Files that came out of them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Links, devices and so on, of which the map has a line and no more.
    pub links: u64,
    /// Files with set-user-id or set-group-id bits.
    pub set_id: u64,
    /// What could not be opened, or not to its end.
    pub problems: u64,
    /// The first of them.
    pub first_problems: Vec<String>,
    /// A bound was met: there is more inside than was written. Empty where there is not.
    pub bounded_by: Vec<&'static str>,
}

/// A file that may be an archive.
pub struct Job {
    /// Its path in the folder.
    pub path: String,
    /// Archives that it lies in.
    pub depth: u32,
    /// The artifact.
    pub owner: Rc<Owner>,
}

/// Why an archive was not read to its end.
pub(super) enum Halt {
    /// The archive is to blame.
    Problem(String),
    /// A bound is to blame.
    Bound(&'static str),
    /// The disk is to blame.
    Fatal(ScanError),
}

impl From<ScanError> for Halt {
    fn from(e: ScanError) -> Halt {
        Halt::Fatal(e)
    }
}

/// Reading failed: the bound, the disk, or what the bytes are.
pub(super) fn halt(e: io::Error) -> Halt {
    if e.get_ref().is_some_and(|e| e.is::<Exhausted>()) {
        return Halt::Bound("bytes");
    }
    match e.raw_os_error() {
        Some(_) => Halt::Fatal(ScanError::Io { path: "the scan folder".into(), source: e }),
        None => Halt::Problem(e.to_string()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more comes out of the archives than the bound allows")]
struct Exhausted;

/// Counts what is read against what may still be read.
pub(super) struct Counted<R> {
    pub inner: R,
    pub left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        let left = self.left.get().checked_sub(n as u64).ok_or_else(|| io::Error::other(Exhausted))?;
        self.left.set(left);
        Ok(n)
    }
}

/// A file inside an archive.
pub(super) struct Member<'a> {
    /// Its name, as bytes.
    pub name: &'a [u8],
    /// Its permission bits.
    pub mode: Option<u32>,
    /// Its length, where the archive says.
    pub len: Option<u64>,
}

/// Opens archives.
pub struct Expander<'a> {
    folder: &'a mut Folder,
    bounds: Bounds,
    left: Rc<Cell<u64>>,
    jobs: Vec<Job>,
    done: Expanded,
}

impl<'a> Expander<'a> {
    /// Writes into `folder`.
    pub fn new(folder: &'a mut Folder, bounds: Bounds) -> Expander<'a> {
        let left = Rc::new(Cell::new(bounds.bytes.saturating_mul(READ_FACTOR)));
        Expander { folder, bounds, left, jobs: Vec::new(), done: Expanded::default() }
    }

    /// Opens `first` and all that is in it.
    pub fn run(&mut self, first: Job) -> Result<(), ScanError> {
        self.jobs.push(first);
        while let Some(job) = self.jobs.pop() {
            match self.open(&job) {
                Ok(()) => {}
                Err(halt) => self.halted(&job, b"", halt)?,
            }
        }
        Ok(())
    }

    /// What came of all.
    pub fn finish(self) -> Expanded {
        self.done
    }

    fn open(&mut self, job: &Job) -> Result<(), Halt> {
        let file = self.folder.open(&job.path)?;
        let mut peek = Peek::new(Box::new(BufReader::new(file))).map_err(halt)?;
        let Some(form) = peek.form() else { return Ok(()) };
        self.done.containers = self.done.containers.saturating_add(1);
        match form {
            Form::Zip => self.zip(self.folder.open(&job.path)?, job),
            f if f.is_compression() => self.decompress(f, peek, job),
            f => self.archive(f, &mut peek, job),
        }
    }

    /// A compressed stream: an archive in it is read at once, anything else becomes a file.
    fn decompress(&mut self, form: Form, from: Peek<'_>, job: &Job) -> Result<(), Halt> {
        let plain = Counted { inner: decoder(form, from).map_err(halt)?, left: self.left.clone() };
        let mut peek = Peek::new(Box::new(plain)).map_err(halt)?;
        match peek.form() {
            Some(f @ (Form::Tar | Form::Cpio | Form::Ar | Form::Rpm)) => self.archive(f, &mut peek, job),
            _ => self.rest(&mut peek, job, b"(content)"),
        }
    }

    /// What follows an rpm's headers: a cpio archive, compressed or not. Nothing else is opened here, so that headers in
    /// headers do not nest.
    fn payload(&mut self, peek: &mut Peek<'_>, job: &Job) -> Result<(), Halt> {
        let Some(form) = peek.form().filter(|f| f.is_compression()) else { return self.cpio_or_rest(peek, job) };
        let plain = Counted { inner: decoder(form, peek).map_err(halt)?, left: self.left.clone() };
        let mut plain = Peek::new(Box::new(plain)).map_err(halt)?;
        self.cpio_or_rest(&mut plain, job)
    }

    fn cpio_or_rest(&mut self, peek: &mut Peek<'_>, job: &Job) -> Result<(), Halt> {
        match peek.form() {
            Some(Form::Cpio) => self.archive(Form::Cpio, peek, job),
            _ => self.rest(peek, job, b"(payload)"),
        }
    }

    /// Reads an archive from front to back. What it does not understand, and what follows its end, becomes a file.
    fn archive(&mut self, form: Form, peek: &mut Peek<'_>, job: &Job) -> Result<(), Halt> {
        let done = match form {
            Form::Tar => tar(peek, &mut Written(self, job)),
            Form::Cpio => self.cpio(peek, job),
            Form::Ar => self.ar(peek, job),
            _ => return self.rpm(peek, job),
        };
        match done {
            Ok(()) => {}
            Err(Halt::Problem(why)) => self.problem(job, b"", &format!("{}: {why}", form.name()))?,
            Err(other) => return Err(other),
        }
        self.rest(peek, job, b"(rest)")
    }

    /// Both headers of an rpm, unread but for their lengths; then its payload.
    fn rpm(&mut self, peek: &mut Peek<'_>, job: &Job) -> Result<(), Halt> {
        skip(peek, 96)?;
        for padded in [true, false] {
            let intro: [u8; 16] = bytes(peek)?;
            if !intro.starts_with(&[0x8e, 0xad, 0xe8]) {
                return Err(Halt::Problem("rpm: a header does not begin as it should".into()));
            }
            let number = |from: usize| intro.iter().skip(from).take(4).fold(0u64, |n, b| n << 8 | u64::from(*b));
            let len = number(8).saturating_mul(16).saturating_add(number(12));
            skip(peek, if padded { len.saturating_add(7) / 8 * 8 } else { len })?;
        }
        // What was read so far may have been all that was looked at ahead.
        let rest: Box<dyn Read + '_> = Box::new(peek);
        self.payload(&mut Peek::new(rest).map_err(halt)?, job)
    }

    /// A zip, by its directory. One that readers may understand in several ways is reported as that.
    fn zip(&mut self, file: File, job: &Job) -> Result<(), Halt> {
        let again = file.try_clone().map_err(halt)?;
        if let Err(e) = Zip::open(Box::new(BufReader::new(again)), "the zip") {
            self.problem(job, b"", &format!("readers may disagree about it: {e}"))?;
        }
        let broken = |e: zip::result::ZipError| match e {
            zip::result::ZipError::Io(e) => halt(e),
            e => Halt::Problem(e.to_string()),
        };
        let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
        for n in 0..zip.len() {
            let mut file = match zip.by_index(n) {
                Ok(file) => file,
                Err(e) => {
                    let halt = broken(e);
                    self.halted(job, format!("(member {n})").as_bytes(), halt)?;
                    continue;
                }
            };
            if file.is_dir() {
                continue;
            }
            let (name, mode) = (file.name_raw().to_vec(), file.unix_mode());
            let mut counted = Counted { inner: &mut file, left: self.left.clone() };
            let member = Member { name: &name, mode, len: None };
            match self.member(job, &member, &mut counted) {
                Err(Halt::Problem(why)) => self.problem(job, &name, &why)?,
                done => done?,
            }
        }
        Ok(())
    }

    /// What is left of a stream, if it is more than zeros.
    fn rest(&mut self, peek: &mut Peek<'_>, job: &Job, name: &[u8]) -> Result<(), Halt> {
        let mut buf = [0u8; 8192];
        loop {
            let n = peek.read(&mut buf).map_err(halt)?;
            let read = buf.get(..n).unwrap_or_default();
            if n == 0 {
                return Ok(());
            }
            if read.iter().any(|b| *b != 0) {
                peek.unread(read);
                return self.member(job, &Member { name, mode: None, len: None }, peek);
            }
        }
    }

    /// Writes a file; looks at what it is later.
    pub(super) fn member(&mut self, job: &Job, member: &Member<'_>, from: &mut dyn Read) -> Result<(), Halt> {
        self.count()?;
        let path = self.folder.number(member.name);
        let mut out = self.folder.begin(path);
        let mut head = Vec::new();
        let (mut buf, mut left) = (vec![0u8; 1 << 16], member.len.unwrap_or(u64::MAX));
        let mut ended = Ok(());
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            let n = match from.read(buf.get_mut(..most).unwrap_or_default()) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    ended = Err(halt(e));
                    break;
                }
            };
            let read = buf.get(..n).unwrap_or_default();
            if n == 0 {
                ended = member.len.map_or(Ok(()), |_| Err(Halt::Problem("it is cut off".into())));
                break;
            }
            if self.done.bytes.saturating_add(n as u64) > self.bounds.bytes {
                ended = Err(Halt::Bound("bytes"));
                break;
            }
            self.done.bytes = self.done.bytes.saturating_add(n as u64);
            head.extend_from_slice(read.get(..read.len().min(HEAD - head.len())).unwrap_or_default());
            out.write(read)?;
            left -= n as u64;
        }
        let (path, blob) = out.finish()?;
        self.done.files = self.done.files.saturating_add(1);
        if member.mode.is_some_and(|m| m & 0o6000 != 0) {
            self.done.set_id = self.done.set_id.saturating_add(1);
        }
        let row = Row {
            what: "member",
            path: &path,
            blob: Some(blob),
            mode: member.mode,
            owner: &job.owner,
            container: &job.path,
            member: member.name,
            note: if ended.is_err() { b"not whole" } else { b"" },
        };
        self.folder.enter(&row, true)?;
        if Form::of(&head).is_some() {
            self.later(job, path)?;
        }
        ended
    }

    /// Opens the file at `path` later, unless it lies too deep.
    fn later(&mut self, job: &Job, path: String) -> Result<(), Halt> {
        let next = Job { path, depth: job.depth.saturating_add(1), owner: job.owner.clone() };
        if next.depth < self.bounds.depth {
            self.jobs.push(next);
            return Ok(());
        }
        self.bounded("depth");
        Ok(self.problem(&next, b"", "it lies in more archives than are opened")?)
    }

    /// A link, device or the like: a line in the map.
    pub(super) fn special(
        &mut self,
        job: &Job,
        member: &Member<'_>,
        what: &'static str,
        note: &[u8],
    ) -> Result<(), Halt> {
        self.count()?;
        self.done.links = self.done.links.saturating_add(1);
        let row = Row {
            what,
            path: "",
            blob: None,
            mode: member.mode,
            owner: &job.owner,
            container: &job.path,
            member: member.name,
            note,
        };
        Ok(self.folder.enter(&row, false)?)
    }

    fn count(&mut self) -> Result<(), Halt> {
        match self.done.files.saturating_add(self.done.links) < self.bounds.files {
            true => Ok(()),
            false => Err(Halt::Bound("files")),
        }
    }

    /// Takes note of what stopped an archive; only the disk stops everything.
    fn halted(&mut self, job: &Job, member: &[u8], halt: Halt) -> Result<(), ScanError> {
        match halt {
            Halt::Fatal(e) => Err(e),
            Halt::Problem(why) => self.problem(job, member, &why),
            Halt::Bound(bound) => {
                self.bounded(bound);
                self.problem(job, member, &format!("not opened to its end: the bound on {bound} was met"))
            }
        }
    }

    fn bounded(&mut self, bound: &'static str) {
        if !self.done.bounded_by.contains(&bound) {
            self.done.bounded_by.push(bound);
        }
    }

    pub(super) fn problem(&mut self, job: &Job, member: &[u8], why: &str) -> Result<(), ScanError> {
        self.done.problems = self.done.problems.saturating_add(1);
        if self.done.first_problems.len() < LISTED {
            let name = String::from_utf8_lossy(member);
            let inside = if name.is_empty() { String::new() } else { format!(", {name}") };
            self.done
                .first_problems
                .push(format!("{} ({} {}{inside}): {why}", job.path, job.owner.kind, job.owner.name));
        }
        let row = Row {
            what: "problem",
            path: &job.path,
            blob: None,
            mode: None,
            owner: &job.owner,
            container: "",
            member,
            note: why.as_bytes(),
        };
        self.folder.enter(&row, false)
    }
}

/// Reads `n` bytes away; an early end is the archive's fault.
pub(super) fn skip(from: &mut dyn Read, n: u64) -> Result<(), Halt> {
    match io::copy(&mut from.take(n), &mut io::sink()).map_err(halt)? == n {
        true => Ok(()),
        false => Err(Halt::Problem("it is cut off".into())),
    }
}

/// Exactly so many bytes.
pub(super) fn bytes<const N: usize>(from: &mut dyn Read) -> Result<[u8; N], Halt> {
    let mut out = [0u8; N];
    match from.read_exact(&mut out) {
        Ok(()) => Ok(out),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Halt::Problem("it is cut off".into())),
        Err(e) => Err(halt(e)),
    }
}
