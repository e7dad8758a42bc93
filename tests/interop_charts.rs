//! PyYAML reads a rendered `index.yaml` and finds in it what Chart.yaml says.

mod tree;

use pouch::source::chart::ChartSource;
use std::fs;
use std::process::Command;
use tree::{render, root, run, serve};

/// Makes charts with every field of Chart.yaml and texts that look like something else in YAML.
const MAKE: &str = r#"
import io, sys, tarfile
out = sys.argv[1]
def chart(name, version, more):
    with tarfile.open(f"{out}/{name}-{version}.tgz", "w:gz") as t:
        for path, text in ((f"{name}/Chart.yaml", f"apiVersion: v2\nname: {name}\nversion: {version}\n{more}"), (f"{name}/charts/z/Chart.yaml", "x")):
            b = text.encode(); i = tarfile.TarInfo(path); i.size = len(b); t.addfile(i, io.BytesIO(b))
chart("alpha", "1.9.0", "appVersion: 1.10\n")
chart("alpha", "1.10.0", "appVersion: '1.10'\n")
chart("alpha", "1.10.0-rc.1", "appVersion: \"on\"\n")
chart("beta", "2.0.0+build.1", '''appVersion: v3
kubeVersion: ">= 1.20.0-0"
description: |
  two lines, "quotes", back\\slash, tab\t, # hash: colon
  é 漢字 😀 \u00a0 end
type: application
keywords: [a, "yes", "0x10", "~", "2020-01-01", "1:30", "<<", "=", "null", "1e3", ".5", " lead", "trail ", ""]
home: https://example.org/?a=b&c=%20
sources:
- https://example.org/src
dependencies:
- {name: dep, version: ~1.2, repository: "https://example.org", condition: dep.enabled, tags: [x, y z], enabled: true, import-values: [{child: a, parent: b}], alias: other}
maintainers:
- name: "A: B"
  email: a@example.org
  url: https://example.org
icon: data:image/svg+xml;base64,AAAA
deprecated: true
annotations:
  category: "5"
  artifacthub.io/changes: |
    - one
    - "two"
  "odd: key": "{{ .Values }}"
unknown: {deep: [1, 2.5, -3, 1.0e+30, null, false, [], {}]}
''')
"#;

const COMPARE: &str = r#"
import hashlib, os, sys, tarfile, urllib.parse, urllib.request, yaml
src, web = sys.argv[1:]
get = lambda u: urllib.request.build_opener(urllib.request.ProxyHandler({})).open(u).read()
index = yaml.safe_load(get(web + "index.yaml"))
assert index["apiVersion"] == "v1" and index["generated"] == "2023-11-14T22:13:20Z", index
assert list(index["entries"]) == ["alpha", "beta"]
assert [c["version"] for c in index["entries"]["alpha"]] == ["1.10.0", "1.10.0-rc.1", "1.9.0"]
listed = {(c["name"], c["version"]): c for l in index["entries"].values() for c in l}
for f in os.listdir(src):
    b = open(f"{src}/{f}", "rb").read()
    t = tarfile.open(f"{src}/{f}")
    want = yaml.safe_load(t.extractfile(next(m for m in t.getnames() if m.count("/") == 1)).read())
    got = listed.pop((want["name"], want["version"]))
    assert got.pop("digest") == hashlib.sha256(b).hexdigest()
    assert got.pop("created") == "2023-11-14T22:13:20Z"
    assert get(urllib.parse.urljoin(web, got.pop("urls")[0])) == b
    assert got == want, (got, want)
    assert list(got) == list(want), "order of keys"
assert not listed
print("same", end="")
"#;

#[test]
fn pyyaml_reads_the_index() {
    let dir = tempfile::tempdir().expect("tempdir");
    let at = |p: &str| dir.path().join(p);
    fs::create_dir(at("in")).expect("mkdir");
    // The system's Python: the yaml module comes from its package manager.
    let python = || Command::new("/usr/bin/python3");
    run(python().args(["-c", MAKE]).arg(at("in"))).expect("python3 is needed");
    let source = ChartSource { from: at("in"), root: root("www/charts") };
    render(&source, pouch::target::charts::plan, &at("site"));
    let web = serve(&at("site/www"));
    let out = run(python().args(["-c", COMPARE]).arg(at("in")).arg(format!("{}/charts/", web.url())));
    assert_eq!(out.expect("python3-yaml is needed"), "same");
}
