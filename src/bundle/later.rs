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
const WAITING: u64 = 32 << 20;
/// Bytes that the encoders of each thread may take, on the average: `xz -6` and the bytes that it holds.
const ENCODER: u64 = 112 << 20;

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

#[cfg(test)]
mod tests {
    use super::super::maker::Held;
    use super::*;
    use crate::class::Class;
    use crate::replay::bits::BitWriter;
    use crate::replay::family::Identity;

    /// The blobs that were finished, and the bytes of the one that is open.
    #[derive(Default)]
    struct Sink(Vec<(Blob, Vec<u8>)>, Vec<u8>);

    impl BlobSink for Sink {
        type Error = BundleError;
        fn wants(&mut self, _: &Blob) -> Result<bool, BundleError> {
            Ok(true)
        }
        fn begin(&mut self, _: &Blob) -> Result<(), BundleError> {
            self.1.clear();
            Ok(())
        }
        fn write(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
            self.1.extend_from_slice(bytes);
            Ok(())
        }
        fn finish(&mut self, blob: &Blob) -> Result<bool, BundleError> {
            self.0.push((*blob, self.1.clone()));
            Ok(Blob::of(&self.1) == *blob)
        }
        fn read_back(&mut self, blob: &Blob, _: u64, _: &mut [u8]) -> Result<(), BundleError> {
            Err(BundleError::Restored(blob.digest))
        }
    }

    /// A stream of an encoder, and its bytes.
    fn stream(row: &[u32], plain: &[u8]) -> (Stream, Vec<u8>) {
        let identity = Identity::parse(row).expect("a row");
        let (mut encoder, mut out) = (identity.start(None).expect("starts"), BitWriter::default());
        encoder.write(plain, &mut out);
        encoder.finish(&mut out);
        let made = out.take();
        let (plain, compressed) = (plain.len() as u64, made.len() as u64);
        (Stream { identity, checkpoints: vec![], plain, compressed }, made)
    }

    /// Twenty blobs of a word, a stream and a word, by slow and fast encoders in turn; that of `lie` is said to be shorter.
    fn run(lie: Option<usize>) -> (Sink, Result<(), BundleError>, Materialized) {
        let (mut sink, mut done, mut later) = (Sink::default(), Materialized::default(), Later::new(3));
        let mut each = || {
            for n in 0..20 {
                let plain = format!("some words, and the number {n} ").repeat(4000).into_bytes();
                let rows = [&[8, 6, 0, 4, 0][..], &[10, 1], &[1, 1, 8, 15, 0]];
                let (mut stream, made) = stream(rows[n % 3], &plain);
                let blob = Blob::of(&[b"head", &made[..], b"tail"].concat());
                assert!(later.takes(&stream));
                stream.compressed -= u64::from(lie == Some(n));
                later.begin(blob, &mut sink, &mut done)?;
                later.write(b"head", &mut sink, &mut done)?;
                later.replay(stream, Held(plain), &mut sink, &mut done)?;
                later.write(b"tail", &mut sink, &mut done)?;
                later.finish(&mut sink, &mut done)?;
            }
            later.drain(&mut sink, &mut done)
        };
        let result = each();
        (sink, result, done)
    }

    #[test]
    fn blobs_come_one_after_another_and_whole() {
        let (sink, result, done) = run(None);
        result.expect("all come");
        assert_eq!((sink.0.len(), done.blobs), (20, 20));
        assert!(sink.0.iter().all(|(blob, bytes)| Blob::of(bytes) == *blob));
        assert_eq!(sink.0.iter().map(|(blob, _)| blob.len).sum::<u64>(), done.bytes);
    }

    #[test]
    fn nothing_comes_after_a_lie() {
        for lie in [0, 7, 19] {
            let (sink, result, _) = run(Some(lie));
            let error = result.expect_err("a lie");
            assert!(matches!(error, BundleError::Replay { .. }), "{error:?}");
            assert_eq!(crate::class::Classified::class(&error), Class::Damaged);
            assert_eq!(sink.0.len(), lie);
        }
    }

    #[test]
    fn what_takes_too_much_waits() {
        let gate = Arc::new(Gate { used: Mutex::new(0), changed: Condvar::new(), most: 10 });
        let alone = gate.enter(25); // more than there is, but nobody is inside
        let other = gate.clone();
        let waits = std::thread::spawn(move || drop((other.enter(6), other.enter(4))));
        assert_eq!(*gate.used.lock().expect("whole"), 25);
        drop(alone);
        waits.join().expect("ends");
        assert_eq!(*gate.used.lock().expect("whole"), 0);
    }
}
