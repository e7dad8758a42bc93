//! *Rotations* of keys and thresholds, as the scenarios of tuf-conformance play them; `spec/tuf.md` says which is which.

use super::cases::{approved, carriage, identity, key, member, quorum, seal};
use super::chain::PolicyChain;
use super::order::OrderState;
use super::policy::{Group, Policy, PolicyTerms, Quorum, Stream};
use super::statement::{Signed, Statement};
use super::verify::{Subject, verify};

/// Keys by number, threshold, who signs, whether it is accepted.
type Version = (&'static [usize], u64, &'static [usize], bool);

fn names(keys: &[usize]) -> Vec<String> {
    keys.iter().map(|k| format!("key{k}")).collect()
}

fn of(threshold: u64, keys: &[usize]) -> Quorum {
    let names = names(keys);
    quorum(threshold, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn policy(before: Option<&Policy>, admins: Quorum, security: Quorum) -> Policy {
    Policy::new(PolicyTerms {
        version: before.map_or(1, |p| p.terms().version + 1),
        previous: before.map(Policy::digest),
        admins,
        groups: vec![Group { name: "security".into(), quorum: security }],
        streams: vec![Stream {
            name: "prod".into(),
            requires: vec!["security".into()],
            sealers: vec![member("dora")],
            ..Stream::default()
        }],
        ..PolicyTerms::default()
    })
    .expect("a policy")
}

#[test]
fn admins_change_as_roots_do() {
    const FIVE: &[usize] = &[0, 1, 2, 3, 4];
    const LATER: &[usize] = &[0, 1, 3, 4, 5];
    const OTHERS: &[usize] = &[5, 6, 7, 8, 9];
    let cases: [(&str, &[Version]); 16] = [
        ("1-of-1-key-rotation", &[(&[1], 1, &[1], true), (&[2], 1, &[2, 1], true), (&[2], 1, &[2], true)]),
        (
            "1-of-1-key-rotation-unused-signatures",
            &[(&[1], 1, &[3, 1, 4], true), (&[2], 1, &[3, 2, 1, 4], true), (&[2], 1, &[3, 2, 4], true)],
        ),
        (
            "3-of-5-sign-with-different-keycombos",
            &[(FIVE, 3, &[0, 2, 4], true), (FIVE, 3, &[0, 4, 1], true), (FIVE, 3, &[0, 1, 3], true)],
        ),
        ("3-of-5-one-key-rotated", &[(FIVE, 3, &[0, 2, 4], true), (LATER, 3, &[0, 4, 1], true)]),
        (
            "3-of-5-one-key-rotated-with-intermediate-step",
            &[(FIVE, 3, &[0, 2, 4], true), (LATER, 3, &[0, 2, 4, 5], true), (LATER, 3, &[0, 4, 5], true)],
        ),
        (
            "3-of-5-all-keys-rotated-with-intermediate-step",
            &[(FIVE, 3, &[0, 2, 4], true), (OTHERS, 3, &[0, 2, 4, 5, 6, 7], true), (OTHERS, 3, &[5, 6, 7], true)],
        ),
        ("1-of-3-threshold-increase-to-2-of-3", &[(&[1, 2, 3], 1, &[1], true), (&[1, 2, 3], 2, &[1, 2], true)]),
        (
            "2-of-3-threshold-decrease-to-1-of-3",
            &[(&[1, 2, 3], 2, &[1, 2], true), (&[1, 2, 3], 1, &[1, 2], true), (&[1, 2, 3], 1, &[1], true)],
        ),
        ("1-of-2-threshold-increase-to-2-of-2", &[(&[1], 1, &[1], true), (&[1, 2], 2, &[1, 2], true)]),
        ("not-signed-with-old-key", &[(&[1], 1, &[1], true), (&[2], 1, &[2, 3, 4], false)]),
        ("not-signed-with-new-key", &[(&[1], 1, &[1], true), (&[2], 1, &[1, 3, 4], false)]),
        ("not-signed-with-3-new-keys", &[(FIVE, 3, &[0, 2, 4], true), (LATER, 3, &[0, 2, 4], false)]),
        ("not-signed-with-3-old-keys", &[(FIVE, 3, &[0, 2, 4], true), (LATER, 3, &[0, 4, 5], false)]),
        ("new-threshold-not-reached", &[(&[1, 2, 3], 1, &[1], true), (&[1, 2, 3], 2, &[2], false)]),
        ("old-threshold-not-reached", &[(&[1, 2, 3], 2, &[1, 2], true), (&[1, 2, 3], 1, &[1], false)]),
        ("unsigned-first", &[(&[1], 1, &[2], false)]),
    ];
    for (name, versions) in cases {
        let mut chain: Option<PolicyChain> = None;
        for (keys, threshold, sigs, good) in versions {
            let next = policy(chain.as_ref().map(PolicyChain::policy), of(*threshold, keys), of(1, &[0]));
            let sign = |k: &String| Signed::make(next.text(), &key(k)).expect("signed");
            let signed: Vec<Signed> = names(sigs).iter().map(sign).collect();
            let done = match &chain {
                None => PolicyChain::start(&signed),
                Some(before) => before.step(&signed, &OrderState::default()),
            };
            assert_eq!(done.is_ok(), *good, "{name}: {done:?}");
            let walked = chain.as_ref().map(|c| c.walk(&signed, &OrderState::default()).len());
            assert!(walked.is_none_or(|n| n == usize::from(*good)), "{name}: what a refused policy says is not taken");
            chain = done.ok().or(chain);
        }
    }
}

#[test]
fn approvers_change_as_other_roles_do() {
    const FIVE: &[usize] = &[0, 1, 2, 3, 4];
    const LATER: &[usize] = &[0, 1, 3, 4, 5];
    let cases: [(&str, Version); 12] = [
        ("1-of-1-key-rotation", (&[2], 1, &[2], true)),
        ("1-of-1-key-rotation-unused-signatures", (&[1], 1, &[3, 1, 4], true)),
        ("1-of-1-key-rotation-fail-not-signed-with-new-key", (&[2], 1, &[1, 3, 4], false)),
        ("3-of-5-not-signed-with-3-expected-keys", (LATER, 3, &[0, 2, 4], false)),
        ("signature-missing-threshold-not-reached", (LATER, 3, &[0, 4], false)),
        ("3-of-5-sign-first-combo", (FIVE, 3, &[0, 2, 4], true)),
        ("3-of-5-sign-second-combo", (FIVE, 3, &[0, 4, 1], true)),
        ("3-of-5-sign-third-combo", (FIVE, 3, &[0, 1, 3], true)),
        ("3-of-5-sign-fourth-combo", (FIVE, 3, &[1, 2, 3], true)),
        ("3-of-5-sign-fifth-combo", (FIVE, 3, &[2, 3, 4], true)),
        ("duplicate-sig-keyids", (FIVE, 3, &[0, 0, 0, 1], false)),
        ("unsigned", (&[1], 1, &[], false)),
    ];
    let id = identity("prod", 0, 1);
    let subject = Subject { release_id: id.release, carriage_id: Some(carriage()) };
    for (name, (keys, threshold, sigs, good)) in cases {
        let policy = policy(None, of(1, &[9]), of(threshold, keys));
        let mut statements = vec![Statement::Seal(seal(&id)).sign(&key("dora")).expect("a seal")];
        statements.extend(names(sigs).iter().map(|n| approved(n, "security", &id)));
        let done = verify(&subject, &statements, &policy, &OrderState::default(), super::cases::NOW);
        assert_eq!(done.is_ok(), good, "{name}: {done:?}");
    }
}
