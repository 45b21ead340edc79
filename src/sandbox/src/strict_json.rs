//! Which fields does a body say twice? The last of them counts, and a strict reader refuses them all.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, map::Entry};

/// A value and its paths of fields that are there twice.
pub(crate) fn read(body: &[u8]) -> serde_json::Result<(Value, Vec<String>)> {
    // Text is known to be text then, and not each piece of it again.
    match std::str::from_utf8(body) {
        Ok(text) => read_from(serde_json::Deserializer::from_str(text)),
        Err(_) => read_from(serde_json::Deserializer::from_slice(body)),
    }
}

fn read_from<'de>(
    mut source: serde_json::Deserializer<impl serde_json::de::Read<'de>>,
) -> serde_json::Result<(Value, Vec<String>)> {
    let found = RefCell::new(Vec::new());
    let value = Reader { at: Step::Root, found: &found }.deserialize(&mut source)?;
    source.end()?;
    Ok((value, found.into_inner()))
}

/// As strict readers say it of JSON.
pub(crate) fn duplicates(paths: &[String]) -> Vec<String> {
    paths.iter().map(|it| format!("duplicate field \"{it}\"")).collect()
}

/// The first key of YAML that is there twice, as strict readers say it.
pub(crate) fn duplicate_key(text: &str) -> Option<String> {
    let error = serde_saphyr::from_str::<Value>(text).err()?;
    let serde_saphyr::Error::DuplicateMappingKey { key, location } = error.without_snippet() else {
        return None;
    };
    let (line, key) = (location.line(), key.as_deref().unwrap_or_default());
    Some(format!(
        "error converting YAML to JSON: yaml: unmarshal errors:\n  line {line}: key {key:?} already \
         set in map"
    ))
}

/// Where a value is. Most paths are never asked for.
#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl Step<'_> {
    fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field(Self::Root, name) => (*name).to_owned(),
            Self::Field(above, name) => format!("{}.{name}", above.path()),
            Self::Item(above, index) => format!("{}[{index}]", above.path()),
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    at: Step<'a>,
    found: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any valid JSON value")
    }

    fn visit_bool<E: Error>(self, it: bool) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i64<E: Error>(self, it: i64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u64<E: Error>(self, it: u64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_f64<E: Error>(self, it: f64) -> Result<Value, E> {
        Ok(Number::from_f64(it).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, it: &str) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_string<E: Error>(self, it: String) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let at = Step::Item(&self.at, items.len());
            match list.next_element_seed(Reader { at, found: self.found })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = |key: &str, map: &mut A| {
                map.next_value_seed(Reader { at: Step::Field(&self.at, key), found: self.found })
            };
            match fields.entry(key) {
                Entry::Vacant(slot) => {
                    let value = value(slot.key(), &mut map)?;
                    slot.insert(value);
                }
                Entry::Occupied(mut slot) => {
                    self.note(Step::Field(&self.at, slot.key()).path());
                    let value = value(slot.key(), &mut map)?;
                    slot.insert(value);
                }
            }
        }
        Ok(Value::Object(fields))
    }
}

impl Reader<'_> {
    fn note(&self, path: String) {
        let mut found = self.found.borrow_mut();
        if !found.contains(&path) {
            found.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{duplicate_key, read};
    use serde_json::{Value, json};

    #[test]
    fn the_last_counts_and_all_are_told_once() {
        let body = br#"{"a": 1, "b": [{"c": 1, "c": {"d": 1.5, "d": null}}], "a": -2, "a": "x"}"#;

        let (value, found) = read(body).unwrap();

        assert_eq!(value, json!({ "a": "x", "b": [{ "c": { "d": null } }] }));
        assert_eq!(found, ["b[0].c", "b[0].c.d", "a"]);
    }

    #[test]
    fn all_else_is_read_as_any_json_is() {
        let body =
            r#"{"n": [0, -1, 18446744073709551615, 1e3, 0.25, true], "s": "\u00e4\n", "o": {}}"#;

        let plain: Value = serde_json::from_str(body).unwrap();

        assert_eq!(read(body.as_bytes()).unwrap(), (plain, Vec::new()));
        assert!(read(b"{} x").is_err());
        assert!(read(b"").is_err());
    }

    #[test]
    fn a_key_of_yaml_is_told_with_its_line() {
        let told = duplicate_key("a: 1\nb:\n  c: 1\n  c: 2\n").unwrap();

        assert!(told.ends_with("line 4: key \"c\" already set in map"), "{told}");
        assert_eq!(duplicate_key("a: 1\nb: {c: 1}\n"), None);
    }
}
