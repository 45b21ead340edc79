//! Bodies in protobuf, which Go's typed clients send for the kinds they are compiled with: those
//! that such clients write most.
//!
//! A body that says something we have no name for is not read at all: better no object than half
//! of one.

mod messages;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Bytes,
    Integer,
    /// A number that Go writes as zero when nobody gave one.
    Count,
    Flag,
    /// A flag that Go writes as false when nobody gave one.
    Switch,
    Time,
    /// Known, and not for a client to say.
    Nothing,
    One(Message),
    Texts,
    Many(Message),
    TextMap,
    BytesMap,
}

use Holds::{
    Bytes, BytesMap, Count, Flag, Integer, Many, Nothing, One, Switch, Text, TextMap, Texts, Time,
};

/// The fields of a message: number, name in JSON, content.
type Message = &'static [(u64, &'static str, Holds)];

/// The object in a body, or nothing when its kind is not one of these.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    let envelope = body.strip_prefix(b"k8s\0")?;
    let mut raw: &[u8] = &[];
    let mut kind = json!({});
    for (number, value) in fields(envelope)? {
        match (number, value) {
            (1, Wire::Bytes(it)) => {
                kind = object(it, &[(1, "apiVersion", Text), (2, "kind", Text)])?;
            }
            (2, Wire::Bytes(it)) => raw = it,
            _ => {}
        }
    }
    let (api_version, name) = (kind["apiVersion"].as_str()?, kind["kind"].as_str()?);
    let mut decoded = object(raw, messages::of(api_version, name)?)?;
    decoded["apiVersion"] = kind["apiVersion"].clone();
    decoded["kind"] = kind["kind"].clone();
    Some(decoded)
}

fn object(bytes: &[u8], message: Message) -> Option<Value> {
    let mut map = Map::new();
    for (number, wire) in fields(bytes)? {
        let Some((_, name, holds)) = message.iter().find(|(it, ..)| *it == number) else {
            if wire.is_empty() {
                continue;
            }
            return None;
        };
        let slot = map.entry(*name).or_insert(Value::Null);
        put(slot, wire, *holds)?;
    }
    // Go writes empty text for what was left out.
    map.retain(|_, it| !it.is_null() && *it != "");
    Some(Value::Object(map))
}

fn put(slot: &mut Value, wire: Wire<'_>, holds: Holds) -> Option<()> {
    let one = match (holds, wire) {
        (Text | Texts, Wire::Bytes(it)) => Value::from(std::str::from_utf8(it).ok()?),
        (Bytes, Wire::Bytes(it)) => STANDARD.encode(it).into(),
        (Count | Switch, Wire::Number(0)) | (Nothing, _) => Value::Null,
        (Integer | Count, Wire::Number(it)) => it.cast_signed().into(),
        (Flag | Switch, Wire::Number(it)) => (it != 0).into(),
        (Time, Wire::Bytes(it)) => time(it)?,
        (One(message) | Many(message), Wire::Bytes(it)) => object(it, message)?,
        (TextMap, Wire::Bytes(it)) => object(it, &[(1, "key", Text), (2, "value", Text)])?,
        (BytesMap, Wire::Bytes(it)) => object(it, &[(1, "key", Text), (2, "value", Bytes)])?,
        _ => return None,
    };
    match holds {
        Texts | Many(_) => match slot {
            Value::Array(list) => list.push(one),
            _ => *slot = json!([one]),
        },
        TextMap | BytesMap => {
            if !slot.is_object() {
                *slot = json!({});
            }
            let value = one.get("value").cloned().unwrap_or_else(|| "".into());
            slot[one["key"].as_str().unwrap_or_default()] = value;
        }
        _ => *slot = one,
    }
    Some(())
}

/// A time; the zero time of Go means none.
fn time(bytes: &[u8]) -> Option<Value> {
    let parts = object(bytes, &[(1, "seconds", Integer), (2, "nanos", Integer)])?;
    let Some(seconds) = parts["seconds"].as_i64() else { return Some(Value::Null) };
    let nanos = parts["nanos"].as_i64().and_then(|it| i32::try_from(it).ok()).unwrap_or_default();
    let time = Timestamp::new(seconds, nanos).ok()?;
    Some(if nanos == 0 {
        crate::clock::seconds(time).into()
    } else {
        time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into()
    })
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl Wire<'_> {
    /// Whether this is what Go writes for a field that was left out.
    fn is_empty(&self) -> bool {
        match self {
            Self::Number(it) => *it == 0,
            Self::Bytes(it) => it.is_empty(),
        }
    }
}

/// The fields of a message in their order, or nothing when it is broken.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes)?;
        let wire = match tag & 7 {
            0 => Wire::Number(number(&mut bytes)?),
            1 => Wire::Bytes(take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(number(&mut bytes)?).ok()?;
                Wire::Bytes(take(&mut bytes, length)?)
            }
            5 => Wire::Bytes(take(&mut bytes, 4)?),
            _ => return None,
        };
        list.push((tag >> 3, wire));
    }
    Some(list)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
