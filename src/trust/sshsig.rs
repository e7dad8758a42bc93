//! *SSHSIG* is OpenSSH's signature over a file: what `ssh-keygen -Y sign` writes and `-Y verify` checks.
//!
//! It says that a key signed bytes under a namespace, never what that means. Specified in OpenSSH's PROTOCOL.sshsig and
//! PROTOCOL.u2f; the profile in `spec/trust.md`, section "The SSHSIG profile".
//!
//! ```text
//! blob    "SSHSIG" | u32 1 | string public key | string namespace | string "" | string "sha512" | string signature
//! signed  "SSHSIG" |         string namespace  | string ""        | string "sha512" | string SHA-512(text)
//! token   SHA-256(application) | u8 flags | u32 counter | SHA-256(signed)
//! ```

use super::armor;
use super::key::{KeyError, Point, PublicKey};
use super::private::PrivateKey;
use super::wire::{Reader, WireError, put_string};
use crate::limits;
use p256::ecdsa::signature::Verifier as _;
use sha2::{Digest as _, Sha256, Sha512};

const LABEL: &str = "SSH SIGNATURE";
const MAGIC: &[u8] = b"SSHSIG";
const HASH: &[u8] = b"sha512";
/// FIDO: somebody touched the token.
const USER_PRESENT: u8 = 1;
/// FIDO: the token knew who (PIN or fingerprint).
const USER_VERIFIED: u8 = 4;

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigError {
    /// It is not in the profile's form.
    #[error("the signature is refused: {0}")]
    Form(&'static str),
    /// Its key is refused.
    #[error("the signature's key is refused")]
    Key(#[from] KeyError),
    /// It is of another namespace than the one asked for.
    #[error("the signature is made for {have:?}, not for {want:?}")]
    Namespace {
        /// The namespace in the signature, at most 80 characters.
        have: String,
        /// The one that the text calls for.
        want: String,
    },
    /// The token's signature lacks a flag.
    #[error("the token's signature does not say that {0}")]
    Flag(&'static str),
    /// The key was made for an application that the policy does not list.
    #[error("the token's key is for the application {0:?}, which the policy does not list")]
    Application(String),
    /// The bytes, the text and the key do not belong together.
    #[error("the signature does not match the text")]
    Mismatch,
}

impl From<WireError> for SigError {
    fn from(_: WireError) -> Self {
        SigError::Form("its binary part is damaged")
    }
}

/// What a policy asks of tokens.
#[derive(Debug, Clone, Copy)]
pub struct TokenRules<'a> {
    /// Applications that keys may be made for.
    pub applications: &'a [String],
    /// Whether the token must have checked a PIN or fingerprint.
    pub pin: bool,
}

/// A signature in the profile's form, not yet checked against any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSig {
    /// The binary form of the key that claims to have made it; not yet parsed.
    pub key_blob: Vec<u8>,
    /// The namespace it is made for.
    pub namespace: String,
    signature: Vec<u8>,
}

impl SshSig {
    /// Reads armor. No cryptography: the key is parsed by whoever knows whether it matters.
    pub fn parse(text: &[u8]) -> Result<SshSig, SigError> {
        if text.len() > limits::STATEMENT {
            return Err(SigError::Form("it is longer than 16 KiB"));
        }
        let blob = armor::read_strict(LABEL, text).map_err(SigError::Form)?;
        let mut r = Reader::new(&blob);
        if r.take(MAGIC.len())? != MAGIC {
            return Err(SigError::Form("it is not an SSHSIG"));
        }
        if r.u32()? != 1 {
            return Err(SigError::Form("its version is not 1"));
        }
        let key_blob = r.string()?.to_vec();
        let namespace = r.string()?;
        if !r.string()?.is_empty() {
            return Err(SigError::Form("its reserved field is not empty"));
        }
        if r.string()? != HASH {
            return Err(SigError::Form("its hash is not sha512"));
        }
        let signature = r.string()?.to_vec();
        r.end()?;
        let namespace = match std::str::from_utf8(namespace) {
            Ok(n) if !n.is_empty() && n.len() <= 80 && n.bytes().all(|b| b.is_ascii_graphic()) => n.to_owned(),
            _ => return Err(SigError::Form("its namespace is not 1 to 80 printable ASCII characters")),
        };
        Ok(SshSig { key_blob, namespace, signature })
    }

    /// The armor of a signature that was made elsewhere (an agent, a token): `signature` is an SSH signature blob over
    /// [`to_sign`]'s bytes.
    pub fn assemble(key: &PublicKey, namespace: &str, signature: &[u8]) -> String {
        let mut blob = MAGIC.to_vec();
        blob.extend_from_slice(&1u32.to_be_bytes());
        put_string(&mut blob, key.blob());
        put_string(&mut blob, namespace.as_bytes());
        put_string(&mut blob, b"");
        put_string(&mut blob, HASH);
        put_string(&mut blob, signature);
        armor::write(LABEL, &blob)
    }

    /// Checks that `key` made this signature over `text` for `namespace`.
    pub fn verify(&self, key: &PublicKey, namespace: &str, text: &[u8], rules: TokenRules<'_>) -> Result<(), SigError> {
        if self.namespace != namespace {
            return Err(SigError::Namespace { have: self.namespace.clone(), want: namespace.into() });
        }
        if self.key_blob != key.blob() {
            return Err(SigError::Form("it names another key"));
        }
        let signed = to_sign(namespace, text);
        let mut r = Reader::new(&self.signature);
        if r.string()? != key.kind().name().as_bytes() {
            return Err(SigError::Form("its algorithm is not its key's"));
        }
        let raw = r.string()?;
        match key.application() {
            None => {
                r.end()?;
                check(&key.point, raw, &signed)
            }
            Some(application) => {
                let (flags, counter) = (r.u8()?, r.u32()?);
                r.end()?;
                token_rules(application, flags, rules)?;
                let mut outer = Sha256::digest(application.as_bytes()).to_vec();
                outer.push(flags);
                outer.extend_from_slice(&counter.to_be_bytes());
                outer.extend_from_slice(&Sha256::digest(&signed));
                check(&key.point, raw, &outer)
            }
        }
    }
}

/// The bytes that a key signs for `text`: what an agent is given.
pub fn to_sign(namespace: &str, text: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_string(&mut out, namespace.as_bytes());
    put_string(&mut out, b"");
    put_string(&mut out, HASH);
    put_string(&mut out, &Sha512::digest(text));
    out
}

/// Signs `text` for `namespace`; armor, byte for byte as `ssh-keygen -Y sign` writes it.
pub fn sign(key: &PrivateKey, namespace: &str, text: &[u8]) -> String {
    SshSig::assemble(key.public(), namespace, &key.sign(&to_sign(namespace, text)))
}

fn token_rules(application: &str, flags: u8, rules: TokenRules<'_>) -> Result<(), SigError> {
    if !rules.applications.iter().any(|a| a == application) {
        return Err(SigError::Application(application.into()));
    }
    if flags & USER_PRESENT == 0 {
        return Err(SigError::Flag("somebody touched it"));
    }
    if rules.pin && flags & USER_VERIFIED == 0 {
        return Err(SigError::Flag("a PIN was given, which the policy demands"));
    }
    Ok(())
}

pub(super) fn check(point: &Point, raw: &[u8], message: &[u8]) -> Result<(), SigError> {
    match point {
        Point::Ed25519(key) => {
            let signature = ed25519_dalek::Signature::from_slice(raw)
                .map_err(|_| SigError::Form("an Ed25519 signature is 64 bytes long"))?;
            key.verify_strict(message, &signature).map_err(|_| SigError::Mismatch)
        }
        Point::P256(key) => {
            let mut r = Reader::new(raw);
            let (first, second) = (r.scalar()?, r.scalar()?);
            r.end()?;
            let signature = p256::ecdsa::Signature::from_scalars(first, second)
                .map_err(|_| SigError::Form("its numbers are outside the curve's order"))?;
            key.verify(message, &signature).map_err(|_| SigError::Mismatch)
        }
    }
}
