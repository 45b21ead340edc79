//! How is a value written as JSON, as fast as a store that writes nothing else needs it?

use serde_json::Value;

/// Writes an object of which some fields come first.
pub(super) fn write_headed(object: &Value, head: &[&str], to: &mut Vec<u8>) {
    let Value::Object(fields) = object else { return write(object, to) };
    let first = head.iter().filter_map(|key| fields.get_key_value(*key));
    let rest = fields.iter().filter(|(key, _)| !head.contains(&key.as_str()));
    write_fields(first.chain(rest), to);
}

fn write(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Null => to.extend_from_slice(b"null"),
        Value::Bool(true) => to.extend_from_slice(b"true"),
        Value::Bool(false) => to.extend_from_slice(b"false"),
        Value::Number(_) => write_odd(value, to),
        Value::String(text) => write_text(text, to),
        Value::Array(items) => {
            let mut separator = b'[';
            for item in items {
                to.push(std::mem::replace(&mut separator, b','));
                write(item, to);
            }
            to.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
        }
        Value::Object(fields) => write_fields(fields.iter(), to),
    }
}

fn write_fields<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>, to: &mut Vec<u8>) {
    let mut separator = b'{';
    for (key, value) in fields {
        to.push(std::mem::replace(&mut separator, b','));
        write_text(key, to);
        to.push(b':');
        write(value, to);
    }
    to.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
}

/// Nearly all text stands for itself. Looking at all of it, without stopping at what does not, is what
/// processors do many bytes at a time.
fn write_text(text: &str, to: &mut Vec<u8>) {
    let odd = |it: u8| u8::from(it < b' ') | u8::from(it == b'"') | u8::from(it == b'\\');
    if text.bytes().fold(0, |all, it| all | odd(it)) != 0 {
        return write_odd(text, to);
    }
    to.push(b'"');
    to.extend_from_slice(text.as_bytes());
    to.push(b'"');
}

/// Numbers, and text with characters that do not stand for themselves.
fn write_odd(value: &(impl serde::Serialize + ?Sized), to: &mut Vec<u8>) {
    serde_json::to_writer(to, value).expect("a vector takes all, and neither can be no JSON");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(value: &Value, head: &[&str]) -> String {
        let mut bytes = Vec::new();
        write_headed(value, head, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_value_is_written_as_any_writer_of_json_writes_it() {
        let values = [
            json!({
                "text": ["", "a", "\"\\/", "\u{0}\u{1f} \u{7f}\n\t", "ä€😀", "a\\\"b"],
                "k\"\n": { "": {} }, "numbers": [0, -1, u64::MAX, i64::MIN, 0.1, 1e300, -0.0],
                "rest": [null, true, false, [], [[]], {}, { "a": { "b": [{}] } }],
            }),
            json!([]),
            json!("x\"y"),
            json!(null),
        ];

        for value in values {
            assert_eq!(written(&value, &[]), value.to_string());
        }
    }

    #[test]
    fn what_comes_first_comes_once() {
        let object = json!({ "a": 1, "apiVersion": "v1", "kind": "K", "z": {} });

        assert_eq!(
            written(&object, &["apiVersion", "kind"]),
            r#"{"apiVersion":"v1","kind":"K","a":1,"z":{}}"#
        );
        assert_eq!(
            written(&json!({ "b": 1, "kind": 2 }), &["apiVersion", "kind"]),
            r#"{"kind":2,"b":1}"#
        );
    }
}
