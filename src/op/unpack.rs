//! *Unpacking* brings a bundle's release onto a site and makes it live: verify, write blobs, re-derive facts, render, switch.
//!
//! Nothing is written before the verify function has said yes but a line of the ledger. What a site serves changes by one
//! rename at the end. Specified in `spec/site.md`, section "Unpacking".

mod sink;

use crate::bundle::{BlobSink, Bundle, BundleError, Materialized, Medium, Sealed, Workplace, index_only};
use crate::class::{Class, Classified};
use crate::digest::{Blob, Digest};
use crate::format::area::Signed;
use crate::kind::{self, KindError};
use crate::model::{Artifact, Catalog, Context, Described, Kind, Plan, ReleaseView};
use crate::monitor::Monitor;
use crate::op::delta::NeedList;
use crate::op::records::RecordsError;
use crate::op::visible;
use crate::op::{policies, seal};
use crate::relpath::RelPath;
use crate::site::Site;
use crate::site::error::SiteError;
use crate::site::generation::{GenerationInfo, GenerationNumber, ShownRelease};
use crate::site::ledger::ReleaseRef;
use crate::site::stage::Batch;
use crate::site::writer::Writer;
use crate::target::{self, TargetError};
use crate::trust::TrustError;
use crate::trust::chain::PolicyChain;
use crate::trust::order::Order;
use crate::trust::report::{Outcome, Report};
use crate::trust::statement::Identity;
use crate::trust::verify::{Subject, Verdict, verify};
use rayon::prelude::*;
use sink::SiteSink;
use std::collections::BTreeSet;

/// How to unpack.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Names of the stream's last release may vanish.
    pub allow_drop: bool,
    /// Verify and render, and change nothing.
    pub dry_run: bool,
    /// Threads.
    pub threads: usize,
    /// The clock: Unix seconds.
    pub now: i64,
}

/// Why nothing was unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The bundle is not what it should be.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Nobody who may has vouched for it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The site cannot take it.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// It cannot be served beside what the site shows.
    #[error("the release cannot be served beside what this site shows")]
    Target(#[source] TargetError),
    /// No site could serve it: pouch does not pack such a release.
    #[error("no site could serve the release")]
    Unservable(#[source] TargetError),
    /// An artifact wants a place where its kind is not served.
    #[error("the release wants its {kind} {name} in {root}, where none is served")]
    Misplaced {
        /// The kind.
        kind: Kind,
        /// The artifact.
        name: String,
        /// The folder.
        root: RelPath,
    },
    /// What the site shows cannot be read.
    #[error(transparent)]
    View(#[from] RecordsError),
    /// An artifact's bytes cannot be read the way its kind is.
    #[error("the {kind} {name} of the release is not what its facts say")]
    Kind {
        /// The kind.
        kind: Kind,
        /// The artifact.
        name: String,
        /// What is wrong.
        #[source]
        source: KindError,
    },
    /// The release says something else of an artifact than its bytes do.
    #[error("the release says of the {kind} {name} what its own bytes do not say: {what} differs")]
    Facts {
        /// The kind.
        kind: Kind,
        /// The artifact.
        name: String,
        /// What differs.
        what: &'static str,
    },
    /// It is a delta, and the site has not all that it builds on.
    #[error("the site lacks {} of the blobs that this delta builds on, or has them damaged", .0.lacking.len())]
    Lacking(Box<NeedList>),
    /// Names would vanish.
    #[error("{} names that stream {stream} has on this site now would vanish, such as {}", .names.len(), .names.iter().take(5).cloned().collect::<Vec<_>>().join(", "))]
    Drop {
        /// The stream.
        stream: String,
        /// The names.
        names: Vec<String>,
    },
}

impl Classified for UnpackError {
    fn class(&self) -> Class {
        match self {
            UnpackError::Bundle(e) => e.class(),
            UnpackError::Trust(e) => e.class(),
            UnpackError::Site(e) => e.class(),
            UnpackError::Target(e) => e.class(),
            UnpackError::Unservable(_) | UnpackError::Misplaced { .. } => Class::Distrusted,
            UnpackError::View(e) => e.class(),
            // The bytes are those that were sealed, so no medium damaged them.
            UnpackError::Kind { source, .. } => match source.class() {
                Class::Damaged => Class::Distrusted,
                other => other,
            },
            UnpackError::Facts { .. } => Class::Distrusted,
            UnpackError::Drop { .. } | UnpackError::Lacking(_) => Class::Usage,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            UnpackError::Bundle(e) => e.hint(),
            UnpackError::Trust(e) => e.hint(),
            UnpackError::Site(e) => e.hint(),
            UnpackError::Target(TargetError::Configuration { .. }) => {
                Some("correct it in site.toml, then run the same command again".into())
            }
            UnpackError::Target(_) => {
                Some("unpack it into a site of its own, or ask the senders for other places".into())
            }
            UnpackError::Lacking(need) => Some(match need.against.as_slice() {
                [] => "bring in a full bundle, or send the list (--json) back for `pouch pack --need`".into(),
                [first, ..] => format!(
                    "unpack sequence {} of {} or a full bundle first, or send the list (--json) back for `pouch pack --need`",
                    first.sequence, first.stream
                ),
            }),
            UnpackError::View(e) => e.hint(),
            UnpackError::Kind { source: KindError::Io(_), .. } => {
                Some("look at the kernel's log for the disk's own errors, then run the same command again".into())
            }
            UnpackError::Kind { .. }
            | UnpackError::Facts { .. }
            | UnpackError::Unservable(_)
            | UnpackError::Misplaced { .. } => Some("do not use this bundle; show the sealer this message".into()),
            UnpackError::Drop { .. } => {
                Some("if that is meant, run the command again with --allow-drop; --dry-run lists them all".into())
            }
        }
    }
}

/// What was done, or would be.
#[derive(Clone, Debug, serde::Serialize)]
pub struct UnpackReport {
    /// The release id.
    pub release: Digest,
    /// The stream.
    pub stream: String,
    /// Its epoch.
    pub epoch: u64,
    /// The sequence.
    pub sequence: u64,
    /// Who sealed it.
    pub sealer: String,
    /// What it is to its stream: `first`, `newer`, `same`, `again`, `older`, `permitted`.
    pub order: &'static str,
    /// The generation that shows it; `None` after a dry run.
    pub generation: Option<GenerationNumber>,
    /// Blobs that were made and that were there.
    pub blobs: Option<Materialized>,
    /// Names that the stream's last release did not have.
    pub added: Vec<String>,
    /// Names with other content than in the stream's last release.
    pub changed: Vec<String>,
    /// Names that vanish.
    pub removed: Vec<String>,
    /// Files of the generation.
    pub files: u64,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// Unpacks one bundle onto a locked site. A refusal leaves its line in the ledger; a failure of the disk does not.
pub fn unpack<M: Medium>(
    writer: &Writer,
    medium: M,
    outside: &[Signed],
    options: Options,
    monitor: &dyn Monitor,
) -> Result<UnpackReport, UnpackError> {
    let mut about = About::default();
    let done = bring(writer, medium, outside, options, monitor, &mut about);
    if let Err(e) = &done
        && !options.dry_run
        && e.class() != Class::Failed
    {
        let id = about.id.map(|id| format!("{id}: ")).unwrap_or_default();
        // The refusal is what has to be told, also where its line cannot be written.
        let _ = writer.record_refusal(about.release, e.class().name(), &format!("{id}{e}"), options.now);
    }
    done
}

/// What is known of a bundle so far.
#[derive(Default)]
struct About {
    id: Option<Digest>,
    /// Known once a seal counts.
    release: Option<ReleaseRef>,
}

fn bring<M: Medium>(
    writer: &Writer,
    medium: M,
    outside: &[Signed],
    options: Options,
    monitor: &dyn Monitor,
    about: &mut About,
) -> Result<UnpackReport, UnpackError> {
    let sealed = Sealed::open(medium)?;
    about.id = Some(sealed.ids().release);
    let statements: Vec<Signed> = sealed.statements().iter().chain(outside).cloned().collect();
    let policy = policies::advance(writer, &statements, options)?;
    let verdict = decide(writer, &policy, &sealed, &statements, options, about)?;
    let bundle = Bundle::parse(sealed, verdict)?;
    let verdict = &bundle.trust;
    let id = bundle.ids().release;
    seal::agrees(&verdict.sealed.seal, &bundle.release, id).map_err(BundleError::from)?;
    let artifacts = bundle.artifacts()?;
    bundle.check_tables()?;
    check_roots(&artifacts)?;
    let release = reference(&seal::identity(&bundle.release, id));
    let view = visible::View::read(writer)?;
    let (catalog, shown, changes) = view.with(&release, &artifacts, verdict.order);
    if !changes.removed.is_empty() && verdict.order != Order::Same && !options.allow_drop && !options.dry_run {
        return Err(UnpackError::Drop { stream: release.stream, names: changes.removed });
    }
    let time = view.time.max(verdict.sealed.seal.terms.issued);
    let context = Context { config: writer.config(), time };
    let plan = target::plan(&catalog, &context).map_err(|e| whose(e, catalog, id, &shown, &context))?;
    let mut report = UnpackReport {
        release: id,
        stream: release.stream.clone(),
        epoch: release.epoch,
        sequence: release.sequence,
        sealer: verdict.sealed.owner.clone(),
        order: verdict.order.name(),
        generation: None,
        blobs: None,
        added: changes.added,
        changed: changes.changed,
        removed: changes.removed,
        files: plan.files().count() as u64,
        notes: verdict.notes.iter().cloned().chain(bundle.carriage.reason().map(|r| format!("amended: {r}"))).collect(),
    };
    let lacking = |blobs: &[Blob]| match NeedList::new(&bundle, &artifacts, blobs) {
        Ok(need) => UnpackError::Lacking(Box::new(need)),
        Err(e) => e.into(),
    };
    if options.dry_run {
        let absent = |blob: &Blob| !writer.has(blob).unwrap_or(false);
        let site: &Site = writer;
        let work = Workplace { bases: site, ..Workplace::NONE };
        let gone = match verdict.order {
            Order::Same => Vec::new(),
            _ => bundle.lacking(&absent, work, options.threads, monitor)?,
        };
        return if gone.is_empty() { Ok(report) } else { Err(lacking(&gone)) };
    }
    if verdict.order == Order::Same {
        report.generation = writer.current()?.map(|g| g.number);
        report.notes.push("the release is this stream's latest here already; nothing was done".into());
        return Ok(report);
    }
    report.blobs = Some(bring_in(writer, &bundle, &artifacts, &plan, time, options, monitor).map_err(|e| match e {
        UnpackError::Bundle(BundleError::Lacking(blobs)) => lacking(&blobs),
        other => other,
    })?);
    let mut index = Vec::new();
    index_only::write(&bundle, &statements_to_keep(&statements, verdict), &mut index)?;
    writer.archive_put(&id, &index, options.now)?;
    let admission = policies::admission(verdict, &release, policy.policy().digest(), options.now);
    writer.record_admission(admission, options.now)?;
    let info = GenerationInfo { time, releases: shown, accepted: vec![release] };
    report.generation = Some(writer.publish(&plan, &info, options.now, monitor)?);
    Ok(report)
}

/// Files are served below `www` and laid into `kit`, packages are served below `www`, images lie in the registry; the
/// site's own folders are the site's.
fn check_roots(artifacts: &[Described]) -> Result<(), UnpackError> {
    let good = |a: &Artifact| {
        let top = a.root.components().next().unwrap_or_default();
        match a.kind {
            Kind::Image => a.root.as_str() == "registry",
            Kind::File => top == "www" || top == "kit",
            _ => top == "www",
        }
    };
    match artifacts.iter().map(|d| &d.artifact).find(|a| !good(a)) {
        Some(a) => Err(UnpackError::Misplaced { kind: a.kind, name: a.name.clone(), root: a.root.clone() }),
        None => Ok(()),
    }
}

/// Whether the release cannot be rendered at all, or only beside the others.
fn whose(e: TargetError, all: Catalog, id: Digest, shown: &[ShownRelease], context: &Context<'_>) -> UnpackError {
    let releases = all.releases.into_iter().zip(shown).filter(|(_, s)| s.release.release == id).map(|(view, _)| view);
    let alone = Catalog { releases: releases.map(|view| ReleaseView { latest: true, ..view }).collect() };
    match target::plan(&alone, context) {
        Err(own) if !matches!(own, TargetError::Configuration { .. }) => UnpackError::Unservable(own),
        _ => UnpackError::Target(e),
    }
}

/// Asks the verify function. What the statements teach persists, whatever it answers.
fn decide<M: Medium>(
    writer: &Writer,
    policy: &PolicyChain,
    sealed: &Sealed<M>,
    statements: &[Signed],
    options: Options,
    about: &mut About,
) -> Result<Verdict, UnpackError> {
    let ids = sealed.ids();
    let subject = Subject { release_id: ids.release, carriage_id: Some(ids.carriage) };
    let state = policies::order_state(writer)?;
    let decided = verify(&subject, statements, policy.policy(), &state, options.now);
    let (sealed, learned, reports) = match &decided {
        Ok(v) => (Some(&v.sealed), &v.learned, &v.reports),
        Err(TrustError::Refused(r)) => (r.sealed.as_ref(), &r.learned, &r.reports),
        Err(_) => return Ok(decided?),
    };
    about.release = sealed.map(|s| reference(&s.seal.identity));
    if !options.dry_run {
        policies::keep_learned(writer, learned, reports, statements, options.now)?;
    }
    Ok(decided?)
}

fn reference(identity: &Identity) -> ReleaseRef {
    ReleaseRef {
        release: identity.release,
        stream: identity.stream.clone(),
        epoch: identity.place.epoch,
        sequence: identity.place.sequence,
    }
}

/// Statements that fit the area of the archived index: those that counted first, then those by keys of the policy.
fn statements_to_keep(all: &[Signed], verdict: &Verdict) -> Vec<Signed> {
    let rank = |r: &Report| (r.outcome != Outcome::Counts, r.kind.is_none(), all.get(r.index));
    let mut reports: Vec<&Report> = verdict.reports.iter().filter(|r| r.outcome != Outcome::Duplicate).collect();
    reports.sort_by(|a, b| rank(a).cmp(&rank(b)));
    let (mut kept, mut seen): (Vec<Signed>, BTreeSet<&Signed>) = Default::default();
    let mut bytes = 4usize;
    for s in reports.iter().filter_map(|r| all.get(r.index)) {
        if !seen.insert(s) {
            continue;
        }
        bytes += 8 + s.text.len() + s.signature.len();
        if bytes > crate::limits::STATEMENT_AREA as usize {
            break;
        }
        kept.push(s.clone());
    }
    kept
}

/// Writes what the site lacks, and compares every artifact's facts with its bytes before a blob gets its name.
fn bring_in<M: Medium>(
    writer: &Writer,
    bundle: &Bundle<M, Verdict>,
    artifacts: &[Described],
    plan: &Plan,
    time: i64,
    options: Options,
    monitor: &dyn Monitor,
) -> Result<Materialized, UnpackError> {
    let batch = writer.batch(time)?;
    let mut missing = 0u64;
    let mut files = plan.files().count() as u64;
    for blob in bundle.blobs()? {
        if !batch.has(&blob)? {
            missing = missing.saturating_add(blob.len);
            files += 1;
        }
    }
    writer.ensure_space(missing.saturating_add(bundle.carriage.scratch), files)?;
    let work = Workplace { bases: &batch, scratch: &|| batch.scratch() };
    let mut sink = SiteSink::new(&batch, artifacts);
    let made = bundle.materialize(&mut sink, work, options.threads, monitor)?;
    monitor.phase("checking facts", None);
    if let Err(e) = check_facts(artifacts, &batch, options.threads) {
        batch.discard()?;
        return Err(e);
    }
    monitor.phase("syncing", None);
    batch.commit()?;
    Ok(made)
}

/// Reads every artifact again and compares.
fn check_facts(artifacts: &[Described], blobs: &Batch<'_>, threads: usize) -> Result<(), UnpackError> {
    // The first in order, so that the message does not depend on the threads.
    let check = || artifacts.par_iter().map(|d| check_one(d, blobs)).find_first(Result::is_err).unwrap_or(Ok(()));
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(check),
        Err(_) => artifacts.iter().try_for_each(|d| check_one(d, blobs)),
    }
}

fn check_one(described: &Described, blobs: &Batch<'_>) -> Result<(), UnpackError> {
    let a = &described.artifact;
    let derived =
        kind::derive(a, blobs).map_err(|source| UnpackError::Kind { kind: a.kind, name: a.name.clone(), source })?;
    let differs = [
        ("its name", derived.name.as_ref().is_some_and(|n| *n != a.name)),
        ("its version", derived.version != a.version),
        ("its architecture", derived.arch != a.arch),
        ("its list of blobs", derived.blobs != a.blobs),
        ("its facts", derived.facts != described.facts),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        Some((what, _)) => Err(UnpackError::Facts { kind: a.kind, name: a.name.clone(), what }),
        None => Ok(()),
    }
}

/// What the verify function lets unpack.
impl<M: Medium> Bundle<M, Verdict> {
    /// Makes every blob that the sink wants; only for a bundle that was verified.
    pub fn materialize<S: BlobSink>(
        &self,
        sink: &mut S,
        work: Workplace<'_>,
        threads: usize,
        monitor: &dyn Monitor,
    ) -> Result<Materialized, BundleError> {
        self.materialize_into(sink, work, threads, monitor)
    }
}

/// The catalog of a site as it is, for exports.
pub fn catalog(site: &crate::site::Site) -> Result<Catalog, UnpackError> {
    Ok(visible::View::read(site)?.catalog())
}
