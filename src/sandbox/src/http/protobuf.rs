//! Bodies in protobuf, which Go's typed clients send for the kinds they are compiled with: the
//! small ones that such clients write most.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Bytes,
    Integer,
    Flag,
    Time,
    One(Message),
    Texts,
    Many(Message),
    TextMap,
    BytesMap,
}

use Holds::{Bytes, BytesMap, Flag, Integer, Many, One, Text, TextMap, Texts, Time};

/// The fields of a message: number, name in JSON, content.
type Message = &'static [(u64, &'static str, Holds)];

const OWNER: Message = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Flag),
    (7, "blockOwnerDeletion", Flag),
];

const METADATA: Message = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Integer),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", Integer),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Many(OWNER)),
    (14, "finalizers", Texts),
];

const OBJECT_REFERENCE: Message = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];

const NAMESPACE: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "spec", One(&[(1, "finalizers", Texts)])),
    (3, "status", One(&[(1, "phase", Text)])),
];

const SECRET: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "data", BytesMap),
    (3, "type", Text),
    (4, "stringData", TextMap),
    (5, "immutable", Flag),
];

const CONFIG_MAP: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "data", TextMap),
    (3, "binaryData", BytesMap),
    (4, "immutable", Flag),
];

const SERVICE_ACCOUNT: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "secrets", Many(OBJECT_REFERENCE)),
    (3, "imagePullSecrets", Many(&[(1, "name", Text)])),
    (4, "automountServiceAccountToken", Flag),
];

const ROLE: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "rules",
        Many(&[
            (1, "verbs", Texts),
            (2, "apiGroups", Texts),
            (3, "resources", Texts),
            (4, "resourceNames", Texts),
            (5, "nonResourceURLs", Texts),
        ]),
    ),
];

const BINDING: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "subjects",
        Many(&[
            (1, "kind", Text),
            (2, "apiGroup", Text),
            (3, "name", Text),
            (4, "namespace", Text),
        ]),
    ),
    (3, "roleRef", One(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)])),
];

const LEASE: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "spec",
        One(&[
            (1, "holderIdentity", Text),
            (2, "leaseDurationSeconds", Integer),
            (3, "acquireTime", Time),
            (4, "renewTime", Time),
            (5, "leaseTransitions", Integer),
        ]),
    ),
];

const EVENT: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "involvedObject", One(OBJECT_REFERENCE)),
    (3, "reason", Text),
    (4, "message", Text),
    (5, "source", One(&[(1, "component", Text), (2, "host", Text)])),
    (6, "firstTimestamp", Time),
    (7, "lastTimestamp", Time),
    (8, "count", Integer),
    (9, "type", Text),
    (10, "eventTime", Time),
    (12, "action", Text),
    (14, "reportingComponent", Text),
    (15, "reportingInstance", Text),
];

const DELETE_OPTIONS: Message = &[
    (1, "gracePeriodSeconds", Integer),
    (2, "preconditions", One(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (3, "orphanDependents", Flag),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

fn message(api_version: &str, kind: &str) -> Option<Message> {
    Some(match (api_version, kind) {
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "Secret") => SECRET,
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "ServiceAccount") => SERVICE_ACCOUNT,
        ("v1", "Event") => EVENT,
        ("coordination.k8s.io/v1", "Lease") => LEASE,
        ("rbac.authorization.k8s.io/v1", "Role" | "ClusterRole") => ROLE,
        ("rbac.authorization.k8s.io/v1", "RoleBinding" | "ClusterRoleBinding") => BINDING,
        (_, "DeleteOptions") => DELETE_OPTIONS,
        _ => return None,
    })
}

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
    let mut decoded = object(raw, message(api_version, name)?)?;
    decoded["apiVersion"] = kind["apiVersion"].clone();
    decoded["kind"] = kind["kind"].clone();
    Some(decoded)
}

fn object(bytes: &[u8], message: Message) -> Option<Value> {
    let mut map = Map::new();
    for (number, wire) in fields(bytes)? {
        let Some((_, name, holds)) = message.iter().find(|(it, ..)| *it == number) else {
            continue;
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
        (Integer, Wire::Number(it)) => it.cast_signed().into(),
        (Flag, Wire::Number(it)) => (it != 0).into(),
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
