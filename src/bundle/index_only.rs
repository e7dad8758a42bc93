//! An *index-only* file is a bundle without what a reviewer does not need: release sections, both roots, statements.
//!
//! It has the ids of the bundle it was taken from. Specified in `spec/bundle.md`, section "Writing".

use super::index::Bundle;
use super::writer::{Counted, Tail, put_tail};
use super::{BundleError, Medium, read_range};
use crate::format::area::Signed;
use crate::format::frame::{self, Form};
use std::io::Write;

/// Writes the index-only form of `bundle` with `statements` in its area; gives the length in bytes.
pub fn write<M: Medium, T>(
    bundle: &Bundle<M, T>,
    statements: &[Signed],
    out: &mut dyn Write,
) -> Result<u64, BundleError> {
    let mut out = Counted { out, len: 0 };
    out.put(&frame::header())?;
    let mut at = bundle.sealed.layout.sections;
    let begin = out.len;
    for (number, s) in bundle.carriage.sections.iter().enumerate().filter(|(_, s)| s.kind.is_release()) {
        bundle.section(number)?; // checks its digests
        out.put(&read_range(&bundle.sealed.medium, at, s.stored_len.into())?)?;
        at += u64::from(s.stored_len);
    }
    let tail = Tail { form: Form::IndexOnly, blocks_len: 0, sections_len: out.len - begin, ids: bundle.ids() };
    put_tail(&mut out, &tail, &bundle.sealed.release_root, &bundle.sealed.carriage_root, statements)?;
    out.out.flush().map_err(BundleError::Write)?;
    Ok(out.len)
}
