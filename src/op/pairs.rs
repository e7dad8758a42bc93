//! *Pairs* say which old content a new blob is compared with.
//!
//! They compare no bytes: a bad choice makes a delta larger, never wrong. See `spec/rationale.md`, section "Deltas".

use crate::digest::Blob;
use crate::kind::BlobReader;
use crate::model::{Artifact, Described, Kind};
use crate::op::delta::Held;
use std::collections::{BTreeMap, BTreeSet};

/// Blobs below that are not worth the rows of an index.
const LEAST: u64 = 4 << 10;

/// Old content: what a release has, and what gives its bytes.
pub struct Old<'a> {
    /// Its artifacts.
    pub artifacts: Vec<Described>,
    /// Its blobs.
    pub blobs: &'a dyn BlobReader,
}

/// For each new blob the old one that it is compared with.
pub struct Pairs<'a> {
    of: BTreeMap<Blob, (Blob, &'a dyn BlobReader)>,
}

/// What an artifact is called whatever its version, and its blobs.
fn place(a: &Artifact) -> (String, &[Blob]) {
    let digits = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            match c.is_ascii_digit() {
                true if out.ends_with('#') => {}
                true => out.push('#'),
                false => out.push(c),
            }
        }
        out
    };
    let arch = a.arch.as_deref().unwrap_or_default();
    let name = match a.kind {
        Kind::Image => {
            a.name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(a.name.as_str(), |(n, _)| n)
        }
        _ => a.name.as_str(),
    };
    let key = match (a.kind, &a.path) {
        (Kind::File | Kind::Repodata, Some(path)) => digits(&format!("{} {}/{path}", a.kind, a.root)),
        _ => format!("{} {name} {arch}", a.kind),
    };
    (key, &a.blobs)
}

impl<'a> Pairs<'a> {
    /// Pairs blobs of artifacts of one name: what changed there, in order, or the nearest in size.
    pub fn new(old: &'a [Old<'a>], new: &[Described], held: &Held) -> Pairs<'a> {
        let wanted = |b: &&Blob| b.len >= LEAST;
        let of_new: BTreeSet<Blob> = new.iter().flat_map(|d| d.artifact.blobs.iter().copied()).collect();
        let mut by_place: BTreeMap<String, Vec<(Blob, &'a dyn BlobReader)>> = BTreeMap::new();
        for release in old {
            for d in &release.artifacts {
                let (key, blobs) = place(&d.artifact);
                let gone = blobs.iter().filter(wanted).filter(|b| !of_new.contains(b) && held.has(b));
                by_place.entry(key).or_default().extend(gone.map(|b| (*b, release.blobs)));
            }
        }
        let mut of = BTreeMap::new();
        for d in new {
            let (key, blobs) = place(&d.artifact);
            let fresh: Vec<&Blob> = blobs.iter().filter(wanted).filter(|b| !held.has(b)).collect();
            let Some(candidates) = by_place.get(&key) else { continue };
            for (n, blob) in fresh.iter().enumerate() {
                let nearest = || candidates.iter().min_by_key(|(b, _)| b.len.abs_diff(blob.len));
                let same = candidates.get(n).filter(|_| candidates.len() == fresh.len());
                if let Some(found) = same.or_else(nearest) {
                    of.entry(**blob).or_insert(*found);
                }
            }
        }
        Pairs { of }
    }

    /// The old blob to compare `new` with, and what gives its bytes.
    pub fn of(&self, new: &Blob) -> Option<(Blob, &'a dyn BlobReader)> {
        self.of.get(new).copied()
    }

    /// Whether there is nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}
