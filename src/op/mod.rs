//! op

pub mod complete;
