//! To *verify* is to decide whether a release may come in: who sealed it, who approved it, what forbids it.
//!
//! This is the only function that decides so. It sees statements and digests, never an index. Specified in `spec/trust.md`,
//! section "Verification"; the numbers in comments are its steps.

use super::TrustError;
use super::key::Fingerprint;
use super::order::{Learned, Order, OrderState, Veto, Withdrawal, order};
use super::policy::{Policy, RESERVED_GROUPS, RevokedKey, Role, Stream};
use super::report::{GroupCount, Outcome, Reason, Refusal, Report};
use super::sshsig::{SigError, SshSig};
use super::statement::{
    Approve, Claims, Identity, Permit, Reject, Revoked, Seal, Signed, Statement, StatementKind, Terms,
};
use super::text::show_time;
use crate::digest::Digest;
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be verified: digests of roots that the caller computed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The release id.
    pub release_id: Digest,
    /// The carriage id; `None` where only the release is at hand, and then any seal of it will do.
    pub carriage_id: Option<Digest>,
}

/// Keeps the values below from being made anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proof;

/// A seal that counts. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBy {
    /// What it says.
    pub seal: Seal,
    /// Digest of its text.
    pub statement: Digest,
    /// Whose key made it.
    pub owner: String,
    /// The key.
    pub key: Fingerprint,
    proof: Proof,
}

impl SealedBy {
    /// Compares what the seal says with what the release root says, once that is open. The number of removed artifacts is
    /// not compared: a root does not know it.
    pub fn agrees(&self, root: &Identity, claims: &Claims) -> Result<(), TrustError> {
        let (said, seal) = (&self.seal.claims, &self.seal);
        for (what, same) in [
            ("release", seal.identity.release == root.release),
            ("stream", seal.identity.stream == root.stream),
            ("place", seal.identity.place == root.place),
            ("version", said.version == claims.version),
            ("content", said.content == claims.content),
            ("total", said.bytes == claims.bytes),
        ] {
            if !same {
                return Err(TrustError::Claims(what));
            }
        }
        Ok(())
    }
}

/// A release that may come in. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who sealed it, with what text.
    pub sealed: SealedBy,
    /// The required groups with the owners that were counted.
    pub approvals: Vec<GroupCount>,
    /// What importing it does to its stream.
    pub order: Order,
    /// What became of each statement.
    pub reports: Vec<Report>,
    /// What a person should know besides.
    pub notes: Vec<String>,
    /// What the site remembers of these statements, whatever happens next.
    pub learned: Learned,
    /// When the youngest statement that was counted was made: Unix seconds.
    pub issued: i64,
    proof: Proof,
}

impl Verdict {
    /// What the site remembers once the import is committed.
    pub fn commit(&self, state: &mut OrderState, now: i64) {
        state.learn(&self.learned);
        state.accept(&self.sealed.seal.identity, self.order, self.issued, now);
    }
}

/// Decides whether `subject` may come in at `now` (Unix seconds), on what `statements` say, under `policy`, after `state`.
///
/// The order of `statements` makes no difference. A refusal carries what the site learns all the same.
pub fn verify(
    subject: &Subject,
    statements: &[Signed],
    policy: &Policy,
    state: &OrderState,
    now: i64,
) -> Result<Verdict, TrustError> {
    let mut scale = Scale::new(subject, policy, state, now);
    let voices = scale.listen(statements);
    decide(scale, &voices)
}

/// Steps 6 to 13: what the voices come to.
fn decide(mut scale: Scale<'_>, voices: &[Voice<'_>]) -> Result<Verdict, TrustError> {
    let (policy, state) = (scale.policy, scale.state);
    scale.hear_revocations(voices);
    scale.hear_rejections(voices);
    let sealed = scale.choose_seal(voices);
    scale.forbidden();
    let Some(sealed) = sealed else {
        scale.reasons.insert(0, Reason::NoSeal);
        return Err(scale.refuse(None, Vec::new()));
    };
    let Some(stream) = policy.stream(&sealed.seal.identity.stream) else {
        return Err(scale.refuse(Some(sealed), Vec::new())); // a seal counts only for a stream of the policy
    };
    let approvals = scale.count_approvals(voices, &sealed, stream);
    let permits = scale.count_permits(voices, &sealed);
    let decided = order(&sealed.seal.identity, stream, state, |from| permits.contains(&from));
    match decided {
        Ok(order) if scale.reasons.is_empty() => Ok(scale.verdict(sealed, approvals, order)),
        Ok(_) => Err(scale.refuse(Some(sealed), approvals)),
        Err(refusal) => {
            scale.reasons.push(Reason::Order(refusal));
            Err(scale.refuse(Some(sealed), approvals))
        }
    }
}

/// A statement that a key of the policy really made.
#[derive(Clone)]
struct Voice<'a> {
    index: usize,
    statement: Statement,
    digest: Digest,
    role: &'a Role,
    key: Fingerprint,
}

struct Scale<'a> {
    subject: &'a Subject,
    policy: &'a Policy,
    state: &'a OrderState,
    /// The local clock, or the time floor where that is later.
    now: i64,
    reports: Vec<Report>,
    notes: Vec<String>,
    learned: Learned,
    /// What the site knew and what it learned now.
    known: Learned,
    reasons: Vec<Reason>,
    issued: i64,
}

impl<'a> Scale<'a> {
    fn new(subject: &'a Subject, policy: &'a Policy, state: &'a OrderState, now: i64) -> Self {
        Scale {
            subject,
            policy,
            state,
            now: now.max(state.time_floor),
            reports: Vec::new(),
            notes: Vec::new(),
            learned: Learned::default(),
            known: state.known.clone(),
            reasons: Vec::new(),
            issued: 0,
        }
    }

    fn mark(&mut self, voice: &Voice<'_>, outcome: Outcome) {
        if let Some(report) = self.reports.get_mut(voice.index) {
            report.outcome = outcome;
        }
    }

    /// Steps 1 to 5: who speaks. In the order of their texts and keys, so that the order of arrival makes no difference.
    fn listen(&mut self, statements: &[Signed]) -> Vec<Voice<'a>> {
        let mut voices: Vec<Voice<'a>> = Vec::new();
        for (index, signed) in statements.iter().enumerate() {
            let mut report = Report::unweighed(index);
            report.statement = signed.digest();
            match self.hear(signed, &mut report) {
                Ok((statement, role)) => {
                    report.kind = Some(statement.kind());
                    let (digest, key) = (report.statement, role.key.fingerprint());
                    voices.push(Voice { index, statement, digest, role, key });
                }
                Err(outcome) => report.outcome = outcome,
            }
            self.reports.push(report);
        }
        voices.sort_by_key(|v| (v.digest, v.key, v.index));
        let mut seen = BTreeSet::new();
        let (first, again): (Vec<_>, Vec<_>) = voices.into_iter().partition(|v| seen.insert((v.digest, v.key)));
        for voice in &again {
            self.mark(voice, Outcome::Duplicate);
        }
        first
    }

    fn hear(&self, signed: &Signed, report: &mut Report) -> Result<(Statement, &'a Role), Outcome> {
        if signed.text.len() > limits::STATEMENT {
            return Err(Outcome::TooLong);
        }
        let signature = SshSig::parse(&signed.signature).map_err(Outcome::BadSignature)?;
        let role = self.policy.role(&signature.key_blob).ok_or(Outcome::UnknownKey)?;
        report.owner = Some(role.owner.clone());
        report.key = Some(role.key.fingerprint());
        Ok((self.authenticate(signed, &signature, role)?, role))
    }

    fn authenticate(&self, signed: &Signed, signature: &SshSig, role: &Role) -> Result<Statement, Outcome> {
        let Some(kind) = StatementKind::from_namespace(&signature.namespace) else {
            let (have, want) = (signature.namespace.clone(), "pouch/v1/KIND".into());
            return Err(Outcome::BadSignature(SigError::Namespace { have, want }));
        };
        signature
            .verify(&role.key, &kind.namespace(), &signed.text, self.policy.token_rules())
            .map_err(Outcome::BadSignature)?;
        match kind {
            StatementKind::Policy => Err(Outcome::Policy),
            kind => Statement::parse(kind, &signed.text).map_err(Outcome::BadText),
        }
    }

    /// Whether a key was called back. `release`: what it speaks about, for the exceptions; `None` for acts of the admins.
    fn is_revoked(&self, key: Fingerprint, stream: Option<&str>, release: Option<Digest>) -> bool {
        let policy = self.policy.terms().revoked_keys.iter();
        let mut hits = policy.chain(&self.known.revoked_keys).filter(|r| r.key == key).peekable();
        if hits.peek().is_none() {
            return false;
        }
        let Some(release) = release else { return true };
        let accepted = stream.is_some_and(|s| self.state.has_accepted(s, release));
        !accepted && !hits.all(|r| r.except.contains(&release))
    }

    fn is_threshold(&self, owners: &BTreeSet<&str>) -> bool {
        u64::try_from(owners.len()).is_ok_and(|n| n >= self.policy.terms().admins.threshold)
    }

    /// Step 6. All are weighed by what was known before, so that two admins who revoke each other both succeed, in any order.
    fn hear_revocations(&mut self, voices: &[Voice<'_>]) {
        let mut tally: BTreeMap<&Revoked, BTreeSet<&str>> = BTreeMap::new();
        for voice in voices {
            let Statement::Revoke(revoke) = &voice.statement else { continue };
            if self.is_revoked(voice.key, None, None) {
                self.mark(voice, Outcome::KeyRevoked);
                continue;
            }
            if let Revoked::Statement(statement) = &revoke.what {
                let by = Some(voice.role.owner.clone());
                self.learned.withdrawals.insert(Withdrawal { statement: *statement, by });
            } else if !voice.role.admin {
                self.mark(voice, Outcome::NoRight("revoke"));
                continue;
            }
            if voice.role.admin {
                tally.entry(&revoke.what).or_default().insert(&voice.role.owner);
            }
            self.mark(voice, Outcome::Counts);
        }
        for (what, owners) in tally {
            if !self.is_threshold(&owners) {
                continue;
            }
            match what {
                Revoked::Key(key, except) => {
                    _ = self.learned.revoked_keys.insert(RevokedKey { key: *key, except: except.clone() })
                }
                Revoked::Release(release) => _ = self.learned.revoked_releases.insert(*release),
                Revoked::Statement(statement) => {
                    _ = self.learned.withdrawals.insert(Withdrawal { statement: *statement, by: None })
                }
            }
        }
        self.known.add(&self.learned);
    }

    /// Step 7. Rejections of any release are learned; whether one stands is asked later.
    fn hear_rejections(&mut self, voices: &[Voice<'_>]) {
        for voice in voices {
            let Statement::Reject(reject) = &voice.statement else { continue };
            let outcome = if self.is_revoked(voice.key, None, None) {
                Outcome::KeyRevoked
            } else if !self.may_reject(voice.role, reject) {
                Outcome::NoRight("reject for that group and stream")
            } else {
                self.learned.vetoes.insert(Veto {
                    release: reject.identity.release,
                    statement: voice.digest,
                    owner: voice.role.owner.clone(),
                    comment: reject.terms.comment.clone(),
                });
                match self.known.is_withdrawn(voice.digest, &voice.role.owner) {
                    true => Outcome::Withdrawn,
                    false => Outcome::Counts,
                }
            };
            self.mark(voice, outcome);
        }
        self.known.add(&self.learned);
    }

    fn may_reject(&self, role: &Role, reject: &Reject) -> bool {
        let Some(stream) = self.policy.stream(&reject.identity.stream) else { return false };
        let [admins, sealers] = RESERVED_GROUPS;
        match reject.group.as_str() {
            g if g == admins => role.admin,
            g if g == sealers => role.seals.contains(&stream.name),
            g => role.group.as_deref() == Some(g) && stream.requires.iter().any(|r| r == g),
        }
    }

    /// What every seal, approval and permit must pass besides its own rules (step 8).
    fn passes(&self, voice: &Voice<'_>, stream: &str, release: Option<Digest>, accepted: bool) -> Option<Outcome> {
        let terms = voice.statement.terms();
        if self.is_revoked(voice.key, Some(stream), release) {
            return Some(Outcome::KeyRevoked);
        }
        if self.known.is_withdrawn(voice.digest, &voice.role.owner) {
            return Some(Outcome::Withdrawn);
        }
        if !terms.sites.is_empty() && self.state.site.as_ref().is_some_and(|here| !terms.sites.contains(here)) {
            return Some(Outcome::Elsewhere);
        }
        terms.not_after.filter(|end| *end < self.now && !accepted).map(Outcome::Expired)
    }

    /// Notes about a statement that counts.
    fn counted(&mut self, voice: &Voice<'_>) {
        let Terms { issued, policy, sites, .. } = voice.statement.terms();
        let what = format!("the {} of {}", voice.statement.kind(), voice.role.owner);
        if *issued > self.now.saturating_add(86_400) {
            self.notes.push(format!("{what} was issued {}, which is still to come here", show_time(*issued)));
        }
        if policy.is_some_and(|p| p != self.policy.digest()) {
            self.notes.push(format!("{what} had another policy in mind than the one in force"));
        }
        if self.state.site.is_none() && !sites.is_empty() {
            self.notes.push(format!("{what} counts only at {}", sites.join(", ")));
        }
        self.issued = self.issued.max(*issued);
        self.mark(voice, Outcome::Counts);
    }

    /// Step 9: of the seals that count, the youngest; of those, the one with the smallest digest.
    fn choose_seal(&mut self, voices: &[Voice<'_>]) -> Option<SealedBy> {
        let mut best: Option<(&Voice<'_>, &Seal)> = None;
        for voice in voices {
            let Statement::Seal(seal) = &voice.statement else { continue };
            if let Some(outcome) = self.weigh_seal(voice, seal) {
                self.mark(voice, outcome);
            } else if best.is_none_or(|(_, b)| seal.terms.issued > b.terms.issued) {
                if let Some((other, _)) = best.replace((voice, seal)) {
                    self.mark(other, Outcome::NotNeeded);
                }
            } else {
                self.mark(voice, Outcome::NotNeeded);
            }
        }
        let (voice, seal) = best?;
        self.counted(voice);
        let (statement, owner, key) = (voice.digest, voice.role.owner.clone(), voice.key);
        Some(SealedBy { seal: seal.clone(), statement, owner, key, proof: Proof })
    }

    fn weigh_seal(&self, voice: &Voice<'_>, seal: &Seal) -> Option<Outcome> {
        let identity = &seal.identity;
        if identity.release != self.subject.release_id {
            return Some(Outcome::OtherRelease);
        }
        if self.subject.carriage_id.is_some_and(|c| c != seal.carriage) {
            return Some(Outcome::OtherCarriage);
        }
        if !voice.role.seals.contains(&identity.stream) {
            return Some(Outcome::NoRight("seal for that stream"));
        }
        let accepted = self.state.has_accepted(&identity.stream, identity.release);
        self.passes(voice, &identity.stream, Some(identity.release), accepted)
    }

    /// Step 10: what forbids the release whoever vouches for it.
    fn forbidden(&mut self) {
        let release = self.subject.release_id;
        let policy = &self.policy.terms().revoked_releases;
        if policy.contains(&release) || self.known.revoked_releases.contains(&release) {
            self.reasons.push(Reason::ReleaseRevoked);
        }
        for veto in self.known.standing(release) {
            self.reasons.push(Reason::Vetoed(veto.clone()));
        }
    }

    /// Step 11: distinct owners for each required group.
    fn count_approvals(&mut self, voices: &[Voice<'_>], sealed: &SealedBy, stream: &Stream) -> Vec<GroupCount> {
        let mut owners: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for voice in voices {
            let Statement::Approve(approve) = &voice.statement else { continue };
            if let Some(outcome) = self.weigh_approval(voice, approve, sealed, stream) {
                self.mark(voice, outcome);
            } else if owners.entry(&approve.group).or_default().insert(voice.role.owner.clone()) {
                self.counted(voice);
            } else {
                self.mark(voice, Outcome::AlreadyCounted);
            }
        }
        let mut counts = Vec::new();
        for group in stream.requires.iter().filter_map(|name| self.policy.group(name)) {
            let owners: Vec<String> = owners.remove(group.name.as_str()).unwrap_or_default().into_iter().collect();
            let count = GroupCount { group: group.name.clone(), need: group.quorum.threshold, owners };
            if !count.is_met() {
                self.reasons.push(Reason::NotEnough(count.clone()));
            }
            counts.push(count);
        }
        counts
    }

    fn weigh_approval(
        &self,
        voice: &Voice<'_>,
        approve: &Approve,
        sealed: &SealedBy,
        stream: &Stream,
    ) -> Option<Outcome> {
        let identity = &approve.identity;
        if identity.release != self.subject.release_id {
            return Some(Outcome::OtherRelease);
        }
        if voice.role.group.as_ref() != Some(&approve.group) {
            return Some(Outcome::NoRight("approve for that group"));
        }
        if !stream.requires.contains(&approve.group) {
            return Some(Outcome::NotNeeded);
        }
        if stream.sealers.iter().any(|m| m.owner == voice.role.owner) {
            return Some(Outcome::SealersDoNotApprove);
        }
        // The release id fixes all of this, so that one of the two texts shows people something else than what they sign.
        if *identity != sealed.seal.identity || approve.claims != sealed.seal.claims {
            return Some(Outcome::Disagrees);
        }
        let accepted = self.state.has_accepted(&identity.stream, identity.release);
        self.passes(voice, &identity.stream, Some(identity.release), accepted)
    }

    /// Step 12: from which releases the admins let the stream go to this one.
    fn count_permits(&mut self, voices: &[Voice<'_>], sealed: &SealedBy) -> BTreeSet<Option<Digest>> {
        let mut tally: BTreeMap<Option<Digest>, BTreeSet<&str>> = BTreeMap::new();
        for voice in voices {
            let Statement::Permit(permit) = &voice.statement else { continue };
            match self.weigh_permit(voice, permit, sealed) {
                Some(outcome) => self.mark(voice, outcome),
                None => {
                    self.counted(voice);
                    tally.entry(permit.from).or_default().insert(&voice.role.owner);
                }
            }
        }
        tally.into_iter().filter(|(_, owners)| self.is_threshold(owners)).map(|(from, _)| from).collect()
    }

    fn weigh_permit(&self, voice: &Voice<'_>, permit: &Permit, sealed: &SealedBy) -> Option<Outcome> {
        let identity = &sealed.seal.identity;
        if permit.to != identity.release {
            return Some(Outcome::OtherRelease);
        }
        if !voice.role.admin {
            return Some(Outcome::NoRight("permit"));
        }
        if permit.stream != identity.stream || permit.place != identity.place {
            return Some(Outcome::Disagrees);
        }
        self.passes(voice, &permit.stream, None, false)
    }

    fn verdict(self, sealed: SealedBy, approvals: Vec<GroupCount>, order: Order) -> Verdict {
        let Scale { reports, notes, learned, issued, .. } = self;
        Verdict { sealed, approvals, order, reports, notes, learned, issued, proof: Proof }
    }

    fn refuse(self, sealed: Option<SealedBy>, approvals: Vec<GroupCount>) -> TrustError {
        let Scale { reasons, reports, notes, learned, subject, .. } = self;
        let release = subject.release_id;
        TrustError::Refused(Box::new(Refusal { release, reasons, sealed, approvals, reports, notes, learned }))
    }
}

#[cfg(test)]
mod oracle;
