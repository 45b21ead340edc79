//! Whether an object's metadata are what Kubernetes takes: names, labels, annotations,
//! finalizers, owners.

use serde_json::Value;

use crate::{object, refusal::Cause, registry::Resource};

pub(crate) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
    or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
    regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
    '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const NOTHING: &str = "name part must be non-empty";

/// All annotations of an object together.
const ANNOTATIONS: usize = 256 * 1024;

pub(crate) fn metadata(object: &Value, resource: &Resource) -> Vec<Cause> {
    let mut faults = Vec::new();
    faults.extend(prefix_fault(object, resource));
    let name = object::name(object);
    if name.is_empty() {
        faults.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        faults.extend(name_fault(name, resource));
    }
    labels(object::of_metadata(object, "labels"), "metadata.labels", &mut faults);
    annotations(object::of_metadata(object, "annotations"), &mut faults);
    owners(object, &mut faults);
    finalizers(object, resource, &mut faults);
    faults
}

/// What a name begins with may end in a dash: the suffix is to come.
fn prefix_fault(object: &Value, resource: &Resource) -> Option<Cause> {
    let prefix = object::meta(object, "generateName");
    if prefix.is_empty() {
        return None;
    }
    let masked = prefix.strip_suffix('-').filter(|it| !it.is_empty());
    let masked = masked.map_or_else(|| prefix.to_owned(), |it| format!("{it}a"));
    let detail = resource.rules.name_fault(&masked)?;
    Some(Cause::invalid("metadata.generateName", &prefix.into(), &detail))
}

/// Who holds an object is named with a domain, but for the few that Kubernetes knows.
fn finalizers(object: &Value, resource: &Resource, faults: &mut Vec<Cause>) {
    const KNOWN: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
    let finalizers = object::finalizers(object);
    for (index, finalizer) in finalizers.iter().enumerate() {
        let value = Value::from(*finalizer);
        if let Some(detail) = qualified(finalizer) {
            faults.push(Cause::invalid("metadata.finalizers", &value, &detail));
        } else if !resource.is_custom() && !finalizer.contains('/') && !KNOWN.contains(finalizer) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            faults.push(Cause::invalid(format!("metadata.finalizers[{index}]"), &value, detail));
        }
    }
    if KNOWN[1..].iter().all(|it| finalizers.contains(it)) {
        let value = &object["metadata"]["finalizers"];
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        faults.push(Cause::invalid("metadata.finalizers", value, detail));
    }
}

fn name_fault(name: &str, resource: &Resource) -> Option<Cause> {
    let detail = resource.rules.name_fault(name)?;
    Some(Cause::invalid("metadata.name", &name.into(), &detail))
}

/// What is wrong with the name of most kinds.
pub(crate) fn subdomain_fault(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 characters".to_owned());
    }
    (!is_subdomain(name)).then(|| SUBDOMAIN.to_owned())
}

/// What is wrong with a name that becomes one part of a host's.
pub(crate) fn label_fault(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    if name.contains('.') && is_subdomain(name) {
        return Some("must not contain dots".to_owned());
    }
    (!is_label(name)).then(|| LABEL.to_owned())
}

/// What is wrong with a name that only has to be a part of a path.
pub(crate) fn segment_fault(name: &str) -> Option<String> {
    if matches!(name, "." | "..") {
        return Some(format!("may not be '{name}'"));
    }
    let found = ['/', '%'].into_iter().find(|it| name.contains(*it))?;
    Some(format!("may not contain '{found}'"))
}

/// All that is wrong with a qualified name.
pub(crate) fn qualified_faults(name: &str) -> Vec<String> {
    let fault = qualified(name);
    let is_nothing = fault.as_deref() == Some(NOTHING);
    fault.into_iter().chain(is_nothing.then(|| QUALIFIED.to_owned())).collect()
}

pub(crate) fn is_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|it| is_lower(*it));
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|it| is_lower(*it) || *it == b'-')
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

pub(crate) fn is_subdomain(text: &str) -> bool {
    // The parts may be longer than a label: only the whole has a limit.
    let part = |part: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(|it| is_lower(*it));
        let bytes = part.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|it| is_lower(*it) || *it == b'-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

/// Checks a map of labels wherever it is.
pub(crate) fn labels(labels: &Value, path: &str, faults: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        if let Some(detail) = qualified(key) {
            faults.push(Cause::invalid(path, &key.as_str().into(), &detail));
        }
        let fault = label_value_fault(value.as_str().unwrap_or_default());
        faults.extend(fault.map(|it| Cause::invalid(path, value, it)));
    }
}

/// What is wrong with the value of a label.
pub(crate) fn label_value_fault(text: &str) -> Option<&'static str> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes");
    }
    (!text.is_empty() && !is_name_part(text)).then_some(LABEL_VALUE)
}

fn is_name_part(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.'))
}

/// What is wrong with a qualified name: `[prefix/]name`.
pub(crate) fn qualified(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            let part = QUALIFIED.strip_prefix("name part must").unwrap_or(QUALIFIED);
            return Some(format!(
                "a valid label key must{part} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')"
            ));
        }
        Some(("", _)) => return Some("prefix part must be non-empty".to_owned()),
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix.filter(|it| !is_subdomain(it)) {
        let detail = if prefix.is_empty() { "prefix part must be non-empty" } else { SUBDOMAIN };
        return Some(format!("prefix part {detail}"));
    }
    if name.is_empty() {
        return Some(NOTHING.to_owned());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 bytes".to_owned());
    }
    (!is_name_part(name)).then(|| QUALIFIED.to_owned())
}

fn annotations(annotations: &Value, faults: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        if let Some(detail) = qualified(&key.to_lowercase()) {
            let path = "metadata.annotations";
            faults.push(Cause::invalid(path, &key.as_str().into(), &detail));
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS {
        let message = format!("Too long: may not be more than {ANNOTATIONS} bytes");
        faults.push(Cause::new("FieldValueTooLong", "metadata.annotations", message));
    }
}

fn owners(object: &Value, faults: &mut Vec<Cause>) {
    let mut controller: Option<&Value> = None;
    let list = object::of_metadata(object, "ownerReferences");
    for owner in list.as_array().into_iter().flatten() {
        let version = object::text(owner, "/apiVersion");
        if version.is_empty() || version.matches('/').count() > 1 {
            let path = "metadata.ownerReferences.apiVersion";
            faults.push(Cause::invalid(path, &version.into(), "version must not be empty"));
        }
        for field in ["kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let path = format!("metadata.ownerReferences.{field}");
                faults.push(Cause::invalid(path, &"".into(), "must not be empty"));
            }
        }
        if version == "v1" && owner["kind"] == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            faults.push(Cause::invalid("metadata.ownerReferences", owner, detail));
        }
        if owner["controller"] != true {
            continue;
        }
        let named =
            |it: &Value| format!("{}/{}", object::text(it, "/kind"), object::text(it, "/name"));
        if let Some(first) = controller {
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references \
                 for {} and {}",
                named(first),
                named(owner)
            );
            faults.push(Cause::invalid("metadata.ownerReferences", list, &detail));
        }
        controller = Some(owner);
    }
}
