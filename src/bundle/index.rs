//! A *bundle* parsed: roots and sections as values.
//!
//! Each section is checked against its digest before it is decoded, decoded against its rules, and dropped again; only what
//! the caller asks for stays in memory. Specified in `spec/bundle.md`, sections "Reading" and "Sections".

use super::writer::totals;
use super::{BundleError, Medium, Sealed, read_range};
use crate::cbor::Bytes;
use crate::codec::block;
use crate::digest::Blob;
use crate::format::FormatError;
use crate::format::area::Signed;
use crate::format::frame::Form;
use crate::format::root::{BASE, BaseRelease, CarriageRoot, ReleaseRoot, Root, SectionRef};
use crate::format::section::{ArtifactRow, SectionKind, check_facts, decode_list};
use crate::format::table::{self, Row};
use crate::model::{Artifact, Content, Described, Plan};
use std::collections::{BTreeMap, BTreeSet};

/// A parsed bundle. `T` says what is known of its trust: only a bundle with a verdict of the verify function unpacks.
pub struct Bundle<M, T> {
    pub(super) sealed: Sealed<M>,
    /// The release root.
    pub release: ReleaseRoot,
    /// The carriage root.
    pub carriage: CarriageRoot,
    /// What is known of its trust.
    pub trust: T,
}

impl<M: Medium, T> Bundle<M, T> {
    /// Parses the roots and checks them against each other and the footer.
    pub fn parse(sealed: Sealed<M>, trust: T) -> Result<Bundle<M, T>, BundleError> {
        let ids = sealed.ids();
        let release = ReleaseRoot::open(&sealed.release_root, &ids.release)?;
        let carriage = CarriageRoot::open(&sealed.carriage_root, &ids.carriage)?;
        let rule = |why| Err(FormatError::rule("the carriage root", why).into());
        if carriage.release != ids.release {
            return rule("it carries another release");
        }
        let stored: Vec<SectionRef> = carriage
            .sections
            .iter()
            .filter(|s| s.kind.is_release())
            .map(|s| SectionRef { kind: s.kind, entries: s.entries, plain_len: s.plain_len, digest: s.digest })
            .collect();
        if stored != release.sections {
            return rule("its release sections are not those of the release root");
        }
        let full = sealed.footer().form != Form::IndexOnly;
        let present = carriage.sections.iter().filter(|s| full || s.kind.is_release());
        if present.map(|s| u64::from(s.stored_len)).sum::<u64>() != sealed.footer().sections_len {
            return rule("its sections do not fill their part of the file");
        }
        if sealed.footer().form == Form::Full && carriage.blocks_len != sealed.footer().blocks_len {
            return rule("its blocks do not fill their part of the file");
        }
        Ok(Bundle { sealed, release, carriage, trust })
    }

    /// The ids.
    pub fn ids(&self) -> super::Ids {
        self.sealed.ids()
    }

    /// Which release it carries.
    pub fn named(&self) -> BaseRelease {
        let root = &self.release;
        let release = self.ids().release;
        BaseRelease { stream: root.stream.clone(), epoch: root.epoch, sequence: root.sequence, release }
    }

    /// The statements inside the file.
    pub fn statements(&self) -> &[Signed] {
        self.sealed.statements()
    }

    /// What the file carries.
    pub fn form(&self) -> Form {
        self.sealed.footer().form
    }

    /// Whether it leaves out bytes that base blobs hold.
    pub fn is_delta(&self) -> bool {
        self.carriage.requires.iter().any(|f| f == BASE)
    }

    /// The plain bytes of section `number`.
    pub(super) fn section(&self, number: usize) -> Result<Vec<u8>, BundleError> {
        let s = self.carriage.sections.get(number).ok_or_else(|| FormatError::rule("a section", "there is none"))?;
        if self.form() == Form::IndexOnly && !s.kind.is_release() {
            return Err(BundleError::NoBlocks("an index for reviewers"));
        }
        let before = self.carriage.sections.iter().take(number).map(|s| u64::from(s.stored_len)).sum::<u64>();
        let at = self.sealed.layout.sections + before;
        let stored = read_range(&self.sealed.medium, at, s.stored_len.into())?;
        let damaged = |source| BundleError::Section { number, kind: s.kind.name(), at, source };
        if s.kind.stored_digest(&stored) != s.stored_digest {
            return Err(damaged(FormatError::Digest { what: format!("section {number}") }));
        }
        let plain = match s.codec {
            0 => stored,
            _ => block::decompress(&stored, s.plain_len as usize, "a section").map_err(damaged)?,
        };
        if s.kind.plain_digest(&plain) != s.digest {
            return Err(damaged(FormatError::Digest { what: format!("the content of section {number}") }));
        }
        Ok(plain)
    }

    /// Calls `f` with the plain bytes and number of entries of every section of a kind, in order.
    pub(super) fn each_section(
        &self,
        kind: SectionKind,
        mut f: impl FnMut(&[u8], u32) -> Result<(), FormatError>,
    ) -> Result<(), BundleError> {
        for (number, s) in self.carriage.sections.iter().enumerate().filter(|(_, s)| s.kind == kind) {
            let plain = self.section(number)?;
            f(&plain, s.entries).map_err(|source| {
                let before = self.carriage.sections.iter().take(number).map(|s| u64::from(s.stored_len)).sum::<u64>();
                BundleError::Section { number, kind: kind.name(), at: self.sealed.layout.sections + before, source }
            })?;
        }
        Ok(())
    }

    /// All rows of a table.
    pub(super) fn rows<R: Row>(&self) -> Result<Vec<R>, BundleError> {
        let mut out = Vec::new();
        self.each_section(R::KIND, |bytes, entries| {
            out.extend(table::decode::<R>(bytes, entries)?);
            Ok(())
        })?;
        Ok(out)
    }

    /// The blobs of the release, in the order of their digests.
    pub fn blobs(&self) -> Result<Vec<Blob>, BundleError> {
        let blobs: Vec<Blob> = self.rows()?;
        if !blobs.is_sorted_by(|a, b| a.digest < b.digest) {
            return Err(FormatError::rule("the blob table", "it is not in the order of digests").into());
        }
        let bytes = blobs.iter().try_fold(0u64, |sum, b| sum.checked_add(b.len));
        if bytes != Some(self.release.bytes) || blobs.len() as u64 != self.release.blobs {
            return Err(FormatError::rule("the blob table", "it does not have the totals of the release root").into());
        }
        Ok(blobs)
    }

    /// The artifacts with their facts, in order; all that the release says.
    pub fn artifacts(&self) -> Result<Vec<Described>, BundleError> {
        let blobs = self.blobs()?;
        let blob = |n: u64| usize::try_from(n).ok().and_then(|n| blobs.get(n)).copied();
        let mut artifacts: Vec<Artifact> = Vec::new();
        self.each_section(SectionKind::Artifacts, |bytes, entries| {
            for row in decode_list::<ArtifactRow>(SectionKind::Artifacts, bytes, entries)? {
                artifacts.push(row.artifact(blob)?);
            }
            Ok(())
        })?;
        let mut facts: Vec<Bytes> = Vec::new();
        self.each_section(SectionKind::Facts, |bytes, entries| {
            let list = decode_list::<Bytes>(SectionKind::Facts, bytes, entries)?;
            list.iter().try_for_each(check_facts)?;
            facts.extend(list);
            Ok(())
        })?;
        if facts.len() != artifacts.len() {
            return Err(FormatError::rule("the facts", "they are not as many as the artifacts").into());
        }
        check_release(&self.release, &artifacts, &blobs)?;
        Ok(artifacts.into_iter().zip(facts).map(|(artifact, facts)| Described { artifact, facts }).collect())
    }
}

/// The rules that hold between the artifacts of a release.
fn check_release(root: &ReleaseRoot, artifacts: &[Artifact], blobs: &[Blob]) -> Result<(), FormatError> {
    let rule = |why: &str| Err(FormatError::rule("the artifacts", why));
    if !artifacts.is_sorted_by(|a, b| a.sort_key() < b.sort_key()) {
        return rule("they are not in order, or one occurs twice");
    }
    let used: BTreeSet<&Blob> = artifacts.iter().flat_map(|a| &a.blobs).collect();
    if used.len() != blobs.len() {
        return rule("a blob of the release belongs to none of them");
    }
    if totals(artifacts.iter().map(|a| (a.kind, a.blobs.as_slice()))) != root.totals {
        return rule("they do not have the totals of the release root");
    }
    check_places(artifacts.iter())
}

/// No two artifacts may want one place, on any file system. A plan knows what collides; each artifact gets content of its
/// own in it, because here even equal files may not share a place.
pub(super) fn check_places<'a>(artifacts: impl Iterator<Item = &'a Artifact>) -> Result<(), FormatError> {
    let mut places = Plan::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (n, a) in artifacts.enumerate() {
        match a.place() {
            Some(place) => {
                let place = place.map_err(|e| FormatError::rule("an artifact", e.to_string()))?;
                let own = Content::Bytes(n.to_be_bytes().to_vec());
                places.add(place, own).map_err(|e| FormatError::rule("the artifacts", e.to_string()))?;
            }
            None => {
                if let Some(other) = names.insert(crate::relpath::fold(&a.name), &a.name) {
                    let why = format!("two images are called {other:?} and {:?}", a.name);
                    return Err(FormatError::rule("the artifacts", why));
                }
            }
        }
    }
    Ok(())
}
