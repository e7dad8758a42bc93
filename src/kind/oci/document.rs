//! A *document* is the JSON of an image: a manifest, an index or an image configuration.
//!
//! Nothing is normalised: digests are of the raw bytes. A document that two readers could understand differently is
//! refused: keys that appear twice, keys that differ from known ones only in case (which Go's reader takes for the
//! same), both `manifests` and `layers` (CVE-2021-41190). Specified in `spec/facts.md`, section "Documents".

use crate::digest::Digest;
use crate::kind::KindError;
use crate::relpath::fold;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Media type of an OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of Docker's manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Media type of Docker's image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of Docker's image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// How the media types of Docker's schema 1 begin.
const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+";

/// Keys that decide what a manifest means.
const MANIFEST_KEYS: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "manifests",
    "config",
    "layers",
    "subject",
    "digest",
    "size",
    "urls",
    "platform",
    "architecture",
    "os",
    "variant",
    "fsLayers",
    "annotations",
];
/// Keys that decide what an image configuration means.
const CONFIG_KEYS: &[&str] =
    &["architecture", "os", "variant", "config", "rootfs", "diff_ids", "User", "Entrypoint", "Cmd"];
/// Keys below which names are the author's own.
const FREE_KEYS: &[&str] = &["annotations", "Labels", "ExposedPorts", "Volumes"];

/// Whether configurations of that media type say what an image runs.
pub fn is_image_config(media_type: &str) -> bool {
    media_type == OCI_CONFIG || media_type == DOCKER_CONFIG
}

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A list of manifests.
    Index(Index),
    /// A configuration and layers.
    Manifest(Manifest),
}

/// An image index or manifest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its media type.
    pub media_type: String,
    /// Its `artifactType`.
    pub artifact_type: Option<String>,
    /// What it lists.
    pub manifests: Vec<Descriptor>,
    /// What it is about.
    pub subject: Option<Digest>,
}

/// An image manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type.
    pub media_type: String,
    /// Its `artifactType`.
    pub artifact_type: Option<String>,
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// What it is about.
    pub subject: Option<Digest>,
}

/// What a document says of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The blob's media type.
    pub media_type: String,
    /// The blob's digest.
    pub digest: Digest,
    /// The blob's length in bytes.
    pub size: u64,
    /// Whether it may be had from elsewhere (`urls`).
    pub foreign: bool,
    /// The platform it is for.
    pub platform: Option<Platform>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// An operating system, an architecture and perhaps a variant of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    arch: String,
    variant: Option<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        self.variant.iter().try_for_each(|v| write!(f, "/{v}"))
    }
}

impl Platform {
    /// The platform of three words; `None` where os or architecture is not said.
    fn new(os: Option<String>, arch: Option<String>, variant: Option<String>) -> Result<Option<Platform>, KindError> {
        let word = |w: Option<String>| match w {
            Some(w) if w.is_empty() => Ok(None),
            Some(w) if w.len() > 64 || !w.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) => Err(
                KindError::malformed("an image's platform", format!("the word {w:?} is not one of letters and digits")),
            ),
            w => Ok(w),
        };
        let variant = word(variant)?;
        Ok(word(os)?.zip(word(arch)?).map(|(os, arch)| Platform { os, arch, variant }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    manifests: Option<Vec<RawDescriptor>>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    subject: Option<RawDescriptor>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: Option<String>,
    digest: String,
    size: u64,
    urls: Option<Vec<String>>,
    platform: Option<RawPlatform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RawPlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl RawDescriptor {
    fn check(self) -> Result<Descriptor, KindError> {
        let platform = match self.platform {
            Some(p) => Platform::new(p.os, p.architecture, p.variant)?,
            None => None,
        };
        Ok(Descriptor {
            media_type: self.media_type.unwrap_or_default(),
            digest: digest(&self.digest)?,
            size: self.size,
            foreign: self.urls.is_some_and(|u| !u.is_empty()),
            platform,
            annotations: self.annotations.unwrap_or_default(),
        })
    }
}

/// A digest as documents write it.
pub fn digest(text: &str) -> Result<Digest, KindError> {
    Digest::from_oci(text).map_err(|e| match text.split_once(':') {
        Some((algorithm @ ("sha384" | "sha512" | "blake3"), _)) => {
            KindError::Unsupported(format!("a blob named by its {algorithm} digest (pouch knows blobs by sha256 only)"))
        }
        _ => KindError::malformed("a digest in an image manifest", e.to_string()),
    })
}

impl Document {
    /// Reads a manifest or index.
    pub fn parse(bytes: &[u8]) -> Result<Document, KindError> {
        const WHAT: &str = "an image manifest";
        let raw: RawDocument = parse(bytes, WHAT, MANIFEST_KEYS)?;
        let schema1 = raw.fs_layers.is_some()
            || raw.schema_version == Some(1)
            || raw.media_type.as_deref().is_some_and(|m| m.starts_with(DOCKER_SCHEMA1));
        if schema1 {
            return Err(KindError::Unsupported(format!("{WHAT} of Docker's schema 1")));
        }
        // Without it a registry of version 2 does not serve the manifest.
        if raw.schema_version != Some(2) {
            return Err(KindError::malformed(WHAT, "its schemaVersion is not 2"));
        }
        if raw.manifests.is_some() && (raw.layers.is_some() || raw.config.is_some()) {
            return Err(KindError::malformed(WHAT, "it has both manifests and config or layers"));
        }
        let by_form = if raw.manifests.is_some() { OCI_INDEX } else { OCI_MANIFEST };
        let media_type = raw.media_type.unwrap_or_else(|| by_form.to_owned());
        let subject = raw.subject.map(|s| digest(&s.digest)).transpose()?;
        let artifact_type = raw.artifact_type;
        match (media_type.as_str(), raw.manifests, raw.config) {
            (OCI_INDEX | DOCKER_LIST, Some(list), None) => {
                let manifests = list.into_iter().map(RawDescriptor::check).collect::<Result<_, _>>()?;
                Ok(Document::Index(Index { media_type, artifact_type, manifests, subject }))
            }
            (OCI_MANIFEST | DOCKER_MANIFEST, None, Some(config)) => {
                let layers = raw.layers.unwrap_or_default().into_iter().map(RawDescriptor::check);
                let layers = layers.collect::<Result<_, _>>()?;
                Ok(Document::Manifest(Manifest { media_type, artifact_type, config: config.check()?, layers, subject }))
            }
            (OCI_INDEX | DOCKER_LIST | OCI_MANIFEST | DOCKER_MANIFEST, _, _) => {
                Err(KindError::malformed(WHAT, format!("it is no {media_type}, which it says it is")))
            }
            _ => Err(KindError::Unsupported(format!("{WHAT} of the media type {media_type:?}"))),
        }
    }

    /// Its media type.
    pub fn media_type(&self) -> &str {
        match self {
            Document::Index(i) => &i.media_type,
            Document::Manifest(m) => &m.media_type,
        }
    }
}

/// What is read of an image configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its platform.
    pub platform: Option<Platform>,
    /// `config.User`, where it is not empty.
    pub user: Option<String>,
    /// `config.Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `config.Cmd`.
    pub cmd: Vec<String>,
    /// `rootfs.diff_ids`: digests of the layers' plain tars; empty where it has none.
    pub diff_ids: Vec<String>,
}

#[derive(Deserialize)]
struct RawConfig {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    config: Option<RawRun>,
    rootfs: Option<RawRootfs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRun {
    user: Option<String>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawRootfs {
    diff_ids: Option<Vec<String>>,
}

impl Config {
    /// Reads an image configuration.
    pub fn parse(bytes: &[u8]) -> Result<Config, KindError> {
        let raw: RawConfig = parse(bytes, "an image configuration", CONFIG_KEYS)?;
        let run = raw.config.unwrap_or(RawRun { user: None, entrypoint: None, cmd: None });
        Ok(Config {
            platform: Platform::new(raw.os, raw.architecture, raw.variant)?,
            user: run.user.filter(|u| !u.is_empty()),
            entrypoint: run.entrypoint.unwrap_or_default(),
            cmd: run.cmd.unwrap_or_default(),
            diff_ids: raw.rootfs.and_then(|r| r.diff_ids).unwrap_or_default(),
        })
    }
}

/// Reads a JSON document whose keys are unambiguous; `known` are the keys that nothing may merely resemble.
pub fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8], what: &'static str, known: &[&str]) -> Result<T, KindError> {
    let malformed = |e: serde_json::Error| KindError::malformed(what, e.to_string());
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Unambiguous { known }.deserialize(&mut json).map_err(malformed)?;
    json.end().map_err(malformed)?;
    serde_json::from_slice(bytes).map_err(malformed)
}

/// Reads any JSON, keeps nothing of it, and refuses ambiguous keys. serde_json bounds the depth to 128.
#[derive(Clone, Copy)]
struct Unambiguous<'a> {
    known: &'a [&'a str],
}

impl<'de> DeserializeSeed<'de> for Unambiguous<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let folded = fold(&key);
            if let Some(known) = self.known.iter().find(|k| **k != key && fold(k) == folded) {
                return Err(A::Error::custom(format!("the key {key:?} could be taken for {known:?}")));
            }
            let free = FREE_KEYS.contains(&key.as_str());
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("the key {key:?} appears twice")));
            }
            keys.insert(key);
            map.next_value_seed(Unambiguous { known: if free { &[] } else { self.known } })?;
        }
        Ok(())
    }
}
