//! The *writer* makes a bundle in one pass from front to back.
//!
//! It is given artifacts and a feed of blobs, and writes to any `io::Write`; it finds nothing and signs nothing itself.
//! Specified in `spec/bundle.md`, section "Writing".

use super::blocks::{Cutter, Done, RawBlock, ReadyBlock};
use super::built::{Built, SourceRun};
use super::index::check_places;
use super::work::{Parts, Work};
use super::{BundleError, Ids};
use crate::cbor::Bytes;
use crate::codec::block;
use crate::digest::{Blob, Digest};
use crate::format::FormatError;
use crate::format::area::{self, Signed};
use crate::format::frame::{self, Footer, Form};
use crate::format::root::{
    BaseRelease, CarriageRoot, REASON, ReleaseRoot, Root, SectionRef, StoredSection, Total, schema,
};
use crate::format::section::{ArtifactRow, Recipe, SectionKind, Segment, check_facts, encode_list};
use crate::format::table::{self, BlockRow, Row};
use crate::limits;
use crate::model::{Described, Kind};
use crate::monitor::Monitor;
use crate::parallel;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

/// Sections are cut at this many plain bytes: small enough to stream, large enough to compress.
const SECTION_TARGET: usize = 1 << 20;

/// What a release is called.
#[derive(Clone, Debug)]
pub struct ReleaseSpec {
    /// The stream.
    pub stream: String,
    /// Its epoch.
    pub epoch: u64,
    /// The sequence, from 1.
    pub sequence: u64,
    /// What people call it.
    pub version: Option<String>,
}

/// A release whose root and sections are made: its id is known before a byte of payload is written.
pub struct Prepared {
    /// The release id.
    pub id: Digest,
    /// The release root.
    pub root: ReleaseRoot,
    root_bytes: Vec<u8>,
    sections: Vec<(SectionKind, u32, Vec<u8>)>,
    blobs: Vec<Blob>,
    reason: Option<String>,
}

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Threads that compress.
    pub threads: usize,
    /// zstd's level.
    pub level: i32,
    /// Releases that carried the blobs which the feed leaves out, sorted; none where nothing is left out.
    pub against: &'a [BaseRelease],
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The ids.
    pub ids: Ids,
    /// Bytes of the file.
    pub len: u64,
    /// The carriage root.
    pub carriage: CarriageRoot,
    /// Plain bytes that the blocks hold after sharing.
    pub plain_len: u64,
    /// What it takes to unpack it.
    pub work: Work,
}

/// Makes root and sections of a release from its artifacts, in whatever order they come.
pub fn prepare(spec: &ReleaseSpec, mut artifacts: Vec<Described>) -> Result<Prepared, BundleError> {
    artifacts.sort_by(|a, b| a.artifact.sort_key().cmp(&b.artifact.sort_key()));
    check_places(artifacts.iter().map(|a| &a.artifact))?;
    let blobs: Vec<Blob> =
        artifacts.iter().flat_map(|a| a.artifact.blobs.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
    let number = |b: &Blob| blobs.binary_search(b).ok().and_then(|n| u64::try_from(n).ok());
    let mut rows = Vec::new();
    let mut facts = Vec::new();
    for described in &artifacts {
        rows.push(ArtifactRow::new(&described.artifact, number)?);
        check_facts(&described.facts)?;
        facts.push(described.facts.clone());
    }
    let mut sections = cut_list(SectionKind::Artifacts, &rows);
    sections.extend(cut_list(SectionKind::Facts, &facts));
    sections.extend(cut_table(&blobs));
    let totals = totals(artifacts.iter().map(|a| (a.artifact.kind, a.artifact.blobs.as_slice())));
    let mut requires: Vec<String> = totals.iter().map(|t| schema(t.kind)).collect();
    requires.sort();
    let root = ReleaseRoot {
        stream: spec.stream.clone(),
        epoch: spec.epoch,
        sequence: spec.sequence,
        version: spec.version.clone(),
        totals,
        blobs: blobs.len() as u64,
        bytes: blobs.iter().map(|b| b.len).sum(),
        sections: sections.iter().map(|(kind, entries, bytes)| section_ref(*kind, *entries, bytes)).collect(),
        requires,
        ext: None,
    };
    let (root_bytes, id) = root.seal_off()?;
    Ok(Prepared { id, root, root_bytes, sections, blobs, reason: None })
}

/// Totals per kind; a blob that several artifacts of a kind share counts once.
pub(super) fn totals<'a>(artifacts: impl Iterator<Item = (Kind, &'a [Blob])>) -> Vec<Total> {
    let mut by_kind: BTreeMap<&'static str, (Kind, u64, BTreeSet<Blob>)> = BTreeMap::new();
    for (kind, blobs) in artifacts {
        let (_, count, seen) = by_kind.entry(kind.name()).or_insert((kind, 0, BTreeSet::new()));
        *count += 1;
        seen.extend(blobs);
    }
    let total = |(kind, artifacts, seen): (Kind, u64, BTreeSet<Blob>)| Total {
        kind,
        artifacts,
        bytes: seen.iter().map(|b| b.len).fold(0, u64::saturating_add),
    };
    by_kind.into_values().map(total).collect()
}

fn section_ref(kind: SectionKind, entries: u32, bytes: &[u8]) -> SectionRef {
    SectionRef { kind, entries, plain_len: bytes.len() as u32, digest: kind.plain_digest(bytes) }
}

/// Cuts entries into sections of about [`SECTION_TARGET`] bytes. Whether an entry fits is asked of its own length, so
/// that the cuts depend on the entries alone.
fn cut_list<T: crate::cbor::Cbor>(kind: SectionKind, entries: &[T]) -> Vec<(SectionKind, u32, Vec<u8>)> {
    let mut out = Vec::new();
    let (mut from, mut len) = (0usize, 0usize);
    for (i, entry) in entries.iter().enumerate() {
        let own = crate::cbor::encode(entry).len();
        if i > from && (len + own > SECTION_TARGET || i - from >= limits::SECTION_ENTRIES as usize) {
            out.push((kind, (i - from) as u32, encode_list(entries.get(from..i).unwrap_or_default())));
            (from, len) = (i, 0);
        }
        len += own;
    }
    if from < entries.len() {
        out.push((kind, (entries.len() - from) as u32, encode_list(entries.get(from..).unwrap_or_default())));
    }
    out
}

fn cut_table<R: Row>(rows: &[R]) -> Vec<(SectionKind, u32, Vec<u8>)> {
    let per_section = (SECTION_TARGET / R::LEN).min(limits::SECTION_ENTRIES as usize);
    rows.chunks(per_section).map(|c| (R::KIND, c.len() as u32, table::encode(c))).collect()
}

/// Takes the blobs of a release whole, each once, in the order in which they are to lie.
pub trait PutBlob {
    /// Takes one blob: `what` names it in messages, `verbatim` keeps it whole (it is compressed already).
    fn put(&mut self, blob: &Blob, what: &str, verbatim: bool, bytes: &mut dyn Read) -> Result<(), BundleError>;
    /// Leaves one blob out: whoever unpacks has it already.
    fn leave_out(&mut self, blob: &Blob, what: &str) -> Result<(), BundleError>;
}

/// As [`PutBlob`], and takes parts of blobs that somebody else took apart.
pub trait Put: PutBlob {
    /// Cuts bytes by their content into chunks that all blobs share; gives their segments. `what` names the blob in messages.
    fn put_shared(&mut self, what: &str, bytes: &mut dyn Read) -> Result<Vec<Segment>, BundleError>;
    /// The number of a chunk that was put, if there is one of this digest.
    fn known(&self, chunk: &Digest) -> Option<u64>;
    /// Takes a block that is ready; gives the number of its first chunk.
    fn put_block(&mut self, block: ReadyBlock) -> Result<u64, BundleError>;
    /// Takes one blob as segments of chunks that were put before.
    fn put_recipe(&mut self, blob: &Blob, what: &str, segments: Vec<Segment>) -> Result<(), BundleError>;
}

type Queue<'f> = parallel::Feed<'f, RawBlock, Result<Done, BundleError>>;

fn push(queue: &mut Queue<'_>, block: RawBlock) -> bool {
    let weight = block.len();
    queue.push(block, weight).is_ok()
}

struct Producer<'a, 'f> {
    cutter: Cutter,
    feed: &'a mut Queue<'f>,
    prepared: &'a Prepared,
    recipes: Vec<Recipe>,
    extents: Vec<SourceRun>,
    seen: BTreeSet<u64>,
    monitor: &'a dyn Monitor,
}

impl Producer<'_, '_> {
    fn stopped() -> BundleError {
        BundleError::Write(std::io::Error::other("the writing was stopped"))
    }

    /// The blob's number, each once.
    fn number(&mut self, blob: &Blob, what: &str) -> Result<u64, BundleError> {
        let unknown = || FormatError::rule("a blob", format!("{what} is not in the release or comes twice"));
        let number = self.prepared.blobs.binary_search(blob).map_err(|_| unknown())? as u64;
        if self.seen.insert(number) { Ok(number) } else { Err(unknown().into()) }
    }
}

impl Put for Producer<'_, '_> {
    fn put_shared(&mut self, what: &str, bytes: &mut dyn Read) -> Result<Vec<Segment>, BundleError> {
        let feed = &mut self.feed;
        let cut = self.cutter.shared(bytes, &mut |block| push(feed, block));
        cut.map_err(|source| BundleError::Input { what: what.to_owned(), source })
    }

    fn known(&self, chunk: &Digest) -> Option<u64> {
        self.cutter.known(chunk)
    }

    fn put_block(&mut self, block: ReadyBlock) -> Result<u64, BundleError> {
        self.extents.extend(block.patch.iter().flat_map(|p| p.extents.iter().copied()));
        let feed = &mut self.feed;
        self.cutter.ready(block, &mut |block| push(feed, block)).map_err(|_| Self::stopped())
    }

    fn put_recipe(&mut self, blob: &Blob, what: &str, segments: Vec<Segment>) -> Result<(), BundleError> {
        let number = self.number(blob, what)?;
        self.monitor.advance(blob.len);
        self.recipes.push(Recipe { blob: number, segments });
        Ok(())
    }
}

impl PutBlob for Producer<'_, '_> {
    fn leave_out(&mut self, blob: &Blob, what: &str) -> Result<(), BundleError> {
        let blob_number = self.number(blob, what)?;
        self.monitor.advance(blob.len);
        self.recipes.push(Recipe { blob: blob_number, segments: vec![Segment::Itself] });
        Ok(())
    }

    fn put(&mut self, blob: &Blob, what: &str, verbatim: bool, bytes: &mut dyn Read) -> Result<(), BundleError> {
        let number = self.number(blob, what)?;
        let (feed, monitor) = (&mut self.feed, self.monitor);
        let mut emit = |block: RawBlock| push(feed, block);
        let segments = self.cutter.blob(blob, what, verbatim, bytes, &mut emit, &|n| monitor.advance(n))?;
        self.recipes.push(Recipe { blob: number, segments });
        Ok(())
    }
}

/// Writes the bundle. `feed` puts every blob of the release once; `sign` makes the statements that go inside.
pub fn write(
    out: &mut dyn Write,
    prepared: &Prepared,
    options: Options<'_>,
    monitor: &dyn Monitor,
    feed: impl FnOnce(&mut dyn Put) -> Result<(), BundleError> + Send,
    sign: impl FnOnce(&Ids) -> Result<Vec<Signed>, BundleError>,
) -> Result<Written, BundleError> {
    let mut out = Counted { out, len: 0 };
    out.put(&frame::header())?;
    let (mut rows, mut late): (Vec<BlockRow>, Vec<(u64, Digest)>) = (Vec::new(), Vec::new());
    let (mut blocks_len, mut plain_len) = (0u64, 0u64);
    let (cutter, recipes, runs) = parallel::ordered(
        options.threads,
        super::in_flight(options.threads),
        |queue| {
            let mut producer = Producer {
                cutter: Cutter::default(),
                feed: queue,
                prepared,
                recipes: Vec::new(),
                extents: Vec::new(),
                seen: BTreeSet::new(),
                monitor,
            };
            feed(&mut producer)?;
            let Producer { mut cutter, feed: queue, recipes, extents, .. } = producer;
            cutter.finish(&mut |block| push(queue, block));
            Ok((cutter, recipes, extents))
        },
        |raw: RawBlock| raw.store(options.level),
        |done: Result<Done, BundleError>| {
            let Done { block, chunk } = done?;
            out.put(&block.stored)?;
            blocks_len += u64::from(block.row.stored_len);
            plain_len += u64::from(block.row.plain_len);
            rows.push(block.row);
            late.extend(chunk);
            Ok::<(), BundleError>(())
        },
    )?;
    if recipes.len() != prepared.blobs.len() {
        let why = format!("{} of {} blobs were given", recipes.len(), prepared.blobs.len());
        return Err(FormatError::rule("the feed", why).into());
    }
    let chunks = cutter.into_chunks(&rows, &late)?;
    let built = Built::new(&runs, &recipes, &chunks)?;
    let bases: Vec<Blob> = built.bases.iter().map(|row| row.0).collect();
    let work = Work::new(&Parts {
        blobs: &prepared.blobs,
        recipes: &recipes,
        chunks: &chunks,
        rows: &rows,
        bases: &bases,
        expanded: built.expansions.iter().map(|row| row.plain_len).sum(),
        scratch: built.scratch,
    })?;
    let sections_at = out.len;
    let mut sections = Vec::new();
    let carriage_sections = cut_list(SectionKind::Recipes, &recipes)
        .into_iter()
        .chain(cut_table(&chunks))
        .chain(cut_table(&rows))
        .chain(cut_table(&built.bases))
        .chain(cut_table(&built.expansions))
        .chain(cut_table(&built.extents));
    let release_sections = prepared.sections.iter().map(|(k, n, b)| (*k, *n, std::borrow::Cow::Borrowed(b)));
    for (kind, entries, plain) in
        release_sections.chain(carriage_sections.map(|(k, n, b)| (k, n, std::borrow::Cow::Owned(b))))
    {
        sections.push(put_section(&mut out, kind, entries, &plain)?);
    }
    let carriage = CarriageRoot {
        release: prepared.id,
        sections,
        blocks: rows.len() as u64,
        blocks_len,
        chunks: chunks.len() as u64,
        scratch: built.scratch,
        requires: built.requires,
        ext: prepared.reason.as_ref().map(|reason| vec![(REASON, Bytes(reason.as_bytes().to_vec()))]),
        against: (!options.against.is_empty()).then(|| options.against.to_vec()),
    };
    let sections_len = out.len - sections_at;
    let (carriage_bytes, carriage_id) = carriage.seal_off()?;
    let ids = Ids { release: prepared.id, carriage: carriage_id };
    let statements = sign(&ids)?;
    let frame = Tail { form: Form::Full, blocks_len, sections_len, ids };
    put_tail(&mut out, &frame, &prepared.root_bytes, &carriage_bytes, &statements)?;
    out.out.flush().map_err(BundleError::Write)?;
    Ok(Written { ids, len: out.len, carriage, plain_len, work })
}

fn put_section(
    out: &mut Counted<'_>,
    kind: SectionKind,
    entries: u32,
    plain: &[u8],
) -> Result<StoredSection, BundleError> {
    let packed = block::compress(plain, block::SECTION_LEVEL);
    let (codec, stored) = match &packed {
        Some(stored) => (1, stored.as_slice()),
        None => (0, plain),
    };
    out.put(stored)?;
    Ok(StoredSection {
        kind,
        entries,
        plain_len: plain.len() as u32,
        digest: kind.plain_digest(plain),
        codec,
        stored_len: stored.len() as u32,
        stored_digest: kind.stored_digest(stored),
    })
}

/// What the footer says of the parts before the roots.
pub(super) struct Tail {
    pub form: Form,
    pub blocks_len: u64,
    pub sections_len: u64,
    pub ids: Ids,
}

/// Writes roots, statement area and footer.
pub(super) fn put_tail(
    out: &mut Counted<'_>,
    tail: &Tail,
    release: &[u8],
    carriage: &[u8],
    statements: &[Signed],
) -> Result<(), BundleError> {
    let area = area::encode(statements)?;
    out.put(release)?;
    out.put(carriage)?;
    out.put(&area)?;
    let footer = Footer {
        form: tail.form,
        blocks_len: tail.blocks_len,
        sections_len: tail.sections_len,
        release_root_len: release.len() as u32,
        carriage_root_len: carriage.len() as u32,
        volume_map_len: 0,
        statements_len: area.len() as u32,
        release_id: tail.ids.release,
        carriage_id: tail.ids.carriage,
        statements: Digest::labelled("statements", &area),
    };
    out.put(&footer.encode())
}

/// A writer that knows how far it is.
pub(super) struct Counted<'a> {
    pub out: &'a mut dyn Write,
    pub len: u64,
}

impl Counted<'_> {
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.out.write_all(bytes).map_err(BundleError::Write)?;
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Prepared {
    /// With the reason for which the release was made of another one; it travels in the carriage root.
    pub fn because(self, reason: Option<String>) -> Prepared {
        Prepared { reason, ..self }
    }

    /// Why the release was made of another one.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The blobs of the release, in the order of their digests.
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// Total of the facts' and artifacts' plain bytes.
    pub fn index_len(&self) -> u64 {
        self.sections.iter().map(|(_, _, b)| b.len() as u64).sum()
    }
}
