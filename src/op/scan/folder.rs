//! A *scan folder* is a folder of plain files under names that every file system takes, with their digests and a map.
//!
//! It knows nothing of archives. No name of an input becomes a name here unless it is short, ASCII and harmless; no link is
//! made. Specified in `spec/desk.md`, section "The scan folder".

use super::ScanError;
use crate::digest::{Blob, Digest, Hasher};
use crate::fs::output::Output;
use crate::model::Kind;
use crate::relpath::{RelPath, is_hidden};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The list of digests, as `sha256sum -c` reads it.
pub const SUMS: &str = "SHA256SUMS";
/// The map.
pub const MAP: &str = "map.tsv";
/// Longest path of a file below the folder: what Windows leaves below a folder of its own 260.
const MAX_PATH: usize = 180;
/// Files in one folder of `expanded`; FAT holds about 20,000 long names.
const PER_FOLDER: u64 = 1000;
/// Characters that are kept of a member's name.
const NAME: usize = 60;
/// Characters of a name, or of a remark, that are shown in the map.
const SHOWN: usize = 1024;

/// The artifact that a file belongs to.
#[derive(Clone, Debug)]
pub struct Owner {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its version; empty where it has none.
    pub version: String,
    /// Its place in the site; of an image the registry's folder.
    pub place: String,
}

/// A line of the map.
pub struct Row<'a> {
    /// `artifact`, `blob`, `member`, `link`, `special`, `problem`.
    pub what: &'static str,
    /// The file in this folder; empty where there is none.
    pub path: &'a str,
    /// Its bytes.
    pub blob: Option<Blob>,
    /// The permission bits that the archive gives it.
    pub mode: Option<u32>,
    /// The artifact.
    pub owner: &'a Owner,
    /// The file in this folder that it was found in; empty for artifacts.
    pub container: &'a str,
    /// Its name there, as bytes.
    pub member: &'a [u8],
    /// Where a link points to; what is wrong.
    pub note: &'a [u8],
}

/// The folder.
pub struct Folder {
    dir: PathBuf,
    sums: Output,
    map: Output,
    numbers: u64,
}

/// A file in the making. It is created with its first byte: empty files have a line in the map and no more.
pub struct Writer {
    path: String,
    full: PathBuf,
    file: Option<BufWriter<File>>,
    hasher: Hasher,
}

impl Folder {
    /// Begins a folder, which must be empty or absent.
    pub fn create(dir: &Path) -> Result<Folder, ScanError> {
        fs::create_dir_all(dir).map_err(io_at(dir))?;
        if fs::read_dir(dir).map_err(io_at(dir))?.next().is_some() {
            return Err(ScanError::NotEmpty(dir.into()));
        }
        let output = |name: &str| Output::create(&dir.join(name)).map_err(io_at(&dir.join(name)));
        let mut folder = Folder { dir: dir.into(), sums: output(SUMS)?, map: output(MAP)?, numbers: 0 };
        let head = "what\tpath\tbytes\tsha256\tmode\tkind\tname\tversion\tplace\tcontainer\tmember\tnote\n";
        folder.map.write_all(head.as_bytes()).map_err(io_at(&folder.dir))?;
        Ok(folder)
    }

    /// Begins a file at a path that [`Names`] or [`Folder::number`] made.
    pub fn begin(&mut self, path: String) -> Writer {
        Writer { full: self.dir.join(&path), path, file: None, hasher: Hasher::new() }
    }

    /// A new path for a file that was called `name` where it was found.
    pub fn number(&mut self, name: &[u8]) -> String {
        self.numbers = self.numbers.saturating_add(1);
        let n = self.numbers;
        format!("expanded/{:04}/{n:07}-{}", n / PER_FOLDER, harmless(name))
    }

    /// Enters a line into the map, and into the list of digests where it is a new file.
    pub fn enter(&mut self, row: &Row<'_>, is_new: bool) -> Result<(), ScanError> {
        let mut line = format!("{}\t{}\t", row.what, or_dash(row.path));
        match row.blob {
            Some(b) => drop(write!(line, "{}\t{}\t", b.len, b.digest)),
            None => line.push_str("-\t-\t"),
        }
        match row.mode {
            Some(mode) => drop(write!(line, "{:04o}", mode & 0o7777)),
            None => line.push('-'),
        }
        let owner = row.owner;
        for field in [owner.kind.name(), &owner.name, &owner.version, &owner.place, row.container] {
            line.push('\t');
            line.push_str(or_dash(&shown(field.as_bytes())));
        }
        for field in [row.member, row.note] {
            line.push('\t');
            line.push_str(or_dash(&shown(field)));
        }
        line.push('\n');
        self.map.write_all(line.as_bytes()).map_err(io_at(&self.dir))?;
        match row.blob.filter(|b| is_new && b.len > 0) {
            Some(b) => writeln!(self.sums, "{}  {}", b.digest, row.path).map_err(io_at(&self.dir)),
            None => Ok(()),
        }
    }

    /// Opens a file that was made.
    pub fn open(&self, path: &str) -> Result<File, ScanError> {
        let full = self.dir.join(path);
        File::open(&full).map_err(io_at(&full))
    }

    /// Fills `buf` from `offset` of a file that was made.
    pub fn read_at(&self, path: &str, offset: u64, buf: &mut [u8]) -> Result<(), ScanError> {
        let full = self.dir.join(path);
        self.open(path)?.read_exact_at(buf, offset).map_err(io_at(&full))
    }

    /// Bytes that are free where it lies; `None` where the system does not say.
    pub fn free(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.dir).ok()?;
        stat.f_bavail.checked_mul(stat.f_frsize)
    }

    /// Gives the lists their names: only a folder that is whole has them.
    pub fn finish(self) -> Result<(), ScanError> {
        let Folder { dir, sums, map, .. } = self;
        map.publish(0o644).and_then(|()| sums.publish(0o644)).map_err(io_at(&dir))
    }
}

impl Writer {
    /// More of its bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.hasher.update(bytes);
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(create(&self.full)?),
        };
        file.write_all(bytes).map_err(io_at(&self.full))
    }

    /// All bytes of a file that is being written are readable afterwards.
    pub fn flush(&mut self) -> Result<(), ScanError> {
        self.file.as_mut().map_or(Ok(()), |f| f.flush()).map_err(io_at(&self.full))
    }

    /// Its path in the folder.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its path, empty where it has no bytes and so was never made, and what was written.
    pub fn finish(mut self) -> Result<(String, Blob), ScanError> {
        self.flush()?;
        let blob = self.hasher.finish();
        Ok((if blob.len > 0 { self.path } else { String::new() }, blob))
    }
}

/// A file that was not there, nor anything else of its name: a name that a file system takes for another one's ends here.
fn create(full: &Path) -> Result<BufWriter<File>, ScanError> {
    if let Some(folder) = full.parent() {
        fs::create_dir_all(folder).map_err(io_at(folder))?;
    }
    let file = OpenOptions::new().write(true).create_new(true).open(full).map_err(io_at(full))?;
    Ok(BufWriter::with_capacity(1 << 16, file))
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> ScanError + '_ {
    move |source| ScanError::Io { path: path.into(), source }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Text of an input on one line of the map: what could divide fields, or hide on a screen, is escaped.
pub(super) fn shown(raw: &[u8]) -> String {
    let mut out = String::new();
    let mut count = 0usize;
    for part in raw.utf8_chunks() {
        for c in part.valid().chars() {
            count = count.saturating_add(1);
            if count > SHOWN {
                let _ = write!(out, "\\... ({} bytes)", raw.len());
                return out;
            }
            match c {
                '\\' => out.push_str("\\\\"),
                c if is_hidden(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
        for byte in part.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// What is left of a name: the last characters of its last component, of letters, digits and `. _ + -`. A number stands
/// before it, so that it can be no device, no hidden file and no other file's short name.
fn harmless(raw: &[u8]) -> String {
    let last = raw.rsplit(|b| matches!(b, b'/' | b'\\')).find(|part| !part.is_empty()).unwrap_or_default();
    let keep = |b: &u8| if b.is_ascii_alphanumeric() || b"._+-".contains(b) { char::from(*b) } else { '_' };
    let name: String = last.iter().skip(last.len().saturating_sub(NAME)).map(keep).collect();
    let name = name.trim_end_matches('.');
    if name.is_empty() { "unnamed".into() } else { name.into() }
}

/// Gives artifacts paths: their own place where it is harmless, else a number.
#[derive(Default)]
pub struct Names {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
    renamed: u64,
}

impl Names {
    /// The path of a blob that is no file of the site.
    pub fn blob(digest: &Digest) -> String {
        let hex = digest.hex();
        format!("blobs/{}/{hex}", hex.get(..2).unwrap_or_default())
    }

    /// The path of an artifact's file; no other call gives it, nor one that some file system cannot tell from it.
    pub fn place(&mut self, place: &RelPath) -> String {
        let path = format!("artifacts/{place}");
        let folded = path.to_ascii_lowercase();
        let parents: Vec<String> =
            folded.match_indices('/').filter_map(|(n, _)| folded.get(..n)).map(str::to_owned).collect();
        let free = !self.files.contains(&folded)
            && !self.folders.contains(&folded)
            && !parents.iter().any(|p| self.files.contains(p));
        if free && path.len() <= MAX_PATH && place.components().all(is_harmless) {
            self.files.insert(folded);
            self.folders.extend(parents);
            return path;
        }
        self.renamed = self.renamed.saturating_add(1);
        let n = self.renamed;
        format!("renamed/{:04}/{n:07}-{}", n / PER_FOLDER, harmless(place.as_str().as_bytes()))
    }
}

/// Whether a component of a path, which obeys the grammar of paths, is also no `SHORT~1` name that FAT may have given to
/// another file, and is ASCII.
fn is_harmless(part: &str) -> bool {
    let plain = part.bytes().all(|b| b.is_ascii_alphanumeric() || b" !#$%&'()+,-.;=@[]^_`{}~".contains(&b));
    let digit_after = part.split('~').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    plain && !(digit_after && part.len() <= 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_harmless() {
        for (raw, want) in [
            (&b"usr/bin/ls"[..], "ls"),
            (b"../../etc/passwd", "passwd"),
            (b"..", "unnamed"),
            (b"/", "unnamed"),
            (b"", "unnamed"),
            (b"c:\\x\\a b<>.txt", "a_b__.txt"),
            (b"\xff\x00\x1b[2J", "___[2J"),
        ] {
            let want = want.replace('[', "_");
            assert_eq!(harmless(raw), want, "{raw:?}");
        }
        assert_eq!(harmless(&[b'a'; 1000]).len(), NAME);
    }

    #[test]
    fn places_never_meet() {
        let mut names = Names::default();
        let mut place = |p: &str| names.place(&RelPath::new(p).expect("a path"));
        assert_eq!(place("www/a.txt"), "artifacts/www/a.txt");
        assert_eq!(place("www/A.TXT"), "renamed/0000/0000001-A.TXT");
        assert_eq!(place("www/a.txt/b"), "renamed/0000/0000002-b");
        assert_eq!(place("WWW"), "renamed/0000/0000003-WWW");
        assert_eq!(place("www/LONGFI~1.TXT"), "renamed/0000/0000004-LONGFI_1.TXT");
        assert_eq!(place("www/p_1.0~rc1-1_all.deb"), "artifacts/www/p_1.0~rc1-1_all.deb");
        assert_eq!(place("www/é"), "renamed/0000/0000005-__");
        assert_eq!(place(&format!("www/{}", "a".repeat(200))).len(), "renamed/0000/0000006-".len() + NAME);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(shown(b"a\tb\nc\\d\xff"), "a\\u{9}b\\u{a}c\\\\d\\xff");
        assert_eq!(shown("\u{202e}x".as_bytes()), "\\u{202e}x");
        assert!(shown(&[b'a'; 5000]).ends_with("\\... (5000 bytes)"));
    }
}
