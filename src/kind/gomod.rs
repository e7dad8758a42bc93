//! A *gomod* is one file of a Go module version as the module proxy protocol serves it: `.info`, `.mod`, `.zip`, or the
//! cache's `.ziphash`.
//!
//! Checksums are not compared with go.sum: the client does. Specified in `spec/facts.md`, section "gomod/1".

use super::zipfile::Zip;
use super::{BlobReader, Derived, KindError, top};
use crate::cbor::{Bytes, encode, record};
use crate::limits;
use crate::model::Artifact;

const PATH: &str = "the module's path";

record! {
    /// Facts of a module's file, schema `gomod/1`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GomodFacts {
        /// The module's path, unescaped.
        0 => module: String,
        /// The version, unescaped.
        1 => version: String,
        /// Which file: `info`, `mod`, `zip` or `ziphash`.
        2 => file: String,
        /// `.info`: its `Time`.
        3 => time: Option<String>,
        /// `.zip`: how many members it has.
        4 => members: Option<u64>,
        /// `.ziphash`: the `h1:` sum, which clients have in go.sum.
        5 => sum: Option<String>,
    }
}

/// A file of a proxy tree, by its path: `<module>/@v/<version>.<file>`, module and version escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The module's path, unescaped.
    pub module: String,
    /// The version, unescaped.
    pub version: String,
    /// The ending: `info`, `mod`, `zip` or `ziphash`.
    pub file: &'static str,
}

impl Place {
    /// Takes a path apart.
    pub fn parse(path: &str) -> Result<Place, KindError> {
        let bad = |why: &str| KindError::malformed(PATH, format!("{path:?} {why}"));
        let (module, file) = path.rsplit_once("/@v/").ok_or_else(|| bad("has no /@v/"))?;
        let (version, file) = ["info", "mod", "zip", "ziphash"]
            .into_iter()
            .find_map(|f| Some((file.strip_suffix(f)?.strip_suffix('.')?, f)))
            .ok_or_else(|| bad("ends neither in .info, .mod, .zip nor .ziphash"))?;
        let module = unescape(module).filter(|m| is_module(m)).ok_or_else(|| bad("is not an escaped module path"))?;
        let version = unescape(version).filter(|v| is_version(v)).ok_or_else(|| bad("has no canonical version"))?;
        Ok(Place { module, version, file })
    }
}

/// Undoes the escaping of capitals, `!x` for `X`; `None` where there is a capital or another `!`.
pub fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '!' => out.push(chars.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            'A'..='Z' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

/// Module paths: elements of ASCII letters, digits and `-._~` that do not begin or end with a dot.
fn is_module(module: &str) -> bool {
    module.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~'))
    })
}

/// Canonical versions: `v`, a complete semantic version, no build part but `+incompatible`.
pub fn is_version(version: &str) -> bool {
    version
        .strip_prefix('v')
        .and_then(|v| semver::Version::parse(v).ok())
        .is_some_and(|v| matches!(v.build.as_str(), "" | "incompatible"))
}

/// Reads what the file says; refuses where its path disagrees.
pub fn derive(artifact: &Artifact, blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let blob = top(artifact)?;
    let path = artifact.path.as_ref().ok_or_else(|| KindError::malformed(PATH, "there is none"))?;
    let place = Place::parse(path.as_str())?;
    let mut facts = GomodFacts {
        module: place.module,
        version: place.version,
        file: place.file.into(),
        time: None,
        members: None,
        sum: None,
    };
    match place.file {
        "info" => facts.time = info(&blobs.read_small(&blob, "the module's .info", limits::GO_MOD)?, &facts.version)?,
        "mod" => check_mod(&blobs.read_small(&blob, "the module's .mod", limits::GO_MOD)?)?,
        "ziphash" => facts.sum = Some(sum(&blobs.read_small(&blob, "the module's .ziphash", limits::GO_MOD)?)?),
        _ => facts.members = Some(check_zip(&Zip::open(blobs.open(&blob)?, "the module's zip")?, &facts)?),
    }
    Ok(Derived {
        name: Some(facts.module.clone()),
        version: Some(facts.version.clone()),
        arch: None,
        blobs: vec![blob],
        made: vec![],
        facts: Bytes(encode(&facts)),
    })
}

/// What pouch reads of a .info; it may say more (its origin).
#[derive(serde::Deserialize)]
struct Info {
    #[serde(rename = "Version")]
    version: String,
    #[serde(rename = "Time")]
    time: Option<String>,
}

fn info(bytes: &[u8], version: &str) -> Result<Option<String>, KindError> {
    let info: Info =
        serde_json::from_slice(bytes).map_err(|e| KindError::malformed("the module's .info", e.to_string()))?;
    if info.version != version {
        let what = "the file name and the module's .info";
        return Err(KindError::Disagree { what, left: version.into(), right: info.version });
    }
    Ok(info.time.map(|t| t.chars().take(64).collect()))
}

/// A `module` line must be there. It may name another module: replaced and renamed ones do.
fn check_mod(bytes: &[u8]) -> Result<(), KindError> {
    let what = "the module's .mod";
    let text = std::str::from_utf8(bytes).map_err(|_| KindError::malformed(what, "it is not UTF-8"))?;
    let directive = |line: &str| {
        line.trim_start().strip_prefix("module").is_some_and(|r| r.starts_with([' ', '\t', '"', '`', '(']))
    };
    match text.lines().any(directive) {
        true => Ok(()),
        false => Err(KindError::malformed(what, "it has no module directive")),
    }
}

fn sum(bytes: &[u8]) -> Result<String, KindError> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    match text.strip_prefix("h1:").is_some_and(|s| s.len() == 44 && s.chars().all(|c| c.is_ascii_graphic())) {
        true => Ok(text.to_owned()),
        false => Err(KindError::malformed("the module's .ziphash", "it is not an h1: sum")),
    }
}

/// Every member lies below `module@version/`.
fn check_zip(zip: &Zip<'_>, facts: &GomodFacts) -> Result<u64, KindError> {
    let prefix = format!("{}@{}/", facts.module, facts.version);
    if let Some(stray) = zip.members().iter().find(|m| !m.name.starts_with(&prefix)) {
        let what = "the file name and the members of the module's zip";
        return Err(KindError::Disagree { what, left: prefix, right: stray.name.clone() });
    }
    Ok(u64::try_from(zip.members().len()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::wheel::tests::{artifact, with_blob};
    use crate::kind::zipfile::build::zip;
    use crate::model::Kind;

    fn read(path: &str, bytes: &[u8]) -> Result<GomodFacts, KindError> {
        let derived = with_blob(bytes, |blobs| derive(&artifact(Kind::Gomod, path, bytes), blobs))?;
        Ok(crate::cbor::decode(&derived.facts.0).expect("facts"))
    }

    #[test]
    fn places() {
        let p = Place::parse("example.com/!big/x~1/@v/v1.2.3-!r!c.1+incompatible.zip").expect("place");
        assert_eq!((p.module.as_str(), p.version.as_str()), ("example.com/Big/x~1", "v1.2.3-RC.1+incompatible"));
        for bad in [
            "x/@v/list",
            "x/@v/v1.0.0.lock",
            "x/v1.0.0.mod",
            "example.com/Big/@v/v1.0.0.mod",
            "x!/@v/v1.0.0.mod",
            "x!1/@v/v1.0.0.mod",
            "x/@v/master.info",
            "x/@v/v1.0.mod",
            "x/@v/v1.0.0+a.mod",
            "a/.b/@v/v1.0.0.mod",
            "a/../b/@v/v1.0.0.mod",
            "a//b/@v/v1.0.0.mod",
            "/a/@v/v1.0.0.mod",
            "a b/@v/v1.0.0.mod",
            "é/@v/v1.0.0.mod",
            "x/@v/V1.0.0.mod",
            "x/@v/../v1.0.0.mod",
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files() {
        let facts =
            read("x.io/!a/@v/v1.0.0.info", br#"{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}"#).expect("info");
        assert_eq!(facts.time.as_deref(), Some("2020-01-01T00:00:00Z"));
        assert!(read("x.io/a/@v/v1.0.0.mod", b"// c\nmodule other\n").is_ok());
        let sum = format!("h1:{}=", "A".repeat(43));
        assert_eq!(read("x.io/a/@v/v1.0.0.ziphash", sum.as_bytes()).expect("ziphash").sum, Some(sum));
        let good = zip(&[("x.io/A@v1.0.0/go.mod", b""), ("x.io/A@v1.0.0/a.go", b"")]);
        assert_eq!(read("x.io/!a/@v/v1.0.0.zip", &good).expect("zip").members, Some(2));
        let stray = zip(&[("x.io/A@v1.0.0/go.mod", b""), ("x.io/A@v1.0.00/a.go", b"")]);
        for (path, bytes) in [
            ("x.io/a/@v/v1.0.0.info", br#"{"Version":"v1.0.1"}"#.as_slice()),
            ("x.io/a/@v/v1.0.0.info", b"{"),
            ("x.io/a/@v/v1.0.0.info", b"{}"),
            ("x.io/a/@v/v1.0.0.mod", b"modules x\n"),
            ("x.io/a/@v/v1.0.0.mod", b"module \xff\n"),
            ("x.io/a/@v/v1.0.0.ziphash", b"h2:"),
            ("x.io/!a/@v/v1.0.0.zip", &stray),
            ("x.io/!a/@v/v1.0.1.zip", &good),
            ("x.io/a/@v/v1.0.0.zip", &good),
            ("x.io/a/@v/v1.0.0.zip", b""),
        ] {
            assert!(read(path, bytes).is_err(), "{path} {}", bytes.escape_ascii());
        }
    }
}
