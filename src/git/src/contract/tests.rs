//! What is told is what is understood, and nonsense is refused by name.

use std::collections::BTreeMap;

use super::*;

fn spec() -> CloneSpec {
    CloneSpec {
        uri: RepoUri::parse("https://git.example.org/team/app.git").unwrap(),
        reference: Some(Reference::branch("tag/odd").unwrap()),
        commit: Some(Commit::parse(&"a".repeat(40)).unwrap()),
        auth: AuthKind::Basic,
        credentials: Some("/etc/ger".into()),
        tls: CloneTls::SkipVerify,
        timeout: Duration::from_secs(45),
    }
}

fn understood(env: &BTreeMap<String, String>) -> Result<CloneSpec, ContractError> {
    from_env(|name| env.get(name).cloned())
}

#[test]
fn what_is_told_is_what_is_understood() {
    let full = spec();
    let least = CloneSpec {
        reference: None,
        commit: None,
        auth: AuthKind::None,
        credentials: None,
        tls: CloneTls::Verify,
        timeout: DEFAULT_TIMEOUT,
        ..spec()
    };
    let scp_like = RepoUri::parse("git@h:team/app.git").unwrap();
    let ssh = CloneSpec { uri: scp_like, auth: AuthKind::Ssh, ..full.clone() };
    let own_ca =
        CloneSpec { tls: CloneTls::VerifyWith, credentials: Some("/c".into()), ..least.clone() };

    for spec in [full, least, ssh, own_ca] {
        assert_eq!(understood(&to_env(&spec).into_iter().collect()).unwrap(), spec);
    }
}

#[test]
fn the_address_alone_is_enough() {
    let env = BTreeMap::from([(URI.to_owned(), "https://h/a".to_owned())]);

    let spec = understood(&env).unwrap();

    assert_eq!(
        (spec.auth, spec.tls, spec.timeout),
        (AuthKind::None, CloneTls::Verify, DEFAULT_TIMEOUT)
    );
}

#[test]
fn nonsense_is_refused_by_the_name_of_its_variable() {
    for (variable, value) in [
        (URI, ""),
        (URI, "file:///etc"),
        (URI, "https://u:hunter2@h/a"),
        (REFERENCE, "main"),
        (REFERENCE, "branch/-x"),
        (COMMIT, "HEAD"),
        (AUTH, "SSH"),
        (CREDENTIALS, ""),
        (TLS, "false"),
        (TIMEOUT, "0"),
        (TIMEOUT, "-1"),
    ] {
        let mut env = to_env(&spec()).into_iter().collect::<BTreeMap<_, _>>();
        env.insert(variable.to_owned(), value.to_owned());

        let refused = understood(&env).unwrap_err();

        assert!(refused.to_string().contains(variable), "{variable}={value}: {refused}");
        assert!(!format!("{refused:?}").contains("hunter2"));
    }
}

#[test]
fn credentials_come_from_their_files_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(USERNAME_FILE), "user").unwrap();
    let spec = CloneSpec { credentials: Some(directory.path().to_owned()), ..spec() };

    let missing = spec.remote().unwrap_err();
    assert!(matches!(missing, ContractError::Credential { file: PASSWORD_FILE, .. }), "{missing}");

    fs::write(directory.path().join(PASSWORD_FILE), "hunter2").unwrap();
    let remote = spec.remote().unwrap();
    assert_eq!(remote.auth, Auth::Basic { username: "user".into(), password: "hunter2".into() });
}

#[test]
fn a_key_comes_with_what_is_there_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &str| fs::write(directory.path().join(name), value).unwrap();
    let credentials = Some(directory.path().to_owned());
    let spec = CloneSpec { auth: AuthKind::Ssh, credentials, ..spec() };

    let missing = spec.remote().unwrap_err();
    assert!(missing.to_string().contains(PRIVATE_KEY_FILE), "{missing}");

    write(PRIVATE_KEY_FILE, "key");
    let key = SshKey { private_key: "key".into(), passphrase: None, host_keys: HostKeys::Pinned };
    assert_eq!(spec.remote().unwrap().auth, Auth::Ssh(key.clone()));

    write(PASSPHRASE_FILE, "hunter2");
    write(KNOWN_HOSTS_FILE, "h ssh-ed25519 AAAA");
    let host_keys = HostKeys::Known("h ssh-ed25519 AAAA".into());
    let key = SshKey { passphrase: Some("hunter2".into()), host_keys, ..key };
    assert_eq!(spec.remote().unwrap().auth, Auth::Ssh(key));
}

#[test]
fn what_fits_into_a_secret_is_not_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let credentials = Some(directory.path().to_owned());
    let spec = CloneSpec { auth: AuthKind::None, tls: CloneTls::VerifyWith, credentials, ..spec() };
    let pem = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap().cert.pem();
    let write = |value: &str| fs::write(directory.path().join(CA_FILE), value).unwrap();

    // As many as a distribution's own bundle has.
    write(&pem.repeat(150_000 / pem.len()));
    let bundle = spec.remote();
    write(&pem.repeat((2 << 20) / pem.len()));
    let refused = spec.remote().unwrap_err();

    assert!(bundle.is_ok(), "{bundle:?}");
    assert!(matches!(refused, ContractError::Credential { file: CA_FILE, .. }), "{refused}");
}

#[test]
fn certificates_are_needed_where_they_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let credentials = Some(directory.path().to_owned());
    let spec = CloneSpec { auth: AuthKind::None, tls: CloneTls::VerifyWith, credentials, ..spec() };
    let write = |value: &str| fs::write(directory.path().join(CA_FILE), value).unwrap();

    let missing = spec.remote().unwrap_err();
    assert!(matches!(missing, ContractError::Credential { file: CA_FILE, .. }), "{missing}");

    write("no certificate");
    let refused = spec.remote().unwrap_err();
    assert!(matches!(refused, ContractError::Certificates { .. }), "{refused}");

    let pem = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap().cert.pem();
    write(&pem);
    let bundle = CaBundle::parse(pem.as_bytes()).unwrap();
    assert_eq!(spec.remote().unwrap().tls, Tls::VerifyWith(bundle));
}

#[test]
fn what_needs_files_needs_their_directory() {
    for (variable, value) in [(AUTH, "basic"), (AUTH, "ssh"), (TLS, "verify-with")] {
        let env = BTreeMap::from([
            (URI.to_owned(), "https://h/a".to_owned()),
            (variable.to_owned(), value.to_owned()),
        ]);

        let refused = understood(&env).unwrap_err();

        assert!(matches!(refused, ContractError::Missing { variable: CREDENTIALS }), "{value}");
    }
}
