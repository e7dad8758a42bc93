//! Bundles whose sealer says other things of an artifact than the artifact's own bytes do.

use crate::world::{World, each, snapshot};
use pouch::bundle::{self, Options, ReleaseSpec};
use pouch::cbor::{self, Bytes, Value};
use pouch::digest::Blob;
use pouch::model::{Artifact, Kind};
use pouch::monitor::Silent;
use pouch::op::seal;
use pouch::relpath::RelPath;
use pouch::source::{Found, Origin, Sink, SourceError, list::List, read};
use pouch::trust::PrivateKey;
use pouch::trust::statement::Terms;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::sync::Mutex;

#[derive(Default)]
struct Kept(Mutex<Vec<Found>>);

impl Sink for Kept {
    fn found(&self, found: Found) -> Result<(), SourceError> {
        self.0.lock().expect("lock").push(found);
        Ok(())
    }
    fn note(&self, _text: String) {}
}

/// One artifact of each kind of the sample with its bytes, and those that its edits bring in.
fn samples(world: &World) -> BTreeMap<Kind, (Found, BTreeMap<Blob, Vec<u8>>)> {
    let kept = Kept::default();
    for source in List::read(&world.at("v2/pouch.toml")).expect("a list").sources {
        source.survey(&kept, &Silent).expect("survey");
    }
    let mut out = BTreeMap::new();
    for found in kept.0.into_inner().expect("lock") {
        let bytes = |(blob, origin): (&Blob, &Origin)| {
            let mut out = Vec::new();
            read::open(origin, blob).expect("opens")?.read_to_end(&mut out).expect("reads");
            Some((*blob, out))
        };
        let all: Option<BTreeMap<Blob, Vec<u8>>> = found.origins.iter().map(bytes).collect();
        if let Some(all) = all {
            out.entry(found.described.artifact.kind).or_insert((found, all));
        }
    }
    out
}

/// A bundle of one artifact with its bytes, sealed by `packer`.
fn bundle(world: &World, found: &Found, bytes: &BTreeMap<Blob, Vec<u8>>) -> Vec<u8> {
    let spec = ReleaseSpec { stream: "sample".into(), epoch: 0, sequence: 1, version: None };
    let prepared = bundle::prepare(&spec, vec![found.described.clone()]).expect("prepares");
    let key = PrivateKey::parse(&world.read("packer"), None).expect("a key");
    let mut out = Vec::new();
    let feed = |put: &mut dyn bundle::Put| {
        prepared.blobs().iter().try_for_each(|b| put.put(b, "a blob", false, &mut bytes[b].as_slice()))
    };
    let sign = |ids: &bundle::Ids| {
        let terms = Terms { issued: 1_700_000_000, ..Terms::default() };
        Ok(vec![seal::statement(&prepared.root, ids, terms).sign(&key).expect("signs")])
    };
    bundle::write(&mut out, &prepared, Options { threads: 1, level: 1, against: &[] }, &Silent, feed, sign)
        .expect("writes");
    out
}

/// Changes the `n`th text, number or flag of a value; false where it has fewer.
fn nudge(value: &mut Value, n: &mut usize) -> bool {
    match value {
        Value::Map(map) => map.iter_mut().any(|(_, v)| nudge(v, n)),
        Value::Array(items) => items.iter_mut().any(|v| nudge(v, n)),
        _ if *n > 0 => {
            *n -= 1;
            false
        }
        Value::Text(text) => {
            text.push('x');
            true
        }
        Value::Integer(i) => {
            *i = (u64::try_from(*i).unwrap_or(0) + 1).into();
            true
        }
        Value::Bool(b) => {
            *b = !*b;
            true
        }
        Value::Bytes(b) => {
            b.push(b'x');
            true
        }
        _ => false,
    }
}

#[test]
fn facts_that_lie() {
    let world = World::bare();
    world.site("site");
    let before = snapshot(&world.at("site"), &["staging"]);
    let samples = samples(&world);
    let mut lies: Vec<(String, String, Found, BTreeMap<Blob, Vec<u8>>)> = Vec::new();
    for kind in [Kind::Rpm, Kind::Deb, Kind::Wheel, Kind::Sdist, Kind::Chart, Kind::Gomod, Kind::Image] {
        let (found, bytes) = samples.get(&kind).unwrap_or_else(|| panic!("no {kind} in the sample"));
        let other = Blob::of(b"other");
        type Edit = Box<dyn Fn(&mut Artifact)>;
        let mut edits: Vec<(&str, Edit)> = vec![
            ("version", Box::new(|a| a.version = Some("99".into()))),
            ("architecture", Box::new(|a| a.arch = Some("s390x".into()))),
            ("blobs", Box::new(move |a| a.blobs.push(other))),
        ];
        if kind != Kind::Image {
            edits.push(("name", Box::new(|a| a.name = "liar".into())));
        }
        if found.described.artifact.blobs.len() > 1 {
            edits.push(("blobs", Box::new(|a| a.blobs.truncate(1))));
        }
        for (field, edit) in edits {
            let mut lie = found.clone();
            edit(&mut lie.described.artifact);
            lies.push((format!("{kind}: {field}"), field.to_owned(), lie, bytes.clone()));
        }
        // Another artifact's bytes under this one's facts.
        let mut lie = found.clone();
        lie.described.artifact.blobs[0] = other;
        lies.push((format!("{kind}: other bytes"), String::new(), lie, bytes.clone()));
        let value = cbor::decode_value(&found.described.facts.0).expect("facts");
        for n in 0..60 {
            let mut changed = value.clone();
            if !nudge(&mut changed, &mut { n }) {
                break;
            }
            if n % 3 == 0 {
                let mut lie = found.clone();
                lie.described.facts = Bytes(cbor::encode_value(&changed));
                lies.push((format!("{kind}: fact {n}"), String::new(), lie, bytes.clone()));
            }
        }
    }
    assert!(lies.len() > 60, "{}", lies.len());
    each(lies, |(what, field, lie, mut all)| {
        all.insert(Blob::of(b"other"), b"other".to_vec());
        world.write("lie.pouch", bundle(&world, &lie, &all));
        let ran = world.run(&["unpack", "lie.pouch", "--site", "site"]);
        let artifact = &lie.described.artifact;
        ran.expect(&what, 4, &[&artifact.name, "hint: "]);
        // Facts that cannot even be rendered, and images whose manifest names what is not there, are refused as such.
        let earlier = ["do not decode", "refers to is missing"].iter().any(|w| ran.err.contains(w));
        assert!(earlier || (ran.err.contains(artifact.kind.name()) && ran.err.contains(&field)), "{what}: {}", ran.err);
    });
    assert_eq!(snapshot(&world.at("site"), &["staging"]).len(), before.len());
    for (path, says) in snapshot(&world.at("site"), &["staging"]) {
        assert_eq!(before.get(&path), Some(&says), "{}: nothing of a lie is kept", path.display());
    }
    let staged = fs::read_dir(world.at("site/staging")).expect("list").count();
    assert_eq!(staged, 0, "the blobs of a refused release do not stay");
    assert!(fs::symlink_metadata(world.at("site/current")).is_err());
}

/// A release whose paths would lie over what the site renders or keeps, or outside of what it serves.
#[test]
fn places_that_lie() {
    let world = World::bare();
    world.site("site");
    let (found, bytes) = &samples(&world)[&Kind::File];
    let cases = [
        ("etc", "nginx.conf"),
        ("etc", "registry/config.yml"),
        (".pouch", "files.jsonl"),
        (".pouch", "generation.json"),
        ("registry", "docker/registry/v2/repositories/a/_manifests/tags/1/current/link"),
        ("elsewhere", "x"),
        ("current", "x"),
    ];
    each(cases, |(root, path)| {
        let mut lie = found.clone();
        lie.described.artifact.root = RelPath::new(root).expect("path");
        lie.described.artifact.path = Some(RelPath::new(path).expect("path"));
        lie.described.artifact.name = path.to_owned();
        let before = snapshot(&world.at("site"), &["staging"]);
        world.write("lie.pouch", bundle(&world, &lie, bytes));
        let ran = world.run(&["unpack", "lie.pouch", "--site", "site"]);
        assert!(ran.code == 4 && ran.err.contains(root), "{root}/{path}: {ran:?}");
        assert_eq!(snapshot(&world.at("site"), &["staging"]), before, "{root}");
    });
}
