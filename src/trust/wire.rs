//! *Wire* is the encoding of SSH: big-endian integers and byte strings with a 32-bit length in front (RFC 4251, section 5).
//!
//! It knows no key or signature; it only reads from a slice and never past its end. `spec/trust.md`, section "Keys".

/// Bytes do not hold what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireError;

/// Reads one value after another.
#[derive(Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(WireError)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.take(N)?.try_into().map_err(|_| WireError)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A byte string; its length is checked against what is there before anything is done with it.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], WireError> {
        let n = usize::try_from(self.u32()?).map_err(|_| WireError)?;
        self.take(n)
    }

    /// A positive `mpint` of at most 32 bytes in its shortest form, left-padded to 32.
    pub(crate) fn scalar(&mut self) -> Result<[u8; 32], WireError> {
        let raw = self.string()?;
        let digits = match raw {
            [] => return Err(WireError),
            [0, next, ..] if *next >= 0x80 => raw.get(1..).ok_or(WireError)?,
            [0, ..] => return Err(WireError),
            [first, ..] if *first >= 0x80 => return Err(WireError),
            _ => raw,
        };
        let pad = 32usize.checked_sub(digits.len()).ok_or(WireError)?;
        let mut out = [0; 32];
        out.get_mut(pad..).ok_or(WireError)?.copy_from_slice(digits);
        Ok(out)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// All must have been read.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError) }
    }
}

/// Appends a byte string. Everything written here is far below 4 GiB: keys, signatures, one statement's digest.
pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends 32 big-endian bytes as an `mpint` in its shortest form.
pub(crate) fn put_scalar(out: &mut Vec<u8>, scalar: &[u8; 32]) {
    let zeros = scalar.iter().take_while(|b| **b == 0).count();
    let mut digits: Vec<u8> = scalar.iter().skip(zeros).copied().collect();
    if digits.first().is_some_and(|b| *b >= 0x80) {
        digits.insert(0, 0);
    }
    put_string(out, &digits);
    zeroize::Zeroize::zeroize(&mut digits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scalars_have_one_form() {
        for (bytes, good) in [
            (&[0u8, 0, 0, 1, 5][..], true),
            (&[0, 0, 0, 2, 0, 0x80], true),
            (&[0, 0, 0, 0], false),
            (&[0, 0, 0, 1, 0], false),
            (&[0, 0, 0, 1, 0x80], false),
            (&[0, 0, 0, 2, 0, 5], false),
            (&[0, 0, 0, 2, 5], false),
            (&[255, 255, 255, 255, 5], false),
        ] {
            assert_eq!(Reader::new(bytes).scalar().is_ok(), good, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn back_and_forth(scalar: [u8; 32], text: Vec<u8>) {
            prop_assume!(scalar != [0; 32]);
            let mut out = Vec::new();
            put_scalar(&mut out, &scalar);
            put_string(&mut out, &text);
            let mut r = Reader::new(&out);
            prop_assert_eq!(r.scalar(), Ok(scalar));
            prop_assert_eq!(r.string(), Ok(&text[..]));
            prop_assert_eq!(r.end(), Ok(()));
        }
    }
}
