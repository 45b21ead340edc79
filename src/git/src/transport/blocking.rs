//! How does gix, which blocks, reach a remote? By http in requests; by ssh and git:// over a stream
//! that a small runtime on a thread of its own drives for as long as it is needed.

use std::{
    fmt,
    io::{self, Read, Write},
    sync::Arc,
    thread,
};

use gix::protocol::transport::{
    Protocol,
    client::{
        blocking_io::{Transport, http::Transport as HttpTransport},
        git::{ConnectMode, blocking_io::Connection},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    runtime::{Builder, Handle},
    sync::oneshot,
    time::timeout_at,
};

use super::{
    budget::Budget,
    git,
    http::Session,
    lead::Lead,
    ssh,
    stream::{self, Stream, Version},
};
use crate::{Error, Remote, Said, Scheme, Traffic};

type Reading = Half<ReadHalf<Box<dyn Stream>>>;
type Writing = Half<WriteHalf<Box<dyn Stream>>>;

/// The way to one remote, kept for all connections of one fetch.
#[derive(Debug)]
pub(crate) struct Way {
    remote: Remote,
    budget: Arc<Budget>,
    carrier: Carrier,
}

enum Carrier {
    Http(Session),
    Stream { driver: Driver, sessions: ssh::Sessions, traffic: Traffic },
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "Http",
            Self::Stream { .. } => "Stream",
        })
    }
}

impl Way {
    pub(crate) fn open(remote: &Remote, budget: Budget, traffic: Traffic) -> Result<Self, Error> {
        let budget = Arc::new(budget);
        let carrier = match remote.uri.scheme() {
            Scheme::Http | Scheme::Https => {
                Carrier::Http(Session::open(remote, Arc::clone(&budget), traffic)?)
            }
            Scheme::Ssh | Scheme::Git => {
                let driver = Driver::start().map_err(|_| Error::Worker)?;
                Carrier::Stream { driver, sessions: ssh::Sessions::default(), traffic }
            }
        };
        Ok(Self { remote: remote.clone(), budget, carrier })
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// A connection that nothing was said on yet.
    pub(crate) fn connect(&self) -> Result<Box<dyn Transport>, Error> {
        self.budget.expect_talk();
        let (driver, sessions, traffic) = match &self.carrier {
            Carrier::Http(session) => {
                let url = session.gix_url().map_err(|source| Error::Fetch {
                    host: self.remote.uri.host().to_owned(),
                    source: Said::by(&source, &self.remote.uri),
                })?;
                let transport = HttpTransport::new_http(session.clone(), url, Protocol::V2, false);
                return Ok(Box::new(transport));
            }
            Carrier::Stream { driver, sessions, traffic } => (driver, sessions, traffic),
        };
        let remote = Remote { timeout: self.budget.remaining(), ..self.remote.clone() };
        let opening = async {
            if remote.uri.scheme() == Scheme::Ssh {
                sessions.open(&remote, Version::Two, traffic).await
            } else {
                git::open(&remote, Version::Two, traffic).await
            }
        };
        let handle = &driver.handle;
        // A timer is made where the runtime is known: inside.
        let stream =
            handle.block_on(async { timeout_at(self.budget.deadline(), Box::pin(opening)).await });
        let stream = stream.map_err(|_| self.budget.slow())??;
        Ok(Box::new(self.connection(stream, handle)))
    }

    fn connection(
        &self,
        stream: Box<dyn Stream>,
        handle: &Handle,
    ) -> Connection<Lead<Reading>, Writing> {
        let (reading, writing) = tokio::io::split(stream);
        Connection::new(
            Lead::after(b"", self.half(reading, handle)),
            self.half(writing, handle),
            Protocol::V2,
            self.remote.uri.path(),
            None::<(String, Option<u16>)>,
            // What is wanted was said when the stream was opened.
            ConnectMode::Process,
            false,
        )
    }

    fn half<S>(&self, side: S, handle: &Handle) -> Half<S> {
        let host = self.remote.uri.host().to_owned();
        Half { side, host, handle: handle.clone(), budget: Arc::clone(&self.budget) }
    }
}

/// One direction of a stream, within bytes and time.
struct Half<S> {
    side: S,
    host: String,
    handle: Handle,
    budget: Arc<Budget>,
}

impl<S> Half<S> {
    /// Waits, but not for longer than there is time.
    fn wait<T>(&mut self, work: impl AsyncFnOnce(&mut S) -> io::Result<T>) -> io::Result<T> {
        let (deadline, side) = (self.budget.deadline(), &mut self.side);
        let outcome = self.handle.block_on(async { timeout_at(deadline, work(side)).await });
        let outcome = outcome.map_err(|_| self.budget.fail(self.budget.slow()))?;
        outcome.map_err(|source| self.budget.fail(stream::lost(&self.host, source)))
    }
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.wait(async |side| side.read(into).await)?;
        self.budget.receive(count)?;
        Ok(count)
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(async |side| side.write(bytes).await)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait(async |side| side.flush().await)
    }
}

/// A runtime on a thread: who fetches may have none, and must not block the one it has.
struct Driver {
    handle: Handle,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Driver {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new().name("git-stream".to_owned()).spawn(move || {
            let _ = runtime.block_on(stopped);
            // A name that is still being looked up is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _stop: stop })
    }
}
