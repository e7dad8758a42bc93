//! An *ar archive* is the outer shell of a deb: a magic, then members, each a header of 60 bytes and its bytes.
//!
//! Only the plain names that deb(5) asks for are known; tables of long names are refused. Of the members nothing but the
//! headers is read here. The `ar` crate allocates what the size of a long-name table claims (up to 10 GB) and rewrites
//! names; debs have no such tables, so that thirty lines of our own are safer. See deb(5) and ar(5).

use super::KindError;
use crate::kind::ReadSeek;
use crate::limits;
use std::io::{self, Read, SeekFrom};

const MAGIC: &[u8; 8] = b"!<arch>\n";

/// A header, in bytes: name 16, time 12, owner 6, group 6, mode 8, size 10, end 2.
const HEADER: u64 = 60;

/// A member's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, without padding.
    pub name: String,
    /// Where its bytes begin in the file.
    pub start: u64,
    /// How many they are.
    pub len: u64,
}

fn malformed(why: impl Into<String>) -> KindError {
    KindError::malformed("the ar shell of the deb", why)
}

/// Lists the members of an archive of `len` bytes; together with the headers they cover all of it.
pub fn members(file: &mut dyn ReadSeek, len: u64) -> Result<Vec<Member>, KindError> {
    let mut magic = [0u8; 8];
    file.seek(SeekFrom::Start(0))?;
    exact(file, &mut magic)?;
    if &magic != MAGIC {
        return Err(malformed("it does not begin with the magic of an ar archive"));
    }
    let mut out = Vec::new();
    let mut at = 8u64;
    while at < len {
        if out.len() >= limits::DEB_MEMBERS {
            let limit = u64::try_from(limits::DEB_MEMBERS).unwrap_or(u64::MAX);
            return Err(KindError::TooLarge { what: "the ar shell of the deb", limit, have: limit.saturating_add(1) });
        }
        file.seek(SeekFrom::Start(at))?;
        let (name, size) = header(file)?;
        let start = at.checked_add(HEADER).ok_or_else(|| malformed("a member lies beyond the end"))?;
        let end = start.checked_add(size).filter(|e| *e <= len);
        let end =
            end.ok_or_else(|| malformed(format!("the member {name:?} claims {size} bytes and the file ends first")))?;
        out.push(Member { name, start, len: size });
        at = if size % 2 == 1 && end < len { padding(file, end)? } else { end };
    }
    Ok(out)
}

/// Reads the newline that fills up a member of odd length.
fn padding(file: &mut dyn ReadSeek, at: u64) -> Result<u64, KindError> {
    let mut pad = [0u8; 1];
    file.seek(SeekFrom::Start(at))?;
    exact(file, &mut pad)?;
    if pad != *b"\n" {
        return Err(malformed("the byte after a member of odd length is not a newline"));
    }
    at.checked_add(1).ok_or_else(|| malformed("a member lies beyond the end"))
}

/// Reads a header: name and size.
fn header(file: &mut dyn ReadSeek) -> Result<(String, u64), KindError> {
    let mut name = [0u8; 16];
    let mut middle = [0u8; 32]; // time, owner, group and mode say nothing about the package
    let mut size = [0u8; 10];
    let mut end = [0u8; 2];
    for part in [&mut name[..], &mut middle[..], &mut size[..], &mut end[..]] {
        exact(file, part)?;
    }
    if end != *b"`\n" {
        return Err(malformed("a member's header does not end as it should"));
    }
    Ok((member_name(&name)?, member_size(&size)?))
}

fn member_name(raw: &[u8]) -> Result<String, KindError> {
    let text = std::str::from_utf8(raw).map_err(|_| malformed("a member's name is not text"))?;
    let text = text.trim_end_matches(' ');
    let text = text.strip_suffix('/').unwrap_or(text); // as binutils writes it
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b)) {
        return Err(malformed(format!("a member is named {text:?}")));
    }
    Ok(text.to_owned())
}

fn member_size(raw: &[u8]) -> Result<u64, KindError> {
    let text = std::str::from_utf8(raw).unwrap_or("").trim_end_matches(' ');
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let size = if digits { text.parse().ok() } else { None };
    size.ok_or_else(|| malformed("a member's size is not a decimal number"))
}

/// Fills `buf`; an early end is a defect of the file, not of the disk.
pub fn exact(file: &mut dyn ReadSeek, buf: &mut [u8]) -> Result<(), KindError> {
    file.read_exact(buf).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => malformed("it is truncated"),
        _ => KindError::Io(e),
    })
}

/// All bytes of a member of at most `limit` bytes.
pub fn read(file: &mut dyn ReadSeek, m: &Member, what: &'static str, limit: u64) -> Result<Vec<u8>, KindError> {
    if m.len > limit {
        return Err(KindError::TooLarge { what, limit, have: m.len });
    }
    file.seek(SeekFrom::Start(m.start))?;
    let mut out = Vec::new();
    file.take(m.len).read_to_end(&mut out)?;
    if u64::try_from(out.len()) != Ok(m.len) {
        return Err(malformed("it is truncated"));
    }
    Ok(out)
}
