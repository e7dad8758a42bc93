//! *Facts* of an rpm are picked out of its header here.
//!
//! Nothing is read from the file. Specified in `spec/facts.md`, section "rpm/1", whose rules the comments name.

use super::header::{Header, Package};
use super::{Changelog, RpmFacts, dependency, is_primary};
use crate::cbor::Bytes;
use crate::kind::KindError;
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};

/// Changelog entries that are kept.
const CHANGELOGS: usize = 10;
const TYPE: u64 = 0o170000;
const FOLDER: u64 = 0o040000;
const REGULAR: u64 = 0o100000;
const SETUID: u64 = 0o6000;
const GHOST: u64 = 1 << 6;

/// Scripts by the tags of their text and of their interpreter; one of the two is enough.
const SCRIPTS: [(&str, u32, u32); 12] = [
    ("pre", 1023, 1085),
    ("post", 1024, 1086),
    ("preun", 1025, 1087),
    ("postun", 1026, 1088),
    ("pretrans", 1151, 1153),
    ("posttrans", 1152, 1154),
    ("preuntrans", 5103, 5105),
    ("postuntrans", 5104, 5106),
    ("verify", 1079, 1091),
    ("trigger", 1065, 1092),
    ("filetrigger", 5066, 5067),
    ("transfiletrigger", 5076, 5077),
];

pub fn malformed(why: impl Into<String>) -> KindError {
    KindError::malformed("the rpm header", why)
}

/// Rule 2: a text as it is if it is UTF-8; else every byte is a character of Latin-1, without its upper control codes.
pub fn text(raw: &[u8]) -> String {
    match std::str::from_utf8(raw) {
        Ok(text) => text.to_owned(),
        Err(_) => latin(raw),
    }
}

fn latin(raw: &[u8]) -> String {
    raw.iter().copied().filter(|b| !matches!(b, 0x80..=0xbf)).map(char::from).collect()
}

/// What XML 1.0 cannot hold.
fn forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Rule 3: text for people, without characters that XML cannot hold.
fn prose(raw: &[u8]) -> String {
    text(raw).replace(forbidden, "")
}

/// Rule 4: text for programs; characters that XML cannot hold are refused, for leaving them out names something else.
pub fn exact(raw: &[u8]) -> Result<String, KindError> {
    let text = text(raw);
    match text.contains(forbidden) {
        true => Err(malformed(format!("{text:?} has a character that repository metadata cannot hold"))),
        false => Ok(text),
    }
}

/// Reads the facts.
pub fn read(package: &Package) -> Result<RpmFacts, KindError> {
    let header = &package.main;
    let name = |tag| exact(header.string(tag)?.unwrap_or(b""));
    let words = |tag| Ok::<_, KindError>(prose(header.string(tag)?.unwrap_or(b"")));
    for (tag, what) in [(1000, "name"), (1001, "version"), (1002, "release")] {
        if header.string(tag)?.is_none_or(<[u8]>::is_empty) {
            return Err(malformed(format!("it has no {what}")));
        }
    }
    let files = files(header)?;
    let (source, source_rpm) = source(header)?;
    let dependencies = dependency::read(header, &files.primary)?;
    Ok(RpmFacts {
        name: name(1000)?,
        epoch: header.number(1003)?.unwrap_or(0),
        version: name(1001)?,
        release: name(1002)?,
        arch: if source { "src".into() } else { name(1022)? },
        summary: words(1004)?,
        description: words(1005)?,
        packager: words(1015)?,
        url: words(1020)?,
        build_time: header.number(1006)?.unwrap_or(0),
        installed_size: first([header.number(5009)?, header.number(1009)?]),
        archive_size: archive_size(package)?,
        license: words(1014)?,
        vendor: words(1011)?,
        group: words(1016)?,
        build_host: words(1007)?,
        source_rpm,
        header_start: package.start,
        header_end: package.end,
        provides: dependencies.provides,
        requires: dependencies.requires,
        conflicts: dependencies.conflicts,
        obsoletes: dependencies.obsoletes,
        recommends: dependencies.recommends,
        suggests: dependencies.suggests,
        supplements: dependencies.supplements,
        enhances: dependencies.enhances,
        folders: files.folders,
        file_folders: files.numbers,
        file_names: files.names,
        file_types: Bytes(files.types),
        changelogs: changelogs(header)?,
        scripts: scripts(header),
        setuid: files.setuid,
        modularity: header.string(5096)?.map(exact).transpose()?,
    })
}

fn first<const N: usize>(of: [Option<u64>; N]) -> u64 {
    of.into_iter().flatten().next().unwrap_or(0)
}

/// Rule 6. The signature header is where rpm has kept this number since version 4; it decides nothing.
fn archive_size(package: &Package) -> Result<u64, KindError> {
    let (main, signature) = (&package.main, &package.signature);
    Ok(first([main.number(271)?, signature.number(271)?, main.number(1046)?, signature.number(1007)?]))
}

/// Rule 5: whether it is a source package, and what its source package is.
fn source(header: &Header) -> Result<(bool, String), KindError> {
    let from = exact(header.string(1044)?.unwrap_or(b""))?;
    if header.has(1106) || header.has(1044) {
        return Ok((header.number(1106)?.is_some_and(|n| n != 0), from));
    }
    // Very old packages say neither: those of one folder without a name are source packages.
    match header.strings(1118)?[..] {
        [b""] => Ok((true, from)),
        _ => Ok((false, "(none)".into())),
    }
}

fn scripts(header: &Header) -> Vec<String> {
    let there = SCRIPTS.iter().filter(|(_, script, program)| header.has(*script) || header.has(*program));
    there.map(|(name, ..)| (*name).to_owned()).collect()
}

/// The columns of a package's files.
#[derive(Default)]
struct Files {
    folders: Vec<String>,
    numbers: Vec<u32>,
    names: Vec<String>,
    types: Vec<u8>,
    setuid: Vec<(String, u64)>,
    primary: BTreeSet<Vec<u8>>,
}

/// Rule 7.
fn files(header: &Header) -> Result<Files, KindError> {
    if header.has(1027) && !header.has(1117) {
        return Err(KindError::Unsupported("a file list of rpm 3".into()));
    }
    let (folders, names) = (header.strings(1118)?, header.strings(1117)?);
    let [numbers, flags, modes] = [header.numbers(1116)?, header.numbers(1037)?, header.numbers(1030)?];
    if [numbers.len(), flags.len(), modes.len()].iter().any(|n| *n != names.len()) {
        return Err(malformed("its lists of files differ in length"));
    }
    let mut out = Files::default();
    let (mut known, mut total) = (BTreeMap::new(), 0usize);
    for (((name, number), flags), mode) in names.iter().zip(numbers).zip(flags).zip(modes) {
        let folder = usize::try_from(number).ok().and_then(|n| folders.get(n));
        let folder = folder.ok_or_else(|| malformed(format!("it has no folder {number}")))?;
        total = total.saturating_add(folder.len()).saturating_add(name.len());
        if total > limits::RPM_PATHS {
            let [limit, have] = [limits::RPM_PATHS, total].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
            return Err(KindError::TooLarge { what: "all paths of an rpm together", limit, have });
        }
        let (path, name, folder) = path(folder, name)?;
        if mode & TYPE == REGULAR && mode & SETUID != 0 {
            out.setuid.push((format!("{folder}{name}"), mode & 0o7777));
        }
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX); // fewer than limits::RPM_VALUES
        out.numbers.push(*known.entry(folder.clone()).or_insert_with(|| {
            out.folders.push(folder);
            next
        }));
        out.names.push(name);
        out.types.push(match (mode & TYPE == FOLDER, flags & GHOST != 0) {
            (true, _) => 1,
            (_, true) => 2,
            _ => 0,
        });
        if is_primary(&path) {
            out.primary.insert(path);
        }
    }
    Ok(out)
}

/// The raw path, and name and folder as texts. Rule 2 looks at a path as a whole, so one half may decide for the other.
fn path(folder: &[u8], name: &[u8]) -> Result<(Vec<u8>, String, String), KindError> {
    let path = [folder, name].concat();
    let (name, folder) = match std::str::from_utf8(&path) {
        Ok(whole) if std::str::from_utf8(folder).is_err() => (whole.to_owned(), String::new()),
        Ok(_) => (text(name), text(folder)),
        Err(_) => (latin(name), latin(folder)),
    };
    Ok((path, exact(name.as_bytes())?, exact(folder.as_bytes())?))
}

/// Rule 14: the newest entries, oldest first; of entries of one second every older one keeps its second and the newer
/// ones follow by one second each, for clients sort by time alone.
fn changelogs(header: &Header) -> Result<Vec<Changelog>, KindError> {
    let [authors, texts] = [header.strings(1081)?, header.strings(1082)?];
    let times = header.numbers(1080)?;
    if times.len() != authors.len() || times.len() != texts.len() {
        return Err(malformed("its lists of changelog entries differ in length"));
    }
    let mut newest_first: Vec<Changelog> = Vec::new();
    let mut last = 0;
    for ((author, text), time) in authors.into_iter().zip(texts).zip(times).take(CHANGELOGS) {
        if last == time {
            let mut taken = time;
            for newer in newest_first.iter_mut().rev() {
                if newer.date != taken {
                    break;
                }
                taken = taken.saturating_add(1);
                newer.date = taken;
            }
        }
        last = time;
        newest_first.push(Changelog { author: author_of(author), date: time, text: prose(text) });
    }
    newest_first.reverse();
    Ok(newest_first)
}

/// Without spaces at its end; the first character stays whatever it is.
fn author_of(raw: &[u8]) -> String {
    let end = raw.iter().rposition(|b| *b != b' ').unwrap_or(0).saturating_add(1);
    prose(raw.get(..end).unwrap_or(raw))
}
