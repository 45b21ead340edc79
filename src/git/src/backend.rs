//! A real git server for tests and for trying things out: every bare repository below a
//! directory, over http, served by `git http-backend` as git ships it.
//!
//! Not for production: no TLS, one process a request.

mod daemon;
mod server;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use futures::TryStreamExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tokio_util::io::{ReaderStream, StreamReader};

pub use daemon::Daemon;
pub use server::{Error, Server};

use crate::Auth;

/// A CGI header is a status or a content type; more lines or longer ones are not git's.
const MOST_HEAD_LINES: usize = 32;
/// An answer that is shorter goes out whole, as from nginx (its `postpone_output`) or from a server
/// in Go, which hold as much back until the program ends.
const POSTPONED: usize = 2048;

/// Which protocol versions the server is willing to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// What the client asks for.
    #[default]
    All,
    /// v0 alone, as behind a proxy that strips `Git-Protocol`.
    Oldest,
    /// v1 alone, which is v0 with its number said first.
    One,
}

impl Versions {
    /// The value of `GIT_PROTOCOL` for a client that asks for this one.
    fn of(self, asked: Option<&str>) -> Option<&str> {
        match self {
            Self::All => asked,
            Self::Oldest => None,
            Self::One => Some("version=1"),
        }
    }
}

/// The server's state. Cheap to clone; clones are the same server.
#[derive(Debug, Clone)]
pub struct Backend {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    versions: Versions,
    requests: AtomicU64,
    /// What a repository wants to be shown, by its first path segment.
    guarded: Mutex<BTreeMap<String, Auth>>,
}

impl Backend {
    /// Serves what is below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::speaking(root, Versions::All)
    }

    /// Serves what is below `root` in these versions.
    pub fn speaking(root: impl Into<PathBuf>, versions: Versions) -> Self {
        Self {
            inner: Arc::new(Inner {
                root: root.into(),
                versions,
                requests: AtomicU64::new(0),
                guarded: Mutex::default(),
            }),
        }
    }

    /// From now on `repository` (its directory's name) answers 401 to who does not show `auth`.
    pub fn guard(&self, repository: &str, auth: Auth) {
        let mut guarded = self.inner.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        guarded.insert(repository.to_owned(), auth);
    }

    /// Requests answered so far, the refused ones too.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// The server, to be served or nested.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    fn refuses(&self, path: &str, headers: &HeaderMap) -> bool {
        let repository = path.split('/').find(|it| !it.is_empty()).unwrap_or_default();
        let guarded = self.inner.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        guarded.get(repository).is_some_and(|auth| {
            let expected = auth.header().ok().flatten();
            expected.as_ref() != headers.get(header::AUTHORIZATION)
        })
    }
}

async fn answer(State(backend): State<Backend>, request: Request) -> Response<Body> {
    backend.inner.requests.fetch_add(1, Ordering::Relaxed);
    if backend.refuses(request.uri().path(), request.headers()) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    match run(&backend, request).await {
        Ok(response) => response,
        Err(source) => {
            tracing::warn!(error = %source, "git http-backend gave no answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn run(backend: &Backend, request: Request) -> io::Result<Response<Body>> {
    let mut child = command(backend, &request).spawn()?;
    let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
    let stdin = child.stdin.take().ok_or_else(broken)?;
    let mut stdout = BufReader::new(child.stdout.take().ok_or_else(broken)?);

    // git reads the request to its end before it answers, or answers and stops reading.
    let body = request.into_body();
    let (sent, head) = tokio::join!(feed(body, stdin), read_head(&mut stdout));
    let (status, headers) = head?;
    if let Err(source) = sent {
        tracing::debug!(error = %source, "git http-backend stopped reading");
    }
    let mut first = Vec::with_capacity(POSTPONED);
    (&mut stdout).take(POSTPONED as u64).read_to_end(&mut first).await?;
    let is_all = first.len() < POSTPONED;
    let body = if is_all {
        child.wait().await?;
        Body::from(first)
    } else {
        Body::from_stream(outgoing(io::Cursor::new(first).chain(stdout), child))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn command(backend: &Backend, request: &Request) -> Command {
    let text = |name: HeaderName| request.headers().get(name).and_then(|it| it.to_str().ok());
    let mut command = quiet_command(&["http-backend"]);
    command
        .env("GIT_PROJECT_ROOT", &backend.inner.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", decoded(request.uri().path()))
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("CONTENT_TYPE", text(header::CONTENT_TYPE).unwrap_or_default())
        .env("REMOTE_ADDR", "127.0.0.1")
        // git lets named users push, and nobody else.
        .env("REMOTE_USER", "somebody")
        .envs(text(header::CONTENT_LENGTH).map(|it| ("CONTENT_LENGTH", it)))
        .envs(text(header::CONTENT_ENCODING).map(|it| ("HTTP_CONTENT_ENCODING", it)));
    let version = backend.inner.versions.of(text(HeaderName::from_static("git-protocol")));
    command.envs(version.map(|it| ("GIT_PROTOCOL", it)));
    command
}

/// git, in an environment that is empty but for what it needs, and gone when nobody holds it.
fn quiet_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|it| ("PATH", it)))
        .envs(quiet_git())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The environment in which git looks at no configuration but the repository's own, and asks
/// nobody anything.
pub fn quiet_git() -> [(&'static str, &'static str); 4] {
    [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("HOME", "/nonexistent"),
    ]
}

/// git decodes nothing in a path.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%');
        let byte = escaped.and_then(|it| std::str::from_utf8(it).ok());
        if let Some(byte) = byte.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    // A NUL cannot be in an environment.
    String::from_utf8_lossy(&bytes).replace('\0', "")
}

async fn feed(body: Body, mut stdin: ChildStdin) -> io::Result<()> {
    let stream = body.into_data_stream().map_err(io::Error::other);
    let mut reader = StreamReader::new(Box::pin(stream));
    tokio::io::copy(&mut reader, &mut stdin).await?;
    stdin.shutdown().await
}

async fn read_head(stdout: &mut BufReader<ChildStdout>) -> io::Result<(StatusCode, HeaderMap)> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
    for _ in 0..MOST_HEAD_LINES {
        let mut line = String::new();
        if stdout.read_line(&mut line).await? == 0 {
            return Err(broken());
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(':').ok_or_else(broken)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            status = code.parse().map_err(|_| broken())?;
        } else {
            let name = HeaderName::try_from(name).map_err(|_| broken())?;
            headers.append(name, HeaderValue::from_str(value).map_err(|_| broken())?);
        }
    }
    Err(broken())
}

/// A long output; the process lives as long as somebody reads it, and is reaped.
fn outgoing(
    stdout: impl AsyncRead + Send + Unpin,
    child: Child,
) -> impl futures::Stream<Item = io::Result<bytes::Bytes>> + Send {
    futures::stream::unfold((ReaderStream::new(stdout), child), |(mut stream, mut child)| async {
        if let Some(piece) = futures::StreamExt::next(&mut stream).await {
            return Some((piece, (stream, child)));
        }
        if let Err(source) = child.wait().await {
            tracing::debug!(error = %source, "git http-backend was not reaped");
        }
        None
    })
}
