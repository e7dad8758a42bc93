//! The golden vectors: what real encoders made, frozen. See `testdata/replay/README.md`.
use crate::common::{encode, shape};
use sha2::{Digest, Sha256};

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn golden_vectors() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/replay");
    let table = std::fs::read_to_string(format!("{dir}/vectors.txt")).unwrap();
    let mut count = 0;
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [row, name, len, seed, plain_hash, made_len, made_hash] = fields[..] else { panic!("{line}") };
        let numbers: Vec<u32> = row.split(',').map(|n| n.parse().unwrap()).collect();
        let plain = shape(name, len.parse().unwrap(), seed.parse().unwrap());
        assert_eq!(hex(&plain), plain_hash, "{line}");
        let made = encode(&numbers, &plain, 4096);
        assert_eq!((made.len().to_string().as_str(), hex(&made).as_str()), (made_len, made_hash), "{line}");
        if let Ok(real) = std::fs::read(format!("{dir}/{}.deflate", row.replace(',', "-"))) {
            assert!((name, len) != ("text", "6000") || made == real, "{line}");
        }
        count += 1;
    }
    assert!(count > 200, "{count}");
}
