//! A *chain* is the succession of policies: each is signed by enough admins of itself and of the one before.
//!
//! It does not say what a policy allows. Specified in `spec/trust.md`, section "Succession".

use super::key::Fingerprint;
use super::order::OrderState;
use super::policy::{Policy, PolicyError};
use super::sshsig::SshSig;
use super::statement::{Signed, StatementKind, kind_of};
use crate::class::{Class, Classified};
use crate::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// Why a policy does not come into force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is no policy.
    #[error("there is no signed policy")]
    Empty,
    /// Signatures over different texts were given as one policy.
    #[error("the signatures are over different texts")]
    Mixed,
    /// Its text is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It does not follow the policy in force.
    #[error("policy version {have} does not follow version {current}{}", if *.forked { ": it names another policy before it" } else { "" })]
    NotNext {
        /// Its version.
        have: u64,
        /// The version in force.
        current: u64,
        /// Whether the number is right and the digest of the policy before it is not.
        forked: bool,
    },
    /// Too few admins signed it.
    #[error("policy version {version} needs {need} signatures of the admins of {whose}, and {} signed", if .have.is_empty() { "nobody".into() } else { .have.join(", ") })]
    NotEnough {
        /// Its version.
        version: u64,
        /// Whose admins are missing.
        whose: String,
        /// How many are needed.
        need: u64,
        /// Who signed.
        have: Vec<String>,
    },
}

impl Classified for ChainError {
    fn class(&self) -> Class {
        match self {
            ChainError::Policy(e) => e.class(),
            _ => Class::Distrusted,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            ChainError::NotEnough { .. } | ChainError::Empty => Some(
                "admins sign it with `pouch policy sign` or `ssh-keygen -Y sign -n pouch/v1/policy -f KEY POLICY`"
                    .into(),
            ),
            ChainError::NotNext { .. } => Some("give the policies between, too; every one in turn is needed".into()),
            _ => None,
        }
    }
}

/// A policy in force. Only its admins' signatures make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChain {
    policy: Policy,
    signed: Vec<Signed>,
}

impl PolicyChain {
    /// Begins with a policy that a person trusts for its digest, of whatever version: it must carry the signatures of enough
    /// of its own admins. `signed` holds its text once for each signature.
    pub fn start(signed: &[Signed]) -> Result<PolicyChain, ChainError> {
        let text = &signed.first().ok_or(ChainError::Empty)?.text;
        if signed.iter().any(|s| s.text != *text) {
            return Err(ChainError::Mixed);
        }
        let policy = Policy::parse(text)?;
        enough(&policy, &policy, signed, &BTreeSet::new())?;
        Ok(PolicyChain { policy, signed: signed.to_vec() })
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its text with each signature, for the statement area and the site.
    pub fn signed(&self) -> &[Signed] {
        &self.signed
    }

    /// The next policy: signed by enough admins of this one and of itself. The signatures of this one are checked before
    /// the text is parsed. Keys that `state` knows to be called back do not count.
    pub fn step(&self, signed: &[Signed], state: &OrderState) -> Result<PolicyChain, ChainError> {
        let text = &signed.first().ok_or(ChainError::Empty)?.text;
        if signed.iter().any(|s| s.text != *text) {
            return Err(ChainError::Mixed);
        }
        let revoked: BTreeSet<Fingerprint> = state.known.revoked_keys.iter().map(|r| r.key).collect();
        let before = enough(&self.policy, &self.policy, signed, &revoked);
        let current = self.policy.terms().version;
        if let Err(ChainError::NotEnough { need, have, whose, .. }) = before {
            return Err(ChainError::NotEnough { version: current.saturating_add(1), need, have, whose });
        }
        let next = Policy::parse(text)?;
        let have = next.terms().version;
        let forked = next.terms().previous != Some(self.policy.digest());
        if have != current.saturating_add(1) || forked {
            return Err(ChainError::NotNext { have, current, forked: have == current.saturating_add(1) });
        }
        enough(&next, &next, signed, &revoked)?;
        Ok(PolicyChain { policy: next, signed: signed.to_vec() })
    }

    /// Walks as far as `statements` lead; the policies on the way, in turn. Statements of other kinds, policies that do not
    /// follow and bad signatures are passed over; of two policies that could follow, the one with the smaller digest does.
    pub fn walk(&self, statements: &[Signed], state: &OrderState) -> Vec<PolicyChain> {
        let mut texts: BTreeMap<Digest, Vec<Signed>> = BTreeMap::new();
        for signed in statements.iter().filter(|s| kind_of(&s.text) == Some(StatementKind::Policy)) {
            texts.entry(signed.digest()).or_default().push(signed.clone());
        }
        let mut way: Vec<PolicyChain> = Vec::new();
        loop {
            let last = way.last().unwrap_or(self);
            let Some(next) = texts.values().find_map(|signed| last.step(signed, state).ok()) else { return way };
            texts.remove(&next.policy.digest());
            way.push(next);
        }
    }
}

/// Whether enough admins of `policy` signed; also what `policy show` lists.
fn enough(
    policy: &Policy,
    whose: &Policy,
    signed: &[Signed],
    revoked: &BTreeSet<Fingerprint>,
) -> Result<(), ChainError> {
    let have = admins_who_signed(policy, signed, revoked);
    let need = policy.terms().admins.threshold;
    if u64::try_from(have.len()).is_ok_and(|n| n >= need) {
        return Ok(());
    }
    let version = whose.terms().version;
    let whose = format!("version {version}");
    Err(ChainError::NotEnough { version, whose, need, have: have.into_iter().collect() })
}

/// The distinct owners among the admins of `policy` whose good signatures are there, with a key that is not in `revoked`.
pub fn admins_who_signed(policy: &Policy, signed: &[Signed], revoked: &BTreeSet<Fingerprint>) -> BTreeSet<String> {
    let namespace = StatementKind::Policy.namespace();
    let mut owners = BTreeSet::new();
    for one in signed {
        let Ok(signature) = SshSig::parse(&one.signature) else { continue };
        let Some(role) = policy.role(&signature.key_blob).filter(|r| r.admin) else { continue };
        if owners.contains(&role.owner) || revoked.contains(&role.key.fingerprint()) {
            continue;
        }
        if signature.verify(&role.key, &namespace, &one.text, policy.token_rules()).is_ok() {
            owners.insert(role.owner.clone());
        }
    }
    owners
}
