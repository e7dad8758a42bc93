//! What pouch signs, stock `ssh-keygen` accepts; what `ssh-keygen` signs, pouch accepts; where pouch is stricter, this shows
//! that it is. Needs the package openssh-client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use pouch::digest::Digest;
use pouch::trust::explain::{allowed_signers, explain};
use pouch::trust::policy::{Group, Member, Policy, PolicyTerms, Quorum, SSH_APPLICATION, Stream};
use pouch::trust::sshsig::{SshSig, TokenRules, sign, to_sign};
use pouch::trust::statement::{Approve, Claims, Identity, Place, Seal, Signed, Statement, StatementKind, Terms};
use pouch::trust::{OrderState, PolicyChain, PrivateKey, PublicKey, Subject, verify};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const NAMESPACE: &str = "pouch/v1/seal";
const TEXT: &[u8] = b"pouch/v1 seal\nthis: is what is signed\n";

fn rules(applications: &[String]) -> TokenRules<'_> {
    TokenRules { applications, pin: false }
}

/// Runs `ssh-keygen`, whose absence is a failure.
fn keygen(args: &[&str], folder: &Path, input: &[u8]) -> Output {
    use std::io::Write as _;
    let mut child = Command::new("ssh-keygen")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ssh-keygen is installed (package openssh-client)");
    // A command that fails early does not read its input.
    let _ = child.stdin.take().expect("stdin").write_all(input);
    child.wait_with_output().expect("ssh-keygen ends")
}

fn must(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Whether `ssh-keygen -Y verify` accepts.
fn they_accept(key: &PublicKey, namespace: &str, text: &[u8], signature: &[u8]) -> bool {
    they_accept_line(&key.openssh(), namespace, text, signature)
}

fn they_accept_line(key: &str, namespace: &str, text: &[u8], signature: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("allowed"), format!("owner {key}\n")).expect("written");
    std::fs::write(folder.path().join("sig"), signature).expect("written");
    let args = ["-Y", "verify", "-f", "allowed", "-I", "owner", "-n", namespace, "-s", "sig"];
    keygen(&args, folder.path(), text).status.success()
}

fn we_accept(key: &PublicKey, namespace: &str, text: &[u8], signature: &[u8]) -> bool {
    let ssh = [SSH_APPLICATION.to_owned()];
    SshSig::parse(signature).is_ok_and(|s| s.verify(key, namespace, text, rules(&ssh)).is_ok())
}

/// A key made by ssh-keygen: the folder it lies in, and its private file.
fn their_key(kind: &[&str], passphrase: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let args = [&["-q", "-C", "theirs", "-a", "4", "-N", passphrase, "-f", "key"], kind].concat();
    must(keygen(&args, folder.path(), b""));
    let file = folder.path().join("key");
    (folder, file)
}

fn our_keys() -> Vec<PrivateKey> {
    let mut low = [0x77u8; 32];
    low[..2].fill(0); // SSH writes it in fewer bytes; ssh-keygen refuses scalars shorter than half the order
    vec![
        PrivateKey::generate("ours").expect("key"),
        PrivateKey::from_p256_scalar(&[0x5a; 32], "ours").expect("key"),
        PrivateKey::from_p256_scalar(&[0xa5; 32], "ours").expect("key"),
        PrivateKey::from_p256_scalar(&low, "ours").expect("key"),
    ]
}

const KINDS: [&[&str]; 2] = [&["-t", "ed25519"], &["-t", "ecdsa", "-b", "256"]];

#[test]
fn they_accept_what_we_sign() {
    for key in our_keys() {
        let signature = sign(&key, NAMESPACE, TEXT);
        let (public, signature) = (key.public(), signature.as_bytes());
        assert!(we_accept(public, NAMESPACE, TEXT, signature), "{public:?}");
        assert!(they_accept(public, NAMESPACE, TEXT, signature), "{public:?}");
        assert!(!they_accept(public, "pouch/v1/approve", TEXT, signature));
        assert!(!they_accept(public, NAMESPACE, b"other", signature));
    }
}

#[test]
fn we_accept_what_they_sign() {
    for kind in KINDS {
        let (folder, file) = their_key(kind, "");
        std::fs::write(folder.path().join("text"), TEXT).expect("written");
        must(keygen(&["-Y", "sign", "-q", "-n", NAMESPACE, "-f", "key", "text"], folder.path(), b""));
        let signature = std::fs::read(folder.path().join("text.sig")).expect("signature");
        let public = PublicKey::parse(&std::fs::read(file.with_extension("pub")).expect("pub")).expect("key");
        assert!(we_accept(&public, NAMESPACE, TEXT, &signature), "{kind:?}");
        assert!(!we_accept(&public, "pouch/v1/approve", TEXT, &signature));
        let private = PrivateKey::parse(&std::fs::read(&file).expect("key file"), None).expect("our reading");
        assert_eq!(private.public(), &public);
        assert_eq!(private.comment(), "theirs");
        if public.kind().name() == "ssh-ed25519" {
            assert_eq!(sign(&private, NAMESPACE, TEXT).as_bytes(), signature, "the same bytes");
        }
        let shown = must(keygen(&["-l", "-f", "key.pub"], folder.path(), b""));
        assert!(shown.contains(&public.fingerprint().to_string()), "{shown}");
    }
}

#[test]
fn we_open_their_locked_keys() {
    let ciphers = ["aes256-ctr", "aes128-cbc", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"];
    for (kind, cipher) in KINDS.into_iter().cycle().zip(ciphers) {
        let (_folder, file) = their_key(&[kind, &["-Z", cipher]].concat(), "correct horse");
        let bytes = std::fs::read(&file).expect("key file");
        let public = PublicKey::parse(&std::fs::read(file.with_extension("pub")).expect("pub")).expect("key");
        assert_eq!(PrivateKey::is_locked(&bytes), Ok(true));
        assert!(PrivateKey::parse(&bytes, None).is_err());
        assert!(PrivateKey::parse(&bytes, Some(b"wrong")).is_err(), "{cipher}");
        let key = PrivateKey::parse(&bytes, Some(b"correct horse")).expect(cipher);
        assert_eq!(key.public(), &public, "{cipher}");
        assert_eq!(key.comment(), "theirs");
    }
}

#[test]
fn they_open_our_keys() {
    for key in our_keys() {
        for passphrase in [None, Some("correct horse")] {
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("key");
            let text = key.to_openssh(passphrase.map(str::as_bytes)).expect("file");
            std::fs::write(&path, text.as_bytes()).expect("written");
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
            let shown = must(keygen(&["-y", "-P", passphrase.unwrap_or(""), "-f", "key"], folder.path(), b""));
            assert_eq!(shown, key.public_line());
            let again = PrivateKey::parse(text.as_bytes(), passphrase.map(str::as_bytes)).expect("ours");
            assert_eq!(again.public(), key.public());
        }
    }
}

#[test]
fn we_accept_what_their_agent_signs() {
    let (folder, _) = their_key(KINDS[0], "");
    let socket = folder.path().join("agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("ssh-agent is installed (package openssh-client)");
    while !socket.exists() {
        assert!(agent.try_wait().expect("asked").is_none(), "the agent ended");
        std::thread::yield_now();
    }
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(&folder).env("SSH_AUTH_SOCK", &socket).output();
        must(output.expect("runs"))
    };
    run("ssh-add", &["-q", "key"]);
    std::fs::remove_file(folder.path().join("key")).expect("only the agent has it now");
    std::fs::write(folder.path().join("text"), TEXT).expect("written");
    run("ssh-keygen", &["-Y", "sign", "-q", "-n", NAMESPACE, "-f", "key.pub", "text"]);
    agent.kill().expect("ends");
    agent.wait().expect("ended");
    let public = PublicKey::parse(&std::fs::read(folder.path().join("key.pub")).expect("pub")).expect("key");
    let signature = std::fs::read(folder.path().join("text.sig")).expect("signature");
    assert!(we_accept(&public, NAMESPACE, TEXT, &signature));
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).expect("short").to_be_bytes());
    out.extend_from_slice(bytes);
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    parts.iter().for_each(|p| string(&mut out, p));
    out
}

/// A FIDO token in software: signs as PROTOCOL.u2f says.
enum Token {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl Token {
    fn public(&self, application: &str) -> PublicKey {
        let blob = match self {
            Token::Ed25519(key) => {
                let name = b"sk-ssh-ed25519@openssh.com";
                joined(&[name, key.verifying_key().as_bytes(), application.as_bytes()])
            }
            Token::P256(key) => {
                let (name, point) = (b"sk-ecdsa-sha2-nistp256@openssh.com", key.verifying_key().to_sec1_point(false));
                joined(&[name, b"nistp256", point.as_bytes(), application.as_bytes()])
            }
        };
        PublicKey::from_blob(&blob).expect("a token's key")
    }

    fn sign(&self, application: &str, flags: u8, text: &[u8]) -> Vec<u8> {
        let mut tail = vec![flags];
        tail.extend_from_slice(&7u32.to_be_bytes());
        let mut message = Sha256::digest(application.as_bytes()).to_vec();
        message.extend_from_slice(&tail);
        message.extend_from_slice(&Sha256::digest(to_sign(NAMESPACE, text)));
        let mut blob = match self {
            Token::Ed25519(key) => joined(&[b"sk-ssh-ed25519@openssh.com", &key.sign(&message).to_bytes()]),
            Token::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(&message);
                let (r, s) = signature.split_bytes();
                let number = |n: &[u8]| {
                    let mut digits: Vec<u8> = n.iter().copied().skip_while(|b| *b == 0).collect();
                    if digits[0] >= 0x80 {
                        digits.insert(0, 0);
                    }
                    digits
                };
                joined(&[b"sk-ecdsa-sha2-nistp256@openssh.com", &joined(&[&number(&r), &number(&s)])])
            }
        };
        blob.extend_from_slice(&tail);
        SshSig::assemble(&self.public(application), NAMESPACE, &blob).into_bytes()
    }
}

#[test]
fn tokens() {
    let tokens = [
        Token::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[9; 32])),
        Token::P256(p256::ecdsa::SigningKey::from_slice(&[9; 32]).expect("key")),
    ];
    for token in tokens {
        let public = token.public(SSH_APPLICATION);
        for flags in [1, 5, 0x0d] {
            let signature = token.sign(SSH_APPLICATION, flags, TEXT);
            assert!(we_accept(&public, NAMESPACE, TEXT, &signature), "{public:?} {flags}");
            assert!(they_accept(&public, NAMESPACE, TEXT, &signature), "{public:?} {flags}");
            let pin = TokenRules { applications: &[SSH_APPLICATION.into()], pin: true };
            let with_pin = SshSig::parse(&signature).expect("form").verify(&public, NAMESPACE, TEXT, pin);
            assert_eq!(with_pin.is_ok(), flags & 4 != 0);
        }
        // Nobody touched it, or it was made for another purpose: pouch refuses what ssh-keygen lets pass.
        let signature = token.sign(SSH_APPLICATION, 0, TEXT);
        assert!(!we_accept(&public, NAMESPACE, TEXT, &signature));
        let other = token.public("ssh:other");
        let signature = token.sign("ssh:other", 1, TEXT);
        assert!(!we_accept(&other, NAMESPACE, TEXT, &signature));
        assert!(they_accept(&other, NAMESPACE, TEXT, &signature));
    }
}

fn armored(blob: &[u8], columns: usize) -> String {
    let body = STANDARD.encode(blob);
    let lines: Vec<&str> = body.as_bytes().chunks(columns).map(|c| std::str::from_utf8(c).expect("ascii")).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

fn unarmored(signature: &str) -> Vec<u8> {
    let body: String = signature.lines().filter(|l| !l.starts_with('-')).collect();
    STANDARD.decode(body).expect("base64")
}

/// An SSHSIG with each part as given.
fn blob(key: &[u8], reserved: &[u8], hash: &str, signature: &[u8]) -> Vec<u8> {
    let mut out = b"SSHSIG\0\0\0\x01".to_vec();
    out.extend(joined(&[key, NAMESPACE.as_bytes(), reserved, hash.as_bytes(), signature]));
    out
}

fn line(key: &[u8]) -> String {
    let n = usize::from(key[3]);
    format!("{} {}", String::from_utf8_lossy(&key[4..4 + n]), STANDARD.encode(key))
}

fn ed25519_blob(point: &[u8; 32]) -> Vec<u8> {
    joined(&[b"ssh-ed25519", point])
}

/// A signature over TEXT that anybody can make for a key that is the neutral element: R neutral, S zero.
fn for_neutral(point: &[u8; 32]) -> (String, Vec<u8>) {
    let mut raw = [0u8; 64];
    raw[0] = 1;
    let key = ed25519_blob(point);
    let signature = joined(&[b"ssh-ed25519", &raw]);
    (line(&key), armored(&blob(&key, b"", "sha512", &signature), 70).into_bytes())
}

/// P-256: the numbers of a signature, to be written in other ways.
fn p256_parts(key: &PrivateKey) -> (Vec<u8>, Vec<u8>) {
    let whole = key.sign(&to_sign(NAMESPACE, TEXT));
    let pair = &whole[4 + 19 + 4..];
    let n = usize::from(pair[3]);
    (pair[4..4 + n].to_vec(), pair[4 + n + 4..].to_vec())
}

fn p256_armor(key: &PrivateKey, r: &[u8], s: &[u8]) -> Vec<u8> {
    let signature = joined(&[b"ecdsa-sha2-nistp256", &joined(&[r, s])]);
    armored(&blob(key.public().blob(), b"", "sha512", &signature), 70).into_bytes()
}

/// A key and a signature of a kind that pouch does not take.
fn other_kind(kind: &[&str]) -> (String, Vec<u8>) {
    let (folder, file) = their_key(kind, "");
    std::fs::write(folder.path().join("text"), TEXT).expect("written");
    must(keygen(&["-Y", "sign", "-q", "-n", NAMESPACE, "-f", "key", "text"], folder.path(), b""));
    let line = std::fs::read_to_string(file.with_extension("pub")).expect("pub").trim().to_owned();
    (line, std::fs::read(folder.path().join("text.sig")).expect("signature"))
}

/// The table "What pouch refuses and ssh-keygen accepts" of `spec/trust.md`, row by row.
#[test]
fn where_we_are_stricter() {
    let key = PrivateKey::from_ed25519_seed(&[3; 32], "").expect("key");
    let (key_line, key_blob) = (key.public().openssh(), key.public().blob());
    let good = sign(&key, NAMESPACE, TEXT);
    let whole = unarmored(&good);
    let mut sha256 = b"SSHSIG".to_vec();
    sha256.extend(joined(&[NAMESPACE.as_bytes(), b"", b"sha256", &Sha256::digest(TEXT)]));
    let sha256 = armored(&blob(key_blob, b"", "sha256", &key.sign(&sha256)), 70);
    let reserved = armored(&blob(key_blob, b"x", "sha512", &key.sign(&to_sign(NAMESPACE, TEXT))), 70);
    let card = PrivateKey::from_p256_scalar(&[0x5a; 32], "").expect("key");
    let (r, s) = p256_parts(&card);
    let padded = [&[0, 0], &r[..]].concat();
    let mut neutral = [0u8; 32];
    neutral[0] = 1;
    let mut beyond = [0xff; 32]; // p + 1: the same point in a second form
    (beyond[0], beyond[31]) = (0xee, 0x7f);
    let token = Token::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[9; 32]));
    let token_line = |application| token.public(application).openssh();
    let mut rows: Vec<(&str, String, Vec<u8>)> = vec![
        ("lines of 64 columns", key_line.clone(), armored(&whole, 64).into()),
        ("one long line", key_line.clone(), armored(&whole, 10_000).into()),
        ("something after the END line", key_line.clone(), format!("{good}x\n").into()),
        ("an empty line after the END line", key_line.clone(), format!("{good}\n").into()),
        ("spaces in the base64", key_line.clone(), good.replacen("U1NIU0lH", "U1NI U0lH", 1).into()),
        ("hash sha256", key_line.clone(), sha256.into()),
        ("a reserved field that is not empty", key_line, reserved.into()),
        ("numbers with zeros in front", card.public().openssh(), p256_armor(&card, &padded, &s)),
        ("a token that nobody touched", token_line(SSH_APPLICATION), token.sign(SSH_APPLICATION, 0, TEXT)),
        ("a token for another application", token_line("ssh:other"), token.sign("ssh:other", 1, TEXT)),
    ];
    let (line, signature) = for_neutral(&neutral);
    rows.push(("a key of small order", line, signature));
    let (line, signature) = for_neutral(&beyond);
    rows.push(("a key in a second form", line, signature));
    for (name, kind) in [("RSA", &["-t", "rsa", "-b", "2048"]), ("P-384", &["-t", "ecdsa", "-b", "384"])] {
        let (line, signature) = other_kind(kind);
        rows.push((name, line, signature));
    }
    for (name, line, signature) in rows {
        assert!(they_accept_line(&line, NAMESPACE, TEXT, &signature), "ssh-keygen accepts {name}");
        let key = PublicKey::parse(line.as_bytes());
        assert!(!key.is_ok_and(|k| we_accept(&k, NAMESPACE, TEXT, &signature)), "pouch refuses {name}");
    }
    // Cards make either of the two S; both accept both.
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let low = less(order, &s);
    let other = p256_armor(&card, &r, &low);
    assert!(they_accept(card.public(), NAMESPACE, TEXT, &other) && we_accept(card.public(), NAMESPACE, TEXT, &other));
}

/// `order - number`, as an `mpint`.
fn less(order: &str, number: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Digest::from_hex(order).expect("hex").0.to_vec();
    let mut borrow = false;
    let padded = [vec![0; 33 - number.len()], number.to_vec()].concat();
    for (o, n) in out.iter_mut().zip(&padded[1..]).rev() {
        let (d, b1) = o.overflowing_sub(*n);
        let (d, b2) = d.overflowing_sub(u8::from(borrow));
        (*o, borrow) = (d, b1 || b2);
    }
    let mut out: Vec<u8> = out.into_iter().skip_while(|b| *b == 0).collect();
    if out[0] >= 0x80 {
        out.insert(0, 0);
    }
    out
}

/// Damage that both refuse: so that nothing of it needs a row in the table.
#[test]
fn what_both_refuse() {
    let key = PrivateKey::from_ed25519_seed(&[3; 32], "").expect("key");
    let good = sign(&key, NAMESPACE, TEXT);
    let blob = unarmored(&good);
    let mut version = blob.clone();
    version[9] = 2;
    let mut trailing = blob.clone();
    trailing.push(0);
    for (name, signature) in [
        ("version 2", armored(&version, 70)),
        ("bytes after the signature", armored(&trailing, 70)),
        ("CRLF", good.replace('\n', "\r\n")),
        ("truncated", armored(&blob[..blob.len() - 1], 70)),
        ("something before the BEGIN line", format!("x\n{good}")),
        ("no END line", good.replace("-----END SSH SIGNATURE-----\n", "")),
    ] {
        assert!(!they_accept(key.public(), NAMESPACE, TEXT, signature.as_bytes()), "ssh-keygen refuses {name}");
        assert!(!we_accept(key.public(), NAMESPACE, TEXT, signature.as_bytes()), "pouch refuses {name}");
    }
}

fn member(owner: &str, key: &PrivateKey) -> Member {
    Member { owner: owner.into(), keys: vec![key.public().clone()] }
}

/// The whole way with stock tools at the desks: a policy signed by `ssh-keygen`, a release approved with it, and every
/// decision checked again by the commands that `explain` prints.
#[test]
fn a_release_through_stock_tools() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    let mut keys = Vec::new();
    for (name, kind) in [("admin", KINDS[0]), ("sealer", KINDS[1]), ("carol", KINDS[1])] {
        must(keygen(&[&["-q", "-N", "", "-f", name], kind].concat(), folder.path(), b""));
        keys.push(PrivateKey::parse(&std::fs::read(path(name)).expect("file"), None).expect("key"));
    }
    let [admin, sealer, carol] = &keys[..] else { panic!("three keys") };
    let policy = Policy::new(PolicyTerms {
        issued: 1_700_000_000,
        admins: Quorum { threshold: 1, members: vec![member("admin", admin)] },
        groups: vec![Group {
            name: "security".into(),
            quorum: Quorum { threshold: 1, members: vec![member("carol", carol)] },
        }],
        streams: vec![Stream {
            name: "prod".into(),
            requires: vec!["security".into()],
            sealers: vec![member("sealer", sealer)],
            ..Stream::default()
        }],
        ..PolicyTerms::default()
    })
    .expect("a policy");

    // ssh-keygen signs each text where pouch would put it; explain checks all of it.
    let id =
        Identity { release: Digest::of(b"release"), stream: "prod".into(), place: Place { epoch: 1, sequence: 1 } };
    let carriage = Digest::of(b"carriage");
    let terms = Terms { issued: 1_700_000_001, ..Terms::default() };
    let seal = Seal { identity: id.clone(), carriage, claims: Claims::default(), terms: terms.clone() };
    let approve = Approve { group: "security".into(), identity: id.clone(), claims: Claims::default(), terms };
    let texts = [
        ("POLICY", "admin", policy.text().to_owned(), StatementKind::Policy),
        ("it's a seal.txt", "sealer", Statement::Seal(seal).render(), StatementKind::Seal),
        ("approve.txt", "carol", Statement::Approve(approve).render(), StatementKind::Approve),
    ];
    let mut signed = Vec::new();
    for (file, key, text, kind) in &texts {
        std::fs::write(path(file), text).expect("written");
        must(keygen(&["-Y", "sign", "-q", "-n", &kind.namespace(), "-f", key, file], folder.path(), b""));
        let signature = std::fs::read(path(&format!("{file}.sig"))).expect("signature");
        signed.push(Signed { text: text.clone().into_bytes(), signature });
    }
    let chain = PolicyChain::start(&signed[..1]).expect("the admin signed");
    let subject = Subject { release_id: id.release, carriage_id: Some(carriage) };
    let state = OrderState::default();
    let verdict = verify(&subject, &signed[1..], chain.policy(), &state, 1_800_000_000).expect("trusted");
    let named: Vec<_> = texts[1..].iter().map(|t| t.0.to_owned()).zip(verdict.reports).collect();
    let script = format!("set -e\n{}", explain(chain.policy(), &named));
    let run = Command::new("sh").arg("-c").arg(&script).current_dir(&folder).output().expect("sh");
    let out = must(run);
    assert_eq!(out.matches("Good \"pouch/v1/").count(), 2, "{out}\n{script}");
    // A key outside its role is refused by the same file: carol cannot seal.
    std::fs::write(path("allowed"), allowed_signers(chain.policy())).expect("written");
    must(keygen(&["-Y", "sign", "-q", "-n", NAMESPACE, "-f", "carol", "approve.txt"], folder.path(), b"y\n"));
    let args = ["-Y", "verify", "-f", "allowed", "-I", "carol", "-n", NAMESPACE, "-s", "approve.txt.sig"];
    assert!(!keygen(&args, folder.path(), texts[2].2.as_bytes()).status.success());
}

/// Every statement that counts in the vectors, and one of each kind, by `ssh-keygen`.
#[test]
fn they_accept_every_vector_that_counts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/trust");
    let policy = Policy::parse(&std::fs::read(root.join("releases/POLICY")).expect("vectors")).expect("policy");
    let allowed = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(&allowed, allowed_signers(&policy)).expect("written");
    let mut files = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(root.join("releases")).expect("vectors") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|e| e == "expect") {
            let text = std::fs::read_to_string(path).expect("text");
            let counts = text.lines().filter_map(|l| l.strip_prefix("statement: ")?.strip_suffix(" counts"));
            files.extend(counts.map(|name| root.join(format!("releases/statements/{name}.txt"))));
        }
    }
    files.extend(std::fs::read_dir(root.join("kinds")).expect("vectors").map(|e| e.expect("entry").path()));
    files.retain(|f| f.extension().is_some_and(|e| e == "txt"));
    assert!(files.len() > 40, "{}", files.len());
    for file in files {
        let text = std::fs::read(&file).expect("text");
        let signature = file.with_extension("txt.sig");
        let sig = SshSig::parse(&std::fs::read(&signature).expect("signature")).expect("in form");
        let role = policy.role(&sig.key_blob).expect("a key of the policy");
        let names = [&allowed.path().to_owned(), &signature].map(|p| p.to_str().expect("utf-8").to_owned());
        let args = ["-Y", "verify", "-f", &names[0], "-I", &role.owner, "-n", &sig.namespace, "-s", &names[1]];
        // Samples of kinds are all by one admin, who may not make each kind: there only the signature is checked.
        let check = ["-Y", "check-novalidate", "-n", &sig.namespace, "-s", &names[1]];
        let kinds = file.parent().is_some_and(|p| p.ends_with("kinds"));
        must(keygen(if kinds { &check } else { &args }, &root, &text));
    }
}
