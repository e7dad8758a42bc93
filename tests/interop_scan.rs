//! What others make of the desk's output: clamscan of an expanded release, Chromium of a review page, the official schema of
//! an SBOM. Needs the packages clamav, chromium, dpkg-dev, rpm, and pip.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The test virus that every scanner knows, put together here so that no file of the repository holds it.
fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!", "$H+H*"].concat().into_bytes()
}

fn run(command: &mut Command, code: i32) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{command:?}\n{}\n{stderr}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8(out.stdout).expect("UTF-8")
}

fn pouch(dir: &Path, args: &[&str]) -> String {
    run(Command::new(env!("CARGO_BIN_EXE_pouch")).args(args).current_dir(dir), 0)
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        out.append_data(&mut header, name, *bytes).expect("an entry");
    }
    out.into_inner().expect("a tar")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("written");
    out.finish().expect("a stream")
}

/// A docker-archive of one layer that holds the file in a tarball.
fn image(path: &Path) {
    let layer = tar(&[("opt/data.tgz", &gzip(&tar(&[("deep/e.com", &eicar())])))]);
    let id: String = Sha256::digest(&layer).iter().map(|b| format!("{b:02x}")).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["sha256:{id}"]}}}}"#
    );
    let manifest = r#"[{"Config":"c.json","RepoTags":["quay.io/bad/layer:1"],"Layers":["l.tar"]}]"#;
    let archive = tar(&[("manifest.json", manifest.as_bytes()), ("c.json", config.as_bytes()), ("l.tar", &layer)]);
    fs::write(path, archive).expect("written");
}

fn deb(work: &Path, out: &Path) {
    let tree = work.join("deb");
    fs::create_dir_all(tree.join("DEBIAN")).expect("mkdir");
    fs::create_dir_all(tree.join("usr/share/bad")).expect("mkdir");
    let control =
        "Package: bad-deb\nVersion: 1.0-1\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: t\n";
    fs::write(tree.join("DEBIAN/control"), control).expect("written");
    fs::write(tree.join("usr/share/bad/e.com"), eicar()).expect("written");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zxz", "-b"]).args([&tree, out]), 0);
}

fn rpm(work: &Path, out: &Path) {
    fs::write(work.join("e.com"), eicar()).expect("written");
    let spec = format!(
        "Name: bad-rpm\nVersion: 1\nRelease: 1\nSummary: t\nLicense: MIT\nBuildArch: noarch\n%description\nt\n%install\n\
         mkdir -p %{{buildroot}}/opt\ncp {}/e.com %{{buildroot}}/opt/e.com\n%files\n/opt/e.com\n",
        work.display()
    );
    fs::write(work.join("bad.spec"), spec).expect("written");
    let top = format!("_topdir {}/rpm", work.display());
    run(Command::new("rpmbuild").args(["-bb", "--quiet", "--define", &top]).arg(work.join("bad.spec")), 0);
    fs::copy(work.join("rpm/RPMS/noarch/bad-rpm-1-1.noarch.rpm"), out.join("bad-rpm-1-1.noarch.rpm")).expect("copied");
}

fn wheel(out: &Path) {
    let mut zip = zip::ZipWriter::new(fs::File::create(out.join("bad_wheel-1.0-py3-none-any.whl")).expect("a file"));
    let record = "bad_wheel/e.com,,\nbad_wheel-1.0.dist-info/METADATA,,\nbad_wheel-1.0.dist-info/WHEEL,,\n\
                  bad_wheel-1.0.dist-info/RECORD,,\n";
    for (name, bytes) in [
        ("bad_wheel/e.com", eicar().as_slice()),
        ("bad_wheel-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: bad-wheel\nVersion: 1.0\nLicense: MIT\n"),
        ("bad_wheel-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        ("bad_wheel-1.0.dist-info/RECORD", record.as_bytes()),
    ] {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(name, options).expect("an entry");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("a zip");
}

/// A policy that no approval satisfies yet, and a bundle with the test virus in a layer, an rpm, a deb, a wheel and a file.
fn infected() -> TempDir {
    let dir = tempfile::tempdir().expect("folder");
    let (at, work) = (|p: &str| dir.path().join(p), dir.path().join("work"));
    for folder in ["in/files", "in/images", "in/rpms/local", "in/debs/local", "in/pypi", "work"] {
        fs::create_dir_all(at(folder)).expect("mkdir");
    }
    fs::write(at("in/files/e.com"), eicar()).expect("written");
    fs::write(at("in/files/clean.txt"), "clean\n").expect("written");
    image(&at("in/images/bad.tar"));
    deb(&work, &at("in/debs/local/bad-deb_1.0-1_all.deb"));
    rpm(&work, &at("in/rpms/local"));
    wheel(&at("in/pypi"));
    let list = "[[files]]\nfrom = \"files\"\n[[images]]\nfrom = [\"images/*.tar\"]\n[[rpms]]\nfrom = \"rpms/local\"\n\
                [[debs]]\nfrom = \"debs/local\"\n[[pypi]]\nfrom = \"pypi\"\n";
    fs::write(at("in/pouch.toml"), list).expect("written");
    pouch(dir.path(), &["key", "new", "k"]);
    let policy = "policy new --admin 1:a=k.pub --stream s --sealer a=k.pub --with k -o policy.txt";
    pouch(dir.path(), &policy.split(' ').collect::<Vec<_>>());
    let pack = "pack in/pouch.toml --stream s --sequence 1 --seal-with k -o b.pouch";
    pouch(dir.path(), &pack.split(' ').collect::<Vec<_>>());
    dir
}

#[test]
fn clamscan_finds_the_test_virus_wherever_it_is() {
    let dir = infected();
    let at = |p: &str| dir.path().join(p);
    pouch(dir.path(), &["extract", "b.pouch", "--policy", "policy.txt", "--to", "scan", "--expand"]);
    fs::create_dir(at("db")).expect("mkdir");
    let hex: String = eicar().iter().map(|b| format!("{b:02x}")).collect();
    fs::write(at("db/own.ndb"), format!("Test.Eicar:0:*:{hex}\n")).expect("a database");
    // The scanner opens no archive itself: what it finds, expanding has laid open.
    let found = run(
        Command::new("clamscan")
            .args(["--recursive", "--infected", "--no-summary", "--scan-archive=no", "--database"])
            .args([at("db"), at("scan")]),
        1,
    );
    let prefix = format!("{}/", at("scan").display());
    let hits: BTreeSet<&str> =
        found.lines().filter_map(|l| l.strip_prefix(&prefix)?.split_once(": Test.Eicar").map(|(p, _)| p)).collect();
    let map = fs::read_to_string(at("scan/map.tsv")).expect("a map");
    let rows: Vec<Vec<&str>> = map.lines().map(|l| l.split('\t').collect()).collect();
    let named: BTreeSet<(&str, &str)> = rows.iter().filter(|r| hits.contains(r[1])).map(|r| (r[5], r[6])).collect();
    let want = [
        ("deb", "bad-deb"),
        ("file", "files/e.com"),
        ("image", "bad/layer:1"),
        ("rpm", "bad-rpm"),
        ("wheel", "bad-wheel"),
    ];
    assert_eq!(named, BTreeSet::from(want), "{found}\n{map}");
    // Without --expand only what lies open is found.
    pouch(dir.path(), &["extract", "b.pouch", "--policy", "policy.txt", "--to", "plain"]);
    let found = run(
        Command::new("clamscan")
            .args(["--recursive", "--infected", "--no-summary", "--scan-archive=no", "--database"])
            .args([at("db"), at("plain")]),
        1,
    );
    assert!(found.contains("artifacts/www/files/e.com: Test.Eicar") && !found.contains("bad-rpm"), "{found}");
}

/// Both releases of the sample, reviewed: the folder and the review as JSON.
fn reviewed() -> (TempDir, Value) {
    let dir = tempfile::tempdir().expect("folder");
    for version in ["v1", "v2"] {
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample").join(version).join("pouch.toml");
        let (list, out) = (list.to_str().expect("UTF-8"), format!("{version}.pouch"));
        pouch(dir.path(), &["pack", list, "--stream", "sample", "--sequence", &version[1..], "-o", &out]);
    }
    let review = ["review", "v2.pouch", "--against", "v1.pouch", "--sbom", "sbom.json", "-o", "page.html", "--json"];
    let json = serde_json::from_str(&pouch(dir.path(), &review)).expect("JSON");
    (dir, json)
}

#[test]
fn chromium_shows_the_numbers_of_the_json() {
    let (dir, review) = reviewed();
    let page = dir.path().join("page.html");
    let profile = format!("--user-data-dir={}", dir.path().join("profile").display());
    let dom = run(
        Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync", &profile])
            .arg("--dump-dom")
            .arg(format!("file://{}", page.display())),
        0,
    );
    let shown = |id: &str| -> u64 {
        let begin = format!("<b id=\"{id}\">");
        let text = dom.split(&begin).nth(1).and_then(|t| t.split("</b>").next());
        text.and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("{id} in {dom}"))
    };
    let number = |path: &str| review.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}"));
    let count = |path: &str| review.pointer(path).and_then(Value::as_array).expect(path).len() as u64;
    for (id, path) in [
        ("artifacts", "/release/artifacts"),
        ("blobs", "/release/blobs"),
        ("bytes", "/release/bytes"),
        ("unchanged", "/changes/unchanged"),
        ("new-bytes", "/changes/new_bytes"),
        ("new-blobs", "/changes/new_blobs"),
        ("gone-bytes", "/changes/gone_bytes"),
        ("gone-blobs", "/changes/gone_blobs"),
        ("opened-archives", "/opened/archives"),
        ("set-id-opened", "/opened/found"),
    ] {
        assert_eq!(shown(id), number(path), "{id}");
    }
    for (id, path) in [
        ("added", "/changes/added"),
        ("removed", "/changes/removed"),
        ("changed", "/changes/changed"),
        ("scripts", "/scripts"),
        ("set-id", "/set_id"),
        ("images", "/images"),
        ("sdists", "/sdists"),
        ("executables", "/executables"),
        ("all", "/artifacts"),
    ] {
        assert_eq!(shown(id), count(path), "{id}");
    }
    let release = review.pointer("/release/release").and_then(Value::as_str).expect("an id");
    assert!(dom.contains(&format!("id=\"release\">{release}</code>")));
    assert_eq!(dom.matches("<script").count(), 0);
    // Chromium read the markup as it was written: as many rows of tables and bars as the file has.
    let file = fs::read_to_string(&page).expect("the page");
    for tag in ["<tr>", "<rect ", "<pre"] {
        assert_eq!(dom.matches(tag).count(), file.matches(tag).count(), "{tag}");
    }
}

const VALIDATE: &str = r#"
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
text = open(sys.argv[1]).read()
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
assert problem is None, problem
bom = json.loads(text)
refs = [c["bom-ref"] for c in bom["components"]]
assert len(refs) == len(set(refs)), "a bom-ref occurs twice"
kinds = sorted({PackageURL.from_string(c["purl"]).type for c in bom["components"] if "purl" in c})
broken = dict(bom, specVersion=1)
assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None, "nothing is checked"
print(",".join(kinds))
"#;

#[test]
fn the_sbom_is_of_the_official_schema() {
    let (dir, _) = reviewed();
    let venv: PathBuf = dir.path().join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv), 0);
    let pip = ["install", "--quiet", "--disable-pip-version-check", "cyclonedx-python-lib[json-validation]"];
    run(Command::new(venv.join("bin/pip")).args(pip), 0);
    fs::write(dir.path().join("validate.py"), VALIDATE).expect("written");
    let python = venv.join("bin/python");
    let kinds = run(Command::new(python).arg(dir.path().join("validate.py")).arg(dir.path().join("sbom.json")), 0);
    assert_eq!(kinds.trim(), "deb,golang,helm,oci,pypi,rpm");
}
