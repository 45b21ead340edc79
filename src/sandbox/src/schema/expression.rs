//! What does a rule mean before it is ever asked? Which types its parts have, what it costs at worst, and what is
//! wrong with it.
//! ```text
//! text -> tokens -> parse (macros written out) -> look: types (functions) and cost (sizes of declared parts)
//! ```

mod cost;
pub(super) mod declared;
mod functions;
mod look;
mod macros;
mod parse;
pub(super) mod reads;
mod tokens;
mod types;

use std::sync::Arc;

use self::{declared::Decl, tokens::Word, types::Type};

/// The name of what a loop gathers; nobody can write it.
const GATHERED: &str = "@result";

/// An expression, and where in its text it stands.
#[derive(Debug, Clone)]
struct Expr {
    at: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// A value that is written down, and its size.
    Literal(Type, u64),
    Ident(String),
    Select(Box<Expr>, String, Access),
    Call(Call),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Loop(Box<Loop>),
    /// A value that has a name in another expression.
    Bind(Box<Bind>),
    /// What no rule has use for: a message of a type with a name.
    Message(Vec<Expr>),
}

/// How a field is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Value,
    Optional,
    Presence,
}

#[derive(Debug, Clone)]
struct Call {
    name: String,
    target: Option<Box<Expr>>,
    arguments: Vec<Expr>,
}

#[derive(Debug, Clone)]
struct Loop {
    range: Expr,
    /// One, or two: of the place and of what is there.
    names: Vec<String>,
    first: Expr,
    goes_on: Expr,
    step: Expr,
    last: Expr,
}

#[derive(Debug, Clone)]
struct Bind {
    name: String,
    value: Expr,
    body: Expr,
}

/// What is known of an expression.
#[derive(Debug)]
pub(super) struct Known {
    /// What is wrong with it, in the words of the compiler.
    pub(super) faults: Vec<String>,
    /// Whether it is yes or no, or text, if that is known.
    pub(super) answer: Answer,
    /// The worst that asking it once can cost.
    pub(super) cost: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    YesOrNo,
    Text,
    Other,
    Unknown,
}

/// Whether there is always a value from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    Certain,
    Optional,
}

/// Where an expression speaks of a value by its name, and not of a field or in a text.
pub(super) fn places(source: &str, name: &str) -> Vec<usize> {
    let tokens = tokens::tokens(source).unwrap_or_default();
    let is_sign = |at: Option<usize>, sign: &'static str| {
        at.and_then(|it| tokens.get(it)).is_some_and(|it| it.word == Word::Sign(sign))
    };
    let of_value = |at: usize| {
        let before = at.checked_sub(1);
        let optional = is_sign(before, "?") && is_sign(at.checked_sub(2), ".");
        !is_sign(before, ".") && !optional
    };
    let all = tokens.iter().enumerate();
    all.filter(|(at, it)| matches!(&it.word, Word::Name(found) if found == name) && of_value(*at))
        .map(|(_, it)| it.at)
        .collect()
}

/// Looks at an expression about a part of a schema. One that cannot be read is the compiler's to refuse.
pub(super) fn look(source: &str, root: &Arc<Decl>, past: Past) -> Option<Known> {
    let expression = parse::parse(source)?;
    let seen = look::Look::new(root, past).whole(&expression);
    let mut faults = seen.faults;
    faults.sort_by_key(|it| it.0);
    faults.dedup();
    Some(Known {
        faults: faults.iter().map(|(at, what)| told(source, *at, what)).collect(),
        answer: seen.answer,
        cost: seen.cost,
    })
}

/// A fault as the compiler shows it: the line, and a caret below the place.
fn told(source: &str, at: usize, what: &str) -> String {
    let before = source.get(..at).unwrap_or_default();
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let text = source.split('\n').nth(line).unwrap_or_default();
    let dots = ".".repeat(column);
    format!("ERROR: <input>:{}:{}: {what}\n | {text}\n | {dots}^", line + 1, column + 1)
}

#[cfg(test)]
mod tests;
