//! *Image sources* are OCI layouts (folders, or archives of them) and docker-archives, plain or compressed.
//!
//! Nothing is unpacked or changed: manifests and layers are announced as the bytes they are. Where an archive holds an
//! OCI layout and a docker-archive at once, the layout counts, because it has the digests.

mod docker;
mod holding;
mod layout;
pub mod naming;
pub mod platforms;
mod stream;
mod tar;
#[cfg(test)]
mod tests;

use super::spool::Spools;
use super::{Found, Origin, Sink, Source, SourceError};
use crate::cbor::Bytes;
use crate::digest::{Blob, Digest};
use crate::fs::tree;
use crate::kind::oci::ImageFacts;
use crate::kind::{Derived, KindError};
use crate::model::{Artifact, Described, Kind};
use crate::monitor::Monitor;
use crate::relpath::{RelPath, fold};
use holding::{Blobs, Holding};
pub use naming::Naming;
use naming::{Nameless, Said, Served};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folder of the registry below a generation.
pub const ROOT: &str = "registry";

/// Ends of names by which archives in a folder are known. Inside, their bytes decide.
const ARCHIVES: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".tar.zst"];

/// Finds images.
#[derive(Clone, Debug, Default)]
pub struct OciSource {
    /// Archives, layouts, and folders that hold such.
    pub from: Vec<PathBuf>,
    /// How the images are named.
    pub naming: Naming,
    /// Platforms `os/arch` or `os/arch/variant` whose children of an index are taken; all where it is empty.
    pub platforms: Vec<String>,
}

impl Source for OciSource {
    fn survey(&self, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
        let mut inputs: BTreeSet<PathBuf> = BTreeSet::new();
        for from in &self.from {
            inputs.extend(inputs_below(from)?);
        }
        if let (Some(_), [first, _, ..]) = (&self.naming.explicit, &inputs.iter().collect::<Vec<_>>()[..]) {
            let why = "several archives or layouts cannot have one name".into();
            return Err(SourceError::List { path: first.to_path_buf(), why });
        }
        let inputs: Vec<PathBuf> = inputs.into_iter().collect();
        let surveyed: Vec<Result<Input, SourceError>> =
            inputs.par_iter().map(|path| self.input(path, sink.spools(), monitor)).collect();
        let mut all = Vec::new();
        for input in surveyed {
            let input = input?;
            input.notes.into_iter().for_each(|note| sink.note(note));
            all.extend(input.images);
        }
        for image in distinct(all)? {
            sink.found(image.found)?;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let from: Vec<String> = self.from.iter().map(|p| p.display().to_string()).collect();
        format!("images in {}", from.join(", "))
    }
}

/// The archives and layouts that `path` is or holds, in order of name: what [`OciSource`] reads of it. Other files are
/// left to others.
pub fn inputs_below(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let meta = std::fs::metadata(path).map_err(SourceError::io(path))?;
    if !meta.is_dir() || path.join("oci-layout").is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let files = tree::walk(path)?;
    let is_in = |rel: &str, layout: &str| rel.strip_prefix(layout).is_some_and(|r| r.starts_with('/'));
    let layouts: Vec<&str> = files.iter().filter_map(|f| f.rel.strip_suffix("/oci-layout")).collect();
    let archives = files.iter().map(|f| f.rel.as_str()).filter(|rel| {
        ARCHIVES.iter().any(|end| rel.ends_with(end)) && !layouts.iter().any(|layout| is_in(rel, layout))
    });
    let mut out: Vec<PathBuf> = archives.chain(layouts.iter().copied()).map(|rel| path.join(rel)).collect();
    out.sort();
    Ok(out)
}

/// An image of one archive or layout, before it has a name.
struct Image {
    top: Blob,
    said: Said,
    derived: Derived,
    facts: ImageFacts,
}

/// What one archive or layout gave.
struct Input {
    notes: Vec<String>,
    images: Vec<Named>,
}

/// An image with its name, ready to be announced.
struct Named {
    served: Served,
    top: Digest,
    absent: usize,
    path: PathBuf,
    found: Found,
}

impl OciSource {
    fn input(&self, path: &Path, spools: Option<&Spools>, monitor: &dyn Monitor) -> Result<Input, SourceError> {
        let folder = std::fs::metadata(path).map_err(SourceError::io(path))?.is_dir();
        let holding = match folder {
            true => Holding::of_folder(path, monitor)?,
            false => Holding::of_archive(path, spools, monitor)?,
        };
        let bad = SourceError::kind;
        let mut notes = Vec::new();
        let (mut blobs, mut images) = match layout::blobs(&holding).map_err(bad(path))? {
            Some(mut blobs) => {
                let images = layout::images(&holding, &mut blobs, &self.platforms).map_err(bad(path))?;
                (blobs, images)
            }
            None => (Blobs::default(), vec![]),
        };
        let made = docker::images(&holding, &mut blobs, &mut images)?;
        if images.is_empty() {
            let why = "it holds no image: neither manifest.json nor oci-layout with index.json is in it";
            return Err(SourceError::Kind {
                path: path.into(),
                source: KindError::malformed("the image archive", why),
            });
        }
        if made > 0 {
            notes.push(format!(
                "{}: a docker-archive has no registry manifest; one was made, so the digest under which upstream \
                 serves {} is lost (the image id stays)",
                path.display(),
                if made == 1 { "the image" } else { "the images" },
            ));
        }
        match layout::unused(&holding, &images) {
            0 => {}
            1 => notes.push(format!("{}: one blob belongs to none of its images and stays behind", path.display())),
            n => notes.push(format!("{}: {n} blobs belong to none of its images and stay behind", path.display())),
        }
        Ok(Input { notes, images: self.name(path, &images, &blobs)? })
    }

    /// Names all images of one input; an image with two names becomes two artifacts.
    fn name(&self, path: &Path, images: &[Image], blobs: &Blobs<'_>) -> Result<Vec<Named>, SourceError> {
        let nameless: Vec<Nameless<'_>> = images
            .iter()
            .map(|image| Nameless {
                top: image.top.digest,
                said: &image.said,
                subject: image.facts.manifests.first().and_then(|m| m.subject),
                manifests: image.facts.manifests.iter().map(|m| m.blob.digest).collect(),
            })
            .collect();
        let root = RelPath::new(ROOT).map_err(|source| SourceError::Path { path: path.into(), source })?;
        let list = |why: String| SourceError::List { path: path.into(), why };
        let references = naming::references(&self.naming, path, &nameless).map_err(list)?;
        let mut out = Vec::new();
        for (image, references) in images.iter().zip(references) {
            let origins = origins(image, blobs).map_err(SourceError::kind(path))?;
            for reference in references {
                let served = self.naming.served(&reference, &image.top.digest).map_err(|e| list(e.to_string()))?;
                let found = Found { described: describe(image, &served, &root), origins: origins.clone() };
                let (top, absent) = (image.top.digest, image.facts.absent.len());
                out.push(Named { served, top, absent, path: path.into(), found });
            }
        }
        Ok(out)
    }
}

fn describe(image: &Image, served: &Served, root: &RelPath) -> Described {
    let artifact = Artifact {
        kind: Kind::Image,
        name: served.name.to_string(),
        version: image.derived.version.clone(),
        arch: image.derived.arch.clone(),
        root: root.clone(),
        path: None,
        executable: false,
        blobs: image.derived.blobs.clone(),
        labels: vec![("origin".into(), served.origin.clone())],
    };
    Described { artifact, facts: Bytes(image.derived.facts.0.clone()) }
}

/// Where each blob's bytes can be read again; documents are those that were parsed.
fn origins(image: &Image, blobs: &Blobs<'_>) -> Result<BTreeMap<Blob, Origin>, KindError> {
    let manifests = image.facts.manifests.iter();
    let documents: BTreeSet<Blob> = manifests.flat_map(|m| m.config.iter().map(|c| c.blob).chain([m.blob])).collect();
    let origin = |blob: &Blob| {
        let origin = blobs.origin(blob, documents.contains(blob)).ok_or(KindError::MissingBlob(blob.digest))?;
        Ok((*blob, origin))
    };
    image.derived.blobs.iter().map(origin).collect()
}

/// Every name once, in order. The same image from two places counts once (the one that leaves less out); two images
/// under one name, or under names that differ in case only, are refused.
fn distinct(mut all: Vec<Named>) -> Result<Vec<Named>, SourceError> {
    all.sort_by(|a, b| (&a.served, a.absent, &a.path).cmp(&(&b.served, b.absent, &b.path)));
    let mut names: BTreeMap<String, (String, Digest, PathBuf, String)> = BTreeMap::new();
    let mut out = Vec::new();
    for image in all {
        let name = image.served.name.to_string();
        let Some((there, top, path, origin)) = names.get(&fold(&name)) else {
            names.insert(fold(&name), (name, image.top, image.path.clone(), image.served.origin.clone()));
            out.push(image);
            continue;
        };
        if *there != name || *top != image.top {
            let why = format!(
                "its image {} and {} of {} would both be served as {name}; leave one out, or keep the hosts in names",
                image.served.origin,
                origin,
                path.display()
            );
            return Err(SourceError::List { path: image.path, why });
        }
    }
    Ok(out)
}
