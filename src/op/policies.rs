//! Policies and order as a site keeps them: the chain that the site has walked, and what it remembers of its streams.

use crate::digest::Digest;
use crate::format::area::{self, Signed};
use crate::op::unpack::{Options, UnpackError};
use crate::site::Site;
use crate::site::error::SiteError;
use crate::site::init::PolicyFile;
use crate::site::ledger::{Admission, Kept, ReleaseRef, Voucher};
use crate::site::writer::Writer;
use crate::trust::TrustError;
use crate::trust::chain::PolicyChain;
use crate::trust::order::{Accepted, Learned, OrderState};
use crate::trust::report::{Outcome, Report};
use crate::trust::statement::{Place, StatementKind};
use crate::trust::verify::{Subject, Verdict, verify};
use std::collections::BTreeSet;

/// A policy with its signatures as one file of the site.
pub fn to_file(chain: &PolicyChain) -> Result<Vec<u8>, SiteError> {
    area::encode(chain.signed()).map_err(|e| SiteError::Config(e.to_string()))
}

/// The policy in force on a site.
pub fn in_force(site: &Site) -> Result<PolicyChain, UnpackError> {
    let (_, bytes) = site.policy()?;
    let signed = area::decode(&bytes).map_err(|e| SiteError::Config(format!("the site's policy: {e}")))?;
    Ok(PolicyChain::start(&signed).map_err(TrustError::from)?)
}

/// Walks the policy chain as far as `statements` lead. Valid steps are kept, whatever becomes of the bundle.
pub fn advance(writer: &Writer, statements: &[Signed], options: Options) -> Result<PolicyChain, UnpackError> {
    let mut chain = in_force(writer)?;
    for step in chain.walk(statements, &order_state(writer)?) {
        if !options.dry_run {
            let bytes = to_file(&step)?;
            writer.policy_put(PolicyFile { digest: step.policy().digest(), bytes: &bytes }, options.now)?;
        }
        chain = step;
    }
    Ok(chain)
}

/// What became of statements that came without a bundle.
pub struct TakenIn {
    /// Of each.
    pub reports: Vec<Report>,
    /// The version of the policy that is in force now.
    pub policy: u64,
    /// How many vetoes, withdrawals and revocations are new.
    pub learned: usize,
}

/// Takes in policies, rejections and revocations without a bundle: the verify function is asked about no release at all.
pub fn take_in(writer: &Writer, statements: &[Signed], options: Options) -> Result<TakenIn, UnpackError> {
    let chain = advance(writer, statements, options)?;
    let state = order_state(writer)?;
    let nothing = Subject { release_id: Digest([0; 32]), carriage_id: None };
    let (reports, learned) = match verify(&nothing, statements, chain.policy(), &state, options.now) {
        Ok(v) => (v.reports, v.learned),
        Err(TrustError::Refused(r)) => (r.reports, r.learned),
        Err(e) => return Err(e.into()),
    };
    keep_learned(writer, &learned, &reports, statements, options.now)?;
    let fresh = learned.beyond(&state.known);
    Ok(TakenIn { reports, policy: chain.policy().terms().version, learned: fresh.pieces(1).len() })
}

/// Keeps in the ledger what statements taught, with the statements that did. A dry run keeps nothing.
pub fn keep_learned(
    writer: &Writer,
    learned: &Learned,
    reports: &[Report],
    statements: &[Signed],
    now: i64,
) -> Result<(), SiteError> {
    let teaches = |r: &&Report| matches!(r.kind, Some(StatementKind::Reject | StatementKind::Revoke));
    let counted = |r: &&Report| matches!(r.outcome, Outcome::Counts | Outcome::Withdrawn);
    let kept = reports.iter().filter(teaches).filter(counted).filter_map(|r| statements.get(r.index));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kept: BTreeSet<&Signed> = kept.collect();
    let kept = kept.into_iter().map(|s| Kept { text: text(&s.text), signature: text(&s.signature) }).collect();
    writer.record_learned(learned, kept, now)
}

/// What the ledger says of a release that was let in.
pub fn admission(verdict: &Verdict, release: &ReleaseRef, policy: Digest, now: i64) -> Admission {
    let voucher = |r: &Report| {
        let (kind, owner, key) = (r.kind?, r.owner.clone()?, r.key?);
        let vouches = matches!(kind, StatementKind::Seal | StatementKind::Approve | StatementKind::Permit);
        let counts = vouches && r.outcome == Outcome::Counts;
        counts.then(|| Voucher { kind: kind.name().into(), statement: r.statement, owner, key })
    };
    let vouchers: BTreeSet<Voucher> = verdict.reports.iter().filter_map(voucher).collect();
    let mut after = OrderState::default();
    verdict.commit(&mut after, now);
    Admission {
        release: release.clone(),
        order: verdict.order.name().into(),
        policy,
        vouchers: vouchers.into_iter().collect(),
        time_floor: after.time_floor,
    }
}

/// What a site remembers, as the verify function wants it.
pub fn order_state(site: &Site) -> Result<OrderState, SiteError> {
    let state = site.state()?;
    let mut out = OrderState {
        site: Some(site.config().name.clone()),
        lost: state.lost,
        time_floor: state.time_floor,
        known: state.known,
        ..OrderState::default()
    };
    let mut present = BTreeSet::new();
    for n in site.generations()? {
        present.extend(site.generation(n)?.releases.iter().map(|s| s.release.release));
    }
    for r in &state.accepted {
        let stream = out.streams.entry(r.stream.clone()).or_default();
        let highest = stream.highest.entry(r.epoch).or_insert(r.sequence);
        *highest = r.sequence.max(*highest);
        let place = Place { epoch: r.epoch, sequence: r.sequence };
        stream.releases.insert(r.release, Accepted { place, present: present.contains(&r.release) });
    }
    for shown in site.current()?.map(|g| g.releases).unwrap_or_default().into_iter().filter(|s| s.latest) {
        out.streams.entry(shown.release.stream).or_default().latest = Some(shown.release.release);
    }
    Ok(out)
}
