//! What a request is about, in the words of authorization: a verb on a resource or on a path.

use http::Method;

use crate::refusal::Subject;

/// No part of a path beyond these says anything.
const MOST_PARTS: usize = 12;

/// A verb and what it is about. Borrowed from the request: most decisions keep nothing of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attributes<'a> {
    pub(crate) verb: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) group: &'a str,
    /// Empty when the request is about a path that is no resource's.
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) name: &'a str,
    pub(crate) path: &'a str,
}

/// What of the query decides about the verb.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hints<'a> {
    pub(crate) watch: bool,
    pub(crate) field_selector: &'a str,
}

impl<'a> Attributes<'a> {
    /// Reads them from a path, decoded, whether or not such a resource is served.
    pub(crate) fn of(method: &Method, path: &'a str, hints: Hints<'a>) -> Self {
        let mut parts = [""; MOST_PARTS];
        let mut count = 0;
        for (slot, part) in parts.iter_mut().zip(path.split('/').filter(|it| !it.is_empty())) {
            *slot = part;
            count += 1;
        }
        let (group, rest) = match parts.get(..count).unwrap_or_default() {
            ["api", _, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => return Self { verb: plain_verb(method), path, ..Self::default() },
        };
        let (verb, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => ("watch", rest),
            _ => (verb(method), rest),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, "status" | "finalize", ..] => (*namespace, rest),
            ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (*namespace, inner),
            ["namespaces", namespace] => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or_default();
        let mut asked = Self {
            verb,
            namespace,
            group,
            resource: part(0),
            subresource: part(2),
            name: part(1),
            path,
        };
        asked.settle(hints);
        asked
    }

    fn settle(&mut self, hints: Hints<'a>) {
        if self.name.is_empty() && self.verb == "get" {
            self.verb = if hints.watch { "watch" } else { "list" };
            self.name = named(hints.field_selector);
        } else if self.name.is_empty() && self.verb == "delete" {
            self.verb = "deletecollection";
        }
    }

    pub(crate) fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }

    /// What a refusal is about.
    pub(crate) fn subject(&self) -> Subject<'a> {
        Subject { group: self.group, kind: self.resource, name: self.name }
    }

    /// What a refusal says that somebody cannot do.
    pub(crate) fn denied(&self, user: &str) -> String {
        let Self { verb, group, namespace, path, .. } = self;
        if !self.is_resource() {
            return format!("User {user:?} cannot {verb} path {path:?}");
        }
        let mut resource = self.resource.to_owned();
        if !self.subresource.is_empty() {
            resource.push('/');
            resource.push_str(self.subresource);
        }
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {namespace:?}")
        };
        format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {place}")
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

fn plain_verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "post",
        Method::GET => "get",
        Method::HEAD => "head",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}

/// The one name that a field selector asks for, if it does.
fn named(selector: &str) -> &str {
    let mut terms = selector.split(',');
    let name = terms.find_map(|it| it.strip_prefix("metadata.name="));
    let name = name.map_or("", |it| it.trim_start_matches('='));
    if matches!(name, "." | "..") || name.contains(['/', '%']) { "" } else { name }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Hints};
    use http::Method;

    fn of(method: &Method, path: &'static str) -> Attributes<'static> {
        Attributes::of(method, path, Hints::default())
    }

    #[test]
    fn a_namespace_is_within_itself() {
        let asked = of(&Method::GET, "/api/v1/namespaces/x");

        assert_eq!((asked.resource, asked.namespace, asked.name), ("namespaces", "x", "x"));
        assert_eq!(asked.verb, "get");
    }

    #[test]
    fn collections_have_verbs_of_their_own() {
        let path = "/apis/apps/v1/namespaces/x/deployments";
        let watched = Attributes::of(&Method::GET, path, Hints { watch: true, field_selector: "" });

        assert_eq!(of(&Method::GET, path).verb, "list");
        assert_eq!(watched.verb, "watch");
        assert_eq!(of(&Method::DELETE, path).verb, "deletecollection");
        assert_eq!(of(&Method::GET, "/apis/apps/v1").resource, "");
    }

    #[test]
    fn a_selector_may_name_the_one_object_of_a_list() {
        let hints = Hints { watch: false, field_selector: "a=b,metadata.name=one" };
        let asked = Attributes::of(&Method::GET, "/api/v1/namespaces/x/pods", hints);

        assert_eq!((asked.verb, asked.name), ("list", "one"));
    }
}
