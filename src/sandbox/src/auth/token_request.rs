//! A token for a service account: for whom, for how long, bound to what.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    api::Target,
    auth::{token::ISSUER, user},
    clock,
    cluster::Cluster,
    object,
    refusal::{Cause, Refusal, Result, Subject},
    store::{Key, State, Stored},
};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";
const SECONDS: i64 = 3600;
const LEAST: i64 = 600;

/// Answers a request for a token of the account that the target names.
pub(crate) fn answer(cluster: &Cluster, target: &Target, body: &Value) -> Result<Value> {
    check_kind(body)?;
    let now = cluster.now();
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let stated = object::meta(body, "namespace");
    if !stated.is_empty() && stated != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let (claims, mut request) = {
        let state = &mut *cluster.lock();
        let account = target.existing(state)?;
        let spec = spec(target, body)?;
        let bound = bound(state, (namespace, &target.name), &spec["boundObjectRef"])?;
        let request = json!({
            "kind": KIND, "apiVersion": format!("{GROUP}/v1"),
            "metadata": {
                "name": target.name, "namespace": namespace, "uid": object::uid(&account.value),
                "creationTimestamp": clock::seconds(now),
            },
            "spec": spec,
        });
        let mut own = json!({
            "namespace": namespace,
            "serviceaccount": { "name": target.name, "uid": object::uid(&account.value) },
        });
        if let Some((kind, object)) = bound {
            own[kind] = json!({
                "name": object::name(&object.value), "uid": object::uid(&object.value),
            });
        }
        let (from, id) = (now.as_second(), state.random.uid());
        let until =
            from.saturating_add(request["spec"]["expirationSeconds"].as_i64().unwrap_or(SECONDS));
        let claims = json!({
            "aud": request["spec"]["audiences"], "exp": until, "iat": from, "nbf": from,
            "iss": ISSUER, "jti": id, "sub": user::account_name(namespace, &target.name),
            "kubernetes.io": own,
        });
        (claims, request)
    };
    let token = cluster.signer().and_then(|it| it.sign(&claims)).ok_or_else(|| {
        Refusal::new(500, "InternalError", "Internal error occurred: the token was not signed")
    })?;
    let seconds = request["spec"]["expirationSeconds"].as_u64().unwrap_or_default();
    let end = now.checked_add(Duration::from_secs(seconds)).unwrap_or(now);
    request["status"] = json!({ "token": token, "expirationTimestamp": clock::seconds(end) });
    Ok(request)
}

fn check_kind(body: &Value) -> Result<()> {
    if !body.is_object() {
        return Err(Refusal::bad_request("the body of a request for a token is an object"));
    }
    let (version, kind) = (object::text(body, "/apiVersion"), object::text(body, "/kind"));
    if matches!(kind, "" | KIND) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {KIND}: converting \
         ({version}.{kind}) to (authentication.{KIND}): unknown conversion"
    )))
}

/// The request's spec with what it left out.
fn spec(target: &Target, body: &Value) -> Result<Value> {
    let mut faults = Vec::new();
    let named = object::name(body);
    if !named.is_empty() && named != target.name {
        let detail = "must match the service account name if specified";
        let fault = Cause::invalid("metadata.name", &named.into(), detail);
        let subject = Subject { group: GROUP, kind: KIND, name: &target.name };
        return Err(Refusal::invalid(&subject, &[fault]));
    }
    let stated = &body["spec"]["expirationSeconds"];
    let seconds = stated.as_i64().unwrap_or(SECONDS);
    let detail = if seconds < LEAST {
        "may not specify a duration less than 10 minutes"
    } else if seconds > 1 << 32 {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        ""
    };
    if !detail.is_empty() {
        faults.push(Cause::invalid("spec.expirationSeconds", stated, detail));
        return Err(Refusal::invalid(&Subject { group: GROUP, kind: KIND, name: "" }, &faults));
    }
    let audiences = object::strings(&body["spec"]["audiences"]);
    let audiences = if audiences.is_empty() { vec![ISSUER] } else { audiences };
    Ok(json!({
        "audiences": audiences, "expirationSeconds": seconds,
        "boundObjectRef": body["spec"]["boundObjectRef"],
    }))
}

/// What the token is to end with.
fn bound(
    state: &State,
    (namespace, account): (&str, &str),
    reference: &Value,
) -> Result<Option<(&'static str, std::sync::Arc<Stored>)>> {
    if reference.is_null() {
        return Ok(None);
    }
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let (claim, table) = match (text("apiVersion"), text("kind")) {
        ("v1", "Pod") => ("pod", "pods"),
        ("v1", "Secret") => ("secret", "secrets"),
        (version, kind) => {
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            return Err(Refusal::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    let name = text("name");
    let found = state.find(table, &Key::new(namespace, name));
    let missing = || Refusal::not_found(&Subject { group: "", kind: table, name });
    let found = found.ok_or_else(missing)?;
    let runs_as = object::text(&found.value, "/spec/serviceAccountName");
    if claim == "pod" && runs_as != account {
        return Err(Refusal::bad_request(format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different \
             serviceaccount name."
        )));
    }
    let (stated, real) = (text("uid"), object::uid(&found.value));
    if !stated.is_empty() && stated != real {
        let why = format!(
            "the UID in the bound object reference ({stated}) does not match the UID in record. \
             The object might have been deleted and then recreated"
        );
        return Err(Refusal::conflict(&Subject { group: "", kind: text("kind"), name }, &why));
    }
    Ok(Some((claim, found)))
}
