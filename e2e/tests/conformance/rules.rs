//! Rules in expressions: when they hold, what they say, and which are refused with their definition.

use serde_json::{Value, json};

use crate::custom::{Kind, causes, definition, faults_of};
use crate::ground::Ground;

/// A schema of an object with these properties, and these rules.
fn ruled(properties: &Value, rules: &Value) -> Value {
    let spec = json!({
        "type": "object", "properties": properties, "x-kubernetes-validations": rules,
    });
    json!({ "type": "object", "properties": { "spec": spec } })
}

/// What the server has against a definition with this rule, behind the word that shows the rule.
pub(crate) async fn refusal_of(ground: &Ground, properties: Value, rule: Value) -> Vec<String> {
    let schema = ruled(&properties, &json!([rule]));
    let faults = faults_of(ground, &definition(ground, schema)).await;
    let place = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]";
    let faults = faults.iter().map(|it| it.replace(place, "rule"));
    faults
        .map(|it| match (it.find('{'), it.rfind("}: ")) {
            (Some(from), Some(to)) => format!("{}RULE{}", &it[..from], &it[to + 1..]),
            _ => it,
        })
        .collect()
}

/// A rule that does not hold says its message, or, without one, itself.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn a_rule_that_does_not_hold_says_so() {
    let ground = Ground::new().await;
    let number = json!({ "type": "integer" });
    let rules = json!([
        { "rule": "self.least <= self.most", "message": "least is more than most" },
        { "rule": "self.most < 100" },
        { "rule": "self.name != 'bad'", "messageExpression": "'not ' + self.name" },
    ]);
    let name = json!({ "type": "string", "maxLength": 9, "default": "good" });
    let properties = json!({ "least": number, "most": number, "name": name });
    let kind = Kind::of(&ground, ruled(&properties, &rules)).await;

    let crossed = kind.faults(json!({ "least": 2, "most": 1 })).await;
    let large = kind.faults(json!({ "least": 1, "most": 100 })).await;
    let small = kind.faults(json!({ "least": 0, "most": 1, "name": "bad" })).await;
    let none = kind.faults(json!({ "least": 1, "most": 1 })).await;

    assert_eq!(crossed, ["FieldValueInvalid spec: Invalid value: least is more than most"]);
    assert_eq!(large, ["FieldValueInvalid spec: Invalid value: failed rule: self.most < 100"]);
    assert_eq!(small, ["FieldValueInvalid spec: Invalid value: not bad"]);
    assert!(none.is_empty(), "{none:?}");
}

/// A rule may say which reason and which field its refusal has.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn a_rule_has_a_reason_and_a_field() {
    let ground = Ground::new().await;
    let rules = json!([{
        "rule": "self.name != 'root'", "message": "not root", "reason": "FieldValueForbidden",
        "fieldPath": ".name",
    }]);
    let kind = Kind::of(&ground, ruled(&json!({ "name": { "type": "string" } }), &rules)).await;

    let faults = kind.faults(json!({ "name": "root" })).await;

    assert_eq!(faults, ["FieldValueForbidden spec.name: Forbidden: not root"]);
}

/// Rules stand at fields, items and values of maps, and speak of each.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn rules_stand_at_items_and_values() {
    let ground = Ground::new().await;
    let number = json!({
        "type": "integer", "x-kubernetes-validations": [{ "rule": "self > 0", "message": "too few" }],
    });
    let kind = Kind::with(
        &ground,
        json!({
            "one": number, "list": { "type": "array", "items": number },
            "map": { "type": "object", "additionalProperties": number },
        }),
    )
    .await;

    let faults = kind.faults(json!({ "one": 0, "list": [1, 0], "map": { "a": 0 } })).await;

    assert_eq!(
        faults,
        [
            "FieldValueInvalid spec.list[1]: Invalid value: 0: too few",
            "FieldValueInvalid spec.map[a]: Invalid value: 0: too few",
            "FieldValueInvalid spec.one: Invalid value: 0: too few",
        ]
    );
}

/// A rule that speaks of the old value holds for changes alone, not for what is new or taken away.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#transition-rules>
#[tokio::test]
async fn a_rule_of_changes_holds_for_changes() {
    let ground = Ground::new().await;
    let fixed = json!({
        "type": "string",
        "x-kubernetes-validations": [{ "rule": "self == oldSelf", "message": "is fixed" }],
    });
    let kind = Kind::with(&ground, json!({ "name": fixed })).await;
    assert_eq!(kind.create("one", &json!({ "spec": { "name": "a" } })).await.code, 201);

    let changed = kind.merge("one", &json!({ "spec": { "name": "b" } })).await;
    let removed = kind.merge("one", &json!({ "spec": { "name": null } })).await;
    let again = kind.merge("one", &json!({ "spec": { "name": "b" } })).await;

    assert_eq!(causes(&changed), [r#"FieldValueInvalid spec.name: Invalid value: "b": is fixed"#]);
    assert_eq!((removed.code, again.code), (200, 200));
}

/// With an optional old value a rule of changes is asked at creation too.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#transition-rules>
#[tokio::test]
async fn an_old_value_may_be_optional() {
    let ground = Ground::new().await;
    let rule = json!({
        "rule": "oldSelf.hasValue() || self == 'first'", "optionalOldSelf": true,
        "message": "begin with first",
    });
    let step = json!({ "type": "string", "x-kubernetes-validations": [rule] });
    let kind = Kind::with(&ground, json!({ "step": step })).await;

    let faults = kind.faults(json!({ "step": "second" })).await;
    let made = kind.create("one", &json!({ "spec": { "step": "first" } })).await;
    let changed = kind.merge("one", &json!({ "spec": { "step": "second" } })).await;

    let why = r#"Invalid value: "second": begin with first"#;
    assert_eq!(faults, [format!("FieldValueInvalid spec.step: {why}")]);
    assert_eq!((made.code, changed.code), (201, 200), "{}", made.text);
}

/// Only where a rule speaks of the old value is it optional: not in a text, nor where a field has that name.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#transition-rules>
#[tokio::test]
async fn a_text_is_no_old_value() {
    let ground = Ground::new().await;
    let rule = json!({
        "rule": "oldSelf.hasValue() || self.oldSelf == 'no oldSelf'", "optionalOldSelf": true,
        "messageExpression": "'there is no oldSelf, but ' + self.oldSelf",
    });
    let step = json!({
        "type": "object", "x-kubernetes-validations": [rule],
        "properties": { "oldSelf": { "type": "string", "maxLength": 20 } },
    });
    let kind = Kind::with(&ground, json!({ "step": step })).await;

    let faults = kind.faults(json!({ "step": { "oldSelf": "x" } })).await;
    let made =
        kind.create("one", &json!({ "spec": { "step": { "oldSelf": "no oldSelf" } } })).await;
    let changed = kind.merge("one", &json!({ "spec": { "step": { "oldSelf": "x" } } })).await;

    let why = "Invalid value: there is no oldSelf, but x";
    assert_eq!(faults, [format!("FieldValueInvalid spec.step: {why}")]);
    assert_eq!((made.code, changed.code), (201, 200), "{} {}", made.text, changed.text);
}

/// Rules are not asked about an object whose schema is broken in a way that they could not bear.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn rules_wait_for_the_schema() {
    let ground = Ground::new().await;
    let rules = json!([{ "rule": "self.count > 1", "message": "too few" }]);
    let kind = Kind::of(&ground, ruled(&json!({ "count": { "type": "integer" } }), &rules)).await;

    let faults = kind.faults(json!({ "count": "none" })).await;

    assert_eq!(
        faults,
        [
            "FieldValueInvalid <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
            r#"FieldValueTypeInvalid spec.count: Invalid value: "string": spec.count in body must be of type integer: "string""#,
        ]
    );
}

/// A rule that cannot be worked out refuses the object.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn a_rule_that_fails_refuses() {
    let ground = Ground::new().await;
    let list = json!({ "type": "array", "items": { "type": "integer" } });
    let rules =
        json!([{ "rule": "self.list[0] > 1" }, { "rule": "self.count != 7 || 1 / 0 == 1" }]);
    let properties = json!({ "list": list, "count": { "type": "integer", "default": 1 } });
    let kind = Kind::of(&ground, ruled(&properties, &rules)).await;

    let short = kind.faults(json!({ "list": [] })).await;
    let zero = kind.faults(json!({ "list": [2], "count": 7 })).await;

    let why =
        r#"Invalid value: "object": index out of bounds: 0 evaluating rule: self.list[0] > 1"#;
    assert_eq!(short, [format!("FieldValueInvalid spec: {why}")]);
    let why = r#"Invalid value: "object": division by zero evaluating rule: self.count != 7 || 1 / 0 == 1"#;
    assert_eq!(zero, [format!("FieldValueInvalid spec: {why}")]);
}

/// A rule that asks for a field that the schema has not is refused with its definition.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn a_rule_knows_the_fields_of_its_schema() {
    let ground = Ground::new().await;
    let part = json!({ "type": "object", "properties": { "x": { "type": "integer" } } });

    let typo = json!({ "rule": "self.part.y > 1" });
    let faults = refusal_of(&ground, json!({ "part": part }), typo).await;
    let absent = json!({ "rule": "has(self.none)" });
    let of_has = refusal_of(&ground, json!({ "part": part }), absent).await;

    let why = "compilation failed: ERROR: <input>";
    assert_eq!(
        faults,
        [format!(
            "FieldValueInvalid rule.rule: Invalid value: RULE: {why}:1:10: undefined field 'y'\n | self.part.y > 1\n | .........^"
        )]
    );
    assert_eq!(
        of_has,
        [format!(
            "FieldValueInvalid rule.rule: Invalid value: RULE: {why}:1:4: undefined field 'none'\n | has(self.none)\n | ...^"
        )]
    );
}

/// A rule is a whole expression, and its answer is yes or no.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn a_rule_answers_yes_or_no() {
    let ground = Ground::new().await;
    let number = json!({ "count": { "type": "integer" } });

    let answer = refusal_of(&ground, number.clone(), json!({ "rule": "self.count" })).await;
    let half = refusal_of(&ground, number.clone(), json!({ "rule": "self.count ==" })).await;
    let none = refusal_of(&ground, number, json!({ "rule": " " })).await;

    let path = "FieldValueInvalid rule.rule: Invalid value: RULE";
    assert_eq!(answer, [format!("{path}: cel expression must evaluate to a bool")]);
    assert_eq!(half.len(), 1, "{half:?}");
    let why = "compilation failed: ERROR: <input>:1:14: Syntax error: mismatched input '<EOF>'";
    assert!(half[0].starts_with(&format!("{path}: {why}")), "{half:?}");
    assert_eq!(none, ["FieldValueRequired rule.rule: Required value: rule is not specified"]);
}

/// Of an item of a list without keys nobody knows what it was.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#transition-rules>
#[tokio::test]
async fn an_item_without_keys_has_no_past() {
    let ground = Ground::new().await;
    let item = json!({
        "type": "string", "maxLength": 9, "x-kubernetes-validations": [{ "rule": "self == oldSelf" }],
    });
    let list = json!({ "type": "array", "maxItems": 9, "items": item });
    let schema = json!({ "type": "object", "properties": { "list": list } });

    let faults = faults_of(&ground, &definition(&ground, schema)).await;

    let path = "spec.validation.openAPIV3Schema.properties[list]";
    let why = "oldSelf cannot be used on the uncorrelatable portion of the schema within";
    assert_eq!(
        faults,
        [format!(
            r#"FieldValueInvalid {path}.items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": {why} {path}"#
        )]
    );
}

/// A rule's reason is one of four, and its field one of the schema's.
/// <https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/>
#[tokio::test]
async fn a_reason_is_one_of_four() {
    let ground = Ground::new().await;
    let rule = json!({ "rule": "true", "reason": "Because", "fieldPath": ".none" });

    let faults = refusal_of(&ground, json!({ "count": { "type": "integer" } }), rule).await;

    let known = r#""FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired""#;
    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid rule.fieldPath: Invalid value: ".none": must be a valid path"#
                .to_owned(),
            format!(
                r#"FieldValueNotSupported rule.reason: Unsupported value: "Because": supported values: {known}"#
            ),
        ]
    );
}

/// Names that expressions cannot write are written in other words.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
#[tokio::test]
async fn odd_names_are_escaped() {
    let ground = Ground::new().await;
    let text = json!({ "type": "string" });
    let rules = json!([{
        "rule": "self.__namespace__ == 'a' && self.a__dash__b == 'b' && self.c__dot__d == 'c'",
        "message": "odd",
    }]);
    let properties = json!({ "namespace": text, "a-b": text, "c.d": text });
    let kind = Kind::of(&ground, ruled(&properties, &rules)).await;

    let none = kind.faults(json!({ "namespace": "a", "a-b": "b", "c.d": "c" })).await;
    let faults = kind.faults(json!({ "namespace": "a", "a-b": "b", "c.d": "d" })).await;

    assert!(none.is_empty(), "{none:?}");
    assert_eq!(faults, ["FieldValueInvalid spec: Invalid value: odd"]);
}

/// Formats and quantities are compared as what they are, not as text.
/// <https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-cel-libraries>
#[tokio::test]
async fn values_are_compared_as_what_they_are() {
    let ground = Ground::new().await;
    let rules = json!([
        { "rule": "self.after > duration('1h')", "message": "too soon" },
        { "rule": "quantity(self.size).isLessThan(quantity('1Gi'))", "message": "too large" },
        { "rule": "self.tags.isSorted()", "message": "not in order" },
    ]);
    let tags =
        json!({ "type": "array", "maxItems": 5, "items": { "type": "string", "maxLength": 5 } });
    let properties = json!({
        "after": { "type": "string", "format": "duration" }, "tags": tags,
        "size": { "type": "string", "maxLength": 9 },
    });
    let kind = Kind::of(&ground, ruled(&properties, &rules)).await;

    let none = kind.faults(json!({ "after": "90m", "size": "900Mi", "tags": ["a", "b"] })).await;
    let soon = kind.faults(json!({ "after": "59m", "size": "900Mi", "tags": [] })).await;
    let large = kind.faults(json!({ "after": "2h", "size": "2Gi", "tags": [] })).await;
    let order = kind.faults(json!({ "after": "2h", "size": "1", "tags": ["b", "a"] })).await;

    assert!(none.is_empty(), "{none:?}");
    assert_eq!(soon, ["FieldValueInvalid spec: Invalid value: too soon"]);
    assert_eq!(large, ["FieldValueInvalid spec: Invalid value: too large"]);
    assert_eq!(order, ["FieldValueInvalid spec: Invalid value: not in order"]);
}
