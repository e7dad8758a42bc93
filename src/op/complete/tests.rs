//! Completeness, on releases and lists made up here.

use super::checksums::tests::archive;
use super::*;
use crate::cbor::Bytes;
use crate::digest::Digest;
use crate::kind::ReadSeek;
use crate::relpath::RelPath;
use std::fs;
use std::io::Cursor;

struct Memory(BTreeMap<Blob, Vec<u8>>);

impl BlobReader for Memory {
    fn open(&self, blob: &Blob) -> Result<Box<dyn ReadSeek + '_>, KindError> {
        let bytes = self.0.get(blob).ok_or(KindError::MissingBlob(blob.digest))?;
        Ok(Box::new(Cursor::new(&bytes[..])))
    }
    fn find(&self, digest: &Digest) -> Option<Blob> {
        self.0.keys().find(|b| b.digest == *digest).copied()
    }
}

fn artifact(kind: Kind, root: &str, name: &str, arch: Option<&str>, bytes: &[u8]) -> Described {
    let path = (kind != Kind::Image).then(|| RelPath::new(name).expect("a path"));
    let artifact = Artifact {
        kind,
        name: name.into(),
        version: None,
        arch: arch.map(str::to_owned),
        root: RelPath::new(root).expect("a root"),
        path,
        executable: false,
        blobs: vec![Blob::of(bytes)],
        labels: vec![],
    };
    Described { artifact, facts: Bytes(vec![0xa0]) }
}

fn elf(machine: u8) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(64, 0);
    out[18] = machine;
    out
}

fn run(files: &[(&str, &[u8])], images: &[(&str, &str)], lists: &[(&str, &str)]) -> Report {
    let dir = tempfile::tempdir().expect("tempdir");
    for (name, text) in lists {
        fs::write(dir.path().join(name), text).expect("write");
    }
    let mut all: Vec<Described> = files.iter().map(|(n, b)| artifact(Kind::File, "www", n, None, b)).collect();
    all.extend(images.iter().map(|(n, a)| artifact(Kind::Image, "registry", n, Some(a), n.as_bytes())));
    let memory = Memory(files.iter().map(|(_, b)| (Blob::of(b), b.to_vec())).collect());
    complete(&all, dir.path(), Some(&memory)).expect("a report")
}

const KUBECTL: &str = "https://dl.k8s.io/release/v1.33.7/bin/linux/amd64/kubectl";
const RUNSC: &str = "https://storage.googleapis.com/gvisor/releases/release/20251201.0/x86_64/runsc";
const CNI: &str =
    "https://github.com/containernetworking/plugins/releases/download/v1.8.0/cni-plugins-linux-amd64-v1.8.0.tgz";

#[test]
fn files_are_found_in_both_layouts() {
    let report = run(
        &[
            ("files/kubernetes/v1.33.7/kubectl", b"#!"),
            ("files/files.list", b""),
            ("files/yq/v4.42.1/yq_linux_amd64", b"yq"),
            ("files/stray", b"stray"),
            ("files/storage.googleapis.com/gvisor/releases/release/20251201.0/x86_64/runsc", b"#!"),
        ],
        &[],
        &[("files.list", &format!("{KUBECTL}\n{RUNSC}\n{KUBECTL}\n{CNI}\n"))],
    );
    assert_eq!(report.files.listed, 3);
    assert_eq!(report.files.missing, [CNI]);
    assert_eq!(report.files.extra, ["www/files/stray"]);
    assert!(!report.ok && report.files.wrong_architecture.is_empty());
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
}

#[test]
fn other_architectures_are_named() {
    let report = run(
        &[
            ("files/kubernetes/v1.33.7/kubectl", &elf(183)),
            ("files/kubernetes/cni/cni-plugins-linux-arm64-v1.8.0.tgz", b"tgz"),
            ("files/gvisor/20251201.0/aarch64/runsc", b"x"),
        ],
        &[("pause:3.10", "linux/arm64"), ("coredns/coredns:v1", "linux/amd64,linux/arm64")],
        &[
            ("files.list", &format!("{KUBECTL}\n{CNI}\n{RUNSC}\n")),
            ("images.list", "registry.k8s.io/pause:3.10\nregistry.k8s.io/coredns/coredns:v1\n"),
        ],
    );
    let seen: Vec<_> = report.files.wrong_architecture.iter().map(|w| (w.listed.as_str(), w.has.as_str())).collect();
    assert_eq!(seen, [(KUBECTL, "arm64"), (CNI, "arm64"), (RUNSC, "arm64")]);
    assert!(report.files.missing.is_empty() && !report.ok);
    let seen: Vec<_> = report.images.wrong_architecture.iter().map(|w| (w.path.as_str(), w.wanted.as_str())).collect();
    assert_eq!(seen, [("pause:3.10", "amd64")]);
}

#[test]
fn images_are_found_by_any_of_their_names() {
    let report = run(
        &[],
        &[
            ("library/registry:2.8.3", "linux/amd64"),
            ("calico/node:v3", "linux/amd64"),
            ("ghcr.io/kept/host:1", "linux/amd64"),
            ("mine/x:1", "linux/amd64"),
            ("extra:1", "linux/amd64"),
        ],
        &[
            ("images.list", "quay.io/calico/node:v3\nghcr.io/kept/host:1\nquay.io/none:1\n"),
            ("additional-images.list", "registry:2.8.3\nmyregistry.io:5000/mine/x:1\n"),
        ],
    );
    assert_eq!(report.images.missing, ["quay.io/none:1"]);
    assert_eq!(report.images.extra, ["extra:1"]);
    assert_eq!(report.images.listed, 5);
    let pinned = format!("quay.io/a/b@{}", Digest::of(b"b:1").oci());
    let report = run(&[], &[("b:1", "")], &[("images.list", &pinned)]);
    assert!(report.ok, "{report:?}");
}

#[test]
fn checksums_are_those_of_the_bundled_kubespray() {
    let hex = |b: &[u8]| -> String { Sha512::digest(b).iter().map(|b| format!("{b:02x}")).collect() };
    let sheet = format!(
        "kubectl_checksums:\n  amd64:\n    1.33.7: sha256:{}\n  arm64:\n    1.33.7: sha256:{}\n\
         gvisor_runsc_binary_checksums:\n  amd64:\n    20251201.0: sha512:{}\n",
        Digest::of(b"good").hex(),
        Digest::of(b"arm").hex(),
        hex(b"runsc")
    );
    let kubespray = archive("kubespray-2/roles/kubespray_defaults/vars/main/checksums.yml", &sheet);
    let list = format!("{KUBECTL}\n{RUNSC}\n{CNI}\n");
    let check = |kubectl: &[u8], runsc: &[u8]| {
        run(
            &[
                ("files/kubespray-2.tar.gz", &kubespray),
                ("files/kubernetes/v1.33.7/kubectl", kubectl),
                ("files/gvisor/20251201.0/x86_64/runsc", runsc),
                ("files/kubernetes/cni/cni-plugins-linux-amd64-v1.8.0.tgz", b"tgz"),
            ],
            &[],
            &[("files.list", &list)],
        )
    };
    let report = check(b"good", b"runsc");
    assert!(report.ok, "{report:?}");
    assert_eq!((report.checksums.equal, report.checksums.unknown.as_slice()), (2, &[CNI.to_owned()][..]));
    assert_eq!(report.checksums.archives, ["www/files/kubespray-2.tar.gz"]);
    let report = check(b"partial", b"runs");
    let paths: Vec<_> = report.checksums.different.iter().map(|d| d.path.as_str()).collect();
    assert_eq!(paths, ["www/files/kubernetes/v1.33.7/kubectl", "www/files/gvisor/20251201.0/x86_64/runsc"]);
    assert!(!report.ok);
    let report = check(b"arm", b"runsc");
    assert!(!report.ok && report.checksums.different.is_empty());
    assert_eq!(report.files.wrong_architecture.first().map(|w| w.has.as_str()), Some("arm64"));
    assert!(serde_json::to_string(&report).expect("json").contains("\"wrong_architecture\":[{"));
}

#[test]
fn lists_may_lie_in_outputs_and_must_be_there() {
    let dir = tempfile::tempdir().expect("tempdir");
    let refused = complete(&[], dir.path(), None).expect_err("refused");
    assert_eq!(refused.class(), Class::Usage);
    fs::create_dir(dir.path().join("images")).expect("mkdir");
    fs::write(dir.path().join("images/images.list"), "# none\n").expect("write");
    let report = complete(&[], dir.path(), None).expect("a report");
    assert!(report.ok && report.notes.len() == 1);
}

#[test]
fn words_stand_alone() {
    for (url, want) in [
        (KUBECTL, Some("amd64")),
        (RUNSC, Some("amd64")),
        ("https://h/yq_linux_arm64", Some("arm64")),
        ("https://h/charm/x", None),
        ("https://h/amd64x/y", None),
    ] {
        assert_eq!(architecture(url), want, "{url}");
    }
}
