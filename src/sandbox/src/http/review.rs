//! POST of what is not kept: reviews, which are answered and forgotten.

use axum::body::Body;
use http::{Method, Response};
use serde_json::{Value, json};

use crate::{
    api::{Call, Target},
    auth::{reviews, signer::Signer, token::ISSUER, token_request},
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
    let mut options = exchange.query.options(&exchange.agent, "CreateOptions")?;
    let (body, repeated) = write::body(exchange)?;
    options.repeated = repeated;
    let call = Call { target: target.clone(), options, now: exchange.cluster.now() };
    let review = call.read(body)?;
    let answer = reviews::answer(&exchange.cluster, (&exchange.user, target), review)?;
    Ok(json_response(201, answer.to_string()))
}

/// A token of a service account, which is not kept either.
pub(super) fn token(exchange: &Exchange, target: &Target) -> Result<Response<Body>> {
    if exchange.method != Method::POST {
        return Err(Refusal::wrong_method());
    }
    let (body, _) = write::body(exchange)?;
    let answer = token_request::answer(&exchange.cluster, target, &body)?;
    Ok(json_response(201, answer.to_string()))
}

/// Where others learn who signs tokens.
pub(super) fn issuer() -> Response<Body> {
    let issuer = json!({
        "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/openid/v1/jwks"),
        "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    });
    json_response(200, issuer.to_string())
}

/// The keys that tokens are checked with.
pub(super) fn keys(exchange: &Exchange) -> Response<Body> {
    let keys: Vec<Value> = exchange.cluster.signer().map(Signer::public).into_iter().collect();
    json_response(200, json!({ "keys": keys }).to_string())
}
