//! A *digest* is a SHA-256 (FIPS 180-4), the only digest by which pouch knows bytes.
//!
//! It does no I/O of its own; callers feed it. Specified in `spec/bundle.md`, section "Digests".

use crate::cbor::{Cbor, CborError, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Read, Write};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// A text is not a digest in the form asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a SHA-256 digest")]
pub struct DigestError(pub String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The digest of metadata: SHA-256 of `"pouch/v1/" + label + NUL + bytes`.
    pub fn labelled(label: &str, bytes: &[u8]) -> Digest {
        let mut h = Hasher::new();
        h.update(b"pouch/v1/");
        h.update(label.as_bytes());
        h.update(&[0]);
        h.update(bytes);
        h.finish().digest
    }

    /// Parses exactly 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Digest, DigestError> {
        let err = || DigestError(text.chars().take(80).collect());
        let raw = text.as_bytes();
        if raw.len() != 64 {
            return Err(err());
        }
        let nibble = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        let mut out = [0u8; 32];
        for (o, pair) in out.iter_mut().zip(raw.chunks_exact(2)) {
            match pair {
                [h, l] => *o = nibble(*h).ok_or_else(err)? << 4 | nibble(*l).ok_or_else(err)?,
                _ => return Err(err()),
            }
        }
        Ok(Digest(out))
    }

    /// Parses `sha256:<64 hex>`, the form of OCI descriptors.
    pub fn from_oci(text: &str) -> Result<Digest, DigestError> {
        match text.strip_prefix("sha256:") {
            Some(hex) => Digest::from_hex(hex),
            None => Err(DigestError(text.chars().take(80).collect())),
        }
    }

    /// 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
        self.0.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
    }

    /// `sha256:<64 hex>`.
    pub fn oci(&self) -> String {
        format!("sha256:{}", self.hex())
    }

    /// The first 16 hexadecimal digits, for tables and messages.
    pub fn short(&self) -> String {
        self.0[..8].iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Digest::from_hex(&text).map_err(serde::de::Error::custom)
    }
}

impl Cbor for Digest {
    fn to_value(&self) -> Value {
        Value::Bytes(self.0.to_vec())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        match v {
            Value::Bytes(b) => Ok(Digest(b.try_into().map_err(|_| CborError::Type("a 32-byte digest"))?)),
            _ => Err(CborError::Type("a 32-byte digest")),
        }
    }
}

/// A *blob* named by its digest and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Blob {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub len: u64,
}

impl Blob {
    /// The blob that `bytes` are.
    pub fn of(bytes: &[u8]) -> Blob {
        Blob { digest: Digest::of(bytes), len: bytes.len() as u64 }
    }
}

crate::cbor::tuple!(Blob { digest, len });

/// A running SHA-256 that also counts bytes.
#[derive(Clone, Default)]
pub struct Hasher {
    sha: Sha256,
    len: u64,
}

impl Hasher {
    /// Nothing hashed yet.
    pub fn new() -> Hasher {
        Hasher::default()
    }
    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.len += bytes.len() as u64;
    }
    /// Digest and length of all that was taken in.
    pub fn finish(self) -> Blob {
        Blob { digest: Digest(self.sha.finalize().into()), len: self.len }
    }
}

/// A reader that hashes what passes through it.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Hashes what is read from `inner`.
    pub fn new(inner: R) -> Self {
        HashingReader { inner, hasher: Hasher::new() }
    }
    /// The reader, and the blob that was read through it.
    pub fn finish(self) -> (R, Blob) {
        (self.inner, self.hasher.finish())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}

/// A writer that hashes what passes through it.
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> HashingWriter<W> {
    /// Hashes what is written to `inner`.
    pub fn new(inner: W) -> Self {
        HashingWriter { inner, hasher: Hasher::new() }
    }
    /// The writer, and the blob that was written through it.
    pub fn finish(self) -> (W, Blob) {
        (self.inner, self.hasher.finish())
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes all that `reader` gives, in pieces of 1 MiB.
pub fn hash_reader(reader: &mut dyn Read) -> io::Result<Blob> {
    let mut hasher = Hasher::new();
    let mut buf = vec![0u8; 1 << 20];
    loop {
        match reader.read(&mut buf) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buf[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer_and_forms() {
        let d = Digest::of(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(d.hex(), hex);
        assert_eq!(Digest::from_hex(hex).as_ref(), Ok(&d));
        assert_eq!(Digest::from_oci(&d.oci()), Ok(d));
        for bad in [&hex[1..], &hex.to_uppercase(), &format!("{hex}0"), "", "é"] {
            assert!(Digest::from_hex(bad).is_err(), "{bad}");
        }
        assert!(Digest::from_oci(hex).is_err());
        assert!(Digest::from_oci(&format!("sha512:{hex}")).is_err());
    }
}
