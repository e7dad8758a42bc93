//! A *packing list* is a TOML file that says what goes into a release, where it goes and how images are named.
//!
//! It opens no artifact; it makes the sources that will. Specified in `spec/packing.md`, section "Packing list".

use super::chart::ChartSource;
use super::deb::DebSource;
use super::files::FilesSource;
use super::gomod::GoSource;
use super::kubespray::urls::STRIPPED_HOSTS;
use super::oci::{Naming, OciSource};
use super::pypi::PypiSource;
use super::rpm::RpmSource;
use super::{Metadata, Source, SourceError};
use crate::fs::regular;
use crate::limits;
use crate::relpath::RelPath;
use serde::Deserialize;
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;

/// What a packing list says.
pub struct List {
    /// The stream to pack for, unless the command line names one.
    pub stream: Option<String>,
    /// The version to show people, unless the command line names one.
    pub version: Option<String>,
    /// What to pack.
    pub sources: Vec<Box<dyn Source>>,
}

/// The sources of the packing list `text`, whose paths are relative to the folder `base`.
pub fn parse(text: &str, base: &Path) -> Result<Vec<Box<dyn Source>>, SourceError> {
    List::parse(text, base).map(|l| l.sources)
}

impl List {
    /// Reads the packing list `path`; its paths are relative to the folder that it lies in.
    pub fn read(path: &Path) -> Result<List, SourceError> {
        let text = read_text(path)?;
        let base = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        List::parse(&text, base).map_err(|e| match e {
            SourceError::List { why, .. } => SourceError::List { path: path.into(), why },
            other => other,
        })
    }

    /// Makes the sources of the packing list `text`, whose paths are relative to the folder `base`.
    pub fn parse(text: &str, base: &Path) -> Result<List, SourceError> {
        let wrong = |e: toml::de::Error| SourceError::List { path: base.into(), why: e.to_string().trim_end().into() };
        let document: Document = toml::from_str(text).map_err(wrong)?;
        let sources = Lowering { text, base }.sources(&document)?;
        if sources.is_empty() {
            return Err(SourceError::List { path: base.into(), why: "it asks for nothing".into() });
        }
        Ok(List { stream: document.stream, version: document.version, sources })
    }
}

/// A text file of at most [`limits::CONFIGURATION`] bytes.
pub fn read_text(path: &Path) -> Result<String, SourceError> {
    let file = regular::open(path).map_err(SourceError::io(path))?;
    let mut bytes = Vec::new();
    file.take(limits::CONFIGURATION + 1).read_to_end(&mut bytes).map_err(SourceError::io(path))?;
    let wrong = |why: &str| SourceError::List { path: path.into(), why: why.into() };
    if bytes.len() as u64 > limits::CONFIGURATION {
        return Err(wrong("it is larger than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))
}

/// The entries of a list file, one a line; what follows a `#` at the begin of a line or after a blank is a comment.
pub fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| {
            let comment = line
                .match_indices('#')
                .map(|(i, _)| i)
                .find(|i| line.get(..*i).is_none_or(|before| before.is_empty() || before.ends_with([' ', '\t'])));
            comment.and_then(|i| line.get(..i)).unwrap_or(line).trim()
        })
        .filter(|line| !line.is_empty())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    stream: Option<String>,
    version: Option<String>,
    #[serde(default)]
    files: Vec<Tree>,
    #[serde(default)]
    images: Vec<Images>,
    #[serde(default)]
    rpms: Vec<Repository>,
    #[serde(default)]
    debs: Vec<Repository>,
    #[serde(default)]
    pypi: Vec<Folder>,
    #[serde(default)]
    charts: Vec<Folder>,
    #[serde(default)]
    go: Vec<Folder>,
    #[serde(default)]
    kit: Vec<Tree>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tree {
    from: Spanned<Many>,
    to: Option<Spanned<String>>,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Images {
    from: Spanned<Many>,
    name: Option<Spanned<String>>,
    #[serde(default)]
    keep_host: bool,
    strip: Option<Vec<String>>,
    #[serde(default)]
    platforms: Vec<String>,
    lists: Option<Spanned<Many>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repository {
    from: Spanned<Many>,
    to: Option<Spanned<String>>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Folder {
    from: Spanned<Many>,
    to: Option<Spanned<String>>,
}

/// One path or glob, or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a path, or a list of paths")]
enum Many {
    One(String),
    Several(Vec<String>),
}

impl Many {
    fn all(&self) -> &[String] {
        match self {
            Many::One(one) => std::slice::from_ref(one),
            Many::Several(all) => all,
        }
    }
}

/// Turns what the list says into sources.
struct Lowering<'a> {
    text: &'a str,
    base: &'a Path,
}

impl Lowering<'_> {
    fn sources(&self, document: &Document) -> Result<Vec<Box<dyn Source>>, SourceError> {
        let mut out: Vec<Box<dyn Source>> = Vec::new();
        for tree in &document.files {
            let under = self.prefix(tree.to.as_ref(), Some("files"))?;
            self.trees(tree, RelPath::new("www"), under, &mut out)?;
        }
        for images in &document.images {
            out.push(Box::new(self.images(images)?));
        }
        for repository in &document.rpms {
            for (from, root) in self.repositories(repository, "rpms")? {
                out.push(Box::new(RpmSource { from, root, metadata: repository.metadata }));
            }
        }
        for repository in &document.debs {
            for (from, root) in self.repositories(repository, "debs")? {
                out.push(Box::new(DebSource { from, root, metadata: repository.metadata }));
            }
        }
        for (from, root) in self.folders(&document.pypi, "pypi")? {
            out.push(Box::new(PypiSource { from, root }));
        }
        for (from, root) in self.folders(&document.charts, "charts")? {
            out.push(Box::new(ChartSource { from, root }));
        }
        for (from, root) in self.folders(&document.go, "go")? {
            out.push(Box::new(GoSource { from, root }));
        }
        for tree in &document.kit {
            let under = self.prefix(tree.to.as_ref(), None)?;
            self.trees(tree, RelPath::new("kit"), under, &mut out)?;
        }
        Ok(out)
    }

    fn trees(
        &self,
        tree: &Tree,
        root: Result<RelPath, crate::relpath::PathError>,
        under: Option<RelPath>,
        out: &mut Vec<Box<dyn Source>>,
    ) -> Result<(), SourceError> {
        let root = root.map_err(|e| self.wrong(0, e.to_string()))?;
        for from in self.found(&tree.from)? {
            let mut source = FilesSource::new(from, root.clone(), under.clone());
            source.include = tree.include.clone();
            source.exclude = tree.exclude.clone();
            out.push(Box::new(source));
        }
        Ok(())
    }

    fn images(&self, images: &Images) -> Result<OciSource, SourceError> {
        let from = self.found(&images.from)?;
        if let Some(name) = &images.name
            && from.len() != 1
        {
            let why = format!("`name` names one image, and `from` matches {} paths", from.len());
            return Err(self.wrong(name.span().start, why));
        }
        let mut lists = Vec::new();
        for list in images.lists.iter().map(|l| self.found(l)).collect::<Result<Vec<_>, _>>()?.concat() {
            lists.extend(entries(&read_text(&list)?).map(str::to_owned));
        }
        let hosts = || STRIPPED_HOSTS.map(str::to_owned).to_vec();
        let naming = Naming {
            strip: images.strip.clone().unwrap_or_else(hosts),
            lists,
            keep_host: images.keep_host,
            explicit: images.name.as_ref().map(|n| n.get_ref().clone()),
        };
        Ok(OciSource { from, naming, platforms: images.platforms.clone() })
    }

    /// The folders of a section, each a repository of its own name unless `to` says where.
    fn repositories(&self, section: &Repository, parent: &str) -> Result<Vec<(PathBuf, RelPath)>, SourceError> {
        let at = section.from.span().start;
        let mut out = Vec::new();
        for from in self.found(&section.from)? {
            let root = match &section.to {
                Some(to) => self.www(to.get_ref(), to.span().start)?,
                None => self.www(&format!("{parent}/{}", self.name(&from, at)?), at)?,
            };
            out.push((self.folder(from, at)?, root));
        }
        Ok(out)
    }

    fn folders(&self, sections: &[Folder], to: &str) -> Result<Vec<(PathBuf, RelPath)>, SourceError> {
        let mut out = Vec::new();
        for section in sections {
            let at = section.from.span().start;
            let root = match &section.to {
                Some(to) => self.www(to.get_ref(), to.span().start)?,
                None => self.www(to, at)?,
            };
            for from in self.found(&section.from)? {
                out.push((self.folder(from, at)?, root.clone()));
            }
        }
        Ok(out)
    }

    /// `www/<to>`; slashes around `to` do not matter, and an empty one is `www` itself.
    fn www(&self, to: &str, at: usize) -> Result<RelPath, SourceError> {
        let to = to.trim_matches('/');
        let root = if to.is_empty() { RelPath::new("www") } else { RelPath::new(&format!("www/{to}")) };
        root.map_err(|e| self.wrong(at, e.to_string()))
    }

    fn prefix(&self, to: Option<&Spanned<String>>, default: Option<&str>) -> Result<Option<RelPath>, SourceError> {
        let (text, at) = match to {
            Some(to) => (to.get_ref().trim_matches('/'), to.span().start),
            None => (default.unwrap_or(""), 0),
        };
        if text.is_empty() {
            return Ok(None);
        }
        RelPath::new(text).map(Some).map_err(|e| self.wrong(at, e.to_string()))
    }

    fn folder(&self, from: PathBuf, at: usize) -> Result<PathBuf, SourceError> {
        if from.is_dir() { Ok(from) } else { Err(self.wrong(at, format!("{} is not a folder", from.display()))) }
    }

    /// The last component of a folder's real path: `.` has a name too.
    fn name(&self, from: &Path, at: usize) -> Result<String, SourceError> {
        let real = fs::canonicalize(from).map_err(SourceError::io(from))?;
        let named = if from.file_name().is_some() { from } else { &real };
        let name = named.file_name().and_then(|n| n.to_str());
        name.map(str::to_owned).ok_or_else(|| self.wrong(at, format!("{} has no name; give `to`", from.display())))
    }

    /// The paths that a `from` stands for, in order; each pattern must match something.
    fn found(&self, from: &Spanned<Many>) -> Result<Vec<PathBuf>, SourceError> {
        let at = from.span().start;
        let mut out = Vec::new();
        for pattern in from.get_ref().all() {
            let found = expand(self.base, pattern).map_err(|e| match e {
                SourceError::List { why, .. } => self.wrong(at, why),
                other => other,
            })?;
            if found.is_empty() {
                return Err(self.wrong(at, format!("{pattern:?} matches nothing in {}", self.base.display())));
            }
            out.extend(found);
        }
        if out.is_empty() {
            return Err(self.wrong(at, "`from` is empty".into()));
        }
        out.sort();
        out.dedup();
        Ok(out)
    }

    /// An error at a byte of the text.
    fn wrong(&self, at: usize, why: String) -> SourceError {
        let line = self.text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        SourceError::List { path: self.base.into(), why: format!("line {line}: {why}") }
    }
}

/// The paths that `pattern`, a path with globs in its components, stands for; `**` stands for any number of folders.
fn expand(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let mut at = vec![base.to_path_buf()];
    for part in Path::new(pattern).components() {
        let Component::Normal(name) = part else {
            at = at.into_iter().map(|p| p.join(part)).collect();
            continue;
        };
        let name = name.to_string_lossy();
        at = if name == "**" {
            at.iter().map(|p| folders(p, 0)).collect::<Result<Vec<_>, _>>()?.concat()
        } else if name.contains(['*', '?', '[', '{']) {
            at.iter().map(|p| matching(p, &name)).collect::<Result<Vec<_>, _>>()?.concat()
        } else {
            at.into_iter().map(|p| p.join(&*name)).collect()
        };
    }
    at.retain(|p| p.exists());
    Ok(at)
}

/// The entries of a folder whose names match; none where it is no folder.
fn matching(folder: &Path, glob: &str) -> Result<Vec<PathBuf>, SourceError> {
    let glob = super::files::globs(&[glob.to_owned()], folder)?;
    Ok(children(folder)?.into_iter().filter(|p| p.file_name().is_some_and(|n| glob.is_match(n))).collect())
}

/// A folder and all below it; links to folders are not followed, so that there is an end.
fn folders(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, SourceError> {
    let mut out = vec![folder.to_path_buf()];
    for child in children(folder)? {
        if child.is_dir() && !child.is_symlink() && depth < crate::relpath::MAX_COMPONENTS {
            out.extend(folders(&child, depth + 1)?);
        }
    }
    Ok(out)
}

/// The entries of a folder, by name; none where it is no folder.
pub fn children(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(SourceError::io(folder))?;
    let mut out =
        entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(SourceError::io(folder))?;
    out.sort();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::survey;
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("tempdir");
        for file in
            ["bin/a", "bin/sub/b", "img/x.tar", "img/y.tar.gz", "rpms/local/p.rpm", "rpms/extra/q.rpm", "py/w.whl"]
        {
            let file = dir.path().join(file);
            fs::create_dir_all(file.parent().expect("parent")).expect("mkdir");
            fs::write(file, "x").expect("write");
        }
        dir
    }

    fn places(list: &str) -> Vec<String> {
        let dir = tree();
        let mut out = Vec::new();
        for source in parse(list, dir.path()).expect("a list") {
            for a in survey(&*source).expect("survey") {
                out.push(a.place().expect("a file").expect("a path").to_string());
            }
        }
        out
    }

    #[test]
    fn files_and_kit() {
        for (list, want) in [
            ("[[files]]\nfrom = 'bin'", &["www/files/a", "www/files/sub/b"][..]),
            ("[[files]]\nfrom = 'bin'\nto = '/opt/x/'", &["www/opt/x/a", "www/opt/x/sub/b"]),
            ("[[files]]\nfrom = 'bin'\nto = ''", &["www/a", "www/sub/b"]),
            ("[[files]]\nfrom = 'bin/a'", &["www/files/a"]),
            ("[[files]]\nfrom = ['bin/*', 'py']\nto = 'f'", &["www/f/a", "www/f/b", "www/f/w.whl"]),
            ("[[files]]\nfrom = '**/*.rpm'", &["www/files/q.rpm", "www/files/p.rpm"]),
            ("[[files]]\nfrom = 'bin'\nexclude = ['sub/**']", &["www/files/a"]),
            ("[[files]]\nfrom = '.'\ninclude = ['**/b']", &["www/files/bin/sub/b"]),
            ("[[kit]]\nfrom = 'bin'", &["kit/a", "kit/sub/b"]),
            ("[[kit]]\nfrom = 'bin'\nto = 'tools'", &["kit/tools/a", "kit/tools/sub/b"]),
        ] {
            assert_eq!(places(list), want, "{list}");
        }
    }

    #[test]
    fn sections_take_their_places() {
        let dir = tree();
        let text = "[[a]]";
        let low = Lowering { text, base: dir.path() };
        let section = |text: &str| toml::from_str::<Repository>(text).expect("a section");
        let roots = |text: &str| -> Vec<String> {
            let found = low.repositories(&section(text), "rpms").expect("repositories");
            found.into_iter().map(|(_, root)| root.to_string()).collect()
        };
        assert_eq!(roots("from = 'rpms/*'"), ["www/rpms/extra", "www/rpms/local"]);
        assert_eq!(roots("from = 'rpms/local'\nto = 'files/x'\nmetadata = 'keep'"), ["www/files/x"]);
        assert_eq!(roots("from = 'rpms/local/.'"), ["www/rpms/local"]);
        let images: Images =
            toml::from_str("from = 'img/*'\nkeep-host = true\nplatforms = ['linux/amd64']").expect("ok");
        let images = low.images(&images).expect("images");
        assert_eq!(images.from.len(), 2);
        assert!(images.naming.keep_host && images.naming.strip.iter().any(|h| h == "quay.io"));
        assert_eq!(images.platforms, ["linux/amd64"]);
    }

    #[test]
    fn refusals_say_where() {
        let dir = tree();
        for (list, want) in [
            ("", "asks for nothing"),
            ("stream = 'a'\nfoo = 1", "line 2"),
            ("[[files]]\nfrom = 'bin'\nform = 'x'", "line 3"),
            ("[[files]]\n\nfrom = 'none'", "line 3: \"none\" matches nothing"),
            ("[[files]]\nfrom = 'bin/*.none'", "line 2: \"bin/*.none\" matches nothing"),
            ("[[files]]\nfrom = []", "line 2: `from` is empty"),
            ("[[files]]\nfrom = 7", "expected a path, or a list of paths"),
            ("[[files]]\nto = 'x'", "missing field `from`"),
            ("[[files]]\nfrom = 'bin'\nto = '../x'", "line 3: the path"),
            ("[[files]]\nfrom = 'bin/[a'", "line 2"),
            ("[[rpms]]\nfrom = 'bin/a'", "line 2"),
            ("[[rpms]]\nfrom = 'rpms/local'\nmetadata = 'x'", "line 3"),
            ("[[images]]\nfrom = 'img/*'\nname = 'a:1'", "line 3: `name` names one image"),
            ("[[images]]\nfrom = 'img/*'\nlists = 'none.list'", "line 3"),
            ("files = 'x", "line 1"),
        ] {
            match List::parse(list, dir.path()) {
                Err(e) => assert!(e.to_string().contains(want), "{list}: {e}"),
                Ok(_) => panic!("{list} is taken"),
            }
        }
        let file = dir.path().join("pouch.toml");
        fs::write(&file, "stream = 's'\nversion = '1'\n[[go]]\nfrom = 'bin'").expect("write");
        let list = List::read(&file).expect("a list");
        assert_eq!((list.stream.as_deref(), list.version.as_deref(), list.sources.len()), (Some("s"), Some("1"), 1));
        fs::write(&file, "[[go]]\nfrom = 'none'").expect("write");
        assert!(List::read(&file).err().expect("refused").to_string().contains("pouch.toml: line 2"));
    }

    #[test]
    fn mutations_never_panic() {
        let dir = tree();
        let good = "stream = 'é'\n[[files]]\nfrom = ['bin/*', 'py']\nto = '/x/'\ninclude = ['**/{a,b}']\n[[images]]\n\
                    from = 'img/[xy].tar'\nname = 'a:1'\nkeep-host = true\n[[rpms]]\nfrom = 'rpms/*'\nmetadata = 'keep'\n";
        assert_eq!(parse(good, dir.path()).expect("a list").len(), 6);
        for at in 0..good.len() {
            for byte in [b'"', b'\'', b'[', b'\n', 0, 0xff] {
                let mut bytes = good.as_bytes().to_vec();
                bytes[at] = byte;
                let _ = parse(&String::from_utf8_lossy(&bytes), dir.path());
                let _ = parse(&String::from_utf8_lossy(&bytes[..at]), dir.path());
            }
        }
    }

    #[test]
    fn comments_and_blank_lines_are_no_entries() {
        let got: Vec<&str> = entries("a:1\n# no\n\n  b#c:2  \r\nd:3 # why\n").collect();
        assert_eq!(got, ["a:1", "b#c:2", "d:3"]);
    }
}
