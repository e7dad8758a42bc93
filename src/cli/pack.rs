//! `pouch pack`.

mod inputs;
mod text;

use super::args::Pack;
use super::bundle::{Unverified, open};
use super::fail::{Fail, Outcome};
use super::keys::Signer;
use super::{Common, keys};
use inputs::Inputs;
use pouch::bundle::{Bundle, BundleError, Extractor, Ids, Prepared, Sealed, Workplace, Written, temporary};
use pouch::class::Classified as _;
use pouch::format::area::Signed;
use pouch::format::frame::Form;
use pouch::format::root::BASE;
use pouch::fs::medium::FileMedium;
use pouch::fs::output::Output;
use pouch::kind::BlobReader;
use pouch::monitor::Monitor as _;
use pouch::op::amend::{self, Amended};
use pouch::op::delta::Several;
use pouch::op::pack::{self, AmendReport, PackReport, Survey};
use pouch::op::pairs::{Old, Pairs};
use pouch::op::seal;
use pouch::op::shrink::Beside;
use pouch::op::travel::{self, Laid};
use pouch::trust::PolicyChain;
use pouch::trust::statement::Terms;
use std::io;
use std::path::Path;

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
    inputs::check(&args)?;
    let threads = pack::threads(args.threads.map(usize::from));
    let key = match &args.seal_with {
        Some(key) => Some(Signer::open(key, args.passphrase_file.as_deref())?),
        None => None,
    };
    let program = program(&args)?;
    let chain = inputs::chain(&args)?;
    let bundles = args.base.iter().chain(&args.amend).map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    let amended = args.amend.as_deref().and(bundles.last());
    let Inputs { sources, mut notes, spec } = inputs::read(&args, amended)?;
    let held = inputs::held(&args, &bundles, chain.last(), &mut notes)?;
    if let (Some(path), Some(old)) = (&args.amend, amended) {
        notes.push(inputs::vouched(path, old, chain.last(), common)?);
    }
    let survey = match (sources.is_empty(), amended) {
        (true, Some(_)) => Survey::default(),
        _ => pack::survey(&sources, threads, &common.bar)?,
    };
    notes.extend(survey.notes.iter().cloned());
    let readers = readers(&bundles)?;
    let (survey, amends) = match amended {
        // It is the last one.
        Some(old) => amend(&args, old, readers.last().and_then(Option::as_ref), survey, &mut notes)?,
        None => (survey, None),
    };
    notes.iter().for_each(|n| common.bar.note(n));
    let prepared = survey.prepare(&spec)?.because(args.reason.clone());
    let old = bundles.iter().zip(&readers).filter_map(|(b, r)| Some((b, r.as_ref()?)));
    let old = old.map(|(b, blobs)| Ok(Old { artifacts: b.artifacts()?, blobs })).collect::<Result<Vec<_>, Fail>>()?;
    let new = survey.artifacts();
    let job = Job {
        survey: &survey,
        prepared: &prepared,
        beside: Beside { held: &held, pairs: &Pairs::new(&old, &new, &held), small: args.small },
        bases: old.iter().map(|o| o.blobs).collect(),
        inside: chain.iter().flat_map(|c| c.signed().iter().cloned()).collect(),
        key: key.as_ref(),
        threads,
    };
    let output = args.output.as_deref().filter(|_| !args.dry_run);
    let written = match output {
        None => job.write(&mut io::sink(), common)?,
        Some(path) => job.publish(path, common)?,
    };
    let beside = match (program, &key, output) {
        (Some(program), Some(key), Some(path)) => {
            Some(program.lay(path, &key.over(travel::NAMESPACE, program.bytes())?)?)
        }
        _ => None,
    };
    let report = PackReport::new(&prepared, &written, output.is_some(), &held);
    common.report(&Packed { pack: PackReport { notes, amends, ..report }, beside }, text::text)
}

/// All that is needed to write the bundle.
struct Job<'a> {
    survey: &'a Survey<'a>,
    prepared: &'a Prepared,
    beside: Beside<'a>,
    /// Give old content.
    bases: Vec<&'a dyn BlobReader>,
    /// Policies that travel inside.
    inside: Vec<Signed>,
    key: Option<&'a Signer>,
    threads: usize,
}

impl Job<'_> {
    fn write(&self, out: &mut dyn io::Write, common: &Common) -> Result<Written, Fail> {
        let sign = |ids: &Ids| {
            let mut inside = self.inside.clone();
            if let Some(key) = self.key {
                let comment = self.prepared.reason().map(str::to_owned);
                let terms = Terms { issued: keys::now(), comment, ..Terms::default() };
                let signed = key.statement(&seal::statement(&self.prepared.root, ids, terms));
                inside.push(signed.map_err(|e| BundleError::Seal { class: e.class(), source: Box::new(e) })?);
            }
            Ok(inside)
        };
        let (survey, beside, threads) = (self.survey, self.beside, self.threads);
        Ok(survey.write(self.prepared, beside, threads, out, &common.bar, sign)?)
    }

    /// Writes it, sees that it unpacks where that is more than reading blocks, and gives it its name.
    fn publish(&self, path: &Path, common: &Common) -> Result<Written, Fail> {
        let io = |e| Fail::io(format!("cannot write {}", path.display()), e);
        let mut out = Output::create(path).map_err(io)?;
        let written = self.write(&mut out, common)?;
        if written.carriage.requires.iter().any(|f| f != BASE) {
            let work = Workplace { bases: &Several(self.bases.clone()), scratch: &temporary };
            let medium = out.written().map_err(io)?;
            Bundle::parse(Sealed::open(medium)?, Unverified)?.prove(work, self.threads, &common.bar)?;
        }
        out.publish(0o644).map_err(io)?;
        Ok(written)
    }
}

/// What stays of the old release beside what was found.
fn amend<'a>(
    args: &Pack,
    old: &Bundle<FileMedium, Unverified>,
    blobs: Option<&'a Blobs<'a>>,
    survey: Survey<'a>,
    notes: &mut Vec<String>,
) -> Result<(Survey<'a>, Option<AmendReport>), Fail> {
    let added = survey.artifacts();
    let Amended { kept, removed, replaced, notes: more } = amend::amend(old.artifacts()?, &args.remove, &added)?;
    notes.extend(more);
    let report = AmendReport {
        of: old.named(),
        reason: args.reason.clone().unwrap_or_default(),
        removed,
        replaced,
        added: added.len() as u64,
    };
    Ok((survey.keeping(kept, blobs.map(|b| b as &dyn BlobReader)), Some(report)))
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

/// What gives old content: full bundles do; of others, blobs are left out whole and that is all.
fn readers(bundles: &[Bundle<FileMedium, Unverified>]) -> Result<Vec<Option<Blobs<'_>>>, Fail> {
    let full = |b: &Bundle<FileMedium, Unverified>| b.form() == Form::Full && !b.is_delta();
    let reader = |b| if full(b) { Extractor::new(b, Workplace::NONE).map(Some) } else { Ok(None) };
    Ok(bundles.iter().map(reader).collect::<Result<Vec<_>, _>>()?)
}

/// Reads blobs of an old bundle.
type Blobs<'a> = Extractor<'a, FileMedium, Unverified>;
/// The policies that travel inside, oldest first.
type Chain = Vec<PolicyChain>;
