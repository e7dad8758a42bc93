//! The program that travels is static, names no place of the machine that built it, is checked by stock `ssh-keygen`, and
//! works in a folder that holds nothing else. It is what `./dist.sh` builds, which must have run. Needs openssh-client.

#[path = "support/page.rs"]
mod page;

use pouch::op::travel::Program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What `./dist.sh` built.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_pouch")).ancestors().nth(2).expect("the target folder");
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let path = target.join(triple).join("dist/pouch");
    assert!(path.is_file(), "{} is missing: run ./dist.sh first, as test.sh does", path.display());
    path
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("folder")
}

/// Keys and a policy for the stream `k8s`.
const TRUST: &str = "pouch -q key new admin; pouch -q key new packer
pouch -q policy new --admin 1:ann=admin.pub --stream k8s --sealer paul=packer.pub --with admin -o policy.txt
";

#[test]
fn it_is_static_and_names_no_place_of_this_machine() {
    Program::read(&program()).expect("it needs no interpreter");
    let bytes = fs::read(program()).expect("read");
    let variable = |name: &str| std::env::var(name).ok().filter(|v| v.len() > 1);
    let home = variable("HOME").map(|h| format!("{h}/"));
    let clone = env!("CARGO_MANIFEST_DIR").to_owned();
    for place in [Some(clone), home, variable("CARGO_HOME"), variable("RUSTUP_HOME")].into_iter().flatten() {
        assert!(!bytes.windows(place.len()).any(|w| w == place.as_bytes()), "it names {place}");
    }
}

#[test]
fn the_page_on_the_first_run_holds() {
    let program = program();
    let programs = program.parent().expect("its folder");
    let here = folder();
    page::link_testdata(here.path());
    let script = page::commands("docs/first-run.md").concat();
    let said = page::run(&format!("{TRUST}{script}"), here.path(), programs);
    assert!(said.contains("Good \"pouch/v1/program\" signature for packer with ED25519 key"), "{said}");
    assert!(said.contains("verified   24 artifacts"), "{said}");
    assert_eq!(fs::read(here.path().join("far/pouch")).expect("read"), fs::read(&program).expect("read"));
    // One changed byte, or another namespace, and ssh-keygen refuses.
    let again = "cd far; ! ssh-keygen -Y verify -f allowed_signers -I packer -n pouch/v1/seal -s pouch.sig < pouch
printf x >> pouch; ! ssh-keygen -Y verify -f allowed_signers -I packer -n pouch/v1/program -s pouch.sig < pouch\n";
    page::run(again, here.path(), programs);
}

/// Runs the program with `jail` as all that there is.
fn jailed(jail: &Path, args: &[&str]) -> Output {
    let root = rustix::process::geteuid().is_root();
    let mut command = if root { Command::new("chroot") } else { Command::new("unshare") };
    if !root {
        command.args(["--map-root-user", "chroot"]);
    }
    command.arg(jail).arg("/pouch").args(args).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.output().expect("chroot is installed")
}

#[test]
fn it_works_where_there_is_nothing_else() {
    let program = program();
    let here = folder();
    page::link_testdata(here.path());
    let make = "mkdir -p jail/stick; cp \"$(command -v pouch)\" jail/; cp policy.txt policy.txt.*.sig jail/stick/
pouch -q pack testdata/sample/v1/pouch.toml --stream k8s --sequence 1 --seal-with packer -o jail/stick/k8s-1.pouch\n";
    page::run(&format!("{TRUST}{make}"), here.path(), program.parent().expect("its folder"));
    let jail = here.path().join("jail");
    let digest = pouch::digest::Digest::of(&fs::read(here.path().join("policy.txt")).expect("read")).hex();
    let bundle = "/stick/k8s-1.pouch";
    let table: [(&[&str], &str); 8] = [
        (&["--version"], "pouch "),
        (&["ls", bundle], "sample/web:1.1"),
        (&["verify", bundle, "--policy", "/stick/policy.txt"], "verified   24 artifacts"),
        (&["site", "init", "/site", "--policy", "/stick/policy.txt", "--confirm", &digest], "policy"),
        (&["unpack", bundle, "--site", "/site"], "generation  000001 is live"),
        (&["status", "--site", "/site"], "sequence 1"),
        (&["check", "--site", "/site"], "sound"),
        (&["export", "library/tool:1.0", "--site", "/site", "-o", "/tool.tar"], "/tool.tar"),
    ];
    for (args, expect) in table {
        let done = jailed(&jail, args);
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && out.contains(expect), "{args:?}: {}\n{out}\n{err}", done.status);
    }
    let mut names: Vec<_> = fs::read_dir(&jail).expect("read").map(|e| e.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["pouch", "site", "stick", "tool.tar"]);
    for file in ["hello.sh", "kubernetes/v1.33.1/kubectl"] {
        let sample = Path::new("testdata/sample/v1/outputs/files").join(file);
        let unpacked = jail.join("site/current/www/files").join(file);
        assert_eq!(fs::read(unpacked).expect(file), fs::read(sample).expect(file));
    }
}

#[test]
fn a_program_that_would_not_run_there_stays() {
    let here = folder();
    page::link_testdata(here.path());
    let dynamic = Path::new(env!("CARGO_BIN_EXE_pouch"));
    page::run(TRUST, here.path(), dynamic.parent().expect("its folder"));
    let pack = |program: &Path, output: &str| {
        let list = "testdata/sample/v1/pouch.toml";
        let args = ["pack", list, "--stream", "k8s", "--sequence", "1", "--seal-with", "packer", "--with-pouch", "-o"];
        let done = Command::new(program).args(args).arg(output).current_dir(here.path()).output().expect("it runs");
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (code, said) = pack(dynamic, "a.pouch");
    assert!(code == Some(2) && said.contains("dynamically") && said.contains("dist.sh"), "{code:?} {said}");
    for name in ["pouch", "POUCH.SIG"] {
        let (code, said) = pack(&program(), name);
        assert!(code == Some(2) && said.contains("where the program goes"), "{code:?} {said}");
    }
    let left: Vec<_> = fs::read_dir(here.path()).expect("read").map(|e| e.expect("an entry").file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().to_lowercase().contains("pouch")), "{left:?}");
}
