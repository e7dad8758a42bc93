//! The reviewer's desk: `diff`, `extract`, `review`.

use super::args::{Diff, Extract, Review};
use super::bundle::{Unverified, medium, open};
use super::fail::{Fail, Outcome};
use super::{Common, keys, policy, print, trusting};
use pouch::bundle::{Bundle, BundleError, Extractor, Workplace, temporary};
use pouch::class::Class;
use pouch::format::frame::Form;
use pouch::fs::medium::FileMedium;
use pouch::fs::output::write_file;
use pouch::model::Described;
use pouch::monitor::Monitor;
use pouch::op::diff::{self, Changed, Item, Removed, Side};
use pouch::op::scan::{self, Bounds, MAP, Opened, SUMS, ScanReport};
use pouch::op::{pack, review, sbom};
use pouch::trust::{OrderState, Subject, TrustError, verify};
use std::path::Path;

/// What the desk reads of a bundle.
struct Release {
    bundle: Bundle<FileMedium, Unverified>,
    artifacts: Vec<Described>,
}

impl Release {
    fn read(path: &Path) -> Result<Release, Fail> {
        let bundle = open(path)?;
        let artifacts = bundle.artifacts()?;
        Ok(Release { bundle, artifacts })
    }

    fn side(&self) -> Side<'_> {
        Side { id: self.bundle.ids().release, root: &self.bundle.release, artifacts: &self.artifacts }
    }

    /// Reads its blobs; `Err` says why that cannot be.
    fn blobs<'a>(&'a self, work: Workplace<'a>) -> Result<Blobs<'a>, String> {
        match self.bundle.form() {
            Form::Full => Extractor::new(&self.bundle, work).map_err(|e| format!("its tables cannot be read: {e}")),
            _ => Err(
                "this was written from a file without blobs, such as an index: no deb and no layer was opened. Give \
                      the whole bundle, or look at the map of `pouch extract --expand`."
                    .into(),
            ),
        }
    }

    /// What is inside debs and layers. `old` may have what a delta builds on.
    fn opened(&self, old: Option<&Release>, monitor: &dyn Monitor) -> Result<Opened, String> {
        let bases = old.and_then(|old| old.blobs(Workplace::NONE).ok());
        let work = match &bases {
            Some(bases) => Workplace { bases, scratch: &temporary },
            None => Workplace::NONE,
        };
        let blobs = self.blobs(work)?;
        Ok(scan::look(&self.artifacts, &blobs, &|blob| blobs.position(blob), Bounds::default(), monitor))
    }
}

type Blobs<'a> = Extractor<'a, FileMedium, Unverified>;

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

/// `pouch extract`.
pub fn extract(args: Extract, common: &Common) -> Outcome {
    let chain = policy::read(&args.policy)?;
    let vouched = |path: &Path| {
        let outside = trusting::outside_only(path, &args.statements, common)?;
        Ok::<_, Fail>(scan::vouch(medium(path)?, &outside, &chain, keys::now())?)
    };
    let old = args.against.as_deref().map(&vouched).transpose()?;
    let known = old.as_ref().filter(|_| args.only_new).map(|old| old.artifacts()).transpose()?;
    let holds = old.as_ref().filter(|old| old.form() == Form::Full);
    let bases = holds.map(|old| Extractor::new(old, Workplace::NONE)).transpose()?;
    let work = match &bases {
        Some(bases) => Workplace { bases, scratch: &temporary },
        None => Workplace::NONE,
    };
    let standard = Bounds::default();
    let bounds = Bounds {
        bytes: args.max_bytes.unwrap_or(standard.bytes),
        files: args.max_files.unwrap_or(standard.files),
        depth: args.max_depth.unwrap_or(standard.depth),
    };
    let options = scan::Options {
        known: known.as_deref(),
        work,
        expand: args.expand.then_some(bounds),
        threads: pack::threads(args.threads.map(usize::from)),
    };
    let report = scan::scan(&vouched(&args.bundle)?, &args.to, options, &common.bar).map_err(|e| match e {
        scan::ScanError::Bundle(BundleError::Lacking(_)) if old.is_none() => {
            Fail::from(e).hint("it is a delta: give the release that it builds on with --against OLD.pouch")
        }
        other => other.into(),
    })?;
    common.report(&report, |r| scan_text(r, &args.to))?;
    match &report.expanded {
        Some(e) if !report.is_whole() => {
            let text = format!("not everything was expanded: the bound on {} was met", e.bounded_by.join(" and "));
            Err(Fail::new(Class::Unsupported, text)
                .hint("give --max-bytes, --max-files or --max-depth, or look at what the map calls a problem"))
        }
        _ => Ok(()),
    }
}

fn scan_text(r: &ScanReport, to: &Path) -> String {
    let mut out = format!(
        "release    {}\nstream     {} epoch {} sequence {}\nsealed by  {}\n",
        r.release, r.stream, r.epoch, r.sequence, r.sealer
    );
    r.missing.iter().for_each(|m| out += &format!("not yet    {m}\n"));
    out += &format!("files      {} ({}) of {} artifacts\n", r.files, print::size(r.bytes), r.artifacts);
    if r.known_blobs > 0 {
        out += &format!("left out   {} ({}) that the old release has\n", r.known_blobs, print::size(r.known_bytes));
    }
    if let Some(e) = &r.expanded {
        out += &format!(
            "expanded   {} archives: {} files ({}), {} links and the like, {} with set-id bits\n",
            e.containers,
            e.files,
            print::size(e.bytes),
            e.links,
            e.set_id
        );
        e.first_problems.iter().for_each(|p| out += &format!("problem    {p}\n"));
        let more = e.problems.saturating_sub(e.first_problems.len() as u64);
        out += &if more > 0 { format!("problem    {more} more; the map has them\n") } else { String::new() };
    }
    out += &format!("lists      {} and {} in {}\n", SUMS, MAP, to.display());
    out
}

/// `pouch review`.
pub fn review(args: Review, common: &Common) -> Outcome {
    if let Some(group) = args.group.iter().find(|g| !pouch::trust::text::is_name(g)) {
        return Err(Fail::usage(format!("{group:?} is not the name of a group")));
    }
    let new = Release::read(&args.bundle)?;
    let old = args.against.as_deref().map(Release::read).transpose()?;
    let ids = new.bundle.ids();
    let mut statements = new.bundle.statements().to_vec();
    statements.extend(trusting::outside_only(&args.bundle, &args.statements, common)?);
    statements.sort();
    statements.dedup();
    let against = old.as_ref().map(Release::side);
    let opened = new.opened(old.as_ref(), &common.bar);
    let mut review = review::review(new.side(), ids.carriage, against, &statements, &args.group, opened);
    review.reason = new.bundle.carriage.reason().map(str::to_owned);
    if let Some(path) = &args.policy {
        let state = OrderState::default();
        let chain = policy::read(path)?;
        let chain = chain.walk(&statements, &state).pop().unwrap_or(chain);
        let subject = Subject { release_id: ids.release, carriage_id: Some(ids.carriage) };
        let reports = match verify(&subject, &statements, chain.policy(), &state, keys::now()) {
            Ok(verdict) => verdict.reports,
            Err(TrustError::Refused(refusal)) => refusal.reports,
            Err(e) => return Err(e.into()),
        };
        let beside = trusting::beside(&args.bundle, &args.statements);
        review::hear(&mut review, new.side(), &statements, &reports, |e| beside(e).is_some());
    }
    put(&args.output, review::page(&review).as_bytes())?;
    if let Some(path) = &args.sbom {
        let bom = sbom::bom(ids.release, &new.bundle.release, &new.artifacts);
        let json = serde_json::to_string_pretty(&bom).map_err(|e| Fail::new(Class::Bug, e))?;
        put(path, format!("{json}\n").as_bytes())?;
    }
    common.report(&review, |r| {
        let mut out = format!("page      {}\nrelease   {}\n", args.output.display(), r.release.release);
        out += &args.sbom.as_ref().map(|p| format!("sbom      {}\n", p.display())).unwrap_or_default();
        out += &match &r.opened {
            Some(o) => format!("opened    {} debs and layers; {} problems\n", o.archives, o.problems.len()),
            None => "opened    no deb and no layer; the page says why\n".into(),
        };
        out += "Read it, then sign with `pouch approve`.\n";
        out
    })
}

fn put(path: &Path, bytes: &[u8]) -> Outcome {
    write_file(path, bytes, 0o644).map_err(|e| Fail::io(format!("cannot write {}", path.display()), e))
}
