//! *Armor* is the text around binary keys and signatures: a BEGIN line, base64 in lines of 70 columns, an END line.
//!
//! It does not know what is inside. Signatures are read strictly (one form for the same bytes); key files, which are the
//! user's own, may have other line ends. `spec/trust.md`, section "The SSHSIG profile".

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Columns of a base64 line, as OpenSSH writes them.
const COLUMNS: usize = 70;

/// Wraps `bytes`.
pub(crate) fn write(label: &str, bytes: &[u8]) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    let body = zeroize::Zeroizing::new(STANDARD.encode(bytes));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(COLUMNS));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// Unwraps exactly what [`write`] makes; `Err` says which rule is broken.
pub(crate) fn read_strict(label: &str, text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let bytes = read_lenient(label, text)?;
    if text.contains(&b'\r') {
        return Err("it has carriage returns; carry it in a way that leaves line ends alone");
    }
    if write(label, &bytes).as_bytes() != text {
        return Err("its armor is not as ssh-keygen writes it (lines of 70 columns, nothing before or after)");
    }
    Ok(bytes)
}

/// Unwraps armor whose lines may be of any length and end in CRLF.
pub(crate) fn read_lenient(label: &str, text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let body = text.trim().strip_prefix(&begin).ok_or("it does not begin with the right BEGIN line")?;
    let body = body.strip_suffix(&end).ok_or("it does not end with the right END line")?;
    let mut packed = zeroize::Zeroizing::new(String::with_capacity(body.len()));
    packed.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    STANDARD.decode(packed.as_bytes()).map_err(|_| "its base64 is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strict_means_one_form() {
        let good = write("X", &[7; 100]);
        assert_eq!(read_strict("X", good.as_bytes()), Ok(vec![7; 100]));
        for (name, bad) in [
            ("crlf", good.replace('\n', "\r\n")),
            ("junk after", format!("{good}x")),
            ("blank line after", format!("{good}\n")),
            ("blank line before", format!("\n{good}")),
            ("no last line end", good.trim_end().to_owned()),
            ("other label", good.replace("X-", "Y-")),
            ("one line", good.replacen("BwcH\nBwcH", "BwcHBwcH", 1).replace("cHBw\n", "cHBw")),
            ("bits in the padding", good.replace("Bw==", "Bx==")),
            ("no padding", good.replace("==", "")),
            ("space", good.replacen("BwcH", "BwcH ", 1)),
            ("empty", String::new()),
        ] {
            if bad != good {
                assert!(read_strict("X", bad.as_bytes()).is_err(), "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn back_and_forth(bytes: Vec<u8>) {
            prop_assert_eq!(read_strict("L", write("L", &bytes).as_bytes()), Ok(bytes));
        }
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = read_strict("L", &bytes);
        }
    }
}
