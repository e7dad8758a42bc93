//! *Lives* are when releases came and were live, as the ledger tells.
//!
//! No archived file is read. Specified in `spec/audit.md`.

use crate::digest::Digest;
use crate::site::generation::{GenerationNumber, ShownRelease};
use crate::site::ledger::{Admission, Event, Record, ReleaseRef};
use std::collections::BTreeMap;

/// A time during which a release was live: Unix seconds of the site's clock.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Span {
    /// Since when.
    pub from: i64,
    /// Until when; `None` while it is.
    pub to: Option<i64>,
    /// Whether it was its stream's latest.
    pub latest: bool,
}

impl Span {
    pub(super) fn holds(&self, at: i64) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

/// One time that a release was let in.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Admitted {
    /// The ledger's line.
    pub line: u64,
    /// When.
    pub time: i64,
    /// Why.
    #[serde(flatten)]
    pub admission: Admission,
}

/// What the ledger tells of one release.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Life {
    /// Which.
    pub release: ReleaseRef,
    /// Each time that it was let in and came.
    pub admitted: Vec<Admitted>,
    /// When it was live.
    pub live: Vec<Span>,
}

/// The releases that came onto a site, in that order.
pub fn lives(records: &[Record]) -> Vec<Life> {
    let mut story = Story::default();
    records.iter().for_each(|r| story.tell(r));
    story.lives
}

#[derive(Default)]
struct Story {
    lives: Vec<Life>,
    let_in: BTreeMap<Digest, Admitted>,
    pending: Option<(GenerationNumber, Vec<ReleaseRef>, Vec<ShownRelease>)>,
}

impl Story {
    fn tell(&mut self, record: &Record) {
        match &record.event {
            Event::Admit(a) => {
                let admitted = Admitted { line: record.n, time: record.time, admission: a.clone() };
                self.let_in.insert(a.release.release, admitted);
            }
            Event::Switch { to, accepted, shows, .. } => self.pending = Some((*to, accepted.clone(), shows.clone())),
            Event::NotSwitched { .. } => self.pending = None,
            Event::Switched { to } => {
                if let Some((_, accepted, shows)) = self.pending.take_if(|(n, ..)| n == to) {
                    accepted.iter().for_each(|r| self.comes(r));
                    self.shows(record.time, &shows);
                }
            }
            _ => {}
        }
    }

    fn life(&mut self, release: &ReleaseRef) -> Option<&mut Life> {
        if !self.lives.iter().any(|l| l.release == *release) {
            self.lives.push(Life { release: release.clone(), admitted: Vec::new(), live: Vec::new() });
        }
        self.lives.iter_mut().find(|l| l.release == *release)
    }

    fn comes(&mut self, release: &ReleaseRef) {
        let admitted = self.let_in.remove(&release.release);
        if let Some(life) = self.life(release) {
            life.admitted.extend(admitted);
        }
    }

    fn shows(&mut self, time: i64, shows: &[ShownRelease]) {
        for life in &mut self.lives {
            let now = shows.iter().find(|s| s.release == life.release).map(|s| s.latest);
            if let Some(open) = life.live.last_mut().filter(|s| s.to.is_none() && now != Some(s.latest)) {
                open.to = Some(time);
            }
        }
        for shown in shows {
            let Some(life) = self.life(&shown.release) else { continue };
            if life.live.last().is_none_or(|s| s.to.is_some()) {
                life.live.push(Span { from: time, to: None, latest: shown.latest });
            }
        }
    }
}
