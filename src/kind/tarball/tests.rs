use super::build::{member, tar};
use super::*;

fn names(mut plain: &[u8]) -> Result<Vec<String>, KindError> {
    let mut out = Vec::new();
    visit(&mut plain, "the tar", |name, _, _| {
        out.push(name.to_owned());
        Ok(())
    })?;
    Ok(out)
}

#[test]
fn long_names() {
    let long = format!("{}/f", "d".repeat(200));
    assert_eq!(names(&tar(&[("./a", b"1"), (&long, b"2"), ("b", b"3")])).expect("gnu"), ["a", &long, "b"]);
    let pax = [member(b'x', b"pax", b"14 path=other\n"), member(b'0', b"a", b"1"), member(b'0', b"b", b"")].concat();
    assert_eq!(names(&pax).expect("pax"), ["other", "b"]);
}

#[test]
fn refuses_what_readers_disagree_about() {
    let check = |bytes: Vec<u8>, why: &str| assert!(names(&bytes).is_err(), "{why}");
    let with = |pax: &[u8]| [member(b'x', b"pax", pax), member(b'0', b"a", b"1")].concat();
    check(with(b"10 size=0\n"), "size");
    for bad in [b"99 path=a\n".as_slice(), b"0 path=a\n", b"path=a\n", b"9 path=a", b"7 path\n", b"\xff", b" "] {
        check(with(bad), "malformed pax");
    }
    check([member(b'g', b"pax", b"10 path=a\n"), member(b'0', b"a", b"1")].concat(), "global path");
    check(member(b'S', b"a", b""), "sparse");
    check(member(b'0', b"\xff", b""), "not UTF-8");
    let long = vec![b'a'; usize::try_from(limits::TAR_EXTENSION).expect("usize") + 1];
    check([member(b'L', b"long", &long), member(b'0', b"a", b"1")].concat(), "endless name");
}

#[test]
fn scans_no_further_than_its_limit() {
    let scan = |left| {
        let mut out = Vec::new();
        Bounded { inner: [7u8; 100].as_slice(), left }.read_to_end(&mut out).map_err(|e| broken("the tar", e))
    };
    assert!(matches!(scan(100), Ok(100)));
    assert!(matches!(scan(99), Err(KindError::TooLarge { .. })));
}

#[test]
fn no_flip_or_truncation_panics() {
    let good = [member(b'x', b"pax", b"14 path=other\n"), member(b'0', b"a", b"1"), tar(&[("b", b"2")])].concat();
    for n in 0..good.len() {
        let _ = names(&good[..n]);
        let mut bad = good.clone();
        bad[n] ^= 0xff;
        let _ = names(&bad);
    }
}
