//! *Bits* as deflate packs them: least significant first (RFC 1951, section 3.1.1).

/// Whole bytes of a deflate stream, and the bits that do not make a byte yet.
#[derive(Debug, Default)]
pub struct BitWriter {
    out: Vec<u8>,
    bits: u64,
    count: u32,
    /// Bits taken away as whole bytes, less those the writer began after.
    gone: u64,
}

impl BitWriter {
    /// A writer that begins after `count` bits (0 to 7) of `bits`.
    #[must_use]
    pub fn after(bits: u8, count: u32) -> Self {
        let count = count & 7;
        let mask = (1u64 << count) - 1;
        Self { out: Vec::new(), bits: u64::from(bits) & mask, count, gone: 0u64.wrapping_sub(u64::from(count)) }
    }

    /// Appends the low `count` bits (at most 32) of `value`; bits above are zero.
    #[inline]
    pub fn put(&mut self, value: u32, count: u32) {
        self.bits |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out.extend_from_slice(&(self.bits & 0xffff_ffff).to_le_bytes()[..4]);
            self.bits >>= 32;
            self.count -= 32;
        }
    }

    /// Zero bits up to the next whole byte.
    pub fn align(&mut self) {
        let short = (8 - self.count % 8) % 8;
        self.put(0, short);
    }

    /// Appends whole bytes; the writer must be aligned.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.flush_whole();
        self.out.extend_from_slice(bytes);
    }

    fn flush_whole(&mut self) {
        while self.count >= 8 {
            self.out.push((self.bits & 0xff) as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    /// Takes the whole bytes that are complete; fewer than 8 bits stay.
    pub fn take(&mut self) -> Vec<u8> {
        self.flush_whole();
        self.gone = self.gone.wrapping_add(self.out.len() as u64 * 8);
        std::mem::take(&mut self.out)
    }

    /// Bits after the last whole byte, and how many (0 to 7), once [`take`](Self::take) was called.
    #[must_use]
    pub fn rest(&self) -> (u8, u32) {
        ((self.bits & 0xff) as u8, self.count)
    }

    /// Bits put since the writer began, those it began after not counted.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.gone.wrapping_add(self.out.len() as u64 * 8).wrapping_add(u64::from(self.count))
    }

    /// Bytes waiting to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.out.len() + (self.count / 8) as usize
    }
}
