//! A repository is *whole* when its lists agree with one another and with the files that lie there.
//!
//! Lists that are absent are fine (a mirror of one architecture); a list that is stale and a deb that is named and not
//! there are errors, because apt would stumble over them on the far side. `Sources` are not checked.

use super::lists::{self, Named, PACKAGES};
use super::{Repository, Sink, SourceError, join, some_of, split};
use crate::digest::{Blob, Digest};
use crate::kind::KindError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Paths below `from` of all files that the kept repositories' `Release` files list.
pub fn listed_files(from: &Path, repositories: &[Repository]) -> Result<BTreeSet<String>, SourceError> {
    let mut out = BTreeSet::new();
    for r in repositories {
        for (folder, _, named) in releases(from, r)? {
            out.extend(named.iter().map(|n| join(&folder, &n.path)));
        }
    }
    Ok(out)
}

/// Folder, file and content of every `Release` and `InRelease` that lists something.
fn releases(from: &Path, r: &Repository) -> Result<Vec<(String, String, Vec<Named>)>, SourceError> {
    let mut out = Vec::new();
    for suite in &r.suites {
        let folder = match (r.at.as_str(), suite.as_str()) {
            (at, "") => at.to_owned(),
            (at, suite) => join(at, suite),
        };
        for name in ["InRelease", "Release"] {
            let rel = join(&folder, name);
            let path = from.join(&rel);
            if path.is_file()
                && let Some(named) = lists::release(&path)?
            {
                out.push((folder.clone(), rel, named));
            }
        }
    }
    Ok(out)
}

/// Checks one repository against the blobs of all files that were found, by path below `from`.
pub fn check(from: &Path, r: &Repository, seen: &BTreeMap<String, Blob>, sink: &dyn Sink) -> Result<(), SourceError> {
    let fail = |rel: &str, why: String| {
        Err(SourceError::kind(&from.join(rel))(KindError::malformed("the package repository", why)))
    };
    let mut indexes: BTreeSet<(String, String)> = BTreeSet::new();
    for (folder, rel, named) in releases(from, r)? {
        let stale = stale(&folder, &named, seen);
        if let Some(list) = some_of(&stale, 5) {
            return fail(
                &rel,
                format!("size or SHA256 of {list} is not what it says; mirror again, or render the lists"),
            );
        }
        indexes.extend(package_lists(&folder, &named, seen));
        if let Some(list) = unreadable(&folder, &named, seen, &indexes) {
            return fail(&rel, format!("{list} is there only in a compression that is not supported"));
        }
    }
    let by_name = by_hash_misnamed(r, seen);
    if let Some(list) = some_of(&by_name, 5) {
        return fail(&r.at, format!("{list} does not have the digest of its name; mirror again, or render the lists"));
    }
    let mut covered = BTreeSet::new();
    for (rel, name) in &indexes {
        let mut bad = Vec::new();
        lists::packages(&from.join(rel), name, &mut |deb| match find(r, &deb, seen) {
            Some(place) => {
                covered.insert(place);
            }
            None => bad.push(deb.path),
        })?;
        if let Some(list) = some_of(&bad, 5) {
            let why = format!(
                "it names debs that are missing or have another size or SHA256: {list}; fetch them, or render the lists"
            );
            return fail(rel, why);
        }
    }
    let loose: Vec<&String> = seen
        .keys()
        .filter(|k| super::below(k, &r.at).is_some() && super::is_deb(k))
        .filter(|k| !covered.contains(*k))
        .collect();
    if let Some(list) = some_of(&loose, 10) {
        sink.note(format!("{}: no package list that is kept names these debs: {list}", from.join(&r.at).display()));
    }
    Ok(())
}

/// Files that a Release lists and that are there with other bytes. A Release's own line is the state before it was
/// written and never true.
fn stale(folder: &str, named: &[Named], seen: &BTreeMap<String, Blob>) -> Vec<String> {
    let own = |n: &Named| matches!(n.path.as_str(), "Release" | "InRelease" | "Release.gpg");
    let there = named.iter().filter(|n| !own(n)).map(|n| (join(folder, &n.path), n.blob));
    there.filter(|(rel, blob)| seen.get(rel).is_some_and(|b| b != blob)).map(|(rel, _)| rel).collect()
}

/// Of every `Packages` that a Release lists, one form that is there: path below `from`, and name.
fn package_lists(folder: &str, named: &[Named], seen: &BTreeMap<String, Blob>) -> BTreeMap<String, String> {
    let mut best: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for n in named {
        let (dir, name) = split(&n.path);
        let Some(rank) = PACKAGES.iter().position(|p| *p == name) else { continue };
        let place = lists::places(folder, n).into_iter().find(|p| seen.get(p) == Some(&n.blob));
        if let Some(place) = place
            && best.get(dir).is_none_or(|(r, _)| rank < *r)
        {
            best.insert(dir, (rank, place));
        }
    }
    best.into_values().map(|(rank, place)| (place, PACKAGES.get(rank).copied().unwrap_or("Packages").into())).collect()
}

/// A `Packages` that is there, but in no form that can be read here.
fn unreadable(
    folder: &str,
    named: &[Named],
    seen: &BTreeMap<String, Blob>,
    indexes: &BTreeSet<(String, String)>,
) -> Option<String> {
    let read: BTreeSet<&str> = indexes.iter().map(|(rel, _)| list_folder(rel)).collect();
    named.iter().find_map(|n| {
        let own = join(folder, &n.path);
        let is_packages = split(&own).1.starts_with("Packages.") && !n.path.ends_with(".diff/Index");
        (is_packages && seen.contains_key(&own) && !read.contains(split(&own).0)).then_some(own)
    })
}

/// The folder of a list, also where it lies there by its digest.
fn list_folder(rel: &str) -> &str {
    let dir = split(rel).0;
    dir.strip_suffix("by-hash/SHA256").map_or(dir, |d| d.trim_end_matches('/'))
}

/// Files in `by-hash/SHA256/` that are not what their names say.
fn by_hash_misnamed(r: &Repository, seen: &BTreeMap<String, Blob>) -> Vec<String> {
    let misnamed = |rel: &str, blob: &Blob| {
        let (dir, name) = split(rel);
        (dir == "by-hash/SHA256" || dir.ends_with("/by-hash/SHA256")) && Digest::from_hex(name) != Ok(blob.digest)
    };
    let inside = seen.iter().filter(|(rel, _)| super::below(rel, &r.at).is_some());
    inside.filter(|(rel, blob)| misnamed(rel, blob)).map(|(rel, _)| rel.clone()).collect()
}

/// Where a deb lies that a list names: below the repository, or, because the URL of a flat one may be that of a folder
/// above, below one of the folders it lies in.
fn find(r: &Repository, deb: &Named, seen: &BTreeMap<String, Blob>) -> Option<String> {
    let mut at = r.at.as_str();
    loop {
        let place = join(at, &deb.path);
        if seen.get(&place) == Some(&deb.blob) {
            return Some(place);
        }
        if at.is_empty() {
            return None;
        }
        at = split(at).0;
    }
}
