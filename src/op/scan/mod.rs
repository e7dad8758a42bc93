//! To *scan* a release is to lay its blobs out as plain files for a virus scanner, before anybody approves it.
//!
//! A seal is required, for pouch reads nothing that nobody vouches for; approvals are not, for they come after the scan.
//! What this makes is not a site and cannot become one: [`Vouched`] lets a bundle be laid out here and nowhere else.
//! Specified in `spec/desk.md`, section "The scan folder".

use crate::bundle::{BlobSink, Bundle, BundleError, Extractor, Medium, Sealed, Workplace};
use crate::class::{Class, Classified};
use crate::digest::{Blob, Digest};
use crate::format::area::Signed;
use crate::model::{Artifact, Described};
use crate::monitor::Monitor;
use crate::op::diff::missing;
use crate::op::seal;
use crate::trust::order::OrderState;
use crate::trust::verify::{SealedBy, Subject, verify};
use crate::trust::{PolicyChain, TrustError};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

mod archive;
mod expand;
mod folder;
mod set_id;
mod stream;
#[cfg(test)]
mod tests;

pub use expand::{Bounds, Expanded};
use expand::{Expander, Job};
use folder::{Folder, Names, Owner, Row, Writer};
pub use folder::{MAP, SUMS};
pub use set_id::{Container, Inside, Opened, Unopened, look};

/// Why a release cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The bundle is not what it should be.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No seal counts.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The folder cannot be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The folder has files of somebody else.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The disk is too small.
    #[error("{need} bytes are to be written and {free} are free")]
    Space {
        /// Bytes of the blobs.
        need: u64,
        /// Bytes that are free.
        free: u64,
    },
}

impl Classified for ScanError {
    fn class(&self) -> Class {
        match self {
            ScanError::Bundle(e) => e.class(),
            ScanError::Trust(e) => e.class(),
            ScanError::Io { .. } | ScanError::Space { .. } => Class::Failed,
            ScanError::NotEmpty(_) => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ScanError::Bundle(e) => e.hint(),
            ScanError::Trust(e) => e.hint(),
            ScanError::NotEmpty(_) => Some("name a folder that is not there yet".into()),
            ScanError::Io { .. } | ScanError::Space { .. } => None,
        }
    }
}

/// A seal that counts: enough for looking and scanning, never for importing. Only [`vouch`] makes one.
pub struct Vouched {
    by: SealedBy,
    missing: Vec<String>,
}

impl Vouched {
    /// Who sealed it.
    pub fn sealed(&self) -> &SealedBy {
        &self.by
    }

    /// Why a site would not take the release, as things stand.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

/// Opens a bundle that somebody sealed who may. `outside`: statements that are not in the file.
pub fn vouch<M: Medium>(
    medium: M,
    outside: &[Signed],
    policy: &PolicyChain,
    now: i64,
) -> Result<Bundle<M, Vouched>, ScanError> {
    let sealed = Sealed::open(medium)?;
    let statements: Vec<Signed> = sealed.statements().iter().chain(outside).cloned().collect();
    let ids = sealed.ids();
    let state = OrderState::default();
    let latest = policy.walk(&statements, &state).pop();
    let policy = latest.as_ref().unwrap_or(policy).policy();
    let subject = Subject { release_id: ids.release, carriage_id: Some(ids.carriage) };
    let vouched = match verify(&subject, &statements, policy, &state, now) {
        Ok(verdict) => Vouched { by: verdict.sealed, missing: vec![] },
        Err(TrustError::Refused(refusal)) => match refusal.sealed.clone() {
            Some(by) => Vouched { by, missing: refusal.reasons.iter().map(ToString::to_string).collect() },
            None => return Err(TrustError::Refused(refusal).into()),
        },
        Err(e) => return Err(e.into()),
    };
    let bundle = Bundle::parse(sealed, vouched)?;
    seal::agrees(&bundle.trust.by.seal, &bundle.release, ids.release).map_err(BundleError::from)?;
    Ok(bundle)
}

/// How to lay a release out.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Blobs of these artifacts are left out: those of a release that was scanned before.
    pub known: Option<&'a [Described]>,
    /// What gives the blobs that a delta builds on.
    pub work: Workplace<'a>,
    /// Open archives, within bounds.
    pub expand: Option<Bounds>,
    /// Threads.
    pub threads: usize,
}

/// What was laid out.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ScanReport {
    /// The release id.
    pub release: Digest,
    /// The stream.
    pub stream: String,
    /// Its epoch.
    pub epoch: u64,
    /// The sequence.
    pub sequence: u64,
    /// Who sealed it.
    pub sealer: String,
    /// Why a site would not take it, as things stand.
    pub missing: Vec<String>,
    /// Artifacts that have a blob here.
    pub artifacts: u64,
    /// Files of blobs.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were left out because they are known.
    pub known_blobs: u64,
    /// Their bytes.
    pub known_bytes: u64,
    /// What came out of archives; absent where they were not opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expanded: Option<Expanded>,
}

impl ScanReport {
    /// Whether all is there that was asked for; `false` where a bound ended the expanding.
    pub fn is_whole(&self) -> bool {
        self.expanded.as_ref().is_none_or(|e| e.bounded_by.is_empty())
    }
}

/// Lays a release out in `dir`, which must be empty or absent.
pub fn scan<M: Medium>(
    bundle: &Bundle<M, Vouched>,
    dir: &Path,
    options: Options<'_>,
    monitor: &dyn Monitor,
) -> Result<ScanReport, ScanError> {
    let artifacts = bundle.artifacts()?;
    bundle.check_tables()?;
    let wanted = match options.known {
        Some(known) => missing(&artifacts, known),
        None => bundle.blobs()?.into_iter().collect(),
    };
    let bytes = wanted.iter().map(|b| b.len).fold(0, u64::saturating_add);
    let mut folder = Folder::create(dir)?;
    if let Some(free) = folder.free().filter(|free| *free < bytes) {
        return Err(ScanError::Space { need: bytes, free });
    }
    let rows = rows(&artifacts, &wanted);
    let paths: BTreeMap<Blob, String> = rows.iter().rev().map(|r| (r.blob, r.path.clone())).collect();
    bundle.lay_out(&mut folder, &paths, options, monitor)?;
    let mut entered = BTreeSet::new();
    for row in &rows {
        row.enter(&mut folder, entered.insert(row.blob))?;
    }
    let expanded = options.expand.map(|bounds| expand(&mut folder, &rows, bounds, monitor)).transpose()?;
    folder.finish()?;
    let (all, release) = (&bundle.release, bundle.ids().release);
    let by = &bundle.trust.by;
    Ok(ScanReport {
        release,
        stream: all.stream.clone(),
        epoch: all.epoch,
        sequence: all.sequence,
        sealer: format!("{} (key {})", by.owner, by.key.key_id()),
        missing: bundle.trust.missing.clone(),
        artifacts: artifacts.iter().filter(|d| d.artifact.blobs.iter().any(|b| wanted.contains(b))).count() as u64,
        files: wanted.len() as u64,
        bytes,
        known_blobs: all.blobs.saturating_sub(wanted.len() as u64),
        known_bytes: all.bytes.saturating_sub(bytes),
        expanded,
    })
}

/// A blob of an artifact and the file it becomes.
struct Laid {
    what: &'static str,
    path: String,
    blob: Blob,
    owner: Rc<Owner>,
    mode: Option<u32>,
}

impl Laid {
    fn enter(&self, folder: &mut Folder, is_new: bool) -> Result<(), ScanError> {
        let path = if self.blob.len > 0 { self.path.as_str() } else { "" };
        let row = Row {
            what: self.what,
            path,
            blob: Some(self.blob),
            mode: self.mode,
            owner: &self.owner,
            container: "",
            member: b"",
            note: b"",
        };
        folder.enter(&row, is_new)
    }
}

/// A line for every artifact and each of its wanted blobs; one file for each blob, named by the first that has it.
fn rows(artifacts: &[Described], wanted: &BTreeSet<Blob>) -> Vec<Laid> {
    let mut names = Names::default();
    let mut paths: BTreeMap<Blob, String> = BTreeMap::new();
    let mut out = Vec::new();
    for a in artifacts.iter().map(|d| &d.artifact) {
        let owner = Rc::new(owner(a));
        for (n, blob) in a.blobs.iter().enumerate().filter(|(_, b)| wanted.contains(b)) {
            let place = a.place().and_then(Result::ok).filter(|_| n == 0);
            let path = paths.entry(*blob).or_insert_with(|| match &place {
                Some(place) => names.place(place),
                None => Names::blob(&blob.digest),
            });
            let what = if n == 0 { "artifact" } else { "blob" };
            let mode = place.is_some().then_some(if a.executable { 0o755 } else { 0o644 });
            out.push(Laid { what, path: path.clone(), blob: *blob, owner: owner.clone(), mode });
        }
    }
    out
}

fn owner(a: &Artifact) -> Owner {
    let place = a.place().and_then(Result::ok).unwrap_or_else(|| a.root.clone());
    Owner {
        kind: a.kind,
        name: a.name.clone(),
        version: a.version.clone().unwrap_or_default(),
        place: place.to_string(),
    }
}

fn expand(folder: &mut Folder, rows: &[Laid], bounds: Bounds, monitor: &dyn Monitor) -> Result<Expanded, ScanError> {
    monitor.phase("expanding", Some(rows.iter().map(|r| r.blob.len).fold(0, u64::saturating_add)));
    let mut expander = Expander::new(folder, bounds);
    let mut seen = BTreeSet::new();
    for row in rows {
        monitor.advance(row.blob.len);
        if row.blob.len > 0 && seen.insert(row.blob) {
            expander.run(Job { path: row.path.clone(), depth: 0, owner: row.owner.clone() })?;
        }
    }
    Ok(expander.finish())
}

impl<M: Medium> Bundle<M, Vouched> {
    /// Writes the blobs of `paths`. All of them come in one pass; some of them block by block, because a blob may need
    /// chunks of one that is left out.
    fn lay_out(
        &self,
        folder: &mut Folder,
        paths: &BTreeMap<Blob, String>,
        options: Options<'_>,
        monitor: &dyn Monitor,
    ) -> Result<(), ScanError> {
        if options.known.is_none() {
            let mut sink = FolderSink { folder, paths, open: None };
            self.materialize_into(&mut sink, options.work, options.threads, monitor)?;
            return Ok(());
        }
        monitor.phase("extracting", Some(paths.keys().map(|b| b.len).fold(0, u64::saturating_add)));
        let extractor = Extractor::new(self, options.work)?;
        let mut order: Vec<(&Blob, &String)> = paths.iter().collect();
        order.sort_by_key(|(blob, _)| extractor.position(blob));
        for (blob, path) in order {
            let mut out = Failing { writer: folder.begin(path.clone()), failed: None };
            let copied = extractor.copy(blob, &mut out);
            if let Some(e) = out.failed {
                return Err(e);
            }
            copied?;
            out.writer.finish()?;
            monitor.advance(blob.len);
        }
        Ok(())
    }
}

/// Puts blobs into the folder.
struct FolderSink<'a> {
    folder: &'a mut Folder,
    paths: &'a BTreeMap<Blob, String>,
    open: Option<Writer>,
}

impl BlobSink for FolderSink<'_> {
    type Error = ScanError;

    fn wants(&mut self, blob: &Blob) -> Result<bool, ScanError> {
        Ok(self.paths.contains_key(blob))
    }

    fn begin(&mut self, blob: &Blob) -> Result<(), ScanError> {
        self.open = self.paths.get(blob).map(|path| self.folder.begin(path.clone()));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        self.open.as_mut().map_or(Ok(()), |open| open.write(bytes))
    }

    fn finish(&mut self, blob: &Blob) -> Result<bool, ScanError> {
        match self.open.take() {
            Some(open) => Ok(open.finish()?.1 == *blob),
            None => Ok(false),
        }
    }

    fn read_back(&mut self, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), ScanError> {
        let path = self.paths.get(blob).map(String::as_str).unwrap_or_default();
        if let Some(open) = self.open.as_mut().filter(|open| open.path() == path) {
            open.flush()?;
        }
        self.folder.read_at(path, offset, buf)
    }
}

/// A writer whose own error is kept, where `io::Write` would make another one of it.
struct Failing {
    writer: Writer,
    failed: Option<ScanError>,
}

impl io::Write for Failing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf).map(|()| buf.len()).map_err(|e| {
            self.failed = Some(e);
            io::Error::other("the scan folder cannot be written")
        })
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
