//! The resource that a CustomResourceDefinition asks for.

use serde_json::{Value, json};

use crate::{
    api::scale::Paths,
    kinds::CUSTOM,
    object,
    registry::{Column, Origin, Resource, Version, api_version},
    schema::{Rulebook, Schema, Source},
};

/// The resource as the definition's spec describes it.
pub(crate) fn resource(definition: &Value) -> Resource {
    let spec = &definition["spec"];
    let text = |pointer: &str| object::text(spec, pointer).to_owned();
    let list = |pointer: &str| {
        let list = spec.pointer(pointer).map(object::strings).unwrap_or_default();
        list.into_iter().map(str::to_owned).collect()
    };
    let group = text("/group");
    let served = object::items(spec, "/versions").filter(|it| it["served"] == true);
    let mut versions: Vec<Version> = served.map(|it| version(&group, it)).collect();
    versions.sort_by_key(|it| std::cmp::Reverse(priority(&it.name)));

    let mut selectable: Vec<(String, String)> = Vec::new();
    for field in
        object::items(spec, "/versions").flat_map(|it| object::items(it, "/selectableFields"))
    {
        let label = object::text(field, "/jsonPath").trim_start_matches('.').to_owned();
        let pointer = format!("/{}", label.replace('.', "/"));
        selectable.push((label, pointer));
    }
    let mut storing = object::items(spec, "/versions").filter(|it| it["storage"] == true);
    let storage = storing.next().and_then(|it| it["name"].as_str());
    let plural = text("/names/plural");
    Resource {
        table: format!("{plural}.{group}"),
        group,
        plural,
        singular: text("/names/singular"),
        kind: text("/names/kind"),
        list_kind: text("/names/listKind"),
        short_names: list("/names/shortNames"),
        categories: list("/names/categories"),
        namespaced: spec["scope"] == "Namespaced",
        origin: Origin::Custom,
        selectable,
        storage: storage.unwrap_or_default().to_owned(),
        reshapes: versions.len() > 1,
        versions,
        rules: &CUSTOM,
    }
}

fn version(group: &str, spec: &Value) -> Version {
    let schema = spec.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_else(|| json!({}));
    let rules = Rulebook::compile(&schema);
    let name = object::text(spec, "/name");
    Version {
        name: name.to_owned(),
        full_name: api_version(group, name),
        schema: Schema::lazy(Source::Custom(schema)),
        status: spec["subresources"]["status"].is_object(),
        scale: Paths::of_definition(&spec["subresources"]["scale"]),
        columns: object::items(spec, "/additionalPrinterColumns").map(column).collect(),
        rules,
        shape: None,
    }
}

fn column(spec: &Value) -> Column {
    let text = |field: &str| object::text(spec, field).to_owned();
    Column {
        name: text("/name"),
        kind: text("/type"),
        format: text("/format"),
        description: described(spec),
        priority: spec["priority"].as_i64().unwrap_or_default(),
        path: text("/jsonPath"),
    }
}

/// A column that is not described is described by its path.
fn described(column: &Value) -> String {
    match object::text(column, "/description") {
        "" => {
            let path = object::text(column, "/jsonPath");
            format!("Custom resource definition column (in JSONPath format): {path}")
        }
        stated => stated.to_owned(),
    }
}

/// Orders versions as Kubernetes prefers them: v2 before v1 before v1beta2 before v1alpha1.
pub(crate) fn priority(version: &str) -> (u8, u64, u64) {
    let number = |text: &str| text.parse::<u64>().ok();
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    if let Some(major) = number(rest) {
        return (3, major, 0);
    }
    for (stage, rank) in [("beta", 2), ("alpha", 1)] {
        if let Some((major, minor)) = rest.split_once(stage)
            && let (Some(major), Some(minor)) = (number(major), number(minor))
        {
            return (rank, major, minor);
        }
    }
    (0, 0, 0)
}
