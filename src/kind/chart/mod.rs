//! A *chart* is a Helm package: a gzipped tar of one folder with a Chart.yaml in it.
//!
//! Its templates are not looked at. Specified in `spec/facts.md`, section "chart/1".

use super::{BlobReader, Derived, KindError, tarball, top};
use crate::cbor::{Bytes, encode, record};
use crate::limits;
use crate::model::Artifact;
use serde_json::{Map, Value};

const CHART_YAML: &str = "the chart's Chart.yaml";
/// Nesting of Chart.yaml; Helm's own fields need 3.
const MAX_DEPTH: usize = 32;
/// Longest key: YAML's implicit keys end at 1024 characters, and `index.yaml` repeats the keys, perhaps escaped.
const MAX_KEY: usize = 100;

record! {
    /// Facts of a chart, schema `chart/1`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ChartFacts {
        /// `name`.
        0 => name: String,
        /// `version`.
        1 => version: String,
        /// `appVersion`.
        2 => app_version: Option<String>,
        /// All of Chart.yaml as one JSON text without spaces, keys in the file's order.
        3 => document: String,
    }
}

/// Reads Chart.yaml; refuses where the file's name disagrees.
pub fn derive(artifact: &Artifact, blobs: &dyn BlobReader) -> Result<Derived, KindError> {
    let blob = top(artifact)?;
    let path = artifact.path.as_ref().ok_or_else(|| KindError::malformed("the chart", "it has no file name"))?;
    let (folder, yaml) = chart_yaml(blobs.open(&blob)?)?;
    let document = parse(&yaml)?;
    let name = field(&document, "name")?.filter(|n| is_name(n));
    let name = name.ok_or_else(|| KindError::malformed(CHART_YAML, "it has no name that could be a chart's"))?;
    let version = field(&document, "version")?.filter(|v| is_version(v));
    let version =
        version.ok_or_else(|| KindError::malformed(CHART_YAML, "it has no version that could be a chart's"))?;
    if folder != name {
        return Err(KindError::Disagree { what: "the chart's folder and its Chart.yaml", left: folder, right: name });
    }
    let file = path.file_name();
    let expected = format!("{name}-{version}.tgz");
    if file != expected && file != expected.replace('+', "_") {
        let what = "the file name and the chart's Chart.yaml";
        return Err(KindError::Disagree { what, left: file.into(), right: expected });
    }
    let app_version = field(&document, "appVersion")?;
    check_shapes(&document)?;
    let facts = ChartFacts {
        name: name.clone(),
        version: version.clone(),
        app_version,
        document: Value::Object(document).to_string(),
    };
    Ok(Derived {
        name: Some(name),
        version: Some(version),
        arch: None,
        blobs: vec![blob],
        made: vec![],
        facts: Bytes(encode(&facts)),
    })
}

/// The folder and the content of the one `<folder>/Chart.yaml`; subcharts lie deeper.
fn chart_yaml(reader: Box<dyn super::ReadSeek + '_>) -> Result<(String, Vec<u8>), KindError> {
    let mut found = None;
    tarball::visit(&mut flate2::read::MultiGzDecoder::new(reader), "the chart", |name, size, content| {
        if let Some((folder, "Chart.yaml")) = name.split_once('/') {
            let bytes = tarball::read(content, size, CHART_YAML, limits::CHART_YAML)?;
            if found.replace((folder.to_owned(), bytes)).is_some() {
                return Err(KindError::malformed("the chart", "it has two Chart.yaml"));
            }
        }
        Ok(())
    })?;
    found.ok_or_else(|| KindError::malformed(CHART_YAML, "it is missing"))
}

/// Parses YAML as Helm does before it looks at any field: into JSON, duplicate keys refused.
fn parse(yaml: &[u8]) -> Result<Map<String, Value>, KindError> {
    let bad = |why: String| KindError::malformed(CHART_YAML, why);
    let text = std::str::from_utf8(yaml).map_err(|_| bad("it is not UTF-8".into()))?;
    let options = serde_saphyr::options! {
        with_snippet: false,
        legacy_octal_numbers: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::Reject,
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: 50_000, max_events: 200_000 },
    };
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|e| bad(e.to_string()))?;
    check_keys(&value, 0)?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(bad("it is not a mapping".into())),
    }
}

fn check_keys(value: &Value, depth: usize) -> Result<(), KindError> {
    if depth > MAX_DEPTH {
        return Err(KindError::malformed(CHART_YAML, "it is nested too deep"));
    }
    let below = depth.saturating_add(1);
    match value {
        Value::Array(items) => items.iter().try_for_each(|v| check_keys(v, below)),
        Value::Object(map) => map.iter().try_for_each(|(key, v)| {
            let limit = u64::try_from(MAX_KEY).unwrap_or(u64::MAX);
            match key.chars().count() {
                n if n > MAX_KEY => {
                    let have = u64::try_from(n).unwrap_or(u64::MAX);
                    Err(KindError::TooLarge { what: "a key of the chart's Chart.yaml", limit, have })
                }
                _ => check_keys(v, below),
            }
        }),
        _ => Ok(()),
    }
}

/// Refuses fields that Helm could not load: one such chart in an `index.yaml` makes the whole of it unreadable.
fn check_shapes(document: &Map<String, Value>) -> Result<(), KindError> {
    let scalar = |v: &Value| !matches!(v, Value::Array(_) | Value::Object(_));
    let switch = |v: &Value| matches!(v, Value::Null | Value::Bool(_));
    let list = |v: &Value, item: &dyn Fn(&Value) -> bool| match v {
        Value::Array(items) => items.iter().all(item),
        other => other.is_null(),
    };
    let map = |v: &Value, item: &dyn Fn(&str, &Value) -> bool| match v {
        Value::Object(fields) => fields.iter().all(|(key, v)| item(key, v)),
        other => other.is_null(),
    };
    let dependency = |key: &str, v: &Value| match key {
        "enabled" => switch(v),
        "tags" => list(v, &scalar),
        "name" | "version" | "repository" | "condition" | "alias" => scalar(v),
        _ => true,
    };
    let maintainer = |key: &str, v: &Value| !matches!(key, "name" | "email" | "url") || scalar(v);
    for (key, v) in document {
        let fits = match key.as_str() {
            "apiVersion" | "description" | "home" | "icon" | "kubeVersion" | "type" | "condition" | "tags" => scalar(v),
            "keywords" | "sources" => list(v, &scalar),
            "annotations" => map(v, &|_, v| scalar(v)),
            "deprecated" => switch(v),
            "maintainers" => list(v, &|m| map(m, &maintainer)),
            "dependencies" => list(v, &|d| map(d, &dependency)),
            _ => true,
        };
        if !fits {
            return Err(KindError::malformed(CHART_YAML, format!("its {key} is not of the type that Helm expects")));
        }
    }
    Ok(())
}

/// A text field; where the YAML has a bare number or boolean, what Helm makes of it.
fn field(document: &Map<String, Value>, key: &str) -> Result<Option<String>, KindError> {
    match document.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s.clone())),
        Some(Value::Bool(b)) => Ok(Some(b.to_string())),
        // Rust writes the shortest digits that mean the number, without a point where it is whole, as Go's 'g' does.
        Some(Value::Number(n)) => Ok(Some(match n.as_f64() {
            Some(f) if n.is_f64() => f.to_string(),
            _ => n.to_string(),
        })),
        Some(_) => Err(KindError::malformed(CHART_YAML, format!("its {key} is not a text"))),
    }
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 250
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn is_version(version: &str) -> bool {
    is_name(&version.replace('+', "-"))
}

#[cfg(test)]
mod tests;
