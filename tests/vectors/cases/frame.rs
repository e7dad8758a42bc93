//! Header, footer, tiling, statement area: sections 3 and 9.

use super::Book;
use super::good::area_of;
use crate::forge::{Forge, labelled};

pub fn add(book: &mut Book) {
    book.damaged("file-empty", "F3", "no byte at all", |f| f.file(Vec::clear));
    book.damaged("file-header-alone", "F3", "the file ends after its header", |f| f.file(|b| b.truncate(16)));
    book.damaged("file-too-short", "F3", "one byte less than header and footer", |f| {
        f.file(|b| *b = [&b[..16], &b[b.len() - 191..]].concat());
    });
    book.damaged("file-cut-short", "F3", "the last byte is missing", |f| f.file(|b| b.truncate(b.len() - 1)));
    book.damaged("file-begin-missing", "F4", "the first byte is missing", |f| f.file(|b| *b = b[1..].to_vec()));
    book.damaged("file-trailer", "F3", "one byte follows the footer", |f| f.file(|b| b.push(0)));
    book.damaged("file-gap-before-blocks", "F3", "a zero byte between header and blocks", |f| {
        f.parts(|p| p[0].push(0))
    });
    book.damaged("file-gap-before-footer", "F3", "a zero byte between statement area and footer", |f| {
        f.parts(|p| p.push(vec![0]));
    });
    book.damaged("file-twice", "F3", "the whole file twice, one after the other", |f| {
        f.file(|b| *b = [&b[..], &b[..]].concat());
    });
    book.damaged("file-gap-accounted", "F13", "a byte between sections and roots that sections_len counts", |f| {
        let after = 2 + 6;
        f.parts(move |p| p[after].push(0));
        f.footer(|f| f.sections_len += 1);
    });
    book.damaged("file-gap-in-blocks", "F23", "a byte after the blocks that the footer's blocks_len counts", |f| {
        f.parts(|p| p[2].push(0));
        f.footer(|f| f.blocks_len += 1);
    });

    book.damaged("header-magic", "F4", "the magic's first byte is 88", |f| f.file(|b| b[0] = 0x88));
    book.damaged("header-line-end", "F4", "the magic's CR LF became LF, as a text transfer does", |f| {
        f.file(|b| *b = [&b[..6], &b[7..]].concat());
    });
    book.damaged("header-reserved", "F4", "the last reserved byte is 1", |f| f.file(|b| b[15] = 1));
    book.unsupported("header-version", "F4", "version 2", |f| f.file(|b| b[9] = 2));
    book.unsupported("header-version-0", "F4", "version 0", |f| f.file(|b| b[9] = 0));

    book.damaged("footer-magic", "F5", "the footer begins with pOUCHEND", |f| f.footer(|f| f.magic[0] = b'p'));
    book.unsupported("footer-version", "F5", "version 2, with a good digest of its own", |f| {
        f.footer(|f| f.version = 2)
    });
    book.unsupported("footer-form-0", "F5", "form 0, which no version defines", |f| f.footer(|f| f.form = 0));
    book.unsupported("footer-form-4", "F5", "form 4, which no version defines", |f| f.footer(|f| f.form = 4));
    book.unsupported("footer-form-head", "F5", "form 2, a head of volumes, whose feature version 1.0 lacks", |f| {
        f.form = 2;
    });
    book.damaged("footer-reserved", "F5", "byte 15 is 1", |f| f.footer(|f| f.zero[4] = 1));
    book.damaged("footer-reserved-2", "F5", "byte 159 is 1", |f| f.footer(|f| f.zero2[15] = 1));
    book.damaged("footer-own-digest", "F5", "the last byte of its own digest is another", |f| {
        f.file(|b| *b.last_mut().expect("not empty") ^= 1);
    });
    book.damaged("footer-length-flipped", "F5", "a length that its own digest does not cover", |f| {
        f.file(|b| {
            let at = b.len() - 192 + 23;
            b[at] ^= 1;
        });
    });
    book.damaged("footer-release-id", "F10", "an id that is not the release root's", |f| {
        f.footer(|f| f.release_id[0] ^= 1);
    });
    book.damaged("footer-carriage-id", "F10", "an id that is not the carriage root's", |f| {
        f.footer(|f| f.carriage_id[31] ^= 1);
    });
    book.damaged("footer-ids-swapped", "F10", "each id in the other's place", |f| {
        f.footer(|f| std::mem::swap(&mut f.release_id, &mut f.carriage_id));
    });
    book.damaged("footer-area-digest", "F5", "a digest that is not the area's", |f| f.footer(|f| f.statements[5] ^= 4));
    book.damaged("footer-area-digest-plain", "F2", "SHA-256 of the area without label", |f| {
        f.footer(|f| f.statements = crate::forge::sha(&[0; 4]));
    });
    book.damaged("footer-blocks-len-plus-1", "F3", "blocks_len one too large", |f| f.footer(|f| f.blocks_len += 1));
    book.damaged("footer-blocks-len-minus-1", "F3", "blocks_len one too small", |f| f.footer(|f| f.blocks_len -= 1));
    book.damaged("footer-sections-len-plus-1", "F3", "sections_len one too large", |f| {
        f.footer(|f| f.sections_len += 1)
    });
    book.damaged("footer-root-len-minus-1", "F3", "release_root_len one too small", |f| {
        f.footer(|f| f.release_root_len -= 1);
    });
    book.damaged("footer-border-moved", "F10", "a byte of the release root given to the sections", |f| {
        f.footer(|f| {
            f.sections_len += 1;
            f.release_root_len -= 1;
        });
    });
    book.damaged("footer-sum-overflows", "F3", "lengths that add up to the file's modulo 2^64", |f| {
        f.footer(|f| {
            let part = f.blocks_len + f.sections_len;
            f.blocks_len = u64::MAX;
            f.sections_len = part + 1;
        });
    });
    book.damaged("footer-root-len-0", "F8", "an empty release root", |f| f.release_bytes(Vec::clear));
    book.damaged("footer-volume-map", "F6", "a full file with a volume map of one byte", |f| {
        f.parts(|p| {
            let at = p.len() - 1;
            p.insert(at, vec![0x80]);
        });
        f.footer(|f| f.volume_map_len = 1);
    });
    book.damaged("footer-index-only-blocks", "F6", "an index-only file with a block", |f| {
        f.form = 3;
        f.parts(|p| p.insert(1, b"hi\nthere\n".to_vec()));
        f.footer(|f| f.blocks_len = 9);
    });
    book.damaged("index-only-all-sections", "F32", "an index-only file with the sections of the carriage", |f| {
        f.footer(|f| {
            f.form = 3;
            f.blocks_len = 0;
        });
        f.parts(|p| drop(p.drain(1..3)));
    });
    book.damaged("index-only-section-missing", "F32", "an index-only file without its facts", |f| {
        f.form = 3;
        f.parts(|p| drop(p.remove(2)));
        f.footer(|f| f.sections_len -= 9);
    });
    book.damaged("index-only-called-full", "F13", "an index-only file whose footer says full", |f| {
        f.form = 3;
        f.footer(|f| f.form = 1);
    });
    book.unsupported("root-release-too-long", "F10", "a release root of 1 MiB and a byte", |f| {
        f.release(|r| super::good::pad_root(r, 9, (1 << 20) + 1));
    });
    book.unsupported("root-carriage-too-long", "F10", "a carriage root of 1 MiB and a byte", |f| {
        f.carriage(|r| super::good::pad_root(r, 7, (1 << 20) + 1));
    });

    let sealed = || {
        let mut f = Forge::one();
        f.statements = vec![(b"text".to_vec(), b"signature".to_vec()), (b"2".to_vec(), b"II".to_vec())];
        f
    };
    book.damaged_of(sealed(), "area-count-too-large", "F31", "a count of 3 where there are 2", |f| {
        f.area(|a| a[3] = 3)
    });
    book.damaged_of(sealed(), "area-count-too-small", "F31", "a count of 1 where there are 2", |f| {
        f.area(|a| a[3] = 1)
    });
    book.damaged_of(sealed(), "area-count-huge", "F31", "a count of 2^32-1", |f| f.area(|a| a[..4].fill(0xff)));
    book.damaged_of(sealed(), "area-empty", "F31", "an area without a count", |f| f.area(Vec::clear));
    book.damaged_of(sealed(), "area-count-short", "F31", "an area of three bytes", |f| f.area(|a| a.truncate(3)));
    book.damaged_of(sealed(), "area-cut-short", "F31", "the last signature lacks a byte", |f| {
        f.area(|a| a.truncate(a.len() - 1))
    });
    book.damaged_of(sealed(), "area-trailing", "F31", "a byte after the last statement", |f| f.area(|a| a.push(0)));
    book.damaged_of(sealed(), "area-text-length", "F31", "a text said to reach over the end", |f| f.area(|a| a[6] = 1));
    book.unsupported("area-text-too-long", "F31", "a text of 16 KiB and a byte", |f| {
        f.statements = vec![(vec![b't'; (16 << 10) + 1], vec![])];
    });
    book.unsupported("area-signature-too-long", "F31", "a signature of 16 KiB and a byte", |f| {
        f.statements = vec![(vec![], vec![b's'; (16 << 10) + 1])];
    });
    book.unsupported("area-too-long", "F31", "an area of 4 MiB and a byte", |f| f.statements = area_of((4 << 20) + 1));
    book.damaged("area-of-another", "F5", "the statement area of another bundle in its place", |f| {
        f.statements = vec![(b"mine".to_vec(), b"mine".to_vec())];
        f.parts(|p| {
            let area = p.last_mut().expect("the area");
            let len = area.len();
            area[len - 8..].copy_from_slice(b"yoursyou");
        });
    });
    debug_assert_ne!(labelled("statements", &[0; 4]), crate::forge::sha(&[0; 4]));
}
