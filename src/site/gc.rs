//! *Pruning* removes generations, *gc* the blobs that no generation uses any more.
//!
//! Neither touches the ledger's archive. Specified in `spec/site.md`, section "Freeing space".

use crate::digest::Digest;
use crate::fs::disk::{Node, Place};
use crate::site::error::SiteError;
use crate::site::generation::{self, GenerationNumber};
use crate::site::layout::{self, Form};
use crate::site::ledger::Event;
use crate::site::{Site, Writer};
use serde::Serialize;
use std::collections::BTreeSet;

/// How many generations are kept where nobody said.
pub const KEEP_GENERATIONS: usize = 3;

/// What a gc would remove, or has removed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GcPlan {
    /// Blobs (inodes) that go: what nothing uses.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs (inodes) that stay.
    pub kept_blobs: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    #[serde(skip)]
    remove: Vec<Place>,
}

impl Site {
    /// What a gc would free now. Blobs of `protect` stay in any case: bases of a delta that is on its way.
    pub fn gc_plan(&self, protect: &BTreeSet<Digest>) -> Result<GcPlan, SiteError> {
        let mut used: BTreeSet<(Digest, Form)> = BTreeSet::new();
        for n in self.generations()? {
            let files = self.files(&self.generation(n)?)?;
            used.extend(files.iter().filter_map(|f| Some((f.sha256, f.origin.form()?))));
        }
        let mut plan = GcPlan::default();
        for (digest, form, len) in self.blobs()? {
            if used.contains(&(digest, form)) || protect.contains(&digest) {
                plan.kept_blobs += 1;
                plan.kept_bytes += len;
            } else {
                plan.blobs += 1;
                plan.bytes += len;
                plan.remove.push(layout::blob(&digest, form));
            }
        }
        Ok(plan)
    }

    /// Every blob of the site with its form and length in bytes, in digest order.
    pub fn blobs(&self) -> Result<Vec<(Digest, Form, u64)>, SiteError> {
        let mut out = Vec::new();
        for (folder, node) in self.disk().list(&layout::blobs())? {
            if node != Node::Folder {
                continue;
            }
            let folder = layout::blobs().child(folder);
            for (name, _) in self.disk().list(&folder)? {
                let Some((digest, form)) = name.to_str().and_then(Form::parse) else { continue };
                let place = folder.child(&name);
                match self.disk().stat(&place)? {
                    Some(s) if s.node == Node::File && place == layout::blob(&digest, form) => {
                        out.push((digest, form, s.len));
                    }
                    _ => {}
                }
            }
        }
        Ok(out)
    }
}

impl Writer {
    /// Removes generations until `keep` are left: the current one and the newest others. Gives those removed.
    pub fn prune(&self, keep: usize, now: i64) -> Result<Vec<GenerationNumber>, SiteError> {
        self.settle(now)?;
        let current = generation::current(self.disk())?;
        let others: Vec<GenerationNumber> = self.generations()?.into_iter().filter(|n| Some(*n) != current).collect();
        let kept = keep.saturating_sub(usize::from(current.is_some()));
        let remove = others[..others.len().saturating_sub(kept)].to_vec();
        if remove.is_empty() {
            return Ok(remove);
        }
        // Written first: a line that says too much is harmless, a removal that no line tells of is not.
        self.append(now, Event::Prune { generations: remove.clone() })?;
        for n in &remove {
            self.remove_generation(*n)?;
        }
        self.disk().sync(&[layout::generations(), layout::staging()])?;
        Ok(remove)
    }

    /// Removes what [`Site::gc_plan`] finds now, and says what it was.
    pub fn gc(&self, protect: &BTreeSet<Digest>, now: i64) -> Result<GcPlan, SiteError> {
        let plan = self.gc_plan(protect)?;
        if plan.remove.is_empty() {
            return Ok(plan);
        }
        self.append(now, Event::Gc { blobs: plan.blobs, bytes: plan.bytes })?;
        for place in &plan.remove {
            self.disk().remove(place)?;
        }
        let folders: BTreeSet<Place> = plan.remove.iter().map(Place::folder).collect();
        self.disk().sync(&folders.into_iter().collect::<Vec<_>>())?;
        Ok(plan)
    }
}
