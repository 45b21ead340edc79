//! What happened, to which references, and in which delivery? Only that is read of a payload: no URL, no
//! name of a repository or of a person, no list of commits.

mod azure;
mod bitbucket;
mod few;
mod git;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use ger_api::webhook_trigger::WebhookAuthKind;

use super::headers::Headers;
use crate::names::Commit;

/// Who sends webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forge {
    Github,
    /// And Forgejo, and Gogs before them.
    Gitea,
    Gitlab,
    /// Cloud and Data Center, which say different things under different events.
    Bitbucket,
    Azure,
    /// Whoever writes `ref` and `after`.
    Generic,
}

/// What a call says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// None: nobody whom we know, saying nothing that we know.
    pub forge: Option<Forge>,
    /// The event as the forge names it, and as we do; none where it is not said.
    pub event: Option<Event>,
    /// The references that were pushed; empty where it is not said.
    pub refs: Vec<RefChange>,
    /// There were more references than are kept.
    pub is_cut: bool,
    /// The delivery's id as it came; it is a stranger's text.
    pub id: Option<Vec<u8>>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// In lower case.
    pub told: String,
    /// In lower case, and the same for all forges: `push`, `ping`, `pull_request`, `merge_request`.
    pub name: String,
}

/// A reference, where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefChange {
    pub name: RefName,
    /// Where it was said to be; none if it was deleted, or if what was said is no commit.
    pub after: Option<Commit>,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Moved,
    Deleted,
}

/// The name of a reference, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefName {
    Branch(String),
    Tag(String),
    /// A short name: it may be a branch or a tag.
    Either(String),
    /// Notes, pull requests and the like.
    Other(String),
}

/// A body that the forge in question does not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the body is not JSON as {} sends it", forge.name())]
    Json { forge: Forge },
    #[error("the body names no reference that was pushed, as {} does", forge.name())]
    NoReference { forge: Forge },
}

impl Forge {
    pub fn name(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Gitea => "Gitea",
            Self::Gitlab => "GitLab",
            Self::Bitbucket => "Bitbucket",
            Self::Azure => "Azure DevOps",
            Self::Generic => "a generic caller",
        }
    }

    /// Who sends this, by its headers; by the trigger's type where they do not say.
    fn of(kind: Option<WebhookAuthKind>, headers: &Headers<'_>) -> Option<Self> {
        let has = |names: &[&str]| headers.first(names).is_some();
        // Gitea says that it is GitHub, too.
        if has(&["x-gitea-event", "x-forgejo-event", "x-gogs-event"]) {
            return Some(Self::Gitea);
        }
        if has(&["x-github-event"]) {
            return Some(Self::Github);
        }
        if has(&["x-gitlab-event"]) {
            return Some(Self::Gitlab);
        }
        if has(&["x-event-key"]) {
            return Some(Self::Bitbucket);
        }
        match kind? {
            WebhookAuthKind::Header => None,
            WebhookAuthKind::Github => Some(Self::Github),
            WebhookAuthKind::Gitlab => Some(Self::Gitlab),
            WebhookAuthKind::Gitea => Some(Self::Gitea),
            WebhookAuthKind::Bitbucket => Some(Self::Bitbucket),
        }
    }

    fn event(self, headers: &Headers<'_>) -> Option<Event> {
        let told = match self {
            Self::Github => headers.text("x-github-event"),
            Self::Gitea => headers
                .text("x-gitea-event")
                .or_else(|| headers.text("x-forgejo-event"))
                .or_else(|| headers.text("x-gogs-event")),
            Self::Gitlab => headers.text("x-gitlab-event"),
            Self::Bitbucket => headers.text("x-event-key"),
            Self::Azure | Self::Generic => None,
        };
        told.filter(|it| !it.is_empty()).map(Event::of)
    }
}

impl Event {
    /// An event by the forge's word for it.
    pub fn of(told: &str) -> Self {
        let told: String = told.chars().take(128).collect::<String>().to_ascii_lowercase();
        let name = match told.as_str() {
            "push hook" | "tag push hook" | "repo:push" | "repo:refs_changed" | "git.push" => {
                "push".to_owned()
            }
            "diagnostics:ping" => "ping".to_owned(),
            other => word(other),
        };
        Self { told, name }
    }

    /// Whether a user's word means this event: ours, the forge's, or the one that GitLab has in its payloads.
    pub fn is_called(&self, wanted: &str) -> bool {
        wanted == self.name || wanted == self.told || wanted == word(&self.told)
    }

    pub fn is_push(&self) -> bool {
        self.name == "push"
    }

    pub fn is_ping(&self) -> bool {
        self.name == "ping"
    }
}

/// GitLab's `Merge Request Hook` is its `merge_request`.
fn word(told: &str) -> String {
    told.strip_suffix(" hook").unwrap_or(told).replace(' ', "_")
}

/// Reads what a call says. `kind` is the trigger's type; a payload of a forge that the trigger was made
/// for must be right, any other body may be whatever it is.
pub fn read(
    kind: Option<WebhookAuthKind>,
    headers: &Headers<'_>,
    body: &[u8],
) -> Result<Delivery, Malformed> {
    let body = json(headers, body);
    let is_strict = kind.is_some_and(|it| it != WebhookAuthKind::Header);
    let forge = Forge::of(kind, headers);
    let event = forge.and_then(|it| it.event(headers));
    let read = match forge {
        Some(forge) => of_forge(forge, event, &body),
        None => Ok(azure::read(&body).or_else(|| git::generic(&body)).unwrap_or_default()),
    };
    let read = match read {
        Ok(read) => read,
        Err(malformed) if is_strict => return Err(malformed),
        Err(_) => Read { event: forge.and_then(|it| it.event(headers)), forge, ..Read::default() },
    };
    let id = headers.first(&DELIVERIES).map(<[u8]>::to_vec).or(read.id);
    Ok(Delivery { forge: read.forge, event: read.event, refs: read.refs, is_cut: read.is_cut, id })
}

/// Where an id of the delivery is, which is the same when it is delivered again.
const DELIVERIES: [&str; 9] = [
    "x-github-delivery",
    "x-gitea-delivery",
    "x-forgejo-delivery",
    "x-gogs-delivery",
    "idempotency-key",
    "x-gitlab-event-uuid",
    "x-request-uuid",
    "x-request-id",
    "webhook-id",
];

/// What a body says.
#[derive(Debug, Default)]
struct Read {
    forge: Option<Forge>,
    event: Option<Event>,
    refs: Vec<RefChange>,
    is_cut: bool,
    id: Option<Vec<u8>>,
}

fn of_forge(forge: Forge, event: Option<Event>, body: &[u8]) -> Result<Read, Malformed> {
    // What is no push says nothing of references that we would need.
    if event.as_ref().is_some_and(|it| !it.is_push()) {
        return Ok(Read { forge: Some(forge), event, ..Read::default() });
    }
    let refs = match forge {
        Forge::Github | Forge::Gitea | Forge::Gitlab | Forge::Azure | Forge::Generic => {
            git::push(body)
        }
        Forge::Bitbucket => bitbucket::push(body),
    };
    let (refs, is_cut) = refs.ok_or(Malformed::Json { forge })?;
    if refs.is_empty() {
        return Err(Malformed::NoReference { forge });
    }
    Ok(Read { forge: Some(forge), event, refs, is_cut, id: None })
}

/// The JSON of a body: GitHub and Gitea can be told to send it as a form, and new webhooks of GitHub do.
fn json<'a>(headers: &Headers<'_>, body: &'a [u8]) -> Cow<'a, [u8]> {
    let kind = headers.text("content-type").unwrap_or_default();
    let form = "application/x-www-form-urlencoded";
    let is_form = kind.get(..form.len()).is_some_and(|it| it.eq_ignore_ascii_case(form));
    // A caller with curl says that it is a form, and sends JSON.
    if !is_form || body.trim_ascii_start().starts_with(b"{") {
        return Cow::Borrowed(body);
    }
    let mut fields = url::form_urlencoded::parse(body);
    let payload = fields.find(|it| it.0 == "payload").map(|it| it.1.into_owned().into_bytes());
    payload.map_or(Cow::Borrowed(body), Cow::Owned)
}

impl RefName {
    /// A reference by its full name; a short one may be either.
    fn of(name: &str) -> Self {
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            Self::Branch(branch.to_owned())
        } else if let Some(tag) = name.strip_prefix("refs/tags/") {
            Self::Tag(tag.to_owned())
        } else if name.starts_with("refs/") {
            Self::Other(name.to_owned())
        } else {
            Self::Either(name.to_owned())
        }
    }

    /// As a person calls it.
    pub fn text(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) | Self::Either(name) | Self::Other(name) => name,
        }
    }
}

impl RefChange {
    /// `after` is an object id; all zeros where the reference was deleted.
    fn of(name: RefName, after: Option<&str>) -> Self {
        let is_zero = |it: &str| it.len() >= 40 && it.bytes().all(|it| it == b'0');
        if after.is_some_and(is_zero) {
            return Self { name, after: None, fate: Fate::Deleted };
        }
        let after = after.and_then(|it| Commit::parse(&it.to_ascii_lowercase()).ok());
        Self { name, after, fate: Fate::Moved }
    }

    fn deleted(name: RefName) -> Self {
        Self { name, after: None, fate: Fate::Deleted }
    }
}
