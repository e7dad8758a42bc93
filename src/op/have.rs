//! What a site *has* is what its receipt says: a signed statement, and beside it the list of its blobs.
//!
//! It makes no receipt and asks no site. A receipt that lies makes a delta that the site refuses, never a wrong one. Specified
//! in `spec/packing.md`, section "What the far side has".

use crate::class::{Class, Classified};
use crate::digest::{Blob, Digest};
use crate::format::root::BaseRelease;
use crate::trust::sshsig::{SigError, SshSig, TokenRules};
use crate::trust::statement::{Identity, Receipt};
use crate::trust::text::{self, TextError};
use crate::trust::{KeyError, Policy, PublicKey, Signed, Statement, StatementKind};
use std::collections::BTreeSet;

/// What a receipt says, and whose word it is.
#[derive(Clone, Debug)]
pub struct Have {
    /// The receipt.
    pub receipt: Receipt,
    /// The key that signed it.
    pub key: PublicKey,
    /// Whether a policy says that it is the site's.
    pub known: bool,
    /// Its blobs, without the empty one.
    pub blobs: BTreeSet<Blob>,
}

/// Why a receipt is not believed.
#[derive(Debug, thiserror::Error)]
pub enum HaveError {
    /// It is no receipt.
    #[error("it is no receipt: {0}")]
    Text(#[from] TextError),
    /// Its signature has not the form of one.
    #[error("{0}")]
    Form(SigError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature is bad.
    #[error("{0}")]
    Signature(SigError),
    /// The policy names another key, or none, for the site.
    #[error("the key {key} is not one that the policy names for the site {site}")]
    Stranger {
        /// The key's id.
        key: String,
        /// The site.
        site: String,
    },
    /// The policy has revoked the key.
    #[error("the policy has revoked the key {0}")]
    Revoked(String),
    /// The list of blobs is not the one that it names.
    #[error("the inventory beside it {0}")]
    Inventory(&'static str),
}

impl Classified for HaveError {
    fn class(&self) -> Class {
        match self {
            HaveError::Text(_) => Class::Usage,
            HaveError::Key(e) => e.class(),
            HaveError::Form(_) | HaveError::Inventory(_) => Class::Damaged,
            HaveError::Signature(_) | HaveError::Stranger { .. } | HaveError::Revoked(_) => Class::Distrusted,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(
            match self {
                HaveError::Text(_) => "give FILE as `pouch receipt -o FILE` wrote it",
                HaveError::Form(_) | HaveError::Inventory(_) => "copy FILE, FILE.sig and FILE.inventory again",
                _ => "ask the site for another receipt, or pack with --base what it is known to have unpacked",
            }
            .into(),
        )
    }
}

/// Reads a receipt. Its signature has to be good; where `policy` names keys of sites, it has to be by one of this site.
pub fn read(signed: &Signed, inventory: &[u8], policy: Option<&Policy>) -> Result<Have, HaveError> {
    let Statement::Receipt(receipt) = Statement::parse(StatementKind::Receipt, &signed.text)? else {
        return Err(TextError::new(1, "it is another statement").into());
    };
    let signature = SshSig::parse(&signed.signature).map_err(HaveError::Form)?;
    let key = PublicKey::from_blob(&signature.key_blob)?;
    let applications: Vec<String> = key.application().map(str::to_owned).into_iter().collect();
    let own = TokenRules { applications: &applications, pin: false };
    let named = policy.filter(|p| !p.terms().sites.is_empty());
    let rules = named.map_or(own, Policy::token_rules);
    let namespace = StatementKind::Receipt.namespace();
    signature.verify(&key, &namespace, &signed.text, rules).map_err(HaveError::Signature)?;
    if policy.is_some_and(|p| p.terms().revoked_keys.iter().any(|r| r.key == key.fingerprint())) {
        return Err(HaveError::Revoked(key.key_id()));
    }
    if let Some(policy) = named {
        let role = policy.role(key.blob()).filter(|r| r.site && r.owner == receipt.site);
        if role.is_none() {
            return Err(HaveError::Stranger { key: key.key_id(), site: receipt.site });
        }
    }
    let blobs = blobs(&receipt, inventory)?;
    Ok(Have { receipt, key, known: named.is_some(), blobs })
}

/// The list of blobs, which is the one that the receipt names.
fn blobs(receipt: &Receipt, inventory: &[u8]) -> Result<BTreeSet<Blob>, HaveError> {
    if Digest::of(inventory) != receipt.inventory {
        return Err(HaveError::Inventory("is another than it names"));
    }
    let form = || HaveError::Inventory("is not a line `DIGEST LENGTH` for each blob, in order");
    let list = std::str::from_utf8(inventory).map_err(|_| form())?;
    let (mut out, mut last, mut count, mut bytes) = (BTreeSet::new(), None, 0u64, 0u64);
    for line in list.split_terminator('\n') {
        let (digest, len) = line.split_once(' ').ok_or_else(form)?;
        let digest = text::digest(digest).ok_or_else(form)?;
        let len = text::number(len).ok_or_else(form)?;
        if last.replace(digest) >= Some(digest) {
            return Err(form());
        }
        (count, bytes) = (count + 1, bytes.saturating_add(len));
        if len > 0 {
            out.insert(Blob { digest, len });
        }
    }
    if !(list.is_empty() || list.ends_with('\n')) {
        return Err(form());
    }
    match (count, bytes) == (receipt.blobs, receipt.bytes) {
        true => Ok(out),
        false => Err(HaveError::Inventory("has not as many blobs and bytes as it says")),
    }
}

impl Have {
    /// What people should know of it, in a line.
    pub fn told(&self, file: &str) -> String {
        let (site, issued) = (&self.receipt.site, text::show_time(self.receipt.terms.issued));
        let whose = match self.known {
            true => format!("whose key {} the policy names", self.key.key_id()),
            false => format!("by the key {}, and no policy was given that says whose that is", self.key.fingerprint()),
        };
        format!("{file}: the site {site} had {} blobs on {issued}, {whose}", self.receipt.blobs)
    }
}

/// Blobs that all of them have.
pub fn common(all: &[Have]) -> Option<BTreeSet<Blob>> {
    let (first, rest) = all.split_first()?;
    Some(first.blobs.iter().filter(|b| rest.iter().all(|h| h.blobs.contains(b))).copied().collect())
}

/// Latest releases that all of them name.
pub fn heads(all: &[Have]) -> Vec<BaseRelease> {
    let Some((first, rest)) = all.split_first() else { return Vec::new() };
    let shared = first.receipt.heads.iter().filter(|head| rest.iter().all(|h| h.receipt.heads.contains(head)));
    shared.map(release).collect()
}

fn release(head: &Identity) -> BaseRelease {
    BaseRelease {
        stream: head.stream.clone(),
        epoch: head.place.epoch,
        sequence: head.place.sequence,
        release: head.release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::PrivateKey;
    use crate::trust::statement::{Place, Terms};

    fn receipt(inventory: &[u8], blobs: u64, bytes: u64) -> Receipt {
        let place = Place { epoch: 0, sequence: 3 };
        let heads = vec![Identity { release: Digest::of(b"r"), stream: "k8s".into(), place }];
        let terms = Terms { issued: 1_790_000_000, ..Terms::default() };
        let (ledger, inventory) = (Digest::of(b"l"), Digest::of(inventory));
        Receipt { site: "plant".into(), heads, ledger, inventory, blobs, bytes, terms }
    }

    fn signed(receipt: Receipt) -> Signed {
        let key = PrivateKey::from_ed25519_seed(&[7; 32], "site").expect("a key");
        Statement::Receipt(receipt).sign(&key).expect("signs")
    }

    #[test]
    fn inventories_are_as_the_receipt_says() {
        let (mut a, mut b) = (Digest::of(b"a").hex(), Digest::of(b"b").hex());
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        for (list, blobs, bytes, good) in [
            (format!("{a} 1\n{b} 0\n"), 2, 1, true),
            (String::new(), 0, 0, true),
            (format!("{a} 1\n{b} 2\n"), 2, 4, false),
            (format!("{a} 1\n{b} 2\n"), 3, 3, false),
            (format!("{b} 1\n{a} 2\n"), 2, 3, false),
            (format!("{a} 1\n{a} 1\n"), 2, 2, false),
            (format!("{a} 01\n"), 1, 1, false),
            (format!("{a} +1\n"), 1, 1, false),
            (format!("{a}  1\n"), 1, 1, false),
            (format!("{a} 1"), 1, 1, false),
            (format!("{a} 1\n\n"), 1, 1, false),
            (format!("{} 1\n", a.to_uppercase()), 1, 1, false),
            (format!("{a} 18446744073709551616\n"), 1, 1, false),
        ] {
            let have = read(&signed(receipt(list.as_bytes(), blobs, bytes)), list.as_bytes(), None);
            assert_eq!(have.is_ok(), good, "{list:?}: {have:?}");
            if let Ok(have) = have {
                assert!(have.blobs.iter().all(|b| b.len > 0));
            }
        }
        let other = read(&signed(receipt(b"", 0, 0)), b"\n", None).expect_err("another list");
        assert_eq!(other.class(), Class::Damaged);
    }

    #[test]
    fn a_changed_receipt_is_not_believed() {
        let mut signed = signed(receipt(b"", 0, 0));
        let text = String::from_utf8(signed.text.clone()).expect("text");
        signed.text = text.replace("site: plant", "site: plane").into_bytes();
        assert_eq!(read(&signed, b"", None).expect_err("changed").class(), Class::Distrusted);
        signed.text = b"pouch/v1 seal\n".to_vec();
        assert_eq!(read(&signed, b"", None).expect_err("a seal").class(), Class::Usage);
        let none = Signed { text: text.into_bytes(), signature: vec![] };
        assert_eq!(read(&none, b"", None).expect_err("no signature").class(), Class::Damaged);
    }

    #[test]
    fn only_what_all_have_counts() {
        let have = |names: &[&[u8]], sequence: u64| Have {
            receipt: {
                let mut receipt = receipt(b"", 0, 0);
                receipt.heads.iter_mut().for_each(|h| h.place.sequence = sequence);
                receipt
            },
            key: PrivateKey::from_ed25519_seed(&[7; 32], "site").expect("a key").public().clone(),
            known: false,
            blobs: names.iter().map(|n| Blob::of(n)).collect(),
        };
        let all = [have(&[b"a", b"b", b"c"], 3), have(&[b"b", b"c", b"d"], 3)];
        assert_eq!(common(&all), Some([Blob::of(b"b"), Blob::of(b"c")].into()));
        assert_eq!(heads(&all).len(), 1);
        assert!(heads(&[all[0].clone(), have(&[], 4)]).is_empty());
        assert_eq!(common(&[]), None);
    }
}
