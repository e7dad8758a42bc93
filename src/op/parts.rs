//! The *parts* of a blob are its compressed streams and what lies between them.
//!
//! gzip, .xz and .bz2 files, zip archives, and rpms and debs with such files inside have streams; of all else the blob is one part. What cannot be
//! expanded is left as it is: nothing is refused here. See `spec/rationale.md`, section "Deltas".

use crate::bundle::ScratchFile;
use crate::codec::form::{Expander, Form, Step};
use crate::kind::deb::ar;
use crate::kind::zipfile::Zip;
use crate::kind::{ReadAt, ReadSeek, rpm};
use crate::replay::source::Source;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes read or made at once.
const PIECE: usize = 256 << 10;
/// Plain bytes of all streams of a blob: beyond that the rest is left as it is.
const MOST: u64 = 8 << 30;

/// A run of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
    /// Of a stream: where its plain bytes begin in the scratch file, and how many there are.
    pub plain: Option<(u64, u64)>,
    /// Of a stream: what sort it is.
    pub form: Form,
}

/// A run of something that can be read at any place.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What it is a run of.
    pub of: &'a dyn ReadAt,
    /// Where it begins.
    pub at: u64,
    /// Its bytes.
    pub len: u64,
}

impl Source for View<'_> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        match at.checked_add(buffer.len() as u64) {
            Some(end) if end <= self.len => self.of.read_exact_at(buffer, self.at + at),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Splits a blob of `len` bytes, whose streams are expanded into `out` one after another. The parts cover it.
pub fn split(blob: &dyn ReadAt, len: u64, out: &dyn ScratchFile) -> io::Result<Vec<Part>> {
    let mut head = [0u8; 6];
    if len < 14 {
        return Ok(whole(len));
    }
    blob.read_exact_at(&mut head, 0)?;
    let streams = match head {
        [0x1f, 0x8b, 8, ..] => files(blob, &[(0, len)], out)?,
        [b'P', b'K', 3, 4, ..] => zip(blob, len, out)?,
        [0xed, 0xab, 0xee, 0xdb, ..] => files(blob, &rpm(blob, len), out)?,
        [b'!', b'<', b'a', b'r', ..] => files(blob, &deb(blob, len), out)?,
        _ if Form::of(&head) != Form::Deflate => files(blob, &[(0, len)], out)?,
        _ => vec![],
    };
    Ok(cover(len, streams))
}

fn whole(len: u64) -> Vec<Part> {
    if len == 0 { vec![] } else { vec![Part { offset: 0, len, plain: None, form: Form::Deflate }] }
}

/// Streams in order, with what lies between them.
fn cover(len: u64, streams: Vec<Part>) -> Vec<Part> {
    let (mut out, mut at) = (Vec::new(), 0);
    for part in streams {
        if part.offset > at {
            out.push(Part { offset: at, len: part.offset - at, plain: None, form: Form::Deflate });
        }
        at = part.offset + part.len;
        out.push(part);
    }
    if len > at {
        out.push(Part { offset: at, len: len - at, plain: None, form: Form::Deflate });
    }
    out
}

/// The streams of gzip files (RFC 1952), .xz and .bz2 files that begin and end at these places, in order.
fn files(blob: &dyn ReadAt, files: &[(u64, u64)], out: &dyn ScratchFile) -> io::Result<Vec<Part>> {
    let (mut parts, mut plain) = (Vec::new(), 0u64);
    for &(mut at, end) in files {
        while let Some((data, form)) = header(blob, at, end)? {
            let Some((used, made)) = expand(form, (blob, data, end), out, plain)? else { break };
            parts.push(Part { offset: data, len: used, plain: Some((plain, made)), form });
            plain += made;
            at = data + used + if form == Form::Deflate { 8 } else { 0 };
        }
    }
    Ok(parts)
}

/// Where the payload of an rpm lies.
fn rpm(blob: &dyn ReadAt, len: u64) -> Vec<(u64, u64)> {
    rpm::payload(&mut Cursor { of: blob, len, at: 0 }, len).map(|at| (at, len)).into_iter().collect()
}

/// Where the members of a deb lie.
fn deb(blob: &dyn ReadAt, len: u64) -> Vec<(u64, u64)> {
    let members = ar::members(&mut Cursor { of: blob, len, at: 0 }, len).unwrap_or_default();
    members.iter().map(|m| (m.start, m.start + m.len)).collect()
}

/// Where the stream of the file that begins at `at` does, and what sort it is.
fn header(blob: &dyn ReadAt, at: u64, len: u64) -> io::Result<Option<(u64, Form)>> {
    let mut head = vec![0u8; usize::try_from(len.saturating_sub(at)).unwrap_or(PIECE).min(64 << 10)];
    if head.is_empty() {
        return Ok(None);
    }
    blob.read_exact_at(&mut head, at)?;
    let form = Form::of(&head);
    if form != Form::Deflate {
        return Ok(Some((at, form)));
    }
    let Some(([0x1f, 0x8b, 8, flags], _)) = head.split_first_chunk::<4>() else { return Ok(None) };
    let mut n = 10usize;
    if flags & 4 != 0 {
        let Some([a, b]) = head.get(n..n + 2) else { return Ok(None) };
        n += 2 + usize::from(u16::from_le_bytes([*a, *b]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let Some(end) = head.get(n..).and_then(|rest| rest.iter().position(|b| *b == 0)) else { return Ok(None) };
            n += end + 1;
        }
    }
    n += if flags & 2 != 0 { 2 } else { 0 };
    Ok((n < head.len()).then_some((at + n as u64, form)))
}

/// The deflated members of a zip archive.
fn zip(blob: &dyn ReadAt, len: u64, out: &dyn ScratchFile) -> io::Result<Vec<Part>> {
    let reader: Box<dyn ReadSeek + '_> = Box::new(Cursor { of: blob, len, at: 0 });
    let Ok(zip) = Zip::open(reader, "a zip archive") else { return Ok(vec![]) };
    let mut members: Vec<(u64, u64, u64)> = zip.members().iter().filter_map(|m| m.deflated()).collect();
    members.sort_unstable();
    let (mut parts, mut plain) = (Vec::new(), 0u64);
    for (data, packed, size) in members {
        match expand(Form::Deflate, (blob, data, data + packed), out, plain)? {
            Some((used, made)) if used == packed && made == size && made > 0 => {
                parts.push(Part { offset: data, len: used, plain: Some((plain, made)), form: Form::Deflate });
                plain += made;
            }
            _ => {}
        }
    }
    Ok(parts)
}

/// Expands the stream that lies in a blob from one place and ends before another, to `to` of `out`: bytes used and made, both
/// at least 1. `None` where there is no stream.
fn expand(
    form: Form,
    (blob, at, end): (&dyn ReadAt, u64, u64),
    out: &dyn ScratchFile,
    to: u64,
) -> io::Result<Option<(u64, u64)>> {
    let mut expander = Expander::new(form)?;
    let (mut input, mut output) = (vec![0u8; PIECE], vec![0u8; PIECE]);
    let (mut from, mut have) = (0usize, 0usize);
    let (mut used, mut made) = (0u64, 0u64);
    loop {
        if from == have {
            let left = end.saturating_sub(at + used);
            (from, have) = (0, usize::try_from(left).unwrap_or(PIECE).min(PIECE));
            blob.read_exact_at(input.get_mut(..have).unwrap_or_default(), at + used)?;
        }
        let bytes = input.get(from..have).unwrap_or_default();
        let Some(Step { taken, given, end }) = expander.step(bytes, &mut output) else { return Ok(None) };
        from += taken;
        out.write_at(output.get(..given).unwrap_or_default(), to + made)?;
        (used, made) = (used + taken as u64, made + given as u64);
        if end {
            return Ok((made > 0).then_some((used, made)));
        }
        if (taken == 0 && given == 0) || to + made > MOST {
            return Ok(None);
        }
    }
}

struct Cursor<'a> {
    of: &'a dyn ReadAt,
    len: u64,
    at: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buf.len());
        self.of.read_exact_at(buf.get_mut(..n).unwrap_or_default(), self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.len, by),
        };
        self.at = base.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::temporary;
    use std::io::Write as _;

    fn gz(plain: &[u8]) -> Vec<u8> {
        let mut out = flate2::GzBuilder::new().filename("name").write(Vec::new(), flate2::Compression::new(6));
        out.write_all(plain).expect("to memory");
        out.finish().expect("to memory")
    }

    fn xz(plain: &[u8]) -> Vec<u8> {
        let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
        out.write_all(plain).expect("to memory");
        out.finish().expect("to memory")
    }

    fn bz2(plain: &[u8]) -> Vec<u8> {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(1));
        out.write_all(plain).expect("to memory");
        out.finish().expect("to memory")
    }

    fn in_deb(data: &[u8]) -> Vec<u8> {
        let member = |name: &str, bytes: &[u8]| {
            let head = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, bytes.len());
            [head.as_bytes(), bytes, if bytes.len() % 2 == 1 { b"\n" } else { b"" }].concat()
        };
        [
            b"!<arch>\n".to_vec(),
            member("debian-binary", b"2.0\n"),
            member("control.tar.gz", &gz(b"control")),
            member("data.tar", data),
        ]
        .concat()
    }

    fn in_rpm(payload: &[u8]) -> Vec<u8> {
        let header = [&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0][..], &1u32.to_be_bytes(), &8u32.to_be_bytes()].concat();
        let entry = [1000u32, 6, 0, 1].map(u32::to_be_bytes).concat(); // a string
        let header = [&header[..], &entry, b"package\0"].concat();
        let lead = [&[0xed, 0xab, 0xee, 0xdb, 3, 0][..], &[0; 90]].concat();
        [&lead[..], &header, &header, payload].concat()
    }

    #[test]
    fn streams_are_found_and_the_parts_cover_the_blob() {
        let noise: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let one = gz(&b"one ".repeat(100_000));
        for (blob, streams) in [
            (one.clone(), 1),
            ([&one[..], &gz(b"two")].concat(), 2),
            ([&one[..], b"trailing rubbish"].concat(), 1),
            (one[..one.len() / 2].to_vec(), 0),
            (b"plain text that is long enough".to_vec(), 0),
            (b"\x1f\x8b\x08\x1f too short to be".to_vec(), 0),
            (vec![], 0),
            (in_deb(&one), 2),
            (in_deb(b"not compressed"), 1),
            (in_deb(&one)[..300].to_vec(), 0),
            (in_rpm(&one), 1),
            (in_rpm(b"not compressed"), 0),
            (in_rpm(&one)[..150].to_vec(), 0),
            (xz(b"one"), 1),
            ([xz(b"one"), xz(b""), xz(b"two")].concat(), 1),
            ([xz(b"one"), xz(b"two"), vec![0; 8]].concat(), 2),
            ([bz2(b"one"), bz2(b"two"), b"more".to_vec()].concat(), 2),
            ([xz(b"one"), bz2(b"two"), gz(b"three"), b"rest".to_vec()].concat(), 3),
            (xz(&noise)[..50_000].to_vec(), 0),
            (bz2(&noise)[..50_000].to_vec(), 0),
            (in_deb(&xz(&noise)), 2),
            (in_deb(&bz2(&noise)), 2),
            (in_rpm(&xz(&noise)), 1),
            (in_rpm(&bz2(&noise)), 1),
        ] {
            let out = temporary().expect("scratch");
            let parts = split(&blob, blob.len() as u64, &*out).expect("splits");
            assert_eq!(parts.iter().filter(|p| p.plain.is_some()).count(), streams);
            assert_eq!(parts.iter().map(|p| p.len).sum::<u64>(), blob.len() as u64);
            assert!(parts.windows(2).all(|w| w[0].offset + w[0].len == w[1].offset));
        }
    }
}
