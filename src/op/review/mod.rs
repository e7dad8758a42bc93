//! A *review* is what a person reads before signing: what a release holds, what it changes, what of it runs with rights or
//! on installation, and the exact text to be signed.
//!
//! It is what the sealer states, but for what the caller found by opening debs and layers; nothing is verified, and the
//! page says so. The same release gives the same page, byte for byte, where that was found. Specified in `spec/desk.md`, section "The review page".

use crate::cbor;
use crate::digest::Digest;
use crate::format::area::Signed;
use crate::format::root::Total;
use crate::kind::deb::DebFacts;
use crate::kind::oci::ImageFacts;
use crate::kind::rpm::RpmFacts;
use crate::kind::sdist::SdistFacts;
use crate::kind::wheel::WheelFacts;
use crate::model::{Described, Kind};
use crate::op::diff::{self, Diff, Item, Side, Summary};
use crate::op::evidence::{self, Claim};
use crate::op::scan::Opened;
use crate::op::seal;
use crate::trust::report::Report;
use crate::trust::statement::{Approve, Evidence, Statement, Terms};
use serde::Serialize;
use std::collections::BTreeMap;

mod page;

pub use page::page;

/// How many of the largest artifacts are drawn.
const LARGEST: usize = 25;
/// What stands for the group in the text to be signed where nobody said which.
const GROUP: &str = "GROUP";
/// What stands for the time of signing.
const ISSUED: &str = "(the time of signing)";
/// Control files of debs that run on the machine that installs it, or make others run there.
const DEB_SCRIPTS: [&str; 6] = ["config", "postinst", "postrm", "preinst", "prerm", "triggers"];

/// A package that runs something when it is installed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scripts {
    /// The package.
    #[serde(flatten)]
    pub item: Item,
    /// Names of its scripts.
    pub scripts: Vec<String>,
}

/// A file that runs with its owner's or group's rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetId {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: Option<String>,
    /// The file.
    pub path: String,
    /// Its permission bits, octal.
    pub mode: String,
}

/// What runs when an image is started, for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runs {
    /// The image.
    pub name: String,
    /// Its tag or digest.
    pub reference: Option<String>,
    /// `os/arch`; absent where nothing says.
    pub platform: Option<String>,
    /// The user; absent where that is root by default.
    pub user: Option<String>,
    /// Entry point.
    pub entrypoint: Vec<String>,
    /// Command.
    pub cmd: Vec<String>,
    /// Layers.
    pub layers: u64,
}

/// A licence, in the packager's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Licence {
    /// The words; empty where there are none.
    pub licence: String,
    /// Artifacts that say so.
    pub artifacts: u64,
}

/// What a statement comes to under a policy, with no site in mind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Whose key the policy says it is.
    pub owner: String,
    /// The key's id.
    pub key: String,
    /// The kind; absent where the signature is bad.
    pub kind: Option<&'static str>,
    /// What it comes to.
    pub outcome: String,
    /// Digest of its text.
    pub statement: Digest,
}

/// Everything on the page.
#[derive(Clone, Debug, Serialize)]
pub struct Review {
    /// The release.
    pub release: Summary,
    /// The carriage id of the file that was looked at.
    pub carriage: Digest,
    /// Why it was made of another release, as the carriage says; absent where it was not.
    pub reason: Option<String>,
    /// By kind.
    pub totals: Vec<Total>,
    /// All artifacts.
    pub artifacts: Vec<Item>,
    /// The largest, in that order.
    pub largest: Vec<Item>,
    /// What changed since another release; absent where none was given.
    pub changes: Option<Diff>,
    /// Packages with install scripts.
    pub scripts: Vec<Scripts>,
    /// Files with set-id bits in rpms.
    pub set_id: Vec<SetId>,
    /// Those inside debs and layers; absent where these were not opened.
    pub opened: Option<Opened>,
    /// Why they were not.
    pub not_opened: Option<String>,
    /// Images.
    pub images: Vec<Runs>,
    /// Source distributions, which run code of theirs when they are built.
    pub sdists: Vec<Item>,
    /// Plain files that are executable.
    pub executables: Vec<Item>,
    /// Licences of rpms, wheels and sdists, most frequent first. Other kinds state none.
    pub licences: Vec<Licence>,
    /// Statements inside the file and beside it, as they stand.
    pub statements: Vec<String>,
    /// Whose they are, by the policy that was given; empty without one.
    pub said: Vec<Said>,
    /// What the statements that are somebody's name as looked at.
    pub evidence: Vec<Claim>,
    /// The texts that `approve` signs, one for each group that was named.
    pub to_sign: Vec<String>,
    /// What a reader must not conclude from this page.
    pub notes: Vec<String>,
}

/// Puts a review together. `groups`: for whom the text is shown. `opened`: what is inside debs and layers, or why nobody
/// looked.
pub fn review(
    new: Side<'_>,
    carriage: Digest,
    old: Option<Side<'_>>,
    statements: &[Signed],
    groups: &[String],
    opened: Result<Opened, String>,
) -> Review {
    let (opened, not_opened) = match opened {
        Ok(opened) => (Some(opened), None),
        Err(why) => (None, Some(why)),
    };
    let all = new.artifacts;
    let of = |kind: Kind| all.iter().filter(move |d| d.artifact.kind == kind);
    let executables = of(Kind::File).filter(|d| d.artifact.executable);
    Review {
        release: Summary::of(new.id, new.root),
        carriage,
        reason: None,
        totals: new.root.totals.clone(),
        artifacts: all.iter().map(|d| Item::of(&d.artifact)).collect(),
        largest: largest(all),
        changes: old.map(|old| diff::diff(old, new)),
        scripts: all.iter().filter_map(scripts).collect(),
        set_id: of(Kind::Rpm).flat_map(set_id).collect(),
        opened,
        not_opened,
        images: of(Kind::Image).flat_map(runs).collect(),
        sdists: of(Kind::Sdist).map(|d| Item::of(&d.artifact)).collect(),
        executables: executables.map(|d| Item::of(&d.artifact)).collect(),
        licences: licences(all),
        statements: statements.iter().map(|s| String::from_utf8_lossy(&s.text).into_owned()).collect(),
        said: Vec::new(),
        evidence: Vec::new(),
        to_sign: to_sign(new, groups),
        notes: notes(all),
    }
}

/// Adds what the verify function says of the statements: `reports` are about `statements`.
pub fn hear(
    r: &mut Review,
    new: Side<'_>,
    statements: &[Signed],
    reports: &[Report],
    beside: impl Fn(&Evidence) -> bool,
) {
    let said = |r: &Report| {
        let (owner, key) = (r.owner.clone()?, r.key?.key_id());
        let kind = r.kind.map(|k| k.name());
        Some(Said { owner, key, kind, outcome: r.outcome.to_string(), statement: r.statement })
    };
    r.said = reports.iter().filter_map(said).collect();
    let blobs = new.artifacts.iter().flat_map(|d| d.artifact.blobs.iter().map(|b| b.digest)).collect();
    r.evidence = evidence::claims(statements, reports, &blobs, beside);
}

fn largest(all: &[Described]) -> Vec<Item> {
    let mut items: Vec<Item> = all.iter().map(|d| Item::of(&d.artifact)).collect();
    items.sort_by_key(|i| std::cmp::Reverse(i.bytes));
    items.truncate(LARGEST);
    items
}

fn scripts(d: &Described) -> Option<Scripts> {
    let scripts = match d.artifact.kind {
        Kind::Rpm => cbor::decode::<RpmFacts>(&d.facts.0).ok()?.scripts,
        Kind::Deb => {
            let files = cbor::decode::<DebFacts>(&d.facts.0).ok()?.files;
            files.into_iter().map(|f| f.name).filter(|n| DEB_SCRIPTS.contains(&n.as_str())).collect()
        }
        _ => return None,
    };
    (!scripts.is_empty()).then(|| Scripts { item: Item::of(&d.artifact), scripts })
}

fn set_id(d: &Described) -> Vec<SetId> {
    let files = cbor::decode::<RpmFacts>(&d.facts.0).map(|f| f.setuid).unwrap_or_default();
    let of = |(path, mode): (String, u64)| SetId {
        package: d.artifact.name.clone(),
        version: d.artifact.version.clone(),
        path,
        mode: format!("{mode:04o}"),
    };
    files.into_iter().map(of).collect()
}

fn runs(d: &Described) -> Vec<Runs> {
    let item = Item::of(&d.artifact);
    let manifests = ImageFacts::decode(&d.facts).map(|f| f.manifests).unwrap_or_default();
    let of = |m: crate::kind::oci::ManifestFacts| {
        let layers = m.layers.len() as u64;
        let config = m.runs?;
        Some(Runs {
            name: item.name.clone(),
            reference: item.version.clone(),
            platform: m.platform.or(config.platform),
            user: config.user,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
            layers,
        })
    };
    manifests.into_iter().filter_map(of).collect()
}

/// What an artifact's maker says of its licence; `None` for kinds that say nothing.
pub(crate) fn licence(d: &Described) -> Option<String> {
    match d.artifact.kind {
        Kind::Rpm => Some(cbor::decode::<RpmFacts>(&d.facts.0).ok()?.license),
        Kind::Wheel => Some(cbor::decode::<WheelFacts>(&d.facts.0).ok()?.license.unwrap_or_default()),
        Kind::Sdist => Some(cbor::decode::<SdistFacts>(&d.facts.0).ok()?.license.unwrap_or_default()),
        _ => None,
    }
}

fn licences(all: &[Described]) -> Vec<Licence> {
    let mut count: BTreeMap<String, u64> = BTreeMap::new();
    for licence in all.iter().filter_map(licence) {
        let n = count.entry(licence).or_default();
        *n = n.saturating_add(1);
    }
    let mut out: Vec<Licence> = count.into_iter().map(|(licence, artifacts)| Licence { licence, artifacts }).collect();
    out.sort_by_key(|l| std::cmp::Reverse(l.artifacts));
    out
}

/// The text of an approval as `approve` will sign it, but for the time.
fn to_sign(new: Side<'_>, groups: &[String]) -> Vec<String> {
    let text = |group: &str| {
        let approve = Approve {
            group: group.into(),
            identity: seal::identity(new.root, new.id),
            claims: seal::claims(new.root),
            terms: Terms::default(),
        };
        let text = Statement::Approve(approve).render();
        let issued = format!("issued: {}\n", crate::trust::text::show_time(0));
        text.replace(&issued, &format!("issued: {ISSUED}\n"))
    };
    match groups {
        [] => vec![text(GROUP)],
        groups => groups.iter().map(|g| text(g)).collect(),
    }
}

fn notes(all: &[Described]) -> Vec<String> {
    let has = |kind: Kind| all.iter().any(|d| d.artifact.kind == kind);
    let mut out = vec![
        "This page shows what the sealer states, and what was found in debs and layers where it says that they were opened. \
         Nothing of it was verified when the page was written: run `pouch verify` with your policy, and compare the \
         release id. An unpack compares every statement here with the bytes."
            .into(),
    ];
    if has(Kind::Image) {
        out.push("Licences of what is inside images are not known here.".into());
    }
    out
}

#[cfg(test)]
mod tests;
