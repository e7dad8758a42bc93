//! op
pub mod export;
