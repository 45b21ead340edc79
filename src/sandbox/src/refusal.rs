//! What the API answers when it does not do as asked: a `Status`, word for word as Kubernetes
//! says it, because clients read the reason and people read the message.

use serde_json::{Value, json};

pub(crate) type Result<T, E = Refusal> = std::result::Result<T, E>;

/// A `Status` of failure with its HTTP code.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    status: Box<Value>,
}

/// One field at fault in an invalid object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Cause {
    pub(crate) fn new(reason: &'static str, field: impl Into<String>, message: String) -> Self {
        Self { reason, field: field.into(), message }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = format!("Invalid value: {}: {detail}", shown(value));
        Self::new("FieldValueInvalid", field, message)
    }

    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self::new("FieldValueRequired", field, message)
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
    }

    /// A value that is none of those that there are.
    pub(crate) fn unsupported(
        field: impl Into<String>,
        value: impl Into<Value>,
        known: &[&str],
    ) -> Self {
        let known: Vec<String> = known.iter().map(|it| Value::from(*it).to_string()).collect();
        let value = value.into();
        let message = format!("Unsupported value: {value}: supported values: {}", known.join(", "));
        Self::new("FieldValueNotSupported", field, message)
    }

    pub(crate) fn line(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

/// How Kubernetes prints a value at fault: objects and lists by their JSON, text in quotes.
fn shown(value: &Value) -> String {
    value.to_string()
}

/// What a refusal is about, as `details` name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) group: &'a str,
    /// The plural for most refusals, the kind for an invalid object.
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
}

impl Subject<'_> {
    fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.kind.to_owned()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }

    fn details(&self) -> Value {
        let mut details = json!({});
        for (key, value) in [("name", self.name), ("group", self.group), ("kind", self.kind)] {
            if !value.is_empty() {
                details[key] = value.into();
            }
        }
        details
    }
}

impl Refusal {
    pub(crate) fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message.into(), "code": code,
        });
        if !reason.is_empty() {
            status["reason"] = reason.into();
        }
        Self { code, status: Box::new(status) }
    }

    fn about(mut self, subject: &Subject<'_>) -> Self {
        self.status["details"] = subject.details();
        self
    }

    pub(crate) fn causes(mut self, causes: &[Cause]) -> Self {
        if !causes.is_empty() {
            let list = causes
                .iter()
                .map(|it| json!({"reason": it.reason, "message": it.message, "field": it.field}));
            let list: Vec<Value> = list.collect();
            self.status["details"]["causes"] = list.into();
        }
        self
    }

    /// With details of another shape than those of an object.
    pub(crate) fn details(mut self, details: Value) -> Self {
        self.status["details"] = details;
        self
    }

    /// The `Status` as it goes over the wire.
    pub(crate) fn status(&self) -> &Value {
        &self.status
    }

    pub(crate) fn message(&self) -> &str {
        self.status["message"].as_str().unwrap_or_default()
    }

    /// The same in other words.
    pub(crate) fn saying(mut self, message: &str) -> Self {
        self.status["message"] = message.into();
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.status["details"]["retryAfterSeconds"] = seconds.into();
        self
    }

    pub(crate) fn not_found(subject: &Subject<'_>) -> Self {
        let message = format!("{} \"{}\" not found", subject.qualified(), subject.name);
        Self::new(404, "NotFound", message).about(subject)
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").unspecific()
    }

    /// 404 by the part of a real server that knows no objects at all.
    pub(crate) fn no_such_page() -> Self {
        Self { code: 404, status: Box::new("404 page not found\n".into()) }
    }

    pub(crate) fn internal(why: &str) -> Self {
        let mut refusal =
            Self::new(500, "InternalError", format!("Internal error occurred: {why}"));
        refusal.status["details"] = json!({"causes": [{"message": why}]});
        refusal
    }

    pub(crate) fn already_exists(subject: &Subject<'_>) -> Self {
        let message = format!("{} \"{}\" already exists", subject.qualified(), subject.name);
        Self::new(409, "AlreadyExists", message).about(subject)
    }

    /// The name is taken by what is on its way out.
    pub(crate) fn still_exists(subject: &Subject<'_>) -> Self {
        let mut refusal = Self::already_exists(subject);
        let message = refusal.status["message"].as_str().unwrap_or_default();
        refusal.status["message"] = format!("object is being deleted: {message}").into();
        refusal
    }

    pub(crate) fn conflict(subject: &Subject<'_>, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{}\": {why}",
            subject.qualified(),
            subject.name
        );
        Self::new(409, "Conflict", message).about(subject)
    }

    pub(crate) fn modified(subject: &Subject<'_>) -> Self {
        Self::conflict(
            subject,
            "the object has been modified; please apply your changes to the latest version and \
             try again",
        )
    }

    pub(crate) fn forbidden(subject: &Subject<'_>, why: &str) -> Self {
        let message = format!("{} \"{}\" is forbidden: {why}", subject.qualified(), subject.name);
        Self::new(403, "Forbidden", message).about(subject)
    }

    /// 403, of somebody who may not; the subject has no name where a collection is meant, and nothing
    /// at all where a path is.
    pub(crate) fn unauthorized(subject: &Subject<'_>, why: &str) -> Self {
        let message = match (subject.kind, subject.name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{} is forbidden: {why}", subject.qualified()),
            (_, name) => format!("{} \"{name}\" is forbidden: {why}", subject.qualified()),
        };
        Self::new(403, "Forbidden", message).about(subject)
    }

    /// 422. The subject names the kind here, not the resource.
    pub(crate) fn invalid(subject: &Subject<'_>, causes: &[Cause]) -> Self {
        // What two rules say is said once.
        let mut lines: Vec<String> = Vec::new();
        for line in causes.iter().map(Cause::line) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let text = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{}\" is invalid: {text}", subject.qualified(), subject.name);
        Self::new(422, "Invalid", message).about(subject).causes(causes)
    }

    /// 422 without a word on what is wrong.
    pub(crate) fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        let mut refusal = Self::new(422, "Invalid", message);
        refusal.status["details"] = json!({});
        refusal
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn wrong_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).unspecific()
    }

    /// The server itself refused, before it looked at any object.
    fn unspecific(mut self) -> Self {
        self.status["details"] = json!({});
        self
    }

    /// 504: a version that this cluster has not come to.
    pub(crate) fn too_new(stated: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {stated}, current: {current}");
        let mut refusal = Self::new(504, "Timeout", message).retry_after(1);
        refusal.status["details"]["causes"] = json!([
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"},
        ]);
        refusal
    }

    /// What a list that was cut short goes on from.
    pub(crate) fn continued(mut self, token: String) -> Self {
        self.status["metadata"]["continue"] = token.into();
        self
    }

    pub(crate) fn wrong_media(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 415 as the server says it of a patch, before it looks at the object.
    pub(crate) fn unsupported_media() -> Self {
        Self::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").unspecific()
    }

    /// A failure by code alone, as a fault or a front proxy would answer.
    pub(crate) fn of_code(code: u16) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden"),
            404 => ("NotFound", "the server could not find the requested resource"),
            409 => ("Conflict", "the server reported a conflict"),
            410 => ("Expired", "The resourceVersion for the provided watch is too old."),
            429 => ("TooManyRequests", "too many requests, please try again later"),
            500 => ("InternalError", "an error on the server has prevented the request"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            _ => ("", "the request was refused"),
        };
        let refusal = Self::new(code, reason, message);
        if code == 429 { refusal.retry_after(1) } else { refusal }
    }
}
