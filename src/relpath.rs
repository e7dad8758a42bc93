//! A *relative path* names a place below a site's generation in a way that every file system can hold.
//!
//! It is text, not a file: nothing here touches the disk. Specified in `spec/bundle.md`, section "Paths and names".

use crate::cbor::{Cbor, CborError, Value};
use caseless::Caseless;
use std::fmt;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Longest path, in bytes of UTF-8.
pub const MAX_PATH_BYTES: usize = 1024;
/// Longest component, in bytes of UTF-8 (ext4, xfs and the 255 of FAT's long names).
pub const MAX_COMPONENT_BYTES: usize = 255;
/// Most components.
pub const MAX_COMPONENTS: usize = 64;

/// A path of the grammar: one or more components joined by `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path {path:?} is refused: {why}")]
pub struct PathError {
    /// The text, escaped by `Debug` when shown; at most 200 characters of it.
    pub path: String,
    /// Which rule it breaks.
    pub why: &'static str,
}

impl RelPath {
    /// Checks `text` against the grammar.
    pub fn new(text: &str) -> Result<RelPath, PathError> {
        match why_refused(text) {
            None => Ok(RelPath(text.to_owned())),
            Some(why) => Err(PathError { path: text.chars().take(200).collect(), why }),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `self` with `tail` below it.
    pub fn join(&self, tail: &str) -> Result<RelPath, PathError> {
        RelPath::new(&format!("{}/{tail}", self.0))
    }

    /// What is left of `self` below `root`; `None` where it lies elsewhere.
    pub fn below(&self, root: &RelPath) -> Option<&str> {
        self.0.strip_prefix(&root.0)?.strip_prefix('/')
    }

    /// The components in order.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder it lies in; `None` for a single component.
    pub fn parent(&self) -> Option<RelPath> {
        self.0.rsplit_once('/').map(|(p, _)| RelPath(p.to_owned()))
    }

    /// The form under which two paths collide on some file system: NFKC and full case folding.
    pub fn fold(&self) -> String {
        fold(&self.0)
    }
}

/// NFKC, full case folding, NFKC again (folding can undo normalisation).
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc().default_case_fold().nfkc().collect()
}

fn why_refused(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > MAX_PATH_BYTES {
        return Some("it is longer than 1024 bytes");
    }
    if text.starts_with('/') {
        return Some("it is absolute");
    }
    if !is_nfc(text) {
        return Some("it is not in Unicode normalisation form C");
    }
    if text.split('/').count() > MAX_COMPONENTS {
        return Some("it has more than 64 components");
    }
    text.split('/').find_map(why_component_refused)
}

fn why_component_refused(part: &str) -> Option<&'static str> {
    if part.is_empty() {
        return Some("it has an empty component");
    }
    if part == "." || part == ".." {
        return Some("it has a component that is . or ..");
    }
    if part.len() > MAX_COMPONENT_BYTES {
        return Some("it has a component of more than 255 bytes");
    }
    if part.chars().any(|c| matches!(c, '<' | '>' | ':' | '"' | '\\' | '|' | '?' | '*')) {
        return Some("it has a character that FAT and Windows refuse (one of < > : \" \\ | ? *)");
    }
    if part.chars().any(is_hidden) {
        return Some("it has a control, bidirectional or invisible character");
    }
    if part.ends_with('.') || part.ends_with(' ') || part.starts_with(' ') {
        return Some("it has a component that ends in a dot or begins or ends with a space");
    }
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_uppercase();
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || ["COM", "LPT"].iter().any(|d| {
            stem.strip_prefix(d).is_some_and(|n| {
                matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
            })
        });
    device.then_some("it has a component that is a device name on Windows")
}

/// Control characters, and those that reorder or hide text on a screen.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl serde::Serialize for RelPath {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl Cbor for RelPath {
    fn to_value(&self) -> Value {
        Value::Text(self.0.clone())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        let text = String::from_value(v)?;
        RelPath::new(&text).map_err(|e| CborError::Value(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn grammar() {
        for good in [
            "a",
            "a/b",
            "www/rpms/local/jq-1.6~rc1^2+b-1.el9.x86_64.rpm",
            "x%3a1",
            "...a",
            "é",
            "a b",
            "!lower/@v/list",
            "console",
            "com10",
            "lpt",
            "a/.hidden",
        ] {
            assert!(RelPath::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/./b",
            "a\\b",
            "a:b",
            "c:",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}b",
            "con",
            "CON.txt",
            "a/Nul",
            "com1",
            "COM¹",
            "lpt9.x",
            "a.",
            "a ",
            " a",
            "e\u{301}",
            "a?",
            "a*",
            "\u{feff}a",
            "a/\u{7f}",
            "aux .txt",
        ] {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(RelPath::new(&"a".repeat(256)).is_err());
        assert!(RelPath::new(&"a/".repeat(600)).is_err());
    }

    #[test]
    fn folding_finds_collisions() {
        for (a, b) in [("README", "readme"), ("straße", "STRASSE"), ("ﬁle", "file"), ("K", "k"), ("É", "é")] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_ne!(fold("a"), fold("b"));
    }

    proptest! {
        #[test]
        fn never_escapes(text: String) {
            if let Ok(p) = RelPath::new(&text) {
                prop_assert!(p.components().all(|c| c != ".." && c != "." && !c.is_empty()));
                prop_assert!(!std::path::Path::new(p.as_str()).is_absolute());
            }
        }
    }
}
