//! The *payload* is the blobs of a release in the order in which they lie in a bundle, with where their bytes come from.
//!
//! The order depends on the release alone, never on where the inputs lie: first what is plain, in the order of the
//! artifacts, then what comes out of compressed archives, one pass over each, then what is compressed already: gzip files and zip
//! archives first, so that what is expanded of them fills blocks with what was plain.

use crate::bundle::{BundleError, PutBlob};
use crate::digest::Blob;
use crate::parallel;
use crate::source::spool::Spools;
use crate::source::{Compression, Found, Origin, read};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::PathBuf;

/// How gzip files and zip archives begin.
const DEFLATED: [&[u8]; 2] = [b"\x1f\x8b", b"PK\x03\x04"];

/// One blob with its origin and a name for messages.
struct Item {
    blob: Blob,
    origin: Origin,
    what: String,
}

/// Members of one compressed archive, by offset.
struct Archive {
    path: PathBuf,
    compression: Compression,
    members: Vec<(u64, Blob, String)>,
}

/// See the module.
pub struct Payload {
    plain: Vec<Item>,
    archives: Vec<Archive>,
    deflated: Vec<Item>,
    verbatim: Vec<Item>,
}

/// Orders the blobs of `found`, which must be in the release's order of artifacts.
pub fn order(found: &[Found]) -> Result<Payload, BundleError> {
    let mut seen = BTreeSet::new();
    let mut out = Payload { plain: vec![], archives: vec![], deflated: vec![], verbatim: vec![] };
    let mut archives: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for f in found {
        let artifact = &f.described.artifact;
        for blob in artifact.blobs.iter().filter(|b| seen.insert(**b)) {
            let what = name(f, blob);
            let Some(origin) = f.origins.get(blob) else {
                let source = io::Error::other("the survey gave no origin for it");
                return Err(BundleError::Input { what, source });
            };
            if let Origin::Member { archive, compression, offset } = origin
                && *compression != Compression::None
            {
                let n = *archives.entry(archive.clone()).or_insert(out.archives.len());
                if n == out.archives.len() {
                    out.archives.push(Archive { path: archive.clone(), compression: *compression, members: vec![] });
                }
                if let Some(a) = out.archives.get_mut(n) {
                    a.members.push((*offset, *blob, what));
                }
                continue;
            }
            let item = Item { blob: *blob, origin: origin.clone(), what };
            let head = item.head()?;
            match (read::is_compressed(&head), DEFLATED.iter().any(|magic| head.starts_with(magic))) {
                (_, true) => out.deflated.push(item),
                (true, false) => out.verbatim.push(item),
                (false, false) => out.plain.push(item),
            }
        }
    }
    out.archives.iter_mut().for_each(|a| a.members.sort());
    Ok(out)
}

fn name(found: &Found, blob: &Blob) -> String {
    let artifact = &found.described.artifact;
    match found.origins.get(blob) {
        Some(Origin::File(path)) => path.display().to_string(),
        Some(Origin::Member { archive, .. }) => format!("{} in {}", blob.digest.short(), archive.display()),
        _ => format!("{} of {} {}", blob.digest.short(), artifact.kind, artifact.name),
    }
}

impl Item {
    fn open(&self) -> Result<Box<dyn Read>, BundleError> {
        let opened = read::open(&self.origin, &self.blob).and_then(|r| r.ok_or_else(|| io::Error::other("no stream")));
        opened.map_err(|source| BundleError::Input { what: self.what.clone(), source })
    }

    fn head(&self) -> Result<Vec<u8>, BundleError> {
        let mut head = Vec::new();
        let read = self.open()?.take(8).read_to_end(&mut head);
        read.map_err(|source| BundleError::Input { what: self.what.clone(), source })?;
        Ok(head)
    }
}

impl Payload {
    /// Puts all blobs.
    pub fn feed(&self, spools: &Spools, put: &mut dyn PutBlob) -> Result<(), BundleError> {
        for item in &self.plain {
            put.put(&item.blob, &item.what, false, &mut item.open()?)?;
        }
        for archive in &self.archives {
            archive.feed(spools, put)?;
        }
        for item in self.deflated.iter().chain(&self.verbatim) {
            put.put(&item.blob, &item.what, true, &mut item.open()?)?;
        }
        Ok(())
    }
}

impl Archive {
    /// Expanding it is half the work: done ahead, where the survey did not keep what it made.
    fn feed(&self, spools: &Spools, put: &mut dyn PutBlob) -> Result<(), BundleError> {
        match spools.open(&self.path) {
            Some(mut kept) => self.feed_from(&mut kept, put),
            None => parallel::read_ahead(
                || read::plain_stream(&self.path, self.compression),
                |stream| self.feed_from(stream, put),
            ),
        }
    }

    fn feed_from(&self, mut stream: &mut dyn Read, put: &mut dyn PutBlob) -> Result<(), BundleError> {
        let input = |source| BundleError::Input { what: self.path.display().to_string(), source };
        let mut at = 0u64;
        for (offset, blob, what) in &self.members {
            let skip = offset.checked_sub(at).ok_or_else(|| input(io::Error::other("members overlap")))?;
            io::copy(&mut (&mut stream).take(skip), &mut io::sink()).map_err(input)?;
            let mut head = Vec::new();
            (&mut stream).take(8.min(blob.len)).read_to_end(&mut head).map_err(input)?;
            let mut rest = (&mut stream).take(blob.len - head.len() as u64);
            put.put(blob, what, read::is_compressed(&head), &mut head.as_slice().chain(&mut rest))?;
            io::copy(&mut rest, &mut io::sink()).map_err(input)?; // what was left out was not read
            at = offset + blob.len;
        }
        Ok(())
    }
}
