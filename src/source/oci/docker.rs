//! A *docker-archive* is a tar with `manifest.json`, image configurations and layers, as `docker save` and `podman save`
//! write it. It has no manifest of a registry's kind, so one is made by the rule `docker-archive/1`.
//!
//! Configurations and layers stay as they are; so the image id is kept, and the digest of upstream's manifest cannot be.
//! Specified in `spec/facts.md`, section "docker-archive/1".

use super::holding::{Blobs, Holding, Member, expand};
use super::naming::Said;
use super::{Image, SourceError};
use crate::digest::{Blob, Digest};
use crate::kind::KindError;
use crate::kind::oci::describe;
use crate::kind::oci::document::{self, Config, DOCKER_CONFIG, DOCKER_MANIFEST};
use std::collections::{BTreeMap, BTreeSet};

/// Media type of a layer that is a plain tar.
const PLAIN_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Media type of a layer that is a gzip-compressed tar.
const GZIP_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Adds the images of `manifest.json`. Those whose configuration an image of the layout already has are that image: only
/// their names are added, where the layout has none. The number of images that were made is returned.
pub fn images<'a>(holding: &'a Holding, blobs: &mut Blobs<'a>, images: &mut Vec<Image>) -> Result<usize, SourceError> {
    let bad = SourceError::kind;
    let path = &holding.path;
    let Some(table) = holding.table("manifest.json").map_err(bad(path))? else { return Ok(0) };
    let rows: Vec<Row> =
        document::parse(table, "manifest.json", &["Config", "RepoTags", "Layers"]).map_err(bad(path))?;
    let of_layout = images.len();
    let mut by_config: BTreeMap<Digest, usize> = BTreeMap::new();
    for (nth, image) in images.iter().enumerate() {
        let configs = image.facts.manifests.iter().filter_map(|m| m.config.as_ref());
        by_config.extend(configs.map(|c| (c.blob.digest, nth)));
    }
    let mut by_top: BTreeMap<Digest, usize> = BTreeMap::new();
    for row in rows {
        let config = config(holding, &row.config).map_err(bad(path))?;
        let said = Said { full: row.repo_tags.unwrap_or_default().into_iter().collect(), tags: BTreeSet::new() };
        if let Some(image) = by_config.get(&config.blob.digest).and_then(|nth| images.get_mut(*nth)) {
            if image.said.full.is_empty() {
                image.said.full = said.full;
            }
            continue;
        }
        let names = row.layers.unwrap_or_default();
        let layers: Vec<&Member> = names.iter().map(|n| holding.get(n)).collect::<Result<_, _>>().map_err(bad(path))?;
        let media_types = check_layers(holding, config, &layers)?;
        blobs.enter(config);
        layers.iter().for_each(|l| blobs.enter(l));
        let parts = layers.iter().map(|l| l.blob).zip(media_types);
        let top = blobs.make(manifest(&config.blob, parts).into_bytes());
        if let Some(image) = by_top.get(&top.digest).and_then(|nth| images.get_mut(*nth)) {
            image.said.full.extend(said.full);
            continue;
        }
        let (derived, facts) = describe(top, blobs).map_err(bad(path))?;
        by_top.insert(top.digest, images.len());
        images.push(Image { top, said, derived, facts });
    }
    Ok(images.len() - of_layout)
}

/// The configuration; where its name has a digest in it, that must be its own.
fn config<'a>(holding: &'a Holding, name: &str) -> Result<&'a Member, KindError> {
    let member = holding.get(name)?;
    let last = name.rsplit('/').next().unwrap_or(name);
    let stem = last.strip_suffix(".json").unwrap_or(last);
    let stem = stem.strip_prefix("sha256:").unwrap_or(stem);
    match Digest::from_hex(stem) {
        Ok(said) if said != member.blob.digest => Err(KindError::Disagree {
            what: "the name of an image configuration and its bytes",
            left: name.to_owned(),
            right: member.blob.digest.oci(),
        }),
        _ => Ok(member),
    }
}

/// Compares every layer with the configuration's list of plain tars. The media types that are true of them are returned.
fn check_layers(holding: &Holding, config: &Member, layers: &[&Member]) -> Result<Vec<&'static str>, SourceError> {
    let path = &holding.path;
    let bad = |e: KindError| SourceError::Kind { path: path.clone(), source: e };
    let bytes = config.document.as_deref().unwrap_or_default();
    let said = Config::parse(bytes).map_err(bad)?.diff_ids;
    let said: Vec<Digest> = said.iter().map(|d| document::digest(d)).collect::<Result<_, _>>().map_err(bad)?;
    if said.len() != layers.len() {
        let (left, right) = (layers.len().to_string(), said.len().to_string());
        return Err(bad(KindError::Disagree {
            what: "the numbers of layers in manifest.json and in the configuration",
            left,
            right,
        }));
    }
    let pairs = || layers.iter().zip(&said);
    let packed: Vec<&Member> = pairs().filter(|(l, d)| l.gzip && l.blob.digest != **d).map(|(l, _)| *l).collect();
    let mut plain = if packed.is_empty() { vec![] } else { expand(path, &packed)? }.into_iter();
    pairs()
        .map(|(layer, said)| {
            let gzip = layer.gzip && layer.blob.digest != *said;
            let have = if gzip { plain.next() } else { Some(layer.blob.digest) };
            match have {
                Some(have) if have == *said => Ok(if gzip { GZIP_LAYER } else { PLAIN_LAYER }),
                have => Err(bad(KindError::Disagree {
                    what: "a layer and the diff id in its image's configuration",
                    left: have.unwrap_or(layer.blob.digest).oci(),
                    right: said.oci(),
                })),
            }
        })
        .collect()
}

/// The manifest of rule `docker-archive/1`: these bytes are frozen.
fn manifest(config: &Blob, layers: impl Iterator<Item = (Blob, &'static str)>) -> String {
    let part = |blob: &Blob, media_type: &str| {
        format!(r#"{{"mediaType":"{media_type}","size":{},"digest":"{}"}}"#, blob.len, blob.digest.oci())
    };
    let layers: Vec<String> = layers.map(|(blob, media_type)| part(&blob, media_type)).collect();
    let (config, layers) = (part(config, DOCKER_CONFIG), layers.join(","));
    format!(r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}","config":{config},"layers":[{layers}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_frozen() {
        let layers = [(Blob::of(b"one"), PLAIN_LAYER), (Blob::of(b"two!"), GZIP_LAYER)];
        let made = manifest(&Blob::of(b"{}"), layers.into_iter());
        assert_eq!(
            made,
            concat!(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","#,
                r#""config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":2,"#,
                r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"#,
                r#""layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":3,"#,
                r#""digest":"sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"},"#,
                r#"{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":4,"#,
                r#""digest":"sha256:a97b629a5b1da759586c3353a9bc284bf673970d8eca56e11e556b715c329614"}]}"#
            )
        );
    }
}
