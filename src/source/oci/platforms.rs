//! A *platform selection* leaves children of an index behind without changing the index.
//!
//! The index keeps its bytes and digest; what stays behind is listed as absent in the facts.

use crate::digest::{Blob, Digest};
use crate::kind::oci::document::{Descriptor, Document};
use crate::kind::{BlobReader, KindError};
use crate::limits;
use std::collections::BTreeSet;

/// BuildKit's annotation of an attestation: the manifest that it is about.
const ABOUT: &str = "vnd.docker.reference.digest";

/// Children, at any depth, that are for none of the selected platforms `os/arch` or `os/arch/variant`, or are
/// attestations of such. A child without a platform is kept.
pub fn unselected(top: Blob, blobs: &dyn BlobReader, selected: &[String]) -> Result<BTreeSet<Digest>, KindError> {
    let (mut kept, mut left) = (BTreeSet::new(), BTreeSet::new());
    sort(top, blobs, selected, 0, &mut kept, &mut left)?;
    Ok(left.difference(&kept).copied().collect())
}

fn sort(
    at: Blob,
    blobs: &dyn BlobReader,
    selected: &[String],
    depth: usize,
    kept: &mut BTreeSet<Digest>,
    left: &mut BTreeSet<Digest>,
) -> Result<(), KindError> {
    if depth > limits::INDEX_DEPTH || !kept.insert(at.digest) {
        return Ok(()); // too deep is refused by the walk that follows
    }
    let document = Document::parse(&blobs.read_small(&at, "an image manifest", limits::OCI_DOCUMENT)?)?;
    let Document::Index(index) = document else { return Ok(()) };
    let wanted = |d: &&Descriptor| {
        d.platform.as_ref().is_none_or(|p| {
            let text = p.to_string();
            text.starts_with("unknown/") || selected.iter().any(|s| matches(s, &text))
        })
    };
    let (yes, no): (Vec<&Descriptor>, Vec<&Descriptor>) = index.manifests.iter().partition(wanted);
    let no: BTreeSet<String> = no.iter().map(|d| d.digest.oci()).collect();
    for child in yes {
        if child.annotations.get(ABOUT).is_some_and(|about| no.contains(about)) {
            left.insert(child.digest);
        } else if let Some(blob) = blobs.find(&child.digest) {
            sort(blob, blobs, selected, depth + 1, kept, left)?;
        }
    }
    left.extend(no.iter().filter_map(|d| Digest::from_oci(d).ok()));
    Ok(())
}

/// Whether `have` is what was asked for; a variant counts only where one was asked for, and arm64 is v8.
pub fn matches(want: &str, have: &str) -> bool {
    let plain = |p: &str| p.strip_suffix("arm64/v8").map_or(p.to_owned(), |os| format!("{os}arm64"));
    let (want, have) = (plain(want), plain(have));
    have == want || want.split('/').count() == 2 && have.strip_prefix(&want).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn variants_count_where_asked_for() {
        for (want, have, expect) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm", "linux/arm64", false),
        ] {
            assert_eq!(super::matches(want, have), expect, "{want} {have}");
        }
    }
}
