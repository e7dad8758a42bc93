//! A *check* of the records: the ledger's chain, the succession of policies, every statement that a release came by.
//!
//! It looks at no blob of the site. Specified in `spec/audit.md`.

use super::statements;
use crate::digest::Digest;
use crate::format::area::{self, Signed};
use crate::op::records::RecordsError;
use crate::site::archive::Archive;
use crate::site::error::SiteError;
use crate::site::ledger::Event;
use crate::trust::Policy;
use crate::trust::chain::PolicyChain;
use crate::trust::key::Fingerprint;
use crate::trust::order::OrderState;
use crate::trust::sshsig::SshSig;
use crate::trust::statement::kind_of;

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
pub fn check(archive: &Archive) -> Result<Checked, RecordsError> {
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
