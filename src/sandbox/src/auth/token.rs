//! Whose is a token? Its signature, its time, its audience, and whether what it is bound to is there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    auth::{
        User,
        user::{self, AUTHENTICATED},
    },
    cluster::Cluster,
    object,
    store::{Key, State},
};

/// Who signs tokens, and whom they are for unless somebody says otherwise.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
/// Who signed the tokens that Secrets hold: they name no audience and never end.
pub(crate) const OLD_ISSUER: &str = "kubernetes/serviceaccount";

const INVALID: &str = "invalid bearer token";

/// The user of a token and for which of the audiences; or why there is none, as reviews tell it.
pub(crate) fn owner(
    cluster: &Cluster,
    token: &str,
    audiences: &[&str],
) -> Result<(User, Vec<String>), String> {
    let wanted = if audiences.is_empty() { &[ISSUER] } else { audiences };
    if let Some(caller) = cluster.caller(token) {
        // Static tokens are the API server's own.
        let mine: Vec<String> =
            wanted.iter().filter(|it| **it == ISSUER).map(|it| (*it).to_owned()).collect();
        return if mine.is_empty() {
            Err(INVALID.to_owned())
        } else {
            Ok((User::clone(&caller.user), mine))
        };
    }
    let claims =
        cluster.signer().and_then(|it| it.read(token)).ok_or_else(|| INVALID.to_owned())?;
    let now = cluster.now();
    let state = &*cluster.lock();
    let checked = match claims["iss"].as_str() {
        Some(ISSUER) => current(state, &claims, (now, wanted)),
        Some(OLD_ISSUER) => old(state, &claims, (token, wanted)),
        _ => return Err(INVALID.to_owned()),
    };
    checked.map_err(|why| format!("[{INVALID}, {why}]"))
}

fn current(
    state: &State,
    claims: &Value,
    (now, wanted): (Timestamp, &[&str]),
) -> Result<(User, Vec<String>), String> {
    let now = now.as_second();
    if claims["exp"].as_i64().is_none_or(|it| it <= now) {
        return Err("service account token has expired".to_owned());
    }
    let stated = object::strings(&claims["aud"]);
    let shared: Vec<String> =
        wanted.iter().filter(|it| stated.contains(it)).map(|it| (*it).to_owned()).collect();
    if shared.is_empty() {
        let list = |list: &[&str]| {
            let quoted: Vec<String> = list.iter().map(|it| format!("{it:?}")).collect();
            quoted.join(" ")
        };
        return Err(format!(
            "token audiences [{}] is invalid for the target audiences [{}]",
            list(&stated),
            list(wanted)
        ));
    }
    let own = &claims["kubernetes.io"];
    let namespace = object::text(own, "/namespace");
    let mut extra = BTreeMap::new();
    let id = format!("JTI={}", object::text(claims, "/jti"));
    extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![id]);
    for (kind, table) in [("secret", "secrets"), ("pod", "pods")] {
        let bound = &own[kind];
        if bound.is_null() {
            continue;
        }
        let (name, uid) = (object::text(bound, "/name"), object::text(bound, "/uid"));
        let found = state.find(table, &Key::new(namespace, name));
        if found.is_none_or(|it| object::uid(&it.value) != uid) {
            return Err("service account token has been invalidated".to_owned());
        }
        if kind == "pod" {
            let key = |it: &str| format!("authentication.kubernetes.io/pod-{it}");
            extra.insert(key("name"), vec![name.to_owned()]);
            extra.insert(key("uid"), vec![uid.to_owned()]);
        }
    }
    let account = &own["serviceaccount"];
    let (name, uid) = (object::text(account, "/name"), object::text(account, "/uid"));
    let mut user = living(state, &Key::new(namespace, name), uid)?;
    user.extra = extra;
    Ok((user, shared))
}

/// A token that a Secret holds is good as long as the Secret holds it.
fn old(
    state: &State,
    claims: &Value,
    (token, wanted): (&str, &[&str]),
) -> Result<(User, Vec<String>), String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let text = |field: &str| claims[format!("{OLD_ISSUER}/{field}")].as_str().unwrap_or_default();
    let namespace = text("namespace");
    let secret = state.find("secrets", &Key::new(namespace, text("secret.name")));
    let held = secret.map(|it| object::text(&it.value, "/data/token").to_owned());
    if held.as_deref() != Some(STANDARD.encode(token).as_str()) {
        return Err("service account token has been invalidated".to_owned());
    }
    let account = Key::new(namespace, text("service-account.name"));
    let user = living(state, &account, text("service-account.uid"))?;
    if !wanted.contains(&ISSUER) {
        return Err(format!("token audiences [] is invalid for the target audiences {wanted:?}"));
    }
    Ok((user, vec![ISSUER.to_owned()]))
}

/// The account as a user, if it is still the same one.
fn living(state: &State, key: &Key, uid: &str) -> Result<User, String> {
    let account = state.find("serviceaccounts", key);
    let found = account.ok_or_else(|| format!("serviceaccounts {:?} not found", key.name()))?;
    let real = object::uid(&found.value);
    if real != uid {
        return Err(format!("service account UID ({real}) does not match claim ({uid})"));
    }
    let name = user::account_name(key.namespace(), key.name());
    let mut groups = user::account_groups(&name);
    groups.push(AUTHENTICATED.to_owned());
    Ok(User { name, uid: uid.to_owned(), groups, extra: BTreeMap::new() })
}
