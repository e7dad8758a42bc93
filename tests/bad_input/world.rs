//! A *world* is a folder with keys, a policy, bundles of the sample and a site that shows the first.

use pouch::digest::Digest;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Address space that every run gets: no input may make the program want more.
pub const MEMORY: u64 = 1536 << 20;
/// Seconds after which a run counts as hanging.
const PATIENCE: &str = "60";

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The program under its limits; `before` is put before its name (`strace`, `setpriv`).
pub fn command(folder: &Path, before: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", PATIENCE]).args(before);
    command.arg("prlimit").arg(format!("--as={MEMORY}")).arg(env!("CARGO_BIN_EXE_pouch")).args(arguments);
    if arguments.first().is_some_and(|a| ["pack", "verify", "unpack"].contains(a)) {
        command.arg("--threads=2"); // stacks and heaps of threads are address space too
    }
    command.current_dir(folder).stdin(Stdio::null()).env_remove("SOURCE_DATE_EPOCH");
    command
}

/// Runs it and checks what holds of every end.
pub fn finish(mut command: Command, what: &str) -> Ran {
    let output = command.output().unwrap_or_else(|e| panic!("{what}: {e}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let ran = Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) };
    assert!((0..=5).contains(&ran.code), "{what}: a panic, a hang, a signal or a defect: {ran:?}");
    assert!(ran.code == 0 || ran.err.contains("pouch: ") || ran.err.contains("error: "), "{what}: no message: {ran:?}");
    assert!(!ran.err.contains("panicked"), "{what}: {ran:?}");
    let raw = |c: char| c.is_control() && c != '\n';
    assert!(!ran.err.contains(raw) && !ran.out.contains(raw), "{what}: raw control characters: {ran:?}");
    ran
}

/// Runs the program in `folder`.
pub fn pouch(folder: &Path, arguments: &[&str]) -> Ran {
    finish(command(folder, &[], arguments), &arguments.join(" "))
}

impl Ran {
    /// Asserts the exit code and words of the message.
    #[track_caller]
    pub fn expect(&self, what: &str, code: i32, words: &[&str]) -> &Ran {
        assert_eq!(self.code, code, "{what}: {self:?}");
        for word in words {
            assert!(self.err.contains(word), "{what}: the message lacks {word:?}: {}", self.err);
        }
        self
    }
}

/// See the module.
pub struct World {
    folder: tempfile::TempDir,
    /// Digest of the policy.
    pub confirm: String,
}

impl World {
    /// Keys `admin`, `packer`, `stranger`; the policy `policy.txt`; the sample as `v1` and `v2`.
    pub fn bare() -> World {
        let folder = tempfile::tempdir().expect("tempdir");
        let at = folder.path();
        for key in ["admin", "packer", "stranger"] {
            pouch(at, &["key", "new", key]).expect(key, 0, &[]);
        }
        let confirm = policy(at, "policy.txt", "packer.pub");
        for version in ["v1", "v2"] {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample").join(version), &at.join(version));
        }
        World { folder, confirm }
    }

    /// Besides, `1.pouch` and `2.pouch`, sealed, and the site `site` that shows the first.
    pub fn new() -> World {
        let world = World::bare();
        world.pack("v1", 1, "packer", "1.pouch");
        world.pack("v2", 2, "packer", "2.pouch");
        world.site("site");
        world.run(&["unpack", "1.pouch", "--site", "site"]).expect("unpack", 0, &[]);
        world
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        pouch(self.folder(), arguments)
    }

    pub fn pack(&self, version: &str, sequence: u64, key: &str, to: &str) {
        let (list, sequence) = (format!("{version}/pouch.toml"), sequence.to_string());
        let arguments =
            ["pack", &list, "--stream", "sample", "--sequence", &sequence, "--seal-with", key, "-o", to, "--quiet"];
        self.run(&arguments).expect(to, 0, &[]);
    }

    /// An empty site that shows one release.
    pub fn site(&self, name: &str) {
        let arguments = ["site", "init", name, "--policy", "policy.txt", "--confirm", &self.confirm, "--keep", "1"];
        self.run(&arguments).expect("site init", 0, &[]);
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
        fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

/// Writes a policy of the admin `admin` for the stream `sample`, signed; gives its digest.
pub fn policy(at: &Path, name: &str, sealer: &str) -> String {
    let sealer = format!("paul={sealer}");
    let new = ["policy", "new", "--admin", "1:ann=admin.pub", "--stream", "sample", "--sealer", &sealer];
    let arguments: Vec<&str> = new.into_iter().chain(["--with", "admin", "-o", name]).collect();
    pouch(at, &arguments).expect(name, 0, &[]);
    Digest::of(&fs::read(at.join(name)).expect(name)).hex()
}

/// Copies a tree of files.
pub fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(done.success(), "cp -a {} {}", from.display(), to.display());
}

/// Every name below `root` with its content's digest or its link's target, but for what every run may touch: the lock, and
/// the ledger's log with its head. `skip` names more folders to leave out.
pub fn snapshot(root: &Path, skip: &[&str]) -> BTreeMap<PathBuf, String> {
    let mut out = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("entry").path();
            let rel = path.strip_prefix(root).expect("below").to_path_buf();
            let meta = fs::symlink_metadata(&path).expect("meta");
            if ["lock", "ledger/log", "ledger/head"].iter().chain(skip).any(|s| rel.as_os_str() == OsStr::new(s)) {
                continue;
            }
            let says = if meta.is_symlink() {
                format!("link to {}", fs::read_link(&path).expect("link").display())
            } else if meta.is_dir() {
                open.push(path.clone());
                "folder".into()
            } else if meta.is_file() {
                Digest::of(&fs::read(&path).expect("read")).hex()
            } else {
                "special".into()
            };
            out.insert(rel, says);
        }
    }
    out
}

/// Runs every case of a table and fails at the end, so that one run tells all that is wrong.
pub fn each<T>(cases: impl IntoIterator<Item = T>, mut run: impl FnMut(T)) {
    let run = |case| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(case))).is_err();
    let failed = cases.into_iter().map(run).filter(|failed| *failed).count();
    assert_eq!(failed, 0, "so many cases failed; each is told above");
}
