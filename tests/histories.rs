//! Random lives of a site: imports, replays, downgrades, jumps, new epochs, vetoes, clocks that are set wrong, state that is
//! written and read back, lost, or forgets. Whatever happens, nothing rolls back unless the admins said so, and there is
//! always a way on.

use pouch::digest::Digest;
use pouch::trust::order::{Learned, Order, OrderState, Veto, Withdrawal, order};
use pouch::trust::policy::{Older, Stream};
use pouch::trust::statement::{Identity, Place};
use std::collections::BTreeSet;

const HISTORIES: u64 = 12_000;
const STEPS: u64 = 60;
const DAY: i64 = 86_400;
const NOW: i64 = 1_767_225_600;

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn identity(place: Place) -> Identity {
    let release = Digest::of(format!("release {place}").as_bytes());
    Identity { release, stream: "s".into(), place }
}

fn place(epoch: u64, sequence: u64) -> Place {
    Place { epoch, sequence }
}

/// What a site went through, told apart from what it remembers.
struct Life {
    state: OrderState,
    rules: Stream,
    /// The site's clock, which may be wrong.
    clock: i64,
    /// The latest time that the clock ever showed when something was accepted.
    latest_clock: i64,
    /// The highest place accepted since the site was made or made again.
    top: Option<Place>,
    here: BTreeSet<Digest>,
    vetoed: BTreeSet<Digest>,
    accepted: u64,
    refused: u64,
    permitted: u64,
}

impl Life {
    fn new(chance: &mut Chance) -> Life {
        let rules = Stream {
            name: "s".into(),
            max_gap: chance.one_in(2).then(|| 1 + chance.below(5)),
            floor: chance.one_in(4).then(|| place(chance.below(2), chance.below(4))),
            older: if chance.one_in(3) { Older::Add } else { Older::Refuse },
            ..Stream::default()
        };
        Life {
            state: OrderState::default(),
            rules,
            clock: NOW,
            latest_clock: 0,
            top: None,
            here: BTreeSet::new(),
            vetoed: BTreeSet::new(),
            accepted: 0,
            refused: 0,
            permitted: 0,
        }
    }

    /// A release with statements issued at `issued` that end `lasts` later comes, with the admins' permit `from` somewhere.
    fn comes(&mut self, place: Place, issued: i64, lasts: Option<i64>, from: Option<Option<Digest>>) -> Option<Order> {
        let id = identity(place);
        let known = self.state.has_accepted("s", id.release);
        let now = self.clock.max(self.state.time_floor);
        let expired = lasts.is_some_and(|l| issued.saturating_add(l) < now) && !known;
        let vetoed = self.state.known.standing(id.release).next().is_some();
        assert_eq!(vetoed, self.vetoed.contains(&id.release), "a veto is never forgotten and never invented");
        let decided = order(&id, &self.rules, &self.state, |f| from == Some(f));
        let Some(decided) = decided.ok().filter(|_| !expired && !vetoed) else {
            self.refused += 1;
            return None;
        };
        let before = self.state.clone();
        let latest = before.streams.get("s").and_then(|s| s.latest);
        self.state.accept(&id, decided, issued, self.clock);
        self.latest_clock = self.latest_clock.max(self.clock);
        let rises = self.top.is_none_or(|t| place > t);
        let returns = self.here.contains(&id.release)
            && (before.streams["s"].releases[&id.release].present || self.top == Some(place));
        let allowed = from == Some(latest);
        if self.state.streams["s"].latest != latest {
            assert!(rises || returns || (decided == Order::Permitted && allowed), "{decided:?} rolled back to {place}");
        }
        if before.lost && self.top.is_none() {
            assert_eq!(decided, Order::Permitted, "what was lost begins with a permit");
        }
        assert!(self.rules.floor.is_none_or(|f| place >= f) || decided == Order::Same);
        assert!(self.state.time_floor >= before.time_floor, "the floor never falls");
        assert!(self.state.time_floor <= self.latest_clock.saturating_add(DAY), "nor rises above what a clock allows");
        self.top = self.top.max(Some(place));
        self.here.insert(id.release);
        self.accepted += 1;
        self.permitted += u64::from(decided == Order::Permitted);
        assert_eq!(self.state.streams["s"].top(), self.top);
        Some(decided)
    }

    fn step(&mut self, chance: &mut Chance) {
        let top = self.top.unwrap_or(place(0, 0));
        let latest = self.state.streams.get("s").and_then(|s| s.latest);
        let issued = match chance.below(8) {
            0 => NOW + 4000 * DAY,
            1 => NOW - 4000 * DAY,
            _ => self.clock,
        };
        let lasts = chance.one_in(2).then_some(30 * DAY);
        let from = match chance.below(6) {
            0 => Some(latest),
            1 => Some(None),
            2 => Some(Some(Digest::of(b"another"))),
            _ => None,
        };
        match chance.below(20) {
            0..8 => _ = self.comes(place(top.epoch, top.sequence.saturating_add(1)), issued, lasts, from),
            8..11 => _ = self.comes(place(chance.below(top.epoch + 1), chance.below(12)), issued, lasts, from),
            11 => _ = self.comes(place(top.epoch, top.sequence.saturating_add(chance.below(9))), issued, lasts, from),
            12 => {
                _ = self.comes(
                    place(top.epoch, u64::MAX - chance.below(2)),
                    issued,
                    lasts,
                    from.filter(|_| chance.one_in(8)),
                )
            }
            13 => _ = self.comes(place(top.epoch + 1, chance.below(3)), issued, lasts, from),
            14 => self.state.drop_release("s", identity(place(top.epoch, chance.below(12))).release),
            15 => self.clock = NOW + DAY * i64::try_from(chance.below(8000)).unwrap_or(0) - 4000 * DAY,
            16 => self.clock = NOW,
            17 => self.veto(place(top.epoch, chance.below(12)), chance.one_in(2)),
            18 => {
                let text = serde_json::to_string(&self.state).expect("written");
                self.state = serde_json::from_str(&text).expect("read back");
            }
            _ if chance.one_in(6) => {
                // Made again after its records were lost: what the ledger knew is gone, and the site knows that.
                self.state = OrderState { lost: true, ..OrderState::default() };
                (self.top, self.latest_clock) = (None, 0);
                (self.here, self.vetoed) = (BTreeSet::new(), BTreeSet::new());
            }
            _ => {}
        }
    }

    fn veto(&mut self, at: Place, lift: bool) {
        let release = identity(at).release;
        let statement = Digest::of(format!("veto {at}").as_bytes());
        let mut learned = Learned::default();
        if lift {
            learned.withdrawals.insert(Withdrawal { statement, by: Some("carol".into()) });
            self.vetoed.remove(&release);
        } else {
            learned.vetoes.insert(Veto { release, statement, owner: "carol".into(), comment: None });
            if !self.state.known.is_withdrawn(statement, "carol") {
                self.vetoed.insert(release);
            }
        }
        // In pieces, twice, and without what is known: as the ledger keeps it.
        for piece in learned.beyond(&self.state.known).pieces(1) {
            self.state.learn(&piece);
            self.state.learn(&piece);
        }
        assert!(learned.beyond(&self.state.known).is_empty());
    }

    /// Whatever happened: once the clock is right, the next release comes in; if need be by the admins' word.
    fn goes_on(&mut self) {
        self.clock = NOW;
        let base = self.top.max(self.rules.floor).unwrap_or(place(0, 0));
        let latest = self.state.streams.get("s").and_then(|s| s.latest);
        let next = match base.sequence.checked_add(1) {
            Some(sequence) => place(base.epoch, sequence),
            None => place(base.epoch + 1, 1),
        };
        self.vetoed.remove(&identity(next).release);
        self.state.known.vetoes.retain(|v| v.release != identity(next).release);
        let id = identity(next);
        let alone = order(&id, &self.rules, &self.state, |_| false).is_ok();
        let lost = self.state.lost && self.top.is_none();
        assert!(alone || lost || next.epoch != base.epoch, "{next} after {:?} needs a permit", self.top);
        // Statements that do not end always count; those that do, unless a clock was ahead when something came.
        assert!(self.comes(next, NOW, None, Some(latest)).is_some(), "no way on to {next}");
        let after = Place { sequence: next.sequence.saturating_add(1), ..next };
        if self.state.time_floor <= NOW + DAY && after != next {
            self.state.known = Learned::default();
            self.vetoed.clear();
            assert!(self.comes(after, NOW, Some(30 * DAY), None).is_some(), "{after} with statements that end");
        }
    }
}

#[test]
fn no_history_rolls_back_or_locks_out() {
    let (mut accepted, mut refused, mut permitted) = (0, 0, 0);
    for seed in 0..HISTORIES {
        let mut chance = Chance(seed);
        let mut life = Life::new(&mut chance);
        for _ in 0..STEPS {
            life.step(&mut chance);
        }
        life.goes_on();
        (accepted, refused, permitted) = (accepted + life.accepted, refused + life.refused, permitted + life.permitted);
    }
    // The dice must reach all of it.
    assert!(
        accepted > 10 * HISTORIES && refused > 5 * HISTORIES && permitted > HISTORIES / 2,
        "{accepted} {refused} {permitted}"
    );
}
