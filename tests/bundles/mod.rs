//! Whole bundles in memory by the public functions: made, read as `verify` and `unpack` do (trust left out), taken apart.

#![allow(dead_code)] // each test crate uses a part

use pouch::bundle::{self, BlobSink, Bundle, BundleError, Ids, Options, Put, ReleaseSpec, Sealed, Workplace};
use pouch::cbor::{Bytes, encode};
use pouch::class::{Class, Classified};
use pouch::codec::block;
use pouch::digest::{Blob, Digest};
use pouch::format::FormatError;
use pouch::format::area::Signed;
use pouch::format::frame::{FOOTER_LEN, Footer, Form, HEADER_LEN};
use pouch::format::root::ReleaseRoot;
use pouch::format::section::SectionKind;
use pouch::format::table::{self, BlockRow};
use pouch::kind::file::FileFacts;
use pouch::kind::{BlobReader, KindError, ReadAt, ReadSeek};
use pouch::model::{Artifact, Described, Kind};
use pouch::monitor::Silent;
use pouch::relpath::RelPath;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

/// What came out of a bundle.
pub struct Seen {
    pub ids: Ids,
    pub artifacts: Vec<Described>,
    /// Restored blobs; none of index-only files.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
}

/// A refusal: its class and all its messages.
#[derive(Debug)]
pub struct Refusal {
    pub class: Class,
    pub text: String,
    /// Bases that are not here.
    pub lacking: Vec<Blob>,
}

/// Blobs that may serve as bases.
#[derive(Default)]
pub struct Held(pub Vec<Vec<u8>>);

impl BlobReader for Held {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        let found = self.0.iter().find(|bytes| Blob::of(bytes) == *blob);
        found.map(|b| Box::new(Cursor::new(b)) as _).ok_or(KindError::MissingBlob(blob.digest))
    }
    fn open_at(&self, blob: &Blob) -> Result<Option<Box<dyn ReadAt>>, KindError> {
        let found = self.0.iter().find(|bytes| Blob::of(bytes) == *blob);
        found.map(|b| Some(Box::new(Whole(b.clone())) as _)).ok_or(KindError::MissingBlob(blob.digest))
    }
    fn find(&self, digest: &Digest) -> Option<Blob> {
        self.0.iter().map(|bytes| Blob::of(bytes)).find(|b| b.digest == *digest)
    }
}

struct Whole(Vec<u8>);

impl ReadAt for Whole {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).and_then(|s| s.get(..buf.len()));
        buf.copy_from_slice(from.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Every check that needs no statement, then every blob.
pub fn read_all(bytes: &[u8]) -> Result<Seen, Refusal> {
    read_with(bytes, &Held::default())
}

/// As `read_all`, with blobs to build on.
pub fn read_with(bytes: &[u8], held: &Held) -> Result<Seen, Refusal> {
    read(bytes, held).map_err(|e| {
        let mut text = e.to_string();
        let mut source = std::error::Error::source(&e);
        while let Some(s) = source {
            text = format!("{text}: {s}");
            source = s.source();
        }
        let lacking = if let BundleError::Lacking(blobs) = &e { blobs.clone() } else { vec![] };
        Refusal { class: e.class(), text, lacking }
    })
}

fn read(bytes: &[u8], held: &Held) -> Result<Seen, BundleError> {
    let bundle = Bundle::parse(Sealed::open(bytes)?, ())?;
    let artifacts = bundle.artifacts()?;
    let mut sink = Memory::default();
    if bundle.form() != Form::IndexOnly {
        bundle.check_tables()?;
        bundle.check_blocks(1, &Silent)?;
        let work = Workplace { bases: held, scratch: &pouch::bundle::temporary };
        bundle.materialize_unverified(&mut sink, work, 1, &Silent)?;
    }
    Ok(Seen { ids: bundle.ids(), artifacts, blobs: sink.blobs })
}

#[derive(Default)]
struct Memory {
    blobs: BTreeMap<Digest, Vec<u8>>,
    open: Vec<u8>,
}

impl BlobSink for Memory {
    type Error = FormatError;
    fn wants(&mut self, _: &Blob) -> Result<bool, FormatError> {
        Ok(true)
    }
    fn begin(&mut self, _: &Blob) -> Result<(), FormatError> {
        self.open.clear();
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.open.extend_from_slice(bytes);
        Ok(())
    }
    fn finish(&mut self, blob: &Blob) -> Result<bool, FormatError> {
        let bytes = std::mem::take(&mut self.open);
        let ok = Blob::of(&bytes) == *blob;
        self.blobs.insert(blob.digest, bytes);
        Ok(ok)
    }
    fn read_back(&mut self, blob: &Blob, offset: u64, buf: &mut [u8]) -> Result<(), FormatError> {
        let from = self.blobs.get(&blob.digest).unwrap_or(&self.open);
        let at = usize::try_from(offset).expect("in memory");
        buf.copy_from_slice(&from[at..at + buf.len()]);
        Ok(())
    }
}

/// One file to pack: path below `www`, content, and whether it is kept whole.
pub struct File<'a> {
    pub path: &'a str,
    pub content: &'a [u8],
    pub verbatim: bool,
}

/// A bundle made by the writer. Blobs are put in the order given.
pub fn made(version: Option<&str>, files: &[File<'_>], statements: Vec<Signed>) -> Vec<u8> {
    let artifacts = files.iter().map(|f| Described {
        artifact: Artifact {
            kind: Kind::File,
            name: f.path.into(),
            version: None,
            arch: None,
            root: RelPath::new("www").expect("a path"),
            path: Some(RelPath::new(f.path).expect("a path")),
            executable: false,
            blobs: vec![Blob::of(f.content)],
            labels: vec![],
        },
        facts: Bytes(encode(&FileFacts {})),
    });
    let spec = ReleaseSpec { stream: "demo".into(), epoch: 0, sequence: 1, version: version.map(Into::into) };
    let prepared = bundle::prepare(&spec, artifacts.collect()).expect("prepares");
    let feed = |put: &mut dyn Put| {
        let mut seen = BTreeSet::new();
        for f in files {
            if seen.insert(Blob::of(f.content)) {
                put.put(&Blob::of(f.content), f.path, f.verbatim, &mut &f.content[..])?;
            }
        }
        Ok(())
    };
    let mut out = Vec::new();
    let options = Options { threads: 1, level: 3, against: &[] };
    bundle::write(&mut out, &prepared, options, &Silent, feed, |_| Ok(statements)).expect("writes");
    out
}

/// The release of `bytes` in another carriage: blobs in reverse order, compressed less, kept whole; `sign` makes its
/// statements.
pub fn carried_again(bytes: &[u8], sign: impl FnOnce(&ReleaseRoot, &Ids) -> Vec<Signed>) -> Vec<u8> {
    let seen = read_all(bytes).expect("a bundle");
    let root = Bundle::parse(Sealed::open(bytes).expect("opens"), ()).expect("parses").release;
    let spec = ReleaseSpec { stream: root.stream, epoch: root.epoch, sequence: root.sequence, version: root.version };
    let prepared = bundle::prepare(&spec, seen.artifacts).expect("prepares");
    let feed = |put: &mut dyn Put| {
        let blobs = prepared.blobs().iter().rev();
        blobs.clone().try_for_each(|b| put.put(b, "a blob", true, &mut seen.blobs[&b.digest].as_slice()))
    };
    let mut out = Vec::new();
    let signed = |ids: &Ids| Ok(sign(&prepared.root, ids));
    bundle::write(&mut out, &prepared, Options { threads: 1, level: 1, against: &[] }, &Silent, feed, signed)
        .expect("writes");
    out
}

/// Bytes that look like anything, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed;
    let next = || {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (x >> 33) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Text that compresses.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    noise(seed, len).into_iter().map(|b| b"etaoin shrdlu\n"[usize::from(b) % 14]).collect()
}

/// The structures of a full bundle in file order: name, begin, end. They cover every byte.
pub fn structures(bytes: &[u8]) -> Vec<(String, usize, usize)> {
    let at = |n: u64| usize::try_from(n).expect("in memory");
    let footer: &[u8; FOOTER_LEN] = bytes.last_chunk().expect("a footer");
    let footer = Footer::decode(footer).expect("decodes");
    let layout = footer.layout(bytes.len() as u64).expect("tiles");
    let bundle = Bundle::parse(Sealed::open(bytes).expect("opens"), ()).expect("parses");
    let mut out = vec![("header".to_owned(), 0, HEADER_LEN)];
    let mut sections = Vec::new();
    let mut from = at(layout.sections);
    for s in &bundle.carriage.sections {
        let to = from + s.stored_len as usize;
        if s.kind == SectionKind::Blocks {
            let stored = bytes[from..to].to_vec();
            let plain = match s.codec {
                0 => stored,
                _ => block::decompress(&stored, s.plain_len as usize, "blocks").expect("decompresses"),
            };
            for row in table::decode::<BlockRow>(&plain, s.entries).expect("decodes") {
                let begin = out.last().map_or(0, |(_, _, end)| *end);
                out.push((format!("block {}", out.len() - 1), begin, begin + row.stored_len as usize));
            }
        }
        sections.push((format!("section {} ({})", sections.len(), s.kind.name()), from, to));
        from = to;
    }
    out.extend(sections);
    for (name, from, to) in [
        ("release root", layout.release_root, layout.carriage_root),
        ("carriage root", layout.carriage_root, layout.volume_map),
        ("statement area", layout.statements, layout.footer),
        ("footer", layout.footer, layout.end),
    ] {
        out.push((name.into(), at(from), at(to)));
    }
    assert!(out.windows(2).all(|w| w[0].2 == w[1].1), "{out:?}");
    assert_eq!(out.last().map(|s| s.2), Some(bytes.len()));
    out
}
