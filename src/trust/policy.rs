//! A *policy* says who administers, seals and approves for a stream, and how many of them it takes.
//!
//! It is a text of admins; whether they signed it is `chain`'s to say, and counting is `verify`'s. Specified in
//! `spec/trust.md`, section "Policies".

use super::key::{self, Fingerprint, KeyError, KeyKind, PublicKey};
use super::sshsig::TokenRules;
use super::statement::Place;
use super::text::{self, Lines, Page, TextError};
use crate::class::{Class, Classified};
use crate::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// The application that tokens' keys are made for unless `ssh-keygen -O application=` says otherwise.
pub const SSH_APPLICATION: &str = "ssh:";
/// Group names that mean something else in a rejection.
pub const RESERVED_GROUPS: [&str; 2] = ["admins", "sealers"];

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Its text is not in the form of a policy.
    #[error("the policy is not in form: {0}")]
    Text(TextError),
    /// It contradicts itself or could never be met.
    #[error("the policy is refused: {0}")]
    Rule(String),
}

impl From<TextError> for PolicyError {
    fn from(e: TextError) -> PolicyError {
        PolicyError::Text(e)
    }
}

impl Classified for PolicyError {
    fn class(&self) -> Class {
        match self {
            PolicyError::Text(_) => Class::Damaged,
            PolicyError::Rule(_) => Class::Usage,
        }
    }
}

/// An owner with the keys of one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The owner: a person, or a site.
    pub owner: String,
    /// Its keys in this role, at least one.
    pub keys: Vec<PublicKey>,
}

impl Member {
    /// An owner with all keys of a `.pub` file.
    pub fn from_file(owner: &str, file: &[u8]) -> Result<Member, KeyError> {
        Ok(Member { owner: owner.into(), keys: PublicKey::parse_all(file)? })
    }

    fn parse(text: &str) -> Option<Member> {
        let (owner, keys) = text.split_once(" = ")?;
        let key = |t: &str| t.split_once(' ').and_then(|(kind, rest)| PublicKey::from_words(kind, rest).ok());
        Some(Member { owner: text::name(owner)?, keys: keys.split(", ").map(key).collect::<Option<_>>()? })
    }

    fn render(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(PublicKey::openssh).collect();
        format!("{} = {}", self.owner, keys.join(", "))
    }
}

/// Owners of whom so many must agree.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Quorum {
    /// How many distinct owners.
    pub threshold: u64,
    /// The owners, sorted by name.
    pub members: Vec<Member>,
}

impl Quorum {
    fn parse(l: &mut Lines<'_>, threshold: (u64, u64)) -> Result<Quorum, TextError> {
        let members = l.get_all("member", Member::parse, |m| m.owner.clone())?;
        if u64::try_from(members.len()) != Ok(threshold.1) {
            return Err(l.error(format!("{} members were announced, {} follow", threshold.1, members.len())));
        }
        Ok(Quorum { threshold: threshold.0, members })
    }

    fn put(&self, page: &mut Page, key: &str, name: &str) {
        page.line(key, format_args!("{name}{} of {}", self.threshold, self.members.len()));
        page.all("member", self.members.iter().map(Member::render));
    }
}

/// A group of approvers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Who is in it and how many of them must agree.
    pub quorum: Quorum,
}

/// What to do with a release that is older than the newest one seen and not on the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Older {
    /// Refuse it.
    #[default]
    Refuse,
    /// Let it add what it has, without becoming the latest.
    Add,
}

/// What holds for one stream.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// The groups that must approve, sorted; none if a seal is enough.
    pub requires: Vec<String>,
    /// How far the sequence may jump at once; any distance if absent.
    pub max_gap: Option<u64>,
    /// Nothing below this place is accepted; an epoch that it names needs no permit.
    pub floor: Option<Place>,
    /// What to do with older releases.
    pub older: Older,
    /// Who seals, sorted by owner.
    pub sealers: Vec<Member>,
}

/// A key that is called back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct RevokedKey {
    /// The key.
    pub key: Fingerprint,
    /// Releases for which its signatures still count, sorted.
    pub except: Vec<Digest>,
}

/// What a policy says. Fill it in and give it to [`Policy::new`], which sorts lists and checks all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTerms {
    /// Its number, from 1.
    pub version: u64,
    /// Digest of the policy before it; absent in version 1 only.
    pub previous: Option<Digest>,
    /// When it was made: Unix seconds.
    pub issued: i64,
    /// The kinds of key that may stand in it.
    pub algorithms: Vec<KeyKind>,
    /// Whether tokens must have checked a PIN or fingerprint.
    pub pin: bool,
    /// The applications that tokens' keys may be made for.
    pub applications: Vec<String>,
    /// Who signs policies, permits and revocations.
    pub admins: Quorum,
    /// The groups of approvers.
    pub groups: Vec<Group>,
    /// The streams; at least one.
    pub streams: Vec<Stream>,
    /// The keys that sites sign receipts with; the owner is the site's name.
    pub sites: Vec<Member>,
    /// Keys that are called back.
    pub revoked_keys: Vec<RevokedKey>,
    /// Releases that are called back.
    pub revoked_releases: Vec<Digest>,
    /// Free words.
    pub comment: Option<String>,
}

impl Default for PolicyTerms {
    fn default() -> Self {
        PolicyTerms {
            version: 1,
            previous: None,
            issued: 0,
            algorithms: KeyKind::ALL.to_vec(),
            pin: false,
            applications: vec![SSH_APPLICATION.into()],
            admins: Quorum::default(),
            groups: Vec::new(),
            streams: Vec::new(),
            sites: Vec::new(),
            revoked_keys: Vec::new(),
            revoked_releases: Vec::new(),
            comment: None,
        }
    }
}

/// What a key may do under a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The key.
    pub key: PublicKey,
    /// Whose it is.
    pub owner: String,
    /// Whether it signs policies, permits and revocations.
    pub admin: bool,
    /// The group it approves for.
    pub group: Option<String>,
    /// The streams it seals for.
    pub seals: BTreeSet<String>,
    /// Whether it signs a site's receipts.
    pub site: bool,
}

/// A policy whose text is in form and whose rules can be met. Not proof that its admins signed it: see `chain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    terms: PolicyTerms,
    text: String,
    digest: Digest,
    roles: BTreeMap<Vec<u8>, Role>,
}

impl Policy {
    /// The policy of these terms.
    pub fn new(mut terms: PolicyTerms) -> Result<Policy, PolicyError> {
        sort(&mut terms);
        // First the rules, whose words fit whoever writes a policy; then what cannot be read back is refused, too, before
        // anybody signs it.
        super::rules::check(&terms)?;
        Policy::parse(render(&terms).as_bytes())
    }

    /// Reads a policy's text, all of it; [`Policy::text`] gives the same bytes again.
    pub fn parse(bytes: &[u8]) -> Result<Policy, PolicyError> {
        let terms = parse(bytes)?;
        let text = render(&terms);
        text::same(&text, bytes)?;
        let roles = super::rules::check(&terms)?;
        Ok(Policy { terms, digest: Digest::of(bytes), text, roles })
    }

    /// What it says.
    pub fn terms(&self) -> &PolicyTerms {
        &self.terms
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of its text: what `sha256sum POLICY` shows and people confirm.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What holds for a stream.
    pub fn stream(&self, name: &str) -> Option<&Stream> {
        self.terms.streams.iter().find(|s| s.name == name)
    }

    /// A group.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.terms.groups.iter().find(|g| g.name == name)
    }

    /// What the key of that binary form may do; `None` for keys that the policy does not name.
    pub fn role(&self, key_blob: &[u8]) -> Option<&Role> {
        self.roles.get(key_blob)
    }

    /// All keys with what they may do.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }

    /// What it asks of tokens.
    pub fn token_rules(&self) -> TokenRules<'_> {
        TokenRules { applications: &self.terms.applications, pin: self.terms.pin }
    }
}

fn sort(terms: &mut PolicyTerms) {
    let members = |m: &mut Vec<Member>| m.sort_by(|a, b| a.owner.cmp(&b.owner));
    terms.algorithms.sort_by_key(|k| k.name());
    terms.applications.sort();
    members(&mut terms.admins.members);
    terms.groups.sort_by(|a, b| a.name.cmp(&b.name));
    terms.groups.iter_mut().for_each(|g| members(&mut g.quorum.members));
    terms.streams.sort_by(|a, b| a.name.cmp(&b.name));
    for stream in &mut terms.streams {
        stream.requires.sort();
        members(&mut stream.sealers);
    }
    members(&mut terms.sites);
    terms.revoked_keys.sort();
    terms.revoked_keys.iter_mut().for_each(|r| r.except.sort());
    terms.revoked_releases.sort();
}

fn render(t: &PolicyTerms) -> String {
    let mut page = Page::new("policy");
    page.line("version", t.version);
    page.maybe("previous", t.previous);
    page.line("issued", text::show_time(t.issued));
    page.all("algorithm", t.algorithms.iter().map(|k| k.name()));
    page.line("pin", if t.pin { "required" } else { "not required" });
    page.all("application", &t.applications);
    t.admins.put(&mut page, "admins", "");
    for group in &t.groups {
        group.quorum.put(&mut page, "group", &format!("{}, ", group.name));
    }
    for s in &t.streams {
        page.line("stream", &s.name);
        page.all("requires", &s.requires);
        page.maybe("max-gap", s.max_gap);
        page.maybe("floor", s.floor);
        page.line("older", if s.older == Older::Add { "add" } else { "refuse" });
        page.all("sealer", s.sealers.iter().map(Member::render));
    }
    page.all("site", t.sites.iter().map(Member::render));
    for revoked in &t.revoked_keys {
        page.line("revoked-key", revoked.key);
        page.all("except", &revoked.except);
    }
    page.all("revoked-release", &t.revoked_releases);
    page.maybe("comment", t.comment.as_ref());
    page.end()
}

fn parse(bytes: &[u8]) -> Result<PolicyTerms, TextError> {
    let l = &mut Lines::new("policy", bytes)?;
    let terms = PolicyTerms {
        version: l.get("version", text::number)?,
        previous: l.get_maybe("previous", text::digest)?,
        issued: l.get("issued", text::parse_time)?,
        algorithms: l.get_all("algorithm", KeyKind::from_name, |k| k.name())?,
        pin: l.get("pin", |t| ["not required", "required"].iter().position(|p| *p == t).map(|n| n == 1))?,
        applications: l.get_all("application", |t| key::application(t.as_bytes()).ok(), |a| a.clone())?,
        admins: {
            let threshold = l.get("admins", parse_threshold)?;
            Quorum::parse(l, threshold)?
        },
        groups: parse_groups(l)?,
        streams: parse_streams(l)?,
        sites: l.get_all("site", Member::parse, |m| m.owner.clone())?,
        revoked_keys: parse_revoked(l)?,
        revoked_releases: l.get_all("revoked-release", text::digest, |d| *d)?,
        comment: l.get_maybe("comment", text::comment)?,
    };
    l.end()?;
    Ok(terms)
}

fn parse_threshold(t: &str) -> Option<(u64, u64)> {
    let (threshold, members) = t.split_once(" of ")?;
    Some((text::number(threshold)?, text::number(members)?))
}

fn parse_groups(l: &mut Lines<'_>) -> Result<Vec<Group>, TextError> {
    let mut groups: Vec<Group> = Vec::new();
    let head = |t: &str| {
        let (name, threshold) = t.split_once(", ")?;
        Some((text::name(name)?, parse_threshold(threshold)?))
    };
    while let Some((name, threshold)) = l.get_maybe("group", head)? {
        if groups.last().is_some_and(|g| g.name >= name) {
            return Err(l.error("groups are sorted, each once"));
        }
        groups.push(Group { name, quorum: Quorum::parse(l, threshold)? });
    }
    Ok(groups)
}

fn parse_streams(l: &mut Lines<'_>) -> Result<Vec<Stream>, TextError> {
    let mut streams: Vec<Stream> = Vec::new();
    while let Some(name) = l.get_maybe("stream", text::name)? {
        if streams.last().is_some_and(|s| s.name >= name) {
            return Err(l.error("streams are sorted, each once"));
        }
        streams.push(Stream {
            name,
            requires: l.get_all("requires", text::name, |g| g.clone())?,
            max_gap: l.get_maybe("max-gap", text::number)?,
            floor: l.get_maybe("floor", Place::parse)?,
            older: match l.need("older")? {
                "add" => Older::Add,
                "refuse" => Older::Refuse,
                _ => return Err(l.error("\"older\" is \"add\" or \"refuse\"")),
            },
            sealers: l.get_all("sealer", Member::parse, |m| m.owner.clone())?,
        });
    }
    Ok(streams)
}

fn parse_revoked(l: &mut Lines<'_>) -> Result<Vec<RevokedKey>, TextError> {
    let mut revoked: Vec<RevokedKey> = Vec::new();
    while let Some(key) = l.get_maybe("revoked-key", Fingerprint::parse)? {
        if revoked.last().is_some_and(|r| r.key >= key) {
            return Err(l.error("revoked keys are sorted, each once"));
        }
        revoked.push(RevokedKey { key, except: l.get_all("except", text::digest, |d| *d)? });
    }
    Ok(revoked)
}
