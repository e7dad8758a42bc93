//! A *batch* is a set of blobs on their way into the site: hashed while they are written into staging, made durable
//! together, then renamed into `blobs`.
//!
//! A blob whose bytes are not those announced never gets a name that anybody reads. Specified in `spec/site.md`, section
//! "Staging".

use crate::bundle::ScratchFile;
use crate::digest::{Blob, Digest, Hasher};
use crate::fs::disk::{Disk, DiskError, DiskFile, Node, Place, read_exact_at, remove_all};
use crate::kind::{BlobReader, KindError, ReadAt, ReadSeek};
use crate::site::blobs;
use crate::site::error::SiteError;
use crate::site::layout::{self, Form};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blobs of at least so many bytes go to the medium as soon as they are complete, so that the barrier waits less.
const WRITE_OUT_FROM: u64 = 1 << 20;
/// Blobs of at least so many bytes that nobody reads again are not copied into the cache.
const DIRECT_FROM: u64 = 1 << 20;
/// Bytes from which on it pays to hash on another thread.
const TOGETHER_FROM: usize = 256 << 10;

/// What is in staging.
#[derive(Default)]
struct Staged {
    /// Hashed in this run.
    done: BTreeMap<Digest, (Form, u64)>,
    /// Left complete by an interrupted run; hashed again before anything relies on them.
    left: BTreeMap<Digest, Form>,
    /// Being written.
    open: BTreeMap<Digest, Arc<dyn DiskFile>>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    time: i64,
    /// Scratch files made so far.
    scratch: AtomicU64,
    staged: Mutex<Staged>,
}

impl Shared {
    fn staged(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch. Dropping it leaves what is complete in staging, where the next run finds it.
pub struct Batch<'a> {
    shared: Arc<Shared>,
    /// The lock is held for as long as the batch lives.
    _writer: std::marker::PhantomData<&'a super::Writer>,
}

/// What a commit brought in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Committed {
    /// How many blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(disk: Arc<dyn Disk>, time: i64) -> Result<Batch<'a>, SiteError> {
        let names = disk.list(&layout::staging())?;
        let left = names.iter().filter_map(|(name, _)| Form::parse(name.to_str()?.strip_suffix(".done")?)).collect();
        let staged = Mutex::new(Staged { left, ..Staged::default() });
        Ok(Batch {
            shared: Arc::new(Shared { disk, time, scratch: AtomicU64::new(0), staged }),
            _writer: std::marker::PhantomData,
        })
    }

    /// Whether the blob need not be brought: the site has it, or it lies complete in staging. What an interrupted run
    /// left there is hashed now, from the medium.
    pub fn has(&self, blob: &Blob) -> Result<bool, SiteError> {
        let disk = &*self.shared.disk;
        if blobs::form_of(disk, blob)?.is_some() {
            return Ok(true);
        }
        let form = {
            let mut staged = self.shared.staged();
            if let Some((_, len)) = staged.done.get(&blob.digest) {
                return Ok(*len == blob.len);
            }
            match staged.left.remove(&blob.digest) {
                Some(form) => form,
                None => return Ok(false),
            }
        };
        let place = layout::done(&blob.digest, form);
        match blobs::hash(disk, &place) {
            Ok(have) if have == *blob => {
                self.shared.staged().done.insert(blob.digest, (form, blob.len));
                Ok(true)
            }
            _ => {
                remove_all(disk, &place)?;
                Ok(false)
            }
        }
    }

    /// A file without a name on the site's disk.
    pub fn scratch(&self) -> io::Result<Box<dyn ScratchFile>> {
        let failed = |e: DiskError| io::Error::new(e.kind(), e);
        let n = self.shared.scratch.fetch_add(1, Ordering::Relaxed);
        let place = layout::scratch(n);
        let file = self.shared.disk.create(&place, Form::Plain.mode()).map_err(failed)?;
        self.shared.disk.remove(&place).map_err(failed)?;
        Ok(Box::new(Scratch(file)))
    }

    /// Starts a blob that the site does not have, in the form that is wanted of it. Room for it is claimed.
    pub fn begin_blob(&self, blob: Blob, executable: bool) -> Result<BlobWriter, SiteError> {
        self.begin(blob, executable, true)
    }

    /// As [`Batch::begin_blob`], of a blob that nobody reads before it is on the site.
    pub fn begin_unread(&self, blob: Blob, executable: bool) -> Result<BlobWriter, SiteError> {
        self.begin(blob, executable, false)
    }

    fn begin(&self, blob: Blob, executable: bool, read: bool) -> Result<BlobWriter, SiteError> {
        let form = Form::of(executable);
        let place = layout::part(&blob.digest, form);
        let disk = &*self.shared.disk;
        let file = match read || blob.len < DIRECT_FROM {
            true => disk.create(&place, form.mode())?,
            false => disk.create_large(&place, form.mode())?,
        };
        let file: Arc<dyn DiskFile> = file.into();
        let (shared, hasher) = (self.shared.clone(), Some(Hasher::new()));
        let writer = BlobWriter { shared, blob, form, file, hasher, written: 0, ended: false };
        writer.file.reserve(blob.len).map_err(|e| writer.error("claim room for", e))?;
        self.shared.staged().open.insert(blob.digest, writer.file.clone());
        Ok(writer)
    }

    /// Fills `buf` from `offset` of a blob of the site or of this batch, also of one that is still being written as far
    /// as it has come.
    pub fn read_at(&self, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), SiteError> {
        let disk = &*self.shared.disk;
        let (open, done) = {
            let staged = self.shared.staged();
            (staged.open.get(&blob.digest).cloned(), staged.done.get(&blob.digest).copied())
        };
        match (open, done) {
            (Some(file), _) => read_exact_at(&*file, buf, offset).map_err(|source| {
                let path = disk.root().join(layout::part(&blob.digest, Form::Plain).path());
                DiskError { verb: "read back", path, source }.into()
            }),
            (None, Some((form, _))) => blobs::read_file_at(disk, &layout::done(&blob.digest, form), offset, buf),
            (None, None) => blobs::read_at(disk, blob, offset, buf),
        }
    }

    /// Brings the batch into the site. After an error of the barrier nothing of it is kept, in staging neither: memory
    /// may hold bytes that the disk has lost, so they must come from their source again.
    pub fn commit(self) -> Result<Committed, SiteError> {
        let disk = &*self.shared.disk;
        let done = std::mem::take(&mut self.shared.staged().done);
        let mut places: Vec<Place> = done.iter().map(|(digest, (form, _))| layout::done(digest, *form)).collect();
        places.push(layout::staging());
        if let Err(e) = disk.sync(&places) {
            for place in &places[..done.len()] {
                let _ = disk.remove(place); // the barrier's error is the one to tell
            }
            return Err(SiteError::Barrier(e));
        }
        let mut folders = BTreeSet::from([layout::blobs()]);
        for (digest, (form, _)) in &done {
            let folder = layout::blob_folder(digest);
            if folders.insert(folder.clone()) && disk.stat(&folder)?.is_none() {
                disk.make_folder(&folder, layout::FOLDER_MODE)?;
            }
            disk.rename(&layout::done(digest, *form), &layout::blob(digest, *form))?;
        }
        if let Err(e) = sync_names(disk) {
            for (digest, (form, _)) in &done {
                let _ = disk.remove(&layout::blob(digest, *form)); // as above
            }
            return Err(SiteError::Barrier(e));
        }
        let bytes = done.values().map(|(_, len)| *len).fold(0, u64::saturating_add);
        Ok(Committed { blobs: done.len() as u64, bytes })
    }

    /// Throws away all that lies in staging.
    pub fn discard(self) -> Result<(), SiteError> {
        let (done, left) = {
            let mut staged = self.shared.staged();
            (std::mem::take(&mut staged.done), std::mem::take(&mut staged.left))
        };
        let all = done.into_iter().map(|(digest, (form, _))| (digest, form)).chain(left);
        for (digest, form) in all {
            remove_all(&*self.shared.disk, &layout::done(&digest, form))?;
        }
        Ok(())
    }
}

/// The barrier of all names of blobs: also of those that an interrupted run renamed, which count as present.
fn sync_names(disk: &dyn Disk) -> Result<(), DiskError> {
    let folders = disk.list(&layout::blobs())?.into_iter().filter(|(_, node)| *node == Node::Folder);
    let mut places: Vec<Place> = folders.map(|(name, _)| layout::blobs().child(name)).collect();
    places.push(layout::blobs());
    disk.sync(&places)
}

impl BlobReader for Batch<'_> {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        let disk = &*self.shared.disk;
        let done = self.shared.staged().done.get(&blob.digest).copied();
        match done {
            Some((form, len)) if len == blob.len => blobs::open_at(disk, &layout::done(&blob.digest, form)),
            _ => match blobs::place_of(disk, blob) {
                Ok(place) => blobs::open_at(disk, &place),
                Err(SiteError::MissingBlob { digest, .. }) => Err(KindError::MissingBlob(digest)),
                Err(e) => Err(KindError::Io(io::Error::other(e))),
            },
        }
    }

    fn open_at(&self, blob: &Blob) -> Result<Option<Box<dyn ReadAt>>, KindError> {
        let disk = &*self.shared.disk;
        let done = self.shared.staged().done.get(&blob.digest).copied();
        let place = match done {
            Some((form, len)) if len == blob.len => layout::done(&blob.digest, form),
            _ => blobs::place_of(disk, blob).map_err(|_| KindError::MissingBlob(blob.digest))?,
        };
        let file = disk.open(&place).map_err(|e| KindError::Io(io::Error::new(e.kind(), e)))?;
        Ok(Some(Box::new(Scratch(file))))
    }

    fn find(&self, digest: &Digest) -> Option<Blob> {
        let done = self.shared.staged().done.get(digest).map(|(_, len)| *len);
        let on_site = || blobs::forms(&*self.shared.disk, digest).ok()?.first().map(|(_, len)| *len);
        done.or_else(on_site).map(|len| Blob { digest: *digest, len })
    }
}

struct Scratch(Box<dyn DiskFile>);

impl ScratchFile for Scratch {
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(buf, offset)
    }
}

impl ReadAt for Scratch {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        read_exact_at(&*self.0, buf, offset)
    }
}

/// A blob that is being written. Dropped before [`BlobWriter::finish`], it leaves nothing.
pub struct BlobWriter {
    shared: Arc<Shared>,
    blob: Blob,
    form: Form,
    file: Arc<dyn DiskFile>,
    /// `None` once bytes came whose digest is known.
    hasher: Option<Hasher>,
    written: u64,
    ended: bool,
}

impl BlobWriter {
    /// The blob that was announced.
    pub fn blob(&self) -> Blob {
        self.blob
    }

    /// Bytes written so far.
    pub fn written_bytes(&self) -> u64 {
        self.written
    }

    /// Fills `buf` from `offset` of what was written so far.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        read_exact_at(&*self.file, buf, offset)
    }

    /// Writes all bytes of the blob, which the caller has hashed in this very buffer and found to have its digest.
    pub fn write_proven(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written > 0 || bytes.len() as u64 != self.blob.len {
            return self.write_all(bytes);
        }
        self.hasher = None;
        self.write_next(bytes)
    }

    fn write_next(&mut self, bytes: &[u8]) -> io::Result<()> {
        let after = self.written + bytes.len() as u64;
        if after > self.blob.len {
            let why = format!("blob {} is longer than the {} bytes announced", self.blob.digest, self.blob.len);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.file.write_at(bytes, self.written)?;
        self.written = after;
        Ok(())
    }

    /// Ends the blob: its digest and length must be those announced.
    pub fn finish(mut self) -> Result<(), SiteError> {
        if let Some(have) = self.hasher.take().map(Hasher::finish)
            && have != self.blob
        {
            return Err(SiteError::WrongBlob { want: self.blob, have });
        }
        if self.written >= WRITE_OUT_FROM {
            self.file.start_writing_out();
        }
        self.file.set_time(self.shared.time).map_err(|e| self.error("set the time of", e))?;
        let done = layout::done(&self.blob.digest, self.form);
        self.shared.disk.rename(&self.place(), &done)?;
        self.ended = true;
        let mut staged = self.shared.staged();
        staged.open.remove(&self.blob.digest);
        staged.done.insert(self.blob.digest, (self.form, self.blob.len));
        Ok(())
    }

    fn place(&self) -> Place {
        layout::part(&self.blob.digest, self.form)
    }

    fn error(&self, verb: &'static str, source: io::Error) -> DiskError {
        DiskError { verb, path: self.shared.disk.root().join(self.place().path()), source }
    }
}

impl io::Write for BlobWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let Some(mut hasher) = self.hasher.take() else { return self.write_next(buf).map(|()| buf.len()) };
        // Hashing and writing cost about the same: where there is enough to do, they go on together.
        let written = match buf.len() < TOGETHER_FROM {
            true => {
                hasher.update(buf);
                self.write_next(buf)
            }
            false => std::thread::scope(|scope| {
                scope.spawn(|| hasher.update(buf));
                self.write_next(buf)
            }),
        };
        self.hasher = Some(hasher);
        written.map(|()| buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.staged().open.remove(&self.blob.digest);
            let _ = self.shared.disk.remove(&self.place()); // the next run removes it too
        }
    }
}
