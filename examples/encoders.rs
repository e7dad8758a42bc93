//! `encoders BUNDLE...`: for every kind of blob in full bundles, which encoder makes its compressed streams again, and what share of its bytes.
//!
//! Streams are found where `pack` finds them, and in the payloads of debs and rpms too; each is run through its encoder to the end and
//! compared. Prints a table. Checkpoints are not looked for.

#![allow(clippy::print_stdout)]

use pouch::bundle::{Bundle, Extractor, Sealed, Workplace, temporary};
use pouch::digest::Blob;
use pouch::fs::medium::FileMedium;
use pouch::kind::ReadAt;
use pouch::op::parts::{View, split};
use pouch::replay::family::Identity;
use pouch::replay::recognise::{Options, recognise};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

/// Signed and compressed sections of an rpm are looked for in so many bytes.
const FRONT: u64 = 32 << 20;

#[derive(Default)]
struct Row {
    blobs: u64,
    bytes: u64,
    streams: u64,
    compressed: u64,
    found: u64,
    replayed: u64,
    encoders: BTreeMap<String, u64>,
    other: BTreeMap<&'static str, u64>,
}

impl Row {
    fn add(&mut self, row: Row) {
        self.blobs += row.blobs;
        self.bytes += row.bytes;
        self.streams += row.streams;
        self.compressed += row.compressed;
        self.found += row.found;
        self.replayed += row.replayed;
        row.encoders.into_iter().for_each(|(name, n)| *self.encoders.entry(name).or_default() += n);
        row.other.into_iter().for_each(|(name, n)| *self.other.entry(name).or_default() += n);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut kinds: BTreeMap<String, Row> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for path in std::env::args_os().skip(1) {
        look(Path::new(&path), &mut seen, &mut kinds)?;
    }
    println!(
        "| kind | blobs | MB | streams | MB of them | replayed streams | replayed, % of streams' bytes | % of all bytes | by | no stream (MB) |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mb = |n: u64| format!("{:.1}", n as f64 / 1e6);
    let share = |a: u64, b: u64| if b == 0 { "-".to_owned() } else { format!("{:.1}", 100.0 * a as f64 / b as f64) };
    for (kind, r) in &kinds {
        let mut by: Vec<_> = r.encoders.iter().collect();
        by.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let by: Vec<String> = by.iter().map(|(name, n)| format!("{name} {}", share(**n, r.compressed))).collect();
        let other: Vec<String> = r.other.iter().map(|(name, n)| format!("{name} {}", mb(*n))).collect();
        let (blobs, streams, found) = (r.blobs, r.streams, r.found);
        let (all, packed, share_packed, share_all) =
            (mb(r.bytes), mb(r.compressed), share(r.replayed, r.compressed), share(r.replayed, r.bytes));
        println!(
            "| {kind} | {blobs} | {all} | {streams} | {packed} | {found} | {share_packed} | {share_all} | {} | {} |",
            by.join(", "),
            other.join(", ")
        );
    }
    Ok(())
}

/// Blobs of one bundle that were in none before it; two threads.
fn look(path: &Path, seen: &mut BTreeSet<Blob>, kinds: &mut BTreeMap<String, Row>) -> Result<(), Box<dyn Error>> {
    let bundle = Bundle::parse(Sealed::open(FileMedium::open(path)?)?, ())?;
    let extractor = Extractor::new(&bundle, Workplace::NONE)?;
    let mut jobs: Vec<(Blob, String)> = Vec::new();
    for described in bundle.artifacts()? {
        let kind = described.artifact.kind.to_string();
        let name = &described.artifact.name;
        let kind = match kind.as_str() {
            "file" if [".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end)) => "file, .tar.gz".to_owned(),
            "file" if [".zip", ".jar"].iter().any(|end| name.ends_with(end)) => "file, .zip".to_owned(),
            "file" => "file, other".to_owned(),
            _ => kind,
        };
        jobs.extend(described.artifact.blobs.iter().filter(|b| seen.insert(**b)).map(|b| (*b, kind.clone())));
    }
    jobs.sort_by_key(|(blob, _)| std::cmp::Reverse(extractor.position(blob)));
    let (jobs, rows) = (Mutex::new(jobs), Mutex::new(kinds));
    let failed: Mutex<Option<String>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut found = Vec::new();
                loop {
                    let Some((blob, kind)) = jobs.lock().ok().and_then(|mut jobs| jobs.pop()) else { return };
                    let row = one(&extractor, &blob, &mut found);
                    match (row, rows.lock(), failed.lock()) {
                        (Ok(row), Ok(mut rows), _) => rows.entry(kind).or_default().add(row),
                        (Err(error), _, Ok(mut failed)) => *failed = Some(format!("{kind} {}: {error}", blob.digest)),
                        _ => return,
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(Some(why)) => Err(why.into()),
        _ => Ok(()),
    }
}

/// Takes one blob apart; `found` are the encoders found last.
fn one(
    extractor: &Extractor<'_, FileMedium, ()>,
    blob: &Blob,
    found: &mut Vec<Identity>,
) -> Result<Row, Box<dyn Error>> {
    let mut row = Row { blobs: 1, bytes: blob.len, ..Row::default() };
    let file = temporary()?;
    let mut to = Into { file: &*file, at: 0 };
    extractor.copy(blob, &mut to)?;
    for (at, len) in members(&*file, blob.len)? {
        let plain = temporary()?;
        let member = Shifted { of: &*file, at };
        let mut apart = 0;
        for part in split(&member, len, &*plain)? {
            let Some((from, plain_len)) = part.plain else { continue };
            apart += part.len;
            row.streams += 1;
            row.compressed += part.len;
            let compressed = View { of: &member, at: part.offset, len: part.len };
            let expanded = View { of: &*plain, at: from, len: plain_len };
            let options = Options { first: found.clone(), spacing: u64::MAX, threads: 1 };
            let name = match recognise(&compressed, &expanded, &options)? {
                Some(stream) => {
                    row.found += 1;
                    row.replayed += part.len;
                    found.retain(|i| *i != stream.identity);
                    found.insert(0, stream.identity.clone());
                    found.truncate(4);
                    stream.identity.to_string()
                }
                None => "none of ours".to_owned(),
            };
            *row.encoders.entry(name).or_default() += part.len;
        }
        if apart == 0 {
            *row.other.entry(form(&*file, at, len)?).or_default() += len;
        }
    }
    Ok(row)
}

/// Runs of a blob that may be compressed: the members of a deb, the payload of an rpm, else all of it.
fn members(file: &dyn ReadAt, len: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut head = vec![0; len.min(FRONT) as usize];
    file.read_exact_at(&mut head, 0)?;
    let number = |at: usize| head.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    if head.starts_with(b"!<arch>\n") {
        let (mut out, mut at) = (Vec::new(), 8usize);
        while let Some(size) = head.get(at + 48..at + 58) {
            let Some(size) = std::str::from_utf8(size).ok().and_then(|s| s.trim().parse::<usize>().ok()) else { break };
            out.push(((at + 60) as u64, (size as u64).min(len.saturating_sub(at as u64 + 60))));
            at = at.saturating_add(60 + size + size % 2);
        }
        return Ok(out);
    }
    if head.starts_with(b"\xed\xab\xee\xdb") {
        let header = |at: usize| Some(at + 16 + 16 * number(at + 8)? as usize + number(at + 12)? as usize);
        let end = header(96).map(|end| end.next_multiple_of(8)).and_then(header);
        return Ok(end.map(|end| (end as u64, len.saturating_sub(end as u64))).into_iter().collect());
    }
    Ok(vec![(0, len)])
}

fn form(file: &dyn ReadAt, at: u64, len: u64) -> io::Result<&'static str> {
    let mut head = vec![0; len.min(8) as usize];
    file.read_exact_at(&mut head, at)?;
    let forms: [(&[u8], &str); 7] = [
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x1f\x8b", "gzip without a stream"),
        (b"PK", "zip, stored"),
        (b"BZh", "bzip2"),
        (b"\x5d\0\0", "lzma"),
        (b"\x7fELF", "ELF"),
    ];
    Ok(forms.iter().find(|(magic, _)| head.starts_with(magic)).map_or("plain", |(_, name)| name))
}

struct Into<'a> {
    file: &'a dyn pouch::bundle::ScratchFile,
    at: u64,
}

impl Write for Into<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Shifted<'a> {
    of: &'a dyn ReadAt,
    at: u64,
}

impl ReadAt for Shifted<'_> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.of.read_exact_at(buf, self.at + offset)
    }
}
