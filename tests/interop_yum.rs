//! What is rendered for a repository of odd rpms against what createrepo_c says of the same files, and against dnf.
//!
//! Needs rpmbuild, rpm, createrepo_c and dnf; a missing one is a failure, not a skip.

use pouch::model::{Catalog, Content, Context, Described, Plan, ReleaseView, SiteConfig};
use pouch::monitor::Silent;
use pouch::relpath::RelPath;
use pouch::source::rpm::{Metadata, RpmSource};
use pouch::source::{Collected, Origin, Source};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Specs by what is odd about them; `@` is the temporary folder.
const SPECS: [(&str, &str); 9] = [
    (
        "relations",
        "Epoch: 3\nVersion: 1.0~rc1^20240101+g1\nRelease: 2%{?x}\n\
         Requires: libc.so.6()(64bit)\nRequires: libc.so.6(GLIBC_2.4)(64bit)\nRequires: libc.so.6(GLIBC_2.34)(64bit)\n\
         Requires: libc.so.6(GLIBC_2.9)(64bit)\nRequires: (foo if bar else (baz >= 1:2-3 and qux))\nRequires: lower < 1:2.0-3\n\
         Requires: ranged >= 1\nRequires: ranged < 2\nRequires: twice = 1\nRequires: twice = 1\nRequires: relations-self\n\
         Requires(pre): before\nRequires(post): before\nRequires(preun): atend\nRequires(postun): atend\nRequires: before\n\
         Requires(pretrans): early\nRequires(posttrans): late\nRequires: /usr/bin/own\nRequires: /opt/own\nRequires: /usr/bin/other\n\
         Requires: onlyrel = 1.0-\n\
         Provides: relations-self\nProvides: virtual = 5:4-3\nProvides: bin(x) = 1\nProvides: noversion\n\
         Conflicts: enemy <= 2\nObsoletes: old < 0:9-1\nRecommends: weak > 1\nRecommends: (a or b)\nSuggests: weaker\n\
         Supplements: (x and y)\nEnhances: big >= 2\n\
         %description\nd\n%install\nmkdir -p %{buildroot}/usr/bin %{buildroot}/opt; touch %{buildroot}/usr/bin/own %{buildroot}/opt/own\n\
         %files\n/usr/bin/own\n/opt/own\n",
    ),
    (
        "files",
        "Version: 1\nRelease: 1\n%description\n several\n\n  lines <&> \"q\" 'a'\t\n%install\n\
         cd %{buildroot}; mkdir -p 'opt/a b' etc/files.d var/ghosts usr/lib usr/sbin opt/deep/sbin/x opt/é\n\
         touch 'opt/a b/c&d <x> é.txt' etc/files.conf usr/lib/sendmail opt/deep/sbin/x/tool opt/é/ü var/g usr/sbin/suid usr/sbin/sgid\n\
         ln -s files.conf etc/link\n\
         %files\n%dir \"/opt/a b\"\n\"/opt/a b/c&d <x> é.txt\"\n%config(noreplace) /etc/files.conf\n/etc/link\n%dir /etc/files.d\n\
         /usr/lib/sendmail\n/opt/deep\n/opt/é\n%ghost /var/g\n%ghost %dir /var/ghosts\n%ghost /var/never\n\
         %attr(4755,root,root) /usr/sbin/suid\n%attr(2755,root,root) /usr/sbin/sgid\n",
    ),
    (
        "changes",
        "Version: 1\nRelease: 1\n%description\nd\n%files\n%changelog\n\
         * Mon Jan 15 2024 Last  Author <l@example.org> - 12  \n- l <&> é\n  more\n\n* Mon Jan 15 2024 B\n- k\n\n* Mon Jan 15 2024 C\n- j\n\n\
         * Mon Jan 08 2024 D\n- i\n\n* Mon Jan 08 2024 E\n- h\n\n* Mon Jan 01 2024 F\n- g\n\n* Mon Dec 25 2023 G\n- f\n\n\
         * Mon Dec 18 2023 H\n- e\n\n* Mon Dec 11 2023 I\n- d\n\n* Mon Dec 04 2023 J\n- c\n\n* Mon Nov 27 2023 K\n- b\n\n* Mon Nov 20 2023 L\n- a\n",
    ),
    (
        "scripts",
        "Version: 1\nRelease: 1\nVendor: V & Sons\nPackager: P <p@example.org>\nURL: https://example.org/?a=1&b=2\n\
         Group: Applications/Odd\n%description\nd\n%files\n%pre\ntrue\n%post -p /sbin/ldconfig\n%preun\ntrue\n%postun -p <lua>\nx=1\n\
         %posttrans\ntrue\n%triggerin -- other\ntrue\n%filetriggerin -- /usr/lib\ntrue\n",
    ),
    (
        "noarch",
        "Version: 007\nRelease: 0.1.a_b\nBuildArch: noarch\n%description\nd\n%install\nmkdir -p %{buildroot}/usr/share/x\n%files\n/usr/share/x\n",
    ),
    ("empty", "Version: 1\nRelease: 1\n%description\n%files\n"),
    ("latin", "Version: 1\nRelease: 1\n%description\n@latin\n%files\n"),
    ("modular", "Version: 1\nRelease: 1\nModularityLabel: lab:stable:1:abc\n%description\nd\n%files\n"),
    ("source+name", "Version: 1\nRelease: 1\nBuildRequires: make\nSource: extra.txt\n%description\nd\n%files\n"),
];

const MODULES: &str = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: lab\n  stream: \"stable\"\n  version: 1\n  \
    context: abc\n  arch: x86_64\n  summary: s\n  description: >-\n    d\n  license:\n    module:\n    - MIT\n  artifacts:\n    \
    rpms:\n    - modular-0:1-1.x86_64\n---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: lab\n  stream: stable\n";

fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command.env("LC_ALL", "C.UTF-8").output().unwrap_or_else(|e| panic!("{name} must be installed: {e}"));
    assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    out
}

fn build(scratch: &Path, rpms: &Path, name: &str, body: &str) {
    let spec = scratch.join(format!("{name}.spec"));
    let summary: &[u8] = if name == "latin" { b"caf\xe9 \x85 na\xefve" } else { "One <line> & \"more\" é".as_bytes() };
    let body = body.as_bytes().to_vec();
    let mut text = format!("Name: {name}\nLicense: MIT AND (A OR B)\nAutoReqProv: no\nSummary: ").into_bytes();
    text.extend(summary);
    text.push(b'\n');
    for (n, part) in body.split(|b| *b == b'@').enumerate() {
        text.extend(if n == 0 { &b""[..] } else { b"\xe4\xf6 " });
        text.extend(part);
    }
    fs::write(&spec, text).expect("write a spec");
    fs::write(scratch.join("extra.txt"), "x").expect("write a source");
    let mut command = Command::new("rpmbuild");
    command.arg(if name.starts_with("source") { "-bs" } else { "-bb" }).arg("--quiet");
    for define in [
        format!("_topdir {}/top", scratch.display()),
        format!("_sourcedir {}", scratch.display()),
        format!("_rpmdir {}", rpms.display()),
        format!("_srcrpmdir {}", rpms.display()),
        "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm".into(),
        "_invalid_encoding_terminates_build 0".into(),
        "_missing_doc_files_terminate_build 0".into(),
        "debug_package %{nil}".into(),
        "__os_install_post %{nil}".into(),
        "_target_cpu x86_64".into(),
    ] {
        command.arg("--define").arg(define);
    }
    run(command.arg("--target").arg("x86_64-linux").arg(&spec));
}

/// Everything below `from` as a site would show it, and the notes.
fn survey(from: &Path, metadata: Metadata) -> (Catalog, BTreeMap<pouch::digest::Digest, Origin>, Vec<String>) {
    let sink = Collected::default();
    let root = RelPath::new("www/rpms/local").expect("a path");
    RpmSource { from: from.into(), root, metadata }.survey(&sink, &Silent).expect("a survey");
    let (mut found, notes) = sink.into_parts();
    found.sort_by(|a, b| a.described.artifact.sort_key().cmp(&b.described.artifact.sort_key()));
    let origins = found.iter().flat_map(|f| f.origins.iter().map(|(b, o)| (b.digest, o.clone()))).collect();
    let artifacts: Vec<Described> = found.into_iter().map(|f| f.described).collect();
    let release = ReleaseView { stream: "s".into(), epoch: 1, sequence: 1, latest: true, artifacts };
    (Catalog { releases: vec![release] }, origins, notes)
}

fn render(catalog: &Catalog) -> Plan {
    let (config, mut plan) = (SiteConfig::default(), Plan::new());
    let context = Context { config: &config, time: 1_700_000_000 };
    pouch::target::yum::plan(catalog, &context, &mut plan).expect("a plan");
    plan
}

fn materialize(plan: &Plan, origins: &BTreeMap<pouch::digest::Digest, Origin>, to: &Path) {
    for (path, entry) in plan.files() {
        let to = to.join(path.as_str());
        fs::create_dir_all(to.parent().expect("a folder")).expect("mkdir");
        match &entry.content {
            Content::Bytes(bytes) => fs::write(&to, bytes).expect("write"),
            Content::Blob { digest, .. } => match &origins[digest] {
                Origin::File(from) => drop(fs::copy(from, &to).expect("copy")),
                Origin::Bytes(bytes) => fs::write(&to, bytes).expect("write"),
                other => panic!("{other:?}"),
            },
        }
    }
}

/// An element of an XML document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn parse(document: &str) -> Node {
        use quick_xml::XmlVersion::Implicit1_0;
        use quick_xml::events::{BytesStart, Event};
        let node = |e: &BytesStart<'_>| {
            let value = |a: quick_xml::events::attributes::Attribute<'_>| {
                (a.key.local_name().as_ref().to_owned(), a.normalized_value(Implicit1_0).expect("value").into_owned())
            };
            let mut attributes: Vec<_> = e.attributes().map(|a| value(a.expect("attribute"))).collect();
            attributes.sort();
            Node { name: e.local_name().as_ref().to_owned(), attributes, ..Node::default() }
        };
        let (mut reader, mut stack) = (quick_xml::Reader::from_str(document), vec![Node::default()]);
        loop {
            let event = reader.read_event().expect("XML");
            let top = stack.last_mut().expect("a node");
            match event {
                Event::Start(e) => stack.push(node(&e)),
                Event::Empty(e) => top.children.push(node(&e)),
                Event::Text(t) => top.text.push_str(&t.xml_content(Implicit1_0)),
                Event::GeneralRef(r) => {
                    top.text.push_str(&quick_xml::escape::unescape(&format!("&{};", &*r)).expect("reference"));
                }
                Event::End(_) => {
                    let done = stack.pop().expect("a node");
                    stack.last_mut().expect("a node").children.push(done);
                }
                Event::Eof => return stack.pop().expect("a node").children.remove(0),
                _ => {}
            }
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    fn child(&self, name: &str) -> &Node {
        self.children.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }

    /// Without the file's time and the white space between elements, and without order where it has no meaning.
    fn canonical(mut self) -> Node {
        if !self.children.is_empty() {
            self.text.clear();
        }
        if self.name == "time" {
            self.attributes.retain(|(k, _)| k != "file");
        }
        self.children = self.children.into_iter().map(Node::canonical).collect();
        if !self.children.iter().any(|c| c.name == "changelog") {
            self.children.sort();
        }
        self
    }
}

/// A repository's document of a type, checked against its `repomd.xml`.
fn document(repository: &Path, doctype: &str) -> Node {
    use std::io::Read as _;
    let repomd = fs::read_to_string(repository.join("repodata/repomd.xml")).expect("repomd.xml");
    let listed = pouch::kind::repodata::read_repomd(&repomd).expect("a list");
    let one = listed.iter().find(|l| l.doctype == doctype).unwrap_or_else(|| panic!("no {doctype}"));
    let raw = fs::read(repository.join(&one.href)).expect("the document");
    assert_eq!(one.sha256(), Some(pouch::digest::Digest::of(&raw)));
    assert_eq!(one.size, Some(raw.len() as u64));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&raw[..]).read_to_string(&mut text).expect("gzip");
    let open = Node::parse(&repomd).children.into_iter().find(|d| d.get("type") == Some(doctype)).expect("data");
    assert_eq!(open.child("open-checksum").text, pouch::digest::Digest::of(text.as_bytes()).hex());
    assert_eq!(open.child("open-size").text, text.len().to_string());
    Node::parse(&text)
}

/// The packages of a document, by location or id.
fn packages(repository: &Path, doctype: &str) -> BTreeMap<String, Vec<Node>> {
    let document = document(repository, doctype);
    assert_eq!(document.get("packages"), Some(document.children.len().to_string().as_str()));
    let mut out: BTreeMap<String, Vec<Node>> = BTreeMap::new();
    for package in document.children {
        let key = match doctype {
            "primary" => package.child("location").get("href").expect("href").to_owned(),
            _ => package.get("pkgid").expect("pkgid").to_owned(),
        };
        out.entry(key).or_default().push(package.canonical());
    }
    out
}

fn compare(ours: &Path, reference: &Path) {
    for doctype in ["primary", "filelists", "other"] {
        let (ours, reference) = (packages(ours, doctype), packages(reference, doctype));
        assert_eq!(ours.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>(), "{doctype}");
        for (key, ours) in &ours {
            assert_eq!(ours, &reference[key], "{doctype} of {key}");
        }
    }
}

fn repoquery(repository: &Path, scratch: &Path) -> Vec<String> {
    let at = |name: &str| {
        let path = scratch.join(name);
        fs::create_dir_all(&path).expect("mkdir");
        path.display().to_string()
    };
    let mut command = Command::new("dnf");
    command.args(["-q", "-y", "--repo=lab", "--releasever=9", "--forcearch=x86_64", "--setopt=reposdir=/dev/null"]);
    command.args(["--setopt=gpgcheck=0", "--setopt=module_platform_id=platform:el9", "--setopt=proxy="]);
    command.arg(format!("--installroot={}", at("root"))).arg(format!("--setopt=cachedir={}", at("cache")));
    command.arg(format!("--setopt=logdir={}", at("log"))).arg(format!("--setopt=persistdir={}", at("persist")));
    command.arg(format!("--repofrompath=lab,file://{}/", repository.display()));
    command.args(["repoquery", "--show-duplicates", "--qf", "%{name}-%{epoch}:%{version}-%{release}.%{arch}"]);
    let out = run(&mut command);
    let mut lines: Vec<String> = String::from_utf8(out.stdout).expect("UTF-8").lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup(); // of two copies of a file dnf names both
    lines
}

#[test]
fn odd_rpms_are_listed_as_createrepo_c_lists_them() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| scratch.path().join(name);
    fs::create_dir_all(at("in/sub dir")).expect("mkdir");
    for (name, body) in SPECS {
        build(scratch.path(), &at("in"), name, body);
    }
    fs::rename(at("in/noarch-007-0.1.a_b.noarch.rpm"), at("in/sub dir/noarch-007-0.1.a_b.noarch.rpm")).expect("move");
    fs::copy(at("in/empty-1-1.x86_64.rpm"), at("in/sub dir/copy ^~+of empty.rpm")).expect("copy");
    fs::write(at("in/modules.yaml"), MODULES).expect("write");
    fs::write(at("in/README"), "?").expect("write");

    let (catalog, origins, notes) = survey(&at("in"), Metadata::Render);
    assert_eq!(notes, ["www/rpms/local: left out 1 file that is no rpm: README"]);
    let plan = render(&catalog);
    materialize(&plan, &origins, &at("out"));
    let ours = at("out/www/rpms/local");

    run(Command::new("cp").arg("-r").arg(at("in")).arg(at("reference")));
    run(Command::new("createrepo_c").args(["-q", "--no-database"]).arg(at("reference")));
    compare(&ours, &at("reference"));
    assert_eq!(repoquery(&ours, &at("dnf1")), repoquery(&at("reference"), &at("dnf2")));
    let listed = repoquery(&ours, &at("dnf3"));
    assert_eq!(listed.len(), SPECS.len(), "{listed:?}");
    assert!(repoquery(&ours, &at("dnf4")).contains(&"relations-3:1.0~rc1^20240101+g1-2.x86_64".to_owned()));

    // What reviewers ask.
    let facts = |name: &str| -> pouch::kind::rpm::RpmFacts {
        let one = catalog.latest().find(|d| d.artifact.name == name).expect("a package");
        pouch::cbor::decode(&one.facts.0).expect("facts")
    };
    let scripts = facts("scripts").scripts;
    assert_eq!(scripts, ["pre", "post", "preun", "postun", "posttrans", "trigger", "filetrigger"]);
    let setuid = [("/usr/sbin/sgid".to_owned(), 0o2755), ("/usr/sbin/suid".to_owned(), 0o4755)];
    assert_eq!(facts("files").setuid, setuid);
    assert_eq!(facts("modular").modularity.as_deref(), Some("lab:stable:1:abc"));

    // Again, from files in another order of time and from other threads: the same bytes.
    let again = render(&survey(&at("in"), Metadata::Render).0);
    assert!(plan.files().eq(again.files()));
}

#[test]
fn repodata_is_kept_or_rendered_anew() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| scratch.path().join(name);
    fs::create_dir_all(at("in")).expect("mkdir");
    build(scratch.path(), &at("in"), "empty", SPECS[5].1);
    fs::write(at("comps.xml"), "<comps><group><id>g</id><name>G</name></group></comps>\n").expect("write");
    run(Command::new("createrepo_c").arg("-q").arg("-g").arg(at("comps.xml")).arg(at("in")));
    fs::write(at("in/repodata/repomd.xml.asc"), "signature").expect("write");

    let (catalog, _, notes) = survey(&at("in"), Metadata::Keep);
    assert!(notes.is_empty(), "{notes:?}");
    let plan = render(&catalog);
    assert_eq!(plan.files().map(|(p, _)| p.as_str()).collect::<Vec<_>>(), ["www/rpms/local/empty-1-1.x86_64.rpm"]);
    let files: Vec<_> = catalog.latest().map(|d| d.artifact.name.as_str()).collect();
    assert!(files.contains(&"repodata/repomd.xml") && files.contains(&"repodata/repomd.xml.asc"), "{files:?}");
    assert!(files.iter().any(|f| f.ends_with("primary.sqlite.bz2")), "{files:?}");

    let (catalog, origins, notes) = survey(&at("in"), Metadata::Render);
    assert_eq!(notes, ["www/rpms/local: its repodata is rendered anew; taken over from the old: group"]);
    materialize(&render(&catalog), &origins, &at("out"));
    compare(&at("out/www/rpms/local"), &at("in"));
    let comps = fs::read(at("out/www/rpms/local/comps.xml")).expect("comps.xml");
    assert_eq!(comps, fs::read(at("comps.xml")).expect("comps.xml"));
    assert_eq!(repoquery(&at("out/www/rpms/local"), &at("dnf")), ["empty-0:1-1.x86_64"]);

    let primary = fs::read_dir(at("in/repodata")).expect("a folder").map(|e| e.expect("a file").path());
    for stale in primary.filter(|p| p.to_string_lossy().ends_with("primary.xml.gz")) {
        fs::write(stale, "x").expect("write");
    }
    let source = RpmSource { from: at("in"), root: RelPath::new("r").expect("a path"), metadata: Metadata::default() };
    let refused = source.survey(&Collected::default(), &Silent).expect_err("stale");
    assert!(refused.to_string().contains("mirror it again"), "{refused}");
}
