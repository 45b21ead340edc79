//! How is a remote asked over http? v2: one POST. Older: one GET of all that the server advertises.
//! Where the server sends us is judged by `redirect`, and credentials stay where they belong.

use std::time::Duration;

use bytes::Bytes;
use http::{
    StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION},
};
use reqwest::{Client, RequestBuilder, Response};
use tokio::time::timeout;
use url::Url;

use super::{Inner, Question, judge, judge_first};
use crate::{
    Error, Malformed, Remote,
    advertisement::{Advertised, Advertisement, judge_other},
    ls_refs::{self, Answer, Keep, ObjectFormat},
    redirect,
    transport::pool::{for_host, retry_after},
};

/// After the flush only the end of the HTTP body is to come. Reading it keeps the connection.
const LAST_BYTES: Duration = Duration::from_millis(100);
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";

/// How the one POST ended.
pub(super) enum Asked<K> {
    Answered(K),
    /// The server broke off: it does not know v2, a proxy hides from it that we do, or the
    /// repository names its objects by the other hash. git says which on its own stderr alone.
    BrokeOff,
    /// Nothing there takes a POST, or not this one.
    NotTaken,
}

/// Requests to one remote.
#[derive(Debug)]
pub(super) struct Requests<'a> {
    inner: &'a Inner,
    remote: &'a Remote,
    /// What the user named. Credentials go to its origin alone.
    base: Url,
}

/// What is sent.
enum Body {
    Question(Bytes),
    Nothing,
}

impl<'a> Requests<'a> {
    pub(super) fn to(inner: &'a Inner, remote: &'a Remote) -> Result<Self, Error> {
        let transport = || Error::Transport { scheme: remote.uri.scheme().as_str() };
        let base = remote.uri.http_url().ok_or_else(transport)?;
        Ok(Self { inner, remote, base })
    }

    /// Asks in v2.
    pub(super) async fn ask<K: Keep + Clone>(
        &self,
        question: &Question<'_, K>,
        format: ObjectFormat,
    ) -> Result<Asked<K>, Error> {
        let body = ls_refs::question(question.prefixes, format).map_err(|_| Error::Prefix)?;
        let mut url = self.base.clone();
        url.set_path(&format!("{}/git-upload-pack", self.base.path()));
        let mut response = match self.send(url, &Body::Question(body.into())).await {
            // Where files alone are served, a POST is not allowed; Azure DevOps calls a question of
            // v2 a bad request.
            Err(Error::Status { status: 400 | 405 | 501, .. }) => return Ok(Asked::NotTaken),
            other => other?,
        };
        let mut answer = Answer::kept_in(question.keep.clone());
        let read = self.read(&mut response, |piece| answer.push(piece)).await?;
        match read.and_then(|()| answer.finish()) {
            Ok(kept) => Ok(Asked::Answered(kept)),
            Err(Malformed::Truncated { lines: 0 }) => Ok(Asked::BrokeOff),
            Err(Malformed::Refused { message }) if is_of_version(&message) => Ok(Asked::BrokeOff),
            Err(malformed) => Err(judge(self.host(), malformed)),
        }
    }

    /// Takes what is advertised to a client that has never heard of v2.
    pub(super) async fn ask_older<K: Keep + Clone>(
        &self,
        question: &Question<'_, K>,
    ) -> Result<K, Error> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/info/refs", self.base.path()));
        url.set_query(Some("service=git-upload-pack"));
        let mut response = self.send(url, &Body::Nothing).await?;
        if !is_advertisement(&response) {
            return Err(self.judge_other(&mut response).await);
        }
        let mut advertisement = Advertisement::kept_in(question.keep.clone());
        let read = self.read(&mut response, |piece| advertisement.push(piece)).await?;
        match read.and_then(|()| advertisement.finish()) {
            Ok(Advertised::Refs(kept)) => Ok(kept),
            Ok(Advertised::Capabilities(_)) => Err(judge_first(self.host(), Malformed::Version)),
            Err(malformed) => Err(judge_first(self.host(), malformed)),
        }
    }

    /// Reads until `push` says that it was all, or what is wrong with it.
    async fn read(
        &self,
        response: &mut Response,
        mut push: impl FnMut(&[u8]) -> Result<bool, Malformed>,
    ) -> Result<Result<(), Malformed>, Error> {
        while let Some(piece) = response.chunk().await.map_err(|it| self.talk(it))? {
            self.inner.traffic.received(self.host(), piece.len());
            match push(&piece) {
                Ok(false) => {}
                Ok(true) => {
                    let _ = timeout(LAST_BYTES, response.chunk()).await;
                    // A task of the connection's own gives it back: who asks next should find it there.
                    tokio::task::yield_now().await;
                    break;
                }
                Err(malformed) => return Ok(Err(malformed)),
            }
        }
        Ok(Ok(()))
    }

    /// A page, or what the dumb protocol is made of: the first bytes tell.
    async fn judge_other(&self, response: &mut Response) -> Error {
        let mut first = Vec::new();
        while first.len() <= 64 {
            match response.chunk().await {
                Ok(Some(piece)) => {
                    self.inner.traffic.received(self.host(), piece.len());
                    first.extend_from_slice(&piece);
                }
                Ok(None) => break,
                Err(source) => return self.talk(source),
            }
        }
        judge_first(self.host(), judge_other(&first))
    }

    /// Sends, and follows where the server may send us.
    async fn send(&self, mut url: Url, body: &Body) -> Result<Response, Error> {
        let host = self.remote.uri.shared_host();
        let credentials = || Error::Credentials { host: host.as_ref().to_owned() };
        let redirected = || Error::Redirect { host: host.as_ref().to_owned() };
        let authorization = self.remote.auth.header().map_err(|_| credentials())?;
        for _ in 0..=redirect::MOST {
            let client = self.inner.pool.client(url.scheme(), &self.remote.tls)?;
            let mut request = body.request(&client, &url);
            // What belongs to one origin is shown to no other.
            let is_home = url.origin() == self.base.origin();
            if let Some(value) = authorization.clone().filter(|_| is_home) {
                request = request.header(AUTHORIZATION, value);
            }
            self.inner.traffic.asked(&host, body.len());
            let sending = for_host(host.clone(), request.send());
            let response = sending.await.map_err(|it| self.talk(it))?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                it if it.is_redirection() => {
                    let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
                    let next = location.and_then(|it| redirect::follow(&url, it));
                    url = next.ok_or_else(redirected)?;
                }
                it => {
                    return Err(Error::Status {
                        host: self.host().to_owned(),
                        status: it.as_u16(),
                        retry_after: retry_after(response.headers()),
                    });
                }
            }
        }
        Err(redirected())
    }

    fn talk(&self, source: reqwest::Error) -> Error {
        Error::Talk { host: self.host().to_owned(), source: source.without_url() }
    }

    fn host(&self) -> &str {
        self.remote.uri.host()
    }
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Question(bytes) => bytes.len(),
            Self::Nothing => 0,
        }
    }

    fn request(&self, client: &Client, url: &Url) -> RequestBuilder {
        match self {
            Self::Question(bytes) => client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
                .header(ACCEPT, "application/x-git-upload-pack-result")
                .header("git-protocol", "version=2")
                .body(bytes.clone()),
            Self::Nothing => client.get(url.clone()).header(ACCEPT, "*/*"),
        }
    }
}

/// As git reads the type: in any case, and whatever parameters a framework has added.
fn is_advertisement(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.and_then(|it| it.split(';').next());
    kind.is_some_and(|it| it.trim().eq_ignore_ascii_case(ADVERTISEMENT))
}

/// What git says, where it does say it, to a client that it takes for an older or another one.
/// Servers that are not git use other words, and repeat what they do not understand.
fn is_of_version(message: &str) -> bool {
    ["expected to get", "object format", "command=ls-refs"].iter().any(|it| message.contains(it))
}
