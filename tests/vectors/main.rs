//! The vectors of the format: made anew, compared with the committed files, and read.
//!
//! `POUCH_BLESS=1` writes the files. `testdata/vectors/README.md` says what they hold.

#[path = "../bundles/mod.rs"]
mod bundles;
mod cases;
mod forge;

use bundles::Held;
use pouch::class::Class;
use pouch::digest::Digest;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// One vector: what to read and what must come of it.
pub struct Case {
    /// Its file name without suffix.
    pub name: String,
    /// The rule that it breaks, or that it leans on.
    pub rule: &'static str,
    /// How reading ends; `None` where all is well.
    pub expect: Option<Class>,
    /// What is special about it.
    pub comment: String,
    /// Digests and lengths of the bases that no reader of vectors has.
    pub lacking: Vec<(forge::Sha, u64)>,
    /// The bundle.
    pub bytes: Vec<u8>,
}

/// Files above this length are committed as zstd frames.
const LARGE: usize = 16 << 10;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/bundle")
}

impl Case {
    fn bundle_file(&self) -> (String, Vec<u8>) {
        match self.bytes.len() {
            0..=LARGE => (format!("{}.pouch", self.name), self.bytes.clone()),
            _ => (format!("{}.pouch.zst", self.name), forge::zstd(&self.bytes)),
        }
    }

    fn text_file(&self) -> (String, Vec<u8>) {
        let expect = self.expect.map_or("ok", Class::name);
        let mut text = format!("expect: {expect}\nrule: {}\ncomment: {}\n", self.rule, self.comment);
        for (digest, len) in &self.lacking {
            writeln!(text, "lacking: {} {len}", Digest(*digest)).expect("to memory");
        }
        if let (None, Ok(seen)) = (self.expect, read(&self.bytes)) {
            let mut line = |key: &str, value: String| writeln!(text, "{key}: {value}").expect("to memory");
            line("release", seen.ids.release.hex());
            line("carriage", seen.ids.carriage.hex());
            line("artifacts", seen.artifacts.len().to_string());
            for (digest, bytes) in &seen.blobs {
                line("blob", format!("{digest} {}", bytes.len()));
            }
        }
        (format!("{}.txt", self.name), text.into_bytes())
    }
}

/// Reads with the bases of the vectors at hand.
fn read(bytes: &[u8]) -> Result<bundles::Seen, bundles::Refusal> {
    bundles::read_with(bytes, &Held(cases::delta::bases().into_iter().map(|(_, bytes)| bytes).collect()))
}

#[test]
fn bases_are_those_that_the_code_has() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/bases");
    let names: Vec<&str> = cases::delta::bases().iter().map(|(name, _)| *name).collect();
    for (name, bytes) in cases::delta::bases() {
        if std::env::var_os("POUCH_BLESS").is_some() {
            fs::write(folder.join(name), &bytes).expect("writes");
        }
        assert_eq!(fs::read(folder.join(name)).expect(name), bytes, "{name}");
    }
    assert_eq!(fs::read_dir(folder).expect("a folder").count(), names.len());
}

#[test]
fn files_are_those_that_the_code_makes() {
    let bless = std::env::var_os("POUCH_BLESS").is_some();
    let mut expected = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in cases::all() {
        for (name, bytes) in [case.bundle_file(), case.text_file()] {
            let path = folder().join(&name);
            if fs::read(&path).ok().as_ref() != Some(&bytes) {
                if bless {
                    fs::write(&path, &bytes).expect("writes");
                } else {
                    wrong.push(name.clone());
                }
            }
            assert!(expected.insert(name), "a name occurs twice: {}", case.name);
        }
    }
    for entry in fs::read_dir(folder()).expect("the folder is there") {
        let name = entry.expect("reads").file_name().into_string().expect("UTF-8");
        if !expected.contains(&name) {
            wrong.push(format!("{name} (of no case)"));
        }
    }
    assert!(wrong.is_empty(), "other than the code makes; POUCH_BLESS=1 rewrites: {wrong:#?}");
}

#[test]
fn each_ends_as_it_must() {
    let mut wrong = Vec::new();
    let cases = cases::all();
    assert!(cases.len() >= 110, "{}", cases.len());
    for case in cases {
        let name = &case.name;
        let read = std::panic::catch_unwind(|| read(&case.bytes));
        match (read, case.expect) {
            (Err(_), _) => wrong.push(format!("{name}: panicked")),
            (Ok(Ok(_)), None) => {}
            (Ok(Ok(_)), Some(class)) => wrong.push(format!("{name} ({}): read, expected {}", case.rule, class.name())),
            (Ok(Err(e)), expect) => {
                let lacking: Vec<_> = e.lacking.iter().map(|b| (b.digest.0, b.len)).collect();
                if expect != Some(e.class) || e.text.trim().is_empty() || lacking != case.lacking {
                    let expect = expect.map_or("ok", Class::name);
                    wrong.push(format!("{name} ({}): {} ({}), expected {expect}", case.rule, e.class.name(), e.text));
                }
                if std::env::var_os("POUCH_SHOW").is_some() {
                    eprintln!("{name} [{}] {}: {}", case.rule, e.class.name(), e.text);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every rule for files that a reader can find broken has a vector that breaks it.
#[test]
fn rules_have_vectors() {
    let seen: BTreeSet<&str> = cases::all().iter().filter(|c| c.expect.is_some()).map(|c| c.rule).collect();
    let rules = (2..=41).map(|n| format!("F{n}"));
    // F7 explains others; F29 is broken through F11, F21, F28; F1 fixes what nothing in a file selects.
    let missing: Vec<String> = rules.filter(|r| r != "F7" && r != "F29" && !seen.contains(r.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Random edits of sections and roots under honest digests: what a signed bundle of a defective or hostile writer may
/// hold. Nothing panics. `POUCH_MUTANTS=DIR` writes them and their classes, to compare other readers.
#[test]
fn honest_mutants_do_not_panic() {
    let mut panicked = Vec::new();
    let (mut taken, mut classes) = (0, String::new());
    let folder = std::env::var_os("POUCH_MUTANTS").map(PathBuf::from);
    for seed in 0..3000 {
        let bytes = mutant(seed);
        let class = match std::panic::catch_unwind(|| bundles::read_all(&bytes)) {
            Ok(Ok(_)) => {
                taken += 1;
                "ok"
            }
            Ok(Err(e)) if matches!(e.class, Class::Damaged | Class::Unsupported) => e.class.name(),
            other => {
                panicked.push(format!("{seed}: {:?}", other.map(|r| r.err())));
                "bug"
            }
        };
        if let Some(folder) = &folder {
            fs::write(folder.join(format!("{seed}.pouch")), &bytes).expect("writes");
            writeln!(classes, "{seed} {class}").expect("to memory");
        }
    }
    if let Some(folder) = &folder {
        fs::write(folder.join("classes.txt"), classes).expect("writes");
    }
    assert!(panicked.is_empty(), "{panicked:#?}");
    assert!(taken < 600, "{taken} of 3000 mutants were taken: do the edits hit anything?");
}

fn mutant(seed: u64) -> Vec<u8> {
    let mut dice = bundles::noise(seed, 64).into_iter().map(usize::from);
    let mut roll = move |sides: usize| (dice.next().unwrap_or(0) << 8 | dice.next().unwrap_or(0)) % sides;
    let mut f = forge::Forge::sample();
    f.split = [65_536, 65_536, 2][roll(3)];
    let target = roll(8);
    let mut edit = move |bytes: &mut Vec<u8>| {
        for _ in 0..=roll(3) {
            let at = roll(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            let value = [0, 1, 2, 0x17, 0x18, 0x20, 0x40, 0x60, 0x80, 0x81, 0xa0, 0xf4, 0xf6, 0xff][roll(14)];
            match roll(6) {
                0 => bytes.insert(at, value),
                1 if bytes.len() > 1 => drop(bytes.drain(at..at + 1)),
                2 => bytes[at] = bytes[at].wrapping_add(1),
                3 => bytes[at] = bytes[at].wrapping_sub(1),
                4 => bytes[at] ^= 1 << roll(8),
                _ => bytes[at] = value,
            }
        }
    };
    match target {
        0 => f.release_bytes(edit),
        1 => f.carriage_bytes(edit),
        n => f.sections(move |s| {
            let n = (n - 2).min(s.len() - 1);
            let mut plain = s[n].plain.clone();
            edit(&mut plain);
            s[n].set_plain(plain);
        }),
    }
    f.seal()
}
