//! How cells say things: ages, selectors, lists that are cut short.

use jiff::Timestamp;
use serde_json::Value;

use crate::object;

/// How long ago something was, as people write it: `42s`, `5m`, `3h20m`, `7d`.
pub(super) fn age(since: &str, now: Timestamp) -> Value {
    let Ok(since) = since.parse::<Timestamp>() else { return "<unknown>".into() };
    between(since, now).into()
}

pub(super) fn between(since: Timestamp, until: Timestamp) -> String {
    let seconds = until.as_second().saturating_sub(since.as_second());
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |big: i64, unit: &str, small: i64, of: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{of}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..120 => format!("{}s", seconds.max(0)),
        120..600 => pair(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

pub(super) const NONE: &str = "<none>";

/// A text, or that there is none.
pub(super) fn or_none(object: &Value, pointer: &str) -> Value {
    or(object, pointer, NONE)
}

pub(super) fn or(object: &Value, pointer: &str, other: &str) -> Value {
    match object::text(object, pointer) {
        "" => other.into(),
        text => text.into(),
    }
}

/// A number that is zero when nobody has counted.
pub(super) fn count(object: &Value, pointer: &str) -> Value {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default().into()
}

/// `a=b,c=d`, or that there is none.
pub(super) fn labels(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(key, it)| format!("{key}={}", it.as_str().unwrap_or_default())).collect();
    if pairs.is_empty() { NONE.to_owned() } else { pairs.join(",") }
}

/// A selector of labels as `kubectl -l` would take it.
pub(super) fn selector(selector: &Value) -> Value {
    let mut parts: Vec<(String, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push((key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())));
    }
    for it in object::items(selector, "/matchExpressions") {
        let key = object::text(it, "/key").to_owned();
        let mut values = object::strings(&it["values"]);
        values.sort_unstable();
        let values = values.join(",");
        let text = match object::text(it, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.clone(),
        };
        parts.push((key, text));
    }
    parts.sort_by(|(one, _), (other, _)| one.cmp(other));
    let parts: Vec<String> = parts.into_iter().map(|(_, it)| it).collect();
    if parts.is_empty() { NONE.into() } else { parts.join(",").into() }
}

/// One field of each item of a list.
pub(super) fn each(object: &Value, list: &str, field: &str) -> Value {
    let all: Vec<&str> = object::items(object, list).map(|it| object::text(it, field)).collect();
    all.join(",").into()
}

/// The first three, and how many more there are.
pub(super) fn first_three(all: &[String]) -> String {
    let first = all.iter().take(3).cloned().collect::<Vec<_>>().join(",");
    match all.len().saturating_sub(3) {
        0 => first,
        more => format!("{first} + {more} more..."),
    }
}

/// Where a load balancer is reached.
pub(super) fn balancers(object: &Value) -> Vec<&str> {
    object::items(object, "/status/loadBalancer/ingress")
        .map(|it| match object::text(it, "/ip") {
            "" => object::text(it, "/hostname"),
            ip => ip,
        })
        .filter(|it| !it.is_empty())
        .collect()
}

/// A number or a percentage, or something else when there is none.
pub(super) fn amount(value: &Value, other: &str) -> Value {
    match value {
        Value::Null => other.into(),
        Value::String(text) => text.as_str().into(),
        number => number.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::{between, selector};

    #[test]
    fn ages_get_rougher_as_they_grow() {
        let cases = [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ];

        for (seconds, wanted) in cases {
            let then = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
            assert_eq!(between(Timestamp::UNIX_EPOCH, then), wanted, "{seconds}");
        }
    }

    #[test]
    fn a_selector_reads_like_the_flag_that_takes_it() {
        let all = json!({"matchLabels": {"b": "1"}, "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["y", "x"]},
            {"key": "a", "operator": "Exists"},
            {"key": "d", "operator": "DoesNotExist"},
        ]});

        assert_eq!(selector(&all), "a,b=1,c in (x,y),!d");
        assert_eq!(selector(&json!({})), "<none>");
    }
}
