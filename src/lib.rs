//! pouch moves software across an air gap: it packs what a site needs into one signed, chunked, deduplicated bundle, and
//! on the far side verifies it and materializes the trees that real servers and clients use.
//!
//! The floors, from the ground up; a module uses only what lies below it (`ARCHITECTURE.md` draws them):
//! plain values, `format`/`codec`/`kind`, `trust`, `bundle`, `fs`, `source`/`target`, `site`, `op`.

#![cfg_attr(not(test), deny(clippy::panic, clippy::expect_used, clippy::unreachable))]

pub mod buffer;
pub mod cbor;
pub mod class;
pub mod digest;
pub mod limits;
pub mod model;
pub mod monitor;
pub mod parallel;
pub mod patch;
pub mod relpath;
pub mod replay;

pub mod codec;
pub mod format;
pub mod kind;

pub mod trust;

pub mod bundle;

pub mod fs;

pub mod source;
pub mod target;

pub mod site;

pub mod op;
