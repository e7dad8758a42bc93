//! What statements come to: `verify`, and `statements` that come without a bundle.

use super::args::{Statements, Verify};
use super::bundle::medium;
use super::fail::{Fail, Outcome};
use super::{Common, keys, policy, print};
use pouch::bundle::{Bundle, Sealed};
use pouch::format::frame::Form;
use pouch::fs::pairs;
use pouch::monitor::Monitor as _;
use pouch::op::evidence::{self, Claim};
use pouch::op::unpack::Options;
use pouch::op::{pack, policies, seal};
use pouch::site::Site;
use pouch::trust::explain::{explain, is_policy_signature};
use pouch::trust::order::OrderState;
use pouch::trust::report::{GroupCount, Outcome as Outcomes, Report};
use pouch::trust::statement::Evidence;
use pouch::trust::{Signed, StatementKind, Subject, verify};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// As [`outside`], without the files' names.
pub fn outside_only(bundle: &Path, folders: &[PathBuf], common: &Common) -> Result<Vec<Signed>, Fail> {
    Ok(outside(bundle, folders, common)?.into_iter().map(|(_, s)| s).collect())
}

/// All statements for a bundle with the files they lie in: of its own folder and of the folders given. What is half a pair
/// is noted.
pub fn outside(bundle: &Path, folders: &[PathBuf], common: &Common) -> Result<Vec<(String, Signed)>, Fail> {
    let beside = bundle.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut out = Vec::new();
    for folder in std::iter::once(beside).chain(folders.iter().map(PathBuf::as_path)) {
        let found = pairs::read(folder).map_err(|e| Fail::io(format!("cannot read {}", folder.display()), e))?;
        found.ignored.iter().for_each(|i| common.bar.note(&format!("ignored: {i}")));
        out.extend(found.signed.into_iter().map(|(path, s)| (path.display().to_string(), s)));
    }
    Ok(out)
}

/// Looks for a piece of evidence beside a bundle and in the folders given.
pub fn beside<'a>(bundle: &'a Path, folders: &'a [PathBuf]) -> impl Fn(&Evidence) -> Option<Vec<u8>> + 'a {
    let own = bundle.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    move |e| {
        std::iter::once(own)
            .chain(folders.iter().map(PathBuf::as_path))
            .find_map(|f| pairs::with_digest(f, &e.name, &e.digest))
    }
}

/// Blobs that a delta builds on.
#[derive(serde::Serialize)]
struct BuildsOn {
    blobs: u64,
    bytes: u64,
}

#[derive(serde::Serialize)]
struct TakenIn {
    statements: Vec<Became>,
    policy: u64,
    learned: usize,
}

#[derive(serde::Serialize)]
struct Became {
    file: PathBuf,
    kind: Option<&'static str>,
    owner: Option<String>,
    outcome: String,
}

/// `pouch statements`.
pub fn statements(args: Statements, common: &Common) -> Outcome {
    let now = keys::now();
    let writer = Site::open(&args.site)?.lock(now)?;
    let mut files = Vec::new();
    for folder in &args.folders {
        let found = pairs::read(folder).map_err(|e| Fail::io(format!("cannot read {}", folder.display()), e))?;
        found.ignored.iter().for_each(|i| common.bar.note(&format!("ignored: {i}")));
        files.extend(found.signed);
        files.extend(policies_in(folder)?);
    }
    let signed: Vec<Signed> = files.iter().map(|(_, s)| s.clone()).collect();
    let options = Options { allow_drop: false, dry_run: false, threads: 1, now };
    let done = policies::take_in(&writer, &signed, options)?;
    let became = |r: &Report| Became {
        file: files.get(r.index).map(|(path, _)| path.clone()).unwrap_or_default(),
        kind: r.kind.map(|k| k.name()),
        owner: r.owner.clone(),
        outcome: match (r.kind, &r.outcome) {
            (Some(StatementKind::Seal | StatementKind::Approve | StatementKind::Permit), Outcomes::OtherRelease) => {
                "not kept: give it with its bundle".into()
            }
            (Some(StatementKind::Permit), Outcomes::NotWeighed) => "not kept: give it with its bundle".into(),
            (Some(StatementKind::Receipt), Outcomes::NotWeighed) => "a receipt; sites do not keep those".into(),
            (_, Outcomes::Policy) => "a policy".into(),
            (_, outcome) => outcome.to_string(),
        },
    };
    let report =
        TakenIn { statements: done.reports.iter().map(became).collect(), policy: done.policy, learned: done.learned };
    common.report(&report, |t| {
        let row = |s: &Became| {
            let who = s.owner.clone().unwrap_or_else(|| "?".into());
            vec![s.file.display().to_string(), s.kind.unwrap_or("?").into(), who, s.outcome.clone()]
        };
        let mut out = print::table(&t.statements.iter().map(row).collect::<Vec<_>>());
        out += &format!("policy version {} is in force; {} things learned\n", t.policy, t.learned);
        out
    })
}

/// The policies of a folder: texts with signatures named after a key, `POLICY.KEYID.sig`.
fn policies_in(folder: &Path) -> Result<Vec<(PathBuf, Signed)>, Fail> {
    let io = |e| Fail::io(format!("cannot read {}", folder.display()), e);
    let names = pairs::entries(folder).map_err(io)?;
    let policy_of = |sig: &PathBuf| {
        let name = sig.file_name()?.to_str()?;
        let (base, _key_id) = name.strip_suffix(".sig")?.rsplit_once('.')?;
        is_policy_signature(base, name).then(|| sig.with_file_name(base)).filter(|p| p.is_file())
    };
    let found: BTreeSet<PathBuf> = names.iter().filter_map(policy_of).collect();
    let mut out = Vec::new();
    for path in found {
        out.extend(pairs::read_policy(&path).unwrap_or_default().into_iter().map(|s| (path.clone(), s)));
    }
    Ok(out)
}

#[derive(serde::Serialize)]
struct Checked {
    release: String,
    carriage: String,
    stream: String,
    epoch: u64,
    sequence: u64,
    sealer: String,
    sealed: String,
    approvals: Vec<GroupCount>,
    statements: Vec<String>,
    evidence: Vec<Claim>,
    notes: Vec<String>,
    form: &'static str,
    checked_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    builds_on: Option<BuildsOn>,
    artifacts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<String>,
}

/// `pouch verify`.
pub fn run_verify(args: Verify, common: &Common) -> Outcome {
    let sealed = Sealed::open(medium(&args.bundle)?)?;
    let ids = sealed.ids();
    let inside = sealed.statements().iter().enumerate().map(|(n, s)| (format!("inside-{}.txt", n + 1), s.clone()));
    let mut named: Vec<(String, Signed)> = inside.collect();
    named.extend(outside(&args.bundle, &args.statements, common)?);
    let statements: Vec<Signed> = named.iter().map(|(_, s)| s.clone()).collect();
    let (chain, state) = match (&args.site, &args.policy) {
        (Some(site), _) => {
            let site = Site::open(site)?;
            (policies::in_force(&site)?, policies::order_state(&site)?)
        }
        (None, Some(path)) => (policy::read(path)?, OrderState::default()),
        (None, None) => return Err(Fail::usage("give --policy or --site")),
    };
    let chain = chain.walk(&statements, &state).pop().unwrap_or(chain);
    let subject = Subject { release_id: ids.release, carriage_id: Some(ids.carriage) };
    let verdict = verify(&subject, &statements, chain.policy(), &state, keys::now())?;
    let bundle = Bundle::parse(sealed, verdict)?;
    let sealed_by = &bundle.trust.sealed;
    seal::agrees(&sealed_by.seal, &bundle.release, ids.release).map_err(pouch::bundle::BundleError::from)?;
    let files = named.iter().zip(&bundle.trust.reports).map(|((name, _), r)| (name.clone(), r.clone()));
    let named: Vec<(String, Report)> = files.collect();
    let artifacts = bundle.artifacts()?;
    let blobs = artifacts.iter().flat_map(|d| d.artifact.blobs.iter().map(|b| b.digest)).collect();
    let beside = beside(&args.bundle, &args.statements);
    let evidence = evidence::claims(&statements, &bundle.trust.reports, &blobs, |e| beside(e).is_some());
    let artifacts = artifacts.len();
    let threads = pack::threads(args.threads.map(usize::from));
    let (form, checked_bytes) = match bundle.form() {
        Form::Full => {
            bundle.check_tables()?;
            ("full", bundle.check_blocks(threads, &common.bar)?)
        }
        Form::Head => ("head", 0),
        Form::IndexOnly => ("index-only", 0),
    };
    let bases = if bundle.form() == Form::Full { bundle.bases()? } else { Vec::new() };
    let builds_on = (!bases.is_empty()).then(|| BuildsOn {
        blobs: bases.len() as u64,
        bytes: bases.iter().map(|b| b.base.len).fold(0, u64::saturating_add),
    });
    let reason = bundle.carriage.reason().map(|r| format!("amended: {r}"));
    let report = Checked {
        release: ids.release.hex(),
        carriage: ids.carriage.hex(),
        stream: bundle.release.stream.clone(),
        epoch: bundle.release.epoch,
        sequence: bundle.release.sequence,
        sealer: format!("{} (key {})", sealed_by.owner, sealed_by.key.key_id()),
        sealed: pouch::trust::text::show_time(sealed_by.seal.terms.issued),
        approvals: bundle.trust.approvals.clone(),
        statements: bundle.trust.reports.iter().map(Report::to_string).collect(),
        evidence,
        notes: bundle.trust.notes.iter().cloned().chain(reason).collect(),
        form,
        checked_bytes,
        builds_on,
        artifacts,
        explain: args.explain.then(|| explain(chain.policy(), &named)),
    };
    common.report(&report, |r| {
        let mut out = format!(
            "release    {}\ncarriage   {}\nstream     {} epoch {} sequence {}\nsealed by  {}, {}\n",
            r.release, r.carriage, r.stream, r.epoch, r.sequence, r.sealer, r.sealed
        );
        for g in &r.approvals {
            out += &format!("approved   {}: {} of {} needed\n", g.group, g.owners.join(", "), g.need);
        }
        for s in &r.statements {
            out += &format!("statement  {s}\n");
        }
        for e in &r.evidence {
            out += &format!("evidence   {} claims: {}\n", e.owner, shown(e));
        }
        for n in &r.notes {
            out += &format!("note       {n}\n");
        }
        out += &match r.form {
            "full" => format!(
                "verified   {} artifacts, every byte of {} in blocks\n",
                r.artifacts,
                print::size(r.checked_bytes)
            ),
            form => format!(
                "verified   {} artifacts as stated by the sealer; this file is {form} and holds no blocks\n",
                r.artifacts
            ),
        };
        if let Some(b) = &r.builds_on {
            out += &format!(
                "a delta    it builds on {} blobs ({}) that are not in this file\n",
                b.blobs,
                print::size(b.bytes)
            );
        }
        if let Some(explain) = &r.explain {
            out += &format!("\n{explain}");
        }
        out
    })
}

/// A piece of evidence in a line.
fn shown(e: &Claim) -> String {
    let place = match e.bytes {
        Some("release") => "in the release",
        Some(_) => "beside it",
        None => "not here",
    };
    format!("{} (SHA-256 {}, {place})", e.name, e.digest)
}
