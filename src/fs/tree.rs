//! A *tree walk* lists the files below a folder, in the order of their paths' bytes.
//!
//! Symbolic links inside the tree become what they point to; those that leave it, break or loop are refused. Nothing is
//! opened here.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Folders nested deeper than this are refused.
const MAX_DEPTH: usize = 64;

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path below the root, components joined by `/`; not checked against any grammar.
    pub rel: String,
    /// Where to open it.
    pub path: PathBuf,
    /// Its length in bytes.
    pub len: u64,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// Why a tree cannot be walked.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Reading failed.
    #[error("cannot read {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A link leaves the tree, is broken or goes round in circles.
    #[error("the symbolic link {path} {why}")]
    Link {
        /// The link.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A device, socket or pipe.
    #[error("{path} is neither a file nor a folder")]
    Special {
        /// The file.
        path: PathBuf,
    },
    /// A name that is not UTF-8.
    #[error("{path} has a name that is not UTF-8")]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Too many levels.
    #[error("{path} is nested more than 64 levels deep")]
    Deep {
        /// The folder.
        path: PathBuf,
    },
}

/// Lists all files below `root`.
pub fn walk(root: &Path) -> Result<Vec<TreeFile>, TreeError> {
    let base = fs::canonicalize(root).map_err(io_at(root))?;
    let mut out = Vec::new();
    folder(&base, &base, "", 0, &mut out)?;
    out.sort_by(|a, b| a.rel.cmp(&b.rel));
    Ok(out)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> TreeError + '_ {
    move |source| TreeError::Io { path: path.into(), source }
}

fn folder(base: &Path, at: &Path, rel: &str, depth: usize, out: &mut Vec<TreeFile>) -> Result<(), TreeError> {
    if depth > MAX_DEPTH {
        return Err(TreeError::Deep { path: at.into() });
    }
    for entry in fs::read_dir(at).map_err(io_at(at))? {
        let path = entry.map_err(io_at(at))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(|| TreeError::Name { path: path.clone() })?;
        let rel = if rel.is_empty() { name.to_owned() } else { format!("{rel}/{name}") };
        let link = fs::symlink_metadata(&path).map_err(io_at(&path))?.file_type().is_symlink();
        let real = if link { inside(base, at, &path)? } else { path.clone() };
        let meta = fs::metadata(&real).map_err(io_at(&path))?;
        if meta.is_dir() {
            folder(base, &real, &rel, depth + 1, out)?;
        } else if meta.is_file() {
            let executable = meta.permissions().mode() & 0o100 != 0;
            out.push(TreeFile { rel, path: real, len: meta.len(), executable });
        } else {
            return Err(TreeError::Special { path });
        }
    }
    Ok(())
}

/// What a link points to, which must lie inside the tree and not above the link.
fn inside(base: &Path, at: &Path, link: &Path) -> Result<PathBuf, TreeError> {
    let refuse = |why| TreeError::Link { path: link.into(), why };
    let real = fs::canonicalize(link).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => refuse("points to nothing"),
        _ if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => refuse("goes round in circles"),
        _ => TreeError::Io { path: link.into(), source: e },
    })?;
    if !real.starts_with(base) {
        return Err(refuse("points out of the tree"));
    }
    if at.starts_with(&real) {
        return Err(refuse("goes round in circles"));
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_become_what_they_point_to() {
        let dir = tempfile::tempdir().expect("tempdir");
        let at = |p: &str| dir.path().join(p);
        fs::create_dir_all(at("a/b")).expect("mkdir");
        fs::write(at("a/b/f"), "f").expect("write");
        symlink("b/f", at("a/link")).expect("symlink");
        symlink("b", at("a/dir")).expect("symlink");
        let names: Vec<String> = walk(&at("a")).expect("walk").into_iter().map(|f| f.rel).collect();
        assert_eq!(names, ["b/f", "dir/f", "link"]);
        for (target, why) in
            [("/etc/passwd", "out"), ("../x", "nothing"), ("..", "out"), (".", "circle"), ("bad", "circle")]
        {
            symlink(target, at("a/bad")).expect("symlink");
            assert!(matches!(walk(&at("a")), Err(TreeError::Link { .. })), "{why}");
            fs::remove_file(at("a/bad")).expect("rm");
        }
    }
}
