//! A *target* renders what a kind of client reads: a registry's storage, yum, apt, PyPI, chart and Go metadata, files.
//!
//! Each is a pure function of the catalog and the context; it opens no blob and writes no file. Only the site turns the
//! plan into files. One file an ecosystem. Specified in `spec/site.md`.

use crate::cbor::CborError;
use crate::class::{Class, Classified};
use crate::model::{Catalog, Context, Plan, PlanError};
use crate::relpath::PathError;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

pub mod apt;
pub mod charts;
pub mod etc;
pub mod files;
pub mod go;
pub mod link;
pub mod pypi;
pub mod registry;
pub mod yum;

/// Why a catalog cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Two artifacts want one place.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A name cannot be a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Facts that do not decode: the release was verified, so this is the sealer's defect.
    #[error("the facts of {artifact} do not decode")]
    Facts {
        /// The artifact's name.
        artifact: String,
        /// Why.
        #[source]
        source: CborError,
    },
    /// Two artifacts contradict each other.
    #[error("{first} and {second} cannot be in one repository: {why}")]
    Conflict {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// Why not.
        why: String,
    },
    /// A value of the site's configuration cannot be rendered.
    #[error("the site's {field} {value:?} cannot be rendered: {why}")]
    Configuration {
        /// Which value.
        field: &'static str,
        /// What it is.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Classified for TargetError {
    fn class(&self) -> Class {
        match self {
            TargetError::Facts { .. } => Class::Damaged,
            _ => Class::Usage,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            TargetError::Configuration { .. } => "correct it in site.toml, then run the same command again".into(),
            TargetError::Facts { .. } => "show the sealer this message".into(),
            _ => "one of the two has to take another place or to be left out".into(),
        })
    }
}

/// Renders everything: the plan of one generation.
pub fn plan(catalog: &Catalog, context: &Context<'_>) -> Result<Plan, TargetError> {
    let mut plan = Plan::new();
    files::plan(catalog, context, &mut plan)?;
    registry::plan(catalog, context, &mut plan)?;
    yum::plan(catalog, context, &mut plan)?;
    apt::plan(catalog, context, &mut plan)?;
    pypi::plan(catalog, context, &mut plan)?;
    charts::plan(catalog, context, &mut plan)?;
    go::plan(catalog, context, &mut plan)?;
    etc::plan(catalog, context, &mut plan)?;
    Ok(plan)
}

/// A gzip file in the making, without name, time and host (255: unknown), at one level: the same bytes for one version of
/// the encoder.
fn gzip() -> GzEncoder<Vec<u8>> {
    GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6))
}
