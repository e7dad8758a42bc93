//! Builds zips for tests, well formed or not.

/// One entry to write.
#[derive(Clone)]
pub struct Entry {
    /// Name in the directory.
    pub name: Vec<u8>,
    /// Name in the local header.
    pub local: Vec<u8>,
    /// Plain content.
    pub content: Vec<u8>,
    /// Deflate instead of store.
    pub deflate: bool,
    /// Sizes in a data descriptor.
    pub streamed: bool,
    /// Flags besides.
    pub flags: u16,
    /// Plain length to claim.
    pub claim: Option<u32>,
}

/// A stored entry.
pub fn entry(name: &str, content: &[u8]) -> Entry {
    let name = name.as_bytes().to_vec();
    Entry { local: name.clone(), name, content: content.into(), deflate: false, streamed: false, flags: 0, claim: None }
}

/// A zip of deflated members.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let entries: Vec<Entry> = members.iter().map(|(n, c)| Entry { deflate: true, ..entry(n, c) }).collect();
    write(&entries)
}

/// Writes entries, directory and end record.
pub fn write(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for e in entries {
        let at = out.len() as u32;
        let mut crc = flate2::Crc::new();
        crc.update(&e.content);
        let data = if e.deflate { deflate(&e.content) } else { e.content.clone() };
        let sizes = [crc.sum(), data.len() as u32, e.claim.unwrap_or(e.content.len() as u32)];
        let flags = e.flags | if e.streamed { 8 } else { 0 };
        let head = |out: &mut Vec<u8>, sizes: [u32; 3], name: &[u8]| {
            for n in [flags, if e.deflate { 8 } else { 0 }, 0, 33] {
                out.extend(n.to_le_bytes());
            }
            sizes.iter().for_each(|n| out.extend(n.to_le_bytes()));
            out.extend((name.len() as u16).to_le_bytes());
            out.extend(0u16.to_le_bytes());
        };
        out.extend(b"PK\x03\x04\x14\0");
        head(&mut out, if e.streamed { [0; 3] } else { sizes }, &e.local);
        out.extend(&e.local);
        out.extend(&data);
        if e.streamed {
            out.extend(b"PK\x07\x08");
            sizes.iter().for_each(|n| out.extend(n.to_le_bytes()));
        }
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        head(&mut directory, sizes, &e.name);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(&e.name);
    }
    let at = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(plain).expect("deflate");
    packer.finish().expect("deflate")
}
