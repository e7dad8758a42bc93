//! The *vectors* are the cases of verification and of policies as files, for other implementations and for `ssh-keygen`.
//!
//! Written by `POUCH_WRITE_VECTORS=1 cargo test --lib trust::vectors`; without it the files must be what they were.
//! Layout in `testdata/vectors/trust/README.md`.

use super::cases::{self, Case, NOW, key, public, quorum};
use super::order::OrderState;
use super::policy::{Policy, PolicyError, PolicyTerms, RevokedKey};
use super::statement::{
    Evidence, Identity, Place, Receipt, Reject, Revoke, Revoked, Seal, Signed, Statement, StatementKind, Terms,
};
use super::text::TextError;
use crate::digest::Digest;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/trust")
}

/// Writes the file, or compares it with what is there.
fn settle(path: &Path, bytes: &[u8]) {
    if std::env::var_os("POUCH_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
    let there = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(there == bytes, "{} is not what the code makes", path.display());
}

/// The name of a statement's two files.
fn name_of(signed: &Signed) -> String {
    Digest::of(&[&signed.text[..], b"\0", &signed.signature].concat()).short()
}

fn expectation(case: &Case) -> String {
    let state = serde_json::to_string(&case.state).expect("json");
    let mut out = format!("release: {}\n", case.subject.release_id);
    if let Some(carriage) = case.subject.carriage_id {
        out.push_str(&format!("carriage: {carriage}\n"));
    }
    out.push_str(&format!("now: {NOW}\nstate: {state}\n"));
    for (signed, outcome) in case.statements.iter().zip(case.outcomes.split(' ')) {
        out.push_str(&format!("statement: {} {outcome}\n", name_of(signed)));
    }
    out.push_str(&format!("result: {}\n", case.result));
    out
}

#[test]
fn releases() {
    let root = folder().join("releases");
    settle(&root.join("POLICY"), cases::policy().text().as_bytes());
    for case in cases::cases() {
        for signed in &case.statements {
            let name = name_of(signed);
            settle(&root.join(format!("statements/{name}.txt")), &signed.text);
            settle(&root.join(format!("statements/{name}.txt.sig")), &signed.signature);
        }
        settle(&root.join(format!("{}.expect", case.name)), expectation(&case).as_bytes());
    }
}

/// Policies by name: the text, and why it is refused.
fn policies() -> Vec<(&'static str, String, Option<&'static str>)> {
    let good = cases::policy().text().to_owned();
    let line = |start: &str| good.lines().find(|l| l.starts_with(start)).expect("a line").to_owned() + "\n";
    let (abe, ada, cleo) = (line("member: abe"), line("member: ada"), line("member: cleo"));
    let swap = |a: &str, b: &str| {
        assert!(good.contains(a), "{a}");
        good.replacen(a, b, 1)
    };
    let owner = |name: &str, key: &str| format!("member: {name} = {}\n", public(key));
    vec![
        ("good", good.clone(), None),
        ("threshold-0", swap("admins: 2 of 3", "admins: 0 of 3"), Some("threshold of the admins is 0")),
        ("threshold-above-owners", swap("admins: 2 of 3", "admins: 4 of 3"), Some("only 3 can count")),
        (
            "threshold-of-a-group-0",
            swap("security, 2 of 4", "security, 0 of 4"),
            Some("threshold of group security is 0"),
        ),
        ("threshold-with-revoked-owner", swap("security, 2 of 4", "security, 4 of 4"), Some("only 3 can count")),
        ("threshold-negative", swap("admins: 2 of 3", "admins: -1 of 3"), Some("not a value")),
        ("threshold-not-a-number", swap("admins: 2 of 3", "admins: two of 3"), Some("not a value")),
        ("count-of-members-wrong", swap("admins: 2 of 3", "admins: 2 of 4"), Some("4 members were announced")),
        ("threshold-met-by-sealers-only", swap("qa, 1 of 2", "qa, 2 of 2"), Some("group qa for stream prod")),
        ("owner-twice", swap(&ada, &owner("abe", "ada")), Some("sorted, each once")),
        ("owner-in-other-case", swap(&abe, &owner("ADA", "abe")), Some("differ only in case")),
        (
            "owner-in-two-groups",
            swap(&cleo, "")
                .replace("qa, 1 of 2\n", &format!("qa, 1 of 3\n{cleo}"))
                .replace(&line("member: ruth"), &(cleo.clone() + &line("member: ruth"))),
            Some("is in the groups"),
        ),
        ("key-of-two-owners", swap(&ada, &owner("ada", "abe")), Some("have the same key")),
        ("key-of-two-owners-in-two-roles", swap(&ada, &owner("ada", "dora")), Some("have the same key")),
        ("key-twice", swap(&abe, &format!("member: abe = {0}, {0}\n", public("abe"))), Some("the same key twice")),
        ("members-not-sorted", swap(&format!("{abe}{ada}"), &format!("{ada}{abe}")), Some("sorted, each once")),
        ("member-without-key", swap(&abe, "member: abe\n"), Some("not a value")),
        ("member-with-a-bad-name", swap(&abe, &owner("abe smith", "abe")), Some("not a value")),
        ("key-damaged", swap("AAAAC3", "AAAAC4"), Some("not a value")),
        ("key-of-small-order", swap(&abe, &format!("member: abe = {SMALL}\n")), Some("not a value")),
        ("key-of-a-kind-not-allowed", swap("algorithm: ecdsa-sha2-nistp256\n", ""), Some("which it does not allow")),
        ("algorithm-unknown", swap("algorithm: ssh-ed25519", "algorithm: ssh-rsa"), Some("not a value")),
        (
            "algorithm-none",
            good.lines().filter(|l| !l.starts_with("algorithm")).map(|l| format!("{l}\n")).collect(),
            Some("no kind of key"),
        ),
        ("pin-maybe", swap("pin: not required", "pin: maybe"), Some("not a value")),
        ("version-0", swap("version: 1", "version: 0"), Some("count from 1")),
        (
            "version-1-with-previous",
            swap("version: 1\n", &format!("version: 1\nprevious: {}\n", cases::carriage())),
            Some("has no previous"),
        ),
        ("version-2-without-previous", swap("version: 1\n", "version: 2\n"), Some("does not name the policy before")),
        ("group-called-admins", swap("group: other, ", "group: admins, "), Some("no group can be called")),
        ("group-required-and-missing", swap("requires: qa\n", "requires: qb\n"), Some("which is not there")),
        ("group-twice", swap("group: qa, ", "group: other, "), Some("each once")),
        ("stream-twice", swap("stream: test", "stream: prod"), Some("each once")),
        ("stream-none", good.split("stream: ").next().expect("text").to_owned(), Some("it has no stream")),
        (
            "stream-without-sealer",
            swap(&format!("older: add\nsealer: dave = {}\n", public("dave")), "older: add\n"),
            Some("nobody seals"),
        ),
        ("stream-older-maybe", swap("older: refuse", "older: maybe"), Some("\"add\" or \"refuse\"")),
        ("floor-in-another-form", swap("floor: epoch 1, sequence 1", "floor: 1.1"), Some("not a value")),
        (
            "admin-revoked",
            swap(&public("ruth").fingerprint().to_string(), &public("abe").fingerprint().to_string()),
            Some("cannot be an admin"),
        ),
        (
            "site-key-with-another-role",
            swap("revoked-key", &format!("site: abe = {}\nrevoked-key", public("abe"))),
            Some("has another role"),
        ),
        ("unknown-field", swap("pin: ", "colour: red\npin: "), Some("expected \"pin\"")),
        ("crlf", good.replace('\n', "\r\n"), Some("carriage returns")),
        ("signature-behind", format!("{good}-----BEGIN SSH SIGNATURE-----\n"), Some("key: value")),
    ]
}

/// The neutral element as a key.
const SMALL: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn policies_are_refused_for_the_right_reason() {
    let mut wrong = Vec::new();
    for (name, text, why) in policies() {
        let at = folder().join("policies");
        settle(&at.join(format!("{name}.txt")), text.as_bytes());
        settle(&at.join(format!("{name}.expect")), format!("result: {}\n", why.map_or("ok", |_| "refused")).as_bytes());
        match (Policy::parse(text.as_bytes()), why) {
            (Ok(p), None) => assert_eq!(p.text(), text),
            (Err(e), Some(why)) if e.to_string().contains(why) => {}
            (result, _) => wrong.push(format!("{name}: {:?}", result.map(|_| ()).map_err(|e| e.to_string()))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn terms_that_make_no_policy() {
    let refused = |change: &dyn Fn(&mut PolicyTerms)| {
        let mut terms = cases::terms();
        change(&mut terms);
        Policy::new(terms).expect_err("refused")
    };
    let rule = |e: PolicyError| matches!(e, PolicyError::Rule(_));
    assert!(rule(refused(&|t| t.admins.threshold = 0)));
    assert!(rule(refused(&|t| t.admins = quorum(1, &[]))));
    assert!(rule(refused(&|t| t.admins.members.push(cases::member("abe")))));
    assert!(rule(refused(&|t| t.revoked_keys.push(RevokedKey { key: public("ann").fingerprint(), except: vec![] }))));
    assert!(rule(refused(&|t| t.admins.members[0].owner = "a b".into())));
    assert!(rule(refused(&|t| t.admins.members[0].keys.clear())));
    assert!(rule(refused(&|t| t.streams[0].name = "a/b".into())));
    assert!(rule(refused(&|t| t.groups[0].name = "sealers".into())));
    assert!(!rule(refused(&|t| t.comment = Some("two\nlines".into()))));
}

/// One statement of each kind with all its fields.
fn samples() -> Vec<Statement> {
    let id = cases::identity("prod", 1, 2);
    let d = |t: &str| Digest::of(t.as_bytes());
    let mut evidence = vec![
        Evidence { digest: d("scan"), name: "scan report.json".into() },
        Evidence { digest: d("sbom"), name: "sbom.cdx.json".into() },
    ];
    evidence.sort_by_key(|e| e.digest);
    let full = Terms {
        policy: Some(d("policy")),
        sites: vec!["plant-7".into(), "plant-8".into()],
        evidence: vec![],
        issued: NOW,
        not_after: Some(NOW + 1),
        comment: Some("geprüft: alles in Ordnung".into()),
    };
    let short = Terms { issued: NOW, comment: full.comment.clone(), ..Terms::default() };
    let mut claims = cases::claims();
    claims.removed = Some((3, Place { epoch: 1, sequence: 1 }));
    let mut except = vec![d("a"), d("b")];
    except.sort();
    let approve = super::statement::Approve {
        group: "security".into(),
        identity: id.clone(),
        claims: claims.clone(),
        terms: Terms { evidence: evidence.clone(), ..full.clone() },
    };
    vec![
        Statement::Seal(Seal { identity: id.clone(), carriage: d("c"), claims, terms: full.clone() }),
        Statement::Approve(approve),
        Statement::Reject(Reject {
            group: "admins".into(),
            identity: id.clone(),
            terms: Terms { evidence, ..short.clone() },
        }),
        Statement::Permit(super::statement::Permit {
            stream: "prod".into(),
            from: Some(d("from")),
            to: id.release,
            place: id.place,
            terms: Terms { policy: None, ..full },
        }),
        Statement::Revoke(Revoke { what: Revoked::Key(public("eve").fingerprint(), except), terms: short.clone() }),
        Statement::Revoke(Revoke { what: Revoked::Release(d("r")), terms: short.clone() }),
        Statement::Revoke(Revoke { what: Revoked::Statement(d("s")), terms: short.clone() }),
        Statement::Receipt(Receipt {
            site: "plant-7".into(),
            heads: vec![id.clone(), Identity { stream: "test".into(), ..id }],
            ledger: d("ledger"),
            inventory: d("inventory"),
            blobs: 12,
            bytes: 345,
            terms: short,
        }),
    ]
}

#[test]
fn every_kind_comes_back() {
    for (n, statement) in samples().into_iter().enumerate() {
        let signed = statement.sign(&key("ann")).expect("in form");
        assert_eq!(Statement::parse(statement.kind(), &signed.text), Ok(statement.clone()));
        settle(&folder().join(format!("kinds/{n:02}-{}.txt", statement.kind())), &signed.text);
        settle(&folder().join(format!("kinds/{n:02}-{}.txt.sig", statement.kind())), &signed.signature);
    }
}

#[test]
fn every_cut_and_flip_of_a_text_is_refused_or_means_something_else() {
    for statement in samples() {
        let text = statement.render().into_bytes();
        let read = |bytes: &[u8]| -> Result<Statement, TextError> { Statement::parse(statement.kind(), bytes) };
        for n in 0..text.len() {
            if let Ok(other) = read(&text[..n]) {
                assert_eq!(other.render().as_bytes(), &text[..n]); // only the comment can be cut away whole
            }
            for bit in 0..8 {
                let mut bytes = text.clone();
                bytes[n] ^= 1 << bit;
                if let Ok(other) = read(&bytes) {
                    assert_ne!(other, statement);
                    assert_eq!(other.render().as_bytes(), bytes);
                }
            }
        }
    }
}

#[test]
fn every_flip_of_a_statement_is_noticed() {
    let id = cases::identity("prod", 1, 1);
    let good = cases::good(&id);
    let Signed { text, signature } = good[0].clone();
    for n in 0..text.len() + signature.len() {
        for bit in [0, 5, 7] {
            let mut statements = good.clone();
            match n.checked_sub(text.len()) {
                None => statements[0].text[n] ^= 1 << bit,
                Some(n) => statements[0].signature[n] ^= 1 << bit,
            }
            assert!(cases::run(&id, &statements, &OrderState::default()).is_err(), "byte {n} bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(text: Vec<u8>, signature: Vec<u8>) {
        let id = cases::identity("prod", 1, 1);
        let statements = [Signed { text, signature }];
        prop_assert!(cases::run(&id, &statements, &OrderState::default()).is_err());
    }
    #[test]
    fn no_lines_panic(lines in prop::collection::vec("[a-z-]{1,9}: [ -~é]{0,20}", 0..20), kind in 0usize..7) {
        let kind = StatementKind::ALL[kind];
        let text = format!("pouch/v1 {kind}\n{}\n", lines.join("\n"));
        let _ = Statement::parse(kind, text.as_bytes());
        let _ = Policy::parse(text.as_bytes());
    }
    #[test]
    fn free_words_come_back(comment: String, version: String) {
        let id = cases::identity("prod", 1, 1);
        let mut seal = cases::seal(&id);
        seal.terms.comment = Some(comment);
        seal.claims.version = Some(version);
        let statement = Statement::Seal(seal);
        if let Ok(signed) = statement.sign(&key("dora")) {
            prop_assert_eq!(Statement::parse(StatementKind::Seal, &signed.text), Ok(statement));
        }
    }
}
