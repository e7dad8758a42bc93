//! A site under a disk that stops or fails at its n-th verb, for every n: what is served stays whole, and running the
//! same commands again ends in the same tree as if nothing had happened.

use super::*;
use crate::class::{Class, Classified};
use rayon::prelude::*;

/// What an operator runs, in order; what is done already is not done again. Each command opens the site anew.
fn commands(disk: &Arc<dyn Disk>) -> Result<(), SiteError> {
    match Site::init_on(disk.clone(), &SiteConfig::default(), policy(), false, NOW) {
        Err(SiteError::AlreadyASite(_)) => {}
        other => drop(other?),
    }
    // Other tests start processes, and between fork and exec these hold our locks.
    let free = |l: &Result<Writer, SiteError>| !matches!(l, Err(SiteError::Locked(_)));
    let locked = || Site::on(disk.clone())?.lock(NOW);
    let open = || std::iter::repeat_with(locked).take(100_000).find(free).expect("the lock is free at last");
    let unpack = |sequence| -> Result<(), SiteError> {
        let writer = open()?;
        if !writer.state()?.has_accepted(&release(sequence).release) {
            import(&writer, sequence)?;
        }
        Ok(())
    };
    unpack(1)?;
    unpack(2)?;
    let writer = open()?;
    if !writer.state()?.has_accepted(&release(3).release) {
        writer.rollback(GenerationNumber(1), NOW)?;
    }
    drop(writer);
    unpack(3)?;
    let writer = open()?;
    writer.prune(2, NOW)?;
    writer.gc(&Default::default(), NOW)?;
    Ok(())
}

type Tree = BTreeMap<String, (u32, i64, Vec<u8>)>;

/// All below `root` but the ledger's log and its head, which tell of interruptions: modes, times (of files, and of folders inside
/// generations), bytes.
fn tree(root: &Path) -> Tree {
    let mut out = Tree::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.expect("walk");
        let name = entry.path().strip_prefix(root).expect("below").to_str().expect("utf-8").to_owned();
        if name == "ledger/log" || name == "ledger/head" || name == "ledger/new-head" {
            continue;
        }
        let meta = entry.path().symlink_metadata().expect("stat");
        let timed = meta.is_file() && name != "lock" || meta.is_dir() && name.starts_with("generations/");
        let bytes = match meta.file_type() {
            t if t.is_file() => fs::read(entry.path()).expect("read"),
            t if t.is_symlink() => fs::read_link(entry.path()).expect("link").into_os_string().into_encoded_bytes(),
            _ => Vec::new(),
        };
        out.insert(name, (meta.mode() & 0o7777, if timed { meta.mtime() } else { 0 }, bytes));
    }
    out
}

/// Whatever is served now is whole, and the ledger knows it.
fn assert_served_is_whole(root: &Path, when: &str) {
    let Ok(site) = Site::on(sound(root)) else {
        assert!(!root.join("current").exists(), "{when}: something is served from what is no site");
        return;
    };
    if generation::current(site.disk()).expect("current").is_some() {
        let report = site.check(true, &Silent).unwrap_or_else(|e| panic!("{when}: {e}"));
        assert!(report.is_sound(), "{when}: {report:?}");
    }
    site.state().unwrap_or_else(|e| panic!("{when}: {e}"));
}

/// Runs the commands under each fault, mends, and compares.
fn enumerate(fault: Fault, again: Option<u64>) {
    let reference = tempfile::tempdir().expect("tempdir");
    let counting = Faulty::new(RealDisk::make(reference.path()).expect("open"), u64::MAX, Fault::Stop);
    let count = counting.counter();
    commands(&(Arc::new(counting) as Arc<dyn Disk>)).expect("the reference run");
    let want = tree(reference.path());
    assert!(count() > 150, "the scenario has {} verbs", count());
    (0..count()).into_par_iter().for_each(|at| {
        let dir = tempfile::tempdir().expect("tempdir");
        let when = format!("{fault:?} at verb {at}");
        let faulty =
            |at| -> Arc<dyn Disk> { Arc::new(Faulty::new(RealDisk::make(dir.path()).expect("open"), at, fault)) };
        if let Err(e) = commands(&faulty(at)) {
            assert_eq!(e.class(), Class::Failed, "{when}: {e}");
            assert!(e.hint().is_some(), "{when}: {e}");
        }
        assert_served_is_whole(dir.path(), &when);
        if let Some(step) = again.filter(|_| at % 3 == 0) {
            let _ = commands(&faulty(at * step % 41));
            assert_served_is_whole(dir.path(), &format!("{when}, and again"));
        }
        commands(&sound(dir.path())).unwrap_or_else(|e| panic!("{when}, run again: {e}"));
        let have = tree(dir.path());
        let names = |t: &Tree| t.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&have), names(&want), "{when}");
        for (name, value) in &want {
            assert_eq!(have.get(name), Some(value), "{when}: {name}");
        }
    });
}

#[test]
fn stopped_at_every_verb_and_sometimes_while_mending() {
    enumerate(Fault::Stop, Some(7));
}

#[test]
fn full_from_every_verb_on() {
    enumerate(Fault::Full(rustix::io::Errno::NOSPC.raw_os_error()), None);
}

#[test]
fn read_error_at_every_verb() {
    enumerate(Fault::Fail(rustix::io::Errno::IO.raw_os_error()), None);
}

#[test]
fn links_that_cannot_be_made_become_copies() {
    let count = 400;
    let copies: u64 = (0..count)
        .into_par_iter()
        .map(|at| {
            let dir = tempfile::tempdir().expect("tempdir");
            let fault = Fault::Fail(rustix::io::Errno::XDEV.raw_os_error());
            let disk: Arc<dyn Disk> = Arc::new(Faulty::new(RealDisk::make(dir.path()).expect("open"), at, fault));
            let done = commands(&disk);
            assert_served_is_whole(dir.path(), &format!("EXDEV at {at}"));
            let Ok(Some(current)) = Site::on(disk).and_then(|s| s.current()) else { return 0 };
            let site = Site::on(sound(dir.path())).expect("open");
            let files = site.files(&current).expect("files");
            let copied = files.iter().any(|f| f.origin.form().is_some() && !f.origin.linked());
            u64::from(copied && done.is_ok())
        })
        .sum();
    assert_eq!(copies, 3, "each of the links of the last generation once");
}
