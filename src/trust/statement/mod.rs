//! A *statement* is a signed text: seal, approve, reject, permit, revoke, policy, receipt.
//!
//! Here is what they hold, in `wording` their texts; who may say what is the policy's business, what follows is `verify`'s.
//! Policies have their own module. Specified in `spec/trust.md`, section "Statements".

mod wording;

use super::key::Fingerprint;
use super::private::PrivateKey;
use super::sshsig;
use super::text::{self, TextError};
use crate::digest::Digest;
use crate::limits;
use std::fmt;

/// The kinds of statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementKind {
    /// This bundle carries this release, says who packed it.
    Seal,
    /// A member of a group agrees to a release.
    Approve,
    /// A member of a group, a sealer or an admin forbids a release.
    Reject,
    /// The admins allow one step that order forbids.
    Permit,
    /// The admins call back a key or a release; a signer or the admins take a statement back.
    Revoke,
    /// Who administers, seals and approves.
    Policy,
    /// A site says what it holds.
    Receipt,
}

impl StatementKind {
    /// All kinds.
    pub const ALL: [StatementKind; 7] = [
        StatementKind::Seal,
        StatementKind::Approve,
        StatementKind::Reject,
        StatementKind::Permit,
        StatementKind::Revoke,
        StatementKind::Policy,
        StatementKind::Receipt,
    ];

    /// The word in the text, the namespace and the file name.
    pub fn name(self) -> &'static str {
        match self {
            StatementKind::Seal => "seal",
            StatementKind::Approve => "approve",
            StatementKind::Reject => "reject",
            StatementKind::Permit => "permit",
            StatementKind::Revoke => "revoke",
            StatementKind::Policy => "policy",
            StatementKind::Receipt => "receipt",
        }
    }

    /// The kind of that word.
    pub fn from_name(name: &str) -> Option<StatementKind> {
        StatementKind::ALL.into_iter().find(|k| k.name() == name)
    }

    /// The SSHSIG namespace: what follows `-n` on `ssh-keygen`'s command line.
    pub fn namespace(self) -> String {
        format!("pouch/v1/{}", self.name())
    }

    /// The kind of that namespace.
    pub fn from_namespace(namespace: &str) -> Option<StatementKind> {
        StatementKind::from_name(namespace.strip_prefix("pouch/v1/")?)
    }
}

impl fmt::Display for StatementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text and its signature; proof of nothing. Both are at most 16 KiB.
pub use crate::format::area::Signed;

impl Signed {
    /// Signs `text`, whose first line says its kind.
    pub fn make(text: &str, key: &PrivateKey) -> Result<Signed, TextError> {
        Signed::make_by(text, |namespace, bytes| Ok(sshsig::sign(key, namespace, bytes)))
    }

    /// As [`Signed::make`], where `sign` makes the SSHSIG over the bytes in the namespace: an agent, say.
    pub fn make_by<E: From<TextError>>(
        text: &str,
        sign: impl FnOnce(&str, &[u8]) -> Result<String, E>,
    ) -> Result<Signed, E> {
        let kind = kind_of(text.as_bytes()).ok_or_else(|| TextError::new(1, "the text is not a statement"))?;
        if text.len() > limits::STATEMENT {
            return Err(TextError::new(0, "the text is longer than 16 KiB").into());
        }
        let signature = sign(&kind.namespace(), text.as_bytes())?;
        Ok(Signed { text: text.as_bytes().to_vec(), signature: signature.into_bytes() })
    }

    /// SHA-256 of the text: what `sha256sum` shows, and by which other statements name it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }
}

/// The kind that a text's first line names.
pub fn kind_of(text: &[u8]) -> Option<StatementKind> {
    StatementKind::from_name(text::kind_of(text)?)
}

/// A place in a stream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Epoch of the stream.
    pub epoch: u64,
    /// Sequence within the epoch.
    pub sequence: u64,
}

impl Place {
    pub(crate) fn parse(text: &str) -> Option<Place> {
        let (epoch, sequence) = text.strip_prefix("epoch ")?.split_once(", sequence ")?;
        Some(Place { epoch: text::number(epoch)?, sequence: text::number(sequence)? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, sequence {}", self.epoch, self.sequence)
    }
}

/// Which release a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The release id.
    pub release: Digest,
    /// Its stream.
    pub stream: String,
    /// Its place in the stream.
    pub place: Place,
}

/// How much of one kind of artifact a release holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The artifact kind's name.
    pub kind: String,
    /// Artifacts of that kind.
    pub artifacts: u64,
    /// Sum of their sizes, in bytes; a blob that several share counts for each.
    pub bytes: u64,
}

/// What a release says of itself, for the eyes of those who sign.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Claims {
    /// Its version in its makers' words.
    pub version: Option<String>,
    /// Its artifacts by kind, sorted by name of kind.
    pub content: Vec<Content>,
    /// Size of its distinct blobs, in bytes.
    pub bytes: u64,
    /// How many artifacts of the release at that place it no longer has, where the sealer knew.
    pub removed: Option<(u64, Place)>,
}

impl Claims {
    /// Number of artifacts of all kinds.
    pub fn artifacts(&self) -> u64 {
        self.content.iter().map(|c| c.artifacts).fold(0, u64::saturating_add)
    }
}

/// A document that a statement leans on: a scan report, an SBOM, an attestation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// SHA-256 of the document.
    pub digest: Digest,
    /// Its file name.
    pub name: String,
}

/// When and where a statement counts, and what else its signer had to say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Terms {
    /// Digest of the policy that its signer had in mind; shown, never a condition.
    pub policy: Option<Digest>,
    /// Sites where it counts, sorted; everywhere if empty.
    pub sites: Vec<String>,
    /// Documents that it leans on, sorted by digest.
    pub evidence: Vec<Evidence>,
    /// When it was made: Unix seconds.
    pub issued: i64,
    /// After this time it does not admit a release that the site has not yet: Unix seconds.
    pub not_after: Option<i64>,
    /// Free words.
    pub comment: Option<String>,
}

/// A *seal*: its signer packed this release into this carriage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The release.
    pub identity: Identity,
    /// The carriage id.
    pub carriage: Digest,
    /// What the release says of itself.
    pub claims: Claims,
    /// When and where the seal counts.
    pub terms: Terms,
}

/// An *approval*: its signer, for a group, agrees to this release, however it is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approve {
    /// The group.
    pub group: String,
    /// The release.
    pub identity: Identity,
    /// What the signer saw of it.
    pub claims: Claims,
    /// When and where the approval counts.
    pub terms: Terms,
}

/// A *rejection*: its signer forbids this release, until it is taken back. It does not expire and holds everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The group, or `sealers` or `admins`.
    pub group: String,
    /// The release.
    pub identity: Identity,
    /// When it was made, and why (`policy`, `sites` and `not_after` stay empty).
    pub terms: Terms,
}

/// A *permit*: the admins allow a stream to go from one release to another against order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The stream.
    pub stream: String,
    /// The release that is the latest; `None` for a site that knows of none, or no longer.
    pub from: Option<Digest>,
    /// The release that becomes the latest.
    pub to: Digest,
    /// Its place.
    pub place: Place,
    /// When and where the permit counts (`policy` and `evidence` stay empty).
    pub terms: Terms,
}

/// What is called back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revoked {
    /// A key: its signatures count no longer, except for releases that a site already has and for those named here.
    Key(Fingerprint, Vec<Digest>),
    /// A release.
    Release(Digest),
    /// A statement, by the digest of its text.
    Statement(Digest),
}

/// A *revocation*: it does not expire and holds everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoke {
    /// What is called back.
    pub what: Revoked,
    /// When it was made, and why (only `issued` and `comment` are used).
    pub terms: Terms,
}

/// A *receipt*: a site says what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The site.
    pub site: String,
    /// The latest release of every stream, sorted by stream.
    pub heads: Vec<Identity>,
    /// Digest of the newest entry of the site's ledger.
    pub ledger: Digest,
    /// Digest of the list of its blobs.
    pub inventory: Digest,
    /// Number of its blobs.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// When it was made (only `issued` and `comment` are used).
    pub terms: Terms,
}

/// A statement of any kind but policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// See [`Seal`].
    Seal(Seal),
    /// See [`Approve`].
    Approve(Approve),
    /// See [`Reject`].
    Reject(Reject),
    /// See [`Permit`].
    Permit(Permit),
    /// See [`Revoke`].
    Revoke(Revoke),
    /// See [`Receipt`].
    Receipt(Receipt),
}

impl Statement {
    /// Its kind.
    pub fn kind(&self) -> StatementKind {
        match self {
            Statement::Seal(_) => StatementKind::Seal,
            Statement::Approve(_) => StatementKind::Approve,
            Statement::Reject(_) => StatementKind::Reject,
            Statement::Permit(_) => StatementKind::Permit,
            Statement::Revoke(_) => StatementKind::Revoke,
            Statement::Receipt(_) => StatementKind::Receipt,
        }
    }

    /// When and where it counts.
    pub fn terms(&self) -> &Terms {
        match self {
            Statement::Seal(s) => &s.terms,
            Statement::Approve(s) => &s.terms,
            Statement::Reject(s) => &s.terms,
            Statement::Permit(s) => &s.terms,
            Statement::Revoke(s) => &s.terms,
            Statement::Receipt(s) => &s.terms,
        }
    }

    /// Signs its text. What would not be read back is refused before it is signed.
    pub fn sign(&self, key: &PrivateKey) -> Result<Signed, TextError> {
        let text = self.render();
        Statement::parse(self.kind(), text.as_bytes())?;
        Signed::make(&text, key)
    }
}
