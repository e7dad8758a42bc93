//! Renders a source's finds into a folder and serves it with nginx, as a site would.

#[path = "../support/server.rs"]
mod server;

use pouch::digest::Blob;
use pouch::model::{Catalog, Content, Context, Plan, ReleaseView, SiteConfig};
use pouch::monitor::Silent;
use pouch::relpath::RelPath;
use pouch::source::{Collected, Origin, Source};
use pouch::target::TargetError;
use server::Nginx;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

pub type Target = fn(&Catalog, &Context<'_>, &mut Plan) -> Result<(), TargetError>;

pub fn root(text: &str) -> RelPath {
    RelPath::new(text).expect("root")
}

/// Surveys `source`, renders it with `target` and writes the plan below `to`.
pub fn render(source: &dyn Source, target: Target, to: &Path) {
    let kept = Collected::default();
    source.survey(&kept, &Silent).unwrap_or_else(|e| panic!("survey: {e:?}"));
    let (found, _) = kept.into_parts();
    let origins: BTreeMap<_, Origin> =
        found.iter().flat_map(|f| f.origins.iter()).map(|(b, o): (&Blob, _)| (b.digest, o.clone())).collect();
    let artifacts = found.into_iter().map(|f| f.described).collect();
    let release = ReleaseView { stream: "test".into(), epoch: 0, sequence: 1, latest: true, artifacts };
    let (config, mut plan) = (SiteConfig::default(), Plan::new());
    let context = Context { config: &config, time: 1_700_000_000 };
    target(&Catalog { releases: vec![release] }, &context, &mut plan).unwrap_or_else(|e| panic!("plan: {e:?}"));
    for (path, entry) in plan.files() {
        let file = to.join(path.as_str());
        std::fs::create_dir_all(file.parent().expect("parent")).expect("mkdir");
        match &entry.content {
            Content::Bytes(bytes) => std::fs::write(&file, bytes).expect("write"),
            Content::Blob { digest, .. } => match &origins[digest] {
                Origin::File(from) => _ = std::fs::copy(from, &file).expect("copy"),
                Origin::Bytes(bytes) => std::fs::write(&file, bytes).expect("write"),
                Origin::Member { .. } => panic!("a member"),
            },
        }
    }
}

/// A running nginx; ends with the value.
pub struct Served {
    nginx: Nginx,
    _scratch: tempfile::TempDir,
}

impl Served {
    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.nginx.url
    }
}

/// Serves `folder` on a free port of the loopback interface.
pub fn serve(folder: &Path) -> Served {
    let scratch = tempfile::tempdir().expect("tempdir");
    Served { nginx: Nginx::start(folder, scratch.path()), _scratch: scratch }
}

/// Runs a command to its end; its output, or all that it said where it fails.
pub fn run(command: &mut Command) -> Result<String, String> {
    let out = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    match out.status.success() {
        true => Ok(text(&out.stdout)),
        false => Err(format!("{command:?}: {}{}", text(&out.stdout), text(&out.stderr))),
    }
}
