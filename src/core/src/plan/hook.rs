//! Who may call a trigger, and which calls count?

use ger_api::webhook_trigger::{Webhook, WebhookAuth, WebhookAuthKind};

use super::{Reason, WrongConfig, cut};
use crate::names::is_subdomain;

/// What counts where nothing else is said: the pushes of every forge.
const PUSH: &str = "push";

/// How a trigger may be called, judged and found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Allows the call that names no source and checks all.
    pub multi_source: bool,
    /// None: anybody may call.
    pub auth: Option<HookAuth>,
    /// The events that count, in lower case.
    pub events: Vec<String>,
    /// Whether a push to another reference is ignored.
    pub match_reference: bool,
}

/// What a caller must know, and how it shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookAuth {
    pub kind: WebhookAuthKind,
    /// The Secret, in the trigger's namespace.
    pub secret: String,
    /// The key in it. `key.` and anything behind it counts too.
    pub key: String,
    /// For the kind `Header`, in lower case; None: the configuration's.
    pub header: Option<String>,
}

impl Hook {
    pub(super) fn judge(spec: &Webhook) -> Result<Self, WrongConfig> {
        let auth = spec.auth_config.as_ref().map(auth).transpose()?;
        let events = match &spec.events {
            None => vec![PUSH.to_owned()],
            Some(events) if events.is_empty() => {
                return Err(wrong(
                    "webhook.events is empty: name the events that count, or leave it out for push",
                ));
            }
            Some(events) => events.iter().map(|it| it.trim().to_ascii_lowercase()).collect(),
        };
        let is_of_a_forge =
            auth.as_ref().is_some_and(|it: &HookAuth| it.kind != WebhookAuthKind::Header);
        Ok(Self {
            multi_source: spec.multi_source,
            auth,
            events,
            match_reference: spec.match_reference.unwrap_or(is_of_a_forge),
        })
    }
}

fn auth(spec: &WebhookAuth) -> Result<HookAuth, WrongConfig> {
    let secret = &spec.secret_ref.name;
    if !is_subdomain(secret) {
        let secret = cut(secret);
        return Err(wrong(format!(
            "webhook.authConfig.secretRef.name {secret:?} is not the name of a Secret"
        )));
    }
    if spec.key.is_empty() {
        return Err(wrong("webhook.authConfig.key is empty: name a key of the Secret"));
    }
    if let Some(header) = spec.header.as_deref().filter(|it| !is_header(it)) {
        let header = cut(header);
        return Err(wrong(format!(
            "webhook.authConfig.header {header:?} is not the name of a header"
        )));
    }
    Ok(HookAuth {
        kind: spec.kind,
        secret: secret.clone(),
        key: spec.key.clone(),
        header: spec.header.as_deref().map(str::to_ascii_lowercase),
    })
}

/// RFC 9110's token.
fn is_header(name: &str) -> bool {
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !name.is_empty() && name.bytes().all(is_token)
}

fn wrong(message: impl Into<String>) -> WrongConfig {
    WrongConfig::new(Reason::InvalidWebhook, message)
}
