//! How is a trigger called? Requests as forges send them, and the answers.

use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use serde_json::Value;
use sha2::Sha256;

use crate::Fleet;

/// A call that is not made yet.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What a caller is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A call without a body.
pub fn post(path: &str) -> Call {
    let (path, headers) = (path.to_owned(), HeaderMap::new());
    Call { method: Method::POST, path, headers, body: Vec::new() }
}

impl Call {
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Adds a header; one of the same name stays.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("the name of a header");
        let value = HeaderValue::from_str(value).expect("the value of a header");
        self.headers.append(name, value);
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A push as GitHub reports it.
    pub fn github_push(self, reference: &str, commit: &str, delivery: &str) -> Self {
        let body = serde_json::json!({
            "ref": reference, "before": "0".repeat(40), "after": commit, "deleted": false,
            "repository": { "full_name": "acme/app", "clone_url": "https://git.example/acme/app" },
            "commits": [{ "id": commit, "message": "change" }],
        });
        self.header("x-github-event", "push")
            .header("x-github-delivery", delivery)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Signs the body as it is now, as GitHub does.
    pub fn signed(self, secret: &str) -> Self {
        let signature = format!("sha256={}", signature(secret, &self.body));
        self.header("x-hub-signature-256", &signature)
    }

    fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().expect("a path");
        *request.headers_mut() = self.headers.clone();
        let caller = SocketAddr::from(([198, 51, 100, 7], 4711));
        request.extensions_mut().insert(git_events_runner::webhooks::Peer(caller));
        request
    }
}

/// HMAC-SHA256 in hexadecimal digits.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut signer = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    signer.update(body);
    data_encoding::HEXLOWER.encode(&signer.finalize().into_bytes())
}

impl Told {
    async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("an answer is short");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self { code: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// `ok`, `error` or `ignored`.
    pub fn word(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        self.body["task_id"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Fleet {
    /// Calls a replica.
    pub async fn call(&self, replica: &str, call: &Call) -> Told {
        let hooks = self.hooks(replica);
        Told::read(hooks.call(call.request()).await).await
    }

    /// Calls the first replica.
    pub async fn called(&self, call: &Call) -> Told {
        self.call("replica-1", call).await
    }
}
