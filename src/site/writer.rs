//! A *writer* is a site whose lock is held: the only one that changes it.
//!
//! Taking the lock mends what an interrupted run left. Specified in `spec/site.md`, sections "Lock" and "Mending".

use crate::digest::Digest;
use crate::fs::disk::{Guard, Node, Place, remove_all};
use crate::limits;
use crate::site::error::SiteError;
use crate::site::generation::{self, GenerationNumber};
use crate::site::init::{PolicyFile, put};
use crate::site::ledger::{Admission, Event, Kept, Ledger, ReleaseRef};
use crate::site::stage::Batch;
use crate::site::{Site, layout};
use crate::trust::order::Learned;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files that one release may have in the archive.
const ARCHIVED_FILES: u32 = 1000;
/// Characters of a refusal's message that the ledger keeps.
const WHY_CHARS: usize = 4000;
/// Entries of what was learned in one line: the largest, a key with its exceptions, has 17 KB.
const LEARNED_A_LINE: usize = 16;
/// Statements in one line: each has at most 32 KiB, which JSON may double.
const STATEMENTS_A_LINE: usize = 8;

/// A site, for changing.
pub struct Writer {
    site: Site,
    ledger: Mutex<Ledger>,
    _guard: Guard,
}

impl std::ops::Deref for Writer {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Writer {
    pub(super) fn take(site: Site, now: i64) -> Result<Writer, SiteError> {
        let locked = || SiteError::Locked(site.path().to_owned());
        let guard = site.disk().lock(&layout::lock())?.ok_or_else(locked)?;
        let ledger = Mutex::new(Ledger::read(site.disk())?);
        let writer = Writer { site, ledger, _guard: guard };
        writer.clear_staging()?;
        writer.settle(now)?;
        Ok(writer)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn append(&self, now: i64, event: Event) -> Result<(), SiteError> {
        self.ledger().append(self.disk(), now, event)
    }

    /// Removes what cannot be gone on with. Complete blobs stay: a batch hashes them again before it relies on them.
    fn clear_staging(&self) -> Result<(), SiteError> {
        for (name, _) in self.disk().list(&layout::staging())? {
            let text = name.to_string_lossy();
            if ["gen-", "old-", "new-"].iter().any(|p| text.starts_with(p)) || text.ends_with(".part") {
                remove_all(self.disk(), &layout::staging().child(&name))?;
            }
        }
        Ok(())
    }

    /// Says in the ledger how an announced switch ended, and removes generations that were never current.
    pub(super) fn settle(&self, now: i64) -> Result<(), SiteError> {
        let current = generation::current(self.disk())?;
        let open = self.ledger().open_switch();
        // The state is derived before anything is touched: it refuses a ledger that does not know `current`.
        let last = self.ledger().state(current)?.last_generation;
        if let Some(to) = open {
            let event = if current == Some(to) { Event::Switched { to } } else { Event::NotSwitched { to } };
            self.append(now, event)?;
        }
        for n in generation::list(self.disk())? {
            if Some(n) > last {
                self.remove_generation(n)?;
            }
        }
        Ok(())
    }

    /// Takes a generation's name away at once, and its files after that.
    pub(super) fn remove_generation(&self, n: GenerationNumber) -> Result<(), SiteError> {
        let leaving = layout::leaving(n);
        remove_all(self.disk(), &leaving)?;
        self.disk().rename(&layout::generation(n), &leaving)?;
        Ok(remove_all(self.disk(), &leaving)?)
    }

    /// Starts a batch of blobs; `time` (Unix seconds) is what they carry as their time.
    pub fn batch(&self, time: i64) -> Result<Batch<'_>, SiteError> {
        Batch::new(self.site.disk.clone(), time)
    }

    /// Makes generation `n` current again; a no-op where it is. The heads of streams do not fall by it.
    pub fn rollback(&self, n: GenerationNumber, now: i64) -> Result<(), SiteError> {
        self.settle(now)?;
        let current = generation::current(self.disk())?;
        let shows = generation::read(self.disk(), n)?.releases;
        if current == Some(n) {
            return Ok(());
        }
        self.switch(Event::Switch { from: current, to: n, rollback: true, accepted: Vec::new(), shows }, n, now)
    }

    /// The switch: announced, done by one rename, confirmed.
    pub(super) fn switch(&self, announced: Event, to: GenerationNumber, now: i64) -> Result<(), SiteError> {
        let disk = self.disk();
        self.append(now, announced)?;
        let fresh = layout::fresh("current");
        remove_all(disk, &fresh)?;
        disk.make_link(Path::new(&format!("generations/{to}")), &fresh)?;
        disk.sync(&[layout::staging()])?;
        disk.rename(&fresh, &layout::current())?;
        disk.sync(&[Place::root(), layout::staging()])?;
        self.append(now, Event::Switched { to })
    }

    /// Stores a policy and makes it the one that holds. Whether it may is the caller's question.
    pub fn policy_put(&self, policy: PolicyFile<'_>, now: i64) -> Result<(), SiteError> {
        let have = policy.bytes.len() as u64;
        if have > limits::CONFIGURATION {
            return Err(SiteError::TooLarge { what: "the policy", have, limit: limits::CONFIGURATION });
        }
        put(self.disk(), &layout::policy(&policy.digest), "policy", policy.bytes, now)?;
        self.append(now, Event::Policy { policy: policy.digest, sha256: Digest::of(policy.bytes) })
    }

    /// Records that a bundle was refused. `class` is [`crate::class::Class::name`] of the refusal.
    pub fn record_refusal(
        &self,
        release: Option<ReleaseRef>,
        class: &str,
        why: &str,
        now: i64,
    ) -> Result<(), SiteError> {
        let why = why.chars().take(WHY_CHARS).collect();
        self.append(now, Event::Refuse { release, class: class.to_owned(), why })
    }

    /// Records what statements taught: `learned`, without what is known already, and the statements that said it. Nothing
    /// new, no line.
    pub fn record_learned(&self, learned: &Learned, statements: Vec<Kept>, now: i64) -> Result<(), SiteError> {
        let known = self.state()?.known;
        let fresh = learned.beyond(&known);
        if fresh.is_empty() {
            return Ok(());
        }
        let mut statements = statements.chunks(STATEMENTS_A_LINE);
        for learned in fresh.pieces(LEARNED_A_LINE) {
            let statements = statements.next().unwrap_or_default().to_vec();
            self.append(now, Event::Learn { learned, statements })?;
        }
        for rest in statements {
            self.append(now, Event::Learn { learned: Learned::default(), statements: rest.to_vec() })?;
        }
        Ok(())
    }

    /// Records why a release is let in, before it is published.
    pub fn record_admission(&self, admission: Admission, now: i64) -> Result<(), SiteError> {
        self.append(now, Event::Admit(admission))
    }

    /// Keeps the index of a release for ever. The same bytes again are one file; other bytes of the same release (other
    /// statements, another carriage) are kept beside it.
    pub fn archive_put(&self, release: &Digest, bytes: &[u8], now: i64) -> Result<(), SiteError> {
        let want = Digest::of(bytes);
        for nth in 1..ARCHIVED_FILES {
            let place = layout::archived(release, nth);
            match self.disk().stat(&place)? {
                None => return put(self.disk(), &place, "archive", bytes, now),
                Some(s) if s.node == Node::File && s.len == bytes.len() as u64 => {
                    if super::blobs::hash(self.disk(), &place)?.digest == want {
                        return Ok(());
                    }
                }
                Some(_) => {}
            }
        }
        let (have, limit) = (u64::from(ARCHIVED_FILES), u64::from(ARCHIVED_FILES - 1));
        Err(SiteError::TooLarge { what: "the archive of one release (in files)", have, limit })
    }

    /// Keeps a file that a statement names, for ever; says whether it was not there.
    pub fn evidence_put(&self, digest: &Digest, bytes: &[u8], now: i64) -> Result<bool, SiteError> {
        let have = bytes.len() as u64;
        if have > limits::EVIDENCE {
            return Err(SiteError::TooLarge { what: "a file of evidence", have, limit: limits::EVIDENCE });
        }
        let place = layout::evidence(digest);
        if self.disk().stat(&place)?.is_some() {
            return Ok(false);
        }
        put(self.disk(), &place, "evidence", bytes, now)?;
        Ok(true)
    }
}
