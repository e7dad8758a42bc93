//! Which old content is chosen: each way in which content moves between two releases is a small patch.

use crate::bundles::{Held, noise, text};
use crate::pairs::{described, packed};
use crate::small::second_reader;
use pouch::bundle::{self, Bundle, Options, Prepared, Put, PutBlob, ReleaseSpec, Sealed, Workplace, temporary};
use pouch::digest::Blob;
use pouch::model::{Artifact, Described, Kind};
use pouch::monitor::Silent;
use pouch::op::delta;
use pouch::op::pairs::{Bounds, Old, Pairs};
use pouch::op::shrink::Shrinking;
use std::collections::BTreeSet;

/// Artifacts: kind, name and blobs.
type Release = Vec<(Kind, &'static str, Vec<Vec<u8>>)>;

fn blobs(release: &Release) -> Vec<Vec<u8>> {
    let mut seen = BTreeSet::new();
    release.iter().flat_map(|a| a.2.clone()).filter(|b| seen.insert(Blob::of(b))).collect()
}

/// The release as files, for the bundle.
fn prepared(release: &Release, sequence: u64) -> Prepared {
    let spec = ReleaseSpec { stream: "choice".into(), epoch: 0, sequence, version: None };
    let files = blobs(release).iter().enumerate().map(|(n, b)| described(&format!("f{n}"), b)).collect();
    bundle::prepare(&spec, files).expect("prepares")
}

/// The release as it is called, for the choice.
fn named(release: &Release) -> Vec<Described> {
    let one = |(kind, name, contents): &(Kind, &str, Vec<Vec<u8>>)| {
        let of_file = *kind == Kind::File;
        let file = described(if of_file { name } else { "x" }, &[]);
        let blobs = contents.iter().map(|b| Blob::of(b)).collect();
        let path = file.artifact.path.clone().filter(|_| of_file);
        let artifact = Artifact { kind: *kind, name: (*name).into(), path, blobs, ..file.artifact };
        Described { artifact, facts: file.facts }
    };
    release.iter().map(one).collect()
}

/// A bundle of the release, without what is held and as differences from `old`; its length.
fn write(
    release: &Release,
    sequence: u64,
    held: &delta::Held,
    old: &[Old<'_>],
    bounds: Bounds,
    threads: usize,
) -> Vec<u8> {
    let prepared = prepared(release, sequence);
    let mut pairs = Pairs::new(old, &named(release), held);
    pairs.bounds = bounds;
    let against = held.left_out(prepared.blobs()).map(|l| l.against).unwrap_or_else(|| held.releases());
    let options = Options { threads, level: 1, against: if old.is_empty() { &[] } else { &against } };
    let given = |put: &mut dyn PutBlob| {
        for content in blobs(release) {
            let blob = Blob::of(&content);
            match held.has(&blob) {
                true => put.leave_out(&blob, "blob")?,
                false => put.put(&blob, "blob", true, &mut &content[..])?,
            }
        }
        Ok(())
    };
    let feed = |put: &mut dyn Put| Shrinking { pairs: &pairs, threads, small: false }.feed(put, given);
    let mut out = Vec::new();
    bundle::write(&mut out, &prepared, options, &Silent, feed, |_| Ok(vec![])).expect("writes");
    out
}

/// The delta from one release to the other, which is proven.
fn delta(old: &Release, new: &Release, bounds: Bounds) -> Vec<u8> {
    let full = write(old, 1, &delta::Held::default(), &[], bounds, 1);
    let mut held = delta::Held::default();
    held.add(&Bundle::parse(Sealed::open(&full[..]).expect("opens"), ()).expect("parses")).expect("reads");
    let have = Held(blobs(old));
    let before = || [Old { artifacts: named(old), blobs: &have }];
    let delta = write(new, 2, &held, &before(), bounds, 1);
    assert!(write(new, 2, &held, &before(), bounds, 3) == delta, "threads change nothing");
    let parsed = Bundle::parse(Sealed::open(&delta[..]).expect("opens"), ()).expect("parses");
    parsed.prove(Workplace { bases: &have, scratch: &temporary }, 2, &Silent).expect("comes out");
    delta
}

/// Content with a few small changes.
fn edited(content: &[u8]) -> Vec<u8> {
    let mut out = content.to_vec();
    let len = out.len();
    (1..5).for_each(|n| out[len / 5 * n] ^= 0x55);
    out.splice(len / 3..len / 3, *b"something more");
    out
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        out.append_data(&mut header, name, *content).expect("to memory");
    }
    out.into_inner().expect("to memory")
}

fn gz(content: &[u8]) -> Vec<u8> {
    packed(content, 6)
}

#[test]
fn content_is_found_wherever_it_went() {
    let [a, b, c, d] = [1, 2, 3, 4].map(|seed| text(seed, 300_000));
    let image = |name, layers: &[Vec<u8>]| (Kind::Image, name, layers.iter().map(|l| gz(l)).collect::<Vec<_>>());
    let file = |name, content: &[u8]| (Kind::File, name, vec![content.to_vec()]);
    let (ea, eb, ec) = (edited(&a), edited(&b), edited(&c));
    let cases: Vec<(&str, Release, Release)> = vec![
        (
            "another number of layers",
            vec![image("r/app:1", &[a.clone(), b.clone(), c.clone()])],
            vec![image("r/app:2", &[ec.clone(), noise(9, 5000), ea.clone(), eb.clone()])],
        ),
        (
            "layers merged",
            vec![image("r/app:1", &[a.clone(), b.clone(), d.clone()])],
            vec![image("r/app:2", &[[&ea[..], &eb].concat()])],
        ),
        (
            "a layer split",
            vec![image("r/app:1", &[[&a[..], &b].concat(), d.clone()])],
            vec![image("r/app:2", &[ea.clone(), eb.clone()])],
        ),
        (
            "an image renamed",
            vec![image("r/app:1", &[a.clone(), b.clone()]), image("r/x:1", std::slice::from_ref(&d))],
            vec![image("elsewhere/tool:7", &[eb.clone(), ea.clone()])],
        ),
        ("layers swapped", vec![image("r/app:1", &[a.clone(), b.clone()])], vec![image("r/app:2", &[eb, ea.clone()])]),
        (
            "a file renamed",
            vec![file("bin/kubectl-v1.30", &a), file("bin/other", &b)],
            vec![file("tools/kube/client", &ea), file("bin/other", &b)],
        ),
        (
            "a file of a tarball, then of a layer",
            vec![
                file("nerdctl.tar.gz", &gz(&tar(&[("README", b"read"), ("bin/ctl", &a)]))),
                image("r/app:1", std::slice::from_ref(&d)),
            ],
            vec![image("r/app:2", &[tar(&[("etc/x", &d), ("usr/bin/ctl", &ea)])])],
        ),
    ];
    for (what, old, new) in cases {
        let len: usize = blobs(&new).iter().map(Vec::len).sum();
        let delta = delta(&old, &new, Bounds::default()).len();
        assert!(delta < 10_000 + len / 20, "{what}: {delta} bytes for {len}");
    }
}

/// What is new in several new blobs, or several times in one, travels once, whatever it is packed in.
#[test]
fn what_new_blobs_share_travels_once() {
    let (a, other) = (text(1, 400_000), text(2, 100_000));
    let new = [&edited(&a)[..], &noise(3, 300_000), b"the end"].concat();
    let old = vec![(Kind::File, "tool.tgz", vec![gz(&tar(&[("bin/tool", &a)]))])];
    let once = vec![(Kind::File, "tool.tgz", vec![gz(&tar(&[("bin/tool", &new)]))])];
    let mut often = once.clone();
    let layer = gz(&tar(&[("etc/other", &edited(&other)), ("usr/bin/tool", &new), ("usr/bin/tool2", &new)]));
    often.push((Kind::Image, "r/app:2", vec![layer, tar(&[("bin/x", b"x"), ("bin/tool", &new)])]));
    // No old content resembles this one; it is worth being opened all the same.
    often.push((Kind::Wheel, "tool", vec![packed(&tar(&[("x", &noise(4, 20_000)), ("tool", &new)]), 9)]));
    let shared = delta(&old, &often, Bounds::default());
    second_reader(&shared, &blobs(&old), &mut blobs(&often).iter());
    let (once, often) = (delta(&old, &once, Bounds::default()).len(), shared.len());
    assert!(once > 300_000 && often < once + 100_000, "{once} once, {often} often");
}

/// Old content that is too long to be held is chosen by file and by window.
#[test]
fn long_content_is_compared_piece_by_piece() {
    let parts: Vec<Vec<u8>> = (0..12).map(|n| noise(n + 1, 3_000_000)).collect();
    let names: Vec<String> = (0..12).map(|n| format!("usr/lib/{n}x")).collect();
    let all = |order: &[usize], change: bool| {
        let content: Vec<Vec<u8>> =
            order.iter().map(|n| if change { edited(&parts[*n]) } else { parts[*n].clone() }).collect();
        let files: Vec<(&str, &[u8])> = order.iter().zip(&content).map(|(n, c)| (&*names[*n], &c[..])).collect();
        tar(&files)
    };
    let old = all(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], false);
    let new = all(&[7, 3, 1, 0, 9, 8, 2, 11, 10, 4, 6, 5], true);
    let bounds = Bounds { whole: 8 << 20, block: 24 << 20, run: 30 << 20 };
    let image = |blob: Vec<u8>| vec![(Kind::Image, "r/large:1", vec![blob])];
    let len = delta(&image(old.clone()), &image(new.clone()), bounds).len();
    assert!(len < 30_000, "{len} bytes for {}", new.len());
    // Without files: windows.
    let strip = |tar: &[u8]| [b"no archive", tar].concat();
    let len = delta(&image(strip(&old)), &image(strip(&new)), bounds).len();
    assert!(len < 30_000, "{len} bytes for {}", new.len());
}
