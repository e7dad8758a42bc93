//! What is written *later*: replays without checkpoints run side by side, each on a thread of its own, and what comes after them
//! waits, so that the sink gets blobs one after another whatever was made first.
//!
//! What threads hold is bounded by the plain bytes and streams that wait, and by the encoders that run at once. See
//! `spec/rationale.md`, section "Deltas".

use super::BundleError;
use super::materialize::{BlobSink, Materialized, sink_error};
use crate::digest::Blob;
use crate::replay::Error;
use crate::replay::source::Source;
use crate::replay::stream::Stream;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Plain bytes of a replay up to which it may run beside others: a block of `xz -6`, which has no second thread for less.
pub(super) const LONGEST: u64 = 24 << 20;
/// Bytes that wait: plain ones, streams, and what comes after them.
const WAITING: u64 = 64 << 20;
/// Bytes that the encoders of each thread may take, on the average: `xz -6` and the bytes that it holds.
const ENCODER: u64 = 128 << 20;

/// Something for the sink.
enum Item {
    Begin(Blob),
    Bytes(Vec<u8>),
    Replay(Receiver<Result<Vec<u8>, Error>>, u64),
    Finish,
}

/// See the module.
pub(super) struct Later {
    threads: usize,
    pool: Option<rayon::ThreadPool>,
    gate: Arc<Gate>,
    stopped: Arc<AtomicBool>,
    items: VecDeque<Item>,
    /// Bytes that wait.
    waiting: u64,
    /// The blob that the sink has begun.
    begun: Option<Blob>,
}

impl Later {
    /// With so many threads, which are made when there is something for them.
    pub fn new(threads: usize) -> Later {
        let gate = Arc::new(Gate { used: Mutex::new(0), changed: Condvar::new(), most: ENCODER * threads as u64 });
        let stopped = Arc::default();
        Later { threads, pool: None, gate, stopped, items: VecDeque::new(), waiting: 0, begun: None }
    }

    /// Whether a replay of so many plain bytes is one for [`replay`](Self::replay).
    pub fn takes(&self, stream: &Stream) -> bool {
        self.threads > 1 && stream.checkpoints.is_empty() && stream.plain.max(stream.compressed) <= LONGEST
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn begin<S: BlobSink>(&mut self, blob: Blob, to: &mut S, done: &mut Materialized) -> Result<(), BundleError> {
        self.push(Item::Begin(blob), 0, to, done)
    }

    /// Bytes of the open blob.
    pub fn write<S: BlobSink>(&mut self, bytes: &[u8], to: &mut S, done: &mut Materialized) -> Result<(), BundleError> {
        match (self.items.is_empty(), &self.begun) {
            (true, Some(blob)) => to.write(bytes).map_err(sink_error(blob)),
            _ => self.push(Item::Bytes(bytes.to_vec()), bytes.len() as u64, to, done),
        }
    }

    pub fn finish<S: BlobSink>(&mut self, to: &mut S, done: &mut Materialized) -> Result<(), BundleError> {
        self.push(Item::Finish, 0, to, done)
    }

    /// Bytes of the open blob that an encoder makes of `plain`.
    pub fn replay<S: BlobSink>(
        &mut self,
        stream: Stream,
        plain: impl Source + Send + 'static,
        to: &mut S,
        done: &mut Materialized,
    ) -> Result<(), BundleError> {
        if self.pool.is_none() {
            // A thread that panics has said nothing, which is an error where it is waited for.
            let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).panic_handler(|_| {}).build();
            self.pool = Some(pool.map_err(|e| BundleError::Scratch(io::Error::other(e)))?);
        }
        let weight = stream.plain.saturating_add(stream.compressed);
        let (sender, receiver) = channel();
        let (gate, stopped) = (self.gate.clone(), self.stopped.clone());
        if let Some(pool) = &self.pool {
            pool.spawn_fifo(move || {
                if !stopped.load(Ordering::Relaxed) {
                    let _place = gate.enter(stream.identity.memory(stream.plain));
                    let _ = sender.send(made(&stream, &plain)); // nobody waits after another error
                }
            });
        }
        self.push(Item::Replay(receiver, weight), weight, to, done)
    }

    fn push<S: BlobSink>(
        &mut self,
        item: Item,
        weight: u64,
        to: &mut S,
        done: &mut Materialized,
    ) -> Result<(), BundleError> {
        self.items.push_back(item);
        self.waiting = self.waiting.saturating_add(weight);
        while self.waiting > WAITING || self.items.front().is_some_and(|i| !matches!(i, Item::Replay(..))) {
            self.next(to, done)?;
        }
        Ok(())
    }

    /// Hands on all that waits.
    pub fn drain<S: BlobSink>(&mut self, to: &mut S, done: &mut Materialized) -> Result<(), BundleError> {
        while !self.items.is_empty() {
            self.next(to, done)?;
        }
        Ok(())
    }

    /// Hands on the first that waits, when it is there.
    fn next<S: BlobSink>(&mut self, to: &mut S, done: &mut Materialized) -> Result<(), BundleError> {
        let Some(item) = self.items.pop_front() else { return Ok(()) };
        let blob = match (&item, self.begun) {
            (Item::Begin(blob), _) => *blob,
            (_, Some(blob)) => blob,
            _ => return Err(BundleError::Scratch(io::Error::other("bytes of no blob"))),
        };
        match item {
            Item::Begin(_) => {
                self.begun = Some(blob);
                to.begin(&blob).map_err(sink_error(&blob))
            }
            Item::Bytes(bytes) => {
                self.waiting = self.waiting.saturating_sub(bytes.len() as u64);
                to.write(&bytes).map_err(sink_error(&blob))
            }
            Item::Replay(receiver, weight) => {
                self.waiting = self.waiting.saturating_sub(weight);
                let ended = || Err(Error::Io(io::Error::other("a replay thread ended early")));
                let bytes = receiver.recv().unwrap_or_else(|_| ended()).map_err(|e| refused(&blob, e))?;
                to.write(&bytes).map_err(sink_error(&blob))
            }
            Item::Finish => {
                self.begun = None;
                if !to.finish(&blob).map_err(sink_error(&blob))? {
                    return Err(BundleError::Restored(blob.digest));
                }
                done.blobs += 1;
                done.bytes += blob.len;
                Ok(())
            }
        }
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// What is wrong with a replay of a blob.
pub(super) fn refused(blob: &Blob, e: Error) -> BundleError {
    match e {
        Error::Io(e) => BundleError::Scratch(e),
        source => BundleError::Replay { blob: blob.digest, source },
    }
}

/// A stream made at once, no longer than declared.
fn made(stream: &Stream, plain: &impl Source) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    stream.replay(plain, 1, 0, &mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(out)
}

/// Lets encoders in, as long as those inside do not take too much together; one alone may.
struct Gate {
    used: Mutex<u64>,
    changed: Condvar,
    most: u64,
}

/// A place inside.
struct Place<'a> {
    gate: &'a Gate,
    bytes: u64,
}

impl Gate {
    fn enter(&self, bytes: u64) -> Place<'_> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > 0 && used.saturating_add(bytes) > self.most {
            used = self.changed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used = used.saturating_add(bytes);
        Place { gate: self, bytes }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut used = self.gate.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(self.bytes);
        self.gate.changed.notify_all();
    }
}
