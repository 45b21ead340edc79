//! An OpenAPI v2 document in protobuf, by the field numbers of gnostic's definitions: what Go's
//! clients ask for first, and older ones alone.

use serde_json::Value;

/// The document as bytes.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]);
    info.text(2, &document["info"]["version"]);
    out.message(2, &info);
    out.message(8, &Message::default());
    out.message(9, &named(&document["definitions"]));
    out.0
}

/// A map of schemas.
fn named(map: &Value) -> Message {
    let mut out = Message::default();
    for (name, value) in map.as_object().into_iter().flatten() {
        let mut entry = Message::default();
        entry.bytes(1, name.as_bytes());
        entry.message(2, &schema(value));
        out.message(1, &entry);
    }
    out
}

fn schema(value: &Value) -> Message {
    let mut out = Message::default();
    for (key, value) in value.as_object().into_iter().flatten() {
        match key.as_str() {
            "$ref" => out.text(1, value),
            "format" => out.text(2, value),
            "description" => out.text(4, value),
            "required" => {
                value.as_array().into_iter().flatten().for_each(|it| out.text(19, it));
            }
            "additionalProperties" => out.message(21, &wrapped(&schema(value))),
            "type" => {
                let mut kind = Message::default();
                kind.text(1, value);
                out.message(22, &kind);
            }
            "items" => out.message(23, &wrapped(&schema(value))),
            "properties" => out.message(25, &named(value)),
            _ => out.message(31, &extension(key, value)),
        }
    }
    out
}

/// A message that holds another in its first field.
fn wrapped(inner: &Message) -> Message {
    let mut out = Message::default();
    out.message(1, inner);
    out
}

/// Extensions travel as YAML, of which JSON is a part.
fn extension(name: &str, value: &Value) -> Message {
    let mut any = Message::default();
    any.bytes(2, value.to_string().as_bytes());
    let mut out = Message::default();
    out.bytes(1, name.as_bytes());
    out.message(2, &any);
    out
}

/// A message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn text(&mut self, field: u8, value: &Value) {
        self.bytes(field, value.as_str().unwrap_or_default().as_bytes());
    }

    fn message(&mut self, field: u8, inner: &Self) {
        self.bytes(field, &inner.0);
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.number(u64::from(field) << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low & 0x7f);
                break;
            }
            self.0.push(low | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::encode;

    #[test]
    fn a_document_has_the_fields_where_clients_look() {
        let document = json!({
            "swagger": "2.0", "info": {"title": "K", "version": "1"},
            "definitions": {"A": {"type": "object"}},
        });

        let mut wanted = b"\x0a\x032.0\x12\x06\x0a\x01K\x12\x011\x42\x00".to_vec();
        // Definitions, an entry, its name, its schema; of that the type, which is a list of names.
        wanted.extend(b"\x4a\x12\x0a\x10\x0a\x01A\x12\x0b\xb2\x01\x08\x0a\x06object");
        assert_eq!(encode(&document), wanted);
    }
}
