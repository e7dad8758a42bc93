//! A *report* says what became of one statement; a *refusal* says why a release may not come in.
//!
//! They decide nothing. The outcomes are listed in `spec/trust.md`, section "Outcomes".

use super::key::Fingerprint;
use super::order::{Learned, OrderRefusal, Veto};
use super::sshsig::SigError;
use super::statement::StatementKind;
use super::text::{TextError, show_time};
use super::verify::SealedBy;
use crate::class::{Class, Classified};
use crate::digest::Digest;
use std::fmt;

/// What became of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It counts.
    Counts,
    /// Its key is not in the policy; no cryptography was done.
    UnknownKey,
    /// The same text by the same key came before.
    Duplicate,
    /// It is about another release.
    OtherRelease,
    /// It seals another carriage of the release.
    OtherCarriage,
    /// It counts at other sites only.
    Elsewhere,
    /// Its owner was counted already.
    AlreadyCounted,
    /// Nobody asked for it: another seal was chosen, or the stream does not require the group.
    NotNeeded,
    /// A policy: those are read before releases are verified.
    Policy,
    /// It was not looked at, because there is no seal that counts.
    NotWeighed,
    /// Its text is longer than 16 KiB.
    TooLong,
    /// Its signature is not in form or does not match.
    BadSignature(SigError),
    /// Its signature is good and its text is not in form.
    BadText(TextError),
    /// Its owner may not do this.
    NoRight(&'static str),
    /// A sealer of the stream approves it.
    SealersDoNotApprove,
    /// It says other things of the release than the seal.
    Disagrees,
    /// It ended before the release first came.
    Expired(i64),
    /// Its key was called back.
    KeyRevoked,
    /// It was taken back.
    Withdrawn,
}

impl Outcome {
    /// The word for `--json` and vectors.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Counts => "counts",
            Outcome::UnknownKey => "unknown-key",
            Outcome::Duplicate => "duplicate",
            Outcome::OtherRelease => "other-release",
            Outcome::OtherCarriage => "other-carriage",
            Outcome::Elsewhere => "elsewhere",
            Outcome::AlreadyCounted => "already-counted",
            Outcome::NotNeeded => "not-needed",
            Outcome::Policy => "policy",
            Outcome::NotWeighed => "not-weighed",
            Outcome::TooLong => "too-long",
            Outcome::BadSignature(_) => "bad-signature",
            Outcome::BadText(_) => "bad-text",
            Outcome::NoRight(_) => "no-right",
            Outcome::SealersDoNotApprove => "sealers-do-not-approve",
            Outcome::Disagrees => "disagrees",
            Outcome::Expired(_) => "expired",
            Outcome::KeyRevoked => "key-revoked",
            Outcome::Withdrawn => "withdrawn",
        }
    }

    /// Whether a person should be warned: somebody known meant something by it, and it does not count.
    pub fn is_warning(&self) -> bool {
        use Outcome::*;
        matches!(
            self,
            TooLong
                | BadSignature(_)
                | BadText(_)
                | NoRight(_)
                | SealersDoNotApprove
                | Disagrees
                | Expired(_)
                | KeyRevoked
                | Withdrawn
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Counts => f.write_str("counts"),
            Outcome::UnknownKey => f.write_str("skipped: its key is not in the policy"),
            Outcome::Duplicate => f.write_str("skipped: the same statement by the same key is there already"),
            Outcome::OtherRelease => f.write_str("skipped: it is about another release"),
            Outcome::OtherCarriage => f.write_str("skipped: it seals another bundle of this release"),
            Outcome::Elsewhere => f.write_str("skipped: it counts at other sites only"),
            Outcome::AlreadyCounted => f.write_str("skipped: its owner is counted already"),
            Outcome::NotNeeded => f.write_str("not needed"),
            Outcome::Policy => f.write_str("a policy; policies are read before"),
            Outcome::NotWeighed => f.write_str("not weighed: there is no seal that counts"),
            Outcome::TooLong => f.write_str("not counted: its text is longer than 16 KiB"),
            Outcome::BadSignature(e) => write!(f, "not counted: {e}"),
            Outcome::BadText(e) => write!(f, "not counted: its text is not in form: {e}"),
            Outcome::NoRight(what) => write!(f, "not counted: its owner may not {what}"),
            Outcome::SealersDoNotApprove => f.write_str("not counted: a sealer of the stream cannot approve"),
            Outcome::Disagrees => f.write_str("not counted: it says other things of the release than the seal does"),
            Outcome::Expired(end) => write!(f, "not counted: it ended {}", show_time(*end)),
            Outcome::KeyRevoked => f.write_str("not counted: its key is revoked"),
            Outcome::Withdrawn => f.write_str("not counted: it was taken back"),
        }
    }
}

/// What became of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its index in the list that was given.
    pub index: usize,
    /// Digest of its text.
    pub statement: Digest,
    /// Its kind; `None` unless a key of the policy really made it.
    pub kind: Option<StatementKind>,
    /// Whose key it names; `None` for keys outside the policy.
    pub owner: Option<String>,
    /// The key it names; `None` for keys outside the policy.
    pub key: Option<Fingerprint>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Report {
    pub(super) fn unweighed(index: usize) -> Report {
        let (statement, outcome) = (Digest([0; 32]), Outcome::NotWeighed);
        Report { index, statement, kind: None, owner: None, key: None, outcome }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{kind} {}", self.statement.short())?,
            None => write!(f, "statement {}", self.statement.short())?,
        }
        if let (Some(owner), Some(key)) = (&self.owner, &self.key) {
            write!(f, " by {owner} (key {})", key.key_id())?;
        }
        write!(f, ": {}", self.outcome)
    }
}

/// A required group and who of it was counted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GroupCount {
    /// The group.
    pub group: String,
    /// How many owners must approve.
    pub need: u64,
    /// The owners whose approvals count, sorted.
    pub owners: Vec<String>,
}

impl GroupCount {
    /// Whether they are enough.
    pub fn is_met(&self) -> bool {
        u64::try_from(self.owners.len()).is_ok_and(|n| n >= self.need)
    }
}

/// One reason why a release may not come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No seal counts.
    NoSeal,
    /// The admins called the release back.
    ReleaseRevoked,
    /// Somebody who may forbids it.
    Vetoed(Veto),
    /// A group has not approved.
    NotEnough(GroupCount),
    /// Order forbids it.
    Order(OrderRefusal),
}

impl Reason {
    /// The words for `--json` and vectors.
    pub fn name(&self) -> String {
        match self {
            Reason::NoSeal => "no-seal".into(),
            Reason::ReleaseRevoked => "release-revoked".into(),
            Reason::Vetoed(_) => "vetoed".into(),
            Reason::NotEnough(g) => format!("not-enough {}", g.group),
            Reason::Order(refusal) => format!("order {}", refusal.name()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoSeal => f.write_str("no seal counts under this policy"),
            Reason::ReleaseRevoked => f.write_str("the admins have revoked the release"),
            Reason::Vetoed(veto) => {
                write!(f, "{} has rejected it (statement {})", veto.owner, veto.statement.short())?;
                veto.comment.as_ref().map_or(Ok(()), |c| write!(f, ": {c}"))
            }
            Reason::NotEnough(g) => {
                let who = if g.owners.is_empty() { "nobody".into() } else { g.owners.join(", ") };
                write!(f, "group {} needs {} owners to approve, and {who} did", g.group, g.need)
            }
            Reason::Order(refusal) => fmt::Display::fmt(refusal, f),
        }
    }
}

/// Why a release may not come in, and what was found out all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The release id.
    pub release: Digest,
    /// All reasons; at least one.
    pub reasons: Vec<Reason>,
    /// The seal, where one counts: enough for looking and scanning, never for importing.
    pub sealed: Option<SealedBy>,
    /// The required groups, where there is a seal.
    pub approvals: Vec<GroupCount>,
    /// What became of each statement.
    pub reports: Vec<Report>,
    /// What a person should know besides.
    pub notes: Vec<String>,
    /// What the site remembers although nothing comes in.
    pub learned: Learned,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release {} is not trusted: ", self.release.short())?;
        for (n, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if n == 0 { "" } else { "; " })?;
        }
        for report in self.reports.iter().filter(|r| r.outcome.is_warning()) {
            write!(f, "\n  {report}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl Classified for Refusal {
    fn class(&self) -> Class {
        Class::Distrusted
    }

    fn hint(&self) -> Option<String> {
        Some(match self.reasons.first()? {
            Reason::NoSeal => {
                "ask the sender for a seal by a sealer of this policy, or apply the policy that names the sealer's key"
                    .into()
            }
            Reason::ReleaseRevoked => "ask the admins for another release".into(),
            Reason::Vetoed(_) => {
                "ask who rejected it; a `revoke` of that statement by its signer or the admins lifts it".into()
            }
            Reason::NotEnough(g) => {
                format!(
                    "members of group {} approve with `pouch approve --group {}`; give their statements with --statements",
                    g.group, g.group
                )
            }
            Reason::Order(OrderRefusal::Floor { .. }) => "only a new policy with a lower floor lets it in".into(),
            Reason::Order(OrderRefusal::Taken { .. }) => {
                "ask the sender which of the two is right; the next one takes the next sequence".into()
            }
            Reason::Order(_) => "the admins can allow this one step with a `permit`".into(),
        })
    }
}
