//! What do the words mean that are no functions? Loops over lists and maps, and values that may be missing.

use super::{Access, Bind, Call, Expr, GATHERED, Kind, Loop, parse::call, types::Type};

/// A call as it is, or what it is a short form of.
pub(super) fn expand(at: usize, written: Call) -> Expr {
    let as_it_is = |it: Call| Expr { at, kind: Kind::Call(it) };
    match (written.name.as_str(), &written.target, written.arguments.as_slice()) {
        ("has", None, [Expr { kind: Kind::Select(operand, field, _), .. }]) => {
            let kind = Kind::Select(operand.clone(), field.clone(), Access::Presence);
            Expr { at, kind }
        }
        ("optMap" | "optFlatMap", Some(target), [name, body]) => {
            let Some(name) = ident(name) else { return as_it_is(written) };
            optional(at, (target, &name, body), &written.name)
        }
        (name, Some(range), [first, rest @ ..]) => {
            let two =
                rest.len() > 1 && ident(&rest[0]).is_some() && takes_two(name, rest.len() + 1);
            let (more, parts) = if two { rest.split_at(1) } else { rest.split_at(0) };
            let names: Option<Vec<String>> = [first].into_iter().chain(more).map(ident).collect();
            let found =
                names.and_then(|names| Shape::of(at, name, (&names, parts)).map(|it| (it, names)));
            match found {
                Some((shape, names)) => shape.over(at, (**range).clone(), names),
                None => as_it_is(written),
            }
        }
        _ => as_it_is(written),
    }
}

fn ident(it: &Expr) -> Option<String> {
    match &it.kind {
        Kind::Ident(name) => Some(name.clone()),
        _ => None,
    }
}

/// Whether a loop of so many arguments has two names.
fn takes_two(name: &str, count: usize) -> bool {
    match name {
        "all" | "exists" | "existsOne" | "exists_one" => count == 3,
        "transformList" | "transformMap" | "transformMapEntry" => count >= 3,
        _ => false,
    }
}

/// What a loop does.
struct Shape {
    first: Expr,
    goes_on: Expr,
    step: Expr,
    last: Expr,
}

impl Shape {
    fn of(at: usize, name: &str, (names, parts): (&[String], &[Expr])) -> Option<Self> {
        let new = |kind: Kind| Expr { at, kind };
        let literal = |ty: Type| new(Kind::Literal(ty, 1));
        let so_far = || new(Kind::Ident(GATHERED.to_owned()));
        let goes_on = |it: Expr| call(at, "@not_strictly_false", vec![it]);
        let list = |it: Vec<Expr>| new(Kind::List(it));
        let grown = |it: &Expr| call(at, "_+_", vec![so_far(), list(vec![it.clone()])]);
        let when = |it: &Expr, then: Expr| call(at, "_?_:_", vec![it.clone(), then, so_far()]);
        let always = || literal(Type::Bool);
        let gathers =
            |first: Expr, step: Expr| Self { first, goes_on: always(), step, last: so_far() };
        Some(match (name, parts) {
            ("all", [part]) => Self {
                first: literal(Type::Bool),
                goes_on: goes_on(so_far()),
                step: call(at, "_&&_", vec![so_far(), part.clone()]),
                last: so_far(),
            },
            ("exists", [part]) => Self {
                first: literal(Type::Bool),
                goes_on: goes_on(call(at, "!_", vec![so_far()])),
                step: call(at, "_||_", vec![so_far(), part.clone()]),
                last: so_far(),
            },
            ("exists_one" | "existsOne", [part]) => Self {
                first: literal(Type::Int),
                goes_on: always(),
                step: when(part, call(at, "_+_", vec![so_far(), literal(Type::Int)])),
                last: call(at, "_==_", vec![so_far(), literal(Type::Int)]),
            },
            ("map" | "transformList", [part]) => gathers(list(Vec::new()), grown(part)),
            ("map" | "transformList", [test, part]) => {
                gathers(list(Vec::new()), when(test, grown(part)))
            }
            ("filter", [test]) => {
                let item = new(Kind::Ident(names.first()?.clone()));
                gathers(list(Vec::new()), when(test, grown(&item)))
            }
            ("transformMap" | "transformMapEntry", [.., part]) => {
                let key = new(Kind::Ident(names.first()?.clone()));
                let inserted = if name == "transformMap" {
                    call(at, "cel.@mapInsert", vec![so_far(), key, part.clone()])
                } else {
                    call(at, "cel.@mapInsert", vec![so_far(), part.clone()])
                };
                let step = match parts {
                    [test, _] => when(test, inserted),
                    _ => inserted,
                };
                gathers(new(Kind::Map(Vec::new())), step)
            }
            _ => return None,
        })
    }

    fn over(self, at: usize, range: Expr, names: Vec<String>) -> Expr {
        let Self { first, goes_on, step, last } = self;
        Expr { at, kind: Kind::Loop(Box::new(Loop { range, names, first, goes_on, step, last })) }
    }
}

fn optional(at: usize, (target, name, body): (&Expr, &str, &Expr), word: &str) -> Expr {
    let of = |name: &str| {
        let call = Call {
            name: name.to_owned(),
            target: Some(Box::new(target.clone())),
            arguments: Vec::new(),
        };
        Expr { at, kind: Kind::Call(call) }
    };
    let bind = Bind { name: name.to_owned(), value: of("value"), body: body.clone() };
    let bind = Expr { at, kind: Kind::Bind(Box::new(bind)) };
    let found = if word == "optMap" { call(at, "optional.of", vec![bind]) } else { bind };
    call(at, "_?_:_", vec![of("hasValue"), found, call(at, "optional.none", Vec::new())])
}
