//! What must hold whatever strangers send? Each function takes bytes, reads them as one of our parsers does,
//! and panics where a promise is broken. Driven by the targets under `e2e/fuzz`, and briefly by the test below.

use ger_api::webhook_trigger::WebhookAuthKind;

use super::payload::Fate;
use super::{Delivery, Forge, Headers, Presented, Refused, Target, Verifier, read};
use crate::ledger::Call;

/// What reads bytes.
pub type Fuzz = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Fuzz); 7] = [
    ("webhook_github", github),
    ("webhook_gitlab", gitlab),
    ("webhook_gitea", gitea),
    ("webhook_bitbucket", bitbucket),
    ("webhook_unknown", unknown),
    ("webhook_signature", signature),
    ("webhook_path", path),
];

const SECRET: &[u8] = b"secret";

/// GitHub's payloads, as JSON and as forms.
pub fn github(body: &[u8]) {
    payload(WebhookAuthKind::Github, Forge::Github, ("x-github-event", "push"), body);
}

/// GitLab's payloads.
pub fn gitlab(body: &[u8]) {
    payload(WebhookAuthKind::Gitlab, Forge::Gitlab, ("x-gitlab-event", "Push Hook"), body);
}

/// Gitea's and Forgejo's payloads.
pub fn gitea(body: &[u8]) {
    payload(WebhookAuthKind::Gitea, Forge::Gitea, ("x-gitea-event", "push"), body);
}

/// Bitbucket's payloads, Cloud's and Data Center's.
pub fn bitbucket(body: &[u8]) {
    payload(WebhookAuthKind::Bitbucket, Forge::Bitbucket, ("x-event-key", "repo:push"), body);
}

fn payload(kind: WebhookAuthKind, forge: Forge, (header, event): (&str, &str), body: &[u8]) {
    for content in ["application/json", "application/x-www-form-urlencoded"] {
        let headers = [(header, event.as_bytes()), ("content-type", content.as_bytes())];
        let headers: Headers<'_> = headers.into_iter().collect();
        let strict = read(Some(kind), &headers, body);
        assert_eq!(strict, read(Some(kind), &headers, body), "it depends on chance");
        let lax = read(Some(WebhookAuthKind::Header), &headers, body);
        let lax = lax.expect("a header's body may be anything");
        assert_eq!(lax.forge, Some(forge));
        if let Ok(delivery) = strict {
            assert!(!delivery.refs.is_empty(), "a push without a reference");
            assert_eq!(delivery, lax, "who may know more knows the same");
            sound(&delivery);
        }
    }
}

/// What whoever sends: Azure DevOps, and callers of whom nothing is known.
pub fn unknown(body: &[u8]) {
    let delivery = read(None, &Headers::default(), body).expect("anything may be sent");
    sound(&delivery);
}

fn sound(delivery: &Delivery) {
    assert!(delivery.refs.len() <= 256);
    for change in &delivery.refs {
        assert!(change.fate == Fate::Moved || change.after.is_none(), "what is gone is nowhere");
    }
    let id = Call::delivery_id(delivery.id.as_deref().unwrap_or_default());
    assert!((1..=128).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic()));
}

/// A signature, and behind the first newline the body that it is of.
pub fn signature(input: &[u8]) {
    let mut parts = input.splitn(2, |it| *it == b'\n');
    let (header, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for (kind, name, prefix) in [
        (WebhookAuthKind::Github, "x-hub-signature-256", "sha256="),
        (WebhookAuthKind::Bitbucket, "x-hub-signature", "sha256="),
        (WebhookAuthKind::Gitea, "x-gitea-signature", ""),
    ] {
        let verify = |value: &[u8]| {
            let headers: Headers<'_> = [(name, value)].into_iter().collect();
            let presented = Presented::read(kind, "", &headers);
            let mut verifier = Verifier::new(presented, &[SECRET]);
            verifier.update(body);
            verifier.finish()
        };
        let good = format!("{prefix}{}", signed(body));
        assert_eq!(verify(good.as_bytes()), Ok(()));
        let expected = if header == good.as_bytes() { Ok(()) } else { Err(Refused::Wrong) };
        assert_eq!(verify(header), expected);
    }
}

fn signed(body: &[u8]) -> String {
    use hmac::{KeyInit as _, Mac as _};
    let signer = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET);
    let mut signer = signer.expect("a key may have any length");
    signer.update(body);
    data_encoding::HEXLOWER.encode(&signer.finalize().into_bytes())
}

/// The path of a request.
pub fn path(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(target) = Target::parse(text) else { return };
    let key = &target.trigger;
    let short = format!("/{}/{}", key.namespace, key.name);
    let whole = format!("/clusters/{}{short}", key.cluster);
    let source = target.source.as_ref().map(|it| format!("/{it}")).unwrap_or_default();
    assert!([short + &source, whole + &source].contains(&text.to_owned()), "{text}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn seeds(name: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/fuzz/corpus").join(name);
        let files = fs::read_dir(&folder).unwrap().flatten();
        let seeds: Vec<Vec<u8>> = files.map(|it| fs::read(it.path()).unwrap()).collect();
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds
    }

    #[test]
    fn promises_hold_for_every_seed() {
        for (name, target) in TARGETS {
            for seed in seeds(name) {
                target(&seed);
            }
        }
    }

    proptest! {
        #[test]
        fn promises_hold_for_what_becomes_of_the_seeds(
            which in any::<(Index, Index)>(),
            changes in proptest::collection::vec(
                any::<(Index, u8, bool)>(),
                0..6,
            ),
        ) {
            let (name, target) = TARGETS[which.0.index(TARGETS.len())];
            let seeds = seeds(name);
            let mut input = seeds[which.1.index(seeds.len())].clone();
            for (at, byte, is_new) in changes {
                let at = at.index(input.len() + 1);
                if is_new || at == input.len() {
                    input.insert(at, byte);
                } else {
                    input[at] = byte;
                }
            }
            target(&input);
        }
    }
}
