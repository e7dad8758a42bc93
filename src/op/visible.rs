//! What is *visible* on a site: the releases that its current generation shows, and those that the next one will.
//!
//! It reads the archived indexes of releases, and decides which earlier releases stay. Specified in `spec/site.md`,
//! section "What stays visible".

use crate::bundle::{Bundle, Sealed};
use crate::digest::Digest;
use crate::model::{Catalog, Described, Kind, ReleaseView};
use crate::op::records::RecordsError;
use crate::site::Site;
use crate::site::generation::ShownRelease;
use crate::site::ledger::ReleaseRef;
use crate::trust::order::Order;
use std::collections::{BTreeMap, BTreeSet};

/// The releases of a site's current generation with their artifacts.
pub struct View {
    shown: Vec<(ShownRelease, Vec<Described>)>,
    keep: usize,
    /// The latest time that any generation carries: rendered dates never fall, because apt and dnf take older metadata
    /// for a replay.
    pub time: i64,
}

/// How the names that a site serves change.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New names.
    pub added: Vec<String>,
    /// Names with other content.
    pub changed: Vec<String>,
    /// Names that are no longer served.
    pub removed: Vec<String>,
}

impl View {
    /// Reads what is visible.
    pub fn read(site: &Site) -> Result<View, RecordsError> {
        let mut view = View { shown: Vec::new(), keep: site.config().keep.max(1) as usize, time: 0 };
        for n in site.generations()? {
            view.time = view.time.max(site.generation(n)?.time);
        }
        for shown in site.current()?.map(|g| g.releases).unwrap_or_default() {
            let artifacts = archived(site, &shown.release.release)?;
            view.shown.push((shown, artifacts));
        }
        Ok(view)
    }

    /// What is visible now.
    pub fn catalog(&self) -> Catalog {
        catalog(self.shown.iter().map(|(s, a)| (s, a.as_slice())))
    }

    /// What is visible with one more release: the newest of its stream first, at most `keep` of it.
    pub fn with(
        &self,
        release: &ReleaseRef,
        artifacts: &[Described],
        order: Order,
    ) -> (Catalog, Vec<ShownRelease>, Changes) {
        let leads = order.leads() || order == Order::Same;
        let mut all: Vec<(ShownRelease, &[Described])> = Vec::new();
        for (s, a) in self.shown.iter().filter(|(s, _)| s.release.release != release.release) {
            let latest = s.latest && !(leads && s.release.stream == release.stream);
            all.push((ShownRelease { release: s.release.clone(), latest }, a));
        }
        all.push((ShownRelease { release: release.clone(), latest: leads }, artifacts));
        // Streams by name; in each the latest first, then the others from the highest place down.
        all.sort_by(|(a, _), (b, _)| {
            let place = |s: &ShownRelease| (s.latest, s.release.epoch, s.release.sequence);
            a.release.stream.cmp(&b.release.stream).then_with(|| place(b).cmp(&place(a)))
        });
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        all.retain(|(s, _)| {
            let n = count.entry(s.release.stream.clone()).or_default();
            *n += 1;
            *n <= self.keep
        });
        let next = catalog(all.iter().map(|(s, a)| (s, *a)));
        let changes = changes(&self.catalog(), &next);
        (next, all.into_iter().map(|(s, _)| s).collect(), changes)
    }
}

/// The artifacts of a release in the site's archive.
pub fn archived(site: &Site, release: &Digest) -> Result<Vec<Described>, RecordsError> {
    let damaged = |source| RecordsError::Archive { release: *release, source };
    let bytes = site.archive_get(release)?.ok_or(RecordsError::Gone(*release))?;
    let sealed = Sealed::open(&bytes[..]).map_err(damaged)?;
    if sealed.ids().release != *release {
        return Err(RecordsError::Gone(*release));
    }
    let bundle = Bundle::parse(sealed, ()).map_err(damaged)?;
    bundle.artifacts().map_err(damaged)
}

fn catalog<'a>(shown: impl Iterator<Item = (&'a ShownRelease, &'a [Described])>) -> Catalog {
    let view = |(s, artifacts): (&ShownRelease, &[Described])| ReleaseView {
        stream: s.release.stream.clone(),
        epoch: s.release.epoch,
        sequence: s.release.sequence,
        latest: s.latest,
        artifacts: artifacts.to_vec(),
    };
    Catalog { releases: shown.map(view).collect() }
}

/// Names as users ask for them, with the digests that answer: images and files of all releases, packages of the latest.
fn names(catalog: &Catalog) -> BTreeMap<String, BTreeSet<Digest>> {
    let mut out: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
    let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
    for (release, described) in catalog.all() {
        let a = &described.artifact;
        let name = match (a.kind, &a.path) {
            (Kind::Image, _) => format!("image {}", a.name),
            (Kind::File | Kind::Repodata, Some(path)) => format!("file {}/{path}", a.root),
            (kind, _) if release.latest => format!("{kind} {} in {}", a.name, a.root),
            _ => continue,
        };
        // Of a stream's releases the newest, which comes first, owns the name.
        let own = (release.stream.clone(), name.clone());
        let several = !matches!(a.kind, Kind::Image | Kind::File | Kind::Repodata);
        if taken.insert(own) || several {
            out.entry(name).or_default().extend(a.blobs.first().map(|b| b.digest));
        }
    }
    out
}

fn changes(old: &Catalog, new: &Catalog) -> Changes {
    let (old, new) = (names(old), names(new));
    let added = new.keys().filter(|n| !old.contains_key(*n)).cloned().collect();
    let removed = old.keys().filter(|n| !new.contains_key(*n)).cloned().collect();
    let changed = new.iter().filter(|(n, d)| old.get(*n).is_some_and(|o| o != *d)).map(|(n, _)| n.clone()).collect();
    Changes { added, changed, removed }
}
