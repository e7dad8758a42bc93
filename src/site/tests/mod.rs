//! Tests of a site as a whole. Here: its ordinary life. In files of their own: what each verb leaves when it is the last
//! or fails, and what an attacker planted or a disk lost.

mod crash;
mod hostile;

use super::init::PolicyFile;
use super::*;
use crate::fs::faulty::{Fault, Faulty};
use crate::model::{Content, Plan};
use crate::monitor::Silent;
use crate::relpath::RelPath;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const TIME: i64 = 1_700_000_000;
const NOW: i64 = 1_800_000_000;
const POLICY: &[u8] = b"a policy";

fn policy() -> PolicyFile<'static> {
    PolicyFile { digest: Digest::labelled("policy", POLICY), bytes: POLICY }
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).expect("a path")
}

fn release(sequence: u64) -> ReleaseRef {
    ReleaseRef { stream: "s".into(), epoch: 1, sequence, release: Digest::of(&sequence.to_be_bytes()) }
}

fn info(sequence: u64) -> GenerationInfo {
    let release = release(sequence);
    let shown = ShownRelease { release: release.clone(), latest: true };
    GenerationInfo {
        time: TIME + i64::try_from(sequence).expect("small"),
        releases: vec![shown],
        accepted: vec![release],
    }
}

/// Bytes of blob `name`, long enough to take several writes. The last release's own go past the cache, where the file
/// system lets them.
fn bytes(name: &str) -> Vec<u8> {
    name.repeat(if name == "v3" { 600_000 } else { 5000 }).into_bytes()
}

/// A release's blobs by name, and its plan: a plain file, an executable, a blob in both forms, rendered metadata whose
/// name contains its digest, an empty folder.
fn sample(sequence: u64) -> (Vec<(String, bool)>, Plan) {
    let own = format!("v{sequence}");
    let blobs = vec![("both".to_owned(), false), (own.clone(), true)];
    let mut plan = Plan::new();
    let link = |name: &str, executable| Content::Blob { digest: Digest::of(&bytes(name)), executable };
    plan.add(path("www/files/plain"), link("both", false)).expect("plain");
    plan.add(path("www/files/run"), link("both", true)).expect("run");
    plan.add(path("kit/setup.sh"), link(&own, true)).expect("setup");
    plan.add_content_named(path(&format!("www/rpms/r/repodata/{own}-primary.xml")), Content::Bytes(own.clone().into()))
        .expect("primary");
    plan.add(path("www/rpms/r/repodata/repomd.xml"), Content::Bytes(own.into())).expect("repomd");
    plan.add_folder(path("registry/_layers")).expect("folder");
    (blobs, plan)
}

fn import(writer: &Writer, sequence: u64) -> Result<GenerationNumber, SiteError> {
    let (names, plan) = sample(sequence);
    let batch = writer.batch(info(sequence).time)?;
    for (name, executable) in names {
        let bytes = bytes(&name);
        let blob = Blob::of(&bytes);
        if batch.has(&blob)? {
            continue;
        }
        let (mut out, piece) = match name == "v3" {
            true => (batch.begin_unread(blob, executable)?, 700_001),
            false => (batch.begin_blob(blob, executable)?, 6000),
        };
        for piece in bytes.chunks(piece) {
            if let Err(source) = out.write_all(piece) {
                let path = PathBuf::from(&name);
                return Err(crate::fs::disk::DiskError { verb: "write", path, source }.into());
            }
        }
        out.finish()?;
    }
    batch.commit()?;
    writer.archive_put(&release(sequence).release, format!("index {sequence}").as_bytes(), NOW)?;
    writer.publish(&plan, &info(sequence), NOW, &Silent)
}

/// A disk without faults whose barriers cost nothing.
fn sound(root: &Path) -> Arc<dyn Disk> {
    Arc::new(Faulty::new(RealDisk::make(root).expect("open"), u64::MAX, Fault::Stop))
}

fn open(root: &Path) -> Site {
    Site::on(sound(root)).expect("open")
}

fn lock(root: &Path) -> Writer {
    open(root).lock(NOW).expect("lock")
}

fn new_site(root: &Path) -> Site {
    Site::init_on(sound(root), &SiteConfig::default(), policy(), false, NOW).expect("init")
}

#[test]
fn a_site_from_init_to_rollback() {
    let dir = tempfile::tempdir().expect("tempdir");
    let root = dir.path().join("site");
    let site = Site::init(&root, &SiteConfig::default(), policy(), NOW).expect("init");
    let writer = site.lock(NOW).expect("lock");
    assert_eq!(writer.current().expect("current"), None);
    assert_eq!(writer.policy().expect("policy"), (policy().digest, POLICY.to_vec()));
    assert_eq!(import(&writer, 1).expect("import"), GenerationNumber(1));
    assert_eq!(import(&writer, 2).expect("import"), GenerationNumber(2));
    let current = writer.current().expect("current").expect("some");
    assert_eq!(
        (current.number, current.predecessor, current.releases),
        (GenerationNumber(2), Some(GenerationNumber(1)), info(2).releases)
    );

    let file = |p: &str| root.join("current").join(p);
    assert_eq!(fs::read(file("www/files/plain")).expect("read"), bytes("both"));
    let (plain, run) =
        (fs::metadata(file("www/files/plain")).expect("stat"), fs::metadata(file("www/files/run")).expect("stat"));
    assert_eq!((plain.mode() & 0o7777, run.mode() & 0o7777), (0o444, 0o555));
    assert_ne!(plain.ino(), run.ino());
    assert_eq!(plain.nlink(), 3, "one inode in blobs and both generations");
    assert!(file("registry/_layers").is_dir());
    assert!(file("www/rpms/r/repodata/v1-primary.xml").exists(), "carried for clients of generation 1");
    let repomd = fs::metadata(file("www/rpms/r/repodata/repomd.xml")).expect("stat");
    assert_eq!((repomd.mode() & 0o7777, repomd.nlink(), repomd.mtime()), (0o644, 1, TIME + 2));

    import(&writer, 3).expect("import");
    assert!(!file("www/rpms/r/repodata/v1-primary.xml").exists(), "carried once only");
    assert!(file("www/rpms/r/repodata/v2-primary.xml").exists());
    let report = writer.check(true, &Silent).expect("check");
    assert!(report.is_sound() && report.foreign.is_empty(), "{report:?}");
    let state = writer.state().expect("state");
    assert_eq!(state.heads["s"], release(3));

    writer.rollback(GenerationNumber(2), NOW).expect("rollback");
    assert_eq!(fs::read(file("www/rpms/r/repodata/repomd.xml")).expect("read"), b"v2");
    assert_eq!(writer.state().expect("state").heads["s"], release(3), "heads never fall");
    assert!(matches!(writer.rollback(GenerationNumber(9), NOW), Err(SiteError::NoGeneration(_))));
    assert_eq!(import(&writer, 4).expect("import"), GenerationNumber(4));

    assert_eq!(writer.prune(2, NOW).expect("prune"), [GenerationNumber(1), GenerationNumber(2)]);
    let plan = writer.gc_plan(&Default::default()).expect("plan");
    assert_eq!((plan.blobs, plan.bytes), (2, bytes("v1").len() as u64 * 2), "v1 and v2");
    assert_eq!(writer.gc(&Default::default(), NOW).expect("gc").bytes, plan.bytes);
    assert_eq!(writer.gc_plan(&Default::default()).expect("plan").blobs, 0);
    assert!(writer.check(true, &Silent).expect("check").is_sound());
    assert_eq!(writer.archive_get(&release(1).release).expect("get"), Some(b"index 1".to_vec()));
    let status = writer.status().expect("status");
    assert_eq!((status.blobs, status.staged, status.generations.len()), (4, 0, 2));
}
