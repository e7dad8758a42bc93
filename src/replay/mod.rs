//! *Replay* runs a known encoder over expanded bytes so that the compressed bytes come out bit for bit.
//!
//! Deflate is raw here (RFC 1951): headers and trailers of gzip, zip and rpm are plain bytes to us. Encoders of deflate are written
//! out; those of .xz and .bz2 streams are libraries.

pub mod bits;
pub mod block;
pub mod bzip2;
pub mod codes;
pub mod error;
pub mod family;
pub mod go;
pub mod go127;
pub mod golang;
pub mod inflate;
mod library;
pub mod list;
pub mod piece;
pub mod recognise;
pub mod source;
pub mod stream;
pub mod tree;
pub mod xz;
pub mod zlib;

use bits::BitWriter;
pub use error::Error;

/// One encoder in the middle of one stream.
///
/// Its output must not depend on how the plain bytes are cut into calls. Where the real encoder's does, the cut sizes are a parameter.
pub trait Encoder: Send {
    /// Takes more plain bytes and appends what they complete.
    fn write(&mut self, plain: &[u8], out: &mut BitWriter);
    /// Ends the stream: the last block, its final bit set.
    fn finish(&mut self, out: &mut BitWriter);
    /// The newest place at which this encoder can be started again, given the plain bytes before it: the start of the block that is open.
    /// Asked after each `write`; `None` where there has been none since the last answer.
    fn checkpoint(&mut self) -> Option<Checkpoint>;
    /// Why it stopped before the end, if it did: it made nothing since. Asked where too little came.
    fn fault(&mut self) -> Option<std::io::Error> {
        None
    }
}

/// A place inside a deflate stream at which an encoder can be started without running it from the front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Plain bytes before the block that starts here.
    pub plain: u64,
    /// Bits of the stream before the block that starts here.
    pub bits: u64,
    /// What else the encoder's state consists of beside the last plain bytes (at most 64 KiB, a constant of the family): a few integers, at most 8.
    pub state: Vec<u32>,
}
