//! *Init* makes an empty folder a site; `site.toml` is written last and is what makes it one.
//!
//! It does not judge the policy: its bytes are opaque here. Specified in `spec/site.md`, section "Making a site".

use crate::digest::Digest;
use crate::fs::disk::{Disk, Node, Place, read_all, remove_all, write_new};
use crate::fs::real::RealDisk;
use crate::limits;
use crate::model::SiteConfig;
use crate::site::error::SiteError;
use crate::site::ledger::{Event, Ledger};
use crate::site::{Site, layout};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// `site.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteFile {
    layout: u64,
    site: SiteConfig,
}

/// A policy as the site keeps it.
#[derive(Clone, Copy, Debug)]
pub struct PolicyFile<'a> {
    /// Its digest, as people confirm it.
    pub digest: Digest,
    /// Its bytes; what they mean is the trust floor's business.
    pub bytes: &'a [u8],
}

impl Site {
    /// Makes the folder `path` a site under `policy`. The folder must be empty or not there, or hold what an interrupted
    /// init of the same policy left. `now` is the time for the ledger, in Unix seconds.
    pub fn init(path: &Path, config: &SiteConfig, policy: PolicyFile<'_>, now: i64) -> Result<Site, SiteError> {
        Site::init_on(Arc::new(RealDisk::make(path)?), config, policy, false, now)
    }

    /// As [`Site::init`], in the place of a site whose ledger was lost: each stream's first release needs a permit. The
    /// folder may hold that site's blobs.
    pub fn init_lost(path: &Path, config: &SiteConfig, policy: PolicyFile<'_>, now: i64) -> Result<Site, SiteError> {
        Site::init_on(Arc::new(RealDisk::make(path)?), config, policy, true, now)
    }

    /// As [`Site::init`], on a disk.
    pub fn init_on(
        disk: Arc<dyn Disk>,
        config: &SiteConfig,
        policy: PolicyFile<'_>,
        lost: bool,
        now: i64,
    ) -> Result<Site, SiteError> {
        refuse_strangers(&*disk)?;
        let _guard = disk.lock(&layout::lock())?.ok_or_else(|| SiteError::Locked(disk.root().to_owned()))?;
        if disk.stat(&layout::config())?.is_some() {
            return Err(SiteError::AlreadyASite(disk.root().to_owned()));
        }
        for (place, mode) in layout::folders() {
            if disk.stat(&place)?.is_none() {
                disk.make_folder(&place, mode)?;
            }
        }
        begin_ledger(&*disk, config, policy, lost, now)?;
        let file = SiteFile { layout: layout::VERSION, site: config.clone() };
        let text = toml::to_string(&file).map_err(|e| SiteError::Config(e.to_string()))?;
        let places: Vec<Place> = layout::folders().into_iter().map(|(place, _)| place).collect();
        disk.sync(&places)?;
        put(&*disk, &layout::config(), "site.toml", text.as_bytes(), now)?;
        Site::on(disk.clone())
    }
}

/// Only what an interrupted init leaves may be there already.
fn refuse_strangers(disk: &dyn Disk) -> Result<(), SiteError> {
    let stranger = |name: String| SiteError::NotEmpty { path: disk.root().to_owned(), name };
    let names = disk.list(&Place::root())?;
    if names.iter().any(|(name, node)| name == "site.toml" && *node == Node::File) {
        return Err(SiteError::AlreadyASite(disk.root().to_owned()));
    }
    for (name, _) in names {
        let text = name.to_string_lossy().into_owned();
        if !layout::ROOT_NAMES.contains(&text.as_str()) || text == "current" {
            return Err(stranger(text));
        }
        let known: &[&str] = match text.as_str() {
            "blobs" => &["sha256"],
            "ledger" => &layout::LEDGER_NAMES,
            _ => &[],
        };
        if text == "lock" || text == "policy" || text == "staging" {
            continue; // nothing in them is trusted or overwritten
        }
        for (inner, _) in disk.list(&Place::root().child(&name))? {
            if !known.contains(&inner.to_string_lossy().as_ref()) {
                return Err(stranger(format!("{text}/{}", inner.to_string_lossy())));
            }
        }
    }
    Ok(())
}

/// Writes the policy and the first two lines of the ledger, or goes on where an interrupted init stopped.
fn begin_ledger(
    disk: &dyn Disk,
    config: &SiteConfig,
    policy: PolicyFile<'_>,
    lost: bool,
    now: i64,
) -> Result<(), SiteError> {
    put(disk, &layout::policy(&policy.digest), "policy", policy.bytes, now)?;
    if disk.stat(&layout::log())?.is_none() {
        disk.create(&layout::log(), layout::FILE_MODE)?;
    }
    let mut ledger = Ledger::read(disk)?;
    let events = [
        Event::Init { layout: layout::VERSION, name: config.name.clone(), lost },
        Event::Policy { policy: policy.digest, sha256: Digest::of(policy.bytes) },
    ];
    if ledger.records.iter().map(|r| &r.event).ne(events.iter().take(ledger.records.len())) {
        return Err(SiteError::NotEmpty { path: disk.root().to_owned(), name: layout::log().to_string() });
    }
    // Each run that is interrupted may leave one line that the head does not name yet, and no more.
    ledger.name_last(disk, now)?;
    for event in events.into_iter().skip(ledger.records.len()) {
        ledger.append(disk, now, event)?;
    }
    Ok(())
}

/// Reads `site.toml`.
pub(crate) fn read_config(disk: &dyn Disk) -> Result<SiteConfig, SiteError> {
    let bytes = read_all(disk, &layout::config(), limits::CONFIGURATION)?;
    let text = std::str::from_utf8(&bytes).map_err(|e| SiteError::Config(e.to_string()))?;
    let table: toml::Table = toml::from_str(text).map_err(|e| SiteError::Config(e.to_string()))?;
    // The version decides before anything else is judged: a newer layout may have other keys.
    let version = table.get("layout").and_then(toml::Value::as_integer).and_then(|v| u64::try_from(v).ok());
    match version {
        None => Err(SiteError::Config("it has no layout version".into())),
        Some(have) if have > layout::VERSION => Err(SiteError::NewerLayout { have, known: layout::VERSION }),
        Some(_) => toml::from_str::<SiteFile>(text).map(|f| f.site).map_err(|e| SiteError::Config(e.to_string())),
    }
}

/// Writes a small file under its name, whole or not at all, durably. Replaces what was there.
pub(crate) fn put(disk: &dyn Disk, place: &Place, name: &str, bytes: &[u8], time: i64) -> Result<(), SiteError> {
    let fresh = layout::fresh(name);
    remove_all(disk, &fresh)?;
    write_new(disk, &fresh, bytes, layout::FILE_MODE, time)?;
    disk.sync(&[fresh.clone(), layout::staging()])?;
    disk.rename(&fresh, place)?;
    disk.sync(&[place.folder()])?;
    Ok(())
}
