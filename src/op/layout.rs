//! The *layout* of a new blob: which stretches of its parts are put as new content, and which were put before.
//!
//! It compares nothing with old content. See `spec/rationale.md`, section "Deltas".

use super::apart::LARGE;
use super::parts::View;
use super::repeats::Repeated;
use super::runs::Block;
use super::streams::Streams;
use super::units::Mark;
use crate::cbor::Bytes;
use crate::digest::Digest;
use crate::format::section::Segment;
use crate::format::table::ChunkRow;
use crate::limits;
use crate::replay::list;
use crate::replay::stream::Stream;
use std::collections::HashMap;
use std::io;

/// A stretch of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    part: usize,
    /// Where it begins in the part's bytes.
    at: u64,
    len: u64,
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// It is put: `from..from + len` of the new content.
    New { from: u64 },
    /// The chunk of this number, which was put.
    Known(u64),
    /// As the stretch of this number.
    Again(usize),
}

/// See the module.
pub(super) struct Layout<'a> {
    streams: &'a Streams,
    /// In order; they cover all parts.
    stretches: Vec<Stretch>,
    /// Bytes of new content.
    pub new: u64,
    /// Bytes that were put before.
    pub known: u64,
}

impl<'a> Layout<'a> {
    /// Of a blob's parts. `repeated`: chunks worth a row of their own, in order; `known` gives the number of one that was put.
    pub fn new(streams: &'a Streams, repeated: &[Repeated], known: &dyn Fn(&Repeated) -> Option<u64>) -> Layout<'a> {
        let mut out = Layout { streams, stretches: Vec::new(), new: 0, known: 0 };
        let mut here: HashMap<Digest, usize> = HashMap::new();
        let mut repeated = repeated.iter().peekable();
        for (part, p) in streams.apart.parts.iter().enumerate() {
            let (len, mut at) = (streams.apart.view(p).len, 0u64);
            while let Some(chunk) = repeated.next_if(|r| r.part <= part) {
                if chunk.part < part || chunk.at < at || chunk.at + chunk.len > len {
                    continue;
                }
                out.push_new(part, at, chunk.at - at);
                match (known(chunk), here.get(&chunk.digest)) {
                    (Some(number), _) => out.push_old(chunk, Of::Known(number)),
                    (None, Some(stretch)) => out.push_old(chunk, Of::Again(*stretch)),
                    (None, None) => {
                        here.insert(chunk.digest, out.stretches.len());
                        out.push_new(part, chunk.at, chunk.len);
                    }
                }
                at = chunk.at + chunk.len;
            }
            out.push_new(part, at, len - at);
        }
        out
    }

    fn push_new(&mut self, part: usize, at: u64, len: u64) {
        if len > 0 {
            self.stretches.push(Stretch { part, at, len, of: Of::New { from: self.new } });
            self.new += len;
        }
    }

    fn push_old(&mut self, chunk: &Repeated, of: Of) {
        self.stretches.push(Stretch { part: chunk.part, at: chunk.at, len: chunk.len, of });
        self.known += chunk.len;
    }

    fn stream(&self, part: usize) -> Option<&Stream> {
        self.streams.of.get(part).and_then(Option::as_ref)
    }

    fn view(&self, part: usize) -> Option<View<'_>> {
        self.streams.apart.parts.get(part).map(|p| self.streams.apart.view(p))
    }

    /// The stretches that are put, and where each begins in the new content.
    fn fresh(&self) -> impl Iterator<Item = (u64, &Stretch)> {
        self.stretches.iter().filter_map(|s| match s.of {
            Of::New { from } => Some((from, s)),
            _ => None,
        })
    }

    /// Marks by their place in the new content, in order. `opened`: which parts were streams. One that no encoder makes again is
    /// not compared by what it expands to, of which its marks are.
    pub fn marks(&self, marks: &[Mark], opened: &[bool]) -> Vec<(u64, Mark)> {
        let mut sorted: Vec<&Mark> =
            marks.iter().filter(|m| self.stream(m.part).is_some() || opened.get(m.part) == Some(&false)).collect();
        sorted.sort_unstable_by_key(|m| (m.part, m.at, m.value));
        let (mut out, mut fresh) = (Vec::new(), self.fresh().peekable());
        for mark in sorted {
            while fresh.next_if(|(_, s)| (s.part, s.at + s.len) <= (mark.part, mark.at)).is_some() {}
            if let Some((from, s)) = fresh.peek()
                && s.part == mark.part
                && s.at <= mark.at
            {
                out.push((from + (mark.at - s.at), *mark));
            }
        }
        out
    }

    /// Blocks of the new content: where each begins and ends, and where its old content lies, by the order of
    /// [`runs::whole`](super::runs::whole). A large stream begins a block.
    pub fn cuts(&self) -> Vec<Block> {
        let most = u64::from(limits::BLOCK_PLAIN);
        let len = |part: usize| self.view(part).map_or(0, |v| v.len);
        let large = |part: usize| self.stream(part).is_some() && len(part) >= LARGE;
        // By part: where its old content lies, that of large streams before all else.
        let (mut done, mut since) = (0u64, 0u64);
        let mut places = Vec::with_capacity(self.streams.of.len());
        for part in 0..self.streams.of.len() {
            if large(part) {
                places.push(done);
                (done, since) = (done + len(part), 0);
            } else {
                places.push(done + since);
                since += len(part);
            }
        }
        let (mut out, mut last): (Vec<Block>, Option<usize>) = (Vec::new(), None);
        for (from, stretch) in self.fresh() {
            let another = last.replace(stretch.part).filter(|last| *last != stretch.part);
            let mut begins = another.is_some_and(|last| large(last) || large(stretch.part));
            let (mut at, end) = (from, from + stretch.len);
            while at < end {
                match out.last_mut().filter(|b| b.end - b.start < most && !begins) {
                    Some(block) => {
                        block.end = end.min(block.start + most);
                        at = block.end;
                    }
                    None => {
                        let place = places.get(stretch.part).map_or(0, |p| p + stretch.at + (at - from));
                        let to = end.min(at + most);
                        out.push(Block { start: at, end: to, place });
                        (at, begins) = (to, false);
                    }
                }
            }
        }
        out
    }

    /// The bytes of a block, and its chunks: one for each stretch that it has bytes of.
    pub fn read(&self, block: &Block) -> io::Result<(Vec<u8>, Vec<ChunkRow>)> {
        let (mut plain, mut chunks) = (Vec::with_capacity((block.end - block.start) as usize), Vec::new());
        for (start, stretch) in self.fresh() {
            let (from, to) = (start.max(block.start), (start + stretch.len).min(block.end));
            if let Some(view) = self.view(stretch.part).filter(|_| from < to) {
                let mut bytes = vec![0u8; (to - from) as usize];
                view.of.read_exact_at(&mut bytes, view.at + stretch.at + (from - start))?;
                chunks.push(ChunkRow { digest: Digest::of(&bytes), len: bytes.len() as u32 });
                plain.extend_from_slice(&bytes);
            }
        }
        Ok((plain, chunks))
    }

    /// The segments, once all blocks were put: `first` is the number of their first chunk, `lens` are the lengths of all.
    pub fn segments(&self, first: u64, lens: &[u64]) -> Vec<Segment> {
        let (mut number, mut lens) = (first, lens.iter());
        let mut places: Vec<(u64, u64)> = Vec::with_capacity(self.stretches.len());
        for stretch in &self.stretches {
            places.push(match stretch.of {
                Of::Known(chunk) => (chunk, 1),
                Of::Again(stretch) => places.get(stretch).copied().unwrap_or((first, 1)),
                Of::New { .. } => {
                    let (begin, mut left) = (number, stretch.len);
                    while left > 0 {
                        left = left.saturating_sub(lens.next().copied().unwrap_or(left));
                        number += 1;
                    }
                    (begin, number - begin)
                }
            });
        }
        let (mut out, mut at) = (Vec::new(), 0);
        for part in 0..self.streams.of.len() {
            let own = self.stretches.get(at..).unwrap_or_default().iter().take_while(|s| s.part == part).count();
            let chunks = places.get(at..at + own).unwrap_or_default().iter();
            at += own;
            let chunks = chunks.map(|(first, count)| Segment::Chunks { first: *first, count: *count });
            match self.stream(part) {
                None => out.extend(chunks),
                Some(stream) => out.push(Segment::Replay {
                    encoder: stream.identity.row(),
                    checkpoints: Bytes(list::encode(&stream.checkpoints)),
                    len: stream.compressed,
                    parts: merged(chunks),
                }),
            }
        }
        merged(out)
    }
}

/// Runs of chunks that follow each other are one segment.
fn merged(segments: impl IntoIterator<Item = Segment>) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    for segment in segments {
        if let (Some(Segment::Chunks { first, count }), Segment::Chunks { first: next, count: more }) =
            (out.last_mut(), &segment)
            && *first + *count == *next
        {
            *count += more;
            continue;
        }
        out.push(segment);
    }
    out
}
