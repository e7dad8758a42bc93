use super::*;
use crate::kind::tarball::build::{gzip, tar};
use crate::kind::wheel::tests::{artifact, with_blob};
use crate::model::Kind;

fn read(file: &str, bytes: &[u8]) -> Result<ChartFacts, KindError> {
    let derived = with_blob(bytes, |blobs| derive(&artifact(Kind::Chart, file, bytes), blobs))?;
    Ok(crate::cbor::decode(&derived.facts.0).expect("facts"))
}

fn chart(yaml: &str) -> Vec<u8> {
    gzip(&tar(&[("x/Chart.yaml", yaml.as_bytes()), ("x/charts/y/Chart.yaml", b"junk: ["), ("x/values.yaml", b"")]))
}

#[test]
fn keeps_every_field() {
    let yaml = "name: x\nversion: 1.0.0+b.1\napiVersion: v2\nappVersion: \"1.10\"\nzzz: [1, {a: null}]\n\
        annotations:\n  b: \"yes\"\n  a: |\n    two\n    lines\ndependencies:\n- name: sub\n  version: '*'\ndeprecated: true\n";
    let facts = read("x-1.0.0+b.1.tgz", &chart(yaml)).expect("chart");
    assert_eq!((facts.version.as_str(), facts.app_version.as_deref()), ("1.0.0+b.1", Some("1.10")));
    assert_eq!(
        facts.document,
        r#"{"name":"x","version":"1.0.0+b.1","apiVersion":"v2","appVersion":"1.10","zzz":[1,{"a":null}],"annotations":{"b":"yes","a":"two\nlines\n"},"dependencies":[{"name":"sub","version":"*"}],"deprecated":true}"#
    );
    assert_eq!(read("x-1.0.0_b.1.tgz", &chart(yaml)).expect("underscore"), facts);
}

#[test]
fn bare_numbers_are_what_helm_makes_of_them() {
    for (bare, want) in [("1.10", "1.1"), ("1.0", "1"), ("6", "6"), ("true", "true"), ("1.2.3", "1.2.3")] {
        let facts = read("x-1.0.0.tgz", &chart(&format!("name: x\nversion: 1.0.0\nappVersion: {bare}\n"))).expect(bare);
        assert_eq!(facts.app_version.as_deref(), Some(want), "{bare}");
    }
}

#[test]
fn names_must_agree() {
    let good = chart("name: x\nversion: 1.0.0\n");
    assert!(read("sub/x-1.0.0.tgz", &good).is_ok());
    for file in ["x-1.0.1.tgz", "y-1.0.0.tgz", "x.tgz", "x-1.0.0.tar.gz"] {
        assert!(matches!(read(file, &good), Err(KindError::Disagree { .. })), "{file}");
    }
    assert!(read("y-1.0.0.tgz", &chart("name: y\nversion: 1.0.0\n")).is_err(), "folder");
}

#[test]
fn hostile() {
    let check = |bytes: Vec<u8>, why: &str| assert!(read("x-1.0.0.tgz", &bytes).is_err(), "{why}");
    let head = "name: x\nversion: 1.0.0\n";
    check(gzip(&tar(&[("x/values.yaml", b"")])), "no Chart.yaml");
    check(gzip(&tar(&[("x/Chart.yaml", head.as_bytes()), ("y/Chart.yaml", b"")])), "two Chart.yaml");
    check(chart("- a\n"), "no mapping");
    check(chart("version: 1.0.0\n"), "no name");
    check(chart("name: ../x\nversion: 1.0.0\n"), "name");
    check(chart("name: x\nversion: [1]\n"), "version");
    check(chart(&format!("{head}name: x\n")), "duplicate key");
    check(chart(&format!("{head}a: .inf\n")), "not a JSON number");
    for wrong in [
        "keywords: a",
        "keywords: [[a]]",
        "sources: {a: b}",
        "annotations: [a]",
        "annotations: {a: [b]}",
        "deprecated: maybe",
        "maintainers: [a]",
        "maintainers: [{name: [a]}]",
        "dependencies: {a: b}",
        "dependencies: [{tags: a}]",
        "home: [a]",
    ] {
        check(chart(&format!("{head}{wrong}\n")), wrong);
    }
    check(chart(&format!("{head}a: {}{}\n", "[".repeat(1000), "]".repeat(1000))), "deep");
    let aliases: String = (1..12).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(10))).collect();
    check(chart(&format!("{head}a0: &a0 [x,x]\n{aliases}")), "alias bomb");
    check(chart(&format!("{head}{}: 1\n", "k".repeat(101))), "long key");
    let long = usize::try_from(limits::CHART_YAML).expect("usize");
    check(chart(&format!("{head}a: {}\n", "x".repeat(long))), "large");
    let good = chart(head);
    for n in 0..good.len() {
        let _ = read("x-1.0.0.tgz", &good[..n]);
        let mut bad = good.clone();
        bad[n] ^= 0xff;
        let _ = read("x-1.0.0.tgz", &bad);
    }
}
