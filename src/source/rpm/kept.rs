//! Repodata that is *kept* is served byte for byte: `repomd.xml`, its signature and every file that it lists.
//!
//! Nothing of it is read but the list. Not part of the specification.

use super::{REPOMD, RpmSource, Tree};
use crate::digest::hash_reader;
use crate::fs::regular;
use crate::fs::tree::TreeFile;
use crate::kind::repodata::Listed;
use crate::model::Kind;
use crate::monitor::Monitor;
use crate::source::{Sink, SourceError, announce};
use std::collections::BTreeSet;
use std::fs::File;

/// Announces the files; returns their paths. A file that is missing or is not what the list says is an error: clients
/// would refuse the repository.
pub fn survey(
    of: &RpmSource,
    tree: &Tree,
    sink: &dyn Sink,
    monitor: &dyn Monitor,
) -> Result<BTreeSet<String>, SourceError> {
    let Some(listed) = of.listed(tree)? else {
        return Err(of.wrong(REPOMD, "it is not there, so there is no repodata to keep"));
    };
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for one in &listed {
        let file = file(of, tree, one)?;
        verify(of, file, one, sink)?;
        taken.insert(file.rel.clone());
    }
    let signed = [REPOMD.to_owned(), format!("{REPOMD}.asc"), format!("{REPOMD}.key")];
    taken.extend(signed.into_iter().filter(|rel| tree.contains_key(rel)));
    for file in taken.iter().filter_map(|rel| tree.get(rel)) {
        announce(of.one(Kind::File, &file.path, &file.rel)?, sink, monitor)?;
    }
    Ok(taken)
}

/// The file that an entry of the list names.
pub fn file<'a>(of: &RpmSource, tree: &'a Tree, listed: &Listed) -> Result<&'a TreeFile, SourceError> {
    tree.get(&listed.href).ok_or_else(|| of.wrong(REPOMD, format!("it lists {:?}, which is not there", listed.href)))
}

/// Compares a file with its entry.
pub fn verify(of: &RpmSource, file: &TreeFile, listed: &Listed, sink: &dyn Sink) -> Result<(), SourceError> {
    let stale =
        |what: &str| of.wrong(&listed.href, format!("its {what} is not the one in repomd.xml: mirror it again"));
    if listed.size.is_some_and(|size| size != file.len) {
        return Err(stale("size"));
    }
    let mut open = regular::open(&file.path).map_err(SourceError::io(&file.path))?;
    let have = match listed.algorithm.as_str() {
        "sha256" => hash_reader(&mut open).map(|b| b.digest.hex()),
        "sha384" => hash::<sha2::Sha384>(&mut open),
        "sha512" => hash::<sha2::Sha512>(&mut open),
        other => {
            sink.note(format!("{}: {} was not checked, for its checksum is {other}", of.root, listed.href));
            return Ok(());
        }
    };
    match have.map_err(SourceError::io(&file.path))?.eq_ignore_ascii_case(&listed.checksum) {
        true => Ok(()),
        false => Err(stale("checksum")),
    }
}

fn hash<H: sha2::Digest>(file: &mut File) -> std::io::Result<String> {
    use std::io::Read as _;
    let (mut hash, mut buf) = (H::new(), vec![0u8; 1 << 16]);
    loop {
        match file.read(&mut buf)? {
            0 => return Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => hash.update(&buf[..n]),
        }
    }
}
