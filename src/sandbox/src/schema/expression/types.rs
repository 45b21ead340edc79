//! Of which type is a value, and where is it welcome?

use std::{fmt, sync::Arc};

use super::declared::{Decl, Form};

#[derive(Debug, Clone)]
pub(super) enum Type {
    /// Nobody knows before there is a value: it is welcome everywhere.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Duration,
    Timestamp,
    List(Box<Self>),
    Map(Box<Self>, Box<Self>),
    Optional(Box<Self>),
    Object(Arc<Decl>),
    /// One of a library's own.
    Named(&'static str),
    /// A type as a value.
    Kind(Box<Self>),
    /// Any type, the same wherever it is named in a signature.
    Any(char),
}

impl Type {
    /// Whether all its values have one size.
    pub(super) fn is_scalar(&self) -> bool {
        match self {
            Self::Bool
            | Self::Int
            | Self::Uint
            | Self::Double
            | Self::Duration
            | Self::Timestamp => true,
            Self::Optional(inner) => inner.is_scalar(),
            _ => false,
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Bytes)
    }

    fn may_be_null(&self) -> bool {
        matches!(
            self,
            Self::Object(_) | Self::Named(_) | Self::Optional(_) | Self::Duration | Self::Timestamp
        )
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dyn | Self::Any(_) => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Named(name) => name,
            Self::Object(decl) => match &decl.form {
                Form::Object { name, .. } => name,
                _ => "dyn",
            },
            Self::List(item) => return write!(f, "list({item})"),
            Self::Map(key, value) => return write!(f, "map({key}, {value})"),
            Self::Optional(inner) => return write!(f, "optional_type({inner})"),
            Self::Kind(inner) => return write!(f, "type({inner})"),
        })
    }
}

/// What the types that a signature leaves open are, in one call.
#[derive(Debug, Default)]
pub(super) struct Bound(Vec<(char, Type)>);

impl Bound {
    /// Whether a value of a type is welcome where another is wanted.
    pub(super) fn takes(&mut self, wanted: &Type, found: &Type) -> bool {
        match (wanted, found) {
            (Type::Any(name), found) => self.bind(*name, found),
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::List(wanted), Type::List(found))
            | (Type::Optional(wanted), Type::Optional(found))
            | (Type::Kind(wanted), Type::Kind(found)) => self.takes(wanted, found),
            (Type::Map(key, value), Type::Map(other, found)) => {
                self.takes(key, other) && self.takes(value, found)
            }
            (wanted, Type::Null) if wanted.may_be_null() => true,
            (Type::Null, found) if found.may_be_null() => true,
            (Type::Object(wanted), Type::Object(found)) => {
                wanted.object_name() == found.object_name()
            }
            (Type::Named(wanted), Type::Named(found)) => wanted == found,
            (wanted, found) => std::mem::discriminant(wanted) == std::mem::discriminant(found),
        }
    }

    fn bind(&mut self, name: char, found: &Type) -> bool {
        let Some(at) = self.0.iter().position(|it| it.0 == name) else {
            self.0.push((name, found.clone()));
            return true;
        };
        let known = self.0[at].1.clone();
        if !self.takes(&known, found) {
            return false;
        }
        // What says more is remembered.
        if says_less(&known) {
            self.0[at].1.clone_from(found);
        }
        true
    }

    /// A type of the signature as it is in this call.
    pub(super) fn filled(&self, ty: &Type) -> Type {
        let inner = |it: &Type| Box::new(self.filled(it));
        match ty {
            Type::Any(name) => {
                self.0.iter().find(|it| it.0 == *name).map_or(Type::Dyn, |it| it.1.clone())
            }
            Type::List(item) => Type::List(inner(item)),
            Type::Map(key, value) => Type::Map(inner(key), inner(value)),
            Type::Optional(it) => Type::Optional(inner(it)),
            Type::Kind(it) => Type::Kind(inner(it)),
            other => other.clone(),
        }
    }
}

fn says_less(ty: &Type) -> bool {
    match ty {
        Type::Dyn | Type::Null => true,
        Type::List(it) | Type::Optional(it) | Type::Kind(it) => says_less(it),
        Type::Map(key, value) => says_less(key) || says_less(value),
        _ => false,
    }
}

/// Whether two types are one.
pub(super) fn is_same(one: &Type, other: &Type) -> bool {
    one.to_string() == other.to_string()
}
