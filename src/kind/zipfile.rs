//! A *zip* here is an archive (PKWARE's APPNOTE 6.3) that every reader reads alike: entries and central directory tile the
//! file, each is said twice in the same words, and no name occurs twice.
//!
//! It unpacks nothing to a disk; small members are read into memory on request. Archives with a gap, a prefix, a trailer,
//! a second directory or a contradiction are refused, because readers that walk the entries and readers that trust the
//! directory would see different files. Specified in `spec/facts.md`, section "Zip archives".

use super::{KindError, ReadSeek};
use crate::limits;
use std::collections::BTreeSet;
use std::io::{Read, SeekFrom};

const END: &[u8] = b"PK\x05\x06";
const END_LEN: u64 = 22;
const END64: &[u8] = b"PK\x06\x06";
const END64_LEN: u64 = 56;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LEN: u64 = 20;
const DIRECTORY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LEN: u64 = 30;
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// General purpose bits: encryption (0, 6), masked headers (13).
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Sizes follow the data.
const STREAMED: u16 = 1 << 3;
/// The name is UTF-8.
const UTF8: u16 = 1 << 11;
const MAX16: u16 = u16::MAX;
const MAX32: u32 = u32::MAX;

/// One member, as entry and directory agree on it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its path, components joined by `/`; a folder's ends in `/`.
    pub name: String,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    plain: u64,
    header: u64,
    data: u64,
}

impl Member {
    /// Of a deflated member: where its data begin, their bytes, and what they expand to.
    pub fn deflated(&self) -> Option<(u64, u64, u64)> {
        (self.method == 8).then_some((self.data, self.packed, self.plain))
    }
}

/// An archive whose members are known.
pub struct Zip<'a> {
    reader: Box<dyn ReadSeek + 'a>,
    what: &'static str,
    members: Vec<Member>,
}

/// Where the central directory lies.
struct Directory {
    at: u64,
    len: u64,
    count: u64,
}

impl<'a> Zip<'a> {
    /// Reads and checks the whole structure; `what` names the archive in errors.
    pub fn open(reader: Box<dyn ReadSeek + 'a>, what: &'static str) -> Result<Zip<'a>, KindError> {
        let mut zip = Zip { reader, what, members: Vec::new() };
        let directory = zip.find_directory()?;
        zip.members = zip.read_directory(&directory)?;
        zip.check_names()?;
        zip.check_entries(directory.at)?;
        Ok(zip)
    }

    /// The members in the directory's order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Reads one member of at most `limit` bytes; `None` where there is none of that name.
    pub fn read(&mut self, name: &str, what: &'static str, limit: u64) -> Result<Option<Vec<u8>>, KindError> {
        let Some(member) = self.members.iter().find(|m| m.name == name).cloned() else { return Ok(None) };
        if member.plain > limit {
            return Err(KindError::TooLarge { what, limit, have: member.plain });
        }
        self.reader.seek(SeekFrom::Start(member.data))?;
        let packed = (&mut self.reader).take(member.packed);
        let mut out = Vec::new();
        let used = match member.method {
            0 => {
                packed.take(limit.saturating_add(1)).read_to_end(&mut out)?;
                u64::try_from(out.len()).unwrap_or(u64::MAX)
            }
            8 => {
                let mut inflate = flate2::read::DeflateDecoder::new(packed);
                (&mut inflate).take(limit.saturating_add(1)).read_to_end(&mut out).map_err(|e| {
                    match e.raw_os_error() {
                        Some(_) => KindError::Io(e),
                        None => KindError::malformed(what, format!("it does not inflate: {e}")),
                    }
                })?;
                inflate.total_in()
            }
            other => return Err(KindError::Unsupported(format!("compression method {other} in {}", self.what))),
        };
        let mut crc = flate2::Crc::new();
        crc.update(&out);
        let len = u64::try_from(out.len()).unwrap_or(u64::MAX);
        if len > limit {
            return Err(KindError::TooLarge { what, limit, have: len });
        }
        if used != member.packed || len != member.plain || crc.sum() != member.crc {
            return Err(KindError::malformed(what, "its length or checksum is not what the zip says"));
        }
        Ok(Some(out))
    }

    fn bad<T>(&self, why: impl Into<String>) -> Result<T, KindError> {
        Err(KindError::malformed(self.what, why))
    }

    /// Reads `len` bytes at `at`; the caller has bounded `len`.
    fn bytes(&mut self, at: u64, len: u64) -> Result<Vec<u8>, KindError> {
        self.reader.seek(SeekFrom::Start(at))?;
        let mut out = Vec::new();
        (&mut self.reader).take(len).read_to_end(&mut out)?;
        match u64::try_from(out.len()) == Ok(len) {
            true => Ok(out),
            false => self.bad(format!("it ends within {len} bytes at {at}")),
        }
    }

    /// The last end record, which must reach to the very end; a comment may not hide another.
    fn find_directory(&mut self) -> Result<Directory, KindError> {
        let total = self.reader.seek(SeekFrom::End(0))?;
        let tail_len = total.min(END_LEN + u64::from(MAX16));
        let tail_at = total.saturating_sub(tail_len);
        let tail = self.bytes(tail_at, tail_len)?;
        let Some(last) = tail.windows(END.len()).rposition(|w| w == END) else {
            return self.bad("it has no end of central directory record");
        };
        let end = tail_at.saturating_add(u64::try_from(last).unwrap_or(u64::MAX));
        let mut f = Fields::new(tail.get(last..).unwrap_or_default(), self.what);
        f.take(END.len())?;
        let (disk, first, here, count) = (f.u16()?, f.u16()?, f.u16()?, f.u16()?);
        let (len, at, comment) = (f.u32()?, f.u32()?, f.u16()?);
        if f.left() != usize::from(comment) {
            return self.bad("bytes follow its end, or its comment hides another end");
        }
        if disk != 0 || first != 0 || here != count {
            return self.bad("it is split over disks");
        }
        let small = Directory { at: at.into(), len: len.into(), count: count.into() };
        let (found, stop) = match self.find_directory64(end, &small)? {
            Some(found) => (found, end.saturating_sub(LOCATOR_LEN + END64_LEN)),
            None => (small, end),
        };
        if found.at.checked_add(found.len) != Some(stop) {
            return self.bad("its central directory does not end where the end record begins");
        }
        Ok(found)
    }

    /// The Zip64 records before the end record; where there are any, they and the end record must agree.
    fn find_directory64(&mut self, end: u64, small: &Directory) -> Result<Option<Directory>, KindError> {
        let Some(locator_at) = end.checked_sub(LOCATOR_LEN) else { return Ok(None) };
        let locator = self.bytes(locator_at, LOCATOR_LEN)?;
        if !locator.starts_with(LOCATOR) {
            return Ok(None);
        }
        let Some(at64) = locator_at.checked_sub(END64_LEN) else { return self.bad("its Zip64 locator is adrift") };
        let mut f = Fields::new(&locator, self.what);
        f.take(LOCATOR.len())?;
        let (disk, at, disks) = (f.u32()?, f.u64()?, f.u32()?);
        if disk != 0 || disks > 1 || at != at64 {
            return self.bad("its Zip64 locator does not name the record before it");
        }
        let record = self.bytes(at64, END64_LEN)?;
        let mut f = Fields::new(&record, self.what);
        if f.take(END64.len())? != END64 || f.u64()? != END64_LEN - 12 {
            return self.bad("its Zip64 end record is malformed");
        }
        f.take(4)?; // versions
        let (disk, first, here, count) = (f.u32()?, f.u32()?, f.u64()?, f.u64()?);
        let (len, at) = (f.u64()?, f.u64()?);
        let agree = |small: u64, max: u64, large: u64| small == large || small == max;
        if disk != 0
            || first != 0
            || here != count
            || !agree(small.count, MAX16.into(), count)
            || !agree(small.len, MAX32.into(), len)
            || !agree(small.at, MAX32.into(), at)
        {
            return self.bad("its two end records disagree");
        }
        Ok(Some(Directory { at, len, count }))
    }

    fn read_directory(&mut self, directory: &Directory) -> Result<Vec<Member>, KindError> {
        let count = usize::try_from(directory.count).unwrap_or(usize::MAX);
        if count > limits::ZIP_MEMBERS {
            let limit = u64::try_from(limits::ZIP_MEMBERS).unwrap_or(u64::MAX);
            return Err(KindError::TooLarge { what: "the zip's directory (members)", limit, have: directory.count });
        }
        if directory.len > limits::ZIP_DIRECTORY {
            let (limit, have) = (limits::ZIP_DIRECTORY, directory.len);
            return Err(KindError::TooLarge { what: "the zip's directory (bytes)", limit, have });
        }
        let bytes = self.bytes(directory.at, directory.len)?;
        let mut f = Fields::new(&bytes, self.what);
        let mut members = Vec::new();
        for _ in 0..count {
            members.push(directory_entry(&mut f)?);
        }
        match f.left() {
            0 => Ok(members),
            _ => self.bad("its central directory has more entries than it says"),
        }
    }

    fn check_names(&self) -> Result<(), KindError> {
        let mut seen = BTreeSet::new();
        for member in &self.members {
            let plain = member.name.strip_suffix('/').unwrap_or(&member.name);
            let odd = plain.is_empty()
                || plain.contains(['\0', '\\'])
                || plain.split('/').any(|part| matches!(part, "" | "." | ".."));
            if odd {
                return self.bad(format!("the member name {:?} is not a relative path", member.name));
            }
            if !seen.insert(plain) {
                return self.bad(format!("the member {:?} is there twice", member.name));
            }
        }
        Ok(())
    }

    /// Every entry says what the directory says, and entries fill the file up to the directory without a gap.
    fn check_entries(&mut self, stop: u64) -> Result<(), KindError> {
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_by_key(|i| self.members.get(*i).map(|m| m.header));
        let mut at = 0;
        for (n, index) in order.iter().enumerate() {
            let Some(mut member) = self.members.get(*index).cloned() else { continue };
            let after = order.get(n.saturating_add(1)).and_then(|i| self.members.get(*i));
            let next = after.map_or(stop, |m| m.header);
            if member.header != at {
                return self.bad(format!("bytes that belong to no member lie before {:?}", member.name));
            }
            member.data = self.check_entry(&member)?;
            let end = member.data.checked_add(member.packed).filter(|end| *end <= next);
            let Some(end) = end else { return self.bad(format!("{:?} overlaps what follows", member.name)) };
            self.check_tail(&member, end, next.saturating_sub(end))?;
            at = next;
            if let Some(slot) = self.members.get_mut(*index) {
                slot.data = member.data;
            }
        }
        match at == stop {
            true => Ok(()),
            false => self.bad("bytes that belong to no member lie before its directory"),
        }
    }

    /// Compares one local header with its directory entry; returns where the data begin.
    fn check_entry(&mut self, member: &Member) -> Result<u64, KindError> {
        let head = self.bytes(member.header, LOCAL_LEN)?;
        let mut f = Fields::new(&head, self.what);
        let signature = f.take(LOCAL.len())?;
        f.u16()?; // version needed
        let (flags, method) = (f.u16()?, f.u16()?);
        f.u32()?; // time
        let (crc, packed, plain) = (f.u32()?, f.u32()?, f.u32()?);
        let (name_len, extra_len) = (f.u16()?, f.u16()?);
        let names_at = member.header.saturating_add(LOCAL_LEN);
        let names = self.bytes(names_at, u64::from(name_len).saturating_add(extra_len.into()))?;
        let mut f = Fields::new(&names, self.what);
        let name = f.take(name_len.into())?;
        let extra = Extra::read(f.take(extra_len.into())?, self.what)?;
        let same = signature == LOCAL && name == member.name.as_bytes() && flags == member.flags;
        if !same || method != member.method || extra.unicode_path {
            return self.bad(format!("the entry and the directory disagree about {:?}", member.name));
        }
        let (plain, packed) = extra.sizes(plain, packed)?;
        let stated = crc == member.crc && packed == member.packed && plain == member.plain;
        let later = flags & STREAMED != 0 && crc == 0 && packed == 0 && plain == 0;
        if !stated && !later {
            return self.bad(format!("the entry and the directory disagree about the size of {:?}", member.name));
        }
        Ok(names_at.saturating_add(name_len.into()).saturating_add(extra_len.into()))
    }

    /// What lies between a member's data and the next header: nothing, or its data descriptor.
    fn check_tail(&mut self, member: &Member, at: u64, len: u64) -> Result<(), KindError> {
        if member.flags & STREAMED == 0 {
            return match len {
                0 => Ok(()),
                _ => self.bad(format!("bytes that belong to no member lie after {:?}", member.name)),
            };
        }
        if !matches!(len, 12 | 16 | 20 | 24) {
            return self.bad(format!("{:?} has no data descriptor, or bytes follow it", member.name));
        }
        let bytes = self.bytes(at, len)?;
        let mut f = Fields::new(&bytes, self.what);
        let signed = matches!(len, 16 | 24);
        let fits = !signed || f.take(DESCRIPTOR.len())? == DESCRIPTOR;
        let crc = f.u32()?;
        let (packed, plain) = match len {
            12 | 16 => (f.u32()?.into(), f.u32()?.into()),
            _ => (f.u64()?, f.u64()?),
        };
        match fits && crc == member.crc && packed == member.packed && plain == member.plain {
            true => Ok(()),
            false => self.bad(format!("the data descriptor of {:?} disagrees with the directory", member.name)),
        }
    }
}

fn directory_entry(f: &mut Fields<'_>) -> Result<Member, KindError> {
    let what = f.what;
    if f.take(DIRECTORY.len())? != DIRECTORY {
        return Err(KindError::malformed(what, "its central directory has an entry without signature"));
    }
    f.u32()?; // versions
    let (flags, method) = (f.u16()?, f.u16()?);
    f.u32()?; // time
    let (crc, packed, plain) = (f.u32()?, f.u32()?, f.u32()?);
    let (name_len, extra_len, comment_len) = (f.u16()?, f.u16()?, f.u16()?);
    let disk = f.u16()?;
    f.take(6)?; // attributes
    let header = f.u32()?;
    let name = f.take(name_len.into())?;
    let mut extra = Extra::read(f.take(extra_len.into())?, what)?;
    f.take(comment_len.into())?;
    let name = std::str::from_utf8(name)
        .map_err(|_| KindError::malformed(what, format!("the member name {} is not UTF-8", name.escape_ascii())))?;
    if flags & ENCRYPTED != 0 {
        return Err(KindError::Unsupported(format!("encryption of {name:?}")));
    }
    if disk != 0 || extra.unicode_path || (!name.is_ascii() && flags & UTF8 == 0) {
        return Err(KindError::malformed(what, format!("readers disagree about the name of {name:?}")));
    }
    let plain = extra.wide(plain)?;
    let packed = extra.wide(packed)?;
    let header = extra.wide(header)?;
    Ok(Member { name: name.into(), flags, method, crc, packed, plain, header, data: 0 })
}

/// What counts in an entry's extra fields.
struct Extra<'a> {
    zip64: Fields<'a>,
    unicode_path: bool,
}

impl<'a> Extra<'a> {
    fn read(bytes: &'a [u8], what: &'static str) -> Result<Extra<'a>, KindError> {
        let mut out = Extra { zip64: Fields::new(&[], what), unicode_path: false };
        let mut f = Fields::new(bytes, what);
        let mut seen = false;
        // Up to three bytes of padding are common (zipalign) and cannot be a field.
        while f.left() >= 4 {
            let (id, len) = (f.u16()?, f.u16()?);
            let field = f.take(len.into())?;
            match id {
                0x0001 if seen => return Err(KindError::malformed(what, "an entry has two Zip64 fields")),
                0x0001 => (out.zip64, seen) = (Fields::new(field, what), true),
                0x7075 => out.unicode_path = true,
                _ => {}
            }
        }
        Ok(out)
    }

    /// A 32-bit value, or the next 64-bit one where it is at its maximum.
    fn wide(&mut self, small: u32) -> Result<u64, KindError> {
        match small {
            MAX32 => self.zip64.u64(),
            _ => Ok(small.into()),
        }
    }

    fn sizes(mut self, plain: u32, packed: u32) -> Result<(u64, u64), KindError> {
        Ok((self.wide(plain)?, self.wide(packed)?))
    }
}

/// Little-endian fields of a structure.
struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    fn new(rest: &'a [u8], what: &'static str) -> Fields<'a> {
        Fields { rest, what }
    }
    fn left(&self) -> usize {
        self.rest.len()
    }
    fn take(&mut self, n: usize) -> Result<&'a [u8], KindError> {
        let (head, rest) =
            self.rest.split_at_checked(n).ok_or_else(|| KindError::malformed(self.what, "a record is cut off"))?;
        self.rest = rest;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], KindError> {
        let what = self.what;
        self.take(N)?.try_into().map_err(|_| KindError::malformed(what, "a record is cut off"))
    }
    fn u16(&mut self) -> Result<u16, KindError> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Result<u32, KindError> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Result<u64, KindError> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
pub(crate) mod build;
#[cfg(test)]
mod tests;
