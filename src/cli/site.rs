//! Sites: `site init`, `unpack`, `status`, `check`, `gc`, `rollback`, `export`.

use super::args::{Check, Export, Gc, Rollback, Site as SiteCommand, SiteArg, Unpack};
use super::bundle::{medium, open};
use super::fail::{Fail, Outcome};
use super::{Common, keys, policy, print, trusting};
use pouch::class::Class;
use pouch::digest::Digest;
use pouch::fs::output::Output;
use pouch::model::SiteConfig;
use pouch::monitor::Monitor as _;
use pouch::op::audit::{self, Alarm};
use pouch::op::delta::NeedList;
use pouch::op::export::export as export_image;
use pouch::op::unpack::{Options, UnpackError, UnpackReport, catalog, unpack as unpack_one};
use pouch::op::{evidence, pack, policies};
use pouch::site::Site;
use pouch::site::archive::Archive;
use pouch::site::check::Problem;
use pouch::site::generation::GenerationNumber;
use pouch::site::init::PolicyFile;
use pouch::site::status::StatusReport;
use std::collections::BTreeSet;
use std::path::Path;

#[derive(serde::Serialize)]
struct Initialised {
    site: String,
    policy: String,
    keep: u32,
}

/// `pouch site init`.
pub fn site(command: SiteCommand, common: &Common) -> Outcome {
    let SiteCommand::Init { site, policy: file, confirm, keep, name, lost, host, http_port, registry_port } = command;
    let chain = policy::read(&file)?;
    let digest = chain.policy().digest();
    let said = Digest::from_hex(confirm.trim().trim_start_matches("sha256:"))
        .map_err(|e| Fail::usage(e).hint("--confirm takes the 64 digits that `pouch policy show` prints"))?;
    if said != digest {
        let text = format!("the policy's digest is {digest}, and {said} was to be confirmed");
        return Err(Fail::new(Class::Distrusted, text).hint("ask its admins which policy is the right one"));
    }
    if !pouch::trust::text::is_name(&name) {
        return Err(Fail::usage(format!("{name:?} is not a name: letters, digits and . _ - @ +, at most 64")));
    }
    let config = SiteConfig { name, keep, host, http_port, registry_port };
    let bytes = policies::to_file(&chain)?;
    let init = if lost { Site::init_lost } else { Site::init };
    init(&site, &config, PolicyFile { digest, bytes: &bytes }, keys::now())?;
    let report = Initialised { site: site.display().to_string(), policy: digest.hex(), keep };
    common.report(&report, |r| {
        format!("site    {}\npolicy  {}\nkeep    {} releases of a stream\n", r.site, r.policy, r.keep)
    })
}

/// `pouch unpack`.
pub fn unpack(args: Unpack, common: &Common) -> Outcome {
    let now = keys::now();
    let writer = Site::open(&args.site)?.lock(now)?;
    let threads = pack::threads(args.threads.map(usize::from));
    let options = Options { allow_drop: args.allow_drop, dry_run: args.dry_run, threads, now };
    let mut reports = Vec::new();
    for bundle in &args.bundles {
        let statements = trusting::outside_only(bundle, &args.statements, common)?;
        let report = match unpack_one(&writer, medium(bundle)?, &statements, options, &common.bar) {
            Err(UnpackError::Lacking(need)) => return Err(lacking(*need)),
            other => other?,
        };
        report.notes.iter().for_each(|n| common.bar.note(n));
        if !args.dry_run {
            let beside = trusting::beside(bundle, &args.statements);
            let (_, left_out) = evidence::keep(&writer, &report.release, beside, now)?;
            left_out.iter().for_each(|n| common.bar.note(&format!("{n} is not kept: too much evidence")));
        }
        reports.push(report);
    }
    common.report(&reports, |all| all.iter().map(|r| unpacked(r, args.dry_run)).collect())
}

/// A refusal with the whole need-list.
fn lacking(need: NeedList) -> Fail {
    let (lines, json) = (need.to_string(), serde_json::to_value(&need).unwrap_or_default());
    Fail::from(UnpackError::Lacking(Box::new(need))).details(lines).json("need", json)
}

fn unpacked(r: &UnpackReport, dry_run: bool) -> String {
    let mut out = format!(
        "release     {}\nstream      {} epoch {} sequence {} ({})\nsealed by   {}\n",
        r.release, r.stream, r.epoch, r.sequence, r.order, r.sealer
    );
    if let Some(b) = &r.blobs {
        out += &format!("blobs       {} new ({}), {} were there\n", b.blobs, print::size(b.bytes), b.present);
    }
    for (what, names) in [("added", &r.added), ("changed", &r.changed), ("removed", &r.removed)] {
        let shown = if dry_run { names.len() } else { 10 };
        if !names.is_empty() {
            out += &format!("{what:10}  {}\n", names.len());
            names.iter().take(shown).for_each(|n| out += &format!("            {n}\n"));
            if names.len() > shown {
                out += &format!("            and {} more\n", names.len() - shown);
            }
        }
    }
    out += &match r.generation {
        Some(n) => format!("generation  {n} is live\n"),
        None => format!("nothing was changed (dry run); the generation would have {} files\n", r.files),
    };
    out
}

#[derive(serde::Serialize)]
struct Status {
    #[serde(flatten)]
    site: StatusReport,
    /// What it shows and should not.
    alarms: Vec<Alarm>,
}

/// `pouch status`.
pub fn status(args: SiteArg, common: &Common) -> Outcome {
    let site = Site::open(&args.site)?;
    let report = site.status()?;
    let policy = policies::in_force(&site)?;
    let state = policies::order_state(&site)?;
    let alarms = audit::alarms(&Archive::of(&site), &report.releases, policy.policy(), &state)?;
    common.report(&Status { site: report, alarms }, |Status { site: s, alarms }| {
        let current = s.current.map(|n| n.to_string()).unwrap_or_else(|| "none".into());
        let policy = s.policy.map(|d| d.hex()).unwrap_or_else(|| "none".into());
        let mut rows = vec![
            vec!["site".into(), format!("{} ({})", s.name, s.path.display())],
            vec!["policy".into(), policy],
            vec!["generation".into(), current],
        ];
        for r in &s.releases {
            let latest = if r.latest { "latest" } else { "kept" };
            let r = &r.release;
            let text =
                format!("{} epoch {} sequence {} ({latest}) {}", r.stream, r.epoch, r.sequence, r.release.short());
            rows.push(vec!["release".into(), text]);
        }
        let all: Vec<String> = s.generations.iter().map(ToString::to_string).collect();
        rows.push(vec!["on disk".into(), all.join(" ")]);
        rows.push(vec!["files".into(), format!("{} ({})", s.files, print::size(s.files_bytes))]);
        rows.push(vec!["blobs".into(), format!("{} ({})", s.blobs, print::size(s.blob_bytes))]);
        rows.push(vec!["free".into(), print::size(s.free_bytes)]);
        if s.staged > 0 {
            let text = format!(
                "{} files ({}) of an interrupted unpack; the next one goes on from there",
                s.staged,
                print::size(s.staged_bytes)
            );
            rows.push(vec!["staging".into(), text]);
        }
        for a in alarms {
            let r = &a.release;
            let text = format!("{} epoch {} sequence {}: {}", r.stream, r.epoch, r.sequence, a.why);
            rows.push(vec!["ALARM".into(), text]);
        }
        print::table(&rows)
    })
}

/// `pouch check`.
pub fn check(args: Check, common: &Common) -> Outcome {
    let report = Site::open(&args.site)?.check(!args.quick, &common.bar)?;
    common.report(&report, |r| {
        let mut out = format!("generation  {}\nfiles       {}\nblobs       {}\n", r.generation, r.files, r.blobs);
        r.problems.iter().for_each(|p| out += &format!("problem     {}\n", problem(p)));
        r.foreign.iter().for_each(|f| out += &format!("foreign     {f}\n"));
        out += if r.is_sound() { "sound\n" } else { "" };
        out
    })?;
    if report.is_sound() {
        return Ok(());
    }
    let text = format!("the site has {} problems", report.problems.len());
    Err(Fail::new(Class::Damaged, text)
        .hint("unpack the bundle that brought these files into a new site, or restore a backup"))
}

fn problem(p: &Problem) -> String {
    let value = serde_json::to_value(p).unwrap_or_default();
    let words = value.as_object().into_iter().flatten().map(|(k, v)| match v {
        serde_json::Value::String(text) => text.clone(),
        other => format!("{k} {other}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `pouch gc`.
pub fn gc(args: Gc, common: &Common) -> Outcome {
    let now = keys::now();
    let writer = Site::open(&args.site)?.lock(now)?;
    if !args.dry_run {
        let keep = writer.config().keep.max(2) as usize;
        writer.prune(keep, now)?;
    }
    let mut protect = BTreeSet::new();
    for path in &args.keep_for {
        protect.extend(open(path)?.bases()?.into_iter().map(|b| b.base.digest));
    }
    let plan = match args.dry_run {
        true => writer.gc_plan(&protect)?,
        false => writer.gc(&protect, now)?,
    };
    common.report(&plan, |p| {
        let verb = if args.dry_run { "would free" } else { "freed" };
        format!(
            "{verb} {} in {} blobs; {} in {} stay\n",
            print::size(p.bytes),
            p.blobs,
            print::size(p.kept_bytes),
            p.kept_blobs
        )
    })
}

#[derive(serde::Serialize)]
struct RolledBack {
    from: Option<GenerationNumber>,
    to: GenerationNumber,
}

/// What to do where a generation is not there.
const HISTORY: &str = "pouch history --site SITE lists the generations that are kept";

/// `pouch rollback`.
pub fn rollback(args: Rollback, common: &Common) -> Outcome {
    let now = keys::now();
    let writer = Site::open(&args.site)?.lock(now)?;
    let from = writer.current()?.map(|g| g.number);
    let to = match args.generation {
        Some(n) => GenerationNumber(
            u32::try_from(n).map_err(|_| Fail::usage(format!("there is no generation {n}")).hint(HISTORY))?,
        ),
        None => writer
            .previous()?
            .ok_or_else(|| Fail::usage("there is no generation before the current one").hint(HISTORY))?,
    };
    writer.rollback(to, now)?;
    common.report(&RolledBack { from, to }, |r| format!("generation  {} is live\n", r.to))
}

/// `pouch export`.
pub fn export(args: Export, common: &Common) -> Outcome {
    let site = Site::open(&args.site)?;
    let io = |e| Fail::io(format!("cannot write {}", args.output.display()), e);
    let mut out = Output::create(Path::new(&args.output)).map_err(io)?;
    let done = export_image(&catalog(&site)?, &args.image, &site, args.platform.as_deref(), &mut out)?;
    out.publish(0o644).map_err(io)?;
    common.bar.advance(done.bytes);
    common.report(&done, |d| {
        format!("{} as {} ({}), {}\n", args.output.display(), d.origin, d.digest.oci(), print::size(d.bytes))
    })
}
