//! Full bundles of `--small`: streams are expanded and shared, and everything comes out as of the default bundle.

use crate::bundles::{Held, noise, read_with};
use crate::pairs::{Tree, packed, prepared};
use crate::world::{World, command, finish, snapshot};
use pouch::bundle::{self, Bundle, Options, Put, PutBlob, Sealed, Workplace, sizes::Made};
use pouch::digest::Blob;
use pouch::monitor::Silent;
use pouch::op::delta;
use pouch::op::pairs::Pairs;
use pouch::op::shrink::Shrinking;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Sources of a program, as a wheel and layers hold them: alike and not the same.
fn sources() -> Vec<(String, Vec<u8>)> {
    let words =
        ["def ", "return ", "import os\n", "self.", "    ", "value", " = ", "None\n", "(x, y)", "# a comment\n"];
    let line = |n: u64, len| noise(n, len).iter().flat_map(|b| words[usize::from(b % 10)].bytes()).collect();
    (0..40).map(|n| (format!("pkg/file{n}.py"), line(n, 20 + 130 * n as usize))).collect()
}

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        out.append_data(&mut header, name, &content[..]).expect("to memory");
    }
    out.into_inner().expect("to memory")
}

/// A zip archive (APPNOTE 6.3) whose members are streams of C zlib.
fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let gzip = packed(content, 6);
        let stream = &gzip[10..gzip.len() - 8];
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let (at, sizes) = (out.len() as u32, [crc.sum(), stream.len() as u32, content.len() as u32]);
        let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 0x21, 0x58][..], &sizes.map(u32::to_le_bytes).concat()].concat();
        let len = (name.len() as u16).to_le_bytes();
        out.extend([&b"PK\x03\x04"[..], &common, &len, &[0, 0], name.as_bytes(), stream].concat());
        let more = [&len[..], &[0; 12], &at.to_le_bytes()].concat();
        directory.extend([&b"PK\x01\x02\x14\x00"[..], &common, &more, name.as_bytes()].concat());
    }
    let (count, at, len) = (files.len() as u16, out.len() as u32, directory.len() as u32);
    let end = [&count.to_le_bytes()[..], &count.to_le_bytes(), &len.to_le_bytes(), &at.to_le_bytes(), &[0; 2]].concat();
    [out, directory, b"PK\x05\x06\0\0\0\0".to_vec(), end].concat()
}

fn tree() -> Tree {
    let files = sources();
    let mut turned = files.clone();
    turned.reverse();
    turned.push(("pkg/data".into(), noise(7, 90_000)));
    // Halves by two encoders: neither makes the whole.
    let (one, two) = (packed(&tar(&files), 1), packed(&tar(&turned), 9));
    let broken = [&one[..one.len() / 2], &two[two.len() / 2..]].concat();
    let members = [packed(&files[30].1, 4), packed(&files[31].1, 6)].concat();
    let content = [
        ("layer.tar", tar(&turned)),
        ("layer.tgz", packed(&tar(&files), 6)),
        ("other.tgz", packed(&tar(&turned), 9)),
        ("wheel.whl", zip(&files)),
        ("members.gz", members),
        ("broken.tgz", broken),
        ("noise.gz", packed(&noise(3, 70_000), 6)),
        ("noise.bin", noise(4, 70_000)),
        ("empty", vec![]),
    ];
    content.into_iter().map(|(name, content)| (name.to_owned(), content)).collect()
}

fn packs(tree: &Tree, small: bool, threads: usize) -> Vec<u8> {
    let prepared = prepared(tree, 1);
    let pairs = Pairs::new(&[], &[], &delta::Held::default());
    let options = Options { threads, level: 3, against: &[] };
    let blobs = |put: &mut dyn PutBlob| {
        let mut seen = BTreeSet::new();
        for (path, content) in tree.iter().filter(|(_, c)| seen.insert(Blob::of(c))) {
            put.put(&Blob::of(content), path, !path.ends_with("tar"), &mut &content[..])?;
        }
        Ok(())
    };
    let shrinking = Shrinking { pairs: &pairs, threads, small };
    let mut out = Vec::new();
    let feed = |put: &mut dyn Put| shrinking.feed(put, blobs);
    bundle::write(&mut out, &prepared, options, &Silent, feed, |_| Ok(vec![])).expect("writes");
    out
}

#[test]
fn streams_are_shared_and_come_out() {
    let tree = tree();
    let (full, small) = (packs(&tree, false, 2), packs(&tree, true, 2));
    let parsed = Bundle::parse(Sealed::open(&small[..]).expect("opens"), ()).expect("parses");
    assert_eq!(parsed.carriage.requires, ["replay/zlib/1"]);
    let proven = parsed.prove(Workplace::NONE, 2, &Silent).expect("proves");
    assert_eq!(proven.blobs, 4);
    let (of_full, of_small) = (read_with(&full, &Held::default()), read_with(&small, &Held::default()));
    let (of_full, of_small) = (of_full.expect("full"), of_small.expect("small"));
    assert_eq!(of_full.ids.release, of_small.ids.release);
    assert!(of_full.blobs == of_small.blobs);
    let sizes = parsed.sizes().expect("sizes");
    for (name, content) in &tree {
        let expanded = matches!(sizes.blobs.get(&Blob::of(content)), Some(Made::Differences { .. }));
        assert_eq!(expanded, ["layer.tgz", "other.tgz", "wheel.whl", "members.gz"].contains(&&name[..]), "{name}");
    }
    // One copy of the sources, of the noise, and what is verbatim; headers and short files besides.
    let sum = |name: &str| tree[name].len() as u64;
    let once = sum("layer.tar") + sum("broken.tgz") + sum("noise.gz") + sum("noise.bin");
    let plain: u64 = sizes.blocks.values().map(|b| b.plain).sum();
    assert!(plain < once + once / 5, "{plain} of {once}");
    assert!(small.len() * 4 < full.len() * 3, "{} of {}", small.len(), full.len());
}

#[test]
fn threads_change_nothing() {
    let tree = tree();
    let one = packs(&tree, true, 1);
    for threads in [2, 5] {
        assert!(packs(&tree, true, threads) == one, "{threads}");
    }
}

/// The second reader makes the same blobs of a bundle, from these bases.
pub fn second_reader(bundle: &[u8], bases: &[Vec<u8>], blobs: &mut dyn Iterator<Item = &Vec<u8>>) {
    let folder = tempfile::tempdir().expect("tempdir");
    let [file, base, out] = ["b.pouch", "bases", "blobs"].map(|name| folder.path().join(name));
    fs::write(&file, bundle).expect("writes");
    fs::create_dir(&base).expect("makes");
    bases.iter().enumerate().for_each(|(n, b)| fs::write(base.join(n.to_string()), b).expect("writes"));
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/reader.py");
    let mut command = Command::new("python3");
    command.arg(reader).arg(&file).arg("--bases").arg(&base).arg("--extract").arg(&out);
    let said = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("python3 is there");
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stdout));
    for content in blobs.filter(|b| !b.is_empty()) {
        let blob = Blob::of(content);
        let made = fs::read(out.join(blob.digest.hex()));
        assert!(made.is_ok_and(|made| made == *content), "{}", blob.digest);
    }
}

#[test]
fn the_second_reader_reads_it() {
    let tree = tree();
    second_reader(&packs(&tree, true, 1), &[], &mut tree.values());
}

fn pack(world: &World, list: &str, more: &[&str]) -> serde_json::Value {
    let arguments = ["--json", "pack", list, "--stream", "sample", "--sequence", "1", "--seal-with", "packer"];
    let mut command = command(world.folder(), &[], &[&arguments, more].concat());
    command.env("SOURCE_DATE_EPOCH", "1790000000");
    let ran = finish(command, "pack");
    ran.expect("pack", 0, &[]);
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
}

#[test]
fn the_sample_ends_in_the_same_site() {
    let world = World::bare();
    let list = "v1/pouch.toml";
    let full = pack(&world, list, &["-o", "full.pouch"]);
    let small = pack(&world, list, &["--small", "--threads", "2", "-o", "small.pouch"]);
    pack(&world, list, &["--small", "--threads", "1", "-o", "one.pouch"]);
    assert_eq!(full["release"], small["release"]);
    assert!(small["bundle_bytes"].as_u64() < full["bundle_bytes"].as_u64(), "{small}");
    assert!(world.read("small.pouch") == world.read("one.pouch"));
    let served = |bundle: &str| {
        world.site(&format!("of-{bundle}"));
        world.run(&["unpack", bundle, "--site", &format!("of-{bundle}")]).expect(bundle, 0, &[]);
        let current = fs::canonicalize(world.at(&format!("of-{bundle}/current"))).expect("current");
        snapshot(&current, &[".pouch", ".pouch/files.jsonl", ".pouch/generation.json"])
    };
    assert_eq!(served("full.pouch"), served("small.pouch"));
    // A delta of it is one as of any other, and what has no pair is expanded there too.
    world.write("v2/outputs/files/new.tgz", packed(&tar(&sources()), 6));
    let arguments = ["--sequence", "2", "--small", "--base", "small.pouch", "-o", "delta.pouch"];
    let list = ["pack", "v2/pouch.toml", "--stream", "sample", "--seal-with", "packer"];
    world.run(&[&list[..], &arguments].concat()).expect("delta", 0, &[]);
    let ran = world.run(&["unpack", "delta.pouch", "--site", "of-small.pouch", "--allow-drop"]);
    ran.expect("delta", 0, &[]);
}

#[test]
fn the_order_of_inputs_changes_nothing() {
    let world = World::bare();
    for (name, content) in tree() {
        world.write(&format!("{}/{name}", if name.len() % 2 == 0 { "even" } else { "odd" }), content);
    }
    for (list, from) in [("a.toml", r#"["even", "odd"]"#), ("b.toml", r#"["odd", "even"]"#)] {
        world.write(list, format!("[[files]]\nfrom = {from}\n"));
        pack(&world, list, &["--small", "-o", &list.replace("toml", "pouch")]);
    }
    assert!(world.read("a.pouch") == world.read("b.pouch"));
}
