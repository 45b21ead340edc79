//! May somebody do something? The API asked instead of tried.

use serde_json::{Value, json};

use crate::{
    api::Target,
    auth::{self, Attributes, User, rules_review, token_review},
    clock,
    cluster::Cluster,
    object,
    refusal::{Cause, Refusal, Result, Subject},
};

const GROUP: &str = "authorization.k8s.io";

/// Whether a resource is none that is kept: it answers, and that is all.
pub(crate) fn is_review(target: &Target) -> bool {
    matches!(target.resource.group.as_str(), GROUP | "authentication.k8s.io")
}

/// Answers a review. Its body is decoded already.
pub(crate) fn answer(
    cluster: &Cluster,
    (user, target): (&User, &Target),
    mut review: Value,
) -> Result<Value> {
    let namespace = target.namespace.as_deref().unwrap_or_default();
    review["kind"] = target.resource.kind.as_str().into();
    review["apiVersion"] = target.api_version().into();
    match target.resource.plural.as_str() {
        "selfsubjectreviews" => {
            let born = clock::seconds(cluster.now());
            review["metadata"] = json!({ "creationTimestamp": born });
            review["status"] = json!({ "userInfo": user.info() });
            return Ok(review);
        }
        "tokenreviews" => {
            review["metadata"] = json!({});
            review["status"] = token_review::status(cluster, &review["spec"])?;
            return Ok(review);
        }
        "selfsubjectrulesreviews" => {
            let namespace = object::text(&review, "/spec/namespace").to_owned();
            if namespace.is_empty() {
                return Err(Refusal::bad_request("no namespace on request"));
            }
            review["metadata"] = json!({});
            review["spec"] = json!({});
            review["status"] = rules_review::status(cluster, user, &namespace);
            return Ok(review);
        }
        _ => {}
    }
    validate(&review, (target, namespace))?;
    let spec = &review["spec"];
    let somebody = if target.resource.plural == "selfsubjectaccessreviews" {
        user.clone()
    } else {
        named(spec)
    };
    let decision = auth::decide(cluster, &somebody, &asked(spec));
    let mut status = json!({ "allowed": decision.allowed });
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.into();
    }
    review["metadata"] =
        if namespace.is_empty() { json!({}) } else { json!({ "namespace": namespace }) };
    review["status"] = status;
    Ok(review)
}

fn named(spec: &Value) -> User {
    let list = |it: &Value| object::strings(it).into_iter().map(str::to_owned).collect();
    let extra = spec["extra"].as_object().into_iter().flatten();
    User {
        name: object::text(spec, "/user").to_owned(),
        uid: object::text(spec, "/uid").to_owned(),
        groups: list(&spec["groups"]),
        extra: extra.map(|(key, values)| (key.clone(), list(values))).collect(),
    }
}

fn asked(spec: &Value) -> Attributes<'_> {
    let about =
        |field: &str| -> &str { spec["resourceAttributes"][field].as_str().unwrap_or_default() };
    let path = &spec["nonResourceAttributes"];
    if path.is_object() {
        let text = |field: &str| path[field].as_str().unwrap_or_default();
        return Attributes { verb: text("verb"), path: text("path"), ..Attributes::default() };
    }
    Attributes {
        verb: about("verb"),
        namespace: about("namespace"),
        group: about("group"),
        resource: about("resource"),
        subresource: about("subresource"),
        name: about("name"),
        path: "",
    }
}

fn validate(review: &Value, (target, namespace): (&Target, &str)) -> Result<()> {
    let (spec, plural) = (&review["spec"], target.resource.plural.as_str());
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let mut faults = Vec::new();
    match (resource.is_object(), path.is_object()) {
        (true, true) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            faults.push(Cause::invalid("spec.nonResourceAttributes", &in_go(path), detail));
        }
        (false, false) => {
            let detail =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            faults.push(Cause::invalid("spec.resourceAttributes", &Value::Null, detail));
        }
        _ => {}
    }
    let nobody =
        object::text(spec, "/user").is_empty() && object::strings(&spec["groups"]).is_empty();
    if plural != "selfsubjectaccessreviews" && nobody {
        let detail = "at least one of user or group must be specified";
        faults.push(Cause::invalid("spec.user", &"".into(), detail));
    }
    if faults.is_empty() && plural == "localsubjectaccessreviews" {
        if path.is_object() {
            let detail = "disallowed on this kind of request";
            faults.push(Cause::invalid("spec.nonResourceAttributes", &in_go(path), detail));
        } else if object::text(resource, "/namespace") != namespace {
            let stated = object::text(resource, "/namespace").into();
            let field = "spec.resourceAttributes.namespace";
            faults.push(Cause::invalid(field, &stated, "must match metadata.namespace"));
        }
    }
    let metadata = &review["metadata"];
    let is_named = metadata.as_object().is_some_and(|it| it.keys().any(|it| it != "namespace"));
    if is_named {
        faults.push(Cause::invalid("metadata", metadata, "must be empty"));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(&Subject { group: GROUP, kind: "", name: "" }, &faults))
}

/// A path as refusals print it: by the names of Go's fields.
fn in_go(path: &Value) -> Value {
    json!({ "Path": object::text(path, "/path"), "Verb": object::text(path, "/verb") })
}
