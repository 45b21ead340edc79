//! GET: an object, a list, a watch.

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::Response;
use serde_json::{Value, json};

use crate::{
    api::{
        Target,
        list::{self, Page},
        read, scale,
    },
    http::{
        Exchange, json_response, log,
        media::{Form, partial},
        table, watch,
    },
    refusal::Result,
    store::Stored,
};

pub(super) fn read(exchange: &Exchange, target: Target) -> Result<Response<Body>> {
    if target.subresource == "log" {
        return log::log(exchange, &target);
    }
    if target.name.is_empty() {
        return many(exchange, target);
    }
    let form = exchange.form;
    let state = exchange.cluster.lock();
    let stored = read::read(&state, &target, exchange.query.text("resourceVersion"))?;
    drop(state);
    if target.subresource == "scale" {
        return Ok(json_response(200, scale::of(&target, &stored.value)?.to_string()));
    }
    Ok(json_response(200, object(&target, &stored, (form, exchange.cluster.now()))))
}

/// Only what has no name in its path can be watched.
fn many(exchange: &Exchange, target: Target) -> Result<Response<Body>> {
    if exchange.query.is_set("watch") {
        return watch::watch(exchange, target);
    }
    let mut listing = exchange.query.listing(&target.resource)?;
    let state = exchange.cluster.lock();
    listing.selector = listing.selector.seen_by(state.broken);
    let page = list::list(&state, &target, &listing)?;
    drop(state);
    let body = match exchange.form {
        Form::Whole => whole_list(&target, &page),
        Form::Table(include) => {
            table::of(&target, &page, (exchange.cluster.now(), include)).to_string().into()
        }
        Form::Metadata => metadata_list(&target, &page).to_string().into(),
    };
    Ok(json_response(200, body))
}

/// One object in the form that was asked for.
pub(super) fn object(
    target: &Target,
    stored: &std::sync::Arc<Stored>,
    (form, now): (Form, jiff::Timestamp),
) -> Bytes {
    match form {
        Form::Whole => read::present_json(target, stored),
        Form::Metadata => partial(&stored.value).to_string().into(),
        Form::Table(include) => {
            let version = json!({"resourceVersion": stored.value["metadata"]["resourceVersion"]});
            let page = Page { objects: vec![std::sync::Arc::clone(stored)], metadata: version };
            table::of(target, &page, (now, include)).to_string().into()
        }
    }
}

/// A list put together from objects that are JSON already.
pub(super) fn whole_list(target: &Target, page: &Page) -> Bytes {
    let mut body = BytesMut::new();
    body.put_slice(b"{\"kind\":");
    body.put_slice(Value::from(target.resource.list_kind.as_str()).to_string().as_bytes());
    body.put_slice(b",\"apiVersion\":");
    body.put_slice(Value::from(target.api_version()).to_string().as_bytes());
    body.put_slice(b",\"metadata\":");
    body.put_slice(page.metadata.to_string().as_bytes());
    body.put_slice(b",\"items\":[");
    for (index, stored) in page.objects.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put_slice(&read::present_item(target, stored));
    }
    body.put_slice(b"]}\n");
    body.freeze()
}

fn metadata_list(target: &Target, page: &Page) -> Value {
    let items: Vec<Value> =
        page.objects.iter().map(|it| partial(&read::present(target, it))).collect();
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": page.metadata, "items": items,
    })
}
