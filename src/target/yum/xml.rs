//! An *XML document* of a repository, written element by element into gzip.
//!
//! What the elements mean is for `metadata`. Specified in `spec/site.md`, section "yum".

use crate::digest::{Blob, Hasher};
use flate2::write::GzEncoder;
use std::io::Write;

/// The text of some elements. Every value is escaped here and nowhere else.
#[derive(Default)]
pub struct Xml(String);

impl Xml {
    /// Markup that is written in this program.
    pub fn raw(&mut self, markup: &'static str) -> &mut Xml {
        self.0.push_str(markup);
        self
    }

    /// Opens the start tag of an element; ended by [`Xml::raw`] of `>` or `/>`.
    pub fn open(&mut self, name: &'static str) -> &mut Xml {
        self.0.push('<');
        self.raw(name)
    }

    /// An attribute in a start tag.
    pub fn attribute(&mut self, name: &'static str, value: impl std::fmt::Display) -> &mut Xml {
        self.0.push(' ');
        self.raw(name).raw("=\"");
        self.escape(&value.to_string(), true);
        self.raw("\"")
    }

    /// Text of an element.
    pub fn text(&mut self, value: &str) -> &mut Xml {
        self.escape(value, false);
        self
    }

    /// An element that has only text, on a line of its own.
    pub fn leaf(&mut self, name: &'static str, value: &str) -> &mut Xml {
        self.open(name).raw(">").text(value).raw("</").raw(name).raw(">\n")
    }

    /// Facts hold no character that XML cannot; those that a reader would change are written as references.
    fn escape(&mut self, value: &str, in_attribute: bool) {
        for c in value.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' if in_attribute => self.0.push_str("&quot;"),
                '\n' if in_attribute => self.0.push_str("&#10;"),
                '\t' if in_attribute => self.0.push_str("&#9;"),
                '\r' => self.0.push_str("&#13;"),
                c => self.0.push(c),
            }
        }
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// A gzip file in the making; the same text gives the same bytes, for nothing but the text goes in.
pub struct Document {
    gzip: GzEncoder<Vec<u8>>,
    plain: Hasher,
}

/// A finished gzip file.
pub struct Packed {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it is.
    pub file: Blob,
    /// What it unpacks to.
    pub plain: Blob,
}

impl Document {
    /// An empty document.
    pub fn new() -> Document {
        Document { gzip: crate::target::gzip(), plain: Hasher::new() }
    }

    /// Adds what was written.
    pub fn write(&mut self, xml: Xml) {
        let bytes = xml.into_bytes();
        self.plain.update(&bytes);
        let done = self.gzip.write_all(&bytes);
        debug_assert!(done.is_ok(), "writing to memory cannot fail");
    }

    /// Ends the document.
    pub fn finish(self) -> Packed {
        let done = self.gzip.finish();
        debug_assert!(done.is_ok(), "writing to memory cannot fail");
        let bytes = done.unwrap_or_default();
        Packed { file: Blob::of(&bytes), plain: self.plain.finish(), bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(value in "[\\t\\n\\r -\\u{d7ff}]{0,40}") {
            let mut xml = Xml::default();
            xml.open("a").attribute("b", &value).raw(">").text(&value).raw("</a>");
            let document = String::from_utf8(xml.into_bytes()).expect("UTF-8");
            let mut reader = quick_xml::Reader::from_str(&document);
            let mut read = String::new();
            loop {
                use quick_xml::events::Event;
                match reader.read_event().expect("XML") {
                    Event::Start(e) => {
                        let b = e.try_get_attribute("b").expect("attributes").expect("b");
                        let b = b.normalized_value(quick_xml::XmlVersion::Implicit1_0).expect("value");
                        prop_assert_eq!(b.as_ref(), value.as_str());
                    }
                    Event::Text(t) => read.push_str(&t.xml_content(quick_xml::XmlVersion::Implicit1_0)),
                    Event::GeneralRef(r) => {
                        let name = format!("&{};", &*r);
                        read.push_str(&quick_xml::escape::unescape(&name).expect("reference"));
                    }
                    Event::Eof => break,
                    _ => {}
                }
            }
            prop_assert_eq!(read, value);
        }
    }
}
