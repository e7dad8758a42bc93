//! `pouch demo`: the main job on the sample that this program carries, by the commands that a user would type.

use super::args::{Cli, Demo};
use super::fail::{Fail, Outcome};
use super::{Common, dispatch, progress};
use clap::Parser as _;
use include_dir::{Dir, include_dir};
use pouch::digest::Digest;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

static SAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/testdata/sample");

#[derive(serde::Serialize)]
struct Done {
    folder: Option<PathBuf>,
    commands: usize,
    fetched: usize,
    seconds: f64,
}

/// Runs it.
pub fn run(args: Demo, common: &Common) -> Outcome {
    let begin = std::time::Instant::now();
    let io = |e: std::io::Error| Fail::io("cannot make the demo's folder", e);
    let temporary = tempfile::tempdir().map_err(io)?;
    let folder = match &args.keep {
        Some(keep) => {
            fs::create_dir_all(keep).map_err(io)?;
            if fs::read_dir(keep).map_err(io)?.next().is_some() {
                return Err(Fail::usage(format!("{} is not empty", keep.display())));
            }
            keep.canonicalize().map_err(io)?
        }
        None => temporary.path().to_path_buf(),
    };
    lay(&SAMPLE, &folder).map_err(io)?;
    std::env::set_current_dir(&folder).map_err(io)?;
    let mut shell = Shell { common, commands: 0 };
    shell.say("Three people make keys: an administrator, the packer, and a reviewer of the security team.");
    shell.run(&["key", "new", "admin"])?;
    shell.run(&["key", "new", "packer"])?;
    shell.run(&["key", "new", "reviewer"])?;
    shell.say("The administrator writes a policy: who seals the stream `sample`, and who must approve.");
    let policy = [
        "policy",
        "new",
        "--admin",
        "1:ann=admin.pub",
        "--stream",
        "sample",
        "--sealer",
        "paul=packer.pub",
        "--group",
        "security=1:rita=reviewer.pub",
        "--with",
        "admin",
        "-o",
        "policy.txt",
    ];
    shell.run(&policy)?;
    let digest = Digest::of(&fs::read(folder.join("policy.txt")).map_err(io)?).hex();
    shell.say(
        "On the connected side the packer packs and seals. Approval comes as a file of its own, beside the bundle.",
    );
    shell.run(&[
        "pack",
        "v1/pouch.toml",
        "--stream",
        "sample",
        "--sequence",
        "1",
        "--seal-with",
        "packer",
        "-o",
        "sample-1.pouch",
    ])?;
    shell.run(&["ls", "sample-1.pouch"])?;
    shell.run(&[
        "approve",
        "sample-1.pouch",
        "--with",
        "reviewer",
        "--group",
        "security",
        "--comment",
        "read the list",
    ])?;
    shell.say("On the far side an operator sets up a site that trusts the policy, verifies, and unpacks.");
    shell.run(&["site", "init", "site", "--policy", "policy.txt", "--confirm", &digest])?;
    shell.run(&["verify", "sample-1.pouch", "--site", "site"])?;
    shell.run(&["unpack", "sample-1.pouch", "--site", "site"])?;
    shell.say("The next release replaces it, and one rename brings the last one back.");
    shell.run(&[
        "pack",
        "v2/pouch.toml",
        "--stream",
        "sample",
        "--sequence",
        "2",
        "--seal-with",
        "packer",
        "-o",
        "sample-2.pouch",
    ])?;
    shell.run(&["approve", "sample-2.pouch", "--with", "reviewer", "--group", "security"])?;
    shell.run(&["unpack", "sample-2.pouch", "--site", "site", "--allow-drop"])?;
    shell.run(&["rollback", "--site", "site"])?;
    shell.run(&["check", "--site", "site"])?;
    let fetched = compare(&folder.join("v1/outputs/files"), &folder.join("site/current/www/files"))?;
    shell.say(&format!("All {fetched} files of the first release are back, byte for byte."));
    let kept = args.keep.is_some();
    shell.say(&match kept {
        true => format!(
            "Everything is in {}. Serve it: nginx -p {}/site/ -c current/etc/nginx.conf",
            folder.display(),
            folder.display()
        ),
        false => "Nothing was kept; `pouch demo --keep DIR` keeps keys, bundles and site to look at.".into(),
    });
    shell.say("Next: `pouch pack --help` shows a packing list, or give --kubespray-offline your outputs/ folder.");
    let seconds = begin.elapsed().as_secs_f64();
    let done = Done { folder: kept.then_some(folder), commands: shell.commands, fetched, seconds };
    common.report(&done, |d| format!("{} commands in {:.1} s; the demo is complete.\n", d.commands, d.seconds))
}

/// Writes the sample. Whether a file is a program is told by its first bytes: the carried copy has no modes.
fn lay(dir: &Dir<'_>, to: &Path) -> std::io::Result<()> {
    for entry in dir.entries() {
        let path = to.join(entry.path());
        match entry {
            include_dir::DirEntry::Dir(d) => {
                fs::create_dir_all(&path)?;
                lay(d, to)?;
            }
            include_dir::DirEntry::File(f) => {
                fs::write(&path, f.contents())?;
                let program = f.contents().starts_with(b"#!") || f.contents().starts_with(b"\x7fELF");
                fs::set_permissions(&path, fs::Permissions::from_mode(if program { 0o755 } else { 0o644 }))?;
            }
        }
    }
    Ok(())
}

struct Shell<'a> {
    common: &'a Common,
    commands: usize,
}

impl Shell<'_> {
    fn say(&self, text: &str) {
        if !self.common.json {
            super::out(&format!("\n# {text}\n"));
        }
    }

    /// Runs a command as if it had been typed; with `--json` only its failure is told.
    fn run(&mut self, words: &[&str]) -> Outcome {
        let line = std::iter::once("pouch").chain(words.iter().copied());
        let cli = Cli::try_parse_from(line).map_err(Fail::usage)?;
        let common = Common { json: false, silent: self.common.json, bar: progress::Bar::new(true) };
        if !self.common.json {
            super::out(&format!("\n$ pouch {}\n", words.join(" ")));
        }
        self.commands += 1;
        dispatch(cli.command, &common)
    }
}

/// Compares two trees of files; gives how many there are.
fn compare(left: &Path, right: &Path) -> Result<usize, Fail> {
    let mut n = 0;
    for file in pouch::fs::tree::walk(left).map_err(pouch::source::SourceError::from)? {
        let (a, b) = (fs::read(&file.path), fs::read(right.join(&file.rel)));
        match (a, b) {
            (Ok(a), Ok(b)) if a == b => n += 1,
            _ => return Err(Fail::new(pouch::class::Class::Bug, format!("{} did not come back", file.rel))),
        }
    }
    Ok(n)
}
