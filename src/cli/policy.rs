//! `pouch policy`.

use super::args::{Policy as Command, PolicyNew};
use super::fail::{Fail, Outcome};
use super::keys::Signer;
use super::{Common, keys};
use pouch::class::{Class, Classified};
use pouch::fs::output::write_file;
use pouch::fs::pairs;
use pouch::op::policies;
use pouch::site::Site;
use pouch::site::init::PolicyFile;
use pouch::trust::chain::admins_who_signed;
use pouch::trust::policy::{Group, Member, PolicyTerms, Quorum, Stream};
use pouch::trust::{Policy, PolicyChain};
use std::path::{Path, PathBuf};

/// `pouch policy ...`.
pub fn run(command: Command, common: &Common) -> Outcome {
    match command {
        Command::New(args) => new(args, common),
        Command::Sign { policy, key } => {
            let parsed = parse(&policy)?;
            let file = sign(&policy, &parsed, &keys::from_args(&key)?)?;
            show(&policy, common)?;
            if !common.json {
                super::out(&format!("signature  {}\n", file.display()));
            }
            Ok(())
        }
        Command::Show { policy } => show(&policy, common),
        Command::Apply { policy, site } => apply(&policy, &site, common),
    }
}

/// Reads a policy with its signatures; enough of its admins must have signed.
pub fn read(path: &Path) -> Result<PolicyChain, Fail> {
    let signed = pairs::read_policy(path).map_err(|e| Fail::io(format!("cannot read {}", path.display()), e))?;
    if signed.is_empty() {
        parse(path)?;
        let text = format!("{} has no signature beside it ({}.KEYID.sig)", path.display(), path.display());
        return Err(Fail::new(Class::Distrusted, text).hint("its admins sign it with `pouch policy sign`"));
    }
    PolicyChain::start(&signed).map_err(|e| of(path, e))
}

fn parse(path: &Path) -> Result<Policy, Fail> {
    Policy::parse(&keys::read(path)?).map_err(|e| of(path, e))
}

/// An error with the name of the policy that it is about.
fn of(path: &Path, e: impl Classified) -> Fail {
    let hint = e.hint().unwrap_or_else(|| "ask its admins for the policy, and compare the digest they tell you".into());
    Fail::new(e.class(), format!("{}: {e}", path.display())).hint(hint)
}

fn new(args: PolicyNew, common: &Common) -> Outcome {
    let groups = args.group.iter().map(|g| group(g)).collect::<Result<Vec<_>, _>>()?;
    let stream = Stream {
        name: args.stream.clone(),
        requires: groups.iter().map(|g| g.name.clone()).collect(),
        sealers: members(&args.sealer)?,
        ..Stream::default()
    };
    let before = args.after.as_deref().map(parse).transpose()?;
    let terms = PolicyTerms {
        version: before.as_ref().map_or(1, |p| p.terms().version + 1),
        previous: before.as_ref().map(|p| p.digest()),
        issued: keys::now(),
        admins: quorum_of(&args.admin)?,
        groups,
        streams: vec![stream],
        ..PolicyTerms::default()
    };
    let policy = Policy::new(terms)?;
    let io = |e| Fail::io(format!("cannot write {}", args.output.display()), e);
    write_file(&args.output, policy.text().as_bytes(), 0o644).map_err(io)?;
    let admins = &policy.terms().admins;
    if let Some(key) = &args.with {
        sign(&args.output, &policy, &Signer::open(key, args.passphrase_file.as_deref())?)?;
    } else if admins.threshold > 0 && !common.json {
        super::out(&format!(
            "Now {} of its admins sign it: pouch policy sign {} --with KEY\n",
            admins.threshold,
            args.output.display()
        ));
    }
    show(&args.output, common)
}

/// Puts `POLICY.KEYID.sig` beside the policy.
fn sign(path: &Path, policy: &Policy, key: &Signer) -> Result<PathBuf, Fail> {
    if !policy.role(key.public().blob()).is_some_and(|r| r.admin) {
        return Err(Fail::usage(format!("the key {} is not one of the policy's admins", key.public().key_id())));
    }
    let signed = key.text(policy.text())?;
    let mut file = path.to_path_buf().into_os_string();
    file.push(format!(".{}.sig", key.public().key_id()));
    let file = PathBuf::from(file);
    let io = |e| Fail::io(format!("cannot write {}", file.display()), e);
    write_file(&file, &signed.signature, 0o644).map_err(io)?;
    Ok(file)
}

/// `K:OWNER=KEY.pub,...`, given once or in several parts.
fn quorum_of(texts: &[String]) -> Result<Quorum, Fail> {
    let mut out = Quorum::default();
    for text in texts {
        let (threshold, list) =
            text.split_once(':').ok_or_else(|| Fail::usage(format!("{text:?} is not K:OWNER=KEY.pub,...")))?;
        let k: u64 =
            threshold.parse().map_err(|_| Fail::usage(format!("{threshold:?} in {text:?} is not a number")))?;
        if out.threshold != 0 && out.threshold != k {
            return Err(Fail::usage("--admin is given with two different thresholds"));
        }
        out.threshold = k;
        let parts: Vec<String> = list.split(',').map(str::to_owned).collect();
        out.members.extend(members(&parts)?);
    }
    Ok(out)
}

fn group(text: &str) -> Result<Group, Fail> {
    let (name, rest) =
        text.split_once('=').ok_or_else(|| Fail::usage(format!("{text:?} is not NAME=K:OWNER=KEY.pub,...")))?;
    Ok(Group { name: name.into(), quorum: quorum_of(&[rest.to_owned()])? })
}

/// `OWNER=KEY.pub`, each; several keys of one owner are that owner's keys.
fn members(texts: &[String]) -> Result<Vec<Member>, Fail> {
    let mut out: Vec<Member> = Vec::new();
    for text in texts {
        let (owner, file) =
            text.split_once('=').ok_or_else(|| Fail::usage(format!("{text:?} is not OWNER=KEY.pub")))?;
        let member = Member::from_file(owner, &keys::read(Path::new(file))?)?;
        match out.iter_mut().find(|m| m.owner == owner) {
            Some(known) => known.keys.extend(member.keys),
            None => out.push(member),
        }
    }
    Ok(out)
}

#[derive(serde::Serialize)]
struct Shown {
    digest: String,
    version: u64,
    threshold: u64,
    signed_by: Vec<String>,
    complete: bool,
    text: String,
}

fn show(path: &Path, common: &Common) -> Outcome {
    let policy = parse(path)?;
    let signed = pairs::read_policy(path).map_err(|e| Fail::io(format!("cannot read {}", path.display()), e))?;
    let signers = admins_who_signed(&policy, &signed, &Default::default());
    let threshold = policy.terms().admins.threshold;
    let shown = Shown {
        digest: policy.digest().hex(),
        version: policy.terms().version,
        threshold,
        complete: signers.len() as u64 >= threshold,
        signed_by: signers.into_iter().collect(),
        text: policy.text().to_owned(),
    };
    common.report(&shown, |s| {
        let who = if s.signed_by.is_empty() { "nobody".into() } else { s.signed_by.join(", ") };
        let enough = if s.complete { "enough" } else { "not enough yet" };
        format!("{}\nsigned by  {who} ({enough}: {} needed)\ndigest     {}\n", s.text, s.threshold, s.digest)
    })
}

#[derive(serde::Serialize)]
struct Applied {
    version: u64,
    digest: String,
    changed: bool,
}

fn apply(path: &Path, site: &Path, common: &Common) -> Outcome {
    let signed = pairs::read_policy(path).map_err(|e| Fail::io(format!("cannot read {}", path.display()), e))?;
    let writer = Site::open(site)?.lock(keys::now())?;
    let current = policies::in_force(&writer)?;
    let have = Policy::parse(&keys::read(path)?)?;
    let mut report = Applied { version: have.terms().version, digest: have.digest().hex(), changed: false };
    if have.digest() != current.policy().digest() {
        let next = current.step(&signed, &policies::order_state(&writer)?)?;
        let bytes = policies::to_file(&next)?;
        writer.policy_put(PolicyFile { digest: next.policy().digest(), bytes: &bytes }, keys::now())?;
        report.changed = true;
    }
    common.report(&report, |r| {
        let what = if r.changed { "is now in force" } else { "was in force already" };
        format!("policy version {} {what}\ndigest  {}\n", r.version, r.digest)
    })
}
