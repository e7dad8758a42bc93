//! An *OCI layout* is a folder or archive with `oci-layout`, `index.json` and `blobs/sha256/<hex>`.
//!
//! Every blob's name is checked against its bytes. Specified by the OCI image specification 1.1, `image-layout.md`.

use super::holding::{Blobs, Holding};
use super::naming::Said;
use super::{Image, platforms};
use crate::digest::{Blob, Digest};
use crate::kind::oci::document::{self, Descriptor, Document};
use crate::kind::oci::{ImageFacts, describe};
use crate::kind::{BlobReader, KindError};
use std::collections::BTreeSet;

/// containerd's annotation: the full reference.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The specification's annotation: a tag, or what some tools take for the full reference.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The blobs of a layout; `None` where the holding is none.
pub fn blobs(holding: &Holding) -> Result<Option<Blobs<'_>>, KindError> {
    let (Some(marker), Some(_)) = (holding.table("oci-layout")?, holding.table("index.json")?) else {
        return Ok(None);
    };
    let version: Version = document::parse(marker, "oci-layout", &["imageLayoutVersion"])?;
    if !version.image_layout_version.starts_with("1.") {
        let version = version.image_layout_version;
        return Err(KindError::Unsupported(format!("an OCI layout of version {version:?}")));
    }
    let mut out = Blobs::default();
    for (name, member) in holding.members() {
        let Some(hex) = name.strip_prefix("blobs/sha256/") else { continue };
        if member.blob.digest.hex() != hex {
            let (left, right) = (name.to_owned(), member.blob.digest.oci());
            return Err(KindError::Disagree { what: "a blob's name and its bytes", left, right });
        }
        out.enter(member);
    }
    Ok(Some(out))
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    image_layout_version: String,
}

/// The images that `index.json` lists, each manifest once, in its order.
pub fn images(holding: &Holding, blobs: &mut Blobs<'_>, selected: &[String]) -> Result<Vec<Image>, KindError> {
    let table = holding.table("index.json")?.unwrap_or_default();
    let Document::Index(index) = Document::parse(table)? else {
        return Err(KindError::malformed("index.json", "it is no image index"));
    };
    let mut out: Vec<Image> = Vec::new();
    for descriptor in &index.manifests {
        let said = said(descriptor);
        if let Some(image) = out.iter_mut().find(|i| i.top.digest == descriptor.digest) {
            image.said.full.extend(said.full);
            image.said.tags.extend(said.tags);
            continue;
        }
        let top = blobs.find(&descriptor.digest).ok_or(KindError::MissingBlob(descriptor.digest))?;
        if top.len != descriptor.size {
            let (left, right) = (descriptor.size.to_string(), top.len.to_string());
            return Err(KindError::Disagree { what: "the size in index.json and a manifest's length", left, right });
        }
        let (derived, facts) = describe_selected(top, blobs, selected)?;
        let kind = facts.manifests.first().map(|m| m.media_type.as_str()).unwrap_or_default();
        if kind != descriptor.media_type {
            let (left, right) = (descriptor.media_type.clone(), kind.to_owned());
            return Err(KindError::Disagree {
                what: "the media type in index.json and that of a manifest",
                left,
                right,
            });
        }
        out.push(Image { top, said, derived, facts });
    }
    Ok(out)
}

/// Describes an image as if the children of its indexes that are for other platforms were not there.
fn describe_selected(
    top: Blob,
    blobs: &mut Blobs<'_>,
    selected: &[String],
) -> Result<(crate::kind::Derived, ImageFacts), KindError> {
    let hidden = if selected.is_empty() { BTreeSet::new() } else { platforms::unselected(top, blobs, selected)? };
    blobs.hide(hidden);
    let described = describe(top, blobs);
    blobs.hide(BTreeSet::new());
    described
}

/// What a descriptor's annotations say of the image's name.
fn said(descriptor: &Descriptor) -> Said {
    let mut out = Said::default();
    let annotation = |key: &str| descriptor.annotations.get(key).filter(|v| !v.is_empty());
    match (annotation(CONTAINERD_NAME), annotation(REF_NAME)) {
        (Some(full), _) => drop(out.full.insert(full.clone())),
        (None, Some(name)) if name.contains(['/', ':']) => drop(out.full.insert(name.clone())),
        (None, Some(tag)) => drop(out.tags.insert(tag.clone())),
        (None, None) => {}
    }
    out
}

/// Blobs of the layout that no image refers to.
pub fn unused(holding: &Holding, images: &[Image]) -> usize {
    let used: BTreeSet<Digest> = images.iter().flat_map(|i| &i.derived.blobs).map(|b| b.digest).collect();
    let layout = holding.members().filter(|(name, _)| name.starts_with("blobs/"));
    layout.filter(|(_, m)| !used.contains(&m.blob.digest)).count()
}
