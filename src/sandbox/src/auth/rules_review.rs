//! What may somebody do in a namespace, all in all?

use serde_json::{Value, json};

use crate::{
    auth::{Mode, User, rules::Rule},
    cluster::Cluster,
};

/// The status of a `SelfSubjectRulesReview`.
pub(crate) fn status(cluster: &Cluster, user: &User, namespace: &str) -> Value {
    if cluster.mode() == Mode::AlwaysAllow {
        return json!({
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
            "incomplete": false,
        });
    }
    let index = cluster.lock().grants();
    let held = index.held(user, namespace);
    let (paths, resources): (Vec<&Rule>, Vec<&Rule>) =
        held.into_iter().partition(|it| !it.urls.is_empty());
    let list = |rules: Vec<&Rule>| rules.into_iter().map(Rule::to_json).collect::<Vec<Value>>();
    let missing = index.missing(user, namespace);
    let mut status = json!({
        "resourceRules": list(resources), "nonResourceRules": list(paths),
        "incomplete": !missing.is_empty(),
    });
    if !missing.is_empty() {
        status["evaluationError"] = missing.join(", ").into();
    }
    status
}
