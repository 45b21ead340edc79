//! Whether a definition is one that Kubernetes takes: its names, its versions, and what each of them
//! says.

use serde_json::Value;

use crate::{
    kinds::definition::hoist::{self, Part},
    object,
    refusal::Cause,
    schema::{self, structural::paths, structural::shown},
    validate,
};

const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or \
    '-', start with an alphabetic character, and end with an alphanumeric character (e.g. \
    'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

const APPROVAL: &str = "api-approved.kubernetes.io";

const KEP: &str = "see https://github.com/kubernetes/enhancements/pull/1111";

/// What may stand at the root of a schema beside a status of its own: the keyword, and its name in
/// the refusal.
const AT_ROOT: [(&str, &str); 22] = [
    ("description", "Description"),
    ("type", "Type"),
    ("format", "Format"),
    ("title", "Title"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("required", "Required"),
    ("items", "Items"),
    ("properties", "Properties"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
    ("x-kubernetes-validations", "XValidations"),
];

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];

const COLUMN_FORMATS: [&str; 8] =
    ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

/// So many fields may be selected by.
const SELECTABLE: usize = 8;

pub(in crate::kinds) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = Vec::new();
    let spec = &object["spec"];
    name(object, &mut faults);
    group(spec, &mut faults);
    for (index, version) in object::items(spec, "/versions").enumerate() {
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
            faults.push(Cause::required(path, ""));
        }
    }
    versions(spec, &mut faults);
    names(&spec["names"], &mut faults);
    schemas(spec, &mut faults);
    for (_, stated, path) in Part::Subresources.each(spec) {
        scale(&stated["scale"], &path, &mut faults);
    }
    for (_, stated, path) in Part::Columns.each(spec) {
        for (index, it) in stated.as_array().into_iter().flatten().enumerate() {
            column(it, &format!("{path}[{index}]"), &mut faults);
        }
    }
    for (at, stated, path) in Part::Selectable.each(spec) {
        let schema = &spec["versions"][at]["schema"]["openAPIV3Schema"];
        selectable(object::items(stated, ""), schema, &path, &mut faults);
    }
    super::conversion::validate(&spec["conversion"], &mut faults);
    if let Some(old) = old {
        fixed(spec, old, &mut faults);
    }
    stored(object, &mut faults);
    approval(object, old, &mut faults);
    if spec["preserveUnknownFields"] == true {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                   spec.versions[*].schema instead";
        let field = "spec.preserveUnknownFields";
        faults.push(Cause::invalid(field, &spec["preserveUnknownFields"], why));
    }
    faults
}

fn name(object: &Value, faults: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let (plural, group) = (object::text(spec, "/names/plural"), object::text(spec, "/group"));
    if object::name(object) != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        faults.push(Cause::invalid("metadata.name", &object["metadata"]["name"], detail));
    }
}

fn group(spec: &Value, faults: &mut Vec<Cause>) {
    let group = object::text(spec, "/group");
    if group.is_empty() {
        faults.push(Cause::required("spec.group", ""));
    } else if !validate::is_subdomain(group) {
        faults.push(Cause::invalid("spec.group", &spec["group"], validate::SUBDOMAIN));
    } else if !group.contains('.') {
        let why = "should be a domain with at least one dot";
        faults.push(Cause::invalid("spec.group", &spec["group"], why));
    }
    match object::text(spec, "/scope") {
        "" => faults.push(Cause::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => {
            faults.push(Cause::unsupported("spec.scope", other, &["Cluster", "Namespaced"]));
        }
    }
}

/// A label that begins with a letter.
pub(super) fn label(text: &str) -> Option<String> {
    let begins = text.starts_with(|it: char| it.is_ascii_lowercase());
    if text.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    (!begins || !validate::is_label(text)).then(|| LABEL_1035.to_owned())
}

fn versions(spec: &Value, faults: &mut Vec<Cause>) {
    let mut seen: Vec<&str> = Vec::new();
    let mut is_repeated = false;
    for (index, version) in object::items(spec, "/versions").enumerate() {
        let path = format!("spec.versions[{index}]");
        let name = object::text(version, "/name");
        is_repeated |= seen.contains(&name);
        seen.push(name);
        if let Some(why) = label(name) {
            faults.push(Cause::invalid(format!("{path}.name"), &name.into(), &why));
        }
        if let Some(warning) = version["deprecationWarning"].as_str() {
            let path = format!("{path}.deprecationWarning");
            for why in warning_faults(version, warning) {
                faults.push(Cause::invalid(path.clone(), &warning.into(), &why));
            }
        }
    }
    let storing = object::items(spec, "/versions").filter(|it| it["storage"] == true).count();
    for (is_wrong, why) in [
        (is_repeated, "must contain unique version names"),
        (storing != 1, "must have exactly one version marked as storage version"),
    ] {
        if is_wrong {
            let shown = hoist::shown(spec);
            let message = format!("Invalid value: {shown}: {why}");
            faults.push(Cause::new("FieldValueInvalid", "spec.versions", message));
        }
    }
}

fn warning_faults(version: &Value, warning: &str) -> Vec<String> {
    if version["deprecated"] != true {
        return vec!["can only be set for deprecated versions".to_owned()];
    }
    let mut faults = Vec::new();
    if warning.len() > 256 {
        faults.push("must be <= 256 characters long".to_owned());
    }
    if warning.is_empty() {
        faults.push("must not be an empty string".to_owned());
    }
    if let Some(at) = warning.find(char::is_control) {
        faults.push(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index \
             {at}"
        ));
    }
    faults
}

fn names(names: &Value, faults: &mut Vec<Cause>) {
    let text = |field: &str| names[field].as_str().unwrap_or_default();
    for field in ["plural", "singular", "kind", "listKind"] {
        if text(field).is_empty() {
            faults.push(Cause::required(format!("spec.names.{field}"), ""));
        }
    }
    for field in ["plural", "singular", "kind", "listKind"] {
        let stated = text(field);
        let is_kind = field.ends_with("ind");
        let name = if is_kind { stated.to_lowercase() } else { stated.to_owned() };
        if let Some(why) = label(&name).filter(|_| !stated.is_empty()) {
            let prefix = "may have mixed case, but should otherwise match: ";
            let why = if is_kind { format!("{prefix}{why}") } else { why };
            faults.push(Cause::invalid(format!("spec.names.{field}"), &stated.into(), &why));
        }
    }
    for field in ["shortNames", "categories"] {
        for (index, name) in object::strings(&names[field]).into_iter().enumerate() {
            if let Some(why) = label(name) {
                let path = format!("spec.names.{field}[{index}]");
                faults.push(Cause::invalid(path, &name.into(), &why));
            }
        }
    }
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        let why = "kind and listKind may not be the same";
        faults.push(Cause::invalid("spec.names.listKind", &names["listKind"], why));
    }
}

fn schemas(spec: &Value, faults: &mut Vec<Cause>) {
    let any_status =
        object::items(spec, "/versions").any(|it| it["subresources"]["status"].is_object());
    let is_common = Part::Schema.is_common(spec);
    for (at, stated, path) in Part::Schema.each(spec) {
        let schema = &stated["openAPIV3Schema"];
        if !schema.is_object() {
            continue;
        }
        let path = format!("{path}.openAPIV3Schema");
        let own = spec["versions"][at]["subresources"]["status"].is_object();
        if own || is_common && any_status {
            faults.extend(root_fault(schema, &path));
        }
        if schema["nullable"] == true {
            let why = "nullable cannot be true at the root";
            faults.push(Cause::forbidden(format!("{path}.nullable"), why));
        }
        faults.extend(schema::check(schema, &path));
    }
}

/// A status of its own is validated by itself, which only these keywords at the root allow.
fn root_fault(schema: &Value, path: &str) -> Option<Cause> {
    let says = |value: &Value| !value.is_null() && *value != false && *value != "";
    if schema["type"] != "object" && schema["type"].is_string() {
        let why = "only \"object\" is allowed as the type at the root of the schema if the status \
                   subresource is enabled";
        return Some(Cause::invalid(format!("{path}.type"), &schema["type"], why));
    }
    let known = |keyword: &str| AT_ROOT.iter().any(|it| it.0 == keyword);
    schema.as_object()?.iter().find(|(keyword, value)| !known(keyword) && says(value))?;
    let names: Vec<&str> = AT_ROOT.iter().map(|it| it.1).collect();
    let message = format!(
        "Invalid value: {}: only [{}] fields are allowed at the root of the schema if the status \
         subresource is enabled",
        shown::schema(schema),
        names.join(" ")
    );
    Some(Cause::new("FieldValueInvalid", path, message))
}

fn scale(scale: &Value, path: &str, faults: &mut Vec<Cause>) {
    if !scale.is_object() {
        return;
    }
    for (field, places, why) in [
        ("specReplicasPath", [".spec."].as_slice(), "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."], "should be a json path under .status"),
        (
            "labelSelectorPath",
            &[".spec.", ".status."],
            "should be a json path under either .spec or .status",
        ),
    ] {
        let stated = scale[field].as_str().unwrap_or_default();
        let path = format!("{path}.scale.{field}");
        if stated.is_empty() {
            if field != "labelSelectorPath" {
                faults.push(Cause::required(path, ""));
            }
        } else if !stated.starts_with('.') {
            faults.push(Cause::invalid(path, &stated.into(), SIMPLE));
        } else if !places.iter().any(|it| stated.starts_with(it)) {
            faults.push(Cause::invalid(path, &stated.into(), why));
        }
    }
}

const SIMPLE: &str = "must be a simple json path starting with .";

fn column(column: &Value, path: &str, faults: &mut Vec<Cause>) {
    let text = |field: &str| column[field].as_str().unwrap_or_default();
    let one_of = |known: &[&str]| format!("must be one of {}", known.join(","));
    if text("name").is_empty() {
        faults.push(Cause::required(format!("{path}.name"), ""));
    }
    if text("type").is_empty() {
        faults.push(Cause::required(format!("{path}.type"), &one_of(&COLUMN_TYPES)));
    } else if !COLUMN_TYPES.contains(&text("type")) {
        let why = one_of(&COLUMN_TYPES);
        faults.push(Cause::invalid(format!("{path}.type"), &column["type"], &why));
    }
    if !text("format").is_empty() && !COLUMN_FORMATS.contains(&text("format")) {
        let why = one_of(&COLUMN_FORMATS);
        faults.push(Cause::invalid(format!("{path}.format"), &column["format"], &why));
    }
    if text("jsonPath").is_empty() {
        faults.push(Cause::required(format!("{path}.JSONPath"), ""));
    } else if !text("jsonPath").starts_with('.') {
        faults.push(Cause::invalid(format!("{path}.JSONPath"), &column["jsonPath"], SIMPLE));
    }
}

fn selectable<'a>(
    fields: impl Iterator<Item = &'a Value>,
    schema: &Value,
    path: &str,
    faults: &mut Vec<Cause>,
) {
    let mut seen: Vec<String> = Vec::new();
    for (index, field) in fields.enumerate() {
        let at = format!("{path}[{index}].jsonPath");
        let stated = field["jsonPath"].as_str().unwrap_or_default();
        if stated.is_empty() {
            faults.push(Cause::required(at, ""));
            continue;
        }
        let found = if stated.contains('[') {
            Err("array notation is not allowed".to_owned())
        } else {
            paths::find(stated, schema)
        };
        let target = match found {
            Ok(target) => target,
            Err(why) => {
                let why = format!("is an invalid path: {why}");
                faults.push(Cause::invalid(at, &stated.into(), &why));
                continue;
            }
        };
        if target.steps.first().is_some_and(|it| it == "metadata") {
            let why = "must not point to fields in metadata";
            faults.push(Cause::invalid(at.clone(), &stated.into(), why));
        }
        let kind = target.schema["type"].as_str().unwrap_or_default();
        if !matches!(kind, "string" | "boolean" | "integer") {
            let why = "must point to a field of type string, boolean or integer. Enum string \
                       fields and strings with formats are allowed.";
            faults.push(Cause::invalid(at.clone(), &stated.into(), why));
        }
        if seen.contains(&target.path) {
            let message = format!("Duplicate value: {}", Value::from(stated));
            faults.push(Cause::new("FieldValueDuplicate", at, message));
        } else {
            seen.push(target.path);
        }
    }
    if seen.len() > SELECTABLE {
        let message = format!("Too many: {}: must have at most {SELECTABLE} items", seen.len());
        faults.push(Cause::new("FieldValueTooMany", path, message));
    }
}

/// What decides where objects are kept stays as it is.
fn fixed(spec: &Value, old: &Value, faults: &mut Vec<Cause>) {
    let is_established = object::items(old, "/status/conditions")
        .any(|it| it["type"] == "Established" && it["status"] == "True");
    let established = ["/scope", "/names/kind"].into_iter().filter(|_| is_established);
    for pointer in established.chain(["/group", "/names/plural"]) {
        let (now, before) = (spec.pointer(pointer), old["spec"].pointer(pointer));
        if now != before {
            let path = format!("spec{}", pointer.replace('/', "."));
            faults.push(Cause::invalid(path, now.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
}

/// A version that objects are stored in does not go before they do.
fn stored(object: &Value, faults: &mut Vec<Cause>) {
    let (spec, stored) = (&object["spec"], &object["status"]["storedVersions"]);
    let names = object::strings(stored);
    let path = "status.storedVersions";
    if names.is_empty() {
        let why = "must have at least one stored version";
        faults.push(Cause::invalid(path, &Value::Null, why));
        return;
    }
    for version in object::items(spec, "/versions").filter(|it| it["storage"] == true) {
        let name = object::text(version, "/name");
        if !names.contains(&name) {
            let why = format!("must have the storage version {name}");
            faults.push(Cause::invalid(path, stored, &why));
        }
    }
    for (index, name) in names.iter().enumerate() {
        if !object::items(spec, "/versions").any(|it| it["name"] == *name) {
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must \
                 remain in spec.versions until a storage migration ensures no data remains \
                 persisted in {name} and removes {name} from status.storedVersions"
            );
            faults.push(Cause::invalid(format!("{path}[{index}]"), &(*name).into(), &why));
        }
    }
}

/// A group of the community asks for its approval.
fn approval(object: &Value, old: Option<&Value>, faults: &mut Vec<Cause>) {
    let group = object::text(object, "/spec/group");
    let ours = ["k8s.io", "kubernetes.io"];
    if !ours.iter().any(|it| group == *it || group.ends_with(&format!(".{it}"))) {
        return;
    }
    let state = |it: &Value| {
        let stated = it["metadata"]["annotations"][APPROVAL].as_str().unwrap_or_default();
        let is_url =
            stated.split_once("://").is_some_and(|it| !it.0.is_empty() && !it.1.is_empty());
        (stated.is_empty(), stated.starts_with("unapproved") || is_url)
    };
    if old.is_some_and(|it| state(it) == state(object)) {
        return;
    }
    let path = format!("metadata.annotations[{APPROVAL}]");
    let must = format!("protected groups must have approval annotation \"{APPROVAL}\"");
    match state(object) {
        (true, _) => faults.push(Cause::required(path, &format!("{must}, {KEP}"))),
        (false, true) => {}
        (false, false) => {
            let why =
                format!("{must} with either a URL or a reason starting with \"unapproved\", {KEP}");
            let stated = &object["metadata"]["annotations"][APPROVAL];
            faults.push(Cause::invalid(path, stated, &why));
        }
    }
}
