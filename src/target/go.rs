//! A *module proxy* is what `go` reads with GOPROXY: files of module versions, and a list of them for each module
//! (<https://go.dev/ref/mod#goproxy-protocol>).
//!
//! Only each stream's latest release is served. Specified in `spec/site.md`, section "Go modules".

use super::TargetError;
use crate::cbor;
use crate::digest::Digest;
use crate::kind::gomod::GomodFacts;
use crate::model::{Catalog, Content, Context, Kind, Plan};
use crate::relpath::RelPath;
use semver::Version;
use std::collections::BTreeMap;

/// What there is of one module.
#[derive(Default)]
struct Module {
    /// Versions that have a .mod.
    listed: Vec<String>,
    /// Versions that have a .info, and which.
    infos: Vec<(String, Digest)>,
}

/// Renders its part of the plan.
pub fn plan(catalog: &Catalog, _context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let mut modules: BTreeMap<RelPath, Module> = BTreeMap::new();
    for described in catalog.latest().filter(|d| d.artifact.kind == Kind::Gomod) {
        let artifact = &described.artifact;
        let (Some(path), Some(blob)) = (&artifact.path, artifact.blobs.first()) else { continue };
        let place = artifact.root.join(path.as_str())?;
        let facts: GomodFacts = cbor::decode(&described.facts.0)
            .map_err(|source| TargetError::Facts { artifact: artifact.name.clone(), source })?;
        plan.add(place.clone(), Content::Blob { digest: blob.digest, executable: artifact.executable })?;
        let Some(folder) = place.parent() else { continue };
        let module = modules.entry(folder).or_default();
        match facts.file.as_str() {
            "mod" => module.listed.push(facts.version),
            "info" => module.infos.push((facts.version, blob.digest)),
            _ => {}
        }
    }
    for (folder, module) in modules {
        render(&folder, module, plan)?;
    }
    Ok(())
}

/// Adds the list and, where any version has a .info, `@latest`. `folder` is the module's `@v`.
fn render(folder: &RelPath, mut module: Module, plan: &mut Plan) -> Result<(), TargetError> {
    module.listed.retain(|v| !is_pseudo(v));
    module.listed.sort_by_cached_key(|v| (semver(v), v.clone()));
    module.listed.dedup();
    let list: String = module.listed.iter().map(|v| format!("{v}\n")).collect();
    plan.add(folder.join("list")?, Content::Bytes(list.into_bytes()))?;
    let latest = module.infos.into_iter().max_by_key(|(v, _)| (rank(v), semver(v), v.clone()));
    if let (Some((_, digest)), Some(above)) = (latest, folder.parent()) {
        plan.add(above.join("@latest")?, Content::Blob { digest, executable: false })?;
    }
    Ok(())
}

fn semver(version: &str) -> Option<Version> {
    Version::parse(version.strip_prefix('v').unwrap_or(version)).ok()
}

/// A release is later than any pre-release, and that than any pseudo-version: what `go` takes for `@latest`.
fn rank(version: &str) -> u8 {
    match semver(version) {
        Some(v) if v.pre.is_empty() => 2,
        _ if is_pseudo(version) => 0,
        _ => 1,
    }
}

/// A pseudo-version stands for a commit: its pre-release ends in a UTC time of 14 digits, a dash and 12 digits of the
/// commit (<https://go.dev/ref/mod#pseudo-versions>). `go` leaves these out of lists.
fn is_pseudo(version: &str) -> bool {
    let public = version.strip_suffix("+incompatible").unwrap_or(version);
    let Some((rest, commit)) = public.rsplit_once('-') else { return false };
    let Some(time) = rest.rsplit(['-', '.']).next() else { return false };
    let hex = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    commit.len() == 12
        && commit.chars().all(hex)
        && time.len() == 14
        && time.chars().all(|c| c.is_ascii_digit())
        && rest.len() > time.len()
        && semver(version).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{Bytes, encode};
    use crate::model::Described;
    use crate::target::pypi::tests::{artifact, catalog, rendered};

    fn file(version: &str, file: &str) -> Described {
        let facts = GomodFacts {
            module: "x.io/A".into(),
            version: version.into(),
            file: file.into(),
            time: None,
            members: None,
            sum: None,
        };
        let path = format!("x.io/!a/@v/{version}.{file}");
        Described { artifact: artifact(Kind::Gomod, "www/go", &path, path.as_bytes()), facts: Bytes(encode(&facts)) }
    }

    #[test]
    fn pseudo_versions() {
        for v in [
            "v0.0.0-20191109021931-daa7c04131f5",
            "v1.2.4-0.20191109021931-daa7c04131f5",
            "v1.2.3-pre.0.20191109021931-daa7c04131f5",
            "v2.0.1-0.20191109021931-daa7c04131f5+incompatible",
        ] {
            assert!(is_pseudo(v), "{v}");
        }
        for v in ["v1.0.0", "v1.0.0-rc.1", "v1.0.0-2019-daa7c04131f5", "v20191109021931-daa7c04131f5"] {
            assert!(!is_pseudo(v), "{v}");
        }
    }

    #[test]
    fn lists() {
        let pseudo = "v1.99.1-0.20191109021931-daa7c04131f5";
        let check = |versions: &[&str], list: &str, latest: &str| {
            let all = versions.iter().flat_map(|v| [file(v, "mod"), file(v, "info"), file(v, "zip")]).collect();
            let out = rendered(&catalog(vec![all]), plan).expect("plan");
            assert_eq!(out["www/go/x.io/!a/@v/list"], list);
            assert_eq!(out["www/go/x.io/!a/@latest"], out[&format!("www/go/x.io/!a/@v/{latest}.info")]);
        };
        check(&["v1.10.0", "v1.9.0", "v1.11.0-rc.1", pseudo], "v1.9.0\nv1.10.0\nv1.11.0-rc.1\n", "v1.10.0");
        check(&[pseudo, "v1.0.0-rc.1"], "v1.0.0-rc.1\n", "v1.0.0-rc.1");
        check(&[pseudo], "", pseudo);
        let out =
            rendered(&catalog(vec![vec![file("v1.0.0", "mod")], vec![file("v1.0.0", "mod")]]), plan).expect("plan");
        assert_eq!(out["www/go/x.io/!a/@v/list"], "v1.0.0\n");
        assert!(!out.contains_key("www/go/x.io/!a/@latest"));
    }
}
