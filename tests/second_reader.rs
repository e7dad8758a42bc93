//! The second reader, `spec/reader.py`, comes to the same end over every committed vector, and restores what the writer of
//! this crate packed. It was written from the specification alone.

mod bundles;

use bundles::{File, made, noise, read_all, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn reader(files: &[PathBuf], extract: Option<&Path>) -> Output {
    let mut command = Command::new("python3");
    let bases = root().join("testdata/vectors/bases");
    command
        .arg(root().join("spec/reader.py"))
        .args(files)
        .arg("--bases")
        .arg(bases)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(folder) = extract {
        command.arg("--extract").arg(folder);
    }
    command.output().expect("python3 is there")
}

fn lines(out: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8(out.stdout.clone()).expect("UTF-8");
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

/// A vector's text: its words by key, and its blobs.
struct Expected {
    words: BTreeMap<String, String>,
    lacking: BTreeMap<String, u64>,
    blobs: BTreeMap<String, u64>,
}

fn expected(text: &str) -> Expected {
    let mut out = Expected { words: BTreeMap::new(), lacking: BTreeMap::new(), blobs: BTreeMap::new() };
    for line in text.lines() {
        let (key, value) = line.split_once(": ").expect("key: value");
        match value.split_once(' ') {
            Some((digest, len)) if key == "blob" => {
                out.blobs.insert(digest.into(), len.parse().expect("a length"));
            }
            Some((digest, len)) if key == "lacking" => {
                out.lacking.insert(digest.into(), len.parse().expect("a length"));
            }
            _ => drop(out.words.insert(key.into(), value.into())),
        }
    }
    out
}

#[test]
fn every_vector_ends_alike() {
    let folder = root().join("testdata/vectors/bundle");
    let scratch = tempfile::tempdir().expect("tempdir");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("the vectors are there")
        .filter_map(|e| e.expect("reads").file_name().to_str().and_then(|n| n.strip_suffix(".txt")).map(Into::into))
        .collect();
    names.sort();
    assert!(names.len() >= 110, "{}", names.len());
    let file = |name: &String| {
        let plain = folder.join(format!("{name}.pouch"));
        if plain.is_file() {
            return plain;
        }
        let packed = fs::read(folder.join(format!("{name}.pouch.zst"))).expect("a vector");
        let path = scratch.path().join(format!("{name}.pouch"));
        fs::write(&path, zstd::decode_all(&packed[..]).expect("a frame")).expect("writes");
        path
    };
    let files: Vec<PathBuf> = names.iter().map(file).collect();
    let out = reader(&files, None);
    let results = lines(&out);
    assert_eq!(results.len(), names.len(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut wrong = Vec::new();
    for (name, result) in names.iter().zip(&results) {
        let want = expected(&fs::read_to_string(folder.join(format!("{name}.txt"))).expect("a text"));
        if result["class"].as_str() != want.words.get("expect").map(String::as_str) {
            wrong.push(format!("{name}: {result}, expected {:?}", want.words));
        } else if result["class"] == "usage" {
            let lacking = result["lacking"].as_array().into_iter().flatten();
            let pair = |b: &serde_json::Value| Some((b[0].as_str()?.to_owned(), b[1].as_u64()?));
            let lacking: BTreeMap<String, u64> = lacking.filter_map(pair).collect();
            assert_eq!(lacking, want.lacking, "{name}");
        } else if result["class"] == "ok" {
            for id in ["release", "carriage"] {
                assert_eq!(result[id].as_str(), want.words.get(id).map(String::as_str), "{name}: {id}");
            }
            let artifacts = result["artifacts"].as_array().map(|a| a.len().to_string());
            assert_eq!(artifacts.as_ref(), want.words.get("artifacts"), "{name}");
            let blobs = result["blobs"].as_object().into_iter().flatten();
            let blobs: BTreeMap<String, u64> =
                blobs.map(|(digest, len)| (digest.clone(), len.as_u64().expect("a length"))).collect();
            assert_eq!(blobs, want.blobs, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_the_writer_packs_comes_back() {
    let base = text(1, 200_000);
    let changed = [&base[..90_000], b"a change", &base[90_000..]].concat();
    let contents = [base, noise(2, 70_000), changed, vec![], b"hi\n".to_vec(), vec![0; 500_000]];
    let paths: Vec<String> = (0..contents.len()).map(|n| format!("dir {n}/été-{n}.bin")).collect();
    let files: Vec<File<'_>> = paths
        .iter()
        .zip(&contents)
        .enumerate()
        .map(|(n, (path, content))| File { path, content, verbatim: n == 1 })
        .collect();
    let bytes = made(Some("1.0"), &files, vec![]);
    let seen = read_all(&bytes).expect("reads");
    let scratch = tempfile::tempdir().expect("tempdir");
    let (file, folder) = (scratch.path().join("b.pouch"), scratch.path().join("blobs"));
    fs::write(&file, &bytes).expect("writes");
    let out = reader(&[file], Some(&folder));
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let [result] = <[_; 1]>::try_from(lines(&out)).expect("one line");
    assert_eq!(result["release"], seen.ids.release.hex());
    assert_eq!(result["carriage"], seen.ids.carriage.hex());
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), seen.blobs.len());
    assert_eq!(seen.blobs.len(), contents.len());
    for (digest, content) in &seen.blobs {
        assert!(fs::read(folder.join(digest.hex())).ok().as_ref() == Some(content), "{digest}");
    }
}
