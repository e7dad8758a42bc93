//! The *walks*: tar, cpio and ar, read once from front to back.
//!
//! Unlike the readers of `kind`, which refuse what programs could understand in two ways, these take whatever has content:
//! a scanner must see it.

use super::expand::{Expander, Halt, Job, Member, bytes, halt, skip};
use super::stream::{Peek, is_tar};
use crate::limits;
use std::io::Read;

fn problem<T>(why: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Problem(why.into()))
}

/// Names, links and sizes that stand before the entry they are about.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// What is no content of its own.
pub(super) enum Other<'a> {
    /// A symbolic link and what it says.
    Symbolic(&'a [u8]),
    /// A further name of the file that it names.
    Hard(&'a [u8]),
    /// A device or pipe.
    Device,
}

/// Takes what a tar has, in its order.
pub(super) trait Entries {
    /// Whatever has content, and empty files; reads all of `from`.
    fn content(&mut self, member: &Member<'_>, from: &mut dyn Read) -> Result<(), Halt>;
    /// A link, a device; comes before its content where it claims some.
    fn other(&mut self, member: &Member<'_>, what: Other<'_>) -> Result<(), Halt>;
}

/// A tar. Zeros do not end it: what follows them is looked at as well.
pub(super) fn tar(from: &mut Peek<'_>, to: &mut dyn Entries) -> Result<(), Halt> {
    let mut before = Before::default();
    while let Some(block) = block(from)? {
        if block.iter().all(|b| *b == 0) {
            continue;
        }
        if !is_tar(&block) {
            from.unread(&block);
            return problem("something that is no entry follows its last one");
        }
        let header = tar::Header::from_byte_slice(&block);
        let kind = header.entry_type();
        let own = header.entry_size().map_err(halt)?;
        if kind.is_pax_local_extensions() || kind.is_pax_global_extensions() {
            pax(&extension(from, own)?, &mut before)?;
            continue;
        }
        if kind.is_gnu_longname() || kind.is_gnu_longlink() {
            let mut text = extension(from, own)?;
            text.truncate(text.iter().position(|b| *b == 0).unwrap_or(text.len()));
            let slot = if kind.is_gnu_longname() { &mut before.name } else { &mut before.link };
            *slot = Some(text);
            continue;
        }
        if kind.is_gnu_sparse() && block.get(482) == Some(&1) {
            while bytes::<512>(from)?.get(504) == Some(&1) {}
        }
        tar_entry(from, header, std::mem::take(&mut before), to)?;
    }
    Ok(())
}

fn tar_entry(from: &mut Peek<'_>, header: &tar::Header, before: Before, to: &mut dyn Entries) -> Result<(), Halt> {
    let kind = header.entry_type();
    let size = match before.size {
        Some(size) => size,
        None => header.entry_size().map_err(halt)?,
    };
    let name = before.name.unwrap_or_else(|| header.path_bytes().into_owned());
    let link = before.link.or_else(|| header.link_name_bytes().map(|l| l.into_owned())).unwrap_or_default();
    let member = Member { name: &name, mode: header.mode().ok(), len: Some(size) };
    if kind.is_symlink() {
        to.other(&member, Other::Symbolic(&link))?;
    } else if kind.is_hard_link() {
        to.other(&member, Other::Hard(&link))?;
    } else if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() {
        to.other(&member, Other::Device)?;
    }
    // Readers differ in whether a link or a folder has content; whatever claims some is handed on.
    let empty_file = size == 0 && (kind.is_file() || kind.is_contiguous());
    if size > 0 || empty_file {
        to.content(&member, &mut from.take(size))?;
        skip(from, size.wrapping_neg() % 512)?;
    }
    Ok(())
}

/// Writes what comes out of one archive.
pub(super) struct Written<'e, 'a>(pub &'e mut Expander<'a>, pub &'e Job);

impl Entries for Written<'_, '_> {
    fn content(&mut self, member: &Member<'_>, from: &mut dyn Read) -> Result<(), Halt> {
        self.0.member(self.1, member, from)
    }

    fn other(&mut self, member: &Member<'_>, what: Other<'_>) -> Result<(), Halt> {
        match what {
            Other::Symbolic(to) => self.0.special(self.1, member, "link", &[b"symbolic: ", to].concat()),
            Other::Hard(to) => self.0.special(self.1, member, "link", &[b"hard: ", to].concat()),
            Other::Device => self.0.special(self.1, member, "special", b"a device or pipe"),
        }
    }
}

impl Expander<'_> {
    /// A cpio archive of the "new ASCII" form.
    pub(super) fn cpio(&mut self, from: &mut Peek<'_>, job: &Job) -> Result<(), Halt> {
        loop {
            let header: [u8; 110] = bytes(from)?;
            if header.starts_with(b"07070X") {
                from.unread(&header);
                return problem("its entries have no headers of their own (an rpm of files above 4 GiB)");
            }
            if !header.starts_with(b"070701") && !header.starts_with(b"070702") {
                from.unread(&header);
                return problem("something that is no entry follows its last one");
            }
            let field = |n: usize| {
                let text = header.get(6 + 8 * n..14 + 8 * n).and_then(|t| std::str::from_utf8(t).ok());
                text.and_then(|t| u32::from_str_radix(t, 16).ok()).map(u64::from)
            };
            let (Some(mode), Some(len), Some(name_len)) = (field(1), field(6), field(11)) else {
                return problem("a header has no numbers");
            };
            let mut name = extension_of(from, name_len)?;
            skip(from, (110 + name_len).wrapping_neg() % 4)?;
            name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
            if name == b"TRAILER!!!" {
                return Ok(());
            }
            self.cpio_entry(from, &name, mode as u32, len, job)?;
            skip(from, len.wrapping_neg() % 4)?;
        }
    }

    fn cpio_entry(&mut self, from: &mut Peek<'_>, name: &[u8], mode: u32, len: u64, job: &Job) -> Result<(), Halt> {
        let member = Member { name, mode: Some(mode), len: Some(len) };
        match mode & 0o170000 {
            0o120000 if len <= limits::TAR_EXTENSION => {
                let target = extension_of(from, len)?;
                self.special(job, &member, "link", &[b"symbolic: ", target.as_slice()].concat())
            }
            0o020000 | 0o060000 | 0o010000 | 0o140000 if len == 0 => {
                self.special(job, &member, "special", b"a device or pipe")
            }
            0o040000 if len == 0 => Ok(()),
            _ => self.member(job, &member, &mut from.take(len)),
        }
    }

    /// An ar archive; names of any kind, as they stand.
    pub(super) fn ar(&mut self, from: &mut Peek<'_>, job: &Job) -> Result<(), Halt> {
        skip(from, 8)?;
        loop {
            let mut header = Vec::new();
            from.take(60).read_to_end(&mut header).map_err(halt)?;
            if header.is_empty() {
                return Ok(());
            }
            let size = header.get(48..58).and_then(|t| std::str::from_utf8(t).ok()).and_then(|t| t.trim().parse().ok());
            let (Some(size), true) = (size, header.ends_with(b"`\n")) else {
                from.unread(&header);
                return problem("something that is no member follows its last one");
            };
            let size: u64 = size;
            let name = header.get(..16).unwrap_or_default().trim_ascii_end();
            let member = Member { name, mode: None, len: Some(size) };
            self.member(job, &member, &mut from.take(size))?;
            if size % 2 == 1 {
                from.take(1).read_to_end(&mut Vec::new()).map_err(halt)?; // may be missing at the very end
            }
        }
    }
}

/// The next block of a tar; `None` at its end.
fn block(from: &mut Peek<'_>) -> Result<Option<[u8; 512]>, Halt> {
    let mut block = Vec::new();
    from.take(512).read_to_end(&mut block).map_err(halt)?;
    if block.is_empty() {
        return Ok(None);
    }
    match <[u8; 512]>::try_from(block) {
        Ok(block) => Ok(Some(block)),
        Err(short) => {
            from.unread(&short);
            problem("it is cut off")
        }
    }
}

/// A long name or a pax header of a tar, with its padding.
fn extension(from: &mut Peek<'_>, size: u64) -> Result<Vec<u8>, Halt> {
    let out = extension_of(from, size)?;
    skip(from, size.wrapping_neg() % 512)?;
    Ok(out)
}

/// A text that is held in memory.
fn extension_of(from: &mut Peek<'_>, size: u64) -> Result<Vec<u8>, Halt> {
    if size > limits::TAR_EXTENSION {
        return problem(format!("a name or extended header has {size} bytes"));
    }
    let mut out = Vec::new();
    from.take(size).read_to_end(&mut out).map_err(halt)?;
    match out.len() as u64 == size {
        true => Ok(out),
        false => problem("it is cut off"),
    }
}

fn pax(records: &[u8], before: &mut Before) -> Result<(), Halt> {
    for record in tar::PaxExtensions::new(records) {
        let record = record.map_err(halt)?;
        match record.key_bytes() {
            b"path" | b"GNU.sparse.name" => before.name = Some(record.value_bytes().to_vec()),
            b"linkpath" => before.link = Some(record.value_bytes().to_vec()),
            b"size" => before.size = record.value().ok().and_then(|v| v.parse().ok()),
            _ => {}
        }
    }
    Ok(())
}
