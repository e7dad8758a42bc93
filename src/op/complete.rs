//! *Completeness* is whether a release has every file and image that a kubespray inventory asks for, of the right
//! architecture and with the bytes that kubespray expects.
//!
//! It downloads nothing and changes nothing. Specified in `spec/packing.md`, section "Completeness".

use crate::class::{Class, Classified};
use crate::digest::Blob;
use crate::kind::{BlobReader, KindError};
use crate::model::{Artifact, Described, Kind};
use crate::source::SourceError;
use crate::source::kubespray::full_reference;
use crate::source::kubespray::urls::{ARCHITECTURES, STRIPPED_HOSTS, mended_folder, place, upstream_place};
use crate::source::list::{entries, read_text};
use serde::Serialize;
use sha2::{Digest as _, Sha512};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

pub mod checksums;

use checksums::{Checksum, Checksums, Component};

/// What a release has of what lists ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nothing is missing, of the wrong architecture, or different from its checksum.
    pub ok: bool,
    /// Files by URL.
    pub files: Part,
    /// Images by reference.
    pub images: Part,
    /// Files against kubespray's checksums.
    pub checksums: Compared,
    /// What the reader should know: what could not be looked at, and why.
    pub notes: Vec<String>,
}

/// Listed things of one sort.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// How many are listed.
    pub listed: usize,
    /// Listed, and not in the release.
    pub missing: Vec<String>,
    /// Listed, and in the release for another architecture only.
    pub wrong_architecture: Vec<Wrong>,
    /// In the release, and not listed; no fault.
    pub extra: Vec<String>,
}

/// Something of another architecture than the one that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// The URL or reference that is listed.
    pub listed: String,
    /// The architecture that it asks for.
    pub wanted: String,
    /// Path or name of what the release has.
    pub path: String,
    /// The architecture that this has.
    pub has: String,
}

/// The outcome of comparing files with checksums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Paths of the kubespray archives whose checksums were used.
    pub archives: Vec<String>,
    /// How many files are as they should be.
    pub equal: usize,
    /// Files that are not.
    pub different: Vec<Different>,
    /// Listed files that no checksum speaks of.
    pub unknown: Vec<String>,
    /// Files whose checksum needs their bytes (SHA-512), where those were not at hand.
    pub unread: Vec<String>,
}

/// A file that is not what kubespray expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Different {
    /// Its path.
    pub path: String,
    /// Where it is from.
    pub url: String,
    /// The checksum that kubespray has.
    pub expected: String,
    /// The file's own.
    pub found: String,
}

/// Why completeness cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// A list cannot be read.
    #[error(transparent)]
    List(#[from] SourceError),
    /// A file of the release cannot be read.
    #[error("{path} cannot be looked into")]
    Artifact {
        /// Its path.
        path: String,
        /// Why not.
        #[source]
        source: KindError,
    },
}

impl Classified for CompleteError {
    fn class(&self) -> Class {
        match self {
            CompleteError::List(e) => e.class(),
            CompleteError::Artifact { source, .. } => source.class(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            CompleteError::List(e) => e.hint(),
            CompleteError::Artifact { .. } => None,
        }
    }
}

/// Compares a release with the lists of the folder `lists`: `files.list`, `images.list`, `additional-images.list`, there
/// or in `files/` and `images/` of it. `blobs` gives the bytes of the release; without it, neither the checksums of
/// kubespray nor programs are looked at.
pub fn complete(
    artifacts: &[Described],
    lists: &Path,
    blobs: Option<&dyn BlobReader>,
) -> Result<Report, CompleteError> {
    let listed = Lists::read(lists)?;
    let release = Release::of(artifacts, blobs);
    let mut report = Report::default();
    let found = release.files(&listed.urls, &mut report.files)?;
    release.images(&listed, &mut report.images);
    release.compare(&found, &mut report)?;
    if blobs.is_none() {
        report.notes.push("without the bytes of the release, checksums and programs were not looked at".into());
    }
    let faults = [&report.files, &report.images].map(|p| p.missing.len() + p.wrong_architecture.len());
    report.ok = faults.iter().sum::<usize>() == 0 && report.checksums.different.is_empty();
    Ok(report)
}

/// What is asked for, each once, in order.
#[derive(Debug, Default)]
struct Lists {
    urls: Vec<String>,
    references: Vec<String>,
}

impl Lists {
    fn read(folder: &Path) -> Result<Lists, SourceError> {
        let mut out = Lists::default();
        let mut seen = false;
        for (name, files) in [("files.list", true), ("images.list", false), ("additional-images.list", false)] {
            for list in [folder.join(name), folder.join(if files { "files" } else { "images" }).join(name)] {
                if !list.is_file() {
                    continue;
                }
                seen = true;
                let text = read_text(&list)?;
                let (into, full): (_, fn(&str) -> String) =
                    if files { (&mut out.urls, str::to_owned) } else { (&mut out.references, full_reference) };
                into.extend(entries(&text).map(full));
            }
        }
        if !seen {
            let why =
                "it has neither files.list nor images.list; kubespray's contrib/offline/generate_list.sh makes them";
            return Err(SourceError::List { path: folder.into(), why: why.into() });
        }
        for list in [&mut out.urls, &mut out.references] {
            let mut once = BTreeSet::new();
            list.retain(|entry| once.insert(entry.clone()));
        }
        Ok(out)
    }

    /// The architectures that the listed files are for; images are wanted for the same.
    fn architectures(&self) -> BTreeSet<&'static str> {
        self.urls.iter().filter_map(|url| architecture(url)).collect()
    }
}

/// What a release has.
struct Release<'a> {
    /// Files by their place below a generation.
    files: BTreeMap<String, &'a Artifact>,
    images: Vec<&'a Artifact>,
    blobs: Option<&'a dyn BlobReader>,
}

/// A URL, and the place and blob that the release has for it.
struct Listed<'a> {
    url: &'a str,
    path: String,
    blob: Blob,
}

impl<'a> Release<'a> {
    fn of(artifacts: &'a [Described], blobs: Option<&'a dyn BlobReader>) -> Release<'a> {
        let mut release = Release { files: BTreeMap::new(), images: Vec::new(), blobs };
        for artifact in artifacts.iter().map(|d| &d.artifact) {
            match (artifact.kind, artifact.place()) {
                (Kind::Image, _) => release.images.push(artifact),
                (Kind::File, Some(Ok(place))) if place.as_str().starts_with("www/") => {
                    release.files.insert(place.to_string(), artifact);
                }
                _ => {}
            }
        }
        release
    }

    /// The place that a URL's file takes in this release: kubespray-offline's, or kubespray's own by host.
    fn place_of(&self, url: &str) -> Option<String> {
        let by_host = upstream_place(url);
        let places = [
            place(url).map(|p| format!("www/files/{p}")),
            by_host.as_ref().map(|p| format!("www/files/{p}")),
            by_host.map(|p| format!("www/{p}")),
        ];
        places.into_iter().flatten().find(|p| self.files.contains_key(p))
    }

    fn files<'u>(&self, urls: &'u [String], part: &mut Part) -> Result<Vec<Listed<'u>>, CompleteError> {
        let mut found = Vec::new();
        part.listed = urls.len();
        for url in urls {
            let wanted = architecture(url);
            let Some(path) = self.place_of(url) else {
                match self.other_architecture(url) {
                    Some((path, has)) => part.wrong_architecture.push(Wrong {
                        listed: url.clone(),
                        wanted: wanted.unwrap_or_default().into(),
                        path,
                        has: has.into(),
                    }),
                    None => part.missing.push(url.clone()),
                }
                continue;
            };
            let Some(blob) = self.files.get(&path).and_then(|a| a.blobs.first()).copied() else { continue };
            match (wanted, self.machine(&path, &blob)?) {
                (Some(wanted), Some(has)) if wanted != has => part.wrong_architecture.push(Wrong {
                    listed: url.clone(),
                    wanted: wanted.into(),
                    path,
                    has: has.into(),
                }),
                _ => found.push(Listed { url, path, blob }),
            }
        }
        let wanted: BTreeSet<String> = urls.iter().filter_map(|url| self.place_of(url)).collect();
        part.extra = self.files.keys().filter(|path| !wanted.contains(*path) && !is_expected(path)).cloned().collect();
        Ok(found)
    }

    /// The same file for another architecture.
    fn other_architecture(&self, url: &str) -> Option<(String, &'static str)> {
        let wanted = ARCHITECTURES.iter().find(|(go, _)| Some(*go) == architecture(url))?;
        ARCHITECTURES.iter().filter(|other| *other != wanted).find_map(|other| {
            let url = replace_word(&replace_word(url, wanted.0, other.0), wanted.1, other.1);
            self.place_of(&url).map(|path| (path, other.0))
        })
    }

    /// The architecture of a file that is a program (ELF, `e_machine`).
    fn machine(&self, path: &str, blob: &Blob) -> Result<Option<&'static str>, CompleteError> {
        let Some(blobs) = self.blobs else { return Ok(None) };
        let failed = |source| CompleteError::Artifact { path: path.to_owned(), source };
        let mut head = Vec::new();
        let mut bytes = blobs.open(blob).map_err(failed)?;
        bytes.by_ref().take(20).read_to_end(&mut head).map_err(|e| failed(e.into()))?;
        Ok(match head.as_slice() {
            [0x7f, b'E', b'L', b'F', _, order, _, _, _, _, _, _, _, _, _, _, _, _, a, b] => {
                match if *order == 2 { u16::from_be_bytes([*a, *b]) } else { u16::from_le_bytes([*a, *b]) } {
                    62 => Some("amd64"),
                    183 => Some("arm64"),
                    40 => Some("arm"),
                    21 => Some("ppc64le"),
                    22 => Some("s390x"),
                    _ => None,
                }
            }
            _ => None,
        })
    }

    fn images(&self, lists: &Lists, part: &mut Part) {
        let wanted = lists.architectures();
        let mut matched = BTreeSet::new();
        part.listed = lists.references.len();
        for reference in &lists.references {
            let names = served_names(reference);
            let found: Vec<(usize, &&Artifact)> =
                self.images.iter().enumerate().filter(|(_, image)| is_image(image, reference, &names)).collect();
            matched.extend(found.iter().map(|(i, _)| *i));
            let Some((_, image)) = found.first() else {
                part.missing.push(reference.clone());
                continue;
            };
            for wanted in wanted.iter().filter(|w| found.iter().all(|(_, image)| !runs_on(image, w))) {
                part.wrong_architecture.push(Wrong {
                    listed: reference.clone(),
                    wanted: (*wanted).to_owned(),
                    path: image.name.clone(),
                    has: image.arch.clone().unwrap_or_default(),
                });
            }
        }
        let extra = self.images.iter().enumerate().filter(|(i, _)| !matched.contains(i));
        part.extra = extra.map(|(_, image)| image.name.clone()).collect();
        part.extra.sort();
    }

    /// Compares the files that are there with the checksums of the kubespray archives that are there.
    fn compare(&self, found: &[Listed<'_>], report: &mut Report) -> Result<(), CompleteError> {
        let Some(blobs) = self.blobs else { return Ok(()) };
        let mut sheets = Vec::new();
        for (path, artifact) in self.files.iter().filter(|(path, _)| is_kubespray(path)) {
            let failed = |source| CompleteError::Artifact { path: path.clone(), source };
            let Some(blob) = artifact.blobs.first() else { continue };
            let mut archive = blobs.open(blob).map_err(failed)?;
            match Checksums::of_archive(&mut *archive).map_err(failed)? {
                Some(sheet) => {
                    report.checksums.archives.push(path.clone());
                    sheets.push(sheet);
                }
                None => report.notes.push(format!("{path} has no checksums.yml")),
            }
        }
        if sheets.is_empty() {
            report.notes.push("no www/files/kubespray-*.tar.gz with checksums: no file was compared".into());
            return Ok(());
        }
        for listed in found {
            self.compare_one(listed, &sheets, blobs, report)?;
        }
        Ok(())
    }

    fn compare_one(
        &self,
        listed: &Listed<'_>,
        sheets: &[Checksums],
        blobs: &dyn BlobReader,
        report: &mut Report,
    ) -> Result<(), CompleteError> {
        let Listed { url, path, blob } = listed;
        let component = Component::of_url(url);
        let expected: BTreeSet<Checksum> =
            component.iter().flat_map(|c| sheets.iter().filter_map(|s| s.of(c))).collect();
        let Some(example) = expected.first() else {
            report.checksums.unknown.push((*url).to_owned());
            return Ok(());
        };
        let of = |like: &Checksum| -> Result<Option<Checksum>, CompleteError> {
            Ok(match like {
                Checksum::Sha256(_) => Some(Checksum::Sha256(blob.digest.hex())),
                Checksum::Sha512(_) => sha512(blobs, blob)
                    .map_err(|source| CompleteError::Artifact { path: path.clone(), source })?
                    .map(Checksum::Sha512),
            })
        };
        let mut own = None;
        for checksum in &expected {
            match of(checksum)? {
                Some(found) if found == *checksum => {
                    report.checksums.equal += 1;
                    return Ok(());
                }
                Some(found) => own = Some(found),
                None => {}
            }
        }
        let Some(own) = own else {
            report.checksums.unread.push(path.clone());
            return Ok(());
        };
        let others = ARCHITECTURES.iter().map(|(go, _)| *go);
        let has = component.as_ref().and_then(|c| {
            let mut others = others.filter(|a| Some(*a) != c.architecture && c.architecture.is_some());
            others.find(|a| sheets.iter().any(|s| s.of(&c.with(a)).as_ref() == Some(&own)))
        });
        match (has, component.and_then(|c| c.architecture)) {
            (Some(has), Some(wanted)) => report.files.wrong_architecture.push(Wrong {
                listed: (*url).to_owned(),
                wanted: wanted.into(),
                path: path.clone(),
                has: has.into(),
            }),
            _ => report.checksums.different.push(Different {
                path: path.clone(),
                url: (*url).to_owned(),
                expected: example.to_string(),
                found: own.to_string(),
            }),
        }
        Ok(())
    }
}

/// SHA-512 of a blob in hexadecimal; `None` where its bytes are not at hand.
fn sha512(blobs: &dyn BlobReader, blob: &Blob) -> Result<Option<String>, KindError> {
    let mut reader = match blobs.open(blob) {
        Err(KindError::MissingBlob(_)) => return Ok(None),
        other => other?,
    };
    let mut sha = Sha512::new();
    let mut buf = vec![0u8; 1 << 16];
    loop {
        let n = reader.read(&mut buf)?;
        match buf.get(..n) {
            Some(read) if n > 0 => sha.update(read),
            _ => break,
        }
    }
    Ok(Some(sha.finalize().iter().map(|b| format!("{b:02x}")).collect()))
}

/// Files that are there beside the listed ones: the lists, kubespray itself, and copies at a place that was mended.
fn is_expected(path: &str) -> bool {
    let Some(below) = path.strip_prefix("www/files/") else { return true };
    let mended = |folder: &str| folder.starts_with("yq/v") && mended_folder(&format!("{folder}amd64")).is_some();
    below == "files.list" || is_kubespray(path) || below.rsplit_once('/').is_some_and(|(folder, _)| mended(folder))
}

fn is_kubespray(path: &str) -> bool {
    path.strip_prefix("www/files/kubespray-").is_some_and(|n| !n.contains('/') && n.ends_with(".tar.gz"))
}

/// The names under which an image may be served: without its host, and with it.
fn served_names(reference: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::from([reference.to_owned()]);
    let mut rest = reference;
    for host in STRIPPED_HOSTS {
        rest = rest.strip_prefix(host).and_then(|r| r.strip_prefix('/')).unwrap_or(rest);
    }
    out.insert(rest.to_owned());
    if let Some((host, rest)) = reference.split_once('/')
        && host.contains(['.', ':'])
    {
        out.insert(rest.to_owned());
    }
    out
}

/// Whether an image is the one that a reference asks for: by a name, or by the digest that it pins.
fn is_image(image: &Artifact, reference: &str, names: &BTreeSet<String>) -> bool {
    if let Some((_, digest)) = reference.split_once('@') {
        return image.blobs.first().is_some_and(|b| b.digest.oci() == digest);
    }
    names.contains(&image.name) || image.label("origin") == Some(reference)
}

/// Whether an image's platforms name an architecture; one that names none runs anywhere.
fn runs_on(image: &Artifact, architecture: &str) -> bool {
    let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == architecture);
    image.arch.as_deref().is_none_or(words)
}

/// The architecture that a URL names, in the words of Go.
fn architecture(url: &str) -> Option<&'static str> {
    let names = |word: &str| replace_word(url, word, "") != url;
    ARCHITECTURES.iter().find(|(go, uname)| names(go) || names(uname)).map(|(go, _)| *go)
}

/// Replaces `word` where no letter or digit stands beside it.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let alone = |c: Option<char>| !c.is_some_and(|c| c.is_ascii_alphanumeric());
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        let whole = alone(before.chars().next_back()) && alone(after.chars().next());
        out.push_str(before);
        out.push_str(if whole { by } else { word });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests;
