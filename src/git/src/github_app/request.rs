//! What does the API say? One POST for a token that may only read, and an answer of bounded length.

use http::{
    HeaderValue, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use jiff::Timestamp;
use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::{App, Origin, Token, Wanted, error::Error, jwt};
use crate::{
    Secret, Tls, Traffic,
    transport::pool::{Pool, for_host, retry_after},
};

/// An answer is a few hundred bytes, and lists the installation's repositories at worst.
const LONGEST_ANSWER: usize = 1 << 20;
/// A token is some forty letters.
const LONGEST_TOKEN: usize = 4096;
/// The token ends up in a Job's Secret: it can read what the App can, and change nothing.
const ASKED: &str = r#"{"permissions":{"contents":"read"}}"#;

/// What a request goes out over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) pool: &'a Pool,
    pub(super) traffic: &'a Traffic,
    pub(super) tls: &'a Tls,
}

impl Line<'_> {
    /// A new token, within the time that is given.
    pub(super) async fn mint(self, app: &App, wanted: &Wanted) -> Result<Token, Error> {
        let (host, limit) = (host(&app.api), wanted.timeout);
        let asking = timeout(limit, self.ask(app, &host, wanted.now));
        asking.await.map_err(|_| Error::Slow { host, limit })?
    }

    async fn ask(self, app: &App, host: &str, now: Timestamp) -> Result<Token, Error> {
        let jwt = jwt::sign(&app.id, &app.key, now)?;
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {jwt}")).map_err(|_| Error::Sign)?;
        bearer.set_sensitive(true);
        let mut url = app.api.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{path}/app/installations/{}/access_tokens", app.installation));
        let client = self.pool.client(url.scheme(), self.tls);
        let client = client.map_err(|source| Error::Client { source: Box::new(source) })?;
        self.traffic.asked(host, ASKED.len());
        // The clients follow no redirects: who is sent elsewhere gets an error and no key.
        let request = client
            .post(url)
            .header(ACCEPT, "application/vnd.github+json")
            .header(CONTENT_TYPE, "application/json")
            .header("x-github-api-version", "2022-11-28")
            .header(AUTHORIZATION, bearer)
            .body(ASKED);
        let response = for_host(host.into(), request.send()).await;
        let response = response.map_err(|it| talk(host, it))?;
        if !matches!(response.status(), StatusCode::CREATED | StatusCode::OK) {
            return Err(Error::Status {
                host: host.to_owned(),
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers()),
            });
        }
        let body = self.read(host, response).await?;
        parse(&body).ok_or_else(|| Error::Answer { host: host.to_owned() })
    }

    async fn read(self, host: &str, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|it| talk(host, it))? {
            self.traffic.received(host, piece.len());
            if body.len().saturating_add(piece.len()) > LONGEST_ANSWER {
                return Err(Error::Answer { host: host.to_owned() });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

fn parse(body: &[u8]) -> Option<Token> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let token = answer.get("token")?.as_str()?;
    let expires_at: Timestamp = answer.get("expires_at")?.as_str()?.parse().ok()?;
    let is_plain = token.bytes().all(|it| it.is_ascii_graphic());
    let is_token = is_plain && !token.is_empty() && token.len() <= LONGEST_TOKEN;
    is_token.then(|| Token { value: Secret::from(token), expires_at, origin: Origin::Minted })
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn talk(host: &str, source: reqwest::Error) -> Error {
    Error::Talk { host: host.to_owned(), source: source.without_url() }
}
