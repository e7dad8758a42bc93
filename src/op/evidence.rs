//! *Evidence* is what somebody looked at before signing: a scan report, an upstream signature, an attestation. A statement
//! names it by digest and file name; its bytes may be a blob of the release, or a file beside the statement.
//!
//! It is a claim of its signer and decides nothing. Specified in `spec/audit.md`, section "Evidence".

use crate::digest::Digest;
use crate::format::area::Signed;
use crate::limits;
use crate::op::audit;
use crate::op::records::RecordsError;
use crate::site::archive::Archive;
use crate::site::writer::Writer;
use crate::trust::report::{Outcome, Report};
use crate::trust::statement::{Evidence, Statement};
use serde::Serialize;
use std::collections::BTreeSet;

/// Evidence that a statement names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// Who names it.
    pub owner: String,
    /// The kind of the statement.
    pub kind: &'static str,
    /// Digest of the statement's text.
    pub statement: Digest,
    /// SHA-256 of the evidence.
    pub digest: Digest,
    /// Its file name, in the signer's words.
    pub name: String,
    /// Where its bytes are: `release` or `beside`; absent where they are in neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<&'static str>,
}

/// What the statements name that are about this release, with a good signature of a key of the policy. `release`: the
/// release's blobs; `beside`: whether a file with that name and digest lies beside the statements.
pub fn claims(
    statements: &[Signed],
    reports: &[Report],
    release: &BTreeSet<Digest>,
    beside: impl Fn(&Evidence) -> bool,
) -> Vec<Claim> {
    let about = |r: &&Report| matches!(r.outcome, Outcome::Counts | Outcome::AlreadyCounted | Outcome::NotNeeded);
    let mut out = Vec::new();
    for report in reports.iter().filter(about) {
        let (Some(kind), Some(owner), Some(signed)) = (report.kind, &report.owner, statements.get(report.index)) else {
            continue;
        };
        for evidence in named(signed) {
            let bytes = match release.contains(&evidence.digest) {
                true => Some("release"),
                false => beside(&evidence).then_some("beside"),
            };
            let Evidence { digest, name } = evidence;
            let (owner, kind) = (owner.clone(), kind.name());
            out.push(Claim { owner, kind, statement: report.statement, digest, name, bytes });
        }
    }
    out
}

/// The evidence that a text names.
fn named(signed: &Signed) -> Vec<Evidence> {
    let Some(kind) = crate::trust::statement::kind_of(&signed.text) else { return Vec::new() };
    match Statement::parse(kind, &signed.text) {
        Ok(Statement::Approve(a)) => a.terms.evidence,
        Ok(Statement::Reject(r)) => r.terms.evidence,
        _ => Vec::new(),
    }
}

/// Keeps, beside the archived index of a release that is on the site, the evidence that its counted statements name, as far
/// as `find` has it; gives how many files are kept now that were not. What is too large for the archive is left out, and
/// its name is in the second list.
pub fn keep(
    writer: &Writer,
    release: &Digest,
    find: impl Fn(&Evidence) -> Option<Vec<u8>>,
    now: i64,
) -> Result<(u64, Vec<String>), RecordsError> {
    let archive = Archive::of(writer);
    let lives = audit::lives(&archive.ledger()?.records);
    let admitted = lives.iter().filter(|l| l.release.release == *release).flat_map(|l| &l.admitted);
    let counted: BTreeSet<Digest> = admitted.flat_map(|a| &a.admission.vouchers).map(|v| v.statement).collect();
    let statements = audit::statements(&archive.release(release)?, release)?;
    let (mut kept, mut bytes, mut left_out) = (0u64, 0u64, Vec::new());
    let wanted: BTreeSet<(Digest, String)> = statements
        .iter()
        .filter(|s| counted.contains(&s.digest()))
        .flat_map(named)
        .map(|e| (e.digest, e.name))
        .collect();
    for (digest, name) in wanted {
        let Some(found) = find(&Evidence { digest, name: name.clone() }) else { continue };
        bytes = bytes.saturating_add(found.len() as u64);
        if bytes > limits::EVIDENCE_OF_A_RELEASE {
            left_out.push(name);
        } else if writer.evidence_put(&digest, &found, now)? {
            kept = kept.saturating_add(1);
        }
    }
    Ok((kept, left_out))
}
