//! `go` fetches modules from a rendered module proxy over nginx.

mod tree;

use pouch::source::gomod::GoSource;
use std::fs;
use std::path::Path;
use std::process::Command;
use tree::{render, root, run, serve};

/// Writes a proxy tree of two modules, one with a capital in its path, with a newer version than is asked for.
const MAKE: &str = r#"
import os, sys, zipfile
out = sys.argv[1]
def module(path, version, need=""):
    at = f"{out}/" + "".join("!" + c.lower() if c.isupper() else c for c in path) + "/@v"
    os.makedirs(at, exist_ok=True)
    mod = f"module {path}\n\ngo 1.16\n{need}"
    open(f"{at}/{version}.mod", "w").write(mod)
    open(f"{at}/{version}.info", "w").write('{"Version":"%s","Time":"2020-01-01T00:00:00Z"}' % version)
    open(f"{at}/{version}.lock", "w").close()
    open(f"{at}/list", "w").write("stale\n")
    with zipfile.ZipFile(f"{at}/{version}.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(f"{path}@{version}/go.mod", mod)
        z.writestr(f"{path}@{version}/a.go", f'package a\n\nconst Version = "{version}"\n')
module("example.com/Capital/mod", "v1.2.0", "\nrequire example.com/plain v1.0.0\n")
module("example.com/Capital/mod", "v1.10.0", "\nrequire example.com/plain v1.0.0\n")
module("example.com/Capital/mod", "v1.11.0-rc.1")
module("example.com/plain", "v1.0.0")
"#;

fn go(dir: &Path, url: &str, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("go");
    command.current_dir(dir).args(args).env("GOPATH", dir.join("gopath")).env("GOCACHE", dir.join("cache"));
    command
        .env("GOPROXY", url)
        .env("GOSUMDB", "off")
        .env("GOFLAGS", "-mod=mod -modcacherw")
        .env("GOTOOLCHAIN", "local");
    command.env_remove("GOMODCACHE").env_remove("GONOPROXY").env_remove("GOPRIVATE").env("GOENV", "off");
    command.env("NO_PROXY", "127.0.0.1").env("GO111MODULE", "on");
    run(&mut command)
}

#[test]
fn go_fetches_from_the_rendered_proxy() {
    let dir = tempfile::tempdir().expect("tempdir");
    let at = |p: &str| dir.path().join(p);
    run(Command::new("python3").args(["-c", MAKE]).arg(at("proxy"))).expect("python3 is needed");
    render(&GoSource { from: at("proxy"), root: root("www/go") }, pouch::target::go::plan, &at("site"));
    let web = serve(&at("site/www"));
    let url = format!("{}/go", web.url());
    let work = at("work");
    fs::create_dir(&work).expect("mkdir");
    fs::write(work.join("go.mod"), "module example.com/test\n\ngo 1.16\n\nrequire example.com/Capital/mod v1.2.0\n")
        .expect("write");
    fs::write(work.join("main.go"), "package main\n\nimport _ \"example.com/Capital/mod\"\n\nfunc main() {}\n")
        .expect("write");
    go(&work, &url, &["mod", "download", "all"]).expect("go is needed");
    assert!(work.join("gopath/pkg/mod/example.com/!capital/mod@v1.2.0/a.go").exists());
    assert!(work.join("gopath/pkg/mod/example.com/plain@v1.0.0/a.go").exists());
    let versions = go(&work, &url, &["list", "-m", "-versions", "example.com/Capital/mod"]).expect("versions");
    assert_eq!(versions.trim(), "example.com/Capital/mod v1.2.0 v1.10.0 v1.11.0-rc.1");
    let latest = go(&work, &url, &["list", "-m", "example.com/Capital/mod@latest"]).expect("latest");
    assert_eq!(latest.trim(), "example.com/Capital/mod v1.10.0");
    // What `go` has put into its own cache can be packed and served in turn, by GOPATH.
    render(&GoSource { from: work.join("gopath"), root: root("www/go") }, pouch::target::go::plan, &at("again"));
    let again = at("again/www/go/example.com/!capital/mod/@v");
    assert!(again.join("v1.2.0.zip").exists() && again.join("v1.2.0.ziphash").exists());
}
