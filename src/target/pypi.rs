//! A *simple index* is what pip and uv read: a page of all projects and one page of files for each (PEP 503, 629, 691,
//! 700, 714).
//!
//! HTML pages and JSON documents say the same. Only each stream's latest release is listed. Specified in `spec/site.md`,
//! section "PyPI".

use super::TargetError;
use super::link::{encode, html};
use crate::cbor;
use crate::digest::Blob;
use crate::kind::python::version::Version;
use crate::kind::sdist::SdistFacts;
use crate::kind::wheel::WheelFacts;
use crate::model::{Catalog, Content, Context, Described, Kind, Plan};
use crate::relpath::RelPath;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One file of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    file: String,
    path: RelPath,
    blob: Blob,
    version: String,
    requires_python: Option<String>,
    metadata: Option<Blob>,
    yanked: Option<String>,
}

/// Projects by normalised name, their files by name.
type Projects = BTreeMap<String, BTreeMap<String, Listed>>;

/// Renders its part of the plan.
pub fn plan(catalog: &Catalog, _context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let mut roots: BTreeMap<RelPath, Projects> = BTreeMap::new();
    for described in catalog.latest() {
        let Some((project, listed)) = read(described)? else { continue };
        let artifact = &described.artifact;
        let place = artifact.root.join(listed.path.as_str())?;
        let content = Content::Blob { digest: listed.blob.digest, executable: artifact.executable };
        plan.add(place.clone(), content)?;
        if let Some(metadata) = listed.metadata {
            let beside = RelPath::new(&format!("{place}.metadata"))?;
            plan.add(beside, Content::Blob { digest: metadata.digest, executable: false })?;
        }
        let files = roots.entry(artifact.root.clone()).or_default().entry(project).or_default();
        // Equal names in one folder with other bytes have collided above; in two folders of one root they do here.
        match files.get(&listed.file) {
            Some(there) if there.blob != listed.blob => return Err(conflict(there, &listed)),
            Some(_) => {}
            None => _ = files.insert(listed.file.clone(), listed),
        }
    }
    for (root, projects) in &roots {
        render(root, projects, plan)?;
    }
    Ok(())
}

fn conflict(there: &Listed, came: &Listed) -> TargetError {
    let why = "they have one file name and different bytes".into();
    TargetError::Conflict { first: there.path.to_string(), second: came.path.to_string(), why }
}

fn read(described: &Described) -> Result<Option<(String, Listed)>, TargetError> {
    let artifact = &described.artifact;
    let broken = |source| TargetError::Facts { artifact: artifact.name.clone(), source };
    let (project, version, requires_python, metadata) = match artifact.kind {
        Kind::Wheel => {
            let f: WheelFacts = cbor::decode(&described.facts.0).map_err(broken)?;
            (f.project, f.version, f.requires_python, Some(f.metadata))
        }
        Kind::Sdist => {
            let f: SdistFacts = cbor::decode(&described.facts.0).map_err(broken)?;
            (f.project, f.version, f.requires_python, None)
        }
        _ => return Ok(None),
    };
    let (Some(path), Some(blob)) = (artifact.path.clone(), artifact.blobs.first().copied()) else { return Ok(None) };
    let yanked = artifact.label("yanked").map(str::to_owned);
    let file = path.file_name().to_owned();
    Ok(Some((project, Listed { file, path, blob, version, requires_python, metadata, yanked })))
}

/// Both forms of the index: at the root, as kubespray-offline has it, and below `simple/`, as PyPI has it. A project of
/// the name `files` or `simple` would lie among the artifacts or the pages, so it is below `simple/` only.
fn render(root: &RelPath, projects: &Projects, plan: &mut Plan) -> Result<(), TargetError> {
    for (base, up) in [(root.clone(), ""), (root.join("simple")?, "../")] {
        let bare = up.is_empty();
        let here: Vec<&String> =
            projects.keys().filter(|p| !bare || !matches!(p.as_str(), "files" | "simple")).collect();
        add(plan, &base, "index.html", root_html(&here))?;
        add(plan, &base, "index.json", root_json(&here))?;
        for project in here {
            let Some(files) = projects.get(project) else { continue };
            let files = sorted(files);
            let (folder, up) = (base.join(project)?, format!("{up}../"));
            add(plan, &folder, "index.html", project_html(project, &files, &up))?;
            add(plan, &folder, "index.json", project_json(project, &files, &up))?;
        }
    }
    Ok(())
}

fn add(plan: &mut Plan, folder: &RelPath, name: &str, text: String) -> Result<(), TargetError> {
    Ok(plan.add(folder.join(name)?, Content::Bytes(text.into_bytes()))?)
}

/// Oldest version first, versions that PEP 440 does not know before all others.
fn sorted(files: &BTreeMap<String, Listed>) -> Vec<&Listed> {
    let mut out: Vec<&Listed> = files.values().collect();
    out.sort_by_cached_key(|f| {
        let version = Version::parse(&f.version);
        let text = version.is_none().then(|| f.version.clone());
        (version, text, f.file.clone())
    });
    out
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"pypi:repository-version\" content=\"1.1\">\n<title>{title}</title>\n</head>\n<body>\n\
         <h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

fn root_html(projects: &[&String]) -> String {
    let mut body = String::new();
    for project in projects {
        _ = writeln!(body, "<a href=\"{}/\">{}</a><br>", encode(project), html(project));
    }
    page("Simple index", &body)
}

fn project_html(project: &str, files: &[&Listed], up: &str) -> String {
    let mut body = String::new();
    for f in files {
        _ = write!(body, "<a href=\"{up}{}#sha256={}\"", encode(f.path.as_str()), f.blob.digest.hex());
        if let Some(requires) = &f.requires_python {
            _ = write!(body, " data-requires-python=\"{}\"", html(requires));
        }
        if let Some(metadata) = f.metadata {
            let hash = metadata.digest.hex();
            _ = write!(body, " data-core-metadata=\"sha256={hash}\" data-dist-info-metadata=\"sha256={hash}\"");
        }
        if let Some(reason) = &f.yanked {
            _ = write!(body, " data-yanked=\"{}\"", html(reason));
        }
        _ = writeln!(body, ">{}</a><br>", html(&f.file));
    }
    page(&format!("Links for {}", html(project)), &body)
}

fn document(value: &Value) -> String {
    format!("{value}\n")
}

fn root_json(projects: &[&String]) -> String {
    let projects: Vec<Value> = projects.iter().map(|p| json!({ "name": p })).collect();
    document(&json!({ "meta": { "api-version": "1.1" }, "projects": projects }))
}

fn project_json(project: &str, files: &[&Listed], up: &str) -> String {
    let mut seen = BTreeSet::new();
    let versions: Vec<&String> = files.iter().map(|f| &f.version).filter(|v| seen.insert(*v)).collect();
    let files: Vec<Value> = files.iter().map(|f| file_json(f, up)).collect();
    document(&json!({ "meta": { "api-version": "1.1" }, "name": project, "versions": versions, "files": files }))
}

fn file_json(f: &Listed, up: &str) -> Value {
    let hashes = |blob: Blob| json!({ "sha256": blob.digest.hex() });
    let mut out = Map::new();
    out.insert("filename".into(), f.file.as_str().into());
    out.insert("url".into(), format!("{up}{}", encode(f.path.as_str())).into());
    out.insert("hashes".into(), hashes(f.blob));
    if let Some(requires) = &f.requires_python {
        out.insert("requires-python".into(), requires.as_str().into());
    }
    out.insert("size".into(), f.blob.len.into());
    if let Some(metadata) = f.metadata {
        out.insert("core-metadata".into(), hashes(metadata));
        out.insert("dist-info-metadata".into(), hashes(metadata));
    }
    // An empty reason would read as "not yanked".
    match f.yanked.as_deref() {
        Some("") => _ = out.insert("yanked".into(), true.into()),
        Some(reason) => _ = out.insert("yanked".into(), reason.into()),
        None => {}
    }
    Value::Object(out)
}

#[cfg(test)]
pub(crate) mod tests;
