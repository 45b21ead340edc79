//! A kind that a case defines for itself, and what the server says of its objects.

use http::Request;
use serde_json::{Value, json};

use crate::ground::{Answer, Ground};

pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A kind that is served: `Widget`, in a group of its own.
pub(crate) struct Kind<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) group: String,
    /// Where its definition is.
    pub(crate) definition: String,
    /// Where its objects are, in its first version.
    pub(crate) objects: String,
}

impl<'a> Kind<'a> {
    /// A kind whose `spec` has these properties.
    pub(crate) async fn with(ground: &'a Ground, properties: Value) -> Self {
        let spec = json!({ "type": "object", "properties": properties });
        Self::of(ground, json!({ "type": "object", "properties": { "spec": spec } })).await
    }

    /// A kind with this schema.
    pub(crate) async fn of(ground: &'a Ground, schema: Value) -> Self {
        Self::defined(ground, definition(ground, schema)).await
    }

    /// The kind of a definition, once it is served.
    pub(crate) async fn defined(ground: &'a Ground, definition: Value) -> Self {
        let made = ground.post(DEFINITIONS, &definition).await;
        assert_eq!(made.code, 201, "{}", made.text);
        let spec = &definition["spec"];
        let group = spec["group"].as_str().unwrap().to_owned();
        let version = spec["versions"][0]["name"].as_str().unwrap();
        let plural = spec["names"]["plural"].as_str().unwrap();
        let place = match spec["scope"].as_str().unwrap() {
            "Cluster" => String::new(),
            _ => format!("/namespaces/{}", ground.namespace()),
        };
        let kind = Self {
            ground,
            definition: format!("{DEFINITIONS}/{plural}.{group}"),
            objects: format!("/apis/{group}/{version}{place}/{plural}"),
            group,
        };
        // An API server that was told of the kind may need a moment until it knows it everywhere.
        let is_served = async || {
            let answer =
                kind.ground.post(&format!("{}?dryRun=All", kind.objects), &json!({})).await;
            (answer.code != 404).then_some(())
        };
        ground.eventually("an answer for the kind", is_served).await;
        kind
    }

    /// An object of the kind, with the rest of it.
    pub(crate) fn object(&self, name: &str, rest: &Value) -> Value {
        let version = self.objects.split('/').nth(3).unwrap();
        let mut object = json!({
            "apiVersion": format!("{}/{version}", self.group), "kind": "Widget",
            "metadata": { "name": name },
        });
        for (key, value) in rest.as_object().unwrap() {
            object[key] = value.clone();
        }
        object
    }

    pub(crate) async fn create(&self, name: &str, rest: &Value) -> Answer {
        self.ground.post(&self.objects, &self.object(name, rest)).await
    }

    /// What the server has against an object with this `spec`.
    pub(crate) async fn faults(&self, spec: Value) -> Vec<String> {
        let answer = self.create(&self.ground.unique("one"), &json!({ "spec": spec })).await;
        causes(&answer)
    }

    /// What is stored of a `spec`, which must be taken.
    pub(crate) async fn stored(&self, spec: Value) -> Value {
        let answer = self.create(&self.ground.unique("one"), &json!({ "spec": spec })).await;
        assert_eq!(answer.code, 201, "{}", answer.text);
        answer.json()["spec"].clone()
    }

    pub(crate) async fn read(&self, name: &str) -> Value {
        self.ground.get(&format!("{}/{name}", self.objects)).await.json()
    }

    pub(crate) async fn merge(&self, name: &str, patch: &Value) -> Answer {
        self.ground.patch(&format!("{}/{name}", self.objects), "merge", patch).await
    }

    /// Changes the definition, and waits until `look` sees that the server lives by it.
    pub(crate) async fn redefine<T>(
        &self,
        patch: &Value,
        look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let patched = self.ground.patch(&self.definition, "json", patch).await;
        assert_eq!(patched.code, 200, "{}", patched.text);
        self.ground.eventually("the kind as it is redefined", look).await
    }
}

/// The definition of `Widget` with a schema, in a group that no other case has.
pub(crate) fn definition(ground: &Ground, schema: Value) -> Value {
    let group = format!("{}.example.com", ground.unique("kind"));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("widgets.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "plural": "widgets", "kind": "Widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

/// What the server has against a definition, which it does not keep.
pub(crate) async fn faults_of(ground: &Ground, definition: &Value) -> Vec<String> {
    let request = Request::post(format!("{DEFINITIONS}?dryRun=All"));
    let request = request.header("content-type", "application/json");
    causes(&ground.ask(request, &definition.to_string()).await)
}

/// What the server has against a schema of `spec`, without where that is.
pub(crate) async fn faults_of_schema(ground: &Ground, schema: Value) -> Vec<String> {
    let schema = json!({ "type": "object", "properties": { "spec": schema } });
    let faults = faults_of(ground, &definition(ground, schema)).await;
    let place = "spec.validation.openAPIV3Schema.properties[spec]";
    faults.iter().map(|it| it.replace(place, "")).collect()
}

/// The causes of a refusal, `reason field: message`, in order of their text; none if all is well.
pub(crate) fn causes(answer: &Answer) -> Vec<String> {
    if answer.code < 300 {
        return Vec::new();
    }
    assert_eq!(answer.code, 422, "{}", answer.text);
    let status = answer.json();
    assert_eq!(status["reason"], "Invalid");
    let causes = status["details"]["causes"].as_array().unwrap().iter().map(|it| {
        let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("reason"), text("field"), text("message"))
    });
    let mut causes: Vec<String> = causes.collect();
    causes.sort();
    causes
}
