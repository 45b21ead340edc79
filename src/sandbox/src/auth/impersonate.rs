//! Whom a request is made as: headers name somebody else, and permission is asked for each of them.

use std::{collections::BTreeMap, sync::Arc};

use http::HeaderMap;

use crate::{
    auth::{self, Attributes, Mode, User, user},
    cluster::Cluster,
    refusal::{Refusal, Result},
};

const GROUP: &str = "authentication.k8s.io";
const EXTRA: &str = "impersonate-extra-";

/// The user that a request acts as: the one who asks, unless its headers name another.
pub(crate) fn acting(
    cluster: &Cluster,
    asking: Arc<User>,
    (headers, asked): (&HeaderMap, &Attributes<'_>),
) -> Result<Arc<User>> {
    if !headers.keys().any(|it| it.as_str().starts_with("impersonate-")) {
        return Ok(asking);
    }
    let Some(mut wanted) = requested(headers)? else { return Ok(asking) };
    if cluster.mode() == Mode::Rbac && !asking.is_master() {
        permit(cluster, (&asking, &wanted), asked)?;
    }
    if wanted.groups.is_empty() {
        wanted.groups = user::account_groups(&wanted.name);
    }
    let general =
        if wanted.name == user::ANONYMOUS { user::UNAUTHENTICATED } else { user::AUTHENTICATED };
    if !wanted.groups.iter().any(|it| it == user::AUTHENTICATED || it == user::UNAUTHENTICATED) {
        wanted.groups.push(general.to_owned());
    }
    Ok(Arc::new(wanted))
}

fn requested(headers: &HeaderMap) -> Result<Option<User>> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let groups = headers.get_all("impersonate-group").iter();
    let groups = groups.filter_map(|it| it.to_str().ok()).map(str::to_owned).collect();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(EXTRA) else { continue };
        let key = attributes_key(key);
        extra.entry(key).or_default().push(value.to_str().unwrap_or_default().to_owned());
    }
    let name = text("impersonate-user").to_owned();
    let user = User { name, uid: text("impersonate-uid").to_owned(), groups, extra };
    if !user.name.is_empty() {
        return Ok(Some(user));
    }
    if user == User::default() {
        return Ok(None);
    }
    Err(Refusal::bad_request(format!(
        "requested {} without impersonating a user name",
        in_go(&user)
    )))
}

/// Keys of extras come with percent signs, for headers take few characters.
fn attributes_key(key: &str) -> String {
    crate::http::decoded(key).to_lowercase()
}

/// As the refusal of somebody without a name prints who was meant.
fn in_go(user: &User) -> String {
    let list = |list: &[String]| {
        let quoted: Vec<String> = list.iter().map(|it| format!("{it:?}")).collect();
        format!("[]string{{{}}}", quoted.join(", "))
    };
    let groups =
        if user.groups.is_empty() { "[]string(nil)".to_owned() } else { list(&user.groups) };
    let entries: Vec<String> =
        user.extra.iter().map(|(key, values)| format!("{key:?}:{}", list(values))).collect();
    let extra = if entries.is_empty() {
        "map[string][]string(nil)".to_owned()
    } else {
        format!("map[string][]string{{{}}}", entries.join(", "))
    };
    format!("&user.DefaultInfo{{Name:\"\", UID:{:?}, Groups:{groups}, Extra:{extra}}}", user.uid)
}

/// Asks whether somebody may act as another: for this request alone, or for all.
fn permit(
    cluster: &Cluster,
    (asking, wanted): (&User, &User),
    asked: &Attributes<'_>,
) -> Result<()> {
    let index = cluster.lock().grants();
    let kind = match user::account(&wanted.name) {
        Some(_) => "serviceaccount",
        None if wanted.name.starts_with("system:node:") => "arbitrary-node",
        None => "user-info",
    };
    let on = format!("impersonate-on:{kind}:{}", asked.verb);
    let on_this = Attributes { verb: &on, ..*asked };
    let verb = format!("impersonate:{kind}");
    let here =
        all(wanted, (&verb, GROUP)).into_iter().all(|it| index.allows(asking, &it.as_asked()));
    if here && index.allows(asking, &on_this) {
        return Ok(());
    }
    let legacy = all(wanted, ("impersonate", ""));
    let denied = legacy.iter().find(|it| !index.allows(asking, &it.as_asked()));
    let Some(denied) = denied else {
        cluster.remember_impersonator(&asking.name);
        return Ok(());
    };
    // Whoever has acted as others before hears which permission is missing, others of the new kind.
    let refused = if cluster.is_impersonator(&asking.name) { denied.as_asked() } else { on_this };
    Err(auth::refused(asking, &refused, ""))
}

/// One thing that must be allowed.
struct Need<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'static str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl Need<'_> {
    fn as_asked(&self) -> Attributes<'_> {
        Attributes {
            verb: self.verb,
            namespace: self.namespace,
            group: self.group,
            resource: self.resource,
            subresource: self.subresource,
            name: self.name,
            path: "",
        }
    }
}

/// All that must be allowed to whoever would act as somebody.
fn all<'a>(wanted: &'a User, (verb, group): (&'a str, &'a str)) -> Vec<Need<'a>> {
    let need = |resource, name: &'a str| Need {
        verb,
        group,
        resource,
        subresource: "",
        namespace: "",
        name,
    };
    let mut needs = vec![match user::account(&wanted.name) {
        Some((namespace, name)) => Need { namespace, ..need("serviceaccounts", name) },
        None => need("users", &wanted.name),
    }];
    needs.extend(wanted.groups.iter().map(|it| need("groups", it)));
    for (key, values) in &wanted.extra {
        let extra = |value: &'a String| Need {
            group: GROUP,
            subresource: key,
            ..need("userextras", value)
        };
        needs.extend(values.iter().map(extra));
    }
    if !wanted.uid.is_empty() {
        needs.push(Need { group: GROUP, ..need("uids", &wanted.uid) });
    }
    needs
}
