//! A *block* is chunks compressed together and stored as one run of bytes.
//!
//! Compression and decompression of one block; where it lies is the bundle floor's. Specified in `spec/bundle.md`,
//! section "Blocks, chunks, recipes".

use crate::buffer::{Buffer, Pool};
use crate::digest::Digest;
use crate::format::FormatError;
use crate::format::table::{BlockRow, Codec};
use crate::limits;

/// zstd's level for blocks. With a window over the whole block, level 1 is both smaller and faster than level 3 without
/// (`spec/rationale.md`, "Blocks").
pub const LEVEL: i32 = 1;
/// zstd's level for blocks where size is all.
pub const SMALL_LEVEL: i32 = 19;
/// zstd's level for sections, which are small.
pub const SECTION_LEVEL: i32 = 3;
/// Window of blocks, log2: the whole block, so that repeats a few megabytes apart are found.
const WINDOW_LOG: u32 = 24;

/// Compresses, or gives `None` where the frame would not be shorter.
pub fn compress(plain: &[u8], level: i32) -> Option<Vec<u8>> {
    use zstd::zstd_safe::CParameter;
    let mut c = zstd::bulk::Compressor::new(level).ok()?;
    let long = plain.len() > (2 << 20);
    if long {
        c.set_parameter(CParameter::WindowLog(WINDOW_LOG)).ok()?;
        c.set_parameter(CParameter::EnableLongDistanceMatching(true)).ok()?;
    }
    c.set_parameter(CParameter::ChecksumFlag(false)).ok()?;
    c.set_parameter(CParameter::ContentSizeFlag(true)).ok()?;
    c.set_parameter(CParameter::DictIdFlag(false)).ok()?;
    let out = c.compress(plain).ok()?;
    (out.len() < plain.len()).then_some(out)
}

/// Decompresses exactly one frame that announces and holds exactly `plain_len` bytes, into a buffer of that size.
pub fn decompress(stored: &[u8], plain_len: usize, what: &'static str) -> Result<Vec<u8>, FormatError> {
    announces(stored, plain_len, what)?;
    let mut plain = vec![0; plain_len];
    decompress_into(stored, &mut plain, what)?;
    Ok(plain)
}

/// A frame that lies about its length gets no memory of that length.
fn announces(stored: &[u8], plain_len: usize, what: &'static str) -> Result<(), FormatError> {
    match zstd::zstd_safe::get_frame_content_size(stored).ok().flatten() == u64::try_from(plain_len).ok() {
        true => Ok(()),
        false => Err(FormatError::rule(what, "its frame does not announce its length")),
    }
}

/// As [`decompress`], into all of `plain`.
fn decompress_into(stored: &[u8], plain: &mut [u8], what: &'static str) -> Result<(), FormatError> {
    use zstd::zstd_safe;
    if zstd_safe::find_frame_compressed_size(stored) != Ok(stored.len()) {
        return Err(FormatError::rule(what, "it is not exactly one frame"));
    }
    // Bits 0 and 1 of the frame's descriptor are the size of a dictionary's number (RFC 8878, section 3.1.1.1.1); a field
    // that holds 0 would ask for none and be a second spelling of that.
    if stored.get(4).is_none_or(|descriptor| descriptor & 3 != 0) {
        return Err(FormatError::rule(what, "its frame has a field for a dictionary"));
    }
    let len = zstd::bulk::decompress_to_buffer(stored, plain)
        .map_err(|e| FormatError::rule(what, format!("it does not decompress ({e})")))?;
    if len != plain.len() {
        return Err(FormatError::rule(what, "it decompresses to another length"));
    }
    Ok(())
}

/// A block ready to be written.
pub struct StoredBlock {
    /// Its row in the table.
    pub row: BlockRow,
    /// Its bytes in the file.
    pub stored: Vec<u8>,
}

/// Compresses a block where that wins, and proves that it comes back. `digest` is that of `plain` where it is known.
pub fn store(plain: Vec<u8>, chunks: u32, level: i32, digest: Option<Digest>) -> Result<StoredBlock, FormatError> {
    let plain_len = length(plain.len())?;
    let packed = if looks_incompressible(&plain) { None } else { compress(&plain, level) };
    let (codec, digest, stored) = match packed {
        Some(stored) => {
            if decompress(&stored, plain.len(), "a block")? != plain {
                return Err(FormatError::rule("a block", "it did not come back from compression; test this machine"));
            }
            (Codec::Zstd, Digest::of(&stored), stored)
        }
        None => (Codec::Raw, digest.unwrap_or_else(|| Digest::of(&plain)), plain),
    };
    let row = BlockRow { digest, stored_len: length(stored.len())?, plain_len, chunks, codec };
    Ok(StoredBlock { row, stored })
}

/// The plain bytes of a stored block: the digest of what is stored is checked before anything decodes it. Their memory
/// comes from `pool`.
pub fn restore(row: &BlockRow, stored: Buffer, pool: &Pool) -> Result<Buffer, FormatError> {
    check(row, &stored)?;
    match row.codec {
        Codec::Raw => Ok(stored),
        Codec::Patch(_) => Err(FormatError::rule("a block", "a patch is not restored without its old content")),
        Codec::Zstd => {
            let (len, what) = (usize::try_from(row.plain_len).unwrap_or(usize::MAX), "a block");
            announces(&stored, len, what)?;
            let mut plain = pool.take(len);
            decompress_into(&stored, &mut plain, what)?;
            Ok(plain)
        }
    }
}

/// Checks the digest of a stored block.
pub fn check(row: &BlockRow, stored: &[u8]) -> Result<(), FormatError> {
    if Digest::of(stored) != row.digest {
        return Err(FormatError::Digest { what: "a block".into() });
    }
    Ok(())
}

fn length(n: usize) -> Result<u32, FormatError> {
    let limit = u64::from(limits::BLOCK_PLAIN);
    match u32::try_from(n) {
        Ok(n) if n <= limits::BLOCK_PLAIN => Ok(n),
        _ => Err(FormatError::Limit { what: "a block", have: n.try_into().unwrap_or(u64::MAX), limit }),
    }
}

/// Eight samples of 16 KiB, spread evenly, each compressed at zstd's fastest: where they lose together less than 1 % a
/// full pass would cost more time than it saves room.
fn looks_incompressible(plain: &[u8]) -> bool {
    const SAMPLE: usize = 16 << 10;
    const SAMPLES: usize = 8;
    let step = plain.len() / SAMPLES;
    if step < SAMPLE.saturating_mul(4) {
        return false;
    }
    let mut saved = 0usize;
    for sample in plain.chunks(step).take(SAMPLES).filter_map(|c| c.get(..SAMPLE)) {
        let packed = zstd::bulk::compress(sample, 1).map_or(SAMPLE, |p| p.len());
        saved = saved.saturating_add(SAMPLE.saturating_sub(packed));
    }
    saved.saturating_mul(100) < SAMPLE.saturating_mul(SAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut x = 1u64;
        (0..len)
            .map(|_| {
                x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (x >> 33) as u8
            })
            .collect()
    }

    #[test]
    fn incompressible_blocks_stay_raw() {
        let block = store(noise(3 << 20), 1, LEVEL, None).expect("stores");
        assert_eq!(block.row.codec, Codec::Raw);
        let block = store(vec![7; 3 << 20], 1, LEVEL, None).expect("stores");
        assert_eq!(block.row.codec, Codec::Zstd);
        assert!(block.stored.len() < 1000);
    }

    #[test]
    fn frames_are_taken_only_in_their_one_form() {
        let plain = vec![1u8; 100_000];
        let good = compress(&plain, 3).expect("shrinks");
        assert_eq!(decompress(&good, 100_000, "t"), Ok(plain.clone()));
        assert!(decompress(&good, 99_999, "t").is_err());
        assert!(decompress(&good, 100_001, "t").is_err());
        assert!(decompress(&[&good[..], &good[..]].concat(), 100_000, "t").is_err());
        assert!(decompress(&[&good[..], &[0]].concat(), 100_000, "t").is_err());
        assert!(decompress(&good[..good.len() - 1], 100_000, "t").is_err());
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        assert!(decompress(&[&skippable[..], &good[..]].concat(), 100_000, "t").is_err());
        let no_size = zstd::stream::encode_all(&plain[..], 3).expect("encodes");
        assert!(decompress(&no_size, 100_000, "t").is_err());
    }

    proptest! {
        #[test]
        fn back_and_forth(plain in proptest::collection::vec(0u8..4, 1..5000)) {
            let block = store(plain.clone(), 1, LEVEL, None).expect("stores");
            let restored = restore(&block.row, block.stored.into(), &Pool::default());
            prop_assert_eq!(restored.as_deref(), Ok(&plain[..]));
        }

        #[test]
        fn hostile_frames_never_panic(stored: Vec<u8>, len in 0usize..10_000) {
            let _ = decompress(&stored, len, "t");
        }
    }
}
