//! A *pair* is a text and its signature side by side in a folder, as `ssh-keygen -Y sign` leaves them: `NAME.txt` and
//! `NAME.txt.sig`; a policy has one signature file for each admin, `POLICY.KEYID.sig`.
//!
//! Bytes are read and nothing is believed. Folders come from sticks: what is no pair is named and passed over.

use super::regular;
use crate::digest::Digest;
use crate::format::area::Signed;
use crate::limits;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Entries looked at in one folder.
pub const MAX_ENTRIES: usize = 100_000;

/// What a folder held.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// The pairs, in the order of their names.
    pub signed: Vec<(PathBuf, Signed)>,
    /// Files that look like half a pair or are too large, with why.
    pub ignored: Vec<String>,
}

/// Paths of all that lies in a folder, sorted. One with more than [`MAX_ENTRIES`] is refused: a part of it would be a part
/// by chance.
pub fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    entries_at_most(folder, MAX_ENTRIES)
}

fn entries_at_most(folder: &Path, most: usize) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder)? {
        out.push(entry?.path());
        if out.len() > most {
            return Err(too_many(format!("it has more than {most} files")));
        }
    }
    out.sort();
    Ok(out)
}

fn too_many(what: String) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{what}; give a folder with the statements that belong together"),
    )
}

/// Reads all pairs of a folder (not below it).
pub fn read(folder: &Path) -> io::Result<Pairs> {
    read_at_most(folder, limits::STATEMENTS_OF_A_FOLDER)
}

fn read_at_most(folder: &Path, most: u64) -> io::Result<Pairs> {
    let is_text = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.ends_with(".txt") && !name.starts_with('.')
    };
    let mut out = Pairs::default();
    let mut bytes = 0u64;
    for text in entries(folder)?.into_iter().filter(is_text) {
        let mut signature = text.clone().into_os_string();
        signature.push(".sig");
        let signature = PathBuf::from(signature);
        if fs::symlink_metadata(&signature).is_err() {
            continue; // any text file may lie there
        }
        match (small(&text), small(&signature)) {
            (Ok(t), Ok(s)) => {
                bytes = [t.len(), s.len()].iter().fold(bytes, |sum, n| sum.saturating_add(*n as u64));
                if bytes > most {
                    return Err(too_many(format!("its statements have more than {most} bytes")));
                }
                out.signed.push((text, Signed { text: t, signature: s }));
            }
            (Err(e), _) | (_, Err(e)) => out.ignored.push(format!("{}: {e}", text.display())),
        }
    }
    Ok(out)
}

/// Reads a policy with all its signatures: the text once for each.
pub fn read_policy(path: &Path) -> io::Result<Vec<Signed>> {
    let text = small(path)?;
    let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| io::Error::other("its name is not UTF-8"))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut out = Vec::new();
    for path in entries(folder)? {
        let other = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let rest = other.strip_prefix(name).and_then(|r| r.strip_suffix(".sig"));
        let is_ours = rest.is_some_and(|r| r.is_empty() || (r.len() == 17 && r.starts_with('.')));
        if is_ours && path.is_file() {
            out.push(Signed { text: text.clone(), signature: small(&path)? });
        }
    }
    Ok(out)
}

/// The file `name` of a folder, if it is a regular file of at most [`limits::EVIDENCE`] bytes with that digest. A name that
/// is not the name of a file in the folder itself finds nothing.
pub fn with_digest(folder: &Path, name: &str, digest: &Digest) -> Option<Vec<u8>> {
    let mut parts = Path::new(name).components();
    let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(n)), None) if n == name);
    let bytes = plain.then(|| regular::small(&folder.join(name), limits::EVIDENCE).ok()).flatten()?;
    (Digest::of(&bytes) == *digest).then_some(bytes)
}

/// A file of at most [`limits::STATEMENT`] bytes.
fn small(path: &Path) -> io::Result<Vec<u8>> {
    regular::small(path, limits::STATEMENT as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_their_bounds() {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in ["a.txt", "a.txt.sig", "b.txt", "b.txt.sig", "c.txt"] {
            fs::write(dir.path().join(name), "12345").expect("write");
        }
        assert_eq!(entries_at_most(dir.path(), 5).expect("five").len(), 5);
        assert_eq!(entries_at_most(dir.path(), 4).expect_err("five").kind(), io::ErrorKind::InvalidInput);
        assert_eq!(read_at_most(dir.path(), 20).expect("twenty bytes").signed.len(), 2);
        assert_eq!(read_at_most(dir.path(), 19).expect_err("twenty bytes").kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn evidence_is_a_file_of_the_folder_itself() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::create_dir(dir.path().join("in")).expect("mkdir");
        let digest = Digest::of(b"scan");
        fs::write(dir.path().join("scan"), "scan").expect("write");
        fs::write(dir.path().join("in/scan"), "scan").expect("write");
        assert_eq!(with_digest(dir.path(), "scan", &digest), Some(b"scan".to_vec()));
        assert_eq!(with_digest(dir.path(), "scan", &Digest::of(b"other")), None);
        let absolute = dir.path().join("scan");
        for name in ["in/scan", "../scan", "./scan", "", ".", "in", "scan/", absolute.to_str().expect("UTF-8")] {
            assert_eq!(with_digest(&dir.path().join("in").join(".."), name, &digest), None, "{name:?}");
        }
    }
}
