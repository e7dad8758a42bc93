//! A *pair* is a text and its signature side by side in a folder, as `ssh-keygen -Y sign` leaves them: `NAME.txt` and
//! `NAME.txt.sig`; a policy has one signature file for each admin, `POLICY.KEYID.sig`.
//!
//! Bytes are read and nothing is believed. Folders come from sticks: what is no pair is named and passed over.

use super::regular;
use crate::format::area::Signed;
use crate::limits;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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

/// Reads all pairs of a folder (not below it).
pub fn read(folder: &Path) -> io::Result<Pairs> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_ENTRIES) {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.ends_with(".txt") && !name.starts_with('.') {
            texts.push(path);
        }
    }
    texts.sort();
    let mut out = Pairs::default();
    for text in texts {
        let mut signature = text.clone().into_os_string();
        signature.push(".sig");
        let signature = PathBuf::from(signature);
        if fs::symlink_metadata(&signature).is_err() {
            continue; // any text file may lie there
        }
        match (small(&text), small(&signature)) {
            (Ok(t), Ok(s)) => out.signed.push((text, Signed { text: t, signature: s })),
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
    let mut signatures = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_ENTRIES) {
        let path = entry?.path();
        let other = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let rest = other.strip_prefix(name).and_then(|r| r.strip_suffix(".sig"));
        let is_ours = rest.is_some_and(|r| r.is_empty() || (r.len() == 17 && r.starts_with('.')));
        if is_ours && path.is_file() {
            signatures.push(path);
        }
    }
    signatures.sort();
    signatures.iter().map(|s| Ok(Signed { text: text.clone(), signature: small(s)? })).collect()
}

/// A file of at most [`limits::STATEMENT`] bytes.
fn small(path: &Path) -> io::Result<Vec<u8>> {
    regular::small(path, limits::STATEMENT as u64)
}
