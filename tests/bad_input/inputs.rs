//! Bad input to `pack`: files, names, packages, images and lists.

use crate::archives::{chart, deb, gzip, gzip_of_zeros, tar, wheel, zip};
use crate::bundles::mkfifo;
use crate::world::{World, each, snapshot};
use pouch::digest::Digest;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const PACK: [&str; 6] = ["pack", "in/list.toml", "--stream", "sample", "--sequence", "1"];

/// Packs `in/list.toml` of the world; what fails leaves no bundle and no part of one.
fn pack(world: &World, what: &str) -> crate::world::Ran {
    let ran = world.run(&[&PACK[..], &["-o", "out.pouch"]].concat());
    if ran.code != 0 {
        assert!(ran.err.contains("hint: "), "{what}: no hint: {}", ran.err);
        let left: Vec<_> = fs::read_dir(world.folder()).expect("list").flatten().map(|e| e.file_name()).collect();
        assert!(!left.iter().any(|n| n.to_string_lossy().contains("out.pouch")), "{what}: {left:?}");
    }
    ran
}

/// A world whose `in` is empty.
fn fresh(world: &World) {
    let _ = fs::remove_dir_all(world.at("in"));
    let _ = fs::remove_file(world.at("out.pouch"));
    fs::create_dir(world.at("in")).expect("mkdir");
}

const FILES: &str = "[[files]]\nfrom = \"files\"\n";

#[test]
fn names_and_things_that_cannot_travel() {
    let world = World::bare();
    let make = |name: &str| {
        let path = format!("in/files/{name}");
        move |w: &World| w.write(&path, "x")
    };
    let raw = |name: &'static [u8]| {
        move |w: &World| {
            fs::create_dir_all(w.at("in/files")).expect("mkdir");
            fs::write(w.at("in/files").join(OsStr::from_bytes(name)), "x").expect("write");
        }
    };
    let two = |a: &'static str, b: &'static str| {
        move |w: &World| {
            w.write(&format!("in/files/{a}"), "1");
            w.write(&format!("in/files/{b}"), "2");
        }
    };
    let link = |to: &'static str| {
        move |w: &World| {
            fs::create_dir_all(w.at("in/files")).expect("mkdir");
            symlink(to, w.at("in/files/link")).expect("symlink");
        }
    };
    type Setup = Box<dyn Fn(&World)>;
    let long = "x".repeat(255);
    let deep = vec!["d"; 70].join("/") + "/f";
    let cases: Vec<(&str, Setup, i32, &str)> = vec![
        ("trailing dot", Box::new(make("a.")), 2, "a."),
        ("trailing space", Box::new(make("a ")), 2, "space"),
        ("device", Box::new(make("con")), 2, "con"),
        ("device with an ending", Box::new(make("d/LPT1.txt")), 2, "LPT1.txt"),
        ("colon", Box::new(make("a:b")), 2, "a:b"),
        ("backslash", Box::new(make("a\\b")), 2, "FAT"),
        ("line end", Box::new(make("a\nb")), 2, "control"),
        ("escape", Box::new(make("a\u{1b}[2Jb")), 2, "control"),
        ("right to left", Box::new(make("a\u{202e}gpj.exe")), 2, "bidirectional"),
        ("zero width", Box::new(make("a\u{200b}b")), 2, "invisible"),
        ("decomposed", Box::new(make("e\u{301}")), 2, "form C"),
        ("not UTF-8", Box::new(raw(b"a\xff\xfeb")), 2, "UTF-8"),
        ("255 bytes", Box::new(make(&long)), 0, ""),
        ("deep", Box::new(make(&deep)), 2, "64"),
        ("case", Box::new(two("README", "readme")), 2, "README"),
        ("case of a folder", Box::new(two("Docs/a", "docs/b")), 2, "ocs"),
        ("folding", Box::new(two("straße", "STRASSE")), 2, "STRASSE"),
        ("ligature", Box::new(two("ﬁle", "file")), 2, "file"),
        ("link out", Box::new(link("/etc/hostname")), 2, "link"),
        ("link up", Box::new(link("../list.toml")), 2, "link"),
        ("link to nothing", Box::new(link("nowhere")), 2, "link"),
        ("link to itself", Box::new(link("link")), 2, "link"),
        ("link to its folder", Box::new(link(".")), 2, "link"),
        ("link to a device", Box::new(link("/dev/zero")), 2, "link"),
        (
            "pipe",
            Box::new(|w| {
                w.write("in/files/a", "x");
                mkfifo(w, "in/files/pipe");
            }),
            2,
            "pipe",
        ),
        (
            "socket",
            Box::new(|w| {
                w.write("in/files/a", "x");
                std::os::unix::net::UnixListener::bind(w.at("in/files/socket")).expect("bind");
            }),
            2,
            "socket",
        ),
        ("nothing", Box::new(|w| fs::create_dir(w.at("in/files")).expect("mkdir")), 2, "nothing to pack"),
    ];
    each(&cases, |(what, setup, code, word)| {
        fresh(&world);
        world.write("in/list.toml", FILES);
        setup(&world);
        pack(&world, what).expect(what, *code, &[word]);
    });
    // A pipe must not be waited on wherever a source looks.
    each(
        [
            ("[[images]]\nfrom = \"x/*\"", "a.tar"),
            ("[[images]]\nfrom = \"x/a.tar.gz\"", "a.tar.gz"),
            ("[[images]]\nfrom = \"ok/*\"\nlists = \"x/a.list\"", "a.list"),
            ("[[rpms]]\nfrom = \"x\"", "a-1-1.noarch.rpm"),
            ("[[rpms]]\nfrom = \"x\"", "repodata/repomd.xml"),
            ("[[debs]]\nfrom = \"x\"", "a_1_all.deb"),
            ("[[debs]]\nfrom = \"x\"", "dists/a/Release"),
            ("[[pypi]]\nfrom = \"x\"", "a-1-py3-none-any.whl"),
            ("[[pypi]]\nfrom = \"x\"", "yanked.txt"),
            ("[[charts]]\nfrom = \"x\"", "a-1.tgz"),
            ("[[go]]\nfrom = \"x\"", "example.org/a/@v/v1.0.0.mod"),
            ("[[files]]\nfrom = \"x/a\"", "a"),
        ],
        |(section, name)| {
            fresh(&world);
            world.write("in/list.toml", section);
            world.write("in/ok/a.tar", "x");
            let path = world.at("in/x").join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            mkfifo(&world, &format!("in/x/{name}"));
            let ran = pack(&world, section);
            assert!([1, 2, 3].contains(&ran.code), "{section}: {ran:?}");
        },
    );
}

#[test]
fn lists() {
    let world = World::bare();
    let same = "[[files]]\nfrom = \"a\"\nto = \"p\"\n[[files]]\nfrom = \"b\"\nto = \"p\"\n";
    let huge = "# x\n".repeat(2 << 20);
    let nested = format!("stream = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let many = "[[files]]\nfrom = \"a\"\n".repeat(20_000);
    let cases: Vec<(&str, &[u8], &[i32], &str)> = vec![
        ("an unknown key", b"[[files]]\nfrom = \"a\"\nform = \"b\"\n", &[2], "form"),
        ("an unknown section", b"[[flies]]\nfrom = \"a\"\n", &[2], "flies"),
        ("no from", b"[[files]]\nto = \"a\"\n", &[2], "from"),
        ("an empty from", b"[[files]]\nfrom = []\n", &[2], "from"),
        ("an empty text as from", b"[[files]]\nfrom = \"\"\n", &[2, 0], ""),
        ("no match", b"[[files]]\nfrom = \"nowhere\"\n", &[2], "nowhere"),
        ("a number", b"[[files]]\nfrom = 7\n", &[2], "path"),
        ("a bad glob", b"[[files]]\nfrom = \"a[\"\n", &[2], "a["),
        ("empty", b"", &[2], "nothing"),
        ("no TOML", b"\x00\x01\x02", &[2], "list.toml"),
        ("not UTF-8", b"stream = \"\xff\"", &[2], "UTF-8"),
        ("huge", huge.as_bytes(), &[2], "4 MiB"),
        ("nested", nested.as_bytes(), &[2], "list.toml"),
        ("many", many.as_bytes(), &[0, 2], ""),
        ("to leaves", b"[[files]]\nfrom = \"a\"\nto = \"../../x\"\n", &[2], "../../x"),
        ("to is hidden", b"[[files]]\nfrom = \"a\"\nto = \"x\\u202e\"\n", &[2], "invisible"),
        ("two of one place", same.as_bytes(), &[2], "p/f"),
        (
            "a file where another has a folder",
            b"[[files]]\nfrom = \"a\"\nto = \"p/f\"\n[[files]]\nfrom = \"b\"\nto = \"p\"\n",
            &[2],
            "p/f",
        ),
        (
            "what the site renders",
            b"[[charts]]\nfrom = \"charts\"\n[[files]]\nfrom = \"index\"\nto = \"charts\"\n",
            &[2],
            "index.yaml",
        ),
        ("what the site keeps for itself", b"[[kit]]\nfrom = \"a\"\nto = \".pouch\"\n", &[0, 2], ""),
        ("the same twice", b"[[files]]\nfrom = \"a\"\n[[files]]\nfrom = \"a\"\n", &[0], ""),
        ("include of nothing", b"[[files]]\nfrom = \"a\"\ninclude = [\"*.zip\"]\n", &[2], "*.zip"),
    ];
    each(cases, |(what, list, codes, word)| {
        fresh(&world);
        world.write("in/a/f", "1");
        world.write("in/b/f", "2");
        world.write("in/index/index.yaml", "apiVersion: v1\n");
        world.write("in/charts/c-1.0.0.tgz", chart("c", "apiVersion: v2\nname: c\nversion: 1.0.0\n"));
        world.write("in/list.toml", list);
        let ran = pack(&world, what);
        assert!(codes.contains(&ran.code) && (ran.code == 0 || ran.err.contains(word)), "{what}: {ran:?}");
    });
    // What stands on the command line.
    fresh(&world);
    world.write("in/a/f", "1");
    world.write("in/list.toml", "[[files]]\nfrom = \"a\"\n");
    fs::create_dir(world.at("folder")).expect("mkdir");
    mkfifo(&world, "pipe");
    each(
        [
            ("a folder that is not there", vec!["-o", "no/out.pouch"], 1, "no/out.pouch"),
            ("a folder", vec!["-o", "folder"], 2, "folder"),
            ("a pipe", vec!["-o", "pipe"], 2, "pipe"),
            ("a device", vec!["-o", "/dev/null"], 2, "/dev/null"),
            ("no name", vec!["-o", ".."], 2, ".."),
            ("no output", vec![], 2, "--output"),
            ("a version of control characters", vec!["-o", "out.pouch", "--release-version", "1\n2"], 2, "version"),
            ("no key", vec!["-o", "out.pouch", "--seal-with", "packer.pub"], 2, "packer.pub"),
            ("a bundle's policy without signature", vec!["-o", "out.pouch", "--policy", "in/a/f"], 3, "in/a/f"),
        ],
        |(what, arguments, code, word)| {
            world.run(&[&PACK[..], &arguments].concat()).expect(what, code, &[word]);
            assert!(!world.at("out.pouch").exists(), "{what}");
        },
    );
    assert!(!fs::metadata("/dev/null").expect("there").is_file());
    each(
        [
            ("sequence 0", "sample", "0", 2),
            ("sequence -1", "sample", "-1", 2),
            ("a huge sequence", "sample", "18446744073709551616", 2),
            ("the largest sequence", "sample", "18446744073709551615", 0),
            ("a stream with a space", "a b", "1", 2),
            ("a stream that leaves", "../a", "1", 2),
            ("no stream", "", "1", 2),
        ],
        |(what, stream, sequence, code)| {
            let seq = format!("--sequence={sequence}");
            let ran = world.run(&["pack", "in/list.toml", "--stream", stream, &seq, "-o", "out.pouch"]);
            ran.expect(what, code, &[]);
            assert!(ran.code == 0 || !ran.err.contains("copy the bundle"), "{what}: {}", ran.err);
        },
    );
}

/// A file of the sample.
fn sample(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample/v1/outputs").join(path);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn changed(mut bytes: Vec<u8>, at: usize, to: &[u8]) -> Vec<u8> {
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn packages() {
    let world = World::bare();
    let rpm = sample("rpms/local/pouch-sample-1.1-1.noarch.rpm");
    let control = |text: &str| gzip(&tar(&[("./control", text.as_bytes())]));
    let good = "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m\nDescription: d\n";
    let of_deb = |text: &str| {
        deb(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &control(text)), ("data.tar.gz", &gzip(&tar(&[])))])
    };
    let signature_end = 96 + 16; // lead, then the intro of the signature header
    let yaml = "apiVersion: v2\nname: c\nversion: 1.0.0\n";
    let laughs = format!(
        "apiVersion: v2\nname: c\nversion: 1.0.0\na: &a [{0}]\nb: &b [{1}]\nc: &c [{2}]\nd: &d [{3}]\ne: [{4}]\n",
        "x,".repeat(50),
        "*a,".repeat(50),
        "*b,".repeat(50),
        "*c,".repeat(50),
        "*d,".repeat(50)
    );
    let dup = wheel("w", "1.0", &[("w/a.py", b"1"), ("w/a.py", b"2")]);
    let meta = "w-1.0.dist-info/METADATA";
    let cases: Vec<(&str, &str, &str, Vec<u8>, &[i32], &str)> = vec![
        ("rpm: empty", "rpms", "p-1-1.noarch.rpm", vec![], &[3], "p-1-1"),
        ("rpm: text", "rpms", "p-1-1.noarch.rpm", b"not an rpm".repeat(100), &[3], "p-1-1"),
        ("rpm: cut in the lead", "rpms", "p.rpm", rpm[..50].to_vec(), &[3], "p.rpm"),
        ("rpm: cut in the header", "rpms", "p.rpm", rpm[..700].to_vec(), &[3], "p.rpm"),
        ("rpm: 4 billion tags", "rpms", "p.rpm", changed(rpm.clone(), 96 + 8, &[0xff; 4]), &[3, 5], "p.rpm"),
        ("rpm: 4 GiB of store", "rpms", "p.rpm", changed(rpm.clone(), 96 + 12, &[0xff; 4]), &[3, 5], "p.rpm"),
        (
            "rpm: a tag out of the store",
            "rpms",
            "p.rpm",
            changed(rpm.clone(), signature_end + 8, &[0x7f, 0xff, 0xff, 0xff]),
            &[3, 5],
            "p.rpm",
        ),
        ("deb: empty", "debs", "p_1_all.deb", vec![], &[3], "p_1_all"),
        ("deb: only a magic", "debs", "p_1_all.deb", b"!<arch>\n".to_vec(), &[3], "p_1_all"),
        (
            "deb: a member of 10 GB",
            "debs",
            "p_1_all.deb",
            [
                b"!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n".as_slice(),
                b"control.tar.gz  0           0     0     100644  9999999999`\nx",
            ]
            .concat(),
            &[3, 5],
            "p_1_all",
        ),
        ("deb: no control", "debs", "p_1_all.deb", deb(&[("debian-binary", b"2.0\n")]), &[3], "p_1_all"),
        ("deb: control without a name", "debs", "p_1_all.deb", of_deb("Version: 1\n"), &[3], "p_1_all"),
        (
            "deb: control that is a bomb",
            "debs",
            "p_1_all.deb",
            deb(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &gzip_of_zeros(256 << 20)), ("data.tar.gz", b"")]),
            &[3, 5],
            "p_1_all",
        ),
        ("deb: version 3", "debs", "p_1_all.deb", deb(&[("debian-binary", b"3.0\n")]), &[3, 5], "p_1_all"),
        (
            "deb: a field that ends its stanza",
            "debs",
            "p_1_all.deb",
            of_deb(&format!("{good}\nPackage: evil\nVersion: 2\n")),
            &[0, 3],
            "p_1_all",
        ),
        ("wheel: empty", "pypi", "w-1.0-py3-none-any.whl", vec![], &[3], "w-1.0"),
        ("wheel: other name", "pypi", "w-1.0-py3-none-any.whl", wheel("v", "1.0", &[]), &[3], "w-1.0"),
        ("wheel: other version", "pypi", "w-1.0-py3-none-any.whl", wheel("w", "2.0", &[]), &[3], "w-1.0"),
        ("wheel: a bad file name", "pypi", "w.whl", wheel("w", "1.0", &[]), &[3], "w.whl"),
        ("wheel: a member twice", "pypi", "w-1.0-py3-none-any.whl", dup, &[3], "w/a.py"),
        (
            "wheel: METADATA twice",
            "pypi",
            "w-1.0-py3-none-any.whl",
            wheel("w", "1.0", &[(meta, b"Name: x\n")]),
            &[3],
            "METADATA",
        ),
        (
            "wheel: a member that leaves",
            "pypi",
            "w-1.0-py3-none-any.whl",
            wheel("w", "1.0", &[("../../etc/cron.d/x", b"x")]),
            &[0, 3],
            "w-1.0",
        ),
        ("wheel: only a directory end", "pypi", "w-1.0-py3-none-any.whl", zip(&[]), &[3], "w-1.0"),
        // Old ones have none: their name and version are the file's.
        ("sdist: no PKG-INFO", "pypi", "s-1.0.tar.gz", gzip(&tar(&[("s-1.0/setup.py", b"")])), &[0], ""),
        (
            "sdist: no name",
            "pypi",
            "s-1.0.tar.gz",
            gzip(&tar(&[("s-1.0/PKG-INFO", b"Metadata-Version: 2.1\nVersion: 1.0\n")])),
            &[3],
            "s-1.0",
        ),
        ("sdist: no gzip", "pypi", "s-1.0.tar.gz", tar(&[]), &[3], "s-1.0"),
        ("sdist: a bomb", "pypi", "s-1.0.tar.gz", gzip_of_zeros(256 << 20), &[0, 3, 5], "s-1.0"),
        ("chart: empty", "charts", "c-1.0.0.tgz", vec![], &[3], "c-1.0.0"),
        ("chart: no Chart.yaml", "charts", "c-1.0.0.tgz", gzip(&tar(&[("c/values.yaml", b"")])), &[3], "Chart.yaml"),
        (
            "chart: other name",
            "charts",
            "c-1.0.0.tgz",
            chart("c", &yaml.replace("name: c", "name: d")),
            &[3],
            "c-1.0.0",
        ),
        ("chart: other version", "charts", "c-1.0.0.tgz", chart("c", &yaml.replace("1.0.0", "2.0.0")), &[3], "c-1.0.0"),
        ("chart: YAML that grows", "charts", "c-1.0.0.tgz", chart("c", &laughs), &[0, 3, 5], "c-1.0.0"),
        (
            "chart: deep YAML",
            "charts",
            "c-1.0.0.tgz",
            chart("c", &format!("{yaml}x: {}", "[".repeat(200_000))),
            &[3, 5],
            "c-1.0.0",
        ),
        ("go: no module", "go", "example.org/a/@v/v1.0.0.zip", b"x".to_vec(), &[3], "v1.0.0"),
        ("repodata: bad XML", "rpms", "comps.xml", b"<comps><group>".to_vec(), &[3], "comps.xml"),
    ];
    each(cases, |(what, section, name, bytes, codes, word)| {
        fresh(&world);
        world.write("in/list.toml", format!("[[{section}]]\nfrom = \"x\"\n"));
        world.write(&format!("in/x/{name}"), bytes);
        let ran = pack(&world, what);
        assert!(codes.contains(&ran.code), "{what}: {ran:?}");
        assert!(ran.code == 0 || ran.err.contains(word), "{what}: {word:?}: {}", ran.err);
        if ran.code == 0 {
            let site = what.replace([':', ' '], "-");
            world.run(&["seal", "out.pouch", "--with", "packer"]).expect(what, 0, &[]);
            world.site(&site);
            world.run(&["unpack", "out.pouch", "--site", &site]).expect(what, 0, &[]);
        }
        for s in fs::read_dir(world.folder()).expect("list").flatten() {
            if s.file_name().to_string_lossy().contains(".seal.") {
                fs::remove_file(s.path()).expect("rm");
            }
        }
    });
}

/// An OCI layout in `in/x/layout` whose parts `edit` changes: (manifest, config, layer).
fn layout(world: &World, reference: &str, layer: Vec<u8>, keep: [bool; 2]) {
    let blob = |bytes: &[u8], keep: bool| {
        let hex = Digest::of(bytes).hex();
        if keep {
            world.write(&format!("in/x/layout/blobs/sha256/{hex}"), bytes);
        }
        (hex, bytes.len())
    };
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let ((c, cl), (l, ll)) = (blob(config, keep[0]), blob(&layer, keep[1]));
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{c}","size":{cl}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:{l}","size":{ll}}}]}}"#
    );
    let (m, ml) = blob(manifest.as_bytes(), true);
    world.write("in/x/layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    world.write(
        "in/x/layout/index.json",
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{m}","size":{ml},"annotations":{{"org.opencontainers.image.ref.name":"{reference}"}}}}]}}"#
        ),
    );
}

/// A docker-archive of one layer.
fn docker_archive(reference: &str, layer: &[u8], manifest: Option<&str>) -> Vec<u8> {
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        Digest::of(layer).hex()
    );
    let name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let own = format!(r#"[{{"Config":"{name}","RepoTags":["{reference}"],"Layers":["l/layer.tar"]}}]"#);
    tar(&[(&name, config.as_bytes()), ("l/layer.tar", layer), ("manifest.json", manifest.unwrap_or(&own).as_bytes())])
}

#[test]
fn images() {
    let world = World::bare();
    let list = "[[images]]\nfrom = \"x/*\"\n";
    let good = docker_archive("a/b:1", b"layer", None);
    let packed = gzip(&good);
    let of_layer = Digest::of(b"layer").hex()[..12].to_owned();
    type Setup<'a> = Box<dyn Fn(&World) + 'a>;
    let archive = |bytes: Vec<u8>| move |w: &World| w.write("in/x/a.tar.gz", &bytes);
    let cases: Vec<(&str, Setup<'_>, &[i32], &str)> = vec![
        ("a good one", Box::new(archive(packed.clone())), &[0], ""),
        ("cut", Box::new(archive(packed[..packed.len() / 2].to_vec())), &[3], "a.tar.gz"),
        ("cut in the trailer", Box::new(archive(packed[..packed.len() - 4].to_vec())), &[3], "a.tar.gz"),
        ("the tar cut", Box::new(archive(gzip(&good[..1000]))), &[3], "a.tar.gz"),
        ("a flipped bit", Box::new(archive(changed(packed.clone(), packed.len() / 2, &[0x55]))), &[3], "a.tar.gz"),
        ("text behind", Box::new(archive([&packed[..], b"text"].concat())), &[0, 3], "a.tar.gz"),
        ("empty", Box::new(archive(vec![])), &[3], "a.tar.gz"),
        ("text", Box::new(archive(b"text".repeat(1000))), &[3], "a.tar.gz"),
        ("no manifest", Box::new(archive(gzip(&tar(&[("a", b"x")])))), &[3], "a.tar.gz"),
        (
            "a layer that is not there",
            Box::new(archive(docker_archive(
                "a/b:1",
                b"layer",
                Some(r#"[{"Config":"no.json","RepoTags":["a/b:1"],"Layers":["no/layer.tar"]}]"#),
            ))),
            &[3],
            "no.json",
        ),
        (
            "a layer outside",
            Box::new(archive(docker_archive(
                "a/b:1",
                b"layer",
                Some(r#"[{"Config":"../../../etc/passwd","RepoTags":["a/b:1"],"Layers":["/etc/passwd"]}]"#),
            ))),
            &[3],
            "passwd",
        ),
        (
            "deep JSON",
            Box::new(archive(docker_archive("a/b:1", b"layer", Some(&"[".repeat(1 << 20))))),
            &[3],
            "manifest.json",
        ),
        ("a bad name", Box::new(archive(docker_archive("a/../b:1", b"layer", None))), &[2, 3], "a/../b:1"),
        ("a hidden name", Box::new(archive(docker_archive("a/b\\u202e:1", b"layer", None))), &[2, 3], ""),
        ("a long tag", Box::new(archive(docker_archive(&format!("a/b:{}", "t".repeat(200)), b"x", None))), &[2, 3], ""),
        ("a layer is missing", Box::new(|w| layout(w, "a/b:1", b"l".to_vec(), [true, false])), &[3], "missing"),
        ("a config is missing", Box::new(|w| layout(w, "a/b:1", b"l".to_vec(), [false, true])), &[3], "missing"),
        (
            "a blob of other bytes",
            Box::new(|w| {
                layout(w, "a/b:1", b"layer".to_vec(), [true, true]);
                w.write(&format!("in/x/layout/blobs/sha256/{}", Digest::of(b"layer").hex()), b"reyal");
            }),
            &[3],
            &of_layer,
        ),
        (
            "a blob of another length",
            Box::new(|w| {
                layout(w, "a/b:1", b"layer".to_vec(), [true, true]);
                w.write(&format!("in/x/layout/blobs/sha256/{}", Digest::of(b"layer").hex()), b"layer and more");
            }),
            &[3],
            &of_layer,
        ),
        (
            "no index",
            Box::new(|w| {
                layout(w, "a/b:1", b"l".to_vec(), [true, true]);
                fs::remove_file(w.at("in/x/layout/index.json")).expect("rm");
            }),
            &[1, 2, 3],
            "layout",
        ),
        (
            "a blob that is a pipe",
            Box::new(|w| {
                layout(w, "a/b:1", b"l".to_vec(), [true, false]);
                mkfifo(w, &format!("in/x/layout/blobs/sha256/{}", Digest::of(b"l").hex()));
            }),
            &[1, 2, 3],
            "layout",
        ),
        (
            "a blob that is a link out",
            Box::new(|w| {
                layout(w, "a/b:1", b"l".to_vec(), [true, false]);
                symlink("/etc/hostname", w.at("in/x/layout/blobs/sha256").join(Digest::of(b"l").hex())).expect("link");
            }),
            &[1, 2, 3],
            "layout",
        ),
        (
            "two images of one name",
            Box::new(|w| {
                w.write("in/x/a.tar", docker_archive("a/b:1", b"1", None));
                w.write("in/x/b.tar", docker_archive("a/b:1", b"2", None));
            }),
            &[2],
            "a/b:1",
        ),
        (
            "tags that differ in case",
            Box::new(|w| {
                w.write("in/x/a.tar", docker_archive("a/b:V1", b"1", None));
                w.write("in/x/b.tar", docker_archive("a/b:v1", b"2", None));
            }),
            &[2],
            "a/b:",
        ),
        (
            "hosts that are stripped to one name",
            Box::new(|w| {
                w.write("in/x/a.tar", docker_archive("docker.io/a/b:1", b"1", None));
                w.write("in/x/b.tar", docker_archive("quay.io/a/b:1", b"2", None));
            }),
            &[2],
            "a/b:1",
        ),
    ];
    each(&cases, |(what, setup, codes, word)| {
        fresh(&world);
        world.write("in/list.toml", list);
        setup(&world);
        let ran = pack(&world, what);
        assert!(codes.contains(&ran.code), "{what}: {ran:?}");
        assert!(ran.code == 0 || ran.err.contains(*word), "{what}: {word:?}: {}", ran.err);
    });
}

/// 2 GiB of zeros in 2 MiB of gzip, as a layer in an archive and as a layer of a layout: large, not hostile; it ends, in
/// bounded memory, and nothing of it is ever unpacked.
#[test]
fn bombs() {
    let world = World::bare();
    let zeros = gzip_of_zeros(2 << 30);
    fresh(&world);
    world.write("in/list.toml", "[[images]]\nfrom = \"x/layout\"\n");
    layout(&world, "a/b:1", zeros.clone(), [true, true]);
    pack(&world, "layout").expect("layout", 0, &[]);
    fresh(&world);
    world.write("in/list.toml", "[[images]]\nfrom = \"x/a.tar\"\n");
    world.write("in/x/a.tar", docker_archive("a/b:1", &zeros, None));
    let ran = pack(&world, "archive");
    assert!([0, 3, 5].contains(&ran.code), "{ran:?}");
    // gzip in gzip: the outer one says nothing of what it becomes.
    fresh(&world);
    world.write("in/list.toml", "[[images]]\nfrom = \"x/a.tar.gz\"\n");
    world.write("in/x/a.tar.gz", &zeros);
    pack(&world, "zeros instead of a tar").expect("zeros", 3, &["a.tar.gz"]);
}

/// A file that another process goes on writing: either what was read first is what is written, or the file is named.
#[test]
fn files_that_change() {
    let world = World::bare();
    fresh(&world);
    world.write("in/list.toml", FILES);
    let body =
        |n: u8| -> Vec<u8> { (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ n).collect() };
    let bodies = [body(0), body(1), body(2)[..1_000_000].to_vec(), [body(0), body(1)].concat()];
    world.write("in/files/steady", &bodies[0]);
    world.write("in/files/changing", &bodies[0]);
    let stop = AtomicBool::new(false);
    let (mut good, mut bad) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let path = world.at("in/files/changing");
            for body in bodies.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                fs::write(&path, body).expect("write");
            }
        });
        // On a busy machine the other side seldom gets a turn.
        for n in 0..200 {
            if n >= 8 && bad > 0 {
                break;
            }
            let ran = pack(&world, "changing");
            match ran.code {
                0 => {
                    good += 1;
                    let site = format!("site{n}");
                    let sealed = world.run(&["seal", "out.pouch", "--with", "packer"]);
                    let done = sealed.code == 0 && {
                        world.site(&site);
                        world.run(&["unpack", "out.pouch", "--site", &site]).code == 0
                    };
                    if !done {
                        stop.store(true, Ordering::Relaxed);
                    }
                    assert!(done, "a bundle of a changing file does not unpack");
                }
                1 => {
                    bad += 1;
                    if !ran.err.contains("files/changing") {
                        stop.store(true, Ordering::Relaxed);
                    }
                    assert!(ran.err.contains("files/changing"), "{}", ran.err);
                }
                _ => {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{ran:?}");
                }
            }
            let _ = fs::remove_file(world.at("out.pouch"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(bad > 0, "the file never changed in time: {good} good");
    let _ = snapshot(world.folder(), &[]);
}
