//! pgzip as people get it: `skopeo copy` compresses a plain image layer, and what it wrote is recognised and replayed.
use crate::common::shape;
use pouch::replay::recognise::{Options, recognise};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;

fn blob(layout: &Path, bytes: &[u8]) -> String {
    let name: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    std::fs::write(layout.join("blobs/sha256").join(&name), bytes).unwrap();
    format!(r#""digest":"sha256:{name}","size":{}"#, bytes.len())
}

/// An OCI layout of one image with one plain layer.
fn layout(dir: &Path, layer: &[u8]) {
    const OCI: &str = "application/vnd.oci.image";
    std::fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let layer = blob(dir, layer);
    let diff = layer.split('"').nth(3).unwrap();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{diff}"]}}}}"#
    );
    let config = blob(dir, config.as_bytes());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI}.manifest.v1+json","config":{{"mediaType":"{OCI}.config.v1+json",{config}}},"layers":[{{"mediaType":"{OCI}.layer.v1.tar",{layer}}}]}}"#
    );
    let manifest = blob(dir, manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI}.manifest.v1+json",{manifest},"annotations":{{"org.opencontainers.image.ref.name":"x"}}}}]}}"#
    );
    std::fs::write(dir.join("index.json"), index).unwrap();
}

/// A tar of one file, so that whoever looks into the layer finds one.
fn tar(content: &[u8]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    out.append_data(&mut header, "usr/bin/tool", content).unwrap();
    out.into_inner().unwrap()
}

/// More than one segment of pgzip's (1 MiB), of each kind of content.
#[test]
fn layers_that_skopeo_compresses() {
    for (name, len) in [("mixed", 2_500_000), ("text", 1_048_576), ("copies", 3_000_000), ("random", 1_100_000)] {
        let plain = tar(&shape(name, len, 15));
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        layout(&from, &plain);
        let done = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "-q", "--dest-compress", "--dest-compress-format", "gzip"])
            .args([format!("oci:{}:x", from.display()), format!("dir:{}", to.display())])
            .status();
        assert!(done.unwrap_or_else(|e| panic!("skopeo is needed for this test: {e}")).success());
        let manifest: serde_json::Value =
            serde_json::from_slice(&std::fs::read(to.join("manifest.json")).unwrap()).unwrap();
        let digest = manifest["layers"][0]["digest"].as_str().unwrap();
        let made = std::fs::read(to.join(digest.trim_start_matches("sha256:"))).unwrap();
        let real = crate::common::member(&made);
        let options = Options { spacing: 1 << 20, first: vec![], threads: 2 };
        let stream =
            recognise(real, plain.as_slice(), &options).unwrap().unwrap_or_else(|| panic!("{name}: no encoder"));
        assert!(stream.identity.to_string().starts_with("pgzip/1("), "{name}: {}", stream.identity);
        for threads in [1, 2] {
            let mut out = Vec::new();
            stream
                .replay(plain.as_slice(), threads, 1 << 20, &mut |b| {
                    out.extend_from_slice(b);
                    Ok(())
                })
                .unwrap();
            assert!(out == real, "{name}");
        }
    }
}
