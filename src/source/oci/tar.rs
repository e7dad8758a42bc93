//! A *tar* is walked here entry by entry in one pass, strictly: names, links and the place of every file's bytes.
//!
//! Nothing is unpacked. Headers are decoded by the `tar` crate; its own iterator is not used, because it reads long names
//! and pax headers whole, of whatever length they claim. What two readers could see differently is refused: entries that
//! appear twice, sparse files, sizes in global headers, bytes after the end. Formats: POSIX pax and ustar, GNU tar.

use super::stream::{invalid, unsupported};
use crate::limits;
use std::io::{self, Read};
use tar::{EntryType, Header, PaxExtensions};

const BLOCK: u64 = 512;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File {
        /// Its name, normal form: no leading `./`.
        name: String,
        /// Where its bytes begin in the stream.
        offset: u64,
        /// How many they are.
        len: u64,
    },
    /// A hard or symbolic link.
    Link {
        /// Its name.
        name: String,
        /// The name in the archive that it points to.
        target: String,
    },
}

/// Extended headers that wait for the entry they describe.
#[derive(Default)]
struct Pending {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Walks all of `stream`, up to its last byte. `each` gets every file and link, files with a reader of their bytes; what
/// it does not read is skipped.
pub fn walk(stream: &mut dyn Read, each: &mut dyn FnMut(Entry, &mut dyn Read) -> io::Result<()>) -> io::Result<()> {
    let (mut at, mut entries, mut names) = (0u64, 0usize, 0u64);
    let mut pending = Pending::default();
    loop {
        let mut header = Header::new_old();
        stream.read_exact(header.as_mut_bytes()).map_err(cut_off)?;
        at = add(at, BLOCK)?;
        if header.as_bytes().iter().all(|b| *b == 0) {
            if pending.path.is_some() || pending.link.is_some() || pending.size.is_some() {
                return Err(invalid("the tar ends after an extended header"));
            }
            return padding(stream);
        }
        check_sum(&header)?;
        entries += 1;
        if entries > limits::ARCHIVE_ENTRIES {
            return Err(unsupported(format!("a tar of more than {} entries", limits::ARCHIVE_ENTRIES)));
        }
        let own_size = header.entry_size()?;
        let kind = header.entry_type();
        let extension = matches!(
            kind,
            EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink
        );
        let size = if extension { own_size } else { pending.size.unwrap_or(own_size) };
        let mut body = Exactly { inner: stream, left: size };
        match kind {
            EntryType::XHeader => pax(&extension_body(&mut body)?, Some(&mut pending))?,
            EntryType::XGlobalHeader => pax(&extension_body(&mut body)?, None)?,
            EntryType::GNULongName => pending.path = Some(until_nul(extension_body(&mut body)?)),
            EntryType::GNULongLink => pending.link = Some(until_nul(extension_body(&mut body)?)),
            _ => {
                let pending = std::mem::take(&mut pending);
                let raw = pending.path.unwrap_or_else(|| header.path_bytes().into_owned());
                names = add(names, raw.len() as u64)?;
                if names > limits::ARCHIVE_NAMES {
                    return Err(unsupported(format!("a tar with names of more than {} bytes", limits::ARCHIVE_NAMES)));
                }
                let folder = kind.is_dir() || kind == EntryType::Regular && raw.ends_with(b"/");
                let name = normal(&raw, "")?;
                match kind {
                    _ if folder => {}
                    EntryType::Regular | EntryType::Continuous => {
                        let name = name.ok_or_else(|| invalid("the tar has a file without a name"))?;
                        each(Entry::File { name, offset: at, len: size }, &mut body)?;
                    }
                    EntryType::Link | EntryType::Symlink => {
                        let name = name.ok_or_else(|| invalid("the tar has a link without a name"))?;
                        let target = pending.link.or_else(|| header.link_name_bytes().map(|l| l.into_owned()));
                        let from = if kind == EntryType::Symlink { parent(&name) } else { "" };
                        let target = normal(&target.unwrap_or_default(), from)?
                            .ok_or_else(|| invalid(format!("the link {name:?} in the tar points to nothing")))?;
                        if size != 0 {
                            return Err(invalid(format!("the link {name:?} in the tar has content")));
                        }
                        each(Entry::Link { name, target }, &mut body)?;
                    }
                    EntryType::GNUSparse => {
                        let name = name.unwrap_or_default();
                        return Err(invalid(format!(
                            "{name:?} in the tar is a sparse file; write the archive without such"
                        )));
                    }
                    _ => {
                        let name = name.unwrap_or_default();
                        return Err(invalid(format!("{name:?} in the tar is no file, folder or link")));
                    }
                }
            }
        }
        body.skip()?;
        at = add(at, size)?;
        let rest = at.next_multiple_of(BLOCK) - at;
        Exactly { inner: stream, left: rest }.skip()?;
        at = add(at, rest)?;
    }
}

fn add(a: u64, b: u64) -> io::Result<u64> {
    // The bound also keeps rounding up to whole blocks from overflowing.
    a.checked_add(b)
        .filter(|sum| *sum <= limits::ARCHIVE_PLAIN)
        .ok_or_else(|| unsupported(format!("a tar of more than {} bytes", limits::ARCHIVE_PLAIN)))
}

fn cut_off(e: io::Error) -> io::Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"),
        _ => e,
    }
}

/// After the end there may be zeros up to a bound, and nothing else.
fn padding(stream: &mut dyn Read) -> io::Result<()> {
    let mut seen = 0u64;
    let mut buf = [0u8; 8192];
    loop {
        let n = match stream.read(&mut buf) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(cut_off(e)),
        };
        seen += n as u64;
        if seen > limits::TAR_PADDING || buf[..n].iter().any(|b| *b != 0) {
            return Err(invalid("the archive has something after the end of its tar"));
        }
    }
}

fn check_sum(header: &Header) -> io::Result<()> {
    let bytes = header.as_bytes();
    let sum = |from: usize, to: usize| bytes[from..to].iter().map(|b| u32::from(*b)).sum::<u32>();
    let plain = sum(0, 148) + 8 * u32::from(b' ') + sum(156, 512);
    match header.cksum() {
        Ok(said) if said == plain => Ok(()),
        _ => Err(invalid("a tar header's checksum is wrong: the file is damaged or is no tar")),
    }
}

/// Reads an extended header's body, which is small.
fn extension_body(body: &mut Exactly<'_>) -> io::Result<Vec<u8>> {
    if body.left > limits::TAR_EXTENSION {
        return Err(unsupported(format!("an extended tar header of more than {} bytes", limits::TAR_EXTENSION)));
    }
    let mut out = Vec::new();
    body.read_to_end(&mut out)?;
    Ok(out)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|b| *b == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// Takes what matters from a pax header; a global one (`pending` is `None`) may say nothing that matters.
fn pax(body: &[u8], mut pending: Option<&mut Pending>) -> io::Result<()> {
    for record in PaxExtensions::new(body) {
        let record = record?;
        let key = record.key_bytes();
        if key.starts_with(b"GNU.sparse.") {
            return Err(invalid("the tar has a sparse file; write the archive without such"));
        }
        if !matches!(key, b"path" | b"linkpath" | b"size") {
            continue;
        }
        let Some(pending) = pending.as_deref_mut() else {
            return Err(invalid("a global pax header in the tar sets names or sizes"));
        };
        match key {
            b"path" => pending.path = Some(record.value_bytes().to_vec()),
            b"linkpath" => pending.link = Some(record.value_bytes().to_vec()),
            _ => {
                let size = record.value().ok().and_then(|v| v.parse().ok());
                pending.size =
                    Some(size.ok_or_else(|| invalid("a pax header in the tar has a size that is no number"))?);
            }
        }
    }
    Ok(())
}

/// The folder of a name; empty for the top.
fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A name relative to `from`, without `.` and `..`; `None` for the top itself. Refused where it leaves the archive.
fn normal(raw: &[u8], from: &str) -> io::Result<Option<String>> {
    let text = std::str::from_utf8(raw).map_err(|_| invalid("a name in the tar is not UTF-8"))?;
    let outside = || invalid(format!("the name {text:?} in the tar leaves the archive"));
    if text.starts_with('/') || text.contains('\0') {
        return Err(outside());
    }
    let mut parts: Vec<&str> = from.split('/').filter(|p| !p.is_empty()).collect();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(outside)?;
            }
            part => parts.push(part),
        }
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

/// Exactly so many bytes of a reader; fewer are an error.
struct Exactly<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Exactly<'_> {
    fn skip(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink()).map(drop)
    }
}

impl Read for Exactly<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.inner.read(&mut buf[..most]).map_err(cut_off)?;
        if n == 0 {
            return Err(cut_off(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left -= n as u64;
        Ok(n)
    }
}
