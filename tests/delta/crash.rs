//! A delta's unpack on a disk that stops at its n-th verb, for every n: running it again ends as if nothing had happened.

use crate::world::{World, copy, snapshot};
use pouch::fs::disk::Disk;
use pouch::fs::faulty::{Fault, Faulty};
use pouch::fs::medium::FileMedium;
use pouch::fs::real::RealDisk;
use pouch::monitor::Silent;
use pouch::op::unpack::{Options, unpack};
use pouch::site::Site;
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_800_000_000;

fn run(disk: Arc<dyn Disk>, bundle: &Path) -> Result<(), String> {
    // Other tests start processes, and between fork and exec these hold our locks.
    let locked = || Site::on(disk.clone()).and_then(|s| s.lock(NOW)).map_err(|e| e.to_string());
    let free = |l: &Result<_, String>| !l.as_ref().is_err_and(|e| e.contains("another process"));
    let writer = std::iter::repeat_with(locked).take(100_000).find(free).expect("the lock is free at last")?;
    let options = Options { allow_drop: true, dry_run: false, threads: 2, now: NOW };
    let medium = FileMedium::open(bundle).expect("opens");
    unpack(&writer, medium, &[], options, &Silent).map(drop).map_err(|e| e.to_string())
}

#[test]
fn a_stopped_unpack_goes_on() {
    let world = World::new();
    let list = ["pack", "v2/pouch.toml", "--stream", "sample", "--sequence", "2", "--seal-with", "packer"];
    world.run(&[&list[..], &["--base", "1.pouch", "-o", "2d.pouch"]].concat()).expect("delta", 0, &[]);
    let delta = world.at("2d.pouch");
    copy(&world.at("site"), &world.at("reference"));
    let counting = Faulty::new(RealDisk::open(&world.at("reference")).expect("opens"), u64::MAX, Fault::Stop);
    let count = counting.counter();
    run(Arc::new(counting), &delta).expect("the reference run");
    let want = snapshot(&world.at("reference"), &[]);
    let verbs = count();
    assert!(verbs > 100, "{verbs}");
    let step = if std::env::var_os("POUCH_EVERY_VERB").is_some() { 1 } else { verbs.div_ceil(20).max(1) };
    for at in (0..verbs).step_by(usize::try_from(step).expect("small")) {
        let name = format!("stopped-{at}");
        copy(&world.at("site"), &world.at(&name));
        let disk = Faulty::new(RealDisk::open(&world.at(&name)).expect("opens"), at, Fault::Stop);
        let stopped = run(Arc::new(disk), &delta);
        assert!(stopped.is_err(), "{at}");
        run(Arc::new(RealDisk::open(&world.at(&name)).expect("opens")), &delta).unwrap_or_else(|e| panic!("{at}: {e}"));
        assert_eq!(snapshot(&world.at(&name), &[]), want, "stopped at {at}");
        std::fs::remove_dir_all(world.at(&name)).expect("removed");
    }
}
