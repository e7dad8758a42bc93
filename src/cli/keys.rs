//! `pouch key`, and reading keys for the commands that sign.

use super::args::{Key, KeyArg};
use super::fail::{Fail, Outcome};
use super::{Common, print};
use pouch::class::Classified as _;
use pouch::fs::regular;
use pouch::trust::{KeyError, PrivateKey};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes read of a passphrase's file.
const PASSPHRASE: u64 = 1 << 16;

#[derive(serde::Serialize)]
struct NewKey {
    private: PathBuf,
    public: PathBuf,
    key_id: String,
    fingerprint: String,
}

/// `pouch key ...`.
pub fn run(command: Key, common: &Common) -> Outcome {
    let Key::New { keyfile, passphrase_file, comment } = command;
    let passphrase = passphrase_file.as_deref().map(passphrase).transpose()?;
    let comment = comment.unwrap_or_else(|| {
        keyfile.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_else(|| "pouch".into())
    });
    let key = PrivateKey::generate(&comment)?;
    let mut public = keyfile.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    let text = key.to_openssh(passphrase.as_ref().map(|p| p.as_bytes()))?;
    create(&keyfile, text.as_bytes(), 0o600)?;
    create(&public, key.public_line().as_bytes(), 0o644)?;
    let report = NewKey {
        private: keyfile,
        public,
        key_id: key.public().key_id(),
        fingerprint: key.public().fingerprint().to_string(),
    };
    common.report(&report, |r| {
        print::table(&[
            vec!["private key".into(), r.private.display().to_string()],
            vec!["public key".into(), r.public.display().to_string()],
            vec!["key id".into(), r.key_id.clone()],
            vec!["fingerprint".into(), r.fingerprint.clone()],
        ])
    })
}

/// Writes a new file; one that is there stays.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Outcome {
    let io = |e: std::io::Error| Fail::io(format!("cannot write {}", path.display()), e);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)
}

/// The first line of a file.
fn passphrase(path: &Path) -> Result<Zeroizing<String>, Fail> {
    let io = |e| Fail::io(format!("cannot read {}", path.display()), e);
    let mut text = Zeroizing::new(String::new());
    // A pipe is welcome here: `--passphrase-file <(...)`.
    File::open(path).and_then(|f| f.take(PASSPHRASE).read_to_string(&mut text)).map_err(io)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Reads a small file that the user named.
pub fn read(path: &Path) -> Result<Vec<u8>, Fail> {
    let io = |e| Fail::io(format!("cannot read {}", path.display()), e);
    regular::small(path, pouch::limits::CONFIGURATION).map_err(io)
}

/// Reads the private key that a command signs with.
pub fn private(path: &Path, passphrase_file: Option<&Path>) -> Result<PrivateKey, Fail> {
    let file = Zeroizing::new(read(path)?);
    let secret = passphrase_file.map(passphrase).transpose()?;
    PrivateKey::parse(&file, secret.as_ref().map(|p| p.as_bytes())).map_err(|e: KeyError| {
        let hint = e.hint();
        let fail = Fail::new(e.class(), format!("{}: {e}", path.display()));
        match hint {
            Some(hint) => fail.hint(hint),
            None => fail,
        }
    })
}

/// As [`private`], from the arguments.
pub fn from_args(args: &KeyArg) -> Result<PrivateKey, Fail> {
    private(&args.with, args.passphrase_file.as_deref())
}

/// Now, in Unix seconds; `SOURCE_DATE_EPOCH` stands in for the clock where it is set.
pub fn now() -> i64 {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|t| t.parse().ok());
    fixed.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
