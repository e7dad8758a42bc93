//! Arguments of `pouch pack`.

use clap::{ArgGroup, Args};
use std::path::PathBuf;

pub(super) const PACK_AFTER: &str = "\
A packing list:
  [[files]]
  from = \"files\"            # a folder, relative to the list
  to = \"files\"              # where it is served: http://site/files/...
  [[images]]
  from = [\"images/*.tar.gz\", \"images/oci/*\"]
  [[rpms]]
  from = \"rpms/local\"       # served below /rpms/local
  [[debs]]
  from = \"debs/local\"
  [[pypi]]
  from = \"pypi\"
  [[charts]]
  from = \"charts\"
  [[go]]
  from = \"gomod/cache/download\"
  [[kit]]
  from = \"scripts\"

Examples:
  pouch pack --kubespray-offline outputs --stream k8s --sequence 1 --seal-with packer -o k8s-1.pouch
  pouch pack --kubespray-offline outputs --stream k8s --sequence 2 --base k8s-1.pouch --seal-with packer -o k8s-2.pouch
  pouch pack --kubespray-offline outputs --stream k8s --sequence 2 --base k8s-1.pouch --have plant-7.txt --have plant-9.txt -o k8s-2.pouch
  pouch pack --amend k8s-1.pouch --add fix.toml --reason \"CVE-2026-1234 in the registry image\" --sequence 2 --seal-with packer -o fix.pouch
  pouch pack list.toml --stream tools --sequence 7 --dry-run";

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").args(["list", "kubespray_offline", "amend"]).required(true))]
#[command(group = ArgGroup::new("old").args(["base", "have", "amend"]).multiple(true))]
pub struct Pack {
    /// The packing list
    #[arg(value_name = "LIST.toml")]
    pub list: Option<PathBuf>,
    /// Pack the outputs/ folder of kubespray-offline; needs no list
    #[arg(long, value_name = "DIR")]
    pub kubespray_offline: Option<PathBuf>,
    /// Make the next release of this one's stream: a bundle of it or its index. The far side must have unpacked it
    #[arg(long, value_name = "OLD.pouch", conflicts_with_all = ["base", "have"], requires_all = ["reason"])]
    pub amend: Option<PathBuf>,
    /// Add what this packing list finds, in place of what had its place or name
    #[arg(long, value_name = "LIST.toml", requires = "amend")]
    pub add: Option<PathBuf>,
    /// Take away what this glob matches, of `KIND/NAME` or of the place: 'image/library/tool:*', 'www/rpms/local/tool-1.*'
    #[arg(long, value_name = "PATTERN", requires = "amend")]
    pub remove: Vec<String>,
    /// Why the release is amended: the comment of its seal
    #[arg(long, value_name = "T", requires = "amend")]
    pub reason: Option<String>,
    /// The stream of releases that this is one of (default: the list's, or that of the amended release)
    #[arg(long, value_name = "S", required_unless_present_any = ["list", "amend"])]
    pub stream: Option<String>,
    /// Its number in the stream, from 1; each release has a higher one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sequence: u64,
    /// The stream's epoch (default: 0, or that of the amended release)
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// What people call the release, such as 2.29.1 (default: the list's)
    #[arg(long = "release-version", value_name = "TEXT")]
    pub version: Option<String>,
    /// Leave out what this release has: a bundle of it or its index. The far side must have unpacked all that are given
    #[arg(long, value_name = "OLD.pouch")]
    pub base: Vec<PathBuf>,
    /// Leave out what a site has by its receipt, whose .sig and .inventory lie beside it; of several, what all of them have
    #[arg(long, value_name = "RECEIPT")]
    pub have: Vec<PathBuf>,
    /// Do not leave out what this list names: the JSON of a refusal by `unpack`
    #[arg(long, value_name = "LIST", requires = "old")]
    pub need: Vec<PathBuf>,
    /// Take more time to make the bundle smaller
    #[arg(long)]
    pub small: bool,
    /// Seal at once with this key; the seal lies inside the bundle
    #[arg(long, value_name = "KEY")]
    pub seal_with: Option<PathBuf>,
    /// File with that key's passphrase (its first line)
    #[arg(long, value_name = "F", requires = "seal_with")]
    pub passphrase_file: Option<PathBuf>,
    /// Put a policy chain inside the bundle, oldest first; the last also says whose receipts and seals to believe
    #[arg(long, value_name = "POLICY")]
    pub policy: Vec<PathBuf>,
    /// Threads (default: all cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Lay this program and its signature beside the bundle
    #[arg(long, requires = "seal_with")]
    pub with_pouch: bool,
    /// Do all the work and keep nothing: says how large the bundle will be and how long its unpack takes
    #[arg(long)]
    pub dry_run: bool,
    /// The bundle to write
    #[arg(short, long, value_name = "B.pouch", required_unless_present = "dry_run")]
    pub output: Option<PathBuf>,
}
