//! The resources that are there without any definition.

mod rows;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use serde_json::Value;

use self::rows::{Row, RowVersion, Scope, Status};
use crate::{
    api::scale::Paths,
    kinds,
    registry::{Origin, Resource, Version, api_version},
    schema::{Schema, Source},
};

/// Shared by all clusters of the process: they never change.
static RESOURCES: LazyLock<Vec<Arc<Resource>>> =
    LazyLock::new(|| rows::rows().map(|it| Arc::new(resource(&it))).collect());

/// The schemas of all kinds with the definitions they share, as OpenAPI documents need them.
static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut roots = HashMap::new();
    for row in rows::rows() {
        for version in &row.versions {
            let schema = (version.schema)(&mut generator);
            roots.insert((api_version(row.group, version.name), row.kind), schema.to_value());
        }
    }
    let shared = generator.take_definitions(false);
    Definitions { roots, shared: Arc::new(Value::Object(shared)) }
});

struct Definitions {
    roots: HashMap<(String, &'static str), Value>,
    shared: Arc<Value>,
}

pub(crate) fn resources() -> impl Iterator<Item = Arc<Resource>> {
    RESOURCES.iter().cloned()
}

/// The shared definitions, by the names OpenAPI gives them.
pub(crate) fn definitions() -> Arc<Value> {
    Arc::clone(&DEFINITIONS.shared)
}

/// The schema of a kind, as a reference into the definitions.
pub(crate) fn definition(api_version: &str, kind: &str) -> Option<&'static Value> {
    DEFINITIONS
        .roots
        .iter()
        .find(|((version, it), _)| version == api_version && *it == kind)
        .map(|(_, it)| it)
}

fn resource(row: &Row) -> Resource {
    let table = if row.group.is_empty() || row.id == "events" {
        row.id.to_owned()
    } else {
        format!("{}.{}", row.id, row.group)
    };
    let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    let version = |it: &RowVersion| Version {
        name: it.name.to_owned(),
        full_name: api_version(row.group, it.name),
        schema: Schema::lazy(Source::BuiltIn {
            api_version: api_version(row.group, it.name),
            kind: row.kind,
        }),
        status: row.status == Status::Subresource,
        scale: Paths::built_in(row.id),
        columns: Vec::new(),
        rules: None,
        shape: it.shape,
    };
    Resource {
        group: row.group.to_owned(),
        plural: row.id.to_owned(),
        singular: row.kind.to_lowercase(),
        kind: row.kind.to_owned(),
        list_kind: format!("{}List", row.kind),
        short_names: owned(row.short),
        storage: String::new(),
        reshapes: false,
        categories: owned(row.categories),
        namespaced: row.scope == Scope::Namespaced,
        origin: Origin::BuiltIn,
        rules: kinds::rules(&table),
        table,
        selectable: row
            .selectable
            .iter()
            .map(|(label, path)| ((*label).to_owned(), (*path).to_owned()))
            .collect(),
        versions: row.versions.iter().map(version).collect(),
    }
}
