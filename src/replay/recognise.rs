//! To *recognise* a stream is to find an encoder that makes it again, and to prove it on every byte.
//!
//! Candidates are tried on the front of a deflate stream; the first that fits is run over all of it, and a second time from its
//! checkpoints. A stream of another form says most of its encoder in its header, and is not tried on its front: a library hands on
//! nothing for megabytes.

use super::bits::BitWriter;
use super::family::{Candidates, FAMILIES, Identity};
use super::inflate::Opening;
use super::list::NEAREST;
use super::piece::Piece;
use super::source::Source;
use super::stream::Stream;
use super::{Checkpoint, Error};
use crate::codec::form::Form;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};

/// Plain bytes after which a candidate that still fits is believed for the time being.
const TRIAL: u64 = 256 * 1024;
/// Compressed bytes in which the first block must end to tell something of its encoder.
const FRONT: u64 = 1 << 20;
/// The longest header of an .xz stream and its first block.
const HEADER: u64 = 12 + 1024;
/// Plain bytes read at a time.
const STEP: usize = 64 * 1024;
/// Bad checkpoints after which all are given up.
const MOST_BAD: usize = 16;

/// How to recognise.
#[derive(Debug, Clone)]
pub struct Options {
    /// Plain bytes between checkpoints, about; at least [`NEAREST`] is used.
    pub spacing: u64,
    /// Encoders to try first: those of the streams before.
    pub first: Vec<Identity>,
    /// Threads that may run at once, this one included. Pieces are proven by the others while this one runs.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        // A restart costs some tens of KiB of work, a row 9 bytes; a thread without a piece while another has the last loses half a piece.
        Self { spacing: 2 << 20, first: Vec::new(), threads: 1 }
    }
}

/// Finds the encoder of a stream; `None` if none of ours makes it. What is found was proven on every byte.
///
/// # Errors
/// [`Error::Io`] only.
pub fn recognise(
    compressed: &(impl Source + ?Sized),
    plain: &(impl Source + ?Sized),
    options: &Options,
) -> Result<Option<Stream>, Error> {
    let (plain_size, size) = (plain.size()?, compressed.size()?);
    let mut front = vec![0; size.min(FRONT) as usize];
    compressed.read_at(0, &mut front)?;
    let form = Form::of(&front);
    for identity in candidates(form, &front, plain_size, &options.first) {
        let trial = form == Form::Deflate && plain_size > TRIAL;
        if trial && run(&identity, compressed, plain, TRIAL, u64::MAX, &mut |_| ())?.is_none() {
            continue;
        }
        if let Some(checkpoints) = proven(&identity, compressed, plain, options)? {
            return Ok(Some(Stream { identity, checkpoints, plain: plain_size, compressed: size }));
        }
    }
    Ok(None)
}

/// The likeliest encoder of a stream of `form`, by its header: a guess, which [`recognise`] proves or not. `None` where none of ours
/// makes such streams, and for deflate, whose encoders cannot be told so.
///
/// # Errors
/// [`Error::Io`] only.
pub fn guess(
    form: Form,
    compressed: &(impl Source + ?Sized),
    plain: &(impl Source + ?Sized),
) -> Result<Option<Stream>, Error> {
    let (plain_size, size) = (plain.size()?, compressed.size()?);
    let mut front = vec![0; size.min(HEADER) as usize];
    compressed.read_at(0, &mut front)?;
    if form == Form::Deflate || Form::of(&front) != form {
        return Ok(None);
    }
    let likeliest = candidates(form, &front, plain_size, &[]).into_iter().next();
    Ok(likeliest.map(|identity| Stream { identity, checkpoints: vec![], plain: plain_size, compressed: size }))
}

/// All encoders that may have written such a stream, the known ones first.
fn candidates(form: Form, front: &[u8], plain: u64, first: &[Identity]) -> Vec<Identity> {
    let opening = if form == Form::Deflate { Opening::read(front) } else { None };
    let mut all: Vec<Identity> = Vec::new();
    for family in FAMILIES {
        let rows = match (&family.candidates, &opening) {
            (Candidates::Deflate(of), Some(opening)) => of(opening),
            (Candidates::Other(own, of), _) if *own == form => of(front, plain),
            _ => vec![],
        };
        all.extend(rows.iter().filter_map(|params| Identity::new(family, params).ok()));
    }
    // Only what its family still thinks possible is worth trying.
    let (mut known, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|identity| first.contains(identity));
    known.sort_by_key(|identity| first.iter().position(|f| f == identity));
    known.extend(others);
    known
}

/// Runs an encoder over the first `most` plain bytes, and to the end of the stream if there are not more. The checkpoints about every
/// `spacing` bytes, each also told to `opened`; `None` as soon as something differs.
fn run(
    identity: &Identity,
    compressed: &(impl Source + ?Sized),
    plain: &(impl Source + ?Sized),
    most: u64,
    spacing: u64,
    opened: &mut dyn FnMut(&Checkpoint),
) -> Result<Option<Vec<Checkpoint>>, Error> {
    let size = plain.size()?;
    let mut encoder = identity.start(None)?;
    let mut out = BitWriter::default();
    let mut compare = Compare { compressed, size: compressed.size()?, at: 0, real: Vec::new() };
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    let (mut at, mut next) = (0, spacing);
    let mut buffer = vec![0; STEP];
    while at < size {
        if at >= most {
            return Ok(Some(checkpoints));
        }
        let part = &mut buffer[..(STEP as u64).min(size - at) as usize];
        plain.read_at(at, part)?;
        encoder.write(part, &mut out);
        at += part.len() as u64;
        if !compare.same(&out.take())? {
            return Ok(None);
        }
        // Asked for only where one is wanted: some encoders run a second time beside themselves until they can answer.
        let asked = if at >= next { encoder.checkpoint() } else { None };
        if let Some(checkpoint) = asked.filter(|c| c.plain >= next && size - c.plain >= NEAREST) {
            next = checkpoint.plain.saturating_add(spacing);
            opened(&checkpoint);
            checkpoints.push(checkpoint);
        }
    }
    encoder.finish(&mut out);
    let same = compare.same(&out.take())? && compare.at == compare.size;
    Ok(same.then_some(checkpoints))
}

/// Compares what an encoder makes with the real stream.
struct Compare<'a, S: ?Sized> {
    compressed: &'a S,
    size: u64,
    at: u64,
    real: Vec<u8>,
}

impl<S: Source + ?Sized> Compare<'_, S> {
    fn same(&mut self, made: &[u8]) -> Result<bool, Error> {
        if self.size - self.at < made.len() as u64 {
            return Ok(false);
        }
        self.real.resize(made.len(), 0);
        self.compressed.read_at(self.at, &mut self.real)?;
        self.at += made.len() as u64;
        Ok(self.real == made)
    }
}

/// A piece to be proven: where it starts and where it ends.
type Job = (Checkpoint, Option<Checkpoint>);

/// Runs an encoder over all, and each piece from its checkpoint; the checkpoints which are good.
fn proven(
    identity: &Identity,
    compressed: &(impl Source + ?Sized),
    plain: &(impl Source + ?Sized),
    options: &Options,
) -> Result<Option<Vec<Checkpoint>>, Error> {
    let prover = Prover { identity, compressed, plain, sizes: (plain.size()?, compressed.size()?) };
    let (sender, receiver) = channel::<Job>();
    let (receiver, stop) = (Mutex::new(receiver), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..options.threads).map(|_| scope.spawn(|| prover.work(&receiver, &stop))).collect();
        let mut before: Option<Checkpoint> = None;
        let found = run(identity, compressed, plain, u64::MAX, options.spacing.max(NEAREST), &mut |next| {
            if let Some(from) = before.replace(next.clone()) {
                let _ = sender.send((from, Some(next.clone()))); // the receiver lives as long as we do
            }
        });
        if let Some(from) = before {
            let _ = sender.send((from, None));
        }
        drop(sender);
        stop.store(!matches!(found, Ok(Some(_))), Relaxed);
        let mut good = prover.work(&receiver, &stop)?;
        for worker in workers {
            good.extend(worker.join().map_err(|_| std::io::Error::other("a replay thread ended early"))??);
        }
        found?.map(|checkpoints| prover.settle(checkpoints, &good)).transpose()
    })
}

/// Proves pieces: replays them from their checkpoints and compares.
struct Prover<'a, C: ?Sized, P: ?Sized> {
    identity: &'a Identity,
    compressed: &'a C,
    plain: &'a P,
    sizes: (u64, u64),
}

impl<C: Source + ?Sized, P: Source + ?Sized> Prover<'_, C, P> {
    /// Takes jobs until there are none; those that held.
    fn work(&self, jobs: &Mutex<Receiver<Job>>, stop: &AtomicBool) -> Result<Vec<Job>, Error> {
        let mut good = Vec::new();
        loop {
            let job = jobs.lock().ok().and_then(|jobs| jobs.recv().ok());
            let Some((from, to)) = job else { return Ok(good) };
            if !stop.load(Relaxed) && self.holds(&from, to.as_ref())? {
                good.push((from, to));
            }
        }
    }

    /// Whether a piece replayed from its checkpoint is the real stream's.
    fn holds(&self, from: &Checkpoint, to: Option<&Checkpoint>) -> Result<bool, Error> {
        let (plain, compressed) = self.sizes;
        let piece = Piece { identity: self.identity, from: Some(from), to, plain, compressed };
        let (first, end) = (piece.first_bit(), piece.end_bit());
        let mut at = first / 8;
        let mut real = Vec::new();
        let replayed = piece.replay(self.plain, &mut |made| {
            real.resize(made.len(), 0);
            self.compressed.read_at(at, &mut real)?;
            // Bits of the neighbours in the first and the last byte are not the piece's.
            if at == first / 8
                && let Some(byte) = real.first_mut()
            {
                *byte &= 0xff << (first % 8);
            }
            at += made.len() as u64;
            if at * 8 > end
                && let Some(byte) = real.last_mut()
            {
                *byte &= (1 << (end % 8)) - 1;
            }
            if real == made { Ok(()) } else { Err(Error::Differs(at)) }
        });
        match replayed {
            Ok(()) => Ok(true),
            Err(Error::Io(error)) => Err(Error::Io(error)),
            Err(_) => Ok(false),
        }
    }

    /// Drops checkpoints from which the stream does not come out. What is left then spans more, and is proven again.
    fn settle(&self, mut checkpoints: Vec<Checkpoint>, good: &[Job]) -> Result<Vec<Checkpoint>, Error> {
        let known: HashSet<(u64, Option<u64>)> =
            good.iter().map(|(from, to)| (from.bits, to.as_ref().map(|to| to.bits))).collect();
        let (mut i, mut bad) = (0, 0);
        while let Some(from) = checkpoints.get(i) {
            let to = checkpoints.get(i + 1);
            if known.contains(&(from.bits, to.map(|to| to.bits))) || self.holds(from, to)? {
                i += 1;
                continue;
            }
            checkpoints.remove(i);
            i = i.saturating_sub(1);
            bad += 1;
            // An encoder whose state is not what we think would make this loop long.
            if bad > MOST_BAD {
                checkpoints.clear();
            }
        }
        Ok(checkpoints)
    }
}
