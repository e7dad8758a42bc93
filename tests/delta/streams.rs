//! Deltas of what xz and bzip2 compressed: debs by dpkg-deb and archives by the tools, all made on the spot.

use crate::bundles::{Held, noise, read_with, text};
use crate::pairs::{Tree, bundle_by, described};
use pouch::bundle::{Bundle, Sealed, Workplace, sizes::Made, temporary};
use pouch::digest::Blob;
use pouch::monitor::Silent;
use pouch::op::delta;
use pouch::op::pairs::Old;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a tool makes of a file of these bytes.
fn by(tool: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join("input");
    fs::write(&path, input).expect("writes");
    let from = fs::File::open(&path).expect("opens");
    let out = Command::new(tool).args(arguments).stdin(from).stderr(Stdio::inherit()).output().expect(tool);
    assert!(out.status.success(), "{tool} {arguments:?}");
    out.stdout
}

/// Built by dpkg-deb from a program and a text.
fn deb(version: u32, content: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("tempdir");
    let (tree, to) = (folder.path().join("tree"), folder.path().join("a.deb"));
    fs::create_dir_all(tree.join("DEBIAN")).expect("a folder");
    fs::create_dir_all(tree.join("usr/share/a")).expect("a folder");
    let control =
        format!("Package: a\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: a\n");
    fs::write(tree.join("DEBIAN/control"), control).expect("writes");
    fs::write(tree.join("usr/share/a/data"), content).expect("writes");
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", "-Zxz", "-b"]).arg(&tree).arg(&to).env("SOURCE_DATE_EPOCH", "1700000000");
    assert!(command.stdout(Stdio::null()).status().expect("dpkg-deb is there").success());
    fs::read(to).expect("a deb")
}

/// Built by rpmbuild, whose payload is compressed as `mode` says.
fn rpm(version: u32, content: &[u8], mode: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("tempdir");
    let (top, spec, data) = (folder.path().join("top"), folder.path().join("a.spec"), folder.path().join("data"));
    let text = format!(
        "Name: a\nVersion: {version}\nRelease: 1\nSummary: a\nLicense: a\nBuildArch: noarch\n%description\na\n%install\n\
         mkdir -p %{{buildroot}}/usr/share/a\ncp {} %{{buildroot}}/usr/share/a/data\n%files\n/usr/share/a\n",
        data.display()
    );
    fs::write(&spec, text).expect("writes");
    fs::write(&data, content).expect("writes");
    let mut command = Command::new("rpmbuild");
    command.args(["-bb", "--quiet", "--define", &format!("_topdir {}", top.display())]);
    command.args(["--define", &format!("_binary_payload {mode}"), "--define", "__os_install_post %{nil}"]).arg(&spec);
    assert!(command.stdout(Stdio::null()).status().expect("rpmbuild is there").success());
    fs::read(top.join(format!("RPMS/noarch/a-{version}-1.noarch.rpm"))).expect("an rpm")
}

/// Files of one version, and whether a delta makes each again.
const FILES: [(&str, bool); 11] = [
    ("a.deb", true),
    ("b2.rpm", true),
    ("blocks.tar.xz", true),
    ("bx.rpm", true),
    ("bz.rpm", false),
    ("eight.tar.xz", false),
    ("new.xz", false),
    ("nine.tar.bz2", true),
    ("one.tar.xz", true),
    ("three.tar.zst", false),
    ("two.bz2", true),
];

fn version(n: u32) -> Tree {
    let plain = [&text(1, 400_000)[..], format!("this is version {n}\n").as_bytes(), &text(2, 300_000)].concat();
    let packed = |name: &str| match name {
        "a.deb" => deb(n, &plain),
        "b2.rpm" => rpm(n, &plain, "w9.bzdio"),
        "bx.rpm" => rpm(n, &plain, "w2.xzdio"),
        "bz.rpm" => rpm(n, &plain, "w3.zstdio"),
        "blocks.tar.xz" => by("xz", &["-zc", "-1", "-T2", "--block-size=200000"], &plain),
        "eight.tar.xz" => by("xz", &["-zc", "-8", "-T1"], &plain),
        "new.xz" => by("xz", &["-zc", "-6", "-T1"], &noise(u64::from(n) + 3, 200_000)),
        "nine.tar.bz2" => by("bzip2", &["-zc", "-9"], &plain),
        "one.tar.xz" => by("xz", &["-zc", "-6", "-T1"], &plain),
        "three.tar.zst" => by("zstd", &["-qc", "-3"], &plain),
        _ => [by("bzip2", &["-zc", "-1"], &plain), by("bzip2", &["-zc", "-1"], &plain[200_000..])].concat(),
    };
    FILES.iter().map(|(name, _)| ((*name).to_owned(), packed(name))).collect()
}

#[test]
fn what_xz_and_bzip2_compressed_travels_as_differences() {
    let (old, new) = (version(1), version(2));
    let none = delta::Held::default();
    let (full_old, full) = (bundle_by(2, &old, 1, &none, &[]), bundle_by(2, &new, 2, &none, &[]));
    let mut held = delta::Held::default();
    held.add(&Bundle::parse(Sealed::open(&full_old[..]).expect("opens"), ()).expect("parses")).expect("reads");
    let have = Held(old.values().cloned().collect());
    let before = || Old { artifacts: old.iter().map(|(p, c)| described(p, c)).collect(), blobs: &have };
    let delta = bundle_by(2, &new, 2, &held, &[before()]);
    assert!(bundle_by(1, &new, 2, &held, &[before()]) == delta, "threads change something");

    let parsed = Bundle::parse(Sealed::open(&delta[..]).expect("opens"), ()).expect("parses");
    let features = ["base/1", "expand/bzip2/1", "expand/xz/1", "patch/1", "replay/bzip2/1", "replay/xz/1"];
    assert_eq!(parsed.carriage.requires, features);
    let sizes = parsed.sizes().expect("sizes");
    for (name, again) in FILES {
        let made = matches!(sizes.blobs.get(&Blob::of(&new[name])), Some(Made::Differences { .. }));
        assert_eq!(made, again, "{name}");
    }
    let travels: usize = FILES.iter().filter(|(_, again)| !again).map(|(name, _)| new[*name].len()).sum();
    assert!(delta.len() < travels + 16_000, "{} and {travels}", delta.len());
    let work = Workplace { bases: &have, scratch: &temporary };
    for threads in [1, 2, 5] {
        assert_eq!(parsed.prove(work, threads, &Silent).expect("proves").blobs, 7);
    }
    let (of_full, of_delta) = (read_with(&full, &none_held()), read_with(&delta, &have));
    let (of_full, of_delta) = (of_full.expect("the full one"), of_delta.expect("the delta"));
    assert_eq!(of_full.ids.release, of_delta.ids.release);
    assert!(of_full.blobs == of_delta.blobs);
    second_reader(&delta, &old, &new);
}

fn none_held() -> Held {
    Held(vec![])
}

fn second_reader(delta: &[u8], old: &Tree, new: &Tree) {
    let folder = tempfile::tempdir().expect("tempdir");
    let (file, bases, blobs) =
        (folder.path().join("d.pouch"), folder.path().join("bases"), folder.path().join("blobs"));
    fs::write(&file, delta).expect("writes");
    fs::create_dir(&bases).expect("a folder");
    for (name, content) in old {
        fs::write(bases.join(name), content).expect("writes");
    }
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/reader.py");
    let mut command = Command::new("python3");
    command.arg(reader).arg(&file).arg("--bases").arg(&bases).arg("--extract").arg(&blobs);
    let out = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("python3 is there");
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stdout));
    for (name, content) in new {
        assert!(fs::read(blobs.join(Blob::of(content).digest.hex())).expect(name) == *content, "{name}");
    }
}
