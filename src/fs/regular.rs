//! A *regular file* is the only thing that is ever read by a path that a user, a list or a stick names: pipes are not
//! waited on, devices are not read without end, and folders are refused by one message.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Opens a regular file; anything else is refused as [`io::ErrorKind::InvalidInput`], at once.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

/// All of a regular file of at most `limit` bytes.
pub fn small(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut out)?;
    if u64::try_from(out.len()).is_ok_and(|n| n <= limit) {
        return Ok(out);
    }
    let text = format!("it has more than {limit} bytes, which is too large for what it should be");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_their_size() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("f");
        std::fs::write(&file, "12345").expect("write");
        assert_eq!(small(&file, 5).expect("fits"), b"12345");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o644)).expect("mkfifo");
        for (path, limit) in [(&*file, 4), (&*pipe, 5), (dir.path(), 5), (Path::new("/dev/zero"), 5)] {
            assert_eq!(small(path, limit).expect_err("refused").kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
    }
}
