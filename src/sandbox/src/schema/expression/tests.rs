//! What is known of rules before anybody asks them.

use serde_json::{Value, json};

use super::{Answer, Past, declared::Decl, look};

fn schema() -> Value {
    let part = json!({ "type": "object", "properties": { "x": { "type": "integer" } } });
    json!({ "type": "object", "properties": {
        "part": part, "list": { "type": "array", "items": part }, "a-b": { "type": "string" },
        "map": { "type": "object", "additionalProperties": part }, "s": { "type": "string" },
        "short": { "type": "string", "maxLength": 10 }, "b": { "type": "boolean" },
        "i": { "type": "integer" }, "either": { "x-kubernetes-int-or-string": true },
        "words": { "type": "array", "maxItems": 5, "items": { "type": "string", "maxLength": 10 } },
        "at": { "type": "string", "format": "date-time" }, "n": { "type": "number" },
    } })
}

fn known(source: &str) -> super::Known {
    let root = Decl::of(&schema(), "selfType").unwrap();
    look(source, &root, Past::Certain).unwrap_or_else(|| panic!("{source} is not read"))
}

#[test]
fn a_rule_that_fits_its_schema_has_no_fault() {
    for fine in [
        "self.part.x > 1 && self.a__dash__b == 'a'",
        "self.list.all(it, it.x > 1)",
        "self.map['k'].x == 1 && self.map.k.x == oldSelf.part.x",
        "has(self.part) && self.s.size() > 1",
        "self.either == 1 || self.either == 'a'",
        "type(self.either) == string ? self.either.matches('a') : self.either > 1",
        "self.i < self.n && self.n != 1.5 && -1 < self.i",
        "self.words.map(it, it.size()).sum() > 3",
        "self.words.filter(it, it.startsWith('a')).map(it, it == 'b', it + 'c') == ['d']",
        "self.words.exists_one(it, it == 'a') && self.words.exists(i, w, i == 0 && w == 'a')",
        "self.map.all(k, v, k == 'a' && v.x > 1) && self.map.exists(k, self.map[k].x == 1)",
        "self.at > timestamp('2026-01-01T00:00:00Z') && self.at.getHours() < 3",
        "self.?s.orValue('') == 'a' && optional.of(self.i).hasValue()",
        "self.words[?0].optMap(it, it.size()).orValue(0) == 1",
        "[1, 2].exists(it, it == self.i) && self.s in ['a', 'b'] && 'k' in self.map",
        "{'a': 1}['a'] == 1 && !(self.b || false) && size(self.words) % 2 == 0",
        "quantity(self.s).isLessThan(quantity('1Gi')) && isQuantity(self.s)",
        "ip(self.s).family() == 4 && cidr(self.s).containsIP('10.0.0.1') && ip.isCanonical(self.s)",
        "!format.dns1123Label().validate(self.s).hasValue() && sets.contains(self.words, ['a'])",
        "self == oldSelf && dyn(self.i) == 'a' && self.part != null",
        "url(self.s).getQuery()['a'][0] == 'b' && self.s.split(',').join('') == ''",
        r#"self.s.matches(r'^\d+$') && self.s == "a\"b" && self.s != '''x'y''' && 0x1F == 31"#,
        "semver(self.s).major() > 1 && duration('1h') + duration('1m') > duration('1s')",
    ] {
        let known = known(fine);
        assert!(known.faults.is_empty(), "{fine}: {:?}", known.faults);
        assert_eq!(known.answer, Answer::YesOrNo, "{fine}");
    }
}

#[test]
fn what_does_not_fit_is_pointed_at() {
    for (broken, fault) in [
        ("self.zz > 1", "1:5: undefined field 'zz'\n | self.zz > 1\n | ....^"),
        ("has(self.zz)", "1:4: undefined field 'zz'\n | has(self.zz)\n | ...^"),
        (
            "self.list.all(it, it.y > 1)",
            "1:21: undefined field 'y'\n | self.list.all(it, it.y > 1)\n | ....................^",
        ),
        (
            "self.s.x == 1",
            "1:7: type 'string' does not support field selection\n | self.s.x == 1\n | ......^",
        ),
        (
            "self.s == 1",
            "1:8: found no matching overload for '_==_' applied to '(string, int)'\n | self.s == 1\n | .......^",
        ),
        (
            "self.s.startsWith(1)",
            "1:18: found no matching overload for 'startsWith' applied to 'string.(int)'\n | self.s.startsWith(1)\n | .................^",
        ),
        (
            "self.b && self.i",
            "1:15: expected type 'bool' but found 'int'\n | self.b && self.i\n | ..............^",
        ),
        (
            "that.s == ''",
            "1:1: undeclared reference to 'that' (in container '')\n | that.s == ''\n | ^",
        ),
        (
            "self.words == [1]",
            "1:12: found no matching overload for '_==_' applied to '(list(string), list(int))'\n | self.words == [1]\n | ...........^",
        ),
    ] {
        assert_eq!(known(broken).faults, [format!("ERROR: <input>:{fault}")]);
    }
}

#[test]
fn an_answer_may_be_none() {
    assert_eq!(known("self.i").answer, Answer::Other);
    assert_eq!(known("'a' + self.s").answer, Answer::Text);
    assert_eq!(known("self.either").answer, Answer::Unknown);
}

#[test]
fn what_a_rule_costs_depends_on_what_its_parts_can_hold() {
    let cheap = known("self.short == 'abc'").cost;
    let each = known("self.words.all(it, it.startsWith('a'))").cost;
    let endless = known("self.list.all(it, it.x > 1)").cost;
    let nested = known("self.list.all(a, self.list.all(b, a == b))").cost;

    assert_eq!(cheap, 3);
    assert!(each < 100, "{each}");
    assert!(endless > 1_000_000, "{endless}");
    assert!(nested > 100_000_000_000, "{nested}");
}

#[test]
fn what_is_no_expression_is_not_looked_at() {
    let root = Decl::of(&schema(), "selfType").unwrap();
    for none in ["self.", "self.i ==", "(1", "'a", "1 2", &"(".repeat(100)] {
        assert!(look(none, &root, Past::Certain).is_none(), "{none}");
    }
}
