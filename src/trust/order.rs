//! *Order* is what a site remembers of a stream, and what that allows next.
//!
//! It knows no keys: permits come to it already counted. It never looks at a clock. Specified in `spec/trust.md`, section
//! "Order".

use super::policy::{Older, RevokedKey, Stream};
use super::statement::{Identity, Place};
use crate::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// A release that a site accepted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Its place.
    pub place: Place,
    /// Whether the site still holds it.
    pub present: bool,
}

/// What a site remembers of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamState {
    /// The highest sequence seen in each epoch; never falls.
    pub highest: BTreeMap<u64, u64>,
    /// The release that is the stream's latest here.
    pub latest: Option<Digest>,
    /// Every release accepted so far, by release id.
    pub releases: BTreeMap<Digest, Accepted>,
}

impl StreamState {
    /// The highest place seen: the highest epoch, and the highest sequence in it.
    pub fn top(&self) -> Option<Place> {
        self.highest.last_key_value().map(|(epoch, sequence)| Place { epoch: *epoch, sequence: *sequence })
    }
}

/// A veto that a site has seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Veto {
    /// The release it forbids.
    pub release: Digest,
    /// Digest of the rejection's text.
    pub statement: Digest,
    /// Who made it.
    pub owner: String,
    /// Why, in the signer's words.
    pub comment: Option<String>,
}

/// A statement that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// Digest of its text.
    pub statement: Digest,
    /// The owner who took it back, which counts for that owner's statements; `None` for the admins, which counts for all.
    pub by: Option<String>,
}

/// What persists even when a bundle is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// Rejections.
    pub vetoes: BTreeSet<Veto>,
    /// Statements that were taken back.
    pub withdrawals: BTreeSet<Withdrawal>,
    /// Keys that were called back outside a policy.
    pub revoked_keys: BTreeSet<RevokedKey>,
    /// Releases that were called back outside a policy.
    pub revoked_releases: BTreeSet<Digest>,
}

impl Learned {
    /// Adds what `other` knows.
    pub fn add(&mut self, other: &Learned) {
        self.vetoes.extend(other.vetoes.iter().cloned());
        self.withdrawals.extend(other.withdrawals.iter().cloned());
        self.revoked_keys.extend(other.revoked_keys.iter().cloned());
        self.revoked_releases.extend(other.revoked_releases.iter().copied());
    }

    /// What is in this and not in `known`.
    pub fn beyond(&self, known: &Learned) -> Learned {
        Learned {
            vetoes: self.vetoes.difference(&known.vetoes).cloned().collect(),
            withdrawals: self.withdrawals.difference(&known.withdrawals).cloned().collect(),
            revoked_keys: self.revoked_keys.difference(&known.revoked_keys).cloned().collect(),
            revoked_releases: self.revoked_releases.difference(&known.revoked_releases).copied().collect(),
        }
    }

    /// The same in pieces of at most `most` entries.
    pub fn pieces(&self, most: usize) -> Vec<Learned> {
        let one = |change: &dyn Fn(&mut Learned)| {
            let mut out = Learned::default();
            change(&mut out);
            out
        };
        let mut all: Vec<Learned> = Vec::new();
        all.extend(self.vetoes.iter().map(|v| one(&|l| _ = l.vetoes.insert(v.clone()))));
        all.extend(self.withdrawals.iter().map(|w| one(&|l| _ = l.withdrawals.insert(w.clone()))));
        all.extend(self.revoked_keys.iter().map(|k| one(&|l| _ = l.revoked_keys.insert(k.clone()))));
        all.extend(self.revoked_releases.iter().map(|r| one(&|l| _ = l.revoked_releases.insert(*r))));
        let join = |piece: &[Learned]| {
            piece.iter().fold(Learned::default(), |mut sum, one| {
                sum.add(one);
                sum
            })
        };
        all.chunks(most.max(1)).map(join).collect()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Learned::default()
    }

    /// Whether `owner`'s statement of that digest was taken back.
    pub fn is_withdrawn(&self, statement: Digest, owner: &str) -> bool {
        let by = |by: Option<&str>| Withdrawal { statement, by: by.map(str::to_owned) };
        self.withdrawals.contains(&by(None)) || self.withdrawals.contains(&by(Some(owner)))
    }

    /// The vetoes on a release that still stand.
    pub fn standing(&self, release: Digest) -> impl Iterator<Item = &Veto> {
        self.vetoes.iter().filter(move |v| v.release == release && !self.is_withdrawn(v.statement, &v.owner))
    }
}

/// What a site remembers: kept by the site, changed only by [`OrderState::learn`] and [`OrderState::accept`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderState {
    /// The site's name; `None` on a reviewer's desk.
    pub site: Option<String>,
    /// Set where what a site remembered was lost: then nothing is accepted into a stream without a permit from `none`.
    pub lost: bool,
    /// No statement is believed to be younger than this: Unix seconds.
    pub time_floor: i64,
    /// The streams.
    pub streams: BTreeMap<String, StreamState>,
    /// Vetoes, withdrawals and revocations.
    pub known: Learned,
}

/// Where a release stands in its stream, and so what importing it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// The stream's first release on this site; becomes the latest.
    First,
    /// Above all that was seen; becomes the latest.
    Newer,
    /// The latest already; nothing changes.
    Same,
    /// On the site already; becomes the latest again.
    Again,
    /// Older than the latest and not on the site; adds what it has, and the latest stays.
    Older,
    /// Allowed by the admins against order; becomes the latest.
    Permitted,
}

impl Order {
    /// The word for `--json` and vectors.
    pub fn name(self) -> &'static str {
        match self {
            Order::First => "first",
            Order::Newer => "newer",
            Order::Same => "same",
            Order::Again => "again",
            Order::Older => "older",
            Order::Permitted => "permitted",
        }
    }

    /// Whether the release becomes its stream's latest.
    pub fn leads(self) -> bool {
        !matches!(self, Order::Same | Order::Older)
    }
}

/// Why order forbids a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// The policy's floor is higher.
    #[error("{have} is below the policy's floor ({floor})")]
    Floor {
        /// The release's place.
        have: Place,
        /// The floor.
        floor: Place,
    },
    /// Something newer was here.
    #[error("{have} is older than what this site has seen ({top})")]
    Older {
        /// The release's place.
        have: Place,
        /// The highest place seen.
        top: Place,
    },
    /// The sequence jumps further than the policy allows at once.
    #[error("{have} jumps {gap} sequences ahead; the policy allows {allowed}")]
    Gap {
        /// The release's place.
        have: Place,
        /// How far it jumps.
        gap: u64,
        /// How far it may.
        allowed: u64,
    },
    /// The epoch is new.
    #[error("{have} begins a new epoch (this site is at {top})")]
    Epoch {
        /// The release's place.
        have: Place,
        /// The highest place seen.
        top: Place,
    },
    /// Another release has that place.
    #[error("another release, {other}, has {have} already")]
    Taken {
        /// The place.
        have: Place,
        /// The release that has it.
        other: Digest,
    },
    /// The site no longer knows what it has seen.
    #[error("this site has lost what it remembered of its streams")]
    Lost,
}

impl OrderRefusal {
    /// The word for `--json` and vectors.
    pub fn name(&self) -> &'static str {
        match self {
            OrderRefusal::Floor { .. } => "floor",
            OrderRefusal::Older { .. } => "older",
            OrderRefusal::Gap { .. } => "gap",
            OrderRefusal::Epoch { .. } => "epoch",
            OrderRefusal::Taken { .. } => "taken",
            OrderRefusal::Lost => "lost",
        }
    }

    /// Whether a permit of the admins can allow it.
    pub fn permit_helps(&self) -> bool {
        !matches!(self, OrderRefusal::Floor { .. } | OrderRefusal::Taken { .. })
    }
}

/// Decides where `release` stands. `permitted` says whether the admins allow its stream to go to it from the latest release
/// (`None`: from a state without one).
pub fn order(
    release: &Identity,
    rules: &Stream,
    state: &OrderState,
    permitted: impl Fn(Option<Digest>) -> bool,
) -> Result<Order, OrderRefusal> {
    let have = release.place;
    let empty = StreamState::default();
    let stream = state.streams.get(&release.stream).unwrap_or(&empty);
    if let Some((other, _)) = stream.releases.iter().find(|(id, a)| a.place == have && **id != release.release) {
        return Err(OrderRefusal::Taken { have, other: *other });
    }
    // A release id fixes its place; another place for a known id cannot come from its root.
    let accepted = stream.releases.get(&release.release).filter(|a| a.place == have);
    if stream.latest == Some(release.release) && accepted.is_some() {
        return Ok(Order::Same);
    }
    if let Some(floor) = rules.floor.filter(|f| have < *f) {
        return Err(OrderRefusal::Floor { have, floor });
    }
    // The highest release itself is never a step back, though the site may have let go of it.
    if accepted.is_some_and(|a| a.present || stream.top() == Some(a.place)) {
        return Ok(Order::Again);
    }
    let allowed = permitted(stream.latest);
    match step(have, stream, rules, state.lost) {
        Ok(Order::Older) if allowed => Ok(Order::Permitted),
        Err(refusal) if allowed && refusal.permit_helps() => Ok(Order::Permitted),
        decided => decided,
    }
}

/// What holds without a permit, for a release that the site does not hold.
fn step(have: Place, stream: &StreamState, rules: &Stream, lost: bool) -> Result<Order, OrderRefusal> {
    let Some(top) = stream.top() else {
        return if lost { Err(OrderRefusal::Lost) } else { Ok(Order::First) };
    };
    if have <= top {
        return match rules.older {
            Older::Add => Ok(Order::Older),
            Older::Refuse => Err(OrderRefusal::Older { have, top }),
        };
    }
    // The admins wrote the floor, so it counts as a place that was reached.
    let base = rules.floor.filter(|f| *f > top).unwrap_or(top);
    if have.epoch > base.epoch {
        return Err(OrderRefusal::Epoch { have, top });
    }
    let gap = have.sequence.saturating_sub(base.sequence);
    match rules.max_gap.filter(|allowed| gap > *allowed) {
        Some(allowed) => Err(OrderRefusal::Gap { have, gap, allowed }),
        None => Ok(Order::Newer),
    }
}

impl OrderState {
    /// Whether the site accepted that release once.
    pub fn has_accepted(&self, stream: &str, release: Digest) -> bool {
        self.streams.get(stream).is_some_and(|s| s.releases.contains_key(&release))
    }

    /// Takes in what persists although a bundle was refused.
    pub fn learn(&mut self, learned: &Learned) {
        self.known.add(learned);
    }

    /// Takes in that a release was imported. `issued` is the youngest statement's time, `now` the local clock: the time
    /// floor rises at most to a day from now, so that no signer can push it to where nothing is valid any more.
    pub fn accept(&mut self, release: &Identity, order: Order, issued: i64, now: i64) {
        let stream = self.streams.entry(release.stream.clone()).or_default();
        let highest = stream.highest.entry(release.place.epoch).or_insert(release.place.sequence);
        *highest = release.place.sequence.max(*highest);
        stream.releases.insert(release.release, Accepted { place: release.place, present: true });
        if order.leads() {
            stream.latest = Some(release.release);
        }
        self.time_floor = self.time_floor.max(issued.min(now.saturating_add(86_400)));
    }

    /// Takes in that the site no longer holds a release.
    pub fn drop_release(&mut self, stream: &str, release: Digest) {
        if let Some(known) = self.streams.get_mut(stream).and_then(|s| s.releases.get_mut(&release)) {
            known.present = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::cases::{NOW, identity};
    use proptest::prelude::*;

    /// What happens to a site: a release comes, with or without a permit; one is let go of; what it remembered is lost.
    #[derive(Clone, Debug)]
    enum Event {
        Comes(u64, u64, bool, i64),
        Goes(u64, u64),
        Lost,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            20 => (0u64..4, 0u64..12, any::<bool>(), any::<i64>()).prop_map(|(e, s, p, now)| Event::Comes(e, s, p, now)),
            3 => (0u64..4, 0u64..12).prop_map(|(e, s)| Event::Goes(e, s)),
            1 => Just(Event::Lost),
        ];
        prop::collection::vec(event, 1..40)
    }

    fn rules() -> impl Strategy<Value = Stream> {
        let floor = prop::option::of((0u64..2, 0u64..5).prop_map(|(epoch, sequence)| Place { epoch, sequence }));
        (prop::option::of(1u64..6), floor, any::<bool>()).prop_map(|(max_gap, floor, add)| {
            let older = if add { Older::Add } else { Older::Refuse };
            Stream { name: "prod".into(), max_gap, floor, older, ..Stream::default() }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn no_history_rolls_back_or_locks_out(rules in rules(), events in events()) {
            let mut state = OrderState::default();
            for event in events {
                match event {
                    Event::Lost => state = OrderState { lost: true, time_floor: state.time_floor, ..OrderState::default() },
                    Event::Goes(e, s) => state.drop_release("prod", identity("prod", e, s).release),
                    Event::Comes(e, s, permit, now) => {
                        let id = identity("prod", e, s);
                        let before = state.clone();
                        let (top, latest) = before.streams.get("prod").map_or((None, None), |p| (p.top(), p.latest));
                        let Ok(decided) = order(&id, &rules, &state, |_| permit) else { continue };
                        state.accept(&id, decided, NOW, now);
                        let stream = &state.streams["prod"];
                        prop_assert!(stream.top() >= top, "the highest place never falls");
                        prop_assert!(state.time_floor >= before.time_floor);
                        prop_assert!(decided == Order::Same || rules.floor.is_none_or(|f| id.place >= f));
                        if stream.latest != latest {
                            let rises = top.is_none_or(|t| id.place > t);
                            let here = before.has_accepted("prod", id.release);
                            prop_assert!(rises || here || decided == Order::Permitted, "{decided:?} rolled back");
                        }
                        if before.lost && top.is_none() {
                            prop_assert_eq!(decided, Order::Permitted);
                        }
                    }
                }
            }
            // There is always a way on: the next sequence, if need be with a permit.
            let base = state.streams.get("prod").and_then(StreamState::top).max(rules.floor);
            let next = base.map_or(identity("prod", 1, 1), |p| identity("prod", p.epoch, p.sequence + 1));
            prop_assert!(order(&next, &rules, &state, |_| true).is_ok());
            prop_assert!(state.lost || order(&next, &rules, &state, |_| false).is_ok());
        }
    }
}
