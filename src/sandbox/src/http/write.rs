//! POST, PUT, PATCH, DELETE: from a body to an operation, and on record.

use axum::body::Body;
use http::{HeaderValue, Method, Response, header};
use serde_json::{Value, json};

use crate::{
    api::{
        Call, Effect, Target, Written, create,
        delete::{self, Deletion},
        patch, placing, update,
    },
    audit::Act,
    http::{Exchange, broken, json_response, protobuf, read},
    kinds, object,
    patch::Format,
    refusal::{Refusal, Result},
};

/// What a write came to, for the answer and for the record.
enum Outcome {
    /// Something was done to an object, which is not shown.
    Done,
    One(Written),
    Many(Vec<std::sync::Arc<crate::store::Stored>>),
}

pub(super) fn write(exchange: &Exchange, target: Target) -> Result<Response<Body>> {
    let verb = verb(&exchange.method, &target)?;
    let resource = target.resource.plural.clone();
    let mut options = exchange.query.options(&exchange.agent)?;
    options.user = Some(std::sync::Arc::clone(&exchange.user));
    let mut call = Call { options, now: exchange.cluster.now(), target };
    let outcome = operate(exchange, &mut call, verb);
    record(exchange, &call, (verb, &outcome));

    let outcome = outcome?;
    if exchange.cluster.faults.loses(&exchange.client, verb, &resource) {
        return Ok(broken::response());
    }
    Ok(respond(exchange, &call, outcome))
}

fn verb(method: &Method, target: &Target) -> Result<&'static str> {
    let on_one = !target.name.is_empty();
    let on_itself = target.subresource.is_empty();
    match *method {
        Method::POST
            if !on_one || matches!(target.subresource.as_str(), "eviction" | "binding") =>
        {
            Ok("create")
        }
        Method::PUT if on_one => Ok("update"),
        Method::PATCH if on_one => Ok("patch"),
        Method::DELETE if on_one && on_itself => Ok("delete"),
        Method::DELETE if !on_one && target.resource.table != "namespaces" => {
            Ok("deletecollection")
        }
        _ => Err(Refusal::wrong_method()),
    }
}

fn operate(exchange: &Exchange, call: &mut Call, verb: &str) -> Result<Outcome> {
    // What a patch is depends on its media type.
    let body = if verb == "patch" { Value::Null } else { body(exchange)? };
    let resource = &call.target.resource;
    if matches!(verb, "update" | "patch")
        && exchange.cluster.faults.conflicts(&exchange.client, &resource.plural)
    {
        return Err(Refusal::modified(&resource.subject(&call.target.name)));
    }
    // A namespaced object may come without a namespace in the path: none is meant then.
    if verb == "create" && resource.namespaced && call.target.namespace.is_none() {
        return Err(Refusal::wrong_method());
    }
    let state = &mut *exchange.cluster.lock();
    call.options.broken = state.broken;
    let propagation = Some(exchange.query.text("propagationPolicy")).filter(|it| !it.is_empty());
    match verb {
        "create" if call.target.subresource == "eviction" => {
            let deletion = Deletion::parse(&body["deleteOptions"], propagation)?;
            placing::evict(state, call, (&body, &deletion)).map(|_| Outcome::Done)
        }
        "create" if call.target.subresource == "binding" => {
            placing::bind(state, call, &body).map(|()| Outcome::Done)
        }
        "create" => create::create(state, call, body).map(Outcome::One),
        "update" => update::update(state, call, body).map(Outcome::One),
        "patch" => {
            let format = Format::of_media(&exchange.media)
                .ok_or_else(|| Refusal::wrong_media(Format::ACCEPTED))?;
            let manager = exchange.query.text("fieldManager");
            patch::check_options(format, manager, exchange.query.text("force"))?;
            if format == Format::Apply {
                manager.clone_into(&mut call.options.manager);
            }
            patch::patch(state, call, format, &exchange.body).map(Outcome::One)
        }
        "delete" => {
            check_dry_run(call, &body);
            let deletion = Deletion::parse(&body, propagation)?
                .or_grace(exchange.query.text("gracePeriodSeconds"));
            delete::delete(state, call, &deletion).map(Outcome::One)
        }
        _ => {
            check_dry_run(call, &body);
            let deletion = Deletion::parse(&body, propagation)?
                .or_grace(exchange.query.text("gracePeriodSeconds"));
            let selector = exchange.query.selector(&call.target.resource)?;
            Ok(Outcome::Many(delete::delete_all(state, call, &selector, &deletion)))
        }
    }
}

/// Deletions may be rehearsed through their body too.
fn check_dry_run(call: &mut Call, body: &Value) {
    if object::strings(&body["dryRun"]).contains(&"All") {
        call.options.effect = Effect::DryRun;
    }
}

/// The body as JSON. YAML comes as itself, and in apply patches under their one media type.
pub(super) fn body(exchange: &Exchange) -> Result<Value> {
    if exchange.body.is_empty() {
        return Ok(Value::Null);
    }
    if exchange.media.contains("protobuf") {
        return protobuf::decode(&exchange.body)
            .ok_or_else(|| Refusal::wrong_media("application/json, application/yaml"));
    }
    match serde_json::from_slice(&exchange.body) {
        Ok(value) => Ok(value),
        Err(_) if exchange.media.contains("yaml") => {
            let text = String::from_utf8_lossy(&exchange.body);
            serde_saphyr::from_str(&text)
                .map_err(|why| Refusal::bad_request(format!("error decoding YAML: {why}")))
        }
        Err(why) => {
            Err(Refusal::bad_request(format!("couldn't get version/kind; json parse error: {why}")))
        }
    }
}

fn record(exchange: &Exchange, call: &Call, (verb, outcome): (&str, &Result<Outcome>)) {
    if call.options.effect == Effect::DryRun {
        return;
    }
    let (name, uid, code) = match outcome {
        Ok(Outcome::One(written)) => {
            let value = &written.object.value;
            (object::name(value), object::uid(value), written.code)
        }
        Ok(Outcome::Many(_)) => ("", "", 200),
        Ok(Outcome::Done) => (call.target.name.as_str(), "", 201),
        Err(refusal) => (call.target.name.as_str(), "", refusal.code),
    };
    exchange.cluster.record(&Act {
        at: call.now,
        client: &exchange.client,
        user: &exchange.user.name,
        verb,
        target: &call.target,
        name,
        uid,
        code,
    });
}

fn respond(exchange: &Exchange, call: &Call, outcome: Outcome) -> Response<Body> {
    let target = &call.target;
    let form = exchange.form;
    match outcome {
        Outcome::Done => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
            });
            json_response(201, status.to_string())
        }
        Outcome::Many(objects) => {
            let items: Vec<Value> =
                objects.iter().map(|it| crate::api::read::present(target, it)).collect();
            let version = exchange.cluster.lock().revision.to_string();
            let list = json!({
                "kind": target.resource.list_kind, "apiVersion": target.api_version(),
                "metadata": {"resourceVersion": version}, "items": items,
            });
            json_response(200, list.to_string())
        }
        Outcome::One(written) if written.gone && !kinds::answers_deleted(&target.resource) => {
            let mut details = json!({
                "name": target.name, "kind": target.resource.plural,
                "uid": object::uid(&written.object.value),
            });
            if !target.resource.group.is_empty() {
                details["group"] = target.resource.group.as_str().into();
            }
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": details,
            });
            json_response(written.code, status.to_string())
        }
        Outcome::One(written) => {
            let now = exchange.cluster.now();
            let body = read::object(target, &written.object, (form, now));
            let mut response = json_response(written.code, body);
            for warning in &written.warnings {
                let text = format!("299 - {warning:?}");
                if let Ok(value) = HeaderValue::from_str(&text) {
                    response.headers_mut().append(header::WARNING, value);
                }
            }
            response
        }
    }
}
