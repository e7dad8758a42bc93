//! The *statement area* holds the statements that travel inside a bundle: its seal and the policy chain.
//!
//! It frames bytes; what they say is the trust floor's. Specified in `spec/bundle.md`, section "Statement area".
//!
//! ```text
//! u32 count, then for each: u32 text_len, u32 signature_len, text, signature
//! ```

use super::FormatError;
use crate::limits;

const WHAT: &str = "the statement area";

/// A signed text: the bytes that people read, and the SSHSIG armor beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signed {
    /// The statement.
    pub text: Vec<u8>,
    /// Its signature.
    pub signature: Vec<u8>,
}

/// The area's bytes. Statements lie in the order given.
pub fn encode(statements: &[Signed]) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    out.extend_from_slice(&length(statements.len())?.to_be_bytes());
    for s in statements {
        for part in [&s.text, &s.signature] {
            if part.len() > limits::STATEMENT {
                let have = u64::from(length(part.len())?);
                return Err(FormatError::Limit { what: "a statement", have, limit: length(limits::STATEMENT)?.into() });
            }
        }
        out.extend_from_slice(&length(s.text.len())?.to_be_bytes());
        out.extend_from_slice(&length(s.signature.len())?.to_be_bytes());
        out.extend_from_slice(&s.text);
        out.extend_from_slice(&s.signature);
    }
    let have = length(out.len())?;
    if have > limits::STATEMENT_AREA {
        return Err(FormatError::Limit { what: WHAT, have: have.into(), limit: limits::STATEMENT_AREA.into() });
    }
    Ok(out)
}

/// Reads an area; every byte belongs to a statement.
pub fn decode(bytes: &[u8]) -> Result<Vec<Signed>, FormatError> {
    let (count, mut rest) = number(bytes)?;
    let mut out = Vec::new();
    for _ in 0..count {
        let (text_len, tail) = number(rest)?;
        let (signature_len, tail) = number(tail)?;
        for len in [text_len, signature_len] {
            if len > limits::STATEMENT {
                let have = u64::from(length(len)?);
                return Err(FormatError::Limit { what: "a statement", have, limit: length(limits::STATEMENT)?.into() });
            }
        }
        let (text, tail) = part(tail, text_len)?;
        let (signature, tail) = part(tail, signature_len)?;
        out.push(Signed { text: text.to_vec(), signature: signature.to_vec() });
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(FormatError::rule(WHAT, "bytes follow the last statement"));
    }
    Ok(out)
}

fn length(n: usize) -> Result<u32, FormatError> {
    u32::try_from(n).map_err(|_| FormatError::rule(WHAT, "a length does not fit 32 bits"))
}

fn number(bytes: &[u8]) -> Result<(usize, &[u8]), FormatError> {
    let short = FormatError::Truncated { what: WHAT, need: 4, have: bytes.len().try_into().unwrap_or(u64::MAX) };
    let (head, tail) = bytes.split_first_chunk::<4>().ok_or(short)?;
    let n = usize::try_from(u32::from_be_bytes(*head))
        .map_err(|_| FormatError::rule(WHAT, "a length does not fit this machine"))?;
    Ok((n, tail))
}

fn part(bytes: &[u8], len: usize) -> Result<(&[u8], &[u8]), FormatError> {
    bytes.split_at_checked(len).ok_or(FormatError::Truncated {
        what: WHAT,
        need: len.try_into().unwrap_or(u64::MAX),
        have: bytes.len().try_into().unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn back_and_forth(parts: Vec<(Vec<u8>, Vec<u8>)>) {
            let s: Vec<Signed> = parts.into_iter().map(|(text, signature)| Signed { text, signature }).collect();
            let bytes = encode(&s).expect("encodes");
            prop_assert_eq!(decode(&bytes), Ok(s));
        }

        #[test]
        fn what_decodes_encodes_to_itself(bytes: Vec<u8>) {
            if let Ok(s) = decode(&bytes) {
                prop_assert_eq!(encode(&s).expect("encodes"), bytes);
            }
        }
    }

    #[test]
    fn refuses() {
        for bad in [
            &[][..],
            &[0, 0, 0],
            &[0, 0, 0, 1],
            &[0, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0, 0, 0x40, 1, 0, 0, 0, 0],
            &[0xff; 12],
        ] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
    }
}
