//! Failures: what happened, why, what to do, and the exit code of the class.

use pouch::class::{Class, Classified};
use std::fmt;

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
        let error = anyhow::Error::new(source).context(what.to_string());
        Fail { class: Class::Failed, error, hint: None }
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
