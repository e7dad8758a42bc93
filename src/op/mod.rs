//! An *operation* is one use case: inputs and options in, a report out.
//!
//! It joins the floors below; it prints nothing and asks nothing. The command line lowers its arguments to these calls.

mod ahead;
pub mod amend;
pub mod apart;
pub mod audit;
pub mod complete;
pub mod delta;
pub mod diff;
pub mod evidence;
mod expand;
pub mod export;
pub mod have;
mod layout;
pub mod pack;
pub mod pairs;
pub mod parts;
pub mod payload;
pub mod policies;
pub mod predict;
pub mod receipt;
pub mod records;
mod repeats;
mod resemble;
pub mod review;
mod runs;
pub mod sbom;
pub mod scan;
pub mod seal;
pub mod shrink;
mod spooled;
mod streams;
pub mod travel;
mod units;
pub mod unpack;
pub mod visible;
