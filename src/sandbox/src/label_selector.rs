//! Which labels does a selector inside an object take? Those of Jobs, budgets and their like.

use serde_json::Value;

use crate::object;

/// Whether the labels match; a selector that says nothing takes everything.
pub(crate) fn matches(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object().into_iter().flatten();
    let equal = wanted.into_iter().all(|(key, value)| labels.get(key) == Some(value));
    equal && object::items(selector, "/matchExpressions").all(|it| holds(it, labels))
}

fn holds(expression: &Value, labels: &Value) -> bool {
    let found = labels.get(object::text(expression, "/key"));
    let listed = |value: &Value| object::items(expression, "/values").any(|it| it == value);
    match expression["operator"].as_str().unwrap_or_default() {
        "In" => found.is_some_and(listed),
        "NotIn" => !found.is_some_and(listed),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_parts_of_a_selector_must_hold() {
        let labels = json!({"app": "web", "tier": "front"});
        let selector = |operator: &str, key: &str| {
            json!({
                "matchLabels": {"app": "web"},
                "matchExpressions": [{"key": key, "operator": operator, "values": ["front"]}],
            })
        };

        assert!(matches(&json!({}), &labels));
        assert!(matches(&selector("In", "tier"), &labels));
        assert!(matches(&selector("NotIn", "zone"), &labels));
        assert!(matches(&selector("Exists", "tier"), &labels));
        assert!(matches(&selector("DoesNotExist", "zone"), &labels));
        assert!(!matches(&selector("NotIn", "tier"), &labels));
        assert!(!matches(&selector("In", "tier"), &json!({"tier": "front"})));
    }
}
