//! Two out of three approve, each with the key that they have: a file with a passphrase, an agent, a card. Their statements
//! come from two other folders in every order; the bundle's folder cannot be written to. What they approved is the release:
//! a repack of it, its delta and its index are approved, too. Needs openssh-client, softhsm2 and util-linux.

#[path = "bundles/mod.rs"]
mod bundles;
#[path = "support/lab.rs"]
mod lab;

use lab::{Agent, Lab, START, keygen, succeeded};
use pouch::op::seal;
use pouch::trust::PrivateKey;
use pouch::trust::statement::Terms;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The PKCS#11 module of the card in software (package libsofthsm2).
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const WHO: [&str; 3] = ["alice", "bob", "carol"];

/// A card that holds the P-256 key of the file `key`, which is removed, and an agent that speaks to the card.
fn card(lab: &Lab, key: &str) -> Agent {
    fs::create_dir(lab.path("tokens")).expect("mkdir");
    let conf = lab.path("softhsm2.conf");
    let tokens = lab.path("tokens");
    fs::write(&conf, format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display()))
        .expect("conf");
    let util = |words: &[&str]| {
        let mut command = Command::new("softhsm2-util");
        command.args(words).current_dir(lab.dir.path()).env("SOFTHSM2_CONF", &conf);
        succeeded(command.output().expect("softhsm2-util runs (package softhsm2)"), words);
    };
    util(&["--init-token", "--free", "--label", "card", "--pin", "1234", "--so-pin", "5678"]);
    util(&["--import", key, "--token", "card", "--pin", "1234", "--label", key, "--id", "01"]);
    fs::remove_file(lab.path(key)).expect("only the card has it now");
    let ask = lab.path("ask");
    fs::write(&ask, "#!/bin/sh\necho 1234\n").expect("ask");
    fs::set_permissions(&ask, Permissions::from_mode(0o755)).expect("mode");
    let agent = Agent::start_with(lab, &[("SOFTHSM2_CONF", &conf)]);
    agent.add_card(Path::new(MODULE), &ask);
    agent
}

/// Runs pouch without the right to write where modes forbid it, which root has.
fn bound(lab: &Lab, words: &[&str]) -> Output {
    let mut command = lab.command(words);
    if rustix::process::geteuid().is_root() {
        let plain = lab.command(words);
        command = Command::new("setpriv");
        command.arg("--bounding-set=-dac_override,-dac_read_search").arg(plain.get_program()).args(plain.get_args());
        command.current_dir(lab.dir.path()).env("SOURCE_DATE_EPOCH", lab.now.to_string());
    }
    command.output().expect("runs (package util-linux)")
}

/// Names, contents, modes and times of a folder's files.
fn seen(folder: &Path) -> BTreeSet<(PathBuf, Vec<u8>, u32, i64)> {
    let entries = fs::read_dir(folder).expect("list").map(|e| e.expect("entry").path());
    let read = |path: PathBuf| {
        let meta = fs::metadata(&path).expect("stat");
        (path.clone(), fs::read(&path).expect("read"), meta.mode(), meta.mtime())
    };
    entries.map(read).chain([(folder.into(), vec![], fs::metadata(folder).expect("stat").mode(), 0)]).collect()
}

/// The two files of the statement that `who` made in the folder `made`.
fn pair(lab: &Lab, who: &str) -> [PathBuf; 2] {
    let mut files: Vec<PathBuf> =
        fs::read_dir(lab.path("made").join(who)).expect("list").map(|e| e.expect("entry").path()).collect();
    files.sort();
    files.try_into().expect("a text and its signature")
}

fn permutations() -> Vec<[usize; 3]> {
    let all = (0..27).map(|n| [n % 3, n / 3 % 3, n / 9]);
    all.filter(|p| p.iter().collect::<BTreeSet<_>>().len() == 3).collect()
}

/// A lab where alice's key is a file with a passphrase, bob's in an agent and carol's on a card; each has approved the
/// release of `ro/1.pouch`, whose index was all that they saw.
fn three_desks() -> (Lab, Agent, String) {
    let lab = Lab::new();
    for key in ["alice", "alice.pub", "bob", "bob.pub", "carol", "carol.pub"] {
        fs::remove_file(lab.path(key)).expect("rm");
    }
    fs::write(lab.path("phrase"), "correct horse\n").expect("write");
    keygen(&lab, &["-q", "-t", "ed25519", "-N", "correct horse", "-a", "4", "-C", "alice", "-f", "alice"], None);
    keygen(&lab, &["-q", "-t", "ed25519", "-N", "", "-C", "bob", "-f", "bob"], None);
    keygen(&lab, &["-q", "-t", "ecdsa", "-b", "256", "-m", "PKCS8", "-N", "", "-C", "carol", "-f", "carol"], None);
    lab.policy("2:alice=alice.pub,bob=bob.pub,carol=carol.pub");
    lab.init("site", &[]);
    let id = lab.bundle(1);
    lab.ok(&["extract-index", "media/1.pouch", "-o", "1.index.pouch"]);
    fs::rename(lab.path("media"), lab.path("ro")).expect("mv");
    let agent = card(&lab, "carol");
    agent.add(&lab.path("bob"));
    for (who, key) in [("alice", "alice"), ("bob", "bob.pub"), ("carol", "carol.pub")] {
        let folder = format!("made/{who}");
        let mut words = vec!["approve", "1.index.pouch", "--group", "security", "-o", &folder, "--with", key];
        if who == "alice" {
            words.extend(["--passphrase-file", "phrase"]);
        }
        succeeded(lab.command(&words).env("SSH_AUTH_SOCK", &agent.socket).output().expect("pouch runs"), &words);
    }
    fs::set_permissions(lab.path("ro/1.pouch"), Permissions::from_mode(0o444)).expect("mode");
    fs::set_permissions(lab.path("ro"), Permissions::from_mode(0o555)).expect("mode");
    (lab, agent, id)
}

#[test]
fn two_of_three_with_a_file_an_agent_and_a_card() {
    let (lab, _agent, id) = three_desks();
    // Stock ssh-keygen accepts all three.
    for who in WHO {
        let key = fs::read_to_string(lab.path(&format!("{who}.pub"))).expect("read");
        fs::write(lab.path("allowed"), format!("{who} {key}")).expect("write");
        let [text, signature] = pair(&lab, who);
        let signature = signature.to_str().expect("UTF-8");
        let words = ["-Y", "verify", "-f", "allowed", "-I", who, "-n", "pouch/v1/approve", "-s", signature];
        keygen(&lab, &words, Some(&text));
    }
    // The folder refuses what has no right to write there.
    let words = ["approve", "ro/1.pouch", "--group", "security", "--with", "alice", "--passphrase-file", "phrase"];
    assert_eq!(bound(&lab, &words).status.code(), Some(1), "the folder can be written to");
    let before = seen(&lab.path("ro"));

    // Every order of arrival, every way to share them out over two folders: after the second it is approved.
    let mut runs = 0;
    for order in permutations() {
        for share in 0..8usize {
            let at = format!("in-{}{}{}-{share}", order[0], order[1], order[2]);
            let folders = ["x", "y"].map(|f| lab.path(&at).join(f));
            folders.iter().for_each(|f| fs::create_dir_all(f).expect("mkdir"));
            for (n, who) in order.iter().enumerate() {
                for file in pair(&lab, WHO[*who]) {
                    let to = folders[share >> who & 1].join(file.file_name().expect("a name"));
                    fs::copy(&file, to).expect("cp");
                }
                let [x, y] = folders.each_ref().map(|f| f.to_str().expect("UTF-8"));
                let [first, second] = if share & 1 == 0 { [x, y] } else { [y, x] };
                let words = ["--json", "verify", "ro/1.pouch", "--site", "site", "--statements", first];
                let out = bound(&lab, &[&words[..], &["--statements", second]].concat());
                assert_eq!(out.status.code(), Some(if n == 0 { 4 } else { 0 }), "{at} {n}");
                if n > 0 {
                    let said: Value = serde_json::from_slice(&out.stdout).expect("JSON");
                    let mut want: Vec<&str> = order[..=n].iter().map(|w| WHO[*w]).collect();
                    want.sort_unstable();
                    assert_eq!(said["approvals"][0]["owners"], Value::from(want), "{at} {n}");
                }
                runs += 1;
            }
        }
        let at = format!("in-{}{}{}-5", order[0], order[1], order[2]);
        let site = format!("site-{at}");
        lab.init(&site, &[]);
        let (x, y) = (format!("{at}/x"), format!("{at}/y"));
        let words = ["unpack", "ro/1.pouch", "--site", &site, "--statements", &x, "--statements", &y];
        succeeded(bound(&lab, &words), &words);
        let why = lab.json(&["why", &id, "--site", &site]);
        assert_eq!(why[0]["statements"].as_array().map(Vec::len), Some(4), "the seal and three approvals: {why}");
    }
    assert_eq!(runs, 6 * 8 * 3);
    assert_eq!(seen(&lab.path("ro")), before);
    fs::set_permissions(lab.path("ro"), Permissions::from_mode(0o755)).expect("mode");
}

#[test]
fn an_approval_is_of_the_release_however_it_is_carried() {
    let (lab, agent, id) = three_desks();
    let packer = PrivateKey::parse(&fs::read(lab.path("packer")).expect("read"), None).expect("a key");
    let seal = |root: &_, ids: &_| {
        let terms = Terms { issued: START, ..Terms::default() };
        vec![seal::statement(root, ids, terms).sign(&packer).expect("signs")]
    };
    let first = fs::read(lab.path("ro/1.pouch")).expect("read");
    let again = bundles::carried_again(&first, seal);
    fs::create_dir(lab.path("again")).expect("mkdir");
    fs::write(lab.path("again/repacked.pouch"), &again).expect("write");
    lab.ok(&["extract-index", "again/repacked.pouch", "-o", "again/index.pouch"]);
    let verify = |bundle: &str, more: &[&str]| {
        let words = ["--json", "verify", bundle, "--site", "site", "--statements", "made/alice"];
        lab.run(&[&words[..], more].concat())
    };
    let mut carriages = BTreeSet::new();
    for (bundle, form) in [
        ("ro/1.pouch", "full"),
        ("1.index.pouch", "index-only"),
        ("again/repacked.pouch", "full"),
        ("again/index.pouch", "index-only"),
    ] {
        assert_eq!(verify(bundle, &[]).status.code(), Some(4), "{bundle}: one is too few");
        let out = verify(bundle, &["--statements", "made/carol"]);
        assert!(out.status.success(), "{bundle}: {}", String::from_utf8_lossy(&out.stderr));
        let said: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!((&said["release"], &said["form"]), (&Value::from(id.clone()), &Value::from(form)), "{bundle}");
        carriages.insert(said["carriage"].to_string());
    }
    assert_eq!(carriages.len(), 2, "the repack is another carriage");
    let words = ["--json", "unpack", "again/repacked.pouch", "--site", "site", "--statements", "made/alice"];
    let report: Value =
        serde_json::from_str(&lab.ok(&[&words[..], &["--statements", "made/bob"]].concat())).expect("JSON");
    assert_eq!((&report[0]["order"], &report[0]["release"]), (&"first".into(), &id.clone().into()));
    // The first carriage brings nothing new then.
    let words = ["--json", "unpack", "ro/1.pouch", "--site", "site", "--statements", "made/alice"];
    let report: Value =
        serde_json::from_str(&lab.ok(&[&words[..], &["--statements", "made/bob"]].concat())).expect("JSON");
    assert_eq!(report[0]["order"], "same");
    // The next release is approved once, in full; what comes is its delta.
    lab.bundle(2);
    for who in ["alice", "bob"] {
        let key = if who == "bob" { "bob.pub" } else { who };
        let words = ["approve", "media/2.pouch", "--group", "security", "-o", "made2", "--with", key];
        let words = [&words[..], if who == "alice" { &["--passphrase-file", "phrase"] } else { &[] }].concat();
        succeeded(lab.command(&words).env("SSH_AUTH_SOCK", &agent.socket).output().expect("pouch runs"), &words);
    }
    fs::create_dir(lab.path("delta")).expect("mkdir");
    let words = ["pack", "list.toml", "--stream", "s", "--sequence", "2", "--seal-with", "packer"];
    let made = lab.json(&[&words[..], &["--base", "ro/1.pouch", "-o", "delta/2.pouch"]].concat());
    assert_eq!(made["left_out"]["blobs"], 1, "{made}");
    let words = ["--json", "unpack", "delta/2.pouch", "--site", "site"];
    assert_eq!(lab.run(&words).status.code(), Some(4), "without the approvals");
    let report: Value =
        serde_json::from_str(&lab.ok(&[&words[..], &["--statements", "made2"]].concat())).expect("JSON");
    assert_eq!((&report[0]["order"], &report[0]["release"]), (&"newer".into(), &made["release"]));
    // The seal is of one carriage: another carriage's seal does not do.
    let other = bundles::carried_again(&first, |_, _| vec![]);
    fs::create_dir(lab.path("unsealed")).expect("mkdir");
    fs::write(lab.path("unsealed/b.pouch"), other).expect("write");
    let out = verify("unsealed/b.pouch", &["--statements", "made/carol", "--statements", "ro"]);
    assert_eq!(out.status.code(), Some(4));
    fs::set_permissions(lab.path("ro"), Permissions::from_mode(0o755)).expect("mode");
}
