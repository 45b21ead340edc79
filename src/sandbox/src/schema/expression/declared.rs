//! What does a schema declare to its rules? The type of each part, how many of what it can hold at most, and how
//! short it can be written.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::types::Type;
use crate::object;

/// The largest body that a server takes.
const LARGEST: u64 = 3 * 1024 * 1024;

/// Words that are no names in expressions.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

#[derive(Debug)]
pub(in crate::schema) struct Decl {
    pub(super) form: Form,
    /// How many items, entries or letters it holds at most.
    pub(super) most: u64,
    /// How many bytes its shortest value takes.
    pub(super) least: u64,
}

#[derive(Debug)]
pub(super) enum Form {
    Plain(Type),
    List(Arc<Decl>),
    Map(Arc<Decl>),
    Object { name: String, fields: BTreeMap<String, Arc<Decl>> },
}

/// What part of a value a step leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Items,
    Keys,
    Values,
    /// The number of an item; nothing is declared of those.
    Places,
    Field(&'a str),
}

impl Decl {
    /// What a schema declares, if expressions can see it. A whole object has its identity too.
    pub(in crate::schema) fn of(schema: &Value, name: &str) -> Option<Arc<Self>> {
        if schema["x-kubernetes-int-or-string"] == true {
            let most = length(schema).map_or(LARGEST - 2, |it| it * 4);
            return Some(plain(Type::Dyn, most, 1));
        }
        match schema["type"].as_str()? {
            "array" => {
                let items = part(&schema["items"], &format!("{name}.@idx"))?;
                let most = schema["maxItems"].as_u64();
                let most = most.unwrap_or((LARGEST - 2) / (items.least + 1));
                Some(Arc::new(Self { form: Form::List(items), most, least: 2 }))
            }
            "object" if schema["additionalProperties"].is_object() => {
                let values = part(&schema["additionalProperties"], &format!("{name}.@elem"))?;
                let most = schema["maxProperties"].as_u64();
                let most = most.unwrap_or((LARGEST - 2) / (values.least + 6));
                Some(Arc::new(Self { form: Form::Map(values), most, least: 2 }))
            }
            "object" => Some(fields(schema, name)),
            "string" => Some(text(schema)),
            "boolean" => Some(plain(Type::Bool, 0, 4)),
            "number" => Some(plain(Type::Double, 0, 1)),
            "integer" => Some(plain(Type::Int, 0, 1)),
            _ => None,
        }
    }

    /// The same of a whole object, whose identity everybody knows.
    pub(in crate::schema) fn of_whole(schema: &Value, name: &str) -> Option<Arc<Self>> {
        let mut schema = schema.clone();
        let text = json!({"type": "string"});
        let names = json!({"name": text, "generateName": text});
        schema["properties"]["apiVersion"] = text.clone();
        schema["properties"]["kind"] = text;
        schema["properties"]["metadata"] = json!({"type": "object", "properties": names});
        Self::of(&schema, name)
    }

    pub(super) fn ty(self: &Arc<Self>) -> Type {
        match &self.form {
            Form::Plain(ty) => ty.clone(),
            Form::List(items) => Type::List(Box::new(items.ty())),
            Form::Map(values) => Type::Map(Box::new(Type::Text), Box::new(values.ty())),
            Form::Object { .. } => Type::Object(Arc::clone(self)),
        }
    }

    pub(super) fn object_name(&self) -> &str {
        match &self.form {
            Form::Object { name, .. } => name,
            _ => "",
        }
    }

    pub(super) fn step(&self, step: Step<'_>) -> Option<Arc<Self>> {
        match (&self.form, step) {
            (Form::List(inner) | Form::Map(inner), Step::Items | Step::Values) => {
                Some(Arc::clone(inner))
            }
            // Of keys nothing is declared but that they are text.
            (Form::Map(_), Step::Keys) => Some(plain(Type::Text, 0, 2)),
            (Form::Object { fields, .. }, Step::Field(name)) => fields.get(name).cloned(),
            _ => None,
        }
    }

    /// How often values of this can be in one object at most.
    pub(in crate::schema) fn most_often(&self) -> u64 {
        LARGEST / (self.least + 1)
    }
}

fn plain(ty: Type, most: u64, least: u64) -> Arc<Decl> {
    Arc::new(Decl { form: Form::Plain(ty), most, least })
}

fn part(schema: &Value, name: &str) -> Option<Arc<Decl>> {
    let embeds = schema["x-kubernetes-embedded-resource"] == true;
    if embeds { Decl::of_whole(schema, name) } else { Decl::of(schema, name) }
}

fn length(schema: &Value) -> Option<u64> {
    schema["maxLength"].as_i64().map(|it| u64::try_from(it).unwrap_or_default())
}

fn fields(schema: &Value, name: &str) -> Arc<Decl> {
    let required = object::strings(&schema["required"]);
    let mut least = 2;
    let mut fields = BTreeMap::new();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let Some(escaped) = escaped(key) else { continue };
        let Some(decl) = part(property, &format!("{name}.{escaped}")) else { continue };
        if required.contains(&key.as_str()) && property["default"].is_null() {
            least += key.len() as u64 + decl.least + 4;
        }
        fields.insert(escaped, decl);
    }
    Arc::new(Decl { form: Form::Object { name: name.to_owned(), fields }, most: 0, least })
}

fn text(schema: &Value) -> Arc<Decl> {
    match schema["format"].as_str().unwrap_or_default() {
        "byte" => plain(Type::Bytes, length(schema).unwrap_or(LARGEST - 2), 2),
        "duration" => plain(Type::Duration, 32, 3),
        "date" => plain(Type::Timestamp, 12, 12),
        "date-time" => plain(Type::Timestamp, 32, 21),
        _ => {
            let words = schema["enum"].as_array().filter(|it| !it.is_empty());
            let longest = |words: &Vec<Value>| {
                words.iter().filter_map(Value::as_str).map(|it| it.len() as u64).max()
            };
            let most = match (length(schema), words) {
                (Some(length), _) => length * 4,
                (None, Some(words)) => longest(words).unwrap_or_default(),
                (None, None) => LARGEST - 2,
            };
            plain(Type::Text, most, 2)
        }
    }
}

/// A field's name as expressions write it, if they can.
fn escaped(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let is_letter = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '-' | '/');
    if !name.chars().all(is_letter) || name.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let name = name.replace("__", "__underscores__");
    Some(name.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__"))
}
