//! A *delta* is packed by leaving out what the far side has; what it turns out to lack there is a *need-list*.
//!
//! Which bytes resemble which is not decided here. Specified in `spec/bundle.md`, section "Deltas".

use crate::bundle::{Bundle, BundleError, Medium, Put, ReadyBlock};
use crate::digest::{Blob, Digest};
use crate::format::root::BaseRelease;
use crate::format::section::Segment;
use crate::kind::{BlobReader, KindError, ReadAt, ReadSeek};
use crate::model::{Artifact, Described};
use crate::op::have::{self, Have};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Blobs that the far side has.
#[derive(Clone, Debug, Default)]
pub struct Held {
    blobs: BTreeSet<Blob>,
    releases: BTreeSet<BaseRelease>,
}

/// What a delta leaves out.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// The releases that it builds on.
    pub against: Vec<BaseRelease>,
    /// Blobs that are left out whole.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Held {
    /// All blobs of a release that the far side has unpacked, from a bundle of it or an index.
    pub fn add<M: Medium, T>(&mut self, bundle: &Bundle<M, T>) -> Result<(), BundleError> {
        self.blobs.extend(bundle.blobs()?.into_iter().filter(|b| b.len > 0));
        self.releases.insert(bundle.named());
        Ok(())
    }

    /// What sites say that they have: only what all of them have counts, whatever releases were added.
    pub fn restrict(&mut self, sites: &[Have]) {
        if let Some(common) = have::common(sites) {
            self.blobs = common;
            self.releases.extend(have::heads(sites));
        }
    }

    /// What a need-list names is not there after all, nor anything that would be made of it.
    pub fn remove(&mut self, need: &NeedList) {
        let gone: BTreeSet<Digest> =
            need.lacking.iter().flat_map(|l| l.makes.iter().copied().chain([l.digest])).collect();
        self.blobs.retain(|b| !gone.contains(&b.digest));
    }

    /// Whether the far side has the blob.
    pub fn has(&self, blob: &Blob) -> bool {
        self.blobs.contains(blob)
    }

    /// The releases, sorted.
    pub fn releases(&self) -> Vec<BaseRelease> {
        self.releases.iter().cloned().collect()
    }

    /// What is left out of a release with these blobs; `None` where nothing is.
    pub fn left_out(&self, blobs: &[Blob]) -> Option<LeftOut> {
        let out: Vec<&Blob> = blobs.iter().filter(|b| self.has(b)).collect();
        let bytes = out.iter().map(|b| b.len).fold(0, u64::saturating_add);
        (!out.is_empty()).then(|| LeftOut { against: self.releases(), blobs: out.len() as u64, bytes })
    }
}

/// Blobs of several readers.
pub struct Several<'a>(pub Vec<&'a dyn BlobReader>);

impl BlobReader for Several<'_> {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        let found = self.0.iter().find(|r| r.find(&blob.digest) == Some(*blob));
        found.ok_or(KindError::MissingBlob(blob.digest))?.open(blob)
    }
    fn open_at(&self, blob: &Blob) -> Result<Option<Box<dyn ReadAt>>, KindError> {
        let found = self.0.iter().find(|r| r.find(&blob.digest) == Some(*blob));
        found.ok_or(KindError::MissingBlob(blob.digest))?.open_at(blob)
    }
    fn find(&self, digest: &Digest) -> Option<Blob> {
        self.0.iter().find_map(|r| r.find(digest))
    }
}

/// Puts what the far side lacks, and leaves out the rest.
pub(super) struct Leaving<'a, 'p> {
    pub put: &'a mut (dyn Put + 'p),
    pub held: &'a Held,
}

impl Put for Leaving<'_, '_> {
    fn put(&mut self, blob: &Blob, what: &str, verbatim: bool, bytes: &mut dyn Read) -> Result<(), BundleError> {
        match self.held.has(blob) {
            true => self.put.leave_out(blob, what),
            false => self.put.put(blob, what, verbatim, bytes),
        }
    }
    fn leave_out(&mut self, blob: &Blob, what: &str) -> Result<(), BundleError> {
        self.put.leave_out(blob, what)
    }
    fn put_block(&mut self, block: ReadyBlock) -> Result<u64, BundleError> {
        self.put.put_block(block)
    }
    fn put_recipe(&mut self, blob: &Blob, what: &str, segments: Vec<Segment>) -> Result<(), BundleError> {
        self.put.put_recipe(blob, what, segments)
    }
}

/// What a site would need to have before it can unpack a delta.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NeedList {
    /// The release that the delta carries.
    pub release: Digest,
    /// Its stream.
    pub stream: String,
    /// Its epoch.
    pub epoch: u64,
    /// Its sequence.
    pub sequence: u64,
    /// Releases that carried the blobs, as the delta says.
    pub against: Vec<BaseRelease>,
    /// The blobs, by digest.
    pub lacking: Vec<Lacking>,
}

/// A blob that is not there, or not as it should be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lacking {
    /// Its digest.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
    /// Artifacts of the release that need it.
    pub artifacts: Vec<String>,
    /// Blobs of the release that are, or are made of, it.
    pub makes: Vec<Digest>,
}

impl NeedList {
    /// Of the blobs that `bundle` builds on and that are lacking.
    pub fn new<M: Medium, T: Sync>(
        bundle: &Bundle<M, T>,
        artifacts: &[Described],
        lacking: &[Blob],
    ) -> Result<NeedList, BundleError> {
        let uses: BTreeMap<Blob, Vec<Blob>> = bundle.bases()?.into_iter().map(|u| (u.base, u.makes)).collect();
        let mut named: BTreeMap<Blob, Vec<String>> = BTreeMap::new();
        for artifact in artifacts.iter().map(|d| &d.artifact) {
            artifact.blobs.iter().for_each(|b| named.entry(*b).or_default().push(name(artifact)));
        }
        let item = |blob: &Blob| {
            let makes = uses.get(blob).cloned().unwrap_or_default();
            let artifacts: BTreeSet<String> = makes.iter().filter_map(|b| named.get(b)).flatten().cloned().collect();
            Lacking {
                digest: blob.digest,
                bytes: blob.len,
                artifacts: artifacts.into_iter().collect(),
                makes: makes.iter().map(|b| b.digest).collect(),
            }
        };
        let root = &bundle.release;
        Ok(NeedList {
            release: bundle.ids().release,
            stream: root.stream.clone(),
            epoch: root.epoch,
            sequence: root.sequence,
            against: bundle.carriage.against.clone().unwrap_or_default(),
            lacking: lacking.iter().map(item).collect(),
        })
    }

    /// From the JSON of a list, or of a refusal that has one under `need`.
    pub fn parse(json: &str) -> Result<NeedList, serde_json::Error> {
        #[derive(Deserialize)]
        struct Refusal {
            need: NeedList,
        }
        serde_json::from_str::<Refusal>(json).map(|r| r.need).or_else(|_| serde_json::from_str(json))
    }
}

/// What people call an artifact.
pub(super) fn name(a: &Artifact) -> String {
    let version = a.version.as_ref().map(|v| format!(" {v}")).unwrap_or_default();
    match &a.path {
        Some(path) => format!("{} {}/{path}{version}", a.kind, a.root),
        None => format!("{} {}{version}", a.kind, a.name),
    }
}

impl std::fmt::Display for NeedList {
    /// One line for each blob and each release.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for l in &self.lacking {
            let shown = l.artifacts.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            let more = l.artifacts.len().saturating_sub(3);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(f, "needed  {} {} bytes, for {shown}{more}", l.digest.oci(), l.bytes)?;
        }
        for r in &self.against {
            writeln!(f, "carried by release {} ({} epoch {} sequence {})", r.release, r.stream, r.epoch, r.sequence)?;
        }
        Ok(())
    }
}
