//! A field of an object under judgement: where it is, and what may be wrong with any field.

use serde_json::Value;

use crate::{object, refusal::Cause, validate};

const PORT_NAME: &str = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' \
    (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
const ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

pub(super) type Faults = Vec<Cause>;

/// A value and its path. What is not there is null.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) value: &'a Value,
    pub(super) path: String,
}

impl<'a> Field<'a> {
    pub(super) fn of(object: &'a Value, name: &str) -> Self {
        Self { value: &object[name], path: name.to_owned() }
    }

    pub(super) fn at(&self, name: &str) -> Self {
        Self { value: &self.value[name], path: format!("{}.{name}", self.path) }
    }

    /// The items of a list, each with its index.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let path = self.path.clone();
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(move |(index, value)| Self { value, path: format!("{path}[{index}]") })
    }

    pub(super) fn each(&self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        self.at(name).items()
    }

    /// The entries of a map, each by its key.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let path = self.path.clone();
        let entries = self.value.as_object().into_iter().flatten();
        entries
            .map(move |(key, value)| (key.as_str(), Self { value, path: format!("{path}[{key}]") }))
    }

    pub(super) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    pub(super) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    pub(super) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_none_or(Vec::is_empty)
    }

    pub(super) fn invalid(&self, detail: &str) -> Cause {
        Cause::invalid(self.path.as_str(), self.value, detail)
    }

    /// The same for text, of which nothing is an empty one.
    pub(super) fn invalid_text(&self, detail: &str) -> Cause {
        Cause::invalid(self.path.as_str(), &self.text().into(), detail)
    }

    /// The same, where the API shows no value.
    pub(super) fn invalid_blank(&self, detail: &str) -> Cause {
        Cause::invalid(self.path.as_str(), &"".into(), detail)
    }

    pub(super) fn required(&self, detail: &str) -> Cause {
        Cause::required(self.path.as_str(), detail)
    }

    pub(super) fn forbidden(&self, detail: &str) -> Cause {
        Cause::forbidden(self.path.as_str(), detail)
    }

    pub(super) fn duplicate(&self) -> Cause {
        let message = format!("Duplicate value: {}", self.value);
        Cause::new("FieldValueDuplicate", self.path.as_str(), message)
    }

    /// A list of more items than are taken.
    pub(super) fn too_many(&self, most: usize) -> Option<Cause> {
        let count = self.value.as_array().map_or(0, Vec::len);
        let message = format!("Too many: {count}: must have at most {most} items");
        let fault = || Cause::new("FieldValueTooMany", self.path.as_str(), message);
        (count > most).then(fault)
    }

    /// Text of more bytes than are taken.
    pub(super) fn too_long(&self, most: usize) -> Option<Cause> {
        let message = format!("Too long: may not be more than {most} bytes");
        let fault = || Cause::new("FieldValueTooLong", self.path.as_str(), message);
        (self.text().len() > most).then(fault)
    }

    pub(super) fn unsupported(&self, known: &[&str]) -> Cause {
        self.unsupported_as(&Value::from(self.text()).to_string(), known)
    }

    /// The same for a value that the API shows in a form of its own.
    pub(super) fn unsupported_as(&self, shown: &str, known: &[&str]) -> Cause {
        let known: Vec<String> = known.iter().map(|it| format!("\"{it}\"")).collect();
        let message = format!("Unsupported value: {shown}: supported values: {}", known.join(", "));
        Cause::new("FieldValueNotSupported", self.path.as_str(), message)
    }

    /// Takes one of some words; nothing is none of them.
    pub(super) fn one_of(&self, known: &[&str], faults: &mut Faults) {
        if !known.contains(&self.text()) {
            faults.push(self.unsupported(known));
        }
    }

    /// The same, but it may be left out.
    pub(super) fn maybe_one_of(&self, known: &[&str], faults: &mut Faults) {
        if self.is_set() {
            self.one_of(known, faults);
        }
    }

    pub(super) fn not_negative(&self, faults: &mut Faults) {
        if self.value.as_i64().is_some_and(|it| it < 0) {
            faults.push(self.invalid("must be greater than or equal to 0"));
        }
    }

    /// Text that has to be there.
    pub(super) fn needed(&self, faults: &mut Faults) {
        if self.text().is_empty() {
            faults.push(self.required(""));
        }
    }

    /// Text that a rule may have something against, if there is any.
    pub(super) fn ruled(&self, rule: impl Fn(&str) -> Option<String>, faults: &mut Faults) {
        let fault = Some(self.text()).filter(|it| !it.is_empty()).and_then(rule);
        faults.extend(fault.map(|it| self.invalid(&it)));
    }

    pub(super) fn subdomain(&self, faults: &mut Faults) {
        self.ruled(validate::subdomain_fault, faults);
    }

    pub(super) fn label(&self, faults: &mut Faults) {
        self.ruled(validate::label_fault, faults);
    }

    pub(super) fn qualified(&self, faults: &mut Faults) {
        for detail in validate::qualified_faults(self.text()) {
            faults.push(self.invalid_text(&detail));
        }
    }

    pub(super) fn labels(&self, faults: &mut Faults) {
        validate::labels(self.value, &self.path, faults);
    }

    /// A port's number.
    pub(super) fn port(&self, faults: &mut Faults) {
        let number = self.value.as_i64().unwrap_or_default();
        if !(1..=65535).contains(&number) {
            let value = number.into();
            let detail = "must be between 1 and 65535, inclusive";
            faults.push(Cause::invalid(self.path.as_str(), &value, detail));
        }
    }

    /// A port by its number or its name.
    pub(super) fn port_or_name(&self, faults: &mut Faults) {
        match self.value {
            Value::String(_) => self.port_name(faults),
            _ => self.port(faults),
        }
    }

    pub(super) fn port_name(&self, faults: &mut Faults) {
        faults.extend(port_name_faults(self.text()).into_iter().map(|it| self.invalid(it)));
    }

    /// A number, or a part of a hundred.
    pub(super) fn number_or_percent(&self, faults: &mut Faults) {
        match self.value {
            Value::String(text) if !is_percent(text) => faults.push(self.invalid(PERCENT)),
            _ => self.not_negative(faults),
        }
    }

    pub(super) fn at_most_all(&self, faults: &mut Faults) {
        if percent(self.value).is_some_and(|it| it > 100) {
            faults.push(self.invalid("must not be greater than 100%"));
        }
    }

    pub(super) fn address(&self, faults: &mut Faults) {
        if self.text().parse::<std::net::IpAddr>().is_err() {
            faults.push(self.invalid_text(ADDRESS));
        }
    }

    /// A label selector as an object says it.
    pub(super) fn selector(&self, faults: &mut Faults) {
        self.at("matchLabels").labels(faults);
        for term in self.each("matchExpressions") {
            requirement(&term, &[], faults);
        }
    }
}

/// One term of a selector; `more` are the operators that only some selectors know.
pub(super) fn requirement(term: &Field<'_>, more: &[&str], faults: &mut Faults) {
    let (operator, values) = (term.at("operator"), term.at("values"));
    match operator.text() {
        "In" | "NotIn" if values.is_empty_list() => {
            faults.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty_list() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            faults.push(values.forbidden(detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other if more.contains(&other) => {}
        _ => faults.push(operator.invalid_text("not a valid selector operator")),
    }
    term.at("key").qualified(faults);
}

/// What is wrong with a port's name, in the order in which it is said.
pub(super) fn port_name_faults(name: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    if name.len() > 15 {
        faults.push("must be no more than 15 characters");
    }
    let known = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    if !name.bytes().all(known) {
        faults.push(PORT_NAME);
    }
    if !name.bytes().any(|it| it.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        faults.push("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        faults.push("must not begin or end with a hyphen");
    }
    faults
}

fn is_percent(text: &str) -> bool {
    text.strip_suffix('%')
        .is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

/// The number before a percent sign.
pub(super) fn percent(value: &Value) -> Option<u64> {
    value.as_str().filter(|it| is_percent(it))?.strip_suffix('%')?.parse().ok()
}

/// Whether a number or percentage comes to nothing.
pub(super) fn is_zero(value: &Value) -> bool {
    value.as_i64() == Some(0) || percent(value) == Some(0)
}

/// Whether what a selector names in `matchLabels` and asks in `matchExpressions` is true of labels.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let mut wanted = selector["matchLabels"].as_object().into_iter().flatten();
    wanted.all(|(key, value)| labels[key] == *value)
        && object::items(selector, "/matchExpressions").all(|term| asks(term, labels))
}

fn asks(term: &Value, labels: &Value) -> bool {
    let value = &labels[term["key"].as_str().unwrap_or_default()];
    let listed = object::items(term, "/values").any(|it| it == value);
    match term["operator"].as_str() {
        Some("In") => listed,
        Some("NotIn") => !listed,
        Some("Exists") => !value.is_null(),
        Some("DoesNotExist") => value.is_null(),
        _ => false,
    }
}

/// The fields that an update may not change.
pub(super) fn immutable((object, old): (&Field<'_>, &Value), fields: &[&str], faults: &mut Faults) {
    for field in fields {
        if old[*field] != object.value[*field] {
            faults.push(object.at(field).invalid("field is immutable"));
        }
    }
}
