//! Who somebody is and what they may do, where no real cluster can be asked: routers, certificates,
//! tokens that Secrets hold.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview,
    core::v1::{ConfigMap, Namespace, Secret},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use kube_sandbox::{Sandbox, Scope, Verdict};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::support::{config_map, from, refusal};

/// Lets a subject read ConfigMaps.
async fn grant(sandbox: &Sandbox, subject: serde_json::Value) {
    let client = Client::new(sandbox.router(), "default");
    let role = json!({
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
    });
    let binding = json!({
        "metadata": {"name": "reader"}, "subjects": [subject],
        "roleRef": {"kind": "ClusterRole", "name": "reader"},
    });
    let params = PostParams::default();
    Api::<ClusterRole>::all(client.clone()).create(&params, &from(role)).await.unwrap();
    Api::<ClusterRoleBinding>::all(client).create(&params, &from(binding)).await.unwrap();
}

async fn connect(kubeconfig: &str) -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    let read = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn without_rbac_everybody_may_do_everything() {
    let sandbox = Sandbox::new("test");
    let jane = Client::new(sandbox.router_as("jane", &[]), "default");

    let made = Api::<ConfigMap>::default_namespaced(jane.clone())
        .create(&PostParams::default(), &config_map("a", "x"))
        .await;

    assert!(made.is_ok(), "{made:?}");
    let roles = Api::<ClusterRole>::all(jane).list(&ListParams::default()).await.unwrap();
    assert_eq!(roles.items.len(), 0);
}

#[tokio::test]
async fn a_router_may_be_somebodys() {
    let sandbox = Sandbox::new("test");
    sandbox.enforce_rbac();
    grant(&sandbox, json!({"kind": "ServiceAccount", "name": "robot", "namespace": "default"}))
        .await;
    let account = "system:serviceaccount:default:robot";
    let robot = Client::new(sandbox.client_router_as("replica-1", account, &[]), "default");
    let api = Api::<ConfigMap>::default_namespaced(robot);

    let listed = api.list(&ListParams::default()).await;
    let (code, _, message) =
        refusal(api.create(&PostParams::default(), &config_map("a", "x")).await);

    assert!(listed.is_ok(), "{listed:?}");
    assert_eq!(code, 403);
    assert!(message.contains(&format!("User {account:?} cannot create")), "{message}");
}

#[tokio::test]
async fn the_audit_says_as_whom() {
    let sandbox = Sandbox::new("test");
    let jane = Client::new(sandbox.client_router_as("laptop", "jane", &[]), "default");

    let api = Api::<ConfigMap>::default_namespaced(jane);
    api.create(&PostParams::default(), &config_map("a", "x")).await.unwrap();

    let entry = sandbox.audit().pop().unwrap();
    assert_eq!((entry.client.as_str(), entry.user.as_str()), ("laptop", "jane"));
}

#[tokio::test]
async fn a_certificate_says_who_somebody_is() {
    let sandbox = Sandbox::new("test");
    sandbox.enforce_rbac();
    grant(&sandbox, json!({"kind": "Group", "name": "readers"})).await;
    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let kubeconfig = server.kubeconfig_with_certificate("jane", &["writers", "readers"]).unwrap();
    let jane = connect(&kubeconfig).await;

    let who: SelfSubjectReview = Api::all(jane.clone())
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .unwrap();
    let listed =
        Api::<ConfigMap>::default_namespaced(jane.clone()).list(&ListParams::default()).await;
    let (code, _, _) = refusal(Api::<Namespace>::all(jane).list(&ListParams::default()).await);

    let user = who.status.unwrap().user_info.unwrap();
    assert_eq!(user.username.as_deref(), Some("jane"));
    assert_eq!(user.groups.unwrap(), ["writers", "readers", "system:authenticated"]);
    assert!(listed.is_ok(), "{listed:?}");
    assert_eq!(code, 403);
}

/// As with an API server: the connection is made, and each request is judged.
#[tokio::test]
async fn a_certificate_that_has_ended_or_whose_authority_is_gone_is_refused() {
    let sandbox = Sandbox::new("test");
    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let admin = Api::<Namespace>::all(connect(&server.kubeconfig()).await);
    let begun = admin.get("kube-system").await.unwrap().metadata.creation_timestamp.unwrap().0;
    let hour = jiff::SignedDuration::from_hours(1);
    let short = server.kubeconfig_with_certificate_until("jane", &[], begun + hour).unwrap();
    let long = server.kubeconfig_with_certificate("jane", &[]).unwrap();
    let namespaces = async |kubeconfig: &str| Api::<Namespace>::all(connect(kubeconfig).await);
    let (short, long) = (namespaces(&short).await, namespaces(&long).await);
    assert!(short.get("kube-system").await.is_ok() && long.get("kube-system").await.is_ok());

    sandbox.jump_clock(hour * 2);
    assert_eq!(refusal(short.get("kube-system").await).0, 401);
    assert!(long.get("kube-system").await.is_ok());

    sandbox.replace_authority();
    assert_eq!(refusal(long.get("kube-system").await).0, 401);
    assert!(admin.get("kube-system").await.is_ok(), "a token is none of its business");
}

/// A Secret of the account `default`.
fn token_secret(account: &str) -> Secret {
    from(json!({
        "metadata": {
            "name": "token", "annotations": {"kubernetes.io/service-account.name": account},
        },
        "type": "kubernetes.io/service-account-token",
    }))
}

#[tokio::test]
async fn a_secret_holds_a_token_of_its_account() {
    let sandbox = Sandbox::new("test");
    sandbox.enforce_rbac();
    let mut background = JoinSet::new();
    background.spawn(sandbox.run_controllers());
    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let client = connect(&server.kubeconfig()).await;
    let secrets = Api::<Secret>::default_namespaced(client);
    sleep(std::time::Duration::from_millis(200)).await;

    secrets.create(&PostParams::default(), &token_secret("default")).await.unwrap();
    sleep(std::time::Duration::from_millis(200)).await;
    let data = secrets.get("token").await.unwrap().data.unwrap();
    let token = String::from_utf8(data["token"].0.clone()).unwrap();
    let kubeconfig = server.kubeconfig().replace(server.token(), &token);
    let account = connect(&kubeconfig).await;
    let who = SelfSubjectReview::default();
    let api = Api::<SelfSubjectReview>::all(account);
    let before = api.create(&PostParams::default(), &who).await.unwrap();
    secrets.delete("token", &DeleteParams::default()).await.unwrap();
    let (code, _, _) = refusal(api.create(&PostParams::default(), &who).await);

    let name = before.status.unwrap().user_info.unwrap().username;
    assert_eq!(name.as_deref(), Some("system:serviceaccount:default:default"));
    assert_eq!(data["namespace"].0, b"default");
    assert_eq!(STANDARD.encode(&data["ca.crt"].0), STANDARD.encode(server.ca_pem()));
    assert_eq!(code, 401);
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_no_account_goes() {
    let sandbox = Sandbox::new("test");
    let mut background = JoinSet::new();
    background.spawn(sandbox.run_controllers());
    let secrets = Api::<Secret>::default_namespaced(Client::new(sandbox.router(), "default"));

    secrets.create(&PostParams::default(), &token_secret("nobody")).await.unwrap();
    sleep(std::time::Duration::from_secs(1)).await;

    assert!(secrets.get_opt("token").await.unwrap().is_none());
}

#[tokio::test]
async fn pods_need_accounts_only_where_somebody_keeps_them() {
    let (_sandbox, client) = crate::support::cluster();
    let pod = json!({
        "metadata": {"name": "a"},
        "spec": {"serviceAccountName": "nobody", "containers": [{"name": "a", "image": "b"}]},
    });

    let pods = Api::<k8s_openapi::api::core::v1::Pod>::default_namespaced(client);
    let made = pods.create(&PostParams::default(), &from(pod)).await;

    assert!(made.is_ok(), "{made:?}");
}

#[tokio::test]
async fn what_somebody_asks_for_is_kept_once_with_the_verdict() {
    let sandbox = Sandbox::new("test");
    sandbox.enforce_rbac();
    grant(&sandbox, json!({"kind": "User", "name": "jane"})).await;
    let jane = Client::new(sandbox.router_as("jane", &[]), "default");
    let (near, far) =
        (Api::<ConfigMap>::default_namespaced(jane.clone()), Api::<ConfigMap>::all(jane));

    for _ in 0..3 {
        near.get_opt("a").await.unwrap();
        far.list(&ListParams::default()).await.unwrap();
    }
    refusal(near.create(&PostParams::default(), &config_map("a", "x")).await);

    let all = sandbox.accesses();
    let hers = all.iter().filter(|it| it.user == "jane");
    let hers: Vec<_> = hers.map(|it| (it.verb.as_str(), it.scope, it.verdict)).collect();
    let wanted = [
        ("create", Scope::Namespace, Verdict::Refused),
        ("get", Scope::Namespace, Verdict::Allowed),
        ("list", Scope::Cluster, Verdict::Allowed),
    ];
    assert_eq!(hers, wanted);
    assert!(all.iter().all(|it| !it.resource.is_empty()), "{all:?}");
}

#[tokio::test]
async fn a_kubeconfig_may_be_a_service_accounts() {
    let sandbox = Sandbox::new("test");
    sandbox.enforce_rbac();
    grant(&sandbox, json!({"kind": "ServiceAccount", "namespace": "default", "name": "one"})).await;
    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();

    let user = "system:serviceaccount:default:one";
    let one = connect(&server.kubeconfig_as("one", user, &[])).await;

    let maps: Api<ConfigMap> = Api::default_namespaced(one.clone());
    maps.list(&ListParams::default()).await.unwrap();
    let (code, _, _) =
        refusal(Api::<Secret>::default_namespaced(one).list(&ListParams::default()).await);
    assert_eq!(code, 403);
}
