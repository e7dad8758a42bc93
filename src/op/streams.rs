//! The *streams* of a blob: its parts, and for each that an encoder of ours made, which.
//!
//! Whatever threads look at it, and whatever blobs came before, the same is found. Encoders of .xz and .bz2 streams are slow, so
//! that they are guessed first, by the streams' headers, and proven when that is worth it. Specified in `spec/replay.md`.

use super::apart::Apart;
use super::parts::View;
use crate::codec::form::Form;
use crate::replay::recognise::{Options, guess, recognise};
use crate::replay::stream::Stream;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::io;

/// Plain bytes from which a stream has all threads to itself; others are looked at side by side.
const LARGE: u64 = 4 << 20;

/// See the module.
pub struct Streams {
    /// The blob apart. Streams that no encoder of ours made are bytes as they are.
    pub apart: Apart,
    /// By part: its encoder.
    pub of: Vec<Option<Stream>>,
    /// Numbers of the parts whose encoder is a guess.
    guessed: Vec<usize>,
}

impl Streams {
    /// Recognises the deflate streams of a blob that was taken apart, and guesses at the others. Side by side means in the thread
    /// pool of the caller.
    pub fn new(apart: Apart, threads: usize) -> io::Result<Streams> {
        let mut of = look(&apart, threads, &|form| form == Form::Deflate)?;
        let mut guessed = Vec::new();
        for (n, (part, slot)) in apart.parts.iter().zip(&mut of).enumerate() {
            if part.plain.is_some() && part.form != Form::Deflate {
                let compressed = View { of: &*apart.blob, at: part.offset, len: part.len };
                *slot = guess(part.form, &compressed, &apart.view(part)).map_err(io::Error::other)?;
                guessed.extend(slot.is_some().then_some(n));
            }
        }
        let mut streams = Streams { apart, of, guessed };
        streams.close();
        Ok(streams)
    }

    /// Streams that no encoder of ours made are bytes as they are.
    fn close(&mut self) {
        for (part, _) in self.apart.parts.iter_mut().zip(&self.of).filter(|(_, stream)| stream.is_none()) {
            part.plain = None;
        }
    }

    /// Whether encoders were guessed and not proven.
    pub fn is_guess(&self) -> bool {
        !self.guessed.is_empty()
    }

    /// Proves the guesses, if they are `worth` that. What is no stream of ours then is bytes as it is.
    pub fn settle(&mut self, worth: bool, threads: usize) -> io::Result<()> {
        let guessed = std::mem::take(&mut self.guessed);
        let mut found = match worth {
            true => look(&self.apart, threads, &|form| form != Form::Deflate)?,
            false => vec![],
        };
        for n in guessed {
            if let Some(slot) = self.of.get_mut(n) {
                *slot = found.get_mut(n).and_then(Option::take);
            }
        }
        self.close();
        Ok(())
    }

    /// A run of the blob as it is.
    pub fn raw(&self, at: u64, len: u64) -> View<'_> {
        View { of: &*self.apart.blob, at, len }
    }

    /// Bytes between streams, and of streams that no encoder of ours made.
    pub fn unknown(&self) -> u64 {
        self.apart.parts.iter().filter(|p| p.plain.is_none()).map(|p| p.len).sum()
    }
}

/// Most archives have one encoder. What made the largest stream is tried first on all others; what made those must not
/// matter, or the order in which threads come to them would.
fn look(apart: &Apart, threads: usize, which: &dyn Fn(Form) -> bool) -> io::Result<Vec<Option<Stream>>> {
    let mut out: Vec<Option<Stream>> = vec![None; apart.parts.len()];
    let plain = |n: &usize| apart.parts.get(*n).and_then(|p| p.plain).map_or(0, |(_, len)| len);
    let wanted = |n: &usize| plain(n) > 0 && apart.parts.get(*n).is_some_and(|p| which(p.form));
    let mut order: Vec<usize> = (0..out.len()).filter(wanted).collect();
    order.sort_by_key(|n| (Reverse(plain(n)), *n));
    let mut options = Options { threads, ..Options::default() };
    let one = |n: usize, options: &Options| -> io::Result<(usize, Option<Stream>)> {
        let Some(part) = apart.parts.get(n) else { return Ok((n, None)) };
        let compressed = View { of: &*apart.blob, at: part.offset, len: part.len };
        Ok((n, recognise(&compressed, &apart.view(part), options).map_err(io::Error::other)?))
    };
    let mut found = Vec::with_capacity(order.len());
    let large = order.iter().take_while(|n| plain(n) >= LARGE).count().max(1).min(order.len());
    let (large, small) = order.split_at(large);
    for n in large {
        let (n, stream) = one(*n, &options)?;
        if found.is_empty() {
            options.first.extend(stream.iter().map(|s| s.identity.clone()));
        }
        found.push((n, stream));
    }
    options.threads = 1;
    found.extend(small.par_iter().map(|n| one(*n, &options)).collect::<io::Result<Vec<_>>>()?);
    for (n, stream) in found {
        if let Some(slot) = out.get_mut(n) {
            *slot = stream;
        }
    }
    Ok(out)
}
