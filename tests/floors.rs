//! The floors of `ARCHITECTURE.md`: no import points up, no lower floor opens files or asks the clock, no file is too long.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Modules by floor, as `ARCHITECTURE.md` has them. The binary (`main`, `cli`) stands on top of all.
const FLOORS: [&[&str]; 8] = [
    &["buffer", "digest", "cbor", "relpath", "limits", "class", "model", "monitor", "parallel"],
    &["format", "codec", "kind", "patch", "replay"],
    &["trust"],
    &["bundle"],
    &["fs"],
    &["source", "target"],
    &["site"],
    &["op"],
];
const BINARY: [&str; 2] = ["main", "cli"];

/// Lines of a file, and of one that only tests have: tables of cases are read by the row.
const LINES: usize = 700;
const TEST_LINES: usize = 1000;

/// What only the disk floor and those above it do; the last floor of a word is the highest that must not use it.
const NOT_BELOW: [(&str, usize); 5] =
    [("std::fs", 3), ("File::open", 3), ("SystemTime", 6), ("Timestamp::now", 6), ("env::var", 7)];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// A module's file: its path below `src`, the name of its top module, its lines.
struct Module {
    path: String,
    top: String,
    text: String,
    test: bool,
}

fn modules() -> Vec<Module> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&src, &mut paths);
    let read = |p: &PathBuf| std::fs::read_to_string(p).unwrap_or_else(|e| panic!("{}: {e}", p.display()));
    let texts: Vec<String> = paths.iter().map(read).collect();
    let tests: BTreeSet<PathBuf> = paths.iter().zip(&texts).flat_map(|(p, t)| test_modules(p, t)).collect();
    let module = |(path, text): (PathBuf, String)| {
        let below = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let top = below.split('/').next().expect("a component").trim_end_matches(".rs").to_owned();
        let test = path.ancestors().any(|a| tests.contains(&a.with_extension("")));
        Module { path: below, top, text, test }
    };
    paths.into_iter().zip(texts).map(module).filter(|m| m.top != "lib").collect()
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => collect(&path, out),
            false if path.extension().is_some_and(|e| e == "rs") => out.push(path),
            false => {}
        }
    }
    out.sort();
}

/// The files, without their ending, of modules that a file declares for tests only.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let home = match path.file_stem().and_then(|s| s.to_str()) {
        Some("mod" | "lib" | "main") => path.parent().expect("a folder").to_owned(),
        _ => path.with_extension(""),
    };
    let mut out = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let name = lines
            .next()
            .and_then(|l| l.trim().trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';'));
        out.extend(name.map(|n| home.join(n)));
    }
    out
}

/// What is compiled without tests, comments left out.
fn code(text: &str) -> String {
    let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(crate) mod tests {"];
    let end = tests.iter().filter_map(|t| text.find(t)).min().unwrap_or(text.len());
    text[..end].lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The top modules that `crate::x` and `crate::{x, y::z}` name.
fn uses(code: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (at, word) in code.match_indices("crate::") {
        let rest = &code[at + word.len()..];
        match rest.strip_prefix('{') {
            None => out.extend(name(rest)),
            Some(group) => top_level(group).into_iter().for_each(|part| out.extend(name(part.trim()))),
        }
    }
    out
}

fn name(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The parts of a group up to its closing brace, inner groups left whole.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut out) = (0usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                out.push(&group[from..at]);
                return out;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    out
}

#[test]
fn every_module_has_a_floor() {
    for module in modules() {
        assert!(floor(&module.top).is_some() || BINARY.contains(&module.top.as_str()), "{} has no floor", module.path);
    }
}

#[test]
fn the_page_has_the_same_table() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).expect("the page");
    for (n, floor) in FLOORS.iter().enumerate() {
        let names: Vec<String> = floor.iter().map(|m| format!("`{m}`")).collect();
        let row = format!("| {n} | {} |", names.join(" "));
        assert!(page.contains(&row), "ARCHITECTURE.md lacks {row}");
    }
}

#[test]
fn no_import_points_up() {
    let mut up = Vec::new();
    for module in modules().iter().filter(|m| !m.test) {
        let Some(own) = floor(&module.top) else { continue };
        for used in uses(&code(&module.text)) {
            if floor(&used).is_some_and(|f| f > own) {
                up.push(format!("{} (floor {own}) uses {used}", module.path));
            }
        }
    }
    assert!(up.is_empty(), "{}", up.join("\n"));
}

#[test]
fn lower_floors_open_no_files_and_ask_no_clock() {
    let mut found = Vec::new();
    for module in modules().iter().filter(|m| !m.test) {
        let Some(own) = floor(&module.top) else { continue };
        let code = code(&module.text);
        let bad = NOT_BELOW.iter().filter(|(word, below)| own <= *below && code.contains(word));
        found.extend(bad.map(|(word, _)| format!("{} (floor {own}) uses {word}", module.path)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let lines = |m: &Module| m.text.lines().count();
    let long = |m: &&Module| lines(m) > if m.test { TEST_LINES } else { LINES };
    let long: Vec<String> = modules().iter().filter(long).map(|m| format!("{}: {} lines", m.path, lines(m))).collect();
    assert!(long.is_empty(), "look again: what are its parts?\n{}", long.join("\n"));
}

#[test]
fn uses_are_found() {
    let cases: [(&str, &[&str]); 5] = [
        ("use crate::fs::disk::Disk;", &["fs"]),
        ("let x = crate::op::pack(crate::digest::Digest::of(b));", &["digest", "op"]),
        ("use crate::{bundle::{Sealed, blocks}, site::Site, trust};", &["bundle", "site", "trust"]),
        ("use super::crates;", &[]),
        ("pub(crate) fn f() {}", &[]),
    ];
    for (text, expect) in cases {
        assert_eq!(uses(&code(text)).into_iter().collect::<Vec<_>>(), expect, "{text}");
    }
    assert_eq!(code("a // crate::op\n#[cfg(test)]\nmod tests {\nuse crate::op;}").trim_end(), "a");
    let tests = test_modules(Path::new("src/a/mod.rs"), "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod b {\n}\nmod c;\n");
    assert_eq!(tests, [PathBuf::from("src/a/tests")]);
}
