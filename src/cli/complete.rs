//! `pouch complete`.

use super::Common;
use super::args::Complete;
use super::bundle::open;
use super::fail::{Fail, Outcome};
use pouch::bundle::{Extractor, Workplace, temporary};
use pouch::class::Class;
use pouch::format::frame::Form;
use pouch::op::complete::{Report, complete};

/// Runs it; what is missing ends with the exit code of a failure.
pub fn run(args: Complete, common: &Common) -> Outcome {
    let bundle = open(&args.bundle)?;
    let artifacts = bundle.artifacts()?;
    let old = args.against.as_deref().map(open).transpose()?;
    let bases = old.as_ref().map(|old| Extractor::new(old, Workplace::NONE)).transpose()?;
    let work = match &bases {
        Some(bases) => Workplace { bases, scratch: &temporary },
        None => Workplace::NONE,
    };
    let whole = bundle.form() == Form::Full && (bases.is_some() || !bundle.is_delta());
    let report = match whole {
        true => complete(&artifacts, &args.lists, Some(&Extractor::new(&bundle, work)?))?,
        false => complete(&artifacts, &args.lists, None)?,
    };
    common.report(&report, text)?;
    match report.ok {
        true => Ok(()),
        false => Err(Fail::new(Class::Failed, "the bundle is not complete")
            .hint("fetch what is missing or different, then pack again")),
    }
}

fn text(r: &Report) -> String {
    let mut out = String::new();
    for (what, part) in [("files", &r.files), ("images", &r.images)] {
        out += &format!(
            "{what}: {} listed, {} missing, {} of the wrong architecture, {} not listed\n",
            part.listed,
            part.missing.len(),
            part.wrong_architecture.len(),
            part.extra.len()
        );
        part.missing.iter().for_each(|m| out += &format!("  missing    {m}\n"));
        for w in &part.wrong_architecture {
            out += &format!("  wrong      {} wants {}, {} is {}\n", w.listed, w.wanted, w.path, w.has);
        }
        part.extra.iter().for_each(|e| out += &format!("  not listed {e}\n"));
    }
    let c = &r.checksums;
    out += &format!(
        "checksums: {} equal, {} different, {} unknown, {} not read\n",
        c.equal,
        c.different.len(),
        c.unknown.len(),
        c.unread.len()
    );
    for d in &c.different {
        out += &format!("  different  {} is {}, expected {}\n", d.path, d.found, d.expected);
    }
    c.unknown.iter().for_each(|u| out += &format!("  unknown    {u}\n"));
    r.notes.iter().for_each(|n| out += &format!("note: {n}\n"));
    out
}
