//! What the README tells a reader to type does what it says, in its order. Needs nginx, docker-registry, skopeo and curl.

#[path = "support/page.rs"]
mod page;

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What nginx leaves in the temporary folder.
struct Leftovers(u16);

impl Drop for Leftovers {
    fn drop(&mut self) {
        for part in ["body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let _ = fs::remove_dir_all(format!("/tmp/pouch-nginx-{}-{part}", self.0));
        }
    }
}

fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_pouch")).parent().expect("its folder")
}

#[test]
fn two_commands_for_a_fresh_machine_and_a_walk_through() {
    let blocks = page::commands("README.md");
    // The first would build this program again, the second is what runs this test.
    assert_eq!(blocks[0], "cargo run --release -- demo\nbash test.sh\n");
    let listeners = [0, 0].map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [http, registry] = listeners.map(|l| l.local_addr().expect("its address").port());
    let _leftovers = Leftovers(http);
    let script = blocks[1..].concat().replace("8080", &http.to_string()).replace("35000", &registry.to_string());
    // A server that root starts serves as somebody else.
    let open = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(open).tempdir().expect("folder");
    page::link_testdata(folder.path());
    let said = page::run(&script, folder.path(), programs());
    for text in ["generation  000001 is live", "generation  000002 is live", "\"library/tool\"", "sound"] {
        assert!(said.contains(text), "it did not say {text:?}:\n{said}");
    }
    let made = |path: &str| fs::read(folder.path().join("target/try").join(path)).expect(path);
    let sample = |path: &str| fs::read(Path::new("testdata/sample").join(path)).expect(path);
    assert_eq!(made("kubectl"), sample("v2/outputs/files/kubernetes/v1.33.2/kubectl"));
    assert_eq!(made("site/current/www/files/hello.sh"), sample("v1/outputs/files/hello.sh"));
}

/// Links to files of the clone; they are relative to the page's folder.
fn links(name: &str) -> Vec<String> {
    let text = page::read(name);
    let targets = text.split("](").skip(1).filter_map(|t| t.split(')').next());
    targets.filter(|t| !t.contains("://") && !t.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn links_lead_to_files() {
    for name in ["README.md", "docs/first-run.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        for link in links(name) {
            let target = folder.with_file_name(link.split('#').next().unwrap_or_default());
            assert!(target.exists(), "{name} links to {link}");
        }
    }
}

#[test]
fn exit_codes_are_those_of_the_classes() {
    use pouch::class::Class;
    let text = page::read("README.md");
    for class in [Class::Failed, Class::Usage, Class::Damaged, Class::Distrusted, Class::Unsupported, Class::Bug] {
        let row = text.lines().find(|l| l.starts_with(&format!("| {} |", class.code())));
        let word = if class == Class::Bug { "defect" } else { class.name() };
        assert!(row.is_some_and(|r| r.contains(word)), "{class:?}: {row:?}");
    }
}
