//! A *list* of a repository names files with their sizes and digests: `Release` names lists, `Packages` names debs.
//!
//! Forms only; whether the files are there is [`super::whole`]'s question. See Debian's "Repository Format".

use super::{SourceError, join};
use crate::digest::{Blob, Digest};
use crate::fs::regular;
use crate::kind::KindError;
use crate::kind::deb::control;
use crate::limits;
use crate::source::read::by_ending;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// A file that a list names: its path as written there, its size and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The path.
    pub path: String,
    /// The bytes.
    pub blob: Blob,
}

fn malformed(what: &'static str, why: impl Into<String>) -> KindError {
    KindError::malformed(what, why)
}

/// The names in a `Release` or `InRelease`; `None` where it lists nothing, as those of single components do.
pub fn release(path: &Path) -> Result<Option<Vec<Named>>, SourceError> {
    let mut text = Vec::new();
    let file = regular::open(path).map_err(SourceError::io(path))?;
    let limit = limits::REPOSITORY_DOCUMENT;
    file.take(limit.saturating_add(1)).read_to_end(&mut text).map_err(SourceError::io(path))?;
    if text.len() as u64 > limit {
        let e = KindError::TooLarge { what: "the Release file", limit, have: limit.saturating_add(1) };
        return Err(SourceError::kind(path)(e));
    }
    parse_release(&text).map_err(SourceError::kind(path))
}

/// Parses the text of a `Release`, clearsigned or not.
pub fn parse_release(text: &[u8]) -> Result<Option<Vec<Named>>, KindError> {
    const WHAT: &str = "the Release file";
    let fields = control::parse(WHAT, &unsigned(text)?)?;
    let Some(sums) = control::field(&fields, "SHA256") else {
        let others = ["MD5Sum", "SHA1", "SHA512"].into_iter().find(|f| control::field(&fields, f).is_some());
        return match others {
            None => Ok(None),
            Some(f) => Err(malformed(WHAT, format!("it has {f} and no SHA256, so that nothing can be checked"))),
        };
    };
    let line = |l: &str| {
        let [sum, size, name] = <[&str; 3]>::try_from(l.split_ascii_whitespace().collect::<Vec<_>>()).ok()?;
        Some(Named { path: name.to_owned(), blob: blob(sum, size)? })
    };
    let lines = sums.lines().filter(|l| !l.trim().is_empty());
    let all: Option<Vec<Named>> = lines.map(line).collect();
    all.map(Some).ok_or_else(|| malformed(WHAT, "a line of its SHA256 is not a digest, a size and a name"))
}

fn blob(sum: &str, size: &str) -> Option<Blob> {
    Some(Blob { digest: Digest::from_hex(&sum.to_ascii_lowercase()).ok()?, len: size.parse().ok()? })
}

/// The text within a clear signature (RFC 9580, section 7), or all of it where there is none.
fn unsigned(text: &[u8]) -> Result<Vec<u8>, KindError> {
    const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
    if !text.starts_with(BEGIN.as_bytes()) {
        return Ok(text.to_vec());
    }
    let bad = || malformed("the clear signature of the Release file", "it has no text or no signature");
    let text = std::str::from_utf8(text).map_err(|_| bad())?;
    let mut lines = text.split('\n').skip_while(|l| !l.trim_end().is_empty()).skip(1).peekable();
    let mut out = String::new();
    for line in lines.by_ref() {
        if line.starts_with("-----BEGIN PGP SIGNATURE-----") {
            return Ok(out.into_bytes());
        }
        out.push_str(line.strip_prefix("- ").unwrap_or(line));
        out.push('\n');
    }
    Err(bad())
}

/// The endings under which a `Packages` can be read, best first.
pub const PACKAGES: [&str; 5] = ["Packages", "Packages.gz", "Packages.xz", "Packages.zst", "Packages.bz2"];

/// Calls `each` for every deb that the `Packages` file at `path` names; `name` (`Packages.gz`) says how it is compressed.
pub fn packages(path: &Path, name: &str, each: &mut dyn FnMut(Named)) -> Result<(), SourceError> {
    let file = BufReader::new(regular::open(path).map_err(SourceError::io(path))?);
    let reader = by_ending(Path::new(name), file).map_err(SourceError::io(path))?;
    let limit = limits::REPOSITORY_DOCUMENT;
    let mut reader = BufReader::new(reader.take(limit.saturating_add(1)));
    let mut read = 0u64;
    let mut paragraph = Paragraph::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let n = reader.read_until(b'\n', &mut line).map_err(SourceError::io(path))? as u64;
        read = read.saturating_add(n);
        if read > limit {
            let e = KindError::TooLarge { what: "the Packages file", limit, have: read };
            return Err(SourceError::kind(path)(e));
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if text.is_empty() {
            if let Some(named) = std::mem::take(&mut paragraph).finish().map_err(SourceError::kind(path))? {
                each(named);
            }
            if n == 0 {
                return Ok(());
            }
            continue;
        }
        paragraph.line(text);
    }
}

/// The three fields of a paragraph of `Packages` that say what file it is about.
#[derive(Default)]
struct Paragraph {
    any: bool,
    filename: Option<String>,
    size: Option<String>,
    sha256: Option<String>,
}

impl Paragraph {
    fn line(&mut self, text: &[u8]) {
        self.any = true;
        let Some(colon) = text.iter().position(|b| *b == b':') else { return };
        let (name, value) = text.split_at(colon);
        let slot = match name.to_ascii_lowercase().as_slice() {
            b"filename" => &mut self.filename,
            b"size" => &mut self.size,
            b"sha256" => &mut self.sha256,
            _ => return,
        };
        *slot = Some(String::from_utf8_lossy(value.get(1..).unwrap_or_default()).trim().to_owned());
    }

    fn finish(self) -> Result<Option<Named>, KindError> {
        if !self.any {
            return Ok(None);
        }
        const WHAT: &str = "the Packages file";
        let lacks = |f: &str| malformed(WHAT, format!("a paragraph of it has no {f}"));
        let path = self.filename.ok_or_else(|| lacks("Filename"))?;
        let (size, sum) = (self.size.ok_or_else(|| lacks("Size"))?, self.sha256.ok_or_else(|| lacks("SHA256"))?);
        let blob = blob(&sum, &size).ok_or_else(|| malformed(WHAT, format!("Size or SHA256 of {path:?} is none")))?;
        let path = path.strip_prefix("./").unwrap_or(&path);
        if path.split('/').any(|p| matches!(p, "" | "." | "..")) {
            return Err(malformed(WHAT, format!("the Filename {path:?} is not a path below the repository")));
        }
        Ok(Some(Named { path: path.to_owned(), blob }))
    }
}

/// Where a list's bytes may lie: under its own name, or by its digest.
pub fn places(folder: &str, named: &Named) -> [String; 2] {
    let own = join(folder, &named.path);
    let (dir, _) = super::split(&own);
    let by_hash = join(dir, &format!("by-hash/SHA256/{}", named.blob.digest));
    [own, by_hash]
}
