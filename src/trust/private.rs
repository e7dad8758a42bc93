//! A *private key* is an OpenSSH key file opened for signing, or a new Ed25519 key.
//!
//! It reads and writes bytes, not files; tokens and agents sign elsewhere (see `sshsig`). `spec/trust.md`, section "Keys".

use super::armor;
use super::key::{KeyError, KeyKind, PublicKey};
use super::wire::{Reader, WireError, put_scalar, put_string};
use ed25519_dalek::Signer as _;
use ssh_key::{Cipher, Kdf};
use zeroize::Zeroizing;

const LABEL: &str = "OPENSSH PRIVATE KEY";
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// Rounds of bcrypt for new files; OpenSSH's own default since 9.4.
const ROUNDS: u32 = 24;
/// Most rounds that a file may ask for: about a minute.
const MAX_ROUNDS: u32 = 4096;
/// Largest key file.
const MAX_FILE: usize = 64 << 10;

enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

/// A key that can sign. Its secret is wiped from memory when it is dropped.
pub struct PrivateKey {
    secret: Secret,
    public: PublicKey,
    comment: String,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({:?})", self.public)
    }
}

impl PrivateKey {
    /// A new Ed25519 key.
    pub fn generate(comment: &str) -> Result<PrivateKey, KeyError> {
        let mut seed = Zeroizing::new([0u8; 32]);
        random(seed.as_mut())?;
        PrivateKey::from_ed25519_seed(&seed, comment)
    }

    /// The Ed25519 key of that seed (RFC 8032, section 5.1.5); for keys that tests and vectors fix.
    pub fn from_ed25519_seed(seed: &[u8; 32], comment: &str) -> Result<PrivateKey, KeyError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = PublicKey::from_ed25519(&key.verifying_key())?;
        Ok(PrivateKey { secret: Secret::Ed25519(Box::new(key)), public, comment: comment.into() })
    }

    /// The P-256 key of that big-endian scalar.
    pub fn from_p256_scalar(scalar: &[u8; 32], comment: &str) -> Result<PrivateKey, KeyError> {
        let key = p256::ecdsa::SigningKey::from_slice(scalar)
            .map_err(|_| KeyError::Form("its secret is not a scalar of the curve"))?;
        let public = PublicKey::from_p256(key.verifying_key())?;
        Ok(PrivateKey { secret: Secret::P256(Box::new(key)), public, comment: comment.into() })
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The comment of the key file.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The line of a `.pub` file.
    pub fn public_line(&self) -> String {
        let line = format!("{} {}", self.public.openssh(), self.comment);
        format!("{}\n", line.trim_end())
    }

    /// Signs `message`: an SSH signature blob (RFC 8709 section 6, RFC 5656 section 3.1.2).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, self.public.kind().name().as_bytes());
        match &self.secret {
            Secret::Ed25519(key) => put_string(&mut out, &key.sign(message).to_bytes()),
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message); // RFC 6979: deterministic
                let (r, s) = signature.split_bytes();
                let mut pair = Vec::new();
                put_scalar(&mut pair, &r.into());
                put_scalar(&mut pair, &s.into());
                put_string(&mut out, &pair);
            }
        }
        out
    }

    /// Whether a key file is locked by a passphrase.
    pub fn is_locked(file: &[u8]) -> Result<bool, KeyError> {
        Ok(Container::read(&unwrap(file)?)?.cipher != Cipher::None)
    }

    /// Opens a key file.
    pub fn parse(file: &[u8], passphrase: Option<&[u8]>) -> Result<PrivateKey, KeyError> {
        let raw = unwrap(file)?;
        let container = Container::read(&raw)?;
        let (key, comment) = container.open(passphrase)?;
        let key = PrivateKey { comment, ..key };
        if container.public != key.public.blob() {
            return Err(KeyError::Form("its public and private halves do not belong together"));
        }
        Ok(key)
    }

    /// Writes a key file, locked if there is a passphrase (bcrypt, AES-256 in counter mode, as ssh-keygen does).
    pub fn to_openssh(&self, passphrase: Option<&[u8]>) -> Result<Zeroizing<String>, KeyError> {
        let mut check = [0u8; 4];
        random(&mut check)?;
        let (cipher, kdf) = match passphrase {
            None => (Cipher::None, Kdf::None),
            Some([]) => return Err(KeyError::Passphrase("the passphrase is empty")),
            Some(_) => {
                let mut salt = vec![0; 16];
                random(&mut salt)?;
                (Cipher::Aes256Ctr, Kdf::Bcrypt { salt, rounds: ROUNDS })
            }
        };
        let mut plain = self.plain(check, cipher.block_size());
        if let Some(passphrase) = passphrase {
            let (key, iv) = derive(&kdf, cipher, passphrase)?;
            cipher.encrypt(&key, &iv, &mut plain).map_err(|_| KeyError::Form("its cipher failed"))?;
        }
        let mut out = Zeroizing::new(MAGIC.to_vec());
        put_string(&mut out, cipher.as_str().as_bytes());
        let mut options = Vec::new();
        match &kdf {
            Kdf::Bcrypt { salt, rounds } => {
                put_string(&mut out, b"bcrypt");
                put_string(&mut options, salt);
                options.extend_from_slice(&rounds.to_be_bytes());
            }
            _ => put_string(&mut out, b"none"),
        }
        put_string(&mut out, &options);
        out.extend_from_slice(&1u32.to_be_bytes());
        put_string(&mut out, self.public.blob());
        put_string(&mut out, &plain);
        Ok(Zeroizing::new(armor::write(LABEL, &out)))
    }

    /// The part that a passphrase locks: check words, the key, the comment, padding 1, 2, 3, ...
    fn plain(&self, check: [u8; 4], block: usize) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(512));
        out.extend_from_slice(&check);
        out.extend_from_slice(&check);
        put_string(&mut out, self.public.kind().name().as_bytes());
        match &self.secret {
            Secret::Ed25519(key) => {
                put_string(&mut out, key.verifying_key().as_bytes());
                put_string(&mut out, Zeroizing::new(key.to_keypair_bytes()).as_ref());
            }
            Secret::P256(key) => {
                put_string(&mut out, b"nistp256");
                put_string(&mut out, key.verifying_key().to_sec1_point(false).as_bytes());
                put_scalar(&mut out, &Zeroizing::new(<[u8; 32]>::from(key.to_bytes())));
            }
        }
        put_string(&mut out, self.comment.as_bytes());
        let mut pad = 0u8;
        while !out.len().is_multiple_of(block.max(8)) {
            pad = pad.wrapping_add(1);
            out.push(pad);
        }
        out
    }
}

/// The outer shell of a key file (OpenSSH's PROTOCOL.key).
struct Container<'a> {
    cipher: Cipher,
    kdf: Kdf,
    public: &'a [u8],
    sealed: &'a [u8],
    after: &'a [u8],
}

impl<'a> Container<'a> {
    fn read(raw: &'a [u8]) -> Result<Self, KeyError> {
        let mut r = Reader::new(raw);
        if r.take(MAGIC.len())? != MAGIC {
            return Err(KeyError::Form("it is not in OpenSSH's own format; convert it with ssh-keygen -p -f FILE"));
        }
        let cipher = std::str::from_utf8(r.string()?).ok().and_then(|n| Cipher::new(n).ok());
        let cipher = cipher.ok_or(KeyError::Form("it is locked with a cipher that pouch does not know"))?;
        let (kdf_name, mut options) = (r.string()?, Reader::new(r.string()?));
        let kdf = match kdf_name {
            b"none" => Kdf::None,
            b"bcrypt" => Kdf::Bcrypt { salt: options.string()?.to_vec(), rounds: options.u32()? },
            _ => return Err(KeyError::Form("it is locked in a way that pouch does not know")),
        };
        options.end()?;
        if (cipher == Cipher::None) != kdf.is_none() {
            return Err(KeyError::Form("it names a cipher without a passphrase, or the reverse"));
        }
        if r.u32()? != 1 {
            return Err(KeyError::Form("it does not hold exactly one key"));
        }
        let (public, sealed) = (r.string()?, r.string()?);
        Ok(Container { cipher, kdf, public, sealed, after: r.rest() })
    }

    fn open(&self, passphrase: Option<&[u8]>) -> Result<(PrivateKey, String), KeyError> {
        let mut plain = Zeroizing::new(self.sealed.to_vec());
        if self.cipher == Cipher::None {
            if !self.after.is_empty() {
                return Err(KeyError::Form("something follows the key"));
            }
            return read_plain(&plain);
        }
        let passphrase = passphrase.ok_or(KeyError::Passphrase("the key file is locked by a passphrase; give it"))?;
        let wrong = || KeyError::Passphrase("the passphrase is wrong, or the key file is damaged");
        let (key, iv) = derive(&self.kdf, self.cipher, passphrase)?;
        let tag = match self.cipher.has_tag() {
            true => Some(<[u8; 16]>::try_from(self.after).map_err(|_| wrong())?),
            false if self.after.is_empty() => None,
            false => return Err(KeyError::Form("something follows the key")),
        };
        if !plain.len().is_multiple_of(self.cipher.block_size()) {
            return Err(wrong());
        }
        self.cipher.decrypt(&key, &iv, &mut plain, tag).map_err(|_| wrong())?;
        let mut check = Reader::new(&plain);
        if check.u32()? != check.u32()? {
            return Err(wrong());
        }
        read_plain(&plain)
    }
}

fn read_plain(plain: &[u8]) -> Result<(PrivateKey, String), KeyError> {
    let mut r = Reader::new(plain);
    if r.u32()? != r.u32()? {
        return Err(KeyError::Form("its check words differ"));
    }
    let kind = String::from_utf8_lossy(r.string()?).into_owned();
    let key = match KeyKind::from_name(&kind) {
        Some(KeyKind::Ed25519) => read_ed25519(&mut r)?,
        Some(KeyKind::EcdsaP256) => read_p256(&mut r)?,
        Some(_) => {
            let why = "its secret is in a token: sign with ssh-keygen -Y sign";
            return Err(KeyError::Kind { kind, why });
        }
        None => {
            let why = "pouch signs with Ed25519 and P-256 keys";
            return Err(KeyError::Kind { kind: kind.chars().take(80).collect(), why });
        }
    };
    let comment = String::from_utf8_lossy(r.string()?).into_owned();
    if !r.rest().iter().zip(1u8..).all(|(have, want)| *have == want) {
        return Err(KeyError::Form("its padding is wrong"));
    }
    Ok((key, comment))
}

fn read_ed25519(r: &mut Reader<'_>) -> Result<PrivateKey, KeyError> {
    let public = r.string()?;
    let pair: &[u8] = r.string()?;
    let (Some((seed, tail)), true) = (pair.split_first_chunk::<32>(), pair.len() == 64) else {
        return Err(WireError.into());
    };
    let key = PrivateKey::from_ed25519_seed(&Zeroizing::new(*seed), "")?;
    match &key.secret {
        Secret::Ed25519(k) if k.verifying_key().as_bytes() == public && tail == public => Ok(key),
        _ => Err(KeyError::Form("its public and private halves do not belong together")),
    }
}

fn read_p256(r: &mut Reader<'_>) -> Result<PrivateKey, KeyError> {
    if r.string()? != b"nistp256" {
        return Err(KeyError::Form("its curve is not nistp256"));
    }
    let point = r.string()?;
    let key = PrivateKey::from_p256_scalar(&Zeroizing::new(r.scalar()?), "")?;
    match &key.secret {
        Secret::P256(k) if k.verifying_key().to_sec1_point(false).as_bytes() == point => Ok(key),
        _ => Err(KeyError::Form("its public and private halves do not belong together")),
    }
}

fn unwrap(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if file.len() > MAX_FILE {
        return Err(KeyError::Form("the file is larger than any key"));
    }
    if KeyKind::ALL.iter().any(|k| file.starts_with(k.name().as_bytes())) {
        return Err(KeyError::Form("this is a public key; give the file without .pub"));
    }
    armor::read_lenient(LABEL, file).map(Zeroizing::new).map_err(KeyError::Form)
}

type Derived = (Zeroizing<Vec<u8>>, Vec<u8>);

fn derive(kdf: &Kdf, cipher: Cipher, passphrase: &[u8]) -> Result<Derived, KeyError> {
    if let Kdf::Bcrypt { rounds, .. } = kdf
        && *rounds > MAX_ROUNDS
    {
        return Err(KeyError::Form("its passphrase needs more than 4096 rounds of bcrypt"));
    }
    kdf.derive_key_and_iv(cipher, passphrase).map_err(|_| KeyError::Passphrase("the passphrase cannot be used"))
}

fn random(out: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(out).map_err(|_| KeyError::Random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::cases::key;

    #[test]
    fn files_come_back() {
        for name in ["ann", "Carl"] {
            for passphrase in [None, Some(&b"correct horse"[..])] {
                let file = key(name).to_openssh(passphrase).expect("a file");
                assert_eq!(PrivateKey::is_locked(file.as_bytes()), Ok(passphrase.is_some()));
                let back = PrivateKey::parse(file.as_bytes(), passphrase).expect("back");
                assert_eq!((back.public(), back.comment()), (key(name).public(), name));
            }
        }
        let locked = key("ann").to_openssh(Some(b"right")).expect("a file");
        assert!(matches!(PrivateKey::parse(locked.as_bytes(), None), Err(KeyError::Passphrase(_))));
        assert!(matches!(PrivateKey::parse(locked.as_bytes(), Some(b"wrong")), Err(KeyError::Passphrase(_))));
        assert!(key("ann").to_openssh(Some(b"")).is_err());
        assert!(PrivateKey::parse(key("ann").public_line().as_bytes(), None).is_err());
    }

    #[test]
    fn scalars_with_zeros_in_front_come_back() {
        for zeros in 1..32 {
            let mut scalar = [0xa5; 32];
            scalar[..zeros].fill(0);
            let key = PrivateKey::from_p256_scalar(&scalar, "").expect("a key");
            let file = key.to_openssh(None).expect("a file");
            assert_eq!(PrivateKey::parse(file.as_bytes(), None).expect("back").public(), key.public());
        }
        assert!(PrivateKey::from_p256_scalar(&[0; 32], "").is_err());
        assert!(PrivateKey::from_p256_scalar(&[0xff; 32], "").is_err());
    }

    /// A damaged file gives no other key: the halves would not belong together.
    #[test]
    fn no_flip_of_a_file_gives_another_key() {
        for name in ["ann", "Carl"] {
            let file = key(name).to_openssh(None).expect("a file");
            let raw = armor::read_lenient(LABEL, file.as_bytes()).expect("armor");
            for n in 0..raw.len() {
                for bit in 0..8 {
                    let mut bytes = raw.clone();
                    bytes[n] ^= 1 << bit;
                    if let Ok(other) = PrivateKey::parse(armor::write(LABEL, &bytes).as_bytes(), None) {
                        assert_eq!(other.public(), key(name).public());
                    }
                }
                assert!(PrivateKey::parse(armor::write(LABEL, &raw[..n]).as_bytes(), None).is_err());
            }
        }
    }
}
