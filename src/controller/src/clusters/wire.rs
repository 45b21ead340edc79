//! What passes between us and one cluster? It is counted, limited in pace and in size, and what RBAC
//! refuses is remembered by its name.

mod capped;
mod pace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ger_core::names::ClusterName;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::BoxError;

pub(super) use self::capped::TooLarge;
use self::capped::{Capped, Content};
use self::pace::{Pace, Place};
use super::Limits;
use super::asked::Asked;
use super::counted::count;
use crate::metrics::Metrics;

/// A refusal that was not repeated for so long is forgotten: nobody may ask for the same again.
const REMEMBERED: Duration = Duration::from_mins(15);
/// How many refusals are told apart.
const MOST_REFUSALS: usize = 32;
/// No refusal is longer than this.
const REFUSAL: usize = 64 * 1024;

/// The way to one cluster. Clones are the same.
#[derive(Clone)]
pub(super) struct Wire {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: ClusterName,
    metrics: Metrics,
    pace: Pace,
    calls: Pace,
    response_bytes: usize,
    last_contact: Mutex<Instant>,
    refused: Mutex<BTreeMap<Asked, Instant>>,
    refusals: Notify,
}

/// Which of a cluster's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Short requests, whose pace is limited.
    Requests,
    /// Short requests that a webhook's caller waits for: they wait for none of the others, however many.
    Calls,
    /// Lists and watches: one of each kind at a time.
    Watches,
}

impl Wire {
    pub(super) fn new(cluster: ClusterName, limits: &Limits, metrics: Metrics) -> Self {
        let inner = Inner {
            cluster,
            metrics,
            pace: Pace::new(limits.requests_in_flight, limits.requests_per_second),
            calls: Pace::at_once(limits.requests_in_flight),
            response_bytes: limits.response_bytes,
            last_contact: Mutex::new(Instant::now()),
            refused: Mutex::default(),
            refusals: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A client all of whose requests pass here.
    pub(super) fn client(&self, client: Client, to: Use) -> Client {
        let wire = self.clone();
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, wire) = (client.clone(), wire.clone());
            async move { wire.send(&client, to, request).await }
        });
        Client::new(service, namespace)
    }

    pub(super) fn touch(&self) {
        *self.inner.last_contact.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn since_last_contact(&self) -> Duration {
        self.inner.last_contact.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// What RBAC refused lately, and has not permitted since.
    pub(super) fn refused(&self) -> Vec<Asked> {
        let mut refused = self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, at| at.elapsed() < REMEMBERED);
        refused.keys().cloned().collect()
    }

    /// Waits until something is refused that was not, or permitted that was.
    pub(super) async fn refusals_changed(&self) {
        self.inner.refusals.notified().await;
    }

    async fn send(
        self,
        client: &Client,
        to: Use,
        request: Request<Body>,
    ) -> Result<Response<Capped>, BoxError> {
        let asked = Asked::of(&request);
        let place = match to {
            Use::Requests => Some(self.inner.pace.enter().await),
            Use::Calls => Some(self.inner.calls.enter().await),
            Use::Watches => None,
        };
        let answer = client.send(request).await;
        let code = answer.as_ref().map_or(0, |it| it.status().as_u16());
        let verb = asked.as_ref().map_or("get", |it| it.verb);
        count(&self.inner.metrics, &self.inner.cluster, (verb, code));
        let response = answer?;
        let status = response.status();
        // A gateway's own 5xx proves nothing about the cluster behind it.
        if !status.is_server_error() {
            self.touch();
        }
        let Some(asked) = asked else { return Ok(self.cap(response, Content::Whole, place)) };
        if status == StatusCode::FORBIDDEN {
            return self.judge_refusal(response, asked, place).await;
        }
        // Whatever else is wrong with a request is said after it was permitted.
        let is_judged =
            status != StatusCode::UNAUTHORIZED && status != StatusCode::TOO_MANY_REQUESTS;
        if is_judged && !status.is_server_error() {
            self.permitted(&asked);
        }
        let content = if asked.is_watch() { Content::Lines } else { Content::Whole };
        Ok(self.cap(response, content, place))
    }

    fn cap(
        &self,
        response: Response<Body>,
        content: Content,
        place: Option<Place>,
    ) -> Response<Capped> {
        let most = self.inner.response_bytes;
        response.map(|body| Capped::new(body, content, most).holding(place))
    }

    /// Remembers what RBAC refuses. Quotas and webhooks refuse with the same code, and other words.
    async fn judge_refusal(
        &self,
        response: Response<Body>,
        asked: Asked,
        place: Option<Place>,
    ) -> Result<Response<Capped>, BoxError> {
        let (parts, body) = response.into_parts();
        let text = Limited::new(body, REFUSAL).collect().await?.to_bytes();
        let status: Value = serde_json::from_slice(&text).unwrap_or_default();
        let message = status["message"].as_str().unwrap_or_default();
        if message.contains(&format!(" cannot {} resource ", asked.verb)) {
            self.refuse(asked);
        }
        let response = Response::from_parts(parts, Body::from(text));
        Ok(self.cap(response, Content::Whole, place))
    }

    fn refuse(&self, asked: Asked) {
        let mut refused = self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < MOST_REFUSALS || refused.contains_key(&asked) {
            let before = refused.insert(asked, Instant::now());
            if before.is_none() {
                self.inner.refusals.notify_one();
            }
        }
    }

    fn permitted(&self, asked: &Asked) {
        let mut refused = self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.remove(asked).is_some() {
            self.inner.refusals.notify_one();
        }
    }
}
