//! An *output* is a file that appears under its name only when it is whole: written beside it, synced, renamed.

use rustix::fs::{Advice, fadvise};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Bytes after which what was written starts its way to the medium, so that the sync at the end waits less.
const WRITE_OUT: u64 = 32 << 20;

/// A file in the making.
pub struct Output {
    file: BufWriter<tempfile::NamedTempFile>,
    path: PathBuf,
    written: u64,
    /// Bytes whose writing to the medium was begun.
    begun: u64,
}

impl Output {
    /// Begins a file that will be called `path`; its folder must exist.
    pub fn create(path: &Path) -> io::Result<Output> {
        let (folder, name) = Output::check(path)?;
        let prefix = format!(".{}.", name.to_string_lossy());
        let file = tempfile::Builder::new().prefix(&prefix).suffix(".partial").tempfile_in(folder)?;
        Ok(Output { file: BufWriter::with_capacity(1 << 20, file), path: path.into(), written: 0, begun: 0 })
    }

    /// Whether a file can be put there: to be asked before long work. The folder must exist, and what has the name must
    /// be a file: a rename over a pipe or a device would take it away.
    pub fn check(path: &Path) -> io::Result<(&Path, &OsStr)> {
        let wrong = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        let name = path.file_name().filter(|_| !path.as_os_str().as_bytes().ends_with(b"/"));
        let name = name.ok_or_else(|| wrong("it has no file name"))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !fs::metadata(folder)?.is_dir() {
            return Err(wrong("it would not lie in a folder"));
        }
        match fs::metadata(path) {
            Ok(there) if !there.is_file() => Err(wrong("there is something that is not a regular file")),
            _ => Ok((folder, name)),
        }
    }

    /// Syncs it and gives it its name and `mode`.
    pub fn publish(self, mode: u32) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.file.into_inner().map_err(|e| e.into_error())?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        let folder = file.path().parent().map(Path::to_path_buf);
        file.persist(&self.path).map_err(|e| e.error)?;
        match folder {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buf)?;
        self.written += n as u64;
        if self.written - self.begun >= WRITE_OUT {
            start_writing_out(self.file.get_ref().as_file(), self.begun);
            self.begun = self.written;
        }
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Asks that what was written of a file from `offset` on goes to the medium now, without waiting for it. A hint: on Linux
/// this begins the writing of dirty pages, which stay in memory until they are clean.
pub(super) fn start_writing_out(file: &File, offset: u64) {
    let _ = fadvise(file, offset, None, Advice::DontNeed);
}

/// Writes a small file whole.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut out = Output::create(path)?;
    out.write_all(bytes)?;
    out.publish(mode)
}
