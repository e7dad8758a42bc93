//! *yum* metadata tells dnf and yum what a repository of rpms has.
//!
//! A repository whose `repomd.xml` travelled as a file is served as it came: nothing is rendered for it, its rpms are put
//! in their places. Only releases that are their stream's latest are listed. Specified in `spec/site.md`, section "yum".

use super::TargetError;
use crate::cbor;
use crate::digest::Blob;
use crate::kind::repodata::RepodataFacts;
use crate::kind::rpm::RpmFacts;
use crate::model::{Artifact, Catalog, Content, Context, Described, Kind, Plan};
use crate::relpath::{PathError, RelPath};
use metadata::{Data, Indexes, Listing, repomd};
use std::collections::{BTreeMap, BTreeSet};

mod metadata;
mod xml;

/// What a repository consists of.
#[derive(Default)]
struct Repository<'a> {
    rpms: BTreeMap<&'a RelPath, &'a Described>,
    documents: BTreeMap<String, &'a Artifact>,
}

/// Places rpms and documents and renders repodata.
pub fn plan(catalog: &Catalog, context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let mut repositories: BTreeMap<&RelPath, Repository<'_>> = BTreeMap::new();
    let mut kept: BTreeSet<RelPath> = BTreeSet::new();
    for described in catalog.latest() {
        let artifact = &described.artifact;
        match artifact.kind {
            Kind::File => kept.extend(artifact.place().transpose()?.filter(|p| p.file_name() == "repomd.xml")),
            Kind::Rpm => {
                let path = place(artifact, plan)?;
                repositories.entry(&artifact.root).or_default().rpms.insert(path, described);
            }
            Kind::Repodata => {
                place(artifact, plan)?;
                let repository = repositories.entry(&artifact.root).or_default();
                document(repository, described)?;
            }
            _ => {}
        }
    }
    for (root, repository) in &repositories {
        if !kept.contains(&root.join("repodata/repomd.xml")?) {
            render(root, repository, context, plan)?;
        }
    }
    Ok(())
}

/// Puts an artifact's file in its place.
fn place<'a>(artifact: &'a Artifact, plan: &mut Plan) -> Result<&'a RelPath, TargetError> {
    let refuse = |why| PathError { path: artifact.name.clone(), why };
    let path = artifact.path.as_ref().ok_or(refuse("it has no path"))?;
    let content = Content::Blob { digest: blob(artifact)?.digest, executable: artifact.executable };
    plan.add(artifact.root.join(path.as_str())?, content)?;
    Ok(path)
}

fn blob(artifact: &Artifact) -> Result<Blob, TargetError> {
    let none = || PathError { path: artifact.name.clone(), why: "it has no blob" };
    Ok(*artifact.blobs.first().ok_or_else(none)?)
}

fn facts<T: cbor::Cbor>(described: &Described) -> Result<T, TargetError> {
    let artifact = || described.artifact.name.clone();
    cbor::decode(&described.facts.0).map_err(|source| TargetError::Facts { artifact: artifact(), source })
}

/// Enters a document; `repomd.xml` can list one of a type.
fn document<'a>(repository: &mut Repository<'a>, described: &'a Described) -> Result<(), TargetError> {
    let (artifact, doctype) = (&described.artifact, facts::<RepodataFacts>(described)?.doctype);
    match repository.documents.get(&doctype) {
        Some(there) if blob(there)? != blob(artifact)? => Err(TargetError::Conflict {
            first: format!("{}/{}", there.root, there.name),
            second: format!("{}/{}", artifact.root, artifact.name),
            why: format!("a repository has one document of the type {doctype}"),
        }),
        Some(_) => Ok(()),
        None => {
            repository.documents.insert(doctype, artifact);
            Ok(())
        }
    }
}

/// The file name of a document behind its digest.
fn file_name<'a>(doctype: &str, artifact: &'a Artifact) -> &'a str {
    match doctype {
        "group" => "comps.xml",
        "modules" => "modules.yaml",
        "updateinfo" => "updateinfo.xml",
        _ => artifact.path.as_ref().map_or(&artifact.name, |p| p.file_name()),
    }
}

fn render(root: &RelPath, of: &Repository<'_>, context: &Context<'_>, plan: &mut Plan) -> Result<(), TargetError> {
    let mut data = Vec::new();
    let mut indexes = Indexes::new(of.rpms.len());
    for (path, described) in &of.rpms {
        let Blob { digest, len } = blob(&described.artifact)?;
        let facts = &facts::<RpmFacts>(described)?;
        indexes.add(&Listing { digest, len, href: path.as_str(), time: context.time, facts });
    }
    for (doctype, packed) in indexes.finish() {
        let (file, plain) = (packed.file, packed.plain);
        let href = format!("repodata/{}-{doctype}.xml.gz", file.digest);
        plan.add_content_named(root.join(&href)?, Content::Bytes(packed.bytes))?;
        let (doctype, plain) = (doctype.to_owned(), Some((plain.digest, plain.len)));
        data.push(Data { doctype, href, digest: file.digest, len: file.len, plain });
    }
    for (doctype, artifact) in &of.documents {
        let Blob { digest, len } = blob(artifact)?;
        let href = format!("repodata/{digest}-{}", file_name(doctype, artifact));
        plan.add_content_named(root.join(&href)?, Content::Blob { digest, executable: false })?;
        data.push(Data { doctype: doctype.clone(), href, digest, len, plain: None });
    }
    plan.add(root.join("repodata/repomd.xml")?, Content::Bytes(repomd(&data, context.time)))?;
    Ok(())
}

#[cfg(test)]
mod tests;
