//! The *stored form* of a patch is a head of lengths and then its streams, each compressed on its own.
//!
//! What the streams mean is `apply`'s and `diff`'s. Specified in `spec/patch.md`, section 2.
//!
//! ```text
//! +-------------------------------+-------------------------------+-----+----------+----------+-----
//! | plain len of stream 0 (4, BE) | stored len of stream 0 (4, BE)| ... | stream 0 | stream 1 | ...
//! +-------------------------------+-------------------------------+-----+----------+----------+-----
//! ```

use super::error::{PatchError, damaged};
use super::number;

/// Most bytes that a patch makes.
pub const PLAIN_LIMIT: u32 = 16 << 20;
/// What all streams together may hold beyond twice the plain length.
const SLACK: u64 = 64;
/// The stream of moves may hold a sixteenth of the plain length and [`SLACK`]: decoded it takes 16 times its length.
const MOVES_SHARE: u64 = 16;
/// Number of streams.
pub const STREAMS: usize = 7;
/// Shorter streams are not worth a frame.
const SHORT: usize = 16;
/// Window of a stream, log2: as large as the limit of what a patch makes.
const WINDOW_LOG: u32 = 24;

/// The streams of a patch, decompressed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Streams {
    /// Where things went; see `moves`.
    pub moves: Vec<u8>,
    /// Numbers: length of each step's copy.
    pub copies: Vec<u8>,
    /// Numbers: length of each step's literal.
    pub extras: Vec<u8>,
    /// Signed numbers: where each step's copy begins, from where the last one ended.
    pub seeks: Vec<u8>,
    /// Numbers: how many copied bytes lie between one fix and the next.
    pub gaps: Vec<u8>,
    /// Words of 4 bytes, little-endian: what each fix adds.
    pub fixes: Vec<u8>,
    /// Literals, one after another.
    pub literals: Vec<u8>,
}

/// Names of the streams in their order.
pub const NAMES: [&str; STREAMS] = ["moves", "copies", "extras", "seeks", "gaps", "fixes", "literals"];

impl Streams {
    fn all(&self) -> [&Vec<u8>; STREAMS] {
        [&self.moves, &self.copies, &self.extras, &self.seeks, &self.gaps, &self.fixes, &self.literals]
    }

    fn from_all([moves, copies, extras, seeks, gaps, fixes, literals]: [Vec<u8>; STREAMS]) -> Streams {
        Streams { moves, copies, extras, seeks, gaps, fixes, literals }
    }

    /// Whether they are within the limits for a patch that makes `plain_len` bytes.
    pub fn fit(&self, plain_len: usize) -> bool {
        let total = self.all().iter().map(|s| number::wide(s.len())).fold(0, u64::saturating_add);
        within(number::wide(plain_len), number::wide(self.moves.len()), total)
    }

    /// The stored form, compressed at zstd's `level`.
    pub fn encode(&self, level: i32) -> Result<Vec<u8>, PatchError> {
        let mut head = Vec::new();
        let mut body = Vec::new();
        for plain in self.all() {
            let packed = if plain.len() < SHORT { None } else { Some(compress(plain, level)?) };
            let stored = packed.as_ref().filter(|packed| packed.len() < plain.len()).unwrap_or(plain);
            for n in [plain.len(), stored.len()] {
                let n = u32::try_from(n).map_err(|_| damaged("head", "a stream is too long"))?;
                head.extend(n.to_be_bytes());
            }
            body.extend_from_slice(stored);
        }
        head.append(&mut body);
        Ok(head)
    }

    /// Reads the stored form of a patch that makes `plain_len` bytes. Allocates at most twice that and
    /// a little.
    pub fn decode(stored: &[u8], plain_len: u32) -> Result<Streams, PatchError> {
        let mut rest = stored;
        let mut lengths = [(0u32, 0u32); STREAMS];
        let mut total = 0u64;
        for (pair, name) in lengths.iter_mut().zip(NAMES) {
            *pair = (take_u32(&mut rest)?, take_u32(&mut rest)?);
            total = total.saturating_add(u64::from(pair.0));
            if pair.1 > pair.0 {
                return Err(damaged(name, "is stored in more bytes than it has"));
            }
        }
        let [(moves, _), ..] = lengths;
        if !within(plain_len.into(), moves.into(), total) {
            return Err(damaged("head", "the streams are longer than the new content allows"));
        }
        let mut streams: [Vec<u8>; STREAMS] = Default::default();
        for ((stream, (plain, stored)), name) in streams.iter_mut().zip(lengths).zip(NAMES) {
            let short = || damaged(name, "ends too early");
            let (bytes, after) =
                rest.split_at_checked(usize::try_from(stored).map_err(|_| short())?).ok_or_else(short)?;
            rest = after;
            *stream = if plain == stored { bytes.to_vec() } else { decompress(bytes, plain, name)? };
        }
        if !rest.is_empty() {
            return Err(damaged("end", "bytes follow the last stream"));
        }
        Ok(Streams::from_all(streams))
    }
}

/// The limits for streams.
fn within(plain_len: u64, moves: u64, total: u64) -> bool {
    let allowed = |n: u64| n.saturating_add(SLACK);
    moves <= allowed(plain_len / MOVES_SHARE) && total <= allowed(plain_len.saturating_mul(2))
}

fn take_u32(from: &mut &[u8]) -> Result<u32, PatchError> {
    let (n, rest) = from.split_first_chunk().ok_or_else(|| damaged("head", "ends too early"))?;
    *from = rest;
    Ok(u32::from_be_bytes(*n))
}

fn compress(plain: &[u8], level: i32) -> Result<Vec<u8>, PatchError> {
    use zstd::zstd_safe::CParameter;
    let mut c = zstd::bulk::Compressor::new(level).map_err(PatchError::Compress)?;
    for p in [
        CParameter::WindowLog(WINDOW_LOG),
        CParameter::ChecksumFlag(false),
        CParameter::ContentSizeFlag(true),
        CParameter::DictIdFlag(false),
    ] {
        c.set_parameter(p).map_err(PatchError::Compress)?;
    }
    c.compress(plain).map_err(PatchError::Compress)
}

/// Exactly one frame that announces and holds exactly `plain_len` bytes.
fn decompress(stored: &[u8], plain_len: u32, name: &'static str) -> Result<Vec<u8>, PatchError> {
    use zstd::zstd_safe;
    if zstd_safe::get_frame_content_size(stored).ok().flatten() != Some(u64::from(plain_len)) {
        return Err(damaged(name, "its frame does not announce its length"));
    }
    if zstd_safe::find_frame_compressed_size(stored) != Ok(stored.len()) {
        return Err(damaged(name, "it is not exactly one frame"));
    }
    if stored.get(4).is_none_or(|descriptor| descriptor & 3 != 0) {
        return Err(damaged(name, "its frame has a field for a dictionary"));
    }
    let len = usize::try_from(plain_len).map_err(|_| damaged(name, "is too long"))?;
    let plain = zstd::bulk::decompress(stored, len).map_err(|_| damaged(name, "it does not decompress"))?;
    if plain.len() != len {
        return Err(damaged(name, "it decompresses to another length"));
    }
    Ok(plain)
}
