//! A *travelling program* is this program and a signature over it, laid beside a bundle for a far side that has neither.
//!
//! It checks nothing there: who has no program yet checks this one by `ssh-keygen`, or by a second builder's digest.
//! Specified in `spec/program.md`.

use crate::class::{Class, Classified};
use crate::digest::Digest;
use crate::fs::output::write_file;
use std::io;
use std::path::{Path, PathBuf};

/// The SSHSIG namespace of a signature over a program. No statement has this kind, so the one is never taken for the other.
pub const NAMESPACE: &str = "pouch/v1/program";
/// The name of the program beside a bundle.
pub const PROGRAM: &str = "pouch";
/// The name of its signature.
pub const SIGNATURE: &str = "pouch.sig";

/// Why the program does not travel.
#[derive(Debug, thiserror::Error)]
pub enum TravelError {
    /// A file.
    #[error("cannot {verb} {path}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With which file.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// It would not run there.
    #[error("{path} cannot travel: {why}")]
    Program {
        /// The program.
        path: PathBuf,
        /// What it needs that the far side may not have.
        why: &'static str,
    },
    /// The bundle wants the place of the program.
    #[error("a bundle called {0} would lie where the program goes")]
    Name(PathBuf),
}

impl Classified for TravelError {
    fn class(&self) -> Class {
        match self {
            TravelError::Io { .. } => Class::Failed,
            TravelError::Program { .. } | TravelError::Name(_) => Class::Usage,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            TravelError::Io { .. } => None,
            TravelError::Program { .. } => {
                Some("build a static one with ./dist.sh and pack with that, or leave --with-pouch away".into())
            }
            TravelError::Name(_) => Some("give the bundle another name, such as NAME.pouch".into()),
        }
    }
}

/// A program that can travel: read whole, and static.
pub struct Program {
    bytes: Vec<u8>,
}

/// What was laid beside a bundle.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Laid {
    /// The program.
    pub program: PathBuf,
    /// Its signature.
    pub signature: PathBuf,
    /// SHA-256 of the program.
    pub digest: Digest,
}

impl Program {
    /// The one that runs now.
    pub fn running() -> Result<Program, TravelError> {
        let io = |source| TravelError::Io { verb: "find", path: "the running program".into(), source };
        Program::read(&std::env::current_exe().map_err(io)?)
    }

    /// The one at `path`.
    pub fn read(path: &Path) -> Result<Program, TravelError> {
        let io = |source| TravelError::Io { verb: "read", path: path.into(), source };
        let bytes = std::fs::read(path).map_err(io)?;
        match asks_for(&bytes) {
            None => Ok(Program { bytes }),
            Some(why) => Err(TravelError::Program { path: path.into(), why }),
        }
    }

    /// Its bytes: what a signature is made over, in [`NAMESPACE`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes it and `signature`, an SSHSIG in its armor, into the folder of `bundle`.
    pub fn lay(&self, bundle: &Path, signature: &str) -> Result<Laid, TravelError> {
        let laid = Laid {
            program: bundle.with_file_name(PROGRAM),
            signature: bundle.with_file_name(SIGNATURE),
            digest: Digest::of(&self.bytes),
        };
        for (path, bytes, mode) in
            [(&laid.program, self.bytes.as_slice(), 0o755), (&laid.signature, signature.as_bytes(), 0o644)]
        {
            write_file(path, bytes, mode).map_err(|source| TravelError::Io {
                verb: "write",
                path: path.into(),
                source,
            })?;
        }
        Ok(laid)
    }
}

/// Refuses a bundle whose name the program or its signature takes, also on media that fold case.
pub fn check_name(bundle: &Path) -> Result<(), TravelError> {
    let name = bundle.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    if name == PROGRAM || name == SIGNATURE {
        return Err(TravelError::Name(bundle.into()));
    }
    Ok(())
}

/// What a program needs beside a kernel; nothing if it is an ELF file (System V ABI, chapters 4 and 5) of 64 bits, little
/// endian, whose program headers name no interpreter. Those without one are mapped and started by the kernel alone.
fn asks_for(file: &[u8]) -> Option<&'static str> {
    const NOT: Option<&str> = Some("it is not a Linux program for a 64-bit little-endian machine");
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return NOT;
    }
    let Some(headers) = program_headers(file) else { return NOT };
    const PT_INTERP: [u8; 4] = 3u32.to_le_bytes();
    match headers.into_iter().any(|h| h.starts_with(&PT_INTERP)) {
        true => Some("it is linked dynamically and needs this machine's C library"),
        false => None,
    }
}

/// The entries of the table at `e_phoff`; `None` if it is empty or not inside the file.
fn program_headers(file: &[u8]) -> Option<Vec<&[u8]>> {
    let start = usize::try_from(u64::from_le_bytes(*file.get(32..)?.first_chunk()?)).ok()?;
    let size = u16::from_le_bytes(*file.get(54..)?.first_chunk()?);
    let count = u16::from_le_bytes(*file.get(56..)?.first_chunk()?);
    if size < 56 || count == 0 {
        return None;
    }
    let table = file.get(start..)?.get(..usize::from(size).checked_mul(usize::from(count))?)?;
    Some(table.chunks(usize::from(size)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::sshsig::{SshSig, TokenRules, sign};
    use crate::trust::{PrivateKey, StatementKind};

    /// An ELF file of a header and one program header.
    fn elf(kind: u32) -> Vec<u8> {
        let mut out = vec![0; 64 + 56];
        out[..6].copy_from_slice(b"\x7fELF\x02\x01");
        out[32..40].copy_from_slice(&64u64.to_le_bytes());
        out[54..56].copy_from_slice(&56u16.to_le_bytes());
        out[56..58].copy_from_slice(&1u16.to_le_bytes());
        out[64..68].copy_from_slice(&kind.to_le_bytes());
        out
    }

    #[test]
    fn programs_that_need_an_interpreter_stay() {
        assert_eq!(asks_for(&elf(1)), None);
        assert!(asks_for(&elf(3)).is_some_and(|why| why.contains("dynamically")));
        let changed = |at: usize, byte: u8| {
            let mut out = elf(1);
            out[at] = byte;
            out
        };
        for (what, file) in [
            ("a script", b"#!/bin/sh\n".to_vec()),
            ("32 bits", changed(4, 1)),
            ("big endian", changed(5, 2)),
            ("no headers", changed(56, 0)),
            ("headers outside", changed(39, 0xff)),
            ("headers that end outside", changed(56, 2)),
            ("short headers", changed(54, 32)),
        ] {
            assert!(asks_for(&file).is_some_and(|why| why.contains("64-bit")), "{what}");
        }
        for len in 0..elf(1).len() {
            assert!(asks_for(&elf(1)[..len]).is_some(), "{len}");
        }
    }

    #[test]
    fn the_signature_is_for_programs_only() {
        let folder = tempfile::tempdir().expect("folder");
        let key = PrivateKey::from_ed25519_seed(&[7; 32], "packer").expect("key");
        let source = folder.path().join("source");
        std::fs::write(&source, elf(1)).expect("written");
        let bundle = folder.path().join("k8s-1.pouch");
        let program = Program::read(&source).expect("static");
        let laid = program.lay(&bundle, &sign(&key, NAMESPACE, program.bytes())).expect("laid");
        assert_eq!(std::fs::read(&laid.program).expect("read"), elf(1));
        let text = std::fs::read(&laid.signature).expect("read");
        let sig = SshSig::parse(&text).expect("a signature");
        let rules = TokenRules { applications: &[], pin: false };
        assert_eq!(sig.verify(key.public(), NAMESPACE, &elf(1), rules), Ok(()));
        assert_eq!(StatementKind::from_namespace(NAMESPACE), None);
    }

    #[test]
    fn names_that_the_program_takes() {
        for (name, good) in [("out/pouch", false), ("POUCH", false), ("pouch.sig", false), ("pouch.pouch", true)] {
            assert_eq!(check_name(Path::new(name)).is_ok(), good, "{name}");
        }
    }
}
