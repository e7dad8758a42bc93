//! yum
use super::TargetError;
use crate::model::{Catalog, Context, Plan};

/// Renders its part of the plan.
pub fn plan(_catalog: &Catalog, _context: &Context<'_>, _plan: &mut Plan) -> Result<(), TargetError> {
    Ok(())
}
