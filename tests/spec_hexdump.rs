//! The annotated dump of the smallest bundle in `spec/bundle.md`, section 15, is made anew and compared.
//! `POUCH_BLESS=1` writes it.

mod bundles;

use bundles::{File, made, structures};
use std::fs;
use std::path::PathBuf;

/// What the keys or items of a CBOR structure are called.
enum Names {
    Leaf,
    Map(&'static [(u64, &'static str, Names)]),
    List(&'static str, &'static Names),
    Tuple(&'static [(&'static str, Names)]),
}
use Names::{Leaf, List, Map, Tuple};

static TOTAL: Names = Map(&[(0, "kind", Leaf), (1, "artifacts", Leaf), (2, "bytes of their blobs", Leaf)]);
static REF: Names = Map(&[
    (0, "section kind", Leaf),
    (1, "entries", Leaf),
    (2, "plain length", Leaf),
    (3, "digest of the plain bytes", Leaf),
]);
static STORED: Names = Map(&[
    (0, "section kind", Leaf),
    (1, "entries", Leaf),
    (2, "plain length", Leaf),
    (3, "digest of the plain bytes", Leaf),
    (4, "codec", Leaf),
    (5, "stored length", Leaf),
    (6, "digest of the stored bytes", Leaf),
]);
static FEATURE: Names = Leaf;
static RELEASE: Names = Map(&[
    (0, "stream", Leaf),
    (1, "epoch", Leaf),
    (2, "sequence", Leaf),
    (3, "version", Leaf),
    (4, "totals", List("total", &TOTAL)),
    (5, "blobs", Leaf),
    (6, "their bytes", Leaf),
    (7, "sections", List("section", &REF)),
    (8, "requires", List("feature", &FEATURE)),
]);
static CARRIAGE: Names = Map(&[
    (0, "release id", Leaf),
    (1, "sections", List("section", &STORED)),
    (2, "blocks", Leaf),
    (3, "their stored bytes", Leaf),
    (4, "chunks", Leaf),
    (5, "scratch", Leaf),
    (6, "requires", List("feature", &FEATURE)),
]);
static NUMBER: Names = Leaf;
static LABEL: Names = Tuple(&[("key", Leaf), ("value", Leaf)]);
static ARTIFACT: Names = Map(&[
    (0, "kind", Leaf),
    (1, "name", Leaf),
    (2, "version", Leaf),
    (3, "architecture", Leaf),
    (4, "root", Leaf),
    (5, "path", Leaf),
    (6, "executable", Leaf),
    (7, "blobs", List("number", &NUMBER)),
    (8, "labels", List("label", &LABEL)),
]);
static ARTIFACTS: Names = List("artifact", &ARTIFACT);
static FACTS: Names = List("facts of artifact", &NUMBER);
static SEGMENT: Names = Tuple(&[("kind of segment", Leaf), ("first chunk", Leaf), ("count", Leaf)]);
static RECIPE: Names = Tuple(&[("blob", Leaf), ("segments", List("segment", &SEGMENT))]);
static RECIPES: Names = List("recipe", &RECIPE);

/// Writes lines of offset, bytes and meaning, front to back.
struct Dump<'a> {
    bytes: &'a [u8],
    at: usize,
    out: String,
}

impl Dump<'_> {
    fn title(&mut self, text: &str) {
        self.out += &format!("\n# {text}\n");
    }

    /// The next `len` bytes, 16 on a line, their meaning on the first.
    fn field(&mut self, len: usize, meaning: &str) {
        for (n, line) in self.bytes[self.at..self.at + len].chunks(16).enumerate() {
            let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
            let text = format!("{:04x}  {:<48} {}", self.at + n * 16, hex.join(" "), if n == 0 { meaning } else { "" });
            self.out += text.trim_end();
            self.out.push('\n');
        }
        self.at += len;
    }

    fn number(&self, width: usize) -> u64 {
        self.bytes[self.at..self.at + width].iter().fold(0, |n, b| n << 8 | u64::from(*b))
    }

    fn integer(&mut self, width: usize, meaning: &str) {
        let text = format!("{meaning}: {}", self.number(width));
        self.field(width, &text);
    }

    /// One CBOR item; `lead` bytes before it (a map's key) go on its first line.
    fn item(&mut self, lead: usize, what: &str, names: &Names, depth: usize) {
        let first = self.bytes[self.at + lead];
        let (major, info) = (first >> 5, first & 31);
        let width = if info < 24 { 0 } else { 1 << (info - 24) };
        let n = match width {
            0 => usize::from(info),
            _ => self.bytes[self.at + lead + 1..][..width].iter().fold(0, |n, b| n << 8 | usize::from(*b)),
        };
        let head = lead + 1 + width;
        let body = self.at + head;
        let pad = "  ".repeat(depth);
        match major {
            0 => self.field(head, &format!("{pad}{what}: {n}")),
            2 => self.field(head + n, &format!("{pad}{what}: {n} bytes")),
            3 => {
                let text = std::str::from_utf8(&self.bytes[body..body + n]).expect("UTF-8").to_owned();
                self.field(head + n, &format!("{pad}{what}: {text:?}"));
            }
            4 => {
                self.field(head, &format!("{pad}{what}: array of {n}"));
                for i in 0..n {
                    match names {
                        List(each, inner) => self.item(0, &format!("{each} {i}"), inner, depth + 1),
                        Tuple(each) => self.item(0, each[i].0, &each[i].1, depth + 1),
                        _ => panic!("{what} is an array"),
                    }
                }
            }
            5 => {
                self.field(head, &format!("{pad}{what}: map of {n}"));
                let Map(keys) = names else { panic!("{what} is a map") };
                for _ in 0..n {
                    let key = u64::from(self.bytes[self.at]);
                    let (_, name, inner) = keys.iter().find(|(k, ..)| *k == key).expect("a key with a name");
                    self.item(1, &format!("{key} {name}"), inner, depth + 1);
                }
            }
            _ => self.field(head, &format!("{pad}{what}: {}", info == 21)),
        }
    }

    fn header(&mut self) {
        self.field(8, "magic");
        self.integer(2, "version");
        self.field(6, "zero");
    }

    fn footer(&mut self) {
        self.field(8, "POUCHEND");
        self.integer(2, "version");
        self.integer(1, "form (full)");
        self.field(5, "zero");
        self.integer(8, "blocks_len");
        self.integer(8, "sections_len");
        for name in ["release_root_len", "carriage_root_len", "volume_map_len", "statements_len"] {
            self.integer(4, name);
        }
        self.field(32, "release id");
        self.field(32, "carriage id");
        self.field(32, "digest of the statement area");
        self.field(16, "zero");
        self.field(32, "SHA-256 of the footer so far");
    }

    fn part(&mut self, name: &str, len: usize) {
        match name {
            "header" => self.header(),
            "footer" => self.footer(),
            "release root" => self.item(0, "release root", &RELEASE, 0),
            "carriage root" => self.item(0, "carriage root", &CARRIAGE, 0),
            "statement area" => self.integer(4, "count"),
            n if n.ends_with("(artifacts)") => self.item(0, "artifacts", &ARTIFACTS, 0),
            n if n.ends_with("(facts)") => self.item(0, "facts", &FACTS, 0),
            n if n.ends_with("(recipes)") => self.item(0, "recipes", &RECIPES, 0),
            n if n.ends_with("(blobs)") => {
                self.field(32, "digest of blob 0");
                self.integer(8, "length");
            }
            n if n.ends_with("(chunks)") => {
                self.field(32, "digest of chunk 0");
                self.integer(4, "length");
            }
            n if n.ends_with("(blocks)") => {
                self.field(32, "SHA-256 of the stored bytes of block 0");
                self.integer(4, "stored length");
                self.integer(4, "plain length");
                self.integer(4, "chunks");
                self.integer(1, "codec");
                self.field(3, "zero");
            }
            _ => self.field(len, "stored bytes: \"hi\\n\""),
        }
    }
}

fn dump() -> String {
    let bytes = made(None, &[File { path: "a", content: b"hi\n", verbatim: false }], vec![]);
    let mut d = Dump { bytes: &bytes, at: 0, out: String::new() };
    for (name, from, to) in structures(&bytes) {
        d.title(&format!("{name}, {} bytes", to - from));
        d.part(&name, to - from);
        assert_eq!(d.at, to, "{name}");
    }
    format!("```text{}```\n", d.out)
}

#[test]
fn the_dump_in_the_specification_is_the_smallest_bundle() {
    const MARK: &str = "<!-- hexdump -->\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("spec/bundle.md");
    let text = fs::read_to_string(&path).expect("the specification");
    let (before, _) = text.split_once(MARK).expect("the mark");
    let expected = format!("{before}{MARK}\n{}", dump());
    if std::env::var_os("POUCH_BLESS").is_some() {
        fs::write(&path, expected).expect("writes");
    } else {
        assert!(text == expected, "the dump is another now; POUCH_BLESS=1 rewrites it:\n{}", dump());
    }
}
