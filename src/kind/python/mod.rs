//! *Python* packaging's words that wheels, source distributions and their index share: project names (PEP 503), core
//! metadata (PEP 566 and its successors) and, in [`version`], versions (PEP 440).
//!
//! It opens no archive. Specified in `spec/facts.md`, section "Python names and versions".

use super::KindError;
use crate::relpath::RelPath;
use version::Version;

pub mod version;

/// The name of a project as indexes spell it (PEP 503): lower case, runs of `-`, `_` and `.` become one `-`.
pub fn project(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// Whether `name` may be a project's (PEP 508): letters, digits, `-`, `_`, `.`, with a letter or digit at both ends; and
/// not one that cannot be a folder (`aux`), because its page is one.
pub fn is_name(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= 200
        && ends(name.chars().next())
        && ends(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && RelPath::new(&project(name)).is_ok()
}

/// Whether a version in a file's name, where `-` and `+` may have become `_`, is the version `stated`.
pub fn same_version(in_name: &str, stated: &str) -> bool {
    let Some(stated) = Version::parse(stated) else { return loose(in_name) == loose(stated) };
    [in_name.to_owned(), in_name.replace('_', "-"), in_name.replacen('_', "+", 1)]
        .iter()
        .any(|spelling| Version::parse(spelling).as_ref() == Some(&stated))
}

/// For versions from before PEP 440.
fn loose(version: &str) -> String {
    version.to_ascii_lowercase().replace(['-', '_', '+'], ".")
}

/// The headers of METADATA or PKG-INFO that pouch reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreMetadata {
    /// `Metadata-Version`.
    pub metadata_version: Option<String>,
    /// `Name`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Requires-Python`.
    pub requires_python: Option<String>,
    /// `Summary`, its first line.
    pub summary: Option<String>,
    /// `License-Expression`, else the first line of `License`.
    pub license: Option<String>,
    /// Every `Requires-Dist`.
    pub requires: Vec<String>,
}

impl CoreMetadata {
    /// Reads the headers; `what` names the document in errors.
    pub fn parse(bytes: &[u8], what: &'static str) -> Result<CoreMetadata, KindError> {
        let mut out = CoreMetadata::default();
        let (mut name, mut version, mut licence_text) = (None, None, None);
        for (key, value) in headers(bytes, what)? {
            let slot = match key.to_ascii_lowercase().as_str() {
                "metadata-version" => &mut out.metadata_version,
                "name" => &mut name,
                "version" => &mut version,
                "requires-python" => &mut out.requires_python,
                "summary" => &mut out.summary,
                "license-expression" => &mut out.license,
                "license" => &mut licence_text,
                "requires-dist" => {
                    out.requires.push(first_line(&value));
                    continue;
                }
                _ => continue,
            };
            // Readers differ in whether the first or the last counts.
            if slot.replace(first_line(&value)).is_some() {
                return Err(KindError::malformed(what, format!("it has two {key} headers")));
            }
        }
        out.license = out.license.or(licence_text).filter(|l| !l.is_empty());
        out.name = name.ok_or_else(|| KindError::malformed(what, "it has no Name"))?;
        out.version = version.ok_or_else(|| KindError::malformed(what, "it has no Version"))?;
        if !is_name(&out.name) {
            return Err(KindError::malformed(what, format!("{:?} is not a project name", out.name)));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '!');
        if out.version.is_empty() || out.version.len() > 200 || !out.version.chars().all(plain) {
            return Err(KindError::malformed(what, format!("{:?} is not a version", out.version)));
        }
        Ok(out)
    }
}

/// One line of at most 500 characters, without control characters.
fn first_line(value: &str) -> String {
    let line = value.trim().lines().next().unwrap_or_default();
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

/// The header lines up to the first that is none, folded lines joined by line feeds.
fn headers(bytes: &[u8], what: &'static str) -> Result<Vec<(String, String)>, KindError> {
    let text = String::from_utf8_lossy(bytes);
    let mut out: Vec<(String, String)> = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.contains('\r') {
            return Err(KindError::malformed(
                what,
                "a header has a bare carriage return, which some readers take for a line end",
            ));
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = out.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
            continue;
        }
        let Some((key, value)) = line.split_once(':').filter(|(k, _)| k.chars().all(|c| c.is_ascii_graphic())) else {
            break;
        };
        out.push((key.to_owned(), value.trim().to_owned()));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names() {
        for (name, want) in [("Foo", "foo"), ("ruamel.yaml", "ruamel-yaml"), ("a-_.b", "a-b"), ("A__b", "a-b")] {
            assert_eq!(project(name), want);
        }
        for name in ["a", "A.b-c_d", "1x"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "NUL", "-a", "a-", ".", "..", "a/b", "a b", "é", "a\n"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn versions_in_file_names() {
        for (name, stated) in [
            ("1.0", "1.0"),
            ("1.0", "1.0.0"),
            ("1.0_1", "1.0-1"),
            ("1.0_abc.1", "1.0+abc.1"),
            ("1.0+abc_1", "1.0+abc.1"),
            ("1!2.0", "1!2.0"),
            ("1.0rc1", "1.0-RC.1"),
            ("2004d_old", "2004d-old"),
        ] {
            assert!(same_version(name, stated), "{name} {stated}");
        }
        for (name, stated) in [("1.0", "1.0.1"), ("1.0", "1.0+abc"), ("1.0", "1.0.post1"), ("x", "y"), ("1!1.0", "1.0")]
        {
            assert!(!same_version(name, stated), "{name} {stated}");
        }
    }

    #[test]
    fn core_metadata() {
        let text = b"Metadata-Version: 2.1\nNAME: Foo.Bar\nVersion: 1.0\nSummary: one\n two\nRequires-Dist: a>1\n\
            Requires-Dist: b\nLicense: MIT\n  text\nRequires-Python: >=3.6,<4\n\nName: body\n";
        let m = CoreMetadata::parse(text, "METADATA").expect("parse");
        assert_eq!((m.name.as_str(), m.version.as_str()), ("Foo.Bar", "1.0"));
        assert_eq!((m.summary.as_deref(), m.license.as_deref()), (Some("one"), Some("MIT")));
        assert_eq!(m.requires, ["a>1", "b"]);
        assert_eq!(m.requires_python.as_deref(), Some(">=3.6,<4"));
        for (bad, why) in [
            ("", "empty"),
            ("Name: a\n", "no version"),
            ("Name: a\nName: b\nVersion: 1\n", "two names"),
            ("Summary: x\rName: b\nName: a\nVersion: 1\n", "bare carriage return"),
            ("Name: ../a\nVersion: 1\n", "name"),
            ("Name: a\nVersion: 1/2\n", "version"),
            ("Name: a\n\nVersion: 1\n", "version in the body"),
        ] {
            assert!(CoreMetadata::parse(bad.as_bytes(), "METADATA").is_err(), "{why}");
        }
        assert!(CoreMetadata::parse(b"Name: a\r\nVersion: 1\r\n", "METADATA").is_ok());
    }
}
