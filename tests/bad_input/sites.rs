//! Bundles that nobody vouched for, that come in the wrong order, and sites that cannot be written.

use crate::bundles::mkfifo;
use crate::world::{World, command, copy, each, finish, policy, snapshot};
use pouch::bundle::Sealed;
use pouch::op::seal;
use pouch::trust::statement::{Seal, Statement, Terms};
use pouch::trust::{PrivateKey, Signed};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// A seal of a bundle with terms, as a pair of files in a folder beside a copy of the bundle.
fn seal_with(world: &World, of: &str, bundle: &str, key: &str, terms: Terms) {
    let bytes = world.read(of);
    let sealed = Sealed::open(&bytes[..]).expect("opens");
    let (ids, parsed) = (sealed.ids(), pouch::bundle::Bundle::parse(sealed, ()).expect("parses"));
    let key = PrivateKey::parse(&world.read(key), None).expect("a key");
    let identity = seal::identity(&parsed.release, ids.release);
    let seal = Seal { identity, carriage: ids.carriage, claims: seal::claims(&parsed.release), terms };
    let Signed { text, signature } = Statement::Seal(seal).sign(&key).expect("signs");
    world.write(&format!("{bundle}/s.txt"), text);
    world.write(&format!("{bundle}/s.txt.sig"), signature);
}

fn unsealed(world: &World, version: &str, stream: &str, sequence: &str, to: &str) {
    let list = format!("{version}/pouch.toml");
    world.write(to, "");
    world.run(&["pack", &list, "--stream", stream, "--sequence", sequence, "-o", to]).expect(to, 0, &[]);
}

#[test]
fn nobody_vouched() {
    let world = World::new();
    let issued = 1_700_000_000;
    let before = snapshot(&world.at("site"), &[]);
    unsealed(&world, "v2", "sample", "2", "unsealed/b.pouch");
    for folder in ["other-release", "other-carriage", "expired", "elsewhere", "mangled", "unsigned", "swapped"] {
        world.write(&format!("{folder}/b.pouch"), world.read("unsealed/b.pouch"));
    }
    let terms = || Terms { issued, ..Terms::default() };
    seal_with(&world, "1.pouch", "other-release", "packer", terms());
    // The same release carried in another way: packed again without one of its archives' sharing is another file.
    seal_with(&world, "unsealed/b.pouch", "expired", "packer", Terms { not_after: Some(issued + 60), ..terms() });
    seal_with(&world, "unsealed/b.pouch", "elsewhere", "packer", Terms { sites: vec!["moon".into()], ..terms() });
    seal_with(&world, "unsealed/b.pouch", "mangled", "packer", terms());
    let crlf = String::from_utf8(world.read("mangled/s.txt")).expect("text").replace('\n', "\r\n");
    world.write("mangled/s.txt", crlf);
    seal_with(&world, "unsealed/b.pouch", "unsigned", "packer", terms());
    world.write("unsigned/s.txt.sig", "");
    seal_with(&world, "unsealed/b.pouch", "swapped", "packer", terms());
    world.write("swapped/s.txt.sig", world.read("expired/s.txt.sig"));
    fs::remove_dir_all(world.at("other-carriage")).expect("rm");
    world.write("other-carriage/b.pouch", with_another_carriage(&world));
    seal_with(&world, "unsealed/b.pouch", "other-carriage", "packer", terms());
    world.write("by-a-stranger/b.pouch", "");
    world.pack("v2", 2, "stranger", "by-a-stranger/b.pouch");
    world.write("by-an-admin/b.pouch", "");
    world.pack("v2", 2, "admin", "by-an-admin/b.pouch");
    unsealed(&world, "v2", "other", "2", "stream/b.pouch");
    seal_with(&world, "stream/b.pouch", "stream", "packer", terms());
    each(
        [
            "unsealed",
            "by-a-stranger",
            "by-an-admin",
            "other-release",
            "other-carriage",
            "expired",
            "elsewhere",
            "mangled",
            "unsigned",
            "swapped",
            "stream",
        ],
        |case| {
            let bundle = format!("{case}/b.pouch");
            world.run(&["unpack", &bundle, "--site", "site"]).expect(case, 4, &["hint: "]);
            world.run(&["unpack", &bundle, "--site", "site", "--dry-run"]).expect(case, 4, &["hint: "]);
            world.run(&["verify", &bundle, "--site", "site"]).expect(case, 4, &["hint: "]);
            if case != "elsewhere" {
                world.run(&["verify", &bundle, "--policy", "policy.txt"]).expect(case, 4, &["hint: "]);
            }
        },
    );
    assert_eq!(snapshot(&world.at("site"), &[]), before);
    let refusals = String::from_utf8(world.read("site/ledger/log")).expect("text").matches("\"refuse\"").count();
    assert_eq!(refusals, 11, "each refusal leaves a line, a dry run none");
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
}

/// The bundle of `unsealed/b.pouch` with one more extension in its carriage root, which a reader may ignore.
fn with_another_carriage(world: &World) -> Vec<u8> {
    use pouch::cbor::{Bytes, encode};
    use pouch::digest::Digest;
    use pouch::format::frame::{FOOTER_LEN, Footer};
    use pouch::format::root::{CarriageRoot, Root as _};
    let bytes = world.read("unsealed/b.pouch");
    let mut footer = Footer::decode(bytes[bytes.len() - FOOTER_LEN..].try_into().expect("footer")).expect("footer");
    let at = footer.layout(bytes.len() as u64).expect("layout");
    let (from, to) = (at.carriage_root as usize, at.volume_map as usize);
    let mut root = CarriageRoot::open(&bytes[from..to], &footer.carriage_id).expect("a root");
    root.ext = Some(vec![(1, Bytes(vec![1]))]);
    let (root, id) = (encode(&root), root.seal_off().expect("fits").1);
    footer.carriage_id = id;
    footer.carriage_root_len = u32::try_from(root.len()).expect("small");
    footer.statements = Digest::labelled("statements", &bytes[at.statements as usize..at.footer as usize]);
    let area = &bytes[at.statements as usize..at.footer as usize];
    [&bytes[..from], &root, area, &footer.encode()].concat()
}

#[test]
fn what_is_not_vouched_for_writes_nothing() {
    let world = World::new();
    world.pack("v2", 2, "stranger", "stranger.pouch");
    let trace = world.at("trace");
    let calls = "trace=openat,open,openat2,creat,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat,\
                 unlink,unlinkat,truncate,mknod,mknodat,chmod,fchmodat,utimensat";
    let before = ["strace", "-f", "-y", "-e", calls, "-o", trace.to_str().expect("UTF-8")];
    let ran = finish(command(world.folder(), &before, &["unpack", "stranger.pouch", "--site", "site"]), "strace");
    ran.expect("strace", 4, &[]);
    let trace = fs::read_to_string(&trace).expect("trace");
    let site = world.at("site");
    let site = site.to_str().expect("UTF-8");
    let changes = |line: &&str| {
        let call = line.split_whitespace().nth(1).unwrap_or_default();
        let opens = call.starts_with("open") || call.starts_with("creat");
        let writes = ["O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC"].iter().any(|f| line.contains(f));
        (line.contains(site) || line.contains("\"site")) && if opens { writes } else { !call.starts_with("exit") }
    };
    let found: Vec<&str> = trace.lines().filter(|l| l.contains('(')).filter(changes).collect();
    assert!(found.len() >= 2, "the lock and the ledger are opened for writing: {trace}");
    for line in found {
        // The head names the line that was written.
        let known = ["\"lock\"", "\"log\"", "/ledger/new-head>", "ledger>, \"new-head\""];
        assert!(known.iter().any(|name| line.contains(name)), "{line}");
    }
    // As a check of the check: an unpack that is allowed does write.
    let done = finish(
        command(world.folder(), &before, &["unpack", "2.pouch", "--site", "site", "--allow-drop"]),
        "strace of an unpack",
    );
    done.expect("unpack", 0, &[]);
    let trace = fs::read_to_string(world.at("trace")).expect("trace");
    assert!(trace.lines().filter(changes).count() > 20);
}

#[test]
fn policies() {
    let world = World::new();
    let init = |name: &str, policy: &str, confirm: &str| {
        world.run(&["site", "init", name, "--policy", policy, "--confirm", confirm])
    };
    for (what, confirm, code) in [
        ("another digest", "0".repeat(64), 4),
        ("no digest", "yes".into(), 2),
        ("half of it", world.confirm[..32].to_owned(), 2),
        ("nothing", String::new(), 2),
    ] {
        init("new", "policy.txt", &confirm).expect(what, code, &["hint: "]);
        assert!(!world.at("new").exists(), "{what}");
    }
    world.write("unsigned/policy.txt", world.read("policy.txt"));
    init("new", "unsigned/policy.txt", &world.confirm).expect("unsigned", 4, &["signature", "hint: "]);
    world.run(&["verify", "1.pouch", "--policy", "unsigned/policy.txt"]).expect("unsigned", 4, &["hint: "]);
    world.write("unsigned/policy.txt.sig", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n");
    init("new", "unsigned/policy.txt", &world.confirm).expect("a bad signature", 4, &[]);
    for (name, bytes, code) in [
        ("empty", &b""[..], &[2, 3][..]),
        ("binary", &[0xff; 100], &[2, 3]),
        ("huge", &[b'a'; 100_000], &[1, 2, 3]),
        ("newer", b"pouch/v2 policy\n", &[5, 2, 3]),
    ] {
        world.write(name, bytes);
        for command in [vec!["policy", "show", name], vec!["verify", "1.pouch", "--policy", name]] {
            let ran = world.run(&command);
            assert!(code.contains(&ran.code) && ran.err.contains(name), "{command:?}: {ran:?}");
        }
    }
    // A site of another policy, and a folder that is none.
    let other = policy(world.folder(), "other.txt", "stranger.pub");
    init("second", "other.txt", &other).expect("another policy", 0, &[]);
    world.run(&["unpack", "1.pouch", "--site", "second"]).expect("another policy", 4, &["hint: "]);
    assert!(fs::symlink_metadata(world.at("second/current")).is_err());
    init("site", "policy.txt", &world.confirm).expect("a site already", 2, &["hint: "]);
    init("v1", "policy.txt", &world.confirm).expect("not empty", 2, &["hint: "]);
    world.run(&["unpack", "1.pouch", "--site", "v1"]).expect("no site", 2, &["hint: "]);
    world.run(&["policy", "apply", "other.txt", "--site", "site"]).expect("not a successor", 4, &[]);
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
}

#[test]
fn order() {
    let world = World::new();
    let unpack = |bundle: &str, more: &[&str]| world.run(&[&["unpack", bundle, "--site", "site"], more].concat());
    let before = snapshot(&world.at("site"), &[]);
    let drop = unpack("2.pouch", &[]);
    drop.expect("names vanish", 2, &["--allow-drop", "would vanish", "hint: "]);
    assert_eq!(snapshot(&world.at("site"), &[]), before, "nothing is written before the drop is allowed");
    let dry = unpack("2.pouch", &["--dry-run"]);
    dry.expect("dry run", 0, &[]);
    assert_eq!(snapshot(&world.at("site"), &[]), before, "a dry run writes nothing");
    unpack("2.pouch", &["--allow-drop"]).expect("newer", 0, &[]);
    let now = snapshot(&world.at("site"), &[]);
    unpack("2.pouch", &[]).expect("again", 0, &[]);
    assert_eq!(snapshot(&world.at("site"), &[]), now, "no new generation");
    world.pack("v1", 2, "packer", "2b.pouch");
    unpack("2b.pouch", &["--allow-drop"]).expect("another release of the same place", 4, &["hint: "]);
    // A site that begins with the second never takes the first.
    world.site("late");
    let late = |bundles: &[&str]| world.run(&[&["unpack"], bundles, &["--site", "late", "--allow-drop"]].concat());
    late(&["2.pouch"]).expect("the second first", 0, &[]);
    late(&["1.pouch"]).expect("older", 4, &["hint: "]);
    // In one run what came before the refusal stays, and a jump is no refusal.
    world.pack("v1", 9, "packer", "9.pouch");
    late(&["9.pouch", "1.pouch"]).expect("several", 4, &["hint: "]);
    assert_eq!(fs::read_link(world.at("late/current")).expect("link").to_str(), Some("generations/000002"));
    world.run(&["check", "--site", "late"]).expect("check", 0, &[]);
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
    for (name, arguments, code) in [
        ("no generation", vec!["rollback", "99", "--site", "site"], 2),
        ("huge", vec!["rollback", "99999999999999", "--site", "site"], 2),
        ("no image", vec!["export", "no/such:1", "--site", "site", "-o", "x.tar"], 2),
        ("no folder", vec!["export", "sample/web:1.1", "--site", "site", "-o", "no/x.tar"], 1),
    ] {
        world.run(&arguments).expect(name, code, &["hint: "]);
        assert!(!world.at("x.tar").exists());
    }
}

#[test]
fn sites_that_cannot_be_written() {
    let world = World::new();
    let before = snapshot(&world.at("site"), &[]);
    let unpack = ["unpack", "2.pouch", "--site", "site", "--allow-drop"];
    // Another process holds the lock.
    let lock = fs::File::options().write(true).open(world.at("site/lock")).expect("lock");
    lock.lock().expect("locked");
    world.run(&unpack).expect("locked", 1, &["another process", "hint: "]);
    world.run(&["gc", "--site", "site"]).expect("locked", 1, &["another process"]);
    world.run(&["rollback", "--site", "site"]).expect("locked", 1, &["another process"]);
    world.run(&["status", "--site", "site"]).expect("locked", 0, &[]);
    drop(lock);
    // A disk that takes small files only: writing a larger one fails in the middle, as on a full disk.
    each(["2", "8", "16"], |blocks| {
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let small = ["sh", "-c", &limit, "sh"];
        let ran = finish(command(world.folder(), &small, &unpack), "a small disk");
        assert_eq!(fs::read_link(world.at("site/current")).expect("link").to_str(), Some("generations/000001"));
        ran.expect(blocks, 1, &["hint: "]);
        world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
        let pack = ["pack", "v2/pouch.toml", "--stream", "sample", "--sequence", "3", "-o", "small.pouch", "-q"];
        let ran = finish(command(world.folder(), &small, &pack), "a small disk");
        ran.expect(blocks, 1, &["small.pouch"]);
        let left: Vec<_> = fs::read_dir(world.folder()).expect("list").flatten().map(|e| e.file_name()).collect();
        assert!(!left.iter().any(|n| n.to_string_lossy().contains("small.pouch")), "{left:?}");
    });
    for (path, says) in snapshot(&world.at("site"), &["staging"]) {
        assert_eq!(before.get(&path), Some(&says), "{}", path.display());
    }
    read_only(&world, &unpack);
    world.run(&unpack).expect("at last", 0, &[]);
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
}

/// A site that the user may not write: as root another user stands in.
fn read_only(world: &World, unpack: &[&str]) {
    let root = rustix::process::getuid().is_root();
    let before = snapshot(&world.at("site"), &[]);
    let mut folders: Vec<_> =
        before.iter().filter(|(_, s)| *s == "folder").map(|(p, _)| world.at("site").join(p)).collect();
    folders.push(world.at("site"));
    let modes = |mode: u32| {
        for f in &folders {
            fs::set_permissions(f, fs::Permissions::from_mode(mode)).expect("chmod");
        }
    };
    modes(0o555);
    fs::set_permissions(world.folder(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let mut command = command(world.folder(), &[], unpack);
    if root {
        // The program itself may lie where nobody else can go.
        let own = world.at("pouch");
        fs::copy(env!("CARGO_BIN_EXE_pouch"), &own).expect("copy");
        command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(own).args(unpack);
        command.current_dir(world.folder());
    }
    let ran = finish(command, "read-only");
    modes(0o755);
    fs::set_permissions(world.at("site/staging"), fs::Permissions::from_mode(0o700)).expect("chmod");
    ran.expect("read-only", 1, &["ermission", "hint: "]);
    assert_eq!(snapshot(&world.at("site"), &[]), before);
}

#[test]
fn leftovers_in_staging() {
    let world = World::new();
    copy(&world.at("site"), &world.at("other"));
    let hex = |bytes: &[u8]| pouch::digest::Digest::of(bytes).hex();
    let victim = world.at("victim");
    fs::write(&victim, "precious").expect("write");
    let stage = |name: &str| world.at("site/staging").join(name);
    let blobs: Vec<String> = {
        world.run(&["unpack", "2.pouch", "--site", "other", "--allow-drop"]).expect("other", 0, &[]);
        let (new, old) = (snapshot(&world.at("other/blobs"), &[]), snapshot(&world.at("site/blobs"), &[]));
        let names = new.keys().filter(|k| !old.contains_key(*k)).filter_map(|k| k.file_name());
        names.map(|n| n.to_string_lossy().into_owned()).filter(|n| n.len() >= 64).collect()
    };
    assert!(blobs.len() >= 7, "{blobs:?}");
    fs::write(stage(&format!("{}.done", blobs[0])), "other bytes").expect("write");
    fs::write(stage(&format!("{}.part", blobs[1])), "half").expect("write");
    symlink(&victim, stage(&format!("{}.part", blobs[2]))).expect("symlink");
    symlink(&victim, stage(&format!("{}.done", blobs[3]))).expect("symlink");
    fs::create_dir(stage(&format!("{}.done", blobs[4]))).expect("mkdir");
    mkfifo(&world, &format!("site/staging/{}.done", blobs[5]));
    fs::create_dir(stage(&format!("{}.part", blobs[6]))).expect("mkdir");
    fs::write(stage("junk"), "junk").expect("write");
    fs::write(stage(&format!("{}.done", hex(b"of another bundle"))), "of another bundle").expect("write");
    fs::create_dir_all(stage("gen-000002/www")).expect("mkdir");
    symlink("/", stage("gen-000002/root")).expect("symlink");
    symlink("/", stage("new-current")).expect("symlink");
    fs::create_dir_all(stage("old-000001/x")).expect("mkdir");
    world.run(&["unpack", "2.pouch", "--site", "site", "--allow-drop"]).expect("leftovers", 0, &[]);
    assert_eq!(fs::read(&victim).expect("victim"), b"precious");
    assert_eq!(snapshot(&world.at("site/current/"), &[]), snapshot(&world.at("other/current/"), &[]));
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
}
