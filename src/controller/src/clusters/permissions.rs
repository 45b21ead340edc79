//! What does the RBAC of a cluster not permit? Asked once in a while, and learned from what it refuses.
//!
//! What is granted in single namespaces only (Jobs, Secrets) is not asked for: the API's own refusal names
//! verb, resource and namespace, and is taken from the wire.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

use super::asked::Asked;
use super::cluster::Cluster;
use super::error::Fault;
use super::state::{Condition, PERMISSIONS, Reason, Trouble};
use super::streak::Streak;
use super::{Settings, Shared};

const OURS: &str = "git-events-runner.rs";

/// What is needed in the whole cluster: verbs, group, resource.
const NEEDED: [(&[&str], &str, &str); 9] = [
    (&["get", "list", "watch", "patch"], OURS, "scheduletriggers"),
    (&["get", "list", "watch"], OURS, "webhooktriggers"),
    (&["update"], OURS, "scheduletriggers/status"),
    (&["update"], OURS, "webhooktriggers/status"),
    (&["list", "watch"], OURS, "gitrepos"),
    (&["list", "watch"], OURS, "clustergitrepos"),
    (&["list", "watch"], OURS, "actions"),
    (&["list", "watch"], OURS, "clusteractions"),
    (&["list", "watch"], "batch", "jobs"),
];

/// A namespace in which nothing is granted, for it is not there: what holds in it holds in all.
const NOWHERE: &str = "git-events-runner-nowhere";
/// From one question to the next, where nothing is missing.
const AGAIN: Duration = Duration::from_mins(10);
/// And where something is: whoever mends it wants to see it.
const SOON: Duration = Duration::from_secs(30);
/// Refusals come in swarms.
const SETTLES: Duration = Duration::from_secs(1);
/// How many are named.
const NAMED: usize = 12;

/// Keeps the state true to what RBAC permits, until the session ends.
pub(super) async fn watch(cluster: &Cluster, settings: &Settings, shared: &Shared) {
    let mut streak = Streak::new(PERMISSIONS);
    loop {
        let wait = match look(cluster, settings).await {
            Ok(lacks) if lacks.is_empty() => {
                streak.is_over();
                cluster.report(PERMISSIONS, Condition::Working, shared).await;
                AGAIN
            }
            Ok(lacks) => {
                streak.was_answered();
                cluster.report(PERMISSIONS, lacking(&lacks, streak.since()), shared).await;
                SOON
            }
            Err(fault) => streak.failed(cluster, fault, (settings, shared)).await,
        };
        tokio::select! {
            biased;
            () = sleep(wait) => {}
            () = cluster.wire().refusals_changed() => sleep(SETTLES).await,
        }
    }
}

fn lacking(lacks: &BTreeSet<Asked>, since: Instant) -> Condition {
    let mut named: Vec<String> = lacks.iter().take(NAMED).map(ToString::to_string).collect();
    if lacks.len() > NAMED {
        named.push(format!("and {} more", lacks.len() - NAMED));
    }
    let text = format!("RBAC does not permit: {}", named.join(", "));
    let trouble = Trouble { reason: Reason::Forbidden, text };
    Condition::Failing { failures: 1, since, trouble }
}

async fn look(cluster: &Cluster, settings: &Settings) -> Result<BTreeSet<Asked>, Fault> {
    let limit = settings.request_timeout;
    let what = "ask what is permitted";
    let mut lacks: BTreeSet<Asked> = cluster.wire().refused().into_iter().collect();
    match timeout(limit, review(cluster.client())).await {
        Err(_) => return Err(Fault::timed_out(what, limit)),
        Ok(Ok(missing)) => lacks.extend(missing),
        // Who may not even ask learns it from what is refused.
        Ok(Err(kube::Error::Api(answer))) if matches!(answer.code, 403..=405) => {}
        Ok(Err(error)) => return Err(Fault::from_kube(what, &error)),
    }
    Ok(lacks)
}

/// What is needed everywhere and not permitted: one question for all, and one more for each doubt.
async fn review(client: &Client) -> kube::Result<Vec<Asked>> {
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let question = SelfSubjectRulesReview {
        metadata: ObjectMeta::default(),
        spec: SelfSubjectRulesReviewSpec { namespace: Some(NOWHERE.to_owned()) },
        status: None,
    };
    let answer = reviews.create(&PostParams::default(), &question).await?;
    let rules = answer.status.map(|it| it.resource_rules).unwrap_or_default();
    let mut missing = Vec::new();
    for asked in needed().filter(|it| !rules.iter().any(|rule| permits(rule, it))) {
        if !is_permitted(client, &asked).await? {
            missing.push(asked);
        }
    }
    Ok(missing)
}

fn needed() -> impl Iterator<Item = Asked> {
    NEEDED.into_iter().flat_map(|(verbs, group, resource)| {
        verbs.iter().map(move |verb| Asked {
            verb,
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: String::new(),
        })
    })
}

fn permits(rule: &ResourceRule, asked: &Asked) -> bool {
    let has = |list: &[String], it: &str| list.iter().any(|entry| entry == "*" || entry == it);
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    let resources = rule.resources.as_deref().unwrap_or_default();
    let is_for_all = rule.resource_names.as_ref().is_none_or(Vec::is_empty);
    is_for_all
        && has(&rule.verbs, asked.verb)
        && has(groups, &asked.group)
        && has(resources, &asked.resource)
}

async fn is_permitted(client: &Client, asked: &Asked) -> kube::Result<bool> {
    let (resource, subresource) = match asked.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (asked.resource.as_str(), None),
    };
    let attributes = ResourceAttributes {
        verb: Some(asked.verb.to_owned()),
        group: Some(asked.group.clone()),
        resource: Some(resource.to_owned()),
        subresource,
        ..ResourceAttributes::default()
    };
    let question = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &question).await?;
    Ok(answer.status.is_some_and(|it| it.allowed))
}
