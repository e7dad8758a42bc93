//! Surveys images and writes the registry tree that a site would have, for tests that start real servers on it.

use pouch::cbor::Bytes;
use pouch::digest::{Blob, Digest};
use pouch::kind::{BlobReader, KindError, ReadSeek};
use pouch::model::{Catalog, Content, Context, Plan, ReleaseView, SiteConfig};
use pouch::monitor::Silent;
use pouch::source::oci::OciSource;
use pouch::source::{Collected, Compression, Found, Origin, Source, SourceError};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// All images that a source finds, and its notes.
pub fn survey(source: &OciSource) -> Result<(Vec<Found>, Vec<String>), SourceError> {
    let kept = Collected::default();
    source.survey(&kept, &Silent)?;
    Ok(kept.into_parts())
}

/// A folder of blobs, as a site has one.
pub struct Store(pub PathBuf);

impl Store {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.hex())
    }

    /// Fills a store from origins; every blob must come out as it was announced.
    pub fn fill(folder: &Path, found: &[Found]) -> io::Result<Store> {
        let store = Store(folder.to_owned());
        fs::create_dir_all(folder)?;
        let mut plain: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for (blob, origin) in found.iter().flat_map(|f| &f.origins) {
            let to = store.path(&blob.digest);
            match origin {
                Origin::Bytes(bytes) => fs::write(&to, bytes)?,
                Origin::File(path) => drop(fs::copy(path, &to)?),
                Origin::Member { archive, compression, offset } => {
                    if !plain.contains_key(archive) {
                        let path = folder.join(format!("plain{}", plain.len()));
                        expand(archive, *compression, &path)?;
                        plain.insert(archive.clone(), path);
                    }
                    let mut from = File::open(&plain[archive])?;
                    from.seek(SeekFrom::Start(*offset))?;
                    io::copy(&mut from.take(blob.len), &mut File::create(&to)?)?;
                }
            }
            let have = pouch::digest::hash_reader(&mut File::open(&to)?)?;
            assert_eq!(have, *blob, "{origin:?}");
        }
        Ok(store)
    }
}

fn expand(archive: &Path, compression: Compression, to: &Path) -> io::Result<()> {
    let from = File::open(archive)?;
    let mut plain: Box<dyn Read> = match compression {
        Compression::None => Box::new(from),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(from)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(from)?),
    };
    io::copy(&mut plain, &mut File::create(to)?).map(drop)
}

impl BlobReader for Store {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        let bytes = fs::read(self.path(&blob.digest)).map_err(|_| KindError::MissingBlob(blob.digest))?;
        Ok(Box::new(Cursor::new(bytes)))
    }
    fn find(&self, digest: &Digest) -> Option<Blob> {
        let len = fs::metadata(self.path(digest)).ok()?.len();
        Some(Blob { digest: *digest, len })
    }
}

/// A catalog of one release.
pub fn catalog(found: &[Found]) -> Catalog {
    let artifacts = found.iter().map(|f| f.described.clone()).collect();
    Catalog { releases: vec![ReleaseView { stream: "s".into(), epoch: 1, sequence: 1, latest: true, artifacts }] }
}

/// Facts derived again from a store, as an unpack does; they must be those of the survey.
pub fn derive_again(found: &[Found], store: &Store) {
    for found in found {
        let described = &found.described;
        let again = pouch::kind::derive(&described.artifact, store).expect("derive again");
        assert_eq!(again.facts, Bytes(described.facts.0.clone()), "{}", described.artifact.name);
        assert_eq!(again.blobs, described.artifact.blobs);
        assert_eq!(again.arch, described.artifact.arch);
    }
}

/// Writes the files of a plan.
pub fn write_tree(catalog: &Catalog, store: &Store, tree: &Path) {
    let mut plan = Plan::new();
    let context = Context { config: &SiteConfig::default(), time: 0 };
    pouch::target::registry::plan(catalog, &context, &mut plan).expect("plan");
    for folder in plan.folders() {
        fs::create_dir_all(tree.join(folder.as_str())).expect("folder");
    }
    for (path, entry) in plan.files() {
        let to = tree.join(path.as_str());
        fs::create_dir_all(to.parent().expect("parent")).expect("folder");
        match &entry.content {
            Content::Bytes(bytes) => fs::write(&to, bytes).expect("write"),
            Content::Blob { digest, .. } => fs::hard_link(store.path(digest), &to).expect("link"),
        }
    }
}
