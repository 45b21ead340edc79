//! What does a pattern mean to Kubernetes? It is written for Go's expressions, which are those of Rust
//! but for a few letters: there a digit is one of ten.

use regex::Regex;

/// The expression, or why it is none, in Go's words as far as people meet them.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&translate(pattern)).map_err(|error| explain(pattern, &error))
}

/// The same expression in Rust's letters.
fn translate(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut letters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                let next = letters.next();
                match next {
                    Some('d') => text.push_str("[0-9]"),
                    Some('D') => text.push_str("[^0-9]"),
                    Some('w') => text.push_str("[0-9A-Za-z_]"),
                    Some('W') => text.push_str("[^0-9A-Za-z_]"),
                    Some('s') => text.push_str(r"[\t\n\f\r ]"),
                    Some('S') => text.push_str(r"[^\t\n\f\r ]"),
                    Some('b') if !in_class => text.push_str(r"(?-u:\b)"),
                    Some('Q') if !in_class => quote(&mut letters, &mut text),
                    Some(other) => text.extend(['\\', other]),
                    None => text.push('\\'),
                }
            }
            '[' if in_class => {
                let is_named = letters.peek() == Some(&':');
                text.push_str(if is_named { "[" } else { r"\[" });
            }
            '[' => {
                in_class = true;
                text.push('[');
                if let Some(caret) = letters.next_if_eq(&'^') {
                    text.push(caret);
                }
                // First of all it is a bracket, not the end.
                if letters.next_if_eq(&']').is_some() {
                    text.push_str(r"\]");
                }
            }
            ':' if in_class && letters.peek() == Some(&']') && text.contains("[:") => {
                letters.next();
                text.push_str(":]");
            }
            ']' => {
                in_class = false;
                text.push(']');
            }
            '&' | '~' if in_class => text.extend(['\\', letter]),
            other => text.push(other),
        }
    }
    text
}

/// What stands between `\Q` and `\E` means itself.
fn quote(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, text: &mut String) {
    let mut quoted = String::new();
    while let Some(letter) = letters.next() {
        if letter == '\\' && letters.next_if_eq(&'E').is_some() {
            break;
        }
        quoted.push(letter);
    }
    text.push_str(&regex::escape(&quoted));
}

fn explain(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let rest = |from: &str| pattern.find(from).and_then(|it| pattern.get(it..)).unwrap_or(pattern);
    let parts = if let Some(look) =
        ["(?=", "(?!", "(?<=", "(?<!"].into_iter().find(|it| pattern.contains(it))
    {
        // Of a look behind, Go reads less.
        ("invalid or unsupported Perl syntax", if look.len() == 4 { "(?<" } else { look })
    } else if text.contains("unclosed character class") {
        ("missing closing ]", rest("["))
    } else if text.contains("unclosed group") {
        ("missing closing )", pattern)
    } else if text.contains("unopened group") {
        ("unexpected )", pattern)
    } else if text.contains("repetition operator missing expression") {
        ("missing argument to repetition operator", pattern.get(..1).unwrap_or(pattern))
    } else if pattern.ends_with('\\') {
        ("trailing backslash at end of expression", "")
    } else {
        ("invalid escape sequence", rest("\\"))
    };
    format!("error parsing regexp: {}: `{}`", parts.0, parts.1)
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn a_pattern_means_what_it_means_to_go() {
        for (pattern, good, bad) in [
            (r"^\d+$", "12", "١٢"),
            (r"^[\w.-]+$", "a_b.c-d", "ä"),
            (r"^[[a]+$", "[a", "b"),
            (r"^[]a]+$", "]a", "b"),
            (r"^[[:alpha:]&&a]+$", "x&", "1"),
            (r"^\Qa.b\E$", "a.b", "axb"),
        ] {
            let regex = compile(pattern).unwrap();

            assert!(regex.is_match(good), "{pattern} {good}");
            assert!(!regex.is_match(bad), "{pattern} {bad}");
        }
    }

    #[test]
    fn a_broken_pattern_is_explained() {
        let why = compile("[a").unwrap_err();
        assert_eq!(why, "error parsing regexp: missing closing ]: `[a`");
        let why = compile("^(?!a)").unwrap_err();
        assert_eq!(why, "error parsing regexp: invalid or unsupported Perl syntax: `(?!`");
    }
}
