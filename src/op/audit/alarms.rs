//! *Alarms* are reasons, come to light since, for which a release that is live should not be.
//!
//! They stop nothing: people decide. Specified in `spec/audit.md`.

use super::{Admitted, Life, lives, statements};
use crate::format::area;
use crate::op::records::RecordsError;
use crate::site::archive::Archive;
use crate::site::generation::ShownRelease;
use crate::site::ledger::ReleaseRef;
use crate::trust::chain::PolicyChain;
use crate::trust::key::Fingerprint;
use crate::trust::order::{Learned, OrderState};
use crate::trust::report::Reason;
use crate::trust::{Policy, Subject, TrustError, verify};
use std::collections::BTreeSet;

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
) -> Result<Vec<Alarm>, RecordsError> {
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
fn rests_on(
    archive: &Archive,
    life: &Life,
    policy: &Policy,
    known: &Learned,
) -> Result<Vec<Fingerprint>, RecordsError> {
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
