//! Both roots: section 5.

use super::Book;
use crate::forge::{Forge, V, artifact, t};

pub fn add(book: &mut Book) {
    for (name, stream) in [
        ("empty", ""),
        ("upper", "Demo"),
        ("dot-first", ".demo"),
        ("slash", "a/b"),
        ("long", &"a".repeat(64)),
        ("not-ascii", "dé"),
    ] {
        let stream = t(stream);
        book.damaged(&format!("stream-{name}"), "F11", "a stream's name outside its grammar", |f| {
            f.release(|r| r.set(0, stream));
        });
    }
    book.damaged("sequence-0", "F11", "sequence 0", |f| f.release(|r| r.set(2, V::U(0))));
    for (name, version) in [
        ("empty", ""),
        ("long", &"v".repeat(65)),
        ("space-before", " 1"),
        ("space-after", "1\u{3000}"),
        ("hidden", "1\u{200b}.0"),
        ("control", "1\n0"),
        ("not-nfc", "e\u{301}"),
    ] {
        let version = t(version);
        book.damaged(&format!("version-{name}"), "F11", "a version outside its grammar", |f| {
            f.release(|r| r.set(3, version));
        });
    }

    let total = |f: &mut Forge, key: u64, more: i64| {
        f.release(move |r| {
            let one = &mut r.at(4).items()[0];
            let n = one.get(key).expect("there").number().wrapping_add_signed(more);
            one.set(key, V::U(n));
        });
    };
    book.damaged("totals-artifacts", "F12", "one artifact too many in the totals", |f| total(f, 1, 1));
    book.damaged("totals-bytes", "F12", "a byte too few in the totals", |f| total(f, 2, -1));
    book.damaged("totals-blobs", "F12", "one blob too many in the root", |f| {
        f.release(|r| r.set(5, V::U(r.get(5).expect("there").number() + 1)));
    });
    book.damaged("totals-blob-bytes", "F12", "one byte too many in the root", |f| {
        f.release(|r| r.set(6, V::U(r.get(6).expect("there").number() + 1)));
    });
    book.damaged("totals-kind-unused", "F12", "a total of 0 for a kind that does not occur", |f| {
        f.release(|r| {
            r.at(4).items().push(V::M(vec![(0, t("rpm")), (1, V::U(0)), (2, V::U(0))]));
            r.at(8).items().push(t("rpm/1"));
        });
    });
    book.damaged("totals-shared-twice", "F12", "a blob that two artifacts of a kind share counted twice", |f| {
        let again = f.artifacts[0].clone();
        f.artifacts.insert(1, again);
        f.artifacts[1].set(1, t("a2"));
        f.artifacts[1].set(5, t("a2"));
        f.facts.push(V::B(vec![0xa0]));
        total(f, 2, 3);
    });
    let two_kinds = || {
        let mut f = Forge::one();
        f.artifacts.push(artifact("image", "x:1", vec![V::U(0)]));
        f.facts.push(V::B(vec![0xa0]));
        f
    };
    book.damaged_of(two_kinds(), "totals-order", "F12", "totals of image before those of file", |f| {
        f.release(|r| r.at(4).items().reverse());
    });
    book.damaged_of(two_kinds(), "totals-missing", "F12", "no totals of the images", |f| {
        f.release(|r| {
            r.at(4).items().pop();
            r.at(8).items().pop();
        });
    });
    book.damaged_of(two_kinds(), "totals-kind-twice", "F12", "totals of file twice", |f| {
        f.release(|r| {
            let first = r.at(4).items()[0].clone();
            r.at(4).items().insert(0, first);
        });
    });

    book.damaged("release-sections-order", "F13", "facts before artifacts in both roots", |f| {
        f.sections(|s| s.swap(0, 1));
    });
    book.damaged("release-section-of-carriage", "F13", "the release root names the recipes", |f| {
        f.release(|r| {
            let mut more = r.at(7).items()[0].clone();
            more.set(0, V::U(4));
            r.at(7).items().push(more);
        });
    });
    book.damaged("release-section-missing", "F13", "the release root does not name its facts", |f| {
        f.release(|r| drop(r.at(7).items().remove(1)));
    });
    for (name, key) in [("entries", 1), ("length", 2)] {
        let comment = format!("the release root says another {name} of a section than the carriage root");
        book.damaged(&format!("release-section-{name}"), "F13", &comment, |f| {
            f.release(move |r| {
                let s = &mut r.at(7).items()[0];
                s.set(key, V::U(s.get(key).expect("there").number() + 1));
            });
        });
    }
    book.damaged("release-section-digest", "F13", "the release root has another digest of a section", |f| {
        f.release(|r| r.at(7).items()[2].set(3, V::B(vec![7; 32])));
    });
    book.damaged("carriage-sections-order", "F13", "blocks before chunks in the carriage root and the file", |f| {
        f.sections(|s| s.swap(4, 5));
    });
    book.damaged("carriage-sections-swapped", "R3", "chunks and blocks swapped in the file alone", |f| {
        f.parts(|p| p.swap(3 + 4, 3 + 5));
    });
    book.damaged("carriage-section-dropped", "F13", "the carriage root names no recipes, the file has them", |f| {
        f.carriage(|r| drop(r.at(1).items().remove(3)));
    });
    book.damaged("carriage-section-twice", "F13", "the artifacts twice, in the carriage root and the file", |f| {
        f.sections(|s| s.insert(0, s[0].clone()));
        f.release(|r| drop(r.at(7).items().remove(0)));
    });
    book.damaged("carriage-section-kind", "F9", "a section of kind 8", |f| {
        f.carriage(|r| {
            let mut more = r.at(1).items()[5].clone();
            more.set(0, V::U(8));
            r.at(1).items().push(more);
        });
    });
    book.damaged("carriage-of-another", "F14", "the release id in the carriage root is another", |f| {
        f.carriage(|r| r.set(0, V::B(vec![3; 32])));
    });

    let requires = |names: &[&str]| V::A(names.iter().map(|n| t(n)).collect());
    let (two, none) = (requires(&["file/1", "file/1"]), requires(&[]));
    let (more, swapped) = (requires(&["file/1", "rpm/1"]), requires(&["image/1", "file/1"]));
    book.damaged("requires-twice", "F15", "a feature twice", |f| f.release(|r| r.set(8, two)));
    book.damaged("requires-undeclared", "F15", "a schema that is used and not required", |f| {
        f.release(|r| r.set(8, none))
    });
    book.damaged("requires-unused", "F15", "a schema that is required and not used", |f| f.release(|r| r.set(8, more)));
    book.damaged_of(two_kinds(), "requires-order", "F15", "features out of order", |f| {
        f.release(|r| r.set(8, swapped))
    });
    book.damaged("requires-not-text", "F9", "a feature that is a number", |f| {
        f.release(|r| r.at(8).items().push(V::U(1)));
    });
    book.damaged("carriage-requires-not-list", "F9", "what the carriage requires is a number", |f| {
        f.carriage(|r| r.set(6, V::U(0)));
    });
    book.unsupported("requires-unknown", "R2", "the release requires a kind of a newer version", |f| {
        f.release(|r| r.set(8, V::A(vec![t("file/1"), t("npm/1")])));
    });
    book.unsupported("requires-newer-schema", "R2", "the release requires file/2", |f| {
        f.release(|r| r.set(8, V::A(vec![t("file/2")])));
    });
    book.unsupported(
        "requires-unknown-and-key",
        "R2",
        "a feature that is not known, and the key that it brings",
        |f| {
            f.release(|r| {
                r.at(8).items().push(t("zebra/1"));
                r.set(10, V::M(vec![(0, t("stripes"))]));
            });
        },
    );
    book.unsupported(
        "requires-unknown-kind",
        "R2",
        "an artifact of a newer kind, with its total and its feature",
        |f| {
            f.artifacts[3].set(0, t("gem"));
        },
    );
    for feature in ["base/1", "patch/1", "replay/zlib"] {
        let comment = format!("the carriage requires {feature}, which is reserved");
        book.unsupported(&format!("carriage-requires-{}", feature.replace('/', "-")), "R2", &comment, |f| {
            f.carriage(move |r| r.set(6, V::A(vec![t(feature)])));
        });
    }
    book.unsupported(
        "carriage-requires-unknown-and-key",
        "R2",
        "an unknown feature, and an unknown key beside it",
        |f| {
            f.carriage(|r| {
                r.set(6, V::A(vec![t("zebra/1")]));
                r.set(9, V::A(vec![]));
            });
        },
    );
    book.unsupported(
        "carriage-requires-unknown-and-type",
        "R2",
        "an unknown feature, and a known key of another type",
        |f| {
            f.carriage(|r| {
                r.set(6, V::A(vec![t("zebra/1")]));
                r.set(5, t("much"));
            });
        },
    );
}
