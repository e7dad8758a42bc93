//! *Metadata* of a yum repository: primary, filelists, other and repomd.
//!
//! What is in them is equal to createrepo_c's, element by element; they are written from facts alone. Specified in
//! `spec/site.md`, section "yum".

use super::xml::{Document, Packed, Xml};
use crate::digest::Digest;
use crate::kind::rpm::{Dependency, FileType, RpmFacts, is_primary};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A package as an index lists it.
pub struct Listing<'a> {
    /// Its file's digest, which is its id.
    pub digest: Digest,
    /// Its file's length in bytes.
    pub len: u64,
    /// Its file below the repository.
    pub href: &'a str,
    /// Its file's date.
    pub time: i64,
    /// Its facts.
    pub facts: &'a RpmFacts,
}

/// The three indexes in the making.
pub struct Indexes {
    primary: Document,
    filelists: Document,
    other: Document,
}

impl Indexes {
    /// Indexes of `count` packages.
    pub fn new(count: usize) -> Indexes {
        let start = |open: &'static str| {
            let (mut xml, mut document) = (Xml::default(), Document::new());
            xml.raw(DECLARATION).open(open).attribute("packages", count).raw(">\n");
            document.write(xml);
            document
        };
        Indexes {
            primary: start(concat!(
                "metadata xmlns=\"http://linux.duke.edu/metadata/common\"",
                " xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\""
            )),
            filelists: start("filelists xmlns=\"http://linux.duke.edu/metadata/filelists\""),
            other: start("otherdata xmlns=\"http://linux.duke.edu/metadata/other\""),
        }
    }

    /// Adds a package.
    pub fn add(&mut self, listing: &Listing<'_>) {
        self.primary.write(primary(listing));
        self.filelists.write(filelists(listing));
        self.other.write(other(listing));
    }

    /// The finished indexes by type.
    pub fn finish(self) -> [(&'static str, Packed); 3] {
        let end = |mut document: Document, close: &'static str| {
            let mut xml = Xml::default();
            xml.raw(close);
            document.write(xml);
            document.finish()
        };
        [
            ("primary", end(self.primary, "</metadata>\n")),
            ("filelists", end(self.filelists, "</filelists>\n")),
            ("other", end(self.other, "</otherdata>\n")),
        ]
    }
}

fn version<'a>(xml: &'a mut Xml, facts: &RpmFacts) -> &'a mut Xml {
    xml.open("version").attribute("epoch", facts.epoch).attribute("ver", &facts.version);
    xml.attribute("rel", &facts.release).raw("/>\n")
}

fn primary(listing: &Listing<'_>) -> Xml {
    let (mut xml, facts) = (Xml::default(), listing.facts);
    xml.raw("<package type=\"rpm\">\n").leaf("name", &facts.name).leaf("arch", &facts.arch);
    version(&mut xml, facts);
    xml.raw("<checksum type=\"sha256\" pkgid=\"YES\">").text(&listing.digest.hex()).raw("</checksum>\n");
    xml.leaf("summary", &facts.summary).leaf("description", &facts.description);
    xml.leaf("packager", &facts.packager).leaf("url", &facts.url);
    xml.open("time").attribute("file", listing.time).attribute("build", facts.build_time).raw("/>\n");
    xml.open("size").attribute("package", listing.len).attribute("installed", facts.installed_size);
    xml.attribute("archive", facts.archive_size).raw("/>\n");
    xml.open("location").attribute("href", listing.href).raw("/>\n");
    xml.raw("<format>\n").leaf("rpm:license", &facts.license).leaf("rpm:vendor", &facts.vendor);
    xml.leaf("rpm:group", &facts.group).leaf("rpm:buildhost", &facts.build_host);
    xml.leaf("rpm:sourcerpm", &facts.source_rpm);
    xml.open("rpm:header-range").attribute("start", facts.header_start).attribute("end", facts.header_end).raw("/>\n");
    for (name, list) in [
        ("rpm:provides", &facts.provides),
        ("rpm:requires", &facts.requires),
        ("rpm:conflicts", &facts.conflicts),
        ("rpm:obsoletes", &facts.obsoletes),
        ("rpm:suggests", &facts.suggests),
        ("rpm:enhances", &facts.enhances),
        ("rpm:recommends", &facts.recommends),
        ("rpm:supplements", &facts.supplements),
    ] {
        dependencies(&mut xml, name, list);
    }
    files(&mut xml, facts.files().filter(|(path, _)| is_primary(path.as_bytes())));
    xml.raw("</format>\n</package>\n");
    xml
}

fn dependencies(xml: &mut Xml, name: &'static str, list: &[Dependency]) {
    if list.is_empty() {
        return;
    }
    xml.open(name).raw(">\n");
    for one in list {
        xml.open("rpm:entry").attribute("name", &one.name);
        if let Some(comparison) = one.comparison_name() {
            xml.attribute("flags", comparison);
        }
        for (key, value) in [("epoch", &one.epoch), ("ver", &one.version), ("rel", &one.release)] {
            if !value.is_empty() {
                xml.attribute(key, value);
            }
        }
        if one.before {
            xml.attribute("pre", 1);
        }
        xml.raw("/>\n");
    }
    xml.raw("</").raw(name).raw(">\n");
}

fn files(xml: &mut Xml, files: impl Iterator<Item = (String, FileType)>) {
    for (path, kind) in files {
        xml.raw(match kind {
            FileType::File => "<file>",
            FileType::Folder => "<file type=\"dir\">",
            FileType::Ghost => "<file type=\"ghost\">",
        });
        xml.text(&path).raw("</file>\n");
    }
}

/// The start of a package in filelists and other.
fn named(listing: &Listing<'_>) -> Xml {
    let (mut xml, facts) = (Xml::default(), listing.facts);
    xml.open("package").attribute("pkgid", listing.digest.hex()).attribute("name", &facts.name);
    xml.attribute("arch", &facts.arch).raw(">\n");
    version(&mut xml, facts);
    xml
}

fn filelists(listing: &Listing<'_>) -> Xml {
    let mut xml = named(listing);
    files(&mut xml, listing.facts.files());
    xml.raw("</package>\n");
    xml
}

fn other(listing: &Listing<'_>) -> Xml {
    let mut xml = named(listing);
    for entry in &listing.facts.changelogs {
        xml.open("changelog").attribute("author", &entry.author).attribute("date", entry.date);
        xml.raw(">").text(&entry.text).raw("</changelog>\n");
    }
    xml.raw("</package>\n");
    xml
}

/// A line of repomd.xml.
pub struct Data {
    /// Type.
    pub doctype: String,
    /// File below the repository.
    pub href: String,
    /// The file's digest.
    pub digest: Digest,
    /// The file's length in bytes.
    pub len: u64,
    /// Digest and length of what a compressed file unpacks to.
    pub plain: Option<(Digest, u64)>,
}

/// Renders repomd.xml.
pub fn repomd(data: &[Data], time: i64) -> Vec<u8> {
    let mut xml = Xml::default();
    let time = time.to_string();
    xml.raw(DECLARATION).raw("<repomd xmlns=\"http://linux.duke.edu/metadata/repo\"");
    xml.raw(" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n").leaf("revision", &time);
    for d in data {
        xml.open("data").attribute("type", &d.doctype).raw(">\n");
        xml.raw("<checksum type=\"sha256\">").text(&d.digest.hex()).raw("</checksum>\n");
        if let Some((digest, _)) = d.plain {
            xml.raw("<open-checksum type=\"sha256\">").text(&digest.hex()).raw("</open-checksum>\n");
        }
        xml.open("location").attribute("href", &d.href).raw("/>\n");
        xml.leaf("timestamp", &time).leaf("size", &d.len.to_string());
        if let Some((_, len)) = d.plain {
            xml.leaf("open-size", &len.to_string());
        }
        xml.raw("</data>\n");
    }
    xml.raw("</repomd>\n");
    xml.into_bytes()
}
