//! The *wording* of statements: field by field, written and read back to the same bytes.
//!
//! It signs nothing. Specified in `spec/trust.md`, section "Statements".

use super::*;
use crate::trust::text::{Lines, Page};

impl Statement {
    /// Its text.
    pub fn render(&self) -> String {
        let mut page = Page::new(self.kind().name());
        let terms = self.terms();
        match self {
            Statement::Seal(s) => {
                page.line("release", s.identity.release);
                page.line("carriage", s.carriage);
                put_place(&mut page, &s.identity);
                put_claims(&mut page, &s.claims);
                page.maybe("policy", terms.policy);
                page.all("for-site", &terms.sites);
            }
            Statement::Approve(s) => {
                page.line("group", &s.group);
                page.line("release", s.identity.release);
                put_place(&mut page, &s.identity);
                put_claims(&mut page, &s.claims);
                page.maybe("policy", terms.policy);
                page.all("for-site", &terms.sites);
                put_evidence(&mut page, terms);
            }
            Statement::Reject(s) => {
                page.line("group", &s.group);
                page.line("release", s.identity.release);
                put_place(&mut page, &s.identity);
                put_evidence(&mut page, terms);
            }
            Statement::Permit(s) => {
                page.line("stream", &s.stream);
                page.line("from", s.from.map_or("none".into(), |d| d.hex()));
                page.line("to", s.to);
                page.line("epoch", s.place.epoch);
                page.line("sequence", s.place.sequence);
                page.all("for-site", &terms.sites);
            }
            Statement::Revoke(s) => match &s.what {
                Revoked::Key(key, except) => {
                    page.line("key", key);
                    page.all("except", except);
                }
                Revoked::Release(release) => page.line("release", release),
                Revoked::Statement(digest) => page.line("statement", digest),
            },
            Statement::Receipt(s) => {
                page.line("site", &s.site);
                for head in &s.heads {
                    page.line("stream", &head.stream);
                    page.line("latest", head.release);
                    page.line("epoch", head.place.epoch);
                    page.line("sequence", head.place.sequence);
                }
                page.line("ledger", s.ledger);
                page.line("inventory", s.inventory);
                page.line("blobs", format_args!("{}, {} bytes", s.blobs, s.bytes));
            }
        }
        page.line("issued", text::show_time(terms.issued));
        page.maybe("not-after", terms.not_after.map(text::show_time));
        page.maybe("comment", terms.comment.as_ref());
        page.end()
    }

    /// Reads a text of `kind`, all of it; `render` gives the same bytes again. Policies have their own reader.
    pub fn parse(kind: StatementKind, bytes: &[u8]) -> Result<Statement, TextError> {
        let l = &mut Lines::new(kind.name(), bytes)?;
        let statement = match kind {
            StatementKind::Seal => {
                let release = l.get("release", text::digest)?;
                let carriage = l.get("carriage", text::digest)?;
                let identity = get_place(l, release)?;
                let claims = get_claims(l)?;
                let terms = get_terms(l, &["policy", "for-site", "not-after"])?;
                Statement::Seal(Seal { identity, carriage, claims, terms })
            }
            StatementKind::Approve => {
                let group = l.get("group", text::name)?;
                let release = l.get("release", text::digest)?;
                let identity = get_place(l, release)?;
                let claims = get_claims(l)?;
                let terms = get_terms(l, &["policy", "for-site", "evidence", "not-after"])?;
                Statement::Approve(Approve { group, identity, claims, terms })
            }
            StatementKind::Reject => {
                let group = l.get("group", text::name)?;
                let release = l.get("release", text::digest)?;
                let identity = get_place(l, release)?;
                Statement::Reject(Reject { group, identity, terms: get_terms(l, &["evidence"])? })
            }
            StatementKind::Permit => {
                let stream = l.get("stream", text::name)?;
                let from = l.get("from", |t| if t == "none" { Some(None) } else { text::digest(t).map(Some) })?;
                let to = l.get("to", text::digest)?;
                let place = Place { epoch: l.get("epoch", text::number)?, sequence: l.get("sequence", text::number)? };
                Statement::Permit(Permit { stream, from, to, place, terms: get_terms(l, &["for-site", "not-after"])? })
            }
            StatementKind::Revoke => Statement::Revoke(Revoke { what: get_revoked(l)?, terms: get_terms(l, &[])? }),
            StatementKind::Receipt => {
                let (site, heads) = (l.get("site", text::name)?, get_heads(l)?);
                let (ledger, inventory) = (l.get("ledger", text::digest)?, l.get("inventory", text::digest)?);
                let (blobs, bytes) = l.get("blobs", |t| {
                    let (blobs, bytes) = t.strip_suffix(" bytes")?.split_once(", ")?;
                    Some((text::number(blobs)?, text::number(bytes)?))
                })?;
                let terms = get_terms(l, &[])?;
                Statement::Receipt(Receipt { site, heads, ledger, inventory, blobs, bytes, terms })
            }
            StatementKind::Policy => return Err(TextError::new(1, "a policy is not read as a statement")),
        };
        l.end()?;
        text::same(&statement.render(), bytes)?;
        Ok(statement)
    }
}

fn put_place(page: &mut Page, identity: &Identity) {
    page.line("stream", &identity.stream);
    page.line("epoch", identity.place.epoch);
    page.line("sequence", identity.place.sequence);
}

fn get_place(l: &mut Lines<'_>, release: Digest) -> Result<Identity, TextError> {
    let stream = l.get("stream", text::name)?;
    let place = Place { epoch: l.get("epoch", text::number)?, sequence: l.get("sequence", text::number)? };
    Ok(Identity { release, stream, place })
}

fn put_claims(page: &mut Page, claims: &Claims) {
    page.maybe("version", claims.version.as_ref());
    for c in &claims.content {
        page.line("content", format_args!("{} {}, {} bytes", c.artifacts, c.kind, c.bytes));
    }
    page.line("total", format_args!("{} artifacts, {} bytes", claims.artifacts(), claims.bytes));
    page.maybe("removed", claims.removed.map(|(n, place)| format!("{n} artifacts since {place}")));
}

fn get_claims(l: &mut Lines<'_>) -> Result<Claims, TextError> {
    let version = l.get_maybe("version", |t| text::is_free(t, 128).then(|| t.to_owned()))?;
    let content = l.get_all("content", parse_content, |c| c.kind.clone())?;
    let (artifacts, bytes) = l.get("total", |t| {
        let (artifacts, bytes) = t.strip_suffix(" bytes")?.split_once(" artifacts, ")?;
        Some((text::number(artifacts)?, text::number(bytes)?))
    })?;
    let removed = |t: &str| {
        let (n, place) = t.split_once(" artifacts since ")?;
        Some((text::number(n)?, Place::parse(place)?))
    };
    let sum = content.iter().try_fold(0u64, |sum, c| sum.checked_add(c.artifacts));
    if sum != Some(artifacts) {
        return Err(l.error("the total is not the sum of the artifacts above"));
    }
    Ok(Claims { version, content, bytes, removed: l.get_maybe("removed", removed)? })
}

fn parse_content(t: &str) -> Option<Content> {
    let (artifacts, rest) = t.strip_suffix(" bytes")?.split_once(' ')?;
    let (kind, bytes) = rest.split_once(", ")?;
    let named = kind.len() <= 32
        && kind.starts_with(|c: char| c.is_ascii_lowercase())
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    named.then_some(())?;
    Some(Content { kind: kind.into(), artifacts: text::number(artifacts)?, bytes: text::number(bytes)? })
}

fn put_evidence(page: &mut Page, terms: &Terms) {
    page.all("evidence", terms.evidence.iter().map(|e| format!("{} {}", e.digest, e.name)));
}

fn parse_evidence(t: &str) -> Option<Evidence> {
    let (digest, name) = t.split_once(' ')?;
    let name = text::is_free(name, 255).then(|| name.to_owned())?;
    Some(Evidence { digest: text::digest(digest)?, name })
}

/// Reads the fields that end a statement; those not in `also` are left to be refused as out of place.
fn get_terms(l: &mut Lines<'_>, also: &[&str]) -> Result<Terms, TextError> {
    let mut terms = Terms::default();
    if also.contains(&"policy") {
        terms.policy = l.get_maybe("policy", text::digest)?;
    }
    if also.contains(&"for-site") {
        terms.sites = l.get_all("for-site", text::name, |s| s.clone())?;
    }
    if also.contains(&"evidence") {
        terms.evidence = l.get_all("evidence", parse_evidence, |e| (e.digest, e.name.clone()))?;
    }
    terms.issued = l.get("issued", text::parse_time)?;
    if also.contains(&"not-after") {
        terms.not_after = l.get_maybe("not-after", text::parse_time)?;
        if terms.not_after.is_some_and(|end| end <= terms.issued) {
            return Err(l.error("it ends before it is issued"));
        }
    }
    terms.comment = l.get_maybe("comment", text::comment)?;
    Ok(terms)
}

fn get_revoked(l: &mut Lines<'_>) -> Result<Revoked, TextError> {
    if let Some(release) = l.get_maybe("release", text::digest)? {
        return Ok(Revoked::Release(release));
    }
    if let Some(statement) = l.get_maybe("statement", text::digest)? {
        return Ok(Revoked::Statement(statement));
    }
    let key = l.get("key", Fingerprint::parse)?;
    Ok(Revoked::Key(key, l.get_all("except", text::digest, |d| *d)?))
}

fn get_heads(l: &mut Lines<'_>) -> Result<Vec<Identity>, TextError> {
    let mut heads: Vec<Identity> = Vec::new();
    while let Some(stream) = l.get_maybe("stream", text::name)? {
        if heads.last().is_some_and(|h| h.stream >= stream) {
            return Err(l.error("streams are sorted, each once"));
        }
        let release = l.get("latest", text::digest)?;
        let place = Place { epoch: l.get("epoch", text::number)?, sequence: l.get("sequence", text::number)? };
        heads.push(Identity { release, stream, place });
    }
    Ok(heads)
}
