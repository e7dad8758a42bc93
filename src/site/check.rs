//! A *check* compares what lies in the site with what its current generation lists, and names every difference.
//!
//! It mends nothing. Specified in `spec/site.md`, section "Checking".

use crate::digest::{Blob, Digest};
use crate::fs::disk::{Node, Place, Stat};
use crate::monitor::Monitor;
use crate::site::error::SiteError;
use crate::site::generation::{Generation, GenerationNumber, ListedFile};
use crate::site::layout::{self, Form};
use crate::site::{Site, blobs, generation};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, below the site.
    pub path: String,
    /// What is wrong with it.
    #[serde(flatten)]
    pub fault: Fault,
    /// The blob whose bytes it should have, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<Digest>,
}

/// Ways to be wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is a folder, link or device.
    NotAFile,
    /// Its length is another.
    Length {
        /// Bytes listed.
        want: u64,
        /// Bytes found.
        have: u64,
    },
    /// Its permission bits are others.
    Mode {
        /// Bits listed.
        want: u32,
        /// Bits found.
        have: u32,
    },
    /// It should be the blob's own inode and is another file.
    Inode,
    /// Its bytes are others.
    Bytes {
        /// The SHA-256 found.
        have: Digest,
    },
    /// It cannot be read.
    Unreadable {
        /// What the system says.
        why: String,
    },
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The generation that was checked.
    pub generation: GenerationNumber,
    /// Its files.
    pub files: u64,
    /// Blobs (inodes) of the site.
    pub blobs: u64,
    /// Bytes that were hashed; 0 unless `deep`.
    pub hashed_bytes: u64,
    /// Whether bytes were hashed.
    pub deep: bool,
    /// What is wrong, in path order.
    pub problems: Vec<Problem>,
    /// Names that the site did not make, in path order.
    pub foreign: Vec<String>,
}

/// A file whose bytes are to be hashed.
struct ToHash {
    place: Place,
    want: Blob,
    is_blob: bool,
}

impl CheckReport {
    /// True where nothing is wrong; foreign files are told and are no fault of the site.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Site {
    /// Checks the current generation, every blob's length and mode, and, if `deep`, every byte.
    pub fn check(&self, deep: bool, monitor: &dyn Monitor) -> Result<CheckReport, SiteError> {
        let number = generation::current(self.disk())?.ok_or(SiteError::NothingPublished)?;
        self.state()?; // refuses a ledger whose chain is broken or that does not know the generation
        let info = self.generation(number)?;
        let files = self.files(&info)?;
        let blobs = self.blobs()?;
        let mut problems = self.check_files(&info, &files)?;
        problems.extend(self.check_blobs(&blobs, &files)?);
        let mut hashed_bytes = 0;
        if deep {
            let todo = self.to_hash(&info, &files, &blobs);
            hashed_bytes = todo.iter().map(|t| t.want.len).sum();
            monitor.phase("check", Some(hashed_bytes));
            let found: Vec<Problem> = todo.par_iter().filter_map(|t| self.check_bytes(t, monitor)).collect();
            problems.extend(found);
        }
        problems.sort_by(|a, b| (&a.path, &a.fault).cmp(&(&b.path, &b.fault)));
        problems.dedup();
        let mut foreign = self.foreign_files(&info, &files)?;
        foreign.extend(self.foreign_elsewhere()?);
        foreign.sort();
        Ok(CheckReport {
            generation: number,
            files: info.files,
            blobs: blobs.len() as u64,
            hashed_bytes,
            deep,
            problems,
            foreign,
        })
    }

    fn check_files(&self, info: &Generation, files: &[ListedFile]) -> Result<Vec<Problem>, SiteError> {
        let root = layout::generation(info.number);
        let mut out = Vec::new();
        for file in files {
            let place = root.below(&file.path);
            let blob = file.origin.form().map(|_| file.sha256);
            let stat = self.disk().stat(&place)?;
            let mut faults = faults(stat, file.len, file.origin.mode());
            if let (Some(stat), Some(form), true) = (stat, file.origin.form(), file.origin.linked()) {
                let own = self.disk().stat(&layout::blob(&file.sha256, form))?;
                if own.is_some_and(|own| own.inode != stat.inode) {
                    faults.push(Fault::Inode);
                }
            }
            out.extend(faults.into_iter().map(|fault| Problem { path: place.to_string(), fault, blob }));
        }
        Ok(out)
    }

    /// Blobs that the generation wants and that are missing, and blobs of a wrong mode or length.
    fn check_blobs(&self, blobs: &[(Digest, Form, u64)], files: &[ListedFile]) -> Result<Vec<Problem>, SiteError> {
        let have: BTreeSet<(Digest, Form)> = blobs.iter().map(|(d, f, _)| (*d, *f)).collect();
        let mut out = Vec::new();
        let mut wanted: BTreeMap<(Digest, Form), u64> = BTreeMap::new();
        for file in files {
            if let Some(form) = file.origin.form() {
                wanted.insert((file.sha256, form), file.len);
            }
        }
        for (digest, form) in have.iter().copied().chain(wanted.keys().copied().filter(|k| !have.contains(k))) {
            let place = layout::blob(&digest, form);
            let stat = self.disk().stat(&place)?;
            // The length of a blob that nothing here lists is known by its digest only.
            let len = wanted.get(&(digest, form)).copied().or(stat.map(|s| s.len)).unwrap_or(0);
            let found = faults(stat, len, form.mode());
            out.extend(found.into_iter().map(|fault| Problem { path: place.to_string(), fault, blob: Some(digest) }));
        }
        Ok(out)
    }

    /// Every inode of the site once: blobs, and those files of the generation that are no links to blobs.
    fn to_hash(&self, info: &Generation, files: &[ListedFile], blobs: &[(Digest, Form, u64)]) -> Vec<ToHash> {
        let own = blobs.iter().map(|(d, form, len)| ToHash {
            place: layout::blob(d, *form),
            want: Blob { digest: *d, len: *len },
            is_blob: true,
        });
        let root = layout::generation(info.number);
        let loose = files.iter().filter(|f| !f.origin.linked()).map(|f| ToHash {
            place: root.below(&f.path),
            want: f.blob(),
            is_blob: f.origin.form().is_some(),
        });
        own.chain(loose).collect()
    }

    fn check_bytes(&self, file: &ToHash, monitor: &dyn Monitor) -> Option<Problem> {
        let found = blobs::hash(self.disk(), &file.place);
        monitor.advance(file.want.len);
        let fault = match found {
            Ok(have) if have.digest == file.want.digest => return None,
            Ok(have) => Fault::Bytes { have: have.digest },
            Err(SiteError::Disk(e)) if e.kind() == std::io::ErrorKind::NotFound => return None, // told as missing
            Err(e) => {
                let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
                Fault::Unreadable { why }
            }
        };
        let blob = file.is_blob.then_some(file.want.digest);
        Some(Problem { path: file.place.to_string(), fault, blob })
    }

    /// Names in the generation that it does not list.
    fn foreign_files(&self, info: &Generation, files: &[ListedFile]) -> Result<Vec<String>, SiteError> {
        let root = layout::generation(info.number);
        let mut listed: BTreeSet<Place> = files.iter().map(|f| root.below(&f.path)).collect();
        let inner = root.child(layout::INNER);
        listed.extend([inner.child(layout::INNER_INFO), inner.child(layout::INNER_FILES)]);
        let mut out = Vec::new();
        let mut todo = vec![root];
        while let Some(folder) = todo.pop() {
            for (name, node) in self.disk().list(&folder)? {
                let place = folder.child(&name);
                match node {
                    Node::Folder => todo.push(place), // empty ones are the plan's own or harmless
                    _ if listed.contains(&place) => {}
                    _ => out.push(place.to_string()),
                }
            }
        }
        Ok(out)
    }

    /// Names that are no part of the layout, outside the current generation.
    fn foreign_elsewhere(&self) -> Result<Vec<String>, SiteError> {
        let mut out = Vec::new();
        let mut look = |folder: Place, known: &dyn Fn(&str, Node) -> bool| -> Result<(), SiteError> {
            for (name, node) in self.disk().list(&folder)? {
                if !name.to_str().is_some_and(|n| known(n, node)) {
                    out.push(folder.child(&name).to_string());
                }
            }
            Ok(())
        };
        look(Place::root(), &|name, _| layout::ROOT_NAMES.contains(&name))?;
        look(layout::blobs_root(), &|name, _| name == "sha256")?;
        look(layout::generations(), &|name, _| GenerationNumber::from_name(name).is_some())?;
        look(layout::ledger(), &|name, _| layout::LEDGER_NAMES.contains(&name))?;
        look(layout::policies(), &|name, _| name.ends_with(".policy"))?;
        look(layout::archive(), &|name, _| name.ends_with(".pouch") || layout::evidence_digest(name).is_some())?;
        let prefix = |name: &str, node| node == Node::Folder && name.len() == 2;
        look(layout::blobs(), &prefix)?;
        for (name, node) in self.disk().list(&layout::blobs())? {
            if let Some(hh) = name.to_str().filter(|n| prefix(n, node)) {
                let ours = |name: &str, node| node == Node::File && Form::parse(name).is_some() && name.starts_with(hh);
                look(layout::blobs().child(hh), &ours)?;
            }
        }
        Ok(out)
    }
}

fn faults(stat: Option<Stat>, len: u64, mode: u32) -> Vec<Fault> {
    let Some(stat) = stat else { return vec![Fault::Missing] };
    if stat.node != Node::File {
        return vec![Fault::NotAFile];
    }
    let mut out = Vec::new();
    if stat.len != len {
        out.push(Fault::Length { want: len, have: stat.len });
    }
    if stat.mode != mode {
        out.push(Fault::Mode { want: mode, have: stat.mode });
    }
    out
}
