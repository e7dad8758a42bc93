//! An *agent* is the process that holds keys and signs with them: OpenSSH's, a desktop's, or one over a smart card.
//!
//! A key is taken to be the agent's where its public half is given to sign with. Messages are those of the SSH agent protocol
//! (draft-ietf-sshm-ssh-agent): a 32-bit length, a byte that names the message, its fields.

use pouch::class::{Class, Classified};
use pouch::trust::PublicKey;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// Bytes of an answer; OpenSSH's own limit.
const MAX_ANSWER: u32 = 256 << 10;

/// Why the agent did not sign.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody says where it listens.
    #[error("a public key was given to sign with, and SSH_AUTH_SOCK names no agent that holds the private one")]
    None,
    /// It cannot be talked to.
    #[error("the agent at {} does not answer", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// It says what no agent says.
    #[error("the agent's answer is not in form")]
    Form,
    /// It has other keys.
    #[error("the agent does not hold the key {0}")]
    Absent(String),
    /// It has the key and does not sign.
    #[error("the agent holds the key {0} and refused to sign with it")]
    Refused(String),
    /// Its signature is wrong.
    #[error("the agent's signature is refused: {0}")]
    Signature(String),
}

impl Classified for AgentError {
    fn class(&self) -> Class {
        match self {
            AgentError::None | AgentError::Absent(_) => Class::Usage,
            _ => Class::Failed,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            AgentError::None => "start one (eval $(ssh-agent), ssh-add KEY), or give the private key's file".into(),
            AgentError::Absent(_) => {
                "ssh-add -l lists its keys; add this one with ssh-add KEY or ssh-add -s MODULE".into()
            }
            _ => "unlock the agent or the token, or sign elsewhere: --print-text, then ssh-keygen -Y sign".into(),
        })
    }
}

fn connect() -> Result<(UnixStream, PathBuf), AgentError> {
    let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty()).ok_or(AgentError::None)?;
    let socket = PathBuf::from(socket);
    let stream = UnixStream::connect(&socket).map_err(|e| AgentError::Io(socket.clone(), e))?;
    Ok((stream, socket))
}

/// Refuses a key that the agent will not sign with: to be asked before long work.
pub fn look_for(key: &PublicKey) -> Result<(), AgentError> {
    let (mut stream, socket) = connect()?;
    match holds(&mut stream, key).map_err(|e| AgentError::Io(socket, e))? {
        Some(false) => Err(AgentError::Absent(key.fingerprint().to_string())),
        _ => Ok(()),
    }
}

/// Has the agent sign `message` with `key`; gives an SSH signature blob, not checked yet.
pub fn sign(key: &PublicKey, message: &[u8]) -> Result<Vec<u8>, AgentError> {
    let (mut stream, socket) = connect()?;
    let io = |e| AgentError::Io(socket.clone(), e);
    let mut request = vec![SIGN_REQUEST];
    put(&mut request, key.blob());
    put(&mut request, message);
    request.extend_from_slice(&0u32.to_be_bytes()); // flags: for RSA only
    let answer = ask(&mut stream, &request).map_err(io)?;
    match answer.split_first() {
        Some((&SIGN_RESPONSE, mut rest)) => {
            let signature = take(&mut rest).ok_or(AgentError::Form)?.to_vec();
            if rest.is_empty() { Ok(signature) } else { Err(AgentError::Form) }
        }
        Some((&FAILURE, _)) => {
            let name = key.fingerprint().to_string();
            match holds(&mut stream, key).map_err(io)? {
                Some(false) => Err(AgentError::Absent(name)),
                _ => Err(AgentError::Refused(name)),
            }
        }
        _ => Err(AgentError::Form),
    }
}

/// Whether the agent lists the key; `None` where it does not say.
fn holds(stream: &mut UnixStream, key: &PublicKey) -> io::Result<Option<bool>> {
    let answer = ask(stream, &[REQUEST_IDENTITIES])?;
    let Some((&IDENTITIES_ANSWER, rest)) = answer.split_first() else { return Ok(None) };
    let Some((_count, mut rest)) = rest.split_at_checked(4) else { return Ok(None) };
    while let (Some(blob), Some(_comment)) = (take(&mut rest), take(&mut rest)) {
        if blob == key.blob() {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}

fn ask(stream: &mut UnixStream, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut framed = Vec::new();
    put(&mut framed, request);
    stream.write_all(&framed)?;
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = u32::from_be_bytes(len);
    if len > MAX_ANSWER {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer is longer than any"));
    }
    let mut answer = vec![0; len as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX); // a key or a digest's frame
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let (field, tail) = tail.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    *rest = tail;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"ab");
        put(&mut bytes, b"");
        let mut rest = bytes.as_slice();
        assert_eq!((take(&mut rest), take(&mut rest), take(&mut rest)), (Some(&b"ab"[..]), Some(&b""[..]), None));
        for cut in 0..6 {
            assert_eq!(take(&mut &bytes[..cut]), None, "{cut}");
        }
        assert_eq!(take(&mut &[255, 255, 255, 255, 1][..]), None);
    }
}
