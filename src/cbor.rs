//! *CBOR* here is the deterministic subset of RFC 8949 (section 4.2.1) that pouch's metadata is written in: definite
//! lengths, shortest heads, map keys that are ascending unsigned integers, no tags, floats, negatives or `undefined`.
//!
//! It does not know what any structure means; `record!` and `tuple!` declare those, field by field, once for both
//! directions. Specified in `spec/bundle.md`, section "Deterministic CBOR".

pub use ciborium::value::Value;

/// Nesting allowed below the outermost item.
pub const MAX_DEPTH: usize = 16;
/// Items (heads) allowed in one document: bounds the memory of a decoded document.
pub const MAX_ITEMS: usize = 4_000_000;

/// Why bytes are not a document of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The bytes break the deterministic subset at offset `at`.
    #[error("not deterministic CBOR at byte {at}: {why}")]
    Form {
        /// Offset in the document.
        at: usize,
        /// Which rule is broken.
        why: &'static str,
    },
    /// An item has another type than its field.
    #[error("expected {0}")]
    Type(&'static str),
    /// A record lacks a key.
    #[error("{record} lacks key {key}")]
    Missing {
        /// The record's name.
        record: &'static str,
        /// The key that is not there.
        key: u64,
    },
    /// A record has a key that it does not know.
    #[error("{record} has the unknown key {key}")]
    UnknownKey {
        /// The record's name.
        record: &'static str,
        /// The key.
        key: u64,
    },
    /// A value is of the right type and not allowed.
    #[error("{0}")]
    Value(String),
}

/// A value with exactly one encoding.
pub trait Cbor: Sized {
    /// Towards bytes.
    fn to_value(&self) -> Value;
    /// Back from bytes.
    fn from_value(v: Value) -> Result<Self, CborError>;
    /// True where a record leaves the key out (only `Option::None`).
    fn is_absent(&self) -> bool {
        false
    }
    /// What a key that is left out stands for, where it may be.
    fn absent() -> Option<Self> {
        None
    }
}

/// The one encoding of `value`.
pub fn encode<T: Cbor>(value: &T) -> Vec<u8> {
    encode_value(&value.to_value())
}

/// Writes a value tree; its maps must already be in order.
pub fn encode_value(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a Vec cannot fail, and a tree of ours has no unencodable value.
    let done = ciborium::into_writer(value, &mut out);
    debug_assert!(done.is_ok());
    out
}

/// Decodes all of `bytes` as one document. The gate: the form is scanned first (bounding depth, items and memory), all
/// input must be consumed, and the result must encode to the same bytes again.
pub fn decode<T: Cbor>(bytes: &[u8]) -> Result<T, CborError> {
    let value = decode_value(bytes)?;
    let out = T::from_value(value)?;
    if encode(&out) != bytes {
        return Err(CborError::Form { at: 0, why: "the document does not encode to itself" });
    }
    Ok(out)
}

/// Decodes all of `bytes` as one item of the subset, of whatever type.
pub fn decode_value(bytes: &[u8]) -> Result<Value, CborError> {
    scan(bytes)?;
    ciborium::de::from_reader_with_recursion_limit(bytes, MAX_DEPTH + 2)
        .map_err(|_| CborError::Form { at: 0, why: "undecodable" })
}

/// Checks that all of `bytes` is one item of the subset, of whatever type, without decoding it.
pub fn check_form(bytes: &[u8]) -> Result<(), CborError> {
    scan(bytes)
}

/// Checks the form of one document without allocating for its content.
fn scan(bytes: &[u8]) -> Result<(), CborError> {
    // One frame an open container: items left, and for maps the last key seen (`None` before the first).
    struct Frame {
        left: u64,
        map: bool,
        key_next: bool,
        last: Option<u64>,
    }
    let mut stack: Vec<Frame> = Vec::new();
    let (mut at, mut items) = (0usize, 0usize);
    loop {
        let err = |why| CborError::Form { at, why };
        items += 1;
        if items > MAX_ITEMS {
            return Err(err("too many items"));
        }
        let first = *bytes.get(at).ok_or(err("truncated"))?;
        let (major, info) = (first >> 5, first & 31);
        let width = match info {
            0..=23 => 0usize,
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(err("an indefinite or reserved length")),
        };
        let raw = bytes.get(at + 1..at + 1 + width).ok_or(err("truncated"))?;
        let arg = match width {
            0 => u64::from(info),
            _ => raw.iter().fold(0u64, |a, b| a << 8 | u64::from(*b)),
        };
        let shortest = match width {
            1 => arg >= 24,
            2 => arg > 0xff,
            4 => arg > 0xffff,
            8 => arg > 0xffff_ffff,
            _ => true,
        };
        if major != 7 && !shortest {
            return Err(err("a head that is not the shortest"));
        }
        let mut next = at + 1 + width;
        if let Some(f) = stack.last_mut()
            && f.map
        {
            if f.key_next {
                if major != 0 {
                    return Err(err("a map key that is not an unsigned integer"));
                }
                if f.last.is_some_and(|l| l >= arg) {
                    return Err(err("map keys out of order or repeated"));
                }
                f.last = Some(arg);
            }
            f.key_next = !f.key_next;
        }
        let mut open: Option<Frame> = None;
        match major {
            0 => {}
            2 | 3 => {
                let end = usize::try_from(arg).ok().and_then(|n| next.checked_add(n));
                let body = end.and_then(|e| bytes.get(next..e)).ok_or(err("truncated"))?;
                if major == 3 && std::str::from_utf8(body).is_err() {
                    return Err(err("a text that is not UTF-8"));
                }
                next += body.len();
            }
            4 => open = Some(Frame { left: arg, map: false, key_next: false, last: None }),
            5 => {
                let left = arg.checked_mul(2).ok_or(err("truncated"))?;
                open = Some(Frame { left, map: true, key_next: true, last: None });
            }
            7 if width == 0 && matches!(arg, 20 | 21) => {}
            _ => return Err(err("a tag, float, negative or other simple value")),
        }
        at = next;
        if let Some(f) = stack.last_mut() {
            f.left -= 1; // never below zero: full frames are popped below before another item is read
        }
        if let Some(f) = open {
            if stack.len() >= MAX_DEPTH {
                return Err(CborError::Form { at, why: "nested too deeply" });
            }
            stack.push(f);
        }
        while stack.last().is_some_and(|f| f.left == 0) {
            stack.pop();
        }
        if stack.is_empty() {
            break;
        }
    }
    if at != bytes.len() {
        return Err(CborError::Form { at, why: "bytes after the end" });
    }
    Ok(())
}

impl Cbor for u64 {
    fn to_value(&self) -> Value {
        Value::Integer((*self).into())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        match v {
            Value::Integer(i) => u64::try_from(i).map_err(|_| CborError::Type("an unsigned integer")),
            _ => Err(CborError::Type("an unsigned integer")),
        }
    }
}

impl Cbor for u32 {
    fn to_value(&self) -> Value {
        Value::Integer((*self).into())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        u32::try_from(u64::from_value(v)?).map_err(|_| CborError::Type("an unsigned 32-bit integer"))
    }
}

impl Cbor for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        v.into_bool().map_err(|_| CborError::Type("a boolean"))
    }
}

impl Cbor for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        v.into_text().map_err(|_| CborError::Type("a text"))
    }
}

/// A byte string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Cbor for Bytes {
    fn to_value(&self) -> Value {
        Value::Bytes(self.0.clone())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        v.into_bytes().map(Bytes).map_err(|_| CborError::Type("a byte string"))
    }
}

impl<T: Cbor> Cbor for Vec<T> {
    fn to_value(&self) -> Value {
        Value::Array(self.iter().map(Cbor::to_value).collect())
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        let items = v.into_array().map_err(|_| CborError::Type("an array"))?;
        items.into_iter().map(T::from_value).collect()
    }
}

impl<A: Cbor, B: Cbor> Cbor for (A, B) {
    fn to_value(&self) -> Value {
        Value::Array(vec![self.0.to_value(), self.1.to_value()])
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        let items = v.into_array().map_err(|_| CborError::Type("an array of two"))?;
        let [a, b] = <[Value; 2]>::try_from(items).map_err(|_| CborError::Type("an array of two"))?;
        Ok((A::from_value(a)?, B::from_value(b)?))
    }
}

impl<T: Cbor> Cbor for Option<T> {
    fn to_value(&self) -> Value {
        match self {
            Some(t) => t.to_value(),
            None => Value::Null, // never written: records leave the key out
        }
    }
    fn from_value(v: Value) -> Result<Self, CborError> {
        T::from_value(v).map(Some)
    }
    fn is_absent(&self) -> bool {
        self.is_none()
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Declares a struct that is a CBOR map with small integer keys. Keys must be written in ascending order; an `Option`
/// field that is `None` is left out; every other key is required; no other key is accepted.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$fmeta:meta])* $key:literal => $field:ident : $ty:ty),* $(,)?
    }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$fmeta])* pub $field: $ty),* }
        impl $crate::cbor::Cbor for $name {
            fn to_value(&self) -> $crate::cbor::Value {
                #[allow(unused_mut)] // a record without fields
                let mut map = Vec::new();
                $(if !$crate::cbor::Cbor::is_absent(&self.$field) {
                    let key: u64 = $key;
                    map.push(($crate::cbor::Value::Integer(key.into()), $crate::cbor::Cbor::to_value(&self.$field)));
                })*
                $crate::cbor::Value::Map(map)
            }
            fn from_value(v: $crate::cbor::Value) -> Result<Self, $crate::cbor::CborError> {
                #[allow(unused_mut)] // a record without fields
                let mut fields = $crate::cbor::Fields::new(stringify!($name), v)?;
                let out = $name { $($field: fields.take($key)?),* };
                fields.finish()?;
                Ok(out)
            }
        }
    };
}
pub(crate) use record;

/// Makes an existing struct a CBOR array of its fields, in the order given.
macro_rules! tuple {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::cbor::Cbor for $name {
            fn to_value(&self) -> $crate::cbor::Value {
                $crate::cbor::Value::Array(vec![$($crate::cbor::Cbor::to_value(&self.$field)),*])
            }
            fn from_value(v: $crate::cbor::Value) -> Result<Self, $crate::cbor::CborError> {
                let items = v.into_array().map_err(|_| $crate::cbor::CborError::Type(concat!("an array (", stringify!($name), ")")))?;
                let mut items = items.into_iter();
                let out = $name { $($field: $crate::cbor::Cbor::from_value(
                    items.next().ok_or($crate::cbor::CborError::Type(concat!("a longer array (", stringify!($name), ")")))?)?),* };
                if items.next().is_some() {
                    return Err($crate::cbor::CborError::Type(concat!("a shorter array (", stringify!($name), ")")));
                }
                Ok(out)
            }
        }
    };
}
pub(crate) use tuple;

/// The fields of a map that is being decoded; see `record!`.
pub struct Fields {
    record: &'static str,
    items: std::iter::Peekable<std::vec::IntoIter<(Value, Value)>>,
}

impl Fields {
    /// Starts on a map.
    pub fn new(record: &'static str, v: Value) -> Result<Fields, CborError> {
        let items = v.into_map().map_err(|_| CborError::Type(record))?;
        Ok(Fields { record, items: items.into_iter().peekable() })
    }

    fn key(v: &Value) -> Option<u64> {
        v.as_integer().and_then(|i| u64::try_from(i).ok())
    }

    /// Takes the value of `key`; keys are asked for in ascending order, which is the order of the bytes.
    pub fn take<T: Cbor>(&mut self, key: u64) -> Result<T, CborError> {
        match self.items.next_if(|(k, _)| Fields::key(k) == Some(key)) {
            Some((_, v)) => T::from_value(v),
            None => T::absent().ok_or(CborError::Missing { record: self.record, key }),
        }
    }

    /// Refuses what was not taken.
    pub fn finish(mut self) -> Result<(), CborError> {
        match self.items.next() {
            None => Ok(()),
            Some((k, _)) => {
                Err(CborError::UnknownKey { record: self.record, key: Fields::key(&k).unwrap_or(u64::MAX) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    record! {
        /// Sample.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Sample {
            /// a
            0 => a: u64,
            /// b
            1 => b: Option<String>,
            /// c
            5 => c: Vec<(u64, bool)>,
        }
    }

    #[test]
    fn refuses_every_other_spelling() {
        let good = encode(&Sample { a: 1, b: None, c: vec![] });
        assert_eq!(good, [0xa2, 0x00, 0x01, 0x05, 0x80]);
        let bad: &[(&[u8], &str)] = &[
            (&[0xa2, 0x00, 0x01, 0x05, 0x80, 0x00], "trailing"),
            (&[0xa2, 0x05, 0x80, 0x00, 0x01], "order"),
            (&[0xa3, 0x00, 0x01, 0x00, 0x01, 0x05, 0x80], "repeated"),
            (&[0xa2, 0x00, 0x18, 0x01, 0x05, 0x80], "long head"),
            (&[0xbf, 0x00, 0x01, 0x05, 0x80, 0xff], "indefinite"),
            (&[0xa3, 0x00, 0x01, 0x05, 0x80, 0x06, 0x00], "unknown key"),
            (&[0xa1, 0x05, 0x80], "missing key"),
            (&[0xa2, 0x00, 0x20, 0x05, 0x80], "negative"),
            (&[0xa2, 0x00, 0xc0, 0x01, 0x05, 0x80], "tag"),
            (&[0xa2, 0x00, 0xf9, 0, 0, 0x05, 0x80], "float"),
            (&[0xa2, 0x00, 0xf6, 0x05, 0x80], "null"),
            (&[0xa2, 0x61, 0x30, 0x01, 0x05, 0x80], "text key"),
            (&[0xa2, 0x00, 0x01, 0x05], "truncated"),
            (&[], "empty"),
        ];
        for (bytes, what) in bad {
            assert!(decode::<Sample>(bytes).is_err(), "{what}");
        }
        assert!(decode::<Sample>(&good).is_ok());
    }

    #[test]
    fn bounds_depth_and_lengths() {
        assert!(decode_value(&[0x81; 100_000]).is_err());
        assert!(decode_value(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode_value(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode_value(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    proptest! {
        #[test]
        fn back_and_forth(a: u64, b: Option<String>, c: Vec<(u64, bool)>) {
            let s = Sample { a, b, c };
            prop_assert_eq!(decode::<Sample>(&encode(&s)), Ok(s));
        }

        #[test]
        fn what_is_accepted_encodes_to_itself(bytes: Vec<u8>) {
            if let Ok(v) = decode_value(&bytes) {
                prop_assert_eq!(encode_value(&v), bytes);
            }
        }
    }
}
