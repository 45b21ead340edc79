//! How does Argo CD write down a cluster? A server, and a text in JSON about who we are there.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::Settings;
use super::kubeconfig::{self, Refusal, Target};

/// What its text may not ask for, each with the reason that its author needs.
const FORBIDDEN: [(&str, &str); 6] = [
    ("/execProviderConfig", "commands are never run; use bearerToken or a client certificate"),
    ("/awsAuthConfig", "commands are never run; use bearerToken or a client certificate"),
    ("/username", "basic authentication is not supported by Kubernetes any more"),
    ("/password", "basic authentication is not supported by Kubernetes any more"),
    ("/proxyUrl", "proxies are not supported"),
    ("/tlsClientConfig/certFile", "a path would read a file of the controller"),
];

/// Takes from Argo CD's keys what we know how to use, by the rules that hold for kubeconfigs.
pub(super) fn parse(
    data: &BTreeMap<String, ByteString>,
    settings: &Settings,
) -> Result<Target, Refusal> {
    let text = |key: &str| -> Result<&str, Refusal> {
        let found = data.get(key).ok_or_else(|| Refusal::ArgoMissing { key: key.to_owned() })?;
        std::str::from_utf8(&found.0).map_err(|_| Refusal::ArgoUnreadable { key: key.to_owned() })
    };
    let server = text("server")?.trim();
    let config: Value = serde_json::from_str(text("config")?)
        .map_err(|_| Refusal::ArgoUnreadable { key: "config".to_owned() })?;
    for (pointer, why) in FORBIDDEN {
        if config.pointer(pointer).is_some_and(is_said) {
            let field = format!("config{}", pointer.replace('/', "."));
            return Err(Refusal::ArgoForbidden { field, why });
        }
    }
    let tls = &config["tlsClientConfig"];
    let document = json!({
        "current-context": "it",
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "clusters": [{ "name": "it", "cluster": {
            "server": server,
            "certificate-authority-data": tls["caData"],
            "tls-server-name": tls["serverName"],
            "insecure-skip-tls-verify": tls["insecure"],
        }}],
        "users": [{ "name": "it", "user": {
            "token": config["bearerToken"],
            "client-certificate-data": tls["certData"],
            "client-key-data": tls["keyData"],
        }}],
    });
    kubeconfig::judge(&document, settings)
}

/// Argo CD writes what is not set as an empty text.
fn is_said(value: &Value) -> bool {
    !value.is_null() && value != ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(server: &str, config: &Value) -> Result<Target, String> {
        let bytes = |it: &str| ByteString(it.as_bytes().to_vec());
        let data = [
            ("name".to_owned(), bytes("edge")),
            ("server".to_owned(), bytes(server)),
            ("config".to_owned(), bytes(&config.to_string())),
        ];
        parse(&data.into(), &Settings::new("ger")).map_err(|it| it.to_string())
    }

    #[test]
    fn a_bearer_token_and_an_authority_are_taken() {
        let config = json!({ "bearerToken": "t", "tlsClientConfig": { "insecure": false, "caData": "Y2E=" } });

        let target = parsed("https://edge.example.com", &config).unwrap();

        assert_eq!(target.server(), "https://edge.example.com/");
        assert_eq!(
            (target.token.as_deref(), target.authority.as_deref()),
            (Some("t"), Some("Y2E="))
        );
    }

    /// D1, in another dress.
    #[test]
    fn d1_what_runs_a_program_or_is_not_verified_is_refused_here_too() {
        let server = "https://edge.example.com";
        for (config, said) in [
            (json!({ "execProviderConfig": { "command": "sh" } }), "config.execProviderConfig"),
            (json!({ "awsAuthConfig": { "clusterName": "a" } }), "config.awsAuthConfig"),
            (json!({ "username": "admin", "password": "p" }), "config.username"),
            (json!({ "proxyUrl": "http://10.0.0.1" }), "config.proxyUrl"),
            (json!({ "tlsClientConfig": { "insecure": true } }), "insecure-skip-tls-verify"),
        ] {
            let refused = parsed(server, &config).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
        assert!(parsed("https://127.0.0.1:6443", &json!({})).unwrap_err().contains("loopback"));
        assert!(parsed("http://edge.example.com", &json!({})).unwrap_err().contains("https"));
    }

    #[test]
    fn an_empty_name_of_a_user_is_none() {
        let config = json!({ "username": "", "bearerToken": "t" });
        assert!(parsed("https://edge.example.com", &config).is_ok());
    }
}
