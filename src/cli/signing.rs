//! Making statements: `seal`, `approve`, `reject`, `revoke`, `permit`.
//!
//! The text is the same wherever it is signed: by a key file, by the agent, or by `ssh-keygen` on another machine.

use super::args::{Approve, Permit, Reject, Revoke, ScopeArg, Seal, SignArg};
use super::bundle::{Unverified, open};
use super::fail::{Fail, Outcome};
use super::keys::Signer;
use super::{Common, keys};
use pouch::bundle::Bundle;
use pouch::digest::Digest;
use pouch::format::frame::Form;
use pouch::fs::medium::FileMedium;
use pouch::fs::output::write_file;
use pouch::fs::regular;
use pouch::op::seal;
use pouch::trust::explain::file_name;
use pouch::trust::statement::{
    Approve as ApproveStatement, Evidence, Permit as PermitStatement, Place, Reject as RejectStatement,
    Revoke as RevokeStatement, Revoked, Terms,
};
use pouch::trust::text::{is_name, parse_time};
use pouch::trust::{Fingerprint, PublicKey, Statement};
use std::path::{Path, PathBuf};

#[derive(serde::Serialize)]
struct Made {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<Digest>,
    /// Digest of the text, by which `revoke --statement` names it.
    digest: Digest,
    /// What `ssh-keygen -Y sign` takes after `-n`.
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<PathBuf>,
    statement: String,
}

/// `pouch seal`.
pub fn seal(args: Seal, common: &Common) -> Outcome {
    let bundle = looked_at(&args.bundle)?;
    if bundle.form() == Form::Full {
        bundle.check_tables()?;
    }
    // Why a release was amended reaches those who approve, whoever seals and whenever.
    let comment = args.comment.or_else(|| bundle.carriage.reason().map(str::to_owned));
    let statement = seal::statement(&bundle.release, &bundle.ids(), terms(&args.scope, comment)?);
    finish(&statement, Some(bundle.ids().release), &args.sign, &name_of(&args.bundle), folder_of(&args.bundle), common)
}

/// `pouch approve`.
pub fn approve(args: Approve, common: &Common) -> Outcome {
    let bundle = looked_at(&args.bundle)?;
    let release = bundle.ids().release;
    let terms = Terms { evidence: evidence(&args.evidence)?, ..terms(&args.scope, args.comment)? };
    let identity = seal::identity(&bundle.release, release);
    let claims = seal::claims(&bundle.release);
    let statement = Statement::Approve(ApproveStatement { group: args.group, identity, claims, terms });
    finish(&statement, Some(release), &args.sign, &name_of(&args.bundle), folder_of(&args.bundle), common)
}

/// `pouch reject`.
pub fn reject(args: Reject, common: &Common) -> Outcome {
    let bundle = looked_at(&args.bundle)?;
    let release = bundle.ids().release;
    let evidence = evidence(&args.evidence)?;
    let terms = Terms { issued: keys::now(), comment: args.comment, evidence, ..Terms::default() };
    let identity = seal::identity(&bundle.release, release);
    let statement = Statement::Reject(RejectStatement { group: args.group, identity, terms });
    finish(&statement, Some(release), &args.sign, &name_of(&args.bundle), folder_of(&args.bundle), common)
}

/// `pouch revoke`.
pub fn revoke(args: Revoke, common: &Common) -> Outcome {
    let (what, name) = match (&args.what.key, &args.what.release, &args.what.statement) {
        (Some(key), _, _) => {
            let key = fingerprint(key)?;
            let mut except = args.except.iter().map(|d| digest(d)).collect::<Result<Vec<_>, _>>()?;
            except.sort();
            except.dedup();
            (Revoked::Key(key, except), format!("key-{}", key.key_id()))
        }
        (_, Some(release), _) => {
            let release = digest(release)?;
            (Revoked::Release(release), format!("release-{}", &release.hex()[..16]))
        }
        (_, _, Some(statement)) => {
            let statement = statement_digest(statement)?;
            (Revoked::Statement(statement), format!("statement-{}", &statement.hex()[..16]))
        }
        _ => return Err(Fail::usage("give --key, --release or --statement")),
    };
    let terms = Terms { issued: keys::now(), comment: args.comment, ..Terms::default() };
    let statement = Statement::Revoke(RevokeStatement { what, terms });
    finish(&statement, None, &args.sign, &name, Path::new("."), common)
}

/// `pouch permit`.
pub fn permit(args: Permit, common: &Common) -> Outcome {
    let bundle = looked_at(&args.to)?;
    let root = &bundle.release;
    if root.stream != args.stream {
        let text = format!("{} is of stream {}, not of {}", args.to.display(), root.stream, args.stream);
        return Err(Fail::usage(text));
    }
    let from = match args.from.as_str() {
        "none" => None,
        id => Some(digest(id)?),
    };
    let to = bundle.ids().release;
    let place = Place { epoch: root.epoch, sequence: root.sequence };
    let terms = terms(&args.scope, args.comment)?;
    let statement = Statement::Permit(PermitStatement { stream: args.stream, from, to, place, terms });
    finish(&statement, Some(to), &args.sign, &name_of(&args.to), folder_of(&args.to), common)
}

/// A bundle whose list of artifacts can be read: nobody signs what cannot be shown.
fn looked_at(path: &Path) -> Result<Bundle<FileMedium, Unverified>, Fail> {
    let bundle = open(path)?;
    bundle.artifacts()?;
    Ok(bundle)
}

/// Signs and writes `NAME.KIND.KEYID.txt` with its signature, or prints the text.
fn finish(
    statement: &Statement,
    release: Option<Digest>,
    sign: &SignArg,
    name: &str,
    beside: &Path,
    common: &Common,
) -> Outcome {
    let kind = statement.kind();
    let text = statement.render();
    let mut made = Made {
        kind: kind.name(),
        release,
        digest: Digest::of(text.as_bytes()),
        namespace: kind.namespace(),
        text: None,
        signature: None,
        statement: text,
    };
    let Some(with) = &sign.with else {
        Statement::parse(kind, made.statement.as_bytes()).map_err(Fail::usage)?;
        return common.report(&made, |m| m.statement.clone());
    };
    let key = Signer::open(with, sign.passphrase_file.as_deref())?;
    let signed = key.statement(statement)?;
    let folder = sign.output.as_deref().unwrap_or(beside);
    std::fs::create_dir_all(folder).map_err(|e| Fail::io(format!("cannot make {}", folder.display()), e))?;
    let name = file_name(name, kind, key.public());
    let (text, signature) = (folder.join(&name), folder.join(format!("{name}.sig")));
    for (path, bytes) in [(&text, &signed.text), (&signature, &signed.signature)] {
        write_file(path, bytes, 0o644).map_err(|e| Fail::io(format!("cannot write {}", path.display()), e))?;
    }
    (made.text, made.signature) = (Some(text), Some(signature));
    common.report(&made, |m| {
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        format!("{}\nwritten: {}\n         {}\n", m.statement, path(&m.text), path(&m.signature))
    })
}

/// The bundle's name without its ending.
fn name_of(bundle: &Path) -> String {
    let name = bundle.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.strip_suffix(".pouch").unwrap_or(&name).to_owned()
}

fn folder_of(bundle: &Path) -> &Path {
    bundle.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn terms(scope: &ScopeArg, comment: Option<String>) -> Result<Terms, Fail> {
    let mut sites = scope.for_site.clone();
    sites.sort();
    sites.dedup();
    if let Some(bad) = sites.iter().find(|s| !is_name(s)) {
        return Err(Fail::usage(format!("{bad:?} cannot be a site's name")));
    }
    let not_after = scope.not_after.as_deref().map(end_of).transpose()?;
    Ok(Terms { issued: keys::now(), not_after, sites, comment, ..Terms::default() })
}

/// A time, or the last second of a day (UTC).
pub fn end_of(text: &str) -> Result<i64, Fail> {
    parse_time(text).or_else(|| parse_time(&format!("{text}T23:59:59Z"))).ok_or_else(|| {
        Fail::usage(format!("{text:?} is neither a day such as 2026-12-31 nor a time such as 2026-12-31T12:00:00Z"))
    })
}

/// 64 hexadecimal digits, with or without `sha256:`.
pub fn digest(text: &str) -> Result<Digest, Fail> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    Digest::from_hex(hex).map_err(|e| Fail::usage(format!("{text:?}: {e}")))
}

fn fingerprint(text: &str) -> Result<Fingerprint, Fail> {
    if text.starts_with("SHA256:") {
        let why = || Fail::usage(format!("{text:?} is no fingerprint as `ssh-keygen -l` shows it"));
        return Fingerprint::parse(text).ok_or_else(why);
    }
    Ok(PublicKey::parse(&keys::read(Path::new(text))?)?.fingerprint())
}

fn statement_digest(text: &str) -> Result<Digest, Fail> {
    match digest(text) {
        Ok(digest) => Ok(digest),
        Err(_) if Path::new(text).is_file() => Ok(Digest::of(&keys::read(Path::new(text))?)),
        Err(e) => Err(e),
    }
}

fn evidence(files: &[PathBuf]) -> Result<Vec<Evidence>, Fail> {
    let mut out = Vec::new();
    for path in files {
        let io = |e| Fail::io(format!("cannot read {}", path.display()), e);
        let mut file = regular::open(path).map_err(io)?;
        let blob = pouch::digest::hash_reader(&mut file).map_err(io)?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        out.push(Evidence { digest: blob.digest, name });
    }
    out.sort_by(|a, b| (&a.digest, &a.name).cmp(&(&b.digest, &b.name)));
    out.dedup();
    Ok(out)
}
