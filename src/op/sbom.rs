//! An *SBOM* is a release's list of artifacts in the form that other programs read: CycloneDX 1.6, JSON.
//!
//! It lists what the release says, not what is inside images and archives. It has neither time nor random number: the same
//! release gives the same document. Specified in `spec/desk.md`, section "SBOM".

use crate::cbor;
use crate::digest::Digest;
use crate::format::root::ReleaseRoot;
use crate::kind::gomod::GomodFacts;
use crate::kind::oci::name::{ImageName, Reference};
use crate::kind::rpm::RpmFacts;
use crate::model::{Artifact, Described, Kind};
use crate::op::review::licence;
use serde::Serialize;

/// The document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
}

#[derive(Clone, Debug, Serialize)]
struct Metadata {
    tools: Tools,
    component: Component,
}

#[derive(Clone, Debug, Serialize)]
struct Tools {
    components: Vec<Component>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenseChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Clone, Debug, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Clone, Debug, Serialize)]
struct LicenseChoice {
    license: License,
}

#[derive(Clone, Debug, Serialize)]
struct License {
    name: String,
}

#[derive(Clone, Debug, Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

/// Lists a release.
pub fn bom(id: Digest, root: &ReleaseRoot, artifacts: &[Described]) -> Bom {
    let version = root.version.clone().unwrap_or_else(|| format!("{}.{}", root.epoch, root.sequence));
    let whole = Component {
        kind: "application",
        reference: Some(format!("release:{id}")),
        name: root.stream.clone(),
        version: Some(version),
        properties: vec![
            Property { name: "pouch:release", value: id.hex() },
            Property { name: "pouch:epoch", value: root.epoch.to_string() },
            Property { name: "pouch:sequence", value: root.sequence.to_string() },
        ],
        ..Component::default()
    };
    let tool = Component {
        kind: "application",
        name: "pouch".into(),
        version: Some(env!("CARGO_PKG_VERSION").into()),
        ..Component::default()
    };
    Bom {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: serial(id),
        version: 1,
        metadata: Metadata { tools: Tools { components: vec![tool] }, component: whole },
        components: artifacts.iter().map(component).collect(),
    }
}

/// A UUID of version 8 (RFC 9562, section 5.8): the first bytes of the release id.
fn serial(id: Digest) -> String {
    let mut raw = id.0;
    raw[6] = raw[6] & 0x0f | 0x80;
    raw[8] = raw[8] & 0x3f | 0x80;
    let hex = Digest(raw).hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

fn component(d: &Described) -> Component {
    let a = &d.artifact;
    let place = a.place().and_then(Result::ok).unwrap_or_else(|| a.root.clone());
    let mut properties = vec![
        Property { name: "pouch:kind", value: a.kind.name().into() },
        Property { name: "pouch:place", value: place.to_string() },
        Property { name: "pouch:bytes", value: a.bytes().to_string() },
    ];
    properties.extend(a.arch.clone().map(|value| Property { name: "pouch:arch", value }));
    Component {
        kind: match a.kind {
            Kind::File => "file",
            Kind::Image => "container",
            Kind::Repodata => "data",
            Kind::Chart => "application",
            Kind::Rpm | Kind::Deb | Kind::Wheel | Kind::Sdist | Kind::Gomod => "library",
        },
        // A place has one artifact, and so has an image's name; the kind keeps the two apart.
        reference: Some(match a.path {
            Some(_) => format!("{}:{place}", a.kind),
            None => format!("{}:{}", a.kind, a.name),
        }),
        name: a.name.clone(),
        version: a.version.clone(),
        hashes: a.blobs.first().map(|b| Hash { alg: "SHA-256", content: b.digest.hex() }).into_iter().collect(),
        licenses: licence(d)
            .filter(|l| !l.is_empty())
            .map(|name| LicenseChoice { license: License { name } })
            .into_iter()
            .collect(),
        purl: purl(d),
        properties,
    }
}

/// A package URL, where its type says how artifacts of the kind are named. Distributions are not known here, so that rpms
/// and debs have no namespace; of a Go module its zip alone is the module.
pub fn purl(d: &Described) -> Option<String> {
    let a = &d.artifact;
    let version = a.version.as_deref().unwrap_or_default();
    match a.kind {
        Kind::File | Kind::Repodata => None,
        Kind::Rpm => {
            let facts = cbor::decode::<RpmFacts>(&d.facts.0).ok()?;
            let epoch = (facts.epoch > 0).then(|| facts.epoch.to_string());
            let version = format!("{}-{}", facts.version, facts.release);
            Some(url("rpm", &a.name, &version, &[("arch", Some(facts.arch)), ("epoch", epoch)]))
        }
        Kind::Deb => Some(url("deb", &a.name, version, &[("arch", a.arch.clone())])),
        Kind::Wheel | Kind::Sdist => Some(url("pypi", &crate::kind::python::project(&a.name), version, &[])),
        Kind::Chart => Some(url("helm", &a.name, version, &[])),
        Kind::Gomod => {
            let facts = cbor::decode::<GomodFacts>(&d.facts.0).ok()?;
            (facts.file == "zip").then(|| url("golang", &facts.module.to_lowercase(), version, &[]))
        }
        Kind::Image => image(a),
    }
}

/// `pkg:oci`: the last part of the repository, the manifest's digest, and where its users know it from.
fn image(a: &Artifact) -> Option<String> {
    let name = ImageName::parse(&a.name).ok()?;
    let last = name.repository.rsplit('/').next()?.to_owned();
    let origin = a.label("origin").map(|o| o.split('@').next().unwrap_or(o));
    let at = origin.map(|o| match o.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
        _ => o.to_owned(),
    });
    let tag = match name.reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    };
    Some(url("oci", &last, &a.blobs.first()?.digest.oci(), &[("repository_url", at), ("tag", tag)]))
}

/// `pkg:TYPE/NAME@VERSION?QUALIFIERS`; qualifiers are given in the order of their keys.
fn url(kind: &str, name: &str, version: &str, qualifiers: &[(&str, Option<String>)]) -> String {
    let name: Vec<String> = name.split('/').map(encode).collect();
    let mut out = format!("pkg:{kind}/{}", name.join("/"));
    if !version.is_empty() {
        out += &format!("@{}", encode(version));
    }
    let given = qualifiers.iter().filter_map(|(k, v)| v.as_ref().filter(|v| !v.is_empty()).map(|v| (k, v)));
    for (n, (key, value)) in given.enumerate() {
        out += &format!("{}{key}={}", if n == 0 { '?' } else { '&' }, encode(value));
    }
    out
}

/// Percent-encoding of all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            true => out.push(char::from(b)),
            false => out += &format!("%{b:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{Bytes, encode as cbor};
    use crate::digest::Blob;
    use crate::relpath::RelPath;

    fn described(kind: Kind, name: &str, version: Option<&str>, arch: Option<&str>, facts: Vec<u8>) -> Described {
        let artifact = Artifact {
            kind,
            name: name.into(),
            version: version.map(Into::into),
            arch: arch.map(Into::into),
            root: RelPath::new("r").expect("a root"),
            path: None,
            executable: false,
            blobs: vec![Blob::of(b"x")],
            labels: vec![("origin".into(), "quay.io:443/a/b:1".into())],
        };
        Described { artifact, facts: Bytes(facts) }
    }

    #[test]
    fn package_urls() {
        let check = |d: Described, want: Option<&str>| assert_eq!(purl(&d).as_deref(), want);
        let plain = |kind, name, version, arch| described(kind, name, Some(version), arch, vec![0xa0]);
        check(
            plain(Kind::Deb, "libc6", "1:2.36-9+deb12u1", Some("amd64")),
            Some("pkg:deb/libc6@1%3A2.36-9%2Bdeb12u1?arch=amd64"),
        );
        check(plain(Kind::Wheel, "Foo_Bar", "1.0", None), Some("pkg:pypi/foo-bar@1.0"));
        check(plain(Kind::Chart, "web", "0.1.0+x", None), Some("pkg:helm/web@0.1.0%2Bx"));
        check(plain(Kind::File, "a/b", "1", None), None);
        let digest = Blob::of(b"x").digest.hex();
        let want = format!("pkg:oci/b@sha256%3A{digest}?repository_url=quay.io%3A443%2Fa%2Fb&tag=1");
        check(described(Kind::Image, "a/b:1", None, None, vec![0xa0]), Some(&want));
        let module = |file: &str| GomodFacts {
            module: "example.org/Pouch/x".into(),
            version: "v1.0.0".into(),
            file: file.into(),
            time: None,
            members: None,
            sum: None,
        };
        let go = |file| described(Kind::Gomod, "example.org/Pouch/x", Some("v1.0.0"), None, cbor(&module(file)));
        check(go("zip"), Some("pkg:golang/example.org/pouch/x@v1.0.0"));
        check(go("mod"), None);
    }

    #[test]
    fn serial_numbers_are_uuids() {
        let text = serial(Digest([0xff; 32]));
        assert_eq!(text, "urn:uuid:ffffffff-ffff-8fff-bfff-ffffffffffff");
    }
}
