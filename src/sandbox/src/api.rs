//! What the API does with a request: every operation runs whole under the store's lock.

mod change;
pub(crate) mod create;
pub(crate) mod delete;
mod judge;
pub(crate) mod list;
pub(crate) mod log;
mod page;
pub(crate) mod patch;
pub(crate) mod placing;
pub(crate) mod read;
pub(crate) mod scale;
mod status;
pub(crate) mod update;

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    auth::User,
    breakage::{Breakage, Broken},
    kinds, object,
    refusal::{Refusal, Result},
    registry::{Resource, Version},
    schema::{self, Mode, Node, Stamp},
    store::{Key, State, Stored},
};

/// What a request is about, as its path says.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    pub(crate) version: String,
    /// `None` for cluster-scoped resources and for reads across namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Target {
    pub(crate) fn key(&self) -> Key {
        Key::new(self.namespace.as_deref().unwrap_or_default(), &self.name)
    }

    pub(crate) fn version(&self) -> Result<&Version> {
        self.resource.version(&self.version).ok_or_else(Refusal::no_such_path)
    }

    pub(crate) fn api_version(&self) -> Cow<'_, str> {
        match self.resource.version(&self.version) {
            Some(it) => it.full_name.as_str().into(),
            None => self.resource.api_version(&self.version).into(),
        }
    }

    pub(crate) fn not_found(&self) -> Refusal {
        Refusal::not_found(&self.resource.subject(&self.name))
    }

    pub(crate) fn existing(&self, state: &State) -> Result<Arc<Stored>> {
        state.find(&self.resource.table, &self.key()).ok_or_else(|| self.not_found())
    }
}

/// What to do about fields that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    Ignore,
    Warn,
    Strict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Real,
    DryRun,
}

/// The options of a write.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) effect: Effect,
    /// Who owns the fields that are written.
    pub(crate) manager: String,
    pub(crate) force: bool,
    pub(crate) strictness: Strictness,
    /// What the body says twice, as strict readers are told of it.
    pub(crate) repeated: Vec<String>,
    /// Who writes; nobody in particular when it is the cluster itself.
    pub(crate) user: Option<Arc<User>>,
    /// What the cluster does not keep to.
    pub(crate) broken: Broken,
}

/// A write on its way through the API.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) target: Target,
    pub(crate) options: Options,
    pub(crate) now: Timestamp,
}

/// Who settles the ownership of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owners {
    /// The write is compared with what was there.
    OfUpdate,
    /// An apply has said who owns what.
    Applied,
}

impl Owners {
    /// Fills defaults in. Nulls fall away when a body is decoded, and what was applied never is: there
    /// only those go that have a default.
    fn default(self, object: &mut Value, root: &Node) {
        match self {
            Self::OfUpdate => schema::default(object, root),
            Self::Applied => schema::fill(object, root),
        }
    }
}

/// Why JSON that is no object cannot be one.
fn no_object(body: &Value) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \
         \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
        go_name(body)
    )
}

/// What a real server's decoder calls a value.
fn go_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// An object that somebody wants stored.
#[derive(Debug)]
struct Draft {
    object: Value,
    warnings: Vec<String>,
    owners: Owners,
}

/// What a write left behind.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Arc<Stored>,
    pub(crate) code: u16,
    /// Shown by clients; nothing failed.
    pub(crate) warnings: Vec<String>,
    /// The object itself is gone: answer with a `Status` unless the kind says otherwise.
    pub(crate) gone: bool,
}

impl Written {
    fn kept(object: Arc<Stored>, code: u16, warnings: Vec<String>) -> Self {
        Self { object, code, warnings, gone: false }
    }
}

impl Call {
    fn resource(&self) -> &Resource {
        &self.target.resource
    }

    pub(crate) fn is_broken(&self, breakage: Breakage) -> bool {
        self.options.broken.has(breakage)
    }

    /// Turns a body into an object as it is stored: right kind, known fields, stored version.
    fn decode(&self, body: Value) -> Result<Draft> {
        self.decode_saying(body, &self.options.repeated)
    }

    /// The same of what an apply has made, which says nothing twice any more.
    fn decode_applied(&self, body: Value) -> Result<Draft> {
        self.decode_saying(body, &[])
    }

    fn decode_saying(&self, mut body: Value, repeated: &[String]) -> Result<Draft> {
        self.settle_kind(&mut body)?;
        let version = self.target.version()?;
        let whole = self.is_broken(Breakage::UnknownFields).then(|| body.clone());
        let mode = if self.resource().is_custom() { Mode::Prune } else { Mode::Decode };
        let mut unknown = schema::prune(&mut body, version.schema.root(), mode).map_err(|why| {
            Refusal::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: {why}",
                self.resource().kind,
                self.target.version,
                self.resource().kind
            ))
        })?;
        if self.resource().is_custom() {
            unknown.sort();
        }
        let warnings = self.strict_faults(repeated, &unknown)?;
        body = whole.unwrap_or(body);
        if let Some(shape) = version.shape {
            (shape.to_storage)(&mut body);
        }
        Ok(Draft { object: body, warnings, owners: Owners::OfUpdate })
    }

    /// What a body says that asks for an answer and not to be kept.
    pub(crate) fn read(&self, body: Value) -> Result<Value> {
        self.decode(body).map(|it| it.object)
    }

    fn settle_kind(&self, body: &mut Value) -> Result<()> {
        if body.is_null() {
            *body = json!({});
        }
        if !body.is_object() {
            return Err(self.unrecognized(&body.to_string(), &no_object(body)));
        }
        let (kind, api_version) = (self.resource().kind.as_str(), self.target.api_version());
        let text = |field: &str| body[field].as_str().unwrap_or_default();
        let (stated_version, stated_kind) = (text("apiVersion"), text("kind"));
        if self.resource().is_custom() {
            self.check_kind((stated_version, stated_kind), body)?;
        } else {
            // Typed decoding knows the kind from the path.
            let or = |stated, wanted| if str::is_empty(stated) { wanted } else { stated };
            let (version, stated) = (or(stated_version, &*api_version), or(stated_kind, kind));
            if (version, stated) != (&*api_version, kind) {
                return Err(self.misfit(version, stated));
            }
        }
        if stated_kind != kind {
            body["kind"] = kind.into();
        }
        if body["apiVersion"] != *api_version {
            body["apiVersion"] = api_version.into();
        }
        let metadata = &body["metadata"];
        if !metadata.is_object() && !metadata.is_null() {
            let kind = &self.resource().kind;
            return Err(Refusal::bad_request(format!(
                "{kind} in version {:?} cannot be handled as a {kind}: json: cannot unmarshal {} \
                 into Go struct field {kind}.metadata of type v1.ObjectMeta",
                self.target.version,
                go_name(metadata)
            )));
        }
        // What is empty is not there, but for the one list that says so much by it.
        let is_there = |key: &str, value: &Value| match value {
            Value::Null => false,
            Value::Object(fields) => !fields.is_empty(),
            Value::Array(items) => !items.is_empty() || key == "managedFields",
            _ => true,
        };
        let metadata = object::metadata(body);
        if !metadata.iter().all(|(key, value)| is_there(key, value)) {
            metadata.retain(|key, value| is_there(key, value));
        }
        Ok(())
    }

    /// The decoding of custom objects asks for what they are.
    fn check_kind(&self, (version, kind): (&str, &str), body: &Value) -> Result<()> {
        let api_version = self.target.api_version();
        let wanted = [
            ("apiVersion", "apiVersion", version, &*api_version),
            ("kind", "Kind", kind, self.resource().kind.as_str()),
        ];
        for (field, missing, found, wanted) in wanted {
            if found.is_empty() {
                return Err(Refusal::bad_request(format!(
                    "Object '{missing}' is missing in '{body}'"
                )));
            }
            if found != wanted {
                return Err(mismatch(field, found, wanted));
            }
        }
        Ok(())
    }

    /// A body of a kind that the path is not for.
    fn misfit(&self, api_version: &str, kind: &str) -> Refusal {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let wanted = &self.resource().kind;
        let known = group == self.resource().group && version == self.target.version;
        let why = if known {
            let family = self.resource().group.split('.').next().filter(|it| !it.is_empty());
            let family = family.unwrap_or("core");
            format!("converting ({version}.{kind}) to ({family}.{wanted}): unknown conversion")
        } else {
            format!(
                "no kind {kind:?} is registered for version {api_version:?} in scheme \
                 \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
            )
        };
        Refusal::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {wanted}: {why}"
        ))
    }

    /// A body that is nothing a kind could be told from.
    pub(crate) fn unrecognized(&self, body: &str, why: &str) -> Refusal {
        let hex = |it: u8| format!("{it:02x}");
        let start = match body {
            "<empty>" => body.to_owned(),
            body => body.bytes().take(30).map(hex).collect(),
        };
        let rest = if body.len() > 30 { " ..." } else { "" };
        Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; \
             json parse error: {why} ({start}{rest})",
            self.resource().kind
        ))
    }

    /// What is wrong with a body for who is strict: a warning for most.
    fn strict_faults(&self, repeated: &[String], unknown: &[String]) -> Result<Vec<String>> {
        let is_lenient = self.is_broken(Breakage::LenientStrictness);
        let unknown = unknown.iter().map(|it| format!("unknown field \"{it}\""));
        let lines: Vec<String> = repeated.iter().cloned().chain(unknown).collect();
        match self.options.strictness {
            Strictness::Ignore => Ok(Vec::new()),
            Strictness::Warn => Ok(lines),
            Strictness::Strict if lines.is_empty() || is_lenient => Ok(Vec::new()),
            Strictness::Strict => Err(Refusal::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
                self.resource().kind,
                self.target.version,
                self.resource().kind,
                lines.join(", ")
            ))),
        }
    }

    /// Stores an object, unless this is only a rehearsal.
    fn commit(&self, state: &mut State, object: Value) -> Arc<Stored> {
        self.commit_as(state, object, None)
    }

    /// The same of an object that is as a schema has it, which need not be looked at again.
    fn commit_as(&self, state: &mut State, object: Value, schema: Option<Stamp>) -> Arc<Stored> {
        match self.options.effect {
            Effect::DryRun if !self.is_broken(Breakage::RealRehearsals) => Stored::new(object),
            Effect::DryRun | Effect::Real => {
                let stored = state.put_as(&self.resource().table, object, schema);
                kinds::committed(state, self.resource(), &stored);
                stored
            }
        }
    }

    /// Takes an object away for good; answers what it was last.
    fn end(&self, state: &mut State, existing: &Arc<Stored>) -> Arc<Stored> {
        match self.options.effect {
            Effect::DryRun => Arc::clone(existing),
            Effect::Real => {
                let stored = state.remove(&self.resource().table, &Key::of(&existing.value));
                kinds::ended(state, self.resource(), &stored);
                stored
            }
        }
    }
}

/// A body is not of the kind, or of the version, that its path is of.
fn mismatch(field: &str, found: &str, wanted: &str) -> Refusal {
    let field = if field == "kind" { field } else { "API version" };
    Refusal::bad_request(format!(
        "the {field} in the data ({found}) does not match the expected {field} ({wanted})"
    ))
}
