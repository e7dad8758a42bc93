//! *Replay*: the whole compressed stream, its pieces run by several threads and handed on in order.
//!
//! It does not check a digest: whoever asked for the stream does.

use super::family::Identity;
use super::piece::Piece;
use super::source::Source;
use super::{Checkpoint, Error};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes that go from a thread to the collector at a time.
const CHUNK: usize = 128 * 1024;

/// A stream as a recipe describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The encoder.
    pub identity: Identity,
    /// Where it can be restarted, in order.
    pub checkpoints: Vec<Checkpoint>,
    /// Plain bytes of the stream.
    pub plain: u64,
    /// Compressed bytes of the stream.
    pub compressed: u64,
}

/// What a thread says: bytes, or that its piece is done.
enum Said {
    Bytes(Vec<u8>),
    Done(Result<(), Error>),
}

impl Stream {
    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        Piece::all(&self.identity, &self.checkpoints, self.plain, self.compressed)
    }

    /// Replays the stream from its plain bytes (as many as declared) on `threads` threads, which hold at most `budget` bytes of output
    /// that `sink` has not taken yet, and 2 MiB each beside. `sink` never gets more bytes than declared.
    ///
    /// # Errors
    /// [`Error`]; what `sink` got by then is worthless.
    pub fn replay(
        &self,
        plain: &(impl Source + ?Sized),
        threads: usize,
        budget: usize,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        super::list::check(&self.checkpoints, self.plain, self.compressed)?;
        let mut joiner = Joiner { at: 0, rest: 0, sink };
        let threads = threads.min(self.checkpoints.len() + 1).max(1);
        if threads == 1 {
            for piece in self.pieces() {
                piece.replay(plain, &mut |bytes| joiner.take(&piece, bytes))?;
            }
            return Ok(());
        }
        let room = (budget / threads / CHUNK).max(2) - 1; // one more waits in the sender's hand
        std::thread::scope(|scope| {
            // Thread i has pieces i, i + threads, ...: whatever comes next is always being worked on.
            let workers: Vec<Receiver<Said>> = (0..threads)
                .map(|first| {
                    let (to, from) = sync_channel(room);
                    scope.spawn(move || self.work(plain, first, threads, &to));
                    from
                })
                .collect();
            for (piece, worker) in self.pieces().zip((0..threads).cycle()) {
                collect(&piece, workers.get(worker), &mut joiner)?;
            }
            Ok(())
        })
    }

    fn work(&self, plain: &(impl Source + ?Sized), first: usize, threads: usize, to: &SyncSender<Said>) {
        // A send fails when the collector has given up: then there is nothing to do either.
        let gone = |_| Error::Io(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        for piece in self.pieces().skip(first).step_by(threads) {
            let mut held = Vec::with_capacity(CHUNK);
            let mut done = piece.replay(plain, &mut |mut bytes| {
                while held.len() + bytes.len() >= CHUNK {
                    let (now, later) = bytes.split_at(CHUNK - held.len());
                    held.extend_from_slice(now);
                    let full = std::mem::replace(&mut held, Vec::with_capacity(CHUNK));
                    to.send(Said::Bytes(full)).map_err(gone)?;
                    bytes = later;
                }
                held.extend_from_slice(bytes);
                Ok(())
            });
            if done.is_ok() {
                done = to.send(Said::Bytes(held)).map_err(gone);
            }
            let failed = done.is_err();
            if to.send(Said::Done(done)).is_err() || failed {
                return;
            }
        }
    }
}

fn collect(piece: &Piece, worker: Option<&Receiver<Said>>, joiner: &mut Joiner) -> Result<(), Error> {
    loop {
        match worker.and_then(|from| from.recv().ok()) {
            Some(Said::Bytes(bytes)) => joiner.take(piece, &bytes)?,
            Some(Said::Done(done)) => return done,
            None => return Err(Error::Io(std::io::Error::other("a replay thread ended early"))),
        }
    }
}

/// Joins pieces where they meet inside a byte.
struct Joiner<'a> {
    /// Whole bytes handed on.
    at: u64,
    /// Bits of the byte that is not whole yet.
    rest: u8,
    sink: &'a mut dyn FnMut(&[u8]) -> std::io::Result<()>,
}

impl Joiner<'_> {
    fn take(&mut self, piece: &Piece, mut bytes: &[u8]) -> Result<(), Error> {
        let (end, part) = (piece.end_bit() / 8, piece.end_bit() % 8);
        if let Some((first, tail)) = bytes.split_first().filter(|_| self.at * 8 < piece.first_bit()) {
            self.rest |= first;
            if part != 0 && self.at == end {
                return Ok(());
            }
            (self.sink)(&[std::mem::take(&mut self.rest)])?;
            self.at += 1;
            bytes = tail;
        }
        if let Some((last, whole)) = bytes.split_last().filter(|_| part != 0 && self.at + bytes.len() as u64 > end) {
            self.rest = *last;
            bytes = whole;
        }
        self.at += bytes.len() as u64;
        Ok((self.sink)(bytes)?)
    }
}
