//! Which part of a schema does a simple path name, such as `.spec.size` or `['a.b']`?

use serde_json::Value;

/// A part of a schema that a path leads to.
pub(crate) struct Target<'a> {
    pub(crate) steps: Vec<String>,
    /// The path in the words of a cause.
    pub(crate) path: String,
    pub(crate) schema: &'a Value,
}

/// Follows a path through a schema, or says why it leads nowhere.
pub(crate) fn find<'a>(path: &str, schema: &'a Value) -> Result<Target<'a>, String> {
    let mut tokens = tokens(path).into_iter();
    let mut target = Target { steps: Vec::new(), path: String::new(), schema };
    let ended = || "unexpected end of JSON path".to_owned();
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "[" => {
                let quoted = tokens.next().ok_or_else(ended)?;
                let name = quoted.strip_prefix('\'').and_then(|it| it.strip_suffix('\''));
                let Some(name) = name else {
                    return Err(format!("expected single quoted string but got {quoted}"));
                };
                target.step(&name.replace("\\'", "'").replace("\\\\", "\\"))?;
                match tokens.next().ok_or_else(ended)?.as_str() {
                    "]" => {}
                    other => return Err(format!("expected ] but got {other}")),
                }
            }
            "." => target.step(&tokens.next().ok_or_else(ended)?)?,
            other => return Err(format!("expected [ or . but got: {other}")),
        }
    }
    Ok(target)
}

impl Target<'_> {
    fn step(&mut self, name: &str) -> Result<(), String> {
        let nowhere = || Err("does not refer to a valid field".to_owned());
        if self.schema["properties"].is_object() {
            let Some(part) = self.schema["properties"].get(name) else { return nowhere() };
            self.schema = part;
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(name);
        } else if self.schema["additionalProperties"].is_object() {
            self.schema = &self.schema["additionalProperties"];
            self.path = format!("{}[{name}]", self.path);
        } else {
            return nowhere();
        }
        self.steps.push(name.to_owned());
        Ok(())
    }
}

/// Dots and brackets, and what stands between them.
fn tokens(path: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let (mut word, mut quoted, mut escaped) = (String::new(), false, false);
    for letter in path.chars() {
        if !quoted && matches!(letter, '.' | '[' | ']') {
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            tokens.push(letter.to_string());
            continue;
        }
        if letter == '\'' && !escaped && (quoted || word.is_empty()) {
            quoted = !quoted;
        }
        escaped = quoted && letter == '\\' && !escaped;
        word.push(letter);
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::find;

    #[test]
    fn a_path_leads_through_fields_and_keys() {
        let schema = json!({ "properties": {
            "a.b": { "type": "string" },
            "map": { "additionalProperties": { "type": "integer" } },
        } });

        assert_eq!(find("['a.b']", &schema).unwrap().schema["type"], "string");
        assert_eq!(find(".map['x']", &schema).unwrap().path, "map[x]");
        assert_eq!(find(".none", &schema).err().unwrap(), "does not refer to a valid field");
        assert_eq!(find("map", &schema).err().unwrap(), "expected [ or . but got: map");
        assert_eq!(find(".map.", &schema).err().unwrap(), "unexpected end of JSON path");
    }
}
