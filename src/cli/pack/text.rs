//! The report of `pouch pack` for people.

use super::Packed;
use crate::cli::print;
use pouch::op::pack::{AmendReport, PackReport};
use pouch::op::predict::Prediction;

/// Names of a list that are shown.
const SHOWN: usize = 10;

pub fn text(packed: &Packed) -> String {
    let r = &packed.pack;
    let mut rows: Vec<Vec<String>> =
        r.totals.iter().map(|t| vec![t.kind.to_string(), t.artifacts.to_string(), print::size(t.bytes)]).collect();
    rows.push(vec!["blobs".into(), r.blobs.to_string(), print::size(r.bytes)]);
    let mut out = print::table(&rows);
    out += &format!("stream    {} epoch {} sequence {}\n", r.stream, r.epoch, r.sequence);
    out += &format!("release   {}\n", r.release);
    out += &r.amends.as_ref().map(amends).unwrap_or_default();
    if let Some(l) = &r.left_out {
        out += &format!("left out  {} blobs ({}) that the far side has\n", l.blobs, print::size(l.bytes));
        l.against.iter().for_each(|a| {
            out += &format!("against   {} epoch {} sequence {} {}\n", a.stream, a.epoch, a.sequence, a.release.short());
        });
    }
    let share = 100.0 * r.bundle_bytes as f64 / (r.bytes.max(1)) as f64;
    out += &format!("carriage  {}\n", r.carriage);
    out += &format!("bundle    {} ({share:.1} % of its blobs)\n", print::size(r.bundle_bytes));
    out += &unpack(r, &r.unpack);
    if !r.written {
        out += "nothing was written (dry run)\n";
    }
    if let Some(laid) = &packed.beside {
        out += &format!("program   {} (SHA-256 {})\n", laid.program.display(), laid.digest);
        out += &format!("          {}\n", laid.signature.display());
    }
    out
}

fn amends(a: &AmendReport) -> String {
    let of = &a.of;
    let mut out =
        format!("amends    {} epoch {} sequence {} {}\n", of.stream, of.epoch, of.sequence, of.release.short());
    out += &format!("reason    {}\n", a.reason);
    for (what, names) in [("removed", &a.removed), ("replaced", &a.replaced)] {
        names.iter().take(SHOWN).for_each(|name| out += &format!("{what:10}{name}\n"));
        if names.len() > SHOWN {
            out += &format!("{what:10}and {} more\n", names.len() - SHOWN);
        }
    }
    out + &format!("added     {} artifacts\n", a.added)
}

fn unpack(r: &PackReport, p: &Prediction) -> String {
    let (seconds, work) = (p.seconds, &p.work);
    let mut out =
        format!("unpack    about {seconds} s on two cores like those of spec/rationale.md, if the medium keeps up\n");
    out += &format!("room      {} for blobs", print::size(work.written));
    if work.scratch > 0 {
        out += &format!(" and {} of scratch space", print::size(work.scratch));
    }
    if r.left_out.is_some() || work.bases > 0 {
        out += &format!("; {} that is there is hashed", print::size(work.bases));
    }
    out + "\n"
}
