//! *Old content* is a byte string that can be read anywhere: a file, memory, or ranges of several of them joined.
//!
//! It does not say where the bytes come from or whether they are the right ones; who opens it has hashed it.

use std::io;

/// Old content.
pub trait Old: Sync {
    /// Its length.
    fn size(&self) -> u64;
    /// Fills `buf` with the bytes from `at` on. An end before `buf` is full is an error.
    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()>;
}

fn beyond() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of old content")
}

impl Old for [u8] {
    fn size(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }
    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let from = usize::try_from(at).map_err(|_| beyond())?;
        let bytes = self.get(from..).and_then(|rest| rest.get(..buf.len())).ok_or_else(beyond)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl Old for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }
    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buf, at)
    }
}

impl<T: Old + ?Sized> Old for &T {
    fn size(&self) -> u64 {
        (**self).size()
    }
    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        (**self).read_exact_at(buf, at)
    }
}

/// A range of old content.
pub struct Extent<'a> {
    /// What it is a range of.
    pub of: &'a dyn Old,
    /// Where it begins.
    pub offset: u64,
    /// How long it is, at least 1.
    pub len: u64,
}

/// Extents joined to one old content, in the order given; they may overlap and repeat.
pub struct Joined<'a> {
    /// Extents and where each begins.
    parts: Vec<(u64, Extent<'a>)>,
    len: u64,
}

impl<'a> Joined<'a> {
    /// Joins extents, or gives the number of the first that is empty, reaches beyond its content or makes the sum too large.
    pub fn new(extents: Vec<Extent<'a>>) -> Result<Joined<'a>, usize> {
        let mut len = 0u64;
        let mut parts = Vec::with_capacity(extents.len());
        for (n, e) in extents.into_iter().enumerate() {
            let inside = e.offset.checked_add(e.len).is_some_and(|end| end <= e.of.size());
            let next = len.checked_add(e.len).filter(|_| inside && e.len > 0).ok_or(n)?;
            parts.push((len, e));
            len = next;
        }
        Ok(Joined { parts, len })
    }
}

impl Old for Joined<'_> {
    fn size(&self) -> u64 {
        self.len
    }
    fn read_exact_at(&self, mut buf: &mut [u8], mut at: u64) -> io::Result<()> {
        let mut n = self.parts.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        while !buf.is_empty() {
            let (start, e) = self.parts.get(n).ok_or_else(beyond)?;
            let skip = at.saturating_sub(*start);
            let left = usize::try_from(e.len.saturating_sub(skip)).unwrap_or(usize::MAX);
            let (now, rest) = buf.split_at_mut(left.min(buf.len()));
            e.of.read_exact_at(now, e.offset.saturating_add(skip))?;
            at = at.saturating_add(u64::try_from(now.len()).unwrap_or(u64::MAX));
            buf = rest;
            n = n.saturating_add(1);
        }
        Ok(())
    }
}
