//! The *layout* is where things lie in a site: this file holds every name there is.
//!
//! It touches no disk. Specified in `spec/site.md`, section "Layout".

use crate::digest::Digest;
use crate::fs::disk::Place;
use crate::site::generation::GenerationNumber;

/// The version of the layout that this pouch writes, and the newest it knows.
pub const VERSION: u64 = 1;

/// Mode of folders.
pub const FOLDER_MODE: u32 = 0o755;
/// Mode of the staging folder: what is in it is not verified yet.
pub const STAGING_MODE: u32 = 0o700;
/// Mode of files that the site writes.
pub const FILE_MODE: u32 = 0o644;

/// A blob has at most one inode of each form; a generation's files are links to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `<hex>`, mode 0444.
    Plain,
    /// `<hex>.x`, mode 0555.
    Executable,
}

impl Form {
    /// Both.
    pub const ALL: [Form; 2] = [Form::Plain, Form::Executable];

    /// The form that `executable` asks for.
    pub fn of(executable: bool) -> Form {
        if executable { Form::Executable } else { Form::Plain }
    }

    /// The other one.
    pub fn other(self) -> Form {
        Form::of(self == Form::Plain)
    }

    /// Permission bits of its inode.
    pub fn mode(self) -> u32 {
        match self {
            Form::Plain => 0o444,
            Form::Executable => 0o555,
        }
    }

    /// The file name of `digest` in this form.
    pub fn name(self, digest: &Digest) -> String {
        match self {
            Form::Plain => digest.hex(),
            Form::Executable => format!("{}.x", digest.hex()),
        }
    }

    /// Back from [`Form::name`].
    pub fn parse(name: &str) -> Option<(Digest, Form)> {
        let (hex, form) = match name.strip_suffix(".x") {
            Some(hex) => (hex, Form::Executable),
            None => (name, Form::Plain),
        };
        Digest::from_hex(hex).ok().map(|d| (d, form))
    }
}

/// The folders of a site with their modes, parents first.
pub fn folders() -> Vec<(Place, u32)> {
    let plain = [blobs_root(), blobs(), generations(), policies(), ledger(), archive()];
    let mut out: Vec<(Place, u32)> = plain.into_iter().map(|p| (p, FOLDER_MODE)).collect();
    out.push((staging(), STAGING_MODE));
    out
}

/// The names in a site's own folder.
pub const ROOT_NAMES: [&str; 8] =
    ["blobs", "current", "generations", "ledger", "lock", "policy", "site.toml", "staging"];

/// `site.toml`
pub fn config() -> Place {
    Place::root().child("site.toml")
}
/// `lock`
pub fn lock() -> Place {
    Place::root().child("lock")
}
/// `current`
pub fn current() -> Place {
    Place::root().child("current")
}
/// `blobs`
pub fn blobs_root() -> Place {
    Place::root().child("blobs")
}
/// `blobs/sha256`
pub fn blobs() -> Place {
    blobs_root().child("sha256")
}
/// `blobs/sha256/ab`
pub fn blob_folder(digest: &Digest) -> Place {
    blobs().child(&digest.hex()[..2])
}
/// `blobs/sha256/ab/<hex>[.x]`
pub fn blob(digest: &Digest, form: Form) -> Place {
    blob_folder(digest).child(form.name(digest))
}
/// `generations`
pub fn generations() -> Place {
    Place::root().child("generations")
}
/// `generations/000012`
pub fn generation(n: GenerationNumber) -> Place {
    generations().child(n.to_string())
}
/// `staging`
pub fn staging() -> Place {
    Place::root().child("staging")
}
/// `staging/<hex>[.x].part`: a blob that is being written.
pub fn part(digest: &Digest, form: Form) -> Place {
    staging().child(format!("{}.part", form.name(digest)))
}
/// `staging/<hex>[.x].done`: a blob whose bytes were hashed on the way and fit.
pub fn done(digest: &Digest, form: Form) -> Place {
    staging().child(format!("{}.done", form.name(digest)))
}
/// `staging/scratch-12`: a file that loses its name as soon as it has one.
pub fn scratch(n: u64) -> Place {
    staging().child(format!("scratch-{n}"))
}
/// `staging/gen-000012`: a generation that is being built.
pub fn building(n: GenerationNumber) -> Place {
    staging().child(format!("gen-{n}"))
}
/// `staging/old-000012`: a generation that is being removed.
pub fn leaving(n: GenerationNumber) -> Place {
    staging().child(format!("old-{n}"))
}
/// `staging/new-<name>`: a small file that is being written, or the link that becomes `current`.
pub fn fresh(name: &str) -> Place {
    staging().child(format!("new-{name}"))
}
/// `policy`
pub fn policies() -> Place {
    Place::root().child("policy")
}
/// `policy/<hex>.policy`
pub fn policy(digest: &Digest) -> Place {
    policies().child(format!("{digest}.policy"))
}
/// `ledger`
pub fn ledger() -> Place {
    Place::root().child("ledger")
}
/// `ledger/log`
pub fn log() -> Place {
    ledger().child("log")
}
/// `ledger/head`
pub fn head() -> Place {
    ledger().child("head")
}
/// `ledger/new-head`: the head that is being written. Not in staging: a refused bundle writes in `ledger` only.
pub fn fresh_head() -> Place {
    ledger().child("new-head")
}
/// The names in `ledger`.
pub const LEDGER_NAMES: [&str; 4] = ["archive", "head", "log", "new-head"];
/// `ledger/archive`
pub fn archive() -> Place {
    ledger().child("archive")
}
/// `ledger/archive/<hex>.pouch`, and `<hex>.2.pouch` and so on for other files of the same release.
pub fn archived(release: &Digest, nth: u32) -> Place {
    archive().child(match nth {
        0 | 1 => format!("{release}.pouch"),
        n => format!("{release}.{n}.pouch"),
    })
}
/// `ledger/archive/<hex>.evidence`: a file that a statement names, by its SHA-256.
pub fn evidence(digest: &Digest) -> Place {
    archive().child(format!("{digest}.evidence"))
}
/// Back from the file name of [`evidence`].
pub fn evidence_digest(name: &str) -> Option<Digest> {
    Digest::from_hex(name.strip_suffix(".evidence")?).ok()
}
/// The folder inside a generation that the site keeps for itself.
pub const INNER: &str = ".pouch";
/// `generation.json` in it.
pub const INNER_INFO: &str = "generation.json";
/// `files.jsonl` in it.
pub const INNER_FILES: &str = "files.jsonl";
