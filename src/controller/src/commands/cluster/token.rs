//! How does the hub get a token of an account in a spoke? Bound to a Secret there, with which it ends.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};

use super::error::{Error, cannot};
use super::{ACCOUNT, MANAGED_BY, MANAGER, spoke};
use crate::rights::Account;

/// A controller of the spoke fills a Secret with a token within this.
const FILLED: Duration = Duration::from_secs(30);
/// The type of a Secret that is filled with a token.
const OF_ACCOUNT: &str = "kubernetes.io/service-account-token";

/// A token, and the Secret that it ends with.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) secret: String,
    pub(super) expires: Option<Timestamp>,
}

/// Mints one that ends after a while, or never.
pub(super) async fn mint(
    client: &Client,
    account: &Account,
    lasting: Option<Duration>,
) -> Result<Token, Error> {
    match lasting {
        Some(lasting) => bound(client, account, lasting).await,
        None => lasting_one(client, account).await,
    }
}

/// A Secret of the account, whose name the API completes.
async fn holder(client: &Client, account: &Account, kind: &str) -> Result<Secret, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &account.namespace);
    let text = |it: &str| it.to_owned();
    let labels = [(MANAGED_BY.0, text(MANAGED_BY.1)), (ACCOUNT, spoke::labelled(account))];
    let annotations = [("kubernetes.io/service-account.name", account.name.clone())];
    let secret = Secret {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-token-", account.name)),
            labels: Some(labels.map(|(key, value)| (text(key), value)).into()),
            annotations: Some(annotations.map(|(key, value)| (text(key), value)).into()),
            ..ObjectMeta::default()
        },
        type_: Some(text(kind)),
        ..Secret::default()
    };
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    secrets.create(&params, &secret).await.map_err(cannot("create a Secret for a token"))
}

async fn lasting_one(client: &Client, account: &Account) -> Result<Token, Error> {
    let secret = holder(client, account, OF_ACCOUNT).await?.name_any();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &account.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={secret}"));
    let mut seen = std::pin::pin!(watcher(secrets, config).default_backoff().applied_objects());
    let filled = async {
        while let Some(seen) = seen.next().await {
            let token = seen.ok().and_then(|it| it.data?.remove("token"));
            let token = token.and_then(|it| String::from_utf8(it.0).ok());
            if let Some(text) = token.filter(|it| !it.is_empty()) {
                return Some(text);
            }
        }
        None
    };
    let text = tokio::time::timeout(FILLED, filled).await.ok().flatten();
    let text = text.ok_or(Error::NoToken { limit: FILLED })?;
    Ok(Token { text, secret, expires: None })
}

async fn bound(client: &Client, account: &Account, lasting: Duration) -> Result<Token, Error> {
    let secret = holder(client, account, "Opaque").await?;
    let holder = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Secret".to_owned()),
        name: secret.metadata.name.clone(),
        uid: secret.metadata.uid.clone(),
    };
    let asked = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(i64::try_from(lasting.as_secs()).unwrap_or(i64::MAX)),
            bound_object_ref: Some(holder),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &account.namespace);
    let given = accounts.create_token_request(&account.name, &PostParams::default(), &asked).await;
    let given = given.map_err(cannot(format!("mint a token of {}", account.user())))?;
    let status = given.status.ok_or(Error::NoToken { limit: Duration::ZERO })?;
    let expires = Some(status.expiration_timestamp.0);
    Ok(Token { text: status.token, secret: secret.name_any(), expires })
}
