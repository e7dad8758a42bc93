//! *Members* of a tar or a cpio archive are seen in a stream of bytes as it goes by, so that chunks begin and end where large ones do.
//!
//! Nothing is refused: what is no archive, or stops being one, has no more members. Where to cut is no part of reading. See
//! `spec/rationale.md`, section "Chunking".

use std::collections::VecDeque;

/// A header of a tar, and the unit that content is filled up to (POSIX.1-2017, pax, "ustar Interchange Format").
pub const UNIT: usize = 512;
const UNITS: u64 = 512;
/// Content of at least so many bytes has chunks for itself: the least length of a chunk.
const LARGE: u64 = 8 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Members {
    /// Where the next header lies; `None` after the last.
    header: Option<u64>,
    marks: VecDeque<u64>,
}

impl Members {
    /// Of a stream whose first header, if it is an archive, lies at its beginning.
    pub fn new() -> Members {
        Members { header: Some(0), marks: VecDeque::new() }
    }

    /// The first mark after `at`: where the content of a large member begins or ends. `window` is what lies there; marks beyond
    /// it may not be known yet. Unless it is the end of the stream, the next window must begin at least [`UNIT`] bytes before
    /// this one ends, so that each header is seen whole.
    pub fn mark(&mut self, at: u64, window: &[u8]) -> Option<u64> {
        while let Some(header) = self.header {
            let from = header.checked_sub(at).and_then(|n| usize::try_from(n).ok());
            let Some(rest) = from.map(|n| window.get(n..).unwrap_or_default()) else { break };
            let Some((block, _)) = rest.split_first_chunk::<UNIT>() else { break };
            self.header = self.see(header, block);
        }
        while self.marks.front().is_some_and(|mark| *mark <= at) {
            self.marks.pop_front();
        }
        self.marks.front().copied()
    }

    /// Takes a header; where the next one is.
    fn see(&mut self, at: u64, block: &[u8; UNIT]) -> Option<u64> {
        let member = tar(block).or_else(|| cpio(block))?;
        let begin = at.checked_add(member.header)?;
        let end = begin.checked_add(member.len)?;
        if member.len >= LARGE {
            self.marks.extend([begin, end]);
        }
        end.checked_next_multiple_of(member.unit)
    }
}

/// A member of an archive: length of its header with the name, of its content, and what both are filled up to.
struct Member {
    header: u64,
    len: u64,
    unit: u64,
}

fn tar(block: &[u8; UNIT]) -> Option<Member> {
    Some(Member { header: UNITS, len: content(block)?, unit: UNITS })
}

/// The "new ASCII format" of cpio, with or without sums, which payloads of rpms are: a magic, then fields of eight hexadecimal
/// digits; everything is filled up to four bytes.
fn cpio(block: &[u8; UNIT]) -> Option<Member> {
    let (magic, fields) = block.split_first_chunk::<6>()?;
    if !matches!(magic, b"070701" | b"070702") {
        return None;
    }
    let field = |n: usize| {
        let digits = std::str::from_utf8(fields.chunks_exact(8).nth(n)?).ok()?;
        u64::from_str_radix(digits, 16).ok()
    };
    let header = field(11)?.checked_add(110)?.checked_next_multiple_of(4)?;
    Some(Member { header, len: field(6)?, unit: 4 })
}

/// Bytes of content after a header of a tar; `None` if it is none.
fn content(block: &[u8; UNIT]) -> Option<u64> {
    let magic = block.get(257..262)? == b"ustar";
    let sum = block.get(148..156)?;
    let others = block.iter().zip(0..).filter(|(_, n)| !(148..156).contains(n));
    let made: u64 = others.map(|(byte, _)| u64::from(*byte)).sum::<u64>().checked_add(8 * 32)?;
    if !magic || octal(sum)? != made {
        return None;
    }
    match block.get(156)? {
        b'1'..=b'6' => Some(0), // links, devices, folders
        _ => size(block.get(124..136)?),
    }
}

/// Octal digits, or 255 or 128 and a big-endian number (GNU tar).
fn size(field: &[u8]) -> Option<u64> {
    match field.split_first()? {
        (128, rest) => {
            let (high, low) = rest.split_last_chunk::<8>()?;
            high.iter().all(|b| *b == 0).then(|| u64::from_be_bytes(*low))
        }
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = field.trim_ascii_start().split(|b| *b == 0 || *b == b' ').next()?;
    let digits = text.iter().try_fold(0u64, |n, b| match b {
        b'0'..=b'7' => n.checked_mul(8)?.checked_add(u64::from(b & 7)),
        _ => None,
    });
    digits.filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(members: &[(&str, usize)]) -> Vec<u8> {
        let mut out = tar::Builder::new(Vec::new());
        for (name, len) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(*len as u64);
            out.append_data(&mut header, name, &vec![b'x'; *len][..]).expect("to memory");
        }
        out.into_inner().expect("to memory")
    }

    /// All marks, seen through windows of `step` bytes and more.
    fn marks(bytes: &[u8], step: usize) -> Vec<u64> {
        let (mut members, mut at, mut out) = (Members::new(), 0, vec![]);
        while at < bytes.len() {
            let window = &bytes[at..bytes.len().min(at + step)];
            let mark = members.mark(at as u64, window).filter(|m| *m <= (at + window.len()) as u64);
            at = mark.map_or(at + (step - (UNIT - 1)).min(window.len()), |m| m as usize);
            out.extend(mark);
        }
        out
    }

    #[test]
    fn content_of_large_members_is_marked() {
        let long = "n".repeat(150);
        let bytes = tar(&[("a", 10_000), ("small", 100), (&long, 8192), ("empty", 0), ("last", 8193)]);
        // a: 512 + 20 units; small: 2 units; the long name takes two more headers' room; empty: 1.
        let third = 512 + 10_240 + 1024 + 1024 + 512;
        let last = third + 8192 + 512 + 512;
        let expect: Vec<u64> = vec![512, 10_512, third, third + 8192, last, last + 8193];
        for step in [512, 513, 700, 4096, 1 << 20] {
            assert_eq!(marks(&bytes, step), expect, "{step}");
        }
    }

    #[test]
    fn content_of_large_members_of_a_cpio_archive_is_marked() {
        let mut bytes = Vec::new();
        let mut expect = Vec::new();
        for (name, len) in [("./usr/bin/a", 10_001), ("small", 100), ("./b", 9_000), ("TRAILER!!!", 0)] {
            let fields = [1, 0o100_755, 0, 0, 1, 0, len, 0, 0, 0, 0, name.len() + 1, 0];
            bytes.extend(b"070701");
            fields.iter().for_each(|n| bytes.extend(format!("{n:08x}").bytes()));
            bytes.extend(name.bytes().chain([0]));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            if len >= 8192 {
                expect.extend([bytes.len(), bytes.len() + len].map(|n| n as u64));
            }
            bytes.resize(bytes.len() + len, b'x');
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        for step in [512, 700, 1 << 20] {
            assert_eq!(marks(&bytes, step), expect, "{step}");
        }
        let mut broken = bytes.clone();
        broken[54 + 7] = b'-'; // the size of the first
        assert_eq!(marks(&broken, 4096), [] as [u64; 0]);
    }

    #[test]
    fn what_is_no_archive_has_no_marks() {
        let good = tar(&[("a", 10_000), ("b", 10_000)]);
        let mut broken = good.clone();
        broken[512 + 10_240] ^= 1; // the second name
        assert_eq!(marks(&broken, 4096), [512, 10_512]);
        let mut huge = good.clone();
        huge[124..136].copy_from_slice(&[128, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(marks(&huge, 4096), [] as [u64; 0], "the sum is wrong");
        for bytes in [&b""[..], b"short", &[0; 4096], &good[..511]] {
            assert_eq!(marks(bytes, 4096), [] as [u64; 0]);
        }
    }
}
