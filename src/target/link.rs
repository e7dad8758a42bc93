//! A *link* is a relative URL reference (RFC 3986) from a rendered page to a file of the site.
//!
//! Specified in `spec/site.md`, section "Links".

use std::fmt::Write as _;

/// Percent-encodes a path: everything but RFC 3986's unreserved characters and `/`. That includes `+`, which some servers
/// take for a space, and `!`, which needs it nowhere but hurts nobody.
pub fn encode(path: &str) -> String {
    let mut out = String::new();
    for b in path.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(b)),
            // Writing to a String cannot fail.
            _ => _ = write!(out, "%{b:02X}"),
        }
    }
    out
}

/// Escapes text for HTML, between tags and in double-quoted attributes.
pub fn html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(encode("files/a+b 1!2%é~-._.whl"), "files/a%2Bb%201%212%25%C3%A9~-._.whl");
        assert_eq!(html("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
