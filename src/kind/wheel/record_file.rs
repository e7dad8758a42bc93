//! *RECORD* is a wheel's own list of its files (PEP 376, PEP 427): CSV lines of path, hash and size.
//!
//! Only the paths are read: installers differ in whether they follow the list or the zip, so the two must name the same
//! files. Specified in `spec/facts.md`, section "wheel/1".

use crate::kind::KindError;
use crate::kind::zipfile::Member;
use std::collections::BTreeSet;

const WHAT: &str = "the wheel's RECORD";

/// Refuses a list that names other files than the zip has. Signatures of RECORD cannot be in it, folders need not be.
pub fn check(record: &[u8], folder: &str, members: &[Member]) -> Result<(), KindError> {
    let text = std::str::from_utf8(record).map_err(|_| KindError::malformed(WHAT, "it is not UTF-8"))?;
    let mut listed = BTreeSet::new();
    for line in text.lines().filter(|l| !l.is_empty()) {
        listed.insert(first_field(line)?);
    }
    let itself = format!("{folder}/RECORD");
    let free = [itself.clone(), format!("{itself}.jws"), format!("{itself}.p7s")];
    for member in members.iter().filter(|m| !m.name.ends_with('/')) {
        if !listed.remove(&member.name) && !free.contains(&member.name) {
            return Err(disagree(&member.name, "not listed"));
        }
    }
    match listed.first() {
        Some(name) if !free.contains(name) => Err(disagree("no such file", name)),
        _ => Ok(()),
    }
}

fn disagree(zip: &str, record: &str) -> KindError {
    KindError::Disagree { what: "the wheel's files and its RECORD", left: zip.into(), right: record.into() }
}

/// The first field of a line of CSV; a quoted one has its quotes doubled inside.
fn first_field(line: &str) -> Result<String, KindError> {
    let bad = || KindError::malformed(WHAT, format!("the line {line:?} is not path, hash and size"));
    let Some(quoted) = line.strip_prefix('"') else {
        return line.split_once(',').map(|(path, _)| path.to_owned()).ok_or_else(bad);
    };
    let mut out = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next().ok_or_else(bad)? {
            '"' => match chars.next() {
                Some('"') => out.push('"'),
                Some(',') => return Ok(out),
                _ => return Err(bad()),
            },
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_fields() {
        for (line, want) in
            [("a/b.py,sha256=x,1", "a/b.py"), ("\"a,b\",,", "a,b"), ("\"a\"\"b\",,", "a\"b"), (",,", "")]
        {
            assert_eq!(first_field(line).expect(line), want);
        }
        for bad in ["", "a", "\"a", "\"a\"b,", "\""] {
            assert!(first_field(bad).is_err(), "{bad:?}");
        }
    }
}
