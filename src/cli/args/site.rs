//! Arguments of the commands that work on a site.

use clap::{Args, Subcommand};
use std::path::PathBuf;

pub(super) const WHY_AFTER: &str = "\
SITE may also be a folder with a copy of the site's `ledger` and `policy`: nothing else is read.

Examples:
  pouch why library/registry:2.8.3 --site /srv/site
  pouch why /files/etcd/etcd-v3.5.tar.gz --site /srv/site --at 2026-05-01
  pouch why sha256:9f86d08188... --site /audit/plant-7";

#[derive(Subcommand, Debug)]
pub enum Site {
    /// Makes an empty site that trusts a policy
    #[command(
        after_help = "Example:\n  pouch policy show policy.txt        # compare the digest with what the admins told you\n  pouch site init /srv/site --policy policy.txt --confirm 9f86d08188..."
    )]
    Init {
        /// The folder; must be empty or absent
        site: PathBuf,
        /// The policy
        #[arg(long)]
        policy: PathBuf,
        /// Its digest, as its admins told you by another way
        #[arg(long, value_name = "DIGEST")]
        confirm: String,
        /// How many releases of a stream stay visible
        #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
        keep: u32,
        /// The site's name
        #[arg(long, default_value = "site")]
        name: String,
        /// Take the place of a site whose ledger is lost: each stream's first release needs a permit from `none`. The
        /// folder may hold that site's blobs
        #[arg(long)]
        lost: bool,
        /// The name or address under which clients reach this site; rendered into their configuration
        #[arg(long)]
        host: Option<String>,
        /// Port of the rendered nginx configuration
        #[arg(long, default_value_t = 80)]
        http_port: u16,
        /// Port of the rendered registry configuration
        #[arg(long, default_value_t = 35000)]
        registry_port: u16,
    },
}

#[derive(Args, Debug)]
pub struct Unpack {
    /// Bundles, in the order in which they are to be unpacked
    #[arg(required = true)]
    pub bundles: Vec<PathBuf>,
    /// The site
    #[arg(long)]
    pub site: PathBuf,
    /// Folders with statements; the bundle's own folder is always looked at
    #[arg(long, value_name = "DIR")]
    pub statements: Vec<PathBuf>,
    /// Verify and say what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Let names vanish that the stream's last release had
    #[arg(long)]
    pub allow_drop: bool,
    /// Threads (default: all cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

#[derive(Args, Debug)]
pub struct SiteArg {
    /// The site
    #[arg(long)]
    pub site: PathBuf,
}

#[derive(Args, Debug)]
pub struct History {
    /// The site
    #[arg(long)]
    pub site: PathBuf,
    /// Check all that the ledger rests on: its chain, the policies, the archived statements of every release
    #[arg(long)]
    pub verify: bool,
}

#[derive(Args, Debug)]
pub struct Why {
    /// A digest (of a blob, a release, a statement), a name, or a path as it is served
    #[arg(value_name = "DIGEST|NAME|PATH")]
    pub what: String,
    /// The site, or a folder with a copy of its ledger
    #[arg(long)]
    pub site: PathBuf,
    /// Only what was live then: 2026-12-31 or 2026-12-31T12:00:00Z
    #[arg(long, value_name = "DATE")]
    pub at: Option<String>,
}

#[derive(Args, Debug)]
pub struct Receipt {
    /// The site
    #[arg(long)]
    pub site: PathBuf,
    /// The site's key; KEY.pub where the agent holds it
    #[arg(long = "with", value_name = "KEY", required_unless_present = "short")]
    pub with: Option<PathBuf>,
    /// File with its passphrase (its first line)
    #[arg(long, value_name = "F", requires = "with")]
    pub passphrase_file: Option<PathBuf>,
    /// A comment, part of what is signed
    #[arg(long, value_name = "T")]
    pub comment: Option<String>,
    /// Print groups of digits for the ledger and each stream
    #[arg(long)]
    pub short: bool,
    /// The file to write; its signature goes to FILE.sig, the list of blobs to FILE.inventory
    #[arg(short, long, value_name = "FILE", required_unless_present = "short")]
    pub output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Check {
    /// The site
    #[arg(long)]
    pub site: PathBuf,
    /// Look at names and sizes only; hash nothing
    #[arg(long)]
    pub quick: bool,
}

#[derive(Args, Debug)]
pub struct Gc {
    /// The site
    #[arg(long)]
    pub site: PathBuf,
    /// Say what would be freed
    #[arg(long)]
    pub dry_run: bool,
    /// Keep what this delta builds on, because it is still to be unpacked
    #[arg(long, value_name = "B.pouch")]
    pub keep_for: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Rollback {
    /// The generation (default: the one before the current)
    pub generation: Option<u64>,
    /// The site
    #[arg(long)]
    pub site: PathBuf,
}

#[derive(Args, Debug)]
pub struct Export {
    /// The image, as it is served or as its users know it
    pub image: String,
    /// The site
    #[arg(long)]
    pub site: PathBuf,
    /// Only this platform of a multi-platform image, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// The archive to write
    #[arg(short, long, value_name = "X.tar")]
    pub output: PathBuf,
}
