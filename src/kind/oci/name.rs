//! An *image name* is `repository:tag` or `repository@sha256:<hex>`, as a registry serves it, without the registry's host.
//!
//! How upstream references become such names is the packer's business (`source::oci::naming`). The grammar is that of the
//! OCI distribution specification 1.1, section "Pulling manifests". Specified in `spec/facts.md`, section "Names".

use crate::digest::Digest;
use crate::kind::KindError;
use crate::relpath::RelPath;
use std::fmt;

/// Longest repository name, in bytes (what registries take).
pub const MAX_REPOSITORY: usize = 255;
/// Longest tag, in bytes.
pub const MAX_TAG: usize = 128;

/// A repository and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// The repository: lower-case components joined by `/`.
    pub repository: String,
    /// The tag or digest.
    pub reference: Reference,
}

/// What names a manifest within a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A tag.
    Tag(String),
    /// A digest.
    Digest(Digest),
}

impl ImageName {
    /// Reads a name, which must have a tag or a digest.
    pub fn parse(text: &str) -> Result<ImageName, KindError> {
        let refuse = |why: &str| KindError::malformed("an image's name", format!("{text:?} {why}"));
        let (repository, reference) = if let Some((repository, digest)) = text.split_once('@') {
            let digest = Digest::from_oci(digest)
                .map_err(|_| refuse("has a digest that is not sha256 and 64 hexadecimal digits"))?;
            (repository, Reference::Digest(digest))
        } else {
            let (repository, tag) = text.rsplit_once(':').ok_or_else(|| refuse("has no tag"))?;
            if !is_tag(tag) {
                return Err(refuse("has a tag that is not 1 to 128 letters, digits, _ . or -, or begins with . or -"));
            }
            (repository, Reference::Tag(tag.to_owned()))
        };
        if let Some(why) = why_repository_refused(repository) {
            return Err(refuse(why));
        }
        let name = ImageName { repository: repository.to_owned(), reference };
        // The longest path that a registry makes of it; refused here, where it is packed, and not where it is installed.
        match RelPath::new(&format!("registry/docker/registry/v2/repositories/{}", name.longest_link())) {
            Ok(_) => Ok(name),
            Err(e) => Err(refuse(&format!("cannot be a path in a registry: {}", e.why))),
        }
    }
}

impl ImageName {
    fn longest_link(&self) -> String {
        let tag = match &self.reference {
            Reference::Tag(tag) => tag,
            Reference::Digest(_) => "x",
        };
        format!("{}/_manifests/tags/{tag}/index/sha256/{}/link", self.repository, "0".repeat(64))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Reference::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Reference::Digest(digest) => write!(f, "{}@{}", self.repository, digest.oci()),
        }
    }
}

/// Whether `text` is a tag.
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn why_repository_refused(text: &str) -> Option<&'static str> {
    if text.len() > MAX_REPOSITORY {
        return Some("has a repository of more than 255 bytes");
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some("has upper-case letters in its repository");
    }
    if text.contains(':') {
        return Some("has a port in it; list its host among those to strip");
    }
    (!text.split('/').all(is_component)).then_some(
        "has a repository that is not lower-case letters and digits, joined by single . or _ or by __ or -, with / between",
    )
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`: runs of letters and digits with one separator between two.
fn is_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(plain) && text.bytes().last().is_some_and(plain);
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let good = |s: &str| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-');
    ends && separators.into_iter().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        let hex = "0".repeat(64);
        for good in [
            "a:b",
            "library/nginx:1.29.2",
            "kube-apiserver:v1.33.7",
            "a/b/c/d:_x",
            "a__b:1",
            "a---b:1",
            "a.b_c-d/e:V1",
            "registry.k8s.io/pause:3.10",
            &format!("a@sha256:{hex}"),
            "a:v1.34.10-1762597008-ff7ae7d623be00078865",
        ] {
            assert_eq!(ImageName::parse(good).map(|n| n.to_string()).ok().as_deref(), Some(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a:",
            ":b",
            "A:b",
            "a/B:c",
            "a//b:c",
            "/a:b",
            "a/:b",
            "-a:b",
            "a-:b",
            "a..b:c",
            "a___b:c",
            "a._b:c",
            "host:5000/x:1",
            "a:.b",
            "a:-b",
            "a:b/c",
            "a:é",
            "é:a",
            "a b:c",
            "a@sha256:0",
            "a@sha512:0",
            "../a:b",
            "a:b\n",
            &format!("a:{}", "x".repeat(129)),
            &format!("{}:x", "a".repeat(256)),
            &format!("a@sha256:{hex}0"),
            &format!("a:b@sha256:{hex}"),
            "aux/a:b",
            "a:nul",
            "a:b.",
            &format!("{}a:b", "a/".repeat(60)),
        ] {
            assert!(ImageName::parse(bad).is_err(), "{bad}");
        }
    }
}
