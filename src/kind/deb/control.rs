//! A *control paragraph* is the text in which Debian's tools describe a package: fields of a name, a colon and a value,
//! whose further lines begin with a space or tab.
//!
//! It knows the form and the grammar of three fields, not the meaning of the others. See deb-control(5) and Debian
//! Policy, sections 5.1 and 5.6.

use super::KindError;

/// The fields of a paragraph in their order: name, and value. A value is its first line without the spaces around it,
/// and its further lines verbatim, each with the newline before it.
pub type Fields = Vec<(String, String)>;

/// Parses a text of exactly one paragraph, strictly: UTF-8, no control characters, no comments, no field twice, a newline
/// at the end (dpkg asks for one). Empty lines at the end are accepted. `what` names the text in errors.
pub fn parse(what: &'static str, text: &[u8]) -> Result<Fields, KindError> {
    let bad = |line: usize, why: &str| KindError::malformed(what, format!("line {line}: {why}"));
    let text = std::str::from_utf8(text).map_err(|e| bad(line_at(text, e.valid_up_to()), "it is not UTF-8"))?;
    let Some(body) = text.strip_suffix('\n') else { return Err(bad(line_count(text), "it does not end in a newline")) };
    let body = body.trim_end_matches('\n');
    let mut fields: Fields = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (n, line) in (1usize..).zip(body.split('\n')) {
        if let Some(c) = line.chars().find(|c| c.is_control() && *c != '\t') {
            let why = if c == '\r' {
                "it has a carriage return; lines end in a newline alone"
            } else {
                "it has a control character"
            };
            return Err(bad(n, why));
        }
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut().ok_or_else(|| bad(n, "it continues no field"))?;
            if line.trim_matches([' ', '\t']).is_empty() {
                return Err(bad(n, "it is blank within a field"));
            }
            value.push('\n');
            value.push_str(line);
            continue;
        }
        if line.is_empty() {
            return Err(bad(n, "it is empty, and only one paragraph may be here"));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad(n, "it has no colon"))?;
        if !is_field_name(name) {
            return Err(bad(n, "it does not begin with the name of a field"));
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(bad(n, &format!("the field {name} is there twice")));
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok(fields)
}

fn line_at(text: &[u8], at: usize) -> usize {
    text.iter().take(at).filter(|b| **b == b'\n').count().saturating_add(1)
}

fn line_count(text: &str) -> usize {
    line_at(text.as_bytes(), text.len())
}

/// Policy 5.1: printable US-ASCII without space and colon, not beginning with `#` or `-`. At most 100 bytes.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 100 && !name.starts_with(['#', '-']) && name.bytes().all(|b| b.is_ascii_graphic())
}

/// The value of the field `name`, whose case does not matter.
pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

/// Policy 5.6.7: two or more of `a-z 0-9 + - .`, beginning with a letter or digit.
pub fn is_package_name(text: &str) -> bool {
    text.len() >= 2
        && text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
}

/// Policy 5.6.8: an architecture of a binary package, `all` among them; `any`, `source` and wildcards are not.
pub fn is_architecture(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && !matches!(text, "any" | "source")
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with("any-")
        && !text.ends_with("-any")
}

/// Policy 5.6.12: `[epoch:]upstream[-revision]`; the upstream version begins with a digit, as dpkg asks.
pub fn is_version(text: &str) -> bool {
    let (epoch, rest) = match text.split_once(':') {
        Some((e, rest)) => (Some(e), rest),
        None => (None, text),
    };
    let epoch_ok = epoch.is_none_or(|e| {
        !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit()) && e.parse::<u32>().is_ok_and(|n| n <= 0x7fff_ffff)
    });
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((u, r)) => (u, Some(r)),
        None => (rest, None),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+.~".contains(&b);
    let upstream_ok = upstream.starts_with(|c: char| c.is_ascii_digit())
        && upstream.bytes().all(|b| plain(b) || b == b'-' || (b == b':' && epoch.is_some()));
    let revision_ok = revision.is_none_or(|r| !r.is_empty() && r.bytes().all(plain));
    text.len() <= 255 && epoch_ok && upstream_ok && revision_ok
}
