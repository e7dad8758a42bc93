//! Archives as no honest tool writes them: stored zips with any names, tars, gzip, and the bytes of small packages.

use std::io::Write as _;

/// A zip whose members are stored as they are; names may repeat and may be anything.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let at = u32::try_from(out.len()).expect("small");
        let len = u32::try_from(bytes.len()).expect("small");
        let mut common = Vec::new();
        for half in [20u16, 0, 0, 0, 0x21] {
            common.extend(half.to_le_bytes()); // version, flags, stored, time, date
        }
        for word in [crc.sum(), len, len] {
            common.extend(word.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
        common.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 6]); // no comment, disk 0, no internal attributes
        directory.extend(0u32.to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, len) = (u32::try_from(out.len()).expect("small"), u32::try_from(directory.len()).expect("small"));
    let n = u16::try_from(members.len()).expect("few").to_le_bytes();
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([n, n].concat());
    out.extend(len.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// A wheel of `name` and `version` by its METADATA.
pub fn wheel(name: &str, version: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let info = format!("{name}-{version}.dist-info");
    let (wheel, meta, record) = (format!("{info}/WHEEL"), format!("{info}/METADATA"), format!("{info}/RECORD"));
    let mut members: Vec<(&str, &[u8])> = vec![
        (&meta, metadata.as_bytes()),
        (&wheel, b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (&record, b""),
    ];
    members.extend(more);
    zip(&members)
}

/// A tar of files.
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        out.append_data(&mut header, name, *bytes).expect("tar");
    }
    out.into_inner().expect("tar")
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("gzip");
    out.finish().expect("gzip")
}

/// gzip of `len` zeros, without ever holding them.
pub fn gzip_of_zeros(len: u64) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let piece = vec![0u8; 1 << 20];
    for _ in 0..len >> 20 {
        out.write_all(&piece).expect("gzip");
    }
    out.finish().expect("gzip")
}

/// A chart.
pub fn chart(folder: &str, yaml: &str) -> Vec<u8> {
    gzip(&tar(&[(&format!("{folder}/Chart.yaml"), yaml.as_bytes())]))
}

/// A deb of the members given: an ar archive, its headers 60 bytes of text each.
pub fn deb(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend(std::iter::repeat_n(b'\n', bytes.len() % 2));
    }
    out
}
