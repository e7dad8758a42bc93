//! `pouch key`, and reading keys for the commands that sign.

use super::agent::{self, AgentError};
use super::args::{Key, KeyArg};
use super::fail::{Fail, Outcome};
use super::{Common, print};
use pouch::class::{Class, Classified};
use pouch::fs::regular;
use pouch::trust::sshsig::{self, SshSig, TokenRules};
use pouch::trust::text::TextError;
use pouch::trust::{PrivateKey, PublicKey, Signed, Statement};
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

/// What went wrong with the key at `path`.
fn about(path: &Path, e: &(impl Classified + std::fmt::Display)) -> Fail {
    let fail = Fail::new(e.class(), format!("{}: {e}", path.display()));
    match e.hint() {
        Some(hint) => fail.hint(hint),
        None => fail,
    }
}

/// What signs: a key file, or a key of the agent.
pub enum Signer {
    File(PrivateKey),
    Agent(PublicKey),
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The text.
    #[error("the statement cannot be written: {0}")]
    Text(#[from] TextError),
    /// The agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

impl Classified for SignError {
    fn class(&self) -> Class {
        match self {
            SignError::Text(_) => Class::Usage,
            SignError::Agent(e) => e.class(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            SignError::Text(_) => None,
            SignError::Agent(e) => e.hint(),
        }
    }
}

impl Signer {
    /// The key file at `path`, or, where that is a public key, the agent's key.
    pub fn open(path: &Path, passphrase_file: Option<&Path>) -> Result<Signer, Fail> {
        let file = Zeroizing::new(read(path)?);
        if let Ok(public) = PublicKey::parse(&file) {
            agent::look_for(&public).map_err(|e| about(path, &e))?;
            return Ok(Signer::Agent(public));
        }
        let secret = passphrase_file.map(passphrase).transpose()?;
        let key = PrivateKey::parse(&file, secret.as_ref().map(|p| p.as_bytes()));
        key.map(Signer::File).map_err(|e| about(path, &e))
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        match self {
            Signer::File(key) => key.public(),
            Signer::Agent(key) => key,
        }
    }

    /// Signs a statement. What would not be read back is refused before it is signed.
    pub fn statement(&self, statement: &Statement) -> Result<Signed, SignError> {
        let text = statement.render();
        Statement::parse(statement.kind(), text.as_bytes())?;
        self.text(&text)
    }

    /// Signs a text, whose first line says its kind.
    pub fn text(&self, text: &str) -> Result<Signed, SignError> {
        Signed::make_by(text, |namespace, bytes| self.over(namespace, bytes))
    }

    /// Signs bytes in a namespace; gives an SSHSIG in its armor.
    pub fn over(&self, namespace: &str, bytes: &[u8]) -> Result<String, SignError> {
        let key = match self {
            Signer::File(key) => return Ok(sshsig::sign(key, namespace, bytes)),
            Signer::Agent(key) => key,
        };
        let wrong = |e: &dyn std::fmt::Display| SignError::Agent(AgentError::Signature(e.to_string()));
        let armor = SshSig::assemble(key, namespace, &agent::sign(key, &sshsig::to_sign(namespace, bytes))?);
        // A signature that nobody would accept is found here and not on the far side.
        let applications: Vec<String> = key.application().map(str::to_owned).into_iter().collect();
        let rules = TokenRules { applications: &applications, pin: false };
        let parsed = SshSig::parse(armor.as_bytes()).map_err(|e| wrong(&e))?;
        parsed.verify(key, namespace, bytes, rules).map_err(|e| wrong(&e))?;
        Ok(armor)
    }
}

/// As [`Signer::open`], from the arguments.
pub fn from_args(args: &KeyArg) -> Result<Signer, Fail> {
    Signer::open(&args.with, args.passphrase_file.as_deref())
}

/// Now, in Unix seconds; `SOURCE_DATE_EPOCH` stands in for the clock where it is set.
pub fn now() -> i64 {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|t| t.parse().ok());
    fixed.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
