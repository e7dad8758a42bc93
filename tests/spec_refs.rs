//! What comments and pages say of the specification is there: every page and every section that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `folder` with that ending, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => out.extend(files(&path, ending)),
            false if path.extension().is_some_and(|e| e == ending) => out.push(path),
            false => {}
        }
    }
    out.sort();
    out
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The headings of every page of the specification, without numbers, by the page's name.
fn headings() -> BTreeMap<String, BTreeSet<String>> {
    let page = |path: &PathBuf| {
        let headings = read(path).lines().filter(|l| l.starts_with('#')).map(heading).collect();
        (path.file_name().expect("a name").to_string_lossy().into_owned(), headings)
    };
    files(&repository().join("spec"), "md").iter().map(page).collect()
}

fn heading(line: &str) -> String {
    let text = line.trim_start_matches('#').trim();
    match text.split_once(". ") {
        Some((number, rest)) if number.chars().all(|c| c.is_ascii_digit()) => rest.into(),
        _ => text.into(),
    }
}

/// The words of a Rust file's comments: one line of text for each run of comment lines.
fn comments(source: &str) -> String {
    let mut out = String::new();
    for line in source.lines() {
        match line.trim_start().strip_prefix("//") {
            Some(text) => out.push_str(text.trim_start_matches(['/', '!']).trim()),
            None => out.push('\n'),
        }
        out.push(' ');
    }
    out
}

/// The names in `"A" and "B"`, `"A", "B"` and the like at the begin of `text`.
fn quoted(mut text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    while let Some((name, rest)) = text.strip_prefix('"').and_then(|t| t.split_once('"')) {
        out.push(name);
        let rest = rest.trim_start_matches([',', ' ']);
        text = rest.strip_prefix("and ").unwrap_or(rest);
    }
    out
}

/// (page, section) of every reference in `text`; the section is empty where only the page is named. A section without a
/// page is of the page `own`.
fn references(text: &str, own: Option<&str>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for part in text.split('`').filter(|p| p.ends_with(".md") && !p.contains(' ')) {
        match own {
            _ if part.starts_with("spec/") => out.push((part["spec/".len()..].to_owned(), String::new())),
            Some(_) if !part.contains('/') => out.push((part.to_owned(), String::new())),
            _ => {}
        }
    }
    for (at, word) in text.match_indices(".md`, ") {
        let page = text[..at + ".md".len()].rsplit('`').next().unwrap_or_default();
        let page = page.trim_start_matches("spec/");
        out.extend(quoted(&text[at + word.len()..]).into_iter().map(|s| (page.to_owned(), s.to_owned())));
    }
    for (at, word) in text.match_indices("section") {
        let after = text[at + word.len()..].trim_start_matches('s').trim_start();
        let before = text[..at].trim_end().trim_end_matches(',');
        let page = before.strip_suffix("`").and_then(|b| b.rsplit('`').next()).filter(|p| p.ends_with(".md"));
        let page = page.map(|p| p.trim_start_matches("spec/"));
        if let Some(page) = page.or(own) {
            out.extend(quoted(after).into_iter().map(|s| (page.to_owned(), s.to_owned())));
        }
    }
    out
}

fn check(
    file: &Path,
    text: &str,
    own: Option<&str>,
    pages: &BTreeMap<String, BTreeSet<String>>,
) -> (usize, Vec<String>) {
    let found = references(text, own);
    let missing = found.iter().filter(|(page, section)| match pages.get(page) {
        None => page != "NAME.md",
        Some(headings) => !section.is_empty() && !headings.contains(section),
    });
    let missing = missing.map(|(page, section)| format!("{}: {page}, section {section:?}", file.display()));
    (found.len(), missing.collect())
}

#[test]
fn comments_name_pages_and_sections_that_exist() {
    let pages = headings();
    let (mut count, mut missing) = (0, Vec::new());
    for file in files(&repository().join("src"), "rs") {
        let (n, m) = check(&file, &comments(&read(&file)), None, &pages);
        count += n;
        missing.extend(m);
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
    assert!(count > 150, "{count} references are fewer than there were");
}

#[test]
fn pages_name_pages_and_sections_that_exist() {
    let pages = headings();
    let mut missing = Vec::new();
    for file in files(&repository().join("spec"), "md") {
        let text = read(&file).replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        let own = file.file_name().expect("a name").to_string_lossy().into_owned();
        missing.extend(check(&file, &text, Some(&own), &pages).1);
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}

/// Every module says which section it follows, or which idea of the design it is.
#[test]
fn modules_of_the_lower_floors_name_their_section() {
    let floors = ["format", "codec", "trust", "bundle", "site", "target"];
    let mut silent = Vec::new();
    for file in floors.iter().flat_map(|f| files(&repository().join("src").join(f), "rs")) {
        let path = file.to_string_lossy();
        let test = ["tests", "vectors", "cases", "oracle", "published", "rotation"].iter().any(|t| path.contains(t));
        if !test && !comments(&read(&file)).lines().next().is_some_and(|l| l.contains("spec/")) {
            silent.push(path.into_owned());
        }
    }
    assert!(silent.is_empty(), "no section of the specification is named by\n{}", silent.join("\n"));
}

/// Schemas stand beside their rules and once more together, for tools.
#[test]
fn the_schemas_of_facts_are_the_same_in_both_places() {
    let (page, together) = (read(&repository().join("spec/facts.md")), read(&repository().join("spec/facts.cddl")));
    let blocks: Vec<&str> = page.split("```cddl\n").skip(1).filter_map(|b| b.split("```").next()).collect();
    assert_eq!(blocks.len(), 9, "one for each kind");
    for block in blocks {
        assert!(together.contains(block), "not in facts.cddl:\n{block}");
    }
    for kind in pouch::model::Kind::ALL {
        assert!(page.contains(&format!("\n## {kind}/1\n")), "facts.md has no section {kind}/1");
    }
}

/// The names of all test functions, and of all vectors.
fn proofs() -> (String, BTreeSet<String>) {
    let sources = [files(&repository().join("src"), "rs"), files(&repository().join("tests"), "rs")].concat();
    let code = sources.iter().map(|p| read(p)).collect();
    let vectors = repository().join("testdata/vectors");
    let names = ["pouch", "txt"].iter().flat_map(|ending| files(&vectors, ending));
    let folders =
        std::fs::read_dir(vectors.join("trust/releases")).expect("a folder").map(|e| e.expect("an entry").path());
    let stem = |p: PathBuf| p.file_stem().expect("a name").to_string_lossy().into_owned();
    (code, names.chain(folders).map(stem).collect())
}

/// Whether a test, a vector or a file has that name.
fn is_proof(name: &str, code: &str, vectors: &BTreeSet<String>) -> bool {
    match name {
        _ if name.contains('/') => repository().join(name).exists(),
        _ if name.contains('-') => vectors.iter().any(|v| v.starts_with(name)),
        _ => code.contains(&format!("fn {name}(")),
    }
}

#[test]
fn every_scenario_of_tuf_conformance_has_its_row() {
    let page = read(&repository().join("spec/tuf.md"));
    let (code, vectors) = proofs();
    let rows: Vec<Vec<&str>> = page.lines().filter(|l| l.starts_with("| ")).map(|l| l.split(" | ").collect()).collect();
    let scenarios: BTreeSet<&str> = rows.iter().flat_map(|r| r[0].split('`').skip(1).step_by(2)).collect();
    assert_eq!(scenarios.len(), 53, "as many as the suite has");
    for row in &rows {
        let [scenario, here] = row[..] else { panic!("{row:?} has other than two cells") };
        for name in here.split('`').skip(1).step_by(2).filter(|n| !n.ends_with(".md")) {
            assert!(is_proof(name, &code, &vectors), "{scenario}: {name} is not there");
        }
    }
}

#[test]
fn every_defence_names_proofs_that_exist() {
    let page = read(&repository().join("spec/security.md"));
    let (code, vectors) = proofs();
    let rows: Vec<Vec<&str>> = page.lines().filter(|l| l.starts_with("| ")).map(|l| l.split(" | ").collect()).collect();
    assert_eq!(rows.len(), 42, "a head and forty-one threats");
    let mut missing = Vec::new();
    for row in rows.iter().skip(1) {
        let [number, _, defence, proof] = row[..] else { panic!("{row:?} has other than four cells") };
        let absent = proof.split('`').skip(1).step_by(2).filter(|name| !is_proof(name, &code, &vectors));
        missing.extend(absent.map(|name| format!("{number}: {name}")));
        let paths = defence.split('`').skip(1).step_by(2).filter(|n| n.starts_with("src/") || n.starts_with("tests/"));
        missing.extend(paths.filter(|p| !repository().join(p).exists()).map(|p| format!("{number}: {p}")));
        assert!(proof.contains('`') || proof.contains("not yet"), "{number}: no proof, and not said so");
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}

#[test]
fn references_are_found() {
    type Case<'a> = (&'a str, Option<&'a str>, &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 6] = [
        ("see `spec/a.md`.", None, &[("a.md", "")]),
        ("`spec/a.md`, section \"B c\", rule 1", None, &[("a.md", ""), ("a.md", "B c")]),
        ("`spec/a.md`, sections \"B\" and \"C\".", None, &[("a.md", ""), ("a.md", "B"), ("a.md", "C")]),
        ("`b.md` says, in section \"D\"", Some("own.md"), &[("b.md", ""), ("own.md", "D")]),
        ("(`spec/a.md`, \"B\")", None, &[("a.md", ""), ("a.md", "B")]),
        ("RFC 1, section 2", None, &[]),
    ];
    for (text, own, expect) in cases {
        let expect: Vec<_> = expect.iter().map(|(p, s)| ((*p).to_owned(), (*s).to_owned())).collect();
        assert_eq!(references(text, own), expect, "{text}");
    }
}
