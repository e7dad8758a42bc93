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
/// Nesting of image indexes.
pub const INDEX_DEPTH: usize = 4;
/// An rpm's header store (rpm itself stops at 256 MiB).
pub const RPM_HEADER: u32 = 64 << 20;
/// Tags of an rpm header (rpm's own limit).
pub const RPM_TAGS: u32 = 65_535;
/// A deb's control member, unpacked.
pub const DEB_CONTROL: u64 = 16 << 20;
/// A wheel's METADATA or an sdist's PKG-INFO.
pub const PYTHON_METADATA: u64 = 4 << 20;
/// Members of a wheel or module zip.
pub const ZIP_MEMBERS: usize = 500_000;
/// A chart's Chart.yaml.
pub const CHART_YAML: u64 = 1 << 20;
/// Bytes read of an unpacked chart or sdist in search of its description.
pub const ARCHIVE_SCAN: u64 = 4 << 30;
/// A repository metadata document (primary.xml of a large distribution is about 100 MiB).
pub const REPOSITORY_DOCUMENT: u64 = 512 << 20;
/// A packing list, policy or configuration file.
pub const CONFIGURATION: u64 = 4 << 20;
/// Bytes of a URL of `files.list`.
pub const URL: usize = 4096;
