//! The reviewer's desk, as its users run it: `diff`, `extract` and `review` on the sample.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with keys, a policy that wants an approval, both releases of the sample sealed and nothing approved.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().expect("folder"));
        for key in ["admin", "packer", "reviewer", "stranger"] {
            desk.ok(&["key", "new", key]);
        }
        let policy = "policy new --admin 1:ann=admin.pub --stream sample --sealer paul=packer.pub \
                      --group security=1:rita=reviewer.pub --with admin -o policy.txt";
        desk.ok(&policy.split_whitespace().collect::<Vec<_>>());
        for (version, key) in [("v1", "packer"), ("v2", "packer"), ("v1", "stranger")] {
            let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample").join(version).join("pouch.toml");
            let out = format!("{key}-{version}.pouch");
            let (list, sequence) = (list.to_str().expect("UTF-8"), &version[1..]);
            desk.ok(&["pack", list, "--stream", "sample", "--sequence", sequence, "--seal-with", key, "-o", &out]);
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pouch"));
        command.args(args).current_dir(self.0.path()).env("SOURCE_DATE_EPOCH", "1800000000");
        command.output().expect("pouch runs")
    }

    fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("UTF-8")
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).expect("JSON")
    }

    fn refused(&self, args: &[&str], code: i32) -> String {
        let out = self.run(args);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stderr).expect("UTF-8")
    }
}

fn n(v: &Value, path: &str) -> u64 {
    v.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {v}"))
}

fn list<'a>(v: &'a Value, path: &str) -> &'a [Value] {
    v.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("{path} in {v}"))
}

fn text<'a>(v: &'a Value, path: &str) -> &'a str {
    v.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn differences_are_those_of_the_lists() {
    let desk = Desk::new();
    let (old, new) = ("packer-v1.pouch", "packer-v2.pouch");
    let diff = desk.json(&["diff", old, new]);
    let count = |bundle: &str| list(&desk.json(&["ls", bundle]), "").len();
    let total = |path: &str| list(&diff, path).len();
    let both = total("/changed") + n(&diff, "/unchanged") as usize;
    assert_eq!((total("/added") + both, total("/removed") + both), (count(new), count(old)));
    let versions = |c: &Value| (text(c, "/old/version").to_owned(), text(c, "/new/version").to_owned());
    let changed: BTreeMap<(&str, &str), (String, String)> =
        list(&diff, "/changed").iter().map(|c| ((text(c, "/new/kind"), text(c, "/new/name")), versions(c))).collect();
    let is = |kind, name, old: &str, new: &str| {
        assert_eq!(changed.get(&(kind, name)), Some(&(old.to_owned(), new.to_owned())), "{changed:?}");
    };
    is("image", "sample/web", "1.1", "1.2");
    is("rpm", "pouch-sample", "1.1-1", "1.2-1");
    // The same from indexes alone, and nothing against oneself.
    desk.ok(&["extract-index", old, "-o", "old.index"]);
    desk.ok(&["extract-index", new, "-o", "new.index"]);
    assert_eq!(desk.json(&["diff", "old.index", "new.index"]), diff);
    let none = desk.json(&["diff", old, "old.index"]);
    assert_eq!([list(&none, "/added"), list(&none, "/removed"), list(&none, "/changed")].concat().len(), 0);
    assert!(desk.ok(&["diff", old, new]).contains("Nothing of this is verified"));
}

/// What `sha256sum -c` takes: all of the files and no others are in its list. How many they are.
fn check_sums(dir: &Path) -> u64 {
    let out = Command::new("sha256sum").args(["-c", "--strict", "--quiet", "SHA256SUMS"]).current_dir(dir).output();
    let out = out.expect("sha256sum is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    let sums = fs::read_to_string(dir.join("SHA256SUMS")).expect("sums");
    let listed: BTreeSet<PathBuf> = sums.lines().map(|l| dir.join(&l[66..])).collect();
    let found: BTreeSet<PathBuf> = files(dir).into_iter().filter(|p| p.parent() != Some(dir)).collect();
    assert_eq!(found, listed);
    listed.len() as u64
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let kind = fs::symlink_metadata(&path).expect("there").file_type();
        match kind.is_dir() {
            true => out.extend(files(&path)),
            false if kind.is_file() => out.push(path),
            false => panic!("{path:?} is neither a file nor a folder"),
        }
    }
    out
}

fn map(dir: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(dir.join("map.tsv")).expect("a map");
    text.lines().skip(1).map(|l| l.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn a_seal_is_needed_and_approvals_are_not() {
    let desk = Desk::new();
    let refused = desk.refused(&["verify", "packer-v1.pouch", "--policy", "policy.txt"], 4);
    assert!(refused.contains("group security"), "{refused}");
    let report = desk.json(&["extract", "packer-v1.pouch", "--policy", "policy.txt", "--to", "scan"]);
    assert!(text(&report, "/missing/0").contains("group security"), "{report}");
    assert_eq!(check_sums(&desk.path("scan")), n(&report, "/files"));
    let rows = map(&desk.path("scan"));
    for a in list(&desk.json(&["ls", "packer-v1.pouch"]), "") {
        let digest = text(a, "/digest").trim_start_matches("sha256:");
        assert!(rows.iter().any(|r| r[0] == "artifact" && r[3] == digest && r[6] == text(a, "/name")), "{a}");
    }
    let hello = fs::read(desk.path("scan/artifacts/www/files/hello.sh")).expect("a file by its own name");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample/v1/outputs/files/hello.sh");
    assert_eq!(hello, fs::read(source).expect("the source"));
    // Sealed by somebody else, an index: nothing is written. A folder in use stays as it is.
    desk.refused(&["extract", "stranger-v1.pouch", "--policy", "policy.txt", "--to", "none"], 4);
    desk.ok(&["extract-index", "packer-v1.pouch", "-o", "index.pouch"]);
    desk.refused(&["extract", "index.pouch", "--policy", "policy.txt", "--to", "none"], 2);
    assert!(!desk.path("none").exists());
    desk.refused(&["extract", "packer-v1.pouch", "--policy", "policy.txt", "--to", "scan"], 2);
    // A rejected release can still be looked at.
    desk.ok(&["reject", "packer-v1.pouch", "--with", "reviewer", "--group", "security", "-o", "no"]);
    let args = ["extract", "packer-v1.pouch", "--policy", "policy.txt", "--statements", "no", "--to", "rejected"];
    assert!(desk.ok(&args).contains("has rejected it"));
}

#[test]
fn archives_are_opened_on_request() {
    let desk = Desk::new();
    let extract = ["extract", "packer-v2.pouch", "--policy", "policy.txt", "--expand", "--to"];
    let with = |more: &[&'static str]| [&extract[..], more].concat();
    let report = desk.json(&with(&["scan"]));
    assert_eq!((n(&report, "/expanded/problems"), list(&report, "/expanded/bounded_by").len()), (0, 0), "{report}");
    check_sums(&desk.path("scan"));
    let rows = map(&desk.path("scan"));
    let kinds: BTreeSet<&str> = rows.iter().filter(|r| r[0] == "member").map(|r| r[5].as_str()).collect();
    let want = ["chart", "deb", "gomod", "image", "rpm", "sdist", "wheel"];
    assert!(want.iter().all(|k| kinds.contains(k)), "{kinds:?}");
    let paths: BTreeSet<&str> = rows.iter().map(|r| r[1].as_str()).collect();
    for row in rows.iter().filter(|r| r[0] == "member" && r[1] != "-") {
        assert!(paths.contains(row[9].as_str()) && desk.path("scan").join(&row[1]).is_file(), "{row:?}");
    }
    desk.ok(&with(&["scan2", "--threads", "1"]));
    for name in ["map.tsv", "SHA256SUMS"] {
        let read = |dir: &str| fs::read(desk.path(dir).join(name)).expect("a list");
        assert_eq!(read("scan"), read("scan2"), "{name}");
    }
    assert!(desk.refused(&with(&["less", "--max-files", "3"]), 5).contains("the bound on files was met"));
    assert!(desk.path("less/map.tsv").is_file());
}

#[test]
fn only_what_is_new() {
    let desk = Desk::new();
    let args = |to: &'static str, old: &'static str| {
        ["extract", "packer-v2.pouch", "--policy", "policy.txt", "--to", to, "--only-new", "--against", old]
    };
    let report = desk.json(&args("scan", "packer-v1.pouch"));
    let diff = desk.json(&["diff", "packer-v1.pouch", "packer-v2.pouch"]);
    assert_eq!((n(&report, "/files"), n(&report, "/bytes")), (n(&diff, "/new_blobs"), n(&diff, "/new_bytes")));
    assert!(n(&report, "/known_blobs") > 0);
    check_sums(&desk.path("scan"));
    desk.ok(&["extract-index", "packer-v1.pouch", "-o", "old.index"]);
    assert_eq!(desk.json(&args("scan2", "old.index")), report);
    // An old release that nobody sealed who may would hide what it names.
    desk.refused(&args("none", "stranger-v1.pouch"), 4);
    assert!(!desk.path("none").exists());
}

/// A review page without what was found by opening debs and layers.
fn without_opened(page: &str) -> (&str, &str) {
    let (before, rest) = page.split_once("<section id=\"opened\">").expect("the section");
    (before, rest.split_once("</section>").expect("its end").1)
}

#[test]
fn the_review_page_says_what_the_lists_say() {
    let desk = Desk::new();
    desk.ok(&["approve", "packer-v2.pouch", "--with", "reviewer", "--group", "security", "--comment", "read & <ok>"]);
    desk.ok(&["extract-index", "packer-v2.pouch", "-o", "index.pouch"]);
    let args = |bundle, out| {
        ["review", bundle, "--against", "packer-v1.pouch", "--group", "security", "--sbom", "sbom.json", "-o", out]
    };
    let review = desk.json(&args("packer-v2.pouch", "page.html"));
    let page = fs::read_to_string(desk.path("page.html")).expect("the page");
    let show = desk.json(&["show", "packer-v2.pouch"]);
    assert_eq!(text(&review, "/release/release"), text(&show, "/release"));
    assert_eq!(n(&review, "/release/bytes"), n(&show, "/bytes"));
    assert!(page.contains(text(&show, "/release")) && page.contains("read &amp; &lt;ok&gt;"));
    // What is shown to be signed is what was signed, but for the time and the comment.
    let signed = fs::read_dir(desk.0.path()).expect("folder").filter_map(Result::ok).map(|e| e.path());
    let mut signed =
        signed.filter(|p| p.to_string_lossy().contains(".approve.") && p.extension() == Some("txt".as_ref()));
    let signed = fs::read_to_string(signed.next().expect("an approval")).expect("its text");
    let shown = text(&review, "/to_sign/0").replace("(the time of signing)", "2027-01-15T08:00:00Z");
    assert_eq!(signed, format!("{shown}comment: read & <ok>\n"));
    // Every deb and layer was opened; the index gives the same page but for that, and says so.
    let blobs = list(&review, "/artifacts").iter().filter(|a| text(a, "/kind") == "deb").count() as u64;
    assert!(n(&review, "/opened/archives") > blobs && blobs > 0, "{review}");
    assert_eq!((list(&review, "/opened/problems").len(), n(&review, "/opened/lacking")), (0, 0), "{review}");
    let index = desk.json(&args("index.pouch", "page2.html"));
    assert!(index.pointer("/opened").is_some_and(Value::is_null) && text(&index, "/not_opened").contains("no deb"));
    let page2 = fs::read_to_string(desk.path("page2.html")).expect("the page");
    assert!(page2.contains("in debs and image layers: not looked at") && !page.contains("not looked at"));
    assert_eq!(without_opened(&page), without_opened(&page2));
    let sbom: Value = serde_json::from_slice(&fs::read(desk.path("sbom.json")).expect("the SBOM")).expect("JSON");
    assert_eq!(list(&sbom, "/components").len() as u64, n(&review, "/release/artifacts"));
    desk.refused(&["review", "packer-v2.pouch", "--group", "no group", "-o", "x.html"], 2);
}
