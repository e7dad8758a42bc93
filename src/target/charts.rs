//! A *chart repository* is a folder of charts with an `index.yaml` (Helm's "Chart Repository Guide").
//!
//! Only each stream's latest release is listed. Specified in `spec/site.md`, section "Charts".

use super::TargetError;
use super::link::encode;
use crate::cbor::{self, CborError};
use crate::digest::Blob;
use crate::kind::chart::ChartFacts;
use crate::model::{Catalog, Content, Context, Described, Kind, Plan};
use crate::relpath::RelPath;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One version of a chart.
struct Listed {
    path: RelPath,
    blob: Blob,
    document: Map<String, Value>,
}

/// Charts by name, then by version.
type Charts = BTreeMap<String, BTreeMap<String, Listed>>;

/// Renders its part of the plan.
pub fn plan(catalog: &Catalog, context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let mut roots: BTreeMap<RelPath, Charts> = BTreeMap::new();
    for described in catalog.latest().filter(|d| d.artifact.kind == Kind::Chart) {
        let artifact = &described.artifact;
        let (Some(path), Some(blob)) = (artifact.path.clone(), artifact.blobs.first().copied()) else { continue };
        let content = Content::Blob { digest: blob.digest, executable: artifact.executable };
        plan.add(artifact.root.join(path.as_str())?, content)?;
        let (facts, document) = read(described)?;
        let versions = roots.entry(artifact.root.clone()).or_default().entry(facts.name).or_default();
        match versions.get_mut(&facts.version) {
            Some(there) if there.blob != blob => {
                let why = "they are one version of one chart and have different bytes".into();
                return Err(TargetError::Conflict { first: there.path.to_string(), second: path.to_string(), why });
            }
            // The same chart at two places: the first path in order is the one that is named, whatever came first.
            Some(there) => there.path = there.path.clone().min(path),
            None => _ = versions.insert(facts.version, Listed { path, blob, document }),
        }
    }
    let time = rfc3339(context.time);
    for (root, charts) in &roots {
        let text = index(charts, &time);
        plan.add(root.join("index.yaml")?, Content::Bytes(text.into_bytes()))?;
    }
    Ok(())
}

fn read(described: &Described) -> Result<(ChartFacts, Map<String, Value>), TargetError> {
    let broken = |source| TargetError::Facts { artifact: described.artifact.name.clone(), source };
    let facts: ChartFacts = cbor::decode(&described.facts.0).map_err(broken)?;
    let document = serde_json::from_str(&facts.document)
        .map_err(|e| broken(CborError::Value(format!("Chart.yaml's fields are not JSON: {e}"))))?;
    Ok((facts, document))
}

/// Time in UTC. A time outside jiff's years (nobody's seal has one) becomes the epoch.
fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

fn index(charts: &Charts, time: &str) -> String {
    let mut out = String::from("apiVersion: v1\nentries:");
    if charts.is_empty() {
        out.push_str(" {}");
    }
    out.push('\n');
    for (name, versions) in charts {
        _ = writeln!(out, "  {}:", quoted(name));
        let mut order: Vec<(&String, &Listed)> = versions.iter().collect();
        order.sort_by_cached_key(|(version, _)| Reverse((semver(version), (*version).clone())));
        for (_, listed) in order {
            out.push_str("  - ");
            flow(&Value::Object(entry(listed, time)), &mut out);
            out.push('\n');
        }
    }
    _ = writeln!(out, "generated: {}", quoted(time));
    out
}

/// Versions as Helm reads them: with or without `v`. What it cannot read is `None`, and comes last.
fn semver(version: &str) -> Option<semver::Version> {
    semver::Version::parse(version.strip_prefix('v').unwrap_or(version)).ok()
}

/// Chart.yaml's fields, then the index's own; a field of Chart.yaml with the name of one of those gives way.
fn entry(listed: &Listed, time: &str) -> Map<String, Value> {
    let own = ["created", "digest", "urls", "removed"];
    let mut out: Map<String, Value> = listed.document.clone();
    out.retain(|key, _| !own.contains(&key.as_str()));
    out.insert("created".into(), time.into());
    out.insert("digest".into(), listed.blob.digest.hex().into());
    out.insert("urls".into(), json!([encode(listed.path.as_str())]));
    out
}

/// Writes a value in YAML's flow style, all texts double-quoted, so that nothing is taken for a number or a boolean.
fn flow(value: &Value, out: &mut String) {
    match value {
        Value::String(s) => out.push_str(&quoted(s)),
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                flow(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (n, (key, item)) in map.iter().enumerate() {
                _ = write!(out, "{}{}: ", if n == 0 { "" } else { ", " }, quoted(key));
                flow(item, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) => _ = write!(out, "{value}"),
        Value::Number(n) => out.push_str(&number(&n.to_string())),
    }
}

/// JSON writes `1e30`, which YAML 1.1 takes for text: it wants a point and a signed exponent.
fn number(json: &str) -> String {
    match json.split_once('e') {
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
        None => json.to_owned(),
    }
}

/// A double-quoted scalar. Letters and digits of all scripts stay; everything else outside ASCII is escaped, because
/// readers differ in what they take for printable, and YAML does not join JSON's surrogate pairs.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() && u32::from(c) < 0x1_0000 => out.push(c),
            c if u32::from(c) < 0x1_0000 => _ = write!(out, "\\u{:04X}", u32::from(c)),
            c => _ = write!(out, "\\U{:08X}", u32::from(c)),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{Bytes, encode as cbor_encode};
    use crate::target::pypi::tests::{artifact, catalog, rendered};

    fn chart(path: &str, version: &str, document: &str, bytes: &[u8]) -> Described {
        let facts =
            ChartFacts { name: "x".into(), version: version.into(), app_version: None, document: document.into() };
        Described { artifact: artifact(Kind::Chart, "www/charts", path, bytes), facts: Bytes(cbor_encode(&facts)) }
    }

    #[test]
    fn an_index() {
        let doc =
            |v: &str| format!(r#"{{"name":"x","version":"{v}","appVersion":"1.10","n":1.5,"m":1e30,"digest":"lie"}}"#);
        let versions = ["1.9.0", "1.10.0", "1.10.0-rc.1", "2.0.0+b.1", "odd"];
        let all = versions.map(|v| chart(&format!("x-{v}.tgz"), v, &doc(v), v.as_bytes()));
        let out = rendered(&catalog(vec![all.to_vec()]), plan).expect("plan");
        let index = &out["www/charts/index.yaml"];
        let lines: Vec<&str> = index.lines().collect();
        assert_eq!(lines[..3], ["apiVersion: v1", "entries:", "  \"x\":"]);
        let digest = Blob::of(b"2.0.0+b.1").digest.hex();
        assert_eq!(
            lines[3],
            format!(
                "  - {{\"name\": \"x\", \"version\": \"2.0.0+b.1\", \"appVersion\": \"1.10\", \"n\": 1.5, \"m\": 1.0e+30, \
                 \"created\": \"2023-11-14T22:13:20Z\", \"digest\": \"{digest}\", \"urls\": [\"x-2.0.0%2Bb.1.tgz\"]}}"
            )
        );
        let order = versions;
        let found: Vec<&str> = lines[3..8]
            .iter()
            .map(|l| *order.iter().find(|v| l.contains(&format!("\"version\": \"{v}\""))).expect("version"))
            .collect();
        assert_eq!(found, ["2.0.0+b.1", "1.10.0", "1.10.0-rc.1", "1.9.0", "odd"]);
        assert_eq!(lines[8], "generated: \"2023-11-14T22:13:20Z\"");
    }

    #[test]
    fn quoting() {
        for (text, want) in
            [("a\"b\\c\n", r#""a\"b\\c\n""#), ("é漢\u{7f}\u{feff}😀\t", r#""é漢\u007F\uFEFF\U0001F600\u0009""#)]
        {
            assert_eq!(quoted(text), want);
        }
    }

    #[test]
    fn conflicts() {
        let one = chart("x-1.tgz", "1", "{}", b"1");
        let again = chart("a/x-1.tgz", "1", "{}", b"1");
        let out = rendered(&catalog(vec![vec![one.clone()], vec![again]]), plan).expect("same");
        assert!(out["www/charts/index.yaml"].contains("[\"a/x-1.tgz\"]"));
        let other = chart("a/x-1.tgz", "1", "{}", b"2");
        let e = rendered(&catalog(vec![vec![one.clone()], vec![other]]), plan);
        assert!(matches!(e, Err(TargetError::Conflict { .. })));
        let lie = chart("x-2.tgz", "2", "{", b"1");
        assert!(matches!(rendered(&catalog(vec![vec![lie]]), plan), Err(TargetError::Facts { .. })));
    }
}
