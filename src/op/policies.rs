//! Policies and order as a site keeps them: the chain that the site has walked, and what it remembers of its streams.

use crate::format::area::{self, Signed};
use crate::op::unpack::{Options, UnpackError};
use crate::site::Site;
use crate::site::error::SiteError;
use crate::site::init::PolicyFile;
use crate::site::writer::Writer;
use crate::trust::TrustError;
use crate::trust::chain::PolicyChain;
use crate::trust::order::{Accepted, OrderState};
use crate::trust::statement::Place;

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

/// What a site remembers, as the verify function wants it.
pub fn order_state(site: &Site) -> Result<OrderState, SiteError> {
    let state = site.state()?;
    let mut out = OrderState { site: Some(site.config().name.clone()), ..OrderState::default() };
    let mut present = std::collections::BTreeSet::new();
    for n in site.generations()? {
        let generation = site.generation(n)?;
        out.time_floor = out.time_floor.max(generation.time);
        present.extend(generation.releases.iter().map(|s| s.release.release));
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
