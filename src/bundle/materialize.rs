//! *Materializing* is putting blobs together again from blocks, in one pass over the medium.
//!
//! Each block is hashed, then decompressed, then cut into the blobs that want its chunks; every blob goes to a sink that
//! hashes it again. A chunk that an earlier blob has is read back from that blob. Specified in `spec/bundle.md`, section
//! "Reading".

use super::bases::{Bases, Needs, Workplace};
use super::index::Bundle;
use super::maker::Maker;
use super::prove::Proof;
use super::tables::BlockTable;
use super::walk::{Planner, Walk};
use super::{BundleError, Medium, read_block};
use crate::buffer::{Buffer, Pool};
use crate::class::{Class, Classified};
use crate::codec::block;
use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::frame::Form;
use crate::format::table::{BlockRow, Codec};
use crate::monitor::Monitor;
use crate::parallel;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::sync_channel;

/// Patches that may be applied at once: each takes up to four times a block, and an unpack stays under 512 MiB.
const PATCHES: usize = 4;

/// Takes blobs, one after another.
pub trait BlobSink {
    /// Its errors.
    type Error: Classified + Send + Sync + 'static;
    /// Whether the blob has to be made; `false` where it is there already.
    fn wants(&mut self, blob: &Blob) -> Result<bool, Self::Error>;
    /// Begins a blob that is wanted.
    fn begin(&mut self, blob: &Blob) -> Result<(), Self::Error>;
    /// More of its bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// All bytes of a blob that was begun, at once: they were hashed in this very buffer and have the blob's digest.
    fn proven(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.write(bytes)
    }
    /// All bytes are written; `Ok(false)` where they do not have the blob's digest.
    fn finish(&mut self, blob: &Blob) -> Result<bool, Self::Error>;
    /// Whether [`BlobSink::read_back`] works.
    fn reads_back(&self) -> bool {
        true
    }
    /// Told before the first blob begins: how many bytes will be read back of which blobs.
    fn will_read_back(&mut self, _bytes: &BTreeMap<Blob, u64>) {}
    /// Fills `buf` from `offset` of a blob that is there or was finished, or of the one that is being written.
    fn read_back(&mut self, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), Self::Error>;
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Materialized {
    /// Blobs made.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were there.
    pub present: u64,
    /// Bytes read of blocks.
    pub read: u64,
}

/// A blob that a bundle builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUse {
    /// The blob.
    pub base: Blob,
    /// Blobs of the release that are it, or are made of it, in the order of digests.
    pub makes: Vec<Blob>,
}

impl<M: Medium, T: Sync> Bundle<M, T> {
    /// Reads every block once and checks its digest. Work is in stored bytes.
    pub fn check_blocks(&self, threads: usize, monitor: &dyn Monitor) -> Result<u64, BundleError> {
        self.require_blocks()?;
        let table = self.block_table()?;
        monitor.phase("reading", Some(self.carriage.blocks_len));
        let numbers: Vec<usize> = (0..table.rows.len()).collect();
        let check = |_: usize, row: &BlockRow, stored: Buffer, _: &Pool| Ok(block::check(row, &stored)?);
        self.each_block(&table, &numbers, threads, monitor, check, |_, ()| Ok(()))?;
        Ok(self.carriage.blocks_len)
    }

    /// Checks that the carriage's tables agree: every rule that needs no block.
    pub fn check_tables(&self) -> Result<(), BundleError> {
        self.require_blocks()?;
        self.tables().map(|_| ())
    }

    pub(super) fn require_blocks(&self) -> Result<(), BundleError> {
        match self.form() {
            Form::Full => Ok(()),
            Form::Head => Err(BundleError::NoBlocks("the head of a bundle in volumes")),
            Form::IndexOnly => Err(BundleError::NoBlocks("an index for reviewers")),
        }
    }

    /// Reads blocks in order, transforms them on several threads, and takes the results in order.
    fn each_block<O: Send>(
        &self,
        table: &BlockTable,
        numbers: &[usize],
        threads: usize,
        monitor: &dyn Monitor,
        transform: impl Fn(usize, &BlockRow, Buffer, &Pool) -> Result<O, BundleError> + Sync,
        mut take: impl FnMut(usize, O) -> Result<(), BundleError>,
    ) -> Result<(), BundleError> {
        let pool = Pool::default();
        parallel::ordered(
            threads,
            super::in_flight(threads),
            |feed| {
                for n in numbers {
                    let (row, at) = table.place(*n)?;
                    let stored = read_block(&self.sealed.medium, at, row.stored_len, &pool)?;
                    monitor.advance(row.stored_len.into());
                    // A patch takes its streams and its result beside what is stored.
                    let times = if matches!(row.codec, Codec::Patch(_)) { 4 } else { 1 };
                    let weight = u64::from(row.stored_len.max(row.plain_len)).saturating_mul(times);
                    if feed.push((*n, row, at, stored), weight).is_err() {
                        break;
                    }
                }
                Ok(())
            },
            |(n, row, at, stored)| {
                transform(n, &row, stored, &pool).map(|out| (n, out)).map_err(|e| e.of_block(n, at, &row))
            },
            |out| out.and_then(|(n, out)| take(n, out)),
        )
    }

    /// All blobs that the bundle builds on, in the order of digests.
    pub fn bases(&self) -> Result<Vec<BaseUse>, BundleError> {
        self.require_blocks()?;
        let tables = self.tables()?;
        let mut all: BTreeMap<Blob, BTreeSet<Blob>> = BTreeMap::new();
        for recipe in &tables.recipes {
            let Some(blob) = tables.blobs.get(recipe.blob as usize) else { continue };
            let Needs { sources, whole } = tables.recipe_needs(recipe, blob);
            let bases = sources.iter().filter_map(|n| tables.sources.bases.get(tables.sources.base_of(*n)?)).copied();
            for base in bases.chain(whole) {
                all.entry(base).or_default().insert(*blob);
            }
        }
        Ok(all.into_iter().map(|(base, makes)| BaseUse { base, makes: makes.into_iter().collect() }).collect())
    }

    /// The bases that cannot be had of `work` or are not what they are called, for the blobs that are `wanted`.
    pub fn lacking(
        &self,
        wanted: &dyn Fn(&Blob) -> bool,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Blob>, BundleError> {
        let tables = self.tables()?;
        let wanted: Vec<bool> = tables.blobs.iter().map(wanted).collect();
        match Bases::new(&tables.sources, work).hash(&tables.needs(&wanted, true), threads, monitor) {
            Err(BundleError::Lacking(blobs)) => Ok(blobs),
            other => other.map(|()| Vec::new()),
        }
    }

    /// Makes every blob that takes more than reading blocks, compares its digest and throws it away; gives how many and
    /// their bytes.
    pub fn prove(
        &self,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Materialized, BundleError> {
        let mut proof = Proof::new(self.tables()?.made());
        self.materialize_into(&mut proof, work, threads, monitor)
    }

    /// Makes every blob that the sink wants. Work is in stored bytes read.
    pub(crate) fn materialize_into<S: BlobSink>(
        &self,
        sink: &mut S,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Materialized, BundleError> {
        self.require_blocks()?;
        let tables = self.tables()?;
        let mut wanted = vec![false; tables.blobs.len()];
        let mut present = 0;
        for (blob, wanted) in tables.blobs.iter().zip(&mut wanted) {
            *wanted = sink.wants(blob).map_err(sink_error(blob))?;
            present += u64::from(!*wanted);
        }
        let bases = Bases::new(&tables.sources, work);
        bases.prove(&tables.needs(&wanted, sink.reads_back()), threads, monitor)?;
        let mut planner = Planner::new(&tables);
        Walk::new(&tables, sink.reads_back()).all(&wanted, &mut planner)?;
        let plan = planner.plan;
        let of = |(n, bytes): (&u32, &u64)| Some((*tables.blobs.get(*n as usize)?, *bytes));
        sink.will_read_back(&plan.read_back.iter().filter_map(of).collect());
        let read = plan.reads.iter().filter_map(|n| tables.blocks.rows.get(*n)).map(|r| u64::from(r.stored_len)).sum();
        monitor.phase("unpacking", Some(read));
        let patches = tables.blocks.rows.iter().any(|r| matches!(r.codec, Codec::Patch(_)));
        let workers = if patches { threads.min(PATCHES) } else { threads };
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(0);
            let (tables, bases, reads) = (&tables, &bases, &plan.reads);
            let reader = scope.spawn(move || {
                let restore =
                    |n: usize, row: &BlockRow, stored: Buffer, pool: &Pool| tables.restore(n, row, stored, bases, pool);
                // Nobody takes it any more only after another error.
                let hand_on = |n, plain| sender.send((n, plain)).map_err(|_| out_of_order());
                self.each_block(&tables.blocks, reads, workers, monitor, restore, hand_on)
            });
            let mut next = |n: usize| match receiver.recv() {
                Ok((number, plain)) if number == n => Ok(plain),
                _ => Err(out_of_order()),
            };
            let mut maker = Maker::new(tables, bases, sink, &mut next, plan.kept.clone(), threads);
            let reads_back = maker.sink.reads_back();
            let walked = Walk::new(tables, reads_back).all(&wanted, &mut maker);
            let done = maker.done;
            drop(receiver);
            let read_all = match reader.join() {
                Ok(read_all) => read_all,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            match (walked, read_all) {
                (Ok(()), Ok(())) => Ok(Materialized { present, read, ..done }),
                // An early end of the reading is the cause of the walk's, and the other way round.
                (Err(e), Ok(())) => Err(e),
                (Ok(()), Err(e)) => Err(e),
                (Err(of_walk), Err(of_reading)) => Err(if is_out_of_order(&of_walk) { of_reading } else { of_walk }),
            }
        })
    }
}

const ORDER: &str = "the order of blocks";

fn out_of_order() -> BundleError {
    FormatError::rule(ORDER, "a block does not come when it is wanted").into()
}

fn is_out_of_order(e: &BundleError) -> bool {
    matches!(e, BundleError::Format(FormatError::Rule { what, .. }) if *what == ORDER)
}

impl<M: Medium> Bundle<M, ()> {
    /// As `materialize_into`, of a bundle that nobody vouched for: for tests of the format, whose vectors have no trust
    /// in them. Nothing that ends up in a site may come this way.
    #[doc(hidden)]
    pub fn materialize_unverified<S: BlobSink>(
        &self,
        sink: &mut S,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Materialized, BundleError> {
        self.materialize_into(sink, work, threads, monitor)
    }
}

pub(super) fn sink_error<E: Classified + Send + Sync + 'static>(blob: &Blob) -> impl FnOnce(E) -> BundleError + '_ {
    move |e| {
        let class: Class = e.class();
        let hint = e.hint();
        BundleError::Sink { blob: blob.digest, source: Box::new(e), class, hint }
    }
}
