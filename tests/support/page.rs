//! A *page* is a text of this project whose commands a reader types: they are run as they stand.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Reads a page by its path in the clone.
pub fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The blocks that are fenced as `sh`, in their order.
pub fn commands(page: &str) -> Vec<String> {
    let text = read(page);
    let parts: Vec<&str> = text.split("```").collect();
    assert_eq!(parts.len() % 2, 1, "{page} has a fence without its end");
    parts.iter().skip(1).step_by(2).filter_map(|b| b.strip_prefix("sh\n")).map(str::to_owned).collect()
}

/// Runs commands in `folder` with a shell that ends at the first failure. `pouch` is the one in the folder `programs`. What is
/// left running is ended with the script.
pub fn run(script: &str, folder: &Path, programs: &Path) -> String {
    let before = "trap 'kill $(jobs -p) 2>/dev/null || true; wait || true' EXIT\n";
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a PATH"));
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-xc", &format!("{before}{script}")])
        .current_dir(folder)
        .env("PATH", path)
        .output()
        .expect("bash is installed");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{}\n{out}\n{err}", done.status);
    out.into_owned()
}

/// Makes `testdata` of the clone reachable from `folder`.
pub fn link_testdata(folder: &Path) {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    std::os::unix::fs::symlink(testdata, folder.join("testdata")).expect("a link");
}
