//! How do the words of an expression belong together?

use super::{
    Access, Call, Expr, Kind, macros,
    tokens::{Token, Word, tokens},
    types::Type,
};

/// Deeper than anybody writes.
const DEEPEST: usize = 64;

/// Levels of operators, those that bind least first, and what their calls are named.
const LEVELS: [&[(&str, &str)]; 5] = [
    &[("||", "_||_")],
    &[("&&", "_&&_")],
    &[
        ("==", "_==_"),
        ("!=", "_!=_"),
        ("<", "_<_"),
        ("<=", "_<=_"),
        (">", "_>_"),
        (">=", "_>=_"),
        ("in", "@in"),
    ],
    &[("+", "_+_"), ("-", "_-_")],
    &[("*", "_*_"), ("/", "_/_"), ("%", "_%_")],
];

/// The expression, if it is one.
pub(super) fn parse(source: &str) -> Option<Expr> {
    let mut parser = Parser { tokens: tokens(source)?, next: 0, depth: 0 };
    let whole = parser.expression()?;
    parser.tokens.get(parser.next).is_none().then_some(whole)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn word(&self) -> Option<&Word> {
        self.tokens.get(self.next).map(|it| &it.word)
    }

    /// Takes a sign, if it comes next; where it is.
    fn sign(&mut self, sign: &str) -> Option<usize> {
        let token = self.tokens.get(self.next)?;
        let is_it = match &token.word {
            Word::Sign(it) => *it == sign,
            Word::Name(it) => it == sign && sign == "in",
            _ => false,
        };
        let at = token.at;
        self.next += usize::from(is_it);
        is_it.then_some(at)
    }

    fn name(&mut self) -> Option<(usize, String)> {
        let token = self.tokens.get(self.next)?;
        let Word::Name(name) = &token.word else { return None };
        let found = (token.at, name.clone());
        self.next += 1;
        Some(found)
    }

    fn expression(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut found = self.level(0)?;
        if let Some(at) = self.sign("?") {
            let yes = self.level(0)?;
            self.sign(":")?;
            let no = self.expression()?;
            found = call(at, "_?_:_", vec![found, yes, no]);
        }
        self.depth -= 1;
        Some(found)
    }

    fn level(&mut self, level: usize) -> Option<Expr> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        while let Some((at, name)) =
            operators.iter().find_map(|(sign, name)| Some((self.sign(sign)?, *name)))
        {
            let right = self.level(level + 1)?;
            left = call(at, name, vec![left, right]);
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expr> {
        for (sign, name) in [("!", "!_"), ("-", "-_")] {
            let Some(at) = self.sign(sign) else { continue };
            let mut is_odd = true;
            while self.sign(sign).is_some() {
                is_odd = !is_odd;
            }
            let is_number = matches!(self.word(), Some(Word::Int | Word::Double));
            let mut operand = self.member()?;
            if sign == "-" && is_odd && is_number && matches!(operand.kind, Kind::Literal(..)) {
                operand.at = at;
                return Some(operand);
            }
            return Some(if is_odd { call(at, name, vec![operand]) } else { operand });
        }
        self.member()
    }

    fn member(&mut self) -> Option<Expr> {
        let mut found = self.primary()?;
        loop {
            if let Some(dot) = self.sign(".") {
                found = self.after_dot(found, dot)?;
            } else if let Some(at) = self.sign("[") {
                found = self.after_bracket(found, at)?;
            } else if matches!(found.kind, Kind::Ident(_) | Kind::Select(..))
                && self.sign("{").is_some()
            {
                let fields = self.entries()?.into_iter().map(|it| it.1).collect();
                found = Expr { at: found.at, kind: Kind::Message(fields) };
            } else {
                return Some(found);
            }
        }
    }

    fn after_bracket(&mut self, target: Expr, at: usize) -> Option<Expr> {
        let name = if self.sign("?").is_some() { "_[?_]" } else { "_[_]" };
        let index = self.expression()?;
        self.sign("]")?;
        Some(call(at, name, vec![target, index]))
    }

    fn after_dot(&mut self, target: Expr, dot: usize) -> Option<Expr> {
        let is_optional = self.sign("?").is_some();
        let (_, name) = self.name()?;
        if let Some(at) = self.sign("(").filter(|_| !is_optional) {
            let arguments = self.list(")")?;
            let call = Call { name, target: Some(Box::new(target)), arguments };
            return Some(macros::expand(at, call));
        }
        let access = if is_optional { Access::Optional } else { Access::Value };
        Some(Expr { at: dot, kind: Kind::Select(Box::new(target), name, access) })
    }

    fn primary(&mut self) -> Option<Expr> {
        let token = self.tokens.get(self.next)?.clone();
        let at = token.at;
        let literal = |ty: Type, size: u64| Some(Expr { at, kind: Kind::Literal(ty, size) });
        self.next += 1;
        match token.word {
            Word::Int => literal(Type::Int, 1),
            Word::Uint => literal(Type::Uint, 1),
            Word::Double => literal(Type::Double, 1),
            Word::Text(size) => literal(Type::Text, size),
            Word::Bytes(size) => literal(Type::Bytes, size),
            Word::Name(name) => match name.as_str() {
                "true" | "false" => literal(Type::Bool, 1),
                "null" => literal(Type::Null, 1),
                _ => self.named(at, name),
            },
            Word::Sign(".") => {
                let (at, name) = self.name()?;
                self.named(at, name)
            }
            Word::Sign("(") => {
                let inner = self.expression()?;
                self.sign(")")?;
                Some(inner)
            }
            Word::Sign("[") => Some(Expr { at, kind: Kind::List(self.list("]")?) }),
            Word::Sign("{") => Some(Expr { at, kind: Kind::Map(self.entries()?) }),
            Word::Sign(_) => None,
        }
    }

    fn named(&mut self, at: usize, name: String) -> Option<Expr> {
        let Some(open) = self.sign("(") else { return Some(Expr { at, kind: Kind::Ident(name) }) };
        let arguments = self.list(")")?;
        Some(macros::expand(open, Call { name, target: None, arguments }))
    }

    /// Expressions up to a sign; a last comma is fine, and so are optional elements.
    fn list(&mut self, end: &str) -> Option<Vec<Expr>> {
        let mut all = Vec::new();
        while self.sign(end).is_none() {
            self.sign("?");
            all.push(self.expression()?);
            if self.sign(",").is_none() {
                self.sign(end)?;
                break;
            }
        }
        Some(all)
    }

    fn entries(&mut self) -> Option<Vec<(Expr, Expr)>> {
        let mut all = Vec::new();
        while self.sign("}").is_none() {
            self.sign("?");
            let key = self.expression()?;
            self.sign(":")?;
            all.push((key, self.expression()?));
            if self.sign(",").is_none() {
                self.sign("}")?;
                break;
            }
        }
        Some(all)
    }
}

/// A call of a function that has no target.
pub(super) fn call(at: usize, name: &str, arguments: Vec<Expr>) -> Expr {
    Expr { at, kind: Kind::Call(Call { name: name.to_owned(), target: None, arguments }) }
}
