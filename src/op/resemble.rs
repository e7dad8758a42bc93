//! What old content *resembles* new content is told by the marks that both have.
//!
//! It knows nothing of names and versions. See `spec/rationale.md`, section "Deltas".

use super::units::{Look, Mark, Unit};
use crate::patch::similar::is_sample;
use std::collections::BTreeMap;

/// Rows of the table; beyond that it is thinned out. 128 MiB.
const ROWS: usize = 8 << 20;
/// Units that are looked at for one mark.
const SAME: usize = 16;
/// Old contents that one new content is compared with.
const MOST: usize = 4;
/// The first old content has to share so many marks, another one so many more and this share of all.
const FIRST: usize = 2;
const MORE: usize = 4;
const SHARE: usize = 64;

/// Which units of old contents have which marks.
#[derive(Default)]
pub struct Table {
    /// Value and number of a unit; once [`Table::finish`] was called in order, each once.
    rows: Vec<(u64, u32)>,
    /// Of each unit the number of its content.
    units: Vec<(usize, Unit)>,
    /// Of each content its plain bytes.
    lens: BTreeMap<usize, u64>,
    density: u32,
}

/// What decides between contents that share as much.
pub type Rank = (bool, std::cmp::Reverse<u64>, std::cmp::Reverse<usize>);

impl Table {
    /// Adds content number `content`.
    pub fn add(&mut self, content: usize, look: &Look) {
        self.lens.insert(content, look.len);
        if look.marks.is_empty() {
            return;
        }
        let first = self.units.len();
        self.units.extend(look.units.iter().map(|unit| (content, *unit)));
        for mark in &look.marks {
            let unit = u32::try_from(first + look.unit_of(mark)).unwrap_or(u32::MAX);
            if is_sample(mark.value, self.density) {
                self.rows.push((mark.value, unit));
            }
        }
        while self.rows.len() > ROWS {
            self.density += 1;
            let density = self.density;
            self.rows.retain(|(value, _)| is_sample(*value, density));
        }
    }

    /// Puts the rows in order.
    pub fn finish(&mut self) {
        self.rows.sort_unstable();
        self.rows.dedup();
    }

    /// Units that have a mark of that value, with the numbers of their contents.
    pub fn having(&self, value: u64) -> impl Iterator<Item = (u32, usize)> + '_ {
        let from = self.rows.partition_point(|row| row.0 < value);
        let rows = self.rows.get(from..).unwrap_or_default();
        let units = rows.iter().take_while(move |row| row.0 == value).take(SAME).map(|row| row.1);
        units.filter_map(|n| Some((n, self.units.get(n as usize)?.0)))
    }

    /// A unit by number.
    pub fn unit(&self, n: u32) -> Option<Unit> {
        self.units.get(n as usize).map(|(_, unit)| *unit)
    }

    /// The number of the content that a unit is of.
    pub fn content_of(&self, n: u32) -> Option<usize> {
        self.units.get(n as usize).map(|(content, _)| *content)
    }

    /// Whether two units are of the same part.
    pub fn follow(&self, a: u32, b: u32) -> bool {
        let of = |n: u32| self.units.get(n as usize).map(|(content, unit)| (*content, unit.part));
        of(a) == of(b)
    }

    /// Plain bytes of a content.
    pub fn len_of(&self, content: usize) -> u64 {
        self.lens.get(&content).copied().unwrap_or(0)
    }

    /// The contents that together share most with what has these marks, the most similar first: each shares many marks that those
    /// before it do not. Only contents that `may` be taken; `rank` decides between equals, the greatest wins.
    pub fn most_similar(
        &self,
        marks: &[Mark],
        may: &dyn Fn(usize) -> bool,
        rank: &dyn Fn(usize) -> Rank,
    ) -> Vec<usize> {
        let mut having: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let known = marks.iter().filter(|m| is_sample(m.value, self.density));
        let mut count = 0usize;
        for (n, mark) in (0u32..).zip(known) {
            count += 1;
            for (_, content) in self.having(mark.value) {
                let shared = having.entry(content).or_default();
                if shared.last() != Some(&n) {
                    shared.push(n);
                }
            }
        }
        having.retain(|content, _| may(*content));
        let mut covered = vec![false; count];
        let mut out = Vec::new();
        while out.len() < MOST {
            let open = |shared: &Vec<u32>| shared.iter().filter(|n| covered.get(**n as usize) == Some(&false)).count();
            let best = having.iter().map(|(content, shared)| (open(shared), rank(*content), *content)).max();
            let least = if out.is_empty() { FIRST } else { MORE.max(count / SHARE) };
            let Some((_, _, content)) = best.filter(|(gain, ..)| *gain >= least) else { break };
            for n in having.remove(&content).unwrap_or_default() {
                if let Some(slot) = covered.get_mut(n as usize) {
                    *slot = true;
                }
            }
            out.push(content);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(values: impl IntoIterator<Item = u64>) -> Look {
        let marks: Vec<Mark> = values.into_iter().map(|value| Mark { value, part: 0, at: value }).collect();
        Look { units: vec![Unit { part: 0, from: 0, len: 1 << 20 }], marks, len: 1 << 20 }
    }

    #[test]
    fn the_most_similar_are_chosen_and_each_adds_something() {
        let mut table = Table::default();
        for (n, values) in [(0, 0..100), (1, 0..90), (2, 100..150), (3, 0..100), (4, 90..101), (5, 500..600)] {
            table.add(n, &look(values));
        }
        table.finish();
        let rank = |n: usize| (n == 3, std::cmp::Reverse(0), std::cmp::Reverse(n));
        let all = |_: usize| true;
        for (values, want) in [
            (0..150, vec![3, 2]), // equal to 0, but named
            (0..100, vec![3]),
            (120..130, vec![2]),
            (149..151, vec![]), // by accident
            (95..505, vec![2]), // the others add too little
            (700..900, vec![]),
        ] {
            assert_eq!(table.most_similar(&look(values.clone()).marks, &all, &rank), want, "{values:?}");
        }
        let not_three = |n: usize| n != 3;
        assert_eq!(table.most_similar(&look(0..100).marks, &not_three, &rank), [0]);
    }
}
