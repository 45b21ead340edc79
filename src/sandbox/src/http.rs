//! From a request to an answer: which operation a method on a path means.

mod discovery;
mod json_path;
mod openapi;
mod protobuf;
mod query;
mod read;
mod review;
mod route;
mod table;
mod watch;
mod write;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

pub(crate) use self::route::decoded;
use crate::{
    auth::{self, Attributes, User, attributes::Hints, impersonate, reviews},
    cluster::Cluster,
    http::{query::Query, route::Route},
    refusal::{Refusal, Result},
};

/// Bodies beyond this are refused, as the API's own limit does.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// Whose a request is, before it has said anything.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// For the audit and for faults; the user agent's name where there is none.
    pub(crate) client: Option<String>,
    pub(crate) user: Arc<User>,
}

impl Caller {
    pub(crate) fn admin(client: Option<&str>) -> Self {
        let user = Arc::new(User::master(client.unwrap_or("admin")));
        Self { client: client.map(str::to_owned), user }
    }
}

/// A request being answered.
struct Exchange {
    cluster: Arc<Cluster>,
    client: String,
    user: Arc<User>,
    method: Method,
    route: Route,
    query: Query,
    accept: String,
    media: String,
    agent: String,
    body: Bytes,
}

/// Answers one request of a client.
pub(crate) async fn answer(
    cluster: Arc<Cluster>,
    caller: Caller,
    request: Request<Body>,
) -> Response<Body> {
    let agent = text(&request, &header::USER_AGENT);
    let agent = agent.split('/').next().unwrap_or_default().to_owned();
    let Caller { client, user } = caller;
    let client = client
        .unwrap_or_else(|| if agent.is_empty() { "in-process".to_owned() } else { agent.clone() });
    let faults = Arc::clone(&cluster);
    let response = match faults.faults.enter(&client).await {
        Ok(()) => respond(cluster, (client.clone(), agent, user), request).await,
        Err(refusal) => Err(refusal),
    };
    // Cut off meanwhile: what was done is done, but nobody hears of it yet.
    faults.faults.reach(&client).await;
    response.unwrap_or_else(|it| refuse(&it))
}

async fn respond(
    cluster: Arc<Cluster>,
    (client, agent, user): (String, String, Arc<User>),
    request: Request<Body>,
) -> Result<Response<Body>> {
    let accept = text(&request, &header::ACCEPT);
    let media = text(&request, &header::CONTENT_TYPE);
    let media = media.split(';').next().unwrap_or_default().trim().to_owned();
    let (parts, body) = request.into_parts();
    let query = Query::parse(&parts.uri);
    let user = admit(&cluster, user, (&parts, &query))?;
    let body = axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|_| {
        Refusal::new(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
    })?;
    let exchange = Exchange {
        cluster,
        client,
        user,
        method: parts.method,
        route: Route::parse(parts.uri.path())?,
        query,
        accept,
        media,
        agent,
        body,
    };
    dispatch(exchange)
}

/// Who the request acts as, if that one may do what it asks.
fn admit(
    cluster: &Cluster,
    user: Arc<User>,
    (parts, query): (&http::request::Parts, &Query),
) -> Result<Arc<User>> {
    let path = decoded(parts.uri.path());
    let hints = Hints { watch: query.is_set("watch"), field_selector: query.text("fieldSelector") };
    let asked = Attributes::of(&parts.method, &path, hints);
    let user = impersonate::acting(cluster, user, (&parts.headers, &asked))?;
    auth::admit(cluster, &user, &asked)?;
    Ok(user)
}

fn text(request: &Request<Body>, name: &header::HeaderName) -> String {
    let value = request.headers().get(name).and_then(|it| it.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn dispatch(exchange: Exchange) -> Result<Response<Body>> {
    match &exchange.route {
        Route::Resource(path) => {
            let target = path.target(&exchange.cluster.lock().registry)?;
            if reviews::is_review(&target) {
                review::review(&exchange, &target)
            } else if exchange.method == Method::GET {
                read::read(exchange, target)
            } else {
                write::write(&exchange, target)
            }
        }
        _ if exchange.method != Method::GET => Err(Refusal::wrong_method()),
        Route::OpenApi(path) => openapi::document(&exchange, path),
        _ => discovery::document(&exchange),
    }
}

fn refuse(refusal: &Refusal) -> Response<Body> {
    let mut response = json_response(refusal.code, refusal.status().to_string());
    if refusal.code == 429
        && let Some(seconds) = refusal.status()["details"]["retryAfterSeconds"].as_u64()
    {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Refuses a request that shows no token the server knows.
pub(crate) fn unauthorized() -> Response<Body> {
    refuse(&Refusal::of_code(401))
}

fn json_response(code: u16, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn text_response(body: &'static str) -> Response<Body> {
    Response::new(Body::from(body))
}

/// The form in which a client wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    Table,
    Metadata,
}

impl Form {
    fn of(accept: &str) -> Self {
        for part in accept.split(',') {
            if part.contains("as=Table") {
                return Self::Table;
            }
            if part.contains("as=PartialObjectMetadata") {
                return Self::Metadata;
            }
            if part.contains("application/json") && !part.contains("as=") {
                return Self::Whole;
            }
        }
        Self::Whole
    }
}

/// An object without what only its kind knows.
fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}
