//! One rule of a role: which requests it allows, and which other rules it covers.

use serde_json::{Value, json};

use crate::{auth::Attributes, object};

/// A rule as it is matched: read from its JSON once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) urls: Vec<String>,
}

/// The rules of a role.
pub(crate) fn of(role: &Value) -> Vec<Rule> {
    object::items(role, "/rules").map(Rule::parse).collect()
}

fn lists(list: &[String], wanted: &str) -> bool {
    list.iter().any(|it| it == "*" || it == wanted)
}

impl Rule {
    pub(crate) fn parse(rule: &Value) -> Self {
        let list = |field: &str| -> Vec<String> {
            object::strings(&rule[field]).into_iter().map(str::to_owned).collect()
        };
        Self {
            verbs: list("verbs"),
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            urls: list("nonResourceURLs"),
        }
    }

    pub(crate) fn allows(&self, asked: &Attributes<'_>) -> bool {
        if !lists(&self.verbs, asked.verb) {
            return false;
        }
        if !asked.is_resource() {
            return self.urls.iter().any(|it| reaches(it, asked.path));
        }
        lists(&self.groups, asked.group)
            && self.resources.iter().any(|it| is_of(it, asked.resource, asked.subresource))
            && (self.names.is_empty() || self.names.iter().any(|it| it == asked.name))
    }

    /// Whether whoever has this rule has all of another that allows one thing.
    fn covers(&self, one: &Self) -> bool {
        let all = |mine: &[String], theirs: &[String]| theirs.iter().all(|it| lists(mine, it));
        all(&self.verbs, &one.verbs)
            && all(&self.groups, &one.groups)
            && one.resources.iter().all(|it| {
                let (resource, subresource) = it.split_once('/').unwrap_or((it, ""));
                self.resources.iter().any(|mine| mine == it || is_of(mine, resource, subresource))
            })
            && (self.names.is_empty()
                || !one.names.is_empty() && one.names.iter().all(|it| self.names.contains(it)))
            && one
                .urls
                .iter()
                .all(|it| self.urls.iter().any(|mine| mine == it || reaches(mine, it)))
    }

    /// Rules that allow one thing each, and the same together.
    fn parts(&self) -> Vec<Self> {
        let one = |it: &String| vec![it.clone()];
        let names: Vec<Vec<String>> = if self.names.is_empty() {
            vec![Vec::new()]
        } else {
            self.names.iter().map(one).collect()
        };
        let mut parts = vec![Self::default()];
        for (list, set) in [
            (
                &self.groups,
                (|part: &mut Self| &mut part.groups) as fn(&mut Self) -> &mut Vec<String>,
            ),
            (&self.resources, |part| &mut part.resources),
            (&self.verbs, |part| &mut part.verbs),
        ] {
            parts = spread(&parts, &list.iter().map(one).collect::<Vec<_>>(), set);
        }
        parts = spread(&parts, &names, |part| &mut part.names);
        for url in &self.urls {
            let part = |verb| Self { verbs: one(verb), urls: one(url), ..Self::default() };
            parts.extend(self.verbs.iter().map(part));
        }
        parts
    }

    /// As the API writes a rule in its answers.
    pub(crate) fn to_json(&self) -> Value {
        let mut rule = json!({ "verbs": self.verbs });
        let lists = [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ];
        for (field, list) in lists {
            if !list.is_empty() {
                rule[field] = json!(list);
            }
        }
        rule
    }

    /// As refusals show a rule.
    pub(crate) fn shown(&self) -> String {
        let lists = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("ResourceNames", &self.names),
            ("NonResourceURLs", &self.urls),
            ("Verbs", &self.verbs),
        ];
        let parts = lists.iter().filter(|(_, list)| !list.is_empty());
        let parts: Vec<String> =
            parts.map(|(name, list)| format!("{name}:{}", quoted(list))).collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// Each part as often as there are values, with one of them in it.
fn spread(
    parts: &[Rule],
    values: &[Vec<String>],
    field: fn(&mut Rule) -> &mut Vec<String>,
) -> Vec<Rule> {
    let mut all = Vec::with_capacity(parts.len() * values.len());
    for part in parts {
        for value in values {
            let mut part = part.clone();
            field(&mut part).clone_from(value);
            all.push(part);
        }
    }
    all
}

/// A list as Go prints it with quotes.
pub(crate) fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|it| format!("{it:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

/// Whether what a rule names is a resource or its subresource.
fn is_of(named: &str, resource: &str, subresource: &str) -> bool {
    if named == "*" {
        return true;
    }
    match named.split_once('/') {
        None => subresource.is_empty() && named == resource,
        Some((of, sub)) => {
            !subresource.is_empty() && sub == subresource && (of == "*" || of == resource)
        }
    }
}

/// Whether a path is one that a rule names; a star at its end stands for the rest.
fn reaches(named: &str, path: &str) -> bool {
    match named.strip_suffix('*') {
        Some(start) => path.starts_with(start.trim_end_matches('*')),
        None => named == path,
    }
}

/// Which parts of some rules others do not cover, few and in order.
pub(crate) fn uncovered(held: &[&Rule], wanted: &[Rule]) -> Vec<Rule> {
    let parts = wanted.iter().flat_map(Rule::parts);
    let missing = parts.filter(|part| !held.iter().any(|it| it.covers(part)));
    let mut compact: Vec<Rule> = Vec::new();
    for part in missing {
        let same = |it: &&mut Rule| {
            it.urls.is_empty()
                && part.urls.is_empty()
                && (&it.groups, &it.resources, &it.names)
                    == (&part.groups, &part.resources, &part.names)
        };
        match compact.iter_mut().find(same) {
            Some(rule) if rule.verbs.contains(&part.verbs[0]) => {}
            Some(rule) => rule.verbs.extend(part.verbs),
            None => compact.push(part),
        }
    }
    compact.sort_by_key(Rule::shown);
    compact.dedup();
    compact
}

#[cfg(test)]
mod tests {
    use super::{Rule, uncovered};
    use crate::auth::Attributes;
    use serde_json::json;

    fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Rule {
        Rule::parse(&json!({ "apiGroups": groups, "resources": resources, "verbs": verbs }))
    }

    fn asked(resource: &'static str, subresource: &'static str) -> Attributes<'static> {
        Attributes { verb: "get", resource, subresource, name: "x", ..Attributes::default() }
    }

    #[test]
    fn a_resource_is_not_its_subresources() {
        let pods = rule(&[""], &["pods"], &["get"]);
        let logs = rule(&[""], &["pods/log"], &["get"]);
        let scales = rule(&[""], &["*/scale"], &["get"]);

        assert!(pods.allows(&asked("pods", "")) && !pods.allows(&asked("pods", "log")));
        assert!(logs.allows(&asked("pods", "log")) && !logs.allows(&asked("pods", "")));
        assert!(scales.allows(&asked("pods", "scale")) && !scales.allows(&asked("pods", "log")));
        assert!(rule(&["*"], &["*"], &["*"]).allows(&asked("pods", "log")));
    }

    #[test]
    fn a_star_ends_a_path() {
        let rule = Rule::parse(&json!({ "nonResourceURLs": ["/a/*", "/b"], "verbs": ["get"] }));
        let path = |path: &'static str| Attributes { verb: "get", path, ..Attributes::default() };

        assert!(rule.allows(&path("/a/b/c")) && rule.allows(&path("/b")));
        assert!(!rule.allows(&path("/a")) && !rule.allows(&path("/b/c")));
    }

    #[test]
    fn what_is_missing_is_told_once_for_each_resource() {
        let held = rule(&[""], &["configmaps"], &["get"]);
        let wanted = rule(&[""], &["secrets", "configmaps", "pods"], &["get", "list"]);

        let missing = uncovered(&[&held], &[wanted]);

        let lines: Vec<String> = missing.iter().map(Rule::shown).collect();
        assert_eq!(
            lines,
            [
                r#"{APIGroups:[""], Resources:["configmaps"], Verbs:["list"]}"#,
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}"#,
            ]
        );
    }
}
