//! A *forge* lays a bundle from parts and lets a case break one thing, while every digest around it stays honest.
//!
//! It shares no code with the writer: it follows `spec/bundle.md`, so that an error of the writer cannot hide here.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

pub type Sha = [u8; 32];

pub fn sha(bytes: &[u8]) -> Sha {
    Sha256::digest(bytes).into()
}

/// Rule F2.
pub fn labelled(label: &str, bytes: &[u8]) -> Sha {
    let all = [b"pouch/v1/", label.as_bytes(), &[0], bytes].concat();
    sha(&all)
}

/// A CBOR item; `Raw` is whatever a case wants instead.
#[derive(Clone, Debug, PartialEq)]
pub enum V {
    U(u64),
    T(String),
    B(Vec<u8>),
    F(bool),
    A(Vec<V>),
    M(Vec<(u64, V)>),
    Raw(Vec<u8>),
}

pub fn t(text: &str) -> V {
    V::T(text.into())
}

impl V {
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            V::U(n) => head(0, *n, out),
            V::B(b) => {
                head(2, b.len() as u64, out);
                out.extend_from_slice(b);
            }
            V::T(s) => {
                head(3, s.len() as u64, out);
                out.extend_from_slice(s.as_bytes());
            }
            V::A(items) => {
                head(4, items.len() as u64, out);
                items.iter().for_each(|i| i.put(out));
            }
            V::M(pairs) => {
                head(5, pairs.len() as u64, out);
                for (k, v) in pairs {
                    head(0, *k, out);
                    v.put(out);
                }
            }
            V::F(b) => out.push(0xf4 + u8::from(*b)),
            V::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }

    fn pairs(&mut self) -> &mut Vec<(u64, V)> {
        match self {
            V::M(pairs) => pairs,
            _ => panic!("not a map"),
        }
    }

    /// Puts `value` under `key`, at its place in the order.
    pub fn set(&mut self, key: u64, value: V) {
        let pairs = self.pairs();
        match pairs.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(i) => pairs[i].1 = value,
            Err(i) => pairs.insert(i, (key, value)),
        }
    }

    pub fn remove(&mut self, key: u64) {
        self.pairs().retain(|(k, _)| *k != key);
    }

    pub fn get(&self, key: u64) -> Option<&V> {
        match self {
            V::M(pairs) => pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub fn at(&mut self, key: u64) -> &mut V {
        self.pairs().iter_mut().find(|(k, _)| *k == key).map(|(_, v)| v).expect("the key is there")
    }

    pub fn items(&mut self) -> &mut Vec<V> {
        match self {
            V::A(items) => items,
            _ => panic!("not an array"),
        }
    }

    pub fn number(&self) -> u64 {
        match self {
            V::U(n) => *n,
            _ => panic!("not a number"),
        }
    }
}

pub fn head(major: u8, n: u64, out: &mut Vec<u8>) {
    let m = major << 5;
    match n {
        0..=23 => out.push(m | n as u8),
        24..=0xff => out.extend_from_slice(&[m | 24, n as u8]),
        0x100..=0xffff => {
            out.push(m | 25);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(m | 26);
            out.extend_from_slice(&(n as u32).to_be_bytes());
        }
        _ => {
            out.push(m | 27);
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
}

/// A zstd frame (RFC 8878) of raw and run-length blocks only: the same bytes whatever library is about.
pub fn zstd(plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0]; // single segment, four bytes of content size
    out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    out.extend(zstd_blocks(plain));
    out
}

pub fn zstd_blocks(plain: &[u8]) -> Vec<u8> {
    const MOST: usize = 128 << 10;
    let mut pieces: Vec<(bool, &[u8])> = Vec::new(); // (run, bytes)
    let (mut from, mut at) = (0, 0);
    while at < plain.len() {
        let run = plain[at..].iter().take(MOST).take_while(|b| **b == plain[at]).count();
        if run >= 16 {
            pieces.extend(plain[from..at].chunks(MOST).map(|c| (false, c)));
            pieces.push((true, &plain[at..at + run]));
            from = at + run;
        }
        at += run;
    }
    pieces.extend(plain[from..].chunks(MOST).map(|c| (false, c)));
    let mut out = Vec::new();
    for (i, (run, bytes)) in pieces.iter().enumerate() {
        let header = (bytes.len() as u32) << 3 | u32::from(*run) << 1 | u32::from(i + 1 == pieces.len());
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.extend_from_slice(if *run { &bytes[..1] } else { bytes });
    }
    out
}

#[derive(Clone)]
pub struct Block {
    pub stored: Vec<u8>,
    pub digest: Sha,
    pub stored_len: u32,
    pub plain_len: u32,
    pub chunks: u32,
    pub codec: u8,
    pub zero: [u8; 3],
}

impl Block {
    pub fn raw(plain: &[u8], chunks: u32) -> Block {
        Block::stored(plain.to_vec(), plain.len() as u32, chunks, 0)
    }
    pub fn zstd(plain: &[u8], chunks: u32) -> Block {
        Block::stored(zstd(plain), plain.len() as u32, chunks, 1)
    }
    pub fn stored(stored: Vec<u8>, plain_len: u32, chunks: u32, codec: u8) -> Block {
        let (digest, stored_len) = (sha(&stored), stored.len() as u32);
        Block { stored, digest, stored_len, plain_len, chunks, codec, zero: [0; 3] }
    }
    /// Other stored bytes, honestly hashed.
    pub fn set(&mut self, stored: Vec<u8>) {
        *self = Block::stored(stored, self.plain_len, self.chunks, self.codec);
    }
}

#[derive(Clone)]
pub struct Section {
    pub kind: u64,
    pub entries: u64,
    pub plain: Vec<u8>,
    pub codec: u64,
    pub stored: Vec<u8>,
    pub plain_len: u64,
    pub digest: Sha,
    pub stored_len: u64,
    pub stored_digest: Sha,
}

const KINDS: [&str; 10] =
    ["", "artifacts", "facts", "blobs", "recipes", "chunks", "blocks", "bases", "expansions", "extents"];

impl Section {
    pub fn new(kind: u64, entries: u64, plain: Vec<u8>) -> Section {
        let mut s = Section {
            kind,
            entries,
            codec: 0,
            stored: plain.clone(),
            plain_len: 0,
            digest: [0; 32],
            stored_len: 0,
            stored_digest: [0; 32],
            plain,
        };
        s.seal();
        s
    }

    /// Makes lengths and digests those of the bytes.
    pub fn seal(&mut self) {
        let kind = KINDS[self.kind as usize];
        self.plain_len = self.plain.len() as u64;
        self.digest = labelled(&format!("section/{kind}"), &self.plain);
        self.stored_len = self.stored.len() as u64;
        self.stored_digest = labelled(&format!("stored/{kind}"), &self.stored);
    }

    pub fn set_plain(&mut self, plain: Vec<u8>) {
        (self.codec, self.stored, self.plain) = (0, plain.clone(), plain);
        self.seal();
    }

    pub fn set_stored(&mut self, codec: u64, stored: Vec<u8>) {
        (self.codec, self.stored) = (codec, stored);
        self.seal();
    }

    pub fn pack(&mut self) {
        let packed = zstd(&self.plain);
        self.set_stored(1, packed);
    }

    fn release_ref(&self) -> V {
        V::M(vec![
            (0, V::U(self.kind)),
            (1, V::U(self.entries)),
            (2, V::U(self.plain_len)),
            (3, V::B(self.digest.to_vec())),
        ])
    }

    fn carriage_ref(&self) -> V {
        let mut v = self.release_ref();
        v.set(4, V::U(self.codec));
        v.set(5, V::U(self.stored_len));
        v.set(6, V::B(self.stored_digest.to_vec()));
        v
    }
}

/// Rule F5, field by field.
#[derive(Clone)]
pub struct Footer {
    pub magic: [u8; 8],
    pub version: u16,
    pub form: u8,
    pub zero: [u8; 5],
    pub blocks_len: u64,
    pub sections_len: u64,
    pub release_root_len: u32,
    pub carriage_root_len: u32,
    pub volume_map_len: u32,
    pub statements_len: u32,
    pub release_id: Sha,
    pub carriage_id: Sha,
    pub statements: Sha,
    pub zero2: [u8; 16],
}

impl Footer {
    fn bytes(&self) -> Vec<u8> {
        let mut out = self.magic.to_vec();
        out.extend_from_slice(&self.version.to_be_bytes());
        out.push(self.form);
        out.extend_from_slice(&self.zero);
        out.extend_from_slice(&self.blocks_len.to_be_bytes());
        out.extend_from_slice(&self.sections_len.to_be_bytes());
        for n in [self.release_root_len, self.carriage_root_len, self.volume_map_len, self.statements_len] {
            out.extend_from_slice(&n.to_be_bytes());
        }
        for d in [self.release_id, self.carriage_id, self.statements] {
            out.extend_from_slice(&d);
        }
        out.extend_from_slice(&self.zero2);
        out.extend_from_slice(&sha(&out));
        out
    }
}

type Hook<T> = Vec<Box<dyn FnOnce(&mut T)>>;

/// A hook a stage: what it gets is consistent with all before it, and what it changes is hashed by all after it.
#[derive(Default)]
pub struct Hooks {
    rows: Hook<Vec<V>>,
    sections: Hook<Vec<Section>>,
    release: Hook<V>,
    release_bytes: Hook<Vec<u8>>,
    carriage: Hook<V>,
    carriage_bytes: Hook<Vec<u8>>,
    area: Hook<Vec<u8>>,
    parts: Hook<Vec<Vec<u8>>>,
    footer: Hook<Footer>,
    file: Hook<Vec<u8>>,
}

macro_rules! hook {
    ($($(#[$meta:meta])* $name:ident: $type:ty),* $(,)?) => {
        $($(#[$meta])* pub fn $name(&mut self, f: impl FnOnce(&mut $type) + 'static) {
            self.hooks.$name.push(Box::new(f));
        })*
    };
}

fn run<T>(hooks: Hook<T>, value: &mut T) {
    hooks.into_iter().for_each(|f| f(value));
}

/// The lists of an index, open to change, and what changes the rest.
pub struct Forge {
    pub artifacts: Vec<V>,
    pub facts: Vec<V>,
    pub blobs: Vec<(Sha, u64)>,
    pub recipes: Vec<V>,
    pub chunks: Vec<(Sha, u32)>,
    pub blocks: Vec<Block>,
    /// What a delta builds on.
    pub bases: Vec<(Sha, u64)>,
    /// `(base, offset, length, plain length)`.
    pub expansions: Vec<(u32, u64, u64, u64)>,
    /// `(source, offset, length)`.
    pub extents: Vec<(u32, u64, u64)>,
    /// Plain bytes of replays: scratch space beside that of expansions.
    pub replayed: u64,
    /// Features of the carriage.
    pub features: Vec<&'static str>,
    pub statements: Vec<(Vec<u8>, Vec<u8>)>,
    pub form: u8,
    /// Most entries of a section.
    pub split: usize,
    hooks: Hooks,
}

/// `(codec, chunks)` of one block.
pub type BlockOf<'a> = (u8, &'a [&'a [u8]]);
/// `(path, [(first chunk, count)])` of one file.
pub type FileOf<'a> = (&'a str, &'a [(u64, u64)]);

impl Forge {
    /// Files below `www`, from blocks of chunks.
    pub fn new(blocks: &[BlockOf<'_>], files: &[FileOf<'_>]) -> Forge {
        let chunks: Vec<&[u8]> = blocks.iter().flat_map(|(_, c)| c.iter().copied()).collect();
        let mut contents: Vec<(Vec<u8>, V)> = Vec::new(); // in the order of recipes
        let mut of_file: Vec<(&str, Sha)> = Vec::new();
        for (path, runs) in files {
            let run = |(first, count): &(u64, u64)| chunks[*first as usize..(first + count) as usize].concat();
            let content: Vec<u8> = runs.iter().flat_map(run).collect();
            let segments = runs.iter().map(|(f, c)| V::A(vec![V::U(0), V::U(*f), V::U(*c)])).collect();
            of_file.push((path, sha(&content)));
            if !contents.iter().any(|(c, _)| *c == content) {
                contents.push((content, V::A(segments)));
            }
        }
        let mut blobs: Vec<(Sha, u64)> = contents.iter().map(|(c, _)| (sha(c), c.len() as u64)).collect();
        blobs.sort();
        let number = |d: Sha| V::U(blobs.iter().position(|b| b.0 == d).expect("in the table") as u64);
        of_file.sort();
        let artifacts: Vec<V> = of_file.iter().map(|(path, d)| artifact("file", path, vec![number(*d)])).collect();
        Forge {
            facts: artifacts.iter().map(|_| V::B(vec![0xa0])).collect(),
            artifacts,
            recipes: contents.into_iter().map(|(c, s)| V::A(vec![number(sha(&c)), s])).collect(),
            chunks: chunks.iter().map(|c| (sha(c), c.len() as u32)).collect(),
            blocks: blocks
                .iter()
                .map(|(codec, c)| match codec {
                    0 => Block::raw(&c.concat(), c.len() as u32),
                    _ => Block::zstd(&c.concat(), c.len() as u32),
                })
                .collect(),
            blobs,
            bases: vec![],
            expansions: vec![],
            extents: vec![],
            replayed: 0,
            features: vec![],
            statements: vec![],
            form: 1,
            split: 65_536,
            hooks: Hooks::default(),
        }
    }

    /// Each file is one chunk, all of one raw block.
    pub fn files(files: &[(&str, &str)]) -> Forge {
        let mut chunks: Vec<&[u8]> = Vec::new();
        let mut of: Vec<(&str, Vec<(u64, u64)>)> = Vec::new();
        for (path, content) in files {
            let content = content.as_bytes();
            let n = chunks.iter().position(|c| *c == content).unwrap_or(chunks.len());
            if n == chunks.len() && !content.is_empty() {
                chunks.push(content);
            }
            of.push((path, if content.is_empty() { vec![] } else { vec![(n as u64, 1)] }));
        }
        let of: Vec<FileOf<'_>> = of.iter().map(|(p, r)| (*p, r.as_slice())).collect();
        if chunks.is_empty() { Forge::new(&[], &of) } else { Forge::new(&[(0, &chunks)], &of) }
    }

    /// One file.
    pub fn one() -> Forge {
        Forge::files(&[("a", "hi\n")])
    }

    /// What most cases break: four files, one of them empty, two that share, in a raw and a zstd block.
    pub fn sample() -> Forge {
        Forge::new(
            &[(0, &[b"hi\n", b"there\n"]), (1, &[&[b'z'; 600], b"tail\n"])],
            &[("a", &[(0, 1)]), ("b", &[(1, 2)]), ("c", &[(0, 1), (2, 2)]), ("d", &[])],
        )
    }

    hook! {
        /// Artifact rows, after the totals were taken of them.
        rows: Vec<V>,
        sections: Vec<Section>,
        release: V,
        release_bytes: Vec<u8>,
        carriage: V,
        carriage_bytes: Vec<u8>,
        area: Vec<u8>,
        /// Parts of the file before the footer, each one run of bytes: header, every block, every section, release root,
        /// carriage root, area. The footer knows nothing of changes here.
        parts: Vec<Vec<u8>>,
        footer: Footer,
        file: Vec<u8>,
    }

    fn totals(&self) -> Vec<(String, u64, u64)> {
        let mut by_kind: BTreeMap<String, (u64, BTreeMap<u64, u64>)> = BTreeMap::new();
        for row in &self.artifacts {
            let (Some(V::T(kind)), Some(V::A(numbers))) = (row.get(0), row.get(7)) else { continue };
            let entry = by_kind.entry(kind.clone()).or_default();
            entry.0 += 1;
            for n in numbers {
                if let Some((_, len)) = self.blobs.get(n.number() as usize) {
                    entry.1.insert(n.number(), *len);
                }
            }
        }
        by_kind.into_iter().map(|(k, (n, blobs))| (k, n, blobs.values().copied().fold(0, u64::wrapping_add))).collect()
    }

    /// Rule F16: lists cut into sections, in file order.
    fn lists(&self) -> Vec<Section> {
        let lists = [(1, &self.artifacts), (2, &self.facts), (4, &self.recipes)];
        let row = |b: &Block| {
            let n = [b.stored_len, b.plain_len, b.chunks].map(u32::to_be_bytes).concat();
            [&b.digest[..], &n, &[b.codec], &b.zero].concat()
        };
        let expansion = |(base, offset, len, plain): &(u32, u64, u64, u64)| {
            [&base.to_be_bytes()[..], &[offset, len, plain].map(|n| n.to_be_bytes()).concat()].concat()
        };
        let extent = |(source, offset, len): &(u32, u64, u64)| {
            [&source.to_be_bytes()[..], &[offset, len].map(|n| n.to_be_bytes()).concat()].concat()
        };
        let tables: [(u64, Vec<Vec<u8>>); 6] = [
            (3, self.blobs.iter().map(|(d, n)| [&d[..], &n.to_be_bytes()].concat()).collect()),
            (5, self.chunks.iter().map(|(d, n)| [&d[..], &n.to_be_bytes()].concat()).collect()),
            (6, self.blocks.iter().map(row).collect()),
            (7, self.bases.iter().map(|(d, n)| [&d[..], &n.to_be_bytes()].concat()).collect()),
            (8, self.expansions.iter().map(expansion).collect()),
            (9, self.extents.iter().map(extent).collect()),
        ];
        let mut out = Vec::new();
        for (kind, items) in lists {
            let cut = items.chunks(self.split);
            out.extend(cut.map(|c| Section::new(kind, c.len() as u64, V::A(c.to_vec()).bytes())));
        }
        for (kind, rows) in tables {
            out.extend(rows.chunks(self.split).map(|c| Section::new(kind, c.len() as u64, c.concat())));
        }
        out.sort_by_key(|s| s.kind); // stable: parts of one list stay in order
        out
    }

    /// The bundle.
    pub fn seal(mut self) -> Vec<u8> {
        let hooks = std::mem::take(&mut self.hooks);
        let totals = self.totals();
        run(hooks.rows, &mut self.artifacts);
        let mut sections = self.lists();
        run(hooks.sections, &mut sections);
        let mut release = V::M(vec![
            (0, t("demo")),
            (1, V::U(0)),
            (2, V::U(1)),
            (3, t("1.0")),
            (4, V::A(totals.iter().map(|(k, n, b)| V::M(vec![(0, t(k)), (1, V::U(*n)), (2, V::U(*b))])).collect())),
            (5, V::U(self.blobs.len() as u64)),
            (6, V::U(self.blobs.iter().map(|b| b.1).fold(0, u64::wrapping_add))),
            (7, V::A(sections.iter().filter(|s| s.kind <= 3).map(Section::release_ref).collect())),
            (8, V::A(totals.iter().map(|(k, ..)| t(&format!("{k}/1"))).collect())),
        ]);
        run(hooks.release, &mut release);
        let mut release = release.bytes();
        run(hooks.release_bytes, &mut release);
        let release_id = labelled("release", &release);
        let blocks_len: u64 = self.blocks.iter().map(|b| b.stored.len() as u64).sum();
        let mut carriage = V::M(vec![
            (0, V::B(release_id.to_vec())),
            (1, V::A(sections.iter().map(Section::carriage_ref).collect())),
            (2, V::U(self.blocks.len() as u64)),
            (3, V::U(blocks_len)),
            (4, V::U(self.chunks.len() as u64)),
            (5, V::U(self.expansions.iter().map(|e| e.3).fold(self.replayed, u64::wrapping_add))),
            (6, V::A(self.features.iter().map(|f| t(f)).collect())),
        ]);
        run(hooks.carriage, &mut carriage);
        let mut carriage = carriage.bytes();
        run(hooks.carriage_bytes, &mut carriage);
        let mut area = (self.statements.len() as u32).to_be_bytes().to_vec();
        for (text, signature) in &self.statements {
            area.extend_from_slice(&(text.len() as u32).to_be_bytes());
            area.extend_from_slice(&(signature.len() as u32).to_be_bytes());
            area.extend_from_slice(text);
            area.extend_from_slice(signature);
        }
        run(hooks.area, &mut area);
        let full = self.form == 1;
        let present: Vec<&Section> = sections.iter().filter(|s| self.form != 3 || s.kind <= 3).collect();
        let mut footer = Footer {
            magic: *b"POUCHEND",
            version: 1,
            form: self.form,
            zero: [0; 5],
            blocks_len: if full { blocks_len } else { 0 },
            sections_len: present.iter().map(|s| s.stored.len() as u64).sum(),
            release_root_len: release.len() as u32,
            carriage_root_len: carriage.len() as u32,
            volume_map_len: 0,
            statements_len: area.len() as u32,
            release_id,
            carriage_id: labelled("carriage", &carriage),
            statements: labelled("statements", &area),
            zero2: [0; 16],
        };
        run(hooks.footer, &mut footer);
        let mut parts = vec![b"\x89POUCH\r\n\0\x01\0\0\0\0\0\0".to_vec()];
        if full {
            parts.extend(self.blocks.iter().map(|b| b.stored.clone()));
        }
        parts.extend(present.iter().map(|s| s.stored.clone()));
        parts.extend([release, carriage, area]);
        run(hooks.parts, &mut parts);
        let mut file = parts.concat();
        file.extend(footer.bytes());
        run(hooks.file, &mut file);
        file
    }
}

/// An artifact's row.
pub fn artifact(kind: &str, name: &str, blobs: Vec<V>) -> V {
    let root = if kind == "image" { "registry" } else { "www" };
    let mut row =
        V::M(vec![(0, t(kind)), (1, t(name)), (4, t(root)), (6, V::F(false)), (7, V::A(blobs)), (8, V::A(vec![]))]);
    if kind != "image" {
        row.set(5, t(name));
    }
    row
}
