//! A *pipeline* does the middle step of "make, transform, take" on several threads while the ends see everything in
//! order, with a bounded weight of items in flight. A *read-ahead* reads on a thread of its own.
//!
//! It knows nothing of what the items are. Not part of the specification.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Condvar, Mutex};

/// How many threads to use when nobody said: what the machine has.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

struct State<I, O> {
    todo: std::collections::VecDeque<(u64, I)>,
    done: BTreeMap<u64, O>,
    /// Weights of the items in flight, by number.
    weights: BTreeMap<u64, u64>,
    weight: u64,
    made: u64,
    taken: u64,
    closed: bool,
}

struct Shared<I, O> {
    state: Mutex<State<I, O>>,
    changed: Condvar,
}

/// Hands items to the pipeline; see [`ordered`].
pub struct Feed<'a, I, O> {
    shared: &'a Shared<I, O>,
    budget: u64,
}

/// The other end has stopped; the producer should return.
#[derive(Debug)]
pub struct Stopped;

impl<I, O> Feed<'_, I, O> {
    /// Hands on one item, waiting while those in flight weigh too much for another of this weight.
    pub fn push(&mut self, item: I, weight: u64) -> Result<(), Stopped> {
        let mut s = lock(&self.shared.state);
        while !s.closed && s.made > s.taken && s.weight.saturating_add(weight) > self.budget {
            s = wait(&self.shared.changed, s);
        }
        if s.closed {
            return Err(Stopped);
        }
        let n = s.made;
        s.made += 1;
        s.weight = s.weight.saturating_add(weight);
        s.weights.insert(n, weight);
        s.todo.push_back((n, item));
        drop(s);
        self.shared.changed.notify_all();
        Ok(())
    }
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn wait<'a, T>(c: &Condvar, g: std::sync::MutexGuard<'a, T>) -> std::sync::MutexGuard<'a, T> {
    c.wait(g).unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Closes the pipeline when a thread ends, whether it returned or panicked, so that no other waits for ever.
struct CloseOnDrop<'a, I, O> {
    shared: &'a Shared<I, O>,
    armed: bool,
}

impl<I, O> Drop for CloseOnDrop<'_, I, O> {
    fn drop(&mut self) {
        if self.armed {
            lock(&self.shared.state).closed = true;
            self.shared.changed.notify_all();
        }
    }
}

/// Runs `produce` on a thread of its own, `transform` on `threads` threads, and `consume` on the calling thread, which
/// gets every result in the order in which its item was pushed. Items between `push` and the return of `consume` weigh at
/// most `budget` together, or there is only one. The first error of `consume` stops everything and is returned; else `produce`'s result is.
pub fn ordered<I: Send, O: Send, P: Send, E: Send>(
    threads: usize,
    budget: u64,
    produce: impl FnOnce(&mut Feed<'_, I, O>) -> Result<P, E> + Send,
    transform: impl Fn(I) -> O + Sync,
    mut consume: impl FnMut(O) -> Result<(), E>,
) -> Result<P, E> {
    let shared = Shared {
        state: Mutex::new(State {
            todo: Default::default(),
            done: BTreeMap::new(),
            weights: BTreeMap::new(),
            weight: 0,
            made: 0,
            taken: 0,
            closed: false,
        }),
        changed: Condvar::new(),
    };
    let ended = Mutex::new(false);
    std::thread::scope(|scope| {
        let shared = &shared;
        let (ended, transform) = (&ended, &transform);
        let producer = scope.spawn(move || {
            let mut guard = CloseOnDrop { shared, armed: true };
            let mut feed = Feed { shared, budget };
            let out = produce(&mut feed);
            guard.armed = out.is_err();
            *lock(ended) = true;
            shared.changed.notify_all();
            // Wake waiters even if they checked `ended` just before it was set: they re-check under the state lock.
            drop(lock(&shared.state));
            shared.changed.notify_all();
            out
        });
        for _ in 0..threads.max(1) {
            scope.spawn(move || {
                let mut guard = CloseOnDrop { shared, armed: true };
                loop {
                    let mut s = lock(&shared.state);
                    let job = loop {
                        if s.closed {
                            break None;
                        }
                        if let Some(job) = s.todo.pop_front() {
                            break Some(job);
                        }
                        if *lock(ended) {
                            break None;
                        }
                        s = wait(&shared.changed, s);
                    };
                    drop(s);
                    let Some((n, item)) = job else { break };
                    let out = transform(item);
                    lock(&shared.state).done.insert(n, out);
                    shared.changed.notify_all();
                }
                guard.armed = false;
            });
        }
        let mut guard = CloseOnDrop { shared, armed: true };
        let mut failed = None;
        loop {
            let mut s = lock(&shared.state);
            let next = loop {
                let want = s.taken;
                if let Some(out) = s.done.remove(&want) {
                    break Some(out);
                }
                if s.closed || (*lock(ended) && s.taken == s.made) {
                    break None;
                }
                s = wait(&shared.changed, s);
            };
            drop(s);
            let Some(out) = next else { break };
            if let Err(e) = consume(out) {
                failed = Some(e);
                break;
            }
            let mut s = lock(&shared.state);
            let n = s.taken;
            s.weight = s.weight.saturating_sub(s.weights.remove(&n).unwrap_or(0));
            s.taken += 1;
            drop(s);
            shared.changed.notify_all();
        }
        guard.armed = failed.is_some();
        drop(guard);
        let made = match producer.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        match failed {
            Some(e) => Err(e),
            None => made,
        }
    })
}

/// Bytes that a read-ahead hands over at once, and how many of those it may be ahead.
const PIECE: usize = 1 << 20;
const AHEAD: usize = 4;

/// Lets `take` read what `open` opens, which happens on another thread: at most five pieces of 1 MiB are in memory.
/// `open` says why it cannot, or what it read says why it ended; `take` sees the error as its own reader's.
pub fn read_ahead<R: Read, T>(open: impl FnOnce() -> io::Result<R> + Send, take: impl FnOnce(&mut dyn Read) -> T) -> T {
    std::thread::scope(|scope| {
        let (give, pieces) = sync_channel::<io::Result<Vec<u8>>>(AHEAD);
        scope.spawn(move || {
            let run = || -> io::Result<()> {
                let mut reader = open()?;
                loop {
                    let mut piece = Vec::with_capacity(PIECE);
                    (&mut reader).take(PIECE as u64).read_to_end(&mut piece)?;
                    if piece.is_empty() || give.send(Ok(piece)).is_err() {
                        return Ok(());
                    }
                }
            };
            if let Err(e) = run() {
                let _ = give.send(Err(e)); // nobody wants it any more
            }
        });
        take(&mut Ahead { pieces, now: io::Cursor::new(Vec::new()) })
    })
}

struct Ahead {
    pieces: Receiver<io::Result<Vec<u8>>>,
    now: io::Cursor<Vec<u8>>,
}

impl Read for Ahead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.now.position() >= self.now.get_ref().len() as u64 {
            match self.pieces.recv() {
                Ok(piece) => self.now = io::Cursor::new(piece?),
                Err(_) => return Ok(0),
            }
        }
        self.now.read(buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ahead_changes_nothing() {
        let data: Vec<u8> = (0..5_000_001u32).flat_map(|i| i.to_le_bytes()).collect();
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, data.len()] {
            let mut out = Vec::new();
            read_ahead(|| Ok(&data[..len]), |r| r.read_to_end(&mut out)).expect("reads");
            assert!(out == data[..len], "{len}");
        }
        let mut few = [0; 3];
        read_ahead(|| Ok(&data[..]), |r| r.read_exact(&mut few)).expect("a reader that stops early stops the other");
        let broken = || Err::<&[u8], _>(io::Error::other("broken"));
        assert!(read_ahead(broken, |r| r.read_exact(&mut few)).is_err_and(|e| e.to_string() == "broken"));
    }

    #[test]
    fn keeps_order_and_bounds() {
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            let made: Result<u64, ()> = ordered(
                threads,
                3,
                |feed| {
                    for i in 0..500u64 {
                        feed.push(i, 1).map_err(|_| ())?;
                    }
                    Ok(500)
                },
                |i| i * 2,
                |o| {
                    seen.push(o);
                    Ok(())
                },
            );
            assert_eq!(made, Ok(500));
            assert_eq!(seen, (0..500).map(|i| i * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_at_either_end_stops_both() {
        let r: Result<(), &str> = ordered(
            2,
            4,
            |feed| {
                for i in 0.. {
                    if feed.push(i, 1).is_err() {
                        break;
                    }
                }
                Ok(())
            },
            |i: u64| i,
            |o| if o == 50 { Err("enough") } else { Ok(()) },
        );
        assert_eq!(r, Err("enough"));
        let mut n = 0;
        let r: Result<(), &str> = ordered(
            2,
            4,
            |feed| {
                let _ = feed.push(1, 1);
                Err("broken")
            },
            |i: u64| i,
            |_| {
                n += 1;
                Ok(())
            },
        );
        assert_eq!(r, Err("broken"));
        assert!(n <= 1);
    }
}
