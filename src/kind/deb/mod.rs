//! A *deb* is a Debian package: an ar archive of a version, a control member that describes it, and a data member.
//!
//! The data member is never unpacked, and nothing is checked against the repository that it came from. See deb(5);
//! specified in `spec/facts.md`, section "deb/1".

use super::{BlobReader, Derived, KindError, top};
use crate::cbor::{Bytes, Cbor, CborError, Value, encode, record};
use crate::digest::Blob;
use crate::limits;
use crate::model::Artifact;

pub(crate) mod ar;
mod archive;
pub mod control;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

/// How a member of a deb is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// bzip2; of data members only.
    Bzip2,
    /// lzma; of data members only.
    Lzma,
}

impl Compression {
    const ALL: [Compression; 6] = [
        Compression::None,
        Compression::Gzip,
        Compression::Xz,
        Compression::Zstd,
        Compression::Bzip2,
        Compression::Lzma,
    ];

    /// The name in facts.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Lzma => "lzma",
        }
    }

    /// What the member's name ends in, after `control.tar` or `data.tar`.
    fn of_suffix(suffix: &str) -> Option<Compression> {
        Some(match suffix {
            "" => Compression::None,
            ".gz" => Compression::Gzip,
            ".xz" => Compression::Xz,
            ".zst" => Compression::Zstd,
            ".bz2" => Compression::Bzip2,
            ".lzma" => Compression::Lzma,
            _ => return None,
        })
    }
}

impl Cbor for Compression {
    fn to_value(&self) -> Value {
        Value::Text(self.name().into())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        let name = String::from_value(v)?;
        let found = Compression::ALL.into_iter().find(|c| c.name() == name);
        found.ok_or_else(|| CborError::Value(format!("unknown compression {name:?}")))
    }
}

record! {
    /// A file of the control member other than the control file: a maintainer script, a list.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ControlFile {
        /// Its name: `postinst`, `md5sums`.
        0 => name: String,
        /// Its bytes; absent for a link.
        1 => blob: Option<Blob>,
        /// What a link points to, as written; absent for a file.
        2 => link: Option<String>,
    }
}

record! {
    /// Facts of a deb, schema `deb/1`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DebFacts {
        /// The fields of the control file in its order: name and value, as [`control::Fields`] has them.
        0 => fields: Vec<(String, String)>,
        /// The other files of the control member, by name.
        1 => files: Vec<ControlFile>,
        /// How the control member is compressed.
        2 => control_compression: Compression,
        /// How the data member is compressed.
        3 => data_compression: Compression,
        /// The data member's length as stored, in bytes.
        4 => data_len: u64,
        /// Names of members besides the three that make a deb, in their order (`_gpgorigin`).
        5 => extra: Vec<String>,
    }
}

impl DebFacts {
    /// The value of a field of the control file; the case of its name does not matter.
    pub fn field(&self, name: &str) -> Option<&str> {
        control::field(&self.fields, name)
    }
}

/// Where the parts of a deb are.
struct Shell {
    control: (ar::Member, Compression),
    data: (ar::Member, Compression),
    extra: Vec<String>,
}

fn malformed(why: impl Into<String>) -> KindError {
    KindError::malformed("the deb", why)
}

/// Finds the three members in their order. Others may stand between and after them where their names begin with `_`,
/// as deb(5) has it; readers that pick members by name then all find the same ones.
fn shell(members: Vec<ar::Member>) -> Result<(ar::Member, Shell), KindError> {
    let mut members = members.into_iter();
    let version = members.next().filter(|m| m.name == "debian-binary");
    let version = version.ok_or_else(|| malformed("its first member is not debian-binary"))?;
    let (mut control, mut data, mut extra) = (None, None, Vec::new());
    for m in members {
        let part = |prefix: &str| m.name.strip_prefix(prefix).and_then(Compression::of_suffix);
        if m.name.starts_with('_') {
            extra.push(m.name);
        } else if control.is_none()
            && let Some(c) = part("control.tar")
        {
            control = Some((m, c));
        } else if control.is_some()
            && data.is_none()
            && let Some(c) = part("data.tar")
        {
            data = Some((m, c));
        } else {
            return Err(malformed(format!("its member {:?} is out of place", m.name)));
        }
    }
    let control = control.ok_or_else(|| malformed("it has no control member"))?;
    let data = data.ok_or_else(|| malformed("it has no data member"))?;
    Ok((version, Shell { control, data, extra }))
}

/// Format 2.x is the one in use since 1995; a higher minor may add lines, which are skipped.
fn check_version(text: &[u8]) -> Result<(), KindError> {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let minor = line.strip_prefix(b"2.").unwrap_or_default();
    let ok = !minor.is_empty() && minor.iter().all(u8::is_ascii_digit) && line.len() < text.len();
    if ok { Ok(()) } else { Err(KindError::Unsupported("a deb whose format is not 2.x".into())) }
}

/// Reads the facts of a deb of `len` bytes.
pub fn facts(file: &mut dyn super::ReadSeek, len: u64) -> Result<DebFacts, KindError> {
    let (version, shell) = shell(ar::members(file, len)?)?;
    check_version(&ar::read(file, &version, "the version of the deb", 1024)?)?;
    let (member, compression) = shell.control;
    let stored = ar::read(file, &member, "the control member of the deb", limits::DEB_CONTROL)?;
    let (text, files) = archive::read(&archive::unpack(compression, &stored)?)?;
    let fields = control::parse("the control file of the deb", &text)?;
    let (data, data_compression) = shell.data;
    Ok(DebFacts {
        fields,
        files,
        control_compression: compression,
        data_compression,
        data_len: data.len,
        extra: shell.extra,
    })
}

/// Where the data member lies in a deb of `len` bytes: offset and length, as stored; and how its name says it is compressed.
pub fn data(file: &mut dyn super::ReadSeek, len: u64) -> Result<(u64, u64, Compression), KindError> {
    let (_, shell) = shell(ar::members(file, len)?)?;
    let (member, compression) = shell.data;
    Ok((member.start, member.len, compression))
}

/// Reads what the bytes say: name, version and architecture from the control file.
pub fn derive(artifact: &Artifact, blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let blob = top(artifact)?;
    let facts = facts(&mut *blobs.open(&blob)?, blob.len)?;
    let required = |name: &str, ok: fn(&str) -> bool| {
        let value = facts.field(name).ok_or_else(|| malformed(format!("its control file has no {name}")))?;
        if ok(value) { Ok(Some(value.to_owned())) } else { Err(malformed(format!("{value:?} is not a {name}"))) }
    };
    Ok(Derived {
        name: required("Package", control::is_package_name)?,
        version: required("Version", control::is_version)?,
        arch: required("Architecture", control::is_architecture)?,
        blobs: vec![blob],
        made: vec![],
        facts: Bytes(encode(&facts)),
    })
}
