//! As whom do replicas act in a cluster, with which rights, and which of them did they use?

use std::cell::RefCell;
use std::collections::BTreeSet;

use git_events_runner::rights::{self, Account, Place, Reach};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use kube_sandbox::{Access, Sandbox, Verdict};
use serde_json::{Value, json};

use crate::fleet::HOME;

thread_local! {
    /// A story in virtual time is told by one thread, from its fleet's start to its end.
    static USED: RefCell<BTreeSet<(Place, Access)>> = const { RefCell::new(BTreeSet::new()) };
}

/// The controller's account in a cluster: by another name in spokes, so that nobody takes one for the other.
pub(crate) fn account(cluster: &str, reach: &Reach) -> Account {
    let place = place(cluster);
    let name = match place {
        Place::Hub => "git-events-runner",
        Place::Spoke => "git-events-runner-spoke",
    };
    Account {
        place,
        namespace: HOME.to_owned(),
        name: name.to_owned(),
        jobs: reach.clone(),
        secrets: reach.clone(),
    }
}

fn place(cluster: &str) -> Place {
    if cluster == "hub" { Place::Hub } else { Place::Spoke }
}

/// As whom replicas act in a cluster.
pub(crate) fn user(cluster: &str) -> String {
    account(cluster, &Reach::All).user()
}

/// Grants the controller what the charts grant.
pub(crate) async fn grant(admin: &Client, cluster: &str, reach: &Reach) {
    let granted = rights::grant(admin, "story", &account(cluster, reach)).await;
    granted.unwrap_or_else(|error| panic!("{cluster} refuses the controller's rights: {error}"));
}

/// Grants a controller that was limited to namespaces the same in all.
pub async fn widen(admin: &Client, cluster: &str) {
    grant(admin, cluster, &Reach::All).await;
}

/// The controller's kubeconfig: an administrator's, with a token of its own.
pub(crate) async fn kubeconfig(admin: &Client, cluster: &str, admins: &str) -> String {
    let account = account(cluster, &Reach::All);
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), &account.namespace);
    let asked: TokenRequest = serde_json::from_value(json!({ "spec": { "audiences": [] } }))
        .expect("it is a request for a token");
    let given = accounts.create_token_request(&account.name, &PostParams::default(), &asked).await;
    let token = given.ok().and_then(|it| it.status).expect("the API gives tokens").token;
    let mut kubeconfig: Value =
        serde_saphyr::from_str(admins).expect("an administrator's kubeconfig is YAML");
    kubeconfig["users"][0]["user"] = json!({ "token": token });
    kubeconfig.to_string()
}

/// What the controller asked for in a cluster, and was given or not.
pub(crate) fn asked(cluster: &str, sandbox: &Sandbox) -> impl Iterator<Item = Access> {
    let user = user(cluster);
    sandbox.accesses().into_iter().filter(move |it| it.user == user)
}

/// Remembers what was used, for [`used_in`]; gives what was refused.
pub(crate) fn note(cluster: &str, sandbox: &Sandbox) -> Vec<Access> {
    let (allowed, refused) =
        asked(cluster, sandbox).partition::<Vec<_>, _>(|it| it.verdict == Verdict::Allowed);
    let place = place(cluster);
    USED.with_borrow_mut(|it| it.extend(allowed.into_iter().map(|access| (place, access))));
    refused
}

/// What the controller used in all clusters of the stories that `tell` tells.
pub fn used_in(tell: impl FnOnce()) -> BTreeSet<(Place, Access)> {
    USED.take();
    tell();
    USED.take()
}
