//! *Plain files* are served, or laid into the kit, under the paths of their artifacts.
//!
//! No index of them is rendered. Specified in `spec/site.md`, section "Files".

use super::TargetError;
use crate::model::{Artifact, Catalog, Content, Context, Kind, Plan, ReleaseView};
use crate::relpath::RelPath;
use std::collections::{BTreeMap, BTreeSet};

/// Places the files of the latest release of every stream, then those of earlier releases whose paths nobody claims.
pub fn plan(catalog: &Catalog, _context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let mut claims = Claims::default();
    for release in catalog.releases.iter().filter(|r| r.latest) {
        for (artifact, place) in files(release) {
            claims.latest(release, artifact, place?)?;
        }
    }
    let repositories = repositories(catalog);
    for release in catalog.releases.iter().filter(|r| !r.latest) {
        for (artifact, place) in files(release) {
            let place = place?;
            if place.components().next() == Some("www") && !repositories.iter().any(|r| place.below(r).is_some()) {
                claims.earlier(release, artifact, place);
            }
        }
    }
    for (path, claim) in claims.files {
        let digest = claim.artifact.blobs.first().map(|b| b.digest).ok_or_else(|| no_blob(claim.artifact))?;
        plan.add(path, Content::Blob { digest, executable: claim.executable })?;
    }
    Ok(())
}

fn files(release: &ReleaseView) -> impl Iterator<Item = (&Artifact, Result<RelPath, TargetError>)> {
    release.artifacts.iter().map(|d| &d.artifact).filter(|a| a.kind == Kind::File).map(|a| {
        let place = a.place().ok_or_else(|| no_path(a)).and_then(|p| p.map_err(TargetError::from));
        (a, place)
    })
}

/// Folders whose files belong together: where packages have an index, and where one travels as plain files. Of an
/// earlier release nothing is served there, so that a withdrawn package and its index do not come back.
fn repositories(catalog: &Catalog) -> BTreeSet<RelPath> {
    let mut out = BTreeSet::new();
    for (_, described) in catalog.all() {
        let artifact = &described.artifact;
        match artifact.kind {
            Kind::Image => {}
            Kind::File => out.extend(index_above(artifact)),
            Kind::Rpm | Kind::Repodata | Kind::Deb | Kind::Wheel | Kind::Sdist | Kind::Chart | Kind::Gomod => {
                out.insert(artifact.root.clone());
            }
        }
    }
    out
}

/// The folder that holds the `repodata/` or `dists/` that a file lies in.
fn index_above(artifact: &Artifact) -> Option<RelPath> {
    let mut at = artifact.place()?.ok()?.parent();
    while let Some(folder) = at {
        if matches!(folder.file_name(), "repodata" | "dists") {
            return folder.parent();
        }
        at = folder.parent();
    }
    None
}

/// Who has which path.
#[derive(Default)]
struct Claims<'a> {
    files: BTreeMap<RelPath, Claim<'a>>,
    /// Every claimed path and folder by its folded form; true for folders.
    folded: BTreeMap<String, (RelPath, bool)>,
}

struct Claim<'a> {
    stream: &'a str,
    artifact: &'a Artifact,
    executable: bool,
}

impl<'a> Claims<'a> {
    /// A file of a latest release has its path; another content there is a conflict.
    fn latest(&mut self, release: &'a ReleaseView, artifact: &'a Artifact, path: RelPath) -> Result<(), TargetError> {
        let Some(there) = self.files.get_mut(&path) else {
            self.enter(release, artifact, path);
            return Ok(());
        };
        if there.artifact.blobs.first() != artifact.blobs.first() {
            return Err(TargetError::Conflict {
                first: format!("{path} of the stream {}", there.stream),
                second: format!("{path} of the stream {}", release.stream),
                why: "one path with two contents; drop it from one of the two, or give it another prefix".into(),
            });
        }
        // The bytes are the same; whoever wants to run them can.
        there.executable |= artifact.executable;
        Ok(())
    }

    /// A file of an earlier release has its path only where that is in nobody's way on any file system.
    fn earlier(&mut self, release: &'a ReleaseView, artifact: &'a Artifact, path: RelPath) {
        let mut at = Some((path.clone(), false));
        while let Some((p, folder)) = at {
            if self.folded.get(&p.fold()).is_some_and(|(there, is_folder)| *there != p || !folder || !is_folder) {
                return;
            }
            at = p.parent().map(|p| (p, true));
        }
        self.enter(release, artifact, path);
    }

    fn enter(&mut self, release: &'a ReleaseView, artifact: &'a Artifact, path: RelPath) {
        let mut at = Some((path.clone(), false));
        while let Some((p, folder)) = at {
            self.folded.entry(p.fold()).or_insert((p.clone(), folder));
            at = p.parent().map(|p| (p, true));
        }
        self.files.insert(path, Claim { stream: &release.stream, artifact, executable: artifact.executable });
    }
}

fn no_path(artifact: &Artifact) -> TargetError {
    lacks(artifact, "it is a file and has no path")
}

fn no_blob(artifact: &Artifact) -> TargetError {
    lacks(artifact, "it has no blob")
}

fn lacks(artifact: &Artifact, why: &str) -> TargetError {
    TargetError::Facts { artifact: artifact.name.clone(), source: crate::cbor::CborError::Value(why.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::Bytes;
    use crate::digest::Blob;
    use crate::model::{Described, SiteConfig};

    fn artifact(kind: Kind, root: &str, path: &str, text: &str) -> Described {
        let artifact = Artifact {
            kind,
            name: path.into(),
            version: None,
            arch: None,
            root: RelPath::new(root).expect("a root"),
            path: Some(RelPath::new(path).expect("a path")),
            executable: text.starts_with("#!"),
            blobs: vec![Blob::of(text.as_bytes())],
            labels: vec![],
        };
        Described { artifact, facts: Bytes(vec![0xa0]) }
    }

    fn release(stream: &str, sequence: u64, latest: bool, files: &[(&str, &str)]) -> ReleaseView {
        let artifacts = files
            .iter()
            .map(|(place, text)| {
                let (root, path) = place.split_once('/').expect("a root and a path");
                artifact(Kind::File, root, path, text)
            })
            .collect();
        ReleaseView { stream: stream.into(), epoch: 1, sequence, latest, artifacts }
    }

    fn planned(releases: Vec<ReleaseView>) -> Result<Vec<String>, TargetError> {
        let mut out = Plan::new();
        let config = SiteConfig::default();
        plan(&Catalog { releases }, &Context { config: &config, time: 0 }, &mut out)?;
        Ok(out
            .files()
            .map(|(p, e)| match &e.content {
                Content::Blob { digest, executable } => format!("{p} {} {executable}", digest.short()),
                Content::Bytes(_) => format!("{p} rendered"),
            })
            .collect())
    }

    fn line(path: &str, text: &str) -> String {
        format!("{path} {} {}", Blob::of(text.as_bytes()).digest.short(), text.starts_with("#!"))
    }

    #[test]
    fn the_newest_owns_a_path_and_older_ones_fill_the_rest() {
        let old = release(
            "k8s",
            1,
            false,
            &[
                ("www/files/kubectl", "old"),
                ("www/files/only-old", "#!old"),
                ("www/files/README", "old"),
                ("www/files/dir", "a file where the newest has a folder"),
                ("www/files/kubectl/x", "a folder where the newest has a file"),
                ("kit/setup.sh", "old"),
                ("kit/only-old.sh", "old"),
            ],
        );
        let new = release(
            "k8s",
            2,
            true,
            &[
                ("www/files/kubectl", "new"),
                ("www/files/readme", "new"),
                ("www/files/dir/f", "f"),
                ("kit/setup.sh", "new"),
            ],
        );
        let want = vec![
            line("kit/setup.sh", "new"),
            line("www/files/dir/f", "f"),
            line("www/files/kubectl", "new"),
            line("www/files/only-old", "#!old"),
            line("www/files/readme", "new"),
        ];
        assert_eq!(planned(vec![new, old]).expect("a plan"), want);
    }

    #[test]
    fn withdrawn_packages_do_not_come_back() {
        let mut old = release(
            "os",
            1,
            false,
            &[
                ("www/rpms/local/repodata/repomd.xml", "old"),
                ("www/debs/kept/dists/x/InRelease", "old"),
                ("www/debs/kept/key.asc", "old"),
                ("www/plain/a", "a"),
                ("www/rpms/localised", "not below the repository"),
            ],
        );
        old.artifacts.push(artifact(Kind::Rpm, "www/rpms/local", "p.rpm", "rpm"));
        let want = vec![line("www/plain/a", "a"), line("www/rpms/localised", "not below the repository")];
        assert_eq!(planned(vec![release("os", 2, true, &[]), old]).expect("a plan"), want);
    }

    #[test]
    fn streams_share_or_conflict() {
        let a = || release("a", 1, true, &[("www/files/x", "#!x")]);
        let mut same = release("b", 1, true, &[("www/files/x", "#!x")]);
        if let Some(d) = same.artifacts.first_mut() {
            d.artifact.executable = false;
        }
        assert_eq!(planned(vec![a(), same]).expect("a plan"), [line("www/files/x", "#!x")]);
        let other = release("b", 1, true, &[("www/files/x", "y")]);
        let refused = planned(vec![a(), other]).expect_err("a conflict").to_string();
        for word in ["www/files/x", "stream a", "stream b"] {
            assert!(refused.contains(word), "{refused}");
        }
        let folded = release("b", 1, true, &[("www/files/X", "y")]);
        assert!(matches!(planned(vec![a(), folded]), Err(TargetError::Plan(_))));
        let older = release("b", 0, false, &[("www/files/x", "y")]);
        assert_eq!(
            planned(vec![a(), release("b", 1, true, &[]), older]).expect("a plan"),
            [line("www/files/x", "#!x")]
        );
    }
}
