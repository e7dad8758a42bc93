//! A *pipeline* does the middle step of "make, transform, take" on several threads while the ends see everything in
//! order, with a bounded number of items in flight.
//!
//! It knows nothing of what the items are. Not part of the specification.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};

/// How many threads to use when nobody said: what the machine has.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

struct State<I, O> {
    todo: std::collections::VecDeque<(u64, I)>,
    done: BTreeMap<u64, O>,
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
    in_flight: u64,
}

/// The other end has stopped; the producer should return.
#[derive(Debug)]
pub struct Stopped;

impl<I, O> Feed<'_, I, O> {
    /// Hands on one item, waiting while too many are in flight.
    pub fn push(&mut self, item: I) -> Result<(), Stopped> {
        let mut s = lock(&self.shared.state);
        while !s.closed && s.made - s.taken >= self.in_flight {
            s = wait(&self.shared.changed, s);
        }
        if s.closed {
            return Err(Stopped);
        }
        let n = s.made;
        s.made += 1;
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
/// gets every result in the order in which its item was pushed. At most `in_flight` items exist between `push` and the
/// return of `consume`. The first error of `consume` stops everything and is returned; else `produce`'s result is.
pub fn ordered<I: Send, O: Send, P: Send, E: Send>(
    threads: usize,
    in_flight: usize,
    produce: impl FnOnce(&mut Feed<'_, I, O>) -> Result<P, E> + Send,
    transform: impl Fn(I) -> O + Sync,
    mut consume: impl FnMut(O) -> Result<(), E>,
) -> Result<P, E> {
    let shared = Shared {
        state: Mutex::new(State { todo: Default::default(), done: BTreeMap::new(), made: 0, taken: 0, closed: false }),
        changed: Condvar::new(),
    };
    let ended = Mutex::new(false);
    std::thread::scope(|scope| {
        let shared = &shared;
        let (ended, transform) = (&ended, &transform);
        let producer = scope.spawn(move || {
            let mut guard = CloseOnDrop { shared, armed: true };
            let mut feed = Feed { shared, in_flight: in_flight.max(1) as u64 };
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
            lock(&shared.state).taken += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_bounds() {
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            let made: Result<u64, ()> = ordered(
                threads,
                3,
                |feed| {
                    for i in 0..500u64 {
                        feed.push(i).map_err(|_| ())?;
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
                    if feed.push(i).is_err() {
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
                let _ = feed.push(1);
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
