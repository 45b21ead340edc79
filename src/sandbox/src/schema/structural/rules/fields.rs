//! Does an expression ask for fields that the schema has? A rule that does not is refused before it can
//! fail on an object.

use kube_cel::cel::{
    IdedExpr, Program,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, SelectExpr},
};
use serde_json::Value;

/// Words that are no names in expressions.
const RESERVED: [&str; 18] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
];

/// What is known of a name: the schema of its values, if that is known.
type Scope<'a> = Vec<(String, Option<&'a Value>)>;

/// What an expression is at fault in, in the words of the compiler.
pub(super) fn check(source: &str, schema: &Value) -> Vec<String> {
    let Ok(program) = Program::compile(source) else { return Vec::new() };
    let mut look = Look { source, from: 0, faults: Vec::new() };
    let names = ["self", "oldSelf"].map(|it| (it.to_owned(), Some(schema)));
    look.expression(program.expression(), &mut names.to_vec());
    look.faults
}

/// What an expression is known to be that is neither true nor false.
pub(super) fn is_no_answer(source: &str, schema: &Value) -> bool {
    let Ok(program) = Program::compile(source) else { return false };
    match &program.expression().expr {
        Expr::Literal(it) => !matches!(it, kube_cel::cel::common::ast::LiteralValue::Boolean(_)),
        Expr::Select(select) if !select.test => {
            let mut look = Look { source, from: 0, faults: Vec::new() };
            let found = look.select(select, &mut vec![("self".to_owned(), Some(schema))]);
            found.is_some_and(|it| it["type"].is_string() && it["type"] != "boolean")
        }
        _ => false,
    }
}

struct Look<'s> {
    source: &'s str,
    /// Where the next field is looked for: they are met in the order in which they are written.
    from: usize,
    faults: Vec<String>,
}

impl Look<'_> {
    /// The schema of an expression's value, if it is one that a schema has.
    fn expression<'a>(&mut self, it: &IdedExpr, scope: &mut Scope<'a>) -> Option<&'a Value> {
        match &it.expr {
            Expr::Ident(name) => scope.iter().rev().find(|it| it.0 == *name)?.1,
            Expr::Select(select) => self.select(select, scope),
            Expr::Call(call) => self.call(call, scope),
            Expr::Comprehension(each) => {
                self.comprehension(each, scope);
                None
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.expression(element, scope);
                }
                None
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    self.entry(&entry.expr, scope);
                }
                None
            }
            Expr::Struct(_) | Expr::Literal(_) | Expr::Unspecified => None,
        }
    }

    fn entry(&mut self, entry: &EntryExpr, scope: &mut Scope<'_>) {
        let EntryExpr::MapEntry(entry) = entry else { return };
        self.expression(&entry.key, scope);
        self.expression(&entry.value, scope);
    }

    fn call<'a>(&mut self, call: &CallExpr, scope: &mut Scope<'a>) -> Option<&'a Value> {
        let target = call.target.as_ref().map(|it| self.expression(it, scope));
        let arguments: Vec<Option<&'a Value>> =
            call.args.iter().map(|it| self.expression(it, scope)).collect();
        match (call.func_name.as_str(), arguments.as_slice(), target) {
            ("_[_]", [Some(whole), ..], None) => {
                let part = if whole["type"] == "array" { "items" } else { "additionalProperties" };
                whole.get(part).filter(|it| it.is_object())
            }
            _ => None,
        }
    }

    fn comprehension(&mut self, each: &ComprehensionExpr, scope: &mut Scope<'_>) {
        let whole = self.expression(&each.iter_range, scope);
        let depth = scope.len();
        let item = whole.filter(|it| it["type"] == "array").and_then(|it| it.get("items"));
        scope.push((each.iter_var.clone(), item.filter(|_| each.iter_var2.is_none())));
        scope.extend(each.iter_var2.iter().map(|it| (it.clone(), item)));
        scope.push((each.accu_var.clone(), None));
        self.expression(&each.loop_step, scope);
        scope.truncate(depth);
    }

    fn select<'a>(&mut self, select: &SelectExpr, scope: &mut Scope<'a>) -> Option<&'a Value> {
        let whole = self.expression(&select.operand, scope)?;
        let at = self.position(select);
        let kind = match whole["type"].as_str()? {
            _ if whole["x-kubernetes-int-or-string"] == true => return None,
            "object" => return self.field(whole, select, at),
            _ if whole["format"].is_string() => return None,
            "array" => "list",
            "integer" => "int",
            "number" => "double",
            "boolean" => "bool",
            other => other,
        };
        if kind != "list" {
            self.fault(at, &format!("type '{kind}' does not support field selection"));
        }
        None
    }

    fn field<'a>(&mut self, whole: &'a Value, select: &SelectExpr, at: usize) -> Option<&'a Value> {
        if whole["additionalProperties"].is_object() {
            return Some(&whole["additionalProperties"]);
        }
        let properties = whole["properties"].as_object()?;
        let found = properties.iter().find(|(name, _)| escaped(name) == select.field);
        if found.is_none() {
            self.fault(at, &format!("undefined field '{}'", select.field));
        }
        found.map(|(_, it)| it)
    }

    /// Where a selection stands: at its dot, and for `has` at the parenthesis.
    fn position(&mut self, select: &SelectExpr) -> usize {
        let dotted = format!(".{}", select.field);
        let ends = |at: usize| {
            let next = self.source.get(at + dotted.len()..).and_then(|it| it.chars().next());
            next.is_none_or(|it| !it.is_ascii_alphanumeric() && it != '_')
        };
        let places = |from: usize| {
            let rest = self.source.get(from..).unwrap_or_default();
            rest.match_indices(&dotted).map(|it| from + it.0).find(|it| ends(*it))
        };
        let at = places(self.from).or_else(|| places(0)).unwrap_or_default();
        self.from = at;
        if select.test
            && let Some(has) = self.source.get(..at).and_then(|it| it.rfind("has("))
        {
            return has + 3;
        }
        at
    }

    fn fault(&mut self, at: usize, what: &str) {
        self.faults.push(told(self.source, at, what));
    }
}

/// A fault as the compiler shows it: the line, and a caret below the place.
fn told(source: &str, at: usize, what: &str) -> String {
    let before = source.get(..at).unwrap_or_default();
    let line = before.matches('\n').count();
    let column = at - before.rfind('\n').map_or(0, |it| it + 1);
    let text = source.lines().nth(line).unwrap_or_default();
    let dots = ".".repeat(column);
    format!("ERROR: <input>:{}:{}: {what}\n | {text}\n | {dots}^", line + 1, column + 1)
}

/// A field's name as expressions write it.
fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) || matches!(name, "var" | "void" | "while") {
        return format!("__{name}__");
    }
    let name = name.replace("__", "__underscores__");
    name.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{check, is_no_answer};

    #[test]
    fn a_field_that_is_not_there_is_pointed_at() {
        let part = json!({ "type": "object", "properties": { "x": { "type": "integer" } } });
        let schema = json!({ "type": "object", "properties": {
            "part": part, "list": { "type": "array", "items": part }, "a-b": { "type": "string" },
            "map": { "type": "object", "additionalProperties": part }, "s": { "type": "string" },
        } });

        for fine in [
            "self.part.x > 1 && self.a__dash__b == 'a'",
            "self.list.all(it, it.x > 1)",
            "self.map['k'].x == 1 && self.map.k.x == oldSelf.part.x",
            "has(self.part) && self.s.size() > 1",
        ] {
            assert!(check(fine, &schema).is_empty(), "{fine}: {:?}", check(fine, &schema));
        }
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
        ] {
            assert_eq!(check(broken, &schema), [format!("ERROR: <input>:{fault}")]);
        }
    }

    #[test]
    fn a_value_is_no_answer() {
        let schema = json!({ "type": "object", "properties": {
            "i": { "type": "integer" }, "b": { "type": "boolean" },
        } });

        assert!(is_no_answer("self.i", &schema) && is_no_answer("1", &schema));
        assert!(!is_no_answer("self.b", &schema) && !is_no_answer("true", &schema));
    }
}
