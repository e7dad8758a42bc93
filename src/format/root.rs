//! A *root* is the small document whose digest is an id: the release root says what a release is, the carriage root how one
//! bundle carries it.
//!
//! It does not read the sections that it names. Specified in `spec/bundle.md`, section "Roots".

use super::FormatError;
use super::section::SectionKind;
use crate::cbor::{self, Bytes, Cbor as _, record};
use crate::codec::form::Form;
use crate::digest::Digest;
use crate::limits;
use crate::model::Kind;
use crate::replay::family::FAMILIES;

/// The feature of carriages that leave out what base blobs hold.
pub const BASE: &str = "base/1";
/// The feature of carriages with blocks that are patches.
pub const PATCH: &str = "patch/1";

/// The extension of the carriage root that says why a release was made of another one, in words.
pub const REASON: u64 = 1;
/// Longest reason, in bytes: as long as the words of a statement may be.
const REASON_BYTES: usize = 1000;

/// The feature of carriages with streams that an encoder of this family makes.
pub fn replay(family: &str) -> String {
    format!("replay/{family}")
}

record! {
    /// Number and bytes of the artifacts of one kind.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
    pub struct Total {
        /// The kind.
        0 => kind: Kind,
        /// How many artifacts.
        1 => artifacts: u64,
        /// Bytes of their blobs; a blob that several of them share counts once.
        2 => bytes: u64,
    }
}

record! {
    /// A release section, by the digest of its plain bytes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SectionRef {
        /// What it holds.
        0 => kind: SectionKind,
        /// Entries in it.
        1 => entries: u32,
        /// Plain bytes.
        2 => plain_len: u32,
        /// Digest of the plain bytes, labelled by kind.
        3 => digest: Digest,
    }
}

record! {
    /// The release root.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReleaseRoot {
        /// The stream's name.
        0 => stream: String,
        /// Epoch of the stream.
        1 => epoch: u64,
        /// Sequence within the epoch, from 1.
        2 => sequence: u64,
        /// What people call the release.
        3 => version: Option<String>,
        /// Per kind, in the order of kind names, only kinds that occur.
        4 => totals: Vec<Total>,
        /// Blobs of the release.
        5 => blobs: u64,
        /// Their bytes.
        6 => bytes: u64,
        /// The release sections: artifacts, then facts, then blobs.
        7 => sections: Vec<SectionRef>,
        /// Features that a reader of the release must know: the schemas of its facts, sorted.
        8 => requires: Vec<String>,
        /// Extensions that a reader may ignore, by number.
        9 => ext: Option<Vec<(u64, Bytes)>>,
    }
}

record! {
    /// A section as it lies in the file.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StoredSection {
        /// What it holds.
        0 => kind: SectionKind,
        /// Entries in it.
        1 => entries: u32,
        /// Plain bytes.
        2 => plain_len: u32,
        /// Digest of the plain bytes, labelled by kind.
        3 => digest: Digest,
        /// 0: stored as it is; 1: one zstd frame.
        4 => codec: u32,
        /// Bytes in the file.
        5 => stored_len: u32,
        /// Digest of the bytes in the file.
        6 => stored_digest: Digest,
    }
}

record! {
    /// The carriage root.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CarriageRoot {
        /// The release that it carries.
        0 => release: Digest,
        /// All sections in file order: those of the release, in its order, then recipes, chunks, blocks, bases.
        1 => sections: Vec<StoredSection>,
        /// Blocks.
        2 => blocks: u64,
        /// Their bytes as stored.
        3 => blocks_len: u64,
        /// Chunks.
        4 => chunks: u64,
        /// Scratch space that an unpack needs beside the blobs, in bytes.
        5 => scratch: u64,
        /// Features that a reader of the carriage must know, sorted.
        6 => requires: Vec<String>,
        /// Extensions that a reader may ignore, by number.
        7 => ext: Option<Vec<(u64, Bytes)>>,
        /// The releases against which a delta was made: whoever has unpacked them has its bases.
        8 => against: Option<Vec<BaseRelease>>,
    }
}

/// A release that carried bases of a delta.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct BaseRelease {
    /// Its stream.
    pub stream: String,
    /// Its epoch.
    pub epoch: u64,
    /// Its sequence.
    pub sequence: u64,
    /// Its id.
    pub release: Digest,
}

cbor::tuple!(BaseRelease { stream, epoch, sequence, release });

/// A root that has an id.
pub trait Root: cbor::Cbor {
    /// The label under which its bytes are hashed.
    const LABEL: &'static str;
    /// What it is called in messages.
    const WHAT: &'static str;
    /// Its key of the list of required features.
    const REQUIRES: u64;
    /// Whether this program has a feature.
    fn knows(feature: &str) -> bool;
    /// The rules that its type does not hold.
    fn check(&self) -> Result<(), FormatError>;

    /// Bytes and id.
    fn seal_off(&self) -> Result<(Vec<u8>, Digest), FormatError> {
        self.check()?;
        let bytes = cbor::encode(self);
        let (have, limit) = (bytes.len().try_into().unwrap_or(u64::MAX), u64::from(limits::ROOT));
        if have > limit {
            return Err(FormatError::Limit { what: Self::WHAT, have, limit });
        }
        let id = Digest::labelled(Self::LABEL, &bytes);
        Ok((bytes, id))
    }

    /// Decodes the bytes that have the id `id`.
    fn open(bytes: &[u8], id: &Digest) -> Result<Self, FormatError> {
        if Digest::labelled(Self::LABEL, bytes) != *id {
            return Err(FormatError::Digest { what: Self::WHAT.into() });
        }
        refuse_unknown_features::<Self>(bytes)?;
        let root: Self = cbor::decode(bytes).map_err(FormatError::cbor(Self::WHAT))?;
        root.check()?;
        Ok(root)
    }
}

impl Root for ReleaseRoot {
    const LABEL: &'static str = "release";
    const WHAT: &'static str = "the release root";
    const REQUIRES: u64 = 8;

    fn knows(feature: &str) -> bool {
        Kind::ALL.into_iter().any(|k| schema(k) == feature)
    }

    fn check(&self) -> Result<(), FormatError> {
        let rule = |why: &str| Err(FormatError::rule(Self::WHAT, why));
        if !is_stream_name(&self.stream) {
            return rule("the stream's name is not of the form [a-z0-9][a-z0-9._-]{0,62}");
        }
        if self.sequence == 0 {
            return rule("the sequence is 0");
        }
        if self.version.as_ref().is_some_and(|v| !is_version(v)) {
            return rule("the version is not 1 to 64 printable characters");
        }
        if !self.totals.is_sorted_by(|a, b| a.kind.name() < b.kind.name()) {
            return rule("totals are not in the order of kinds");
        }
        let order = [SectionKind::Artifacts, SectionKind::Facts, SectionKind::Blobs];
        let ranks: Option<Vec<usize>> = self.sections.iter().map(|s| order.iter().position(|k| *k == s.kind)).collect();
        match ranks {
            Some(r) if r.is_sorted() => {}
            _ => return rule("its sections are not artifacts, facts, blobs in this order"),
        }
        let mut schemas: Vec<String> = self.totals.iter().map(|t| schema(t.kind)).collect();
        schemas.sort();
        if self.requires != schemas {
            return rule("requires is not exactly the sorted list of the schemas that it uses");
        }
        check_ext(Self::WHAT, self.ext.as_deref())
    }
}

impl Root for CarriageRoot {
    const LABEL: &'static str = "carriage";
    const WHAT: &'static str = "the carriage root";
    const REQUIRES: u64 = 6;

    fn knows(feature: &str) -> bool {
        let form = Form::ALL.iter().any(|form| form.feature() == Some(feature));
        form || feature == BASE || feature == PATCH || FAMILIES.iter().any(|f| replay(f.name) == feature)
    }

    fn check(&self) -> Result<(), FormatError> {
        let rule = |why: &str| Err(FormatError::rule(Self::WHAT, why));
        if !self.requires.is_sorted_by(|a, b| a < b) {
            return rule("requires is not sorted, or lists a feature twice");
        }
        let delta = self.requires.iter().any(|f| f == BASE);
        if self.scratch != 0 && self.requires.is_empty() {
            return rule("it asks for scratch space without a feature that needs any");
        }
        self.check_against(delta)?;
        if !self.sections.is_sorted_by(|a, b| a.kind <= b.kind) {
            return rule("its sections are not in the order of their kinds");
        }
        let plain: u64 = self.sections.iter().map(|s| u64::from(s.plain_len)).fold(0, u64::saturating_add);
        if plain > limits::INDEX_PLAIN {
            return Err(FormatError::Limit {
                what: "the bytes of all sections",
                have: plain,
                limit: limits::INDEX_PLAIN,
            });
        }
        for s in &self.sections {
            for (what, have, limit) in [
                ("the bytes of a section", s.plain_len, limits::SECTION_PLAIN),
                ("the entries of a section", s.entries, limits::SECTION_ENTRIES),
            ] {
                if have > limit {
                    return Err(FormatError::Limit { what, have: have.into(), limit: limit.into() });
                }
            }
            if s.kind >= SectionKind::Bases && !delta {
                return rule("it has a section of bases or expansions without the feature base/1");
            }
            if s.kind == SectionKind::Extents && !self.requires.iter().any(|f| f == PATCH) {
                return rule("it has a section of extents without the feature patch/1");
            }
            if s.entries == 0 {
                return rule("a section has no entries");
            }
            match s.codec {
                0 if s.stored_len == s.plain_len && s.stored_len > 0 => {}
                1 if s.stored_len < s.plain_len && s.stored_len > 0 => {}
                0 | 1 => return rule("a section's lengths do not fit its codec"),
                _ => return rule("a section has an unknown codec"),
            }
        }
        check_ext(Self::WHAT, self.ext.as_deref())
    }
}

impl CarriageRoot {
    /// Why the release was made of another one, where its packer said so in a form that can be shown.
    pub fn reason(&self) -> Option<&str> {
        let ext = self.ext.as_deref().unwrap_or_default();
        let (_, bytes) = ext.iter().find(|(number, _)| *number == REASON)?;
        std::str::from_utf8(&bytes.0).ok().filter(|text| is_reason(text))
    }

    fn check_against(&self, delta: bool) -> Result<(), FormatError> {
        let rule = |why| Err(FormatError::rule(Self::WHAT, why));
        let Some(against) = &self.against else { return Ok(()) };
        if !delta || against.is_empty() || !against.is_sorted_by(|a, b| a < b) {
            return rule("it was made against releases without the feature base/1, or they are not in order");
        }
        match against.iter().all(|r| is_stream_name(&r.stream) && r.sequence > 0) {
            true => Ok(()),
            false => rule("a release against which it was made has no such stream or sequence"),
        }
    }
}

fn check_ext(what: &'static str, ext: Option<&[(u64, Bytes)]>) -> Result<(), FormatError> {
    let Some(ext) = ext else { return Ok(()) };
    if ext.is_empty() || !ext.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(FormatError::rule(what, "extensions are empty or out of order"));
    }
    Ok(())
}

/// The schema of a kind's facts, which is also the feature that a release with that kind requires.
pub fn schema(kind: Kind) -> String {
    format!("{}/1", kind.name())
}

/// A root of a newer pouch may have keys and values that do not decode here; its features are asked first, so that the
/// refusal names them.
fn refuse_unknown_features<R: Root>(bytes: &[u8]) -> Result<(), FormatError> {
    let value = cbor::decode_value(bytes).map_err(FormatError::cbor(R::WHAT))?;
    let map = value.as_map().map(Vec::as_slice).unwrap_or_default();
    let requires = map.iter().find(|(k, _)| *k == R::REQUIRES.to_value()).and_then(|(_, v)| v.as_array());
    let names = requires.into_iter().flatten().filter_map(|v| v.as_text());
    let unknown: Vec<String> = names.filter(|f| !R::knows(f)).map(|f| f.escape_debug().to_string()).collect();
    if unknown.is_empty() { Ok(()) } else { Err(FormatError::Features(unknown)) }
}

/// The grammar of stream names: they are shown, typed and used in file names.
pub fn is_stream_name(name: &str) -> bool {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    (1..=63).contains(&name.len()) && name.chars().all(ok) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// The grammar of reasons: the words of a statement's comment, which they become.
pub fn is_reason(text: &str) -> bool {
    let refused = |c: char| crate::relpath::is_hidden(c) || (c.is_whitespace() && c != ' ');
    (1..=REASON_BYTES).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(refused)
        && unicode_normalization::is_nfc(text)
}

/// The grammar of version texts.
pub fn is_version(text: &str) -> bool {
    (1..=64).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(crate::relpath::is_hidden)
        && unicode_normalization::is_nfc(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_shown_where_they_are_words() {
        let carriage = |ext: Option<Vec<(u64, Bytes)>>| CarriageRoot {
            release: Digest([0; 32]),
            sections: vec![],
            blocks: 0,
            blocks_len: 0,
            chunks: 0,
            scratch: 0,
            requires: vec![],
            ext,
            against: None,
        };
        let long = "x".repeat(1001);
        for (text, shown) in [
            ("a fix", true),
            ("für 2.29", true),
            ("", false),
            (" a", false),
            ("a\nb", false),
            ("a\u{202e}b", false),
            ("a\u{a0}b", false),
            ("u\u{308}", false),
            (&long, false),
        ] {
            let root = carriage(Some(vec![(REASON, Bytes(text.as_bytes().to_vec())), (7, Bytes(vec![0xff]))]));
            assert_eq!(root.reason(), shown.then_some(text), "{text:?}");
            let (bytes, id) = root.seal_off().expect("an extension is never refused for what it says");
            assert_eq!(CarriageRoot::open(&bytes, &id).expect("opens"), root);
        }
        assert_eq!(carriage(Some(vec![(REASON, Bytes(vec![0xff]))])).reason(), None);
        assert_eq!(carriage(Some(vec![(2, Bytes(b"a fix".to_vec()))])).reason(), None);
        assert_eq!(carriage(None).reason(), None);
    }
}
