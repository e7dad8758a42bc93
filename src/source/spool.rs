//! A *spool* is what a compressed archive expanded to in the survey, kept in memory so that it need not be expanded again.
//!
//! It only saves time: as long as a budget reaches, archives are kept whole; the others are expanded twice. Not part of
//! the specification.

use crate::limits;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of one piece; a growing vector would need twice its length.
const PIECE: usize = 1 << 20;

/// What is kept, and how much more may be.
#[derive(Debug)]
pub struct Spools {
    left: AtomicU64,
    kept: Mutex<BTreeMap<PathBuf, Arc<Pieces>>>,
}

type Pieces = Vec<Vec<u8>>;

impl Default for Spools {
    fn default() -> Spools {
        Spools { left: AtomicU64::new(limits::SPOOLED), kept: Mutex::default() }
    }
}

impl Spools {
    /// Reads on through the reader that is given back, which keeps what passes.
    pub fn keep<R: Read>(&self, inner: R) -> Keeping<'_, R> {
        Keeping { inner, spools: self, pieces: Some(Vec::new()) }
    }

    /// The plain stream of an archive, where it was kept.
    pub fn open(&self, archive: &Path) -> Option<impl Read + use<>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(archive).map(|pieces| Kept { pieces: pieces.clone(), piece: 0, at: 0 })
    }

    fn claim(&self, bytes: u64) -> bool {
        let claimed = |left: u64| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claimed).is_ok()
    }
}

/// See [`Spools::keep`]. Dropped before [`Keeping::finish`], it keeps nothing.
pub struct Keeping<'a, R> {
    inner: R,
    spools: &'a Spools,
    pieces: Option<Pieces>,
}

impl<R> Keeping<'_, R> {
    /// All of `archive` that anybody will want has passed.
    pub fn finish(mut self, archive: &Path) {
        if let Some(pieces) = self.pieces.take() {
            let mut kept = self.spools.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(archive.to_owned(), Arc::new(pieces));
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let (Some(pieces), false) = (&mut self.pieces, bytes.is_empty()) {
            if pieces.last().is_none_or(|p| p.len() == PIECE) {
                if !self.spools.claim(PIECE as u64) {
                    return self.forget();
                }
                pieces.push(Vec::with_capacity(PIECE));
            }
            let Some(last) = pieces.last_mut() else { return };
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - last.len()));
            last.extend_from_slice(now);
            bytes = later;
        }
    }

    fn forget(&mut self) {
        let freed = self.pieces.take().map_or(0, |pieces| pieces.len() as u64 * PIECE as u64);
        self.spools.left.fetch_add(freed, Ordering::Relaxed);
    }
}

impl<R> Drop for Keeping<'_, R> {
    fn drop(&mut self) {
        self.forget();
    }
}

impl<R: Read> Read for Keeping<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.take(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

struct Kept {
    pieces: Arc<Pieces>,
    piece: usize,
    at: usize,
}

impl Read for Kept {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(piece) = self.pieces.get(self.piece) else { return Ok(0) };
            let rest = piece.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                (self.piece, self.at) = (self.piece + 1, 0);
                continue;
            }
            let n = (&mut &*rest).read(buf)?;
            self.at += n;
            return Ok(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(spools: &Spools, name: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        spools.open(Path::new(name))?.read_to_end(&mut out).expect("from memory");
        Some(out)
    }

    #[test]
    fn what_passes_is_kept_as_far_as_the_budget_reaches() {
        let data: Vec<u8> = (0..3 * PIECE + 5).map(|i| (i % 251) as u8).collect();
        let spools = Spools { left: AtomicU64::new(5 * PIECE as u64), kept: Mutex::default() };
        for (name, len, kept) in [("a", data.len(), true), ("b", PIECE + 1, false), ("c", PIECE, true), ("d", 1, false)]
        {
            let mut through = spools.keep(&data[..len]);
            let mut out = Vec::new();
            through.read_to_end(&mut out).expect("from memory");
            assert!(out == data[..len]);
            through.finish(Path::new(name));
            assert_eq!(all(&spools, name).is_some_and(|have| have == data[..len]), kept, "{name}");
        }
        let half = Spools { left: AtomicU64::new(PIECE as u64), kept: Mutex::default() };
        drop({
            let mut through = half.keep(&data[..10]);
            through.read_exact(&mut [0; 5]).expect("from memory");
            through
        });
        assert_eq!(
            half.left.load(Ordering::Relaxed),
            PIECE as u64,
            "an archive that was not read to its end is not kept"
        );
    }
}
