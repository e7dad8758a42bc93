//! A *form* is what the first bytes of a file say it is: a compressed stream, an archive, or nothing known.
//!
//! Names are never looked at. Decoders are bounded in memory; how much comes out of them is the caller's to bound.

use crate::limits;
use std::io::{self, BufReader, Read};

/// Bytes that are enough to tell the form.
pub const HEAD: usize = 512;

/// A form that is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The .xz format.
    Xz,
    /// bzip2.
    Bzip2,
    /// The .lzma format (of old rpms and debs).
    Lzma,
    /// A tar of any kind.
    Tar,
    /// cpio, "new ASCII" with or without checksums.
    Cpio,
    /// ar, the shell of a deb.
    Ar,
    /// An rpm.
    Rpm,
    /// A zip: wheels, jars, Go modules.
    Zip,
}

impl Form {
    /// Whether it holds one stream, not files.
    pub fn is_compression(self) -> bool {
        matches!(self, Form::Gzip | Form::Zstd | Form::Xz | Form::Bzip2 | Form::Lzma)
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Form::Gzip => "gzip stream",
            Form::Zstd => "zstd stream",
            Form::Xz => "xz stream",
            Form::Bzip2 => "bzip2 stream",
            Form::Lzma => "lzma stream",
            Form::Tar => "tar",
            Form::Cpio => "cpio archive",
            Form::Ar => "ar archive",
            Form::Rpm => "rpm",
            Form::Zip => "zip",
        }
    }

    /// What a file is that begins with `head`, of which [`HEAD`] bytes are enough.
    pub fn of(head: &[u8]) -> Option<Form> {
        Some(match head {
            [0x1f, 0x8b, 8, ..] => Form::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Form::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Form::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Form::Bzip2,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => Form::Bzip2,
            [0xed, 0xab, 0xee, 0xdb, ..] => Form::Rpm,
            [b'P', b'K', 3, 4, ..] => Form::Zip,
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', b'\n', ..] => Form::Ar,
            [b'0', b'7', b'0', b'7', b'0', b'1' | b'2' | b'X', ..] => Form::Cpio,
            // Dictionary of a power of two up to 64 MiB, and a length that is unknown or below a terabyte.
            [0x5d, 0, 0, _, 0..=4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..] => Form::Lzma,
            [0x5d, 0, 0, _, 0..=4, _, _, _, _, _, 0, 0, 0, ..] => Form::Lzma,
            _ if is_tar(head) => Form::Tar,
            _ => return None,
        })
    }
}

/// A header whose checksum is right; one of zeros alone has none.
pub fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.get(..512) else { return false };
    let header = tar::Header::from_byte_slice(block);
    let sum = |from: usize, to: usize| block.iter().take(to).skip(from).map(|b| u32::from(*b)).sum::<u32>();
    let plain = sum(0, 148).saturating_add(8 * 32).saturating_add(sum(156, 512));
    plain > 8 * 32 && header.cksum().ok() == Some(plain)
}

/// What comes out of a compressed stream; all of its members, frames and streams.
pub fn decoder<'a>(form: Form, from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let from = BufReader::with_capacity(1 << 16, from);
    let lzma = |stream: Result<liblzma::stream::Stream, liblzma::stream::Error>| stream.map_err(io::Error::other);
    Ok(match form {
        Form::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
        Form::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(from)),
        Form::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
            decoder.window_log_max(limits::ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        Form::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = lzma(liblzma::stream::Stream::new_stream_decoder(limits::XZ_MEMORY, flags))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(from, stream))
        }
        Form::Lzma => {
            let stream = lzma(liblzma::stream::Stream::new_lzma_decoder(limits::XZ_MEMORY))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(from, stream))
        }
        _ => Box::new(from),
    })
}

/// A reader of which the next bytes can be looked at, and given back.
pub struct Peek<'a> {
    head: Vec<u8>,
    at: usize,
    inner: Box<dyn Read + 'a>,
}

impl<'a> Peek<'a> {
    /// Reads the first bytes.
    pub fn new(mut inner: Box<dyn Read + 'a>) -> io::Result<Peek<'a>> {
        let mut head = Vec::new();
        (&mut inner).take(HEAD as u64).read_to_end(&mut head)?;
        Ok(Peek { head, at: 0, inner })
    }

    /// The next bytes, [`HEAD`] of them or all there are.
    pub fn head(&self) -> &[u8] {
        self.head.get(self.at..).unwrap_or_default()
    }

    /// The form of what comes next.
    pub fn form(&self) -> Option<Form> {
        Form::of(self.head())
    }

    /// Puts bytes back that were read last.
    pub fn unread(&mut self, bytes: &[u8]) {
        let rest = self.head.split_off(self.at.min(self.head.len()));
        self.head = [bytes, &rest].concat();
        self.at = 0;
    }
}

impl Read for Peek<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut left = self.head.get(self.at..).unwrap_or_default();
        if left.is_empty() {
            return self.inner.read(buf);
        }
        let n = left.read(buf)?;
        self.at = self.at.saturating_add(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn forms() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"x").expect("written");
        assert_eq!(Form::of(&gzip.finish().expect("gzip")), Some(Form::Gzip));
        assert_eq!(Form::of(&zstd::encode_all(&b"x"[..], 1).expect("zstd")), Some(Form::Zstd));
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_old();
        header.set_size(0);
        tar.append_data(&mut header, "a", &b""[..]).expect("an entry");
        assert_eq!(Form::of(&tar.into_inner().expect("a tar")), Some(Form::Tar));
        for plain in [&b""[..], b"P", b"plain text", &[0u8; 1024], b"BZh is no bzip2", &[0x5d; 600]] {
            assert_eq!(Form::of(plain), None, "{plain:?}");
        }
    }

    #[test]
    fn bytes_come_back() {
        let mut peek = Peek::new(Box::new(&b"abcdef"[..])).expect("reads");
        let mut two = [0u8; 2];
        peek.read_exact(&mut two).expect("two");
        peek.unread(&two);
        let mut all = String::new();
        peek.read_to_string(&mut all).expect("all");
        assert_eq!(all, "abcdef");
    }
}
