//! The *head* of a ledger is a small file beside the log that names its last line, so that a log which lost whole lines at
//! its end is not taken for a shorter one.
//!
//! It is no secret and no signature: whoever can write both files can write both. Receipts are for that. Specified in
//! `spec/audit.md`, section "Head".

use crate::digest::Digest;
use crate::fs::disk::{Disk, read_all, remove_all, write_new};
use crate::site::error::SiteError;
use crate::site::layout;
use crate::site::ledger::Ledger;

/// Bytes of the file that are read.
const HEAD_BYTES: u64 = 200;

/// The line that the file names: its number and its digest; `None` where there is no file.
pub(super) fn read(disk: &dyn Disk) -> Result<Option<(u64, Digest)>, SiteError> {
    if disk.stat(&layout::head())?.is_none() {
        return Ok(None);
    }
    let bytes = read_all(disk, &layout::head(), HEAD_BYTES)?;
    match std::str::from_utf8(&bytes).ok().and_then(parse) {
        Some(head) => Ok(Some(head)),
        None => Err(SiteError::damaged(layout::head(), "it does not name a line of the log")),
    }
}

fn parse(text: &str) -> Option<(u64, Digest)> {
    let (n, digest) = text.strip_suffix('\n')?.split_once(' ')?;
    let head = (n.parse().ok()?, Digest::from_hex(digest).ok()?);
    (render(head.0, head.1) == text).then_some(head)
}

fn render(n: u64, line: Digest) -> String {
    format!("{n} {line}\n")
}

/// Refuses a log that lacks the line which the head names. The log may be ahead: a line is durable before the head names it.
pub(super) fn compare(head: Option<(u64, Digest)>, log: &Ledger) -> Result<(), SiteError> {
    let lines = log.records.len() as u64;
    let why = match head {
        None if lines <= 1 => return Ok(()), // a site that is being made
        None => format!("it has {lines} lines, and ledger/head, which names its last line, is missing"),
        Some((n, digest)) if log.line(n) == Some(digest) => return Ok(()),
        Some((n, _)) if lines < n => {
            format!("it ends at line {lines}, and ledger/head names line {n}: lines are missing")
        }
        Some((n, _)) => format!("its line {n} is not the one that ledger/head names"),
    };
    Err(SiteError::damaged(layout::log(), why))
}

/// Names the last line. Its own durability does not matter: an older head is as good.
pub(super) fn write(disk: &dyn Disk, n: u64, line: Digest, time: i64) -> Result<(), SiteError> {
    let fresh = layout::fresh_head();
    remove_all(disk, &fresh)?;
    write_new(disk, &fresh, render(n, line).as_bytes(), layout::FILE_MODE, time)?;
    disk.sync(std::slice::from_ref(&fresh))?;
    Ok(disk.rename(&fresh, &layout::head())?)
}
