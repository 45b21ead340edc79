//! Do a kubeconfig's bytes lead to a cluster over TCP and TLS, and only where they may?

use ger_core::names::ClusterName;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube_sandbox::{Sandbox, Server};

use crate::clusters::{
    Clients, Connect as _, Error, Policy, Settings, TlsConnect, parse_kubeconfig, trusted_clients,
};

fn open() -> Settings {
    Settings { allow_loopback: Policy::Allow, ..Settings::new("ger") }
}

async fn served() -> Server {
    Sandbox::new("east").serve("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

async fn connect(kubeconfig: &str, settings: &Settings) -> Result<Clients, Error> {
    let target = parse_kubeconfig(kubeconfig.as_bytes(), &open()).unwrap();
    let name = ClusterName::parse_spoke("east").unwrap();
    TlsConnect::new(settings).connect(&name, &target).await
}

#[tokio::test]
async fn a_kubeconfig_that_is_rebuilt_from_what_we_know_opens_the_door() {
    let server = served().await;

    let clients = connect(&server.kubeconfig(), &open()).await.unwrap();

    for client in [clients.requests, clients.watches] {
        let namespaces = Api::<Namespace>::all(client);
        assert!(namespaces.get("kube-system").await.is_ok());
    }
}

#[tokio::test]
async fn a_wrong_token_and_an_unknown_authority_do_not() {
    let (server, other) = (served().await, served().await);
    let wrong_token = server.kubeconfig().replace(server.token(), "wrong");
    let wrong_authority = other.kubeconfig().replace(&other.url(), &server.url());

    for kubeconfig in [wrong_token, wrong_authority] {
        let clients = connect(&kubeconfig, &open()).await.unwrap();
        let namespaces = Api::<Namespace>::all(clients.requests);
        assert!(namespaces.get("kube-system").await.is_err());
    }
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_like_its_address() {
    let server = served().await;
    let kubeconfig = server.kubeconfig().replace("127.0.0.1", "localhost");

    let refused = connect(&kubeconfig, &Settings::new("ger")).await;

    assert!(matches!(refused, Err(Error::Local)), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_certificate_is_told_without_quoting_it() {
    let server = served().await;
    let kubeconfig = server.kubeconfig();
    let (head, tail) = kubeconfig.split_once("certificate-authority-data: ").unwrap();
    let (_, tail) = tail.split_once('\n').unwrap();
    let kubeconfig = format!("{head}certificate-authority-data: c2VjcmV0\n{tail}");

    let text = match connect(&kubeconfig, &open()).await {
        Err(error) => error.text(),
        Ok(clients) => {
            let namespaces = Api::<Namespace>::all(clients.requests);
            namespaces.get("kube-system").await.unwrap_err().to_string()
        }
    };

    assert!(!text.contains("secret") && !text.contains("c2VjcmV0"), "{text}");
}

#[tokio::test]
async fn the_operators_own_kubeconfig_is_used_as_it_is() {
    let server = served().await;
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();

    let clients = trusted_clients(kubeconfig, &Settings::new("ger")).await.unwrap();

    assert!(Api::<Namespace>::all(clients.requests).get("kube-system").await.is_ok());
}
