//! A *sketch* is a small sample of content that tells how much of it other content has, too.
//!
//! It chooses old content for the differ; a bad choice makes patches larger, never wrong. Not part of the specification.

// The table has an entry for every byte.
#![allow(clippy::indexing_slicing, clippy::as_conversions)]

/// Values of a sketch: 64 tell a resemblance to about an eighth, in 512 bytes.
const VALUES: usize = 64;
/// Content whose sketches share fewer values is not alike: by accident they share none.
const ALIKE: usize = 2;

/// The 64 smallest values that runs of 32 bytes hash to, ascending (Broder's bottom-k sketch). Content that is cut
/// elsewhere or moved has the same values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch(Vec<u64>);

/// Makes a sketch while content streams by.
#[derive(Debug, Clone, Default)]
pub struct Sketcher {
    gear: u32,
    seen: u64,
    least: Vec<u64>,
}

/// What a byte adds to the rolling hash; every bit of it has left after 32 bytes.
const GEAR: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[n as usize] = (mix(n) >> 32) as u32;
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

impl Sketcher {
    /// Takes the next bytes of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.gear = self.gear.wrapping_shl(1).wrapping_add(GEAR[usize::from(*byte)]);
            self.seen = self.seen.saturating_add(1);
            if self.seen >= 32 {
                self.offer(mix(self.gear.into()));
            }
        }
    }

    fn offer(&mut self, value: u64) {
        let full = self.least.len() == VALUES;
        if full && self.least.last().is_some_and(|last| value >= *last) {
            return;
        }
        if let Err(at) = self.least.binary_search(&value) {
            if full {
                self.least.pop();
            }
            self.least.insert(at, value);
        }
    }

    /// The sketch of all that was taken. Content of less than 32 bytes has an empty one.
    pub fn finish(self) -> Sketch {
        Sketch(self.least)
    }
}

impl Sketch {
    /// Of the 64 smallest values of both together, how many are in both: 64 times the share of runs that both have.
    pub fn resemblance(&self, other: &Sketch) -> usize {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = 0usize;
        for _ in 0..VALUES {
            let Some(least) = [a.peek(), b.peek()].into_iter().flatten().min().map(|v| **v) else { break };
            let (in_a, in_b) = (a.next_if_eq(&&least).is_some(), b.next_if_eq(&&least).is_some());
            both = both.saturating_add(usize::from(in_a && in_b));
        }
        both
    }
}

/// Content that may be new or old: what is known of it without reading it again.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Its kind: layer of an image, wheel, binary.
    pub kind: &'a str,
    /// Its name without a version: an image and a layer's number, a package, a path.
    pub name: &'a str,
    /// Its length, expanded.
    pub size: u64,
    /// Its sketch.
    pub sketch: &'a Sketch,
}

/// The number of the old content that is most like `new`: of those of its kind and name, if there are any, else of those
/// that share runs with it; the one that shares most, then the one of the nearest size, then the first.
pub fn most_similar(new: &Candidate<'_>, old: &[Candidate<'_>]) -> Option<usize> {
    let rank = |o: &Candidate<'_>| {
        let named = o.kind == new.kind && o.name == new.name;
        let shared = new.sketch.resemblance(o.sketch);
        (named || shared >= ALIKE).then_some((named, shared, std::cmp::Reverse(new.size.abs_diff(o.size))))
    };
    let ranked = old.iter().enumerate().filter_map(|(n, o)| Some((rank(o)?, std::cmp::Reverse(n))));
    ranked.max().map(|(_, std::cmp::Reverse(n))| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(bytes: &[u8]) -> Sketch {
        let mut s = Sketcher::default();
        bytes.chunks(7).for_each(|c| s.update(c));
        s.finish()
    }

    fn noise(seed: u64, len: u64) -> Vec<u8> {
        (0..len).map(|n| mix(seed.wrapping_mul(1 << 32) ^ n) as u8).collect()
    }

    #[test]
    fn sketches_tell_how_much_is_shared() {
        let a = noise(1, 100_000);
        let half = [&noise(2, 50_000)[..], &a[..50_000]].concat();
        let moved = [b"elsewhere", &a[..]].concat();
        assert_eq!(sketch(&a).resemblance(&sketch(&a)), 64);
        assert!(sketch(&a).resemblance(&sketch(&moved)) >= 62);
        let third = sketch(&a).resemblance(&sketch(&half)); // half of each, so a third of both together
        assert!((12..=32).contains(&third), "{third}");
        assert_eq!(sketch(&a).resemblance(&sketch(&noise(3, 100_000))), 0);
        assert_eq!(sketch(b"short").resemblance(&sketch(&a)), 0);
    }

    #[test]
    fn the_most_similar_is_chosen() {
        let (a, b, c) = (noise(1, 9000), noise(2, 9000), noise(3, 9000));
        let near = [&a[..8000], &c[..1000]].concat();
        let (sa, sb, sc, sn) = (sketch(&a), sketch(&b), sketch(&c), sketch(&near));
        let of = |name, sketch, size| Candidate { kind: "layer", name, size, sketch };
        let new = of("x", &sa, 9000);
        for (old, expect) in [
            (vec![], None),
            (vec![of("y", &sb, 9000)], None),
            (vec![of("y", &sb, 9000), of("z", &sn, 9000)], Some(1)),
            (vec![of("x", &sb, 9000), of("z", &sn, 9000)], Some(0)),
            (vec![of("x", &sb, 9000), of("x", &sn, 9000)], Some(1)),
            (vec![of("x", &sb, 9), of("x", &sc, 8999)], Some(1)),
            (vec![of("x", &sb, 9000), of("x", &sc, 9000)], Some(0)),
            (vec![Candidate { kind: "wheel", ..of("x", &sb, 9000) }], None),
        ] {
            assert_eq!(most_similar(&new, &old), expect, "{old:?}");
        }
    }
}
