//! *Samples* are hashes of a few runs of content. Contents that share runs share samples, in the same measure, wherever the
//! runs lie.
//!
//! They choose old content for the differ; a bad choice makes patches larger, never wrong. Not part of the specification.

// The table has an entry for every byte.
#![allow(clippy::indexing_slicing, clippy::as_conversions)]

/// Bytes of a run: whatever has so many in common is also found by an anchor.
const RUN: u64 = 32;
/// Of content up to [`SHORT`] one run in 64 is a sample, of longer one in 1024, and of more than 2 GiB fewer, so that samples
/// are at most about two millions.
const SHORT: u64 = 1 << 20;
const MANY: u64 = 2 << 30;

/// The bits that are 0 at the top of every sample of content of `len` bytes. Samples of one density are a part of those of a
/// higher one.
pub fn density(len: u64) -> u32 {
    match len {
        0..=SHORT => 6,
        _ => len.div_ceil(MANY).next_power_of_two().trailing_zeros().saturating_add(10),
    }
}

/// Whether a sample belongs to those of that density.
pub fn is_sample(value: u64, density: u32) -> bool {
    value.leading_zeros() >= density
}

/// A value for a name, which is a sample of every density.
pub fn of_name(name: &[u8]) -> u64 {
    name.iter().fold(0, |sum, byte| mix(sum ^ u64::from(*byte))) >> 32
}

/// Takes samples while content streams by.
#[derive(Debug, Clone)]
pub struct Sampler {
    gear: u64,
    seen: u64,
    last: u64,
    density: u32,
}

/// What a byte adds to the rolling hash; every bit of it has left after 32 bytes.
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[n as usize] = mix(n);
        n += 1;
    }
    table
};

/// The finalizer of SplitMix64.
#[allow(clippy::arithmetic_side_effects)]
const fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

impl Sampler {
    /// One that takes samples of that density.
    pub fn new(density: u32) -> Sampler {
        Sampler { gear: 0, seen: 0, last: u64::MAX, density }
    }

    /// Takes the next bytes of the content, and gives each sample in them with the place behind its run. Of a sample that
    /// comes again and again, as in zeros, the first is given.
    pub fn update(&mut self, bytes: &[u8], mut take: impl FnMut(u64, u64)) {
        for byte in bytes {
            self.gear = self.gear.wrapping_shl(2).wrapping_add(GEAR[usize::from(*byte)]);
            self.seen = self.seen.saturating_add(1);
            if is_sample(self.gear, self.density) && self.seen >= RUN && self.gear != self.last {
                self.last = self.gear;
                take(self.gear, self.seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn samples(bytes: &[u8], density: u32) -> BTreeSet<u64> {
        let (mut sampler, mut out) = (Sampler::new(density), BTreeSet::new());
        bytes.chunks(7).for_each(|c| {
            sampler.update(c, |value, _| {
                out.insert(value);
            })
        });
        out
    }

    fn noise(seed: u64, len: u64) -> Vec<u8> {
        (0..len).map(|n| mix(seed.wrapping_mul(1 << 32) ^ n) as u8).collect()
    }

    #[test]
    fn samples_tell_how_much_is_shared() {
        let a = noise(1, 200_000);
        let half = [&noise(2, 100_000)[..], &a[..100_000]].concat();
        let all = samples(&a, 6);
        let expected = 200_000 / 64;
        assert!(all.len().abs_diff(expected) < expected / 8, "{}", all.len());
        let shared = |other: &[u8]| samples(other, 6).intersection(&all).count();
        assert!(shared(&[b"elsewhere", &a[..]].concat()) == all.len());
        assert!(shared(&half).abs_diff(all.len() / 2) < all.len() / 8, "{}", shared(&half));
        assert_eq!(shared(&noise(3, 200_000)), 0);
        assert_eq!(shared(b"short"), 0);
        assert!(samples(&vec![0; 100_000], 0).len() == 1);
    }

    #[test]
    fn a_lower_density_takes_a_part_of_a_higher_one() {
        let a = noise(4, 300_000);
        let (many, few) = (samples(&a, 6), samples(&a, 10));
        assert!(!few.is_empty() && few.is_subset(&many) && few.len() < many.len() / 8);
        assert!(
            few.iter().all(|v| is_sample(*v, 10)) && many.iter().filter(|v| is_sample(**v, 10)).count() == few.len()
        );
        for (len, density) in [(0, 6), (SHORT, 6), (SHORT + 1, 10), (MANY, 10), (MANY + 1, 11), (u64::MAX, 43)] {
            assert_eq!(super::density(len), density);
        }
        assert!(is_sample(of_name(b"usr/bin/kubectl"), 32) && of_name(b"a") != of_name(b"b"));
    }
}
