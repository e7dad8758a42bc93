//! *Units* are the runs of content that are chosen or left as old content: a large file of a tar archive, or about a mebibyte of
//! anything else. *Marks* are what is known of content without reading it again: samples, and names of files.
//!
//! Nothing is compared here. See `spec/rationale.md`, section "Deltas".

use super::apart::Apart;
use super::parts::View;
use crate::patch::similar::{Sampler, density, of_name};
use crate::replay::source::Source as _;
use crate::source::read::is_compressed;
use std::io;

/// Bytes read at once.
const PIECE: usize = 256 << 10;
/// Length of a unit, if no large file says otherwise.
const UNIT: u64 = 1 << 20;
/// A file of at least so many bytes is a unit of its own.
const LARGE: u64 = 256 << 10;
/// A longer one is several units.
const FILE: u64 = 128 << 20;
/// Files in tar archives begin and end at multiples of this.
const STEP: u64 = 512;
/// Files of one archive that are looked at.
const FILES: usize = 1 << 20;

/// A run of the bytes that a part is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The number of the part.
    pub part: usize,
    /// Where it begins in the part's bytes.
    pub from: u64,
    /// Its length.
    pub len: u64,
}

/// A sample or a name, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The sample, or the value of the name.
    pub value: u64,
    /// The number of the part.
    pub part: usize,
    /// Where in the part's bytes.
    pub at: u64,
}

/// What is known of content.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Its units, in order, which cover it.
    pub units: Vec<Unit>,
    /// Its marks, in order of parts.
    pub marks: Vec<Mark>,
    /// Bytes of all parts.
    pub len: u64,
}

/// A large file of a tar archive: its name, where its header begins and where its bytes end.
struct Large {
    name: Vec<u8>,
    from: u64,
    to: u64,
}

impl Look {
    /// Looks at content. A blob that is compressed by no encoder of ours has no marks.
    pub fn new(apart: &Apart) -> io::Result<Look> {
        let views: Vec<View<'_>> = apart.parts.iter().map(|p| apart.view(p)).collect();
        let len = views.iter().map(|v| v.len).sum();
        let mut look = Look { len, ..Look::default() };
        let closed = apart.parts.iter().all(|p| p.plain.is_none());
        let mut head = vec![0u8; len.min(8) as usize];
        if let Some(first) = views.first() {
            head.truncate(first.len.min(8) as usize);
            first.read_at(0, &mut head)?;
        }
        let samples = !(closed && is_compressed(&head));
        for (part, view) in views.iter().enumerate() {
            let files = if samples { large_files(view)? } else { Vec::new() };
            cut(part, view.len, &files, &mut look.units);
            look.marks.extend(files.iter().map(|f| Mark { value: of_name(&f.name), part, at: f.from }));
            if samples {
                sample(part, view, density(len), &mut look.marks)?;
            }
        }
        Ok(look)
    }

    /// The number of the unit that a mark lies in.
    pub fn unit_of(&self, mark: &Mark) -> usize {
        self.units.partition_point(|u| (u.part, u.from) <= (mark.part, mark.at)).saturating_sub(1)
    }
}

fn sample(part: usize, view: &View<'_>, density: u32, marks: &mut Vec<Mark>) -> io::Result<()> {
    let (mut sampler, mut at) = (Sampler::new(density), 0);
    let mut buf = vec![0u8; view.len.min(PIECE as u64) as usize];
    while at < view.len {
        let n = (view.len - at).min(buf.len() as u64);
        let piece = buf.get_mut(..n as usize).unwrap_or_default();
        view.read_at(at, piece)?;
        sampler.update(piece, |value, end| marks.push(Mark { value, part, at: end - 1 }));
        at += n;
    }
    Ok(())
}

/// Units of a part: large files, and what lies between them in pieces.
fn cut(part: usize, len: u64, files: &[Large], units: &mut Vec<Unit>) {
    let mut at = 0;
    let mut put = |from: u64, to: u64, most: u64| {
        let mut from = from;
        while from < to {
            let len = if to - from < 2 * most { to - from } else { most };
            units.push(Unit { part, from, len });
            from += len;
        }
    };
    for file in files {
        put(at, file.from, UNIT);
        put(file.from, file.to, FILE);
        at = file.to;
    }
    put(at, len, UNIT);
}

/// The large files of a tar archive, as far as it is one.
fn large_files(view: &View<'_>) -> io::Result<Vec<Large>> {
    let (mut out, mut at, mut head) = (Vec::new(), 0u64, [0u8; STEP as usize]);
    for _ in 0..FILES {
        if at.saturating_add(STEP) > view.len {
            break;
        }
        view.read_at(at, &mut head)?;
        let Some(size) = size(&head) else { break };
        let Some(to) = size.checked_next_multiple_of(STEP).and_then(|n| n.checked_add(at)?.checked_add(STEP)) else {
            break;
        };
        if to > view.len {
            break;
        }
        if size >= LARGE {
            out.push(Large { name: name(&head), from: at, to });
        }
        at = to;
    }
    Ok(out)
}

/// The size that a header of a tar archive gives.
fn size(head: &[u8; STEP as usize]) -> Option<u64> {
    let (field, magic) = (head.get(124..136)?, head.get(257..262)?);
    if magic != b"ustar" {
        return None;
    }
    if field.first()? & 0x80 != 0 {
        return Some(u64::from_be_bytes(*field.last_chunk()?)); // as GNU tar writes sizes of 8 GiB and more
    }
    let digits = field.iter().filter(|b| b.is_ascii_digit()).map(|b| u64::from(b - b'0'));
    Some(digits.fold(0, |n, d| (n << 3) | (d & 7)))
}

/// A name, whatever numbers are in it.
fn name(head: &[u8; STEP as usize]) -> Vec<u8> {
    let mut out: Vec<u8> =
        head.iter().take(100).copied().take_while(|b| *b != 0).filter(|b| !b.is_ascii_digit()).collect();
    if let Some(rest) = out.strip_prefix(b"./") {
        out = rest.to_vec();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(blob: Vec<u8>) -> Look {
        let len = blob.len() as u64;
        Look::new(&Apart::new(Box::new(blob), len).expect("memory")).expect("memory")
    }

    fn tar(files: &[(&str, usize)]) -> Vec<u8> {
        let mut out = tar::Builder::new(Vec::new());
        for (name, len) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(*len as u64);
            out.append_data(&mut header, name, &vec![7u8; *len][..]).expect("to memory");
        }
        out.into_inner().expect("to memory")
    }

    #[test]
    fn units_cover_content_and_large_files_are_units() {
        let large = tar(&[("a", 100), ("big-1.2", 300_000), ("c", 900_000), ("d", 3), ("e", 2_000)]);
        let torn = large[..1_000_000].to_vec();
        for (blob, want) in [
            (vec![], vec![]),
            (vec![1; 10], vec![10]),
            (vec![1; 5 << 20], vec![1 << 20; 5]),
            (large.clone(), vec![1024, 300_544, 900_608, large.len() as u64 - 1024 - 300_544 - 900_608]),
            (torn, vec![1024, 300_544, 1_000_000 - 1024 - 300_544]),
        ] {
            let len = blob.len() as u64;
            let look = look(blob);
            assert_eq!(look.units.iter().map(|u| u.len).collect::<Vec<_>>(), want);
            assert_eq!((look.units.iter().map(|u| u.len).sum::<u64>(), look.len), (len, len));
        }
        let names = |version: &str| look(tar(&[("a", 9), (version, 300_000)])).marks[0];
        assert_eq!(names("bin/tool-1.2"), names("bin/tool-1.10"));
        let mark = names("x");
        assert_eq!((mark.part, mark.at, look(tar(&[("a", 9), ("x", 300_000)])).unit_of(&mark)), (0, 1024, 1));
    }

    #[test]
    fn what_nobody_opens_has_no_marks() {
        let noise: Vec<u8> = (0..200_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        assert!(look(noise.clone()).marks.len() > 500);
        assert!(look([b"\xfd7zXZ\0", &noise[..]].concat()).marks.is_empty());
    }
}
