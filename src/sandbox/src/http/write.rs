//! POST, PUT, PATCH, DELETE: from a body to an operation, and on record.

use axum::body::Body;
use http::{HeaderValue, Method, Response, header};
use serde_json::{Value, json};

use crate::{
    api::{
        Call, Effect, Target, Written, create,
        delete::{self, Deletion},
        list::Page,
        patch, placing, scale, update,
    },
    audit::Act,
    breakage::Breakage,
    http::{Exchange, broken, json_response, protobuf, query, read},
    kinds, object,
    patch::{Format, document},
    refusal::{Refusal, Result},
    selector::Selector,
    strict_json,
};

/// What a write came to, for the answer and for the record.
enum Outcome {
    /// Something was done to an object, which is not shown.
    Done,
    One(Written),
    Many(Page),
}

pub(super) fn write(exchange: &Exchange, target: Target) -> Result<Response<Body>> {
    let verb = verb(&exchange.method, &target)?;
    let resource = target.resource.plural.clone();
    check_media(exchange, verb)?;
    let kind = match verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        _ => "DeleteOptions",
    };
    let mut options = exchange.query.options(&exchange.agent, kind)?;
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
        // A namespaced object may come without a namespace in the path: none is meant then.
        _ if target.resource.namespaced && target.namespace.is_none() => {
            Err(Refusal::wrong_method())
        }
        Method::POST
            if !on_one || matches!(target.subresource.as_str(), "eviction" | "binding") =>
        {
            Ok("create")
        }
        Method::PUT if on_one => Ok("update"),
        Method::PATCH if on_one => Ok("patch"),
        Method::DELETE if on_one && on_itself => Ok("delete"),
        // Nobody may end all namespaces at once.
        Method::DELETE if !on_one && target.resource.table != "namespaces" => {
            Ok("deletecollection")
        }
        _ => Err(Refusal::wrong_method()),
    }
}

/// Bodies are JSON where nothing is said.
fn check_media(exchange: &Exchange, verb: &str) -> Result<()> {
    const READ: [&str; 3] =
        ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
    let known = exchange.media.is_empty() || READ.contains(&exchange.media.as_str());
    if known || verb == "patch" || exchange.body.is_empty() {
        return Ok(());
    }
    Err(Refusal::wrong_media(&READ.join(", ")))
}

fn operate(exchange: &Exchange, call: &mut Call, verb: &str) -> Result<Outcome> {
    // What a patch is depends on its media type.
    let (body, repeated) =
        if verb == "patch" { (Value::Null, Vec::new()) } else { body(exchange)? };
    call.options.repeated = repeated;
    let resource = &call.target.resource;
    if matches!(verb, "update" | "patch")
        && exchange.cluster.faults.conflicts(&exchange.client, &resource.plural)
    {
        return Err(Refusal::modified(&resource.subject(&call.target.name)));
    }
    if matches!(verb, "create" | "update") && exchange.body.is_empty() {
        return Err(call.unrecognized("<empty>", "unexpected end of JSON input"));
    }
    let state = &mut *exchange.cluster.lock();
    call.options.broken = state.broken;
    match verb {
        "create" if call.target.subresource == "eviction" => {
            let deletion = deletion(exchange, call, &body["deleteOptions"])?;
            placing::evict(state, call, (&body, &deletion)).map(|_| Outcome::Done)
        }
        "create" if call.target.subresource == "binding" => {
            placing::bind(state, call, &body).map(|()| Outcome::Done)
        }
        "create" => create::create(state, call, body).map(Outcome::One),
        "update" if call.target.subresource == "scale" => {
            scale::update(state, call, &body).map(Outcome::One)
        }
        "update" => update::update(state, call, body).map(Outcome::One),
        "patch" => {
            let format = Format::of_media(&exchange.media).ok_or_else(|| {
                if resource.is_custom() {
                    Refusal::wrong_media(Format::ACCEPTED_BY_CUSTOM)
                } else {
                    Refusal::unsupported_media()
                }
            })?;
            let manager = exchange.query.text("fieldManager");
            patch::check_options(format, manager, exchange.query.text("force"))?;
            if format == Format::Apply {
                manager.clone_into(&mut call.options.manager);
            }
            call.options.repeated = document::repeated(&exchange.body, format);
            patch::patch(state, call, format, &exchange.body).map(Outcome::One)
        }
        "delete" => {
            let deletion = deletion(exchange, call, &body)?;
            delete::delete(state, call, &deletion).map(Outcome::One)
        }
        _ => {
            let deletion = deletion(exchange, call, &body)?;
            let mut listing = exchange.query.listing(&call.target.resource)?;
            if state.broken.has(Breakage::WideDeletions) {
                listing.selector = Selector::default();
            }
            delete::delete_all(state, call, &listing, &deletion).map(Outcome::Many)
        }
    }
}

/// What a deletion is told: by its body, or by its query where there is no body.
fn deletion(exchange: &Exchange, call: &mut Call, body: &Value) -> Result<Deletion> {
    let query = &exchange.query;
    let mut told = body.clone();
    if body.is_null() {
        told = json!({});
        for field in ["gracePeriodSeconds", "orphanDependents", "propagationPolicy"] {
            match (field, query.text(field)) {
                (_, "") => {}
                ("gracePeriodSeconds", _) => told[field] = query.number(field)?.into(),
                ("orphanDependents", _) => told[field] = query.is_set(field).into(),
                (_, text) => told[field] = text.into(),
            }
        }
    } else if !body.is_object() {
        return Err(Refusal::bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go \
             value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind \
             string \"json:\\\"kind,omitempty\\\"\" }",
        ));
    }
    let (effect, fault) = query::effect(&object::strings(&told["dryRun"]));
    query::refuse("DeleteOptions", &Vec::from_iter(fault))?;
    if effect == Effect::DryRun {
        call.options.effect = effect;
    }
    Deletion::parse(&told, None)
}

/// The body as JSON, and what it says twice. YAML comes as itself, and in apply patches under their one
/// media type.
pub(super) fn body(exchange: &Exchange) -> Result<(Value, Vec<String>)> {
    if exchange.body.is_empty() {
        return Ok((Value::Null, Vec::new()));
    }
    if exchange.media.contains("protobuf") {
        let value = protobuf::decode(&exchange.body);
        let value = value.map(|it| (it, Vec::new()));
        return value.ok_or_else(|| Refusal::wrong_media("application/json, application/yaml"));
    }
    match strict_json::read(&exchange.body) {
        Ok((value, twice)) => Ok((value, strict_json::duplicates(&twice))),
        Err(_) if exchange.media.contains("yaml") => {
            let text = String::from_utf8_lossy(&exchange.body);
            let value = document::yaml(&text)
                .map_err(|why| Refusal::bad_request(format!("error decoding YAML: {why}")))?;
            Ok((value, Vec::from_iter(strict_json::duplicate_key(&text))))
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
        Outcome::Many(page) => json_response(200, read::whole_list(target, &page)),
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
            warned(json_response(written.code, status.to_string()), &written.warnings)
        }
        Outcome::One(written) => {
            let body = if target.subresource == "scale" {
                written.object.json()
            } else {
                read::object(target, &written.object, (form, call.now))
            };
            warned(json_response(written.code, body), &written.warnings)
        }
    }
}

fn warned(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let text = format!("299 - {warning:?}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
