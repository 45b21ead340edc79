//! Which sources can be asked, and what is said of the others.

use std::time::Duration;

use super::*;

fn git_repo(spec: &Value) -> ger_api::GitRepoSpec {
    serde_json::from_value(spec.clone()).unwrap()
}

fn source(spec: &Value) -> Result<Source, WrongConfig> {
    Source::of(SourceKind::ClusterGitRepo, "app", &git_repo(spec))
}

fn auth(kind: &str) -> Value {
    json!({"type": kind, "secretRef": {"name": "cred", "namespace": "infra"}})
}

fn with_auth(uri: &str, kind: &str) -> Value {
    json!({"repoUri": uri, "authConfig": auth(kind)})
}

#[test]
fn a_plain_source_is_verified_anonymous_and_asked_for_half_a_minute() {
    let source = source(&json!({"repoUri": "https://git.test/app"})).unwrap();

    assert_eq!((source.auth, source.tls), (None, SourceTls::Verify));
    assert_eq!(source.timeout, Duration::from_secs(30));
    assert_eq!(source.cautions, []);
}

#[test]
fn only_the_keys_that_are_needed_are_asked_for() {
    let files = |uri: &str, kind: &str| {
        let auth = source(&with_auth(uri, kind)).unwrap().auth.unwrap();
        assert_eq!(auth.namespace.as_deref(), Some("infra"));
        let of = |keys: &[CredentialKey]| keys.iter().map(|it| it.file).collect::<Vec<_>>();
        (auth.kind, of(&auth.keys), of(&auth.optional_keys))
    };
    let web = "https://git.test/app";

    assert_eq!(files(web, "basic"), (AuthKind::Basic, vec!["username", "password"], vec![]));
    assert_eq!(files(web, "token"), (AuthKind::Token, vec!["token"], vec![]));
    let ssh = (AuthKind::Ssh, vec!["ssh-privatekey"], vec!["passphrase", "known_hosts"]);
    assert_eq!(files("ssh://git@git.test/app", "ssh"), ssh);
    assert_eq!(files("git@git.test:app", "ssh"), ssh);
    let app = vec!["appId", "installationId", "appPrivateKey"];
    assert_eq!(files(web, "githubApp"), (AuthKind::GithubApp, app, vec!["apiUrl"]));
}

#[test]
fn a_key_is_found_by_the_name_of_its_file() {
    let mut spec = with_auth("git@git.test:app", "ssh");
    spec["authConfig"]["keys"] = json!({"privateKey": "id", "knownHosts": "hosts"});

    let auth = source(&spec).unwrap().auth.unwrap();

    assert_eq!(auth.key("ssh-privatekey"), Some("id"));
    assert_eq!(auth.key("known_hosts"), Some("hosts"));
    assert_eq!(auth.key("passphrase"), Some("passphrase"));
    assert_eq!(auth.key("token"), None);
}

#[test]
fn certificates_of_our_own_come_from_a_secret() {
    let secret = json!({"name": "ca", "namespace": "infra"});
    let tls = json!({"caCert": {"secretRef": secret, "key": "bundle"}});
    let spec = json!({"repoUri": "https://git.test/app", "tlsConfig": tls});
    let of = |kind| Source::of(kind, "app", &git_repo(&spec)).unwrap();

    let ca = |namespace: Option<&str>| {
        let namespace = namespace.map(str::to_owned);
        let (secret, key) = ("ca".to_owned(), "bundle".to_owned());
        SourceTls::VerifyWith(CaSource { secret, namespace, key })
    };
    assert_eq!(of(SourceKind::ClusterGitRepo).tls, ca(Some("infra")));
    assert_eq!(of(SourceKind::ClusterGitRepo).cautions, []);
    assert_eq!(of(SourceKind::GitRepo).tls, ca(None));
    let field = "tlsConfig.caCert.secretRef.namespace";
    assert_eq!(of(SourceKind::GitRepo).cautions, [Caution::NamespaceIgnored { field }]);
}

#[test]
fn a_server_that_is_not_verified_is_a_caution() {
    let tls = json!({"noVerifySsl": true, "caCert": {"secretRef": {"name": "ca"}}});
    let of = |uri: &str| source(&json!({"repoUri": uri, "tlsConfig": tls})).unwrap();

    let https = of("https://git.test/app");
    assert_eq!(https.tls, SourceTls::SkipVerify);
    assert_eq!(https.cautions, [Caution::TlsNotVerified]);
    // The original accepted and ignored it.
    let http = of("http://git.test/app");
    assert_eq!((http.tls, http.cautions), (SourceTls::Verify, vec![]));
}

#[test]
fn a_git_repo_reads_no_secret_of_another_namespace() {
    let spec = with_auth("https://git.test/app", "token");

    let source = Source::of(SourceKind::GitRepo, "app", &git_repo(&spec)).unwrap();

    assert_eq!(source.auth.unwrap().namespace, None);
    let field = "authConfig.secretRef.namespace";
    assert_eq!(source.cautions, [Caution::NamespaceIgnored { field }]);
}

#[test]
fn a_timeout_has_bounds() {
    let of = |timeout: &str| source(&json!({"repoUri": "git://git.test/a", "timeout": timeout}));

    for (text, seconds) in [("1s", 1), ("1m 30s", 90), ("10m", 600)] {
        assert_eq!(of(text).unwrap().timeout, Duration::from_secs(seconds));
    }
    for text in ["0s", "999ms", "601s", "1y", "30", "", "soon"] {
        assert_eq!(of(text).unwrap_err().reason, Reason::InvalidSource, "{text}");
    }
}

#[test]
fn credentials_that_do_not_fit_say_what_to_change() {
    let mut nameless = with_auth("https://git.test/a", "token");
    nameless["authConfig"]["secretRef"]["name"] = json!("No Name");
    let mut keyless = with_auth("git@git.test:a", "ssh");
    keyless["authConfig"]["keys"] = json!({"knownHosts": ""});
    for (spec, told) in [
        (with_auth("https://git.test/a", "ssh"), "change repoUri"),
        (with_auth("http://git.test/a", "ssh"), "change repoUri"),
        (with_auth("ssh://git@git.test/a", "basic"), "must be ssh"),
        (with_auth("git@git.test:a", "token"), "must be ssh"),
        (with_auth("git@git.test:a", "githubApp"), "must be ssh"),
        (with_auth("git://git.test/a", "ssh"), "remove authConfig"),
        (with_auth("git://git.test/a", "basic"), "remove authConfig"),
        (json!({"repoUri": "git@git.test:a"}), "private key"),
        (nameless, "is not the name of a Secret"),
        (keyless, "authConfig.keys.knownHosts is empty"),
    ] {
        let wrong = source(&spec).unwrap_err();

        assert_eq!(wrong.reason, Reason::InvalidSource, "{spec}");
        assert!(wrong.message.contains(told), "{spec}: {wrong}");
    }
}

#[test]
fn what_cannot_be_asked_never_repeats_the_uri() {
    for uri in [
        "https://me:hunter2@git.test/a",
        "ssh://me:hunter2@git.test/a",
        "git://me:hunter2@git.test/a",
        "file:///hunter2",
        "ext::sh -c hunter2",
        "--upload-pack=hunter2",
        "https://-hunter2/a",
        "https:///hunter2?",
        "git@-hunter2:a",
    ] {
        let wrong = source(&json!({"repoUri": uri})).unwrap_err();

        assert_eq!(wrong.reason, Reason::InvalidSource, "{uri}: {wrong}");
        assert!(!wrong.message.contains("hunter2"), "{wrong}");
        assert!(wrong.message.starts_with("ClusterGitRepo \"app\": "), "{wrong}");
    }
}
