//! A *chunk* is a run of bytes known by its digest: the unit of sharing.
//!
//! Where to cut is the packer's policy and no part of reading; the parameters are frozen by golden boundaries below,
//! because sharing across versions depends on them. See `spec/rationale.md`, section "Chunking".

use super::members::{Members, UNIT};
use std::io::{self, Read};

/// Least, average and greatest length of a chunk, in bytes.
pub const MIN: usize = 8 << 10;
/// See [`MIN`].
pub const AVERAGE: usize = 32 << 10;
/// See [`MIN`].
pub const MAX: usize = 128 << 10;

/// Length of the first chunk of `data` (fastcdc v2020). Give at least [`MAX`] bytes unless the blob ends before.
pub fn first_cut(data: &[u8]) -> usize {
    if data.len() <= MIN {
        return data.len();
    }
    let cutter = fastcdc::v2020::FastCDC::new(data, MIN, AVERAGE, MAX);
    let (_, end) = cutter.cut(0, data.len());
    end.clamp(1, data.len())
}

/// Bytes that have to be there before a cut, unless the stream ends.
const NEED: usize = MAX.saturating_add(UNIT);
/// Bytes read at once.
const PIECE: u64 = 1 << 20;

/// Cuts a stream by its content, and where large members of a tar begin and end.
#[derive(Debug, Default)]
pub struct Chunks {
    buf: Vec<u8>,
    /// Bytes of the buffer that were given.
    at: usize,
    /// Whether the buffer holds the end.
    end: bool,
    members: Members,
    /// Bytes of the stream that were given.
    place: u64,
}

impl Chunks {
    /// At the beginning of a stream.
    pub fn new() -> Chunks {
        Chunks { members: Members::new(), ..Chunks::default() }
    }

    /// The next chunk; `None` at the end. Every call must be given the same reader.
    pub fn next(&mut self, reader: &mut dyn Read) -> io::Result<Option<&[u8]>> {
        if !self.end && self.buf.len().saturating_sub(self.at) < NEED {
            self.buf.drain(..self.at);
            self.at = 0;
            let before = self.buf.len();
            (&mut *reader).take(PIECE).read_to_end(&mut self.buf)?;
            self.end = self.buf.len() == before;
        }
        let rest = self.buf.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let mark = self.members.mark(self.place, rest).and_then(|mark| mark.checked_sub(self.place));
        let mark = mark.and_then(|mark| usize::try_from(mark).ok()).unwrap_or(rest.len());
        let len = first_cut(rest.get(..mark).unwrap_or(rest));
        self.at = self.at.saturating_add(len);
        self.place = self.place.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        Ok(Some(rest.get(..len).unwrap_or(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_boundaries() {
        let mut x = 0x9e3779b97f4a7c15u64;
        let data: Vec<u8> = (0..1_000_000)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                (x >> 24) as u8
            })
            .collect();
        let mut cuts = Vec::new();
        let mut at = 0;
        while at < data.len() {
            at += first_cut(&data[at..]);
            cuts.push(at);
        }
        assert_eq!(cuts, GOLDEN);
        assert!(cuts.windows(2).all(|w| w[1] - w[0] <= MAX));
    }

    const GOLDEN: [usize; 26] = [
        37531, 80865, 131409, 164909, 205484, 251064, 311212, 344703, 397515, 438365, 464840, 477054, 501472, 522979,
        619882, 679019, 705212, 742006, 785088, 821043, 872218, 894220, 920500, 932239, 973677, 1000000,
    ];
}
