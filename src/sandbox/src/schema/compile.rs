//! From a schema's JSON to nodes, with what Kubernetes adds: how lists merge, what embedded
//! objects carry.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    object,
    registry::builtin,
    schema::{
        Bound, Holds, Leaf, Merge, Name, Node, Range, Rules, Shared, Type, definitions,
        formats::Format, merging, patterns,
    },
};

const REFERENCE: &str = "#/components/schemas/";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

pub(super) fn built_in(api_version: &str, kind: &str) -> Arc<Node> {
    let mut compiler = Compiler::default();
    builtin::definition(api_version, kind).map_or_else(Arc::default, |it| compiler.node(it))
}

pub(super) fn custom(schema: &Value) -> Arc<Node> {
    let mut compiler = Compiler::default();
    let node = compiler.node(schema);
    let mut root = Arc::try_unwrap(node).unwrap_or_default();
    compiler.embed(&mut root);
    Arc::new(root)
}

/// A part of a definition's schema by itself.
pub(super) fn part(schema: &Value) -> Arc<Node> {
    Compiler::default().node(schema)
}

#[derive(Default)]
struct Compiler {
    shared: Shared,
    /// References being compiled: one met again inside itself is a tree without end.
    open: Vec<String>,
}

impl Compiler {
    fn node(&mut self, schema: &Value) -> Arc<Node> {
        if let Some(name) = schema["$ref"].as_str() {
            return self.reference(name.strip_prefix(REFERENCE).unwrap_or(name));
        }
        let mut node = Node {
            kind: kind_of(schema),
            leaf: Leaf::of(schema["format"].as_str().unwrap_or_default()),
            nullable: schema["nullable"] == true,
            preserve: schema["x-kubernetes-preserve-unknown-fields"] == true,
            default: schema.get("default").cloned(),
            format: schema["format"].as_str().map(str::to_owned),
            merge: merge_of(schema),
            rules: self.rules(schema),
            ..Node::default()
        };
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let child = self.node(property);
            node.properties.insert(name.clone(), child);
        }
        match &schema["additionalProperties"] {
            Value::Bool(true) => {
                let any = Node { preserve: true, nullable: true, ..Node::default() };
                node.additional = Some(Arc::new(any));
            }
            it @ Value::Object(_) => node.additional = Some(self.node(it)),
            _ => {}
        }
        if schema["items"].is_object() {
            node.items = Some(self.node(&schema["items"]));
        }
        if schema["x-kubernetes-embedded-resource"] == true {
            self.embed(&mut node);
            node.holds = Holds::Resource;
        }
        Arc::new(node)
    }

    fn reference(&mut self, name: &str) -> Arc<Node> {
        if let Some(node) = self.shared.get(name) {
            return Arc::clone(node);
        }
        let open = self.open.iter().any(|it| it == name);
        if open || name.contains("apiextensions.v1.JSONSchemaProps") {
            return Arc::new(Node { preserve: true, ..Node::default() });
        }
        self.open.push(name.to_owned());
        let definitions = definitions();
        let node = self.node(&definitions[name]);
        self.open.pop();
        let node = Arc::try_unwrap(node).map_or_else(
            |it| it,
            |mut it| {
                merging::annotate(name, &mut it);
                title(name, &mut it);
                Arc::new(it)
            },
        );
        self.shared.insert(name.to_owned(), Arc::clone(&node));
        node
    }

    /// Gives an object what every object has; a definition's word on `metadata` is advice at most.
    fn embed(&mut self, node: &mut Node) {
        let text = || Arc::new(Node { kind: Some(Type::Text), ..Node::default() });
        node.kind = Some(Type::Object);
        node.properties.insert("apiVersion".to_owned(), text());
        node.properties.insert("kind".to_owned(), text());
        let metadata = self.reference(OBJECT_META);
        node.properties.insert("metadata".to_owned(), metadata);
    }

    fn rules(&mut self, schema: &Value) -> Rules {
        let number = |field: &str| schema[field].as_f64();
        let bound = |field: &str, exclusive: &str| {
            let value = number(field)?;
            Some(Bound { value, exclusive: schema[exclusive] == true })
        };
        let range = |least: &str, most: &str| Range {
            least: schema[least].as_u64(),
            most: schema[most].as_u64(),
        };
        // A definition with a broken pattern is refused before anything is held against it.
        let pattern = schema["pattern"].as_str().filter(|it| !it.is_empty());
        let pattern = pattern.and_then(|it| Some((it.to_owned(), patterns::compile(it).ok()?)));
        let kind = if schema["x-kubernetes-int-or-string"] == true {
            None
        } else {
            schema["type"].as_str()
        };
        let format = schema["format"].as_str().and_then(|it| Format::of(kind, it));
        Rules {
            required: object::strings(&schema["required"]).into_iter().map(Into::into).collect(),
            values: schema["enum"].as_array().cloned(),
            pattern,
            format,
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: number("multipleOf"),
            length: range("minLength", "maxLength"),
            count: range("minItems", "maxItems"),
            keys: range("minProperties", "maxProperties"),
            all_of: self.each(&schema["allOf"]),
            any_of: self.each(&schema["anyOf"]),
            one_of: self.each(&schema["oneOf"]),
            not: schema["not"].is_object().then(|| self.node(&schema["not"])),
        }
    }

    fn each(&mut self, schemas: &Value) -> Vec<Arc<Node>> {
        schemas.as_array().into_iter().flatten().map(|it| self.node(it)).collect()
    }
}

fn kind_of(schema: &Value) -> Option<Type> {
    if schema["x-kubernetes-int-or-string"] == true {
        return Some(Type::IntOrString);
    }
    schema["type"].as_str().and_then(Type::parse)
}

pub(super) fn merge_of(schema: &Value) -> Merge {
    if schema["x-kubernetes-map-type"] == "atomic" {
        return Merge::Whole;
    }
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Merge::Set,
        Some("map") => {
            let keys = object::strings(&schema["x-kubernetes-list-map-keys"]);
            Merge::Keyed(keys.into_iter().map(str::to_owned).collect())
        }
        _ => Merge::Usual,
    }
}

/// Gives a definition's node the definition's name, and what that name says of its text.
fn title(definition: &str, node: &mut Node) {
    let mut parts = definition.rsplit('.');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (short, package) = (part(), part());
    node.leaf = Leaf::of(&short);
    node.name = Some(Name { package, short });
}
