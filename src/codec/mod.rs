//! A *codec* turns bytes into other bytes and back: cutting into chunks, compressing blocks, expanding streams.
//!
//! No file, no index, no trust. Specified in `spec/bundle.md`, section "Blocks, chunks, recipes".

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions))]

pub mod block;
pub mod chunk;
pub mod form;
pub mod members;
