//! *Publishing* turns a plan into a generation: built whole in staging, made durable, named, and made current by one
//! rename.
//!
//! It renders nothing and brings in no blobs. Specified in `spec/site.md`, section "Publishing".

use crate::digest::{Blob, Digest, Hasher};
use crate::fs::disk::{Disk, DiskError, Place, remove_all, write_new};
use crate::model::{Content, Entry, Plan};
use crate::monitor::Monitor;
use crate::relpath::{RelPath, fold};
use crate::site::error::SiteError;
use crate::site::generation::{Generation, GenerationInfo, GenerationNumber, ListedFile, Origin};
use crate::site::layout::{self, Form};
use crate::site::ledger::Event;
use crate::site::writer::Writer;
use crate::site::{blobs, stage::Batch};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write as _};

/// Bytes that are copied at once where linking is not possible.
const COPY_BYTES: usize = 1 << 20;

impl Writer {
    /// Makes the plan the site's current generation, or changes nothing that anybody is served. All its blobs must be on
    /// the site. `now` is the time for the ledger, in Unix seconds.
    pub fn publish(
        &self,
        plan: &Plan,
        info: &GenerationInfo,
        now: i64,
        monitor: &dyn Monitor,
    ) -> Result<GenerationNumber, SiteError> {
        self.settle(now)?;
        let predecessor = self.current()?;
        let state = self.ledger().state(predecessor.as_ref().map(|g| g.number))?;
        let number = GenerationNumber(state.last_generation.map_or(0, |n| n.0) + 1);
        let lens = self.twins(plan, info.time)?;
        monitor.phase("generation", None);
        let built = self.build(number, plan, info, predecessor.as_ref(), &lens);
        if let Err(e) = built {
            let _ = remove_all(self.disk(), &layout::building(number)); // the first error is the one to tell
            return Err(e);
        }
        let disk = self.disk();
        disk.rename(&layout::building(number), &layout::generation(number))?;
        disk.sync(&[layout::generations(), layout::staging()])?;
        let (accepted, shows) = (info.accepted.clone(), info.releases.clone());
        let from = predecessor.map(|g| g.number);
        self.switch(Event::Switch { from, to: number, rollback: false, accepted, shows }, number, now)?;
        Ok(number)
    }

    /// Makes sure that every blob of the plan is there in the form that the plan wants; gives their lengths.
    fn twins(&self, plan: &Plan, time: i64) -> Result<HashMap<Digest, u64>, SiteError> {
        let mut wanted: BTreeMap<(Digest, Form), &RelPath> = BTreeMap::new();
        for (path, entry) in plan.files() {
            if let Content::Blob { digest, executable } = &entry.content {
                wanted.entry((*digest, Form::of(*executable))).or_insert(path);
            }
        }
        let mut lens = HashMap::new();
        let mut batch: Option<Batch<'_>> = None;
        for ((digest, form), path) in wanted {
            let have = blobs::forms(self.disk(), &digest)?;
            let Some((first, len)) = have.first().copied() else {
                return Err(SiteError::MissingBlob { digest, path: Some(path.clone()) });
            };
            if have.iter().all(|(f, _)| *f != form) {
                let batch = match &mut batch {
                    Some(batch) => batch,
                    none => none.insert(self.batch(time)?),
                };
                let mut twin = batch.begin_blob(Blob { digest, len }, form == Form::Executable)?;
                copy(self.disk(), &layout::blob(&digest, first), |bytes| twin.write_all(bytes))?;
                twin.finish()?;
            }
            lens.insert(digest, len);
        }
        if let Some(batch) = batch {
            batch.commit()?;
        }
        Ok(lens)
    }

    fn build(
        &self,
        number: GenerationNumber,
        plan: &Plan,
        info: &GenerationInfo,
        predecessor: Option<&Generation>,
        lens: &HashMap<Digest, u64>,
    ) -> Result<(), SiteError> {
        let carried = match predecessor {
            Some(p) => carry(plan, self.files(p)?),
            None => Vec::new(),
        };
        let root = layout::building(number);
        remove_all(self.disk(), &root)?;
        let mut build = Build {
            disk: self.disk(),
            root,
            time: info.time,
            folders: Vec::new(),
            fresh: Vec::new(),
            listed: Vec::new(),
        };
        build.folders(plan, &carried)?;
        for (path, entry) in plan.files() {
            build.file(path, entry, lens)?;
        }
        if let Some(p) = predecessor {
            for file in carried {
                build.carried(file, &layout::generation(p.number))?;
            }
        }
        build.finish(number, info, predecessor.map(|p| p.number))
    }
}

/// The predecessor's content-named files that the plan neither has nor is in the way of. What the predecessor itself
/// had carried is not carried again, or generations would only grow.
fn carry(plan: &Plan, before: Vec<ListedFile>) -> Vec<ListedFile> {
    let candidates: Vec<ListedFile> = before.into_iter().filter(|f| f.content_named && !f.carried).collect();
    if candidates.is_empty() {
        return candidates;
    }
    let files: BTreeSet<String> = plan.files().map(|(p, _)| p.fold()).collect();
    let folders = with_parents(folders_of(plan));
    let folded: HashMap<String, &RelPath> = folders.iter().map(|p| (p.fold(), p)).collect();
    let fits = |file: &ListedFile| {
        let name = file.path.fold();
        if files.contains(&name) || folded.contains_key(&name) {
            return false;
        }
        let mut above = file.path.parent();
        while let Some(p) = above {
            if files.contains(&p.fold()) || folded.get(&p.fold()).is_some_and(|there| **there != p) {
                return false;
            }
            above = p.parent();
        }
        true
    };
    candidates.into_iter().filter(fits).collect()
}

/// These folders and all above them, in path order: parents before what is in them.
fn with_parents(folders: impl Iterator<Item = RelPath>) -> BTreeSet<RelPath> {
    let mut out = BTreeSet::new();
    for folder in folders {
        let mut at = Some(folder);
        while let Some(p) = at {
            at = p.parent();
            if !out.insert(p) {
                break; // its parents were entered with it
            }
        }
    }
    out
}

/// The folders of a plan's own.
fn folders_of(plan: &Plan) -> impl Iterator<Item = RelPath> {
    plan.files().filter_map(|(p, _)| p.parent()).chain(plan.folders().cloned())
}

/// A generation that is being built.
struct Build<'a> {
    disk: &'a dyn Disk,
    root: Place,
    time: i64,
    folders: Vec<Place>,
    fresh: Vec<Place>,
    listed: Vec<ListedFile>,
}

impl Build<'_> {
    fn folders(&mut self, plan: &Plan, carried: &[ListedFile]) -> Result<(), SiteError> {
        let all = with_parents(folders_of(plan).chain(carried.iter().filter_map(|f| f.path.parent())));
        let inner = fold(layout::INNER);
        self.folder(self.root.clone())?;
        self.folder(self.root.child(layout::INNER))?;
        for path in &all {
            if fold(path.components().next().unwrap_or_default()) == inner {
                return Err(SiteError::Reserved(path.clone()));
            }
            self.folder(self.root.below(path))?;
        }
        Ok(())
    }

    fn folder(&mut self, place: Place) -> Result<(), SiteError> {
        self.disk.make_folder(&place, layout::FOLDER_MODE)?;
        self.folders.push(place);
        Ok(())
    }

    fn file(&mut self, path: &RelPath, entry: &Entry, lens: &HashMap<Digest, u64>) -> Result<(), SiteError> {
        let place = self.root.below(path);
        let (origin, blob) = match &entry.content {
            Content::Bytes(bytes) => {
                if fold(path.as_str()) == fold(layout::INNER) {
                    return Err(SiteError::Reserved(path.clone()));
                }
                self.fresh(place, bytes)?;
                (Origin::Made, Blob::of(bytes))
            }
            Content::Blob { digest, executable } => {
                let missing = || SiteError::MissingBlob { digest: *digest, path: Some(path.clone()) };
                let blob = Blob { digest: *digest, len: *lens.get(digest).ok_or_else(missing)? };
                let form = Form::of(*executable);
                let linked = self.link_or_copy(&layout::blob(digest, form), place, blob, form.mode())?;
                let origin = match (linked, executable) {
                    (true, false) => Origin::Blob,
                    (true, true) => Origin::Executable,
                    (false, false) => Origin::Copy,
                    (false, true) => Origin::ExecutableCopy,
                };
                (origin, blob)
            }
        };
        self.listed.push(ListedFile {
            path: path.clone(),
            origin,
            sha256: blob.digest,
            len: blob.len,
            content_named: entry.content_named,
            carried: false,
        });
        Ok(())
    }

    fn carried(&mut self, file: ListedFile, from: &Place) -> Result<(), SiteError> {
        let place = self.root.below(&file.path);
        let linked = self.link_or_copy(&from.below(&file.path), place, file.blob(), file.origin.mode())?;
        let origin = match (linked, file.origin) {
            (true, origin) => origin,
            (false, Origin::Blob) => Origin::Copy,
            (false, Origin::Executable) => Origin::ExecutableCopy,
            (false, origin) => origin,
        };
        self.listed.push(ListedFile { origin, carried: true, ..file });
        Ok(())
    }

    /// A second name of `from`; a copy where the file system gives none. True for a name.
    fn link_or_copy(&mut self, from: &Place, to: Place, blob: Blob, mode: u32) -> Result<bool, SiteError> {
        use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
        match self.disk.link(from, &to) {
            Ok(()) => return Ok(true),
            // Another file system below a mount, the link limit of the file system, or the kernel's protection of files
            // that another user owns: these go away with a copy, nothing else does.
            Err(e) if matches!(e.kind(), CrossesDevices | TooManyLinks | PermissionDenied | Unsupported) => {}
            Err(e) => return Err(e.into()),
        }
        let file = self.disk.create(&to, mode)?;
        let mut hasher = Hasher::new();
        let mut at = 0;
        copy(self.disk, from, |bytes| {
            file.write_at(bytes, at)?;
            at += bytes.len() as u64;
            hasher.update(bytes);
            Ok(())
        })?;
        let have = hasher.finish();
        if have != blob {
            return Err(SiteError::damaged(from, format!("its SHA-256 is {}", have.digest)));
        }
        file.set_time(self.time).map_err(|source| DiskError {
            verb: "set the time of",
            path: self.disk.root().join(to.path()),
            source,
        })?;
        self.fresh.push(to);
        Ok(false)
    }

    fn fresh(&mut self, place: Place, bytes: &[u8]) -> Result<(), SiteError> {
        write_new(self.disk, &place, bytes, layout::FILE_MODE, self.time)?;
        self.fresh.push(place);
        Ok(())
    }

    /// Writes the list, fixes the folders' times, and makes all of it durable.
    fn finish(
        mut self,
        number: GenerationNumber,
        info: &GenerationInfo,
        predecessor: Option<GenerationNumber>,
    ) -> Result<(), SiteError> {
        self.listed.sort_by(|a, b| a.path.cmp(&b.path));
        let inner = self.root.child(layout::INNER);
        let list = lines(&self.listed, &inner)?;
        let generation = Generation {
            layout: layout::VERSION,
            number,
            predecessor,
            time: info.time,
            releases: info.releases.clone(),
            accepted: info.accepted.clone(),
            files: self.listed.len() as u64,
            bytes: self.listed.iter().map(|f| f.len).fold(0, u64::saturating_add),
            list: Digest::of(&list),
        };
        let mut text = serde_json::to_vec_pretty(&generation).map_err(|e| SiteError::damaged(&inner, e.to_string()))?;
        text.push(b'\n');
        self.fresh(inner.child(layout::INNER_FILES), &list)?;
        self.fresh(inner.child(layout::INNER_INFO), &text)?;
        for folder in &self.folders {
            self.disk.set_time(folder, self.time)?;
        }
        self.fresh.append(&mut self.folders);
        self.fresh.push(layout::staging());
        self.disk.sync(&self.fresh).map_err(SiteError::Barrier)
    }
}

fn lines(files: &[ListedFile], place: &Place) -> Result<Vec<u8>, SiteError> {
    let mut out = Vec::new();
    for file in files {
        serde_json::to_writer(&mut out, file).map_err(|e| SiteError::damaged(place, e.to_string()))?;
        out.push(b'\n');
    }
    Ok(out)
}

/// Gives all bytes of the file at `from` to `take`, piece by piece.
fn copy(disk: &dyn Disk, from: &Place, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), SiteError> {
    let file = disk.open(from)?;
    let mut buf = vec![0; COPY_BYTES];
    let mut at = 0;
    let mut run = || -> io::Result<()> {
        loop {
            let n = file.read_at(&mut buf, at)?;
            if n == 0 {
                return Ok(());
            }
            take(&buf[..n])?;
            at += n as u64;
        }
    };
    run().map_err(|source| DiskError { verb: "copy", path: disk.root().join(from.path()), source }.into())
}
