//! Deltas against what sites say that they have.

use crate::sites::{json, pack, served, show, unpack};
use crate::world::World;
use serde_json::Value;

/// A world with sites `a` and `b` that show v1, their keys, receipts and a policy that names the key of `a`.
fn world() -> World {
    let world = World::bare();
    for (n, version) in [(1, "v1"), (2, "v2")] {
        pack(&world, version, n, &["-o", &format!("{n}.pouch")]).expect(version, 0, &[]);
    }
    for site in ["a", "b"] {
        world.run(&["key", "new", &format!("{site}.key")]).expect("key", 0, &[]);
        let init = ["site", "init", site, "--policy", "policy.txt", "--confirm", &world.confirm, "--name", site];
        world.run(&init).expect("init", 0, &[]);
        unpack(&world, site, &["1.pouch"]).expect("1", 0, &[]);
        receipt(&world, site);
    }
    world
}

fn receipt(world: &World, site: &str) {
    let (key, file) = (format!("{site}.key"), format!("{site}.txt"));
    world.run(&["receipt", "--site", site, "--with", &key, "-o", &file]).expect("receipt", 0, &[]);
}

fn delta(world: &World, more: &[&str]) -> Value {
    json(pack(world, "v2", 2, more).expect("delta", 0, &[]))
}

#[test]
fn what_all_sites_have_is_left_out() {
    let world = world();
    let by_base = delta(&world, &["--base", "1.pouch", "-o", "base.pouch"]);
    let one = delta(&world, &["--have", "a.txt", "-o", "one.pouch"]);
    for key in ["release", "left_out"] {
        assert_eq!(one[key], by_base[key], "the site has what the release has");
    }
    assert!(one["notes"].to_string().contains("no policy was given that says whose that is"), "{one}");
    // With the old bundle beside it, what changed is patched too.
    let both = delta(&world, &["--have", "a.txt", "--have", "b.txt", "--base", "1.pouch", "-o", "both.pouch"]);
    assert_eq!(both["bundle_bytes"], by_base["bundle_bytes"]);
    assert!(both["bundle_bytes"].as_u64() <= one["bundle_bytes"].as_u64());
    // A site that has more: only what both have is left out, and no head is common.
    unpack(&world, "b", &["2.pouch"]).expect("2", 0, &[]);
    receipt(&world, "b");
    let alone = delta(&world, &["--have", "b.txt", "-o", "alone.pouch"]);
    assert_eq!(alone["left_out"]["against"][0]["sequence"], 2);
    assert!(alone["left_out"]["blobs"].as_u64() > one["left_out"]["blobs"].as_u64());
    let shared = delta(&world, &["--have", "b.txt", "--have", "a.txt", "-o", "shared.pouch"]);
    assert_eq!(shared["left_out"]["blobs"], one["left_out"]["blobs"]);
    assert_eq!(shared["left_out"]["against"], serde_json::json!([]));
    assert!(show(&world, "shared.pouch")["against"].is_null());
    for site in ["a", "b"] {
        unpack(&world, site, &["shared.pouch"]).expect(site, 0, &[]);
        world.run(&["check", "--site", site]).expect(site, 0, &[]);
    }
    assert_eq!(served(&world, "a"), served(&world, "b"));
}

#[test]
fn a_policy_says_whose_receipt_counts() {
    let world = world();
    // `policy new` names no sites: the text is made here and signed by the admin.
    let text = String::from_utf8(world.read("policy.txt")).expect("text");
    let site = String::from_utf8(world.read("a.key.pub")).expect("key");
    let words: Vec<&str> = site.split_whitespace().take(2).collect();
    world.write("sites.txt", format!("{text}site: a = {}\n", words.join(" ")));
    world.run(&["policy", "sign", "sites.txt", "--with", "admin"]).expect("sign", 0, &[]);
    let known = delta(&world, &["--have", "a.txt", "--policy", "sites.txt", "-o", "a.pouch"]);
    assert!(known["notes"].to_string().contains("the policy names"), "{known}");
    let other = pack(&world, "v2", 2, &["--have", "b.txt", "--policy", "sites.txt", "-o", "b.pouch"]);
    other.expect("another site's", 4, &["b.txt", "the site b"]);
    // The policy without sites says nothing of them.
    delta(&world, &["--have", "b.txt", "--policy", "policy.txt", "-o", "b.pouch"]);
}

#[test]
fn false_receipts_are_refused_or_do_no_harm() {
    let world = world();
    let text = String::from_utf8(world.read("a.txt")).expect("text");
    world.write("edited.txt", text.replace("site: a\n", "site: c\n"));
    world.write("edited.txt.sig", world.read("a.txt.sig"));
    world.write("edited.txt.inventory", world.read("a.txt.inventory"));
    let with = |file: &str| pack(&world, "v2", 2, &["--have", file, "-o", "x.pouch"]);
    with("edited.txt").expect("edited", 4, &["edited.txt", "signature"]);
    world.write("cut.txt", world.read("a.txt"));
    with("cut.txt").expect("no signature", 1, &["cut.txt.sig"]);
    world.write("cut.txt.sig", world.read("a.txt.sig"));
    with("cut.txt").expect("no inventory", 1, &["cut.txt.inventory"]);
    let inventory = world.read("a.txt.inventory");
    world.write("cut.txt.inventory", &inventory[..inventory.len() - 1]);
    with("cut.txt").expect("cut inventory", 3, &["inventory"]);
    with("policy.txt").expect("no receipt", 1, &[]);
    assert!(!world.at("x.pouch").exists());
    // One that lies gives a delta that the site refuses, with a list that makes up the rest.
    unpack(&world, "b", &["2.pouch"]).expect("2", 0, &[]);
    receipt(&world, "b");
    delta(&world, &["--have", "b.txt", "-o", "lie.pouch"]);
    let refused = unpack(&world, "a", &["lie.pouch"]);
    refused.expect("a has less than b", 2, &["lacks"]);
    world.write("need.json", &refused.out);
    delta(&world, &["--have", "b.txt", "--need", "need.json", "-o", "rest.pouch"]);
    unpack(&world, "a", &["rest.pouch"]).expect("the rest", 0, &[]);
    world.run(&["check", "--site", "a"]).expect("check", 0, &[]);
}
