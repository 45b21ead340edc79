//! How does Kubernetes show a part of a definition at fault? As its own memory holds it: every field,
//! under the name that it has there, set or not.

use serde_json::Value;

/// What a field holds when nothing is said of it.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Flag,
    /// As it was written, or null.
    Plain,
    Schema,
    Schemas,
    SchemasByName,
    SchemaOrList,
    SchemaOrFlag,
    Rules,
}

const SCHEMA: [(&str, &str, Form); 44] = [
    ("ID", "id", Form::Text),
    ("Schema", "$schema", Form::Text),
    ("Ref", "$ref", Form::Plain),
    ("Description", "description", Form::Text),
    ("Type", "type", Form::Text),
    ("Nullable", "nullable", Form::Flag),
    ("Format", "format", Form::Text),
    ("Title", "title", Form::Text),
    ("Default", "default", Form::Plain),
    ("Maximum", "maximum", Form::Plain),
    ("ExclusiveMaximum", "exclusiveMaximum", Form::Flag),
    ("Minimum", "minimum", Form::Plain),
    ("ExclusiveMinimum", "exclusiveMinimum", Form::Flag),
    ("MaxLength", "maxLength", Form::Plain),
    ("MinLength", "minLength", Form::Plain),
    ("Pattern", "pattern", Form::Text),
    ("MaxItems", "maxItems", Form::Plain),
    ("MinItems", "minItems", Form::Plain),
    ("UniqueItems", "uniqueItems", Form::Flag),
    ("MultipleOf", "multipleOf", Form::Plain),
    ("Enum", "enum", Form::Plain),
    ("MaxProperties", "maxProperties", Form::Plain),
    ("MinProperties", "minProperties", Form::Plain),
    ("Required", "required", Form::Plain),
    ("Items", "items", Form::SchemaOrList),
    ("AllOf", "allOf", Form::Schemas),
    ("OneOf", "oneOf", Form::Schemas),
    ("AnyOf", "anyOf", Form::Schemas),
    ("Not", "not", Form::Schema),
    ("Properties", "properties", Form::SchemasByName),
    ("AdditionalProperties", "additionalProperties", Form::SchemaOrFlag),
    ("PatternProperties", "patternProperties", Form::SchemasByName),
    ("Dependencies", "dependencies", Form::Plain),
    ("AdditionalItems", "additionalItems", Form::SchemaOrFlag),
    ("Definitions", "definitions", Form::SchemasByName),
    ("ExternalDocs", "externalDocs", Form::Plain),
    ("Example", "example", Form::Plain),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", Form::Plain),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", Form::Flag),
    ("XIntOrString", "x-kubernetes-int-or-string", Form::Flag),
    ("XListMapKeys", "x-kubernetes-list-map-keys", Form::Plain),
    ("XListType", "x-kubernetes-list-type", Form::Plain),
    ("XMapType", "x-kubernetes-map-type", Form::Plain),
    ("XValidations", "x-kubernetes-validations", Form::Rules),
];

const RULE: [(&str, &str, Form); 6] = [
    ("Rule", "rule", Form::Text),
    ("Message", "message", Form::Text),
    ("MessageExpression", "messageExpression", Form::Text),
    ("Reason", "reason", Form::Plain),
    ("FieldPath", "fieldPath", Form::Text),
    ("OptionalOldSelf", "optionalOldSelf", Form::Plain),
];

const COLUMN: [(&str, &str, Form); 6] = [
    ("Name", "name", Form::Text),
    ("Type", "type", Form::Text),
    ("Format", "format", Form::Text),
    ("Description", "description", Form::Text),
    ("Priority", "priority", Form::Plain),
    ("JSONPath", "jsonPath", Form::Text),
];

pub(crate) fn rule(rule: &Value) -> String {
    fields(rule, &RULE)
}

pub(crate) fn schema(schema: &Value) -> String {
    fields(schema, &SCHEMA)
}

/// A column of a table of objects.
pub(crate) fn column(column: &Value) -> String {
    fields(column, &COLUMN).replace("\"Priority\":null", "\"Priority\":0")
}

fn fields(value: &Value, known: &[(&str, &str, Form)]) -> String {
    let known = known.iter().map(|(name, key, kind)| {
        let value = &value[*key];
        format!("\"{name}\":{}", shown(value, *kind))
    });
    format!("{{{}}}", known.collect::<Vec<String>>().join(","))
}

fn shown(value: &Value, kind: Form) -> String {
    match (kind, value) {
        (Form::Text, Value::Null) => "\"\"".to_owned(),
        (Form::Flag, Value::Null) => "false".to_owned(),
        (Form::Schema, it @ Value::Object(_)) => schema(it),
        (Form::SchemaOrList, it @ Value::Object(_)) => {
            format!("{{\"Schema\":{},\"JSONSchemas\":null}}", schema(it))
        }
        (Form::SchemaOrList, it @ Value::Array(_)) => {
            format!("{{\"Schema\":null,\"JSONSchemas\":{}}}", shown(it, Form::Schemas))
        }
        (Form::SchemaOrFlag, it @ Value::Object(_)) => {
            format!("{{\"Allows\":true,\"Schema\":{}}}", schema(it))
        }
        (Form::SchemaOrFlag, Value::Bool(it)) => format!("{{\"Allows\":{it},\"Schema\":null}}"),
        (Form::Schemas, Value::Array(list)) => each(list.iter().map(schema)),
        (Form::Rules, Value::Array(list)) => each(list.iter().map(rule)),
        (Form::SchemasByName, Value::Object(map)) => {
            let parts = map
                .iter()
                .map(|(name, it)| format!("{}:{}", Value::from(name.as_str()), schema(it)));
            format!("{{{}}}", parts.collect::<Vec<String>>().join(","))
        }
        (_, value) => value.to_string(),
    }
}

fn each(parts: impl Iterator<Item = String>) -> String {
    format!("[{}]", parts.collect::<Vec<String>>().join(","))
}
