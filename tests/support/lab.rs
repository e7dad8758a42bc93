//! A *lab* is a folder with keys, bundles and a site, and the program as users run it on them.

#![allow(dead_code)] // each test crate uses a part

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// 2026-01-01T00:00:00Z
pub const START: i64 = 1_767_225_600;
pub const DAY: i64 = 86_400;

/// A folder with keys, bundles and a site, and a clock that the test sets.
pub struct Lab {
    pub dir: tempfile::TempDir,
    pub now: i64,
}

impl Lab {
    pub fn new() -> Lab {
        let lab = Lab { dir: tempfile::tempdir().expect("tempdir"), now: START };
        for key in ["admin", "packer", "alice", "bob", "carol", "site-key"] {
            lab.ok(&["key", "new", key]);
        }
        lab
    }

    /// With a policy of two out of alice, bob and carol, and a site.
    pub fn with_site() -> Lab {
        let lab = Lab::new();
        lab.policy("2:alice=alice.pub,bob=bob.pub,carol=carol.pub");
        lab.init("site", &[]);
        lab
    }

    pub fn policy(&self, security: &str) {
        let group = format!("security={security}");
        let admin = ["--admin", "1:ann=admin.pub", "--with", "admin", "-o", "policy.txt"];
        let stream = ["policy", "new", "--stream", "s", "--sealer", "paul=packer.pub", "--group", &group];
        self.ok(&[&stream[..], &admin].concat());
    }

    pub fn init(&self, site: &str, more: &[&str]) {
        let shown = self.json(&["policy", "show", "policy.txt"]);
        let digest = shown["digest"].as_str().expect("a digest");
        self.ok(&[&["site", "init", site, "--policy", "policy.txt", "--confirm", digest][..], more].concat());
    }

    /// Sets the clock.
    pub fn at(&mut self, now: i64) {
        self.now = now;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pouch"));
        command.args(words).current_dir(self.dir.path()).env("SOURCE_DATE_EPOCH", self.now.to_string());
        command.env_remove("SSH_AUTH_SOCK");
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("pouch runs")
    }

    pub fn ok(&self, words: &[&str]) -> String {
        succeeded(self.run(words), words)
    }

    pub fn json(&self, words: &[&str]) -> Value {
        let text = self.ok(&[&["--json"], words].concat());
        serde_json::from_str(&text).expect("JSON")
    }

    /// Fails with that exit code; gives what it says.
    pub fn fails(&self, code: i32, words: &[&str]) -> String {
        let out = self.run(words);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(code), "{words:?}: {text}{}", String::from_utf8_lossy(&out.stdout));
        text
    }

    /// A sealed bundle `media/N.pouch` with one file that only it has and one that all have; gives its release id.
    pub fn bundle(&self, sequence: u64) -> String {
        fs::create_dir_all(self.path("files")).expect("mkdir");
        fs::create_dir_all(self.path("media")).expect("mkdir");
        fs::write(self.path("files/always.txt"), "always").expect("write");
        fs::write(self.path("files/version.txt"), format!("version {sequence}")).expect("write");
        fs::write(self.path("list.toml"), "[[files]]\nfrom = \"files\"\nto = \"files\"\n").expect("write");
        let (n, file) = (sequence.to_string(), format!("media/{sequence}.pouch"));
        let made =
            self.json(&["pack", "list.toml", "--stream", "s", "--sequence", &n, "--seal-with", "packer", "-o", &file]);
        made["release"].as_str().expect("a release id").to_owned()
    }

    pub fn approve(&self, sequence: u64, who: &str, folder: &str) {
        let bundle = format!("media/{sequence}.pouch");
        self.ok(&["approve", &bundle, "--with", who, "--group", "security", "-o", folder]);
    }

    /// Bundle `sequence` with two approvals beside it.
    pub fn approved(&self, sequence: u64) -> String {
        let id = self.bundle(sequence);
        self.approve(sequence, "alice", "media");
        self.approve(sequence, "bob", "media");
        id
    }

    pub fn unpack(&self, sequence: u64) -> Value {
        self.json(&["unpack", &format!("media/{sequence}.pouch"), "--site", "site"])[0].clone()
    }

    pub fn refused(&self, sequence: u64) -> String {
        self.fails(4, &["unpack", &format!("media/{sequence}.pouch"), "--site", "site"])
    }

    /// Every file below the site but the ledger's log and head: bytes, mode, time.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64)> {
        let files = walkdir::WalkDir::new(self.path("site")).into_iter().map(|e| e.expect("walk"));
        let files =
            files.filter(|e| e.file_type().is_file() && !e.path().ends_with("log") && !e.path().ends_with("head"));
        let read = |path: &Path| {
            let meta = fs::metadata(path).expect("stat");
            (fs::read(path).expect("read"), meta.mode(), meta.mtime())
        };
        files.map(|e| (e.path().to_owned(), read(e.path()))).collect()
    }

    pub fn events(&self) -> Vec<Value> {
        self.json(&["history", "--site", "site"]).as_array().expect("records").clone()
    }

    pub fn alarms(&self) -> Vec<String> {
        let status = self.json(&["status", "--site", "site"]);
        let alarms = status["alarms"].as_array().expect("alarms");
        alarms.iter().map(|a| format!("{} {}", a["release"]["sequence"], a["kind"].as_str().expect("kind"))).collect()
    }
}

pub fn succeeded(out: Output, words: &[&str]) -> String {
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// OpenSSH's agent, ended with the test.
pub struct Agent {
    child: Child,
    pub socket: PathBuf,
}

impl Agent {
    pub fn start(lab: &Lab) -> Agent {
        Agent::start_with(lab, &[])
    }

    /// With more variables in its environment, which its card helper gets too.
    pub fn start_with(lab: &Lab, environment: &[(&str, &Path)]) -> Agent {
        let socket = lab.path("agent.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).envs(environment.iter().copied()).stdout(Stdio::null());
        let mut agent = Agent { child: command.spawn().expect("ssh-agent runs"), socket };
        while UnixStream::connect(&agent.socket).is_err() {
            assert_eq!(agent.child.try_wait().expect("wait"), None, "ssh-agent ended");
            std::thread::yield_now();
        }
        agent
    }

    /// Gives it the key file at `key`, which is removed.
    pub fn add(&self, key: &Path) {
        let out = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).output();
        assert!(out.expect("ssh-add runs").status.success());
        fs::remove_file(key).expect("the agent has it now");
    }

    /// Gives it the card behind the PKCS#11 `module`; `ask` is a program that prints the card's PIN.
    pub fn add_card(&self, module: &Path, ask: &Path) {
        let mut command = Command::new("ssh-add");
        command.arg("-s").arg(module).env("SSH_AUTH_SOCK", &self.socket);
        command.env("SSH_ASKPASS", ask).env("SSH_ASKPASS_REQUIRE", "force").stdin(Stdio::null());
        let out = command.output().expect("ssh-add runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stock `ssh-keygen`, which must succeed.
pub fn keygen(lab: &Lab, words: &[&str], input: Option<&Path>) {
    let mut command = Command::new("ssh-keygen");
    command.args(words).current_dir(lab.dir.path());
    if let Some(input) = input {
        command.stdin(fs::File::open(input).expect("open"));
    }
    succeeded(command.output().expect("ssh-keygen runs"), words);
}
