//! How does gix reach an http server? Through this: our redirect rules, our credentials, and a
//! limit on bytes and time, which its own transports lack.
//!
//! A request is sent when its answer is first read: by then gix has written the whole body.

use std::{
    io::{self, BufRead, BufReader, Cursor, Read, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{AUTHORIZATION, LOCATION, USER_AGENT},
};
use reqwest::blocking::{Client, Response};
use url::Url;

use super::{
    budget::Budget,
    lead::Lead,
    pool::{CONNECT, choose_crypto, retry_after},
};
use crate::{Error, Remote, Tls, Traffic, redirect};

/// Negotiation of one commit is a few hundred bytes.
const LONGEST_REQUEST: usize = 1 << 20;
/// How an advertisement begins, and nothing else.
const ADVERTISEMENT: &[u8] = b"001e# service=git-upload-pack\n0000";

type GixResult<T> = Result<T, gix::Error>;

/// All requests about one remote, until its time or its bytes are used up.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    client: Client,
    tls: Tls,
    host: String,
    /// What the user named. Credentials go here alone.
    home: Url,
    /// Where the server has moved it to.
    moved: Mutex<Option<Url>>,
    authorization: Option<HeaderValue>,
    traffic: Traffic,
    budget: Arc<Budget>,
}

impl Session {
    pub(crate) fn open(
        remote: &Remote,
        budget: Arc<Budget>,
        traffic: Traffic,
    ) -> Result<Self, Error> {
        let host = remote.uri.host().to_owned();
        let transport = || Error::Transport { scheme: remote.uri.scheme().as_str() };
        let home = remote.uri.http_url().ok_or_else(transport)?;
        let authorization = remote.auth.header();
        let authorization = authorization.map_err(|_| Error::Credentials { host: host.clone() })?;
        let line = Line {
            client: client(home.scheme(), &remote.tls)?,
            tls: remote.tls.clone(),
            host,
            home,
            moved: Mutex::default(),
            authorization,
            traffic,
            budget,
        };
        Ok(Self { line: Arc::new(line) })
    }

    /// The address in gix's own type.
    pub(crate) fn gix_url(&self) -> GixResult<gix::Url> {
        gix::url::parse(self.line.home.as_str())
    }
}

/// A client for URLs of this scheme and no other: only https needs the system's certificates, and
/// a machine without any can still ask over http.
fn client(scheme: &str, tls: &Tls) -> Result<Client, Error> {
    choose_crypto();
    let failed = |source| Error::Client { source };
    let mut builder = Client::builder()
        .user_agent(crate::USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .https_only(scheme == "https")
        .tls_danger_accept_invalid_certs(scheme == "http" || *tls == Tls::SkipVerify);
    if let Tls::VerifyWith(bundle) = tls {
        builder = builder.tls_certs_merge(bundle.certificates().map_err(failed)?);
    }
    builder.build().map_err(failed)
}

impl Line {
    /// Keeps the reason, and gives what an interface of std can carry.
    fn fail(&self, error: Error) -> io::Error {
        self.budget.fail(error)
    }

    fn send(&self, post: Option<&[u8]>, url: &str, headers: &HeaderMap) -> io::Result<Response> {
        let redirected = || Error::Redirect { host: self.host.clone() };
        let mut url = Url::parse(url).map_err(|_| self.fail(redirected()))?;
        for _ in 0..=redirect::MOST {
            let response = self.send_once(post, &url, headers)?;
            match response.status() {
                StatusCode::OK => {
                    self.remember_base(&url);
                    return Ok(response);
                }
                it if it.is_redirection() => {
                    let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
                    let next = location.and_then(|it| redirect::follow(&url, it));
                    url = next.ok_or_else(|| self.fail(redirected()))?;
                }
                it => {
                    return Err(self.fail(Error::Status {
                        host: self.host.clone(),
                        status: it.as_u16(),
                        retry_after: retry_after(response.headers()),
                    }));
                }
            }
        }
        Err(self.fail(redirected()))
    }

    fn send_once(
        &self,
        post: Option<&[u8]>,
        url: &Url,
        headers: &HeaderMap,
    ) -> io::Result<Response> {
        let left = self.budget.remaining();
        if left.is_zero() {
            return Err(self.fail(self.budget.slow()));
        }
        let client = if url.scheme() == self.home.scheme() {
            self.client.clone()
        } else {
            client(url.scheme(), &self.tls).map_err(|it| self.fail(it))?
        };
        let mut request = match post {
            Some(body) => client.post(url.clone()).body(body.to_vec()),
            None => client.get(url.clone()),
        };
        request = request.headers(headers.clone()).timeout(left);
        let is_home = url.origin() == self.home.origin();
        if let Some(value) = self.authorization.clone().filter(|_| is_home) {
            request = request.header(AUTHORIZATION, value);
        }
        self.traffic.asked(&self.host, post.map_or(0, <[u8]>::len));
        request.send().map_err(|it| self.fail(self.talk(it)))
    }

    fn talk(&self, source: reqwest::Error) -> Error {
        if source.is_timeout() && !source.is_connect() {
            return self.budget.slow();
        }
        Error::Talk { host: self.host.clone(), source: source.without_url() }
    }

    /// Later requests go straight to where an earlier one was sent.
    fn remember_base(&self, url: &Url) {
        let mut base = url.clone();
        let path = base.path();
        let kept =
            path.strip_suffix("/info/refs").or_else(|| path.strip_suffix("/git-upload-pack"));
        if let Some(kept) = kept.map(str::to_owned) {
            base.set_path(&kept);
            base.set_query(None);
            *lock(&self.moved) = Some(base).filter(|it| *it != self.home);
        }
    }

    fn receive(&self, bytes: usize) -> io::Result<()> {
        self.traffic.received(&self.host, bytes);
        self.budget.receive(bytes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Http for Session {
    type Headers = Head;
    type ResponseBody = Body;
    type PostBody = Outgoing;

    fn get(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> GixResult<GetResponse<Head, Body>> {
        let exchange = Exchange::of(&self.line, url, headers, None);
        lock(&exchange).run().map_err(gix::Error::from_error)?;
        Ok(GetResponse { headers: Head::of(&exchange), body: Body::of(&exchange) })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> GixResult<PostResponse<Head, Body, Outgoing>> {
        let exchange = Exchange::of(&self.line, url, headers, Some(Vec::new()));
        Ok(PostResponse {
            post_body: Outgoing { exchange: Arc::clone(&exchange) },
            headers: Head::of(&exchange),
            body: Body::of(&exchange),
        })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> GixResult<()> {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        lock(&self.line.moved).as_ref().map(|it| it.as_str().to_owned())
    }
}

/// One request and its answer; three handles of gix's look at it.
#[derive(Debug)]
struct Exchange {
    line: Arc<Line>,
    url: String,
    headers: HeaderMap,
    post: Option<Vec<u8>>,
    is_sent: bool,
    head: Vec<u8>,
    body: Option<Response>,
}

type Shared = Arc<Mutex<Exchange>>;

impl Exchange {
    fn of(
        line: &Arc<Line>,
        url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        post: Option<Vec<u8>>,
    ) -> Shared {
        let headers = headers.into_iter().filter_map(|it| header(it.as_ref())).collect();
        Arc::new(Mutex::new(Self {
            line: Arc::clone(line),
            url: url.to_owned(),
            headers,
            post,
            is_sent: false,
            head: Vec::new(),
            body: None,
        }))
    }

    fn run(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_sent, true) {
            return Ok(());
        }
        let response = self.line.send(self.post.take().as_deref(), &self.url, &self.headers)?;
        for (name, value) in response.headers() {
            self.head.extend_from_slice(name.as_str().as_bytes());
            self.head.extend_from_slice(b": ");
            // gix reads lines of text; what is none matters to nobody.
            self.head.extend_from_slice(value.to_str().unwrap_or_default().as_bytes());
            self.head.push(b'\n');
        }
        self.body = Some(response);
        Ok(())
    }
}

/// `Name: value` as gix hands it over. Our own name is the same in every request.
fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::try_from(name.trim()).ok().filter(|it| it != USER_AGENT)?;
    Some((name, HeaderValue::from_str(value.trim()).ok()?))
}

/// The body that gix writes.
#[derive(Debug)]
pub(crate) struct Outgoing {
    exchange: Shared,
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut exchange = lock(&self.exchange);
        let body = exchange.post.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        if body.len().saturating_add(bytes.len()) > LONGEST_REQUEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The headers of the answer, as lines.
#[derive(Debug)]
pub(crate) struct Head {
    exchange: Shared,
    text: Option<Cursor<Vec<u8>>>,
}

impl Head {
    fn of(exchange: &Shared) -> Self {
        Self { exchange: Arc::clone(exchange), text: None }
    }
}

impl BufRead for Head {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.text.is_none() {
            let mut exchange = lock(&self.exchange);
            exchange.run()?;
            self.text = Some(Cursor::new(std::mem::take(&mut exchange.head)));
        }
        self.text.as_mut().map_or(Ok(&[]), BufRead::fill_buf)
    }

    fn consume(&mut self, amount: usize) {
        if let Some(text) = &mut self.text {
            text.consume(amount);
        }
    }
}

impl Read for Head {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

/// The body of the answer, within bytes and time.
#[derive(Debug)]
pub(crate) struct Body {
    exchange: Shared,
    metered: Option<BufReader<Lead<Metered>>>,
}

impl Body {
    fn of(exchange: &Shared) -> Self {
        Self { exchange: Arc::clone(exchange), metered: None }
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.metered.is_none() {
            let mut exchange = lock(&self.exchange);
            exchange.run()?;
            let response = exchange.body.take();
            let metered = Metered { line: Arc::clone(&exchange.line), response };
            let body = Lead::after(ADVERTISEMENT, metered);
            self.metered = Some(BufReader::with_capacity(64 << 10, body));
        }
        self.metered.as_mut().map_or(Ok(&[]), BufRead::fill_buf)
    }

    fn consume(&mut self, amount: usize) {
        if let Some(metered) = &mut self.metered {
            metered.consume(amount);
        }
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

#[derive(Debug)]
struct Metered {
    line: Arc<Line>,
    response: Option<Response>,
}

impl Read for Metered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(response) = &mut self.response else { return Ok(0) };
        let count = response.read(into);
        if self.line.budget.remaining().is_zero() {
            return Err(self.line.fail(self.line.budget.slow()));
        }
        let count = count?;
        self.line.receive(count)?;
        Ok(count)
    }
}
