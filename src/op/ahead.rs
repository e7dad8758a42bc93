//! *Ahead* of the blob that is being put, those that follow are spooled, taken apart and their encoders sought.
//!
//! Blobs are put in the order in which they came, whatever thread looked at them first. Not part of the specification.

use super::apart::Apart;
use super::expand::{Reading, expand};
use super::parts::View;
use super::repeats::{Repeats, Seen};
use super::shrink::{Chosen, Shrinking};
use super::spooled::spool;
use super::streams::Streams;
use crate::bundle::{BundleError, Put, PutBlob};
use crate::digest::Blob;
use crate::kind::ReadAt;
use crate::parallel;
use rayon::ThreadPool;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

/// Bytes of blobs on their way, and the least that one counts: each has two scratch files open.
const AHEAD: u64 = 512 << 20;
const LEAST: u64 = 8 << 20;
/// A blob of at most so many plain bytes may be compared beside others.
const BESIDE: u64 = 64 << 20;

/// A blob on its way.
struct Job {
    blob: Blob,
    what: String,
    content: Content,
}

/// What is known of it.
enum Content {
    LeftOut,
    Spooled { verbatim: bool, file: Box<dyn ReadAt> },
    Apart { verbatim: bool, streams: Box<Streams>, chosen: Option<Chosen> },
}

impl Shrinking<'_> {
    /// Puts the blobs that `blobs` gives; where they are compared, it is called twice and has to give the same.
    pub fn feed(
        &self,
        put: &mut dyn Put,
        blobs: impl Fn(&mut dyn PutBlob) -> Result<(), BundleError> + Sync,
    ) -> Result<(), BundleError> {
        if self.pairs.is_empty() && !self.small {
            return blobs(put);
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        let pool = pool.map_err(|e| BundleError::Scratch(std::io::Error::other(e)))?;
        let (repeats, alone) = (self.repeats(&blobs)?, Mutex::new(()));
        parallel::ordered(
            self.threads,
            AHEAD,
            |queue| blobs(&mut Spooling { queue }),
            |job| self.look(job, &repeats, (&pool, &alone)),
            |job: Result<Job, BundleError>| self.put(put, job?),
        )
    }

    /// What the blobs that are compared have in common. Where none is, chunks are found as they are put.
    fn repeats(
        &self,
        blobs: &(impl Fn(&mut dyn PutBlob) -> Result<(), BundleError> + Sync),
    ) -> Result<Repeats, BundleError> {
        let mut repeats = Repeats::default();
        if self.pairs.is_empty() {
            return Ok(repeats);
        }
        parallel::ordered(
            self.threads,
            AHEAD,
            |queue| blobs(&mut Spooling { queue }),
            |job: Job| self.seen(job),
            |seen: Result<Option<Seen>, BundleError>| {
                seen?.into_iter().for_each(|seen| repeats.add(seen));
                Ok(())
            },
        )?;
        Ok(repeats)
    }

    fn seen(&self, job: Job) -> Result<Option<Seen>, BundleError> {
        let Job { blob, what, content } = job;
        let input = |source| BundleError::Input { what: what.clone(), source };
        match content {
            Content::Spooled { file, .. } if self.pairs.may_have(&blob) => {
                let apart = Apart::new(file, blob.len).map_err(input)?;
                Seen::new(&blob, &apart).map(Some).map_err(input)
            }
            _ => Ok(None),
        }
    }

    /// Takes a blob apart, where anything will be made of that.
    fn look(&self, job: Job, repeats: &Repeats, (pool, alone): (&ThreadPool, &Mutex<()>)) -> Result<Job, BundleError> {
        let Job { blob, what, content } = job;
        let (verbatim, file) = match content {
            Content::Spooled { verbatim, file } if self.small && verbatim || self.pairs.may_have(&blob) => {
                (verbatim, file)
            }
            content => return Ok(Job { blob, what, content }),
        };
        let input = |source| BundleError::Input { what: what.clone(), source };
        let apart = Apart::new(file, blob.len).map_err(input)?;
        let chosen = match self.pairs.may_have(&blob) {
            true => Chosen::new(self.pairs, repeats, &blob, &apart, self.threads)?,
            false => None,
        };
        let content = match chosen.is_some() || self.small && verbatim {
            true => {
                let mut streams = Box::new(pool.install(|| Streams::new(apart, self.threads)).map_err(input)?);
                let guessed = streams.is_guess();
                if guessed {
                    let worth = match &chosen {
                        Some(chosen) => self.is_worth_alone(&blob, &what, &streams, chosen, alone)?,
                        None => false,
                    };
                    pool.install(|| streams.settle(worth, self.threads)).map_err(input)?;
                }
                // Bytes that somebody compressed are like nothing: where most of a blob is that again, it is not compared.
                let open = streams.unknown().saturating_mul(2) <= blob.len;
                Content::Apart { verbatim, streams, chosen: chosen.filter(|_| open || !guessed) }
            }
            false => Content::Spooled { verbatim, file: apart.blob },
        };
        Ok(Job { blob, what, content })
    }

    /// As [`is_worth`](Self::is_worth); of large blobs one at a time.
    fn is_worth_alone(
        &self,
        blob: &Blob,
        what: &str,
        streams: &Streams,
        chosen: &Chosen,
        alone: &Mutex<()>,
    ) -> Result<bool, BundleError> {
        let large = streams.apart.scratch().saturating_add(blob.len) > BESIDE;
        let _waited = large.then(|| alone.lock().unwrap_or_else(PoisonError::into_inner));
        self.is_worth(blob, what, streams, chosen)
    }

    fn put(&self, put: &mut dyn Put, job: Job) -> Result<(), BundleError> {
        let Job { blob, what, content } = job;
        let as_it_is = |put: &mut dyn Put, verbatim, of: &dyn ReadAt| {
            put.put(&blob, &what, verbatim, &mut Reading::new(View { of, at: 0, len: blob.len }))
        };
        match content {
            Content::LeftOut => put.leave_out(&blob, &what),
            Content::Spooled { verbatim, file } => as_it_is(put, verbatim, &*file),
            Content::Apart { verbatim, streams, chosen } => {
                let done = match &chosen {
                    Some(chosen) => self.shrink(put, &blob, &what, &streams, chosen)?,
                    None => false,
                };
                match done || self.small && verbatim && expand(put, &blob, &what, &streams)? {
                    true => Ok(()),
                    false => as_it_is(put, verbatim, &*streams.apart.blob),
                }
            }
        }
    }
}

/// Spools what comes.
struct Spooling<'a, 'f, O> {
    queue: &'a mut parallel::Feed<'f, Job, O>,
}

impl<O> Spooling<'_, '_, O> {
    fn push(&mut self, blob: &Blob, what: &str, content: Content) -> Result<(), BundleError> {
        let job = Job { blob: *blob, what: what.to_owned(), content };
        let stopped = |_| BundleError::Write(std::io::Error::other("the writing was stopped"));
        self.queue.push(job, blob.len.max(LEAST)).map_err(stopped)
    }
}

impl<O> PutBlob for Spooling<'_, '_, O> {
    fn put(&mut self, blob: &Blob, what: &str, verbatim: bool, bytes: &mut dyn Read) -> Result<(), BundleError> {
        let file = spool(blob, what, bytes)?;
        self.push(blob, what, Content::Spooled { verbatim, file })
    }
    fn leave_out(&mut self, blob: &Blob, what: &str) -> Result<(), BundleError> {
        self.push(blob, what, Content::LeftOut)
    }
}
