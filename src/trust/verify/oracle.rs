//! The counting against a small *oracle*, over all that four owners in three groups can say: more than a million cases.

use super::*;
use crate::trust::cases::{self, NOW, member, public, quorum};
use crate::trust::policy::{Group, PolicyTerms};
use crate::trust::statement::Revoke;

const OWNERS: [&str; 4] = ["o0", "o1", "o2", "o3"];
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];

/// A policy: the group of each owner (3: none), who of them seals beside `s` (bits), thresholds (bits: two instead of
/// one), which groups are required (bits).
struct World {
    group: [usize; 4],
    sealers: usize,
    two: usize,
    required: usize,
}

impl World {
    fn all() -> impl Iterator<Item = World> {
        (0..256usize).flat_map(|g| (0..2).flat_map(move |s| (0..16).map(move |r| (g, s, r)))).map(|(g, s, r)| World {
            group: [g % 4, g / 4 % 4, g / 16 % 4, g / 64],
            sealers: [0, 9][s],
            two: r / 8 * 7,
            required: r % 8,
        })
    }

    fn members(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        (0..4).filter(move |o| self.group[*o] == group)
    }

    fn need(&self, group: usize) -> usize {
        1 + (self.two >> group & 1)
    }

    /// Groups without members are left out of the policy.
    fn policy(&self) -> Option<Policy> {
        let names = |g: usize| self.members(g).map(|o| OWNERS[o]).collect::<Vec<_>>();
        let groups = (0..3).filter(|g| self.members(*g).count() > 0);
        let group = |g: usize| Group { name: GROUPS[g].into(), quorum: quorum(self.need(g) as u64, &names(g)) };
        let sealers = (0..4).filter(|o| self.sealers >> o & 1 == 1).map(|o| member(OWNERS[o]));
        let stream = Stream {
            name: "prod".into(),
            requires: (0..3).filter(|g| self.required >> g & 1 == 1).map(|g| GROUPS[g].into()).collect(),
            sealers: sealers.chain([member("s")]).collect(),
            ..Stream::default()
        };
        let admins = quorum(1, &["admin"]);
        Policy::new(PolicyTerms {
            admins,
            groups: groups.map(group).collect(),
            streams: vec![stream],
            ..Default::default()
        })
        .ok()
    }

    /// Whether the policy can be met: every group that is there by its members, every required one without sealers.
    fn can_be_met(&self) -> bool {
        (0..3).all(|g| {
            let members = self.members(g).count();
            let free = self.members(g).filter(|o| self.sealers >> o & 1 == 0).count();
            (members == 0 || members >= self.need(g)) && (self.required >> g & 1 == 0 || free >= self.need(g))
        })
    }
}

/// What was said: who approves (bits), who takes the approval back, who rejects, who seals (4: `s`, 5: nobody).
#[derive(Clone, Copy)]
struct Said {
    approve: usize,
    back: Option<usize>,
    reject: Option<usize>,
    seal: usize,
}

fn said() -> impl Iterator<Item = Said> {
    let some = |n: usize| if n < 4 { Some(n) } else { None };
    (0..16usize).flat_map(move |approve| {
        (2..5).flat_map(move |back| {
            (0..5).flat_map(move |reject| {
                [0, 3, 4, 5].map(move |seal| Said { approve, back: some(back), reject: some(reject), seal })
            })
        })
    })
}

/// The rules again, in the fewest words.
fn oracle(w: &World, s: Said) -> bool {
    let seals = |o: usize| w.sealers >> o & 1 == 1;
    let sealed = s.seal == 4 || s.seal < 4 && seals(s.seal);
    let votes = |o: usize| w.group[o] < 3 && w.required >> w.group[o] & 1 == 1;
    let vetoed = s.reject.is_some_and(votes);
    let counts = |o: usize| s.approve >> o & 1 == 1 && s.back != Some(o) && !seals(o);
    let met = |g: usize| w.required >> g & 1 == 0 || w.members(g).filter(|o| counts(*o)).count() >= w.need(g);
    sealed && !vetoed && (0..3).all(met)
}

fn voice<'a>(policy: &'a Policy, name: &str, statement: Statement) -> Option<Voice<'a>> {
    let role = policy.role(public(name).blob())?;
    let digest = Digest::of(format!("{name} {}", statement.kind()).as_bytes());
    Some(Voice { index: 0, statement, digest, role, key: role.key.fingerprint() })
}

#[test]
fn counting_agrees_with_a_small_oracle() {
    let id = cases::identity("prod", 1, 1);
    let subject = cases::subject(&id);
    let state = OrderState::default();
    let group = |w: &World, o: usize| GROUPS.get(w.group[o]).copied().unwrap_or("none");
    let (mut cases_seen, mut trusted) = (0u64, 0u64);
    for w in World::all() {
        let policy = w.policy();
        assert_eq!(policy.is_some(), w.can_be_met(), "{:?} {} {} {}", w.group, w.sealers, w.two, w.required);
        let Some(policy) = policy else { continue };
        let approves: Vec<_> =
            (0..4).map(|o| voice(&policy, OWNERS[o], Statement::Approve(cases::approve(&id, group(&w, o))))).collect();
        let rejects: Vec<_> = (0..4)
            .map(|o| {
                let terms = cases::said();
                let reject = Reject { group: group(&w, o).into(), identity: id.clone(), terms };
                voice(&policy, OWNERS[o], Statement::Reject(reject))
            })
            .collect();
        let seals: Vec<_> = [OWNERS[0], OWNERS[1], OWNERS[2], OWNERS[3], "s"]
            .map(|name| voice(&policy, name, Statement::Seal(cases::seal(&id))))
            .into();
        let backs: Vec<_> = (0..4)
            .map(|o| {
                let what = Revoked::Statement(approves[o].as_ref()?.digest);
                voice(&policy, OWNERS[o], Statement::Revoke(Revoke { what, terms: cases::said() }))
            })
            .collect();
        for s in said() {
            let voices: Vec<Voice<'_>> = (0..4)
                .filter(|o| s.approve >> o & 1 == 1)
                .map(|o| approves[o].clone())
                .chain(s.back.map(|o| backs[o].clone()))
                .chain(s.reject.map(|o| rejects[o].clone()))
                .chain(seals.get(s.seal).cloned())
                .flatten() // owners without any role have no voice
                .collect();
            let result = decide(Scale::new(&subject, &policy, &state, NOW), &voices);
            let expect = oracle(&w, s);
            assert_eq!(result.is_ok(), expect, "{:?} {} {} {}", w.group, w.sealers, w.two, w.required);
            cases_seen += 1;
            trusted += u64::from(expect);
        }
    }
    assert!(cases_seen > 1_000_000 && trusted > 10_000, "{cases_seen} {trusted}");
}
