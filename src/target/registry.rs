//! A *registry tree* is the storage folder of a container registry (CNCF distribution 2.8 and 3.0, file system driver),
//! written as that program itself would have written it.
//!
//! Manifests and layers are hard links to blobs; link files are small fresh files. The newest release of a stream owns
//! its names; kept ones fill names that nobody claims, and all their manifests can be had by digest.
//! Specified in `spec/site.md`, section "The registry tree".

use super::TargetError;
use crate::cbor::CborError;
use crate::digest::{Blob, Digest};
use crate::kind::oci::ImageFacts;
use crate::kind::oci::name::{ImageName, Reference};
use crate::model::{Catalog, Content, Context, Described, Kind, Plan};
use crate::relpath::RelPath;
use std::collections::{BTreeMap, BTreeSet};

/// Below an image's root.
const STORAGE: &str = "docker/registry/v2";

/// Renders its part of the plan.
pub fn plan(catalog: &Catalog, _context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let mut claims = Claims::new();
    for (release, described) in catalog.all().filter(|(_, d)| d.artifact.kind == Kind::Image) {
        let image = Served::read(described)?;
        image.add_blobs(plan)?;
        image.add_links(plan)?;
        if let Reference::Tag(tag) = &image.name.reference {
            let key = (image.storage.clone(), image.name.repository.clone(), tag.clone());
            let claim = Claim { stream: &release.stream, latest: release.latest, top: image.top, origin: image.origin };
            claims.entry(key).or_default().push(claim);
        }
    }
    for ((storage, repository, tag), claims) in &claims {
        let top = owner(repository, tag, claims)?;
        let at = storage.join(&format!("repositories/{repository}/_manifests/tags/{tag}"))?;
        add_link(plan, at.join("current")?, &top)?;
        add_link(plan, at.join(&format!("index/sha256/{}", top.hex()))?, &top)?;
    }
    Ok(())
}

/// Who wants each tag: by storage folder, repository and tag, in the catalog's order.
type Claims<'a> = BTreeMap<(RelPath, String, String), Vec<Claim<'a>>>;

/// One release's wish for a tag.
struct Claim<'a> {
    stream: &'a str,
    latest: bool,
    top: Digest,
    origin: &'a str,
}

/// What a tag points to: what the latest release of a stream wants, else the newest kept one of the first stream. Two
/// streams whose latest releases want different things cannot share a site.
fn owner(repository: &str, tag: &str, claims: &[Claim<'_>]) -> Result<Digest, TargetError> {
    let mut latest = claims.iter().filter(|c| c.latest);
    let first = latest.next();
    if let Some(first) = first
        && let Some(other) = latest.find(|c| c.top != first.top)
    {
        let name = |c: &Claim<'_>| format!("{} ({}) of the stream {}", c.origin, c.top.oci(), c.stream);
        let why = format!("both are served as {repository}:{tag}");
        return Err(TargetError::Conflict { first: name(first), second: name(other), why });
    }
    // `claims` is never empty: each list was made for its first claim.
    Ok(first.or(claims.first()).map_or(Digest([0; 32]), |c| c.top))
}

/// An image of the catalog, read.
struct Served<'a> {
    storage: RelPath,
    name: ImageName,
    top: Digest,
    origin: &'a str,
    blobs: &'a [Blob],
    facts: ImageFacts,
}

impl<'a> Served<'a> {
    fn read(described: &'a Described) -> Result<Served<'a>, TargetError> {
        let artifact = &described.artifact;
        let wrong = |source| TargetError::Facts { artifact: artifact.name.clone(), source };
        let facts = ImageFacts::decode(&described.facts).map_err(wrong)?;
        let name = ImageName::parse(&artifact.name).map_err(|e| wrong(CborError::Value(e.to_string())))?;
        let top = artifact.blobs.first().copied();
        if top.is_none() || top != facts.manifests.first().map(|m| m.blob) {
            return Err(wrong(CborError::Value("its first blob is not the manifest in its facts".into())));
        }
        Ok(Served {
            storage: artifact.root.join(STORAGE)?,
            name,
            top: top.map_or(Digest([0; 32]), |b| b.digest),
            origin: artifact.label("origin").unwrap_or(&artifact.name),
            blobs: &artifact.blobs,
            facts,
        })
    }

    fn add_blobs(&self, plan: &mut Plan) -> Result<(), TargetError> {
        for Blob { digest, .. } in self.blobs {
            let hex = digest.hex();
            let at = self.storage.join(&format!("blobs/sha256/{}/{hex}/data", hex.get(..2).unwrap_or(&hex)))?;
            plan.add(at, Content::Blob { digest: *digest, executable: false })?;
        }
        Ok(())
    }

    /// Links of everything but the tag. A registry of version 2.8 lists only repositories that have a `_layers` folder.
    fn add_links(&self, plan: &mut Plan) -> Result<(), TargetError> {
        let absent: BTreeSet<&Digest> = self.facts.absent.iter().collect();
        let repository = self.storage.join(&format!("repositories/{}", self.name.repository))?;
        plan.add_folder(repository.join("_layers")?)?;
        for manifest in &self.facts.manifests {
            let digest = manifest.blob.digest;
            add_link(plan, repository.join(&format!("_manifests/revisions/sha256/{}", digest.hex()))?, &digest)?;
            for part in manifest.config.iter().chain(&manifest.layers) {
                let digest = part.blob.digest;
                if !absent.contains(&digest) {
                    add_link(plan, repository.join(&format!("_layers/sha256/{}", digest.hex()))?, &digest)?;
                }
            }
        }
        Ok(())
    }
}

/// A link file: the digest and no newline, which a registry would take for part of it.
fn add_link(plan: &mut Plan, at: RelPath, to: &Digest) -> Result<(), TargetError> {
    Ok(plan.add(at.join("link")?, Content::Bytes(to.oci().into_bytes()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{Bytes, encode};
    use crate::kind::oci::{ManifestFacts, Part};
    use crate::model::{Artifact, ReleaseView, SiteConfig};

    /// An image with one layer, both made of `content`.
    fn image(name: &str, content: &str) -> Described {
        let manifest = Blob::of(format!("manifest {content}").as_bytes());
        let part =
            |what: &str| Part { blob: Blob::of(format!("{what} {content}").as_bytes()), media_type: what.into() };
        let facts = ImageFacts {
            manifests: vec![ManifestFacts {
                blob: manifest,
                media_type: "m".into(),
                artifact_type: None,
                platform: None,
                config: Some(part("config")),
                layers: vec![part("layer")],
                children: vec![],
                subject: None,
                runs: None,
            }],
            absent: vec![],
        };
        let artifact = Artifact {
            kind: Kind::Image,
            name: name.into(),
            version: None,
            arch: None,
            root: RelPath::new("registry").expect("a path"),
            path: None,
            executable: false,
            blobs: vec![manifest, part("config").blob, part("layer").blob],
            labels: vec![("origin".into(), format!("quay.io/{name}"))],
        };
        Described { artifact, facts: Bytes(encode(&facts)) }
    }

    fn release(stream: &str, sequence: u64, latest: bool, images: &[(&str, &str)]) -> ReleaseView {
        let artifacts = images.iter().map(|(name, content)| image(name, content)).collect();
        ReleaseView { stream: stream.into(), epoch: 1, sequence, latest, artifacts }
    }

    fn render(releases: Vec<ReleaseView>) -> Result<Plan, TargetError> {
        let mut out = Plan::new();
        let context = Context { config: &SiteConfig::default(), time: 0 };
        plan(&Catalog { releases }, &context, &mut out).map(|()| out)
    }

    fn tag<'a>(plan: &'a Plan, name: &str, tag: &str) -> Option<&'a [u8]> {
        let path = format!("registry/docker/registry/v2/repositories/{name}/_manifests/tags/{tag}/current/link");
        plan.files().find(|(p, _)| p.as_str() == path).map(|(_, e)| match &e.content {
            Content::Bytes(b) => &b[..],
            Content::Blob { .. } => b"a blob",
        })
    }

    fn oci(content: &str) -> Vec<u8> {
        Digest::of(format!("manifest {content}").as_bytes()).oci().into_bytes()
    }

    #[test]
    fn an_image_gives_these_files() {
        let plan = render(vec![release("s", 1, true, &[("a/b:1", "x")])]).expect("plan");
        let digest = |what: &str| Digest::of(format!("{what} x").as_bytes()).hex();
        let (m, c, l) = (digest("manifest"), digest("config"), digest("layer"));
        let mut expect: Vec<String> = [&m, &c, &l].map(|d| format!("blobs/sha256/{}/{d}/data", &d[..2])).into();
        expect.extend([&c, &l].map(|d| format!("repositories/a/b/_layers/sha256/{d}/link")));
        expect.push(format!("repositories/a/b/_manifests/revisions/sha256/{m}/link"));
        expect.push("repositories/a/b/_manifests/tags/1/current/link".into());
        expect.push(format!("repositories/a/b/_manifests/tags/1/index/sha256/{m}/link"));
        expect.sort();
        let have: Vec<&str> =
            plan.files().filter_map(|(p, _)| p.as_str().strip_prefix("registry/docker/registry/v2/")).collect();
        assert_eq!(have, expect);
        assert_eq!(plan.files().count(), have.len());
        assert_eq!(plan.folders().count(), 1);
        assert_eq!(tag(&plan, "a/b", "1"), Some(&oci("x")[..]));
    }

    #[test]
    fn the_newest_release_owns_a_name_and_older_ones_stay_by_digest() {
        let new = release("s", 2, true, &[("a:1", "new"), ("b:1", "b")]);
        let old = release("s", 1, false, &[("a:1", "old"), ("gone:1", "gone")]);
        let plan = render(vec![new, old]).expect("plan");
        assert_eq!(tag(&plan, "a", "1"), Some(&oci("new")[..]));
        assert_eq!(tag(&plan, "gone", "1"), Some(&oci("gone")[..]));
        let old = Digest::of(b"manifest old").hex();
        let revision = format!("registry/docker/registry/v2/repositories/a/_manifests/revisions/sha256/{old}/link");
        assert!(plan.contains(&RelPath::new(&revision).expect("a path")));
    }

    #[test]
    fn streams_share_names_only_for_the_same_image() {
        let check = |first: &[(&str, &str)], second: &[(&str, &str)], old: &[(&str, &str)], expect: Option<&str>| {
            let got =
                render(vec![release("s", 2, true, first), release("s", 1, false, old), release("t", 1, true, second)]);
            match (got, expect) {
                (Ok(plan), Some(expect)) => assert_eq!(tag(&plan, "a", "1"), Some(&oci(expect)[..])),
                (Err(TargetError::Conflict { .. } | TargetError::Plan(_)), None) => {}
                (got, _) => panic!("{got:?}"),
            }
        };
        check(&[("a:1", "x")], &[("a:1", "x")], &[], Some("x"));
        check(&[("a:1", "x")], &[("a:1", "y")], &[], None);
        // An image that moved from one stream to the other.
        check(&[], &[("a:1", "y")], &[("a:1", "x")], Some("y"));
        check(&[("a:1", "x")], &[("a:1", "x")], &[("a:1", "y")], Some("x"));
        // Tags that differ in case only cannot both be folders everywhere.
        check(&[("a:1", "x"), ("a:V1", "x"), ("a:v1", "y")], &[], &[], None);
    }

    #[test]
    fn nested_repositories_do_not_collide() {
        let names = [("a:1", "x"), ("a/b:1", "y"), ("a/b/c:1", "z"), ("a/blobs:1", "u"), ("blobs:link", "v")];
        let plan = render(vec![release("s", 1, true, &names)]).expect("plan");
        assert_eq!(plan.folders().count(), names.len());
        let by_digest = format!("a@{}", Digest::of(b"manifest w").oci());
        let plan = render(vec![release("s", 1, true, &[(&by_digest, "w")])]).expect("plan");
        assert!(!plan.files().any(|(p, _)| p.as_str().contains("/tags/")));
        assert!(render(vec![release("s", 1, true, &[("A:1", "x")])]).is_err());
    }
}
