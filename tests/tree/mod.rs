//! Renders a source's finds into a folder and serves it with nginx, as a site would.

use pouch::digest::Blob;
use pouch::model::{Catalog, Content, Context, Plan, ReleaseView, SiteConfig};
use pouch::monitor::Silent;
use pouch::relpath::RelPath;
use pouch::source::{Found, Origin, Sink, Source, SourceError};
use pouch::target::TargetError;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Kept(Mutex<Vec<Found>>);

impl Sink for Kept {
    fn found(&self, found: Found) -> Result<(), SourceError> {
        self.0.lock().expect("lock").push(found);
        Ok(())
    }
    fn note(&self, _: String) {}
}

pub type Target = fn(&Catalog, &Context<'_>, &mut Plan) -> Result<(), TargetError>;

pub fn root(text: &str) -> RelPath {
    RelPath::new(text).expect("root")
}

/// Surveys `source`, renders it with `target` and writes the plan below `to`.
pub fn render(source: &dyn Source, target: Target, to: &Path) {
    let kept = Kept::default();
    source.survey(&kept, &Silent).unwrap_or_else(|e| panic!("survey: {e:?}"));
    let found = kept.0.into_inner().expect("lock");
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
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    _scratch: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves `folder` on a free port of the loopback interface.
pub fn serve(folder: &Path) -> Served {
    let scratch = tempfile::tempdir().expect("tempdir");
    let at = scratch.path().display();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let user = if nix_root() { "user root;" } else { "" };
    let conf = format!(
        "{user} daemon off; master_process off; pid {at}/pid; error_log {at}/error.log; events {{}}\n\
         http {{ access_log off; default_type application/octet-stream; types {{ text/html html; application/json json; }}\n\
         client_body_temp_path {at}/1; proxy_temp_path {at}/2; fastcgi_temp_path {at}/3; uwsgi_temp_path {at}/4;\n\
         scgi_temp_path {at}/5; server {{ listen 127.0.0.1:{port}; root {}; }} }}\n",
        folder.display()
    );
    let file: PathBuf = scratch.path().join("nginx.conf");
    std::fs::write(&file, conf).expect("write");
    let child = Command::new("nginx").arg("-c").arg(&file).stderr(Stdio::null()).spawn().expect("nginx is needed");
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nginx does not answer");
        std::thread::yield_now();
    }
    Served { child, url: format!("http://127.0.0.1:{port}"), _scratch: scratch }
}

fn nix_root() -> bool {
    std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0).unwrap_or(false)
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
