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
    details: String,
    more: Option<(&'static str, serde_json::Value)>,
}

/// The result of a command.
pub type Outcome = Result<(), Fail>;

impl<E: Classified + Send + Sync + 'static> From<E> for Fail {
    fn from(e: E) -> Fail {
        let (class, hint) = (e.class(), e.hint());
        Fail { hint, ..Fail::of(class, anyhow::Error::new(e)) }
    }
}

impl Fail {
    fn of(class: Class, error: anyhow::Error) -> Fail {
        Fail { class, error, hint: None, details: String::new(), more: None }
    }

    /// A failure of the command line or a configuration.
    pub fn usage(text: impl fmt::Display) -> Fail {
        Fail::of(Class::Usage, anyhow::anyhow!("{text}"))
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
        Fail::of(class, error).hint(hint)
    }

    /// A failure of a given class.
    pub fn new(class: Class, text: impl fmt::Display) -> Fail {
        Fail::of(class, anyhow::anyhow!("{text}"))
    }

    /// With what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Fail {
        self.hint = Some(hint.into());
        self
    }

    /// With lines that people read below the message.
    pub fn details(mut self, lines: impl Into<String>) -> Fail {
        self.details = lines.into();
        self
    }

    /// With a value beside `error` in the JSON.
    pub fn json(mut self, key: &'static str, value: serde_json::Value) -> Fail {
        self.more = Some((key, value));
        self
    }

    /// Prints it and gives the exit code.
    pub fn report(&self, json: bool) -> u8 {
        let chain: Vec<String> = self.error.chain().map(ToString::to_string).collect();
        if json {
            let mut value = serde_json::json!({
                "error": { "class": self.class.name(), "code": self.class.code(), "chain": chain, "hint": self.hint }
            });
            if let (Some((key, more)), Some(map)) = (&self.more, value.as_object_mut()) {
                map.insert((*key).into(), more.clone());
            }
            super::out(&format!("{value}\n"));
        }
        eprintln!("pouch: {}", super::print::visible(&chain.join(": ")));
        if !json && !self.details.is_empty() {
            eprint!("{}", super::print::visible(&self.details));
        }
        if let Some(hint) = &self.hint {
            eprintln!("  hint: {}", super::print::visible(hint));
        }
        self.class.code()
    }
}
