//! Failures: what happened, why, what to do, and the exit code of the class.

use pouch::class::{Class, Classified};
use std::fmt;
use std::io::ErrorKind;

/// A failure on its way to the user.
#[derive(Debug)]
pub struct Fail {
    class: Class,
    error: anyhow::Error,
    hint: Option<String>,
}

/// The result of a command.
pub type Outcome = Result<(), Fail>;

impl<E: Classified + Send + Sync + 'static> From<E> for Fail {
    fn from(e: E) -> Fail {
        Fail { class: e.class(), hint: e.hint(), error: anyhow::Error::new(e) }
    }
}

impl Fail {
    /// A failure of the command line or a configuration.
    pub fn usage(text: impl fmt::Display) -> Fail {
        Fail { class: Class::Usage, error: anyhow::anyhow!("{text}"), hint: None }
    }

    /// A failure of the disk.
    pub fn io(what: impl fmt::Display, source: std::io::Error) -> Fail {
        let class = if source.kind() == ErrorKind::InvalidInput { Class::Usage } else { Class::Failed };
        let hint = match source.kind() {
            ErrorKind::InvalidInput => "name a regular file",
            ErrorKind::NotFound | ErrorKind::NotADirectory => "check the path; if it is on a medium, put that in",
            ErrorKind::PermissionDenied => "run as a user who may do that, or change the file's owner or mode",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there, then run the same command again",
            ErrorKind::FileTooLarge => "the file system or a limit (ulimit -f) does not allow files of that size",
            ErrorKind::AlreadyExists => "choose another name, or remove what is there",
            _ => "look at the medium and the kernel's log, then run the same command again",
        };
        let error = anyhow::Error::new(source).context(what.to_string());
        Fail { class, error, hint: Some(hint.into()) }
    }

    /// A failure of a given class.
    pub fn new(class: Class, text: impl fmt::Display) -> Fail {
        Fail { class, error: anyhow::anyhow!("{text}"), hint: None }
    }

    /// With what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Fail {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it and gives the exit code.
    pub fn report(&self, json: bool) -> u8 {
        let chain: Vec<String> = self.error.chain().map(ToString::to_string).collect();
        if json {
            let value = serde_json::json!({
                "error": { "class": self.class.name(), "code": self.class.code(), "chain": chain, "hint": self.hint }
            });
            super::out(&format!("{value}\n"));
        }
        eprintln!("pouch: {}", super::print::visible(&chain.join(": ")));
        if let Some(hint) = &self.hint {
            eprintln!("  hint: {}", super::print::visible(hint));
        }
        self.class.code()
    }
}
