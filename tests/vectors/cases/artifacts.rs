//! What artifact rows say, and facts and blobs with them: section 6.

use super::Book;
use crate::forge::{Forge, Section, V, artifact, t};

fn labels(pairs: &[(&str, &str)]) -> V {
    V::A(pairs.iter().map(|(k, v)| V::A(vec![t(k), t(v)])).collect())
}

/// An image beside a file, of one blob.
fn images(names: &[&str]) -> Forge {
    let mut f = Forge::one();
    for name in names {
        f.artifacts.push(artifact("image", name, vec![V::U(0)]));
        f.facts.push(V::B(vec![0xa0]));
    }
    f
}

pub fn add(book: &mut Book) {
    book.damaged("blobs-order", "F16", "two rows of the blob table swapped", |f| {
        f.sections(|s| {
            let (a, b) = (s[2].plain[..40].to_vec(), s[2].plain[40..80].to_vec());
            let plain = [&b[..], &a, &s[2].plain[80..]].concat();
            s[2].set_plain(plain);
        });
    });
    book.damaged_of(
        Forge::one(),
        "blobs-twice",
        "F16",
        "a blob twice in the table, with a recipe and an artifact each",
        |f| {
            f.blobs.push(f.blobs[0]);
            f.artifacts.push(artifact("file", "b", vec![V::U(1)]));
            f.facts.push(V::B(vec![0xa0]));
            f.recipes.push(V::A(vec![V::U(1), V::A(vec![V::A(vec![V::U(0), V::U(0), V::U(1)])])]));
        },
    );
    book.damaged("blobs-unused", "F18", "a blob that belongs to no artifact", |f| {
        let first = f.artifacts[0].get(7).cloned().expect("there");
        f.artifacts[1].set(7, first);
    });
    book.damaged_of(Forge::one(), "blobs-sum-overflows", "F12", "lengths of blobs that add up modulo 2^64", |f| {
        f.blobs.push(([0xff; 32], u64::MAX));
        f.artifacts.push(artifact("file", "b", vec![V::U(1)]));
        f.artifacts.push(artifact("image", "b", vec![V::U(0)]));
        f.facts.extend([V::B(vec![0xa0]), V::B(vec![0xa0])]);
        f.recipes.push(V::A(vec![V::U(1), V::A(vec![V::A(vec![V::U(0), V::U(0), V::U(1)])])]));
        let file = f.artifacts.remove(1);
        f.artifacts.insert(1, file);
        f.release(|r| r.at(4).items()[0].set(2, V::U(2)));
    });
    book.damaged("artifacts-order", "F19", "two rows swapped, their facts with them", |f| {
        f.artifacts.swap(0, 1);
        f.facts.swap(0, 1);
    });
    book.damaged("artifacts-order-of-kinds", "F19", "an image before a file", |f| {
        f.artifacts.insert(0, artifact("image", "x:1", vec![V::U(0)]));
        f.facts.push(V::B(vec![0xa0]));
    });
    book.damaged("artifacts-order-of-roots", "F19", "a path's order put before its root's", |f| {
        f.artifacts[0].set(4, t("x"));
    });
    book.damaged("artifacts-twice", "F19", "a row twice", |f| {
        f.artifacts.insert(0, f.artifacts[0].clone());
        f.facts.push(V::B(vec![0xa0]));
    });
    book.damaged("artifact-kind-unknown", "F9", "a kind that no feature brings", |f| f.rows(|r| r[3].set(0, t("gem"))));
    book.damaged("artifact-kind-case", "F9", "a kind in capitals", |f| f.rows(|r| r[3].set(0, t("File"))));
    book.damaged("artifact-blobs-none", "F18", "an artifact without blob", |f| f.rows(|r| r[0].set(7, V::A(vec![]))));
    book.damaged("artifact-blob-out-of-range", "F18", "the number after the last blob's", |f| {
        f.rows(|r| r[0].at(7).items().push(V::U(4)));
    });
    book.damaged("artifact-blob-huge", "F18", "blob number 2^64-1", |f| {
        f.rows(|r| r[0].at(7).items().push(V::U(u64::MAX)));
    });
    book.damaged("artifact-blob-twice", "F18", "a blob twice in one artifact", |f| {
        f.rows(|r| {
            let first = r[0].at(7).items()[0].clone();
            r[0].at(7).items().push(first);
        });
    });
    book.unsupported("artifact-blobs-too-many", "F18", "65,537 blobs of one artifact", |f| {
        f.rows(|r| r[0].set(7, V::A(vec![V::U(0); 65_537])));
        f.sections(|s| s.iter_mut().take(1).for_each(Section::pack));
    });
    book.damaged_of(images(&["x:1"]), "artifact-image-path", "F19", "an image with a path", |f| {
        f.rows(|r| r[1].set(5, t("x")));
    });
    book.damaged("artifact-file-no-path", "F19", "a file without path", |f| f.rows(|r| r[0].remove(5)));
    book.damaged("artifact-executable", "F9", "executable is 1 instead of true", |f| f.rows(|r| r[0].set(6, V::U(1))));

    let one = |key: &'static str, value: &'static str| labels(&[(key, value)]);
    for (name, comment, value) in [
        ("order", "labels out of order", labels(&[("b", ""), ("a", "")])),
        ("twice", "a label's key twice", labels(&[("a", "1"), ("a", "2")])),
        ("key-hidden", "a bidirectional mark in a label's key", one("a\u{202e}", "")),
        ("value-hidden", "a line feed in a label's value", one("a", "1\n2")),
        ("not-pairs", "a label of one text", V::A(vec![V::A(vec![t("a")])])),
    ] {
        let rule = if name == "not-pairs" { "F9" } else { "F21" };
        book.damaged(&format!("labels-{name}"), rule, comment, |f| f.rows(move |r| r[0].set(8, value)));
    }
    for (name, hidden) in [
        ("zero-width", '\u{200b}'),
        ("soft-hyphen", '\u{ad}'),
        ("c1", '\u{85}'),
        ("nul", '\0'),
        ("variation", '\u{fe0f}'),
        ("tag", '\u{e0041}'),
        ("filler", '\u{3164}'),
        ("byte-order", '\u{feff}'),
    ] {
        let comment = format!("U+{:04X} in a name", u32::from(hidden));
        book.damaged(&format!("name-hidden-{name}"), "F21", &comment, |f| {
            f.rows(move |r| r[0].set(1, t(&format!("a{hidden}b"))));
        });
    }
    book.damaged("version-hidden-of-artifact", "F21", "U+2066 in a version", |f| {
        f.rows(|r| r[0].set(2, t("1\u{2066}")));
    });
    book.damaged("arch-hidden", "F21", "U+007F in an architecture", |f| f.rows(|r| r[0].set(3, t("x\u{7f}86"))));
    for (name, key) in [("name", 1), ("version", 2), ("arch", 3)] {
        let comment = format!("{name} of 4097 bytes");
        book.unsupported(&format!("artifact-{name}-too-long"), "F21", &comment, |f| {
            f.rows(move |r| r[0].set(key, t(&"x".repeat(4097))));
        });
    }
    for (name, pair) in [("key", (4097, 0)), ("value", (1, 4097))] {
        let comment = format!("a label's {name} of 4097 bytes");
        book.unsupported(&format!("label-{name}-too-long"), "F21", &comment, |f| {
            f.rows(move |r| r[0].set(8, labels(&[(&"k".repeat(pair.0), &"v".repeat(pair.1))])));
        });
    }
    book.damaged("facts-too-few", "F22", "no facts of the last artifact", |f| drop(f.facts.pop()));
    book.damaged("facts-too-many", "F22", "facts of one artifact more", |f| f.facts.push(V::B(vec![0xa0])));
    for (name, comment, facts) in [
        ("empty", "facts of no bytes", &[][..]),
        ("trailing", "a byte after the facts' map", &[0xa0, 0]),
        ("head", "facts with a head that is too long", &[0xb8, 0]),
        ("float", "facts that are a float", &[0xf9, 0, 0]),
    ] {
        let facts = V::B(facts.to_vec());
        book.damaged(&format!("facts-{name}"), "F22", comment, |f| f.facts[0] = facts);
    }

    book.damaged_of(images(&["lib/x:1", "lib/X:1"]), "names-fold", "F20", "images whose names differ in case", |f| {
        f.artifacts.swap(1, 2);
    });
    book.damaged_of(
        images(&["lib/x:1", "lib/x:1"]),
        "names-equal",
        "F20",
        "two images of one name and two blobs",
        |f| {
            let more = Forge::files(&[("a", "hi\n"), ("b", "other")]);
            let (old, new) = (f.artifacts.split_off(1), more);
            *f = new;
            f.artifacts.extend(old);
            f.artifacts[2].set(7, V::A(vec![V::U(0)]));
            f.artifacts[3].set(7, V::A(vec![V::U(1)]));
            f.facts.resize(4, V::B(vec![0xa0]));
        },
    );
    book.damaged_of(
        images(&["ﬁ:1", "fi:1"]),
        "names-compatibility",
        "F20",
        "images whose names differ by a ligature",
        |f| {
            f.artifacts.swap(1, 2);
        },
    );
}
