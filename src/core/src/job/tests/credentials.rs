//! Which Secret's keys become which files, in the cloner and nowhere else.

use super::*;
use crate::plan::CaSource;

const JOB: &str = "deploy-site-ffa74afq7run26ev";

fn keys(all: &[(&str, &'static str)]) -> Vec<CredentialKey> {
    all.iter().map(|(key, file)| CredentialKey { key: (*key).to_owned(), file }).collect()
}

fn ssh(namespace: Option<&str>) -> SourceAuth {
    SourceAuth {
        kind: AuthKind::Ssh,
        secret: "deploy-key".to_owned(),
        namespace: namespace.map(str::to_owned),
        keys: keys(&[("id", "ssh-privatekey")]),
        optional_keys: keys(&[("passphrase", "passphrase"), ("hosts", "known_hosts")]),
    }
}

fn app() -> SourceAuth {
    SourceAuth {
        kind: AuthKind::GithubApp,
        secret: "app".to_owned(),
        namespace: None,
        keys: keys(&[("appId", "appId"), ("appPrivateKey", "appPrivateKey")]),
        optional_keys: keys(&[("apiUrl", "apiUrl")]),
    }
}

fn ca(secret: &str, namespace: Option<&str>) -> SourceTls {
    SourceTls::VerifyWith(CaSource {
        secret: secret.to_owned(),
        namespace: namespace.map(str::to_owned),
        key: "bundle".to_owned(),
    })
}

/// The volume and the copy of a source with these.
fn built(auth: Option<SourceAuth>, tls: SourceTls) -> (Value, Option<SecretCopy>) {
    let mut case = Case::new();
    case.source.auth = auth;
    case.source.tls = tls;
    let built = case.build().unwrap();
    let job = serde_json::to_value(&built.job).unwrap();
    let pod = &job["spec"]["template"]["spec"];
    let mounted = |container: &str| pod[container][0]["volumeMounts"].as_array().unwrap().len();
    assert_eq!(mounted("containers"), 1, "a worker sees no credential");
    assert_eq!(mounted("initContainers"), pod["volumes"].as_array().unwrap().len());
    if let Some(mount) = pod["initContainers"][0]["volumeMounts"].get(1) {
        assert_eq!((&mount["mountPath"], &mount["readOnly"]), (&json!(CREDENTIALS), &json!(true)));
    }
    (pod["volumes"][1].clone(), built.secret_copy)
}

fn projected(sources: &Value) -> Value {
    json!({
        "name": "git-events-runner-credentials",
        "projected": {"defaultMode": 0o440, "sources": sources},
    })
}

fn of_secret(name: &str, optional: &Value, items: &[(&str, &str)]) -> Value {
    let item = |(key, path): &(&str, &str)| json!({"key": key, "path": path});
    let items: Vec<_> = items.iter().map(item).collect();
    json!({"secret": {"name": name, "optional": optional, "items": items}})
}

#[test]
fn credentials_of_another_namespace_are_copied_and_only_the_keys_needed() {
    let copy = Case::new().build().unwrap().secret_copy.unwrap();

    assert_eq!(copy.name, JOB);
    let part = CopyPart::Keys {
        from_namespace: "infra".to_owned(),
        from_name: "cred".to_owned(),
        keys: keys(&[("my-token", "token")]),
        optional_keys: Vec::new(),
    };
    assert_eq!(copy.parts, [part]);
}

#[test]
fn credentials_of_the_job_s_namespace_are_mounted_as_they_are() {
    let (volume, copy) = built(Some(token("team")), SourceTls::Verify);

    assert_eq!(copy, None);
    assert_eq!(
        volume,
        json!({"name": "git-events-runner-credentials", "secret": {
            "secretName": "cred", "optional": false, "defaultMode": 0o440,
            "items": [{"key": "my-token", "path": "token"}],
        }})
    );
}

#[test]
fn a_source_without_secrets_mounts_none() {
    for tls in [SourceTls::Verify, SourceTls::SkipVerify] {
        assert_eq!(built(None, tls), (Value::Null, None));
    }
}

#[test]
fn a_key_s_passphrase_and_known_hosts_may_be_absent() {
    let (volume, copy) = built(Some(ssh(None)), SourceTls::Verify);

    assert_eq!(copy, None);
    let sources = [
        of_secret("deploy-key", &json!(false), &[("id", "ssh-privatekey")]),
        of_secret(
            "deploy-key",
            &json!(true),
            &[("passphrase", "passphrase"), ("hosts", "known_hosts")],
        ),
    ];
    assert_eq!(volume, projected(&json!(sources)));
}

#[test]
fn certificates_are_mounted_beside_the_credentials() {
    let (beside, copy) = built(Some(token("team")), ca("ca", Some("team")));
    let (same, _) = built(Some(token("team")), ca("cred", None));
    let (alone, _) = built(None, ca("ca", None));

    assert_eq!(copy, None);
    let sources = [
        of_secret("cred", &json!(false), &[("my-token", "token")]),
        of_secret("ca", &json!(false), &[("bundle", "ca.crt")]),
    ];
    assert_eq!(beside, projected(&json!(sources)));
    let files = |volume: &Value| volume["secret"]["items"].clone();
    let (token, ca) =
        (json!({"key": "my-token", "path": "token"}), json!({"key": "bundle", "path": "ca.crt"}));
    assert_eq!(files(&same), json!([token, ca]));
    assert_eq!(files(&alone), json!([ca]));
}

/// One copy holds all, so that a Job owns one Secret at most.
#[test]
fn what_is_partly_in_another_namespace_is_copied_whole() {
    let (volume, copy) = built(Some(ssh(None)), ca("ca", Some("infra")));

    let parts = [
        CopyPart::Keys {
            from_namespace: "team".to_owned(),
            from_name: "deploy-key".to_owned(),
            keys: ssh(None).keys,
            optional_keys: ssh(None).optional_keys,
        },
        CopyPart::Keys {
            from_namespace: "infra".to_owned(),
            from_name: "ca".to_owned(),
            keys: keys(&[("bundle", "ca.crt")]),
            optional_keys: Vec::new(),
        },
    ];
    assert_eq!(copy, Some(SecretCopy { name: JOB.to_owned(), parts: parts.into() }));
    let needed = [("ssh-privatekey", "ssh-privatekey"), ("ca.crt", "ca.crt")];
    let optional = [("passphrase", "passphrase"), ("known_hosts", "known_hosts")];
    let sources = [of_secret(JOB, &json!(false), &needed), of_secret(JOB, &json!(true), &optional)];
    assert_eq!(volume, projected(&json!(sources)));
}

/// The cloner gets a token that lives for an hour, never the App's key.
#[test]
fn a_github_app_s_key_never_reaches_the_job() {
    let (volume, copy) = built(Some(app()), SourceTls::Verify);

    let copy = copy.unwrap();
    assert_eq!((copy.name.as_str(), copy.parts.as_slice()), (JOB, [CopyPart::Minted].as_slice()));
    let items = json!([
        {"key": "username", "path": "username"}, {"key": "password", "path": "password"},
    ]);
    assert_eq!(volume["secret"]["items"], items);
    assert_eq!(volume["secret"]["secretName"], JOB);
    assert!(!volume.to_string().contains("appPrivateKey"));
}

proptest! {
    /// Whatever is asked for, each file is there once, and a copy is mounted alone.
    #[test]
    fn no_two_keys_become_one_file(auth in 0_usize..4, tls in 0_usize..3, elsewhere in any::<bool>()) {
        let namespace = elsewhere.then_some("infra");
        let auth = [None, Some(token("team")), Some(ssh(namespace)), Some(app())][auth].clone();
        let tls = [SourceTls::Verify, ca("ca", namespace), ca("cred", None)][tls].clone();

        let (volume, copy) = built(auth, tls);

        let of_projected = volume["projected"]["sources"].as_array().into_iter().flatten();
        let all: Vec<&Value> =
            of_projected.map(|it| &it["secret"]).chain(volume.get("secret")).collect();
        let items = all.iter().flat_map(|it| it["items"].as_array().unwrap());
        let mut paths: Vec<_> = items.map(|it| it["path"].as_str().unwrap()).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        prop_assert_eq!(paths.len(), count);
        let from_copy = |it: &&Value| it["name"] == JOB || it["secretName"] == JOB;
        prop_assert!(copy.is_none() || all.iter().all(from_copy));
    }
}
