//! To *expand* a blob is to store the plain bytes of its streams as shared chunks, and encoders that make the streams again.
//!
//! It compares nothing with old content. Specified in `spec/bundle.md`, section "Deltas" (F41).

use super::parts::View;
use super::streams::Streams;
use crate::bundle::{BundleError, Put};
use crate::cbor::Bytes;
use crate::digest::Blob;
use crate::format::section::Segment;
use crate::replay::list;
use crate::replay::stream::Stream;
use std::io::{self, Read};

/// Streams below that stay as they are: the rows of two more chunks and of a replay take as much as is won.
const LEAST: u64 = 256;
/// Streams of one blob: its recipe has to fit into a section.
const MOST: usize = 100_000;

/// Puts a blob so; `false`, and nothing is put, where that does not pay.
pub fn expand(put: &mut dyn Put, blob: &Blob, what: &str, streams: &Streams) -> Result<bool, BundleError> {
    let parts = || streams.apart.parts.iter().zip(&streams.of);
    let worth: u64 = parts().filter(|(_, s)| pays(s)).map(|(p, _)| p.len).sum();
    let count = parts().filter(|(_, s)| pays(s)).count();
    if worth.saturating_mul(2) < blob.len || worth == 0 || count > MOST {
        return Ok(false);
    }
    let (mut segments, mut from) = (Vec::new(), 0u64);
    for (part, stream) in parts() {
        let Some(stream) = stream.as_ref().filter(|_| pays(stream)) else { continue };
        between(put, what, streams.raw(from, part.offset - from), &mut segments)?;
        from = part.offset + part.len;
        segments.push(Segment::Replay {
            encoder: stream.identity.row(),
            checkpoints: Bytes(list::encode(&stream.checkpoints)),
            len: stream.compressed,
            parts: put.put_shared(what, &mut Reading::new(streams.apart.view(part)))?,
        });
    }
    between(put, what, streams.raw(from, blob.len - from), &mut segments)?;
    put.put_recipe(blob, what, segments)?;
    Ok(true)
}

/// Whether a stream is large enough, and hardly anything was compressed before it was.
fn pays(stream: &Option<Stream>) -> bool {
    stream.as_ref().is_some_and(|s| s.compressed >= LEAST && s.plain > s.compressed + s.compressed / 16)
}

/// Bytes between streams, if there are any.
fn between(put: &mut dyn Put, what: &str, view: View<'_>, segments: &mut Vec<Segment>) -> Result<(), BundleError> {
    if view.len > 0 {
        segments.extend(put.put_shared(what, &mut Reading::new(view))?);
    }
    Ok(())
}

/// A run read from its beginning.
pub struct Reading<'a> {
    run: View<'a>,
    at: u64,
}

impl<'a> Reading<'a> {
    /// From the beginning of a run.
    pub fn new(run: View<'a>) -> Reading<'a> {
        Reading { run, at: 0 }
    }
}

impl Read for Reading<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = (self.run.len - self.at).min(buf.len() as u64);
        self.run.of.read_exact_at(buf.get_mut(..n as usize).unwrap_or_default(), self.run.at + self.at)?;
        self.at += n;
        Ok(n as usize)
    }
}
