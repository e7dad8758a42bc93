//! An *apt repository* is what apt reads: a list of packages (`Packages`) and a list of the lists (`Release`).
//!
//! Where a release brings a repository's own lists (`dists/`, or a `Release` beside the packages) they are served as they
//! came, and here only the debs are placed. Otherwise each repository folder becomes a *flat* one, for
//! `deb [trusted=yes] URL/ ./`. Nothing is signed here. See Debian's "Repository Format"; specified in `spec/site.md`.

use super::TargetError;
use crate::digest::Blob;
use crate::kind::deb::DebFacts;
use crate::model::{Artifact, Catalog, Content, Context, Kind, Plan};
use crate::relpath::RelPath;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

/// Fields of a control file that come first in `Packages`, in dpkg-scanpackages' order.
const BEFORE: &[&str] = &[
    "Package",
    "Package-Type",
    "Source",
    "Version",
    "Kernel-Version",
    "Built-For-Profiles",
    "Auto-Built-Package",
    "Architecture",
    "Subarchitecture",
    "Installer-Menu-Item",
    "Build-Essential",
    "Essential",
    "Protected",
    "Origin",
    "Bugs",
    "Maintainer",
    "Installed-Size",
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Enhances",
    "Conflicts",
    "Breaks",
    "Replaces",
    "Provides",
    "Built-Using",
    "Static-Built-Using",
];

/// Fields that follow the file's own; those of neither list come last, in the control file's order.
const AFTER: &[&str] = &["Section", "Priority", "Multi-Arch", "Homepage", "Description", "Tag", "Task"];

/// Fields that the repository states about the file. A control file's own say nothing true and are left out.
const OURS: &[&str] = &["Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512"];

/// A deb of a repository.
struct Deb<'a> {
    artifact: &'a Artifact,
    path: &'a RelPath,
    blob: Blob,
    facts: DebFacts,
}

/// Renders its part of the plan: debs of the latest releases, and lists for repositories that bring none.
pub fn plan(catalog: &Catalog, context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    for (root, debs) in repositories(catalog)? {
        for deb in &debs {
            let content = Content::Blob { digest: deb.blob.digest, executable: deb.artifact.executable };
            plan.add(root.join(deb.path.as_str())?, content)?;
        }
        if !brings_lists(catalog, root) {
            flat(root, debs, context, plan)?;
        }
    }
    Ok(())
}

/// All debs of the latest releases by repository, in the order of their paths.
fn repositories(catalog: &Catalog) -> Result<BTreeMap<&RelPath, Vec<Deb<'_>>>, TargetError> {
    let mut out: BTreeMap<&RelPath, Vec<Deb<'_>>> = BTreeMap::new();
    for described in catalog.latest().filter(|d| d.artifact.kind == Kind::Deb) {
        let artifact = &described.artifact;
        let facts = crate::cbor::decode(&described.facts.0)
            .map_err(|source| TargetError::Facts { artifact: artifact.name.clone(), source })?;
        // Both are there in every artifact of this kind that was accepted into a site.
        if let (Some(path), Some(blob)) = (&artifact.path, artifact.blobs.first()) {
            out.entry(&artifact.root).or_default().push(Deb { artifact, path, blob: *blob, facts });
        }
    }
    for debs in out.values_mut() {
        debs.sort_by(|a, b| a.path.cmp(b.path));
    }
    Ok(out)
}

/// Whether a latest release has the repository's lists as files of its own.
fn brings_lists(catalog: &Catalog, root: &RelPath) -> bool {
    catalog.latest().filter(|d| d.artifact.kind == Kind::File).any(|d| match d.artifact.place() {
        Some(Ok(place)) => {
            place.below(root).is_some_and(|p| p == "InRelease" || p == "Release" || p.starts_with("dists/"))
        }
        _ => false,
    })
}

/// Adds the lists of a flat repository.
fn flat(root: &RelPath, debs: Vec<Deb<'_>>, context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let listed = listed(root, debs)?;
    let packages: String = listed.iter().map(paragraph).collect();
    let packages = packages.into_bytes();
    let lists = [("Packages", packages.clone()), ("Packages.gz", gzip(&packages))];
    let release = release(root, &listed, &lists, context.time);
    for (name, bytes) in lists {
        let by_hash = format!("by-hash/SHA256/{}", Blob::of(&bytes).digest);
        plan.add_content_named(root.join(&by_hash)?, Content::Bytes(bytes.clone()))?;
        plan.add(root.join(name)?, Content::Bytes(bytes))?;
    }
    plan.add(root.join("Release")?, Content::Bytes(release.into_bytes()))?;
    Ok(())
}

/// The debs that `Packages` lists, by name and path. A udeb is for the installer and never listed beside debs. Of several
/// files with the same bytes the first path is listed; the same package with other bytes is a conflict, because apt
/// would take either.
fn listed<'a>(root: &RelPath, debs: Vec<Deb<'a>>) -> Result<Vec<Deb<'a>>, TargetError> {
    let mut seen = BTreeMap::new();
    let mut out = Vec::new();
    for deb in debs.into_iter().filter(|d| !d.path.as_str().ends_with(".udeb")) {
        let a = deb.artifact;
        let key = (a.name.as_str(), a.version.as_deref(), a.arch.as_deref());
        match seen.get(&key) {
            None => {
                seen.insert(key, (deb.blob, deb.path));
                out.push(deb);
            }
            Some((blob, _)) if *blob == deb.blob => {}
            Some((_, first)) => {
                return Err(TargetError::Conflict {
                    first: format!("{root}/{first}"),
                    second: format!("{root}/{}", deb.path),
                    why: "they are one package of one version and architecture with different bytes".into(),
                });
            }
        }
    }
    out.sort_by(|a, b| (&a.artifact.name, a.path).cmp(&(&b.artifact.name, b.path)));
    Ok(out)
}

/// A deb's paragraph in `Packages`, with the empty line after it.
fn paragraph(deb: &Deb<'_>) -> String {
    let mut out = String::new();
    let is_in = |list: &[&str], name: &str| list.iter().any(|f| f.eq_ignore_ascii_case(name));
    let mut put = |name: &str, value: &str| {
        let gap = if value.is_empty() || value.starts_with('\n') { "" } else { " " };
        out.push_str(&format!("{name}:{gap}{value}\n"));
    };
    let fields = &deb.facts.fields;
    let known = |names: &'static [&'static str]| {
        names.iter().filter_map(|n| fields.iter().find(|(f, _)| f.eq_ignore_ascii_case(n)))
    };
    known(BEFORE).for_each(|(n, v)| put(n, v));
    put("Filename", &format!("./{}", deb.path));
    put("Size", &deb.blob.len.to_string());
    put("SHA256", &deb.blob.digest.hex());
    known(AFTER).for_each(|(n, v)| put(n, v));
    for (n, v) in fields.iter().filter(|(n, _)| !is_in(BEFORE, n) && !is_in(AFTER, n) && !is_in(OURS, n)) {
        put(n, v);
    }
    out.push('\n');
    out
}

/// The text of `Release`.
fn release(root: &RelPath, debs: &[Deb<'_>], lists: &[(&str, Vec<u8>)], time: i64) -> String {
    let archs: BTreeSet<&str> = debs.iter().filter_map(|d| d.artifact.arch.as_deref()).collect();
    let archs: Vec<&str> = archs.into_iter().collect();
    let label = root.file_name();
    let mut out = format!("Origin: pouch\nLabel: {label}\nSuite: {label}\nDate: {}\n", date(time));
    if !archs.is_empty() {
        out.push_str(&format!("Architectures: {}\n", archs.join(" ")));
    }
    out.push_str("Acquire-By-Hash: yes\nSHA256:\n");
    for (name, bytes) in lists {
        let blob = Blob::of(bytes);
        out.push_str(&format!(" {} {} {name}\n", blob.digest, blob.len));
    }
    out
}

/// Unix seconds in the form of RFC 5322 that apt reads; times outside jiff's years -9999 to 9999 are held to its ends.
fn date(time: i64) -> String {
    let end = if time < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let at = jiff::Timestamp::from_second(time).unwrap_or(end);
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Compresses as every target does.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = super::gzip();
    // Writing to a Vec cannot fail.
    let _ = out.write_all(bytes);
    out.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests;
