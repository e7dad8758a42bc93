//! Go's encoders as families: `compress/flate` up to 1.26, from 1.27 on with klauspost's editions, and pgzip.
//!
//! Parameters are a level plus 2, because levels begin at -2; before it the edition, after it pgzip's bytes of a segment.
//! Section "Identity" of `spec/replay.md`.

use super::family::{Candidates, Family, Place, small};
use super::go::{self, StartError};
use super::go127::{self, Edition, pgzip::Pgzip};
use super::inflate::{Kind, Opening};
use super::{Encoder, Error};

/// Family 5: the level.
pub const GO: Family = Family {
    number: 5,
    name: "go/1",
    params: 1,
    state: 1,
    history: go::BEFORE,
    candidates: Candidates::Deflate(levels),
    memory: small,
    check: |params| start_go(params, None).map(drop),
    start: start_go,
};

/// Family 6: edition and level.
pub const GO127: Family = Family {
    number: 6,
    name: "go127/1",
    params: 2,
    state: 1,
    history: go127::BEFORE,
    candidates: Candidates::Deflate(editions),
    memory: small,
    check: |params| start_go127(params, None).map(drop),
    start: start_go127,
};

/// Family 7: edition, level, bytes of a segment.
pub const PGZIP: Family = Family {
    number: 7,
    name: "pgzip/1",
    params: 3,
    state: 0,
    history: go127::BEFORE,
    candidates: Candidates::Deflate(segments),
    memory: small,
    check: |params| start_pgzip(params, None).map(drop),
    start: start_pgzip,
};

/// Levels plus 2 in the order of their use: the default, the fastest, the best, then the rest.
const USUAL: [u32; 11] = [8, 3, 11, 7, 6, 5, 4, 9, 10, 0, 2];
/// Levels plus 2 of klauspost's, whose default is 5.
const KLAUSPOST: [u32; 11] = [7, 8, 3, 11, 5, 4, 6, 9, 10, 0, 2];
/// Bytes of pgzip's segments unless somebody says otherwise.
const SEGMENT: u32 = 1 << 20;
/// Plain bytes of a block of the fast levels.
const BLOCK: usize = 65_535;
/// Tokens of a block of Go's other levels, and of klauspost's.
const TOKENS: usize = 1 << 14;
const MORE_TOKENS: usize = 1 << 15;

/// A stream of Go's ends with a block of its own, so that the first that says something is never the last.
fn levels(opening: &Opening) -> Vec<Vec<u32>> {
    let levels: &[u32] = match (opening.kind, opening.tokens, opening.plain) {
        _ if opening.last => &[],
        (Kind::Stored, _, BLOCK) => &[2, 3, 0, 8, 11],
        (Kind::Stored, ..) | (_, TOKENS, BLOCK) => &USUAL,
        (_, TOKENS, _) => &[8, 11, 7, 6, 5, 4, 9, 10],
        (_, _, BLOCK) => &[3, 0],
        (_, tokens, _) if tokens > TOKENS => &[],
        _ => &USUAL, // the only block that says something
    };
    levels.iter().map(|level| vec![*level]).collect()
}

/// Editions, the newest first. A block may go on under the codes of the one before, so that several look like one.
fn editions(opening: &Opening) -> Vec<Vec<u32>> {
    let fast = opening.plain.is_multiple_of(BLOCK) || opening.plain < BLOCK;
    let deep = opening.tokens.is_multiple_of(MORE_TOKENS) || opening.plain < BLOCK;
    let fits = |level: &u32| match level {
        _ if opening.last => false,
        0 => opening.pairs == 0,
        2..=8 => fast,
        _ => deep,
    };
    KLAUSPOST.iter().filter(|n| fits(n)).flat_map(|n| (0..4).rev().map(|edition| vec![edition, *n])).collect()
}

fn segments(opening: &Opening) -> Vec<Vec<u32>> {
    editions(opening).into_iter().map(|row| [row, vec![SEGMENT]].concat()).collect()
}

/// Level -1 is another name of the default's number, and no parameter has two names.
fn level(param: u32) -> Option<i8> {
    i8::try_from(param).ok()?.checked_sub(2).filter(|level| *level != -1)
}

fn refused(family: &'static str, params: &[u32]) -> impl Fn(StartError) -> Error {
    let params = params.to_vec();
    move |e| match e {
        StartError::State { plain, .. } => Error::Checkpoint { plain, why: "its integers are no state" },
        StartError::Before { plain, .. } => Error::Checkpoint { plain, why: "too few bytes lie before it" },
        StartError::NoCheckpoints(_) => Error::Checkpoint { plain: 0, why: "its level has none" },
        StartError::Level(_) | StartError::Segment(_) => Error::Parameters { family, params: params.clone() },
    }
}

fn start_go(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let wrong = refused("go/1", params);
    let found = if let [param] = params { level(*param) } else { None };
    go::encoder(found.ok_or_else(|| wrong(StartError::Level(0)))?, place).map_err(wrong)
}

fn start_go127(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let wrong = refused("go127/1", params);
    let found = if let [edition, param] = params { Edition::parse(*edition).zip(level(*param)) } else { None };
    let (edition, level) = found.ok_or_else(|| wrong(StartError::Level(0)))?;
    go127::encoder(edition, level, place).map_err(wrong)
}

fn start_pgzip(params: &[u32], place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
    let wrong = refused("pgzip/1", params);
    let [edition, param, size] = params else { return Err(wrong(StartError::Level(0))) };
    let found = Edition::parse(*edition).zip(level(*param));
    let (edition, level) = found.ok_or_else(|| wrong(StartError::Level(0)))?;
    Ok(Box::new(Pgzip::new(edition, level, *size, place).map_err(wrong)?))
}
