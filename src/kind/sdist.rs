//! An *sdist* is a Python source distribution (PEP 517, PEP 625): an archive of one folder with a PKG-INFO in it.
//!
//! Nothing in it is run, so what only its build script knows stays unknown. Sdists from before PKG-INFO was usual say what
//! they are by their file's name alone. Specified in `spec/facts.md`, section "sdist/1".

use super::python::version::Version;
use super::python::{CoreMetadata, is_name, project, same_version};
use super::zipfile::Zip;
use super::{BlobReader, Derived, KindError, tarball, top};
use crate::cbor::{Bytes, encode, record};
use crate::limits;
use crate::model::Artifact;
use std::io::Read;

const PKG_INFO: &str = "the sdist's PKG-INFO";

record! {
    /// Facts of an sdist, schema `sdist/1`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SdistFacts {
        /// The project as indexes spell it (PEP 503).
        0 => project: String,
        /// `Name` as PKG-INFO has it; without one, as the file's name has it.
        1 => name: String,
        /// `Version`, likewise.
        2 => version: String,
        /// `Metadata-Version`; absent where there is no PKG-INFO.
        3 => metadata_version: Option<String>,
        /// `Requires-Python`.
        4 => requires_python: Option<String>,
        /// Every `Requires-Dist`, in PKG-INFO's order.
        5 => requires: Vec<String>,
        /// First line of `Summary`.
        6 => summary: Option<String>,
        /// `License-Expression`, else the first line of `License`.
        7 => license: Option<String>,
    }
}

/// The archive formats of sdists, longest ending first.
const ENDINGS: [(&str, Format); 5] = [
    (".tar.gz", Format::Gzip),
    (".tar.bz2", Format::Bzip2),
    (".tgz", Format::Gzip),
    (".tbz", Format::Bzip2),
    (".zip", Format::Zip),
];

#[derive(Clone, Copy)]
enum Format {
    Gzip,
    Bzip2,
    Zip,
}

/// The file's name without its ending, where it has one of an sdist.
pub fn stem(file: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|(ending, _)| file.strip_suffix(ending))
}

/// Reads what PKG-INFO and the name say; refuses where they disagree.
pub fn derive(artifact: &Artifact, blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let blob = top(artifact)?;
    let path = artifact.path.as_ref().ok_or_else(|| KindError::malformed("the sdist", "it has no file name"))?;
    let file = path.file_name();
    let (stem, format) = ENDINGS
        .iter()
        .find_map(|(ending, format)| Some((file.strip_suffix(ending)?, *format)))
        .ok_or_else(|| KindError::malformed("the sdist's file name", format!("{file:?} has no known ending")))?;
    let core = match pkg_info(blobs.open(&blob)?, format)? {
        Some(bytes) => {
            let core = CoreMetadata::parse(&bytes, PKG_INFO)?;
            check_name(stem, &core)?;
            core
        }
        None => from_name(stem)?,
    };
    let facts = SdistFacts {
        project: project(&core.name),
        name: core.name,
        version: core.version,
        metadata_version: core.metadata_version,
        requires_python: core.requires_python,
        requires: core.requires,
        summary: core.summary,
        license: core.license,
    };
    Ok(Derived {
        name: Some(facts.project.clone()),
        version: Some(facts.version.clone()),
        arch: None,
        blobs: vec![blob],
        made: vec![],
        facts: Bytes(encode(&facts)),
    })
}

fn pkg_info(reader: Box<dyn super::ReadSeek + '_>, format: Format) -> Result<Option<Vec<u8>>, KindError> {
    match format {
        Format::Gzip => in_tarball(&mut flate2::read::MultiGzDecoder::new(reader)),
        Format::Bzip2 => in_tarball(&mut bzip2::read::MultiBzDecoder::new(reader)),
        Format::Zip => {
            let mut zip = Zip::open(reader, "the sdist")?;
            let names: Vec<String> = zip.members().iter().map(|m| m.name.clone()).filter(|n| is_pkg_info(n)).collect();
            match names.as_slice() {
                [] => Ok(None),
                [one] => zip.read(one, PKG_INFO, limits::PYTHON_METADATA),
                _ => Err(KindError::malformed("the sdist", "it has two top folders with a PKG-INFO")),
            }
        }
    }
}

/// `<folder>/PKG-INFO`.
fn is_pkg_info(name: &str) -> bool {
    name.split_once('/').is_some_and(|(_, file)| file == "PKG-INFO")
}

fn in_tarball(plain: &mut dyn Read) -> Result<Option<Vec<u8>>, KindError> {
    let mut found = None;
    tarball::visit(plain, "the sdist", |name, size, content| {
        if is_pkg_info(name) {
            let bytes = tarball::read(content, size, PKG_INFO, limits::PYTHON_METADATA)?;
            if found.replace(bytes).is_some() {
                return Err(KindError::malformed("the sdist", "it has two PKG-INFO in top folders"));
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Some dash parts name and version in two; both may have dashes of their own.
fn check_name(stem: &str, core: &CoreMetadata) -> Result<(), KindError> {
    let fits = |(at, _): (usize, &str)| {
        stem.split_at_checked(at).is_some_and(|(name, rest)| {
            let version = rest.strip_prefix('-').unwrap_or(rest);
            project(name) == project(&core.name) && same_version(version, &core.version)
        })
    };
    if stem.match_indices('-').any(fits) {
        return Ok(());
    }
    Err(KindError::Disagree {
        what: "the file name and the sdist's PKG-INFO",
        left: stem.into(),
        right: format!("{} {}", core.name, core.version),
    })
}

/// Name and version by the last dash.
fn from_name(stem: &str) -> Result<CoreMetadata, KindError> {
    match stem.rsplit_once('-') {
        Some((name, version)) if is_name(name) && Version::parse(version).is_some() => {
            Ok(CoreMetadata { name: name.into(), version: version.into(), ..CoreMetadata::default() })
        }
        _ => Err(KindError::malformed("the sdist", format!("it has no PKG-INFO, and {stem:?} is not NAME-VERSION"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::tarball::build::{gzip, tar};
    use crate::kind::wheel::tests::{artifact, with_blob};
    use crate::kind::zipfile::build::zip;
    use crate::model::Kind;

    fn read(file: &str, bytes: &[u8]) -> Result<SdistFacts, KindError> {
        let derived = with_blob(bytes, |blobs| derive(&artifact(Kind::Sdist, file, bytes), blobs))?;
        Ok(crate::cbor::decode(&derived.facts.0).expect("facts"))
    }

    const INFO: &[u8] = b"Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\nRequires-Python: >=3.6\n\ntext\n";

    #[test]
    fn formats_and_names() {
        let inside = [("foo_bar-1.0/PKG-INFO", INFO), ("foo_bar-1.0/a.egg-info/PKG-INFO", b"junk".as_slice())];
        let plain = tar(&inside);
        let facts = read("foo_bar-1.0.tar.gz", &gzip(&plain)).expect("gzip");
        assert_eq!((facts.project.as_str(), facts.version.as_str()), ("foo-bar", "1.0"));
        assert_eq!(facts.requires_python.as_deref(), Some(">=3.6"));
        let mut packer = bzip2::read::BzEncoder::new(plain.as_slice(), bzip2::Compression::fast());
        let mut bz = Vec::new();
        packer.read_to_end(&mut bz).expect("bzip2");
        assert_eq!(read("Foo.Bar-1.0.tar.bz2", &bz).expect("bzip2"), facts);
        assert_eq!(read("foo-bar-1.0.0.zip", &zip(&inside)).expect("zip"), facts);
        for file in ["foo-1.0.tar.gz", "foo_bar-1.1.tar.gz", "foo_bar.tar.gz"] {
            assert!(matches!(read(file, &gzip(&plain)), Err(KindError::Disagree { .. })), "{file}");
        }
        assert!(read("foo_bar-1.0.tar.xz", &plain).is_err());
    }

    #[test]
    fn without_pkg_info() {
        let old = gzip(&tar(&[("x-y-1.0/setup.py", b"")]));
        let facts = read("x-y-1.0.tar.gz", &old).expect("old");
        assert_eq!((facts.name.as_str(), facts.version.as_str()), ("x-y", "1.0"));
        assert!(read("x-y.tar.gz", &old).is_err());
    }

    #[test]
    fn hostile() {
        let two = gzip(&tar(&[("a/PKG-INFO", INFO), ("b/PKG-INFO", INFO)]));
        assert!(read("foo_bar-1.0.tar.gz", &two).is_err());
        let twice = gzip(&tar(&[("a/PKG-INFO", INFO), ("a/PKG-INFO", INFO)]));
        assert!(read("foo_bar-1.0.tar.gz", &twice).is_err());
        let bomb = vec![b' '; usize::try_from(limits::PYTHON_METADATA).expect("usize") + 1];
        let bomb = gzip(&tar(&[("a/PKG-INFO", &bomb)]));
        assert!(matches!(read("foo_bar-1.0.tar.gz", &bomb), Err(KindError::TooLarge { .. })));
        let good = gzip(&tar(&[("a/PKG-INFO", INFO)]));
        for n in 0..good.len() {
            assert!(read("foo_bar-1.0.tar.gz", &good[..n]).is_err(), "truncated at {n}");
            let mut flipped = good.clone();
            flipped[n] ^= 0x20;
            let _ = read("foo_bar-1.0.tar.gz", &flipped);
        }
    }
}
