//! A *receipt* is a site's own word on what it holds: the latest release of each stream, its ledger's last line, its blobs.
//!
//! It hashes no blob; `pouch check` does. Specified in `spec/audit.md`, section "Receipts".

use crate::digest::Digest;
use crate::site::Site;
use crate::site::archive::Archive;
use crate::site::error::SiteError;
use crate::trust::statement::{Identity, Place, Receipt, Terms};
use std::collections::BTreeMap;

/// Groups of a digest that is read over a telephone: 128 bits.
const GROUPS: usize = 8;

/// A receipt with the list that it names.
pub struct Made {
    /// The receipt.
    pub receipt: Receipt,
    /// The inventory: a line for each blob, sorted, its SHA-256 and its length in bytes.
    pub inventory: Vec<u8>,
}

/// What the site holds at `now`.
pub fn receipt(site: &Site, now: i64, comment: Option<String>) -> Result<Made, SiteError> {
    let ledger = Archive::of(site).ledger()?.last();
    let shown = site.current()?.map(|g| g.releases).unwrap_or_default();
    let mut heads: Vec<Identity> = shown
        .into_iter()
        .filter(|s| s.latest)
        .map(|s| Identity {
            release: s.release.release,
            stream: s.release.stream,
            place: Place { epoch: s.release.epoch, sequence: s.release.sequence },
        })
        .collect();
    heads.sort_by(|a, b| a.stream.cmp(&b.stream));
    let blobs: BTreeMap<Digest, u64> = site.blobs()?.into_iter().map(|(digest, _, len)| (digest, len)).collect();
    let inventory: String = blobs.iter().map(|(digest, len)| format!("{digest} {len}\n")).collect();
    let inventory = inventory.into_bytes();
    let receipt = Receipt {
        site: site.config().name.clone(),
        heads,
        ledger,
        inventory: Digest::of(&inventory),
        blobs: blobs.len() as u64,
        bytes: blobs.values().sum(),
        terms: Terms { issued: now, comment, ..Terms::default() },
    };
    Ok(Made { receipt, inventory })
}

/// What can be read over a telephone: for the ledger and each stream's latest release, 128 bits of its digest as eight
/// groups of five digits.
pub fn short(receipt: &Receipt) -> Vec<(String, String)> {
    let mut out = vec![("ledger".to_owned(), digits(&receipt.ledger))];
    for head in &receipt.heads {
        out.push((format!("{} {} {}", head.stream, head.place.epoch, head.place.sequence), digits(&head.release)));
    }
    out
}

/// The first 16 bytes of a digest, each two as one number from 00000 to 65535.
pub fn digits(digest: &Digest) -> String {
    let pairs = digest.0.chunks_exact(2).take(GROUPS);
    pairs.map(|p| format!("{:05}", p.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_groups_of_five() {
        let mut digest = Digest([0; 32]);
        digest.0[..4].copy_from_slice(&[0xff, 0xff, 0, 7]);
        assert_eq!(digits(&digest), "65535 00007 00000 00000 00000 00000 00000 00000");
    }
}
