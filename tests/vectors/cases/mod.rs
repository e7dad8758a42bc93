//! The cases, by the part of the format that they break. Append-only: a vector that was once published stays.

use crate::Case;
use crate::forge::{Forge, Sha};
use pouch::class::Class;

mod artifacts;
mod carriage;
mod cbor;
pub mod delta;
mod frame;
mod good;
pub mod libraries;
mod paths;
mod replay;
mod roots;
mod sections;

/// Collects cases.
pub struct Book(Vec<Case>);

impl Book {
    fn add(&mut self, name: &str, rule: &'static str, expect: Option<Class>, comment: &str, forge: Forge) {
        let comment = comment.to_owned();
        self.0.push(Case { name: name.into(), rule, expect, comment, lacking: vec![], bytes: forge.seal() });
    }

    /// A delta that builds on blobs which no reader of vectors has.
    pub fn lacks(&mut self, name: &str, rule: &'static str, comment: &str, lacking: &[(Sha, u64)], forge: Forge) {
        self.add(name, rule, Some(Class::Usage), comment, forge);
        if let Some(case) = self.0.last_mut() {
            case.lacking = lacking.to_vec();
        }
    }

    /// A bundle that readers take.
    pub fn ok(&mut self, name: &str, rule: &'static str, comment: &str, forge: Forge) {
        self.add(name, rule, None, comment, forge);
    }

    /// Breaks one thing of the sample.
    pub fn damaged(&mut self, name: &str, rule: &'static str, comment: &str, break_it: impl FnOnce(&mut Forge)) {
        self.damaged_of(Forge::sample(), name, rule, comment, break_it);
    }

    /// Breaks one thing of another bundle.
    pub fn damaged_of(
        &mut self,
        mut forge: Forge,
        name: &str,
        rule: &'static str,
        comment: &str,
        break_it: impl FnOnce(&mut Forge),
    ) {
        break_it(&mut forge);
        self.add(name, rule, Some(Class::Damaged), comment, forge);
    }

    /// Puts something into the sample that is of a newer version or above a limit.
    pub fn unsupported(&mut self, name: &str, rule: &'static str, comment: &str, change: impl FnOnce(&mut Forge)) {
        let mut forge = Forge::sample();
        change(&mut forge);
        self.add(name, rule, Some(Class::Unsupported), comment, forge);
    }
}

pub fn all() -> Vec<Case> {
    let mut book = Book(Vec::new());
    good::add(&mut book);
    frame::add(&mut book);
    cbor::add(&mut book);
    roots::add(&mut book);
    sections::add(&mut book);
    artifacts::add(&mut book);
    paths::add(&mut book);
    carriage::add(&mut book);
    delta::add(&mut book);
    replay::add(&mut book);
    libraries::add(&mut book);
    book.0
}
