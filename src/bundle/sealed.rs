//! A *sealed* bundle is one whose parts are located and whose roots have the digests that the footer names.
//!
//! Nothing of it has been parsed but the frame and the framing of statements: what the verify function needs, and no more.
//! Specified in `spec/bundle.md`, section "Reading".

use super::{BundleError, Medium, read_range};
use crate::digest::Digest;
use crate::format::FormatError;
use crate::format::area::{self, Signed};
use crate::format::frame::{self, FOOTER_LEN, Footer, Form, HEADER_LEN, Layout};
use crate::format::root::{CarriageRoot, ReleaseRoot, Root};

/// The two ids of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// What people approve.
    pub release: Digest,
    /// How this bundle carries it.
    pub carriage: Digest,
}

/// A bundle of which nothing is parsed yet.
pub struct Sealed<M> {
    pub(super) medium: M,
    pub(super) footer: Footer,
    pub(super) layout: Layout,
    pub(super) release_root: Vec<u8>,
    pub(super) carriage_root: Vec<u8>,
    statements: Vec<Signed>,
}

impl<M: Medium> Sealed<M> {
    /// Locates the parts. What is read: header, footer, statement area, roots; each is capped before it is read.
    pub fn open(medium: M) -> Result<Sealed<M>, BundleError> {
        let len = medium.len().map_err(|source| BundleError::Read { at: 0, len: 0, source })?;
        let least = (HEADER_LEN + FOOTER_LEN) as u64;
        if len < least {
            return Err(FormatError::Truncated { what: "the file", need: least, have: len }.into());
        }
        let mut header = [0u8; HEADER_LEN];
        header.copy_from_slice(&read_range(&medium, 0, HEADER_LEN as u64)?);
        frame::check_header(&header)?;
        let mut footer = [0u8; FOOTER_LEN];
        footer.copy_from_slice(&read_range(&medium, len - FOOTER_LEN as u64, FOOTER_LEN as u64)?);
        let footer = Footer::decode(&footer)?;
        if footer.form == Form::Head {
            return Err(FormatError::Form(footer.form.byte()).into()); // volumes are not read yet
        }
        let layout = footer.layout(len)?;
        let area = read_range(&medium, layout.statements, footer.statements_len.into())?;
        if Digest::labelled("statements", &area) != footer.statements {
            return Err(FormatError::Digest { what: "the statement area".into() }.into());
        }
        let statements = area::decode(&area)?;
        let release_root = read_range(&medium, layout.release_root, footer.release_root_len.into())?;
        let carriage_root = read_range(&medium, layout.carriage_root, footer.carriage_root_len.into())?;
        for (label, what, bytes, id) in [
            (ReleaseRoot::LABEL, ReleaseRoot::WHAT, &release_root, &footer.release_id),
            (CarriageRoot::LABEL, CarriageRoot::WHAT, &carriage_root, &footer.carriage_id),
        ] {
            if Digest::labelled(label, bytes) != *id {
                return Err(FormatError::Digest { what: what.into() }.into());
            }
        }
        Ok(Sealed { medium, footer, layout, release_root, carriage_root, statements })
    }

    /// The ids.
    pub fn ids(&self) -> Ids {
        Ids { release: self.footer.release_id, carriage: self.footer.carriage_id }
    }

    /// The statements inside the file, unverified.
    pub fn statements(&self) -> &[Signed] {
        &self.statements
    }

    /// The footer.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }
}
