//! What is a caller told? A code, a sentence, and the run's id.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::limits::{Seen, tighter};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
/// Seconds until everything is allowed again.
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// The original's: seconds until one more is allowed.
const AFTER: HeaderName = HeaderName::from_static("x-ratelimit-after");

/// An answer, before it is HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: StatusCode,
    word: &'static str,
    message: Cow<'static, str>,
    runs: Vec<String>,
    retry_after: Option<Duration>,
    /// The limit that is nearest to its end.
    seen: Option<Box<Seen>>,
    /// What is left of the request is not read: the connection cannot be used again.
    closes: bool,
}

impl Answer {
    fn of(code: StatusCode, word: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self { code, word, message, runs: Vec::new(), retry_after: None, seen: None, closes: false }
    }

    fn error(code: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(code, "error", message)
    }

    pub(super) fn recorded(runs: Vec<String>) -> Self {
        Self { runs, ..Self::of(StatusCode::ACCEPTED, "ok", "job has been scheduled") }
    }

    pub(super) fn repeated(runs: Vec<String>) -> Self {
        let message = "this delivery was here before, and its run is not finished";
        Self { runs, ..Self::of(StatusCode::OK, "ok", message) }
    }

    pub(super) fn ping() -> Self {
        Self::of(StatusCode::OK, "ok", "the webhook arrives here")
    }

    pub(super) fn ignored(why: String) -> Self {
        Self::of(StatusCode::OK, "ignored", why)
    }

    pub(super) fn malformed(why: String) -> Self {
        Self::error(StatusCode::BAD_REQUEST, why)
    }

    pub(super) fn not_multi_source() -> Self {
        Self::error(StatusCode::BAD_REQUEST, "multi-source hook isn't allowed")
    }

    pub(super) fn refused(why: ger_core::webhook::Refused) -> Self {
        let code = match why {
            ger_core::webhook::Refused::Missing => StatusCode::UNAUTHORIZED,
            ger_core::webhook::Refused::Wrong => StatusCode::FORBIDDEN,
        };
        Self::error(code, why.to_string())
    }

    pub(super) fn no_such_path() -> Self {
        Self::error(StatusCode::NOT_FOUND, "nothing is here: POST /NAMESPACE/TRIGGER[/SOURCE]")
    }

    pub(super) fn not_a_post() -> Self {
        Self::error(StatusCode::METHOD_NOT_ALLOWED, "webhooks are POSTed")
    }

    pub(super) fn no_trigger() -> Self {
        Self::error(StatusCode::NOT_FOUND, "trigger doesn't exist")
    }

    pub(super) fn no_source() -> Self {
        Self::error(StatusCode::NOT_FOUND, "source doesn't exist in the trigger")
    }

    pub(super) fn suspended() -> Self {
        Self::error(StatusCode::CONFLICT, "the trigger is suspended")
    }

    pub(super) fn wrong_config() -> Self {
        let message = "the trigger cannot be carried out as it is: its conditions say why";
        Self::error(StatusCode::CONFLICT, message)
    }

    pub(super) fn too_large() -> Self {
        let message = "the request is larger than is accepted here";
        Self { closes: true, ..Self::error(StatusCode::PAYLOAD_TOO_LARGE, message) }
    }

    pub(super) fn too_slow() -> Self {
        let message = "the body did not arrive in time";
        Self { closes: true, ..Self::error(StatusCode::REQUEST_TIMEOUT, message) }
    }

    pub(super) fn broken_body() -> Self {
        Self { closes: true, ..Self::error(StatusCode::BAD_REQUEST, "the body broke off") }
    }

    pub(super) fn too_many(seen: Seen) -> Self {
        let message = format!("Too Many Requests! Wait for {}s", whole_seconds(seen.next));
        Self {
            retry_after: Some(seen.next),
            seen: Some(Box::new(seen)),
            ..Self::error(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    pub(super) fn full(source: &str) -> Self {
        let message = format!("source {source} has too many unfinished runs; try again later");
        let retry_after = Some(Duration::from_secs(30));
        Self { retry_after, ..Self::error(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    pub(super) fn no_secret() -> Self {
        Self::error(StatusCode::INTERNAL_SERVER_ERROR, "unable to complete authorization")
    }

    pub(super) fn api_error() -> Self {
        let message = "the call could not be recorded; try again";
        Self::error(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub(super) fn unreachable() -> Self {
        let message = "the trigger's cluster does not answer; nothing was accepted, try again";
        Self::later(message)
    }

    pub(super) fn busy() -> Self {
        Self::later("too much is going on here; nothing was accepted, try again")
    }

    fn later(message: &'static str) -> Self {
        let retry_after = Some(Duration::from_secs(10));
        Self { retry_after, ..Self::error(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// Tells of a limit, unless a nearer one is told of.
    pub(super) fn having(self, seen: Option<Seen>) -> Self {
        let seen = tighter(self.seen.map(|it| *it), seen);
        Self { seen: seen.map(Box::new), ..self }
    }

    /// The same, where the rest of the request is not waited for.
    pub(super) fn at_once(self) -> Self {
        Self { closes: true, ..self }
    }

    pub(super) fn into_response(self) -> Response {
        let mut body = json!({ "status": self.word, "message": self.message });
        if !self.runs.is_empty() {
            body["task_id"] = self.runs.join(",").into();
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.code == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        if let Some(seen) = self.seen {
            headers.insert(LIMIT, seen.burst.into());
            headers.insert(REMAINING, seen.remaining.into());
            headers.insert(RESET, whole_seconds(seen.reset).into());
            if self.code == StatusCode::TOO_MANY_REQUESTS {
                headers.insert(AFTER, whole_seconds(seen.next).into());
            }
        }
        response
    }
}

/// Never too early, and never now.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_nearest_to_its_end_is_told_of() {
        let seen = |burst, remaining| Seen {
            burst,
            remaining,
            next: Duration::ZERO,
            reset: Duration::from_secs(1),
        };
        let told = |of_trigger: Seen, of_all: Seen| {
            let answer = Answer::ping().having(Some(of_trigger)).having(Some(of_all));
            answer.into_response().headers()[LIMIT].to_str().unwrap().to_owned()
        };

        assert_eq!(told(seen(10, 9), seen(100, 1)), "100");
        assert_eq!(told(seen(10, 1), seen(100, 9)), "10");
        let refused = Answer::too_many(seen(10, 0)).having(Some(seen(100, 0))).into_response();
        assert_eq!(refused.headers()[LIMIT], "10", "the one that is exceeded");
    }
}
