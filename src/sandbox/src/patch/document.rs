//! The body of a patch as JSON, and what the server says of one that is none.

use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

use crate::{
    patch::Format,
    refusal::{Refusal, Result},
    strict_json,
};

/// Reads a patch. An apply may be YAML; all others are JSON.
pub(crate) fn parse(body: &[u8], format: Format) -> Result<Value> {
    if format == Format::Apply {
        return applied(body);
    }
    let read: Result<Value, String> =
        serde_json::from_slice(body).map_err(|why| syntax(body, &why));
    let fitting = read.and_then(|patch| match (format, &patch) {
        (Format::Json, Value::Array(_)) | (Format::Merge | Format::Strategic, Value::Object(_)) => {
            Ok(patch)
        }
        // Nothing is no list of operations, and a patch that changes nothing.
        (Format::Json | Format::Strategic, Value::Null) => Ok(patch),
        (Format::Merge, Value::Null) => Err(String::new()),
        (_, found) => Err(misfit(found, format)),
    });
    fitting.map_err(|why| {
        Refusal::bad_request(match format {
            Format::Merge if why.is_empty() => "Invalid JSON Patch".to_owned(),
            Format::Strategic => why,
            _ => format!("error decoding patch: {why}"),
        })
    })
}

fn applied(body: &[u8]) -> Result<Value> {
    if let Ok(value @ Value::Object(_)) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let fault = |why: String| Refusal::bad_request(format!("error decoding YAML: {why}"));
    match yaml(&String::from_utf8_lossy(body)) {
        Ok(value @ Value::Object(_)) => Ok(value),
        // An empty document says nothing, so not what it is of either.
        Ok(Value::Null) => Ok(Value::Object(serde_json::Map::new())),
        Ok(found) => {
            let why = misfit(&found, Format::Apply);
            Err(fault(format!("error unmarshaling JSON: while decoding JSON: {why}")))
        }
        Err(why) => Err(fault(format!("error converting YAML to JSON: yaml: {why}"))),
    }
}

/// A document of YAML. The last of several equal keys counts, as in JSON.
pub(crate) fn yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(text, options)
}

/// What a patch says twice, as strict readers are told of it.
pub(crate) fn repeated(body: &[u8], format: Format) -> Vec<String> {
    let twice = strict_json::read(body).map(|(_, twice)| twice);
    match (format, twice) {
        (Format::Apply, Ok(twice)) if twice.is_empty() => Vec::new(),
        // JSON is read as the YAML that it is, too.
        (Format::Apply, _) => {
            Vec::from_iter(strict_json::duplicate_key(&String::from_utf8_lossy(body)))
        }
        (_, Err(_)) => Vec::new(),
        (Format::Json, Ok(twice)) => {
            let lines = strict_json::duplicates(&twice);
            lines.into_iter().map(|it| format!("json patch {it}")).collect()
        }
        (Format::Merge | Format::Strategic, Ok(twice)) => strict_json::duplicates(&twice),
    }
}

fn misfit(found: &Value, format: Format) -> String {
    let wanted =
        if format == Format::Json { "[]handlers.jsonPatchOp" } else { "map[string]interface {}" };
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}

/// Where JSON breaks off or goes wrong.
fn syntax(body: &[u8], why: &serde_json::Error) -> String {
    let first = body.iter().find(|it| !it.is_ascii_whitespace());
    match first {
        Some(byte) if !why.is_eof() && !b"{[\"-tfn0123456789".contains(byte) => {
            format!("invalid character '{}' looking for beginning of value", char::from(*byte))
        }
        _ if why.is_eof() => "unexpected end of JSON input".to_owned(),
        _ => why.to_string(),
    }
}
