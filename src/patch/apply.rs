//! To *apply* a patch is to make the new content out of it and the old content.
//!
//! The digest of what comes out is for who asked. Specified in `spec/patch.md`, section 3.

use super::error::{PatchError, damaged};
use super::moves::Moves;
use super::number;
use super::old::Old;
use super::stored::{PLAIN_LIMIT, Streams};

/// Makes exactly `plain_len` bytes of the stored form of a patch and old content. Memory: at most four times `plain_len`
/// and a little, whatever the patch says.
pub fn apply(stored: &[u8], plain_len: u32, old: &dyn Old) -> Result<Vec<u8>, PatchError> {
    if plain_len > PLAIN_LIMIT {
        return Err(PatchError::Limit { have: plain_len.into(), limit: PLAIN_LIMIT.into() });
    }
    let streams = Streams::decode(stored, plain_len)?;
    let mut out = vec![0u8; usize::try_from(plain_len).map_err(|_| damaged("head", "is too long"))?];
    let (mut copies, mut extras, mut seeks) = (&*streams.copies, &*streams.extras, &*streams.seeks);
    let mut literals = &*streams.literals;
    let moves = Moves::decode(&streams.moves)?;
    let mut fixes = Fixes::new(&streams)?;
    let mut at = 0u64;
    let mut from = 0u64; // where the last copy ended in old content
    let mut room = out.as_mut_slice();
    while !room.is_empty() {
        let copy = length(&mut copies, "copies", room.len())?;
        let (copied, after) = room.split_at_mut(copy);
        if copy > 0 {
            let seek = number::take_signed(&mut seeks).ok_or_else(|| damaged("seeks", "no number"))?;
            from = from.checked_add_signed(seek).ok_or_else(|| damaged("seeks", "outside of old content"))?;
            let end = from.checked_add(number::wide(copied.len())).filter(|end| *end <= old.size());
            let end = end.ok_or_else(|| damaged("seeks", "outside of old content"))?;
            old.read_exact_at(copied, from).map_err(|source| PatchError::Old { at: from, source })?;
            moves.follow(copied, from, at);
            from = end;
            fixes.mend(copied)?;
        }
        let extra = length(&mut extras, "extras", after.len())?;
        if copy == 0 && extra == 0 {
            return Err(damaged("copies", "a step that makes nothing"));
        }
        let (literal, after) = after.split_at_mut(extra);
        let (bytes, rest) = literals.split_at_checked(extra).ok_or_else(|| damaged("literals", "ends too early"))?;
        literal.copy_from_slice(bytes);
        literals = rest;
        at = at.saturating_add(number::wide(copy)).saturating_add(number::wide(extra));
        room = after;
    }
    for (rest, name) in [(copies, "copies"), (extras, "extras"), (seeks, "seeks"), (literals, "literals")] {
        if !rest.is_empty() {
            return Err(damaged(name, "goes on after the end of the new content"));
        }
    }
    fixes.end()?;
    Ok(out)
}

fn length(from: &mut &[u8], name: &'static str, room: usize) -> Result<usize, PatchError> {
    let n = number::take(from).ok_or_else(|| damaged(name, "no number"))?;
    usize::try_from(n).ok().filter(|n| *n <= room).ok_or_else(|| damaged(name, "beyond the end of the new content"))
}

/// Fixes still to be made.
struct Fixes<'a> {
    gaps: &'a [u8],
    words: &'a [u8],
    /// Copied bytes before the next fix, if there is one.
    next: Option<usize>,
}

impl<'a> Fixes<'a> {
    fn new(streams: &'a Streams) -> Result<Fixes<'a>, PatchError> {
        let mut fixes = Fixes { gaps: &streams.gaps, words: &streams.fixes, next: None };
        fixes.advance()?;
        Ok(fixes)
    }

    fn advance(&mut self) -> Result<(), PatchError> {
        self.next = if self.gaps.is_empty() {
            None
        } else {
            let gap = number::take(&mut self.gaps).ok_or_else(|| damaged("gaps", "no number"))?;
            Some(usize::try_from(gap).map_err(|_| damaged("gaps", "beyond the end of the new content"))?)
        };
        Ok(())
    }

    /// Adds the fixes that lie in this copy; one that reaches beyond it stops at its end.
    fn mend(&mut self, mut copied: &mut [u8]) -> Result<(), PatchError> {
        while let Some(gap) = self.next {
            if gap >= copied.len() {
                self.next = Some(gap.saturating_sub(copied.len()));
                return Ok(());
            }
            let (_, at) = copied.split_at_mut(gap);
            let (add, rest) = self.words.split_first_chunk::<4>().ok_or_else(|| damaged("fixes", "ends too early"))?;
            self.words = rest;
            let (word, after) = at.split_at_mut(at.len().min(4));
            let mut sum = [0u8; 4];
            for (s, b) in sum.iter_mut().zip(word.iter()) {
                *s = *b;
            }
            let sum = u32::from_le_bytes(sum).wrapping_add(u32::from_le_bytes(*add)).to_le_bytes();
            for (b, s) in word.iter_mut().zip(sum) {
                *b = s;
            }
            copied = after;
            self.advance()?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), PatchError> {
        if self.next.is_some() {
            return Err(damaged("gaps", "a fix after the last copy"));
        }
        if !self.words.is_empty() {
            return Err(damaged("fixes", "goes on after the last fix"));
        }
        Ok(())
    }
}
