//! *Strict text* is the form of statements and policies: a first line that names the kind, then `key: value` lines.
//!
//! One meaning has one text: reading and writing again gives the same bytes. It knows no kind. Specified in
//! `spec/trust.md`, section "Strict text".

use crate::digest::Digest;
use crate::limits;
use crate::relpath;
use std::collections::VecDeque;
use unicode_normalization::is_nfc;

/// Longest name of an owner, group, stream or site, in bytes.
pub const MAX_NAME: usize = 64;
/// Longest comment, in bytes.
pub const MAX_COMMENT: usize = 1000;
/// Most lines of one repeated key.
pub const MAX_REPEATS: usize = 256;

/// Why a text is not in strict form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct TextError {
    /// The line, from 1; 0 where the text as a whole is meant.
    pub line: usize,
    /// Which rule it breaks.
    pub why: String,
}

impl TextError {
    pub(crate) fn new(line: usize, why: impl Into<String>) -> TextError {
        TextError { line, why: why.into() }
    }
}

/// Whether `text` names an owner, group, stream or site: an ASCII letter or digit, then letters, digits and `. _ - @ +`,
/// not ending in a dot, at most 64 bytes.
pub fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@+".contains(&b))
}

/// Whether `text` may stand as free text of at most `max` bytes: not empty, no space at either end, NFC, nothing hidden, no
/// space but the plain one.
pub fn is_free(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.trim() == text && is_nfc(text) && !text.chars().any(is_refused)
}

fn is_refused(c: char) -> bool {
    relpath::is_hidden(c) || (c.is_whitespace() && c != ' ')
}

/// The lines of a text, taken one after another in the order that its kind says.
pub(crate) struct Lines<'a> {
    rest: VecDeque<(usize, &'a str, &'a str)>,
    at: usize,
}

/// The kind that a text's first line names, before anything else of it is looked at.
pub(crate) fn kind_of(text: &[u8]) -> Option<&str> {
    let first = text.split(|b| *b == b'\n').next()?;
    std::str::from_utf8(first).ok()?.strip_prefix("pouch/v1 ")
}

impl<'a> Lines<'a> {
    /// Checks the form of all of `bytes` and that it is of `kind`.
    pub(crate) fn new(kind: &str, bytes: &'a [u8]) -> Result<Lines<'a>, TextError> {
        let text = check(bytes)?;
        let mut lines = text.split_terminator('\n').zip(1usize..);
        let first = lines.next().map(|(l, _)| l);
        if first.and_then(|l| l.strip_prefix("pouch/v1 ")) != Some(kind) {
            return Err(TextError::new(1, format!("expected \"pouch/v1 {kind}\"")));
        }
        let mut rest = VecDeque::new();
        for (line, at) in lines {
            let (key, value) = line.split_once(": ").ok_or_else(|| TextError::new(at, "expected \"key: value\""))?;
            if value.is_empty() || value.trim() != value {
                return Err(TextError::new(at, "a value neither is empty nor has spaces around it"));
            }
            rest.push_back((at, key, value));
        }
        Ok(Lines { rest, at: 1 })
    }

    /// The value of the next line if its key is `key`.
    pub(crate) fn maybe(&mut self, key: &str) -> Option<&'a str> {
        let (at, _, value) = self.rest.pop_front_if(|(_, k, _)| *k == key)?;
        self.at = at;
        Some(value)
    }

    /// The value of the next line, which must be `key`'s.
    pub(crate) fn need(&mut self, key: &str) -> Result<&'a str, TextError> {
        match self.maybe(key) {
            Some(value) => Ok(value),
            None => match self.rest.front() {
                Some((at, k, _)) => Err(TextError::new(*at, format!("expected {key:?}, found {k:?}"))),
                None => Err(TextError::new(self.at, format!("{key:?} is missing at the end"))),
            },
        }
    }

    /// Reads the value of the next line, which must be `key`'s.
    pub(crate) fn get<T>(&mut self, key: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, TextError> {
        let value = self.need(key)?;
        self.read(key, value, read)
    }

    /// Reads the value of the next line if its key is `key`.
    pub(crate) fn get_maybe<T>(&mut self, key: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, TextError> {
        self.maybe(key).map(|value| self.read(key, value, read)).transpose()
    }

    /// Reads all next lines of `key`; they must ascend strictly by `order`.
    pub(crate) fn get_all<T, K: Ord>(
        &mut self,
        key: &str,
        read: impl Fn(&str) -> Option<T>,
        order: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, TextError> {
        let mut out: Vec<T> = Vec::new();
        while let Some(value) = self.maybe(key) {
            let item = self.read(key, value, &read)?;
            if out.last().is_some_and(|last| order(last) >= order(&item)) {
                return Err(self.error(format!("lines of {key:?} are sorted, each once")));
            }
            if out.len() >= MAX_REPEATS {
                return Err(self.error(format!("more than {MAX_REPEATS} lines of {key:?}")));
            }
            out.push(item);
        }
        Ok(out)
    }

    fn read<T>(&self, key: &str, value: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, TextError> {
        read(value).ok_or_else(|| self.error(format!("{:?} is not a value for {key:?}", clip(value))))
    }

    /// An error at the line that was taken last.
    pub(crate) fn error(&self, why: impl Into<String>) -> TextError {
        TextError::new(self.at, why)
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), TextError> {
        match self.rest.front() {
            None => Ok(()),
            Some((at, key, _)) => Err(TextError::new(*at, format!("{:?} is unknown or not in its place", clip(key)))),
        }
    }
}

/// The last gate of every reader: what was read must write itself to the same bytes.
pub(crate) fn same(written: &str, read: &[u8]) -> Result<(), TextError> {
    if written.as_bytes() == read {
        return Ok(());
    }
    let differs = written.split('\n').zip(read.split(|b| *b == b'\n')).position(|(w, r)| w.as_bytes() != r);
    Err(TextError::new(differs.map_or(0, |n| n + 1), "the line is not in its one form"))
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

fn check(bytes: &[u8]) -> Result<&str, TextError> {
    let whole = |why: &str| TextError::new(0, why);
    if bytes.len() > limits::STATEMENT {
        return Err(whole("the text is longer than 16 KiB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| whole("the text is not UTF-8"))?;
    if text.contains('\r') {
        return Err(whole("the text has carriage returns; carry it in a way that leaves line ends alone"));
    }
    if !text.ends_with('\n') {
        return Err(whole("the text does not end with a line end"));
    }
    for (line, at) in text.split_terminator('\n').zip(1usize..) {
        if line.is_empty() {
            return Err(TextError::new(at, "the line is empty"));
        }
        if !is_nfc(line) {
            return Err(TextError::new(at, "the line is not in Unicode normalisation form C"));
        }
        if line.chars().any(is_refused) {
            return Err(TextError::new(at, "the line has a control, invisible or odd space character"));
        }
    }
    Ok(text)
}

/// Writes a text.
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn new(kind: &str) -> Page {
        Page(format!("pouch/v1 {kind}\n"))
    }
    pub(crate) fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("{key}: {value}\n"));
    }
    pub(crate) fn maybe(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }
    pub(crate) fn all(&mut self, key: &str, values: impl IntoIterator<Item = impl std::fmt::Display>) {
        for value in values {
            self.line(key, value);
        }
    }
    pub(crate) fn end(self) -> String {
        self.0
    }
}

pub(crate) fn name(text: &str) -> Option<String> {
    is_name(text).then(|| text.to_owned())
}

pub(crate) fn comment(text: &str) -> Option<String> {
    is_free(text, MAX_COMMENT).then(|| text.to_owned())
}

pub(crate) fn digest(text: &str) -> Option<Digest> {
    Digest::from_hex(text).ok()
}

/// A decimal number without sign or leading zeros.
pub(crate) fn number(text: &str) -> Option<u64> {
    let n: u64 = text.parse().ok()?;
    (n.to_string() == text).then_some(n)
}

/// `2026-11-22T08:32:34Z` as Unix seconds; years 1970 to 9999.
pub fn parse_time(text: &str) -> Option<i64> {
    let seconds = text.parse::<jiff::Timestamp>().ok()?.as_second();
    (seconds >= 0 && show_time(seconds) == text).then_some(seconds)
}

/// Unix seconds as `2026-11-22T08:32:34Z` (RFC 3339); what lies outside the years 1970 to 9999 is shown as their end.
pub fn show_time(seconds: i64) -> String {
    let clipped = seconds.clamp(0, 253_402_207_200);
    jiff::Timestamp::from_second(clipped).map(|t| t.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for good in ["a", "k8s-prod", "alice@example.org", "Plant_7", "a+b", "1.2"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", ".a", "a.", "a b", "a=b", "a,b", "é", "a/b", "a:b", "a*", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("2026-11-22T08:32:34Z"), Some(1_795_336_354));
        for bad in [
            "2026-11-22T08:32:34+00:00",
            "2026-11-22T08:32:34.0Z",
            "2026-11-22 08:32:34Z",
            "2026-11-22T08:32:60Z",
            "2026-11-22t08:32:34z",
            "1969-12-31T23:59:59Z",
            "2026-02-30T00:00:00Z",
            "2026-11-22T08:32Z",
            "",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "+1", "-1", "01", "1 ", "1_0", "0x1", "18446744073709551616", "１"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn form() {
        let check = |text: &str, line: usize| match Lines::new("seal", text.as_bytes()) {
            Ok(_) => panic!("accepted {text:?}"),
            Err(e) => assert_eq!(e.line, line, "{text:?}: {e}"),
        };
        assert!(Lines::new("seal", b"pouch/v1 seal\na: b\n").is_ok());
        check("pouch/v1 seal\r\na: b\r\n", 0);
        check("pouch/v1 seal\na: b", 0);
        check("", 0);
        check("pouch/v1 approve\na: b\n", 1);
        check("pouch/v2 seal\na: b\n", 1);
        check("\u{feff}pouch/v1 seal\na: b\n", 1);
        check("pouch/v1 seal\n\na: b\n", 2);
        check("pouch/v1 seal\na:b\n", 2);
        check("pouch/v1 seal\na:  b\n", 2);
        check("pouch/v1 seal\na: b \n", 2);
        check("pouch/v1 seal\na: \n", 2);
        check("pouch/v1 seal\na: b\tc\n", 2);
        check("pouch/v1 seal\na: b\u{a0}c\n", 2);
        check("pouch/v1 seal\na: b\u{202e}c\n", 2);
        check("pouch/v1 seal\na: e\u{301}\n", 2);
        check("pouch/v1 seal\na: b\n\n", 3);
        check(&format!("pouch/v1 seal\na: {}\n", "x".repeat(16 << 10)), 0);
        assert!(Lines::new("seal", b"pouch/v1 seal\na: \xff\n").is_err());
    }

    proptest! {
        #[test]
        fn times_come_back(s in 0i64..253_402_207_200) {
            prop_assert_eq!(parse_time(&show_time(s)), Some(s));
        }
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = Lines::new("seal", &bytes);
        }
    }
}
