//! What does an answer say is wrong with an object?

use serde_json::Value;

use crate::ground::{Answer, Ground};

/// How the message of a cause begins, by its reason.
const REASONS: [(&str, &str); 8] = [
    ("FieldValueRequired", "Required value"),
    ("FieldValueInvalid", "Invalid value"),
    ("FieldValueNotSupported", "Unsupported value"),
    ("FieldValueDuplicate", "Duplicate value"),
    ("FieldValueForbidden", "Forbidden"),
    ("FieldValueNotFound", "Not found"),
    ("FieldValueTooLong", "Too long"),
    ("FieldValueTooMany", "Too many"),
];

/// The causes of a 422, each as its field and its message; reasons have to fit their messages.
pub(crate) fn causes(answer: &Answer) -> Vec<String> {
    let status = answer.json();
    assert_eq!((answer.code, status["reason"].as_str()), (422, Some("Invalid")), "{}", answer.text);
    let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    causes.iter().map(line).collect()
}

fn line(cause: &Value) -> String {
    let [reason, field, message] =
        ["reason", "field", "message"].map(|it| cause[it].as_str().unwrap_or_default());
    let fits = REASONS.iter().any(|(it, start)| *it == reason && message.starts_with(start));
    assert!(fits, "{cause}");
    format!("{field}: {message}")
}

impl Ground {
    /// Where the objects of a kind are in the case's namespace.
    pub(crate) fn path(&self, api_version: &str, plural: &str) -> String {
        let root = if api_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{api_version}/namespaces/{}/{plural}", self.namespace())
    }
}
