//! Random pairs of small versions in memory: what comes out of the delta is what comes out of the full bundle.

use crate::bundles::{Held, noise, read_with, text};
use pouch::bundle::{self, Bundle, Options, Prepared, Put, ReleaseSpec, Sealed};
use pouch::cbor::{Bytes, encode};
use pouch::class::Class;
use pouch::digest::Blob;
use pouch::kind::file::FileFacts;
use pouch::model::{Artifact, Described, Kind};
use pouch::monitor::Silent;
use pouch::op::delta;
use pouch::relpath::RelPath;
use std::collections::{BTreeMap, BTreeSet};

type Tree = BTreeMap<String, Vec<u8>>;

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides.max(1)
    }

    fn content(&mut self) -> Vec<u8> {
        let (seed, len) = (self.roll(5) as u64, [0, 1, 90, 4000, 40_000][self.roll(5)]);
        if self.roll(2) == 0 { text(seed, len) } else { noise(seed, len) }
    }

    fn tree(&mut self) -> Tree {
        (0..self.roll(7)).map(|n| (format!("f{n}"), self.content())).collect()
    }

    /// The next version: files stay, change a little, change wholly, are renamed, vanish, appear.
    fn next(&mut self, old: &Tree) -> Tree {
        let mut new = Tree::new();
        for (path, content) in old {
            match self.roll(6) {
                0 => {}
                1 => drop(new.insert(path.clone(), self.content())),
                2 => drop(new.insert(format!("{path}-renamed"), content.clone())),
                3 => drop(new.insert(path.clone(), self.edited(content))),
                _ => drop(new.insert(path.clone(), content.clone())),
            }
        }
        (0..self.roll(3)).for_each(|n| drop(new.insert(format!("n{n}"), self.content())));
        new
    }

    fn edited(&mut self, content: &[u8]) -> Vec<u8> {
        let mut out = content.to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(out.len() + 1);
            match self.roll(3) {
                0 => drop(out.splice(at..at, noise(9, 17))),
                1 => drop(out.drain(at..(at + 30).min(out.len()))),
                _ => out.iter_mut().skip(at).take(3).for_each(|b| *b = b.wrapping_add(1)),
            }
        }
        out
    }
}

fn described(path: &str, content: &[u8]) -> Described {
    Described {
        artifact: Artifact {
            kind: Kind::File,
            name: path.into(),
            version: None,
            arch: None,
            root: RelPath::new("www").expect("path"),
            path: Some(RelPath::new(path).expect("path")),
            executable: false,
            blobs: vec![Blob::of(content)],
            labels: vec![],
        },
        facts: Bytes(encode(&FileFacts {})),
    }
}

fn prepared(tree: &Tree, sequence: u64) -> Prepared {
    let spec = ReleaseSpec { stream: "pairs".into(), epoch: 0, sequence, version: None };
    bundle::prepare(&spec, tree.iter().map(|(p, c)| described(p, c)).collect()).expect("prepares")
}

fn packed(tree: &Tree, sequence: u64, held: &delta::Held) -> Vec<u8> {
    let prepared = prepared(tree, sequence);
    let against = held.left_out(prepared.blobs()).map(|l| l.against).unwrap_or_default();
    let options = Options { threads: 1, level: 1, against: &against };
    let feed = |put: &mut dyn Put| {
        let mut seen = BTreeSet::new();
        for (path, content) in tree {
            let blob = Blob::of(content);
            if seen.insert(blob) {
                match held.has(&blob) {
                    true => put.leave_out(&blob, path)?,
                    false => put.put(&blob, path, content.len() % 2 == 1, &mut &content[..])?,
                }
            }
        }
        Ok(())
    };
    let mut out = Vec::new();
    bundle::write(&mut out, &prepared, options, &Silent, feed, |_| Ok(vec![])).expect("writes");
    out
}

#[test]
fn what_comes_out_is_the_same() {
    let pairs = std::env::var("POUCH_PAIRS").ok().and_then(|n| n.parse().ok()).unwrap_or(400u64);
    let mut left_out = 0;
    for seed in 1..=pairs {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let old = dice.tree();
        let new = dice.next(&old);
        let full_old = packed(&old, 1, &delta::Held::default());
        let full = packed(&new, 2, &delta::Held::default());
        let mut held = delta::Held::default();
        held.add(&Bundle::parse(Sealed::open(&full_old[..]).expect("opens"), ()).expect("parses")).expect("reads");
        let delta = packed(&new, 2, &held);
        let have = Held(old.values().cloned().collect());
        let (of_full, of_delta) = (read_with(&full, &Held::default()), read_with(&delta, &have));
        let of_full = of_full.unwrap_or_else(|e| panic!("{seed}: {e:?}"));
        let of_delta = of_delta.unwrap_or_else(|e| panic!("{seed}: {e:?}"));
        assert_eq!(of_full.ids.release, of_delta.ids.release, "{seed}");
        assert!(of_full.blobs == of_delta.blobs, "{seed}");
        // Without one of its bases it is refused by naming exactly that.
        let kept: Vec<Vec<u8>> =
            have.0.iter().filter(|b| !b.is_empty() && new.values().any(|n| n == *b)).cloned().collect();
        if let Some(gone) = kept.get(dice.roll(kept.len().max(1))) {
            left_out += 1;
            let rest = Held(have.0.iter().filter(|b| *b != gone).cloned().collect());
            let refused = read_with(&delta, &rest).err().unwrap_or_else(|| panic!("{seed}: taken"));
            assert_eq!((refused.class, refused.lacking), (Class::Usage, vec![Blob::of(gone)]), "{seed}");
        }
    }
    assert!(left_out > pairs / 3, "{left_out} of {pairs} pairs share something");
}
