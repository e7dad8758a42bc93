use super::lists::Named;
use super::*;
use crate::digest::Digest;
use crate::kind::deb::sample;
use crate::monitor::Silent;
use std::fs;

/// Keeps what it is told, sorted.
#[derive(Default)]
struct Heard {
    found: Mutex<BTreeSet<(String, &'static str)>>,
    notes: Mutex<Vec<String>>,
}

impl Sink for Heard {
    fn found(&self, f: Found) -> Result<(), SourceError> {
        let a = f.described.artifact;
        let path = a.path.as_ref().map_or("", |p| p.as_str());
        lock(&self.found).insert((format!("{} {path}", a.root), a.kind.name()));
        Ok(())
    }
    fn note(&self, text: String) {
        lock(&self.notes).push(text);
    }
}

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Tree {
        Tree(tempfile::tempdir().expect("tempdir"))
    }
    fn put(&self, rel: &str, bytes: impl AsRef<[u8]>) -> Named {
        let path = self.0.path().join(rel);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, bytes.as_ref()).expect("write");
        Named { path: rel.into(), blob: Blob::of(bytes.as_ref()) }
    }
    fn survey(&self, metadata: Metadata) -> Result<(Vec<String>, Vec<String>), SourceError> {
        let heard = Heard::default();
        let root = RelPath::new("www/debs/local").expect("root");
        DebSource { from: self.0.path().into(), root, metadata }.survey(&heard, &Silent)?;
        let found = lock(&heard.found).iter().map(|(p, k)| format!("{k} {}", &p["www/debs/local".len()..])).collect();
        let notes = lock(&heard.notes).clone();
        Ok((found, notes))
    }
    fn error(&self, metadata: Metadata) -> String {
        let e = self.survey(metadata).expect_err("an error");
        format!("{e}: {}", std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default())
    }
}

fn deb(name: &str) -> Vec<u8> {
    sample::deb(format!("Package: {name}\nVersion: 1\nArchitecture: all\n").as_bytes())
}

fn packages(debs: &[&Named]) -> String {
    debs.iter()
        .map(|n| format!("Package: x\nFilename: ./{}\nSize: {}\nSHA256: {}\n\n", n.path, n.blob.len, n.blob.digest))
        .collect()
}

fn release(lists: &[(&str, Blob)]) -> String {
    let lines: String = lists.iter().map(|(n, b)| format!(" {} {} {n}\n", b.digest, b.len)).collect();
    format!("Origin: x\nDate: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n{lines}")
}

fn clearsigned(text: &str) -> String {
    format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
    )
}

#[test]
fn loose_debs_and_what_is_left_out() {
    let t = Tree::new();
    for at in ["pkgs/a_1%3a1_all.deb", "b.udeb", "deep/er/c.ddeb"] {
        t.put(at, deb("aa"));
    }
    for at in ["Packages", "Packages.gz", "Release", "Sources", "Contents-amd64.gz"] {
        t.put(at, "stale");
    }
    t.put("README", "x");
    for metadata in [Metadata::Auto, Metadata::Render] {
        let (found, notes) = t.survey(metadata).expect("survey");
        assert_eq!(found, ["deb  b.udeb", "deb  deep/er/c.ddeb", "deb  pkgs/a_1%3a1_all.deb"]);
        assert_eq!(notes.len(), 2);
        assert!(
            notes[0].ends_with("left out: Contents-amd64.gz, Packages, Packages.gz, Release, Sources"),
            "{notes:?}"
        );
        assert!(notes[1].ends_with("left out: README"), "{notes:?}");
    }
    assert!(Tree::new().error(Metadata::Keep).contains("to keep"));
    let (found, notes) = Tree::new().survey(Metadata::Auto).expect("empty");
    assert!(found.is_empty() && notes[0].ends_with("there are no debs here"), "{notes:?}");
    t.put("pkgs/a#1.deb", deb("aa"));
    let (_, notes) = t.survey(Metadata::Auto).expect("survey");
    assert!(notes.iter().any(|n| n.contains("cannot ask for") && n.ends_with("pkgs/a#1.deb")), "{notes:?}");
    t.put("broken.deb", "!<arch>\n");
    assert!(t.error(Metadata::Auto).contains("broken.deb"));
}

/// A mirror with `dists/` at a folder, and the blob of its one list.
fn mirror(at: &str, by_hash_only: bool) -> (Tree, Blob) {
    let t = Tree::new();
    let p = |rel: &str| if at.is_empty() { rel.to_owned() } else { format!("{at}/{rel}") };
    let mut a = t.put(&p("pool/main/a/aa/aa_1_all.deb"), deb("aa"));
    a.path = "pool/main/a/aa/aa_1_all.deb".into();
    let text = packages(&[&a]);
    let gz = sample::compress(".gz", text.as_bytes());
    let dir = p("dists/bookworm/main/binary-all");
    let hash = t.put(&format!("{dir}/by-hash/SHA256/{}", Digest::of(&gz)), &gz).blob;
    if !by_hash_only {
        t.put(&format!("{dir}/Packages.gz"), &gz);
    }
    t.put(&format!("{dir}/Release"), "Archive: bookworm\nComponent: main\nArchitecture: all\n");
    let text = release(&[
        ("main/binary-all/Packages.gz", hash),
        ("main/binary-all/Packages", Blob::of(text.as_bytes())),
        ("main/binary-riscv64/Packages.gz", Blob::of(b"not mirrored")),
    ]);
    t.put(&p("dists/bookworm/InRelease"), clearsigned(&text));
    t.put(&p("dists/bookworm/Release"), &text);
    t.put(&p("dists/bookworm/Release.gpg"), "sig");
    t.put(&p("pool/main/a/aa/aa_1.dsc"), "dsc");
    t.put(&p("pool/main/a/aa/aa_1.orig.tar.xz"), "orig");
    t.put(&p("pool/main/a/aa/aa_1.orig.tar.xz.asc"), "sig");
    t.put(&p("key.asc"), "key");
    t.put(&p("project/trace/x"), "trace");
    (t, hash)
}

#[test]
fn mirrors_travel_whole() {
    for (at, by_hash_only) in [("", false), ("", true), ("mirror/deb.example.org/debian", false)] {
        let (t, _) = mirror(at, by_hash_only);
        for metadata in [Metadata::Auto, Metadata::Keep] {
            let (found, notes) = t.survey(metadata).expect("survey");
            let root = if at.is_empty() { String::new() } else { format!("/{at}") };
            let count = |kind: &str| found.iter().filter(|f| f.starts_with(&format!("{kind} {root} "))).count();
            assert_eq!(
                (count("deb"), count("file"), found.len()),
                (1, 10 - usize::from(by_hash_only), 11 - usize::from(by_hash_only))
            );
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert!(notes[0].contains("project/trace/x"));
        }
        let (found, notes) = t.survey(Metadata::Render).expect("survey");
        assert_eq!(found.len(), 1);
        assert!(notes[0].contains("renders anew") && notes[0].contains("InRelease"), "{notes:?}");
    }
}

#[test]
fn holes_in_mirrors_are_errors() {
    let check = |spoil: &dyn Fn(&Tree, Blob), want: &[&str]| {
        let (t, hash) = mirror("", false);
        spoil(&t, hash);
        let e = t.error(Metadata::Auto);
        assert!(want.iter().all(|w| e.contains(w)), "{e}");
    };
    let dir = "dists/bookworm/main/binary-all";
    let pool = "pool/main/a/aa/aa_1_all.deb";
    check(&|t, _| fs::remove_file(t.0.path().join(pool)).expect("rm"), &["Packages", "missing", pool, "render"]);
    check(&|t, _| drop(t.put(pool, deb("bb"))), &["another size or SHA256", pool]);
    check(&|t, _| drop(t.put(&format!("{dir}/Packages.gz"), "stale")), &["InRelease", "is not what it says"]);
    check(&|t, _| drop(t.put(&format!("{dir}/Packages"), "stale")), &["InRelease", "binary-all/Packages is not"]);
    check(&|t, h| drop(t.put(&format!("{dir}/by-hash/SHA256/{}", h.digest), "x")), &["digest of its name"]);
    check(
        &|t, _| drop(t.put("dists/bookworm/Release", release(&[("main/binary-all/Packages.gz", Blob::of(b""))]))),
        &["Release", "not what"],
    );
    check(&|t, _| drop(t.put("dists/bookworm/Release", "MD5Sum:\n 0 0 x\n")), &["no SHA256"]);
    check(&|t, _| drop(t.put("dists/bookworm/Release", "SHA256:\n x\n")), &["a digest, a size and a name"]);
    check(&|t, _| drop(t.put("dists/bookworm/InRelease", "-----BEGIN PGP SIGNED MESSAGE-----\n\n")), &["signature"]);
    let (t, _) = mirror("", false);
    t.put("pool/main/b/bb_1_all.deb", deb("bb"));
    let (_, notes) = t.survey(Metadata::Auto).expect("survey");
    assert!(notes.iter().any(|n| n.contains("no package list") && n.contains("bb_1_all.deb")), "{notes:?}");
}

#[test]
fn up_to_five_missing_debs_are_named() {
    let t = Tree::new();
    let gone: Vec<Named> = (0..7).map(|n| Named { path: format!("p/{n}.deb"), blob: Blob::of(b"") }).collect();
    let list = t.put("Packages", packages(&gone.iter().collect::<Vec<_>>()));
    t.put("InRelease", clearsigned(&release(&[("Packages", list.blob)])));
    assert!(t.error(Metadata::Auto).contains("p/0.deb, p/1.deb, p/2.deb, p/3.deb, p/4.deb and 2 more"));
}

#[test]
fn flat_repositories() {
    let build = |at: &str, below: &str| {
        let t = Tree::new();
        let mut a = t.put(&format!("{at}x/a.deb"), deb("aa"));
        a.path = format!("{below}x/a.deb");
        for (suffix, name) in
            [("", "Packages"), (".xz", "Packages.xz"), (".zst", "Packages.zst"), (".gz", "Packages.gz")]
        {
            t.put(&format!("{at}{name}"), sample::compress(suffix, packages(&[&a]).as_bytes()));
        }
        let lists = [("Packages", Blob::of(packages(&[&a]).as_bytes())), ("Release", Blob::of(b"before"))];
        t.put(&format!("{at}Release"), release(&lists));
        t
    };
    let t = build("", "");
    assert_eq!(t.survey(Metadata::Auto).expect("unsigned").0, ["deb  x/a.deb"], "rendered");
    assert_eq!(t.survey(Metadata::Keep).expect("unsigned").0.len(), 6);
    t.put("Release.gpg", "sig");
    assert_eq!(t.survey(Metadata::Auto).expect("signed").0.len(), 7);
    // `deb URL ubuntu/`: the list names debs below the URL.
    let t = build("ubuntu/", "ubuntu/");
    t.put("ubuntu/Release.gpg", "sig");
    let (found, notes) = t.survey(Metadata::Auto).expect("nested");
    assert!(found.contains(&"deb /ubuntu x/a.deb".to_owned()) && notes.is_empty(), "{found:?} {notes:?}");
}

#[test]
fn packages_in_every_compression() {
    let named = Named { path: "a/b.deb".into(), blob: Blob::of(b"") };
    let text = packages(&[&named, &named]);
    let bz2 = {
        let mut w = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        std::io::Write::write_all(&mut w, text.as_bytes()).expect("bz2");
        w.finish().expect("bz2")
    };
    let dir = tempfile::tempdir().expect("tempdir");
    for (name, bytes) in [
        ("Packages", text.clone().into_bytes()),
        ("Packages.gz", sample::compress(".gz", text.as_bytes())),
        ("Packages.xz", sample::compress(".xz", text.as_bytes())),
        ("Packages.zst", sample::compress(".zst", text.as_bytes())),
        ("Packages.bz2", bz2),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("write");
        let mut got = Vec::new();
        lists::packages(&path, name, &mut |n| got.push(n)).expect(name);
        assert_eq!(got, [named.clone(), named.clone()], "{name}");
    }
    let hex = Blob::of(b"").digest;
    for bad in [
        "Package: x\n".into(),
        format!("Filename: x\nSize: 0\nSHA256: {hex}0\n"),
        format!("Filename: ../x\nSize: 0\nSHA256: {hex}\n"),
        format!("Filename: /x\nSize: 0\nSHA256: {hex}\n"),
        format!("Filename: x\nSize: -1\nSHA256: {hex}\n"),
    ] {
        let path = dir.path().join("bad");
        fs::write(&path, &bad).expect("write");
        assert!(lists::packages(&path, "Packages", &mut |_| ()).is_err(), "{bad}");
    }
}
