//! A *file tree* is a folder whose files are served, or laid into the kit, under the paths that they have.
//!
//! It does not look into them. Which place a path takes is specified in `spec/site.md`, section "Files".

use super::{OneFile, Sink, Source, SourceError, announce};
use crate::fs::tree::{self, TreeError, TreeFile};
use crate::model::Kind;
use crate::monitor::Monitor;
use crate::relpath::RelPath;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The files of a folder, or one file.
#[derive(Clone, Debug)]
pub struct FilesSource {
    /// The folder, or the file.
    pub from: PathBuf,
    /// The artifacts' root: `www` or `kit`.
    pub root: RelPath,
    /// Prefix of their paths below the root: `files`; none: paths begin at the root itself.
    pub under: Option<RelPath>,
    /// If not empty, only files that one of these globs matches are taken. Globs are matched against the path below
    /// `from`; `*` stays within a component, `**` does not.
    pub include: Vec<String>,
    /// Files that one of these globs matches are left out.
    pub exclude: Vec<String>,
    /// URLs from which files came, by their path below `from`: becomes the label `origin`.
    pub origins: BTreeMap<String, String>,
}

impl FilesSource {
    /// All files of `from`.
    pub fn new(from: impl Into<PathBuf>, root: RelPath, under: Option<RelPath>) -> FilesSource {
        FilesSource {
            from: from.into(),
            root,
            under,
            include: Vec::new(),
            exclude: Vec::new(),
            origins: BTreeMap::new(),
        }
    }

    /// The files that are taken, in path order.
    fn taken(&self) -> Result<Vec<TreeFile>, SourceError> {
        let include = globs(&self.include, &self.from)?;
        let exclude = globs(&self.exclude, &self.from)?;
        let mut files = list(&self.from)?;
        files.retain(|f| (self.include.is_empty() || include.is_match(&f.rel)) && !exclude.is_match(&f.rel));
        if files.is_empty() && !self.include.is_empty() {
            let why = format!("no file in it matches {}", self.include.join(", "));
            return Err(SourceError::List { path: self.from.clone(), why });
        }
        Ok(files)
    }

    fn announce(&self, file: &TreeFile, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
        let path = match &self.under {
            Some(under) => under.join(&file.rel),
            None => RelPath::new(&file.rel),
        };
        let path = path.map_err(|source| SourceError::Path { path: file.path.clone(), source })?;
        let labels = self.origins.get(&file.rel).map(|url| ("origin".to_owned(), url.clone())).into_iter().collect();
        let executable = file.executable;
        announce(
            OneFile { kind: Kind::File, file: &file.path, root: &self.root, path, executable, labels },
            sink,
            monitor,
        )
    }
}

impl Source for FilesSource {
    fn survey(&self, sink: &dyn Sink, monitor: &dyn Monitor) -> Result<(), SourceError> {
        let files = self.taken()?;
        // The first error in path order, so that the message does not depend on the threads.
        files.par_iter().map(|f| self.announce(f, sink, monitor)).find_first(Result::is_err).unwrap_or(Ok(()))
    }

    fn describe(&self) -> String {
        format!("files in {}", self.from.display())
    }
}

/// The files of a folder; a file is a tree of itself.
fn list(from: &Path) -> Result<Vec<TreeFile>, SourceError> {
    let meta = std::fs::metadata(from).map_err(SourceError::io(from))?;
    if !meta.is_file() {
        return Ok(tree::walk(from)?);
    }
    let name = from.file_name().and_then(|n| n.to_str());
    let rel = name.ok_or_else(|| TreeError::Name { path: from.into() })?.to_owned();
    let executable = meta.permissions().mode() & 0o100 != 0;
    Ok(vec![TreeFile { rel, path: from.to_owned(), len: meta.len(), executable }])
}

/// Compiles globs; `list` is what they belong to, for the message.
pub fn globs(patterns: &[String], list: &Path) -> Result<GlobSet, SourceError> {
    let why = |e: globset::Error| SourceError::List { path: list.into(), why: e.to_string() };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build().map_err(why)?);
    }
    set.build().map_err(why)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::Artifact;
    use crate::monitor::Silent;
    use crate::source::Found;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Mutex;

    /// Keeps what is found, for the tests of this floor.
    #[derive(Default)]
    pub(crate) struct Kept(pub(crate) Mutex<Vec<Artifact>>, pub(crate) Mutex<Vec<String>>);

    impl Sink for Kept {
        fn found(&self, found: Found) -> Result<(), SourceError> {
            self.0.lock().expect("lock").push(found.described.artifact);
            Ok(())
        }
        fn note(&self, text: String) {
            self.1.lock().expect("lock").push(text);
        }
    }

    /// What a source finds, in order of place.
    pub(crate) fn survey(source: &dyn Source) -> Result<Vec<Artifact>, SourceError> {
        let kept = Kept::default();
        source.survey(&kept, &Silent)?;
        let mut all = kept.0.into_inner().expect("lock");
        all.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        Ok(all)
    }

    fn path(s: &str) -> RelPath {
        RelPath::new(s).expect("a path")
    }

    fn names(source: &FilesSource) -> Vec<String> {
        survey(source).expect("survey").into_iter().map(|a| a.name).collect()
    }

    #[test]
    fn a_tree_becomes_artifacts() {
        let dir = tempfile::tempdir().expect("tempdir");
        let at = |p: &str| dir.path().join(p);
        fs::create_dir_all(at("kubernetes/v1")).expect("mkdir");
        fs::write(at("kubernetes/v1/kubectl"), "elf").expect("write");
        fs::set_permissions(at("kubernetes/v1/kubectl"), fs::Permissions::from_mode(0o750)).expect("chmod");
        fs::write(at("empty"), "").expect("write");
        symlink("v1", at("kubernetes/latest")).expect("symlink");
        let mut source = FilesSource::new(dir.path(), path("www"), Some(path("files")));
        source.origins.insert("empty".into(), "https://h.example/empty".into());
        let all = survey(&source).expect("survey");
        let seen: Vec<_> = all.iter().map(|a| (a.name.as_str(), a.executable, a.bytes(), a.label("origin"))).collect();
        assert_eq!(
            seen,
            [
                ("files/empty", false, 0, Some("https://h.example/empty")),
                ("files/kubernetes/latest/kubectl", true, 3, None),
                ("files/kubernetes/v1/kubectl", true, 3, None),
            ]
        );
        assert!(all.iter().all(|a| a.kind == Kind::File && a.root == path("www") && a.blobs.len() == 1));
        source.under = None;
        source.include = vec!["kubernetes/**".into()];
        assert_eq!(names(&source), ["kubernetes/latest/kubectl", "kubernetes/v1/kubectl"]);
        source.exclude = vec!["**/latest/*".into()];
        assert_eq!(names(&source), ["kubernetes/v1/kubectl"]);
        source.include = vec!["*.nothing".into()];
        assert!(matches!(survey(&source), Err(SourceError::List { .. })));
        source.include = vec!["[".into()];
        assert!(matches!(survey(&source), Err(SourceError::List { .. })));
        assert_eq!(names(&FilesSource::new(at("empty"), path("kit"), None)), ["empty"]);
    }

    #[test]
    fn refusals_name_the_file() {
        let dir = tempfile::tempdir().expect("tempdir");
        let source = FilesSource::new(dir.path(), path("www"), None);
        assert!(survey(&source).expect("an empty folder").is_empty());
        for bad in ["a:b", "CON", "x.", "e\u{301}"] {
            let file = dir.path().join(bad);
            fs::write(&file, "").expect("write");
            match survey(&source) {
                Err(SourceError::Path { path, .. }) => assert!(path.ends_with(bad), "{path:?}"),
                other => panic!("{bad}: {other:?}"),
            }
            fs::remove_file(&file).expect("rm");
        }
        symlink("/etc/passwd", dir.path().join("out")).expect("symlink");
        assert!(matches!(survey(&source), Err(SourceError::Link { .. })));
        let gone = FilesSource::new(dir.path().join("gone"), path("www"), None);
        assert!(matches!(survey(&gone), Err(SourceError::Io { .. })));
    }
}
