//! Approval, refusal, and proof afterwards, by the program as users run it: several approvers with keys in files, in an
//! agent and elsewhere; vetoes, permits and revocations that persist; and what the records answer.

#[path = "support/lab.rs"]
mod lab;

use lab::{Agent, DAY, Lab, START, keygen, succeeded};
use serde_json::Value;
use std::fs;
use std::process::Command;

#[test]
fn two_of_three_from_a_file_an_agent_and_elsewhere() {
    let lab = Lab::new();
    for key in ["bob", "bob.pub", "carol", "carol.pub"] {
        fs::remove_file(lab.path(key)).expect("rm");
    }
    keygen(&lab, &["-q", "-t", "ecdsa", "-b", "256", "-N", "", "-C", "bob", "-f", "bob"], None);
    keygen(&lab, &["-q", "-t", "ed25519", "-N", "", "-C", "carol", "-f", "carol"], None);
    lab.policy("2:alice=alice.pub,bob=bob.pub,carol=carol.pub");
    lab.init("site", &["--name", "plant-7"]);
    let id = lab.bundle(1);
    lab.approve(1, "alice", "a");

    // By the agent, whose key file is gone.
    let agent = Agent::start(&lab);
    agent.add(&lab.path("bob"));
    let words = ["approve", "media/1.pouch", "--with", "bob.pub", "--group", "security", "-o", "b"];
    succeeded(lab.command(&words).env("SSH_AUTH_SOCK", &agent.socket).output().expect("pouch runs"), &words);
    let words = ["approve", "media/1.pouch", "--with", "alice.pub", "--group", "security", "-o", "b"];
    let absent = lab.command(&words).env("SSH_AUTH_SOCK", &agent.socket).output().expect("pouch runs");
    assert_eq!(absent.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("does not hold the key"));
    lab.fails(2, &words);

    // Elsewhere: the text goes out, the signature of stock ssh-keygen comes back.
    let text = lab.ok(&["approve", "media/1.pouch", "--group", "security", "--print-text", "--for-site", "plant-7"]);
    fs::create_dir(lab.path("c")).expect("mkdir");
    fs::write(lab.path("c/approval.txt"), &text).expect("write");
    keygen(&lab, &["-q", "-Y", "sign", "-n", "pouch/v1/approve", "-f", "carol", "c/approval.txt"], None);
    let other = lab.ok(&["approve", "media/1.pouch", "--group", "security", "--print-text", "--for-site", "plant-8"]);
    fs::create_dir(lab.path("d")).expect("mkdir");
    fs::write(lab.path("d/approval.txt"), &other).expect("write");
    keygen(&lab, &["-q", "-Y", "sign", "-n", "pouch/v1/approve", "-f", "carol", "d/approval.txt"], None);

    // Stock ssh-keygen accepts what the agent signed.
    let bob = fs::read_to_string(lab.path("bob.pub")).expect("read");
    fs::write(lab.path("allowed"), format!("bob {bob}")).expect("write");
    let mut files = fs::read_dir(lab.path("b")).expect("list").map(|e| e.expect("entry").path());
    let text = files.find(|p| p.extension().is_some_and(|e| e == "txt")).expect("a text");
    let signature = format!("{}.sig", text.display());
    let words = ["-Y", "verify", "-f", "allowed", "-I", "bob", "-n", "pouch/v1/approve", "-s", &signature];
    keygen(&lab, &words, Some(&text));

    // The medium is read-only in spirit: nothing may change in it.
    let media = || fs::read_dir(lab.path("media")).expect("list").count();
    let before = media();
    for (folders, enough) in [
        ("", false),
        ("a", false),
        ("b", false),
        ("c", false),
        ("a a", false),
        ("a d", false),
        ("a b", true),
        ("b a", true),
        ("a c", true),
        ("c b", true),
        ("a b c", true),
        ("c b a", true),
    ] {
        let mut words = vec!["--json", "unpack", "media/1.pouch", "--site", "site", "--dry-run"];
        folders.split_whitespace().for_each(|f| words.extend(["--statements", f]));
        let out = lab.run(&words);
        assert_eq!(out.status.code(), Some(if enough { 0 } else { 4 }), "{folders:?}");
    }
    // Without enough approvals nothing is written under the site but lines of the ledger.
    let (untouched, lines) = (lab.snapshot(), lab.events().len());
    lab.fails(4, &["unpack", "media/1.pouch", "--site", "site", "--statements", "a"]);
    assert_eq!(lab.snapshot(), untouched);
    let events = lab.events();
    assert_eq!(events.len(), lines + 1);
    assert_eq!((&events[lines]["event"], &events[lines]["release"]["release"]), (&"refuse".into(), &id.clone().into()));
    lab.ok(&["unpack", "media/1.pouch", "--site", "site", "--statements", "b", "--statements", "c"]);
    assert_eq!(media(), before);
    let why = lab.json(&["why", &id, "--site", "site"]);
    let owners: Vec<_> = why[0]["statements"].as_array().expect("list").iter().map(|s| s["owner"].clone()).collect();
    assert_eq!(owners, ["paul", "bob", "carol"]);
    assert_eq!(lab.json(&["history", "--verify", "--site", "site"])["problems"], Value::Array(vec![]));
}

#[test]
fn a_veto_persists_until_it_is_taken_back() {
    let lab = Lab::with_site();
    lab.approved(1);
    let reject = lab.json(&["reject", "media/1.pouch", "--with", "carol", "--group", "security", "-o", "no"]);
    // It comes with the bundle once, and is remembered when it is left out.
    lab.fails(4, &["unpack", "media/1.pouch", "--site", "site", "--statements", "no", "--dry-run"]);
    assert_eq!(lab.events().len(), 2, "a dry run writes nothing");
    lab.fails(4, &["unpack", "media/1.pouch", "--site", "site", "--statements", "no"]);
    assert!(lab.refused(1).contains("carol has rejected it"));
    // Neither who may not nor an unknown key lifts it.
    let digest = reject["digest"].as_str().expect("digest");
    lab.ok(&["revoke", "--statement", digest, "--with", "bob", "-o", "lift-bob"]);
    lab.ok(&["statements", "lift-bob", "--site", "site"]);
    lab.refused(1);
    let text = reject["text"].as_str().expect("text");
    lab.ok(&["revoke", "--statement", text, "--with", "carol", "-o", "lift"]);
    let taken = lab.json(&["statements", "lift", "no", "--site", "site"]);
    assert_eq!(taken["learned"], 1);
    assert_eq!(lab.json(&["statements", "lift", "no", "--site", "site"])["learned"], 0, "the same again");
    assert_eq!(lab.unpack(1)["order"], "first");
    // After import a veto is an alarm, and blocks the way back in.
    lab.approved(2);
    lab.unpack(2);
    lab.ok(&["reject", "media/2.pouch", "--with", "admin", "--group", "admins", "-o", "later"]);
    assert_eq!(lab.alarms(), Vec::<String>::new());
    lab.ok(&["statements", "later", "--site", "site"]);
    assert_eq!(lab.alarms(), ["2 vetoed"]);
    assert_eq!(lab.json(&["history", "--verify", "--site", "site"])["problems"], Value::Array(vec![]));
}

#[test]
fn a_downgrade_needs_a_permit_that_names_both_ends() {
    let mut lab = Lab::with_site();
    let (first, second) = (lab.approved(1), lab.approved(2));
    lab.unpack(2);
    assert!(lab.refused(1).contains("older"));
    lab.ok(&["permit", "--stream", "s", "--from", "none", "--to", "media/1.pouch", "--with", "admin", "-o", "media"]);
    assert!(lab.refused(1).contains("older"), "from another place");
    lab.ok(&["permit", "--stream", "s", "--from", &second, "--to", "media/1.pouch", "--with", "alice", "-o", "media"]);
    assert!(lab.refused(1).contains("older"), "by no admin");
    lab.at(START + 1);
    let permit =
        ["permit", "--stream", "s", "--from", &second, "--to", "media/1.pouch", "--with", "admin", "-o", "media"];
    lab.fails(2, &[&permit[..2], &["t"], &permit[3..]].concat());
    lab.ok(&permit);
    assert_eq!(lab.unpack(1)["order"], "permitted");
    assert_eq!(lab.unpack(1)["order"], "same", "the same again is a no-op");
    let status = lab.json(&["status", "--site", "site"]);
    let latest = status["releases"].as_array().expect("releases").iter().find(|r| r["latest"] == true).expect("latest");
    assert_eq!(latest["release"], first.as_str());
    assert_eq!(status["heads"][0]["sequence"], 2, "the highest never falls");
    assert_eq!(lab.unpack(2)["order"], "again");
    // The permit is spent in effect: what is on the site already needs none, and nothing older becomes possible.
    assert_eq!(lab.unpack(1)["order"], "again");
}

#[test]
fn approvals_expire_and_the_clock_does_not_go_back() {
    let mut lab = Lab::with_site();
    lab.bundle(1);
    lab.approve(1, "alice", "media");
    let end = "2026-01-10";
    lab.ok(&["approve", "media/1.pouch", "--with", "bob", "--group", "security", "--not-after", end, "-o", "media"]);
    lab.fails(2, &["approve", "media/1.pouch", "--with", "bob", "--group", "security", "--not-after", "soon"]);
    lab.at(START + 10 * DAY);
    assert!(lab.refused(1).contains("2026-01-10"));
    // A later release lifts the floor; a clock that is set back does not make the approval young again.
    lab.approved(2);
    lab.unpack(2);
    lab.at(START + DAY);
    let text = lab.refused(1);
    assert!(text.contains("ended 2026-01-10"), "{text}");
    // A seal from the far future lifts it by a day at most.
    lab.at(START + 4000 * DAY);
    lab.approved(3);
    lab.at(START + 20 * DAY);
    lab.unpack(3);
    let floor = |e: &Value| e["time_floor"].as_i64();
    assert_eq!(lab.events().iter().filter_map(floor).max(), Some(START + 21 * DAY));
    lab.approved(4);
    lab.ok(&[
        "approve",
        "media/4.pouch",
        "--with",
        "carol",
        "--group",
        "security",
        "--not-after",
        "2026-02-01",
        "-o",
        "media",
    ]);
    lab.unpack(4);
    assert_eq!(lab.events().iter().filter_map(floor).max(), Some(START + 21 * DAY), "lifted, and never lowered");
}

#[test]
fn what_rests_on_a_revoked_key() {
    let lab = Lab::with_site();
    lab.approved(1);
    lab.unpack(1);
    lab.approved(2);
    lab.approve(2, "carol", "media");
    lab.unpack(2);
    lab.ok(&["revoke", "--key", "alice.pub", "--with", "bob", "-o", "nobody"]);
    let taken = lab.json(&["statements", "nobody", "--site", "site"]);
    assert_eq!((&taken["learned"], &taken["statements"][0]["owner"]), (&0.into(), &"bob".into()));
    assert!(taken["statements"][0]["outcome"].as_str().expect("outcome").contains("may not"));
    lab.ok(&["revoke", "--key", "alice.pub", "--with", "admin", "-o", "stolen"]);
    lab.ok(&["statements", "stolen", "--site", "site"]);
    assert_eq!(lab.alarms(), ["1 rests-on-revoked-key"], "the second has bob and carol");
    lab.approved(3);
    assert!(lab.refused(3).contains("security needs 2"));
    lab.approve(3, "carol", "media");
    lab.unpack(3);
    // An admin who names the release as an exception answers for it.
    let other = Lab::with_site();
    let id = other.approved(1);
    other.unpack(1);
    other.ok(&["revoke", "--key", "alice.pub", "--except", &id, "--with", "admin", "-o", "stolen"]);
    other.ok(&["statements", "stolen", "--site", "site"]);
    assert_eq!(other.alarms(), Vec::<String>::new());
    // A release that is called back cannot come again, and is an alarm where it is.
    other.ok(&["revoke", "--release", &id, "--with", "admin", "-o", "gone"]);
    other.ok(&["statements", "gone", "--site", "site"]);
    assert_eq!(other.alarms(), ["1 revoked"]);
}

#[test]
fn lost_and_edited_records_are_refused_and_there_is_a_way_back() {
    let lab = Lab::with_site();
    lab.approved(1);
    lab.unpack(1);
    lab.approved(2);
    lab.ok(&["reject", "media/2.pouch", "--with", "carol", "--group", "security", "-o", "no"]);
    lab.ok(&["statements", "no", "--site", "site"]);
    let (log, head) = (lab.path("site/ledger/log"), lab.path("site/ledger/head"));
    let (good, good_head) = (fs::read(&log).expect("read"), fs::read(&head).expect("read"));
    let lines: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
    let mut edited = good.clone();
    let at = edited.windows(5).rposition(|w| w == b"carol").expect("the veto");
    edited[at] = b'd';
    let without_veto = lines[..lines.len() - 1].concat();
    let replaced = [&lines[..lines.len() - 2], &lines[lines.len() - 1..]].concat().concat();
    for (what, bytes, head_bytes) in [
        ("edited", Some(&edited), Some(&good_head)),
        ("its last line cut off", Some(&without_veto), Some(&good_head)),
        ("a line taken out", Some(&replaced), Some(&good_head)),
        ("the head gone", Some(&good), None),
        ("the log gone", None, Some(&good_head)),
        ("both gone", None, None),
        ("the head damaged", Some(&good), Some(&b"6 x\n".to_vec())),
    ] {
        for (file, bytes) in [(&log, bytes), (&head, head_bytes)] {
            match bytes {
                Some(bytes) => fs::write(file, bytes).expect("write"),
                None => fs::remove_file(file).unwrap_or_default(),
            }
        }
        for words in [
            &["unpack", "media/2.pouch", "--site", "site"][..],
            &["status", "--site", "site"],
            &["check", "--site", "site"],
            &["rollback", "--site", "site"],
        ] {
            let out = lab.run(words);
            assert_eq!(out.status.code(), Some(3), "{what}: {words:?}: {}", String::from_utf8_lossy(&out.stderr));
        }
        if what != "both gone" {
            lab.fails(3, &["history", "--verify", "--site", "site"]);
        }
    }
    fs::write(&log, &good).expect("write");
    fs::write(&head, &good_head).expect("write");
    lab.ok(&["history", "--verify", "--site", "site"]);
    // What the ledger points to is checked, too.
    let archived =
        fs::read_dir(lab.path("site/ledger/archive")).expect("list").next().expect("one").expect("entry").path();
    let index = fs::read(&archived).expect("read");
    fs::write(&archived, &index[..index.len() / 2]).expect("write");
    assert!(lab.fails(3, &["history", "--verify", "--site", "site"]).contains("problem"));
    fs::write(&archived, &index).expect("write");
    let policy = fs::read_dir(lab.path("site/policy")).expect("list").next().expect("one").expect("entry").path();
    let bytes = fs::read(&policy).expect("read");
    fs::write(&policy, &bytes[1..]).expect("write");
    lab.fails(3, &["history", "--verify", "--site", "site"]);
    fs::write(&policy, &bytes).expect("write");

    // The way back: a new site over the same blobs, whose streams begin with a permit.
    fs::create_dir(lab.path("new")).expect("mkdir");
    fs::rename(lab.path("site/blobs"), lab.path("new/blobs")).expect("mv");
    lab.init("new", &["--lost"]);
    lab.approved(3);
    let unpack = ["--json", "unpack", "media/3.pouch", "--site", "new"];
    assert!(lab.fails(4, &unpack).contains("lost what it remembered"));
    lab.ok(&["permit", "--stream", "s", "--from", "none", "--to", "media/3.pouch", "--with", "admin", "-o", "media"]);
    let report: Value = serde_json::from_str(&lab.ok(&unpack)).expect("JSON");
    assert_eq!((&report[0]["order"], &report[0]["blobs"]["present"]), (&"permitted".into(), &1.into()));
    lab.ok(&["check", "--site", "new"]);
}

#[test]
fn why_says_what_was_live_when_on_a_copy_of_the_records() {
    let mut lab = Lab::with_site();
    let first = lab.approved(1);
    lab.unpack(1);
    lab.at(START + 10 * DAY);
    let second = lab.approved(2);
    lab.unpack(2);
    lab.at(START + 20 * DAY);
    lab.ok(&["rollback", "--site", "site"]);
    fs::create_dir(lab.path("copy")).expect("mkdir");
    for folder in ["ledger", "policy"] {
        let from = lab.path("site").join(folder);
        let out = Command::new("cp").arg("-r").arg(from).arg(lab.path("copy")).status();
        assert!(out.expect("cp runs").success());
    }
    let releases = |words: &[&str]| -> Vec<String> {
        let out = lab.run(&[&["--json", "why"], words].concat());
        if out.status.code() == Some(2) {
            return Vec::new();
        }
        let value: Value = serde_json::from_str(&succeeded(out, words)).expect("JSON");
        let ids = value.as_array().expect("answers").iter();
        ids.map(|a| a["release"]["release"].as_str().expect("id").to_owned()).collect()
    };
    let both = [first.clone(), second.clone()];
    for site in ["site", "copy", "copy/ledger"] {
        for (what, at, want) in [
            ("/files/always.txt", None, &both[..]),
            ("http://host/files/version.txt", None, &both[..]),
            ("site/current/www/files/version.txt", None, &both[..]),
            ("www/files/version.txt", Some("2025-12-31"), &both[..0]),
            ("www/files/version.txt", Some("2026-01-05"), &both[..1]),
            ("www/files/nothing.txt", None, &both[..0]),
            (&first, None, &both[..1]),
            (&second, Some("2026-01-15"), &both[1..]),
            (&second, Some("2026-01-25"), &both[..0]),
            (&second, Some("2026-01-05T00:00:00Z"), &both[..0]),
        ] {
            let mut words = vec![what, "--site", site];
            at.iter().for_each(|at| words.extend(["--at", at]));
            assert_eq!(releases(&words), want, "{words:?}");
        }
    }
    let blob = {
        use std::io::Write as _;
        let mut child = Command::new("sha256sum");
        let child = child.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn();
        let mut child = child.expect("sha256sum runs");
        child.stdin.take().expect("stdin").write_all(b"version 2").expect("write");
        let out = child.wait_with_output().expect("sha256sum runs");
        String::from_utf8_lossy(&out.stdout)[..64].to_owned()
    };
    assert_eq!(releases(&[&blob, "--site", "copy"]), both[1..]);
    let text = lab.ok(&["why", &format!("sha256:{blob}"), "--site", "copy"]);
    for want in
        ["files/version.txt", "paul", "alice", "bob", "| pouch/v1 approve", "2026-01-11T00:00:00Z to 2026-01-21"]
    {
        assert!(text.contains(want), "{want}: {text}");
    }
    assert_eq!(lab.json(&["history", "--verify", "--site", "copy"])["problems"], Value::Array(vec![]));
}

#[test]
fn a_receipt_is_a_statement_that_stock_tools_check() {
    let lab = Lab::with_site();
    lab.approved(1);
    lab.unpack(1);
    lab.ok(&["receipt", "--site", "site", "--with", "site-key", "-o", "r.txt", "--comment", "monthly"]);
    let key = fs::read_to_string(lab.path("site-key.pub")).expect("read");
    fs::write(lab.path("allowed"), format!("site {key}")).expect("write");
    let words = ["-Y", "verify", "-f", "allowed", "-I", "site", "-n", "pouch/v1/receipt", "-s", "r.txt.sig"];
    keygen(&lab, &words, Some(&lab.path("r.txt")));
    let text = fs::read_to_string(lab.path("r.txt")).expect("read");
    let inventory = fs::read_to_string(lab.path("r.txt.inventory")).expect("read");
    assert_eq!(inventory.lines().count(), 2);
    assert!(text.contains("\nblobs: 2, 15 bytes\n") && text.contains("comment: monthly"), "{text}");
    let checked = lab.json(&["history", "--verify", "--site", "site"]);
    assert!(text.contains(&format!("ledger: {}", checked["last"].as_str().expect("last"))));
    let short = lab.ok(&["receipt", "--site", "site", "--short"]);
    assert_eq!(short.lines().count(), 2);
    let groups = |line: &str| line.split_whitespace().rev().take(8).filter(|g| g.len() == 5).count();
    assert!(short.lines().all(|l| groups(l) == 8), "{short}");
    assert_eq!(short, lab.ok(&["receipt", "--site", "site", "--short"]));
}
