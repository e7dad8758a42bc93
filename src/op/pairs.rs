//! *Pairs* say which old content a new blob is compared with: what shares most marks with it, else what has its name.
//!
//! They compare no bytes: a bad choice makes a delta larger, never wrong. See `spec/rationale.md`, section "Deltas".

use super::apart::Apart;
use super::resemble::Table;
use super::units::Look;
use crate::bundle::BundleError;
use crate::digest::Blob;
use crate::kind::{BlobReader, KindError};
use crate::model::{Artifact, Described, Kind};
use crate::op::delta::Held;
use crate::parallel;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blobs below that are not worth the rows of an index.
const LEAST: u64 = 4 << 10;
/// Old content without the new one's name is at most so many times as long, and that much longer.
const TIMES: u64 = 16;
const AND: u64 = 1 << 20;
/// Bytes of old blobs that are looked at together.
const TOGETHER: u64 = 1 << 30;
/// Old contents that stay expanded, and the bytes that those may take of the disk.
const OPEN: usize = 8;
const OPEN_BYTES: u64 = 2 << 30;

/// Old content: what a release has, and what gives its bytes.
pub struct Old<'a> {
    /// Its artifacts.
    pub artifacts: Vec<Described>,
    /// Its blobs.
    pub blobs: &'a dyn BlobReader,
}

/// How much old content is held in memory at once.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Old contents of at most so many bytes together are taken whole.
    pub whole: u64,
    /// Of longer ones the units that go with a block of new content take at most about so many bytes, ...
    pub block: u64,
    /// ... and those that go with blocks that are compared together so many.
    pub run: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { whole: 1 << 30, block: 64 << 20, run: 512 << 20 }
    }
}

/// An old blob that the new release does not have.
struct Gone<'a> {
    blob: Blob,
    blobs: &'a dyn BlobReader,
}

/// For each new blob the old ones that it is compared with.
pub struct Pairs<'a> {
    gone: Vec<Gone<'a>>,
    /// By new blob: what has its name, the one in its place first.
    named: BTreeMap<Blob, Vec<usize>>,
    /// Made when it is first asked for.
    table: Mutex<Option<Arc<Table>>>,
    /// Old contents that were used lately, the last one last.
    open: Mutex<VecDeque<(usize, u64, Arc<Apart>)>>,
    /// How much is held in memory.
    pub bounds: Bounds,
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

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Pairs<'a> {
    /// Sees which old blobs are gone, and pairs those of artifacts of one name: what changed there, in order, or the nearest
    /// in size. Nothing is read yet.
    pub fn new(old: &'a [Old<'a>], new: &[Described], held: &Held) -> Pairs<'a> {
        let wanted = |b: &&Blob| b.len >= LEAST;
        let of_new: BTreeSet<Blob> = new.iter().flat_map(|d| d.artifact.blobs.iter().copied()).collect();
        let mut by_place: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let (mut gone, mut numbers) = (Vec::new(), BTreeMap::new());
        for release in old {
            for d in &release.artifacts {
                let (key, blobs) = place(&d.artifact);
                let may = |b: &&Blob| !of_new.contains(b) && held.has(b) && release.blobs.find(&b.digest) == Some(**b);
                for blob in blobs.iter().filter(wanted).filter(may) {
                    let number = *numbers.entry(*blob).or_insert_with(|| {
                        gone.push(Gone { blob: *blob, blobs: release.blobs });
                        gone.len() - 1
                    });
                    by_place.entry(key.clone()).or_default().push(number);
                }
            }
        }
        let mut named: BTreeMap<Blob, Vec<usize>> = BTreeMap::new();
        for d in new {
            let (key, blobs) = place(&d.artifact);
            let fresh: Vec<&Blob> = blobs.iter().filter(wanted).filter(|b| !held.has(b)).collect();
            let Some(candidates) = by_place.get(&key) else { continue };
            let far = |n: &usize, blob: &Blob| gone.get(*n).map_or(0, |g| g.blob.len.abs_diff(blob.len));
            for (n, blob) in fresh.iter().enumerate() {
                let nearest = || candidates.iter().min_by_key(|c| far(c, blob));
                let same = candidates.get(n).filter(|_| candidates.len() == fresh.len());
                let first = same.or_else(nearest).copied();
                named.entry(**blob).or_default().extend(first.into_iter().chain(candidates.iter().copied()));
            }
        }
        Pairs { gone, named, table: Mutex::default(), open: Mutex::default(), bounds: Bounds::default() }
    }

    /// Whether there is nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty()
    }

    /// Whether a new blob is to be looked at at all.
    pub fn may_have(&self, new: &Blob) -> bool {
        new.len >= LEAST && !self.gone.is_empty()
    }

    /// Numbers of the old blobs to compare `new` with, the most similar first. `look` is what is known of it.
    pub(super) fn of(&self, new: &Blob, look: &Look, threads: usize) -> Result<Vec<usize>, BundleError> {
        let table = self.table(threads)?;
        let named = self.named.get(new).map_or(&[][..], Vec::as_slice);
        let most = look.len.saturating_mul(TIMES).saturating_add(AND);
        let may = |n: usize| named.contains(&n) || table.len_of(n) <= most;
        let rank = |n: usize| {
            let far = self.gone.get(n).map_or(u64::MAX, |g| g.blob.len.abs_diff(new.len));
            (named.contains(&n), Reverse(far), Reverse(n))
        };
        let found = table.most_similar(&look.marks, &may, &rank);
        Ok(if found.is_empty() { named.first().copied().into_iter().collect() } else { found })
    }

    /// What old contents have: read once, in their order, and looked at on several threads.
    pub(super) fn table(&self, threads: usize) -> Result<Arc<Table>, BundleError> {
        let mut made = lock(&self.table);
        if let Some(table) = made.as_ref() {
            return Ok(table.clone());
        }
        let mut table = Table::default();
        parallel::ordered(
            threads,
            TOGETHER,
            |feed| {
                for (n, gone) in self.gone.iter().enumerate() {
                    let item = gone.read().map(|bytes| (n, gone.blob, bytes));
                    if feed.push(item, gone.blob.len).is_err() {
                        break;
                    }
                }
                Ok::<(), BundleError>(())
            },
            |item| {
                let (n, blob, bytes) = item?;
                let apart = Apart::new(bytes, blob.len).map_err(|e| unreadable(&blob, e))?;
                let look = Look::new(&apart).map_err(|e| unreadable(&blob, e))?;
                Ok((n, apart, look))
            },
            |looked: Result<(usize, Apart, Look), BundleError>| {
                let (n, apart, look) = looked?;
                table.add(n, &look);
                self.keep(n, &Arc::new(apart), false);
                Ok(())
            },
        )?;
        table.finish();
        let table = Arc::new(table);
        *made = Some(table.clone());
        Ok(table)
    }

    /// An old blob, and what it is apart.
    pub(super) fn open(&self, n: usize) -> Result<Option<(Blob, Arc<Apart>)>, BundleError> {
        let Some(gone) = self.gone.get(n) else { return Ok(None) };
        let found = {
            let mut open = lock(&self.open);
            let at = open.iter().position(|(number, ..)| *number == n);
            at.and_then(|at| open.remove(at))
        };
        let apart = match found {
            Some((.., apart)) => apart,
            None => Arc::new(Apart::new(gone.read()?, gone.blob.len).map_err(|e| unreadable(&gone.blob, e))?),
        };
        self.keep(n, &apart, true);
        Ok(Some((gone.blob, apart)))
    }

    /// Keeps an old content expanded, as far as there is room, or instead of others.
    fn keep(&self, n: usize, apart: &Arc<Apart>, instead: bool) {
        let bytes = apart.scratch().saturating_add(self.gone.get(n).map_or(0, |g| g.blob.len));
        let mut open = lock(&self.open);
        let full = |open: &VecDeque<(usize, u64, Arc<Apart>)>| {
            open.len() >= OPEN || open.iter().map(|o| o.1).sum::<u64>().saturating_add(bytes) > OPEN_BYTES
        };
        while instead && full(&open) && open.pop_front().is_some() {}
        if !full(&open) {
            open.push_back((n, bytes, apart.clone()));
        }
    }
}

impl Gone<'_> {
    /// Its bytes, at any place.
    fn read(&self) -> Result<Box<dyn crate::kind::ReadAt>, BundleError> {
        let missing = || KindError::MissingBlob(self.blob.digest);
        let opened = self.blobs.open_at(&self.blob).and_then(|o| o.ok_or_else(missing));
        opened.map_err(|e| unreadable(&self.blob, io::Error::other(e)))
    }
}

fn unreadable(blob: &Blob, source: io::Error) -> BundleError {
    BundleError::Input { what: format!("the base {}", blob.digest), source }
}
