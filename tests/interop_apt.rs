//! Debs built by dpkg-deb, found and rendered by pouch, must read as dpkg-scanpackages and apt-ftparchive read them, and
//! real apt must update, download and install from them over real HTTP.

#![allow(clippy::unwrap_used)]

#[path = "support/server.rs"]
mod server;

use pouch::digest::{Blob, Digest};
use pouch::model::{Catalog, Content, Context, Kind, Plan, ReleaseView, SiteConfig};
use pouch::monitor::Silent;
use pouch::relpath::RelPath;
use pouch::source::deb::{DebSource, Metadata};
use pouch::source::{Collected, Found, Origin, Source};
use server::Nginx;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = "www/debs/local";

/// Runs a tool that must be there and succeed; its standard output.
fn run(command: &mut Command) -> String {
    let out = output(command);
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {err}");
    String::from_utf8(out.stdout).unwrap()
}

fn output(command: &mut Command) -> Output {
    command.env("LC_ALL", "C.UTF-8").output().unwrap_or_else(|e| panic!("{command:?} is needed: {e}"))
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Builds a deb at `to`.
fn build(scratch: &Path, to: &Path, compression: &str, control: &str) {
    let name: String = to.file_name().unwrap().to_string_lossy().replace(['%', '~', '+', ' '], "_");
    let dir = scratch.join(name);
    write(&dir.join("DEBIAN/control"), control);
    write(&dir.join(format!("usr/share/doc/{}", dir.file_name().unwrap().to_string_lossy())), control);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    run(Command::new("dpkg-deb").args(["--root-owner-group", &format!("-Z{compression}"), "-b"]).arg(&dir).arg(to));
}

/// Odd debs that all can be installed together on amd64.
fn odd_debs(scratch: &Path, to: &Path) -> Vec<String> {
    let maintainer = "Maintainer: Žofie Æ. Дмитрий 山田 <z@example.org>\n";
    let debs = [
        (
            "pkgs/odd-epoch_1%3a2.0-1_amd64.deb",
            "xz",
            "Package: odd-epoch\nVersion: 1:2.0-1\nArchitecture: amd64\nDepends: odd-tilde (>= 1.0~rc1), odd-plain\nDescription: epoch\n",
        ),
        (
            "pkgs/odd-tilde_1.0~rc1+b2_amd64.deb",
            "zstd",
            "Package: odd-tilde\nVersion: 1.0~rc1+b2\nArchitecture: amd64\nSource: odd (1.0~rc1)\nMulti-Arch: same\nDescription: tilde\n of several lines\n .\n  indented, and \u{fc}mlauts\n",
        ),
        (
            "deep/er/odd-plain_1_all.deb",
            "gzip",
            "Package: odd-plain\nVersion: 1\nArchitecture: all\nEssential: no\nBuilt-Using: gcc-12 (= 12.2.0-14), golang-1.19 (= 1.19.8-2)\nStatic-Built-Using: rustc (= 1.63.0)\nX-Odd-Field: odd\nTag: role::program,\n use::testing\nHomepage: https://example.org/?a=b&c#d\nDescription: all\n",
        ),
        (
            "odd-none_1_all.deb",
            "none",
            "Package: odd-none\nVersion: 1\nArchitecture: all\nProvides: virtual (= 1), other\nConflicts: nothing\nReplaces: nothing\nBreaks: nothing (<< 1)\nRecommends: odd-plain\nSuggests: x\nEnhances: y\nPre-Depends: odd-plain\nDescription: none\n",
        ),
        (
            "with space/odd-space_1_amd64.deb",
            "xz",
            "Package: odd-space\nVersion: 1\nArchitecture: amd64\nBugs: mailto:x@example.org\nOrigin: test\nDescription: names\n",
        ),
    ];
    debs.iter()
        .map(|(path, compression, text)| {
            build(
                scratch,
                &to.join(path),
                compression,
                &format!("{text}{maintainer}Section: utils\nPriority: optional\n"),
            );
            let field = |f: &str| text.lines().find_map(|l| l.strip_prefix(f)).unwrap().to_owned();
            format!("{}={}", field("Package: "), field("Version: "))
        })
        .collect()
}

fn survey(from: &Path, metadata: Metadata) -> Vec<Found> {
    let sink = Collected::default();
    let source = DebSource { from: from.into(), root: RelPath::new(ROOT).unwrap(), metadata };
    source.survey(&sink, &Silent).unwrap_or_else(|e| panic!("{e}: {:?}", std::error::Error::source(&e)));
    sink.into_parts().0
}

/// Plans and writes a tree: apt's part of it, and plain files as the file target does.
fn materialize(found: &[Found], to: &Path) {
    let artifacts = found.iter().map(|f| f.described.clone()).collect();
    let release = ReleaseView { stream: "s".into(), epoch: 1, sequence: 1, latest: true, artifacts };
    let config = SiteConfig::default();
    let mut plan = Plan::new();
    let catalog = Catalog { releases: vec![release] };
    pouch::target::apt::plan(&catalog, &Context { config: &config, time: 1_700_000_000 }, &mut plan).unwrap();
    for f in found.iter().filter(|f| f.described.artifact.kind == Kind::File) {
        let a = &f.described.artifact;
        plan.add(a.place().unwrap().unwrap(), Content::Blob { digest: a.blobs[0].digest, executable: false }).unwrap();
    }
    let origins: BTreeMap<Digest, &Origin> =
        found.iter().flat_map(|f| &f.origins).map(|(blob, origin)| (blob.digest, origin)).collect();
    for (path, entry) in plan.files() {
        let path = to.join(path.as_str());
        match &entry.content {
            Content::Bytes(bytes) => write(&path, bytes),
            Content::Blob { digest, .. } => match origins[digest] {
                Origin::File(from) => write(&path, fs::read(from).unwrap()),
                other => panic!("{other:?}"),
            },
        }
    }
}

/// A private apt: nothing of the machine's own configuration, state or keys.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    fn new(dir: PathBuf, sources: &str) -> Apt {
        for sub in ["lists/partial", "archives/partial", "parts", "dl"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
        }
        write(&dir.join("status"), "");
        write(&dir.join("sources.list"), sources);
        let d = dir.display();
        let conf = format!(
            "Dir::State \"{d}\"; Dir::State::lists \"{d}/lists\"; Dir::State::status \"{d}/status\";\n\
             Dir::Cache \"{d}\"; Dir::Cache::archives \"{d}/archives\";\n\
             Dir::Etc::main \"/dev/null\"; Dir::Etc::parts \"{d}/parts\"; Dir::Etc::sourceparts \"{d}/parts\";\n\
             Dir::Etc::sourcelist \"{d}/sources.list\"; Dir::Etc::preferencesparts \"{d}/parts\";\n\
             Dir::Etc::trusted \"/dev/null\"; Dir::Etc::trustedparts \"{d}/parts\";\n\
             APT::Architecture \"amd64\"; APT::Architectures {{\"amd64\";}}; Acquire::Languages \"none\";\n\
             APT::Sandbox::User \"root\"; Acquire::http::Proxy \"DIRECT\"; Debug::NoLocking \"true\";\n"
        );
        write(&dir.join("conf"), conf);
        Apt { dir }
    }

    /// `apt-get ARGS`; it must succeed and have nothing to complain of.
    fn get(&self, args: &[&str]) {
        let (ok, text) = self.try_get(args);
        let complaint = text.lines().find(|l| ["W:", "E:", "N:", "Err:"].iter().any(|p| l.starts_with(p)));
        assert!(ok && complaint.is_none(), "apt-get {args:?}: {text}");
    }

    fn try_get(&self, args: &[&str]) -> (bool, String) {
        let mut c = Command::new("apt-get");
        c.env("APT_CONFIG", self.dir.join("conf")).current_dir(self.dir.join("dl")).arg("-q").args(args);
        let out = output(&mut c);
        let text = [out.stdout, out.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
        (out.status.success(), text)
    }

    /// Digests of what was downloaded into `sub`.
    fn got(&self, sub: &str) -> BTreeSet<Digest> {
        let files = fs::read_dir(self.dir.join(sub)).unwrap().map(|e| e.unwrap().path());
        files.filter(|p| p.extension().is_some_and(|e| e == "deb")).map(|p| Digest::of(&fs::read(p).unwrap())).collect()
    }

    /// Updates, downloads everything, and resolves and downloads an installation of everything.
    fn takes_all(&self, found: &[Found], packages: &[String]) {
        let debs: BTreeSet<Digest> = debs(found).map(|b| b.digest).collect();
        let all: Vec<&str> = packages.iter().map(String::as_str).collect();
        self.get(&["update"]);
        self.get(&[&["download"], &all[..]].concat());
        assert_eq!(self.got("dl"), debs);
        self.get(&[&["install", "-y", "--no-install-recommends", "--download-only"], &all[..]].concat());
        assert_eq!(self.got("archives"), debs);
    }
}

fn debs(found: &[Found]) -> impl Iterator<Item = &Blob> {
    found.iter().filter(|f| f.described.artifact.kind == Kind::Deb).flat_map(|f| &f.described.artifact.blobs)
}

/// Paragraphs of a `Packages`: fields in order, by the path in `Filename`.
fn paragraphs(text: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut out = BTreeMap::new();
    for paragraph in text.split("\n\n").filter(|p| !p.trim().is_empty()) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in paragraph.trim_matches('\n').split('\n') {
            if line.starts_with(' ') {
                let (_, value) = fields.last_mut().unwrap();
                value.push('\n');
                value.push_str(line);
            } else {
                let (name, value) = line.split_once(':').unwrap();
                fields.push((name.into(), value.trim().into()));
            }
        }
        let name = fields.iter().find(|(n, _)| n == "Filename").unwrap().1.trim_start_matches("./").to_owned();
        assert!(out.insert(name, fields).is_none());
    }
    out
}

#[test]
fn flat_repositories_equal_the_reference_tools_and_serve_apt() {
    let tmp = tempfile::tempdir().unwrap();
    let (from, tree) = (tmp.path().join("from"), tmp.path().join("tree"));
    let packages = odd_debs(&tmp.path().join("build"), &from);
    let found = survey(&from, Metadata::Auto);
    materialize(&found, &tree);
    let root = tree.join(ROOT);
    let ours = paragraphs(&fs::read_to_string(root.join("Packages")).unwrap());
    let references = [
        ("dpkg-scanpackages", run(Command::new("dpkg-scanpackages").args(["-m", "."]).current_dir(&from))),
        ("apt-ftparchive", run(Command::new("apt-ftparchive").args(["packages", "."]).current_dir(&from))),
    ];
    for (tool, text) in references {
        let theirs = paragraphs(&text);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{tool}");
        for (name, theirs) in theirs {
            // Digests that we leave out because SHA256 is there; the odd field, which each tool puts elsewhere.
            let theirs: Vec<_> =
                theirs.into_iter().filter(|(n, _)| !matches!(n.as_str(), "MD5sum" | "SHA1" | "SHA512")).collect();
            let value = |fields: &[(String, String)]| {
                let mut sorted: Vec<_> = fields.to_vec();
                sorted.iter_mut().filter(|(n, _)| n == "Filename").for_each(|(_, v)| *v = name.clone());
                sorted.sort();
                sorted
            };
            assert_eq!(value(&ours[&name]), value(&theirs), "{tool} {name}");
            let order = |fields: &[(String, String)]| -> Vec<String> {
                fields.iter().map(|(n, _)| n.clone()).filter(|n| n != "X-Odd-Field").collect()
            };
            if tool == "dpkg-scanpackages" {
                assert_eq!(order(&ours[&name]), order(&theirs), "{name}");
            }
        }
    }
    let nginx = Nginx::start(&tree.join("www"), &tmp.path().join("nginx"));
    let line = format!("deb [trusted=yes] {}/debs/local/ ./\n", nginx.url);
    Apt::new(tmp.path().join("apt1"), &line).takes_all(&found, &packages);
    let log = fs::read_to_string(nginx.log()).unwrap();
    assert!(log.contains("/by-hash/SHA256/"), "apt asks by digest");
    // A client that has the old Release while a new generation goes live finds its lists by digest alone.
    fs::remove_file(root.join("Packages")).unwrap();
    fs::remove_file(root.join("Packages.gz")).unwrap();
    Apt::new(tmp.path().join("apt2"), &line).takes_all(&found, &packages);
}

#[test]
fn a_repository_without_the_clients_architecture_is_no_trouble() {
    let tmp = tempfile::tempdir().unwrap();
    let (from, tree) = (tmp.path().join("from"), tmp.path().join("tree"));
    let control = "Package: only-all\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: x\n";
    build(&tmp.path().join("build"), &from.join("only-all_1_all.deb"), "xz", control);
    let found = survey(&from, Metadata::Render);
    materialize(&found, &tree);
    let nginx = Nginx::start(&tree.join("www"), &tmp.path().join("nginx"));
    let line = format!("deb [trusted=yes] {}/debs/local/ ./\n", nginx.url);
    Apt::new(tmp.path().join("apt"), &line).takes_all(&found, &["only-all=1".into()]);
}

/// A throwaway key; its agent ends with it.
struct Gpg {
    home: PathBuf,
}

impl Gpg {
    fn new(home: PathBuf) -> Gpg {
        fs::create_dir_all(&home).unwrap();
        run(Command::new("chmod").arg("700").arg(&home));
        let gpg = Gpg { home };
        let key = "Test <test@example.org>";
        run(gpg.command().args(["--passphrase", "", "--quick-gen-key", key, "ed25519", "sign", "never"]));
        gpg
    }
    fn command(&self) -> Command {
        let mut c = Command::new("gpg");
        c.env("GNUPGHOME", &self.home).args(["--batch", "--yes", "--pinentry-mode", "loopback"]);
        c
    }
    /// Signs `Release` in `dir` both ways.
    fn sign(&self, dir: &Path) {
        run(self.command().args(["--clearsign", "-o", "InRelease", "Release"]).current_dir(dir));
        run(self.command().args(["--armor", "--detach-sign", "-o", "Release.gpg", "Release"]).current_dir(dir));
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").env("GNUPGHOME", &self.home).args(["--kill", "all"]).output();
    }
}

#[test]
fn signed_repositories_are_served_verbatim() {
    let tmp = tempfile::tempdir().unwrap();
    let gpg = Gpg::new(tmp.path().join("gpg"));
    // (folder of the debs, folder of Release, folder of Packages, sources.list after the URL)
    let forms = [("pool/main", "dists/test", "dists/test/main/binary-amd64", " test main"), (".", ".", ".", "/ ./")];
    for (n, (pool, suite, lists, line)) in forms.into_iter().enumerate() {
        let dir = tmp.path().join(n.to_string());
        let (from, tree) = (dir.join("from"), dir.join("tree"));
        let packages = odd_debs(&dir.join("build"), &from.join(pool));
        fs::create_dir_all(from.join(lists)).unwrap();
        let text = run(Command::new("apt-ftparchive").args(["packages", pool]).current_dir(&from));
        write(&from.join(lists).join("Packages"), text);
        run(Command::new("gzip").args(["-k", "Packages"]).current_dir(from.join(lists)));
        let release = run(Command::new("apt-ftparchive")
            .args(["-o", "APT::FTPArchive::Release::Suite=test", "-o", "APT::FTPArchive::Release::Components=main"])
            .args(["-o", "APT::FTPArchive::Release::Architectures=amd64", "release", suite])
            .current_dir(&from));
        write(&from.join(suite).join("Release"), release);
        gpg.sign(&from.join(suite));
        write(&from.join("key.asc"), run(gpg.command().args(["--armor", "--export"])));
        let found = survey(&from, Metadata::Auto);
        materialize(&found, &tree);
        for name in ["InRelease", "Release", "Release.gpg"] {
            let served = fs::read(tree.join(ROOT).join(suite).join(name)).unwrap();
            assert_eq!(served, fs::read(from.join(suite).join(name)).unwrap());
        }
        let nginx = Nginx::start(&tree.join("www"), &dir.join("nginx"));
        let url = format!("{}/debs/local", nginx.url);
        let key = tree.join(ROOT).join("key.asc");
        let signed = format!("deb [arch=amd64 signed-by={}] {url}{line}\n", key.display());
        Apt::new(dir.join("apt"), &signed).takes_all(&found, &packages);
        let (ok, text) = Apt::new(dir.join("unsigned"), &format!("deb {url}{line}\n")).try_get(&["update"]);
        assert!(!ok || text.contains("not signed") || text.contains("NO_PUBKEY"), "without the key: {text}");
        // With Render the same folder becomes a flat repository of our own.
        let rendered = dir.join("rendered");
        materialize(&survey(&from, Metadata::Render), &rendered);
        assert!(rendered.join(ROOT).join("Packages.gz").is_file() && !rendered.join(ROOT).join("InRelease").exists());
    }
}
