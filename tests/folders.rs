//! Folders of statements as sticks bring them: with other files, with ten thousand statements of strangers, changed by mail
//! and by editors, changed while they are read; and with the evidence that statements name.

#[path = "support/lab.rs"]
mod lab;

use lab::{Lab, START, succeeded};
use pouch::trust::PrivateKey;
use pouch::trust::statement::{Revoke, Revoked, Signed, Statement, Terms, kind_of};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// A lab with the release 1 and one approval of two in `a`.
fn one_of_two() -> Lab {
    let lab = Lab::with_site();
    lab.bundle(1);
    lab.approve(1, "alice", "a");
    lab
}

/// The exit code of `verify` with the folders `a` and `b`, and all that it says.
fn verify(lab: &Lab) -> (i32, String) {
    let words = ["verify", "media/1.pouch", "--site", "site", "--statements", "a", "--statements", "b"];
    let out = lab.run(&words);
    let said = [out.stdout, out.stderr].concat();
    (out.status.code().expect("an exit code"), String::from_utf8_lossy(&said).into_owned())
}

/// The text and the signature that bob made in `b`, and their paths.
fn bobs(lab: &Lab) -> [(PathBuf, Vec<u8>); 2] {
    lab.approve(1, "bob", "b");
    let mut files: Vec<PathBuf> =
        fs::read_dir(lab.path("b")).expect("list").map(|e| e.expect("entry").path()).collect();
    files.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).expect("read"));
    files.into_iter().map(read).collect::<Vec<_>>().try_into().expect("a text and its signature")
}

#[test]
fn ten_thousand_statements() {
    let lab = one_of_two();
    lab.approve(1, "bob", "b");
    let stranger = PrivateKey::from_ed25519_seed(&[7; 32], "stranger").expect("a key");
    let member = PrivateKey::parse(&fs::read(lab.path("carol")).expect("read"), None).expect("a key");
    // Half by a stranger, half by a member of the group who may not do it, so that their signatures are checked.
    for n in 0..10_000u32 {
        let terms = Terms { issued: START, comment: Some(format!("number {n}")), ..Terms::default() };
        let what = Revoked::Key(stranger.public().fingerprint(), vec![]);
        let key = if n % 2 == 0 { &stranger } else { &member };
        let Signed { text, signature } = Statement::Revoke(Revoke { what, terms }).sign(key).expect("signs");
        assert!(kind_of(&text).is_some());
        fs::write(lab.path(&format!("a/{n:05}.txt")), text).expect("write");
        fs::write(lab.path(&format!("a/{n:05}.txt.sig")), signature).expect("write");
    }
    let words = ["--json", "verify", "media/1.pouch", "--site", "site", "--statements", "a", "--statements", "b"];
    let said: Value = serde_json::from_str(&lab.ok(&words)).expect("JSON");
    assert_eq!(said["approvals"][0]["owners"], serde_json::json!(["alice", "bob"]));
    // A seal, two approvals and the crowd.
    assert_eq!(said["statements"].as_array().map(Vec::len), Some(10_003));
    // The archive keeps what counted, however many others there are.
    lab.ok(&["unpack", "media/1.pouch", "--site", "site", "--statements", "a", "--statements", "b"]);
    let checked = lab.json(&["history", "--verify", "--site", "site"]);
    assert_eq!((&checked["problems"], &checked["admissions"]), (&serde_json::json!([]), &1.into()));
}

#[test]
fn what_else_lies_there_is_ignored() {
    let lab = one_of_two();
    let [(text, _), (signature, _)] = bobs(&lab);
    let at = |name: &str| lab.path("b").join(name);
    let (name, _) = text.file_name().and_then(|n| n.to_str()).and_then(|n| n.split_once(".txt")).expect("a name");
    for other in ["Thumbs.db", "desktop.ini", ".DS_Store", "notes.txt", "lonely.txt.sig", "README", "a.txt.sig.bak"] {
        fs::write(at(other), b"\0\x05\x16\x07 whatever").expect("write");
    }
    // What macOS leaves beside every file on a stick.
    fs::write(at(&format!("._{name}.txt")), b"\0\x05\x16\x07").expect("write");
    fs::write(at(&format!("._{name}.txt.sig")), b"\0\x05\x16\x07").expect("write");
    fs::create_dir(at("folder.txt")).expect("mkdir");
    fs::write(at("folder.txt.sig"), "x").expect("write");
    std::os::unix::fs::symlink("nowhere", at("dangling.txt")).expect("link");
    fs::write(at("dangling.txt.sig"), "x").expect("write");
    let pipe = std::process::Command::new("mkfifo").arg(at("pipe.txt")).status().expect("mkfifo runs");
    assert!(pipe.success());
    fs::write(at("pipe.txt.sig"), "x").expect("write");
    fs::write(at("large.txt"), vec![b'a'; 1 << 20]).expect("write");
    fs::write(at("large.txt.sig"), "x").expect("write");
    fs::write(at("junk.txt"), [0xff; 100]).expect("write");
    fs::write(at("junk.txt.sig"), [0xff; 100]).expect("write");
    fs::copy(&text, at("copy.txt")).expect("cp");
    fs::copy(&signature, at("copy.txt.sig")).expect("cp");
    let (code, said) = verify(&lab);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("security: alice, bob of 2 needed"), "{said}");
    for named in ["folder.txt", "dangling.txt", "pipe.txt", "large.txt"] {
        assert!(said.contains(&format!("{named}:")), "{named} is not named: {said}");
    }
    for silent in ["Thumbs.db", "notes.txt", "._"] {
        assert!(!said.contains(silent), "{silent}: {said}");
    }
    // The same without what is good: refused, and for the right reason.
    fs::remove_file(text).expect("rm");
    fs::remove_file(at("copy.txt")).expect("rm");
    assert_eq!(verify(&lab).0, 4);
}

#[test]
fn what_mail_and_editors_do_to_statements() {
    let lab = one_of_two();
    let [(text, good_text), (signature, good_signature)] = bobs(&lab);
    let (t, s) = (
        String::from_utf8(good_text.clone()).expect("text"),
        String::from_utf8(good_signature.clone()).expect("armor"),
    );
    let body: String = s.lines().filter(|l| !l.starts_with('-')).collect();
    let wrapped = |columns: usize| {
        let lines: Vec<&str> =
            body.as_bytes().chunks(columns).map(|c| std::str::from_utf8(c).expect("ascii")).collect();
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
    };
    assert_eq!(wrapped(70), s);
    let kept = |text: &str| (text.to_owned(), s.clone());
    let signed = |signature: String| (t.clone(), signature);
    for (what, (new_text, new_signature)) in [
        ("CRLF in both", (t.replace('\n', "\r\n"), s.replace('\n', "\r\n"))),
        ("CRLF in the text", kept(&t.replace('\n', "\r\n"))),
        ("CRLF in the signature", signed(s.replace('\n', "\r\n"))),
        ("quoted by mail", kept(&t.lines().map(|l| format!("> {l}\n")).collect::<String>())),
        ("soft line breaks", kept(&t.replacen(": ", ":=20=\n", 1))),
        ("a byte order mark", kept(&format!("\u{feff}{t}"))),
        ("a line of a mailing list", kept(&format!("{t}-- \nsecurity mailing list\n"))),
        ("no last line end", kept(t.trim_end())),
        ("one more line end", kept(&format!("{t}\n"))),
        ("tabs", kept(&t.replace(": ", ":\t"))),
        ("wrapped at 64", signed(wrapped(64))),
        ("wrapped at 76", signed(wrapped(76))),
        ("in one line", signed(wrapped(10_000))),
        ("junk after the armor", signed(format!("{s}junk\n"))),
        ("an empty line after the armor", signed(format!("{s}\n"))),
        ("junk before the armor", signed(format!("Hello,\n{s}"))),
        ("two signatures", signed(format!("{s}{s}"))),
        ("no padding", signed(s.replace("=\n", "\n"))),
        ("the text as the signature", signed(t.clone())),
        ("nothing", (String::new(), String::new())),
    ] {
        if (new_text.as_str(), new_signature.as_str()) == (t.as_str(), s.as_str()) {
            continue; // this signature's base64 needs no padding
        }
        fs::write(&text, new_text).expect("write");
        fs::write(&signature, new_signature).expect("write");
        let (code, said) = verify(&lab);
        assert_eq!(code, 4, "{what}: {said}");
        assert!(said.contains("security needs 2"), "{what}: {said}");
    }
    fs::write(&text, good_text).expect("write");
    fs::write(&signature, good_signature).expect("write");
    assert_eq!(verify(&lab).0, 0);
}

#[test]
fn statements_that_change_while_they_are_read() {
    let lab = one_of_two();
    let [(text, good), (signature, armor)] = bobs(&lab);
    let other = String::from_utf8(good.clone()).expect("text").replace("group: security", "group: nobody");
    let stop = AtomicBool::new(false);
    let (mut yes, mut no) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for bytes in [other.as_bytes(), &good[..good.len() / 2], b"", &good] {
                    fs::write(&text, bytes).expect("write");
                }
                for bytes in [&armor[..armor.len() / 2], b"", &armor] {
                    fs::write(&signature, bytes).expect("write");
                }
                let _ = fs::remove_file(&signature);
                fs::write(&signature, &armor).expect("write");
            }
        });
        for _ in 0..60 {
            let (code, said) = verify(&lab);
            match code {
                0 => yes += 1,
                4 => no += 1,
                _ => {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{code}: {said}");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    // Each answer is that of the bytes that were read once; at rest it is yes.
    assert_eq!(yes + no, 60);
    fs::write(&text, &good).expect("write");
    fs::write(&signature, &armor).expect("write");
    assert_eq!(verify(&lab).0, 0);
}

#[test]
fn evidence_is_a_claim_that_is_shown_and_kept() {
    let lab = Lab::with_site();
    lab.bundle(1);
    fs::write(lab.path("scan report.json"), "{\"found\": 0}\n").expect("write");
    fs::write(lab.path("far.txt"), "somewhere else").expect("write");
    let release = lab.path("files/always.txt");
    let release = release.to_str().expect("UTF-8");
    let approve = ["approve", "media/1.pouch", "--with", "alice", "--group", "security", "-o", "a"];
    let files = ["--evidence", "scan report.json", "--evidence", "far.txt", "--evidence", release];
    lab.ok(&[&approve[..], &files].concat());
    fs::copy(lab.path("scan report.json"), lab.path("a/scan report.json")).expect("cp");
    lab.approve(1, "bob", "a");
    let verify = ["verify", "media/1.pouch", "--site", "site", "--statements", "a"];
    let said = lab.json(&verify);
    let claims: Vec<(&str, &str, Option<&str>)> = said["evidence"]
        .as_array()
        .expect("claims")
        .iter()
        .map(|c| (c["owner"].as_str().expect("owner"), c["name"].as_str().expect("name"), c["bytes"].as_str()))
        .collect();
    let mut want = vec![
        ("alice", "always.txt", Some("release")),
        ("alice", "far.txt", None),
        ("alice", "scan report.json", Some("beside")),
    ];
    want.sort_by_key(|w| claims.iter().position(|c| c == w));
    assert_eq!(claims, want);
    let text = lab.ok(&verify);
    assert!(text.contains("alice claims: scan report.json (SHA-256 ") && text.contains("beside it)"), "{text}");
    // The review page: with a policy, whose words they are; without one, nobody's.
    let page = |more: &[&str]| {
        let words = ["--json", "review", "media/1.pouch", "--statements", "a", "-o", "page.html"];
        let review: Value = serde_json::from_str(&lab.ok(&[&words[..], more].concat())).expect("JSON");
        (review, fs::read_to_string(lab.path("page.html")).expect("page"))
    };
    let (review, html) = page(&["--policy", "policy.txt"]);
    assert_eq!(review["evidence"].as_array().map(Vec::len), Some(3));
    let owners: Vec<&Value> = review["said"].as_array().expect("said").iter().map(|s| &s["owner"]).collect();
    assert_eq!(owners, ["alice", "bob", "paul"], "{review}");
    assert!(html.contains("scan report.json") && html.contains("claims of their signers"));
    let (review, html) = page(&[]);
    assert_eq!((&review["said"], &review["evidence"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert!(!html.contains("Whose words"));
    // The site keeps what was beside, once.
    let evidence = || {
        let names = fs::read_dir(lab.path("site/ledger/archive")).expect("list").map(|e| e.expect("entry").path());
        names.filter(|p| p.extension().is_some_and(|e| e == "evidence")).collect::<Vec<_>>()
    };
    lab.ok(&["unpack", "media/1.pouch", "--site", "site", "--statements", "a"]);
    let [kept] = &evidence()[..] else { panic!("one file: {:?}", evidence()) };
    assert_eq!(fs::read_to_string(kept).expect("read"), "{\"found\": 0}\n");
    lab.ok(&["gc", "--site", "site"]);
    lab.ok(&["check", "--site", "site"]);
    let checked = lab.json(&["history", "--verify", "--site", "site"]);
    assert_eq!((&checked["evidence"], &checked["problems"]), (&1.into(), &serde_json::json!([])));
    // What comes later is kept when the release is given again.
    fs::copy(lab.path("far.txt"), lab.path("a/far.txt")).expect("cp");
    lab.ok(&["unpack", "media/1.pouch", "--site", "site", "--statements", "a"]);
    assert_eq!(evidence().len(), 2);
    fs::write(&evidence()[0], "edited").expect("write");
    let out = lab.run(&["history", "--verify", "--site", "site"]);
    assert_eq!(out.status.code(), Some(3));
    assert!(!succeeded(lab.run(&["why", "files/always.txt", "--site", "site"]), &["why"]).is_empty());
}
