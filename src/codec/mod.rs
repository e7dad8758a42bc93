//! A *codec* turns bytes into other bytes and back: cutting into chunks, compressing blocks.
//!
//! No file, no index, no trust. Specified in `spec/bundle.md`, section "Blocks".

pub mod block;
pub mod chunk;
