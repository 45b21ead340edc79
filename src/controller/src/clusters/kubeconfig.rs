//! Which kubeconfigs are safe to use?
//!
//! A kubeconfig comes from whoever may write a Secret, and kube would run its commands and read our own
//! files for it. So it is never passed on: what is known is copied, what is dangerous is refused by name.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::{Policy, Settings};

/// Where a cluster is and who we are there: all that is taken from a kubeconfig.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) server: String,
    /// PEM, in base64.
    pub(super) authority: Option<String>,
    pub(super) tls_server_name: Option<String>,
    pub(super) unverified: bool,
    pub(super) token: Option<String>,
    /// Certificate and key, both PEM in base64.
    pub(super) certificate: Option<(String, String)>,
}

impl Target {
    /// The URL of the API server; it holds no credential.
    pub fn server(&self) -> &str {
        &self.server
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Why a kubeconfig is not used. Safe to show: it names fields and never holds their contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the name {name:?} cannot be a cluster's: {why}")]
    Name { name: String, why: String },

    #[error("the Secret has neither a key `kubeconfig` nor a key `value`")]
    KeyMissing,

    #[error("the kubeconfig is empty")]
    Empty,

    #[error("the kubeconfig is not readable YAML{}", place(*.line))]
    Unreadable { line: Option<u64> },

    #[error("the kubeconfig's `{field}` is missing")]
    Missing { field: String },

    #[error("the kubeconfig's `{field}` is not {expected}")]
    Malformed { field: String, expected: &'static str },

    #[error("the kubeconfig's `{field}` is refused: {why}")]
    Forbidden { field: String, why: &'static str },

    #[error("the Secret's type is not {expected}")]
    Type { expected: &'static str },

    #[error("the Secret of Argo CD has no key `{key}`")]
    ArgoMissing { key: String },

    #[error("the key `{key}` of the Secret of Argo CD is not readable")]
    ArgoUnreadable { key: String },

    #[error("`{field}` of the Secret of Argo CD is refused: {why}")]
    ArgoForbidden { field: String, why: &'static str },
}

fn place(line: Option<u64>) -> String {
    line.map(|it| format!(" (line {it})")).unwrap_or_default()
}

/// Takes from a kubeconfig what we know how to use, or says which field is in the way.
pub fn parse(bytes: &[u8], settings: &Settings) -> Result<Target, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::Unreadable { line: None })?;
    if text.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    // The parser's own message may quote the file, so that only the line is kept of it.
    let document: Value = serde_saphyr::from_str(text)
        .map_err(|it| Refusal::Unreadable { line: it.location().map(|at| at.line()) })?;
    judge(&document, settings)
}

/// The same for one that is read already.
pub(super) fn judge(document: &Value, settings: &Settings) -> Result<Target, Refusal> {
    let Value::Object(document) = document else {
        return Err(Refusal::Unreadable { line: None });
    };
    let document = Section { path: "", fields: document };

    let current = document.required("current-context")?;
    let context = document.named("contexts", current, "context")?;
    let cluster = document.named("clusters", context.required("cluster")?, "cluster")?;
    let user = match context.text("user")? {
        Some(name) => Some(document.named("users", name, "user")?),
        None => None,
    };

    let unverified = judge_cluster(&cluster, settings)?;
    if let Some(user) = &user {
        judge_user(user)?;
    }
    Ok(Target {
        server: server(&cluster, settings)?,
        authority: cluster.base64("certificate-authority-data")?,
        tls_server_name: cluster.text("tls-server-name")?.map(str::to_owned),
        unverified,
        token: user.as_ref().map(|it| it.text("token")).transpose()?.flatten().map(str::to_owned),
        certificate: user.as_ref().map(certificate).transpose()?.flatten(),
    })
}

const PATH: &str =
    "a path would read a file of the controller; put the contents into the `-data` field";
const BASIC: &str = "basic authentication is not supported by Kubernetes any more";
const IMPERSONATION: &str = "impersonation is not supported; give the user its own permissions";
const COMMAND: &str = "commands are never run; use a token or a client certificate";

/// What a cluster section may not ask for. Other unknown fields are harmless: they are not passed on.
const CLUSTER_FORBIDDEN: [(&str, &str); 2] =
    [("certificate-authority", PATH), ("proxy-url", "proxies are not supported")];

/// What a user section may not hold, each with the reason that its author needs.
const USER_FORBIDDEN: [(&str, &str); 12] = [
    ("exec", COMMAND),
    ("auth-provider", COMMAND),
    ("tokenFile", "a path would read a file of the controller; use `token`"),
    ("client-certificate", PATH),
    ("client-key", PATH),
    ("username", BASIC),
    ("password", BASIC),
    ("as", IMPERSONATION),
    ("as-uid", IMPERSONATION),
    ("as-groups", IMPERSONATION),
    ("as-user-extra", IMPERSONATION),
    ("extensions", "extensions of a user are not supported"),
];

const USER_KNOWN: [&str; 3] = ["token", "client-certificate-data", "client-key-data"];

/// Refuses what is dangerous, and says whether the server's certificate goes unverified.
fn judge_cluster(cluster: &Section<'_>, settings: &Settings) -> Result<bool, Refusal> {
    for (field, why) in CLUSTER_FORBIDDEN {
        cluster.forbid(field, why)?;
    }
    let extensions = cluster.present("extensions").and_then(Value::as_array);
    let for_commands = |it: &Value| it["name"] == "client.authentication.k8s.io/exec";
    if extensions.is_some_and(|it| it.iter().any(for_commands)) {
        return Err(cluster.forbidden("extensions", COMMAND));
    }
    let unverified = cluster.flag("insecure-skip-tls-verify")?;
    if unverified && settings.insecure_tls == Policy::Refuse {
        let why = "it would give the credentials to whoever answers; the operator of the hub can allow it";
        return Err(cluster.forbidden("insecure-skip-tls-verify", why));
    }
    Ok(unverified)
}

fn judge_user(user: &Section<'_>) -> Result<(), Refusal> {
    for (field, why) in USER_FORBIDDEN {
        user.forbid(field, why)?;
    }
    // A field that is not known here may be a way to authenticate that kube learns tomorrow.
    let known = |name: &String| USER_KNOWN.contains(&name.as_str());
    match user.fields.iter().find(|(name, value)| !known(name) && !value.is_null()) {
        Some((name, _)) => {
            let shown: String = name.chars().take(40).collect();
            Err(user.forbidden(&shown, "this field of a user is not known"))
        }
        None => Ok(()),
    }
}

fn certificate(user: &Section<'_>) -> Result<Option<(String, String)>, Refusal> {
    match (user.base64("client-certificate-data")?, user.base64("client-key-data")?) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(user.missing("client-key-data")),
        (None, Some(_)) => Err(user.missing("client-certificate-data")),
    }
}

/// The server's URL, written anew so that kube and this judgement read the same host.
fn server(cluster: &Section<'_>, settings: &Settings) -> Result<String, Refusal> {
    let malformed = || cluster.malformed("server", "an https URL");
    let url = Url::parse(cluster.required("server")?).map_err(|_| malformed())?;

    if url.scheme() != "https" {
        return Err(cluster.forbidden("server", "only https is supported"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(cluster.forbidden("server", "credentials do not belong into a URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(malformed());
    }
    let local = match url.host().ok_or_else(malformed)? {
        Host::Ipv4(it) => is_local(it.into()),
        Host::Ipv6(it) => is_local(it.into()),
        Host::Domain(it) => {
            let it = it.trim_end_matches('.');
            it.eq_ignore_ascii_case("localhost") || it.to_ascii_lowercase().ends_with(".localhost")
        }
    };
    if local && settings.allow_loopback == Policy::Refuse {
        return Err(cluster.forbidden("server", LOCAL));
    }
    Ok(url.to_string())
}

/// Said of a server that is the controller's own machine or its cloud's metadata service.
const LOCAL: &str = "it is a loopback or link-local address; the operator of the hub can allow it";

/// Whether an address is this machine itself or only valid on its own link.
pub(super) fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => it.is_loopback() || it.is_link_local() || it.is_unspecified(),
        IpAddr::V6(it) => it.is_loopback() || it.is_unicast_link_local() || it.is_unspecified(),
    }
}

/// A mapping of the document, which knows its own path for what is said about it.
struct Section<'a> {
    path: &'static str,
    fields: &'a Map<String, Value>,
}

impl<'a> Section<'a> {
    fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn missing(&self, name: &str) -> Refusal {
        Refusal::Missing { field: self.field(name) }
    }

    fn malformed(&self, name: &str, expected: &'static str) -> Refusal {
        Refusal::Malformed { field: self.field(name), expected }
    }

    fn forbidden(&self, name: &str, why: &'static str) -> Refusal {
        Refusal::Forbidden { field: self.field(name), why }
    }

    fn present(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|it| !it.is_null())
    }

    fn forbid(&self, name: &str, why: &'static str) -> Result<(), Refusal> {
        self.present(name).map_or(Ok(()), |_| Err(self.forbidden(name, why)))
    }

    /// A text; an empty one counts as absent, as in kubectl.
    fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        match self.present(name) {
            None => Ok(None),
            Some(Value::String(it)) => Ok(Some(it.as_str()).filter(|it| !it.is_empty())),
            Some(_) => Err(self.malformed(name, "a text")),
        }
    }

    fn required(&self, name: &str) -> Result<&'a str, Refusal> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.present(name) {
            None => Ok(false),
            Some(Value::Bool(it)) => Ok(*it),
            Some(_) => Err(self.malformed(name, "true or false")),
        }
    }

    fn base64(&self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        STANDARD.decode(text).map_err(|_| self.malformed(name, "base64"))?;
        Ok(Some(text.to_owned()))
    }

    /// The section `inner` of the entry called `name` in a list.
    fn named(&self, list: &str, name: &str, inner: &'static str) -> Result<Self, Refusal> {
        let entries = match self.present(list) {
            None => return Err(self.missing(list)),
            Some(Value::Array(it)) => it,
            Some(_) => return Err(self.malformed(list, "a list")),
        };
        let path = match inner {
            "context" => "contexts[].context",
            "cluster" => "clusters[].cluster",
            _ => "users[].user",
        };
        let mut found = entries.iter().filter(|it| it["name"] == name);
        match (found.next(), found.next()) {
            (None, _) => {
                Err(Refusal::Missing { field: format!("{list}[] of the current context") })
            }
            (Some(_), Some(_)) => Err(self.malformed(list, "free of duplicate names")),
            (Some(entry), None) => match &entry[inner] {
                Value::Object(fields) => Ok(Self { path, fields }),
                _ => Err(Refusal::Malformed { field: path.to_owned(), expected: "a mapping" }),
            },
        }
    }
}
