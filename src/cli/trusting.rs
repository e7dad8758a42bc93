//! Statements: `seal`, `approve`, `reject`, `verify`.

use super::args::{Approve as ApproveArgs, Seal as SealArgs, Verify};
use super::bundle::{medium, open};
use super::fail::{Fail, Outcome};
use super::{Common, keys, policy, print};
use pouch::bundle::{Bundle, Sealed};
use pouch::digest::Digest;
use pouch::format::frame::Form;
use pouch::fs::output::write_file;
use pouch::fs::{pairs, regular};
use pouch::monitor::Monitor as _;
use pouch::op::{pack, policies, seal};
use pouch::site::Site;
use pouch::trust::explain::explain;
use pouch::trust::order::OrderState;
use pouch::trust::report::{GroupCount, Report};
use pouch::trust::statement::{Approve, Evidence, Reject, Terms};
use pouch::trust::{PrivateKey, Signed, Statement, StatementKind, Subject, verify};
use std::path::{Path, PathBuf};

#[derive(serde::Serialize)]
struct Made {
    kind: &'static str,
    release: String,
    text: PathBuf,
    signature: PathBuf,
    statement: String,
}

/// Puts `NAME.KIND.KEYID.txt` and its signature into a folder.
fn put(
    bundle: &Path,
    folder: Option<&Path>,
    kind: StatementKind,
    key: &PrivateKey,
    signed: &Signed,
) -> Result<(PathBuf, PathBuf), Fail> {
    let name = bundle.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".pouch").unwrap_or(&name).to_owned();
    let beside = bundle.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.unwrap_or(beside);
    std::fs::create_dir_all(folder).map_err(|e| Fail::io(format!("cannot make {}", folder.display()), e))?;
    let text = folder.join(format!("{name}.{}.{}.txt", kind.name(), key.public().key_id()));
    let signature = folder.join(format!("{name}.{}.{}.txt.sig", kind.name(), key.public().key_id()));
    for (path, bytes) in [(&text, &signed.text), (&signature, &signed.signature)] {
        write_file(path, bytes, 0o644).map_err(|e| Fail::io(format!("cannot write {}", path.display()), e))?;
    }
    Ok((text, signature))
}

fn made(kind: StatementKind, release: Digest, files: (PathBuf, PathBuf), signed: &Signed, common: &Common) -> Outcome {
    let statement = String::from_utf8_lossy(&signed.text).into_owned();
    let report = Made { kind: kind.name(), release: release.hex(), text: files.0, signature: files.1, statement };
    common.report(&report, |r| {
        format!("{}\nwritten: {}\n         {}\n", r.statement, r.text.display(), r.signature.display())
    })
}

/// `pouch seal`.
pub fn seal(args: SealArgs, common: &Common) -> Outcome {
    let bundle = open(&args.bundle)?;
    bundle.artifacts()?;
    if bundle.form() == Form::Full {
        bundle.check_tables()?;
    }
    let key = keys::from_args(&args.key)?;
    let ids = bundle.ids();
    let signed = seal::seal(&bundle.release, &ids, &key, keys::now())?;
    let files = put(&args.bundle, args.output.as_deref(), StatementKind::Seal, &key, &signed)?;
    made(StatementKind::Seal, ids.release, files, &signed, common)
}

/// `pouch approve` and `pouch reject`.
pub fn approve(args: ApproveArgs, reject: bool, common: &Common) -> Outcome {
    let bundle = open(&args.bundle)?;
    bundle.artifacts()?;
    let key = keys::from_args(&args.key)?;
    let release = bundle.ids().release;
    let evidence = args.evidence.iter().map(|f| evidence(f)).collect::<Result<Vec<_>, _>>()?;
    let terms = Terms { issued: keys::now(), comment: args.comment, evidence, ..Terms::default() };
    let identity = seal::identity(&bundle.release, release);
    let (kind, statement) = if reject {
        (StatementKind::Reject, Statement::Reject(Reject { group: args.group, identity, terms }))
    } else {
        let claims = seal::claims(&bundle.release);
        (StatementKind::Approve, Statement::Approve(Approve { group: args.group, identity, claims, terms }))
    };
    let signed = statement.sign(&key).map_err(Fail::usage)?;
    let files = put(&args.bundle, args.output.as_deref(), kind, &key, &signed)?;
    made(kind, release, files, &signed, common)
}

fn evidence(path: &Path) -> Result<Evidence, Fail> {
    let io = |e| Fail::io(format!("cannot read {}", path.display()), e);
    let mut file = regular::open(path).map_err(io)?;
    let blob = pouch::digest::hash_reader(&mut file).map_err(io)?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Evidence { digest: blob.digest, name })
}

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

/// Blobs that a delta builds on.
#[derive(serde::Serialize)]
struct BuildsOn {
    blobs: u64,
    bytes: u64,
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
    let artifacts = bundle.artifacts()?.len();
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
        notes: bundle.trust.notes.clone(),
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
