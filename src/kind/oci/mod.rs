//! An *image* is an OCI or Docker image, image index or other OCI artifact: a manifest and all that it refers to.
//!
//! It is never unpacked; layers are bytes. What is read is manifests, indexes and image configurations.
//! Specified in `spec/facts.md`, section "image/1"; the documents by the OCI image specification 1.1 and Docker's schema 2.

pub mod document;
pub mod name;
#[cfg(test)]
mod tests;

use super::{BlobReader, Derived, KindError, ReadSeek, top};
use crate::cbor::{Bytes, CborError, decode, encode, record};
use crate::digest::{Blob, Digest};
use crate::limits;
use crate::model::Artifact;
use document::{Descriptor, Document, Platform};
use name::{ImageName, Reference};
use std::collections::BTreeSet;

record! {
    /// Facts of an image, schema `image/1`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ImageFacts {
        /// Every manifest and index, depth first in document order, the artifact itself first, each once.
        0 => manifests: Vec<ManifestFacts>,
        /// Children of an index, and layers that their descriptor says lie elsewhere, that do not travel along: in
        /// the order of the walk, each once.
        1 => absent: Vec<Digest>,
    }
}

record! {
    /// One manifest or index.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ManifestFacts {
        /// Its bytes.
        0 => blob: Blob,
        /// Its media type: as it says itself, else by its form.
        1 => media_type: String,
        /// What it says of its `artifactType`.
        2 => artifact_type: Option<String>,
        /// Its platform `os/arch` or `os/arch/variant`: as its index says, else as its configuration says.
        3 => platform: Option<String>,
        /// Its configuration; an index has none.
        4 => config: Option<Part>,
        /// Its layers in order; an index has none.
        5 => layers: Vec<Part>,
        /// The manifests that an index lists, in order, present or not.
        6 => children: Vec<Digest>,
        /// The manifest that this one is about.
        7 => subject: Option<Digest>,
        /// What its configuration says, where that is an image configuration.
        8 => runs: Option<ConfigFacts>,
    }
}

record! {
    /// A blob as its manifest describes it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Part {
        /// Digest and length.
        0 => blob: Blob,
        /// Media type.
        1 => media_type: String,
    }
}

record! {
    /// What a reviewer wants to know of an image configuration.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ConfigFacts {
        /// `os/arch` or `os/arch/variant`.
        0 => platform: Option<String>,
        /// The user it runs as; absent where that is root by default.
        1 => user: Option<String>,
        /// Its entry point.
        2 => entrypoint: Vec<String>,
        /// Its command, or the arguments of its entry point.
        3 => cmd: Vec<String>,
    }
}

impl ImageFacts {
    /// The platforms of all image manifests that are present, each once, in the order of the walk; those of
    /// attestations (`unknown/unknown`) are left out.
    pub fn platforms(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let images = self.manifests.iter().filter(|m| m.config.is_some());
        let platforms = images.filter_map(|m| m.platform.as_deref()).filter(|p| !p.starts_with("unknown/"));
        platforms.filter(|p| seen.insert(*p)).collect()
    }
}

/// Reads what the bytes say, and refuses a name that no registry could serve it under. Where `artifact` lists blobs beyond
/// its first, only those count as present: whether a child of an index is absent is a matter of the release, not of what
/// else lies on the site.
pub fn derive(artifact: &Artifact, blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let top = top(artifact)?;
    let name = ImageName::parse(&artifact.name)?;
    if let Reference::Digest(digest) = name.reference
        && digest != top.digest
    {
        let (left, right) = (digest.oci(), top.digest.oci());
        return Err(KindError::Disagree { what: "the digest in an image's name and its manifest", left, right });
    }
    let derived = match artifact.blobs.len() {
        0 | 1 => describe(top, blobs)?,
        _ => describe(top, &Confined { reader: blobs, to: artifact.blobs.iter().map(|b| b.digest).collect() })?,
    };
    Ok(derived.0)
}

/// A reader that has some blobs of another only.
struct Confined<'a> {
    reader: &'a dyn BlobReader,
    to: BTreeSet<Digest>,
}

impl BlobReader for Confined<'_> {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        self.reader.open(blob)
    }
    fn find(&self, digest: &Digest) -> Option<Blob> {
        self.to.contains(digest).then(|| self.reader.find(digest)).flatten()
    }
}

/// What the manifest `top` and all that it refers to say, whatever its name.
pub fn describe(top: Blob, blobs: &dyn BlobReader) -> Result<(Derived, ImageFacts), KindError> {
    let mut walk =
        Walk { reader: blobs, blobs: vec![], seen: BTreeSet::new(), absent: BTreeSet::new(), facts: empty() };
    walk.manifest(top, None, 0)?;
    let facts = walk.facts;
    let platforms = facts.platforms();
    let arch = (!platforms.is_empty()).then(|| platforms.join(","));
    let encoded = encode(&facts);
    if encoded.len() > limits::FACTS {
        return Err(too_large("the facts of an image", limits::FACTS, encoded.len()));
    }
    let derived = Derived { name: None, version: None, arch, blobs: walk.blobs, made: vec![], facts: Bytes(encoded) };
    Ok((derived, facts))
}

fn empty() -> ImageFacts {
    ImageFacts { manifests: vec![], absent: vec![] }
}

fn too_large(what: &'static str, limit: usize, have: usize) -> KindError {
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    KindError::TooLarge { what, limit: wide(limit), have: wide(have) }
}

struct Walk<'a> {
    reader: &'a dyn BlobReader,
    blobs: Vec<Blob>,
    seen: BTreeSet<Digest>,
    absent: BTreeSet<Digest>,
    facts: ImageFacts,
}

impl Walk<'_> {
    /// Enters a blob; false where it was there already.
    fn enter(&mut self, blob: Blob) -> Result<bool, KindError> {
        if !self.seen.insert(blob.digest) {
            return Ok(false);
        }
        if self.blobs.len() >= limits::ARTIFACT_BLOBS {
            return Err(too_large(
                "an image's list of blobs",
                limits::ARTIFACT_BLOBS,
                limits::ARTIFACT_BLOBS.saturating_add(1),
            ));
        }
        self.blobs.push(blob);
        Ok(true)
    }

    fn leave_out(&mut self, digest: Digest) -> Result<(), KindError> {
        if self.absent.insert(digest) {
            if self.facts.absent.len() >= limits::ARTIFACT_BLOBS {
                return Err(too_large(
                    "an image's list of absent blobs",
                    limits::ARTIFACT_BLOBS,
                    self.facts.absent.len().saturating_add(1),
                ));
            }
            self.facts.absent.push(digest);
        }
        Ok(())
    }

    /// The blob that a descriptor names, which must have the length that it says.
    fn resolve(&self, descriptor: &Descriptor) -> Result<Option<Blob>, KindError> {
        match self.reader.find(&descriptor.digest) {
            Some(blob) if blob.len != descriptor.size => Err(KindError::Disagree {
                what: "the size in a descriptor and the length of its blob",
                left: format!("{} for {}", descriptor.size, descriptor.digest.oci()),
                right: blob.len.to_string(),
            }),
            found => Ok(found),
        }
    }

    /// All bytes of a document. They are hashed again: only then can a chain of documents not close into a circle.
    fn read(&self, blob: &Blob, what: &'static str) -> Result<Vec<u8>, KindError> {
        let bytes = self.reader.read_small(blob, what, limits::OCI_DOCUMENT)?;
        let have = Blob::of(&bytes);
        if have != *blob {
            let (left, right) = (blob.digest.oci(), have.digest.oci());
            return Err(KindError::Disagree { what: "the digest of a document and its bytes", left, right });
        }
        Ok(bytes)
    }

    fn manifest(&mut self, blob: Blob, by: Option<&Descriptor>, depth: usize) -> Result<(), KindError> {
        if depth > limits::INDEX_DEPTH {
            return Err(too_large("the nesting of an image index", limits::INDEX_DEPTH, depth));
        }
        if !self.enter(blob)? {
            return Ok(());
        }
        let document = Document::parse(&self.read(&blob, "an image manifest")?)?;
        if let Some(said) = by.map(|d| &d.media_type)
            && said != document.media_type()
        {
            return Err(KindError::Disagree {
                what: "the media type in a descriptor and that of its manifest",
                left: said.clone(),
                right: document.media_type().to_owned(),
            });
        }
        let mut facts = ManifestFacts {
            blob,
            media_type: document.media_type().to_owned(),
            artifact_type: None,
            platform: by.and_then(|d| d.platform.as_ref()).map(Platform::to_string),
            config: None,
            layers: vec![],
            children: vec![],
            subject: None,
            runs: None,
        };
        match document {
            Document::Index(index) => {
                facts.artifact_type = index.artifact_type;
                facts.subject = index.subject;
                facts.children = index.manifests.iter().map(|d| d.digest).collect();
                self.facts.manifests.push(facts);
                self.children(&index.manifests, depth)
            }
            Document::Manifest(manifest) => {
                facts.artifact_type = manifest.artifact_type;
                facts.subject = manifest.subject;
                let config = self.part(&manifest.config)?;
                facts.runs = self.config(&manifest.config)?;
                if facts.platform.is_none() {
                    facts.platform = facts.runs.as_ref().and_then(|c| c.platform.clone());
                }
                facts.config = Some(config);
                for layer in &manifest.layers {
                    facts.layers.push(self.part(layer)?);
                }
                self.facts.manifests.push(facts);
                Ok(())
            }
        }
    }

    /// Walks the children of an index; some may be absent, but not all.
    fn children(&mut self, children: &[Descriptor], depth: usize) -> Result<(), KindError> {
        let mut present = children.is_empty();
        for child in children {
            match self.resolve(child)? {
                Some(blob) => {
                    present = true;
                    self.manifest(blob, Some(child), depth.saturating_add(1))?;
                }
                None => self.leave_out(child.digest)?,
            }
        }
        match (present, children.first()) {
            (false, Some(first)) => Err(KindError::MissingBlob(first.digest)),
            _ => Ok(()),
        }
    }

    /// Enters a configuration or layer. Only a layer that its descriptor gives a URL for may be absent.
    fn part(&mut self, descriptor: &Descriptor) -> Result<Part, KindError> {
        match self.resolve(descriptor)? {
            Some(blob) => {
                self.enter(blob)?;
            }
            None if descriptor.foreign => self.leave_out(descriptor.digest)?,
            None => return Err(KindError::MissingBlob(descriptor.digest)),
        }
        let blob = Blob { digest: descriptor.digest, len: descriptor.size };
        Ok(Part { blob, media_type: descriptor.media_type.clone() })
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Option<ConfigFacts>, KindError> {
        if !document::is_image_config(&descriptor.media_type) {
            return Ok(None);
        }
        let blob = Blob { digest: descriptor.digest, len: descriptor.size };
        let config = document::Config::parse(&self.read(&blob, "an image configuration")?)?;
        Ok(Some(ConfigFacts {
            platform: config.platform.as_ref().map(Platform::to_string),
            user: config.user,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
        }))
    }
}

impl ImageFacts {
    /// Decodes facts of schema `image/1`.
    pub fn decode(facts: &Bytes) -> Result<ImageFacts, CborError> {
        decode(&facts.0)
    }
}
