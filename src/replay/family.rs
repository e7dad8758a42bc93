//! A *family* is an encoder with its parameters left open; an *identity* is a family and parameters.
//!
//! Numbers and names are frozen by golden vectors: what behaves differently is a new family. Section "Identity" of `spec/replay.md`.

use super::inflate::Opening;
use super::{Checkpoint, Encoder, Error};
use crate::codec::form::Form;

/// A checkpoint and the plain bytes before it.
pub type Place<'a> = (&'a Checkpoint, &'a [u8]);

/// Which parameters may have made a stream, the likeliest first.
pub enum Candidates {
    /// A raw deflate stream, by its first block.
    Deflate(fn(&Opening) -> Vec<Vec<u32>>),
    /// A stream of another form, by its first bytes and the length of what it expands to.
    Other(Form, fn(&[u8], u64) -> Vec<Vec<u32>>),
}

/// An encoder with its parameters left open.
pub struct Family {
    /// Its number in recipes.
    pub number: u32,
    /// Its name in the list of required features, and for people.
    pub name: &'static str,
    /// How many parameters it has.
    pub params: usize,
    /// How many integers the state of a checkpoint has; at most 8.
    pub state: usize,
    /// Plain bytes before a checkpoint that it starts from, at most 64 KiB (fewer only at the front of the stream).
    pub history: usize,
    /// Parameters that may have made a stream, and which streams it makes.
    pub candidates: Candidates,
    /// About how many bytes of memory an encoder takes for so many plain bytes.
    pub memory: fn(&[u32], u64) -> u64,
    /// Whether the family has these parameters.
    pub check: fn(&[u32]) -> Result<(), Error>,
    /// An encoder with these parameters, at the start of a stream or at a place inside.
    pub start: fn(&[u32], Option<Place>) -> Result<Box<dyn Encoder>, Error>,
}

/// All families, the likeliest first.
pub static FAMILIES: &[Family] = &[
    super::zlib::FAMILY,
    super::golang::GO,
    super::golang::PGZIP,
    super::golang::GO127,
    super::zlib::gnu::FAMILY,
    super::zlib::pigz::FAMILY,
    super::zlib::forks::FAMILY,
    super::xz::FAMILY,
    super::bzip2::FAMILY,
];

/// What encoders of deflate take: windows, tables and tokens.
pub fn small(_: &[u32], _: u64) -> u64 {
    2 << 20
}

impl Family {
    /// The form of the streams that it makes.
    #[must_use]
    pub fn form(&self) -> Form {
        match self.candidates {
            Candidates::Deflate(_) => Form::Deflate,
            Candidates::Other(form, _) => form,
        }
    }
}

/// One encoder with its parameters.
#[derive(Clone)]
pub struct Identity {
    family: &'static Family,
    params: Vec<u32>,
}

impl Identity {
    /// An encoder from the integers of a recipe: the family's number, then its parameters.
    ///
    /// # Errors
    /// [`Error::Family`], [`Error::Parameters`].
    pub fn parse(row: &[u32]) -> Result<Self, Error> {
        let (&number, params) = row.split_first().ok_or(Error::Family(0))?;
        let family = FAMILIES.iter().find(|f| f.number == number).ok_or(Error::Family(number))?;
        Self::new(family, params)
    }

    /// A family's encoder with these parameters.
    ///
    /// # Errors
    /// [`Error::Parameters`].
    pub fn new(family: &'static Family, params: &[u32]) -> Result<Self, Error> {
        if params.len() != family.params {
            return Err(Error::Parameters { family: family.name, params: params.to_vec() });
        }
        (family.check)(params)?;
        Ok(Self { family, params: params.to_vec() })
    }

    /// The integers of a recipe; [`parse`](Self::parse) of them is this identity.
    #[must_use]
    pub fn row(&self) -> Vec<u32> {
        [self.family.number].into_iter().chain(self.params.iter().copied()).collect()
    }

    /// The family.
    #[must_use]
    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// About how many bytes of memory the encoder takes for `plain` bytes.
    #[must_use]
    pub fn memory(&self, plain: u64) -> u64 {
        (self.family.memory)(&self.params, plain)
    }

    /// The parameters.
    #[must_use]
    pub fn params(&self) -> &[u32] {
        &self.params
    }

    /// The encoder, at the start of a stream or at a place inside.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the place is none of this encoder's.
    pub fn start(&self, place: Option<Place>) -> Result<Box<dyn Encoder>, Error> {
        (self.family.start)(&self.params, place)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.family.number == other.family.number && self.params == other.params
    }
}

impl Eq for Identity {}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// `zlib/1(6,8,15,0)`
impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}(", self.family.name)?;
        for (i, n) in self.params.iter().enumerate() {
            write!(f, "{}{n}", if i == 0 { "" } else { "," })?;
        }
        write!(f, ")")
    }
}
