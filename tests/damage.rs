//! Damage: every structure of a bundle × everything that media, transfers and careless tools do to bytes. Each must be
//! refused as damaged or unsupported; nothing may panic and nothing may pass.

mod bundles;

use bundles::{File, Refusal, made, noise, read_all, structures, text};
use pouch::class::Class;
use pouch::format::area::Signed;
use std::panic::catch_unwind;

fn statements(seed: u64) -> Vec<Signed> {
    let one = |n| Signed { text: text(seed + n, 500), signature: text(seed + n + 1, 200) };
    vec![one(0), one(10)]
}

/// About 300 KB in eight blocks, every other one incompressible, with chunks that are used again.
fn large(seed: u64) -> Vec<u8> {
    let contents: Vec<Vec<u8>> = (0..8u64)
        .map(|n| match n % 2 {
            0 => [text(seed + n, 60_000), text(seed, 20_000)].concat(),
            _ => noise(seed + n, 30_000),
        })
        .chain([vec![], text(seed, 60_000)])
        .collect();
    let paths: Vec<String> = (0..contents.len()).map(|n| format!("folder/file-{n}")).collect();
    let files: Vec<File<'_>> = paths
        .iter()
        .zip(&contents)
        .enumerate()
        .map(|(n, (path, content))| File { path, content, verbatim: n % 2 == 1 })
        .collect();
    made(Some("1.0"), &files, statements(seed))
}

/// Below 4 KiB, and everything in it.
fn small() -> Vec<u8> {
    let (a, b, c) = (text(1, 300), noise(2, 40), text(3, 200));
    let files = [
        File { path: "a", content: &a, verbatim: false },
        File { path: "b", content: &b, verbatim: true },
        File { path: "c", content: &c, verbatim: false },
        File { path: "d", content: &[], verbatim: false },
    ];
    made(None, &files, vec![Signed { text: b"text".to_vec(), signature: b"signature".to_vec() }])
}

/// Counts damage and what became of it.
#[derive(Default)]
struct Count {
    done: usize,
    passed: Vec<String>,
    panicked: Vec<String>,
    misnamed: Vec<String>,
}

impl Count {
    fn damaged(&mut self, what: impl FnOnce() -> String, bytes: &[u8]) {
        self.done += 1;
        match catch_unwind(|| read_all(bytes)) {
            Err(_) => self.panicked.push(what()),
            Ok(Ok(_)) => self.passed.push(what()),
            Ok(Err(Refusal { class: Class::Damaged | Class::Unsupported, text, .. })) if !text.is_empty() => {}
            Ok(Err(other)) => self.misnamed.push(format!("{}: {other:?}", what())),
        }
    }

    fn end(self, least: usize) {
        assert!(self.passed.is_empty(), "undetected: {:#?}", self.passed);
        assert!(self.panicked.is_empty(), "panics: {:#?}", self.panicked);
        assert!(self.misnamed.is_empty(), "other classes: {:#?}", self.misnamed);
        assert!(self.done >= least, "{} cases", self.done);
    }
}

#[test]
fn every_structure_and_every_damage() {
    let (whole, other) = (large(100), large(200));
    assert!(read_all(&whole).is_ok() && read_all(&other).is_ok());
    let (parts, others) = (structures(&whole), structures(&other));
    assert!(parts.len() >= 16, "{parts:?}");
    assert_eq!(parts.len(), others.len());
    let mut count = Count::default();
    let mut seed = 7u64;
    for (i, (name, from, to)) in parts.iter().enumerate() {
        let (from, to) = (*from, *to);
        let (before, own, after) = (&whole[..from], &whole[from..to], &whole[to..]);
        let mut check = |what: &str, bytes: Vec<u8>| {
            if bytes != whole && bytes != other {
                count.damaged(|| format!("{name}: {what}"), &bytes);
            }
        };
        let mut places = vec![(from, 0), ((from + to) / 2, 3), (to - 1, 7)];
        places.extend((0..32).map(|_| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (from + (seed >> 33) as usize % (to - from), (seed >> 29 & 7) as u32)
        }));
        for (at, bit) in places {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            check(&format!("bit {bit} of byte {at}"), bytes);
        }
        for (at, len) in [(from, 1), (from, 16), ((from + to) / 2, 16), (from, to - from)] {
            let mut bytes = whole.clone();
            bytes[at..(at + len).min(to)].fill(0);
            check(&format!("{len} bytes zeroed from {at}"), bytes);
        }
        check("truncated at its begin", before.to_vec());
        check("truncated in its middle", whole[..(from + to) / 2].to_vec());
        check("truncated before its last byte", whole[..to - 1].to_vec());
        check("deleted", [before, after].concat());
        check("first byte deleted", [before, &own[1..], after].concat());
        check("doubled", [before, own, own, after].concat());
        check("a byte appended", [before, own, &[0], after].concat());
        check("a sector appended", [before, own, &[0xff; 512], after].concat());
        if let Some((_, _, end)) = parts.get(i + 1) {
            check("swapped with the next", [before, &whole[to..*end], own, &whole[*end..]].concat());
        }
        let spliced = &other[others[i].1..others[i].2];
        check("of another bundle", [before, spliced, after].concat());
        check("begin of another bundle", [before, spliced].concat());
        check("end of another bundle", [&whole[..to], &other[others[i].2..]].concat());
    }
    count.end(800);
}

/// The parts that an attacker can exchange whole: ids stay honest only if everything comes from one bundle.
#[test]
fn runs_of_structures_of_another_bundle() {
    let (whole, other) = (large(100), large(200));
    let (parts, others) = (structures(&whole), structures(&other));
    let mut count = Count::default();
    for i in 0..parts.len() {
        for j in i + 1..=parts.len() {
            let middle = &other[others[i].1..others[j - 1].2];
            let bytes = [&whole[..parts[i].1], middle, &whole[parts[j - 1].2..]].concat();
            if bytes != whole && bytes != other {
                count.damaged(|| format!("{} to {}", parts[i].0, parts[j - 1].0), &bytes);
            }
        }
    }
    count.end(100);
}

#[test]
fn every_bit_of_a_small_bundle() {
    let whole = small();
    assert!(whole.len() < 4096 && read_all(&whole).is_ok(), "{}", whole.len());
    let mut count = Count::default();
    let mut bytes = whole.clone();
    for bit in 0..whole.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        count.damaged(|| format!("bit {} of byte {}", bit % 8, bit / 8), &bytes);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    count.end(whole.len() * 8);
}

#[test]
fn every_length_of_a_small_bundle() {
    let whole = small();
    let mut count = Count::default();
    for len in 0..whole.len() {
        count.damaged(|| format!("the first {len} bytes"), &whole[..len]);
        count.damaged(|| format!("without the first {} bytes", len + 1), &whole[len + 1..]);
        let longer = [&whole[..], &whole[..=len]].concat();
        count.damaged(|| format!("its first {} bytes again at the end", len + 1), &longer);
    }
    count.end(whole.len() * 3);
}
