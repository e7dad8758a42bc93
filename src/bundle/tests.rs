//! Back and forth over whole bundles in memory.

use super::*;
use crate::cbor::{Bytes, encode};
use crate::kind::file::FileFacts;
use crate::model::{Artifact, Described, Kind};
use crate::monitor::Silent;
use crate::relpath::RelPath;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn artifact(name: &str, bytes: &[u8]) -> Described {
    Described {
        artifact: Artifact {
            kind: Kind::File,
            name: name.into(),
            version: None,
            arch: None,
            root: RelPath::new("www").expect("path"),
            path: Some(RelPath::new(name).expect("path")),
            executable: false,
            blobs: vec![Blob::of(bytes)],
            labels: vec![],
        },
        facts: Bytes(encode(&FileFacts {})),
    }
}

fn spec() -> ReleaseSpec {
    ReleaseSpec { stream: "test".into(), epoch: 0, sequence: 1, version: Some("1.0".into()) }
}

/// A bundle of files `f0`, `f1`, ... with these contents; every other one is verbatim.
pub(crate) fn bundle(contents: &[Vec<u8>], threads: usize) -> Vec<u8> {
    let artifacts = contents.iter().enumerate().map(|(i, c)| artifact(&format!("f{i}"), c)).collect();
    let prepared = prepare(&spec(), artifacts).expect("prepares");
    let mut out = Vec::new();
    let feed = |put: &mut dyn Put| {
        let mut seen = BTreeSet::new();
        for (i, c) in contents.iter().enumerate() {
            if seen.insert(Blob::of(c)) {
                put.put(&Blob::of(c), "input", i % 2 == 1, &mut &c[..])?;
            }
        }
        Ok(())
    };
    write(&mut out, &prepared, Options { threads, level: 3, against: &[] }, &Silent, feed, |_| Ok(vec![]))
        .expect("writes");
    out
}

#[derive(Default)]
struct Memory {
    blobs: BTreeMap<Blob, Vec<u8>>,
    open: Vec<u8>,
}

impl BlobSink for Memory {
    type Error = crate::format::FormatError;
    fn wants(&mut self, blob: &Blob) -> Result<bool, Self::Error> {
        Ok(!self.blobs.contains_key(blob))
    }
    fn begin(&mut self, _: &Blob) -> Result<(), Self::Error> {
        self.open.clear();
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.open.extend_from_slice(bytes);
        Ok(())
    }
    fn finish(&mut self, blob: &Blob) -> Result<bool, Self::Error> {
        let ok = Blob::of(&self.open) == *blob;
        self.blobs.insert(*blob, self.open.clone());
        Ok(ok)
    }
    fn read_back(&mut self, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let from = self.blobs.get(blob).unwrap_or(&self.open);
        buf.copy_from_slice(&from[offset as usize..offset as usize + buf.len()]);
        Ok(())
    }
}

/// Everything a reader checks; the contents that come out.
fn read(bytes: &[u8], have: BTreeMap<Blob, Vec<u8>>) -> Result<Memory, BundleError> {
    let bundle = Bundle::parse(Sealed::open(bytes)?, ())?;
    bundle.artifacts()?;
    bundle.check_tables()?;
    bundle.check_blocks(1, &Silent)?;
    let mut sink = Memory { blobs: have, open: vec![] };
    bundle.materialize_into(&mut sink, Workplace::NONE, 2, &Silent)?;
    Ok(sink)
}

fn words(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out.extend_from_slice(&x.to_be_bytes()[..3 + (x % 5) as usize]);
    }
    out.truncate(len);
    out
}

#[test]
fn every_flipped_byte_and_every_cut_is_found() {
    let whole = bundle(&[b"hello".to_vec(), words(3, 300), vec![7; 5000], vec![]], 1);
    assert!(read(&whole, BTreeMap::new()).is_ok());
    for i in 0..whole.len() {
        for mask in [1, 0x80, 0xff] {
            let mut bad = whole.clone();
            bad[i] ^= mask;
            assert!(read(&bad, BTreeMap::new()).is_err(), "byte {i} of {}", whole.len());
        }
        assert!(read(&whole[..i], BTreeMap::new()).is_err(), "cut at {i}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(read(&longer, BTreeMap::new()).is_err());
}

#[test]
fn large_blobs_share_and_come_back_in_any_state() {
    let base = words(1, 40 << 20);
    let mut changed = base.clone();
    changed.splice(20_000_000..20_000_010, words(9, 77));
    let contents =
        vec![base.clone(), words(5, 17 << 20), changed, [&base[..3 << 20], &base[..1 << 20]].concat(), vec![]];
    let one = bundle(&contents, 1);
    assert_eq!(one, bundle(&contents, 3), "threads change nothing");
    assert!(one.len() < (40 + 17 + 5) << 20, "{}", one.len());
    for skip in 0..1 << contents.len() {
        let have = contents.iter().enumerate().filter(|(i, _)| skip & 1 << i != 0);
        let have = have.map(|(_, c)| (Blob::of(c), c.clone())).collect();
        let out = read(&one, have).expect("reads");
        for c in &contents {
            assert!(out.blobs.get(&Blob::of(c)) == Some(c), "skip {skip:b}");
        }
    }
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    for (first, second) in [("a", "a"), ("a", "A"), ("a", "a/b"), ("A/x", "a/y")] {
        let both = vec![artifact(first, b"1"), artifact(second, b"2")];
        assert!(prepare(&spec(), both).is_err(), "{first} {second}");
    }
    let mut odd = artifact("a", b"1");
    odd.facts = Bytes(vec![0xa0, 0]);
    assert!(prepare(&spec(), vec![odd]).is_err());
    assert!(prepare(&spec(), vec![artifact("a", b"1"), artifact("b", b"1")]).is_ok());
}

#[test]
fn an_input_that_changes_after_the_survey_is_named() {
    for len in [10, 70_000, 17 << 20] {
        let was = words(1, len);
        let mut other = was.clone();
        other[len / 2] ^= 1;
        for now in [&was[..len - 1], &[&was[..], b"!"].concat()[..], &other, &[]] {
            for verbatim in [false, true] {
                let prepared = prepare(&spec(), vec![artifact("a", &was)]).expect("prepares");
                let feed = |put: &mut dyn Put| put.put(&Blob::of(&was), "input", verbatim, &mut &now[..]);
                let options = Options { threads: 2, level: 1, against: &[] };
                let e = write(&mut Vec::new(), &prepared, options, &Silent, feed, |_| Ok(vec![])).expect_err("changed");
                match e {
                    BundleError::Changed { what, was: announced, now: found } => {
                        assert_eq!((what.as_str(), announced, found), ("input", Blob::of(&was), Blob::of(now)));
                    }
                    e => panic!("{e}"),
                }
            }
        }
    }
}

#[test]
fn index_only_has_the_same_ids_and_release() {
    let whole = bundle(&[b"hello".to_vec(), words(3, 3000)], 1);
    let full = Bundle::parse(Sealed::open(&whole[..]).expect("opens"), ()).expect("parses");
    let mut small = Vec::new();
    index_only::write(&full, full.statements(), &mut small).expect("writes");
    let index = Bundle::parse(Sealed::open(&small[..]).expect("opens"), ()).expect("parses");
    assert_eq!(index.ids(), full.ids());
    assert_eq!(index.artifacts().expect("reads"), full.artifacts().expect("reads"));
    assert!(matches!(index.check_blocks(1, &Silent), Err(BundleError::NoBlocks(_))));
    assert!(small.len() < whole.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn back_and_forth(parts in proptest::collection::vec((0u64..4, 0usize..400_000), 0..6)) {
        let contents: Vec<Vec<u8>> = parts.into_iter().map(|(seed, len)| words(seed, len)).collect();
        let out = read(&bundle(&contents, 2), BTreeMap::new()).expect("reads");
        for c in &contents {
            prop_assert!(out.blobs.get(&Blob::of(c)) == Some(c));
        }
    }
}
