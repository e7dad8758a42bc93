//! A *sample* is a deb made for a test, byte by byte.

use std::io::Write as _;

/// The control file of [`deb`].
pub const CONTROL: &str = "Package: jq\nVersion: 1:1.6~rc1+b2-2\nArchitecture: amd64\nMaintainer: Žofie Æ <z@example.org>\n\
    Depends: libc6 (>= 2.34),\n libjq1 (= 1.6)\nDescription: filter\n of JSON\n .\n  more\nX-Odd: 1\n";

/// A tar of files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut h = tar::Header::new_gnu();
        h.set_size(bytes.len() as u64);
        h.set_mode(0o644);
        // set_path refuses some of the names that a hostile archive has
        h.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        h.set_cksum();
        tar.append(&h, *bytes).expect("append");
    }
    tar.into_inner().expect("tar")
}

/// An ar archive of members.
pub fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        writeln!(out, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, 100644, bytes.len()).expect("header");
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// `bytes` compressed as the ending of a member's name says.
pub fn compress(suffix: &str, bytes: &[u8]) -> Vec<u8> {
    match suffix {
        "" => bytes.to_vec(),
        ".gz" => {
            let mut w = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            w.write_all(bytes).expect("gz");
            w.finish().expect("gz")
        }
        ".xz" => {
            let mut w = liblzma::write::XzEncoder::new(Vec::new(), 1);
            w.write_all(bytes).expect("xz");
            w.finish().expect("xz")
        }
        ".zst" => zstd::encode_all(bytes, 1).expect("zst"),
        _ => panic!("{suffix}"),
    }
}

/// A deb of a control member with those bytes (not yet compressed).
pub fn deb_of_tar(suffix: &str, tar: &[u8]) -> Vec<u8> {
    let control = compress(suffix, tar);
    ar(&[("debian-binary", b"2.0\n"), (&format!("control.tar{suffix}"), &control), ("data.tar.xz", b"never looked at")])
}

/// A deb with that control file.
pub fn deb(control: &[u8]) -> Vec<u8> {
    deb_of_tar(".gz", &tar(&[("./control", control), ("./postinst", b"#!/bin/sh\n"), ("./md5sums", b"")]))
}
