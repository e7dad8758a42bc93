//! Replay against the real encoders, and against what they made once (`testdata/replay`).

mod common;
mod go;
mod go_restart;
mod go_shapes;
mod gzip;
mod streams;
mod vectors;
mod zlib;
