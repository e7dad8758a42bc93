//! An *operation* is one use case: inputs and options in, a report out.
//!
//! It joins the floors below; it prints nothing and asks nothing. The command line lowers its arguments to these calls.

pub mod amend;
mod apart;
pub mod audit;
pub mod complete;
pub mod delta;
pub mod diff;
pub mod evidence;
pub mod export;
pub mod have;
pub mod pack;
pub mod pairs;
mod parts;
pub mod payload;
pub mod policies;
pub mod predict;
pub mod receipt;
pub mod review;
pub mod sbom;
pub mod scan;
pub mod seal;
pub mod shrink;
pub mod travel;
pub mod unpack;
pub mod visible;
