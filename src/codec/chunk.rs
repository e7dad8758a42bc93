//! A *chunk* is a run of bytes known by its digest: the unit of sharing.
//!
//! Where to cut is the packer's policy and no part of reading; the parameters are frozen by golden boundaries below,
//! because sharing across versions depends on them. See `spec/rationale.md`, section "Chunking".

/// Least, average and greatest length of a chunk, in bytes.
pub const MIN: usize = 8 << 10;
/// See [`MIN`].
pub const AVERAGE: usize = 32 << 10;
/// See [`MIN`].
pub const MAX: usize = 128 << 10;

/// Length of the first chunk of `data` (fastcdc v2020). Give at least [`MAX`] bytes unless the blob ends before.
pub fn first_cut(data: &[u8]) -> usize {
    if data.len() <= MIN {
        return data.len();
    }
    let cutter = fastcdc::v2020::FastCDC::new(data, MIN, AVERAGE, MAX);
    let (_, end) = cutter.cut(0, data.len());
    end.clamp(1, data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_boundaries() {
        let mut x = 0x9e3779b97f4a7c15u64;
        let data: Vec<u8> = (0..1_000_000)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                (x >> 24) as u8
            })
            .collect();
        let mut cuts = Vec::new();
        let mut at = 0;
        while at < data.len() {
            at += first_cut(&data[at..]);
            cuts.push(at);
        }
        assert_eq!(cuts, GOLDEN);
        assert!(cuts.windows(2).all(|w| w[1] - w[0] <= MAX));
    }

    const GOLDEN: [usize; 26] = [
        37531, 80865, 131409, 164909, 205484, 251064, 311212, 344703, 397515, 438365, 464840, 477054, 501472, 522979,
        619882, 679019, 705212, 742006, 785088, 821043, 872218, 894220, 920500, 932239, 973677, 1000000,
    ];
}
