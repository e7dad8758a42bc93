//! zlib streams, made by the interpreter's zlib on the spot and replayed.
use crate::common::{Case, SHAPES, differ, encode, shape, zlib};

fn check(cases: &[Case]) {
    for ((params, plain), real) in cases.iter().zip(zlib(cases)) {
        for piece in [plain.len(), 5000] {
            let row: Vec<u32> = [1].iter().chain(&params[..4]).copied().collect();
            let made = encode(&row, plain, piece);
            assert_eq!(differ(&made, &real), None, "{params:?}, {} bytes, by {piece}", plain.len());
        }
    }
}

#[test]
fn every_level_and_memory_level_on_every_shape() {
    for name in SHAPES {
        let plain = shape(name, 100_000, 7);
        let mut cases: Vec<Case> = Vec::new();
        for level in 1..=9 {
            for memory in 1..=9 {
                if memory % 2 == 1 && memory != 9 && level != 6 && level != 1 {
                    continue;
                }
                if name == "few" && level > 7 && memory != 8 {
                    continue; // four letters at level 9 take long
                }
                cases.push(([level, memory, 15, 0, 1 << 30], &plain));
            }
        }
        check(&cases);
    }
}

#[test]
fn windows_and_strategies() {
    for name in SHAPES {
        let plain = shape(name, 150_000, 8);
        let mut cases: Vec<Case> = Vec::new();
        for window in 9..=15 {
            for level in [1, 3, 4, 6] {
                cases.push(([level, 8, window, 0, 1 << 30], &plain));
                cases.push(([level, 9, window, 0, 1 << 30], &plain));
            }
        }
        for strategy in 1..=4 {
            for level in [1, 6, 9] {
                for memory in [1, 8, 9] {
                    cases.push(([level, memory, 15, strategy, 1 << 30], &plain));
                }
            }
        }
        check(&cases);
    }
}

#[test]
fn sizes_around_the_limits() {
    let plain = shape("mixed", 140_000, 9);
    let noise = shape("random", 140_000, 9);
    let mut cases: Vec<Case> = Vec::new();
    let near = [
        0usize, 1, 2, 3, 4, 5, 258, 259, 262, 263, 264, 16_383, 32_506, 32_768, 65_274, 65_275, 65_536, 98_042, 131_072,
    ];
    for at in near {
        for len in at.saturating_sub(3)..at + 4 {
            for (level, memory) in [(1, 8), (6, 8), (6, 9), (9, 9)] {
                cases.push(([level, memory, 15, 0, 1 << 30], &plain[..len]));
                cases.push(([level, memory, 15, 0, 1 << 30], &noise[..len]));
            }
            cases.push(([6, 9, 15, 2, 1 << 30], &noise[..len]));
            cases.push(([6, 9, 15, 3, 1 << 30], &noise[..len]));
        }
    }
    check(&cases);
}

#[test]
fn the_pieces_callers_write_do_not_matter() {
    let plain = shape("mixed", 1_000_000, 10);
    let mut cases: Vec<Case> = Vec::new();
    for piece in [512, 4096, 8192, 10_240, 16_384, 32_768, 65_536, 1 << 20] {
        for (level, memory) in [(1, 8), (6, 8), (6, 9), (9, 8)] {
            cases.push(([level, memory, 15, 0, piece], &plain));
        }
    }
    check(&cases);
}
