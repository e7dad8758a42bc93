//! Random pairs of small versions in memory: what comes out of the delta is what comes out of the full bundle.

use crate::bundles::{Held, noise, read_with, text};
use pouch::bundle::{self, Bundle, Options, Prepared, Put, PutBlob, ReleaseSpec, Sealed, Workplace, temporary};
use pouch::cbor::{Bytes, encode};
use pouch::class::Class;
use pouch::digest::Blob;
use pouch::kind::file::FileFacts;
use pouch::model::{Artifact, Described, Kind};
use pouch::monitor::Silent;
use pouch::op::delta;
use pouch::op::pairs::{Old, Pairs};
use pouch::op::shrink::Shrinking;
use pouch::relpath::RelPath;
use pouch::replay::bits::BitWriter;
use pouch::replay::family::{FAMILIES, Identity};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

pub type Tree = BTreeMap<String, Vec<u8>>;

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
        match self.roll(3) {
            0 => noise(seed, len),
            1 => text(seed, len),
            _ => packed(&text(seed, len), self.roll(9) as u32 + 1),
        }
    }

    fn tree(&mut self) -> Tree {
        (0..self.roll(7)).map(|n| (format!("f{n}"), self.content())).collect()
    }

    /// The next version: files stay, change a little (in one place, or in several ways), change wholly, are renamed, vanish, appear.
    fn next(&mut self, old: &Tree) -> Tree {
        let mut new = Tree::new();
        for (path, content) in old {
            match self.roll(7) {
                0 => {}
                6 => {
                    let edited = self.edited(content);
                    let plain = unpacked(&edited).unwrap_or_else(|| edited.clone());
                    let twice = [&plain[..], &noise(8, 1000), &plain].concat();
                    new.insert(format!("{path}-copy"), packed(&twice, self.roll(9) as u32 + 1));
                    new.insert(path.clone(), edited);
                }
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
        if let Some(plain) = unpacked(content) {
            return packed(&self.edited(&plain), self.roll(9) as u32 + 1);
        }
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

/// A gzip file by an encoder that is known: a header of ten bytes, a stream of C zlib, a trailer that nobody checks.
pub fn packed(plain: &[u8], level: u32) -> Vec<u8> {
    let family = FAMILIES.iter().find(|f| f.name == "zlib/1").expect("C zlib");
    let mut encoder = Identity::new(family, &[level, 8, 15, 0]).and_then(|i| i.start(None)).expect("a level");
    let mut out = BitWriter::default();
    encoder.write(plain, &mut out);
    encoder.finish(&mut out);
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &out.take(), &[9; 8]].concat()
}

fn unpacked(content: &[u8]) -> Option<Vec<u8>> {
    let stream = content.strip_prefix(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])?;
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(stream).read_to_end(&mut out).ok()?;
    Some(out)
}

pub fn described(path: &str, content: &[u8]) -> Described {
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

pub fn prepared(tree: &Tree, sequence: u64) -> Prepared {
    let spec = ReleaseSpec { stream: "pairs".into(), epoch: 0, sequence, version: None };
    bundle::prepare(&spec, tree.iter().map(|(p, c)| described(p, c)).collect()).expect("prepares")
}

fn bundle(tree: &Tree, sequence: u64, held: &delta::Held, old: &[Old<'_>]) -> Vec<u8> {
    bundle_by(1, tree, sequence, held, old)
}

/// A bundle of `tree`: without what is held, and as differences from `old`.
pub fn bundle_by(threads: usize, tree: &Tree, sequence: u64, held: &delta::Held, old: &[Old<'_>]) -> Vec<u8> {
    let prepared = prepared(tree, sequence);
    let described: Vec<Described> = tree.iter().map(|(p, c)| described(p, c)).collect();
    let pairs = Pairs::new(old, &described, held);
    let against = held.left_out(prepared.blobs()).map(|l| l.against).unwrap_or_default();
    let options = Options { threads, level: 1, against: &against };
    let blobs = |put: &mut dyn PutBlob| {
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
    let shrinking = Shrinking { pairs: &pairs, threads, small: false };
    let feed = |put: &mut dyn Put| shrinking.feed(put, blobs);
    let mut out = Vec::new();
    bundle::write(&mut out, &prepared, options, &Silent, feed, |_| Ok(vec![])).expect("writes");
    out
}

#[test]
fn what_comes_out_is_the_same() {
    let pairs = std::env::var("POUCH_PAIRS").ok().and_then(|n| n.parse().ok()).unwrap_or(400u64);
    let mut left_out = 0;
    let mut features: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 1..=pairs {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let old = dice.tree();
        let new = dice.next(&old);
        let full_old = bundle(&old, 1, &delta::Held::default(), &[]);
        let full = bundle(&new, 2, &delta::Held::default(), &[]);
        let mut held = delta::Held::default();
        held.add(&Bundle::parse(Sealed::open(&full_old[..]).expect("opens"), ()).expect("parses")).expect("reads");
        let have = Held(old.values().cloned().collect());
        let before = Old { artifacts: old.iter().map(|(p, c)| described(p, c)).collect(), blobs: &have };
        let delta = bundle(&new, 2, &held, &[before]);
        let parsed = Bundle::parse(Sealed::open(&delta[..]).expect("opens"), ()).expect("parses");
        for feature in &parsed.carriage.requires {
            *features.entry(feature.clone()).or_default() += 1;
        }
        let work = Workplace { bases: &have, scratch: &temporary };
        parsed.prove(work, 1, &Silent).unwrap_or_else(|e| panic!("{seed}: {e} {e:?}"));
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
    let often = |feature: &str| features.get(feature).copied().unwrap_or(0) > pairs / 50;
    assert!(often("base/1") && often("patch/1") && often("replay/zlib/1"), "{features:?} in {pairs} pairs");
    assert!(left_out > pairs / 3, "{left_out} of {pairs} pairs share something");
}
