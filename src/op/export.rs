//! An *export* is one image of a site as an archive that container tools load: for a bare machine that has no registry yet.
//!
//! The archive is an OCI layout and a docker-archive in one tar; blobs are copied as they are, and hashed again on the way.
//! The same image gives the same archive. Specified by the OCI image specification 1.1, `image-layout.md`.

use crate::cbor::CborError;
use crate::class::{Class, Classified};
use crate::digest::{Blob, Digest, HashingReader};
use crate::kind::oci::document::is_image_config;
use crate::kind::oci::name::{ImageName, Reference};
use crate::kind::oci::{ImageFacts, ManifestFacts};
use crate::kind::{BlobReader, KindError};
use crate::model::{Artifact, Catalog, Described, Kind};
use crate::source::oci::naming::Upstream;
use crate::source::oci::platforms;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, Read as _, Write};

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// The name under which the site serves it.
    pub name: String,
    /// The full name under which it is loaded.
    pub origin: String,
    /// The manifest or index in the archive.
    pub digest: Digest,
    /// The platform that loaders without indexes get; absent where it is no image to run.
    pub platform: Option<String>,
    /// Length of the archive in bytes.
    pub bytes: u64,
}

/// Why an image cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// No image has that name.
    #[error("the site has no image {name:?}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names of its images that end alike, at most ten.
        near: Vec<String>,
    },
    /// The image is not there for that platform.
    #[error("{name} is not there for {platform}")]
    Platform {
        /// The image.
        name: String,
        /// What was asked for.
        platform: String,
        /// What there is.
        have: Vec<String>,
    },
    /// The image's facts do not decode.
    #[error("the facts of {name} do not decode")]
    Facts {
        /// The image.
        name: String,
        /// Why.
        #[source]
        source: CborError,
    },
    /// A blob of the site cannot be read, or is damaged.
    #[error("the blob {digest} of the site cannot be copied")]
    Blob {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: KindError,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

impl Classified for ExportError {
    fn class(&self) -> Class {
        match self {
            ExportError::Unknown { .. } | ExportError::Platform { .. } => Class::Usage,
            ExportError::Facts { .. } => Class::Damaged,
            ExportError::Blob { source, .. } => source.class(),
            ExportError::Write(_) => Class::Failed,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            ExportError::Unknown { near, .. } if !near.is_empty() => Some(format!("it has {}", near.join(", "))),
            ExportError::Unknown { .. } => Some("`pouch status` lists what it has".into()),
            ExportError::Platform { have, .. } => Some(format!("it has {}", have.join(", "))),
            ExportError::Blob { .. } => Some("`pouch check` finds what is damaged and mends it from a bundle".into()),
            _ => None,
        }
    }
}

/// Writes the image `name` as an archive: the whole of it or, where `platform` (`os/arch` or `os/arch/variant`) is given,
/// one image of its index. `name` is what the site serves, or upstream's reference, or either with a registry's host.
pub fn export(
    catalog: &Catalog,
    name: &str,
    blobs: &dyn BlobReader,
    platform: Option<&str>,
    out: &mut dyn Write,
) -> Result<Exported, ExportError> {
    let described = find(catalog, name)?;
    let artifact = &described.artifact;
    let facts = ImageFacts::decode(&described.facts)
        .map_err(|source| ExportError::Facts { name: artifact.name.clone(), source })?;
    let runs = runnable(&facts, artifact, platform)?;
    let whole = facts.manifests.first().filter(|_| platform.is_none()).or(runs);
    let Some(top) = whole else {
        return Err(unknown(catalog, name));
    };
    let contents: Vec<Blob> = match platform {
        None => artifact.blobs.clone(),
        Some(_) => once(top, &facts),
    };
    let origin = full_name(artifact.label("origin").unwrap_or(&artifact.name));
    let mut tar = Tar { out, bytes: 0 };
    tar.small("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    tar.small("index.json", index(artifact, &origin, top).to_string().as_bytes())?;
    if let Some(runs) = runs {
        tar.small("manifest.json", table(&origin, runs).to_string().as_bytes())?;
    }
    for blob in &contents {
        tar.blob(blob, blobs)?;
    }
    let bytes = tar.finish()?;
    let platform = runs.and_then(|m| m.platform.clone());
    Ok(Exported { name: artifact.name.clone(), origin, digest: top.blob.digest, platform, bytes })
}

/// The newest image of that name. A name as it is served counts before upstream's, and that before one with a host.
fn find<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Described, ExportError> {
    let asked = Upstream::parse(name);
    let tag = asked.tag.as_deref().unwrap_or("latest");
    let under = |repository: &str| match &asked.digest {
        Some(digest) => format!("{repository}@{digest}"),
        None => format!("{repository}:{tag}"),
    };
    let plain = name.split(['@', ':']).next().unwrap_or(name);
    let mut forms = vec![name.to_owned(), under(plain), under(&asked.repository)];
    if let Some((host, rest)) = asked.repository.split_once('/')
        && is_host(host)
    {
        forms.push(under(rest));
    }
    let images = || catalog.all().filter(|(_, d)| d.artifact.kind == Kind::Image);
    for form in &forms {
        let named = |d: &Described| {
            let a = &d.artifact;
            a.name == *form || a.label("origin") == Some(form) || by_digest(a).as_deref() == Some(form)
        };
        let mut found: Vec<_> = images().filter(|(_, d)| named(d)).collect();
        found.sort_by_key(|(release, _)| !release.latest); // stable: newest first stays
        if let Some((_, described)) = found.first() {
            return Ok(described);
        }
    }
    Err(unknown(catalog, name))
}

/// The name of an image by its digest.
fn by_digest(artifact: &Artifact) -> Option<String> {
    let repository = ImageName::parse(&artifact.name).ok()?.repository;
    Some(format!("{repository}@{}", artifact.blobs.first()?.digest.oci()))
}

fn unknown(catalog: &Catalog, name: &str) -> ExportError {
    let asked = Upstream::parse(name).repository;
    let last = |repository: &str| repository.rsplit('/').next().map(str::to_owned);
    let images = catalog.all().filter(|(_, d)| d.artifact.kind == Kind::Image).map(|(_, d)| &d.artifact.name);
    let near: BTreeSet<String> =
        images.filter(|n| last(&Upstream::parse(n).repository) == last(&asked)).cloned().collect();
    ExportError::Unknown { name: name.into(), near: near.into_iter().take(10).collect() }
}

fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

/// A reference with a host, as loaders keep it.
fn full_name(origin: &str) -> String {
    match origin.split_once('/') {
        Some((host, _)) if is_host(host) => origin.to_owned(),
        Some(_) => format!("docker.io/{origin}"),
        None => format!("docker.io/library/{origin}"),
    }
}

/// The image that a loader without indexes gets: the one for `platform`, else the first that can be run.
fn runnable<'a>(
    facts: &'a ImageFacts,
    artifact: &Artifact,
    platform: Option<&str>,
) -> Result<Option<&'a ManifestFacts>, ExportError> {
    let runs = |m: &&ManifestFacts| {
        m.config.as_ref().is_some_and(|c| is_image_config(&c.media_type))
            && m.artifact_type.is_none()
            && !m.platform.as_ref().is_some_and(|p| p.starts_with("unknown/"))
    };
    let mut all = facts.manifests.iter().filter(runs);
    let Some(asked) = platform else { return Ok(all.next()) };
    let fits = |m: &&ManifestFacts| m.platform.as_deref().is_some_and(|have| platforms::matches(asked, have));
    all.find(fits).map(Some).ok_or_else(|| ExportError::Platform {
        name: artifact.name.clone(),
        platform: asked.into(),
        have: facts.platforms().into_iter().map(str::to_owned).collect(),
    })
}

/// The blobs of one manifest that are there, each once.
fn once(manifest: &ManifestFacts, facts: &ImageFacts) -> Vec<Blob> {
    let mut seen: BTreeSet<Digest> = facts.absent.iter().copied().collect();
    let parts = manifest.config.iter().chain(&manifest.layers).map(|p| p.blob);
    [manifest.blob].into_iter().chain(parts).filter(|b| seen.insert(b.digest)).collect()
}

fn index(artifact: &Artifact, origin: &str, top: &ManifestFacts) -> Value {
    let mut annotations = json!({ "io.containerd.image.name": origin });
    if let Ok(ImageName { reference: Reference::Tag(tag), .. }) = ImageName::parse(&artifact.name) {
        annotations["org.opencontainers.image.ref.name"] = tag.into();
    }
    json!({
        "schemaVersion": 2,
        "mediaType": crate::kind::oci::document::OCI_INDEX,
        "manifests": [{
            "mediaType": top.media_type,
            "digest": top.blob.digest.oci(),
            "size": top.blob.len,
            "annotations": annotations,
        }],
    })
}

/// `manifest.json` of a docker-archive; it names tags only.
fn table(origin: &str, runs: &ManifestFacts) -> Value {
    let place = |blob: &Blob| blob_name(&blob.digest);
    let tags: Vec<&str> = Some(origin).into_iter().filter(|o| !o.contains('@')).collect();
    json!([{
        "Config": runs.config.as_ref().map(|c| place(&c.blob)),
        "RepoTags": tags,
        "Layers": runs.layers.iter().map(|l| place(&l.blob)).collect::<Vec<_>>(),
    }])
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A tar that is written from its beginning to its end.
struct Tar<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Tar<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(ExportError::Write)
    }

    /// Time, owner and mode are always the same.
    fn header(&mut self, name: &str, len: u64) -> Result<(), ExportError> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).map_err(ExportError::Write)?;
        header.set_size(len);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn pad(&mut self, len: u64) -> Result<(), ExportError> {
        let rest = usize::try_from((512 - len % 512) % 512).unwrap_or(0);
        self.write(&[0; 512][..rest])
    }

    fn small(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        self.header(name, bytes.len() as u64)?;
        self.write(bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn blob(&mut self, blob: &Blob, blobs: &dyn BlobReader) -> Result<(), ExportError> {
        let bad = |source| ExportError::Blob { digest: blob.digest, source };
        let reader = blobs.open(blob).map_err(bad)?;
        self.header(&blob_name(&blob.digest), blob.len)?;
        let mut reader = HashingReader::new(reader.take(blob.len));
        let mut buf = vec![0u8; 1 << 18];
        loop {
            match reader.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => self.write(&buf[..n])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(bad(e.into())),
            }
        }
        let (_, have) = reader.finish();
        if have != *blob {
            let (left, right) = (format!("{blob:?}"), format!("{have:?}"));
            return Err(bad(KindError::Disagree { what: "a blob's name and its bytes", left, right }));
        }
        self.pad(blob.len)
    }

    fn finish(mut self) -> Result<u64, ExportError> {
        self.write(&[0; 1024])?;
        self.out.flush().map_err(ExportError::Write)?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{Bytes, encode};
    use crate::kind::ReadSeek;
    use crate::kind::oci::Part;
    use crate::model::ReleaseView;
    use crate::relpath::RelPath;
    use std::io::Cursor;

    fn image(name: &str, origin: &str) -> Described {
        let part = |what: &str| Part { blob: Blob::of(format!("{what} {name}").as_bytes()), media_type: what.into() };
        let (config, layer) = (part("config"), part("layer"));
        let manifest = Blob::of(format!("manifest {name}").as_bytes());
        let blobs = vec![manifest, config.blob, layer.blob];
        let manifest = ManifestFacts {
            blob: manifest,
            media_type: "m".into(),
            artifact_type: None,
            platform: Some("linux/amd64".into()),
            config: Some(config),
            layers: vec![layer],
            children: vec![],
            subject: None,
            runs: None,
        };
        let facts = Bytes(encode(&ImageFacts { manifests: vec![manifest], absent: vec![] }));
        let artifact = Artifact {
            kind: Kind::Image,
            name: name.into(),
            version: None,
            arch: None,
            root: RelPath::new("registry").expect("a path"),
            path: None,
            executable: false,
            blobs,
            labels: vec![("origin".into(), origin.into())],
        };
        Described { artifact, facts }
    }

    fn catalog() -> Catalog {
        let release = |stream: &str, latest, images: &[(&str, &str)]| ReleaseView {
            stream: stream.into(),
            epoch: 1,
            sequence: 1,
            latest,
            artifacts: images.iter().map(|(name, origin)| image(name, origin)).collect(),
        };
        let new =
            [("pause:3.10", "registry.k8s.io/pause:3.10"), ("library/nginx:latest", "docker.io/library/nginx:latest")];
        Catalog { releases: vec![release("s", true, &new), release("s", false, &[("old/x:1", "quay.io/old/x:1")])] }
    }

    /// Every blob is what it is called, or none is.
    struct Blobs(bool);

    impl BlobReader for Blobs {
        fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
            let names = ["pause:3.10", "library/nginx:latest", "old/x:1"];
            let all = ["manifest", "config", "layer"].map(|what| names.map(|name| format!("{what} {name}")));
            let bytes = all.into_iter().flatten().find(|b| Blob::of(b.as_bytes()) == *blob);
            let bytes = bytes.filter(|_| self.0).unwrap_or_default().into_bytes();
            Ok(Box::new(Cursor::new(bytes)))
        }
        fn find(&self, _: &Digest) -> Option<Blob> {
            None
        }
    }

    #[test]
    fn images_are_found_by_any_of_their_names() {
        let digest = Blob::of(b"manifest pause:3.10").digest.oci();
        for (asked, expect) in [
            ("pause:3.10", Some("registry.k8s.io/pause:3.10")),
            ("registry.k8s.io/pause:3.10", Some("registry.k8s.io/pause:3.10")),
            ("localhost:35000/pause:3.10", Some("registry.k8s.io/pause:3.10")),
            (&format!("pause@{digest}"), Some("registry.k8s.io/pause:3.10")),
            ("nginx", Some("docker.io/library/nginx:latest")),
            ("library/nginx", Some("docker.io/library/nginx:latest")),
            ("10.0.0.1:5000/library/nginx", Some("docker.io/library/nginx:latest")),
            ("old/x:1", Some("quay.io/old/x:1")),
            ("pause:3.9", None),
            ("pause", None),
            ("x/pause:3.10", None),
            ("", None),
            ("é:@/", None),
        ] {
            let got = export(&catalog(), asked, &Blobs(true), None, &mut Vec::new());
            assert_eq!(got.ok().map(|e| e.origin).as_deref(), expect, "{asked}");
        }
    }

    #[test]
    fn refusals_say_what_there_is() {
        let run = |name: &str, platform, whole| export(&catalog(), name, &Blobs(whole), platform, &mut Vec::new());
        let check = |got: Result<Exported, ExportError>, class: Class, hint: &str| {
            let e = got.expect_err("it was exported");
            assert!(e.class() == class && e.hint().unwrap_or_default().contains(hint), "{e} {:?}", e.hint());
        };
        check(run("pause:3.9", None, true), Class::Usage, "pause:3.10");
        check(run("pause:3.10", Some("linux/arm64"), true), Class::Usage, "linux/amd64");
        check(run("pause:3.10", None, false), Class::Damaged, "pouch check");
    }
}
