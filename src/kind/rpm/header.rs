//! A *header* is the table of typed values, keyed by numbers called tags, that an rpm file begins with (twice: first the
//! signature header, then the main one).
//!
//! Only the table is read here, never the payload behind it; what the values mean is for `facts`. All numbers in it are
//! big-endian. Specified in `spec/facts.md`, section "rpm/1"; the bytes:
//!
//! ```text
//! lead        96 bytes, begins ed ab ee db MAJOR
//! signature   8e ad e8 01 00000000 | entries u32 | store u32 | entries * 16 bytes | store | padding to 8
//! main        8e ad e8 01 00000000 | entries u32 | store u32 | entries * 16 bytes | store
//! entry       tag u32 | type u32 | offset in the store u32 | count u32
//! ```

use crate::kind::KindError;
use crate::limits;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Read;

const LEAD: u64 = 96;
const INTRO: u64 = 16;
const ENTRY: u64 = 16;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
const HEADER_MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/// Type of a value: text, which ends at its NUL.
const STRING: u32 = 6;
/// Type of a value: bytes.
const BIN: u32 = 7;
/// Type of a value: several texts, one behind the other.
const STRINGS: u32 = 8;
/// Type of a value: one text in several languages, the first for the C locale.
const TRANSLATED: u32 = 9;

/// Where a tag's value lies; offset and count were checked against the store.
#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: u32,
    offset: usize,
    count: usize,
}

/// One header.
#[derive(Debug)]
pub struct Header {
    entries: BTreeMap<u32, Entry>,
    store: Vec<u8>,
    /// Bytes of text that may still be read. Values of one header do not overlap, so all of them together are no longer
    /// than the store; a header whose tags all name the same long text would else be many times its size in memory.
    left: Cell<usize>,
}

/// Text that may be read twice: name, version and release are.
const READ_TWICE: usize = 64 << 10;

/// Both headers of an rpm file and where the main one lies.
#[derive(Debug)]
pub struct Package {
    /// The signature header, which nobody signs.
    pub signature: Header,
    /// The main header.
    pub main: Header,
    /// Offset of the main header's first byte in the file.
    pub start: u64,
    /// Offset of the payload's first byte.
    pub end: u64,
}

fn bad(why: impl Into<String>) -> KindError {
    KindError::malformed("the rpm header", why)
}

/// Reads both headers from the beginning of a file of `len` bytes.
pub fn read(reader: &mut dyn Read, len: u64) -> Result<Package, KindError> {
    let lead = bytes(reader, LEAD)?;
    if !lead.starts_with(&LEAD_MAGIC) {
        return Err(bad("the file does not begin as an rpm does"));
    }
    if let Some(major) = lead.get(4).filter(|m| !matches!(m, 3 | 4)) {
        return Err(KindError::Unsupported(format!("rpm format {major}")));
    }
    let (signature, size) = header(reader, len)?;
    let padding = size.wrapping_neg() & 7; // the intro and the lead are multiples of 8
    bytes(reader, padding)?;
    let start = LEAD.saturating_add(size).saturating_add(padding);
    let (main, size) = header(reader, len)?;
    let end = start.saturating_add(size);
    if end > len {
        return Err(bad("it is longer than the file"));
    }
    Ok(Package { signature, main, start, end })
}

/// Exactly `n` bytes; `n` was checked against a limit.
fn bytes(reader: &mut dyn Read, n: u64) -> Result<Vec<u8>, KindError> {
    let mut out = Vec::new();
    reader.take(n).read_to_end(&mut out)?;
    match u64::try_from(out.len()) == Ok(n) {
        true => Ok(out),
        false => Err(bad("the file ends inside it")),
    }
}

/// Reads one header; with it, how many bytes it takes.
fn header(reader: &mut dyn Read, len: u64) -> Result<(Header, u64), KindError> {
    let intro = bytes(reader, INTRO)?;
    let Some(sizes) = intro.strip_prefix(&HEADER_MAGIC) else {
        return Err(bad("it does not begin with its magic number"));
    };
    let mut sizes = sizes.chunks_exact(4).map(number);
    let (entries, store) = (sizes.next().unwrap_or(0), sizes.next().unwrap_or(0));
    for (what, limit, have) in [
        ("the list of an rpm header's tags", u64::from(limits::RPM_TAGS), entries),
        ("an rpm header's store", u64::from(limits::RPM_HEADER), store),
    ] {
        if have > limit {
            return Err(KindError::TooLarge { what, limit, have });
        }
    }
    let size = INTRO.saturating_add(entries.saturating_mul(ENTRY)).saturating_add(store);
    if size > len {
        return Err(bad("it is longer than the file"));
    }
    let table = bytes(reader, entries.saturating_mul(ENTRY))?;
    Ok((Header::new(&table, bytes(reader, store)?)?, size))
}

/// A big-endian number of up to 8 bytes.
fn number(raw: &[u8]) -> u64 {
    raw.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// Bytes of one value of a type with fixed width; strings have at least their NUL.
fn width(kind: u32) -> Option<usize> {
    match kind {
        0 => Some(0),
        1 | 2 | BIN | STRING | STRINGS | TRANSLATED => Some(1),
        3 => Some(2),
        4 => Some(4),
        5 => Some(8),
        _ => None,
    }
}

impl Header {
    /// Checks every entry against the store. A tag may be there once only: programs differ in which of two they take.
    fn new(table: &[u8], store: Vec<u8>) -> Result<Header, KindError> {
        let mut entries = BTreeMap::new();
        for raw in table.chunks_exact(16) {
            let mut fields = raw.chunks_exact(4).map(|f| u32::try_from(number(f)).unwrap_or(u32::MAX));
            let mut next = || fields.next().unwrap_or(u32::MAX);
            let (tag, kind, offset, count) = (next(), next(), next(), next());
            let wrong = |why: &str| bad(format!("tag {tag} {why}"));
            let width = width(kind).ok_or_else(|| wrong("has an unknown type"))?;
            let [offset, count] = [offset, count].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            let end = count.checked_mul(width).and_then(|n| n.checked_add(offset));
            if count == 0 || end.is_none_or(|end| end > store.len()) {
                return Err(wrong("does not lie in the store"));
            }
            if kind == STRING && count != 1 {
                return Err(wrong("is one text and says to be several"));
            }
            if entries.insert(tag, Entry { kind, offset, count }).is_some() {
                return Err(wrong("is there twice"));
            }
        }
        let left = Cell::new(store.len().saturating_add(READ_TWICE));
        Ok(Header { entries, store, left })
    }

    /// Whether the tag is there.
    pub fn has(&self, tag: u32) -> bool {
        self.entries.contains_key(&tag)
    }

    /// The texts of a tag without their NULs; none where it is not there.
    pub fn strings(&self, tag: u32) -> Result<Vec<&[u8]>, KindError> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(vec![]) };
        if !matches!(entry.kind, STRING | STRINGS | TRANSLATED) {
            return Err(bad(format!("tag {tag} is not text")));
        }
        self.texts(tag, entry, entry.count)
    }

    /// The only text of a tag, of a translated one that of the C locale; `None` where it is not there.
    pub fn string(&self, tag: u32) -> Result<Option<&[u8]>, KindError> {
        match self.entries.get(&tag) {
            None => Ok(None),
            Some(e) if e.kind == TRANSLATED => Ok(self.texts(tag, e, 1)?.first().copied()),
            Some(e) if e.count > 1 => Err(bad(format!("tag {tag} has several values"))),
            Some(_) => Ok(self.strings(tag)?.first().copied()),
        }
    }

    /// The first `count` texts of an entry.
    fn texts(&self, tag: u32, entry: &Entry, count: usize) -> Result<Vec<&[u8]>, KindError> {
        limited(count)?;
        let mut rest = self.store.get(entry.offset..).unwrap_or(&[]);
        let mut out = Vec::new();
        for _ in 0..count {
            let end = rest.iter().position(|b| *b == 0);
            let Some((text, tail)) = end.and_then(|end| rest.split_at_checked(end)) else {
                return Err(bad(format!("tag {tag} is not terminated")));
            };
            let left = self.left.get().checked_sub(text.len()).ok_or_else(|| bad("its texts overlap"))?;
            self.left.set(left);
            out.push(text);
            rest = tail.get(1..).unwrap_or(&[]);
        }
        Ok(out)
    }

    /// The numbers of a tag; none where it is not there.
    pub fn numbers(&self, tag: u32) -> Result<Vec<u64>, KindError> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(vec![]) };
        let width = match entry.kind {
            1..=5 => width(entry.kind).unwrap_or(1),
            _ => return Err(bad(format!("tag {tag} is not numbers"))),
        };
        limited(entry.count)?;
        let end = entry.count.saturating_mul(width).saturating_add(entry.offset);
        let raw = self.store.get(entry.offset..end).unwrap_or(&[]);
        Ok(raw.chunks_exact(width).map(number).collect())
    }

    /// The only number of a tag; `None` where it is not there.
    pub fn number(&self, tag: u32) -> Result<Option<u64>, KindError> {
        match *self.numbers(tag)? {
            [] => Ok(None),
            [n] => Ok(Some(n)),
            _ => Err(bad(format!("tag {tag} has several values"))),
        }
    }
}

/// Bounds the memory that a list of many empty values would take.
fn limited(count: usize) -> Result<(), KindError> {
    let limit = limits::RPM_VALUES;
    match count > limit {
        true => Err(KindError::TooLarge {
            what: "the list of an rpm tag's values",
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
            have: u64::try_from(count).unwrap_or(u64::MAX),
        }),
        false => Ok(()),
    }
}
