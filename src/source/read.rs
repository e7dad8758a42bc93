//! Reading origins again, for the write: files one by one, archives in one pass over their plain stream.

use super::{Compression, Origin};
use crate::digest::Blob;
use crate::fs::regular;
use crate::limits;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// Opens the plain stream of an archive.
pub fn plain_stream(path: &Path, compression: Compression) -> io::Result<Box<dyn Read + Send>> {
    expanded(BufReader::with_capacity(1 << 20, regular::open(path)?), compression)
}

/// Undoes the compression of an archive as a whole.
pub fn expanded<'a>(
    stored: impl BufRead + Send + 'a,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(stored),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
        Compression::Zstd => Box::new(zstd_stream(stored)?),
    })
}

fn zstd_stream<R: BufRead>(stored: R) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(stored)?;
    decoder.window_log_max(limits::ZSTD_WINDOW)?;
    Ok(decoder)
}

/// The plain bytes of a document of a repository; the ending of its name says how it is compressed.
pub fn by_ending<'a>(name: &Path, stored: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match name.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
        Some("bz2") => Box::new(bzip2::bufread::MultiBzDecoder::new(stored)),
        Some("xz") => {
            let stream = liblzma::stream::Stream::new_stream_decoder(limits::XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(stored, stream))
        }
        Some("zst") => Box::new(zstd_stream(stored)?),
        _ => Box::new(stored),
    })
}

/// Opens a blob that needs no pass over an archive; `None` for a member of a compressed one.
pub fn open(origin: &Origin, blob: &Blob) -> io::Result<Option<Box<dyn Read>>> {
    Ok(match origin {
        Origin::File(path) => Some(Box::new(regular::open(path)?)),
        Origin::Bytes(bytes) => Some(Box::new(Cursor::new(bytes.clone()))),
        Origin::Member { archive, compression: Compression::None, offset } => {
            let mut file = regular::open(archive)?;
            file.seek(SeekFrom::Start(*offset))?;
            Some(Box::new(file.take(blob.len)))
        }
        Origin::Member { .. } => None,
    })
}

/// Whether bytes that begin so are compressed already: gzip, zstd, xz, bzip2, zip, rpm, deb.
pub fn is_compressed(head: &[u8]) -> bool {
    const MAGICS: [&[u8]; 7] =
        [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh", b"PK\x03\x04", b"\xed\xab\xee\xdb", b"!<arch>\n"];
    MAGICS.iter().any(|m| head.starts_with(m))
}
