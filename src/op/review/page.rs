//! The *page* is a review as one HTML file that refers to nothing outside itself and runs nothing.
//!
//! Every text in it that a sender wrote goes through [`escape`], and the page's own policy forbids scripts, pictures and
//! any load, so that a name can do no more than look odd.

use super::{Review, Runs};
use crate::digest::Digest;
use crate::op::diff::{Changed, Diff, Item};
use crate::op::scan::{Container, Opened};
use crate::relpath::is_hidden;
use std::fmt::Write as _;

/// Longest text of one field; the rest is cut and counted.
const SHOWN: usize = 2000;
/// Width of the bars, in units of the drawing.
const BAR: u64 = 560;

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.15rem .7rem .15rem 0;vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600}tr+tr td{border-top:1px solid #eee}.n{text-align:right;white-space:nowrap}
code,pre{font:13px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.8rem;white-space:pre-wrap;overflow-wrap:anywhere}
.id{font-size:1.05rem;letter-spacing:.02em}.warn{background:#fff2cc;padding:.5rem .8rem;border-left:4px solid #d99000}
.bad{color:#a00;font-weight:600}rect{fill:#4a7ab0}svg text{font:12px system-ui,sans-serif;fill:#1a1a1a}summary{cursor:pointer}
@media print{details{display:block}}";

/// Text as HTML text or attribute: markup means nothing, and what could hide or reorder is spelt out.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, c) in text.chars().enumerate() {
        if n >= SHOWN {
            let _ = write!(out, "… ({} bytes)", text.len());
            break;
        }
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_hidden(c) && c != '\n' => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Text of several lines, none of them cut.
fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

/// The whole page.
pub fn page(r: &Review) -> String {
    let s = &r.release;
    let title = escape(&format!("{} epoch {} sequence {}", s.stream, s.epoch, s.sequence));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>Review: {title}</title>\n<style>\n{STYLE}\n</style>\n\
         </head>\n<body>\n<h1>Review of {title}</h1>\n"
    );
    for note in &r.notes {
        let _ = writeln!(out, "<p class=\"warn\">{}</p>", escape(note));
    }
    if let Some(reason) = &r.reason {
        let _ = writeln!(
            out,
            "<p class=\"warn\">Made by amending another release. The packer's reason: {}</p>",
            escape(reason)
        );
    }
    ids(&mut out, r);
    totals(&mut out, r);
    if let Some(changes) = &r.changes {
        differences(&mut out, changes);
    }
    rights(&mut out, r);
    images(&mut out, &r.images);
    licences(&mut out, r);
    texts(&mut out, r);
    everything(&mut out, &r.artifacts);
    out.push_str("</body>\n</html>\n");
    out
}

fn section(out: &mut String, title: &str) {
    let _ = writeln!(out, "<h2>{}</h2>", escape(title));
}

/// A number that is found by its id, by people's programs and by tests.
fn number(id: &str, n: impl std::fmt::Display) -> String {
    format!("<b id=\"{id}\">{n}</b>")
}

fn bytes(n: u64) -> String {
    let mut digits = n.to_string();
    let mut at = digits.len();
    while at > 3 {
        at -= 3;
        digits.insert(at, '\u{a0}');
    }
    digits
}

/// A digest in groups of four, to be read aloud or compared by eye.
fn grouped(digest: &Digest, groups: usize) -> String {
    let hex = digest.hex();
    let parts = (0..groups).filter_map(|n| hex.get(n * 4..n * 4 + 4));
    parts.collect::<Vec<_>>().join(" ")
}

fn ids(out: &mut String, r: &Review) {
    section(out, "Which release");
    for (name, id, digest) in [("Release id", "release", &r.release.release), ("Carriage id", "carriage", &r.carriage)]
    {
        let _ = writeln!(
            out,
            "<p>{name}<br><code class=\"id\" id=\"{id}\">{}</code><br><code class=\"id\">{}</code><br>short: \
             <code class=\"id\">{}</code></p>",
            digest.hex(),
            grouped(digest, 16),
            grouped(digest, 4)
        );
    }
    out.push_str(
        "<p>The release id is what is approved; the carriage id is that of the one file that was looked at.</p>\n",
    );
    let version = r.release.version.as_deref().unwrap_or("-");
    let _ = writeln!(out, "<p>Version: <b>{}</b></p>", escape(version));
}

fn totals(out: &mut String, r: &Review) {
    section(out, "What it holds");
    let s = &r.release;
    let _ = writeln!(
        out,
        "<p>{} artifacts, {} blobs, {} bytes.</p>",
        number("artifacts", s.artifacts),
        number("blobs", s.blobs),
        number("bytes", s.bytes)
    );
    let rows: Vec<(String, u64)> = r.totals.iter().map(|t| (format!("{} {}", t.artifacts, t.kind), t.bytes)).collect();
    bars(out, "Bytes by kind", &rows);
    let rows: Vec<(String, u64)> = r.largest.iter().map(|i| (format!("{} {}", i.kind, label(i)), i.bytes)).collect();
    let _ = writeln!(out, "<h3>The {} largest artifacts</h3>", rows.len());
    bars(out, "Bytes of the largest artifacts", &rows);
}

fn bars(out: &mut String, title: &str, rows: &[(String, u64)]) {
    let most = rows.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
    let height = rows.len() * 22 + 4;
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 1100 {height}\" width=\"100%\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for (n, (label, bytes_)) in rows.iter().enumerate() {
        let width = u128::from(BAR) * u128::from(*bytes_) / u128::from(most);
        let short: String = label.chars().take(60).collect();
        let y = n * 22;
        let _ = writeln!(
            out,
            "<g><title>{0}: {1} bytes</title><text x=\"0\" y=\"{2}\">{3}</text><rect x=\"400\" y=\"{4}\" width=\"{5}\" \
             height=\"16\"/><text x=\"{6}\" y=\"{2}\">{1}</text></g>",
            escape(label),
            bytes(*bytes_),
            y + 15,
            escape(&short),
            y + 2,
            width.max(1),
            u128::from(410u32) + width
        );
    }
    out.push_str("</svg>\n");
}

fn label(i: &Item) -> String {
    match &i.version {
        Some(version) => format!("{} {version}", i.name),
        None => i.name.clone(),
    }
}

fn table(out: &mut String, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    out.push_str("<table><tr>");
    heads.iter().for_each(|h| *out += &format!("<th>{h}</th>"));
    out.push_str("</tr>\n");
    for row in rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| *out += &format!("<td>{cell}</td>"));
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

fn or_dash(text: Option<&str>) -> String {
    text.map_or_else(|| "-".into(), escape)
}

fn short(digest: Option<Digest>) -> String {
    digest.map(|d| format!("<code title=\"{d}\">{}</code>", d.short())).unwrap_or_default()
}

/// The cells that every list of artifacts has.
fn cells(i: &Item) -> Vec<String> {
    vec![
        i.kind.to_string(),
        escape(&i.name),
        or_dash(i.version.as_deref()),
        or_dash(i.arch.as_deref()),
        bytes(i.bytes),
        escape(&i.place),
        short(i.digest),
    ]
}

const CELLS: [&str; 7] = ["kind", "name", "version", "architecture", "bytes", "place", "digest"];

fn differences(out: &mut String, d: &Diff) {
    section(out, "What changes");
    let _ = writeln!(
        out,
        "<p>Since {} epoch {} sequence {} (<code>{}</code>): {} added, {} removed, {} changed, {} the same. {} bytes in {} \
         blobs are new, {} bytes in {} are gone.</p>",
        escape(&d.old.stream),
        d.old.epoch,
        d.old.sequence,
        d.old.release.hex(),
        number("added", d.added.len()),
        number("removed", d.removed.len()),
        number("changed", d.changed.len()),
        number("unchanged", d.unchanged),
        number("new-bytes", d.new_bytes),
        number("new-blobs", d.new_blobs),
        number("gone-bytes", d.gone_bytes),
        number("gone-blobs", d.gone_blobs)
    );
    if d.old.stream != d.new.stream {
        out.push_str("<p class=\"warn\">The two releases are of different streams.</p>\n");
    }
    let replaced = d.changed.iter().filter(|c| c.is_replaced()).count();
    if replaced > 0 {
        let _ = writeln!(
            out,
            "<p class=\"bad\">{} artifacts have other bytes under the same version. Ask why.</p>",
            number("replaced", replaced)
        );
    }
    out.push_str("<h3>Removed</h3>\n");
    let heads = [&CELLS[..], &["why it is gone"]].concat();
    table(
        out,
        &heads,
        d.removed.iter().map(|r| {
            let why = match r.remaining.as_slice() {
                [] => "no version of it is left".into(),
                versions => format!("left in {}", escape(&versions.join(", "))),
            };
            [cells(&r.item), vec![why]].concat()
        }),
    );
    out.push_str("<h3>Changed</h3>\n");
    table(
        out,
        &["kind", "name", "version", "bytes", "what", "old digest", "new digest"],
        d.changed.iter().map(changed),
    );
    out.push_str("<h3>Added</h3>\n");
    table(out, &CELLS, d.added.iter().map(cells));
}

fn changed(c: &Changed) -> Vec<String> {
    let both = |old: String, new: String| if old == new { old } else { format!("{old} → {new}") };
    let what = c.what.join(", ");
    vec![
        c.new.kind.to_string(),
        escape(&c.new.name),
        both(or_dash(c.old.version.as_deref()), or_dash(c.new.version.as_deref())),
        both(bytes(c.old.bytes), bytes(c.new.bytes)),
        if c.is_replaced() { format!("<span class=\"bad\">{what}, same version</span>") } else { what },
        short(c.old.digest),
        short(c.new.digest),
    ]
}

fn rights(out: &mut String, r: &Review) {
    section(out, "What runs with rights");
    let _ = writeln!(out, "<h3>{} files with set-id bits, in rpms</h3>", number("set-id", r.set_id.len()));
    table(
        out,
        &["package", "version", "file", "mode"],
        r.set_id
            .iter()
            .map(|f| vec![escape(&f.package), or_dash(f.version.as_deref()), escape(&f.path), escape(&f.mode)]),
    );
    opened(out, r);
    let _ = writeln!(
        out,
        "<h3>{} packages run scripts when they are installed or removed, as root</h3>",
        number("scripts", r.scripts.len())
    );
    table(
        out,
        &["kind", "name", "version", "scripts"],
        r.scripts.iter().map(|s| {
            let item = &s.item;
            let version = or_dash(item.version.as_deref());
            vec![item.kind.to_string(), escape(&item.name), version, escape(&s.scripts.join(", "))]
        }),
    );
    if !r.sdists.is_empty() {
        let _ = writeln!(
            out,
            "<h3>{} Python source distributions run code of theirs when they are built</h3>",
            number("sdists", r.sdists.len())
        );
        table(out, &CELLS, r.sdists.iter().map(cells));
    }
    let _ = writeln!(
        out,
        "<details><summary>{} plain files are executable</summary>",
        number("executables", r.executables.len())
    );
    table(out, &CELLS, r.executables.iter().map(cells));
    out.push_str("</details>\n");
}

/// Set-id files inside debs and layers; what was not opened stands before what was found.
fn opened(out: &mut String, r: &Review) {
    out.push_str("<section id=\"opened\">\n");
    if let Some(why) = &r.not_opened {
        out.push_str("<h3>Files with set-id bits, in debs and image layers: not looked at</h3>\n");
        let _ = writeln!(out, "<p class=\"warn\">{}</p>", escape(why));
    }
    if let Some(o) = &r.opened {
        let found = number("set-id-opened", o.found);
        let _ = writeln!(out, "<h3>{found} files with set-id bits, in debs and image layers</h3>");
        for warning in warnings(o) {
            let _ = writeln!(out, "<p class=\"warn\">{}</p>", escape(&warning));
        }
        let archives = number("opened-archives", o.archives);
        let _ = writeln!(out, "<p>{archives} debs and layers were opened and read to their end.</p>");
        if !o.problems.is_empty() {
            let _ =
                writeln!(out, "<p class=\"bad\">{} times something was not:</p>", number("unopened", o.problems.len()));
            let rows = o
                .problems
                .iter()
                .map(|p| [container(&p.container), vec![format!("could not be opened: {}", escape(&p.why))]].concat());
            table(out, &[&CONTAINER[..], &["what is wrong"]].concat(), rows);
        }
        let rows = o.set_id.iter().map(|f| {
            let link = f.link.as_deref().map(|to| format!("hard link to {}", escape(to))).unwrap_or_default();
            [container(&f.container), vec![escape(&f.path), escape(&f.mode), link]].concat()
        });
        table(out, &[&CONTAINER[..], &["file", "mode", ""]].concat(), rows);
    }
    out.push_str("</section>\n");
}

const CONTAINER: [&str; 5] = ["kind", "name", "version", "deb or layer", "artifacts that have it"];

fn container(c: &Container) -> Vec<String> {
    let version = or_dash(c.version.as_deref());
    vec![c.kind.to_string(), escape(&c.name), version, short(c.digest), c.artifacts.to_string()]
}

/// What keeps the list from being whole.
fn warnings(o: &Opened) -> Vec<String> {
    let mut out = Vec::new();
    if o.lacking > 0 {
        out.push(format!(
            "{} debs and layers were not looked at: this is a delta, and what it builds on is not here. Give the old \
             release with --against.",
            o.lacking
        ));
    }
    if let Some(bound) = o.bounded_by {
        out.push(format!(
            "{} debs and layers were not looked at: the bound on {bound} was met before. `pouch extract --expand` has \
             options to look further.",
            o.not_reached
        ));
    }
    let more = o.found.saturating_sub(o.set_id.len() as u64);
    if more > 0 {
        out.push(format!("{more} more files were found than are listed; the map of `pouch extract --expand` has all."));
    }
    out
}

fn images(out: &mut String, images: &[Runs]) {
    section(out, "What images run");
    let _ = writeln!(out, "<p>{} images, one for each platform.</p>", number("images", images.len()));
    table(
        out,
        &["image", "tag", "platform", "user", "entry point", "command", "layers"],
        images.iter().map(|i| {
            let words = |list: &[String]| format!("<code>{}</code>", escape(&list.join(" ")));
            let user = match i.user.as_deref() {
                None => "<span class=\"bad\">root (not stated)</span>".into(),
                Some(user) if is_root(user) => format!("<span class=\"bad\">{}</span>", escape(user)),
                Some(user) => escape(user),
            };
            vec![
                escape(&i.name),
                or_dash(i.reference.as_deref()),
                or_dash(i.platform.as_deref()),
                user,
                words(&i.entrypoint),
                words(&i.cmd),
                i.layers.to_string(),
            ]
        }),
    );
}

fn is_root(user: &str) -> bool {
    matches!(user.split(':').next(), Some("root" | "0"))
}

fn licences(out: &mut String, r: &Review) {
    if r.licences.is_empty() {
        return;
    }
    section(out, "Licences, in the packagers' words");
    table(
        out,
        &["licence", "artifacts"],
        r.licences.iter().map(|l| {
            let words = if l.licence.is_empty() { "(none stated)".into() } else { escape(&l.licence) };
            vec![words, l.artifacts.to_string()]
        }),
    );
}

fn texts(out: &mut String, r: &Review) {
    section(out, "What you sign");
    out.push_str(
        "<p>This is the text, to the letter, but for the time of signing, a comment and evidence that you give. Compare it \
         with what <code>pouch approve</code> prints.</p>\n",
    );
    for text in &r.to_sign {
        let _ = writeln!(out, "<pre class=\"sign\">{}</pre>", escape_lines(text));
    }
    if !r.statements.is_empty() {
        section(out, "What others have said");
        let _ = writeln!(
            out,
            "<p>{} statements, inside the file and beside it, as they stand. Whoever could write the file could write \
             them: <code>pouch verify</code> says who really did. Evidence that they name is a claim of their signer.</p>",
            number("statements", r.statements.len())
        );
        for text in &r.statements {
            let _ = writeln!(out, "<pre>{}</pre>", escape_lines(text));
        }
    }
    said(out, r);
}

fn said(out: &mut String, r: &Review) {
    if r.said.is_empty() {
        return;
    }
    section(out, "Whose words these are");
    out.push_str("<p>By the policy that was given when the page was written, with no site in mind.</p>\n");
    table(
        out,
        &["Who", "Key", "What", "It", "Statement"],
        r.said.iter().map(|s| {
            let cells = [&s.owner, &s.key, s.kind.unwrap_or("-"), &s.outcome, &s.statement.short()];
            cells.map(escape).into()
        }),
    );
    if !r.evidence.is_empty() {
        section(out, "Evidence");
        out.push_str("<p>What they say they looked at: claims of their signers, which nobody checked.</p>\n");
        table(
            out,
            &["Who claims it", "In", "Name", "SHA-256", "Bytes"],
            r.evidence.iter().map(|e| {
                let bytes = e.bytes.unwrap_or("not here");
                [e.owner.as_str(), e.kind, &e.name, &e.digest.hex(), bytes].map(escape).into()
            }),
        );
    }
}

fn everything(out: &mut String, all: &[Item]) {
    section(out, "Everything");
    let _ = writeln!(out, "<details><summary>All {} artifacts</summary>", number("all", all.len()));
    table(out, &CELLS, all.iter().map(cells));
    out.push_str("</details>\n");
}
