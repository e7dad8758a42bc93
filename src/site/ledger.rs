//! The *ledger* is the site's append-only log of what was done to it, each line chained to the one before by its digest.
//!
//! It decides nothing; the state that decisions rest on is derived from it and kept nowhere else ([`SiteState`]).
//! Specified in `spec/site.md`, section "Ledger".

use crate::digest::Digest;
use crate::fs::disk::{Disk, DiskError, read_all};
use crate::site::error::SiteError;
use crate::site::generation::{GenerationNumber, ShownRelease};
use crate::site::{head, layout};
use crate::trust::key::Fingerprint;
use crate::trust::order::Learned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of one line; what does not fit is not written.
pub const LINE_BYTES: usize = 1 << 20;
/// Bytes of the whole log that are read: a century of hourly events is less.
const LOG_BYTES: u64 = 1 << 30;

/// Reads a digest from its hexadecimal form; digests are written by their own `Serialize`.
pub(crate) fn digest<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Digest, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
    Digest::from_hex(&text).map_err(serde::de::Error::custom)
}

/// A release in its stream's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// The stream.
    pub stream: String,
    /// Its epoch.
    pub epoch: u64,
    /// Its sequence within the epoch.
    pub sequence: u64,
    /// The release id.
    #[serde(deserialize_with = "digest")]
    pub release: Digest,
}

/// A statement as the ledger keeps it: its text and its signature's armor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The text.
    pub text: String,
    /// The signature.
    pub signature: String,
}

/// A statement that counted for a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voucher {
    /// The statement's kind.
    pub kind: String,
    /// Digest of its text.
    pub statement: Digest,
    /// Whose key made it, by the policy of the time.
    pub owner: String,
    /// The key.
    pub key: Fingerprint,
}

/// Why a release was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The release.
    pub release: ReleaseRef,
    /// What it was to its stream ([`crate::trust::order::Order::name`]).
    pub order: String,
    /// The policy that held.
    pub policy: Digest,
    /// The statements that counted, sorted: one seal, approvals, permits.
    pub vouchers: Vec<Voucher>,
    /// What the time floor rises to by it: Unix seconds.
    pub time_floor: i64,
}

/// What happened. Only what is listed here is ever written; `event` in the log is the name in kebab case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The site was made.
    Init {
        /// The version of its layout.
        layout: u64,
        /// Its name.
        name: String,
        /// True where it takes the place of a site whose ledger was lost.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
    /// A policy holds from here on.
    Policy {
        /// Its digest, as people confirm it; names its file.
        #[serde(deserialize_with = "digest")]
        policy: Digest,
        /// SHA-256 of the stored file.
        #[serde(deserialize_with = "digest")]
        sha256: Digest,
    },
    /// A bundle was refused.
    Refuse {
        /// Its release, as far as it was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<ReleaseRef>,
        /// The class of the refusal ([`crate::class::Class::name`]).
        class: String,
        /// The message.
        why: String,
    },
    /// Statements said what a site remembers whatever became of the bundle that they came with.
    Learn {
        /// What is new in it.
        learned: Learned,
        /// The statements that said it.
        statements: Vec<Kept>,
    },
    /// The verify function let a release in. It counts once the switch that brings the release took place.
    Admit(Admission),
    /// A complete generation is about to become current; nothing has changed yet.
    Switch {
        /// The generation that was current.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<GenerationNumber>,
        /// The generation that is to be.
        to: GenerationNumber,
        /// True where it is an earlier one made current again.
        rollback: bool,
        /// The releases that come onto the site by it.
        accepted: Vec<ReleaseRef>,
        /// The releases that the generation shows.
        shows: Vec<ShownRelease>,
    },
    /// The switch before this line took place.
    Switched {
        /// To this generation.
        to: GenerationNumber,
    },
    /// The switch before this line never took place.
    NotSwitched {
        /// To this generation.
        to: GenerationNumber,
    },
    /// Generations were removed.
    Prune {
        /// Which.
        generations: Vec<GenerationNumber>,
    },
    /// Blobs that no generation uses were removed.
    Gc {
        /// How many.
        blobs: u64,
        /// Their bytes.
        bytes: u64,
    },
}

/// What a line of the log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1.
    pub n: u64,
    /// When, in Unix seconds by the site's own clock.
    pub time: i64,
    /// `line` of the line before; 64 zeros in the first.
    #[serde(deserialize_with = "digest")]
    pub prev: Digest,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A line of the log.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    record: Record,
    /// SHA-256 of the record's own JSON.
    #[serde(deserialize_with = "digest")]
    line: Digest,
}

/// The log as it was read.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Its lines, the oldest first.
    pub records: Vec<Record>,
    /// Bytes of these lines in the file.
    end: u64,
    /// `line` of the last of these lines.
    last: Digest,
    /// Bytes after them, left by an append that did not finish.
    pub torn_bytes: u64,
}

const NO_LINE: Digest = Digest([0; 32]);

impl Ledger {
    /// Reads and verifies the log; an absent one is empty. What an append that never finished left at the end is no
    /// line: nothing relied on it, because what a line announces is done after it is durable.
    pub fn read(disk: &dyn Disk) -> Result<Ledger, SiteError> {
        let head = head::read(disk)?; // before the log, which may grow meanwhile
        let bytes = match disk.stat(&layout::log())? {
            None => Vec::new(),
            Some(_) => read_all(disk, &layout::log(), LOG_BYTES)?,
        };
        let ledger = Ledger::parse(&bytes)?;
        head::compare(head, &ledger)?;
        Ok(ledger)
    }

    /// `line` of the line `n`; of its own record in the line after, or of the last.
    pub(crate) fn line(&self, n: u64) -> Option<Digest> {
        let n = usize::try_from(n).ok().filter(|n| *n > 0 && *n <= self.records.len())?;
        Some(self.records.get(n).map_or(self.last, |after| after.prev))
    }

    /// `line` of the last line: the digest that stands for the whole log.
    pub fn last(&self) -> Digest {
        self.last
    }

    /// As [`Ledger::read`], of the file's bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Ledger, SiteError> {
        let mut out = Ledger { records: Vec::new(), end: 0, last: NO_LINE, torn_bytes: 0 };
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(len);
            match out.verify(line) {
                Ok((record, sha256)) => out.push(record, sha256, line.len()),
                Err(_) if after.is_empty() && is_torn(line) => {
                    out.torn_bytes = line.len() as u64;
                    return Ok(out);
                }
                Err(why) => {
                    let n = out.records.len() + 1;
                    return Err(SiteError::damaged(layout::log(), format!("line {n} {why}")));
                }
            }
            rest = after;
        }
        Ok(out)
    }

    /// A line is good if it is the next one and there is no other way to write it.
    fn verify(&self, line: &[u8]) -> Result<(Record, Digest), String> {
        let Line { record, line: sha256 } =
            serde_json::from_slice(line).map_err(|e| format!("is not a record: {e}"))?;
        if record.prev != self.last || record.n != self.next() {
            return Err("does not follow the line before it; a line was changed or removed".into());
        }
        if line_of(&record)? != (line.to_vec(), sha256) {
            return Err("was changed, or is not written as this version writes it".into());
        }
        Ok((record, sha256))
    }

    fn next(&self) -> u64 {
        self.records.len() as u64 + 1
    }

    fn push(&mut self, record: Record, sha256: Digest, len: usize) {
        self.records.push(record);
        self.end += len as u64;
        self.last = sha256;
    }

    /// Appends one event, durably. What an unfinished append left is cut off first.
    pub(crate) fn append(&mut self, disk: &dyn Disk, time: i64, event: Event) -> Result<(), SiteError> {
        let record = Record { n: self.next(), time, prev: self.last, event };
        let (line, sha256) = line_of(&record).map_err(|why| SiteError::damaged(layout::log(), why))?;
        if line.len() > LINE_BYTES {
            let (have, limit) = (line.len() as u64, LINE_BYTES as u64);
            return Err(SiteError::TooLarge { what: "a line of the ledger", have, limit });
        }
        // What cannot be read again is not written.
        self.verify(&line).map_err(|why| SiteError::damaged(layout::log(), format!("a new line {why}")))?;
        let file = disk.reopen(&layout::log())?;
        let write = || -> std::io::Result<()> {
            if file.length()? != self.end {
                file.set_len(self.end)?;
            }
            file.write_at(&line, self.end)?;
            file.sync()
        };
        write().map_err(|source| DiskError {
            verb: "append to",
            path: disk.root().join(layout::log().path()),
            source,
        })?;
        self.torn_bytes = 0;
        self.push(record, sha256, line.len());
        self.name_last(disk, time)
    }

    /// Has the head name the last line, if there is one.
    pub(crate) fn name_last(&self, disk: &dyn Disk, time: i64) -> Result<(), SiteError> {
        match self.records.len() as u64 {
            0 => Ok(()),
            n => head::write(disk, n, self.last, time),
        }
    }

    /// The generation that a switch was announced to which is neither confirmed nor denied.
    pub(crate) fn open_switch(&self) -> Option<GenerationNumber> {
        self.records.iter().rev().find_map(|r| match r.event {
            Event::Switch { to, .. } => Some(Some(to)),
            Event::Switched { .. } | Event::NotSwitched { .. } => Some(None),
            _ => None,
        })?
    }

    /// What the log says of the site, given the generation that `current` names.
    pub fn state(&self, current: Option<GenerationNumber>) -> Result<SiteState, SiteError> {
        let mut state = SiteState::default();
        for record in &self.records {
            state.apply(&record.event);
        }
        if let Some(pending) = state.pending.take_if(|p| Some(p.to) == current) {
            state.accept(&pending);
        }
        match current {
            Some(n) if !state.shown.contains(&n) => {
                let why = format!("it does not know generation {n}, which is current: lines are missing");
                Err(SiteError::damaged(layout::log(), why))
            }
            _ => Ok(state),
        }
    }
}

/// The line of a record, and its digest: that of the record's JSON before the digest is put into it.
fn line_of(record: &Record) -> Result<(Vec<u8>, Digest), String> {
    let sha256 = Digest::of(&serde_json::to_vec(record).map_err(|e| e.to_string())?);
    let mut line = serde_json::to_vec(&Line { record: record.clone(), line: sha256 }).map_err(|e| e.to_string())?;
    line.push(b'\n');
    Ok((line, sha256))
}

/// A line of text has no NUL; a last line that has one, or lacks its newline, is what a crash left of an append: its
/// first part, or all of it with holes. Anything else that does not verify was changed later.
fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n") || line.contains(&0)
}

/// A switch that was announced and neither confirmed nor denied.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    to: GenerationNumber,
    accepted: Vec<ReleaseRef>,
}

/// What decisions about the next release rest on; derived from the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteState {
    /// The policy that holds.
    pub policy: Option<Digest>,
    /// SHA-256 of its file.
    pub(crate) policy_sha256: Option<Digest>,
    /// The highest release of every stream, by epoch and sequence. It never falls.
    pub heads: BTreeMap<String, ReleaseRef>,
    /// Every release that ever came onto the site, in that order, each once.
    pub accepted: Vec<ReleaseRef>,
    /// Vetoes, withdrawals and revocations that statements taught.
    pub known: Learned,
    /// True where an earlier site's ledger was lost.
    pub lost: bool,
    /// No statement is believed to be younger than this: Unix seconds. It never falls.
    pub time_floor: i64,
    /// Time floors of releases that were let in and have not come yet.
    floors: BTreeMap<Digest, i64>,
    /// The highest number that a generation ever had.
    pub last_generation: Option<GenerationNumber>,
    /// Every generation that was ever current.
    shown: BTreeSet<GenerationNumber>,
    pending: Option<Pending>,
}

impl SiteState {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Policy { policy, sha256 } => {
                (self.policy, self.policy_sha256) = (Some(*policy), Some(*sha256));
            }
            Event::Switch { to, accepted, .. } => self.pending = Some(Pending { to: *to, accepted: accepted.clone() }),
            Event::Switched { to } => {
                if let Some(p) = self.pending.take_if(|p| p.to == *to) {
                    self.accept(&p);
                }
            }
            Event::NotSwitched { .. } => self.pending = None,
            Event::Init { lost, .. } => self.lost = *lost,
            Event::Learn { learned, .. } => self.known.add(learned),
            Event::Admit(a) => _ = self.floors.insert(a.release.release, a.time_floor),
            Event::Refuse { .. } | Event::Prune { .. } | Event::Gc { .. } => {}
        }
    }

    fn accept(&mut self, switch: &Pending) {
        self.shown.insert(switch.to);
        self.last_generation = self.last_generation.max(Some(switch.to));
        for release in &switch.accepted {
            let floor = self.floors.remove(&release.release).unwrap_or_default();
            self.time_floor = self.time_floor.max(floor);
            if !self.accepted.contains(release) {
                self.accepted.push(release.clone());
            }
            let order = |r: &ReleaseRef| (r.epoch, r.sequence);
            match self.heads.get(&release.stream) {
                Some(head) if order(head) >= order(release) => {}
                _ => {
                    self.heads.insert(release.stream.clone(), release.clone());
                }
            }
        }
    }

    /// Whether that release is on the site or was.
    pub fn has_accepted(&self, release: &Digest) -> bool {
        self.accepted.iter().any(|r| r.release == *release)
    }
}
