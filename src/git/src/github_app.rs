//! With what does an installation of a GitHub App read? Tokens that live for an hour, asked for with
//! the App's key, kept until shortly before they end, and asked for once however many want one.
//!
//! ```text
//! App (ids, key, API) ──▶ kept and young? ──▶ JWT, signed here ──▶ POST /app/installations/…
//! ```

mod error;
mod jwt;
mod request;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use tokio::{sync::Mutex as AsyncMutex, time::Instant};
use url::Url;

pub use self::error::Error;
use self::request::Line;
use crate::{Auth, RepoUri, Secret, Tls, Traffic, transport::pool::Pool};

/// A token that ends sooner is not handed out: a check or a clone may still take minutes.
const LEFT_AT_LEAST: Duration = Duration::from_mins(5);
/// Hosts give tokens for an hour. Whoever wants one that lasts longer than this would always ask.
const LONGEST_WANTED: Duration = Duration::from_mins(50);
/// Who was refused asks again after this, or after what the host says; another key asks at once.
const FAILURE_KEPT: Duration = Duration::from_secs(5);
/// Apps are named by tenants; a token that is forgotten costs one more request.
const MOST: usize = 1024;
/// The name that goes with a token where a name must be given.
const USERNAME: &str = "x-access-token";
/// Numbers of more digits, and client ids of more letters, do not exist.
const LONGEST_ID: usize = 64;

/// An installation of a GitHub App, with what proves that we may act for it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct App {
    id: String,
    installation: String,
    key: Secret,
    api: Url,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, installation, key, api } = self;
        let mut shown = f.debug_struct("App");
        shown.field("id", id).field("installation", installation).field("key", key);
        shown.field("api", &api.host_str()).finish()
    }
}

/// What a credentials Secret says of an App.
#[derive(Debug, Clone)]
pub struct Values {
    /// The App's number, or its client id.
    pub app_id: Secret,
    /// The installation's number.
    pub installation_id: Secret,
    /// RSA, PEM, as GitHub hands it out, or as PKCS#8.
    pub private_key: Secret,
    /// Where the API is. GitHub's own clouds need none.
    pub api_url: Option<Secret>,
}

impl App {
    /// The App that may read `repository`.
    pub fn new(values: &Values, repository: &RepoUri) -> Result<Self, Error> {
        let id = text(&values.app_id).filter(|it| is_id(it)).ok_or(Error::AppId)?;
        let is_number = |it: &&str| is_id(it) && it.bytes().all(|it| it.is_ascii_digit());
        let installation = text(&values.installation_id).filter(is_number);
        let installation = installation.ok_or(Error::InstallationId)?.to_owned();
        let api = match &values.api_url {
            Some(url) => api(text(url).ok_or(Error::ApiUrl)?)?,
            None => api(&api_of(repository.host()).ok_or(Error::NoApiUrl)?)?,
        };
        let key = values.private_key.clone();
        Ok(Self { id: id.to_owned(), installation, key, api })
    }
}

fn text(value: &Secret) -> Option<&str> {
    std::str::from_utf8(value.expose()).ok().map(str::trim)
}

fn is_id(text: &str) -> bool {
    let is_known = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(is_known)
}

/// Where GitHub itself and its clouds for one customer have it.
///
/// Of any other host only the Secret says: what proves the App would else go to whichever host the
/// address of a repository names, and whoever has it may act for the App elsewhere.
fn api_of(host: &str) -> Option<String> {
    match host {
        "github.com" => Some("https://api.github.com".to_owned()),
        it if it.ends_with(".ghe.com") => Some(format!("https://api.{it}")),
        _ => None,
    }
}

fn api(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|_| Error::ApiUrl)?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let is_http = matches!(url.scheme(), "https" | "http") && url.host_str().is_some();
    if is_plain && is_http { Ok(url) } else { Err(Error::ApiUrl) }
}

/// How a token is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The wall time.
    pub now: Timestamp,
    /// How long the token must still be good for. Up to 50 minutes count, and never less than five.
    pub lasting: Duration,
    /// The request for one takes no longer.
    pub timeout: Duration,
    /// A token that the git host has refused: it is not handed out again.
    pub refused: Option<Secret>,
}

/// A token, and what it took to get it.
#[derive(Debug, Clone)]
pub struct Token {
    /// For git alone.
    pub value: Secret,
    /// By the host's clock.
    pub expires_at: Timestamp,
    /// Whether it was asked for just now.
    pub origin: Origin,
}

/// Where a token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The host gave it for this very question.
    Minted,
    /// It was there.
    Kept,
}

impl Token {
    /// How git is shown it.
    pub fn auth(&self) -> Auth {
        Auth::Basic { username: USERNAME.into(), password: self.value.clone() }
    }
}

/// Whose token it is; the key counts by its digest, so that none is held for longer than it is used.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Name {
    id: String,
    installation: String,
    key: Vec<u8>,
    api: Url,
    tls: Tls,
}

/// What is known of one installation.
#[derive(Debug, Default)]
struct Slot {
    token: Option<Token>,
    failed: Option<(Instant, Arc<Error>)>,
}

type Shared = Arc<AsyncMutex<Slot>>;

/// Tokens by installation.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    slots: Mutex<HashMap<Name, Shared>>,
}

impl Tokens {
    /// A token that is good for as long as it is wanted; who asks meanwhile waits for the same one.
    pub(crate) async fn get(
        &self,
        (pool, traffic): (&Pool, &Traffic),
        app: &App,
        tls: &Tls,
        wanted: &Wanted,
    ) -> Result<Token, Arc<Error>> {
        let slot = self.slot(app, tls, wanted.now);
        let mut slot = slot.lock().await;
        if let Some(token) = slot.token.as_ref().filter(|it| is_good(it, wanted)) {
            return Ok(Token { origin: Origin::Kept, ..token.clone() });
        }
        if let Some((_, error)) = slot.failed.as_ref().filter(|(until, _)| *until > Instant::now())
        {
            return Err(Arc::clone(error));
        }
        let line = Line { pool, traffic, tls };
        match line.mint(app, wanted).await {
            Ok(token) => {
                *slot = Slot { token: Some(token.clone()), failed: None };
                Ok(token)
            }
            Err(error) => {
                let error = Arc::new(error);
                let wait = error.retry_after().unwrap_or_default().max(FAILURE_KEPT);
                let until = Instant::now().checked_add(wait);
                slot.failed = until.map(|it| (it, Arc::clone(&error)));
                Err(error)
            }
        }
    }

    fn slot(&self, app: &App, tls: &Tls, now: Timestamp) -> Shared {
        let name = Name {
            id: app.id.clone(),
            installation: app.installation.clone(),
            key: digest(&SHA256, app.key.expose()).as_ref().to_vec(),
            api: app.api.clone(),
            tls: tls.clone(),
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&name) {
            return Arc::clone(slot);
        }
        if slots.len() >= MOST {
            slots.retain(|_, slot| is_of_use(slot, now));
        }
        let slot = Shared::default();
        if slots.len() < MOST {
            slots.insert(name, Arc::clone(&slot));
        }
        slot
    }
}

fn is_good(token: &Token, wanted: &Wanted) -> bool {
    let lasting = wanted.lasting.clamp(LEFT_AT_LEAST, LONGEST_WANTED);
    let ends_later = wanted.now.checked_add(lasting).is_ok_and(|it| it < token.expires_at);
    ends_later && wanted.refused.as_ref() != Some(&token.value)
}

/// One that is being filled is locked, and of use.
fn is_of_use(slot: &Shared, now: Timestamp) -> bool {
    let Ok(slot) = slot.try_lock() else { return true };
    slot.token.as_ref().is_some_and(|it| it.expires_at > now)
        || slot.failed.as_ref().is_some_and(|(until, _)| *until > Instant::now())
}
