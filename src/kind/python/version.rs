//! A *version* is a release number of PEP 440 in any of its spellings.
//!
//! It knows no version specifiers (`>=1.0`). Specified in `spec/facts.md`, section "Python names and versions".

use std::cmp::Ordering;

/// Longest version that is parsed, in bytes.
const MAX: usize = 200;

/// A parsed version; equal where PEP 440 says so (`1.0` and `1.0.0`), ordered as PEP 440 orders.
#[derive(Clone, Debug)]
pub struct Version {
    epoch: Number,
    release: Vec<Number>,
    pre: Option<(Pre, Number)>,
    post: Option<Number>,
    dev: Option<Number>,
    local: Option<Vec<Segment>>,
}

/// A decimal number of any length, without leading zeros; zero is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Number(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pre {
    Alpha,
    Beta,
    Candidate,
}

/// A part of a local version; words sort before numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Word(String),
    Number(Number),
}

impl Number {
    fn new(digits: &str) -> Number {
        Number(digits.trim_start_matches('0').to_owned())
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl Version {
    /// Parses any spelling; `None` where it is not a version of PEP 440.
    pub fn parse(text: &str) -> Option<Version> {
        if text.len() > MAX {
            return None;
        }
        let lower = text.trim().to_ascii_lowercase();
        let (public, local) = match lower.split_once('+') {
            Some((public, local)) => (public, Some(segments(local)?)),
            None => (lower.as_str(), None),
        };
        let mut at = Scanner(public.strip_prefix('v').unwrap_or(public));
        let mut first = at.digits()?;
        let mut epoch = Number::new("");
        if at.eat("!") {
            epoch = Number::new(first);
            first = at.digits()?;
        }
        let mut release = vec![Number::new(first)];
        while let Some(next) = at.dotted() {
            release.push(Number::new(next));
        }
        let pre = at.pre();
        let post = at.post();
        let dev = at.word(&["dev"]);
        at.0.is_empty().then_some(Version { epoch, release, pre, post, dev, local })
    }

    /// The release without trailing zeros: they do not count.
    fn significant(&self) -> &[Number] {
        let keep = self.release.iter().rposition(|n| !n.0.is_empty()).map_or(0, |last| last.saturating_add(1));
        self.release.get(..keep).unwrap_or(&self.release)
    }

    /// A pre-release sorts before the release, and a development release without one before that.
    fn pre_key(&self) -> (u8, Option<&(Pre, Number)>) {
        match (&self.pre, &self.post, &self.dev) {
            (Some(pre), _, _) => (1, Some(pre)),
            (None, None, Some(_)) => (0, None),
            (None, _, _) => (2, None),
        }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let dev = |v: &Version| (v.dev.is_none(), v.dev.clone());
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| self.significant().cmp(other.significant()))
            .then_with(|| self.pre_key().cmp(&other.pre_key()))
            .then_with(|| self.post.cmp(&other.post))
            .then_with(|| dev(self).cmp(&dev(other)))
            .then_with(|| self.local.cmp(&other.local))
    }
}

fn segments(local: &str) -> Option<Vec<Segment>> {
    local
        .split(['.', '-', '_'])
        .map(|part| match part {
            "" => None,
            p if p.bytes().all(|b| b.is_ascii_digit()) => Some(Segment::Number(Number::new(p))),
            p if p.bytes().all(|b| b.is_ascii_alphanumeric()) => Some(Segment::Word(p.to_owned())),
            _ => None,
        })
        .collect()
}

/// What is left of a public version.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// One or more digits.
    fn digits(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        let len = self.0.len().saturating_sub(rest.len());
        let (digits, rest) = self.0.split_at_checked(len).filter(|(d, _)| !d.is_empty())?;
        self.0 = rest;
        Some(digits)
    }

    /// `.` and digits, or nothing at all.
    fn dotted(&mut self) -> Option<&'a str> {
        let mut ahead = Scanner(self.0.strip_prefix('.')?);
        let digits = ahead.digits()?;
        self.0 = ahead.0;
        Some(digits)
    }

    /// `[-_.]? word [-_.]? digits?` for the first word of the list that fits; the number is 0 where it is left out.
    fn word(&mut self, words: &[&str]) -> Option<Number> {
        let separators: &[char] = &['-', '_', '.'];
        let rest = self.0.strip_prefix(separators).unwrap_or(self.0);
        let rest = words.iter().find_map(|w| rest.strip_prefix(w))?;
        self.0 = rest;
        let mut ahead = Scanner(rest.strip_prefix(separators).unwrap_or(rest));
        match ahead.digits() {
            Some(digits) => {
                self.0 = ahead.0;
                Some(Number::new(digits))
            }
            None => Some(Number::new("")),
        }
    }

    fn pre(&mut self) -> Option<(Pre, Number)> {
        // Longer words first: `a` begins `alpha`, `c` does not begin `rc`.
        self.word(&["alpha", "a"])
            .map(|n| (Pre::Alpha, n))
            .or_else(|| self.word(&["beta", "b"]).map(|n| (Pre::Beta, n)))
            .or_else(|| self.word(&["preview", "pre", "rc", "c"]).map(|n| (Pre::Candidate, n)))
    }

    fn post(&mut self) -> Option<Number> {
        if let Some(rest) = self.0.strip_prefix('-') {
            let mut ahead = Scanner(rest);
            if let Some(digits) = ahead.digits() {
                self.0 = ahead.0;
                return Some(Number::new(digits));
            }
        }
        self.word(&["post", "rev", "r"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// PEP 440's own order, "Summary of permitted suffixes and relative ordering", and more of its kind.
    const ORDER: [&str; 24] = [
        "0.9",
        "1.0.dev1",
        "1.0a1.dev2",
        "1.0a1",
        "1.0a2.dev1",
        "1.0a2",
        "1.0a12",
        "1.0b1",
        "1.0rc1.dev1",
        "1.0rc1",
        "1.0rc2",
        "1.0",
        "1.0+abc.5",
        "1.0+abc.7",
        "1.0+5",
        "1.0.post1.dev1",
        "1.0.post1",
        "1.0.post2",
        "1.0.1",
        "1.1.dev1",
        "1.1",
        "10",
        "99999999999999999999999999999999",
        "1!0.1",
    ];

    #[test]
    fn order() {
        let parsed: Vec<Version> = ORDER.iter().map(|v| Version::parse(v).expect(v)).collect();
        for (i, a) in parsed.iter().enumerate() {
            for (j, b) in parsed.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{} {}", ORDER[i], ORDER[j]);
            }
        }
    }

    #[test]
    fn spellings() {
        for (a, b) in [
            ("1.0", "v1.0.0"),
            ("1.0ALPHA1", "1.0a1"),
            ("1.0-c.1", "1.0rc1"),
            ("1.0_pre1", "1.0rc1"),
            ("1.0-1", "1.0.post1"),
            ("1.0r4", "1.0-rev_4"),
            ("1.0a", "1.0a0"),
            ("1.0dev", "1.0.dev0"),
            ("01.002", "1.2"),
            ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
            ("0!1", "1"),
        ] {
            assert_eq!(Version::parse(a).expect(a), Version::parse(b).expect(b), "{a} {b}");
        }
        for bad in
            ["", "x", "1.", ".1", "1..2", "1.0+", "1.0+a..b", "1!", "1.0 1", "1.0a1b1", "1.0+a+b", "1.0é", "2004d"]
        {
            assert!(Version::parse(bad).is_none(), "{bad}");
        }
        assert!(Version::parse(&"1".repeat(1000)).is_none());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = Version::parse(&text);
        }

        #[test]
        fn generated_versions_parse(text in "([0-9]!)?[0-9]{1,3}(\\.[0-9]{1,2}){0,3}((a|b|rc)[0-9])?(\\.post[0-9])?(\\.dev[0-9])?(\\+[a-z0-9]{1,3})?") {
            prop_assert!(Version::parse(&text).is_some());
        }
    }
}
