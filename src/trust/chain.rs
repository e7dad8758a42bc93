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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::cases::{key, policy, public, quorum, revoked, run, terms};
    use crate::trust::policy::PolicyTerms;
    use crate::trust::statement::Revoked;

    fn signed(policy: &Policy, names: &[&str]) -> Vec<Signed> {
        names.iter().map(|n| Signed::make(policy.text(), &key(n)).expect("signed")).collect()
    }

    fn after(before: &Policy, change: impl Fn(&mut PolicyTerms)) -> Policy {
        let mut terms = before.terms().clone();
        (terms.version, terms.previous) = (before.terms().version + 1, Some(before.digest()));
        change(&mut terms);
        Policy::new(terms).expect("a policy")
    }

    #[test]
    fn a_first_policy_needs_its_own_admins() {
        let policy = policy();
        let start = |names: &[&str]| PolicyChain::start(&signed(&policy, names));
        assert_eq!(start(&["ann", "abe"]).expect("two admins").policy(), &policy);
        assert!(start(&["ada", "carol", "abe"]).is_ok());
        for few in [&["ann"][..], &["ann", "ann"], &["ann", "carol"], &["ann", "eve"]] {
            assert!(matches!(start(few), Err(ChainError::NotEnough { need: 2, .. })), "{few:?}");
        }
        assert_eq!(PolicyChain::start(&[]), Err(ChainError::Empty));
        let other = after(&policy, |_| ());
        let mixed = [signed(&policy, &["ann"]), signed(&other, &["abe"])].concat();
        assert_eq!(PolicyChain::start(&mixed), Err(ChainError::Mixed));
        let mut wrong = signed(&policy, &["ann", "abe"]);
        wrong[1].signature = crate::trust::sshsig::sign(&key("abe"), "pouch/v1/seal", &wrong[1].text).into_bytes();
        assert!(matches!(PolicyChain::start(&wrong), Err(ChainError::NotEnough { .. })));
    }

    #[test]
    fn a_next_policy_needs_the_admins_of_both() {
        let first = policy();
        let chain = PolicyChain::start(&signed(&first, &["ann", "abe"])).expect("in force");
        let state = OrderState::default();
        let next = after(&first, |t| t.admins = quorum(2, &["ann", "bea", "bob"]));
        let step = |policy: &Policy, names: &[&str]| chain.step(&signed(policy, names), &state);
        assert!(step(&next, &["ann", "abe", "bea"]).is_ok());
        assert!(step(&next, &["ada", "abe", "bea", "bob"]).is_ok());
        let version = |r: Result<PolicyChain, ChainError>| match r {
            Err(ChainError::NotEnough { whose, .. }) => whose,
            other => panic!("{other:?}"),
        };
        assert_eq!(version(step(&next, &["ann", "bea", "bob"])), "version 1");
        assert_eq!(version(step(&next, &["ada", "abe"])), "version 2");
        let not_next = |r, forked| match r {
            Err(ChainError::NotNext { forked: f, .. }) => assert_eq!(f, forked),
            other => panic!("{other:?}"),
        };
        not_next(step(&first, &["ann", "abe"]), false);
        not_next(step(&after(&next, |_| ()), &["ann", "abe", "bea"]), false);
        not_next(step(&after(&first, |t| t.previous = Some(next.digest())), &["ann", "abe"]), true);
        // What is signed by enough admins and breaks a rule does not come into force.
        let broken = first.text().replace("version: 1\n", "version: 2\n");
        let broken = ["ann", "abe"].map(|n| Signed::make(&broken, &key(n)).expect("signed"));
        assert!(matches!(chain.step(&broken, &state), Err(ChainError::Policy(_))));
        // An admin's key that was called back does not count for the next step.
        let mut knows = OrderState::default();
        let calls = ["ada", "abe"].map(|n| revoked(n, Revoked::Key(public("ann").fingerprint(), vec![])));
        let id = crate::trust::cases::identity("prod", 1, 1);
        knows.learn(&run(&id, &calls, &knows).expect_err("nothing comes in").learned);
        assert!(chain.step(&signed(&next, &["ann", "abe", "bea", "bob"]), &knows).is_err());
        assert!(chain.step(&signed(&next, &["ada", "abe", "bea", "bob"]), &knows).is_ok());
    }

    #[test]
    fn a_site_far_behind_walks_the_chain() {
        let first = policy();
        let second = after(&first, |t| t.comment = Some("two".into()));
        let third = after(&second, |t| t.admins = quorum(1, &["bea"]));
        let fourth = after(&third, |t| t.comment = Some("four".into()));
        let mut pile: Vec<Signed> = signed(&fourth, &["bea"]);
        pile.extend(signed(&third, &["bea", "ann", "ada"]));
        pile.extend(signed(&second, &["abe", "ann"]));
        pile.extend(signed(&after(&first, |t| t.comment = Some("never enough".into())), &["abe"]));
        pile.push(Signed { text: b"junk".to_vec(), signature: b"junk".to_vec() });
        pile.push(crate::trust::cases::approved("carol", "security", &crate::trust::cases::identity("prod", 1, 1)));
        let chain = PolicyChain::start(&signed(&first, &["ann", "abe"])).expect("in force");
        for turn in 0..pile.len() {
            pile.rotate_left(turn);
            let way = chain.walk(&pile, &OrderState::default());
            let versions: Vec<u64> = way.iter().map(|c| c.policy().terms().version).collect();
            assert_eq!(versions, [2, 3, 4]);
        }
        pile.retain(|s| s.text != third.text().as_bytes());
        assert_eq!(chain.walk(&pile, &OrderState::default()).len(), 1);
        assert_eq!(terms().version, 1);
    }
}
