//! Who asks in a case, when it is not the administrator?

use http::Request;
use kube::Client;
use serde_json::{Value, json};

use crate::ground::{Answer, Ground, ask};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Somebody of whom nobody has heard before, and who may do nothing.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) client: Client,
}

impl Person {
    pub(crate) async fn new(ground: &Ground) -> Self {
        Self::named(ground, &ground.unique("jane")).await
    }

    pub(crate) async fn named(ground: &Ground, name: &str) -> Self {
        Self::in_groups(ground, name, &[]).await
    }

    pub(crate) async fn in_groups(ground: &Ground, name: &str, groups: &[&str]) -> Self {
        let groups: Vec<String> = groups.iter().map(|it| (*it).to_owned()).collect();
        let client = ground
            .client_with(|it| {
                it.impersonate = Some(name.to_owned());
                it.impersonate_groups = (!groups.is_empty()).then_some(groups);
            })
            .await;
        Self { name: name.to_owned(), client }
    }

    /// Somebody who may do in the case's namespace what rules say.
    pub(crate) async fn with(ground: &Ground, rules: &Value) -> Self {
        let person = Self::new(ground).await;
        let subject = json!({ "kind": "User", "name": person.name });
        grant(ground, &person.name, (rules, &subject)).await;
        person.holds(ground, &rules[0]).await;
        person
    }

    /// Waits until a rule has reached the authorizer.
    pub(crate) async fn holds(&self, ground: &Ground, rule: &Value) {
        let review = json!({ "spec": { "namespace": ground.namespace() } });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let is_held = async || {
            let status = self.post(path, &review).await.json()["status"].clone();
            let mut rules = ["resourceRules", "nonResourceRules"]
                .into_iter()
                .flat_map(|it| status[it].as_array().cloned().unwrap_or_default());
            rules.any(|it| it == *rule).then_some(())
        };
        ground.eventually("the rule in force", is_held).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        ask(&self.client, Request::get(path), "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        ask(&self.client, Request::delete(path), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        ask(&self.client, request, &body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        let request = Request::put(path).header("content-type", "application/json");
        ask(&self.client, request, &body.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = Request::patch(path).header("content-type", "application/merge-patch+json");
        ask(&self.client, request, &body.to_string()).await
    }
}

/// Writes a Role of the case's namespace and binds a subject to it, both under one name.
pub(crate) async fn grant(ground: &Ground, name: &str, (rules, subject): (&Value, &Value)) {
    let home = format!("{RBAC}/namespaces/{}", ground.namespace());
    let role = json!({ "metadata": { "name": name }, "rules": rules });
    let made = ground.post(&format!("{home}/roles"), &role).await;
    assert_eq!(made.code, 201, "{}", made.text);
    bind(ground, name, ("Role", name, subject)).await;
}

/// Binds a subject to a role in the case's namespace.
pub(crate) async fn bind(ground: &Ground, name: &str, (kind, role, subject): (&str, &str, &Value)) {
    let path = format!("{RBAC}/namespaces/{}/rolebindings", ground.namespace());
    let made = ground.post(&path, &binding(name, (kind, role, subject))).await;
    assert_eq!(made.code, 201, "{}", made.text);
}

pub(crate) fn binding(name: &str, (kind, role, subject): (&str, &str, &Value)) -> Value {
    json!({
        "metadata": { "name": name }, "subjects": [subject],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role },
    })
}

/// A rule as the API writes it.
pub(crate) fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "verbs": verbs, "apiGroups": [group], "resources": resources })
}

/// Code and message of an answer that is a `Status`.
pub(crate) fn said(answer: &Answer) -> (u16, String) {
    (answer.code, answer.json()["message"].as_str().unwrap_or_default().to_owned())
}
