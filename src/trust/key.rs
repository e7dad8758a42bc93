//! A *key* here is an OpenSSH public key of a kind that pouch verifies with.
//!
//! It holds no secret and counts no votes. Specified in `spec/trust.md`, section "Keys".

use super::wire::{Reader, WireError, put_string};
use crate::class::{Class, Classified};
use crate::digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::VerifyingKey as Ed25519;
use p256::ecdsa::VerifyingKey as P256;
use std::fmt;

/// The kinds of key, in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// `ecdsa-sha2-nistp256`: what smart cards do.
    EcdsaP256,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: a FIDO token.
    SkEcdsaP256,
    /// `sk-ssh-ed25519@openssh.com`: a FIDO token.
    SkEd25519,
    /// `ssh-ed25519`.
    Ed25519,
}

impl KeyKind {
    /// All kinds.
    pub const ALL: [KeyKind; 4] = [KeyKind::EcdsaP256, KeyKind::SkEcdsaP256, KeyKind::SkEd25519, KeyKind::Ed25519];

    /// OpenSSH's name of it.
    pub fn name(self) -> &'static str {
        match self {
            KeyKind::EcdsaP256 => "ecdsa-sha2-nistp256",
            KeyKind::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
            KeyKind::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            KeyKind::Ed25519 => "ssh-ed25519",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<KeyKind> {
        KeyKind::ALL.into_iter().find(|k| k.name() == name)
    }

    /// Whether it lives in a FIDO token, whose signatures say that somebody was there.
    pub fn is_token(self) -> bool {
        matches!(self, KeyKind::SkEcdsaP256 | KeyKind::SkEd25519)
    }
}

/// Why bytes are not a key that pouch takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A kind of key that pouch does not verify with.
    #[error("keys of kind {kind:?} are not accepted: {why}")]
    Kind {
        /// OpenSSH's name of it, at most 80 characters.
        kind: String,
        /// The reason.
        why: &'static str,
    },
    /// Not an OpenSSH key of the form asked for.
    #[error("not an OpenSSH key: {0}")]
    Form(&'static str),
    /// A point on no curve, or one that makes signatures worthless.
    #[error("the {kind} key is unsafe: {why}")]
    Point {
        /// OpenSSH's name of the kind.
        kind: &'static str,
        /// What is wrong with its point.
        why: &'static str,
    },
    /// The key file needs a passphrase and got none, or the passphrase is wrong.
    #[error("{0}")]
    Passphrase(&'static str),
    /// The machine gave no randomness.
    #[error("the machine gave no random bytes")]
    Random,
}

impl Classified for KeyError {
    fn class(&self) -> Class {
        match self {
            KeyError::Random => Class::Failed,
            _ => Class::Usage,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            KeyError::Kind { .. } => Some("make a key with `pouch key new` or `ssh-keygen -t ed25519`".into()),
            _ => None,
        }
    }
}

impl From<WireError> for KeyError {
    fn from(_: WireError) -> Self {
        KeyError::Form("its binary part is damaged")
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Point {
    Ed25519(Ed25519),
    P256(P256),
}

/// A public key. The value is proof that its point is safe to verify with.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    blob: Vec<u8>,
    application: Option<String>,
    pub(super) point: Point,
}

impl PublicKey {
    /// Reads the first line's form, `KIND BASE64 [COMMENT]`, of a `.pub` file that holds one key.
    pub fn parse(text: &[u8]) -> Result<PublicKey, KeyError> {
        let mut keys = PublicKey::parse_all(text)?;
        match (keys.pop(), keys.is_empty()) {
            (Some(key), true) => Ok(key),
            _ => Err(KeyError::Form("the file holds more than one key")),
        }
    }

    /// Reads all keys of a `.pub` file, one a line; at least one. Several are several keys of one owner.
    pub fn parse_all(text: &[u8]) -> Result<Vec<PublicKey>, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::Form("it is not text"))?;
        let mut keys = Vec::new();
        for line in text.lines().filter(|l| !l.trim().is_empty()) {
            keys.push(PublicKey::parse_line(line.trim_end())?);
        }
        if keys.is_empty() { Err(KeyError::Form("the file holds no key")) } else { Ok(keys) }
    }

    fn parse_line(line: &str) -> Result<PublicKey, KeyError> {
        if line.starts_with("-----BEGIN") {
            return Err(KeyError::Form("this is a private key; give the file that ends in .pub"));
        }
        let mut words = line.splitn(3, ' ');
        let (Some(kind), Some(base64)) = (words.next(), words.next()) else {
            return Err(KeyError::Form("expected KIND BASE64 [COMMENT]"));
        };
        known_kind(kind)?;
        PublicKey::from_words(kind, base64)
    }

    /// The key of the two words that OpenSSH writes; exactly those of [`PublicKey::openssh`].
    pub(crate) fn from_words(kind: &str, base64: &str) -> Result<PublicKey, KeyError> {
        let blob = STANDARD.decode(base64).map_err(|_| KeyError::Form("its base64 is damaged"))?;
        let key = PublicKey::from_blob(&blob)?;
        if key.kind.name() != kind {
            return Err(KeyError::Form("the kind in front is not the kind inside"));
        }
        Ok(key)
    }

    /// Reads the binary form (RFC 4253 section 6.6, RFC 8709, RFC 5656, PROTOCOL.u2f), all of it.
    pub fn from_blob(blob: &[u8]) -> Result<PublicKey, KeyError> {
        let mut r = Reader::new(blob);
        let name = r.string()?;
        let kind = known_kind(&String::from_utf8_lossy(name))?;
        let point = match kind {
            KeyKind::Ed25519 | KeyKind::SkEd25519 => ed25519_point(kind, r.string()?)?,
            KeyKind::EcdsaP256 | KeyKind::SkEcdsaP256 => {
                if r.string()? != b"nistp256" {
                    return Err(KeyError::Form("its curve is not nistp256"));
                }
                p256_point(kind, r.string()?)?
            }
        };
        let application = match kind.is_token() {
            true => Some(application(r.string()?)?),
            false => None,
        };
        r.end()?;
        Ok(PublicKey { kind, blob: blob.to_vec(), application, point })
    }

    pub(super) fn from_ed25519(key: &Ed25519) -> Result<PublicKey, KeyError> {
        let mut blob = Vec::new();
        put_string(&mut blob, KeyKind::Ed25519.name().as_bytes());
        put_string(&mut blob, key.as_bytes());
        PublicKey::from_blob(&blob)
    }

    pub(super) fn from_p256(key: &P256) -> Result<PublicKey, KeyError> {
        let mut blob = Vec::new();
        put_string(&mut blob, KeyKind::EcdsaP256.name().as_bytes());
        put_string(&mut blob, b"nistp256");
        put_string(&mut blob, key.to_sec1_point(false).as_bytes());
        PublicKey::from_blob(&blob)
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its binary form: what signatures and fingerprints are about.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The application that a token's key was made for (`ssh:` unless asked otherwise); `None` for other keys.
    pub fn application(&self) -> Option<&str> {
        self.application.as_deref()
    }

    /// `KIND BASE64`, as in a `.pub` file without the comment.
    pub fn openssh(&self) -> String {
        format!("{} {}", self.kind.name(), STANDARD.encode(&self.blob))
    }

    /// SHA-256 of the binary form.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Digest::of(&self.blob))
    }

    /// The first 16 hexadecimal digits of the fingerprint: names files, never decides anything.
    pub fn key_id(&self) -> String {
        self.fingerprint().key_id()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.kind.name(), self.fingerprint())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.openssh())
    }
}

/// SHA-256 of a key's binary form, shown as OpenSSH shows it: `SHA256:` and base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint(pub Digest);

impl Fingerprint {
    /// Parses exactly what is shown.
    pub fn parse(text: &str) -> Option<Fingerprint> {
        let raw = STANDARD_NO_PAD.decode(text.strip_prefix("SHA256:")?).ok()?;
        Some(Fingerprint(Digest(raw.try_into().ok()?)))
    }

    /// The first 16 hexadecimal digits.
    pub fn key_id(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn known_kind(name: &str) -> Result<KeyKind, KeyError> {
    KeyKind::from_name(name).ok_or_else(|| KeyError::Kind {
        kind: name.chars().take(80).collect(),
        why: match name {
            "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512" => "RSA is reserved for a later version",
            "ssh-dss" => "DSA is broken",
            n if n.contains("-cert-v01@") => "certificates are not; give the key itself",
            n if n.starts_with("ecdsa-sha2-") => "of the NIST curves only nistp256 is",
            n if n.starts_with("webauthn-") => "browser signatures are not",
            _ => "Ed25519 and P-256 keys are, in files, cards and FIDO tokens",
        },
    })
}

/// A token's application: short printable ASCII without spaces, as it stands in a policy.
pub(super) fn application(raw: &[u8]) -> Result<String, KeyError> {
    let good = !raw.is_empty() && raw.len() <= 64 && raw.iter().all(|b| b.is_ascii_graphic() && *b != b',');
    match std::str::from_utf8(raw) {
        Ok(text) if good => Ok(text.to_owned()),
        _ => Err(KeyError::Form("its application is not 1 to 64 printable ASCII characters")),
    }
}

fn ed25519_point(kind: KeyKind, raw: &[u8]) -> Result<Point, KeyError> {
    let err = |why| KeyError::Point { kind: kind.name(), why };
    let raw: &[u8; 32] = raw.try_into().map_err(|_| err("it is not 32 bytes long"))?;
    let key = Ed25519::from_bytes(raw).map_err(|_| err("it is not a point of the curve"))?;
    let point = key.to_edwards();
    if point.compress().as_bytes() != raw {
        return Err(err("it is not in its canonical form"));
    }
    if key.is_weak() {
        return Err(err("it has small order, so that anybody can sign for it"));
    }
    // With a part of small order in the key, verifiers of different make disagree about signatures; no honest key has one.
    if !point.is_torsion_free() {
        return Err(err("it has a part of small order"));
    }
    Ok(Point::Ed25519(key))
}

fn p256_point(kind: KeyKind, raw: &[u8]) -> Result<Point, KeyError> {
    let err = |why| KeyError::Point { kind: kind.name(), why };
    if raw.len() != 65 || raw.first() != Some(&4) {
        return Err(err("it is not an uncompressed point"));
    }
    P256::from_sec1_bytes(raw).map(Point::P256).map_err(|_| err("it is not a point of the curve"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::cases::{key, public};

    fn ed25519(point: &[u8]) -> Result<PublicKey, KeyError> {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-ed25519");
        put_string(&mut blob, point);
        PublicKey::from_blob(&blob)
    }

    fn p256(curve: &[u8], point: &[u8]) -> Result<PublicKey, KeyError> {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ecdsa-sha2-nistp256");
        put_string(&mut blob, curve);
        put_string(&mut blob, point);
        PublicKey::from_blob(&blob)
    }

    fn hex(text: &str) -> [u8; 32] {
        Digest::from_hex(text).expect("hex").0
    }

    /// A point of order 8.
    const EIGHT: &str = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";

    #[test]
    fn unsafe_points_are_refused() {
        for bad in [
            "0100000000000000000000000000000000000000000000000000000000000000", // order 1
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
            "0000000000000000000000000000000000000000000000000000000000000000", // order 4
            "0000000000000000000000000000000000000000000000000000000000000080", // order 4
            EIGHT,
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "0100000000000000000000000000000000000000000000000000000000000080", // order 1, sign of zero
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p + 1
            "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p + 3
            "0200000000000000000000000000000000000000000000000000000000000000", // on no curve
        ] {
            assert!(matches!(ed25519(&hex(bad)), Err(KeyError::Point { .. })), "{bad}");
        }
        let Point::Ed25519(good) = public("ann").point else { panic!("an Ed25519 key") };
        let eight = Ed25519::from_bytes(&hex(EIGHT)).expect("a point");
        let mixed = (good.to_edwards() + eight.to_edwards()).compress();
        assert!(matches!(ed25519(mixed.as_bytes()), Err(KeyError::Point { why, .. }) if why.contains("a part")));
        assert!(ed25519(good.as_bytes()).is_ok());
        assert!(ed25519(&good.as_bytes()[..31]).is_err());
    }

    #[test]
    fn p256_points_are_whole_and_on_the_curve() {
        let Point::P256(good) = public("Carl").point else { panic!("a P-256 key") };
        let whole = good.to_sec1_point(false);
        let whole = whole.as_bytes();
        assert!(p256(b"nistp256", whole).is_ok());
        assert!(p256(b"nistp384", whole).is_err());
        assert!(p256(b"nistp256", good.to_sec1_point(true).as_bytes()).is_err());
        assert!(p256(b"nistp256", &[0]).is_err());
        assert!(p256(b"nistp256", &[0; 65]).is_err());
        let mut off = whole.to_vec();
        off[64] ^= 1;
        assert!(p256(b"nistp256", &off).is_err());
        let mut hybrid = whole.to_vec();
        hybrid[0] = 6 + (hybrid[64] & 1);
        assert!(p256(b"nistp256", &hybrid).is_err());
    }

    #[test]
    fn files() {
        let line = key("ann").public_line();
        let other = key("abe").public_line();
        assert_eq!(PublicKey::parse(line.as_bytes()), Ok(public("ann")));
        assert_eq!(PublicKey::parse(line.replace('\n', "\r\n").as_bytes()), Ok(public("ann")));
        assert_eq!(PublicKey::parse_all(format!("{line}\n{other}").as_bytes()).map(|k| k.len()), Ok(2));
        let refused = |text: &str| PublicKey::parse(text.as_bytes()).expect_err("refused").to_string();
        assert!(refused("ssh-rsa AAAA").contains("RSA is reserved"));
        assert!(refused("ssh-dss AAAA").contains("DSA is broken"));
        assert!(refused("ssh-ed25519-cert-v01@openssh.com AAAA").contains("certificates"));
        assert!(refused("ecdsa-sha2-nistp521 AAAA").contains("nistp256"));
        assert!(refused("-----BEGIN OPENSSH PRIVATE KEY-----").contains("private key"));
        assert!(refused(&format!("{line}{other}")).contains("more than one"));
        assert!(refused(&line.replace("ssh-ed25519 ", "ecdsa-sha2-nistp256 ")).contains("not the kind inside"));
        assert!(refused("").contains("no key"));
        assert!(refused("ssh-ed25519").contains("KIND BASE64"));
        assert!(refused("ssh-ed25519 AAAA*").contains("base64"));
        let mut long = public("ann").blob().to_vec();
        long.push(0);
        assert!(PublicKey::from_blob(&long).is_err());
    }

    #[test]
    fn fingerprints_come_back() {
        let fingerprint = public("ann").fingerprint();
        assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
        assert_eq!(fingerprint.key_id(), Digest::of(public("ann").blob()).hex()[..16]);
        for bad in ["", "SHA256:", "MD5:aa", &format!("{fingerprint}="), &fingerprint.to_string()[7..]] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = PublicKey::from_blob(&bytes);
            let _ = PublicKey::parse_all(&bytes);
        }
    }
}
