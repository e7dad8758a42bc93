//! To *learn* moves is to see, in what was matched, where the numbers that name a place point now.
//!
//! It only proposes: what it gets wrong is mended by fixes.

// Only the maker of patches comes here, with steps of its own.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::matching::Step;
use super::moves::{self, Kind, Moves, Part, Region};

/// Runs of fewer samples that agree are taken for noise: two changes of shift cost about as much as three fixes.
const RUN: usize = 3;
/// Nothing moves as far as this.
const FAR: u64 = 1 << 40;

/// An address of old content and how far what it names moved.
type Sample = (u64, i64);

/// Moves for a patch that makes `new`, which begins at `origin` of the new content, by `steps`.
pub fn moves(old: &[u8], new: &[u8], origin: u64, steps: &[Step], regions: &[Region]) -> Moves {
    // Addresses of old content and as many again: what a program has in memory but not in its file.
    let end = (old.len() as u64).saturating_mul(2);
    let mut moves = Moves { origin, end, regions: regions.to_vec(), shifts: Vec::new() };
    let mut samples = Vec::new();
    let mut used = vec![false; regions.len()];
    let mut at = 0;
    for step in steps {
        for part in moves.parts(step.old as u64, step.copy) {
            used[part.region] = true;
            let (from, to) = (step.old + part.at, at + part.at);
            let moved = moves.moved(at as u64, &part);
            sample(&old[from..from + part.len], &new[to..to + part.len], &part, moved, |address, by| {
                let known = address < end;
                if known && by.unsigned_abs() < FAR {
                    samples.push((address, by));
                }
                known
            });
        }
        at += step.copy + step.extra;
    }
    samples.sort_unstable();
    moves.shifts = shifts(&samples);
    let mut used = used.into_iter();
    moves.regions.retain(|_| used.next() == Some(true));
    moves
}

/// Tells `take` every address that `was` names, and how far what it names moved if `is` names it now; in code, what it
/// says is no address is passed over as it will be when the patch is applied.
fn sample(was: &[u8], is: &[u8], part: &Part, moved: i64, mut take: impl FnMut(u64, i64) -> bool) {
    match part.kind {
        Kind::Code => {
            let mut code = was.to_vec();
            moves::displacements(&mut code, |k, d| {
                let now = u32::from_le_bytes(*is.get(k..)?.first_chunk()?);
                let by = i64::from(now.wrapping_sub(d).cast_signed()).wrapping_add(moved);
                take(moves::target(part.place, k, d), by).then_some(d)
            });
        }
        Kind::Words4 { base } => {
            for (was, is) in was.as_chunks::<4>().0.iter().zip(is.as_chunks::<4>().0) {
                let (was, is) = (u32::from_le_bytes(*was), u32::from_le_bytes(*is));
                take(moves::address(was.into(), base), is.wrapping_sub(was).cast_signed().into());
            }
        }
        Kind::Words8 { base } => {
            for (was, is) in was.as_chunks::<8>().0.iter().zip(is.as_chunks::<8>().0) {
                let (was, is) = (u64::from_le_bytes(*was), u64::from_le_bytes(*is));
                take(moves::address(was, base), is.wrapping_sub(was).cast_signed());
            }
        }
    }
}

/// Samples, ascending, as shifts from one address on.
fn shifts(samples: &[Sample]) -> Vec<Sample> {
    let mut runs = Vec::new();
    for of_one in samples.chunk_by(|a, b| a.0 == b.0) {
        // Of several samples of one address the most frequent counts.
        let agreeing = of_one.chunk_by(|a, b| a.1 == b.1).max_by_key(|same| same.len()).unwrap_or(&[]);
        if let Some(sample) = agreeing.first() {
            join(&mut runs, *sample, agreeing.len());
        }
    }
    for least in 2..=RUN {
        let mut kept = Vec::new();
        for (sample, count) in runs {
            if count >= least {
                join(&mut kept, sample, count);
            }
        }
        runs = kept;
    }
    runs.into_iter().map(|(sample, _)| sample).collect()
}

/// Appends `count` samples that agree to the last run, or as a run of their own.
fn join(runs: &mut Vec<(Sample, usize)>, sample: Sample, count: usize) {
    match runs.last_mut() {
        Some((last, n)) if last.1 == sample.1 => *n += count,
        _ => runs.push((sample, count)),
    }
}
