//! To *explain* is to say how anybody can check what pouch decided, with stock `ssh-keygen` and nothing of ours.
//!
//! It also names the files that statements lie in. It runs no command. Specified in `spec/trust.md`, sections "Files" and
//! "Checking without pouch".

use super::key::PublicKey;
use super::policy::{Policy, Role};
use super::report::Report;
use super::statement::StatementKind;

/// The file of a statement's text beside the thing called `base`: `BASE.KIND.KEYID.txt`. Its signature has `.sig` after it.
pub fn file_name(base: &str, kind: StatementKind, key: &PublicKey) -> String {
    format!("{base}.{kind}.{}.txt", key.key_id())
}

/// The kind that a file name of [`file_name`]'s form says. Only for finding files: the kind that counts is in the text.
pub fn kind_of_file(name: &str) -> Option<StatementKind> {
    let mut parts = name.strip_suffix(".txt")?.rsplitn(3, '.');
    let (key_id, kind, base) = (parts.next()?, parts.next()?, parts.next()?);
    (is_key_id(key_id) && !base.is_empty() && !base.starts_with("._")).then_some(())?;
    StatementKind::from_name(kind)
}

/// The file of a signature over the policy in the file `policy`: `POLICY.KEYID.sig`.
pub fn policy_signature_name(policy: &str, key: &PublicKey) -> String {
    format!("{policy}.{}.sig", key.key_id())
}

/// Whether a file beside the policy in the file `policy` is a signature over it: `POLICY.KEYID.sig`, or `POLICY.sig` as
/// `ssh-keygen -Y sign` leaves it.
pub fn is_policy_signature(policy: &str, name: &str) -> bool {
    match name.strip_prefix(policy).and_then(|rest| rest.strip_suffix("sig")) {
        Some(".") => true,
        Some(middle) => middle.strip_prefix('.').and_then(|m| m.strip_suffix('.')).is_some_and(is_key_id),
        None => false,
    }
}

fn is_key_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The policy's keys in the form of OpenSSH's `allowed_signers` (ssh-keygen(1)): each key for the kinds that it may make.
pub fn allowed_signers(policy: &Policy) -> String {
    let mut lines: Vec<String> = policy
        .roles()
        .map(|role| format!("{} namespaces=\"{}\" {}\n", role.owner, namespaces(role).join(","), role.key))
        .collect();
    lines.sort();
    lines.concat()
}

fn namespaces(role: &Role) -> Vec<String> {
    use StatementKind::*;
    let votes = role.admin || role.group.is_some() || !role.seals.is_empty();
    let may = [
        (Seal, !role.seals.is_empty()),
        (Approve, role.group.is_some()),
        (Reject, votes),
        (Permit, role.admin),
        (Revoke, true),
        (Policy, role.admin),
        (Receipt, role.site),
    ];
    may.into_iter().filter(|(_, may)| *may).map(|(kind, _)| kind.namespace()).collect()
}

/// Commands that check every statement whose key the policy names. `statements` gives the file of each text, with what
/// became of it; texts that lie inside a bundle must be written to such files first.
pub fn explain(policy: &Policy, statements: &[(String, Report)]) -> String {
    let mut out = String::from("# Keys of the policy, each for the statements that it may make:\n");
    out.push_str("cat > allowed_signers <<'END'\n");
    out.push_str(&allowed_signers(policy));
    out.push_str("END\n");
    for (file, report) in statements {
        let (Some(owner), Some(kind)) = (&report.owner, report.kind) else { continue };
        let (text, signature) = (quote(file), quote(&format!("{file}.sig")));
        out.push_str(&format!("# {report}\n"));
        out.push_str(&format!(
            "ssh-keygen -Y verify -f allowed_signers -I {owner} -n {} -s {signature} < {text}\n",
            kind.namespace()
        ));
    }
    out
}

/// `text` as one word of a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::cases::{policy, public};

    #[test]
    fn names_come_back() {
        let name = file_name("k8s-12.pouch", StatementKind::Approve, &public("ann"));
        assert_eq!(kind_of_file(&name), Some(StatementKind::Approve));
        for bad in [
            "Thumbs.db",
            "a.approve.0123456789abcdef.txt.sig",
            "._a.approve.0123456789abcdef.txt",
            "a.approve.0123456789ABCDEF.txt",
            "a.approve.0123.txt",
            "a.agree.0123456789abcdef.txt",
            ".approve.0123456789abcdef.txt",
            "approve.0123456789abcdef.txt",
        ] {
            assert_eq!(kind_of_file(bad), None, "{bad}");
        }
    }

    #[test]
    fn policy_signatures() {
        assert!(is_policy_signature("POLICY", &policy_signature_name("POLICY", &public("ann"))));
        assert!(is_policy_signature("POLICY", "POLICY.sig"));
        for bad in ["POLICY", "POLICY.2.sig", "POLICYsig", "POLICY..sig", "OTHER.sig", "POLICY.sig.bak", "sig"] {
            assert!(!is_policy_signature("POLICY", bad), "{bad}");
        }
    }

    #[test]
    fn shell_words() {
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn keys_get_the_kinds_of_their_roles() {
        let text = allowed_signers(&policy());
        let line = |owner: &str| text.lines().find(|l| l.starts_with(owner)).unwrap_or_default().to_owned();
        assert!(line("ann ").contains("\"pouch/v1/reject,pouch/v1/permit,pouch/v1/revoke,pouch/v1/policy\""));
        assert!(line("dora ").contains("\"pouch/v1/seal,pouch/v1/reject,pouch/v1/revoke\""));
        assert!(line("carol ").contains("\"pouch/v1/approve,pouch/v1/reject,pouch/v1/revoke\""));
    }
}
