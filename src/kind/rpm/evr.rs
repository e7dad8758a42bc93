//! An *EVR* is an rpm version: epoch, version, release.
//!
//! How texts are taken apart and compared, no more. Specified in `spec/facts.md`, section "rpm/1".

use std::cmp::Ordering;

/// Takes `[epoch:]version[-release]` apart; `None` where the epoch is not a number. An absent epoch is `0`.
pub fn split(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (epoch, rest) = match cut(text, b':') {
        Some((epoch, rest)) if is_number(epoch) => (epoch, rest),
        Some(([], rest)) => (b"0".as_slice(), rest),
        Some(_) => return None,
        None => (b"0".as_slice(), text),
    };
    match cut(rest, b'-') {
        Some((version, release)) => Some((epoch, version, release)),
        None => Some((epoch, rest, b"")),
    }
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = text.splitn(2, |b| *b == at);
    Some((parts.next()?, parts.next()?))
}

/// A number as C's `strtol` takes it: white space, a sign, digits.
fn is_number(text: &[u8]) -> bool {
    let start = text.iter().position(|b| !matches!(b, b' ' | 9..=13)).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or(&[]);
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// The order of two version texts: runs of digits by value, runs of letters by their bytes, digits above letters, the
/// longer above the shorter; `~` sorts below everything, even the end, and `^` above the end and below everything else.
pub fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        left = skip(left);
        right = skip(right);
        let (l, r) = (left.first().copied(), right.first().copied());
        match (l, r) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                left = left.get(1..).unwrap_or(&[]);
                right = right.get(1..).unwrap_or(&[]);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), _) => return Ordering::Less,
            (_, Some(b'^')) => return Ordering::Greater,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(l), Some(r)) if l.is_ascii_digit() != r.is_ascii_digit() => {
                return if l.is_ascii_digit() { Ordering::Greater } else { Ordering::Less };
            }
            _ => {}
        }
        let (a, b) = (run(left), run(right));
        left = left.get(a.len()..).unwrap_or(&[]);
        right = right.get(b.len()..).unwrap_or(&[]);
        let order = if l.is_some_and(|l| l.is_ascii_digit()) { by_value(a, b) } else { a.cmp(b) };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Without what only separates.
fn skip(text: &[u8]) -> &[u8] {
    let at = text.iter().position(|b| b.is_ascii_alphanumeric() || matches!(b, b'~' | b'^'));
    text.get(at.unwrap_or(text.len())..).unwrap_or(&[])
}

/// The digits or the letters that it begins with.
fn run(text: &[u8]) -> &[u8] {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let same = |b: &u8| if digits { b.is_ascii_digit() } else { b.is_ascii_alphabetic() };
    let end = text.iter().position(|b| !same(b)).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

fn by_value(left: &[u8], right: &[u8]) -> Ordering {
    let bare = |t| {
        let t: &[u8] = t;
        let zeros = t.iter().position(|b| *b != b'0').unwrap_or(t.len());
        t.get(zeros..).unwrap_or(&[])
    };
    let (left, right) = (bare(left), bare(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        let check = |text: &str, expect: Option<(&str, &str, &str)>| {
            let got = split(text.as_bytes());
            let expect = expect.map(|(e, v, r)| (e.as_bytes(), v.as_bytes(), r.as_bytes()));
            assert_eq!(got, expect, "{text}");
        };
        check("1.0", Some(("0", "1.0", "")));
        check("1.0-2", Some(("0", "1.0", "2")));
        check("7:1.0-2-3", Some(("7", "1.0", "2-3")));
        check(":1.0", Some(("0", "1.0", "")));
        check("-5:1", Some(("-5", "1", "")));
        check("abc:1", None);
        check("5x:1", None);
        check("+:1", None);
        check("", Some(("0", "", "")));
    }

    #[test]
    fn compares() {
        let check = |low: &str, high: &str| {
            assert_eq!(compare(low.as_bytes(), high.as_bytes()), Ordering::Less, "{low} {high}");
            assert_eq!(compare(high.as_bytes(), low.as_bytes()), Ordering::Greater, "{high} {low}");
        };
        for (low, high) in [
            ("1.0", "1.1"),
            ("2.9", "2.34"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0^git1"),
            ("1.0^git1", "1.0.1"),
            ("1.0~rc1^git1", "1.0"),
            ("a", "1"),
            ("1a", "1.1"),
            ("2.4", "2.34"),
            ("1.0", "1.0.1"),
            ("1.0", "1.0a"),
            ("99999999999999999999998", "99999999999999999999999"),
        ] {
            check(low, high);
        }
        for (one, other) in [("1.0", "1.0"), ("1.0", "1_0"), ("01", "1"), ("", ""), ("1.", "1")] {
            assert_eq!(compare(one.as_bytes(), other.as_bytes()), Ordering::Equal, "{one} {other}");
        }
    }
}
