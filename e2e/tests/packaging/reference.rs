//! Does the reference of each kind say what its definition says? It is written from the definition.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::tools::{files, top};

/// Set to write the pages anew.
const UPDATE: &str = "GER_UPDATE_DOCS";

/// A page for each definition, by its path in the tree.
pub(crate) fn pages() -> BTreeMap<String, String> {
    let page = |file: &std::path::PathBuf| {
        let definition: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        (format!("docs/kinds/{}.md", kind.to_lowercase()), Page::of(&definition))
    };
    files("crds").iter().map(page).collect()
}

#[test]
fn each_field_of_each_kind_is_in_the_reference() {
    let pages = pages();
    assert_eq!(pages.len(), 6);
    for (path, text) in &pages {
        let file = top().join(path);
        if std::env::var_os(UPDATE).is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
        }
        let there = fs::read_to_string(&file).unwrap_or_default();
        assert!(there == *text, "{path} is stale: run this test with {UPDATE}=1 and commit it");
    }
    let known = files("docs/kinds");
    assert_eq!(known.len(), pages.len(), "{known:?}");
    let triggers = &pages["docs/kinds/scheduletrigger.md"];
    for field in ["`spec.schedule.cron`", "`spec.sources.watchOn.files[]`", "`status.runs[].phase`"]
    {
        assert!(triggers.contains(field), "the reference has no {field}");
    }
}

/// What is written of one kind.
struct Page {
    text: String,
}

impl Page {
    fn of(definition: &Value) -> String {
        let (spec, names) = (&definition["spec"], &definition["spec"]["names"]);
        let version = &spec["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"];
        let mut page = Self { text: String::new() };
        let kind = names["kind"].as_str().unwrap();
        page.line(&format!("# {kind}\n\n{}\n", described(schema)));
        page.line("Written from the definition; `kubectl explain` prints the same.\n");
        page.line(&format!(
            "| | |\n| --- | --- |\n| apiVersion | `{}/{}` |\n| scope | {} |\n| short names | {} |\n\n",
            spec["group"].as_str().unwrap(),
            version["name"].as_str().unwrap(),
            spec["scope"].as_str().unwrap(),
            list(&names["shortNames"]),
        ));
        let columns = version["additionalPrinterColumns"].as_array();
        if let Some(columns) = columns {
            page.line("`kubectl get` shows:\n\n| column | from |\n| --- | --- |");
            for it in columns {
                let (name, path) = (it["name"].as_str().unwrap(), it["jsonPath"].as_str().unwrap());
                page.line(&format!("| {name} | `{path}` |"));
            }
            page.line("");
        }
        for part in ["spec", "status"] {
            let part_schema = &schema["properties"][part];
            if part_schema.is_object() {
                page.line(&format!("## {part}\n\n{}\n", described(part_schema)));
                page.rules(part_schema);
                page.line("| field | type | what it is |\n| --- | --- | --- |");
                page.fields(part, part_schema);
                page.line("");
            }
        }
        page.text.truncate(page.text.trim_end().len());
        page.text + "\n"
    }

    fn line(&mut self, text: &str) {
        writeln!(self.text, "{text}").unwrap();
    }

    /// What must be true of the whole.
    fn rules(&mut self, schema: &Value) {
        let rules = schema["x-kubernetes-validations"].as_array();
        for it in rules.into_iter().flatten() {
            self.line(&format!("- {}", it["message"].as_str().unwrap_or_default()));
        }
        if rules.is_some() {
            self.line("");
        }
    }

    fn fields(&mut self, path: &str, schema: &Value) {
        let required = schema["required"].as_array();
        let is_required =
            |name: &str| required.is_some_and(|it| it.iter().any(|it| it.as_str() == Some(name)));
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            self.row(&path, field, if is_required(name) { "**Required.** " } else { "" });
            self.fields(&path, field);
        }
        match schema["type"].as_str() {
            Some("array") => self.items(&format!("{path}[]"), &schema["items"]),
            Some("object") if schema["additionalProperties"].is_object() => {
                self.items(&format!("{path}.*"), &schema["additionalProperties"]);
            }
            _ => {}
        }
    }

    /// The members of a list or a map: told where there is something to tell.
    fn items(&mut self, path: &str, schema: &Value) {
        if !limits(schema).is_empty() || !described(schema).is_empty() {
            self.row(path, schema, "");
        }
        self.fields(path, schema);
    }

    fn row(&mut self, path: &str, schema: &Value, before: &str) {
        let mut about = described(schema);
        for it in limits(schema) {
            about = format!("{about} {it}.");
        }
        for it in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            about = format!("{about} {}.", it["message"].as_str().unwrap_or_default());
        }
        let about = cell(&format!("{before}{}", about.trim()));
        self.line(&format!("| `{path}` | {} | {about} |", kind_of(schema)));
    }
}

fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// One line that ends no cell of a table, and is no tag of HTML.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|").replace('<', "&lt;").replace('>', "&gt;")
}

fn kind_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind_of(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind_of(&schema["additionalProperties"]))
        }
        Some(it) => it.to_owned(),
        None => "any".to_owned(),
    }
}

/// Default, choice and limits, each as a sentence without its end.
fn limits(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(it) = schema.get("default") {
        all.push(format!("Default: `{it}`"));
    }
    if schema["enum"].is_array() {
        all.push(format!("One of {}", list(&schema["enum"])));
    }
    for (key, words) in [
        ("minimum", "At least"),
        ("maximum", "At most"),
        ("minLength", "Characters, at least"),
        ("maxLength", "Characters, at most"),
        ("minItems", "Members, at least"),
        ("maxItems", "Members, at most"),
        ("maxProperties", "Keys, at most"),
        ("pattern", "Matches"),
    ] {
        if let Some(it) = schema.get(key) {
            let shown = it.as_str().map_or_else(|| it.to_string(), str::to_owned);
            // A schema's limits are floats, and nobody writes them so.
            let shown = shown.trim_end_matches(".0");
            all.push(format!("{words} `{shown}`"));
        }
    }
    all
}

fn list(values: &Value) -> String {
    let values = values.as_array().into_iter().flatten();
    let shown = values.filter_map(Value::as_str).map(|it| format!("`{it}`"));
    shown.collect::<Vec<_>>().join(", ")
}
