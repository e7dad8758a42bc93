//! Paths and places: section 8.

use super::Book;
use crate::forge::{Forge, t};

pub fn add(book: &mut Book) {
    let long = format!("{}/x", "p".repeat(256));
    let whole = format!("{p}/{p}/{p}/{}", "q".repeat(1025 - 4 - 3 * 256), p = "p".repeat(255));
    let deep = ["d"; 64].join("/");
    for (name, path, comment) in [
        ("empty", "", "no byte"),
        ("absolute", "/a", "a slash before"),
        ("slash-after", "a/", "a slash after"),
        ("slash-twice", "a//b", "an empty component"),
        ("dot", "a/./b", "a component ."),
        ("dot-dot", "../a", "a component .."),
        ("dot-dot-inside", "a/../../b", "components .. inside"),
        ("backslash", "a\\b", "a backslash"),
        ("colon", "a:b", "a colon"),
        ("less", "a<b", "a less-than sign"),
        ("greater", "a>b", "a greater-than sign"),
        ("quote", "a\"b", "a double quote"),
        ("bar", "a|b", "a bar"),
        ("question", "a?b", "a question mark"),
        ("star", "a*b", "a star"),
        ("nul", "a\0b", "a NUL"),
        ("escape", "a\u{1b}[1m", "an escape character"),
        ("bidi", "a\u{202e}gpj.sh", "a bidirectional override"),
        ("zero-width", "a\u{200d}b", "a zero-width joiner"),
        ("dot-last", "a./b", "a component that ends with a dot"),
        ("space-first", "a/ b", "a component that begins with a space"),
        ("space-last", "a /b", "a component that ends with a space"),
        ("not-nfc", "e\u{301}", "normalisation form D"),
        ("device", "a/con", "a device name"),
        ("device-upper", "AUX/a", "a device name in capitals, as a folder"),
        ("device-suffix", "nul.tar.gz", "a device name before a dot"),
        ("device-space", "prn .txt", "a device name, a space and a dot"),
        ("device-number", "lpt9", "a numbered device"),
        ("device-superscript", "COM².x", "a device with a superscript number"),
        ("device-dollar", "conout$", "a device with a dollar sign"),
        ("component-long", &long, "a component of 256 bytes"),
        ("long", &whole, "a place of 1025 bytes, its root counted"),
        ("deep", &deep, "a place of 65 components, its root counted"),
    ] {
        let path = t(path);
        book.damaged_of(Forge::one(), &format!("path-{name}"), "F28", comment, |f| f.artifacts[0].set(5, path));
    }
    book.damaged_of(Forge::one(), "path-root", "F28", "a root that leaves the tree", |f| {
        f.artifacts[0].set(4, t(".."))
    });

    let collisions: [(&str, [&str; 2], &str); 8] = [
        ("case", ["A/x", "a/x"], "paths that differ in the case of a folder"),
        ("case-of-file", ["a/README", "a/readme"], "paths that differ in case"),
        ("sharp-s", ["STRASSE", "straße"], "paths that are equal after full case folding"),
        ("ligature", ["file", "ﬁle"], "paths that are equal after NFKC"),
        ("kelvin", ["k", "\u{212a}"], "a letter and the sign of a unit; the sign is not NFC either"),
        ("file-and-folder", ["a", "a/b"], "a file that is a folder of another"),
        ("file-and-folder-folded", ["A", "a/b/c"], "a file that is a folder of another after folding"),
        ("folders", ["A/x", "a/y"], "files in folders that differ in case"),
    ];
    for (name, [a, b], comment) in collisions {
        let rule = match name {
            "kelvin" => "F28",
            "case-of-file" | "sharp-s" | "ligature" => "F20",
            _ => "F30",
        };
        book.damaged_of(Forge::files(&[(a, "1"), (b, "2")]), &format!("collision-{name}"), rule, comment, |_| {});
    }
    let two = || Forge::files(&[("a", "1"), ("b", "1")]);
    book.damaged_of(two(), "collision-over-roots", "F20", "one place from two roots, the bytes equal", |f| {
        f.artifacts[0].set(5, t("b/x"));
        f.artifacts[1].set(4, t("www/b"));
        f.artifacts[1].set(5, t("x"));
    });
    book.damaged_of(two(), "collision-of-kinds", "F20", "a file and a chart at one place", |f| {
        f.artifacts[0].set(0, t("chart"));
        f.artifacts[0].set(5, t("b"));
    });
    book.damaged_of(two(), "collision-equal", "F20", "two files of two names at one place", |f| {
        f.artifacts[0].set(5, t("b"));
    });
}
