//! Bundles that are not what they should be, given to every command that takes one.

use crate::world::{World, each, snapshot};
use pouch::bundle::Sealed;
use pouch::cbor;
use pouch::digest::Digest;
use pouch::format::area;
use pouch::format::frame::{FOOTER_LEN, Footer, HEADER_LEN, Layout};
use pouch::op::seal;
use pouch::trust::PrivateKey;
use pouch::trust::statement::{Seal, Statement, Terms};
use std::ffi::CString;
use std::fs;

/// What is looked at through a bundle; `B` stands for it.
const LOOKS: [&[&str]; 5] = [
    &["ls", "B"],
    &["show", "B"],
    &["complete", "B", "--lists", "v1/outputs"],
    &["extract-index", "B", "-o", "small.pouch"],
    &["seal", "B", "--with", "packer", "-o", "seals"],
];
/// What decides by a bundle.
const JUDGES: [&[&str]; 2] =
    [&["verify", "B", "--policy", "policy.txt"], &["unpack", "B", "--site", "site", "--allow-drop"]];

fn given<'a>(command: &[&'a str], bundle: &'a str) -> Vec<&'a str> {
    command.iter().map(|w| if *w == "B" { bundle } else { w }).collect()
}

/// Gives `bundle` to the judges, which refuse it with `code`, and to the others, which end with 0 or a code of `looks`.
fn refused(world: &World, bundle: &str, code: &[i32], looks: &[i32], words: &[&str]) {
    for command in JUDGES {
        let ran = world.run(&given(command, bundle));
        assert!(code.contains(&ran.code), "{bundle} {command:?}: {ran:?}");
        assert!(ran.err.contains("hint: "), "{bundle} {command:?}: no hint: {}", ran.err);
        assert!(words.iter().all(|w| ran.err.contains(w)), "{bundle} {command:?}: {words:?}: {}", ran.err);
    }
    for command in LOOKS {
        let ran = world.run(&given(command, bundle));
        assert!(looks.contains(&ran.code), "{bundle} {command:?}: {ran:?}");
    }
    assert!(!world.at("small.pouch").exists() || looks.contains(&0), "{bundle}: an index of a bad bundle");
    let _ = fs::remove_file(world.at("small.pouch"));
}

/// Numbers that look random, the same every time.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    let mut x = seed;
    std::iter::repeat_with(move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    })
}

fn layout(bytes: &[u8]) -> (Footer, Layout) {
    let footer = Footer::decode(bytes[bytes.len() - FOOTER_LEN..].try_into().expect("a footer")).expect("a footer");
    let layout = footer.layout(bytes.len() as u64).expect("a layout");
    (footer, layout)
}

/// The places where the parts of a bundle begin, and its end.
fn parts(bytes: &[u8]) -> Vec<usize> {
    let (_, l) = layout(bytes);
    let all = [0, l.blocks, l.sections, l.release_root, l.carriage_root, l.statements, l.footer, l.end];
    all.into_iter().map(|n| usize::try_from(n).expect("small")).collect()
}

#[test]
fn damaged_bundles_change_nothing() {
    let world = World::new();
    let (one, two) = (world.read("1.pouch"), world.read("2.pouch"));
    // A site that shares no blob with the bundle: blocks that nobody needs are not read.
    world.write("tiny/list.toml", "[[files]]\nfrom = \"f\"\n");
    world.write("tiny/f", "tiny");
    let tiny = ["pack", "tiny/list.toml", "--stream", "sample", "--sequence", "1", "--seal-with", "packer"];
    world.run(&[&tiny[..], &["-o", "tiny.pouch"]].concat()).expect("tiny", 0, &[]);
    fs::remove_dir_all(world.at("site")).expect("rm");
    world.site("site");
    world.run(&["unpack", "tiny.pouch", "--site", "site"]).expect("tiny", 0, &[]);
    let before = snapshot(&world.at("site"), &["staging"]);
    let mut random = numbers(7);
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    // Truncated at and around every part, and anywhere.
    let mut cuts: Vec<usize> = parts(&two).iter().flat_map(|p| [p.saturating_sub(1), *p, p + 1]).collect();
    cuts.extend(random.by_ref().take(6).map(|n| n as usize % two.len()));
    for cut in cuts.into_iter().filter(|c| *c < two.len()) {
        cases.push((format!("cut-{cut}"), two[..cut].to_vec()));
    }
    // One bit, in every part and anywhere.
    let bounds = parts(&two);
    let inside = bounds.windows(2).filter(|w| w[0] < w[1]).map(|w| (w[0] + w[1]) / 2).collect::<Vec<_>>();
    for at in inside.into_iter().chain(random.by_ref().take(16).map(|n| n as usize % two.len())) {
        let mut bytes = two.clone();
        bytes[at] ^= 1 << (at % 8);
        cases.push((format!("flip-{at}"), bytes));
    }
    // The begin of one and the end of the other.
    for (i, (a, b)) in parts(&one).into_iter().zip(parts(&two)).enumerate().filter(|(i, _)| *i > 1 && *i < 7) {
        cases.push((format!("splice-{i}"), [&one[..a], &two[b..]].concat()));
    }
    cases.push(("twice".into(), [&two[..], &two[..]].concat()));
    cases.push(("behind".into(), [&two[..], b"x"].concat()));
    cases.push(("zeros-behind".into(), [&two[..], &[0; 512]].concat()));
    cases.push(("before".into(), [b"x", &two[..]].concat()));
    cases.push(("empty".into(), vec![]));
    cases.push(("text".into(), b"<html>404 Not Found</html>".repeat(20)));
    each(cases.iter().enumerate(), |(n, (name, bytes))| {
        // The digests of what the footer names are looked at before the signature; of the rest, after it.
        // Whole blobs of a damaged bundle stay for the next try; two tries could make one good bundle.
        for left in fs::read_dir(world.at("site/staging")).expect("list") {
            fs::remove_file(left.expect("entry").path()).expect("rm");
        }
        let file = format!("{name}.pouch");
        world.write(&file, bytes);
        if n % 4 == 0 || !name.starts_with(['c', 'f']) {
            refused(&world, &file, &[3, 4, 5], &[0, 1, 3, 5], &[]);
        } else {
            for command in JUDGES {
                let ran = world.run(&given(command, &file));
                assert!([3, 4, 5].contains(&ran.code), "{name}: {ran:?}");
                assert!(name.starts_with("flip") || ran.code == 3, "{name}: {ran:?}");
            }
        }
        fs::remove_file(world.at(&file)).expect("rm");
    });
    assert_eq!(snapshot(&world.at("site"), &["staging"]).len(), before.len(), "names");
    for (path, says) in snapshot(&world.at("site"), &["staging"]) {
        assert_eq!(before.get(&path), Some(&says), "{}", path.display());
    }
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
    // What damage left in staging does not stand in the way of the whole bundle.
    world.run(&["unpack", "2.pouch", "--site", "site", "--allow-drop"]).expect("the whole one", 0, &[]);
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
}

#[test]
fn things_that_are_no_file_are_refused_at_once() {
    let world = World::new();
    let before = snapshot(&world.at("site"), &[]);
    fs::create_dir(world.at("folder")).expect("mkdir");
    mkfifo(&world, "fifo");
    std::os::unix::fs::symlink("nowhere", world.at("broken")).expect("symlink");
    std::os::unix::fs::symlink("round", world.at("round")).expect("symlink");
    each(
        [
            ("folder", 2),
            ("fifo", 2),
            ("/dev/zero", 2),
            ("/dev/null", 2),
            ("broken", 1),
            ("round", 1),
            ("nowhere", 1),
            ("policy.txt/x", 1),
        ],
        |(bundle, code)| {
            refused(&world, bundle, &[code], &[code], &[]);
        },
    );
    // The same for everything else that a command reads.
    each(["folder", "fifo", "/dev/zero", "nowhere"], |thing| {
        for command in [
            vec!["policy", "show", thing],
            vec!["policy", "sign", thing, "--with", "admin"],
            vec!["policy", "apply", thing, "--site", "site"],
            vec!["policy", "sign", "policy.txt", "--with", thing],
            vec!["verify", "1.pouch", "--policy", thing],
            vec!["site", "init", "other", "--policy", thing, "--confirm", &world.confirm],
            vec!["pack", thing, "--stream", "sample", "--sequence", "9", "-o", "x.pouch"],
            vec!["pack", "--kubespray-offline", thing, "--stream", "sample", "--sequence", "9", "-o", "x.pouch"],
            vec!["pack", "v1/pouch.toml", "--stream", "a", "--sequence", "9", "--seal-with", thing, "-o", "x.pouch"],
            vec!["pack", "v1/pouch.toml", "--stream", "a", "--sequence", "9", "--policy", thing, "-o", "x.pouch"],
            vec!["seal", "1.pouch", "--with", thing],
            vec!["approve", "1.pouch", "--group", "g", "--with", thing],
            vec!["unpack", "1.pouch", "--site", thing],
        ] {
            let ran = world.run(&command);
            assert!([1, 2].contains(&ran.code), "{command:?}: {ran:?}");
            assert!(ran.err.contains(thing), "{command:?}: which? {}", ran.err);
        }
    });
    assert!(!world.at("x.pouch").exists() && !world.at("other").exists());
    // A stick with a pipe, a folder, a link into nothing and something huge where statements are looked for.
    fs::create_dir_all(world.at("stick/d.txt")).expect("mkdir");
    mkfifo(&world, "stick/a.txt");
    mkfifo(&world, "stick/b.txt.sig");
    for name in ["a.txt.sig", "b.txt", "d.txt.sig", "e.txt.sig"] {
        world.write(&format!("stick/{name}"), "x");
    }
    std::os::unix::fs::symlink("/dev/zero", world.at("stick/c.txt")).expect("symlink");
    std::os::unix::fs::symlink("/dev/zero", world.at("stick/c.txt.sig")).expect("symlink");
    fs::File::create(world.at("stick/huge.txt")).and_then(|f| f.set_len(1 << 40)).expect("a hole");
    world.write("stick/huge.txt.sig", "x");
    world.run(&["verify", "1.pouch", "--policy", "policy.txt", "--statements", "stick"]).expect("stick", 0, &["a.txt"]);
    world.run(&["unpack", "1.pouch", "--site", "site", "--statements", "stick"]).expect("stick", 0, &["a.txt"]);
    assert_eq!(snapshot(&world.at("site"), &[]), before);
}

pub fn mkfifo(world: &World, name: &str) {
    let path = CString::new(world.at(name).to_str().expect("UTF-8")).expect("no NUL");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o644)).expect("mkfifo");
}

/// Rewrites the roots of a bundle by name of a map key, and seals the result with the key `packer`.
fn rewritten(
    world: &World,
    bytes: &[u8],
    release: impl Fn(&mut Vec<(cbor::Value, cbor::Value)>),
    carriage: impl Fn(&mut Vec<(cbor::Value, cbor::Value)>),
) -> Vec<u8> {
    let (mut footer, at) = layout(bytes);
    let part = |from: u64, to: u64| &bytes[from as usize..to as usize];
    let edit = |bytes: &[u8], edit: &dyn Fn(&mut Vec<(cbor::Value, cbor::Value)>)| {
        let mut value = cbor::decode_value(bytes).expect("a root");
        edit(value.as_map_mut().expect("a map"));
        cbor::encode_value(&value)
    };
    let release = edit(part(at.release_root, at.carriage_root), &release);
    footer.release_id = Digest::labelled("release", &release);
    let carriage = edit(part(at.carriage_root, at.volume_map), &|map| {
        for (k, v) in map.iter_mut() {
            if *k == cbor::Value::Integer(0.into()) {
                *v = cbor::Value::Bytes(footer.release_id.0.to_vec());
            }
        }
        carriage(map);
    });
    footer.carriage_id = Digest::labelled("carriage", &carriage);
    let key = PrivateKey::parse(&world.read("packer"), None).expect("a key");
    let sealed = Sealed::open(bytes).expect("opens");
    let bundle = pouch::bundle::Bundle::parse(sealed, ()).expect("parses");
    let mut identity = seal::identity(&bundle.release, footer.release_id);
    identity.place.sequence = 2;
    let terms = Terms { issued: 1_700_000_000, ..Terms::default() };
    let seal = Seal { identity, carriage: footer.carriage_id, claims: seal::claims(&bundle.release), terms };
    let area = area::encode(&[Statement::Seal(seal).sign(&key).expect("signs")]).expect("an area");
    footer.release_root_len = u32::try_from(release.len()).expect("small");
    footer.carriage_root_len = u32::try_from(carriage.len()).expect("small");
    footer.statements_len = u32::try_from(area.len()).expect("small");
    footer.statements = Digest::labelled("statements", &area);
    [part(0, at.release_root), &release, &carriage, &area, &footer.encode()].concat()
}

fn number(n: u64) -> cbor::Value {
    cbor::Value::Integer(n.into())
}

fn set(map: &mut Vec<(cbor::Value, cbor::Value)>, key: u64, value: cbor::Value) {
    match map.iter_mut().find(|(k, _)| *k == number(key)) {
        Some((_, v)) => *v = value,
        None => map.push((number(key), value)),
    }
}

#[test]
fn well_signed_bundles_of_another_make_are_refused() {
    let world = World::new();
    let two = world.read("2.pouch");
    let before = snapshot(&world.at("site"), &[]);
    let text = |t: &str| cbor::Value::Text(t.into());
    let mut version = two.clone();
    version[9] = 2;
    let mut footer_version = two.clone();
    let at = two.len() - FOOTER_LEN + 9;
    footer_version[at] = 2;
    const { assert!(HEADER_LEN > 9) };
    let nothing = |_: &mut Vec<(cbor::Value, cbor::Value)>| {};
    let of_release = |f: &dyn Fn(&mut Vec<(cbor::Value, cbor::Value)>)| rewritten(&world, &two, f, nothing);
    let of_carriage = |f: &dyn Fn(&mut Vec<(cbor::Value, cbor::Value)>)| rewritten(&world, &two, nothing, f);
    let cases: Vec<(&str, Vec<u8>, &[i32], &str)> = vec![
        ("version", version, &[5], "version 2"),
        ("footer-version", footer_version, &[5], "version 2"),
        ("schema", of_release(&|m| set(m, 8, cbor::Value::Array(vec![text("file/1"), text("rpm/2")]))), &[5], "rpm/2"),
        ("hidden", of_release(&|m| set(m, 8, cbor::Value::Array(vec![text("\u{202e}x/1")]))), &[5], "202e"),
        ("feature", of_carriage(&|m| set(m, 6, cbor::Value::Array(vec![text("zstd-patch")]))), &[5], "zstd-patch"),
        ("key", of_release(&|m| set(m, 77, number(1))), &[3, 5], "release root"),
        ("stream", of_release(&|m| set(m, 0, text("../../x"))), &[3, 4], "release root"),
        ("sequence", of_release(&|m| set(m, 2, number(7))), &[3, 4], "seal"),
        ("version-text", of_release(&|m| set(m, 3, text("1\u{1b}[2J"))), &[3, 4], "release root"),
        ("bytes", of_release(&|m| set(m, 6, number(u64::MAX))), &[3, 4], "seal"),
        ("blocks", of_carriage(&|m| set(m, 2, number(u64::MAX))), &[3], "block table"),
        ("chunks", of_carriage(&|m| set(m, 4, number(u64::MAX))), &[3], ""),
        ("blocks-len", of_carriage(&|m| set(m, 3, number(u64::MAX))), &[3], ""),
        ("no-sections", of_carriage(&|m| set(m, 1, cbor::Value::Array(vec![]))), &[3], ""),
        ("not-a-map", of_carriage(&|m| m.clear()), &[3], "carriage root"),
    ];
    each(cases, |(name, bytes, code, word)| {
        let file = format!("{name}.pouch");
        world.write(&file, bytes);
        let looks: Vec<i32> = code.iter().copied().chain([0, 1, 3, 5]).collect();
        refused(&world, &file, code, &looks, &[word]);
    });
    assert_eq!(snapshot(&world.at("site"), &[]), before);
    world.run(&["check", "--site", "site"]).expect("check", 0, &[]);
}
