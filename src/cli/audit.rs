//! Answering afterwards: `history`, `why`, `receipt`.

use super::args::{History, Receipt as ReceiptArgs, Why};
use super::fail::{Fail, Outcome};
use super::keys::Signer;
use super::signing::end_of;
use super::{Common, keys, print};
use pouch::class::Class;
use pouch::digest::Digest;
use pouch::fs::output::write_file;
use pouch::monitor::Monitor as _;
use pouch::op::audit::{self, Answer, Span};
use pouch::op::{policies, receipt};
use pouch::site::Site;
use pouch::site::archive::Archive;
use pouch::trust::text::show_time;
use pouch::trust::{Statement, StatementKind};
use std::path::PathBuf;

/// `pouch history`.
pub fn history(args: History, common: &Common) -> Outcome {
    let archive = Archive::open(&args.site)?;
    if args.verify {
        return verify(&archive, common);
    }
    let records = archive.ledger()?.records;
    common.report(&records, |records| {
        let row = |r: &pouch::site::ledger::Record| {
            let mut event = serde_json::to_value(&r.event).unwrap_or_default();
            let name = event.as_object_mut().and_then(|o| o.shift_remove("event"));
            let name = name.and_then(|n| n.as_str().map(str::to_owned)).unwrap_or_default();
            vec![r.n.to_string(), show_time(r.time), name, event.to_string()]
        };
        print::table(&records.iter().map(row).collect::<Vec<_>>())
    })
}

fn verify(archive: &Archive, common: &Common) -> Outcome {
    let checked = audit::check(archive)?;
    common.report(&checked, |c| {
        let mut out = format!(
            "lines       {} (each follows the one before)\npolicies    {}\nadmissions  {}\nsignatures  {}\nevidence    {}\n",
            c.lines, c.policies, c.admissions, c.signatures, c.evidence
        );
        c.problems.iter().for_each(|p| out += &format!("problem     {p}\n"));
        out += &format!("last line   {}\n", c.last.map(|d| d.hex()).unwrap_or_default());
        out
    })?;
    match checked.problems.len() {
        0 => Ok(()),
        n => Err(Fail::new(Class::Damaged, format!("the site's records have {n} problems"))
            .hint("compare them with a backup and with the site's receipts")),
    }
}

/// `pouch why`.
pub fn why(args: Why, common: &Common) -> Outcome {
    let at = args.at.as_deref().map(end_of).transpose()?;
    let answers = audit::why(&Archive::open(&args.site)?, &args.what, at)?;
    if answers.is_empty() {
        let when = args.at.map(|at| format!(" that was live {at}")).unwrap_or_default();
        let text = format!("no release of this site{when} has {}", args.what);
        return Err(Fail::usage(text).hint("names are those of `pouch ls`; paths are as they are served"));
    }
    common.report(&answers, |all| all.iter().map(told).collect::<Vec<_>>().join("\n"))
}

fn told(a: &Answer) -> String {
    let mut out = String::new();
    for i in &a.items {
        let words = [Some(i.name.as_str()), i.version.as_deref(), i.arch.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        out += &format!("{:10}  {}\n", i.kind.to_string(), words.join(" "));
        if let Some(place) = &i.place {
            out += &format!("served as   {place}\n");
        }
        out += &format!("digest      {}\n", i.digest.oci());
    }
    let r = &a.life.release;
    out += &format!("release     {}\nstream      {} epoch {} sequence {}\n", r.release, r.stream, r.epoch, r.sequence);
    for one in &a.life.admitted {
        let (time, by) = (show_time(one.time), &one.admission);
        out += &format!("let in      {time} ({}; line {} of the ledger; policy {})\n", by.order, one.line, by.policy);
    }
    for Span { from, to, latest } in &a.life.live {
        let to = to.map_or("now".into(), show_time);
        out += &format!("live        {} to {to}{}\n", show_time(*from), if *latest { ", as the latest" } else { "" });
    }
    for s in &a.statements {
        let owner = s.owner.as_deref().unwrap_or("a key of the policy");
        out += &format!("{:10}  by {owner}, key {}, text {}\n", s.kind, s.key.as_deref().unwrap_or("?"), s.digest);
        match &s.text {
            Some(text) => text.lines().for_each(|l| out += &format!("            | {l}\n")),
            None => out += "            (the archive lacks its text)\n",
        }
    }
    out
}

#[derive(serde::Serialize)]
struct Given {
    site: String,
    blobs: u64,
    bytes: u64,
    ledger: Digest,
    inventory: Digest,
    /// Digits to read over a telephone, for the ledger and each stream's latest release.
    short: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
}

/// `pouch receipt`.
pub fn receipt(args: ReceiptArgs, common: &Common) -> Outcome {
    let site = Site::open(&args.site)?;
    let made = receipt::receipt(&site, keys::now(), args.comment)?;
    let mut given = Given {
        site: made.receipt.site.clone(),
        blobs: made.receipt.blobs,
        bytes: made.receipt.bytes,
        ledger: made.receipt.ledger,
        inventory: made.receipt.inventory,
        short: receipt::short(&made.receipt),
        file: None,
        statement: None,
    };
    if let (Some(with), Some(file)) = (&args.with, &args.output) {
        let key = Signer::open(with, args.passphrase_file.as_deref())?;
        let chain = policies::in_force(&site)?;
        let known = chain.policy().role(key.public().blob()).filter(|r| r.site);
        if known.is_none_or(|r| r.owner != given.site) {
            let text =
                format!("the policy does not name the key {} as that of site {}", key.public().key_id(), given.site);
            common.bar.note(&text);
        }
        let signed = key.statement(&Statement::Receipt(made.receipt))?;
        let beside = |ending: &str| {
            let mut name = file.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        let files = [(file.clone(), &signed.text), (beside(".sig"), &signed.signature)];
        for (path, bytes) in files.into_iter().chain([(beside(".inventory"), &made.inventory)]) {
            write_file(&path, bytes, 0o644).map_err(|e| Fail::io(format!("cannot write {}", path.display()), e))?;
        }
        given.statement = Some(String::from_utf8_lossy(&signed.text).into_owned());
        given.file = Some(file.clone());
    }
    common.report(&given, |g| {
        let mut out = g.statement.clone().unwrap_or_default();
        if let Some(file) = &g.file {
            let (f, n) = (file.display(), StatementKind::Receipt.namespace());
            out += &format!("\nwritten: {f}, {f}.sig (namespace {n}), {f}.inventory\n");
        }
        if args.short {
            let rows: Vec<Vec<String>> =
                g.short.iter().map(|(what, digits)| vec![what.clone(), digits.clone()]).collect();
            out += &print::table(&rows);
        }
        out
    })
}
