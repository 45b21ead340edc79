//! What does a request ask of an API? The verb and the resource, as roles name them.

use std::fmt;

use http::{Method, Request};

/// A verb on a resource, somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Asked {
    pub(super) verb: &'static str,
    /// Empty for the core group.
    pub(super) group: String,
    /// The plural, with the subresource behind a slash.
    pub(super) resource: String,
    /// Empty for what has no namespace, and for all namespaces.
    pub(super) namespace: String,
}

impl Asked {
    /// What a request asks for; none if it is not about a resource.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let parts: Vec<&str> =
            request.uri().path().split('/').filter(|it| !it.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // The namespaces themselves are a resource too.
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let (plural, is_named, subresource) = match rest {
            [plural] => (*plural, false, None),
            [plural, _name] => (*plural, true, None),
            [plural, _name, subresource, ..] => (*plural, true, Some(*subresource)),
            [] => return None,
        };
        let resource = subresource.map_or_else(|| plural.to_owned(), |it| format!("{plural}/{it}"));
        let verb = match *request.method() {
            Method::GET if request.uri().query().is_some_and(is_watch) => "watch",
            Method::GET if is_named => "get",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if is_named => "delete",
            Method::DELETE => "deletecollection",
            _ => return None,
        };
        Some(Self { verb, group: group.to_owned(), resource, namespace: namespace.to_owned() })
    }

    pub(super) fn is_watch(&self) -> bool {
        self.verb == "watch"
    }
}

fn is_watch(query: &str) -> bool {
    query.split('&').any(|it| matches!(it, "watch=true" | "watch=1"))
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.namespace.is_empty() {
            write!(f, " in namespace {}", self.namespace)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_as_roles_name_it() {
        let jobs = "/apis/batch/v1/namespaces/apps/jobs";
        let triggers = "/apis/git-events-runner.rs/v1alpha1/namespaces/a/scheduletriggers/deploy";
        for (method, uri, expected) in [
            (Method::GET, "/api/v1/namespaces/kube-system", Some("get namespaces")),
            (Method::GET, "/api/v1/namespaces?watch=true", Some("watch namespaces")),
            (Method::GET, "/apis/batch/v1/jobs?limit=200", Some("list jobs.batch")),
            (Method::POST, jobs, Some("create jobs.batch in namespace apps")),
            (
                Method::PUT,
                &format!("{triggers}/status"),
                Some("update scheduletriggers/status.git-events-runner.rs in namespace a"),
            ),
            (Method::DELETE, &format!("{jobs}/it"), Some("delete jobs.batch in namespace apps")),
            (Method::GET, "/openapi/v3", None),
            (Method::GET, "/api/v1", None),
        ] {
            let request = Request::builder().method(&method).uri(uri).body(()).unwrap();

            let asked = Asked::of(&request).map(|it| it.to_string());

            assert_eq!(asked.as_deref(), expected, "{method} {uri}");
        }
    }
}
