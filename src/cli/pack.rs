//! `pouch pack`.

use super::args::Pack;
use super::bundle::{Unverified, open};
use super::fail::{Fail, Outcome};
use super::keys::Signer;
use super::{Common, keys, policy, print};
use pouch::bundle::{Bundle, BundleError, Chain, Ids, ReleaseSpec, Sealed, Workplace, temporary};
use pouch::class::Classified as _;
use pouch::format::area::Signed;
use pouch::format::frame::Form;
use pouch::format::root::{BASE, is_stream_name, is_version};
use pouch::fs::medium::FileMedium;
use pouch::fs::output::Output;
use pouch::model::Described;
use pouch::monitor::Monitor as _;
use pouch::op::delta::{Held, NeedList};
use pouch::op::pack::{self, PackReport};
use pouch::op::pairs::{Old, Pairs};
use pouch::op::seal;
use pouch::op::shrink::Beside;
use pouch::op::travel::{self, Laid};
use pouch::source::list::List;
use pouch::source::{Source, kubespray};
use pouch::trust::statement::Terms;

/// The report of the operation, and what was laid beside the bundle.
#[derive(serde::Serialize)]
struct Packed {
    #[serde(flatten)]
    pack: PackReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Laid>,
}

/// Runs it.
pub fn run(args: Pack, common: &Common) -> Outcome {
    check(&args)?;
    let threads = pack::threads(args.threads.map(usize::from));
    let key = match &args.seal_with {
        Some(key) => Some(Signer::open(key, args.passphrase_file.as_deref())?),
        None => None,
    };
    let program = program(&args)?;
    let chain = chain(&args)?;
    let (sources, mut notes) = sources(&args)?;
    let survey = pack::survey(&sources, threads, &common.bar)?;
    notes.extend(survey.notes.iter().cloned());
    notes.iter().for_each(|n| common.bar.note(n));
    let spec = ReleaseSpec {
        stream: args.stream.clone(),
        epoch: args.epoch,
        sequence: args.sequence,
        version: args.version.clone(),
    };
    let prepared = survey.prepare(&spec)?;
    let mut held = Held::default();
    let bundles = args.base.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    // Blobs of an index for reviewers are left out whole and that is all.
    let with_blocks = || bundles.iter().filter(|b| b.form() == Form::Full);
    let blobs = Chain::new(with_blocks())?;
    let old = with_blocks().map(|b| Ok(Old { artifacts: b.artifacts()?, blobs: &blobs }));
    let old = old.collect::<Result<Vec<_>, Fail>>()?;
    hold(&args, &bundles, &mut held)?;
    let new: Vec<Described> = survey.artifacts().cloned().collect();
    let pairs = Pairs::new(&old, &new, &held);
    let written = match args.output.as_deref().filter(|_| !args.dry_run) {
        None => None,
        Some(path) => {
            let io = |e| Fail::io(format!("cannot write {}", path.display()), e);
            let mut out = Output::create(path).map_err(io)?;
            let sign = |ids: &Ids| {
                let mut inside = chain;
                if let Some(key) = &key {
                    let terms = Terms { issued: keys::now(), ..Terms::default() };
                    let signed = key.statement(&seal::statement(&prepared.root, ids, terms));
                    inside.push(signed.map_err(|e| BundleError::Seal { class: e.class(), source: Box::new(e) })?);
                }
                Ok(inside)
            };
            let written = survey.write(
                &prepared,
                Beside { held: &held, pairs: &pairs, small: args.small },
                threads,
                &mut out,
                &common.bar,
                sign,
            )?;
            if written.carriage.requires.iter().any(|f| f != BASE) {
                let work = Workplace { bases: &blobs, scratch: &temporary };
                let medium = out.written().map_err(io)?;
                Bundle::parse(Sealed::open(medium)?, Unverified)?.prove(work, threads, &common.bar)?;
            }
            out.publish(0o644).map_err(io)?;
            Some(written)
        }
    };
    let beside = match (program, &key, &args.output) {
        (Some(program), Some(key), Some(path)) if written.is_some() => {
            Some(program.lay(path, &key.over(travel::NAMESPACE, program.bytes())?)?)
        }
        _ => None,
    };
    common.report(&Packed { pack: PackReport::new(&prepared, written.as_ref(), &held, notes), beside }, text)
}

/// What can be said before anything is read.
fn check(args: &Pack) -> Outcome {
    if !is_stream_name(&args.stream) {
        let text = format!("{:?} cannot be the name of a stream", args.stream);
        return Err(Fail::usage(text).hint("a stream is called by a-z, 0-9 and . _ -, at most 63 of them, such as k8s"));
    }
    if let Some(version) = args.version.as_ref().filter(|v| !is_version(v)) {
        let text = format!("{version:?} cannot be a release's version");
        return Err(Fail::usage(text).hint("give 1 to 64 printable characters, such as 2.29.1"));
    }
    if let Some(path) = args.output.as_deref().filter(|_| !args.dry_run) {
        Output::check(path).map_err(|e| Fail::io(format!("cannot write {}", path.display()), e))?;
    }
    Ok(())
}

/// The program that is to be laid beside the bundle: looked at before the work, so that a refusal costs none.
fn program(args: &Pack) -> Result<Option<travel::Program>, Fail> {
    if !args.with_pouch {
        return Ok(None);
    }
    if let Some(bundle) = &args.output {
        travel::check_name(bundle)?;
    }
    Ok(Some(travel::Program::running()?))
}

/// Sources, and notes on what is mended or left out.
type Sources = (Vec<Box<dyn Source>>, Vec<String>);

fn sources(args: &Pack) -> Result<Sources, Fail> {
    match (&args.kubespray_offline, &args.list) {
        (Some(outputs), _) => Ok(kubespray::sources(outputs)?),
        (None, Some(list)) => Ok((List::read(list)?.sources, vec![])),
        (None, None) => Err(Fail::usage("give a packing list or --kubespray-offline DIR")),
    }
}

/// What the far side has: the releases of `--base` but for what `--need` names.
fn hold(args: &Pack, bundles: &[Bundle<FileMedium, Unverified>], held: &mut Held) -> Outcome {
    for bundle in bundles {
        held.add(bundle)?;
    }
    for path in &args.need {
        let text = std::fs::read_to_string(path).map_err(|e| Fail::io(format!("cannot read {}", path.display()), e))?;
        let need = NeedList::parse(&text).map_err(|e| {
            Fail::usage(format!("{} is no need-list: {e}", path.display()))
                .hint("it is what `pouch unpack --json` prints where a delta's bases are lacking")
        })?;
        held.remove(&need);
    }
    Ok(())
}

/// The policies that travel inside, each with its signatures.
fn chain(args: &Pack) -> Result<Vec<Signed>, Fail> {
    let mut out = Vec::new();
    for path in &args.policy {
        out.extend(policy::read(path)?.signed().iter().cloned());
    }
    Ok(out)
}

fn text(packed: &Packed) -> String {
    let r = &packed.pack;
    let mut rows: Vec<Vec<String>> =
        r.totals.iter().map(|t| vec![t.kind.to_string(), t.artifacts.to_string(), print::size(t.bytes)]).collect();
    rows.push(vec!["blobs".into(), r.blobs.to_string(), print::size(r.bytes)]);
    let mut out = print::table(&rows);
    out += &format!("stream    {} epoch {} sequence {}\n", r.stream, r.epoch, r.sequence);
    out += &format!("release   {}\n", r.release);
    if let Some(l) = &r.left_out {
        out += &format!("left out  {} blobs ({}) that the far side has\n", l.blobs, print::size(l.bytes));
        l.against.iter().for_each(|a| {
            out += &format!("against   {} epoch {} sequence {} {}\n", a.stream, a.epoch, a.sequence, a.release.short());
        });
    }
    match (r.carriage, r.bundle_bytes) {
        (Some(carriage), Some(bytes)) => {
            let share = 100.0 * bytes as f64 / (r.bytes.max(1)) as f64;
            out += &format!("carriage  {carriage}\nbundle    {} ({share:.1} % of its blobs)\n", print::size(bytes));
        }
        _ => out += "nothing was written (dry run)\n",
    }
    if let Some(laid) = &packed.beside {
        out += &format!("program   {} (SHA-256 {})\n", laid.program.display(), laid.digest);
        out += &format!("          {}\n", laid.signature.display());
    }
    out
}
