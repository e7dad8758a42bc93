//! A site with planted links, damaged files, a damaged ledger, and callers that want what cannot be.

use super::*;
use crate::class::{Class, Classified};
use crate::kind::BlobReader;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// A site with release 1 in it, and a folder outside it that nobody may touch.
fn site_and_outside() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().expect("tempdir");
    let (root, outside) = (dir.path().join("site"), dir.path().join("outside"));
    fs::create_dir(&outside).expect("mkdir");
    fs::write(outside.join("precious"), "precious").expect("write");
    import(&new_site(&root).lock(NOW).expect("lock"), 1).expect("import");
    (dir, root, outside)
}

fn assert_untouched(outside: &Path) {
    let names: Vec<_> = fs::read_dir(outside).expect("list").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(names, ["precious"]);
    assert_eq!(fs::read(outside.join("precious")).expect("read"), b"precious");
}

#[test]
fn planted_links_are_not_followed() {
    for old_fashioned in [false, true] {
        let (_dir, root, outside) = site_and_outside();
        let own = Digest::of(&bytes("v2"));
        let plant = |target: PathBuf, at: String| symlink(target, root.join(at)).expect("symlink");
        plant(outside.join("precious"), format!("staging/{own}.x.part"));
        plant(outside.join("precious"), format!("staging/{own}.x.done"));
        plant(outside.clone(), "staging/gen-000002".into());
        plant(outside.join("precious"), "staging/new-current".into());
        plant(outside.clone(), "staging/old-000001".into());
        let disk = RealDisk::open(&root).expect("open");
        let disk: Arc<dyn Disk> = Arc::new(if old_fashioned { disk.old_fashioned() } else { disk });
        let writer = Site::on(disk).expect("open").lock(NOW).expect("lock");
        import(&writer, 2).expect("import");
        assert_untouched(&outside);
        assert!(writer.check(true, &Silent).expect("check").is_sound());

        // A link in the place of a folder of blobs: refused, because nothing of ours may go through it.
        let third = Digest::of(&bytes("v3"));
        let folder = root.join(format!("blobs/sha256/{}", &third.hex()[..2]));
        let _ = fs::remove_dir_all(&folder);
        symlink(&outside, &folder).expect("symlink");
        let e = import(&writer, 3).expect_err("a planted folder");
        assert_eq!(e.class(), Class::Failed, "{e}");
        assert_untouched(&outside);
        assert_eq!(writer.current().expect("current").expect("some").number, GenerationNumber(2));
        fs::remove_file(&folder).expect("rm");

        // A link in the place of a blob is no blob; bringing the blob replaces it.
        fs::create_dir(&folder).expect("mkdir");
        symlink(outside.join("precious"), folder.join(format!("{third}.x"))).expect("symlink");
        import(&writer, 3).expect("import");
        assert_untouched(&outside);
        assert!(writer.check(true, &Silent).expect("check").is_sound());
    }
}

#[test]
fn links_in_the_place_of_folders_and_current() {
    for name in ["generations", "staging", "blobs", "ledger"] {
        let (_dir, root, outside) = site_and_outside();
        fs::rename(root.join(name), root.join("moved")).expect("mv");
        symlink(&outside, root.join(name)).expect("symlink");
        assert!(Site::open(&root).and_then(|s| import(&s.lock(NOW)?, 2)).is_err(), "{name}");
        assert_untouched(&outside);
    }
    for target in ["/etc", "generations/000009", "generations/1", "../outside", "generations/000001/www"] {
        let (_dir, root, outside) = site_and_outside();
        fs::remove_file(root.join("current")).expect("rm");
        symlink(target, root.join("current")).expect("symlink");
        let e = Site::open(&root).and_then(|s| import(&s.lock(NOW)?, 2)).expect_err(target);
        assert_eq!(e.class(), Class::Damaged, "{target}: {e}");
        assert_untouched(&outside);
    }
}

#[test]
fn one_writer_at_a_time() {
    let (_dir, root, _) = site_and_outside();
    let writer = lock(&root);
    let second = Site::open(&root).expect("reading is free").lock(NOW);
    assert!(matches!(second, Err(SiteError::Locked(_))));
    drop(writer);
    drop(lock(&root));
}

#[test]
fn init_takes_empty_folders_only() {
    let dir = tempfile::tempdir().expect("tempdir");
    let init = |name: &str| Site::init(&dir.path().join(name), &SiteConfig::default(), policy(), NOW);
    for (stranger, text) in
        [("a/notes.txt", "x"), ("b/blobs/mine", "x"), ("c/ledger/log", "x\ny\n"), ("d/current", "x")]
    {
        let file = dir.path().join(stranger);
        fs::create_dir_all(file.parent().expect("parent")).expect("mkdir");
        fs::write(&file, text).expect("write");
        let e = init(&stranger[..1]).map(|_| ()).expect_err(stranger);
        assert!(matches!(e.class(), Class::Usage | Class::Damaged), "{e}");
        assert_eq!(fs::read_to_string(&file).expect("read"), text);
    }
    init("e").expect("init");
    assert!(matches!(init("e"), Err(SiteError::AlreadyASite(_))));
    assert!(matches!(Site::open(&dir.path().join("a")), Err(SiteError::NotASite(_))));
    assert!(matches!(Site::open(&dir.path().join("nowhere")), Err(SiteError::NotASite(_))));
}

#[test]
fn newer_layouts_are_refused() {
    let (_dir, root, _) = site_and_outside();
    let text = fs::read_to_string(root.join("site.toml")).expect("read");
    for (from, to, class) in [
        ("layout = 1", "layout = 2\nnews = 1", Class::Unsupported),
        ("layout = 1", "", Class::Usage),
        ("layout = 1", "layout = 1\nnews = 1", Class::Usage),
        ("keep = 2", "keep = \"two\"", Class::Usage),
    ] {
        fs::write(root.join("site.toml"), text.replace(from, to)).expect("write");
        assert_eq!(Site::open(&root).map(|_| ()).expect_err(to).class(), class, "{to}");
    }
}

#[test]
fn wrong_bytes_never_become_a_blob() {
    let (_dir, root, _) = site_and_outside();
    let writer = lock(&root);
    let batch = writer.batch(TIME).expect("batch");
    let want = Blob::of(b"good");
    let write = |bytes: &[u8]| -> Result<(), SiteError> {
        let mut out = batch.begin_blob(want, false)?;
        if out.write_all(bytes).is_err() {
            return Ok(()); // longer than announced: refused at once
        }
        out.finish()
    };
    for bad in ["gold", "goo", ""] {
        let e = write(bad.as_bytes()).expect_err(bad);
        assert_eq!(e.class(), Class::Damaged, "{e}");
    }
    write(b"goods").expect("refused by the writer");
    assert!(!batch.has(&want).expect("has"));
    batch.commit().expect("commit");
    assert!(!writer.has(&want).expect("has"));
    assert_eq!(fs::read_dir(root.join("staging")).expect("list").count(), 0);
}

#[test]
fn staged_blobs_are_read_and_resumed_after_hashing_again() {
    let (_dir, root, _) = site_and_outside();
    let (good, bad) = (Blob::of(b"good blob"), Blob::of(b"bad blob!"));
    {
        let writer = lock(&root);
        let batch = writer.batch(TIME).expect("batch");
        for (blob, bytes) in [(good, b"good blob"), (bad, b"bad blob!")] {
            let mut out = batch.begin_blob(blob, false).expect("begin");
            out.write_all(&bytes[..4]).expect("write");
            let mut back = [0; 3];
            batch.read_at(&blob, 1, &mut back).expect("read what is there so far");
            assert_eq!(back, bytes[1..4]);
            assert!(batch.read_at(&blob, 2, &mut back).is_err(), "not written yet");
            out.write_all(&bytes[4..]).expect("write");
            out.finish().expect("finish");
            batch.read_at(&blob, 6, &mut back).expect("read a staged one");
            assert_eq!(back, bytes[6..]);
        }
        let mut text = String::new();
        BlobReader::open(&batch, &good).expect("open").read_to_string(&mut text).expect("read");
        assert_eq!(text, "good blob");
        assert_eq!(batch.find(&good.digest), Some(good));
        drop(batch.begin_blob(Blob::of(b"third"), false).expect("begin"));
    }
    let damaged = root.join(format!("staging/{}.done", bad.digest));
    fs::set_permissions(&damaged, fs::Permissions::from_mode(0o644)).expect("chmod");
    fs::write(&damaged, b"sad blob!").expect("write");
    assert_eq!(open(&root).status().expect("status").staged, 2);
    let writer = lock(&root);
    let batch = writer.batch(TIME).expect("batch");
    assert!(batch.has(&good).expect("has"));
    assert!(!batch.has(&bad).expect("has"));
    assert_eq!(batch.commit().expect("commit"), stage::Committed { blobs: 1, bytes: 9 });
    assert_eq!((writer.has(&good).expect("has"), writer.has(&bad).expect("has")), (true, false));
}

#[test]
fn a_failed_barrier_discards_the_batch() {
    for at in 0..20 {
        let (_dir, root, _) = site_and_outside();
        let fault = Fault::Fail(rustix::io::Errno::IO.raw_os_error());
        let disk = Faulty::new(RealDisk::open(&root).expect("open"), at, fault);
        let writer = Site::on(Arc::new(disk)).expect("open").lock(NOW);
        let Ok(writer) = writer else { continue };
        let batch = writer.batch(TIME).expect("batch");
        let blob = Blob::of(b"bytes");
        let staged = batch.begin_blob(blob, false).and_then(|mut out| {
            let _ = out.write_all(b"bytes");
            out.finish()
        });
        if staged.is_err() {
            continue;
        }
        if let Err(SiteError::Barrier(_)) = batch.commit() {
            assert_eq!(fs::read_dir(root.join("staging")).expect("list").count(), 0);
            return;
        }
    }
    panic!("no fault met the barrier");
}

#[test]
fn too_little_space_and_missing_blobs_are_told_before_writing() {
    let (_dir, root, _) = site_and_outside();
    let writer = lock(&root);
    let e = writer.ensure_space(u64::MAX, 0).expect_err("no such disk");
    assert_eq!(e.class(), Class::Failed);
    assert!(e.to_string().contains(&u64::MAX.to_string()) && e.hint().is_some(), "{e}");
    writer.ensure_space(1, 1).expect("a byte");
    let (_, plan) = sample(2);
    let e = writer.publish(&plan, &info(2), NOW, &Silent).expect_err("v2 is not there");
    assert!(matches!(&e, SiteError::MissingBlob { path: Some(p), .. } if *p == path("kit/setup.sh")), "{e}");
    let mut plan = Plan::new();
    plan.add(path(".Pouch/x"), Content::Bytes(vec![])).expect("add");
    assert!(matches!(writer.publish(&plan, &info(2), NOW, &Silent), Err(SiteError::Reserved(_))));
    assert_eq!(fs::read_dir(root.join("staging")).expect("list").count(), 0);
    assert_eq!(writer.current().expect("current").expect("some").number, GenerationNumber(1));
}

#[test]
fn check_names_what_is_wrong() {
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let damage: [Damage<'_>; 7] = [
        ("Missing", &|p| fs::remove_file(p).expect("rm")),
        ("NotAFile", &|p| {
            fs::remove_file(p).expect("rm");
            symlink("/etc/passwd", p).expect("symlink");
        }),
        ("Length", &|p| rewrite(p, |b| b.truncate(b.len() / 2))),
        ("Bytes", &|p| rewrite(p, |b| b[0] ^= 1)),
        ("Mode", &|p| fs::set_permissions(p, fs::Permissions::from_mode(0o600)).expect("chmod")),
        ("Mode", &|p| fs::set_permissions(p, fs::Permissions::from_mode(0o4755)).expect("chmod")),
        ("Inode", &|p| {
            let (bytes, mode) = (fs::read(p).expect("read"), fs::metadata(p).expect("stat").permissions());
            fs::remove_file(p).expect("rm");
            fs::write(p, bytes).expect("write");
            fs::set_permissions(p, mode).expect("chmod");
        }),
    ];
    for (want, damage) in damage {
        for file in ["www/files/plain", "kit/setup.sh", "www/rpms/r/repodata/repomd.xml"] {
            let (_dir, root, _) = site_and_outside();
            damage(&root.join("current").join(file));
            let report = open(&root).check(true, &Silent).expect("check");
            let names: Vec<String> = report.problems.iter().map(|p| format!("{} {:?}", p.path, p.fault)).collect();
            let made = file.ends_with("repomd.xml") && want == "Inode"; // its own inode is as good as another
            assert_eq!(names.iter().any(|n| n.contains(want)), !made, "{want} {file}: {names:?}");
            assert_eq!(report.is_sound(), made);
        }
    }
    let (_dir, root, _) = site_and_outside();
    for foreign in ["notes", "blobs/x", "blobs/sha256/zz", "current/www/x", "policy/x", "ledger/x", "generations/x"] {
        fs::write(root.join(foreign), "").expect("write");
    }
    let report = open(&root).check(false, &Silent).expect("check");
    let want =
        ["blobs/sha256/zz", "blobs/x", "generations/000001/www/x", "generations/x", "ledger/x", "notes", "policy/x"];
    assert_eq!(report.foreign, want);
    assert!(report.is_sound() && report.hashed_bytes == 0);
}

fn rewrite(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).expect("read");
    change(&mut bytes);
    let mode = fs::metadata(file).expect("stat").permissions();
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("chmod");
    fs::write(file, bytes).expect("write"); // the same inode
    fs::set_permissions(file, mode).expect("chmod");
}

/// Lets the head name the last whole line of `log`, as it is when the next append is cut short.
fn set_head(root: &Path, log: &[u8]) {
    let lines: Vec<&[u8]> = log.split_inclusive(|b| *b == b'\n').filter(|l| l.ends_with(b"\n")).collect();
    let head = root.join("ledger/head");
    match lines.last() {
        None => fs::remove_file(head).expect("rm"),
        Some(last) => {
            let value: serde_json::Value = serde_json::from_slice(last).expect("a line");
            let text = format!("{} {}\n", lines.len(), value["line"].as_str().expect("its digest"));
            fs::write(head, text).expect("write");
        }
    }
}

#[test]
fn a_changed_ledger_is_found() {
    let (_dir, root, _) = site_and_outside();
    {
        let writer = lock(&root);
        writer.record_refusal(Some(release(9)), "distrusted", "nobody\nvouches", NOW).expect("refusal");
        import(&writer, 2).expect("import");
    }
    let log = root.join("ledger/log");
    let good = fs::read(&log).expect("read");
    let whole = open(&root).history().expect("history");
    assert_eq!(whole.len(), 7);
    let last_line = good[..good.len() - 1].iter().rposition(|b| *b == b'\n').expect("lines") + 1;
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        match Ledger::parse(&bytes) {
            Err(e) => assert_eq!(e.class(), Class::Damaged),
            // Without its newline the last line is an append that did not finish.
            Ok(ledger) => assert!(at == good.len() - 1 && ledger.records == whole[..6], "byte {at}"),
        }
    }
    for len in 0..good.len() {
        let ledger = Ledger::parse(&good[..len]).expect("a shorter log is a log");
        assert_eq!(ledger.records, whole[..ledger.records.len()]);
        // The switch to what is current must be known: a log that was cut before it is refused.
        let current = GenerationNumber(2);
        let known = ledger.records.iter().any(|r| matches!(r.event, Event::Switch { to, .. } if to == current));
        assert_eq!(ledger.state(Some(current)).is_ok(), known, "{len} bytes");
    }
    // Holes in the last line: a page that never reached the disk.
    let mut holes = good.clone();
    holes[last_line + 20..last_line + 60].fill(0);
    assert_eq!(Ledger::parse(&holes).expect("parse").records, whole[..6]);
    // Cut inside the last line: mended by the next append.
    fs::write(&log, &good[..good.len() - 9]).expect("write");
    set_head(&root, &good[..last_line]);
    let site = open(&root);
    assert_eq!(site.status().expect("status").ledger_torn_bytes, (good.len() - 9 - last_line) as u64);
    assert_eq!(site.state().expect("state").heads["s"], release(2), "current says that the switch took place");
    drop(site.lock(NOW).expect("lock"));
    assert_eq!(fs::read(&log).expect("read"), good);
    // Anything between two good lines is no unfinished append.
    let mut lines: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
    lines.swap(2, 3);
    assert!(matches!(Ledger::parse(&lines.concat()), Err(SiteError::Damaged { .. })));
}

#[test]
fn a_log_that_lost_lines_is_found_by_its_head() {
    let (_dir, root, _) = site_and_outside();
    import(&lock(&root), 2).expect("import");
    let (log, head) = (root.join("ledger/log"), root.join("ledger/head"));
    let (good, named) = (fs::read(&log).expect("log"), fs::read(&head).expect("head"));
    let ends: Vec<usize> = good.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
    let refused = |what: &str| assert_eq!(open(&root).history().expect_err(what).class(), Class::Damaged, "{what}");
    // A log that was cut, in a line or between two.
    for len in ends.iter().flat_map(|end| [end - 1, *end]).filter(|len| *len < good.len()) {
        fs::write(&log, &good[..len]).expect("write");
        refused(&format!("the head names a line that is gone: {len} bytes"));
        set_head(&root, &good[..len]);
        assert!(open(&root).history().is_ok(), "an append that did not finish: {len} bytes");
        fs::write(&head, &named).expect("write");
    }
    // A head that is behind is what a crash leaves; one that is missing or names another line is not.
    fs::write(&log, &good).expect("write");
    for end in &ends {
        set_head(&root, &good[..*end]);
        assert_eq!(open(&root).history().expect("a head that is behind").len(), ends.len());
    }
    for text in ["1 ", "x", "", "07 "] {
        fs::write(&head, text).expect("write");
        refused(text);
    }
    fs::remove_file(&head).expect("rm");
    refused("no head");
}

#[test]
fn what_is_learned_and_let_in_is_kept() {
    use crate::trust::order::{Learned, Veto};
    let (_dir, root, _) = site_and_outside();
    let writer = lock(&root);
    let veto =
        |n: u8| Veto { release: Digest([n; 32]), statement: Digest([n; 32]), owner: "carol".into(), comment: None };
    let learned = Learned { vetoes: (0..40).map(veto).collect(), ..Learned::default() };
    let text = "\"".repeat(crate::limits::STATEMENT); // JSON doubles it
    let kept: Vec<ledger::Kept> =
        (0..20).map(|_| ledger::Kept { text: text.clone(), signature: text.clone() }).collect();
    writer.record_learned(&learned, kept.clone(), NOW).expect("forty vetoes and twenty statements, in several lines");
    let lines = writer.history().expect("history").len();
    writer.record_learned(&learned, kept, NOW).expect("again");
    assert_eq!(writer.history().expect("history").len(), lines, "nothing new, no line");
    // A floor counts with the switch that brings its release, not before.
    let admission = |sequence, time_floor| Admission {
        release: release(sequence),
        order: "newer".into(),
        policy: policy().digest,
        vouchers: vec![],
        time_floor,
    };
    writer.record_admission(admission(2, 50), NOW).expect("admit");
    assert_eq!(writer.state().expect("state").time_floor, 0);
    import(&writer, 2).expect("import");
    assert_eq!(writer.state().expect("state").time_floor, 50);
    writer.record_admission(admission(3, 40), NOW).expect("admit");
    import(&writer, 3).expect("import");
    drop(writer);
    let state = open(&root).state().expect("state");
    assert_eq!((state.time_floor, state.known, state.lost), (50, learned, false));
}

#[test]
fn policies_and_archive() {
    let (_dir, root, _) = site_and_outside();
    let writer = lock(&root);
    let next = PolicyFile { digest: Digest::labelled("policy", b"next"), bytes: b"next" };
    writer.policy_put(next, NOW).expect("put");
    assert_eq!(writer.policy().expect("policy"), (next.digest, b"next".to_vec()));
    fs::write(root.join(format!("policy/{}.policy", next.digest)), "text").expect("write");
    assert_eq!(writer.policy().expect_err("changed").class(), Class::Damaged);

    let id = release(1).release;
    writer.archive_put(&id, b"index 1", NOW).expect("the same again");
    writer.archive_put(&id, b"other statements", NOW).expect("other bytes");
    writer.archive_put(&id, b"other statements", NOW).expect("the same again");
    assert_eq!(fs::read_dir(root.join("ledger/archive")).expect("list").count(), 2);
    assert_eq!(writer.archive_get(&id).expect("get"), Some(b"index 1".to_vec()));
    assert_eq!(writer.archive_get(&Digest::of(b"?")).expect("get"), None);
}
