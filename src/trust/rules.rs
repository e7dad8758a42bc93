//! The *rules* of a policy are what keeps it from contradicting itself and from asking for what nobody can give.
//!
//! They look at the terms alone, not at signatures. Specified in `spec/trust.md`, section "Rules of a policy".

use super::policy::{Group, Member, PolicyError, PolicyTerms, Quorum, RESERVED_GROUPS, Role};
use super::text::is_name;
use std::collections::{BTreeMap, BTreeSet};

type Rule = Result<(), PolicyError>;

fn refuse(why: String) -> PolicyError {
    PolicyError::Rule(why)
}

/// Checks all rules; gives what every key may do.
pub(super) fn check(t: &PolicyTerms) -> Result<BTreeMap<Vec<u8>, Role>, PolicyError> {
    history(t)?;
    if t.algorithms.is_empty() {
        return Err(refuse("it allows no kind of key".into()));
    }
    if t.streams.is_empty() {
        return Err(refuse("it has no stream".into()));
    }
    let mut roles = Roles { terms: t, keys: BTreeMap::new(), folded: BTreeMap::new() };
    roles.list("the admins", &t.admins.members, |r| r.admin = true)?;
    for group in &t.groups {
        roles.group(group)?;
    }
    for stream in &t.streams {
        if !is_name(&stream.name) {
            return Err(refuse(format!("{:?} cannot be a stream's name", stream.name)));
        }
        let what = format!("the sealers of stream {}", stream.name);
        roles.list(&what, &stream.sealers, |r| _ = r.seals.insert(stream.name.clone()))?;
        if stream.sealers.is_empty() {
            return Err(refuse(format!("nobody seals for stream {}", stream.name)));
        }
    }
    roles.list("the sites", &t.sites, |r| r.site = true)?;
    roles.sites_apart()?;
    let keys = roles.keys;
    quorums(t)?;
    Ok(keys)
}

/// Version 1 has no predecessor, every other has.
fn history(t: &PolicyTerms) -> Rule {
    match (t.version, t.previous) {
        (0, _) => Err(refuse("versions count from 1".into())),
        (1, Some(_)) => Err(refuse("version 1 has no previous policy".into())),
        (1, None) | (_, Some(_)) => Ok(()),
        (n, None) => Err(refuse(format!("version {n} does not name the policy before it"))),
    }
}

struct Roles<'a> {
    terms: &'a PolicyTerms,
    keys: BTreeMap<Vec<u8>, Role>,
    /// Owners by their names in lower case.
    folded: BTreeMap<String, String>,
}

impl Roles<'_> {
    fn list(&mut self, what: &str, members: &[Member], grant: impl Fn(&mut Role)) -> Rule {
        let mut seen = BTreeSet::new();
        for member in members {
            if !is_name(&member.owner) {
                return Err(refuse(format!("{:?} cannot be an owner's name", member.owner)));
            }
            if member.keys.is_empty() {
                return Err(refuse(format!("{} has no key among {what}", member.owner)));
            }
            if !seen.insert(&member.owner) {
                return Err(refuse(format!("{} stands twice among {what}", member.owner)));
            }
            let known = self.folded.entry(member.owner.to_ascii_lowercase()).or_insert_with(|| member.owner.clone());
            if *known != member.owner {
                return Err(refuse(format!("the owners {known} and {} differ only in case", member.owner)));
            }
            let mut keys = BTreeSet::new();
            for key in &member.keys {
                if !keys.insert(key.blob()) {
                    return Err(refuse(format!("{} has the same key twice among {what}", member.owner)));
                }
                self.allowed(key, &member.owner)?;
                let role = self.keys.entry(key.blob().to_vec()).or_insert_with(|| Role {
                    key: key.clone(),
                    owner: member.owner.clone(),
                    admin: false,
                    group: None,
                    seals: BTreeSet::new(),
                    site: false,
                });
                if role.owner != member.owner {
                    return Err(refuse(format!("{} and {} have the same key", role.owner, member.owner)));
                }
                grant(role);
            }
        }
        Ok(())
    }

    fn allowed(&self, key: &super::key::PublicKey, owner: &str) -> Rule {
        if !self.terms.algorithms.contains(&key.kind()) {
            return Err(refuse(format!("{owner}'s key is of kind {}, which it does not allow", key.kind().name())));
        }
        match key.application() {
            Some(a) if !self.terms.applications.iter().any(|known| known == a) => {
                Err(refuse(format!("{owner}'s key is for the application {a:?}, which it does not allow")))
            }
            _ => Ok(()),
        }
    }

    fn group(&mut self, group: &Group) -> Rule {
        let name = &group.name;
        if !is_name(name) {
            return Err(refuse(format!("{name:?} cannot be a group's name")));
        }
        if RESERVED_GROUPS.contains(&name.as_str()) {
            return Err(refuse(format!("no group can be called {name}")));
        }
        for other in &self.terms.groups {
            let both = |m: &&Member| other.quorum.members.iter().any(|o| o.owner == m.owner);
            if other.name != *name
                && let Some(member) = group.quorum.members.iter().find(both)
            {
                return Err(refuse(format!("{} is in the groups {} and {name}", member.owner, other.name)));
            }
            if other.name != *name && other.name.eq_ignore_ascii_case(name) {
                return Err(refuse(format!("the groups {} and {name} differ only in case", other.name)));
            }
        }
        self.list(&format!("group {name}"), &group.quorum.members, |r| r.group = Some(name.clone()))
    }

    /// A site's key does nothing but receipts: it lies on a machine that nobody watches.
    fn sites_apart(&self) -> Rule {
        for role in self.keys.values() {
            if role.site && (role.admin || role.group.is_some() || !role.seals.is_empty()) {
                return Err(refuse(format!("the key of site {} has another role too", role.owner)));
            }
        }
        Ok(())
    }
}

/// Every threshold can be reached, by owners with a key that is not revoked, and by others than the stream's sealers.
fn quorums(t: &PolicyTerms) -> Rule {
    for member in &t.admins.members {
        if let Some(key) = member.keys.iter().find(|k| revoked(t, k)) {
            return Err(refuse(format!("{}'s key {} is revoked and cannot be an admin's", member.owner, key.key_id())));
        }
    }
    reach(t, "the admins", &t.admins, &BTreeSet::new())?;
    for group in &t.groups {
        reach(t, &format!("group {}", group.name), &group.quorum, &BTreeSet::new())?;
    }
    for stream in &t.streams {
        let sealers: BTreeSet<&str> = stream.sealers.iter().map(|m| m.owner.as_str()).collect();
        for name in &stream.requires {
            let Some(group) = t.groups.iter().find(|g| g.name == *name) else {
                return Err(refuse(format!("stream {} requires the group {name}, which is not there", stream.name)));
            };
            reach(t, &format!("group {name} for stream {}", stream.name), &group.quorum, &sealers)?;
        }
    }
    Ok(())
}

fn reach(t: &PolicyTerms, what: &str, quorum: &Quorum, sealers: &BTreeSet<&str>) -> Rule {
    if quorum.threshold == 0 {
        return Err(refuse(format!("the threshold of {what} is 0")));
    }
    let counts = |m: &&Member| !sealers.contains(m.owner.as_str()) && m.keys.iter().any(|k| !revoked(t, k));
    let owners = quorum.members.iter().filter(counts).count();
    if u64::try_from(owners).is_ok_and(|n| n >= quorum.threshold) {
        return Ok(());
    }
    Err(refuse(format!(
        "{what} must be {} owners, and only {owners} can count (sealers and owners of revoked keys do not)",
        quorum.threshold
    )))
}

fn revoked(t: &PolicyTerms, key: &super::key::PublicKey) -> bool {
    let fingerprint = key.fingerprint();
    t.revoked_keys.iter().any(|r| r.key == fingerprint)
}
