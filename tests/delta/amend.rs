//! A release amended from the index of the one before it: one small bundle, and the site as if all had been packed anew.

use crate::sites::{json, pack, served, show, unpack};
use crate::world::{Ran, World, command, copy, finish};
use std::fs;

const REASON: &str = "CVE-2026-1234 in the tool";

/// The image that is mended.
const JOB: &str = "outputs/images/quay.io_sample_job-1";

/// A world with `1.pouch` and its index `1i.pouch`; `fix/fix.toml`, which has one image and one script; and `whole`, which is v1
/// with both mended.
fn world() -> World {
    let world = World::bare();
    pack(&world, "v1", 1, &["-o", "1.pouch"]).expect("v1", 0, &[]);
    world.run(&["extract-index", "1.pouch", "-o", "1i.pouch"]).expect("index", 0, &[]);
    world.write("fix/files/hello.sh", "echo mended\n");
    let list =
        format!("version = \"1.1.1\"\n[[images]]\nfrom = \"../v2/{JOB}.2.tar.gz\"\n[[files]]\nfrom = \"files\"\n");
    world.write("fix/fix.toml", list);
    copy(&world.at("v1"), &world.at("whole"));
    fs::remove_file(world.at(&format!("whole/{JOB}.1.tar.gz"))).expect("the old image");
    copy(&world.at(&format!("v2/{JOB}.2.tar.gz")), &world.at("whole/outputs/images"));
    // Neither is executable.
    fs::remove_file(world.at("whole/outputs/files/hello.sh")).expect("the old script");
    world.write("whole/outputs/files/hello.sh", "echo mended\n");
    let list = String::from_utf8(world.read("v1/pouch.toml")).expect("text");
    world.write("whole/pouch.toml", list.replace("version = \"1.1\"", "version = \"1.1.1\""));
    world
}

fn amend(world: &World, old: &str, sequence: &str, more: &[&str]) -> Ran {
    let all = ["--json", "pack", "--amend", old, "--sequence", sequence, "--reason", REASON, "--add", "fix/fix.toml"];
    let mut command = command(world.folder(), &[], &[&all, more].concat());
    command.env("SOURCE_DATE_EPOCH", "1790000000");
    finish(command, "amend")
}

#[test]
fn a_fix_is_one_small_bundle() {
    let world = world();
    let more = ["--remove", "image/sample/job:*", "--seal-with", "packer", "--policy", "policy.txt", "-o"];
    let fix = |old: &str, to: &str| json(amend(&world, old, "2", &[&more[..], &[to]].concat()).expect(to, 0, &[]));
    let fixed = fix("1.pouch", "2.pouch");
    let of = &fixed["amends"];
    assert_eq!((&of["reason"], &of["of"]["sequence"], &of["added"]), (&REASON.into(), &1.into(), &2.into()));
    assert_eq!(of["removed"], serde_json::json!(["image sample/job:1.1"]));
    assert_eq!(of["replaced"], serde_json::json!(["file www/files/hello.sh"]));
    assert_eq!(fixed["left_out"]["against"][0]["sequence"], 1);
    assert!(fixed["notes"].to_string().contains("was sealed by paul"), "{fixed}");
    let old = fs::metadata(world.at("1.pouch")).expect("the old bundle").len();
    assert!(fixed["bundle_bytes"].as_u64() < Some(old / 3), "{old} {fixed}");
    // It is the release that packing everything anew gives, and so is what the index alone gives.
    let anew = json(pack(&world, "whole", 2, &["-o", "2w.pouch"]).expect("anew", 0, &[]));
    let index = fix("1i.pouch", "2i.pouch");
    assert!(index["notes"].to_string().contains("was sealed by paul"), "{index}");
    assert_eq!((&fixed["release"], &index["release"]), (&anew["release"], &anew["release"]));
    for bundle in ["2.pouch", "2i.pouch", "2w.pouch"] {
        let site = format!("site-{bundle}");
        world.site(&site);
        unpack(&world, &site, &["1.pouch"]).expect("1", 0, &[]);
        let ran = unpack(&world, &site, &[bundle]);
        ran.expect(bundle, 0, &[]);
        assert_eq!(ran.out.contains(REASON), bundle != "2w.pouch", "{ran:?}");
        world.run(&["check", "--site", &site]).expect(&site, 0, &[]);
        assert_eq!(served(&world, &site), served(&world, "site-2.pouch"));
        assert_eq!(world.read(&format!("{site}/current/www/files/hello.sh")), b"echo mended\n");
    }
}

#[test]
fn what_is_removed_is_told_and_needs_leave() {
    let world = world();
    let more = ["--remove", "www/charts/**", "--remove", "deb/*", "--seal-with", "packer", "-o", "2.pouch"];
    let fixed = json(amend(&world, "1i.pouch", "5", &more).expect("amend", 0, &[]));
    let removed = fixed["amends"]["removed"].as_array().expect("removed").clone();
    assert!(removed.iter().any(|n| n.as_str().is_some_and(|n| n.starts_with("chart www/charts/"))), "{fixed}");
    assert!(fixed["notes"].to_string().contains("no policy was given to verify the seal"), "{fixed}");
    let diff = json(world.run(&["--json", "diff", "1.pouch", "2.pouch"]).expect("diff", 0, &[]));
    assert_eq!(diff["removed"].as_array().map(Vec::len), Some(removed.len()), "{diff}");
    world.run(&["review", "2.pouch", "--against", "1.pouch", "-o", "page.html"]).expect("review", 0, &[]);
    let page = String::from_utf8(world.read("page.html")).expect("text");
    assert!(page.contains(&format!("The packer's reason: {REASON}")) && page.contains(&format!("comment: {REASON}")));
    world.site("site");
    unpack(&world, "site", &["1.pouch"]).expect("1", 0, &[]);
    world.run(&["unpack", "2.pouch", "--site", "site"]).expect("a drop", 2, &["would vanish", "--allow-drop"]);
    let dry = world.run(&["unpack", "2.pouch", "--site", "site", "--dry-run"]);
    assert!(dry.expect("dry run", 0, &[]).out.contains("removed"), "{dry:?}");
    unpack(&world, "site", &["2.pouch"]).expect("2", 0, &[]);
    assert!(!world.at("site/current/www/charts").join("sample-0.1.0.tgz").exists());
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
}

#[test]
fn the_reason_is_there_when_it_is_sealed_later() {
    let world = world();
    amend(&world, "1.pouch", "2", &["-o", "2.pouch"]).expect("unsealed", 0, &[]);
    world.run(&["extract-index", "2.pouch", "-o", "2i.pouch"]).expect("index", 0, &[]);
    for bundle in ["2.pouch", "2i.pouch"] {
        assert_eq!(show(&world, bundle)["reason"], REASON);
        let sealed = json(world.run(&["--json", "seal", bundle, "--with", "packer"]).expect("seal", 0, &[]));
        let text = sealed["statement"].as_str().expect("a text").to_owned();
        assert!(text.contains(&format!("\ncomment: {REASON}\n")), "{text}");
    }
    let own = ["--json", "seal", "2.pouch", "--with", "packer", "--comment", "as agreed", "-o", "own"];
    let sealed = json(world.run(&own).expect("own words", 0, &[]));
    assert!(sealed["statement"].as_str().is_some_and(|t| t.contains("\ncomment: as agreed\n")), "{sealed}");
    let verified = world.run(&["verify", "2.pouch", "--policy", "policy.txt"]);
    assert!(verified.expect("verify", 0, &[]).out.contains(&format!("amended: {REASON}")), "{verified:?}");
    // A plain pack has none.
    assert!(show(&world, "1.pouch")["reason"].is_null());
}

#[test]
fn wrong_amendments_are_refused() {
    let world = world();
    let out = ["-o", "2.pouch"];
    let with = |more: &[&str]| amend(&world, "1.pouch", "2", &[more, &out].concat());
    with(&["--remove", "image/nothing:*"]).expect("idle pattern", 2, &["no artifact", "image/nothing:*"]);
    with(&["--remove", "a["]).expect("bad pattern", 2, &["cannot be read"]);
    with(&["--stream", "other"]).expect("stream", 2, &["other", "sample"]);
    with(&["--epoch", "1"]).expect("epoch", 2, &["epoch"]);
    with(&["--base", "1.pouch"]).expect("base", 2, &["cannot be used with"]);
    amend(&world, "1.pouch", "1", &out).expect("sequence", 2, &["sequence 1"]);
    let pack = |more: &[&str]| world.run(&[&["pack", "--amend", "1.pouch", "--sequence", "2"], more, &out].concat());
    pack(&["--add", "fix/fix.toml"]).expect("no reason", 2, &["--reason"]);
    pack(&["--reason", "none"]).expect("no change", 2, &["would change nothing"]);
    pack(&["--remove", "**", "--reason", "all"]).expect("nothing left", 2, &["nothing would be left"]);
    pack(&["--remove", "deb/*", "--reason", "two\nlines"]).expect("reason", 2, &["cannot be a reason"]);
    world.run(&["pack", "v1/pouch.toml", "--sequence", "2", "--remove", "x", "-o", "2.pouch"]).expect("alone", 2, &[]);
    // Another one than the policy lets seal.
    world.pack("v1", 1, "stranger", "s.pouch");
    let strange = amend(&world, "s.pouch", "2", &["--policy", "policy.txt", "-o", "2.pouch"]);
    strange.expect("a stranger's release", 4, &[]);
    assert!(!world.at("2.pouch").exists());
}

#[test]
fn what_the_site_lost_comes_out_of_the_old_bundle() {
    let world = world();
    amend(&world, "1.pouch", "2", &["--seal-with", "packer", "-o", "2.pouch"]).expect("amend", 0, &[]);
    world.site("empty");
    let refused = unpack(&world, "empty", &["2.pouch"]);
    refused.expect("nothing is there", 2, &["lacks"]);
    world.write("need.json", &refused.out);
    let need = ["--need", "need.json", "--seal-with", "packer", "-o", "2n.pouch"];
    let index = amend(&world, "1i.pouch", "2", &need);
    index.expect("an index has no bytes", 2, &["kept of the old release", "whole bundle"]);
    let whole = json(amend(&world, "1.pouch", "2", &need).expect("the bundle has", 0, &[]));
    assert_eq!(whole["release"], show(&world, "2.pouch")["release"]);
    unpack(&world, "empty", &["2n.pouch"]).expect("unpacks", 0, &[]);
    world.run(&["check", "--site", "empty"]).expect("check", 0, &[]);
    world.site("site");
    unpack(&world, "site", &["1.pouch", "2.pouch"]).expect("in steps", 0, &[]);
    assert_eq!(served(&world, "empty"), served(&world, "site"));
}
