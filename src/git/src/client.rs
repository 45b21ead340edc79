//! What does a reference point at? One POST over a kept connection, whoever answers.
//!
//! ```text
//! ls_refs ── v2: one POST ──▶ refs
//!    └────── not v2? ──▶ older.rs: gix, v0 to v2, blocking; remembered by host
//! ```

mod older;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{
    StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION},
};
use reqwest::Response;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{
    Commit, Error, Malformed, Reference, Remote, RemoteRef, Traffic,
    ls_refs::{self, Answer, ObjectFormat},
    redirect,
    transport::pool::{Pool, retry_after},
};

/// Servers get upgraded; asked in the old way they answer too, only slower.
const OLDER_FOR: Duration = Duration::from_hours(1);
/// Hosts are named by tenants; one that is forgotten costs one more request.
const MOST_OLDER: usize = 1024;
/// After the flush only the end of the HTTP body is to come. Reading it keeps the connection.
const LAST_BYTES: Duration = Duration::from_millis(100);

/// Asks remotes. Cheap to clone; clones share connections and counters.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: Pool,
    traffic: Traffic,
    /// Hosts that do not answer v2, and when they were found out.
    older: Mutex<HashMap<String, Instant>>,
}

/// How the one POST ended.
enum Asked {
    Answered(Vec<RemoteRef>),
    /// The server broke off: it does not know v2, a proxy hides from it that we do, or the
    /// repository names its objects by the other hash. git says which on its own stderr alone.
    BrokeOff,
}

impl Client {
    /// Makes a client with no connections yet.
    pub fn new() -> Result<Self, Error> {
        let pool = Pool::new()?;
        let inner = Inner { pool, traffic: Traffic::default(), older: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What was sent and received so far, by host.
    pub fn traffic(&self) -> &Traffic {
        &self.inner.traffic
    }

    /// The refs whose full names begin with one of `prefixes`; all refs without any.
    ///
    /// Takes no longer than the remote's timeout, and never keeps more than was asked for.
    pub async fn ls_refs(
        &self,
        remote: &Remote,
        prefixes: &[String],
    ) -> Result<Vec<RemoteRef>, Error> {
        let slow = || Error::Slow { host: remote.uri.host().to_owned(), limit: remote.timeout };
        let asking = Box::pin(self.ask_any_version(remote, prefixes));
        timeout(remote.timeout, asking).await.map_err(|_| slow())?
    }

    /// The commit that a reference points at now; tags are followed to the commit.
    ///
    /// A commit answers for itself, without a request.
    pub async fn resolve(&self, remote: &Remote, reference: &Reference) -> Result<Commit, Error> {
        let name = match (reference, reference.full_name()) {
            (_, Some(name)) => name,
            (Reference::Commit(commit), None) => return Ok(commit.clone()),
            (_, None) => return Err(Error::Nothing),
        };
        let refs = self.ls_refs(remote, std::slice::from_ref(&name)).await?;
        // A prefix finds `main-2` too.
        let found = refs.into_iter().find(|it| it.name == name);
        let found = found.ok_or_else(|| Error::RefNotFound { reference: reference.clone() })?;
        Ok(found.commit().clone())
    }

    async fn ask_any_version(
        &self,
        remote: &Remote,
        prefixes: &[String],
    ) -> Result<Vec<RemoteRef>, Error> {
        let transport = || Error::Transport { scheme: remote.uri.scheme().as_str() };
        let base = remote.uri.http_url().ok_or_else(transport)?;
        let host = remote.uri.host();
        if self.is_older(host) {
            return self.ask_older(remote, prefixes).await;
        }
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            if let Asked::Answered(refs) = self.ask(remote, &base, prefixes, format).await? {
                return Ok(refs);
            }
        }
        let refs = self.ask_older(remote, prefixes).await?;
        self.remember_older(host);
        Ok(refs)
    }

    async fn ask(
        &self,
        remote: &Remote,
        base: &Url,
        prefixes: &[String],
        format: ObjectFormat,
    ) -> Result<Asked, Error> {
        let host = remote.uri.host();
        let body = ls_refs::question(prefixes, format).map_err(|_| Error::Prefix)?;
        let mut response = self.post(remote, base, body).await?;
        let mut answer = Answer::to(prefixes);
        while let Some(piece) = response.chunk().await.map_err(|it| talk(host, it))? {
            self.inner.traffic.received(host, piece.len());
            match answer.push(&piece) {
                Ok(false) => {}
                Ok(true) => {
                    let _ = timeout(LAST_BYTES, response.chunk()).await;
                    break;
                }
                Err(malformed) => return judge(host, malformed),
            }
        }
        answer
            .finish()
            .map_or_else(|malformed| judge(host, malformed), |it| Ok(Asked::Answered(it)))
    }

    /// Sends the question, and follows where the server may send us.
    async fn post(&self, remote: &Remote, base: &Url, body: Vec<u8>) -> Result<Response, Error> {
        let host = remote.uri.host();
        let credentials = || Error::Credentials { host: host.to_owned() };
        let authorization = remote.auth.header().map_err(|_| credentials())?;
        let mut url = base.clone();
        url.set_path(&format!("{}/git-upload-pack", base.path()));
        for _ in 0..=redirect::MOST {
            let client = self.inner.pool.client(url.scheme(), remote.tls)?;
            let mut request = client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
                .header(ACCEPT, "application/x-git-upload-pack-result")
                .header("git-protocol", "version=2")
                .body(body.clone());
            // What belongs to one origin is shown to no other.
            let is_home = url.origin() == base.origin();
            if let Some(value) = authorization.clone().filter(|_| is_home) {
                request = request.header(AUTHORIZATION, value);
            }
            self.inner.traffic.asked(host, body.len());
            let response = request.send().await.map_err(|it| talk(host, it))?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                it if it.is_redirection() => {
                    let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
                    let next = location.and_then(|it| redirect::follow(&url, it));
                    url = next.ok_or_else(|| Error::Redirect { host: host.to_owned() })?;
                }
                it => return Err(status(host, it, &response)),
            }
        }
        Err(Error::Redirect { host: host.to_owned() })
    }

    async fn ask_older(
        &self,
        remote: &Remote,
        prefixes: &[String],
    ) -> Result<Vec<RemoteRef>, Error> {
        let (remote, prefixes) = (remote.clone(), prefixes.to_vec());
        let traffic = self.inner.traffic.clone();
        tokio::task::spawn_blocking(move || older::ls_refs(&remote, &prefixes, traffic))
            .await
            .map_err(|_| Error::Worker)?
    }

    fn is_older(&self, host: &str) -> bool {
        let mut older = self.inner.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.retain(|_, since| since.elapsed() < OLDER_FOR);
        older.contains_key(host)
    }

    fn remember_older(&self, host: &str) {
        let mut older = self.inner.older.lock().unwrap_or_else(PoisonError::into_inner);
        if older.len() < MOST_OLDER {
            older.insert(host.to_owned(), Instant::now());
        }
    }
}

/// What a broken answer means: ask differently, or give up.
fn judge(host: &str, malformed: Malformed) -> Result<Asked, Error> {
    match malformed {
        Malformed::Truncated { lines: 0 } => Ok(Asked::BrokeOff),
        Malformed::Refused { message } if is_of_version(&message) => Ok(Asked::BrokeOff),
        Malformed::Refused { message } => Err(Error::Remote { host: host.to_owned(), message }),
        source => Err(Error::Answer { host: host.to_owned(), source }),
    }
}

/// What git says, where it does say it, to a client that it takes for an older or another one.
fn is_of_version(message: &str) -> bool {
    message.contains("expected to get") || message.contains("object format")
}

fn talk(host: &str, source: reqwest::Error) -> Error {
    Error::Talk { host: host.to_owned(), source: source.without_url() }
}

fn status(host: &str, status: StatusCode, response: &Response) -> Error {
    Error::Status {
        host: host.to_owned(),
        status: status.as_u16(),
        retry_after: retry_after(response.headers()),
    }
}
