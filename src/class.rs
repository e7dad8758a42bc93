//! A *class* says what kind of failure an error is, and so which exit code the command ends with.
//!
//! It carries no text; messages belong to the errors themselves. Specified in `spec/bundle.md`, section "Exit codes and classes".

/// The class of a failure; the number is the exit code and the class of a test vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Disk, permission, space: a retry may help.
    Failed = 1,
    /// The command line, a list or a configuration is wrong.
    Usage = 2,
    /// Bytes are not what they should be: copy the medium again.
    Damaged = 3,
    /// Nobody who may has vouched for it, or order forbids it: ask the sender.
    Distrusted = 4,
    /// A newer format, an unknown feature, or above a limit of this reader.
    Unsupported = 5,
    /// A defect of pouch.
    Bug = 70,
}

impl Class {
    /// The process exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The word used in vectors and in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Class::Failed => "failed",
            Class::Usage => "usage",
            Class::Damaged => "damaged",
            Class::Distrusted => "distrusted",
            Class::Unsupported => "unsupported",
            Class::Bug => "bug",
        }
    }
}

/// An error that knows its class and, where there is one, what the user should do next.
pub trait Classified: std::error::Error {
    /// The class of this failure.
    fn class(&self) -> Class;

    /// What to do next, one sentence; `None` where the message already says it.
    fn hint(&self) -> Option<String> {
        None
    }
}
