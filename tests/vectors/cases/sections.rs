//! Sections as such: how they are stored, digests, counts: rules F2, F16, F17, R3.

use super::Book;
use crate::forge::{Forge, Section, V, labelled, zstd, zstd_blocks};

/// A bundle whose artifacts section is long and packs well.
fn long() -> Forge {
    Forge::files(&[(&"n".repeat(200), "x")])
}

/// The stored bytes of the artifacts of [`long`], made of the plain ones, under codec 1.
fn stored(f: &mut Forge, make: impl FnOnce(&[u8]) -> Vec<u8> + 'static) {
    f.sections(|s| {
        let frame = make(&s[0].plain);
        s[0].set_stored(1, frame);
    });
}

fn frame(descriptor: &[u8], plain: &[u8]) -> Vec<u8> {
    [&[0x28, 0xb5, 0x2f, 0xfd][..], descriptor, &zstd_blocks(plain)].concat()
}

fn size(plain: &[u8]) -> [u8; 4] {
    (plain.len() as u32).to_le_bytes()
}

pub fn add(book: &mut Book) {
    book.damaged("section-stored-digest", "R3", "a stored digest that is not that of the bytes", |f| {
        f.sections(|s| s[1].stored_digest[0] ^= 1);
    });
    book.damaged("section-plain-digest", "R3", "a plain digest that is not that of the bytes, in both roots", |f| {
        f.sections(|s| s[1].digest[0] ^= 1);
    });
    for n in 0..6 {
        let kind = ["artifacts", "facts", "blobs", "recipes", "chunks", "blocks"][n];
        let comment = format!("a bit of the stored {kind}");
        book.damaged(&format!("section-flipped-{kind}"), "R3", &comment, |f| f.parts(move |p| p[3 + n][1] ^= 0x10));
    }
    book.damaged("section-digest-of-other-kind", "F2", "facts hashed under the label of artifacts", |f| {
        f.sections(|s| s[1].digest = labelled("section/artifacts", &s[1].plain));
    });
    book.damaged("section-digest-unlabelled", "F2", "a stored digest that is plain SHA-256", |f| {
        f.sections(|s| s[3].stored_digest = crate::forge::sha(&s[3].stored));
    });
    book.damaged("section-codec-2", "F17", "codec 2", |f| f.sections(|s| s[2].codec = 2));
    book.damaged_of(long(), "section-raw-called-zstd", "F17", "plain bytes under codec 1, and so not shorter", |f| {
        f.sections(|s| s[0].codec = 1);
    });
    book.damaged_of(long(), "section-zstd-called-raw", "F17", "a frame under codec 0, and so of another length", |f| {
        f.sections(|s| {
            s[0].pack();
            s[0].codec = 0;
        });
    });
    book.damaged("section-zstd-not-shorter", "F17", "a frame as long as what it holds, or longer", |f| {
        f.sections(|s| s[2].pack());
    });
    book.damaged_of(long(), "section-zstd-garbage", "F17", "codec 1 and no frame", |f| stored(f, |_| vec![7; 40]));
    book.damaged_of(long(), "section-zstd-no-size", "F17", "a frame that does not announce its length", |f| {
        stored(f, |p| frame(&[0, 0x58], p));
    });
    book.damaged_of(
        long(),
        "section-zstd-other-size",
        "F17",
        "a frame that announces a byte more than it holds",
        |f| {
            stored(f, |p| frame(&[&[0xa0][..], &(p.len() as u32 + 1).to_le_bytes()].concat(), p));
        },
    );
    book.damaged_of(
        long(),
        "section-zstd-other-length",
        "F17",
        "an honest frame of a byte less than the plain length",
        |f| {
            stored(f, |p| zstd(&p[..p.len() - 1]));
        },
    );
    book.damaged_of(long(), "section-zstd-other-content", "R3", "an honest frame of other bytes", |f| {
        stored(f, |p| {
            let mut other = p.to_vec();
            other[100] = b'm';
            zstd(&other)
        });
    });
    book.damaged_of(long(), "section-zstd-dictionary", "F17", "a frame that asks for dictionary 9", |f| {
        stored(f, |p| frame(&[&[0xa1, 9][..], &size(p)].concat(), p));
    });
    book.damaged_of(long(), "section-zstd-dictionary-0", "F17", "a frame with a dictionary field, which is 0", |f| {
        stored(f, |p| frame(&[&[0xa1, 0][..], &size(p)].concat(), p));
    });
    book.damaged_of(
        long(),
        "section-zstd-reserved-bit",
        "F17",
        "a frame with the reserved bit of its descriptor",
        |f| {
            stored(f, |p| frame(&[&[0xa8][..], &size(p)].concat(), p));
        },
    );
    book.damaged_of(
        long(),
        "section-zstd-checksum",
        "F17",
        "a frame with a checksum of its content that is wrong",
        |f| {
            stored(f, |p| [frame(&[&[0xa4][..], &size(p)].concat(), p), vec![1, 2, 3, 4]].concat());
        },
    );
    book.damaged_of(long(), "section-zstd-two-frames", "F17", "two frames that hold the plain bytes together", |f| {
        stored(f, |p| [zstd(&p[..100]), zstd(&p[100..])].concat());
    });
    book.damaged_of(long(), "section-zstd-empty-frame-after", "F17", "a frame of no bytes after the frame", |f| {
        stored(f, |p| [&zstd(p)[..], &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0]].concat());
    });
    book.damaged_of(long(), "section-zstd-skippable-after", "F17", "a skippable frame after the frame", |f| {
        stored(f, |p| [&zstd(p)[..], &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]].concat());
    });
    book.damaged_of(long(), "section-zstd-skippable-before", "F17", "a skippable frame before the frame", |f| {
        stored(f, |p| [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0][..], &zstd(p)].concat());
    });
    book.damaged_of(long(), "section-zstd-trailing", "F17", "a byte after the frame", |f| {
        stored(f, |p| [&zstd(p)[..], &[0]].concat());
    });
    book.damaged_of(long(), "section-zstd-cut-short", "F17", "the frame lacks its last byte", |f| {
        stored(f, |p| zstd(p)[..zstd(p).len() - 1].to_vec());
    });
    book.damaged_of(long(), "section-zstd-no-last-block", "F17", "no block of the frame is the last", |f| {
        stored(f, |p| {
            let mut frame = frame(&[&[0xa0][..], &size(p)].concat(), &p[..100]);
            frame.extend(zstd_blocks(&p[100..]));
            frame
        });
    });

    let count = |f: &mut Forge, section: usize, more: i64| {
        f.sections(move |s| s[section].entries = s[section].entries.wrapping_add_signed(more));
    };
    for (section, kind) in [(0, "artifacts"), (1, "facts"), (2, "blobs"), (3, "recipes"), (4, "chunks"), (5, "blocks")]
    {
        let comment = format!("entries of the {kind} one too many, in both roots");
        book.damaged(&format!("entries-plus-1-{kind}"), "F16", &comment, |f| count(f, section, 1));
    }
    book.damaged("entries-minus-1-facts", "F16", "entries of the facts one too few", |f| count(f, 1, -1));
    book.damaged("entries-minus-1-chunks", "F16", "entries of the chunks one too few", |f| count(f, 4, -1));
    book.damaged("entries-0", "F16", "a second section of facts that holds an empty list", |f| {
        f.sections(|s| s.insert(2, Section::new(2, 0, vec![0x80])));
    });
    book.damaged("section-of-no-bytes", "F16", "a second section of blobs that has no bytes", |f| {
        f.sections(|s| s.insert(3, Section::new(3, 0, vec![])));
    });
    book.damaged("table-half-row", "F16", "a table with half a row more", |f| {
        f.sections(|s| {
            let plain = [&s[4].plain[..], &[0; 18]].concat();
            s[4].set_plain(plain);
        });
    });
    book.unsupported("entries-too-many", "F16", "65,537 facts in one section", |f| {
        f.split = 65_537;
        f.facts = vec![V::B(vec![]); 65_537];
        f.sections(|s| s[1].pack());
    });
    book.unsupported("section-too-long", "F16", "a section of 16 MiB and a byte", |f| {
        f.facts[0] = V::B(vec![0; (16 << 20) + 1 - 12]);
        f.sections(|s| {
            assert_eq!(s[1].plain.len(), (16 << 20) + 1);
            s[1].pack();
        });
    });
    book.unsupported("section-length-huge", "F16", "a section that claims 4 GiB", |f| {
        f.sections(|s| {
            s[1].pack();
            s[1].plain_len = u64::from(u32::MAX);
        });
    });
    book.unsupported("index-too-long", "F16", "17 sections that claim 16 MiB each", |f| {
        f.sections(|s| {
            s[1].pack();
            s[1].plain_len = 16 << 20;
            let one = s[1].clone();
            s.splice(1..1, std::iter::repeat_n(one, 16));
        });
    });
    book.damaged("section-length-64-bit", "F9", "a section's length above 32 bits", |f| {
        f.sections(|s| s[1].plain_len = 1 << 32);
    });
    book.damaged("section-bases", "F15", "a section of bases without the feature that brings it", |f| {
        f.sections(|s| s.push(Section::new(7, 1, vec![0; 40])));
    });
    book.damaged("section-one-empty-kind-missing", "F22", "no section of facts at all", |f| {
        f.sections(|s| drop(s.remove(1)));
    });
    book.unsupported("facts-too-long", "F22", "facts of 8 MiB and a byte", |f| {
        let mut facts = vec![0x5a];
        facts.extend_from_slice(&((8u32 << 20) - 4).to_be_bytes());
        facts.resize((8 << 20) + 1, 0);
        f.facts[0] = V::B(facts);
        f.sections(|s| s[1].pack());
    });
}
