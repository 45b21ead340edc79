//! Keys of each kind, in each form that they are met in.

use std::{fs, process::Command};

use ger_git::{Auth, BadKey, Client, Error, HostKeys, Secret, SshKey};

use crate::sshd::{Key, Sshd, main, run};

/// Arguments of `ssh-keygen`, for each kind and form. `-a` keeps encryption quick.
const FORMS: [&[&str]; 18] = [
    &["-t", "ed25519"],
    &["-t", "ed25519", "-a", "1", "-N", "pass word"],
    &["-t", "ecdsa", "-b", "256"],
    &["-t", "ecdsa", "-b", "384"],
    &["-t", "ecdsa", "-b", "521"],
    &["-t", "ecdsa", "-a", "1", "-N", "secret"],
    &["-t", "rsa"],
    &["-t", "rsa", "-a", "1", "-N", "secret"],
    &["-t", "rsa", "-m", "PEM"],
    &["-t", "rsa", "-m", "PEM", "-N", "secret"],
    &["-t", "ecdsa", "-b", "256", "-m", "PEM"],
    &["-t", "ecdsa", "-b", "384", "-m", "PEM"],
    &["-t", "ecdsa", "-b", "521", "-m", "PEM"],
    &["-t", "rsa", "-m", "PKCS8"],
    &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"],
    &["-t", "ecdsa", "-b", "521", "-m", "PKCS8"],
    &["-t", "rsa", "-m", "PKCS8", "-N", "secret"],
    &["-t", "ecdsa", "-m", "PKCS8", "-N", "secret"],
];

fn known(sshd: &Sshd) -> HostKeys {
    HostKeys::Known(sshd.known_hosts("ed25519").into())
}

#[tokio::test]
async fn every_kind_and_form_of_key_logs_in() {
    let sshd = Sshd::start().await;
    let client = Client::new().unwrap();

    for form in FORMS {
        let key = sshd.admit(form);
        let text = String::from_utf8(key.private.expose().to_vec()).unwrap();
        let begins = text.lines().next().unwrap().to_owned();

        let outcome = client.resolve(&sshd.remote(&key), &main()).await;

        sshd.assert_answered(&outcome, &format!("{form:?} {begins}"));
        // As a browser's form or another system's editor leaves it.
        let rewritten = format!("\u{feff}\r\n  {}", text.trim_end().replace('\n', "\r\n"));
        let key = Key { private: rewritten.into(), ..key };
        let outcome = client.resolve(&sshd.remote(&key), &main()).await;
        sshd.assert_answered(&outcome, &format!("{form:?} rewritten"));
    }
}

#[tokio::test]
async fn a_key_of_openssl_logs_in() {
    let sshd = Sshd::start().await;
    let client = Client::new().unwrap();
    let file = sshd.root.path().join("openssl");

    for arguments in [
        &["genpkey", "-algorithm", "ed25519"][..],
        &["ecparam", "-name", "prime256v1", "-genkey"],
        &["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:secret"],
    ] {
        run(Command::new("openssl").args(arguments).arg("-out").arg(&file));
        let private = Secret::from(fs::read(&file).unwrap());
        let is_encrypted = arguments.contains(&"-aes256");
        let pair = russh::keys::decode_secret_key(
            std::str::from_utf8(private.expose()).unwrap(),
            is_encrypted.then_some("secret"),
        );
        sshd.authorize(&pair.unwrap().public_key().to_openssh().unwrap(), "");
        let passphrase = is_encrypted.then(|| Secret::from("secret\n"));
        let key = SshKey { private_key: private, passphrase, host_keys: known(&sshd) };

        let outcome = client.resolve(&sshd.remote_by(key), &main()).await;

        sshd.assert_answered(&outcome, &format!("{arguments:?}"));
    }
}

#[tokio::test]
async fn an_rsa_key_signs_with_the_hash_that_the_server_takes_and_never_with_sha_1() {
    for (taken, is_in) in [("rsa-sha2-256", true), ("rsa-sha2-512", true), ("ssh-rsa", false)] {
        let sshd = Sshd::start_with(&format!("PubkeyAcceptedAlgorithms {taken}")).await;
        let key = sshd.admit(&["-t", "rsa"]);

        let outcome = Client::new().unwrap().resolve(&sshd.remote(&key), &main()).await;

        if is_in {
            sshd.assert_answered(&outcome, taken);
        } else {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::SshRefused { .. }), "{taken}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_passphrase_that_is_missing_or_wrong_is_told_from_a_broken_key() {
    let sshd = Sshd::start().await;
    let client = Client::new().unwrap();

    for form in [
        &["-t", "ed25519", "-a", "1", "-N", "secret"][..],
        &["-t", "rsa", "-m", "PEM", "-N", "secret"],
        &["-t", "rsa", "-m", "PKCS8", "-N", "secret"],
    ] {
        let mut key = sshd.admit(form);
        for (passphrase, expected) in
            [(None, "missing"), (Some("Secret"), "wrong"), (Some(""), "wrong")]
        {
            key.passphrase = passphrase.map(Secret::from);

            let error = client.resolve(&sshd.remote(&key), &main()).await.unwrap_err();

            let is_told = matches!(error, Error::Passphrase { problem, .. } if problem == expected);
            assert!(is_told && error.is_auth(), "{form:?} {passphrase:?}: {error:?}");
        }
    }
    assert_eq!(client.traffic().by_host().values().map(|it| it.connections).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_passphrase_for_a_key_without_one_does_no_harm() {
    let sshd = Sshd::start().await;
    let mut key = sshd.admit(&["-t", "ed25519"]);
    key.passphrase = Some("secret".into());

    let outcome = Client::new().unwrap().resolve(&sshd.remote(&key), &main()).await;

    sshd.assert_answered(&outcome, "with a passphrase");
}

#[tokio::test]
async fn a_key_that_cannot_be_used_says_what_to_do() {
    let sshd = Sshd::start().await;
    let client = Client::new().unwrap();
    let ed25519 = sshd.admit(&["-t", "ed25519"]);
    let text = String::from_utf8(ed25519.private.expose().to_vec()).unwrap();
    let old = sshd.admit(&["-t", "ecdsa", "-m", "PEM", "-N", "secret"]);
    let half = &text[..text.len() / 2];

    for (private, expected) in [
        ("", BadKey::Form),
        ("hello", BadKey::Form),
        (half, BadKey::Form),
        (&text.replace("b3Bl", "b3B!"), BadKey::Form),
        (&ed25519.public, BadKey::Public),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", BadKey::Putty),
        (std::str::from_utf8(old.private.expose()).unwrap(), BadKey::Old),
        ("-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----", BadKey::Kind),
        (&"-".repeat(20_000), BadKey::Long),
    ] {
        let key = SshKey {
            private_key: private.into(),
            passphrase: Some("secret".into()),
            host_keys: known(&sshd),
        };

        let error = client.resolve(&sshd.remote_by(key), &main()).await.unwrap_err();

        let is_told = matches!(error, Error::Key { source, .. } if source == expected);
        assert!(is_told, "{expected:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_is_refused_as_such() {
    let sshd = Sshd::start().await;
    let client = Client::new().unwrap();

    for kind in ["ed25519", "ecdsa", "rsa"] {
        let stranger = Key::generate(sshd.root.path(), &["-t", kind]);

        let error = client.resolve(&sshd.remote(&stranger), &main()).await.unwrap_err();

        assert!(error.is_auth() && !error.is_transient(), "{error:?}");
        let Error::SshRefused { key, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*key, stranger.fingerprint());
    }
}

#[tokio::test]
async fn ssh_without_a_key_is_told_before_anybody_is_asked() {
    let sshd = Sshd::start().await;
    let client = Client::new().unwrap();
    let mut remote = sshd.remote(&sshd.admit(&["-t", "ed25519"]));

    for auth in [
        Auth::None,
        Auth::Token("Bearer x".into()),
        Auth::Basic { username: "me".into(), password: "x".into() },
    ] {
        remote.auth = auth;
        let error = client.resolve(&remote, &main()).await.unwrap_err();
        assert!(matches!(error, Error::NoKey { .. }), "{error:?}");
    }
    assert!(!sshd.log().contains("Connection from"), "{}", sshd.log());
}
