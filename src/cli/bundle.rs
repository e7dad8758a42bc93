//! Looking at bundles: `ls`, `show`, `extract-index`. Nothing here is verified, and the output says so.

use super::args::{ExtractIndex, Ls, Show};
use super::fail::{Fail, Outcome};
use super::{Common, print};
use pouch::bundle::sizes::{Made, Share, Sizes};
use pouch::bundle::{Bundle, Sealed, index_only};
use pouch::format::frame::Form;
use pouch::format::root::{BaseRelease, Total};
use pouch::fs::medium::FileMedium;
use pouch::fs::output::Output;
use pouch::model::Kind;
use std::path::Path;

/// A bundle that was parsed without asking who vouches for it.
pub struct Unverified;

/// Opens a file.
pub fn medium(path: &Path) -> Result<FileMedium, Fail> {
    FileMedium::open(path).map_err(|e| Fail::io(format!("cannot open {}", path.display()), e))
}

/// Opens a bundle to look at it.
pub fn open(path: &Path) -> Result<Bundle<FileMedium, Unverified>, Fail> {
    Ok(Bundle::parse(Sealed::open(medium(path)?)?, Unverified)?)
}

#[derive(serde::Serialize)]
struct Listed {
    kind: Kind,
    name: String,
    version: Option<String>,
    arch: Option<String>,
    place: Option<String>,
    bytes: u64,
    digest: String,
    labels: std::collections::BTreeMap<String, String>,
}

/// `pouch ls`.
pub fn ls(args: Ls, common: &Common) -> Outcome {
    let bundle = open(&args.bundle)?;
    let mut list = Vec::new();
    for described in bundle.artifacts()? {
        let a = described.artifact;
        if args.kind.is_some_and(|k| k != a.kind) {
            continue;
        }
        list.push(Listed {
            kind: a.kind,
            place: a.path.as_ref().map(|p| format!("{}/{p}", a.root)),
            bytes: a.bytes(),
            digest: a.blobs.first().map(|b| b.digest.oci()).unwrap_or_default(),
            name: a.name,
            version: a.version,
            arch: a.arch,
            labels: a.labels.into_iter().collect(),
        });
    }
    common.report(&list, |list| {
        let row = |l: &Listed| {
            let version = l.version.clone().unwrap_or_else(|| "-".into());
            let arch = l.arch.clone().unwrap_or_else(|| "-".into());
            vec![l.kind.to_string(), l.name.clone(), version, arch, print::size(l.bytes), l.digest[7..23].to_owned()]
        };
        print::table(&list.iter().map(row).collect::<Vec<_>>())
    })
}

#[derive(serde::Serialize)]
struct Shown {
    verified: bool,
    form: &'static str,
    release: String,
    carriage: String,
    stream: String,
    epoch: u64,
    sequence: u64,
    version: Option<String>,
    totals: Vec<Total>,
    blobs: u64,
    bytes: u64,
    blocks: u64,
    blocks_bytes: u64,
    chunks: u64,
    requires: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    against: Vec<BaseRelease>,
    /// Why it was made of another release.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    statements: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<ShownSizes>,
}

/// `pouch show`.
pub fn show(args: Show, common: &Common) -> Outcome {
    let bundle = open(&args.bundle)?;
    let sizes = if args.sizes { Some(sizes(&bundle)?) } else { None };
    let (r, c, ids) = (&bundle.release, &bundle.carriage, bundle.ids());
    let shown = Shown {
        verified: false,
        form: match bundle.form() {
            Form::Full => "full",
            Form::Head => "head",
            Form::IndexOnly => "index-only",
        },
        release: ids.release.hex(),
        carriage: ids.carriage.hex(),
        stream: r.stream.clone(),
        epoch: r.epoch,
        sequence: r.sequence,
        version: r.version.clone(),
        totals: r.totals.clone(),
        blobs: r.blobs,
        bytes: r.bytes,
        blocks: c.blocks,
        blocks_bytes: c.blocks_len,
        chunks: c.chunks,
        requires: r.requires.iter().chain(&c.requires).cloned().collect(),
        against: c.against.clone().unwrap_or_default(),
        reason: c.reason().map(str::to_owned),
        statements: bundle.statements().iter().map(|s| String::from_utf8_lossy(&s.text).into_owned()).collect(),
        sizes,
    };
    common.report(&shown, |s| {
        let mut out = format!(
            "release   {}\ncarriage  {}\nstream    {} epoch {} sequence {}\nversion   {}\nform      {}\n",
            s.release,
            s.carriage,
            s.stream,
            s.epoch,
            s.sequence,
            s.version.as_deref().unwrap_or("-"),
            s.form
        );
        let mut rows: Vec<Vec<String>> =
            s.totals.iter().map(|t| vec![t.kind.to_string(), t.artifacts.to_string(), print::size(t.bytes)]).collect();
        rows.push(vec!["blobs".into(), s.blobs.to_string(), print::size(s.bytes)]);
        rows.push(vec!["blocks".into(), s.blocks.to_string(), print::size(s.blocks_bytes)]);
        out += &print::table(&rows);
        for r in &s.against {
            let place = format!("{} epoch {} sequence {}", r.stream, r.epoch, r.sequence);
            out += &format!("a delta against {place} ({})\n", r.release.short());
        }
        out += &s.reason.as_ref().map(|reason| format!("amended   {reason}\n")).unwrap_or_default();
        out += &s.sizes.as_ref().map(sizes_text).unwrap_or_default();
        for text in &s.statements {
            out += &format!("\nstatement inside, as it stands:\n{text}");
        }
        out += "\nNothing of this is verified; `pouch verify` does that.\n";
        out
    })
}

/// Where the bytes go, and how each artifact's blobs are made.
#[derive(serde::Serialize)]
struct ShownSizes {
    #[serde(flatten)]
    of: Sizes,
    artifacts: Vec<ArtifactSizes>,
}

#[derive(serde::Serialize)]
struct ArtifactSizes {
    kind: Kind,
    name: String,
    bytes: u64,
    left_out: u64,
    stored: u64,
    differences: u64,
    replayed: u64,
    encoders: std::collections::BTreeSet<String>,
}

fn sizes(bundle: &Bundle<FileMedium, Unverified>) -> Result<ShownSizes, Fail> {
    let of = bundle.sizes()?;
    let mut artifacts = Vec::new();
    for described in bundle.artifacts()? {
        let a = described.artifact;
        let mut row = ArtifactSizes {
            kind: a.kind,
            bytes: a.bytes(),
            left_out: 0,
            stored: 0,
            differences: 0,
            replayed: 0,
            encoders: Default::default(),
            name: a.name,
        };
        for blob in &a.blobs {
            match of.blobs.get(blob) {
                Some(Made::LeftOut) => row.left_out += blob.len,
                Some(Made::Differences { encoders, replayed }) => {
                    row.differences += blob.len;
                    row.replayed += replayed;
                    row.encoders.extend(encoders.iter().cloned());
                }
                Some(Made::Stored) | None => row.stored += blob.len,
            }
        }
        artifacts.push(row);
    }
    Ok(ShownSizes { of, artifacts })
}

fn sizes_text(s: &ShownSizes) -> String {
    let mut rows = vec![["", "count", "bytes", "for"].map(String::from).to_vec()];
    let mut row = |what: String, share: &Share| {
        rows.push(vec![what, share.count.to_string(), print::size(share.stored), print::size(share.plain)]);
    };
    s.of.blocks.iter().for_each(|(codec, share)| row(format!("blocks, {codec}"), share));
    s.of.sections.iter().for_each(|(kind, share)| row(format!("section, {kind}"), share));
    s.of.replays.iter().for_each(|(encoder, share)| row(format!("checkpoints of {encoder}"), share));
    row("left out".into(), &s.of.left_out);
    row("bases besides".into(), &s.of.bases);
    let mut out = format!("\n{}\n", print::table(&rows));
    let mut rows =
        vec![["kind", "name", "bytes", "left out", "stored", "differences", "replayed by"].map(String::from).to_vec()];
    for a in &s.artifacts {
        let sizes = [a.bytes, a.left_out, a.stored, a.differences].map(print::size);
        let encoders = a.encoders.iter().cloned().collect::<Vec<_>>().join(" ");
        rows.push([vec![a.kind.to_string(), a.name.clone()], sizes.to_vec(), vec![encoders]].concat());
    }
    out += &print::table(&rows);
    out
}

#[derive(serde::Serialize)]
struct Extracted {
    release: String,
    carriage: String,
    bytes: u64,
}

/// `pouch extract-index`.
pub fn extract_index(args: ExtractIndex, common: &Common) -> Outcome {
    let bundle = open(&args.bundle)?;
    let io = |e| Fail::io(format!("cannot write {}", args.output.display()), e);
    let mut out = Output::create(&args.output).map_err(io)?;
    let bytes = index_only::write(&bundle, bundle.statements(), &mut out)?;
    out.publish(0o644).map_err(io)?;
    let ids = bundle.ids();
    let report = Extracted { release: ids.release.hex(), carriage: ids.carriage.hex(), bytes };
    common
        .report(&report, |r| format!("{}: {} of release {}\n", args.output.display(), print::size(r.bytes), r.release))
}
