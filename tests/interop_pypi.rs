//! pip, in a virtual environment of its own, installs from a rendered index over nginx.

mod tree;

use pouch::source::pypi::PypiSource;
use std::fs;
use std::path::Path;
use std::process::Command;
use tree::{render, root, run, serve};

/// Makes the packages with Python's own zipfile and tarfile: `app` needs `lib` and runs on any Python, `epoch` has an
/// epoch, `lib` a local version and a version that is not for this Python, `old` a version that is withdrawn.
const MAKE: &str = r#"
import base64, hashlib, io, sys, tarfile, zipfile
out = sys.argv[1]
def wheel(name, version, meta="", deflate=zipfile.ZIP_DEFLATED):
    info = f"{name}-{version}.dist-info"
    files = {f"{name}.py": f"version = {version!r}\n", f"{info}/METADATA":
        f"Metadata-Version: 2.1\nName: {name.replace('_', '.')}\nVersion: {version}\n{meta}\ntext\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    sums = lambda b: base64.urlsafe_b64encode(hashlib.sha256(b).digest()).rstrip(b"=").decode()
    files[f"{info}/RECORD"] = "".join(f"{n},sha256={sums(c.encode())},{len(c)}\n" for n, c in files.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(f"{out}/{name}-{version}-py3-none-any.whl", "w", deflate) as z:
        for n, c in files.items():
            z.writestr(n, c)
wheel("my_app", "1.0", "Requires-Dist: my-lib>=1.0\nRequires-Python: >=3.6,<4\n")
wheel("my_lib", "1.0+abc.1", "Requires-Python: >=3\n", zipfile.ZIP_STORED)
wheel("my_lib", "2.0", "Requires-Python: <3\n")
wheel("epoch", "1!2.0")
wheel("epoch", "3.0")
wheel("old", "1.0")
wheel("old", "1.1")
# An sdist that brings its own build backend needs no other package.
BACKEND = '''
import zipfile
def build_wheel(folder, settings=None, metadata=None):
    with zipfile.ZipFile(f"{folder}/src-1.0-py3-none-any.whl", "w") as z:
        z.writestr("src.py", "version = '1.0'")
        z.writestr("src-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: src\\nVersion: 1.0\\n")
        z.writestr("src-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        z.writestr("src-1.0.dist-info/RECORD", "src.py,,\\nsrc-1.0.dist-info/METADATA,,\\nsrc-1.0.dist-info/WHEEL,,\\n")
    return "src-1.0-py3-none-any.whl"
'''
with tarfile.open(f"{out}/src-1.0.tar.gz", "w:gz") as t:
    for n, c in {"PKG-INFO": "Metadata-Version: 2.1\nName: src\nVersion: 1.0\n", "backend.py": BACKEND,
            "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"}.items():
        i = tarfile.TarInfo(f"src-1.0/{n}"); i.size = len(c)
        t.addfile(i, io.BytesIO(c.encode()))
open(f"{out}/yanked.txt", "w").write("old-1.1-py3-none-any.whl\tbroken <build>\n")
"#;

fn pip(venv: &Path, index: &str, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(venv.join("bin/pip"));
    command.args(["--isolated", "--no-cache-dir", "--disable-pip-version-check", args[0], "-q", "--index-url", index]);
    command.args(&args[1..]).env_remove("HTTP_PROXY").env_remove("http_proxy").env("NO_PROXY", "127.0.0.1");
    run(&mut command)
}

#[test]
fn pip_installs_from_the_rendered_index() {
    let dir = tempfile::tempdir().expect("tempdir");
    let at = |p: &str| dir.path().join(p);
    fs::create_dir_all(at("in/files")).expect("mkdir");
    run(Command::new("python3").args(["-c", MAKE]).arg(at("in/files"))).expect("python3 is needed");
    let source = PypiSource { from: at("in"), root: root("www/pypi") };
    render(&source, pouch::target::pypi::plan, &at("site"));
    let web = serve(&at("site/www"));
    let venv = at("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv)).expect("the venv module is needed");
    let version = |module: &str| {
        let code = format!("import {module}; print({module}.version, end='')");
        run(Command::new(venv.join("bin/python")).args(["-c", &code])).expect(module)
    };
    for index in ["pypi/simple", "pypi/"] {
        let url = format!("{}/{index}", web.url());
        // Links are relative and the redirect keeps the port, so a missing slash does no harm below a folder.
        let to = at("download").display().to_string();
        pip(&venv, &url, &["download", "--no-deps", "-d", &to, "my.app"]).expect(index);
        let want = fs::read(at("in/files/my_app-1.0-py3-none-any.whl")).expect("read");
        assert_eq!(fs::read(at("download/my_app-1.0-py3-none-any.whl")).expect("read"), want);
        fs::remove_dir_all(at("download")).expect("rm");
    }
    let url = format!("{}/pypi/simple/", web.url());
    pip(&venv, &url, &["install", "my-app", "epoch", "old", "src"]).expect("install");
    assert_eq!(version("my_lib"), "1.0+abc.1", "2.0 is not for this Python");
    assert_eq!(version("epoch"), "1!2.0", "epochs win");
    assert_eq!(version("old"), "1.0", "1.1 is withdrawn");
    assert_eq!(version("src"), "1.0", "built from source");
    let blob = fs::read(at("in/files/my_lib-1.0+abc.1-py3-none-any.whl")).expect("read");
    let hash = pouch::digest::Digest::of(&blob).hex();
    for (hash, good) in [(hash.clone(), true), (hash.replace(['0', '1'], "2"), false)] {
        fs::write(at("req.txt"), format!("my-lib==1.0+abc.1 --hash=sha256:{hash}\n")).expect("write");
        let (req, to) = (at("req.txt").display().to_string(), at("hashed").display().to_string());
        let got = pip(&venv, &url, &["download", "--require-hashes", "--no-deps", "-d", &to, "-r", &req]);
        assert_eq!(got.is_ok(), good, "{got:?}");
    }
}
