//! *Why* is the question which releases brought something, and on whose word.
//!
//! It believes the records; whether they hold is `check`'s question. Specified in `spec/audit.md`.

use super::{Life, lives, statements};
use crate::bundle::{Bundle, Sealed};
use crate::digest::Digest;
use crate::model::Described;
use crate::op::records::RecordsError;
use crate::site::archive::Archive;
use crate::site::ledger::{Event, Kept, Ledger, ReleaseRef};
use crate::trust::key::Fingerprint;
use crate::trust::sshsig::SshSig;
use crate::trust::statement::kind_of;
use std::collections::{BTreeMap, BTreeSet};

/// An artifact that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Item {
    /// Its kind.
    pub kind: crate::model::Kind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its architecture.
    pub arch: Option<String>,
    /// Where it is served, below a generation; `None` for images.
    pub place: Option<String>,
    /// Its own blob.
    pub digest: Digest,
}

/// A statement with its text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Told {
    /// Its kind.
    pub kind: String,
    /// Whose it is, by the policy of the time; `None` where it only was kept.
    pub owner: Option<String>,
    /// The key, as `ssh-keygen -l` shows it.
    pub key: Option<String>,
    /// Digest of its text.
    pub digest: Digest,
    /// The text; `None` where the archive lacks it.
    pub text: Option<String>,
    /// The line of the ledger that has it, for what came without a release.
    pub line: Option<u64>,
}

/// The answer about one release.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Answer {
    /// The release with its life.
    #[serde(flatten)]
    pub life: Life,
    /// What was found in it; empty where the release itself was asked for.
    pub items: Vec<Item>,
    /// Who vouched for it, and rejections and revocations that name it.
    pub statements: Vec<Told>,
}

/// Which releases brought `what`: a digest, a name, or a path as it is served. With `at`, only those live then.
pub fn why(archive: &Archive, what: &str, at: Option<i64>) -> Result<Vec<Answer>, RecordsError> {
    let ledger = archive.ledger()?;
    let query = Query::parse(what);
    let mut out = Vec::new();
    for life in lives(&ledger.records) {
        if at.is_some_and(|at| !life.live.iter().any(|s| s.holds(at))) {
            continue;
        }
        let files = archive.release(&life.release.release)?;
        let items = items(&files, &life.release.release, &query)?;
        let vouched = life.admitted.iter().flat_map(|a| &a.admission.vouchers);
        let named = query.digest.is_some_and(|d| {
            life.release.release == d
                || vouched.into_iter().any(|v| v.statement == d)
                || speaks(&ledger, d, &life.release)
        });
        if !items.is_empty() || named {
            let statements = told(&ledger, &files, &life)?;
            out.push(Answer { life, items, statements });
        }
    }
    Ok(out)
}

/// What was asked for.
struct Query {
    digest: Option<Digest>,
    name: String,
    places: [String; 2],
}

impl Query {
    fn parse(what: &str) -> Query {
        let digest = |t: &str| Digest::from_hex(t.strip_prefix("sha256:").unwrap_or(t)).ok();
        let path = match what.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => what,
        };
        let path = path.rsplit_once("/current/").map_or(path, |(_, p)| p);
        let path = match path.rsplit_once("/generations/") {
            Some((_, p)) => p.split_once('/').map_or("", |(_, p)| p),
            None => path,
        };
        let path = path.trim_start_matches('/').trim_start_matches("current/");
        Query {
            // A registry's path names the blob that it is.
            digest: digest(what).or_else(|| what.contains('/').then(|| what.split('/').find_map(digest)).flatten()),
            name: what.to_owned(),
            places: [path.to_owned(), format!("www/{path}")],
        }
    }

    fn asks_for(&self, described: &Described) -> bool {
        let a = &described.artifact;
        if let Some(digest) = self.digest {
            return a.blobs.iter().any(|b| b.digest == digest);
        }
        let version = a.version.as_deref().unwrap_or_default();
        let names = [
            a.name.clone(),
            format!("{}-{version}", a.name),
            format!("{}={version}", a.name),
            format!("{}:{version}", a.name),
        ];
        let place = a.place().and_then(Result::ok);
        names.contains(&self.name)
            || a.label("origin") == Some(&self.name)
            || place.is_some_and(|p| self.places.iter().any(|want| want == p.as_str()))
    }
}

fn items(files: &[Vec<u8>], release: &Digest, query: &Query) -> Result<Vec<Item>, RecordsError> {
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let damaged = |source| RecordsError::Archive { release: *release, source };
    let bundle = Bundle::parse(Sealed::open(&first[..]).map_err(damaged)?, ()).map_err(damaged)?;
    let found = bundle.artifacts().map_err(damaged)?.into_iter().filter(|d| query.asks_for(d));
    let item = |d: Described| {
        let place = d.artifact.place().and_then(Result::ok).map(|p| p.as_str().to_owned());
        let digest = d.artifact.blobs.first()?.digest;
        let a = d.artifact;
        Some(Item { kind: a.kind, name: a.name, version: a.version, arch: a.arch, place, digest })
    };
    Ok(found.filter_map(item).collect())
}

/// Statements that the ledger itself keeps, with their lines.
fn kept(ledger: &Ledger) -> impl Iterator<Item = (u64, &Kept)> {
    ledger.records.iter().flat_map(|r| match &r.event {
        Event::Learn { statements, .. } => statements.iter().map(|s| (r.n, s)).collect::<Vec<_>>(),
        _ => Vec::new(),
    })
}

/// Whether the statement `digest` is kept in the ledger and names the release.
fn speaks(ledger: &Ledger, digest: Digest, release: &ReleaseRef) -> bool {
    kept(ledger).any(|(_, k)| Digest::of(k.text.as_bytes()) == digest && k.text.contains(&release.release.hex()))
}

fn told(ledger: &Ledger, files: &[Vec<u8>], life: &Life) -> Result<Vec<Told>, RecordsError> {
    let mut texts: BTreeMap<Digest, String> = BTreeMap::new();
    for signed in statements(files, &life.release.release)? {
        texts.insert(signed.digest(), String::from_utf8_lossy(&signed.text).into_owned());
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for v in life.admitted.iter().flat_map(|a| &a.admission.vouchers) {
        if seen.insert((v.statement, v.key)) {
            out.push(Told {
                kind: v.kind.clone(),
                owner: Some(v.owner.clone()),
                key: Some(v.key.to_string()),
                digest: v.statement,
                text: texts.get(&v.statement).cloned(),
                line: None,
            });
        }
    }
    for (line, k) in kept(ledger).filter(|(_, k)| k.text.contains(&life.release.release.hex())) {
        let kind = kind_of(k.text.as_bytes()).map(|k| k.name()).unwrap_or_default();
        let (digest, text) = (Digest::of(k.text.as_bytes()), Some(k.text.clone()));
        let key = SshSig::parse(k.signature.as_bytes()).ok().map(|s| Fingerprint(Digest::of(&s.key_blob)).to_string());
        out.push(Told { kind: kind.into(), owner: None, key, digest, text, line: Some(line) });
    }
    let rank = |t: &Told| ["seal", "approve", "permit", "reject", "revoke"].iter().position(|k| *k == t.kind);
    out.sort_by_cached_key(|t| (rank(t), t.line, t.owner.clone()));
    Ok(out)
}
