//! A *limit* is a bound on something that input decides: a length, a count, a depth.
//!
//! Limits of the format are normative (`spec/bundle.md`, section "Limits"); the others protect this implementation.
//! No code here; each is checked where the input is read, before anything is allocated for it.

/// Format: plain bytes of a block.
pub const BLOCK_PLAIN: u32 = 16 << 20;
/// Format: entries of a section.
pub const SECTION_ENTRIES: u32 = 65_536;
/// Format: plain bytes of a section.
pub const SECTION_PLAIN: u32 = 16 << 20;
/// Format: plain bytes of all sections together: what a reader may hold in memory. A release of 100 GB has about 100 MiB.
pub const INDEX_PLAIN: u64 = 256 << 20;
/// Format: bytes of a root.
pub const ROOT: u32 = 1 << 20;
/// Format: bytes of a statement's text, and of its signature.
pub const STATEMENT: usize = 16 << 10;
/// Format: bytes of the statement area.
pub const STATEMENT_AREA: u32 = 4 << 20;
/// Format: bytes of one artifact's facts.
pub const FACTS: usize = 8 << 20;
/// Format: blobs of one artifact.
pub const ARTIFACT_BLOBS: usize = 65_536;

/// An OCI manifest, index or config (the distribution specification's customary 4 MiB).
pub const OCI_DOCUMENT: u64 = 4 << 20;
/// A `manifest.json`, `index.json` or `repositories` of an image archive.
pub const ARCHIVE_DOCUMENT: u64 = 16 << 20;
/// Entries of an image archive's tar.
pub const ARCHIVE_ENTRIES: usize = 1_000_000;
/// Bytes of the names of an image archive's entries, all together.
pub const ARCHIVE_NAMES: u64 = 64 << 20;
/// Bytes of the JSON documents of an image archive that are held in memory, all together.
pub const ARCHIVE_DOCUMENTS: u64 = 128 << 20;
/// Plain bytes of an image archive or of a layer in it: what keeps a compression bomb from taking hours.
pub const ARCHIVE_PLAIN: u64 = 1 << 40;
/// Bytes of compressed archives' plain streams that a packer keeps in memory from the survey to the write.
pub const SPOOLED: u64 = 384 << 20;
/// A long name or a pax header of a tar.
pub const TAR_EXTENSION: u64 = 1 << 20;
/// Bytes of zeros after the end of a tar (GNU tar pads to 10 KiB unless told otherwise).
pub const TAR_PADDING: u64 = 16 << 20;
/// Links followed from one name of an archive to another.
pub const ARCHIVE_LINKS: usize = 16;
/// Names of the images of one archive or layout.
pub const ARCHIVE_IMAGE_NAMES: usize = 16_384;
/// Nesting of image indexes.
pub const INDEX_DEPTH: usize = 4;
/// An rpm's header store (rpm itself stops at 256 MiB).
pub const RPM_HEADER: u32 = 64 << 20;
/// Tags of an rpm header (rpm's own limit).
pub const RPM_TAGS: u32 = 65_535;
/// Values of one tag of an rpm header (files, dependencies; a texlive package has about 100,000).
pub const RPM_VALUES: usize = 1_000_000;
/// Bytes of all paths of an rpm, folders counted with every file (100,000 files take about 10 MiB).
pub const RPM_PATHS: usize = 64 << 20;
/// A deb's control member, unpacked.
pub const DEB_CONTROL: u64 = 16 << 20;
/// A deb's control file (long Provides lists reach 100 KiB).
pub const DEB_CONTROL_FILE: u64 = 1 << 20;
/// Members of a deb's ar shell.
pub const DEB_MEMBERS: usize = 64;
/// Entries of a deb's control member.
pub const DEB_CONTROL_ENTRIES: usize = 1024;
/// Memory of an xz decoder (`xz -9` needs 65 MiB).
pub const XZ_MEMORY: u64 = 128 << 20;
/// Base-2 logarithm of the window of zstd input that is not a bundle's (zstd's own default).
pub const ZSTD_WINDOW: u32 = 27;
/// A wheel's METADATA or an sdist's PKG-INFO.
pub const PYTHON_METADATA: u64 = 4 << 20;
/// Members of a wheel or module zip.
pub const ZIP_MEMBERS: usize = 500_000;
/// Bytes of a zip's central directory.
pub const ZIP_DIRECTORY: u64 = 64 << 20;
/// A wheel's RECORD, which has a line for each member.
pub const WHEEL_RECORD: u64 = 64 << 20;
/// A module's .mod file (Go's own limit), and its .info and .ziphash.
pub const GO_MOD: u64 = 16 << 20;
/// A chart's Chart.yaml.
pub const CHART_YAML: u64 = 1 << 20;
/// Bytes read of an unpacked chart or sdist in search of its description.
pub const ARCHIVE_SCAN: u64 = 4 << 30;
/// A repository metadata document (primary.xml of a large distribution is about 100 MiB).
pub const REPOSITORY_DOCUMENT: u64 = 512 << 20;
/// One file of evidence.
pub const EVIDENCE: u64 = 16 << 20;
/// All evidence that a site keeps for one release.
pub const EVIDENCE_OF_A_RELEASE: u64 = 64 << 20;
/// Statements of one folder, all together: texts and signatures.
pub const STATEMENTS_OF_A_FOLDER: u64 = 64 << 20;
/// The list of blobs beside a site's receipt: a line of at most 86 bytes each.
pub const INVENTORY: u64 = 256 << 20;
/// A packing list, policy or configuration file.
pub const CONFIGURATION: u64 = 4 << 20;
/// Format: bytes of an artifact's name, version, architecture, or of a label's key or value.
pub const LABEL: usize = 4096;
/// Bytes of a URL of `files.list`.
pub const URL: usize = 4096;
