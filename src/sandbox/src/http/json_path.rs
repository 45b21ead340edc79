//! The JSON paths that columns use: `.a.b`, `['a.b']`, `[0]`, `[-1]`, `[*]`, `.*` and
//! `[?(@.type=="Ready")]`.

use serde_json::Value;

/// What a path finds in a value, in its order; nothing when the path makes no sense.
pub(super) fn find<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let path = path.trim().trim_start_matches('$');
    let Some(steps) = parse(path) else { return Vec::new() };
    let mut found = vec![value];
    for step in &steps {
        found = found.into_iter().flat_map(|it| step.walk(it)).collect();
    }
    found
}

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Item(i64),
    Every,
    Where(Filter),
}

/// Which items of a list are meant: those that have a field, or whose field compares so.
#[derive(Debug, PartialEq)]
struct Filter {
    field: Vec<Step>,
    wanted: Option<(Comparison, Value)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Different,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

use Comparison::{Different, Equal, Less, LessOrEqual, More, MoreOrEqual};

/// The longer ones first: each begins with one of the shorter.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Equal),
    ("!=", Different),
    ("<=", LessOrEqual),
    (">=", MoreOrEqual),
    ("<", Less),
    (">", More),
];

impl Step {
    fn walk<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Self::Item(index), Value::Array(list)) => {
                let length = i64::try_from(list.len()).unwrap_or_default();
                let index = if *index < 0 { index + length } else { *index };
                let item = usize::try_from(index).ok().and_then(|it| list.get(it));
                item.into_iter().collect()
            }
            (Self::Every, Value::Object(map)) => map.values().collect(),
            (Self::Every, Value::Array(list)) => list.iter().collect(),
            (Self::Where(filter), Value::Array(list)) => {
                list.iter().filter(|it| filter.holds(it)).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Filter {
    fn holds(&self, item: &Value) -> bool {
        let mut found = vec![item];
        for step in &self.field {
            found = found.into_iter().flat_map(|it| step.walk(it)).collect();
        }
        let (Some(found), Some((comparison, wanted))) = (found.first(), &self.wanted) else {
            return !found.is_empty() && self.wanted.is_none();
        };
        let order = match (found.as_f64(), wanted.as_f64()) {
            (Some(found), Some(wanted)) => found.partial_cmp(&wanted),
            _ => found.as_str().zip(wanted.as_str()).map(|(found, wanted)| found.cmp(wanted)),
        };
        match comparison {
            Equal => *found == wanted,
            Different => *found != wanted,
            Less => order.is_some_and(std::cmp::Ordering::is_lt),
            LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            More => order.is_some_and(std::cmp::Ordering::is_gt),
            MoreOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

fn parse(mut path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !path.is_empty() {
        if let Some(inner) = path.strip_prefix('[') {
            let end = closing(inner)?;
            steps.push(bracket(inner[..end].trim())?);
            path = &inner[end + 1..];
            continue;
        }
        path = path.strip_prefix('.')?;
        let (name, rest) = field(path);
        match name.as_str() {
            // A lone dot is the value itself.
            "" if rest.is_empty() || rest.starts_with('[') => {}
            "" => return None,
            "*" => steps.push(Step::Every),
            _ => steps.push(Step::Field(name)),
        }
        path = rest;
    }
    Some(steps)
}

/// The name at the beginning, in which a backslash makes a dot a part of it, and what follows.
fn field(path: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = path.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '.' | '[' => return (name, &path[at..]),
            '\\' => name.extend(letters.next().map(|(_, it)| it)),
            _ => name.push(letter),
        }
    }
    (name, "")
}

/// Where the bracket ends that has been opened: not inside quotes, not inside another.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_u32, None);
    for (at, letter) in text.char_indices() {
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            ('[', None) => depth += 1,
            (']', None) if depth == 0 => return Some(at),
            (']', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(step: &str) -> Option<Step> {
    if step == "*" {
        return Some(Step::Every);
    }
    if let Some(text) = step.strip_prefix("?(") {
        return filter(text.strip_suffix(')')?).map(Step::Where);
    }
    match quoted(step) {
        Some(name) => Some(Step::Field(name.to_owned())),
        None => step.parse().ok().map(Step::Item),
    }
}

fn filter(text: &str) -> Option<Filter> {
    let text = text.trim().strip_prefix('@')?;
    let split = COMPARISONS
        .into_iter()
        .filter_map(|(sign, comparison)| Some((text.find(sign)?, sign, comparison)))
        .min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())));
    let Some((at, sign, comparison)) = split else {
        return Some(Filter { field: parse(text.trim())?, wanted: None });
    };
    let wanted = text[at + sign.len()..].trim();
    let wanted = match quoted(wanted) {
        Some(text) => text.into(),
        None => serde_json::from_str(wanted).ok()?,
    };
    Some(Filter { field: parse(text[..at].trim())?, wanted: Some((comparison, wanted)) })
}

fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|it| text.strip_prefix(it)?.strip_suffix(it))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::find;

    #[test]
    fn a_path_finds_what_kubectl_would_print() {
        let object = json!({
            "spec": {"schedule": {"interval": "10s"}, "none": {}},
            "metadata": {"labels": {"a.b/c": "x"}},
            "list": [{"type": "A", "n": 1, "in": {"k": "v"}}, {"type": "Ready", "n": 2}],
        });
        let cases = [
            (".spec.schedule.*", json!(["10s"])),
            (".spec.none.*", json!([])),
            (".spec.schedule['interval']", json!(["10s"])),
            (r".metadata.labels.a\.b/c", json!(["x"])),
            (".metadata.labels['a.b/c']", json!(["x"])),
            (".list[0].type", json!(["A"])),
            (".list[-1].type", json!(["Ready"])),
            (".list[*].n", json!([1, 2])),
            (r#".list[?(@.type=="Ready")].n"#, json!([2])),
            (".list[?(@.type != 'Ready')].n", json!([1])),
            (".list[?(@.n >= 2)].type", json!(["Ready"])),
            (".list[?(@.in.k==\"v\")].n", json!([1])),
            (".list[?(@.in)].n", json!([1])),
            (r#".list[?(@.type=="]")].n"#, json!([])),
            (".nothing.here", json!([])),
            (".list[", json!([])),
            ("spec", json!([])),
        ];

        for (path, wanted) in cases {
            assert_eq!(json!(find(&object, path)), wanted, "{path}");
        }
    }
}
