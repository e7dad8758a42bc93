//! The *list of checkpoints* as it stands in a recipe: LEB128 integers, each row the difference to the row before.
//!
//! ```text
//! plain bytes since the row before   bits since the row before   state, as many integers as the family says
//! ```
//! Encoders that are libraries have none. Section "Checkpoints" of `spec/replay.md`.

use super::{Checkpoint, Error};

/// Least plain bytes between two checkpoints, and before the first: a restart costs reading as many again.
pub const NEAREST: u64 = 64 * 1024;

/// The list as bytes.
#[must_use]
pub fn encode(checkpoints: &[Checkpoint]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut plain, mut bits) = (0, 0);
    for checkpoint in checkpoints {
        put(&mut out, checkpoint.plain.wrapping_sub(plain));
        put(&mut out, checkpoint.bits.wrapping_sub(bits));
        for &n in &checkpoint.state {
            put(&mut out, u64::from(n));
        }
        (plain, bits) = (checkpoint.plain, checkpoint.bits);
    }
    out
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 128 {
        out.push((n & 127) as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The list from bytes: `state` integers a row, places inside a stream of `plain` bytes that are `compressed` bytes in the end.
///
/// # Errors
/// [`Error::List`] unless [`encode`] makes exactly these bytes of what they say, and rows are at least [`NEAREST`] apart.
pub fn decode(bytes: &[u8], state: usize, plain: u64, compressed: u64) -> Result<Vec<Checkpoint>, Error> {
    let mut rest = bytes;
    let mut rows: Vec<Checkpoint> = Vec::new();
    while !rest.is_empty() {
        let (plain_before, bits_before) = rows.last().map_or((0, 0), |row| (row.plain, row.bits));
        let (step, bits) = (get(&mut rest)?, get(&mut rest)?);
        let (at, bits) = (plain_before.checked_add(step), bits_before.checked_add(bits));
        let (Some(at), Some(bits)) = (at, bits) else { return Err(Error::List("a row lies beyond the end")) };
        let mut integers = Vec::with_capacity(state);
        for _ in 0..state {
            integers.push(u32::try_from(get(&mut rest)?).map_err(|_| Error::List("an integer is too large"))?);
        }
        rows.push(Checkpoint { plain: at, bits, state: integers });
    }
    check(&rows, plain, compressed)?;
    Ok(rows)
}

/// Whether rows are in order, far enough from each other, and inside a stream of `plain` bytes that are `compressed` in the end.
///
/// # Errors
/// [`Error::List`].
pub fn check(rows: &[Checkpoint], plain: u64, compressed: u64) -> Result<(), Error> {
    let most = compressed.checked_mul(8).ok_or(Error::List("the stream is too long"))?;
    let (mut plain_before, mut bits_before) = (0, 0);
    for row in rows {
        if row.plain > plain || row.bits > most {
            return Err(Error::List("a row lies beyond the end"));
        }
        let step = row.plain.checked_sub(plain_before).filter(|&step| step >= NEAREST);
        if step.is_none() || row.bits <= bits_before {
            return Err(Error::List("rows are too near to each other"));
        }
        (plain_before, bits_before) = (row.plain, row.bits);
    }
    Ok(())
}

fn get(rest: &mut &[u8]) -> Result<u64, Error> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(Error::List("it ends inside a row"))?;
        *rest = tail;
        let part = u64::from(byte & 127);
        n |= part.checked_shl(shift).filter(|p| p >> shift == part).ok_or(Error::List("an integer is too large"))?;
        if byte < 128 {
            let shortest = byte != 0 || shift == 0;
            return if shortest { Ok(n) } else { Err(Error::List("an integer is not in its shortest form")) };
        }
    }
    Err(Error::List("an integer is too large"))
}
