//! From a request to an answer: which operation a method on a path means.

pub(crate) mod broken;
mod discovery;
mod health;
mod json_path;
mod log;
mod media;
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
use serde_json::Value;

pub(crate) use self::route::decoded;
use crate::{
    audit::access::Verdict,
    auth::{self, Attributes, User, attributes::Hints, impersonate, reviews},
    breakage::Breakage,
    cluster::Cluster,
    fault::{Fate, Turn},
    http::{media::Form, query::Query, route::Route},
    refusal::{Refusal, Result},
};

/// Bodies beyond this are refused, as the API's own limit does.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// Whose a request is, before it has said anything.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// For the audit and for faults; the user agent's name where there is none.
    pub(crate) client: Option<Arc<str>>,
    pub(crate) user: Arc<User>,
}

impl Caller {
    pub(crate) fn admin(client: Option<&str>) -> Self {
        let user = Arc::new(User::master(client.unwrap_or("admin")));
        Self { client: client.map(Arc::from), user }
    }
}

/// A request being answered.
struct Exchange {
    cluster: Arc<Cluster>,
    client: Arc<str>,
    user: Arc<User>,
    method: Method,
    route: Route,
    query: Query,
    accept: String,
    /// The versions of a document that the client has.
    known: String,
    media: String,
    agent: String,
    form: Form,
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
    let named = if agent.is_empty() { "in-process" } else { agent.as_str() };
    let client = client.unwrap_or_else(|| named.into());
    let faults = Arc::clone(&cluster);
    let yaml = media::wants_yaml(text(&request, &header::ACCEPT));
    let fate = fate(&cluster, &client, &request);
    let mut response = match faults.faults.enter(&client, fate).await {
        Ok(after) => {
            let reads = request.method() == Method::GET;
            let response = respond(cluster, (Arc::clone(&client), agent, user), request).await;
            let hides = |it: &Refusal| {
                reads && it.code == 404 && faults.lock().broken.has(Breakage::EmptyAnswers)
            };
            let response = response.unwrap_or_else(|it| {
                if hides(&it) { json_response(200, broken::NOTHING) } else { refuse(&it) }
            });
            after.map_or(response, turned)
        }
        Err(before) => turned(before),
    };
    // Cut off meanwhile: what was done is done, but nobody hears of it yet.
    faults.faults.reach(&client).await;
    if yaml {
        response = in_yaml(response).await;
    }
    let kept = HeaderValue::from_static("no-cache, private");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(kept);
    response
}

/// What is to happen to a request beyond what happens to all of its client's.
fn fate(cluster: &Cluster, client: &str, request: &Request<Body>) -> Fate {
    if cluster.faults.is_quiet() {
        return Fate::default();
    }
    let (path, query) = (decoded(request.uri().path()), Query::parse(request.uri()));
    let hints = Hints { watch: query.is_set("watch"), field_selector: query.text("fieldSelector") };
    cluster.faults.fate(client, &Attributes::of(request.method(), &path, hints))
}

fn turned(turn: Turn) -> Response<Body> {
    match turn {
        Turn::Refused(refusal) => refuse(&refusal),
        Turn::Broken => broken::response(),
    }
}

/// The same answer in YAML, if it is JSON and has an end.
async fn in_yaml(response: Response<Body>) -> Response<Body> {
    let media = response.headers().get(header::CONTENT_TYPE).cloned();
    let media = media.as_ref().and_then(|it| it.to_str().ok()).unwrap_or_default();
    let Some(rest) = media.strip_prefix("application/json") else { return response };
    let media = HeaderValue::from_str(&format!("application/yaml{rest}"));
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let value: Option<Value> = serde_json::from_slice(&body).ok();
    let text = value.and_then(|it| serde_saphyr::to_string(&it).ok());
    let Some(text) = text else { return Response::from_parts(parts, Body::from(body)) };
    if let Ok(media) = media {
        parts.headers.insert(header::CONTENT_TYPE, media);
    }
    Response::from_parts(parts, Body::from(text))
}

async fn respond(
    cluster: Arc<Cluster>,
    (client, agent, user): (Arc<str>, String, Arc<User>),
    request: Request<Body>,
) -> Result<Response<Body>> {
    let accept = text(&request, &header::ACCEPT).to_owned();
    let known = text(&request, &header::IF_NONE_MATCH).to_owned();
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
        route: Route::parse(parts.uri.path()),
        query,
        accept,
        known,
        media,
        agent,
        form: Form::Whole,
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
    let admitted = auth::admit(cluster, &user, &asked);
    cluster.accesses.note(&user.name, &asked, Verdict::of(&admitted));
    admitted?;
    Ok(user)
}

fn text<'a>(request: &'a Request<Body>, name: &header::HeaderName) -> &'a str {
    let value = request.headers().get(name).and_then(|it| it.to_str().ok());
    value.unwrap_or_default()
}

fn dispatch(mut exchange: Exchange) -> Result<Response<Body>> {
    if let Route::Resource(path) = &mut exchange.route {
        let path = std::mem::take(path);
        return on_resource(exchange, path);
    }
    match &exchange.route {
        Route::Unknown | Route::Health(..) => discovery::document(&exchange),
        _ if exchange.method != Method::GET => Err(Refusal::wrong_method()),
        Route::Issuer => Ok(review::issuer()),
        Route::Keys => Ok(review::keys(&exchange)),
        Route::OpenApi(path) => openapi::document(&exchange, path),
        _ => discovery::document(&exchange),
    }
}

fn on_resource(mut exchange: Exchange, path: route::Path) -> Result<Response<Body>> {
    let is_watched = path.is_watched;
    let mut target = path.target(&exchange.cluster.lock().registry)?;
    if is_watched && exchange.method != Method::GET {
        return Err(Refusal::wrong_method());
    }
    if is_watched {
        exchange.query.watch(&std::mem::take(&mut target.name))?;
    }
    exchange.form = media::form(&exchange, &target)?;
    if target.subresource == "token" {
        review::token(&exchange, &target)
    } else if reviews::is_review(&target) {
        review::review(&exchange, &target)
    } else if exchange.method == Method::GET {
        read::read(&exchange, target)
    } else {
        write::write(&exchange, target)
    }
}

fn refuse(refusal: &Refusal) -> Response<Body> {
    if let Some(page) = refusal.status().as_str() {
        let mut response = json_response(refusal.code, page.to_owned());
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        return response;
    }
    let mut response = json_response(refusal.code, refusal.status().to_string());
    if let Some(seconds) = refusal.status()["details"]["retryAfterSeconds"].as_u64() {
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
