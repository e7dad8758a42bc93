//! The *place of a URL* is where kubespray-offline puts the file that it downloads from there, below `files/`.
//!
//! Nothing is looked up and nothing is downloaded. Specified in `spec/site.md`, section "URL scheme".

/// Hosts that kubespray-offline strips from image names, in its order.
pub const STRIPPED_HOSTS: [&str; 6] = ["registry.k8s.io", "k8s.gcr.io", "gcr.io", "ghcr.io", "docker.io", "quay.io"];

/// Architectures as they stand in file names, with the word of `uname -m` for the same.
pub const ARCHITECTURES: [(&str, &str); 5] =
    [("amd64", "x86_64"), ("arm64", "aarch64"), ("arm", "armv7l"), ("ppc64le", "ppc64le"), ("s390x", "s390x")];

/// Where kubespray-offline puts the file of `url`: `kubernetes/v1.33.7/kubectl`. `None` where the URL names no file.
pub fn place(url: &str) -> Option<String> {
    let (_, parts) = split(url)?;
    let name = parts.last()?;
    Some(match folder(&parts) {
        Some(folder) => format!("{folder}/{name}"),
        None => (*name).to_owned(),
    })
}

/// Where kubespray's own `manage-offline-files.sh` puts it: the host, then the path.
pub fn upstream_place(url: &str) -> Option<String> {
    let (host, parts) = split(url)?;
    Some(format!("{host}/{}", parts.join("/")))
}

/// Where kubespray's `offline.yml` asks for a file that kubespray-offline puts elsewhere by mistake: `yq` lies in
/// `yq/v4.42.1amd64/`, and is asked for in `yq/v4.42.1/`.
pub fn mended_folder(folder: &str) -> Option<String> {
    let version = folder.strip_prefix("yq/v")?;
    ARCHITECTURES
        .iter()
        .filter_map(|(arch, _)| version.strip_suffix(arch))
        .filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        .map(|v| format!("yq/v{v}"))
        .next()
}

/// Host and path components of a URL that has at least one.
fn split(url: &str) -> Option<(&str, Vec<&str>)> {
    let (_, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let parts: Vec<&str> = path.split('/').collect();
    (!host.is_empty() && parts.iter().all(|p| !p.is_empty())).then_some((host, parts))
}

/// The folder of kubespray-offline's rules; what a rule leaves of the name is appended to the folder, as there.
fn folder(parts: &[&str]) -> Option<String> {
    let (name, above) = parts.split_last()?;
    let ends =
        |segment: &str, end: &str| above.iter().chain([name]).any(|p| p.starts_with(segment)) && name.ends_with(end);
    for program in ["kubeadm", "kubectl", "kubelet"] {
        if let (Some(rest), Some((_, versions))) = (name.strip_prefix(program), above.split_last())
            && let Some(version) = versions.iter().rev().find(|p| is_version(p))
        {
            return Some(format!("kubernetes/{version}{rest}"));
        }
    }
    for (segment, end, folder) in [
        ("etcd-", ".tar.gz", "kubernetes/etcd"),
        ("cni-plugins", ".tgz", "kubernetes/cni"),
        ("crictl-", ".tar.gz", "kubernetes/cri-tools"),
    ] {
        if ends(segment, end) {
            return Some(folder.to_owned());
        }
    }
    if name.starts_with("calicoctl-") {
        return from_v(above).map(|v| format!("kubernetes/calico/{v}"));
    }
    if let Some(arch) = name.strip_prefix("runc.")
        && ARCHITECTURES.iter().any(|(a, _)| *a == arch)
    {
        return from_v(above).map(|v| format!("runc/{v}"));
    }
    if name.starts_with("cilium-linux-") {
        return from_v(above).map(|v| format!("cilium-cli/{v}"));
    }
    if let (Some(rest), [.., version, arch]) =
        (name.strip_prefix("runsc").or_else(|| name.strip_prefix("containerd-shim-runsc-v1")), above)
    {
        return Some(format!("gvisor/{version}/{arch}{rest}"));
    }
    let version = above.last().filter(|v| v.starts_with('v'));
    if let (true, Some(version)) = (name.starts_with("skopeo-linux-"), version) {
        return Some(format!("skopeo/{version}"));
    }
    if let (Some(rest), Some(version)) = (name.strip_prefix("yq_linux"), version) {
        return Some(format!("yq/{version}{}", rest.trim_start_matches('_')));
    }
    above.contains(&"calico").then(|| "kubernetes/calico".to_owned())
}

/// `v` and then digits and dots only.
fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|v| v.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// The components from the last that begins with `v`.
fn from_v(above: &[&str]) -> Option<String> {
    let at = above.iter().rposition(|p| p.starts_with('v'))?;
    above.get(at..).map(|v| v.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kubespray_offlines() {
        // One line a URL, a tab, the place: what the downloader itself makes of the lists of kubespray 2.29.1 and 2.30.0.
        let map = include_str!("../../../testdata/kubespray/files-map.tsv");
        let mut seen = 0;
        for line in map.lines() {
            let (url, want) = line.split_once('\t').expect("two columns");
            assert_eq!(place(url).map(|p| format!("files/{p}")).as_deref(), Some(want), "{url}");
            seen += 1;
        }
        assert!(seen > 24);
    }

    #[test]
    fn odd_urls() {
        for (url, want) in [
            ("https://a.example/x/calico/raw/v3.31.7/manifests/crds.yaml", Some("kubernetes/calico/crds.yaml")),
            ("https://a.example/v1.2/bin/kubectl.sha256", Some("kubernetes/v1.2.sha256/kubectl.sha256")),
            ("https://a.example/", None),
            ("https://a.example", None),
            ("a.example/x", None),
            ("", None),
            ("https://a.example/runsc", Some("runsc")),
            ("https://a.example/yq_linux_amd64", Some("yq_linux_amd64")),
            ("https://a.example/calicoctl-linux-amd64", Some("calicoctl-linux-amd64")),
        ] {
            assert_eq!(place(url).as_deref(), want, "{url}");
        }
        assert_eq!(upstream_place("https://h.example/a/b").as_deref(), Some("h.example/a/b"));
        for (folder, want) in [
            ("yq/v4.42.1amd64", Some("yq/v4.42.1")),
            ("yq/v4.42.1arm64", Some("yq/v4.42.1")),
            ("yq/v4.42.1", None),
            ("yq/vamd64", None),
            ("runc/v1amd64", None),
        ] {
            assert_eq!(mended_folder(folder).as_deref(), want, "{folder}");
        }
    }
}
