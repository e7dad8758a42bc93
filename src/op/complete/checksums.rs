//! *Checksums* are what kubespray itself says of the files that it downloads, in the `checksums.yml` of its own archive.
//!
//! It compares nothing; it reads the sheet and says which of its lines speaks of a URL. Specified in `spec/packing.md`,
//! section "Completeness".

use crate::kind::{KindError, ReadSeek};
use crate::limits;
use crate::source::kubespray::urls::ARCHITECTURES;
use flate2::read::MultiGzDecoder;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::io::Read;

/// Where the sheet lies in kubespray's archives, below their top folder, the newest first.
const PLACES: [&str; 4] = [
    "roles/kubespray_defaults/vars/main/checksums.yml",
    "roles/kubespray-defaults/vars/main/checksums.yml",
    "roles/kubespray-defaults/defaults/main/checksums.yml",
    "roles/download/defaults/main/checksums.yml",
];

/// Which line of the sheet speaks of a URL, by the end of the URL: `{v}` is the version, `{a}` the architecture. The
/// first that fits counts.
const COMPONENTS: [(&str, &str); 29] = [
    ("kubelet", "v{v}/bin/linux/{a}/kubelet"),
    ("kubectl", "v{v}/bin/linux/{a}/kubectl"),
    ("kubeadm", "v{v}/bin/linux/{a}/kubeadm"),
    ("etcd_binary", "etcd-v{v}-linux-{a}.tar.gz"),
    ("cni_binary", "cni-plugins-linux-{a}-v{v}.tgz"),
    ("crictl", "crictl-v{v}-linux-{a}.tar.gz"),
    ("crio_archive", "cri-o.{a}.v{v}.tar.gz"),
    ("calicoctl_binary", "v{v}/calicoctl-linux-{a}"),
    ("calico_crds", "calico/archive/v{v}.tar.gz"),
    ("calico_crds", "calico/raw/v{v}/manifests/crds.yaml"),
    ("ciliumcli_binary", "v{v}/cilium-linux-{a}.tar.gz"),
    ("helm_archive", "helm-v{v}-linux-{a}.tar.gz"),
    ("cri_dockerd_archive", "cri-dockerd-{v}.{a}.tgz"),
    ("runc", "v{v}/runc.{a}"),
    ("crun", "crun-{v}-linux-{a}"),
    ("youki", "youki-{v}-{a}-gnu.tar.gz"),
    ("kata_containers_binary", "kata-static-{v}-{a}.tar.xz"),
    ("kata_containers_binary", "kata-static-{v}-{a}.tar.zst"),
    ("gvisor_runsc_binary", "{v}/{a}/runsc"),
    ("gvisor_containerd_shim_binary", "{v}/{a}/containerd-shim-runsc-v1"),
    ("nerdctl_archive", "nerdctl-{v}-linux-{a}.tar.gz"),
    ("containerd_static_archive", "containerd-static-{v}-linux-{a}.tar.gz"),
    ("containerd_archive", "containerd-{v}-linux-{a}.tar.gz"),
    ("skopeo_binary", "v{v}/skopeo-linux-{a}"),
    ("yq", "v{v}/yq_linux_{a}"),
    ("gateway_api_standard_crds", "gateway-api/releases/download/v{v}/standard-install.yaml"),
    ("gateway_api_experimental_crds", "gateway-api/releases/download/v{v}/experimental-install.yaml"),
    ("prometheus_operator_crds", "prometheus-operator/releases/download/v{v}/stripped-down-crds.yaml"),
    ("argocd_install", "argo-cd/v{v}/manifests/install.yaml"),
];

/// Component, then architecture or `no_arch`, then version: the checksum as it stands there.
type Lines = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

/// The sheet of one or more kubespray versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums(Lines);

/// What a URL is to the sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The part of the line's name before `_checksums`.
    pub name: &'static str,
    /// Its version, without `v`.
    pub version: String,
    /// Its architecture in the words of Go; `None` where it has none.
    pub architecture: Option<&'static str>,
}

/// A checksum of the sheet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checksum {
    /// 64 lower-case hexadecimal digits.
    Sha256(String),
    /// 128 lower-case hexadecimal digits.
    Sha512(String),
}

impl Checksums {
    /// Reads the sheet of a kubespray archive; `None` where it has none.
    pub fn of_archive(archive: &mut dyn ReadSeek) -> Result<Option<Checksums>, KindError> {
        let malformed = |e: std::io::Error| KindError::malformed("the kubespray archive", e.to_string());
        let plain = MultiGzDecoder::new(archive).take(limits::ARCHIVE_SCAN);
        let mut tar = tar::Archive::new(plain);
        for (n, entry) in tar.entries().map_err(malformed)?.enumerate() {
            let entry = entry.map_err(malformed)?;
            if n >= limits::ARCHIVE_ENTRIES {
                return Err(KindError::malformed("the kubespray archive", "it has too many entries"));
            }
            let below_top = |path: &[u8]| {
                let path = std::str::from_utf8(path).ok()?;
                path.trim_start_matches("./").split_once('/').map(|(_, below)| below.to_owned())
            };
            if !below_top(&entry.path_bytes()).is_some_and(|p| PLACES.contains(&p.as_str())) {
                continue;
            }
            let mut text = String::new();
            let limit = limits::CONFIGURATION;
            entry.take(limit + 1).read_to_string(&mut text).map_err(malformed)?;
            if text.len() as u64 > limit {
                return Err(KindError::TooLarge { what: "checksums.yml", limit, have: text.len() as u64 });
            }
            return Checksums::parse(&text).map(Some);
        }
        Ok(None)
    }

    /// Reads the sheet.
    pub fn parse(text: &str) -> Result<Checksums, KindError> {
        let sheet: Sheet =
            serde_saphyr::from_str(text).map_err(|e| KindError::malformed("checksums.yml", e.to_string()))?;
        Ok(Checksums(sheet.0))
    }

    /// What the sheet says of a component, for its architecture or for none.
    pub fn of(&self, component: &Component) -> Option<Checksum> {
        let lines = self.0.get(component.name)?;
        let versions = lines.get(component.architecture.unwrap_or("no_arch")).or_else(|| lines.get("no_arch"))?;
        versions.get(&component.version).and_then(|text| Checksum::parse(text))
    }
}

impl Checksum {
    fn parse(text: &str) -> Option<Checksum> {
        let hex = text.trim().trim_start_matches("sha256:").trim_start_matches("sha512:").to_ascii_lowercase();
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        match hex.len() {
            64 => Some(Checksum::Sha256(hex)),
            128 => Some(Checksum::Sha512(hex)),
            _ => None,
        }
    }
}

impl std::fmt::Display for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Checksum::Sha256(hex) => write!(f, "sha256:{hex}"),
            Checksum::Sha512(hex) => write!(f, "sha512:{hex}"),
        }
    }
}

impl Component {
    /// What a URL is to the sheet; `None` for what it does not speak of.
    pub fn of_url(url: &str) -> Option<Component> {
        if url.len() > limits::URL {
            return None; // matching takes time that grows with the square of its length
        }
        COMPONENTS.iter().find_map(|(name, pattern)| {
            let mut found = Component { name, version: String::new(), architecture: None };
            let parts = pattern.split('/').count();
            let at = url.rmatch_indices('/').nth(parts.saturating_sub(1)).map(|(i, _)| i + 1)?;
            fits(pattern, url.get(at..)?, &mut found).then_some(found)
        })
    }

    /// The same for another architecture.
    pub fn with(&self, architecture: &'static str) -> Component {
        Component { architecture: Some(architecture), ..self.clone() }
    }
}

/// Whether `text` is of the form `pattern`, whose holes are entered into `found`.
fn fits(pattern: &str, text: &str, found: &mut Component) -> bool {
    if let Some(rest) = pattern.strip_prefix("{v}") {
        let ends = text.char_indices().map(|(i, c)| i + c.len_utf8());
        return ends.take_while(|end| text.get(..*end).is_some_and(|v| !v.contains('/'))).any(|end| {
            let (version, tail) = text.split_at(end);
            let fit = fits(rest, tail, found);
            if fit {
                found.version = version.to_owned();
            }
            fit
        });
    }
    if let Some(rest) = pattern.strip_prefix("{a}") {
        return ARCHITECTURES.iter().flat_map(|(go, uname)| [(go, go), (go, uname)]).any(|(go, word)| {
            let fit = text.strip_prefix(word).is_some_and(|tail| fits(rest, tail, found));
            if fit {
                found.architecture = Some(go);
            }
            fit
        });
    }
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some(p), Some(t)) if p == t => {
            fits(pattern.get(p.len_utf8()..).unwrap_or(""), text.get(t.len_utf8()..).unwrap_or(""), found)
        }
        _ => false,
    }
}

/// The document: `<component>_checksums` at the top, anything else beside it.
struct Sheet(Lines);

impl<'de> Deserialize<'de> for Sheet {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Sheet, D::Error> {
        d.deserialize_map(SheetVisitor)
    }
}

struct SheetVisitor;

impl<'de> Visitor<'de> for SheetVisitor {
    type Value = Sheet;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map of checksums by component")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sheet, A::Error> {
        let mut out = Lines::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.strip_suffix("_checksums") {
                Some(name) => {
                    out.insert(name.to_owned(), map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Sheet(out))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Cursor;

    /// A gzipped tar with one file of that path and text.
    pub(crate) fn archive(path: &str, text: &str) -> Vec<u8> {
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (path, text) in [("kubespray-1/README.md", "readme"), (path, text)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, text.as_bytes()).expect("appended");
        }
        tar.into_inner().and_then(|gz| gz.finish()).expect("an archive")
    }

    fn sheet() -> String {
        let (a, b) = ("a".repeat(64), "b".repeat(128));
        format!(
            "---\ncrun_checksums:\n  amd64:\n    1.17: sha256:{a}\n    1.10: {b}\n    1.1: 0\n  arm64:\n    '1.17': {b}\n\
             gvisor_runsc_binary_checksums:\n  amd64:\n    20251201.0: sha512:{b}\n\
             calico_crds_checksums:\n  no_arch:\n    3.30.5: sha256:{a}\nother:\n- x\n"
        )
    }

    #[test]
    fn sheets_are_read() {
        let sums = Checksums::parse(&sheet()).expect("a sheet");
        let of = |name, architecture, version: &str| {
            sums.of(&Component { name, architecture, version: version.into() }).map(|c| c.to_string().len())
        };
        assert_eq!(of("crun", Some("amd64"), "1.17"), Some(71));
        assert_eq!(of("crun", Some("amd64"), "1.10"), Some(135));
        assert_eq!(of("crun", Some("amd64"), "1.1"), None);
        assert_eq!(of("crun", Some("arm64"), "1.17"), Some(135));
        assert_eq!(of("gvisor_runsc_binary", Some("amd64"), "20251201.0"), Some(135));
        assert_eq!(of("calico_crds", None, "3.30.5"), Some(71));
        assert_eq!(of("none", None, "3.30.5"), None);
        for bad in ["[]", "a_checksums: 1", "a_checksums: {b: {c: [1]}}", "a: 'x", "\0"] {
            assert!(Checksums::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_listed_url_has_a_component() {
        let map = include_str!("../../../testdata/kubespray/files-map.tsv");
        for url in map.lines().filter_map(|l| l.split_once('\t')).map(|(url, _)| url) {
            let c = Component::of_url(url).unwrap_or_else(|| panic!("{url}"));
            assert!(c.version.starts_with(|c: char| c.is_ascii_digit()), "{url}: {c:?}");
            assert!(!c.version.ends_with("linux") && c.architecture.is_none_or(|a| a == "amd64" || a == "arm64"));
        }
        let of = |url: &str| Component::of_url(url).map(|c| (c.name, c.version, c.architecture));
        for (url, want) in [
            (
                "https://h/containerd-static-2.1.5-linux-arm64.tar.gz",
                Some(("containerd_static_archive", "2.1.5", Some("arm64"))),
            ),
            ("https://h/v0.5.7/youki-0.5.7-aarch64-gnu.tar.gz", Some(("youki", "0.5.7", Some("arm64")))),
            ("https://h/2.x/x86_64/runsc", Some(("gvisor_runsc_binary", "2.x", Some("amd64")))),
            ("https://h/runsc", None),
            ("runsc", None),
            ("", None),
        ] {
            assert_eq!(of(url), want.map(|(n, v, a)| (n, v.to_owned(), a)), "{url}");
        }
    }

    #[test]
    fn archives_are_read_and_never_panic() {
        let good = archive("kubespray-1/roles/kubespray_defaults/vars/main/checksums.yml", &sheet());
        let read = |bytes: &[u8]| Checksums::of_archive(&mut Cursor::new(bytes.to_vec()));
        assert_eq!(read(&good).expect("read"), Some(Checksums::parse(&sheet()).expect("a sheet")));
        assert_eq!(read(&archive("kubespray-1/other", "x")).expect("read"), None);
        for cut in 0..good.len() {
            let _ = read(&good[..cut]);
            let mut flipped = good.clone();
            flipped[cut] ^= 0x41;
            let _ = read(&flipped);
        }
    }
}
