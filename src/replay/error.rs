//! What can be wrong with a replay: the encoder's identity, a checkpoint, or what comes out.

/// Why a replay was refused, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such family, or not in this version of pouch.
    #[error("encoder family {0} is not known to this version; use a newer pouch")]
    Family(u32),
    /// Parameters the family does not have.
    #[error("parameters {params:?} are none of encoder {family}'s")]
    Parameters {
        /// The family's name.
        family: &'static str,
        /// What was given.
        params: Vec<u32>,
    },
    /// A checkpoint that no run of the encoder makes.
    #[error("the checkpoint at plain byte {plain} is not one of this encoder's: {why}")]
    Checkpoint {
        /// Plain bytes before it.
        plain: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// Bytes that are no list of checkpoints.
    #[error("the list of checkpoints is damaged: {0}")]
    List(&'static str),
    /// The replayed stream is not as long as was declared.
    #[error("replay made {made} bits between plain bytes {from} and {to}, {declared} were declared")]
    Length {
        /// Plain bytes before the piece.
        from: u64,
        /// Plain bytes before what follows it.
        to: u64,
        /// Bits that came out.
        made: u64,
        /// Bits the checkpoints declare.
        declared: u64,
    },
    /// A replayed stream is not the one it is compared with.
    #[error("replay differs from the stream before byte {0}")]
    Differs(u64),
    /// Plain bytes could not be read, or compressed ones not be written.
    #[error("input or output failed during replay")]
    Io(#[from] std::io::Error),
}
