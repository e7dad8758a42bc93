//! To *predict* is to say how long an unpack will take, and what room it needs, from the work that a bundle asks for.
//!
//! A sum over measured speeds: it knows no medium, no disk and no load. Specified in `spec/rationale.md`, section
//! "Predictions", which says on what the speeds were measured.

use crate::bundle::Work;

/// Bytes of a MB.
const MB: f64 = 1e6;
/// Begin and end of an unpack: statements, index, the generation's switch. Seconds.
const ALWAYS: f64 = 0.2;
/// Blobs a second that get their names, their facts checked and their links.
const BLOBS: f64 = 3000.0;
/// MB a second, on two cores: blocks read and hashed; zstd; base blobs read and hashed; streams of bases expanded; patches
/// applied; blobs hashed, written and brought to the disk.
const READ: f64 = 900.0;
const DECOMPRESSED: f64 = 900.0;
const BASES: f64 = 1200.0;
const EXPANDED: f64 = 250.0;
const PATCHED: f64 = 300.0;
const WRITTEN: f64 = 400.0;
/// The same of what encoders are given, by family; the last is for any other.
const REPLAYED: [(&str, f64); 7] = [
    ("zlib/1", 50.0),
    ("go/1", 70.0),
    ("go127/1", 90.0),
    ("pgzip/1", 90.0),
    ("xz/1", 5.0),
    ("bzip2/1", 20.0),
    ("", 40.0),
];

/// What an unpack will take where the site has what the bundle builds on and nothing of what it makes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Prediction {
    /// Seconds on two cores like those that were measured; the medium's own time comes on top where it is slower.
    pub seconds: u64,
    /// What is done, in bytes.
    #[serde(flatten)]
    pub work: Work,
}

impl Prediction {
    /// Of this work.
    pub fn new(work: &Work) -> Prediction {
        let mb = |bytes: u64| bytes as f64 / MB;
        let mut seconds = ALWAYS + work.blobs as f64 / BLOBS;
        for (bytes, speed) in [
            (work.read, READ),
            (work.decompressed, DECOMPRESSED),
            (work.bases, BASES),
            (work.expanded, EXPANDED),
            (work.patched, PATCHED),
            (work.written, WRITTEN),
        ] {
            seconds += mb(bytes) / speed;
        }
        for (family, bytes) in &work.replayed {
            let speed = REPLAYED.iter().find(|(name, _)| name == family || name.is_empty()).map_or(1.0, |(_, s)| *s);
            seconds += mb(*bytes) / speed;
        }
        Prediction { seconds: seconds.ceil() as u64, work: work.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::family::FAMILIES;

    #[test]
    fn every_sort_of_work_takes_time() {
        let none = Prediction::new(&Work::default());
        assert_eq!(none.seconds, 1);
        let mut all = vec![
            Work { read: 4_000_000_000, ..Work::default() },
            Work { decompressed: 4_000_000_000, ..Work::default() },
            Work { bases: 4_000_000_000, ..Work::default() },
            Work { expanded: 4_000_000_000, ..Work::default() },
            Work { patched: 4_000_000_000, ..Work::default() },
            Work { written: 4_000_000_000, ..Work::default() },
            Work { blobs: 100_000, ..Work::default() },
        ];
        all.extend(FAMILIES.iter().map(|f| Work { replayed: [(f.name, 4_000_000_000)].into(), ..Work::default() }));
        assert!(all.iter().all(|work| Prediction::new(work).seconds > 2));
        let most = Work { written: u64::MAX, read: u64::MAX, ..Work::default() };
        assert!(Prediction::new(&most).seconds > 1 << 30);
    }

    #[test]
    fn families_that_are_named_are_there() {
        let named = REPLAYED.iter().map(|(name, _)| *name).filter(|n| !n.is_empty());
        assert!(named.into_iter().all(|name| FAMILIES.iter().any(|f| f.name == name)));
    }
}
