//! A *number* of a patch is written in groups of seven bits, the lowest first; all groups but the last have bit 7 set.
//!
//! There is one way to write each: the last group is not 0 unless it is the only one. Specified in `spec/patch.md`, P4.

/// A length as a number.
pub fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Appends `n`, which is below 2^63.
pub fn put(out: &mut Vec<u8>, mut n: u64) {
    loop {
        let [group, ..] = (n & 0x7f).to_le_bytes();
        n >>= 7;
        if n == 0 {
            return out.push(group);
        }
        out.push(group | 0x80);
    }
}

/// Appends `n`, which is at least -2^62 and below 2^62: twice `n`, or if it is negative twice its size less one.
pub fn put_signed(out: &mut Vec<u8>, n: i64) {
    put(out, (n.wrapping_shl(1) ^ (n >> 63)).cast_unsigned());
}

/// Takes a number below 2^63 from the front of `from`, or `None` where there is none or it is not in its one form.
pub fn take(from: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    let mut shift = 0u32;
    loop {
        let (&group, rest) = from.split_first()?;
        *from = rest;
        n |= u64::from(group & 0x7f) << shift;
        if group & 0x80 == 0 {
            return (group != 0 || shift == 0).then_some(n);
        }
        shift = shift.checked_add(7).filter(|s| *s < 63)?;
    }
}

/// Takes what [`put_signed`] wrote.
pub fn take_signed(from: &mut &[u8]) -> Option<i64> {
    let n = take(from)?;
    let half = (n >> 1).cast_signed();
    Some(if n & 1 == 0 { half } else { !half })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(n in 0..1u64 << 63, s in -(1i64 << 62)..1i64 << 62) {
            let mut out = Vec::new();
            put(&mut out, n);
            put_signed(&mut out, s);
            let mut from = out.as_slice();
            prop_assert_eq!(take(&mut from), Some(n));
            prop_assert_eq!(take_signed(&mut from), Some(s));
            prop_assert!(from.is_empty());
        }
    }

    #[test]
    fn one_form_only() {
        for (bytes, expect) in [
            (&[0u8][..], Some(0)),
            (&[0x7f], Some(127)),
            (&[0x80, 1], Some(128)),
            (&[], None),
            (&[0x80], None),
            (&[0x80, 0], None),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], Some((1 << 63) - 1)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], None),
        ] {
            assert_eq!(take(&mut &*bytes), expect, "{bytes:?}");
        }
    }
}
