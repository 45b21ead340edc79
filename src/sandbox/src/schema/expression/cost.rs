//! What does a call cost at worst? By the sizes that its parts can have, in the units of Kubernetes' own estimate.

use std::sync::Arc;

use super::{
    declared::{Decl, Step},
    types::Type,
};

/// Reading a letter, and a letter of a pattern.
const LETTER: f64 = 0.1;
const PATTERN: f64 = 0.25;
pub(super) const NEW_LIST: u64 = 10;
pub(super) const NEW_MAP: u64 = 30;
pub(super) const NEW_MESSAGE: u64 = 40;

/// How large a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Size {
    const UNKNOWN: Self = Self { least: 0, most: u64::MAX };

    pub(super) fn of(size: u64) -> Self {
        Self { least: size, most: size }
    }

    fn up_to(most: u64) -> Self {
        Self { least: 0, most }
    }

    fn plus(self, other: Self) -> Self {
        let (least, most) =
            (self.least.saturating_add(other.least), self.most.saturating_add(other.most));
        Self { least, most }
    }

    fn times(self, other: Self) -> Self {
        let (least, most) =
            (self.least.saturating_mul(other.least), self.most.saturating_mul(other.most));
        Self { least, most }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    fn read(self) -> u64 {
        scaled(self.most, LETTER)
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, worked out as Kubernetes does it; a float too large becomes the largest number"
)]
fn scaled(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

/// How large what is inside of a list or a map can be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) is_list: bool,
    pub(super) key: Size,
    pub(super) value: Size,
}

impl Entry {
    fn or(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (one, other) = (one?, other?);
        Some(Self { key: one.key.or(other.key), value: one.value.or(other.value), ..one })
    }
}

/// Which declared part a value is, if it is one.
#[derive(Debug, Clone)]
pub(super) enum Path {
    Nowhere,
    /// At a part, or at one that nothing is declared of.
    At(Option<Arc<Decl>>),
}

impl Path {
    /// A step from nowhere is counted as the root itself: so does the estimate that this follows.
    pub(super) fn step(&self, step: Step<'_>, root: &Arc<Decl>) -> Self {
        match self {
            Self::Nowhere => Self::At(Some(Arc::clone(root))),
            Self::At(decl) => Self::At(decl.as_ref().and_then(|it| it.step(step))),
        }
    }

    fn size(&self) -> Option<Size> {
        match self {
            Self::At(Some(decl)) => Some(Size::up_to(decl.most)),
            Self::At(None) | Self::Nowhere => None,
        }
    }
}

/// What is known of a part of an expression.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) at: usize,
    pub(super) ty: Type,
    pub(super) cost: u64,
    pub(super) size: Option<Size>,
    pub(super) entry: Option<Entry>,
    pub(super) path: Path,
}

impl Fact {
    pub(super) fn new(at: usize, ty: Type, cost: u64) -> Self {
        let size = ty.is_scalar().then(|| Size::of(1));
        Self { at, ty, cost, size, entry: None, path: Path::Nowhere }
    }

    pub(super) fn at_path(mut self, path: Path) -> Self {
        self.size = path.size().or(self.size);
        self.path = path;
        self
    }

    pub(super) fn sized(mut self, size: Option<Size>) -> Self {
        self.size = size.or(self.size);
        self
    }

    pub(super) fn holding(mut self, entry: Option<Entry>) -> Self {
        self.entry = entry;
        self
    }

    pub(super) fn size(&self) -> Size {
        self.size.unwrap_or(Size::UNKNOWN)
    }
}

/// A call whose types are known.
pub(super) struct Priced<'a> {
    pub(super) name: &'a str,
    /// What the function takes, as it is declared.
    pub(super) takes: &'a [Type],
    pub(super) target: Option<&'a Fact>,
    pub(super) arguments: &'a [Fact],
    pub(super) root: &'a Arc<Decl>,
}

/// What a call costs, its arguments not counted, and how large its result is.
pub(super) fn price(call: &Priced<'_>) -> (u64, Option<Size>) {
    let known = match (call.target, call.arguments) {
        (Some(target), arguments) => of_target(call, target, arguments),
        (None, arguments) => of_arguments(call, arguments),
    };
    known.unwrap_or((1, None))
}

fn of_target(call: &Priced<'_>, target: &Fact, arguments: &[Fact]) -> Option<(u64, Option<Size>)> {
    let size = target.size();
    let first = arguments.first().map(Fact::size);
    let pattern = |it: Size| scaled(it.most, PATTERN);
    let text = |it: Size| it.plus(Size::of(1)).read();
    Some(match (call.name, first) {
        ("check", _) => (350_000, None),
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", _) => {
            let each = item(target, call.root);
            let each = each.map(|it| size.most.saturating_mul(it.saturating_add(1)));
            let each = each.unwrap_or_else(|| size.read());
            (each, None)
        }
        ("lowerAscii" | "upperAscii" | "substring" | "trim", _) => (size.read(), Some(size)),
        ("replace", Some(old)) if arguments.len() > 1 => {
            (scaled(size.most, 2.0 * LETTER), Some(replaced(size, old, arguments[1].size())))
        }
        ("split", _) => (scaled(size.most, 2.0 * LETTER), Some(Size::up_to(size.most))),
        ("join", separator) => {
            let items = target.path.step(Step::Items, call.root).size();
            let items = items.filter(|_| matches!(target.path, Path::At(_)));
            let between =
                Size { least: size.least.saturating_sub(1), most: size.most.saturating_sub(1) };
            let letters = size.times(items.unwrap_or(Size::UNKNOWN));
            let letters = separator.map_or(letters, |it| letters.plus(it.times(between)));
            (letters.read(), Some(letters))
        }
        ("find" | "findAll", Some(first)) => {
            (text(size).saturating_mul(pattern(first)), Some(Size::up_to(size.most)))
        }
        ("matches", Some(first)) => (text(size).saturating_mul(pattern(first)), None),
        ("contains", Some(first)) => (size.read().saturating_mul(first.read()), None),
        ("startsWith" | "endsWith", Some(first)) => (first.read(), None),
        ("containsIP" | "containsCIDR", Some(first)) => {
            let whole = if call.name == "containsIP" { 4 } else { 7 };
            let is_text = call.takes.get(1).is_some_and(Type::is_text);
            (if is_text { first.read().saturating_add(whole) } else { whole }, None)
        }
        ("validate", Some(first)) => (scaled(first.read(), 128.0 * PATTERN), None),
        ("format", _) => (size.read(), None),
        _ => return None,
    })
}

/// What comparing one item costs beyond looking at it; nothing if it is no list.
fn item(list: &Fact, root: &Arc<Decl>) -> Option<u64> {
    let Type::List(item) = &list.ty else { return None };
    if !item.is_text() {
        return Some(0);
    }
    let size = match &list.path {
        Path::Nowhere => None,
        path @ Path::At(_) => path.step(Step::Items, root).size(),
    };
    Some(size.unwrap_or(Size::UNKNOWN).read())
}

fn replaced(size: Size, old: Size, new: Size) -> Size {
    let most = if old.least == 0 {
        size.most.saturating_add(1).saturating_mul(new.most).saturating_add(size.most)
    } else if new.most <= old.least {
        size.most
    } else {
        size.most.div_ceil(old.least).saturating_mul(new.most)
    };
    let least = if old.most == 0 {
        size.least.saturating_add(1).saturating_mul(new.least).saturating_add(size.least)
    } else if old.most <= new.least {
        size.least
    } else {
        size.least.div_ceil(old.most).saturating_mul(new.least)
    };
    Size { least, most }
}

fn of_arguments(call: &Priced<'_>, arguments: &[Fact]) -> Option<(u64, Option<Size>)> {
    let takes_text = call.takes.first().is_some_and(Type::is_text);
    Some(match (call.name, arguments) {
        ("_&&_" | "_||_", _) => (0, None),
        ("_?_:_", [_, yes, no]) => {
            // Only the dearer of the two is asked.
            (0, Some(yes.size().or(no.size())))
        }
        ("_==_" | "_!=_", [one, other]) => (alike(one, other), None),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [one, other]) if takes_text => (alike(one, other), None),
        ("_+_", [one, other]) if takes_text => {
            let size = one.size().plus(other.size());
            (size.read(), Some(size))
        }
        ("_+_", [one, other]) if matches!(call.takes.first(), Some(Type::List(_))) => {
            (1, Some(one.size().plus(other.size())))
        }
        ("@in", [_, whole]) if matches!(call.takes.get(1), Some(Type::List(_))) => {
            (whole.size().most, None)
        }
        ("bytes", [it]) if takes_text && matches!(call.takes[0], Type::Text) => {
            let size = it.size();
            (size.read(), Some(Size { least: size.least, most: size.most.saturating_mul(4) }))
        }
        ("string", [it]) if matches!(call.takes.first(), Some(Type::Bytes)) => {
            let size = it.size();
            (size.read(), Some(Size { least: size.least / 4, most: size.most }))
        }
        ("strings.quote", [it]) => {
            let size = it.size();
            let most = size.most.saturating_mul(2).saturating_add(2);
            (size.read(), Some(Size { least: size.least + 2, most }))
        }
        ("url", [it]) => (it.size().read(), None),
        ("sets.contains" | "sets.intersects", [one, other]) => {
            (one.size().times(other.size()).most.saturating_add(1), None)
        }
        ("sets.equivalent", [one, other]) => {
            (scaled(one.size().times(other.size()).most, 2.0).saturating_add(1), None)
        }
        _ => return None,
    })
}

/// Comparing ends with the shorter one.
fn alike(one: &Fact, other: &Fact) -> u64 {
    scaled(one.size().most.min(other.size().most), LETTER)
}

/// What the arguments of a call cost together, and what is in its result.
pub(super) fn before(name: &str, arguments: &[Fact]) -> (u64, Option<Entry>) {
    let sum = |all: &[Fact]| all.iter().fold(0_u64, |sum, it| sum.saturating_add(it.cost));
    match (name, arguments) {
        ("_?_:_", [test, yes, no]) => {
            let cost = test.cost.saturating_add(yes.cost.max(no.cost));
            (cost, Entry::or(yes.entry, no.entry))
        }
        ("_+_", [one, other]) => (sum(arguments), Entry::or(one.entry, other.entry)),
        _ => (sum(arguments), None),
    }
}
