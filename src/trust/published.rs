//! Ed25519 edge cases that others *published*, each judged as `spec/trust.md`, sections "Keys" and "The SSHSIG profile", says.
//!
//! The files lie in `testdata/published/`, as their authors wrote them, with where they come from.

use super::key::{KeyError, PublicKey};
use super::sshsig::check;
use super::wire::put_string;
use serde_json::Value;

fn file(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/published").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).expect("JSON")
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a string");
    (0..text.len()).step_by(2).map(|n| u8::from_str_radix(&text[n..n + 2], 16).expect("hex")).collect()
}

fn public(point: &[u8]) -> Result<PublicKey, KeyError> {
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519");
    put_string(&mut blob, point);
    PublicKey::from_blob(&blob)
}

/// Rule 2 of "Keys" and rule 3 of the profile: keys of small order, in a second form, or with a part of small order are
/// refused when they are read; of the rest, R of small order or in a second form, and equations that hold only with the
/// cofactor, are refused when a signature is checked.
#[test]
fn points_of_small_order_and_second_forms() {
    let (mut keys, mut signatures, mut good) = (0, 0, 0);
    let vectors = file("cctv/ed25519vectors.json");
    let vectors = vectors.as_array().expect("a list");
    for v in vectors {
        let flags: Vec<&str> = v["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let has = |flag: &str| flags.contains(&flag);
        let bad_key = has("low_order_A") || has("non_canonical_A") || has("low_order_component_A");
        let bad_signature =
            has("low_order_R") || has("non_canonical_R") || has("low_order_residue") || has("reencoded_k");
        let message = v["msg"].as_str().expect("a message").as_bytes();
        match public(&hex(&v["key"])) {
            Err(e) => {
                assert!(bad_key, "{v}: {e}");
                keys += 1;
            }
            Ok(key) => {
                let done = check(&key.point, &hex(&v["sig"]), message);
                assert!(!bad_key && done.is_err() == bad_signature, "{v}: {done:?}");
                *(if bad_signature { &mut signatures } else { &mut good }) += 1;
            }
        }
    }
    assert_eq!((vectors.len(), keys, signatures, good), (914, 886, 27, 1));
}

/// S beyond the group's order, signatures that are cut, padded or stretched, and honest ones: as their authors say.
#[test]
fn signatures_that_are_bent() {
    let mut seen = [0, 0];
    for group in file("wycheproof/ed25519_test.json")["testGroups"].as_array().expect("groups") {
        let key = public(&hex(&group["publicKey"]["pk"])).expect("honest keys");
        for test in group["tests"].as_array().expect("tests") {
            let valid = test["result"] == "valid";
            let done = check(&key.point, &hex(&test["sig"]), &hex(&test["msg"]));
            assert_eq!(done.is_ok(), valid, "{test}: {done:?}");
            seen[usize::from(valid)] += 1;
        }
    }
    assert_eq!(seen, [63, 88]);
}
