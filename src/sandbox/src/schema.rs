//! What a kind's objects look like: a compiled tree of nodes that pruning, defaulting, validation,
//! merging and field ownership walk along.

mod cel;
mod compile;
mod default;
mod expression;
mod formats;
mod leaf;
mod lists;
mod merging;
mod patterns;
mod prune;
pub(crate) mod structural;
mod validate;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    num::NonZeroU64,
    sync::{
        Arc, OnceLock,
        atomic::{self, AtomicU64},
    },
};

use regex::Regex;
use serde_json::Value;

pub(crate) use self::{
    cel::{Judged, Rulebook},
    default::{default, fill},
    leaf::Leaf,
    lists::duplicates,
    prune::{Mode, prune},
    structural::check,
    validate::validate,
};
use crate::registry::builtin;

/// Where a schema comes from.
#[derive(Debug)]
pub(crate) enum Source {
    BuiltIn {
        api_version: String,
        kind: &'static str,
    },
    /// The `openAPIV3Schema` of a definition.
    Custom(Value),
}

/// Which schema it is: no two have the same, were they equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(NonZeroU64);

/// A schema compiled when first asked for: most kinds are never written in most tests.
#[derive(Debug)]
pub(crate) struct Schema {
    source: Source,
    stamp: Stamp,
    root: OnceLock<Arc<Node>>,
}

impl Schema {
    pub(crate) fn lazy(source: Source) -> Self {
        static STAMPS: AtomicU64 = AtomicU64::new(1);
        let stamp = NonZeroU64::new(STAMPS.fetch_add(1, atomic::Ordering::Relaxed));
        let stamp = Stamp(stamp.unwrap_or(NonZeroU64::MAX));
        Self { source, stamp, root: OnceLock::new() }
    }

    /// What tells it from all others of the process.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub(crate) fn root(&self) -> &Arc<Node> {
        self.root.get_or_init(|| match &self.source {
            Source::BuiltIn { api_version, kind } => compile::built_in(api_version, kind),
            Source::Custom(schema) => compile::custom(schema),
        })
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    Text,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

impl Type {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::Text,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Text => value.is_string(),
            // A number without a fraction is an integer however it was written.
            Self::Integer => value.is_i64() || value.as_f64().is_some_and(validate::is_whole),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::IntOrString => value.is_string() || Self::Integer.takes(value),
        }
    }
}

/// How a list or a map is owned and merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Maps field by field, lists as a whole.
    #[default]
    Usual,
    /// As a whole, whatever it is.
    Whole,
    /// A list of values, each for itself.
    Set,
    /// A list of objects that these fields tell apart.
    Keyed(Vec<String>),
}

/// What a strategic merge patch does with a field of a built-in kind, where that is not the usual:
/// maps field by field, lists as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Lists item by item; without a key their items are plain values.
    Merge { key: Option<&'static str> },
    /// The same, and a patch may say which fields of an item stay.
    MergeRetaining { key: &'static str },
    /// A patch may say which fields stay.
    Retain,
    /// As a whole.
    Replace,
}

/// What the type of a node is called.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    /// `v1`
    pub(crate) package: String,
    /// `PodSpec`
    pub(crate) short: String,
}

/// What an object in another one is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Holds {
    #[default]
    Fields,
    /// An object of a kind of its own, with metadata.
    Resource,
}

/// One node of a schema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) kind: Option<Type>,
    /// Of a definition of its own.
    pub(crate) name: Option<Name>,
    pub(crate) leaf: Leaf,
    pub(crate) nullable: bool,
    /// Fields that are not known are kept.
    pub(crate) preserve: bool,
    pub(crate) properties: BTreeMap<String, Arc<Self>>,
    /// The same, by the lengths of their names first; made when it is first needed.
    index: OnceLock<Vec<(String, Arc<Self>)>>,
    /// What values of keys that are not properties look like.
    pub(crate) additional: Option<Arc<Self>>,
    pub(crate) items: Option<Arc<Self>>,
    pub(crate) holds: Holds,
    pub(crate) merge: Merge,
    /// How strategic merge patches treat single properties.
    pub(crate) strategies: BTreeMap<String, Strategy>,
    pub(crate) default: Option<Value>,
    /// A Quantity, a time or bytes: built-in kinds check those when they decode.
    pub(crate) format: Option<String>,
    pub(crate) rules: Rules,
}

/// What a value must hold beyond its type.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) required: Vec<String>,
    pub(crate) values: Option<Vec<Value>>,
    /// As it was written, and as it is matched.
    pub(crate) pattern: Option<(String, Regex)>,
    pub(crate) format: Option<formats::Format>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) length: Range,
    pub(crate) count: Range,
    pub(crate) keys: Range,
    pub(crate) all_of: Vec<Arc<Node>>,
    pub(crate) any_of: Vec<Arc<Node>>,
    pub(crate) one_of: Vec<Arc<Node>>,
    pub(crate) not: Option<Arc<Node>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) exclusive: bool,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) least: Option<u64>,
    pub(crate) most: Option<u64>,
}

impl Node {
    /// What the value under a key looks like.
    pub(crate) fn field(&self, key: &str) -> Option<&Self> {
        self.known(key).or(self.additional.as_ref()).map(Arc::as_ref)
    }

    /// Whether a key has a node of its own rather than that of any other key.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.known(key).is_some()
    }

    /// Every field of every write is looked up here: mostly without comparing any text but the right one.
    fn known(&self, key: &str) -> Option<&Arc<Self>> {
        let index = self.index.get_or_init(|| {
            let all = self.properties.iter().map(|(name, it)| (name.clone(), Arc::clone(it)));
            let mut all: Vec<(String, Arc<Self>)> = all.collect();
            all.sort_by(|(one, _), (two, _)| by_length(one, two));
            all
        });
        let at = index.binary_search_by(|(name, _)| by_length(name, key)).ok()?;
        index.get(at).map(|(_, it)| it)
    }

    pub(crate) fn item(&self) -> Option<&Self> {
        self.items.as_deref()
    }
}

fn by_length(one: &str, two: &str) -> Ordering {
    one.len().cmp(&two.len()).then_with(|| one.cmp(two))
}

/// Schemas by the name they are referred to, while a kind is compiled.
type Shared = HashMap<String, Arc<Node>>;

fn definitions() -> Arc<Value> {
    builtin::definitions()
}
