//! A *table* is a section of fixed-width rows: blobs, chunks, blocks, bases, expansions,
//! extents.
//!
//! Rows in, rows out. Specified in `spec/bundle.md`, section "Sections".
//!
//! ```text
//! blob, 40 bytes     chunk, 36 bytes    block, 48 bytes
//!  0 32 digest        0 32 digest        0 32 SHA-256 of the stored bytes
//! 32  8 length       32  4 length       32  4 stored length
//!                                       36  4 plain length
//!                                       40  4 number of chunks
//!                                       44  1 codec: 0 raw, 1 zstd, 2 patch
//!                                       45  3 zero; extents of a patch
//! base, 40 bytes     expansion, 28 bytes
//!  0 32 digest        0  4 number of the base
//! 32  8 length        4  8 offset of the raw deflate stream in it
//!                    12  8 its length
//!                    20  8 length of what it expands to
//! extent, 20 bytes
//!  0  4 number of the source
//!  4  8 offset in it
//! 12  8 length
//! ```

use super::FormatError;
use super::section::SectionKind;
use crate::codec::form::Form;
use crate::digest::{Blob, Digest};
use crate::limits;

/// A row of a table.
pub trait Row: Sized {
    /// Which table.
    const KIND: SectionKind;
    /// Bytes of a row.
    const LEN: usize;
    /// Appends the row's bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads a row of exactly `LEN` bytes.
    fn read(bytes: &[u8]) -> Result<Self, FormatError>;
}

/// A chunk: its digest and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRow {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Bytes, at least 1.
    pub len: u32,
}

/// How a block is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As it is.
    Raw,
    /// One zstd frame.
    Zstd,
    /// A patch against so many extents of sources.
    Patch(u32),
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// SHA-256 of the stored bytes.
    pub digest: Digest,
    /// Stored bytes.
    pub stored_len: u32,
    /// Plain bytes.
    pub plain_len: u32,
    /// Chunks in it.
    pub chunks: u32,
    /// How it is stored.
    pub codec: Codec,
}

/// A base blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseRow(pub Blob);

/// A compressed stream within a base blob, to be expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpansionRow {
    /// Number of the base, below 2^24.
    pub base: u32,
    /// What sort of stream it is.
    pub form: Form,
    /// Where the stream begins in it.
    pub offset: u64,
    /// Its bytes, at least 1.
    pub len: u64,
    /// Bytes that it expands to, at least 1.
    pub plain_len: u64,
}

/// A run of a source that a patch is made against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentRow {
    /// Number of the source.
    pub source: u32,
    /// Where the run begins in it.
    pub offset: u64,
    /// Its bytes, at least 1.
    pub len: u64,
}

impl Row for ExtentRow {
    const KIND: SectionKind = SectionKind::Extents;
    const LEN: usize = 20;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.source.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.len.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let (source, rest) = split::<4>(bytes)?;
        let (offset, rest) = split::<8>(rest)?;
        let (len, _) = split::<8>(rest)?;
        let (source, offset, len) = (u32::from_be_bytes(source), u64::from_be_bytes(offset), u64::from_be_bytes(len));
        match len {
            0 => Err(FormatError::rule("an extent", "it is empty")),
            _ => Ok(ExtentRow { source, offset, len }),
        }
    }
}

impl Row for BaseRow {
    const KIND: SectionKind = SectionKind::Bases;
    const LEN: usize = 40;
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        Blob::read(bytes).map(BaseRow)
    }
}

impl Row for ExpansionRow {
    const KIND: SectionKind = SectionKind::Expansions;
    const LEN: usize = 28;
    fn write(&self, out: &mut Vec<u8>) {
        let [_, base @ ..] = self.base.to_be_bytes();
        out.push(self.form.number());
        out.extend_from_slice(&base);
        for n in [self.offset, self.len, self.plain_len] {
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let ([form, a, b, c], rest) = split::<4>(bytes)?;
        let form = Form::ALL.into_iter().find(|f| f.number() == form);
        let form = form.ok_or_else(|| FormatError::rule("an expansion", "its form is unknown"))?;
        let (offset, rest) = split::<8>(rest)?;
        let (len, rest) = split::<8>(rest)?;
        let (plain_len, _) = split::<8>(rest)?;
        let row = ExpansionRow {
            base: u32::from_be_bytes([0, a, b, c]),
            form,
            offset: u64::from_be_bytes(offset),
            len: u64::from_be_bytes(len),
            plain_len: u64::from_be_bytes(plain_len),
        };
        match row.len == 0 || row.plain_len == 0 {
            true => Err(FormatError::rule("an expansion", "it is empty")),
            false => Ok(row),
        }
    }
}

impl Row for Blob {
    const KIND: SectionKind = SectionKind::Blobs;
    const LEN: usize = 40;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.digest.0);
        out.extend_from_slice(&self.len.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let (digest, rest) = split::<32>(bytes)?;
        let (len, _) = split::<8>(rest)?;
        Ok(Blob { digest: Digest(digest), len: u64::from_be_bytes(len) })
    }
}

impl Row for ChunkRow {
    const KIND: SectionKind = SectionKind::Chunks;
    const LEN: usize = 36;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.digest.0);
        out.extend_from_slice(&self.len.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let (digest, rest) = split::<32>(bytes)?;
        let (len, _) = split::<4>(rest)?;
        let len = u32::from_be_bytes(len);
        check_len("a chunk", len)?;
        Ok(ChunkRow { digest: Digest(digest), len })
    }
}

impl Row for BlockRow {
    const KIND: SectionKind = SectionKind::Blocks;
    const LEN: usize = 48;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.digest.0);
        for n in [self.stored_len, self.plain_len, self.chunks] {
            out.extend_from_slice(&n.to_be_bytes());
        }
        out.push(match self.codec {
            Codec::Raw => 0,
            Codec::Zstd => 1,
            Codec::Patch(_) => 2,
        });
        let extents = if let Codec::Patch(n) = self.codec { n } else { 0 };
        out.extend_from_slice(extents.to_be_bytes().last_chunk::<3>().unwrap_or(&[0; 3]));
    }
    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let (digest, rest) = split::<32>(bytes)?;
        let (stored_len, rest) = split::<4>(rest)?;
        let (plain_len, rest) = split::<4>(rest)?;
        let (chunks, rest) = split::<4>(rest)?;
        let (codec, rest) = split::<1>(rest)?;
        let ([a, b, c], _) = split::<3>(rest)?;
        let extents = u32::from_be_bytes([0, a, b, c]);
        let row = BlockRow {
            digest: Digest(digest),
            stored_len: u32::from_be_bytes(stored_len),
            plain_len: u32::from_be_bytes(plain_len),
            chunks: u32::from_be_bytes(chunks),
            codec: match codec {
                [0] => Codec::Raw,
                [1] => Codec::Zstd,
                [2] => Codec::Patch(extents),
                [n] => return Err(FormatError::rule("a block", format!("codec {n} is unknown"))),
            },
        };
        if (extents != 0) != matches!(row.codec, Codec::Patch(_)) {
            return Err(FormatError::rule("a block", "a patch has extents, and other blocks have zeros there"));
        }
        check_len("a block", row.plain_len)?;
        if row.chunks == 0 || row.stored_len == 0 {
            return Err(FormatError::rule("a block", "it is empty"));
        }
        match row.codec {
            Codec::Raw if row.stored_len == row.plain_len => Ok(row),
            Codec::Zstd | Codec::Patch(_) if row.stored_len < row.plain_len => Ok(row),
            _ => Err(FormatError::rule("a block", "its lengths do not fit its codec")),
        }
    }
}

fn check_len(what: &'static str, len: u32) -> Result<(), FormatError> {
    match len {
        0 => Err(FormatError::rule(what, "it has no bytes")),
        1..=limits::BLOCK_PLAIN => Ok(()),
        _ => Err(FormatError::Limit { what, have: len.into(), limit: limits::BLOCK_PLAIN.into() }),
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), FormatError> {
    let short = FormatError::rule("a table", "a row is cut short");
    bytes.split_first_chunk::<N>().map(|(head, tail)| (*head, tail)).ok_or(short)
}

/// The plain bytes of a table section.
pub fn encode<R: Row>(rows: &[R]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len().saturating_mul(R::LEN));
    rows.iter().for_each(|r| r.write(&mut out));
    out
}

/// Reads a table section.
pub fn decode<R: Row>(bytes: &[u8], entries: u32) -> Result<Vec<R>, FormatError> {
    let need = u64::from(entries).checked_mul(R::LEN.try_into().unwrap_or(u64::MAX));
    if need.and_then(|n| usize::try_from(n).ok()) != Some(bytes.len()) {
        return Err(FormatError::rule(R::KIND.name(), "its length does not fit its number of entries"));
    }
    bytes.chunks_exact(R::LEN).map(R::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_decodes_encodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            fn check<R: Row>(bytes: &[u8]) {
                let n = (bytes.len() / R::LEN) as u32;
                if let Ok(rows) = decode::<R>(bytes, n) {
                    assert_eq!(encode(&rows), bytes);
                }
            }
            check::<Blob>(&bytes);
            check::<ChunkRow>(&bytes);
            check::<BlockRow>(&bytes);
            check::<BaseRow>(&bytes);
            check::<ExpansionRow>(&bytes);
            check::<ExtentRow>(&bytes);
        }
    }

    #[test]
    fn blocks_round_trip_and_refuse() {
        let row = BlockRow { digest: Digest::of(b""), stored_len: 3, plain_len: 5, chunks: 1, codec: Codec::Zstd };
        let bytes = encode(&[row]);
        assert_eq!(decode::<BlockRow>(&bytes, 1), Ok(vec![row]));
        for bad in [
            BlockRow { stored_len: 5, ..row },
            BlockRow { plain_len: 0, ..row },
            BlockRow { chunks: 0, ..row },
            BlockRow { codec: Codec::Raw, ..row },
            BlockRow { plain_len: (16 << 20) + 1, ..row },
        ] {
            assert!(decode::<BlockRow>(&encode(&[bad]), 1).is_err(), "{bad:?}");
        }
    }
}
