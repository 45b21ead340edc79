//! What each kind of credentials makes of a Secret, and what is said of one that is no good.

use ger_git::{CaBundle, HostKeys};

use super::ground::source;
use super::*;

fn certificate() -> String {
    rcgen::generate_simple_self_signed(["git.example.com".to_owned()]).unwrap().cert.pem()
}

fn ssh() -> Source {
    source(&json!({
        "repoUri": "git@git.example.com:app", "timeout": "7s",
        "authConfig": { "type": "ssh", "secretRef": { "name": "login" } },
    }))
}

fn app() -> Source {
    source(&json!({
        "repoUri": "https://git.example.com/app",
        "authConfig": { "type": "githubApp", "secretRef": { "name": "login" } },
    }))
}

fn with_ca() -> Source {
    source(&json!({
        "repoUri": "https://git.example.com/app",
        "tlsConfig": { "caCert": { "secretRef": { "name": "ca" } } },
    }))
}

async fn key_of(ground: &Ground) -> ger_git::SshKey {
    ground.head(&ssh()).await.unwrap();
    match ground.seen().pop().unwrap().auth {
        Auth::Ssh(key) => key,
        it => panic!("{it:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_ssh_key_comes_with_what_the_secret_has_beside_it() {
    let ground = Ground::new();
    ground.set_secret("login", &json!({ "ssh-privatekey": "KEY", "passphrase": "" })).await;
    let key = key_of(&ground).await;
    assert_eq!((key.private_key, key.passphrase), ("KEY".into(), None));
    assert_eq!(key.host_keys, HostKeys::Pinned);

    let values = json!({ "ssh-privatekey": "KEY", "passphrase": "p", "known_hosts": "" });
    ground.set_secret("login", &values).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let key = key_of(&ground).await;
    assert_eq!(key.passphrase, Some("p".into()));
    assert_eq!(key.host_keys, HostKeys::Known("".into()), "an empty file believes nobody");
}

#[tokio::test(start_paused = true)]
async fn a_source_has_its_own_time() {
    let ground = Ground::new();
    ground.set_secret("login", &json!({ "ssh-privatekey": "KEY" })).await;

    ground.head(&ssh()).await.unwrap();

    assert_eq!(ground.seen().pop().unwrap().timeout, Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn certificates_are_those_of_the_secret_and_part_of_the_question() {
    let ground = Ground::new();
    let error = ground.head(&with_ca()).await.unwrap_err();
    assert_eq!(error.reason(), "CertificatesMissing");

    ground.set_secret("ca", &json!({ "ca.crt": "none" })).await;
    let error = ground.head(&with_ca()).await.unwrap_err();
    assert_eq!(error.reason(), "CertificatesInvalid");
    assert!(error.message().contains("ca.crt") && error.message().contains("PEM"));

    let pem = certificate();
    ground.set_secret("ca", &json!({ "ca.crt": pem })).await;
    let (open, with_ca) = (open(), with_ca());
    let heads = tokio::join!(ground.head(&with_ca), ground.head(&open));
    assert!(heads.0.is_ok() && heads.1.is_ok());
    let mut seen: Vec<Tls> = ground.seen().into_iter().map(|it| it.tls).collect();
    seen.sort();
    assert_eq!(seen, [Tls::Verify, Tls::VerifyWith(CaBundle::parse(pem.as_bytes()).unwrap())]);
}

#[tokio::test(start_paused = true)]
async fn a_github_app_shows_its_token_and_a_refused_one_is_minted_anew_once() {
    let ground = Ground::new();
    let values = json!({ "appId": "1", "installationId": "2", "appPrivateKey": "KEY", "apiUrl": "https://h/api/v3" });
    ground.set_secret("login", &values).await;
    ground.lock("ghs_1");
    assert!(ground.head(&app()).await.is_ok());
    assert!(ground.head(&app()).await.is_ok());
    assert_eq!(ground.minted(), 1);

    // Revoked at the host: the Secret is the same, the token is not.
    ground.lock("ghs_2");
    let source = app();
    let heads = futures::future::join_all((0..10).map(|_| ground.head(&source))).await;
    assert!(heads.iter().all(Result::is_ok));
    assert_eq!(ground.minted(), 2);

    ground.lock("nobody's");
    let (requests, minted) = (ground.requests(), ground.minted());
    let error = ground.head(&app()).await.unwrap_err();
    assert_eq!(error.reason(), "Unauthorized");
    assert_eq!((ground.requests() - requests, ground.minted() - minted), (2, 1));
    let tokens = ground.metrics.github_app_tokens_total.clone();
    assert_eq!(tokens.with_label_values(&["git.example.com", "minted"]).get(), ground.minted());
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_none_is_named() {
    let ground = Ground::new();
    let values = json!({ "appId": "1", "installationId": "two", "appPrivateKey": "KEY-5cbd", "apiUrl": "https://h/api/v3" });
    ground.set_secret("login", &values).await;

    let error = ground.head(&app()).await.unwrap_err();

    assert_eq!((error.reason(), ground.requests()), ("GithubAppRefused", 0));
    assert!(error.message().contains("installation id"), "{}", error.message());
    assert!(!format!("{error:?}").contains("5cbd"));
}

#[tokio::test(start_paused = true)]
async fn a_job_gets_a_token_and_not_the_key() {
    let ground = Ground::new();
    let values = json!({ "appId": "1", "installationId": "2", "appPrivateKey": "KEY", "apiUrl": "https://h/api/v3" });
    ground.set_secret("login", &values).await;
    let (cluster, source) = (ClusterName::hub(), app());
    let placed =
        Placed { cluster: &cluster, client: &ground.client, namespace: "default", source: &source };

    let files = ground.handle.minted(placed, Duration::from_mins(7)).await.unwrap();

    assert_eq!(files, [("username", "x-access-token".into()), ("password", "ghs_1".into())]);
}

#[test]
fn what_a_remote_says_becomes_a_reason_and_advice() {
    use ger_git::Error as Git;
    let host = || "git.example.com".to_owned();
    let cases = [
        (
            Git::HostKeyChanged {
                host: host(),
                known: "SHA256:a".into(),
                presented: "SHA256:b".into(),
            },
            "HostKeyChanged",
            "known_hosts",
        ),
        (
            Git::HostKeyUnknown { host: host(), fingerprint: "SHA256:b".into() },
            "HostKeyUnknown",
            "known_hosts",
        ),
        (Git::Passphrase { host: host(), problem: "missing" }, "PassphraseWrong", "passphrase"),
        (Git::Large { what: "entries", most: 7 }, "RepositoryTooLarge", "watchOn.files"),
        (Git::Status { host: host(), status: 403, retry_after: None }, "Unauthorized", "may read"),
        (Git::Status { host: host(), status: 404, retry_after: None }, "RepositoryNotFound", "404"),
        (Git::Status { host: host(), status: 429, retry_after: None }, "RateLimited", "429"),
    ];
    for (source, reason, word) in cases {
        let error = Error::Remote { source: Arc::new(source) };
        assert_eq!(error.reason(), reason);
        assert!(error.message().contains(word), "{}", error.message());
    }
}
