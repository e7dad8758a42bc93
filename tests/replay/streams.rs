//! Recognise, replay from checkpoints, and lies.
use crate::common::{Case, Random, SHAPES, shape, zlib};
use pouch::replay::family::Identity;
use pouch::replay::recognise::{Options, recognise};
use pouch::replay::stream::Stream;
use pouch::replay::{Checkpoint, list};
use proptest::prelude::*;

fn again(stream: &Stream, plain: &[u8], threads: usize) -> Vec<u8> {
    let mut out = Vec::new();
    stream.replay(plain, threads, 1 << 20, &mut |b| std::io::Write::write_all(&mut out, b)).unwrap();
    out
}

fn options(threads: usize) -> Options {
    Options { spacing: 64 << 10, threads, ..Options::default() }
}

#[test]
fn what_zlib_made_is_recognised_and_replayed() {
    for name in SHAPES {
        let plain = shape(name, 2_000_000, 3);
        let mut cases: Vec<Case> = Vec::new();
        for (level, memory) in [(1, 8), (4, 8), (6, 8), (6, 9), (9, 9)] {
            if name == "few" && level == 9 {
                continue;
            }
            cases.push(([level, memory, 15, 0, 1 << 16], &plain));
        }
        cases.push(([6, 8, 15, 0, 1 << 16], &[]));
        cases.push(([6, 8, 15, 0, 1 << 16], &plain[..100]));
        for ((params, plain), real) in cases.iter().zip(zlib(&cases)) {
            let stream = recognise(&real[..], *plain, &options(2)).unwrap();
            let stream = stream.unwrap_or_else(|| panic!("{name} {params:?} not recognised"));
            assert_eq!(Some(&stream), recognise(&real[..], *plain, &options(1)).unwrap().as_ref());
            for threads in [1, 2, 3] {
                assert!(again(&stream, plain, threads) == real, "{name} {params:?} {threads}");
            }
            let row = stream.identity.row();
            assert_eq!(Identity::parse(&row).unwrap(), stream.identity);
            let bytes = list::encode(&stream.checkpoints);
            let state = stream.identity.family().state;
            assert_eq!(list::decode(&bytes, state, stream.plain, stream.compressed).unwrap(), stream.checkpoints);
        }
    }
}

#[test]
fn a_stream_that_differs_later_is_not_recognised() {
    let plain = shape("text", 1_500_000, 4);
    let real = &zlib(&[([6, 8, 15, 0, 1 << 16], &plain)])[0];
    for at in [real.len() / 2, real.len() - 2] {
        let mut other = real.clone();
        other[at] ^= 1;
        assert!(recognise(&other[..], &plain[..], &options(1)).unwrap().is_none());
    }
    assert!(recognise(&real[..real.len() - 1], &plain[..], &options(1)).unwrap().is_none());
    assert!(recognise(&[real, &[0u8][..]].concat()[..], &plain[..], &options(1)).unwrap().is_none());
    assert!(recognise(&[][..], &plain[..], &options(1)).unwrap().is_none());
}

#[test]
fn lies_end_in_errors_and_never_in_more_bytes() {
    let plain = shape("mixed", 500_000, 5);
    let real = &zlib(&[([6, 8, 15, 0, 1 << 16], &plain)])[0];
    let stream = recognise(&real[..], &plain[..], &options(1)).unwrap().unwrap();
    assert!(stream.checkpoints.len() > 3);
    let mut random = Random(77);
    for _ in 0..300 {
        let mut lie = stream.clone();
        for _ in 0..1 + random.below(3) {
            let i = random.below(lie.checkpoints.len() as u64) as usize;
            let n = if random.below(2) == 0 { random.below(70_000) } else { random.next() };
            match random.below(8) {
                0 => lie.compressed = random.below(2 * real.len() as u64),
                1 => lie.checkpoints[i].plain = n.min(plain.len() as u64),
                2 => lie.checkpoints[i].bits = n,
                3 => drop(lie.checkpoints.remove(i)),
                k => lie.checkpoints[i].state[k as usize - 4] = n as u32,
            }
            if lie.checkpoints.is_empty() {
                break;
            }
        }
        let mut made = 0;
        let done = lie.replay(&plain[..], 1 + random.below(2) as usize, 1 << 18, &mut |b| {
            made += b.len() as u64;
            Ok(())
        });
        assert!(made <= lie.compressed, "{made} bytes of {}", lie.compressed);
        if done.is_ok() {
            assert_eq!(made, lie.compressed);
        }
    }
}

#[test]
fn a_sink_that_fails_ends_the_replay() {
    let plain = shape("random", 4_000_000, 5);
    let real = &zlib(&[([6, 8, 15, 0, 1 << 16], &plain)])[0];
    let stream = recognise(&real[..], &plain[..], &options(1)).unwrap().unwrap();
    for threads in [1, 2, 4] {
        let mut made = 0;
        let mut sink = |b: &[u8]| {
            made += b.len();
            if made > 500_000 { Err(std::io::Error::other("full")) } else { Ok(()) }
        };
        assert!(stream.replay(&plain[..], threads, 1 << 20, &mut sink).is_err());
    }
}

/// Rows of every family whose encoders can be restarted.
const ROWS: [&[u32]; 9] = [
    &[1, 6, 8, 15, 0],
    &[1, 4, 1, 9, 0],
    &[1, 9, 9, 12, 1],
    &[1, 6, 8, 15, 2],
    &[1, 6, 9, 10, 3],
    &[2, 6],
    &[3, 2, 0],
    &[3, 6, 1],
    &[4, 6, 8, 15, 0, 3],
];

#[test]
fn no_state_makes_an_encoder_panic() {
    let mut random = Random(5);
    let plain = shape("mixed", 200_000, 6);
    let mut started = 0;
    for round in 0..4000 {
        let row = ROWS[round % ROWS.len()];
        let identity = Identity::parse(row).unwrap();
        let from = random.below(140_000) & if round % 2 == 0 { !511 } else { !0 };
        let mut state: Vec<u32> = (0..identity.family().state).map(|_| random.next() as u32).collect();
        if let [index, pending, length, distance] = state.as_mut_slice() {
            let window = if row[0] == 2 { 15 } else { row[3] };
            *pending &= 1;
            *index = (from as u32 + *pending) % (2 << window);
            if random.below(2) == 0 && *index > 1 << window {
                *index -= 1 << window;
            }
            (*length, *distance) = if *pending == 1 { (3 + *length % 256, 1 + *distance % 250) } else { (2, 1) };
        }
        let from = if row[0] == 3 { 131_072 } else { from };
        let at = Checkpoint { plain: from, bits: random.below(1 << 20) & if row[0] == 3 { !7 } else { !0 }, state };
        let before = &plain[from.saturating_sub(65_536) as usize..from as usize];
        let Ok(mut encoder) = identity.start(Some((&at, before))) else { continue };
        started += 1;
        let mut out = pouch::replay::bits::BitWriter::after(0, (at.bits % 8) as u32);
        let end = (from + random.below(if round % 3 == 0 { 300 } else { 60_000 })) as usize;
        for part in plain[from as usize..end].chunks(1 + random.below(40_000) as usize) {
            encoder.write(part, &mut out);
            encoder.checkpoint();
        }
        encoder.finish(&mut out);
    }
    assert!(started > 1000, "{started}");
}

#[test]
fn the_pieces_a_restarted_encoder_is_fed_do_not_matter() {
    let plain = shape("text", 300_000, 14);
    for row in ROWS {
        let real = crate::common::encode(row, &plain, 1 << 20);
        let identity = Identity::parse(row).unwrap();
        let mut encoder = identity.start(None).unwrap();
        let mut out = pouch::replay::bits::BitWriter::default();
        let mut places = Vec::new();
        for part in plain.chunks(1000) {
            encoder.write(part, &mut out);
            places.extend(encoder.checkpoint());
        }
        for at in places.iter().step_by(5) {
            for feed in [1, 300, 70_000] {
                let from = at.plain as usize;
                let mut encoder = identity.start(Some((at, &plain[from.saturating_sub(32_768)..from]))).unwrap();
                let mut out = pouch::replay::bits::BitWriter::after(0, (at.bits % 8) as u32);
                for part in plain[from..].chunks(feed) {
                    encoder.write(part, &mut out);
                }
                encoder.finish(&mut out);
                let made = out.take();
                let want = &real[at.bits as usize / 8..];
                assert_eq!((made.len(), made[1..] == want[1..]), (want.len(), true), "{row:?} {feed} {at:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn lists_are_read_as_written(rows in proptest::collection::vec((65_536u64..1 << 40, 1u64..1 << 40, any::<[u32; 4]>()), 0..20)) {
        let (mut plain, mut bits) = (0, 0);
        let rows: Vec<Checkpoint> = rows.iter().map(|(p, b, s)| {
            plain += p;
            bits += b;
            Checkpoint { plain, bits, state: s.to_vec() }
        }).collect();
        let bytes = list::encode(&rows);
        prop_assert_eq!(list::decode(&bytes, 4, u64::MAX / 8, u64::MAX / 8).unwrap(), rows);
    }

    #[test]
    fn any_bytes_are_refused_or_are_a_list(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(rows) = list::decode(&bytes, 4, u64::MAX / 8, u64::MAX / 8) {
            prop_assert_eq!(list::encode(&rows), bytes);
        }
    }

    #[test]
    fn any_bytes_have_an_opening_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = pouch::replay::inflate::Opening::read(&bytes);
    }
}
