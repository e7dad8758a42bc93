//! The command line, as the user writes it.

mod pack;
mod site;
mod statement;

pub use pack::*;
pub use site::*;
pub use statement::*;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use pouch::model::Kind;
use std::path::PathBuf;

const AFTER: &str = "\
Exit codes: 0 done, 1 failed (disk, permission, space: retry may help), 2 usage, 3 damaged (copy the medium again),
4 distrusted (ask the sender), 5 unsupported (newer format, or above a limit), 70 defect of pouch.

Examples:
  pouch demo
  pouch key new packer
  pouch policy new --admin 1:ann=ann.pub --stream k8s --sealer ann=packer.pub --with ann -o policy.txt
  pouch pack --kubespray-offline outputs --stream k8s --sequence 1 --seal-with packer -o k8s-1.pouch
  pouch site init /srv/site --policy policy.txt --confirm DIGEST
  pouch unpack k8s-1.pouch --site /srv/site";

/// Moves software across an air gap in one signed, deduplicated file
#[derive(Parser, Debug)]
#[command(name = "pouch", version, after_help = AFTER, max_term_width = 110)]
pub struct Cli {
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress and no notes
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs the main job on a sample, from throwaway keys to a checked site
    Demo(Demo),
    /// Makes keys
    #[command(subcommand)]
    Key(Key),
    /// Makes, signs, shows and applies policies
    #[command(subcommand)]
    Policy(Policy),
    /// Packs files, images and packages into one bundle
    #[command(after_help = PACK_AFTER)]
    Pack(Pack),
    /// Signs what a bundle is: its release and how the file carries it
    Seal(Seal),
    /// Approves a release for a group of the policy
    Approve(Approve),
    /// Rejects a release: a veto until it is withdrawn
    Reject(Reject),
    /// Calls back a key, a release, or a statement
    #[command(after_help = REVOKE_AFTER)]
    Revoke(Revoke),
    /// Allows, as an admin, one step of a stream that order forbids: a downgrade, a new epoch, a long jump
    #[command(
        after_help = "Example:\n  pouch permit --stream k8s --from $(pouch status --site /srv/site --json | jq -r .releases[0].release) --to k8s-1.pouch --with admin"
    )]
    Permit(Permit),
    /// Takes in rejections, revocations and policies that came without a bundle
    Statements(Statements),
    /// Checks every byte of a bundle and who vouches for it
    Verify(Verify),
    /// Lists the artifacts of a bundle (unverified)
    #[command(after_help = "Examples:\n  pouch ls k8s-1.pouch\n  pouch ls k8s-1.pouch --kind image --json")]
    Ls(Ls),
    /// Shows what a bundle is: ids, totals, statements (unverified)
    Show(Show),
    /// Lists what a release has that another has not (unverified)
    #[command(after_help = "Example:\n  pouch diff k8s-1.pouch k8s-2.pouch")]
    Diff(Diff),
    /// Lays a sealed bundle out as plain files for a virus scanner; approvals are not needed
    #[command(
        after_help = "Examples:\n  pouch extract k8s-2.pouch --policy policy.txt --to scan --expand && clamscan -r scan\n  pouch extract k8s-2.pouch --policy policy.txt --to scan --expand --only-new --against k8s-1.pouch"
    )]
    Extract(Extract),
    /// Writes one HTML page to read before signing (unverified)
    #[command(
        after_help = "Example:\n  pouch review k8s-2.pouch --against k8s-1.pouch --group security -o review.html --sbom sbom.json"
    )]
    Review(Review),
    /// Writes a small file with all that a reviewer needs
    ExtractIndex(ExtractIndex),
    /// Sets up a site
    #[command(subcommand)]
    Site(Site),
    /// Verifies bundles and makes them live on a site
    #[command(
        after_help = "Examples:\n  pouch unpack /media/stick/k8s-2.pouch --site /srv/site --dry-run\n  pouch unpack /media/stick/k8s-2.pouch --site /srv/site --statements /media/stick/approvals"
    )]
    Unpack(Unpack),
    /// Shows what a site serves
    Status(SiteArg),
    /// Shows what happened on a site
    History(History),
    /// Says which release brought something, who vouched for it with what text, and when it was live
    #[command(after_help = WHY_AFTER)]
    Why(Why),
    /// Signs what a site holds, or prints it as digits to read over a telephone
    #[command(
        after_help = "Examples:\n  pouch receipt --site /srv/site --with site-key -o plant-7.txt\n  pouch receipt --site /srv/site --short"
    )]
    Receipt(Receipt),
    /// Looks for missing, damaged and foreign files
    Check(Check),
    /// Frees what no generation uses
    Gc(Gc),
    /// Makes an earlier generation live again
    Rollback(Rollback),
    /// Writes an image of the site as an archive that podman, nerdctl and docker load
    #[command(
        after_help = "Example:\n  pouch export library/registry:2.8.3 --site /srv/site -o registry.tar && nerdctl load -i registry.tar"
    )]
    Export(Export),
    /// Says what kubespray's lists ask for and a bundle lacks
    #[command(after_help = "Example:\n  pouch complete k8s-1.pouch --lists kubespray/contrib/offline/temp")]
    Complete(Complete),
    /// Prints a completion script for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Writes manual pages into a folder
    Man {
        /// The folder
        dir: PathBuf,
    },
}

const REVOKE_AFTER: &str = "\
Give what it writes to every site: beside the next bundle, or alone with `pouch statements`.

Examples:
  pouch revoke --key SHA256:0Yk3... --with admin --comment \"stolen laptop\" -o revocations
  pouch revoke --release 9f86d08188... --with admin -o revocations
  pouch revoke --statement k8s-2.reject.0123456789abcdef.txt --with reviewer -o revocations";

#[derive(Args, Debug)]
pub struct Demo {
    /// Keep what was made in this folder (default: a temporary one that is removed)
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum Key {
    /// Makes an OpenSSH Ed25519 key: KEYFILE and KEYFILE.pub
    New {
        /// The private key's file; must not exist
        keyfile: PathBuf,
        /// Protect it with the passphrase in this file (its first line)
        #[arg(long, value_name = "F")]
        passphrase_file: Option<PathBuf>,
        /// Comment of the public key
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
}

#[derive(Subcommand, Debug)]
pub enum Policy {
    /// Writes a policy
    New(PolicyNew),
    /// Signs a policy as one of its admins
    Sign {
        /// The policy
        policy: PathBuf,
        /// The key
        #[command(flatten)]
        key: KeyArg,
    },
    /// Shows a policy and the digest to confirm
    Show {
        /// The policy
        policy: PathBuf,
    },
    /// Makes a policy the one in force on a site
    Apply {
        /// The policy
        policy: PathBuf,
        /// The site
        #[arg(long)]
        site: PathBuf,
    },
}

#[derive(Args, Debug)]
pub struct PolicyNew {
    /// Who may sign policies, and how many of them must: K:OWNER=KEY.pub,OWNER=KEY.pub,...
    #[arg(long, value_name = "K:OWNER=KEY.pub,...", required = true)]
    pub admin: Vec<String>,
    /// The stream that the following sealers and groups are for
    #[arg(long, value_name = "S", required = true)]
    pub stream: String,
    /// Who may seal
    #[arg(long, value_name = "OWNER=KEY.pub", required = true, num_args = 1.., value_delimiter = ',')]
    pub sealer: Vec<String>,
    /// A group that must approve, and how many of it: NAME=K:OWNER=KEY.pub,...
    #[arg(long, value_name = "NAME=K:OWNER=KEY.pub,...")]
    pub group: Vec<String>,
    /// The policy that this one follows; its admins sign too
    #[arg(long, value_name = "POLICY")]
    pub after: Option<PathBuf>,
    /// Sign at once with this admin's key
    #[arg(long = "with", value_name = "KEY")]
    pub with: Option<PathBuf>,
    /// File with its passphrase (its first line)
    #[arg(long, value_name = "F", requires = "with")]
    pub passphrase_file: Option<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "POLICY")]
    pub output: PathBuf,
}

#[derive(Args, Debug)]
pub struct Verify {
    /// The bundle
    pub bundle: PathBuf,
    /// Verify by this policy
    #[arg(long, required_unless_present = "site", conflicts_with = "site")]
    pub policy: Option<PathBuf>,
    /// Verify by the policy and the order of this site
    #[arg(long)]
    pub site: Option<PathBuf>,
    /// Folders with statements; the bundle's own folder is always looked at
    #[arg(long, value_name = "DIR")]
    pub statements: Vec<PathBuf>,
    /// Print the ssh-keygen commands that re-check each statement
    #[arg(long)]
    pub explain: bool,
    /// Threads (default: all cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

#[derive(Args, Debug)]
pub struct BundleArg {
    /// The bundle
    pub bundle: PathBuf,
}

#[derive(Args, Debug)]
pub struct Show {
    /// The bundle
    pub bundle: PathBuf,
    /// Say where its bytes go, and which artifact is made how
    #[arg(long)]
    pub sizes: bool,
}

/// The names of kinds, as values of an argument.
fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(|name| Kind::from_name(&name).ok_or("no such kind"))
}

#[derive(Args, Debug)]
pub struct Ls {
    /// The bundle
    pub bundle: PathBuf,
    /// Only artifacts of this kind
    #[arg(long, value_parser = kinds())]
    pub kind: Option<Kind>,
}

#[derive(Args, Debug)]
pub struct Diff {
    /// The old bundle, or its index
    pub old: PathBuf,
    /// The new bundle, or its index
    pub new: PathBuf,
}

#[derive(Args, Debug)]
pub struct Extract {
    /// The bundle
    pub bundle: PathBuf,
    /// The policy that says whose seal counts
    #[arg(long)]
    pub policy: PathBuf,
    /// The folder; must be empty or absent
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Folders with statements; the bundle's own folder is always looked at
    #[arg(long, value_name = "DIR")]
    pub statements: Vec<PathBuf>,
    /// Leave out what the bundle of --against has
    #[arg(long, requires = "against")]
    pub only_new: bool,
    /// A bundle that was scanned before, or its index; its seal must count as well. It gives what a delta leaves out
    #[arg(long, value_name = "OLD.pouch")]
    pub against: Option<PathBuf>,
    /// Open layers, packages and archives, and archives in them
    #[arg(long)]
    pub expand: bool,
    /// With --expand: bytes to write at most
    #[arg(long, value_name = "N", requires = "expand")]
    pub max_bytes: Option<u64>,
    /// With --expand: files to write at most
    #[arg(long, value_name = "N", requires = "expand")]
    pub max_files: Option<u64>,
    /// With --expand: archives in archives to open at most
    #[arg(long, value_name = "N", requires = "expand")]
    pub max_depth: Option<u32>,
    /// Threads (default: all cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

#[derive(Args, Debug)]
pub struct Review {
    /// The bundle, or its index
    pub bundle: PathBuf,
    /// The release that it follows: a bundle, or its index
    #[arg(long, value_name = "OLD.pouch")]
    pub against: Option<PathBuf>,
    /// Groups for which the text to be signed is shown
    #[arg(long, value_name = "G")]
    pub group: Vec<String>,
    /// Folders with statements to show; the bundle's own folder is always looked at
    #[arg(long, value_name = "DIR")]
    pub statements: Vec<PathBuf>,
    /// A policy, by which the page says whose the statements are and what they come to
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Also write the list of artifacts as CycloneDX 1.6 JSON
    #[arg(long, value_name = "FILE")]
    pub sbom: Option<PathBuf>,
    /// The page to write
    #[arg(short, long, value_name = "PAGE.html")]
    pub output: PathBuf,
}

#[derive(Args, Debug)]
pub struct ExtractIndex {
    /// The bundle
    pub bundle: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "SMALL.pouch")]
    pub output: PathBuf,
}

#[derive(Args, Debug)]
pub struct Complete {
    /// The bundle
    pub bundle: PathBuf,
    /// Folder with files.list and images.list
    #[arg(long, value_name = "DIR")]
    pub lists: PathBuf,
    /// The bundle that a delta builds on; without it checksums of what is left out are not looked at
    #[arg(long, value_name = "OLD.pouch")]
    pub against: Option<PathBuf>,
}
