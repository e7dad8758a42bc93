use super::sample::{CONTROL, ar, compress, deb, deb_of_tar, tar};
use super::*;
use std::io::Cursor;

/// What is tried, and the members or files it is tried with.
type Case<'a> = (&'a str, &'a [(&'a str, &'a [u8])]);

fn read(bytes: &[u8]) -> Result<DebFacts, KindError> {
    facts(&mut Cursor::new(bytes), bytes.len() as u64)
}

struct One(Vec<u8>);
impl BlobReader for One {
    fn open(&self, _: &Blob) -> Result<Box<dyn crate::kind::ReadSeek + '_>, KindError> {
        Ok(Box::new(Cursor::new(&self.0[..])))
    }
    fn find(&self, _: &crate::digest::Digest) -> Option<Blob> {
        None
    }
}

fn derived(control: &str) -> Result<Derived, KindError> {
    let bytes = deb(control.as_bytes());
    let path = crate::relpath::RelPath::new("x.deb").expect("path");
    let artifact = Artifact {
        kind: crate::model::Kind::Deb,
        name: String::new(),
        version: None,
        arch: None,
        root: path.clone(),
        path: Some(path),
        executable: false,
        blobs: vec![Blob::of(&bytes)],
        labels: vec![],
    };
    derive(&artifact, &One(bytes))
}

#[test]
fn reads_every_compression() {
    let inner = tar(&[("./control", CONTROL.as_bytes()), ("./postinst", b"#!/bin/sh\n"), ("./md5sums", b"")]);
    for (suffix, compression) in
        [("", Compression::None), (".gz", Compression::Gzip), (".xz", Compression::Xz), (".zst", Compression::Zstd)]
    {
        let f = read(&deb_of_tar(suffix, &inner)).expect(suffix);
        assert_eq!((f.control_compression, f.data_compression, f.data_len), (compression, Compression::Xz, 15));
        let names: Vec<_> = f.files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["md5sums", "postinst"]);
        assert_eq!(f.files[1].blob, Some(Blob::of(b"#!/bin/sh\n")));
        assert_eq!(f.field("depends"), Some("libc6 (>= 2.34),\n libjq1 (= 1.6)"));
        assert_eq!(f.field("Description"), Some("filter\n of JSON\n .\n  more"));
        assert_eq!(f.fields.last(), Some(&("X-Odd".into(), "1".into())));
        assert_eq!(crate::cbor::decode::<DebFacts>(&encode(&f)).expect("back"), f);
    }
    let d = derived(CONTROL).expect("derived");
    assert_eq!(
        (d.name.as_deref(), d.version.as_deref(), d.arch.as_deref()),
        (Some("jq"), Some("1:1.6~rc1+b2-2"), Some("amd64"))
    );
}

#[test]
fn links_and_names_without_dot_are_taken() {
    let mut b = tar::Builder::new(Vec::new());
    let mut h = tar::Header::new_gnu();
    h.set_entry_type(tar::EntryType::Directory);
    h.set_size(0);
    b.append_data(&mut h, "./", &b""[..]).expect("dir");
    let mut h = tar::Header::new_gnu();
    h.set_size(CONTROL.len() as u64);
    b.append_data(&mut h, "control", CONTROL.as_bytes()).expect("control");
    let mut h = tar::Header::new_gnu();
    h.set_entry_type(tar::EntryType::Symlink);
    h.set_size(0);
    b.append_link(&mut h, "prerm", "postinst").expect("link");
    let f = read(&deb_of_tar("", &b.into_inner().expect("tar"))).expect("read");
    assert_eq!(f.files, [ControlFile { name: "prerm".into(), blob: None, link: Some("postinst".into()) }]);
}

#[test]
fn the_shell_is_strict() {
    let control = compress(".gz", &tar(&[("./control", CONTROL.as_bytes())]));
    let (v, c, d) = (("debian-binary", &b"2.0\n"[..]), ("control.tar.gz", &control[..]), ("data.tar.zst", &b"d"[..]));
    let sig = ("_gpgorigin", &b"sig"[..]);
    let good: &[&[(&str, &[u8])]] = &[
        &[v, c, d],
        &[v, sig, c, sig, d, sig],
        &[("debian-binary/", b"2.1\nmore\n"), ("control.tar.gz/", &control), ("data.tar/", b"")],
    ];
    for members in good {
        assert!(read(&ar(members)).is_ok(), "{members:?}");
    }
    let many = vec![sig; limits::DEB_MEMBERS];
    let bad: &[Case<'_>] = &[
        ("nothing", &[]),
        ("no version", &[c, d]),
        ("version 3", &[("debian-binary", b"3.0\n"), c, d]),
        ("version 2", &[("debian-binary", b"2\n"), c, d]),
        ("version without newline", &[("debian-binary", b"2.0"), c, d]),
        ("huge version", &[("debian-binary", &[b'2'; 2000]), c, d]),
        ("no control", &[v, d]),
        ("no data", &[v, c]),
        ("order", &[v, d, c]),
        ("two controls", &[v, c, c, d]),
        ("two controls, other compression", &[v, c, ("control.tar.xz", b""), d]),
        ("control behind data", &[v, c, d, c]),
        ("two data", &[v, c, d, d]),
        ("unknown member", &[v, c, d, ("extra", b"")]),
        ("unknown compression", &[v, ("control.tar.lz4", &control), d]),
        ("bzip2 control", &[v, ("control.tar.bz2", &control), d]),
        ("long name table", &[("//", b"x/\n"), v, c, d]),
        ("BSD name", &[("#1/13", b"debian-binary2.0\n"), c, d]),
        ("empty name", &[v, ("", b""), c, d]),
        ("many", &many),
    ];
    for (what, members) in bad {
        assert!(read(&ar(members)).is_err(), "{what}");
    }
    let whole = ar(&[v, c, d]);
    for size in ["9999999999", "-1        ", "0x10      ", "          ", " 4        ", "18446744073"] {
        let mut bytes = whole.clone();
        bytes[8 + 48..8 + 58].copy_from_slice(&size.as_bytes()[..10]);
        assert!(read(&bytes).is_err(), "{size}");
    }
    assert!(read(&[&whole[..], b"junk"].concat()).is_err());
    assert!(read(&whole[..whole.len() - 1]).is_ok(), "the last padding may be missing");
}

#[test]
fn bombs_are_bounded() {
    let zeros = vec![0u8; limits::DEB_CONTROL as usize * 2];
    for suffix in [".gz", ".xz", ".zst"] {
        assert!(matches!(read(&deb_of_tar(suffix, &zeros)), Err(KindError::TooLarge { .. })), "{suffix}");
    }
    let control = vec![b'a'; limits::DEB_CONTROL_FILE as usize + 1];
    assert!(matches!(read(&deb(&control)), Err(KindError::TooLarge { .. })));
    let names: Vec<String> = (0..limits::DEB_CONTROL_ENTRIES + 1).map(|n| format!("./f{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b""[..])).collect();
    assert!(matches!(read(&deb_of_tar(".gz", &tar(&files))), Err(KindError::TooLarge { .. })));
    // A frame that asks for a window of 2 GiB and an xz header that asks for a dictionary of 4 GiB - 1.
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8][..], &[0x01, 0, 0]].concat();
    let members = |name, bytes| ar(&[("debian-binary", b"2.0\n"), (name, bytes), ("data.tar", b"")]);
    assert!(read(&members("control.tar.zst", &frame)).is_err());
    let mut xz = b"\xfd7zXZ\0\0\x01\x69\x22\xde\x36".to_vec();
    xz.extend_from_slice(&[0x02, 0x00, 0x21, 0x01, 40, 0, 0, 0]);
    assert!(read(&members("control.tar.xz", &xz)).is_err());
}

#[test]
fn the_control_member_is_strict() {
    let c = ("./control", CONTROL.as_bytes());
    let bad: &[Case<'_>] = &[
        ("no control", &[("./postinst", b"")]),
        ("two controls", &[c, c]),
        ("two controls, two spellings", &[c, ("control", CONTROL.as_bytes())]),
        ("two scripts", &[c, ("./postinst", b"a"), ("postinst", b"b")]),
        ("folder", &[c, ("./sub/x", b"")]),
        ("up", &[c, ("../x", b"")]),
        ("hidden spelling", &[c, (".//control", b"")]),
        ("escape", &[c, ("./a\x1b", b"")]),
    ];
    for (what, files) in bad {
        for suffix in ["", ".gz"] {
            assert!(read(&deb_of_tar(suffix, &tar(files))).is_err(), "{what}");
        }
    }
    let one = tar(&[c]);
    let behind = [&one[..], &tar(&[("./control", b"Package: evil\n")])].concat();
    assert!(read(&deb_of_tar("", &behind)).is_err(), "a second archive behind the first");
    assert!(read(&deb_of_tar("", &one[..700])).is_err(), "truncated");
    let gz = compress(".gz", &one);
    let junk = [&gz[..], b"junk"].concat();
    assert!(read(&ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &junk), ("data.tar", b"")])).is_err());
    let mut sparse = tar::Header::new_gnu();
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    sparse.set_path("control").expect("path");
    sparse.set_size(0);
    sparse.as_gnu_mut().expect("gnu").realsize = *b"77777777777\0";
    sparse.set_cksum();
    let mut b = tar::Builder::new(Vec::new());
    b.append(&sparse, &b""[..]).expect("sparse");
    assert!(read(&deb_of_tar("", &b.into_inner().expect("tar"))).is_err());
}

#[test]
fn control_files_are_strict() {
    let base = "Package: jq\nVersion: 1\nArchitecture: all\n";
    assert!(derived(&format!("{base}\n\n")).is_ok(), "empty lines at the end");
    assert!(derived(&format!("{base}Depends:\n")).is_ok(), "empty value");
    let bad = [
        ("empty", String::new()),
        ("no newline", base.trim_end().into()),
        ("CRLF", base.replace('\n', "\r\n")),
        ("NUL", format!("{base}X: \0\n")),
        ("escape", format!("{base}X: \x1b[2J\n")),
        ("C1", format!("{base}X: \u{9b}\n")),
        ("twice", format!("{base}X: 1\nX: 2\n")),
        ("twice in another case", format!("{base}package: evil\n")),
        ("second paragraph", format!("{base}\nPackage: evil\n")),
        ("leading line", format!("\n{base}")),
        ("continues nothing", format!(" x\n{base}")),
        ("comment", format!("{base}# no\n")),
        ("comment with colon", format!("{base}#x: no\n")),
        ("no colon", format!("{base}what\n")),
        ("space in name", format!("{base}X Y: 1\n")),
        ("no name", format!("{base}: 1\n")),
        ("blank continuation", format!("{base}X: 1\n \n")),
        ("BOM", format!("\u{feff}{base}")),
        ("no Package", "Version: 1\nArchitecture: all\n".into()),
        ("no Version", "Package: jq\nArchitecture: all\n".into()),
        ("no Architecture", "Package: jq\nVersion: 1\n".into()),
    ];
    for (what, text) in bad {
        assert!(derived(&text).is_err(), "{what}");
    }
    assert!(read(&deb(b"Package: jq\nX: \xff\n")).is_err(), "not UTF-8");
}

#[test]
fn grammars() {
    let check = |f: fn(&str) -> bool, good: &[&str], bad: &[&str]| {
        good.iter().for_each(|t| assert!(f(t), "{t:?}"));
        bad.iter().for_each(|t| assert!(!f(t), "{t:?}"));
    };
    check(
        control::is_package_name,
        &["jq", "libstdc++6", "0ad", "a.b-c"],
        &["", "a", "-a", "Jq", "a_b", "a b", "a/b", "é1", "a\n"],
    );
    check(
        control::is_version,
        &["1", "0:1", "1:1.2-3", "1.0~rc1+b2", "1-2-3", "2:1:2", "1.a-0ubuntu0.1~x"],
        &["", "a", ":1", "x:1", "-1:1", "1:", "1-", "-1", "1 2", "1_2", "1:a", "2147483648:1", "1/2", "1\n", "1-é"],
    );
    check(
        control::is_architecture,
        &["amd64", "all", "arm64", "kfreebsd-i386", "x32"],
        &["", "any", "source", "linux-any", "any-i386", "Amd64", "a b", "-a"],
    );
}

#[test]
fn no_mutation_panics() {
    for suffix in ["", ".gz", ".xz", ".zst"] {
        let good = deb_of_tar(suffix, &tar(&[("./control", CONTROL.as_bytes()), ("./postinst", b"x")]));
        for n in 0..good.len() {
            let _ = read(&good[..n]);
            for flip in [0x01, 0x20, 0xff] {
                let mut bytes = good.clone();
                bytes[n] ^= flip;
                let _ = read(&bytes);
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_control_text_is_refused_or_whole(text in "([A-Za-z#-]{0,3}[: \t][a-z\u{e9}\r\n\t ]{0,6}\n){0,8}") {
        if let Ok(fields) = control::parse("text", text.as_bytes()) {
            let back: String = fields.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
            let squeeze = |t: &str| t.replace([' ', '\t'], "").trim_end_matches('\n').to_owned();
            proptest::prop_assert_eq!(squeeze(&back), squeeze(&text));
        }
    }
}
