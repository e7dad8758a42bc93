//! The *walk* goes through recipes in order and says what each blob is made of, chunk by chunk.
//!
//! It moves no bytes: one pair of [`Hands`] plans which blocks are read, another makes the blobs, and because both hear the
//! same, the plan holds. Specified in `spec/bundle.md`, sections "Blocks, chunks, recipes" and "Deltas".

use super::BundleError;
use super::tables::Tables;
use crate::format::section::{Recipe, Segment};
use std::collections::{BTreeMap, HashMap};

/// Where a chunk can be had again once it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// Only in its block.
    Block,
    /// In a blob that is there, at an offset.
    Blob(u32, u64),
    /// In the plain bytes of a replay, at an offset.
    Plain(u32, u64),
}

/// What is done on the way. Blobs and replays are numbers; replays are counted over all recipes.
pub(super) trait Hands {
    /// A blob begins.
    fn begin(&mut self, blob: u32) -> Result<(), BundleError>;
    /// Its next bytes, or those of the open replay, are a chunk.
    fn chunk(&mut self, number: u64, home: Home) -> Result<(), BundleError>;
    /// They are bytes of a source.
    fn base(&mut self, source: usize, offset: u64, len: u64) -> Result<(), BundleError>;
    /// They are the blob itself, which is a base.
    fn itself(&mut self, blob: u32) -> Result<(), BundleError>;
    /// What follows is plain bytes for an encoder.
    fn open(&mut self, replay: u32, segment: &Segment) -> Result<(), BundleError>;
    /// The encoder has all its plain bytes.
    fn close(&mut self, replay: u32, segment: &Segment) -> Result<(), BundleError>;
    /// The blob is complete.
    fn finish(&mut self, blob: u32) -> Result<(), BundleError>;
    /// All blobs of the walk are complete.
    fn end(&mut self) -> Result<(), BundleError> {
        Ok(())
    }
}

/// Where the walk is.
pub(super) struct Walk<'a> {
    tables: &'a Tables,
    homes: HashMap<u64, Home>,
    replays: u32,
    /// Whether blobs can be read back once they were written.
    reads_back: bool,
}

impl<'a> Walk<'a> {
    pub fn new(tables: &'a Tables, reads_back: bool) -> Walk<'a> {
        Walk { tables, homes: HashMap::new(), replays: 0, reads_back }
    }

    /// Through all recipes; what is not wanted is there and can be read back.
    pub fn all(&mut self, wanted: &[bool], hands: &mut dyn Hands) -> Result<(), BundleError> {
        for recipe in &self.tables.recipes {
            self.recipe(recipe, wanted.get(recipe.blob as usize) == Some(&true), hands)?;
        }
        hands.end()
    }

    /// Through one recipe; hands hear of it only if its blob is wanted.
    pub fn recipe(&mut self, recipe: &Recipe, want: bool, hands: &mut dyn Hands) -> Result<(), BundleError> {
        let blob = recipe.blob as u32;
        if want {
            hands.begin(blob)?;
        }
        let mut offset = 0u64;
        for segment in &recipe.segments {
            match segment {
                Segment::Replay { len, parts, .. } => {
                    self.replay(segment, parts, want, hands)?;
                    offset += len;
                }
                other => {
                    let reads_back = self.reads_back;
                    let home = |at| reads_back.then_some(Home::Blob(blob, offset + at));
                    offset += self.leaf(other, blob, want, &home, hands)?;
                }
            }
        }
        if want { hands.finish(blob) } else { Ok(()) }
    }

    fn replay(
        &mut self,
        segment: &Segment,
        parts: &[Segment],
        want: bool,
        hands: &mut dyn Hands,
    ) -> Result<(), BundleError> {
        let number = self.replays;
        self.replays += 1;
        if want {
            hands.open(number, segment)?;
        }
        let mut offset = 0u64;
        for part in parts {
            // The plain bytes of a blob that is not made are nowhere.
            let home = |at| want.then_some(Home::Plain(number, offset + at));
            offset += self.leaf(part, 0, want, &home, hands)?;
        }
        if want { hands.close(number, segment) } else { Ok(()) }
    }

    /// A segment without others in it; gives its length. `home` says where a chunk at an offset of it can be had from now on.
    fn leaf(
        &mut self,
        segment: &Segment,
        blob: u32,
        want: bool,
        home: &dyn Fn(u64) -> Option<Home>,
        hands: &mut dyn Hands,
    ) -> Result<u64, BundleError> {
        match segment {
            Segment::Chunks { first, count } => {
                let mut at = 0u64;
                for number in *first..*first + *count {
                    let known = self.homes.get(&number).copied().unwrap_or(Home::Block);
                    if want {
                        hands.chunk(number, known)?;
                    }
                    if let (Home::Block, Some(new)) = (known, home(at)) {
                        self.homes.insert(number, new);
                    }
                    at += self.tables.chunk_len(number);
                }
                Ok(at)
            }
            Segment::Base { source, offset, len } => {
                if want {
                    hands.base(*source as usize, *offset, *len)?;
                }
                Ok(*len)
            }
            Segment::Itself => {
                if want {
                    hands.itself(blob)?;
                }
                Ok(self.tables.blobs.get(blob as usize).map_or(0, |b| b.len))
            }
            Segment::Replay { .. } => Ok(0), // never inside another: the recipes were checked
        }
    }
}

/// Blocks that are held at once. Streams, what lies between them, and what they share with others come by turns, from as many
/// blocks; each would else be read again at each turn.
const HELD: usize = 3;

/// What is held of blocks, that of the one used last in front. The plan and the making hold the same.
pub(super) struct Recent<B>(Vec<(usize, B)>);

impl<B> Default for Recent<B> {
    fn default() -> Recent<B> {
        Recent(Vec::new())
    }
}

impl<B> Recent<B> {
    /// The block used last.
    pub fn front(&mut self) -> Option<&mut (usize, B)> {
        self.0.first_mut()
    }

    /// Brings a block to the front; `false`, with room for it, where it is not held.
    pub fn bring(&mut self, number: usize) -> bool {
        match self.0.iter().position(|(n, _)| *n == number).and_then(|at| self.0.get_mut(..=at)) {
            Some(before) => {
                before.rotate_right(1);
                true
            }
            None => {
                self.0.truncate(HELD - 1);
                false
            }
        }
    }

    /// Takes a block to the front.
    pub fn add(&mut self, number: usize, block: B) {
        self.0.insert(0, (number, block));
    }
}

/// Which blocks are read, in which order, and which plain bytes have to be kept for later.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Numbers of blocks; one may come again.
    pub reads: Vec<usize>,
    /// By replay: whether a later blob takes chunks from its plain bytes.
    pub kept: Vec<bool>,
    /// By blob: bytes that others read back from it.
    pub read_back: BTreeMap<u32, u64>,
}

pub(super) struct Planner<'a> {
    tables: &'a Tables,
    recent: Recent<()>,
    pub plan: Plan,
}

impl<'a> Planner<'a> {
    pub fn new(tables: &'a Tables) -> Planner<'a> {
        Planner { tables, recent: Recent::default(), plan: Plan::default() }
    }
}

impl Hands for Planner<'_> {
    fn chunk(&mut self, number: u64, home: Home) -> Result<(), BundleError> {
        match home {
            Home::Block => {
                let block = self.tables.blocks.block_of(number);
                if !self.recent.bring(block) {
                    self.recent.add(block, ());
                    self.plan.reads.push(block);
                }
            }
            Home::Plain(replay, _) => {
                if let Some(kept) = self.plan.kept.get_mut(replay as usize) {
                    *kept = true;
                }
            }
            Home::Blob(blob, _) => {
                let bytes = self.plan.read_back.entry(blob).or_default();
                *bytes = bytes.saturating_add(self.tables.chunk_len(number));
            }
        }
        Ok(())
    }
    fn open(&mut self, replay: u32, _: &Segment) -> Result<(), BundleError> {
        self.plan.kept.resize(replay as usize + 1, false);
        Ok(())
    }
    fn begin(&mut self, _: u32) -> Result<(), BundleError> {
        Ok(())
    }
    fn base(&mut self, _: usize, _: u64, _: u64) -> Result<(), BundleError> {
        Ok(())
    }
    fn itself(&mut self, _: u32) -> Result<(), BundleError> {
        Ok(())
    }
    fn close(&mut self, _: u32, _: &Segment) -> Result<(), BundleError> {
        Ok(())
    }
    fn finish(&mut self, _: u32) -> Result<(), BundleError> {
        Ok(())
    }
}
