//! What `pouch pack` is given: lists, folders, old bundles, receipts, policies.

use super::{Chain, Fail, Outcome, Pack};
use crate::cli::bundle::{Unverified, medium};
use crate::cli::{Common, keys, policy, trusting};
use pouch::bundle::{Bundle, ReleaseSpec};
use pouch::class::Classified;
use pouch::format::root::{is_reason, is_stream_name, is_version};
use pouch::fs::medium::FileMedium;
use pouch::fs::output::Output;
use pouch::fs::regular;
use pouch::limits;
use pouch::op::delta::{Held, NeedList};
use pouch::op::{amend, have, scan};
use pouch::source::list::List;
use pouch::source::{Source, kubespray};
use pouch::trust::{PolicyChain, Signed};
use std::path::{Path, PathBuf};

type Opened = Bundle<FileMedium, Unverified>;

/// What is read before the inputs themselves.
pub struct Inputs {
    pub sources: Vec<Box<dyn Source>>,
    pub notes: Vec<String>,
    pub spec: ReleaseSpec,
}

/// What can be said before anything is read.
pub fn check(args: &Pack) -> Outcome {
    if let Some(stream) = &args.stream {
        check_stream(stream)?;
    }
    if let Some(version) = &args.version {
        check_version(version)?;
    }
    if args.amend.is_some() && args.add.is_none() && args.remove.is_empty() {
        return Err(Fail::usage("--amend without --add or --remove would change nothing"));
    }
    if let Some(reason) = args.reason.as_ref().filter(|r| !is_reason(r)) {
        let text = format!("{reason:?} cannot be a reason");
        return Err(Fail::usage(text)
            .hint("give one line of 1 to 1000 bytes, without control characters or blanks at its ends"));
    }
    if let Some(path) = args.output.as_deref().filter(|_| !args.dry_run) {
        Output::check(path).map_err(|e| Fail::io(format!("cannot write {}", path.display()), e))?;
    }
    Ok(())
}

fn check_stream(stream: &str) -> Outcome {
    if is_stream_name(stream) {
        return Ok(());
    }
    let text = format!("{stream:?} cannot be the name of a stream");
    Err(Fail::usage(text).hint("a stream is called by a-z, 0-9 and . _ -, at most 63 of them, such as k8s"))
}

fn check_version(version: &str) -> Outcome {
    if is_version(version) {
        return Ok(());
    }
    let text = format!("{version:?} cannot be a release's version");
    Err(Fail::usage(text).hint("give 1 to 64 printable characters, such as 2.29.1"))
}

/// Sources, and what the release is called: by option or amended release, else by the list.
pub fn read(args: &Pack, amended: Option<&Opened>) -> Result<Inputs, Fail> {
    let list = args.list.as_ref().or(args.add.as_ref()).map(|path| List::read(path)).transpose()?;
    let (stream, version) = list.as_ref().map(|l| (l.stream.clone(), l.version.clone())).unwrap_or_default();
    let (sources, mut notes) = match (&args.kubespray_offline, list) {
        (Some(outputs), _) => kubespray::sources(outputs)?,
        (None, Some(list)) => (list.sources, vec![]),
        (None, None) => (vec![], vec![]),
    };
    let root = amended.map(|b| &b.release);
    let said = agreed("stream", args.stream.clone(), root.map(|r| r.stream.clone()))?;
    let stream = or_listed("stream", said, stream, &mut notes);
    let stream = stream.ok_or_else(|| Fail::usage("the packing list names no stream").hint("give --stream S"))?;
    let version = or_listed("version", args.version.clone(), version, &mut notes);
    let epoch = agreed("epoch", args.epoch, root.map(|r| r.epoch))?.unwrap_or(0);
    check_stream(&stream)?;
    version.as_deref().map_or(Ok(()), check_version)?;
    if let Some(old) = root {
        amend::check(old, args.sequence)?;
    }
    Ok(Inputs { sources, notes, spec: ReleaseSpec { stream, epoch, sequence: args.sequence, version } })
}

/// What the option says, or the amended release, which may not differ.
fn agreed<T: PartialEq + std::fmt::Debug>(what: &str, option: Option<T>, old: Option<T>) -> Result<Option<T>, Fail> {
    match (option, old) {
        (Some(option), Some(old)) if option != old => {
            let text = format!("the amended release has the {what} {old:?}, and --{what} is {option:?}");
            Err(Fail::usage(text).hint(format!("leave out --{what}: an amended release is the next one of its stream")))
        }
        (option, old) => Ok(option.or(old)),
    }
}

/// A packing list gives defaults; that it said something else is told.
fn or_listed(what: &str, said: Option<String>, listed: Option<String>, notes: &mut Vec<String>) -> Option<String> {
    if let (Some(said), Some(listed)) = (&said, &listed)
        && said != listed
    {
        notes.push(format!("the packing list has the {what} {listed:?}; the release has {said:?}"));
    }
    said.or(listed)
}

/// What the far side has: the releases that are built on, or what all receipts list; but for what need-lists name.
pub fn held(
    args: &Pack,
    bundles: &[Opened],
    policy: Option<&PolicyChain>,
    notes: &mut Vec<String>,
) -> Result<Held, Fail> {
    let mut held = Held::default();
    for bundle in bundles {
        held.add(bundle)?;
    }
    let mut sites = Vec::new();
    for file in &args.have {
        let site = receipt(file, policy)?;
        notes.push(site.told(&file.display().to_string()));
        sites.push(site);
    }
    held.restrict(&sites);
    for path in &args.need {
        let text = std::fs::read_to_string(path).map_err(|e| Fail::io(format!("cannot read {}", path.display()), e))?;
        let need = NeedList::parse(&text).map_err(|e| {
            Fail::usage(format!("{} is no need-list: {e}", path.display()))
                .hint("it is what `pouch unpack --json` prints where a delta's bases are lacking")
        })?;
        held.remove(&need);
    }
    Ok(held)
}

/// A receipt with what lies beside it.
fn receipt(file: &Path, policy: Option<&PolicyChain>) -> Result<have::Have, Fail> {
    let read = |ending: &str, limit: u64| {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        let path = PathBuf::from(name);
        regular::small(&path, limit).map_err(|e| Fail::io(format!("cannot read {}", path.display()), e))
    };
    let statement = limits::STATEMENT as u64;
    let signed = Signed { text: read("", statement)?, signature: read(".sig", statement)? };
    let inventory = read(".inventory", limits::INVENTORY)?;
    have::read(&signed, &inventory, policy.map(PolicyChain::policy)).map_err(|e| {
        let fail = Fail::new(e.class(), format!("{}: {e}", file.display()));
        match e.hint() {
            Some(hint) => fail.hint(hint),
            None => fail,
        }
    })
}

/// Whose word the amended release is: the seal of one whom the policy lets seal, or nobody's.
pub fn vouched(path: &Path, old: &Opened, policy: Option<&PolicyChain>, common: &Common) -> Result<String, Fail> {
    let release = old.ids().release;
    let Some(policy) = policy else {
        return Ok(format!(
            "{}: no policy was given to verify the seal of release {release}; compare this id with what was approved",
            path.display()
        ));
    };
    let outside = trusting::outside_only(path, &[], common)?;
    let vouched = scan::vouch(medium(path)?, &outside, policy, keys::now())?;
    if vouched.ids().release != release {
        return Err(Fail::io(
            format!("{} changed", path.display()),
            std::io::Error::other("it is another release now"),
        ));
    }
    Ok(format!("{}: release {release} was sealed by {}", path.display(), vouched.trust.sealed().owner))
}

/// The policies that travel inside, each with its signatures.
pub fn chain(args: &Pack) -> Result<Chain, Fail> {
    args.policy.iter().map(|path| policy::read(path)).collect()
}
