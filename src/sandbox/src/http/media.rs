//! In which form and which notation a client wants its answer, by its `Accept` header.

use serde_json::{Value, json};

use crate::{
    api::Target,
    http::{Exchange, query::Query},
    refusal::{Refusal, Result},
};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The form in which a client wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    Table(Include),
    Metadata,
}

/// What a Table's rows carry beside their cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

/// What an object may be turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transform {
    Table,
    Metadata,
    MetadataList,
}

/// What a client wants made of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Nothing.
    Plain,
    Made(Transform),
    /// What is not to be had.
    Unknown,
}

/// One of the alternatives of an `Accept` header.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts.filter_map(|it| it.split_once('=')).collect();
        let quality = parameters.iter().find(|(name, _)| *name == "q");
        let quality = quality.and_then(|(_, it)| it.parse().ok()).unwrap_or(1.0);
        Self { media, parameters, quality }
    }

    /// All of a header, the most wanted first.
    fn all(accept: &'a str) -> Vec<Self> {
        let mut all: Vec<Self> = accept.split(',').map(Self::parse).collect();
        all.sort_by(|one, other| other.quality.total_cmp(&one.quality));
        all
    }

    fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(it, _)| *it == name).map_or("", |(_, value)| value)
    }

    fn takes(&self, media: &str) -> bool {
        self.media == media || matches!(self.media, "*/*" | "application/*")
    }

    /// What it wants made of an object.
    fn transform(&self) -> Wish {
        let of = [self.parameter("as"), self.parameter("g"), self.parameter("v")];
        let transform = match of {
            ["", "", ""] => return Wish::Plain,
            ["Table", "meta.k8s.io", "v1" | "v1beta1"] => Transform::Table,
            ["PartialObjectMetadata", "meta.k8s.io", "v1" | "v1beta1"] => Transform::Metadata,
            ["PartialObjectMetadataList", "meta.k8s.io", "v1" | "v1beta1"] => {
                Transform::MetadataList
            }
            _ => return Wish::Unknown,
        };
        Wish::Made(transform)
    }
}

/// Whether an answer goes out as YAML: the first notation we have that a client takes.
pub(super) fn wants_yaml(accept: &str) -> bool {
    accept.contains("yaml")
        && Clause::all(accept)
            .iter()
            .find(|it| it.takes(JSON) || it.takes(YAML))
            .is_some_and(|it| !it.takes(JSON))
}

/// Whether documents that know no transformation can be had so.
pub(super) fn check_plain(accept: &str) -> Result<()> {
    if is_usual(accept) {
        return Ok(());
    }
    let clauses = Clause::all(accept);
    check_known(&clauses, &[JSON, YAML, PROTOBUF])?;
    let has = |it: &Clause<'_>| (it.takes(JSON) || it.takes(YAML)) && it.transform() == Wish::Plain;
    if clauses.iter().any(has) { Ok(()) } else { Err(none_of(&[JSON, YAML, PROTOBUF])) }
}

/// The form of the objects in an answer.
pub(super) fn form(exchange: &Exchange, target: &Target) -> Result<Form> {
    if is_usual(&exchange.accept) {
        return Ok(Form::Whole);
    }
    let custom = target.resource.is_custom();
    let clauses = Clause::all(&exchange.accept);
    if !custom {
        let mut produced = vec![JSON, YAML, PROTOBUF];
        if target.name.is_empty() && exchange.method == http::Method::GET {
            produced.extend([WATCHED_JSON, WATCHED_PROTOBUF]);
        }
        check_known(&clauses, &produced)?;
    }
    let watches = exchange.method == http::Method::GET && exchange.query.is_set("watch");
    let usable = |it: &&Clause<'_>| it.takes(JSON) || !watches && it.takes(YAML);
    let found =
        clauses.iter().filter(usable).map(Clause::transform).find(|it| *it != Wish::Unknown);
    let Some(transform) = found else {
        return Err(none_of(match (watches, custom) {
            (true, false) => &[WATCHED_JSON, WATCHED_PROTOBUF],
            (true, true) => &[WATCHED_JSON],
            (false, false) => &[JSON, YAML, PROTOBUF],
            (false, true) => &[JSON, YAML],
        }));
    };
    let Wish::Made(transform) = transform else { return Ok(Form::Whole) };
    if transform == Transform::Table {
        return Ok(Form::Table(include(&exchange.query)?));
    }
    let lists = target.name.is_empty() && exchange.method == http::Method::GET;
    match (transform, lists) {
        _ if watches => Ok(Form::Metadata),
        (Transform::Metadata, true) => {
            let what = "PartialObjectMetadata, but the requested object is a list";
            Err(misfit(&format!("{what} ({}List)", go_name(target))))
        }
        (Transform::MetadataList, false) => {
            let what = "PartialObjectMetadataList, but the requested object is not a list";
            Err(misfit(&format!("{what} ({})", go_name(target))))
        }
        _ => Ok(Form::Metadata),
    }
}

const WATCHED_JSON: &str = "application/json;stream=watch";
const WATCHED_PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";

fn is_usual(accept: &str) -> bool {
    matches!(accept, "" | JSON | "*/*")
}

/// The routes of built-in kinds look at the media types alone, and never at part of one.
fn check_known(clauses: &[Clause<'_>], produced: &[&str]) -> Result<()> {
    let known = |it: &Clause<'_>| it.media == "*/*" || produced.contains(&it.media);
    if clauses.iter().any(known) {
        return Ok(());
    }
    let text = format!("406: Not Acceptable\n\nAvailable representations: {}", produced.join(", "));
    Err(Refusal::new(406, "NotAcceptable", text).details(json!({})))
}

fn none_of(accepted: &[&str]) -> Refusal {
    let text = format!("only the following media types are accepted: {}", accepted.join(", "));
    Refusal::new(406, "NotAcceptable", text)
}

fn misfit(what: &str) -> Refusal {
    Refusal::new(406, "NotAcceptable", format!("you requested {what}"))
}

/// What messages call an object: by the server's own name for its type.
fn go_name(target: &Target) -> String {
    let resource = &target.resource;
    if resource.is_custom() {
        return "*unstructured.Unstructured".to_owned();
    }
    let package = match resource.group.as_str() {
        "" | "events.k8s.io" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    format!("*{package}.{}", resource.kind)
}

fn include(query: &Query) -> Result<Include> {
    match query.text("includeObject") {
        "" | "Metadata" => Ok(Include::Metadata),
        "Object" => Ok(Include::Object),
        "None" => Ok(Include::Nothing),
        other => Err(Refusal::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: \
             must be 'Metadata', 'Object', 'None', or empty"
        ))),
    }
}

/// An object without what only its kind knows.
pub(super) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

#[cfg(test)]
mod tests {
    use super::{check_plain, wants_yaml};

    #[test]
    fn yaml_goes_to_who_takes_it_before_json() {
        assert!(wants_yaml("application/yaml"));
        assert!(wants_yaml("application/json;q=0.5,application/yaml;q=0.9"));
        assert!(!wants_yaml("application/json, application/yaml"));
        assert!(!wants_yaml("*/*"));
    }

    #[test]
    fn a_part_of_a_media_type_is_no_media_type() {
        assert!(check_plain("application/vnd.kubernetes.protobuf, application/json").is_ok());
        assert!(check_plain("text/html, */*").is_ok());
        assert!(check_plain("application/*").is_err());
        assert!(check_plain("text/plain").is_err());
        assert!(check_plain("application/json;as=Table;g=meta.k8s.io;v=v1").is_err());
    }
}
