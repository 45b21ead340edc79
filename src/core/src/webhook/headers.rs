//! Which value has a header? Names in lower case, values as bytes.

/// The headers of a request that anybody looks at.
#[derive(Clone, Debug, Default)]
pub struct Headers<'a> {
    all: Vec<(&'a str, &'a [u8])>,
}

/// What is there under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum One<'a> {
    Missing,
    Value(&'a [u8]),
    /// More than one: whoever sends that wants one to be checked and another to be used.
    Several,
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(headers: I) -> Self {
        Self { all: headers.into_iter().collect() }
    }
}

impl<'a> Headers<'a> {
    /// The one value of a header; `name` is in lower case.
    pub fn one(&self, name: &str) -> One<'a> {
        let mut values = self.all.iter().filter(|it| it.0 == name).map(|it| it.1);
        match (values.next(), values.next()) {
            (None, _) => One::Missing,
            (Some(value), None) => One::Value(value),
            (Some(_), Some(_)) => One::Several,
        }
    }

    /// The same as text, where there is one that is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.one(name) {
            One::Value(value) => std::str::from_utf8(value).ok().map(str::trim),
            One::Missing | One::Several => None,
        }
    }

    /// The first of these that is there, as it is.
    pub fn first(&self, names: &[&str]) -> Option<&'a [u8]> {
        names.iter().find_map(|it| match self.one(it) {
            One::Value(value) if !value.is_empty() => Some(value),
            One::Value(_) | One::Missing | One::Several => None,
        })
    }
}
