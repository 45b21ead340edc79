//! One look through an expression: of which type each part is, what it costs, and what is wrong.

use std::sync::Arc;

use super::{
    Access, Answer, Bind, Call, Expr, GATHERED, Kind, Loop, Past,
    cost::{self, Entry, Fact, NEW_LIST, NEW_MAP, NEW_MESSAGE, Path, Priced, Size},
    declared::{Decl, Form, Step},
    functions::{self, Function, Signature},
    types::{Bound, Type, is_same},
};

pub(super) struct Look {
    root: Arc<Decl>,
    names: Vec<(String, Fact)>,
    faults: Vec<(usize, String)>,
}

/// What a look has found.
pub(super) struct Seen {
    /// Each with its place.
    pub(super) faults: Vec<(usize, String)>,
    pub(super) answer: Answer,
    pub(super) cost: u64,
}

impl Look {
    pub(super) fn new(root: &Arc<Decl>, past: Past) -> Self {
        let ty = root.ty();
        let old = match past {
            Past::Certain => ty.clone(),
            Past::Optional => Type::Optional(Box::new(ty.clone())),
        };
        let at_root = || Path::At(Some(Arc::clone(root)));
        let names = [("self", ty), ("oldSelf", old)];
        let names =
            names.map(|(name, ty)| (name.to_owned(), Fact::new(0, ty, 1).at_path(at_root())));
        Self { root: Arc::clone(root), names: names.into(), faults: Vec::new() }
    }

    pub(super) fn whole(mut self, expression: &Expr) -> Seen {
        let fact = self.fact(expression);
        let answer = match fact.ty {
            Type::Bool => Answer::YesOrNo,
            Type::Text => Answer::Text,
            Type::Dyn | Type::Any(_) => Answer::Unknown,
            _ => Answer::Other,
        };
        Seen { faults: self.faults, answer, cost: fact.cost }
    }

    fn fault(&mut self, at: usize, what: String) {
        self.faults.push((at, what));
    }

    fn fact(&mut self, it: &Expr) -> Fact {
        match &it.kind {
            Kind::Literal(ty, size) => Fact::new(it.at, ty.clone(), 0).sized(Some(Size::of(*size))),
            Kind::Ident(name) => self.ident(it.at, name),
            Kind::Select(operand, field, access) => self.select(it.at, (operand, field), *access),
            Kind::Call(call) => self.call(it.at, call),
            Kind::List(items) => self.list(it.at, items),
            Kind::Map(entries) => self.map(it.at, entries),
            Kind::Loop(each) => self.each(it.at, each),
            Kind::Bind(bind) => self.bind(it.at, bind),
            Kind::Message(fields) => {
                let parts = fields
                    .iter()
                    .fold(NEW_MESSAGE, |sum, it| sum.saturating_add(self.fact(it).cost));
                Fact::new(it.at, Type::Dyn, parts)
            }
        }
    }

    fn ident(&mut self, at: usize, name: &str) -> Fact {
        if let Some((_, known)) = self.names.iter().rev().find(|it| it.0 == name) {
            return Fact { at, cost: 1, ..known.clone() };
        }
        let ty = match name {
            "bool" => Type::Bool,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            "string" => Type::Text,
            "bytes" => Type::Bytes,
            "null_type" => Type::Null,
            "list" | "map" | "type" => Type::Dyn,
            name if functions::is_library(name) => return Fact::new(at, Type::Dyn, 1),
            name => {
                self.fault(at, format!("undeclared reference to '{name}' (in container '')"));
                return Fact::new(at, Type::Dyn, 1);
            }
        };
        Fact::new(at, Type::Kind(Box::new(ty)), 1)
    }

    fn select(&mut self, at: usize, (operand, field): (&Expr, &str), access: Access) -> Fact {
        let whole = self.fact(operand);
        let (inner, was_optional) = match &whole.ty {
            Type::Optional(inner) => ((**inner).clone(), true),
            other => (other.clone(), false),
        };
        let ty = self.field(at, &inner, field);
        if access == Access::Presence {
            return Fact::new(at, Type::Bool, whole.cost);
        }
        let costs = matches!(whole.ty, Type::Map(..) | Type::Object(_));
        let cost = whole.cost.saturating_add(u64::from(costs));
        if was_optional || access == Access::Optional {
            let ty = Type::Optional(Box::new(ty));
            // Asked for as by a call, of whose result nothing is declared.
            return Fact::new(at, ty, cost.saturating_add(u64::from(access == Access::Optional)));
        }
        let path = whole.path.step(Step::Field(field), &self.root);
        Fact::new(at, ty, cost).at_path(path)
    }

    fn field(&mut self, at: usize, whole: &Type, field: &str) -> Type {
        match whole {
            Type::Map(_, value) => (**value).clone(),
            Type::Object(decl) => {
                let Form::Object { fields, .. } = &decl.form else { return Type::Dyn };
                if let Some(found) = fields.get(field) {
                    return found.ty();
                }
                self.fault(at, format!("undefined field '{field}'"));
                Type::Dyn
            }
            Type::Dyn | Type::Any(_) => Type::Dyn,
            other => {
                self.fault(at, format!("type '{other}' does not support field selection"));
                Type::Dyn
            }
        }
    }

    fn call(&mut self, at: usize, call: &Call) -> Fact {
        let arguments: Vec<Fact> = call.arguments.iter().map(|it| self.fact(it)).collect();
        let Some(target) = &call.target else {
            return self.called(at, (&call.name, None), &arguments);
        };
        let library = match &target.kind {
            Kind::Ident(name) => format!("{name}.{}", call.name),
            _ => String::new(),
        };
        if !matches!(functions::find(&library), Function::Unknown) {
            return self.called(at, (&library, None), &arguments);
        }
        let target = self.fact(target);
        self.called(at, (&call.name, Some(&target)), &arguments)
    }

    fn called(
        &mut self,
        at: usize,
        (name, target): (&str, Option<&Fact>),
        arguments: &[Fact],
    ) -> Fact {
        let (spent, entry) = cost::before(name, arguments);
        let spent = spent.saturating_add(target.map_or(0, |it| it.cost));
        if name == "dyn" && target.is_none() && arguments.len() == 1 {
            let it = &arguments[0];
            let fact = Fact::new(at, Type::Dyn, spent.saturating_add(1));
            return fact.sized(it.size).holding(it.entry);
        }
        if matches!(name, "_&&_" | "_||_") {
            for it in arguments.iter().filter(|it| !Bound::default().takes(&Type::Bool, &it.ty)) {
                let what = format!("expected type 'bool' but found '{}'", it.ty);
                self.fault(it.at, what);
            }
            return Fact::new(at, Type::Bool, spent);
        }
        let (ty, matching) = self.resolve(at, (name, target), arguments);
        let mut found: Option<(u64, Option<Size>)> = None;
        for takes in &matching {
            let priced = Priced { name, takes, target, arguments, root: &self.root };
            let (cost, size) = cost::price(&priced);
            let both = |known: Option<Size>| match (known, size) {
                (Some(one), Some(other)) => Some(one.or(other)),
                (one, other) => one.or(other),
            };
            found = Some(match found {
                None => (cost, size),
                Some((most, known)) => (most.max(cost), both(known)),
            });
        }
        let (cost, size) = found.unwrap_or((1, None));
        let fact = Fact::new(at, ty, spent.saturating_add(cost)).holding(entry);
        self.indexed(fact, (name, arguments), &matching).sized(size)
    }

    /// What is taken out of a list or a map is a part of what is declared.
    fn indexed(
        &self,
        fact: Fact,
        (name, arguments): (&str, &[Fact]),
        matching: &[Vec<Type>],
    ) -> Fact {
        let Some(whole) = arguments.first().filter(|_| name == "_[_]") else { return fact };
        let step = match matching.first().and_then(|it| it.first()) {
            Some(Type::List(_)) => Step::Items,
            Some(Type::Map(..)) => Step::Values,
            _ => return fact,
        };
        let path = whole.path.step(step, &self.root);
        fact.at_path(path).sized(whole.entry.map(|it| it.value))
    }

    /// The type of a call's result, and which of the function's ways it can be.
    fn resolve(
        &mut self,
        at: usize,
        (name, target): (&str, Option<&Fact>),
        arguments: &[Fact],
    ) -> (Type, Vec<Vec<Type>>) {
        let given: Vec<Type> =
            target.into_iter().chain(arguments).map(|it| it.ty.clone()).collect();
        if let (true, [one, other]) = (functions::ORDERS.contains(&name), given.as_slice()) {
            if let Some(takes) = ordered(one, other) {
                return (Type::Bool, vec![takes]);
            }
            self.mismatch(at, (name, &given), Style::of(target));
            return (Type::Bool, Vec::new());
        }
        let signatures = match functions::find(name) {
            Function::Known(signatures) => signatures,
            Function::Named => return (Type::Dyn, Vec::new()),
            Function::Unknown => {
                self.fault(at, format!("undeclared reference to '{name}' (in container '')"));
                return (Type::Dyn, Vec::new());
            }
        };
        let mut ty: Option<Type> = None;
        let mut matching = Vec::new();
        for signature in signatures.iter().filter(|it| it.is_member == target.is_some()) {
            let Some(gives) = taken(signature, &given) else { continue };
            matching.push(signature.takes.clone());
            ty = Some(match ty {
                None => gives,
                Some(known) if is_same(&known, &gives) => known,
                Some(_) => Type::Dyn,
            });
        }
        if ty.is_none() {
            self.mismatch(at, (name, &given), Style::of(target));
        }
        (ty.unwrap_or(Type::Dyn), matching)
    }

    fn mismatch(&mut self, at: usize, (name, given): (&str, &[Type]), style: Style) {
        let shown = |it: &[Type]| it.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
        let applied = match (style, given) {
            (Style::Member, [target, rest @ ..]) => format!("{target}.({})", shown(rest)),
            _ => format!("({})", shown(given)),
        };
        self.fault(at, format!("found no matching overload for '{name}' applied to '{applied}'"));
    }

    fn list(&mut self, at: usize, items: &[Expr]) -> Fact {
        let facts: Vec<Fact> = items.iter().map(|it| self.fact(it)).collect();
        let item = self.common(&facts);
        let least = if facts.is_empty() { 0 } else { u64::MAX };
        let none = Size { least, most: 0 };
        let value = facts.iter().fold(none, |all, it| all.or(it.size()));
        let cost = facts.iter().fold(NEW_LIST, |sum, it| sum.saturating_add(it.cost));
        let fact = Fact::new(at, Type::List(Box::new(item)), cost);
        let entry = Entry { is_list: true, key: Size::of(1), value };
        fact.sized(Some(Size::of(items.len() as u64))).holding(Some(entry))
    }

    /// All of a list are of one type.
    fn common(&mut self, facts: &[Fact]) -> Type {
        let mut bound = Bound::default();
        for fact in facts {
            if !bound.takes(&Type::Any('A'), &fact.ty) {
                let wanted = bound.filled(&Type::Any('A'));
                self.fault(fact.at, format!("expected type '{wanted}' but found '{}'", fact.ty));
            }
        }
        bound.filled(&Type::Any('A'))
    }

    fn map(&mut self, at: usize, entries: &[(Expr, Expr)]) -> Fact {
        let facts: Vec<(Fact, Fact)> =
            entries.iter().map(|(key, value)| (self.fact(key), self.fact(value))).collect();
        let (keys, values): (Vec<Fact>, Vec<Fact>) = facts.into_iter().unzip();
        let (key, value) = (self.common(&keys), self.common(&values));
        let least = if keys.is_empty() { 0 } else { u64::MAX };
        let sizes =
            |of: &[Fact]| of.iter().fold(Size { least, most: 0 }, |all, it| all.or(it.size()));
        let entry = Entry { is_list: false, key: sizes(&keys), value: sizes(&values) };
        let cost = keys.iter().chain(&values).fold(NEW_MAP, |sum, it| sum.saturating_add(it.cost));
        let fact = Fact::new(at, Type::Map(Box::new(key), Box::new(value)), cost);
        fact.sized(Some(Size::of(entries.len() as u64))).holding(Some(entry))
    }

    fn each(&mut self, at: usize, it: &Loop) -> Fact {
        let range = self.fact(&it.range);
        let first = self.fact(&it.first);
        let depth = self.names.len();
        self.names.push((GATHERED.to_owned(), first.clone()));
        let parts = self.parts(&range);
        let parts = if it.names.len() == 2 { &parts[1..] } else { &parts[..1] };
        self.names.extend(it.names.iter().cloned().zip(parts.iter().cloned()));
        let goes_on = self.fact(&it.goes_on);
        let step = self.fact(&it.step);
        self.names.truncate(depth + 1);
        // What is gathered is of the type that a step makes of it.
        self.names[depth].1.ty.clone_from(&step.ty);
        let last = self.fact(&it.last);
        self.names.truncate(depth);

        let round = step.cost.saturating_add(goes_on.cost);
        let rounds = range.size().most.saturating_mul(round);
        let cost = range.cost.saturating_add(first.cost);
        let cost = cost.saturating_add(last.cost).saturating_add(rounds);
        let fact = Fact::new(at, last.ty, cost);
        match it.first.kind {
            Kind::List(_) | Kind::Map(_) => fact.sized(Some(range.size())).holding(step.entry),
            _ => fact.sized(first.size),
        }
    }

    /// What a loop names of a list or a map: with one name, or the place and what is there.
    fn parts(&mut self, range: &Fact) -> [Fact; 3] {
        let (key, value, is_list) = match &range.ty {
            Type::List(item) => (Type::Int, (**item).clone(), true),
            Type::Map(key, value) => ((**key).clone(), (**value).clone(), false),
            Type::Dyn | Type::Any(_) => {
                (Type::Dyn, Type::Dyn, range.entry.is_some_and(|it| it.is_list))
            }
            other => {
                let what = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, \
                     map, or dynamic)"
                );
                self.fault(range.at, what);
                (Type::Dyn, Type::Dyn, false)
            }
        };
        let part = |ty: &Type, step: Step<'_>, size: Option<Size>| {
            let fact = Fact::new(range.at, ty.clone(), 1).sized(size);
            fact.at_path(range.path.step(step, &self.root))
        };
        let (keys, values) = (range.entry.map(|it| it.key), range.entry.map(|it| it.value));
        if is_list {
            let item = part(&value, Step::Items, values);
            [item.clone(), part(&key, Step::Places, keys), item]
        } else {
            let (key, value) = (part(&key, Step::Keys, keys), part(&value, Step::Values, values));
            [key.clone(), key, value]
        }
    }

    fn bind(&mut self, at: usize, it: &Bind) -> Fact {
        let value = self.fact(&it.value);
        self.names.push((it.name.clone(), value.clone()));
        let body = self.fact(&it.body);
        self.names.pop();
        let cost = value.cost.saturating_add(body.cost).saturating_add(NEW_LIST);
        Fact { at, cost, path: Path::Nowhere, ..body }
    }
}

/// Whether a call is one of a target.
#[derive(Debug, Clone, Copy)]
enum Style {
    Member,
    Plain,
}

impl Style {
    fn of(target: Option<&Fact>) -> Self {
        if target.is_some() { Self::Member } else { Self::Plain }
    }
}

/// What a call of these gives, if the signature takes them.
fn taken(signature: &Signature, given: &[Type]) -> Option<Type> {
    let mut bound = Bound::default();
    let takes = signature.takes.len() == given.len()
        && signature.takes.iter().zip(given).all(|(wanted, found)| bound.takes(wanted, found));
    takes.then(|| bound.filled(&signature.gives))
}

/// As what two values are compared, if one can come before the other.
fn ordered(one: &Type, other: &Type) -> Option<Vec<Type>> {
    let is_number = |it: &Type| matches!(it, Type::Int | Type::Uint | Type::Double);
    let has_order = |it: &Type| {
        is_number(it) || it.is_text() || matches!(it, Type::Bool | Type::Timestamp | Type::Duration)
    };
    match (one, other) {
        (Type::Dyn, Type::Dyn) => Some(vec![Type::Text; 2]),
        (Type::Dyn, known) | (known, Type::Dyn) if has_order(known) => Some(vec![known.clone(); 2]),
        (one, other) if is_number(one) && is_number(other) => {
            Some(vec![one.clone(), other.clone()])
        }
        (one, other) if has_order(one) && is_same(one, other) => Some(vec![one.clone(); 2]),
        _ => None,
    }
}
