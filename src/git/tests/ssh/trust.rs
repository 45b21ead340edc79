//! Which servers are believed. OpenSSH's server, with its real keys.

use std::{fs, process::Command};

use ger_git::{Client, Error, HostKeys};

use crate::sshd::{HOST_KEYS, Key, Sshd, main, run};

async fn ask(sshd: &Sshd, key: &Key, host_keys: HostKeys) -> Result<(), Error> {
    let client = Client::new().unwrap();
    client.resolve(&sshd.remote_by(key.with(host_keys)), &main()).await.map(drop)
}

#[tokio::test]
async fn a_server_with_several_keys_is_believed_by_any_one_of_them() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);

    for kind in HOST_KEYS {
        let outcome = ask(&sshd, &key, HostKeys::Known(sshd.known_hosts(kind).into())).await;

        assert!(outcome.is_ok(), "{kind}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_hashed_known_hosts_is_understood() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let file = sshd.root.path().join("known_hosts");
    fs::write(&file, sshd.known_hosts("ed25519")).unwrap();
    run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file));
    let hashed = fs::read(&file).unwrap();
    assert!(hashed.starts_with(b"|1|"));

    let outcome = ask(&sshd, &key, HostKeys::Known(hashed.into())).await;

    assert!(outcome.is_ok(), "{outcome:?}");
}

#[tokio::test]
async fn b6_a_host_that_nobody_vouches_for_is_told_its_fingerprint_and_nothing_else() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let other = sshd.known_hosts("ed25519").replace("127.0.0.1", "127.0.0.2");

    for host_keys in [
        HostKeys::Pinned,
        HostKeys::Known("".into()),
        HostKeys::Known("# nobody\n\n".into()),
        HostKeys::Known(other.into()),
    ] {
        let error = ask(&sshd, &key, host_keys).await.unwrap_err();

        let Error::HostKeyUnknown { fingerprint, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*fingerprint, sshd.fingerprint("ed25519"));
        assert!(!error.is_auth() && !error.is_transient());
    }
    // The key never signed anything for this server.
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[tokio::test]
async fn b6_a_changed_key_names_both_fingerprints() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let other = Key::generate(sshd.root.path(), &["-t", "ed25519"]);
    let known = format!("[127.0.0.1]:{} {}", sshd.port, other.public);

    let error = ask(&sshd, &key, HostKeys::Known(known.into())).await.unwrap_err();

    let text = error.to_string();
    assert!(matches!(error, Error::HostKeyChanged { .. }), "{error:?}");
    assert!(text.contains(&other.fingerprint()), "{text}");
    assert!(text.contains(&sshd.fingerprint("ed25519")), "{text}");
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[tokio::test]
async fn b6_a_revoked_key_is_refused_although_it_is_known() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let line = sshd.known_hosts("ed25519");
    let known = format!("{line}@revoked {line}");

    let error = ask(&sshd, &key, HostKeys::Known(known.into())).await.unwrap_err();

    assert!(matches!(error, Error::HostKeyRevoked { .. }), "{error:?}");
}

#[tokio::test]
async fn b6_a_certificate_authority_makes_no_host_trusted() {
    let sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let known = format!("@cert-authority {}", sshd.known_hosts("ed25519"));

    let error = ask(&sshd, &key, HostKeys::Known(known.into())).await.unwrap_err();

    assert!(matches!(error, Error::HostKeyAuthority { .. }), "{error:?}");
}

#[tokio::test]
async fn b6_the_first_key_is_remembered_where_first_use_is_asked_for() {
    let mut sshd = Sshd::start().await;
    let key = sshd.admit(&["-t", "ed25519"]);
    let client = Client::new().unwrap();
    let remote = sshd.remote_by(key.with(HostKeys::FirstUse));
    let first = sshd.fingerprint("ed25519");

    sshd.assert_answered(&client.resolve(&remote, &main()).await, "the first time");
    sshd.end().await;
    for end in ["", ".pub"] {
        fs::remove_file(sshd.root.path().join(format!("host_ed25519{end}"))).unwrap();
    }
    let file = sshd.root.path().join("host_ed25519");
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file));
    sshd.begin().await;
    let error = client.resolve(&remote, &main()).await.unwrap_err();

    let Error::HostKeyChanged { known, presented, .. } = &error else { panic!("{error:?}") };
    assert_eq!((known, presented), (&first, &sshd.fingerprint("ed25519")));
}
