//! An *rpm* is a package of an rpm distribution: a header that describes it, and a payload.
//!
//! Only the header is read, by a parser of our own: those to be had abort the program on a header that lies about its
//! lengths. What createrepo_c would say of a package can be rendered from its facts alone. Signatures are not checked:
//! the release names the whole file's digest. Specified in `spec/facts.md`, section "rpm/1".

use super::{BlobReader, Derived, KindError, top};
use crate::cbor::{Bytes, encode, record, tuple};
use crate::limits;
use crate::model::Artifact;

mod dependency;
mod evr;
mod facts;
mod header;
#[cfg(test)]
mod tests;

record! {
    /// Facts of an rpm, schema `rpm/1`: what repodata says of it, and what reviewers ask. Texts that the header lacks
    /// are empty, numbers that it lacks are 0.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RpmFacts {
        /// Package name.
        0 => name: String,
        /// Epoch; 0 where there is none.
        1 => epoch: u64,
        /// Version.
        2 => version: String,
        /// Release.
        3 => release: String,
        /// Architecture; `src` for source packages, whatever they were built on.
        4 => arch: String,
        /// One line, in the C locale.
        5 => summary: String,
        /// Description, in the C locale.
        6 => description: String,
        /// Packager.
        7 => packager: String,
        /// Home page.
        8 => url: String,
        /// When it was built, in Unix seconds.
        9 => build_time: u64,
        /// Bytes of its files when installed.
        10 => installed_size: u64,
        /// Bytes of its payload when unpacked; where the main header lacks it, what the signature header says.
        11 => archive_size: u64,
        /// License.
        12 => license: String,
        /// Vendor.
        13 => vendor: String,
        /// Group, in the C locale.
        14 => group: String,
        /// Host that built it.
        15 => build_host: String,
        /// File name of the source package; empty for source packages.
        16 => source_rpm: String,
        /// Offset of the main header in the file.
        17 => header_start: u64,
        /// Offset of the payload in the file.
        18 => header_end: u64,
        /// What it provides.
        19 => provides: Vec<Dependency>,
        /// What it requires, reduced as repodata does.
        20 => requires: Vec<Dependency>,
        /// What it conflicts with.
        21 => conflicts: Vec<Dependency>,
        /// What it obsoletes.
        22 => obsoletes: Vec<Dependency>,
        /// What it recommends.
        23 => recommends: Vec<Dependency>,
        /// What it suggests.
        24 => suggests: Vec<Dependency>,
        /// What it supplements.
        25 => supplements: Vec<Dependency>,
        /// What it enhances.
        26 => enhances: Vec<Dependency>,
        /// Folders of its files in order of first use, each once, as they stand before the file's name.
        27 => folders: Vec<String>,
        /// For each file, in the header's order, the number of its folder.
        28 => file_folders: Vec<u32>,
        /// For each file its name in the folder.
        29 => file_names: Vec<String>,
        /// For each file a byte: 0 file, 1 folder, 2 ghost.
        30 => file_types: Bytes,
        /// The ten newest entries of its changelog, oldest first.
        31 => changelogs: Vec<Changelog>,
        /// Names of the scripts that it runs on the machine that installs it (`pre`, `post`, `trigger`, ...).
        32 => scripts: Vec<String>,
        /// Files that run with their owner's or group's rights (mode 04000, 02000), in the header's order: path, mode.
        33 => setuid: Vec<(String, u64)>,
        /// The module, stream and build that a modular package belongs to.
        34 => modularity: Option<String>,
    }
}

/// One entry of provides, requires and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Name, file or boolean expression.
    pub name: String,
    /// How versions compare: 0 not at all (then the next three are empty), 2 LT, 4 GT, 8 EQ, 10 LE, 12 GE.
    pub comparison: u64,
    /// Epoch, decimal, `0` where it is not given.
    pub epoch: String,
    /// Version.
    pub version: String,
    /// Release; may be empty.
    pub release: String,
    /// Needed before the package's files are there.
    pub before: bool,
}
tuple!(Dependency { name, comparison, epoch, version, release, before });

impl Dependency {
    /// The comparison as repodata writes it; `None` where versions do not matter.
    pub fn comparison_name(&self) -> Option<&'static str> {
        comparison_name(self.comparison)
    }
}

fn comparison_name(flags: u64) -> Option<&'static str> {
    match flags & 15 {
        2 => Some("LT"),
        4 => Some("GT"),
        8 => Some("EQ"),
        10 => Some("LE"),
        12 => Some("GE"),
        _ => None,
    }
}

/// An entry of a changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changelog {
    /// Who wrote it, and often for which version.
    pub author: String,
    /// When, in Unix seconds; entries of the same second are set one second apart, the newest last.
    pub date: u64,
    /// What changed.
    pub text: String,
}
tuple!(Changelog { author, date, text });

/// What lies at a path of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A file, link or device.
    File,
    /// A folder.
    Folder,
    /// A file that belongs to the package and is not in it.
    Ghost,
}

impl RpmFacts {
    /// Its files, in the header's order: path and type.
    pub fn files(&self) -> impl Iterator<Item = (String, FileType)> {
        let rows = self.file_folders.iter().zip(&self.file_names).zip(&self.file_types.0);
        rows.map(|((folder, name), kind)| {
            let folder = usize::try_from(*folder).ok().and_then(|n| self.folders.get(n));
            let kind = match kind {
                1 => FileType::Folder,
                2 => FileType::Ghost,
                _ => FileType::File,
            };
            (format!("{}{name}", folder.map_or("", String::as_str)), kind)
        })
    }

    /// `[epoch:]version-release`.
    pub fn evr(&self) -> String {
        let epoch = if self.epoch == 0 { String::new() } else { format!("{}:", self.epoch) };
        format!("{epoch}{}-{}", self.version, self.release)
    }
}

/// Whether primary metadata lists a path: what clients ask for without loading all files.
pub fn is_primary(path: &[u8]) -> bool {
    path.starts_with(b"/etc/") || path == b"/usr/lib/sendmail" || path.windows(4).any(|w| w == b"bin/")
}

/// Where the payload of a package of `len` bytes begins; `None` where it is no rpm.
pub(crate) fn payload(file: &mut dyn std::io::Read, len: u64) -> Option<u64> {
    header::read(file, len).ok().map(|package| package.end)
}

/// Reads what the header says.
pub fn derive(artifact: &Artifact, blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let blob = top(artifact)?;
    let package = header::read(&mut std::io::BufReader::new(blobs.open(&blob)?), blob.len)?;
    let facts = facts::read(&package)?;
    let encoded = encode(&facts);
    if encoded.len() > limits::FACTS {
        let (limit, have) = (limits::FACTS, encoded.len());
        let [limit, have] = [limit, have].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
        return Err(KindError::TooLarge { what: "an rpm's facts", limit, have });
    }
    Ok(Derived {
        version: Some(facts.evr()),
        name: Some(facts.name),
        arch: Some(facts.arch),
        blobs: vec![blob],
        made: vec![],
        facts: Bytes(encoded),
    })
}
