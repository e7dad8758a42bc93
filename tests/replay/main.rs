//! Replay against the real encoders, and against what they made once (`testdata/replay`).

#![allow(clippy::unwrap_used)] // shapes and pipes: what fails here has no better words

mod common;
mod go;
mod go_restart;
mod go_shapes;
mod gzip;
mod libraries;
mod node;
mod skopeo;
mod streams;
mod vectors;
mod zlib;
