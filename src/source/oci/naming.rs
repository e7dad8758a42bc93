//! *Naming* turns upstream references (`registry.k8s.io/pause:3.10`) into the names that a site's registry serves
//! (`pause:3.10`), exactly as kubespray-offline does, and finds references for archives that do not say their own.
//!
//! It reads no archive. Specified in `spec/facts.md`, section "Names".

use crate::digest::Digest;
use crate::kind::KindError;
use crate::kind::oci::name::ImageName;
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Hosts that are left out of served names by default, in the order in which they are stripped.
pub const WELL_KNOWN_HOSTS: [&str; 6] = ["registry.k8s.io", "k8s.gcr.io", "gcr.io", "ghcr.io", "docker.io", "quay.io"];

/// Ends of archive names.
const SUFFIXES: [&str; 4] = [".tar.gz", ".tar.zst", ".tgz", ".tar"];

/// How images are named.
#[derive(Clone, Debug)]
pub struct Naming {
    /// Hosts that are left out of names, one after the other, each once.
    pub strip: Vec<String>,
    /// References from lists (`images/*.list`), for archives and layouts that do not say whose they are.
    pub lists: Vec<String>,
    /// Upstream-name mode: hosts stay.
    pub keep_host: bool,
    /// The reference, instead of all that an archive says itself.
    pub explicit: Option<String>,
}

impl Default for Naming {
    fn default() -> Self {
        let strip = WELL_KNOWN_HOSTS.iter().map(|h| h.to_string()).collect();
        Naming { strip, lists: vec![], keep_host: false, explicit: None }
    }
}

/// A reference taken apart: name with host, tag, digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// Host and repository; plain names have got `docker.io/library/`.
    pub repository: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest, as it was written.
    pub digest: Option<String>,
}

impl Upstream {
    /// Takes a reference apart; nothing is checked but that it has a name.
    pub fn parse(reference: &str) -> Upstream {
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (reference, None),
        };
        // A colon before the last slash belongs to a host's port.
        let name_at = rest.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match rest[name_at..].split_once(':') {
            Some((name, tag)) => (format!("{}{name}", &rest[..name_at]), Some(tag.to_owned())),
            None => (rest.to_owned(), None),
        };
        let plain = !repository.contains('/');
        let repository = if plain { format!("docker.io/library/{repository}") } else { repository };
        Upstream { repository, tag, digest }
    }

    /// With a tag: its own or, where it has neither tag nor digest, `latest`.
    fn tag_or_latest(&self) -> Option<&str> {
        self.tag.as_deref().or_else(|| self.digest.is_none().then_some("latest"))
    }
}

/// A name to serve and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// The name in the site's registry.
    pub name: ImageName,
    /// The full upstream reference.
    pub origin: String,
}

impl Naming {
    /// The name under which `reference`, whose manifest is `top`, is served.
    pub fn served(&self, reference: &str, top: &Digest) -> Result<Served, KindError> {
        let upstream = Upstream::parse(reference);
        if let Some(said) = &upstream.digest
            && *said != top.oci()
        {
            let (left, right) = (reference.to_owned(), top.oci());
            return Err(KindError::Disagree {
                what: "the digest in an image's reference and its manifest",
                left,
                right,
            });
        }
        let served = |repository: &str| match upstream.tag_or_latest() {
            Some(tag) => format!("{repository}:{tag}"),
            None => format!("{repository}@{}", top.oci()),
        };
        let name = ImageName::parse(&served(&self.repository(&upstream.repository)))?;
        Ok(Served { name, origin: served(&upstream.repository) })
    }

    /// A repository's name without its host.
    fn repository(&self, upstream: &str) -> String {
        let mut rest = upstream;
        if !self.keep_host {
            for host in &self.strip {
                rest = rest.strip_prefix(host.as_str()).and_then(|r| r.strip_prefix('/')).unwrap_or(rest);
            }
        }
        rest.to_owned()
    }

    /// The reference from the lists that belongs to a file or folder of that name.
    pub fn from_lists(&self, file: &Path) -> Result<Option<&str>, String> {
        let Some(name) = file.file_name().and_then(|n| n.to_str()) else { return Ok(None) };
        let stem = SUFFIXES.iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
        let mut found: BTreeMap<Upstream, &str> = BTreeMap::new();
        for reference in &self.lists {
            if manglings(reference).contains(stem) {
                found.entry(Upstream::parse(reference)).or_insert(reference);
            }
        }
        let mut all = found.into_values();
        match (all.next(), all.next()) {
            (Some(first), Some(second)) => {
                Err(format!("its name stands for {first} as well as for {second} of the lists; name it yourself"))
            }
            (first, _) => Ok(first),
        }
    }
}

/// File names that kubespray-offline (`/` to `_`, `:` to `-`) and kubespray's contrib/offline (both to `-`) make of a
/// reference, as it is listed and with what a plain one leaves out.
fn manglings(reference: &str) -> BTreeSet<String> {
    let mut full = vec![reference.to_owned()];
    let first = reference.split('/').next().unwrap_or(reference);
    if !reference.contains('/') {
        full.push(format!("docker.io/library/{reference}"));
    } else if !first.is_empty() && first.bytes().all(|b| b.is_ascii_alphanumeric()) {
        full.push(format!("docker.io/{reference}"));
    }
    let mangle = |slash: &str, r: &String| r.replace('/', slash).replace(':', "-");
    full.iter().flat_map(|r| [mangle("_", r), mangle("-", r)]).collect()
}

/// What an archive or layout says of one image's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Full references.
    pub full: BTreeSet<String>,
    /// Tags without a repository.
    pub tags: BTreeSet<String>,
}

/// An image that is to be named.
pub struct Nameless<'a> {
    /// Its manifest.
    pub top: Digest,
    /// What was said of its name.
    pub said: &'a Said,
    /// What it is about.
    pub subject: Option<Digest>,
    /// All manifests that belong to it.
    pub manifests: Vec<Digest>,
}

impl Nameless<'_> {
    /// The manifest that it belongs to: its subject, or the one in a tag `sha256-<hex>` (referrers of registries without
    /// an interface for them) or `sha256-<hex>.sig` (signatures).
    fn about(&self) -> Option<Digest> {
        let from_tag = |tag: &String| Digest::from_hex(tag.strip_prefix("sha256-")?.get(..64)?).ok();
        self.subject.or_else(|| self.said.tags.iter().find_map(from_tag))
    }
}

/// Upstream references for all images of one archive or layout, in their order. The words of the archive count first,
/// then the lists; what has no name but belongs to a named image is served from its repository.
pub fn references(naming: &Naming, path: &Path, images: &[Nameless<'_>]) -> Result<Vec<Vec<String>>, String> {
    let hint = match &naming.explicit {
        Some(explicit) => Some(explicit.as_str()),
        None => naming.from_lists(path)?,
    };
    let alone = images.iter().filter(|i| i.about().is_none()).count() == 1;
    let first = |image: &Nameless<'_>| -> Result<Vec<String>, String> {
        let main = alone && image.about().is_none();
        let named = !image.said.full.is_empty();
        Ok(match (hint, named) {
            (Some(hint), _) if main && (!named || naming.explicit.is_some()) => vec![hint.to_owned()],
            (_, true) if naming.explicit.is_some() => {
                return Err("it holds several images, so one name is not enough; leave the name out".into());
            }
            (_, true) => image.said.full.iter().cloned().collect(),
            (Some(hint), false) => {
                let repository = Upstream::parse(hint).repository;
                image.said.tags.iter().map(|tag| format!("{repository}:{tag}")).collect()
            }
            (None, false) => vec![],
        })
    };
    let mut out: Vec<Vec<String>> = images.iter().map(first).collect::<Result<_, _>>()?;
    let mut holders: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
    for (nth, image) in images.iter().enumerate() {
        image.manifests.iter().for_each(|m| holders.entry(*m).or_default().push(nth));
    }
    // Each round names at least one image more, or is the last.
    loop {
        let all = repositories(out.iter().flatten());
        let mut more = false;
        for (nth, image) in images.iter().enumerate() {
            if out.get(nth).is_none_or(|names| !names.is_empty()) {
                continue;
            }
            let about = image.about().and_then(|digest| holders.get(&digest));
            let of_holders = about.map(|nths| repositories(nths.iter().filter_map(|n| out.get(*n)).flatten()));
            let homes = match of_holders {
                Some(homes) if !homes.is_empty() => homes,
                _ if image.about().is_none() && all.len() == 1 => all.clone(),
                _ => continue,
            };
            if let Some(names) = out.get_mut(nth) {
                *names = homes.iter().flat_map(|home| under(home, image)).collect();
                more = true;
            }
        }
        if out.iter().map(Vec::len).sum::<usize>() > limits::ARCHIVE_IMAGE_NAMES {
            return Err(format!("its images have more than {} names", limits::ARCHIVE_IMAGE_NAMES));
        }
        if !more {
            break;
        }
    }
    match images.iter().zip(&out).find(|(_, names)| names.is_empty()) {
        Some((image, _)) if image.subject.is_some() => Err(format!(
            "the manifest {} refers to an image that is not in it, and has no name; name it in the packing list",
            image.top.oci()
        )),
        Some((image, _)) => Err(format!(
            "nothing says the name of the image {}: neither it nor a list; name it in the packing list",
            image.top.oci()
        )),
        None => Ok(out),
    }
}

fn under(home: &str, image: &Nameless<'_>) -> Vec<String> {
    if image.said.tags.is_empty() {
        return vec![format!("{home}@{}", image.top.oci())];
    }
    image.said.tags.iter().map(|tag| format!("{home}:{tag}")).collect()
}

fn repositories<'a>(references: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    references.map(|r| Upstream::parse(r).repository).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(naming: &Naming, reference: &str) -> Option<String> {
        naming.served(reference, &Digest([0; 32])).ok().map(|s| s.name.to_string())
    }

    #[test]
    fn names_are_those_of_kubespray_offline() {
        let naming = Naming::default();
        let zero = format!("sha256:{}", "0".repeat(64));
        for (reference, expect) in [
            ("registry.k8s.io/kube-apiserver:v1.33.7", "kube-apiserver:v1.33.7"),
            ("registry.k8s.io/coredns/coredns:v1.12.0", "coredns/coredns:v1.12.0"),
            ("quay.io/calico/node:v3.30.5", "calico/node:v3.30.5"),
            ("docker.io/library/nginx:1.28.0-alpine", "library/nginx:1.28.0-alpine"),
            ("docker.io/mirantis/k8s-netchecker-server:v1.2.2", "mirantis/k8s-netchecker-server:v1.2.2"),
            ("ghcr.io/k8snetworkplumbingwg/multus-cni:v4.2.2", "k8snetworkplumbingwg/multus-cni:v4.2.2"),
            (
                "quay.io/cilium/cilium-envoy:v1.34.10-1762597008-ff7ae7d623be00078865cff1b0672cc5d9bfc6d5",
                "cilium/cilium-envoy:v1.34.10-1762597008-ff7ae7d623be00078865cff1b0672cc5d9bfc6d5",
            ),
            ("docker.io/flannel/flannel-cni-plugin:v1.7.1-flannel1", "flannel/flannel-cni-plugin:v1.7.1-flannel1"),
            ("registry.k8s.io/pause:3.10", "pause:3.10"),
            ("registry.k8s.io/sig-storage/csi-attacher:v3.3.0", "sig-storage/csi-attacher:v3.3.0"),
            ("registry:2.8.3", "library/registry:2.8.3"),
            ("nvcr.io/nvidia/x:1", "nvcr.io/nvidia/x:1"),
            ("library/redis:7.1", "library/redis:7.1"),
            ("nginx", "library/nginx:latest"),
            // Hosts are stripped one after the other.
            ("registry.k8s.io/quay.io/a:1", "a:1"),
            ("quay.io/registry.k8s.io/a:1", "registry.k8s.io/a:1"),
            ("docker.io.example/a:1", "docker.io.example/a:1"),
            (&format!("quay.io/a/b@{zero}"), &format!("a/b@{zero}")),
            (&format!("quay.io/a/b:1@{zero}"), "a/b:1"),
        ] {
            assert_eq!(served(&naming, reference).as_deref(), Some(expect), "{reference}");
        }
        for bad in ["host:5000/a:1", "quay.io/A:1", "quay.io/a:", "", "a b:1", &format!("a@sha256:{}", "1".repeat(64))]
        {
            assert_eq!(served(&naming, bad), None, "{bad}");
        }
    }

    #[test]
    fn hosts_can_be_added_and_kept() {
        let mut more = Naming::default();
        more.strip.push("host:5000".into());
        assert_eq!(served(&more, "host:5000/a/b:1").as_deref(), Some("a/b:1"));
        let keep = Naming { keep_host: true, ..Naming::default() };
        assert_eq!(served(&keep, "registry.k8s.io/pause:3.10").as_deref(), Some("registry.k8s.io/pause:3.10"));
        assert_eq!(served(&keep, "nginx:1").as_deref(), Some("docker.io/library/nginx:1"));
    }

    #[test]
    fn lists_know_files_by_their_mangled_names() {
        let lists = ["registry.k8s.io/pause:3.10", "registry:2.8.3", "my/x:1", "a/b_c:1", "a_b/c:1"];
        let naming = Naming { lists: lists.map(String::from).into(), ..Naming::default() };
        let check = |file: &str, expect: Result<Option<&str>, ()>| {
            assert_eq!(naming.from_lists(Path::new(file)).map_err(drop), expect, "{file}");
        };
        check("images/registry.k8s.io_pause-3.10.tar.gz", Ok(Some(lists[0])));
        check("images/oci/registry.k8s.io_pause-3.10", Ok(Some(lists[0])));
        check("registry.k8s.io-pause-3.10.tar", Ok(Some(lists[0])));
        check("docker.io_library_registry-2.8.3.tar.gz", Ok(Some(lists[1])));
        check("docker.io_my_x-1.tar.zst", Ok(Some(lists[2])));
        check("a_b_c-1.tar", Err(()));
        check("unknown.tar.gz", Ok(None));
    }

    #[test]
    fn what_has_no_name_takes_the_repository_of_what_it_belongs_to() {
        let digest = |n: u8| Digest([n; 32]);
        let said = |full: &[&str], tags: &[&str]| Said {
            full: full.iter().map(|s| s.to_string()).collect(),
            tags: tags.iter().map(|s| s.to_string()).collect(),
        };
        let signature = format!("sha256-{}.sig", digest(1).hex());
        let (a, none, tag) = (said(&["quay.io/a/b:1"], &[]), said(&[], &[]), said(&[], &["t"]));
        let (other, sig) = (said(&["quay.io/other:1"], &[]), said(&[], &[&signature]));
        let image = |n: u8, said, subject: Option<u8>| Nameless {
            top: digest(n),
            said,
            subject: subject.map(digest),
            manifests: vec![digest(n), digest(n + 100)],
        };
        let run = |images: &[Nameless<'_>]| references(&Naming::default(), Path::new("x.tar"), images);
        let at = |n: u8| format!("quay.io/a/b@{}", digest(n).oci());
        // A referrer of a child, a referrer of that referrer listed first, a tag without a repository, a stray manifest.
        let got = run(&[
            image(3, &none, Some(2)),
            image(2, &none, Some(101)),
            image(1, &a, None),
            image(4, &tag, None),
            image(5, &none, None),
        ]);
        let expect =
            [vec![at(3)], vec![at(2)], vec!["quay.io/a/b:1".into()], vec!["quay.io/a/b:t".into()], vec![at(5)]];
        assert_eq!(got, Ok(expect.to_vec()));
        // With several repositories, a tag that names a digest still tells which.
        let got = run(&[image(1, &a, None), image(2, &other, None), image(3, &sig, None)]).expect("names");
        assert_eq!(got[2], [format!("quay.io/a/b:{signature}")]);
        assert!(run(&[image(1, &a, None), image(2, &other, None), image(3, &tag, None)]).is_err());
        assert!(run(&[image(1, &none, None)]).is_err());
        assert!(run(&[image(1, &a, None), image(2, &none, Some(9))]).is_err());
        let naming = Naming { explicit: Some("x:1".into()), ..Naming::default() };
        assert_eq!(references(&naming, Path::new("x"), &[image(1, &a, None)]), Ok(vec![vec!["x:1".into()]]));
        assert!(references(&naming, Path::new("x"), &[image(1, &a, None), image(2, &a, None)]).is_err());
    }
}
