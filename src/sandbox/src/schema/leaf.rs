//! Text that means more than text: how it is taken, and the one form in which it is stored.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{Timestamp, fmt::strtime};
use serde_json::Value;

use crate::quantity::Quantity;

const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
const RFC3339_MICRO: &str = "2006-01-02T15:04:05.000000Z07:00";

/// What a built-in kind's text is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Leaf {
    #[default]
    Plain,
    Quantity,
    /// To the second.
    Time,
    /// To the microsecond, all six digits of it.
    MicroTime,
    /// Base64.
    Bytes,
}

impl Leaf {
    /// What the definition of that name, or a format, holds.
    pub(super) fn of(definition: &str) -> Self {
        match definition {
            "Quantity" => Self::Quantity,
            "Time" => Self::Time,
            "MicroTime" => Self::MicroTime,
            "byte" => Self::Bytes,
            _ => Self::Plain,
        }
    }

    /// Brings a value into the form in which it is stored, or says why it cannot be.
    pub(super) fn settle(self, value: &mut Value) -> Result<(), String> {
        match (self, &*value) {
            (Self::Quantity, Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
                quantity(value)
            }
            (Self::Time, Value::String(text)) if !is_written_to(text, 20) => {
                let time = parse(text, RFC3339)?;
                *value = strftime("%Y-%m-%dT%H:%M:%SZ", time).into();
                Ok(())
            }
            (Self::MicroTime, Value::String(text)) if !is_written_to(text, 27) => {
                let time = parse(text, RFC3339_MICRO)?;
                check_micro(text)?;
                *value = strftime("%Y-%m-%dT%H:%M:%S.%6fZ", time).into();
                Ok(())
            }
            (Self::Bytes, Value::String(text)) => bytes(text).map(|it| {
                if let Some(text) = it {
                    *value = text.into();
                }
            }),
            _ => Ok(()),
        }
    }
}

fn strftime(format: &str, time: Timestamp) -> String {
    strtime::format(format, time).unwrap_or_default()
}

fn quantity(value: &mut Value) -> Result<(), String> {
    let text = match &*value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let settled = text.parse::<Quantity>().map_err(|it| it.to_string())?.to_string();
    if value.as_str() != Some(settled.as_str()) {
        *value = settled.into();
    }
    Ok(())
}

/// Whether a time has the one form already: its digits at their places, in UTC.
fn is_written_to(text: &str, length: usize) -> bool {
    let bytes = text.as_bytes();
    let fits = |(index, byte): (usize, &u8)| match index {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T',
        13 | 16 => *byte == b':',
        19 if length == 27 => *byte == b'.',
        _ if index + 1 == length => *byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    // What looks like a time and is none is found by the parser.
    bytes.len() == length
        && bytes.iter().enumerate().all(fits)
        && bytes[5..7] <= b"12"[..]
        && bytes[8..10] <= b"28"[..]
        && bytes[11..13] <= b"23"[..]
        && bytes[14] <= b'5'
        && bytes[17] <= b'5'
        && bytes[5..7] != b"00"[..]
        && bytes[8..10] != b"00"[..]
}

fn parse(text: &str, layout: &str) -> Result<Timestamp, String> {
    let digit = text.bytes().take(4).filter(u8::is_ascii_digit).count();
    if digit < 4 {
        return Err(unparsed(text, layout, text, "2006"));
    }
    text.parse().map_err(|_| match text.len() {
        0..=10 => unparsed(text, layout, text.get(10..).unwrap_or_default(), "T"),
        _ => format!("parsing time {text:?}: day out of range"),
    })
}

fn unparsed(text: &str, layout: &str, rest: &str, wanted: &str) -> String {
    format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {wanted:?}")
}

/// Six digits after the second, no more and no fewer.
fn check_micro(text: &str) -> Result<(), String> {
    let rest = text.get(19..).unwrap_or_default();
    let digits = rest.strip_prefix('.').unwrap_or_default();
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    match count {
        6 => Ok(()),
        0..6 => Err(unparsed(text, RFC3339_MICRO, rest, ".000000")),
        _ => Err(unparsed(text, RFC3339_MICRO, &digits[6..], "Z07:00")),
    }
}

/// Base64 without the line breaks that it may come with; nothing when it is fine as it is.
fn bytes(text: &str) -> Result<Option<String>, String> {
    if STANDARD.decode(text).is_ok() {
        return Ok(None);
    }
    let joined: String = text.chars().filter(|it| !matches!(it, '\n' | '\r')).collect();
    if STANDARD.decode(&joined).is_ok() {
        return Ok(Some(joined));
    }
    let known = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'=');
    let wrong = joined.bytes().position(|it| !known(it)).unwrap_or(joined.len() / 4 * 4);
    Err(format!("illegal base64 data at input byte {wrong}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_stored_in_utc_to_their_own_digit() {
        for (leaf, text, wanted) in [
            (Leaf::Time, "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z"),
            (Leaf::Time, "2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
            (Leaf::Time, "2026-01-31T02:00:00Z", "2026-01-31T02:00:00Z"),
            (Leaf::MicroTime, "2026-01-01T02:00:00.123456+02:00", "2026-01-01T00:00:00.123456Z"),
        ] {
            let mut value = json!(text);

            leaf.settle(&mut value).unwrap();

            assert_eq!(value, json!(wanted));
        }
    }

    #[test]
    fn a_microsecond_time_has_six_digits() {
        for (text, rest) in [
            ("2026-01-01T00:00:00Z", r#"cannot parse "Z" as ".000000""#),
            ("2026-01-01T00:00:00.5Z", r#"cannot parse ".5Z" as ".000000""#),
            ("2026-01-01T00:00:00.123456789Z", r#"cannot parse "789Z" as "Z07:00""#),
            ("x", r#"cannot parse "x" as "2006""#),
        ] {
            let why = Leaf::MicroTime.settle(&mut json!(text)).unwrap_err();

            assert!(why.ends_with(rest), "{why}");
        }
    }
}
