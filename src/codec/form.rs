//! The *form* of a compressed stream: raw deflate, .xz, .bz2; and what such a stream expands to, piece by piece.
//!
//! One stream only: what comes after its end is not looked at. Nothing is made again here: that is `replay`. Specified in
//! `spec/bundle.md`, section "Deltas" (F35).

use std::io;

/// A form of compressed streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Raw deflate (RFC 1951).
    #[default]
    Deflate,
    /// A Stream of the .xz file format, from its header to its footer.
    Xz,
    /// A .bz2 stream, from `BZh` to its padding.
    Bzip2,
}

/// How an .xz stream begins.
pub const XZ: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
/// Memory of an .xz decoder: enough for a dictionary of 64 MiB and not for the next longer, 96 MiB.
const XZ_MEMORY: u64 = 80 << 20;

impl Form {
    /// All forms, by number.
    pub const ALL: [Form; 3] = [Form::Deflate, Form::Xz, Form::Bzip2];

    /// The number in a row of `expansions`.
    pub fn number(self) -> u8 {
        match self {
            Form::Deflate => 0,
            Form::Xz => 1,
            Form::Bzip2 => 3,
        }
    }

    /// The feature of a carriage that expands such streams; raw deflate needs none beside `base/1`.
    pub fn feature(self) -> Option<&'static str> {
        match self {
            Form::Deflate => None,
            Form::Xz => Some("expand/xz/1"),
            Form::Bzip2 => Some("expand/bzip2/1"),
        }
    }

    /// The form of a stream that begins so; raw deflate, which has no mark of its own, if it is none of the others.
    pub fn of(head: &[u8]) -> Form {
        match head {
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Form::Bzip2,
            _ if head.starts_with(&XZ) => Form::Xz,
            _ => Form::Deflate,
        }
    }
}

/// What a step took and gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes taken of the input.
    pub taken: usize,
    /// Bytes given to the output.
    pub given: usize,
    /// Whether the stream is over.
    pub end: bool,
}

/// A stream while it is expanded. It takes at most 80 MiB, 4 MiB if the form is not .xz, and 64 KiB if it is deflate.
pub enum Expander {
    /// See [`Form::Deflate`].
    Deflate(flate2::Decompress),
    /// See [`Form::Xz`].
    Xz(liblzma::stream::Stream),
    /// See [`Form::Bzip2`].
    Bzip2(bzip2::Decompress),
}

impl Expander {
    /// At the beginning of a stream.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(form: Form) -> io::Result<Expander> {
        Ok(match form {
            Form::Deflate => Expander::Deflate(flate2::Decompress::new(false)),
            Form::Xz => Expander::Xz(liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)?),
            Form::Bzip2 => Expander::Bzip2(bzip2::Decompress::new(false)),
        })
    }

    /// Expands what comes next. `None`: it is no such stream, or needs a longer dictionary than readers have memory for.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step> {
        let before = self.totals();
        let end = match self {
            Expander::Deflate(d) => {
                d.decompress(input, output, flate2::FlushDecompress::None).ok()? == flate2::Status::StreamEnd
            }
            Expander::Xz(d) => {
                d.process(input, output, liblzma::stream::Action::Run).ok()? == liblzma::stream::Status::StreamEnd
            }
            Expander::Bzip2(d) => d.decompress(input, output).ok()? == bzip2::Status::StreamEnd,
        };
        let after = self.totals();
        let taken = usize::try_from(after.0.checked_sub(before.0)?).ok()?;
        Some(Step { taken, given: usize::try_from(after.1.checked_sub(before.1)?).ok()?, end })
    }

    fn totals(&self) -> (u64, u64) {
        match self {
            Expander::Deflate(d) => (d.total_in(), d.total_out()),
            Expander::Xz(d) => (d.total_in(), d.total_out()),
            Expander::Bzip2(d) => (d.total_in(), d.total_out()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn plain() -> Vec<u8> {
        (0..200_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
    }

    fn made(form: Form, plain: &[u8]) -> Vec<u8> {
        match form {
            Form::Deflate => {
                let mut to = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
                to.write_all(plain).and_then(|()| to.finish())
            }
            Form::Xz => {
                let mut to = liblzma::write::XzEncoder::new(Vec::new(), 2);
                to.write_all(plain).and_then(|()| to.finish())
            }
            Form::Bzip2 => {
                let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(9));
                to.write_all(plain).and_then(|()| to.finish())
            }
        }
        .expect("to memory")
    }

    /// What comes out, bytes used, and whether the stream came to its end.
    fn all(form: Form, mut input: &[u8], at_once: usize) -> Option<(Vec<u8>, usize, bool)> {
        let (mut expander, mut out, mut used) = (Expander::new(form).expect("memory"), Vec::new(), 0);
        let mut buf = vec![0; 5000];
        loop {
            let step = expander.step(&input[..input.len().min(at_once)], &mut buf)?;
            out.extend_from_slice(&buf[..step.given]);
            used += step.taken;
            input = &input[step.taken..];
            if step.end || step.taken == 0 && step.given == 0 {
                return Some((out, used, step.end));
            }
        }
    }

    #[test]
    fn one_stream_is_expanded_however_it_comes() {
        let plain = plain();
        for form in Form::ALL {
            let stream = made(form, &plain);
            assert_eq!(Form::of(&stream), form);
            for (tail, at_once) in [(&b""[..], 1), (b"", 4096), (b"and more", 1 << 20), (&stream, 1 << 20)] {
                let whole = all(form, &[&stream[..], tail].concat(), at_once);
                assert_eq!(whole, Some((plain.clone(), stream.len(), true)), "{form:?}");
            }
            let short = all(form, &stream[..stream.len() - 9], 4096);
            assert!(short.is_none_or(|(_, _, end)| !end), "{form:?}");
        }
    }

    #[test]
    fn other_bytes_and_long_dictionaries_are_none() {
        assert!(all(Form::Xz, b"no stream, but long enough to be seen as none", 9).is_none());
        assert!(all(Form::Bzip2, b"no stream, but long enough to be seen as none", 9).is_none());
        let with = |dictionary: u32| {
            let mut options = liblzma::stream::LzmaOptions::new_preset(0).expect("a preset");
            let mut filters = liblzma::stream::Filters::new();
            filters.lzma2(options.dict_size(dictionary));
            let check = liblzma::stream::Check::Crc32;
            let stream = liblzma::stream::Stream::new_stream_encoder(&filters, check).expect("a stream");
            let mut to = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
            to.write_all(b"hello").and_then(|()| to.finish()).expect("to memory")
        };
        assert!(all(Form::Xz, &with(64 << 20), 4096).is_some());
        assert!(all(Form::Xz, &with(96 << 20), 4096).is_none());
    }
}
