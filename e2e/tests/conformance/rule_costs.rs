//! Which rules are refused with their definition? Those whose types do not fit, and those that could cost too much.

use serde_json::{Value, json};

use crate::custom::{definition, faults_of};
use crate::ground::Ground;
use crate::rules::refusal_of;

const ADVICE: &str = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";

const ROOT: &str = "spec.validation.openAPIV3Schema";
const CONTRIBUTED: &str =
    "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
const TOGETHER: &str = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of";

/// So many words of so many letters.
fn words(most: Option<u64>, letters: u64) -> Value {
    let mut list = json!({
        "type": "array", "items": { "type": "string", "maxLength": letters },
    });
    if let Some(most) = most {
        list["maxItems"] = most.into();
    }
    list
}

/// A rule uses the fields of its schema as what they are.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn a_rule_fits_the_types_of_its_schema() {
    let ground = Ground::new().await;
    let part = json!({ "type": "object", "properties": { "x": { "type": "integer" } } });
    let properties = json!({
        "name": { "type": "string", "maxLength": 9 }, "count": { "type": "integer" },
        "words": words(Some(3), 9), "part": part,
    });

    let mut found = Vec::new();
    for rule in [
        "self.name == 1",
        "self.name == 'a' && self.count",
        "self.name.startsWith(1)",
        "self.count < self.name",
        "self.words.all(it, it > 1)",
        "self.words == [1]",
        "self.name + 1 == 'a1'",
        "self.part.x.y == 1",
        "nothing(self.name)",
        "that.name == 'a'",
        "self.count.all(it, true)",
        "size(self.count) == 1",
        "self.words[0].size() == 'a'",
        "self.name.charAt(0) == 0",
    ] {
        found.extend(refusal_of(&ground, properties.clone(), json!({ "rule": rule })).await);
    }

    let fault = |place: &str, what: &str| (place.to_owned(), what.to_owned());
    let expected = [
        fault("1:11", "found no matching overload for '_==_' applied to '(string, int)'"),
        fault("1:25", "expected type 'bool' but found 'int'"),
        fault("1:21", "found no matching overload for 'startsWith' applied to 'string.(int)'"),
        fault("1:12", "found no matching overload for '_<_' applied to '(int, string)'"),
        fault("1:23", "found no matching overload for '_>_' applied to '(string, int)'"),
        fault(
            "1:12",
            "found no matching overload for '_==_' applied to '(list(string), list(int))'",
        ),
        fault("1:11", "found no matching overload for '_+_' applied to '(string, int)'"),
        fault("1:12", "type 'int' does not support field selection"),
        fault("1:8", "undeclared reference to 'nothing' (in container '')"),
        fault("1:1", "undeclared reference to 'that' (in container '')"),
        fault(
            "1:5",
            "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
        ),
        fault("1:5", "found no matching overload for 'size' applied to '(int)'"),
        fault("1:22", "found no matching overload for '_==_' applied to '(int, string)'"),
        fault("1:21", "found no matching overload for '_==_' applied to '(string, int)'"),
    ];
    let told = |it: &String| {
        let (_, rest) = it.split_once("compilation failed: ERROR: <input>:").unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let (place, what) = line.split_once(": ").unwrap_or_default();
        fault(place, what)
    };
    assert_eq!(found.iter().map(told).collect::<Vec<_>>(), expected, "{found:#?}");
}

/// The message that a rule works out is text.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#message-expression>
#[tokio::test]
async fn a_message_is_text() {
    let ground = Ground::new().await;
    let rule = json!({ "rule": "self.count > 1", "messageExpression": "self.count" });

    let faults = refusal_of(&ground, json!({ "count": { "type": "integer" } }), rule).await;

    let why = "messageExpression must evaluate to a string";
    assert_eq!(
        faults,
        [format!("FieldValueInvalid rule.messageExpression: Invalid value: RULE: {why}")]
    );
}

/// What a rule can cost at worst is worked out of the limits in its schema, and has a limit itself.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#resource-use-by-validation-functions>
#[tokio::test]
async fn a_rule_costs_no_more_than_its_limit() {
    let ground = Ground::new().await;
    let each = json!({ "rule": "self.words.all(a, self.words.exists(b, a != b))" });

    let mut found = Vec::new();
    for most in [Some(100), Some(550), Some(1000), None] {
        found.push(refusal_of(&ground, json!({ "words": words(most, 100) }), each.clone()).await);
    }

    let refused = |factor: &str| {
        let why = format!("estimated rule cost exceeds budget by factor of {factor} {ADVICE}");
        format!("FieldValueForbidden rule.rule: Forbidden: {why}")
    };
    let endless = [
        format!("FieldValueForbidden rule.rule: Forbidden: {CONTRIBUTED}"),
        refused("more than 100x"),
        format!("FieldValueForbidden {ROOT}: Forbidden: {TOGETHER} more than 100x {ADVICE}"),
    ];
    let expected =
        [Vec::new(), vec![refused("1.391830x")], vec![refused("4.6x")], endless.to_vec()];
    assert_eq!(found, expected);
}

/// A rule of items costs as much as they can be many; where no limit is said, as fit into a request.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#resource-use-by-validation-functions>
#[tokio::test]
async fn a_rule_of_items_is_asked_of_each() {
    let ground = Ground::new().await;
    let ruled = |most: Option<u64>, rules: Value| {
        let mut list = words(most, 10);
        list["items"]["x-kubernetes-validations"] = rules;
        json!({ "type": "object", "properties": { "words": list } })
    };
    let matches = json!([{ "rule": "self.matches('^[a-z]+$')" }]);
    let cheap = "self.contains('abc') || self == 'a' || self == 'b'";
    let many: Value = (0..11).map(|_| json!({ "rule": cheap })).collect();

    let limited = faults_of(&ground, &definition(&ground, ruled(Some(9), matches.clone()))).await;
    let endless = faults_of(&ground, &definition(&ground, ruled(None, matches))).await;
    let together = faults_of(&ground, &definition(&ground, ruled(None, many))).await;

    let rule = |at: usize| {
        let path = format!("{ROOT}.properties[words].items.x-kubernetes-validations[{at}].rule");
        format!("FieldValueForbidden {path}: Forbidden:")
    };
    assert!(limited.is_empty(), "{limited:?}");
    let why = "estimated rule cost exceeds budget by factor of 1.153434x";
    assert_eq!(endless, [format!("{} {why} {ADVICE}", rule(0))]);
    let mut expected: Vec<String> =
        (0..4).map(|it| format!("{} {CONTRIBUTED}", rule(it))).collect();
    expected.push(format!("FieldValueForbidden {ROOT}: Forbidden: {TOGETHER} 1.038090x {ADVICE}"));
    assert_eq!(together, expected);
}
