//! A *dependency* is what a package provides, requires, or otherwise says of others.
//!
//! Which of the header's dependencies repodata lists, and how. Specified in `spec/facts.md`, section "rpm/1",
//! rules 8 to 13; they are createrepo_c's, so that clients resolve alike.

use super::facts::{exact, malformed};
use super::header::Header;
use super::{Dependency, comparison_name, evr};
use crate::kind::KindError;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Needed by some scriptlet before the package's files are there: (pre), (post), and the old PreReq.
const BEFORE: u64 = 1 << 6 | 1 << 9 | 1 << 10;
/// A Requires that may be missing, the first form of Recommends.
const MISSING_OK: u64 = 1 << 19;
/// Of the first weak dependencies, the stronger form.
const STRONG: u64 = 1 << 27;

/// All dependencies of a package.
#[derive(Default)]
pub struct Dependencies {
    pub provides: Vec<Dependency>,
    pub requires: Vec<Dependency>,
    pub conflicts: Vec<Dependency>,
    pub obsoletes: Vec<Dependency>,
    pub recommends: Vec<Dependency>,
    pub suggests: Vec<Dependency>,
    pub supplements: Vec<Dependency>,
    pub enhances: Vec<Dependency>,
}

/// One dependency as the header has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Raw<'a> {
    name: &'a [u8],
    flags: u64,
    version: &'a [u8],
}

impl Raw<'_> {
    /// Name, comparison and version in one: what "the same dependency" means.
    fn whole(&self) -> Vec<u8> {
        let comparison = comparison_name(self.flags).unwrap_or("");
        [self.name, comparison.as_bytes(), self.version].concat()
    }

    /// As repodata has it; `None` where the name is empty or the epoch is not a number.
    fn lower(&self, before: bool) -> Result<Option<Dependency>, KindError> {
        let Some((epoch, version, release)) = evr::split(self.version) else { return Ok(None) };
        if self.name.is_empty() {
            return Ok(None);
        }
        let comparison = if comparison_name(self.flags).is_some() { self.flags & 15 } else { 0 };
        let (epoch, version, release) = match (comparison, self.version) {
            (0, _) | (_, []) => Default::default(),
            _ => (exact(epoch)?, exact(version)?, exact(release)?),
        };
        Ok(Some(Dependency { name: exact(self.name)?, comparison, epoch, version, release, before }))
    }
}

/// Three tags that are one list.
fn list<'a>(header: &'a Header, name: u32, flags: u32, version: u32) -> Result<Vec<Raw<'a>>, KindError> {
    let (names, flags, versions) = (header.strings(name)?, header.numbers(flags)?, header.strings(version)?);
    if names.len() != flags.len() || names.len() != versions.len() {
        return Err(malformed(format!("the lists of tag {name} differ in length")));
    }
    let rows = names.into_iter().zip(flags).zip(versions);
    Ok(rows.map(|((name, flags), version)| Raw { name, flags, version }).collect())
}

fn lower_all(raw: &[Raw<'_>]) -> Result<Vec<Dependency>, KindError> {
    raw.iter().filter_map(|r| r.lower(false).transpose()).collect()
}

/// Reads all dependencies; `primary` are those of the package's own paths that primary metadata lists.
pub fn read(header: &Header, primary: &BTreeSet<Vec<u8>>) -> Result<Dependencies, KindError> {
    let provides = list(header, 1047, 1112, 1113)?;
    let (requires, old_recommends) = requires(&list(header, 1049, 1048, 1050)?, &provides, primary)?;
    let mut out = Dependencies {
        provides: lower_all(&provides)?,
        requires,
        conflicts: lower_all(&list(header, 1054, 1053, 1055)?)?,
        obsoletes: lower_all(&list(header, 1090, 1114, 1115)?)?,
        recommends: old_recommends,
        suggests: lower_all(&list(header, 5049, 5051, 5050)?)?,
        enhances: lower_all(&list(header, 5055, 5057, 5056)?)?,
        supplements: lower_all(&list(header, 5052, 5054, 5053)?)?,
    };
    out.recommends.extend(lower_all(&list(header, 5046, 5048, 5047)?)?);
    for raw in list(header, 1156, 1158, 1157)? {
        let to = if raw.flags & STRONG != 0 { &mut out.recommends } else { &mut out.suggests };
        to.extend(raw.lower(false)?);
    }
    for raw in list(header, 1159, 1161, 1160)? {
        let to = if raw.flags & STRONG != 0 { &mut out.supplements } else { &mut out.enhances };
        to.extend(raw.lower(false)?);
    }
    Ok(out)
}

/// What tells two requirements of one name apart: comparison, version, whether it is needed before.
type Seen<'a> = (Option<&'static str>, &'a [u8], bool);

/// The requirements, and those of them that are recommendations.
fn requires(
    all: &[Raw<'_>],
    provides: &[Raw<'_>],
    primary: &BTreeSet<Vec<u8>>,
) -> Result<(Vec<Dependency>, Vec<Dependency>), KindError> {
    let provided: BTreeSet<_> = provides.iter().filter(|p| evr::split(p.version).is_some()).map(Raw::whole).collect();
    let mut last: BTreeMap<&[u8], Seen<'_>> = BTreeMap::new();
    let (mut requires, mut recommends, mut libc) = (vec![], vec![], None::<(&[u8], Dependency)>);
    for raw in all {
        let own = primary.contains(raw.name);
        if raw.name.starts_with(b"rpmlib(") || own || provided.contains(&raw.whole()) {
            continue;
        }
        let before = raw.flags & BEFORE != 0;
        let seen = (comparison_name(raw.flags), raw.version, before);
        if last.get(raw.name) == Some(&seen) {
            continue;
        }
        if raw.flags & MISSING_OK != 0 {
            recommends.extend(raw.lower(false)?);
            continue;
        }
        let Some(dependency) = raw.lower(before)? else { continue };
        if !raw.name.starts_with(b"libc.so.6") {
            requires.push(dependency);
            last.insert(raw.name, seen);
        } else if libc.as_ref().is_none_or(|(have, _)| needs_newer(have, raw.name)) {
            libc = Some((raw.name, dependency));
        }
    }
    requires.extend(libc.map(|(_, d)| d));
    Ok((requires, recommends))
}

/// Whether `other`, a symbol version of the C library as `libc.so.6(GLIBC_2.34)(64bit)`, is newer than `have`.
fn needs_newer(have: &[u8], other: &[u8]) -> bool {
    match (symbol_version(have), symbol_version(other)) {
        (Symbol::Version(have), Symbol::Version(other)) => evr::compare(have, other) == Ordering::Less,
        (have, other) => have.rank() < other.rank(),
    }
}

/// What stands between the first parentheses.
enum Symbol<'a> {
    /// There are none.
    Nothing,
    /// They are not closed.
    Open,
    /// Nothing does.
    Empty,
    /// A word without digits.
    Word,
    /// From the first digit on.
    Version(&'a [u8]),
}

impl Symbol<'_> {
    fn rank(&self) -> u8 {
        match self {
            Symbol::Nothing => 0,
            Symbol::Open => 1,
            Symbol::Empty => 2,
            Symbol::Word => 3,
            Symbol::Version(_) => 4,
        }
    }
}

fn symbol_version(name: &[u8]) -> Symbol<'_> {
    let Some(tail) = name.splitn(2, |b| *b == b'(').nth(1) else { return Symbol::Nothing };
    let mut parts = tail.splitn(2, |b| *b == b')');
    let (Some(inside), Some(_)) = (parts.next(), parts.next()) else { return Symbol::Open };
    match inside.iter().position(u8::is_ascii_digit).and_then(|at| inside.get(at..)) {
        Some(version) => Symbol::Version(version),
        None if inside.is_empty() => Symbol::Empty,
        None => Symbol::Word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_libc_wins() {
        for (have, other, newer) in [
            ("libc.so.6()(64bit)", "libc.so.6(GLIBC_2.4)(64bit)", true),
            ("libc.so.6(GLIBC_2.4)(64bit)", "libc.so.6(GLIBC_2.34)(64bit)", true),
            ("libc.so.6(GLIBC_2.34)(64bit)", "libc.so.6(GLIBC_2.4)(64bit)", false),
            ("libc.so.6(GLIBC_2.34)(64bit)", "libc.so.6()(64bit)", false),
            ("libc.so.6(GLIBC_PRIVATE)(64bit)", "libc.so.6(GLIBC_2.4)(64bit)", true),
            ("libc.so.6(GLIBC_2.4)(64bit)", "libc.so.6(GLIBC_PRIVATE)(64bit)", false),
            ("libc.so.6", "libc.so.6()(64bit)", true),
            ("libc.so.6()(64bit)", "libc.so.6", false),
            ("libc.so.6(x", "libc.so.6()", true),
        ] {
            assert_eq!(needs_newer(have.as_bytes(), other.as_bytes()), newer, "{have} {other}");
        }
    }
}
