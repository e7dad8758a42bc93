//! The *cases* of verification: one policy, releases of its streams, and what each statement comes to.
//!
//! `vectors` writes the same cases to files for other implementations.

use super::TrustError;
use super::key::PublicKey;
use super::order::{Order, OrderState};
use super::policy::{Group, Member, Older, Policy, PolicyTerms, Quorum, RevokedKey, Stream};
use super::private::PrivateKey;
use super::report::Refusal;
use super::sshsig::sign;
use super::statement::{
    Approve, Claims, Content, Identity, Permit, Place, Reject, Revoke, Revoked, Seal, Signed, Statement, StatementKind,
    Terms,
};
use super::verify::{Subject, Verdict, verify};
use crate::digest::Digest;

pub(super) const NOW: i64 = 1_800_000_000;

/// The key of a name: fixed, so that cases can be repeated. Names in capitals have P-256 keys.
pub(super) fn key(name: &str) -> PrivateKey {
    let secret = Digest::of(name.as_bytes()).0;
    match name.starts_with(|c: char| c.is_ascii_uppercase()) {
        true => PrivateKey::from_p256_scalar(&secret, name),
        false => PrivateKey::from_ed25519_seed(&secret, name),
    }
    .expect("a key")
}

pub(super) fn public(name: &str) -> PublicKey {
    key(name).public().clone()
}

pub(super) fn member(name: &str) -> Member {
    Member { owner: name.into(), keys: vec![public(name)] }
}

pub(super) fn quorum(threshold: u64, names: &[&str]) -> Quorum {
    Quorum { threshold, members: names.iter().map(|n| member(n)).collect() }
}

/// Admins 2 of abe, ada, ann; security 2 of Carl, carol (two keys), cleo; qa 1 of dave, quinn; sealers of `prod`: dave and
/// dora, of `test`: dave, without approvals. The key `ruth` is revoked, except for sequence 3.
pub(super) fn terms() -> PolicyTerms {
    let mut security = quorum(2, &["Carl", "carol", "cleo", "ruth"]);
    security.members[1].keys.push(public("carol's card"));
    PolicyTerms {
        issued: NOW - 1000,
        admins: quorum(2, &["abe", "ada", "ann"]),
        groups: vec![
            Group { name: "other".into(), quorum: quorum(1, &["otto"]) },
            Group { name: "qa".into(), quorum: quorum(1, &["dave", "quinn"]) },
            Group { name: "security".into(), quorum: security },
        ],
        streams: vec![
            Stream {
                name: "prod".into(),
                requires: vec!["qa".into(), "security".into()],
                sealers: vec![member("dave"), member("dora")],
                max_gap: Some(5),
                floor: Some(Place { epoch: 1, sequence: 1 }),
                ..Stream::default()
            },
            Stream { name: "test".into(), sealers: vec![member("dave")], older: Older::Add, ..Stream::default() },
        ],
        revoked_keys: vec![RevokedKey {
            key: public("ruth").fingerprint(),
            except: vec![identity("prod", 1, 3).release],
        }],
        revoked_releases: vec![identity("prod", 1, 4).release],
        ..PolicyTerms::default()
    }
}

pub(super) fn policy() -> Policy {
    Policy::new(terms()).expect("a policy")
}

pub(super) fn identity(stream: &str, epoch: u64, sequence: u64) -> Identity {
    let place = Place { epoch, sequence };
    Identity { release: Digest::of(format!("{stream} {place}").as_bytes()), stream: stream.into(), place }
}

pub(super) fn claims() -> Claims {
    let content = vec![
        Content { kind: "image".into(), artifacts: 12, bytes: 345_678 },
        Content { kind: "rpm".into(), artifacts: 3, bytes: 99 },
    ];
    Claims { version: Some("2026.11".into()), content, bytes: 345_000, removed: None }
}

pub(super) fn said() -> Terms {
    Terms { issued: NOW - 100, ..Terms::default() }
}

pub(super) fn carriage() -> Digest {
    Digest::of(b"carriage")
}

pub(super) fn seal(id: &Identity) -> Seal {
    Seal { identity: id.clone(), carriage: carriage(), claims: claims(), terms: said() }
}

pub(super) fn approve(id: &Identity, group: &str) -> Approve {
    Approve { group: group.into(), identity: id.clone(), claims: claims(), terms: said() }
}

pub(super) fn by(name: &str, statement: Statement) -> Signed {
    statement.sign(&key(name)).expect("a statement in form")
}

/// Signs whatever text for whatever namespace.
fn forge(name: &str, namespace: &str, text: &[u8]) -> Signed {
    Signed { text: text.to_vec(), signature: sign(&key(name), namespace, text).into_bytes() }
}

fn sealed(name: &str, id: &Identity) -> Signed {
    by(name, Statement::Seal(seal(id)))
}

pub(super) fn approved(name: &str, group: &str, id: &Identity) -> Signed {
    by(name, Statement::Approve(approve(id, group)))
}

fn approved_with(name: &str, id: &Identity, change: impl Fn(&mut Approve)) -> Signed {
    let mut statement = approve(id, "security");
    change(&mut statement);
    by(name, Statement::Approve(statement))
}

fn sealed_with(name: &str, id: &Identity, change: impl Fn(&mut Seal)) -> Signed {
    let mut statement = seal(id);
    change(&mut statement);
    by(name, Statement::Seal(statement))
}

pub(super) fn rejected(name: &str, group: &str, id: &Identity) -> Signed {
    let terms = Terms { comment: Some("a miner in layer 7".into()), ..said() };
    by(name, Statement::Reject(Reject { group: group.into(), identity: id.clone(), terms }))
}

pub(super) fn revoked(name: &str, what: Revoked) -> Signed {
    by(name, Statement::Revoke(Revoke { what, terms: said() }))
}

pub(super) fn permitted(name: &str, from: Option<&Identity>, to: &Identity) -> Signed {
    let from = from.map(|f| f.release);
    let permit = Permit { stream: to.stream.clone(), from, to: to.release, place: to.place, terms: said() };
    by(name, Statement::Permit(permit))
}

pub(super) fn subject(id: &Identity) -> Subject {
    Subject { release_id: id.release, carriage_id: Some(carriage()) }
}

/// What a sealed and approved release of `prod` needs: seal, qa, security twice.
pub(super) fn good(id: &Identity) -> Vec<Signed> {
    vec![
        sealed("dora", id),
        approved("quinn", "qa", id),
        approved("carol", "security", id),
        approved("Carl", "security", id),
    ]
}

/// A site that holds these releases, imported in turn.
pub(super) fn site(ids: &[Identity]) -> OrderState {
    let mut state = OrderState { site: Some("plant-7".into()), ..OrderState::default() };
    for id in ids {
        state.accept(id, Order::Newer, NOW - 100, NOW);
    }
    state
}

pub(super) struct Case {
    pub name: &'static str,
    pub subject: Subject,
    pub state: OrderState,
    pub statements: Vec<Signed>,
    /// What each statement comes to, in turn.
    pub outcomes: &'static str,
    /// `ok` and the order, or the reasons of the refusal.
    pub result: &'static str,
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = seals();
    all.extend(signatures());
    all.extend(texts());
    all.extend(approvals());
    all.extend(vetoes());
    all.extend(revocations());
    all.extend(orders());
    all
}

/// A case about release 1 of `prod` on a site that has seen nothing: `first`, then what `good` has after its first `skip`.
fn case(name: &'static str, first: Vec<Signed>, skip: usize, outcomes: &'static str, result: &'static str) -> Case {
    let id = identity("prod", 1, 1);
    let mut statements = first;
    statements.extend(good(&id).into_iter().skip(skip));
    Case { name, subject: subject(&id), state: site(&[]), statements, outcomes, result }
}

fn seals() -> Vec<Case> {
    let id = &identity("prod", 1, 1);
    let none = "not-weighed not-weighed not-weighed";
    let mut all = vec![
        case("good", vec![], 0, "counts counts counts counts", "ok first"),
        case("no-seal", vec![], 1, none, "no-seal"),
        case(
            "seal-by-approver",
            vec![sealed("carol", id)],
            1,
            "no-right not-weighed not-weighed not-weighed",
            "no-seal",
        ),
        case("seal-by-admin", vec![sealed("ann", id)], 1, "no-right not-weighed not-weighed not-weighed", "no-seal"),
        case(
            "seal-by-stranger",
            vec![sealed("eve", id)],
            1,
            "unknown-key not-weighed not-weighed not-weighed",
            "no-seal",
        ),
        case(
            "seal-of-other-release",
            vec![sealed("dora", &identity("prod", 1, 2))],
            1,
            "other-release not-weighed not-weighed not-weighed",
            "no-seal",
        ),
        case(
            "seal-of-other-carriage",
            vec![sealed_with("dora", id, |s| s.carriage = Digest::of(b"repack"))],
            1,
            "other-carriage not-weighed not-weighed not-weighed",
            "no-seal",
        ),
        case(
            "seal-for-unknown-stream",
            vec![sealed_with("dora", id, |s| s.identity.stream = "nowhere".into())],
            1,
            "no-right not-weighed not-weighed not-weighed",
            "no-seal",
        ),
        case(
            "seal-expired",
            vec![sealed_with("dora", id, |s| s.terms.not_after = Some(NOW - 1))],
            1,
            "expired not-weighed not-weighed not-weighed",
            "no-seal",
        ),
        case(
            "seal-ends-now",
            vec![sealed_with("dora", id, |s| s.terms.not_after = Some(NOW))],
            1,
            "counts counts counts counts",
            "ok first",
        ),
        case(
            "seal-for-another-site",
            vec![sealed_with("dora", id, |s| s.terms.sites = vec!["plant-8".into()])],
            1,
            "elsewhere not-weighed not-weighed not-weighed",
            "no-seal",
        ),
        case(
            "seal-for-this-site-too",
            vec![sealed_with("dora", id, |s| s.terms.sites = vec!["plant-7".into(), "plant-8".into()])],
            1,
            "counts counts counts counts",
            "ok first",
        ),
        case(
            "seal-from-the-future",
            vec![sealed_with("dora", id, |s| s.terms.issued = NOW + 1_000_000)],
            1,
            "counts counts counts counts",
            "ok first",
        ),
        case(
            "two-seals-the-younger-is-chosen",
            vec![sealed_with("dave", id, |s| s.terms.issued = NOW - 50)],
            0,
            "counts not-needed counts counts counts",
            "ok first",
        ),
    ];
    let mut any = case("seal-of-any-carriage-on-a-desk", vec![], 0, "counts counts counts counts", "ok first");
    any.subject.carriage_id = None;
    any.state.site = None;
    all.push(any);
    let mut test = case("seal-is-enough-where-no-group-is-required", vec![], 9, "counts", "ok first");
    let id = identity("test", 7, 7);
    (test.subject, test.statements) = (subject(&id), vec![sealed("dave", &id)]);
    all.push(test);
    let mut wrong = case("sealer-of-another-stream", vec![], 9, "no-right", "no-seal");
    (wrong.subject, wrong.statements) = (subject(&id), vec![sealed("dora", &id)]);
    all.push(wrong);
    all
}

/// Damage to the last of the statements that a release needs, so that one approval is missing.
fn damaged(name: &'static str, signed: Signed, outcome: &'static str) -> Case {
    let mut case = case(name, vec![], 0, outcome, "not-enough security");
    case.statements[3] = signed;
    case
}

fn signatures() -> Vec<Case> {
    let id = &identity("prod", 1, 1);
    let good = approved("Carl", "security", id);
    let text = String::from_utf8(good.text.clone()).expect("text");
    let armor = String::from_utf8(good.signature.clone()).expect("text");
    let with = |text: &str, armor: &str| Signed { text: text.into(), signature: armor.into() };
    let bad = "counts counts counts bad-signature";
    let mut flipped = good.clone();
    flipped.text[80] ^= 1;
    vec![
        damaged("signature-over-another-text", with(&text.replace("2026.11", "2026.12"), &armor), bad),
        damaged("text-with-a-flipped-bit", flipped, bad),
        damaged("text-mangled-by-mail", with(&text.replace('\n', "\r\n"), &armor), bad),
        damaged("text-without-its-last-line-end", with(text.trim_end(), &armor), bad),
        damaged("signature-with-crlf", with(&text, &armor.replace('\n', "\r\n")), bad),
        damaged("signature-with-something-after", with(&text, &format!("{armor}x\n")), bad),
        damaged("signature-with-a-blank-line-after", with(&text, &format!("{armor}\n")), bad),
        damaged("signature-with-something-before", with(&text, &format!("From: Carl\n{armor}")), bad),
        damaged("signature-wrapped-again", with(&text, &rewrap(&armor)), bad),
        damaged("signature-empty", with(&text, ""), bad),
        damaged("signature-cut", with(&text, &armor[..armor.len() / 2]), bad),
        damaged("signature-by-a-stranger", approved("eve", "security", id), "counts counts counts unknown-key"),
        damaged(
            "namespace-of-another-kind",
            forge("Carl", "pouch/v1/seal", &good.text),
            "counts counts counts bad-text",
        ),
        damaged("namespace-of-another-program", forge("Carl", "git", &good.text), bad),
        damaged("namespace-of-another-version", forge("Carl", "pouch/v2/approve", &good.text), bad),
        damaged("namespace-of-an-unknown-kind", forge("Carl", "pouch/v1/agree", &good.text), bad),
        damaged(
            "text-too-long",
            with(&format!("{text}{}", "x".repeat(16 << 10)), &armor),
            "counts counts counts too-long",
        ),
    ]
}

fn rewrap(armor: &str) -> String {
    let body: String = armor.lines().filter(|l| !l.starts_with('-')).collect();
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).expect("ascii")).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

/// Texts that Carl really signed and that are not in form.
fn texts() -> Vec<Case> {
    let id = &identity("prod", 1, 1);
    let text = String::from_utf8(approved("Carl", "security", id).text).expect("text");
    let signed = |name, text: &str| {
        damaged(name, forge("Carl", "pouch/v1/approve", text.as_bytes()), "counts counts counts bad-text")
    };
    let swap = |a: &str, b: &str| text.replacen(a, b, 1);
    vec![
        signed("form-crlf", &text.replace('\n', "\r\n")),
        signed("form-unknown-kind", &swap("pouch/v1 approve", "pouch/v1 agree")),
        signed("form-kind-of-another", &swap("pouch/v1 approve", "pouch/v1 reject")),
        signed("form-other-version", &swap("pouch/v1", "pouch/v2")),
        signed("form-unknown-field", &swap("issued:", "colour: red\nissued:")),
        signed("form-field-of-another-kind", &swap("stream:", &format!("carriage: {}\nstream:", carriage()))),
        signed("form-field-twice", &swap("epoch: 1\n", "epoch: 1\nepoch: 1\n")),
        signed("form-fields-out-of-order", &swap("epoch: 1\nsequence: 1\n", "sequence: 1\nepoch: 1\n")),
        signed("form-field-missing", &swap("sequence: 1\n", "")),
        signed("form-leading-zero", &swap("sequence: 1\n", "sequence: 01\n")),
        signed("form-negative", &swap("sequence: 1\n", "sequence: -1\n")),
        signed("form-capital-digest", &text.replace(&id.release.hex(), &id.release.hex().to_uppercase())),
        signed("form-two-spaces", &swap("epoch: 1", "epoch:  1")),
        signed("form-space-at-the-end", &swap("epoch: 1\n", "epoch: 1 \n")),
        signed("form-tab", &swap("epoch: 1", "epoch:\t1")),
        signed("form-blank-line", &swap("epoch:", "\nepoch:")),
        signed("form-no-last-line-end", text.trim_end()),
        signed("form-byte-order-mark", &format!("\u{feff}{text}")),
        signed("form-time-with-offset", &swap("Z\n", "+00:00\n")),
        signed("form-ends-before-it-begins", &format!("{text}not-after: 1999-01-01T00:00:00Z\n")),
        signed("form-total-is-not-the-sum", &swap("total: 15", "total: 16")),
        signed("form-content-out-of-order", &swap("12 image", "12 wheel")),
        signed("form-reordered-letters", &format!("{text}comment: \u{202e}lla ta kool\n")),
        signed("form-invisible-letters", &format!("{text}comment: o\u{200b}k\n")),
        signed("form-letters-not-composed", &format!("{text}comment: cafe\u{301}\n")),
        signed("form-odd-space", &format!("{text}comment: a\u{a0}b\n")),
        signed("form-nul", &format!("{text}comment: a\0b\n")),
        signed("form-line-after-the-comment", &format!("{text}comment: ok\nfor-site: plant-7\n")),
        signed("form-empty", ""),
        signed("form-sites-twice", &swap("issued", "for-site: plant-7\nfor-site: plant-7\nissued")),
    ]
}

fn approvals() -> Vec<Case> {
    let id = &identity("prod", 1, 1);
    let mut all = vec![
        case(
            "approval-twice-the-same",
            vec![approved("carol", "security", id)],
            0,
            "counts counts counts duplicate counts",
            "ok first",
        ),
        damaged(
            "approval-by-one-owner-twice",
            approved_with("carol", id, |a| a.terms.issued -= 1),
            "counts counts already-counted counts",
        ),
        damaged(
            "approval-by-two-keys-of-one-owner",
            approved("carol's card", "security", id),
            "counts counts already-counted counts",
        ),
        damaged("approval-for-a-group-of-others", approved("quinn", "security", id), "counts counts counts no-right"),
        damaged("approval-for-a-group-not-required", approved("otto", "other", id), "counts counts counts not-needed"),
        damaged("approval-by-an-admin", approved("ann", "security", id), "counts counts counts no-right"),
        damaged(
            "approval-of-another-release",
            approved("Carl", "security", &identity("prod", 1, 2)),
            "counts counts counts other-release",
        ),
        damaged(
            "approval-that-shows-another-sequence",
            approved_with("Carl", id, |a| a.identity.place.sequence = 2),
            "counts counts counts disagrees",
        ),
        damaged(
            "approval-that-shows-other-counts",
            approved_with("Carl", id, |a| a.claims.content[0].artifacts = 11),
            "counts counts counts disagrees",
        ),
        damaged(
            "approval-expired",
            approved_with("Carl", id, |a| a.terms.not_after = Some(NOW - 1)),
            "counts counts counts expired",
        ),
        damaged(
            "approval-for-another-site",
            approved_with("Carl", id, |a| a.terms.sites = vec!["plant-8".into()]),
            "counts counts counts elsewhere",
        ),
        case(
            "approval-by-a-third",
            vec![approved("cleo", "security", id)],
            0,
            "counts counts counts counts counts",
            "ok first",
        ),
    ];
    let mut sealer = case(
        "approval-by-a-sealer-who-did-not-seal",
        vec![],
        0,
        "counts sealers-do-not-approve counts counts",
        "not-enough qa",
    );
    sealer.statements[1] = approved("dave", "qa", id);
    all.push(sealer);
    let mut missing = case("approvals-missing", vec![], 0, "counts", "not-enough qa; not-enough security");
    missing.statements.truncate(1);
    all.push(missing);
    let mut accepted =
        case("expiry-gates-the-first-acceptance-only", vec![], 9, "counts counts counts counts", "ok same");
    accepted.statements = vec![
        sealed_with("dora", id, |s| s.terms.not_after = Some(NOW - 1)),
        approved("quinn", "qa", id),
        approved_with("carol", id, |a| a.terms.not_after = Some(NOW - 1)),
        approved("cleo", "security", id),
    ];
    accepted.state = site(std::slice::from_ref(id));
    all.push(accepted);
    let mut floor =
        case("a-clock-set-back-revives-nothing", vec![], 0, "counts counts counts expired", "not-enough security");
    floor.statements[3] = approved_with("Carl", id, |a| a.terms.not_after = Some(NOW + 10));
    floor.state.time_floor = NOW + 11;
    all.push(floor);
    all
}

fn vetoes() -> Vec<Case> {
    let id = &identity("prod", 1, 1);
    let veto = rejected("cleo", "security", id);
    let lift = |name: &str| revoked(name, Revoked::Statement(veto.digest()));
    let all_count = "counts counts counts counts counts";
    let mut all = vec![
        case("veto-by-a-member", vec![veto.clone()], 0, all_count, "vetoed"),
        case("veto-by-a-sealer", vec![rejected("dave", "sealers", id)], 0, all_count, "vetoed"),
        case("veto-by-an-admin", vec![rejected("abe", "admins", id)], 0, all_count, "vetoed"),
        case(
            "veto-by-a-stranger",
            vec![rejected("eve", "security", id)],
            0,
            "unknown-key counts counts counts counts",
            "ok first",
        ),
        case(
            "veto-by-a-group-not-required",
            vec![rejected("otto", "other", id)],
            0,
            "no-right counts counts counts counts",
            "ok first",
        ),
        case(
            "veto-in-another-group's-name",
            vec![rejected("cleo", "qa", id)],
            0,
            "no-right counts counts counts counts",
            "ok first",
        ),
        case("veto-by-who-approved-too", vec![rejected("carol", "security", id)], 0, all_count, "vetoed"),
        case(
            "veto-on-another-release",
            vec![rejected("cleo", "security", &identity("prod", 1, 2))],
            0,
            all_count,
            "ok first",
        ),
        case(
            "veto-that-shows-another-sequence-still-forbids",
            vec![rejected("cleo", "security", &Identity { place: Place { epoch: 9, sequence: 9 }, ..id.clone() })],
            0,
            all_count,
            "vetoed",
        ),
        case(
            "veto-taken-back-by-its-signer",
            vec![veto.clone(), lift("cleo")],
            0,
            "withdrawn counts counts counts counts counts",
            "ok first",
        ),
        case(
            "veto-taken-back-by-another",
            vec![veto.clone(), lift("carol")],
            0,
            "counts counts counts counts counts counts",
            "vetoed",
        ),
        case(
            "veto-taken-back-by-one-admin",
            vec![veto.clone(), lift("ann")],
            0,
            "counts counts counts counts counts counts",
            "vetoed",
        ),
        case(
            "veto-taken-back-by-the-admins",
            vec![veto.clone(), lift("ann"), lift("abe")],
            0,
            "withdrawn counts counts counts counts counts counts",
            "ok first",
        ),
    ];
    let learn = |state: &mut OrderState, statements: &[Signed]| {
        let refused = run(id, statements, state).expect_err("nothing comes in");
        state.learn(&refused.learned);
    };
    let mut remembered = case("veto-remembered", vec![], 0, "counts counts counts counts", "vetoed");
    learn(&mut remembered.state, std::slice::from_ref(&veto));
    let mut lifted = case("veto-remembered-and-taken-back", vec![lift("cleo")], 0, all_count, "ok first");
    learn(&mut lifted.state, std::slice::from_ref(&veto));
    let mut early = case(
        "veto-taken-back-before-it-came",
        vec![veto.clone()],
        0,
        "withdrawn counts counts counts counts",
        "ok first",
    );
    learn(&mut early.state, &[lift("cleo")]);
    all.extend([remembered, lifted, early]);
    all
}

fn revocations() -> Vec<Case> {
    let id = &identity("prod", 1, 1);
    let calls = |name: &str| revoked(name, Revoked::Key(public("carol").fingerprint(), vec![]));
    let spares = |name: &str| revoked(name, Revoked::Key(public("carol").fingerprint(), vec![id.release]));
    let back = |name: &str| revoked(name, Revoked::Release(id.release));
    let taken = "counts counts counts counts key-revoked counts";
    let mut all = vec![
        damaged("revoked-by-the-policy", approved("ruth", "security", id), "counts counts counts key-revoked"),
        case("revoked-by-one-admin", vec![calls("ann")], 0, "counts counts counts counts counts", "ok first"),
        case(
            "revoked-by-one-admin-twice",
            vec![calls("ann"), calls("ann")],
            0,
            "counts duplicate counts counts counts counts",
            "ok first",
        ),
        case("revoked-by-two-admins", vec![calls("ann"), calls("ada")], 0, taken, "not-enough security"),
        case("revoked-by-its-owner-alone", vec![calls("carol")], 0, "no-right counts counts counts counts", "ok first"),
        case(
            "revoked-except-for-this-release",
            vec![spares("ann"), spares("ada")],
            0,
            "counts counts counts counts counts counts",
            "ok first",
        ),
        case(
            "revoked-in-two-ways-does-not-add-up",
            vec![spares("ann"), calls("ada")],
            0,
            "counts counts counts counts counts counts",
            "ok first",
        ),
        case(
            "release-revoked-by-two-admins",
            vec![back("ann"), back("abe")],
            0,
            "counts counts counts counts counts counts",
            "release-revoked",
        ),
        case(
            "admins-who-revoke-each-other-both-succeed",
            ["ann", "abe"]
                .into_iter()
                .flat_map(|by| ["ann", "abe"].map(|who| revoked(by, Revoked::Key(public(who).fingerprint(), vec![]))))
                .collect(),
            0,
            "counts counts counts counts counts counts counts counts",
            "ok first",
        ),
        damaged(
            "approval-taken-back",
            approved_with("Carl", id, |a| a.terms.comment = Some("hasty".into())),
            "counts counts counts withdrawn counts",
        ),
    ];
    let hasty = all.last_mut().expect("a case");
    let digest = hasty.statements[3].digest();
    hasty.statements.push(revoked("Carl", Revoked::Statement(digest)));
    let third = &identity("prod", 1, 3);
    let mut spared =
        case("revoked-by-the-policy-but-for-this-release", vec![], 9, "counts counts counts counts", "ok first");
    spared.subject = subject(third);
    spared.statements = good(third);
    spared.statements[3] = approved("ruth", "security", third);
    all.push(spared);
    let fourth = &identity("prod", 1, 4);
    let mut called = case("release-revoked-by-the-policy", vec![], 9, "counts counts counts counts", "release-revoked");
    (called.subject, called.statements) = (subject(fourth), good(fourth));
    all.push(called);
    let mut old = case(
        "revoked-key-still-counts-for-what-is-here",
        vec![calls("ann"), calls("ada")],
        0,
        "counts counts counts counts counts counts",
        "ok same",
    );
    old.state = site(std::slice::from_ref(id));
    all.push(old);
    all
}

fn orders() -> Vec<Case> {
    let at = |sequence| identity("prod", 1, sequence);
    let good_counts = "counts counts counts counts";
    let go = |name, here: &[Identity], to: Identity, first: Vec<Signed>, outcomes, result| {
        let statements = first.into_iter().chain(good(&to)).collect();
        Case { name, subject: subject(&to), state: site(here), statements, outcomes, result }
    };
    let permits = |from: Option<&Identity>, to: &Identity| vec![permitted("ann", from, to), permitted("abe", from, to)];
    let with_permits = "counts counts counts counts counts counts";
    let mut lost = go("order-state-lost", &[], at(2), vec![], good_counts, "order lost");
    lost.state.lost = true;
    let mut found =
        go("order-state-lost-permit-from-none", &[], at(2), permits(None, &at(2)), with_permits, "ok permitted");
    found.state.lost = true;
    let mut gone = go("order-older-one-let-go", &[at(1), at(2)], at(1), vec![], good_counts, "order older");
    gone.state.drop_release("prod", at(1).release);
    let other = Identity { release: Digest::of(b"another 1.2"), ..at(2) };
    let test = |sequence| identity("test", 7, sequence);
    let older_adds = Case {
        name: "order-older-adds",
        subject: subject(&test(1)),
        state: site(&[test(2)]),
        statements: vec![sealed("dave", &test(1))],
        outcomes: "counts",
        result: "ok older",
    };
    vec![
        go("order-newer", &[at(1)], at(2), vec![], good_counts, "ok newer"),
        go("order-same", &[at(1), at(2)], at(2), vec![], good_counts, "ok same"),
        go("order-again", &[at(1), at(2)], at(1), vec![], good_counts, "ok again"),
        go("order-older", &[at(2)], at(1), vec![], good_counts, "order older"),
        go("order-older-permitted", &[at(2)], at(1), permits(Some(&at(2)), &at(1)), with_permits, "ok permitted"),
        go(
            "order-permit-by-one-admin",
            &[at(2)],
            at(1),
            permits(Some(&at(2)), &at(1))[..1].to_vec(),
            "counts counts counts counts counts",
            "order older",
        ),
        go(
            "order-permit-from-elsewhere",
            &[at(2), at(3)],
            at(1),
            permits(Some(&at(2)), &at(1)),
            with_permits,
            "order older",
        ),
        go("order-gap-at-most", &[at(1)], at(6), vec![], good_counts, "ok newer"),
        go("order-gap-too-far", &[at(1)], at(7), vec![], good_counts, "order gap"),
        go("order-gap-permitted", &[at(1)], at(7), permits(Some(&at(1)), &at(7)), with_permits, "ok permitted"),
        go("order-new-epoch", &[at(1)], identity("prod", 2, 1), vec![], good_counts, "order epoch"),
        go(
            "order-new-epoch-permitted",
            &[at(1)],
            identity("prod", 2, 1),
            permits(Some(&at(1)), &identity("prod", 2, 1)),
            with_permits,
            "ok permitted",
        ),
        go("order-old-epoch", &[at(1), identity("prod", 2, 1)], at(2), vec![], good_counts, "order older"),
        go("order-below-the-floor", &[], identity("prod", 1, 0), vec![], good_counts, "order floor"),
        go(
            "order-below-the-floor-permitted",
            &[],
            identity("prod", 1, 0),
            permits(None, &identity("prod", 1, 0)),
            with_permits,
            "order floor",
        ),
        go("order-place-taken", &[at(1), at(2)], other.clone(), vec![], good_counts, "order taken"),
        go(
            "order-place-taken-permitted",
            &[at(1), at(2)],
            other.clone(),
            permits(Some(&at(2)), &other),
            with_permits,
            "order taken",
        ),
        lost,
        found,
        gone,
        older_adds,
    ]
}

pub(super) fn run(id: &Identity, statements: &[Signed], state: &OrderState) -> Result<Verdict, Box<Refusal>> {
    weigh(&subject(id), statements, state)
}

pub(super) fn weigh(subject: &Subject, statements: &[Signed], state: &OrderState) -> Result<Verdict, Box<Refusal>> {
    match verify(subject, statements, &policy(), state, NOW) {
        Ok(verdict) => Ok(verdict),
        Err(TrustError::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other}"),
    }
}

/// The outcomes and the result, in the words of the cases.
pub(super) fn told(result: &Result<Verdict, Box<Refusal>>) -> (String, String) {
    let (reports, word) = match result {
        Ok(v) => (&v.reports, format!("ok {}", v.order.name())),
        Err(r) => (&r.reports, r.reasons.iter().map(|r| r.name()).collect::<Vec<_>>().join("; ")),
    };
    (reports.iter().map(|r| r.outcome.name()).collect::<Vec<_>>().join(" "), word)
}

#[test]
fn each_case_comes_to_what_it_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let result = weigh(&case.subject, &case.statements, &case.state);
        let (outcomes, word) = told(&result);
        if (outcomes.as_str(), word.as_str()) != (case.outcomes, case.result) {
            wrong.push(format!("{}: {outcomes} | {word}", case.name));
        }
        if let Err(refusal) = result {
            let error = TrustError::Refused(refusal);
            use crate::class::{Class, Classified as _};
            assert_eq!(error.class(), Class::Distrusted);
            assert!(error.hint().is_some() && !error.to_string().is_empty(), "{}", case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_order_of_statements_makes_no_difference() {
    for case in cases().iter().filter(|c| c.statements.len() > 1) {
        let (straight, there) = told(&weigh(&case.subject, &case.statements, &case.state));
        for turn in 1..case.statements.len() {
            let mut turned = case.statements.clone();
            turned.rotate_left(turn);
            turned.reverse();
            let (outcomes, back) = told(&weigh(&case.subject, &turned, &case.state));
            assert_eq!(back, there, "{}", case.name);
            let sorted = |text: &str| {
                let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
                words.sort();
                words
            };
            assert_eq!(sorted(&outcomes), sorted(&straight), "{}", case.name);
        }
    }
}

#[test]
fn notes_and_memory() {
    let id = identity("prod", 1, 1);
    let mut statements = good(&id);
    statements[0] = sealed_with("dora", &id, |s| {
        s.terms = Terms { issued: NOW + 1_000_000, policy: Some(carriage()), ..said() };
    });
    let mut state = site(&[]);
    let verdict = run(&id, &statements, &state).expect("trusted");
    assert_eq!(verdict.notes.len(), 2, "{:?}", verdict.notes);
    let seal = &verdict.sealed.seal;
    assert!(verdict.sealed.agrees(&seal.identity, &seal.claims).is_ok());
    let other = Identity { stream: "test".into(), ..id.clone() };
    assert_eq!(verdict.sealed.agrees(&other, &seal.claims), Err(TrustError::Claims("stream")));
    assert_eq!(verdict.sealed.agrees(&id, &Claims::default()), Err(TrustError::Claims("version")));
    verdict.commit(&mut state, NOW);
    assert_eq!(state.time_floor, NOW + 86_400, "a signer cannot push the floor further than a day");
    assert_eq!(state.streams["prod"].latest, Some(id.release));
    let json = serde_json::to_string(&state).expect("json");
    assert_eq!(serde_json::from_str::<OrderState>(&json).expect("back"), state);
    assert_eq!(StatementKind::from_namespace("pouch/v1/seal"), Some(StatementKind::Seal));
}
