//! Inputs of many shapes, the same everywhere: `testdata/replay/go/README.md` says how they are made.
#![allow(dead_code, missing_docs)]

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `most` - 1.
    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

pub const SHAPES: [&str; 9] = ["zeros", "random", "text", "skewed", "period", "records", "sparse", "far", "mixed"];

/// `size` bytes of a shape.
pub fn shape(name: &str, size: usize) -> Vec<u8> {
    let seed = name.bytes().fold(size as u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut random = Random(seed);
    let mut out = Vec::with_capacity(size + 300);
    if name == "zeros" {
        out.resize(size, 0);
    }
    let words: Vec<Vec<u8>> = (0..800)
        .map(|_| (0..2 + random.below(8)).map(|_| b'a' + random.below(26).min(random.below(26)) as u8).collect())
        .collect();
    while out.len() < size {
        let kind = if name == "mixed" { SHAPES[random.below(8) as usize] } else { name };
        let until = out.len() + if name == "mixed" { 1 + random.below(9000) as usize } else { size };
        while out.len() < until.min(size) {
            match kind {
                "zeros" => out.push(0),
                "random" => out.push(random.next() as u8),
                "text" => {
                    let pick = random.below(800).min(random.below(800)).min(random.below(800));
                    out.extend(&words[pick as usize]);
                    out.push(if random.below(12) == 0 { b'\n' } else { b' ' });
                }
                "skewed" => out.push(random.below(64).min(random.below(64)).min(random.below(256)) as u8),
                "period" => out.push((out.len() % 251 + out.len() / 40_000) as u8),
                "records" => {
                    let id = (out.len() / 16) as u32;
                    out.extend(id.to_le_bytes());
                    out.extend((random.below(1000) as u16).to_be_bytes());
                    out.extend([0, 0, 255, 255, random.below(4) as u8, 7, 0, 0, 0, 0]);
                }
                "sparse" => {
                    out.extend(std::iter::repeat_n(0, random.below(600) as usize));
                    out.push(random.next() as u8);
                }
                // Copies from about a window back, between short runs of new bytes.
                _ => {
                    let back = [32_767, 32_768, 32_769, 32_506, 4_096, 4_097, 1, 3, 20_000][random.below(9) as usize];
                    let length = [3, 4, 5, 8, 30, 257, 258, 259, 700][random.below(9) as usize];
                    if back <= out.len() {
                        for _ in 0..length {
                            out.push(out[out.len() - back]);
                        }
                    }
                    for _ in 0..random.below(12) {
                        out.push(random.next() as u8);
                    }
                }
            }
        }
    }
    out.truncate(size);
    out
}

/// Sizes around what the encoders count to.
pub const SIZES: [usize; 34] = [
    0, 1, 2, 3, 4, 5, 12, 13, 16, 17, 32, 33, 127, 128, 129, 1025, 4000, 16_384, 16_385, 32_767, 32_768, 32_769,
    65_273, 65_275, 65_534, 65_535, 65_536, 65_551, 65_663, 98_304, 131_070, 131_071, 196_700, 330_000,
];
