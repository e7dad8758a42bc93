//! To *shrink* a blob is to say it as differences from old content, through an encoder where it is compressed.
//!
//! Which old content is chosen by name and place; a bad choice makes a delta larger, never wrong. What does not shrink is
//! stored as it is. Specified in `spec/bundle.md`, section "Deltas".

use super::apart::Apart;
use super::layout::Layout;
use super::repeats::{Elsewhere, Repeated, Repeats};
use super::runs::{self, Block, Run, Source};
use super::streams::Streams;
use super::units::Look;
use crate::bundle::{BundleError, Patched, Put, ReadyBlock, ScratchFile, SourceRun, temporary};
use crate::digest::Blob;
use crate::format::section::Segment;
use crate::kind::ReadAt;
use crate::op::delta::Held;
use crate::op::pairs::Pairs;
use crate::patch::{DEFAULT_LEVEL, Differ, SMALL_LEVEL};
use rayon::prelude::*;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Patches of a blob are at most so many percent of it, ...
const MOST: u64 = 95;
/// ... of one whose encoders are slow so many, ...
const WORTH: u64 = 85;
/// ... and so many where others have the same.
const SHARED: u64 = 120;

/// How a release is packed beside what the far side has.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// What is left out.
    pub held: &'a Held,
    /// What is compared with what.
    pub pairs: &'a Pairs<'a>,
    /// Whether size is all.
    pub small: bool,
}

/// Puts blobs that have a pair as patches where that is shorter. Where size is all, other blobs are expanded.
#[derive(Clone, Copy)]
pub struct Shrinking<'a> {
    /// What is compared with what.
    pub pairs: &'a Pairs<'a>,
    /// Threads.
    pub threads: usize,
    /// Whether size is all.
    pub small: bool,
}

/// Old content that a new blob is compared with.
pub(super) struct Chosen {
    /// Numbers of the old blobs, the most similar first.
    numbers: Vec<usize>,
    /// What is known of the new blob.
    look: Look,
    /// By part of the new blob: whether it is a stream.
    opened: Vec<bool>,
    /// Its chunks that other new blobs have, too.
    repeated: Vec<Repeated>,
}

impl Chosen {
    /// For a new blob; `None` where there is none, and not half of it is in other new blobs.
    pub fn new(
        pairs: &Pairs<'_>,
        repeats: &Repeats,
        blob: &Blob,
        apart: &Apart,
        threads: usize,
    ) -> Result<Option<Chosen>, BundleError> {
        let look = Look::new(apart).map_err(BundleError::Scratch)?;
        let numbers = pairs.of(blob, &look, threads)?;
        let repeated = repeats.of(blob, apart).map_err(BundleError::Scratch)?;
        let opened: Vec<bool> = apart.parts.iter().map(|p| p.plain.is_some()).collect();
        let twice = repeated.iter().filter(|r| opened.get(r.part) == Some(&true)).map(|r| r.len).sum::<u64>();
        let worth = !numbers.is_empty() || twice > 0 && twice >= look.len / 2;
        Ok(worth.then_some(Chosen { numbers, look, opened, repeated }))
    }

    /// Percent of the blob that its patches may take: `most`, but more where three quarters of it are in blobs that come later, because
    /// those then take nothing.
    fn most(&self, most: u64) -> u64 {
        let later = self.repeated.iter().filter(|r| r.elsewhere == Elsewhere::Later).map(|r| r.len).sum::<u64>();
        if later >= self.look.len / 4 * 3 && later > 0 { SHARED } else { most }
    }

    /// The chunks of parts that are compared by the bytes which they were when they were cut.
    fn repeated(&self, new: &Streams) -> Vec<Repeated> {
        let still =
            |r: &&Repeated| new.apart.parts.get(r.part).map(|p| p.plain.is_some()) == self.opened.get(r.part).copied();
        self.repeated.iter().filter(still).copied().collect()
    }
}

/// A block of new content that was compared.
struct Piece {
    block: Block,
    /// The number of its run.
    run: usize,
    /// Its patch in the scratch file: where, and how long.
    patch: Option<(u64, u64)>,
}

/// A blob that was compared.
struct Compared<'a> {
    layout: Layout<'a>,
    pieces: Vec<Piece>,
    /// By run: its old content.
    extents: Vec<Vec<SourceRun>>,
    patches: Box<dyn ScratchFile>,
}

impl Shrinking<'_> {
    /// Puts a blob as a patch; `false`, and nothing is put, where that does not pay.
    pub(super) fn shrink(
        &self,
        put: &mut dyn Put,
        blob: &Blob,
        what: &str,
        new: &Streams,
        chosen: &Chosen,
    ) -> Result<bool, BundleError> {
        let known = |chunk: &Repeated| put.known(&chunk.digest);
        let Some(compared) = self.compare(blob, what, new, chosen, &known)? else { return Ok(false) };
        if !compared.pays(blob, chosen.most(MOST)) {
            return Ok(false);
        }
        let segments = blocks(put, &compared, what)?;
        put.put_recipe(blob, what, segments)?;
        Ok(true)
    }

    /// Whether it is worth the time to prove the encoders of a blob that are guessed: whether it shrinks well if they are right, and
    /// if what blobs before it have, too, is put with those.
    pub(super) fn is_worth(
        &self,
        blob: &Blob,
        what: &str,
        new: &Streams,
        chosen: &Chosen,
    ) -> Result<bool, BundleError> {
        let known = |chunk: &Repeated| (chunk.elsewhere == Elsewhere::Before).then_some(0);
        let compared = self.compare(blob, what, new, chosen, &known)?;
        Ok(compared.is_some_and(|compared| compared.pays(blob, chosen.most(WORTH))))
    }

    /// Compares a blob with old content; `None` where that is no use.
    fn compare<'a>(
        &self,
        blob: &Blob,
        what: &str,
        new: &'a Streams,
        chosen: &Chosen,
        known: &dyn Fn(&Repeated) -> Option<u64>,
    ) -> Result<Option<Compared<'a>>, BundleError> {
        let input = |source| BundleError::Input { what: what.to_owned(), source };
        let compressed = crate::source::read::is_compressed(&first(&*new.apart.blob, blob.len).map_err(input)?);
        if compressed && new.unknown().saturating_mul(2) > blob.len {
            return Ok(None); // most of it is compressed by nobody we know
        }
        let mut sources = Vec::new();
        for number in &chosen.numbers {
            let opened = self.pairs.open(*number)?;
            sources.extend(opened.map(|(blob, apart)| Source { number: *number, blob, apart }));
        }
        let layout = Layout::new(new, &chosen.repeated(new), known);
        let runs = self.runs(&sources, chosen, &layout)?;
        let patches = temporary().map_err(BundleError::Scratch)?;
        let pieces = self.pieces(&layout, &runs, &sources, &*patches).map_err(input)?;
        let extents = runs.iter().map(|run| run.extents(&sources)).collect();
        Ok(Some(Compared { layout, pieces, extents, patches }))
    }

    /// What each block is compared with: everything, or where that is too long what has most in common with it.
    fn runs(&self, sources: &[Source], chosen: &Chosen, layout: &Layout<'_>) -> Result<Vec<Run>, BundleError> {
        let blocks = layout.cuts();
        if runs::fit(sources, layout.new, self.pairs.bounds) {
            return Ok(vec![runs::whole(sources, blocks)]);
        }
        let table = self.pairs.table(self.threads)?;
        let marks = layout.marks(&chosen.look.marks, &chosen.opened);
        Ok(runs::by_units(sources, &table, &marks, blocks, self.pairs.bounds))
    }

    /// Compares blocks with old content, one run after another. Patches go to `to`.
    fn pieces(
        &self,
        layout: &Layout<'_>,
        runs: &[Run],
        sources: &[Source],
        to: &dyn ScratchFile,
    ) -> io::Result<Vec<Piece>> {
        let level = if self.small { SMALL_LEVEL } else { DEFAULT_LEVEL };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().map_err(io::Error::other)?;
        let (mut out, end) = (Vec::new(), Mutex::new(0u64));
        for (number, run) in runs.iter().enumerate() {
            let (old, begins) = run.load(sources)?;
            let differ = Differ::new(&old, &begins);
            let one = |block: &Block| -> io::Result<Piece> {
                let none = Piece { block: *block, run: number, patch: None };
                if old.is_empty() {
                    return Ok(none);
                }
                let (new, _) = layout.read(block)?;
                let Some(patch) = differ.diff(&new, block.place, level).map_err(io::Error::other)? else {
                    return Ok(none);
                };
                let len = patch.len() as u64;
                let at = {
                    let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
                    *end += len;
                    *end - len
                };
                to.write_at(&patch, at)?;
                Ok(Piece { patch: Some((at, len)), ..none })
            };
            out.extend(pool.install(|| run.blocks.par_iter().map(one).collect::<io::Result<Vec<Piece>>>())?);
        }
        Ok(out)
    }
}

impl Compared<'_> {
    /// Whether what is put takes at most so many percent of the blob.
    fn pays(&self, blob: &Blob, percent: u64) -> bool {
        let cost = |p: &Piece| p.patch.map_or((p.block.end - p.block.start) / 2, |(_, len)| len);
        let size: u64 = self.pieces.iter().map(cost).sum();
        let nothing = self.layout.known == 0 && self.pieces.iter().all(|p| p.patch.is_none());
        !nothing && size.saturating_mul(100) <= blob.len.saturating_mul(percent)
    }
}

/// Puts the blocks; gives the segments.
fn blocks(put: &mut dyn Put, compared: &Compared<'_>, what: &str) -> Result<Vec<Segment>, BundleError> {
    let Compared { layout, pieces, extents, patches } = compared;
    let input = |source| BundleError::Input { what: what.to_owned(), source };
    let (mut first, mut lens) = (None, Vec::new());
    for piece in pieces {
        let (mut plain, chunks) = layout.read(&piece.block).map_err(input)?;
        lens.extend(chunks.iter().map(|c| u64::from(c.len)));
        let mut patch = None;
        if let Some((at, len)) = piece.patch {
            let plain_len = std::mem::take(&mut plain).len() as u32;
            let mut stored = vec![0u8; len as usize];
            patches.read_exact_at(&mut stored, at).map_err(BundleError::Scratch)?;
            patch = Some(Patched { stored, plain_len, extents: extents.get(piece.run).cloned().unwrap_or_default() });
        }
        let number = put.put_block(ReadyBlock { plain, chunks, patch })?;
        first.get_or_insert(number);
    }
    Ok(layout.segments(first.unwrap_or(0), &lens))
}

fn first(blob: &dyn ReadAt, len: u64) -> io::Result<Vec<u8>> {
    let mut head = vec![0u8; len.min(8) as usize];
    blob.read_exact_at(&mut head, 0)?;
    Ok(head)
}
