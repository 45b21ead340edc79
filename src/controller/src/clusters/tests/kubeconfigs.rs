//! Which kubeconfigs are refused, and does what is said about them help without telling secrets?

use serde_json::{Value, json};

use crate::clusters::kubeconfig::{Refusal, Target, parse};
use crate::clusters::{Policy, Settings};

/// A word that stands for every credential: it may never be shown.
const SECRET: &str = "c2VjcmV0LXdvcmQ=";

fn plain() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "east",
        "contexts": [{ "name": "east", "context": { "cluster": "c", "user": "u" } }],
        "clusters": [{ "name": "c", "cluster": {
            "server": "https://east.example:6443",
            "certificate-authority-data": SECRET,
        }}],
        "users": [{ "name": "u", "user": { "token": SECRET } }],
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut document = plain();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[field] = value;
    document
}

fn user(field: &str, value: Value) -> Value {
    with(&format!("/users/0/user/{field}"), value)
}

fn cluster(field: &str, value: Value) -> Value {
    with(&format!("/clusters/0/cluster/{field}"), value)
}

fn judged(document: &Value) -> Result<Target, Refusal> {
    parse(document.to_string().as_bytes(), &Settings::new("ns"))
}

#[test]
fn a_plain_kubeconfig_is_taken_apart_into_what_we_know() {
    let target = judged(&plain()).unwrap();

    assert_eq!(target.server(), "https://east.example:6443/");
    assert_eq!(target.token.as_deref(), Some(SECRET));
    assert_eq!(target.authority.as_deref(), Some(SECRET));
    assert!(target.certificate.is_none() && !target.unverified);
    assert!(!format!("{target:?}").contains(SECRET));
}

#[test]
fn a_client_certificate_and_a_server_name_are_kept() {
    let mut document = cluster("tls-server-name", json!("kubernetes"));
    document["users"][0]["user"] =
        json!({ "client-certificate-data": SECRET, "client-key-data": SECRET });

    let target = judged(&document).unwrap();

    assert_eq!(target.certificate, Some((SECRET.to_owned(), SECRET.to_owned())));
    assert_eq!(target.tls_server_name.as_deref(), Some("kubernetes"));
    assert!(target.token.is_none());
}

#[test]
fn d1_what_is_dangerous_is_refused_by_the_name_of_its_field() {
    let exec = json!({ "apiVersion": "v1", "command": "touch", "args": ["/tmp/owned"] });
    let cases = [
        ("users[].user.exec", user("exec", exec.clone())),
        ("users[].user.auth-provider", user("auth-provider", json!({ "name": SECRET }))),
        ("users[].user.tokenFile", user("tokenFile", json!("/var/run/token"))),
        ("users[].user.client-certificate", user("client-certificate", json!("/etc/tls.crt"))),
        ("users[].user.client-key", user("client-key", json!("/etc/tls.key"))),
        ("users[].user.username", user("username", json!(SECRET))),
        ("users[].user.password", user("password", json!(SECRET))),
        ("users[].user.as", user("as", json!(SECRET))),
        ("users[].user.as-uid", user("as-uid", json!(SECRET))),
        ("users[].user.as-groups", user("as-groups", json!([SECRET]))),
        ("users[].user.as-user-extra", user("as-user-extra", json!({ "a": [SECRET] }))),
        ("users[].user.extensions", user("extensions", json!([{ "name": SECRET }]))),
        ("users[].user.spiffe", user("spiffe", json!(SECRET))),
        (
            "clusters[].cluster.certificate-authority",
            cluster("certificate-authority", json!("/ca")),
        ),
        ("clusters[].cluster.proxy-url", cluster("proxy-url", json!("http://proxy:1"))),
        (
            "clusters[].cluster.insecure-skip-tls-verify",
            cluster("insecure-skip-tls-verify", json!(true)),
        ),
        (
            "clusters[].cluster.extensions",
            cluster(
                "extensions",
                json!([{ "name": "client.authentication.k8s.io/exec", "extension": exec }]),
            ),
        ),
        ("clusters[].cluster.server", cluster("server", json!("http://east.example"))),
        (
            "clusters[].cluster.server",
            cluster("server", json!(format!("https://me:{SECRET}@east.example"))),
        ),
        ("clusters[].cluster.server", cluster("server", json!("file:///etc/passwd"))),
    ];

    for (field, document) in cases {
        let refusal = judged(&document).unwrap_err();

        assert!(
            matches!(&refusal, Refusal::Forbidden { field: it, .. } if it == field),
            "{refusal}"
        );
        assert!(!refusal.to_string().contains(SECRET), "{refusal}");
    }
}

#[test]
fn what_is_incomplete_is_refused_by_the_name_of_its_field() {
    let cases = [
        ("current-context", with("/current-context", json!(""))),
        ("current-context", with("/current-context", Value::Null)),
        ("contexts[] of the current context", with("/current-context", json!("west"))),
        ("contexts", with("/contexts", Value::Null)),
        ("contexts", with("/contexts", json!({}))),
        ("contexts", with("/contexts", json!([plain()["contexts"][0], plain()["contexts"][0]]))),
        ("contexts[].context", with("/contexts/0/context", json!("c"))),
        ("contexts[].context.cluster", with("/contexts/0/context/cluster", Value::Null)),
        ("clusters[] of the current context", with("/clusters/0/name", json!("d"))),
        ("users[] of the current context", with("/users/0/name", json!("v"))),
        ("users", with("/users", Value::Null)),
        ("clusters[].cluster.server", cluster("server", Value::Null)),
        ("clusters[].cluster.server", cluster("server", json!("not a url"))),
        ("clusters[].cluster.server", cluster("server", json!("https://east.example/?a=b"))),
        (
            "clusters[].cluster.certificate-authority-data",
            cluster("certificate-authority-data", json!("not base64!")),
        ),
        (
            "clusters[].cluster.insecure-skip-tls-verify",
            cluster("insecure-skip-tls-verify", json!("yes")),
        ),
        ("users[].user.token", user("token", json!(17))),
        ("users[].user.client-key-data", user("client-certificate-data", json!(SECRET))),
        ("users[].user.client-certificate-data", user("client-key-data", json!(SECRET))),
    ];

    for (field, document) in cases {
        let refusal = judged(&document).unwrap_err();

        let named = match &refusal {
            Refusal::Missing { field } | Refusal::Malformed { field, .. } => field.as_str(),
            other => panic!("{other:?} for {field}"),
        };
        assert_eq!(named, field, "{refusal}");
        assert!(!refusal.to_string().contains(SECRET), "{refusal}");
    }
}

#[test]
fn several_contexts_without_a_current_one_are_refused_and_with_one_it_counts() {
    let mut document = plain();
    let other = json!({ "name": "west", "context": { "cluster": "x", "user": "y" } });
    document["contexts"].as_array_mut().unwrap().push(other);

    assert!(judged(&document).is_ok());

    document.as_object_mut().unwrap().remove("current-context");
    assert_eq!(judged(&document), Err(Refusal::Missing { field: "current-context".to_owned() }));
}

#[test]
fn a_server_on_the_own_machine_or_link_is_refused_however_it_is_written() {
    let settings = Settings { allow_loopback: Policy::Allow, ..Settings::new("ns") };
    for host in [
        "127.0.0.1",
        "127.8.8.8",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "localhost",
        "LOCALHOST.",
        "it.localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "[fe80::1]",
    ] {
        let document = cluster("server", json!(format!("https://{host}:6443")));

        let refusal = judged(&document).unwrap_err();
        assert!(refusal.to_string().contains("loopback or link-local"), "{host}: {refusal}");

        assert!(parse(document.to_string().as_bytes(), &settings).is_ok(), "{host}");
    }
    for host in ["10.0.0.1", "[fd00::1]", "east.example", "localhost.example"] {
        assert!(judged(&cluster("server", json!(format!("https://{host}")))).is_ok(), "{host}");
    }
}

#[test]
fn an_unverified_server_is_taken_where_the_operator_allows_it() {
    let document = cluster("insecure-skip-tls-verify", json!(true));
    let settings = Settings { insecure_tls: Policy::Allow, ..Settings::new("ns") };

    let target = parse(document.to_string().as_bytes(), &settings).unwrap();

    assert!(target.unverified);
}

#[test]
fn fields_that_are_not_known_and_harmless_are_dropped() {
    let mut document = cluster("extensions", json!([{ "name": "minikube.sigs.k8s.io" }]));
    document["clusters"][0]["cluster"]["disable-compression"] = json!(true);
    document["users"][0]["user"]["exec"] = Value::Null;

    assert_eq!(judged(&document), judged(&plain()));
}

#[test]
fn what_is_no_kubeconfig_at_all_is_refused_without_quoting_it() {
    let broken = format!("a: [\n  {SECRET}: }}");
    let cases: [(&[u8], &str); 6] = [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"\xff\xfe", "not readable YAML"),
        (b"just words", "not readable YAML"),
        (b"- a\n- b", "not readable YAML"),
        (broken.as_bytes(), "not readable YAML"),
    ];

    for (bytes, said) in cases {
        let refusal = parse(bytes, &Settings::new("ns")).unwrap_err().to_string();
        assert!(refusal.contains(said) && !refusal.contains(SECRET), "{refusal}");
    }
}
