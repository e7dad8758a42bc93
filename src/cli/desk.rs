//! The reviewer's desk: `diff`, `extract`, `review`.

use super::args::Diff;
use super::bundle::open;
use super::fail::{Fail, Outcome};
use super::{Common, print};
use pouch::digest::Digest;
use pouch::format::root::ReleaseRoot;
use pouch::model::Described;
use pouch::op::diff::{self, Changed, Item, Removed, Side};
use std::path::Path;

/// What the desk reads of a bundle.
struct Release {
    id: Digest,
    root: ReleaseRoot,
    artifacts: Vec<Described>,
}

impl Release {
    fn read(path: &Path) -> Result<Release, Fail> {
        let bundle = open(path)?;
        Ok(Release { id: bundle.ids().release, artifacts: bundle.artifacts()?, root: bundle.release })
    }

    fn side(&self) -> Side<'_> {
        Side { id: self.id, root: &self.root, artifacts: &self.artifacts }
    }
}

/// `pouch diff`.
pub fn diff(args: Diff, common: &Common) -> Outcome {
    let (old, new) = (Release::read(&args.old)?, Release::read(&args.new)?);
    let report = diff::diff(old.side(), new.side());
    common.report(&report, diff_text)
}

fn diff_text(d: &diff::Diff) -> String {
    let mut rows = Vec::new();
    for item in &d.added {
        rows.push(row("added", item, version(item), print::size(item.bytes)));
    }
    for Removed { item, remaining } in &d.removed {
        let mut row = row("removed", item, version(item), print::size(item.bytes));
        if !remaining.is_empty() {
            row.push(format!("stays in {}", remaining.join(", ")));
        }
        rows.push(row);
    }
    for c in &d.changed {
        let sizes = format!("{} -> {}", print::size(c.old.bytes), print::size(c.new.bytes));
        let mut row = row("changed", &c.new, format!("{} -> {}", version(&c.old), version(&c.new)), sizes);
        row.push(remark(c));
        rows.push(row);
    }
    let mut out = print::table(&rows);
    out += &format!(
        "{} added, {} removed, {} changed, {} the same\n{} in {} blobs is new, {} in {} is gone\n",
        d.added.len(),
        d.removed.len(),
        d.changed.len(),
        d.unchanged,
        print::size(d.new_bytes),
        d.new_blobs,
        print::size(d.gone_bytes),
        d.gone_blobs
    );
    for (what, s) in [("old", &d.old), ("new", &d.new)] {
        out += &format!("{what}  {} epoch {} sequence {}  {}\n", s.stream, s.epoch, s.sequence, s.release);
    }
    out += "Nothing of this is verified; `pouch verify` does that.\n";
    out
}

fn row(what: &str, item: &Item, version: String, size: String) -> Vec<String> {
    let digest = item.digest.map(|d| d.hex().chars().take(16).collect()).unwrap_or_default();
    let arch = item.arch.clone().unwrap_or_else(|| "-".into());
    vec![what.into(), item.kind.to_string(), item.name.clone(), version, arch, size, digest]
}

fn version(item: &Item) -> String {
    item.version.clone().unwrap_or_else(|| "-".into())
}

fn remark(c: &Changed) -> String {
    match c.is_replaced() {
        true => "OTHER BYTES UNDER THE SAME VERSION".into(),
        false => c.what.join(", "),
    }
}
