//! The *frame* of a bundle is its header and its footer: where everything lies in the file.
//!
//! It interprets neither roots nor sections. Specified in `spec/bundle.md`, section "The file".
//!
//! ```text
//! header, 16 bytes                      footer, 192 bytes
//!  0  8  89 50 4F 55 43 48 0D 0A         0  8  "POUCHEND"
//!  8  2  version = 1                     8  2  version = 1
//! 10  6  zero                           10  1  form: 1 full, 2 head, 3 index-only
//!                                       11  5  zero
//!                                       16  8  blocks_len
//!                                       24  8  sections_len
//!                                       32  4  release_root_len
//!                                       36  4  carriage_root_len
//!                                       40  4  volume_map_len
//!                                       44  4  statements_len
//!                                       48 32  release id
//!                                       80 32  carriage id
//!                                      112 32  digest of the statement area
//!                                      144 16  zero
//!                                      160 32  SHA-256 of footer bytes 0..160
//! ```
//! Integers are big-endian. The file is exactly header, blocks, sections, release root, carriage root, volume map,
//! statement area, footer.

use super::FormatError;
use crate::digest::Digest;
use crate::limits;

/// Bytes of the header.
pub const HEADER_LEN: usize = 16;
/// Bytes of the footer.
pub const FOOTER_LEN: usize = 192;
/// Version written and read.
pub const VERSION: u16 = 1;
const HEADER_MAGIC: [u8; 8] = [0x89, b'P', b'O', b'U', b'C', b'H', 0x0d, 0x0a];
const FOOTER_MAGIC: [u8; 8] = *b"POUCHEND";

/// What a file of the format carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Everything.
    Full,
    /// Everything but the blocks, which lie on volumes.
    Head,
    /// The release and the carriage root: what a reviewer needs.
    IndexOnly,
}

impl Form {
    /// The number in the file.
    pub fn byte(self) -> u8 {
        match self {
            Form::Full => 1,
            Form::Head => 2,
            Form::IndexOnly => 3,
        }
    }
}

/// The footer's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// What the file carries.
    pub form: Form,
    /// Bytes of all blocks.
    pub blocks_len: u64,
    /// Bytes of all stored sections.
    pub sections_len: u64,
    /// Bytes of the release root.
    pub release_root_len: u32,
    /// Bytes of the carriage root.
    pub carriage_root_len: u32,
    /// Bytes of the volume map (0 but in heads).
    pub volume_map_len: u32,
    /// Bytes of the statement area.
    pub statements_len: u32,
    /// The release id.
    pub release_id: Digest,
    /// The carriage id.
    pub carriage_id: Digest,
    /// Digest of the statement area.
    pub statements: Digest,
}

/// Where the parts of a file begin, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// First block.
    pub blocks: u64,
    /// First section.
    pub sections: u64,
    /// Release root.
    pub release_root: u64,
    /// Carriage root.
    pub carriage_root: u64,
    /// Volume map.
    pub volume_map: u64,
    /// Statement area.
    pub statements: u64,
    /// Footer.
    pub footer: u64,
    /// Length of the file.
    pub end: u64,
}

/// The header's bytes.
pub fn header() -> [u8; HEADER_LEN] {
    let mut out = [0u8; HEADER_LEN];
    let (magic, rest) = out.split_at_mut(8);
    magic.copy_from_slice(&HEADER_MAGIC);
    if let Some(version) = rest.first_chunk_mut::<2>() {
        *version = VERSION.to_be_bytes();
    }
    out
}

/// Checks a header.
pub fn check_header(bytes: &[u8; HEADER_LEN]) -> Result<(), FormatError> {
    let mut r = Fields(bytes);
    if r.take::<8>() != HEADER_MAGIC {
        return Err(FormatError::Magic { what: "the header" });
    }
    check_version(u16::from_be_bytes(r.take()))?;
    if r.take::<6>() != [0; 6] {
        return Err(FormatError::rule("the header", "reserved bytes are not zero"));
    }
    Ok(())
}

fn check_version(version: u16) -> Result<(), FormatError> {
    if version == VERSION { Ok(()) } else { Err(FormatError::Version(version)) }
}

impl Footer {
    /// The footer's bytes.
    pub fn encode(&self) -> [u8; FOOTER_LEN] {
        let mut out = Vec::with_capacity(FOOTER_LEN);
        out.extend_from_slice(&FOOTER_MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.push(self.form.byte());
        out.extend_from_slice(&[0; 5]);
        out.extend_from_slice(&self.blocks_len.to_be_bytes());
        out.extend_from_slice(&self.sections_len.to_be_bytes());
        for len in [self.release_root_len, self.carriage_root_len, self.volume_map_len, self.statements_len] {
            out.extend_from_slice(&len.to_be_bytes());
        }
        for digest in [&self.release_id, &self.carriage_id, &self.statements] {
            out.extend_from_slice(&digest.0);
        }
        out.extend_from_slice(&[0; 16]);
        let own = Digest::of(&out);
        out.extend_from_slice(&own.0);
        let mut bytes = [0u8; FOOTER_LEN];
        bytes.copy_from_slice(&out); // 8+2+1+5+8+8+16+96+16+32 = 192
        bytes
    }

    /// Reads a footer. Its own digest is checked right after magic and version, so that damage is told from design.
    pub fn decode(bytes: &[u8; FOOTER_LEN]) -> Result<Footer, FormatError> {
        let mut r = Fields(bytes);
        if r.take::<8>() != FOOTER_MAGIC {
            return Err(FormatError::Magic { what: "the footer" });
        }
        check_version(u16::from_be_bytes(r.take()))?;
        let (body, own) = bytes.split_at(FOOTER_LEN - 32);
        if Digest::of(body).0 != own {
            return Err(FormatError::Digest { what: "the footer".into() });
        }
        let form = match r.take::<1>() {
            [1] => Form::Full,
            [2] => Form::Head,
            [3] => Form::IndexOnly,
            [other] => return Err(FormatError::Form(other)),
        };
        if r.take::<5>() != [0; 5] {
            return Err(FormatError::rule("the footer", "reserved bytes are not zero"));
        }
        let footer = Footer {
            form,
            blocks_len: u64::from_be_bytes(r.take()),
            sections_len: u64::from_be_bytes(r.take()),
            release_root_len: u32::from_be_bytes(r.take()),
            carriage_root_len: u32::from_be_bytes(r.take()),
            volume_map_len: u32::from_be_bytes(r.take()),
            statements_len: u32::from_be_bytes(r.take()),
            release_id: Digest(r.take()),
            carriage_id: Digest(r.take()),
            statements: Digest(r.take()),
        };
        if r.take::<16>() != [0; 16] {
            return Err(FormatError::rule("the footer", "reserved bytes are not zero"));
        }
        footer.check()?;
        Ok(footer)
    }

    fn check(&self) -> Result<(), FormatError> {
        let limit = |what, have: u32, limit: u32| {
            let (have, limit) = (u64::from(have), u64::from(limit));
            if have > limit { Err(FormatError::Limit { what, have, limit }) } else { Ok(()) }
        };
        limit("the release root", self.release_root_len, limits::ROOT)?;
        limit("the carriage root", self.carriage_root_len, limits::ROOT)?;
        limit("the statement area", self.statements_len, limits::STATEMENT_AREA)?;
        limit("the volume map", self.volume_map_len, limits::ROOT)?;
        if self.form != Form::Full && self.blocks_len != 0 {
            return Err(FormatError::rule("the footer", "only a full file holds blocks"));
        }
        if self.form != Form::Head && self.volume_map_len != 0 {
            return Err(FormatError::rule("the footer", "only a head has a volume map"));
        }
        Ok(())
    }

    /// Where the parts lie. Fails where the lengths do not add up to `file_len`: no gap, no overlap, no trailer.
    pub fn layout(&self, file_len: u64) -> Result<Layout, FormatError> {
        let mut at = 0u64;
        let mut part = |len: u64| {
            let begin = at;
            at = at.checked_add(len).ok_or_else(|| FormatError::rule("the footer", "lengths overflow"))?;
            Ok::<u64, FormatError>(begin)
        };
        part(u64::try_from(HEADER_LEN).unwrap_or(u64::MAX))?;
        let layout = Layout {
            blocks: part(self.blocks_len)?,
            sections: part(self.sections_len)?,
            release_root: part(self.release_root_len.into())?,
            carriage_root: part(self.carriage_root_len.into())?,
            volume_map: part(self.volume_map_len.into())?,
            statements: part(self.statements_len.into())?,
            footer: part(u64::try_from(FOOTER_LEN).unwrap_or(u64::MAX))?,
            end: at,
        };
        if at != file_len {
            return Err(FormatError::rule(
                "the file",
                format!("it is {file_len} bytes long where its footer accounts for {at}"),
            ));
        }
        Ok(layout)
    }
}

/// Takes fixed-size fields off an array whose length is known to suffice: the sizes above add up, and the tests below
/// run through all of them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.0 = tail;
                *head
            }
            None => [0; N],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Footer {
        Footer {
            form: Form::Full,
            blocks_len: 1,
            sections_len: 2,
            release_root_len: 3,
            carriage_root_len: 4,
            volume_map_len: 0,
            statements_len: 6,
            release_id: Digest::of(b"r"),
            carriage_id: Digest::of(b"c"),
            statements: Digest::of(b"s"),
        }
    }

    #[test]
    fn footer_round_trips_and_notices_every_bit() {
        let bytes = sample().encode();
        assert_eq!(Footer::decode(&bytes), Ok(sample()));
        for bit in 0..FOOTER_LEN * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Footer::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn header_notices_every_bit() {
        assert_eq!(check_header(&header()), Ok(()));
        for bit in 0..HEADER_LEN * 8 {
            let mut bad = header();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(check_header(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn layout_tiles_the_file() {
        let f = sample();
        let l = f.layout(16 + 1 + 2 + 3 + 4 + 6 + 192).expect("tiles");
        assert_eq!((l.blocks, l.sections, l.release_root, l.statements, l.footer), (16, 17, 19, 26, 32));
        assert!(f.layout(225).is_err());
        assert!(f.layout(223).is_err());
        assert!(Footer { blocks_len: u64::MAX, ..sample() }.layout(224).is_err());
    }
}
