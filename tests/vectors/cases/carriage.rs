//! Blocks, chunks, recipes: section 7.

use super::Book;
use super::good::frame_block;
use crate::forge::{Block, Forge, V, sha, zstd, zstd_blocks};

fn segment(first: u64, count: u64) -> V {
    V::A(vec![V::U(0), V::U(first), V::U(count)])
}

/// The segments of recipe `n`.
fn of(f: &mut Forge, n: usize) -> &mut Vec<V> {
    f.recipes[n].items()[1].items()
}

/// One file of `len` bytes `w` in one block, which the case stores otherwise.
fn packed(stored: Vec<u8>, len: usize) -> Forge {
    let mut f = Forge::new(&[(1, &[&vec![b'w'; len]])], &[("x", &[(0, 1)])]);
    f.blocks[0] = frame_block(stored, len as u32);
    f
}

fn frame(descriptor: &[u8], len: usize) -> Vec<u8> {
    let size = (len as u32).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd][..], descriptor, &size, &zstd_blocks(&vec![b'w'; len])].concat()
}

pub fn add(book: &mut Book) {
    blocks(book);
    chunks(book);
    recipes(book);
}

fn blocks(book: &mut Book) {
    book.damaged("block-flipped", "R4", "a bit of a raw block", |f| f.parts(|p| p[1][0] ^= 1));
    book.damaged("block-flipped-zstd", "R4", "a bit of a zstd block's content", |f| {
        f.parts(|p| *p[2].last_mut().expect("bytes") ^= 1);
    });
    book.damaged("block-digest", "R4", "a digest in the table that is not the block's", |f| f.blocks[0].digest[9] ^= 2);
    book.damaged("blocks-swapped", "R4", "two blocks in each other's place", |f| f.parts(|p| p.swap(1, 2)));
    book.damaged("blocks-stored-length", "F23", "stored lengths that do not add up", |f| f.blocks[1].stored_len += 1);
    book.damaged("blocks-border-moved", "F25", "a byte of the first block given to the second", |f| {
        let (last, digest) = (f.blocks[0].stored[8], sha(&f.blocks[0].stored[..8]));
        (f.blocks[0].stored_len, f.blocks[0].plain_len, f.blocks[0].digest) = (8, 8, digest);
        let second = [&[last], &f.blocks[1].stored[..]].concat();
        f.blocks[1].stored_len += 1;
        f.blocks[1].digest = sha(&second);
    });
    book.damaged("blocks-of-root", "F23", "blocks_len of the carriage root one too large", |f| {
        f.carriage(|r| r.set(3, V::U(r.get(3).expect("there").number() + 1)));
    });
    book.damaged("blocks-count-of-root", "F23", "one block too many in the carriage root", |f| {
        f.carriage(|r| r.set(2, V::U(3)));
    });
    book.damaged("chunks-count-of-root", "F25", "one chunk too few in the carriage root", |f| {
        f.carriage(|r| r.set(4, V::U(3)));
    });
    book.damaged("scratch-without-feature", "F14", "scratch space in a bundle that is no delta", |f| {
        f.carriage(|r| r.set(5, V::U(1)));
    });
    book.damaged("block-codec-unknown", "F24", "codec 3", |f| f.blocks[0].codec = 3);
    book.damaged("block-codec-patch", "F15", "codec 2, patch, without its feature", |f| f.blocks[1].codec = 2);
    book.damaged("block-reserved", "F16", "a reserved byte of a block's row", |f| f.blocks[0].zero[2] = 1);
    book.damaged("block-plain-0", "F24", "a block of no bytes, and no chunk in it", |f| {
        f.blocks.push(Block::raw(&[], 0));
    });
    book.damaged("block-no-chunks", "F25", "a block without chunks that has a byte", |f| {
        f.blocks.push(Block::raw(b"x", 0));
    });
    book.unsupported("block-too-large", "F24", "a block of 16 MiB and a byte", |f| {
        let zeroes = vec![0; 8 << 20];
        let more = [&zeroes[..], &[0]].concat();
        *f = Forge::new(&[(1, &[&zeroes, &more])], &[("x", &[(0, 2)])]);
    });
    book.unsupported("block-claims-4-gib", "F24", "a short block that claims 4 GiB", |f| {
        f.blocks[1].plain_len = u32::MAX;
    });
    book.damaged("block-raw-longer", "F24", "a raw block longer than its plain length", |f| {
        let stored = [&f.blocks[0].stored[..], b"!"].concat();
        f.blocks[0].set(stored);
    });
    book.damaged("block-raw-called-zstd", "F24", "a raw block under codec 1", |f| f.blocks[0].codec = 1);
    book.damaged("block-zstd-called-raw", "F24", "a zstd block under codec 0", |f| f.blocks[1].codec = 0);
    book.damaged("block-zstd-not-shorter", "F24", "a frame longer than what it holds", |f| {
        let frame = zstd(&f.blocks[0].stored);
        f.blocks[0].codec = 1;
        f.blocks[0].set(frame);
    });
    let n = 600;
    let good = frame(&[0xa0], n);
    for (name, comment, stored) in [
        ("garbage", "codec 1 and no frame", vec![0x5a; 40]),
        ("no-size", "a frame without length", {
            [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58][..], &zstd_blocks(&vec![b'w'; n])].concat()
        }),
        ("shorter", "a frame of a byte less", zstd(&vec![b'w'; n - 1])),
        ("longer", "a frame of a byte more", zstd(&vec![b'w'; n + 1])),
        ("size-lies", "a frame that announces its length and holds more", {
            [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0x58, 2, 0, 0][..], &zstd_blocks(&vec![b'w'; n + 50])].concat()
        }),
        ("bomb", "a frame that announces its length and holds 10 MiB", {
            [&[0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x58, 0x58, 2, 0, 0][..], &zstd_blocks(&vec![0; 10 << 20])].concat()
        }),
        ("two-frames", "two frames", [zstd(&vec![b'w'; 300]), zstd(&vec![b'w'; 300])].concat()),
        ("skippable-after", "a skippable frame after", [&good[..], b"\x5f\x2a\x4d\x18\x01\0\0\0x"].concat()),
        ("dictionary", "a dictionary", {
            let size = (n as u32).to_le_bytes();
            [&[0x28, 0xb5, 0x2f, 0xfd, 0xa3, 1, 0, 0, 0][..], &size, &zstd_blocks(&vec![b'w'; n])].concat()
        }),
        ("reserved-block", "a block of the reserved type", {
            let mut f = good.clone();
            f[9] |= 6;
            f
        }),
        ("magic", "the magic of an old version of zstd", [&[0x27][..], &good[1..]].concat()),
    ] {
        book.damaged_of(packed(stored, n), &format!("block-zstd-{name}"), "F24", comment, |_| {});
    }
}

fn chunks(book: &mut Book) {
    book.damaged("chunk-length-0", "F25", "a chunk of no bytes, between others", |f| {
        f.blocks[0].chunks += 1;
        f.chunks.insert(1, (sha(&[]), 0));
        for (n, runs) in [(0, vec![(0, 1)]), (1, vec![(1, 3)]), (2, vec![(0, 1), (3, 2)])] {
            *of(f, n) = runs.into_iter().map(|(a, b)| segment(a, b)).collect();
        }
    });
    book.unsupported("chunk-too-large", "F25", "a chunk of 16 MiB and a byte", |f| f.chunks[2].1 = (16 << 20) + 1);
    book.damaged("chunks-do-not-fill", "F25", "chunks that add up to a byte more than their block", |f| {
        f.chunks[3].1 += 1;
    });
    book.damaged("chunks-moved", "F25", "a byte of one block's chunk given to the next block's", |f| {
        f.chunks[1].1 -= 1;
        f.chunks[2].1 += 1;
    });
    book.damaged("chunks-of-block", "F25", "a block that claims a chunk of the next", |f| {
        f.blocks[0].chunks += 1;
        f.blocks[1].chunks -= 1;
    });
    book.damaged("chunks-sum-overflows", "F25", "numbers of chunks that add up modulo 2^32", |f| {
        f.blocks[0].chunks = u32::MAX;
        f.blocks[1].chunks = 5;
    });
}

fn recipes(book: &mut Book) {
    book.damaged("blob-digest", "R4", "a chunk with other bytes than the blob has, all other digests honest", |f| {
        f.blocks[0].set(b"ho\nthere\n".to_vec());
        f.chunks[0].0 = sha(b"ho\n");
    });
    book.damaged("blob-digest-spliced", "R4", "two recipes of blobs of equal length swapped", |f| {
        *f = Forge::files(&[("a", "one"), ("b", "two")]);
        f.recipes.swap(0, 1);
        let numbers: Vec<V> = f.recipes.iter_mut().map(|r| r.items()[0].clone()).collect();
        f.recipes[0].items()[0] = numbers[1].clone();
        f.recipes[1].items()[0] = numbers[0].clone();
        let segments: Vec<V> = f.recipes.iter_mut().map(|r| r.items()[1].clone()).collect();
        f.recipes[0].items()[1] = segments[1].clone();
        f.recipes[1].items()[1] = segments[0].clone();
        let numbers: Vec<V> = f.recipes.iter_mut().map(|r| r.items()[0].clone()).collect();
        f.recipes[0].items()[0] = numbers[1].clone();
        f.recipes[1].items()[0] = numbers[0].clone();
    });
    book.damaged("blob-length", "F26", "a blob a byte longer than its chunks, totals with it", |f| f.blobs[0].1 += 1);
    book.damaged("recipe-missing", "F26", "no recipe of the empty blob", |f| drop(f.recipes.pop()));
    book.damaged("recipe-twice", "F26", "a recipe twice", |f| {
        let again = f.recipes[0].clone();
        f.recipes.push(again);
    });
    book.damaged("recipe-blob-out-of-range", "F26", "a recipe of the blob after the last", |f| {
        f.recipes.push(V::A(vec![V::U(4), V::A(vec![])]));
    });
    book.damaged("recipe-blob-huge", "F26", "a recipe of blob 2^64-1", |f| {
        f.recipes.push(V::A(vec![V::U(u64::MAX), V::A(vec![])]));
    });
    book.damaged("recipe-count-0", "F26", "a segment of no chunks", |f| of(f, 0).push(segment(0, 0)));
    book.damaged("recipe-empty-blob", "F26", "a segment of no chunks for the empty blob", |f| {
        of(f, 3).push(segment(0, 0));
    });
    book.damaged("recipe-overflow", "F26", "a segment whose end is beyond 2^64", |f| {
        of(f, 0)[0] = segment(1, u64::MAX);
    });
    book.damaged("recipe-out-of-range", "F26", "a segment that ends after the last chunk", |f| {
        of(f, 2)[1] = segment(2, 3);
    });
    book.damaged("recipe-length", "F26", "a recipe that gives a chunk too few, which a later one uses", |f| {
        *f = Forge::files(&[("a", "1"), ("b", "2")]);
        of(f, 0).push(segment(1, 1));
        of(f, 1)[0] = segment(1, 1);
    });
    book.damaged("recipe-segment-base", "F15", "a base segment without its feature", |f| {
        of(f, 3).push(V::A(vec![V::U(3)]));
    });
    book.damaged("recipe-segment-replay", "F15", "a segment of kind 1 without its feature", |f| {
        of(f, 0)[0] = V::A(vec![V::U(1), V::U(0), V::U(1)]);
    });
    book.damaged("recipe-segment-unknown", "F26", "a segment of kind 4", |f| {
        of(f, 0)[0] = V::A(vec![V::U(4), V::U(0), V::U(1)]);
    });
    book.damaged("recipe-segment-long", "F9", "a segment of four items", |f| {
        of(f, 0)[0] = V::A(vec![V::U(0), V::U(0), V::U(1), V::U(0)]);
    });
    book.damaged("recipes-order", "F27", "a recipe whose chunk was not used before it comes first", |f| {
        f.recipes.swap(0, 1);
    });
    book.damaged("recipes-segments-order", "F27", "new chunks in the order 1, 0 in one recipe", |f| {
        *f = Forge::new(&[(0, &[b"one", b"two"])], &[("a", &[(0, 2)])]);
        *of(f, 0) = vec![segment(1, 1), segment(0, 1)];
        let content = sha(b"twoone");
        f.blobs[0].0 = content;
    });
    book.damaged("recipes-gap", "F27", "a chunk that is jumped over and used in no recipe", |f| {
        *f = Forge::new(&[(0, &[b"one", b"two", b"three"])], &[("a", &[(0, 1), (2, 1)])]);
    });
    book.damaged("chunk-unused", "F27", "a last chunk that no recipe uses", |f| {
        *f = Forge::new(&[(0, &[b"one", b"two"])], &[("a", &[(0, 1)])]);
    });
    book.damaged("block-unused", "F27", "a last block that no recipe uses", |f| {
        *f = Forge::new(&[(0, &[b"one"]), (0, &[b"two"])], &[("a", &[(0, 1)])]);
    });
}
