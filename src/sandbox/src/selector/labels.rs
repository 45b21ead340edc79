//! What a label selector says, and the words for one that says nothing sensible.

use crate::{store::Labels, validate};

/// One condition of a selector; all must hold.
#[derive(Debug, Clone)]
pub(super) struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Present,
    Absent,
    Above(i64),
    Below(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(text) => text,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }
}

/// The longer signs first.
const SIGNS: [&str; 9] = ["!=", "==", "=", "!", "(", ")", ",", ">", "<"];

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { rest: text };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            Token::Word(_) | Token::Sign("!") => {
                let requirement = parser.requirement();
                let broken = |why| format!("unable to parse requirement: {why}");
                requirements.push(requirement.map_err(broken)?);
                match parser.next() {
                    Token::End => return Ok(requirements),
                    Token::Sign(",") => match parser.peek() {
                        Token::Word(_) | Token::Sign("!") => {}
                        other => {
                            let found = other.text();
                            return Err(format!("found '{found}', expected: identifier after ','"));
                        }
                    },
                    other => {
                        let found = other.text();
                        return Err(format!("found '{found}', expected: ',' or 'end of string'"));
                    }
                }
            }
            Token::End => return Ok(requirements),
            other @ Token::Sign(_) => {
                let found = other.text();
                return Err(format!(
                    "found '{found}', expected: !, identifier, or 'end of string'"
                ));
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn next(&mut self) -> Token {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return Token::End;
        }
        for sign in SIGNS {
            if let Some(rest) = self.rest.strip_prefix(sign) {
                self.rest = rest;
                return Token::Sign(sign);
            }
        }
        let is_end = |it: char| it.is_whitespace() || "=!(),><".contains(it);
        let (word, rest) = self.rest.split_at(self.rest.find(is_end).unwrap_or(self.rest.len()));
        self.rest = rest;
        Token::Word(word.to_owned())
    }

    fn peek(&self) -> Token {
        Parser { rest: self.rest }.next()
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Token::Sign("!");
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        if let Some(why) = validate::qualified(&key) {
            return Err(format!("<nil>: Invalid value: {key:?}: {why}"));
        }
        if absent {
            return Ok(Requirement { key, test: Test::Absent });
        }
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(Requirement { key, test: Test::Present });
        }
        let test = self.test(&key)?;
        Ok(Requirement { key, test })
    }

    fn test(&mut self, key: &str) -> Result<Test, String> {
        let operator = self.next();
        let number = |text: &str| {
            text.parse().map_err(|_| {
                format!(
                    "values[0]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must \
                     be an integer"
                )
            })
        };
        match operator.text() {
            "in" => Ok(Test::In(self.values(key)?)),
            "notin" => Ok(Test::NotIn(self.values(key)?)),
            "=" | "==" => Ok(Test::In(vec![self.value(key)?])),
            "!=" => Ok(Test::NotIn(vec![self.value(key)?])),
            ">" => Ok(Test::Above(number(&self.value(key)?)?)),
            "<" => Ok(Test::Below(number(&self.value(key)?)?)),
            found => Err(format!("found '{found}', expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    /// What an operator compares with; nothing at all is the empty text.
    fn value(&mut self, key: &str) -> Result<String, String> {
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(String::new());
        }
        match self.next() {
            Token::Word(value) => checked(value, key, 0),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    fn values(&mut self, key: &str) -> Result<Vec<String>, String> {
        match self.next() {
            Token::Sign("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        let mut values = Vec::new();
        let mut waits = true;
        loop {
            match self.next() {
                Token::Word(value) if waits => {
                    values.push(checked(value, key, values.len())?);
                    waits = false;
                }
                Token::Sign(",") => {
                    values.extend(waits.then(String::new));
                    waits = true;
                }
                Token::Sign(")") => {
                    values.extend(waits.then(String::new));
                    return Ok(values);
                }
                other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
            }
        }
    }
}

/// A value that a label could have.
fn checked(value: String, key: &str, at: usize) -> Result<String, String> {
    match validate::label_value_fault(&value) {
        Some(why) => Err(format!("values[{at}][{key}]: Invalid value: {value:?}: {why}")),
        None => Ok(value),
    }
}

impl Requirement {
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let number = || value.and_then(|it| it.parse::<i64>().ok());
        match &self.test {
            Test::In(values) => value.is_some_and(|it| values.iter().any(|one| one == it)),
            Test::NotIn(values) => value.is_none_or(|it| values.iter().all(|one| one != it)),
            Test::Present => value.is_some(),
            Test::Absent => value.is_none(),
            Test::Above(limit) => number().is_some_and(|it| it > *limit),
            Test::Below(limit) => number().is_some_and(|it| it < *limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_operators_hold_as_they_say() {
        let labels = Labels::of(&json!({ "tier": "web", "size": "5" }));
        let holds = |text: &str| parse(text).unwrap().iter().all(|it| it.matches(&labels));

        for yes in [
            "",
            "tier",
            "!gone",
            "tier=web",
            "tier in (db, web)",
            "gone notin (a)",
            "size>4",
            "size<6",
            "gone!=x",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in
            ["!tier", "gone", "tier!=web", "tier notin (web)", "size>5", "gone in ()", "tier="]
        {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let why = |text: &str| parse(text).unwrap_err();

        assert_eq!(
            why("a b"),
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
        );
        assert_eq!(why("a,"), "found '', expected: identifier after ','");
        assert_eq!(why("!a=1"), "found '=', expected: ',' or 'end of string'");
        assert_eq!(why("a in (1"), "unable to parse requirement: found '', expected: ',' or ')'");
    }
}
