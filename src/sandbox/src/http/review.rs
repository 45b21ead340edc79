//! POST of what is not kept: reviews, which are answered and forgotten.

use axum::body::Body;
use http::{Method, Response};

use crate::{
    api::{Call, Target},
    auth::reviews,
    http::{Exchange, json_response, write},
    refusal::{Refusal, Result},
};

pub(super) fn review(exchange: &Exchange, target: &Target) -> Result<Response<Body>> {
    // A review has no name, so under one there is nothing.
    if !target.name.is_empty() {
        return Err(Refusal::no_such_path());
    }
    if exchange.method != Method::POST || target.resource.namespaced && target.namespace.is_none() {
        return Err(Refusal::wrong_method());
    }
    let options = exchange.query.options(&exchange.agent)?;
    let call = Call { target: target.clone(), options, now: exchange.cluster.now() };
    let review = call.read(write::body(exchange)?)?;
    let answer = reviews::answer(&exchange.cluster, (&exchange.user, target), review)?;
    Ok(json_response(201, answer.to_string()))
}
