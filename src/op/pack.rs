//! *Packing* makes one bundle of what sources find.
//!
//! Inputs are read twice: the survey names every blob, the write stores it and notices what changed in between. What is kept of
//! a release that is amended is no input: its blobs are left out, or come out of its bundle.

use crate::bundle::{self, BundleError, Options, Prepared, Put, ReleaseSpec, Written};
use crate::class::{Class, Classified};
use crate::digest::Blob;
use crate::format::area::Signed;
use crate::format::root::{BaseRelease, Total};
use crate::kind::BlobReader;
use crate::model::{Catalog, Content, Context, Described, Plan, PlanError, ReleaseView, SiteConfig};
use crate::monitor::Monitor;
use crate::op::delta::{Held, Leaving, LeftOut};
use crate::op::payload;
use crate::op::predict::Prediction;
use crate::op::shrink::{Beside, Shrinking};
use crate::parallel;
use crate::relpath;
use crate::source::spool::Spools;
use crate::source::{Collected, Found, Source, SourceError, read};
use crate::target::{self, TargetError};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write};

/// Why nothing was packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// An input cannot be taken.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The bundle cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Two inputs want one place.
    #[error("two inputs want the place {place} in the site: {first} and {second}")]
    Collision {
        /// The place or the image name.
        place: String,
        /// One input.
        first: String,
        /// The other.
        second: String,
    },
    /// Two paths that cannot both be.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What was found cannot be served together.
    #[error("no site could serve what was found")]
    Target(#[from] TargetError),
    /// Nothing was found.
    #[error("there is nothing to pack in {0}")]
    Empty(String),
    /// Blobs that are kept of an old release can neither be left out nor be had.
    #[error("{} blobs that are kept of the old release are lacking on the far side and are not in the file given", .0.len())]
    Absent(Vec<Blob>),
}

impl Classified for PackError {
    fn class(&self) -> Class {
        match self {
            PackError::Source(e) => e.class(),
            // What was found does not fit the format; no bundle is damaged.
            PackError::Bundle(BundleError::Format(_)) => Class::Usage,
            PackError::Bundle(e) => e.class(),
            _ => Class::Usage,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            PackError::Source(e) => e.hint(),
            PackError::Bundle(BundleError::Format(_)) => {
                Some("leave out what the message names, or make several releases of it".into())
            }
            PackError::Bundle(e) => e.hint(),
            PackError::Collision { .. } | PackError::Plan(_) | PackError::Target(_) => {
                Some("rename one of them or give it another prefix in the packing list".into())
            }
            PackError::Absent(_) => {
                Some("give --amend the whole bundle of the old release, or pack from the inputs".into())
            }
            PackError::Empty(_) => Some("check the folder and the patterns of the packing list".into()),
        }
    }
}

/// What a survey found.
#[derive(Default)]
pub struct Survey<'a> {
    found: Vec<Found>,
    kept: Vec<Described>,
    old: Option<&'a dyn BlobReader>,
    spools: Spools,
    /// What the user should know of the inputs, sorted.
    pub notes: Vec<String>,
}

/// Reads every input once.
pub fn survey(
    sources: &[Box<dyn Source>],
    threads: usize,
    monitor: &dyn Monitor,
) -> Result<Survey<'static>, PackError> {
    monitor.phase("reading inputs", None);
    let collector = Collected::default();
    // Together, so that no thread is idle while one source reads its last file; the first error in order is the one told.
    let all = || sources.par_iter().map(|s| s.survey(&collector, monitor)).collect::<Vec<_>>();
    let surveyed = match rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build() {
        Ok(pool) => pool.install(all),
        Err(_) => sources.iter().map(|s| s.survey(&collector, monitor)).collect(),
    };
    surveyed.into_iter().collect::<Result<(), _>>()?;
    let (mut found, mut notes, spools) = collector.into_all();
    notes.sort();
    notes.dedup();
    if found.is_empty() {
        let all: Vec<String> = sources.iter().map(|s| s.describe()).collect();
        return Err(PackError::Empty(all.join(", ")));
    }
    found.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.origins.cmp(&b.origins)));
    found.dedup_by(|b, a| a.described == b.described);
    check_places(&found)?;
    Ok(Survey { found, kept: Vec::new(), old: None, notes, spools })
}

fn key(f: &Found) -> (&'static str, &relpath::RelPath, Option<&relpath::RelPath>, &str, Option<&crate::digest::Blob>) {
    f.described.artifact.sort_key()
}

/// Collisions are found here, where both inputs can be named.
fn check_places(found: &[Found]) -> Result<(), PackError> {
    let mut taken: BTreeMap<String, &Found> = BTreeMap::new();
    let mut plan = Plan::new();
    for f in found {
        let a = &f.described.artifact;
        let place = match &a.path {
            Some(path) => format!("{}/{path}", a.root),
            None => a.name.clone(),
        };
        if let Some(other) = taken.insert(relpath::fold(&place), f) {
            return Err(PackError::Collision { place, first: describe(other), second: describe(f) });
        }
        if let Some(Ok(place)) = a.place() {
            plan.add(place, Content::Bytes(Vec::new()))?; // also finds a file where another needs a folder
        }
    }
    Ok(())
}

fn describe(f: &Found) -> String {
    let a = &f.described.artifact;
    let from = a.blobs.first().and_then(|b| f.origins.get(b));
    match from {
        Some(crate::source::Origin::File(path)) => path.display().to_string(),
        Some(crate::source::Origin::Member { archive, .. }) => archive.display().to_string(),
        _ => format!("{} {} ({})", a.kind, a.name, a.label("origin").unwrap_or("no origin")),
    }
}

impl<'a> Survey<'a> {
    /// The artifacts, in the release's order.
    pub fn artifacts(&self) -> Vec<Described> {
        let mut all: Vec<Described> = self.found.iter().map(|f| &f.described).chain(&self.kept).cloned().collect();
        all.sort_by(|a, b| a.artifact.sort_key().cmp(&b.artifact.sort_key()));
        all
    }

    /// With artifacts that are kept of another release; what was found has none of their places. `old` gives those of their
    /// blobs that the far side lacks.
    pub fn keeping(self, kept: Vec<Described>, old: Option<&'a dyn BlobReader>) -> Survey<'a> {
        Survey { kept, old, ..self }
    }

    /// Blobs that only kept artifacts have, in the order of their digests.
    fn only_kept(&self) -> Vec<Blob> {
        let blobs = |d: &Described| d.artifact.blobs.clone();
        let found: BTreeSet<Blob> = self.found.iter().flat_map(|f| blobs(&f.described)).collect();
        let kept: BTreeSet<Blob> = self.kept.iter().flat_map(blobs).collect();
        kept.difference(&found).copied().collect()
    }

    /// Root and sections of the release. What no site could serve is refused here, not on the far side of the gap.
    pub fn prepare(&self, spec: &ReleaseSpec) -> Result<Prepared, PackError> {
        let view = ReleaseView {
            stream: spec.stream.clone(),
            epoch: spec.epoch,
            sequence: spec.sequence,
            latest: true,
            artifacts: self.artifacts(),
        };
        target::plan(&Catalog { releases: vec![view] }, &Context { config: &SiteConfig::default(), time: 0 })?;
        Ok(bundle::prepare(spec, self.artifacts())?)
    }

    /// Writes the bundle, without the blobs that the far side has.
    pub fn write(
        &self,
        prepared: &Prepared,
        beside: Beside<'_>,
        threads: usize,
        out: &mut dyn Write,
        monitor: &dyn Monitor,
        sign: impl FnOnce(&bundle::Ids) -> Result<Vec<Signed>, BundleError>,
    ) -> Result<Written, PackError> {
        let payload = payload::order(&self.found)?;
        let kept = self.only_kept();
        let gone: Vec<Blob> = kept.iter().filter(|b| b.len > 0 && !beside.held.has(b)).copied().collect();
        if !gone.is_empty() && self.old.is_none() {
            return Err(PackError::Absent(gone));
        }
        monitor.phase("packing", Some(prepared.root.bytes));
        let Beside { held, pairs, small } = beside;
        let against = held.left_out(prepared.blobs()).map(|l| l.against).unwrap_or_default();
        let options = Options { threads, level: crate::codec::block::LEVEL, against: &against };
        let feed = |put: &mut dyn Put| {
            let mut shrinking = Shrinking { put, pairs, threads, small, found: Vec::new() };
            let mut leaving = Leaving { put: &mut shrinking, held };
            kept.iter().try_for_each(|blob| keep(blob, held, self.old, &mut leaving))?;
            payload.feed(&self.spools, &mut leaving)
        };
        Ok(bundle::write(out, prepared, options, monitor, feed, sign)?)
    }
}

/// Leaves a blob of a kept artifact out, or takes it out of the old release's bundle.
fn keep(blob: &Blob, held: &Held, old: Option<&dyn BlobReader>, put: &mut dyn Put) -> Result<(), BundleError> {
    let what = format!("{} of the old release", blob.digest.short());
    if held.has(blob) {
        return put.leave_out(blob, &what);
    }
    let Some(old) = old.filter(|_| blob.len > 0) else { return put.put(blob, &what, false, &mut io::empty()) };
    let input = |source| BundleError::Input { what: what.clone(), source };
    let mut bytes = old.open(blob).map_err(|e| input(io::Error::other(e)))?;
    let mut head = Vec::new();
    (&mut bytes).take(8).read_to_end(&mut head).map_err(input)?;
    put.put(blob, &what, read::is_compressed(&head), &mut head.as_slice().chain(bytes))
}

/// What was amended, and how.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AmendReport {
    /// The old release.
    pub of: BaseRelease,
    /// Why, in the packer's words.
    pub reason: String,
    /// Artifacts that were taken away.
    pub removed: Vec<String>,
    /// Artifacts in whose place others are now.
    pub replaced: Vec<String>,
    /// Artifacts that were added, those in others' places too.
    pub added: u64,
}

/// What was packed, for people and `--json`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PackReport {
    /// The release id.
    pub release: crate::digest::Digest,
    /// The carriage id.
    pub carriage: crate::digest::Digest,
    /// The stream.
    pub stream: String,
    /// Its epoch.
    pub epoch: u64,
    /// The sequence.
    pub sequence: u64,
    /// Totals per kind.
    pub totals: Vec<Total>,
    /// Blobs and their bytes.
    pub blobs: u64,
    /// See `blobs`.
    pub bytes: u64,
    /// Bytes of the bundle.
    pub bundle_bytes: u64,
    /// Whether it was kept; not so after a dry run.
    pub written: bool,
    /// What its unpack will take.
    pub unpack: Prediction,
    /// What a delta leaves out; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// What was amended; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amends: Option<AmendReport>,
    /// What the user should know of the inputs.
    pub notes: Vec<String>,
}

impl PackReport {
    /// From what was prepared and written; `kept` says whether the bundle was kept.
    pub fn new(prepared: &Prepared, written: &Written, kept: bool, held: &Held) -> PackReport {
        let root = &prepared.root;
        PackReport {
            release: prepared.id,
            carriage: written.ids.carriage,
            stream: root.stream.clone(),
            epoch: root.epoch,
            sequence: root.sequence,
            totals: root.totals.clone(),
            blobs: root.blobs,
            bytes: root.bytes,
            bundle_bytes: written.len,
            written: kept,
            unpack: Prediction::new(&written.work),
            left_out: held.left_out(prepared.blobs()),
            amends: None,
            notes: Vec::new(),
        }
    }
}

/// Threads to use: what was asked for, or all.
pub fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(parallel::default_threads).clamp(1, 256)
}
