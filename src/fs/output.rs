//! An *output* is a file that appears under its name only when it is whole: written beside it, synced, renamed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file in the making.
pub struct Output {
    file: BufWriter<tempfile::NamedTempFile>,
    path: PathBuf,
}

impl Output {
    /// Begins a file that will be called `path`; its folder must exist.
    pub fn create(path: &Path) -> io::Result<Output> {
        let folder = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        let name = path.file_name().ok_or_else(|| io::Error::other("it has no file name"))?;
        let prefix = format!(".{}.", name.to_string_lossy());
        let file = tempfile::Builder::new().prefix(&prefix).suffix(".partial").tempfile_in(folder)?;
        Ok(Output { file: BufWriter::with_capacity(1 << 20, file), path: path.into() })
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
        self.file.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a small file whole.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut out = Output::create(path)?;
    out.write_all(bytes)?;
    out.publish(mode)
}
