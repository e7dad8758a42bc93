//! Whole runs of the program over the sample: v1, v2 and a v3 made of it.

use crate::world::{Ran, World, command, each, finish, snapshot};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A world with `1.pouch`, `2.pouch`, `3.pouch` in full and `2d`, `3d`, `3dd` as deltas: against 1, against 2, and 3 against 1.
fn world() -> World {
    let world = World::bare();
    crate::world::copy(&world.at("v2"), &world.at("v3"));
    world.write("v3/outputs/files/hello.sh", "echo a third release\n");
    world.write("v3/outputs/files/new.bin", crate::bundles::noise(5, 70_000));
    for (n, version) in [(1, "v1"), (2, "v2"), (3, "v3")] {
        pack(&world, version, n, &["-o", &format!("{n}.pouch")]).expect(version, 0, &[]);
    }
    delta(&world, "v2", 2, &["1.pouch"], "2d.pouch");
    delta(&world, "v3", 3, &["2.pouch"], "3d.pouch");
    delta(&world, "v3", 3, &["1.pouch"], "3dd.pouch");
    world
}

fn delta(world: &World, version: &str, sequence: u64, bases: &[&str], to: &str) -> Value {
    let bases = bases.iter().flat_map(|b| ["--base", b]);
    json(pack(world, version, sequence, &bases.chain(["-o", to]).collect::<Vec<_>>()).expect(to, 0, &[]))
}

/// Packs and seals at a fixed time: what is rendered of a release has the seal's.
pub fn pack(world: &World, version: &str, sequence: u64, more: &[&str]) -> Ran {
    let (list, sequence) = (format!("{version}/pouch.toml"), sequence.to_string());
    let arguments = ["--json", "pack", &list, "--stream", "sample", "--sequence", &sequence, "--seal-with", "packer"];
    let mut command = command(world.folder(), &[], &[&arguments, more].concat());
    command.env("SOURCE_DATE_EPOCH", "1790000000");
    finish(command, "pack")
}

pub fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
}

pub fn show(world: &World, bundle: &str) -> Value {
    json(world.run(&["--json", "show", bundle]).expect(bundle, 0, &[]))
}

/// What a site serves, by path, without what tells of its past: the file that lists a generation.
pub fn served(world: &World, site: &str) -> BTreeMap<PathBuf, String> {
    let current = fs::canonicalize(world.at(site).join("current")).expect("current");
    snapshot(&current, &[".pouch", ".pouch/files.jsonl", ".pouch/generation.json"])
}

pub fn unpack(world: &World, site: &str, bundles: &[&str]) -> Ran {
    let mut arguments = vec!["--json", "unpack"];
    arguments.extend(bundles);
    arguments.extend(["--site", site, "--allow-drop"]);
    world.run(&arguments)
}

#[test]
fn every_way_ends_in_the_same_site() {
    let world = world();
    for (full, delta) in [("2.pouch", "2d.pouch"), ("3.pouch", "3d.pouch"), ("3.pouch", "3dd.pouch")] {
        let (full, small) = (show(&world, full), show(&world, delta));
        assert_eq!(full["release"], small["release"]);
        assert_ne!(full["carriage"], small["carriage"]);
        assert!(small["blocks_bytes"].as_u64() < full["blocks_bytes"].as_u64());
        assert_eq!(small["against"].as_array().map(Vec::len), Some(1), "{small}");
    }
    let ways: [(&str, &[&[&str]]); 7] = [
        ("full", &[&["1.pouch"], &["2.pouch"], &["3.pouch"]]),
        ("chain", &[&["1.pouch"], &["2d.pouch"], &["3d.pouch"]]),
        ("at-once", &[&["1.pouch", "2d.pouch", "3d.pouch"]]),
        ("again", &[&["1.pouch"], &["2d.pouch"], &["2d.pouch", "2.pouch"], &["3d.pouch"], &["3.pouch", "3dd.pouch"]]),
        ("mixed", &[&["1.pouch"], &["2.pouch", "2d.pouch"], &["3d.pouch"]]),
        ("skip", &[&["1.pouch"], &["3dd.pouch"]]),
        ("skip-full", &[&["1.pouch"], &["3.pouch"]]),
    ];
    for (site, calls) in ways {
        world.site(site);
        for call in calls {
            unpack(&world, site, call).expect(site, 0, &[]);
        }
        world.run(&["check", "--site", site]).expect(site, 0, &[]);
    }
    for site in ["chain", "at-once", "again", "mixed"] {
        assert_eq!(served(&world, site), served(&world, "full"), "{site}");
    }
    assert_eq!(served(&world, "skip"), served(&world, "skip-full"));
    let status = json(&world.run(&["--json", "status", "--site", "again"]));
    assert_eq!(status["current"], 3, "what was there already made no generation: {status}");
}

#[test]
fn what_is_lacking_is_listed_before_anything_is_written() {
    let world = world();
    world.site("empty");
    let before = snapshot(&world.at("empty"), &[]);
    let verified = json(&world.run(&["--json", "verify", "2d.pouch", "--policy", "policy.txt"]));
    let builds_on = verified["builds_on"]["blobs"].clone();
    for extra in [&[][..], &["--dry-run"]] {
        let arguments = [&["--json", "unpack", "2d.pouch", "--site", "empty"], extra].concat();
        let ran = world.run(&arguments);
        ran.expect("refused", 2, &["lacks", "sequence 1 of sample"]);
        let need = json(&ran)["need"].clone();
        let lacking = need["lacking"].as_array().expect("a list");
        assert_eq!(Some(lacking.len() as u64), builds_on.as_u64());
        assert!(lacking.iter().all(|l| l["artifacts"].as_array().is_some_and(|a| !a.is_empty())), "{need}");
        assert_eq!(need["against"][0]["release"], show(&world, "1.pouch")["release"]);
        assert_eq!(snapshot(&world.at("empty"), &[]), before);
        world.write("need.json", &ran.out);
    }
    let ran = world.run(&["unpack", "2d.pouch", "--site", "empty"]);
    ran.expect("as text", 2, &["needed  sha256:", "carried by release"]);
    // The list goes back; what is packed for it needs nothing.
    let rest = ["--base", "1.pouch", "--need", "need.json", "-o", "rest.pouch"];
    pack(&world, "v2", 2, &rest).expect("pack --need", 0, &[]);
    unpack(&world, "empty", &["rest.pouch"]).expect("rest", 0, &[]);
    world.site("full");
    unpack(&world, "full", &["2.pouch"]).expect("full", 0, &[]);
    assert_eq!(served(&world, "empty"), served(&world, "full"));
    let refused = pack(&world, "v2", 2, &["--dry-run", "--base", "1.pouch", "--need", "v2/pouch.toml"]);
    refused.expect("no list", 2, &["is no need-list"]);
}

#[test]
fn a_base_that_changed_on_disk_is_lacking() {
    each([("flipped", 1), ("cut", 2), ("gone", 3)], |(what, how)| {
        let world = world();
        world.site("site");
        unpack(&world, "site", &["1.pouch"]).expect("unpack", 0, &[]);
        // The largest blob that both releases have.
        let mut blobs: Vec<(u64, PathBuf)> = walk(&world.at("site/blobs"));
        let kept = pack(&world, "v2", 2, &["--base", "1.pouch", "--dry-run"]);
        assert!(json(&kept)["left_out"]["blobs"].as_u64() > Some(1));
        blobs.sort();
        let hurt = blobs.iter().rev().find(|(_, path)| {
            let name = path.file_name().expect("name").to_string_lossy().into_owned();
            let digest = name.split('.').next().expect("hex").to_owned();
            let list = world.run(&["--json", "ls", "2.pouch"]).out;
            list.contains(&digest)
        });
        let (_, path) = hurt.expect("a shared blob");
        let bytes = fs::read(path).expect("read");
        fs::remove_file(path).expect("remove");
        match how {
            1 => fs::write(path, [&bytes[..9], &[bytes[9] ^ 1], &bytes[10..]].concat()).expect("write"),
            2 => fs::write(path, &bytes[..bytes.len() - 1]).expect("write"),
            _ => {}
        }
        let before = snapshot(&world.at("site"), &[]);
        let ran = unpack(&world, "site", &["2d.pouch"]);
        ran.expect(what, 2, &["lacks"]);
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let lacking = json(&ran)["need"]["lacking"].clone();
        assert_eq!(lacking.as_array().map(Vec::len), Some(1), "{what}: {lacking}");
        assert!(name.starts_with(lacking[0]["digest"].as_str().expect("digest")), "{what}: {lacking}");
        assert_eq!(snapshot(&world.at("site"), &[]), before, "{what}");
    });
}

fn walk(folder: &std::path::Path) -> Vec<(u64, PathBuf)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => out.extend(walk(&path)),
            false => out.push((fs::metadata(&path).expect("meta").len(), path)),
        }
    }
    out
}

#[test]
fn the_desk_takes_deltas() {
    let world = world();
    let verified =
        json(world.run(&["--json", "verify", "2d.pouch", "--policy", "policy.txt"]).expect("verify", 0, &[]));
    assert!(verified["builds_on"]["blobs"].as_u64() > Some(1), "{verified}");
    assert_eq!(world.run(&["ls", "2d.pouch"]).out, world.run(&["ls", "2.pouch"]).out);
    world.run(&["diff", "1.pouch", "2d.pouch"]).expect("diff", 0, &[]);
    world.run(&["review", "2d.pouch", "--against", "1.pouch", "-o", "page.html"]).expect("review", 0, &[]);
    world.run(&["extract-index", "2d.pouch", "-o", "2i.pouch"]).expect("extract-index", 0, &[]);
    assert_eq!(show(&world, "2i.pouch")["carriage"], show(&world, "2d.pouch")["carriage"]);
    for more in [&[][..], &["--against", "1.pouch"]] {
        let ran = world.run(&[&["--json", "complete", "2d.pouch", "--lists", "v2/outputs"], more].concat());
        ran.expect("complete", 0, &[]);
        assert_eq!(json(&ran)["checksums"]["equal"].as_u64() > Some(0), !more.is_empty(), "{ran:?}");
    }
    let extract = |bundle: &str, to: &str, more: &[&str]| {
        let arguments = ["extract", bundle, "--policy", "policy.txt", "--to", to];
        world.run(&[&arguments[..], more].concat())
    };
    extract("2.pouch", "full", &[]).expect("full", 0, &[]);
    extract("2d.pouch", "none", &[]).expect("no base", 2, &["not here", "--against OLD.pouch"]);
    extract("2d.pouch", "delta", &["--against", "1.pouch"]).expect("delta", 0, &[]);
    assert_eq!(snapshot(&world.at("delta"), &["MAP.json"]), snapshot(&world.at("full"), &["MAP.json"]));
    let new = ["--only-new", "--against", "1.pouch"];
    extract("2.pouch", "full-new", &new).expect("full", 0, &[]);
    extract("2d.pouch", "delta-new", &new).expect("delta", 0, &[]);
    assert_eq!(snapshot(&world.at("delta-new"), &["MAP.json"]), snapshot(&world.at("full-new"), &["MAP.json"]));
}

#[test]
fn one_approval_serves_every_carriage() {
    let world = world();
    world.run(&["key", "new", "reviewer"]).expect("key", 0, &[]);
    let new = ["policy", "new", "--admin", "1:ann=admin.pub", "--stream", "sample", "--sealer", "paul=packer.pub"];
    let group = ["--group", "security=1:sue=reviewer.pub", "--with", "admin", "-o", "strict.txt"];
    world.run(&[&new[..], &group].concat()).expect("policy", 0, &[]);
    let confirm = pouch::digest::Digest::of(&world.read("strict.txt")).hex();
    world.run(&["site", "init", "site", "--policy", "strict.txt", "--confirm", &confirm]).expect("init", 0, &[]);
    for (bundle, name) in [("1.pouch", "a1"), ("2.pouch", "a2")] {
        world.run(&["approve", bundle, "--with", "reviewer", "--group", "security", "-o", name]).expect(name, 0, &[]);
    }
    let take = |bundle: &str, statements: &str| {
        world.run(&["unpack", bundle, "--site", "site", "--allow-drop", "--statements", statements])
    };
    take("1.pouch", "a1").expect("1", 0, &[]);
    take("2d.pouch", "a1").expect("not approved", 4, &[]);
    take("2d.pouch", "a2").expect("approved as 2.pouch", 0, &[]);
}

#[test]
fn gc_keeps_what_a_delta_builds_on() {
    let world = world();
    world.site("site"); // shows one release of a stream
    unpack(&world, "site", &["1.pouch"]).expect("1", 0, &[]);
    unpack(&world, "site", &["2.pouch"]).expect("2", 0, &[]);
    unpack(&world, "site", &["3.pouch"]).expect("3", 0, &[]);
    let gc = |more: &[&str]| json(&world.run(&[&["--json", "gc", "--site", "site"], more].concat()));
    let (bare, kept) = (gc(&["--dry-run"]), gc(&["--dry-run", "--keep-for", "2d.pouch"]));
    assert!(kept["bytes"].as_u64() <= bare["bytes"].as_u64(), "{bare} {kept}");
    gc(&["--keep-for", "2d.pouch"]);
}
