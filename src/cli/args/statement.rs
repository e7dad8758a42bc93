//! Arguments of the commands that make statements or take them in.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct KeyArg {
    /// The private key that signs; a public key (KEY.pub) where the agent holds the private one
    #[arg(long = "with", value_name = "KEY")]
    pub with: PathBuf,
    /// File with its passphrase (its first line)
    #[arg(long, value_name = "F")]
    pub passphrase_file: Option<PathBuf>,
}

/// Signing a statement, here or elsewhere.
#[derive(Args, Debug)]
pub struct SignArg {
    /// The private key that signs; a public key (KEY.pub) where the agent holds the private one
    #[arg(long = "with", value_name = "KEY", required_unless_present = "print_text", conflicts_with = "print_text")]
    pub with: Option<PathBuf>,
    /// File with its passphrase (its first line)
    #[arg(long, value_name = "F", requires = "with")]
    pub passphrase_file: Option<PathBuf>,
    /// Print the exact text to sign and sign nothing; `ssh-keygen -Y sign` does that elsewhere
    #[arg(long)]
    pub print_text: bool,
    /// Where to put the statement (default: beside the bundle, or here)
    #[arg(short, long, value_name = "DIR", conflicts_with = "print_text")]
    pub output: Option<PathBuf>,
}

/// Where and how long a statement counts.
#[derive(Args, Debug)]
pub struct ScopeArg {
    /// A site where it counts (default: everywhere)
    #[arg(long, value_name = "NAME")]
    pub for_site: Vec<String>,
    /// After this time it admits no release that a site has not yet: 2026-12-31 or 2026-12-31T12:00:00Z
    #[arg(long, value_name = "DATE")]
    pub not_after: Option<String>,
}

#[derive(Args, Debug)]
pub struct Seal {
    /// The bundle
    pub bundle: PathBuf,
    /// How to sign
    #[command(flatten)]
    pub sign: SignArg,
    /// Where it counts
    #[command(flatten)]
    pub scope: ScopeArg,
    /// A comment, part of what is signed
    #[arg(long, value_name = "T")]
    pub comment: Option<String>,
}

#[derive(Args, Debug)]
pub struct Approve {
    /// The bundle, or its index
    pub bundle: PathBuf,
    /// How to sign
    #[command(flatten)]
    pub sign: SignArg,
    /// The group that the key's owner speaks for
    #[arg(long, value_name = "G")]
    pub group: String,
    /// A comment, part of what is signed
    #[arg(long, value_name = "T")]
    pub comment: Option<String>,
    /// Files that were looked at, named by digest in what is signed
    #[arg(long, value_name = "F")]
    pub evidence: Vec<PathBuf>,
    /// Where it counts
    #[command(flatten)]
    pub scope: ScopeArg,
}

#[derive(Args, Debug)]
pub struct Reject {
    /// The bundle, or its index
    pub bundle: PathBuf,
    /// How to sign
    #[command(flatten)]
    pub sign: SignArg,
    /// The group that the key's owner speaks for; or sealers, or admins
    #[arg(long, value_name = "G")]
    pub group: String,
    /// A comment, part of what is signed
    #[arg(long, value_name = "T")]
    pub comment: Option<String>,
    /// Files that were looked at, named by digest in what is signed
    #[arg(long, value_name = "F")]
    pub evidence: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Revoke {
    /// What is called back
    #[command(flatten)]
    pub what: RevokeWhat,
    /// A release for which the key's signatures still count
    #[arg(long, value_name = "RELEASE", requires = "key")]
    pub except: Vec<String>,
    /// How to sign
    #[command(flatten)]
    pub sign: SignArg,
    /// A comment, part of what is signed
    #[arg(long, value_name = "T")]
    pub comment: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct RevokeWhat {
    /// A key: its fingerprint (SHA256:...), or its public file
    #[arg(long, value_name = "FINGERPRINT")]
    pub key: Option<String>,
    /// A release, by its id
    #[arg(long, value_name = "ID")]
    pub release: Option<String>,
    /// A statement: the SHA-256 of its text, or the text's file
    #[arg(long, value_name = "DIGEST")]
    pub statement: Option<String>,
}

#[derive(Args, Debug)]
pub struct Permit {
    /// The stream
    #[arg(long, value_name = "S")]
    pub stream: String,
    /// The release that is the stream's latest on the site; `none` where it has none or no longer knows
    #[arg(long, value_name = "ID")]
    pub from: String,
    /// The bundle (or its index) whose release becomes the latest
    #[arg(long, value_name = "B.pouch")]
    pub to: PathBuf,
    /// How to sign
    #[command(flatten)]
    pub sign: SignArg,
    /// Where it counts
    #[command(flatten)]
    pub scope: ScopeArg,
    /// A comment, part of what is signed
    #[arg(long, value_name = "T")]
    pub comment: Option<String>,
}

#[derive(Args, Debug)]
pub struct Statements {
    /// Folders with statements
    #[arg(required = true, value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// The site
    #[arg(long)]
    pub site: PathBuf,
}
