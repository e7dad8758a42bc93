//! The *control member* of a deb is a tar of the control file, maintainer scripts and lists for dpkg.
//!
//! It is unpacked in memory, bounded, and never onto a disk. See deb(5) and deb-control(5).

use super::{Compression, ControlFile, KindError};
use crate::digest::Blob;
use crate::limits;
use std::collections::BTreeMap;
use std::io::Read;

const WHAT: &str = "the control member of the deb";

fn malformed(why: impl Into<String>) -> KindError {
    KindError::malformed(WHAT, why)
}

fn tar_broken(e: std::io::Error) -> KindError {
    malformed(format!("its tar is broken ({e})"))
}

/// Decompresses a control member's stored bytes.
pub fn unpack(compression: Compression, stored: &[u8]) -> Result<Vec<u8>, KindError> {
    let broken = |e: std::io::Error| malformed(format!("its {} stream is broken ({e})", compression.name()));
    let reader: Box<dyn Read + '_> = match compression {
        Compression::None => Box::new(stored),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream =
                liblzma::stream::Stream::new_stream_decoder(limits::XZ_MEMORY, flags).map_err(|e| broken(e.into()))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(stored, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(stored).map_err(broken)?;
            decoder.window_log_max(limits::ZSTD_WINDOW).map_err(broken)?;
            Box::new(decoder)
        }
        Compression::Bzip2 | Compression::Lzma => {
            return Err(KindError::Unsupported(format!("a control member compressed with {}", compression.name())));
        }
    };
    let limit = limits::DEB_CONTROL;
    let mut out = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(broken)?;
    match u64::try_from(out.len()) {
        Ok(n) if n <= limit => Ok(out),
        _ => Err(KindError::TooLarge { what: WHAT, limit, have: limit.saturating_add(1) }),
    }
}

/// Reads the tar: the control file's text, and all other files by name.
pub fn read(tar: &[u8]) -> Result<(Vec<u8>, Vec<ControlFile>), KindError> {
    let mut control = None;
    let mut files: BTreeMap<String, ControlFile> = BTreeMap::new();
    let mut end = 0u64;
    let mut count = 0usize;
    for entry in tar::Archive::new(tar).entries().map_err(tar_broken)? {
        let mut entry = entry.map_err(tar_broken)?;
        count = count.saturating_add(1);
        if count > limits::DEB_CONTROL_ENTRIES {
            let limit = u64::try_from(limits::DEB_CONTROL_ENTRIES).unwrap_or(u64::MAX);
            return Err(KindError::TooLarge { what: WHAT, limit, have: limit.saturating_add(1) });
        }
        end = entry.raw_file_position().saturating_add(entry.size().checked_next_multiple_of(512).unwrap_or(u64::MAX));
        let kind = entry.header().entry_type();
        let Some(name) = file_name(&entry.path_bytes(), kind.is_dir())? else { continue };
        if control.is_some() && name == "control" || files.contains_key(&name) {
            return Err(malformed(format!("it holds {name:?} twice")));
        }
        if name == "control" {
            if !kind.is_file() {
                return Err(malformed("its control file is not a plain file"));
            }
            control = Some(content(&mut entry, limits::DEB_CONTROL_FILE)?);
            continue;
        }
        let file = if kind.is_file() {
            let bytes = content(&mut entry, limits::DEB_CONTROL)?;
            ControlFile { name: name.clone(), blob: Some(Blob::of(&bytes)), link: None }
        } else if kind.is_symlink() || kind.is_hard_link() {
            ControlFile { name: name.clone(), blob: None, link: Some(link_target(&entry)?) }
        } else {
            return Err(malformed(format!("{name:?} in it is neither a file nor a link")));
        };
        files.insert(name, file);
    }
    // Readers differ in what they make of bytes behind the end; none may find a second control file there.
    let end = usize::try_from(end).ok();
    if end.and_then(|e| tar.get(e..)).is_none_or(|rest| rest.iter().any(|b| *b != 0)) {
        return Err(malformed("bytes follow the end of its tar"));
    }
    let control = control.ok_or_else(|| malformed("it has no control file"))?;
    Ok((control, files.into_values().collect()))
}

/// The name of an entry that lies directly in the archive, with or without `./`; `None` for the top folder.
fn file_name(raw: &[u8], folder: bool) -> Result<Option<String>, KindError> {
    let name = std::str::from_utf8(raw).map_err(|_| malformed("it holds a name that is not UTF-8"))?;
    let name = name.strip_prefix("./").unwrap_or(name);
    if folder && matches!(name, "" | "." | "./") {
        return Ok(None);
    }
    // dpkg takes names of at most 100 bytes and no folders.
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
    if folder || name.is_empty() || name.len() > 100 || !plain || matches!(name, "." | "..") {
        return Err(malformed(format!("it holds {:?}", name.chars().take(120).collect::<String>())));
    }
    Ok(Some(name.to_owned()))
}

fn link_target<R: Read>(entry: &tar::Entry<'_, R>) -> Result<String, KindError> {
    let raw = entry.link_name_bytes().unwrap_or_default();
    let text = std::str::from_utf8(&raw).map_err(|_| malformed("it holds a link that is not UTF-8"))?;
    if text.len() > 1024 {
        return Err(malformed("it holds a link of more than 1024 bytes"));
    }
    Ok(text.to_owned())
}

/// An entry's bytes, all of them.
fn content<R: Read>(entry: &mut tar::Entry<'_, R>, limit: u64) -> Result<Vec<u8>, KindError> {
    let size = entry.size();
    if size > limit {
        return Err(KindError::TooLarge { what: "a file of the deb's control member", limit, have: size });
    }
    let mut out = Vec::new();
    entry.take(limit).read_to_end(&mut out).map_err(tar_broken)?;
    if u64::try_from(out.len()) != Ok(size) {
        return Err(malformed("its tar is truncated"));
    }
    Ok(out)
}
