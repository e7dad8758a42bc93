//! A *search* looks for the longest match at a place: down the chain of places with the same hash, as far as a level allows.
//!
//! It enters nothing into the chains, and it decides nothing about tokens.

use super::links::Links;
use super::symbol::{MAX_MATCH, WINDOW};
use super::window::{common, load32};

/// Bytes that have a hash: the shortest match.
pub const MIN_MATCH: usize = 4;
/// Places of another chain that are looked at: enough to end most searches, few enough to cost little where they do not.
const OTHERS: usize = 12;

/// Where to search, and how long.
pub struct Search<'a> {
    /// Plain bytes, with slack behind.
    pub window: &'a [u8],
    /// Places by the hash of their four bytes.
    pub links: &'a Links,
    /// The hash of the four bytes at a place.
    pub hash: fn(&[u8], usize) -> u32,
    /// Whether all places up to `at` are entered.
    pub dense: bool,
    /// The place.
    pub at: usize,
    /// Bytes from it on.
    pub ahead: usize,
    /// A match this long ends the search.
    pub nice: usize,
    /// Places looked at.
    pub chain: usize,
}

impl Search<'_> {
    /// The longest match of more than `least` bytes (at least 3), the nearest of the longest: length and distance. The chain begins at `first`.
    /// A match longer than the one before counts only if `taken` says so of its length and distance.
    #[inline(always)]
    pub fn longest(
        &self,
        first: isize,
        least: usize,
        mut taken: impl FnMut(usize, usize) -> bool,
    ) -> Option<(usize, usize)> {
        let (window, at) = (self.window, self.at);
        let most = self.ahead.min(MAX_MATCH);
        let nice = self.nice.min(most);
        let last = at.saturating_sub(WINDOW) as isize;
        let (mut length, mut found, mut left, mut place) = (least, None, self.chain, first);
        while place >= last && left > 0 {
            let Some(until) = self.longer(place, length, last) else { break };
            // A longer match agrees in the four bytes that end just behind the longest so far.
            let skip = length.wrapping_sub(MIN_MATCH - 1);
            let tail = load32(window, at.wrapping_add(skip));
            while place >= until && left > 0 {
                let here = place as usize;
                place = self.links.before(place);
                left -= 1;
                if load32(window, here.wrapping_add(skip)) == tail {
                    let (n, distance) = (common(window, here, at, most), at.wrapping_sub(here));
                    if n > length && taken(n, distance) {
                        (length, found) = (n, Some((n, distance)));
                        if n >= nice {
                            return found;
                        }
                        break;
                    }
                }
            }
        }
        found
    }

    /// The last place to which the chain must be followed from `place` on before this is asked again; `None`: no place there has a match longer
    /// than `length`.
    ///
    /// Such a match has the four bytes that end just behind the longest so far, and the places that have them are a chain too, often a much shorter
    /// one. It cannot tell whether a place is among the first `chain`: what it finds is looked for in the right chain.
    #[inline(always)]
    fn longer(&self, place: isize, length: usize, last: isize) -> Option<isize> {
        let (window, at) = (self.window, self.at);
        let skip = length.wrapping_sub(MIN_MATCH - 1);
        if skip == 0 || !self.dense {
            return Some(last);
        }
        // Of a place nearer than that the four bytes in question are not entered yet.
        let near = at.wrapping_sub(skip) as isize;
        if place > near {
            return Some(near.wrapping_add(1));
        }
        let (front, tail) = (load32(window, at), load32(window, at.wrapping_add(skip)));
        let mut other = self.links.latest((self.hash)(window, at.wrapping_add(skip)));
        for _ in 0..OTHERS {
            let begin = other.wrapping_sub_unsigned(skip);
            if begin < last {
                return None;
            }
            if begin <= place
                && load32(window, other as usize) == tail
                && load32(window, begin as usize) == front
                && common(window, begin as usize, at, length.wrapping_add(1)) > length
            {
                return Some(begin);
            }
            other = self.links.before(other);
        }
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::super::links::HASH_BITS;
    use super::*;

    fn hash(window: &[u8], at: usize) -> u32 {
        load32(window, at).wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)
    }

    /// Few letters, runs, and copies from near and far: chains of all lengths.
    fn text(len: usize, letters: u32) -> Vec<u8> {
        let (mut out, mut seed) = (Vec::with_capacity(len + 300), 1u32);
        let mut draw = |most: u32| {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12345);
            (seed >> 8) % most
        };
        while out.len() < len {
            let many = 1 + draw(20) as usize;
            match draw(4) {
                0 => out.extend(std::iter::repeat_n(draw(letters) as u8, many)),
                1 if out.len() > 40 => {
                    let from = out.len() - 1 - draw(out.len().min(40_000) as u32 - 1) as usize;
                    (0..many * many / 2).for_each(|i| out.push(out[from + i]));
                }
                _ => (0..many).for_each(|_| out.push(draw(letters) as u8)),
            }
        }
        out.truncate(len);
        out
    }

    #[test]
    fn the_other_chain_changes_no_answer() {
        for letters in [2, 4, 200] {
            let mut window = text(50_000, letters);
            let end = window.len();
            window.extend([0; 8]);
            let mut links = Links::new();
            for at in 0..end - 3 {
                let first = links.enter(hash(&window, at), at);
                let find = |dense, (least, nice, chain)| {
                    let (window, links) = (&window[..], &links);
                    let search = Search { window, links, hash, dense, at, ahead: end - at, nice, chain };
                    search.longest(first, least, |n, distance| n > MIN_MATCH || distance <= 4096)
                };
                for limits in [(3, 16, 16), (3, 128, 128), (9, 128, 128), (20, 258, 1024)] {
                    if at % 7 == 0 && end - at > limits.0 {
                        assert_eq!(find(true, limits), find(false, limits), "{at} of {letters}: {limits:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_beaten_need_not_be_found_again() {
        let mut window = text(50_000, 4);
        let end = window.len();
        window.extend([0; 8]);
        let mut links = Links::new();
        for at in 0..end - 300 {
            let first = links.enter(hash(&window, at), at);
            let search = Search {
                window: &window,
                links: &links,
                hash,
                dense: false,
                at,
                ahead: end - at,
                nice: 128,
                chain: 128,
            };
            let all = search.longest(first, 3, |_, _| true);
            assert_eq!(search.longest(first, 9, |_, _| true), all.filter(|(n, _)| *n > 9), "{at}");
        }
    }
}
