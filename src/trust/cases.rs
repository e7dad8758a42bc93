//! The *cases* of verification: one policy, one release, and what each statement comes to.

use super::key::PublicKey;
use super::order::{Order, OrderState};
use super::policy::{Group, Member, Policy, PolicyTerms, Quorum, Stream};
use super::private::PrivateKey;
use super::report::{Outcome, Reason, Refusal};
use super::statement::{
    Approve, Claims, Content, Identity, Permit, Place, Reject, Revoke, Revoked, Seal, Signed, Statement, Terms,
};
use super::verify::{Subject, Verdict, verify};
use super::{PolicyChain, TrustError};
use crate::digest::Digest;

pub(super) const NOW: i64 = 1_800_000_000;

/// The key of a name: fixed, so that cases can be repeated.
pub(super) fn key(name: &str) -> PrivateKey {
    PrivateKey::from_ed25519_seed(&Digest::of(name.as_bytes()).0, name).expect("a key")
}

pub(super) fn public(name: &str) -> PublicKey {
    key(name).public().clone()
}

pub(super) fn member(name: &str) -> Member {
    Member { owner: name.into(), keys: vec![public(name)] }
}

pub(super) fn quorum(threshold: u64, names: &[&str]) -> Quorum {
    Quorum { threshold, members: names.iter().map(|n| member(n)).collect() }
}

/// Admins 2 of ann, abe, ada; security 2 of carol, chris, cleo; qa 1 of quinn, and dave who also seals; sealers dave, dora.
pub(super) fn terms() -> PolicyTerms {
    PolicyTerms {
        issued: NOW - 1000,
        admins: quorum(2, &["abe", "ada", "ann"]),
        groups: vec![
            Group { name: "qa".into(), quorum: quorum(1, &["dave", "quinn"]) },
            Group { name: "security".into(), quorum: quorum(2, &["carol", "chris", "cleo"]) },
        ],
        streams: vec![
            Stream {
                name: "prod".into(),
                requires: vec!["qa".into(), "security".into()],
                sealers: vec![member("dave"), member("dora")],
                max_gap: Some(5),
                ..Stream::default()
            },
            Stream { name: "test".into(), sealers: vec![member("dave")], ..Stream::default() },
        ],
        ..PolicyTerms::default()
    }
}

pub(super) fn policy() -> Policy {
    Policy::new(terms()).expect("a policy")
}

pub(super) fn identity(stream: &str, epoch: u64, sequence: u64) -> Identity {
    let place = Place { epoch, sequence };
    Identity { release: Digest::of(format!("{stream} {place}").as_bytes()), stream: stream.into(), place }
}

pub(super) fn claims() -> Claims {
    let content = vec![
        Content { kind: "image".into(), artifacts: 12, bytes: 345_678 },
        Content { kind: "rpm".into(), artifacts: 3, bytes: 99 },
    ];
    Claims { version: Some("2026.11".into()), content, bytes: 345_000, removed: None }
}

pub(super) fn said() -> Terms {
    Terms { issued: NOW - 100, ..Terms::default() }
}

pub(super) fn carriage() -> Digest {
    Digest::of(b"carriage")
}

pub(super) fn seal(identity: &Identity) -> Seal {
    Seal { identity: identity.clone(), carriage: carriage(), claims: claims(), terms: said() }
}

pub(super) fn approve(identity: &Identity, group: &str) -> Approve {
    Approve { group: group.into(), identity: identity.clone(), claims: claims(), terms: said() }
}

pub(super) fn by(name: &str, statement: Statement) -> Signed {
    statement.sign(&key(name)).expect("a statement in form")
}

pub(super) fn subject(identity: &Identity) -> Subject {
    Subject { release_id: identity.release, carriage_id: Some(carriage()) }
}

/// A sealed and approved release of `prod`.
pub(super) fn good(identity: &Identity) -> Vec<Signed> {
    vec![
        by("dora", Statement::Seal(seal(identity))),
        by("quinn", Statement::Approve(approve(identity, "qa"))),
        by("carol", Statement::Approve(approve(identity, "security"))),
        by("cleo", Statement::Approve(approve(identity, "security"))),
    ]
}

pub(super) fn run(identity: &Identity, statements: &[Signed], state: &OrderState) -> Result<Verdict, Box<Refusal>> {
    match verify(&subject(identity), statements, &policy(), state, NOW) {
        Ok(verdict) => Ok(verdict),
        Err(TrustError::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_good_release_comes_in() {
    let id = identity("prod", 1, 1);
    let verdict = run(&id, &good(&id), &OrderState::default()).expect("trusted");
    assert_eq!(verdict.order, Order::First);
    assert_eq!(verdict.sealed.owner, "dora");
    assert_eq!(verdict.approvals.iter().map(|g| g.owners.join(" ")).collect::<Vec<_>>(), ["quinn", "carol cleo"]);
    assert!(verdict.reports.iter().all(|r| r.outcome == Outcome::Counts));
    assert!(verdict.notes.is_empty() && verdict.learned.is_empty());
}

#[test]
fn a_chain_of_policies() {
    let signed = |p: &Policy, names: &[&str]| -> Vec<Signed> {
        names.iter().map(|n| Signed::make(p.text(), &key(n)).expect("signed")).collect()
    };
    let first = policy();
    assert!(PolicyChain::start(&signed(&first, &["ann"])).is_err());
    assert!(PolicyChain::start(&signed(&first, &["ann", "ann"])).is_err());
    assert!(PolicyChain::start(&signed(&first, &["ann", "carol"])).is_err());
    let chain = PolicyChain::start(&signed(&first, &["ann", "abe"])).expect("in force");
    assert_eq!(chain.policy(), &first);
    let _ = (Reason::NoSeal, Permit::clone, Reject::clone, Revoke::clone, Revoked::clone);
}
