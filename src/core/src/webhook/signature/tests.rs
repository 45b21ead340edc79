//! What lets a caller in, and what does not.

use proptest::prelude::*;

use super::*;

/// GitHub's own example, in its documentation.
const SECRET: &[u8] = b"It's a Secret to Everybody";
const BODY: &[u8] = b"Hello, World!";
const SIGNED: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn verify(
    kind: WebhookAuthKind,
    headers: &[(&str, &str)],
    secrets: &[&[u8]],
    body: &[u8],
) -> Result<(), Refused> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let presented = Presented::read(kind, "x-trigger-auth", &headers);
    let mut verifier = Verifier::new(presented, secrets);
    for piece in body.chunks(3) {
        verifier.update(piece);
    }
    verifier.finish()
}

#[test]
fn each_forge_s_way_to_show_it_lets_in() {
    use WebhookAuthKind::{Bitbucket, Gitea, Github, Gitlab, Header};
    let prefixed = format!("sha256={SIGNED}");
    let token = std::str::from_utf8(SECRET).unwrap();

    for (kind, header, value) in [
        (Github, "x-hub-signature-256", prefixed.as_str()),
        (Bitbucket, "x-hub-signature", &prefixed),
        (Gitea, "x-gitea-signature", SIGNED),
        (Gitea, "x-forgejo-signature", SIGNED),
        (Gitlab, "x-gitlab-token", token),
        (Header, "x-trigger-auth", token),
    ] {
        assert_eq!(verify(kind, &[(header, value)], &[SECRET], BODY), Ok(()), "{kind:?}");
        assert_eq!(verify(kind, &[], &[SECRET], BODY), Err(Refused::Missing), "{kind:?}");
        let twice = [(header, value), (header, value)];
        assert_eq!(verify(kind, &twice, &[SECRET], BODY), Err(Refused::Wrong), "{kind:?}");
        assert_eq!(verify(kind, &[(header, value)], &[b"x"], BODY), Err(Refused::Wrong));
        assert_eq!(verify(kind, &[(header, value)], &[], BODY), Err(Refused::Wrong), "no secret");
        let both: [&[u8]; 2] = [b"new", SECRET];
        assert_eq!(verify(kind, &[(header, value)], &both, BODY), Ok(()), "{kind:?}");
    }
}

#[test]
fn gitea_s_own_signature_comes_before_forgejo_s() {
    let kind = WebhookAuthKind::Gitea;
    let wrong = "0".repeat(64);

    let headers = [("x-gitea-signature", wrong.as_str()), ("x-forgejo-signature", SIGNED)];

    assert_eq!(verify(kind, &headers, &[SECRET], BODY), Err(Refused::Wrong));
}

#[test]
fn the_keys_of_a_rotation_count_and_empty_values_do_not() {
    let values: Vec<(&str, &[u8])> = vec![
        ("token", b"new\n"),
        ("token.old", b"old"),
        ("token.empty", b""),
        ("token.newline", b"\n"),
        ("token.line", b"\r\n"),
        ("token.lines", b"\n\n"),
        ("token.blank", b" \t \n"),
        ("tokens", b"another"),
        ("toke", b"another"),
    ];

    let found = candidates(values, "token");

    let expected: [&[u8]; 3] = [b"new\n", b"new", b"old"];
    assert_eq!(found, expected);
}

#[test]
fn a_trigger_that_is_not_there_lets_nobody_in() {
    let mut verifier = Verifier::dummy();
    verifier.update(BODY);
    assert_eq!(verifier.finish(), Err(Refused::Wrong));
}

proptest! {
    #[test]
    fn one_bit_of_the_body_makes_another_signature(
        mut body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<proptest::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut signer = Hmac256::new_from_slice(SECRET).unwrap();
        signer.update(&body);
        let signature = data_encoding::HEXLOWER.encode(&signer.finalize().into_bytes());
        let headers = [("x-gitea-signature", signature.as_str())];
        let kind = WebhookAuthKind::Gitea;
        prop_assert_eq!(verify(kind, &headers, &[SECRET], &body), Ok(()));

        let at = at.index(body.len());
        body[at] ^= 1 << bit;

        prop_assert_eq!(verify(kind, &headers, &[SECRET], &body), Err(Refused::Wrong));
    }

    #[test]
    fn no_header_panics(value in proptest::collection::vec(any::<u8>(), 0..100)) {
        let headers: Headers<'_> = [("x-hub-signature-256", value.as_slice())].into_iter().collect();
        let presented = Presented::read(WebhookAuthKind::Github, "", &headers);
        prop_assert_ne!(Verifier::new(presented, &[SECRET]).finish(), Ok(()));
    }
}
