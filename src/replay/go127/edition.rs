//! An *edition* is a version of these encoders as far as its output differs: klauspost's changed three times before Go took them.
//!
//! Version numbers are those of the module `github.com/klauspost/compress`.

use super::super::go::StartError;
use super::super::{Checkpoint, Encoder};
use super::deep::{Deep, Habits};
use super::double::Level3;
use super::flat::Flat;
use super::pair::Level4;
use super::reuse::Rules;
use super::segment::Segment;
use super::single::{Level1, Level2};
use super::stream::Stream;
use super::triple::{Level5, Level6};

/// Which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// klauspost 1.15.15 to 1.17.11; levels 1 to 6 from 1.15.11 on.
    Klauspost15,
    /// klauspost 1.18.0 and 1.18.1: level 4 measures wrong bytes.
    Klauspost180,
    /// klauspost from 1.18.2 on: headers state only what is needed.
    Klauspost182,
    /// Go from 1.27 on; klauspost's from 1.18.2 on, but for level 9 where a byte has no code.
    Go127,
}

impl Edition {
    /// The edition of a number, 0 to 3 in the order above; `None`: no such edition.
    #[must_use]
    pub fn parse(number: u32) -> Option<Self> {
        [Self::Klauspost15, Self::Klauspost180, Self::Klauspost182, Self::Go127]
            .get(usize::try_from(number).ok()?)
            .copied()
    }

    /// The level that -1 means.
    #[must_use]
    pub fn default_level(self) -> i8 {
        if self == Self::Go127 { 6 } else { 5 }
    }

    fn rules(self, penalty: u32) -> Rules {
        Rules { penalty, whole: matches!(self, Self::Klauspost15 | Self::Klauspost180) }
    }

    fn habits(self) -> Habits {
        Habits {
            count_all: matches!(self, Self::Klauspost15 | Self::Klauspost180),
            floor: self == Self::Go127,
            skip_preset: self == Self::Go127,
        }
    }

    /// An encoder of `level` (-2 to 9) at the start of a segment, `bits` bits into the stream; `None`: no such level.
    pub fn segment(self, level: i8, bits: u64) -> Option<Box<dyn Segment>> {
        let rules = self.rules(7);
        Some(match level {
            -2 => Box::new(Flat::new(true, 0, bits)),
            -1 => return self.segment(self.default_level(), bits),
            0 => Box::new(Flat::new(false, 0, bits)),
            1 => Box::new(Stream::<Level1>::new(rules, bits)),
            2 => Box::new(Stream::<Level2>::new(rules, bits)),
            3 => Box::new(Stream::<Level3>::new(rules, bits)),
            4 if self == Self::Klauspost15 => Box::new(Stream::<Level4<false>>::new(rules, bits)),
            4 => Box::new(Stream::<Level4<true>>::new(rules, bits)),
            5 => Box::new(Stream::<Level5>::new(rules, bits)),
            6 => Box::new(Stream::<Level6>::new(rules, bits)),
            7..=9 => Box::new(Deep::new(level.unsigned_abs(), self.rules(8), self.habits(), bits)),
            _ => return None,
        })
    }

    /// An encoder of `level` at a checkpoint.
    ///
    /// # Errors
    /// An unknown level, one without checkpoints, a checkpoint of another encoder, or too few bytes before it.
    pub fn restart(self, level: i8, at: &Checkpoint, before: &[u8]) -> Result<Box<dyn Encoder>, StartError> {
        let rules = self.rules(7);
        let (plain, have) = (at.plain, at.state.len());
        match level {
            -1 => self.restart(self.default_level(), at, before),
            -2 | 0 if at.state == [0] => Ok(Box::new(Flat::new(level == -2, plain, at.bits))),
            -2 | 0 => Err(StartError::State { plain, have }),
            1 => Ok(Box::new(Stream::<Level1>::restart(rules, at, before)?)),
            2 => Ok(Box::new(Stream::<Level2>::restart(rules, at, before)?)),
            3 => Ok(Box::new(Stream::<Level3>::restart(rules, at, before)?)),
            4 if self == Self::Klauspost15 => Ok(Box::new(Stream::<Level4<false>>::restart(rules, at, before)?)),
            5 => Ok(Box::new(Stream::<Level5>::restart(rules, at, before)?)),
            6 => Ok(Box::new(Stream::<Level6>::restart(rules, at, before)?)),
            4 | 7..=9 => Err(StartError::NoCheckpoints(level)),
            _ => Err(StartError::Level(level)),
        }
    }
}
