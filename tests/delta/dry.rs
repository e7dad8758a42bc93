//! A dry run says what the real run comes to, and keeps nothing.

use crate::sites::{json, pack, show};
use crate::world::{World, snapshot};
use pouch::bundle::{Bundle, Sealed};
use pouch::fs::medium::FileMedium;

#[test]
fn a_dry_run_is_exact() {
    let world = World::bare();
    pack(&world, "v1", 1, &["-o", "1.pouch"]).expect("v1", 0, &[]);
    let cases: [&[&str]; 4] =
        [&[], &["--base", "1.pouch"], &["--base", "1.pouch", "--small"], &["--threads", "1", "--policy", "policy.txt"]];
    for more in cases {
        let before = snapshot(world.folder(), &[]);
        let dry = json(pack(&world, "v2", 2, &[more, &["--dry-run", "-o", "2.pouch"]].concat()).expect("dry", 0, &[]));
        assert_eq!(snapshot(world.folder(), &[]), before, "{more:?} keeps nothing");
        let mut real = json(pack(&world, "v2", 2, &[more, &["-o", "2.pouch"]].concat()).expect("real", 0, &[]));
        assert_eq!((&dry["written"], &real["written"]), (&false.into(), &true.into()));
        real["written"] = false.into();
        assert_eq!(dry, real, "{more:?}");
        let path = world.at("2.pouch");
        assert_eq!(real["bundle_bytes"].as_u64(), std::fs::metadata(&path).ok().map(|m| m.len()));
        let bundle = Bundle::parse(Sealed::open(FileMedium::open(&path).expect("opens")).expect("sealed"), ());
        let work = bundle.expect("parses").work().expect("tables");
        let told = serde_json::to_value(&work).expect("JSON");
        for (key, value) in told.as_object().expect("an object") {
            assert_eq!(&real["unpack"][key], value, "{key} is what the file says too");
        }
        assert!(work.written > 0 && work.read > 0 && real["unpack"]["seconds"].as_u64() > Some(0));
        assert_eq!(work.bases > 0, more.contains(&"--base"), "{work:?}");
        std::fs::remove_file(path).expect("removed");
    }
    // The list's stream and version are defaults.
    let named = |more: &[&str]| {
        let all = ["--json", "pack", "v2/pouch.toml", "--sequence", "2", "-o", "named.pouch"];
        let ran = world.run(&[&all, more].concat());
        let shown = show(&world, "named.pouch");
        (ran.expect("named", 0, &[]).err.clone(), shown["stream"].clone(), shown["version"].clone())
    };
    let (err, stream, version) = named(&[]);
    assert!(!err.contains("packing list"), "{err}");
    assert_eq!((stream, version), ("sample".into(), "1.2".into()));
    let (err, stream, version) = named(&["--stream", "k8s", "--release-version", "9"]);
    assert_eq!((stream, version), ("k8s".into(), "9".into()));
    assert!(err.contains("has the stream \"sample\"") && err.contains("has the version \"1.2\""), "{err}");
    let text = world.run(&["pack", "v2/pouch.toml", "--sequence", "2", "--dry-run", "--quiet"]).out;
    assert!(text.contains("unpack    about ") && text.contains("nothing was written (dry run)"), "{text}");
}
