//! Deterministic CBOR: section 4, in a root and in a section.

use super::Book;
use crate::forge::{Forge, Section, V, head, t};

/// Replaces the first occurrence of `from`.
fn swap_bytes(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let at = bytes.windows(from.len()).position(|w| w == from).expect("occurs");
    bytes.splice(at..at + from.len(), to.iter().copied());
}

/// Epoch, key 1 of the release root, as other bytes.
fn epoch(f: &mut Forge, raw: &[u8]) {
    let raw = raw.to_vec();
    f.release(move |r| r.set(1, V::Raw(raw)));
}

fn artifacts(f: &mut Forge, change: impl FnOnce(&mut Vec<u8>) + 'static) {
    f.sections(|s| {
        let mut plain = s[0].plain.clone();
        change(&mut plain);
        s[0].set_plain(plain);
    });
}

pub fn add(book: &mut Book) {
    book.damaged("cbor-root-trailing", "F8", "a byte after the release root's map", |f| f.release_bytes(|b| b.push(0)));
    book.damaged("cbor-root-cut-short", "F8", "the release root lacks its last byte", |f| {
        f.release_bytes(|b| b.truncate(b.len() - 1));
    });
    book.damaged("cbor-root-order", "F8", "keys 1 and 0 of the release root in this order", |f| {
        f.release(|r| {
            if let V::M(pairs) = r {
                pairs.swap(0, 1);
            }
        });
    });
    book.damaged("cbor-root-key-twice", "F8", "key 1 of the release root twice", |f| {
        f.release(|r| {
            if let V::M(pairs) = r {
                pairs.insert(2, pairs[1].clone());
            }
        });
    });
    book.damaged("cbor-root-key-text", "F8", "a key that is a text", |f| {
        f.release_bytes(|b| swap_bytes(b, b"\x01\x00\x02\x01", b"\x61\x01\x00\x02\x01"));
    });
    book.damaged("cbor-root-key-long", "F8", "key 1 in a head of two bytes", |f| {
        f.release_bytes(|b| swap_bytes(b, b"\x01\x00\x02\x01", b"\x18\x01\x00\x02\x01"));
    });
    let long: [(&str, &[u8]); 4] = [
        ("8", &[0x18, 0]),
        ("16", &[0x19, 0, 0]),
        ("32", &[0x1a, 0, 0, 0, 0]),
        ("64", &[0x1b, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (bits, raw) in long {
        let comment = format!("the epoch, 0, in a head of {bits} bits");
        book.damaged(&format!("cbor-root-head-{bits}"), "F8", &comment, |f| epoch(f, raw));
    }
    book.damaged("cbor-root-map-head", "F8", "the release root's map with a head of two bytes", |f| {
        f.release_bytes(|b| swap_bytes(b, b"\xa9", b"\xb8\x09"));
    });
    let others: [(&str, &[u8], &str); 12] = [
        ("negative", &[0x20], "the epoch is -1"),
        ("tag", &[0xc2, 0x41, 0], "the epoch is a bignum"),
        ("float", &[0xf9, 0, 0], "the epoch is 0.0"),
        ("null", &[0xf6], "the epoch is null"),
        ("undefined", &[0xf7], "the epoch is undefined"),
        ("simple", &[0xe0], "the epoch is simple value 0"),
        ("simple-long", &[0xf8, 0xff], "the epoch is simple value 255"),
        ("bool", &[0xf4], "the epoch is false: good CBOR of another type"),
        ("bytes", &[0x40], "the epoch is a byte string: good CBOR of another type"),
        ("reserved-head", &[0x1c], "the epoch has the reserved additional information 28"),
        ("length-huge", &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "a byte string of 2^64-1 bytes"),
        ("array-huge", &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "an array of 2^64-1 items"),
    ];
    for (name, raw, comment) in others {
        let rule = if comment.contains("good CBOR") { "F9" } else { "F8" };
        book.damaged(&format!("cbor-root-{name}"), rule, comment, |f| epoch(f, raw));
    }
    book.damaged("cbor-root-indefinite-map", "F8", "the release root is a map of indefinite length", |f| {
        f.release_bytes(|b| {
            b[0] = 0xbf;
            b.push(0xff);
        });
    });
    book.damaged("cbor-root-indefinite-text", "F8", "the stream is a text in pieces", |f| {
        f.release(|r| r.set(0, V::Raw(b"\x7f\x62de\x62mo\xff".to_vec())));
    });
    book.damaged("cbor-root-indefinite-array", "F8", "requires is an array of indefinite length", |f| {
        f.release(|r| r.set(8, V::Raw(b"\x9f\x66file/1\xff".to_vec())));
    });
    book.damaged("cbor-root-utf8", "F8", "the version is not UTF-8", |f| {
        f.release(|r| r.set(3, V::Raw(vec![0x62, 0xc3, 0x28])));
    });
    book.damaged("cbor-root-utf8-surrogate", "F8", "the version is a surrogate in UTF-8's form", |f| {
        f.release(|r| r.set(3, V::Raw(vec![0x63, 0xed, 0xa0, 0x80])));
    });
    book.damaged("cbor-root-deep", "F8", "an unknown key holds arrays nested to a level of 17", |f| {
        f.release(|r| r.set(10, V::Raw([&[0x81; 15][..], &[0x80]].concat())));
    });
    book.damaged("cbor-root-deep-huge", "F8", "an unknown key holds arrays nested 100,000 deep", |f| {
        f.release(|r| r.set(10, V::Raw([&[0x81; 100_000][..], &[0x80]].concat())));
    });
    book.damaged("cbor-carriage-trailing", "F8", "a byte after the carriage root's map", |f| {
        f.carriage_bytes(|b| b.push(0xf6));
    });
    book.damaged("cbor-carriage-head", "F8", "scratch, 0, in a head of two bytes", |f| {
        f.carriage(|r| r.set(5, V::Raw(vec![0x18, 0])));
    });
    book.damaged("cbor-section-trailing", "F8", "a byte after the array of artifacts", |f| artifacts(f, |b| b.push(0)));
    book.damaged("cbor-section-cut-short", "F8", "the array of artifacts lacks its last byte", |f| {
        artifacts(f, |b| b.truncate(b.len() - 1));
    });
    book.damaged("cbor-section-head", "F8", "a name with a head of two bytes", |f| {
        artifacts(f, |b| swap_bytes(b, b"\x01\x61a", b"\x01\x78\x01a"));
    });
    book.damaged("cbor-section-order", "F8", "keys 1 and 0 of an artifact in this order", |f| {
        f.rows(|rows| {
            if let V::M(pairs) = &mut rows[0] {
                pairs.swap(0, 1);
            }
        });
    });
    book.damaged("cbor-section-key-twice", "F8", "key 6 of an artifact twice", |f| {
        artifacts(f, |b| {
            swap_bytes(b, b"\x06\xf4", b"\x06\xf4\x06\xf4");
            b[1] += 1;
        });
    });
    book.damaged("cbor-section-indefinite", "F8", "the array of artifacts is of indefinite length", |f| {
        artifacts(f, |b| {
            b[0] = 0x9f;
            b.push(0xff);
        });
    });
    book.damaged("cbor-section-float", "F8", "a blob's number as a float", |f| {
        f.rows(|rows| rows[0].set(7, V::A(vec![V::Raw(vec![0xf9, 0x3c, 0])])));
    });
    book.damaged("cbor-section-null", "F8", "a version that is null instead of left out", |f| {
        f.rows(|rows| rows[0].set(2, V::Raw(vec![0xf6])));
    });
    book.damaged("cbor-section-utf8", "F8", "a name that is not UTF-8", |f| {
        f.rows(|rows| rows[0].set(1, V::Raw(vec![0x61, 0xff])));
    });
    book.damaged("cbor-recipes-head", "F8", "a count of chunks in a head of two bytes", |f| {
        f.recipes[0].items()[1].items()[0].items()[2] = V::Raw(vec![0x18, 1]);
    });
    book.damaged("cbor-facts-text", "F9", "facts in a text instead of a byte string", |f| f.facts[0] = t("x"));
    book.damaged("cbor-items", "F8", "an artifact whose blobs are 4,000,000 numbers, and so too many items", |f| {
        let mut raw = Vec::new();
        head(4, 4_000_000, &mut raw);
        raw.resize(raw.len() + 4_000_000, 0);
        f.rows(|rows| rows[0].set(7, V::Raw(raw)));
        f.sections(|s| s.iter_mut().take(1).for_each(Section::pack));
    });

    book.damaged("root-key-unknown", "F9", "the release root has a key 10", |f| f.release(|r| r.set(10, V::U(0))));
    book.damaged("root-key-missing", "F9", "the release root lacks its totals", |f| f.release(|r| r.remove(4)));
    book.damaged("root-total-key-unknown", "F9", "a total has a key 3", |f| {
        f.release(|r| r.at(4).items()[0].set(3, V::U(0)));
    });
    book.damaged("carriage-key-unknown", "F9", "the carriage root has a key 8, reserved for replay", |f| {
        f.carriage(|r| r.set(8, V::A(vec![])));
    });
    book.damaged("carriage-key-missing", "F9", "the carriage root lacks scratch", |f| f.carriage(|r| r.remove(5)));
    book.damaged("artifact-key-unknown", "F9", "an artifact has a key 9", |f| f.rows(|r| r[0].set(9, V::U(0))));
    book.damaged("artifact-key-missing", "F9", "an artifact lacks its labels", |f| f.rows(|r| r[0].remove(8)));
    book.damaged("root-is-array", "F9", "the release root is an array", |f| f.release(|r| *r = V::A(vec![])));
    book.damaged("recipe-too-long", "F9", "a recipe of three items", |f| f.recipes[0].items().push(V::U(0)));
    book.damaged("digest-too-short", "F9", "the carriage root's release id has 31 bytes", |f| {
        f.carriage(|r| r.set(0, V::B(vec![0; 31])));
    });
    book.damaged("ext-empty", "F9", "extensions that are an empty list", |f| f.release(|r| r.set(9, V::A(vec![]))));
    let ext = |numbers: &[u64]| V::A(numbers.iter().map(|n| V::A(vec![V::U(*n), V::B(vec![])])).collect());
    let (swapped, twice) = (ext(&[2, 1]), ext(&[1, 1]));
    book.damaged("ext-order", "F9", "extensions out of order", |f| f.release(move |r| r.set(9, swapped)));
    book.damaged("ext-twice", "F9", "an extension twice", |f| f.carriage(move |r| r.set(7, twice)));
    book.damaged("ext-not-bytes", "F9", "an extension that is a text", |f| {
        f.release(|r| r.set(9, V::A(vec![V::A(vec![V::U(1), t("x")])])));
    });
}
