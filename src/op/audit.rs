//! An *audit* answers afterwards, from a site's records alone: what came, who vouched for it with what text, when it was
//! live, and whether the records still bear each other out.
//!
//! It decides nothing and changes nothing; it needs no blobs. Specified in `spec/audit.md`.

use crate::bundle::{Bundle, BundleError, Sealed};
use crate::class::{Class, Classified};
use crate::digest::Digest;
use crate::format::area::{self, Signed};
use crate::model::Described;
use crate::site::archive::Archive;
use crate::site::error::SiteError;
use crate::site::generation::{GenerationNumber, ShownRelease};
use crate::site::ledger::{Admission, Event, Kept, Ledger, Record, ReleaseRef};
use crate::trust::chain::PolicyChain;
use crate::trust::key::Fingerprint;
use crate::trust::order::{Learned, OrderState};
use crate::trust::report::Reason;
use crate::trust::sshsig::SshSig;
use crate::trust::statement::kind_of;
use crate::trust::{Policy, Subject, TrustError, verify};
use std::collections::{BTreeMap, BTreeSet};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The records cannot be read.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// An archived index is damaged.
    #[error("the archived index of release {release} cannot be read")]
    Archive {
        /// The release.
        release: Digest,
        /// Why.
        #[source]
        source: BundleError,
    },
}

impl Classified for AuditError {
    fn class(&self) -> Class {
        match self {
            AuditError::Site(e) => e.class(),
            AuditError::Archive { .. } => Class::Damaged,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            AuditError::Site(e) => e.hint(),
            AuditError::Archive { .. } => Some("restore ledger/archive from a backup or from the site itself".into()),
        }
    }
}

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
    fn holds(&self, at: i64) -> bool {
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

/// An artifact that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Item {
    /// Its kind.
    pub kind: crate::model::Kind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its architecture.
    pub arch: Option<String>,
    /// Where it is served, below a generation; `None` for images.
    pub place: Option<String>,
    /// Its own blob.
    pub digest: Digest,
}

/// A statement with its text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Told {
    /// Its kind.
    pub kind: String,
    /// Whose it is, by the policy of the time; `None` where it only was kept.
    pub owner: Option<String>,
    /// The key, as `ssh-keygen -l` shows it.
    pub key: Option<String>,
    /// Digest of its text.
    pub digest: Digest,
    /// The text; `None` where the archive lacks it.
    pub text: Option<String>,
    /// The line of the ledger that has it, for what came without a release.
    pub line: Option<u64>,
}

/// The answer about one release.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Answer {
    /// The release with its life.
    #[serde(flatten)]
    pub life: Life,
    /// What was found in it; empty where the release itself was asked for.
    pub items: Vec<Item>,
    /// Who vouched for it, and rejections and revocations that name it.
    pub statements: Vec<Told>,
}

/// Which releases brought `what`: a digest, a name, or a path as it is served. With `at`, only those live then.
pub fn why(archive: &Archive, what: &str, at: Option<i64>) -> Result<Vec<Answer>, AuditError> {
    let ledger = archive.ledger()?;
    let query = Query::parse(what);
    let mut out = Vec::new();
    for life in lives(&ledger.records) {
        if at.is_some_and(|at| !life.live.iter().any(|s| s.holds(at))) {
            continue;
        }
        let files = archive.release(&life.release.release)?;
        let items = items(&files, &life.release.release, &query)?;
        let vouched = life.admitted.iter().flat_map(|a| &a.admission.vouchers);
        let named = query.digest.is_some_and(|d| {
            life.release.release == d
                || vouched.into_iter().any(|v| v.statement == d)
                || speaks(&ledger, d, &life.release)
        });
        if !items.is_empty() || named {
            let statements = told(&ledger, &files, &life)?;
            out.push(Answer { life, items, statements });
        }
    }
    Ok(out)
}

/// What was asked for.
struct Query {
    digest: Option<Digest>,
    name: String,
    places: [String; 2],
}

impl Query {
    fn parse(what: &str) -> Query {
        let digest = |t: &str| Digest::from_hex(t.strip_prefix("sha256:").unwrap_or(t)).ok();
        let path = match what.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => what,
        };
        let path = path.rsplit_once("/current/").map_or(path, |(_, p)| p);
        let path = match path.rsplit_once("/generations/") {
            Some((_, p)) => p.split_once('/').map_or("", |(_, p)| p),
            None => path,
        };
        let path = path.trim_start_matches('/').trim_start_matches("current/");
        Query {
            // A registry's path names the blob that it is.
            digest: digest(what).or_else(|| what.contains('/').then(|| what.split('/').find_map(digest)).flatten()),
            name: what.to_owned(),
            places: [path.to_owned(), format!("www/{path}")],
        }
    }

    fn asks_for(&self, described: &Described) -> bool {
        let a = &described.artifact;
        if let Some(digest) = self.digest {
            return a.blobs.iter().any(|b| b.digest == digest);
        }
        let version = a.version.as_deref().unwrap_or_default();
        let names = [
            a.name.clone(),
            format!("{}-{version}", a.name),
            format!("{}={version}", a.name),
            format!("{}:{version}", a.name),
        ];
        let place = a.place().and_then(Result::ok);
        names.contains(&self.name)
            || a.label("origin") == Some(&self.name)
            || place.is_some_and(|p| self.places.iter().any(|want| want == p.as_str()))
    }
}

fn items(files: &[Vec<u8>], release: &Digest, query: &Query) -> Result<Vec<Item>, AuditError> {
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let damaged = |source| AuditError::Archive { release: *release, source };
    let bundle = Bundle::parse(Sealed::open(&first[..]).map_err(damaged)?, ()).map_err(damaged)?;
    let found = bundle.artifacts().map_err(damaged)?.into_iter().filter(|d| query.asks_for(d));
    let item = |d: Described| {
        let place = d.artifact.place().and_then(Result::ok).map(|p| p.as_str().to_owned());
        let digest = d.artifact.blobs.first()?.digest;
        let a = d.artifact;
        Some(Item { kind: a.kind, name: a.name, version: a.version, arch: a.arch, place, digest })
    };
    Ok(found.filter_map(item).collect())
}

/// Statements that the ledger itself keeps, with their lines.
fn kept(ledger: &Ledger) -> impl Iterator<Item = (u64, &Kept)> {
    ledger.records.iter().flat_map(|r| match &r.event {
        Event::Learn { statements, .. } => statements.iter().map(|s| (r.n, s)).collect::<Vec<_>>(),
        _ => Vec::new(),
    })
}

/// Whether the statement `digest` is kept in the ledger and names the release.
fn speaks(ledger: &Ledger, digest: Digest, release: &ReleaseRef) -> bool {
    kept(ledger).any(|(_, k)| Digest::of(k.text.as_bytes()) == digest && k.text.contains(&release.release.hex()))
}

fn told(ledger: &Ledger, files: &[Vec<u8>], life: &Life) -> Result<Vec<Told>, AuditError> {
    let mut texts: BTreeMap<Digest, String> = BTreeMap::new();
    for signed in statements(files, &life.release.release)? {
        texts.insert(signed.digest(), String::from_utf8_lossy(&signed.text).into_owned());
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for v in life.admitted.iter().flat_map(|a| &a.admission.vouchers) {
        if seen.insert((v.statement, v.key)) {
            out.push(Told {
                kind: v.kind.clone(),
                owner: Some(v.owner.clone()),
                key: Some(v.key.to_string()),
                digest: v.statement,
                text: texts.get(&v.statement).cloned(),
                line: None,
            });
        }
    }
    for (line, k) in kept(ledger).filter(|(_, k)| k.text.contains(&life.release.release.hex())) {
        let kind = kind_of(k.text.as_bytes()).map(|k| k.name()).unwrap_or_default();
        let (digest, text) = (Digest::of(k.text.as_bytes()), Some(k.text.clone()));
        let key = SshSig::parse(k.signature.as_bytes()).ok().map(|s| Fingerprint(Digest::of(&s.key_blob)).to_string());
        out.push(Told { kind: kind.into(), owner: None, key, digest, text, line: Some(line) });
    }
    let rank = |t: &Told| ["seal", "approve", "permit", "reject", "revoke"].iter().position(|k| *k == t.kind);
    out.sort_by_cached_key(|t| (rank(t), t.line, t.owner.clone()));
    Ok(out)
}

/// The statements inside the archived files of a release.
pub(crate) fn statements(files: &[Vec<u8>], release: &Digest) -> Result<Vec<Signed>, AuditError> {
    let mut out = Vec::new();
    for file in files {
        let sealed = Sealed::open(&file[..]).map_err(|source| AuditError::Archive { release: *release, source })?;
        out.extend(sealed.statements().iter().cloned());
    }
    Ok(out)
}

/// What [`check`] found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Checked {
    /// Lines of the ledger; each follows the one before.
    pub lines: u64,
    /// `line` of the last: to compare with a receipt.
    pub last: Option<Digest>,
    /// Policies, each signed by the admins of the one before.
    pub policies: u64,
    /// Times that a release was let in, each with its statements in the archive.
    pub admissions: u64,
    /// Signatures that were checked again.
    pub signatures: u64,
    /// Files of evidence, hashed again.
    pub evidence: u64,
    /// What does not hold.
    pub problems: Vec<String>,
}

/// Checks what the ledger rests on: its chain (which refuses to be read if broken), the policies and their succession, and
/// the statements of every release under the policy of the time.
pub fn check(archive: &Archive) -> Result<Checked, AuditError> {
    let ledger = archive.ledger()?;
    let mut out = Checked { lines: ledger.records.len() as u64, last: Some(ledger.last()), ..Checked::default() };
    let mut chain: Option<PolicyChain> = None;
    let mut known = OrderState::default();
    for record in &ledger.records {
        let mut wrong = |why: String| out.problems.push(format!("line {}: {why}", record.n));
        match &record.event {
            Event::Policy { policy, sha256 } => {
                match next_policy(archive, chain.as_ref(), policy, sha256, &known)? {
                    Ok(next) => chain = Some(next),
                    Err(why) => wrong(format!("policy {policy}: {why}")),
                }
                out.policies += 1;
            }
            Event::Learn { learned, statements } => {
                for k in statements {
                    out.signatures += 1;
                    let signed = Signed { text: k.text.clone().into(), signature: k.signature.clone().into() };
                    if !chain.as_ref().is_some_and(|c| is_signed(c.policy(), &signed, None)) {
                        wrong(format!("the signature of statement {} does not hold", signed.digest()));
                    }
                }
                known.learn(learned);
            }
            Event::Admit(a) => {
                out.admissions += 1;
                let files = archive.release(&a.release.release)?;
                match statements(&files, &a.release.release) {
                    Err(e) => wrong(e.to_string()),
                    Ok(all) => {
                        for v in &a.vouchers {
                            out.signatures += 1;
                            let holds = |s: &&Signed| s.digest() == v.statement;
                            let by = |s: &Signed| chain.as_ref().is_some_and(|c| is_signed(c.policy(), s, Some(v.key)));
                            if !all.iter().filter(holds).any(by) {
                                wrong(format!(
                                    "the {} {} of {} is not in the archive as it was",
                                    v.kind, v.statement, v.owner
                                ));
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    for digest in archive.evidence()? {
        out.evidence += 1;
        if Digest::of(&archive.evidence_bytes(&digest)?) != digest {
            out.problems.push(format!("evidence {digest}: its file was changed"));
        }
    }
    Ok(out)
}

fn next_policy(
    archive: &Archive,
    before: Option<&PolicyChain>,
    policy: &Digest,
    sha256: &Digest,
    known: &OrderState,
) -> Result<Result<PolicyChain, String>, SiteError> {
    let Some(bytes) = archive.policy(policy)? else { return Ok(Err("its file is missing".into())) };
    if Digest::of(&bytes) != *sha256 {
        return Ok(Err("its file was changed".into()));
    }
    let step = || -> Result<PolicyChain, String> {
        let signed = area::decode(&bytes).map_err(|e| e.to_string())?;
        let next = match before {
            Some(before) => before.step(&signed, known),
            None => PolicyChain::start(&signed),
        };
        let next = next.map_err(|e| e.to_string())?;
        if next.policy().digest() == *policy { Ok(next) } else { Err("its file holds another one".into()) }
    };
    Ok(step())
}

/// Whether a key of the policy (that key, if one is given) made the signature.
fn is_signed(policy: &Policy, signed: &Signed, key: Option<Fingerprint>) -> bool {
    let (Ok(signature), Some(kind)) = (SshSig::parse(&signed.signature), kind_of(&signed.text)) else { return false };
    let Some(role) = policy.role(&signature.key_blob) else { return false };
    key.is_none_or(|k| k == role.key.fingerprint())
        && signature.verify(&role.key, &kind.namespace(), &signed.text, policy.token_rules()).is_ok()
}

/// Something that a site shows and should not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Alarm {
    /// The release.
    pub release: ReleaseRef,
    /// Why: `vetoed`, `revoked`, `rests-on-revoked-key`.
    pub kind: &'static str,
    /// In words.
    pub why: String,
}

/// What `shown` releases should not be shown for: vetoes and revocations that came after them, and keys called back since
/// without which they would not have come.
pub fn alarms(
    archive: &Archive,
    shown: &[ShownRelease],
    policy: &Policy,
    state: &OrderState,
) -> Result<Vec<Alarm>, AuditError> {
    let ledger = archive.ledger()?;
    let lives = lives(&ledger.records);
    let mut out = Vec::new();
    for ShownRelease { release, .. } in shown {
        let id = release.release;
        let mut alarm = |kind, why: String| out.push(Alarm { release: release.clone(), kind, why });
        for veto in state.known.standing(id) {
            let comment = veto.comment.as_ref().map(|c| format!(": {c}")).unwrap_or_default();
            alarm("vetoed", format!("{} has rejected it (statement {}){comment}", veto.owner, veto.statement.short()));
        }
        if state.known.revoked_releases.contains(&id) || policy.terms().revoked_releases.contains(&id) {
            alarm("revoked", "the admins have revoked it".into());
        }
        if let Some(life) = lives.iter().find(|l| l.release == *release) {
            for key in rests_on(archive, life, policy, &state.known)? {
                alarm("rests-on-revoked-key", format!("without the revoked key {key} it would not have come"));
            }
        }
    }
    Ok(out)
}

/// The revoked keys among those that vouched for a release, if it would not have come without them.
fn rests_on(archive: &Archive, life: &Life, policy: &Policy, known: &Learned) -> Result<Vec<Fingerprint>, AuditError> {
    let Some(Admitted { admission, time, .. }) = life.admitted.last() else { return Ok(Vec::new()) };
    let id = life.release.release;
    let mut revoked = Learned { revoked_keys: known.revoked_keys.clone(), ..Learned::default() };
    revoked.revoked_keys.extend(policy.terms().revoked_keys.iter().cloned());
    let hit = |key: &Fingerprint| revoked.revoked_keys.iter().any(|r| r.key == *key && !r.except.contains(&id));
    let keys: BTreeSet<Fingerprint> = admission.vouchers.iter().map(|v| v.key).filter(hit).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let statements = statements(&archive.release(&id)?, &id)?;
    // By the policy of then where it is there: what the admins asked for since is not the question.
    let then = archive.policy(&admission.policy)?;
    let then = then.and_then(|b| area::decode(&b).ok()).and_then(|s| PolicyChain::start(&s).ok());
    let then = then.as_ref().map_or(policy, PolicyChain::policy);
    let nothing_came = OrderState { known: revoked, ..OrderState::default() };
    let subject = Subject { release_id: id, carriage_id: None };
    match verify(&subject, &statements, then, &nothing_came, *time) {
        Err(TrustError::Refused(r)) if r.reasons.iter().any(|r| matches!(r, Reason::NoSeal | Reason::NotEnough(_))) => {
            Ok(keys.into_iter().collect())
        }
        _ => Ok(Vec::new()),
    }
}
