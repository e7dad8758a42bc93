//! To *amend* a release is to make the next one of its stream from its index: without some artifacts, and with others.
//!
//! It reads no bundle and no input; what stays is told as the old release told it. Specified in `spec/packing.md`, section
//! "Amending".

use crate::class::{Class, Classified};
use crate::format::root::{ReleaseRoot, schema};
use crate::model::{Artifact, Described, Kind};
use crate::op::delta::name;
use crate::relpath;
use globset::{GlobBuilder, GlobMatcher};
use std::collections::BTreeSet;

/// Files by which a repository's own makers say what is in it.
const CATALOGUES: [&str; 3] = ["repomd.xml", "Release", "InRelease"];

/// What becomes of the old release's artifacts.
#[derive(Clone, Debug, Default)]
pub struct Amended {
    /// Those that stay.
    pub kept: Vec<Described>,
    /// What a pattern took away, as people call it.
    pub removed: Vec<String>,
    /// What an added artifact takes the place of.
    pub replaced: Vec<String>,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// Why a release cannot be amended so.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    /// A pattern is no glob.
    #[error("the pattern {pattern:?} cannot be read: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        why: String,
    },
    /// A pattern matches nothing.
    #[error("no artifact of the old release matches {0:?}")]
    Nothing(String),
    /// Nothing would be left.
    #[error("nothing would be left of the old release, and nothing is added")]
    Empty,
    /// The facts of the old release are told another way.
    #[error("the old release tells of its {0} artifacts by another schema than this pouch")]
    Schema(Kind),
    /// The sequence does not rise.
    #[error("the old release has the sequence {old}, and the next one cannot have {new}")]
    Sequence {
        /// The old one.
        old: u64,
        /// The one asked for.
        new: u64,
    },
}

impl Classified for AmendError {
    fn class(&self) -> Class {
        match self {
            AmendError::Schema(_) => Class::Unsupported,
            _ => Class::Usage,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(
            match self {
                AmendError::Pattern { .. } | AmendError::Nothing(_) => {
                    "patterns are globs over `KIND/NAME` and over places, such as 'image/library/tool:*' or 'www/rpms/local/tool-1.*'; `pouch ls` lists both"
                }
                AmendError::Empty => "keep something of it, or add something",
                AmendError::Schema(_) => "pack the release anew from its inputs",
                AmendError::Sequence { .. } => "give a higher --sequence",
            }
            .into(),
        )
    }
}

/// Whether the next release can be `sequence`, and whether the old facts can be taken over.
pub fn check(old: &ReleaseRoot, sequence: u64) -> Result<(), AmendError> {
    if sequence <= old.sequence {
        return Err(AmendError::Sequence { old: old.sequence, new: sequence });
    }
    match old.totals.iter().map(|t| t.kind).find(|kind| !old.requires.contains(&schema(*kind))) {
        Some(kind) => Err(AmendError::Schema(kind)),
        None => Ok(()),
    }
}

/// Takes away what `patterns` match, and what `added` takes the place of.
pub fn amend(old: Vec<Described>, patterns: &[String], added: &[Described]) -> Result<Amended, AmendError> {
    let mut patterns = patterns.iter().map(|p| Pattern::new(p)).collect::<Result<Vec<_>, _>>()?;
    let taken: BTreeSet<String> = added.iter().map(|d| place(&d.artifact)).collect();
    let mut out = Amended::default();
    let (mut gone, mut kept): (Vec<Artifact>, Vec<Described>) = Default::default();
    for described in old {
        // Every pattern is asked: each has to match something.
        let matching = patterns.iter_mut().filter_map(|p| p.matches(&described.artifact).then_some(())).count();
        match (matching > 0, taken.contains(&place(&described.artifact))) {
            (true, _) => out.removed.push(name(&described.artifact)),
            (false, true) => out.replaced.push(name(&described.artifact)),
            (false, false) => {
                kept.push(described);
                continue;
            }
        }
        gone.push(described.artifact);
    }
    if let Some(idle) = patterns.iter().find(|p| !p.matched) {
        return Err(AmendError::Nothing(idle.text.clone()));
    }
    if kept.is_empty() && added.is_empty() {
        return Err(AmendError::Empty);
    }
    let changed = added.iter().map(|d| &d.artifact).chain(&gone);
    let touched: BTreeSet<&str> = changed.map(|a| a.root.as_str()).collect();
    out.notes = catalogues(&kept, &touched);
    out.kept = kept;
    Ok(out)
}

/// A repository that is served with its makers' own list goes on to list what it had.
fn catalogues(kept: &[Described], touched: &BTreeSet<&str>) -> Vec<String> {
    let lists = |a: &Artifact| {
        let file = a.path.as_ref().map(|p| p.file_name()).unwrap_or_default();
        a.kind == Kind::File && CATALOGUES.contains(&file) && touched.contains(a.root.as_str())
    };
    let roots: BTreeSet<&str> =
        kept.iter().map(|d| &d.artifact).filter(|a| lists(a)).map(|a| a.root.as_str()).collect();
    let note =
        |root: &str| format!("{root} is served with its makers' own metadata, which is not amended: add it anew");
    roots.into_iter().filter(|root| *root != "www" && *root != "kit").map(note).collect()
}

/// What only one artifact of a release can have, folded: its place, or an image's name.
fn place(a: &Artifact) -> String {
    relpath::fold(&match &a.path {
        Some(path) => format!("{}/{path}", a.root),
        None => a.name.clone(),
    })
}

/// A pattern, and whether it matched anything yet.
struct Pattern {
    text: String,
    glob: GlobMatcher,
    matched: bool,
}

impl Pattern {
    fn new(text: &str) -> Result<Pattern, AmendError> {
        let wrong = |why: String| AmendError::Pattern { pattern: text.into(), why };
        let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|e| wrong(e.kind().to_string()))?;
        Ok(Pattern { text: text.into(), glob: glob.compile_matcher(), matched: false })
    }

    /// Over kind and name, and over the place.
    fn matches(&mut self, a: &Artifact) -> bool {
        let of_path = || a.path.as_ref().is_some_and(|path| self.glob.is_match(format!("{}/{path}", a.root)));
        let is_match = self.glob.is_match(format!("{}/{}", a.kind, a.name)) || of_path();
        self.matched |= is_match;
        is_match
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::Bytes;
    use crate::digest::Blob;
    use crate::relpath::RelPath;

    fn described(kind: Kind, name: &str, root: &str, path: Option<&str>) -> Described {
        let artifact = Artifact {
            kind,
            name: name.into(),
            version: None,
            arch: None,
            root: RelPath::new(root).expect("root"),
            path: path.map(|p| RelPath::new(p).expect("path")),
            executable: false,
            blobs: vec![Blob::of(name.as_bytes())],
            labels: vec![],
        };
        Described { artifact, facts: Bytes(vec![0xa0]) }
    }

    fn old() -> Vec<Described> {
        vec![
            described(Kind::File, "files/a/b.sh", "www", Some("files/a/b.sh")),
            described(Kind::Image, "library/tool:1.0", "registry", None),
            described(Kind::Image, "tool:1.0", "registry", None),
            described(Kind::Rpm, "tool", "www/rpms/local", Some("tool-1.0.rpm")),
        ]
    }

    #[test]
    fn patterns_match_kind_and_name_or_place() {
        for (pattern, removed) in [
            ("image/library/tool:1.0", 1),
            ("image/**/tool:*", 2),
            ("image/*", 1),
            ("image/**", 2),
            ("**", 4),
            ("rpm/tool", 1),
            ("rpm/*", 1),
            ("www/rpms/local/tool-1.*", 1),
            ("www/files/a/b.sh", 1),
            ("file/files/a/b.sh", 1),
            ("www/files/*", 0),
            ("tool*", 0),
            ("registry/library/tool:1.0", 0),
        ] {
            let add = [described(Kind::File, "new", "www", Some("new"))];
            match amend(old(), &[pattern.into()], &add) {
                Ok(amended) => {
                    assert_eq!((amended.removed.len(), amended.kept.len()), (removed, 4 - removed), "{pattern}")
                }
                Err(e) => assert!(removed == 0 && matches!(e, AmendError::Nothing(_)), "{pattern}: {e}"),
            }
        }
        assert!(matches!(amend(old(), &["a[".into()], &[]), Err(AmendError::Pattern { .. })));
        assert!(matches!(amend(old(), &["**".into()], &[]), Err(AmendError::Empty)));
        let both = amend(old(), &["rpm/*".into(), "rpm/tool".into()], &[]).expect("both match");
        assert_eq!(both.removed, ["rpm www/rpms/local/tool-1.0.rpm"]);
    }

    #[test]
    fn what_is_added_takes_the_place() {
        let add = [
            described(Kind::Image, "Library/Tool:1.0", "registry", None),
            described(Kind::File, "tool", "www/rpms", Some("local/tool-1.0.rpm")),
        ];
        let amended = amend(old(), &[], &add).expect("amends");
        assert_eq!(amended.replaced, ["image library/tool:1.0", "rpm www/rpms/local/tool-1.0.rpm"]);
        assert_eq!((amended.kept.len(), amended.notes.len()), (2, 0));
    }

    #[test]
    fn lists_of_others_are_noted() {
        let list = described(Kind::File, "repodata/repomd.xml", "www/rpms/local", Some("repodata/repomd.xml"));
        let with_list = || [old(), vec![list.clone()]].concat();
        assert_eq!(amend(with_list(), &["rpm/tool".into()], &[]).expect("amends").notes.len(), 1);
        assert_eq!(amend(with_list(), &["image/**".into()], &[]).expect("amends").notes.len(), 0);
    }
}
