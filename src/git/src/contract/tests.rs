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
        tls: Tls::SkipVerify,
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
        tls: Tls::Verify,
        timeout: DEFAULT_TIMEOUT,
        ..spec()
    };
    let ssh = CloneSpec { uri: RepoUri::parse("git@h:team/app.git").unwrap(), ..least.clone() };

    for spec in [full, least, ssh] {
        assert_eq!(understood(&to_env(&spec).into_iter().collect()).unwrap(), spec);
    }
}

#[test]
fn the_address_alone_is_enough() {
    let env = BTreeMap::from([(URI.to_owned(), "https://h/a".to_owned())]);

    let spec = understood(&env).unwrap();

    assert_eq!((spec.auth, spec.tls, spec.timeout), (AuthKind::None, Tls::Verify, DEFAULT_TIMEOUT));
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
        (AUTH, "ssh"),
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
