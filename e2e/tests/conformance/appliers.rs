//! One ConfigMap, `one`, of a case's own, and the many who write it.

use serde_json::{Value, json};

use crate::ground::{Answer, Ground};

pub(crate) struct Shared {
    pub(crate) ground: Ground,
    /// Of the object itself.
    pub(crate) path: String,
}

impl Shared {
    /// Nobody has written it yet.
    pub(crate) async fn new() -> Self {
        let ground = Ground::new().await;
        let path = format!("/api/v1/namespaces/{}/configmaps/one", ground.namespace());
        Self { ground, path }
    }

    /// Somebody has created it with these data, without a word on who it is.
    pub(crate) async fn created(data: Value) -> Self {
        let shared = Self::new().await;
        let path = shared.path.trim_end_matches("/one").to_owned() + "?fieldManager=creator";
        let made = shared.ground.post(&path, &body(data)).await;
        assert_eq!(made.code, 201, "{}", made.text);
        shared
    }

    pub(crate) async fn get(&self) -> Answer {
        self.ground.get(&self.path).await
    }

    /// A manager applies a body as it is.
    pub(crate) async fn apply_body(&self, manager: &str, body: &Value) -> Answer {
        let path = format!("{}?fieldManager={manager}", self.path);
        self.ground.patch(&path, "apply", body).await
    }

    pub(crate) async fn apply(&self, manager: &str, data: Value) -> Answer {
        self.apply_body(manager, &body(data)).await
    }

    pub(crate) async fn force(&self, manager: &str, data: Value) -> Answer {
        self.apply(&format!("{manager}&force=true"), data).await
    }

    pub(crate) async fn merge(&self, manager: &str, patch: Value) -> Answer {
        let path = format!("{}?fieldManager={manager}", self.path);
        self.ground.patch(&path, "merge", &patch).await
    }

    pub(crate) async fn json_patch(&self, operations: Value) -> Answer {
        self.ground.patch(&self.path, "json", &operations).await
    }
}

pub(crate) fn body(data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "one" }, "data": data })
}

/// The owners of an object, each with its operation and fields, in their order.
pub(crate) fn owners(answer: &Answer) -> Value {
    let managed = answer.json()["metadata"]["managedFields"].clone();
    let list = managed.as_array().cloned().unwrap_or_default();
    let short = |it: &Value| {
        let mut owner = json!([it["manager"], it["operation"], it["fieldsV1"]]);
        if let Some(subresource) = it.get("subresource") {
            owner.as_array_mut().unwrap().push(subresource.clone());
        }
        owner
    };
    list.iter().map(short).collect()
}

pub(crate) fn version(answer: &Answer) -> String {
    answer.json()["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

/// The code, the reason and the message of a refusal.
pub(crate) fn told(answer: &Answer) -> (u16, String, String) {
    let status = answer.json();
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    (answer.code, text("reason"), text("message"))
}
